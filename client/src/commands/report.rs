//! The quarterly report: one row per indicator in the plan's own order. Of a locked quarter it is rendered as of its lock,
//! so that its csv and json are the same bytes for ever.

mod csv;
mod file;
mod rows;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use renaksi_domain::State;
use renaksi_domain::quarter::{Lock, PlanQuarter};
use renaksi_domain::time::Quarter;
use renaksi_proto::agreed::hex;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::audit::words::office_time;
use crate::as_of::Known;
use crate::context::{Context, Done};
use crate::device::{Device, ReplayTo};
use crate::error::{ClientError, Rejected};
use crate::find;
use crate::render::{self, Align, Column};
use crate::text::{self, Language};
use file::write_whole;

/// `renaksi report`
#[derive(Clone, Debug, Args)]
pub struct ReportArgs {
    /// 1 to 4
    #[arg(long)]
    pub quarter: u32,
    /// table (default), csv, json
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// As the log said at a position, at the end of a date, or at a time
    #[arg(long)]
    pub as_of: Option<String>,
    /// Writes to a file instead
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// What a report is rendered as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    Csv,
    Json,
    Xlsx,
    Docx,
    Pdf,
    Html,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Format::Table => "table",
            Format::Csv => "csv",
            Format::Json => "json",
            Format::Xlsx => "xlsx",
            Format::Docx => "docx",
            Format::Pdf => "pdf",
            Format::Html => "html",
        }
    }
}

/// Runs `report`.
///
/// # Errors
/// Exit 2 for a format that comes with a later release; exit 1 when the file cannot be written.
pub async fn run(ctx: &Context, args: ReportArgs) -> Result<Done, ClientError> {
    let format = match args.format {
        Some(format) if ctx.json && args.output.is_none() && format != Format::Json => {
            let cause = text::with("usage.json_format", &[("format", &format.name())]);
            return Err(ClientError::NotUnderstood(Rejected::new("USAGE").with("cause", cause)));
        }
        Some(format) => format,
        None if ctx.json => Format::Json,
        None => Format::Table,
    };
    if matches!(format, Format::Xlsx | Format::Docx | Format::Pdf | Format::Html) {
        return Err(ClientError::NotUnderstood(
            Rejected::new("FORMAT_NOT_YET").with("format", format.name()),
        ));
    }
    let quarter = find::quarter(args.quarter)?;
    let device = ctx.device()?;
    let known = Known::figures_at(&device, args.as_of.as_deref())?;
    let about = PlanQuarter { year: known.year(ctx)?, quarter };
    let state = state_to_report(ctx, &device, known, about)?;
    let rendered = match format {
        Format::Csv => csv::render(&rows::rows(&state, about), about, rehearsal(&state)),
        Format::Json => format!("{}\n", rows::json(&state, about)),
        _ => format!("{}\n", table(ctx.color && args.output.is_none(), &state, about)),
    };
    match &args.output {
        None if format == Format::Table => ctx.print(rendered.trim_end()),
        // It ends the last line; what is printed is exactly what a file would hold.
        None => ctx.print_raw(rendered.strip_suffix('\n').unwrap_or(&rendered)),
        Some(path) => {
            write_whole(path, rendered.as_bytes())?;
            said_written(ctx, path, format, &rendered, state.position);
        }
    }
    Ok(Done::Well)
}

/// The state the report speaks of: as asked, and of a quarter that was locked by then that of its lock.
fn state_to_report<'a>(
    ctx: &Context,
    device: &Device,
    known: Known<'a>,
    about: PlanQuarter,
) -> Result<Cow<'a, State>, ClientError> {
    let state = known.state;
    let Some(Lock { at, time }) = state.quarter_state(about).lock() else { return Ok(state) };
    let when = office_time(state.zone(), time);
    ctx.notice(&text::with(
        "report.as_of_lock",
        &[("quarter", &about.quarter.number()), ("when", &when), ("position", &at)],
    ));
    match at == state.position {
        true => Ok(state),
        false => Ok(Cow::Owned(device.replay(ReplayTo::Position(at), &mut |_, _, _| {})?.state)),
    }
}

/// The name of a training office.
fn rehearsal(state: &State) -> Option<&str> {
    state.office.as_ref().filter(|office| office.rehearsal).map(|office| &*office.name)
}

fn said_written(ctx: &Context, path: &Path, format: Format, rendered: &str, position: u64) {
    let hash: [u8; 32] = Sha256::digest(rendered.as_bytes()).into();
    match ctx.json {
        true => ctx.print_json(&json!({
            "written": path.display().to_string(),
            "format": format.name(),
            "bytes": rendered.len(),
            "sha256": hex(&hash),
            "position": position,
        })),
        false => ctx
            .notice(&text::with("report.written", &[("path", &path.display()), ("bytes", &rendered.len())])),
    }
}

/// What fits a terminal.
fn table(color: bool, state: &State, about: PlanQuarter) -> String {
    let quarter: Quarter = about.quarter;
    let title = text::with(
        "report.title",
        &[
            ("office", &state.office.as_ref().map_or("", |office| &office.name)),
            ("quarter", &quarter.number()),
            ("year", &about.year),
        ],
    );
    let column = |key: &str, align| Column::new(text::say(key), align);
    let rows = rows::rows(state, about);
    let told = narrative_columns(&rows);
    let narrative = ["narrative.driver", "narrative.obstacle", "narrative.follow_up"]
        .map(|key| column(key, Align::Left).comfortable(16).drop(0));
    let mut columns = vec![
        column("column.code", Align::Left),
        column("column.indicator", Align::Left).comfortable(22),
        column("column.unit", Align::Left).drop(3),
        column("column.target", Align::Right),
        column("column.realised", Align::Right),
        column("column.achievement", Align::Right),
        column("column.to_date", Align::Right).drop(2),
        column("column.rating", Align::Left).drop(1),
        column("report.note", Align::Left).comfortable(16),
    ];
    columns.extend(narrative.into_iter().zip(told).filter_map(|(column, told)| told.then_some(column)));
    let figure = |figure: &Option<String>| figure.as_deref().map_or_else(|| "–".to_owned(), render::number);
    let lines = rows.iter().map(|row| {
        let mut cells = vec![
            row.code.clone(),
            row.indicator.clone(),
            row.unit.clone().unwrap_or_default(),
            render::cell(&row.targets[quarter.index()]),
            figure(&row.realised_verified[quarter.index()]),
            figure(&row.quarter.achievement),
            figure(&row.to_date.achievement),
            row.quarter.rating.clone().unwrap_or_default(),
            row.note(text::language(), about),
        ];
        let narrative = row.narrative.iter().zip(told).filter(|(_, told)| *told);
        cells.extend(narrative.map(|(text, _)| text.clone().unwrap_or_default()));
        cells
    });
    let rehearsal = rehearsal(state).map_or_else(String::new, |office| {
        format!("{}\n", render::fitted(&text::with("common.rehearsal", &[("office", &office)])))
    });
    let title = render::fitted(&title);
    format!("{rehearsal}{title}\n\n{}", render::table(color, &columns, lines))
}

/// Which of the narrative's three columns the table has: what nobody has written of takes no room. They are the first to
/// go where room is short.
fn narrative_columns(rows: &[rows::ReportRow]) -> [bool; 3] {
    [0, 1, 2].map(|part| rows.iter().any(|row| row.narrative[part].is_some()))
}

/// The language of what leaves the office, whatever the reader's own is.
const OFFICIAL: Language = Language::Indonesian;

/// A text in a named language, its placeholders filled.
fn say_in(language: Language, key: &str, values: &[(&str, String)]) -> String {
    let text = crate::_rust_i18n_translate(language.code(), key).into_owned();
    values.iter().fold(text, |text, (name, value)| text.replace(&format!("%{{{name}}}"), value))
}
