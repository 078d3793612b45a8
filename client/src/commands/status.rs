//! `status`: where this device stands, and what needs a person. Works offline.

mod waiting;

use clap::Args;
use renaksi_domain::entry::State as EntryState;
use renaksi_domain::ids::CommandKey;
use renaksi_domain::people::Role;
use serde_json::{Value, json};

use super::{enroll, entry, history, sync};
use crate::context::{Context, Done};
use crate::device::{Device, HandedIn, ReceiptOutcome};
use crate::error::{ClientError, Rejected};
use crate::render::{self, Paint};
use crate::text;
use waiting::{Asker, Item, Waiting};

/// A clock further off than this is told.
const SKEW_TOLD_MS: i64 = 60_000;
/// Of one kind that waits, this many are named to people; the rest is only in the JSON.
const ITEMS_SHOWN: usize = 5;

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
    /// Entries of the owner's units that nobody has verified, where the owner heads some.
    unverified: Option<u64>,
}

/// Something that waits for the owner: its key under `needs`, and how many there are.
type Need = (&'static str, u64);

/// Runs `status`.
///
/// # Errors
/// When the device or its replica cannot be read.
pub fn run(ctx: &Context, _args: &StatusArgs) -> Result<Done, ClientError> {
    let device = ctx.device_untold()?;
    let state = &device.view().confirmed;
    let asker = Asker {
        state,
        person: device.identity().person,
        today: state.day(device.now()),
        name_of: &|person| device.name_of(person),
    };
    let judges = holds(&device, Role::HeadOfUnit) || holds(&device, Role::HeadOfOffice);
    let verifiable: Vec<CommandKey> = match judges {
        true => entry::verifiable(&device).into_iter().map(|version| version.entry).collect(),
        false => Vec::new(),
    };
    let waiting = asker.waiting(&verifiable);
    let counts = counts(&device, &waiting, asker.unverified())?;
    let needs = needs(&device, &counts, &waiting);
    match ctx.json {
        true => print_json(ctx, &device, &counts, &needs, &waiting),
        false => tell(ctx, &device, &counts, &needs, &waiting),
    }
    Ok(Done::Well)
}

fn holds(device: &Device, role: Role) -> bool {
    let state = &device.view().confirmed;
    state.people.has_role(device.identity().person, role, state.day(device.now()))
}

fn counts(device: &Device, waiting: &[Waiting], unverified: Option<u64>) -> Result<Counts, ClientError> {
    let (view, person) = (device.view(), device.identity().person);
    let state = &view.confirmed;
    let returned = state.entries.iter().filter(|e| e.author == person && e.state == EntryState::Returned);
    let of = |code| waiting.iter().find(|waiting| waiting.code == code).map_or(0, |waiting| waiting.count);
    let held_here = view.handed_in.iter().filter(|handed| matches!(handed.outcome, ReceiptOutcome::Held(_)));
    let held_there = state.held.values().filter(|held| held.is_waiting() && held.author == person);
    Ok(Counts {
        pending: (!device.is_replica_missing()).then_some(view.pending.len() as u64),
        held: (held_there.count() + held_here.count()) as u64,
        returned: returned.count() as u64,
        refused: history::refused(device)?.len() as u64,
        held_to_decide: of("decide_held"),
        to_verify: of("verify"),
        unverified,
    })
}

fn needs(device: &Device, counts: &Counts, waiting: &[Waiting]) -> Vec<Need> {
    // A device in such trouble cannot: what to do is said with it.
    let sends =
        !device.troubles().iter().any(|t| matches!(t.code.as_str(), "DEVICE_REVOKED" | "DEVICE_FORKED"));
    let mut needs = vec![
        ("send", counts.pending.filter(|_| sends).unwrap_or(0)),
        ("held", counts.held),
        ("returned", counts.returned),
    ];
    needs.extend(waiting.iter().map(|waiting| (waiting.code, waiting.count)));
    let skewed = device.contact().skew_ms.is_some_and(|skew| skew.abs() > SKEW_TOLD_MS);
    needs.push(("clock", u64::from(skewed)));
    needs.retain(|(_, count)| *count > 0);
    needs
}

fn say(need: &Need) -> String {
    text::count(&format!("needs.{}", need.0), need.1, &[])
}

fn waiting_json(waiting: &Waiting) -> Value {
    json!({
        "code": waiting.code,
        "count": waiting.count,
        "message": say(&(waiting.code, waiting.count)),
        "items": waiting.items.iter().map(|item| &item.json).collect::<Vec<_>>(),
    })
}

fn print_json(ctx: &Context, device: &Device, counts: &Counts, needs: &[Need], waiting: &[Waiting]) {
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
        "unverified": counts.unverified,
        "held_to_decide": counts.held_to_decide,
        "last_sync": contact.last_contact.map(|time| time.rfc3339()),
        "skew_ms": contact.skew_ms,
        "needs": needs.iter().map(|need| json!({ "code": need.0, "count": need.1, "message": say(need) }))
            .collect::<Vec<_>>(),
        "waiting_for_you": waiting.iter().map(waiting_json).collect::<Vec<_>>(),
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

fn tell(ctx: &Context, device: &Device, counts: &Counts, needs: &[Need], waiting: &[Waiting]) {
    let (identity, contact) = (device.identity(), device.contact());
    let last_sync = contact.last_contact.map_or_else(|| text::say("status.never"), |time| time.rfc3339());
    let skew = contact.skew_ms.map_or_else(|| "–".to_owned(), |skew| format!("{} s", skew / 1000));
    let roles = enroll::roles_label(&enroll::roles(device));
    let mut pairs = vec![
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
    ];
    pairs.extend(counts.unverified.map(|count| (text::say("label.unverified"), count.to_string())));
    ctx.print(&render::pairs(&pairs));
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
            for need in needs {
                ctx.print(&format!("  {}", say(need)));
                let items =
                    waiting.iter().find(|waiting| waiting.code == need.0).map(|waiting| &waiting.items);
                items.into_iter().for_each(|items| list(ctx, items));
            }
        }
    }
}

/// As many as a person reads, then how many more there are.
fn list(ctx: &Context, items: &[Item]) {
    items.iter().take(ITEMS_SHOWN).for_each(|item| ctx.print(&format!("    {}", item.words)));
    if let Some(more) = items.len().checked_sub(ITEMS_SHOWN).filter(|more| *more > 0) {
        ctx.print(&format!("    {}", text::count("import.more", more as u64, &[])));
    }
}
