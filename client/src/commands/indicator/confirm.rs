//! `indicator confirm`: the kinds that the import proposed become the administrator's own, many at once.

use clap::Args;
use renaksi_domain::State;
use renaksi_domain::command::Command;
use renaksi_domain::ids::IndicatorId;
use renaksi_domain::indicator::SetIndicator;
use renaksi_domain::time::Quarter;
use renaksi_proto::log::Texts;
use serde_json::json;

use super::super::revision::{ask, fresh};
use crate::context::{Context, Done};
use crate::error::{ClientError, Rejected};
use crate::{find, text};

/// Which to confirm.
#[derive(Clone, Debug, Args)]
#[group(id = "which", required = true, multiple = false, args = ["indicator", "all"])]
pub struct ConfirmArgs {
    /// Indicators' codes or words of their names
    #[arg(value_name = "CODE|TEXT")]
    pub indicator: Vec<String>,
    /// Every kind that is still only proposed
    #[arg(long)]
    pub all: bool,
}

pub(super) async fn run(ctx: &Context, args: &ConfirmArgs) -> Result<Done, ClientError> {
    let mut device = fresh(ctx).await?;
    let state = &device.view().confirmed;
    let year = ctx.year(state, device.now())?;
    let wanted = match args.all {
        true => unconfirmed(state, year),
        false => args
            .indicator
            .iter()
            .map(|wanted| find::indicator(state, year, wanted))
            .collect::<Result<_, _>>()?,
    };
    if wanted.is_empty() {
        return Err(ClientError::NotAdmitted(Rejected::new("NOTHING_TO_CONFIRM").with("year", year)));
    }
    let confirming = |id: &IndicatorId| {
        let kind = state.indicator(*id)?.settings_in(Quarter::Q4).kind;
        let set = SetIndicator { indicator: Some(*id), kind: Some(kind), ..SetIndicator::default() };
        Some((Command::Indicator(set), Texts::default()))
    };
    let commands: Vec<_> = wanted.iter().filter_map(confirming).collect();
    ask(&mut device, commands).await?;
    let state = &device.view().confirmed;
    let confirmed: Vec<_> = wanted.iter().filter_map(|id| state.indicator(*id)).collect();
    let left = unconfirmed(state, year).len();
    match ctx.json {
        true => {
            let one = |indicator: &&renaksi_domain::indicator::Indicator| json!({ "code": indicator.code, "kind": indicator.settings_in(Quarter::Q4).kind.name() });
            ctx.print_json(&json!({
                "year": year,
                "confirmed": confirmed.iter().map(one).collect::<Vec<_>>(),
                "unconfirmed": left,
            }));
        }
        false => {
            ctx.print(&text::with("indicator.confirmed_now", &[("count", &confirmed.len()), ("left", &left)]))
        }
    }
    Ok(Done::Well)
}

/// Indicators of a year whose kind is still only the import's proposal, in the plan's order.
fn unconfirmed(state: &State, year: i16) -> Vec<IndicatorId> {
    let ids = state.plan(year).map_or(&[][..], |plan| &plan.indicators);
    let proposed = |id: &&IndicatorId| state.indicator(**id).is_some_and(|indicator| !indicator.confirmed);
    ids.iter().filter(proposed).copied().collect()
}
