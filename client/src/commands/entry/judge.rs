//! `entry verify` and `entry return`: by the head of unit, on the version that the server holds.

use clap::Args;
use renaksi_domain::command::{Command, Outcome, allowed_roles};
use renaksi_domain::entry::{Entry, EntryCommand, EntryVersion, State as EntryState};
use renaksi_domain::ids::CommandKey;
use renaksi_proto::log::Texts;
use serde_json::json;

use super::super::revision::{ask, fresh};
use crate::context::{Context, Done};
use crate::device::{Device, ReceiptOutcome};
use crate::error::{ClientError, Rejected};
use crate::{find, render, text};

/// Which entries.
#[derive(Clone, Debug, Args)]
pub struct VerifyArgs {
    /// Entries' ids, or the beginnings of them
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub ids: Vec<String>,
    /// Everything that waits for you
    #[arg(long)]
    pub all: bool,
    /// Of one quarter only
    #[arg(long, value_name = "N", requires = "all")]
    pub quarter: Option<u32>,
    /// Of one indicator only
    #[arg(long, value_name = "CODE|TEXT", requires = "all")]
    pub indicator: Option<String>,
}

pub(super) async fn verify(ctx: &Context, args: &VerifyArgs) -> Result<Done, ClientError> {
    let quarter = args.quarter.map(find::quarter).transpose()?;
    let mut device = fresh(ctx).await?;
    let versions = match args.all {
        true => {
            may_judge(&device)?;
            let year = ctx.year(&device.view().confirmed, device.now())?;
            let wanted = args.indicator.as_deref();
            let indicator =
                wanted.map(|text| find::indicator(&device.view().confirmed, year, text)).transpose()?;
            verifiable(&device, |entry| {
                quarter.is_none_or(|quarter| entry.quarter == quarter)
                    && indicator.is_none_or(|indicator| entry.indicator == indicator)
                    && entry.on.year() == year
            })
        }
        false => args.ids.iter().map(|id| version(&device, id)).collect::<Result<Vec<_>, _>>()?,
    };
    let commands = versions
        .iter()
        .map(|version| (Command::Entry(EntryCommand::Verify(version.clone())), Texts::default()))
        .collect();
    judge(ctx, &mut device, &versions, commands).await
}

/// Who may verify nothing at all is told so, rather than that nothing waited.
fn may_judge(device: &Device) -> Result<(), ClientError> {
    let any = CommandKey::new(device.identity().origin, 0);
    may(device, &Command::Entry(EntryCommand::Verify(EntryVersion { entry: any, base: any })))
}

/// Whether this person's roles include a command, before many of it are sent.
pub(crate) fn may(device: &Device, command: &Command) -> Result<(), ClientError> {
    let state = &device.view().confirmed;
    let (person, today) = (device.identity().person, state.day(device.now()));
    let roles = allowed_roles(command);
    if roles.iter().any(|role| state.people.has_role(person, *role, today)) {
        return Ok(());
    }
    let names: Vec<&str> = roles.iter().map(|role| role.name()).collect();
    let cause = Rejected::new("ROLE_MAY_NOT").with("command", command.name()).with("role", names.join(", "));
    Err(ClientError::NotAdmitted(cause))
}

pub(super) async fn send_back(ctx: &Context, id: &str, reason: &str) -> Result<Done, ClientError> {
    let texts = Texts { reason: find::said("--reason", reason)?, ..Texts::default() };
    let mut device = fresh(ctx).await?;
    let version = version(&device, id)?;
    let receipts =
        ask(&mut device, vec![(Command::Entry(EntryCommand::Return(version.clone())), texts)]).await?;
    let id = device.view().confirmed.public_id(version.entry);
    match ctx.json {
        true => ctx.print_json(&json!({
            "entry_id": id,
            "state": "returned",
            "position": receipts.last().map(|receipt| receipt.position),
        })),
        false => ctx.print(&text::with("entry.returned", &[("entry", &&id[..8])])),
    }
    Ok(Done::Well)
}

fn version(device: &Device, id: &str) -> Result<EntryVersion, ClientError> {
    let key = find::entry(device, id)?;
    let entry = device.view().confirmed.entries.get(key);
    let unknown = || ClientError::NotAdmitted(Rejected::new("UNKNOWN_ENTRY").with("entry", id));
    let entry = entry.ok_or_else(unknown)?;
    Ok(EntryVersion { entry: key, base: entry.version })
}

/// Recorded entries that the rules let this person verify.
pub(super) fn verifiable(device: &Device, wanted: impl Fn(&Entry) -> bool) -> Vec<EntryVersion> {
    let recorded = device.view().confirmed.entries.iter().filter(|entry| entry.state == EntryState::Recorded);
    recorded
        .filter(|entry| wanted(entry))
        .map(|entry| EntryVersion { entry: entry.key, base: entry.version })
        .filter(|version| {
            let command = Command::Entry(EntryCommand::Verify(version.clone()));
            matches!(super::preview(device, &command, false), Outcome::Recorded(_))
        })
        .collect()
}

/// Submits the judgements and tells each refusal; all refused is a failure, some need a person.
async fn judge(
    ctx: &Context,
    device: &mut Device,
    versions: &[EntryVersion],
    commands: Vec<(Command, Texts)>,
) -> Result<Done, ClientError> {
    let receipts = match commands.is_empty() {
        true => Vec::new(),
        false => device.submit(commands, &mut |_| {}).await?,
    };
    let mut verified: Vec<CommandKey> = Vec::new();
    let mut refused = Vec::new();
    for (version, receipt) in versions.iter().zip(&receipts) {
        match &receipt.outcome {
            ReceiptOutcome::Recorded => verified.push(version.entry),
            ReceiptOutcome::Held(cause) | ReceiptOutcome::Refused(cause) => {
                refused.push((version.entry, cause))
            }
        }
    }
    let state = &device.view().confirmed;
    // One refusal alone is the command's own error.
    if !ctx.json && versions.len() > 1 {
        for (entry, cause) in &refused {
            ctx.notice(&format!(
                "{}  {}",
                render::short_id(state, *entry),
                text::message(&Rejected::from(*cause))
            ));
        }
    }
    if let (true, Some((_, cause))) = (verified.is_empty(), refused.first()) {
        return Err(ClientError::refused(cause));
    }
    match ctx.json {
        true => ctx.print_json(&json!({
            "verified": verified.iter().map(|key| state.public_id(*key)).collect::<Vec<_>>(),
            "refused": refused.iter().map(|(key, cause)| {
                let cause = Rejected::from(*cause);
                json!({ "entry_id": state.public_id(*key), "code": cause.code, "message": text::message(&cause) })
            }).collect::<Vec<_>>(),
            "position": receipts.iter().map(|receipt| receipt.position).max(),
        })),
        false => ctx.print(&text::count("entry.verified", verified.len() as u64, &[])),
    }
    Ok(if refused.is_empty() { Done::Well } else { Done::NeedsAPerson })
}
