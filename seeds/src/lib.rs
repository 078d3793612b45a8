//! The real plan of one office for 2024, and what a careful person reads in it.
//!
//! Tests, the demo and the benches start from these bytes; nothing here parses them.

/// A Word table dumped as text: UTF-8, one line feed a line, 4646 lines.
pub const PLAN_2024_TXT: &[u8] = include_bytes!("../rencana-aksi-2024.txt");

/// The verified reading of [`PLAN_2024_TXT`] as JSON, in the shape of `plan import --dry-run`.
pub const PLAN_2024_EXPECTED: &str = include_str!("../rencana-aksi-2024.expected.json");
