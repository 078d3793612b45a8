//! `held`: what the rules of its day did not admit waits here until an administrator decides.

use clap::{Args, Subcommand};
use renaksi_domain::State;
use renaksi_domain::command::Command;
use renaksi_domain::held::{Fate, Held, HeldCommand, ReleaseHeld};
use renaksi_domain::ids::{CommandKey, DeviceId};
use renaksi_proto::log::Texts;
use serde_json::{Value, json};

use super::entry::{items, may};
use super::revision::{ask, fresh, refusal};
use crate::context::{Context, Done};
use crate::device::{Device, Receipt};
use crate::error::{ClientError, Rejected};
use crate::{find, text};

/// `renaksi held …`
#[derive(Clone, Debug, Subcommand)]
pub enum HeldCommandLine {
    /// What waits for a decision, with its cause
    List,
    /// Lets held work count (administrator)
    Release(ReleaseArgs),
    /// Declines held work (administrator)
    Dismiss {
        /// The held entry's id, or the beginning of it
        id: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
}

/// How it shall count.
#[derive(Clone, Debug, Args)]
pub struct ReleaseArgs {
    /// The held entry's id, or the beginning of it
    #[arg(required_unless_present = "device", conflicts_with = "device")]
    pub id: Option<String>,
    /// Everything that waits of one device
    #[arg(long, value_name = "NUMBER")]
    pub device: Option<u32>,
    /// Count it for another indicator
    #[arg(long, value_name = "CODE")]
    pub to: Option<String>,
    /// Count it in an open later quarter, as carried over
    #[arg(long, value_name = "N")]
    pub count_in: Option<u32>,
    /// Why
    #[arg(long)]
    pub reason: String,
}

/// Runs a `held` command.
///
/// # Errors
/// Exit 4 when nothing waits under the id, or the rules do not admit it still.
pub async fn run(ctx: &Context, command: HeldCommandLine) -> Result<Done, ClientError> {
    match command {
        HeldCommandLine::List => list(ctx),
        HeldCommandLine::Release(args) => release(ctx, &args).await,
        HeldCommandLine::Dismiss { id, reason } => {
            let reason = find::said("--reason", &reason)?;
            let mut device = fresh(ctx).await?;
            let key = waiting(&device, &id)?;
            decide(ctx, &mut device, key, HeldCommand::Dismiss(key), reason).await
        }
    }
}

fn list(ctx: &Context) -> Result<Done, ClientError> {
    let device = ctx.device()?;
    let mut items = items::all(&device)?;
    items.retain(|item| item.state == Fate::Waiting.name());
    items::add_texts(&device, &mut items)?;
    match ctx.json {
        true => ctx.print_json(&json!({
            "held": items.iter().map(|item| item.json(&device)).collect::<Vec<_>>(),
        })),
        false if items.is_empty() => ctx.print(&text::say("held.none")),
        false => ctx.print(&items::table(ctx, &device, &items)),
    }
    Ok(Done::Well)
}

async fn release(ctx: &Context, args: &ReleaseArgs) -> Result<Done, ClientError> {
    let count_in = args.count_in.map(find::quarter).transpose()?;
    let reason = find::said("--reason", &args.reason)?;
    let mut device = fresh(ctx).await?;
    let state = &device.view().confirmed;
    let to = match &args.to {
        Some(wanted) => Some(find::indicator(state, ctx.year(state, device.now())?, wanted)?),
        None => None,
    };
    let release = |held| HeldCommand::Release(ReleaseHeld { held, to, count_in });
    match (&args.id, args.device) {
        (Some(id), _) => {
            let key = waiting(&device, id)?;
            decide(ctx, &mut device, key, release(key), reason).await
        }
        (None, number) => {
            let of = DeviceId(number.unwrap_or(0));
            release_all(ctx, &mut device, of, release, reason).await
        }
    }
}

/// Lets all in that waits of a device, in one push. Each is decided for itself; those that the rules do not admit wait on.
async fn release_all(
    ctx: &Context,
    device: &mut Device,
    of: DeviceId,
    release: impl Fn(CommandKey) -> HeldCommand,
    reason: String,
) -> Result<Done, ClientError> {
    let state = &device.view().confirmed;
    if state.people.device(of).is_none() {
        return Err(ClientError::NotUnderstood(Rejected::new("UNKNOWN_DEVICE").with("device", of)));
    }
    let keys = waiting_of(state, of);
    let Some(first) = keys.first() else {
        return Err(ClientError::NotAdmitted(Rejected::new("NOTHING_HELD").with("device", of)));
    };
    may(device, &Command::Held(release(*first)))?;
    let commands = keys
        .iter()
        .map(|key| (Command::Held(release(*key)), Texts { reason: reason.clone(), ..Texts::default() }));
    let receipts = device.submit(commands.collect(), &mut |_| {}).await?;
    let last = receipts.iter().map(|receipt| receipt.position).max().unwrap_or(0);
    if device.view().confirmed.position < last {
        device.sync(&mut |_| {}).await?;
    }
    let judged = judged(&device.view().confirmed, &keys, &receipts);
    tell_released(ctx, of, &judged)
}

/// What became of a held command: its id, and why it still waits.
type Judged = (String, Option<Rejected>);

/// By what it is now. A change that waited for an entry is let in with it, and its own release comes too late.
fn judged(state: &State, keys: &[CommandKey], receipts: &[Receipt]) -> Vec<Judged> {
    let waits = |key: &CommandKey| state.held.get(key).is_some_and(Held::is_waiting);
    keys.iter()
        .zip(receipts)
        .map(|(key, receipt)| {
            let cause = refusal(receipt).filter(|_| waits(key)).map(Rejected::from);
            (state.public_id(*key), cause)
        })
        .collect()
}

fn tell_released(ctx: &Context, of: DeviceId, judged: &[Judged]) -> Result<Done, ClientError> {
    let refused = judged.iter().filter(|(_, cause)| cause.is_some()).count();
    let released = judged.len() - refused;
    let first = judged.iter().find_map(|(_, cause)| cause.as_ref());
    let entries = Value::from_iter(judged.iter().map(judged_json));
    if !ctx.json {
        judged.iter().for_each(|judged| tell_one(ctx, judged));
    }
    match first {
        // Nothing was done: the first cause is the command's own, with all the others.
        Some(cause) if released == 0 => {
            let cause = cause.clone();
            Err(ClientError::NotAdmitted(if ctx.json { cause.with("errors", entries) } else { cause }))
        }
        _ => {
            match ctx.json {
                true => ctx.print_json(
                    &json!({ "device": of.0, "released": released, "refused": refused, "entries": entries }),
                ),
                false => ctx.print(&text::with(
                    "held.released_all",
                    &[("released", &released), ("refused", &refused)],
                )),
            }
            Ok(if refused > 0 { Done::NeedsAPerson } else { Done::Well })
        }
    }
}

fn judged_json((id, cause): &Judged) -> Value {
    let fate = if cause.is_some() { Fate::Waiting } else { Fate::Released };
    json!({
        "entry_id": id,
        "state": fate.name(),
        "code": cause.as_ref().map(|cause| &cause.code),
        "message": cause.as_ref().map(text::message),
    })
}

fn tell_one(ctx: &Context, (id, cause): &Judged) {
    let short = &id[..8];
    match cause {
        None => {
            let fate = text::term("state", Fate::Released.name());
            ctx.print(&text::with("held.now", &[("entry", &short), ("state", &fate)]));
        }
        Some(cause) => ctx.notice(&format!("{short}: {}", text::message(cause))),
    }
}

/// What waits of a device, over all its incarnations, in its own order.
fn waiting_of(state: &State, of: DeviceId) -> Vec<CommandKey> {
    let its = |key: &CommandKey| state.people.incarnation(key.origin).is_some_and(|own| own.device == of);
    state.held.iter().filter(|(key, held)| held.is_waiting() && its(key)).map(|(key, _)| *key).collect()
}

fn waiting(device: &Device, id: &str) -> Result<CommandKey, ClientError> {
    let unknown = || Rejected::new("UNKNOWN_HELD").with("entry", id);
    let key = find::entry(device, id).map_err(|error| match error.cause().code.as_str() {
        "UNKNOWN_ENTRY" => ClientError::NotUnderstood(unknown()),
        _ => error,
    })?;
    match device.view().confirmed.held.get(&key).is_some_and(|held| held.is_waiting()) {
        true => Ok(key),
        false => Err(ClientError::NotAdmitted(unknown())),
    }
}

async fn decide(
    ctx: &Context,
    device: &mut Device,
    key: CommandKey,
    command: HeldCommand,
    reason: String,
) -> Result<Done, ClientError> {
    let texts = Texts { reason, ..Texts::default() };
    let receipts = ask(device, vec![(Command::Held(command), texts)]).await?;
    let state = &device.view().confirmed;
    let fate = state.held.get(&key).map_or(Fate::Waiting, |held| held.fate).name();
    let id = state.public_id(key);
    match ctx.json {
        true => ctx.print_json(&json!({
            "entry_id": id,
            "state": fate,
            "position": receipts.last().map(|receipt| receipt.position),
        })),
        false => {
            ctx.print(&text::with("held.now", &[("entry", &&id[..8]), ("state", &text::term("state", fate))]))
        }
    }
    Ok(Done::Well)
}

#[cfg(test)]
mod tests {
    use renaksi_domain::Code;
    use renaksi_domain::command::Outcome;
    use renaksi_domain::entry::{AddEntry, EntryCommand, Reading};
    use renaksi_domain::quantity::Quantity;
    use renaksi_domain::time::Date;

    use super::*;
    use crate::commands::audit::fixture::{Office, UTTP};
    use crate::device::ReceiptOutcome;

    fn held(office: &mut Office) -> CommandKey {
        let on = Date::parse("2024-02-01").unwrap();
        let add = AddEntry { indicator: UTTP, on, reading: Reading::Quantity(Quantity::parse("3").unwrap()) };
        let cause = renaksi_domain::Rejection::new(Code::NotAssigned);
        office.with(Command::Entry(EntryCommand::Add(add)), Outcome::Held(cause))
    }

    #[test]
    fn what_was_let_in_with_another_is_no_refusal() {
        let mut office = Office::established();
        let keys = [held(&mut office), held(&mut office)];
        assert_eq!(waiting_of(&office.state, DeviceId(1)), keys);
        assert_eq!(waiting_of(&office.state, DeviceId(2)), []);
        let release = ReleaseHeld { held: keys[0], to: None, count_in: None };
        office.done(Command::Held(HeldCommand::Release(release)));
        // Both receipts say no; only the second still waits.
        let refused = |key| Receipt {
            key,
            position: 1,
            outcome: ReceiptOutcome::Refused(renaksi_domain::Rejection::new(Code::UnknownHeld)),
            duplicate: false,
        };
        let judged = judged(&office.state, &keys, &keys.map(refused));
        let codes: Vec<Option<&str>> =
            judged.iter().map(|(_, cause)| cause.as_ref().map(|cause| cause.code.as_str())).collect();
        assert_eq!(codes, [None, Some("UNKNOWN_HELD")]);
        let json = judged_json(&judged[0]);
        assert_eq!((&json["state"], &json["code"]), (&json!("released"), &Value::Null));
        assert_eq!(judged_json(&judged[1])["state"], "held");
    }

    #[test]
    fn some_that_wait_need_a_person_and_all_of_them_are_a_failure() {
        let ctx = Context { json: true, ..Context::default() };
        let id = "0b0f8c1e-6d9a-5f3c-9a3e-0123456789ab".to_owned();
        let waits = (id.clone(), Some(Rejected::new("QUARTER_LOCKED")));
        let done = |judged: &[Judged]| tell_released(&ctx, DeviceId(1), judged);
        assert_eq!(done(&[(id.clone(), None)]).unwrap(), Done::Well);
        assert_eq!(done(&[(id, None), waits.clone()]).unwrap(), Done::NeedsAPerson);
        let error = done(&[waits.clone(), waits]).unwrap_err();
        assert_eq!((error.exit_code(), error.cause().details[0].0.as_str()), (4, "errors"));
    }
}
