//! The rows of figures that `plan show`, `indicator show`, the report and the demo speak of. Pure: state in, rows out.

use renaksi_domain::State;
use renaksi_domain::achievement::{Exact, two_decimals};
use renaksi_domain::figures::{Line, Period, PeriodTarget, Realised, current_line, line};
use renaksi_domain::ids::{IndicatorId, UnitId};
use renaksi_domain::indicator::Indicator;
use renaksi_domain::rollup::{Mean, RollUp, Under, roll_up};
use renaksi_domain::time::Quarter;
use serde_json::{Value, json};

use crate::render;
use crate::text;

/// What a row is about.
#[derive(Clone, Debug)]
pub enum Subject<'a> {
    /// A heading: it has no figures of its own.
    Objective,
    /// Boxed figures, so that a heading costs nothing.
    Indicator { id: IndicatorId, indicator: &'a Indicator, figures: Box<Figures> },
}

/// One row of the plan, in the plan's own order.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    pub code: String,
    /// As JSON spells it: `objective`, `strategic`, `program`, `activity`, `sub_activity`.
    pub level: &'static str,
    /// Name of the objective, program, activity or sub-activity.
    pub name: &'a str,
    pub subject: Subject<'a>,
    /// What the rows below come to together, where there are some.
    pub roll_ups: Option<Box<RollUps>>,
    /// Where its entries come to something else than a lock froze.
    pub differences: Vec<Difference>,
}

/// A period that a lock froze, and what its entries come to now, because an earlier quarter was opened again.
#[derive(Clone, Debug)]
pub struct Difference {
    pub period: Period,
    pub frozen: Line,
    pub now: Line,
}

/// Roll-ups over the periods of [`Figures`].
#[derive(Clone, Debug)]
pub struct RollUps {
    pub quarters: [RollUp; 4],
    pub to_date: RollUp,
    pub year: RollUp,
}

/// All that is known of one indicator in one year, seen from one quarter.
#[derive(Clone, Debug)]
pub struct Figures {
    pub quarters: [Line; 4],
    pub to_date: Line,
    pub year: Line,
}

/// The figures of an indicator, its year to date ending with `quarter`.
pub fn figures(state: &State, indicator: &Indicator, quarter: Quarter) -> Figures {
    Figures {
        quarters: Quarter::ALL.map(|quarter| line(state, indicator, Period::Quarter(quarter))),
        to_date: line(state, indicator, Period::ToDate(quarter)),
        year: line(state, indicator, Period::Year),
    }
}

/// Every quarter and year to date of an indicator where what a lock froze and what the entries give now differ.
pub fn differences(state: &State, indicator: &Indicator) -> Vec<Difference> {
    let periods =
        Quarter::ALL.into_iter().flat_map(|quarter| [Period::Quarter(quarter), Period::ToDate(quarter)]);
    let both = periods.map(|period| Difference {
        period,
        frozen: line(state, indicator, period),
        now: current_line(state, indicator, period),
    });
    both.filter(|both| both.frozen.basis != both.now.basis).collect()
}

fn roll_ups(state: &State, year: i16, under: Under, quarter: Quarter) -> Option<Box<RollUps>> {
    let over = |period| roll_up(state, year, under, period);
    let [first, second, third, fourth] = Quarter::ALL.map(|quarter| over(Period::Quarter(quarter)));
    Some(Box::new(RollUps {
        quarters: [first?, second?, third?, fourth?],
        to_date: over(Period::ToDate(quarter))?,
        year: over(Period::Year)?,
    }))
}

/// Every row of a year's plan; of one unit's indicators (with their objectives) when a unit is named.
pub fn rows(state: &State, year: i16, quarter: Quarter, unit: Option<UnitId>) -> Vec<Row<'_>> {
    let Some(plan) = state.plan(year) else { return Vec::new() };
    let indicators: Vec<(IndicatorId, &Indicator)> = plan
        .indicators
        .iter()
        .filter_map(|id| Some((*id, state.indicator(*id)?)))
        .filter(|(_, indicator)| unit.is_none() || indicator.facet_in(quarter).unit == unit)
        .collect();
    let mut rows = Vec::with_capacity(indicators.len() + plan.objectives.len());
    for (number, name) in (0..).zip(&plan.objectives) {
        let below = || indicators.iter().filter(move |(_, indicator)| indicator.objective == number);
        if unit.is_some() && below().next().is_none() {
            continue;
        }
        let code = (number + 1).to_string();
        let roll_ups = roll_ups(state, year, Under::Objective(number), quarter);
        rows.push(Row {
            code,
            level: "objective",
            name,
            subject: Subject::Objective,
            roll_ups,
            differences: Vec::new(),
        });
        rows.extend(below().map(|(id, indicator)| row(state, *id, indicator, quarter)));
    }
    rows
}

/// The row of one indicator.
pub fn row<'a>(state: &State, id: IndicatorId, indicator: &'a Indicator, quarter: Quarter) -> Row<'a> {
    Row {
        code: indicator.code.to_string(),
        level: indicator.level.name(),
        name: &indicator.name,
        subject: Subject::Indicator { id, indicator, figures: Box::new(figures(state, indicator, quarter)) },
        roll_ups: roll_ups(state, indicator.year, Under::Indicator(id), quarter),
        differences: differences(state, indicator),
    }
}

impl Row<'_> {
    /// The row of the JSON contract; kind and polarity are those in effect in `quarter`.
    pub fn json(&self, quarter: Quarter) -> Value {
        let Subject::Indicator { indicator, figures, .. } = &self.subject else {
            return self.heading_json();
        };
        let settings = indicator.settings_in(quarter);
        let each = |of: fn(&Line) -> Value| figures.quarters.iter().map(of).collect::<Vec<_>>();
        json!({
            "code": self.code,
            "level": self.level,
            "name": self.name,
            "indicator": indicator.facet_in(quarter).measure,
            "unit": indicator.satuan,
            "kind": settings.kind.name(),
            "confirmed": indicator.confirmed,
            "polarity": settings.polarity.name(),
            "responsible": indicator.facet_in(quarter).responsible,
            "targets": each(|line| json!(line.target.label())),
            "targets_original": each(|line| json!(line.target_original.label())),
            "realised": each(|line| json!(plain(&line.realised))),
            "realised_verified": each(|line| json!(plain(&line.realised_verified))),
            "achievement": each(|line| json!(achievement(line))),
            "achievement_reported": each(|line| json!(achievement_reported(line))),
            "rating": each(|line| json!(line.rating.as_deref())),
            "reason": each(|line| json!(reason(line))),
            "to_date": line_json(&figures.to_date),
            "year": line_json(&figures.year),
            "roll_up": self.roll_ups_json(),
            "current": self.current_json(),
        })
    }

    /// An objective: the same keys, nothing in them.
    fn heading_json(&self) -> Value {
        let mut row = json!({ "code": self.code, "level": self.level, "name": self.name });
        for key in ["indicator", "unit", "kind", "confirmed", "polarity", "responsible"] {
            row[key] = Value::Null;
        }
        let four = ["targets", "targets_original", "realised", "realised_verified"];
        for key in four.into_iter().chain(["achievement", "achievement_reported", "rating", "reason"]) {
            row[key] = json!([null, null, null, null]);
        }
        row["to_date"] = blank_line_json();
        row["year"] = blank_line_json();
        row["roll_up"] = self.roll_ups_json();
        row["current"] = self.current_json();
        row
    }

    /// What the entries give now, each period where a lock froze something else.
    fn current_json(&self) -> Value {
        let one = |Difference { period, now, .. }: &Difference| {
            let name = match period {
                Period::Quarter(_) => "quarter",
                Period::ToDate(_) => "to_date",
                Period::Year => "year",
            };
            let mut value = line_json(now);
            value["period"] = json!(name);
            value["quarter"] = json!(period.last().number());
            value
        };
        Value::from_iter(self.differences.iter().map(one))
    }

    /// The mean of what stands below and can be computed; null where nothing does.
    fn roll_ups_json(&self) -> Value {
        self.roll_ups.as_ref().map_or(Value::Null, |roll_ups| {
            json!({
                "quarters": roll_ups.quarters.each_ref().map(roll_up_json),
                "to_date": roll_up_json(&roll_ups.to_date),
                "year": roll_up_json(&roll_ups.year),
            })
        })
    }
}

/// One roll-up of the JSON contract.
pub fn roll_up_json(roll_up: &RollUp) -> Value {
    let percent = |mean: &Mean| mean.achievement.as_ref().map(two_decimals);
    json!({
        "achievement": percent(&roll_up.verified),
        "achievement_reported": percent(&roll_up.reported),
        "counted": roll_up.verified.counted,
        "left_out": roll_up.verified.left_out,
        "counted_reported": roll_up.reported.counted,
        "left_out_reported": roll_up.reported.left_out,
        "rating": roll_up.rating.as_deref(),
    })
}

/// A roll-up for people: the official mean and of how many, `87,50 (2/5)`; that of what is reported while nothing is
/// verified.
pub fn roll_up_label(roll_up: &RollUp) -> String {
    let (mean, mark) = match roll_up.verified.counted {
        0 => (&roll_up.reported, "*"),
        _ => (&roll_up.verified, ""),
    };
    let percent = mean.achievement.as_ref().map(two_decimals);
    match percent {
        Some(percent) => {
            let all = mean.counted + mean.left_out;
            format!("{}{mark} ({}/{all})", render::number(&percent), mean.counted)
        }
        None => format!("– (0/{})", mean.left_out),
    }
}

/// One period of the JSON contract.
pub fn line_json(line: &Line) -> Value {
    json!({
        "target": line.target.label(),
        "target_partial": partial(&line.target),
        "target_original": line.target_original.label(),
        "realised": plain(&line.realised),
        "realised_verified": plain(&line.realised_verified),
        "achievement": achievement(line),
        "achievement_reported": achievement_reported(line),
        "rating": line.rating.as_deref(),
        "reason": reason(line),
    })
}

/// The same keys, nothing in them.
fn blank_line_json() -> Value {
    let keys = [
        "target",
        "target_partial",
        "target_original",
        "realised",
        "realised_verified",
        "achievement",
        "achievement_reported",
        "rating",
        "reason",
    ];
    Value::Object(keys.map(|key| (key.to_owned(), Value::Null)).into_iter().collect())
}

/// What the targets that are there add up to, where one of the period is missing.
pub fn partial(target: &PeriodTarget) -> Option<String> {
    match target {
        PeriodTarget::Missing(partial) => partial.as_ref().map(Exact::plain),
        PeriodTarget::Number(_) | PeriodTarget::Text(_) | PeriodTarget::NotPlanned => None,
    }
}

/// A target for people; one of which a cell is missing as incomplete.
pub fn target_label(target: &PeriodTarget) -> String {
    match partial(target) {
        Some(figure) => text::with("figure.incomplete", &[("figure", &render::number(&figure))]),
        None => render::cell(&target.label()),
    }
}

/// A realisation as a decimal string, or the text; none when there is none.
pub fn plain(realised: &Realised) -> Option<String> {
    match realised {
        Realised::Number(number) => Some(number.plain()),
        Realised::Text(text) => Some(text.to_string()),
        Realised::NotReported | Realised::DenominatorZero => None,
    }
}

/// The official achievement with two decimals.
pub fn achievement(line: &Line) -> Option<String> {
    line.achievement.as_ref().ok().map(two_decimals)
}

/// The achievement of everything reported, with two decimals.
pub fn achievement_reported(line: &Line) -> Option<String> {
    line.achievement_reported.as_ref().ok().map(two_decimals)
}

/// Why there is no official achievement, or what is to be known about it.
pub fn reason(line: &Line) -> Option<&'static str> {
    match &line.achievement {
        Err(cause) => Some(cause.name()),
        Ok(_) => line.not_aggregable.then_some("NOT_AGGREGABLE"),
    }
}

/// The official achievement for people: the figure, or why there is none.
pub fn achievement_label(line: &Line) -> String {
    match achievement(line) {
        Some(percent) => render::number(&percent),
        None => reason(line).map_or_else(String::new, |reason| text::term("reason", reason)),
    }
}

/// A realisation for people; a dash where there is none.
pub fn realised_label(realised: &Realised) -> String {
    plain(realised).map_or_else(|| "–".to_owned(), |figure| render::number(&figure))
}

#[cfg(test)]
mod tests {
    use renaksi_domain::command::Command;
    use renaksi_domain::quarter::{PlanQuarter, QuarterCommand};
    use renaksi_domain::time::Timestamp;

    use super::*;
    use crate::commands::audit::fixture::Office;
    use crate::find::tests::plan_2024;

    #[test]
    fn rows_stand_in_the_plans_order_with_the_same_keys() {
        let state = plan_2024();
        let rows = rows(&state, 2024, Quarter::Q1, None);
        let codes: Vec<&str> = rows.iter().map(|row| row.code.as_str()).collect();
        assert_eq!(codes.len(), 4 + 101);
        assert_eq!(codes[..4], ["1", "1.1", "1.1.1", "1.1.1.1"]);
        let keys =
            |row: &Row<'_>| row.json(Quarter::Q1).as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&rows[0]), keys(&rows[1]));
        let (objective, strategic) = (rows[0].json(Quarter::Q1), rows[1].json(Quarter::Q1));
        for key in ["targets", "realised_verified", "rating", "reason"] {
            assert_eq!(objective[key], json!([null, null, null, null]), "{key}");
        }
        let period = |row: &Value| row["year"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(period(&objective), period(&strategic));
        assert!(objective["to_date"].as_object().unwrap().values().all(Value::is_null));
    }

    #[test]
    fn r8_the_four_kinds_of_target_have_their_own_reasons() {
        let state = plan_2024();
        let rows = rows(&state, 2024, Quarter::Q4, None);
        let json = |code: &str| rows.iter().find(|row| row.code == code).unwrap().json(Quarter::Q4);
        let row = json("1.1.1.3");
        assert_eq!(row["targets"], json!(["not planned", "11", "not planned", "missing"]));
        assert_eq!(
            row["reason"],
            json!(["TARGET_NOT_PLANNED", "NOT_REPORTED", "TARGET_NOT_PLANNED", "TARGET_MISSING"])
        );
        assert_eq!(row["year"]["target"], "missing");
        assert_eq!(row["year"]["target_partial"], "11");
        let Subject::Indicator { figures, .. } =
            &rows.iter().find(|row| row.code == "1.1.1.3").unwrap().subject
        else {
            panic!("an indicator")
        };
        let shown = target_label(&figures.year.target);
        assert!(shown.starts_with("(11, "), "{shown}");
        assert_eq!(json("1.1.2.2")["year"]["target_partial"], Value::Null);
        assert_eq!(json("1.1.2.2")["year"]["target"], "945");
        assert_eq!(json("1.1.2.2")["realised"], json!([null, null, null, null]));
    }

    #[test]
    fn what_the_entries_give_now_stands_beside_what_a_lock_froze() {
        let mut office = Office::established();
        office.entry("2024-02-01", "70");
        let current = |office: &Office| {
            let rows = rows(&office.state, 2024, Quarter::Q2, None);
            let row = rows.iter().find(|row| row.code == "1.1.1.1").unwrap().json(Quarter::Q2);
            let now = row["current"].as_array().unwrap().clone();
            now.iter()
                .map(|now| format!("{} {} {}", now["period"], now["quarter"], now["realised"]))
                .collect::<Vec<_>>()
        };
        office.lock(Quarter::Q1);
        office.lock(Quarter::Q2);
        assert_eq!(current(&office), [""; 0]);
        let about = PlanQuarter { year: 2024, quarter: Quarter::Q1 };
        office.done(Command::Quarter(QuarterCommand::RequestReopen(about, Timestamp(i64::MAX))));
        office.done(Command::Quarter(QuarterCommand::GrantReopen(about)));
        office.entry("2024-02-02", "5");
        // The open quarter is what it is now; the one that stayed locked differs.
        assert_eq!(current(&office), ["\"to_date\" 2 \"75\""]);
        office.done(Command::Quarter(QuarterCommand::Relock(about)));
        assert_eq!(current(&office), ["\"to_date\" 2 \"75\""]);
    }

    #[test]
    fn a_units_rows_keep_their_objectives() {
        let state = plan_2024();
        let unit = state.people.unit_named("kepala bidang koperasi").unwrap();
        let rows = rows(&state, 2024, Quarter::Q1, Some(unit));
        assert!(rows.iter().any(|row| row.level == "objective"));
        assert!(
            rows.len() < 105 && rows.iter().filter(|row| row.level != "objective").all(|row| {
                matches!(&row.subject, Subject::Indicator { indicator, .. } if indicator.facet().unit == Some(unit))
            })
        );
    }
}
