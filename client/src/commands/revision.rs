//! Revisions (perubahan): draft, add changes, submit, decide, read. Everything that changes one needs the server.

mod add;
mod addition;
mod change;
mod preview;
mod show;
#[cfg(test)]
mod tests;

pub use add::AddArgs;
pub(crate) use addition::added;
pub(crate) use change::{in_words as change_in_words, number_or_none};

use clap::{Args, Subcommand};
use renaksi_domain::Rejection;
use renaksi_domain::command::{Command, Envelope, Outcome, Record, apply, decide};
use renaksi_domain::ids::RevisionId;
use renaksi_domain::revision::{DraftRevision, LegalBasis, Revision, RevisionCommand};
use renaksi_proto::log::Texts;
use serde_json::json;

use crate::context::{Context, Done};
use crate::device::{Device, Receipt, ReceiptOutcome};
use crate::error::{ClientError, Rejected};
use crate::find;
use crate::text;

/// `renaksi revision …`
#[derive(Clone, Debug, Subcommand)]
pub enum RevisionCommandLine {
    /// Opens a revision with its number, reason and legal basis
    Draft(DraftArgs),
    /// Adds changes of one indicator to a draft, or a new indicator; the value each replaces is read from the newest state
    Add(Box<AddArgs>),
    /// Hands a draft to the head of office
    Submit {
        /// The revision's number
        revision: String,
    },
    /// Approves a submitted revision: its changes take effect (head of office)
    Approve {
        /// The revision's number
        revision: String,
    },
    /// Declines a submitted revision (head of office)
    Reject {
        /// The revision's number
        revision: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Takes back a draft or a submitted revision
    Withdraw {
        /// The revision's number
        revision: String,
        /// Why
        #[arg(long)]
        reason: Option<String>,
    },
    /// A revision whole: every change, what holds now, who did what and when
    Show {
        /// The revision's number
        revision: String,
    },
    /// All revisions of the year
    List,
    /// Every figure that the revision would change, before and after
    Preview {
        /// The revision's number
        revision: String,
    },
}

/// What opens a revision.
#[derive(Clone, Debug, Args)]
pub struct DraftArgs {
    /// The office's own number for it
    #[arg(long)]
    pub number: String,
    /// Why the plan changes
    #[arg(long)]
    pub reason: String,
    /// Title of the act that allows it
    #[arg(long)]
    pub basis: String,
    /// Number of that act
    #[arg(long)]
    pub basis_number: String,
    /// Date of that act
    #[arg(long)]
    pub basis_date: String,
    /// The first quarter it may change
    #[arg(long)]
    pub effective: u32,
}

/// Runs a `revision` command.
///
/// # Errors
/// As the command's own; a refusal of the rules is exit 4 or 6, an unreachable server exit 5 with nothing queued.
pub async fn run(ctx: &Context, command: RevisionCommandLine) -> Result<Done, ClientError> {
    use RevisionCommand as Ask;
    match command {
        RevisionCommandLine::Draft(args) => draft(ctx, args).await,
        RevisionCommandLine::Add(args) => add::run(ctx, &args).await,
        RevisionCommandLine::Submit { revision } => step(ctx, &revision, Ask::Submit, None).await,
        RevisionCommandLine::Approve { revision } => step(ctx, &revision, Ask::Approve, None).await,
        RevisionCommandLine::Reject { revision, reason } => {
            step(ctx, &revision, Ask::Reject, Some(reason)).await
        }
        RevisionCommandLine::Withdraw { revision, reason } => {
            step(ctx, &revision, Ask::Withdraw, reason).await
        }
        RevisionCommandLine::Show { revision } => show::run(ctx, &revision),
        RevisionCommandLine::List => show::list(ctx),
        RevisionCommandLine::Preview { revision } => preview::run(ctx, &revision),
    }
}

async fn draft(ctx: &Context, args: DraftArgs) -> Result<Done, ClientError> {
    let (effective, date) = (find::quarter(args.effective)?, find::date(&args.basis_date)?);
    let number = find::said("--number", &args.number)?;
    let reason = find::said("--reason", &args.reason)?;
    let title = find::said("--basis", &args.basis)?;
    let basis_number = find::said("--basis-number", &args.basis_number)?;
    let mut device = fresh(ctx).await?;
    let year = ctx.year(&device.view().confirmed, device.now())?;
    let command = Command::Revision(RevisionCommand::Draft(DraftRevision {
        year,
        number: number.into(),
        reason: reason.into(),
        basis: LegalBasis { title: title.into(), number: basis_number.into(), date },
        effective,
    }));
    let receipts = ask(&mut device, vec![(command, Texts::default())]).await?;
    let at = receipts.first().map_or(0, |receipt| receipt.position);
    let revisions = &device.view().confirmed.revisions;
    let Some(index) = revisions.iter().rposition(|revision| revision.position == at) else {
        return Err(ClientError::Failed(Rejected::new("POSITION_UNKNOWN").with("position", at)));
    };
    say_state(ctx, &device, RevisionId::after(index));
    Ok(Done::Well)
}

async fn step(
    ctx: &Context,
    revision: &str,
    make: fn(RevisionId) -> RevisionCommand,
    reason: Option<String>,
) -> Result<Done, ClientError> {
    let texts = Texts { reason: find::said_maybe("--reason", reason.as_deref())?, ..Texts::default() };
    let mut device = fresh(ctx).await?;
    let id = find::revision(&device.view().confirmed, revision)?;
    ask(&mut device, vec![(Command::Revision(make(id)), texts)]).await?;
    say_state(ctx, &device, id);
    Ok(Done::Well)
}

fn say_state(ctx: &Context, device: &Device, id: RevisionId) {
    let Some(revision) = device.view().confirmed.revision(id) else { return };
    match ctx.json {
        true => ctx.print_json(&state_json(id, revision)),
        false => ctx.print(&text::with(
            &format!("revision.now.{}", revision.state.name()),
            &[("number", &revision.draft.number), ("changes", &revision.changes.len()), ("id", &id)],
        )),
    }
}

fn state_json(id: RevisionId, revision: &Revision) -> serde_json::Value {
    json!({
        "revision": id.0,
        "number": revision.draft.number,
        "year": revision.draft.year,
        "state": revision.state.name(),
        "changes": revision.changes.len(),
    })
}

/// The device, after it has fetched what the server has: whoever decides must see the newest state.
pub(crate) async fn fresh(ctx: &Context) -> Result<Device, ClientError> {
    let mut device = ctx.device()?;
    device.sync(&mut |_| {}).await?;
    Ok(device)
}

/// Sends commands to the server and makes sure that the view has what came of them. Several go all or none as far as this
/// device can tell: where its copy of the log already refuses one, none is sent.
///
/// # Errors
/// The first refusal, exit 4 or 6; with how many commands were recorded all the same, when there were several.
pub(crate) async fn ask(
    device: &mut Device,
    commands: Vec<(Command, Texts)>,
) -> Result<Vec<Receipt>, ClientError> {
    let count = commands.len();
    let receipts = submit_all(device, commands).await?;
    let recorded =
        receipts.iter().filter(|receipt| matches!(receipt.outcome, ReceiptOutcome::Recorded)).count();
    match receipts.iter().find_map(refusal) {
        None => Ok(receipts),
        Some(cause) if count == 1 => Err(ClientError::refused(cause)),
        Some(cause) => {
            let cause = Rejected::from(cause).with("recorded", recorded).with("of", count);
            Err(ClientError::NotAdmitted(cause))
        }
    }
}

/// The same, each receipt to be judged by the caller.
///
/// # Errors
/// What this device already refuses of several; and when the server is not reached.
pub(crate) async fn submit_all(
    device: &mut Device,
    commands: Vec<(Command, Texts)>,
) -> Result<Vec<Receipt>, ClientError> {
    if commands.len() > 1 {
        foresee(device, &commands)?;
    }
    let receipts = device.submit(commands, &mut |_| {}).await?;
    let last = receipts.iter().map(|receipt| receipt.position).max().unwrap_or(0);
    if device.view().confirmed.position < last {
        device.sync(&mut |_| {}).await?;
    }
    Ok(receipts)
}

/// Why a command was not recorded.
pub(crate) fn refusal(receipt: &Receipt) -> Option<&Rejection> {
    match &receipt.outcome {
        ReceiptOutcome::Recorded => None,
        ReceiptOutcome::Held(cause) | ReceiptOutcome::Refused(cause) => Some(cause),
    }
}

/// Plays the commands on a copy of the state, each after the one before it.
fn foresee(device: &Device, commands: &[(Command, Texts)]) -> Result<(), ClientError> {
    let (identity, now) = (device.identity(), device.now());
    let mut state = device.view().confirmed.clone();
    let last = state.people.incarnation(identity.origin).map_or(0, |known| known.last_sequence);
    for (sequence, (command, texts)) in (last.saturating_add(1)..).zip(commands) {
        let envelope = Envelope {
            origin: identity.origin,
            sequence,
            author: identity.person,
            made_at: now,
            has_reason: !texts.reason.is_empty(),
            restored: None,
            command: command.clone(),
        };
        let outcome = decide(&state, &envelope, now);
        if let Outcome::Refused(cause) = &outcome {
            return Err(ClientError::refused(cause));
        }
        let position = state.position + 1;
        apply(&mut state, &Record { position, time: now, carrier: None, envelope, outcome });
    }
    Ok(())
}
