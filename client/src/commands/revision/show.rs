//! A revision whole, and all of a year in a list.

use std::collections::BTreeMap;

use renaksi_domain::State;
use renaksi_domain::command::{Command, Outcome};
use renaksi_domain::ids::{PersonId, RevisionId};
use renaksi_domain::revision::{Change, Revision, RevisionCommand};
use renaksi_domain::time::Timestamp;
use serde_json::{Value, json};

use super::addition::added;
use super::change::{base_holds, holds_now, in_words};
use super::preview::{approved, is_open};
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
        false => print(ctx, &device, state, id, revision, &steps),
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
    let codes = codes_of_added(state, id, revision);
    let changes: Vec<Value> = (0..)
        .zip(&revision.changes)
        .map(|(at, change)| {
            let mut fields = change_fields(state, change);
            if matches!(change, Change::Add(_)) {
                fields["code"] = json!(codes.get(&at));
            }
            if !matches!(change, Change::Add(_)) {
                fields["name"] = json!(measure_of(state, change));
            }
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

/// What is measured by the indicator that is there already.
fn measure_of<'a>(state: &'a State, change: &Change) -> Option<&'a str> {
    change.indicator().and_then(|id| state.indicator(id)).map(|known| &*known.facet().measure)
}

/// The code that the addition at an index has, or would have if the revision were approved now.
fn codes_of_added(state: &State, id: RevisionId, revision: &Revision) -> BTreeMap<usize, String> {
    if !revision.changes.iter().any(|change| matches!(change, Change::Add(_))) {
        return BTreeMap::new();
    }
    let after = approved(state, id);
    let code = |(at, id)| Some((at, after.indicator(id)?.code.to_string()));
    added(&after, id).into_iter().filter_map(code).collect()
}

/// How many changes of each sort, in the order in which each first occurs.
fn by_sort(revision: &Revision) -> Vec<(&'static str, usize)> {
    let mut counts: Vec<(&'static str, usize)> = Vec::new();
    for name in revision.changes.iter().map(Change::name) {
        match counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }
    counts
}

fn print(ctx: &Context, device: &Device, state: &State, id: RevisionId, revision: &Revision, steps: &[Step]) {
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
    let codes = codes_of_added(state, id, revision);
    for (at, change) in (0..).zip(&revision.changes) {
        let beside = match codes.get(&at) {
            Some(code) => Some(text::with("revision.becomes", &[("code", code)])),
            None if matches!(change, Change::Rename { .. }) => None,
            None => measure_of(state, change).map(str::to_owned),
        };
        let beside = beside.map_or_else(String::new, |beside| format!(" · {beside}"));
        ctx.print(&render::fitted(&format!("  {}{beside}", in_words(state, change))));
        if is_open(revision) && !base_holds(state, revision, change) {
            let now =
                holds_now(state, revision, change).map_or_else(|| "–".to_owned(), |now| render::cell(&now));
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
            sorts_in_words(revision),
            device.name_of(revision.drafted_by),
            revision.draft.reason.to_string(),
        ]
    });
    ctx.print(&render::table(ctx.color, &columns, rows));
    Ok(Done::Well)
}

/// `3: target 2, addition 1`.
fn sorts_in_words(revision: &Revision) -> String {
    let sorts = by_sort(revision);
    let each: Vec<String> =
        sorts.iter().map(|(name, count)| format!("{} {count}", text::term("change", name))).collect();
    match each.is_empty() {
        true => "0".to_owned(),
        false => format!("{}: {}", revision.changes.len(), each.join(", ")),
    }
}

fn row_json(device: &Device, id: RevisionId, revision: &Revision) -> Value {
    json!({
        "revision": id.0,
        "number": revision.draft.number,
        "state": revision.state.name(),
        "effective": revision.draft.effective.number(),
        "reason": revision.draft.reason,
        "changes": revision.changes.len(),
        "changes_by_sort": by_sort(revision).into_iter().map(|(name, count)| (name.to_owned(), json!(count)))
            .collect::<serde_json::Map<_, _>>(),
        "drafted_by": device.name_of(revision.drafted_by),
        "submitted_by": revision.submitted_by.map(|person| device.name_of(person)),
        "decided_by": revision.decided_by.map(|person| device.name_of(person)),
        "position": revision.position,
        "time": revision.time.rfc3339(),
    })
}
