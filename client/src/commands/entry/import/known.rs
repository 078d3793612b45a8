//! Which rows this person has recorded before, so that a sheet that is imported twice is not counted twice.

use std::collections::{HashMap, HashSet, VecDeque};

use renaksi_domain::command::{Command, Outcome};
use renaksi_domain::entry::{AddEntry, EntryCommand, Reading, State as EntryState};
use renaksi_domain::held::Fate;
use renaksi_domain::ids::{CommandKey, IndicatorId};
use renaksi_domain::quantity::Quantity;
use renaksi_domain::time::Date;
use renaksi_proto::log::Texts;

use super::super::super::history;
use super::reading::Fact;
use crate::device::Device;
use crate::error::ClientError;

/// What makes two facts the same to a reader. Numbers are compared by value: 88 is 88,00.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Likeness {
    indicator: IndicatorId,
    on: Date,
    numbers: [Option<Quantity>; 2],
    text: Option<Box<str>>,
    place: String,
    note: String,
}

impl Likeness {
    pub(super) fn of(indicator: IndicatorId, on: Date, reading: &Reading, texts: &Texts) -> Self {
        let (numbers, text) = match reading {
            Reading::Quantity(quantity) => ([Some(*quantity), None], None),
            Reading::Ratio { numerator, denominator } => ([Some(*numerator), Some(*denominator)], None),
            Reading::Text(text) => ([None, None], Some(text.clone())),
        };
        Self { indicator, on, numbers, text, place: texts.place.clone(), note: texts.note.clone() }
    }

    pub(super) fn of_fact(fact: &Fact) -> Self {
        Self::of(fact.add.indicator, fact.add.on, &fact.add.reading, &fact.texts)
    }
}

/// An entry of this person that a row repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Twin {
    pub(super) key: CommandKey,
    /// As `entry list` names it.
    pub(super) state: &'static str,
}

/// For each fact the entry that it repeats. Each entry stands for one row: a second equal row is a second fact.
pub(super) fn twins(device: &Device, facts: &[Fact]) -> Result<Vec<Option<Twin>>, ClientError> {
    let likenesses: Vec<Likeness> = facts.iter().map(Likeness::of_fact).collect();
    let wanted: HashSet<&Likeness> = likenesses.iter().collect();
    let mut known: HashMap<Likeness, VecDeque<Twin>> = HashMap::new();
    let mut note = |likeness: Likeness, key: CommandKey, state: Option<&'static str>| {
        if let Some(state) = state.filter(|_| wanted.contains(&likeness)) {
            known.entry(likeness).or_default().push_back(Twin { key, state });
        }
    };
    own_records(device, &mut note)?;
    for pending in &device.view().pending {
        if let Command::Entry(command) = &pending.envelope.command
            && let Some((key, likeness)) = likeness_of(device, pending.key, command, &pending.texts)
        {
            // What waits on a device whose work is held as a whole is in no state.
            let gone = is_known(device, key) && standing(device, key).is_none();
            note(likeness, key, (!gone).then_some("pending"));
        }
    }
    // An entry that was amended is under two likenesses; whichever row comes first has it.
    let mut taken: HashSet<CommandKey> = HashSet::new();
    let free = |likeness: &Likeness| {
        let twins = known.get_mut(likeness)?;
        std::iter::from_fn(|| twins.pop_front()).find(|twin| taken.insert(twin.key))
    };
    Ok(likenesses.iter().map(free).collect())
}

/// What this person recorded from any device: each entry as it was added and as each amendment has it. An entry that was
/// amended is still the row that it came from.
fn own_records(
    device: &Device,
    note: &mut impl FnMut(Likeness, CommandKey, Option<&'static str>),
) -> Result<(), ClientError> {
    let person = device.identity().person;
    history::each(device, |record, stored, aside| {
        let envelope = &record.envelope;
        if envelope.author != person || matches!(record.outcome, Outcome::Refused(_)) {
            return;
        }
        if let Command::Entry(command) = &envelope.command {
            let texts = device.texts_of(stored, aside).unwrap_or_default();
            if let Some((key, likeness)) = likeness_of(device, envelope.key(), command, &texts) {
                note(likeness, key, standing(device, key));
            }
        }
    })
}

fn likeness_of(
    device: &Device,
    own: CommandKey,
    command: &EntryCommand,
    texts: &Texts,
) -> Option<(CommandKey, Likeness)> {
    match command {
        EntryCommand::Add(AddEntry { indicator, on, reading }) => {
            Some((own, Likeness::of(*indicator, *on, reading, texts)))
        }
        EntryCommand::Amend(amend) => {
            let state = &device.view().state;
            let held = || match &state.held.get(&amend.entry)?.command {
                EntryCommand::Add(add) => Some(add.indicator),
                _ => None,
            };
            let indicator = state.entries.get(amend.entry).map(|entry| entry.indicator).or_else(held)?;
            Some((amend.entry, Likeness::of(indicator, amend.on, &amend.reading, texts)))
        }
        EntryCommand::Void(_) | EntryCommand::Verify(_) | EntryCommand::Return(_) => None,
    }
}

fn is_known(device: &Device, key: CommandKey) -> bool {
    let state = &device.view().state;
    state.entries.get(key).is_some() || state.held.contains_key(&key)
}

/// The state of an entry that counts or may still count. What was taken back, dismissed or withdrawn may be recorded anew.
fn standing(device: &Device, key: CommandKey) -> Option<&'static str> {
    let state = &device.view().state;
    if let Some(entry) = state.entries.get(key) {
        return (entry.state != EntryState::Voided).then_some(entry.state.name());
    }
    let held = state.held.get(&key)?;
    (held.fate == Fate::Waiting).then_some(held.fate.name())
}
