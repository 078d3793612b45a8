//! The rules of an action plan: what may be asked, what is decided, what it changes, and every figure that follows.
//!
//! **Architecture invariant**: no IO, no clock, no randomness, no async, no serialisation. Time and ids are
//! arguments. [`decide`] may say no with an exact reason; [`apply`] is total. The same two functions run on the
//! server, on an officer's laptop and in an auditor's replay.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod achievement;
pub mod command;
pub mod config;
pub mod entry;
pub mod epoch;
pub mod figures;
pub mod frozen;
pub mod hash;
pub mod held;
pub mod ids;
pub mod indicator;
pub mod narrative;
pub mod people;
pub mod plan;
pub mod proposal;
pub mod quantity;
pub mod quarter;
pub mod quotient;
pub mod rejection;
pub mod revision;
pub mod rollup;
pub mod state;
pub mod sum;
pub mod tally;
pub mod time;

pub use command::{Command, Counted, Effect, Envelope, Outcome, Record, apply, decide};
pub use rejection::{Code, Rejection};
pub use state::State;

/// The version of the fold: two states may be compared by hash only when the code that folded them has the same
/// number. It grows whenever [`apply`] or [`hash`] would give another state for the same records.
pub const FOLD_VERSION: u32 = 2;

/// The version of the rules. It grows whenever [`decide`] would answer differently for the same state and command. A log
/// says by which rules it is decided ([`State::rules`]), so that a later release does not doubt what an earlier decided.
pub const RULES_VERSION: u32 = 2;
