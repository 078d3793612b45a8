//! The audit trail: every record in words, one record whole, a replay from nothing, and the proof that nothing was
//! changed. Only reads.

mod diff;
mod event;
mod fields;
#[cfg(test)]
pub(crate) mod fixture;
mod imports;
mod prove;
mod show;
#[cfg(test)]
mod tests;
mod verify;
pub mod words;

pub use event::{Event, Narrator, change_fields, unit_name};
pub use fields::band_json;

use clap::{Args, Subcommand};
use renaksi_domain::command::Record;
use renaksi_domain::ids::{CommandKey, IndicatorId, PersonId, Position};
use renaksi_domain::time::{Date, Timestamp, Zone};
use renaksi_proto::convert::decode_record;
use renaksi_proto::log;
use serde_json::Value;

use crate::context::{self, Context, Done, Stdout};
use crate::device::{Device, ReplayTo};
use crate::error::{ClientError, Rejected};
use crate::find;
use crate::render;

/// Where a summary goes on that is longer than its line.
const SUMMARY_INDENT: usize = 26;
/// Most names fit; longer ones push their own line only.
const ACTOR_WIDTH: usize = 12;

/// `renaksi audit …`
#[derive(Clone, Debug, Subcommand)]
pub enum AuditCommandLine {
    /// What happened, record by record
    Log(LogArgs),
    /// One record whole: its fields, hash, signature and texts
    Show {
        /// The record's place in the log
        position: u64,
    },
    /// Folds the log anew from nothing and prints the hash of the state
    Replay {
        /// A position, a date (the end of that day) or a time
        #[arg(long)]
        to: Option<String>,
    },
    /// What changed between two points, figure by figure, with the records that did it
    Diff(diff::DiffArgs),
    /// Hashes and signatures of every record; or a receipt or an export, without a server
    Verify(prove::VerifyArgs),
    /// A receipt for one record, which anybody can check
    Prove(prove::ProveArgs),
    /// The whole log with its checkpoint, to be verified elsewhere
    Export(prove::ExportArgs),
}

/// Which records to tell.
#[derive(Clone, Debug, Default, Args)]
pub struct LogArgs {
    /// An indicator's code or words of its name
    #[arg(long)]
    pub indicator: Option<String>,
    /// An entry's id
    #[arg(long)]
    pub entry: Option<String>,
    /// Who did it, by name
    #[arg(long)]
    pub actor: Option<String>,
    /// From a position, a date or a time on
    #[arg(long)]
    pub from: Option<String>,
    /// Up to a position, a date (the end of that day) or a time
    #[arg(long)]
    pub to: Option<String>,
}

/// Runs an `audit` command.
///
/// # Errors
/// As the command's own; exit 7 when the log does not verify.
pub async fn run(ctx: &Context, command: AuditCommandLine) -> Result<Done, ClientError> {
    match command {
        AuditCommandLine::Log(args) => print_log(ctx, &args),
        AuditCommandLine::Show { position } => show::run(ctx, position),
        AuditCommandLine::Replay { to } => verify::replay(ctx, to.as_deref()),
        AuditCommandLine::Diff(args) => diff::run(ctx, &args),
        AuditCommandLine::Verify(args) => match (&args.receipt, &args.bundle) {
            (Some(receipt), _) => prove::verify_receipt(ctx, receipt, args.key.as_deref()),
            (None, Some(bundle)) => prove::verify_file(ctx, bundle, args.key.as_deref()),
            (None, None) => verify::run(ctx).await,
        },
        AuditCommandLine::Prove(args) => prove::prove(ctx, &args),
        AuditCommandLine::Export(args) => prove::export(ctx, &args),
    }
}

/// A record of the replica that this release could read, or the news that it could not.
#[derive(Debug)]
pub(crate) struct Stored<'a> {
    pub position: Position,
    pub leaf: &'a [u8],
    pub aside: &'a [u8],
    pub record: Option<(Record, log::Record)>,
}

/// Looks at every record of the replica in order; memory is bounded by the largest commit. `visit` answers false to stop.
pub(crate) fn each_record(
    device: &Device,
    visit: &mut dyn FnMut(Stored<'_>) -> Result<bool, ClientError>,
) -> Result<(), ClientError> {
    for commit in device.replica().iter(1) {
        let commit = commit
            .map_err(|error| ClientError::Integrity(Rejected::new("REPLICA_DAMAGED").with("cause", error)))?;
        for (position, entry) in (commit.first..).zip(&commit.entries) {
            let record = decode_record(&entry.leaf).ok();
            let stored = Stored { position, leaf: &entry.leaf, aside: &entry.aside, record };
            if !visit(stored)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// What `audit log` was asked to leave out.
#[derive(Debug, Default)]
struct Filter {
    indicator: Option<IndicatorId>,
    entry: Option<CommandKey>,
    actor: Option<PersonId>,
    from: Option<Bound>,
    to: Option<Bound>,
}

#[derive(Clone, Copy, Debug)]
enum Bound {
    Position(Position),
    Time(Timestamp),
}

impl Filter {
    fn read(device: &Device, ctx: &Context, args: &LogArgs) -> Result<Filter, ClientError> {
        let state = &device.view().confirmed;
        let zone = state.zone();
        let bound = |text: &str, day: fn(Zone, Date) -> Timestamp| match Date::parse(text) {
            Some(date) => Ok(Bound::Time(day(zone, date))),
            None => find::position_or_time(text, zone).map(|to| match to {
                ReplayTo::Position(position) => Bound::Position(position),
                ReplayTo::Time(time) => Bound::Time(time),
                ReplayTo::Head => Bound::Position(Position::MAX),
            }),
        };
        let indicator = match &args.indicator {
            Some(text) => Some(find::indicator(state, ctx.year(state, device.now())?, text)?),
            None => None,
        };
        Ok(Filter {
            indicator,
            entry: args.entry.as_deref().map(|text| find::entry(device, text)).transpose()?,
            actor: args.actor.as_deref().map(|name| find::person(device, name)).transpose()?,
            from: args.from.as_deref().map(|text| bound(text, Zone::start_of)).transpose()?,
            to: args.to.as_deref().map(|text| bound(text, Zone::end_of)).transpose()?,
        })
    }

    fn is_past(&self, position: Position, time: Option<Timestamp>) -> bool {
        match (self.to, time) {
            (Some(Bound::Position(last)), _) => position > last,
            (Some(Bound::Time(last)), Some(time)) => time > last,
            _ => false,
        }
    }

    fn is_before(&self, position: Position, time: Option<Timestamp>) -> bool {
        match (self.from, time) {
            (Some(Bound::Position(first)), _) => position < first,
            (Some(Bound::Time(first)), Some(time)) => time < first,
            _ => false,
        }
    }

    fn admits(&self, event: &Event) -> bool {
        self.indicator.is_none_or(|id| event.indicators.contains(&id))
            && self.entry.is_none_or(|key| event.entry == Some(key))
            && self.actor.is_none_or(|person| event.author == Some(person))
    }

    fn names_anything(&self) -> bool {
        self.indicator.is_some() || self.entry.is_some() || self.actor.is_some()
    }
}

fn print_log(ctx: &Context, args: &LogArgs) -> Result<Done, ClientError> {
    let device = ctx.device()?;
    let filter = Filter::read(&device, ctx, args)?;
    let name_of = |person| device.name_of(person);
    let state = &device.view().confirmed;
    let mut narrator = Narrator::new(state, &name_of);
    let zone = state.zone();
    each_record(&device, &mut |stored| {
        let time = stored.record.as_ref().map(|(record, _)| record.time);
        if filter.is_past(stored.position, time) {
            return Ok(false);
        }
        let Some((record, message)) = &stored.record else {
            if !filter.is_before(stored.position, None) && !filter.names_anything() {
                print_unread(ctx, stored.position, stored.leaf);
            }
            return Ok(true);
        };
        let texts = device.texts_of(message, stored.aside);
        let event = narrator.tell(record, message, texts.as_ref());
        if filter.is_before(stored.position, time) || !filter.admits(&event) {
            return Ok(true);
        }
        match ctx.json {
            true => ctx.print_json(&Value::Object(event.fields)),
            false => {
                let clock = words::office_time(zone, record.time);
                let actor = render::printable(&narrator.actor(record)).into_owned();
                let start = format!("{:>6}  {clock}  {actor:<ACTOR_WIDTH$}  ", record.position);
                let summary = render::short_ids(&render::printable(&event.summary));
                let width = render::terminal_width().unwrap_or(usize::MAX);
                ctx.print(&render::wrapped(&start, &summary, SUMMARY_INDENT, width));
            }
        }
        // Whoever closed the pipe has read enough.
        Ok(context::stdout() == Stdout::Open)
    })?;
    Ok(Done::Well)
}

/// A record of a newer release: its bytes are kept and counted, its meaning is not known here.
fn print_unread(ctx: &Context, position: Position, leaf: &[u8]) {
    let fields = serde_json::json!({
        "position": position,
        "type": "record.newer",
        "summary": words::say("audit.event.record.newer", &serde_json::Map::new()),
        "bytes": leaf.len(),
    });
    match ctx.json {
        true => ctx.print_json(&fields),
        false => ctx.print(&format!("{position:>6}  {}", fields["summary"].as_str().unwrap_or_default())),
    }
}
