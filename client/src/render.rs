//! How answers look on a terminal: tables, labels of cells, colours. No sentences here; those are in [`crate::text`].

use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table};
use renaksi_domain::State;
use renaksi_domain::entry::Reading;
use renaksi_domain::ids::{CommandKey, entry_id};
use renaksi_domain::quantity::Target;

use crate::error::Rejected;
use crate::text;

/// Width where there is no terminal to ask.
const WIDTH_WITHOUT_TERMINAL: u16 = 120;

/// How a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// A table with a head; wrapped to the terminal's width.
pub fn table(color: bool, columns: &[(&str, Align)], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    let width = table.width().unwrap_or(WIDTH_WITHOUT_TERMINAL);
    table.set_width(width);
    if !color {
        table.force_no_tty();
    }
    table.set_header(columns.iter().map(|(name, _)| {
        let cell = Cell::new(name);
        if color { cell.add_attribute(Attribute::Bold) } else { cell }
    }));
    for (at, (_, align)) in columns.iter().enumerate() {
        if let Some(column) = table.column_mut(at) {
            column.set_padding((0, 2));
            column.set_cell_alignment(match align {
                Align::Left => CellAlignment::Left,
                Align::Right => CellAlignment::Right,
            });
        }
    }
    table.add_rows(rows);
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

/// Aligned `label  value` lines.
pub fn pairs(pairs: &[(String, String)]) -> String {
    let width = pairs.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
    let line = |(label, value): &(String, String)| {
        let blanks = " ".repeat(width - label.chars().count());
        format!("{label}{blanks}  {value}")
    };
    pairs.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A decimal string for people: with a comma.
pub fn number(plain: &str) -> String {
    text::number(plain)
}

/// A JSON cell (`"7.8"`, `"not planned"`, a text) for people.
pub fn cell(label: &str) -> String {
    match label {
        "not planned" | "missing" => text::term("cell", label),
        label => number(label),
    }
}

/// A target cell for people.
pub fn target(target: &Target) -> String {
    cell(&target.label())
}

/// What an entry says, for people.
pub fn reading(reading: &Reading) -> String {
    match reading {
        Reading::Quantity(quantity) => quantity.indonesian(),
        Reading::Ratio { numerator, denominator } => {
            format!("{} / {}", numerator.indonesian(), denominator.indonesian())
        }
        Reading::Text(text) => text.to_string(),
    }
}

/// The beginning of an entry's id that people type.
pub fn short_id(state: &State, key: CommandKey) -> String {
    match state.people.incarnation(key.origin) {
        Some(incarnation) => entry_id(incarnation.uuid, key.sequence).simple().to_string()[..8].to_owned(),
        None => format!("{}/{}", key.origin, key.sequence),
    }
}

/// Text in a colour, when colours are wanted.
pub fn paint(color: bool, paint: Paint, text: &str) -> String {
    match color {
        true => format!("\u{1b}[{}m{text}\u{1b}[0m", paint.sgr()),
        false => text.to_owned(),
    }
}

/// The few colours that mean something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// An error.
    Red,
    /// What needs a person.
    Yellow,
    /// Done well.
    Green,
    /// A heading.
    Bold,
    /// Beside the point.
    Faint,
}

impl Paint {
    fn sgr(self) -> &'static str {
        match self {
            Paint::Red => "1;31",
            Paint::Yellow => "33",
            Paint::Green => "32",
            Paint::Bold => "1",
            Paint::Faint => "2",
        }
    }
}

/// An error for people: what failed and why, then what to do next.
pub fn error(color: bool, cause: &Rejected) -> String {
    let (message, hint) = text::error(cause);
    let label = paint(color, Paint::Red, &text::say("common.error"));
    let next = paint(color, Paint::Bold, &text::say("common.hint"));
    format!("{label}: {message}\n{next}: {hint}")
}
