//! `entry list`: every entry with its state, pending, held and refused ones with their cause.

use clap::Args;
use serde_json::json;

use super::items;
use crate::context::{Context, Done};
use crate::error::ClientError;
use crate::{find, text};

/// Which entries.
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    /// Of one indicator
    #[arg(long, value_name = "CODE|TEXT")]
    pub indicator: Option<String>,
    /// Of one quarter
    #[arg(long, value_name = "N")]
    pub quarter: Option<u32>,
    /// In one state
    #[arg(long, value_parser = [
        "pending", "recorded", "verified", "returned", "voided", "held", "dismissed", "withdrawn", "refused",
    ])]
    pub state: Option<String>,
    /// Only your own
    #[arg(long)]
    pub mine: bool,
}

pub(super) fn run(ctx: &Context, args: &ListArgs) -> Result<Done, ClientError> {
    let quarter = args.quarter.map(find::quarter).transpose()?;
    let device = ctx.device()?;
    let state = &device.view().state;
    let wanted = args.indicator.as_deref();
    let indicator = match wanted {
        Some(text) => Some(find::indicator(state, ctx.year(state, device.now())?, text)?),
        None => None,
    };
    let mut items = items::all(&device)?;
    items.retain(|item| {
        indicator.is_none_or(|indicator| item.indicator == Some(indicator))
            && quarter.is_none_or(|quarter| item.quarter == Some(quarter))
            && ctx.year.is_none_or(|year| item.on.is_none_or(|on| on.year() == year))
            && args.state.as_deref().is_none_or(|state| item.state == state)
            && (!args.mine || item.author == device.identity().person)
    });
    items::add_texts(&device, &mut items)?;
    match ctx.json {
        true => ctx.print_json(&json!({
            "entries": items.iter().map(|item| item.json(&device)).collect::<Vec<_>>(),
        })),
        false if items.is_empty() => ctx.print(&text::say("entry.none")),
        false => ctx.print(&items::table(ctx, &device, &items)),
    }
    Ok(Done::Well)
}
