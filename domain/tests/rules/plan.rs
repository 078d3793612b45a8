use renaksi_domain::figures::Period::{self, Quarter as Q, Year};
use renaksi_domain::plan::PlanState;
use renaksi_domain::quantity::Target;
use renaksi_domain::time::Quarter::{self, Q1};

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
    let units: Vec<u32> =
        office.state.indicators.iter().map(|indicator| indicator.facet().unit.unwrap().0).collect();
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

#[test]
fn a_submitted_plan_goes_back_to_draft() {
    let mut office = Office::draft();
    office.does("admin establish 2024");
    office.is_refused("admin set uttp target 1=5", "PLAN_ESTABLISHED year=2024 indicator=1.1.1.1");
    office.is_refused("admin send-back 2024", "ROLE_MAY_NOT role=head-of-office command=plan.sent_back");
    office.does("head send-back 2024");
    office.does("admin set uttp target 1=75");
    office.does("admin establish 2024");
    office.does("admin recall 2024");
    office.is_refused("head approve-plan 2024", "PLAN_NOT_SUBMITTED year=2024 state=draft");
    office.does("admin establish 2024");
    office.does("head approve-plan 2024");
    office.is_refused("head send-back 2024", "PLAN_NOT_SUBMITTED year=2024 state=established");
    assert_eq!(office.line("uttp", Q(Q1)).target_original.label(), "75");
}

#[test]
fn r13_a_stated_year_target_that_differs_asks_for_a_reason_and_goes_on() {
    let mut office = Office::draft();
    // Cumulative 156 against 156 is no difference, nor is 945,0 against 945.
    office.does("admin set koperasi year-target 156");
    office.does("admin set uttp year-target 945,0");
    office.reason = false;
    office.does("admin establish 2024");
    office.does("admin recall 2024");
    office.does("admin set uttp year-target 1000");
    office
        .is_refused("admin establish 2024", "YEAR_TARGET_DIFFERS indicator=1.1.1.1 stated=1000 derived=945");
    office.reason = true;
    office.does("admin establish 2024");
    office.does("head approve-plan 2024");
    // What counts is what the quarters come to.
    office.expect("uttp", Year, "945 | not reported | not reported | NOT_REPORTED | NOT_REPORTED");
}

#[test]
fn settings_of_a_draft_can_be_taken_back() {
    let mut office = Office::draft();
    office.does("admin set uttp cap 120 year-target 1000");
    let settings = |office: &Office| {
        let uttp = office.state.indicator(id("uttp")).unwrap();
        (uttp.settings_in(Q1).cap.map(|cap| cap.plain()), uttp.year_target.map(|target| target.plain()))
    };
    assert_eq!(settings(&office), (Some("120".to_owned()), Some("1000".to_owned())));
    office.does("admin set uttp cap none");
    office.does("admin set uttp year-target none");
    assert_eq!(settings(&office), (None, None));
}

#[test]
fn a_unit_that_is_set_is_the_one_responsible() {
    let mut office = Office::draft();
    office.does("admin set stok unit 2");
    let facet = office.state.indicator(id("stok")).unwrap().facet_in(Q1);
    assert_eq!(facet.responsible.as_deref(), Some("Kepala Bidang Perdagangan"));
}
