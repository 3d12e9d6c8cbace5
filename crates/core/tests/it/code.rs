use serde::Deserialize;
use tricast_core::protocol::Code;
use tricast_testkit::vectors;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    code: String,
    http: Option<u16>,
    close: u16,
    retry: String,
    reconnect: bool,
}

#[test]
fn codes_are_as_the_vectors_say() {
    for case in vectors::load::<Row>("codes") {
        let Row { code, http, close, retry, reconnect } = &case.data;
        let parsed: Code = code.parse().unwrap();
        assert_eq!(parsed.as_str(), code);
        assert_eq!((parsed.http(), parsed.close()), (*http, *close), "{code}");
        assert_eq!((parsed.retry().as_str(), parsed.reconnect()), (retry.as_str(), *reconnect), "{code}");
        assert_eq!(parsed.may_retry_as_is(), !matches!(retry.as_str(), "no" | "new_token"), "{code}");
    }
}

#[test]
fn every_code_has_a_vector() {
    let mut listed: Vec<_> = vectors::load::<Row>("codes").iter().map(|case| case.data.code.clone()).collect();
    let mut known = Code::ALL.map(|code| code.as_str().to_owned()).to_vec();
    listed.sort();
    known.sort();
    assert_eq!(listed, known);
}
