//! Scenario × transport × backplane.

use crate::client::Transport;
use crate::server::Backplane;

/// What a scenario runs over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) transport: Transport,
    pub(crate) backplane: Backplane,
}

/// Makes tests of scenarios, `async fn(Case)`: one for each transport and backplane, named
/// `scenario::backplane::transport`.
macro_rules! over_every_transport {
    ($($scenario:ident),+ $(,)?) => {
        $(over_transports!($scenario: ws Ws, sse_get SseGet, sse_post SsePost, raw_sse RawSse, poll_get PollGet, poll_post PollPost);)+
    };
}

/// As [`over_every_transport!`], for scenarios that read several channels on one connection: raw SSE cannot.
macro_rules! over_transports_of_many_channels {
    ($($scenario:ident),+ $(,)?) => {
        $(over_transports!($scenario: ws Ws, sse_get SseGet, sse_post SsePost, poll_get PollGet, poll_post PollPost);)+
    };
}

macro_rules! over_transports {
    ($scenario:ident: $($name:ident $transport:ident),+) => {
        mod $scenario {
            use super::$scenario as scenario;
            on_backplane!(scenario, memory Memory: $($name $transport),+);
            on_backplane!(scenario, store Store: $($name $transport),+);
        }
    };
}

macro_rules! on_backplane {
    ($scenario:ident, $module:ident $backplane:ident: $($name:ident $transport:ident),+) => {
        mod $module {
            use super::$scenario;
            use crate::client::Transport;
            use crate::matrix::Case;
            use crate::server::Backplane;
            $(
                #[tokio::test]
                async fn $name() {
                    $scenario(Case { transport: Transport::$transport, backplane: Backplane::$backplane }).await;
                }
            )+
        }
    };
}
