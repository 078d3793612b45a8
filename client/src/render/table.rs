//! Tables that fit a terminal. Cells wrap at blanks and never within a word, a code or a number; where even that is too
//! wide, the columns that matter least are left out.

use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table};

use super::{WIDTH_WITHOUT_TERMINAL, printable, terminal_width};

/// Blanks between columns.
const GAP: usize = 2;
/// Stands in a row that is replaced by a line over the full width; no text contains it.
const WIDE: char = '\u{F8FF}';

/// How a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// One column.
#[derive(Clone, Debug)]
pub struct Column {
    head: String,
    align: Align,
    comfortable: usize,
    drop: Option<u8>,
}

impl Column {
    /// A column that is always there.
    pub fn new(head: impl Into<String>, align: Align) -> Self {
        Self { head: head.into(), align, comfortable: 0, drop: None }
    }

    /// Not narrower than this while another column can be left out instead.
    #[must_use]
    pub fn comfortable(self, width: usize) -> Self {
        Self { comfortable: width, ..self }
    }

    /// Left out where there is no room: the lowest number first.
    #[must_use]
    pub fn drop(self, order: u8) -> Self {
        Self { drop: Some(order), ..self }
    }
}

impl From<(&str, Align)> for Column {
    fn from((head, align): (&str, Align)) -> Self {
        Column::new(head, align)
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A cell for each column.
    Cells(Vec<String>),
    /// A heading over the full width: its code, and a name that wraps.
    Wide(String, String),
}

impl From<Vec<String>> for Row {
    fn from(cells: Vec<String>) -> Self {
        Row::Cells(cells)
    }
}

/// A table with a head, as wide as the terminal at most.
pub fn table<C: Into<Column> + Clone, R: Into<Row>>(
    color: bool,
    columns: &[C],
    rows: impl IntoIterator<Item = R>,
) -> String {
    let width = terminal_width().unwrap_or(WIDTH_WITHOUT_TERMINAL);
    let columns: Vec<Column> = columns.iter().cloned().map(Into::into).collect();
    laid_out(color, width, &columns, rows.into_iter().map(Into::into).collect())
}

fn laid_out(color: bool, width: usize, columns: &[Column], rows: Vec<Row>) -> String {
    let rows: Vec<Row> = rows.into_iter().map(shown).collect();
    let (kept, widths) = layout(columns, &rows, width);
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    if !color {
        table.force_no_tty();
    }
    table.set_header(kept.iter().zip(&widths).map(|(at, width)| {
        let cell = Cell::new(wrap(&columns[*at].head, *width).join("\n"));
        if color { cell.add_attribute(Attribute::Bold) } else { cell }
    }));
    for (to, at) in kept.iter().enumerate() {
        if let Some(column) = table.column_mut(to) {
            column.set_padding((0, GAP as u16));
            column.set_cell_alignment(match columns[*at].align {
                Align::Left => CellAlignment::Left,
                Align::Right => CellAlignment::Right,
            });
        }
    }
    let mut headings = Vec::new();
    for row in &rows {
        table.add_row(match row {
            Row::Cells(cells) => {
                let cell = |at: &usize| cells.get(*at).map_or("", String::as_str);
                kept.iter().zip(&widths).map(|(at, width)| wrap(cell(at), *width).join("\n")).collect()
            }
            Row::Wide(code, name) => {
                let indent = widths.first().map_or(0, |width| width + GAP);
                headings.push(wrapped(&format!("{code:<indent$}"), name, indent, width));
                vec![WIDE.to_string()]
            }
        });
    }
    let mut headings = headings.into_iter();
    let lines = table.lines().map(|line| match line.contains(WIDE) {
        true => headings.next().unwrap_or_default(),
        false => line.trim_end().to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn shown(row: Row) -> Row {
    let shown = |text: String| printable(&text).replace(WIDE, "\u{FFFD}");
    match row {
        Row::Cells(cells) => Row::Cells(cells.into_iter().map(shown).collect()),
        Row::Wide(code, name) => Row::Wide(shown(code), shown(name)),
    }
}

/// The columns that are kept, and how wide each is.
fn layout(columns: &[Column], rows: &[Row], width: usize) -> (Vec<usize>, Vec<usize>) {
    let cells = |at: usize| {
        let cells = rows.iter().filter_map(move |row| match row {
            Row::Cells(cells) => cells.get(at).map(String::as_str),
            Row::Wide(..) => None,
        });
        std::iter::once(columns[at].head.as_str()).chain(cells)
    };
    let longest_word = |text: &str| words(text).iter().map(|word| length(word)).max().unwrap_or(0);
    let natural: Vec<usize> = (0..columns.len()).map(|at| cells(at).map(length).max().unwrap_or(0)).collect();
    let narrowest: Vec<usize> =
        (0..columns.len()).map(|at| cells(at).map(longest_word).max().unwrap_or(0)).collect();
    let least = |at: usize| narrowest[at].max(columns[at].comfortable.min(natural[at]));
    let mut kept: Vec<usize> = (0..columns.len()).collect();
    let room = |kept: &[usize]| (width + GAP).saturating_sub(GAP * kept.len());
    let needs =
        |kept: &[usize], least: &dyn Fn(usize) -> usize| kept.iter().map(|at| least(*at)).sum::<usize>();
    while needs(&kept, &least) > room(&kept) {
        let droppable = kept.iter().copied().filter(|at| columns[*at].drop.is_some());
        let Some(dropped) = droppable.min_by_key(|at| columns[*at].drop) else { break };
        kept.retain(|at| *at != dropped);
    }
    let fits = needs(&kept, &least) <= room(&kept);
    let start = |at: &usize| if fits { least(*at) } else { narrowest[*at] };
    let mut widths: Vec<usize> = kept.iter().map(start).collect();
    let mut left = room(&kept).saturating_sub(widths.iter().sum());
    // Each blank goes to the column that has the most to wrap.
    while left > 0 {
        let wants = |to: &usize| natural[kept[*to]] > widths[*to];
        let longest =
            (0..kept.len()).filter(wants).max_by_key(|to| natural[kept[*to]] * 100 / widths[*to].max(1));
        let Some(to) = longest else { break };
        widths[to] += 1;
        left -= 1;
    }
    (kept, widths)
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// What stays together: words, and both parts of a ratio with its stroke.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut joins = false;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match words.last_mut() {
            Some(last) if joins || word == "/" => {
                last.push(' ');
                last.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
        joins = word == "/";
    }
    words
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    if length(text) <= width {
        return vec![text.to_owned()];
    }
    let mut lines = vec![String::new()];
    for word in words(text) {
        let line = lines.last_mut().expect("BUG: there is a first line");
        if line.is_empty() {
            line.push_str(&word);
        } else if length(line) + 1 + length(&word) <= width {
            line.push(' ');
            line.push_str(&word);
        } else {
            lines.push(word);
        }
    }
    lines
}

/// A line that begins with `start` and goes on below, indented.
pub fn wrapped(start: &str, text: &str, indent: usize, width: usize) -> String {
    let mut lines = vec![start.to_owned()];
    let mut at = length(start);
    let mut fresh = true;
    for word in words(text) {
        let blank = usize::from(!fresh);
        if !fresh && at + blank + length(&word) > width {
            lines.push(format!("{:indent$}{word}", ""));
            at = indent + length(&word);
            continue;
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(&" ".repeat(blank));
            line.push_str(&word);
        }
        at += blank + length(&word);
        fresh = false;
    }
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> (Vec<Column>, Vec<Row>) {
        let columns = vec![
            Column::new("Kode", Align::Left),
            Column::new("Indikator", Align::Left).comfortable(20),
            Column::new("Satuan", Align::Left),
            Column::new("Target", Align::Right),
            Column::new("Terverifikasi", Align::Right).drop(1),
            Column::new("Capaian %", Align::Right),
        ];
        let row = |cells: [&str; 6]| Row::Cells(cells.map(str::to_owned).to_vec());
        let rows = vec![
            Row::Wide(
                "4".into(),
                "Meningkatnya kualitas tata kelola pemerintahan yang bersih dan akuntabel".into(),
            ),
            row([
                "4.1.1.1",
                "Persentase penyelenggaraan administrasi keuangan",
                "Persentase",
                "100",
                "40 / 50",
                "80,00",
            ]),
            row([
                "1.1.2.2",
                "Jumlah UTTP yang ditera ulang",
                "UTTP",
                "(775, belum lengkap)",
                "1.234.567",
                "belum dilaporkan",
            ]),
        ];
        (columns, rows)
    }

    #[test]
    fn no_word_code_or_number_is_broken_at_any_width() {
        let (columns, rows) = plan();
        for width in 40..160 {
            let shown = laid_out(false, width, &columns, rows.clone());
            for whole in ["4.1.1.1", "1.1.2.2", "Persentase", "penyelenggaraan", "(775,", "lengkap)", "80,00"]
            {
                assert!(shown.split_whitespace().any(|word| word == whole), "{whole} at {width}:\n{shown}");
            }
            if width >= 70 {
                assert!(shown.lines().all(|line| length(line) <= width), "too wide at {width}:\n{shown}");
            }
        }
    }

    #[test]
    fn the_column_that_matters_least_goes_first() {
        let (columns, rows) = plan();
        assert!(laid_out(false, 120, &columns, rows.clone()).contains("40 / 50"));
        let narrow = laid_out(false, 70, &columns, rows);
        assert!(!narrow.contains("Terverifikasi") && narrow.contains("Capaian"), "{narrow}");
    }

    #[test]
    fn a_heading_goes_over_the_full_width_and_is_not_shouted() {
        let (columns, rows) = plan();
        let shown = laid_out(false, 80, &columns, rows);
        let heading: Vec<&str> = shown.lines().skip_while(|line| !line.starts_with("4 ")).take(2).collect();
        assert!(heading[0].starts_with("4        Meningkatnya kualitas tata kelola"), "{shown}");
        assert!(heading[0].chars().count() > 60, "{shown}");
    }

    #[test]
    fn cells_of_strangers_cannot_move_the_cursor() {
        let columns = [Column::new("Nama", Align::Left)];
        let shown = laid_out(false, 80, &columns, vec![Row::Cells(vec!["a\u{1b}[2Jb\nc".into()])]);
        assert!(shown.contains("a\u{FFFD}[2Jb\u{FFFD}c"), "{shown}");
    }

    #[test]
    fn a_long_line_goes_on_below_indented() {
        assert_eq!(wrapped("1  ", "satu dua tiga empat", 3, 12), "1  satu dua\n   tiga\n   empat");
        assert_eq!(wrapped("1  ", "sangatpanjangsekali dua", 3, 12), "1  sangatpanjangsekali\n   dua");
    }
}
