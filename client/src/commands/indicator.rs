//! `indicator`: one indicator's whole story, and its settings.

mod show;

use clap::{Args, Subcommand};
use renaksi_domain::State;
use renaksi_domain::command::Command;
use renaksi_domain::indicator::{LowerFormula, Polarity, SetIndicator};
use renaksi_domain::proposal::Kind;
use renaksi_domain::time::Quarter;
use renaksi_proto::log::Texts;
use serde_json::json;

use super::revision::{ask, fresh};
use crate::context::{Context, Done};
use crate::error::ClientError;
use crate::{find, text};

/// `renaksi indicator …`
#[derive(Clone, Debug, Subcommand)]
pub enum IndicatorCommandLine {
    /// Settings, targets with all versions, entries and figures of one indicator
    Show {
        /// An indicator's code or words of its name
        #[arg(value_name = "CODE|TEXT")]
        indicator: String,
        /// The quarter that the year to date ends with
        #[arg(long, value_name = "N")]
        quarter: Option<u32>,
        /// As it was at a position, at the end of a day or at a time
        #[arg(long, value_name = "POSITION|TIME")]
        as_of: Option<String>,
    },
    /// Confirms or changes how it is measured; targets and settings only while the plan is draft (administrator)
    Set(SetArgs),
}

/// What to set.
#[derive(Clone, Debug, Args)]
#[group(id = "settings", required = true, multiple = true, args = ["kind", "polarity", "formula", "cap", "unit", "target"])]
pub struct SetArgs {
    /// An indicator's code or words of its name
    #[arg(value_name = "CODE|TEXT")]
    pub indicator: String,
    /// How entries add up
    #[arg(long, value_parser = ["sum", "cumulative", "latest", "average", "ratio"])]
    pub kind: Option<String>,
    /// Which direction is good
    #[arg(long, value_parser = ["higher", "lower"])]
    pub polarity: Option<String>,
    /// How achievement is computed where lower is better
    #[arg(long, value_parser = ["mirrored", "inverse"])]
    pub formula: Option<String>,
    /// Achievement in percent above which it is cut
    #[arg(long, value_name = "PERCENT")]
    pub cap: Option<String>,
    /// The unit that answers for it
    #[arg(long)]
    pub unit: Option<String>,
    /// A quarter's target, such as 3=120, 3=- (not planned) or 3= (missing)
    #[arg(long, value_name = "N=V")]
    pub target: Vec<String>,
}

/// Runs an `indicator` command.
///
/// # Errors
/// Exit 2 for an unknown or ambiguous indicator, 4 when the plan is established.
pub async fn run(ctx: &Context, command: IndicatorCommandLine) -> Result<Done, ClientError> {
    match command {
        IndicatorCommandLine::Show { indicator, quarter, as_of } => {
            show::run(ctx, &indicator, quarter, as_of.as_deref())
        }
        IndicatorCommandLine::Set(args) => set(ctx, &args).await,
    }
}

async fn set(ctx: &Context, args: &SetArgs) -> Result<Done, ClientError> {
    let targets = find::quarter_targets(&args.target)?;
    let mut device = fresh(ctx).await?;
    let state = &device.view().confirmed;
    let year = ctx.year(state, device.now())?;
    let id = find::indicator(state, year, &args.indicator)?;
    let command = SetIndicator { indicator: Some(id), targets, ..settings(state, args)? };
    let receipts = ask(&mut device, vec![(Command::Indicator(command), Texts::default())]).await?;
    let position = receipts.last().map_or(0, |receipt| receipt.position);
    let Some(indicator) = device.view().confirmed.indicator(id) else { return Ok(Done::Well) };
    match ctx.json {
        true => {
            let mut answer = show::settings_json(&device.view().confirmed, indicator);
            answer["position"] = json!(position);
            ctx.print_json(&answer);
        }
        false => ctx.print(&text::with(
            "indicator.set",
            &[
                ("code", &indicator.code),
                ("measure", &indicator.facet().measure),
                ("kind", &text::term("kind", indicator.settings_in(Quarter::Q1).kind.name())),
            ],
        )),
    }
    Ok(Done::Well)
}

fn settings(state: &State, args: &SetArgs) -> Result<SetIndicator, ClientError> {
    Ok(SetIndicator {
        kind: args.kind.as_deref().and_then(Kind::from_name),
        polarity: args.polarity.as_deref().and_then(Polarity::from_name),
        formula: args.formula.as_deref().and_then(LowerFormula::from_name),
        cap: args.cap.as_deref().map(find::quantity).transpose()?.map(Some),
        unit: args.unit.as_deref().map(|name| find::unit(state, name)).transpose()?,
        ..SetIndicator::default()
    })
}
