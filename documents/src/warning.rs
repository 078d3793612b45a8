//! What a reader noticed without refusing the file.

/// One remark on the file, with its line (from 1). For people to act on; nothing was guessed to get past it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Warning {
    pub line: u32,
    /// One of the constants of this module.
    pub code: &'static str,
    /// English, one sentence: what was found, what was done about it.
    pub message: String,
    /// The figures and names of the message, for other languages and for scripts.
    pub details: Vec<(&'static str, String)>,
}

impl Warning {
    pub(crate) fn new(code: &'static str, line: u32, message: impl Into<String>) -> Warning {
        Warning { line, code, message: message.into(), details: Vec::new() }
    }

    pub(crate) fn with(mut self, key: &'static str, value: impl ToString) -> Warning {
        self.details.push((key, value.to_string()));
        self
    }
}

// The form of the file.
/// A row has 12 cells: its last one, the responsible post, is not there.
pub const SHORT_ROW: &str = "SHORT_ROW";
/// A tab inside a cell was read as a blank.
pub const TAB_IN_CELL: &str = "TAB_IN_CELL";
/// A word processor's bookmark stood in a cell and was left out.
pub const BOOKMARK_IN_CELL: &str = "BOOKMARK_IN_CELL";
/// Text behind a blank line was joined to the cell above it; it may not belong to the table.
pub const TEXT_AFTER_BLANK_LINE: &str = "TEXT_AFTER_BLANK_LINE";
/// A unit or post beside no new indicator was left out.
pub const CELL_IGNORED: &str = "CELL_IGNORED";

// The target cells. Each of these leaves the quarter missing, except `QUARTER_REPEATED`.
/// A quarter's target is blank, or has no cell at all.
pub const TARGET_MISSING: &str = "TARGET_MISSING";
/// The target reads as two different numbers.
pub const AMBIGUOUS_NUMBER: &str = "AMBIGUOUS_NUMBER";
/// The target is neither number, text, dash nor blank.
pub const NOT_A_NUMBER: &str = "NOT_A_NUMBER";
/// The target is beyond what a quantity holds.
pub const NUMBER_OUT_OF_RANGE: &str = "NUMBER_OUT_OF_RANGE";
/// The cell does not say `TW`, a quarter, `=` and a target.
pub const TARGET_UNREADABLE: &str = "TARGET_UNREADABLE";
/// The quarter is not one of 1 to 4.
pub const QUARTER_UNKNOWN: &str = "QUARTER_UNKNOWN";
/// The same quarter has two different targets; neither was taken.
pub const QUARTER_CONFLICT: &str = "QUARTER_CONFLICT";
/// The same quarter has the same target twice.
pub const QUARTER_REPEATED: &str = "QUARTER_REPEATED";
/// The target of the year is stated twice, and differently.
pub const YEAR_REPEATED: &str = "YEAR_REPEATED";
/// The stated target of the year is no number, or reads as two.
pub const YEAR_UNREADABLE: &str = "YEAR_UNREADABLE";
/// The stated target of the year is not what the quarters come to.
pub const YEAR_TARGET_DIFFERS: &str = "YEAR_TARGET_DIFFERS";
/// No indicator of this column group has begun.
pub const TARGET_WITHOUT_INDICATOR: &str = "TARGET_WITHOUT_INDICATOR";

// The indicators.
/// The unit's cell is blank.
pub const UNIT_MISSING: &str = "UNIT_MISSING";
/// The responsible post's cell is blank.
pub const RESPONSIBLE_MISSING: &str = "RESPONSIBLE_MISSING";
/// The indicator has no post, so it will go to the administrator's unit.
pub const NO_RESPONSIBLE: &str = "NO_RESPONSIBLE";
/// The same post is written in another way elsewhere.
pub const RESPONSIBLE_SPELLING: &str = "RESPONSIBLE_SPELLING";
/// The indicator's targets use a decimal comma and a decimal dot.
pub const MIXED_DECIMAL_MARKS: &str = "MIXED_DECIMAL_MARKS";
/// A strategic indicator under a blank objective is worded like an objective.
pub const READS_LIKE_OBJECTIVE: &str = "READS_LIKE_OBJECTIVE";
/// The proposed kind is one of several that fit.
pub const KIND_UNCERTAIN: &str = "KIND_UNCERTAIN";
/// Nothing stands below a strategic indicator or a program.
pub const NOTHING_BELOW: &str = "NOTHING_BELOW";
