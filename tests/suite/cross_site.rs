//! Whose pages may use a node. Protocol, 6 "Origin and Host": the server's own, and those of the allow list.

use tricast::Builder;

use crate::client::http::{Request, Response};
use crate::client::upgrade;
use crate::server::{Backplane, Server};

const APP: &str = "https://app.example";
const EVIL: &str = "https://evil.example";

/// What a page may be up to, with the status that answers it.
fn requests() -> [(Request, u16); 7] {
    let subscribe = r#"{"channels":[{"name":"chat:a"}],"wait":0}"#;
    [
        (upgrade("/rt/ws"), 101),
        (Request::post("/rt/send", r#"{"type":"publish","channel":"chat:a","data":1}"#), 200),
        (Request::get("/rt/sse?channel=chat:a"), 200),
        (Request::post("/rt/sse", subscribe), 200),
        (Request::get("/rt/poll?channel=chat:a&wait=0"), 200),
        (Request::post("/rt/poll", subscribe), 200),
        (Request::get("/rt/client.js"), 200),
    ]
}

async fn start() -> Server {
    start_with(|builder| builder.allowed_origins([APP])).await
}

async fn start_with(build: impl FnOnce(Builder) -> Builder) -> Server {
    Server::start_with(Backplane::Memory, build, |serve| serve).await
}

fn grants(response: &Response) -> Option<&str> {
    response.header("access-control-allow-origin")
}

fn varies_by_origin(response: &Response) -> bool {
    response.header("vary").is_some_and(|vary| vary.to_ascii_lowercase().contains("origin"))
}

/// Cross-site WebSocket hijacking, and cross-site posts.
#[tokio::test]
async fn a_foreign_page_neither_opens_a_socket_nor_sends() {
    let server = start().await;
    for foreign in [EVIL, "null", "http://app.example", "https://app.example.evil.example", "https://app.example:8443"]
    {
        for request in [upgrade("/rt/ws"), Request::post("/rt/send", r#"{"type":"ping"}"#)] {
            let response = request.header("Origin", foreign).send(server.address).await;
            assert_eq!((response.status, grants(&response)), (403, None), "{foreign}");
            let error = response.json().await;
            assert_eq!(error["code"], "forbidden");
            assert!(error["message"].as_str().unwrap().contains(foreign), "the culprit is named: {error}");
        }
    }
    assert_eq!(server.connections(), 0);
}

/// A form can post without being asked, but not as JSON.
#[tokio::test]
async fn a_cross_site_form_posts_nothing() {
    let server = start().await;
    for endpoint in ["/rt/send", "/rt/sse", "/rt/poll"] {
        for form in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
            let body = r#"{"type":"publish","channel":"chat:a","data":"forged"}"#;
            let request = Request::new("POST", endpoint).header("Content-Type", form).body(body);
            assert_eq!(request.send(server.address).await.status, 415, "{endpoint} {form}");
        }
    }
}

#[tokio::test]
async fn what_a_foreign_page_gets_it_cannot_read() {
    let server = start().await;
    for (request, status) in requests().into_iter().skip(2) {
        let response = request.header("Origin", EVIL).send(server.address).await;
        assert_eq!((response.status, grants(&response)), (status, None));
        assert_eq!(response.header("access-control-allow-credentials"), None);
        assert!(varies_by_origin(&response));
    }
}

#[tokio::test]
async fn a_listed_page_may_do_all_that_an_own_one_may() {
    let server = start().await;
    for origin in [APP.to_owned(), server.origin()] {
        for (request, status) in requests() {
            let response = request.header("Origin", origin.clone()).send(server.address).await;
            assert_eq!(response.status, status, "{origin}");
            if status != 101 {
                assert_eq!(grants(&response), (origin == APP).then_some(APP));
                assert!(varies_by_origin(&response), "what is cached for one origin is not given to another");
            }
        }
    }
}

/// A page that may read an answer may read a refusal, and when to come back.
#[tokio::test]
async fn a_listed_page_reads_refusals_too() {
    let server = start().await;
    let request = Request::get("/rt/poll?channel=nobody:knows").header("Origin", APP);
    let response = request.send(server.address).await;
    assert_eq!((response.status, grants(&response)), (404, Some(APP)));
    assert_eq!(response.header("access-control-expose-headers"), Some("retry-after"));
}

#[tokio::test]
async fn a_preflight_grants_what_clients_send_to_listed_origins_alone() {
    let server = start().await;
    for endpoint in ["/rt/sse", "/rt/poll", "/rt/send", "/rt/client.js"] {
        let ask = |origin: &str| {
            let request = Request::new("OPTIONS", endpoint).header("Origin", origin);
            let request = request.header("Access-Control-Request-Method", "POST");
            request.header("Access-Control-Request-Headers", "authorization,content-type").send(server.address)
        };
        let granted = ask(APP).await;
        assert_eq!((granted.status, grants(&granted)), (200, Some(APP)), "{endpoint}");
        let header = |name| granted.header(name).unwrap_or_default().to_ascii_lowercase();
        assert_eq!(header("access-control-allow-headers"), "authorization,content-type,last-event-id");
        assert_eq!(header("access-control-allow-methods"), "get,post");
        assert_eq!(header("access-control-allow-credentials"), "true");
        assert!(header("access-control-max-age").parse::<u32>().unwrap() > 0);
        assert!(varies_by_origin(&granted));
        for foreign in [EVIL, "null"] {
            let refused = ask(foreign).await;
            assert_eq!((refused.status, grants(&refused)), (204, None), "{endpoint}");
            assert_eq!(refused.header("access-control-allow-headers"), None);
            assert!(varies_by_origin(&refused));
        }
    }
}

/// Without a list there is nobody to tell apart.
#[tokio::test]
async fn without_an_allow_list_nothing_is_said_of_cors() {
    let server = start_with(|builder| builder).await;
    for (request, _) in requests().into_iter().skip(2) {
        let response = request.header("Origin", APP).send(server.address).await;
        assert_eq!((grants(&response), response.header("vary")), (None, None));
    }
}

/// Issue 2 and 4: a page that rebinds its own name to this machine names itself in `Host`, whatever else it claims.
#[tokio::test]
async fn a_rebound_name_reaches_nothing() {
    let listen = "127.0.0.1:8000".parse().unwrap();
    let build = |builder: Builder| builder.local_only(listen).trusted_proxies(["127.0.0.1"]).allowed_origins([EVIL]);
    let server = start_with(build).await;
    for (request, status) in requests() {
        for rebound in ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example:8000"] {
            let request = request.clone().host(rebound).header("Origin", format!("http://{rebound}"));
            let response = request.header("X-Forwarded-Host", "localhost").send(server.address).await;
            assert_eq!(response.status, 403, "{rebound}");
            assert!(response.text().await.contains(rebound), "the culprit is named");
        }
        for local in ["localhost:1234", "127.0.0.1:8000", "[::1]:99", "app.localhost"] {
            assert_eq!(request.clone().host(local).send(server.address).await.status, status, "{local}");
        }
    }
    let preflight = Request::new("OPTIONS", "/rt/send").host("evil.example").header("Origin", EVIL);
    assert_eq!(preflight.send(server.address).await.status, 403);
}

/// Protocol, 6: the request's own authority is `Host`, or `X-Forwarded-Host` from trusted proxies.
#[tokio::test]
async fn behind_a_trusted_proxy_the_public_name_is_the_own_one() {
    let trusting = start_with(|builder| builder.trusted_proxies(["127.0.0.0/8"])).await;
    let doubting = start_with(|builder| builder.trusted_proxies(["10.0.0.0/8", "::1"])).await;
    let from = |origin: &str, forwarded: &str, server: &Server| {
        let request = Request::post("/rt/send", r#"{"type":"ping"}"#).header("Origin", origin).host("upstream:8000");
        request.header("X-Forwarded-Host", forwarded).send(server.address)
    };
    assert_eq!(from(APP, "app.example", &trusting).await.status, 200);
    assert_eq!(from(EVIL, "app.example", &trusting).await.status, 403);
    assert_eq!(from(APP, "app.example", &doubting).await.status, 403, "nobody believes a stranger");
}
