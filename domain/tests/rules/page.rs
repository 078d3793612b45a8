//! The page of the rules: every row has its test, every fault of recording, time and revisions its row, and what it names
//! of this folder is here. (That every other test it names exists is looked at across the workspace.)

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/rules.md")).unwrap()
}

/// The rows of its tables: what the rule says, and the tests that hold it.
fn rows(page: &str) -> Vec<(&str, Vec<&str>)> {
    let cells =
        page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.rsplit_once(" | "));
    let rules = cells.filter(|(_, held)| held.contains('`'));
    rules.map(|(rule, held)| (rule, held.split('`').skip(1).step_by(2).collect())).collect()
}

/// `file::test` of each test in this folder.
fn tests_here() -> BTreeSet<String> {
    let folder = root().join("domain/tests/rules");
    let mut tests = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        for part in text.split("#[test]").skip(1) {
            let name = part.split_once("fn ").and_then(|(_, rest)| rest.split(['(', '<']).next());
            tests.extend(name.map(|name| format!("{stem}::{name}")));
        }
    }
    tests
}

#[test]
fn every_rule_has_a_test_and_those_of_this_folder_are_here() {
    let page = page();
    let rows = rows(&page);
    let lines = page.lines().filter(|line| line.starts_with("| ") && !line.contains("| held by |")).count();
    assert_eq!(rows.len(), lines, "a row without a test");
    let here = tests_here();
    let files: BTreeSet<&str> =
        here.iter().filter_map(|test| test.split_once("::").map(|(file, _)| file)).collect();
    // Files of the same name elsewhere have tests of their own; those are looked for across the workspace.
    let own = |test: &&&str| test.split_once("::").is_some_and(|(file, _)| files.contains(file));
    let missing: Vec<&&str> =
        rows.iter().flat_map(|(_, held)| held).filter(own).filter(|test| !here.contains(**test)).collect();
    assert!(missing.is_empty(), "not in domain/tests/rules: {missing:?}");
}

#[test]
fn every_fault_of_recording_time_and_revisions_has_a_test_that_is_named_after_it() {
    let page = page();
    let rows = rows(&page);
    for (letter, last) in [('R', 13), ('T', 9), ('V', 5)] {
        for number in 1..=last {
            let code = format!("{letter}{number}");
            let row = rows.iter().find(|(rule, _)| rule.split(' ').next() == Some(&code));
            let (_, held) = row.unwrap_or_else(|| panic!("{code} has no row"));
            let named = format!("::{}_", code.to_lowercase());
            assert!(held.iter().all(|test| test.contains(&named)), "{code}: {held:?}");
        }
    }
}
