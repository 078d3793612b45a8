use renaksi_domain::command::Counted;
use renaksi_domain::entry::State;
use renaksi_domain::figures::Period::{Quarter as Q, Year};
use renaksi_domain::ids::Origin;
use renaksi_domain::time::Quarter::{Q1, Q2, Q3};

use crate::office::{Office, key};

#[test]
fn r5_two_officers_at_two_markets_add_up() {
    let mut office = Office::established();
    office.at("2024-05-14 09:00");
    office.does("ayu add uttp 40 2024-05-14");
    office.does("budi add uttp 45 2024-05-14");
    office.expect("uttp", Q(Q2), "585 | 85 | not reported | 14.53 | NOT_VERIFIED");
}

#[test]
fn r4_two_devices_amend_the_same_version() {
    let mut office = Office::established();
    office.at("2024-05-14 09:00");
    office.does("ayu add uttp 10 2024-05-14");
    office.does("ayu amend ayu/1@ayu/1 40 2024-05-14");
    let [one, two] = ["ayu/1", "ayu/2"].map(|name| office.state.public_id(key(name)));
    let moved = format!("VERSION_MOVED base={one} version={two}");
    office.is_held("ayu2 amend ayu/1@ayu/1 45 2024-05-14", &moved);
    office.expect("uttp", Q(Q2), "585 | 40 | not reported | 6.84 | NOT_VERIFIED");
    office.is_refused("kabid verify ayu/1@ayu/1", &format!("{moved} entry={one}"));
    office.does("kabid verify ayu/1@ayu/2");
    // The administrator decides for the second after all: its value stands, and it is verified anew.
    office.does("admin release ayu2/1");
    office.expect("uttp", Q(Q2), "585 | 45 | not reported | 7.69 | NOT_VERIFIED");
    assert_eq!(office.state.entries.get(key("ayu/1")).unwrap().version, key("ayu2/1"));
}

#[test]
fn an_amendment_of_what_another_device_voided_is_held_not_lost() {
    let mut office = Office::established();
    office.at("2024-05-14 09:00");
    office.does("ayu add uttp 10 2024-05-14");
    office.does("ayu void ayu/1");
    let [entry, void] = ["ayu/1", "ayu/2"].map(|name| office.state.public_id(key(name)));
    let moved = format!("VERSION_MOVED base={entry} version={void}");
    office.is_held("ayu2 amend ayu/1@ayu/1 12 2024-05-14", &moved);
    office.is_refused(
        "ayu amend ayu/1@ayu/2 9 2024-05-14",
        &format!("ENTRY_NOT_COUNTED entry={entry} state=voided"),
    );
    office.is_refused("ayu2 void ayu/1@ayu/1", &format!("ENTRY_NOT_COUNTED entry={entry} state=voided"));
    office.does("admin release ayu2/1");
    office.expect("uttp", Q(Q2), "585 | 12 | not reported | 2.05 | NOT_VERIFIED");
}

#[test]
fn the_life_of_an_entry() {
    let mut office = Office::established();
    office.at("2024-05-14 09:00");
    office.does("ayu add uttp 10 2024-05-14");
    office.does("kabid verify ayu/1");
    office.expect("uttp", Q(Q2), "585 | 10 | 10 | 1.71 | 1.71");
    // Amending what is verified makes it recorded again.
    office.does("ayu amend ayu/1 12 2024-05-14");
    office.expect("uttp", Q(Q2), "585 | 12 | not reported | 2.05 | NOT_VERIFIED");
    // What is returned counts nowhere.
    office.does("kabid return ayu/1");
    office.expect("uttp", Q(Q2), "585 | not reported | not reported | NOT_REPORTED | NOT_REPORTED");
    office.does("ayu amend ayu/1 13 2024-05-15");
    office.does("kabid verify ayu/1");
    office.does("kabid return ayu/1");
    office.does("ayu amend ayu/1 14 2024-05-15");
    office.expect("uttp", Year, "945 | 14 | not reported | 1.48 | NOT_VERIFIED");
    office.does("ayu void ayu/1");
    office.expect("uttp", Year, "945 | not reported | not reported | NOT_REPORTED | NOT_REPORTED");
    assert_eq!(office.state.entries.get(key("ayu/1")).unwrap().state, State::Voided);
}

#[test]
fn an_amendment_may_move_an_entry_to_another_quarter() {
    let mut office = Office::established();
    office.at("2024-04-01 09:00");
    office.does("ayu add uttp 10 2024-04-01");
    office.does("ayu amend ayu/1 10 2024-03-31");
    office.expect("uttp", Q(Q1), "70 | 10 | not reported | 14.29 | NOT_VERIFIED");
    office.expect("uttp", Q(Q2), "585 | not reported | not reported | NOT_REPORTED | NOT_REPORTED");
}

#[test]
fn t1_half_past_midnight_in_jakarta_is_the_new_quarter() {
    let mut office = Office::established();
    office.at("2024-04-01 00:30");
    assert_eq!(office.now.rfc3339(), "2024-03-31T17:30:00Z");
    let today = office.state.day(office.now);
    office.does(&format!("ayu add uttp 3 {today}"));
    office.expect("uttp", Q(Q2), "585 | 3 | not reported | 0.51 | NOT_VERIFIED");
}

#[test]
fn t2_on_time_until_the_last_second_of_the_due_day() {
    let mut office = Office::established();
    office.at("2024-04-05 23:59:59");
    assert!(!office.does("ayu add uttp 1 2024-03-28").late);
    office.at("2024-04-06 00:00:00");
    assert!(office.does("ayu add uttp 1 2024-03-28").late);
    assert!(office.does("ayu amend ayu/1 2 2024-03-28").late);
    assert!(office.state.entries.get(key("ayu/1")).unwrap().late);
    assert!(!office.does("ayu add uttp 1 2024-04-06").late);
}

#[test]
fn t5_a_clock_far_ahead_is_held_with_its_skew() {
    let mut office = Office::established();
    office.at("2024-05-14 09:00");
    office.device_ahead_micros = 86_400_000_000;
    office.does("ayu add uttp 1 2024-05-14");
    office.device_ahead_micros = 86_401_000_000;
    office.is_held(
        "ayu add uttp 1 2024-05-14",
        "CLOCK_IMPLAUSIBLE indicator=1.1.1.1 date=2024-05-14 ahead_seconds=86401",
    );
    office.device_ahead_micros = 0;
    office.does("ayu add uttp 1 2024-05-15");
    office.is_held(
        "ayu add uttp 1 2024-05-16",
        "CLOCK_IMPLAUSIBLE indicator=1.1.1.1 date=2024-05-16 ahead_seconds=0",
    );
    // A slow clock is no cause: the server decides, the day is the officer's word.
    office.device_ahead_micros = -3 * 86_400_000_000;
    office.does("ayu add uttp 1 2024-05-14");
    office.expect("uttp", Q(Q2), "585 | 3 | not reported | 0.51 | NOT_VERIFIED");
}

#[test]
fn after_voiding_the_last_reading_the_one_before_stands() {
    let mut office = Office::established();
    office.at("2024-05-20 09:00");
    office.does("ayu add tera 50 2024-05-14");
    office.does("ayu add tera 52,50 2024-05-16");
    office.does("budi add tera 51 2024-05-15");
    office.expect("tera", Q(Q2), "54.54 | 52.50 | not reported | 96.26 | NOT_VERIFIED");
    office.does("ayu void ayu/2");
    office.expect("tera", Q(Q2), "54.54 | 51 | not reported | 93.51 | NOT_VERIFIED");
    // On the same day the later record stands.
    office.does("ayu add tera 53 2024-05-15");
    office.expect("tera", Q(Q2), "54.54 | 53 | not reported | 97.18 | NOT_VERIFIED");
    office.does("kabid verify budi/1");
    office.expect("tera", Q(Q2), "54.54 | 53 | 51 | 97.18 | 93.51");
}

#[test]
fn a_sum_keeps_the_decimals_of_what_it_counts_and_no_others() {
    let mut office = Office::established();
    office.at("2024-05-14 09:00");
    office.does("ayu add uttp 1,50 2024-05-14");
    office.does("ayu add uttp 2 2024-05-14");
    office.expect("uttp", Q(Q2), "585 | 3.50 | not reported | 0.60 | NOT_VERIFIED");
    office.does("ayu void ayu/1");
    office.expect("uttp", Q(Q2), "585 | 2 | not reported | 0.34 | NOT_VERIFIED");
}

#[test]
fn counts_are_never_negative_but_percentages_and_readings_may_be() {
    let mut office = Office::established();
    office.at("2024-05-14 09:00");
    office.is_refused("ayu add uttp -1 2024-05-14", "NEGATIVE_COUNT indicator=1.1.1.1 quantity=-1");
    office.does("ayu add tera -2,24 2024-05-14");
    office.is_refused("citra add aktif -1/2 2024-05-14", "NEGATIVE_COUNT indicator=2.1 quantity=-1");
}

#[test]
fn a_reading_has_the_form_that_its_target_asks_for() {
    let mut office = Office::established();
    office.at("2024-05-14 09:00");
    office
        .is_refused("ayu add uttp \"WTP\" 2024-05-14", "READING_MISMATCH indicator=1.1.1.1 wanted=quantity");
    office.is_refused(
        "ayu add uttp 1/2 2024-05-14",
        "READING_MISMATCH indicator=1.1.1.1 wanted=quantity kind=sum",
    );
    // TW 2 has no target of its own: the year's only target is a text.
    office.is_refused("citra add opini 5 2024-05-14", "READING_MISMATCH indicator=2.1.1.1 wanted=text");
    office.is_refused("citra add opini \"\" 2024-05-14", "READING_MISMATCH indicator=2.1.1.1 wanted=text");
    office.does("citra add opini \"WDP\" 2024-05-14");
    office.does("ayu add laporan 1 2024-05-14");
}

#[test]
fn v5_an_officer_who_moved_is_judged_by_the_day_it_happened() {
    let mut office = Office::established();
    office.at("2024-07-01 08:00");
    office.does("operator end 5 2 2024-06-30");
    office.does("operator assign 5 officer 3 2024-07-01");
    office.at("2024-07-03 08:00");
    office.does("ayu add uttp 4 2024-06-28");
    office.is_held(
        "ayu add uttp 4 2024-07-02",
        "NOT_ASSIGNED indicator=1.1.1.1 date=2024-07-02 unit=Kepala Bidang Perdagangan",
    );
    office.expect("uttp", Q(Q2), "585 | 4 | not reported | 0.68 | NOT_VERIFIED");
    office.expect("uttp", Q(Q3), "120 | not reported | not reported | NOT_REPORTED | NOT_REPORTED");
}

#[test]
fn s14_an_amendment_that_arrives_before_its_entry_counts_when_the_entry_comes() {
    let mut office = Office::established();
    office.at("2024-05-14 09:00");
    let entry = office.state.public_id(key("ayu/1"));
    office.is_held("ayu2 amend ayu/1@ayu/1 15 2024-05-13", &format!("ENTRY_NOT_YET_KNOWN entry={entry}"));
    office.is_held("ayu2 amend ayu/1@ayu2/1 16 2024-05-13", &format!("ENTRY_NOT_YET_KNOWN entry={entry}"));
    office.expect("uttp", Q(Q2), "585 | not reported | not reported | NOT_REPORTED | NOT_REPORTED");
    let effect = office.does("ayu add uttp 12 2024-05-14");
    assert_eq!(effect.after.unwrap().on.to_string(), "2024-05-13");
    office.expect("uttp", Q(Q2), "585 | 16 | not reported | 2.74 | NOT_VERIFIED");
    assert!(office.state.held.values().all(|held| !held.is_waiting()));
    office.does("kabid verify ayu/1@ayu2/2");
    office.expect("uttp", Q(Q2), "585 | 16 | 16 | 2.74 | 2.74");
}

#[test]
fn s14_a_void_that_arrives_before_its_entry() {
    let mut office = Office::established();
    office.at("2024-05-14 09:00");
    let entry = office.state.public_id(key("ayu/1"));
    office.is_held("ayu2 void ayu/1@ayu/1", &format!("ENTRY_NOT_YET_KNOWN entry={entry}"));
    office.does("ayu add uttp 12 2024-05-14");
    office.expect("uttp", Q(Q2), "585 | not reported | not reported | NOT_REPORTED | NOT_REPORTED");
    assert_eq!(office.state.entries.get(key("ayu/1")).unwrap().state, State::Voided);
}

#[test]
fn s14_a_waiting_amendment_that_is_not_admitted_stays_held_and_can_be_decided() {
    let mut office = Office::established();
    office.lock(1);
    let entry = office.state.public_id(key("ayu/1"));
    office.is_held("ayu2 amend ayu/1@ayu/1 15 2024-03-13", &format!("ENTRY_NOT_YET_KNOWN entry={entry}"));
    office.does("ayu add uttp 12 2024-04-02");
    office.expect("uttp", Q(Q2), "585 | 12 | not reported | 2.05 | NOT_VERIFIED");
    office.is_refused("admin release ayu2/1", "QUARTER_LOCKED indicator=1.1.1.1 quarter=1 year=2024");
    office.does("admin release ayu2/1 in 2");
    office.expect("uttp", Q(Q2), "585 | 15 | not reported | 2.56 | NOT_VERIFIED");
}

#[test]
fn an_entry_belongs_to_its_author() {
    let mut office = Office::established();
    office.at("2024-05-14 09:00");
    office.does("ayu add uttp 10 2024-05-14");
    let entry = office.state.public_id(key("ayu/1"));
    office.is_refused("budi amend ayu/1 9 2024-05-14", &format!("NOT_OWN_ENTRY entry={entry}"));
    office.is_refused("budi void ayu/1", &format!("NOT_OWN_ENTRY entry={entry}"));
    let unknown = office.state.public_id(key("ayu/9"));
    office.is_refused("budi amend ayu/9 9 2024-05-14", &format!("UNKNOWN_ENTRY entry={unknown}"));
    office.does("ayu2 amend ayu/1 9 2024-05-14");
}

#[test]
fn whoever_recorded_an_entry_cannot_verify_it() {
    let mut office = Office::established();
    office.at("2024-05-14 09:00");
    office.does("kabid add uttp 10 2024-05-14");
    let entry = office.state.public_id(key("kabid/1"));
    office.is_refused("kabid verify kabid/1", &format!("SELF_VERIFICATION entry={entry}"));
    office.is_refused("kabidkop verify kabid/1", &format!("NOT_YOUR_UNIT entry={entry} indicator=1.1.1.1"));
    office.does("head verify kabid/1");
    // The head of office judges what heads of unit recorded, and nothing else.
    office.does("ayu add uttp 10 2024-05-14");
    let entry = office.state.public_id(key("ayu/1"));
    office.is_refused("head verify ayu/1", &format!("NOT_YOUR_UNIT entry={entry} indicator=1.1.1.1"));
}

#[test]
fn an_amendment_names_the_reading_that_then_stands() {
    let mut office = Office::established();
    office.at("2024-05-20 08:00");
    office.does("ayu add asn 20 2024-05-10");
    office.does("ayu add asn 28 2024-05-12");
    office.does("kabid verify ayu/1");
    office.does("kabid verify ayu/2");
    let stands = |left: &Option<Box<Counted>>| left.as_ref().map(|left| (left.on.to_string(), left.position));
    let first = office.records[office.records.len() - 4].position;
    let first = Some(("2024-05-10".to_owned(), first));
    // It stays the latest reported, and is no longer verified.
    let effect = office.does("ayu amend ayu/2 27 2024-05-12");
    assert_eq!((stands(&effect.reported_left), stands(&effect.verified_left)), (None, first.clone()));
    office.does("kabid verify ayu/2");
    // Moved before the other, it is the latest of neither.
    let effect = office.does("ayu amend ayu/2 27 2024-05-09");
    assert_eq!(
        (stands(&effect.reported_left), stands(&effect.verified_left)),
        (first.clone(), first.clone())
    );
    // Into another quarter.
    office.does("ayu amend ayu/2 27 2024-05-12");
    let effect = office.does("ayu amend ayu/2 27 2024-04-01");
    assert_eq!(stands(&effect.reported_left), first);
    let effect = office.does("ayu amend ayu/2 27 2024-03-01");
    assert_eq!(stands(&effect.reported_left), None);
}

#[test]
fn a_sequence_that_was_refused_is_no_entry_to_come() {
    let mut office = Office::established();
    office.at("2024-05-20 08:00");
    office.is_refused("ayu add uttp -1 2024-05-20", "NEGATIVE_COUNT indicator=1.1.1.1 quantity=-1");
    let refused = office.state.public_id(key("ayu/1"));
    office.is_refused("ayu2 void ayu/1@ayu/1", &format!("UNKNOWN_ENTRY entry={refused}"));
    let to_come = office.state.public_id(key("ayu/2"));
    office.is_held("ayu2 void ayu/2@ayu/2", &format!("ENTRY_NOT_YET_KNOWN entry={to_come}"));
    // A public id is made of incarnation and sequence alone.
    assert_eq!(refused, renaksi_domain::ids::entry_id(uuid::Uuid::from_u128(1005), 1).to_string());
    assert_eq!(office.state.public_id(renaksi_domain::ids::CommandKey::new(Origin(77), 3)), "77/3");
}

#[test]
fn a_percentage_may_be_negative_whatever_its_kind_and_a_reading_whatever_its_unit() {
    let mut office = Office::draft();
    office.does("admin set tera kind sum");
    office.does("admin set uttp kind latest");
    office.at("2024-05-20 08:00");
    office.does("ayu add tera -2,24 2024-05-20");
    office.does("ayu add uttp -3 2024-05-20");
    office.is_refused("ayu add asn -3 2024-05-20", "NEGATIVE_COUNT indicator=1.1.1.2 quantity=-3");
}

/// "Increments add up; … an entry is amended or voided …, with a reason": a void without one is refused, an amendment is
/// not. (The command line asks for one; the rules do not.)
#[test]
fn an_amendment_needs_a_reason() {
    let mut office = Office::established();
    office.at("2024-05-14 08:00").does("ayu add uttp 5 2024-05-14");
    office.reason = false;
    office.is_refused("ayu amend ayu/1 6 2024-05-14", "REASON_MISSING command=entry.amended");
}

/// A cause names what it is about: the part that is below zero is the denominator.
#[test]
fn a_negative_denominator_is_the_one_that_is_named() {
    let mut office = Office::established();
    office.at("2024-05-14 08:00");
    office.is_refused("citra add aktif 3/-4 2024-05-13", "NEGATIVE_COUNT indicator=2.1 quantity=-4");
}

/// "Held work shows its exact cause": base and version are named apart, also when they are of two devices.
#[test]
fn a_moved_version_of_another_device_is_told_apart_from_its_base() {
    let mut office = Office::established();
    office.at("2024-05-14 08:00").does("ayu add uttp 1 2024-05-14");
    office.does("ayu2 amend ayu/1@ayu/1 2 2024-05-14");
    let (held, _) = office.ask("ayu amend ayu/1@ayu/1 3 2024-05-14");
    let cause = &office.state.held[&held].cause;
    assert_ne!(cause.detail("base"), cause.detail("version"), "{cause}");
}
