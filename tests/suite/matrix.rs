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
        $(every_transport!(real $scenario);)+
    };
}

/// As [`over_every_transport!`], for scenarios that read several channels on one connection: raw SSE cannot.
macro_rules! over_transports_of_many_channels {
    ($($scenario:ident),+ $(,)?) => {
        $(transports_of_many_channels!(real $scenario);)+
    };
}

/// As [`over_every_transport!`], for scenarios that let time pass: a server of its own has a clock of its own.
macro_rules! over_every_transport_by_the_clock {
    ($($scenario:ident),+ $(,)?) => {
        $(every_transport!(virtual $scenario);)+
    };
}

/// As [`over_transports_of_many_channels!`], for scenarios that let time pass.
macro_rules! over_transports_of_many_channels_by_the_clock {
    ($($scenario:ident),+ $(,)?) => {
        $(transports_of_many_channels!(virtual $scenario);)+
    };
}

/// As [`over_every_transport!`], for scenarios about what a node does alone.
macro_rules! over_every_transport_alone {
    ($($scenario:ident),+ $(,)?) => {
        $(every_transport!(alone $scenario);)+
    };
}

/// As [`over_transports_of_many_channels!`], for scenarios about what a node does alone.
macro_rules! over_transports_of_many_channels_alone {
    ($($scenario:ident),+ $(,)?) => {
        $(transports_of_many_channels!(alone $scenario);)+
    };
}

macro_rules! every_transport {
    ($which:ident $scenario:ident) => {
        on_backplanes!($which $scenario: ws Ws, sse_get SseGet, sse_post SsePost, raw_sse RawSse, poll_get PollGet, poll_post PollPost);
    };
}

macro_rules! transports_of_many_channels {
    ($which:ident $scenario:ident) => {
        on_backplanes!($which $scenario: ws Ws, sse_get SseGet, sse_post SsePost, poll_get PollGet, poll_post PollPost);
    };
}

macro_rules! on_backplanes {
    (real $scenario:ident: $($case:tt)+) => {
        mod $scenario {
            use super::$scenario as scenario;
            on_backplane!(scenario, memory Memory: $($case)+);
            on_backplane!(scenario, store Store: $($case)+);
            on_backplane!(scenario, redis Redis: $($case)+);
        }
    };
    (virtual $scenario:ident: $($case:tt)+) => {
        mod $scenario {
            use super::$scenario as scenario;
            on_backplane!(scenario, memory Memory: $($case)+);
            on_backplane!(scenario, store Store: $($case)+);
        }
    };
    (alone $scenario:ident: $($case:tt)+) => {
        mod $scenario {
            use super::$scenario as scenario;
            on_backplane!(scenario, memory Memory: $($case)+);
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
