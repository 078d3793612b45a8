//! `entry amend`, `void` and `withdraw`: by the author, offline too, each naming the version it is based on.

use std::collections::HashSet;

use clap::Args;
use renaksi_domain::command::Command;
use renaksi_domain::entry::{AmendEntry, EntryCommand, EntryVersion, Reading};
use renaksi_domain::held::HeldCommand;
use renaksi_domain::ids::CommandKey;
use renaksi_domain::time::Date;
use renaksi_proto::log::Texts;

use super::super::history;
use super::{ReadingArgs, queue};
use crate::context::{Context, Done};
use crate::device::Device;
use crate::error::{ClientError, Rejected};
use crate::{find, render, text};

/// What is different.
#[derive(Clone, Debug, Args)]
pub struct AmendArgs {
    /// The entry's id, or the beginning of it
    pub id: String,
    #[command(flatten)]
    pub reading: ReadingArgs,
    /// The day it happened
    #[arg(long, value_name = "DATE")]
    pub on: Option<String>,
    /// Where
    #[arg(long, value_name = "P")]
    pub place: Option<String>,
    /// Anything worth knowing
    #[arg(long, value_name = "N")]
    pub note: Option<String>,
    /// Why it is corrected
    #[arg(long)]
    pub reason: String,
}

/// An entry as it stands, with what waits on this device.
struct Standing {
    entry: CommandKey,
    version: CommandKey,
    on: Date,
    reading: Reading,
}

pub(super) fn amend(ctx: &Context, args: &AmendArgs) -> Result<Done, ClientError> {
    let reading = args.reading.reading()?;
    let on = args.on.as_deref().map(find::date).transpose()?;
    let place = args.place.as_deref().map(|place| find::said("--place", place)).transpose()?;
    let note = args.note.as_deref().map(|note| find::said("--note", note)).transpose()?;
    let reason = find::said("--reason", &args.reason)?;
    let mut device = ctx.device()?;
    let standing = standing(&device, &args.id)?;
    let kept = texts_of(&device, standing.version)?;
    let (on, reading) = (on.unwrap_or(standing.on), reading.unwrap_or_else(|| standing.reading.clone()));
    let (place, note) =
        (place.unwrap_or_else(|| kept.place.clone()), note.unwrap_or_else(|| kept.note.clone()));
    if (on, &reading, &place, &note) == (standing.on, &standing.reading, &kept.place, &kept.note) {
        let cause = Rejected::new("NOTHING_TO_CHANGE").with("entry", &args.id);
        return Err(ClientError::NotUnderstood(cause));
    }
    let said = text::with("entry.amended", &[("value", &render::reading(&reading)), ("date", &on)]);
    let texts = Texts { place, note, reason };
    let amend = AmendEntry { entry: standing.entry, base: standing.version, on, reading };
    queue(ctx, &mut device, Command::Entry(EntryCommand::Amend(amend)), texts, &said)
}

pub(super) fn void(ctx: &Context, id: &str, reason: &str) -> Result<Done, ClientError> {
    let texts = Texts { reason: find::said("--reason", reason)?, ..Texts::default() };
    let mut device = ctx.device()?;
    let standing = standing(&device, id)?;
    let version = EntryVersion { entry: standing.entry, base: standing.version };
    queue(ctx, &mut device, Command::Entry(EntryCommand::Void(version)), texts, &text::say("entry.voided"))
}

pub(super) fn withdraw(ctx: &Context, id: &str) -> Result<Done, ClientError> {
    let mut device = ctx.device()?;
    let key = find::entry(&device, id)?;
    let command = Command::Held(HeldCommand::Withdraw(key));
    queue(ctx, &mut device, command, Texts::default(), &text::say("entry.withdrawn"))
}

/// Place and note stay with an entry until they are changed.
fn texts_of(device: &Device, version: CommandKey) -> Result<Texts, ClientError> {
    if let Some(pending) = device.view().pending.iter().find(|pending| pending.key == version) {
        return Ok(pending.texts.clone());
    }
    let mut found = history::texts(device, &HashSet::from([version]))?;
    Ok(found.remove(&version).unwrap_or_default())
}

/// The entry of an id: as recorded and changed, as held, or as it waits here.
fn standing(device: &Device, id: &str) -> Result<Standing, ClientError> {
    let key = find::entry(device, id)?;
    let view = device.view();
    let held = view.state.held.get(&key).map(|held| &held.command);
    let key = held.and_then(EntryCommand::entry).unwrap_or(key);
    if let Some(entry) = view.state.entries.get(key) {
        return Ok(Standing {
            entry: key,
            version: entry.version,
            on: entry.on,
            reading: entry.reading.clone(),
        });
    }
    let waiting =
        view.pending.iter().find(|pending| pending.key == key).map(|pending| &pending.envelope.command);
    let waiting = waiting.and_then(|command| match command {
        Command::Entry(command) => Some(command),
        _ => None,
    });
    match view.state.held.get(&key).map(|held| &held.command).or(waiting) {
        Some(EntryCommand::Add(add)) => {
            Ok(Standing { entry: key, version: key, on: add.on, reading: add.reading.clone() })
        }
        _ => Err(ClientError::NotUnderstood(Rejected::new("UNKNOWN_ENTRY").with("entry", id))),
    }
}
