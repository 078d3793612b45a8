//! How answers look on a terminal: labels of cells, colours, lines. No sentences here; those are in [`crate::text`].
//! Tables are in [`table`].

mod table;

use std::borrow::Cow;

use renaksi_domain::State;
use renaksi_domain::command::is_unprintable;
use renaksi_domain::entry::Reading;
use renaksi_domain::ids::{CommandKey, entry_id};
use renaksi_domain::quantity::{Target, indonesian};

use crate::error::Rejected;
use crate::text;

pub use table::{Align, Column, Row, table, wrapped};

/// Width where there is no terminal to ask.
const WIDTH_WITHOUT_TERMINAL: usize = 120;

/// The terminal's width in characters, where stdout is one.
pub fn terminal_width() -> Option<usize> {
    comfy_table::Table::new().width().map(usize::from).filter(|width| *width > 0)
}

/// A text as people see it: what a terminal would obey instead of showing (control characters, overrides of the writing
/// direction) is replaced. Names and notes come from other people, also from a log of an earlier release.
pub fn printable(text: &str) -> Cow<'_, str> {
    match text.contains(is_unprintable) {
        true => Cow::Owned(text.replace(is_unprintable, "\u{FFFD}")),
        false => Cow::Borrowed(text),
    }
}

/// The same of a whole answer: its line ends stay, and this program's own colours where there are any.
pub fn printable_lines(color: bool, text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(is_unprintable) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let kept = if color { colour_code(rest) } else { None };
        let kept = kept.or_else(|| rest.starts_with('\n').then_some(1));
        match kept {
            Some(bytes) => {
                out.push_str(&rest[..bytes]);
                rest = &rest[bytes..];
            }
            None => {
                out.push('\u{FFFD}');
                rest = rest.get(rest.chars().next().map_or(1, char::len_utf8)..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    out
}

/// The length of a colour's escape sequence (`ESC [ 1;31 m`) at the beginning of a text.
fn colour_code(text: &str) -> Option<usize> {
    let inner = text.strip_prefix("\u{1b}[")?;
    let end = inner.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    inner[end..].starts_with('m').then_some(end + 3)
}

/// Sentences as wide as the terminal at most: a longer line goes on below, indented as it began.
pub fn fitted(text: &str) -> String {
    let Some(width) = terminal_width() else { return text.to_owned() };
    let fitted = |line: &str| {
        if line.contains('\u{1b}') || line.chars().count() <= width {
            return line.to_owned();
        }
        let indent = line.chars().take_while(|c| *c == ' ').count();
        wrapped(&" ".repeat(indent), line, indent, width)
    };
    text.split('\n').map(fitted).collect::<Vec<_>>().join("\n")
}

/// Aligned `label  value` lines; a long value goes on below.
pub fn pairs(pairs: &[(String, String)]) -> String {
    let labels = pairs.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
    let width = terminal_width().unwrap_or(usize::MAX);
    let line = |(label, value): &(String, String)| {
        wrapped(&format!("{label:<labels$}  "), &printable(value), labels + 2, width)
    };
    pairs.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A decimal string for people: with a comma.
pub fn number(plain: &str) -> String {
    indonesian(plain)
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

/// A sentence with every id in it cut to the beginning that people type.
pub fn short_ids(text: &str) -> String {
    let word = |word: &str| match uuid::Uuid::try_parse(word) {
        Ok(id) if word.len() == 36 => id.simple().to_string()[..8].to_owned(),
        _ => word.to_owned(),
    };
    let parts = text.split_inclusive(|c: char| !c.is_ascii_hexdigit() && c != '-');
    parts
        .map(|part| {
            let end = part.rfind(|c: char| !c.is_ascii_hexdigit() && c != '-').unwrap_or(part.len());
            format!("{}{}", word(&part[..end]), &part[end..])
        })
        .collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_as_such() {
        let hostile = "a\u{1b}[2Jb\rc\nd\u{202e}e\u{2066}f\0g\u{9b}h";
        assert_eq!(printable(hostile), "a\u{FFFD}[2Jb\u{FFFD}c\u{FFFD}d\u{FFFD}e\u{FFFD}f\u{FFFD}g\u{FFFD}h");
        assert!(matches!(printable("Jumlah UTTP – “é”"), Cow::Borrowed(_)));
        let shown = printable_lines(false, "one\ntwo\u{1b}[31mred\u{202e}");
        assert_eq!(shown, "one\ntwo\u{FFFD}[31mred\u{FFFD}");
        let painted = paint(true, Paint::Red, "x");
        assert_eq!(printable_lines(true, &painted), painted);
        assert_eq!(printable_lines(true, "\u{1b}]0;title\u{7}"), "\u{FFFD}]0;title\u{FFFD}");
    }

    #[test]
    fn ids_in_a_sentence_are_cut_to_what_people_type() {
        let said = "entry 0b0f8c1e-6d9a-5f3c-9a3e-0123456789ab amended, 1.1.2.2 (0b0f8c1e-6d9a-5f3c-9a3e-0123456789ab)";
        assert_eq!(short_ids(said), "entry 0b0f8c1e amended, 1.1.2.2 (0b0f8c1e)");
        assert_eq!(short_ids("2024-07-09 – 12"), "2024-07-09 – 12");
    }
}
