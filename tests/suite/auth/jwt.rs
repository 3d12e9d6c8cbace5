//! JSON Web Tokens as they come over the wire: each that is no good, on each way. What a token must say is tried claim by
//! claim where it is judged; here, that every way judges it, and how each says so.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tricast::auth::Jwt;
use tricast::{Access, Rule};

use super::login::{refusal, told};
use super::{LEEWAY, Met, START_MS, Way, meet, send, socket};
use crate::client::{Query, Ws, type_of};
use crate::server::{Backplane, Server};

const SECRET: &[u8] = b"a secret of the suite's, of more than 32 bytes";

/// `{"alg":"none","typ":"JWT"}`.
const NONE: &str = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";

const PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----
";

async fn start(jwt: Jwt) -> Server {
    let build = |builder: tricast::Builder| {
        let own = Rule::stream().subscribe(Access::Owner).publish(Access::Owner);
        let token = Rule::stream().subscribe(Access::Token).publish(Access::Token);
        builder.rule("own:{user}", own).rule("cap:{any}", token).authenticate(jwt.cookie("session"))
    };
    Server::start_with(Backplane::Memory, build, |serve| serve).await
}

fn suite() -> Jwt {
    Jwt::hs256(SECRET).audience("suite")
}

/// What time it will be so many seconds after the node's start.
fn after(seconds: i64) -> i64 {
    START_MS / 1_000 + seconds
}

/// The claims of a token that is good for an hour, but for these.
fn claims(change: Value) -> Value {
    let mut claims = json!({"sub": "ann", "aud": "suite", "iat": after(0), "exp": after(3_600)});
    let Value::Object(change) = change else { panic!("{change}") };
    for (name, value) in change {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(&name);
        } else {
            claims[name] = value;
        }
    }
    claims
}

fn signed_by(secret: &[u8], algorithm: Algorithm, claims: &Value) -> String {
    encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret)).unwrap()
}

fn token(change: Value) -> String {
    signed_by(SECRET, Algorithm::HS256, &claims(change))
}

/// One part of a token in the place of another's.
fn with_part(token: &str, nth: usize, part: &str) -> String {
    let mut parts: Vec<&str> = token.split('.').collect();
    parts[nth] = part;
    parts.join(".")
}

#[tokio::test]
async fn every_way_refuses_every_token_that_is_no_good() {
    let server = start(suite()).await;
    let (good, of_bob) = (token(json!({})), token(json!({"sub": "bob"})));
    let leeway = i64::try_from(LEEWAY.as_secs()).unwrap();
    let cases = [
        ("a bad signature", signed_by(b"another secret of more than 32 bytes", Algorithm::HS256, &claims(json!({})))),
        ("another's signature", with_part(&of_bob, 2, good.split('.').nth(2).unwrap())),
        ("no signature", with_part(&good, 2, "")),
        ("none", with_part(&with_part(&good, 0, NONE), 2, "")),
        ("none, signed", with_part(&good, 0, NONE)),
        ("another algorithm", signed_by(SECRET, Algorithm::HS512, &claims(json!({})))),
        ("the wrong audience", token(json!({"aud": "others"}))),
        ("no audience", token(json!({"aud": null}))),
        ("not yet valid", token(json!({"nbf": after(leeway + 1)}))),
        ("not issued yet", token(json!({"iat": after(leeway + 60)}))),
        ("no end", token(json!({"exp": null}))),
        ("nobody's", token(json!({"sub": null}))),
        ("a sub that is too long", token(json!({"sub": "s".repeat(129)}))),
        ("a sub with a line break", token(json!({"sub": "ann\n"}))),
        ("a claim that is not known", token(json!({"tricast": {"admin": true}}))),
        ("two parts", good.rsplit_once('.').unwrap().0.to_owned()),
        ("no token at all", "x".to_owned()),
    ];
    let expired = token(json!({"exp": after(-leeway - 1)}));
    for way in Way::ALL {
        for (what, token) in &cases {
            let met = told(meet(&server, way, Some(token), "own:ann").await);
            assert_eq!(met, refusal(way, "unauthorized", 401, 4401), "{what}, by {way:?}");
        }
        let met = told(meet(&server, way, Some(&expired), "own:ann").await);
        assert_eq!(met, refusal(way, "token_expired", 401, 4402), "{way:?}");
        for token in [&good, &token(json!({"nbf": after(leeway), "exp": after(1 - leeway)}))] {
            assert!(matches!(meet(&server, way, Some(token), "own:ann").await, Met::LetIn(_)), "{way:?}");
        }
    }
}

/// No reason bears the token, or a part of it.
#[tokio::test]
async fn no_refusal_tells_the_token() {
    let server = start(suite()).await;
    for token in [signed_by(b"another", Algorithm::HS256, &claims(json!({}))), token(json!({"aud": "others"}))] {
        for way in Way::ALL {
            let told = format!("{:?}", meet(&server, way, Some(&token), "own:ann").await);
            assert!(token.split('.').all(|part| !told.contains(part)), "{told}");
        }
    }
}

/// A public key is no secret: whoever has it, as everybody does, signs nothing by it.
#[tokio::test]
async fn a_public_key_taken_for_a_secret_signs_nothing() {
    let server = start(Jwt::public_key_pem(PUBLIC_KEY).unwrap().audience("suite")).await;
    for secret in [PUBLIC_KEY, PUBLIC_KEY.trim(), ""] {
        let forged = signed_by(secret.as_bytes(), Algorithm::HS256, &claims(json!({})));
        for way in Way::ALL {
            let met = told(meet(&server, way, Some(&forged), "own:ann").await);
            assert_eq!(met, refusal(way, "unauthorized", 401, 4401), "{way:?}");
        }
    }
}

#[tokio::test]
async fn it_is_renewed_by_one_of_the_same_user_and_by_nobody_elses() {
    let server = start(suite()).await;
    let mut ws = socket(&server, Some(&token(json!({"exp": after(60)}))), &["own:ann"]).await;
    let auth = |token: String| json!({"type": "auth", "token": token});
    let welcome = ws.ask(auth(token(json!({})))).await;
    assert_eq!(
        (type_of(&welcome), &welcome["expires_in"], &welcome["user"]),
        ("welcome", &json!(3_600), &json!("ann"))
    );
    for (change, code) in [
        (json!({"sub": "bob"}), "forbidden"),
        (json!({"sub": "bob", "tricast": {"server": true}}), "forbidden"),
        (json!({"sub": null, "tricast": {"server": true}}), "forbidden"),
        (json!({"aud": "others"}), "unauthorized"),
        (json!({"exp": after(-60)}), "token_expired"),
    ] {
        assert_eq!(ws.ask(auth(token(change.clone()))).await["code"], code, "{change}");
    }
    server.publish("own:ann", 1).await;
    assert_eq!(type_of(&ws.next_event().await), "message");
}

/// What the token itself allows, it allows on every way; and `server` anything.
#[tokio::test]
async fn its_capabilities_count_where_the_rules_are_closed() {
    let server = start(suite()).await;
    let reader = token(json!({"tricast": {"subscribe": ["cap:{any}"]}}));
    let writer = token(json!({"tricast": {"publish": ["cap:a"]}}));
    let back_end = token(json!({"sub": null, "tricast": {"server": true}}));
    let publish = |channel: &str| json!({"type": "publish", "channel": channel, "data": 1});
    for (token, reads, writes) in [(&reader, true, false), (&writer, false, true), (&back_end, true, true)] {
        for way in Way::ALL.into_iter().filter(|way| !way.is_ws() && *way != Way::Send) {
            let met = meet(&server, way, Some(token), "cap:a").await;
            assert_eq!(matches!(met, Met::LetIn(_)), reads, "{way:?}: {met:?}");
        }
        let mut ws = Ws::open(server.address, &Query { token: Some(token.clone()), ..Query::default() }).await;
        ws.until("welcome").await;
        let read = ws.ask(json!({"type": "subscribe", "channel": "cap:a"})).await;
        assert_eq!(type_of(&read) == "subscribed", reads, "{read}");
        assert_eq!(send(&server, Some(token), &publish("cap:a")).await["type"] == "published", writes);
    }
    // A back end says no more than others whom its message is from.
    let mut reader = socket(&server, Some(&back_end), &["cap:a"]).await;
    let mut spoof = publish("cap:a");
    spoof["user"] = "eve".into();
    send(&server, Some(&back_end), &spoof).await;
    assert_eq!(reader.next_event().await.get("user"), None);
    assert_eq!(send(&server, Some(&writer), &publish("cap:b")).await["code"], "forbidden");
}

/// A token without `iat` cannot show that it is from later.
#[tokio::test]
async fn once_its_user_was_revoked_only_later_ones_count() {
    let server = start(suite()).await;
    let good = token(json!({}));
    let mut ws = socket(&server, Some(&good), &["own:ann"]).await;
    server.let_pass(std::time::Duration::from_secs(10));
    server.tricast.revoke("ann").await.unwrap();
    assert_eq!(ws.next_event().await["code"], "unauthorized");
    for way in Way::ALL {
        for refused in [&good, &token(json!({"iat": null}))] {
            let met = told(meet(&server, way, Some(refused), "own:ann").await);
            assert_eq!(met, refusal(way, "unauthorized", 401, 4401), "{way:?}");
        }
        let later = token(json!({"iat": after(10)}));
        assert!(matches!(meet(&server, way, Some(&later), "own:ann").await, Met::LetIn(_)), "{way:?}");
    }
}
