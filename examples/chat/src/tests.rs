use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use tricast_testkit::redis::Redis;

use super::{app, channels};
use axum::Router;

const LISTEN: &str = "127.0.0.1:3000";

async fn chat() -> Router {
    app(&channels(LISTEN.parse().unwrap(), None).await.unwrap())
}

async fn ask(chat: &Router, request: Request<Body>) -> Response<Body> {
    chat.clone().oneshot(request).await.unwrap()
}

async fn get(chat: &Router, path: &str) -> Response<Body> {
    ask(chat, Request::get(path).header("host", LISTEN).body(Body::empty()).unwrap()).await
}

async fn post(chat: &Router, path: &str, body: &Value) -> (StatusCode, Value) {
    let request = Request::post(path).header("host", LISTEN).header("content-type", "application/json");
    let response = ask(chat, request.body(body.to_string().into()).unwrap()).await;
    (response.status(), serde_json::from_str(&text(response).await).unwrap())
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().into()).unwrap()
}

fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers()[name].to_str().unwrap()
}

/// What stands between the quotes of `before"…"`, wherever it occurs.
fn quoted<'a>(text: &'a str, before: &str, quote: char) -> Vec<&'a str> {
    text.split(&format!("{before}{quote}")).skip(1).filter_map(|rest| rest.split(quote).next()).collect()
}

#[tokio::test]
async fn the_page_forbids_scripts_that_are_not_its_own() {
    let page = get(&chat().await, "/").await;
    assert_eq!(page.status(), StatusCode::OK);
    assert_eq!(header(&page, "content-type"), "text/html; charset=utf-8");
    assert!(header(&page, "content-security-policy").starts_with("default-src 'self'; connect-src 'self' ws: wss:;"));
    let page = text(page).await;
    assert!(
        !page.contains("<style") && !page.contains(" style=") && !page.contains(" onclick="),
        "the policy blocks it"
    );
}

#[tokio::test]
async fn whatever_the_page_and_its_scripts_ask_for_is_served() {
    let chat = chat().await;
    let page = text(get(&chat, "/").await).await;
    let mut wanted: Vec<String> =
        [quoted(&page, "src=", '"'), quoted(&page, "href=", '"')].concat().into_iter().map(str::to_owned).collect();
    let mut served = Vec::new();
    while let Some(path) = wanted.pop() {
        let response = get(&chat, &path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(header(&response, "content-type").contains("javascript"), path.ends_with(".js"), "{path}");
        if path.ends_with(".js") && !path.starts_with("/rt/") {
            let script = text(response).await;
            wanted.extend(quoted(&script, "from ", '\'').into_iter().map(|module| module.replace("./", "/")));
        }
        served.push(path);
    }
    for path in ["/page.css", "/page.js", "/log.js", "/rt/client.js"] {
        assert!(served.iter().any(|one| one == path), "{path} is not among {served:?}");
    }
}

#[tokio::test]
async fn what_is_sent_to_a_room_is_its_history() {
    let chat = chat().await;
    let said = json!({"author": "Alice", "text": "hello"});
    let publish = json!({"type": "publish", "channel": "chat:lobby", "id": "one", "data": said});
    let (status, answer) = post(&chat, "/rt/send", &publish).await;
    assert_eq!((status, &answer["type"]), (StatusCode::OK, &json!("published")), "{answer}");

    let messages = history(&chat).await;
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert_eq!((&messages[0]["data"], &messages[0]["id"]), (&said, &json!("one")));
}

async fn history(chat: &Router) -> Vec<Value> {
    let read = json!({"channels": [{"name": "chat:lobby", "from": "last:50"}], "wait": 0});
    let (status, batch) = post(chat, "/rt/poll", &read).await;
    assert_eq!(status, StatusCode::OK, "{batch}");
    let events = batch["events"].as_array().unwrap();
    events.iter().filter(|event| event["type"] == "message").cloned().collect()
}

#[tokio::test]
async fn on_redis_two_servers_are_one_chat() {
    let redis = Redis::start();
    let server = async || app(&channels(LISTEN.parse().unwrap(), Some(redis.url())).await.unwrap());
    let (one, other) = (server().await, server().await);
    let publish = json!({"type": "publish", "channel": "chat:lobby", "id": "one", "data": "hello"});
    let (first, second) = (post(&one, "/rt/send", &publish).await.1, post(&other, "/rt/send", &publish).await.1);
    assert!(first["position"].is_string() && first["position"] == second["position"], "{first} {second}");
    assert_eq!((&first["duplicate"], &second["duplicate"]), (&json!(false), &json!(true)));
    assert_eq!(history(&other).await.len(), 1);

    let nowhere = channels(LISTEN.parse().unwrap(), Some("redis://127.0.0.1:1".to_owned())).await.map(drop);
    assert!(nowhere.is_err(), "it does not begin alone what it should be with others");
}

#[tokio::test]
async fn there_are_no_channels_but_rooms() {
    let publish = json!({"type": "publish", "channel": "news", "data": 1});
    let (status, answer) = post(&chat().await, "/rt/send", &publish).await;
    assert_eq!((status, &answer["code"]), (StatusCode::NOT_FOUND, &json!("unknown_channel")));
}

#[tokio::test]
async fn on_loopback_a_page_that_rebinds_its_name_reads_nothing() {
    let read = || Request::get("/rt/poll?channel=chat:lobby&wait=0").header("host", "evil.example");
    let status = ask(&chat().await, read().body(Body::empty()).unwrap()).await.status();
    assert_eq!(status, StatusCode::FORBIDDEN);

    let open = app(&channels("0.0.0.0:3000".parse().unwrap(), None).await.unwrap());
    assert_eq!(ask(&open, read().body(Body::empty()).unwrap()).await.status(), StatusCode::OK);
}
