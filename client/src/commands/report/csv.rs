//! The report as CSV: RFC 4180 with its CRLF line ends, UTF-8 without a byte order mark, Indonesian headings and decimal
//! comma (no dots between thousands). The same rows give the same bytes from any release.
//!
//! Spreadsheets run a cell that begins with `=`, `+`, `-` or `@`. Names are typed by people, so such a cell gets a leading
//! apostrophe unless it is a number, or the lone `-` by which plans say "not planned".

use renaksi_domain::quarter::PlanQuarter;
use renaksi_domain::time::Quarter;

use super::rows::{Achieved, ReportRow};
use super::{OFFICIAL, say_in};
use crate::render::printable;

/// The whole file. That of a training office begins with a row that says so.
pub(super) fn render(rows: &[ReportRow], about: PlanQuarter, rehearsal: Option<&str>) -> String {
    let mut out = String::new();
    let heads = heads(about);
    if let Some(office) = rehearsal {
        let mut title = vec![say_in(OFFICIAL, "report.rehearsal", &[]), office.to_owned()];
        // Every row of a CSV has as many cells as any other.
        title.resize(heads.len(), String::new());
        line(&mut out, title);
    }
    line(&mut out, heads);
    for row in rows {
        line(&mut out, cells(row, about));
    }
    out
}

fn heads(about: PlanQuarter) -> Vec<String> {
    let say = |key: &str| say_in(OFFICIAL, key, &[("quarter", about.quarter.number().to_string())]);
    let four = |key: &str| Quarter::ALL.map(|quarter| format!("{} {quarter}", say(key)));
    let mut heads = ["no", "objective", "program", "activity", "indicator", "unit"]
        .map(|name| say(&format!("report.head.{name}")))
        .to_vec();
    heads.extend(four("report.head.target_original"));
    heads.extend(four("report.head.target"));
    heads.extend(four("report.head.realised"));
    let rest = [
        "achievement_quarter",
        "achievement_to_date",
        "achievement_year",
        "rating",
        "drivers",
        "obstacles",
        "follow_up",
        "responsible",
        "note",
        "code",
    ];
    heads.extend(rest.map(|name| say(&format!("report.head.{name}"))));
    heads
}

fn cells(row: &ReportRow, about: PlanQuarter) -> Vec<String> {
    let percent = |achieved: &Achieved| achieved.achievement.as_deref().map_or_else(String::new, comma);
    let mut cells = vec![
        row.number.to_string(),
        row.objective.clone(),
        row.program.clone(),
        row.activity.clone(),
        row.indicator.clone(),
        row.unit.clone().unwrap_or_default(),
    ];
    cells.extend(row.targets_original.iter().map(|target| target_cell(target)));
    cells.extend(row.targets.iter().map(|target| target_cell(target)));
    cells
        .extend(row.realised_verified.iter().map(|figure| figure.as_deref().map_or_else(String::new, comma)));
    cells.extend([percent(&row.quarter), percent(&row.to_date), percent(&row.year)]);
    cells.push(row.quarter.rating.clone().unwrap_or_default());
    cells.extend(row.narrative.iter().map(|text| text.clone().unwrap_or_default()));
    cells.push(row.responsible.clone().unwrap_or_default());
    cells.push(row.note(OFFICIAL, about));
    cells.push(row.code.clone());
    cells
}

/// As the plan writes it: a dash for not planned, blank for missing.
fn target_cell(label: &str) -> String {
    match label {
        "not planned" => "-".to_owned(),
        "missing" => String::new(),
        other => comma(other),
    }
}

/// `1234.5` is `1234,5`; what is no number stays as it is.
fn comma(plain: &str) -> String {
    if is_number(plain, '.') { plain.replace('.', ",") } else { plain.to_owned() }
}

fn line(out: &mut String, cells: Vec<String>) {
    let quoted: Vec<String> = cells.iter().map(|cell| quoted(&harmless(&printable(cell)))).collect();
    out.push_str(&quoted.join(","));
    out.push_str("\r\n");
}

/// What no spreadsheet takes for a formula.
pub(super) fn harmless(cell: &str) -> String {
    let dangerous =
        cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell != "-" && !is_number(cell, ',');
    if dangerous { format!("'{cell}") } else { cell.to_owned() }
}

fn is_number(text: &str, mark: char) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) =
        unsigned.split_once(mark).map_or((unsigned, None), |(whole, rest)| (whole, Some(rest)));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole) && fraction.is_none_or(digits)
}

/// RFC 4180: quoted where it has a comma, a quote or a line end; quotes doubled.
pub(super) fn quoted(cell: &str) -> String {
    match cell.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    }
}
