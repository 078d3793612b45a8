//! Snapshots: a whole [`Fold`] as bytes and back. They are a cache of one release, never a stored contract: whoever
//! keeps one writes [`FORMAT`], the fold version and the state hash beside it and makes a new one when any differs.
//!
//! Plain fields follow one another: integers as LEB128 (signed ones zigzag), texts and lists with their length first,
//! options with a flag. What a command already says in the log's format (a revision's changes, held work, staged rows) is
//! stored as that command. What follows from the rest (figures, indexes) is left out and made anew.
//!
//! Reading is total: any bytes give a fold or an error, and memory stays in proportion to their number.

mod bytes;
mod figures;
mod people;
mod plan;
mod work;

use renaksi_domain::command::Command;
use renaksi_domain::entry::Entries;
use renaksi_domain::ids::Origin;
use renaksi_domain::people::{PeopleCommand, Person, Unit};
use renaksi_domain::{FOLD_VERSION, State};

use crate::convert::DecodeError;
use crate::fold::Fold;
use bytes::{Reader, Writer};

/// The version of these bytes. It grows with every change to this file's order of fields.
pub const FORMAT: u32 = 3;

/// The fold as bytes.
pub fn encode(fold: &Fold) -> Vec<u8> {
    let state = &fold.state;
    let mut out = Writer(Vec::with_capacity(64 * 1024 + 32 * state.entries.len()));
    out.number(FORMAT.into());
    out.number(FOLD_VERSION.into());
    out.number(state.position);
    out.time(state.time);
    out.number(state.rules.into());
    out.list(&state.epochs, |out, begun| {
        out.command(&Command::People(PeopleCommand::BeginEpoch(Box::new(begun.clone()))));
    });
    out.config(&state.config);
    out.option(state.office.as_ref(), |out, office| {
        out.command(&Command::People(PeopleCommand::FoundOffice(office.clone())));
    });
    out.list(&state.people.persons, |out, person| out.list(&person.assignments, Writer::assignment));
    out.list(&state.people.units, |out, unit| out.text(&unit.name));
    out.list(&state.people.devices, Writer::device);
    out.list(&state.people.incarnations, Writer::incarnation);
    out.list(&state.people.grants, Writer::grant);
    out.list(&state.plans, Writer::plan);
    out.list(&state.indicators, Writer::indicator);
    out.list(&state.revisions, Writer::revision);
    out.list(&state.narratives, Writer::narrative);
    let mut before = 0;
    out.list(state.entries.iter(), |out, entry| {
        out.entry(entry, before);
        before = entry.position;
    });
    out.list(&state.held, |out, (key, held)| {
        out.key(*key);
        out.held(held);
    });
    out.list(&state.staging, |out, (origin, staging)| {
        out.number(origin.0.into());
        out.staging(staging);
    });
    out.list(fold.chains(), |out, chain| out.0.extend_from_slice(chain));
    out.0
}

/// Reads a fold.
///
/// # Errors
/// [`DecodeError`] when the bytes are not a snapshot of this format and fold version, whole and nothing more.
pub fn decode(bytes: &[u8]) -> Result<Fold, DecodeError> {
    let mut from = Reader(bytes);
    if from.number()? != u64::from(FORMAT) || from.number()? != u64::from(FOLD_VERSION) {
        return Err(wrong("format and fold version of this release"));
    }
    let mut state = State::default();
    state.position = from.number()?;
    state.time = from.time()?;
    state.rules = from.small()?;
    state.epochs = from.list(|from| match from.command()? {
        Command::People(PeopleCommand::BeginEpoch(begun)) => Ok(*begun),
        _ => Err(wrong("epochs")),
    })?;
    state.config = from.config()?;
    state.office = from.option(|from| match from.command()? {
        Command::People(PeopleCommand::FoundOffice(office)) => Ok(office),
        _ => Err(wrong("office")),
    })?;
    state.people.persons = from.list(|from| Ok(Person { assignments: from.list(Reader::assignment)? }))?;
    state.people.units = from.list(|from| Ok(Unit { name: from.text()? }))?;
    state.people.devices = from.list(Reader::device)?;
    state.people.incarnations = from.list(Reader::incarnation)?;
    state.people.grants = from.list(Reader::grant)?;
    state.plans = from.list(Reader::plan)?;
    state.indicators = from.list(Reader::indicator)?;
    state.revisions = from.list(Reader::revision)?;
    state.narratives = from.list(Reader::narrative)?.into_iter().collect();
    let mut before = 0;
    let table = from.list(|from| {
        let entry = from.entry(before)?;
        before = entry.position;
        Ok(entry)
    })?;
    state.entries = Entries::from_table(table).ok_or(wrong("entry keys"))?;
    state.held = from.list(|from| Ok((from.key()?, from.held()?)))?.into_iter().collect();
    state.staging = from.list(|from| Ok((Origin(from.small()?), from.staging()?)))?.into_iter().collect();
    let chains = from.list(Reader::array)?;
    if !from.0.is_empty() {
        return Err(wrong("end"));
    }
    state.rebuild_derived();
    Ok(Fold::resume(state, chains))
}

fn wrong(field: &'static str) -> DecodeError {
    DecodeError::Field { message: "snapshot", field }
}
