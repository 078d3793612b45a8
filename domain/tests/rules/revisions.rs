use renaksi_domain::command::apply;
use renaksi_domain::figures::Period::{Quarter as Q, Year};
use renaksi_domain::figures::{line, year_target_differs};
use renaksi_domain::ids::IndicatorId;
use renaksi_domain::rollup::{Under, children};
use renaksi_domain::state::State;
use renaksi_domain::time::Quarter::{Q1, Q2, Q3};

use crate::office::{Office, id, key, local};

/// An approved revision of one change, effective in the third quarter.
#[track_caller]
fn approve(office: &mut Office, change: &str) {
    let number = office.state.revisions.len() + 1;
    office.does(&format!("admin draft R{number} 3"));
    office.does(&format!("admin change {number} {change}"));
    office.does(&format!("admin submit {number}"));
    office.does(&format!("head approve {number}"));
}

#[test]
fn v1_a_target_raised_in_july_keeps_what_was_known_before() {
    let mut office = Office::established();
    office.expect("uttp", Year, "945 | not reported | not reported | NOT_REPORTED | NOT_REPORTED");
    office.at("2024-07-10 09:00");
    approve(&mut office, "target uttp 3 120 200");
    office.expect("uttp", Year, "1025 | not reported | not reported | NOT_REPORTED | NOT_REPORTED");
    let shown = office.line("uttp", Year);
    assert_eq!((shown.target.label(), shown.target_original.label()), ("1025".to_owned(), "945".to_owned()));
    for (quarter, target) in [(Q1, "70"), (Q2, "585"), (Q3, "200")] {
        assert_eq!(office.line("uttp", Q(quarter)).target.label(), target);
    }
    let cell = &office.state.indicator(id("uttp")).unwrap().targets[2];
    let versions: Vec<String> = cell.versions.iter().map(|version| version.target.label()).collect();
    assert_eq!(versions, ["120", "200"]);
    assert_eq!(cell.versions[1].revision.unwrap().0, 1);
    assert_eq!(cell.versions[1].time, local("2024-07-10 09:00"));
    // As known at the end of 5 July: the fold of what was recorded by then.
    let mut then = State::default();
    office.records.iter().filter(|r| r.time < local("2024-07-06 00:00")).for_each(|r| apply(&mut then, r));
    let indicator = then.indicator(id("uttp")).unwrap();
    assert_eq!(line(&then, indicator, Year).target.label(), "945");
    assert_eq!(line(&then, indicator, Q(Q3)).target.label(), "120");
}

#[test]
fn v2_the_second_of_two_revisions_of_one_cell_finds_its_base_moved() {
    let mut office = Office::established();
    office.at("2024-07-10 09:00");
    for (number, new) in [(1, "200"), (2, "210")] {
        office.does(&format!("admin draft R{number} 3"));
        office.does(&format!("admin change {number} target uttp 3 120 {new}"));
        office.does(&format!("admin change {number} target asn 3 28 3{number}"));
        office.does(&format!("admin submit {number}"));
    }
    office.does("head approve 1");
    office.is_refused(
        "head approve 2",
        "BASE_MOVED revision=R2 indicator=1.1.1.1 change=target quarter=3 stated=120 holds=200 other=R1",
    );
    office.expect("uttp", Q(Q3), "200 | not reported | not reported | NOT_REPORTED | NOT_REPORTED");
    office.expect("asn", Q(Q3), "31 | not reported | not reported | NOT_REPORTED | NOT_REPORTED");
    office.does("head reject 2");
}

#[test]
fn a_kind_that_moved_in_a_later_quarter_is_a_moved_base_too() {
    let mut office = Office::established();
    office.at("2024-07-10 09:00");
    office.does("admin draft R1 4");
    office.does("admin change 1 kind asn sum latest");
    office.does("admin submit 1");
    office.does("head approve 1");
    office.does("admin draft R2 3");
    office.does("admin change 2 kind asn sum average");
    office.does("admin submit 2");
    office.is_refused("head approve 2", "BASE_MOVED revision=R2 indicator=1.1.1.2 change=kind other=R1");
    let kinds = office.state.indicator(id("asn")).unwrap().settings.map(|settings| settings.kind.name());
    assert_eq!(kinds, ["sum", "sum", "sum", "latest"]);
}

#[test]
fn v4_a_revision_of_a_locked_quarter_is_refused_at_submit_and_names_the_cell() {
    let mut office = Office::established();
    office.lock(1);
    office.does("admin draft R1 1");
    office.does("admin change 1 target uttp 2 585 600");
    office.does("admin change 1 target uttp 1 70 80");
    office.is_refused("admin submit 1", "CELL_LOCKED revision=R1 indicator=1.1.1.1 quarter=1");
    office.does("admin draft R2 1");
    office.does("admin change 2 kind uttp sum latest");
    office.is_refused("admin submit 2", "CELL_LOCKED revision=R2 indicator=1.1.1.1 quarter=1");
    // What is printed of a locked quarter has its name and its unit.
    for (number, change) in [(3, "rename uttp uttp UTTP-bertanda"), (4, "reassign uttp 2 3")] {
        office.does(&format!("admin draft R{number} 1"));
        office.does(&format!("admin change {number} {change}"));
        let cell = format!("CELL_LOCKED revision=R{number} indicator=1.1.1.1 quarter=1");
        office.is_refused(&format!("admin submit {number}"), &cell);
    }
}

#[test]
fn a_quarter_locked_after_submission_stops_the_approval() {
    let mut office = Office::established();
    office.at("2024-04-02 09:00");
    office.does("admin draft R1 1");
    office.does("admin change 1 target uttp 1 70 80");
    office.does("admin submit 1");
    office.lock(1);
    office.is_refused("head approve 1", "CELL_LOCKED revision=R1 indicator=1.1.1.1 quarter=1");
}

#[test]
fn r12_a_formula_changes_from_its_quarter_on_and_never_before() {
    let mut office = Office::established();
    office.at("2024-03-20 08:00").does("citra add aduan 4 2024-03-20");
    office.does("kabidkop verify citra/1");
    office.lock(1);
    let printed = office.figures("aduan", Q(Q1));
    assert_eq!(printed, "5 | 4 | 4 | 120.00 | 120.00");
    office.at("2024-07-05 08:00").does("citra add aduan 4 2024-07-04");
    approve(&mut office, "formula aduan mirrored inverse");
    assert_eq!(office.figures("aduan", Q(Q1)), printed);
    office.expect("aduan", Q(Q3), "5 | 4 | not reported | 125.00 | NOT_VERIFIED");
}

#[test]
fn every_kind_of_change_takes_effect() {
    let mut office = Office::established();
    office.at("2024-07-10 09:00");
    for change in [
        "target laporan 3 0 -",
        "kind asn sum latest",
        "polarity uttp higher lower",
        "formula uttp mirrored inverse",
        "rename uttp uttp Jumlah-UTTP",
        "reassign uttp 2 3",
        "retire rapat",
    ] {
        approve(&mut office, change);
    }
    let uttp = office.state.indicator(id("uttp")).unwrap();
    assert_eq!(
        uttp.settings.map(|settings| settings.polarity.name()),
        ["higher", "higher", "lower", "lower"]
    );
    assert_eq!((&*uttp.facet_in(Q2).measure, uttp.facet_in(Q2).unit.unwrap().0), ("uttp", 2));
    assert_eq!((&*uttp.facet().measure, uttp.facet().unit.unwrap().0), ("Jumlah-UTTP", 3));
    assert!(office.state.indicator(id("rapat")).unwrap().is_retired_in(Q3));
    assert!(!office.state.indicator(id("rapat")).unwrap().is_retired_in(Q2));
    // What is retired is not changed any more, and a change drafted before finds its base moved.
    office.does("admin draft R8 3");
    office.is_refused("admin change 8 retire rapat", "INDICATOR_RETIRED indicator=2.1.1.3 quarter=3");
    office.does("admin change 8 retire opini");
    office.does("admin submit 8");
    approve(&mut office, "retire opini");
    office.is_refused("head approve 8", "BASE_MOVED revision=R8 indicator=2.1.1.1 change=retire other=R9");
}

#[test]
fn a_missing_target_is_filled_by_a_revision() {
    let mut office = Office::established();
    office.at("2024-05-10 09:00");
    office.does("admin draft R1 2");
    office.does("admin change 1 target laporan 2 blank 3");
    office.does("admin submit 1");
    office.does("head approve 1");
    office.expect("laporan", Year, "18 | not reported | not reported | NOT_REPORTED | NOT_REPORTED");
    let shown = office.line("laporan", Year);
    assert_eq!(shown.target_original.label(), "missing");
}

#[test]
fn the_last_word_on_a_cell_within_one_draft_counts() {
    let mut office = Office::established();
    office.at("2024-07-10 09:00");
    office.does("admin draft R1 3");
    office.does("admin change 1 target uttp 3 120 200");
    office.does("admin change 1 target uttp 3 120 210");
    office.does("admin change 1 target uttp 4 170 180");
    assert_eq!(office.state.revisions[0].changes.len(), 2);
    office.does("admin submit 1");
    office.does("head approve 1");
    office.expect("uttp", Year, "1045 | not reported | not reported | NOT_REPORTED | NOT_REPORTED");
}

#[test]
fn a_number_is_free_again_when_its_revision_came_to_nothing() {
    let mut office = Office::established();
    office.does("admin draft R1 3");
    office.is_refused("admin draft R1 3", "REVISION_NUMBER_TAKEN revision=R1 year=2024");
    office.does("admin withdraw-revision 1");
    office.does("admin draft R1 3");
}

#[test]
fn an_indicator_is_added_below_its_parent_with_the_next_number() {
    let mut office = Office::established();
    office.at("2024-07-10 09:00");
    approve(&mut office, "add tera sub_activity pasar - - 10 20");
    let added = office.state.indicator(IndicatorId(11)).unwrap();
    assert_eq!((&*added.code, added.facet().unit.unwrap().0, added.confirmed), ("1.1.1.4", 2, true));
    let order: Vec<u32> = office.state.plans[0].indicators.iter().map(|id| id.0).collect();
    assert_eq!(order, [1, 2, 3, 4, 5, 11, 6, 7, 8, 9, 10]);
    office.expect("11", Q(Q3), "10 | not reported | not reported | NOT_REPORTED | NOT_REPORTED");
    let before = "not planned | not reported | not reported | TARGET_NOT_PLANNED | TARGET_NOT_PLANNED";
    office.expect("11", Q(Q2), before);
    let year = office.line("11", Year);
    assert_eq!(
        (year.target.label(), year.target_original.label()),
        ("30".to_owned(), "not planned".to_owned())
    );
    // It lives like any other: a unit, entries, retirement; its number never returns.
    approve(&mut office, "retire 11");
    approve(&mut office, "add tera activity pasar-lain - - 1 1");
    assert_eq!(&*office.state.indicator(IndicatorId(12)).unwrap().code, "1.1.1.5");
    approve(&mut office, "add stok program bidang-baru - - 1 1");
    assert_eq!(&*office.state.indicator(IndicatorId(13)).unwrap().code, "1.1.2");
    approve(&mut office, "add - strategic sasaran-baru - - 1 1");
    let strategic = office.state.indicator(IndicatorId(14)).unwrap();
    assert_eq!((&*strategic.code, &*strategic.name), ("1.2", "Sasaran"));
    let order: Vec<u32> = office.state.plans[0].indicators.iter().map(|id| id.0).collect();
    assert_eq!(order, [1, 2, 3, 4, 5, 11, 12, 13, 14, 6, 7, 8, 9, 10]);
}

#[test]
fn an_added_indicator_of_a_new_post_makes_its_unit_and_takes_entries() {
    let mut office = Office::established();
    office.at("2024-07-10 09:00");
    approve(&mut office, "add koperasi sub_activity klinik - - 4 4");
    assert_eq!(office.state.indicator(IndicatorId(11)).unwrap().facet().unit.unwrap().0, 3);
    office.does("citra add 11 3 2024-07-10");
    office.does("kabidkop verify citra/1");
    office.expect("11", Year, "8 | 3 | 3 | 37.50 | 37.50");
}

#[test]
fn two_additions_of_one_draft_stand_side_by_side_and_the_same_one_replaces_itself() {
    let mut office = Office::established();
    office.at("2024-07-10 09:00");
    office.does("admin draft R1 3");
    office.does("admin change 1 add tera activity satu - - 1 1");
    office.does("admin change 1 add tera activity dua - - 2 2");
    office.does("admin change 1 add tera activity satu - - 3 3");
    office.does("admin submit 1");
    office.does("head approve 1");
    let codes: Vec<&str> = office.state.indicators[10..].iter().map(|i| &*i.code).collect();
    assert_eq!(codes, ["1.1.1.4", "1.1.1.5"]);
    office.expect("12", Year, "6 | not reported | not reported | NOT_REPORTED | NOT_REPORTED");
}

#[test]
fn an_addition_below_what_was_retired_meanwhile_is_not_approved() {
    let mut office = Office::established();
    office.at("2024-07-10 09:00");
    office.does("admin draft R1 3");
    office.does("admin change 1 add tera activity satu - - 1 1");
    office.does("admin submit 1");
    approve(&mut office, "retire tera");
    office.is_refused("head approve 1", "INDICATOR_RETIRED indicator=1.1.1 quarter=3");
}

#[test]
fn a_cap_and_a_stated_year_target_change_like_the_rest() {
    let mut office = Office::established();
    office.at("2024-07-10 09:00");
    office.does("ayu add uttp 240 2024-07-10");
    approve(&mut office, "cap uttp none 120");
    office.expect("uttp", Q(Q3), "120 | 240 | not reported | 120.00 | NOT_VERIFIED");
    approve(&mut office, "cap uttp 120 none");
    office.expect("uttp", Q(Q3), "120 | 240 | not reported | 200.00 | NOT_VERIFIED");
    approve(&mut office, "year-target uttp none 1000");
    let uttp = office.state.indicator(id("uttp")).unwrap();
    let (stated, derived) = year_target_differs(uttp).unwrap();
    assert_eq!((stated.plain(), derived), ("1000".to_owned(), "945".to_owned()));
}

#[test]
fn who_answers_for_an_indicator_is_judged_on_the_day() {
    let mut office = Office::established();
    office.at("2024-07-10 09:00");
    approve(&mut office, "reassign uttp 2 3");
    // Ayu's unit had it in June; since July it is Citra's.
    office.does("ayu add uttp 1 2024-06-28");
    office.is_held(
        "ayu add uttp 1 2024-07-02",
        "NOT_ASSIGNED indicator=1.1.1.1 date=2024-07-02 unit=Kepala Bidang Koperasi",
    );
    office.does("citra add uttp 1 2024-07-02");
    office.does("kabid verify ayu/1");
    office.is_refused(
        "kabid verify citra/1",
        &format!("NOT_YOUR_UNIT entry={} indicator=1.1.1.1", office.state.public_id(key("citra/1"))),
    );
    office.does("kabidkop verify citra/1");
    let uttp = office.state.indicator(id("uttp")).unwrap();
    assert_eq!(uttp.facet_in(Q2).responsible.as_deref(), Some("Kepala Bidang Perdagangan"));
    assert_eq!(uttp.facet_in(Q3).responsible.as_deref(), Some("Kepala Bidang Koperasi"));
}

#[test]
fn nothing_is_due_of_what_is_retired() {
    let mut office = Office::established();
    office.at("2024-05-10 09:00").does("ayu add uttp 655 2024-05-10");
    approve(&mut office, "retire uttp");
    office.expect("uttp", Year, "655 | 655 | not reported | 100.00 | NOT_VERIFIED");
    office.expect(
        "uttp",
        Q(Q3),
        "not planned | not reported | not reported | INDICATOR_RETIRED | INDICATOR_RETIRED",
    );
    assert_eq!(office.line("uttp", Year).target_original.label(), "945");
}

#[test]
fn a_change_touches_its_own_quarters_and_no_other() {
    let mut office = Office::established();
    office.lock(1);
    // The stated target of the year is of its end, from whatever quarter the revision holds.
    office.does("admin draft R0 1");
    office.does("admin change 1 year-target uttp none 950");
    office.does("admin submit 1");
    office.does("head approve 1");
    office.at("2025-01-09 08:00");
    office.lock(4);
    // A target of an open quarter beside locked ones.
    office.does("admin draft R1 1");
    office.does("admin change 2 target uttp 2 585 600");
    office.does("admin submit 2");
    office.does("head approve 2");
    office.does("admin draft R2 2");
    office.does("admin change 3 year-target uttp 950 1000");
    office.is_refused("admin submit 3", "CELL_LOCKED revision=R2 indicator=1.1.1.1 quarter=4");
    office.does("admin draft R3 3");
    office.does("admin change 4 add tera activity baru - - 1 1");
    office.is_refused("admin submit 4", "CELL_LOCKED revision=R3 indicator= quarter=4");
}

#[test]
fn strategic_indicators_are_numbered_within_their_objective() {
    let mut office = Office::established();
    office.at("2024-07-10 09:00");
    for (name, code) in [("satu", "1.2"), ("dua", "1.3")] {
        approve(&mut office, &format!("add - strategic {name} - - 1 1"));
        assert_eq!(&*office.state.indicators.last().unwrap().code, code);
    }
    let plan = &office.state.plans[0];
    let codes =
        |under| children(&office.state, plan, under).map(|(_, i)| i.code.to_string()).collect::<Vec<_>>();
    assert_eq!(codes(Under::Objective(0)), ["1.1", "1.2", "1.3"]);
    assert_eq!(codes(Under::Objective(1)), ["2.1"]);
    assert_eq!(codes(Under::Indicator(id("tera"))), ["1.1.1.1", "1.1.1.2", "1.1.1.3"]);
}

#[test]
fn whoever_changes_a_draft_is_among_its_authors_once() {
    let mut office = Office::established();
    office.does("operator assign 8 administrator 1");
    office.does("head confirm 1");
    office.does("admin draft R1 3");
    for (who, target) in [("admin", 200), ("kabidkop", 210), ("kabidkop", 220), ("admin", 230)] {
        office.does(&format!("{who} change 1 target uttp 3 120 {target}"));
    }
    let authors: Vec<u32> = office.state.revisions[0].authors.iter().map(|author| author.0).collect();
    assert_eq!(authors, [2, 8]);
}

/// "At approval a change whose old value no longer holds is a conflict (`BASE_MOVED`) naming the other revision, and
/// nothing of it is applied": of what is retired nothing is due, so the stated 120 does not hold.
#[test]
fn a_change_of_what_was_retired_meanwhile_finds_its_base_moved() {
    let mut office = Office::established();
    office.at("2024-07-10 09:00");
    office.does("admin draft R1 3");
    office.does("admin change 1 target uttp 3 120 200");
    office.does("admin submit 1");
    approve(&mut office, "retire uttp");
    office.is_refused(
        "head approve 1",
        "BASE_MOVED revision=R1 indicator=1.1.1.1 change=target quarter=3 stated=120 holds=not planned other=R2",
    );
}
