//! A year's plan: its import as one run of records, and its establishment.

use crate::command::{Effect, Envelope, Outcome, Record};
use crate::entry::EntryCommand;
use crate::figures::year_target_differs;
use crate::held::Held;
use crate::ids::{IndicatorId, PersonId, Position, UnitId};
use crate::indicator::{Facet, Indicator, Level, Settings, TargetCell, TargetVersion};
use crate::people::Unit;
use crate::proposal::Kind;
use crate::quantity::{Quantity, Target};
use crate::quarter::QuarterState;
use crate::rejection::{Code, Rejection};
use crate::state::State;
use crate::tally::Tally;

/// Where a plan is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanState {
    /// Imported; may be imported again and set directly.
    Draft,
    /// The administrator asked the head of office to establish it.
    Submitted,
    /// Established; only revisions change it.
    Established,
}

impl PlanState {
    /// The name used in JSON.
    pub fn name(self) -> &'static str {
        match self {
            PlanState::Draft => "draft",
            PlanState::Submitted => "submitted",
            PlanState::Established => "established",
        }
    }
}

/// One office's plan for one year.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub year: i16,
    pub state: PlanState,
    /// The office's name as the document has it.
    pub title: Box<str>,
    /// Sasaran strategis, in the plan's order.
    pub objectives: Vec<Box<str>>,
    /// Every indicator, in the plan's order.
    pub indicators: Vec<IndicatorId>,
    /// Legal basis of the establishment.
    pub basis: Option<Box<str>>,
    pub submitted_by: Option<PersonId>,
    pub established_at: Option<Position>,
    pub quarters: [QuarterState; 4],
}

/// Opens an import; what was staged before by the same device and not finished is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartImport {
    pub year: i16,
    pub title: Box<str>,
    /// SHA-256 of the file that was read.
    pub source_sha256: [u8; 32],
}

/// The next objective.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportObjective {
    pub name: Box<str>,
}

/// The next indicator. It belongs to the latest objective; a program to the latest strategic indicator, a row to the
/// latest program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportIndicator {
    pub level: Level,
    /// Empty for a strategic indicator.
    pub name: Box<str>,
    pub measure: Box<str>,
    pub satuan: Option<Box<str>>,
    pub responsible: Option<Box<str>>,
    pub kind: Kind,
    pub targets: [Target; 4],
    /// The year's target where the document states one beside those of the quarters.
    pub year_target: Option<Quantity>,
}

impl ImportIndicator {
    pub(crate) fn texts(&self) -> Vec<&str> {
        let optional = self.satuan.as_deref().into_iter().chain(self.responsible.as_deref());
        let targets = self.targets.iter().filter_map(Target::text);
        optional.chain(targets).chain([&*self.name, &*self.measure]).collect()
    }
}

/// Closes an import: the plan becomes visible with this record, or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishImport {
    pub year: i16,
    pub objectives: u32,
    pub indicators: u32,
}

/// Asks the head of office to establish the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EstablishPlan {
    pub year: i16,
    pub basis: Box<str>,
}

/// Establishes the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovePlan {
    pub year: i16,
}

/// The commands of this file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanCommand {
    StartImport(StartImport),
    ImportObjective(ImportObjective),
    ImportIndicator(Box<ImportIndicator>),
    FinishImport(FinishImport),
    EstablishPlan(EstablishPlan),
    ApprovePlan(ApprovePlan),
    /// The head of office gives a submitted plan back, with a reason.
    SendBackPlan(i16),
    /// The administrator takes a submitted plan back.
    RecallPlan(i16),
}

impl PlanCommand {
    pub(crate) fn texts(&self) -> Vec<&str> {
        match self {
            PlanCommand::StartImport(start) => vec![&start.title],
            PlanCommand::ImportObjective(objective) => vec![&objective.name],
            PlanCommand::ImportIndicator(row) => row.texts(),
            PlanCommand::EstablishPlan(establish) => vec![&establish.basis],
            PlanCommand::FinishImport(_)
            | PlanCommand::ApprovePlan(_)
            | PlanCommand::SendBackPlan(_)
            | PlanCommand::RecallPlan(_) => Vec::new(),
        }
    }
}

/// An import that has begun and is not yet visible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staging {
    pub start: StartImport,
    pub objectives: Vec<Box<str>>,
    /// With the index of the objective each belongs to.
    pub indicators: Vec<(u32, ImportIndicator)>,
    pub position: Position,
}

pub(crate) fn decide(
    state: &State,
    envelope: &Envelope,
    command: &PlanCommand,
) -> Result<Outcome, Rejection> {
    match command {
        PlanCommand::StartImport(start) => importable(state, start.year)?,
        PlanCommand::ImportObjective(_) | PlanCommand::ImportIndicator(_) => {
            staged(state, envelope)?;
        }
        PlanCommand::FinishImport(finish) => {
            importable(state, finish.year)?;
            complete(staged(state, envelope)?, finish)?;
        }
        PlanCommand::EstablishPlan(establish) => {
            let plan = state.known_plan(establish.year)?;
            if plan.state != PlanState::Draft {
                return Err(Rejection::new(Code::PlanNotDraft)
                    .with("year", plan.year)
                    .with("state", plan.state.name()));
            }
            if establish.basis.trim().is_empty() {
                return Err(Rejection::new(Code::LegalBasisMissing).with("year", plan.year));
            }
            year_targets_explained(state, envelope, plan)?;
        }
        PlanCommand::SendBackPlan(year) => {
            submitted(state, *year)?;
            crate::entry::reason_given(envelope)?;
        }
        PlanCommand::RecallPlan(year) => {
            submitted(state, *year)?;
        }
        PlanCommand::ApprovePlan(approve) => {
            let plan = submitted(state, approve.year)?;
            if plan.submitted_by == Some(envelope.author) {
                return Err(Rejection::new(Code::SelfApproval).with("year", plan.year));
            }
        }
    }
    Ok(Outcome::Recorded(Effect::default()))
}

fn submitted(state: &State, year: i16) -> Result<&Plan, Rejection> {
    let plan = state.known_plan(year)?;
    match plan.state {
        PlanState::Submitted => Ok(plan),
        _ => Err(Rejection::new(Code::PlanNotSubmitted).with("year", year).with("state", plan.state.name())),
    }
}

/// A stated yearly target that is not what the quarters come to needs a reason.
fn year_targets_explained(state: &State, envelope: &Envelope, plan: &Plan) -> Result<(), Rejection> {
    let indicators = plan.indicators.iter().filter_map(|id| state.indicator(*id));
    let mut differing = indicators.filter_map(|i| Some((i, year_target_differs(i)?)));
    match differing.next() {
        Some((indicator, (stated, derived))) if !envelope.has_reason => {
            Err(Rejection::new(Code::YearTargetDiffers)
                .with("indicator", &indicator.code)
                .with("stated", stated.plain())
                .with("derived", derived))
        }
        _ => Ok(()),
    }
}

/// Years that a plan may be for: their dates, due dates and what comes after are all calendar days.
pub const PLAN_YEARS: std::ops::RangeInclusive<i16> = 1945..=2999;

/// A plan may be imported while there is none for the year, or again while it is draft and nothing was recorded on it.
fn importable(state: &State, year: i16) -> Result<(), Rejection> {
    if !PLAN_YEARS.contains(&year) {
        return Err(Rejection::new(Code::ImportInvalid).with("year", year));
    }
    let Some(plan) = state.plan(year) else { return Ok(()) };
    if plan.state != PlanState::Draft {
        return Err(Rejection::new(Code::PlanEstablished)
            .with("year", year)
            .with("state", plan.state.name()));
    }
    let about_plan = |held: &Held| match &held.command {
        EntryCommand::Add(add) => plan.indicators.contains(&add.indicator),
        _ => false,
    };
    let has_work =
        plan.indicators.iter().filter_map(|id| state.indicator(*id)).any(|i| !i.entries.is_empty())
            || state.held.values().any(|held| held.is_waiting() && about_plan(held))
            || plan.quarters.iter().any(|quarter| *quarter != QuarterState::Open);
    match has_work {
        true => Err(Rejection::new(Code::PlanExists).with("year", year)),
        false => Ok(()),
    }
}

fn staged<'a>(state: &'a State, envelope: &Envelope) -> Result<&'a Staging, Rejection> {
    state
        .staging
        .get(&envelope.origin)
        .ok_or_else(|| Rejection::new(Code::ImportIncomplete).with("staged", 0))
}

fn complete(staging: &Staging, finish: &FinishImport) -> Result<(), Rejection> {
    let (objectives, indicators) = (staging.objectives.len(), staging.indicators.len());
    let told = (finish.objectives as usize, finish.indicators as usize);
    if staging.start.year != finish.year || (objectives, indicators) != told || indicators == 0 {
        return Err(Rejection::new(Code::ImportIncomplete)
            .with("staged", indicators)
            .with("expected", finish.indicators)
            .with("year", finish.year));
    }
    let mut above = (None, None);
    for (number, (objective, row)) in staging.indicators.iter().enumerate() {
        let fits = match row.level {
            Level::Strategic => {
                above = (Some(*objective), None);
                (*objective as usize) < objectives
            }
            Level::Program => {
                above.1 = above.0;
                above.0 == Some(*objective)
            }
            Level::Activity | Level::SubActivity => above.1 == Some(*objective),
        };
        if !fits || row.measure.is_empty() {
            return Err(Rejection::new(Code::ImportInvalid)
                .with("number", number + 1)
                .with("level", row.level));
        }
    }
    Ok(())
}

pub(crate) fn apply(state: &mut State, record: &Record, command: &PlanCommand) {
    let origin = record.envelope.origin;
    match command {
        PlanCommand::StartImport(start) => {
            let staging = Staging {
                start: start.clone(),
                objectives: Vec::new(),
                indicators: Vec::new(),
                position: record.position,
            };
            state.staging.insert(origin, staging);
        }
        PlanCommand::ImportObjective(objective) => {
            if let Some(staging) = state.staging.get_mut(&origin) {
                staging.objectives.push(objective.name.clone());
            }
        }
        PlanCommand::ImportIndicator(indicator) => {
            if let Some(staging) = state.staging.get_mut(&origin) {
                let objective = u32::try_from(staging.objectives.len().saturating_sub(1)).unwrap_or(u32::MAX);
                staging.indicators.push((objective, (**indicator).clone()));
            }
        }
        PlanCommand::FinishImport(_) => {
            if let Some(staging) = state.staging.remove(&origin) {
                build(state, record, staging);
            }
        }
        PlanCommand::EstablishPlan(establish) => {
            if let Some(plan) = state.plan_mut(establish.year) {
                plan.state = PlanState::Submitted;
                plan.basis = Some(establish.basis.clone());
                plan.submitted_by = Some(record.envelope.author);
            }
        }
        PlanCommand::ApprovePlan(approve) => establish(state, record, approve.year),
        PlanCommand::SendBackPlan(year) | PlanCommand::RecallPlan(year) => {
            if let Some(plan) = state.plan_mut(*year) {
                plan.state = PlanState::Draft;
                plan.basis = None;
                plan.submitted_by = None;
            }
        }
    }
}

fn establish(state: &mut State, record: &Record, year: i16) {
    let Some(plan) = state.plan_mut(year) else { return };
    plan.state = PlanState::Established;
    plan.established_at = Some(record.position);
    for id in plan.indicators.clone() {
        let Some(indicator) = state.indicators.get_mut(id.index()) else { continue };
        for cell in &mut indicator.targets {
            cell.original = u32::try_from(cell.versions.len() - 1).ok();
        }
    }
}

/// Makes the staged plan visible. Objective and row numbers become codes; every responsible post becomes a unit.
fn build(state: &mut State, record: &Record, staging: Staging) {
    let year = staging.start.year;
    let own_unit = own_unit(state, record);
    let mut codes = CodeCounter::default();
    let mut ids = Vec::with_capacity(staging.indicators.len());
    let (mut strategic, mut program) = (None, None);
    for (objective, row) in staging.indicators {
        let id = IndicatorId::after(state.indicators.len());
        let parent = match row.level {
            Level::Strategic => {
                strategic = Some(id);
                None
            }
            Level::Program => {
                program = Some(id);
                strategic
            }
            Level::Activity | Level::SubActivity => program,
        };
        let unit = match &row.responsible {
            Some(post) => Some(unit_of_post(state, post)),
            None => own_unit,
        };
        let name = match row.level {
            Level::Strategic => staging.objectives.get(objective as usize).cloned().unwrap_or_default(),
            _ => row.name,
        };
        let settings =
            Settings { kind: row.kind, polarity: Default::default(), formula: Default::default(), cap: None };
        state.indicators.push(Indicator {
            year,
            level: row.level,
            objective,
            parent,
            code: codes.next(objective, row.level),
            name,
            satuan: row.satuan,
            facets: std::array::from_fn(|_| Facet {
                measure: row.measure.clone(),
                responsible: row.responsible.clone(),
                unit,
            }),
            settings: [settings; 4],
            confirmed: false,
            targets: row.targets.map(|target| imported_cell(record, target)),
            year_target: row.year_target,
            retired: None,
            frozen: Default::default(),
            tally: Tally::default(),
            entries: Vec::new(),
        });
        ids.push(id);
    }
    let plan = Plan {
        year,
        state: PlanState::Draft,
        title: staging.start.title,
        objectives: staging.objectives,
        indicators: ids,
        basis: None,
        submitted_by: None,
        established_at: None,
        quarters: Default::default(),
    };
    match state.plan_mut(year) {
        Some(earlier) => *earlier = plan,
        None => {
            let at = state.plans.partition_point(|other| other.year < year);
            state.plans.insert(at, plan);
        }
    }
}

fn imported_cell(record: &Record, target: Target) -> TargetCell {
    let version = TargetVersion { target, revision: None, position: record.position, time: record.time };
    TargetCell { versions: vec![version], original: None }
}

/// The unit of whoever imports answers for what has no post.
fn own_unit(state: &State, record: &Record) -> Option<UnitId> {
    let today = state.day(record.time);
    state.people.assignments_on(record.envelope.author, today).find_map(|assignment| assignment.unit)
}

pub(crate) fn unit_of_post(state: &mut State, post: &str) -> UnitId {
    state.people.unit_named(post).unwrap_or_else(|| {
        state.people.units.push(Unit { name: post.into() });
        UnitId::after(state.people.units.len() - 1)
    })
}

/// Numbers the tree: `1` objective, `1.1` its strategic indicator, `1.1.2` that one's second program, `1.1.2.2` the
/// program's second row.
#[derive(Default)]
struct CodeCounter {
    objective: Option<u32>,
    strategic: u32,
    program: u32,
    row: u32,
}

impl CodeCounter {
    fn next(&mut self, objective: u32, level: Level) -> Box<str> {
        if self.objective != Some(objective) {
            *self = CodeCounter { objective: Some(objective), ..CodeCounter::default() };
        }
        match level {
            Level::Strategic => {
                self.strategic += 1;
                (self.program, self.row) = (0, 0);
                format!("{}.{}", objective + 1, self.strategic)
            }
            Level::Program => {
                self.program += 1;
                self.row = 0;
                format!("{}.{}.{}", objective + 1, self.strategic, self.program)
            }
            Level::Activity | Level::SubActivity => {
                self.row += 1;
                format!("{}.{}.{}.{}", objective + 1, self.strategic, self.program, self.row)
            }
        }
        .into()
    }
}

impl State {
    /// The plan of a year.
    pub fn plan(&self, year: i16) -> Option<&Plan> {
        self.plans.iter().find(|plan| plan.year == year)
    }

    pub(crate) fn plan_mut(&mut self, year: i16) -> Option<&mut Plan> {
        self.plans.iter_mut().find(|plan| plan.year == year)
    }

    pub(crate) fn known_plan(&self, year: i16) -> Result<&Plan, Rejection> {
        self.plan(year).ok_or_else(|| Rejection::new(Code::UnknownPlan).with("year", year))
    }
}
