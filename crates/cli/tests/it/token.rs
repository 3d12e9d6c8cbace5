//! `token make`, `token inspect`, and what the server makes of them.

use std::process::Output;

use crate::config::{ANN, File, RULES};

const SECRET: &str = "thirty-two";

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn made(file: &File, arguments: &[&str]) -> String {
    let output = file.run(&[&["token", "make"], arguments].concat());
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    text(&output.stdout).trim_end().to_owned()
}

fn failed(output: &Output, code: i32, told: &str) {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert!(text(&output.stderr).contains(told), "{output:?}");
    assert!(!text(&output.stderr).contains(SECRET), "{output:?}");
}

#[test]
fn a_token_that_was_made_is_one_that_the_server_takes() {
    let file = File::new(RULES);
    let server = file.serve();
    let publish = |token: &str| {
        let url = server.url("/live");
        file.command(&["pub", "inbox:ann", "1", "--url", &url]).env("TRICAST_TOKEN", token).output().unwrap()
    };
    assert_eq!(publish(&made(&file, &["--user", "ann"])).status.code(), Some(0));
    assert_eq!(publish(&made(&file, &["--server"])).status.code(), Some(0));
    failed(&publish(""), 1, "error: cannot publish to inbox:ann: forbidden: ");
    failed(&publish("x"), 1, "error: cannot publish to inbox:ann: unauthorized: ");
    let url = server.url("/live");
    let read = |token: &str, channels: &[&str]| {
        let arguments = [&["sub", "--count", "1", "--from", "earliest", "--url", &url], channels].concat();
        file.command(&arguments).env("TRICAST_TOKEN", token).output().unwrap()
    };
    assert_eq!(text(&read(&made(&file, &["--user", "ann"]), &["inbox:ann"]).stdout), "inbox:ann 1 by ann 1\n");
    let bob = made(&file, &["--user", "bob"]);
    failed(&read(&bob, &["inbox:ann", "nothing"]), 1, "error: cannot subscribe to inbox:ann: forbidden: ");
    failed(&read(&bob, &["inbox:ann", "nothing"]), 1, "error: no channel is left to read\n");
    let granted = made(&file, &["--user", "bob", "--subscribe", "inbox:{any}", "--for", "1m"]);
    assert_eq!(read(&granted, &["inbox:ann"]).status.code(), Some(0));
    failed(&read("x", &["inbox:ann"]), 1, "error: the connection was given up: the server refused: unauthorized: ");
}

#[test]
fn inspecting_tells_the_claims_and_verifies_with_a_key_but_shows_no_signature() {
    let file = File::new(RULES);
    let signature = ANN.rsplit('.').next().unwrap();
    let claims = "header {\"alg\":\"HS256\",\"typ\":\"JWT\"}\nclaims {\n  \"aud\": \"tricast\",\n  \"exp\": 4102444800,\n  \
                  \"sub\": \"ann\"\n}\ngood until Fri, 01 Jan 2100 00:00:00 GMT\n";
    let told = |arguments: &[&str]| {
        let output = file.run(&[&["token", "inspect"], arguments].concat());
        assert!(!text(&output.stdout).contains(signature), "{output:?}");
        output
    };
    let seen = told(&[ANN]);
    assert_eq!(text(&seen.stdout), format!("{claims}not verified: --config names the file with the key\n"));
    let seen = told(&[ANN, "--config", "tricast.toml"]);
    assert_eq!(text(&seen.stdout), format!("{claims}verified by tricast.toml: it is of the user ann\n"));
    assert_eq!(seen.status.code(), Some(0));

    let forged = ANN.replace(".A6z", ".B6z");
    let seen = told(&[&forged, "--config", "tricast.toml"]);
    assert_eq!(text(&seen.stdout), claims);
    failed(&seen, 1, "error: tricast.toml does not let this token in: the token's signature does not match\n");
    failed(&told(&["nonsense"]), 1, "error: this is no token: it has not three parts");
}

#[test]
fn what_no_server_would_take_is_not_made() {
    let file = File::new(RULES);
    failed(
        &file.run(&["token", "make", "--user", ""]),
        1,
        "does not let this token in: the token's sub is no user's id",
    );
    let bad = file.run(&["token", "make", "--user", "ann", "--publish", "a{"]);
    failed(&bad, 1, "the token's tricast.publish[0] is no pattern: a { is not closed");
    failed(&file.run(&["token", "make"]), 2, "--user <ID>");
    let open = File::new("[[channel]]\npattern = \"a\"\n");
    failed(&open.run(&["token", "make", "--user", "ann"]), 1, "error: tricast.toml has no key in [auth]");
}
