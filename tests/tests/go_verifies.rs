//! What the ledger signs, proves and exports is checked by an implementation that is not ours: Go's sumdb/note and
//! sumdb/tlog, as Debian packages them. `./check` installs both; without them this test fails.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use renaksi_ledger::checkpoint::verifier_key;
use renaksi_ledger::{Entry, Hash, Log, LogId, LogKind, LogProof, Signer, export_tiles};
use uuid::Uuid;

const PACKAGES: &str = "/usr/share/gocode";
const SIZE: u64 = 1_500;

/// Records of many lengths, the longest among them, in commits of many lengths.
fn commits() -> Vec<Vec<Entry>> {
    let record = |n: u64| {
        let bytes = if n == 700 { 65_535 } else { n as usize * 7 % 150 };
        Entry { leaf: n.to_be_bytes().iter().cycle().take(bytes).copied().collect(), aside: Vec::new() }
    };
    let (mut commits, mut first) = (Vec::new(), 1);
    for length in [1, 2, 40, 3, 300].into_iter().cycle() {
        if first > SIZE {
            return commits;
        }
        commits.push((first..(first + length).min(SIZE + 1)).map(record).collect());
        first += length;
    }
    commits
}

/// Sizes around every border, and some between.
fn sizes() -> Vec<u64> {
    let borders = [1, 2, 3, 4, 5, 7, 8, 9, 255, 256, 257, 511, 512, 513, 1_023, 1_024, 1_025, SIZE];
    let mut sizes: Vec<u64> = borders.into_iter().chain((1..SIZE).step_by(97)).collect();
    sizes.sort_unstable();
    sizes
}

fn line(words: &str, hashes: &[Hash]) -> String {
    let hashes = hashes.iter().map(|hash| format!(" {}", STANDARD.encode(hash)));
    format!("{words}{}\n", hashes.collect::<String>())
}

/// Writes everything that the Go program looks at.
fn write(dir: &Path) {
    let id = LogId { office: Uuid::from_u128(0x1234), kind: LogKind::Office };
    let mut log = Log::create(&dir.join("log"), id, 3).unwrap();
    let mut signer = Signer::open(&log.reader(), id.office, SigningKey::from_bytes(&[5; 32])).unwrap();
    fs::create_dir(dir.join("checkpoints")).unwrap();
    for commit in commits() {
        log.append(&commit).unwrap();
        let signed = signer.sign().unwrap();
        fs::write(dir.join(format!("checkpoints/{}", signed.checkpoint().size)), signed.note()).unwrap();
    }
    let signed = signer.last().unwrap();
    assert_eq!(signed.checkpoint().size, SIZE);
    fs::write(dir.join("key"), verifier_key(&signed.checkpoint(), &signer.verifying_key())).unwrap();
    export_tiles(&log.reader(), signed, &dir.join("tiles")).unwrap();

    let tree = signer.tree();
    let mut proofs = String::new();
    for size in sizes() {
        proofs += &line(&format!("root {size}"), &[tree.root(size).unwrap()]);
        for other in sizes().into_iter().filter(|other| *other <= size) {
            proofs += &line(&format!("record {other} {size}"), &tree.inclusion(other, size).unwrap());
            proofs += &line(&format!("tree {other} {size}"), &tree.consistency(other, size).unwrap());
        }
    }
    fs::write(dir.join("proofs"), proofs).unwrap();

    let position = 700;
    let leaf = log.reader().record(position).unwrap().map(|entry| entry.leaf);
    let path = tree.inclusion(position, SIZE).unwrap();
    let receipt = LogProof { position, leaf, path, checkpoint: signed.note().to_owned() };
    fs::write(dir.join("receipt.tlog-proof"), receipt.to_string()).unwrap();
}

fn verify(dir: &Path) -> Output {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("go/verify.go");
    let mut go = Command::new("go");
    go.arg("run").arg(program).arg(dir);
    // Packages as Debian lays them out; nothing is fetched.
    go.env("GO111MODULE", "off").env("GOPATH", PACKAGES).env("GOFLAGS", "");
    // A home need not be there, and what was compiled may be kept for the next run.
    go.env("GOCACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("go"));
    let packages = Path::new(PACKAGES).join("src/golang.org/x/mod/sumdb/tlog");
    match go.output() {
        Ok(output) if packages.is_dir() => output,
        _ => panic!(
            "Go or its package x/mod is not installed, so nobody else checks our proofs: run ./check, or \
             apt-get install golang-go golang-golang-x-mod-dev"
        ),
    }
}

#[test]
fn go_verifies_checkpoints_proofs_and_tiles() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path());
    let output = verify(dir.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = fs::read_to_string(dir.path().join("proofs")).unwrap().lines().count();
    let expected = format!("checkpoints={} proofs={lines} records={SIZE}\n", commits().len());
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);

    // The same program says no to a changed root, a changed record and a changed proof.
    type Change = (&'static str, fn(Vec<u8>) -> Vec<u8>, &'static str);
    let changes: [Change; 3] = [
        (
            "tiles/checkpoint",
            |text| String::from_utf8(text).unwrap().replace("1500", "1499").into(),
            "signature",
        ),
        (
            "tiles/tile/entries/001",
            |mut bytes| {
                bytes[1_000] ^= 1;
                bytes
            },
            "has another root",
        ),
        (
            "proofs",
            |text| String::from_utf8(text).unwrap().replace("record 9 ", "record 8 ").into(),
            "record 8",
        ),
    ];
    for (name, change, told) in changes {
        let path = dir.path().join(name);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, change(whole.clone())).unwrap();
        let output = verify(dir.path());
        assert!(!output.status.success(), "{name}");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(told), "{name}: {error}");
        fs::write(&path, whole).unwrap();
    }
}
