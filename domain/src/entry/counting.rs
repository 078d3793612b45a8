//! Where entries are kept and how they count: the figures follow every change, and a change tells what it took away.

use std::collections::BTreeMap;

use super::Entry;
use crate::command::{Counted, Effect, Record};
use crate::ids::{CommandKey, IndicatorId, Origin, PersonId};
use crate::state::State as OfficeState;
use crate::tally::{Figure, QuarterTally, Tally};
use crate::time::Quarter;

/// All entries of the office, by slot and by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    table: Vec<Entry>,
    /// Per origin, (sequence, slot) in the order of sequences.
    by_origin: BTreeMap<Origin, Vec<(u32, u32)>>,
}

impl Entries {
    /// Every entry, in the order of the records that first counted them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.table.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// An entry by its key.
    pub fn get(&self, key: CommandKey) -> Option<&Entry> {
        self.slot(key).map(|slot| &self.table[slot as usize])
    }

    /// An entry by its slot.
    pub fn at(&self, slot: u32) -> Option<&Entry> {
        self.table.get(slot as usize)
    }

    fn slot(&self, key: CommandKey) -> Option<u32> {
        let slots = self.by_origin.get(&key.origin)?;
        let at = slots.binary_search_by_key(&key.sequence, |(sequence, _)| *sequence).ok()?;
        Some(slots[at].1)
    }

    /// The index of a table that was stored in the order of [`Entries::iter`]; `None` when a key occurs twice.
    pub fn from_table(table: Vec<Entry>) -> Option<Entries> {
        let slots = u32::try_from(table.len()).ok()?;
        let mut keys: Vec<(CommandKey, u32)> = table.iter().map(|entry| entry.key).zip(0..slots).collect();
        keys.sort_unstable();
        if keys.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return None;
        }
        let mut by_origin: BTreeMap<Origin, Vec<(u32, u32)>> = BTreeMap::new();
        for (key, slot) in keys {
            by_origin.entry(key.origin).or_default().push((key.sequence, slot));
        }
        Some(Entries { table, by_origin })
    }

    pub(crate) fn push(&mut self, entry: Entry) -> u32 {
        let slot = u32::try_from(self.table.len()).expect("fewer than 2^32 entries in one office");
        let CommandKey { origin, sequence } = entry.key;
        let slots = self.by_origin.entry(origin).or_default();
        let at = slots.partition_point(|(known, _)| *known < sequence);
        slots.insert(at, (sequence, slot));
        self.table.push(entry);
        slot
    }
}

/// What a change of an entry takes away: how it counted, and what then stands as the latest reading in its place.
pub(crate) fn changed(state: &OfficeState, entry: &Entry, after: &Counted) -> Effect {
    Effect {
        before: Some(counted(entry)),
        reported_left: left_standing(state, entry, after, Figure::Reported),
        verified_left: left_standing(state, entry, after, Figure::Verified),
        ..Effect::default()
    }
}

/// The latest of the other readings, where the entry was the latest and no longer stands there.
fn left_standing(
    state: &OfficeState,
    entry: &Entry,
    after: &Counted,
    figure: Figure,
) -> Option<Box<Counted>> {
    let indicator = state.indicator(entry.indicator)?;
    let slot = state.entries.slot(entry.key)?;
    let standing = indicator.tally.of(figure)[entry.quarter.index()].latest.as_ref()?;
    let stays = after.state.counts_in().contains(&figure)
        && (after.indicator, after.quarter, after.on) == (entry.indicator, entry.quarter, entry.on);
    if standing.slot != slot || stays {
        return None;
    }
    let others = indicator.entries.iter().filter(|other| **other != slot);
    let counting = others
        .filter_map(|other| Some((*other, state.entries.at(*other)?)))
        .filter(|(_, other)| other.quarter == entry.quarter && other.state.counts_in().contains(&figure));
    counting.max_by_key(|(slot, other)| (other.on, *slot)).map(|(_, other)| Box::new(counted(other)))
}

pub(crate) fn counted(entry: &Entry) -> Counted {
    Counted {
        indicator: entry.indicator,
        quarter: entry.quarter,
        on: entry.on,
        reading: entry.reading.clone(),
        state: entry.state,
        position: entry.position,
    }
}

impl OfficeState {
    pub(crate) fn count_new(
        &mut self,
        record: &Record,
        key: CommandKey,
        version: CommandKey,
        author: PersonId,
        counted: Counted,
        late: bool,
    ) {
        let entry = Entry {
            key,
            version,
            indicator: counted.indicator,
            author,
            on: counted.on,
            reading: counted.reading,
            quarter: counted.quarter,
            state: counted.state,
            late,
            position: record.position,
        };
        let Some(indicator) = self.indicators.get_mut(entry.indicator.index()) else { return };
        let slot = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        for figure in entry.state.counts_in() {
            indicator.tally.quarter_mut(*figure, entry.quarter).add(slot, entry.on, &entry.reading);
        }
        indicator.entries.push(slot);
        self.entries.push(entry);
    }

    /// Changes an entry and what it counts in. A judgement keeps the version: figures that hold it before and after
    /// stay as they are.
    pub(crate) fn change(&mut self, key: CommandKey, how: impl FnOnce(&mut Entry)) {
        let Some(slot) = self.entries.slot(key) else { return };
        let before = self.entries.table[slot as usize].clone();
        how(&mut self.entries.table[slot as usize]);
        let after = self.entries.table[slot as usize].clone();
        for figure in [Figure::Reported, Figure::Verified] {
            let counted = before.state.counts_in().contains(&figure);
            let counts = after.state.counts_in().contains(&figure);
            if counted && counts && before.version == after.version {
                continue;
            }
            if counted {
                self.uncount(slot, &before, figure);
            }
            if counts && let Some(indicator) = self.indicators.get_mut(after.indicator.index()) {
                indicator.tally.quarter_mut(figure, after.quarter).add(slot, after.on, &after.reading);
            }
        }
        if before.indicator != after.indicator {
            self.move_slot(slot, before.indicator, after.indicator);
        }
    }

    fn uncount(&mut self, slot: u32, before: &Entry, figure: Figure) {
        let Some(indicator) = self.indicators.get_mut(before.indicator.index()) else { return };
        let tally = indicator.tally.quarter_mut(figure, before.quarter);
        if tally.remove(slot, &before.reading) {
            *tally = recount(&self.entries, &indicator.entries, figure, before.quarter, slot);
        }
    }

    fn move_slot(&mut self, slot: u32, from: IndicatorId, to: IndicatorId) {
        if let Some(indicator) = self.indicators.get_mut(from.index()) {
            indicator.entries.retain(|other| *other != slot);
        }
        if let Some(indicator) = self.indicators.get_mut(to.index()) {
            let at = indicator.entries.partition_point(|other| *other < slot);
            indicator.entries.insert(at, slot);
        }
    }

    /// Makes anew what follows from the entries and the held work: the figures, each indicator's list of entries, and
    /// the changes that wait for their entry. For a state that was stored without them.
    pub fn rebuild_derived(&mut self) {
        self.awaited =
            self.held.iter().filter_map(|(key, held)| held.awaits().map(|entry| (entry, *key))).collect();
        for indicator in &mut self.indicators {
            indicator.tally = Tally::default();
            indicator.entries.clear();
        }
        for (slot, entry) in (0_u32..).zip(&self.entries.table) {
            let Some(indicator) = self.indicators.get_mut(entry.indicator.index()) else { continue };
            indicator.entries.push(slot);
            for figure in entry.state.counts_in() {
                indicator.tally.quarter_mut(*figure, entry.quarter).add(slot, entry.on, &entry.reading);
            }
        }
    }
}

/// Counts a quarter from its entries, leaving one slot out.
fn recount(entries: &Entries, slots: &[u32], figure: Figure, quarter: Quarter, without: u32) -> QuarterTally {
    let mut tally = QuarterTally::default();
    for slot in slots.iter().filter(|slot| **slot != without) {
        let Some(entry) = entries.at(*slot) else { continue };
        if entry.quarter == quarter && entry.state.counts_in().contains(&figure) {
            tally.add(*slot, entry.on, &entry.reading);
        }
    }
    tally
}
