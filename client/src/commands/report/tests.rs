use renaksi_domain::Command;
use renaksi_domain::narrative::{SetNarrative, Texts};
use renaksi_domain::quarter::PlanQuarter;
use renaksi_domain::time::Quarter;

use super::csv::{harmless, quoted, render};
use super::file::write_whole;
use super::rows::{json, rows};
use super::{narrative_columns, table};
use crate::commands::audit::fixture::Office;
use crate::text;

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
    let csv = render(&rows(&office.state, TW3), TW3, None);
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
fn a_narrative_stands_in_its_row_of_every_form() {
    let mut office = Office::established();
    let plain = table(false, &office.state, TW3);
    assert!(!plain.contains(&text::say("narrative.driver")), "no column that nothing stands in");
    let texts = Texts { driver: "=Pasar, baru".into(), obstacle: "Hujan".into(), ..Texts::default() };
    let indicator = office.state.plan(2024).unwrap().indicators[2];
    let set = SetNarrative { indicator, quarter: Quarter::Q3, base: 0, texts };
    office.done(Command::Narrative(set));
    let row = &json(&office.state, TW3)["rows"][2];
    let told = [&row["drivers"], &row["obstacles"], &row["follow_up"]].map(|text| text.as_str());
    assert_eq!(told, [Some("=Pasar, baru"), Some("Hujan"), None]);
    let csv = render(&rows(&office.state, TW3), TW3, None);
    assert!(csv.contains(",\"'=Pasar, baru\",Hujan,,Bidang Perdagangan,"), "{csv}");
    // The table has a column for each that is written anywhere.
    let rows = rows(&office.state, TW3);
    assert_eq!(narrative_columns(&rows), [true, true, false]);
}

#[test]
fn rows_say_what_stands_below_them_comes_to() {
    let mut office = Office::established();
    let verified = office.entry("2024-07-09", "60");
    office.verify(verified);
    let report = json(&office.state, TW3);
    let program = &report["rows"][1]["roll_up"];
    assert_eq!(
        program["quarter"],
        serde_json::json!({
            "achievement": "50.00", "achievement_reported": "50.00", "counted": 1, "left_out": 0, "counted_reported": 1,
            "left_out_reported": 0, "rating": "Sangat Rendah",
        })
    );
    assert_eq!(
        (&program["to_date"]["counted"], &program["year"]["achievement"]),
        (&1.into(), &"6.35".into())
    );
    assert!(report["rows"][2].as_object().unwrap().contains_key("roll_up"));
    assert_eq!(report["rows"][2]["roll_up"], serde_json::Value::Null);
    let objective = &report["objectives"][0];
    assert_eq!((&objective["code"], &objective["name"]), (&"1".into(), &"Perdagangan meningkat".into()));
    assert_eq!(objective["roll_up"]["quarter"]["left_out"], 1);
}

#[test]
fn what_the_first_release_locked_has_no_roll_ups() {
    let mut office = Office::established();
    office.entry("2024-07-09", "60");
    let now = json(&office.state, TW3);
    office.state.rules = 1;
    let then = json(&office.state, TW3);
    assert!(!then.to_string().contains("roll_up") && then.get("objectives").is_none(), "{then}");
    let mut same = now;
    same.as_object_mut().unwrap().remove("objectives");
    for row in same["rows"].as_array_mut().unwrap() {
        row.as_object_mut().unwrap().remove("roll_up");
    }
    assert_eq!(same, then);
}

#[test]
fn rows_without_a_figure_say_why_once() {
    let mut office = Office::established();
    office.entry("2024-07-09", "60");
    let rows = rows(&office.state, TW3);
    let note = |at: usize| rows[at].note(crate::text::Language::Indonesian, TW3);
    assert_eq!(
        note(0),
        "TW 3: tidak direncanakan; s.d. TW 3: belum dilaporkan; tahun: target kosong (7,8, belum lengkap)"
    );
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
    let first = (render(&rows(&locked, TW3), TW3, None), json(&locked, TW3).to_string());
    let mut again = Office::established();
    again.entry("2024-07-09", "60");
    again.lock(Quarter::Q3);
    assert_eq!(first, (render(&rows(&again.state, TW3), TW3, None), json(&again.state, TW3).to_string()));
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

#[cfg(unix)]
#[test]
fn a_link_stays_a_link_and_its_target_is_written() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir(path("archive")).unwrap();
    std::fs::write(path("archive/laporan.csv"), "old").unwrap();
    std::fs::set_permissions(path("archive/laporan.csv"), std::fs::Permissions::from_mode(0o640)).unwrap();
    symlink("archive/laporan.csv", path("one.csv")).unwrap();
    symlink("one.csv", path("two.csv")).unwrap();
    write_whole(&path("two.csv"), b"new").unwrap();
    assert_eq!(std::fs::read(path("archive/laporan.csv")).unwrap(), b"new");
    assert!(path("one.csv").is_symlink() && path("two.csv").is_symlink());
    let mode = std::fs::metadata(path("archive/laporan.csv")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640, "the file keeps its permissions");
    symlink("archive/later.csv", path("dangling.csv")).unwrap();
    write_whole(&path("dangling.csv"), b"new").unwrap();
    assert!(path("dangling.csv").is_symlink() && path("archive/later.csv").is_file());
    symlink("loop.csv", path("loop.csv")).unwrap();
    assert_eq!(write_whole(&path("loop.csv"), b"new").unwrap_err().exit_code(), 1);
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_left_alone() {
    use std::os::unix::fs::FileTypeExt;
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for path in [socket.as_path(), folder.path(), std::path::Path::new("/dev/null")] {
        let error = write_whole(path, b"new").unwrap_err();
        assert_eq!((error.exit_code(), error.cause().code.as_str()), (1, "IO_FAILED"), "{}", path.display());
        assert!(error.cause().details[0].1.contains(&path.display().to_string()));
    }
    assert!(std::fs::symlink_metadata(&socket).unwrap().file_type().is_socket());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn the_csv_of_a_training_office_says_so_in_its_first_row() {
    let office = Office::established();
    let rows = rows(&office.state, TW3);
    let (plain, marked) = (render(&rows, TW3, None), render(&rows, TW3, Some("Dinas \"Contoh\", Kota")));
    let (first, rest) = marked.split_once("\r\n").unwrap();
    assert!(first.starts_with("LATIHAN / REHEARSAL,\"Dinas \"\"Contoh\"\", Kota\","), "{first}");
    assert_eq!(rest, plain);
    let heads = plain.lines().next().unwrap().matches(',').count();
    assert_eq!(first.matches(',').count(), heads + 1, "as many cells, and the comma of the name");
    assert_eq!(json(&office.state, TW3)["rehearsal"], true);
    let mut real = office.state;
    real.office.as_mut().unwrap().rehearsal = false;
    assert!(json(&real, TW3).get("rehearsal").is_none());
}
