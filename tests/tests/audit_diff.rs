//! What changed between two points of the log, figure by figure, and who did it.
#![allow(clippy::unwrap_used)]

use renaksi_tests::plans::{UNIT, small};
use renaksi_tests::{Device, Office};
use serde_json::{Value, json};

const ROW: &str = "1.1.1.1";

struct Story {
    office: Office,
    administrator: Device,
    head: Device,
    unit_head: Device,
    officer: Device,
}

/// January: 12 counted. 10 July: verified, the target of TW 3 goes from 120 to 200, TW 1 is locked. 12 July: 30 more.
fn story() -> Story {
    let rows = [("UTTP", ["70", "585", "120", "170"]), ("orang", ["1", "2", "3", "4"])];
    let (mut office, administrator, head) = Office::established(&small(&rows));
    let officer = office.enroll("petugas-1", "officer", Some(UNIT));
    let unit_head = office.enroll("kabid-1", "head-of-unit", Some(UNIT));
    office.set_clock("2024-01-10T03:00:00Z");
    officer.add(ROW, "12", "2024-01-09");
    officer.ok(&["sync"]);
    office.set_clock("2024-07-10T03:00:00Z");
    unit_head.ok(&["entry", "verify", "--all"]);
    let basis = ["--basis", "Keputusan", "--basis-number", "27", "--basis-date", "2024-07-01"];
    let draft = ["revision", "draft", "--number", "P-1", "--reason", "more markets", "--effective", "3"];
    administrator.ok(&[draft.as_slice(), &basis].concat());
    administrator.ok(&["revision", "add", "P-1", ROW, "--target", "3=200"]);
    administrator.ok(&["revision", "submit", "P-1"]);
    head.ok(&["revision", "approve", "P-1"]);
    administrator.ok(&["quarter", "lock", "1"]);
    head.ok(&["quarter", "approve-lock", "1"]);
    office.set_clock("2024-07-12T03:00:00Z");
    officer.add(ROW, "30", "2024-07-11");
    officer.ok(&["sync"]);
    Story { office, administrator, head, unit_head, officer }
}

/// A period's changes without their records, and the types of the records.
fn figure(diff: &Value, period: &str, quarter: Option<u8>) -> (Value, Vec<String>) {
    let figures = diff["indicators"][0]["figures"].as_array().unwrap();
    let wanted = |figure: &&Value| figure["period"] == period && figure["quarter"] == json!(quarter);
    let Some(figure) = figures.iter().find(wanted) else { return (json!({}), Vec::new()) };
    let changes = figure["changes"].as_object().unwrap().iter();
    let changes = changes.map(|(key, value)| (key.clone(), json!([value["old"], value["new"]]))).collect();
    let mut positions: Vec<u64> = Vec::new();
    for record in figure["records"].as_array().unwrap() {
        positions.push(record["position"].as_u64().unwrap());
        for key in ["type", "actor", "time", "summary"] {
            assert!(record[key].as_str().is_some_and(|text| !text.is_empty()), "{key} of {record}");
        }
    }
    assert!(positions.is_sorted(), "in the log's order");
    for value in figure["changes"].as_object().unwrap().values() {
        let own = value["records"].as_array().unwrap();
        assert!(!own.is_empty() && own.iter().all(|p| positions.contains(&p.as_u64().unwrap())), "{figure}");
    }
    let kinds = figure["records"].as_array().unwrap().iter();
    let kinds = kinds
        .map(|record| format!("{} {}", record["actor"].as_str().unwrap(), record["type"].as_str().unwrap()));
    (Value::Object(changes), kinds.collect())
}

#[test]
fn each_figure_says_what_it_was_what_it_is_and_who_did_it() {
    let Story { office, officer, .. } = story();
    let diff = officer.ok(&["audit", "diff", "2024-07-05", "2024-07-11"]);
    let codes: Vec<&Value> = diff["indicators"].as_array().unwrap().iter().map(|i| &i["code"]).collect();
    assert_eq!((codes, &diff["changed"], &diff["quarter"]), (vec![&json!(ROW)], &json!(true), &json!(3)));
    assert_eq!(
        figure(&diff, "quarter", Some(1)),
        (
            json!({ "realised_verified": [null, "12"], "achievement": [null, "17.14"], "rating": [null, "Sangat Rendah"] }),
            vec!["kabid-1 entry.verified".to_owned()]
        )
    );
    assert_eq!(
        figure(&diff, "quarter", Some(3)),
        (json!({ "target": ["120", "200"] }), vec!["kadis-1 revision.approved".to_owned()])
    );
    let (to_date, kinds) = figure(&diff, "to_date", Some(3));
    assert_eq!(
        (&to_date["target"], &to_date["realised_verified"]),
        (&json!(["775", "855"]), &json!([null, "12"]))
    );
    assert_eq!(kinds, ["kabid-1 entry.verified", "kadis-1 revision.approved"]);
    let (locked, by) = (&diff["quarters"][0], &diff["quarters"][0]["records"][1]);
    assert_eq!(
        (&locked["quarter"], &locked["old"], &locked["new"]),
        (&json!(1), &json!("open"), &json!("locked"))
    );
    assert_eq!((&by["type"], &by["actor"]), (&json!("quarter.locked"), &json!("kadis-1")));
    assert_eq!(diff["plan"], json!([]));
    // The values are those that plan show has at both points.
    for (end, at) in [("old", "2024-07-05"), ("new", "2024-07-11")] {
        let row = officer.row(ROW, &["--quarter", "3", "--as-of", at]);
        let year = diff["indicators"][0]["figures"]
            .as_array()
            .unwrap()
            .iter()
            .find(|f| f["period"] == "year")
            .unwrap();
        for (key, value) in year["changes"].as_object().unwrap() {
            assert_eq!(value[end], row["year"][key], "{key} at {at}");
        }
    }
    office.end(&[&officer]);
}

#[test]
fn positions_and_times_name_the_same_points() {
    let Story { office, officer, .. } = story();
    let by_time = officer.ok(&["audit", "diff", "2024-07-05", "2024-07-12"]);
    let position = |end: &str| by_time[end]["position"].to_string();
    let by_position = officer.ok(&["audit", "diff", &position("from"), &position("to")]);
    for key in ["indicators", "quarters", "plan", "records", "year", "quarter"] {
        assert_eq!(by_time[key], by_position[key], "{key}");
    }
    let (third, kinds) = figure(&by_time, "quarter", Some(3));
    assert_eq!(
        third,
        json!({ "target": ["120", "200"], "realised": [null, "30"], "achievement_reported": [null, "15.00"] })
    );
    assert_eq!(kinds, ["kadis-1 revision.approved", "petugas-1 entry.added"]);
    let whole = officer.ok(&["audit", "diff", "1", &position("to"), "--quarter", "4"]);
    assert_eq!(whole["plan"][0]["new"], "established");
    assert!(whole["indicators"].as_array().unwrap().iter().all(|i| i["change"] == "added"), "{whole}");
    office.end(&[&officer]);
}

#[test]
fn nothing_changed_is_said_and_the_wrong_way_round_too() {
    let Story { office, officer, .. } = story();
    for (from, to) in [("2024-02-01", "2024-07-01"), ("2024-07-12", "2024-07-12"), ("3", "3")] {
        let arguments = ["audit", "diff", from, to, "--year", "2024"];
        if from == "3" {
            assert_eq!(officer.ends(&arguments, 2)["error"]["code"], "UNKNOWN_PLAN");
            continue;
        }
        let diff = officer.ok(&arguments);
        assert_eq!(
            (&diff["changed"], &diff["indicators"], &diff["records"]),
            (&json!(false), &json!([]), &json!(0))
        );
    }
    let told = officer.command(&["audit", "diff", "2024-02-01", "2024-07-01"]);
    let arguments: Vec<_> =
        told.get_args().filter(|argument| *argument != "--json").map(ToOwned::to_owned).collect();
    let mut plain = std::process::Command::new(told.get_program());
    plain.args(arguments).env("RENAKSI_CLOCK", format!("@{}", office.path("clock").display()));
    let said = String::from_utf8(plain.output().unwrap().stdout).unwrap();
    assert!(said.contains("Nothing of the plan changed (0 records)."), "{said}");
    for (from, to) in
        [("2024-07-05", "2024-07-01"), ("2024-07-05", "2024-02-01"), ("9", "8"), ("2024-07-05", "2")]
    {
        let error = officer.ends(&["audit", "diff", from, to], 2);
        assert_eq!(error["error"]["code"], "DIFF_BACKWARDS", "{from} {to}");
        assert!(
            error["error"]["hint"].as_str().unwrap().contains(&format!("audit diff {to} {from}")),
            "{error}"
        );
    }
    for (from, to, code) in [
        ("0", "5", "POSITION_UNKNOWN"),
        ("5", "9999", "POSITION_UNKNOWN"),
        ("5", "2025-01-01", "TIME_IN_FUTURE"),
        ("2023-01-01", "5", "TIME_BEFORE_LOG"),
        ("5", "later", "BAD_TIME"),
    ] {
        assert_eq!(officer.ends(&["audit", "diff", from, to], 2)["error"]["code"], code, "{from} {to}");
    }
    office.end(&[&officer]);
}

#[test]
fn held_work_changes_figures_only_when_it_is_released() {
    let Story { office, administrator, head, unit_head, officer } = story();
    let id = officer.add(ROW, "5", "2024-03-20");
    officer.ends(&["sync"], 3);
    office.set_clock("2024-07-13T03:00:00Z");
    let held = officer.ok(&["audit", "diff", "2024-07-11", "2024-07-12"]);
    assert!(!held.to_string().contains("entry.held"), "{held}");
    administrator.ok(&["sync"]);
    administrator.ok(&["held", "release", &id, "--count-in", "3", "--reason", "found late"]);
    officer.ok(&["sync"]);
    let released = officer.ok(&["audit", "diff", "2024-07-12", "2024-07-13"]);
    let (third, kinds) = figure(&released, "quarter", Some(3));
    assert_eq!(
        (&third["realised"], kinds),
        (&json!(["30", "35"]), vec!["perencana-1 held.released".to_owned()])
    );
    assert_eq!(figure(&released, "quarter", Some(1)).0, json!({}));
    office.end(&[&administrator, &head, &unit_head, &officer]);
}
