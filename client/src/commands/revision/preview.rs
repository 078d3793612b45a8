//! What a revision would do, by doing it to a copy of the state.

use renaksi_domain::command::{Command, Effect, Envelope, Outcome, Record};
use renaksi_domain::figures::{Period, line};
use renaksi_domain::ids::{IndicatorId, Origin, PersonId, RevisionId};
use renaksi_domain::indicator::Indicator;
use renaksi_domain::quarter::PlanQuarter;
use renaksi_domain::revision::{RevisionCommand, RevisionState};
use renaksi_domain::time::Quarter;
use renaksi_domain::{State, apply};
use serde_json::{Value, json};

use super::change::{base_holds, holds_now, in_words, touched};
use crate::context::{Context, Done};
use crate::error::ClientError;
use crate::find;
use crate::render::{self, Align};
use crate::text;
use crate::view::target_label;

pub(super) fn run(ctx: &Context, revision: &str) -> Result<Done, ClientError> {
    let device = ctx.device()?;
    let state = &device.view().confirmed;
    let id = find::revision(state, revision)?;
    let preview = preview(state, id);
    match ctx.json {
        true => ctx.print_json(&preview.json(state, id)),
        false => preview.print(ctx, state, id),
    }
    Ok(Done::Well)
}

/// Targets of one indicator in the forms of the JSON contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Targets {
    pub quarters: [String; 4],
    pub to_date: [String; 4],
    pub year: String,
    /// `to_date` and `year` for people: where a cell is missing, what the others add up to.
    pub shown: ([String; 4], String),
    pub retired_from: Option<u8>,
}

/// What a revision would change.
#[derive(Clone, Debug)]
pub(super) struct Preview {
    pub rows: Vec<(IndicatorId, Targets, Targets)>,
    /// Indices of changes whose old value no longer holds: approval would refuse the revision.
    pub moved: Vec<usize>,
    /// Quarters it touches that are locked: submission would refuse it.
    pub locked: Vec<Quarter>,
}

/// Approves the revision on a copy of the state. It works for drafts too; what approval would refuse is told beside it.
/// Of a revision that is already decided, before and after are the same.
pub(super) fn preview(state: &State, id: RevisionId) -> Preview {
    let Some(revision) = state.revision(id) else {
        return Preview { rows: Vec::new(), moved: Vec::new(), locked: Vec::new() };
    };
    let is_open = matches!(revision.state, RevisionState::Draft | RevisionState::Submitted);
    let mut after = state.clone();
    if is_open {
        apply(&mut after, &made_up_approval(state, id));
    }
    let targets_of = |state: &State, id| state.indicator(id).map(|indicator| targets(state, indicator));
    let rows = touched(revision)
        .into_iter()
        .filter_map(|id| Some((id, targets_of(state, id)?, targets_of(&after, id)?)))
        .collect();
    let moved = match is_open {
        true => (0..revision.changes.len())
            .filter(|at| !base_holds(state, revision, &revision.changes[*at]))
            .collect(),
        false => Vec::new(),
    };
    let year = revision.draft.year;
    let touched = |quarter: &Quarter| {
        revision.changes.iter().any(|change| change.touches(revision.draft.effective).contains(quarter))
    };
    let locked = Quarter::ALL
        .into_iter()
        .filter(|quarter| {
            is_open && touched(quarter) && state.is_locked(PlanQuarter { year, quarter: *quarter })
        })
        .collect();
    Preview { rows, moved, locked }
}

fn made_up_approval(state: &State, id: RevisionId) -> Record {
    Record {
        position: state.position + 1,
        time: state.time,
        carrier: None,
        envelope: Envelope {
            origin: Origin::HOST,
            sequence: 0,
            author: PersonId(0),
            made_at: state.time,
            has_reason: false,
            command: Command::Revision(RevisionCommand::Approve(id)),
        },
        outcome: Outcome::Recorded(Effect::default()),
    }
}

fn targets(state: &State, indicator: &Indicator) -> Targets {
    let of = |period| line(state, indicator, period).target.label();
    let shown = |period| target_label(&line(state, indicator, period).target);
    Targets {
        quarters: Quarter::ALL.map(|quarter| of(Period::Quarter(quarter))),
        to_date: Quarter::ALL.map(|quarter| of(Period::ToDate(quarter))),
        year: of(Period::Year),
        shown: (Quarter::ALL.map(|quarter| shown(Period::ToDate(quarter))), shown(Period::Year)),
        retired_from: indicator.retired.map(|(_, quarter)| quarter.number()),
    }
}

impl Targets {
    fn json(&self) -> Value {
        json!({
            "targets": self.quarters,
            "to_date": self.to_date,
            "year": self.year,
            "retired_from": self.retired_from,
        })
    }
}

impl Preview {
    pub(super) fn json(&self, state: &State, id: RevisionId) -> Value {
        let revision = state.revision(id);
        let indicators: Vec<Value> = self
            .rows
            .iter()
            .map(|(id, before, after)| {
                let known = state.indicator(*id);
                json!({
                    "code": known.map(|indicator| &indicator.code),
                    "indicator": known.map(|indicator| &indicator.facet().measure),
                    "unit": known.and_then(|indicator| indicator.satuan.as_deref()),
                    "before": before.json(),
                    "after": after.json(),
                })
            })
            .collect();
        let moved: Vec<Value> = self
            .moved
            .iter()
            .filter_map(|at| Some(crate::commands::audit::change_fields(state, revision?.changes.get(*at)?)))
            .collect();
        json!({
            "revision": id.0,
            "number": revision.map(|revision| &revision.draft.number),
            "state": revision.map(|revision| revision.state.name()),
            "indicators": indicators,
            "base_moved": moved,
            "locked_quarters": self.locked.iter().map(|quarter| quarter.number()).collect::<Vec<_>>(),
        })
    }

    fn print(&self, ctx: &Context, state: &State, id: RevisionId) {
        let (code, indicator) = (text::say("column.code"), text::say("column.indicator"));
        let year = text::say("column.year");
        let quarters = Quarter::ALL.map(|quarter| quarter.to_string());
        let mut columns =
            vec![(code.as_str(), Align::Left), (indicator.as_str(), Align::Left), ("", Align::Left)];
        columns.extend(quarters.iter().map(|quarter| (quarter.as_str(), Align::Right)));
        columns.push((year.as_str(), Align::Right));
        let mut rows = Vec::new();
        for (id, before, after) in &self.rows {
            let Some(indicator) = state.indicator(*id) else { continue };
            let mut line = |first: [&str; 2], key: &str, targets: &[String; 4], year: &str| {
                let mut cells = vec![first[0].to_owned(), first[1].to_owned(), text::say(key)];
                cells.extend(targets.iter().map(|target| render::cell(target)));
                cells.push(year.to_owned());
                rows.push(cells);
            };
            line(
                [&indicator.code, &indicator.facet().measure],
                "revision.before",
                &before.quarters,
                &before.shown.1,
            );
            line(["", ""], "revision.after", &after.quarters, &after.shown.1);
            line(["", ""], "revision.before_to_date", &before.shown.0, "");
            line(["", ""], "revision.after_to_date", &after.shown.0, "");
        }
        ctx.print(&render::table(ctx.color, &columns, rows));
        for (id, _, after) in &self.rows {
            if let (Some(indicator), Some(from)) = (state.indicator(*id), after.retired_from) {
                ctx.print(&text::with(
                    "revision.retires",
                    &[("indicator", &indicator.code), ("quarter", &from)],
                ));
            }
        }
        for quarter in &self.locked {
            ctx.notice(&text::with("revision.touches_locked", &[("quarter", &quarter.number())]));
        }
        let Some(revision) = state.revision(id) else { return };
        for change in self.moved.iter().filter_map(|at| revision.changes.get(*at)) {
            let now = holds_now(state, revision, change).map_or_else(String::new, |now| render::cell(&now));
            ctx.notice(&text::with("revision.moved", &[("change", &in_words(state, change)), ("now", &now)]));
        }
    }
}
