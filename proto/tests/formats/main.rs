//! The stored formats: golden bytes, round trips, damage, snapshots. The office and its random histories are those of the
//! tests of the rules.

#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "made for the tests of the rules")]
#[path = "../../../domain/tests/rules/history.rs"]
mod history;
#[allow(dead_code, reason = "made for the tests of the rules")]
#[path = "../../../domain/tests/rules/office.rs"]
mod office;
#[allow(dead_code, reason = "made for the tests of the rules")]
#[path = "../../../domain/tests/rules/words.rs"]
mod words;

mod damage;
mod golden;
mod samples;
mod snapshots;
mod stored;
