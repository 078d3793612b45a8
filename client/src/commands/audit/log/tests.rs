//! What `audit log` tells is what the log says: with an index, without one, and whatever became of it.

use std::path::Path;

use prost::Message;
use renaksi_domain::command::{Command, Outcome};
use renaksi_domain::entry::{AddEntry, AmendEntry, EntryCommand, EntryVersion, Reading};
use renaksi_domain::held::{HeldCommand, ReleaseHeld};
use renaksi_domain::ids::{CommandKey, IndicatorId, Origin, PersonId, RevisionId};
use renaksi_domain::indicator::SetIndicator;
use renaksi_domain::narrative::{SetNarrative, Texts};
use renaksi_domain::people::{AddPerson, PeopleCommand};
use renaksi_domain::plan::{PlanCommand, StartImport};
use renaksi_domain::proposal::Kind;
use renaksi_domain::quantity::{Quantity, Target};
use renaksi_domain::revision::{Change, RevisionCommand};
use renaksi_domain::time::{Date, Quarter};
use renaksi_ledger::{Entry, Log, LogId, LogKind, OPEN_WAIT_MAX};
use renaksi_proto::convert::{command_leaf, encode_record};
use uuid::Uuid;

use super::super::fixture::{Office, UTTP};
use super::*;

const REPLICA: LogId = LogId { office: Uuid::from_u128(1), kind: LogKind::Replica };
const ADMINISTRATOR: u32 = 1;
const HEAD: u32 = 2;
const OFFICER: u32 = 3;

struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// What somebody might ask next, about anything that there was so far. Much of it is refused or held.
fn next_command(draw: &mut Draw, office: &Office, keys: &[CommandKey]) -> (u32, Command) {
    let key = draw.one_of(keys);
    let indicator = IndicatorId(1 + draw.below(4) as u32);
    // Some days lie ahead, which holds the entry.
    let on = Date::parse(draw.one_of(&["2024-07-01", "2024-07-05", "2024-05-02", "2024-09-20"])).unwrap();
    let reading = Reading::Quantity(Quantity::from_parts(1 + draw.below(90) as i64, 0).unwrap());
    let base = office.state.entries.get(key).map_or(key, |entry| entry.version);
    let version = EntryVersion { entry: key, base };
    let revision = RevisionId(1 + draw.below(3) as u32);
    let quarter = Quarter::Q3;
    match draw.below(20) {
        0..=5 => (OFFICER, Command::Entry(EntryCommand::Add(AddEntry { indicator, on, reading }))),
        6..=7 => (OFFICER, Command::Entry(EntryCommand::Amend(AmendEntry { entry: key, base, on, reading }))),
        8 => (OFFICER, Command::Entry(EntryCommand::Void(version))),
        9 => (HEAD, Command::Entry(EntryCommand::Verify(version))),
        10 => (HEAD, Command::Entry(EntryCommand::Return(version))),
        11..=12 => {
            let to = (draw.below(2) == 0).then_some(indicator);
            let release = ReleaseHeld { held: key, to, count_in: None };
            (ADMINISTRATOR, Command::Held(HeldCommand::Release(release)))
        }
        13 => (ADMINISTRATOR, Command::Held(HeldCommand::Dismiss(key))),
        14 => (OFFICER, Command::Held(HeldCommand::Withdraw(key))),
        15 => {
            let [old, new] = ["120", "200"].map(|cell| Target::parse_cell(cell).unwrap());
            let change = Change::Target { indicator, quarter, old, new };
            (ADMINISTRATOR, Command::Revision(RevisionCommand::AddChange(revision, change)))
        }
        16 => (ADMINISTRATOR, Command::Revision(RevisionCommand::Submit(revision))),
        17 => {
            let texts = Texts { driver: format!("{}", draw.below(99)).as_str().into(), ..Texts::default() };
            (ADMINISTRATOR, Command::Narrative(SetNarrative { indicator, quarter, base: 0, texts }))
        }
        18 => {
            let set =
                SetIndicator { indicator: Some(indicator), kind: Some(Kind::Sum), ..SetIndicator::default() };
            (ADMINISTRATOR, Command::Indicator(set))
        }
        _ => {
            let start = StartImport { year: 2025, title: "Lagi".into(), source_sha256: [8; 32] };
            (ADMINISTRATOR, Command::Plan(PlanCommand::StartImport(start)))
        }
    }
}

fn random_office(seed: u64) -> Office {
    let (mut draw, mut office) = (Draw(seed), Office::established());
    // So that held work is about what nobody knows, too.
    let mut keys = vec![CommandKey::new(Origin(OFFICER), 9_000)];
    for n in 0..220 {
        if n % 60 == 10 {
            office.draft(&format!("P-{n}"));
        }
        if n == 130 {
            office.done(Command::People(PeopleCommand::AddPerson(AddPerson)));
        }
        let (person, command) = next_command(&mut draw, &office, &keys);
        let key = office.attempt(person, command);
        keys.push(key);
        keys.drain(..keys.len().saturating_sub(30));
    }
    office
}

/// The office's records in commits of a few; some of a newer release.
fn write(log: &mut Log, office: &Office, draw: &mut Draw, from: usize, to: usize) {
    let mut rest: Vec<Entry> = office.log[from..to]
        .iter()
        .map(|record| {
            let command =
                command_leaf(&record.envelope.command, record.time, &log::Texts::default(), [0; 16]);
            let mut leaf = encode_record(record, &command.leaf, None, None);
            if draw.below(50) == 0 {
                let mut newer = log::Record::decode(leaf.as_slice()).unwrap();
                newer.needs = 99;
                leaf = newer.encode_to_vec();
            }
            Entry { leaf, aside: Vec::new() }
        })
        .collect();
    while !rest.is_empty() {
        let commit: Vec<Entry> = rest.drain(..(1 + draw.below(9)).min(rest.len())).collect();
        log.append(&commit).unwrap();
    }
}

fn name(person: PersonId) -> String {
    format!("Orang {person}")
}

/// What is told, a line a record.
fn lines(office: &Office, reader: &LogReader, trail: Option<&Trail>, asked: Asked) -> Vec<String> {
    let mut narrator = Narrator::new(&office.state, &name);
    let mut lines = Vec::new();
    tell(reader, trail, asked, &mut narrator, &|_, _| None, &mut |told| {
        lines.push(match told {
            Told::Event(_, event) => Value::Object(event.fields).to_string(),
            Told::Unread(position, leaf) => format!("{position} {}", leaf.len()),
        });
        true
    })
    .unwrap();
    lines
}

/// The same from every record told whole, one after the other.
fn expected(office: &Office, reader: &LogReader, asked: Asked) -> Vec<String> {
    let mut narrator = Narrator::new(&office.state, &name);
    let mut lines = Vec::new();
    for picked in reader.pick(1..=reader.head().size) {
        let (position, entry) = picked.unwrap();
        let within = (asked.first..=asked.last).contains(&position);
        match renaksi_proto::convert::decode_record(&entry.leaf) {
            Ok((record, message)) => {
                let event = narrator.tell(&record, &message, None);
                if within && admits(&asked.about, &event) {
                    lines.push(Value::Object(event.fields).to_string());
                }
            }
            Err(_) if within && !asked.about.names_anything() => {
                lines.push(format!("{position} {}", entry.leaf.len()));
            }
            Err(_) => {}
        }
    }
    lines
}

fn questions(draw: &mut Draw, office: &Office) -> Vec<Asked> {
    let size = office.state.position;
    let mut all = Vec::new();
    for _ in 0..30 {
        let about = About {
            entry: (draw.below(3) == 0)
                .then(|| office.log[draw.below(office.log.len())].envelope.key())
                .filter(|key| key.origin != Origin::HOST),
            indicator: (draw.below(2) == 0).then(|| IndicatorId(1 + draw.below(4) as u32)),
            actor: (draw.below(3) == 0).then(|| PersonId(draw.below(4) as u32)),
        };
        let first = if draw.below(2) == 0 { 1 } else { 1 + draw.below(size as usize + 5) as u64 };
        let last = if draw.below(2) == 0 { size } else { draw.below(size as usize + 1) as u64 };
        all.push(Asked { about, first, last });
    }
    all
}

fn open(dir: &Path, reader: &LogReader) -> Trail {
    Trail::open(dir, &REPLICA, reader, OPEN_WAIT_MAX, &mut |_| {}).unwrap()
}

/// Spoils an index that stands at some earlier place of the log.
fn spoil(how: usize, dir: &Path) {
    let db = dir.join("index/db");
    match how {
        0 => std::fs::remove_dir_all(dir).unwrap(),
        1 => {
            let mut bytes = std::fs::read(&db).unwrap();
            let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
            bytes[used / 2] ^= 0x55;
            std::fs::write(&db, bytes).unwrap();
        }
        2 => std::fs::write(&db, [0xAA; 5_000]).unwrap(),
        3 => {
            // That of another office.
            std::fs::remove_dir_all(dir).unwrap();
            let other = tempfile::tempdir().unwrap();
            let id = LogId { office: Uuid::from_u128(77), kind: LogKind::Replica };
            let mut log = Log::create(other.path(), id, 1).unwrap();
            write(&mut log, &Office::established(), &mut Draw(1), 0, 9);
            drop(Trail::open(dir, &id, &log.reader(), OPEN_WAIT_MAX, &mut |_| {}).unwrap());
        }
        4 => {
            // That of another history of this office.
            std::fs::remove_dir_all(dir).unwrap();
            let other = tempfile::tempdir().unwrap();
            let mut log = Log::create(other.path(), REPLICA, 1).unwrap();
            write(&mut log, &random_office(999), &mut Draw(2), 0, 120);
            drop(open(dir, &log.reader()));
        }
        // Only behind.
        _ => {}
    }
}

#[test]
fn an_answer_is_the_same_with_an_index_without_one_and_with_any_that_is_found() {
    let (mut recorded, mut held, mut refused, mut told) = (0, 0, 0, 0);
    for seed in 0..12 {
        let office = random_office(seed);
        let mut draw = Draw(seed + 100);
        for record in &office.log {
            match record.outcome {
                Outcome::Recorded(_) => recorded += 1,
                Outcome::Held(_) => held += 1,
                Outcome::Refused(_) => refused += 1,
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let (log_dir, index_dir) = (dir.path().join("log"), dir.path().join("index"));
        let mut log = Log::create(&log_dir, REPLICA, 1).unwrap();
        let reader = log.reader();
        let cut = draw.below(office.log.len());
        write(&mut log, &office, &mut draw, 0, cut);
        drop(open(&index_dir, &reader));
        spoil(seed as usize % 6, &index_dir);
        write(&mut log, &office, &mut draw, cut, office.log.len());
        let trail = open(&index_dir, &reader);
        for asked in questions(&mut draw, &office) {
            let expected = expected(&office, &reader, asked);
            assert_eq!(lines(&office, &reader, None, asked), expected, "without: {seed} {asked:?}");
            assert_eq!(lines(&office, &reader, Some(&trail), asked), expected, "with: {seed} {asked:?}");
            told += expected.len();
        }
    }
    assert!(recorded > 500 && held > 100 && refused > 300, "{recorded} {held} {refused}");
    assert!(told > 2_500, "{told}");
}

/// The same equality would hold of an index that names every record for everything.
#[test]
fn an_index_looks_at_few_records() {
    let mut office = Office::established();
    let entry = office.entry("2024-07-09", "12");
    for _ in 0..500 {
        office.entry("2024-07-09", "1");
    }
    office.verify(entry);
    let dir = tempfile::tempdir().unwrap();
    let mut log = Log::create(&dir.path().join("log"), REPLICA, 1).unwrap();
    write(&mut log, &office, &mut Draw(7), 0, office.log.len());
    let trail = open(&dir.path().join("index"), &log.reader());
    let size = office.state.position;
    let anything =
        trail.positions(&About { entry: Some(CommandKey::new(Origin(9), 9)), ..About::default() }, 1, size);
    let of_entry = trail.positions(&About { entry: Some(entry), ..About::default() }, 1, size).unwrap();
    assert_eq!(of_entry.len(), anything.unwrap().len() + 2);
    let of_row =
        trail.positions(&About { indicator: Some(UTTP), ..About::default() }, size - 3, size).unwrap();
    assert_eq!(of_row.iter().filter(|position| **position >= size - 3).count(), 4);
}
