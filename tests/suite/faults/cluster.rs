//! A Redis Cluster of three, each with a replica that may take its place.

use tricast::Tricast;
use tricast_testkit::redis::Cluster;

use super::crowd::Crowd;
use crate::server::{Server, rules};

async fn nodes(cluster: &Cluster) -> Server {
    let hosts = cluster.urls().iter().map(|url| url.trim_start_matches("redis://").to_owned()).collect::<Vec<_>>();
    let url = format!("redis+cluster://{}", hosts.join(","));
    let mut nodes = Vec::new();
    for _ in 0..2 {
        nodes.push(rules(Tricast::builder()).backplane(tricast_redis::Redis::connect(url.as_str()).await.unwrap()));
    }
    Server::of_nodes(nodes).await
}

/// The replica may lack what the master had acknowledged. Whether it does or not: nobody misses or mixes anything in
/// silence.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_fails_over_loses_nothing_in_silence() {
    let mut cluster = Cluster::start(true);
    let server = nodes(&cluster).await;
    let crowd = Crowd::gather(server.address, "chat:a").await;
    crowd.goes_on().await;
    let shard = cluster.shard_of("{chat:a}");
    let cluster = tokio::task::spawn_blocking(move || {
        cluster.fail_over(shard);
        cluster
    });
    let _cluster = cluster.await.unwrap();
    crowd.goes_on().await;
    crowd.settle().await.lost_nothing_in_silence();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_on_other_masters_go_on_while_one_is_down() {
    let mut cluster = Cluster::start(false);
    for shard in 0..3 {
        // Unless it is told, a cluster stops as a whole.
        cluster.master(shard).command(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
    }
    let server = nodes(&cluster).await;
    let down = cluster.shard_of("{chat:a}");
    let other =
        (0..).map(|nth| format!("chat:{nth}")).find(|channel| cluster.shard_of(&format!("{{{channel}}}")) != down);
    let other: &'static str = other.unwrap().leak();
    let crowd = Crowd::gather(server.address, other).await;
    crowd.goes_on().await;
    cluster.kill(down);
    for _ in 0..3 {
        crowd.goes_on().await;
    }
    cluster.restart(down);
    crowd.goes_on().await;
    crowd.settle().await.lost_nothing();
}
