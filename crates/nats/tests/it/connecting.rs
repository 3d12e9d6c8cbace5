//! Getting in, or not.

use tricast_core::backplane::{Backplane as _, Health};
use tricast_nats::{ConnectError, Nats};
use tricast_testkit::fixtures::{saying, stream};
use tricast_testkit::nats;

use crate::support::{append, contents};

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_its_password_or_a_token_open_the_door_and_nothing_else_does() {
    let locked = [nats::Nats::options().user("ada", "s3cret").start(), nats::Nats::options().token("t0ken").start()];
    for server in &locked {
        let nats = Nats::connect(server.url()).await.unwrap();
        append(&nats, &stream("in"), saying("x")).await;
        assert_eq!(nats.health().await, Health::Up);
        for wrong in [format!("nats://{}", server.address()), format!("nats://ada:wrong@{}", server.address())] {
            let refused = Nats::connect(wrong).await;
            assert!(matches!(refused, Err(ConnectError::Connect(_))), "{refused:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_connected_to_says_why() {
    for url in ["", "http://127.0.0.1:1", "nats://"] {
        assert!(matches!(Nats::connect(url).await, Err(ConnectError::Url | ConnectError::Connect(_))), "{url}");
    }
    let prefix = Nats::builder("nats://127.0.0.1:1").prefix("a.b").connect().await;
    assert!(matches!(prefix, Err(ConnectError::Prefix)));
    for replicas in [0, 6] {
        let refused = Nats::connect(format!("nats://127.0.0.1:1?replicas={replicas}")).await;
        assert!(matches!(refused, Err(ConnectError::Replicas(refused)) if refused == replicas));
    }
    assert!(matches!(Nats::connect("nats://127.0.0.1:1").await, Err(ConnectError::Connect(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn those_with_another_prefix_share_nothing() {
    let server = nats::Nats::start();
    let one = Nats::builder(server.url()).prefix("one").connect().await.unwrap();
    let same = Nats::connect(format!("{}?prefix=one", server.url())).await.unwrap();
    let other = Nats::builder(format!("{}?prefix=one", server.url())).prefix("other").connect().await.unwrap();
    append(&one, &stream("a"), saying("x")).await;
    for sharing in [one, same] {
        assert_eq!(contents(&sharing, &stream("a")).await.1.len(), 1);
    }
    assert!(contents(&other, &stream("a")).await.1.is_empty());
}
