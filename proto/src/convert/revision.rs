use renaksi_domain::command::Command;
use renaksi_domain::ids::{IndicatorId, RevisionId, UnitId};
use renaksi_domain::quantity::Quantity;
use renaksi_domain::revision::{AddIndicator, Change, DraftRevision, LegalBasis, RevisionCommand};

use super::common::{
    date_from, formula_from, formula_to, kind_from, kind_to, optional_quantity, polarity_from, polarity_to,
    quantity_to, quarter_from, target_from, target_to, year_from,
};
use super::people::unit;
use super::plan::{row_from, row_to};
use super::{DecodeError, field};
use crate::log;
use crate::log::add_change::Change as Stored;
use crate::log::command::Body;

pub(super) fn to(command: &RevisionCommand) -> Body {
    match command {
        RevisionCommand::Draft(draft) => Body::DraftRevision(log::DraftRevision {
            year: i32::from(draft.year),
            number: draft.number.to_string(),
            reason: draft.reason.to_string(),
            basis_title: draft.basis.title.to_string(),
            basis_number: draft.basis.number.to_string(),
            basis_date: draft.basis.date.days(),
            effective: u32::from(draft.effective.number()),
        }),
        RevisionCommand::AddChange(id, change) => Body::AddChange(log::AddChange {
            revision: id.0,
            indicator: change.indicator().map_or(0, |id| id.0),
            change: Some(change_to(change)),
        }),
        RevisionCommand::Submit(id) => Body::SubmitRevision(id.0),
        RevisionCommand::Approve(id) => Body::ApproveRevision(id.0),
        RevisionCommand::Reject(id) => Body::RejectRevision(id.0),
        RevisionCommand::Withdraw(id) => Body::WithdrawRevision(id.0),
    }
}

fn change_to(change: &Change) -> Stored {
    match change {
        Change::Target { quarter, old, new, .. } => Stored::Target(log::TargetChange {
            quarter: u32::from(quarter.number()),
            old: Some(target_to(old)),
            new: Some(target_to(new)),
        }),
        Change::Kind { old, new, .. } => {
            Stored::Kind(log::KindChange { old: kind_to(*old).into(), new: kind_to(*new).into() })
        }
        Change::Polarity { old, new, .. } => Stored::Polarity(log::PolarityChange {
            old: polarity_to(*old).into(),
            new: polarity_to(*new).into(),
        }),
        Change::Formula { old, new, .. } => {
            Stored::Formula(log::FormulaChange { old: formula_to(*old).into(), new: formula_to(*new).into() })
        }
        Change::Rename { old, new, .. } => {
            Stored::Rename(log::TextChange { old: old.to_string(), new: new.to_string() })
        }
        Change::Reassign { old, new, .. } => {
            Stored::Reassign(log::UnitChange { old: old.map_or(0, |unit| unit.0), new: new.0 })
        }
        Change::Cap { old, new, .. } => Stored::Cap(quantities_to(*old, *new)),
        Change::YearTarget { old, new, .. } => Stored::YearTarget(quantities_to(*old, *new)),
        Change::Retire { .. } => Stored::Retire(true),
        Change::Add(add) => Stored::Add(log::AddIndicator {
            parent: add.parent.map_or(0, |id| id.0),
            objective: add.objective,
            row: Some(row_to(&add.row)),
            polarity: polarity_to(add.polarity).into(),
            formula: formula_to(add.formula).into(),
            cap: add.cap.map(quantity_to),
        }),
    }
}

fn quantities_to(old: Option<Quantity>, new: Option<Quantity>) -> log::QuantityChange {
    log::QuantityChange { old: old.map(quantity_to), new: new.map(quantity_to) }
}

fn addition(stored: log::AddIndicator) -> Result<Change, DecodeError> {
    Ok(Change::Add(Box::new(AddIndicator {
        parent: (stored.parent != 0).then_some(IndicatorId(stored.parent)),
        objective: stored.objective,
        row: row_from(field(stored.row, "AddIndicator", "row")?)?,
        polarity: field(polarity_from(stored.polarity)?, "AddIndicator", "polarity")?,
        formula: field(formula_from(stored.formula)?, "AddIndicator", "formula")?,
        cap: optional_quantity(stored.cap)?,
    })))
}

pub(super) fn draft(stored: log::DraftRevision) -> Result<Command, DecodeError> {
    Ok(Command::Revision(RevisionCommand::Draft(DraftRevision {
        year: year_from(stored.year)?,
        number: stored.number.into(),
        reason: stored.reason.into(),
        basis: LegalBasis {
            title: stored.basis_title.into(),
            number: stored.basis_number.into(),
            date: date_from(stored.basis_date),
        },
        effective: quarter_from(stored.effective)?,
    })))
}

pub(super) fn add_change(stored: log::AddChange) -> Result<Command, DecodeError> {
    let indicator = IndicatorId(stored.indicator);
    let part = |what| move || DecodeError::Field { message: "AddChange", field: what };
    // A kind of change that this release does not know reads as none.
    let change = match stored.change.ok_or(DecodeError::Newer)? {
        Stored::Target(change) => Change::Target {
            indicator,
            quarter: quarter_from(change.quarter)?,
            old: target_from(change.old)?,
            new: target_from(change.new)?,
        },
        Stored::Kind(change) => Change::Kind {
            indicator,
            old: kind_from(change.old)?.ok_or_else(part("old kind"))?,
            new: kind_from(change.new)?.ok_or_else(part("new kind"))?,
        },
        Stored::Polarity(change) => Change::Polarity {
            indicator,
            old: polarity_from(change.old)?.ok_or_else(part("old polarity"))?,
            new: polarity_from(change.new)?.ok_or_else(part("new polarity"))?,
        },
        Stored::Formula(change) => Change::Formula {
            indicator,
            old: formula_from(change.old)?.ok_or_else(part("old formula"))?,
            new: formula_from(change.new)?.ok_or_else(part("new formula"))?,
        },
        Stored::Rename(change) => {
            Change::Rename { indicator, old: change.old.into(), new: change.new.into() }
        }
        Stored::Reassign(change) => Change::Reassign {
            indicator,
            old: unit(change.old),
            new: field((change.new != 0).then_some(UnitId(change.new)), "AddChange", "new unit")?,
        },
        Stored::Cap(change) => Change::Cap {
            indicator,
            old: optional_quantity(change.old)?,
            new: optional_quantity(change.new)?,
        },
        Stored::YearTarget(change) => Change::YearTarget {
            indicator,
            old: optional_quantity(change.old)?,
            new: optional_quantity(change.new)?,
        },
        Stored::Retire(_) => Change::Retire { indicator },
        Stored::Add(add) => addition(add)?,
    };
    Ok(Command::Revision(RevisionCommand::AddChange(RevisionId(stored.revision), change)))
}

pub(super) fn step(
    id: u32,
    make: impl FnOnce(RevisionId) -> RevisionCommand,
) -> Result<Command, DecodeError> {
    Ok(Command::Revision(make(RevisionId(id))))
}
