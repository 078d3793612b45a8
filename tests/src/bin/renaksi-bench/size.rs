//! What grows with an office: opening it, its memory, appending to it, looking at what was known earlier.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use ed25519_dalek::SigningKey;
use renaksi_client::device::Device as Copy;
use renaksi_domain::entry::State as EntryState;
use renaksi_domain::figures::{Period, line};
use renaksi_domain::hash::state_hash;
use renaksi_domain::ids::Origin;
use renaksi_domain::time::Quarter;
use renaksi_domain::{FOLD_VERSION, State};
use renaksi_ledger::{Entry, Log, LogId, LogKind, NewSnapshot, Snapshots};
use renaksi_proto::chain::ChainHash;
use renaksi_proto::convert::{command_leaf, encode_record};
use renaksi_proto::fold::Fold;
use renaksi_proto::log::Texts;
use renaksi_proto::snapshot;
use renaksi_tests::program;
use tonic::transport::Channel;
use uuid::Uuid;

use crate::history::each_record;
use crate::serving::{DEVICE, Device, Server, channel, fingerprint, renaksid};
use crate::{Figure, asked, percentile};

const OFFICE: Uuid = Uuid::from_u128(1);
/// Of a commit, as a day's pushes make them.
const COMMIT_RECORDS: usize = 100;
const DEVICES: u32 = 4;
const PUSHES: usize = 50;
const ENTRIES_A_PUSH: u32 = 100;
/// Points of the log that are looked at.
const LOOKS: usize = 300;
/// Of those, through the whole program.
const COMMANDS: usize = 20;

/// Runs the bench `open`.
pub fn open() -> Vec<Figure> {
    let office = Office::make(asked("--records").unwrap_or(10_000_000));
    office.opening(&mut Vec::new()).0
}

/// Runs the bench `as-of`.
pub fn as_of() -> Vec<Figure> {
    let office = Office::make(asked("--records").unwrap_or(1_000_000));
    let server = Server::start(&office.data, &[]);
    office.looking_back(&server)
}

/// Runs the bench `curve`.
pub fn curve() -> Vec<Figure> {
    let sizes = asked("--records").map_or(vec![10_000, 100_000, 1_000_000, 10_000_000], |size| vec![size]);
    sizes.into_iter().flat_map(|records| Office::make(records).all()).collect()
}

/// A data folder with one large office.
struct Office {
    _dir: tempfile::TempDir,
    data: PathBuf,
    records: usize,
    live: usize,
    key: SigningKey,
    /// Where each of the pushing devices stands.
    devices: Vec<(u32, ChainHash)>,
}

impl Office {
    fn make(records: usize) -> Office {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let data = dir.path().join("data");
        renaksid(&data, &["init", "--office", "Dinas Induk", "--operator", "operator-1"]);
        let key = SigningKey::from_bytes(&[9; 32]);
        let folder = data.join("offices").join(OFFICE.to_string());
        let fold = write(&folder, records, key.verifying_key().to_bytes());
        let live = fold.state.entries.iter().filter(|entry| entry.state != EntryState::Voided).count();
        let devices = (DEVICE..DEVICE + DEVICES).map(|number| {
            let known = fold.state.people.incarnation(Origin(number)).expect("the office has this device");
            (known.last_sequence, *fold.chain(Origin(number)).expect("each incarnation has a chain"))
        });
        let devices = devices.collect();
        Office { _dir: dir, data, records, live, key, devices }
    }

    fn all(&self) -> Vec<Figure> {
        let mut devices = Vec::new();
        let (mut figures, server) = self.opening(&mut devices);
        figures.extend(self.appending(&server, devices));
        figures.extend(self.looking_back(&server));
        figures
    }

    fn figure(&self, case: &str, value: f64, unit: &'static str) -> Figure {
        Figure { case: format!("{} records, {case}", self.records), value, unit, baseline: None }
    }

    /// Starts the server, asks it, and looks at its memory. Leaves the devices that asked.
    fn opening(&self, devices: &mut Vec<Device>) -> (Vec<Figure>, Server) {
        let runtime = runtime();
        // The first opening makes the caches of an office that no server ever had.
        let began = Instant::now();
        let first = Server::start(&self.data, &[]);
        let channel = runtime.block_on(channel(&self.data, &first));
        self.with_devices(channel, devices);
        runtime.block_on(devices[0].look());
        let unprepared = began.elapsed().as_secs_f64() * 1_000.0;
        first.stop();
        let began = Instant::now();
        let server = Server::start(&self.data, &[]);
        let ready = began.elapsed().as_secs_f64() * 1_000.0;
        let idle = server.megabytes("VmRSS");
        let channel = runtime.block_on(crate::serving::channel(&self.data, &server));
        devices.clear();
        self.with_devices(channel, devices);
        runtime.block_on(devices[0].look());
        let answered = began.elapsed().as_secs_f64() * 1_000.0;
        let again = runtime.block_on(devices[0].look());
        let resident = server.megabytes("VmRSS");
        let state = self.state_megabytes();
        let figures = vec![
            self.figure("live entries", self.live as f64, "entries"),
            Figure {
                baseline: Some(("starting the server alone", ready)),
                ..self.figure("start to first answer", answered, "ms")
            },
            self.figure("the same without caches", unprepared, "ms"),
            self.figure("the same call again", again, "ms"),
            self.figure("resident, idle", idle, "MB"),
            self.figure("resident", resident, "MB"),
            self.figure("the state itself", state, "MB"),
            self.figure("beyond the state", resident - state, "MB"),
        ];
        (figures, server)
    }

    fn with_devices(&self, channel: Channel, devices: &mut Vec<Device>) {
        let fingerprint = fingerprint(&self.data);
        devices.extend((DEVICE..).zip(&self.devices).map(|(number, (sequence, head))| Device {
            office: OFFICE,
            number,
            key: self.key.clone(),
            fingerprint,
            channel: channel.clone(),
            token: None,
            sequence: *sequence,
            head: *head,
        }));
    }

    /// What the folded state takes in a process of which it is alone.
    fn state_megabytes(&self) -> f64 {
        let folder = self.data.join("offices").join(OFFICE.to_string()).join("snapshots");
        let file =
            fs::read_dir(folder).expect("a folder").next().expect("a snapshot").expect("a file").path();
        let program = std::env::current_exe().expect("this program");
        let ran = Command::new(program).arg("state-of").arg(file).output().expect("this program runs");
        String::from_utf8_lossy(&ran.stdout).trim().parse().expect("a number")
    }

    /// Four devices, a hundred entries a push, durable before the answer.
    fn appending(&self, server: &Server, devices: Vec<Device>) -> Vec<Figure> {
        let runtime = runtime();
        let channel = runtime.block_on(channel(&self.data, server));
        let began = Instant::now();
        let running: Vec<_> = devices
            .into_iter()
            .map(|device| {
                let mut device = Device { channel: channel.clone(), ..device };
                runtime.spawn(async move {
                    let mut each = Vec::with_capacity(PUSHES);
                    for _ in 0..PUSHES {
                        each.push(device.push(ENTRIES_A_PUSH).await);
                    }
                    each
                })
            })
            .collect();
        let mut each = Vec::new();
        for device in running {
            each.extend(runtime.block_on(device).expect("a device ends"));
        }
        let entries = each.len() as f64 * f64::from(ENTRIES_A_PUSH);
        let rate = entries / began.elapsed().as_secs_f64();
        vec![
            self.figure("append", rate, "entries/s"),
            self.figure("append p99", percentile(&mut each, 99), "ms"),
        ]
    }

    /// An auditor's device gets its copy, and looks at points of it that are drawn at random.
    fn looking_back(&self, server: &Server) -> Vec<Figure> {
        let home = self.data.with_file_name("auditor");
        let office = OFFICE.to_string();
        let arguments = ["invite", "--json", "--office", &office, "--user", "auditor-1", "--role", "auditor"];
        let told: serde_json::Value = serde_json::from_str(&renaksid(&self.data, &arguments)).expect("JSON");
        let invite = told["invite"].as_str().expect("an invite").replace("127.0.0.1:7443", &server.address);
        let began = Instant::now();
        renaksi(&home, &["enroll", &invite]);
        let pulled = began.elapsed().as_secs_f64() * 1_000.0;
        let began = Instant::now();
        let copy = Copy::open(&home, None).expect("the device opens");
        let opened = began.elapsed().as_secs_f64() * 1_000.0;
        let last = copy.view().confirmed.position;
        let mut seed = 5;
        let mut position = || 1 + random(&mut seed, last);
        let mut each: Vec<f64> = (0..LOOKS)
            .map(|_| {
                let began = Instant::now();
                let known = copy.figures_at(position()).expect("figures");
                shown(&known);
                began.elapsed().as_secs_f64() * 1_000.0
            })
            .collect();
        drop(copy);
        let mut commands: Vec<f64> = (0..COMMANDS)
            .map(|_| {
                let began = Instant::now();
                renaksi(&home, &["plan", "show", "--json", "--as-of", &position().to_string()]);
                began.elapsed().as_secs_f64() * 1_000.0
            })
            .collect();
        vec![
            self.figure("first pull of a device", pulled, "ms"),
            self.figure("a device opens", opened, "ms"),
            self.figure("as-of, median", percentile(&mut each, 50), "ms"),
            self.figure("as-of, p99", percentile(&mut each, 99), "ms"),
            self.figure("plan show --as-of, median", percentile(&mut commands, 50), "ms"),
        ]
    }
}

/// Prints the megabytes that the state of a snapshot takes. For [`Office::state_megabytes`], in a process of its own.
pub fn state_of(file: &Path) {
    let before = resident_megabytes();
    let bytes = fs::read(file).expect("a snapshot");
    // What stands before the payload; see the ledger's snapshots.
    let fold = snapshot::decode(&bytes[128..]).expect("a snapshot");
    drop(bytes);
    println!("{}", resident_megabytes() - before);
    assert!(fold.state.position > 0);
}

fn resident_megabytes() -> f64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = statm.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0.0);
    pages * 4_096.0 / 1e6
}

/// Writes the office as a clean stop leaves it.
fn write(folder: &Path, records: usize, key: [u8; 32]) -> Fold {
    fs::create_dir_all(folder).expect("a folder");
    let file = serde_json::json!({ "office": OFFICE.to_string(), "name": "Dinas", "rehearsal": false });
    fs::write(folder.join("office.json"), file.to_string()).expect("a file");
    fs::write(folder.join("due.json"), r#"{"due_us":null}"#).expect("a file");
    let id = LogId { office: OFFICE, kind: LogKind::Office };
    let mut log = Log::create(&folder.join("log"), id, 1).expect("a log");
    let mut fold = Fold::default();
    let mut commit = Vec::with_capacity(COMMIT_RECORDS);
    each_record(OFFICE, records, key, |record| {
        let command = command_leaf(&record.envelope.command, record.time, &Texts::default(), [0; 16]);
        let leaf = encode_record(record, &command.leaf, None, None);
        fold.absorb_decoded(record, &command.leaf);
        commit.push(Entry { leaf, aside: Vec::new() });
        if commit.len() == COMMIT_RECORDS {
            log.append(&commit).expect("a commit");
            commit.clear();
        }
    });
    if !commit.is_empty() {
        log.append(&commit).expect("a commit");
    }
    let head = log.head();
    log.close().expect("a clean stop");
    let new = NewSnapshot {
        position: head.size,
        root: head.root,
        fold_version: FOLD_VERSION,
        state_hash: state_hash(&fold.state),
        payload: &snapshot::encode(&fold),
    };
    Snapshots::open(&folder.join("snapshots"), id).expect("a folder").put(new).expect("a snapshot");
    fold
}

fn shown(state: &State) {
    let lines = state.indicators.iter().map(|indicator| line(state, indicator, Period::ToDate(Quarter::Q4)));
    std::hint::black_box(lines.filter(|line| line.achievement.is_ok()).count());
}

fn renaksi(home: &Path, arguments: &[&str]) {
    let ran = Command::new(program("renaksi")).arg("--home").arg(home).args(arguments).output();
    let ran = ran.expect("renaksi starts");
    assert!(ran.status.success(), "renaksi {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().expect("a runtime")
}

fn random(seed: &mut u64, below: u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 20) % below
}
