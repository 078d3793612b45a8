//! The worked figures of the domain's description, each through the command line's JSON on the real programs.
#![allow(clippy::unwrap_used)]

use renaksi_tests::plans::{UNIT, small};
use renaksi_tests::{Device, Office};
use serde_json::{Value, json};

/// Kinds, polarity and what else the import cannot know are set while the plan is draft.
fn office(rows: &[(&str, [&str; 4])], settings: &[&[&str]]) -> (Office, Device, Device) {
    let mut office = Office::found();
    let administrator = office.enroll("perencana-1", "administrator", None);
    let head = office.enroll("kadis-1", "head-of-office", None);
    let file = office.path("plan.txt");
    std::fs::write(&file, small(rows)).unwrap();
    administrator.ok(&["plan", "import", &file.display().to_string()]);
    for set in settings {
        administrator.ok(&[&["indicator", "set"], *set].concat());
    }
    administrator.ok(&["plan", "establish", "--basis", "Keputusan Kepala Dinas Nomor 1/2024"]);
    head.ok(&["plan", "approve"]);
    let officer = office.enroll("petugas-1", "officer", Some(UNIT));
    let kabid = office.enroll("kabid-1", "head-of-unit", Some(UNIT));
    (office, officer, kabid)
}

fn verify_all(officer: &Device, kabid: &Device) {
    officer.ok(&["sync"]);
    kabid.ok(&["sync"]);
    kabid.ok(&["entry", "verify", "--all"]);
    officer.ok(&["sync"]);
}

fn year(row: &Value) -> [&Value; 3] {
    [&row["year"]["target"], &row["year"]["realised_verified"], &row["year"]["achievement"]]
}

#[test]
fn a_sum_of_945_becomes_1025_by_a_revision_in_july_and_5_july_still_says_945() {
    let plan = small(&[("UTTP", ["70", "585", "120", "170"])]);
    let (office, administrator, head) = Office::established(&plan);
    assert_eq!(administrator.row("1.1.1.1", &[])["year"]["target"], "945");
    office.set_clock("2024-07-10T03:00:00Z");
    let basis =
        ["--basis", "Keputusan Kepala Dinas", "--basis-number", "27/2024", "--basis-date", "2024-07-09"];
    let draft = ["revision", "draft", "--number", "1", "--reason", "pasar baru", "--effective", "3"];
    administrator.ok(&[draft.as_slice(), &basis].concat());
    administrator.ok(&["revision", "add", "1", "1.1.1.1", "--target", "3=200"]);
    administrator.ok(&["revision", "submit", "1"]);
    head.ok(&["revision", "approve", "1"]);
    let now = head.row("1.1.1.1", &["--quarter", "3"]);
    assert_eq!(now["targets"], json!(["70", "585", "200", "170"]));
    assert_eq!(now["targets_original"], json!(["70", "585", "120", "170"]));
    assert_eq!((&now["year"]["target"], &now["year"]["target_original"]), (&json!("1025"), &json!("945")));
    let then = head.row("1.1.1.1", &["--quarter", "3", "--as-of", "2024-07-05"]);
    assert_eq!((&then["targets"][2], &then["year"]["target"]), (&json!("120"), &json!("945")));
    office.end(&[&head]);
}

#[test]
fn a_running_total_is_156_and_not_390_and_persons_are_28_and_not_112() {
    let (office, officer, kabid) = office(
        &[("koperasi", ["39", "78", "117", "156"]), ("orang", ["28", "28", "28", "28"])],
        &[&["1.1.1.2", "--kind", "latest"]],
    );
    let rows = [officer.row("1.1.1.1", &[]), officer.row("1.1.1.2", &[])];
    assert_eq!((&rows[0]["kind"], &rows[1]["kind"]), (&json!("cumulative"), &json!("latest")));
    assert_eq!((&rows[0]["year"]["target"], &rows[1]["year"]["target"]), (&json!("156"), &json!("28")));
    for (on, clock) in [
        ("2024-03-20", "2024-03-20T03:00:00Z"),
        ("2024-06-20", "2024-06-20T03:00:00Z"),
        ("2024-09-20", "2024-09-20T03:00:00Z"),
        ("2024-12-20", "2024-12-20T03:00:00Z"),
    ] {
        office.set_clock(clock);
        officer.add("1.1.1.1", "39", on);
        officer.add("1.1.1.2", "28", on);
    }
    verify_all(&officer, &kabid);
    let rows = [officer.row("1.1.1.1", &["--quarter", "4"]), officer.row("1.1.1.2", &["--quarter", "4"])];
    assert_eq!(rows[0]["realised"], json!(["39", "78", "117", "156"]));
    assert_eq!(year(&rows[0]), [&json!("156"), &json!("156"), &json!("100.00")]);
    assert_eq!(rows[1]["realised"], json!(["28", "28", "28", "28"]));
    assert_eq!(year(&rows[1]), [&json!("28"), &json!("28"), &json!("100.00")]);
    office.end(&[&officer]);
}

#[test]
fn r11_parts_make_57_5_and_not_65_and_without_parts_the_last_stands_and_says_so() {
    let (office, officer, kabid) = office(
        &[("%", ["60", "60", "60", "60"]), ("%", ["60", "60", "60", "60"])],
        &[&["1.1.1.1", "--kind", "ratio"]],
    );
    office.set_clock("2024-02-20T03:00:00Z");
    let parts = |numerator, denominator| {
        let add = ["entry", "add", "1.1.1.1", "--on", "2024-02-20"];
        officer.ok(&[add.as_slice(), &["--numerator", numerator, "--denominator", denominator]].concat());
    };
    parts("3000", "6000");
    parts("1600", "2000");
    officer.add("1.1.1.2", "50", "2024-02-19");
    officer.add("1.1.1.2", "80", "2024-02-20");
    verify_all(&officer, &kabid);
    let rows = [officer.row("1.1.1.1", &["--quarter", "1"]), officer.row("1.1.1.2", &["--quarter", "1"])];
    assert_eq!((&rows[0]["realised"][0], &rows[0]["achievement"][0]), (&json!("57.50"), &json!("95.83")));
    assert_eq!(rows[0]["reason"][0], Value::Null);
    assert_eq!((&rows[1]["realised"][0], &rows[1]["reason"][0]), (&json!("80"), &json!("NOT_AGGREGABLE")));
    office.end(&[&officer]);
}

#[test]
fn r9_lower_is_better_with_nothing_at_all_is_200_percent() {
    let (office, officer, kabid) = office(
        &[("pengaduan", ["5", "5", "5", "5"]), ("pengaduan", ["5", "5", "5", "5"])],
        &[&["1.1.1.1", "--polarity", "lower"], &["1.1.1.2", "--polarity", "lower", "--formula", "inverse"]],
    );
    office.set_clock("2024-02-20T03:00:00Z");
    officer.add("1.1.1.1", "0", "2024-02-20");
    officer.add("1.1.1.2", "0", "2024-02-20");
    verify_all(&officer, &kabid);
    let rows = [officer.row("1.1.1.1", &["--quarter", "1"]), officer.row("1.1.1.2", &["--quarter", "1"])];
    assert_eq!(
        (&rows[0]["achievement"][0], &rows[0]["rating"][0]),
        (&json!("200.00"), &json!("Sangat Tinggi"))
    );
    assert_eq!(
        (&rows[1]["achievement"][0], &rows[1]["reason"][0]),
        (&Value::Null, &json!("REALISATION_ZERO"))
    );
    office.end(&[&officer]);
}

#[test]
fn r8_zero_reached_is_0_percent_and_nothing_reported_is_not() {
    let (office, officer, kabid) = office(&[("laporan", ["-", "", "0", "15"])], &[]);
    office.set_clock("2024-10-20T03:00:00Z");
    let reasons = |row: &Value| row["reason"].clone();
    let blank = officer.row("1.1.1.1", &["--quarter", "4"]);
    assert_eq!(blank["targets"], json!(["not planned", "missing", "0", "15"]));
    assert_eq!(
        reasons(&blank),
        json!(["TARGET_NOT_PLANNED", "TARGET_MISSING", "TARGET_ZERO", "NOT_REPORTED"])
    );
    for on in ["2024-02-20", "2024-05-20", "2024-08-20", "2024-10-20"] {
        officer.add("1.1.1.1", "0", on);
    }
    verify_all(&officer, &kabid);
    let row = officer.row("1.1.1.1", &["--quarter", "4"]);
    assert_eq!(row["achievement"], json!([null, null, null, "0.00"]));
    assert_eq!(row["rating"][3], "Sangat Rendah");
    assert_eq!(reasons(&row), json!(["TARGET_NOT_PLANNED", "TARGET_MISSING", "TARGET_ZERO", null]));
    office.end(&[&officer]);
}

#[test]
fn a_roll_up_is_the_mean_of_what_can_be_computed_with_how_many_were_left_out() {
    let (office, officer, kabid) = office(
        &[
            ("UTTP", ["70", "1", "1", "1"]),
            ("laporan", ["10", "1", "1", "1"]),
            ("unit", ["-", "1", "1", "1"]),
        ],
        &[],
    );
    office.set_clock("2024-02-20T03:00:00Z");
    officer.add("1.1.1.1", "70", "2024-02-20");
    officer.add("1.1.1.2", "5", "2024-02-20");
    verify_all(&officer, &kabid);
    let program = officer.row("1.1.1", &["--quarter", "1"]);
    let of = |value: &Value| value["roll_up"]["quarters"][0].clone();
    assert_eq!(of(&program)["achievement"], "75.00");
    assert_eq!((&of(&program)["counted"], &of(&program)["left_out"]), (&json!(2), &json!(1)));
    assert_eq!(of(&program)["rating"], "Sedang");
    assert_eq!(program["achievement"][0], Value::Null, "its own indicator is not reported");
    let objective = officer.row("1", &["--quarter", "1"]);
    assert_eq!((&of(&objective)["achievement"], &of(&objective)["left_out"]), (&Value::Null, &json!(1)));
    assert_eq!(officer.row("1.1.1.1", &[])["roll_up"], Value::Null);
    let report = officer.ok(&["report", "--quarter", "1", "--format", "json"]);
    let rows = report["rows"].as_array().unwrap();
    let in_report = &rows.iter().find(|row| row["code"] == "1.1.1").unwrap()["roll_up"];
    assert_eq!(in_report["quarter"], of(&program));
    assert_eq!(report["objectives"][0]["roll_up"]["quarter"], of(&objective));
    for language in ["en", "id"] {
        let shown = officer.says(language, &["indicator", "show", "1.1.1", "--quarter", "1"]).stdout;
        assert!(shown.contains("75,00 (2/3)"), "{shown}");
    }
    office.end(&[&officer]);
}
