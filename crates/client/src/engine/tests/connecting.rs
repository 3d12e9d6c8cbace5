//! Which transport, when, and with which token.

use std::time::Duration;

use super::*;
use crate::error::Refusal;
use tricast_core::protocol::Code;

#[test]
fn each_transport_has_its_turn_and_after_the_last_the_best_again() {
    let mut stage = Stage::new(&Transport::ALL);
    let _inbox = stage.subscribe("a", None, 8);
    let ws = stage.opening();
    stage.cut(ws);
    let (sse, _) = stage.request(Endpoint::Sse);
    stage.cut(sse);
    let (poll, _) = stage.request(Endpoint::Poll);
    stage.cut(poll);
    assert!(matches!(stage.state(), State::Waiting { .. }) && stage.is_quiet());
    stage.pass(Duration::from_millis(500));
    stage.opening();
    assert_eq!(stage.states.iter().map(State::as_str).collect::<Vec<_>>(), ["connecting", "waiting", "connecting"]);
}

#[test]
fn an_open_socket_proves_nothing_before_its_welcome() {
    let mut stage = Stage::new(&Transport::ALL);
    let _inbox = stage.subscribe("a", None, 8);
    let ws = stage.opening();
    stage.report(ws, Report::Opened);
    assert_eq!(stage.state().as_str(), "connecting");
    stage.pass(Duration::from_millis(4_999));
    stage.report(ws, Report::Heard);
    assert_eq!(stage.outputs.len(), 1, "the subscription");
    stage.pass(Duration::from_millis(1));
    stage.frame();
    stage.request(Endpoint::Sse);
}

#[test]
fn a_proven_connection_that_is_lost_is_not_blamed() {
    let mut stage = Stage::new(&Transport::ALL);
    let _inbox = stage.subscribe("a", None, 8);
    let ws = stage.socket();
    assert!(matches!(stage.state(), State::Connected { transport: Transport::Ws }));
    stage.cut(ws);
    assert!(matches!(stage.state(), State::Waiting { .. }));
    stage.outputs.clear();
    stage.pass(Duration::from_millis(500));
    stage.opening();
}

#[test]
fn what_a_transport_cannot_carry_is_its_own_fault_even_when_proven() {
    let mut stage = Stage::new(&Transport::ALL);
    let _inbox = stage.subscribe("a", None, 8);
    let ws = stage.socket();
    stage.outputs.clear();
    stage.report(ws, Report::Ended(Failure::Unfit { what: "too long".into() }));
    stage.request(Endpoint::Sse);
}

#[test]
fn two_heartbeats_of_silence_end_a_connection_and_pings_go_out() {
    let mut stage = Stage::new(&[Transport::Ws]);
    let _inbox = stage.subscribe("a", None, 8);
    let ws = stage.socket();
    stage.frame();
    stage.pass(Duration::from_secs(25));
    assert_eq!(stage.frame(), r#"{"type":"ping"}"#);
    stage.events(ws, &[r#"{"type":"pong"}"#.to_owned(), r#"{"type":"ping","ref":7}"#.to_owned()]);
    assert_eq!(stage.frame(), r#"{"type":"pong","ref":7}"#);
    stage.pass(Duration::from_secs(49));
    assert_eq!(stage.state().as_str(), "connected");
    stage.pass(Duration::from_secs(1));
    assert_eq!(stage.state().as_str(), "waiting");
}

#[test]
fn what_the_server_asks_for_is_the_least_wait() {
    let mut stage = Stage::new(&Transport::ALL);
    let _inbox = stage.subscribe("a", None, 8);
    let ws = stage.socket();
    stage.events(ws, &[bye("draining", true, r#","after":5000"#)]);
    assert!(matches!(stage.state(), State::Waiting { retry_in, .. } if *retry_in == Duration::from_secs(5)));
    stage.outputs.clear();
    stage.pass(Duration::from_millis(4_999));
    assert!(stage.is_quiet());
    stage.pass(Duration::from_millis(1));
    stage.opening();
}

#[test]
fn a_bye_that_wants_no_reconnect_is_the_end() {
    let mut stage = Stage::new(&Transport::ALL);
    let inbox = stage.subscribe("a", None, 8);
    let ws = stage.socket();
    stage.events(ws, &[bye("forbidden", false, "")]);
    let State::Closed { failure: Some(Failure::Refused(refusal)) } = stage.state() else { panic!() };
    assert_eq!(refusal.code, Code::Forbidden);
    assert_eq!(stage.taken("a", &inbox), ["unsubscribed None"]);
    assert_eq!(stage.engine.deadline(), None);
}

#[test]
fn an_overload_is_waited_for_on_the_same_transport() {
    let mut stage = Stage::new(&[Transport::Sse, Transport::Poll]);
    let _inbox = stage.subscribe("a", None, 8);
    let (sse, _) = stage.request(Endpoint::Sse);
    let refusal = Refusal { retry_after: Some(Duration::from_secs(9)), ..Refusal::new(Code::Unavailable, "busy") };
    stage.report(sse, Report::Ended(Failure::Refused(refusal)));
    assert!(matches!(stage.state(), State::Waiting { retry_in, .. } if *retry_in == Duration::from_secs(9)));
    stage.pass(Duration::from_secs(9));
    stage.request(Endpoint::Sse);
}

#[test]
fn a_token_is_fetched_first_and_brought_by_hello_or_header() {
    let mut stage = Stage::with(&[Transport::Ws, Transport::Sse], true);
    let _inbox = stage.subscribe("a", None, 8);
    assert!(matches!(stage.take(), Output::FetchToken));
    stage.give("one");
    let ws = stage.opening();
    stage.report(ws, Report::Opened);
    assert_eq!(stage.frame(), r#"{"type":"hello","token":"one","client":"client-1","ref":"auth"}"#);
    stage.cut(ws);
    stage.frame();
    let Output::Post { token, .. } = stage.take() else { panic!() };
    assert_eq!(token, Some(Secret::new("one")));
}

#[test]
fn a_token_is_renewed_ahead_of_its_end_on_the_living_connection() {
    let mut stage = Stage::with(&[Transport::Ws], true);
    let _inbox = stage.subscribe("a", None, 8);
    stage.take();
    stage.give("one");
    let ws = stage.opening();
    stage.report(ws, Report::Opened);
    stage.events(ws, &[welcome(r#","expires_in":20,"ref":"auth""#)]);
    stage.outputs.clear();
    stage.pass(Duration::from_millis(14_999));
    assert!(stage.is_quiet());
    stage.pass(Duration::from_millis(1));
    assert!(matches!(stage.take(), Output::FetchToken));
    stage.give("two");
    assert_eq!(stage.frame(), r#"{"type":"auth","token":"two","ref":"auth"}"#);
}

#[test]
fn a_refused_token_is_replaced_once() {
    let mut stage = Stage::with(&[Transport::Ws], true);
    let _inbox = stage.subscribe("a", None, 8);
    for token in ["old", "also old"] {
        assert!(matches!(stage.take(), Output::FetchToken));
        stage.give(token);
        let ws = stage.opening();
        stage.report(ws, Report::Opened);
        stage.events(ws, &[bye("token_expired", true, "")]);
        stage.outputs.clear();
        stage.pass(Duration::from_millis(500));
    }
    assert!(matches!(stage.state(), State::Closed { failure: Some(Failure::Refused(_)) }));
}

#[test]
fn a_token_source_that_fails_is_waited_for() {
    let mut stage = Stage::with(&[Transport::Ws], true);
    let _inbox = stage.subscribe("a", None, 8);
    stage.take();
    let down = Box::<dyn std::error::Error + Send + Sync>::from("down");
    stage.engine.given(Err(Arc::from(down)), stage.now);
    stage.flush();
    assert!(matches!(stage.state(), State::Waiting { failure: Failure::Token(_), .. }));
    stage.pass(Duration::from_millis(4_999));
    assert!(stage.is_quiet(), "the source rests");
    stage.pass(Duration::from_millis(1));
    assert!(matches!(stage.take(), Output::FetchToken));
}

#[test]
fn a_poll_that_nobody_holds_is_paced() {
    let mut stage = Stage::new(&[Transport::Poll]);
    let _inbox = stage.subscribe("a", None, 8);
    let (poll, body) = stage.request(Endpoint::Poll);
    assert!(body.contains(r#""wait":0"#), "the first is not held: {body}");
    stage.answer(poll, &[subscribed("a", 0, "")]);
    let (poll, body) = stage.request(Endpoint::Poll);
    assert!(body.contains(r#""wait":25"#) && body.contains(&format!(r#""from":"{EPOCH}-0""#)), "{body}");
    stage.answer(poll, &[]);
    assert!(stage.is_quiet());
    stage.pass(Duration::from_secs(1));
    stage.request(Endpoint::Poll);
}

#[test]
fn without_channels_there_is_no_connection() {
    let mut stage = Stage::new(&Transport::ALL);
    let inbox = stage.subscribe("a", None, 8);
    let ws = stage.socket();
    stage.outputs.clear();
    stage.engine.leave(&name("a"), &inbox, stage.now);
    stage.flush();
    assert_eq!(stage.state().as_str(), "idle");
    assert!(stage.outputs.iter().any(|output| matches!(output, Output::Cancel { io } if *io == ws)));
    assert_eq!(stage.engine.deadline(), None);
}

#[test]
fn a_transport_that_opens_and_dies_young_again_and_again_is_left_for_the_next() {
    let mut stage = Stage::new(&[Transport::Ws, Transport::Sse]);
    let _inbox = stage.subscribe("a", None, 8);
    for life in 1..=3 {
        let ws = stage.socket();
        stage.pass(Duration::from_secs(4));
        stage.outputs.clear();
        stage.cut(ws);
        if life < 3 {
            assert_eq!(stage.state().as_str(), "waiting", "life {life}");
            stage.pass(Duration::from_millis(500));
        }
    }
    stage.request(Endpoint::Sse);
}

#[test]
fn a_stream_that_ends_with_its_last_channel_is_not_the_end_of_a_channel_that_rests() {
    let mut stage = Stage::new(&[Transport::Sse]);
    let (slow, quick) = (stage.subscribe("a", None, 1), stage.subscribe("b", None, 8));
    stage.outputs.drain(..1);
    let (both, _) = stage.request(Endpoint::Sse);
    stage.events(both, &[welcome(""), subscribed("a", 0, "")]);
    let (second, body) = stage.request(Endpoint::Sse);
    assert!(body.contains(r#"[{"name":"b"}]"#), "a is full: {body}");
    let ended = r#"{"type":"unsubscribed","channel":"b","code":"forbidden"}"#;
    stage.events(second, &[welcome(""), ended.to_owned(), bye("forbidden", false, "")]);
    assert_eq!(stage.taken("b", &quick), ["unsubscribed Some(Forbidden)"]);
    assert_eq!(stage.taken("a", &slow), ["subscribed"]);
    let (_, body) = stage.request(Endpoint::Sse);
    assert!(body.contains(r#"[{"name":"a","from""#), "{body}");
}

#[test]
fn a_stream_is_asked_for_anew_with_the_next_token() {
    let mut stage = Stage::with(&[Transport::Sse], true);
    let _inbox = stage.subscribe("a", None, 8);
    stage.take();
    stage.give("one");
    let (sse, _) = stage.request(Endpoint::Sse);
    stage.events(sse, &[welcome(r#","expires_in":20"#), subscribed("a", 0, "")]);
    stage.pass(Duration::from_secs(15));
    assert!(matches!(stage.take(), Output::FetchToken));
    stage.give("two");
    let Output::Post { token, body, .. } = stage.take() else { panic!() };
    assert_eq!(token, Some(Secret::new("two")));
    assert!(body.contains(&format!("{EPOCH}-0")), "{body}");
    assert_eq!(stage.state().as_str(), "connected");
}

#[test]
fn a_better_transport_takes_over_once_it_is_proven_and_nothing_is_told_twice() {
    let mut stage = Stage::new(&[Transport::Ws, Transport::Poll]);
    let inbox = stage.subscribe("a", None, 8);
    let ws = stage.opening();
    stage.cut(ws);
    let (poll, _) = stage.request(Endpoint::Poll);
    stage.answer(poll, &[subscribed("a", 0, ""), message("a", 1)]);
    let (held, _) = stage.request(Endpoint::Poll);
    stage.pass(Duration::from_secs(10));
    let trial = stage.opening();
    stage.report(trial, Report::Opened);
    assert!(stage.is_quiet(), "a socket on trial reads nothing: {:?}", stage.outputs);
    assert_eq!(stage.state().transport(), Some(Transport::Poll));
    stage.events(trial, &[welcome("")]);
    assert_eq!(stage.state().transport(), Some(Transport::Ws));
    assert!(stage.outputs.iter().any(|output| matches!(output, Output::Cancel { io } if *io == held)));
    assert!(stage.frame().contains(&format!(r#""from":"{EPOCH}-1""#)));
    stage.answer(held, &[message("a", 2)]);
    stage.events(trial, &[subscribed("a", 1, "s1"), message("a", 2)]);
    assert_eq!(stage.taken("a", &inbox), ["subscribed", "1", "subscribed", "2"]);
    stage.pass(Duration::from_secs(20));
    assert!(stage.is_quiet(), "on the best there is nothing to climb to: {:?}", stage.outputs);
}

#[test]
fn a_trial_that_fails_harms_nobody_and_comes_again_later() {
    let mut stage = Stage::new(&[Transport::Ws, Transport::Sse]);
    let inbox = stage.subscribe("a", None, 8);
    let ws = stage.opening();
    stage.cut(ws);
    let (sse, _) = stage.request(Endpoint::Sse);
    stage.events(sse, &[welcome(""), subscribed("a", 0, "")]);
    stage.pass(Duration::from_secs(10));
    let trial = stage.opening();
    stage.report(trial, Report::Opened);
    // It is silent: the connect timeout is its end.
    stage.pass(Duration::from_secs(5));
    stage.events(sse, &[message("a", 1)]);
    assert_eq!(stage.taken("a", &inbox), ["subscribed", "1"]);
    assert_eq!(stage.state().transport(), Some(Transport::Sse));
    assert!(stage.outputs.iter().any(|output| matches!(output, Output::Cancel { io } if *io == trial)));
    stage.pass(Duration::from_secs(20));
    stage.opening();
}

#[test]
fn a_stream_on_trial_brings_what_a_poll_has_not() {
    let mut stage = Stage::new(&[Transport::Sse, Transport::Poll]);
    let inbox = stage.subscribe("a", None, 8);
    let (sse, _) = stage.request(Endpoint::Sse);
    stage.cut(sse);
    let (poll, _) = stage.request(Endpoint::Poll);
    stage.answer(poll, &[subscribed("a", 0, "")]);
    let (held, _) = stage.request(Endpoint::Poll);
    stage.pass(Duration::from_secs(10));
    let (trial, body) = stage.request(Endpoint::Sse);
    assert!(body.contains(&format!(r#""from":"{EPOCH}-0""#)), "{body}");
    stage.answer(held, &[message("a", 1)]);
    stage.events(trial, &[welcome(""), subscribed("a", 0, ""), message("a", 1), message("a", 2)]);
    assert_eq!(stage.state().transport(), Some(Transport::Sse));
    assert_eq!(stage.taken("a", &inbox), ["subscribed", "1", "subscribed", "2"]);
}

#[test]
fn proof_resets_what_failures_have_lengthened() {
    let mut stage = Stage::new(&[Transport::Ws]);
    let _inbox = stage.subscribe("a", None, 8);
    for _ in 0..3 {
        let ws = stage.opening();
        stage.cut(ws);
        stage.pass(Duration::from_secs(4));
    }
    let ws = stage.socket();
    stage.pass(Duration::from_secs(10));
    stage.outputs.clear();
    stage.cut(ws);
    let State::Waiting { retry_in, .. } = stage.state() else { panic!() };
    assert!(*retry_in <= Duration::from_millis(500));
    stage.pass(Duration::from_millis(500));
    stage.opening();
    stage.pass(Duration::from_secs(10));
    assert_eq!(stage.state().as_str(), "waiting", "and so is the patience: 10 s after one failure, not 40 s");
}

#[test]
fn whatever_times_a_server_names_nothing_overflows() {
    let mut stage = Stage::with(&[Transport::Ws, Transport::Poll], true);
    let _inbox = stage.subscribe("a", None, 8);
    stage.take();
    stage.give("one");
    let ws = stage.opening();
    stage.report(ws, Report::Opened);
    let huge = welcome(r#","expires_in":9e12,"ref":"auth""#).replace(r#""heartbeat":25"#, r#""heartbeat":9e12"#);
    stage.events(ws, &[huge]);
    let error = r#"{"type":"error","ref":"s1","channel":"a","code":"unavailable","message":"m","retry_after":9e12}"#;
    stage.events(ws, &[error.to_owned(), bye("draining", true, r#","after":9007199254740991"#)]);
    let day = Duration::from_secs(86_400);
    assert!(matches!(stage.state(), State::Waiting { retry_in, .. } if *retry_in == day));
    stage.outputs.clear();
    stage.pass(day);
    let ws = stage.opening();
    stage.cut(ws);
    // A header, or the number of a poll's answer, may say any number.
    let (poll, _) = stage.request(Endpoint::Poll);
    stage.report(poll, Report::Answer(Answer { events: Vec::new(), expires_in: Some(Duration::MAX) }));
    let (poll, _) = stage.request(Endpoint::Poll);
    let refusal = Refusal { retry_after: Some(Duration::MAX), ..Refusal::new(Code::Unavailable, "busy") };
    stage.report(poll, Report::Ended(Failure::Refused(refusal)));
    assert!(matches!(stage.state(), State::Waiting { retry_in, .. } if *retry_in == day));
}
