//! Every kind of access × what is wanted × who wants it × each transport. Protocol, 6 "Refused channels" and 8.

use std::future::{pending, ready};

use serde_json::{Value, json};
use tricast::{Access, AccessRequest, Builder, Rule};

use super::{Met, Way, meet, query, send, socket, start};
use crate::client::http::Request;
use crate::client::{Query, Transport, Ws, type_of};
use crate::server::Server;

const HTTP: [Transport; 5] =
    [Transport::RawSse, Transport::SseGet, Transport::SsePost, Transport::PollGet, Transport::PollPost];

/// Nobody, a user, the owner, a user with a capability for everything here, one for something else, a back end.
const CALLERS: [Option<&str>; 6] = [
    None,
    Some("bob"),
    Some("ann"),
    Some("bob&subscribe={kind}:{all}&publish={kind}:{all}"),
    Some("bob&subscribe=other:{all}&publish=other:{all}"),
    Some("bob&server"),
];

/// A channel for each kind of access, and whom of [`CALLERS`] it lets in.
const CASES: [(&str, [bool; 6]); 7] = [
    ("anyone:ann", [true, true, true, true, true, true]),
    ("signed:ann", [false, true, true, true, true, true]),
    ("owner:ann", [false, false, true, true, false, true]),
    ("token:ann", [false, false, false, true, false, true]),
    ("server:ann", [false, false, false, false, false, true]),
    ("when:ann", [false, false, true, true, false, true]),
    ("ask:ann", [false, false, true, true, false, true]),
];

/// The `user` of each channel is its owner, and `panic`, `early` and `hang` are who cannot be decided about.
fn accesses() -> [(&'static str, Access); 7] {
    let ask = Access::ask(|request: AccessRequest| {
        let user = request.param("user").unwrap_or_default().to_owned();
        assert_ne!(user, "early", "a condition of this test");
        async move {
            match &*user {
                "panic" => panic!("a condition of this test"),
                "hang" => pending().await,
                user => ready(request.caller.is(Some(user))).await,
            }
        }
    });
    [
        ("anyone:{user}", Access::Anyone),
        ("signed:{user}", Access::SignedIn),
        ("owner:{user}", Access::Owner),
        ("token:{user}", Access::Token),
        ("server:{user}", Access::Server),
        ("when:{user}", Access::when(|who, params| who.is(params.get("user")))),
        ("ask:{user}", ask),
    ]
}

/// Rules that ask this of whoever subscribes or publishes.
fn both(builder: Builder) -> Builder {
    accesses().into_iter().fold(builder, |builder, (pattern, access)| {
        builder.rule(pattern, Rule::stream().subscribe(access.clone()).publish(access).presence())
    })
}

/// Rules that ask this of whoever wants to see who is there.
fn of_presence(builder: Builder) -> Builder {
    accesses()
        .into_iter()
        .fold(builder, |builder, (pattern, access)| builder.rule(pattern, Rule::stream().presence_for(access)))
}

/// Asserts of each case and caller that `ask` tells what is expected: nothing, or a code.
async fn assert_each<F: Future<Output = Option<Value>>>(ask: impl Fn(&'static str, Option<&'static str>) -> F) {
    for (channel, allowed) in CASES {
        for (caller, allowed) in CALLERS.into_iter().zip(allowed) {
            let refused = ask(channel, caller).await;
            let expected = (!allowed).then(|| json!("forbidden"));
            assert_eq!(refused, expected, "{channel} by {caller:?}");
        }
    }
}

/// The code of an `error`.
fn code(event: &Value) -> Option<Value> {
    (type_of(event) == "error").then(|| event["code"].clone())
}

#[tokio::test]
async fn subscribing_by_request_is_for_whom_the_rule_names() {
    let server = &start(both).await;
    for transport in HTTP {
        assert_each(|channel, caller| async move {
            match meet(server, Way::Header(transport), caller, channel).await {
                Met::Status { status: 403, code, .. } => Some(code.into()),
                Met::LetIn(_) => None,
                other => panic!("{transport:?} {channel}: {other:?}"),
            }
        })
        .await;
    }
}

#[tokio::test]
async fn subscribing_on_a_socket_is_for_whom_the_rule_names() {
    let server = &start(both).await;
    assert_each(|channel, caller| async move {
        // By the query, and by a command.
        let mut ws = Ws::open(server.address, &query(caller, &[channel])).await;
        ws.next_event().await;
        let by_query = code(&ws.next_event().await);
        ws.ask(json!({"type": "unsubscribe", "channel": channel})).await;
        let by_command = code(&ws.ask(json!({"type": "subscribe", "channel": channel})).await);
        assert_eq!(by_query, by_command, "{channel}");
        by_query
    })
    .await;
}

async fn assert_commands(server: &Server, command: impl Fn(&str) -> Value) {
    let (on_ws, on_send) = (&command, &command);
    assert_each(|channel, caller| async move {
        let mut ws = socket(server, caller, &[]).await;
        code(&ws.ask(on_ws(channel)).await)
    })
    .await;
    assert_each(|channel, caller| async move { code(&send(server, caller, &on_send(channel)).await) }).await;
}

#[tokio::test]
async fn publishing_is_for_whom_the_rule_names() {
    let server = start(both).await;
    assert_commands(&server, |channel| json!({"type": "publish", "channel": channel, "data": 1})).await;
}

/// Whoever may subscribe may read what is retained, and who is there.
#[tokio::test]
async fn history_and_presence_are_for_who_may_subscribe() {
    let server = start(both).await;
    assert_commands(&server, |channel| json!({"type": "history", "channel": channel})).await;
    assert_commands(&server, |channel| json!({"type": "presence", "channel": channel})).await;
    assert_commands(&server, |channel| json!({"type": "history", "channel": format!("@presence/{channel}")})).await;
}

/// Unless the rule says of its own who may see who is there: then of those who may subscribe.
#[tokio::test]
async fn presence_is_for_whom_its_own_access_names() {
    let server = &start(of_presence).await;
    assert_commands(server, |channel| json!({"type": "presence", "channel": channel})).await;
    assert_commands(server, |channel| json!({"type": "history", "channel": format!("@presence/{channel}")})).await;
    assert_each(|channel, caller| async move {
        let mut ws = socket(server, caller, &[channel]).await;
        // Who reads the channel already is asked about who is there all the same.
        let by_command = code(&ws.ask(json!({"type": "presence", "channel": channel})).await);
        let presence = format!("@presence/{channel}");
        let by_subscribing = code(&ws.ask(json!({"type": "subscribe", "channel": presence})).await);
        assert_eq!(by_command, by_subscribing, "{channel}");
        by_command
    })
    .await;
    for transport in [Transport::SseGet, Transport::SsePost, Transport::PollGet, Transport::PollPost] {
        assert_each(|channel, caller| async move {
            match meet(server, Way::Header(transport), caller, &format!("@presence/{channel}")).await {
                Met::Status { status: 403, code, .. } => Some(code.into()),
                Met::LetIn(_) => None,
                other => panic!("{other:?}"),
            }
        })
        .await;
    }
}

/// Whoever may see who is there has to be let into the channel as well.
#[tokio::test]
async fn who_may_not_subscribe_does_not_see_who_is_there_whatever_presence_for_says() {
    let rule = Rule::stream().subscribe(Access::Owner).presence_for(Access::Anyone);
    let server = start(|builder| builder.rule("room:{user}", rule)).await;
    for (caller, expected) in
        [(None, Some(json!("forbidden"))), (Some("bob"), Some(json!("forbidden"))), (Some("ann"), None)]
    {
        let presence = json!({"type": "presence", "channel": "room:ann"});
        assert_eq!(code(&send(&server, caller, &presence).await), expected, "{caller:?}");
    }
}

/// Nobody at all writes who is there, or reads what was taken back from whom.
#[tokio::test]
async fn system_channels_are_nobodys_not_even_a_back_ends() {
    let all = Rule::stream().publish(Access::Anyone).presence();
    let server = start(|builder| builder.rule("{all}", all)).await;
    server.tricast.revoke("eve").await.unwrap();
    let caller = Some("bob&subscribe={all}&publish={all}");
    for caller in [None, caller, Some("bob&server")] {
        let spoof = json!({"type": "publish", "channel": "@presence/room", "key": "k", "data": 1});
        assert_eq!(send(&server, caller, &spoof).await["code"], "forbidden");
        for command in [
            json!({"type": "publish", "channel": "@revoked", "data": {"user": "ann"}}),
            json!({"type": "history", "channel": "@revoked"}),
            json!({"type": "presence", "channel": "@revoked"}),
            json!({"type": "history", "channel": "@presence/@revoked"}),
        ] {
            assert_eq!(send(&server, caller, &command).await["code"], "unknown_channel", "{caller:?}: {command}");
        }
        for transport in HTTP {
            let met = meet(&server, Way::Header(transport), caller, "@revoked").await;
            assert!(matches!(met, Met::Status { status: 404, .. }), "{met:?}");
        }
    }
}

#[tokio::test]
async fn a_channel_without_a_rule_does_not_exist_whoever_asks() {
    let server = start(both).await;
    for caller in CALLERS {
        for transport in HTTP {
            let met = meet(&server, Way::Header(transport), caller, "nowhere").await;
            assert!(matches!(met, Met::Status { status: 404, .. }), "{met:?}");
        }
        let mut ws = socket(&server, caller, &[]).await;
        for kind in ["subscribe", "publish", "history", "presence"] {
            let command = json!({"type": kind, "channel": "nowhere", "data": 1});
            assert_eq!(ws.ask(command.clone()).await["code"], "unknown_channel");
            if kind != "subscribe" {
                assert_eq!(send(&server, caller, &command).await["code"], "unknown_channel");
            }
        }
    }
}

/// Closed, and the connection lives.
#[tokio::test]
async fn a_condition_that_panics_or_hangs_lets_nobody_in() {
    let server = start(both).await;
    let mut ws = socket(&server, Some("ann"), &[]).await;
    for (user, code, status) in [("panic", "internal", 500), ("early", "internal", 500), ("hang", "timeout", 408)] {
        let channel = format!("ask:{user}");
        for kind in ["subscribe", "publish", "history", "presence"] {
            let command = json!({"type": kind, "channel": channel, "data": 1});
            let refused = ws.ask(command.clone()).await;
            assert_eq!((type_of(&refused), &refused["code"]), ("error", &json!(code)), "{kind} {channel}");
            assert_eq!(refused["channel"], *channel);
            if kind != "subscribe" {
                assert_eq!(send(&server, Some("ann"), &command).await["code"], code, "{kind} {channel}");
            }
        }
        for transport in HTTP {
            match meet(&server, Way::Header(transport), Some("ann"), &channel).await {
                Met::Status { status: told, .. } => assert_eq!(told, status, "{transport:?}"),
                Met::Bye { code: told, .. } => assert_eq!(told, code, "{transport:?}"),
                other => panic!("{transport:?}: {other:?}"),
            }
        }
    }
    ws.assert_silent().await;
}

/// A position proves nothing: it is an address, not a key.
#[tokio::test]
async fn a_cursor_of_a_channel_without_rights_opens_nothing() {
    let server = start(both).await;
    let secrets = server.publish_all("owner:ann", 1..=3).await;
    let own = server.publish_all("anyone:bob", 1..=2).await;
    for transport in [Transport::SseGet, Transport::SsePost, Transport::PollGet, Transport::PollPost] {
        // Beside a channel of the caller's own: refused in band.
        let both = Query { token: Some("bob".into()), ..Query::of_all(&["anyone:bob", "owner:ann"]) };
        let both = both.cursor(format!("{},{}", own[0], secrets[0])).wait(0.0);
        let mut reader = crate::client::Reader::open(transport, &server, &both).await;
        let told = reader.next_of_log().await;
        assert_eq!(told, json!({"type": "unsubscribed", "channel": "owner:ann", "code": "forbidden"}));
        assert_eq!(reader.message().await["channel"], "anyone:bob");
        assert_eq!(reader.cursor(), format!("{},-", own[1]), "{transport:?}");
        // Alone, or in the place of another's: it is no position of that channel.
        let alone = Query { token: Some("bob".into()), ..Query::of("owner:ann").cursor(secrets[0].clone()) };
        assert_eq!(alone.request(transport).send(server.address).await.status, 403);
        let moved = Query { token: Some("bob".into()), ..Query::of("anyone:bob").cursor(secrets[0].clone()) };
        let mut reader = crate::client::Reader::open(transport, &server, &moved.wait(0.0)).await;
        let gap = reader.gap().await;
        assert_eq!((&gap["channel"], &gap["reason"]), (&json!("anyone:bob"), &json!("epoch")));
    }
    let forged = Request::get("/rt/sse?channel=owner:ann").header("Last-Event-ID", &*secrets[0]).bearer("bob");
    assert_eq!(forged.send(server.address).await.status, 403);
    let mut ws = socket(&server, Some("bob"), &[]).await;
    let subscribe = json!({"type": "subscribe", "channel": "owner:ann", "from": secrets[0]});
    assert_eq!(ws.ask(subscribe).await["code"], "forbidden");
    for (name, position) in [("after", &secrets[0]), ("before", &secrets[2])] {
        let history = json!({"type": "history", "channel": "owner:ann", name: position});
        assert_eq!(ws.ask(history.clone()).await["code"], "forbidden");
        assert_eq!(send(&server, Some("bob"), &history).await["code"], "forbidden");
    }
}

/// An array is judged publish by publish.
#[tokio::test]
async fn one_refused_publish_of_an_array_does_not_let_in_the_others_nor_keep_them_out() {
    let server = start(both).await;
    let publish = |channel: &str| json!({"type": "publish", "channel": channel, "data": 1});
    let array = json!([publish("owner:ann"), publish("anyone:a"), publish("server:a"), publish("ask:bob")]);
    let answers = send(&server, Some("bob"), &array).await;
    let told = answers.as_array().unwrap().iter().map(type_of).collect::<Vec<_>>();
    assert_eq!(told, ["error", "published", "error", "published"]);
}
