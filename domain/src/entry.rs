//! Entries: one recorded fact each. Increments add up, so two officers never conflict; an entry is never edited in place.

use crate::command::{Counted, Effect, Envelope, Outcome, Record};
use crate::held::Held;
use crate::ids::{CommandKey, IndicatorId, Origin, PersonId, Position};
use crate::indicator::Indicator;
use crate::people::Role;
use crate::proposal::Kind;
use crate::quantity::{Quantity, Target};
use crate::quarter::{Locks, PlanQuarter, is_late};
use crate::rejection::{Code, Rejection};
use crate::state::State as OfficeState;
use crate::tally::Figure;
use crate::time::{DAY_MICROS, Date, Quarter, Timestamp};

mod counting;

pub use counting::Entries;
pub(crate) use counting::{changed, counted};

/// What was counted or read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// An increment (sum, cumulative) or a reading (latest, average).
    Quantity(Quantity),
    /// A reading with both its parts.
    Ratio { numerator: Quantity, denominator: Quantity },
    /// What a text target asks for (`WTP`, `A`).
    Text(Box<str>),
}

impl Reading {
    /// The text of a text reading.
    pub fn text(&self) -> Option<&str> {
        match self {
            Reading::Text(text) => Some(text),
            Reading::Quantity(_) | Reading::Ratio { .. } => None,
        }
    }
}

/// How an entry counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Reported, not yet judged.
    Recorded,
    /// Reported and verified.
    Verified,
    /// Sent back to its author; counts nowhere until amended.
    Returned,
    /// Taken back; counts nowhere.
    Voided,
}

impl State {
    /// The name used in JSON.
    pub fn name(self) -> &'static str {
        match self {
            State::Recorded => "recorded",
            State::Verified => "verified",
            State::Returned => "returned",
            State::Voided => "voided",
        }
    }

    fn counts_in(self, figure: Figure) -> bool {
        match self {
            State::Recorded => figure == Figure::Reported,
            State::Verified => true,
            State::Returned | State::Voided => false,
        }
    }
}

/// One live entry. The place, note and reasons lie beside the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: CommandKey,
    /// The command that made the present value; amendments and verifications name it.
    pub version: CommandKey,
    pub indicator: IndicatorId,
    pub author: PersonId,
    pub on: Date,
    pub reading: Reading,
    /// The quarter it counts in; later than that of `on` when it was carried over.
    pub quarter: Quarter,
    pub state: State,
    /// Recorded after the due date.
    pub late: bool,
    /// The record that first counted it.
    pub position: Position,
}

/// Adds an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddEntry {
    pub indicator: IndicatorId,
    pub on: Date,
    pub reading: Reading,
}

/// Changes an entry's value or day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmendEntry {
    pub entry: CommandKey,
    /// The version it is based on.
    pub base: CommandKey,
    pub on: Date,
    pub reading: Reading,
}

/// Names an entry in the version that is judged or taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryVersion {
    pub entry: CommandKey,
    pub base: CommandKey,
}

/// The commands of this file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryCommand {
    Add(AddEntry),
    Amend(AmendEntry),
    Void(EntryVersion),
    Verify(EntryVersion),
    Return(EntryVersion),
}

impl EntryCommand {
    /// The entry it is about, when it is not a new one.
    pub fn entry(&self) -> Option<CommandKey> {
        match self {
            EntryCommand::Add(_) => None,
            EntryCommand::Amend(amend) => Some(amend.entry),
            EntryCommand::Void(v) | EntryCommand::Verify(v) | EntryCommand::Return(v) => Some(v.entry),
        }
    }
}

pub(crate) fn decide(
    state: &OfficeState,
    envelope: &Envelope,
    command: &EntryCommand,
    now: Timestamp,
) -> Result<Outcome, Rejection> {
    match command {
        EntryCommand::Add(add) => decide_add(state, envelope, add, now),
        EntryCommand::Amend(amend) => decide_amend(state, envelope, amend, now),
        EntryCommand::Void(void) => decide_void(state, envelope, void, now),
        EntryCommand::Verify(version) => decide_judgement(state, envelope, version, State::Verified, now),
        EntryCommand::Return(version) => {
            reason_given(envelope)?;
            decide_judgement(state, envelope, version, State::Returned, now)
        }
    }
}

pub(crate) fn reason_given(envelope: &Envelope) -> Result<(), Rejection> {
    match envelope.has_reason {
        true => Ok(()),
        false => Err(Rejection::new(Code::ReasonMissing).with("command", envelope.command.name())),
    }
}

fn decide_add(
    state: &OfficeState,
    envelope: &Envelope,
    add: &AddEntry,
    now: Timestamp,
) -> Result<Outcome, Rejection> {
    let indicator = state.known_indicator(Some(add.indicator))?;
    readable(indicator, add.on, &add.reading)?;
    if let Some(cause) = inadmissible(state, envelope, add.indicator, (add.on, add.on.quarter()), now) {
        return Ok(Outcome::Held(cause));
    }
    let quarter = PlanQuarter { year: indicator.year, quarter: add.on.quarter() };
    let after = after_awaited(state, envelope.key(), envelope.author, added(add), now);
    Ok(Outcome::Recorded(Effect { late: is_late(state, quarter, now), after, ..Effect::default() }))
}

/// How a new entry counts with the changes that arrived before it and waited for it: all of them or none.
pub(crate) fn after_awaited(
    state: &OfficeState,
    entry: CommandKey,
    author: PersonId,
    mut counted: Counted,
    now: Timestamp,
) -> Option<Counted> {
    let waiting = state.awaited_chain(entry);
    for key in &waiting {
        let held = state.held.get(key).filter(|held| held.author == author)?;
        device_standing(state, key.origin).is_none().then_some(())?;
        match &held.command {
            EntryCommand::Amend(amend) => {
                let indicator = state.indicator(counted.indicator)?;
                readable(indicator, amend.on, &amend.reading).ok()?;
                let admitted = amend.on <= state.day(now).plus_days(1)
                    && not_admitted(
                        state,
                        held.author,
                        counted.indicator,
                        (amend.on, amend.on.quarter()),
                        (now, Locks::ALL),
                    )
                    .is_none();
                admitted.then_some(())?;
                counted.quarter = amend.on.quarter();
                counted.on = amend.on;
                counted.reading = amend.reading.clone();
            }
            _ => counted.state = State::Voided,
        }
    }
    (!waiting.is_empty()).then_some(counted)
}

fn added(add: &AddEntry) -> Counted {
    Counted {
        indicator: add.indicator,
        quarter: add.on.quarter(),
        on: add.on,
        reading: add.reading.clone(),
        state: State::Recorded,
        position: 0,
    }
}

/// What no administrator could admit: another year's plan, a count below zero, a reading of the wrong form.
pub(crate) fn readable(indicator: &Indicator, on: Date, reading: &Reading) -> Result<(), Rejection> {
    let about = |code| Rejection::new(code).with("indicator", &indicator.code);
    if on.year() != indicator.year {
        return Err(about(Code::WrongYear).with("date", on).with("year", indicator.year));
    }
    let kind = indicator.settings_in(on.quarter()).kind;
    match reading {
        Reading::Text(text) if text.trim().is_empty() => {
            Err(about(Code::ReadingMismatch).with("wanted", "text"))
        }
        Reading::Text(_) if !wants_text(indicator, on.quarter()) => {
            Err(about(Code::ReadingMismatch).with("wanted", "quantity"))
        }
        Reading::Quantity(_) | Reading::Ratio { .. } if wants_text(indicator, on.quarter()) => {
            Err(about(Code::ReadingMismatch).with("wanted", "text"))
        }
        Reading::Ratio { .. } if kind != Kind::Ratio => {
            Err(about(Code::ReadingMismatch).with("wanted", "quantity").with("kind", kind.name()))
        }
        Reading::Ratio { numerator, denominator } => {
            match [numerator, denominator].into_iter().find(|part| part.is_negative()) {
                Some(part) => Err(about(Code::NegativeCount).with("quantity", part.plain())),
                None => Ok(()),
            }
        }
        Reading::Quantity(quantity) if quantity.is_negative() && !may_be_negative(indicator, kind) => {
            Err(about(Code::NegativeCount).with("quantity", quantity.plain()))
        }
        _ => Ok(()),
    }
}

/// A text target takes a text; a quarter without a target takes what the year's other quarters ask for.
fn wants_text(indicator: &Indicator, quarter: Quarter) -> bool {
    let is_text = |cell: &Target| matches!(cell, Target::Text(_));
    match indicator.target(quarter) {
        Target::Text(_) => true,
        Target::Value(_) => false,
        Target::NotPlanned | Target::Missing => {
            let mut cells = Quarter::ALL.map(|quarter| indicator.target(quarter)).into_iter();
            cells.clone().any(is_text) && cells.all(|cell| cell.value().is_none())
        }
    }
}

fn may_be_negative(indicator: &Indicator, kind: Kind) -> bool {
    indicator.is_percentage() || matches!(kind, Kind::Latest | Kind::Average)
}

/// The first of today's rules that does not admit a readable fact.
fn inadmissible(
    state: &OfficeState,
    envelope: &Envelope,
    id: IndicatorId,
    (on, counts_in): (Date, Quarter),
    now: Timestamp,
) -> Option<Rejection> {
    if let Some(cause) = device_standing(state, envelope.origin) {
        return Some(cause);
    }
    implausible(state, envelope, id, on, now).or_else(|| {
        let at = (now, state.locks_for(envelope));
        not_admitted(state, envelope.author, id, (on, counts_in), at)
    })
}

/// A day after tomorrow, or a device's clock more than a day ahead of the server's.
fn implausible(
    state: &OfficeState,
    envelope: &Envelope,
    id: IndicatorId,
    on: Date,
    now: Timestamp,
) -> Option<Rejection> {
    let tomorrow = state.day(now).plus_days(1);
    if on <= tomorrow && envelope.made_at <= now.plus_micros(DAY_MICROS) {
        return None;
    }
    let ahead_seconds = (envelope.made_at.0.saturating_sub(now.0) / 1_000_000).max(0);
    let code = state.indicator(id).map_or("", |indicator| &indicator.code);
    Some(
        Rejection::new(Code::ClockImplausible)
            .with("indicator", code)
            .with("date", on)
            .with("ahead_seconds", ahead_seconds),
    )
}

fn not_admitted(
    state: &OfficeState,
    author: PersonId,
    id: IndicatorId,
    (on, counts_in): (Date, Quarter),
    at: (Timestamp, Locks),
) -> Option<Rejection> {
    let indicator = state.indicator(id)?;
    let about = |code| Rejection::new(code).with("indicator", &indicator.code);
    if !state.takes_entries(id, counts_in) {
        return Some(about(Code::IndicatorRetired).with("quarter", counts_in.number()));
    }
    // Who answered for the indicator on that day, and who belonged there on that day.
    let unit = indicator.facet_in(on.quarter()).unit;
    let assigned = state.people.assignments_on(author, on).any(|assignment| {
        matches!(assignment.role, Role::Officer | Role::HeadOfUnit)
            && assignment.unit.is_some()
            && assignment.unit == unit
    });
    if !assigned {
        let unit = unit.and_then(|id| state.people.unit(id)).map_or("", |unit| &unit.name);
        return Some(about(Code::NotAssigned).with("date", on).with("unit", unit));
    }
    locked(state, indicator, counts_in, at)
}

fn device_standing(state: &OfficeState, origin: Origin) -> Option<Rejection> {
    let revoked = state.people.device_of(origin).is_none_or(|device| device.revoked.is_some());
    revoked.then(|| Rejection::new(Code::DeviceRevoked))
}

/// Whether the quarter is closed at a time, by the locks that count.
fn locked(
    state: &OfficeState,
    indicator: &Indicator,
    quarter: Quarter,
    (now, locks): (Timestamp, Locks),
) -> Option<Rejection> {
    let cell = PlanQuarter { year: indicator.year, quarter };
    state.is_closed_by(cell, now, locks).then(|| {
        Rejection::new(Code::QuarterLocked)
            .with("indicator", &indicator.code)
            .with("quarter", quarter.number())
            .with("year", indicator.year)
    })
}

fn decide_amend(
    state: &OfficeState,
    envelope: &Envelope,
    amend: &AmendEntry,
    now: Timestamp,
) -> Result<Outcome, Rejection> {
    reason_given(envelope)?;
    let (entry, indicator) = match own_entry(state, envelope, amend.entry)? {
        Ok(found) => found,
        Err(cause) => return Ok(Outcome::Held(cause)),
    };
    if amend.base == entry.version {
        not_voided(state, entry)?;
    }
    readable(indicator, amend.on, &amend.reading)?;
    let cause = device_standing(state, envelope.origin)
        .or_else(|| moved(state, entry, amend.base))
        .or_else(|| locked(state, indicator, entry.quarter, (now, state.locks_for(envelope))));
    if let Some(cause) = cause {
        return Ok(Outcome::Held(cause));
    }
    let counts_in = amended_quarter((entry.on, entry.quarter), amend);
    if let Some(cause) = inadmissible(state, envelope, entry.indicator, (amend.on, counts_in), now) {
        return Ok(Outcome::Held(cause));
    }
    let quarter = PlanQuarter { year: indicator.year, quarter: amend.on.quarter() };
    let after = Counted {
        quarter: counts_in,
        on: amend.on,
        reading: amend.reading.clone(),
        state: State::Recorded,
        ..counted(entry)
    };
    let effect = changed(state, entry, &after);
    Ok(Outcome::Recorded(Effect { late: is_late(state, quarter, now), ..effect }))
}

fn decide_void(
    state: &OfficeState,
    envelope: &Envelope,
    void: &EntryVersion,
    now: Timestamp,
) -> Result<Outcome, Rejection> {
    reason_given(envelope)?;
    let (entry, indicator) = match own_entry(state, envelope, void.entry)? {
        Ok(found) => found,
        Err(cause) => return Ok(Outcome::Held(cause)),
    };
    not_voided(state, entry)?;
    let cause = device_standing(state, envelope.origin)
        .or_else(|| implausible(state, envelope, entry.indicator, entry.on, now))
        .or_else(|| moved(state, entry, void.base))
        .or_else(|| locked(state, indicator, entry.quarter, (now, state.locks_for(envelope))));
    Ok(match cause {
        Some(cause) => Outcome::Held(cause),
        None => Outcome::Recorded(changed(state, entry, &Counted { state: State::Voided, ..counted(entry) })),
    })
}

/// An entry of the author's own; the inner error is a cause to hold (its add has not arrived or is held).
fn own_entry<'a>(
    state: &'a OfficeState,
    envelope: &Envelope,
    key: CommandKey,
) -> Result<Result<(&'a Entry, &'a Indicator), Rejection>, Rejection> {
    let Some(entry) = state.entries.get(key) else {
        let mine = state.people.owner_of(key.origin) == Some(envelope.author);
        let last = state.people.incarnation(key.origin).map_or(0, |incarnation| incarnation.last_sequence);
        // What was dismissed or withdrawn will never be an entry.
        let waits = state.held.get(&key).is_some_and(Held::is_waiting);
        let may_still_come = mine && (key.sequence > last || waits);
        let unknown = |code| Rejection::new(code).with("entry", state.public_id(key));
        return match may_still_come {
            true => Ok(Err(unknown(Code::EntryNotYetKnown))),
            false => Err(unknown(Code::UnknownEntry)),
        };
    };
    if entry.author != envelope.author {
        return Err(Rejection::new(Code::NotOwnEntry).with("entry", state.public_id(key)));
    }
    Ok(Ok((entry, state.known_indicator(Some(entry.indicator))?)))
}

fn not_voided(state: &OfficeState, entry: &Entry) -> Result<(), Rejection> {
    match entry.state {
        State::Voided => Err(Rejection::new(Code::EntryNotCounted)
            .with("entry", state.public_id(entry.key))
            .with("state", entry.state.name())),
        State::Recorded | State::Verified | State::Returned => Ok(()),
    }
}

fn moved(state: &OfficeState, entry: &Entry, base: CommandKey) -> Option<Rejection> {
    (entry.version != base).then(|| {
        Rejection::new(Code::VersionMoved)
            .with("base", state.public_id(base))
            .with("version", state.public_id(entry.version))
    })
}

fn decide_judgement(
    state: &OfficeState,
    envelope: &Envelope,
    version: &EntryVersion,
    to: State,
    now: Timestamp,
) -> Result<Outcome, Rejection> {
    let about = |code| Rejection::new(code).with("entry", state.public_id(version.entry));
    let entry = state.entries.get(version.entry).ok_or_else(|| about(Code::UnknownEntry))?;
    let indicator = state.known_indicator(Some(entry.indicator))?;
    if entry.author == envelope.author {
        return Err(about(Code::SelfVerification));
    }
    if !may_judge(state, envelope.author, entry, indicator, state.day(now)) {
        return Err(about(Code::NotYourUnit).with("indicator", &indicator.code));
    }
    if let Some(cause) = moved(state, entry, version.base)
        .or_else(|| locked(state, indicator, entry.quarter, (now, state.locks_for(envelope))))
    {
        return Err(cause.with("entry", state.public_id(version.entry)));
    }
    match entry.state {
        State::Recorded => {}
        State::Verified if to == State::Returned => {}
        State::Verified | State::Returned => {
            return Err(about(Code::AlreadyJudged).with("state", entry.state.name()));
        }
        State::Voided => return Err(about(Code::EntryNotCounted).with("state", entry.state.name())),
    }
    let after = Counted { state: to, ..counted(entry) };
    Ok(Outcome::Recorded(Effect { after: Some(after.clone()), ..changed(state, entry, &after) }))
}

/// A head of unit judges the entries of their unit, the head of office those that a head of unit recorded.
fn may_judge(
    state: &OfficeState,
    judge: PersonId,
    entry: &Entry,
    indicator: &Indicator,
    today: Date,
) -> bool {
    let unit = indicator.facet_in(entry.on.quarter()).unit;
    let heads_unit = state
        .people
        .assignments_on(judge, today)
        .any(|a| a.role == Role::HeadOfUnit && a.unit.is_some() && a.unit == unit);
    let recorded_by_head = state.people.has_role(entry.author, Role::HeadOfUnit, entry.on);
    heads_unit || (recorded_by_head && state.people.has_role(judge, Role::HeadOfOffice, today))
}

/// An entry that was carried over goes on counting where it was carried to, unless its day moves to another quarter.
pub(crate) fn amended_quarter((on, counts_in): (Date, Quarter), amend: &AmendEntry) -> Quarter {
    match amend.on.quarter() == on.quarter() {
        true => counts_in,
        false => amend.on.quarter(),
    }
}

pub(crate) fn apply(state: &mut OfficeState, record: &Record, command: &EntryCommand, effect: &Effect) {
    match command {
        EntryCommand::Add(add) => {
            let key = record.envelope.key();
            let version = match effect.after {
                Some(_) => state.settle_awaited(key),
                None => key,
            };
            let counted = effect.after.clone().unwrap_or_else(|| added(add));
            state.count_new(record, key, version, record.envelope.author, counted, effect.late);
        }
        EntryCommand::Amend(amend) => {
            state.change(amend.entry, record.envelope.key(), effect, |entry| {
                entry.quarter = amended_quarter((entry.on, entry.quarter), amend);
                entry.on = amend.on;
                entry.reading = amend.reading.clone();
                entry.state = State::Recorded;
            });
        }
        EntryCommand::Void(void) => {
            state.change(void.entry, record.envelope.key(), effect, |entry| entry.state = State::Voided);
        }
        EntryCommand::Verify(version) => state.judge(version.entry, effect, State::Verified),
        EntryCommand::Return(version) => state.judge(version.entry, effect, State::Returned),
    }
}

impl OfficeState {
    /// The public id of an entry; of an unknown origin, its bare key.
    pub fn public_id(&self, key: CommandKey) -> String {
        match self.people.incarnation(key.origin) {
            Some(incarnation) => crate::ids::entry_id(incarnation.uuid, key.sequence).to_string(),
            None => format!("{}/{}", key.origin, key.sequence),
        }
    }
}
