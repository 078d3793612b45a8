//! Small documents of our own making: odd notations, gaps and damage, each with what must be said about it.

#![allow(clippy::unwrap_used)]

use renaksi_documents::{PlanDocument, ReadError, RowLevel, txt};

const TITLE: &str = "RENCANA AKSI\nDINAS CONTOH\nTAHUN 2024\n\n";
const HEADING: &str = "\t\n\tSASARAN STRATEGIS\n\tPROGRAM\n\tKEGIATAN/SUB KEGIATAN\n\tPENANGGUNG\nJAWAB\n\n\
                       \tURAIAN\n\tINDIKATOR KINERJA\n\tSatuan\n\tTARGET\n\tURAIAN\n\tINDIKATOR KINERJA\n\tSATUAN\n\
                       \tTARGET\n\tURAIAN\n\tINDIKATOR KINERJA\n\tSATUAN\n\tTARGET\n\t\n\n";
const NUMBERING: &str = "\t1\n\t2\n\t\n\t3\n\t4\n\t5\n\t6\n\t7\n\t8\n\t9\n\t10\n\t11\n\t12\n\n";
/// The line of the first row's first cell.
const BODY_LINE: u32 = 40;

type Cells = Vec<[String; 13]>;

/// One indicator of each group, each with four quarters, in four rows; row `n` begins in line `BODY_LINE + 14 * n`.
fn small() -> Cells {
    let mut rows: Cells = Vec::new();
    for quarter in 1..=4 {
        let mut row: [String; 13] = Default::default();
        if quarter == 1 {
            for (column, text) in [
                (0, "Meningkatnya mutu"),
                (1, "Indeks mutu"),
                (2, "%"),
                (4, "Program mutu"),
                (5, "Nilai program"),
                (6, "poin"),
                (8, "Kegiatan mutu"),
                (9, "Jumlah laporan"),
                (10, "laporan"),
                (12, "Sekretaris"),
            ] {
                row[column] = text.to_owned();
            }
        }
        for column in [3, 7, 11] {
            row[column] = format!("TW {quarter} = {}", quarter * 10);
        }
        rows.push(row);
    }
    rows
}

/// A second activity below the small plan.
fn second_row(unit: &str, targets: [&str; 4]) -> Cells {
    let mut rows: Cells = vec![Default::default(); 4];
    for (row, target) in rows.iter_mut().zip(targets) {
        row[11] = target.to_owned();
    }
    for (column, text) in [(8, "Kegiatan kedua"), (9, "Jumlah kedua"), (10, unit), (12, "Sekretaris")] {
        rows[0][column] = text.to_owned();
    }
    rows
}

fn body(rows: &Cells) -> String {
    rows.iter().map(|row| row.iter().map(|cell| format!("\t{cell}\n")).collect::<String>() + "\n").collect()
}

fn file(rows: &Cells) -> String {
    format!("{TITLE}{HEADING}{NUMBERING}{}", body(rows))
}

/// The small plan with one cell changed.
fn with(row: usize, column: usize, text: &str) -> String {
    let mut rows = small();
    rows[row][column] = text.to_owned();
    file(&rows)
}

fn read(file: &str) -> Result<PlanDocument, ReadError> {
    txt::read_plan(file.as_bytes())
}

/// The targets of strategic indicator, program and row, a line each, then the warnings that are not about posts, kinds.
fn show(plan: &PlanDocument) -> String {
    let mut out: Vec<String> = Vec::new();
    for measure in plan.measures() {
        out.push(measure.targets.each_ref().map(|target| target.label()).join(" "));
    }
    for warning in &plan.warnings {
        if !["NO_RESPONSIBLE", "KIND_UNCERTAIN"].contains(&warning.code) {
            out.push(format!("{} {}", warning.code, warning.line));
        }
    }
    out.join("; ")
}

#[track_caller]
fn check(file: &str, expect: &str) {
    let got = match read(file) {
        Ok(plan) => show(&plan),
        Err(error) => {
            format!("{} {}", error.code(), error.line().map_or("-".to_owned(), |line| line.to_string()))
        }
    };
    assert_eq!(got, expect);
}

const PLAIN: &str = "10 20 30 40";

#[test]
fn notations_of_targets() {
    assert_eq!(read(&file(&small())).unwrap().objectives[0].line, BODY_LINE);
    for (cell, q1, warning) in [
        ("TW 1 = 7,8", "7.8", ""),
        ("TW I = 7,80", "7.80", ""),
        ("TW1=54.54", "54.54", ""),
        ("tw 1 =1.234,5", "1234.5", ""),
        ("TW 1 = 100 %", "100", ""),
        ("TW 1 =\t100", "100", "TAB_IN_CELL"),
        ("TW 1 = 0", "0", ""),
        ("TW 1 = -2,24", "-2.24", ""),
        ("Triwulan 1 : WTP", "WTP", ""),
        ("TW 1 = Level 3", "Level 3", ""),
        ("TW 1 = --", "not planned", ""),
        ("TW 1 = –", "not planned", ""),
        ("TW 1 =", "missing", "TARGET_MISSING"),
        ("", "missing", "TARGET_MISSING"),
        ("TW 1 = 1.234", "missing", "AMBIGUOUS_NUMBER"),
        ("TW 1 = 12 dokumen", "missing", "NOT_A_NUMBER"),
        ("TW 1 = Rp 5.000", "missing", "NOT_A_NUMBER"),
        ("TW 1 = 1,234.5", "missing", "NOT_A_NUMBER"),
        ("TW 1 = 1000000000000000", "missing", "NUMBER_OUT_OF_RANGE"),
        ("TW 1 = 5 TW 2 = 6", "missing", "TARGET_UNREADABLE"),
        ("TW 1 = TW 2 = 6", "missing", "TARGET_UNREADABLE"),
        ("[bookmark: _GoBack]TW 1 = 5", "5", "BOOKMARK_IN_CELL"),
        ("· TW 1 = 5", "5", ""),
    ] {
        // A quarter without any cell is named at its indicator's name, a cell at itself.
        let line = if cell.is_empty() { BODY_LINE + 8 } else { BODY_LINE + 11 };
        let warning = if warning.is_empty() { String::new() } else { format!("; {warning} {line}") };
        check(&with(0, 11, cell), &format!("{PLAIN}; {PLAIN}; {q1} 20 30 40{warning}"));
    }
}

#[test]
fn quarters_are_placed_by_their_number_only() {
    let mut rows = small();
    rows.reverse();
    let names = std::mem::take(&mut rows[3]);
    let first = std::mem::take(&mut rows[0]);
    let swap = |mut row: [String; 13], other: &[String; 13]| {
        [3, 7, 11].into_iter().for_each(|column| row[column] = other[column].clone());
        row
    };
    rows[0] = swap(names.clone(), &first);
    rows[3] = swap(Default::default(), &names);
    check(&file(&rows), &format!("{PLAIN}; {PLAIN}; {PLAIN}"));

    // The program's quarters go on beside the second activity's.
    let mut rows = small();
    rows.extend(second_row("orang", ["TW 1 = 1", "TW 2 = 5", "TW 3 = 2", "TW 4 = 9"]));
    for (from, to) in [(2, 5), (3, 7)] {
        rows[to][7] = std::mem::take(&mut rows[from][7]);
    }
    check(&file(&rows), &format!("{PLAIN}; {PLAIN}; {PLAIN}; 1 5 2 9"));

    check(
        &with(1, 7, "TW 7 = 20"),
        &format!("{PLAIN}; 10 missing 30 40; {PLAIN}; TARGET_MISSING 44; QUARTER_UNKNOWN 61"),
    );
    check(
        &with(1, 7, "20"),
        &format!("{PLAIN}; 10 missing 30 40; {PLAIN}; TARGET_MISSING 44; TARGET_UNREADABLE 61"),
    );
    check(
        &with(1, 7, "TW 1 = 20"),
        &format!("{PLAIN}; missing missing 30 40; {PLAIN}; TARGET_MISSING 44; QUARTER_CONFLICT 61"),
    );
    check(
        &with(1, 7, "TW 1 = 10,0"),
        &format!("{PLAIN}; 10 missing 30 40; {PLAIN}; TARGET_MISSING 44; QUARTER_REPEATED 61"),
    );
    let mut rows = small();
    rows.insert(0, Default::default());
    rows[0][11] = "TW 1 = 5".to_owned();
    rows[0][0] = "-".to_owned();
    check(&file(&rows), "ROW_INCOMPLETE 40");
    rows[0][0] = String::new();
    check(&file(&rows), &format!("{PLAIN}; {PLAIN}; {PLAIN}; TARGET_WITHOUT_INDICATOR 51"));
}

#[test]
fn units_posts_and_levels() {
    let level = |unit: &str| {
        let mut rows = small();
        rows.extend(second_row(unit, ["TW 1 = 1", "TW 2 = 1", "TW 3 = 1", "TW 4 = 1"]));
        let plan = read(&file(&rows)).unwrap();
        let rows = &plan.objectives[0].indicators[0].programs[0].rows;
        assert_eq!(rows[0].level, RowLevel::Activity);
        rows[1].level
    };
    assert_eq!(level("%"), RowLevel::Activity);
    assert_eq!(level("Persen"), RowLevel::Activity);
    assert_eq!(level("orang"), RowLevel::SubActivity);

    let ok = format!("{PLAIN}; {PLAIN}; {PLAIN}");
    check(&with(0, 10, ""), &format!("{ok}; UNIT_MISSING 48"));
    check(&with(0, 12, ""), &format!("{ok}; RESPONSIBLE_MISSING 48"));
    check(&with(1, 12, "Sekretaris"), &ok);
    check(&with(1, 12, "Bendahara"), &format!("{ok}; CELL_IGNORED 66"));
    check(&with(2, 6, "dokumen"), &format!("{ok}; CELL_IGNORED 74"));
    check(&with(0, 8, "Kegiatan\n\nmutu"), &format!("{ok}; TEXT_AFTER_BLANK_LINE 48"));
    check(&with(0, 8, "Kegiatan\nmutu\n\n"), &ok);

    let mut rows = small();
    rows.extend(second_row("orang", ["TW 1 = 5,5", "TW 2 = 5.4", "TW 3 = 1", "TW 4 = 2.2"]));
    rows[4][12] = "SEKRETARIS ".to_owned();
    check(
        &file(&rows),
        &format!(
            "{ok}; 5.5 5.4 1 2.2; RESPONSIBLE_SPELLING 104; MIXED_DECIMAL_MARKS 107; MIXED_DECIMAL_MARKS 121"
        ),
    );

    let mut rows = small();
    rows.extend(small());
    rows[4][0] = String::new();
    rows[4][1] = "Terwujudnya mutu".to_owned();
    check(&file(&rows), &format!("{ok}; {ok}; READS_LIKE_OBJECTIVE 97"));
}

#[test]
fn titles() {
    let title = |title: &str| file(&small()).replacen(TITLE, title, 1);
    for (text, office, year) in [
        ("RENCANA AKSI\nDINAS A\nDAN B\nTAHUN 2025\n", "DINAS A DAN B", 2025),
        ("Rencana Aksi Dinas A Tahun Anggaran 2023\n", "Dinas A", 2023),
        ("LAMPIRAN I\n\nRENCANA AKSI :\n\nDINAS A\n\nTAHUN: 2024\n", "DINAS A", 2024),
    ] {
        let plan = read(&title(text)).unwrap();
        assert_eq!((plan.office.as_str(), plan.year), (office, year), "{text:?}");
    }
    check(&title(""), "NOT_A_PLAN 1");
    check(&title("LAPORAN KINERJA\nDINAS A\nTAHUN 2024\n"), "NOT_A_PLAN 1");
    check(&title("RENCANA AKSI\nDINAS A\n"), "NOT_A_PLAN 1");
    check(&title("\nRENCANA AKSI\nDINAS A\nTAHUN 20X4\n"), "NOT_A_PLAN 2");
    check(&title("RENCANA AKSI\nTAHUN 2024\n"), "NOT_A_PLAN 1");
    check(&title("RENCANA AKSI\nDINAS A\nTAHUN 1024\n"), "NOT_A_PLAN 1");
    check(&title("RENCANA AKSI\nA\nTAHUN 2024\nRENCANA AKSI\nB\nTAHUN 2024\n"), "TWO_PLANS 4");
    check("", "NOT_A_PLAN 1");
}

#[test]
fn tables_that_are_none_or_not_whole() {
    let rows = body(&small());
    check(TITLE, "TABLE_MISSING 5");
    check(&format!("{TITLE}{rows}"), "TABLE_MISSING 5");
    check(&format!("{TITLE}\tSASARAN STRATEGIS\n"), "TABLE_MISSING 5");
    check(&format!("{TITLE}{}", &HEADING[..HEADING.len() / 2]), "TABLE_MISSING 6");
    check(&file(&small()).replacen("\tSATUAN", "\tPAGU", 1), "UNKNOWN_COLUMNS 18");
    check(&format!("{TITLE}{HEADING}"), "HALF_PLAN 26");
    check(&format!("{TITLE}{HEADING}{NUMBERING}"), "HALF_PLAN 40");
    check(&format!("{TITLE}{HEADING}{rows}"), &format!("{PLAIN}; {PLAIN}; {PLAIN}"));

    for (kept, expect) in [
        (1, "HALF_PLAN 54"),
        (2, "HALF_PLAN 68"),
        (3, "HALF_PLAN 82"),
        (4, "10 20 30 40; 10 20 30 40; 10 20 30 40"),
    ] {
        check(&file(&small()[..kept].to_vec()), expect);
    }
    let mut rows = small();
    rows.extend(small());
    rows[4][8..=10].fill(String::new());
    rows[4][12] = String::new();
    rows[4..].iter_mut().for_each(|row| row[11] = String::new());
    check(&file(&rows), "HALF_PLAN 152");

    let whole = file(&small());
    check(whole.trim_end_matches(['\t', '\n']), &format!("{PLAIN}; {PLAIN}; {PLAIN}; SHORT_ROW 93"));
    check(&whole[..whole.len() - 14], "HALF_PLAN 92");
}

#[test]
fn rows_out_of_step() {
    let whole = file(&small());
    let lines: Vec<&str> = whole.split('\n').collect();
    let changed = |at: u32, text: Option<&str>| {
        let mut lines = lines.clone();
        lines.splice(at as usize - 1..at as usize, text);
        lines.join("\n")
    };
    let second = BODY_LINE + 14;
    check(&changed(second, None), "ROW_MISALIGNED 54");
    check(&changed(second + 9, None), "ROW_MISALIGNED 54");
    check(&changed(second + 2, Some("\t\n\t")), "ROW_MISALIGNED 54");
    // Only the last cell of a row can be absent without moving a target.
    check(&changed(second + 12, None), &format!("{PLAIN}; {PLAIN}; {PLAIN}; SHORT_ROW 65"));
    check(&changed(second + 12, Some("\t\n\t")), "ROW_MISALIGNED 54");
    check(&changed(second + 11, Some("TW 2 = 20")), "ROW_MISALIGNED 54");
    // Without the line that separates two rows nothing has slipped, but the rows can no longer be told apart.
    check(&changed(second + 13, None), "ROW_MISALIGNED 54");
    // A dump without any blank line is cut by its cells alone.
    check(&whole.replace("\n\n", "\n"), &format!("{PLAIN}; {PLAIN}; {PLAIN}"));

    check(&with(0, 9, ""), "ROW_INCOMPLETE 48");
    check(&with(0, 8, ""), "ROW_INCOMPLETE 49");
    check(&with(1, 5, "Nilai lain"), "ROW_INCOMPLETE 59");
    check(&with(0, 1, ""), "ROW_INCOMPLETE 40");
    check(&with(0, 0, ""), "ROW_INCOMPLETE 41");
    let mut rows = small();
    rows[0][4..=6].fill(String::new());
    check(&file(&rows), "ROW_INCOMPLETE 48");
    check(&with(0, 8, &"x".repeat(5000)), "CELL_TOO_LONG 48");

    check(&format!("{whole}{whole}"), "TWO_PLANS 96");
    check(&format!("{whole}{HEADING}{}", body(&small())), "TWO_PLANS 97");
    check(&with(0, 8, "Penyusunan\nRENCANA AKSI dinas"), &format!("{PLAIN}; {PLAIN}; {PLAIN}"));
}

#[test]
fn bytes_that_are_no_plain_text() {
    let text = file(&small());
    let utf16 = |order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
    let ansi: Vec<u8> = text.replace("mutu", "mut\u{e9}").chars().map(|c| c as u8).collect();
    let docx = b"PK\x03\x04\x14\0\0\0\x08\0........word/document.xml".to_vec();
    for (bytes, code, says) in [
        (docx, "NOT_PLAIN_TEXT", "the file is a Word document (.docx), not plain text"),
        (b"PK\x03\x04....xl/workbook.xml".to_vec(), "NOT_PLAIN_TEXT", "Excel workbook (.xlsx)"),
        (b"%PDF-1.7\n".to_vec(), "NOT_PLAIN_TEXT", "a PDF document"),
        (b"{\\rtf1\\ansi".to_vec(), "NOT_PLAIN_TEXT", "(.rtf)"),
        (b"\xD0\xCF\x11\xE0\xA1\xB1".to_vec(), "NOT_PLAIN_TEXT", "(.doc or .xls)"),
        (b"<!DOCTYPE html><title>RENCANA AKSI</title>".to_vec(), "NOT_PLAIN_TEXT", "a web page"),
        (b"RENCANA AKSI\nA\0B".to_vec(), "NOT_PLAIN_TEXT", "a binary file"),
        (utf16(u16::to_le_bytes), "NOT_UTF8", "UTF-16"),
        ([vec![0xFE, 0xFF], utf16(u16::to_be_bytes)].concat(), "NOT_UTF8", "UTF-16"),
        (ansi, "NOT_UTF8", "line 40, byte 301: this is not UTF-8; the file looks like Windows-1252"),
        (
            text.replace("mutu", "mutu\x1b[31m").into_bytes(),
            "CONTROL_CHARACTER",
            "line 40: the control character U+001B",
        ),
    ] {
        let error = txt::read_plan(&bytes).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(says), "{error}");
        assert!(!error.hint().is_empty());
    }
}

#[test]
fn r13_a_stated_year_that_the_quarters_do_not_come_to_warns_and_goes_on() {
    let year = |unit: &str, targets: [&str; 4], cells: &[&str]| {
        let mut rows = small();
        rows.extend(second_row(unit, targets));
        for cell in cells {
            let mut row: [String; 13] = Default::default();
            row[11] = (*cell).to_owned();
            rows.push(row);
        }
        let plan = read(&file(&rows)).unwrap();
        let stated = plan.measures().last().unwrap().year_target.map(|stated| stated.plain());
        let warnings: Vec<String> = plan
            .warnings
            .iter()
            .filter(|warning| warning.code.starts_with("YEAR_"))
            .map(|warning| {
                let details =
                    warning.details.iter().filter(|(key, _)| ["stated", "derived", "kind"].contains(key));
                let details: Vec<&str> = details.map(|(_, value)| value.as_str()).collect();
                format!("{} {} {}", warning.code, warning.line, details.join(" ")).trim().to_owned()
            })
            .collect();
        (stated.unwrap_or_default(), warnings.join("; "))
    };
    let expect = |stated: &str, warnings: &str| (stated.to_owned(), warnings.to_owned());
    let sum = ["TW 1 = 70", "TW 2 = 585", "TW 3 = 120", "TW 4 = 170"];
    let line = BODY_LINE + 14 * 8 + 11;
    let differs = format!("YEAR_TARGET_DIFFERS {line} sum 1000 945");
    assert_eq!(year("UTTP", sum, &["Tahun 2024 = 1000"]), expect("1000", &differs));
    assert_eq!(year("UTTP", sum, &["Tahun = 945,0"]), expect("945.0", ""));
    assert_eq!(year("UTTP", sum, &[]), expect("", ""));
    let growing = ["TW 1 = 39", "TW 2 = 78", "TW 3 = 117", "TW 4 = 156"];
    assert_eq!(year("koperasi", growing, &["Target Tahunan : 156"]), expect("156", ""));
    let differs = format!("YEAR_TARGET_DIFFERS {line} cumulative 390 156");
    assert_eq!(year("koperasi", growing, &["Target Tahunan : 390"]), expect("390", &differs));
    // What is missing is a warning of its own.
    let gap = ["TW 1 = 70", "TW 2 =", "TW 3 = 120", "TW 4 = 170"];
    assert_eq!(year("UTTP", gap, &["Tahun = 1000"]), expect("1000", ""));
    let unclear = format!("YEAR_UNREADABLE {line}");
    assert_eq!(year("UTTP", sum, &["Tahun = 1.000"]), expect("", &unclear));
    assert_eq!(year("UTTP", sum, &["Tahun ="]), expect("", &unclear));
    assert_eq!(year("UTTP", sum, &["Tahun 2023 = 945"]), expect("", &unclear));
    let twice = format!("YEAR_REPEATED {}", line + 14);
    assert_eq!(year("UTTP", sum, &["Tahun = 945", "Tahun = 1000"]), expect("945", &twice));
    assert_eq!(year("UTTP", sum, &["Tahun = 945", "Tahun = 945"]), expect("945", ""));
}
