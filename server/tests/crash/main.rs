//! FAULTS L1, of what lies beside the log: the power goes at every point of a backup, and the index is whatever it may be.

#![allow(clippy::unwrap_used)]

mod backup;
mod index;
/// The disk that loses its power, as the log's own crash test has it.
#[path = "../../../ledger/tests/crash/disk.rs"]
#[allow(dead_code)]
mod power;
#[path = "../stage/mod.rs"]
mod stage;
