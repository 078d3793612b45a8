//! The documents keep up with the code: every code a person can meet is explained, and every link leads somewhere.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use renaksi_domain::Code;
use renaksi_domain::achievement::NoFigure;

/// Names in the programs that are not codes.
const OTHER_NAMES: &[&str] = &["NO_COLOR", "RUST_LOG", "OUT_DIR", "SOMETHING_LATER", "LATER_STILL"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The rows of docs/errors.md by the code in their first cell: `| `CODE` | … |`.
fn explained() -> BTreeMap<String, Vec<String>> {
    let mut rows = BTreeMap::new();
    for line in read("docs/errors.md").lines() {
        let cells: Vec<String> = line.split('|').map(|cell| cell.trim().to_owned()).collect();
        let code = cells.get(1).and_then(|cell| cell.strip_prefix('`')?.strip_suffix('`'));
        if let Some(code) = code.filter(|code| is_code(code)) {
            rows.entry(code.to_owned()).or_insert(cells);
        }
    }
    rows
}

fn is_code(text: &str) -> bool {
    text.len() > 3
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// The .rs files below a crate's src, in order.
fn sources(krate: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(krate).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|extension| extension == "rs") => found.push(path),
                false => {}
            }
        }
    }
    found.sort();
    found
}

/// Every string literal of the crate's sources that looks like a code.
fn literals(krate: &str) -> BTreeSet<String> {
    let texts = sources(krate).into_iter().map(|path| fs::read_to_string(path).unwrap());
    texts
        .flat_map(|text| text.split('"').filter(|part| is_code(part)).map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

#[test]
fn every_code_of_the_rules_is_explained() {
    let rows = explained();
    let missing: Vec<&str> = Code::all().map(Code::name).filter(|name| !rows.contains_key(*name)).collect();
    assert!(missing.is_empty(), "docs/errors.md does not explain {missing:?}");
    let missing: Vec<&str> =
        NoFigure::ALL.into_iter().map(NoFigure::name).filter(|name| !rows.contains_key(*name)).collect();
    assert!(missing.is_empty(), "docs/errors.md does not explain {missing:?}");
}

#[test]
fn exit_codes_of_permissions_are_told_apart() {
    let rows = explained();
    for code in Code::all() {
        let exit = &rows[code.name()][3];
        assert!(exit.contains(|c: char| c.is_ascii_digit()), "{}: no exit code", code.name());
        assert!(!code.is_permission() || exit.contains('6'), "{}: the exit code is {exit}", code.name());
    }
}

#[test]
fn every_code_of_the_readers_is_explained() {
    let rows = explained();
    let codes = literals("documents");
    let missing: Vec<&String> =
        codes.iter().filter(|code| code.contains('_') && !rows.contains_key(*code)).collect();
    assert!(missing.is_empty(), "docs/errors.md does not explain {missing:?}");
}

/// Every literal of both programs that looks like a code is one, save the names of variables and examples in tests.
#[test]
fn every_code_of_the_programs_is_explained() {
    let rows = explained();
    for krate in ["client", "server"] {
        let codes = literals(krate);
        let missing: Vec<&String> = codes
            .iter()
            .filter(|code| code.contains('_') && !rows.contains_key(*code))
            .filter(|code| !code.starts_with("RENAKSI_") && !code.starts_with("CARGO_"))
            .filter(|code| !OTHER_NAMES.contains(&code.as_str()))
            .collect();
        assert!(missing.is_empty(), "docs/errors.md does not explain {missing:?} of the {krate}");
    }
}

#[test]
fn nothing_is_explained_that_is_not_there() {
    let krates = ["domain", "documents", "client", "server", "proto"];
    let known: BTreeSet<String> = krates.into_iter().flat_map(literals).collect();
    let stale: Vec<String> = explained().into_keys().filter(|code| !known.contains(code)).collect();
    assert!(stale.is_empty(), "docs/errors.md explains codes that no program gives: {stale:?}");
}

#[test]
fn every_link_leads_to_a_file() {
    let mut documents = vec![root().join("README.md"), root().join("CHANGELOG.md")];
    for folder in ["docs", "docs/adr"] {
        let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        documents.extend(entries.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    }
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            let there = document.parent().unwrap().join(path).exists();
            assert!(there, "{} links to {target}, which is not there", document.display());
        }
    }
}

/// Every test that docs/rules.md names is there, in a file of that name.
#[test]
fn every_rule_is_held_by_a_test_that_exists() {
    let mut tests = BTreeSet::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if let Some(stem) = name.strip_suffix(".rs") {
                let text = fs::read_to_string(&path).unwrap();
                let named = text.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
                tests.extend(named.map(|test| format!("{stem}::{test}")));
            }
        }
    }
    let text = fs::read_to_string(root().join("docs/rules.md")).unwrap();
    let named: Vec<&str> =
        text.split('`').filter(|part| part.contains("::") && part != &"file::test").collect();
    assert!(named.len() > 80, "{} tests are named", named.len());
    let missing: Vec<&&str> = named.iter().filter(|test| !tests.contains(**test)).collect();
    assert!(missing.is_empty(), "docs/rules.md names tests that are not there: {missing:?}");
}

/// Every row of a fault names a test that has the fault's code in its own name, and none of the log's faults is missing.
#[test]
fn every_fault_is_found_by_its_code() {
    let text = fs::read_to_string(root().join("docs/rules.md")).unwrap();
    let (_, faults) = text.split_once("## Faults of others").unwrap();
    let mut codes = BTreeSet::new();
    for line in faults.lines().filter(|line| line.contains("::")) {
        let code = line.trim_start_matches("| ").split(' ').next().unwrap().to_lowercase();
        let mut tests = line.split('`').filter_map(|part| part.split_once("::"));
        let named = tests.any(|(_, test)| test.split('_').any(|word| word == code));
        assert!(named, "no test of the row is named after {code}: {line}");
        codes.insert(code);
    }
    let log: Vec<String> = (1..=10).map(|number| format!("l{number}")).collect();
    let missing: Vec<&String> = log.iter().filter(|code| !codes.contains(*code)).collect();
    assert!(missing.is_empty(), "docs/rules.md has no row of {missing:?}");
    assert!(codes.len() > 30, "{codes:?}");
}
