//! Whole files, and what is said of them.

use std::env::VarError;
use std::fs;

use tricast::core::channel::{Kind, Retention};

use super::channel::Who;
use super::*;

fn environment(name: &str) -> Result<String, VarError> {
    match name {
        "TRICAST_SECRET" => Ok("a-secret-of-at-least-thirty-two-bytes".to_owned()),
        _ => Err(VarError::NotPresent),
    }
}

fn read_in(folder: &Path, text: &str) -> Result<Config, Problems> {
    Config::read(&folder.join("tricast.toml"), text, &environment)
}

fn config(text: &str) -> Config {
    read_in(Path::new(""), text).unwrap()
}

/// What is wrong with a file, one line each.
fn problems(text: &str) -> Vec<String> {
    problems_in(Path::new(""), text)
}

fn problems_in(folder: &Path, text: &str) -> Vec<String> {
    read_in(folder, text).unwrap_err().list.iter().map(ToString::to_string).collect()
}

/// What is wrong with lines that stand before a rule.
fn problems_of(lines: &str) -> Vec<String> {
    problems(&format!("{lines}{RULE}"))
}

const RULE: &str = "\n[[channel]]\npattern = \"a\"\n";

#[test]
fn a_rule_alone_is_enough_and_the_rest_has_defaults() {
    let config = config(RULE);
    assert_eq!((config.server.listen, config.server.mount.as_str()), (server::LISTEN, "/rt"));
    assert!(config.auth.is_none());
    let [channel] = &config.channels[..] else { panic!("{:?}", config.channels) };
    assert_eq!(channel.rule.retention(), Retention::stream());
    assert_eq!((channel.subscribe, channel.publish), (Who::Anyone, Who::Server));
    assert!(!channel.rule.has_presence() && !channel.rule.is_public() && channel.rule.shows_user());
}

#[test]
fn every_key_of_a_rule_arrives_in_it() {
    let config = config(
        r#"
        [auth]
        jwt_hs256 = "${TRICAST_SECRET}"
        [[channel]]
        pattern = "own:{user}"
        kind = "state"
        keep = 7
        keep_bytes = "64KiB"
        ttl = "10m"
        presence = true
        subscribe = "self"
        publish = "token"
        show_user = false
        [[channel]]
        pattern = "b"
        subscribe = "server"
        publish = "signed_in"
        "#,
    );
    let [first, second] = &config.channels[..] else { panic!("{:?}", config.channels) };
    assert_eq!(first.pattern.as_str(), "own:{user}");
    assert_eq!(first.rule.kind(), Kind::State);
    assert_eq!(first.rule.retention(), Retention { keep: 7, keep_bytes: 65_536, ttl_ms: 600_000 });
    assert!(first.rule.has_presence() && !first.rule.shows_user());
    let said = |rule: &tricast::Rule| format!("{:?} {:?}", rule.subscribe_access(), rule.publish_access());
    assert_eq!(said(&first.rule), "Owner Token");
    assert_eq!(said(&second.rule), "Server SignedIn");
}

#[test]
fn an_unknown_key_is_named_wherever_it_stands() {
    let found = problems_of(
        "[server]\nlisten = \"127.0.0.1:1\"\nlissen = 1\n[servers]\n[server.heartbeat]\nwss = 1\n[limits]\nconnection = 3",
    );
    assert_eq!(
        found,
        [
            "3: server.lissen: unknown key; known here: heartbeat, tls, listen, mount, allowed_origins, trusted_proxies, drain",
            "4: servers: unknown key; known here: server, auth, limits, backplane, channel",
            "6: server.heartbeat.wss: unknown key; known here: ws, sse",
            "8: limits.connection: unknown key; known here: message_bytes, channels_per_connection, connections, \
             connections_per_ip, connections_per_user, publishes_per_second, write_timeout, header_timeout",
        ]
    );
}

#[test]
fn an_ill_typed_value_is_named_with_what_it_must_be() {
    let found = problems(
        "auth = 1\nbackplane = [1]\nlimits.connections = \"many\"\nlimits.message_bytes = true\n\
         server = { listen = 8000, allowed_origins = \"https://a.example\", drain = 10, heartbeat = \"5s\", mount = 1.5 }\n\
         [[channel]]\npattern = 1979-05-27\npresence = \"yes\"\nkeep = []\nttl = {}\n",
    );
    assert_eq!(
        found,
        [
            "1: auth: must be a table, not a number",
            "2: backplane: must be a table, not an array",
            "3: limits.connections: must be a whole number, not a string",
            "4: limits.message_bytes: must be a size such as 65536, \"64KiB\", \"8MiB\" or \"1GiB\", not a boolean",
            "5: server.heartbeat: must be a table, not a string",
            "5: server.listen: must be an address such as \"127.0.0.1:8000\" or \"[::]:8000\", not a number",
            "5: server.mount: must be a path such as \"/rt\", of letters, digits and - . _ ~, beside those of the program \
             itself, not a fraction",
            "5: server.allowed_origins: must be an array of strings, not a string",
            "5: server.drain: must be a time such as \"500ms\", \"25s\", \"10m\", \"24h\" or \"7d\", not a number",
            "7: channel.pattern: must be a pattern such as \"chat:{room}\", not a date",
            "8: channel.presence: must be true or false, not a string",
            "9: channel.keep: must be a whole number, not an array",
            "10: channel.ttl: must be a time such as \"500ms\", \"25s\", \"10m\", \"24h\" or \"7d\", not a table",
        ]
    );
}

#[test]
fn each_item_of_a_list_has_a_line_of_its_own() {
    let found = problems_of("[server]\ntrusted_proxies = [\n  \"10.0.0/8\",\n  \"10.0.0.0/33\",\n  7,\n]");
    assert_eq!(
        found,
        [
            "3: server.trusted_proxies: \"10.0.0/8\" is not an address or a network such as \"10.0.0.0/8\"",
            "4: server.trusted_proxies: \"10.0.0.0/33\" is not an address or a network such as \"10.0.0.0/8\"",
            "5: server.trusted_proxies: must be an address or a network such as \"10.0.0.0/8\", not a number",
        ]
    );
}

#[test]
fn a_file_that_is_no_toml_is_told_by_line_without_its_text() {
    let found = problems("[auth]\njwt_hs256 = \"hidden\njwt_hs256 = 2\n[[channel]\n");
    assert!(found.iter().all(|problem| problem.contains(": this is no TOML: ")), "{found:?}");
    assert!(found[0].starts_with("2: "), "{found:?}");
    assert!(!found.concat().contains("hidden"), "{found:?}");
    let twice = problems("[limits]\nconnections = 1\nconnections = 2\n");
    assert_eq!(twice.len(), 1);
    assert!(twice[0].starts_with("3: "), "{twice:?}");
}

#[test]
fn an_unset_variable_is_named_with_its_line() {
    let found = problems_of("[auth]\njwt_hs256 = \"${SECRET}\"\naudience = \"${\"\nbackplane.x = \"${UNSET}\"");
    assert_eq!(
        found,
        [
            "2: auth.jwt_hs256: the environment has no variable SECRET",
            "3: auth.audience: a ${ is not closed (write $${ for the text ${)",
            "4: auth.backplane: unknown key; known here: jwt_hs256, jwt_public_key, jwt_keys, audience, issuer, cookie, \
             required",
        ]
    );
}

#[test]
fn no_problem_tells_what_a_variable_holds() {
    let found = problems(
        "[auth]\njwt_public_key = \"${TRICAST_SECRET}\"\njwt_keys = \"${TRICAST_SECRET}\"\ncookie = \"${TRICAST_SECRET} \"\n\
         [server]\nlisten = \"${TRICAST_SECRET}\"\nallowed_origins = [\"${TRICAST_SECRET}\"]\ndrain = \"${TRICAST_SECRET}\"\n\
         tls = { cert = \"${TRICAST_SECRET}\", key = \"${TRICAST_SECRET}\" }\n\
         [limits]\nmessage_bytes = \"${TRICAST_SECRET}\"\n[backplane]\nurl = \"${TRICAST_SECRET}\"\n\
         [[channel]]\npattern = \"{${TRICAST_SECRET}}\"\nkind = \"${TRICAST_SECRET}\"\npublish = \"${TRICAST_SECRET}\"\n",
    );
    assert_eq!(found.len(), 15, "{found:#?}");
    assert!(found[0].contains("cannot read ${TRICAST_SECRET}: "), "{found:#?}");
    assert!(!found.concat().contains("thirty-two"), "{found:#?}");
}

#[test]
fn a_secret_is_in_no_debug_output() {
    let config = config(&format!("[auth]\njwt_hs256 = \"${{TRICAST_SECRET}}\"{RULE}"));
    assert!(matches!(&config.auth.as_ref().unwrap().key, auth::Key::Hs256(_)));
    assert!(!format!("{config:?} {config}").contains("thirty-two"));
}

#[test]
fn a_rule_that_cannot_work_is_told_by_the_key_at_fault() {
    let found = problems(
        "[auth]\njwt_hs256 = \"${TRICAST_SECRET}\"\nrequired = false\n\
         [[channel]]\npattern = \"chat:{room\"\n\
         [[channel]]\nkeep = 0\nkeep_bytes = \"0MiB\"\nttl = \"0s\"\n\
         [[channel]]\npattern = \"user:{id}\"\nsubscribe = \"self\"\npublish = \"everyone\"\n\
         [[channel]]\npattern = \"b\"\nsubscribe = \"signed_in\"\npublic = true\n\
         [[channel]]\npattern = \"user:{name}\"\nkind = \"log\"\n",
    );
    assert_eq!(
        found,
        [
            "5: channel.pattern: a { is not closed",
            "6: channel.pattern: is missing",
            "7: channel.keep: must not be zero",
            "8: channel.keep_bytes: must not be zero",
            "9: channel.ttl: must not be zero",
            "12: channel.subscribe: \"self\" is whom {user} stands for, and the pattern has no {user}",
            "13: channel.publish: \"everyone\" is not \"anyone\", \"signed_in\", \"self\", \"token\" or \"server\"",
            "17: channel.public: true needs subscribe = \"anyone\"",
            "19: channel.pattern: matches the same channels as the pattern on line 11, so it is never reached",
            "20: channel.kind: \"log\" is not \"stream\" or \"state\"",
        ]
    );
}

#[test]
fn a_public_rule_needs_a_server_that_requires_no_token() {
    let rule = "\n[[channel]]\npattern = \"a\"\npublic = true\n";
    assert!(config(rule).channels[0].rule.is_public());
    let auth = "[auth]\njwt_hs256 = \"${TRICAST_SECRET}\"\n";
    let found = problems(&format!("{auth}{rule}"));
    assert_eq!(
        found,
        [
            "6: channel.public: true needs [auth] required = false, for what a cache hands out has no caller to ask for a token"
        ]
    );
    assert!(!config(&format!("{auth}required = false{rule}")).channels[0].rule.shows_user());
}

#[test]
fn without_a_key_nothing_may_be_asked_of_users() {
    let found = problems(
        "[auth]\naudience = \"a\"\nissuer = \"i\"\ncookie = \"c\"\nrequired = true\n\
         [[channel]]\npattern = \"{user}\"\nsubscribe = \"self\"\npublish = \"token\"\n",
    );
    let no_key = "means nothing without a key (jwt_hs256, jwt_public_key or jwt_keys)";
    let nobody = "is fulfilled by nobody, because [auth] has no key by which to know anybody";
    assert_eq!(
        found,
        [
            format!("2: auth.audience: {no_key}"),
            format!("3: auth.issuer: {no_key}"),
            format!("4: auth.cookie: {no_key}"),
            format!("5: auth.required: {no_key}"),
            format!("8: channel.subscribe: \"self\" {nobody}"),
            format!("9: channel.publish: \"token\" {nobody}"),
        ]
    );
    assert!(!config(&format!("[auth]\nrequired = false{RULE}")).channels.is_empty());
}

#[test]
fn files_that_a_file_names_are_looked_for_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[auth]\njwt_public_key = \"key.pem\"\njwt_hs256 = \"x\"\njwt_keys = \"k.json\"\n[server]\ntls = {{ cert = \"c.pem\" }}{RULE}"
    );
    let place = |file: &str| folder.path().join(file).display().to_string();
    let cause = "No such file or directory (os error 2)";
    assert_eq!(
        problems_in(folder.path(), &text),
        [
            format!("2: auth.jwt_public_key: cannot read {}: {cause}", place("key.pem")),
            "3: auth.jwt_hs256: there is a key already, on line 2: use one of jwt_hs256, jwt_public_key and jwt_keys"
                .to_owned(),
            format!("4: auth.jwt_keys: cannot read {}: {cause}", place("k.json")),
            "4: auth.jwt_keys: there is a key already, on line 2: use one of jwt_hs256, jwt_public_key and jwt_keys"
                .to_owned(),
            format!("6: server.tls.cert: cannot read {}: {cause}", place("c.pem")),
            "6: server.tls.key: is missing".to_owned(),
            "6: server.tls: TLS is not in this build yet".to_owned(),
        ]
    );
    fs::write(folder.path().join("c.pem"), "").unwrap();
    let found = problems_in(folder.path(), &format!("[server]\ntls = {{ cert = \"c.pem\", key = \"c.pem\" }}{RULE}"));
    assert_eq!(found, ["2: server.tls: TLS is not in this build yet"]);
}

#[test]
fn a_public_key_is_one_or_is_told_why_not() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("[auth]\njwt_public_key = \"key.pem\"{RULE}");
    let file = folder.path().join("key.pem");
    // Of RFC 8037, appendix A.2.
    let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
    fs::write(&file, pem).unwrap();
    let config = read_in(folder.path(), &text).unwrap();
    assert!(matches!(&config.auth.unwrap().key, auth::Key::Public(path) if *path == file));

    fs::write(&file, pem.replace("PUBLIC", "PRIVATE")).unwrap();
    let found = problems_in(folder.path(), &text);
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with(&format!("2: auth.jwt_public_key: {}: ", file.display())), "{found:?}");
    fs::write(&file, pem.repeat(1_000)).unwrap();
    let found = problems_in(folder.path(), &text);
    assert!(found[0].ends_with("it has more than 65536 bytes"), "{found:?}");
    let secret = format!("[auth]\njwt_hs256 = \"\"\"{pem}\"\"\"{RULE}");
    let found = problems(&secret);
    assert_eq!(found, ["2: auth.jwt_hs256: is a public key, which everybody has; name its file in jwt_public_key"]);
}

#[test]
fn a_set_of_keys_is_one_or_is_told_why_not() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("[auth]\njwt_keys = \"keys.json\"\nissuer = \"https://login.example\"{RULE}");
    let file = folder.path().join("keys.json");
    // Of RFC 8037, appendix A.2.
    let key = r#"{"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    fs::write(&file, format!("{{\"keys\": [{key}]}}")).unwrap();
    let config = read_in(folder.path(), &text).unwrap();
    let auth = config.auth.as_ref().unwrap();
    assert!(matches!(&auth.key, auth::Key::Set(path) if *path == file));
    assert!(format!("{:?}", auth.jwt).contains("issuer: Some(\"https://login.example\")"), "{:?}", auth.jwt);
    assert!(config.to_string().contains(&format!("JWT by the key set in {}\n", file.display())), "{config}");

    for (broken, said) in [
        (format!("{{\"keys\": [{key}, {key}]}}"), "two keys have the kid \"1\""),
        ("[".to_owned(), "a key set is an object with a list of keys, and this text is none at line 1, column 1"),
        (" ".repeat(1 << 20), "it is too long"),
    ] {
        fs::write(&file, broken).unwrap();
        let found = problems_in(folder.path(), &text);
        assert_eq!(found, [format!("2: auth.jwt_keys: {}: {said}", file.display())]);
    }
}

#[test]
fn backplanes_are_known_by_their_url_and_never_show_it() {
    let said = "is none of memory, redis://… (rediss, redis+sentinel, redis+cluster) and nats://… (tls)";
    assert_eq!(problems_of("backplane.url = \"hidden\""), [format!("1: backplane.url: {said}")]);
    for (url, name) in [("memory", "memory"), ("redis://u:hidden@10.0.0.1", "Redis"), ("nats://u:hidden@a", "NATS")] {
        let config = config(&format!("backplane.url = \"{url}\"{RULE}"));
        assert!(config.backplane.name().starts_with(name), "{url}");
        assert!(!format!("{config:?} {config}").contains("hidden"), "{url}");
    }
}

#[test]
fn a_file_without_a_rule_says_how_to_write_one() {
    for text in ["", "[server]\n"] {
        let found = problems(text);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("1: channel: there is none, so nothing would be served"), "{found:?}");
        assert!(found[0].contains("[[channel]]\n    pattern = "), "{found:?}");
    }
    for text in ["[channel]\npattern = \"a\"", "channel = \"a\"", "channel = []", "channel = [1]"] {
        assert_eq!(problems(text), ["1: channel: write [[channel]], with two brackets, for each"], "{text}");
    }
}

#[test]
fn a_file_that_nobody_wrote_is_refused_by_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tricast.toml");
    let fits = format!("{RULE}{}", "#".repeat(usize::try_from(MOST_BYTES).unwrap() - RULE.len()));
    fs::write(&file, &fits).unwrap();
    assert!(Config::load(&file).is_ok());
    fs::write(&file, fits + "#").unwrap();
    assert!(matches!(Config::load(&file), Err(ConfigError::TooLarge { .. })));
    assert!(matches!(Config::load(folder.path()), Err(ConfigError::Unreadable { .. })));
}

#[test]
fn every_problem_is_told_with_file_and_line() {
    let told =
        read_in(Path::new("etc"), "[x]\n[server]\ny = 1\n[[channel]]\npattern = \"a\"\n").unwrap_err().to_string();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[0], "etc/tricast.toml cannot be used; 2 problems:");
    assert!(lines[1].starts_with("etc/tricast.toml:1: x: unknown key"), "{told}");
    assert!(lines[2].starts_with("etc/tricast.toml:3: server.y: unknown key"), "{told}");
}

mod page {
    //! `docs/configuration.md` is held against what is read.

    use std::collections::BTreeSet;

    use super::*;

    const PAGE: &str = include_str!("../../../../docs/configuration.md");

    fn example() -> &'static str {
        PAGE.split_once("```toml\n").unwrap().1.split_once("```").unwrap().0
    }

    /// The keys of the file's model: those that were asked for, without the tables that have keys of their own.
    fn known() -> BTreeSet<String> {
        let mut notes = Notes::default();
        Config::noting(Path::new("tricast.toml"), example(), &environment, &mut notes);
        let known = &notes.known;
        let is_table = |key: &String| known.iter().any(|other| other.starts_with(&format!("{key}.")));
        known.iter().filter(|key| !is_table(key)).cloned().collect()
    }

    /// The first cells of the tables under headings that name a section of the file.
    fn documented() -> BTreeSet<String> {
        let mut section = "";
        let mut keys = BTreeSet::new();
        for line in PAGE.lines() {
            if let Some(heading) = line.strip_prefix("## ") {
                section = heading.trim_matches(['`', '[', ']']);
            } else if let Some((key, _)) = line.strip_prefix("| `").and_then(|row| row.split_once('`')) {
                keys.insert(format!("{section}.{key}"));
            }
        }
        keys
    }

    #[test]
    fn every_key_is_documented_and_none_that_is_not_there() {
        assert!(known().len() >= 30, "{:?}", known());
        assert_eq!(documented(), known());
    }

    #[test]
    fn the_example_can_be_used_and_shows_every_key_but_those_that_exclude_others() {
        let config = config(example());
        assert_eq!(config.channels.len(), 3);
        let absent = ["auth.jwt_public_key", "auth.jwt_keys", "server.tls.cert", "server.tls.key"];
        let shown = |key: &String| example().contains(key.rsplit('.').next().unwrap());
        let missing: Vec<String> = known().into_iter().filter(|key| !shown(key) && !absent.contains(&&**key)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
