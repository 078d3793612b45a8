//! The real plan, read whole: the tree must equal the verified reading, and every known oddity must be named.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use renaksi_documents::{Counts, Measure, PlanDocument, txt};
use renaksi_seeds::{PLAN_2024_EXPECTED, PLAN_2024_TXT};
use serde_json::{Map, Value, json};

fn read() -> PlanDocument {
    txt::read_plan(PLAN_2024_TXT).unwrap()
}

fn with_measure(mut object: Value, measure: &Measure) -> Value {
    object["indicator"] = json!(measure.indicator);
    object["unit"] = json!(measure.unit);
    object["targets"] = json!(measure.targets.each_ref().map(|target| target.label()));
    object
}

fn as_json(plan: &PlanDocument) -> Value {
    let counts = plan.counts();
    let objectives = plan.objectives.iter().map(|objective| {
        let indicators = objective.indicators.iter().map(|strategic| {
            let programs = strategic.programs.iter().map(|program| {
                let rows = program.rows.iter().map(|row| {
                    let names = json!({ "level": row.level.name(), "name": row.name, "responsible": row.responsible });
                    with_measure(names, &row.measure)
                });
                with_measure(json!({ "name": program.name, "rows": rows.collect::<Vec<_>>() }), &program.measure)
            });
            with_measure(json!({ "programs": programs.collect::<Vec<_>>() }), &strategic.measure)
        });
        json!({ "name": objective.name, "indicators": indicators.collect::<Vec<_>>() })
    });
    json!({
        "office": plan.office,
        "year": plan.year,
        "counts": {
            "objectives": counts.objectives,
            "strategic_indicators": counts.strategic_indicators,
            "programs": counts.programs,
            "activities": counts.activities,
            "sub_activities": counts.sub_activities,
            "indicators": counts.indicators,
            "target_cells": counts.target_cells,
            "numeric": counts.numeric,
            "not_planned": counts.not_planned,
            "missing": counts.missing,
        },
        "objectives": objectives.collect::<Vec<_>>(),
    })
}

#[test]
fn the_tree_equals_the_verified_reading() {
    let expected: Value = serde_json::from_str(PLAN_2024_EXPECTED).unwrap();
    let plan = as_json(&read());
    for key in ["office", "year", "counts"] {
        assert_eq!(plan[key], expected[key], "{key}");
    }
    let lists = |value: &Value| value["objectives"].as_array().unwrap().clone();
    for (got, expect) in lists(&plan).iter().zip(lists(&expected)) {
        assert_eq!(*got, expect);
    }
    assert_eq!(plan, expected);
}

#[test]
fn counts() {
    let expected = Counts {
        objectives: 4,
        strategic_indicators: 6,
        programs: 15,
        activities: 25,
        sub_activities: 55,
        indicators: 101,
        target_cells: 404,
        numeric: 261,
        text: 0,
        not_planned: 131,
        missing: 12,
    };
    assert_eq!(read().counts(), expected);
    assert_eq!(read().measures().count(), 101);
}

#[test]
fn the_warnings_and_their_lines() {
    let plan = read();
    let mut lines: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for warning in &plan.warnings {
        lines.entry(warning.code).or_default().push(warning.line);
    }
    let expected: BTreeMap<&str, Vec<u32>> = [
        ("BOOKMARK_IN_CELL", vec![867]),
        ("KIND_UNCERTAIN", KIND_UNCERTAIN.to_vec()),
        ("MIXED_DECIMAL_MARKS", vec![1728, 1756]),
        (
            "NO_RESPONSIBLE",
            vec![
                41, 44, 327, 436, 439, 776, 899, 902, 1015, 1129, 1242, 1371, 1480, 1483, 1707, 1767, 1820,
                1973, 2022, 2025, 2253, 2534, 2538,
            ],
        ),
        ("READS_LIKE_OBJECTIVE", vec![2022]),
        ("RESPONSIBLE_MISSING", vec![1767, 1973]),
        ("RESPONSIBLE_SPELLING", vec![1431, 3297, 3356, 3413]),
        ("SHORT_ROW", vec![4646]),
        ("TAB_IN_CELL", vec![4090, 4147, 4429, 4543]),
        ("TARGET_MISSING", vec![208, 1514, 2750, 3360, 3416, 3557, 3571, 3827, 3855, 4604, 4632, 4646]),
        ("UNIT_MISSING", vec![2484]),
    ]
    .into();
    assert_eq!(lines, expected);
    assert!(plan.warnings.is_sorted());
    assert_eq!(plan.warnings, read().warnings);
}

const KIND_UNCERTAIN: &[u32] = &[443, 500, 724, 1973, 2888, 3356, 3413, 4486];

#[test]
fn a_warning_says_what_was_found_and_done() {
    let plan = read();
    let said = |line: u32, code: &str| {
        let warning = plan.warnings.iter().find(|w| w.line == line && w.code == code).unwrap();
        (warning.message.clone(), warning.details.clone())
    };
    let (message, details) = said(1514, "TARGET_MISSING");
    assert_eq!(
        message,
        "TW 3 of \"Jumlah Peraturan Bupati (Perbup) Kawasan Industri yang ditetapkan.\" is blank: its target is missing"
    );
    assert_eq!(details[0], ("quarter", "3".to_owned()));
    let (message, _) = said(1728, "MIXED_DECIMAL_MARKS");
    assert_eq!(message, "54,54 here and 54.54 in line 1756 of one indicator mark decimals differently");
    let (message, _) = said(1431, "RESPONSIBLE_SPELLING");
    assert_eq!(
        message,
        "the post \"Kepala BIdang Koperasi\" is written \"Kepala Bidang Koperasi\" elsewhere; both are one unit"
    );
}

#[test]
fn proposed_kinds() {
    let plan = read();
    let proposal = |start: &str| {
        let measure = plan.measures().find(|measure| measure.indicator.starts_with(start)).unwrap();
        (measure.proposal.kind.name(), measure.proposal.reason, measure.proposal.uncertain)
    };
    assert_eq!(proposal("Jumlah alat ukur, takar"), ("sum", "COUNT", false));
    assert_eq!(
        proposal("Jumlah koperasi yang dilakukan pengawasan"),
        ("cumulative", "STEPS_EQUAL_FIRST_VALUE", false)
    );
    assert_eq!(proposal("Jumlah ASN yang gaji"), ("sum", "EQUAL_COUNTS_OF_PERSONS_OR_UNITS", true));
    assert_eq!(proposal("Jumlah wirausaha baru"), ("sum", "COUNTS_GROW", true));
    assert_eq!(proposal("% Ketersediaan"), ("latest", "UNIT_IS_PERCENT", false));
    let mut kinds: Map<String, Value> = Map::new();
    for measure in plan.measures() {
        let count = kinds.entry(measure.proposal.kind.name()).or_insert(json!(0));
        *count = json!(count.as_u64().unwrap() + 1);
    }
    assert_eq!(Value::Object(kinds), json!({ "latest": 42, "sum": 58, "cumulative": 1 }));
}

#[test]
fn another_form_of_the_same_bytes_is_the_same_plan() {
    let text = std::str::from_utf8(PLAN_2024_TXT).unwrap();
    let plan = read();
    for (name, bytes) in [
        ("byte order mark", format!("\u{feff}{text}")),
        ("CR LF", text.replace('\n', "\r\n")),
        ("CR", text.replace('\n', "\r")),
    ] {
        assert_eq!(txt::read_plan(bytes.as_bytes()).unwrap(), plan, "{name}");
    }
}
