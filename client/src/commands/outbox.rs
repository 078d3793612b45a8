//! `outbox` and `reset`: work that travels as a file, and a device that ends.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{file, sync};
use crate::context::{Context, Done};
use crate::error::ClientError;
use crate::text;

/// A file of 200,000 commands is smaller.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// `renaksi outbox …`
#[derive(Clone, Debug, Subcommand)]
pub enum OutboxCommandLine {
    /// Writes what was not sent into a file that any other device of the office can bring
    Export {
        /// The new file
        file: PathBuf,
    },
    /// Brings the work of another device from its file
    Import {
        /// The file
        file: PathBuf,
    },
}

/// How the device ends.
#[derive(Clone, Debug, Args)]
pub struct ResetArgs {
    /// First writes what was not sent into a file, which another device imports
    #[arg(long, value_name = "FILE")]
    pub export: Option<PathBuf>,
}

/// Runs an `outbox` command.
///
/// # Errors
/// Exit 4 for a file that is no outbox, another office's, or there already; 5 when the server is not reached.
pub async fn run(ctx: &Context, command: OutboxCommandLine) -> Result<Done, ClientError> {
    match command {
        OutboxCommandLine::Export { file } => {
            let device = ctx.device()?;
            let commands = device.export_unsent(&file)?;
            match ctx.json {
                true => ctx.print_json(&json!({ "file": file.display().to_string(), "commands": commands })),
                false => ctx.print(&text::with(
                    "outbox.exported",
                    &[("commands", &commands), ("file", &file.display())],
                )),
            }
            Ok(Done::Well)
        }
        OutboxCommandLine::Import { file } => {
            let bytes = file::read(&file, FILE_BYTES_MAX)?;
            let mut device = ctx.device()?;
            let mut report = device.carry(&bytes).await?;
            // The copy of the log shows what was brought; a failure here takes nothing back.
            match device.sync(&mut |_| {}).await {
                Ok(synced) => (report.pulled, report.position) = (synced.pulled, synced.position),
                Err(error) => tracing::warn!(%error, "brought, but the copy of the log is not up to date"),
            }
            match ctx.json {
                true => ctx.print_json(&sync::report_json(&report)),
                false => sync::tell(ctx, &report),
            }
            let needs_a_person = !report.held.is_empty() || !report.refused.is_empty();
            Ok(if needs_a_person { Done::NeedsAPerson } else { Done::Well })
        }
    }
}

/// Runs `reset`.
///
/// # Errors
/// Exit 4 `UNSENT_WORK` while something was not sent and is not exported.
pub fn reset(ctx: &Context, args: &ResetArgs) -> Result<Done, ClientError> {
    let device = ctx.device()?;
    let exported = match &args.export {
        Some(file) => Some(device.export_unsent(file)?),
        None => None,
    };
    device.reset(exported.is_some())?;
    let file = args.export.as_ref().map(|file| file.display().to_string());
    match ctx.json {
        true => ctx.print_json(&json!({ "reset": true, "exported": exported, "file": file })),
        false => {
            if let (Some(commands), Some(file)) = (exported, file) {
                ctx.print(&text::with("outbox.exported", &[("commands", &commands), ("file", &file)]));
            }
            ctx.print(&text::with("outbox.reset", &[("home", &ctx.home.display())]));
        }
    }
    Ok(Done::Well)
}
