//! A sheet as people save it: CSV with comma or semicolon, its columns named in the first row in either language. Pure:
//! bytes in, rows or everything that is wrong out. Nothing is guessed: what could be read in two ways is refused.

use csv::{ByteRecord, ReaderBuilder};

use super::Problem;
use crate::error::{ClientError, Rejected};

/// With [`ROWS_MAX`], what one commit of the feed can take.
pub(super) const FILE_BYTES_MAX: u64 = 24 << 20;
/// More rows than any office counts in a year.
pub(super) const ROWS_MAX: usize = 200_000;

/// Stands behind the last row while the file is read: a quote that was never closed swallows it.
const END: &str = "\u{0}end of the sheet";

/// What a column says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Indicator,
    Quantity,
    Numerator,
    Denominator,
    Text,
    On,
    Place,
    Note,
}

impl Column {
    const ALL: [Column; 8] = [
        Column::Indicator,
        Column::Quantity,
        Column::Numerator,
        Column::Denominator,
        Column::Text,
        Column::On,
        Column::Place,
        Column::Note,
    ];

    /// Its name in English, as the options of `entry add` have it, and in Indonesian.
    pub(super) fn names(self) -> [&'static str; 2] {
        match self {
            Column::Indicator => ["indicator", "indikator"],
            Column::Quantity => ["quantity", "jumlah"],
            Column::Numerator => ["numerator", "pembilang"],
            Column::Denominator => ["denominator", "penyebut"],
            Column::Text => ["text", "teks"],
            Column::On => ["on", "tanggal"],
            Column::Place => ["place", "tempat"],
            Column::Note => ["note", "catatan"],
        }
    }

    fn named(head: &str) -> Option<Column> {
        let head = head.trim().to_lowercase();
        Column::ALL.into_iter().find(|column| column.names().contains(&head.as_str()))
    }
}

/// The rows of a sheet.
#[derive(Debug)]
pub(super) struct Sheet {
    /// Each column as the sheet names it, in the sheet's order.
    columns: Vec<(Column, String)>,
    pub(super) rows: Vec<Row>,
}

/// One row that is not blank.
#[derive(Debug)]
pub(super) struct Row {
    /// Where it begins in the file, counted from 1.
    pub(super) line: u64,
    /// In the order of [`Sheet::columns`], without the blanks around them.
    cells: Vec<Box<str>>,
}

impl Sheet {
    /// What a row says in a column; nothing where it is blank or the sheet has no such column.
    pub(super) fn cell<'a>(&self, row: &'a Row, column: Column) -> Option<&'a str> {
        let at = self.columns.iter().position(|(known, _)| *known == column)?;
        row.cells.get(at).map(|cell| &**cell).filter(|cell| !cell.is_empty())
    }

    /// A column as the sheet names it; one that it does not have, in English.
    pub(super) fn name(&self, column: Column) -> String {
        let own = self.columns.iter().find(|(known, _)| *known == column);
        own.map_or_else(|| column.names()[0].to_owned(), |(_, name)| name.clone())
    }
}

/// What is wrong with a sheet as such.
#[derive(Debug)]
pub(super) enum Bad {
    /// It is no sheet at all.
    File(ClientError),
    /// Its header; no row was read.
    Header(Vec<Problem>),
    /// Rows, of so many.
    Rows { rows: usize, problems: Vec<Problem> },
}

/// Reads a sheet whole.
pub(super) fn read(bytes: &[u8]) -> Result<Sheet, Bad> {
    plain_text(bytes).map_err(Bad::File)?;
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let separator = separator(bytes);
    let mut records = Records::new(bytes, separator);
    let header = loop {
        match records.next() {
            Next::Row(line, record) if is_blank(&record) => drop((line, record)),
            Next::Row(line, record) => break header(line, &record).map_err(Bad::Header)?,
            Next::OpenQuote(line) => return Err(Bad::Header(vec![open_quote(line)])),
            Next::End => return Err(Bad::File(ClientError::NotUnderstood(Rejected::new("CSV_EMPTY")))),
        }
    };
    let (mut rows, mut problems, mut count) = (Vec::new(), Vec::new(), 0);
    loop {
        match records.next() {
            Next::End => break,
            Next::OpenQuote(line) => {
                count += 1;
                problems.push(open_quote(line));
                break;
            }
            Next::Row(_, record) if is_blank(&record) => {}
            Next::Row(line, record) => {
                count += 1;
                match row(&header, line, &record) {
                    Ok(row) => rows.push(row),
                    Err(mut wrong) => problems.append(&mut wrong),
                }
            }
        }
        if count > ROWS_MAX {
            let cause = Rejected::new("CSV_TOO_LARGE").with("rows_max", ROWS_MAX);
            return Err(Bad::File(ClientError::NotAdmitted(cause)));
        }
    }
    match (problems.is_empty(), count) {
        (false, rows) => Err(Bad::Rows { rows, problems }),
        (true, 0) => {
            let cause = Rejected::new("CSV_EMPTY").with("header", header.names.len());
            Err(Bad::File(ClientError::NotUnderstood(cause)))
        }
        (true, _) => {
            let columns = header.columns.into_iter().zip(header.names).collect();
            Ok(Sheet { columns, rows })
        }
    }
}

/// A workbook or another encoding is told as such, rather than as a header of strange signs.
fn plain_text(bytes: &[u8]) -> Result<(), ClientError> {
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let cause = Rejected::new("CSV_TOO_LARGE").with("bytes_max", FILE_BYTES_MAX);
        return Err(ClientError::NotAdmitted(cause));
    }
    let start = &bytes[..bytes.len().min(1024)];
    let utf16 = start.starts_with(&[0xFF, 0xFE]) || start.starts_with(&[0xFE, 0xFF]);
    let what = match start {
        [b'P', b'K', 3 | 5, 4 | 6, ..] => "a workbook or archive (.xlsx, .ods or .zip)",
        [0xD0, 0xCF, 0x11, 0xE0, ..] => "an old Office document (.xls)",
        _ if start.contains(&0) && !utf16 => "a binary file",
        _ if !utf16 => return Ok(()),
        _ => {
            let cause = Rejected::new("NOT_UTF8").with("line", 1).with("offset", 0).with("guess", "UTF-16");
            return Err(ClientError::NotUnderstood(cause.with("csv", true)));
        }
    };
    Err(ClientError::NotUnderstood(Rejected::new("NOT_PLAIN_TEXT").with("what", what).with("csv", true)))
}

/// The separator by which the first row has the most names that are known.
fn separator(bytes: &[u8]) -> u8 {
    let known = |separator: u8| {
        let mut records = Records::new(bytes, separator);
        loop {
            match records.next() {
                Next::Row(_, record) if is_blank(&record) => {}
                Next::Row(_, record) => {
                    let named = |head| Column::named(&String::from_utf8_lossy(head)).is_some();
                    break (record.iter().filter(|head| named(head)).count(), record.len());
                }
                Next::OpenQuote(_) | Next::End => break (0, 0),
            }
        }
    };
    if known(b';') > known(b',') { b';' } else { b',' }
}

/// The columns in the sheet's order. Unnamed ones at its end are what spreadsheets leave behind.
struct Header {
    columns: Vec<Column>,
    names: Vec<String>,
}

fn header(line: u64, record: &ByteRecord) -> Result<Header, Vec<Problem>> {
    let mut names: Vec<String> =
        record.iter().map(|head| String::from_utf8_lossy(head).trim().to_owned()).collect();
    while names.last().is_some_and(String::is_empty) {
        names.pop();
    }
    let (mut columns, mut problems) = (Vec::new(), Vec::new());
    for (number, name) in (1..).zip(&names) {
        let problem = |cause: Rejected| Problem { line, column: Some(name.clone()), cause };
        match Column::named(name) {
            None => {
                let known: Vec<&str> = Column::ALL.iter().flat_map(|column| column.names()).collect();
                let cause = Rejected::new("COLUMN_UNKNOWN").with("column", name).with("number", number);
                problems.push(problem(cause.with("known", known.join(", "))));
            }
            Some(column) if columns.contains(&column) => {
                problems.push(problem(Rejected::new("COLUMN_REPEATED").with("column", name)));
            }
            Some(column) => columns.push(column),
        }
    }
    problems.extend(missing(&columns).map(|cause| Problem { line, column: None, cause }));
    match problems.is_empty() {
        true => Ok(Header { columns, names }),
        false => Err(problems),
    }
}

/// A sheet says of what and how much.
fn missing(columns: &[Column]) -> Option<Rejected> {
    let has = |column| columns.contains(&column);
    let lacks = |columns: &[Column]| {
        let names: Vec<String> = columns.iter().map(|column| column.names().join("/")).collect();
        Some(Rejected::new("COLUMN_MISSING").with("columns", names.join(", ")))
    };
    match (has(Column::Numerator), has(Column::Denominator)) {
        _ if !has(Column::Indicator) => lacks(&[Column::Indicator]),
        (true, false) => lacks(&[Column::Denominator]),
        (false, true) => lacks(&[Column::Numerator]),
        (false, false) if !has(Column::Quantity) && !has(Column::Text) => lacks(&[Column::Quantity]),
        _ => None,
    }
}

fn row(header: &Header, line: u64, record: &ByteRecord) -> Result<Row, Vec<Problem>> {
    let filled = record.iter().rposition(|cell| !cell.trim_ascii().is_empty()).map_or(0, |at| at + 1);
    if record.len() < header.names.len() || filled > header.names.len() {
        let found = if filled > header.names.len() { filled } else { record.len() };
        let cause = Rejected::new("CSV_CELLS").with("found", found).with("expected", header.names.len());
        return Err(vec![Problem { line, column: None, cause }]);
    }
    let (mut cells, mut problems) = (Vec::with_capacity(header.names.len()), Vec::new());
    for (name, cell) in header.names.iter().zip(record) {
        match std::str::from_utf8(cell) {
            Ok(cell) => cells.push(cell.trim().into()),
            Err(_) => {
                let cause = Rejected::new("NOT_UTF8").with("line", line).with("column", name);
                problems.push(Problem { line, column: Some(name.clone()), cause });
            }
        }
    }
    if problems.is_empty() { Ok(Row { line, cells }) } else { Err(problems) }
}

/// Nothing but blanks and separators, also those of the other kind.
fn is_blank(record: &ByteRecord) -> bool {
    let says_nothing = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b';' | b',');
    record.iter().all(|cell| cell.iter().all(says_nothing))
}

fn open_quote(line: u64) -> Problem {
    Problem { line, column: None, cause: Rejected::new("CSV_QUOTE_OPEN").with("line", line) }
}

enum Next {
    /// With the line it begins on.
    Row(u64, ByteRecord),
    /// The row that begins there never ends.
    OpenQuote(u64),
    End,
}

/// The records of a file with the lines they begin on. The reader of `csv` counts lines too, but not past blank ones.
struct Records<'a> {
    bytes: &'a [u8],
    reader: csv::Reader<std::io::Chain<&'a [u8], &'a [u8]>>,
    /// Up to here lines are counted.
    at: usize,
    line: u64,
}

impl<'a> Records<'a> {
    fn new(bytes: &'a [u8], separator: u8) -> Self {
        const TAIL: &[u8] = b"\n\0end of the sheet";
        let input = std::io::Read::chain(bytes, TAIL);
        let mut builder = ReaderBuilder::new();
        builder.delimiter(separator).has_headers(false).flexible(true);
        Self { bytes, reader: builder.from_reader(input), at: 0, line: 1 }
    }

    fn next(&mut self) -> Next {
        let mut record = ByteRecord::new();
        // Reading from memory into bytes cannot fail.
        if !self.reader.read_byte_record(&mut record).unwrap_or(false) {
            return Next::End;
        }
        let start =
            record.position().map_or(0, |position| usize::try_from(position.byte()).unwrap_or(usize::MAX));
        let line = self.line_of(start);
        match record.iter().any(|cell| cell.ends_with(END.as_bytes())) {
            true if record.len() == 1 && record[0] == *END.as_bytes() => Next::End,
            true => Next::OpenQuote(line),
            false => Next::Row(line, record),
        }
    }

    /// The line of the first byte from an offset on that ends none.
    fn line_of(&mut self, start: usize) -> u64 {
        let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let start = start.min(self.bytes.len());
        let start = start + self.bytes[start..].iter().take_while(|byte| is_end(byte)).count();
        let ends = |at: usize| match self.bytes[at] {
            b'\n' => true,
            b'\r' => self.bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        };
        self.line += (self.at..start).filter(|at| ends(*at)).count() as u64;
        self.at = self.at.max(start);
        self.line
    }
}
