//! The primitives of threads that loom can watch: the standard library's, or under `cfg(tricast_loom)` loom's own.

#[cfg(not(tricast_loom))]
pub(crate) use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

#[cfg(tricast_loom)]
pub(crate) use loom::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};
