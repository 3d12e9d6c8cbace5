//! Real Redis servers, alone and together.

use std::time::{Duration, Instant};

use tricast_testkit::redis::{Cluster, Redis, Reply, Sentinels};

fn text(text: &str) -> Reply {
    Reply::Text(text.to_owned())
}

#[test]
fn a_server_without_options_evicts_nothing_and_forgets_when_it_is_killed() {
    let mut redis = Redis::start();
    assert_eq!(redis.info("maxmemory_policy").as_deref(), Some("noeviction"));
    redis.command(&["SET", "key", "value"]);
    let url = redis.url();
    redis.kill();
    assert!(redis.try_command(&["PING"]).is_err());
    redis.restart();
    assert_eq!((redis.command(&["GET", "key"]), redis.url()), (Reply::Null, url));
}

#[test]
fn what_is_appended_to_a_file_survives_a_kill_until_the_file_is_gone() {
    let mut redis = Redis::options().append_only().eviction("allkeys-lru").start();
    redis.command(&["SET", "key", "value"]);
    redis.restart();
    assert_eq!(redis.command(&["GET", "key"]), text("value"));
    assert_eq!(redis.info("maxmemory_policy").as_deref(), Some("allkeys-lru"));
    redis.restart_empty();
    assert_eq!(redis.command(&["GET", "key"]), Reply::Null);
}

#[test]
fn a_paused_server_answers_when_it_is_resumed() {
    let redis = Redis::start();
    let pause = Duration::from_millis(100);
    let started = Instant::now();
    redis.pause();
    std::thread::scope(|scope| {
        let answer = scope.spawn(|| redis.command(&["PING"]));
        std::thread::sleep(pause); // an answer would come much sooner
        redis.resume();
        assert_eq!(answer.join().unwrap(), text("PONG"));
    });
    assert!(started.elapsed() >= pause);
}

#[test]
fn who_may_come_in_is_in_the_url() {
    let secret = Redis::options().password("sesame").start();
    assert_eq!(secret.url(), format!("redis://:sesame@{}", secret.address()));
    assert_eq!(secret.command(&["PING"]), text("PONG"));

    let ada = Redis::options().user("ada", "sesame").start();
    assert_eq!(ada.url(), format!("redis://ada:sesame@{}", ada.address()));
    assert_eq!(ada.command(&["ACL", "WHOAMI"]), text("ada"));
}

#[test]
fn a_replica_has_what_its_master_has() {
    let master = Redis::options().password("sesame").start();
    master.command(&["SET", "key", "value"]);
    let replica = Redis::options().password("sesame").replica_of(&master).start();
    assert_eq!(replica.command(&["GET", "key"]), text("value"));
    assert_eq!(master.info("connected_slaves").as_deref(), Some("1"));
}

#[test]
fn tls_has_a_port_and_a_certificate_of_its_own() {
    let redis = Redis::options().tls().start();
    assert!(redis.tls_url().starts_with("rediss://localhost:"), "{}", redis.tls_url());
    assert!(std::fs::read_to_string(redis.certificate()).unwrap().contains("BEGIN CERTIFICATE"));
    assert_eq!(redis.command(&["CONFIG", "GET", "tls-auth-clients"]).list()[1], text("no"));
}

#[test]
fn a_server_ends_when_a_test_panics() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let test = std::thread::spawn(move || {
        let redis = Redis::start();
        sender.send(redis.address()).unwrap();
        panic!("as a failed test does");
    });
    let address = receiver.recv().unwrap();
    assert!(test.join().is_err());
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn a_shard_goes_on_with_its_replica_and_a_slot_moves() {
    let mut cluster = Cluster::start(true);
    assert_eq!(cluster.urls().len(), 6);
    let shard = cluster.shard_of("key");
    cluster.master(shard).replicate(&["SET", "key", "value"]);
    let former = cluster.master(shard).address();

    cluster.fail_over(shard);
    assert_ne!(cluster.master(shard).address(), former);
    assert_eq!(cluster.master(shard).command(&["GET", "key"]), text("value"));
    cluster.revive(shard);

    let next = (shard + 1) % 3;
    cluster.move_slot("key", next);
    assert_eq!(cluster.master(next).command(&["GET", "key"]), text("value"));
    let moved = cluster.master(shard).try_command(&["GET", "key"]).unwrap();
    assert!(moved.text().starts_with("MOVED"), "{moved:?}");
}

#[test]
fn a_cluster_without_replicas_waits_for_its_node() {
    let mut cluster = Cluster::start(false);
    assert_eq!(cluster.urls().len(), 3);
    cluster.kill(0);
    assert!(cluster.master(0).try_command(&["PING"]).is_err());
    cluster.restart(0);
    assert_eq!(cluster.master(0).command(&["PING"]), text("PONG"));
}

#[test]
fn a_sentinel_puts_the_replica_in_the_masters_place() {
    fail_over(Sentinels::start(1));
}

#[test]
fn three_sentinels_agree_and_put_the_replica_in_the_masters_place() {
    let redis = Sentinels::start(3);
    assert_eq!(redis.urls().len(), 3);
    fail_over(redis);
}

fn fail_over(mut redis: Sentinels) {
    redis.master().replicate(&["SET", "key", "value"]);
    let former = redis.master().address();
    redis.kill_master();
    redis.wait_for_failover();
    assert_ne!(redis.master().address(), former);
    assert_eq!(redis.master().command(&["GET", "key"]), Reply::Text("value".to_owned()));
    redis.revive();
    assert_eq!(redis.master().info("connected_slaves").as_deref(), Some("1"));
}
