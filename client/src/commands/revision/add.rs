//! `revision add`: changes of one indicator, or a new indicator.

use clap::Args;
use clap::builder::PossibleValue;
use renaksi_domain::command::Command;
use renaksi_domain::revision::{Change, RevisionCommand};
use renaksi_proto::log::Texts;
use serde_json::json;

use super::{addition, ask, change, fresh, say_state};
use crate::commands::audit::change_fields;
use crate::context::{Context, Done};
use crate::error::ClientError;
use crate::find;
use crate::text;

/// The changes to add, all of one indicator; or the new indicator.
#[derive(Clone, Debug, Default, Args)]
pub struct AddArgs {
    /// The revision's number
    pub revision: String,
    /// An indicator's code or words of its name
    #[arg(required_unless_present = "new", conflicts_with = "new")]
    pub indicator: Option<String>,
    #[command(flatten)]
    pub changes: ChangeArgs,
    #[command(flatten)]
    pub addition: NewArgs,
}

/// What changes: at least one.
#[derive(Clone, Debug, Default, Args)]
#[group(required = true, multiple = true)]
pub struct ChangeArgs {
    /// A quarter's new target, such as 3=200, 3=- (not planned) or 3=WTP
    #[arg(long, value_name = "N=V")]
    pub target: Vec<String>,
    /// How entries add up: sum, cumulative, latest, average, ratio
    #[arg(long, required_if_eq("new", "true"))]
    pub kind: Option<String>,
    /// Which direction is good: higher, lower
    #[arg(long)]
    pub polarity: Option<String>,
    /// How achievement is computed where lower is better: mirrored, inverse
    #[arg(long)]
    pub formula: Option<String>,
    /// Achievement in percent above which it is cut, or none
    #[arg(long, value_name = "PERCENT|none")]
    pub cap: Option<String>,
    /// The stated target of the year, or none
    #[arg(long, value_name = "V|none")]
    pub year_target: Option<String>,
    /// The indicator's new name
    #[arg(long, value_name = "TEXT", conflicts_with = "new")]
    pub rename: Option<String>,
    /// The unit that answers for it from now on
    #[arg(long, value_name = "UNIT", conflicts_with = "new")]
    pub reassign: Option<String>,
    /// Takes the indicator out of the plan from the effective quarter on
    #[arg(long, conflicts_with = "new")]
    pub retire: bool,
    /// Adds a new indicator; quarters without --target are not planned
    #[arg(long)]
    pub new: bool,
}

/// What a new indicator is.
#[derive(Clone, Debug, Default, Args)]
pub struct NewArgs {
    /// What the new one stands below: an objective's number, or an indicator's code or words of its name
    #[arg(long, value_name = "CODE|OBJECTIVE", conflicts_with = "indicator", required_if_eq("new", "true"))]
    pub under: Option<String>,
    /// Its level; without it the one that follows from --under
    #[arg(long, conflicts_with = "indicator", value_parser = levels())]
    pub level: Option<String>,
    /// The name of the program, activity or sub-activity
    #[arg(long, value_name = "TEXT", conflicts_with = "indicator")]
    pub name: Option<String>,
    /// What it measures
    #[arg(long, value_name = "TEXT", conflicts_with = "indicator", required_if_eq("new", "true"))]
    pub measure: Option<String>,
    /// Its unit of measure
    #[arg(long, conflicts_with = "indicator", required_if_eq("new", "true"))]
    pub satuan: Option<String>,
    /// The post that answers for it; without it the parent's unit
    #[arg(long, value_name = "POST", conflicts_with = "indicator")]
    pub responsible: Option<String>,
}

fn levels() -> [PossibleValue; 4] {
    [
        PossibleValue::new("strategic"),
        PossibleValue::new("program"),
        PossibleValue::new("activity"),
        PossibleValue::new("sub-activity").alias("sub_activity"),
    ]
}

pub(super) async fn run(ctx: &Context, args: &AddArgs) -> Result<Done, ClientError> {
    let mut device = fresh(ctx).await?;
    let state = &device.view().confirmed;
    let id = find::revision(state, &args.revision)?;
    let changes = change::read(state, id, args)?;
    let commands = changes
        .iter()
        .map(|change| (Command::Revision(RevisionCommand::AddChange(id, change.clone())), Texts::default()))
        .collect();
    ask(&mut device, commands).await?;
    let state = &device.view().confirmed;
    match ctx.json {
        true => {
            let Some(revision) = state.revision(id) else { return Ok(Done::Well) };
            let changes: Vec<_> = changes.iter().map(|change| change_fields(state, change)).collect();
            ctx.print_json(&json!({
                "revision": id.0,
                "number": revision.draft.number,
                "state": revision.state.name(),
                "added": changes,
                "changes": revision.changes.len(),
            }));
        }
        false => {
            for change in &changes {
                ctx.print(&change::in_words(state, change));
                if let Change::Add(add) = change
                    && let Some(post) = addition::new_unit(state, add)
                {
                    ctx.notice(&text::with("revision.new_unit", &[("unit", &post)]));
                }
            }
            say_state(ctx, &device, id);
        }
    }
    Ok(Done::Well)
}
