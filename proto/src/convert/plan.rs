use renaksi_domain::command::Command;
use renaksi_domain::ids::IndicatorId;
use renaksi_domain::indicator::SetIndicator;
use renaksi_domain::plan::{
    ApprovePlan, EstablishPlan, FinishImport, ImportIndicator, ImportObjective, PlanCommand, StartImport,
};
use renaksi_domain::quantity::{Quantity, Target};
use renaksi_domain::quarter::{PlanQuarter, QuarterCommand};
use renaksi_domain::time::Timestamp;

use super::common::{
    formula_from, formula_to, kind_from, kind_to, level_from, level_to, optional_quantity, polarity_from,
    polarity_to, quantity_to, quarter_from, target_from, target_to, year_from,
};
use super::people::unit;
use super::{DecodeError, field};
use crate::log;
use crate::log::command::Body;

pub(super) fn to(command: &PlanCommand) -> Body {
    match command {
        PlanCommand::StartImport(start) => Body::StartImport(log::StartImport {
            year: i32::from(start.year),
            title: start.title.to_string(),
            source_sha256: start.source_sha256.to_vec(),
        }),
        PlanCommand::ImportObjective(objective) => {
            Body::ImportObjective(log::ImportObjective { name: objective.name.to_string() })
        }
        PlanCommand::ImportIndicator(row) => Body::ImportIndicator(row_to(row)),
        PlanCommand::FinishImport(finish) => Body::FinishImport(log::FinishImport {
            year: i32::from(finish.year),
            objectives: finish.objectives,
            indicators: finish.indicators,
        }),
        PlanCommand::EstablishPlan(establish) => Body::EstablishPlan(log::EstablishPlan {
            year: i32::from(establish.year),
            basis: establish.basis.to_string(),
        }),
        PlanCommand::ApprovePlan(approve) => {
            Body::ApprovePlan(log::ApprovePlan { year: i32::from(approve.year) })
        }
        PlanCommand::SendBackPlan(year) => Body::SendBackPlan(log::PlanYear { year: i32::from(*year) }),
        PlanCommand::RecallPlan(year) => Body::RecallPlan(log::PlanYear { year: i32::from(*year) }),
    }
}

pub(super) fn row_to(row: &ImportIndicator) -> log::ImportIndicator {
    log::ImportIndicator {
        level: level_to(row.level).into(),
        name: row.name.to_string(),
        measure: row.measure.to_string(),
        satuan: row.satuan.as_deref().map(str::to_owned),
        responsible: row.responsible.as_deref().map(str::to_owned),
        kind: kind_to(row.kind).into(),
        targets: row.targets.iter().map(target_to).collect(),
        year_target: row.year_target.map(quantity_to),
    }
}

pub(super) fn start_import(stored: log::StartImport) -> Result<Command, DecodeError> {
    Ok(Command::Plan(PlanCommand::StartImport(StartImport {
        year: year_from(stored.year)?,
        title: stored.title.into(),
        source_sha256: field(stored.source_sha256.try_into().ok(), "StartImport", "source_sha256")?,
    })))
}

pub(super) fn import_objective(stored: log::ImportObjective) -> Result<Command, DecodeError> {
    Ok(Command::Plan(PlanCommand::ImportObjective(ImportObjective { name: stored.name.into() })))
}

pub(super) fn import_indicator(stored: log::ImportIndicator) -> Result<Command, DecodeError> {
    Ok(Command::Plan(PlanCommand::ImportIndicator(Box::new(row_from(stored)?))))
}

pub(super) fn row_from(stored: log::ImportIndicator) -> Result<ImportIndicator, DecodeError> {
    let targets: Vec<Target> =
        stored.targets.into_iter().map(|target| target_from(Some(target))).collect::<Result<_, _>>()?;
    Ok(ImportIndicator {
        level: level_from(stored.level)?,
        name: stored.name.into(),
        measure: stored.measure.into(),
        satuan: stored.satuan.map(Into::into),
        responsible: stored.responsible.map(Into::into),
        kind: field(kind_from(stored.kind)?, "ImportIndicator", "kind")?,
        targets: field(targets.try_into().ok(), "ImportIndicator", "four targets")?,
        year_target: optional_quantity(stored.year_target)?,
    })
}

pub(super) fn finish_import(stored: log::FinishImport) -> Result<Command, DecodeError> {
    Ok(Command::Plan(PlanCommand::FinishImport(FinishImport {
        year: year_from(stored.year)?,
        objectives: stored.objectives,
        indicators: stored.indicators,
    })))
}

pub(super) fn establish_plan(stored: log::EstablishPlan) -> Result<Command, DecodeError> {
    let establish = EstablishPlan { year: year_from(stored.year)?, basis: stored.basis.into() };
    Ok(Command::Plan(PlanCommand::EstablishPlan(establish)))
}

pub(super) fn approve_plan(stored: log::ApprovePlan) -> Result<Command, DecodeError> {
    Ok(Command::Plan(PlanCommand::ApprovePlan(ApprovePlan { year: year_from(stored.year)? })))
}

pub(super) fn set_indicator_to(set: &SetIndicator) -> Body {
    let targets = set.targets.iter().map(|(quarter, target)| log::QuarterTarget {
        quarter: u32::from(quarter.number()),
        target: Some(target_to(target)),
    });
    Body::SetIndicator(log::SetIndicator {
        indicator: set.indicator.map_or(0, |id| id.0),
        kind: set.kind.map_or(0, |kind| kind_to(kind).into()),
        polarity: set.polarity.map_or(0, |polarity| polarity_to(polarity).into()),
        formula: set.formula.map_or(0, |formula| formula_to(formula).into()),
        cap: set.cap.flatten().map(quantity_to),
        unit: set.unit.map_or(0, |unit| unit.0),
        targets: targets.collect(),
        clear_cap: set.cap == Some(None),
        year_target: set.year_target.flatten().map(quantity_to),
        clear_year_target: set.year_target == Some(None),
    })
}

pub(super) fn set_indicator(stored: log::SetIndicator) -> Result<Command, DecodeError> {
    let targets =
        stored.targets.into_iter().map(|cell| Ok((quarter_from(cell.quarter)?, target_from(cell.target)?)));
    Ok(Command::Indicator(SetIndicator {
        indicator: (stored.indicator != 0).then_some(IndicatorId(stored.indicator)),
        kind: kind_from(stored.kind)?,
        polarity: polarity_from(stored.polarity)?,
        formula: formula_from(stored.formula)?,
        cap: changed(stored.cap, stored.clear_cap)?,
        unit: unit(stored.unit),
        targets: targets.collect::<Result<_, _>>()?,
        year_target: changed(stored.year_target, stored.clear_year_target)?,
    }))
}

/// A new value, or that there shall be none.
fn changed(value: Option<log::Quantity>, clear: bool) -> Result<Option<Option<Quantity>>, DecodeError> {
    let value = optional_quantity(value)?;
    Ok(if clear { Some(None) } else { value.map(Some) })
}

pub(super) fn plan_year(
    stored: log::PlanYear,
    make: impl FnOnce(i16) -> PlanCommand,
) -> Result<Command, DecodeError> {
    Ok(Command::Plan(make(year_from(stored.year)?)))
}

pub(super) fn quarter_to(command: &QuarterCommand) -> Body {
    let cell = command.quarter();
    let stored = log::PlanQuarter { year: i32::from(cell.year), quarter: u32::from(cell.quarter.number()) };
    match command {
        QuarterCommand::Request(_) => Body::RequestLock(stored),
        QuarterCommand::Approve(_) => Body::ApproveLock(stored),
        QuarterCommand::Reject(_) => Body::RejectLock(stored),
        QuarterCommand::RequestReopen(_, until) => {
            Body::RequestReopen(log::RequestReopen { quarter: Some(stored), until_us: until.0 })
        }
        QuarterCommand::GrantReopen(_) => Body::GrantReopen(stored),
        QuarterCommand::DeclineReopen(_) => Body::DeclineReopen(stored),
        QuarterCommand::Relock(_) => Body::Relock(stored),
    }
}

pub(super) fn quarter(
    stored: log::PlanQuarter,
    make: impl FnOnce(PlanQuarter) -> QuarterCommand,
) -> Result<Command, DecodeError> {
    let cell = PlanQuarter { year: year_from(stored.year)?, quarter: quarter_from(stored.quarter)? };
    Ok(Command::Quarter(make(cell)))
}

pub(super) fn request_reopen(stored: log::RequestReopen) -> Result<Command, DecodeError> {
    let until = Timestamp(stored.until_us);
    let cell = field(stored.quarter, "RequestReopen", "quarter")?;
    quarter(cell, |cell| QuarterCommand::RequestReopen(cell, until))
}
