use renaksi_domain::figures::Period::Quarter as Q;
use renaksi_domain::quarter::PlanQuarter;
use renaksi_domain::time::Date;
use renaksi_domain::time::Quarter::{self, Q1, Q2};

use crate::office::{Office, id};

fn due(office: &Office) -> [String; 4] {
    Quarter::ALL.map(|quarter| office.state.config.due_date(PlanQuarter { year: 2024, quarter }).to_string())
}

#[test]
fn due_dates_follow_the_working_days_and_holidays_that_the_office_sets() {
    let mut office = Office::established();
    assert_eq!(due(&office), ["2024-04-05", "2024-07-05", "2024-10-07", "2025-01-08"]);
    office.does("admin holidays +2024-04-05");
    assert_eq!(due(&office)[0], "2024-04-08");
    office.does("admin holidays -2024-04-05 -2025-01-01");
    assert_eq!(due(&office), ["2024-04-05", "2024-07-05", "2024-10-07", "2025-01-07"]);
    office.is_refused("admin holidays -2024-04-05", "NOTHING_TO_CHANGE setting=holidays");
    // A holiday on a Saturday is one, and is told once; no due date moves by it.
    office.does("admin holidays +2024-04-06");
    office.is_refused("admin holidays +2024-04-06", "NOTHING_TO_CHANGE setting=holidays");
    office.is_refused("admin holidays +2024-06-01", "NOTHING_TO_CHANGE setting=holidays");
    office.does("admin due-days 7");
    assert_eq!(due(&office)[0], "2024-04-09");
    office.is_refused("kabid due-days 5", "ROLE_MAY_NOT role=administrator command=config.due_days_set");
}

#[test]
fn what_was_marked_late_stays_as_it_was_marked() {
    let mut office = Office::established();
    office.at("2024-04-08 08:00");
    assert!(office.does("ayu add uttp 1 2024-03-20").late);
    office.does("admin due-days 6");
    assert!(!office.does("ayu add uttp 1 2024-03-20").late);
    let late: Vec<bool> = office.state.entries.iter().map(|entry| entry.late).collect();
    assert_eq!(late, [true, false]);
}

#[test]
fn ratings_come_from_the_bands_and_use_the_exact_value() {
    let mut office = Office::established();
    office.at("2024-05-20 08:00").does("ayu add uttp 529 2024-05-20");
    office.does("kabid verify ayu/1");
    // 529 of 585 are 90.427… %.
    assert_eq!(office.line("uttp", Q(Q2)).rating.as_deref(), Some("Sangat Tinggi"));
    office.does("admin bands cukup=..90.42 lebih=90.42..90.43 tinggi=90.43..");
    assert_eq!(office.line("uttp", Q(Q2)).rating.as_deref(), Some("lebih"));
    office.is_refused(
        "admin bands tinggi=90.43.. lebih=90.42..90.43 cukup=..90.42",
        "NOTHING_TO_CHANGE setting=bands",
    );
}

#[test]
fn a_narrative_is_written_by_those_who_answer_for_it_in_versions() {
    let mut office = Office::established();
    office.at("2024-05-20 08:00");
    office.is_refused(
        "ayu narrate uttp 2 0 a b c",
        "ROLE_MAY_NOT role=head-of-unit, administrator command=narrative.set",
    );
    office.does("kabid narrate uttp 2 0 kerja hujan jadwal");
    let first = office.state.narrative(id("uttp"), Q2).unwrap().clone();
    assert_eq!(
        (&*first.texts.driver, &*first.texts.obstacle, &*first.texts.follow_up),
        ("kerja", "hujan", "jadwal")
    );
    office.is_refused(
        "admin narrate uttp 2 0 lain lain lain",
        &format!("VERSION_MOVED indicator=1.1.1.1 quarter=2 base=0 version={}", first.position),
    );
    office.is_refused(
        &format!("admin narrate uttp 2 {} kerja hujan jadwal", first.position),
        "NOTHING_TO_CHANGE indicator=1.1.1.1 quarter=2",
    );
    office.does(&format!("admin narrate uttp 2 {} kerja hujan selesai", first.position));
    let second = office.state.narrative(id("uttp"), Q2).unwrap();
    assert_eq!((second.version, second.author.0, &*second.texts.follow_up), (2, 2, "selesai"));
    assert_eq!(office.state.narrative(id("uttp"), Q1), None);
    office.lock(1);
    office.is_refused("kabid narrate uttp 1 0 a b c", "QUARTER_LOCKED indicator=1.1.1.1 quarter=1 year=2024");
    // Whose it is, is whose it is in that quarter.
    office.does("kabidkop narrate koperasi 2 0 a b c");
}

#[test]
fn late_begins_with_the_next_day() {
    let mut office = Office::established();
    office.at("2024-04-06 00:00:00");
    office.now = office.now.plus_micros(-1);
    assert!(!office.does("ayu add uttp 1 2024-03-20").late);
    office.now = office.now.plus_micros(1);
    assert!(office.does("ayu add uttp 1 2024-03-20").late);
}

#[test]
fn settings_have_their_ends() {
    let mut office = Office::established();
    office.does("admin due-days 0");
    assert_eq!(due(&office)[0], "2024-03-31");
    office.does("admin due-days 60");
    office.is_refused("admin due-days 61", "CONFIG_INVALID days=61 days_max=60");
    // 4,000 days may be set, a day that is set already counts once.
    let day = |number: i32| Date::parse("2030-01-01").unwrap().plus_days(number);
    let list = |from: i32, to: i32| (from..to).map(|n| format!("+{}", day(n))).collect::<Vec<_>>().join(" ");
    office.does(&format!("admin holidays {}", list(0, 2_000)));
    office.is_refused(
        &format!("admin holidays {}", list(1_999, 4_001)),
        "CONFIG_INVALID days=4001 days_max=4000",
    );
    office.does(&format!("admin holidays {}", list(1_000, 4_000)));
    assert_eq!(office.state.config.days.len(), 4_000);
    assert!(!office.state.config.is_working_day(day(2)));
    assert!((4_000..4_007).any(|number| office.state.config.is_working_day(day(number))));
}
