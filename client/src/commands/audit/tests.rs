use renaksi_domain::command::{Command, Counted, Effect, Outcome};
use renaksi_domain::config::ConfigCommand;
use renaksi_domain::entry::{AmendEntry, EntryCommand, EntryVersion, Reading, State as EntryState};
use renaksi_domain::epoch::BeginEpoch;
use renaksi_domain::held::{HeldCommand, ReleaseHeld};
use renaksi_domain::ids::{CommandKey, DeviceId, GrantId, PersonId};
use renaksi_domain::indicator::SetIndicator;
use renaksi_domain::narrative::{SetNarrative, Texts};
use renaksi_domain::people::{Assign, Assignment, EndAssignments, PeopleCommand, RevokeDevice, Role};
use renaksi_domain::plan::PlanCommand;
use renaksi_domain::proposal::Kind;
use renaksi_domain::quantity::{Quantity, Target};
use renaksi_domain::quarter::{PlanQuarter, QuarterCommand};
use renaksi_domain::revision::RevisionCommand;
use renaksi_domain::time::{Date, Quarter};
use renaksi_domain::{Code, Rejection};
use renaksi_proto::log;
use serde_json::{Value, json};

use super::fixture::{Office, UTTP};
use super::{Event, Narrator};

fn names(person: PersonId) -> String {
    format!("Orang {person}")
}

/// Every record of an office, told.
fn told(office: &Office) -> Vec<Event> {
    let mut narrator = Narrator::new(&office.state, &names);
    let texts = log::Texts { reason: "karena".into(), ..Default::default() };
    let skewed = log::Record { clock_skew_ms: Some(-1500), ..Default::default() };
    office.log.iter().map(|record| narrator.tell(record, &skewed, Some(&texts))).collect()
}

#[track_caller]
fn check(event: &Event, expected: Value) {
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(event.fields.get(key), Some(value), "{key} of {:?}", event.fields);
    }
}

fn quantity(text: &str) -> Quantity {
    Quantity::parse(text).unwrap()
}

fn busy_office() -> (Office, CommandKey, CommandKey) {
    let mut office = Office::established();
    let entry = office.entry("2024-07-09", "1234,5");
    let version = EntryVersion { entry, base: entry };
    let on = Date::parse("2024-07-09").unwrap();
    let before = Counted {
        indicator: UTTP,
        quarter: Quarter::Q3,
        on,
        reading: Reading::Quantity(quantity("1234,5")),
        state: EntryState::Recorded,
        position: 1,
    };
    let amend = AmendEntry { entry, base: entry, on, reading: Reading::Quantity(quantity("12")) };
    let effect = Effect { late: true, before: Some(before), ..Effect::default() };
    office.with(Command::Entry(EntryCommand::Amend(amend.clone())), Outcome::Recorded(effect));
    office.done(Command::Entry(EntryCommand::Return(version.clone())));
    office.done(Command::Entry(EntryCommand::Void(version.clone())));
    let cause = Rejection::new(Code::QuarterLocked)
        .with("indicator", "1.1.1.1")
        .with("quarter", 2)
        .with("year", 2024);
    let held = office.with(Command::Entry(EntryCommand::Amend(amend)), Outcome::Held(cause.clone()));
    office.with(
        Command::Entry(EntryCommand::Verify(version)),
        Outcome::Refused(Rejection::new(Code::SelfVerification)),
    );
    office.done(Command::Held(HeldCommand::Release(ReleaseHeld {
        held,
        to: Some(UTTP),
        count_in: Some(Quarter::Q4),
    })));
    office.done(Command::Held(HeldCommand::Dismiss(held)));
    office.done(Command::Held(HeldCommand::Withdraw(held)));
    (office, entry, held)
}

/// A role of the officer that waits for the head of office.
fn role_that_waits(office: &mut Office) -> GrantId {
    let assignment = Assignment { role: Role::Administrator, unit: None, from: None, until: None };
    office.done(Command::People(PeopleCommand::Assign(Assign { person: PersonId(3), assignment })));
    GrantId::after(office.state.people.grants.len() - 1)
}

/// What came with the second rules.
fn later_rules(office: &mut Office) {
    let grant = role_that_waits(office);
    office.done(Command::People(PeopleCommand::ConfirmGrant(grant)));
    let grant = role_that_waits(office);
    office.done(Command::People(PeopleCommand::DeclineGrant(grant)));
    office.done(Command::People(PeopleCommand::AdoptRules(3)));
    office.done(Command::People(PeopleCommand::BeginEpoch(Box::new(BeginEpoch {
        epoch: 2,
        reason: "cadangan lama".into(),
        size: office.state.position,
        root: [7; 32],
        seen: None,
    }))));
    office.done(Command::Plan(PlanCommand::SendBackPlan(2024)));
    office.done(Command::Plan(PlanCommand::RecallPlan(2024)));
    let quarter = PlanQuarter { year: 2024, quarter: Quarter::Q1 };
    let until = office.state.time.plus_micros(86_400_000_000);
    for command in [
        QuarterCommand::RequestReopen(quarter, until),
        QuarterCommand::DeclineReopen(quarter),
        QuarterCommand::GrantReopen(quarter),
        QuarterCommand::Relock(quarter),
    ] {
        office.done(Command::Quarter(command));
    }
    let texts = Texts { driver: "Pasar".into(), obstacle: "Hujan".into(), follow_up: "".into() };
    let narrative = SetNarrative { indicator: UTTP, quarter: Quarter::Q3, base: 0, texts };
    office.done(Command::Narrative(narrative));
    let holidays = vec![Date::parse("2024-08-17").unwrap()];
    for command in [
        ConfigCommand::SetBands(Vec::new()),
        ConfigCommand::SetDueDays(7),
        ConfigCommand::SetDays { holidays, working_days: Vec::new() },
    ] {
        office.done(Command::Config(command));
    }
    office.with(Command::Unreadable, Outcome::Refused(Rejection::new(Code::Unreadable)));
}

#[test]
fn second_persons_and_plans_that_go_back_have_their_sentences() {
    let mut office = Office::established();
    later_rules(&mut office);
    let events = told(&office);
    for (kind, sentence) in [
        ("grant.confirmed", "Orang 3 is confirmed as administrator"),
        ("grant.declined", "Orang 3 as administrator is declined"),
        ("rules.adopted", "the log is decided by rules 3 from here on"),
        ("epoch.begun", "epoch 2 begins after record 24: karena"),
        ("plan.sent_back", "plan for 2024 sent back"),
        ("plan.recalled", "plan for 2024 taken back"),
    ] {
        let event = events.iter().find(|event| event.fields["type"] == kind).unwrap();
        assert_eq!(event.summary, sentence);
        check(event, json!({ "reason": "karena", "outcome": "recorded" }));
    }
    let mut assigned = events.iter().filter(|event| event.fields["type"] == "person.assigned");
    let asked = assigned.rfind(|event| event.fields.contains_key("grant")).unwrap();
    check(asked, json!({ "grant": 2, "person": "Orang 3", "role": "administrator", "unit": null }));
    assert!(asked.summary.ends_with("once the head of office confirms it (2)"), "{}", asked.summary);
}

#[test]
fn every_kind_of_command_is_told_whole() {
    let (mut office, ..) = busy_office();
    let id = office.draft("P-1");
    office.change_target(id, "120", "200");
    for step in [
        RevisionCommand::Submit,
        RevisionCommand::Approve,
        RevisionCommand::Reject,
        RevisionCommand::Withdraw,
    ] {
        office.done(Command::Revision(step(id)));
    }
    office.lock(Quarter::Q1);
    office.done(Command::Quarter(QuarterCommand::Reject(PlanQuarter { year: 2024, quarter: Quarter::Q2 })));
    office.done(Command::Indicator(SetIndicator {
        indicator: Some(UTTP),
        kind: Some(Kind::Sum),
        targets: vec![(Quarter::Q4, Target::NotPlanned)],
        ..Default::default()
    }));
    office.done(Command::People(PeopleCommand::RevokeDevice(RevokeDevice { device: DeviceId(3) })));
    let last_day = Date::parse("2024-06-30").unwrap();
    office.done(Command::People(PeopleCommand::EndAssignments(EndAssignments {
        role: None,
        person: PersonId(3),
        unit: None,
        last_day,
    })));
    later_rules(&mut office);
    let events = told(&office);
    let mut kinds: Vec<&str> = office.log.iter().map(|record| record.envelope.command.name()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds.len(), 46, "every kind of command is in the office's log: {kinds:?}");
    for (event, record) in events.iter().zip(&office.log) {
        let keys: Vec<&str> = event.fields.keys().take(7).map(String::as_str).collect();
        assert_eq!(keys, ["position", "time", "actor", "device", "type", "outcome", "summary"]);
        let clean = !event.summary.contains("%{") && !event.summary.starts_with("audit.");
        assert!(
            clean && !event.summary.is_empty(),
            "{}: {:?}",
            record.envelope.command.name(),
            event.summary
        );
        check(event, json!({ "reason": "karena", "clock_skew_ms": -1500 }));
    }
}

#[test]
fn entries_say_indicator_reading_and_how_they_counted_before() {
    let (office, entry, held) = busy_office();
    let id = office.state.public_id(entry);
    let events = told(&office);
    let of = |kind: &str| events.iter().find(|event| event.fields["type"] == kind).unwrap();
    check(
        of("entry.added"),
        json!({
            "entry_id": id, "indicator": "1.1.1.1", "on": "2024-07-09", "quarter": 3, "quantity": "1234.5", "late": false,
            "actor": "Orang 1", "device": 1, "outcome": "recorded",
        }),
    );
    assert!(of("entry.added").summary.contains("1.234,5"), "{}", of("entry.added").summary);
    check(
        of("entry.amended"),
        json!({
            "quantity": "12", "late": true, "version": id,
            "before": { "indicator": "1.1.1.1", "quarter": 3, "on": "2024-07-09", "state": "recorded", "quantity": "1234.5" },
        }),
    );
    check(
        of("entry.held"),
        json!({
            "command": "entry.amended", "code": "QUARTER_LOCKED", "outcome": "held", "entry_id": id,
            "details": { "indicator": "1.1.1.1", "quarter": "2", "year": "2024" },
        }),
    );
    check(
        of("command.refused"),
        json!({ "command": "entry.verified", "code": "SELF_VERIFICATION", "outcome": "refused" }),
    );
    check(
        of("held.released"),
        json!({
            "entry_id": office.state.public_id(held), "to": "1.1.1.1", "count_in": 4, "cause": "QUARTER_LOCKED",
        }),
    );
    assert!(of("held.dismissed").indicators.contains(&UTTP));
    assert_eq!(of("entry.held").entry, Some(entry));
}

#[test]
fn people_and_devices_are_numbered_by_counting() {
    let events = told(&Office::established());
    let enrolled: Vec<&Event> =
        events.iter().filter(|event| event.fields["type"] == "device.enrolled").collect();
    check(enrolled[1], json!({ "enrolled": 2, "person": "Orang 2", "device": null }));
    let added: Vec<&Event> = events.iter().filter(|event| event.fields["type"] == "person.added").collect();
    check(added[2], json!({ "person_id": 3, "person": "Orang 3" }));
    let established = events.last().unwrap();
    check(established, json!({ "type": "plan.established", "year": 2024 }));
    let imported = events.iter().rfind(|event| event.fields["type"] == "plan.indicator_imported").unwrap();
    check(
        imported,
        json!({ "level": "sub_activity", "targets": ["70", "585", "120", "170"], "kind": "sum" }),
    );
}

#[test]
fn revisions_are_told_with_number_and_change() {
    let mut office = Office::established();
    let id = office.draft("P-1");
    office.change_target(id, "120", "200");
    office.done(Command::Revision(RevisionCommand::Approve(id)));
    let events = told(&office);
    let [.., drafted, added, approved] = events.as_slice() else { panic!("three records at least") };
    check(drafted, json!({ "revision": 1, "number": "P-1", "year": 2024, "effective": 3 }));
    check(
        added,
        json!({
            "revision": 1, "number": "P-1", "change": "target", "indicator": "1.1.1.1", "quarter": 3, "old": "120", "new": "200",
        }),
    );
    check(approved, json!({ "type": "revision.approved", "revision": 1, "number": "P-1" }));
    assert!(approved.indicators.contains(&UTTP));
}

#[test]
fn settings_say_the_target_they_replaced() {
    let mut office = Office::established();
    office.done(Command::Indicator(SetIndicator {
        indicator: Some(UTTP),
        targets: vec![(Quarter::Q4, Target::Missing)],
        ..Default::default()
    }));
    let events = told(&office);
    check(
        events.last().unwrap(),
        json!({
            "indicator": "1.1.1.1", "targets": [{ "quarter": 4, "old": "170", "new": "missing" }],
        }),
    );
}

#[test]
fn an_indicators_story_begins_with_its_import_and_has_the_revision_that_changed_it() {
    let mut office = Office::established();
    let id = office.draft("P-1");
    office.change_target(id, "120", "200");
    office.draft("P-2");
    office.done(Command::Revision(RevisionCommand::Approve(id)));
    let events = told(&office);
    let about = events.iter().filter(|event| event.indicators.contains(&UTTP));
    let kinds: Vec<&str> = about.map(|event| event.fields["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["plan.indicator_imported", "revision.drafted", "revision.change_added", "revision.approved"]
    );
}
