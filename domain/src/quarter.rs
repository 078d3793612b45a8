//! Quarters: when their entries are due, and their lock by two people.

use crate::command::{Effect, Envelope, Outcome, Record};
use crate::hash::figures_hash;
use crate::ids::{PersonId, Position};
use crate::plan::PlanState;
use crate::rejection::{Code, Rejection};
use crate::state::State;
use crate::time::{Date, Quarter, Timestamp};

/// Where a quarter is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QuarterState {
    #[default]
    Open,
    /// The administrator asked for the lock; entries are still admitted.
    LockRequested { by: PersonId },
    /// Frozen by the record at this position.
    Locked { at: Position, time: Timestamp },
}

impl QuarterState {
    /// The name used in JSON.
    pub fn name(self) -> &'static str {
        match self {
            QuarterState::Open => "open",
            QuarterState::LockRequested { .. } => "lock requested",
            QuarterState::Locked { .. } => "locked",
        }
    }

    /// True once its figures are frozen.
    pub fn is_locked(self) -> bool {
        matches!(self, QuarterState::Locked { .. })
    }
}

/// Names one quarter of one year's plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlanQuarter {
    pub year: i16,
    pub quarter: Quarter,
}

/// The commands of this file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuarterCommand {
    /// The administrator asks that the quarter be locked.
    Request(PlanQuarter),
    /// The head of office locks it.
    Approve(PlanQuarter),
    /// The head of office declines the lock.
    Reject(PlanQuarter),
}

impl QuarterCommand {
    /// The quarter a command is about.
    pub fn quarter(&self) -> PlanQuarter {
        match self {
            QuarterCommand::Request(q) | QuarterCommand::Approve(q) | QuarterCommand::Reject(q) => *q,
        }
    }
}

pub(crate) fn decide(
    state: &State,
    envelope: &Envelope,
    command: &QuarterCommand,
    now: Timestamp,
) -> Result<Outcome, Rejection> {
    let wanted = command.quarter();
    let plan = state.known_plan(wanted.year)?;
    let current = plan.quarters[wanted.quarter.index()];
    let about = |code| {
        Rejection::new(code)
            .with("quarter", wanted.quarter.number())
            .with("year", wanted.year)
            .with("state", current.name())
    };
    match (command, current) {
        (QuarterCommand::Request(_), _) if plan.state != PlanState::Established => {
            return Err(Rejection::new(Code::PlanNotEstablished)
                .with("year", wanted.year)
                .with("state", plan.state.name()));
        }
        (QuarterCommand::Request(_), QuarterState::Open) => {
            let last_day = wanted.quarter.last_day(wanted.year);
            if state.day(now) <= last_day {
                return Err(about(Code::QuarterNotOver).with("last_day", last_day));
            }
        }
        (QuarterCommand::Request(_), _) => return Err(about(Code::QuarterNotOpen)),
        (QuarterCommand::Approve(_), QuarterState::LockRequested { by }) if by == envelope.author => {
            return Err(about(Code::SelfApproval));
        }
        (QuarterCommand::Approve(_) | QuarterCommand::Reject(_), QuarterState::LockRequested { .. }) => {}
        (QuarterCommand::Approve(_) | QuarterCommand::Reject(_), _) => {
            return Err(about(Code::LockNotRequested));
        }
    }
    let frozen = matches!(command, QuarterCommand::Approve(_)).then(|| Box::new(frozen(state, wanted, now)));
    Ok(Outcome::Recorded(Effect { frozen, ..Effect::default() }))
}

/// The digest of what a lock now freezes: the figures as they are once the quarter is locked.
fn frozen(state: &State, quarter: PlanQuarter, now: Timestamp) -> [u8; 32] {
    let mut locked = state.clone();
    if let Some(plan) = locked.plan_mut(quarter.year) {
        plan.quarters[quarter.quarter.index()] = QuarterState::Locked { at: state.position + 1, time: now };
    }
    figures_hash(&locked, quarter)
}

pub(crate) fn apply(state: &mut State, record: &Record, command: &QuarterCommand) {
    let wanted = command.quarter();
    let Some(plan) = state.plan_mut(wanted.year) else { return };
    plan.quarters[wanted.quarter.index()] = match command {
        QuarterCommand::Request(_) => QuarterState::LockRequested { by: record.envelope.author },
        QuarterCommand::Approve(_) => QuarterState::Locked { at: record.position, time: record.time },
        QuarterCommand::Reject(_) => QuarterState::Open,
    };
}

/// Working days after a quarter's end on which its entries are due, unless the office sets another number.
pub const DUE_WORKING_DAYS: u32 = 5;

/// Public holidays on a fixed date (month, day): new year, labour day, Pancasila, independence, Christmas. Movable ones
/// come from the office's configuration.
const FIXED_HOLIDAYS: [(i8, i8); 5] = [(1, 1), (5, 1), (6, 1), (8, 17), (12, 25)];

/// The last day on which a quarter's entries are in time.
pub fn due_date(quarter: PlanQuarter) -> Date {
    let mut day = quarter.quarter.last_day(quarter.year);
    let mut left = DUE_WORKING_DAYS;
    while left > 0 {
        day = day.plus_days(1);
        left -= u32::from(is_working_day(day));
    }
    day
}

fn is_working_day(day: Date) -> bool {
    day.is_weekday()
        && !FIXED_HOLIDAYS.iter().any(|(month, of)| Date::new(day.year(), *month, *of) == Some(day))
}

/// True when something recorded now for the quarter comes after its due date.
pub(crate) fn is_late(state: &State, quarter: PlanQuarter, now: Timestamp) -> bool {
    now > state.zone().end_of(due_date(quarter))
}

impl State {
    /// True when the quarter's figures are frozen.
    pub fn is_locked(&self, quarter: PlanQuarter) -> bool {
        self.plan(quarter.year).is_some_and(|plan| plan.quarters[quarter.quarter.index()].is_locked())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_dates_of_2024() {
        let due: Vec<String> =
            Quarter::ALL.map(|quarter| due_date(PlanQuarter { year: 2024, quarter }).to_string()).to_vec();
        assert_eq!(due, ["2024-04-05", "2024-07-05", "2024-10-07", "2025-01-08"]);
    }
}
