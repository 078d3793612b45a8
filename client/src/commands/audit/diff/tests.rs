use renaksi_domain::State;
use renaksi_domain::command::{Command, Outcome, apply};
use renaksi_domain::config::{Band, ConfigCommand};
use renaksi_domain::entry::{AmendEntry, EntryCommand, EntryVersion, Reading};
use renaksi_domain::figures::Period;
use renaksi_domain::ids::PersonId;
use renaksi_domain::indicator::{Level, SetIndicator};
use renaksi_domain::narrative::{SetNarrative, Texts};
use renaksi_domain::plan::ImportIndicator;
use renaksi_domain::proposal::Kind;
use renaksi_domain::quantity::{Quantity, Target};
use renaksi_domain::quarter::{PlanQuarter, QuarterCommand};
use renaksi_domain::revision::{AddIndicator, Change, RevisionCommand};
use renaksi_domain::time::{Date, Quarter};
use renaksi_domain::{Code, Rejection};
use renaksi_proto::log;

use super::causes::{Cause, Causes};
use super::changes::{Changes, between};
use crate::commands::audit::Narrator;
use crate::commands::audit::fixture::{Office, UTTP};

fn name(person: PersonId) -> String {
    format!("petugas-{person}")
}

/// What changed since a position, and the records that may have done it.
fn diff(office: &Office, from: u64) -> (Changes, Causes) {
    let (mut state, mut old, mut causes) = (State::default(), State::default(), Causes::default());
    let mut narrator = Narrator::new(&office.state, &name);
    for record in &office.log {
        apply(&mut state, record);
        match record.position > from {
            true => causes.note(&state, record, &narrator.tell(record, &log::Record::default(), None)),
            false => narrator.pass(record),
        }
        if record.position == from {
            old = state.clone();
        }
    }
    assert_eq!(state, office.state);
    (between(&old, &office.state, 2024, Quarter::Q3), causes)
}

/// Every difference on a line, its records counted from the first after `from`.
fn told(office: &Office, from: u64) -> Vec<String> {
    let (changes, causes) = diff(office, from);
    let by = |causes: Vec<&Cause>| {
        causes.iter().map(|cause| format!(" +{}", cause.position - from)).collect::<String>()
    };
    let say = |about: String, change: &super::Change, causes: Vec<&Cause>| {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "–".into());
        format!("{about}{} {} → {}{}", change.what, value(&change.old), value(&change.new), by(causes))
    };
    let mut lines = Vec::new();
    for change in &changes.config {
        lines.push(say(String::new(), change, causes.of_config(change.what)));
    }
    for change in &changes.plan {
        lines.push(say("plan ".into(), change, causes.of_plan(2024, change.what)));
    }
    for (quarter, change) in &changes.quarters {
        let named = PlanQuarter { year: 2024, quarter: *quarter };
        lines.push(say(format!("{quarter} "), change, causes.of_quarter(named)));
    }
    for indicator in &changes.indicators {
        let code = &indicator.code;
        for setting in &indicator.settings {
            let quarters: String = setting.quarters.iter().map(|quarter| format!("{quarter} ")).collect();
            let found = causes.of_setting(indicator, setting);
            lines.push(say(format!("{code} {quarters}"), &setting.change, found));
        }
        for figure in &indicator.figures {
            let period = match figure.period {
                Period::Quarter(quarter) => quarter.to_string(),
                Period::ToDate(quarter) => format!("to {quarter}"),
                Period::Year => "year".to_owned(),
            };
            for change in &figure.changes {
                let found = causes.of_figure(indicator, 2024, figure.period, change.what);
                lines.push(say(format!("{code} {period} "), change, found));
            }
        }
    }
    lines
}

#[track_caller]
fn check(office: &Office, from: u64, expect: &[&str]) {
    assert_eq!(told(office, from), expect);
}

#[test]
fn nothing_changed_when_nothing_was_recorded() {
    let mut office = Office::established();
    let from = office.state.position;
    assert!(diff(&office, from).0.is_empty());
    // A draft revision, a held and a refused command change no figure.
    office.draft("P-1");
    let locked = Rejection::new(Code::QuarterLocked);
    let add = office.log.iter().find(|record| record.position == from).unwrap().envelope.command.clone();
    office.with(add, Outcome::Refused(locked));
    check(&office, from, &[]);
}

#[test]
fn a_figure_names_the_entries_of_its_quarter_and_no_others() {
    let mut office = Office::established();
    let from = office.state.position;
    let first = office.entry("2024-07-09", "60");
    office.entry("2024-02-01", "7");
    office.verify(first);
    check(
        &office,
        from,
        &[
            "1.1.1.1 TW 1 realised – → 7 +2",
            "1.1.1.1 TW 1 achievement_reported – → 10.00 +2",
            "1.1.1.1 TW 3 realised – → 60 +1",
            "1.1.1.1 TW 3 realised_verified – → 60 +1 +3",
            "1.1.1.1 TW 3 achievement – → 50.00 +1 +3",
            "1.1.1.1 TW 3 achievement_reported – → 50.00 +1",
            "1.1.1.1 TW 3 rating – → Sangat Rendah +1 +3",
            "1.1.1.1 to TW 3 realised – → 67 +1 +2",
            "1.1.1.1 to TW 3 realised_verified – → 60 +1 +2 +3",
            "1.1.1.1 to TW 3 achievement – → 7.74 +1 +2 +3",
            "1.1.1.1 to TW 3 achievement_reported – → 8.65 +1 +2",
            "1.1.1.1 to TW 3 rating – → Sangat Rendah +1 +2 +3",
            "1.1.1.1 year realised – → 67 +1 +2",
            "1.1.1.1 year realised_verified – → 60 +1 +2 +3",
            "1.1.1.1 year achievement – → 6.35 +1 +2 +3",
            "1.1.1.1 year achievement_reported – → 7.09 +1 +2",
            "1.1.1.1 year rating – → Sangat Rendah +1 +2 +3",
        ],
    );
    // What came and went between the points is no difference.
    let version = EntryVersion { entry: first, base: first };
    let from = office.state.position;
    let second = office.entry("2024-07-09", "5");
    office.done(Command::Entry(EntryCommand::Void(EntryVersion { entry: second, base: second })));
    check(&office, from, &[]);
    office.done(Command::Entry(EntryCommand::Return(version)));
    let lines = told(&office, from);
    assert!(lines.contains(&"1.1.1.1 TW 3 realised_verified 60 → – +1 +2 +3".to_owned()), "{lines:#?}");
}

#[test]
fn an_amendment_that_moves_an_entry_touches_both_quarters() {
    let mut office = Office::established();
    let entry = office.entry("2024-07-09", "60");
    let from = office.state.position;
    let counted = renaksi_domain::command::Counted {
        indicator: UTTP,
        quarter: Quarter::Q3,
        on: Date::parse("2024-07-09").unwrap(),
        reading: Reading::Quantity(Quantity::parse("60").unwrap()),
        state: renaksi_domain::entry::State::Recorded,
        position: from,
    };
    let amend = AmendEntry {
        entry,
        base: entry,
        on: Date::parse("2024-06-28").unwrap(),
        reading: Reading::Quantity(Quantity::parse("61").unwrap()),
    };
    let effect = renaksi_domain::command::Effect { before: Some(counted), ..Default::default() };
    office.with(Command::Entry(EntryCommand::Amend(amend)), Outcome::Recorded(effect));
    let lines = told(&office, from);
    for expected in [
        "1.1.1.1 TW 2 realised – → 61 +1",
        "1.1.1.1 TW 3 realised 60 → – +1",
        "1.1.1.1 year realised 60 → 61 +1",
    ] {
        assert!(lines.contains(&expected.to_owned()), "{expected} in {lines:#?}");
    }
}

#[test]
fn a_revision_is_named_for_what_it_changed_alone() {
    let mut office = Office::established();
    let from = office.state.position;
    let id = office.draft("P-1");
    office.change_target(id, "120", "200");
    let rename = Change::Rename {
        indicator: UTTP,
        old: "Jumlah UTTP".into(),
        new: "Jumlah UTTP bertanda tera".into(),
    };
    office.done(Command::Revision(RevisionCommand::AddChange(id, rename)));
    office.done(Command::Revision(RevisionCommand::Approve(id)));
    office.entry("2024-07-09", "60");
    check(
        &office,
        from,
        &[
            "1.1.1.1 TW 3 TW 4 measure Jumlah UTTP → Jumlah UTTP bertanda tera +4",
            "1.1.1.1 TW 3 target 120 → 200 +4",
            "1.1.1.1 TW 3 realised – → 60 +5",
            "1.1.1.1 TW 3 achievement_reported – → 30.00 +4 +5",
            "1.1.1.1 to TW 3 target 775 → 855 +4",
            "1.1.1.1 to TW 3 realised – → 60 +5",
            "1.1.1.1 to TW 3 achievement_reported – → 7.02 +4 +5",
            "1.1.1.1 year target 945 → 1025 +4",
            "1.1.1.1 year realised – → 60 +5",
            "1.1.1.1 year achievement_reported – → 5.85 +4 +5",
        ],
    );
}

#[test]
fn a_lock_is_named_where_a_running_total_comes_to_stand() {
    let mut office = Office::established();
    let kind = SetIndicator { indicator: Some(UTTP), kind: Some(Kind::Cumulative), ..Default::default() };
    office.done(Command::Indicator(kind));
    office.entry("2024-02-01", "60");
    let from = office.state.position;
    office.lock(Quarter::Q2);
    let lines = told(&office, from);
    assert_eq!(lines[..2], ["TW 2 state open → locked +1 +2", "1.1.1.1 TW 2 realised – → 60 +1 +2"]);
    assert_eq!(lines.len(), 3, "and what was achieved of it: {lines:#?}");
    let about = PlanQuarter { year: 2024, quarter: Quarter::Q1 };
    office.done(Command::Quarter(QuarterCommand::Request(about)));
    assert_eq!(told(&office, from + 2), ["TW 1 state open → lock requested +1"]);
}

#[test]
fn a_setting_is_named_with_each_quarter_and_changes_figures_too() {
    let mut office = Office::established();
    office.entry("2024-02-01", "60");
    office.entry("2024-05-01", "7");
    let from = office.state.position;
    let kind = SetIndicator { indicator: Some(UTTP), kind: Some(Kind::Latest), ..Default::default() };
    office.done(Command::Indicator(kind));
    let lines = told(&office, from);
    assert_eq!(
        lines[..2],
        ["1.1.1.1 confirmed false → true +1", "1.1.1.1 TW 1 TW 2 TW 3 TW 4 kind sum → latest +1"]
    );
    assert!(lines.contains(&"1.1.1.1 to TW 3 realised 67 → 7 +1".to_owned()), "{lines:#?}");
    assert!(lines.contains(&"1.1.1.1 year target 945 → 170 +1".to_owned()), "{lines:#?}");
}

#[test]
fn an_import_makes_every_indicator_new() {
    let office = Office::established();
    let import = office.log.iter().position(|record| record.envelope.command.name() == "plan.import_started");
    let from = office.log[import.unwrap() - 1].position;
    let (changes, causes) = diff(&office, from);
    let kinds: Vec<_> =
        changes.indicators.iter().map(|changed| (changed.code.as_str(), changed.kind)).collect();
    assert_eq!(kinds, [("1.1", "added"), ("1.1.1", "added"), ("1.1.1.1", "added")]);
    let lines = told(&office, from);
    // Opened, an objective, three rows, the end; then asked for and established.
    assert!(lines.contains(&"plan state – → established +6 +7 +8".to_owned()), "{lines:#?}");
    assert!(lines.contains(&"plan basis – → SK 1/2024 +7".to_owned()), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.starts_with("TW ")), "every quarter is open: {lines:#?}");
    assert!(
        lines.contains(&"1.1.1.1 TW 3 target – → 120 +5 +6".to_owned()),
        "its own row and the end: {lines:#?}"
    );
    assert_eq!(causes.of_plan(2024, "title")[0].kind, "plan.imported");
}

#[test]
fn bands_change_ratings_and_narratives_nothing() {
    let mut office = Office::established();
    let entry = office.entry("2024-07-09", "60");
    office.verify(entry);
    let from = office.state.position;
    let band = |name: &str, above: Option<&str>, up_to: Option<&str>| Band {
        name: name.into(),
        above: above.map(|text| Quantity::parse(text).unwrap()),
        up_to: up_to.map(|text| Quantity::parse(text).unwrap()),
    };
    let bands = vec![band("Kurang", None, Some("40")), band("Baik", Some("40"), None)];
    office.done(Command::Config(ConfigCommand::SetBands(bands)));
    let texts = Texts { driver: "Pasar ramai".into(), obstacle: "".into(), follow_up: "".into() };
    let narrative = SetNarrative { indicator: UTTP, quarter: Quarter::Q3, base: 0, texts };
    office.done(Command::Narrative(narrative));
    office.done(Command::Config(ConfigCommand::SetDueDays(7)));
    check(
        &office,
        from,
        &[
            "bands Sangat Rendah; Rendah > 50; Sedang > 65; Tinggi > 75; Sangat Tinggi > 90 → Kurang; Baik > 40 +1",
            "due_days 5 → 7 +3",
            "1.1.1.1 TW 3 driver – → Pasar ramai +2",
            "1.1.1.1 TW 3 rating Sangat Rendah → Baik +1",
            "1.1.1.1 to TW 3 rating Sangat Rendah → Kurang +1",
            "1.1.1.1 year rating Sangat Rendah → Kurang +1",
        ],
    );
}

#[test]
fn an_indicator_that_a_revision_adds_is_named_with_its_approval() {
    let mut office = Office::established();
    let from = office.state.position;
    let id = office.draft("P-1");
    let program = office.state.indicator(UTTP).unwrap().parent;
    let target = |cell: &str| Target::parse_cell(cell).unwrap();
    let row = ImportIndicator {
        level: Level::SubActivity,
        name: "Pengawasan".into(),
        measure: "Jumlah pasar".into(),
        satuan: Some("pasar".into()),
        responsible: None,
        kind: Kind::Sum,
        targets: ["-", "-", "3", "4"].map(target),
        year_target: None,
    };
    let (polarity, formula) = Default::default();
    let add = AddIndicator { parent: program, objective: 0, row, polarity, formula, cap: None };
    office.done(Command::Revision(RevisionCommand::AddChange(id, Change::Add(Box::new(add)))));
    office.done(Command::Revision(RevisionCommand::Approve(id)));
    let (changes, _) = diff(&office, from);
    let kinds: Vec<_> =
        changes.indicators.iter().map(|changed| (changed.code.as_str(), changed.kind)).collect();
    assert_eq!(kinds, [("1.1.1.2", "added")]);
    let lines = told(&office, from);
    assert!(lines.contains(&"1.1.1.2 TW 3 target – → 3 +3".to_owned()), "{lines:#?}");
    assert!(
        lines.contains(&"1.1.1.2 TW 1 TW 2 TW 3 TW 4 measure – → Jumlah pasar +3".to_owned()),
        "{lines:#?}"
    );
}
