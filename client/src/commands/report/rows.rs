//! The rows of the report, as the office's form has them. Pure: state in, rows out.

use renaksi_domain::State;
use renaksi_domain::figures::{Line, Period};
use renaksi_domain::ids::IndicatorId;
use renaksi_domain::indicator::{Indicator, Level};
use renaksi_domain::narrative::Texts;
use renaksi_domain::quarter::PlanQuarter;
use renaksi_domain::rollup::{Under, roll_up};
use renaksi_domain::time::Quarter;
use serde_json::{Value, json};

use super::{OFFICIAL, rehearsal, say_in};
use crate::render;
use crate::text::Language;
use crate::view;

/// One indicator. Figures are decimal strings with a dot; the official ones are the verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ReportRow {
    /// Counts the rows from 1.
    pub number: usize,
    pub code: String,
    pub objective: String,
    pub program: String,
    pub activity: String,
    pub indicator: String,
    pub unit: Option<String>,
    pub targets_original: [String; 4],
    pub targets: [String; 4],
    pub realised: [Option<String>; 4],
    pub realised_verified: [Option<String>; 4],
    pub quarter: Achieved,
    pub to_date: Achieved,
    pub year: Achieved,
    /// Faktor pendorong, faktor penghambat, tindak lanjut.
    pub narrative: [Option<String>; 3],
    pub responsible: Option<String>,
    /// What stands below comes to together, as JSON has it; null where nothing does.
    pub roll_up: Value,
    /// From which quarter it is retired, and by the revision of which number.
    pub retired: Option<(u8, String)>,
}

/// One view of an achievement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Achieved {
    pub achievement: Option<String>,
    pub rating: Option<String>,
    /// Why there is no figure, or what is to be known about it.
    pub reason: Option<&'static str>,
    /// What the targets that are there add up to, where one is missing.
    pub target_partial: Option<String>,
    /// The achievement of everything reported, where nothing is verified yet.
    pub unverified: Option<String>,
}

impl Achieved {
    fn of(line: &Line) -> Self {
        let achievement = view::achievement(line);
        let unverified = if achievement.is_none() { view::achievement_reported(line) } else { None };
        Self {
            achievement,
            rating: line.rating.as_deref().map(str::to_owned),
            reason: view::reason(line),
            target_partial: view::partial(&line.target),
            unverified,
        }
    }

    fn note(&self, language: Language) -> Option<String> {
        if let Some(percent) = &self.unverified {
            return Some(say_in(language, "report.not_verified", &[("percent", render::number(percent))]));
        }
        let reason = say_in(language, &format!("term.reason.{}", self.reason?), &[]);
        Some(match &self.target_partial {
            Some(figure) => {
                let values = [("reason", reason), ("figure", render::number(figure))];
                say_in(language, "report.target_partial", &values)
            }
            None => reason,
        })
    }
}

/// Every indicator of the year's plan, in the plan's order.
pub(super) fn rows(state: &State, about: PlanQuarter) -> Vec<ReportRow> {
    let Some(plan) = state.plan(about.year) else { return Vec::new() };
    let known = plan.indicators.iter().filter_map(|id| Some((*id, state.indicator(*id)?)));
    (1..)
        .zip(known)
        .map(|(number, (id, indicator))| {
            let objective = plan.objectives.get(indicator.objective as usize).map_or("", |name| name);
            let narrative = narrative(state, id, about.quarter);
            let roll_up = roll_up_json(state, Under::Indicator(id), about);
            ReportRow { narrative, roll_up, ..row(state, number, objective, indicator, about.quarter) }
        })
        .collect()
}

fn row(state: &State, number: usize, objective: &str, indicator: &Indicator, quarter: Quarter) -> ReportRow {
    let figures = view::figures(state, indicator, quarter);
    let parent = indicator.parent.and_then(|id| state.indicator(id)).map_or("", |parent| &parent.name);
    let (program, activity) = match indicator.level {
        Level::Strategic => ("", ""),
        Level::Program => (&*indicator.name, ""),
        Level::Activity | Level::SubActivity => (parent, &*indicator.name),
    };
    let each = |of: fn(&Line) -> String| [0, 1, 2, 3].map(|at| of(&figures.quarters[at]));
    let realised = |of: fn(&Line) -> Option<String>| [0, 1, 2, 3].map(|at| of(&figures.quarters[at]));
    ReportRow {
        number,
        code: indicator.code.to_string(),
        objective: one_line(objective),
        program: one_line(program),
        activity: one_line(activity),
        indicator: one_line(&indicator.facet_in(quarter).measure),
        unit: indicator.satuan.as_deref().map(one_line),
        targets_original: each(|line| line.target_original.label()),
        targets: each(|line| line.target.label()),
        realised: realised(|line| view::plain(&line.realised)),
        realised_verified: realised(|line| view::plain(&line.realised_verified)),
        quarter: Achieved::of(&figures.quarters[quarter.index()]),
        to_date: Achieved::of(&figures.to_date),
        year: Achieved::of(&figures.year),
        narrative: Default::default(),
        roll_up: Value::Null,
        responsible: indicator.facet_in(quarter).responsible.as_deref().map(one_line),
        retired: indicator.retired.map(|(revision, from)| {
            let by = state
                .revision(revision)
                .map_or_else(String::new, |revision| revision.draft.number.to_string());
            (from.number(), by)
        }),
    }
}

fn narrative(state: &State, id: IndicatorId, quarter: Quarter) -> [Option<String>; 3] {
    let texts = state.narrative(id, quarter).map(|narrative| &narrative.texts);
    let Some(Texts { driver, obstacle, follow_up }) = texts else { return Default::default() };
    [driver, obstacle, follow_up].map(|text| Some(one_line(text)).filter(|text| !text.is_empty()))
}

/// The mean of what stands below, over the report's three periods.
fn roll_up_json(state: &State, under: Under, about: PlanQuarter) -> Value {
    let over = |period| roll_up(state, about.year, under, period);
    let periods = [Period::Quarter(about.quarter), Period::ToDate(about.quarter), Period::Year].map(over);
    let [Some(quarter), Some(to_date), Some(year)] = periods.each_ref().map(Option::as_ref) else {
        return Value::Null;
    };
    json!({
        "quarter": view::roll_up_json(quarter),
        "to_date": view::roll_up_json(to_date),
        "year": view::roll_up_json(year),
    })
}

/// Whether a report has roll-ups. The first release's had none, and what it locked is the same bytes for ever.
fn has_roll_ups(state: &State) -> bool {
    state.rules >= 2
}

/// The headings, which are no rows of the report.
fn objectives(state: &State, about: PlanQuarter) -> Value {
    let names = state.plan(about.year).into_iter().flat_map(|plan| &plan.objectives);
    let one = |(number, name): (u32, &str)| {
        json!({
            "code": (number + 1).to_string(),
            "name": one_line(name),
            "roll_up": roll_up_json(state, Under::Objective(number), about),
        })
    };
    (0..).zip(names.map(|name| &**name)).map(one).collect()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl ReportRow {
    /// Keterangan: why there is no figure, each cause once.
    pub(super) fn note(&self, language: Language, about: PlanQuarter) -> String {
        let mut notes: Vec<String> = Vec::new();
        if let Some((from, by)) = &self.retired {
            let values = [("quarter", from.to_string()), ("revision", by.clone())];
            notes.push(say_in(language, "report.retired", &values));
        }
        let quarter = [("quarter", about.quarter.number().to_string())];
        let mut told = None;
        let periods = [
            ("report.in_quarter", &self.quarter),
            ("report.to_quarter", &self.to_date),
            ("report.in_year", &self.year),
        ];
        for (period, achieved) in periods {
            let note = achieved.note(language);
            if note == told {
                continue;
            }
            if let Some(note) = &note {
                notes.push(format!("{}: {note}", say_in(language, period, &quarter)));
            }
            told = note;
        }
        notes.join("; ")
    }

    fn json(&self, about: PlanQuarter) -> Value {
        let views = [("quarter", &self.quarter), ("to_date", &self.to_date), ("year", &self.year)];
        let each = |of: fn(&Achieved) -> Value| {
            Value::Object(views.iter().map(|(name, achieved)| ((*name).to_owned(), of(achieved))).collect())
        };
        json!({
            "no": self.number,
            "code": self.code,
            "objective": self.objective,
            "program": self.program,
            "activity": self.activity,
            "indicator": self.indicator,
            "unit": self.unit,
            "targets_original": self.targets_original,
            "targets": self.targets,
            "realised": self.realised,
            "realised_verified": self.realised_verified,
            "achievement": each(|achieved| json!(achieved.achievement)),
            "rating": each(|achieved| json!(achieved.rating)),
            "reason": each(|achieved| json!(achieved.reason)),
            "target_partial": each(|achieved| json!(achieved.target_partial)),
            "drivers": self.narrative[0],
            "obstacles": self.narrative[1],
            "follow_up": self.narrative[2],
            "responsible": self.responsible,
            "note": self.note(OFFICIAL, about),
        })
    }
}

/// The whole report. The same state gives the same bytes.
pub(super) fn json(state: &State, about: PlanQuarter) -> Value {
    let with_roll_ups = has_roll_ups(state);
    let rows: Vec<Value> = rows(state, about)
        .into_iter()
        .map(|row| {
            let mut value = row.json(about);
            if with_roll_ups {
                value["roll_up"] = row.roll_up;
            }
            value
        })
        .collect();
    let mut report = json!({
        "office": state.office.as_ref().map(|office| &office.name),
        "year": about.year,
        "quarter": about.quarter.number(),
    });
    if rehearsal(state).is_some() {
        report["rehearsal"] = json!(true);
    }
    report["locked"] = json!(state.is_locked(about));
    report["as_of"] = json!({ "position": state.position, "time": state.time.rfc3339() });
    if with_roll_ups {
        report["objectives"] = objectives(state, about);
    }
    report["rows"] = json!(rows);
    report
}
