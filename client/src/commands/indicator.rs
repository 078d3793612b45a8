//! `indicator`: one indicator's whole story, and its settings.

mod confirm;
mod set;
mod show;
pub(crate) mod year_target;

use clap::Subcommand;

use crate::context::{Context, Done};
use crate::error::ClientError;

pub use confirm::ConfirmArgs;
pub use set::SetArgs;

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
    Set(Box<SetArgs>),
    /// Makes the kinds that the import proposed the administrator's own, as they are
    Confirm(ConfirmArgs),
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
        IndicatorCommandLine::Set(args) => set::run(ctx, &args).await,
        IndicatorCommandLine::Confirm(args) => confirm::run(ctx, &args).await,
    }
}
