//! What revisions do and what they may not, with the real programs: FAULTS R13, V1 to V5, additions, caps.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use renaksi_tests::plans::{UNIT, small};
use renaksi_tests::{Device, Office, Ran, adds_up, count, program};
use serde_json::{Value, json};

const ROW: &str = "1.1.1.1";
const OTHER: &str = "1.1.1.2";

struct Story {
    office: Office,
    administrator: Device,
    head: Device,
    officer: Device,
}

/// UTTP 70/585/120/170, and a row of markets beside it.
fn story() -> Story {
    let plan = small(&[("UTTP", ["70", "585", "120", "170"]), ("pasar", ["10", "10", "10", "10"])]);
    let (mut office, administrator, head) = Office::established(&plan);
    let officer = office.enroll("petugas-1", "officer", Some(UNIT));
    Story { office, administrator, head, officer }
}

fn draft(administrator: &Device, number: &str) {
    let basis =
        ["--basis", "Keputusan Kepala Dinas", "--basis-number", "27/2024", "--basis-date", "2024-07-01"];
    let draft = ["revision", "draft", "--number", number, "--reason", "more markets", "--effective", "3"];
    administrator.ok(&[draft.as_slice(), &basis].concat());
}

fn add(administrator: &Device, number: &str, arguments: &[&str]) -> Value {
    administrator.ok(&[&["revision", "add", number], arguments].concat())
}

/// What people see.
fn shown(device: &Device, language: &str, arguments: &[&str]) -> Ran {
    let mut command = Command::new(program("renaksi"));
    let clock = device
        .command(&[])
        .get_envs()
        .find(|(name, _)| *name == "RENAKSI_CLOCK")
        .unwrap()
        .1
        .unwrap()
        .to_owned();
    command
        .env("RENAKSI_CLOCK", clock)
        .arg("--home")
        .arg(device.home())
        .args(["--lang", language])
        .args(arguments);
    let output = command.output().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn v1_a_preview_tells_every_figure_and_the_approval_does_just_that() {
    let Story { office, administrator, head, officer } = story();
    office.set_clock("2024-07-06T03:00:00Z");
    officer.add(ROW, "60", "2024-07-03");
    officer.ok(&["sync"]);
    draft(&administrator, "01/2024");
    add(&administrator, "01/2024", &[ROW, "--target", "3=200"]);
    let preview = administrator.ok(&["revision", "preview", "01/2024"]);
    let row = &preview["indicators"][0];
    assert_eq!(
        (&row["before"]["year"]["target"], &row["after"]["year"]["target"]),
        (&json!("945"), &json!("1025"))
    );
    assert_eq!(row["before"]["achievement_reported"][2], "50.00");
    let differs = row["differs"].as_array().unwrap();
    let third = |figure: &str| {
        differs
            .iter()
            .find(|d| d["period"] == "quarter" && d["figure"] == figure)
            .unwrap_or(&Value::Null)
            .clone()
    };
    assert_eq!(
        (&third("target")["after"], &third("achievement_reported")["after"]),
        (&json!("200"), &json!("30.00"))
    );
    assert!(differs.iter().all(|d| d["quarter"] != 1 && d["quarter"] != 2), "{differs:?}");
    administrator.ok(&["revision", "submit", "01/2024"]);
    office.set_clock("2024-07-10T03:00:00Z");
    head.ok(&["revision", "approve", "01/2024"]);
    officer.ok(&["sync"]);
    let now = officer.row(ROW, &["--quarter", "4"]);
    for key in
        ["targets", "realised", "realised_verified", "achievement", "achievement_reported", "rating", "year"]
    {
        assert_eq!(now[key], row["after"][key], "{key}");
    }
    assert_eq!(now["targets"], json!(["70", "585", "200", "170"]));
    assert_eq!(now["targets_original"], json!(["70", "585", "120", "170"]));
    let then = officer.row(ROW, &["--quarter", "4", "--as-of", "2024-07-05"]);
    assert_eq!((&then["year"]["target"], &then["targets"][2]), (&json!("945"), &json!("120")));
    let report = officer.ok(&["report", "--quarter", "3", "--format", "json"]);
    let row = report["rows"].as_array().unwrap().iter().find(|row| row["code"] == ROW).unwrap();
    assert_eq!((&row["targets_original"][2], &row["targets"][2]), (&json!("120"), &json!("200")));
    office.end(&[&officer, &administrator, &head]);
}

#[test]
fn v2_nothing_of_a_revision_with_a_moved_base_is_applied() {
    let Story { office, administrator, head, officer } = story();
    office.set_clock("2024-07-06T03:00:00Z");
    draft(&administrator, "01/2024");
    draft(&administrator, "02/2024");
    add(&administrator, "01/2024", &[ROW, "--target", "3=200"]);
    add(&administrator, "02/2024", &[OTHER, "--target", "3=99", "--cap", "150"]);
    add(&administrator, "02/2024", &[ROW, "--target", "3=150"]);
    administrator.ok(&["revision", "submit", "01/2024"]);
    administrator.ok(&["revision", "submit", "02/2024"]);
    head.ok(&["revision", "approve", "01/2024"]);
    administrator.ok(&["sync"]);
    let moved = administrator.ok(&["revision", "preview", "02/2024"]);
    assert_eq!(moved["base_moved"][0]["indicator"], ROW);
    let error = head.ends(&["revision", "approve", "02/2024"], 4);
    assert_eq!(
        (&error["error"]["code"], &error["error"]["details"]["other"]),
        (&json!("BASE_MOVED"), &json!("01/2024"))
    );
    assert_eq!(
        (&head.row(ROW, &[])["targets"][2], &head.row(OTHER, &[])["targets"][2]),
        (&json!("200"), &json!("10"))
    );
    assert_eq!(head.ok(&["indicator", "show", OTHER])["settings"]["quarters"][2]["cap"], Value::Null);
    office.end(&[&officer, &administrator, &head]);
}

#[test]
fn v3_work_for_a_retired_indicator_is_held_and_may_count_for_another() {
    let Story { office, administrator, head, officer } = story();
    office.set_clock("2024-07-06T03:00:00Z");
    officer.add(ROW, "3", "2024-07-02");
    officer.add(ROW, "4", "2024-07-03");
    draft(&administrator, "01/2024");
    add(&administrator, "01/2024", &[ROW, "--retire"]);
    administrator.ok(&["revision", "submit", "01/2024"]);
    head.ok(&["revision", "approve", "01/2024"]);
    let sync = officer.ends(&["sync"], 3);
    adds_up(&sync);
    let held = sync["held"].as_array().unwrap();
    assert_eq!(held.len(), 2);
    assert!(held.iter().all(|held| held["code"] == "INDICATOR_RETIRED"), "{sync}");
    administrator.ok(&["sync"]);
    let id = held[0]["entry_id"].as_str().unwrap();
    administrator.ok(&["held", "release", id, "--to", OTHER, "--reason", "the markets' work"]);
    officer.ok(&["sync"]);
    let (retired, other) = (officer.row(ROW, &["--quarter", "3"]), officer.row(OTHER, &["--quarter", "3"]));
    assert_eq!((&retired["realised"][2], &retired["reason"][2]), (&Value::Null, &json!("INDICATOR_RETIRED")));
    assert_eq!(other["realised"][2], "3");
    assert_eq!(retired["targets_original"], json!(["70", "585", "120", "170"]));
    assert_eq!(officer.ok(&["revision", "show", "01/2024"])["changes"][0]["change"], "retire");
    office.end(&[&officer, &administrator, &head]);
}

#[test]
fn v4_a_locked_quarter_is_refused_at_submit_and_named_before() {
    let Story { office, administrator, head, officer } = story();
    office.set_clock("2024-10-03T03:00:00Z");
    draft(&administrator, "01/2024");
    add(&administrator, "01/2024", &[ROW, "--target", "3=200"]);
    administrator.ok(&["quarter", "lock", "3"]);
    head.ok(&["quarter", "approve-lock", "3"]);
    administrator.ok(&["sync"]);
    assert_eq!(administrator.ok(&["revision", "preview", "01/2024"])["locked_quarters"], json!([3]));
    let error = administrator.ends(&["revision", "submit", "01/2024"], 4);
    let details = &error["error"]["details"];
    assert_eq!(error["error"]["code"], "CELL_LOCKED");
    assert_eq!((&details["indicator"], &details["quarter"]), (&json!(ROW), &json!("3")));
    // What is still open may be revised.
    administrator.ok(&["revision", "withdraw", "01/2024"]);
    draft(&administrator, "02/2024");
    add(&administrator, "02/2024", &[ROW, "--target", "4=200"]);
    administrator.ok(&["revision", "submit", "02/2024"]);
    office.end(&[&officer, &administrator, &head]);
}

#[test]
fn v5_an_entry_is_judged_by_the_assignment_of_its_day() {
    let Story { mut office, administrator, officer, .. } = story();
    let operator = office.enroll("operator-1", "operator", None);
    office.set_clock("2024-07-03T03:00:00Z");
    officer.add(ROW, "3", "2024-06-28");
    officer.add(ROW, "4", "2024-07-02");
    operator.ok(&["unit", "add", "Bidang Lain"]);
    operator.ok(&["user", "move", "petugas-1", "--unit", "Bidang Lain", "--from", "2024-07-01"]);
    let sync = officer.ends(&["sync"], 3);
    adds_up(&sync);
    assert_eq!((count(&sync["recorded"]), count(&sync["held"])), (1, 1));
    assert_eq!(sync["held"][0]["code"], "NOT_ASSIGNED");
    let row = officer.row(ROW, &["--quarter", "3"]);
    assert_eq!((&row["realised"][1], &row["realised"][2]), (&json!("3"), &Value::Null));
    office.end(&[&officer, &administrator]);
}

#[test]
fn an_addition_takes_entries_from_its_quarter_on() {
    let Story { office, administrator, head, officer } = story();
    office.set_clock("2024-07-06T03:00:00Z");
    draft(&administrator, "01/2024");
    let new = ["--new", "--under", "program uji", "--name", "Pembinaan", "--measure", "Jumlah pasar dibina"];
    let told = [
        "--satuan",
        "pasar",
        "--kind",
        "sum",
        "--target",
        "3=50",
        "--target",
        "4=60",
        "--year-target",
        "100",
    ];
    let all = [new.as_slice(), &told].concat();
    // The program has no unit: somebody must answer for what is new.
    let error = administrator.ends(&[&["revision", "add", "01/2024"], all.as_slice()].concat(), 2);
    assert_eq!(
        (&error["error"]["code"], &error["error"]["details"]["argument"]),
        (&json!("USAGE"), &json!("--responsible <POST>"))
    );
    let answer =
        add(&administrator, "01/2024", &[all.as_slice(), &["--responsible", "kepala bidang uji"]].concat());
    let added = &answer["added"][0];
    assert_eq!(
        (&added["change"], &added["parent"], &added["level"]),
        (&json!("add"), &json!("1.1.1"), &json!("sub_activity"))
    );
    assert_eq!(added["targets"], json!(["not planned", "not planned", "50", "60"]));
    let preview = administrator.ok(&["revision", "preview", "01/2024"]);
    let row = &preview["indicators"][0];
    assert_eq!(
        (&row["code"], &row["added"], &row["before"]),
        (&json!("1.1.1.3"), &json!(true), &Value::Null)
    );
    assert_eq!(
        (&row["after"]["year"]["target"], &row["after"]["year"]["target_original"]),
        (&json!("110"), &json!("not planned"))
    );
    assert_eq!(preview["warnings"][0]["code"], "YEAR_TARGET_DIFFERS");
    administrator.ok(&["revision", "submit", "01/2024"]);
    let shown_change = &administrator.ok(&["revision", "show", "01/2024"])["changes"][0];
    assert_eq!(
        (&shown_change["code"], &shown_change["measure"]),
        (&json!("1.1.1.3"), &json!("Jumlah pasar dibina"))
    );
    head.ok(&["revision", "approve", "01/2024"]);
    officer.ok(&["sync"]);
    officer.add("1.1.1.3", "20", "2024-07-05");
    let early = officer.ok(&["entry", "add", "pasar dibina", "--quantity", "1", "--on", "2024-06-30"]);
    assert_eq!(early["state"], "pending", "{early}");
    officer.ok(&["sync"]);
    let row = officer.row("1.1.1.3", &["--quarter", "3"]);
    assert_eq!(row["targets_original"], json!(["not planned", "not planned", "not planned", "not planned"]));
    assert_eq!((&row["realised"][2], &row["achievement_reported"][2]), (&json!("20"), &json!("40.00")));
    // Nothing was planned before; what was done counts for the year.
    assert_eq!((&row["realised"][1], &row["year"]["realised"]), (&json!("1"), &json!("21")));
    assert_eq!(officer.ok(&["revision", "list"])["revisions"][0]["changes_by_sort"], json!({ "add": 1 }));
    let log = officer.run(&["audit", "log", "--indicator", "1.1.1.3"]).stdout;
    for kind in ["revision.change_added", "revision.approved", "entry.added"] {
        assert!(log.contains(kind), "{kind} in {log}");
    }
    for (language, word) in [("id", "menambah sub kegiatan"), ("en", "adds the sub-activity")] {
        let show = shown(&officer, language, &["revision", "show", "01/2024"]).stdout;
        assert!(show.contains(word) && show.contains("1.1.1.3"), "{show}");
        let log = shown(&officer, language, &["audit", "log", "--indicator", "1.1.1.3"]).stdout;
        assert!(log.contains(word), "{log}");
    }
    office.end(&[&officer, &administrator, &head]);
}

#[test]
fn a_cap_holds_from_its_quarter_on() {
    let Story { office, administrator, head, officer } = story();
    office.set_clock("2024-07-06T03:00:00Z");
    officer.add(OTHER, "20", "2024-06-03");
    officer.add(OTHER, "20", "2024-07-03");
    officer.ok(&["sync"]);
    draft(&administrator, "01/2024");
    add(&administrator, "01/2024", &[OTHER, "--cap", "150", "--year-target", "55"]);
    for (language, words) in [
        ("id", ["mulai TW 3", "batas atas", "150 %", "target tahunan tertulis", "capaian %"]),
        ("en", ["from TW 3", "cap", "150 %", "stated year target", "achievement %"]),
    ] {
        let said = shown(&administrator, language, &["revision", "preview", "01/2024"]);
        assert!(words.iter().all(|word| said.stdout.contains(word)), "{said:?}");
        assert!(said.stdout.lines().all(|line| line.chars().count() <= 80), "{said:?}");
        assert!(said.stderr.contains("55") && said.stderr.contains("40"), "the year target: {said:?}");
    }
    administrator.ok(&["revision", "submit", "01/2024"]);
    head.ok(&["revision", "approve", "01/2024"]);
    officer.ok(&["sync"]);
    let row = officer.row(OTHER, &["--quarter", "3"]);
    assert_eq!(
        (&row["achievement_reported"][1], &row["achievement_reported"][2]),
        (&json!("200.00"), &json!("150.00"))
    );
    let show = officer.ok(&["revision", "show", "01/2024"]);
    let changes: Vec<(&Value, &Value)> = show["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| (&change["change"], &change["new"]))
        .collect();
    assert_eq!(changes, [(&json!("cap"), &json!("150")), (&json!("year_target"), &json!("55"))]);
    office.end(&[&officer, &administrator, &head]);
}

#[test]
fn r13_a_stated_year_target_warns_and_asks_a_reason() {
    let mut office = Office::found();
    let administrator = office.enroll("perencana-1", "administrator", None);
    let head = office.enroll("kadis-1", "head-of-office", None);
    let file = office.path("plan.txt");
    let plan = small(&[("UTTP", ["70", "585", "120", "170"]), ("koperasi", ["39", "78", "117", "156"])]);
    std::fs::write(&file, plan).unwrap();
    administrator.ok(&["plan", "import", &file.display().to_string()]);
    let set = administrator.ok(&["indicator", "set", ROW, "--year-target", "1000", "--cap", "120"]);
    assert_eq!((&set["year_target"], &set["year_target_derived"]), (&json!("1000"), &json!("945")));
    assert_eq!(
        (&set["warnings"][0]["code"], &set["quarters"][0]["cap"]),
        (&json!("YEAR_TARGET_DIFFERS"), &json!("120"))
    );
    // A running total ends where its last quarter does.
    let set = administrator.ok(&["indicator", "set", OTHER, "--year-target", "156"]);
    assert_eq!((&set["year_target_derived"], &set["warnings"]), (&json!("156"), &json!([])));
    let set = administrator.ok(&["indicator", "set", ROW, "--cap", "none"]);
    assert_eq!((&set["quarters"][0]["cap"], &set["year_target"]), (&Value::Null, &json!("1000")));
    let shown_set = shown(&administrator, "id", &["indicator", "show", ROW]);
    assert!(shown_set.stdout.contains("1.000 (dari triwulan: 945)"), "{shown_set:?}");
    assert!(shown_set.stderr.contains("target tahunan 1.1.1.1 tertulis 1.000"), "{shown_set:?}");
    let establish = ["plan", "establish", "--basis", "Keputusan 1/2024"];
    let error = administrator.ends(&establish, 4);
    assert_eq!(error["error"]["code"], "YEAR_TARGET_DIFFERS");
    let asked = administrator.ok(&[&establish[..], &["--reason", "the council's figure"]].concat());
    assert_eq!((count(&asked["warnings"]), &asked["warnings"][0]["stated"]), (1, &json!("1000")));
    let approved = head.ok(&["plan", "approve"]);
    assert_eq!((&approved["state"], count(&approved["warnings"])), (&json!("established"), 1));
    // The quarters count.
    assert_eq!(head.row(ROW, &[])["year"]["target"], "945");
    let error = administrator.ends(&["indicator", "set", ROW, "--cap", "130"], 4);
    assert_eq!(error["error"]["code"], "PLAN_ESTABLISHED");
    office.set_clock("2024-07-06T03:00:00Z");
    draft(&administrator, "01/2024");
    let told = add(&administrator, "01/2024", &[ROW, "--year-target", "none"]);
    assert_eq!((&told["added"][0]["old"], &told["added"][0]["new"]), (&json!("1000"), &Value::Null));
    administrator.ok(&["revision", "submit", "01/2024"]);
    head.ok(&["revision", "approve", "01/2024"]);
    assert_eq!(head.ok(&["indicator", "show", ROW])["warnings"], json!([]));
    office.end(&[&administrator, &head]);
}
