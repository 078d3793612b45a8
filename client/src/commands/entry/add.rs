//! `entry add`: one fact, durable on the device before anything is said.

use clap::Args;
use renaksi_domain::command::Command;
use renaksi_domain::entry::{AddEntry, EntryCommand};
use renaksi_proto::log::Texts;

use super::{ReadingArgs, queue, year_of};
use crate::context::{Context, Done};
use crate::error::{ClientError, Rejected};
use crate::{find, render, text};

/// What happened.
#[derive(Clone, Debug, Args)]
#[group(id = "what", required = true, multiple = true, args = ["quantity", "numerator", "text"])]
pub struct AddArgs {
    /// An indicator's code or words of its name
    #[arg(value_name = "CODE|TEXT")]
    pub indicator: String,
    #[command(flatten)]
    pub reading: ReadingArgs,
    /// The day it happened; without it today
    #[arg(long, value_name = "DATE")]
    pub on: Option<String>,
    /// Where
    #[arg(long, value_name = "P")]
    pub place: Option<String>,
    /// Anything worth knowing
    #[arg(long, value_name = "N")]
    pub note: Option<String>,
}

pub(super) fn run(ctx: &Context, args: &AddArgs) -> Result<Done, ClientError> {
    let missing = || ClientError::NotUnderstood(Rejected::new("NOT_A_NUMBER").with("text", ""));
    let reading = args.reading.reading()?.ok_or_else(missing)?;
    let texts = Texts {
        place: find::said_maybe("--place", args.place.as_deref())?,
        note: find::said_maybe("--note", args.note.as_deref())?,
        reason: String::new(),
    };
    let mut device = ctx.device()?;
    let state = &device.view().state;
    let on = match &args.on {
        Some(text) => find::date(text)?,
        None => state.day(device.now()),
    };
    let id = find::indicator(state, year_of(ctx, state, on, device.now())?, &args.indicator)?;
    let said = match state.indicator(id) {
        Some(indicator) => text::with(
            "entry.added",
            &[
                ("code", &indicator.code),
                ("measure", &indicator.facet().measure),
                ("value", &render::reading(&reading)),
                ("unit", &indicator.satuan.as_deref().unwrap_or_default()),
                ("date", &on),
            ],
        ),
        None => String::new(),
    };
    let command = Command::Entry(EntryCommand::Add(AddEntry { indicator: id, on, reading }));
    queue(ctx, &mut device, command, texts, &said)
}
