//! `entry`: what officers record, and what heads of unit decide about it.

mod add;
mod change;
mod import;
pub mod items;
mod judge;
mod list;

use clap::{Args, Subcommand};
use renaksi_domain::State;
use renaksi_domain::command::{Command, Envelope, Outcome, decide};
use renaksi_domain::entry::Reading;
use renaksi_domain::ids::PersonId;
use renaksi_domain::time::{Date, Timestamp};
use renaksi_proto::log::Texts;
use serde_json::json;

use crate::context::{Context, Done};
use crate::device::Device;
use crate::error::{ClientError, Rejected};
use crate::render::{self, Paint};
use crate::{find, text};

pub(crate) use judge::may;

/// `renaksi entry …`
#[derive(Clone, Debug, Subcommand)]
pub enum EntryCommandLine {
    /// Records a fact; works offline
    Add(add::AddArgs),
    /// Records every row of a spreadsheet (CSV), all or none; works offline
    Import(import::ImportArgs),
    /// Entries with their state: what waits here, what is recorded, held or refused
    List(list::ListArgs),
    /// Corrects an own entry; works offline
    Amend(change::AmendArgs),
    /// Takes an own entry back; works offline
    Void {
        /// The entry's id, or the beginning of it
        id: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Takes back what is held; works offline
    Withdraw {
        /// The held entry's id, or the beginning of it
        id: String,
    },
    /// Accepts entries as true (head of unit)
    Verify(judge::VerifyArgs),
    /// Sends an entry back to its author (head of unit)
    Return {
        /// The entry's id, or the beginning of it
        id: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
}

/// What was counted or read: a number, both parts of a ratio, or a text.
#[derive(Clone, Debug, Default, Args)]
pub struct ReadingArgs {
    /// A count or a reading, such as 12 or 7,8
    #[arg(long, value_name = "Q", allow_hyphen_values = true, conflicts_with_all = ["numerator", "denominator", "text"])]
    pub quantity: Option<String>,
    /// The part, of a ratio
    #[arg(
        long,
        value_name = "A",
        allow_hyphen_values = true,
        requires = "denominator",
        conflicts_with = "text"
    )]
    pub numerator: Option<String>,
    /// The whole, of a ratio
    #[arg(
        long,
        value_name = "B",
        allow_hyphen_values = true,
        requires = "numerator",
        conflicts_with = "text"
    )]
    pub denominator: Option<String>,
    /// A grade, for a target that is a text
    #[arg(long, value_name = "T")]
    pub text: Option<String>,
}

impl ReadingArgs {
    fn reading(&self) -> Result<Option<Reading>, ClientError> {
        Ok(match (&self.quantity, &self.numerator, &self.denominator, &self.text) {
            (Some(quantity), ..) => Some(Reading::Quantity(find::quantity(quantity)?)),
            (_, Some(numerator), Some(denominator), _) => Some(Reading::Ratio {
                numerator: find::quantity(numerator)?,
                denominator: find::quantity(denominator)?,
            }),
            (.., Some(text)) => Some(Reading::Text(find::said("--text", text)?.into())),
            _ => None,
        })
    }
}

/// Runs an `entry` command.
///
/// # Errors
/// As the command's own; what the rules already refuse is not put into the outbox.
pub async fn run(ctx: &Context, command: EntryCommandLine) -> Result<Done, ClientError> {
    match command {
        EntryCommandLine::Add(args) => add::run(ctx, &args),
        EntryCommandLine::Import(args) => import::run(ctx, &args),
        EntryCommandLine::List(args) => list::run(ctx, &args),
        EntryCommandLine::Amend(args) => change::amend(ctx, &args),
        EntryCommandLine::Void { id, reason } => change::void(ctx, &id, &reason),
        EntryCommandLine::Withdraw { id } => change::withdraw(ctx, &id),
        EntryCommandLine::Verify(args) => judge::verify(ctx, &args).await,
        EntryCommandLine::Return { id, reason } => judge::send_back(ctx, &id, &reason).await,
    }
}

/// The plan's year of a fact: the day tells it, unless the year is named or that of the day has no plan.
fn year_of(ctx: &Context, state: &State, on: Date, now: Timestamp) -> Result<i16, ClientError> {
    match ctx.year.is_none() && state.plan(on.year()).is_some() {
        true => Ok(on.year()),
        false => ctx.year(state, now),
    }
}

/// What the rules say to a command as things stand on this device. Its sequence is one that nothing has.
fn preview(device: &Device, command: &Command, has_reason: bool) -> Outcome {
    let identity = device.identity();
    let author: PersonId = identity.person;
    let envelope = Envelope {
        origin: identity.origin,
        sequence: u32::MAX,
        author,
        made_at: device.now(),
        has_reason,
        restored: None,
        command: command.clone(),
    };
    decide(&device.view().state, &envelope, device.now())
}

/// Puts a command into the outbox and says what will come of it. What could never be recorded is refused at once, so
/// that it can be corrected while the officer still stands there.
fn queue(
    ctx: &Context,
    device: &mut Device,
    command: Command,
    texts: Texts,
    said: &str,
) -> Result<Done, ClientError> {
    if let Outcome::Refused(cause) = preview(device, &command, !texts.reason.is_empty()) {
        return Err(ClientError::refused(&cause));
    }
    let queued = device.record(command, texts)?;
    let cause = match &queued.preview {
        Outcome::Recorded(_) => None,
        Outcome::Held(cause) | Outcome::Refused(cause) => Some(Rejected::from(cause)),
    };
    let id = queued.entry_id;
    if ctx.json {
        ctx.print_json(&json!({
            "entry_id": id.to_string(),
            "state": "pending",
            "preview": cause.map(|cause| json!({ "code": cause.code, "message": text::message(&cause) })),
        }));
        return Ok(Done::Well);
    }
    ctx.print(&format!("{}  {said}", &id.simple().to_string()[..8]));
    match cause {
        None => ctx.print(&render::paint(ctx.color, Paint::Faint, &text::say("entry.waits"))),
        Some(cause) => {
            let (message, hint) = text::error(&cause);
            let warned = text::with("entry.will_be_held", &[("message", &message)]);
            ctx.print(&render::paint(ctx.color, Paint::Yellow, &warned));
            ctx.print(&format!("{}: {hint}", text::say("common.hint")));
        }
    }
    Ok(Done::Well)
}

/// What waits for this person's verification.
pub(super) fn verifiable(device: &Device) -> Vec<renaksi_domain::entry::EntryVersion> {
    judge::verifiable(device, |_| true)
}
