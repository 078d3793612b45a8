//! `audit diff`: what changed between two points of the log, figure by figure, with the records that did it. One fold: the
//! state at the first point is set aside while the log is folded to the second.

mod causes;
mod changes;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;

use clap::Args;
use renaksi_domain::State;
use renaksi_domain::figures::Period;
use renaksi_domain::ids::Position;
use renaksi_domain::quarter::PlanQuarter;
use renaksi_domain::time::{Quarter, Zone};
use serde_json::{Map, Value, json};

use super::Narrator;
use super::words::office_time;
use crate::as_of::{Known, Point, point};
use crate::context::{Context, Done};
use crate::device::{Device, ReplayTo};
use crate::error::{ClientError, Rejected};
use crate::render::{self, Paint};
use crate::text;
use causes::{Cause, Causes};
use changes::{Change, Changes, FigureChanges, IndicatorChanges, SettingChange, between};

/// Records named to people below each indicator; the JSON has all.
const RECORDS_SHOWN: usize = 8;

/// Which points.
#[derive(Clone, Debug, Args)]
pub struct DiffArgs {
    /// The earlier point: a position, a date (the end of that day) or a time
    #[arg(value_name = "FROM")]
    pub from: String,
    /// The later point, in the same forms
    #[arg(value_name = "TO")]
    pub to: String,
    /// The quarter that the year to date ends with; without it the one that ran at TO
    #[arg(long, value_name = "N")]
    pub quarter: Option<u32>,
}

/// Two points of the log with all that lies between them.
struct Span {
    from: Point,
    to: Point,
    old: State,
    new: State,
    causes: Causes,
}

/// What is compared.
#[derive(Clone, Copy)]
struct About {
    year: i16,
    /// The years to date end with it.
    quarter: Quarter,
}

pub(super) fn run(ctx: &Context, args: &DiffArgs) -> Result<Done, ClientError> {
    let device = ctx.device()?;
    let (from, to) = (point(&device, &args.from)?, point(&device, &args.to)?);
    in_order(args, from, to)?;
    let span = span(&device, from, to)?;
    let known = Known::of(Cow::Borrowed(&span.new), to, &args.to);
    let year = known.year(ctx)?;
    let about = About { year, quarter: known.quarter(year, args.quarter)? };
    let changes = between(&span.old, &span.new, year, about.quarter);
    match ctx.json {
        true => ctx.print_json(&answer(args, &span, about, &changes)),
        false => tell(ctx, &span, about, &changes),
    }
    Ok(Done::Well)
}

/// Times are compared as they were asked for: two may name the same record.
fn in_order(args: &DiffArgs, from: Point, to: Point) -> Result<(), ClientError> {
    let backwards = match (from.time, to.time) {
        (Some(from), Some(to)) => from > to,
        _ => from.position > to.position,
    };
    if !backwards {
        return Ok(());
    }
    let cause = Rejected::new("DIFF_BACKWARDS").with("from", args.from.trim()).with("to", args.to.trim());
    let cause = cause.with("from_position", from.position).with("to_position", to.position);
    Err(ClientError::NotUnderstood(cause))
}

fn span(device: &Device, from: Point, to: Point) -> Result<Span, ClientError> {
    let name_of = |person| device.name_of(person);
    let mut narrator = Narrator::new(&device.view().confirmed, &name_of);
    let (mut old, mut causes) = (None, Causes::default());
    let fold = device.replay_states(ReplayTo::Position(to.position), &mut |state, record, stored, _| {
        match record.position > from.position {
            true => causes.note(state, record, &narrator.tell(record, stored, None)),
            false => narrator.pass(record),
        }
        if record.position == from.position {
            old = Some(state.clone());
        }
    })?;
    Ok(Span { from, to, old: old.unwrap_or_default(), new: fold.state, causes })
}

fn answer(args: &DiffArgs, span: &Span, about: About, changes: &Changes) -> Value {
    let end = |asked: &str, state: &State| json!({ "asked": asked, "position": state.position, "time": state.time.rfc3339() });
    let plan = changes.plan.iter().map(|change| {
        changed("what", json!(change.what), change, &span.causes.of_plan(about.year, change.what))
    });
    let quarters = changes.quarters.iter().map(|(quarter, change)| {
        let named = PlanQuarter { year: about.year, quarter: *quarter };
        changed("quarter", json!(quarter.number()), change, &span.causes.of_quarter(named))
    });
    let config = changes
        .config
        .iter()
        .map(|change| changed("what", json!(change.what), change, &span.causes.of_config(change.what)));
    json!({
        "from": end(&args.from, &span.old),
        "to": end(&args.to, &span.new),
        "year": about.year,
        "quarter": about.quarter.number(),
        "records": span.to.position - span.from.position,
        "changed": !changes.is_empty(),
        "config": config.collect::<Vec<_>>(),
        "plan": plan.collect::<Vec<_>>(),
        "quarters": quarters.collect::<Vec<_>>(),
        "indicators": changes.indicators.iter().map(|changed| indicator_json(span, about, changed)).collect::<Vec<_>>(),
    })
}

fn changed(key: &str, named: Value, change: &Change, causes: &[&Cause]) -> Value {
    json!({ key: named, "old": change.old, "new": change.new, "records": records(causes) })
}

fn records(causes: &[&Cause]) -> Vec<Value> {
    causes.iter().map(|cause| cause.json()).collect()
}

fn indicator_json(span: &Span, about: About, indicator: &IndicatorChanges) -> Value {
    let settings = indicator.settings.iter().map(|setting| {
        let SettingChange { quarters, change } = setting;
        let quarters: Vec<u8> = quarters.iter().map(|quarter| quarter.number()).collect();
        json!({
            "what": change.what,
            "quarters": (!quarters.is_empty()).then_some(quarters),
            "old": change.old,
            "new": change.new,
            "records": records(&span.causes.of_setting(indicator, setting)),
        })
    });
    let figures = indicator.figures.iter().map(|figure| figure_json(span, about, indicator, figure));
    json!({
        "code": indicator.code,
        "indicator": indicator.measure,
        "change": indicator.kind,
        "settings": settings.collect::<Vec<_>>(),
        "figures": figures.collect::<Vec<_>>(),
    })
}

/// Each value names the records that changed it by position; below them stands what each of these is.
fn figure_json(span: &Span, about: About, indicator: &IndicatorChanges, figure: &FigureChanges) -> Value {
    let mut all: BTreeMap<Position, &Cause> = BTreeMap::new();
    let mut values = Map::new();
    for change in &figure.changes {
        let causes = span.causes.of_figure(indicator, about.year, figure.period, change.what);
        let positions: Vec<Position> = causes.iter().map(|cause| cause.position).collect();
        all.extend(causes.iter().map(|cause| (cause.position, *cause)));
        let value = json!({ "old": change.old, "new": change.new, "records": positions });
        values.insert(change.what.to_owned(), value);
    }
    let (period, quarter) = match figure.period {
        Period::Quarter(quarter) => ("quarter", Some(quarter.number())),
        Period::ToDate(quarter) => ("to_date", Some(quarter.number())),
        Period::Year => ("year", None),
    };
    let all: Vec<&Cause> = all.into_values().collect();
    json!({ "period": period, "quarter": quarter, "changes": values, "records": records(&all) })
}

fn tell(ctx: &Context, span: &Span, about: About, changes: &Changes) {
    let zone = span.new.zone();
    let (from_time, to_time) = (office_time(zone, span.old.time), office_time(zone, span.new.time));
    let title = text::with(
        "audit.diff.title",
        &[
            ("year", &about.year),
            ("from", &span.from.position),
            ("from_time", &from_time),
            ("to", &span.to.position),
            ("to_time", &to_time),
        ],
    );
    ctx.print(&render::paint(ctx.color, Paint::Bold, &render::fitted(&title)));
    if changes.is_empty() {
        let records = span.to.position - span.from.position;
        ctx.print(&text::count("audit.diff.nothing", records, &[]));
        return;
    }
    for change in &changes.config {
        ctx.print(&render::fitted(&in_words(&text::say("audit.diff.what.office"), change)));
        tell_records(ctx, zone, &span.causes.of_config(change.what));
    }
    for change in &changes.plan {
        ctx.print(&render::fitted(&in_words(&text::say("audit.diff.what.plan"), change)));
        tell_records(ctx, zone, &span.causes.of_plan(about.year, change.what));
    }
    for (quarter, change) in &changes.quarters {
        ctx.print(&render::fitted(&in_words(&quarter.to_string(), change)));
        let quarter = PlanQuarter { year: about.year, quarter: *quarter };
        tell_records(ctx, zone, &span.causes.of_quarter(quarter));
    }
    changes.indicators.iter().for_each(|indicator| tell_indicator(ctx, span, about, indicator));
}

/// `TW 3: target 120 → 200`.
fn in_words(about: &str, change: &Change) -> String {
    let what = text::say(&format!("audit.diff.what.{}", change.what));
    let value =
        |value: &Option<String>| value.as_deref().map_or_else(|| "–".to_owned(), |v| shown(change.what, v));
    format!("{about}: {what} {} → {}", value(&change.old), value(&change.new))
}

/// `TW 3`, `TW 3–4`; without quarters the indicator.
fn span_in_words(quarters: &[Quarter]) -> String {
    match quarters {
        [] => text::say("audit.diff.what.indicator"),
        [quarter] => quarter.to_string(),
        [first, .., last] => format!("{first}–{}", last.number()),
    }
}

fn shown(what: &str, value: &str) -> String {
    match what {
        "state" | "kind" | "polarity" | "formula" => text::term(what, value),
        "confirmed" => text::say(if value == "true" { "audit.yes" } else { "audit.no" }),
        "retired_from" => format!("TW {value}"),
        "target" => render::cell(value),
        "year_target" | "realised" | "realised_verified" | "achievement" | "achievement_reported" | "cap" => {
            render::number(value)
        }
        _ => value.to_owned(),
    }
}

fn tell_indicator(ctx: &Context, span: &Span, about: About, indicator: &IndicatorChanges) {
    let mut title = format!("{}  {}", indicator.code, indicator.measure);
    if indicator.kind != "changed" {
        title = format!("{title} ({})", text::say(&format!("audit.diff.{}", indicator.kind)));
    }
    ctx.print(&format!("\n{}", render::paint(ctx.color, Paint::Bold, &render::fitted(&title))));
    let mut causes: BTreeMap<Position, &Cause> = BTreeMap::new();
    // Of what came or went whole, the targets say enough.
    let whole = indicator.kind != "changed";
    for setting in &indicator.settings {
        let found = span.causes.of_setting(indicator, setting);
        causes.extend(found.iter().map(|cause| (cause.position, *cause)));
        if !whole {
            ctx.print(&render::fitted(&format!(
                "  {}",
                in_words(&span_in_words(&setting.quarters), &setting.change)
            )));
        }
    }
    for figure in &indicator.figures {
        let period = match figure.period {
            Period::Quarter(quarter) => quarter.to_string(),
            Period::ToDate(quarter) => text::with("indicator.to_date", &[("quarter", &quarter.number())]),
            Period::Year => text::say("column.year"),
        };
        for change in &figure.changes {
            let found = span.causes.of_figure(indicator, about.year, figure.period, change.what);
            causes.extend(found.iter().map(|cause| (cause.position, *cause)));
            if !whole || change.what == "target" {
                ctx.print(&render::fitted(&format!("  {}", in_words(&period, change))));
            }
        }
    }
    tell_records(ctx, span.new.zone(), &causes.into_values().collect::<Vec<_>>());
}

fn tell_records(ctx: &Context, zone: Zone, causes: &[&Cause]) {
    let width = render::terminal_width().unwrap_or(usize::MAX);
    for cause in causes.iter().take(RECORDS_SHOWN) {
        let start = format!("    {:>6}  {}  ", cause.position, office_time(zone, cause.time));
        let said = render::short_ids(&render::printable(&format!("{}: {}", cause.actor, cause.summary)));
        ctx.print(&render::paint(ctx.color, Paint::Faint, &render::wrapped(&start, &said, 12, width)));
    }
    if let Some(more) = causes.len().checked_sub(RECORDS_SHOWN).filter(|more| *more > 0) {
        ctx.print(&format!("    {}", text::count("audit.diff.more", more as u64, &[])));
    }
}
