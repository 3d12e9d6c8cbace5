//! Which tokens prove who wrote them.

use std::sync::LazyLock;

use proptest::prelude::*;
use tricast_core::limits::TOKEN_BYTES;

use super::*;

#[test]
fn each_algorithm_is_verified_by_its_own_key_and_by_no_other() {
    let all = Signer::all();
    for (nth, (signer, _)) in all.iter().enumerate() {
        let token = signer.sign(&ann());
        let by = all.each_ref().map(|(_, jwt)| is_ann(&ask(jwt, &token)));
        let mut expected = [false; 4];
        expected[nth] = true;
        assert_eq!(by, expected, "{}", signer.alg);
    }
}

#[test]
fn a_key_of_the_same_kind_verifies_nothing_of_anothers() {
    let token = Signer { key: EncodingKey::from_secret(b"another secret, as long as it is"), ..Signer::hs256() };
    assert_eq!(refusal(&Jwt::hs256(SECRET), &token.sign(&ann())), "the token's signature does not match");
}

#[test]
fn alg_none_is_refused_however_it_is_written_and_signed() {
    for (signer, jwt) in Signer::all() {
        for none in ["none", "None", "NONE", "nOnE", ""] {
            let signed = signer.sign_with(&json!({"alg": none}), &ann());
            let (message, _) = signed.rsplit_once('.').unwrap();
            for token in [format!("{message}."), signed.clone()] {
                assert_eq!(refusal(&jwt, &token), "the token's alg is not that of the key", "{none} {}", signer.alg);
            }
        }
    }
}

/// The attack by which a verifier that believes `alg` takes its public key for a secret, which everybody has.
#[test]
fn a_public_key_is_nobodys_secret() {
    for (pem, (_, jwt)) in [RSA_PUBLIC, P256_PUBLIC, ED25519_PUBLIC].iter().zip(Signer::all().into_iter().skip(1)) {
        let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let der = base64::prelude::BASE64_STANDARD.decode(base64).unwrap();
        for secret in [pem.as_bytes(), pem.trim().as_bytes(), &der] {
            let attacker = Signer { key: EncodingKey::from_secret(secret), ..Signer::hs256() };
            for alg in ["HS256", "RS256", "ES256", "EdDSA"] {
                refusal(&jwt, &attacker.sign_with(&json!({"alg": alg}), &ann()));
            }
        }
    }
}

#[test]
fn another_algorithm_of_the_same_key_is_refused() {
    let others = [
        (Algorithm::HS384, "HS384"),
        (Algorithm::HS512, "HS512"),
        (Algorithm::RS384, "RS384"),
        (Algorithm::RS512, "RS512"),
        (Algorithm::PS256, "PS256"),
    ];
    for (algorithm, alg) in others {
        let nth = usize::from(!alg.starts_with('H'));
        let (signer, jwt) = Signer::all().into_iter().nth(nth).unwrap();
        let signer = Signer { algorithm, ..signer };
        assert_eq!(
            refusal(&jwt, &signer.sign_with(&json!({"alg": alg}), &ann())),
            "the token's alg is not that of the key"
        );
        let lies = signer.sign(&ann());
        assert_eq!(refusal(&jwt, &lies), "the token's signature does not match", "{alg}");
    }
}

#[test]
fn eddsa_has_two_names() {
    let (signer, jwt) = Signer::all().into_iter().next_back().unwrap();
    assert!(is_ann(&ask(&jwt, &signer.sign_with(&json!({"alg": "Ed25519"}), &ann()))));
}

#[test]
fn a_key_that_the_token_brings_is_not_believed() {
    let attacker = Signer::eddsa();
    let jwt = Jwt::public_key_pem("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n").unwrap();
    let header = json!({"alg": "EdDSA", "jwk": attacker.jwk("mine"), "jku": "https://attacker.example/keys"});
    assert_eq!(refusal(&jwt, &attacker.sign_with(&header, &ann())), "the token's signature does not match");
}

#[test]
fn a_header_with_crit_is_refused_whatever_it_asks_for() {
    let (signer, jwt) = (Signer::hs256(), Jwt::hs256(SECRET));
    for crit in [json!(["b64"]), json!([]), json!(null), json!("exp")] {
        let token = signer.sign_with(&json!({"alg": "HS256", "crit": crit}), &ann());
        assert_eq!(refusal(&jwt, &token), "the token's header has crit, and no extension is understood");
    }
}

#[test]
fn a_token_may_have_so_many_bytes_and_no_more() {
    let (signer, jwt) = (Signer::hs256(), Jwt::hs256(SECRET));
    let tokens = (TOKEN_BYTES / 2..).map(|bytes| signer.sign(&ann_with(json!({"more": "x".repeat(bytes)}))));
    let mut tokens = tokens.skip_while(|token| token.len() < TOKEN_BYTES);
    let (longest, too_long) = (tokens.next().unwrap(), tokens.find(|token| token.len() > TOKEN_BYTES).unwrap());
    assert_eq!(longest.len(), TOKEN_BYTES);
    assert!(is_ann(&ask(&jwt, &longest)));
    assert!(refusal(&jwt, &too_long).ends_with("bytes, 8192 are allowed"));
    // Not even its shape is looked at.
    assert!(refusal(&jwt, &".".repeat(1 << 20)).ends_with("bytes, 8192 are allowed"));
}

#[test]
fn what_is_no_token_is_refused() {
    let (signer, jwt) = (Signer::hs256(), Jwt::hs256(SECRET));
    let good = signer.sign(&ann());
    let shapes = ["", ".", "..", "...", "a.b", "a.b.c.d.e", "Bearer a.b.c", "\u{0}.\u{0}.\u{0}", "é.é.é"];
    let spellings = [format!("{good}="), format!("{good} "), format!(" {good}"), format!("{good}.")];
    let shapes = shapes.into_iter().map(str::to_owned).chain(spellings);
    for token in shapes {
        let reason = refusal(&jwt, &token);
        assert!(reason.contains("three parts") || reason.contains("malformed"), "{token:?}: {reason}");
    }
    let headers = [
        "",
        "null",
        "[]",
        r#"["HS256"]"#,
        r#"{"typ":"JWT"}"#,
        r#"{"alg":7}"#,
        r#"{"alg":null}"#,
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"alg":"HS256","kid":7}"#,
        r#"{"alg":"HS256"} {}"#,
        r#"{"alg":"HS256""#,
    ];
    for header in headers {
        let token = signer.sign_text(header, &ann().to_string());
        assert_eq!(refusal(&jwt, &token), "the token's header is malformed", "{header}");
    }
}

/// A good token of each kind, made once.
static GOOD: LazyLock<[(String, Jwt); 4]> =
    LazyLock::new(|| Signer::all().map(|(signer, jwt)| (signer.sign(&ann_with(json!({"iat": NOW}))), jwt)));

proptest! {
    #[test]
    fn a_token_of_which_one_byte_is_another_proves_nothing(kind in 0..4_usize, at: prop::sample::Index, byte in 0..128_u8) {
        let (good, jwt) = &GOOD[kind];
        let mut bytes = good.clone().into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        let flipped = String::from_utf8(bytes).unwrap();
        prop_assert!(is_ann(&ask(jwt, good)));
        prop_assert!(matches!(ask(jwt, &flipped), Err(AuthError::Invalid(_))), "{at}");
    }

    #[test]
    fn no_text_is_a_token_by_chance(text in "[A-Za-z0-9_.=-]{0,60}|\\PC{0,60}") {
        for (_, jwt) in GOOD.iter() {
            prop_assert!(matches!(ask(jwt, &text), Err(AuthError::Invalid(_))));
        }
    }
}

/// The last byte of a signature has bits to spare, which a lenient decoder ignores.
#[test]
fn a_signature_has_one_spelling() {
    for (good, jwt) in GOOD.iter() {
        let (rest, last) = good.split_at(good.len() - 1);
        for other in (b'!'..=b'~').map(char::from).filter(|other| last != other.to_string()) {
            refusal(jwt, &format!("{rest}{other}"));
        }
    }
}
