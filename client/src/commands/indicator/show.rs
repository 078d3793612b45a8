//! `indicator show`: settings, target versions, figures, entries and held work of one indicator.

use std::fmt::Display;

use renaksi_domain::State;
use renaksi_domain::figures::{Period, PeriodTarget, line};
use renaksi_domain::indicator::{Indicator, Polarity, TargetVersion};
use renaksi_domain::quantity::Quantity;
use renaksi_domain::time::Quarter;
use serde_json::{Value, json};

use super::super::audit::words::office_time;
use super::super::entry::items;
use super::super::narrative::{pairs, texts_json};
use super::set::number;
use super::year_target;
use crate::as_of::Known;
use crate::context::{Context, Done};
use crate::error::ClientError;
use crate::render::{self, Align, Column, Paint};
use crate::text;
use crate::view::{self, Row};

pub(super) fn run(
    ctx: &Context,
    wanted: &str,
    quarter: Option<u32>,
    as_of: Option<&str>,
) -> Result<Done, ClientError> {
    let device = ctx.device()?;
    let known = Known::at(&device, as_of)?;
    let state = &*known.state;
    let year = known.year(ctx)?;
    let id = known.indicator(year, wanted)?;
    let quarter = known.quarter(year, quarter)?;
    let Some(indicator) = state.indicator(id) else { return Ok(Done::Well) };
    let row = view::row(state, id, indicator, quarter);
    let mut items = match known.is_asked() {
        // What waits on this device was not known to anybody then.
        true => items::known(&device, state)?,
        false => items::all(&device)?,
    };
    items.retain(|item| item.indicator == Some(id));
    items::add_texts(&device, &mut items)?;
    match ctx.json {
        true => {
            let json = |item: &items::Item| match known.is_asked() {
                true => item.json_in(&device, state),
                false => item.json(&device),
            };
            let mut answer = row.json(quarter);
            answer["settings"] = settings_json(state, indicator);
            answer["warnings"] = year_target::warnings_json(&year_target::warning(state, id));
            answer["narratives"] =
                json!(Quarter::ALL.map(|quarter| texts_json(state.narrative(id, quarter).map(|n| &n.texts))));
            answer["versions"] = json!(versions_json(state, indicator));
            answer["entries"] = json!(items.iter().map(json).collect::<Vec<_>>());
            answer["quarter"] = json!(quarter.number());
            answer["position"] = json!(state.position);
            answer["as_of"] = known.json();
            ctx.print_json(&answer);
        }
        false => {
            if known.is_asked() {
                let when = office_time(state.zone(), state.time);
                let said = [("position", &state.position as &dyn Display), ("when", &when)];
                ctx.print(&render::paint(ctx.color, Paint::Faint, &text::with("indicator.as_of", &said)));
            }
            tell(ctx, state, indicator, &row, quarter);
            year_target::notice(ctx, &year_target::warning(state, id));
            tell_differences(ctx, &row);
            if let Some(narrative) = state.narrative(id, quarter) {
                ctx.print(&heading(
                    ctx,
                    &text::with("indicator.narrative", &[("quarter", &quarter.number())]),
                ));
                ctx.print(&render::pairs(&pairs(&narrative.texts)));
            }
            ctx.print(&heading(ctx, &text::count("indicator.entries", items.len() as u64, &[])));
            if !items.is_empty() {
                ctx.print(&items::table(ctx, &device, &items));
            }
        }
    }
    Ok(Done::Well)
}

fn heading(ctx: &Context, said: &str) -> String {
    format!("\n{}", render::paint(ctx.color, Paint::Bold, said))
}

/// How it is measured, in each quarter.
pub(super) fn settings_json(state: &State, indicator: &Indicator) -> Value {
    let quarters = indicator.settings.iter().map(|settings| {
        json!({
            "kind": settings.kind.name(),
            "polarity": settings.polarity.name(),
            "formula": settings.formula.name(),
            "cap": settings.cap.map(|cap| cap.plain()),
        })
    });
    json!({
        "code": indicator.code,
        "confirmed": indicator.confirmed,
        "quarters": quarters.collect::<Vec<_>>(),
        "unit": indicator.facet().unit.and_then(|unit| state.people.unit(unit)).map(|unit| &unit.name),
        "targets": indicator.targets.each_ref().map(|cell| cell.current().label()),
        "year_target": indicator.year_target.map(Quantity::plain),
        "year_target_derived": derived(state, indicator).label(),
        "retired_from": indicator.retired.map(|(_, quarter)| quarter.number()),
    })
}

/// What the quarters come to.
fn derived(state: &State, indicator: &Indicator) -> PeriodTarget {
    line(state, indicator, Period::Year).basis.target
}

fn tell_differences(ctx: &Context, row: &Row<'_>) {
    for view::Difference { period, frozen, now } in &row.differences {
        let key = if matches!(period, Period::Quarter(_)) {
            "indicator.differs"
        } else {
            "indicator.differs_to_date"
        };
        ctx.print(&text::with(
            key,
            &[
                ("quarter", &period.last().number()),
                ("frozen", &view::realised_label(&frozen.realised)),
                ("now", &view::realised_label(&now.realised)),
            ],
        ));
    }
}

/// Every version of every quarter's target, oldest first, with what made it.
fn versions_json(state: &State, indicator: &Indicator) -> Vec<Vec<Value>> {
    let version = |version: &TargetVersion| {
        let revision = version.revision.and_then(|id| state.revision(id)).map(|revision| &revision.draft);
        json!({
            "target": version.target.label(),
            "revision": revision.map(|draft| &draft.number),
            "basis": revision.map(|draft| json!({
                "title": draft.basis.title,
                "number": draft.basis.number,
                "date": draft.basis.date.to_string(),
            })),
            "effective": revision.map(|draft| draft.effective.number()),
            "position": version.position,
            "time": version.time.rfc3339(),
        })
    };
    indicator.targets.iter().map(|cell| cell.versions.iter().map(version).collect()).collect()
}

fn tell(ctx: &Context, state: &State, indicator: &Indicator, row: &Row<'_>, quarter: Quarter) {
    let title = format!("{}  {}", row.code, indicator.facet_in(quarter).measure);
    ctx.print(&render::paint(ctx.color, Paint::Bold, &render::fitted(&title)));
    let settings = indicator.settings_in(quarter);
    let standing = if indicator.confirmed { "indicator.confirmed" } else { "indicator.proposed" };
    let unit = indicator
        .facet_in(quarter)
        .unit
        .and_then(|unit| state.people.unit(unit))
        .map(|unit| unit.name.to_string());
    let mut pairs = vec![
        (text::term("level", row.level), row.name.to_owned()),
        (text::say("column.unit"), indicator.satuan.as_deref().unwrap_or("–").to_owned()),
        (
            text::say("column.kind"),
            format!("{} ({})", text::term("kind", settings.kind.name()), text::say(standing)),
        ),
        (text::say("label.polarity"), text::term("polarity", settings.polarity.name())),
        (
            text::say("label.responsible"),
            indicator.facet_in(quarter).responsible.as_deref().or(unit.as_deref()).unwrap_or("–").to_owned(),
        ),
    ];
    if settings.polarity == Polarity::Lower {
        pairs.insert(4, (text::say("label.formula"), text::term("formula", settings.formula.name())));
    }
    if settings.cap.is_some() {
        pairs.push((text::say("label.cap"), number(settings.cap, " %")));
    }
    if indicator.year_target.is_some() {
        let derived = view::target_label(&derived(state, indicator));
        let stated = number(indicator.year_target, "");
        let both = text::with("indicator.year_target", &[("stated", &stated), ("derived", &derived)]);
        pairs.push((text::say("label.year_target"), both));
    }
    if let Some(roll_ups) = &row.roll_ups {
        let mean = view::roll_up_label(&roll_ups.quarters[quarter.index()]);
        pairs.push((text::say("label.roll_up"), mean));
    }
    if let Some((_, from)) = indicator.retired {
        pairs.push((text::say("label.retired"), from.to_string()));
    }
    ctx.print(&render::pairs(&pairs));
    ctx.print(&heading(ctx, &text::say("indicator.figures")));
    ctx.print(&figures_table(ctx, row, quarter));
    if indicator.targets.iter().any(|cell| cell.versions.len() > 1) {
        ctx.print(&heading(ctx, &text::say("indicator.versions")));
        ctx.print(&versions_table(ctx, state, indicator));
    }
}

fn figures_table(ctx: &Context, row: &Row<'_>, quarter: Quarter) -> String {
    let view::Subject::Indicator { figures, .. } = &row.subject else { return String::new() };
    let column = |head: &str, align| Column::new(text::say(&format!("column.{head}")), align);
    let columns = [
        column("quarter", Align::Left).comfortable(12),
        column("target", Align::Right).comfortable(20),
        column("realised", Align::Right),
        column("verified", Align::Right),
        column("achievement", Align::Right),
        column("rating", Align::Left),
    ];
    let named = Quarter::ALL
        .iter()
        .zip(&figures.quarters)
        .map(|(quarter, line)| (quarter.number().to_string(), line));
    let upto = text::with("indicator.to_date", &[("quarter", &quarter.number())]);
    let sums = [(upto, &figures.to_date), (text::say("column.year"), &figures.year)];
    let rows = named.chain(sums).map(|(name, line)| {
        vec![
            name,
            view::target_label(&line.target),
            view::realised_label(&line.realised),
            view::realised_label(&line.realised_verified),
            view::achievement_label(line),
            line.rating.as_deref().unwrap_or_default().to_owned(),
        ]
    });
    render::table(ctx.color, &columns, rows)
}

fn versions_table(ctx: &Context, state: &State, indicator: &Indicator) -> String {
    let heads = ["quarter", "target", "basis", "since"].map(|head| text::say(&format!("column.{head}")));
    let columns = [
        (heads[0].as_str(), Align::Left),
        (heads[1].as_str(), Align::Right),
        (heads[2].as_str(), Align::Left),
        (heads[3].as_str(), Align::Left),
    ];
    let rows = Quarter::ALL.iter().zip(&indicator.targets).flat_map(|(quarter, cell)| {
        (0..).zip(&cell.versions).map(move |(at, version)| {
            let basis =
                match version.revision.and_then(|id| state.revision(id)).map(|revision| &revision.draft) {
                    Some(draft) => text::with(
                        "indicator.by_revision",
                        &[
                            ("number", &draft.number),
                            ("title", &draft.basis.title),
                            ("basis_number", &draft.basis.number),
                            ("date", &draft.basis.date),
                        ],
                    ),
                    None if cell.original == Some(at) => text::say("indicator.established"),
                    None => text::say("indicator.imported"),
                };
            vec![quarter.number().to_string(), render::target(&version.target), basis, version.time.rfc3339()]
        })
    });
    render::table(ctx.color, &columns, rows)
}
