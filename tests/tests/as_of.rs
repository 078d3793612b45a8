//! What was known when, and what holds when: two questions that every command of figures answers together.
#![allow(clippy::unwrap_used)]

use renaksi_tests::plans::{UNIT, small};
use renaksi_tests::{Device, Office, count};
use serde_json::{Value, json};

const ROW: &str = "1.1.1.1";

struct Story {
    office: Office,
    administrator: Device,
    head: Device,
    officer: Device,
}

/// 12 counted in January, 30 in July; on 10 July the target of TW 3 went from 120 to 200, and TW 1 was locked.
fn story() -> Story {
    let (mut office, administrator, head) =
        Office::established(&small(&[("UTTP", ["70", "585", "120", "170"])]));
    let officer = office.enroll("petugas-1", "officer", Some(UNIT));
    office.set_clock("2024-01-10T03:00:00Z");
    officer.add(ROW, "12", "2024-01-09");
    officer.ok(&["sync"]);
    office.set_clock("2024-07-10T03:00:00Z");
    administrator.ok(&["quarter", "lock", "1"]);
    head.ok(&["quarter", "approve-lock", "1"]);
    let basis = ["--basis", "Keputusan", "--basis-number", "27", "--basis-date", "2024-07-01"];
    let draft = ["revision", "draft", "--number", "P-1", "--reason", "more markets", "--effective", "3"];
    administrator.ok(&[draft.as_slice(), &basis].concat());
    administrator.ok(&[
        "revision",
        "add",
        "P-1",
        ROW,
        "--target",
        "3=200",
        "--rename",
        "Jumlah UTTP bertanda tera",
    ]);
    administrator.ok(&["revision", "submit", "P-1"]);
    head.ok(&["revision", "approve", "P-1"]);
    office.set_clock("2024-07-12T03:00:00Z");
    officer.add(ROW, "30", "2024-07-11");
    officer.ok(&["sync"]);
    Story { office, administrator, head, officer }
}

/// Target and realisation of TW 3 as each command says them.
fn third_quarter(device: &Device, as_of: &[&str]) -> Value {
    let plan = device.row(ROW, &[&["--quarter", "3"], as_of].concat());
    let indicator = device.ok(&[&["indicator", "show", ROW, "--quarter", "3"], as_of].concat());
    let report = device.ok(&[&["report", "--quarter", "3"], as_of].concat());
    let row = report["rows"].as_array().unwrap().iter().find(|row| row["code"] == ROW).unwrap().clone();
    let said = |row: &Value| json!([row["targets"][2], row["realised"][2], row["indicator"]]);
    assert_eq!(said(&plan), said(&indicator));
    assert_eq!(said(&plan), said(&row));
    assert_eq!(plan["to_date"], indicator["to_date"]);
    said(&plan)
}

#[test]
fn every_command_knows_what_was_known_then_about_the_quarter_that_is_asked() {
    let Story { office, administrator, head, officer } = story();
    let now = json!(["200", "30", "Jumlah UTTP bertanda tera"]);
    let before = json!(["120", null, "Jumlah hasil uji 1"]);
    assert_eq!(third_quarter(&officer, &[]), now);
    // Today is up to now; a clock's time and a position name the same point.
    assert_eq!(third_quarter(&officer, &["--as-of", "2024-07-12"]), now);
    for point in ["2024-07-09", "2024-07-10T02:59:59Z", "2024-01-10"] {
        assert_eq!(third_quarter(&officer, &["--as-of", point]), before, "{point}");
    }
    assert_eq!(
        third_quarter(&officer, &["--as-of", "2024-07-11"]),
        json!(["200", null, "Jumlah UTTP bertanda tera"])
    );
    let plan = officer.ok(&["plan", "show", "--as-of", "2024-07-09"]);
    let position = plan["as_of"]["position"].to_string();
    assert_eq!((&plan["as_of"]["asked"], &plan["quarter"]), (&"2024-07-09".into(), &3.into()));
    assert_eq!(third_quarter(&officer, &["--as-of", &position]), before);
    office.end(&[&administrator, &head, &officer]);
}

#[test]
fn an_indicators_story_ends_where_it_was_known_to() {
    let Story { office, officer, .. } = story();
    officer.add(ROW, "5", "2024-07-12");
    let now = officer.ok(&["indicator", "show", ROW]);
    let then = officer.ok(&["indicator", "show", "hasil uji", "--as-of", "2024-07-09"]);
    assert_eq!((count(&now["entries"]), count(&then["entries"])), (3, 1), "pending ones are known now alone");
    assert_eq!((count(&now["versions"][2]), count(&then["versions"][2])), (2, 1));
    assert_eq!((&now["as_of"], &then["as_of"]["asked"]), (&Value::Null, &"2024-07-09".into()));
    // The name it has now was not its name then.
    let error = officer.ends(&["indicator", "show", "bertanda tera", "--as-of", "2024-07-09"], 2);
    assert_eq!(error["error"]["code"], "UNKNOWN_INDICATOR");
    assert!(error["error"]["message"].as_str().unwrap().contains("as of 2024-07-09"), "{error}");
    office.end(&[&officer]);
}

#[test]
fn a_locked_quarters_report_is_as_of_its_lock_once_that_was_known() {
    let Story { office, officer, .. } = story();
    let at = |as_of: &[&str]| officer.ok(&[&["report", "--quarter", "1"], as_of].concat());
    let locked = at(&[]);
    assert_eq!(locked["locked"], true);
    assert_eq!(at(&["--as-of", "2024-07-11"]), locked);
    let before = at(&["--as-of", "2024-07-09"]);
    assert_eq!(before["locked"], false);
    assert_eq!(before["rows"][2]["realised"][0], "12");
    office.end(&[&officer]);
}

#[test]
fn a_point_that_is_not_there_is_told_by_every_command_alike() {
    let Story { office, officer, .. } = story();
    let head = officer.ok(&["plan", "show"])["position"].as_u64().unwrap();
    for command in [&["plan", "show"][..], &["report", "--quarter", "3"], &["indicator", "show", ROW]] {
        for (point, code) in [
            ("0", "POSITION_UNKNOWN"),
            (&(head + 1).to_string(), "POSITION_UNKNOWN"),
            ("2024-07-13", "TIME_IN_FUTURE"),
            ("2024-07-12T03:00:01Z", "TIME_IN_FUTURE"),
            ("2023-12-31", "TIME_BEFORE_LOG"),
            ("yesterday", "BAD_TIME"),
            ("1", "NO_PLAN_YET"),
        ] {
            let error = officer.ends(&[command, &["--as-of", point]].concat(), 2);
            assert_eq!(error["error"]["code"], code, "{command:?} {point}");
            for key in ["message", "hint"] {
                let text = error["error"][key].as_str().unwrap();
                assert!(!text.contains("%{") && !text.contains('–'), "{text}");
            }
        }
        let error = officer.ends(&[command, &["--as-of", "2024-07-09", "--year", "2023"]].concat(), 2);
        assert_eq!(error["error"]["code"], "UNKNOWN_PLAN");
    }
    office.end(&[&officer]);
}
