use renaksi_domain::achievement::two_decimals;
use renaksi_domain::figures::Period::{Quarter as Q, ToDate, Year};
use renaksi_domain::figures::PeriodTarget;
use renaksi_domain::rollup::{Mean, Under, roll_up};
use renaksi_domain::time::Quarter::{Q1, Q2, Q3, Q4};

use crate::office::{Office, id, realised};

const NOTHING: &str = "not reported | not reported";

#[test]
fn a_running_total_is_156_and_not_390() {
    let office = Office::established();
    assert_eq!(office.line("koperasi", Year).target.label(), "156");
    assert_eq!(office.line("koperasi", ToDate(Q2)).target.label(), "78");
}

#[test]
fn civil_servants_are_112_until_the_kind_is_latest_and_then_28() {
    let mut office = Office::draft();
    assert_eq!(office.line("asn", Year).target.label(), "112");
    office.does("admin set asn kind latest");
    assert_eq!(office.line("asn", Year).target.label(), "28");
    office.at("2024-05-14 08:00");
    office.does("ayu add asn 27 2024-02-14");
    office.does("ayu add asn 28 2024-05-14");
    office.expect("asn", Year, "28 | 28 | not reported | 100.00 | NOT_VERIFIED");
}

#[test]
fn r11_a_ratio_is_of_sums_and_never_a_mean_of_percentages() {
    let mut office = Office::established();
    office.at("2024-05-14 08:00");
    office.does("citra add aktif 3000/6000 2024-05-13");
    office.does("citra add aktif 1600/2000 2024-05-14");
    office.expect("aktif", Q(Q2), "60 | 57.50 | not reported | 95.83 | NOT_VERIFIED");
    office.expect("aktif", Year, "60 | 57.50 | not reported | 95.83 | NOT_VERIFIED");
    assert!(!office.line("aktif", Q(Q2)).not_aggregable);
    // A later one without its parts cannot be combined with them: it stands alone, and the reader is told.
    office.does("citra add aktif 70 2024-05-14");
    office.expect("aktif", Q(Q2), "60 | 70 | not reported | 116.67 | NOT_VERIFIED");
    assert!(office.line("aktif", Q(Q2)).not_aggregable);
}

#[test]
fn r11_percentages_without_parts_cannot_be_combined() {
    let mut office = Office::established();
    office.at("2024-05-14 08:00");
    office.does("citra add aktif 50 2024-05-13");
    assert!(!office.line("aktif", Q(Q2)).not_aggregable);
    office.does("kabidkop add aktif 80 2024-05-14");
    office.expect("aktif", Q(Q2), "60 | 80 | not reported | 133.33 | NOT_VERIFIED");
    assert!(office.line("aktif", Q(Q2)).not_aggregable);
}

#[test]
fn a_ratio_of_nothing_has_no_figure() {
    let mut office = Office::established();
    office.at("2024-05-14 08:00").does("citra add aktif 0/0 2024-05-13");
    office.expect("aktif", Q(Q2), "60 | denominator 0 | not reported | DENOMINATOR_ZERO | NOT_VERIFIED");
}

#[test]
fn r9_lower_is_better_and_nothing_happened() {
    let mut office = Office::established();
    office.at("2024-05-14 08:00").does("citra add aduan 0 2024-05-13");
    office.does("kabidkop verify citra/1");
    office.expect("aduan", Q(Q2), "5 | 0 | 0 | 200.00 | 200.00");
    assert_eq!(office.line("aduan", Q(Q2)).rating.clone().unwrap().as_ref(), "Sangat Tinggi");
}

#[test]
fn r8_not_planned_missing_and_zero_each_have_their_own_reason() {
    let mut office = Office::established();
    office.at("2024-12-14 08:00");
    let check = |office: &Office, realised: &str| {
        for (quarter, target, cause) in [
            (Q1, "not planned", "TARGET_NOT_PLANNED"),
            (Q2, "missing", "TARGET_MISSING"),
            (Q3, "0", "TARGET_ZERO"),
        ] {
            office.expect(
                "laporan",
                Q(quarter),
                &format!("{target} | {realised} | not reported | {cause} | {cause}"),
            );
        }
    };
    check(&office, "not reported");
    office.expect("laporan", Q(Q4), &format!("15 | {NOTHING} | NOT_REPORTED | NOT_REPORTED"));
    for (day, _) in [("2024-01-14", ()), ("2024-04-14", ()), ("2024-07-14", ()), ("2024-12-14", ())] {
        office.does(&format!("ayu add laporan 0 {day}"));
    }
    check(&office, "0");
    office.expect("laporan", Q(Q4), "15 | 0 | not reported | 0.00 | NOT_VERIFIED");
}

#[test]
fn a_missing_cell_makes_the_target_to_date_missing_and_shows_the_part() {
    let office = Office::established();
    office.expect(
        "laporan",
        ToDate(Q1),
        &format!("not planned | {NOTHING} | TARGET_NOT_PLANNED | TARGET_NOT_PLANNED"),
    );
    office.expect("laporan", Year, &format!("missing | {NOTHING} | TARGET_MISSING | TARGET_MISSING"));
    match &office.line("laporan", Year).target {
        PeriodTarget::Missing(Some(part)) => assert_eq!(part.plain(), "15"),
        other => panic!("{other:?}"),
    }
    assert_eq!(office.line("laporan", ToDate(Q2)).target, PeriodTarget::Missing(None));
}

#[test]
fn a_year_with_nothing_planned_is_not_planned() {
    let mut office = Office::established();
    office.at("2024-05-14 08:00").does("citra add rapat 2 2024-05-14");
    office.expect("rapat", Year, "not planned | 2 | not reported | TARGET_NOT_PLANNED | TARGET_NOT_PLANNED");
}

#[test]
fn realisation_in_a_quarter_with_nothing_planned_counts_toward_the_year() {
    let mut office = Office::draft();
    office.does("admin set laporan target 2=- target 3=-");
    office.at("2024-03-14 08:00").does("ayu add laporan 6 2024-03-14");
    office.at("2024-12-14 08:00").does("ayu add laporan 6 2024-12-14");
    office.expect(
        "laporan",
        Q(Q1),
        "not planned | 6 | not reported | TARGET_NOT_PLANNED | TARGET_NOT_PLANNED",
    );
    office.expect("laporan", Year, "15 | 12 | not reported | 80.00 | NOT_VERIFIED");
}

#[test]
fn a_text_target_takes_a_text_and_has_no_percentage() {
    let mut office = Office::established();
    office.at("2024-12-14 08:00").does("citra add opini \"WTP\" 2024-12-14");
    office.does("kabidkop verify citra/1");
    office.expect("opini", Q(Q4), "WTP | WTP | WTP | TARGET_IS_TEXT | TARGET_IS_TEXT");
    office.expect("opini", Year, "WTP | WTP | WTP | TARGET_IS_TEXT | TARGET_IS_TEXT");
    assert!(office.line("opini", Year).rating.is_none());
}

#[test]
fn a_text_of_a_running_total_is_shown_as_text() {
    let mut office = Office::draft();
    office.does("admin set opini kind cumulative");
    office.at("2024-12-14 08:00").does("citra add opini \"WTP\" 2024-12-14");
    office.expect("opini", Year, "WTP | WTP | not reported | TARGET_IS_TEXT | TARGET_IS_TEXT");
}

#[test]
fn bands_are_half_open_and_use_the_exact_value() {
    let mut office = Office::draft();
    office.does("admin set uttp target 1=200");
    office.at("2024-03-14 08:00");
    office.does("ayu add uttp 180 2024-03-14");
    office.does("kabid verify ayu/1");
    assert_eq!(office.line("uttp", Q(Q1)).rating.clone().unwrap().as_ref(), "Tinggi");
    office.does("ayu add uttp 1 2024-03-14");
    office.does("kabid verify ayu/2");
    office.expect("uttp", Q(Q1), "200 | 181 | 181 | 90.50 | 90.50");
    assert_eq!(office.line("uttp", Q(Q1)).rating.clone().unwrap().as_ref(), "Sangat Tinggi");
    office.does("ayu amend ayu/2 0,001 2024-03-14");
    office.does("kabid verify ayu/2");
    office.expect("uttp", Q(Q1), "200 | 180.001 | 180.001 | 90.00 | 90.00");
    assert_eq!(office.line("uttp", Q(Q1)).rating.clone().unwrap().as_ref(), "Sangat Tinggi");
}

#[test]
fn a_cap_is_the_indicators_own() {
    let mut office = Office::draft();
    office.does("admin set uttp cap 120");
    office.at("2024-03-14 08:00").does("ayu add uttp 700 2024-03-14");
    office.expect("uttp", Q(Q1), "70 | 700 | not reported | 120.00 | NOT_VERIFIED");
    office.is_refused("admin set uttp cap -5", "CAP_INVALID cap=-5");
    office.does("admin set uttp cap 0,5");
    office.expect("uttp", Q(Q1), "70 | 700 | not reported | 0.50 | NOT_VERIFIED");
}

#[test]
fn figures_use_the_kind_of_the_quarter_asked_about() {
    let mut office = Office::established();
    office.at("2024-07-09 08:00");
    office.does("ayu add asn 20 2024-02-01");
    office.does("ayu add asn 8 2024-03-01");
    office.does("admin draft R1 3");
    office.does("admin change 1 kind asn sum latest");
    office.does("admin submit 1");
    office.does("head approve 1");
    office.does("ayu add asn 27 2024-07-08");
    office.does("ayu add asn 28 2024-07-09");
    office.expect("asn", Q(Q1), "28 | 28 | not reported | 100.00 | NOT_VERIFIED");
    office.expect("asn", ToDate(Q2), "56 | 28 | not reported | 50.00 | NOT_VERIFIED");
    office.expect("asn", Q(Q3), "28 | 28 | not reported | 100.00 | NOT_VERIFIED");
    office.expect("asn", Year, "28 | 28 | not reported | 100.00 | NOT_VERIFIED");
    assert_eq!(office.state.indicator(id("asn")).unwrap().settings_in(Q2).kind.name(), "sum");
}

#[test]
fn a_roll_up_is_the_mean_of_what_can_be_computed_and_tells_what_was_left_out() {
    let mut office = Office::established();
    office.at("2024-03-20 08:00").does("ayu add uttp 70 2024-03-20");
    office.does("ayu add asn 14 2024-03-20");
    office.does("kabid verify ayu/1");
    // Below the program `tera`: uttp 100 %, asn 50 %, laporan not planned.
    let program = roll_up(&office.state, 2024, Under::Indicator(id("tera")), Q(Q1)).unwrap();
    let told = |mean: &Mean| {
        (mean.achievement.as_ref().map(two_decimals).unwrap_or_default(), mean.counted, mean.left_out)
    };
    assert_eq!(told(&program.reported), ("75.00".to_owned(), 2, 1));
    assert_eq!(told(&program.verified), ("100.00".to_owned(), 1, 2));
    assert_eq!(program.rating.as_deref(), Some("Sangat Tinggi"));
    // Its own indicator stands beside it, and the objective takes its strategic indicators only.
    office.expect("tera", Q(Q1), "12.5 | not reported | not reported | NOT_REPORTED | NOT_REPORTED");
    let objective = roll_up(&office.state, 2024, Under::Objective(0), Q(Q1)).unwrap();
    assert_eq!(told(&objective.reported), (String::new(), 0, 1));
    assert_eq!(objective.rating, None);
    assert_eq!(roll_up(&office.state, 2024, Under::Indicator(id("uttp")), Q(Q1)), None);
    assert_eq!(roll_up(&office.state, 2023, Under::Objective(0), Q(Q1)), None);
}

#[test]
fn what_is_wrong_with_the_target_is_said_before_anything_is_reported() {
    let mut office = Office::draft();
    office.does("admin set uttp target 1=-2,24");
    office.expect("uttp", Q(Q1), "-2.24 | not reported | not reported | TARGET_NEGATIVE | TARGET_NEGATIVE");
    office.at("2024-03-20 08:00").does("ayu add uttp 3 2024-03-20");
    office.expect("uttp", Q(Q1), "-2.24 | 3 | not reported | TARGET_NEGATIVE | TARGET_NEGATIVE");
}

/// The kind of the last quarter says how quarters come together; each quarter brings what it came to by its own kind.
#[test]
fn quarters_of_several_kinds_come_together_each_by_its_own() {
    let mut office = Office::established();
    office.at("2024-02-20 08:00").does("ayu add uttp 10 2024-02-20");
    office.does("ayu add uttp 30 2024-02-21");
    // From the second quarter on the mean, from the third the last reading, from the fourth a sum again.
    for (number, effective, change) in
        [(1, 2, "kind uttp sum average"), (2, 3, "kind uttp average latest"), (3, 4, "kind uttp latest sum")]
    {
        office.does(&format!("admin draft R{number} {effective}"));
        office.does(&format!("admin change {number} {change}"));
        office.does(&format!("admin submit {number}"));
        office.does(&format!("head approve {number}"));
    }
    office.at("2024-11-20 08:00");
    for (quantity, on) in
        [(6, "2024-05-20"), (8, "2024-05-21"), (5, "2024-08-20"), (9, "2024-08-21"), (1, "2024-11-20")]
    {
        office.does(&format!("ayu add uttp {quantity} {on}"));
    }
    let of = |office: &Office, period| realised(&office.line("uttp", period).realised);
    assert_eq!([Q1, Q2, Q3, Q4].map(|quarter| of(&office, Q(quarter))), ["40", "7.00", "9", "1"]);
    // 40 + 7 + 9 + 1.
    assert_eq!(of(&office, Year), "57.00");
    // A quarter without a reading has no mean and brings nothing.
    office.does("kabid return ayu/3");
    office.does("kabid return ayu/4");
    assert_eq!((of(&office, Q(Q2)), of(&office, Year)), ("not reported".to_owned(), "50.00".to_owned()));
    assert_eq!((of(&office, ToDate(Q1)), of(&office, ToDate(Q3))), ("40".to_owned(), "9".to_owned()));
}

#[test]
fn a_quarter_without_a_reading_adds_nothing_to_a_sum_of_several_kinds() {
    let mut office = Office::established();
    for (number, effective, change) in
        [(1, 2, "kind uttp sum average"), (2, 3, "kind uttp average cumulative")]
    {
        office.does(&format!("admin draft R{number} {effective}"));
        office.does(&format!("admin change {number} {change}"));
        office.does(&format!("admin submit {number}"));
        office.does(&format!("head approve {number}"));
    }
    office.at("2024-08-20 08:00").does("ayu add uttp 5 2024-08-20");
    assert_eq!(realised(&office.line("uttp", ToDate(Q3)).realised), "5.00");
}

#[test]
fn a_mean_of_the_year_takes_quarters_with_a_target_and_a_reading() {
    let mut office = Office::draft();
    office.does("admin set uttp kind average target 1=- target 2=");
    office.at("2024-11-20 08:00");
    for (quantity, on) in [(100, "2024-02-20"), (50, "2024-05-20"), (10, "2024-08-20")] {
        office.does(&format!("ayu add uttp {quantity} {on}"));
    }
    // The first is not planned, the second missing, the fourth not reported: only the third counts.
    assert_eq!(realised(&office.line("uttp", Year).realised), "10.00");
    office.does("ayu add uttp 30 2024-11-20");
    assert_eq!(realised(&office.line("uttp", Year).realised), "20.00");
    assert_eq!(realised(&office.line("uttp", ToDate(Q2)).realised), "not reported");
}

#[test]
fn an_incomplete_target_has_its_partial_number() {
    let office = Office::established();
    let line = office.line("laporan", Year);
    assert_eq!(line.target.number().unwrap().plain(), "15");
    assert_eq!(office.line("rapat", Year).target.number(), None);
    assert_eq!(office.line("opini", Year).target.number(), None);
    assert_eq!(office.line("uttp", Year).target.number().unwrap().plain(), "945");
}

/// "A percentage recorded without its parts cannot be combined …: the later reading replaces the earlier, and the reader
/// is told so", where a ratio to date is "over all entries to date".
#[test]
fn a_ratio_to_date_tells_that_a_quarter_without_parts_was_not_combined() {
    for (first, second) in [("3000/6000", "70"), ("50", "1600/2000"), ("50", "80")] {
        let mut office = Office::established();
        office.at("2024-05-14 08:00");
        office.does(&format!("citra add aktif {first} 2024-02-13"));
        office.does(&format!("citra add aktif {second} 2024-05-13"));
        let told = office.line("aktif", ToDate(Q2)).not_aggregable;
        assert!(told, "{first} then {second}: {}", office.figures("aktif", ToDate(Q2)));
    }
}

/// "Average … mean of quarters that have a target and a reading": nothing is due of what is retired, and its target
/// leaves that quarter out.
#[test]
fn the_mean_of_a_year_leaves_out_the_quarters_in_which_it_is_retired() {
    let mut office = Office::draft();
    office.does("admin set uttp kind average");
    office.does("admin establish 2024");
    office.does("head approve-plan 2024");
    office.at("2024-07-10 09:00");
    office.does("ayu add uttp 100 2024-06-10");
    office.does("ayu add uttp 200 2024-07-10");
    office.does("admin draft R1 3");
    office.does("admin change 1 retire uttp");
    office.does("admin submit 1");
    office.does("head approve 1");
    // The target is the mean of 70 and 585; the readings are those of the same quarters.
    office.expect("uttp", Year, "327.50 | 100.00 | not reported | 30.53 | NOT_VERIFIED");
}

/// "The four never collapse", "a realisation of 0 is 0 %": nobody reported a 0 here. Three of four are no 0 when the kind
/// becomes one that adds up; whatever is shown instead, it is no number that nobody gave.
#[test]
fn readings_with_parts_are_never_shown_as_0() {
    let mut office = Office::draft();
    office.at("2024-05-14 08:00");
    office.does("citra add aktif 3/4 2024-05-13");
    for kind in ["sum", "cumulative", "average"] {
        office.does(&format!("admin set aktif kind {kind}"));
        let shown = office.figures("aktif", Q(Q2));
        assert!(!shown.contains(" 0.00 "), "{kind}: {shown}");
    }
}

/// "A text target takes a text realisation, is shown beside it": also beside the year's, whatever the kind.
#[test]
fn a_text_of_an_average_is_shown_beside_the_year() {
    let mut office = Office::draft();
    office.does("admin set opini kind average");
    office.at("2024-12-14 08:00").does("citra add opini \"WTP\" 2024-12-14");
    office.expect("opini", Year, "WTP | WTP | not reported | TARGET_IS_TEXT | TARGET_IS_TEXT");
}
