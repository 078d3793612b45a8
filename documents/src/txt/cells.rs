//! Cuts the dump of a Word table into title lines, cells and rows.
//!
//! A line that begins with a tab opens a cell, any other line carries the open cell on. A blank line ends nothing: it
//! stands behind every row, but inside cells too. So rows are cut by their number of cells, and the blank line behind
//! each row and the `TW n =` cells in their three columns only prove that the cutting is still in step.

use crate::error::ReadError;
use crate::table::{COLUMNS, Cell, TARGET_COLUMNS, TableRow, TargetCell};
use crate::warning::{self, Warning};

pub(crate) const ROWS_MAX: usize = 20_000;
/// Far more than that many rows take; keeps a file of line feeds from taking memory.
const LINES_MAX: usize = 1_000_000;
const CELL_BYTES_MAX: usize = 4096;
/// How far behind a second `RENCANA AKSI` its `TAHUN` is looked for.
const TITLE_LINES: usize = 8;

/// The file as title lines and cells.
pub(crate) struct Dump<'a> {
    /// The lines before the first cell, with their numbers.
    pub title: Vec<(u32, &'a str)>,
    pub cells: Vec<DumpCell>,
    pub lines: u32,
}

pub(crate) struct DumpCell {
    pub cell: Cell,
    /// The last line of the cell is blank, as behind the last cell of a row.
    pub ends_blank: bool,
    had_tab: bool,
    had_bookmark: bool,
    had_text_after_blank: bool,
}

pub(crate) fn cut(text: &str) -> Result<Dump<'_>, ReadError> {
    if text.bytes().filter(|b| matches!(b, b'\n' | b'\r')).count() > 2 * LINES_MAX {
        return Err(ReadError::TooManyRows { line: LINES_MAX as u32, limit: ROWS_MAX });
    }
    let lines: Vec<&str> = match text.contains('\n') {
        true => text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect(),
        false => text.split('\r').collect(),
    };
    let first = lines.iter().position(|line| line.starts_with('\t')).unwrap_or(lines.len());
    let title = (1..).zip(lines[..first].iter().copied()).collect();
    let mut cells = Vec::new();
    let mut at = first;
    while at < lines.len() {
        let end = lines[at + 1..]
            .iter()
            .position(|line| line.starts_with('\t'))
            .map_or(lines.len(), |n| at + 1 + n);
        if let Some(offset) = (at..end).position(|line| begins_plan(&lines, line)) {
            return Err(ReadError::TwoPlans { line: (at + offset) as u32 + 1 });
        }
        cells.push(read_cell(at as u32 + 1, &lines[at..end])?);
        if cells.len() > ROWS_MAX * COLUMNS {
            return Err(ReadError::TooManyRows { line: at as u32 + 1, limit: ROWS_MAX });
        }
        at = end;
    }
    Ok(Dump { title, cells, lines: lines.len() as u32 })
}

/// A title in capitals with its year below: a sentence of a cell that mentions an action plan is none.
fn begins_plan(lines: &[&str], at: usize) -> bool {
    let line = lines[at].trim();
    line.starts_with("RENCANA AKSI")
        && lines[at..]
            .iter()
            .take(TITLE_LINES)
            .any(|line| line.trim().starts_with("TAHUN") || line.contains(" TAHUN "))
}

fn read_cell(line: u32, lines: &[&str]) -> Result<DumpCell, ReadError> {
    let is_blank = |line: &&str| line.trim().is_empty();
    if lines.iter().map(|line| line.len()).sum::<usize>() > CELL_BYTES_MAX {
        return Err(ReadError::CellTooLong { line, limit: CELL_BYTES_MAX });
    }
    // The tab that opens the cell is no part of it.
    let first = &lines[0][1..];
    let (had_bookmark, text) = without_bookmarks(&[&[first], &lines[1..]].concat().join(" "));
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text =
        text.trim_start_matches(['\u{b7}', '\u{2022}', '\u{25aa}', '\u{f0b7}']).trim_start().to_owned();
    let written = lines.iter().skip_while(|line| is_blank(line));
    let had_text_after_blank = written.skip_while(|line| !is_blank(line)).any(|line| !is_blank(line));
    Ok(DumpCell {
        had_tab: first.contains('\t') || lines[1..].iter().any(|line| line.contains('\t')),
        had_bookmark,
        had_text_after_blank,
        ends_blank: lines.len() > 1 && lines.last().is_some_and(is_blank),
        cell: Cell { line, text },
    })
}

/// Word's text export leaves `[bookmark: _GoBack]` where the cursor last was.
fn without_bookmarks(text: &str) -> (bool, String) {
    let mut rest = text;
    let mut kept = String::with_capacity(text.len());
    while let Some(start) = rest.find("[bookmark:") {
        let Some(len) = rest[start..].find(']') else { break };
        kept.push_str(&rest[..start]);
        rest = &rest[start + len + 1..];
    }
    kept.push_str(rest);
    (kept.len() != text.len(), kept)
}

/// Cuts the cells behind the heading into rows. `separated`: a blank line stands behind the heading's rows, so it
/// must stand behind every row.
pub(crate) fn rows(
    cells: &[DumpCell],
    separated: bool,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<TableRow>, ReadError> {
    let mut rows = Vec::with_capacity(cells.len() / COLUMNS + 1);
    let mut rest = cells;
    while let Some(start) = rest.first() {
        let len = match (misfit(rest, COLUMNS, separated), misfit(rest, COLUMNS - 1, separated)) {
            (None, _) => COLUMNS,
            (Some(_), None) if is_short(rest, separated) => {
                let line = rest[COLUMNS - 2].cell.line;
                let message = "the row ends after 12 cells; its responsible post is read as blank";
                warnings.push(Warning::new(warning::SHORT_ROW, line, message).with("cells", COLUMNS - 1));
                COLUMNS - 1
            }
            (Some(cause), _) if rest.len() >= COLUMNS => {
                return Err(ReadError::RowMisaligned { line: start.cell.line, cause });
            }
            _ => {
                let line = rest[rest.len() - 1].cell.line;
                let what =
                    format!("the row that begins in line {} has {} cells of 13", start.cell.line, rest.len());
                return Err(ReadError::HalfPlan { line, what });
            }
        };
        let (row, after) = rest.split_at(len);
        row.iter().for_each(|cell| remark(cell, warnings));
        let absent = Cell { line: row[len - 1].cell.line, text: String::new() };
        rows.push(TableRow {
            cells: std::array::from_fn(|n| {
                row.get(n).map_or_else(|| absent.clone(), |cell| cell.cell.clone())
            }),
        });
        rest = after;
    }
    Ok(rows)
}

/// A row without its last cell: the target before it is in place, so nothing else can have slipped.
fn is_short(rest: &[DumpCell], separated: bool) -> bool {
    TargetCell::is_target(&rest[COLUMNS - 2].cell.text) && (separated || rest.len() == COLUMNS - 1)
}

/// Why the next `len` cells are no row.
fn misfit(rest: &[DumpCell], len: usize, separated: bool) -> Option<String> {
    if rest.len() < len {
        return Some(format!("{} cells are left", rest.len()));
    }
    for (column, cell) in rest[..len].iter().enumerate() {
        if !TARGET_COLUMNS.contains(&column) && TargetCell::is_target(&cell.cell.text) {
            let (line, text) = (cell.cell.line, &cell.cell.text);
            return Some(format!("the target \"{text}\" in line {line} comes out in column {}", column + 1));
        }
    }
    match separated && rest.len() > len && !rest[len - 1].ends_blank {
        true => Some(format!("no blank line follows its cell {len} in line {}", rest[len - 1].cell.line)),
        false => None,
    }
}

fn remark(cell: &DumpCell, warnings: &mut Vec<Warning>) {
    let line = cell.cell.line;
    let mut warn = |code, message: &str| {
        warnings.push(
            Warning::new(code, line, format!("{message}: \"{}\"", cell.cell.text))
                .with("cell", &cell.cell.text),
        );
    };
    if cell.had_tab {
        warn(warning::TAB_IN_CELL, "a tab inside the cell was read as a blank");
    }
    if cell.had_bookmark {
        warn(warning::BOOKMARK_IN_CELL, "a bookmark inside the cell was left out");
    }
    if cell.had_text_after_blank {
        warn(warning::TEXT_AFTER_BLANK_LINE, "text behind a blank line was joined to the cell");
    }
}
