//! One indicator with all its figures, and in what two of them differ.

use renaksi_domain::State;
use renaksi_domain::figures::{Line, Period, line};
use renaksi_domain::indicator::{Indicator, Level, Settings};
use renaksi_domain::quantity::Quantity;
use renaksi_domain::time::Quarter;
use serde_json::{Value, json};

use super::Touched;
use crate::commands::audit::unit_name;
use crate::text;
use crate::view::{self, line_json, plain};

/// One indicator as a state has it: its settings from the effective quarter on, its figures of the whole year.
#[derive(Clone, Debug)]
pub(in super::super) struct Seen {
    pub level: Level,
    pub name: Box<str>,
    pub measure: Box<str>,
    pub satuan: Option<Box<str>>,
    pub responsible: Option<String>,
    pub settings: Settings,
    pub year_target: Option<Quantity>,
    pub retired_from: Option<Quarter>,
    pub quarters: [Line; 4],
    pub to_date: [Line; 4],
    pub year: Line,
}

impl Seen {
    pub(super) fn of(state: &State, indicator: &Indicator, effective: Quarter) -> Seen {
        let facet = indicator.facet_in(effective);
        Seen {
            level: indicator.level,
            name: indicator.name.clone(),
            measure: facet.measure.clone(),
            satuan: indicator.satuan.clone(),
            responsible: match &facet.responsible {
                Some(post) => Some(post.to_string()),
                None => facet.unit.map(|unit| unit_name(state, unit)),
            },
            settings: indicator.settings_in(effective),
            year_target: indicator.year_target,
            retired_from: indicator.retired.map(|(_, quarter)| quarter),
            quarters: Quarter::ALL.map(|quarter| line(state, indicator, Period::Quarter(quarter))),
            to_date: Quarter::ALL.map(|quarter| line(state, indicator, Period::ToDate(quarter))),
            year: line(state, indicator, Period::Year),
        }
    }

    /// The same keys as a row of `plan show`, with the settings and the year to date of each quarter.
    pub(super) fn json(&self) -> Value {
        let each = |of: fn(&Line) -> Value| self.quarters.iter().map(of).collect::<Vec<_>>();
        json!({
            "indicator": self.measure,
            "responsible": self.responsible,
            "kind": self.settings.kind.name(),
            "polarity": self.settings.polarity.name(),
            "formula": self.settings.formula.name(),
            "cap": self.settings.cap.map(Quantity::plain),
            "year_target": self.year_target.map(Quantity::plain),
            "retired_from": self.retired_from.map(Quarter::number),
            "targets": each(|line| json!(line.target.label())),
            "realised": each(|line| json!(plain(&line.realised))),
            "realised_verified": each(|line| json!(plain(&line.realised_verified))),
            "achievement": each(|line| json!(view::achievement(line))),
            "achievement_reported": each(|line| json!(view::achievement_reported(line))),
            "rating": each(|line| json!(line.rating.as_deref())),
            "reason": each(|line| json!(view::reason(line))),
            "to_date": self.to_date.iter().map(line_json).collect::<Vec<_>>(),
            "year": line_json(&self.year),
        })
    }
}

/// What a difference is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// How it is measured, from the effective quarter on.
    Settings,
    Figure(Period),
}

/// One setting or figure that would be another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub about: About,
    /// As JSON names it.
    pub figure: &'static str,
    pub before: Value,
    pub after: Value,
    /// The same for people.
    pub shown: [String; 2],
}

impl Difference {
    pub(super) fn json(&self) -> Value {
        let (period, quarter) = match self.about {
            About::Settings => ("settings", None),
            About::Figure(Period::Quarter(quarter)) => ("quarter", Some(quarter.number())),
            About::Figure(Period::ToDate(quarter)) => ("to_date", Some(quarter.number())),
            About::Figure(Period::Year) => ("year", None),
        };
        json!({ "period": period, "quarter": quarter, "figure": self.figure, "before": self.before, "after": self.after })
    }
}

const NONE: &str = "–";

/// Everything that differs, in the order in which people read it.
pub(super) fn differences(row: &Touched) -> Vec<Difference> {
    let mut all = settings(row.before.as_ref(), &row.after);
    let mut period = |about, of: &dyn Fn(&Seen) -> Line| {
        all.extend(lines(About::Figure(about), row.before.as_ref().map(of).as_ref(), &of(&row.after)));
    };
    for quarter in Quarter::ALL {
        period(Period::Quarter(quarter), &|seen| seen.quarters[quarter.index()].clone());
    }
    for quarter in Quarter::ALL {
        period(Period::ToDate(quarter), &|seen| seen.to_date[quarter.index()].clone());
    }
    period(Period::Year, &|seen| seen.year.clone());
    all
}

/// A value and how people read it.
type Shown = (Value, String);

fn settings(before: Option<&Seen>, after: &Seen) -> Vec<Difference> {
    let number = |number: Option<Quantity>, unit: &str| {
        (json!(number.map(Quantity::plain)), number.map_or(NONE.to_owned(), |n| n.indonesian() + unit))
    };
    let term = |kind: &str, name: &str| (json!(name), text::term(kind, name));
    let texts = |text: Option<&str>| (json!(text), text.unwrap_or(NONE).to_owned());
    let all = |seen: &Seen| -> [(&'static str, Shown); 8] {
        [
            ("indicator", texts(Some(&seen.measure))),
            ("responsible", texts(seen.responsible.as_deref())),
            ("kind", term("kind", seen.settings.kind.name())),
            ("polarity", term("polarity", seen.settings.polarity.name())),
            ("formula", term("formula", seen.settings.formula.name())),
            ("cap", number(seen.settings.cap, " %")),
            ("year_target", number(seen.year_target, "")),
            (
                "retired_from",
                (
                    json!(seen.retired_from.map(Quarter::number)),
                    seen.retired_from.map_or(NONE.to_owned(), |quarter| quarter.to_string()),
                ),
            ),
        ]
    };
    let before = before.map(all);
    let differs = all(after).into_iter().enumerate().map(|(at, (figure, after))| {
        let before = before.as_ref().map_or((Value::Null, NONE.to_owned()), |before| before[at].1.clone());
        difference(About::Settings, figure, before, after)
    });
    differs.flatten().collect()
}

fn lines(about: About, before: Option<&Line>, after: &Line) -> Vec<Difference> {
    let percent = |figure: Option<String>, line: &Line| {
        let label = figure.as_deref().map(crate::render::number);
        let reason = || view::reason(line).map_or(NONE.to_owned(), |reason| text::term("reason", reason));
        (json!(figure), label.unwrap_or_else(reason))
    };
    let all = |line: &Line| -> [(&'static str, Shown); 6] {
        [
            ("target", (json!(line.target.label()), view::target_label(&line.target))),
            ("realised", (json!(plain(&line.realised)), view::realised_label(&line.realised))),
            (
                "realised_verified",
                (json!(plain(&line.realised_verified)), view::realised_label(&line.realised_verified)),
            ),
            ("achievement", percent(view::achievement(line), line)),
            ("achievement_reported", percent(view::achievement_reported(line), line)),
            ("rating", (json!(line.rating.as_deref()), line.rating.as_deref().unwrap_or(NONE).to_owned())),
        ]
    };
    let Some(before) = before else {
        // Nothing is realised yet of what is new: its targets say all.
        let [(figure, target), ..] = all(after);
        return difference(about, figure, (Value::Null, NONE.to_owned()), target).into_iter().collect();
    };
    let pairs = all(before).into_iter().zip(all(after));
    pairs.filter_map(|((figure, before), (_, after))| difference(about, figure, before, after)).collect()
}

fn difference(about: About, figure: &'static str, before: Shown, after: Shown) -> Option<Difference> {
    let (before, after, shown) = (before.0, after.0, [before.1, after.1]);
    (before != after || shown[0] != shown[1]).then_some(Difference { about, figure, before, after, shown })
}
