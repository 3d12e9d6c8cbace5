//! Who is let in, who is not, and how each transport says so.

use serde_json::json;
use tricast::{Access, Rule};

use super::{LEEWAY, Met, Way, meet, start, start_required};
use crate::client::{Query, Transport, Ws, type_of};

/// Where [`meet`] knocks; whoever is let in may read it.
const ROOM: &str = "chat:a";

/// What each way says of a code: protocol, 7, and 6 of what may be retried on an event stream by GET.
pub(super) fn refusal(way: Way, code: &str, status: u16, close: u16) -> Met {
    let code = code.to_owned();
    if way.is_ws() {
        return Met::Closed { code, close, reconnect: true, reason: String::new() };
    }
    let may_retry = matches!(status, 408 | 500 | 503);
    if may_retry && way.is_sse_get() {
        return Met::Bye { code, retry: None };
    }
    let challenge = (status == 401).then(|| "Bearer".to_owned());
    Met::Status { code, status, challenge, message: String::new() }
}

/// Without what differs from one refusal to the next.
pub(super) fn told(met: Met) -> Met {
    match met {
        Met::Closed { code, close, reconnect, .. } => Met::Closed { code, close, reconnect, reason: String::new() },
        Met::Status { code, status, challenge, .. } => Met::Status { code, status, challenge, message: String::new() },
        Met::Bye { code, retry } => {
            assert!((1_000..=30_000).contains(&retry.unwrap()), "{retry:?}");
            Met::Bye { code, retry: None }
        }
        let_in @ Met::LetIn(_) => let_in,
    }
}

#[tokio::test]
async fn a_refused_token_is_told_in_each_transports_own_way() {
    let server = start_required(|builder| builder).await;
    let over = format!("ann&exp=-{}", LEEWAY.as_millis() + 1);
    let long = "x".repeat(8 * 1024 + 1);
    let cases = [
        ("forged", "unauthorized", 401, 4401),
        // A `sub` that is too long for the key of a member.
        (&"u".repeat(129), "unauthorized", 401, 4401),
        (&long, "unauthorized", 401, 4401),
        (&over, "token_expired", 401, 4402),
        ("over", "token_expired", 401, 4402),
        ("nobody can tell", "unavailable", 503, 1013),
        ("panics", "internal", 500, 1011),
        ("panics at once", "internal", 500, 1011),
        ("hangs", "timeout", 408, 4408),
    ];
    for way in Way::ALL {
        for (token, code, status, close) in cases {
            let met = told(meet(&server, way, Some(token), ROOM).await);
            assert_eq!(met, refusal(way, code, status, close), "{way:?} with {token:.20}");
        }
    }
}

/// A reason is told, and never the token.
#[tokio::test]
async fn a_refusal_says_why() {
    let server = start_required(|builder| builder).await;
    for way in [Way::Header(Transport::Ws), Way::Hello, Way::Header(Transport::PollGet), Way::Send] {
        for (token, expected) in [("forged", "the signature is wrong"), ("over", "the token has expired")] {
            match meet(&server, way, Some(token), ROOM).await {
                Met::Status { message: reason, .. } | Met::Closed { reason, .. } => assert_eq!(reason, expected),
                other => panic!("{way:?}: {other:?}"),
            }
        }
    }
}

/// On a WebSocket a `hello` may yet come: see `hello`.
#[tokio::test]
async fn whoever_brings_nothing_is_refused_where_somebody_is_required() {
    let server = start_required(|builder| builder).await;
    for way in Way::ALL.into_iter().filter(|way| !way.is_ws()) {
        let met = told(meet(&server, way, None, ROOM).await);
        assert_eq!(met, refusal(way, "unauthorized", 401, 4401), "{way:?}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn whoever_brings_nothing_is_anonymous_where_nobody_is_required() {
    let server = start(|builder| builder).await;
    for way in Way::ALL.into_iter().filter(|way| *way != Way::Hello) {
        let Met::LetIn(told) = meet(&server, way, None, ROOM).await else { panic!("{way:?}") };
        assert_eq!(told.get("user"), None, "{way:?}");
    }
}

#[tokio::test]
async fn whoever_brings_a_good_token_is_let_in_as_its_user() {
    let own = |builder: tricast::Builder| builder.rule("own:{user}", Rule::stream().subscribe(Access::Owner));
    let (open, closed) = (start(own).await, start_required(own).await);
    for way in Way::ALL {
        // Where nobody is required, a WebSocket is welcomed before its `hello`: see `renewal`.
        let servers = if way == Way::Hello { vec![&closed] } else { vec![&open, &closed] };
        for server in servers {
            let met = meet(server, way, Some("ann"), "own:ann").await;
            let Met::LetIn(told) = met else { panic!("{way:?}: {met:?}") };
            if told["type"] == "welcome" {
                assert_eq!(told["user"], "ann", "{way:?}");
            }
            let met = meet(server, way, Some("bob"), "own:ann").await;
            if !way.is_ws() && way != Way::Send {
                assert!(matches!(met, Met::Status { status: 403, .. }), "{way:?}: {met:?}");
            }
        }
    }
}

/// Another scheme is the application's own affair; a token that is none is not.
#[tokio::test]
async fn only_bearer_tokens_are_taken_from_the_header() {
    let server = start(|builder| builder).await;
    let target = Query::of(ROOM).wait(0.0).target("/rt/poll");
    let ask = |header: &str| {
        let header = header.to_owned();
        let request = crate::client::http::Request::get(&*target).header("Authorization", header);
        async { request.send(server.address).await.status }
    };
    assert_eq!(ask("Basic Zm9yZ2Vk").await, 200);
    assert_eq!(ask("Bearer").await, 200);
    assert_eq!(ask("bEaReR forged").await, 401);
}

/// A token that was meant for this connection goes before the cookie, which a browser sends along with every request.
#[tokio::test]
async fn an_offered_token_goes_before_the_header_and_the_header_before_the_cookie() {
    let server = start_required(|builder| builder).await;
    let protocols = ("Sec-WebSocket-Protocol", "tricast.v1, bearer.ann");
    let (header, cookie) = (("Authorization", "Bearer bob"), ("Cookie", "session=cid"));
    for (headers, user) in
        [(vec![cookie, header, protocols], "ann"), (vec![cookie, header], "bob"), (vec![cookie], "cid")]
    {
        let mut ws = Ws::connect(server.address, "/rt/ws", &headers).await;
        let welcome = ws.next_event().await;
        assert_eq!((type_of(&welcome), &welcome["user"]), ("welcome", &json!(user)));
    }
}

/// The token is not in the answer, and never in what a URL says.
#[tokio::test]
async fn an_offered_token_is_never_selected_and_a_token_in_a_url_is_none() {
    let server = start(|builder| builder).await;
    let headers = [("Sec-WebSocket-Protocol", "tricast.v1, bearer.ann")];
    let ws = Ws::connect(server.address, "/rt/ws", &headers).await;
    assert_eq!(ws.response.headers()["sec-websocket-protocol"], "tricast.v1");
    assert!(!format!("{:?}", ws.response).contains("ann"));
    for name in ["token", "access_token", "bearer", "authorization", "session"] {
        let target = format!("/rt/ws?channel={ROOM}&{name}=ann");
        let mut ws = Ws::plain(server.address, &target).await;
        assert_eq!(ws.next_event().await.get("user"), None, "{name}");
    }
}

/// An authenticator that misbehaves costs nobody else anything.
#[tokio::test]
async fn an_authenticator_that_fails_for_one_answers_the_next() {
    let server = start_required(|builder| builder).await;
    for token in ["panics", "panics at once", "hangs"] {
        for way in [Way::Header(Transport::Ws), Way::Hello, Way::Header(Transport::PollGet), Way::Send] {
            meet(&server, way, Some(token), ROOM).await;
            assert!(matches!(meet(&server, way, Some("ann"), ROOM).await, Met::LetIn(_)), "{way:?} after {token}");
        }
    }
}
