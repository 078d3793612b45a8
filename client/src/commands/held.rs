//! `held`: what the rules of its day did not admit waits here until an administrator decides.

use clap::{Args, Subcommand};
use renaksi_domain::command::Command;
use renaksi_domain::held::{Fate, HeldCommand, ReleaseHeld};
use renaksi_domain::ids::{CommandKey, DeviceId};
use renaksi_proto::log::Texts;
use serde_json::json;

use super::entry::items;
use super::revision::{ask, fresh, refusal};
use crate::context::{Context, Done};
use crate::device::Device;
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
    let its = |key: &CommandKey| state.people.incarnation(key.origin).is_some_and(|own| own.device == of);
    let keys: Vec<CommandKey> =
        state.held.iter().filter(|(key, held)| held.is_waiting() && its(key)).map(|(key, _)| *key).collect();
    if keys.is_empty() {
        let cause = Rejected::new("NOTHING_HELD").with("device", of);
        return Err(ClientError::NotAdmitted(cause));
    }
    let commands = keys
        .iter()
        .map(|key| (Command::Held(release(*key)), Texts { reason: reason.clone(), ..Texts::default() }));
    let receipts = device.submit(commands.collect(), &mut |_| {}).await?;
    let state = &device.view().confirmed;
    let judged: Vec<(String, Option<Rejected>)> = keys
        .iter()
        .zip(&receipts)
        .map(|(key, receipt)| (state.public_id(*key), refusal(receipt).map(Rejected::from)))
        .collect();
    let refused = judged.iter().filter(|(_, cause)| cause.is_some()).count();
    let released = judged.len() - refused;
    if ctx.json {
        let of_them = |(id, cause): &(String, Option<Rejected>)| {
            json!({
                "entry_id": id,
                "state": if cause.is_some() { "held" } else { "released" },
                "code": cause.as_ref().map(|cause| &cause.code),
                "message": cause.as_ref().map(text::message),
            })
        };
        ctx.print_json(&json!({
            "device": of.0,
            "released": released,
            "refused": refused,
            "entries": judged.iter().map(of_them).collect::<Vec<_>>(),
        }));
    } else {
        for (id, cause) in &judged {
            if let Some(cause) = cause {
                ctx.notice(&format!("{}: {}", &id[..8], text::message(cause)));
            }
        }
        ctx.print(&text::with("held.released_all", &[("released", &released), ("refused", &refused)]));
    }
    Ok(if refused > 0 { Done::NeedsAPerson } else { Done::Well })
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
