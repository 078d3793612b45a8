//! Who may know whom. Each crate's direct dependencies are compared with the lists below, both ways: a dependency that is
//! not listed fails, and so does a listed one that is gone. docs/architecture.md draws the same map.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What one crate may depend on directly. `renaksi-` is left out of the names of our own crates.
struct Rule {
    krate: &'static str,
    ours: &'static [&'static str],
    normal: &'static [&'static str],
    build: &'static [&'static str],
    /// Beside what `normal` has.
    dev: &'static [&'static str],
}

/// Every crate but `tests`, which may know everything.
const RULES: &[Rule] = &[
    Rule {
        krate: "domain",
        ours: &[],
        normal: &[
            "jiff",
            "num-bigint",
            "num-integer",
            "num-rational",
            "num-traits",
            "rust_decimal",
            "sha2",
            "thiserror",
            "uuid",
        ],
        build: &[],
        dev: &["proptest"],
    },
    Rule {
        krate: "proto",
        ours: &["domain"],
        normal: &["ed25519-dalek", "jiff", "prost", "sha2", "thiserror", "tonic", "tonic-prost", "uuid"],
        build: &["protox", "tonic-prost-build"],
        dev: &["proptest", "prost-types"],
    },
    Rule {
        krate: "ledger",
        ours: &[],
        normal: &[
            "base64",
            "crc32c",
            "ed25519-dalek",
            "rustix",
            "sha2",
            "sled",
            "thiserror",
            "tracing",
            "uuid",
        ],
        build: &[],
        dev: &["proptest", "tempfile"],
    },
    Rule {
        krate: "documents",
        ours: &["domain"],
        normal: &["thiserror"],
        build: &[],
        dev: &["renaksi-seeds", "serde_json"],
    },
    Rule { krate: "seeds", ours: &[], normal: &[], build: &[], dev: &[] },
    Rule {
        krate: "server",
        ours: &["domain", "ledger", "proto"],
        normal: &[
            "axum",
            "clap",
            "ed25519-dalek",
            "getrandom",
            "hyper-util",
            "prost",
            "rcgen",
            "rustls",
            "serde",
            "serde_json",
            "sha2",
            "thiserror",
            "tokio",
            "tokio-stream",
            "tonic",
            "tonic-health",
            "tonic-reflection",
            "tower",
            "tracing",
            "tracing-subscriber",
            "uuid",
            "zstd",
        ],
        build: &[],
        dev: &["tempfile"],
    },
    Rule {
        krate: "client",
        ours: &["documents", "domain", "ledger", "proto", "seeds"],
        normal: &[
            "base64",
            "clap",
            "clap_complete",
            "clap_mangen",
            "comfy-table",
            "csv",
            "directories",
            "ed25519-dalek",
            "getrandom",
            "hyper-util",
            "indicatif",
            "nix",
            "prost",
            "rust-i18n",
            "rustix",
            "rustls",
            "serde_json",
            "sha2",
            "sys-locale",
            "thiserror",
            "tokio",
            "tokio-rustls",
            "tonic",
            "tracing",
            "tracing-subscriber",
            "uuid",
        ],
        build: &[],
        dev: &["tempfile"],
    },
];

/// Why each crate that others wrote is here at all. The larger choices have a note in docs/adr.
const REASONS: &[(&str, &str)] = &[
    ("axum", "pages of a browser over plain HTTP: health now"),
    ("base64", "certificates as PEM, hashes and signatures in checkpoints"),
    ("clap", "the programs' options"),
    ("clap_complete", "completions for the shells"),
    ("clap_mangen", "the manual page"),
    ("comfy-table", "tables on a terminal"),
    ("crc32c", "checksums of frames, slots, snapshots and index rows"),
    ("csv", "reads the sheets of `entry import`: quotes, separators, line ends"),
    ("directories", "the platform's folder for a device"),
    ("ed25519-dalek", "keys and signatures of devices and of logs"),
    ("getrandom", "keys, salts and one-time codes, where a program makes them"),
    ("hyper-util", "tonic over the socket and the TLS stream that we open ourselves"),
    ("indicatif", "progress on a terminal"),
    ("jiff", "civil dates and RFC 3339; no zone database"),
    ("nix", "the peak memory of ended processes, which the demo prints"),
    ("num-bigint", "exact quotients"),
    ("num-integer", "exact quotients"),
    ("num-rational", "exact quotients"),
    ("num-traits", "exact quotients"),
    ("proptest", "histories that nobody would think of, against the rules"),
    ("prost", "the stored and sent messages"),
    ("prost-types", "the descriptors, so that a test can see every stored message"),
    ("protox", "compiles the .proto files, so that no protoc is needed"),
    ("rcgen", "the server's own certificate authority"),
    ("renaksi-seeds", "the 2024 plan, as test input"),
    ("rust-i18n", "Indonesian and English texts"),
    ("rust_decimal", "exact decimals that keep their written scale"),
    ("rustix", "file locks and other calls that std lacks, without unsafe code of ours"),
    ("rustls", "TLS"),
    ("serde", "settings files"),
    ("serde_json", "JSON output"),
    ("sha2", "every hash"),
    ("sled", "the index, a cache"),
    ("sys-locale", "the language when --lang is not given"),
    ("tempfile", "folders of tests"),
    ("thiserror", "error types"),
    ("tokio", "the asynchronous runtime of both programs"),
    ("tokio-rustls", "TLS with the pinned certificate of an invite"),
    ("tokio-stream", "streamed answers"),
    ("tonic", "gRPC"),
    ("tonic-health", "the standard health service"),
    ("tonic-prost", "gRPC messages through prost"),
    ("tonic-prost-build", "generates the gRPC services"),
    ("tonic-reflection", "lets standard gRPC tools list the services"),
    ("tower", "layers around the services"),
    ("tracing", "what happened, with office, device and sequence"),
    ("tracing-subscriber", "writes what tracing says"),
    ("uuid", "ids that must be known outside the office"),
    ("zstd", "backups are a fifth of the size"),
];

/// What would let the rules do IO, wait, draw lots or know a stored form.
const NEVER_IN_DOMAIN: &[&str] = &["tokio", "serde", "prost", "tonic", "rand", "getrandom", "sled"];

/// The direct dependencies of one crate, by section.
#[derive(Default)]
struct Found {
    normal: BTreeSet<String>,
    build: BTreeSet<String>,
    dev: BTreeSet<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn table(path: &Path) -> toml::Table {
    std::fs::read_to_string(path).unwrap().parse().unwrap()
}

/// The package behind a name in a dependency table: `package = "…"` renames, here or in the workspace's table.
fn package(name: &str, value: &toml::Value, workspace: &toml::Table) -> String {
    let inherited = || workspace.get(name).and_then(|value| value.get("package"));
    let renamed = value.get("package").or_else(inherited);
    renamed.and_then(|name| name.as_str()).unwrap_or(name).to_owned()
}

fn found(krate: &str) -> Found {
    let workspace = table(&root().join("Cargo.toml"));
    let shared = workspace["workspace"]["dependencies"].as_table().unwrap();
    let manifest = table(&root().join(krate).join("Cargo.toml"));
    let mut found = Found::default();
    // Dependencies of one platform count like the others.
    let platforms = manifest.get("target").and_then(|value| value.as_table());
    let tables = platforms.into_iter().flatten().filter_map(|(_, value)| value.as_table()).chain([&manifest]);
    for table in tables {
        for (section, into) in [
            ("dependencies", &mut found.normal),
            ("build-dependencies", &mut found.build),
            ("dev-dependencies", &mut found.dev),
        ] {
            let entries = table.get(section).and_then(|value| value.as_table()).into_iter().flatten();
            into.extend(entries.map(|(name, value)| package(name, value, shared)));
        }
    }
    found
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// What is wrong with one section, in words.
fn differences(
    krate: &str,
    section: &str,
    found: &BTreeSet<String>,
    listed: &BTreeSet<String>,
) -> Vec<String> {
    let unlisted = found.difference(listed).map(|name| {
        format!("{krate}: {name} in {section} is not listed; do without it, or list it with its reason")
    });
    let gone = listed
        .difference(found)
        .map(|name| format!("{krate}: {name} is no longer in {section}; take it off the list"));
    unlisted.chain(gone).collect()
}

#[test]
fn each_crate_depends_on_what_is_listed() {
    let mut wrong = Vec::new();
    for rule in RULES {
        let found = found(rule.krate);
        let mut listed = set(rule.normal);
        listed.extend(rule.ours.iter().map(|name| format!("renaksi-{name}")));
        let dev = found.dev.difference(&found.normal).cloned().collect();
        wrong.extend(differences(rule.krate, "dependencies", &found.normal, &listed));
        wrong.extend(differences(rule.krate, "build-dependencies", &found.build, &set(rule.build)));
        wrong.extend(differences(rule.krate, "dev-dependencies", &dev, &set(rule.dev)));
    }
    assert!(
        wrong.is_empty(),
        "tests/tests/dependency_rule.rs and the manifests differ:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_crate_of_the_workspace_has_a_rule() {
    let workspace = table(&root().join("Cargo.toml"));
    let members = workspace["workspace"]["members"].as_array().unwrap();
    let members: BTreeSet<String> = members.iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    let mut ruled: BTreeSet<String> = RULES.iter().map(|rule| rule.krate.to_owned()).collect();
    ruled.insert("tests".to_owned());
    assert_eq!(members, ruled);
}

/// The lists above may change; this may not.
#[test]
fn the_map_holds() {
    let ours = |krate: &str| -> BTreeSet<String> {
        found(krate)
            .normal
            .iter()
            .filter_map(|name| Some(name.strip_prefix("renaksi-")?.to_owned()))
            .collect()
    };
    assert_eq!(ours("domain"), set(&[]), "the rules know none of our crates");
    assert_eq!(ours("proto"), set(&["domain"]), "the formats know the rules and nothing else");
    assert_eq!(ours("ledger"), set(&[]), "the log knows bytes and hashes, not plans");
    assert_eq!(ours("documents"), set(&["domain"]), "readers of documents know the rules and nothing else");
    assert_eq!(ours("seeds"), set(&[]), "the seeds are bytes");
    assert!(!ours("server").contains("client"), "the server never knows the client");
    assert!(!ours("client").contains("server"), "the client never knows the server");
    for krate in ["domain", "proto", "ledger", "documents", "seeds", "server", "client"] {
        assert!(!ours(krate).contains("tests"), "nothing knows the tests");
    }
    let domain = found("domain");
    for name in NEVER_IN_DOMAIN {
        let everywhere = [&domain.normal, &domain.build];
        assert!(!everywhere.iter().any(|names| names.contains(*name)), "the rules must not know {name}");
    }
}

#[test]
fn every_foreign_crate_has_one_reason() {
    let reasons: BTreeMap<&str, &str> = REASONS.iter().copied().collect();
    assert_eq!(reasons.len(), REASONS.len(), "a crate has two reasons");
    assert!(reasons.values().all(|reason| !reason.trim().is_empty()));
    let lists = RULES.iter().flat_map(|rule| [rule.normal, rule.build, rule.dev]);
    let listed: BTreeSet<&str> = lists.flatten().copied().collect();
    let with_reason: BTreeSet<&str> = reasons.keys().copied().collect();
    assert_eq!(listed, with_reason, "a listed crate without a reason, or a reason without a crate");
}
