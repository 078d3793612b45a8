//! Quarters: their lock by two people, and their reopening by two people until a time.

use crate::command::{Effect, Envelope, Outcome, Record};
use crate::frozen::freeze;
use crate::hash::frozen_digest;
use crate::ids::{PersonId, Position};
use crate::plan::PlanState;
use crate::rejection::{Code, Rejection};
use crate::state::State;
use crate::time::{Quarter, Timestamp};

/// Where a quarter is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QuarterState {
    #[default]
    Open,
    /// The administrator asked for the lock; entries are still admitted.
    LockRequested { by: PersonId },
    /// Frozen by a record.
    Locked(Lock),
    /// Still frozen; somebody asked to open it until a time.
    ReopenRequested { lock: Lock, by: PersonId, until: Timestamp },
    /// Entries are admitted again until the time; then it locks by itself.
    Reopened { until: Timestamp },
}

/// The record that froze a quarter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    pub at: Position,
    pub time: Timestamp,
}

/// The locks up to a record and up to a time. The record alone tells, unless a log that was restored had gone on before its
/// epoch ended: then a lock at an earlier record may have come later.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Locks {
    pub(crate) position: Position,
    pub(crate) time: Timestamp,
}

impl Locks {
    pub(crate) const ALL: Locks = Locks { position: Position::MAX, time: Timestamp(i64::MAX) };

    fn count(self, lock: Lock) -> bool {
        lock.at <= self.position && lock.time <= self.time
    }
}

impl QuarterState {
    /// The name used in JSON.
    pub fn name(self) -> &'static str {
        match self {
            QuarterState::Open => "open",
            QuarterState::LockRequested { .. } => "lock requested",
            QuarterState::Locked(_) => "locked",
            QuarterState::ReopenRequested { .. } => "reopen requested",
            QuarterState::Reopened { .. } => "reopened",
        }
    }

    /// The lock that holds, when its figures are frozen.
    pub fn lock(self) -> Option<Lock> {
        match self {
            QuarterState::Locked(lock) | QuarterState::ReopenRequested { lock, .. } => Some(lock),
            QuarterState::Open | QuarterState::LockRequested { .. } | QuarterState::Reopened { .. } => None,
        }
    }

    /// True once its figures are frozen.
    pub fn is_locked(self) -> bool {
        self.lock().is_some()
    }

    /// When it locks by itself.
    pub fn relocks_at(self) -> Option<Timestamp> {
        match self {
            QuarterState::Reopened { until } => Some(until),
            _ => None,
        }
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
    /// A head of unit or an administrator asks, with a reason, to open a locked quarter until a time.
    RequestReopen(PlanQuarter, Timestamp),
    /// An administrator who did not ask opens it.
    GrantReopen(PlanQuarter),
    /// An administrator declines to open it.
    DeclineReopen(PlanQuarter),
    /// The writer itself, once the time has come.
    Relock(PlanQuarter),
}

impl QuarterCommand {
    /// The quarter a command is about.
    pub fn quarter(&self) -> PlanQuarter {
        match self {
            QuarterCommand::Request(quarter)
            | QuarterCommand::Approve(quarter)
            | QuarterCommand::Reject(quarter)
            | QuarterCommand::RequestReopen(quarter, _)
            | QuarterCommand::GrantReopen(quarter)
            | QuarterCommand::DeclineReopen(quarter)
            | QuarterCommand::Relock(quarter) => *quarter,
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
    use QuarterCommand as Q;
    match (command, current) {
        (Q::Request(_), _) if plan.state != PlanState::Established => {
            return Err(Rejection::new(Code::PlanNotEstablished)
                .with("year", wanted.year)
                .with("state", plan.state.name()));
        }
        (Q::Request(_), QuarterState::Open) => {
            let last_day = wanted.quarter.last_day(wanted.year);
            if state.day(now) <= last_day {
                return Err(about(Code::QuarterNotOver).with("last_day", last_day));
            }
        }
        (Q::Request(_), _) => return Err(about(Code::QuarterNotOpen)),
        (Q::Approve(_), QuarterState::LockRequested { by })
        | (Q::GrantReopen(_), QuarterState::ReopenRequested { by, .. })
            if by == envelope.author =>
        {
            return Err(about(Code::SelfApproval));
        }
        (Q::Approve(_) | Q::Reject(_), QuarterState::LockRequested { .. }) => {}
        (Q::Approve(_) | Q::Reject(_), _) => return Err(about(Code::LockNotRequested)),
        (Q::RequestReopen(_, until), QuarterState::Locked(_)) => {
            crate::entry::reason_given(envelope)?;
            still_to_come(*until, now).map_err(|time| about(Code::ReopenPast).with("until", time))?;
        }
        (Q::RequestReopen(..), _) => return Err(about(Code::QuarterNotLocked)),
        (Q::GrantReopen(_), QuarterState::ReopenRequested { until, .. }) => {
            still_to_come(until, now).map_err(|time| about(Code::ReopenPast).with("until", time))?;
        }
        (Q::DeclineReopen(_), QuarterState::ReopenRequested { .. }) => crate::entry::reason_given(envelope)?,
        (Q::GrantReopen(_) | Q::DeclineReopen(_), _) => return Err(about(Code::ReopenNotRequested)),
        (Q::Relock(_), _) if current.relocks_at().is_some_and(|until| until <= now) => {}
        (Q::Relock(_), _) => return Err(about(Code::RelockNotDue)),
    }
    let locks = matches!(command, Q::Approve(_) | Q::Relock(_));
    let frozen = locks.then(|| Box::new(frozen_digest(state, wanted, &freeze(state, wanted))));
    Ok(Outcome::Recorded(Effect { frozen, ..Effect::default() }))
}

fn still_to_come(until: Timestamp, now: Timestamp) -> Result<(), String> {
    if until > now { Ok(()) } else { Err(until.rfc3339()) }
}

pub(crate) fn apply(state: &mut State, record: &Record, command: &QuarterCommand) {
    let wanted = command.quarter();
    if matches!(command, QuarterCommand::Approve(_) | QuarterCommand::Relock(_)) {
        keep_frozen(state, wanted);
    }
    let Some(plan) = state.plan_mut(wanted.year) else { return };
    let current = &mut plan.quarters[wanted.quarter.index()];
    let author = record.envelope.author;
    *current = match (command, *current) {
        (QuarterCommand::Request(_), _) => QuarterState::LockRequested { by: author },
        (QuarterCommand::Approve(_) | QuarterCommand::Relock(_), _) => {
            QuarterState::Locked(Lock { at: record.position, time: record.time })
        }
        (QuarterCommand::Reject(_), _) => QuarterState::Open,
        (QuarterCommand::RequestReopen(_, until), QuarterState::Locked(lock)) => {
            QuarterState::ReopenRequested { lock, by: author, until: *until }
        }
        (QuarterCommand::GrantReopen(_), QuarterState::ReopenRequested { until, .. }) => {
            QuarterState::Reopened { until }
        }
        (QuarterCommand::DeclineReopen(_), QuarterState::ReopenRequested { lock, .. }) => {
            QuarterState::Locked(lock)
        }
        (
            QuarterCommand::RequestReopen(..)
            | QuarterCommand::GrantReopen(_)
            | QuarterCommand::DeclineReopen(_),
            unchanged,
        ) => unchanged,
    };
}

fn keep_frozen(state: &mut State, quarter: PlanQuarter) {
    for (id, frozen) in freeze(state, quarter) {
        if let Some(indicator) = state.indicators.get_mut(id.index()) {
            indicator.frozen[quarter.quarter.index()] = Some(Box::new(frozen));
        }
    }
}

/// The next act that is due by itself at a time, which the writer records before it decides anything else: a relock.
pub fn due_by_itself(state: &State, now: Timestamp) -> Option<QuarterCommand> {
    let (_, quarter) = reopened(state).filter(|(until, _)| *until <= now).min()?;
    Some(QuarterCommand::Relock(quarter))
}

/// When the next act will be due by itself.
pub fn next_due(state: &State) -> Option<Timestamp> {
    reopened(state).map(|(until, _)| until).min()
}

fn reopened(state: &State) -> impl Iterator<Item = (Timestamp, PlanQuarter)> {
    state.plans.iter().flat_map(|plan| {
        let quarters = Quarter::ALL.into_iter().zip(plan.quarters);
        quarters
            .filter_map(|(quarter, now)| Some((now.relocks_at()?, PlanQuarter { year: plan.year, quarter })))
    })
}

/// True when something recorded now for the quarter comes after its due date.
pub(crate) fn is_late(state: &State, quarter: PlanQuarter, now: Timestamp) -> bool {
    now > state.zone().end_of(state.config.due_date(quarter))
}

impl State {
    /// Where a quarter is in its life; open when there is no such plan.
    pub fn quarter_state(&self, quarter: PlanQuarter) -> QuarterState {
        self.plan(quarter.year).map_or(QuarterState::Open, |plan| plan.quarters[quarter.quarter.index()])
    }

    /// True when the quarter's figures are frozen.
    pub fn is_locked(&self, quarter: PlanQuarter) -> bool {
        self.quarter_state(quarter).is_locked()
    }

    /// True when it admits nothing at a time: frozen, or reopened until a time that has come.
    pub fn is_closed(&self, quarter: PlanQuarter, now: Timestamp) -> bool {
        self.is_closed_by(quarter, now, Locks::ALL)
    }

    /// The same, where only some locks count.
    pub(crate) fn is_closed_by(&self, quarter: PlanQuarter, now: Timestamp, locks: Locks) -> bool {
        let current = self.quarter_state(quarter);
        current.lock().is_some_and(|lock| locks.count(lock))
            || current.relocks_at().is_some_and(|until| until <= now)
    }
}
