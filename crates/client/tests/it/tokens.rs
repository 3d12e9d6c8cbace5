//! Who a client is, by tokens that a function gives.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use tricast::auth::{AuthError, Authenticated, Authenticator, Credentials};
use tricast::{Access, Rule, Tricast, User};
use tricast_client::{Client, Code, Event, Failure, Start, State, Transport};

use crate::support::{next, numbers, publish, soon, subscribe, until};

/// Takes `ann-N-MS`: until `MS` milliseconds after the epoch.
struct Numbered;

impl Authenticator for Numbered {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Option<Authenticated>, AuthError> {
        let Some(token) = credentials.token else { return Ok(None) };
        let until = token.expose().strip_prefix("ann-").and_then(|rest| rest.split_once('-')?.1.parse().ok());
        let until: u64 = until.ok_or_else(|| AuthError::invalid("it is no such token"))?;
        Ok(Some(Authenticated::user(User::new("ann".parse().unwrap())).until_ms(until)))
    }
}

async fn guarded() -> String {
    let rule = Rule::stream().subscribe(Access::SignedIn).publish(Access::SignedIn);
    let tricast = Tricast::builder().rule("{any}", rule).authenticate(Numbered).build().await.unwrap();
    let listener = tricast::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/rt", listener.local_addr().unwrap());
    let app = Router::new().nest("/rt", tricast.router());
    tokio::spawn(async move { tricast::serve(listener, app).drains(&tricast).await });
    url
}

fn token(number: u64, life: Duration) -> String {
    let end = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + life;
    format!("ann-{number}-{}", end.as_millis())
}

/// A client whose every token lasts so long, and how many it asked for.
fn client(url: &str, transport: Transport, life: Duration) -> (Client, Arc<AtomicU64>) {
    let given = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&given);
    let source = move || {
        let number = counted.fetch_add(1, Ordering::SeqCst);
        async move { Ok::<_, Infallible>(token(number, life)) }
    };
    let client = Client::builder(url).transports([transport]).token(source).build().unwrap();
    (client, given)
}

#[tokio::test]
async fn a_token_opens_each_transport_and_every_way_to_publish() {
    let url = guarded().await;
    for transport in Transport::ALL {
        let (client, given) = client(&url, transport, Duration::from_secs(3_600));
        let channel = transport.as_str();
        publish(&client, channel, 0..2).await;
        let mut room = subscribe(&client, channel, Start::Earliest).await;
        publish(&client, channel, 2..4).await;
        assert_eq!(numbers(&mut room, 4).await, [0, 1, 2, 3], "{transport}");
        assert_eq!(given.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn a_token_is_renewed_ahead_of_its_end_and_reading_goes_on() {
    let url = guarded().await;
    for transport in Transport::ALL {
        let (client, given) = client(&url, transport, Duration::from_secs(2));
        let mut room = subscribe(&client, "a", None).await;
        while given.load(Ordering::SeqCst) < 2 {
            // The token's own time has to pass.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        publish(&client, "a", 0..2).await;
        assert_eq!(numbers(&mut room, 2).await, [0, 1], "{transport}");
        assert_eq!(client.state().transport(), Some(transport));
    }
}

#[tokio::test]
async fn tokens_that_are_refused_twice_end_the_client_with_the_reason() {
    let url = guarded().await;
    for transport in Transport::ALL {
        let source = || async { Ok::<_, Infallible>("nonsense".to_owned()) };
        let client = Client::builder(&url).transports([transport]).token(source).build().unwrap();
        let subscribing = tokio::spawn(client.channel("a").unwrap().subscribe(None));
        let state = until(&client, State::is_closed).await;
        let State::Closed { failure: Some(Failure::Refused(refusal)) } = state else { panic!("{state:?}") };
        assert_eq!(refusal.code, Code::Unauthorized, "{transport}");
        assert!(soon(subscribing).await.unwrap().is_err());
    }
}

#[tokio::test]
async fn a_user_without_a_token_is_refused_and_one_whose_source_recovers_is_not() {
    let url = guarded().await;
    let anonymous = Client::builder(&url).build().unwrap();
    let subscribing = tokio::spawn(anonymous.channel("a").unwrap().subscribe(None));
    until(&anonymous, State::is_closed).await;
    assert!(soon(subscribing).await.unwrap().is_err());

    let tries = AtomicU64::new(0);
    let source = move || {
        let number = tries.fetch_add(1, Ordering::SeqCst);
        let life = Duration::from_secs(3_600);
        async move { if number == 0 { Ok::<_, Infallible>("nonsense".to_owned()) } else { Ok(token(number, life)) } }
    };
    let client = Client::builder(&url).token(source).build().unwrap();
    let mut room = subscribe(&client, "a", None).await;
    assert!(matches!(next(&mut room).await, Event::Subscribed(_)));
}
