//! New indicators: from the options of `revision add --new` to the change, and which indicator came of it.

use renaksi_domain::State;
use renaksi_domain::ids::{IndicatorId, RevisionId};
use renaksi_domain::indicator::{Indicator, Level, LowerFormula, Polarity};
use renaksi_domain::plan::ImportIndicator;
use renaksi_domain::proposal::Kind;
use renaksi_domain::quantity::Target;
use renaksi_domain::revision::{AddIndicator, Change, Revision};

use super::add::AddArgs;
use super::change::{named, number_or_none};
use crate::error::{ClientError, Rejected};
use crate::find::{self, Place};
use crate::render;
use crate::text;

/// The addition that the options ask for.
pub(super) fn read(state: &State, revision: &Revision, args: &AddArgs) -> Result<AddIndicator, ClientError> {
    let (changes, new) = (&args.changes, &args.addition);
    let stated = |option: &str, text: &Option<String>| match text {
        Some(text) => Ok(find::said(option, text)?.split_whitespace().collect::<Vec<_>>().join(" ")),
        None => Ok(String::new()),
    };
    let level = new.level.as_deref().and_then(level_of);
    let under = new.under.as_deref().unwrap_or_default();
    let Place { parent, objective, below } = find::place(state, revision.draft.year, under, level)?;
    let level = level.unwrap_or(below);
    let (name, responsible) = (stated("--name", &new.name)?, stated("--responsible", &new.responsible)?);
    match level {
        // It has its objective's name.
        Level::Strategic if !name.is_empty() => return Err(contradicts("--name", "--level strategic")),
        Level::Strategic => {}
        _ if name.is_empty() => return Err(missing("--name <TEXT>")),
        _ => {}
    }
    let inherited = parent.and_then(|id| state.indicator(id)?.facet_in(revision.draft.effective).unit);
    if responsible.is_empty() && inherited.is_none() {
        // Nobody could record anything for it.
        return Err(missing("--responsible <POST>"));
    }
    let measure = stated("--measure", &new.measure)?;
    if measure.is_empty() {
        return Err(missing("--measure <TEXT>"));
    }
    let satuan = stated("--satuan", &new.satuan)?;
    let mut targets = [const { Target::NotPlanned }; 4];
    for (quarter, target) in find::quarter_targets(&changes.target)? {
        targets[quarter.index()] = target;
    }
    let kind = named("kind", changes.kind.as_deref().unwrap_or_default(), Kind::from_name)?;
    let polarity = changes.polarity.as_deref().map(|name| named("polarity", name, Polarity::from_name));
    let formula = changes.formula.as_deref().map(|name| named("formula", name, LowerFormula::from_name));
    let text = |text: String| (!text.is_empty()).then(|| text.into_boxed_str());
    Ok(AddIndicator {
        parent,
        objective,
        polarity: polarity.transpose()?.unwrap_or_default(),
        formula: formula.transpose()?.unwrap_or_default(),
        cap: number_or_none("cap", changes.cap.as_deref())?.flatten(),
        row: ImportIndicator {
            level,
            name: name.into(),
            measure: measure.into(),
            satuan: text(satuan),
            responsible: text(as_known(state, responsible)),
            kind,
            targets,
            year_target: number_or_none("year-target", changes.year_target.as_deref())?.flatten(),
        },
    })
}

/// A unit's name as it is written already.
fn as_known(state: &State, post: String) -> String {
    let known = state.people.unit_named(&post).and_then(|id| state.people.unit(id));
    known.map_or(post, |unit| unit.name.to_string())
}

fn level_of(name: &str) -> Option<Level> {
    let all = [Level::Strategic, Level::Program, Level::Activity, Level::SubActivity];
    all.into_iter().find(|level| level.name() == name.replace('-', "_"))
}

fn missing(option: &str) -> ClientError {
    usage(text::with("usage.missing_argument", &[("arguments", &option)]), option)
}

fn contradicts(option: &str, other: &str) -> ClientError {
    usage(text::with("usage.conflict", &[("argument", &option), ("other", &other)]), option)
}

fn usage(cause: String, option: &str) -> ClientError {
    ClientError::NotUnderstood(Rejected::new("USAGE").with("cause", cause).with("argument", option))
}

/// The post of an addition that is no unit yet: it becomes one with the approval.
pub(super) fn new_unit<'a>(state: &State, add: &'a AddIndicator) -> Option<&'a str> {
    add.row.responsible.as_deref().filter(|post| state.people.unit_named(post).is_none())
}

/// What the new indicator stands below: a code, or the number of an objective.
pub(super) fn under(state: &State, add: &AddIndicator) -> String {
    match add.parent {
        Some(parent) => {
            state.indicator(parent).map_or_else(|| "?".to_owned(), |known| known.code.to_string())
        }
        None => (add.objective + 1).to_string(),
    }
}

/// `1.1.1: adds the sub-activity "Jumlah pasar" (pasar, sum; TW 3 50, TW 4 60)`.
pub(super) fn in_words(state: &State, add: &AddIndicator) -> String {
    let row = &add.row;
    let planned = renaksi_domain::time::Quarter::ALL.iter().zip(&row.targets);
    let planned = planned.filter(|(_, target)| **target != Target::NotPlanned);
    let planned: Vec<String> =
        planned.map(|(quarter, target)| format!("{quarter} {}", render::target(target))).collect();
    let targets = if planned.is_empty() { "–".to_owned() } else { planned.join(", ") };
    let name = if row.name.is_empty() { String::new() } else { format!("{} – ", row.name) };
    text::with(
        "revision.change.add",
        &[
            ("indicator", &under(state, add)),
            ("level", &text::term("level", row.level.name())),
            ("new", &format!("{name}{}", row.measure)),
            ("unit", &row.satuan.as_deref().unwrap_or("–")),
            ("kind", &text::term("kind", row.kind.name())),
            ("targets", &targets),
        ],
    )
}

/// The indicators that a revision added, each with the index of its change; none before its approval.
pub(crate) fn added(state: &State, id: RevisionId) -> Vec<(usize, IndicatorId)> {
    let Some(revision) = state.revision(id) else { return Vec::new() };
    let additions = (0..).zip(&revision.changes).filter(|(_, change)| matches!(change, Change::Add(_)));
    // Its cells begin with the record that also revised them.
    let is_new = |indicator: &Indicator| match indicator.targets[0].versions.as_slice() {
        [first, second, ..] => first.position == second.position && second.revision == Some(id),
        _ => false,
    };
    let new = state.indicators.iter().enumerate().filter(|(_, indicator)| is_new(indicator));
    additions.map(|(at, _)| at).zip(new.map(|(index, _)| IndicatorId::after(index))).collect()
}
