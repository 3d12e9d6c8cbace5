//! How a token comes in, and that it does not come out.

use http::Request;
use http::request::Parts;

use super::*;
use crate::hooks::Transport;

fn request(cookies: &[&str]) -> Parts {
    let mut request = Request::builder();
    for cookie in cookies {
        request = request.header("cookie", *cookie);
    }
    request.body(()).unwrap().into_parts().0
}

/// Who is found by a request with these cookies and this token.
fn found(jwt: &Jwt, cookies: &[&str], token: Option<&str>) -> Result<Option<String>, AuthError> {
    let (request, token) = (request(cookies), token.map(Secret::new));
    let credentials = Credentials::of_request(&request, token.as_ref(), Transport::Poll, NOW_MS);
    let found = jwt.authenticate(credentials).now_or_never().expect("waits for nothing")?;
    Ok(found.map(|found| found.identity.user().unwrap().to_owned()))
}

fn token_of(user: &str) -> String {
    Signer::hs256().sign(&ann_with(json!({"sub": user})))
}

#[test]
fn a_token_is_looked_for_in_the_cookie_after_all_other_ways() {
    let jwt = Jwt::hs256(SECRET).cookie("session");
    let (ann, bob) = (token_of("ann"), token_of("bob"));
    let session = format!("theme=dark; session={ann}; lang=de");
    assert_eq!(found(&jwt, &[&session], None), Ok(Some("ann".to_owned())));
    assert_eq!(found(&jwt, &["theme=dark", &format!("session={ann}")], None), Ok(Some("ann".to_owned())));
    assert_eq!(found(&jwt, &[&session], Some(&bob)), Ok(Some("bob".to_owned())));
    assert!(found(&jwt, &[&session], Some("bad")).is_err(), "a bad token is not made good by a cookie");
    assert_eq!(found(&jwt, &[&format!("other={ann}")], None), Ok(None));
    assert_eq!(found(&jwt, &["session="], None), Ok(None));
    assert!(found(&jwt, &["session=bad"], None).is_err());
}

#[test]
fn a_cookie_is_none_unless_one_is_configured() {
    assert_eq!(found(&Jwt::hs256(SECRET), &[&format!("session={}", token_of("ann"))], None), Ok(None));
}

#[test]
fn a_token_is_required_unless_it_is_optional_and_a_bad_one_is_always_refused() {
    let jwt = Jwt::hs256(SECRET);
    assert!(jwt.required());
    let optional = jwt.optional();
    assert!(!optional.required());
    assert_eq!(found(&optional, &[], None), Ok(None));
    assert_eq!(found(&optional, &[], Some(&token_of("ann"))), Ok(Some("ann".to_owned())));
    assert!(found(&optional, &[], Some("bad")).is_err() && found(&optional, &[], Some("")).is_err());
}

#[test]
fn nothing_that_is_printed_shows_a_token_or_a_secret() {
    let jwt = Jwt::hs256(SECRET).audience("tricast").cookie("session");
    let shown = format!("{jwt:?} {jwt:#?}");
    assert!(shown.contains("Hs256") && shown.contains("tricast") && !shown.contains(SECRET), "{shown}");
    assert!(!shown.contains(&format!("{:?}", SECRET.as_bytes())) && !shown.contains(&SECRET[..8]));

    let secrets = ["hunter2-in-the-header", "hunter2-in-the-payload", "hunter2"];
    let (header, claims) = (json!({"alg": "HS256", "kid": secrets[0]}), ann_with(json!({"sub": secrets[1]})));
    let good = Signer::hs256().sign_with(&header, &claims);
    let wrong = [
        json!({"exp": "hunter2"}),
        json!({"aud": "hunter2"}),
        json!({"sub": "hunter2".repeat(40)}),
        json!({"iss": ["hunter2"]}),
        json!({"tricast": {"hunter2": true}}),
        json!({"tricast": {"server": "hunter2"}}),
        json!({"tricast": {"subscribe": ["hunter2 "]}}),
    ];
    let mut tokens = wrong.map(|others| Signer::hs256().sign_with(&header, &ann_with(others))).to_vec();
    tokens.extend([
        good.replace('.', "A."),
        format!("{good}.{good}"),
        good[..good.len() - 1].to_owned(),
        good.repeat(50),
    ]);
    tokens.push(Signer::hs256().sign_with(&json!({"alg": "hunter2"}), &claims));
    tokens.push(Signer::hs256().sign_text("hunter2", "hunter2"));
    let (jwt, strict) = (Jwt::hs256(SECRET), Jwt::hs256(SECRET).issuer("a"));
    for token in tokens {
        let errors: Vec<AuthError> = [&jwt, &strict].iter().filter_map(|jwt| ask(jwt, &token).err()).collect();
        let printed = format!("{errors:?} {}", errors.last().unwrap());
        assert!(!token.split('.').any(|part| printed.contains(part)), "{printed}");
        assert!(!secrets.iter().any(|secret| printed.contains(secret)), "{printed}");
    }
}
