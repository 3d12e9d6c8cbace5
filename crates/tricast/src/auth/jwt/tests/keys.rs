//! Which keys are usable, and which of several is a token's.

use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::auth::{JwtError, KeyProblem};

#[test]
fn a_public_key_may_be_of_either_form() {
    for pem in [include_str!("../testdata/rsa.pkcs1.public.pem"), &format!("\n\n{}\n\n", RSA_PUBLIC.trim())] {
        assert!(is_ann(&ask(&Jwt::public_key_pem(pem).unwrap(), &Signer::rs256().sign(&ann()))));
    }
    let windows = P256_PUBLIC.replace('\n', "\r\n");
    assert!(is_ann(&ask(&Jwt::public_key_pem(&windows).unwrap(), &Signer::es256().sign(&ann()))));
}

#[test]
fn a_text_that_is_no_usable_key_is_an_error_that_says_why() {
    let two = format!("{RSA_PUBLIC}{P256_PUBLIC}");
    let cut: String = RSA_PUBLIC.lines().take(4).collect();
    let mislabelled = ED25519_PUBLIC.replace("PUBLIC", "RSA PUBLIC");
    let cases = [
        ("", KeyProblem::NotPem),
        ("secret", KeyProblem::NotPem),
        (two.as_str(), KeyProblem::NotPem),
        (include_str!("../testdata/rsa.private.pem"), KeyProblem::Private),
        (include_str!("../testdata/rsa.pkcs1.private.pem"), KeyProblem::Private),
        (include_str!("../testdata/p256.private.pem"), KeyProblem::Private),
        (include_str!("../testdata/ed25519.private.pem"), KeyProblem::Private),
        (include_str!("../testdata/rsa.certificate.pem"), KeyProblem::Kind),
        (include_str!("../testdata/p384.public.pem"), KeyProblem::Curve),
        (include_str!("../testdata/k256.public.pem"), KeyProblem::Curve),
        (include_str!("../testdata/rsa1024.public.pem"), KeyProblem::RsaBits(1024)),
        (cut.as_str(), KeyProblem::Kind),
        (mislabelled.as_str(), KeyProblem::Malformed),
    ];
    for (pem, expected) in cases {
        let error = Jwt::public_key_pem(pem).unwrap_err();
        assert!(matches!(&error, JwtError::Key(problem) if *problem == expected), "{error} {pem}");
    }
}

fn set(keys: &[Value]) -> String {
    json!({"keys": keys}).to_string()
}

fn jwk_with(jwk: Value, others: Value) -> Value {
    let mut jwk = jwk;
    jwk.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
    jwk
}

#[test]
fn each_key_of_a_set_has_its_name_and_its_algorithm() {
    let signers = [Signer::rs256(), Signer::es256(), Signer::eddsa()];
    let names = ["r", "e", "d"];
    let mut keys: Vec<Value> = signers.iter().zip(names).map(|(signer, name)| signer.jwk(name)).collect();
    // Without `alg` it follows from the kind of key.
    for key in &mut keys[1..] {
        key.as_object_mut().unwrap().remove("alg");
    }
    let jwt = Jwt::jwks(&set(&keys)).unwrap();
    for (signer, own) in signers.iter().zip(names) {
        for name in names {
            let found = ask(&jwt, &signer.sign_named(name, &ann()));
            assert_eq!(is_ann(&found), name == own, "{own} by {name}: {found:?}");
        }
        assert_eq!(refusal(&jwt, &signer.sign_named("x", &ann())), "the token's kid is that of no key");
        assert_eq!(refusal(&jwt, &signer.sign(&ann())), "the token has no kid, and there are several keys");
    }
}

#[test]
fn a_token_without_a_kid_means_the_only_key() {
    let signer = Signer::es256();
    for kid in [json!({}), json!({"kid": null})] {
        let mut jwk = signer.jwk("e");
        jwk.as_object_mut().unwrap().remove("kid");
        let jwt = Jwt::jwks(&set(&[jwk_with(jwk, kid)])).unwrap();
        assert!(is_ann(&ask(&jwt, &signer.sign(&ann()))));
        assert_eq!(refusal(&jwt, &signer.sign_named("e", &ann())), "the token's kid is that of no key");
    }
    let jwt = Jwt::jwks(&set(&[signer.jwk("e")])).unwrap();
    assert!(is_ann(&ask(&jwt, &signer.sign(&ann()))) && is_ann(&ask(&jwt, &signer.sign_named("e", &ann()))));
}

#[test]
fn keys_for_something_else_are_left_out() {
    let signer = Signer::rs256();
    let others = [
        jwk_with(signer.jwk("a"), json!({"use": "enc"})),
        jwk_with(signer.jwk("b"), json!({"alg": "RS512"})),
        jwk_with(signer.jwk("c"), json!({"alg": "HS256"})),
        jwk_with(signer.jwk("d"), json!({"key_ops": ["encrypt"]})),
        jwk_with(Signer::es256().jwk("e"), json!({"crv": "P-384"})),
        json!({"kty": "oct", "kid": "f", "k": encode(SECRET), "alg": "HS256"}),
        json!({"kty": "post-quantum", "kid": "g", "n": "?"}),
    ];
    assert!(matches!(Jwt::jwks(&set(&others)), Err(JwtError::NoKey)));
    assert!(matches!(Jwt::jwks(&set(&[])), Err(JwtError::NoKey)));
    let own = jwk_with(signer.jwk("own"), json!({"use": "sig", "key_ops": ["verify"], "x5t": "ignored"}));
    let jwt = Jwt::jwks(&set(&[others.as_slice(), &[own]].concat())).unwrap();
    assert!(is_ann(&ask(&jwt, &signer.sign_named("own", &ann()))));
    for name in ["a", "b", "c", "d"] {
        assert_eq!(refusal(&jwt, &signer.sign_named(name, &ann())), "the token's kid is that of no key");
    }
    refusal(&jwt, &Signer::hs256().sign_named("f", &ann()));
}

#[test]
fn a_broken_key_of_a_set_is_an_error_that_names_it() {
    let (rsa, p256, ed) = (Signer::rs256().jwk("r"), Signer::es256().jwk("e"), Signer::eddsa().jwk("d"));
    let short = BASE64_URL_SAFE_NO_PAD.encode([1; 31]);
    let weak = BASE64_URL_SAFE_NO_PAD.encode([255; 128]);
    let cases = [
        (jwk_with(rsa.clone(), json!({"d": "AQAB"})), "\"r\"", KeyProblem::Private),
        (jwk_with(ed.clone(), json!({"d": null})), "\"d\"", KeyProblem::Private),
        (jwk_with(rsa.clone(), json!({"n": null})), "\"r\"", KeyProblem::Member("n")),
        (jwk_with(rsa.clone(), json!({"e": "?"})), "\"r\"", KeyProblem::Member("e")),
        (jwk_with(rsa.clone(), json!({"e": "AQ"})), "\"r\"", KeyProblem::Malformed),
        (jwk_with(rsa.clone(), json!({"e": "Ag"})), "\"r\"", KeyProblem::Malformed),
        (jwk_with(rsa.clone(), json!({"e": "AAAAAAAAAQABAAAB"})), "\"r\"", KeyProblem::Malformed),
        (jwk_with(rsa.clone(), json!({"n": ""})), "\"r\"", KeyProblem::RsaBits(0)),
        (jwk_with(rsa.clone(), json!({"n": weak})), "\"r\"", KeyProblem::RsaBits(1024)),
        (jwk_with(rsa, json!({"n": 7})), "number 2", KeyProblem::NoJwk),
        (jwk_with(p256.clone(), json!({"y": null})), "\"e\"", KeyProblem::Member("y")),
        (jwk_with(p256.clone(), json!({"x": short})), "\"e\"", KeyProblem::Malformed),
        (jwk_with(p256.clone(), json!({"x": p256["y"]})), "\"e\"", KeyProblem::Curve),
        (jwk_with(ed.clone(), json!({"x": short})), "\"d\"", KeyProblem::Malformed),
        (jwk_with(ed, json!({"kid": null, "x": ""})), "number 2", KeyProblem::Malformed),
        (json!(["EC"]), "number 2", KeyProblem::NoJwk),
        (json!({"kid": "x"}), "number 2", KeyProblem::NoJwk),
    ];
    for (key, name, expected) in cases {
        let error = Jwt::jwks(&set(&[Signer::es256().jwk("fine"), key.clone()])).unwrap_err();
        let JwtError::KeyOfSet { which, problem } = &error else { panic!("{key}: {error}") };
        assert_eq!((which.as_str(), problem), (name, &expected), "{key}");
    }
}

#[test]
fn two_keys_of_one_name_are_an_error() {
    let error = Jwt::jwks(&set(&[Signer::es256().jwk("a"), Signer::rs256().jwk("a")])).unwrap_err();
    assert_eq!(error.to_string(), r#"two keys have the kid "a""#);
}

#[test]
fn a_text_that_is_no_set_is_an_error_that_does_not_show_it() {
    let texts =
        ["", "hunter2", "\"hunter2\"", "{\"keys\": \"hunter2\"}", "{\"hunter2\": []}", "{\"keys\": []} hunter2"];
    for text in texts {
        let error = Jwt::jwks(text).unwrap_err();
        assert!(matches!(error, JwtError::NoSet { .. }), "{text}: {error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn of(what: impl FnOnce()) -> String {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
        tracing::subscriber::with_default(subscriber, what);
        let bytes = log.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[test]
fn a_short_secret_is_taken_with_a_warning() {
    let short = &SECRET[..31];
    let log = Log::of(|| {
        let signer = Signer { key: EncodingKey::from_secret(short.as_bytes()), ..Signer::hs256() };
        assert!(is_ann(&ask(&Jwt::hs256(short), &signer.sign(&ann()))));
    });
    assert!(log.contains("WARN") && log.contains("bytes=31") && !log.contains(short), "{log}");
    assert_eq!(Log::of(|| drop(Jwt::hs256(SECRET))), "");
}

#[test]
fn by_a_secret_that_everybody_has_no_token_is_good() {
    for secret in ["", RSA_PUBLIC, include_str!("../testdata/rsa.pkcs1.public.pem")] {
        let log = Log::of(|| {
            let attacker = Signer { key: EncodingKey::from_secret(secret.as_bytes()), ..Signer::hs256() };
            let jwt = Jwt::hs256(secret);
            assert!(refusal(&jwt, &attacker.sign(&ann())).starts_with("no token is good here: "));
            assert!(jwt.required());
        });
        assert!(log.contains("ERROR"), "{log}");
    }
}
