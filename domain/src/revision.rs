//! Revisions (perubahan): approved changes of an established plan, each with a legal basis. A change states the value it
//! replaces, so two revisions can never overwrite each other unseen.

use crate::command::{Effect, Envelope, Outcome, Record};
use crate::ids::{IndicatorId, PersonId, Position, RevisionId, UnitId};
use crate::indicator::{
    Facet, Indicator, Level, LowerFormula, Polarity, Settings, TargetCell, TargetVersion, cap_admissible,
};
use crate::plan::{ImportIndicator, PlanState, unit_of_post};
use crate::proposal::Kind;
use crate::quantity::{Quantity, Target};
use crate::quarter::PlanQuarter;
use crate::rejection::{Code, Rejection};
use crate::state::State;
use crate::tally::Tally;
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
    Cap { indicator: IndicatorId, old: Option<Quantity>, new: Option<Quantity> },
    YearTarget { indicator: IndicatorId, old: Option<Quantity>, new: Option<Quantity> },
    Retire { indicator: IndicatorId },
    Add(Box<AddIndicator>),
}

/// A new indicator. It is measured from the revision's effective quarter on; nothing was due before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddIndicator {
    /// The strategic indicator of a program, the program of a row; `None` for a strategic indicator.
    pub parent: Option<IndicatorId>,
    /// Index into the plan's objectives, of a strategic indicator.
    pub objective: u32,
    pub row: ImportIndicator,
    pub polarity: Polarity,
    pub formula: LowerFormula,
    pub cap: Option<Quantity>,
}

impl Change {
    /// The indicator it changes; none where it adds one.
    pub fn indicator(&self) -> Option<IndicatorId> {
        match self {
            Change::Add(_) => None,
            Change::Target { indicator, .. }
            | Change::Kind { indicator, .. }
            | Change::Polarity { indicator, .. }
            | Change::Formula { indicator, .. }
            | Change::Rename { indicator, .. }
            | Change::Reassign { indicator, .. }
            | Change::Cap { indicator, .. }
            | Change::YearTarget { indicator, .. }
            | Change::Retire { indicator } => Some(*indicator),
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
            Change::Cap { .. } => "cap",
            Change::YearTarget { .. } => "year_target",
            Change::Retire { .. } => "retire",
            Change::Add(_) => "add",
        }
    }

    /// True when both set the same thing, so that the later replaces the earlier within one draft.
    fn same_place(&self, other: &Change) -> bool {
        let same_detail = match (self, other) {
            (Change::Target { quarter: a, .. }, Change::Target { quarter: b, .. }) => a == b,
            (Change::Add(a), Change::Add(b)) => {
                (a.parent, a.objective, &a.row.name, &a.row.measure)
                    == (b.parent, b.objective, &b.row.name, &b.row.measure)
            }
            _ => true,
        };
        self.name() == other.name() && self.indicator() == other.indicator() && same_detail
    }

    fn changes_nothing(&self) -> bool {
        match self {
            Change::Target { old, new, .. } => old == new,
            Change::Kind { old, new, .. } => old == new,
            Change::Polarity { old, new, .. } => old == new,
            Change::Formula { old, new, .. } => old == new,
            Change::Rename { old, new, .. } => old == new,
            Change::Reassign { old, new, .. } => *old == Some(*new),
            Change::Cap { old, new, .. } | Change::YearTarget { old, new, .. } => old == new,
            Change::Retire { .. } | Change::Add(_) => false,
        }
    }

    /// True when the value it replaces still holds, in every quarter where it would be replaced.
    pub fn base_holds(&self, indicator: &Indicator, effective: Quarter) -> bool {
        let all =
            |holds: &dyn Fn(&Settings) -> bool| indicator.settings[effective.index()..].iter().all(holds);
        let facets = &indicator.facets[effective.index()..];
        match self {
            Change::Target { quarter, old, .. } => indicator.target(*quarter) == old,
            Change::Kind { old, .. } => all(&|settings| settings.kind == *old),
            Change::Polarity { old, .. } => all(&|settings| settings.polarity == *old),
            Change::Formula { old, .. } => all(&|settings| settings.formula == *old),
            Change::Rename { old, .. } => facets.iter().all(|facet| facet.measure == *old),
            Change::Reassign { old, .. } => facets.iter().all(|facet| facet.unit == *old),
            Change::Cap { old, .. } => all(&|settings| settings.cap == *old),
            Change::YearTarget { old, .. } => indicator.year_target == *old,
            Change::Retire { .. } => indicator.retired.is_none(),
            Change::Add(_) => true,
        }
    }

    /// The quarters it touches: none of them may be locked.
    pub fn touches(&self, effective: Quarter) -> Vec<Quarter> {
        match self {
            Change::Target { quarter, .. } => vec![*quarter],
            Change::YearTarget { .. } => vec![Quarter::Q4],
            _ => Quarter::ALL.into_iter().filter(|quarter| *quarter >= effective).collect(),
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
            RevisionCommand::AddChange(_, Change::Add(add)) => add.row.texts(),
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
    now: Timestamp,
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
        RevisionCommand::Submit(_) => cells_open(state, revision, now)?,
        RevisionCommand::Approve(_) => {
            if revision.authors.contains(&envelope.author) || revision.submitted_by == Some(envelope.author) {
                return Err(about(Code::SelfApproval));
            }
            cells_open(state, revision, now)?;
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
    if let Change::Add(add) = change {
        return addition_admissible(state, draft, add);
    }
    let indicator = state.indicator_in_plan(change.indicator())?;
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
        Change::Cap { new, .. } => cap_admissible(*new)?,
        _ => {}
    }
    if let Some(quarter) = change.touches(draft.effective).into_iter().find(|q| indicator.is_retired_in(*q)) {
        return Err(Rejection::new(Code::IndicatorRetired)
            .with("indicator", &indicator.code)
            .with("quarter", quarter.number()));
    }
    match change.changes_nothing() {
        true => Err(about(Code::NothingToChange)),
        false => Ok(()),
    }
}

/// A new indicator has a place in the tree that is there, a measure, and no target before it is measured.
fn addition_admissible(state: &State, draft: &DraftRevision, add: &AddIndicator) -> Result<(), Rejection> {
    let about = |code| Rejection::new(code).with("revision", &draft.number).with("level", add.row.level);
    cap_admissible(add.cap)?;
    let parent = match add.parent {
        Some(parent) => Some(state.indicator_in_plan(Some(parent))?),
        None => None,
    };
    let fits = match (add.row.level, parent) {
        (Level::Strategic, None) => {
            let objectives = state.known_plan(draft.year)?.objectives.len();
            (add.objective as usize) < objectives
        }
        (Level::Program, Some(parent)) => parent.level == Level::Strategic,
        (Level::Activity | Level::SubActivity, Some(parent)) => parent.level == Level::Program,
        (Level::Strategic, Some(_)) | (_, None) => false,
    };
    if !fits || parent.is_some_and(|parent| parent.year != draft.year) {
        let below = parent.map_or_else(String::new, |parent| parent.code.to_string());
        return Err(about(Code::PlaceInvalid).with("parent", below));
    }
    if let Some(parent) = parent.filter(|parent| parent.retired.is_some()) {
        return Err(Rejection::new(Code::IndicatorRetired)
            .with("indicator", &parent.code)
            .with("quarter", draft.effective.number()));
    }
    if add.row.measure.trim().is_empty() {
        return Err(about(Code::NothingToChange).with("change", "add"));
    }
    let early = draft.effective.up_to().iter().rev().skip(1);
    match early.into_iter().find(|quarter| add.row.targets[quarter.index()] != Target::NotPlanned) {
        Some(quarter) => Err(about(Code::BeforeEffect)
            .with("quarter", quarter.number())
            .with("effective", draft.effective.number())),
        None => Ok(()),
    }
}

fn cells_open(state: &State, revision: &Revision, now: Timestamp) -> Result<(), Rejection> {
    let year = revision.draft.year;
    for change in &revision.changes {
        let touched = change.touches(revision.draft.effective);
        let locked =
            touched.into_iter().find(|quarter| state.is_closed(PlanQuarter { year, quarter: *quarter }, now));
        if let Some(quarter) = locked {
            return Err(Rejection::new(Code::CellLocked)
                .with("revision", &revision.draft.number)
                .with(
                    "indicator",
                    change.indicator().and_then(|id| state.indicator(id)).map_or("", |i| &i.code),
                )
                .with("quarter", quarter.number()));
        }
    }
    Ok(())
}

fn bases_hold(state: &State, revision: &Revision) -> Result<(), Rejection> {
    for change in &revision.changes {
        if let Change::Add(add) = change {
            addition_admissible(state, &revision.draft, add)?;
            continue;
        }
        let indicator = state.known_indicator(change.indicator())?;
        let effective = revision.draft.effective;
        // Nothing is due of what was retired meanwhile, so no old value of it holds.
        let gone = indicator
            .retired
            .filter(|_| change.touches(effective).into_iter().any(|q| indicator.is_retired_in(q)));
        if gone.is_none() && change.base_holds(indicator, effective) {
            continue;
        }
        let mut cause = Rejection::new(Code::BaseMoved)
            .with("revision", &revision.draft.number)
            .with("indicator", &indicator.code)
            .with("change", change.name());
        if let Change::Target { quarter, old, .. } = change {
            let holds = if gone.is_some() { &Target::NotPlanned } else { indicator.target(*quarter) };
            cause = cause
                .with("quarter", quarter.number())
                .with("stated", old.label())
                .with("holds", holds.label());
        }
        let other = match gone {
            Some((by, _)) => state.revision(by),
            None => moved_by(state, change, revision),
        };
        if let Some(other) = other {
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
    if let Change::Add(add) = change {
        return add_indicator(state, record, id, effective, add);
    }
    let unit_name = match change {
        Change::Reassign { new, .. } => state.people.unit(*new).map(|unit| unit.name.clone()),
        _ => None,
    };
    let Some(indicator) = change.indicator().and_then(|id| state.indicators.get_mut(id.index())) else {
        return;
    };
    let (settings, facets) =
        (&mut indicator.settings[effective.index()..], &mut indicator.facets[effective.index()..]);
    match change {
        Change::Target { quarter, new, .. } => {
            indicator.targets[quarter.index()].versions.push(version(record, new.clone(), Some(id)))
        }
        Change::Kind { new, .. } => {
            settings.iter_mut().for_each(|settings| settings.kind = *new);
            indicator.confirmed = true;
        }
        Change::Polarity { new, .. } => settings.iter_mut().for_each(|settings| settings.polarity = *new),
        Change::Formula { new, .. } => settings.iter_mut().for_each(|settings| settings.formula = *new),
        Change::Cap { new, .. } => settings.iter_mut().for_each(|settings| settings.cap = *new),
        Change::Rename { new, .. } => facets.iter_mut().for_each(|facet| facet.measure = new.clone()),
        Change::Reassign { new, .. } => {
            indicator.reassign(effective, *new, unit_name.as_deref().unwrap_or_default());
        }
        Change::YearTarget { new, .. } => indicator.year_target = *new,
        Change::Retire { .. } => indicator.retired = Some((id, effective)),
        Change::Add(_) => unreachable!("BUG: it was taken above"),
    }
}

fn version(record: &Record, target: Target, revision: Option<RevisionId>) -> TargetVersion {
    TargetVersion { target, revision, position: record.position, time: record.time }
}

/// Puts a new indicator below its parent, after all that stands there, with the next number.
fn add_indicator(
    state: &mut State,
    record: &Record,
    revision: RevisionId,
    effective: Quarter,
    add: &AddIndicator,
) {
    let Some(year) = state.revision(revision).map(|revision| revision.draft.year) else { return };
    let Some(code) = next_code(state, year, add) else { return };
    let parent = add.parent.and_then(|id| state.indicator(id));
    let objective = parent.map_or(add.objective, |parent| parent.objective);
    let of_objective = |plan: &crate::plan::Plan| plan.objectives.get(objective as usize).cloned();
    let name = match add.row.level {
        Level::Strategic => state.plan(year).and_then(of_objective).unwrap_or_default(),
        _ => add.row.name.clone(),
    };
    let inherited = parent.and_then(|parent| parent.facet_in(effective).unit);
    let unit = match &add.row.responsible {
        Some(post) => Some(unit_of_post(state, post)),
        None => inherited,
    };
    let facet = Facet { measure: add.row.measure.clone(), responsible: add.row.responsible.clone(), unit };
    let settings =
        Settings { kind: add.row.kind, polarity: add.polarity, formula: add.formula, cap: add.cap };
    // Nothing was established for it: its target murni is that nothing was planned.
    let cell = |target: &Target| TargetCell {
        versions: vec![
            version(record, Target::NotPlanned, None),
            version(record, target.clone(), Some(revision)),
        ],
        original: Some(0),
    };
    let id = IndicatorId::after(state.indicators.len());
    state.indicators.push(Indicator {
        year,
        level: add.row.level,
        objective,
        parent: add.parent,
        code,
        name,
        satuan: add.row.satuan.clone(),
        facets: std::array::from_fn(|_| facet.clone()),
        settings: [settings; 4],
        confirmed: true,
        targets: std::array::from_fn(|index| cell(&add.row.targets[index])),
        year_target: add.row.year_target,
        retired: None,
        frozen: Default::default(),
        tally: Tally::default(),
        entries: Vec::new(),
    });
    let at = place_below(state, year, add.parent, objective);
    if let Some(plan) = state.plan_mut(year) {
        plan.indicators.insert(at, id);
    }
}

/// Codes never move or return: the next number after all that ever stood there.
fn next_code(state: &State, year: i16, add: &AddIndicator) -> Option<Box<str>> {
    let plan = state.plan(year)?;
    let beside = |indicator: &&Indicator| match add.parent {
        Some(_) => indicator.parent == add.parent,
        None => indicator.level == Level::Strategic && indicator.objective == add.objective,
    };
    let siblings = plan.indicators.iter().filter_map(|id| state.indicator(*id)).filter(beside).count();
    let above = match add.parent {
        Some(parent) => state.indicator(parent)?.code.to_string(),
        None => (add.objective + 1).to_string(),
    };
    Some(format!("{above}.{}", siblings + 1).into())
}

/// Where a new child stands in the plan's order: after the last descendant of its parent, or of its objective.
fn place_below(state: &State, year: i16, parent: Option<IndicatorId>, objective: u32) -> usize {
    let Some(plan) = state.plan(year) else { return 0 };
    let parent_of = |id: IndicatorId| state.indicator(id).and_then(|indicator| indicator.parent);
    let is_below = |id: IndicatorId| match parent {
        Some(parent) => {
            std::iter::successors(Some(id), |id| parent_of(*id)).any(|ancestor| ancestor == parent)
        }
        None => state.indicator(id).is_some_and(|indicator| indicator.objective <= objective),
    };
    plan.indicators.iter().rposition(|id| is_below(*id)).map_or(plan.indicators.len(), |last| last + 1)
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
