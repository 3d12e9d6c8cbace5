//! Readers that stay and publishers that repeat, whatever happens to the nodes and to what keeps the logs; and what
//! they must have been told in the end.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::JoinHandle;
use tricast_client::{Client, Draft, Event, Position, Start, Transport};

use crate::client::watchdog;

/// A crowd on one channel.
pub(crate) struct Crowd {
    channel: &'static str,
    address: SocketAddr,
    readers: Vec<JoinHandle<Told>>,
    publishers: Vec<JoinHandle<Vec<Acked>>>,
    stop: Arc<AtomicBool>,
}

/// What one reader was told.
#[derive(Debug)]
pub(crate) struct Told {
    who: String,
    messages: Vec<(Position, String)>,
    /// After how many messages it was told of which gap.
    gaps: Vec<(usize, String)>,
}

/// A message that was acknowledged.
type Acked = (Position, String);

const PUBLISHERS: usize = 3;

/// What every reader waits for.
const END: &str = "the end";

impl Crowd {
    /// Readers over each transport, on either node, and publishers that publish as fast as they are answered.
    pub(crate) async fn gather(address: SocketAddr, channel: &'static str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut readers = Vec::new();
        for (nth, transport) in [Transport::Ws, Transport::Sse, Transport::Poll].into_iter().cycle().take(6).enumerate()
        {
            let client = client(address, transport);
            let mut subscription = client.channel(channel).unwrap().subscribe(Start::Earliest).await.unwrap();
            let who = format!("reader {nth} over {transport:?}");
            // It has its place: what is published from here on is for it.
            let first = watchdog("a subscription", subscription.next()).await;
            assert!(matches!(first, Some(Event::Subscribed(_))), "{who}: {first:?}");
            readers.push(tokio::spawn(async move {
                let _client = client;
                let mut told = Told { who, messages: Vec::new(), gaps: Vec::new() };
                while let Some(event) = subscription.next().await {
                    match event {
                        Event::Message(message) => {
                            let text: String = message.json().unwrap();
                            let is_end = text == END;
                            told.messages.push((Position::new(message.epoch, message.seq), text));
                            if is_end {
                                break;
                            }
                        }
                        Event::Gap(gap) => told.gaps.push((told.messages.len(), format!("{gap:?}"))),
                        Event::Unsubscribed { code } => panic!("{}: unsubscribed, {code:?}", told.who),
                        _ => {}
                    }
                }
                told
            }));
        }
        let publishers = (0..PUBLISHERS).map(|nth| publisher(address, channel, nth, Arc::clone(&stop))).collect();
        Self { channel, address, readers, publishers, stop }
    }

    /// Waits until so many messages more have been acknowledged, from somebody who comes now.
    pub(crate) async fn goes_on(&self) {
        let client = client(self.address, Transport::Poll);
        let mut subscription = client.channel(self.channel).unwrap().subscribe(Start::Latest).await.unwrap();
        let mut messages = 0;
        let some = async {
            while messages < 20 {
                messages += usize::from(matches!(subscription.next().await, Some(Event::Message(_))));
            }
        };
        watchdog("messages go on", some).await;
    }

    /// Lets publishers come to their end and readers catch up; returns what was acknowledged and told.
    pub(crate) async fn settle(self) -> Outcome {
        self.stop.store(true, Ordering::Release);
        let acked = watchdog("publishers are answered", join_all(self.publishers)).await;
        let acked: Vec<Acked> = acked.into_iter().flat_map(Result::unwrap).collect();
        let last = client(self.address, Transport::Ws);
        let end = watchdog("the last publish", last.publish(self.channel, Draft::json(END).unwrap())).await.unwrap();
        let told = watchdog("readers catch up", join_all(self.readers)).await.into_iter().map(Result::unwrap).collect();
        Outcome { acked, end: end.position, told }
    }
}

/// What there was in the end.
pub(crate) struct Outcome {
    acked: Vec<Acked>,
    end: Position,
    told: Vec<Told>,
}

impl Outcome {
    /// Everything that was acknowledged was told to everybody, once, in order; and nobody was told of a gap.
    pub(crate) fn lost_nothing(&self) {
        self.is_ordered();
        for told in &self.told {
            assert!(told.gaps.is_empty(), "{}: gaps without cause: {:?}", told.who, told.gaps);
        }
        self.told_everything_of(|_| true);
    }

    /// Whoever read was told of a gap, and since then, in the epoch that there is now, of everything that was
    /// acknowledged, once, in order.
    pub(crate) fn told_of_the_loss(&self) {
        self.is_ordered();
        for told in &self.told {
            assert!(!told.gaps.is_empty(), "{}: no gap was told", told.who);
        }
        self.told_everything_of(|position| position.epoch == self.end.epoch);
    }

    /// Either of the two.
    pub(crate) fn lost_nothing_in_silence(&self) {
        if self.told.iter().all(|told| told.gaps.is_empty()) { self.lost_nothing() } else { self.told_of_the_loss() }
    }

    fn is_ordered(&self) {
        assert!(self.acked.len() > 20, "only {} messages were published at all", self.acked.len());
        for told in &self.told {
            let mut newest = HashMap::new();
            let mut texts = HashSet::new();
            for (position, text) in &told.messages {
                let before = newest.insert(position.epoch, position.seq);
                let dense = before.is_none_or(|before| before.next() == Some(position.seq));
                assert!(dense, "{}: {position} after {before:?}", told.who);
                // Under its id a message is in the log once; what was lost with its epoch may be repeated in the next.
                assert!(texts.insert((position.epoch, text)), "{}: {text} twice", told.who);
            }
        }
    }

    fn told_everything_of(&self, counts: impl Fn(&Position) -> bool) {
        let acked = self.acked.iter().filter(|(position, _)| counts(position));
        let acked: HashMap<Position, &String> = acked.map(|(position, text)| (*position, text)).collect();
        for told in &self.told {
            let messages: HashMap<Position, &String> = told.messages.iter().map(|(at, text)| (*at, text)).collect();
            for (position, text) in &acked {
                assert_eq!(messages.get(position), Some(text), "{}: {position}", told.who);
            }
        }
    }
}

fn client(address: SocketAddr, transport: Transport) -> Client {
    let (base, cap) = (Duration::from_millis(20), Duration::from_millis(500));
    Client::builder(&format!("http://{address}/rt")).transports([transport]).backoff(base, cap).build().unwrap()
}

fn publisher(address: SocketAddr, channel: &'static str, nth: usize, stop: Arc<AtomicBool>) -> JoinHandle<Vec<Acked>> {
    tokio::spawn(async move {
        let client = client(address, if nth == 0 { Transport::Ws } else { Transport::Sse });
        let mut acked = Vec::new();
        while !stop.load(Ordering::Acquire) {
            let text = format!("{nth}-{}", acked.len());
            let published = client.publish(channel, Draft::json(&text).unwrap()).await.unwrap();
            acked.push((published.position, text));
            // Faults last for seconds: at full speed a test would be about throughput.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        acked
    })
}
