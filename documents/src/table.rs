//! The plan's table as every format gives it: rows of 13 cells, and how a target cell is written.
//!
//! Columns: 0 objective, 1-3 its indicator, unit, target; 4-7 program, indicator, unit, target; 8-11 activity or
//! sub-activity, indicator, unit, target; 12 responsible post.

use renaksi_domain::quantity::Quantity;

pub(crate) const COLUMNS: usize = 13;
pub(crate) const TARGET_COLUMNS: [usize; 3] = [3, 7, 11];

/// One cell, its text on one line with single blanks.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub line: u32,
    pub text: String,
}

impl Cell {
    pub(crate) fn is_blank(&self) -> bool {
        self.text.is_empty()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct TableRow {
    pub cells: [Cell; COLUMNS],
}

/// A target cell's text, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TargetCell<'a> {
    Blank,
    /// Quarter from 0, and what stands behind `=`.
    Quarter(usize, &'a str),
    /// The year that it names, and what stands behind the `=` of a whole year.
    Year(Option<i32>, &'a str),
    NoSuchQuarter,
    Unreadable,
}

impl TargetCell<'_> {
    /// Reads `TW 1 = 95`, `TW I = 7,8`, `TW2=`, `Triwulan 3 : 4`, `Tahun = 945`.
    pub(crate) fn read(text: &str) -> TargetCell<'_> {
        if text.is_empty() {
            return TargetCell::Blank;
        }
        if let Some((year, value)) = year_value(text) {
            return TargetCell::Year(year, value);
        }
        let Some(rest) = strip_word(text, "TRIWULAN").or_else(|| strip_word(text, "TW")) else {
            return TargetCell::Unreadable;
        };
        let rest = rest.trim_start();
        let number_len = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let (number, rest) = rest.split_at(number_len);
        let value = match rest.trim_start().strip_prefix(['=', ':']) {
            Some(value) => value.trim(),
            None if rest.trim().is_empty() => "",
            None => return TargetCell::Unreadable,
        };
        match number.to_ascii_uppercase().as_str() {
            "1" | "I" => TargetCell::Quarter(0, value),
            "2" | "II" => TargetCell::Quarter(1, value),
            "3" | "III" => TargetCell::Quarter(2, value),
            "4" | "IV" => TargetCell::Quarter(3, value),
            "" => TargetCell::Unreadable,
            other if other.chars().all(|c| c.is_ascii_digit() || "IVXLC".contains(c)) => {
                TargetCell::NoSuchQuarter
            }
            _ => TargetCell::Unreadable,
        }
    }

    /// A cell that can only be a target: finding one in another column means that the row is out of step.
    pub(crate) fn is_target(text: &str) -> bool {
        match TargetCell::read(text) {
            TargetCell::Quarter(..) | TargetCell::NoSuchQuarter => true,
            // A name may well begin with `Tahun 2024: `.
            TargetCell::Year(_, value) => value.is_empty() || Quantity::parse(value).is_ok(),
            TargetCell::Blank | TargetCell::Unreadable => false,
        }
    }
}

/// `Tahun = 945`, `Tahun 2024 = 945`, `Target Tahunan : 945`: what the year shall come to.
fn year_value(text: &str) -> Option<(Option<i32>, &str)> {
    let rest = strip_word(text, "TARGET").unwrap_or(text).trim_start();
    let rest = strip_word(rest, "TAHUNAN").or_else(|| strip_word(rest, "TAHUN"))?;
    let rest = rest.trim_start();
    let (year, rest) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
    let value = rest.trim_start().strip_prefix(['=', ':'])?.trim();
    Some((year.parse().ok(), value))
}

fn strip_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let start = text.get(..word.len())?;
    start.eq_ignore_ascii_case(word).then(|| &text[word.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_begins_with_a_year_is_no_target() {
        for (text, is_target) in [
            ("Tahun = 945", true),
            ("Tahun 2024 = 945", true),
            ("Tahun =", true),
            ("TW 9 = 1", true),
            ("Tahun 2024: laporan keuangan", false),
            ("Tahun anggaran", false),
        ] {
            assert_eq!(TargetCell::is_target(text), is_target, "{text}");
        }
    }

    #[test]
    fn quarters_as_people_write_them() {
        for (text, expect) in [
            ("TW 1 = 95", TargetCell::Quarter(0, "95")),
            ("TW I = 7,8", TargetCell::Quarter(0, "7,8")),
            ("TW II = 7,8", TargetCell::Quarter(1, "7,8")),
            ("tw iv=3", TargetCell::Quarter(3, "3")),
            ("TW 3 =44", TargetCell::Quarter(2, "44")),
            ("TW2=", TargetCell::Quarter(1, "")),
            ("TW 4 =-", TargetCell::Quarter(3, "-")),
            ("TW1= -2,24", TargetCell::Quarter(0, "-2,24")),
            ("Triwulan 3 : WTP", TargetCell::Quarter(2, "WTP")),
            ("TW 2", TargetCell::Quarter(1, "")),
            ("Tahun = 945", TargetCell::Year(None, "945")),
            ("TAHUN 2024 = 1.234,5", TargetCell::Year(Some(2024), "1.234,5")),
            ("Target Tahunan : 156", TargetCell::Year(None, "156")),
            ("Tahun", TargetCell::Unreadable),
            ("Tahun 2024", TargetCell::Unreadable),
            ("TW 5 = 1", TargetCell::NoSuchQuarter),
            ("TW 0 = 1", TargetCell::NoSuchQuarter),
            ("TW IIII = 1", TargetCell::NoSuchQuarter),
            ("TW 12 = 1", TargetCell::NoSuchQuarter),
            ("TW = 1", TargetCell::Unreadable),
            ("TW 3 44", TargetCell::Unreadable),
            ("TW-3 = 44", TargetCell::Unreadable),
            ("TWO = 44", TargetCell::Unreadable),
            ("95", TargetCell::Unreadable),
            ("é", TargetCell::Unreadable),
            ("", TargetCell::Blank),
        ] {
            assert_eq!(TargetCell::read(text), expect, "{text:?}");
        }
    }
}
