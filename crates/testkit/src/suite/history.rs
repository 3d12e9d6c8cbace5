//! Reading backwards.

use tricast_core::channel::Rule;
use tricast_core::log::{Limit, Page};
use tricast_core::message::Draft;
use tricast_core::position::Seq;

use super::Factory;
use super::world::{World, entries, messages, set};
use crate::fixtures::{saying, seqs, state, stream, topic};

/// From the newest to the oldest that is retained, each page oldest first.
pub async fn history_goes_back_page_by_page(factory: &dyn Factory) {
    let World { a, b, .. } = World::of(factory).await;
    let topic = topic("history", Rule::stream().keep(22));
    for _ in 0..25 {
        a.append(&topic, saying("x")).await;
    }
    let opened = b.open(&topic).await;
    for (before, pages, more) in [(None, 16..=25, true), (Some(16), 6..=15, true), (Some(6), 4..=5, false)] {
        let (head, page) = b.read_back(&topic, before, messages(10)).await;
        assert_eq!((head, seqs(&page.messages), page.more), (opened, pages.collect(), more));
    }
    let (_, page) = b.read_back(&topic, None, messages(22)).await;
    assert_eq!((page.messages.len(), page.more), (22, false));
}

/// And is bounded by bytes.
pub async fn history_ends_before_a_number(factory: &dyn Factory) {
    let World { a, b, .. } = World::of(factory).await;
    let topic = stream("history:before");
    for _ in 0..5 {
        a.append(&topic, Draft::binary(vec![7; 1_000])).await;
    }
    let mut asked = Vec::new();
    for before in [0, 1, 2, 5, 6, 1_000] {
        asked.push(seqs(&b.read_back(&topic, Some(before), messages(2)).await.1.messages));
    }
    assert_eq!(asked, [vec![], vec![], vec![1], vec![3, 4], vec![4, 5], vec![4, 5]]);
    for (bytes, count) in [(1, 1), (1_999, 1), (2_000, 2), (9_999, 5)] {
        let (_, page) = b.read_back(&topic, None, Limit { messages: 100, bytes }).await;
        assert_eq!((page.messages.len(), page.more), (count, count < 5), "{bytes}");
    }
}

/// In the order of their numbers; deletions are none of them.
pub async fn the_history_of_a_state_is_its_present_entries(factory: &dyn Factory) {
    let World { a, b, .. } = World::of(factory).await;
    let topic = state("history:state");
    for draft in [set("a", "1"), set("b", "1"), set("c", "1"), set("a", "2"), Draft::delete("b"), set("d", "1")] {
        a.append(&topic, draft).await;
    }
    let (head, page) = b.read_back(&topic, None, messages(10)).await;
    assert_eq!((head.head.get(), entries(&page.messages), page.more), (6, owned(&["3 c", "4 a", "6 d"]), false));
    let (_, page) = b.read_back(&topic, None, messages(2)).await;
    assert_eq!((entries(&page.messages), page.more), (owned(&["4 a", "6 d"]), true));
    let (_, page) = b.read_back(&topic, Some(4), messages(2)).await;
    assert_eq!((entries(&page.messages), page.more), (owned(&["3 c"]), false));
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// And an epoch all the same.
pub async fn an_untouched_channel_has_no_history(factory: &dyn Factory) {
    let World { a, .. } = World::of(factory).await;
    for topic in [stream("history:none"), state("history:none:state")] {
        let (head, page) = a.read_back(&topic, None, Limit::default()).await;
        assert_eq!((head.first.get(), head.head), (1, Seq::ZERO));
        assert_eq!(page, Page { messages: Vec::new(), more: false });
    }
}
