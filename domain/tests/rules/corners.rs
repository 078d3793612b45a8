//! Rules with many cases, each case told: the states of an entry, the ends of a revision, every kind of change.

use renaksi_domain::figures::Period::{Quarter as Q, ToDate, Year};
use renaksi_domain::revision::RevisionState;
use renaksi_domain::time::Quarter::{Q1, Q2, Q3};

use crate::office::{Office, key};

const NONE: &str = "585 | not reported | not reported | NOT_REPORTED | NOT_REPORTED";

/// `pending` is of the device alone and not of the rules.
#[test]
fn each_state_of_an_entry_counts_as_its_table_says() {
    let recorded = "585 | 5 | not reported | 0.85 | NOT_VERIFIED";
    let of_another_unit = "2024-05-14 held";
    for (state, words, figures) in [
        ("recorded", &["ayu add uttp 5 2024-05-14"][..], recorded),
        ("verified", &["ayu add uttp 5 2024-05-14", "kabid verify ayu/1"], "585 | 5 | 5 | 0.85 | 0.85"),
        ("returned", &["ayu add uttp 5 2024-05-14", "kabid return ayu/1"], NONE),
        (
            "returned after all",
            &["ayu add uttp 5 2024-05-14", "kabid verify ayu/1", "kabid return ayu/1"],
            NONE,
        ),
        ("voided", &["ayu add uttp 5 2024-05-14", "ayu void ayu/1"], NONE),
        (
            "amended",
            &["ayu add uttp 9 2024-05-14", "kabid verify ayu/1", "ayu amend ayu/1 5 2024-05-14"],
            recorded,
        ),
        (of_another_unit, &["citra add uttp 5 2024-05-14"], NONE),
        ("released", &["citra add uttp 5 2024-05-14", "admin release citra/1"], recorded),
        ("dismissed", &["citra add uttp 5 2024-05-14", "admin dismiss citra/1"], NONE),
        ("withdrawn", &["citra add uttp 5 2024-05-14", "citra withdraw citra/1"], NONE),
    ] {
        let mut office = Office::established();
        office.at("2024-05-14 09:00");
        for words in words {
            office.ask(words);
        }
        assert_eq!(office.figures("uttp", Q(Q2)), figures, "{state}");
    }
}

/// What was verified stays so beside what is amended later: each entry has its own state.
#[test]
fn what_is_not_verified_is_missing_from_the_official_figure_alone() {
    let mut office = Office::established();
    office.at("2024-05-14 09:00");
    office.does("ayu add uttp 500 2024-05-14");
    office.does("budi add uttp 85 2024-05-14");
    office.does("kabid verify ayu/1");
    office.expect("uttp", Q(Q2), "585 | 585 | 500 | 100.00 | 85.47");
    assert_eq!(office.line("uttp", Q(Q2)).rating.as_deref(), Some("Tinggi"));
    office.does("kabid verify budi/1");
    assert_eq!(office.line("uttp", Q(Q2)).rating.as_deref(), Some("Sangat Tinggi"));
}

#[test]
fn a_revision_ends_once_and_only_an_approved_one_applies() {
    for (act, end, target) in [
        ("head approve 1", RevisionState::Approved, "200"),
        ("head reject 1", RevisionState::Rejected, "120"),
        ("admin withdraw-revision 1", RevisionState::Withdrawn, "120"),
    ] {
        let mut office = Office::established();
        office.at("2024-07-10 09:00");
        office.does("admin draft R1 3");
        office.does("admin change 1 target uttp 3 120 200");
        assert_eq!(office.line("uttp", Q(Q3)).target.label(), "120");
        office.does("admin submit 1");
        assert_eq!(office.line("uttp", Q(Q3)).target.label(), "120");
        office.does(act);
        let revision = &office.state.revisions[0];
        assert_eq!((revision.state, office.line("uttp", Q(Q3)).target.label().as_str()), (end, target));
        let over = format!("REVISION_STATE revision=R1 state={}", end.name());
        for again in [
            "head approve 1",
            "head reject 1",
            "admin withdraw-revision 1",
            "admin submit 1",
            "admin change 1 target uttp 4 170 180",
        ] {
            office.is_refused(again, &over);
        }
    }
}

/// Every kind of change, as it is first made and as another draft made it meanwhile.
const CHANGES: [(&str, &str); 8] = [
    ("target uttp 3 120 200", "target uttp 3 120 210"),
    ("kind uttp sum latest", "kind uttp sum average"),
    ("polarity uttp higher lower", "polarity uttp higher lower"),
    ("formula aduan mirrored inverse", "formula aduan mirrored inverse"),
    ("rename uttp uttp satu", "rename uttp uttp dua"),
    ("reassign uttp 2 3", "reassign uttp 2 1"),
    ("cap uttp none 120", "cap uttp none 150"),
    ("year-target uttp none 1000", "year-target uttp none 2000"),
];

#[test]
fn v2_every_kind_of_change_finds_its_base_moved_and_names_the_other() {
    for (first, second) in CHANGES.into_iter().chain([("retire uttp", "retire uttp")]) {
        let mut office = Office::established();
        office.at("2024-07-10 09:00");
        for (number, change) in [(1, first), (2, second)] {
            office.does(&format!("admin draft R{number} 3"));
            office.does(&format!("admin change {number} {change}"));
            // Something beside it that does hold, and is not applied either.
            office.does(&format!("admin change {number} target asn 4 28 {}", 30 + number));
            office.does(&format!("admin submit {number}"));
        }
        // The first changes nothing of the second's other cell.
        office.does("head reject 1");
        office.does("admin draft R3 3");
        office.does(&format!("admin change 3 {first}"));
        office.does("admin submit 3");
        office.does("head approve 3");
        let before = office.state.indicators.clone();
        let outcome = office.ask("head approve 2").1;
        let renaksi_domain::Outcome::Refused(cause) = outcome else { panic!("{second}: {outcome:?}") };
        assert_eq!(
            (cause.code.name(), cause.detail("other")),
            ("BASE_MOVED", Some("R3")),
            "{second}: {cause}"
        );
        assert!(before == office.state.indicators, "{second}: nothing of it is applied");
    }
}

#[test]
fn v4_no_kind_of_change_reaches_a_locked_quarter() {
    let of_the_first = |change: &str| match change {
        "target uttp 3 120 200" => "target uttp 1 70 80".to_owned(),
        other => other.to_owned(),
    };
    for (change, _) in CHANGES.into_iter().chain([("retire uttp", "")]) {
        // A stated target of the year is of its last quarter.
        if change.starts_with("year-target") {
            continue;
        }
        let mut office = Office::established();
        office.lock(1);
        office.does("admin draft R1 1");
        office.does(&format!("admin change 1 {}", of_the_first(change)));
        let code = if change.contains("aduan") { "2.1.1.2" } else { "1.1.1.1" };
        let before = office.state.indicators.clone();
        office.is_refused("admin submit 1", &format!("CELL_LOCKED revision=R1 indicator={code} quarter=1"));
        assert!(before == office.state.indicators);
    }
}

/// A reopened quarter is not locked: its target may be revised, and its next lock takes it.
#[test]
fn a_target_of_a_reopened_quarter_may_be_revised_and_no_later_lock_sees_it() {
    let mut office = Office::established();
    office.at("2024-03-20 08:00").does("ayu add uttp 40 2024-03-20");
    office.lock(1);
    office.lock(2);
    office.does("kabid request-reopen 1 2024-07-20T17:00");
    office.does("admin draft R1 1");
    office.does("admin change 1 target uttp 1 70 80");
    office.is_refused("admin submit 1", "CELL_LOCKED revision=R1 indicator=1.1.1.1 quarter=1");
    office.does("admin grant-reopen 1");
    office.does("admin submit 1");
    office.does("head approve 1");
    office.expect("uttp", Q(Q1), "80 | 40 | not reported | 50.00 | NOT_VERIFIED");
    office.at("2024-07-20 17:00").does("host relock 1");
    office.expect("uttp", Q(Q1), "80 | 40 | not reported | 50.00 | NOT_VERIFIED");
    assert_eq!(office.line("uttp", Q(Q1)).target_original.label(), "70");
    office.expect("uttp", ToDate(Q2), "655 | 40 | not reported | 6.11 | NOT_VERIFIED");
    office.expect("uttp", Year, "955 | 40 | not reported | 4.19 | NOT_VERIFIED");
}

#[test]
fn a_second_administrator_grants_what_an_administrator_asked_for() {
    let mut office = Office::established();
    office.does("operator assign 8 administrator 1");
    office.does("head confirm 1");
    office.lock(1);
    office.does("admin request-reopen 1 2024-07-20T17:00");
    office.is_refused("admin grant-reopen 1", "SELF_APPROVAL quarter=1 year=2024 state=reopen requested");
    office.does("kabidkop grant-reopen 1");
    office.does("ayu add uttp 1 2024-03-01");
}

/// "Unless the quarter is reopened or the administrator counts it in an open later quarter."
#[test]
fn work_is_carried_into_an_open_later_quarter_that_has_begun_and_no_other() {
    let mut office = Office::established();
    office.lock(1);
    let locked = "QUARTER_LOCKED indicator=1.1.1.1 quarter=1 year=2024";
    office.is_held("ayu add uttp 6 2024-03-29", locked);
    office.is_held("ayu add uttp 7 2024-03-29", locked);
    office.is_refused("admin release ayu/1 in 1", locked);
    office.is_refused("admin release ayu/1 in 3", "QUARTER_NOT_OPEN quarter=3 date=2024-03-29");
    office.lock(2);
    office.is_refused("admin release ayu/1 in 2", "QUARTER_LOCKED indicator=1.1.1.1 quarter=2 year=2024");
    office.does("admin release ayu/1 in 3");
    office.expect("uttp", Q(Q1), "70 | not reported | not reported | NOT_REPORTED | NOT_REPORTED");
    office.expect("uttp", Q(Q3), "120 | 6 | not reported | 5.00 | NOT_VERIFIED");
    office.expect("uttp", Year, "945 | 6 | not reported | 0.63 | NOT_VERIFIED");
    // It is shown as carried over: its day is of one quarter, and it counts in another.
    let entry = office.state.entries.get(key("ayu/1")).unwrap();
    assert_eq!((entry.on.quarter(), entry.quarter, entry.late), (Q1, Q3, true));
    // Reopened, the second counts where it happened.
    office.does("kabid request-reopen 1 2024-07-20T17:00");
    office.does("admin grant-reopen 1");
    office.does("admin release ayu/2");
    assert_eq!(office.state.entries.get(key("ayu/2")).unwrap().quarter, Q1);
}

/// "An entry is judged by the assignment that held on the day it happened": also when nothing is held any more. An act is
/// judged by the day it is done.
#[test]
fn a_fact_is_judged_by_its_day_though_its_author_has_no_role_any_more() {
    let mut office = Office::established();
    office.at("2024-06-20 08:00").does("budi add uttp 1 2024-06-20");
    office.at("2024-07-01 08:00");
    office.does("operator end 5 0 2024-06-30");
    office.does("operator end 4 0 2024-06-30");
    office.at("2024-07-03 08:00");
    office.does("ayu add uttp 4 2024-06-28");
    office.does("ayu amend ayu/1 5 2024-06-28");
    let moved = "NOT_ASSIGNED indicator=1.1.1.1 date=2024-07-02 unit=Kepala Bidang Perdagangan";
    office.is_held("ayu add uttp 4 2024-07-02", moved);
    office.is_held("ayu amend ayu/1 5 2024-07-02", moved);
    office.does("ayu withdraw ayu/3");
    office.does("kabid add uttp 3 2024-06-28");
    office.is_refused(
        "kabid verify budi/1",
        "ROLE_MAY_NOT role=head-of-unit, head-of-office command=entry.verified",
    );
    office.expect("uttp", Q(Q2), "585 | 9 | not reported | 1.54 | NOT_VERIFIED");
}

#[test]
fn t5_the_clock_holds_corrections_like_additions_and_keeps_nobody_from_judging() {
    let mut office = Office::established();
    office.at("2024-05-14 09:00").does("ayu add uttp 4 2024-05-14");
    office.is_held(
        "ayu amend ayu/1 5 2024-05-16",
        "CLOCK_IMPLAUSIBLE indicator=1.1.1.1 date=2024-05-16 ahead_seconds=0",
    );
    office.device_ahead_micros = 90_000_000_000;
    let ahead = "CLOCK_IMPLAUSIBLE indicator=1.1.1.1 date=2024-05-14 ahead_seconds=90000";
    office.is_held("ayu amend ayu/1 6 2024-05-14", ahead);
    office.is_held("ayu void ayu/1", ahead);
    office.does("kabid verify ayu/1");
    office.does("ayu withdraw ayu/4");
    // Order is still that of the device: the next of its commands is taken.
    office.device_ahead_micros = 0;
    office.does("ayu amend ayu/1 7 2024-05-15");
    office.expect("uttp", Q(Q2), "585 | 7 | not reported | 1.20 | NOT_VERIFIED");
}

#[test]
fn what_a_revision_added_takes_facts_of_open_quarters_and_none_of_locked_ones() {
    let mut office = Office::established();
    office.lock(1);
    office.at("2024-07-10 09:00");
    office.does("admin draft R1 3");
    office.does("admin change 1 add tera sub_activity pasar - - 10 20");
    office.does("admin submit 1");
    office.does("head approve 1");
    office.is_held("ayu add 11 1 2024-02-01", "QUARTER_LOCKED indicator=1.1.1.4 quarter=1 year=2024");
    office.does("ayu add 11 1 2024-05-01");
    office.does("ayu add 11 1 2024-07-02");
    let unplanned = "not planned | 1 | not reported | TARGET_NOT_PLANNED | TARGET_NOT_PLANNED";
    office.expect("11", Q(Q2), unplanned);
    office.expect("11", Q(Q3), "10 | 1 | not reported | 10.00 | NOT_VERIFIED");
    office.expect("11", Year, "30 | 2 | not reported | 6.67 | NOT_VERIFIED");
    office.lock(2);
    office.expect("11", Q(Q2), unplanned);
}

/// A stretch that was locked without a reading of a mean brings nothing, and reopening moves no later lock of it either.
#[test]
fn means_leave_out_what_was_not_reported_and_stay_as_they_were_locked() {
    let mut office = Office::draft();
    office.does("admin set asn kind average");
    office.does("admin establish 2024");
    office.does("head approve-plan 2024");
    office.at("2024-03-20 08:00").does("ayu add asn 10 2024-03-20");
    office.does("ayu add asn 11 2024-03-20");
    office.lock(1);
    office.lock(2);
    office.at("2024-07-10 08:00").does("ayu add asn 20 2024-07-10");
    office.expect("asn", Q(Q1), "28 | 10.50 | not reported | 37.50 | NOT_VERIFIED");
    office.expect("asn", ToDate(Q3), "28.00 | 15.25 | not reported | 54.46 | NOT_VERIFIED");
    office.does("kabid request-reopen 1 2024-07-20T17:00");
    office.does("admin grant-reopen 1");
    office.does("ayu add asn 30 2024-03-21");
    office.at("2024-07-20 17:00").does("host relock 1");
    office.expect("asn", Q(Q1), "28 | 17.00 | not reported | 60.71 | NOT_VERIFIED");
    office.expect("asn", ToDate(Q2), "28.00 | 10.50 | not reported | 37.50 | NOT_VERIFIED");
    office.expect("asn", Year, "28.00 | 18.50 | not reported | 66.07 | NOT_VERIFIED");
}
