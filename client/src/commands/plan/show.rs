//! `plan show`: target, realisation, achievement and rating of every row, now or at an earlier point of the log.

use clap::Args;
use renaksi_domain::State;
use renaksi_domain::time::Quarter;
use serde_json::{Value, json};

use crate::as_of::Known;
use crate::context::{Context, Done};
use crate::error::ClientError;
use crate::render::{self, Align, Column, Paint};
use crate::view::{self, Row, Subject};
use crate::{find, text};

/// What to show.
#[derive(Clone, Debug, Args)]
pub struct ShowArgs {
    /// The quarter, 1 to 4; without it the one that runs
    #[arg(long, value_name = "N")]
    pub quarter: Option<u32>,
    /// As it was at a position, at the end of a day or at a time
    #[arg(long, value_name = "POSITION|TIME")]
    pub as_of: Option<String>,
    /// Only the indicators of one unit
    #[arg(long)]
    pub unit: Option<String>,
}

pub(super) fn run(ctx: &Context, args: &ShowArgs) -> Result<Done, ClientError> {
    let device = ctx.device()?;
    let known = Known::figures_at(&device, args.as_of.as_deref())?;
    let state = &*known.state;
    let year = known.year(ctx)?;
    let quarter = known.quarter(year, args.quarter)?;
    let unit = args.unit.as_deref().map(|name| find::unit(state, name)).transpose()?;
    let rows = view::rows(state, year, quarter, unit);
    match ctx.json {
        true => ctx.print_json(&plan_json(&known, year, quarter, &rows)),
        false => tell(ctx, state, year, quarter, &rows),
    }
    let pending = device.view().pending.len() as u64;
    if pending > 0 && !known.is_asked() {
        ctx.notice(&text::count("plan.pending", pending, &[]));
    }
    Ok(Done::Well)
}

fn plan_json(known: &Known<'_>, year: i16, quarter: Quarter, rows: &[Row<'_>]) -> Value {
    let state = &known.state;
    let plan = state.plan(year);
    json!({
        "office": plan.map(|plan| &plan.title),
        "year": year,
        "state": plan.map(|plan| plan.state.name()),
        "quarter": quarter.number(),
        "position": state.position,
        "as_of": known.json(),
        "rows": rows.iter().map(|row| row.json(quarter)).collect::<Vec<_>>(),
    })
}

fn tell(ctx: &Context, state: &State, year: i16, quarter: Quarter, rows: &[Row<'_>]) {
    let Some(plan) = state.plan(year) else { return };
    let title = text::with(
        "plan.title",
        &[
            ("office", &plan.title),
            ("year", &year),
            ("state", &text::term("state", plan.state.name())),
            ("quarter", &quarter.number()),
            ("position", &state.position),
        ],
    );
    ctx.print(&render::paint(ctx.color, Paint::Bold, &render::fitted(&title)));
    let column = |head: &str, align| Column::new(text::say(&format!("column.{head}")), align);
    let columns = [
        column("code", Align::Left),
        column("indicator", Align::Left).comfortable(20),
        column("unit", Align::Left).drop(3),
        column("target", Align::Right),
        column("realised", Align::Right).drop(1),
        column("verified", Align::Right),
        column("achievement", Align::Right),
        Column::new(text::say("label.roll_up"), Align::Right).drop(0),
        column("to_date", Align::Right).drop(2),
        column("rating", Align::Left).drop(4),
    ];
    ctx.print(&render::table(ctx.color, &columns, rows.iter().map(|row| line(row, quarter))));
    let differs = |row: &&Row<'_>| row.differences.iter().any(|differing| differing.period.last() == quarter);
    let count = rows.iter().filter(differs).count() as u64;
    if count > 0 {
        ctx.notice(&text::count("quarter.differs", count, &[("quarter", &quarter.number())]));
    }
}

/// An objective's name with what its indicators come to together.
fn headed(row: &Row<'_>, quarter: Quarter) -> String {
    match row.roll_ups.as_ref().map(|roll_ups| &roll_ups.quarters[quarter.index()]) {
        Some(roll_up) if roll_up.reported.counted > 0 => {
            let mean = view::roll_up_label(roll_up);
            format!("{} · {}", row.name, text::with("plan.roll_up", &[("mean", &mean)]))
        }
        _ => row.name.to_owned(),
    }
}

fn line(row: &Row<'_>, quarter: Quarter) -> render::Row {
    let Subject::Indicator { indicator, figures, .. } = &row.subject else {
        return render::Row::Wide(row.code.clone(), headed(row, quarter));
    };
    let now = &figures.quarters[quarter.index()];
    render::Row::Cells(vec![
        row.code.clone(),
        indicator.facet_in(quarter).measure.to_string(),
        indicator.satuan.as_deref().unwrap_or_default().to_owned(),
        view::target_label(&now.target),
        view::realised_label(&now.realised),
        view::realised_label(&now.realised_verified),
        view::achievement_label(now),
        row.roll_ups
            .as_ref()
            .map_or_else(String::new, |roll_ups| view::roll_up_label(&roll_ups.quarters[quarter.index()])),
        view::achievement(&figures.to_date)
            .map_or_else(|| "–".to_owned(), |percent| render::number(&percent)),
        now.rating.as_deref().unwrap_or_default().to_owned(),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::audit::fixture::Office;

    #[test]
    fn rows_with_children_show_the_mean_below_and_of_how_many() {
        let mut office = Office::established();
        let verified = office.entry("2024-07-09", "60");
        office.verify(verified);
        let rows = view::rows(&office.state, 2024, Quarter::Q3, None);
        let below = |code: &str| {
            let row = rows.iter().find(|row| row.code == code).unwrap();
            match line(row, Quarter::Q3) {
                render::Row::Cells(cells) => cells[7].clone(),
                render::Row::Wide(_, name) => name,
            }
        };
        assert_eq!(below("1.1.1"), "50,00 (1/1)");
        assert_eq!(below("1.1"), "– (0/1)");
        assert_eq!(below("1.1.1.1"), "", "nothing stands below it");
        assert_eq!(below("1"), "Perdagangan meningkat", "nothing of it can be computed");
    }
}
