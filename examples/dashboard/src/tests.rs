use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode};
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::time::timeout;
use tower::ServiceExt as _;
use tricast::{Read, ReadMessage, Start};

use super::*;

const LISTEN: &str = "127.0.0.1:3001";

struct Dashboard {
    app: App,
    routes: Router,
}

/// A visitor's browser: where it is, and its cookie.
struct Browser<'a> {
    dashboard: &'a Dashboard,
    cookie: String,
    visitor: u64,
}

impl Dashboard {
    async fn new() -> Self {
        let app = App::new(channels(LISTEN.parse().unwrap()).await.unwrap());
        board::open(&app).await.unwrap();
        Self { routes: routes(&app), app }
    }

    async fn ask(&self, request: Request<Body>) -> Response<Body> {
        self.routes.clone().oneshot(request).await.unwrap()
    }

    async fn get(&self, path: &str) -> Response<Body> {
        self.ask(request(Method::GET, path, None, Body::empty())).await
    }

    /// Opens the page for the first time.
    async fn visit(&self) -> Browser<'_> {
        let page = self.get("/").await;
        let cookie = header(&page, "set-cookie").split(';').next().unwrap().to_owned();
        let page = text(page).await;
        let visitor = quoted(&page, "data-visitor=", '"')[0].parse().unwrap();
        Browser { dashboard: self, cookie, visitor }
    }

    /// The next message on a channel of one visitor, and those after it.
    async fn follow(&self, channel: String) -> impl AsyncFnMut() -> ReadMessage {
        let mut reader = self.app.tricast.channel(&channel).unwrap().read(Start::Latest).await.unwrap();
        async move || loop {
            match timeout(WATCHDOG, reader.next()).await.expect("a message").unwrap() {
                Read::Message(message) => return message,
                other => assert!(!matches!(other, Read::Gap(_)), "{other:?}"),
            }
        }
    }
}

impl Browser<'_> {
    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Response<Body> {
        let body = body.map_or_else(Body::empty, |body| body.to_string().into());
        self.dashboard.ask(request(method, path, Some(&self.cookie), body)).await
    }

    async fn post(&self, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let response = self.send(Method::POST, path, body).await;
        let status = response.status();
        (status, serde_json::from_str(&text(response).await).unwrap_or_default())
    }
}

const WATCHDOG: Duration = Duration::from_secs(30);

fn request(method: Method, path: &str, cookie: Option<&str>, body: Body) -> Request<Body> {
    let request = Request::builder().method(method).uri(path).header("host", LISTEN);
    let request = request.header("content-type", "application/json");
    let request = if let Some(cookie) = cookie { request.header("cookie", cookie) } else { request };
    request.body(body).unwrap()
}

fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers()[name].to_str().unwrap()
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().into()).unwrap()
}

/// What an event stream says first: everything up to the given text.
async fn read_until(response: Response<Body>, wanted: &str) -> String {
    let mut body = response.into_body();
    let mut read = String::new();
    while !read.contains(wanted) {
        let frame = timeout(WATCHDOG, body.frame()).await.expect("more of the stream").unwrap().unwrap();
        read += str::from_utf8(frame.data_ref().unwrap()).unwrap();
    }
    read
}

/// What stands between the quotes of `before"…"`, wherever it occurs.
fn quoted<'a>(text: &'a str, before: &str, quote: char) -> Vec<&'a str> {
    text.split(&format!("{before}{quote}")).skip(1).filter_map(|rest| rest.split(quote).next()).collect()
}

#[tokio::test]
async fn the_page_forbids_scripts_that_are_not_its_own() {
    let page = Dashboard::new().await.get("/").await;
    assert_eq!((page.status(), header(&page, "cache-control")), (StatusCode::OK, "no-store"));
    assert!(header(&page, "content-security-policy").starts_with("default-src 'self'; connect-src 'self' ws: wss:;"));
    let page = text(page).await;
    for blocked in ["<style", " style=", " onclick="] {
        assert!(!page.contains(blocked), "the policy blocks {blocked}");
    }
}

#[tokio::test]
async fn whatever_the_page_and_its_scripts_ask_for_is_served() {
    let dashboard = Dashboard::new().await;
    let page = text(dashboard.get("/").await).await;
    let named = [quoted(&page, " src=", '"'), quoted(&page, " href=", '"')].concat();
    let mut wanted: Vec<String> = named.into_iter().filter(|path| !path.starts_with('#')).map(str::to_owned).collect();
    let mut served = Vec::new();
    while let Some(path) = wanted.pop() {
        let response = dashboard.get(&path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(header(&response, "content-type").contains("javascript"), path.ends_with(".js"), "{path}");
        if path.ends_with(".js") && !path.starts_with("/rt/") {
            let script = text(response).await;
            wanted.extend(quoted(&script, "from ", '\'').into_iter().map(|module| module.replace("./", "/")));
        }
        served.push(path);
    }
    for path in ["/page.css", "/page.js", "/table.js", "/rt/client.js"] {
        assert!(served.iter().any(|one| one == path), "{path} is not among {served:?}");
    }
}

#[tokio::test]
async fn who_opens_the_page_is_signed_in_and_stays_who_it_is() {
    let dashboard = Dashboard::new().await;
    let ann = dashboard.visit().await;
    let again = ann.send(Method::GET, "/", None).await;
    assert!(!again.headers().contains_key("set-cookie"));
    let named = format!("data-visitor=\"{}\"", ann.visitor);
    assert!(text(again).await.contains(&named));
    assert_ne!(dashboard.visit().await.visitor, ann.visitor);

    let page = dashboard.get("/").await;
    let cookie = header(&page, "set-cookie");
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax") && cookie.len() > "dashboard=".len() + 32, "{cookie}");
}

#[tokio::test]
async fn without_a_session_only_what_is_everybodys_is_to_be_had() {
    let dashboard = Dashboard::new().await;
    let ann = dashboard.visit().await;
    let nobody = |method: Method, path: &str| request(method, path, Some("dashboard=0123"), "{\"text\":\"hi\"}".into());
    for (method, path) in [
        (Method::GET, "/api/notifications"),
        (Method::POST, "/notify"),
        (Method::POST, "/orders"),
        (Method::POST, "/jobs"),
    ] {
        let status = dashboard.ask(nobody(method, path)).await.status();
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
    }
    let poll = |channel: &str| format!("/rt/poll?channel={channel}&wait=0");
    assert_eq!(dashboard.get(&poll("products")).await.status(), StatusCode::OK);
    let theirs = poll(&format!("jobs:{}", ann.visitor));
    assert_eq!(dashboard.get(&theirs).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(ann.send(Method::GET, &theirs, None).await.status(), StatusCode::OK);
    let bob = dashboard.visit().await;
    assert_eq!(bob.send(Method::GET, &theirs, None).await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_first_look_has_every_product_and_every_number() {
    let dashboard = Dashboard::new().await;
    for (channel, keys) in [("products", 500), ("metrics:shop", 4)] {
        let batch = text(dashboard.get(&format!("/rt/poll?channel={channel}&wait=0")).await).await;
        let batch: Value = serde_json::from_str(&batch).unwrap();
        let events = batch["events"].as_array().unwrap();
        assert_eq!(events.iter().filter(|event| event["type"] == "message").count(), keys, "{channel}");
        assert_eq!(events.last().unwrap()["type"], "live", "{channel}");
    }
}

#[tokio::test]
async fn nobody_outside_publishes() {
    let dashboard = Dashboard::new().await;
    let ann = dashboard.visit().await;
    for channel in ["products", "metrics:shop", &format!("jobs:{}", ann.visitor), &format!("user:{}", ann.visitor)] {
        let publish = json!({"type": "publish", "channel": channel, "key": "p001", "data": 1});
        assert_eq!(ann.post("/rt/send", Some(publish)).await.0, StatusCode::FORBIDDEN, "{channel}");
    }
}

#[tokio::test]
async fn a_notification_reaches_its_visitor_with_an_id_to_come_back_with() {
    let dashboard = Dashboard::new().await;
    let (ann, bob) = (dashboard.visit().await, dashboard.visit().await);
    assert_eq!(ann.post("/notify", Some(json!({"text": "to myself"}))).await.0, StatusCode::ACCEPTED);
    let to_ann = json!({"text": "from Bob", "visitor": ann.visitor});
    assert_eq!(bob.post("/notify", Some(to_ann)).await.0, StatusCode::ACCEPTED);

    let stream = ann.send(Method::GET, "/api/notifications", None).await;
    assert_eq!(header(&stream, "content-type"), "text/event-stream");
    let heard = read_until(stream, "from Bob").await;
    assert!(heard.contains("to myself"), "{heard}");

    let first = heard.lines().find_map(|line| line.strip_prefix("id: ")?.strip_suffix("-1")).unwrap();
    let mut request = request(Method::GET, "/api/notifications", Some(&ann.cookie), Body::empty());
    request.headers_mut().insert("last-event-id", format!("{first}-1").parse().unwrap());
    let resumed = read_until(dashboard.ask(request).await, "from Bob").await;
    assert!(!resumed.contains("to myself"), "{resumed}");
}

#[tokio::test]
async fn a_notification_without_text_or_visitor_is_refused_by_name() {
    let dashboard = Dashboard::new().await;
    let ann = dashboard.visit().await;
    let stranger = ann.visitor + 1;
    for (body, status, why) in [
        (
            json!({"text": " "}),
            StatusCode::BAD_REQUEST,
            "a notification's text has 1 to 500 characters, not 1".to_owned(),
        ),
        (json!({"text": "x".repeat(501)}), StatusCode::BAD_REQUEST, "1 to 500 characters, not 501".to_owned()),
        (json!({"text": "hi", "visitor": stranger}), StatusCode::NOT_FOUND, format!("there is no visitor {stranger}")),
        (json!({"text": "hi", "visitor": 0}), StatusCode::NOT_FOUND, "there is no visitor 0".to_owned()),
    ] {
        let (refused, told) = ann.post("/notify", Some(body)).await;
        assert_eq!(refused, status);
        assert!(told["error"].as_str().unwrap().contains(&why), "{told}");
    }
    assert_eq!(ann.post("/notify", Some(json!({"text": "x".repeat(500)}))).await.0, StatusCode::ACCEPTED);
    assert_eq!(ann.post("/notify", Some(json!({"text": "x".repeat(9_000)}))).await.0, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test(start_paused = true)]
async fn an_order_is_received_packed_and_shipped() {
    let dashboard = Dashboard::new().await;
    let ann = dashboard.visit().await;
    let mut next = dashboard.follow(format!("user:{}", ann.visitor)).await;
    let (status, ordered) = ann.post("/orders", None).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    for stage in ["received", "packed", "shipped"] {
        let told = next().await;
        assert_eq!(told.message().event.as_deref(), Some("order"));
        assert_eq!(told.json::<Value>().unwrap()["title"], format!("Order {} {stage}", ordered["order"]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_answers_at_once_and_tells_its_progress_to_the_end() {
    let dashboard = Dashboard::new().await;
    let ann = dashboard.visit().await;
    let mut next = dashboard.follow(format!("jobs:{}", ann.visitor)).await;
    let (status, started) = ann.post("/jobs", None).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(started["channel"], format!("jobs:{}", ann.visitor));
    let mut last = None;
    loop {
        let told = next().await;
        assert_eq!(told.message().key.as_deref(), Some(started["job"].to_string().as_str()));
        let progress: Value = told.json().unwrap();
        let (done, of) = (progress["done"].as_u64().unwrap(), progress["of"].as_u64().unwrap());
        assert!(last.is_none_or(|last| done > last), "{progress}");
        assert_eq!(last.is_none(), done == 0, "{progress}");
        last = Some(done);
        if done == of {
            assert!(progress["text"].as_str().unwrap().contains("worth €"), "{progress}");
            break;
        }
    }
}

#[tokio::test]
async fn more_work_than_is_good_is_put_off() {
    let dashboard = Dashboard::new().await;
    let ann = dashboard.visit().await;
    let taken: Vec<_> = std::iter::from_fn(|| dashboard.app.take_work().ok()).collect();
    assert!(!taken.is_empty());
    for path in ["/jobs", "/orders"] {
        assert_eq!(ann.post(path, None).await.0, StatusCode::TOO_MANY_REQUESTS, "{path}");
    }
    drop(taken);
    assert_eq!(ann.post("/orders", None).await.0, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn on_loopback_a_page_that_rebinds_its_name_reads_nothing() {
    let dashboard = Dashboard::new().await;
    let mut request = request(Method::GET, "/rt/poll?channel=products&wait=0", None, Body::empty());
    request.headers_mut().insert("host", "evil.example".parse().unwrap());
    assert_eq!(dashboard.ask(request).await.status(), StatusCode::FORBIDDEN);
}
