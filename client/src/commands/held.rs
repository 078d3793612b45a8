//! `held`: what the rules of its day did not admit waits here until an administrator decides.

use clap::{Args, Subcommand};
use renaksi_domain::command::Command;
use renaksi_domain::held::{Fate, HeldCommand, ReleaseHeld};
use renaksi_domain::ids::CommandKey;
use renaksi_proto::log::Texts;
use serde_json::json;

use super::entry::items;
use super::revision::{ask, fresh};
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
    pub id: String,
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
    let key = waiting(&device, &args.id)?;
    let state = &device.view().confirmed;
    let to = match &args.to {
        Some(wanted) => Some(find::indicator(state, ctx.year(state, device.now())?, wanted)?),
        None => None,
    };
    let release = HeldCommand::Release(ReleaseHeld { held: key, to, count_in });
    decide(ctx, &mut device, key, release, reason).await
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
