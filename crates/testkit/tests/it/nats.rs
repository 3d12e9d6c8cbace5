//! A real NATS server.

use std::time::{Duration, Instant};

use tricast_testkit::nats::{Cluster, Nats};

const STREAM: &str = r#"{"name":"LOG","subjects":["log.>"],"storage":"file"}"#;

#[test]
fn what_is_in_a_stream_survives_a_kill_until_the_data_are_gone() {
    let mut nats = Nats::start();
    nats.request("$JS.API.STREAM.CREATE.LOG", STREAM);
    assert!(nats.request("log.a", "hello").contains(r#""seq":1"#));
    let url = nats.url();
    nats.kill();
    assert!(nats.try_request("$JS.API.INFO", "").is_err());

    nats.restart();
    assert_eq!(nats.url(), url);
    assert!(nats.request("log.a", "again").contains(r#""seq":2"#));
    nats.restart_empty();
    assert!(nats.request("$JS.API.STREAM.INFO.LOG", "").contains("stream not found"));
}

#[test]
fn a_paused_server_answers_when_it_is_resumed() {
    let nats = Nats::start();
    let pause = Duration::from_millis(100);
    let started = Instant::now();
    nats.pause();
    std::thread::scope(|scope| {
        let answer = scope.spawn(|| nats.request("$JS.API.INFO", ""));
        std::thread::sleep(pause); // an answer would come much sooner
        nats.resume();
        assert!(answer.join().unwrap().contains("streams"));
    });
    assert!(started.elapsed() >= pause);
}

#[test]
fn who_may_come_in_is_in_the_url() {
    let ada = Nats::options().user("ada", "sesame").start();
    assert_eq!(ada.url(), format!("nats://ada:sesame@{}", ada.address()));
    assert!(ada.request("$JS.API.INFO", "").contains("streams"));

    let bearer = Nats::options().token("sesame").start();
    assert_eq!(bearer.url(), format!("nats://sesame@{}", bearer.address()));
    assert!(bearer.request("$JS.API.INFO", "").contains("streams"));
}

#[test]
fn its_configuration_takes_more_lines() {
    let nats = Nats::options().configuration("max_payload: 4096").start();
    nats.request("$JS.API.STREAM.CREATE.LOG", STREAM);
    assert!(nats.request("log.a", "short").contains(r#""seq":1"#));
    assert!(nats.try_request("log.a", &"long".repeat(2_048)).is_err());
}

#[test]
fn of_three_servers_one_may_be_gone() {
    let mut cluster = Cluster::start();
    let created = cluster.request("$JS.API.STREAM.CREATE.LOG", &STREAM.replace('}', r#","num_replicas":3}"#));
    assert!(!created.contains("\"error\""), "{created}");
    let leader = cluster.leader("LOG");
    assert!(cluster.request("log.a", "before").contains(r#""seq":1"#));
    cluster.kill(leader);
    assert_ne!(cluster.leader("LOG"), leader);
    assert!(cluster.request("log.a", "without it").contains(r#""seq":2"#));
    cluster.restart(leader);
    assert!(cluster.server(leader).request("log.a", "with it").contains(r#""seq":3"#));
    assert_eq!(cluster.url().matches(',').count(), 2);
}
