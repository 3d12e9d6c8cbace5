//! What a token that is signed may say.

use tricast_core::access::{Action, Capabilities, Identity};
use tricast_core::limits::CAPABILITIES;

use super::*;

fn jwt() -> Jwt {
    Jwt::hs256(SECRET)
}

fn token(claims: &Value) -> String {
    Signer::hs256().sign(claims)
}

#[track_caller]
fn reason(claims: &Value) -> String {
    refusal(&jwt(), &token(claims))
}

#[test]
fn a_token_says_who_and_for_how_long() {
    let found = ask(&jwt(), &token(&json!({"sub": "ann", "exp": NOW + 600, "iat": NOW - 60}))).unwrap();
    assert_eq!(found.identity, Identity::from(crate::User::new("ann".parse().unwrap())));
    assert_eq!((found.expires_ms, found.issued_ms), (Some(NOW_MS + 600_000), Some(NOW_MS - 60_000)));
}

/// Else a token that was taken back would count as new each time it is shown.
#[test]
fn a_token_that_does_not_say_when_it_was_issued_is_older_than_any_revocation() {
    assert_eq!(ask(&jwt(), &token(&ann())).unwrap().issued_ms, Some(0));
}

#[test]
fn a_token_is_good_for_five_seconds_after_its_end_and_no_longer() {
    let token = token(&json!({"sub": "ann", "exp": NOW}));
    let found = ask_at(&jwt(), &token, NOW_MS + 5_000).unwrap();
    assert_eq!(found.expires_ms, Some(NOW_MS), "the leeway is not part of what is told");
    assert_eq!(ask_at(&jwt(), &token, NOW_MS + 5_001), Err(AuthError::Expired));
    assert_eq!(ask_at(&jwt(), &token, u64::MAX), Err(AuthError::Expired));
}

#[test]
fn a_token_is_good_five_seconds_before_its_time_and_no_earlier() {
    for claim in ["nbf", "iat"] {
        let token = token(&ann_with(json!({claim: NOW})));
        assert!(is_ann(&ask_at(&jwt(), &token, NOW_MS - 5_000)), "{claim}");
        let Err(AuthError::Invalid(reason)) = ask_at(&jwt(), &token, NOW_MS - 5_001) else { panic!("{claim}") };
        assert!(reason.starts_with(&format!("the token's {claim} ")), "{reason}");
    }
}

#[test]
fn a_time_may_be_a_broken_number_of_seconds() {
    let found = ask(&jwt(), &token(&json!({"sub": "ann", "exp": NOW as f64 + 0.5, "nbf": 0, "iat": 0.25}))).unwrap();
    assert_eq!((found.expires_ms, found.issued_ms), (Some(NOW_MS + 500), Some(250)));
}

#[test]
fn a_time_that_is_none_is_refused_by_its_name() {
    // The last is what whoever counts milliseconds writes: good for ever.
    let bad =
        [json!("1800000600"), json!(true), json!([]), json!({}), json!(-1), json!(1e300), json!(NOW_MS + 600_000)];
    for claim in ["exp", "nbf", "iat"] {
        for value in &bad {
            let expected = format!("the token's {claim} is no time in seconds since 1970");
            assert_eq!(reason(&ann_with(json!({claim: value}))), expected, "{value}");
        }
    }
    assert_eq!(reason(&json!({"sub": "ann"})), "the token's exp is missing");
    assert_eq!(reason(&json!({"sub": "ann", "exp": null})), "the token's exp is missing");
}

#[test]
fn a_token_must_be_for_the_audience() {
    let expects = Jwt::hs256(SECRET).audience("tricast");
    for good in [json!("tricast"), json!(["tricast"]), json!(["other", "tricast"])] {
        assert!(is_ann(&ask(&expects, &token(&ann_with(json!({"aud": good}))))), "{good}");
    }
    for bad in [json!("other"), json!(""), json!("tricast2"), json!("Tricast"), json!([]), json!(["other", "tri"])] {
        assert_eq!(refusal(&expects, &token(&ann_with(json!({"aud": bad})))), "the token's aud is for others", "{bad}");
    }
    for bad in [json!(7), json!({}), json!([7]), json!([["tricast"]]), json!(["tricast", 7])] {
        let reason = refusal(&expects, &token(&ann_with(json!({"aud": bad}))));
        assert_eq!(reason, "the token's aud is neither a string nor a list of strings", "{bad}");
    }
    assert_eq!(refusal(&expects, &token(&ann())), "the token's aud is missing");
}

#[test]
fn a_token_for_an_audience_is_for_others_where_none_is_configured() {
    for aud in [json!("tricast"), json!(["tricast"]), json!([]), json!("")] {
        let reason = reason(&ann_with(json!({"aud": aud})));
        assert_eq!(reason, "the token's aud is for others: no audience is configured here", "{aud}");
    }
}

#[test]
fn a_token_must_be_of_the_issuer_where_one_is_configured() {
    let expects = Jwt::hs256(SECRET).issuer("https://login.example");
    let with = |iss: Value| token(&ann_with(json!({"iss": iss})));
    assert!(is_ann(&ask(&expects, &with(json!("https://login.example")))));
    assert_eq!(refusal(&expects, &with(json!("https://login.example/"))), "the token's iss is another issuer");
    assert_eq!(refusal(&expects, &with(json!(["https://login.example"]))), "the token's iss is not a string");
    assert_eq!(refusal(&expects, &token(&ann())), "the token's iss is missing");
    assert!(is_ann(&ask(&jwt(), &with(json!("anybody")))));
}

#[test]
fn a_sub_is_a_users_id() {
    let with = |sub: Value| json!({"sub": sub, "exp": NOW + 600});
    let longest = "x".repeat(128);
    let found = ask(&jwt(), &token(&with(json!(longest)))).unwrap();
    assert_eq!(found.identity.user(), Some(longest.as_str()));
    for bad in [json!(""), json!("x".repeat(129)), json!("a\nb"), json!("a\u{0}"), json!("\u{85}")] {
        assert!(reason(&with(bad)).starts_with("the token's sub is no user's id: "));
    }
    for bad in [json!(7), json!(true), json!(["ann"]), json!({})] {
        assert_eq!(reason(&with(bad)), "the token's sub is not a string");
    }
    for none in [json!({"exp": NOW + 600}), with(json!(null)), json!({"exp": NOW + 600, "tricast": {"server": false}})]
    {
        assert_eq!(reason(&none), "the token's sub is missing");
    }
}

#[test]
fn capabilities_come_from_the_token() {
    let claims = ann_with(json!({"tricast": {"subscribe": ["room:{any}", "a"], "publish": ["room:1"]}}));
    let Identity::User(user) = ask(&jwt(), &token(&claims)).unwrap().identity else { panic!("no user") };
    let may = |action, channel: &str| user.capabilities.allow(action, &channel.parse().unwrap());
    assert!(may(Action::Subscribe, "room:7") && may(Action::Subscribe, "a") && may(Action::Publish, "room:1"));
    assert!(!may(Action::Subscribe, "b") && !may(Action::Publish, "room:7") && !user.capabilities.is_server());
    for none in [json!({}), json!(null), json!({"subscribe": [], "publish": [], "server": false})] {
        let found = ask(&jwt(), &token(&ann_with(json!({"tricast": none})))).unwrap();
        let Identity::User(user) = found.identity else { panic!("no user") };
        assert!(user.capabilities.is_empty());
    }
}

#[test]
fn a_server_need_not_be_a_user_and_may_be_one() {
    let server = json!({"exp": NOW + 600, "tricast": {"server": true}});
    let found = ask(&jwt(), &token(&server)).unwrap();
    assert_eq!((found.identity, found.expires_ms), (Identity::Server, Some(NOW_MS + 600_000)));
    let found = ask(&jwt(), &token(&ann_with(json!({"tricast": {"server": true}})))).unwrap();
    let Identity::User(user) = found.identity else { panic!("no user") };
    assert_eq!((user.id.as_str(), &user.capabilities), ("ann", &Capabilities::server()));
    assert_eq!(ask_at(&jwt(), &token(&server), NOW_MS + 700_000), Err(AuthError::Expired));
}

#[test]
fn malformed_capabilities_refuse_the_token_by_their_name() {
    let cases = [
        (json!([]), "tricast is not an object"),
        (json!("server"), "tricast is not an object"),
        (json!(true), "tricast is not an object"),
        (json!([["room"], [], true]), "tricast is not an object"),
        (json!({"subscibe": ["room"]}), "tricast is not an object of subscribe, publish and server"),
        (json!({"server": true, "admin": true}), "tricast is not an object of subscribe, publish and server"),
        (json!({"server": "true"}), "tricast.server is neither true nor false"),
        (json!({"server": 1}), "tricast.server is neither true nor false"),
        (json!({"subscribe": "room"}), "tricast.subscribe is not a list of patterns"),
        (json!({"publish": {"room": true}}), "tricast.publish is not a list of patterns"),
        (json!({"subscribe": ["room", 7]}), "tricast.subscribe is not a list of patterns"),
        (json!({"subscribe": ["room", ["room"]]}), "tricast.subscribe is not a list of patterns"),
        (json!({"subscribe": ["room", "a{b"]}), "tricast.subscribe[1] is no pattern: a { is not closed"),
        (json!({"publish": [""]}), "tricast.publish[0] is no pattern: "),
        (json!({"publish": ["x".repeat(256)]}), "tricast.publish[0] is no pattern: it must have 1 to 255 bytes"),
        (json!({"publish": ["@presence/{x}"]}), "tricast.publish[0] is no pattern: "),
        (json!({"subscribe": ["a b"], "server": true}), "tricast.subscribe[0] is no pattern: "),
    ];
    for (capabilities, culprit) in cases {
        let reason = reason(&ann_with(json!({"tricast": capabilities})));
        assert!(reason.starts_with(&format!("the token's {culprit}")), "{capabilities}: {reason}");
    }
}

#[test]
fn a_token_has_so_many_capabilities_and_no_more() {
    let patterns = |many: usize| (0..many).map(|nth| format!("r{nth}")).collect::<Vec<_>>();
    let with = |subscribe: usize, publish: usize| {
        token(&ann_with(json!({"tricast": {"subscribe": patterns(subscribe), "publish": patterns(publish)}})))
    };
    assert!(is_ann(&ask(&jwt(), &with(CAPABILITIES - 28, 28))));
    let expected = "the token's tricast has 129 patterns, 128 are allowed";
    assert_eq!(refusal(&jwt(), &with(CAPABILITIES - 28, 29)), expected);
}

#[test]
fn claims_that_can_be_read_in_two_ways_are_refused() {
    let exp = NOW + 600;
    let texts = [
        format!(r#"{{"sub":"ann","sub":"bob","exp":{exp}}}"#),
        format!(r#"{{"sub":"ann","exp":{exp},"exp":{exp}}}"#),
        format!(r#"["ann",{exp},null,null,null,null,null]"#),
        format!(r#"{{"sub":"ann","exp":{exp}}} {{}}"#),
        "null".to_owned(),
        String::new(),
        "[".repeat(4_000),
    ];
    for text in texts {
        let reason = refusal(&jwt(), &Signer::hs256().sign_text(r#"{"alg":"HS256"}"#, &text));
        assert_eq!(reason, "the token's claims are no JSON object, or one stands there twice", "{text}");
    }
    let twice = format!(r#"{{"sub":"ann","exp":{exp},"tricast":{{"server":false,"server":true}}}}"#);
    assert!(
        refusal(&jwt(), &Signer::hs256().sign_text(r#"{"alg":"HS256"}"#, &twice)).starts_with("the token's tricast ")
    );
}

#[test]
fn other_claims_are_ignored() {
    let others = json!({"jti": "1", "scope": "a b", "roles": {"admin": [true]}, "email": null, "auth_time": "x"});
    assert!(is_ann(&ask(&jwt(), &token(&ann_with(others)))));
}

#[test]
fn expired_is_said_of_what_was_good_once_only() {
    let later = NOW_MS + 700_000;
    let ask = |jwt: &Jwt, claims: &Value| ask_at(jwt, &token(claims), later);
    assert_eq!(ask(&jwt(), &ann()), Err(AuthError::Expired));
    let never = [json!({"aud": "other"}), json!({"sub": ""}), json!({"tricast": 7}), json!({"nbf": NOW + 800})];
    for others in never {
        assert!(matches!(ask(&jwt(), &ann_with(others.clone())), Err(AuthError::Invalid(_))), "{others}");
    }
    assert!(matches!(ask(&jwt().issuer("a"), &ann()), Err(AuthError::Invalid(_))));
    let forged = token(&ann()).replace('.', "A.");
    assert!(matches!(ask_at(&jwt(), &forged, later), Err(AuthError::Invalid(_))));
}
