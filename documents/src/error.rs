//! Why a file is not read as a plan at all.

use thiserror::Error;

/// A file that is no such plan, or not a whole one. The message names the place and what was expected there;
/// [`ReadError::hint`] says what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReadError {
    #[error("the file has {bytes} bytes; a plan has at most {limit}")]
    FileTooLarge { bytes: usize, limit: usize },
    #[error("the file is {what}, not plain text")]
    NotPlainText { what: &'static str },
    #[error("line {line}, byte {offset}: this is not UTF-8; the file looks like {guess}")]
    NotUtf8 { line: u32, offset: usize, guess: &'static str },
    #[error("line {line}: the control character U+{code:04X} does not belong in a text")]
    ControlCharacter { line: u32, code: u32 },
    #[error("line {line}: no action plan begins here; expected {expected}")]
    NotAPlan { line: u32, expected: &'static str },
    #[error("line {line}: the plan's table is missing; expected {expected}")]
    TableMissing { line: u32, expected: &'static str },
    #[error("line {line}: the column \"{found}\" stands where {expected} is expected")]
    UnknownColumns { line: u32, found: String, expected: &'static str },
    #[error("line {line}: the plan ends too early: {what}")]
    HalfPlan { line: u32, what: String },
    #[error("line {line}: the table row that begins here is not 13 cells: {cause}")]
    RowMisaligned { line: u32, cause: String },
    #[error("line {line}: {what}")]
    RowIncomplete { line: u32, what: String },
    #[error("line {line}: a second plan begins here; expected one plan a file")]
    TwoPlans { line: u32 },
    #[error("line {line}: the table goes on beyond {limit} rows; expected a plan of one office and one year")]
    TooManyRows { line: u32, limit: usize },
    #[error(
        "line {line}: this cell goes on beyond {limit} bytes; expected one name, indicator, unit or target"
    )]
    CellTooLong { line: u32, limit: usize },
}

impl ReadError {
    /// The stable code that scripts and the list of errors rely on.
    pub fn code(&self) -> &'static str {
        match self {
            ReadError::FileTooLarge { .. } => "FILE_TOO_LARGE",
            ReadError::NotPlainText { .. } => "NOT_PLAIN_TEXT",
            ReadError::NotUtf8 { .. } => "NOT_UTF8",
            ReadError::ControlCharacter { .. } => "CONTROL_CHARACTER",
            ReadError::NotAPlan { .. } => "NOT_A_PLAN",
            ReadError::TableMissing { .. } => "TABLE_MISSING",
            ReadError::UnknownColumns { .. } => "UNKNOWN_COLUMNS",
            ReadError::HalfPlan { .. } => "HALF_PLAN",
            ReadError::RowMisaligned { .. } => "ROW_MISALIGNED",
            ReadError::RowIncomplete { .. } => "ROW_INCOMPLETE",
            ReadError::TwoPlans { .. } => "TWO_PLANS",
            ReadError::TooManyRows { .. } => "TOO_MANY_ROWS",
            ReadError::CellTooLong { .. } => "CELL_TOO_LONG",
        }
    }

    /// The line of the file, from 1, where the message points to one.
    pub fn line(&self) -> Option<u32> {
        match self {
            ReadError::FileTooLarge { .. } | ReadError::NotPlainText { .. } => None,
            ReadError::NotUtf8 { line, .. }
            | ReadError::ControlCharacter { line, .. }
            | ReadError::NotAPlan { line, .. }
            | ReadError::TableMissing { line, .. }
            | ReadError::UnknownColumns { line, .. }
            | ReadError::HalfPlan { line, .. }
            | ReadError::RowMisaligned { line, .. }
            | ReadError::RowIncomplete { line, .. }
            | ReadError::TwoPlans { line }
            | ReadError::TooManyRows { line, .. }
            | ReadError::CellTooLong { line, .. } => Some(*line),
        }
    }

    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            ReadError::FileTooLarge { .. } => "check that this is the plan itself, without pictures or scans",
            ReadError::NotPlainText { .. } => {
                "open it in the program that made it and save it as plain text (.txt) with the encoding UTF-8"
            }
            ReadError::NotUtf8 { .. } => "save the file again with the encoding UTF-8",
            ReadError::ControlCharacter { .. } => {
                "delete that character, or save the file again as plain text"
            }
            ReadError::NotAPlan { .. } => {
                "begin the file with the lines RENCANA AKSI, the office's name and TAHUN with the year"
            }
            ReadError::TableMissing { .. } | ReadError::UnknownColumns { .. } => {
                "keep the table's heading: for objective, program and activity each URAIAN, INDIKATOR KINERJA, SATUAN \
                 and TARGET, then PENANGGUNG JAWAB"
            }
            ReadError::HalfPlan { .. } => {
                "save the whole plan again; where a quarter really has no target yet, write the quarter alone: TW 3 ="
            }
            ReadError::RowMisaligned { .. } => {
                "give the row one line that begins with a tab for each of its 13 cells, blank ones too, and a blank \
                 line behind it; unmerge or split cells in the word processor and save again"
            }
            ReadError::RowIncomplete { .. } => "fill in the blank cell beside it, or clear the row",
            ReadError::TwoPlans { .. } => "put each plan in a file of its own",
            ReadError::TooManyRows { .. } | ReadError::CellTooLong { .. } => {
                "check that the file is the plan itself and was not damaged"
            }
        }
    }
}
