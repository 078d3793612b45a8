//! A revision whole, and all of a year in a list.

use std::collections::BTreeMap;

use renaksi_domain::State;
use renaksi_domain::command::{Command, Outcome};
use renaksi_domain::ids::{PersonId, RevisionId};
use renaksi_domain::revision::{Change, Revision, RevisionCommand, RevisionState};
use renaksi_domain::time::Timestamp;
use serde_json::{Value, json};

use super::change::{base_holds, holds_now, in_words};
use crate::commands::audit::words::office_time;
use crate::commands::audit::{change_fields, each_record};
use crate::context::{Context, Done};
use crate::device::Device;
use crate::error::ClientError;
use crate::find;
use crate::render::{self, Align};
use crate::text;

/// One step in a revision's life.
#[derive(Clone, Debug)]
struct Step {
    position: u64,
    time: Timestamp,
    author: PersonId,
    name: &'static str,
    reason: Option<String>,
}

pub(super) fn run(ctx: &Context, revision: &str) -> Result<Done, ClientError> {
    let device = ctx.device()?;
    let state = &device.view().confirmed;
    let id = find::revision(state, revision)?;
    let Some(revision) = state.revision(id) else { return Ok(Done::Well) };
    let steps = steps(&device)?.remove(&id).unwrap_or_default();
    match ctx.json {
        true => ctx.print_json(&show_json(&device, state, id, revision, &steps)),
        false => print(ctx, &device, state, revision, &steps),
    }
    Ok(Done::Well)
}

/// The recorded steps of every revision, changes left out. The log names a new revision by counting.
fn steps(device: &Device) -> Result<BTreeMap<RevisionId, Vec<Step>>, ClientError> {
    let mut steps: BTreeMap<RevisionId, Vec<Step>> = BTreeMap::new();
    let mut drafted = 0;
    each_record(device, &mut |stored| {
        let Some((record, message)) = &stored.record else { return Ok(true) };
        let (Command::Revision(command), Outcome::Recorded(_)) = (&record.envelope.command, &record.outcome)
        else {
            return Ok(true);
        };
        let id = match command {
            RevisionCommand::Draft(_) => {
                drafted += 1;
                RevisionId::after(drafted - 1)
            }
            RevisionCommand::AddChange(..) => return Ok(true),
            other => match other.revision() {
                Some(id) => id,
                None => return Ok(true),
            },
        };
        let reason = device.texts_of(message, stored.aside).map(|texts| texts.reason);
        steps.entry(id).or_default().push(Step {
            position: record.position,
            time: record.time,
            author: record.envelope.author,
            name: record.envelope.command.name(),
            reason: reason.filter(|reason| !reason.is_empty()),
        });
        Ok(true)
    })?;
    Ok(steps)
}

fn show_json(device: &Device, state: &State, id: RevisionId, revision: &Revision, steps: &[Step]) -> Value {
    let draft = &revision.draft;
    let changes: Vec<Value> = revision
        .changes
        .iter()
        .map(|change| {
            let mut fields = change_fields(state, change);
            fields["name"] = json!(measure_of(state, change));
            fields["now"] = json!(holds_now(state, revision, change));
            fields["base_holds"] = json!(is_open(revision).then(|| base_holds(state, revision, change)));
            fields
        })
        .collect();
    let history: Vec<Value> = steps
        .iter()
        .map(|step| {
            json!({
                "position": step.position,
                "time": step.time.rfc3339(),
                "actor": device.name_of(step.author),
                "type": step.name,
                "reason": step.reason,
            })
        })
        .collect();
    json!({
        "revision": id.0,
        "number": draft.number,
        "year": draft.year,
        "state": revision.state.name(),
        "effective": draft.effective.number(),
        "reason": draft.reason,
        "basis": {
            "title": draft.basis.title,
            "number": draft.basis.number,
            "date": draft.basis.date.to_string(),
        },
        "drafted_by": device.name_of(revision.drafted_by),
        "submitted_by": revision.submitted_by.map(|person| device.name_of(person)),
        "decided_by": revision.decided_by.map(|person| device.name_of(person)),
        "changes": changes,
        "history": history,
    })
}

fn measure_of<'a>(state: &'a State, change: &'a Change) -> Option<&'a str> {
    match change {
        Change::Add(add) => Some(&add.row.measure),
        other => other.indicator().and_then(|id| state.indicator(id)).map(|known| &*known.facet().measure),
    }
}

fn is_open(revision: &Revision) -> bool {
    matches!(revision.state, RevisionState::Draft | RevisionState::Submitted)
}

fn print(ctx: &Context, device: &Device, state: &State, revision: &Revision, steps: &[Step]) {
    let draft = &revision.draft;
    let basis = format!("{} {} ({})", draft.basis.title, draft.basis.number, draft.basis.date);
    let pairs = [
        ("revision.number", draft.number.to_string()),
        ("column.state", text::term("state", revision.state.name())),
        ("column.year", draft.year.to_string()),
        ("revision.effective", draft.effective.to_string()),
        ("revision.reason", draft.reason.to_string()),
        ("column.basis", basis),
    ]
    .map(|(key, value)| (text::say(key), value));
    ctx.print(&render::pairs(&pairs));
    ctx.print("");
    for change in &revision.changes {
        let measure = measure_of(state, change).unwrap_or_default();
        ctx.print(&format!("  {}  {measure}", in_words(state, change)));
        if is_open(revision) && !base_holds(state, revision, change) {
            let now = holds_now(state, revision, change).map_or_else(String::new, |now| render::cell(&now));
            ctx.print(&format!("    {}", text::with("revision.now_holds", &[("now", &now)])));
        }
    }
    ctx.print("");
    for step in steps {
        let when = office_time(state.zone(), step.time);
        let what = text::term("command", step.name);
        let reason = step.reason.as_deref().map_or_else(String::new, |reason| format!(" — {reason}"));
        ctx.print(&format!("{:>6}  {when}  {}  {what}{reason}", step.position, device.name_of(step.author)));
    }
}

pub(super) fn list(ctx: &Context) -> Result<Done, ClientError> {
    let device = ctx.device()?;
    let state = &device.view().confirmed;
    let year = ctx.year(state, device.now())?;
    let revisions: Vec<(RevisionId, &Revision)> = state
        .revisions
        .iter()
        .enumerate()
        .map(|(index, revision)| (RevisionId::after(index), revision))
        .filter(|(_, revision)| revision.draft.year == year)
        .collect();
    if ctx.json {
        let all: Vec<Value> =
            revisions.iter().map(|(id, revision)| row_json(&device, *id, revision)).collect();
        ctx.print_json(&json!({ "year": year, "revisions": all }));
        return Ok(Done::Well);
    }
    if revisions.is_empty() {
        ctx.print(&text::with("revision.none", &[("year", &year)]));
        return Ok(Done::Well);
    }
    let heads = [
        "revision.number",
        "column.state",
        "revision.effective",
        "revision.changes",
        "column.who",
        "revision.reason",
    ]
    .map(text::say);
    let columns: Vec<(&str, Align)> = heads.iter().map(|head| (head.as_str(), Align::Left)).collect();
    let rows = revisions.iter().map(|(_, revision)| {
        vec![
            revision.draft.number.to_string(),
            text::term("state", revision.state.name()),
            revision.draft.effective.to_string(),
            revision.changes.len().to_string(),
            device.name_of(revision.drafted_by),
            revision.draft.reason.to_string(),
        ]
    });
    ctx.print(&render::table(ctx.color, &columns, rows));
    Ok(Done::Well)
}

fn row_json(device: &Device, id: RevisionId, revision: &Revision) -> Value {
    json!({
        "revision": id.0,
        "number": revision.draft.number,
        "state": revision.state.name(),
        "effective": revision.draft.effective.number(),
        "reason": revision.draft.reason,
        "changes": revision.changes.len(),
        "drafted_by": device.name_of(revision.drafted_by),
        "submitted_by": revision.submitted_by.map(|person| device.name_of(person)),
        "decided_by": revision.decided_by.map(|person| device.name_of(person)),
        "position": revision.position,
        "time": revision.time.rfc3339(),
    })
}
