//! Reads action plans from the files in which offices keep them.
//!
//! **Architecture invariant**: pure. Bytes in, values out: no IO, no clock, no serialisation. A reader never guesses
//! and never copies a value from a neighbour: what it cannot read is a [`ReadError`] with its line, or is left out with
//! a [`Warning`] that names the line.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod assemble;
pub mod error;
pub mod plan;
mod review;
mod table;
pub mod txt;
pub mod warning;

pub use error::ReadError;
pub use plan::{Counts, Measure, Objective, PlanDocument, Program, Row, RowLevel, StrategicIndicator};
pub use renaksi_domain::proposal::{Kind, KindProposal};
pub use warning::Warning;
