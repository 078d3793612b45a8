//! `status`: where this device stands, and what needs a person. Works offline.

use clap::Args;
use renaksi_domain::entry::State as EntryState;
use renaksi_domain::people::{GrantState, Role};
use renaksi_domain::plan::PlanState;
use renaksi_domain::quarter::QuarterState;
use renaksi_domain::revision::RevisionState;
use serde_json::{Value, json};

use super::{enroll, entry, history, sync};
use crate::context::{Context, Done};
use crate::device::{Device, HandedIn, ReceiptOutcome};
use crate::error::{ClientError, Rejected};
use crate::render::{self, Paint};
use crate::text;

/// A clock further off than this is told.
const SKEW_TOLD_MS: i64 = 60_000;

/// Nothing to say yet.
#[derive(Clone, Debug, Args)]
pub struct StatusArgs {}

/// How much waits where.
struct Counts {
    /// Not known without a copy of the office's log: what was sent looks like what was not.
    pending: Option<u64>,
    /// The owner's held work.
    held: u64,
    returned: u64,
    refused: u64,
    /// Held work of everybody, when the owner decides about it.
    held_to_decide: u64,
    to_verify: u64,
}

/// Something that waits for the owner: its key under `needs`, and how many there are.
type Need = (&'static str, u64);

/// Runs `status`.
///
/// # Errors
/// When the device or its replica cannot be read.
pub fn run(ctx: &Context, _args: &StatusArgs) -> Result<Done, ClientError> {
    let device = ctx.device_untold()?;
    let counts = counts(&device)?;
    let needs = needs(&device, &counts);
    match ctx.json {
        true => print_json(ctx, &device, &counts, &needs),
        false => tell(ctx, &device, &counts, &needs),
    }
    Ok(Done::Well)
}

fn holds(device: &Device, role: Role) -> bool {
    let state = &device.view().confirmed;
    state.people.has_role(device.identity().person, role, state.day(device.now()))
}

fn counts(device: &Device) -> Result<Counts, ClientError> {
    let (view, person) = (device.view(), device.identity().person);
    let state = &view.confirmed;
    let waiting = || state.held.values().filter(|held| held.is_waiting());
    let returned = state.entries.iter().filter(|e| e.author == person && e.state == EntryState::Returned);
    let judges = holds(device, Role::HeadOfUnit) || holds(device, Role::HeadOfOffice);
    let held_here = view.handed_in.iter().filter(|handed| matches!(handed.outcome, ReceiptOutcome::Held(_)));
    let held_there = waiting().filter(|held| held.author == person);
    Ok(Counts {
        pending: (!device.is_replica_missing()).then_some(view.pending.len() as u64),
        held: (held_there.count() + held_here.count()) as u64,
        returned: returned.count() as u64,
        refused: history::refused(device)?.len() as u64,
        held_to_decide: if holds(device, Role::Administrator) { waiting().count() as u64 } else { 0 },
        to_verify: if judges { entry::verifiable(device).len() as u64 } else { 0 },
    })
}

fn needs(device: &Device, counts: &Counts) -> Vec<Need> {
    let state = &device.view().confirmed;
    // A device in such trouble cannot: what to do is said with it.
    let sends =
        !device.troubles().iter().any(|t| matches!(t.code.as_str(), "DEVICE_REVOKED" | "DEVICE_FORKED"));
    let mut needs = vec![
        ("send", counts.pending.filter(|_| sends).unwrap_or(0)),
        ("held", counts.held),
        ("returned", counts.returned),
        ("decide_held", counts.held_to_decide),
        ("verify", counts.to_verify),
    ];
    if holds(device, Role::HeadOfOffice) {
        let plans = state.plans.iter().filter(|plan| plan.state == PlanState::Submitted);
        let revisions = state.revisions.iter().filter(|revision| revision.state == RevisionState::Submitted);
        let quarters = state.plans.iter().flat_map(|plan| &plan.quarters);
        let locks = quarters.filter(|quarter| matches!(quarter, QuarterState::LockRequested { .. }));
        needs.push(("approve_plan", plans.count() as u64));
        needs.push(("approve_revision", revisions.count() as u64));
        needs.push(("approve_lock", locks.count() as u64));
        let grants = state.people.grants.iter().filter(|grant| grant.state == GrantState::Waiting);
        needs.push(("confirm_grant", grants.count() as u64));
    }
    if holds(device, Role::Administrator) {
        let indicators =
            state.plans.iter().flat_map(|plan| &plan.indicators).filter_map(|id| state.indicator(*id));
        let quarters = state.plans.iter().flat_map(|plan| &plan.quarters);
        let own = device.identity().person;
        let reopenings = quarters
            .filter(|quarter| matches!(quarter, QuarterState::ReopenRequested { by, .. } if *by != own));
        needs.push(("grant_reopen", reopenings.count() as u64));
        needs.push(("confirm_kind", indicators.filter(|indicator| !indicator.confirmed).count() as u64));
    }
    let skewed = device.contact().skew_ms.is_some_and(|skew| skew.abs() > SKEW_TOLD_MS);
    needs.push(("clock", u64::from(skewed)));
    needs.retain(|(_, count)| *count > 0);
    needs
}

fn say(need: &Need) -> String {
    text::count(&format!("needs.{}", need.0), need.1, &[])
}

fn print_json(ctx: &Context, device: &Device, counts: &Counts, needs: &[Need]) {
    let (identity, contact) = (device.identity(), device.contact());
    let roles = enroll::roles(device);
    ctx.print_json(&json!({
        "office": identity.office_name,
        "office_id": identity.office.to_string(),
        "rehearsal": identity.rehearsal,
        "person": identity.person_name,
        "roles": roles.iter().map(|(role, _)| role).collect::<Vec<_>>(),
        "units": roles.iter().filter_map(|(_, unit)| unit.as_ref()).collect::<Vec<_>>(),
        "device": identity.device.0,
        "server": identity.server,
        "epoch": identity.epoch,
        "position": device.view().confirmed.position,
        "pending": counts.pending,
        "handed_in": device.view().handed_in.iter().map(handed_in_json).collect::<Vec<_>>(),
        "troubles": device.troubles().iter().map(sync::trouble_json).collect::<Vec<_>>(),
        "held": counts.held,
        "returned": counts.returned,
        "refused": counts.refused,
        "to_verify": counts.to_verify,
        "held_to_decide": counts.held_to_decide,
        "last_sync": contact.last_contact.map(|time| time.rfc3339()),
        "skew_ms": contact.skew_ms,
        "needs": needs.iter().map(|need| json!({ "code": need.0, "count": need.1, "message": say(need) }))
            .collect::<Vec<_>>(),
    }));
}

/// What a revoked device handed in, and what it was told.
fn handed_in_json(handed: &HandedIn) -> Value {
    let (state, cause) = match &handed.outcome {
        ReceiptOutcome::Recorded => ("recorded", None),
        ReceiptOutcome::Held(cause) => ("held", Some(Rejected::from(cause))),
        ReceiptOutcome::Refused(cause) => ("refused", Some(Rejected::from(cause))),
    };
    json!({
        "entry_id": handed.entry_id.to_string(),
        "state": state,
        "code": cause.as_ref().map(|cause| &cause.code),
        "message": cause.as_ref().map(text::message),
    })
}

fn tell(ctx: &Context, device: &Device, counts: &Counts, needs: &[Need]) {
    let (identity, contact) = (device.identity(), device.contact());
    let last_sync = contact.last_contact.map_or_else(|| text::say("status.never"), |time| time.rfc3339());
    let skew = contact.skew_ms.map_or_else(|| "–".to_owned(), |skew| format!("{} s", skew / 1000));
    let roles = enroll::roles_label(&enroll::roles(device));
    ctx.print(&render::pairs(&[
        (text::say("label.office"), identity.office_name.clone()),
        (text::say("label.person"), format!("{} — {roles}", identity.person_name)),
        (text::say("label.server"), identity.server.clone()),
        (text::say("label.records"), device.view().confirmed.position.to_string()),
        (text::say("label.last_sync"), last_sync),
        (text::say("label.skew"), skew),
        (
            text::say("label.pending"),
            counts.pending.map_or_else(|| "–".to_owned(), |count| count.to_string()),
        ),
        (text::say("label.held"), counts.held.to_string()),
        (text::say("label.returned"), counts.returned.to_string()),
        (text::say("label.refused"), counts.refused.to_string()),
    ]));
    let troubles = device.troubles();
    for cause in &troubles {
        let (message, hint) = text::error(cause);
        let message = render::paint(ctx.color, Paint::Yellow, &message);
        ctx.print(&format!("\n{message}\n  {}: {hint}", text::say("common.hint")));
    }
    match needs {
        [] if !troubles.is_empty() => {}
        [] => {
            ctx.print(&format!("\n{}", render::paint(ctx.color, Paint::Green, &text::say("status.nothing"))))
        }
        needs => {
            ctx.print(&format!("\n{}", render::paint(ctx.color, Paint::Yellow, &text::say("status.needs"))));
            needs.iter().for_each(|need| ctx.print(&format!("  {}", say(need))));
        }
    }
}
