//! Snapshots: a whole [`Fold`] as bytes and back. They are a cache of one release, never a stored contract: whoever
//! keeps one writes [`FORMAT`], the fold version and the state hash beside it and makes a new one when any differs.
//!
//! Plain fields follow one another: integers as LEB128 (signed ones zigzag), texts and lists with their length first,
//! options with a flag. What a command already says in the log's format (a revision's changes, held work, staged rows) is
//! stored as that command. What follows from the rest (figures, indexes) is left out and made anew.
//!
//! An office for its figures alone is kept without entries and held work, and so with the figures.
//!
//! Reading is total: any bytes give a fold or an error, and memory stays in proportion to their number.

mod bytes;
mod figures;
mod people;
mod plan;
mod tally;
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
/// What of an office is kept.
const WHOLE: u8 = 0;
const FIGURES: u8 = 1;

/// The fold as bytes.
pub fn encode(fold: &Fold) -> Vec<u8> {
    let state = &fold.state;
    let mut out = Writer(Vec::with_capacity(64 * 1024 + 32 * state.entries.len()));
    out.office(WHOLE, state);
    let mut before = 0;
    out.list(state.entries.iter(), |out, entry| {
        out.entry(entry, before);
        before = entry.position;
    });
    out.list(&state.held, |out, (key, held)| {
        out.key(*key);
        out.held(held);
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
    let mut state = from.office(WHOLE)?;
    let mut before = 0;
    let table = from.list(|from| {
        let entry = from.entry(before)?;
        before = entry.position;
        Ok(entry)
    })?;
    state.entries = Entries::from_table(table).ok_or(wrong("entry keys"))?;
    state.held = from.list(|from| Ok((from.key()?, from.held()?)))?.into_iter().collect();
    let chains = from.list(Reader::array)?;
    from.end()?;
    state.rebuild_derived();
    Ok(Fold::resume(state, chains))
}

/// The figures of an office as bytes: what [`State::for_figures`] leaves. About 64 KiB for a plan of 101 indicators,
/// whatever the number of its entries.
pub fn encode_figures(state: &State) -> Vec<u8> {
    let mut out = Writer(Vec::with_capacity(64 * 1024));
    out.office(FIGURES, state);
    state.indicators.iter().for_each(|indicator| out.tally(&indicator.tally));
    out.0
}

/// Reads the figures of an office, on to which records can be folded.
///
/// # Errors
/// As [`decode`].
pub fn decode_figures(bytes: &[u8]) -> Result<State, DecodeError> {
    let mut from = Reader(bytes);
    let mut state = from.office(FIGURES)?.for_figures();
    for indicator in &mut state.indicators {
        indicator.tally = from.tally()?;
    }
    from.end()?;
    Ok(state)
}

impl Writer {
    /// What both kinds have.
    fn office(&mut self, kind: u8, state: &State) {
        self.number(FORMAT.into());
        self.number(FOLD_VERSION.into());
        self.byte(kind);
        self.number(state.position);
        self.time(state.time);
        self.number(state.rules.into());
        self.list(&state.epochs, |out, begun| {
            out.command(&Command::People(PeopleCommand::BeginEpoch(Box::new(begun.clone()))));
        });
        self.config(&state.config);
        self.option(state.office.as_ref(), |out, office| {
            out.command(&Command::People(PeopleCommand::FoundOffice(office.clone())));
        });
        self.list(&state.people.persons, |out, person| out.list(&person.assignments, Writer::assignment));
        self.list(&state.people.units, |out, unit| out.text(&unit.name));
        self.list(&state.people.devices, Writer::device);
        self.list(&state.people.incarnations, Writer::incarnation);
        self.list(&state.people.grants, Writer::grant);
        self.list(&state.plans, Writer::plan);
        self.list(&state.indicators, Writer::indicator);
        self.list(&state.revisions, Writer::revision);
        self.list(&state.narratives, Writer::narrative);
        self.list(&state.staging, |out, (origin, staging)| {
            out.number(origin.0.into());
            out.staging(staging);
        });
    }
}

impl Reader<'_> {
    fn office(&mut self, kind: u8) -> Result<State, DecodeError> {
        if self.number()? != u64::from(FORMAT) || self.number()? != u64::from(FOLD_VERSION) {
            return Err(wrong("format and fold version of this release"));
        }
        if self.byte()? != kind {
            return Err(wrong("kind"));
        }
        let mut state = State::default();
        state.position = self.number()?;
        state.time = self.time()?;
        state.rules = self.small()?;
        state.epochs = self.list(|from| match from.command()? {
            Command::People(PeopleCommand::BeginEpoch(begun)) => Ok(*begun),
            _ => Err(wrong("epochs")),
        })?;
        state.config = self.config()?;
        state.office = self.option(|from| match from.command()? {
            Command::People(PeopleCommand::FoundOffice(office)) => Ok(office),
            _ => Err(wrong("office")),
        })?;
        state.people.persons =
            self.list(|from| Ok(Person { assignments: from.list(Reader::assignment)? }))?;
        state.people.units = self.list(|from| Ok(Unit { name: from.text()? }))?;
        state.people.devices = self.list(Reader::device)?;
        state.people.incarnations = self.list(Reader::incarnation)?;
        state.people.grants = self.list(Reader::grant)?;
        state.plans = self.list(Reader::plan)?;
        state.indicators = self.list(Reader::indicator)?;
        state.revisions = self.list(Reader::revision)?;
        state.narratives = self.list(Reader::narrative)?.into_iter().collect();
        state.staging = self.list(|from| Ok((Origin(from.small()?), from.staging()?)))?.into_iter().collect();
        Ok(state)
    }

    fn end(&self) -> Result<(), DecodeError> {
        self.0.is_empty().then_some(()).ok_or(wrong("end"))
    }
}

fn wrong(field: &'static str) -> DecodeError {
    DecodeError::Field { message: "snapshot", field }
}
