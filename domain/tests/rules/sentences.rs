//! Sentences of the domain that no other file tells as a story of its own.

use renaksi_domain::achievement::NoFigure;
use renaksi_domain::figures::Period::{self, Quarter as Q, ToDate, Year};
use renaksi_domain::indicator::Polarity;
use renaksi_domain::quarter::PlanQuarter;
use renaksi_domain::time::Quarter::{Q1, Q2, Q3, Q4};

use crate::office::{Office, id, key, local};

#[test]
fn polarity_is_never_inferred_from_words() {
    let mut office = Office::draft();
    let polarities =
        |office: &Office, name| office.state.indicator(id(name)).unwrap().settings.map(|s| s.polarity);
    // Complaints, and nobody said that fewer are better.
    assert_eq!(polarities(&office, "aduan"), [Polarity::Higher; 4]);
    office.does("admin establish 2024");
    office.does("head approve-plan 2024");
    office.at("2024-07-10 09:00");
    office.does("admin draft R1 3");
    office.does("admin change 1 rename uttp uttp persentase-penurunan-pengaduan");
    office.does("admin submit 1");
    office.does("head approve 1");
    assert_eq!(polarities(&office, "uttp"), [Polarity::Higher; 4]);
}

#[test]
fn every_cause_of_no_figure_is_reached_and_is_its_own() {
    let mut office = Office::draft();
    office.does("admin set uttp target 2=-2,24");
    office.does("admin set asn polarity lower formula inverse");
    office.does("admin set aduan polarity lower");
    office.does("admin establish 2024");
    office.does("head approve-plan 2024");
    office.at("2024-12-14 08:00");
    office.does("ayu add uttp 5 2024-04-14");
    office.does("ayu add asn 0 2024-04-14");
    office.does("ayu add tera 50 2024-04-14");
    office.does("citra add aktif 0/0 2024-04-14");
    for entry in ["ayu/1", "ayu/2"] {
        office.does(&format!("kabid verify {entry}"));
    }
    office.does("kabidkop verify citra/1");
    office.does("admin draft R1 4");
    office.does("admin change 1 retire rapat");
    office.does("admin submit 1");
    office.does("head approve 1");
    let mut reached: Vec<&str> = Vec::new();
    for (indicator, quarter, cause) in [
        ("laporan", Q1, "TARGET_NOT_PLANNED"),
        ("laporan", Q2, "TARGET_MISSING"),
        ("opini", Q4, "TARGET_IS_TEXT"),
        ("laporan", Q3, "TARGET_ZERO"),
        ("uttp", Q2, "TARGET_NEGATIVE"),
        ("uttp", Q3, "NOT_REPORTED"),
        ("tera", Q2, "NOT_VERIFIED"),
        ("aktif", Q2, "DENOMINATOR_ZERO"),
        ("asn", Q2, "REALISATION_ZERO"),
        ("rapat", Q4, "INDICATOR_RETIRED"),
    ] {
        let line = office.line(indicator, Q(quarter));
        assert_eq!(line.achievement.map_err(NoFigure::name), Err(cause), "{indicator} {quarter}");
        assert_eq!(line.rating, None, "{indicator} {quarter}");
        reached.push(cause);
    }
    reached.sort_unstable();
    let mut all = NoFigure::ALL.map(NoFigure::name);
    all.sort_unstable();
    assert_eq!(reached, all);
}

#[test]
fn an_achievement_is_never_below_zero() {
    let mut office = Office::established();
    office.at("2024-05-14 08:00").does("citra add aduan 11 2024-05-14");
    office.does("kabidkop verify citra/1");
    office.expect("aduan", Q(Q2), "5 | 11 | 11 | 0.00 | 0.00");
    assert_eq!(office.line("aduan", Q(Q2)).rating.as_deref(), Some("Sangat Rendah"));
    office.does("ayu add tera -2,24 2024-05-14");
    office.expect("tera", Q(Q2), "54.54 | -2.24 | not reported | 0.00 | NOT_VERIFIED");
}

#[test]
fn zero_of_fifteen_is_zero_percent_and_has_a_rating() {
    let mut office = Office::established();
    office.at("2024-12-14 08:00").does("ayu add laporan 0 2024-12-14");
    office.does("kabid verify ayu/1");
    office.expect("laporan", Q(Q4), "15 | 0 | 0 | 0.00 | 0.00");
    assert_eq!(office.line("laporan", Q(Q4)).rating.as_deref(), Some("Sangat Rendah"));
}

#[test]
fn a_ratio_to_date_is_over_all_entries_to_date() {
    let mut office = Office::established();
    office.at("2024-05-14 08:00");
    office.does("citra add aktif 3000/6000 2024-02-13");
    office.does("kabidkop add aktif 1600/2000 2024-05-14");
    office.does("kabidkop verify citra/1");
    office.expect("aktif", Q(Q1), "60 | 50.00 | 50.00 | 83.33 | 83.33");
    office.expect("aktif", Q(Q2), "60 | 80.00 | not reported | 133.33 | NOT_VERIFIED");
    // 4600 of 8000, and never the mean of 50 and 80.
    office.expect("aktif", ToDate(Q2), "60 | 57.50 | 50.00 | 95.83 | 83.33");
    office.expect("aktif", Year, "60 | 57.50 | 50.00 | 95.83 | 83.33");
    assert!(!office.line("aktif", Year).not_aggregable);
}

#[test]
fn one_log_holds_all_years() {
    let mut office = Office::established();
    office.import(2025);
    office.does("admin establish 2025");
    office.does("head approve-plan 2025");
    for quarter in 1..=4 {
        office.lock(quarter);
    }
    // The years have the same rows, and each its own targets, entries and locks. 13 is the UTTP of 2025.
    office.at("2025-02-01 08:00");
    office.does("ayu add 13 7 2025-02-01");
    office.is_held("ayu add uttp 7 2024-12-31", "QUARTER_LOCKED indicator=1.1.1.1 quarter=4 year=2024");
    office.is_refused("ayu add 13 7 2024-12-31", "WRONG_YEAR indicator=1.1.1.1 date=2024-12-31 year=2025");
    office.expect("13", Q(Q1), "70 | 7 | not reported | 10.00 | NOT_VERIFIED");
    office.expect("uttp", Q(Q1), "70 | not reported | not reported | NOT_REPORTED | NOT_REPORTED");
    assert!(office.state.is_locked(PlanQuarter { year: 2024, quarter: Q1 }));
    assert!(!office.state.is_locked(PlanQuarter { year: 2025, quarter: Q1 }));
    assert_eq!(office.state.default_year(office.now), Some(2025));
    assert_eq!(office.state.default_year(local("2026-01-01 00:00")), Some(2025));
}

#[test]
fn t9_order_is_by_position_whatever_the_clocks_say() {
    let mut office = Office::established();
    office.at("2024-05-14 10:00").does("ayu add tera 50 2024-05-14");
    // The server's clock has stepped back an hour, and the second device's runs two days behind.
    office.at("2024-05-14 09:00");
    office.device_ahead_micros = -2 * 86_400_000_000;
    office.does("budi add tera 51 2024-05-14");
    office.expect("tera", Q(Q2), "54.54 | 51 | not reported | 93.51 | NOT_VERIFIED");
    // The day comes before the position.
    office.does("budi add tera 40 2024-05-13");
    office.expect("tera", Q(Q2), "54.54 | 51 | not reported | 93.51 | NOT_VERIFIED");
}

#[test]
fn a_person_may_hold_several_dated_roles_at_once() {
    let mut office = Office::established();
    office.does("operator assign 5 officer 3 2024-05-01 2024-05-31");
    office.does("operator assign 7 head-of-unit 2 2024-05-20 2024-05-22");
    office.at("2024-06-03 08:00");
    office.does("ayu add uttp 1 2024-05-14");
    office.does("ayu add koperasi 1 2024-05-14");
    office.is_held(
        "ayu add koperasi 1 2024-06-01",
        "NOT_ASSIGNED indicator=2.1.1 date=2024-06-01 unit=Kepala Bidang Koperasi",
    );
    // A fact is judged by its own day, an act by the day it is done: the stand-in is over.
    office.does("citra add uttp 2 2024-05-21");
    office.is_refused(
        "citra verify ayu/1",
        "ROLE_MAY_NOT role=head-of-unit, head-of-office command=entry.verified",
    );
    office.at("2024-05-22 23:59:59");
    office.does("citra verify ayu/1");
    office.expect("uttp", Q(Q2), "585 | 3 | 1 | 0.51 | 0.17");
}

#[test]
fn decisions_about_other_peoples_work_need_a_reason() {
    let mut office = Office::established();
    office.at("2024-05-14 08:00");
    let cause = "NOT_ASSIGNED indicator=2.1.1 date=2024-05-14 unit=Kepala Bidang Koperasi";
    office.is_held("ayu add koperasi 1 2024-05-14", cause);
    office.does("ayu add uttp 1 2024-05-14");
    office.does("admin draft R1 3");
    office.does("admin change 1 target uttp 3 120 200");
    office.does("admin submit 1");
    office.lock(1);
    office.does("kabid request-reopen 1 2024-07-20T17:00");
    office.reason = false;
    for (words, command) in [
        ("admin release ayu/1", "held.released"),
        ("admin dismiss ayu/1", "held.dismissed"),
        ("kabid return ayu/2", "entry.returned"),
        ("ayu void ayu/2", "entry.voided"),
        ("head reject 1", "revision.rejected"),
        ("admin decline-reopen 1", "quarter.reopen_declined"),
    ] {
        office.is_refused(words, &format!("REASON_MISSING command={command}"));
    }
    // To judge well, and to take back one's own, needs none.
    office.does("kabid verify ayu/2");
    office.does("ayu withdraw ayu/1");
}

#[test]
fn held_work_keeps_its_exact_cause_until_somebody_decides() {
    let mut office = Office::established();
    office.lock(1);
    let cause = "QUARTER_LOCKED indicator=1.1.1.1 quarter=1 year=2024";
    office.is_held("ayu add uttp 6 2024-03-29", cause);
    // The quarter opens and closes again; nobody has decided.
    office.does("kabid request-reopen 1 2024-04-20T17:00");
    office.does("admin grant-reopen 1");
    office.at("2024-04-20 17:00").does("host relock 1");
    let held = &office.state.held[&key("ayu/1")];
    assert_eq!((held.cause.to_string().as_str(), held.author.0, held.is_waiting()), (cause, 5, true));
    office.does("admin dismiss ayu/1");
    let held = &office.state.held[&key("ayu/1")];
    assert_eq!((held.cause.to_string().as_str(), held.fate.name()), (cause, "dismissed"));
    assert!(office.state.entries.get(key("ayu/1")).is_none());
}

#[test]
fn target_murni_and_every_later_version_stand_side_by_side() {
    let mut office = Office::established();
    office.at("2024-07-10 09:00");
    for (number, new) in [(1, "200"), (2, "210")] {
        let old = office.line("uttp", Q(Q3)).target.label();
        office.does(&format!("admin draft R{number} 3"));
        office.does(&format!("admin change {number} target uttp 3 {old} {new}"));
        office.does(&format!("admin submit {number}"));
        office.does(&format!("head approve {number}"));
    }
    // All versions stay readable, each with the revision that made it.
    let cell = &office.state.indicator(id("uttp")).unwrap().targets[Q3.index()];
    let versions: Vec<(String, Option<u32>)> =
        cell.versions.iter().map(|v| (v.target.label(), v.revision.map(|id| id.0))).collect();
    let expected = [("120", None), ("200", Some(1)), ("210", Some(2))];
    assert_eq!(versions, expected.map(|(target, revision)| (target.to_owned(), revision)));
    assert_eq!(cell.original().label(), "120");
    let labels = |period| {
        let line = office.line("uttp", period);
        (line.target.label(), line.target_original.label())
    };
    assert_eq!(labels(Q(Q3)), ("210".to_owned(), "120".to_owned()));
    assert_eq!(labels(Year), ("1035".to_owned(), "945".to_owned()));
}

#[test]
fn a_quarter_is_closed_by_an_act_and_never_by_its_date() {
    let mut office = Office::established();
    office.at("2024-12-30 08:00");
    let effect = office.does("ayu add uttp 1 2024-01-02");
    assert!(effect.late);
    office.expect("uttp", Q(Q1), "70 | 1 | not reported | 1.43 | NOT_VERIFIED");
    // Nor does asking for the lock close it.
    office.does("admin lock 1");
    office.does("ayu add uttp 1 2024-01-02");
    office.expect("uttp", Q(Q1), "70 | 2 | not reported | 2.86 | NOT_VERIFIED");
}

#[test]
fn three_views_of_each_indicator() {
    let mut office = Office::established();
    office.at("2024-05-20 08:00");
    office.does("ayu add uttp 70 2024-03-01");
    office.does("ayu add uttp 500 2024-05-20");
    let views: Vec<String> =
        [Q(Q2), ToDate(Q2), Year].into_iter().map(|period: Period| office.figures("uttp", period)).collect();
    assert_eq!(
        views,
        [
            "585 | 500 | not reported | 85.47 | NOT_VERIFIED",
            "655 | 570 | not reported | 87.02 | NOT_VERIFIED",
            "945 | 570 | not reported | 60.32 | NOT_VERIFIED",
        ]
    );
    assert_eq!(office.state.default_quarter(2024, office.now), Q2);
}
