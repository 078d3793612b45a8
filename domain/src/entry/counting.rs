//! Where entries are kept and how they count: the figures follow every change, and a change tells what it took away. So
//! that the figures can be folded without the entries too.

use std::collections::BTreeMap;

use super::{Entry, State};
use crate::command::{Counted, Effect, Record};
use crate::ids::{CommandKey, IndicatorId, Origin, PersonId};
use crate::indicator::Indicator;
use crate::state::State as OfficeState;
use crate::tally::{Figure, Latest, Tally};
use crate::time::{Date, Quarter};

/// All entries of the office, by slot and by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    table: Vec<Entry>,
    /// Per origin, (sequence, slot) in the order of sequences.
    by_origin: BTreeMap<Origin, Vec<(u32, u32)>>,
    /// None is kept: the office is folded for its figures alone.
    left_out: bool,
}

impl Entries {
    /// No entries, and none to come.
    fn left_out() -> Entries {
        Entries { left_out: true, ..Entries::default() }
    }

    /// True where the office is folded for its figures alone.
    pub(crate) fn are_left_out(&self) -> bool {
        self.left_out
    }

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
        Some(Entries { table, by_origin, left_out: false })
    }

    pub(crate) fn push(&mut self, entry: Entry) -> u32 {
        let slot = u32::try_from(self.table.len()).expect("fewer than 2^32 entries in one office");
        let CommandKey { origin, sequence } = entry.key;
        let slots = self.by_origin.entry(origin).or_default();
        // A device's entries mostly come in its own order.
        match slots.last().is_none_or(|(last, _)| *last < sequence) {
            true => slots.push((sequence, slot)),
            false => {
                let at = slots.partition_point(|(known, _)| *known < sequence);
                slots.insert(at, (sequence, slot));
            }
        }
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
    let tally = &indicator.tally.of(figure)[entry.quarter.index()];
    let standing = tally.latest.as_ref()?;
    let stays = after.state.counts_in(figure)
        && (after.indicator, after.quarter, after.on) == (entry.indicator, entry.quarter, entry.on);
    if standing.position != entry.position || stays || tally.count == 1 {
        return None;
    }
    let left = latest_before(&state.entries, indicator, figure, entry.quarter, (entry.on, slot))?;
    Some(Box::new(counted(left)))
}

/// The last by (day, slot) of the entries that count in a quarter, among those before the given one.
fn latest_before<'a>(
    entries: &'a Entries,
    indicator: &Indicator,
    figure: Figure,
    quarter: Quarter,
    before: (Date, u32),
) -> Option<&'a Entry> {
    let earlier = indicator.tally.by_day.range(..before).rev();
    earlier
        .filter_map(|(_, slot)| entries.at(*slot))
        .find(|entry| entry.quarter == quarter && entry.state.counts_in(figure))
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
        if self.entries.left_out {
            return add_where_it_counts(indicator, &entry);
        }
        let slot = self.entries.push(entry);
        count_in(indicator, slot, &self.entries.table[slot as usize]);
    }

    /// Changes an entry, which `version` then is, and what it counts in.
    pub(crate) fn change(
        &mut self,
        key: CommandKey,
        version: CommandKey,
        effect: &Effect,
        how: impl FnOnce(&mut Counted),
    ) {
        if self.entries.left_out {
            return self.recount(effect, how);
        }
        let Some(slot) = self.entries.slot(key) else { return };
        let before = &self.entries.table[slot as usize];
        let mut after = counted(before);
        how(&mut after);
        let after = Entry {
            key,
            version,
            indicator: after.indicator,
            author: before.author,
            on: after.on,
            reading: after.reading,
            quarter: after.quarter,
            state: after.state,
            late: before.late | effect.late,
            position: before.position,
        };
        for figure in Figure::ALL {
            if before.state.counts_in(figure)
                && let Some(indicator) = self.indicators.get_mut(before.indicator.index())
            {
                uncount(&self.entries, indicator, slot, before, figure);
            }
            if after.state.counts_in(figure)
                && let Some(indicator) = self.indicators.get_mut(after.indicator.index())
            {
                indicator.tally.add(figure, &after);
            }
        }
        let (from, to) = ((before.indicator, before.on), (after.indicator, after.on));
        self.entries.table[slot as usize] = after;
        self.move_slot(slot, from, to);
    }

    /// Judges an entry. A figure that holds it before and after stays as it is.
    pub(crate) fn judge(&mut self, key: CommandKey, effect: &Effect, to: State) {
        if self.entries.left_out {
            return self.recount(effect, |entry| entry.state = to);
        }
        let Some(slot) = self.entries.slot(key) else { return };
        let from = std::mem::replace(&mut self.entries.table[slot as usize].state, to);
        let entry = &self.entries.table[slot as usize];
        let Some(indicator) = self.indicators.get_mut(entry.indicator.index()) else { return };
        for figure in Figure::ALL {
            match (from.counts_in(figure), to.counts_in(figure)) {
                (true, false) => uncount(&self.entries, indicator, slot, entry, figure),
                (false, true) => indicator.tally.add(figure, entry),
                _ => {}
            }
        }
    }

    /// Changes what an entry counts in, by what the record says of the entry and of what stands where it was the latest.
    fn recount(&mut self, effect: &Effect, how: impl FnOnce(&mut Counted)) {
        let Some(before) = &effect.before else { return };
        let mut after = before.clone();
        how(&mut after);
        for (figure, left) in
            [(Figure::Reported, &effect.reported_left), (Figure::Verified, &effect.verified_left)]
        {
            if before.state.counts_in(figure)
                && let Some(indicator) = self.indicators.get_mut(before.indicator.index())
            {
                let tally = indicator.tally.quarter_mut(figure, before.quarter);
                if tally.remove(before.position, &before.reading) {
                    tally.latest = left.as_deref().map(|left| Latest {
                        on: left.on,
                        position: left.position,
                        reading: left.reading.clone(),
                    });
                }
            }
            if after.state.counts_in(figure)
                && let Some(indicator) = self.indicators.get_mut(after.indicator.index())
            {
                let tally = indicator.tally.quarter_mut(figure, after.quarter);
                tally.add(after.position, after.on, &after.reading);
            }
        }
    }

    /// The office for its figures alone: without entries and held work, which what is folded on to it then leaves out too.
    /// Everything else is as in the whole state at every record. Nothing can be decided on it.
    pub fn for_figures(mut self) -> OfficeState {
        self.entries = Entries::left_out();
        self.held.clear();
        self.awaited.clear();
        for indicator in &mut self.indicators {
            indicator.entries = Vec::new();
            indicator.tally.by_day.clear();
        }
        self
    }

    fn move_slot(&mut self, slot: u32, from: (IndicatorId, Date), to: (IndicatorId, Date)) {
        if from == to {
            return;
        }
        if let Some(indicator) = self.indicators.get_mut(from.0.index()) {
            indicator.tally.by_day.remove(&(from.1, slot));
        }
        if let Some(indicator) = self.indicators.get_mut(to.0.index()) {
            indicator.tally.by_day.insert((to.1, slot));
        }
        if from.0 == to.0 {
            return;
        }
        if let Some(indicator) = self.indicators.get_mut(from.0.index()) {
            indicator.entries.retain(|other| *other != slot);
        }
        if let Some(indicator) = self.indicators.get_mut(to.0.index()) {
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
            count_in(indicator, slot, entry);
        }
    }
}

/// Counts an entry that the indicator does not know yet; its slot is the highest.
fn count_in(indicator: &mut Indicator, slot: u32, entry: &Entry) {
    indicator.entries.push(slot);
    indicator.tally.by_day.insert((entry.on, slot));
    add_where_it_counts(indicator, entry);
}

fn add_where_it_counts(indicator: &mut Indicator, entry: &Entry) {
    for figure in Figure::ALL.into_iter().filter(|figure| entry.state.counts_in(*figure)) {
        indicator.tally.add(figure, entry);
    }
}

/// Takes an entry out of a figure; where it was the latest reading, the one before it stands again.
fn uncount(entries: &Entries, indicator: &mut Indicator, slot: u32, entry: &Entry, figure: Figure) {
    let tally = indicator.tally.quarter_mut(figure, entry.quarter);
    if !tally.remove(entry.position, &entry.reading) {
        return;
    }
    let left = match tally.count {
        0 => None,
        _ => latest_before(entries, indicator, figure, entry.quarter, (entry.on, slot)),
    };
    indicator.tally.quarter_mut(figure, entry.quarter).latest =
        left.map(|left| Latest { on: left.on, position: left.position, reading: left.reading.clone() });
}
