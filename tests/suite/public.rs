//! What caches may keep. Protocol, section 6, "Long-poll".

use serde_json::json;
use tricast::auth::{AuthError, Authenticated, Authenticator, Credentials};
use tricast::{BuildError, Builder, Rule, Tricast, User};

use crate::client::http::{Request, Response};
use crate::server::{Backplane, Server};

/// Whoever brings a token is the user whom it names.
pub(crate) struct Names {
    pub(crate) required: bool,
}

impl Authenticator for Names {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Option<Authenticated>, AuthError> {
        let Some(token) = credentials.token else { return Ok(None) };
        let id = token.expose().parse().map_err(|_| AuthError::invalid("no name"))?;
        Ok(Some(Authenticated::user(User::new(id)).until_ms(u64::MAX)))
    }

    fn required(&self) -> bool {
        self.required
    }
}

fn build(builder: Builder) -> Builder {
    builder
        .rule("public:{any}", Rule::stream().public())
        .rule("closed:{any}", Rule::stream())
        .rule("board:{any}", Rule::state().public())
        .authenticate(Names { required: false })
}

async fn server() -> Server {
    Server::start_with(Backplane::Memory, build, |serve| serve).await
}

fn is_cacheable(response: &Response) -> bool {
    match response.header("cache-control").unwrap() {
        "no-store" => {
            assert_eq!(response.header("access-control-allow-origin"), None);
            false
        }
        "public, max-age=10" => {
            assert_eq!(response.header("access-control-allow-origin"), Some("*"));
            assert_eq!((response.header("set-cookie"), response.header("vary")), (None, None));
            true
        }
        other => panic!("{other}"),
    }
}

async fn get(server: &Server, query: &str) -> Response {
    Request::get(format!("/rt/poll?{query}&wait=0")).send(server.address).await
}

/// The position of a channel before its first message.
async fn beginning(server: &Server, channel: &str) -> String {
    server.tricast.channel(channel).unwrap().position().await.unwrap().to_string()
}

#[tokio::test]
async fn what_every_caller_is_told_alike_may_be_kept_and_is_the_same_to_the_byte() {
    let server = server().await;
    let start = beginning(&server, "public:a").await;
    server.publish_all("public:a", 1..=3).await;
    let query = format!("channel=public:a&cursor={start}");
    let one = get(&server, &query).await;
    assert!(is_cacheable(&one));
    let other = Request::get(format!("/rt/poll?{query}&wait=0"))
        .header("cookie", "session=1")
        .header("origin", "https://elsewhere.example")
        .send(server.address)
        .await;
    assert!(is_cacheable(&other));
    assert_eq!(one.text().await, other.text().await);
}

#[tokio::test]
async fn nothing_else_is_ever_cacheable() {
    let server = server().await;
    let (public, closed) = (beginning(&server, "public:a").await, beginning(&server, "closed:a").await);
    let board = beginning(&server, "board:a").await;
    server.publish_all("public:a", 1..=3).await;
    server.publish_all("closed:a", 1..=1).await;
    let forged = "zzzzzzzzzzzz-1";
    let queries = [
        "channel=public:a&from=earliest".to_owned(),
        "channel=public:a&from=last:1".to_owned(),
        format!("channel=public:a&from={public}"),
        format!("channel=closed:a&cursor={closed}"),
        format!("channel=public:a&channel=closed:a&cursor={public},{closed}"),
        format!("channel=public:a&channel=public:b&cursor={public}"),
        format!("channel=public:a&cursor={forged}"),
        format!("channel=public:a&cursor={public}&client=client-00"),
        // Nothing is new, so nothing is told.
        format!("channel=public:b&cursor={}", beginning(&server, "public:b").await),
        // A state tells when it is complete.
        format!("channel=board:a&cursor={board}&from=earliest"),
        "channel=nowhere".to_owned(),
    ];
    for query in queries {
        assert!(!is_cacheable(&get(&server, &query).await), "{query}");
    }
    let query = format!("/rt/poll?channel=public:a&cursor={public}&wait=0");
    let signed_in = Request::get(query).header("authorization", "Bearer ann").send(server.address).await;
    assert!(!is_cacheable(&signed_in), "it tells how long a token lasts");
    let body = json!({"channels": [{"name": "public:a"}], "cursor": public, "wait": 0});
    let posted = Request::post("/rt/poll", body.to_string()).send(server.address).await;
    assert!(!is_cacheable(&posted));
}

#[tokio::test]
async fn what_not_everybody_may_read_cannot_be_public() {
    let required = Tricast::builder()
        .rule("public:{any}", Rule::stream().public())
        .authenticate(Names { required: true })
        .build()
        .await;
    assert!(matches!(required, Err(BuildError::NotPublic(pattern)) if pattern == "public:{any}"));
    let signed_in = Rule::stream().public().subscribe(tricast::Access::SignedIn);
    let refused = Tricast::builder().rule("public:{any}", signed_in).build().await;
    assert!(matches!(refused, Err(BuildError::Rule { pattern, .. }) if pattern == "public:{any}"));
}
