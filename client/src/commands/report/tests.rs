use renaksi_domain::quarter::PlanQuarter;
use renaksi_domain::time::Quarter;

use super::csv::{harmless, quoted, render};
use super::rows::{json, rows};
use super::write_whole;
use crate::commands::audit::fixture::Office;

const TW3: PlanQuarter = PlanQuarter { year: 2024, quarter: Quarter::Q3 };

#[test]
fn cells_that_a_spreadsheet_would_run_are_made_harmless() {
    for (cell, expected) in [
        ("=1+1", "'=1+1"),
        ("+62 811", "'+62 811"),
        ("-cmd", "'-cmd"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("-2,24", "-2,24"),
        ("-12", "-12"),
        ("-", "-"),
        ("--", "'--"),
        ("-1,", "'-1,"),
        ("945", "945"),
        ("WTP", "WTP"),
        ("", ""),
    ] {
        assert_eq!(harmless(cell), expected, "{cell:?}");
    }
}

#[test]
fn cells_are_quoted_as_rfc_4180_says() {
    for (cell, expected) in
        [("7,8", "\"7,8\""), ("a \"b\"", "\"a \"\"b\"\"\""), ("a\nb", "\"a\nb\""), ("plain", "plain")]
    {
        assert_eq!(quoted(cell), expected);
    }
}

#[test]
fn the_report_has_the_offices_columns() {
    let mut office = Office::established();
    let verified = office.entry("2024-07-09", "100");
    office.entry("2024-08-01", "44,5");
    office.verify(verified);
    let csv = render(&rows(&office.state, TW3), TW3);
    let lines: Vec<&str> = csv.split("\r\n").collect();
    assert_eq!(
        lines[0],
        "No,Sasaran,Program,Kegiatan/Sub Kegiatan,Indikator,Satuan,Target murni TW 1,Target murni TW 2,Target murni TW 3,\
         Target murni TW 4,Target perubahan TW 1,Target perubahan TW 2,Target perubahan TW 3,Target perubahan TW 4,\
         Realisasi TW 1,Realisasi TW 2,Realisasi TW 3,Realisasi TW 4,Capaian TW 3 %,Capaian s.d. TW 3 %,Capaian tahun %,\
         Predikat,Faktor pendorong,Faktor penghambat,Tindak lanjut,Penanggung jawab,Keterangan,Kode"
    );
    assert!(
        lines[1].starts_with("1,Perdagangan meningkat,,,'=Persentase pertumbuhan,%,\"7,8\",\"7,8\",-,,"),
        "{}",
        lines[1]
    );
    assert!(lines[2].contains(",\"Tertib ukur, \"\"UTTP\"\"\",%,-,-,-,5,"), "{}", lines[2]);
    assert!(lines[3].starts_with(
        "3,Perdagangan meningkat,Program Standardisasi,Tera ulang,Jumlah UTTP,UTTP,70,585,120,170,"
    ));
    assert!(
        lines[3].contains(",,,100,,\"83,33\",\"12,90\",\"10,58\",Tinggi,,,,Bidang Perdagangan,,1.1.1.1"),
        "{}",
        lines[3]
    );
    assert_eq!(lines.len(), 5, "three rows, each line ends with CRLF");
    let json = json(&office.state, TW3);
    assert_eq!(json["rows"][2]["realised"][2], "144.5");
    assert_eq!(json["rows"][2]["realised_verified"][2], "100");
    assert_eq!(json["rows"][2]["achievement"]["quarter"], "83.33");
    assert_eq!(json["rows"][0]["targets"], serde_json::json!(["7.8", "7.8", "not planned", "missing"]));
    assert_eq!(json["rows"][0]["reason"]["quarter"], "TARGET_NOT_PLANNED");
}

#[test]
fn rows_without_a_figure_say_why_once() {
    let mut office = Office::established();
    office.entry("2024-07-09", "60");
    let rows = rows(&office.state, TW3);
    let note = |at: usize| rows[at].note(crate::text::Language::Indonesian, TW3);
    assert_eq!(note(0), "TW 3: tidak direncanakan; s.d. TW 3: belum dilaporkan; tahun: target kosong");
    let unverified = note(2);
    assert!(
        unverified.starts_with("TW 3: 50,00 % dilaporkan, belum diverifikasi; s.d. TW 3: "),
        "{unverified}"
    );
}

#[test]
fn the_same_state_gives_the_same_bytes() {
    let mut office = Office::established();
    office.entry("2024-07-09", "60");
    office.lock(Quarter::Q3);
    let locked = office.state.clone();
    let first = (render(&rows(&locked, TW3), TW3), json(&locked, TW3).to_string());
    let mut again = Office::established();
    again.entry("2024-07-09", "60");
    again.lock(Quarter::Q3);
    assert_eq!(first, (render(&rows(&again.state, TW3), TW3), json(&again.state, TW3).to_string()));
}

#[test]
fn a_report_replaces_a_file_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("laporan.csv");
    std::fs::write(&path, "old").unwrap();
    write_whole(&path, b"new").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    let error = write_whole(&folder.path().join("missing/laporan.csv"), b"new").unwrap_err();
    assert_eq!(error.exit_code(), 1);
}
