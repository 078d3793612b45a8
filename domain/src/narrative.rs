//! Narrative: what drove an indicator in a quarter, what stood in its way, and what follows from it. Public acts, so the
//! texts stay in the log; every version does.

use crate::command::{Effect, Envelope, Outcome, Record};
use crate::ids::{IndicatorId, PersonId, Position};
use crate::people::Role;
use crate::quarter::PlanQuarter;
use crate::rejection::{Code, Rejection};
use crate::state::State;
use crate::time::{Quarter, Timestamp};

/// The texts of one indicator and quarter; an empty one is not written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// Faktor pendorong.
    pub driver: Box<str>,
    /// Faktor penghambat.
    pub obstacle: Box<str>,
    /// Tindak lanjut.
    pub follow_up: Box<str>,
}

/// What is written of an indicator and quarter, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Narrative {
    pub texts: Texts,
    pub author: PersonId,
    /// The record that made this version.
    pub position: Position,
    pub time: Timestamp,
    /// How many versions there have been, this one included.
    pub version: u32,
}

/// Writes the narrative of an indicator and quarter anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetNarrative {
    pub indicator: IndicatorId,
    pub quarter: Quarter,
    /// The record of the version it replaces; 0 where there is none.
    pub base: Position,
    pub texts: Texts,
}

impl SetNarrative {
    pub(crate) fn texts(&self) -> Vec<&str> {
        vec![&self.texts.driver, &self.texts.obstacle, &self.texts.follow_up]
    }
}

pub(crate) fn decide(
    state: &State,
    envelope: &Envelope,
    command: &SetNarrative,
    now: Timestamp,
) -> Result<Outcome, Rejection> {
    let indicator = state.indicator_in_plan(Some(command.indicator))?;
    let quarter = command.quarter;
    let about =
        |code| Rejection::new(code).with("indicator", &indicator.code).with("quarter", quarter.number());
    let today = state.day(now);
    let may = state.people.assignments_on(envelope.author, today).any(|assignment| match assignment.role {
        Role::Administrator => true,
        Role::HeadOfUnit => assignment.unit.is_some() && assignment.unit == indicator.facet_in(quarter).unit,
        _ => false,
    });
    if !may {
        return Err(about(Code::NotYourUnit));
    }
    if state.is_closed(PlanQuarter { year: indicator.year, quarter }, now) {
        return Err(about(Code::QuarterLocked).with("year", indicator.year));
    }
    let current = state.narrative(command.indicator, quarter);
    let version = current.map_or(0, |current| current.position);
    if version != command.base {
        return Err(about(Code::VersionMoved).with("base", command.base).with("version", version));
    }
    match current.map_or(&Texts::default(), |current| &current.texts) == &command.texts {
        true => Err(about(Code::NothingToChange)),
        false => Ok(Outcome::Recorded(Effect::default())),
    }
}

pub(crate) fn apply(state: &mut State, record: &Record, command: &SetNarrative) {
    let earlier = state.narrative(command.indicator, command.quarter).map_or(0, |earlier| earlier.version);
    let narrative = Narrative {
        texts: command.texts.clone(),
        author: record.envelope.author,
        position: record.position,
        time: record.time,
        version: earlier + 1,
    };
    state.narratives.insert((command.indicator, command.quarter), narrative);
}

impl State {
    /// What is written of an indicator and quarter now.
    pub fn narrative(&self, indicator: IndicatorId, quarter: Quarter) -> Option<&Narrative> {
        self.narratives.get(&(indicator, quarter))
    }
}
