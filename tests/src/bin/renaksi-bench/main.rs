//! `renaksi-bench NAME [--json]`: figures with their baseline, measured in the same run on data it makes.

use std::path::Path;
use std::process::ExitCode;

use renaksi_domain::Record;
use renaksi_proto::convert::{command_leaf, encode_record};
use renaksi_proto::log::Texts;

mod append;
mod fold;
mod grpc_append;
mod history;
mod index;
mod offices;
mod replay;
mod serving;
mod size;

/// One measured figure.
struct Figure {
    case: String,
    value: f64,
    unit: &'static str,
    /// What it is compared with, in the same unit.
    baseline: Option<(&'static str, f64)>,
}

/// A bench: its name, what it means, and how it is run.
type Bench = (&'static str, &'static str, fn() -> Vec<Figure>);

const BENCHES: [Bench; 10] = [
    (
        "append",
        "records a second into a log, durable, 200 bytes each, by records a commit; the slowest of a hundred commits",
        append::run,
    ),
    (
        "as-of",
        "milliseconds from a device's copy of 1,000,000 records to the plan's figures as they were known at a record drawn at \
     random; the same as a whole command",
        size::as_of,
    ),
    (
        "curve",
        "what grows with an office: appending, opening, as-of and memory at 10,000 to 10,000,000 records (--records N makes \
     one size); docs/performance.md is made of it",
        size::curve,
    ),
    (
        "fold",
        "records a second through apply, on a log of 1,000,000 mixed records of one office; bytes of state a live entry; \
     milliseconds for every figure of all indicators, with 100,000 entries and at the end of the log",
        fold::run,
    ),
    (
        "grpc-append",
        "entries a second from devices over TLS, through the rules into log and index, durable before the answer, by clients \
         and entries a push; the slowest of a hundred pushes. Beside UmaDB where it is there to be run",
        grpc_append::run,
    ),
    (
        "index",
        "a device's index over a replica of 200,000 records: records a second, bytes a record, milliseconds of opening it \
         and of what it finds; how many records and milliseconds the server's index is behind after 200,000 in a burst, \
         by commands a push, and its bytes a record",
        index::run,
    ),
    (
        "offices",
        "resident memory of a server with 1,000 offices of 10,000 records (--offices N makes other numbers), at rest and \
         under calls and pushes to offices drawn at random; milliseconds of a call that opens its office; needs the \
         release build of renaksid",
        offices::run,
    ),
    (
        "open",
        "milliseconds from starting the server to the first answer of an office with 10,000,000 records and 1,000,000 live \
     entries (--records N), and the memory it then takes",
        size::open,
    ),
    (
        "replay",
        "records a second from a log on disk through the rules, from the first of 1,000,000",
        replay::replay,
    ),
    (
        "verify",
        "records a second of the same log hashed again, leaf by leaf and root by root",
        replay::verify,
    ),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let as_json = arguments.iter().any(|argument| argument == "--json");
    let name = arguments.iter().find(|argument| !argument.starts_with("--")).map(String::as_str);
    match name {
        Some("list") => {
            BENCHES.iter().for_each(|(name, meaning, _)| println!("{name:8} {meaning}"));
            ExitCode::SUCCESS
        }
        Some("state-of") => {
            size::state_of(Path::new(&arguments[1]));
            ExitCode::SUCCESS
        }
        Some(name) => match BENCHES.iter().find(|(known, ..)| *known == name) {
            Some((_, _, run)) => {
                run().iter().for_each(|figure| print(name, figure, as_json));
                ExitCode::SUCCESS
            }
            None => usage(&format!("there is no bench `{name}`")),
        },
        None => usage("name a bench"),
    }
}

fn usage(what: &str) -> ExitCode {
    eprintln!("error: {what}\nhint: `renaksi-bench list` names them");
    ExitCode::from(2)
}

/// The number behind an option.
fn asked(option: &str) -> Option<usize> {
    let mut arguments = std::env::args().skip_while(|argument| argument != option);
    arguments.nth(1).map(|number| number.parse().expect("the option takes a number"))
}

fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() * percent / 100).min(values.len() - 1)]
}

/// A record as it is stored.
fn leaf(record: &Record) -> Vec<u8> {
    let command = command_leaf(&record.envelope.command, record.time, &Texts::default(), [0; 16]);
    encode_record(record, &command.leaf, None, None)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn print(bench: &str, figure: &Figure, as_json: bool) {
    let ratio = figure.baseline.map(|(_, baseline)| figure.value / baseline);
    if as_json {
        let baseline =
            figure.baseline.map(|(name, value)| serde_json::json!({ "name": name, "value": value }));
        let line = serde_json::json!({
            "bench": bench, "case": figure.case, "value": figure.value, "unit": figure.unit,
            "baseline": baseline, "ratio": ratio,
        });
        println!("{line}");
        return;
    }
    let compared = figure.baseline.map_or(String::new(), |(name, value)| {
        format!("   {:.2} x {name} ({value:.0})", figure.value / value)
    });
    let decimals = if figure.value < 10.0 { 3 } else { 1 };
    println!("{bench:8} {:32} {:>14.decimals$} {}{compared}", figure.case, figure.value, figure.unit);
}
