use renaksi_domain::figures::Period::Quarter as Q;
use renaksi_domain::held::Fate;
use renaksi_domain::time::Quarter::{Q1, Q2, Q3};

use crate::office::{Office, key};

#[test]
fn t3_late_on_day_seven_held_on_day_eleven() {
    let mut office = Office::established();
    office.at("2024-04-07 09:00");
    assert!(office.does("ayu add uttp 7 2024-03-20").late);
    office.at("2024-04-10 09:00");
    office.does("admin lock 1");
    office.does("head approve-lock 1");
    office.at("2024-04-11 09:00");
    office.is_held("ayu add uttp 11 2024-03-20", "QUARTER_LOCKED indicator=1.1.1.1 quarter=1 year=2024");
    office.expect("uttp", Q(Q1), "70 | 7 | not reported | 10.00 | NOT_VERIFIED");
}

#[test]
fn t4_a_slow_clock_does_not_open_a_locked_quarter() {
    let mut office = Office::established();
    office.lock(1);
    office.device_ahead_micros = -9 * 86_400_000_000;
    office.is_held("ayu add uttp 1 2024-03-29", "QUARTER_LOCKED indicator=1.1.1.1 quarter=1 year=2024");
}

#[test]
fn t6_of_a_locked_quarter_held_of_the_next_recorded() {
    let mut office = Office::established();
    office.lock(1);
    for _ in 0..10 {
        office.is_held("ayu add uttp 1 2024-03-29", "QUARTER_LOCKED indicator=1.1.1.1 quarter=1 year=2024");
    }
    for _ in 0..5 {
        office.does("ayu add uttp 1 2024-04-02");
    }
    assert_eq!(office.state.held.len(), 10);
    assert_eq!(office.state.entries.len(), 5);
}

#[test]
fn t8_a_lock_splits_a_batch_at_its_position() {
    let mut office = Office::established();
    office.at("2024-04-08 09:00");
    for number in 1..=20 {
        if number == 12 {
            office.does("admin lock 1");
        }
        if number == 13 {
            office.does("head approve-lock 1");
        }
        let (_, outcome) = office.ask("ayu add uttp 1 2024-03-29");
        let held = matches!(outcome, renaksi_domain::Outcome::Held(_));
        assert_eq!(held, number >= 13, "entry {number}: a request alone closes nothing");
    }
    assert_eq!((office.state.entries.len(), office.state.held.len()), (12, 8));
    office.expect("uttp", Q(Q1), "70 | 12 | not reported | 17.14 | NOT_VERIFIED");
}

#[test]
fn v3_entries_of_a_retired_indicator_are_held_and_may_go_to_another() {
    let mut office = Office::established();
    office.at("2024-07-09 08:00");
    office.does("admin draft R1 3");
    office.does("admin change 1 retire asn");
    office.does("admin submit 1");
    office.does("head approve 1");
    office.is_held("ayu add asn 2 2024-07-05", "INDICATOR_RETIRED indicator=1.1.1.2 quarter=3");
    office.is_held("ayu add asn 3 2024-07-06", "INDICATOR_RETIRED indicator=1.1.1.2 quarter=3");
    office.does("ayu add asn 1 2024-06-28");
    office.is_refused("admin release ayu/1", "INDICATOR_RETIRED indicator=1.1.1.2 quarter=3");
    office.does("admin release ayu/1 to laporan");
    office.does("admin release ayu/2 to laporan");
    office.expect("laporan", Q(Q3), "0 | 5 | not reported | TARGET_ZERO | TARGET_ZERO");
    let retired = "not planned | not reported | not reported | INDICATOR_RETIRED | INDICATOR_RETIRED";
    office.expect("asn", Q(Q3), retired);
    // What was recorded before may be amended into another indicator, too; its figure leaves the first.
    office.is_held("ayu amend ayu/3 4 2024-07-01", "INDICATOR_RETIRED indicator=1.1.1.2 quarter=3");
    office.does("admin release ayu/4 to laporan");
    office.expect("laporan", Q(Q3), "0 | 9 | not reported | TARGET_ZERO | TARGET_ZERO");
    office.expect("asn", Q(Q2), "28 | not reported | not reported | NOT_REPORTED | NOT_REPORTED");
}

#[test]
fn a_release_to_another_indicator_must_fit_it() {
    let mut office = Office::established();
    office.at("2024-05-14 08:00");
    office.is_held(
        "ayu add aktif 3/4 2024-05-14",
        "NOT_ASSIGNED indicator=2.1 date=2024-05-14 unit=Kepala Bidang Koperasi",
    );
    office.is_refused(
        "admin release ayu/1 to uttp",
        "READING_MISMATCH indicator=1.1.1.1 wanted=quantity kind=sum",
    );
    office.is_held(
        "citra add tera -5 2024-05-14",
        "NOT_ASSIGNED indicator=1.1.1 date=2024-05-14 unit=Kepala Bidang Perdagangan",
    );
    office.is_refused("admin release citra/1 to koperasi", "NEGATIVE_COUNT indicator=2.1.1 quantity=-5");
    office.does("admin release citra/1");
}

#[test]
fn a_held_entry_of_a_locked_quarter_is_carried_over() {
    let mut office = Office::established();
    office.lock(1);
    office.is_held("ayu add uttp 6 2024-03-29", "QUARTER_LOCKED indicator=1.1.1.1 quarter=1 year=2024");
    office.is_refused("admin release ayu/1", "QUARTER_LOCKED indicator=1.1.1.1 quarter=1 year=2024");
    let effect = office.does("admin release ayu/1 in 2");
    assert!(effect.late);
    let entry = office.state.entries.get(key("ayu/1")).unwrap();
    assert_eq!((entry.quarter, entry.on.to_string().as_str()), (Q2, "2024-03-29"));
    office.expect("uttp", Q(Q1), "70 | not reported | not reported | NOT_REPORTED | NOT_REPORTED");
    office.expect("uttp", Q(Q2), "585 | 6 | not reported | 1.03 | NOT_VERIFIED");
    office.does("kabid verify ayu/1");
    office.does("ayu void ayu/1");
    office.expect("uttp", Q(Q2), "585 | not reported | not reported | NOT_REPORTED | NOT_REPORTED");
}

#[test]
fn held_work_has_one_fate() {
    let mut office = Office::established();
    office.at("2024-05-14 08:00");
    for _ in 0..3 {
        office.is_held(
            "ayu add koperasi 1 2024-05-14",
            "NOT_ASSIGNED indicator=2.1.1 date=2024-05-14 unit=Kepala Bidang Koperasi",
        );
    }
    let third = office.state.public_id(key("ayu/3"));
    office.is_refused("citra withdraw ayu/3", &format!("NOT_OWN_ENTRY entry={third}"));
    office.does("admin release ayu/1");
    office.does("admin dismiss ayu/2");
    office.does("ayu2 withdraw ayu/3");
    let fates: Vec<Fate> = office.state.held.values().map(|held| held.fate).collect();
    assert_eq!(fates, [Fate::Released, Fate::Dismissed, Fate::Withdrawn]);
    office.is_refused("admin release ayu/3", &format!("UNKNOWN_HELD entry={third}"));
    office.expect("koperasi", Q(Q2), "78 | 1 | not reported | 1.28 | NOT_VERIFIED");
}

#[test]
fn a_revoked_device_gives_its_facts_and_does_nothing_else() {
    let mut office = Office::established();
    office.at("2024-05-14 08:00");
    office.is_held(
        "ayu add koperasi 1 2024-05-14",
        "NOT_ASSIGNED indicator=2.1.1 date=2024-05-14 unit=Kepala Bidang Koperasi",
    );
    office.does("ayu add uttp 1 2024-05-14");
    office.does("operator revoke 5");
    office.is_held("ayu add uttp 2 2024-05-14", "DEVICE_REVOKED");
    office.is_held("ayu amend ayu/2 3 2024-05-14", "DEVICE_REVOKED");
    office.is_held("ayu void ayu/2", "DEVICE_REVOKED");
    office.is_refused("ayu withdraw ayu/1", "DEVICE_REVOKED command=held.withdrawn");
    office.expect("uttp", Q(Q2), "585 | 1 | not reported | 0.17 | NOT_VERIFIED");
    office.does("ayu2 add uttp 4 2024-05-14");
    office.does("admin release ayu/3");
    office.expect("uttp", Q(Q2), "585 | 7 | not reported | 1.20 | NOT_VERIFIED");
}

#[test]
fn a_released_add_takes_with_it_what_waited_for_it() {
    let mut office = Office::established();
    office.lock(1);
    office.is_held("ayu add uttp 100 2024-03-29", "QUARTER_LOCKED indicator=1.1.1.1 quarter=1 year=2024");
    let first = office.state.public_id(key("ayu/1"));
    office.is_held("ayu void ayu/1", &format!("ENTRY_NOT_YET_KNOWN entry={first}"));
    office.does("admin release ayu/1 in 2");
    office.expect("uttp", Q(Q2), "585 | not reported | not reported | NOT_REPORTED | NOT_REPORTED");
    let fates: Vec<Fate> = office.state.held.values().map(|held| held.fate).collect();
    assert_eq!(fates, [Fate::Released, Fate::Released]);
}

#[test]
fn what_happened_in_an_open_quarter_counts_there() {
    let mut office = Office::established();
    office.at("2024-05-14 08:00");
    let held = "NOT_ASSIGNED indicator=2.1.1 date=2024-05-14 unit=Kepala Bidang Koperasi";
    office.is_held("ayu add koperasi 1 2024-05-14", held);
    let id = office.state.public_id(key("ayu/1"));
    office.is_refused("admin release ayu/1 in 3", &format!("NOTHING_TO_CHANGE entry={id} quarter=2"));
}

#[test]
fn a_carried_over_entry_goes_on_counting_where_it_was_carried() {
    let mut office = Office::established();
    office.lock(1);
    office.is_held("ayu add uttp 8 2024-03-28", "QUARTER_LOCKED indicator=1.1.1.1 quarter=1 year=2024");
    office.does("admin release ayu/1 in 2");
    office.does("ayu amend ayu/1 9 2024-03-27");
    office.expect("uttp", Q(Q2), "585 | 9 | not reported | 1.54 | NOT_VERIFIED");
    office.does("ayu amend ayu/1@ayu/2 10 2024-04-02");
    office.expect("uttp", Q(Q2), "585 | 10 | not reported | 1.71 | NOT_VERIFIED");
}

/// An entry that was carried over goes on counting where it was carried (so it is when its author amends it directly);
/// a held amendment of it that is released goes there too.
#[test]
fn a_released_amendment_of_what_was_carried_over_counts_where_it_was_carried() {
    let mut office = Office::established();
    office.lock(1);
    office.is_held("ayu add uttp 8 2024-03-28", "QUARTER_LOCKED indicator=1.1.1.1 quarter=1 year=2024");
    office.does("admin release ayu/1 in 2");
    office.does("ayu amend ayu/1 9 2024-03-28");
    office.ask("ayu2 amend ayu/1@ayu/1 10 2024-03-28");
    office.does("admin release ayu2/1");
    office.expect("uttp", Q(Q2), "585 | 10 | not reported | 1.71 | NOT_VERIFIED");
}

/// "Held work shows its exact cause": after a dismissal the entry will never come.
#[test]
fn a_change_of_a_dismissed_entry_does_not_wait_for_it() {
    let mut office = Office::established();
    office.at("2024-05-14 08:00");
    office.ask("ayu add koperasi 1 2024-05-14");
    office.does("admin dismiss ayu/1");
    let entry = office.state.public_id(key("ayu/1"));
    office.is_refused("ayu amend ayu/1@ayu/1 2 2024-05-14", &format!("UNKNOWN_ENTRY entry={entry}"));
}
