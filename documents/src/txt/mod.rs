//! Plans kept as plain text: the title, then a Word table with one cell a line.

mod cells;
mod encoding;

pub use encoding::FILE_BYTES_MAX;

use crate::assemble::assemble;
use crate::error::ReadError;
use crate::plan::PlanDocument;
use crate::review::review;
use crate::table::COLUMNS;
use cells::{Dump, DumpCell};

/// Reads a whole plan, or says why the bytes are none. UTF-8, with or without a byte order mark.
pub fn read_plan(bytes: &[u8]) -> Result<PlanDocument, ReadError> {
    let dump = cells::cut(encoding::decode(bytes)?)?;
    let (office, year) = read_title(&dump)?;
    let body = body_start(&dump)?;
    let separated = dump.cells[body - 1].ends_blank;
    if let Some(second) = dump.cells[body..].iter().find(|cell| label(cell) == "SASARAN STRATEGIS") {
        return Err(ReadError::TwoPlans { line: second.cell.line });
    }
    let mut warnings = Vec::new();
    let rows = cells::rows(&dump.cells[body..], separated, &mut warnings)?;
    let objectives = assemble(&rows, dump.lines, year, &mut warnings)?;
    review(&objectives, &mut warnings);
    warnings.sort();
    Ok(PlanDocument { office, year, objectives, warnings })
}

/// Office and year from the lines `RENCANA AKSI`, the office's name, `TAHUN 2024`, however they are broken.
fn read_title(dump: &Dump<'_>) -> Result<(String, i32), ReadError> {
    let is_title = |line: &str| line.to_ascii_uppercase().contains("RENCANA AKSI");
    let mut titles = dump.title.iter().filter(|(_, line)| is_title(line));
    let Some((line, _)) = titles.next() else {
        return Err(ReadError::NotAPlan { line: 1, expected: "the title RENCANA AKSI" });
    };
    if let Some((line, _)) = titles.next() {
        return Err(ReadError::TwoPlans { line: *line });
    }
    let after = dump.title.iter().skip_while(|(at, _)| at < line);
    let words: Vec<&str> = after.flat_map(|(_, line)| line.split_whitespace()).collect();
    let bare = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_ascii_uppercase();
    let is = |word: &str, expect: &str| bare(word) == expect;
    let start = words
        .windows(2)
        .position(|pair| is(pair[0], "RENCANA") && is(pair[1], "AKSI"))
        .map_or(0, |at| at + 2);
    let lead = words.iter().skip(start).take_while(|word| bare(word).is_empty()).count();
    let words = &words[(start + lead).min(words.len())..];
    let missing = |expected| ReadError::NotAPlan { line: *line, expected };
    // `TAHUN 2024` or `TAHUN ANGGARAN 2024`.
    let year_of = |at: usize| words.iter().skip(at + 1).take(2).find_map(|word| read_year(word));
    let found = (0..words.len()).filter(|at| is(words[*at], "TAHUN")).find_map(|at| Some((at, year_of(at)?)));
    let (at, year) = found.ok_or_else(|| missing("TAHUN and a year below the title, such as TAHUN 2024"))?;
    if at == 0 {
        return Err(missing("the office's name between RENCANA AKSI and TAHUN"));
    }
    Ok((words[..at].join(" "), year))
}

fn read_year(word: &str) -> Option<i32> {
    let year: i32 = word.parse().ok()?;
    (word.len() == 4 && (2000..=2100).contains(&year)).then_some(year)
}

/// The index of the first cell behind the heading: behind three groups of INDIKATOR, SATUAN, TARGET, the last column,
/// and the row that numbers the columns.
fn body_start(dump: &Dump<'_>) -> Result<usize, ReadError> {
    let cells = &dump.cells;
    let missing = |line, expected| ReadError::TableMissing { line, expected };
    let Some(heading) = cells.iter().position(|cell| label(cell) == "SASARAN STRATEGIS") else {
        let line = cells.first().map_or(dump.lines, |cell| cell.cell.line);
        return Err(missing(line, "a table headed SASARAN STRATEGIS, PROGRAM, KEGIATAN/SUB KEGIATAN"));
    };
    let line = cells[heading].cell.line;
    let Some(first) = cells[heading..].iter().position(|cell| label(cell) == "TARGET").map(|at| heading + at)
    else {
        return Err(missing(line, "the columns INDIKATOR KINERJA, SATUAN and TARGET below the heading"));
    };
    for group in 0..3 {
        for (back, expected) in [(2, "INDIKATOR KINERJA"), (1, "SATUAN"), (0, "TARGET")] {
            let Some(cell) = (first + 4 * group).checked_sub(back).and_then(|at| cells.get(at)) else {
                return Err(missing(
                    dump.lines,
                    "three groups of the columns INDIKATOR KINERJA, SATUAN and TARGET",
                ));
            };
            if !label(cell).starts_with(expected.split(' ').next().unwrap_or(expected)) {
                let (line, found) = (cell.cell.line, cell.cell.text.clone());
                return Err(ReadError::UnknownColumns { line, found, expected });
            }
        }
    }
    let mut body = first + 4 * 2 + 2;
    // No row of a plan has only one or two letters in each cell.
    let is_numbering = |row: &[DumpCell]| row.iter().all(|cell| cell.cell.text.chars().count() <= 2);
    if cells.get(body..body + COLUMNS).is_some_and(is_numbering) {
        body += COLUMNS;
    }
    if cells.len() <= body {
        let what = "it has a heading and no rows".to_owned();
        return Err(ReadError::HalfPlan { line: dump.lines, what });
    }
    Ok(body)
}

fn label(cell: &DumpCell) -> String {
    cell.cell.text.to_ascii_uppercase()
}
