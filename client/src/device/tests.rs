//! A device without a server: its office's log is written by a small server of the test's own.

mod checkpoints;
mod snapshots;
mod standing;
mod verify;

use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;
use std::time::Duration;

use renaksi_domain::entry::{AddEntry, EntryCommand, EntryVersion, Reading};
use renaksi_domain::epoch::BeginEpoch;
use renaksi_domain::ids::{DeviceId, IndicatorId, Origin, UnitId};
use renaksi_domain::indicator::Level;
use renaksi_domain::people::{
    AddPerson, AddUnit, Assign, Assignment, EnrolDevice, EnrolmentProof, FoundOffice, PeopleCommand,
    RevokeDevice, Role,
};
use renaksi_domain::plan::{
    ApprovePlan, EstablishPlan, FinishImport, ImportIndicator, ImportObjective, PlanCommand, StartImport,
};
use renaksi_domain::proposal::Kind;
use renaksi_domain::quantity::{Quantity, Target};
use renaksi_domain::time::{Date, Zone};
use renaksi_ledger::merkle::{Frontier, Hash, leaf_hash};
use renaksi_ledger::{Entry, Log, LogId, LogKind, Signer, verify_inclusion};
use renaksi_proto::agreed::hex;
use renaksi_proto::chain::{self, ChainHash};
use renaksi_proto::convert::{decode_record, encode_record, unreadable};
use renaksi_proto::fold::Fold;
use renaksi_proto::wire;

use super::epoch::{OFFERED_MAX, begun_by};
use super::outbox::Limits;
use super::*;

const OFFICE: Uuid = Uuid::from_u128(0x0ff1ce);
const CLOCK: &str = "2024-05-14T02:00:00Z";

fn now() -> Timestamp {
    Clock::played(CLOCK).unwrap().now()
}

fn incarnation(device: u32) -> Uuid {
    Uuid::from_u128(0x1_0000 + u128::from(device))
}

fn key(device: u32) -> SigningKey {
    SigningKey::from_bytes(&[u8::try_from(device).unwrap(); 32])
}

/// Decides and records as the server does, one commit a push.
#[derive(Clone, Default)]
struct Server {
    fold: Fold,
    tree: Frontier,
}

impl Server {
    fn push(&mut self, origin: u32, leaves: &[Leaf]) -> wire::CommitPage {
        let first = self.fold.state.position + 1;
        let mut records = Vec::new();
        for (index, leaf) in leaves.iter().enumerate() {
            let origin = Origin(origin);
            let people = &self.fold.state.people;
            let sequence = people.incarnation(origin).map_or(0, |known| known.last_sequence + 1);
            let author = people.owner_of(origin).unwrap_or(PersonId(0));
            let envelope = decode_command(&leaf.leaf, origin, sequence, author)
                .map_or_else(|_| unreadable(origin, sequence, author), |(envelope, _)| envelope);
            let outcome = decide(&self.fold.state, &envelope, now());
            let position = first + index as u64;
            let record = Record { position, time: now(), carrier: None, envelope, outcome };
            let signed = origin != Origin::HOST && index + 1 == leaves.len();
            let signature = signed.then(|| {
                let head: ChainHash = chain::link(self.fold.chain(origin).unwrap(), &leaf.leaf);
                chain::sign_push(&key(origin.0), OFFICE, incarnation(origin.0), sequence, &head)
            });
            let bytes = encode_record(&record, &leaf.leaf, signature.as_deref(), None);
            self.fold.absorb(&bytes).unwrap();
            self.tree.append(leaf_hash(&bytes));
            records.push(wire::Stored { leaf: bytes, aside: leaf.aside.clone() });
        }
        wire::CommitPage { first, records, root_after: self.tree.root().to_vec() }
    }

    fn say(&mut self, origin: u32, commands: Vec<Command>) -> wire::CommitPage {
        let leaf = |command: Command| command_leaf(&command, now(), &Texts::default(), [0; 16]);
        self.push(origin, &commands.into_iter().map(leaf).collect::<Vec<_>>())
    }
}

fn assign(person: u32, role: Role) -> Command {
    let assignment = Assignment { role, unit: Some(UnitId(1)), from: None, until: None };
    Command::People(PeopleCommand::Assign(Assign { person: PersonId(person), assignment }))
}

fn enrol(device: u32) -> Command {
    let (authority, code) = ([4; 32], "abc23");
    let signature = chain::sign_enroll(&key(device), &authority, code, incarnation(device));
    let proof = EnrolmentProof {
        signature: signature.try_into().unwrap(),
        code_sha256: chain::code_digest(code),
        authority_sha256: authority,
    };
    let key = key(device).verifying_key().to_bytes();
    Command::People(PeopleCommand::EnrolDevice(EnrolDevice {
        owner: PersonId(device),
        key,
        incarnation: incarnation(device),
        proof: Some(Box::new(proof)),
    }))
}

fn indicator(level: Level, name: &str) -> Command {
    Command::Plan(PlanCommand::ImportIndicator(Box::new(ImportIndicator {
        level,
        name: name.into(),
        measure: "UTTP yang ditera".into(),
        satuan: Some("unit".into()),
        responsible: Some("Bidang".into()),
        kind: Kind::Sum,
        targets: [const { Target::NotPlanned }; 4].map(|_| Target::Value(Quantity::parse("120").unwrap())),
        year_target: None,
    })))
}

/// An office with an officer (person and device 1), an administrator (2), a head (3) and a plan of one row.
fn office() -> (Server, Vec<wire::CommitPage>) {
    let mut server = Server::default();
    let people = |command| Command::People(command);
    let plan = |command| Command::Plan(command);
    let found = FoundOffice {
        office: OFFICE,
        name: "Dinas".into(),
        zone: Zone::Jakarta,
        rehearsal: true,
        rules: renaksi_domain::RULES_VERSION,
    };
    let unit = PeopleCommand::AddUnit(AddUnit { name: "Bidang".into() });
    let mut host = vec![people(PeopleCommand::FoundOffice(found)), people(unit)];
    for (person, role) in [(1, Role::Officer), (2, Role::Administrator), (3, Role::HeadOfOffice)] {
        host.extend([people(PeopleCommand::AddPerson(AddPerson)), assign(person, role), enrol(person)]);
    }
    let start = StartImport { year: 2024, title: "Rencana Aksi".into(), source_sha256: [0; 32] };
    let import = vec![
        plan(PlanCommand::StartImport(start)),
        plan(PlanCommand::ImportObjective(ImportObjective { name: "Tujuan".into() })),
        indicator(Level::Strategic, ""),
        indicator(Level::Program, "Program"),
        indicator(Level::Activity, "Kegiatan"),
        plan(PlanCommand::FinishImport(FinishImport { year: 2024, objectives: 1, indicators: 3 })),
        plan(PlanCommand::EstablishPlan(EstablishPlan { year: 2024, basis: "SK 1".into() })),
    ];
    let pages = vec![
        server.say(0, host),
        server.say(2, import),
        server.say(3, vec![plan(PlanCommand::ApprovePlan(ApprovePlan { year: 2024 }))]),
    ];
    (server, pages)
}

struct Fixture {
    _dir: tempfile::TempDir,
    home: PathBuf,
    server: Server,
}

impl Fixture {
    fn new() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("officer");
        let files = Home::new(&home);
        files.create().unwrap();
        std::fs::write(home.join("key"), key(1).to_bytes()).unwrap();
        let identity = Identity {
            office: OFFICE,
            office_name: "Dinas".into(),
            rehearsal: true,
            person: PersonId(1),
            person_name: "Sri".into(),
            device: DeviceId(1),
            origin: Origin(1),
            incarnation: incarnation(1),
            server: "127.0.0.1:1".into(),
            epoch: 1,
            authority_sha256: None,
            log_key: None,
        };
        drop(Outbox::create(&files, &identity).unwrap());
        drop(Replica::create(&files, &identity).unwrap());
        files.write_identity(&identity).unwrap();
        let (server, pages) = office();
        let fixture = Fixture { _dir: dir, home, server };
        let mut device = fixture.open();
        pages.into_iter().for_each(|page| device.receive(page).unwrap());
        drop(device);
        fixture
    }

    fn open(&self) -> Device {
        Device::open_waiting(&self.home, Some(CLOCK), Duration::ZERO).unwrap()
    }

    /// Flips a bit, so many bytes before the end of the log.
    fn flip(&self, log: &str, before_end: u64) {
        let path = self.home.join(log).join("segment-00000000000000000001.log");
        let file = std::fs::File::options().read(true).write(true).open(&path).unwrap();
        let offset = file.metadata().unwrap().len() - before_end;
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset).unwrap();
        file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
    }
}

impl Device {
    fn unsent_sequence(&self) -> u32 {
        self.unsent().unwrap().next
    }

    fn receive(&mut self, page: wire::CommitPage) -> Result<(), ClientError> {
        self.replica.append(page, &mut self.view.confirmed)?;
        self.refresh()
    }
}

fn add(quantity: &str) -> Command {
    Command::Entry(EntryCommand::Add(AddEntry {
        indicator: IndicatorId(3),
        on: Date::new(2024, 5, 13).unwrap(),
        reading: Reading::Quantity(Quantity::parse(quantity).unwrap()),
    }))
}

fn place(name: &str) -> Texts {
    Texts { place: name.into(), ..Texts::default() }
}

/// What the key of a log signs over these commits.
fn signs(key: SigningKey, pages: &[wire::CommitPage]) -> wire::SignedCheckpoint {
    signs_in(1, key, pages)
}

/// The same of a log that began in that epoch.
fn signs_in(epoch: u32, key: SigningKey, pages: &[wire::CommitPage]) -> wire::SignedCheckpoint {
    let dir = tempfile::tempdir().unwrap();
    let id = LogId { office: OFFICE, kind: LogKind::Office };
    let mut log = Log::create(dir.path(), id, epoch).unwrap();
    for page in pages {
        if let Some(epoch) = begun_by(&page.records[0].leaf) {
            log.begin_epoch(epoch).unwrap();
        }
        let entries =
            page.records.iter().map(|record| Entry { leaf: record.leaf.clone(), aside: Vec::new() });
        log.append(&entries.collect::<Vec<_>>()).unwrap();
    }
    let log_key = key.verifying_key().to_bytes().to_vec();
    let mut signer = Signer::open(&log.reader(), OFFICE, key).unwrap();
    wire::SignedCheckpoint { note: signer.sign().unwrap().note().to_owned(), log_key }
}

/// What is wrong with the device as a whole.
fn codes(device: &Device) -> Vec<String> {
    device.troubles().into_iter().map(|cause| cause.code).collect()
}

fn entries(state: &State) -> usize {
    state.entries.len()
}

#[test]
fn a_folder_without_identity_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let error = Device::open(dir.path(), None).unwrap_err();
    assert_eq!((error.cause().code.as_str(), error.exit_code()), ("NOT_ENROLLED", 2));
    assert_eq!(error.cause().details[0].1, dir.path().display().to_string());
}

#[test]
fn what_was_recorded_waits_in_the_same_order_and_chain_after_reopening() {
    let fixture = Fixture::new();
    let mut device = fixture.open();
    let queued = device.record(add("12"), place("Pasar Baru")).unwrap();
    assert_eq!(queued.key, CommandKey::new(Origin(1), 1));
    assert_eq!(queued.entry_id, entry_id(incarnation(1), 1));
    device.record_all(vec![(add("3"), Texts::default()), (add("4"), place("Pasar Lama"))]).unwrap();
    let (view, known) = (device.view().clone(), device.replica.known());
    let batch = device.outbox.batch(1, 3, known.chain, Limits::MAX).unwrap();
    drop(device);

    let device = fixture.open();
    assert_eq!(*device.view(), view);
    assert_eq!(entries(&view.confirmed), 0);
    assert_eq!(entries(&view.state), 3);
    assert_eq!(view.pending[0].texts.place, "Pasar Baru");
    assert!(view.pending.iter().all(|pending| matches!(pending.preview, Outcome::Recorded(_))));
    assert_eq!(device.outbox.batch(1, 3, known.chain, Limits::MAX).unwrap().chain, batch.chain);
}

#[test]
fn a_preview_that_is_refused_queues_nothing() {
    let fixture = Fixture::new();
    let mut device = fixture.open();
    let unknown = CommandKey::new(Origin(1), 9);
    let void = Command::Entry(EntryCommand::Void(EntryVersion { entry: unknown, base: unknown }));
    let error = device.record(void.clone(), Texts::default()).unwrap_err();
    assert_eq!((error.cause().code.as_str(), error.exit_code()), ("REASON_MISSING", 4));
    let both = vec![(add("1"), Texts::default()), (void, Texts::default())];
    device.record_all(both).unwrap_err();
    let long = Texts { note: "x".repeat(20_000), ..Texts::default() };
    assert_eq!(device.record(add("1"), long).unwrap_err().cause().code, "COMMAND_TOO_LARGE");
    assert_eq!((device.outbox.last(), device.view().pending.len()), (0, 0));
    assert_eq!(device.view().state, device.view().confirmed);
}

#[test]
fn previews_of_many_follow_each_other_and_queue_nothing() {
    let fixture = Fixture::new();
    let mut device = fixture.open();
    device.record(add("12"), Texts::default()).unwrap();
    let view = device.view().clone();
    // The second command would be the entry that the third one voids, which gives no reason.
    let entry = CommandKey::new(Origin(1), 3);
    let void = Command::Entry(EntryCommand::Void(EntryVersion { entry, base: entry }));
    let previews = device.preview_all([add("1"), add("2"), void, add("-3"), add("4")].into_iter()).unwrap();
    let refused = |preview: &Outcome| match preview {
        Outcome::Refused(cause) => Some(cause.code.name()),
        _ => None,
    };
    let refused: Vec<_> = previews.iter().map(refused).collect();
    assert_eq!(refused, [None, None, Some("REASON_MISSING"), Some("NEGATIVE_COUNT"), None]);
    assert_eq!((device.view(), device.outbox.last()), (&view, 1));
}

#[test]
fn what_would_be_held_waits_and_does_not_count() {
    let fixture = Fixture::new();
    let mut device = fixture.open();
    let Command::Entry(EntryCommand::Add(mut tomorrow)) = add("12") else { unreachable!() };
    tomorrow.on = Date::new(2024, 5, 20).unwrap();
    let queued = device.record(Command::Entry(EntryCommand::Add(tomorrow)), Texts::default()).unwrap();
    let Outcome::Held(cause) = &queued.preview else { panic!("{queued:?}") };
    assert_eq!(cause.code.name(), "CLOCK_IMPLAUSIBLE");
    assert_eq!((entries(&device.view().state), device.view().state.held.len()), (0, 1));
}

#[test]
fn the_replica_is_the_receipt_store() {
    let mut fixture = Fixture::new();
    let mut device = fixture.open();
    device.record_all((1..=3).map(|n| (add(&n.to_string()), place("Pasar"))).collect()).unwrap();
    // The server takes the first two.
    let feed: Vec<Leaf> = device
        .outbox
        .commands(1)
        .map(|c| c.unwrap().1)
        .map(|e| Leaf { leaf: e.leaf, aside: e.aside })
        .collect();
    let page = fixture.server.push(1, &feed[..2]);
    device.receive(page).unwrap();
    assert_eq!(device.view().pending.len(), 1);
    assert_eq!((entries(&device.view().confirmed), entries(&device.view().state)), (2, 3));
    let known = device.replica.known();
    assert_eq!(known.sequence, 2);
    assert_eq!(device.outbox.chain_before(3, 1, chain::start(incarnation(1))).unwrap(), known.chain);
    // A run that was queued at once is sent from its middle on.
    let batch = device.outbox.batch(3, 3, known.chain, Limits::MAX).unwrap();
    assert_eq!((batch.first, batch.commands.len(), batch.last()), (3, 1, 3));

    let report = device.verify().unwrap();
    assert!(report.ok, "{report:?}");
    assert_eq!((report.checked_records, report.checked_signatures, report.checked_texts), (21, 3, 2));
    let mut seen = Vec::new();
    let fold = device.replay(ReplayTo::Head, &mut |record, stored, aside| {
        seen.push((record.position, device.texts_of(stored, aside).map(|texts| texts.place)));
    });
    assert_eq!(fold.unwrap().state, device.view().confirmed);
    assert_eq!(seen.last().unwrap(), &(21, Some("Pasar".to_owned())));
    assert_eq!(device.replay(ReplayTo::Position(5), &mut |_, _, _| {}).unwrap().state.position, 5);
    let past = device.replay(ReplayTo::Position(99), &mut |_, _, _| {}).unwrap_err();
    assert_eq!(past.cause().code, "POSITION_UNKNOWN");
}

#[test]
fn batches_keep_runs_together_and_split_what_is_larger() {
    let fixture = Fixture::new();
    let mut device = fixture.open();
    for run in [2, 3, 5] {
        device.record_all((0..run).map(|_| (add("1"), Texts::default())).collect()).unwrap();
    }
    let cut = |commands| {
        let (mut next, mut chain, mut sizes) = (1, device.replica.known().chain, Vec::new());
        while next <= 10 {
            let batch = device.outbox.batch(next, 10, chain, Limits { commands, ..Limits::MAX }).unwrap();
            sizes.push(batch.commands.len());
            (next, chain) = (batch.last() + 1, batch.chain);
        }
        (sizes, chain)
    };
    let (whole, chain) = cut(100);
    assert_eq!(whole, [10]);
    assert_eq!(cut(5), (vec![5, 5], chain));
    assert_eq!(cut(4), (vec![2, 3, 4, 1], chain));
    assert_eq!(cut(1), (vec![1; 10], chain));
}

#[test]
fn one_process_at_a_time() {
    let fixture = Fixture::new();
    let first = fixture.open();
    let error = Device::open_waiting(&fixture.home, Some(CLOCK), Duration::from_millis(120)).unwrap_err();
    assert_eq!((error.cause().code.as_str(), error.exit_code()), ("DEVICE_BUSY", 1));
    drop(first);
    fixture.open();
}

#[test]
fn a_commit_that_does_not_hash_changes_nothing() {
    let mut fixture = Fixture::new();
    let mut device = fixture.open();
    let page = fixture.server.say(2, vec![add("1")]);
    let mut other = page.clone();
    other.records[0].leaf[3] ^= 1;
    let error = device.receive(other).unwrap_err();
    assert_eq!((error.cause().code.as_str(), error.exit_code()), ("REPLICA_DIVERGED", 7));
    let mut later = page.clone();
    later.first += 1;
    assert_eq!(device.receive(later).unwrap_err().cause().code, "REPLICA_DIVERGED");
    device.receive(page).unwrap();
    assert_eq!(device.view().confirmed, fixture.server.fold.state);
}

#[test]
fn a_record_of_a_newer_release_stops_the_fold_and_not_the_work() {
    let mut fixture = Fixture::new();
    let mut device = fixture.open();
    device.record_all(vec![(add("1"), Texts::default()), (add("2"), Texts::default())]).unwrap();
    let first = device.outbox.commands(1).next().unwrap().unwrap().1;
    // A command this release does not know, then the device's own first one.
    let newer = log::Record {
        position: 20,
        origin: 2,
        sequence: 8,
        command: vec![0xfa, 0x01, 0x00],
        ..Default::default()
    };
    let own = log::Record { position: 21, origin: 1, sequence: 1, command: first.leaf, ..Default::default() };
    let records: Vec<wire::Stored> =
        [newer, own].iter().map(|r| wire::Stored { leaf: r.encode_to_vec(), aside: Vec::new() }).collect();
    let tree = &mut fixture.server.tree;
    records.iter().for_each(|record| tree.append(leaf_hash(&record.leaf)));
    device.receive(wire::CommitPage { first: 20, records, root_after: tree.root().to_vec() }).unwrap();
    let check = |device: &Device| {
        assert_eq!(device.fold_stopped().map(|stopped| (stopped.position, stopped.newer)), Some((20, true)));
        assert_eq!((device.view().confirmed.position, device.replica.head().size), (19, 21));
        assert_eq!((device.replica.known().sequence, device.view().pending.len()), (1, 1));
    };
    check(&device);
    drop(device);
    check(&fixture.open());
}

#[test]
fn a_damaged_replica_is_set_aside_and_a_damaged_feed_is_not() {
    let fixture = Fixture::new();
    let mut device = fixture.open();
    device.record(add("12"), Texts::default()).unwrap();
    device.record(add("13"), Texts::default()).unwrap();
    drop(device);
    fixture.flip("replica", 1_000);
    let mut device = fixture.open();
    let damage = device.replica_damage().unwrap().clone();
    assert_eq!(damage.code, "REPLICA_DAMAGED");
    assert!(fixture.home.join("replica-set-aside-1").is_dir());
    let report = device.verify().unwrap();
    assert!(!report.ok && report.first_bad.is_some());
    // What waits is still there, and counts again with the replica.
    assert_eq!((device.replica.head().size, device.view().pending.len()), (0, 2));
    office().1.into_iter().for_each(|page| device.receive(page).unwrap());
    assert_eq!(entries(&device.view().state), 2);
    drop(device);

    // In the last command: a clean end vouches for it, so it is damage and not an interrupted write.
    fixture.flip("feed", 60);
    let mut device = fixture.open();
    assert_eq!(codes(&device), ["FEED_DAMAGED"]);
    // What the office's log says is there all the same, and so is what stands before the damage, to be sent.
    assert_eq!((device.view().confirmed.position, device.view().pending.len()), (19, 1));
    let batch = device.outbox.batch(1, device.outbox.last(), device.replica.known().chain, Limits::MAX);
    assert_eq!(batch.unwrap().commands.len(), 1);
    let error = device.record(add("14"), Texts::default()).unwrap_err();
    assert_eq!((error.cause().code.as_str(), error.exit_code()), ("FEED_DAMAGED", 7));
    let message = crate::text::message(error.cause());
    assert!(
        message.contains("segment-00000000000000000001.log") && message.contains("from command 2"),
        "{message}"
    );
    assert!(message.contains("byte"), "{message}");
    drop(device);
    std::fs::remove_dir_all(fixture.home.join("feed")).unwrap();
    let device = fixture.open();
    assert_eq!((codes(&device), device.view().pending.len()), (vec!["FEED_DAMAGED".to_owned()], 0));
}

#[test]
fn a_feed_that_lost_its_end_gives_no_number_away_twice() {
    let mut fixture = Fixture::new();
    let mut device = fixture.open();
    let leaf = command_leaf(&add("1"), now(), &Texts::default(), [0; 16]);
    device.receive(fixture.server.push(1, &[leaf])).unwrap();
    let error = device.record(add("2"), Texts::default()).unwrap_err();
    assert_eq!((error.cause().code.as_str(), error.exit_code()), ("FEED_BEHIND", 7));
    assert_eq!(codes(&device), ["FEED_BEHIND"]);
}
