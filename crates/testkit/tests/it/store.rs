//! The store of this process: the suite, and its faults.

mod behaviour;
mod faults;
