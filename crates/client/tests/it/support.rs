//! A server process, clients of it, and what to expect of them.

use std::env;
use std::future::Future;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use axum::Router;
use futures_util::StreamExt as _;
use tokio::time::timeout;
use tricast::{Access, Rule, Tricast};
use tricast_client::{Client, Draft, Event, Message, Start, State, Subscription, Transport};
use tricast_testkit::WATCHDOG;
use tricast_testkit::process::Server;

const LISTEN: &str = "TRICAST_TEST_LISTEN";

/// A server in a process of its own, which can be killed: this very program, told to be one.
pub(crate) fn server() -> Server {
    server_at("127.0.0.1:0".parse().unwrap())
}

/// The same, at an address where one was before.
pub(crate) fn server_at(address: SocketAddr) -> Server {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "support::be_a_server", "--ignored", "--nocapture"]);
    Server::start(command.env(LISTEN, address.to_string()))
}

#[test]
#[ignore = "a server for the other tests, which start it"]
fn be_a_server() {
    let Ok(address) = env::var(LISTEN) else { return };
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(async {
        let listener = tricast::bind(address).await.unwrap();
        // The test runner has begun a line.
        println!("\nlistening on http://{}", listener.local_addr().unwrap());
        std::io::stdout().flush().unwrap();
        let state = Rule::state().publish(Access::Anyone).presence();
        let short = Rule::stream().keep(5).publish(Access::Anyone);
        let stream = Rule::stream().publish(Access::Anyone).presence();
        let closed = Rule::stream().subscribe(Access::Server);
        let tricast = Tricast::builder()
            .rule("state:{any}", state)
            .rule("short:{any}", short)
            .rule("closed:{any}", closed)
            .rule("open:{any}", stream)
            .build()
            .await
            .unwrap();
        let app = Router::new().nest("/rt", tricast.router());
        tricast::serve(listener, app).drains(&tricast).await.unwrap();
    });
}

/// A client that does not wait long between its tries.
pub(crate) fn client(address: SocketAddr, transports: &[Transport]) -> Client {
    Client::builder(&format!("http://{address}/rt"))
        .transports(transports.iter().copied())
        .backoff(Duration::from_millis(20), Duration::from_millis(200))
        .build()
        .unwrap()
}

pub(crate) fn on(transport: Transport, address: SocketAddr) -> Client {
    client(address, &[transport])
}

/// Whatever comes, comes before long.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(WATCHDOG, what).await.expect("it came to nothing")
}

pub(crate) async fn subscribe(client: &Client, channel: &str, start: impl Into<Option<Start>>) -> Subscription {
    soon(client.channel(channel).unwrap().subscribe(start)).await.unwrap()
}

pub(crate) async fn publish(client: &Client, channel: &str, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        soon(client.publish(channel, Draft::json(&number).unwrap())).await.unwrap();
    }
}

/// The next event.
pub(crate) async fn next(subscription: &mut Subscription) -> Event {
    soon(subscription.next()).await.expect("the subscription ended")
}

/// The next message; what else happens is passed over.
pub(crate) async fn message(subscription: &mut Subscription) -> Message {
    loop {
        match next(subscription).await {
            Event::Message(message) => return message,
            Event::Subscribed(_) | Event::Gap(_) | Event::Live { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

/// The numbers that the next messages carry.
pub(crate) async fn numbers(subscription: &mut Subscription, count: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        numbers.push(message(subscription).await.json().unwrap());
    }
    numbers
}

/// Waits until the client is in such a state.
pub(crate) async fn until(client: &Client, is: impl Fn(&State) -> bool) -> State {
    let mut states = client.states();
    loop {
        let state = soon(states.next()).await.expect("the states ended");
        if is(&state) {
            return state;
        }
    }
}
