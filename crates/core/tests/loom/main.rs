//! The wake-up under loom: every order in which threads can meet, up to a few preemptions, with the memory model of
//! the language rather than that of this machine's processor.
//!
//! Built and run by `cargo xtask loom` alone, under `cfg(tricast_loom)`; in any other build this file is empty. Each
//! model has a twin in which one step is done in the wrong order, and which has to be found out.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

#[cfg(tricast_loom)]
mod bell;
#[cfg(tricast_loom)]
mod join;
#[cfg(tricast_loom)]
mod listen;

/// Explores every order of a model with at most this many preemptions. A bug that needs more than two is rare; three
/// are taken where the model is small enough. A thread that waits for good is reported as a deadlock.
#[cfg(tricast_loom)]
fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}
