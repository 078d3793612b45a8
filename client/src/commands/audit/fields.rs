//! The fields of single commands, as JSON has them.

use renaksi_domain::Rejection;
use renaksi_domain::config::{Band, ConfigCommand};
use renaksi_domain::entry::Reading;
use renaksi_domain::ids::RevisionId;
use renaksi_domain::plan::{ImportIndicator, PlanCommand};
use renaksi_domain::quantity::{Quantity, Target};
use renaksi_domain::revision::DraftRevision;
use renaksi_domain::time::Date;
use renaksi_proto::agreed::hex;
use serde_json::{Map, Value, json};

pub(super) fn draft_fields(id: Option<RevisionId>, draft: &DraftRevision) -> Value {
    json!({
        "revision": id.map(|id| id.0),
        "number": draft.number,
        "year": draft.year,
        "effective": draft.effective.number(),
        "reason": draft.reason,
        "basis": {
            "title": draft.basis.title,
            "number": draft.basis.number,
            "date": draft.basis.date.to_string(),
        },
    })
}

pub(super) fn row_fields(row: &ImportIndicator) -> Value {
    json!({
        "level": row.level.name(),
        "name": row.name,
        "measure": row.measure,
        "unit_of_measure": row.satuan,
        "responsible": row.responsible,
        "kind": row.kind.name(),
        "targets": row.targets.iter().map(Target::label).collect::<Vec<_>>(),
        "year_target": row.year_target.map(Quantity::plain),
    })
}

pub(super) fn plan(command: &PlanCommand) -> Value {
    match command {
        PlanCommand::StartImport(start) => json!({
            "year": start.year,
            "title": start.title,
            "source_sha256": hex(&start.source_sha256),
        }),
        PlanCommand::ImportObjective(objective) => json!({ "name": objective.name }),
        PlanCommand::ImportIndicator(row) => row_fields(row),
        PlanCommand::FinishImport(finish) => json!({
            "year": finish.year,
            "objectives": finish.objectives,
            "indicators": finish.indicators,
        }),
        PlanCommand::EstablishPlan(establish) => json!({ "year": establish.year, "basis": establish.basis }),
        PlanCommand::ApprovePlan(approve) => json!({ "year": approve.year }),
        PlanCommand::SendBackPlan(year) | PlanCommand::RecallPlan(year) => json!({ "year": year }),
    }
}

/// A value that was set; `none` where it was taken away.
pub(super) fn none_or_plain(value: Option<Quantity>) -> String {
    value.map_or_else(|| "none".to_owned(), Quantity::plain)
}

pub(super) fn config(command: &ConfigCommand) -> Value {
    let days = |days: &[Date]| days.iter().map(Date::to_string).collect::<Vec<_>>();
    match command {
        ConfigCommand::SetBands(bands) => json!({ "bands": bands.iter().map(band_json).collect::<Vec<_>>() }),
        ConfigCommand::SetDueDays(days) => json!({ "due_days": days }),
        ConfigCommand::SetDays { holidays, working_days } => {
            json!({ "holidays": days(holidays), "working_days": days(working_days) })
        }
    }
}

/// A band of the ratings: above `above`, up to and including `up_to`.
pub fn band_json(band: &Band) -> Value {
    json!({ "name": &*band.name, "above": band.above.map(Quantity::plain), "up_to": band.up_to.map(Quantity::plain) })
}

pub(super) fn put_reading(own: &mut Map<String, Value>, reading: &Reading) {
    match reading {
        Reading::Quantity(quantity) => {
            own.insert("quantity".into(), json!(quantity.plain()));
        }
        Reading::Ratio { numerator, denominator } => {
            own.insert("numerator".into(), json!(numerator.plain()));
            own.insert("denominator".into(), json!(denominator.plain()));
        }
        Reading::Text(text) => {
            own.insert("text".into(), json!(text));
        }
    }
}

/// The objects that a rejection names.
pub fn details(cause: &Rejection) -> Value {
    Value::Object(cause.details.iter().map(|(key, value)| (key.to_string(), json!(value))).collect())
}

pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
