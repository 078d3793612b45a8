//! Held work: facts that the rules of the day did not admit. They wait, visibly, until a person decides.

use crate::command::{Counted, Effect, Envelope, Outcome, Record};
use crate::entry::{
    AddEntry, EntryCommand, State as EntryState, after_awaited, amended_quarter, changed, counted, readable,
    reason_given,
};
use crate::ids::{CommandKey, IndicatorId, Origin, PersonId, Position};
use crate::quarter::{PlanQuarter, is_late};
use crate::rejection::{Code, Rejection};
use crate::state::State;
use crate::time::{Quarter, Timestamp};

/// What became of held work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nobody has decided yet.
    Waiting,
    /// An administrator let it count.
    Released,
    /// An administrator declined it.
    Dismissed,
    /// Its author took it back.
    Withdrawn,
}

impl Fate {
    /// The name used in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Fate::Waiting => "held",
            Fate::Released => "released",
            Fate::Dismissed => "dismissed",
            Fate::Withdrawn => "withdrawn",
        }
    }
}

/// One held command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub author: PersonId,
    pub command: EntryCommand,
    pub cause: Rejection,
    pub position: Position,
    pub time: Timestamp,
    pub fate: Fate,
}

impl Held {
    /// True while nobody has decided.
    pub fn is_waiting(&self) -> bool {
        self.fate == Fate::Waiting
    }

    /// The entry whose arrival it waits for.
    pub(crate) fn awaits(&self) -> Option<CommandKey> {
        (self.is_waiting() && self.cause.code == Code::EntryNotYetKnown)
            .then(|| self.command.entry())
            .flatten()
    }

    fn base(&self) -> Option<CommandKey> {
        match &self.command {
            EntryCommand::Add(_) => None,
            EntryCommand::Amend(amend) => Some(amend.base),
            EntryCommand::Void(v) | EntryCommand::Verify(v) | EntryCommand::Return(v) => Some(v.base),
        }
    }
}

/// Lets held work count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseHeld {
    pub held: CommandKey,
    /// Another indicator, where its own is retired.
    pub to: Option<IndicatorId>,
    /// An open later quarter of the same year, where its own is locked.
    pub count_in: Option<Quarter>,
}

/// The commands of this file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeldCommand {
    Release(ReleaseHeld),
    Dismiss(CommandKey),
    /// By its author, also offline.
    Withdraw(CommandKey),
}

impl HeldCommand {
    /// The held command it is about.
    pub fn held(&self) -> CommandKey {
        match self {
            HeldCommand::Release(release) => release.held,
            HeldCommand::Dismiss(key) | HeldCommand::Withdraw(key) => *key,
        }
    }
}

pub(crate) fn decide(
    state: &State,
    envelope: &Envelope,
    command: &HeldCommand,
    now: Timestamp,
) -> Result<Outcome, Rejection> {
    let key = command.held();
    let about = |code| Rejection::new(code).with("entry", state.public_id(key));
    let held =
        state.held.get(&key).filter(|held| held.is_waiting()).ok_or_else(|| about(Code::UnknownHeld))?;
    match command {
        HeldCommand::Withdraw(_) if held.author != envelope.author => Err(about(Code::NotOwnEntry)),
        HeldCommand::Withdraw(_) => Ok(Outcome::Recorded(Effect::default())),
        HeldCommand::Dismiss(_) => {
            reason_given(envelope)?;
            Ok(Outcome::Recorded(Effect::default()))
        }
        HeldCommand::Release(release) => {
            reason_given(envelope)?;
            released(state, held, release, now).map(Outcome::Recorded)
        }
    }
}

/// How the held command would count if it were let in now.
fn released(state: &State, held: &Held, release: &ReleaseHeld, now: Timestamp) -> Result<Effect, Rejection> {
    match &held.command {
        EntryCommand::Add(add) => {
            let after = released_add(add, release);
            let late = admissible(state, release, &after, now)?;
            let settled = after_awaited(state, release.held, held.author, after.clone(), now);
            Ok(Effect { late, after: Some(settled.unwrap_or(after)), ..Effect::default() })
        }
        EntryCommand::Amend(amend) => {
            let entry = known_entry(state, amend.entry)?;
            open(state, entry.indicator, entry.quarter, now)?;
            let after = Counted {
                indicator: release.to.unwrap_or(entry.indicator),
                quarter: release.count_in.unwrap_or(amended_quarter((entry.on, entry.quarter), amend)),
                on: amend.on,
                reading: amend.reading.clone(),
                state: EntryState::Recorded,
                position: entry.position,
            };
            let late = admissible(state, release, &after, now)?;
            Ok(Effect { late, after: Some(after.clone()), ..changed(state, entry, &after) })
        }
        EntryCommand::Void(void) => {
            if release.to.is_some() || release.count_in.is_some() {
                return Err(
                    Rejection::new(Code::NothingToChange).with("entry", state.public_id(release.held))
                );
            }
            let entry = known_entry(state, void.entry)?;
            open(state, entry.indicator, entry.quarter, now)?;
            let after = Counted { state: EntryState::Voided, ..counted(entry) };
            Ok(Effect { after: Some(after.clone()), ..changed(state, entry, &after) })
        }
        EntryCommand::Verify(_) | EntryCommand::Return(_) => {
            Err(Rejection::new(Code::UnknownHeld).with("entry", state.public_id(release.held)))
        }
    }
}

fn released_add(add: &AddEntry, release: &ReleaseHeld) -> Counted {
    Counted {
        indicator: release.to.unwrap_or(add.indicator),
        quarter: release.count_in.unwrap_or(add.on.quarter()),
        on: add.on,
        reading: add.reading.clone(),
        state: EntryState::Recorded,
        position: 0,
    }
}

/// Whether a reading may count where a release puts it; answers whether it is late.
fn admissible(
    state: &State,
    release: &ReleaseHeld,
    after: &Counted,
    now: Timestamp,
) -> Result<bool, Rejection> {
    let (on, quarter) = (after.on, after.quarter);
    let indicator = state.known_indicator(Some(after.indicator))?;
    let own = PlanQuarter { year: indicator.year, quarter: on.quarter() };
    if indicator.year != on.year() {
        return Err(Rejection::new(Code::WrongYear).with("date", on).with("year", indicator.year));
    }
    let not_open = Rejection::new(Code::QuarterNotOpen).with("quarter", quarter.number()).with("date", on);
    if quarter < on.quarter() {
        return Err(not_open);
    }
    // What happened in an open quarter counts there and nowhere else.
    if release.count_in.is_some() && quarter != on.quarter() && !state.is_closed(own, now) {
        return Err(Rejection::new(Code::NothingToChange)
            .with("entry", state.public_id(release.held))
            .with("quarter", own.quarter.number()));
    }
    // It has not begun.
    if quarter.first_day(indicator.year) > state.day(now).max(on) {
        return Err(not_open);
    }
    if !state.takes_entries(after.indicator, quarter) {
        return Err(Rejection::new(Code::IndicatorRetired)
            .with("indicator", &indicator.code)
            .with("quarter", quarter.number()));
    }
    readable(indicator, on, &after.reading)?;
    open(state, after.indicator, quarter, now)?;
    Ok(is_late(state, own, now))
}

fn known_entry(state: &State, key: CommandKey) -> Result<&crate::entry::Entry, Rejection> {
    state
        .entries
        .get(key)
        .ok_or_else(|| Rejection::new(Code::EntryNotYetKnown).with("entry", state.public_id(key)))
}

fn open(state: &State, indicator: IndicatorId, quarter: Quarter, now: Timestamp) -> Result<(), Rejection> {
    let indicator = state.known_indicator(Some(indicator))?;
    match state.is_closed(PlanQuarter { year: indicator.year, quarter }, now) {
        true => Err(Rejection::new(Code::QuarterLocked)
            .with("indicator", &indicator.code)
            .with("quarter", quarter.number())
            .with("year", indicator.year)),
        false => Ok(()),
    }
}

pub(crate) fn hold(state: &mut State, record: &Record, command: &EntryCommand, cause: &Rejection) {
    if state.entries.are_left_out() {
        return;
    }
    let held = Held {
        author: record.envelope.author,
        command: command.clone(),
        cause: cause.clone(),
        position: record.position,
        time: record.time,
        fate: Fate::Waiting,
    };
    let key = record.envelope.key();
    state.awaited.extend(held.awaits().map(|entry| (entry, key)));
    state.held.insert(key, held);
}

impl State {
    /// The held changes that wait for an entry, each based on the one before, up to one that voids it.
    pub(crate) fn awaited_chain(&self, entry: CommandKey) -> Vec<CommandKey> {
        let lowest = CommandKey::new(Origin::HOST, 0);
        let waiting: Vec<(CommandKey, &Held)> = self
            .awaited
            .range((entry, lowest)..)
            .take_while(|(about, _)| *about == entry)
            .filter_map(|(_, key)| self.held.get(key).map(|held| (*key, held)))
            .collect();
        let (mut chain, mut version) = (Vec::new(), entry);
        while let Some((key, held)) =
            waiting.iter().find(|(key, held)| held.base() == Some(version) && !chain.contains(key))
        {
            chain.push(*key);
            version = *key;
            if matches!(held.command, EntryCommand::Void(_)) {
                break;
            }
        }
        chain
    }

    /// Lets the changes that waited for an entry count with it. Answers the entry's version after them.
    pub(crate) fn settle_awaited(&mut self, entry: CommandKey) -> CommandKey {
        let chain = self.awaited_chain(entry);
        for key in &chain {
            self.awaited.remove(&(entry, *key));
            if let Some(held) = self.held.get_mut(key) {
                held.fate = Fate::Released;
            }
        }
        chain.last().copied().unwrap_or(entry)
    }
}

pub(crate) fn apply(state: &mut State, record: &Record, command: &HeldCommand, effect: &Effect) {
    let key = command.held();
    let Some(held) = state.held.get_mut(&key) else { return released_for_figures(state, record, effect) };
    if let Some(entry) = held.awaits() {
        state.awaited.remove(&(entry, key));
    }
    held.fate = match command {
        HeldCommand::Release(_) => Fate::Released,
        HeldCommand::Dismiss(_) => Fate::Dismissed,
        HeldCommand::Withdraw(_) => Fate::Withdrawn,
    };
    let (HeldCommand::Release(release), Some(after)) = (command, effect.after.clone()) else { return };
    let (author, asked) = (held.author, held.command.clone());
    match asked.entry() {
        None => {
            let EntryCommand::Add(add) = asked else { return };
            // The same question that `released` asked, at the same time and of the same state.
            let settled =
                after_awaited(state, key, author, released_add(&add, release), record.decided_at()).is_some();
            let version = if settled { state.settle_awaited(key) } else { key };
            state.count_new(record, key, version, author, after, effect.late);
        }
        Some(_) if state.indicator(after.indicator).is_none() => {}
        Some(entry) => state.change(entry, key, effect, |entry| *entry = after),
    }
}

/// A release where held work is left out: the record says how the entry counts.
fn released_for_figures(state: &mut State, record: &Record, effect: &Effect) {
    let Some(after) = effect.after.clone().filter(|_| state.entries.are_left_out()) else { return };
    let key = record.envelope.key();
    match effect.before {
        None => state.count_new(record, key, key, record.envelope.author, after, effect.late),
        Some(_) if state.indicator(after.indicator).is_none() => {}
        Some(_) => state.change(key, key, effect, |entry| *entry = after),
    }
}
