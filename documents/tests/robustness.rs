//! Damaged and foreign bytes: never a panic, never slow, never a plan without a remark.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use renaksi_documents::{ReadError, txt};
use renaksi_seeds::PLAN_2024_TXT;

/// Knuth's 64-bit linear congruential generator: the same mutations in every run.
struct Lcg(u64);

impl Lcg {
    fn next(&mut self) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize
    }
}

#[test]
fn truncated_anywhere() {
    let whole = txt::read_plan(PLAN_2024_TXT).unwrap();
    let mut refused = 0;
    for len in (0..PLAN_2024_TXT.len()).step_by(97) {
        match txt::read_plan(&PLAN_2024_TXT[..len]) {
            Err(error) => {
                refused += 1;
                assert!(
                    !error.code().is_empty() && !error.hint().is_empty() && !error.to_string().is_empty()
                );
            }
            Ok(plan) => {
                assert!(!plan.warnings.is_empty(), "{len}");
                assert!(plan.counts().indicators <= whole.counts().indicators, "{len}");
            }
        }
    }
    assert!(refused > 200, "{refused}");
}

#[test]
fn one_byte_changed_anywhere() {
    let mut random = Lcg(2024);
    for _ in 0..2000 {
        let mut bytes = PLAN_2024_TXT.to_vec();
        let (at, value) = (random.next() % bytes.len(), random.next() % 256);
        bytes[at] = value as u8;
        match txt::read_plan(&bytes) {
            Err(error) => assert!(!error.code().is_empty()),
            Ok(plan) => assert!(!plan.warnings.is_empty(), "byte {at} = {value}"),
        }
    }
}

/// A line lost or doubled shifts cells: the reader may refuse, but what it reads must have lost no target silently.
#[test]
fn one_line_lost_or_doubled() {
    let text = std::str::from_utf8(PLAN_2024_TXT).unwrap();
    let lines: Vec<&str> = text.split('\n').collect();
    let whole = txt::read_plan(PLAN_2024_TXT).unwrap();
    for at in (0..lines.len()).step_by(7) {
        for copies in [0, 2] {
            let mut changed = lines.clone();
            changed.splice(at..=at, std::iter::repeat_n(lines[at], copies));
            let Ok(plan) = txt::read_plan(changed.join("\n").as_bytes()) else { continue };
            // A blank line or one of a cell's own lines: the same tree but for that cell.
            let (before, after) = (whole.counts(), plan.counts());
            assert_eq!(after.indicators, before.indicators, "line {} x{copies}", at + 1);
            assert!(after.missing.abs_diff(before.missing) <= 1, "line {} x{copies}", at + 1);
        }
    }
}

#[test]
fn noise_answers_fast() {
    let mut random = Lcg(7);
    let noise: Vec<u8> =
        (0..50 * 1024 * 1024 / 4).flat_map(|_| (random.next() as u32).to_le_bytes()).collect();
    let start = Instant::now();
    let error = txt::read_plan(&noise).unwrap_err();
    assert_eq!(error.code(), "FILE_TOO_LARGE");
    assert!(start.elapsed() < Duration::from_millis(50), "{:?}", start.elapsed());

    let largest = &noise[..txt::FILE_BYTES_MAX];
    assert!(matches!(
        txt::read_plan(largest),
        Err(ReadError::NotUtf8 { .. } | ReadError::NotPlainText { .. })
    ));
}

#[test]
fn monotonous_files_answer_fast() {
    // Tests are not optimised; a sixteenth of the largest file is enough to show a quadratic step.
    let bytes = if cfg!(debug_assertions) { txt::FILE_BYTES_MAX / 16 } else { txt::FILE_BYTES_MAX - 64 };
    for fill in ["\t\n", "\n", "\t", "a", "RENCANA AKSI\n", "TAHUN ", "\tTW 1 = 1\n", "[bookmark:", "é"] {
        let filled = fill.repeat(bytes / fill.len());
        for file in [filled.clone(), format!("RENCANA AKSI\nDINAS\nTAHUN 2024\n\n{filled}")] {
            let start = Instant::now();
            assert!(txt::read_plan(file.as_bytes()).is_err(), "{fill:?}");
            assert!(start.elapsed() < Duration::from_secs(5), "{fill:?}: {:?}", start.elapsed());
        }
    }
}
