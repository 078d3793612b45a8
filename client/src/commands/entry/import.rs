//! `entry import`: every row of a sheet is one entry, in one write of the feed: all of them or none.
//!
//! The whole sheet is read and understood before anything is kept. What is not understood stops it, each row with its line
//! (exit 2). So does a row that the rules refuse, or that this person recorded before (exit 4), unless `--partial` leaves
//! such rows out (exit 3 where the rules refused one) or `--again` says that it happened twice. Held rows are facts and are
//! kept. Every row is accounted for: rows = queued + rejected.

mod known;
mod reading;
mod sheet;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::PathBuf;

use clap::Args;
use renaksi_domain::Code;
use renaksi_domain::command::{Command, Outcome};
use renaksi_domain::entry::{EntryCommand, Reading};
use serde_json::{Value, json};

use super::super::file;
use crate::context::{Context, Done};
use crate::device::{Device, Queued};
use crate::error::{ClientError, Rejected};
use crate::render::{self, Paint};
use crate::text;
use known::{Likeness, twins};
use reading::{Fact, facts};
use sheet::{Bad, Column, Sheet};

/// Rows of one kind that are named to people; the JSON has all.
const ROWS_SHOWN: usize = 200;

/// The code of a row that was recorded before.
const ROW_KNOWN: &str = "ROW_KNOWN";

/// Which sheet.
#[derive(Clone, Debug, Args)]
pub struct ImportArgs {
    /// A sheet saved as CSV (UTF-8), its columns named in the first row
    #[arg(value_name = "FILE.csv")]
    pub file: PathBuf,
    /// Only reads and checks every row; nothing is recorded
    #[arg(long)]
    pub dry_run: bool,
    /// Leaves out the rows that the rules refuse or that were recorded before, and records the others
    #[arg(long)]
    pub partial: bool,
    /// Records rows that were recorded before once more
    #[arg(long)]
    pub again: bool,
}

/// What is wrong with a row, or with the whole sheet.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    line: u64,
    /// As the sheet names it, where it is about one.
    column: Option<String>,
    cause: Rejected,
}

impl Problem {
    /// This person recorded the row before.
    fn is_known(&self) -> bool {
        self.cause.code == ROW_KNOWN
    }

    fn json(&self) -> Value {
        let (message, hint) = text::error(&self.cause);
        json!({ "line": self.line, "column": self.column, "code": self.cause.code, "message": message, "hint": hint })
    }

    fn in_words(&self) -> String {
        let (message, hint) = text::error(&self.cause);
        let column = self.column.as_ref().map_or_else(String::new, |column| format!(", {column}"));
        let place = text::with("import.line", &[("line", &self.line)]);
        render::short_ids(&format!("{place}{column}: {message} ({hint})"))
    }
}

/// The sheet's rows, sorted by what becomes of them.
struct Sorted {
    taken: Vec<Fact>,
    /// What the rules say to each that is taken.
    previews: Vec<Option<Rejected>>,
    rejected: Vec<Problem>,
    /// Rows that say exactly what an earlier row says; both are taken.
    repeated: Vec<(u64, u64)>,
}

pub(super) fn run(ctx: &Context, args: &ImportArgs) -> Result<Done, ClientError> {
    let bytes = file::read(&args.file, sheet::FILE_BYTES_MAX)?;
    let sheet = sheet::read(&bytes).map_err(|bad| match bad {
        Bad::File(error) => error,
        Bad::Header(problems) => not_understood(ctx, args, None, problems),
        Bad::Rows { rows, problems } => not_understood(ctx, args, Some(rows), problems),
    })?;
    let mut device = ctx.device()?;
    let state = &device.view().state;
    // Without any plan no row is to blame.
    ctx.year(state, device.now())?;
    let facts = facts(ctx, state, device.now(), &sheet)
        .map_err(|problems| not_understood(ctx, args, Some(sheet.rows.len()), problems))?;
    let rows = facts.len();
    let sorted = sort(&device, &sheet, facts, args.again)?;
    let known = sorted.rejected.iter().filter(|problem| problem.is_known()).count();
    let refused_some = known < sorted.rejected.len();
    // Where nothing is left that the rules take, nothing was done; what is there already was.
    let nothing_done = sorted.taken.is_empty() && refused_some;
    if !sorted.rejected.is_empty() && (!args.partial || nothing_done) {
        return Err(refused(ctx, args, rows, &sorted.rejected, known));
    }
    let queued = match args.dry_run {
        true => None,
        false => Some(queue(&mut device, &sorted.taken)?),
    };
    match ctx.json {
        true => ctx.print_json(&answer(args, rows, &sorted, queued.as_deref())),
        false => tell(ctx, args, &sorted),
    }
    Ok(if refused_some { Done::NeedsAPerson } else { Done::Well })
}

/// Sets apart what was recorded before and what the rules refuse, as things stand on this device.
fn sort(device: &Device, sheet: &Sheet, facts: Vec<Fact>, again: bool) -> Result<Sorted, ClientError> {
    let twins = if again { vec![None; facts.len()] } else { twins(device, &facts)? };
    let mut sorted =
        Sorted { taken: Vec::new(), previews: Vec::new(), rejected: Vec::new(), repeated: Vec::new() };
    let mut fresh = Vec::with_capacity(facts.len());
    for (fact, twin) in facts.into_iter().zip(twins) {
        match twin {
            None => fresh.push(fact),
            Some(twin) => {
                let id = device.view().state.public_id(twin.key);
                let cause = Rejected::new(ROW_KNOWN).with("entry", &id).with("state", twin.state);
                sorted.rejected.push(Problem { line: fact.line, column: None, cause });
            }
        }
    }
    let previews = device.preview_all(fresh.iter().map(command))?;
    let mut first_line: HashMap<Likeness, u64> = HashMap::new();
    for (fact, preview) in fresh.into_iter().zip(previews) {
        let preview = match preview {
            Outcome::Recorded(_) => None,
            Outcome::Held(cause) => Some(Rejected::from(&cause)),
            Outcome::Refused(cause) => {
                let column = column_of(cause.code, &fact.add.reading).map(|column| sheet.name(column));
                let cause = Rejected::from(&cause);
                sorted.rejected.push(Problem { line: fact.line, column, cause });
                continue;
            }
        };
        let first = *first_line.entry(Likeness::of_fact(&fact)).or_insert(fact.line);
        if first != fact.line {
            sorted.repeated.push((fact.line, first));
        }
        sorted.previews.push(preview);
        sorted.taken.push(fact);
    }
    sorted.rejected.sort_by_key(|problem| problem.line);
    Ok(sorted)
}

/// The column that a rule speaks of, where it is one.
fn column_of(code: Code, reading: &Reading) -> Option<Column> {
    match code {
        Code::NegativeCount | Code::ReadingMismatch => Some(match reading {
            Reading::Quantity(_) => Column::Quantity,
            Reading::Ratio { .. } => Column::Numerator,
            Reading::Text(_) => Column::Text,
        }),
        Code::WrongYear => Some(Column::On),
        Code::UnknownIndicator => Some(Column::Indicator),
        _ => None,
    }
}

fn command(fact: &Fact) -> Command {
    Command::Entry(EntryCommand::Add(fact.add.clone()))
}

/// One write: if we crash before it returns, nothing of the sheet was kept; after it, all of it is.
fn queue(device: &mut Device, taken: &[Fact]) -> Result<Vec<Queued>, ClientError> {
    device.record_all(taken.iter().map(|fact| (command(fact), fact.texts.clone())).collect())
}

fn not_understood(
    ctx: &Context,
    args: &ImportArgs,
    rows: Option<usize>,
    problems: Vec<Problem>,
) -> ClientError {
    let cause = stopped(ctx, args, "IMPORT_NOT_UNDERSTOOD", &problems);
    ClientError::NotUnderstood(match rows {
        Some(rows) => cause.with("rows", rows),
        None => cause.with("header", problems.first().map_or(1, |problem| problem.line)),
    })
}

fn refused(ctx: &Context, args: &ImportArgs, rows: usize, problems: &[Problem], known: usize) -> ClientError {
    let cause = stopped(ctx, args, "IMPORT_REFUSED", problems).with("rows", rows);
    let cause = if known > 0 { cause.with("known", known) } else { cause };
    let forbidden = problems.iter().all(|problem| problem.cause.permission);
    ClientError::NotAdmitted(if forbidden { cause.permission() } else { cause })
}

/// Why nothing was queued: for people each problem on its line, for programs the list.
fn stopped(ctx: &Context, args: &ImportArgs, code: &str, problems: &[Problem]) -> Rejected {
    let mut lines: Vec<u64> = problems.iter().map(|problem| problem.line).collect();
    lines.sort_unstable();
    lines.dedup();
    if !ctx.json {
        list(ctx, problems.iter().map(Problem::in_words), problems.len());
    }
    let cause = Rejected::new(code).with("file", args.file.display());
    let cause = cause.with("queued", 0).with("rejected", lines.len());
    match ctx.json {
        true => cause.with("errors", Value::from_iter(problems.iter().map(Problem::json))),
        false => cause,
    }
}

/// As many as a person reads, on stderr; then how many more there are.
fn list(ctx: &Context, lines: impl Iterator<Item = String>, count: usize) {
    lines.take(ROWS_SHOWN).for_each(|line| ctx.notice(&line));
    if let Some(more) = count.checked_sub(ROWS_SHOWN).filter(|more| *more > 0) {
        ctx.notice(&text::count("import.more", more as u64, &[]));
    }
}

fn answer(args: &ImportArgs, rows: usize, sorted: &Sorted, queued: Option<&[Queued]>) -> Value {
    let entries = sorted.taken.iter().zip(&sorted.previews).enumerate().map(|(at, (fact, preview))| {
        let id = queued.and_then(|queued| queued.get(at)).map(|queued| queued.entry_id.to_string());
        json!({
            "line": fact.line,
            "entry_id": id,
            "state": if queued.is_some() { "pending" } else { "checked" },
            "preview": preview.as_ref().map(|cause| json!({ "code": cause.code, "message": text::message(cause) })),
        })
    });
    let entries: Vec<Value> = entries.collect();
    let repeated = sorted.repeated.iter().map(|(line, first)| json!({ "line": line, "same_as": first }));
    json!({
        "file": args.file.display().to_string(),
        "dry_run": args.dry_run,
        "rows": rows,
        // A dry run says what would be.
        "queued": sorted.taken.len(),
        "held": sorted.previews.iter().flatten().count(),
        "rejected": sorted.rejected.iter().map(Problem::json).collect::<Vec<_>>(),
        "repeated": repeated.collect::<Vec<_>>(),
        "entries": entries,
    })
}

fn tell(ctx: &Context, args: &ImportArgs, sorted: &Sorted) {
    let held =
        sorted.taken.iter().zip(&sorted.previews).filter_map(|(fact, cause)| Some((fact, cause.as_ref()?)));
    let held: Vec<Problem> =
        held.map(|(fact, cause)| Problem { line: fact.line, column: None, cause: cause.clone() }).collect();
    let paint = |key: &str, count: usize| {
        let said = text::count(key, count as u64, &[("file", &args.file.display())]);
        render::paint(ctx.color, Paint::Yellow, &said)
    };
    for (key, problems) in [("import.left_out", &sorted.rejected), ("import.will_be_held", &held)] {
        if !problems.is_empty() {
            ctx.notice(&paint(key, problems.len()));
            list(ctx, problems.iter().map(|problem| format!("  {}", problem.in_words())), problems.len());
        }
    }
    if !sorted.repeated.is_empty() {
        ctx.notice(&paint("import.repeated", sorted.repeated.len()));
        let line = |(line, first): &(u64, u64)| {
            format!("  {}", text::with("import.same_as", &[("line", line), ("first", first)]))
        };
        list(ctx, sorted.repeated.iter().map(line), sorted.repeated.len());
    }
    let key = if args.dry_run { "import.checked" } else { "import.queued" };
    ctx.print(&text::count(key, sorted.taken.len() as u64, &[("file", &args.file.display())]));
    if !args.dry_run {
        ctx.print(&render::paint(ctx.color, Paint::Faint, &text::say("import.wait")));
    }
}
