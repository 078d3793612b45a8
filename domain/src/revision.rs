//! Revisions (perubahan): approved changes of an established plan, each with a legal basis. A change states the value it
//! replaces, so two revisions can never overwrite each other unseen.

use std::fmt;

use crate::command::{Effect, Envelope, Outcome, Record};
use crate::ids::{IndicatorId, PersonId, Position, RevisionId, UnitId};
use crate::indicator::{Indicator, LowerFormula, Polarity, Settings, TargetVersion};
use crate::plan::PlanState;
use crate::proposal::Kind;
use crate::quantity::Target;
use crate::quarter::PlanQuarter;
use crate::rejection::{Code, Rejection};
use crate::state::State;
use crate::time::{Date, Quarter, Timestamp};

/// The act that allows a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegalBasis {
    pub title: Box<str>,
    pub number: Box<str>,
    pub date: Date,
}

/// One change. `old` is the value it replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Target { indicator: IndicatorId, quarter: Quarter, old: Target, new: Target },
    Kind { indicator: IndicatorId, old: Kind, new: Kind },
    Polarity { indicator: IndicatorId, old: Polarity, new: Polarity },
    Formula { indicator: IndicatorId, old: LowerFormula, new: LowerFormula },
    Rename { indicator: IndicatorId, old: Box<str>, new: Box<str> },
    Reassign { indicator: IndicatorId, old: Option<UnitId>, new: UnitId },
    Retire { indicator: IndicatorId },
}

impl Change {
    /// The indicator it changes.
    pub fn indicator(&self) -> IndicatorId {
        match self {
            Change::Target { indicator, .. }
            | Change::Kind { indicator, .. }
            | Change::Polarity { indicator, .. }
            | Change::Formula { indicator, .. }
            | Change::Rename { indicator, .. }
            | Change::Reassign { indicator, .. }
            | Change::Retire { indicator } => *indicator,
        }
    }

    /// The name used in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Change::Target { .. } => "target",
            Change::Kind { .. } => "kind",
            Change::Polarity { .. } => "polarity",
            Change::Formula { .. } => "formula",
            Change::Rename { .. } => "rename",
            Change::Reassign { .. } => "reassign",
            Change::Retire { .. } => "retire",
        }
    }

    /// True when both set the same thing, so that the later replaces the earlier within one draft.
    fn same_place(&self, other: &Change) -> bool {
        let same_quarter = match (self, other) {
            (Change::Target { quarter: a, .. }, Change::Target { quarter: b, .. }) => a == b,
            _ => true,
        };
        self.name() == other.name() && self.indicator() == other.indicator() && same_quarter
    }

    fn changes_nothing(&self) -> bool {
        match self {
            Change::Target { old, new, .. } => old == new,
            Change::Kind { old, new, .. } => old == new,
            Change::Polarity { old, new, .. } => old == new,
            Change::Formula { old, new, .. } => old == new,
            Change::Rename { old, new, .. } => old == new,
            Change::Reassign { old, new, .. } => *old == Some(*new),
            Change::Retire { .. } => false,
        }
    }

    /// True when the value it replaces still holds, in every quarter where it would be replaced.
    fn base_holds(&self, indicator: &Indicator, effective: Quarter) -> bool {
        let all =
            |holds: &dyn Fn(&Settings) -> bool| indicator.settings[effective.index()..].iter().all(holds);
        match self {
            Change::Target { quarter, old, .. } => indicator.target(*quarter) == old,
            Change::Kind { old, .. } => all(&|settings| settings.kind == *old),
            Change::Polarity { old, .. } => all(&|settings| settings.polarity == *old),
            Change::Formula { old, .. } => all(&|settings| settings.formula == *old),
            Change::Rename { old, .. } => indicator.measure == *old,
            Change::Reassign { old, .. } => indicator.unit == *old,
            Change::Retire { .. } => indicator.retired.is_none(),
        }
    }

    /// The quarters whose figures it touches.
    fn touches(&self, effective: Quarter) -> Vec<Quarter> {
        match self {
            Change::Target { quarter, .. } => vec![*quarter],
            Change::Rename { .. } | Change::Reassign { .. } => Vec::new(),
            Change::Kind { .. }
            | Change::Polarity { .. }
            | Change::Formula { .. }
            | Change::Retire { .. } => {
                Quarter::ALL.into_iter().filter(|quarter| *quarter >= effective).collect()
            }
        }
    }
}

/// Where a revision is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevisionState {
    Draft,
    Submitted,
    Approved,
    Rejected,
    Withdrawn,
}

impl RevisionState {
    /// The name used in JSON.
    pub fn name(self) -> &'static str {
        match self {
            RevisionState::Draft => "draft",
            RevisionState::Submitted => "submitted",
            RevisionState::Approved => "approved",
            RevisionState::Rejected => "rejected",
            RevisionState::Withdrawn => "withdrawn",
        }
    }
}

/// One revision with its whole life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    pub draft: DraftRevision,
    pub changes: Vec<Change>,
    pub state: RevisionState,
    pub drafted_by: PersonId,
    /// Everybody who drafted it or added a change, once each.
    pub authors: Vec<PersonId>,
    pub submitted_by: Option<PersonId>,
    pub decided_by: Option<PersonId>,
    /// The record that last moved it, and when.
    pub position: Position,
    pub time: Timestamp,
}

/// Opens a revision. Number, reason and basis are public acts and stay in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DraftRevision {
    pub year: i16,
    /// The office's own number for it.
    pub number: Box<str>,
    pub reason: Box<str>,
    pub basis: LegalBasis,
    /// The first quarter it may change.
    pub effective: Quarter,
}

/// The commands of this file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevisionCommand {
    Draft(DraftRevision),
    AddChange(RevisionId, Change),
    Submit(RevisionId),
    Approve(RevisionId),
    Reject(RevisionId),
    Withdraw(RevisionId),
}

impl RevisionCommand {
    pub(crate) fn texts(&self) -> Vec<&str> {
        match self {
            RevisionCommand::Draft(draft) => {
                vec![&draft.number, &draft.reason, &draft.basis.title, &draft.basis.number]
            }
            RevisionCommand::AddChange(_, Change::Rename { old, new, .. }) => vec![old, new],
            RevisionCommand::AddChange(_, Change::Target { old, new, .. }) => {
                old.text().into_iter().chain(new.text()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The revision it is about, when it is not a new one.
    pub fn revision(&self) -> Option<RevisionId> {
        match self {
            RevisionCommand::Draft(_) => None,
            RevisionCommand::AddChange(id, _)
            | RevisionCommand::Submit(id)
            | RevisionCommand::Approve(id)
            | RevisionCommand::Reject(id)
            | RevisionCommand::Withdraw(id) => Some(*id),
        }
    }
}

pub(crate) fn decide(
    state: &State,
    envelope: &Envelope,
    command: &RevisionCommand,
) -> Result<Outcome, Rejection> {
    let expected: &[RevisionState] = match command {
        RevisionCommand::Draft(draft) => {
            return draft_admissible(state, draft).map(|()| Outcome::Recorded(Effect::default()));
        }
        RevisionCommand::AddChange(..) | RevisionCommand::Submit(_) => &[RevisionState::Draft],
        RevisionCommand::Approve(_) | RevisionCommand::Reject(_) => &[RevisionState::Submitted],
        RevisionCommand::Withdraw(_) => &[RevisionState::Draft, RevisionState::Submitted],
    };
    let revision = state.known_revision(command.revision())?;
    let about = |code| Rejection::new(code).with("revision", &revision.draft.number);
    if !expected.contains(&revision.state) {
        return Err(about(Code::RevisionState).with("state", revision.state.name()));
    }
    match command {
        RevisionCommand::AddChange(_, change) => change_admissible(state, &revision.draft, change)?,
        RevisionCommand::Submit(_) if revision.changes.is_empty() => return Err(about(Code::RevisionEmpty)),
        RevisionCommand::Submit(_) => cells_open(state, revision)?,
        RevisionCommand::Approve(_) => {
            if revision.authors.contains(&envelope.author) || revision.submitted_by == Some(envelope.author) {
                return Err(about(Code::SelfApproval));
            }
            cells_open(state, revision)?;
            bases_hold(state, revision)?;
        }
        RevisionCommand::Reject(_) => crate::entry::reason_given(envelope)?,
        RevisionCommand::Draft(_) | RevisionCommand::Withdraw(_) => {}
    }
    Ok(Outcome::Recorded(Effect::default()))
}

fn draft_admissible(state: &State, draft: &DraftRevision) -> Result<(), Rejection> {
    let plan = state.known_plan(draft.year)?;
    let about = |code| Rejection::new(code).with("revision", &draft.number).with("year", draft.year);
    if plan.state != PlanState::Established {
        return Err(about(Code::PlanNotEstablished).with("state", plan.state.name()));
    }
    if [&draft.number, &draft.basis.title, &draft.basis.number].iter().any(|text| text.trim().is_empty()) {
        return Err(about(Code::LegalBasisMissing));
    }
    if draft.reason.trim().is_empty() {
        return Err(about(Code::ReasonMissing));
    }
    let taken = state.revisions.iter().any(|other| {
        other.draft.year == draft.year
            && other.draft.number == draft.number
            && !matches!(other.state, RevisionState::Rejected | RevisionState::Withdrawn)
    });
    if taken { Err(about(Code::RevisionNumberTaken)) } else { Ok(()) }
}

fn change_admissible(state: &State, draft: &DraftRevision, change: &Change) -> Result<(), Rejection> {
    let indicator = state.indicator_in_plan(Some(change.indicator()))?;
    let about = |code| {
        Rejection::new(code)
            .with("revision", &draft.number)
            .with("indicator", &indicator.code)
            .with("change", change.name())
    };
    if indicator.year != draft.year {
        return Err(about(Code::WrongYear).with("year", draft.year));
    }
    match change {
        Change::Target { quarter, .. } if *quarter < draft.effective => {
            return Err(about(Code::BeforeEffect)
                .with("quarter", quarter.number())
                .with("effective", draft.effective.number()));
        }
        Change::Reassign { new, .. } if state.people.unit(*new).is_none() => {
            return Err(Rejection::new(Code::UnknownUnit).with("unit", new));
        }
        Change::Rename { new, .. } if new.trim().is_empty() => return Err(about(Code::NothingToChange)),
        _ => {}
    }
    match change.changes_nothing() {
        true => Err(about(Code::NothingToChange)),
        false => Ok(()),
    }
}

fn cells_open(state: &State, revision: &Revision) -> Result<(), Rejection> {
    let year = revision.draft.year;
    for change in &revision.changes {
        let touched = change.touches(revision.draft.effective);
        let locked =
            touched.into_iter().find(|quarter| state.is_locked(PlanQuarter { year, quarter: *quarter }));
        if let Some(quarter) = locked {
            return Err(Rejection::new(Code::CellLocked)
                .with("revision", &revision.draft.number)
                .with("indicator", &state.known_indicator(Some(change.indicator()))?.code)
                .with("quarter", quarter.number()));
        }
    }
    Ok(())
}

fn bases_hold(state: &State, revision: &Revision) -> Result<(), Rejection> {
    for change in &revision.changes {
        let indicator = state.known_indicator(Some(change.indicator()))?;
        if change.base_holds(indicator, revision.draft.effective) {
            continue;
        }
        let mut cause = Rejection::new(Code::BaseMoved)
            .with("revision", &revision.draft.number)
            .with("indicator", &indicator.code)
            .with("change", change.name());
        if let Change::Target { quarter, old, .. } = change {
            cause = cause
                .with("quarter", quarter.number())
                .with("stated", old.label())
                .with("holds", indicator.target(*quarter).label());
        }
        if let Some(other) = moved_by(state, change, revision) {
            cause = cause.with("other", &other.draft.number);
        }
        return Err(cause);
    }
    Ok(())
}

/// The latest approved revision that changed the same thing.
fn moved_by<'a>(state: &'a State, change: &Change, own: &Revision) -> Option<&'a Revision> {
    state
        .revisions
        .iter()
        .filter(|other| other.state == RevisionState::Approved && other.draft.year == own.draft.year)
        .filter(|other| other.changes.iter().any(|theirs| theirs.same_place(change)))
        .max_by_key(|other| other.position)
}

pub(crate) fn apply(state: &mut State, record: &Record, command: &RevisionCommand) {
    let author = record.envelope.author;
    if let RevisionCommand::Draft(draft) = command {
        state.revisions.push(Revision {
            draft: draft.clone(),
            changes: Vec::new(),
            state: RevisionState::Draft,
            drafted_by: author,
            authors: vec![author],
            submitted_by: None,
            decided_by: None,
            position: record.position,
            time: record.time,
        });
        return;
    }
    let Some(id) = command.revision() else { return };
    let Some(revision) = state.revisions.get_mut(id.index()) else { return };
    (revision.position, revision.time) = (record.position, record.time);
    match command {
        RevisionCommand::Draft(_) => {}
        RevisionCommand::AddChange(_, change) => {
            revision.changes.retain(|earlier| !earlier.same_place(change));
            revision.changes.push(change.clone());
            if !revision.authors.contains(&author) {
                revision.authors.push(author);
            }
        }
        RevisionCommand::Submit(_) => {
            revision.state = RevisionState::Submitted;
            revision.submitted_by = Some(author);
        }
        RevisionCommand::Approve(_) => {
            revision.state = RevisionState::Approved;
            revision.decided_by = Some(author);
            let (changes, effective) = (revision.changes.clone(), revision.draft.effective);
            changes.iter().for_each(|change| take_effect(state, record, id, effective, change));
        }
        RevisionCommand::Reject(_) => {
            revision.state = RevisionState::Rejected;
            revision.decided_by = Some(author);
        }
        RevisionCommand::Withdraw(_) => revision.state = RevisionState::Withdrawn,
    }
}

fn take_effect(state: &mut State, record: &Record, id: RevisionId, effective: Quarter, change: &Change) {
    let Some(indicator) = state.indicators.get_mut(change.indicator().index()) else { return };
    let from_effective = effective.index()..;
    match change {
        Change::Target { quarter, new, .. } => {
            indicator.targets[quarter.index()].versions.push(TargetVersion {
                target: new.clone(),
                revision: Some(id),
                position: record.position,
                time: record.time,
            })
        }
        Change::Kind { new, .. } => {
            indicator.settings[from_effective].iter_mut().for_each(|settings| settings.kind = *new);
            indicator.confirmed = true;
        }
        Change::Polarity { new, .. } => {
            indicator.settings[from_effective].iter_mut().for_each(|settings| settings.polarity = *new);
        }
        Change::Formula { new, .. } => {
            indicator.settings[from_effective].iter_mut().for_each(|settings| settings.formula = *new);
        }
        Change::Rename { new, .. } => indicator.measure = new.clone(),
        Change::Reassign { new, .. } => indicator.unit = Some(*new),
        Change::Retire { .. } => indicator.retired = Some((id, effective)),
    }
}

impl State {
    /// A revision by id.
    pub fn revision(&self, id: RevisionId) -> Option<&Revision> {
        self.revisions.get(id.index())
    }

    fn known_revision(&self, id: Option<RevisionId>) -> Result<&Revision, Rejection> {
        id.and_then(|id| self.revision(id))
            .ok_or_else(|| Rejection::new(Code::UnknownRevision).with("revision", id.map_or(0, |id| id.0)))
    }
}

impl fmt::Display for RevisionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
