//! `history`. Protocol, 4 and 3: pages of what is retained, both ways, told where it ends, whether there is more, and
//! whether something before it is gone.

use std::time::Duration;

use serde_json::{Value, json};
use tricast::{Builder, Draft, Rule};

use crate::client::http::Request;
use crate::client::{Query, Ws};
use crate::server::{Backplane, Server};

async fn server() -> Server {
    let rules = |builder: Builder| {
        builder.rule("short:{x}", Rule::stream().keep(3)).rule("state:{x}", Rule::state()).rule("a", Rule::stream())
    };
    Server::start_with(Backplane::Memory, rules, |serve| serve).await
}

/// The same answer on both ways in.
async fn ask(server: &Server, command: Value) -> Value {
    let posted = Request::post("/rt/send", command.to_string()).send(server.address).await.json().await;
    let mut ws = Ws::open(server.address, &Query::default()).await;
    ws.next_event().await;
    assert_eq!(ws.ask(command).await, posted);
    posted
}

fn seqs(answer: &Value) -> Vec<u64> {
    assert_eq!(answer["type"], "history", "{answer}");
    answer["messages"].as_array().unwrap().iter().map(|message| message["seq"].as_u64().unwrap()).collect()
}

async fn filled(server: &Server, channel: &str, messages: u64) -> String {
    for n in 1..=messages {
        server.publish(channel, n).await;
    }
    server.epoch(channel).await
}

#[tokio::test]
async fn without_a_position_it_is_the_newest_and_pages_backwards_to_the_first() {
    let server = server().await;
    let epoch = filled(&server, "a", 5).await;
    let newest = ask(&server, json!({"type": "history", "channel": "a", "limit": 2, "ref": 1})).await;
    assert_eq!(seqs(&newest), [4, 5]);
    assert_eq!((&newest["more"], &newest["ref"], newest.get("gap")), (&json!(true), &json!(1), None));
    assert_eq!(newest["position"], json!(format!("{epoch}-5")));
    assert_eq!(newest["messages"][0]["data"], json!(4), "a message is whole");
    let before = format!("{epoch}-4");
    let older = ask(&server, json!({"type": "history", "channel": "a", "before": before, "limit": 10})).await;
    assert_eq!((seqs(&older), &older["more"]), (vec![1, 2, 3], &json!(false)));
    let first = format!("{epoch}-1");
    let none = ask(&server, json!({"type": "history", "channel": "a", "before": first})).await;
    assert_eq!((seqs(&none), &none["more"]), (vec![], &json!(false)));
}

#[tokio::test]
async fn after_a_position_it_pages_forwards_and_tells_what_is_gone() {
    let server = server().await;
    let epoch = filled(&server, "short:a", 5).await;
    let after = |seq: u64, limit: u64| json!({"type": "history", "channel": "short:a", "after": format!("{epoch}-{seq}"), "limit": limit});
    let whole = ask(&server, after(2, 2)).await;
    assert_eq!((seqs(&whole), &whole["more"], whole.get("gap")), (vec![3, 4], &json!(true), None));
    assert_eq!(whole["position"], json!(format!("{epoch}-4")));
    let rest = ask(&server, after(4, 2)).await;
    assert_eq!((seqs(&rest), &rest["more"]), (vec![5], &json!(false)));
    let lost = ask(&server, after(1, 2)).await;
    assert_eq!((seqs(&lost), &lost["gap"]), (vec![3, 4], &json!(true)));
    let end = ask(&server, after(5, 2)).await;
    assert_eq!((seqs(&end), &end["position"]), (vec![], &json!(format!("{epoch}-5"))));
}

#[tokio::test]
async fn a_position_that_the_log_never_gave_is_a_conflict() {
    let server = server().await;
    let epoch = filled(&server, "a", 1).await;
    let ask = async |channel: &str, side: &str, position: &str| {
        ask(&server, json!({"type": "history", "channel": channel, side: position})).await
    };
    let keyed = server.tricast.publish("state:a", Draft::json("x").unwrap().key("k")).await.unwrap().position.epoch;
    for side in ["before", "after"] {
        let beyond = [("a", format!("{epoch}-2")), ("a", format!("{epoch}-0-1")), ("state:a", format!("{keyed}-0-2"))];
        for (channel, position) in beyond.into_iter().chain([("a", "zzzzzzzzzzzz-1".to_owned())]) {
            let refused = ask(channel, side, &position).await;
            let (is, code) = (&refused["type"], &refused["code"]);
            assert_eq!((is, code), (&json!("error"), &json!("conflict")), "{side} {position}");
            assert_eq!(refused["channel"], channel);
        }
        let at_the_head = [("a", format!("{epoch}-1")), ("state:a", format!("{keyed}-0-1"))];
        for (channel, position) in at_the_head {
            assert_eq!(ask(channel, side, &position).await["type"], "history", "{side} {position}");
        }
    }
}

#[tokio::test]
async fn of_a_state_it_is_the_present_entries_in_the_order_of_their_numbers() {
    let server = server().await;
    let put = async |draft: Draft| server.tricast.publish("state:a", draft).await.unwrap();
    for key in ["a", "b", "c", "a"] {
        put(Draft::json("x").unwrap().key(key)).await;
    }
    put(Draft::delete("c")).await;
    put(Draft::json("x").unwrap().key("d").ttl(Duration::from_secs(60))).await;
    let epoch = server.epoch("state:a").await;
    let newest = ask(&server, json!({"type": "history", "channel": "state:a"})).await;
    assert_eq!(seqs(&newest), [2, 4, 6]);
    let after = json!({"type": "history", "channel": "state:a", "after": format!("{epoch}-2"), "limit": 1});
    let after = ask(&server, after).await;
    assert_eq!((seqs(&after), &after["more"]), (vec![4], &json!(true)));
}

#[tokio::test]
async fn who_may_not_subscribe_may_not_read_history() {
    let server = Server::start(Backplane::Memory).await;
    for (channel, code) in [("secret:a", "forbidden"), ("nowhere", "unknown_channel")] {
        let refused = ask(&server, json!({"type": "history", "channel": channel})).await;
        assert_eq!((&refused["code"], &refused["channel"]), (&json!(code), &json!(channel)));
    }
}

/// A page is bounded in bytes as well as in messages, and says that there is more.
#[tokio::test]
async fn a_page_of_large_messages_is_cut() {
    let server = server().await;
    for _ in 0..6 {
        server.tricast.publish("a", Draft::json(&"x".repeat(60_000)).unwrap()).await.unwrap();
    }
    let page = ask(&server, json!({"type": "history", "channel": "a"})).await;
    assert_eq!((seqs(&page), &page["more"]), (vec![3, 4, 5, 6], &json!(true)));
}
