//! A data folder of a test, and the program on it.

#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use renaksi_ledger::{Entry, Log, LogId, LogKind, LogReader};
use renaksi_server::data::Data;
use serde_json::Value;
use tempfile::TempDir;

/// A data folder with its test's own folder around it.
pub struct Place {
    pub dir: TempDir,
    pub data: PathBuf,
}

impl Place {
    /// An office with so many auditors.
    pub fn with(auditors: u32) -> Place {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let place = Place { data: dir.path().join("data"), dir };
        place.ok(&["init", "--office", "Dinas Uji", "--operator", "operator-1", "--json"]);
        place.invite(0..auditors);
        place
    }

    pub fn invite(&self, numbers: std::ops::Range<u32>) {
        for number in numbers {
            self.ok(&["invite", "--user", &format!("auditor-{number}"), "--role", "auditor", "--json"]);
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn run_on(data: &Path, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_renaksid"));
        // `office add --office …`: the folder goes where the options begin.
        let options = arguments.iter().skip(1).position(|word| word.starts_with("--"));
        let (command_words, rest) = arguments.split_at(options.map_or(arguments.len(), |at| at + 1));
        command.args(command_words).arg("--data").arg(data).args(rest);
        command.env_remove("RENAKSI_CLOCK").output().unwrap()
    }

    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> Value {
        ok_on(&self.data, arguments)
    }

    #[track_caller]
    pub fn backup(&self, name: &str) -> PathBuf {
        let file = self.path(name);
        self.ok(&["backup", file.to_str().unwrap(), "--json"]);
        file
    }

    /// The error's code of a command that fails with that exit code.
    #[track_caller]
    pub fn fails(&self, data: &Path, arguments: &[&str], exit: i32) -> String {
        let output = Place::run_on(data, &[arguments, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(exit), "{output:?}");
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(!told["error"]["hint"].as_str().unwrap().is_empty(), "{told}");
        told["error"]["code"].as_str().unwrap().to_owned()
    }

    pub fn segment(&self) -> PathBuf {
        self.data.join("office/log/segment-00000000000000000001.log")
    }

    /// Changes a byte of the log.
    pub fn flip(&self, offset: usize) {
        let mut bytes = fs::read(self.segment()).unwrap();
        bytes[offset] ^= 0x20;
        fs::write(self.segment(), bytes).unwrap();
    }
}

#[track_caller]
pub fn ok_on(data: &Path, arguments: &[&str]) -> Value {
    let output = Place::run_on(data, arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

#[track_caller]
pub fn check(data: &Path) -> Value {
    ok_on(data, &["check", "--json"])
}

/// Every file below a folder with its bytes, but the index and what a process leaves.
pub fn everything(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true if path.ends_with("index") || path.ends_with("snapshots") => {}
            true => found.extend(everything(&path)),
            false => found.push((path.clone(), fs::read(&path).unwrap())),
        }
    }
    found.sort();
    found
}

/// A server that ends with the test.
pub struct Serving(Child);

impl Serving {
    pub fn start(data: &Path) -> Serving {
        Serving::with(data, &[])
    }

    pub fn with(data: &Path, arguments: &[&str]) -> Serving {
        let mut child = Command::new(env!("CARGO_BIN_EXE_renaksid"))
            .args(["serve", "--listen", "127.0.0.1:0", "--json"])
            .args(arguments)
            .arg("--data")
            .arg(data)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Serving(child)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true if path.ends_with("index") || path.ends_with("snapshots") => {}
            true => copy_folder(&path, &target),
            false => drop(fs::copy(path, target).unwrap()),
        }
    }
}

/// A device's copy of the log of a data folder, up to a position.
pub fn replica(data: &Data, home: &Path, until: u64) {
    let office = data.server_file().unwrap().office;
    let reader = LogReader::open_read_only(&data.office("log"), &Data::log_id(office)).unwrap();
    let id = LogId { office, kind: LogKind::Replica };
    let mut log = Log::create(&home.join("replica"), id, 1).unwrap();
    for commit in reader.iter(1).map(Result::unwrap).take_while(|commit| commit.size_after <= until) {
        let entries: Vec<Entry> = commit.entries;
        log.append(&entries).unwrap();
    }
    log.close().unwrap();
}
