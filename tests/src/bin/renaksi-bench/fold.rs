//! Folding: the rules alone, without disk and network.

use std::time::Instant;

use renaksi_domain::command::Record;
use renaksi_domain::entry::State as EntryState;
use renaksi_domain::figures::{Period, line};
use renaksi_domain::hash::state_hash;
use renaksi_domain::time::Quarter;
use renaksi_domain::{State, apply};
use renaksi_proto::convert::{command_leaf, decode_record, encode_record};
use renaksi_proto::log::Texts;

use crate::Figure;

pub mod history;

const RECORDS: usize = 1_000_000;
/// What a large office has by the end of a year.
const ENTRIES: usize = 100_000;
const ROUNDS: usize = 5;

/// Runs the bench.
pub fn run() -> Vec<Figure> {
    let (start, records) = history::history(RECORDS);
    let mut rates = Vec::new();
    let mut states = Vec::new();
    let mut resident = Vec::new();
    for _ in 0..ROUNDS {
        let mut state = start.clone();
        let began = Instant::now();
        records.iter().for_each(|record| apply(&mut state, record));
        rates.push(records.len() as f64 / began.elapsed().as_secs_f64());
        states.push(state);
        resident.push(resident_bytes());
    }
    let end = &states[0];
    let began = Instant::now();
    let hash = state_hash(end);
    let hashing = began.elapsed().as_secs_f64() * 1_000.0;
    assert!(states.iter().all(|state| state_hash(state) == hash), "every fold gives the same state");
    // The first fold may live in memory that making the records left over.
    let bytes = (resident[ROUNDS - 1] - resident[0]) as f64 / (ROUNDS - 1) as f64;
    vec![
        Figure {
            case: "apply".into(),
            value: median(rates),
            unit: "records/s",
            baseline: Some(("decoding the same records", decode_rate(&records))),
        },
        plain("state", bytes / live_entries(end) as f64, "bytes/live entry"),
        plain("all figures of 100,000 entries", figures_ms(&with_entries(&start, &records)), "ms"),
        plain("all figures at the end", figures_ms(end), "ms"),
        plain("state hash", hashing, "ms"),
    ]
}

fn plain(case: &str, value: f64, unit: &'static str) -> Figure {
    Figure { case: case.into(), value, unit, baseline: None }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}

fn live_entries(state: &State) -> usize {
    state.entries.iter().filter(|entry| entry.state != EntryState::Voided).count()
}

/// The office as soon as it had [`ENTRIES`] entries.
fn with_entries(start: &State, records: &[Record]) -> State {
    let mut state = start.clone();
    let mut records = records.iter();
    while state.entries.len() < ENTRIES {
        apply(&mut state, records.next().expect("the year has more entries"));
    }
    state
}

/// Every view of every indicator, once.
fn figures_ms(state: &State) -> f64 {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let mut shown = 0;
        for indicator in &state.indicators {
            let periods = Quarter::ALL.map(Period::Quarter).into_iter();
            for period in periods.chain(Quarter::ALL.map(Period::ToDate)).chain([Period::Year]) {
                shown += usize::from(line(state, indicator, period).achievement.is_ok());
            }
        }
        assert!(shown > 0, "some figures are computable");
        rounds.push(began.elapsed().as_secs_f64() * 1_000.0);
    }
    median(rounds)
}

fn decode_rate(records: &[Record]) -> f64 {
    let leaves: Vec<Vec<u8>> = records
        .iter()
        .take(200_000)
        .map(|record| {
            let command = command_leaf(&record.envelope.command, record.time, &Texts::default(), [0; 16]);
            encode_record(record, &command.leaf, None, None)
        })
        .collect();
    let began = Instant::now();
    let read = leaves.iter().filter(|leaf| decode_record(leaf).is_ok()).count();
    assert_eq!(read, leaves.len());
    read as f64 / began.elapsed().as_secs_f64()
}
