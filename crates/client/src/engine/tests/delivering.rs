//! What subscriptions are told, and from where channels are asked for.

use std::time::Duration;

use super::*;

#[test]
fn reading_goes_on_after_the_last_message_over_another_transport() {
    let mut stage = Stage::new(&[Transport::Ws, Transport::Sse]);
    let inbox = stage.subscribe("a", Some(Start::Last(2)), 8);
    let ws = stage.socket();
    assert_eq!(stage.frame(), r#"{"type":"subscribe","channel":"a","from":"last:2","ref":"s1"}"#);
    stage.events(ws, &[subscribed("a", 3, "s1"), message("a", 4), message("a", 5)]);
    stage.cut(ws);
    stage.pass(Duration::from_millis(500));
    let ws = stage.opening();
    stage.cut(ws);
    let (sse, body) = stage.request(Endpoint::Sse);
    assert!(body.contains(&format!(r#"{{"name":"a","from":"{EPOCH}-5"}}"#)), "{body}");
    stage.events(sse, &[welcome(""), subscribed("a", 5, ""), message("a", 5), message("a", 6)]);
    assert_eq!(stage.taken("a", &inbox), ["subscribed", "4", "5", "subscribed", "6"]);
}

#[test]
fn a_hole_is_asked_for_again_and_nothing_of_before_counts() {
    let mut stage = Stage::new(&[Transport::Ws]);
    let inbox = stage.subscribe("a", None, 8);
    let ws = stage.socket();
    stage.frame();
    stage.events(ws, &[subscribed("a", 3, "s1"), message("a", 5)]);
    assert_eq!(stage.frame(), r#"{"type":"unsubscribe","channel":"a","ref":"u2"}"#);
    let again = stage.frame();
    assert_eq!(again, format!(r#"{{"type":"subscribe","channel":"a","from":"{EPOCH}-3","ref":"s3"}}"#));
    let ended = r#"{"type":"unsubscribed","channel":"a","ref":"u2"}"#.to_owned();
    stage.events(ws, &[message("a", 4), ended, subscribed("a", 3, "s3"), message("a", 4), message("a", 5)]);
    assert_eq!(stage.taken("a", &inbox), ["subscribed", "subscribed", "4", "5"]);
}

#[test]
fn of_holes_in_a_row_the_second_is_asked_for_after_a_wait() {
    let mut stage = Stage::new(&[Transport::Ws]);
    let _inbox = stage.subscribe("a", None, 8);
    let ws = stage.socket();
    stage.events(ws, &[subscribed("a", 3, "s1"), message("a", 5), subscribed("a", 3, "s3"), message("a", 5)]);
    let unsubscribed = stage
        .outputs
        .iter()
        .rposition(|output| matches!(output, Output::Write { text, .. } if text.contains("unsubscribe")));
    assert_eq!(unsubscribed, Some(stage.outputs.len() - 1), "{:?}", stage.outputs);
    stage.outputs.clear();
    stage.pass(Duration::from_millis(500));
    assert!(stage.frame().contains(r#""type":"subscribe""#));
}

#[test]
fn a_full_inbox_pauses_its_channel_alone_and_resumes_at_half() {
    let mut stage = Stage::new(&[Transport::Ws]);
    let slow = stage.subscribe("a", None, 4);
    let quick = stage.subscribe("b", None, 4);
    let ws = stage.socket();
    stage.outputs.clear();
    stage.events(ws, &[subscribed("a", 0, "s1"), subscribed("b", 0, "s1")]);
    stage.events(ws, &[message("a", 1), message("a", 2), message("a", 3)]);
    assert!(stage.frame().contains(r#"{"type":"unsubscribe","channel":"a""#));
    stage.events(ws, &[message("a", 4), message("b", 1)]);
    assert_eq!(stage.taken("b", &quick), ["subscribed", "1"]);
    assert_eq!(stage.taken("a", &slow), ["subscribed", "1", "2", "3"]);
    let again = stage.frame();
    assert!(again.contains(&format!(r#""channel":"a","from":"{EPOCH}-3""#)), "{again}");
}

#[test]
fn a_poll_whose_rest_does_not_fit_is_asked_again_from_where_it_stopped() {
    let mut stage = Stage::new(&[Transport::Poll]);
    let inbox = stage.subscribe("a", None, 3);
    let (poll, _) = stage.request(Endpoint::Poll);
    stage.answer(poll, &[subscribed("a", 0, ""), message("a", 1), message("a", 2), message("a", 3)]);
    assert!(stage.is_quiet(), "{:?}", stage.outputs);
    assert_eq!(stage.taken("a", &inbox), ["subscribed", "1", "2"]);
    let (_, body) = stage.request(Endpoint::Poll);
    assert!(body.contains(&format!(r#""from":"{EPOCH}-2""#)), "{body}");
}

#[test]
fn a_replaced_connection_says_nothing_more() {
    let mut stage = Stage::new(&[Transport::Sse]);
    let inbox = stage.subscribe("a", None, 8);
    let (first, _) = stage.request(Endpoint::Sse);
    stage.events(first, &[welcome(""), subscribed("a", 0, ""), message("a", 1)]);
    let _other = stage.subscribe("b", None, 8);
    let (second, body) = stage.request(Endpoint::Sse);
    assert!(body.contains(&format!(r#""from":"{EPOCH}-1""#)) && body.contains(r#"{"name":"b"}"#), "{body}");
    stage.events(first, &[message("a", 2)]);
    stage.cut(first);
    stage.events(second, &[welcome(""), subscribed("a", 1, ""), message("a", 2)]);
    assert_eq!(stage.taken("a", &inbox), ["subscribed", "1", "subscribed", "2"]);
    assert_eq!(stage.state().as_str(), "connected");
}

#[test]
fn a_channel_that_fails_for_now_is_told_so_and_asked_for_again() {
    let mut stage = Stage::new(&[Transport::Ws]);
    let inbox = stage.subscribe("a", None, 8);
    let ws = stage.socket();
    stage.frame();
    let error = r#"{"type":"error","ref":"s1","channel":"a","code":"unavailable","message":"m","retry_after":2}"#;
    stage.events(ws, &[error.to_owned()]);
    assert_eq!(stage.taken("a", &inbox), ["failed unavailable"]);
    stage.pass(Duration::from_millis(1_999));
    assert!(stage.is_quiet());
    stage.pass(Duration::from_millis(1));
    assert!(stage.frame().contains(r#""type":"subscribe","channel":"a""#));
}

#[test]
fn of_too_many_channels_the_newest_are_surplus() {
    let mut stage = Stage::new(&[Transport::Sse]);
    let (first, second) = (stage.subscribe("b", None, 8), stage.subscribe("a", None, 8));
    stage.outputs.drain(..1);
    let (sse, _) = stage.request(Endpoint::Sse);
    let refusal = crate::error::Refusal::new(tricast_core::protocol::Code::TooManyChannels, "more than 1");
    stage.report(sse, Report::Ended(Failure::Refused(refusal)));
    assert_eq!(stage.taken("a", &second), ["unsubscribed Some(TooManyChannels)"]);
    assert!(stage.taken("b", &first).is_empty());
    let (_, body) = stage.request(Endpoint::Sse);
    assert!(body.contains(r#"[{"name":"b"}]"#), "{body}");
}

#[test]
fn what_the_server_unsubscribed_is_not_asked_for_again() {
    let mut stage = Stage::new(&[Transport::Ws]);
    let inbox = stage.subscribe("a", None, 8);
    let ws = stage.socket();
    let ended = r#"{"type":"unsubscribed","channel":"a","code":"forbidden"}"#.to_owned();
    stage.events(ws, &[subscribed("a", 0, "s1"), ended]);
    assert_eq!(stage.taken("a", &inbox), ["subscribed", "unsubscribed Some(Forbidden)"]);
    assert_eq!(stage.state().as_str(), "idle");
}

#[test]
fn an_answer_to_an_older_subscription_is_none_to_the_newest() {
    let mut stage = Stage::new(&[Transport::Ws]);
    let inbox = stage.subscribe("a", None, 8);
    let ws = stage.socket();
    stage.engine.leave(&name("a"), &inbox, stage.now);
    let again = stage.subscribe("a", Some(Start::Earliest), 8);
    stage.events(ws, &[subscribed("a", 7, "s1"), message("a", 8), subscribed("a", 0, "s3"), message("a", 1)]);
    assert_eq!(stage.taken("a", &again), ["subscribed", "1"]);
}
