use renaksi_domain::figures::Period;
use renaksi_domain::plan::PlanState;
use renaksi_domain::quantity::Target;
use renaksi_domain::time::Quarter;

use crate::office::{Office, id};

#[test]
fn an_import_numbers_the_tree_and_makes_one_unit_per_post() {
    let office = Office::draft();
    let codes: Vec<&str> = office.state.indicators.iter().map(|indicator| &*indicator.code).collect();
    assert_eq!(
        codes,
        ["1.1", "1.1.1", "1.1.1.1", "1.1.1.2", "1.1.1.3", "2.1", "2.1.1", "2.1.1.1", "2.1.1.2", "2.1.1.3"]
    );
    // "Kepala BIdang  Koperasi" is no new unit; what has no post goes to the administrator's.
    assert_eq!(office.state.people.units.len(), 3);
    let units: Vec<u32> = office.state.indicators.iter().map(|indicator| indicator.unit.unwrap().0).collect();
    assert_eq!(units, [1, 2, 2, 2, 2, 3, 3, 3, 3, 3]);
    assert!(office.state.indicators.iter().all(|indicator| !indicator.confirmed));
}

#[test]
fn a_plan_becomes_visible_with_its_last_record() {
    let mut office = Office::founded();
    office.does("admin start-import 2024");
    office.does("admin objective");
    office.does("admin row stok");
    assert!(office.state.plan(2024).is_none());
    office.is_refused("admin finish-import 2024 1 2", "IMPORT_INCOMPLETE staged=1 expected=2 year=2024");
    office.does("admin finish-import 2024 1 1");
    assert_eq!(office.state.plan(2024).unwrap().indicators.len(), 1);
    assert!(office.state.staging.is_empty());
}

#[test]
fn a_draft_may_be_set_and_imported_again_until_work_was_recorded() {
    let mut office = Office::draft();
    office.does("admin set uttp target 3=150");
    assert_eq!(office.state.indicators[2].target(Quarter::Q3).label(), "150");
    office.import(2024);
    let plan = office.state.plan(2024).unwrap();
    assert_eq!((plan.indicators.len(), plan.indicators[0].0), (10, 11));
    office.at("2024-02-01 08:00").does("ayu add 13 5 2024-02-01");
    office.is_refused("admin start-import 2024", "PLAN_EXISTS year=2024");
}

#[test]
fn work_for_an_indicator_of_an_earlier_import_is_held_and_can_go_to_the_new_one() {
    let mut office = Office::draft();
    office.import(2024);
    office.at("2024-02-01 08:00");
    office.is_held("ayu add uttp 5 2024-02-01", "INDICATOR_RETIRED indicator=1.1.1.1 quarter=1");
    office.is_refused("admin set uttp kind latest", "UNKNOWN_INDICATOR indicator=3");
    office.is_refused("admin release ayu/1", "INDICATOR_RETIRED indicator=1.1.1.1 quarter=1");
    office.does("admin release ayu/1 to 13");
    office.expect("13", Period::Quarter(Quarter::Q1), "70 | 5 | not reported | 7.14 | NOT_VERIFIED");
}

#[test]
fn held_work_of_another_year_does_not_block_an_import() {
    let mut office = Office::draft();
    office.import(2025);
    office.at("2024-02-01 08:00");
    office.is_held(
        "citra add uttp 5 2024-02-01",
        "NOT_ASSIGNED indicator=1.1.1.1 date=2024-02-01 unit=Kepala Bidang Perdagangan",
    );
    office.import(2025);
    office.is_refused("admin start-import 2024", "PLAN_EXISTS year=2024");
}

#[test]
fn establishing_takes_two_people_and_freezes_target_murni() {
    let mut office = Office::draft();
    office.does("admin set uttp target 3=150");
    office.does("admin establish 2024");
    assert_eq!(office.state.plan(2024).unwrap().state, PlanState::Submitted);
    // What the head of office is about to approve does not change under their hands.
    office.is_refused("admin set uttp target 3=120", "PLAN_ESTABLISHED year=2024 indicator=1.1.1.1");
    office.is_refused("admin start-import 2024", "PLAN_ESTABLISHED year=2024 state=submitted");
    office.does("head approve-plan 2024");
    let cell = &office.state.indicators[2].targets[2];
    assert_eq!((cell.versions.len(), cell.original), (2, Some(1)));
    assert_eq!(cell.original().label(), "150");
}

#[test]
fn after_establishment_only_a_proposed_kind_may_be_confirmed() {
    let mut office = Office::established();
    office.is_refused("admin set uttp kind latest", "PLAN_ESTABLISHED year=2024 indicator=1.1.1.1");
    office.is_refused("admin set uttp kind sum target 1=1", "PLAN_ESTABLISHED year=2024 indicator=1.1.1.1");
    office.does("admin set uttp kind sum");
    assert!(office.state.indicators[2].confirmed);
}

#[test]
fn confirming_never_undoes_a_revised_kind() {
    let mut office = Office::established();
    office.at("2024-07-09 08:00");
    office.does("admin draft R1 3");
    office.does("admin change 1 kind asn sum latest");
    office.does("admin submit 1");
    office.does("head approve 1");
    office.is_refused("admin set asn kind sum", "PLAN_ESTABLISHED year=2024 indicator=1.1.1.2");
    office.is_refused("admin set asn kind latest", "PLAN_ESTABLISHED year=2024 indicator=1.1.1.2");
    let kinds = office.state.indicators[3].settings.map(|settings| settings.kind.name());
    assert_eq!(kinds, ["sum", "sum", "latest", "latest"]);
}

#[test]
fn a_quarter_of_a_draft_is_not_locked() {
    let mut office = Office::draft();
    office.at("2024-04-08 08:00");
    office.is_refused("admin lock 1", "PLAN_NOT_ESTABLISHED year=2024 state=draft");
}

#[test]
fn a_plan_is_for_a_year_that_calendars_have() {
    let mut office = Office::founded();
    office.is_refused("admin start-import 20000", "IMPORT_INVALID year=20000");
}

#[test]
fn the_four_cells_of_a_target_stay_apart() {
    let office = Office::draft();
    let cells =
        Quarter::ALL.map(|quarter| office.state.indicator(id("laporan")).unwrap().target(quarter).clone());
    assert_eq!(cells[0], Target::NotPlanned);
    assert_eq!(cells[1], Target::Missing);
    assert_eq!(cells[2].label(), "0");
    assert_eq!(cells[3].label(), "15");
}
