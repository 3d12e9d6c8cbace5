//! Heartbeats of a WebSocket: when to ping, and when to give up.
//!
//! A side that has sent nothing or received nothing for a heartbeat pings; one that received nothing for two closes
//! (protocol, section 6).

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::socket::Socket;

pub(super) struct Beat {
    heartbeat: Duration,
    /// Our clients answer text with text; others are pinged by WebSocket frames.
    text: bool,
    pinged: Option<Instant>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    TextPing,
    FramePing,
    Close,
}

impl Beat {
    pub(super) fn new(heartbeat: Duration, text: bool) -> Self {
        Self { heartbeat, text, pinged: None }
    }

    /// When something may be due next. A peer to whom nobody is `listening` is not judged silent.
    pub(super) fn next<IO: AsyncRead + AsyncWrite + Unpin>(&self, socket: &Socket<IO>, listening: bool) -> Instant {
        let received = if listening { socket.last_received() } else { Instant::now() };
        self.next_of(socket.last_sent(), received)
    }

    /// What is due now; a ping counts as made.
    pub(super) fn due<IO: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &Socket<IO>,
        listening: bool,
        now: Instant,
    ) -> Due {
        let received = if listening { socket.last_received() } else { now };
        self.due_of(socket.last_sent(), received, now)
    }

    fn next_of(&self, sent: Instant, received: Instant) -> Instant {
        self.ping_at(sent, received).min(self.close_at(received))
    }

    fn due_of(&mut self, sent: Instant, received: Instant, now: Instant) -> Due {
        if self.close_at(received) <= now {
            return Due::Close;
        }
        if self.ping_at(sent, received) > now {
            return Due::Nothing;
        }
        self.pinged = Some(now);
        if self.text { Due::TextPing } else { Due::FramePing }
    }

    fn ping_at(&self, sent: Instant, received: Instant) -> Instant {
        // One ping a heartbeat: a peer that stays silent is not asked again at once.
        let quiet_since = sent.min(received).max(self.pinged.unwrap_or(received.min(sent)));
        quiet_since + self.heartbeat
    }

    fn close_at(&self, received: Instant) -> Instant {
        received + 2 * self.heartbeat
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEARTBEAT: Duration = Duration::from_secs(25);

    fn after(start: Instant, heartbeats: f64) -> Instant {
        start + HEARTBEAT.mul_f64(heartbeats)
    }

    #[test]
    fn silence_either_way_is_pinged_once_a_heartbeat() {
        let start = Instant::now();
        let mut beat = Beat::new(HEARTBEAT, true);
        assert_eq!(beat.due_of(start, start, after(start, 0.9)), Due::Nothing);
        assert_eq!(beat.due_of(start, after(start, 0.9), after(start, 1.0)), Due::TextPing, "nothing was sent");
        let sent = after(start, 1.0);
        assert_eq!(beat.due_of(sent, after(start, 0.9), after(start, 1.95)), Due::Nothing);
        assert_eq!(beat.due_of(after(start, 1.9), after(start, 0.9), after(start, 2.0)), Due::TextPing, "nothing came");
    }

    #[test]
    fn a_peer_that_is_silent_for_two_heartbeats_is_closed_however_much_was_sent() {
        let start = Instant::now();
        let mut beat = Beat::new(HEARTBEAT, false);
        assert_eq!(beat.due_of(after(start, 0.99), start, after(start, 1.0)), Due::FramePing);
        assert_eq!(beat.due_of(after(start, 1.99), start, after(start, 1.995)), Due::Nothing);
        assert_eq!(beat.due_of(after(start, 1.99), start, after(start, 2.0)), Due::Close);
        assert_eq!(beat.next_of(after(start, 1.99), start), after(start, 2.0));
    }
}
