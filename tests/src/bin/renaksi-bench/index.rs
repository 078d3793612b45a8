//! What is quick to find: the device's index over its replica beside reading every record, and how far the server's index
//! lags behind the writer.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use renaksi_client::commands::audit::Narrator;
use renaksi_client::device::{About, Trail};
use renaksi_domain::ids::{IndicatorId, PersonId, Position};
use renaksi_domain::people::{AddPerson, EnrolDevice, FoundOffice, PeopleCommand};
use renaksi_domain::time::{Timestamp, Zone};
use renaksi_domain::{Record, State, apply};
use renaksi_ledger::{Entry, Log, LogId, LogKind, LogReader, OPEN_WAIT_MAX};
use renaksi_proto::chain;
use renaksi_proto::clock::Clock;
use renaksi_proto::convert::decode_record;
use renaksi_proto::wire;
use renaksi_server::authority;
use renaksi_server::data::{Data, ServerFile};
use renaksi_server::office::Office;
use renaksi_server::push;
use uuid::Uuid;

use crate::history::office_log;
use crate::{Figure, leaf};

const RECORDS: usize = 200_000;
/// Records of a commit, and of a pull after which somebody asks.
const COMMIT_RECORDS: usize = 100;
/// Records of a device that is asked after each pull.
const ASKED_RECORDS: usize = 20_000;
const ROUNDS: usize = 5;
const REPLICA: LogId = LogId { office: Uuid::from_u128(1), kind: LogKind::Replica };

/// (what it is called, devices, commands a push, pushes a device)
const BURSTS: [(&str, usize, usize, usize); 2] =
    [("pushes of 100", 16, 100, 125), ("pushes of 1", 64, 1, 3_125)];

/// Runs the bench.
pub fn run() -> Vec<Figure> {
    let records = office_log(RECORDS, [1; 32]);
    let mut figures = device(&records);
    figures.push(asked_after_each_pull(&records[..ASKED_RECORDS]));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    figures.extend(BURSTS.into_iter().flat_map(|burst| runtime.block_on(server(burst))));
    figures
}

fn device(records: &[Record]) -> Vec<Figure> {
    let dir = tempfile::tempdir().expect("a folder for the bench");
    let (mut log, bytes) = (Log::create(&dir.path().join("log"), REPLICA, 1).expect("a log"), bytes(records));
    for commit in records.chunks(COMMIT_RECORDS) {
        append(&mut log, commit);
    }
    let reader = log.reader();
    let mut state = State::default();
    records.iter().for_each(|record| apply(&mut state, record));
    let index = dir.path().join("index");
    let built = median(|| {
        let _ = std::fs::remove_dir_all(&index);
        records.len() as f64 / seconds(|| drop(open(&index, &reader)))
    });
    let decoded = median(|| {
        let decode = || each(&reader, 1..=reader.head().size, |_, leaf| assert!(decode_record(leaf).is_ok()));
        records.len() as f64 / seconds(decode)
    });
    let opened = ms(|| drop(open(&index, &reader)));
    let scanned = ms(|| {
        let told = tell(&state, &reader, 1..=reader.head().size);
        assert_eq!(told, records.len());
    });
    let entry = records[RECORDS / 2..].iter().find(|record| record.envelope.command.name() == "entry.added");
    let entry = entry.expect("an entry").envelope.key();
    let asked = [
        ("an entry", About { entry: Some(entry), ..About::default() }),
        ("an indicator", About { indicator: Some(IndicatorId(40)), ..About::default() }),
        ("a person", About { actor: Some(PersonId(7)), ..About::default() }),
    ];
    let every = Some(("telling every record", scanned));
    let found = asked.into_iter().map(|(what, about)| {
        let value = ms(|| {
            let trail = open(&index, &reader);
            let positions = trail.positions(&about, 1, reader.head().size).expect("positions");
            assert!(tell(&state, &reader, positions) > 0);
        });
        Figure { case: format!("device: {what}"), value, unit: "ms", baseline: every }
    });
    let mut figures = vec![
        Figure {
            case: "device: built".into(),
            value: built,
            unit: "records/s",
            baseline: Some(("decoding the same log", decoded)),
        },
        size("device: index", &index, records.len(), bytes),
        Figure { case: "device: opened".into(), value: opened, unit: "ms", baseline: every },
    ];
    figures.extend(found);
    figures
}

/// The size of an index that learned a hundred records at a time.
fn asked_after_each_pull(records: &[Record]) -> Figure {
    let dir = tempfile::tempdir().expect("a folder for the bench");
    let mut log = Log::create(&dir.path().join("log"), REPLICA, 1).expect("a log");
    let index = dir.path().join("index");
    for commit in records.chunks(COMMIT_RECORDS) {
        append(&mut log, commit);
        drop(open(&index, &log.reader()));
    }
    size("device: index, asked after each pull", &index, records.len(), bytes(records))
}

fn bytes(records: &[Record]) -> usize {
    records.iter().map(|record| leaf(record).len()).sum()
}

fn append(log: &mut Log, records: &[Record]) {
    let entries: Vec<Entry> =
        records.iter().map(|record| Entry { leaf: leaf(record), aside: Vec::new() }).collect();
    log.append(&entries).expect("an append");
}

fn open(dir: &Path, reader: &LogReader) -> Trail {
    Trail::open(dir, &REPLICA, reader, OPEN_WAIT_MAX, &mut |_| {}).expect("an index")
}

fn each(
    reader: &LogReader,
    positions: impl IntoIterator<Item = Position>,
    mut see: impl FnMut(Position, &[u8]),
) {
    for picked in reader.pick(positions) {
        let (position, entry) = picked.expect("a record");
        see(position, &entry.leaf);
    }
}

/// Reads and tells records as `audit log` does; how many.
fn tell(state: &State, reader: &LogReader, positions: impl IntoIterator<Item = Position>) -> usize {
    let name = |person: PersonId| format!("#{person}");
    let mut narrator = Narrator::new(state, &name);
    let mut told = 0;
    each(reader, positions, |_, leaf| {
        let (record, stored) = decode_record(leaf).expect("a record");
        told += usize::from(!narrator.tell(&record, &stored, None).summary.is_empty());
    });
    told
}

fn seconds(run: impl FnOnce()) -> f64 {
    let began = Instant::now();
    run();
    began.elapsed().as_secs_f64()
}

fn ms(run: impl Fn()) -> f64 {
    median(|| seconds(&run) * 1_000.0)
}

fn median(round: impl FnMut() -> f64) -> f64 {
    crate::median(std::iter::repeat_with(round).take(ROUNDS).collect())
}

fn size(case: &str, dir: &Path, records: usize, bytes: usize) -> Figure {
    Figure {
        case: case.into(),
        value: folder_bytes(dir) as f64 / records as f64,
        unit: "bytes/record",
        baseline: Some(("the record bytes", bytes as f64 / records as f64)),
    }
}

fn folder_bytes(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir).expect("a folder").map(|file| file.expect("a file"));
    let each = files.map(|file| match file.metadata().expect("metadata") {
        known if known.is_dir() => folder_bytes(&file.path()),
        known => known.len(),
    });
    each.sum()
}

/// A burst of pushes, all at once, into an office whose index is asked.
async fn server((name, devices, commands, pushes): (&str, usize, usize, usize)) -> Vec<Figure> {
    let dir = tempfile::tempdir().expect("a folder for the bench");
    let data = Data::new(dir.path());
    let office = Arc::new(found(&data, devices).await);
    let mut made: Vec<Vec<push::Push>> = (0..devices)
        .map(|device| {
            let mut feed = Feed::new(device);
            (0..pushes).map(|_| feed.push(&office, commands)).collect()
        })
        .collect();
    // The first push comes twice, so that the index is asked and open.
    for _ in 0..2 {
        office.push(Feed::new(0).push(&office, commands)).await.expect("a push");
    }
    made[0].remove(0);
    let running = Arc::new(AtomicBool::new(true));
    let watcher = std::thread::spawn({
        let (office, running) = (Arc::clone(&office), Arc::clone(&running));
        move || watch(&office, &running)
    });
    let began = Instant::now();
    let senders: Vec<_> = made
        .into_iter()
        .map(|pushes| {
            let office = Arc::clone(&office);
            tokio::spawn(async move {
                for push in pushes {
                    office.push(push).await.expect("a push");
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.expect("a sender ends");
    }
    let acknowledged = began.elapsed();
    let head = office.shared.reader.head().size;
    let behind = head.saturating_sub(office.shared.index_covers());
    while office.shared.index_covers() < head {
        std::thread::sleep(Duration::from_micros(100));
    }
    let lag = began.elapsed() - acknowledged;
    running.store(false, Ordering::Relaxed);
    let most = watcher.join().expect("the watcher ends");
    let bytes: usize = office
        .shared
        .reader
        .iter(1)
        .flat_map(|commit| commit.expect("a commit").entries)
        .map(|entry| entry.leaf.len())
        .sum();
    office.stop();
    drop(office);
    let figure = |what: &str, value: f64, unit| Figure {
        case: format!("server, {name}: {what}"),
        value,
        unit,
        baseline: None,
    };
    vec![
        figure("acknowledged", head as f64 / acknowledged.as_secs_f64(), "records/s"),
        figure("furthest behind", most as f64, "records"),
        figure("behind at the end", behind as f64, "records"),
        figure("behind at the end", lag.as_secs_f64() * 1_000.0, "ms"),
        size(&format!("server, {name}: index"), &data.office("index"), head as usize, bytes),
    ]
}

/// How far the index was behind at most.
fn watch(office: &Office, running: &AtomicBool) -> u64 {
    let mut most = 0;
    while running.load(Ordering::Relaxed) {
        let covers = office.shared.index_covers();
        most = most.max(office.shared.reader.head().size.saturating_sub(covers));
        std::thread::sleep(Duration::from_micros(200));
    }
    most
}

const OFFICE: Uuid = Uuid::from_u128(1);
const NOW: Timestamp = Timestamp(1_704_700_000_000_000);

fn incarnation(device: usize) -> Uuid {
    Uuid::from_u128(100 + device as u128)
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

async fn found(data: &Data, devices: usize) -> Office {
    authority::create(&data.authority(), "Dinas", "localhost").expect("an authority");
    let file = ServerFile { office: OFFICE, rehearsal: true, address: "localhost:1".into(), founded: false };
    data.write_server_file(&file).expect("a file");
    let office = Office::create(data, Clock::Fixed(NOW)).expect("an office");
    let founded = move |_: &State| {
        let found = FoundOffice {
            office: OFFICE,
            name: "Dinas".into(),
            zone: Zone::Jakarta,
            rehearsal: true,
            rules: renaksi_domain::RULES_VERSION,
        };
        let enrol = |device| EnrolDevice {
            owner: PersonId(1),
            key: key().verifying_key().to_bytes(),
            incarnation: incarnation(device),
            proof: None,
        };
        let mut acts = vec![PeopleCommand::FoundOffice(found), PeopleCommand::AddPerson(AddPerson)];
        acts.extend((0..devices).map(|device| PeopleCommand::EnrolDevice(enrol(device))));
        acts
    };
    office.host(Box::new(founded)).await.expect("a founding");
    office
}

/// A device's commands: bytes that are none, which the rules are quickest with.
struct Feed {
    device: usize,
    sequence: u32,
    chain: chain::ChainHash,
}

impl Feed {
    fn new(device: usize) -> Feed {
        Feed { device, sequence: 0, chain: chain::start(incarnation(device)) }
    }

    fn push(&mut self, office: &Office, commands: usize) -> push::Push {
        let (first_sequence, previous_chain) = (self.sequence + 1, self.chain.to_vec());
        let commands: Vec<wire::Stored> = (0..commands)
            .map(|_| {
                self.sequence += 1;
                let mut leaf = vec![0xFF; 70];
                leaf[1..5].copy_from_slice(&self.sequence.to_le_bytes());
                self.chain = chain::link(&self.chain, &leaf);
                wire::Stored { leaf, aside: Vec::new() }
            })
            .collect();
        let signed = (self.sequence, &self.chain);
        let request = wire::PushRequest {
            origin: 1 + self.device as u32,
            first_sequence,
            previous_chain,
            commands,
            chain_signature: chain::sign_push(&key(), OFFICE, incarnation(self.device), signed.0, signed.1),
            device_time_us: NOW.0,
            ..wire::PushRequest::default()
        };
        push::check(request, OFFICE, &office.shared.people(), PersonId(1), NOW).expect("a push")
    }
}
