//! The channel core of Tricast: **a channel is a log, a connection is a set of cursors, a transport ships slices of
//! logs.**
//!
//! Nothing here does I/O, asks for the time or draws a random number: all of that is passed in. Begin with
//! [`log::Log`] and [`replay::decide`]: live delivery, catching up after a drop and long-polling are one operation,
//! *read after a position, else wait*. [`protocol`] has what travels, [`backplane::Backplane`] what a back end
//! implements. Applications use the crate `tricast`, which re-exports what they need.

pub mod access;
pub mod backplane;
pub mod cache;
pub mod channel;
pub mod clock;
pub mod dedup;
pub mod frame;
pub mod json;
pub mod limits;
pub mod log;
pub mod message;
pub mod position;
pub mod presence;
pub mod protocol;
pub mod replay;
mod sync;
pub mod wake;
