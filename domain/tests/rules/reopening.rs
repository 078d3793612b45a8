use renaksi_domain::command::apply;
use renaksi_domain::figures::Period::{Quarter as Q, ToDate, Year};
use renaksi_domain::figures::current_line;
use renaksi_domain::quarter::{PlanQuarter, QuarterCommand, due_by_itself, next_due};
use renaksi_domain::state::State;
use renaksi_domain::time::Quarter::{Q1, Q2, Q3, Q4};

use crate::office::{Office, id, local, realised};

const TW1: PlanQuarter = PlanQuarter { year: 2024, quarter: Q1 };

/// The first two quarters are locked, with 39 and 39 cooperatives; the first is then open until 20 July, 17:00.
fn reopened() -> Office {
    let mut office = Office::established();
    office.at("2024-03-20 08:00").does("citra add koperasi 39 2024-03-20");
    office.does("ayu add uttp 70 2024-03-20");
    office.lock(1);
    office.at("2024-05-20 08:00").does("citra add koperasi 39 2024-05-20");
    office.does("ayu add uttp 585 2024-05-20");
    office.lock(2);
    office.at("2024-07-10 08:00");
    office.does("kabid request-reopen 1 2024-07-20T17:00");
    office.does("admin grant-reopen 1");
    office
}

#[test]
fn t7_who_asks_to_reopen_does_not_grant_it() {
    let mut office = Office::established();
    office.does("operator assign 2 head-of-unit 2");
    office.lock(1);
    office.does("admin request-reopen 1 2024-07-20T17:00");
    office.is_refused("admin grant-reopen 1", "SELF_APPROVAL quarter=1 year=2024 state=reopen requested");
    office.is_refused("kabid grant-reopen 1", "ROLE_MAY_NOT role=administrator command=quarter.reopened");
    // It stands in the audit trail, and the quarter is as locked as before.
    let refused =
        office.records.iter().filter(|record| matches!(record.outcome, renaksi_domain::Outcome::Refused(_)));
    assert_eq!(refused.count(), 2);
    office.is_held("ayu add uttp 1 2024-03-01", "QUARTER_LOCKED indicator=1.1.1.1 quarter=1 year=2024");
    office.does("admin decline-reopen 1");
    assert_eq!(office.state.quarter_state(TW1).name(), "locked");
    office.is_refused("admin grant-reopen 1", "REOPEN_NOT_REQUESTED quarter=1 year=2024 state=locked");
}

#[test]
fn asking_needs_a_reason_and_a_time_to_come() {
    let mut office = Office::established();
    office.lock(1);
    office.reason = false;
    office.is_refused(
        "kabid request-reopen 1 2024-07-20T17:00",
        "REASON_MISSING command=quarter.reopen_requested",
    );
    office.reason = true;
    office.does("kabid request-reopen 1 2024-07-20T17:00");
    office.is_refused(
        "kabid request-reopen 1 2024-07-21T17:00",
        "QUARTER_NOT_LOCKED quarter=1 year=2024 state=reopen requested",
    );
    // Granted too late.
    office.at("2024-07-20 17:00");
    office.is_refused(
        "admin grant-reopen 1",
        "REOPEN_PAST quarter=1 year=2024 state=reopen requested until=2024-07-20T10:00:00Z",
    );
}

#[test]
fn a_reopened_quarter_admits_facts_until_its_time_and_locks_by_itself() {
    let mut office = reopened();
    office.at("2024-07-20 16:59:59").does("ayu add uttp 5 2024-03-28");
    office.does("kabid verify ayu/3");
    office.expect("uttp", Q(Q1), "70 | 75 | 5 | 107.14 | 7.14");
    assert_eq!(due_by_itself(&office.state, office.now), None);
    assert_eq!(next_due(&office.state), Some(local("2024-07-20 17:00")));
    // The time has come and nobody has recorded it yet: the facts are judged as if it were.
    office.at("2024-07-20 17:00");
    office.is_held("ayu add uttp 1 2024-03-28", "QUARTER_LOCKED indicator=1.1.1.1 quarter=1 year=2024");
    assert_eq!(due_by_itself(&office.state, office.now), Some(QuarterCommand::Relock(TW1)));
    let effect = office.does("host relock 1");
    assert!(effect.frozen.is_some());
    assert_eq!(due_by_itself(&office.state, office.now), None);
    assert_eq!(office.state.quarter_state(TW1).name(), "locked");
    office.expect("uttp", Q(Q1), "70 | 75 | 5 | 107.14 | 7.14");
    office.is_refused("host relock 1", "RELOCK_NOT_DUE quarter=1 year=2024 state=locked");
}

#[test]
fn a_held_entry_is_released_into_a_reopened_quarter() {
    let mut office = Office::established();
    office.lock(1);
    let locked = "QUARTER_LOCKED indicator=1.1.1.1 quarter=1 year=2024";
    office.is_held("ayu add uttp 6 2024-03-29", locked);
    office.is_refused("admin release ayu/1", locked);
    office.does("kabid request-reopen 1 2024-04-20T17:00");
    office.is_refused("admin release ayu/1", locked);
    office.does("admin grant-reopen 1");
    office.does("admin release ayu/1");
    office.expect("uttp", Q(Q1), "70 | 6 | not reported | 8.57 | NOT_VERIFIED");
}

#[test]
fn reopening_never_changes_what_a_later_lock_froze_and_the_difference_is_shown() {
    let mut office = reopened();
    office.does("citra add koperasi 5 2024-03-28");
    office.does("ayu add uttp 5 2024-03-28");
    office.at("2024-07-21 08:00").does("host relock 1");
    office.expect("koperasi", Q(Q1), "39 | 44 | not reported | 112.82 | NOT_VERIFIED");
    // The later lock stands as it was; what the entries come to now is told beside it.
    office.expect("koperasi", Q(Q2), "78 | 78 | not reported | 100.00 | NOT_VERIFIED");
    office.expect("koperasi", ToDate(Q2), "78 | 78 | not reported | 100.00 | NOT_VERIFIED");
    office.expect("uttp", ToDate(Q2), "655 | 655 | not reported | 100.00 | NOT_VERIFIED");
    let now = |name: &str, period| {
        let line = current_line(&office.state, office.state.indicator(id(name)).unwrap(), period);
        realised(&line.realised)
    };
    assert_eq!((now("koperasi", Q(Q2)), now("uttp", ToDate(Q2))), ("83".to_owned(), "660".to_owned()));
    // Running totals go on from the frozen value; sums are of the quarters as they stand.
    office.at("2024-08-01 08:00").does("citra add koperasi 10 2024-08-01");
    office.expect("koperasi", Q(Q3), "117 | 88 | not reported | 75.21 | NOT_VERIFIED");
    office.expect("koperasi", Year, "156 | 88 | not reported | 56.41 | NOT_VERIFIED");
    office.expect("uttp", Year, "945 | 660 | not reported | 69.84 | NOT_VERIFIED");
}

#[test]
fn two_reopened_quarters_relock_in_the_order_of_their_times() {
    let mut office = reopened();
    office.does("kabid request-reopen 2 2024-07-15T17:00");
    office.does("admin grant-reopen 2");
    office.at("2024-08-01 08:00");
    let tw2 = PlanQuarter { year: 2024, quarter: Q2 };
    assert_eq!(due_by_itself(&office.state, office.now), Some(QuarterCommand::Relock(tw2)));
    office.does("host relock 2");
    assert_eq!(due_by_itself(&office.state, office.now), Some(QuarterCommand::Relock(TW1)));
    office.does("host relock 1");
    assert_eq!(due_by_itself(&office.state, office.now), None);
    assert_eq!(next_due(&office.state), None);
}

#[test]
fn a_lock_freezes_target_kind_formula_and_realisation_as_used() {
    let mut office = Office::established();
    office.at("2024-03-20 08:00").does("citra add aduan 4 2024-03-20");
    office.does("kabidkop verify citra/1");
    office.lock(1);
    let frozen = office.state.indicator(id("aduan")).unwrap().frozen[0].as_ref().unwrap();
    assert_eq!(frozen.quarter.target.label(), "5");
    assert_eq!(realised(&frozen.quarter.realised_verified), "4");
    assert_eq!(
        (frozen.quarter.settings.kind.name(), frozen.quarter.settings.polarity.name()),
        ("sum", "lower")
    );
    assert_eq!(office.line("aduan", Q(Q1)).rating.as_deref(), Some("Sangat Tinggi"));
    // Bands set after the lock are for later quarters.
    office.does("admin bands kurang=..120 baik=120..");
    assert_eq!(office.line("aduan", Q(Q1)).rating.as_deref(), Some("Sangat Tinggi"));
    office.at("2024-05-20 08:00").does("citra add aduan 4 2024-05-20");
    office.does("kabidkop verify citra/2");
    assert_eq!(office.line("aduan", Q(Q2)).rating.as_deref(), Some("kurang"));
}

#[test]
fn the_first_lock_stays_readable_at_its_position() {
    let mut office = reopened();
    let first_lock =
        office.records.iter().find(|r| r.envelope.command.name() == "quarter.locked").unwrap().position;
    office.does("ayu add uttp 5 2024-03-28");
    office.at("2024-07-21 08:00").does("host relock 1");
    let mut then = State::default();
    office.records.iter().take_while(|r| r.position <= first_lock).for_each(|r| apply(&mut then, r));
    let line = renaksi_domain::figures::line(&then, then.indicator(id("uttp")).unwrap(), Q(Q1));
    assert_eq!(realised(&line.realised), "70");
    office.expect("uttp", Q(Q1), "70 | 75 | not reported | 107.14 | NOT_VERIFIED");
}

#[test]
fn a_year_whose_last_quarter_is_locked_is_what_that_lock_froze() {
    let mut office = reopened();
    office.at("2024-07-21 08:00").does("host relock 1");
    office.lock(3);
    office.lock(4);
    office.expect("uttp", Year, "945 | 655 | not reported | 69.31 | NOT_VERIFIED");
    office.does("kabid request-reopen 1 2025-01-20T17:00");
    office.does("admin grant-reopen 1");
    office.does("ayu add uttp 5 2024-03-28");
    office.expect("uttp", Year, "945 | 655 | not reported | 69.31 | NOT_VERIFIED");
    office.expect("uttp", ToDate(Q4), "945 | 655 | not reported | 69.31 | NOT_VERIFIED");
    office.expect("koperasi", Q(Q3), "117 | 78 | not reported | 66.67 | NOT_VERIFIED");
}

/// A running total that a lock froze is gone on from, also when nothing of it is left among the entries.
#[test]
fn a_running_total_goes_on_from_what_a_later_lock_froze_though_its_entries_are_voided() {
    let mut office = Office::established();
    office.at("2024-03-20 08:00").does("citra add koperasi 39 2024-03-20");
    office.lock(1);
    office.lock(2);
    office.expect("koperasi", ToDate(Q2), "78 | 39 | not reported | 50.00 | NOT_VERIFIED");
    office.does("kabidkop request-reopen 1 2024-07-20T17:00");
    office.does("admin grant-reopen 1");
    office.does("citra void citra/1");
    office.at("2024-07-20 17:00").does("host relock 1");
    office.expect("koperasi", ToDate(Q2), "78 | 39 | not reported | 50.00 | NOT_VERIFIED");
    office.expect("koperasi", ToDate(Q3), "117 | 39 | not reported | 33.33 | NOT_VERIFIED");
}
