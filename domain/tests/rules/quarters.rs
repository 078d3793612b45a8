use renaksi_domain::figures::Period::{Quarter as Q, ToDate, Year};
use renaksi_domain::time::Quarter::{Q1, Q2, Q3, Q4};

use crate::office::{Office, key};

#[test]
fn a_lock_takes_two_people_and_a_quarter_that_is_over() {
    let mut office = Office::established();
    office.at("2024-03-31 23:59:59");
    office.is_refused("admin lock 1", "QUARTER_NOT_OVER quarter=1 year=2024 state=open last_day=2024-03-31");
    office.at("2024-04-01 00:00:00");
    office.does("admin lock 1");
    office.is_refused("admin lock 1", "QUARTER_NOT_OPEN quarter=1 year=2024 state=lock requested");
    office.does("head reject-lock 1");
    office.is_refused("head approve-lock 1", "LOCK_NOT_REQUESTED quarter=1 year=2024 state=open");
    office.does("operator assign 2 head-of-office 0");
    office.does("head confirm 1");
    office.does("admin lock 1");
    office.is_refused("admin approve-lock 1", "SELF_APPROVAL quarter=1 year=2024 state=lock requested");
    office.does("head approve-lock 1");
    office.is_refused("admin lock 1", "QUARTER_NOT_OPEN quarter=1 year=2024 state=locked");
}

#[test]
fn after_a_lock_nothing_of_the_quarter_moves() {
    let mut office = Office::established();
    office.at("2024-03-20 08:00").does("ayu add uttp 5 2024-03-20");
    office.does("ayu add uttp 6 2024-03-20");
    office.does("kabid verify ayu/1");
    office.lock(1);
    let before = office.figures("uttp", Q(Q1));
    let second = office.state.public_id(key("ayu/2"));
    let locked = "QUARTER_LOCKED indicator=1.1.1.1 quarter=1 year=2024";
    office.is_refused("kabid verify ayu/2", &format!("{locked} entry={second}"));
    office.is_refused("kabid return ayu/2", &format!("{locked} entry={second}"));
    office.is_held("ayu amend ayu/1 50 2024-03-20", locked);
    office.is_held("ayu amend ayu/1 50 2024-04-02", locked);
    office.is_held("ayu void ayu/1", locked);
    office.is_held("ayu add uttp 1 2024-03-20", locked);
    for held in ["ayu/3", "ayu/4", "ayu/5", "ayu/6"] {
        office.is_refused(&format!("admin release {held}"), locked);
    }
    assert_eq!(office.figures("uttp", Q(Q1)), before);
    assert_eq!(before, "70 | 11 | 5 | 15.71 | 7.14");
}

#[test]
fn an_open_entry_cannot_be_amended_into_a_locked_quarter() {
    let mut office = Office::established();
    office.lock(1);
    office.does("ayu add uttp 5 2024-04-02");
    office.is_held("ayu amend ayu/1 5 2024-03-31", "QUARTER_LOCKED indicator=1.1.1.1 quarter=1 year=2024");
    office.expect("uttp", Q(Q2), "585 | 5 | not reported | 0.85 | NOT_VERIFIED");
}

#[test]
fn a_cumulative_quarter_without_an_entry_takes_the_running_total_at_its_lock() {
    let mut office = Office::established();
    office.at("2024-03-20 08:00").does("citra add koperasi 39 2024-03-20");
    office.does("kabidkop verify citra/1");
    office.at("2024-07-01 08:00");
    office.expect("koperasi", Q(Q2), "78 | not reported | not reported | NOT_REPORTED | NOT_REPORTED");
    office.expect("koperasi", ToDate(Q2), "78 | 39 | 39 | 50.00 | 50.00");
    office.lock(1);
    office.lock(2);
    office.expect("koperasi", Q(Q2), "78 | 39 | 39 | 50.00 | 50.00");
    office.expect("koperasi", Q(Q3), "117 | not reported | not reported | NOT_REPORTED | NOT_REPORTED");
    // Nothing at all was ever reported: the lock makes no figure.
    office.expect(
        "rapat",
        Q(Q1),
        "not planned | not reported | not reported | TARGET_NOT_PLANNED | TARGET_NOT_PLANNED",
    );
    // The running total goes on from the frozen value.
    office.at("2024-08-01 08:00").does("citra add koperasi 60 2024-08-01");
    office.expect("koperasi", Q(Q3), "117 | 99 | not reported | 84.62 | NOT_VERIFIED");
    office.expect("koperasi", Q(Q4), "156 | not reported | not reported | NOT_REPORTED | NOT_REPORTED");
    office.expect("koperasi", Year, "156 | 99 | 39 | 63.46 | 25.00");
}
