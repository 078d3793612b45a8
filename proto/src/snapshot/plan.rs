//! Plans, indicators, revisions, and what is being imported.

use renaksi_domain::command::Command;
use renaksi_domain::ids::{IndicatorId, RevisionId, UnitId};
use renaksi_domain::indicator::{
    Facet, Indicator, Level, LowerFormula, Polarity, Settings, TargetCell, TargetVersion,
};
use renaksi_domain::plan::{ImportIndicator, Plan, PlanCommand, PlanState, Staging};
use renaksi_domain::proposal::Kind;
use renaksi_domain::quantity::Target;
use renaksi_domain::quarter::{Lock, QuarterState};
use renaksi_domain::revision::{Change, Revision, RevisionCommand, RevisionState};
use renaksi_domain::tally::Tally;

use super::bytes::{Reader, Writer};
use super::wrong;
use crate::convert::DecodeError;

const LEVELS: [Level; 4] = [Level::Strategic, Level::Program, Level::Activity, Level::SubActivity];
const KINDS: [Kind; 5] = [Kind::Sum, Kind::Cumulative, Kind::Latest, Kind::Average, Kind::Ratio];
const POLARITIES: [Polarity; 2] = [Polarity::Higher, Polarity::Lower];
const FORMULAS: [LowerFormula; 2] = [LowerFormula::Mirrored, LowerFormula::Inverse];
const PLAN_STATES: [PlanState; 3] = [PlanState::Draft, PlanState::Submitted, PlanState::Established];
const REVISION_STATES: [RevisionState; 5] = [
    RevisionState::Draft,
    RevisionState::Submitted,
    RevisionState::Approved,
    RevisionState::Rejected,
    RevisionState::Withdrawn,
];

impl Writer {
    pub(super) fn target(&mut self, target: &Target) {
        match target {
            Target::Value(quantity) => {
                self.byte(0);
                self.quantity(*quantity);
            }
            Target::Text(text) => {
                self.byte(1);
                self.text(text);
            }
            Target::NotPlanned => self.byte(2),
            Target::Missing => self.byte(3),
        }
    }

    pub(super) fn plan(&mut self, plan: &Plan) {
        self.signed(plan.year.into());
        self.choice(plan.state, &PLAN_STATES);
        self.text(&plan.title);
        self.list(&plan.objectives, |out, name| out.text(name));
        self.list(&plan.indicators, |out, id| out.number(id.0.into()));
        self.option(plan.basis.as_deref(), Self::text);
        self.option(plan.submitted_by, |out, id| out.number(id.0.into()));
        self.option(plan.established_at, Self::number);
        for quarter in plan.quarters {
            match quarter {
                QuarterState::Open => self.byte(0),
                QuarterState::LockRequested { by } => {
                    self.byte(1);
                    self.number(by.0.into());
                }
                QuarterState::Locked(lock) => {
                    self.byte(2);
                    self.lock(lock);
                }
                QuarterState::ReopenRequested { lock, by, until } => {
                    self.byte(3);
                    self.lock(lock);
                    self.number(by.0.into());
                    self.time(until);
                }
                QuarterState::Reopened { until } => {
                    self.byte(4);
                    self.time(until);
                }
            }
        }
    }

    pub(super) fn indicator(&mut self, indicator: &Indicator) {
        self.signed(indicator.year.into());
        self.choice(indicator.level, &LEVELS);
        self.number(indicator.objective.into());
        self.option(indicator.parent, |out, id| out.number(id.0.into()));
        self.text(&indicator.code);
        self.text(&indicator.name);
        self.option(indicator.satuan.as_deref(), Self::text);
        for facet in &indicator.facets {
            self.text(&facet.measure);
            self.option(facet.responsible.as_deref(), Self::text);
            self.option(facet.unit, |out, id| out.number(id.0.into()));
        }
        indicator.settings.iter().for_each(|settings| self.settings(settings));
        self.byte(indicator.confirmed.into());
        for cell in &indicator.targets {
            self.list(&cell.versions, |out, version| {
                out.target(&version.target);
                out.option(version.revision, |out, id| out.number(id.0.into()));
                out.number(version.position);
                out.time(version.time);
            });
            self.option(cell.original, |out, index| out.number(index.into()));
        }
        self.option(indicator.retired, |out, (id, quarter)| {
            out.number(id.0.into());
            out.quarter(quarter);
        });
        self.option(indicator.year_target, Self::quantity);
        indicator.frozen.iter().for_each(|frozen| self.option(frozen.as_deref(), Self::frozen));
    }

    pub(super) fn settings(&mut self, settings: &Settings) {
        self.choice(settings.kind, &KINDS);
        self.choice(settings.polarity, &POLARITIES);
        self.choice(settings.formula, &FORMULAS);
        self.option(settings.cap, Self::quantity);
    }

    fn lock(&mut self, lock: Lock) {
        self.number(lock.at);
        self.time(lock.time);
    }

    pub(super) fn revision(&mut self, revision: &Revision) {
        self.command(&Command::Revision(RevisionCommand::Draft(revision.draft.clone())));
        self.list(&revision.changes, |out, change| {
            out.command(&Command::Revision(RevisionCommand::AddChange(RevisionId(1), change.clone())));
        });
        self.choice(revision.state, &REVISION_STATES);
        self.number(revision.drafted_by.0.into());
        self.list(&revision.authors, |out, id| out.number(id.0.into()));
        self.option(revision.submitted_by, |out, id| out.number(id.0.into()));
        self.option(revision.decided_by, |out, id| out.number(id.0.into()));
        self.number(revision.position);
        self.time(revision.time);
    }

    pub(super) fn staging(&mut self, staging: &Staging) {
        self.command(&Command::Plan(PlanCommand::StartImport(staging.start.clone())));
        self.list(&staging.objectives, |out, name| out.text(name));
        self.list(&staging.indicators, |out, (objective, row)| {
            out.number((*objective).into());
            out.command(&Command::Plan(PlanCommand::ImportIndicator(Box::new(row.clone()))));
        });
        self.number(staging.position);
    }
}

impl Reader<'_> {
    pub(super) fn target(&mut self) -> Result<Target, DecodeError> {
        Ok(match self.byte()? {
            0 => Target::Value(self.quantity()?),
            1 => Target::Text(self.text()?),
            2 => Target::NotPlanned,
            3 => Target::Missing,
            _ => return Err(wrong("target")),
        })
    }

    pub(super) fn plan(&mut self) -> Result<Plan, DecodeError> {
        Ok(Plan {
            year: self.year()?,
            state: self.choice(&PLAN_STATES)?,
            title: self.text()?,
            objectives: self.list(Self::text)?,
            indicators: self.list(|from| from.small().map(IndicatorId))?,
            basis: self.option(Self::text)?,
            submitted_by: self.option(Self::person)?,
            established_at: self.option(Self::number)?,
            quarters: self.four(|from| {
                Ok(match from.byte()? {
                    0 => QuarterState::Open,
                    1 => QuarterState::LockRequested { by: from.person()? },
                    2 => QuarterState::Locked(from.lock()?),
                    3 => QuarterState::ReopenRequested {
                        lock: from.lock()?,
                        by: from.person()?,
                        until: from.time()?,
                    },
                    4 => QuarterState::Reopened { until: from.time()? },
                    _ => return Err(wrong("quarter")),
                })
            })?,
        })
    }

    pub(super) fn indicator(&mut self) -> Result<Indicator, DecodeError> {
        Ok(Indicator {
            year: self.year()?,
            level: self.choice(&LEVELS)?,
            objective: self.small()?,
            parent: self.option(|from| from.small().map(IndicatorId))?,
            code: self.text()?,
            name: self.text()?,
            satuan: self.option(Self::text)?,
            facets: self.four(|from| {
                Ok(Facet {
                    measure: from.text()?,
                    responsible: from.option(Self::text)?,
                    unit: from.option(|from| from.small().map(UnitId))?,
                })
            })?,
            settings: self.four(Self::settings)?,
            confirmed: self.flag()?,
            targets: self.four(Self::cell)?,
            retired: self.option(|from| Ok((RevisionId(from.small()?), from.quarter()?)))?,
            year_target: self.option(Self::quantity)?,
            frozen: self.four(|from| Ok(from.option(Self::frozen)?.map(Box::new)))?,
            tally: Tally::default(),
            entries: Vec::new(),
        })
    }

    pub(super) fn settings(&mut self) -> Result<Settings, DecodeError> {
        Ok(Settings {
            kind: self.choice(&KINDS)?,
            polarity: self.choice(&POLARITIES)?,
            formula: self.choice(&FORMULAS)?,
            cap: self.option(Self::quantity)?,
        })
    }

    fn lock(&mut self) -> Result<Lock, DecodeError> {
        Ok(Lock { at: self.number()?, time: self.time()? })
    }

    fn cell(&mut self) -> Result<TargetCell, DecodeError> {
        let versions = self.list(|from| {
            Ok(TargetVersion {
                target: from.target()?,
                revision: from.option(|from| from.small().map(RevisionId))?,
                position: from.number()?,
                time: from.time()?,
            })
        })?;
        let original = self.option(Self::small)?;
        // The rules count on both: a cell has a version, and the established one is among them.
        match original.unwrap_or(0) as usize >= versions.len() {
            true => Err(wrong("target version")),
            false => Ok(TargetCell { versions, original }),
        }
    }

    pub(super) fn revision(&mut self) -> Result<Revision, DecodeError> {
        let draft = match self.command()? {
            Command::Revision(RevisionCommand::Draft(draft)) => draft,
            _ => return Err(wrong("revision")),
        };
        Ok(Revision {
            draft,
            changes: self.list(Self::change)?,
            state: self.choice(&REVISION_STATES)?,
            drafted_by: self.person()?,
            authors: self.list(Self::person)?,
            submitted_by: self.option(Self::person)?,
            decided_by: self.option(Self::person)?,
            position: self.number()?,
            time: self.time()?,
        })
    }

    fn change(&mut self) -> Result<Change, DecodeError> {
        match self.command()? {
            Command::Revision(RevisionCommand::AddChange(_, change)) => Ok(change),
            _ => Err(wrong("change")),
        }
    }

    pub(super) fn staging(&mut self) -> Result<Staging, DecodeError> {
        let start = match self.command()? {
            Command::Plan(PlanCommand::StartImport(start)) => start,
            _ => return Err(wrong("import")),
        };
        Ok(Staging {
            start,
            objectives: self.list(Self::text)?,
            indicators: self.list(|from| Ok((from.small()?, from.row()?)))?,
            position: self.number()?,
        })
    }

    fn row(&mut self) -> Result<ImportIndicator, DecodeError> {
        match self.command()? {
            Command::Plan(PlanCommand::ImportIndicator(row)) => Ok(*row),
            _ => Err(wrong("import row")),
        }
    }
}
