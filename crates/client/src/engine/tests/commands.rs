//! Publishes and questions, over whatever lives.

use std::time::Duration;

use super::*;
use crate::error::Refusal;
use tricast_core::protocol::Code;

fn command(id: &str, reference: u64) -> String {
    format!(r#"{{"type":"publish","channel":"a","id":"{id}","ref":{reference},"data":1}}"#)
}

#[test]
fn publishes_wait_for_the_connection_and_go_one_batch_at_a_time() {
    let mut stage = Stage::new(&[Transport::Ws]);
    let _inbox = stage.subscribe("b", None, 8);
    let mut first = stage.publish("a", "x");
    let ws = stage.opening();
    stage.report(ws, Report::Opened);
    stage.frame();
    assert!(stage.is_quiet(), "nothing is sent before the proof");
    stage.events(ws, &[welcome("")]);
    assert_eq!(stage.frame(), format!("[{}]", command("x", 1)));
    let (mut second, mut third) = (stage.publish("a", "y"), stage.publish("a", "z"));
    assert!(stage.is_quiet(), "one batch is under way");
    stage.events(ws, &[published("a", 1, 5)]);
    assert_eq!(first.try_recv().unwrap().unwrap().position.seq.get(), 5);
    assert_eq!(stage.frame(), format!("[{},{}]", command("y", 2), command("z", 3)));
    stage.events(ws, &[published("a", 2, 6), published("a", 3, 7)]);
    assert!(second.try_recv().unwrap().is_ok() && third.try_recv().unwrap().is_ok());
}

#[test]
fn what_was_not_acknowledged_is_repeated_over_the_next_transport() {
    let mut stage = Stage::new(&[Transport::Ws, Transport::Sse]);
    let _inbox = stage.subscribe("b", None, 8);
    let ws = stage.socket();
    let mut publish = stage.publish("a", "x");
    stage.cut(ws);
    stage.outputs.clear();
    stage.pass(Duration::from_millis(500));
    let ws = stage.opening();
    stage.cut(ws);
    let (sse, _) = stage.request(Endpoint::Sse);
    assert!(stage.is_quiet());
    stage.events(sse, &[welcome("")]);
    let (send, body) = stage.request(Endpoint::Send);
    assert_eq!(body, format!("[{}]", command("x", 1)));
    stage.answer(send, &[published("a", 1, 5)]);
    assert!(publish.try_recv().unwrap().is_ok());
}

#[test]
fn a_batch_without_an_answer_is_sent_again_and_the_late_answer_settles_nothing_twice() {
    let mut stage = Stage::new(&[Transport::Ws]);
    let mut publish = stage.publish("a", "x");
    let (first, _) = stage.request(Endpoint::Send);
    stage.pass(Duration::from_millis(15_000));
    assert!(stage.outputs.iter().any(|output| matches!(output, Output::Cancel { io } if *io == first)));
    stage.pass(Duration::from_millis(500));
    let (second, body) = stage.request(Endpoint::Send);
    assert_eq!(body, format!("[{}]", command("x", 1)));
    stage.answer(first, &[published("a", 1, 4)]);
    assert!(publish.try_recv().is_err());
    stage.answer(second, &[published("a", 1, 5)]);
    assert_eq!(publish.try_recv().unwrap().unwrap().position.seq.get(), 5);
}

#[test]
fn an_error_that_may_be_retried_keeps_the_order_and_one_that_may_not_is_told() {
    let mut stage = Stage::new(&[Transport::Ws]);
    let (mut first, mut second) = {
        let first = stage.publish("a", "x");
        let (send, _) = stage.request(Endpoint::Send);
        let second = stage.publish("a", "y");
        let error = |code: &str| format!(r#"{{"type":"error","ref":1,"code":"{code}","message":"m"}}"#);
        stage.answer(send, &[error("unavailable")]);
        stage.pass(Duration::from_millis(500));
        let (send, body) = stage.request(Endpoint::Send);
        assert_eq!(body, format!("[{},{}]", command("x", 1), command("y", 2)));
        stage.answer(send, &[error("conflict"), published("a", 2, 9)]);
        (first, second)
    };
    let refused = first.try_recv().unwrap().unwrap_err();
    assert!(matches!(refused, PublishError::Refused { refusal, .. } if refusal.code == Code::Conflict));
    assert!(second.try_recv().unwrap().is_ok());
}

#[test]
fn longer_than_ids_are_remembered_nothing_is_repeated() {
    let mut stage = Stage::new(&[Transport::Ws]);
    let mut publish = stage.publish("a", "x");
    stage.pass(Duration::from_secs(400));
    assert!(matches!(publish.try_recv().unwrap(), Err(PublishError::OutcomeUnknown { .. })));
}

#[test]
fn a_refused_request_of_a_publish_is_told_and_a_refused_token_replaced() {
    let mut stage = Stage::with(&[Transport::Ws], true);
    let mut publish = stage.publish("a", "x");
    assert!(matches!(stage.take(), Output::FetchToken));
    stage.give("old");
    let (send, _) = stage.request(Endpoint::Send);
    stage.report(send, Report::Ended(Failure::Refused(Refusal::new(Code::TokenExpired, "old"))));
    assert!(publish.try_recv().is_err());
    stage.pass(Duration::from_millis(500));
    assert!(matches!(stage.take(), Output::FetchToken));
    stage.give("new");
    let (send, _) = stage.request(Endpoint::Send);
    stage.report(send, Report::Ended(Failure::Refused(Refusal::new(Code::Forbidden, "no"))));
    assert!(matches!(publish.try_recv().unwrap(), Err(PublishError::Refused { .. })));
}

#[test]
fn a_call_is_made_once_and_a_question_repeated() {
    let mut stage = Stage::new(&[Transport::Ws]);
    let _inbox = stage.subscribe("b", None, 8);
    let ws = stage.socket();
    let (mut call, mut read) = (stage.ask("call", false), stage.ask("read", true));
    stage.outputs.clear();
    stage.cut(ws);
    assert!(matches!(call.try_recv().unwrap(), Err(AskError::Unanswered { .. })));
    assert!(read.try_recv().is_err());
    stage.pass(Duration::from_millis(500));
    let ws = stage.socket();
    stage.frame();
    assert_eq!(stage.frame(), r#"[{"read":2}]"#);
    stage.events(ws, &[r#"{"type":"presence","channel":"a","ref":2,"members":[]}"#.to_owned()]);
    assert!(matches!(read.try_recv().unwrap(), Ok(WireEvent::Presence(_))));
}

#[test]
fn a_question_is_given_up_in_time() {
    let mut stage = Stage::new(&[Transport::Ws]);
    let mut read = stage.ask("read", true);
    stage.pass(Duration::from_millis(14_999));
    assert!(read.try_recv().is_err());
    stage.pass(Duration::from_millis(1));
    assert!(matches!(read.try_recv().unwrap(), Err(AskError::Unanswered { .. })));
}

#[test]
fn what_is_under_way_by_post_is_answered_though_a_socket_takes_over() {
    let mut stage = Stage::new(&[Transport::Ws, Transport::Sse]);
    let _inbox = stage.subscribe("b", None, 8);
    let ws = stage.opening();
    stage.cut(ws);
    let (sse, _) = stage.request(Endpoint::Sse);
    stage.events(sse, &[welcome(""), subscribed("b", 0, "")]);
    let (mut publish, mut call) = (stage.publish("a", "x"), stage.ask("call", false));
    let ((send, _), (asked, _)) = (stage.request(Endpoint::Send), stage.request(Endpoint::Send));
    stage.pass(Duration::from_secs(10));
    let trial = stage.opening();
    stage.report(trial, Report::Opened);
    stage.events(trial, &[welcome("")]);
    assert_eq!(stage.state().transport(), Some(Transport::Ws));
    stage.answer(send, &[published("a", 1, 5)]);
    stage.answer(asked, &[r#"{"type":"result","ref":2,"data":7}"#.to_owned()]);
    assert!(publish.try_recv().unwrap().is_ok() && call.try_recv().unwrap().is_ok());
}

#[test]
fn an_array_has_at_most_64_commands_and_64_kib() {
    let mut stage = Stage::new(&[Transport::Ws]);
    let _first = stage.publish("a", "first");
    let (send, _) = stage.request(Endpoint::Send);
    let _small: Vec<_> = (0..70).map(|number| stage.publish("a", &format!("s{number}"))).collect();
    stage.answer(send, &[published("a", 1, 1)]);
    let (send, body) = stage.request(Endpoint::Send);
    assert_eq!(body.matches("publish").count(), 64);
    let answers: Vec<_> = (2..66).map(|reference| published("a", reference, reference)).collect();
    let _large: Vec<_> = (0..2).map(|number| stage.publish("a", &format!("l{number}{}", "x".repeat(40_000)))).collect();
    stage.answer(send, &answers);
    let (_, body) = stage.request(Endpoint::Send);
    assert_eq!((body.matches("publish").count(), body.len() < 65_536), (7, true), "six small ones and a large one");
}

#[test]
fn a_call_that_went_by_post_is_answered_though_connections_come_and_go() {
    let mut stage = Stage::new(&[Transport::Sse]);
    let (mut call, mut publish) = (stage.ask("call", false), stage.publish("a", "x"));
    let ((asked, _), (send, _)) = (stage.request(Endpoint::Send), stage.request(Endpoint::Send));
    let _inbox = stage.subscribe("b", None, 8);
    let (sse, _) = stage.request(Endpoint::Sse);
    stage.events(sse, &[welcome("")]);
    let (again, body) = stage.request(Endpoint::Send);
    assert_eq!(body, format!("[{}]", command("x", 2)), "a publish may be repeated at once");
    stage.cut(sse);
    stage.answer(asked, &[r#"{"type":"result","ref":1,"data":7}"#.to_owned()]);
    assert!(call.try_recv().unwrap().is_ok());
    stage.answer(send, &[published("a", 2, 5)]);
    assert!(publish.try_recv().is_err(), "that request was given up");
    stage.answer(again, &[published("a", 2, 5)]);
    assert!(publish.try_recv().unwrap().is_ok());
}
