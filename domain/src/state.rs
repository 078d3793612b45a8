//! The state of one office: what its log says when it is folded.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Config;
use crate::entry::Entries;
use crate::epoch::BeginEpoch;
use crate::held::Held;
use crate::ids::{CommandKey, IndicatorId, Origin, Position};
use crate::indicator::Indicator;
use crate::narrative::Narrative;
use crate::people::{FoundOffice, People};
use crate::plan::{Plan, Staging};
use crate::revision::Revision;
use crate::time::{Quarter, Timestamp};

/// Everything that the records up to [`State::position`] say. Only [`crate::apply`] changes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub position: Position,
    /// The time of the last record.
    pub time: Timestamp,
    pub office: Option<FoundOffice>,
    /// The rules by which the log is decided from here on; see [`crate::RULES_VERSION`].
    pub rules: u32,
    /// The epochs after the first, in their order.
    pub epochs: Vec<BeginEpoch>,
    pub config: Config,
    pub people: People,
    /// In the order of years.
    pub plans: Vec<Plan>,
    /// Every indicator ever imported or added, by id.
    pub indicators: Vec<Indicator>,
    pub revisions: Vec<Revision>,
    pub narratives: BTreeMap<(IndicatorId, Quarter), Narrative>,
    pub entries: Entries,
    /// Held work with its fate, by the key of the held command.
    pub held: BTreeMap<CommandKey, Held>,
    /// Imports that have begun and are not yet visible, by the device that brings them.
    pub staging: BTreeMap<Origin, Staging>,
    /// (entry, held command) of the waiting held work whose entry is not yet known.
    pub(crate) awaited: BTreeSet<(CommandKey, CommandKey)>,
}

impl State {
    /// The plan's year to show when nobody names one: the current year if it has a plan, else the latest.
    pub fn default_year(&self, now: Timestamp) -> Option<i16> {
        let current = self.day(now).year();
        match self.plan(current) {
            Some(plan) => Some(plan.year),
            None => self.plans.last().map(|plan| plan.year),
        }
    }
}
