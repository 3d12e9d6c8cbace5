//! What may go wrong with servers that nodes share, with real ones: whatever is acknowledged is delivered once to every
//! reader that stays, and where something was truly lost every reader is told.

mod cluster;
mod crowd;
mod news;
mod servers;

use std::time::Duration;

use tricast_testkit::net::{Behaviour, Proxy};

use self::crowd::Crowd;
use self::servers::{Kind, Shared};

/// Makes tests of scenarios, `async fn(Kind)`: one for each store of a server of its own.
macro_rules! on_every_store {
    ($($scenario:ident),+ $(,)?) => {
        $(
            mod $scenario {
                use super::servers::Kind;

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn redis() {
                    super::$scenario(Kind::Redis).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn nats() {
                    super::$scenario(Kind::Nats).await;
                }
            }
        )+
    };
}

on_every_store!(
    a_server_that_is_killed_and_comes_back_with_its_data_has_lost_nothing,
    a_server_that_comes_back_without_data_tells_everybody,
    a_server_that_stands_still_for_a_while_has_lost_nothing,
    connections_that_are_cut_lose_nothing,
    connections_that_hang_lose_nothing,
    nodes_that_are_restarted_one_after_the_other_lose_nothing,
);

/// Long enough for everything on the way to have noticed.
const A_WHILE: Duration = Duration::from_secs(2);

async fn a_server_that_is_killed_and_comes_back_with_its_data_has_lost_nothing(kind: Kind) {
    let mut shared = Shared::start(kind).await;
    let crowd = Crowd::gather(shared.address(), "chat:a").await;
    for _ in 0..2 {
        crowd.goes_on().await;
        shared.server.kill();
        assert!(shared.is_unready().await, "/readyz says so");
        shared.server.restart();
        crowd.goes_on().await;
    }
    crowd.settle().await.lost_nothing();
}

async fn a_server_that_comes_back_without_data_tells_everybody(kind: Kind) {
    let mut shared = Shared::start(kind).await;
    let crowd = Crowd::gather(shared.address(), "chat:a").await;
    crowd.goes_on().await;
    shared.server.restart_empty();
    crowd.goes_on().await;
    crowd.settle().await.told_of_the_loss();
}

async fn a_server_that_stands_still_for_a_while_has_lost_nothing(kind: Kind) {
    let shared = Shared::start(kind).await;
    let crowd = Crowd::gather(shared.address(), "chat:a").await;
    crowd.goes_on().await;
    shared.server.pause();
    shared.publishes_fail_in_time().await;
    // Longer than anybody waits for an answer.
    tokio::time::sleep(Duration::from_secs(5)).await;
    shared.server.resume();
    crowd.goes_on().await;
    crowd.settle().await.lost_nothing();
}

async fn connections_that_are_cut_lose_nothing(kind: Kind) {
    let shared = Shared::start(kind).await;
    let crowd = Crowd::gather(shared.address(), "chat:a").await;
    for _ in 0..5 {
        crowd.goes_on().await;
        shared.proxies.iter().for_each(Proxy::cut);
    }
    crowd.goes_on().await;
    crowd.settle().await.lost_nothing();
}

/// One node's connections stall, as behind a firewall that forgot them, and so do the new ones.
async fn connections_that_hang_lose_nothing(kind: Kind) {
    let shared = Shared::start(kind).await;
    let crowd = Crowd::gather(shared.address(), "chat:a").await;
    crowd.goes_on().await;
    shared.proxies[0].behave(Behaviour::Stall);
    // Longer than anybody waits for an answer.
    tokio::time::sleep(A_WHILE * 2).await;
    shared.proxies[0].behave(Behaviour::Pass);
    crowd.goes_on().await;
    crowd.settle().await.lost_nothing();
}

async fn nodes_that_are_restarted_one_after_the_other_lose_nothing(kind: Kind) {
    let mut shared = Shared::start(kind).await;
    let crowd = Crowd::gather(shared.address(), "chat:a").await;
    for nth in [0, 1] {
        crowd.goes_on().await;
        shared.restart_node(nth).await;
    }
    crowd.goes_on().await;
    crowd.settle().await.lost_nothing();
}
