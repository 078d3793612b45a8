//! One file per command: its arguments, and `run`.

pub mod audit;
pub mod complete;
pub mod config;
pub mod demo;
pub mod enroll;
pub mod entry;
mod file;
pub mod held;
pub mod history;
pub mod indicator;
pub mod narrative;
pub mod outbox;
pub mod people;
pub mod plan;
pub mod quarter;
pub mod report;
pub mod revision;
pub mod status;
pub mod sync;
