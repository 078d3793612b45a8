//! The audit trail: every record in words, one record whole, a replay from nothing, and the proof that nothing was
//! changed. Only reads.

mod diff;
mod event;
mod fields;
#[cfg(test)]
pub(crate) mod fixture;
mod imports;
mod log;
mod prove;
mod show;
#[cfg(test)]
mod tests;
mod verify;
pub mod words;

pub use event::{Event, Narrator, change_fields, unit_name};
pub use fields::band_json;

use clap::Subcommand;
use renaksi_domain::command::Record;
use renaksi_domain::ids::Position;
use renaksi_proto::convert::decode_record;
use renaksi_proto::log as stored;

use super::sync::Bar;
use crate::context::{Context, Done};
use crate::device::{About, Device, LogReader, Trail, not_answering};
use crate::error::{ClientError, Rejected};

/// `renaksi audit …`
#[derive(Clone, Debug, Subcommand)]
pub enum AuditCommandLine {
    /// What happened, record by record
    Log(log::LogArgs),
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

/// Runs an `audit` command.
///
/// # Errors
/// As the command's own; exit 7 when the log does not verify.
pub async fn run(ctx: &Context, command: AuditCommandLine) -> Result<Done, ClientError> {
    match command {
        AuditCommandLine::Log(args) => log::run(ctx, &args),
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
    pub record: Option<(Record, stored::Record)>,
}

/// Is shown records; answers false to stop.
pub(crate) type Visit<'a> = dyn FnMut(Stored<'_>) -> Result<bool, ClientError> + 'a;

/// Looks at every record of the replica in order; memory is bounded by the largest commit. `visit` answers false to stop.
pub(crate) fn each_record(device: &Device, visit: &mut Visit<'_>) -> Result<(), ClientError> {
    let reader = device.replica();
    each_of(&reader, 1..=reader.head().size, visit)
}

/// The same with some of the records, whose positions ascend.
fn each_of(
    reader: &LogReader,
    positions: impl IntoIterator<Item = Position>,
    visit: &mut Visit<'_>,
) -> Result<(), ClientError> {
    for picked in reader.pick(positions) {
        let (position, entry) = picked
            .map_err(|error| ClientError::Integrity(Rejected::new("REPLICA_DAMAGED").with("cause", error)))?;
        let record = decode_record(&entry.leaf).ok();
        let stored = Stored { position, leaf: &entry.leaf, aside: &entry.aside, record };
        if !visit(stored)? {
            break;
        }
    }
    Ok(())
}

/// The records that an answer has to look at, ascending: those from `first` to `last` that may be about it, and those
/// without which they could not be told. Without an index that answers, every one up to `last`.
fn to_look_at(
    trail: Option<&Trail>,
    about: &About,
    first: Position,
    last: Position,
) -> Box<dyn Iterator<Item = Position>> {
    let found = trail.map(|trail| trail.positions(about, first, last).inspect_err(not_answering));
    match found {
        Some(Ok(positions)) => Box::new(positions.into_iter()),
        Some(Err(_)) | None => Box::new(1..=last),
    }
}

/// The index of the device's replica, where it is worth asking; how far it is is shown on a terminal.
fn trail(ctx: &Context, device: &Device) -> Option<Trail> {
    let bar = Bar::new(ctx);
    let trail = device.trail(&mut |progress| bar.show(progress));
    bar.end();
    trail
}
