use super::*;
use crate::channel::Kind;

fn message(seq: u64, payload: Payload) -> Message {
    let (at, payload) = (1_700_000_000_000, Some(payload));
    Message { at, payload, ..Message::deletion(Seq::new(seq).unwrap(), at, 7) }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_message_is_the_same_event_on_every_transport() {
    let mut one = message(1, Payload::json_text("[1, \"a\\nb\"]").unwrap());
    one.event = Some("x.y".into());
    one.id = Some("\"quoted\\\"".into());
    let two = message(2, Payload::Binary([1, 2, 255].as_slice().into()));
    let messages = [Arc::new(one), Arc::new(two)];
    let (channel, epoch) = ("a:b".parse().unwrap(), Epoch::from_bits(0));
    let encoded = |encoding| encode(&channel, epoch, &messages, encoding);

    let json = text(&encoded(Encoding::Json));
    let first = concat!(
        r#"{"type":"message","channel":"a:b","epoch":"000000000000","seq":1,"data":[1,"a\nb"],"#,
        r#""at":1700000000000,"event":"x.y","id":"\"quoted\\\""}"#
    );
    let second = concat!(
        r#"{"type":"message","channel":"a:b","epoch":"000000000000","seq":2,"data64":"AQL/","#,
        r#""at":1700000000000}"#
    );
    assert_eq!(json, format!("{first},{second}"));
    assert_eq!(text(&encoded(Encoding::EnvelopeSse)), format!("data: {first}\n\ndata: {second}\n\n"));
    let raw =
        "id: 000000000000-1\nevent: x.y\ndata: [1,\"a\\nb\"]\n\nid: 000000000000-2\ndata: {\"data64\":\"AQL/\"}\n\n";
    assert_eq!(text(&encoded(Encoding::RawSse)), raw);

    let mut frames = Vec::new();
    for event in [first, second] {
        frame::put_text_header(&mut frames, event.len());
        frames.extend_from_slice(event.as_bytes());
    }
    assert_eq!(encoded(Encoding::WebSocket), frames);
}

#[test]
fn reserved_and_malformed_event_names_are_refused() {
    for name in ["", "error", "open", "tricast:gap", "a b", "a\nb", &"a".repeat(65)] {
        assert!(matches!(Draft::binary([]).event(name).check(Kind::Stream, 10), Err(DraftError::Event)), "{name:?}");
    }
    for name in ["a", "order.created", "A/b:c-d_e", "opened", &"a".repeat(64)] {
        assert!(Draft::binary([]).event(name).check(Kind::Stream, 10).is_ok(), "{name:?}");
    }
}

#[test]
fn ids_are_visible_ascii() {
    for id in ["", " ", "a b", "å", "\u{7f}", &"a".repeat(65)] {
        assert!(matches!(Draft::binary([]).id(id).check(Kind::Stream, 10), Err(DraftError::Id)), "{id:?}");
    }
    assert!(Draft::binary([]).id("!~\"\\").check(Kind::Stream, 10).is_ok());
}

#[test]
fn the_limit_counts_the_stored_payload() {
    let draft = Draft::json_text("[ 1,  2 ]").unwrap();
    assert!(draft.check(Kind::Stream, 5).is_ok());
    assert!(matches!(draft.check(Kind::Stream, 4), Err(DraftError::TooLarge { bytes: 5, most: 4 })));
}
