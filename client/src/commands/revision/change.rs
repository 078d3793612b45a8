//! From options to changes: each states the value it replaces, as the newest state has it.

use renaksi_domain::State;
use renaksi_domain::ids::{IndicatorId, RevisionId};
use renaksi_domain::indicator::{Indicator, LowerFormula, Polarity};
use renaksi_domain::proposal::Kind;
use renaksi_domain::quantity::Quantity;
use renaksi_domain::revision::{Change, Revision};

use super::{AddArgs, addition};
use crate::commands::audit::unit_name;
use crate::error::{ClientError, Rejected};
use crate::find;
use crate::render;
use crate::text;

/// The changes that the options ask for, in the order of the options.
pub(super) fn read(state: &State, id: RevisionId, args: &AddArgs) -> Result<Vec<Change>, ClientError> {
    let Some(revision) = state.revision(id) else {
        return Err(ClientError::NotUnderstood(
            Rejected::new("UNKNOWN_REVISION").with("revision", &args.revision),
        ));
    };
    if args.changes.new {
        return Ok(vec![Change::Add(Box::new(addition::read(state, revision, args)?))]);
    }
    let wanted = args.indicator.as_deref().unwrap_or_default();
    let indicator_id = find::indicator(state, revision.draft.year, wanted)?;
    let Some(indicator) = state.indicator(indicator_id) else {
        return Err(ClientError::NotUnderstood(Rejected::new("UNKNOWN_INDICATOR").with("indicator", wanted)));
    };
    let settings = indicator.settings_in(revision.draft.effective);
    let facet = indicator.facet_in(revision.draft.effective);
    let mut changes = Vec::new();
    for (quarter, new) in find::quarter_targets(&args.changes.target)? {
        let old = indicator.target(quarter).clone();
        changes.push(Change::Target { indicator: indicator_id, quarter, old, new });
    }
    if let Some(name) = &args.changes.kind {
        let new = named("kind", name, Kind::from_name)?;
        changes.push(Change::Kind { indicator: indicator_id, old: settings.kind, new });
    }
    if let Some(name) = &args.changes.polarity {
        let new = named("polarity", name, Polarity::from_name)?;
        changes.push(Change::Polarity { indicator: indicator_id, old: settings.polarity, new });
    }
    if let Some(name) = &args.changes.formula {
        let new = named("formula", name, LowerFormula::from_name)?;
        changes.push(Change::Formula { indicator: indicator_id, old: settings.formula, new });
    }
    if let Some(new) = number_or_none("cap", args.changes.cap.as_deref())? {
        changes.push(Change::Cap { indicator: indicator_id, old: settings.cap, new });
    }
    if let Some(new) = number_or_none("year-target", args.changes.year_target.as_deref())? {
        changes.push(Change::YearTarget { indicator: indicator_id, old: indicator.year_target, new });
    }
    if let Some(new) = &args.changes.rename {
        let new = find::said("--rename", new)?.split_whitespace().collect::<Vec<_>>().join(" ").into();
        changes.push(Change::Rename { indicator: indicator_id, old: facet.measure.clone(), new });
    }
    if let Some(name) = &args.changes.reassign {
        let new = find::unit(state, name)?;
        changes.push(Change::Reassign { indicator: indicator_id, old: facet.unit, new });
    }
    if args.changes.retire {
        changes.push(Change::Retire { indicator: indicator_id });
    }
    Ok(changes)
}

/// A number that an option sets or, with `none`, takes away. A cap is above 0: any other would rate everything 0.
pub(crate) fn number_or_none(
    option: &str,
    text: Option<&str>,
) -> Result<Option<Option<Quantity>>, ClientError> {
    let Some(text) = text else { return Ok(None) };
    if matches!(text.trim().to_lowercase().as_str(), "none" | "-") {
        return Ok(Some(None));
    }
    let number = find::quantity(text)?;
    if option == "cap" && (number.is_negative() || number.is_zero()) {
        let cause = Rejected::new("BAD_SETTING").with("option", option).with("text", text);
        return Err(ClientError::NotUnderstood(cause));
    }
    Ok(Some(Some(number)))
}

pub(super) fn named<T>(option: &str, name: &str, from_name: fn(&str) -> Option<T>) -> Result<T, ClientError> {
    from_name(&name.trim().to_lowercase()).ok_or_else(|| {
        ClientError::NotUnderstood(Rejected::new("BAD_SETTING").with("option", option).with("text", name))
    })
}

/// What holds now in the place of a change, in the form of the JSON contract.
pub(super) fn holds_now(state: &State, revision: &Revision, change: &Change) -> Option<String> {
    let indicator = state.indicator(change.indicator()?)?;
    let effective = revision.draft.effective;
    let settings = indicator.settings_in(revision.draft.effective);
    Some(match change {
        Change::Target { quarter, .. } => indicator.target(*quarter).label(),
        Change::Kind { .. } => settings.kind.name().to_owned(),
        Change::Polarity { .. } => settings.polarity.name().to_owned(),
        Change::Formula { .. } => settings.formula.name().to_owned(),
        Change::Rename { .. } => indicator.facet_in(effective).measure.to_string(),
        Change::Reassign { .. } => unit_name(state, indicator.facet_in(effective).unit?),
        Change::Cap { .. } => settings.cap?.plain(),
        Change::YearTarget { .. } => indicator.year_target?.plain(),
        Change::Retire { .. } => {
            let (_, from) = indicator.retired?;
            from.number().to_string()
        }
        Change::Add(_) => return None,
    })
}

/// True when the value that the change replaces still holds.
pub(super) fn base_holds(state: &State, revision: &Revision, change: &Change) -> bool {
    match change.indicator() {
        Some(id) => {
            state.indicator(id).is_some_and(|known| change.base_holds(known, revision.draft.effective))
        }
        // A new one stands below what is not retired.
        None => match change {
            Change::Add(add) => {
                add.parent.and_then(|id| state.indicator(id)).is_none_or(|parent| parent.retired.is_none())
            }
            _ => true,
        },
    }
}

/// One line: `1.1.2.2 TW 3: 120 → 200`.
pub(crate) fn in_words(state: &State, change: &Change) -> String {
    if let Change::Add(add) = change {
        return addition::in_words(state, add);
    }
    let known = change.indicator().and_then(|id| state.indicator(id));
    let code = known.map_or_else(|| "?".to_owned(), |indicator: &Indicator| indicator.code.to_string());
    let number = |number: &Option<Quantity>| number.map_or_else(|| "–".to_owned(), Quantity::indonesian);
    let percent = |number: &Option<Quantity>| {
        number.map_or_else(|| "–".to_owned(), |number| format!("{} %", number.indonesian()))
    };
    let (key, quarter, old, new) = match change {
        Change::Target { quarter, old, new, .. } => {
            ("target", quarter.number().to_string(), render::target(old), render::target(new))
        }
        Change::Kind { old, new, .. } => {
            ("kind", String::new(), text::term("kind", old.name()), text::term("kind", new.name()))
        }
        Change::Polarity { old, new, .. } => (
            "polarity",
            String::new(),
            text::term("polarity", old.name()),
            text::term("polarity", new.name()),
        ),
        Change::Formula { old, new, .. } => {
            ("formula", String::new(), text::term("formula", old.name()), text::term("formula", new.name()))
        }
        Change::Rename { old, new, .. } => ("rename", String::new(), old.to_string(), new.to_string()),
        Change::Reassign { old, new, .. } => (
            "reassign",
            String::new(),
            old.map_or_else(|| "–".to_owned(), |unit| unit_name(state, unit)),
            unit_name(state, *new),
        ),
        Change::Cap { old, new, .. } => ("cap", String::new(), percent(old), percent(new)),
        Change::YearTarget { old, new, .. } => ("year_target", String::new(), number(old), number(new)),
        Change::Retire { .. } => ("retire", String::new(), String::new(), String::new()),
        Change::Add(_) => unreachable!("BUG: it was told above"),
    };
    text::with(
        &format!("revision.change.{key}"),
        &[("indicator", &code), ("quarter", &quarter), ("old", &old), ("new", &new)],
    )
}

/// The indicators that a revision touches, in the order of its changes, each once.
pub(super) fn touched(revision: &Revision) -> Vec<IndicatorId> {
    let mut ids: Vec<IndicatorId> = Vec::new();
    for id in revision.changes.iter().filter_map(Change::indicator) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}
