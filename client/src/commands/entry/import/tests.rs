use renaksi_domain::time::{Date, Timestamp, Zone};

use super::Problem;
use super::reading::facts;
use super::sheet::{Bad, Column, Sheet, read};
use crate::context::Context;
use crate::find::tests::plan_2024;
use crate::render;

fn problems(problems: &[Problem]) -> String {
    let said = problems.iter().map(|problem| {
        let column = problem.column.as_ref().map_or_else(String::new, |column| format!(" {column}"));
        format!("{}{column} {}", problem.line, problem.cause.code)
    });
    said.collect::<Vec<_>>().join("; ")
}

/// The rows as `line indicator quantity note`, or what is wrong.
fn sheet(bytes: &[u8]) -> String {
    let cells = |sheet: &Sheet| {
        let rows = sheet.rows.iter().map(|row| {
            let cell = |column| sheet.cell(row, column).unwrap_or("–").replace('\n', "¶");
            format!(
                "{} {} {} {}",
                row.line,
                cell(Column::Indicator),
                cell(Column::Quantity),
                cell(Column::Note)
            )
        });
        rows.collect::<Vec<_>>().join("; ")
    };
    match read(bytes) {
        Ok(sheet) => cells(&sheet),
        Err(Bad::File(error)) => {
            format!("{} {}", error.exit_code(), error.cause().code)
        }
        Err(Bad::Header(wrong)) => format!("header: {}", problems(&wrong)),
        Err(Bad::Rows { rows, problems: wrong }) => format!("{rows} rows: {}", problems(&wrong)),
    }
}

#[track_caller]
fn check(text: &str, expect: &str) {
    assert_eq!(sheet(text.as_bytes()), expect, "{text:?}");
}

#[test]
fn sheets_as_people_save_them() {
    check("indicator,quantity\n1.1,12\n", "2 1.1 12 –");
    check("\u{feff}Indikator;Jumlah;Catatan\r\n1.1;7,8;baik\r\n", "2 1.1 7,8 baik");
    // Columns in any order, in either language, mixed.
    check("note;JUMLAH; Indikator \nbaik;3;1.1", "2 1.1 3 baik");
    check("indicator,quantity\n1.1,\"7,8\"", "2 1.1 7,8 –");
    // Old line ends, and no end of the last line.
    check("indicator;quantity\r1.1;1\r1.1;2", "2 1.1 1 –; 3 1.1 2 –");
    // What a spreadsheet leaves behind: blank rows, unnamed columns at the end.
    check("\n\nindicator;quantity;;\n\n1.1;1;;\n;;;\n  \n1.1;2;;\n\n", "5 1.1 1 –; 8 1.1 2 –");
    check("indicator;quantity\n1.1;5;;;\n", "2 1.1 5 –");
    // A semicolon in a comma sheet's header does not make it another sheet.
    check("indicator,quantity,\"note\"\n1.1,5,\"a; b\"\n", "2 1.1 5 a; b");
}

#[test]
fn lines_are_those_of_the_file() {
    check(
        "indicator;quantity;note\r\n1.1;1;\"first\r\nsecond\r\nthird\"\r\n\r\n1.2;2;x\r\n\"1.\n3\";3;\"say \"\"hi\"\"\"\r\n1.4;4;",
        "2 1.1 1 first\r¶second\r¶third; 6 1.2 2 x; 7 1.¶3 3 say \"hi\"; 9 1.4 4 –",
    );
    check("\"indicator\n\";quantity\n1.1;1", "3 1.1 1 –");
}

#[test]
fn headers_that_are_not_understood() {
    for (text, expect) in [
        ("", "2 CSV_EMPTY"),
        ("\u{feff}", "2 CSV_EMPTY"),
        ("\n \n;;\n", "2 CSV_EMPTY"),
        ("indicator;quantity\n", "2 CSV_EMPTY"),
        ("indicator;quantity\n;\n", "2 CSV_EMPTY"),
        ("1.1;12\n1.2;3\n", "header: 1 1.1 COLUMN_UNKNOWN; 1 12 COLUMN_UNKNOWN; 1 COLUMN_MISSING"),
        ("indicator;quantity;wher\n1.1;1;x", "header: 1 wher COLUMN_UNKNOWN"),
        ("indicator;;quantity\n1.1;;1", "header: 1  COLUMN_UNKNOWN"),
        ("indicator;quantity;quantity\n1.1;1;1", "header: 1 quantity COLUMN_REPEATED"),
        ("indicator;jumlah;quantity\n1.1;1;1", "header: 1 quantity COLUMN_REPEATED"),
        ("quantity;note\n1;x", "header: 1 COLUMN_MISSING"),
        ("indicator;note\n1.1;x", "header: 1 COLUMN_MISSING"),
        ("indicator;pembilang\n1.1;1", "header: 1 COLUMN_MISSING"),
        ("indicator;denominator;text\n1.1;1;A", "header: 1 COLUMN_MISSING"),
        ("indicator\tquantity\n1.1\t1", "header: 1 indicator\tquantity COLUMN_UNKNOWN; 1 COLUMN_MISSING"),
        ("\n\"indicator;quantity\n1.1;1", "header: 2 CSV_QUOTE_OPEN"),
    ] {
        check(text, expect);
    }
}

#[test]
fn rows_that_are_no_rows() {
    for (text, expect) in [
        ("indicator,quantity\n1.1,7,8\n1.2\n1.3,1\n", "3 rows: 2 CSV_CELLS; 3 CSV_CELLS"),
        ("indicator;quantity;note\n1.1;1;x\n1.2;2;\"never closed\n1.3;3;x\n", "2 rows: 3 CSV_QUOTE_OPEN"),
        ("indicator;quantity;note\n1.1;1;\"a\"\"\n", "1 rows: 2 CSV_QUOTE_OPEN"),
    ] {
        check(text, expect);
    }
    let latin = b"indicator;quantity;note\n1.1;1;caf\xe9\n1.2;2;x\n\xff;3;\xfe\n";
    assert_eq!(sheet(latin), "3 rows: 2 note NOT_UTF8; 4 indicator NOT_UTF8; 4 note NOT_UTF8");
    assert_eq!(sheet(b"PK\x03\x04\x14\x00"), "2 NOT_PLAIN_TEXT");
    assert_eq!(sheet(b"\xff\xfei\x00n\x00"), "2 NOT_UTF8");
    assert_eq!(sheet(b"indicator\x00"), "2 NOT_PLAIN_TEXT");
}

#[test]
fn more_than_one_import_takes_is_said() {
    let rows = "1.1;1\n".repeat(super::sheet::ROWS_MAX);
    let whole = format!("indicator;quantity\n{rows}");
    assert_eq!(read(whole.as_bytes()).unwrap().rows.len(), super::sheet::ROWS_MAX);
    assert_eq!(sheet(format!("{whole}1.1;1").as_bytes()), "4 CSV_TOO_LARGE");
    let long = vec![b'x'; usize::try_from(super::sheet::FILE_BYTES_MAX).unwrap() + 1];
    assert_eq!(sheet(&long), "4 CSV_TOO_LARGE");
}

const NOON: Timestamp = Timestamp(1_715_659_200_000_000);

/// What a row under the header of every column says, or what is wrong with it.
#[track_caller]
fn row(cells: &str, expect: &str) {
    let state = plan_2024();
    let header = "indicator;quantity;numerator;denominator;text;on;place;note";
    let sheet = read(format!("{header}\n{cells}\n").as_bytes()).unwrap();
    let got = match facts(&Context::default(), &state, NOON, &sheet) {
        Ok(facts) => {
            let fact = &facts[0];
            let code = &state.indicator(fact.add.indicator).unwrap().code;
            let texts = format!("{}|{}", fact.texts.place, fact.texts.note);
            format!("{code} {} {} {texts}", render::reading(&fact.add.reading), fact.add.on)
        }
        Err(wrong) => problems(&wrong),
    };
    assert_eq!(got, expect, "{cells:?}");
}

#[test]
fn rows_are_understood_as_entry_add_understands_its_options() {
    assert_eq!(Zone::Jakarta.date_at(NOON), Date::parse("2024-05-14").unwrap());
    row("1.1.2.2;12;;;;2024-05-13;Pasar Baru;dua hari", "1.1.2.2 12 2024-05-13 Pasar Baru|dua hari");
    row("uttp tera ulang;1.234,5;;;;;;", "1.1.2.2 1.234,5 2024-05-14 |");
    row("\"uttp\ntera ulang\";1;;;;;;", "1.1.2.2 1 2024-05-14 |");
    row("1.1.2.2;;57;60;;;;", "1.1.2.2 57 / 60 2024-05-14 |");
    row("1.1.2.2;;;;WTP;;;", "1.1.2.2 WTP 2024-05-14 |");
}

#[test]
fn everything_that_is_wrong_with_a_row_is_told() {
    for (cells, expect) in [
        ("UTTP;1;;;;;;", "2 indicator AMBIGUOUS_INDICATOR"),
        (";1;;;;;;", "2 indicator UNKNOWN_INDICATOR"),
        (
            "9.9;1.234;;;;14/05/2024;;",
            "2 on BAD_DATE; 2 indicator UNKNOWN_INDICATOR; 2 quantity AMBIGUOUS_NUMBER",
        ),
        ("1.1.2.2;dua;;;;2024-02-30;;", "2 on BAD_DATE; 2 quantity NOT_A_NUMBER"),
        ("1.1.2.2;;1.000;x;;;;", "2 numerator AMBIGUOUS_NUMBER; 2 denominator NOT_A_NUMBER"),
        ("1.1.2.2;;;;;;Pasar;", "2 READING_MISSING"),
        ("1.1.2.2;;5;;;;;", "2 denominator READING_HALF"),
        ("1.1.2.2;;;5;;;;", "2 numerator READING_HALF"),
        ("1.1.2.2;1;;;A;;;", "2 text READING_SEVERAL"),
        ("1.1.2.2;1;2;3;;;;", "2 denominator READING_SEVERAL"),
        ("1.1.2.2;1;;;;;\"a\nb\";\"a\u{1b}[2J\"", "2 place TEXT_UNPRINTABLE; 2 note TEXT_UNPRINTABLE"),
        ("1.1.2.2;;;;\u{202e}A;;;", "2 text TEXT_UNPRINTABLE"),
    ] {
        row(cells, expect);
    }
}

#[test]
fn a_problem_is_told_with_its_line_and_the_sheets_own_name_of_the_column() {
    let state = plan_2024();
    let sheet = read("indikator;jumlah\n\n1.1.2.2;1.234\n".as_bytes()).unwrap();
    let wrong = facts(&Context::default(), &state, NOON, &sheet).unwrap_err();
    let json = wrong[0].json();
    assert_eq!(
        (&json["line"], &json["column"], &json["code"]),
        (&3.into(), &"jumlah".into(), &"AMBIGUOUS_NUMBER".into())
    );
    assert!(json["hint"].as_str().unwrap().contains("1,234"), "{json}");
    assert!(wrong[0].in_words().starts_with("line 3, jumlah: \"1.234\""), "{}", wrong[0].in_words());
}
