use renaksi_domain::command::Command;
use renaksi_domain::ids::{IndicatorId, RevisionId};
use renaksi_domain::indicator::{Level, LowerFormula, Polarity, SetIndicator};
use renaksi_domain::proposal::Kind;
use renaksi_domain::quantity::{Quantity, Target};
use renaksi_domain::revision::{Change, RevisionCommand};
use renaksi_domain::time::Quarter;
use serde_json::{Value, json};

use super::add::{AddArgs, ChangeArgs, NewArgs};
use super::addition::added;
use super::change::{in_words, read};
use super::preview::preview;
use crate::commands::audit::change_fields;
use crate::commands::audit::fixture::{Office, UTTP};

fn target(cell: &str) -> Target {
    Target::parse_cell(cell).unwrap()
}

/// UTTP with these targets from the beginning.
fn office(targets: [&str; 4]) -> Office {
    let mut office = Office::established();
    let targets = Quarter::ALL.into_iter().zip(targets.map(target)).collect();
    office.done(Command::Indicator(SetIndicator {
        indicator: Some(UTTP),
        targets,
        ..SetIndicator::default()
    }));
    office
}

fn add(office: &mut Office, id: RevisionId, change: Change) {
    office.done(Command::Revision(RevisionCommand::AddChange(id, change)));
}

/// The differences of the only indicator that a revision touches: `quarter 3 target 120 200`, a line each.
#[track_caller]
fn check(office: &Office, id: RevisionId, expect: &[&str]) {
    let preview = preview(&office.state, id).json(&office.state, id);
    let [only] = preview["indicators"].as_array().unwrap().as_slice() else { panic!("{preview}") };
    let cell = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "–".to_owned(),
        other => other.to_string(),
    };
    let lines = only["differs"].as_array().unwrap().iter().map(|d| {
        let period = [cell(&d["period"]), cell(&d["quarter"])].join(" ").replace(" –", "");
        format!("{period} {} {} {}", cell(&d["figure"]), cell(&d["before"]), cell(&d["after"]))
    });
    assert_eq!(lines.collect::<Vec<_>>(), expect);
}

#[test]
fn v1_the_year_grows_with_the_quarter() {
    let mut office = Office::established();
    let entry = office.entry("2024-07-02", "60");
    office.verify(entry);
    let id = office.draft("P-1");
    office.change_target(id, "120", "200");
    check(
        &office,
        id,
        &[
            "quarter 3 target 120 200",
            "quarter 3 achievement 50.00 30.00",
            "quarter 3 achievement_reported 50.00 30.00",
            "to_date 3 target 775 855",
            "to_date 3 achievement 7.74 7.02",
            "to_date 3 achievement_reported 7.74 7.02",
            "to_date 4 target 945 1025",
            "to_date 4 achievement 6.35 5.85",
            "to_date 4 achievement_reported 6.35 5.85",
            "year target 945 1025",
            "year achievement 6.35 5.85",
            "year achievement_reported 6.35 5.85",
        ],
    );
    let json = preview(&office.state, id).json(&office.state, id);
    let (before, after) = (&json["indicators"][0]["before"], &json["indicators"][0]["after"]);
    assert_eq!((&before["year"]["target"], &after["year"]["target"]), (&json!("945"), &json!("1025")));
    assert_eq!(after["year"]["target_original"], "945");
    assert_eq!(after["targets"], json!(["70", "585", "200", "170"]));
    assert_eq!(before["to_date"][2]["target"], "775");
    assert_eq!((&json["base_moved"], &json["locked_quarters"]), (&json!([]), &json!([])));
}

#[test]
fn a_kind_changes_what_the_quarters_come_to() {
    let mut office = office(["28", "28", "28", "28"]);
    office.entry("2024-04-02", "27");
    office.entry("2024-07-02", "28");
    let id = office.draft("P-1");
    add(&mut office, id, Change::Kind { indicator: UTTP, old: Kind::Sum, new: Kind::Latest });
    check(
        &office,
        id,
        &[
            "settings kind sum latest",
            "to_date 3 target 84 28",
            "to_date 3 realised 55 28",
            "to_date 3 achievement_reported 65.48 100.00",
            "to_date 4 target 112 28",
            "to_date 4 realised 55 28",
            "to_date 4 achievement_reported 49.11 100.00",
            "year target 112 28",
            "year realised 55 28",
            "year achievement_reported 49.11 100.00",
        ],
    );
}

#[test]
fn polarity_and_formula_change_the_achievement() {
    let mut office = office(["-", "-", "5", "-"]);
    let entry = office.entry("2024-07-02", "0");
    office.verify(entry);
    let id = office.draft("P-1");
    let lower = Change::Polarity { indicator: UTTP, old: Polarity::Higher, new: Polarity::Lower };
    add(&mut office, id, lower);
    let preview_json = preview(&office.state, id).json(&office.state, id);
    let after = &preview_json["indicators"][0]["after"];
    assert_eq!((&after["achievement"][2], &after["rating"][2]), (&json!("200.00"), &json!("Sangat Tinggi")));
    assert_eq!(preview_json["indicators"][0]["before"]["achievement"][2], "0.00");
    let inverse =
        Change::Formula { indicator: UTTP, old: LowerFormula::Mirrored, new: LowerFormula::Inverse };
    add(&mut office, id, inverse);
    let preview_json = preview(&office.state, id).json(&office.state, id);
    let after = &preview_json["indicators"][0]["after"];
    assert_eq!((&after["achievement"][2], &after["reason"][2]), (&Value::Null, &json!("REALISATION_ZERO")));
}

#[test]
fn a_cap_cuts_and_a_year_target_is_only_stated() {
    let mut office = office(["-", "-", "5", "-"]);
    let entry = office.entry("2024-07-02", "10");
    office.verify(entry);
    let id = office.draft("P-1");
    let cap = Some(Quantity::parse("120").unwrap());
    add(&mut office, id, Change::Cap { indicator: UTTP, old: None, new: cap });
    let stated = Some(Quantity::parse("1000").unwrap());
    add(&mut office, id, Change::YearTarget { indicator: UTTP, old: None, new: stated });
    let json = preview(&office.state, id).json(&office.state, id);
    let after = &json["indicators"][0]["after"];
    assert_eq!((&after["achievement"][2], &after["cap"]), (&json!("120.00"), &json!("120")));
    assert_eq!((&after["year"]["target"], &after["year_target"]), (&json!("5"), &json!("1000")));
    let warning = &json["warnings"][0];
    assert_eq!((&warning["code"], &warning["derived"]), (&json!("YEAR_TARGET_DIFFERS"), &json!("5")));
}

#[test]
fn a_retirement_leaves_what_was() {
    let mut office = Office::established();
    let id = office.draft("P-1");
    add(&mut office, id, Change::Retire { indicator: UTTP });
    check(
        &office,
        id,
        &[
            "settings retired_from – 3",
            "quarter 3 target 120 not planned",
            "quarter 3 achievement – –",
            "quarter 3 achievement_reported – –",
            "quarter 4 target 170 not planned",
            "quarter 4 achievement – –",
            "quarter 4 achievement_reported – –",
            "to_date 3 target 775 655",
            "to_date 4 target 945 655",
            "year target 945 655",
        ],
    );
}

#[test]
fn a_rename_changes_no_figure() {
    let mut office = Office::established();
    let id = office.draft("P-1");
    let new = "UTTP yang ditera".into();
    add(&mut office, id, Change::Rename { indicator: UTTP, old: "Jumlah UTTP".into(), new });
    check(&office, id, &["settings indicator Jumlah UTTP UTTP yang ditera"]);
}

fn new(under: &str) -> AddArgs {
    AddArgs {
        revision: "P-1".into(),
        indicator: None,
        changes: ChangeArgs {
            target: vec!["3=50".into(), "4=60".into()],
            kind: Some("sum".into()),
            new: true,
            ..ChangeArgs::default()
        },
        addition: NewArgs {
            under: Some(under.into()),
            name: Some("Pembinaan pasar".into()),
            measure: Some("Jumlah pasar".into()),
            satuan: Some("pasar".into()),
            ..NewArgs::default()
        },
    }
}

#[test]
fn an_addition_has_no_before() {
    let mut office = Office::established();
    let id = office.draft("P-1");
    let changes = read(&office.state, id, &new("1.1.1")).unwrap();
    let [Change::Add(add_indicator)] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!((add_indicator.parent, add_indicator.row.level), (Some(IndicatorId(2)), Level::SubActivity));
    add(&mut office, id, changes[0].clone());
    let json = preview(&office.state, id).json(&office.state, id);
    let row = &json["indicators"][0];
    assert_eq!(
        (&row["code"], &row["added"], &row["before"]),
        (&json!("1.1.1.2"), &json!(true), &Value::Null)
    );
    assert_eq!(row["after"]["targets"], json!(["not planned", "not planned", "50", "60"]));
    assert_eq!((&row["after"]["year"]["target"], &row["level"]), (&json!("110"), &json!("sub_activity")));
    assert!(added(&office.state, id).is_empty());
    let fields = change_fields(&office.state, &changes[0]);
    assert_eq!((&fields["parent"], &fields["measure"]), (&json!("1.1.1"), &json!("Jumlah pasar")));
    office.done(Command::Revision(RevisionCommand::Approve(id)));
    assert_eq!(added(&office.state, id), [(0, IndicatorId(4))]);
    assert_eq!(office.state.indicator(IndicatorId(4)).unwrap().code.as_ref(), "1.1.1.2");
}

#[test]
fn the_level_follows_from_what_stands_above() {
    let mut office = Office::established();
    let id = office.draft("P-1");
    let got = |args: &AddArgs| match read(&office.state, id, args) {
        Ok(changes) => match changes.as_slice() {
            [Change::Add(add)] => {
                format!("{} {:?} {}", add.row.level, add.parent.map(|id| id.0), add.objective)
            }
            other => panic!("{other:?}"),
        },
        Err(error) => {
            assert_eq!(error.exit_code(), 2);
            error.cause().code.clone()
        }
    };
    assert_eq!(got(&new("1.1")), "program Some(1) 0");
    assert_eq!(got(&new("tertib ukur")), "sub_activity Some(2) 0");
    assert_eq!(got(&new("program standardisasi")), "sub_activity Some(2) 0");
    assert_eq!(got(&new("persentase")), "program Some(1) 0");
    assert_eq!(got(&new("9")), "UNKNOWN_PLACE");
    assert_eq!(got(&new("")), "UNKNOWN_PLACE");
    // A row stands above nothing, whatever it is called.
    assert_eq!(got(&new("tera ulang")), "UNKNOWN_PLACE");
    let mut strategic = new("1");
    assert_eq!(got(&strategic), "USAGE");
    strategic.addition.name = None;
    assert_eq!(got(&strategic), "USAGE");
    strategic.addition.responsible = Some("Sekretaris".into());
    assert_eq!(got(&strategic), "strategic None 0");
    strategic.addition.under = Some("perdagangan meningkat".into());
    assert_eq!(got(&strategic), "strategic None 0");
    let mut activity = new("1.1.1");
    activity.addition.level = Some("activity".into());
    assert_eq!(got(&activity), "activity Some(2) 0");
    activity.addition.name = None;
    assert_eq!(got(&activity), "USAGE");
    let mut bad = new("1.1.1");
    bad.changes.kind = Some("total".into());
    assert_eq!(got(&bad), "BAD_SETTING");
    bad.changes.kind = Some("sum".into());
    bad.changes.cap = Some("0".into());
    assert_eq!(got(&bad), "BAD_SETTING");
}

#[test]
fn additions_caps_and_year_targets_are_told() {
    let mut office = Office::established();
    let id = office.draft("P-1");
    let addition = read(&office.state, id, &new("1.1.1")).unwrap().remove(0);
    let cap = Change::Cap { indicator: UTTP, old: None, new: Some(Quantity::parse("120").unwrap()) };
    let stated = Quantity::parse("1000").unwrap();
    let year = Change::YearTarget { indicator: UTTP, old: Some(stated), new: None };
    let expect = [
        "1.1.1: adds the sub-activity \"Pembinaan pasar – Jumlah pasar\" (pasar, sum; TW 3 50, TW 4 60)",
        "1.1.1.1 cap: – → 120 %",
        "1.1.1.1 stated year target: 1.000 → –",
    ];
    for (change, expect) in [&addition, &cap, &year].into_iter().zip(expect) {
        assert_eq!(in_words(&office.state, change), expect);
    }
}

#[test]
fn v2_a_moved_base_is_told_before_anybody_approves() {
    let mut office = Office::established();
    let (first, second) = (office.draft("P-1"), office.draft("P-2"));
    office.change_target(first, "120", "200");
    office.change_target(second, "120", "90");
    office.done(Command::Revision(RevisionCommand::Approve(first)));
    let preview = preview(&office.state, second);
    assert_eq!(preview.moved, [0]);
    assert_eq!(preview.json(&office.state, second)["base_moved"][0]["old"], "120");
    let decided = super::preview::preview(&office.state, first);
    assert!(decided.moved.is_empty());
    assert_eq!(decided.json(&office.state, first)["indicators"][0]["differs"], json!([]));
}

#[test]
fn v4_a_locked_quarter_is_named() {
    let mut office = Office::established();
    let id = office.draft("P-1");
    office.change_target(id, "120", "200");
    office.lock(Quarter::Q3);
    assert_eq!(preview(&office.state, id).locked, [Quarter::Q3]);
}

#[test]
fn options_become_changes_that_state_what_they_replace() {
    let mut office = Office::established();
    let id = office.draft("P-1");
    let args = AddArgs {
        revision: "P-1".into(),
        indicator: Some("1.1.1.1".into()),
        changes: ChangeArgs {
            target: vec!["3=1234,5".into(), "4=-".into()],
            kind: Some("cumulative".into()),
            cap: Some("120".into()),
            year_target: Some("none".into()),
            retire: true,
            ..ChangeArgs::default()
        },
        ..AddArgs::default()
    };
    let changes = read(&office.state, id, &args).unwrap();
    assert_eq!(
        changes,
        [
            Change::Target {
                indicator: UTTP,
                quarter: Quarter::Q3,
                old: target("120"),
                new: target("1234,5")
            },
            Change::Target {
                indicator: UTTP,
                quarter: Quarter::Q4,
                old: target("170"),
                new: Target::NotPlanned
            },
            Change::Kind { indicator: UTTP, old: Kind::Sum, new: Kind::Cumulative },
            Change::Cap { indicator: UTTP, old: None, new: Some(Quantity::parse("120").unwrap()) },
            Change::YearTarget { indicator: UTTP, old: None, new: None },
            Change::Retire { indicator: UTTP },
        ]
    );
    for (option, code) in [
        ("3=1.234", "AMBIGUOUS_NUMBER"),
        ("5=1", "BAD_QUARTER"),
        ("120", "BAD_TARGET"),
        ("3=12x", "NOT_A_NUMBER"),
    ] {
        let changes = ChangeArgs { target: vec![option.into()], ..ChangeArgs::default() };
        let args = AddArgs { changes, ..args.clone() };
        let error = read(&office.state, id, &args).unwrap_err();
        assert_eq!((error.cause().code.as_str(), error.exit_code()), (code, 2), "{option}");
    }
}
