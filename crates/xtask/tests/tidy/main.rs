//! The rules that no compiler checks, as tests. Each is a function from what it reads to the list of what is wrong,
//! so that each has a test of its own that shows it can fail.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod codes;
mod guarantees;
mod knows;
mod licences;
mod limits;
mod manifests;
mod pages;
mod repository;
mod sources;
