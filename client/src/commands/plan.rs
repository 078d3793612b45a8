//! `plan`: import, establish, approve, show.

mod import;
mod show;

use clap::{Args, Subcommand};
use renaksi_domain::command::Command;
use renaksi_domain::plan::{ApprovePlan, EstablishPlan, PlanCommand};
use renaksi_proto::log::Texts;
use serde_json::json;

use super::indicator::year_target;
use super::revision::{ask, fresh};
use crate::context::{Context, Done};
use crate::error::ClientError;
use crate::{find, text};

pub use import::ImportArgs;
#[cfg(test)]
pub(crate) use import::commands as import_commands;
pub use show::ShowArgs;

/// `renaksi plan …`
#[derive(Clone, Debug, Subcommand)]
pub enum PlanCommandLine {
    /// Reads a plan's file: the tree, counts and every warning with its line (administrator)
    Import(ImportArgs),
    /// Asks the head of office to establish the plan (administrator)
    Establish(EstablishArgs),
    /// Establishes the plan (head of office)
    Approve,
    /// Gives a submitted plan back for more work (head of office)
    SendBack {
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Takes a submitted plan back (administrator)
    Recall,
    /// The plan with target, realisation, achievement and rating
    Show(ShowArgs),
}

/// What establishing needs.
#[derive(Clone, Debug, Args)]
pub struct EstablishArgs {
    /// The act that establishes the plan
    #[arg(long, value_name = "TEXT")]
    pub basis: String,
    /// Why; asked for where a stated target of the year is not what its quarters come to
    #[arg(long)]
    pub reason: Option<String>,
}

/// Runs a `plan` command.
///
/// # Errors
/// Exit 4 for a file that is no plan and for what a rule does not admit.
pub async fn run(ctx: &Context, command: PlanCommandLine) -> Result<Done, ClientError> {
    match command {
        PlanCommandLine::Import(args) => import::run(ctx, &args).await,
        PlanCommandLine::Establish(args) => {
            let basis = find::said("--basis", &args.basis)?;
            let reason = find::said_maybe("--reason", args.reason.as_deref())?;
            let establish = |year| PlanCommand::EstablishPlan(EstablishPlan { year, basis: basis.into() });
            step(ctx, establish, reason).await
        }
        PlanCommandLine::Approve => {
            step(ctx, |year| PlanCommand::ApprovePlan(ApprovePlan { year }), String::new()).await
        }
        PlanCommandLine::SendBack { reason } => {
            step(ctx, PlanCommand::SendBackPlan, find::said("--reason", &reason)?).await
        }
        PlanCommandLine::Recall => step(ctx, PlanCommand::RecallPlan, String::new()).await,
        PlanCommandLine::Show(args) => show::run(ctx, &args),
    }
}

async fn step(
    ctx: &Context,
    make: impl FnOnce(i16) -> PlanCommand,
    reason: String,
) -> Result<Done, ClientError> {
    let texts = Texts { reason, ..Texts::default() };
    let mut device = fresh(ctx).await?;
    let year = ctx.year(&device.view().confirmed, device.now())?;
    let receipts = match ask(&mut device, vec![(Command::Plan(make(year)), texts)]).await {
        Err(error) => return Err(year_target::whole(ctx, &device.view().confirmed, year, error)),
        Ok(receipts) => receipts,
    };
    let position = receipts.last().map_or(0, |receipt| receipt.position);
    let Some(plan) = device.view().confirmed.plan(year) else { return Ok(Done::Well) };
    let state = plan.state.name();
    // It goes on all the same: whoever decides is told.
    let warnings = year_target::warnings(&device.view().confirmed, year);
    match ctx.json {
        true => ctx.print_json(&json!({
            "office": plan.title,
            "year": year,
            "state": state,
            "basis": plan.basis,
            "warnings": year_target::warnings_json(&warnings),
            "position": position,
        })),
        false => {
            year_target::notice(ctx, &warnings);
            ctx.print(&text::with("plan.now", &[("year", &year), ("state", &text::term("state", state))]))
        }
    }
    Ok(Done::Well)
}
