//! A state under test: [`Board`] is one together with what must be in it, [`View`] is what a page would show of it.

use std::collections::BTreeMap;

use serde_json::Value;
use tricast::Draft;

use crate::client::{Query, Reader, Transport, seq_of, type_of};
use crate::server::{Backplane, Server};

/// A state, and what it must hold.
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) server: Server,
    pub(crate) channel: &'static str,
    /// For each key that was ever used: the seq that changed it last, and what it holds since.
    pub(crate) keys: BTreeMap<String, (u64, Option<u64>)>,
}

impl Board {
    pub(crate) async fn start(backplane: Backplane) -> Self {
        Self { server: Server::start(backplane).await, channel: "map:a", keys: BTreeMap::new() }
    }

    /// Sets a key; it holds the seq of its message.
    pub(crate) async fn set(&mut self, key: impl Into<String>) -> u64 {
        let key = key.into();
        let newest = self.keys.values().map(|(seq, _)| *seq).max().unwrap_or(0);
        let draft = Draft::json(&(newest + 1)).unwrap().key(key.as_str());
        let seq = self.server.append(self.channel, draft).await.position.seq.get();
        assert_eq!(seq, newest + 1);
        self.keys.insert(key, (seq, Some(seq)));
        seq
    }

    pub(crate) async fn set_all(&mut self, keys: impl IntoIterator<Item = String>) {
        for key in keys {
            self.set(key).await;
        }
    }

    pub(crate) async fn delete(&mut self, key: impl Into<String>) -> u64 {
        let key = key.into();
        let seq = self.server.append(self.channel, Draft::delete(key.as_str())).await.position.seq.get();
        self.keys.insert(key, (seq, None));
        seq
    }

    /// Sets keys that are deleted at once: so many deletions in the log, and nothing else.
    pub(crate) async fn set_and_delete(&mut self, name: &str, count: usize) {
        for number in 0..count {
            self.set(format!("{name}{number}")).await;
            self.delete(format!("{name}{number}")).await;
        }
    }

    pub(crate) async fn epoch(&self) -> String {
        self.server.epoch(self.channel).await
    }

    pub(crate) async fn read(&self, transport: Transport, query: Query) -> Reader {
        Reader::open(transport, &self.server, &query).await
    }

    pub(crate) fn query(&self) -> Query {
        Query::of(self.channel)
    }

    /// The invariant of 5.3: at this seq, a reader's map is the log's.
    pub(crate) fn assert_shown(&self, view: &View, seq: u64) {
        for (key, (changed, value)) in self.keys.iter().filter(|(_, (changed, _))| *changed <= seq) {
            assert_eq!(view.map.get(key), value.as_ref(), "the key {key}, which {changed} changed, at {seq}");
        }
    }
}

/// What a page shows of a state.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    pub(crate) map: BTreeMap<String, u64>,
    pub(crate) seq: u64,
    pub(crate) gaps: Vec<Value>,
    pub(crate) deletions: usize,
}

impl View {
    pub(crate) fn take(&mut self, event: &Value) {
        match type_of(event) {
            // Where it is told to start over it does, and shows the new map at `live`.
            "subscribed" if event.get("recovered").is_none() => {
                self.map.clear();
                self.seq = seq_of(&event["position"]);
            }
            "gap" => {
                self.map.clear();
                self.seq = seq_of(&event["position"]);
                self.gaps.push(event.clone());
            }
            "message" => self.take_message(event),
            _ => {}
        }
    }

    fn take_message(&mut self, event: &Value) {
        let seq = event["seq"].as_u64().unwrap();
        assert!(seq > self.seq, "in order, and nothing twice: {event} after {}", self.seq);
        self.seq = seq;
        let key = event["key"].as_str().unwrap().to_owned();
        if event["deleted"] == true {
            assert_eq!((event.get("data"), event.get("data64")), (None, None), "{event}");
            self.deletions += 1;
            self.map.remove(&key);
        } else {
            assert_eq!(event.get("deleted"), None, "{event}");
            self.map.insert(key, event["data"].as_u64().unwrap());
        }
    }

    /// Reads up to `live`, which it returns.
    pub(crate) async fn read_until_live(&mut self, reader: &mut Reader) -> Value {
        loop {
            let event = reader.next_event().await;
            if type_of(&event) == "live" {
                return event;
            }
            self.take(&event);
        }
    }

    /// Reads until the message with this seq has come; no `live` may.
    pub(crate) async fn read_to(&mut self, reader: &mut Reader, seq: u64) {
        while self.seq < seq {
            let event = reader.next_event().await;
            assert_ne!(type_of(&event), "live", "{event}");
            self.take(&event);
        }
    }
}
