//! `indicator set`: how an indicator is measured, who answers for it, what it should reach.

use clap::Args;
use renaksi_domain::State;
use renaksi_domain::command::Command;
use renaksi_domain::indicator::{Indicator, LowerFormula, Polarity, SetIndicator};
use renaksi_domain::proposal::Kind;
use renaksi_domain::quantity::Quantity;
use renaksi_domain::time::Quarter;
use renaksi_proto::log::Texts;
use serde_json::json;

use super::super::revision::{ask, fresh, number_or_none};
use super::{show, year_target};
use crate::context::{Context, Done};
use crate::error::ClientError;
use crate::{find, render, text};

/// What to set.
#[derive(Clone, Debug, Args)]
#[group(id = "settings", required = true, multiple = true, args = ["kind", "polarity", "formula", "cap", "unit", "target", "year_target"])]
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
    /// Achievement in percent above which it is cut, or none
    #[arg(long, value_name = "PERCENT|none")]
    pub cap: Option<String>,
    /// The unit that answers for it
    #[arg(long)]
    pub unit: Option<String>,
    /// A quarter's target, such as 3=120, 3=- (not planned) or 3= (missing)
    #[arg(long, value_name = "N=V")]
    pub target: Vec<String>,
    /// The stated target of the year, or none
    #[arg(long, value_name = "V|none")]
    pub year_target: Option<String>,
}

pub(super) async fn run(ctx: &Context, args: &SetArgs) -> Result<Done, ClientError> {
    let asked = asked(args)?;
    let mut device = fresh(ctx).await?;
    let state = &device.view().confirmed;
    let year = ctx.year(state, device.now())?;
    let id = find::indicator(state, year, &args.indicator)?;
    let unit = args.unit.as_deref().map(|name| find::unit(state, name)).transpose()?;
    let command = SetIndicator { indicator: Some(id), unit, ..asked };
    let receipts = ask(&mut device, vec![(Command::Indicator(command.clone()), Texts::default())]).await?;
    let position = receipts.last().map_or(0, |receipt| receipt.position);
    let state = &device.view().confirmed;
    let Some(indicator) = state.indicator(id) else { return Ok(Done::Well) };
    let warning = year_target::warning(state, id);
    match ctx.json {
        true => {
            let mut answer = show::settings_json(state, indicator);
            answer["warnings"] = year_target::warnings_json(&warning);
            answer["position"] = json!(position);
            ctx.print_json(&answer);
        }
        false => {
            tell(ctx, state, indicator, &command);
            year_target::notice(ctx, &warning);
        }
    }
    Ok(Done::Well)
}

/// Everything that is understood without the office.
fn asked(args: &SetArgs) -> Result<SetIndicator, ClientError> {
    Ok(SetIndicator {
        kind: args.kind.as_deref().and_then(Kind::from_name),
        polarity: args.polarity.as_deref().and_then(Polarity::from_name),
        formula: args.formula.as_deref().and_then(LowerFormula::from_name),
        cap: number_or_none("cap", args.cap.as_deref())?,
        year_target: number_or_none("year-target", args.year_target.as_deref())?,
        targets: find::quarter_targets(&args.target)?,
        ..SetIndicator::default()
    })
}

/// The indicator, then a line for each thing that was set, as it is now.
fn tell(ctx: &Context, state: &State, indicator: &Indicator, set: &SetIndicator) {
    let settings = indicator.settings_in(Quarter::Q4);
    ctx.print(&text::with(
        "indicator.set",
        &[
            ("code", &indicator.code),
            ("measure", &indicator.facet().measure),
            ("kind", &text::term("kind", settings.kind.name())),
        ],
    ));
    let unit = set.unit.and_then(|id| state.people.unit(id)).map(|unit| unit.name.to_string());
    let named = [
        ("label.polarity", set.polarity.map(|to| text::term("polarity", to.name()))),
        ("label.formula", set.formula.map(|to| text::term("formula", to.name()))),
        ("label.cap", set.cap.map(|to| number(to, " %"))),
        ("label.year_target", set.year_target.map(|to| number(to, ""))),
        ("label.responsible", unit),
    ];
    let named = named.into_iter().filter_map(|(key, value)| Some((text::say(key), value?)));
    let targets = set.targets.iter().map(|(quarter, target)| (quarter.to_string(), render::target(target)));
    let pairs: Vec<(String, String)> =
        named.chain(targets).map(|(label, value)| (format!("  {label}"), value)).collect();
    if !pairs.is_empty() {
        ctx.print(&render::pairs(&pairs));
    }
}

/// A number that may be set or not.
pub(super) fn number(number: Option<Quantity>, unit: &str) -> String {
    number.map_or_else(|| "–".to_owned(), |number| number.indonesian() + unit)
}
