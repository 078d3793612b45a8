//! What a revision would do to every figure, by doing it to a copy of the state.

mod figures;
mod tell;

use renaksi_domain::command::{Command, Effect, Envelope, Outcome, Record};
use renaksi_domain::ids::{Origin, PersonId, RevisionId};
use renaksi_domain::quarter::PlanQuarter;
use renaksi_domain::revision::{Revision, RevisionCommand, RevisionState};
use renaksi_domain::time::Quarter;
use renaksi_domain::{State, apply};
use serde_json::{Value, json};

use super::addition::added;
use super::change::{base_holds, touched};
use crate::commands::audit::change_fields;
use crate::commands::indicator::year_target;
use crate::context::{Context, Done};
use crate::error::{ClientError, Rejected};
use crate::find;
use figures::{Seen, differences};

pub(super) fn run(ctx: &Context, revision: &str) -> Result<Done, ClientError> {
    let device = ctx.device()?;
    let state = &device.view().confirmed;
    let id = find::revision(state, revision)?;
    let preview = preview(state, id);
    match ctx.json {
        true => ctx.print_json(&preview.json(state, id)),
        false => tell::print(ctx, &preview, state, id),
    }
    Ok(Done::Well)
}

/// One indicator that the revision touches or adds.
#[derive(Clone, Debug)]
pub(super) struct Touched {
    pub code: String,
    /// None of one that it adds.
    pub before: Option<Seen>,
    pub after: Seen,
}

/// What a revision would change.
#[derive(Clone, Debug)]
pub(super) struct Preview {
    pub rows: Vec<Touched>,
    /// Indices of changes whose old value no longer holds: approval would refuse the revision.
    pub moved: Vec<usize>,
    /// Quarters it touches that are locked: submission would refuse it.
    pub locked: Vec<Quarter>,
    /// Stated yearly targets that are not what the quarters would come to.
    pub warnings: Vec<Rejected>,
}

/// Approves the revision on a copy of the state. It works for drafts too; what approval would refuse is told beside it.
/// Of a revision that is already decided, before and after are the same.
pub(super) fn preview(state: &State, id: RevisionId) -> Preview {
    let mut preview =
        Preview { rows: Vec::new(), moved: Vec::new(), locked: Vec::new(), warnings: Vec::new() };
    let Some(revision) = state.revision(id) else { return preview };
    let effective = revision.draft.effective;
    let after = approved(state, id);
    let mut row = |id, before: Option<&State>| {
        let seen = |state: &State| Some(Seen::of(state, state.indicator(id)?, effective));
        let (Some(indicator), Some(now)) = (after.indicator(id), seen(&after)) else { return };
        preview.rows.push(Touched {
            code: indicator.code.to_string(),
            before: before.and_then(seen),
            after: now,
        });
        preview.warnings.extend(year_target::warning(&after, id));
    };
    touched(revision).into_iter().for_each(|id| row(id, Some(state)));
    if is_open(revision) {
        added(&after, id).into_iter().for_each(|(_, id)| row(id, None));
        let all = 0..revision.changes.len();
        preview.moved = all.filter(|at| !base_holds(state, revision, &revision.changes[*at])).collect();
        let touches =
            |quarter| revision.changes.iter().any(|change| change.touches(effective).contains(&quarter));
        let year = revision.draft.year;
        let locked =
            |quarter: &Quarter| touches(*quarter) && state.is_locked(PlanQuarter { year, quarter: *quarter });
        preview.locked = Quarter::ALL.into_iter().filter(locked).collect();
    }
    preview
}

/// The state as it would be if the revision were approved now; as it is, once that is decided.
pub(super) fn approved(state: &State, id: RevisionId) -> State {
    let mut after = state.clone();
    if state.revision(id).is_some_and(is_open) {
        apply(&mut after, &made_up_approval(state, id));
    }
    after
}

pub(super) fn is_open(revision: &Revision) -> bool {
    matches!(revision.state, RevisionState::Draft | RevisionState::Submitted)
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
            restored: None,
            command: Command::Revision(RevisionCommand::Approve(id)),
        },
        outcome: Outcome::Recorded(Effect::default()),
    }
}

impl Preview {
    pub(super) fn json(&self, state: &State, id: RevisionId) -> Value {
        let revision = state.revision(id);
        let indicator = |row: &Touched| {
            json!({
                "code": row.code,
                "level": row.after.level.name(),
                "name": row.after.name,
                "indicator": row.before.as_ref().unwrap_or(&row.after).measure,
                "unit": row.after.satuan,
                "added": row.before.is_none(),
                "before": row.before.as_ref().map(Seen::json),
                "after": row.after.json(),
                "differs": differences(row).iter().map(figures::Difference::json).collect::<Vec<_>>(),
            })
        };
        let moved: Vec<Value> = self
            .moved
            .iter()
            .filter_map(|at| Some(change_fields(state, revision?.changes.get(*at)?)))
            .collect();
        json!({
            "revision": id.0,
            "number": revision.map(|revision| &revision.draft.number),
            "state": revision.map(|revision| revision.state.name()),
            "effective": revision.map(|revision| revision.draft.effective.number()),
            "indicators": self.rows.iter().map(indicator).collect::<Vec<_>>(),
            "base_moved": moved,
            "locked_quarters": self.locked.iter().map(|quarter| quarter.number()).collect::<Vec<_>>(),
            "warnings": year_target::warnings_json(&self.warnings),
        })
    }
}
