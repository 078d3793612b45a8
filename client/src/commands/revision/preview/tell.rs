//! The preview for people: only what differs, a line each.

use renaksi_domain::State;
use renaksi_domain::figures::Period;
use renaksi_domain::ids::RevisionId;
use renaksi_domain::time::Quarter;

use super::super::change::{holds_now, in_words};
use super::figures::{About, Difference, differences};
use super::{Preview, Touched, is_open};
use crate::commands::indicator::year_target;
use crate::context::Context;
use crate::render::{self, Align, Column, Row};
use crate::text;

pub(super) fn print(ctx: &Context, preview: &Preview, state: &State, id: RevisionId) {
    let Some(revision) = state.revision(id) else { return };
    if !is_open(revision) {
        let state = text::term("state", revision.state.name());
        ctx.print(&text::with("revision.decided", &[("number", &revision.draft.number), ("state", &state)]));
        return;
    }
    let effective = revision.draft.effective;
    let rows: Vec<Row> = preview.rows.iter().flat_map(|row| lines(row, effective)).collect();
    if !rows.is_empty() {
        let head = |key: &str| text::say(key);
        let columns = [
            Column::new(head("revision.period"), Align::Left).comfortable(12),
            Column::new(head("revision.figure_head"), Align::Left).comfortable(14),
            Column::new(head("revision.before"), Align::Right).comfortable(16),
            Column::new(head("revision.after"), Align::Right).comfortable(16),
        ];
        ctx.print(&render::table(ctx.color, &columns, rows));
    }
    for quarter in &preview.locked {
        ctx.notice(&text::with("revision.touches_locked", &[("quarter", &quarter.number())]));
    }
    for change in preview.moved.iter().filter_map(|at| revision.changes.get(*at)) {
        let now = holds_now(state, revision, change).map_or_else(|| "–".to_owned(), |now| render::cell(&now));
        ctx.notice(&text::with("revision.moved", &[("change", &in_words(state, change)), ("now", &now)]));
    }
    year_target::notice(ctx, &preview.warnings);
}

/// A heading, and what differs below it.
fn lines(row: &Touched, effective: Quarter) -> Vec<Row> {
    let heading = match &row.before {
        Some(before) => before.measure.to_string(),
        None => text::with(
            "revision.new_row",
            &[
                ("measure", &row.after.measure),
                ("unit", &row.after.satuan.as_deref().unwrap_or("–")),
                ("level", &text::term("level", row.after.level.name())),
                ("name", &row.after.name),
            ],
        ),
    };
    let all = differences(row);
    let mut rows = vec![Row::Wide(row.code.clone(), heading)];
    let mut last = None;
    for (figure, difference) in for_people(row.before.is_none(), &all) {
        let period = match difference.about {
            about if last == Some(about) => String::new(),
            About::Settings => text::with("revision.from", &[("quarter", &effective)]),
            About::Figure(Period::Quarter(quarter)) => quarter.to_string(),
            About::Figure(Period::ToDate(quarter)) => {
                text::with("indicator.to_date", &[("quarter", &quarter.number())])
            }
            About::Figure(Period::Year) => text::say("column.year"),
        };
        last = Some(difference.about);
        let [before, after] = difference.shown.clone();
        rows.push(Row::Cells(vec![period, text::say(&format!("revision.figure.{figure}")), before, after]));
    }
    if all.is_empty() {
        rows.push(Row::Wide(String::new(), text::say("revision.nothing_differs")));
    }
    rows
}

/// Without what says the same twice: the year to date of TW 1 and of TW 4, the reported figures where they are the
/// verified ones; of a new indicator what it has not.
fn for_people(new: bool, all: &[Difference]) -> Vec<(String, &Difference)> {
    let same = |about, figure: &str, as_that: &Difference| {
        all.iter().any(|d| d.about == about && d.figure == figure && d.shown == as_that.shown)
    };
    let mut kept = Vec::new();
    for difference in all {
        let Difference { about, figure, shown, .. } = difference;
        let repeats = match (about, *figure) {
            (About::Figure(Period::ToDate(Quarter::Q4)), _) => true,
            (About::Figure(Period::ToDate(Quarter::Q1)), figure) => {
                same(About::Figure(Period::Quarter(Quarter::Q1)), figure, difference)
            }
            (about, "realised_verified") => same(*about, "realised", difference),
            (about, "achievement_reported") => same(*about, "achievement", difference),
            // Told in the heading, or nothing to tell.
            (About::Settings, "indicator" | "formula") => new,
            _ => new && shown[0] == shown[1],
        };
        if repeats {
            continue;
        }
        let both = match *figure {
            "realised" => same(*about, "realised_verified", difference),
            "achievement" => same(*about, "achievement_reported", difference),
            _ => false,
        };
        kept.push((format!("{figure}{}", if both { "_both" } else { "" }), difference));
    }
    kept
}
