//! A device without a server: its office's log is written by a small server of the test's own.

mod snapshots;

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
fn a_checkpoint_is_kept_when_the_replica_is_what_it_signs_and_never_taken_back() {
    let mut fixture = Fixture::new();
    let (mut other, before) = office();
    let mut pages = before.clone();
    let (own, stranger) = (|| key(90), || key(91));
    let mut device = fixture.open();
    let code = |error: ClientError| (error.exit_code(), error.cause().code.clone());
    let contradicts = (7, "LOG_CONTRADICTS_CHECKPOINT".to_owned());
    let invalid = (7, "CHECKPOINT_INVALID".to_owned());

    // A log that is shorter than the replica, or another one of its length.
    assert_eq!(code(device.offered(&signs(own(), &pages[..2])).unwrap_err()), contradicts);
    let last = pages.len() - 1;
    pages[last].records[0].leaf.push(0);
    assert_eq!(code(device.offered(&signs(own(), &pages)).unwrap_err()), contradicts);
    pages.clone_from(&before);
    device.keep(None).unwrap();
    assert_eq!(device.identity().log_key, None);

    let offered = device.offered(&signs(own(), &pages)).unwrap();
    device.keep(Some(offered)).unwrap();
    let kept = device.checkpoint.clone().unwrap();
    assert_eq!(device.identity().log_key, Some(own().verifying_key().to_bytes()));
    drop(device);

    // From here on it is this key, this log, and no less of it.
    let mut device = fixture.open();
    assert_eq!(device.checkpoint.as_ref(), Some(&kept));
    assert_eq!(code(device.offered(&signs(stranger(), &pages)).unwrap_err()), invalid);
    assert_eq!(code(device.offered(&signs(own(), &[])).unwrap_err()), contradicts);
    assert_eq!(code(device.keep(None).unwrap_err()), invalid);

    // A commit that is not the one that was signed is refused before it is taken.
    let next = fixture.server.say(0, vec![Command::People(PeopleCommand::AddPerson(AddPerson))]);
    let foreign = other.say(0, vec![assign(1, Role::Auditor)]);
    pages.push(next.clone());
    let offered = device.offered(&signs(own(), &pages)).unwrap();
    let size = kept.checkpoint().size + 1;
    assert_eq!(code(offered.agrees_with(size, &foreign.root_after).unwrap_err()), contradicts);
    assert_eq!(code(offered.agrees_with(size + 1, &next.root_after).unwrap_err()), contradicts);
    offered.agrees_with(size, &next.root_after).unwrap();
    // Nor is it kept before the replica is there.
    assert_eq!(code(device.keep(Some(offered)).unwrap_err()), contradicts);
    assert_eq!(device.checkpoint.as_ref(), Some(&kept));
    let offered = device.offered(&signs(own(), &pages)).unwrap();
    device.receive(next).unwrap();
    device.keep(Some(offered)).unwrap();
    assert_eq!(device.checkpoint.as_ref().map(|signed| signed.checkpoint().size), Some(size));
}

#[test]
fn a_device_whose_epoch_ended_goes_back_keeps_what_it_had_and_offers_its_own_again() {
    let mut fixture = Fixture::new();
    let (mut server, mut pages) = office();
    let mut device = fixture.open();
    let own = || key(90);
    ["1", "2", "3"].iter().for_each(|n| drop(device.record(add(n), Texts::default()).unwrap()));
    let leaves: Vec<Leaf> = device
        .outbox
        .commands(1)
        .map(|command| command.map(|(_, entry)| Leaf { leaf: entry.leaf, aside: entry.aside }).unwrap())
        .collect();
    // Two of them were received and signed for, the third was received.
    let lost = fixture.server.push(1, &leaves[..2]);
    let with_lost = [&pages[..], std::slice::from_ref(&lost)].concat();
    let offered = device.offered(&signs(own(), &with_lost)).unwrap();
    device.receive(lost).unwrap();
    device.keep(Some(offered)).unwrap();
    let held = device.checkpoint.clone().unwrap().checkpoint();
    device.receive(fixture.server.push(1, &leaves[2..])).unwrap();
    assert_eq!((device.unsent_sequence(), device.view().pending.len()), (4, 0));

    // The server of before goes on in another epoch.
    let (size, root) = (server.fold.state.position, server.tree.root());
    let ended = |root: &[u8]| Rejected::new("EPOCH_ENDED").with("size", size).with("root", hex(root));
    let began = BeginEpoch { epoch: 2, reason: "x".into(), size, root, seen: None };
    let begun = server.say(0, vec![Command::People(PeopleCommand::BeginEpoch(Box::new(began)))]);
    // What a crash left of an earlier try.
    std::fs::create_dir(fixture.home.join("replica.new")).unwrap();
    device.leave_epoch(&ended(&root)).unwrap();
    assert_eq!((device.replica.head().size, device.replica.head().root), (size, root));
    assert_eq!((device.unsent_sequence(), device.view().pending.len()), (1, 3));
    let batch = device.outbox.batch(1, 3, device.unsent().unwrap().chain, Limits::MAX).unwrap();
    let old = device.old_records(&batch).unwrap();
    assert_eq!((old.len(), old[0].records.len()), (1, 2));
    for record in &old[0].records {
        let path: Vec<Hash> = record.path.iter().map(|hash| hash.as_slice().try_into().unwrap()).collect();
        let (read, _) = decode_record(&record.leaf).unwrap();
        assert!(verify_inclusion(&leaf_hash(&record.leaf), read.position, held.size, &path, &held.root));
    }
    assert_eq!(device.limits(1).unwrap().commands, OFFERED_MAX);
    assert_eq!(device.limits(4).unwrap().commands, Limits::MAX.commands);

    // No epoch is believed of which no record tells.
    pages.push(begun.clone());
    let silent = device.offered(&signs_in(2, own(), &pages[..pages.len() - 1])).unwrap();
    assert_eq!(device.keep(Some(silent)).unwrap_err().cause().code, "LOG_CONTRADICTS_CHECKPOINT");
    let offered = device.offered(&signs(own(), &pages)).unwrap();
    device.receive(begun).unwrap();
    device.keep(Some(offered)).unwrap();
    drop(device);
    let mut device = fixture.open();
    assert_eq!((device.replica.head().epoch, device.replica.head().size), (2, size + 1));
    let report = device.verify().unwrap();
    assert_eq!((report.first_bad, report.epochs.len()), (None, 1));

    // Where the epochs are not one log up to there, all of it is pulled again.
    device.leave_epoch(&ended(&[7; 32])).unwrap();
    assert_eq!(device.replica.head().size, 0);
    assert_eq!(device.leave_epoch(&Rejected::new("EPOCH_ENDED")).unwrap_err().cause().code, "BAD_ANSWER");
    let asides = (1..=2).filter(|n| fixture.home.join(format!("replica-set-aside-{n}/offers.json")).exists());
    assert_eq!(asides.count(), 2);
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

impl Fixture {
    /// What a verification finds first when the server changes the records of a commit and hashes them anew.
    fn finds(
        mut self,
        say: impl FnOnce(&mut Server) -> wire::CommitPage,
        change: impl Fn(&mut log::Record),
    ) -> Bad {
        let mut device = self.open();
        let mut page = say(&mut self.server);
        let mut tree = Frontier::default();
        for commit in device.replica().iter(1) {
            commit.unwrap().entries.iter().for_each(|entry| tree.append(leaf_hash(&entry.leaf)));
        }
        for stored in &mut page.records {
            let mut record = log::Record::decode(&*stored.leaf).unwrap();
            change(&mut record);
            stored.leaf = record.encode_to_vec();
            tree.append(leaf_hash(&stored.leaf));
        }
        page.root_after = tree.root().to_vec();
        device.receive(page).unwrap();
        let report = device.verify().unwrap();
        assert!(!report.ok);
        report.first_bad.unwrap()
    }
}

#[track_caller]
fn check_bad(bad: &Bad, position: u64, code: &str) {
    assert_eq!((bad.position, bad.code.as_str()), (position, code));
}

#[test]
fn verify_names_the_first_record_that_is_not_its_authors() {
    let two = |server: &mut Server| server.say(1, vec![add("1"), add("2")]);
    let last = |change: fn(&mut Vec<u8>)| {
        move |record: &mut log::Record| {
            if record.position == 21 {
                change(&mut record.chain_signature);
            }
        }
    };
    check_bad(&Fixture::new().finds(two, last(|signature| signature[5] ^= 1)), 20, "SIGNATURE_INVALID");
    check_bad(&Fixture::new().finds(two, last(Vec::clear)), 20, "SIGNATURE_MISSING");
}

#[test]
fn verify_asks_the_rules_and_not_the_server() {
    use log::record::Outcome as Stored;
    let one = |server: &mut Server| server.say(1, vec![add("1")]);
    let refused = |server: &mut Server| {
        let unknown = CommandKey::new(Origin(1), 9);
        let void = EntryCommand::Void(EntryVersion { entry: unknown, base: unknown });
        server.say(1, vec![Command::Entry(void)])
    };
    let rejection = |code: &str| log::Rejection { code: code.to_owned(), details: Vec::new() };
    let late = log::Effect { late: true, ..Default::default() };
    for (say, outcome) in [
        (&refused as &dyn Fn(&mut Server) -> wire::CommitPage, Stored::Recorded(log::Effect::default())),
        (&one, Stored::Recorded(late)),
        (&one, Stored::Held(rejection("QUARTER_LOCKED"))),
        (&one, Stored::Refused(rejection("ROLE_MAY_NOT"))),
        // Only a record that would not fit into a leaf may be refused for its size.
        (&one, Stored::Refused(rejection("TOO_LARGE"))),
    ] {
        let bad = Fixture::new().finds(say, |record| record.outcome = Some(outcome.clone()));
        check_bad(&bad, 20, "OUTCOME_DIFFERS");
    }
}

#[test]
fn verify_lets_the_server_speak_of_people_alone_and_in_nobodys_name() {
    let host =
        |server: &mut Server| server.say(0, vec![Command::People(PeopleCommand::AddPerson(AddPerson))]);
    for change in [
        (|record| record.author = 1) as fn(&mut log::Record),
        |record| record.sequence = 1,
        |record| record.carrier = 1,
        |record| record.chain_signature = vec![0; 64],
        |record| record.command = command_leaf(&add("1"), now(), &Texts::default(), [0; 16]).leaf,
    ] {
        check_bad(&Fixture::new().finds(host, change), 20, "HOST_RECORD_WRONG");
    }
}

#[test]
fn verify_wants_every_device_to_have_proved_its_key() {
    let enrolled = |change: fn(&mut EnrolDevice)| {
        move |server: &mut Server| {
            let Command::People(PeopleCommand::EnrolDevice(mut device)) = enrol(4) else { unreachable!() };
            device.owner = PersonId(1);
            change(&mut device);
            server.say(0, vec![Command::People(PeopleCommand::EnrolDevice(device))])
        }
    };
    let unchanged = |_: &mut log::Record| {};
    for change in [
        (|device| device.proof = None) as fn(&mut EnrolDevice),
        |device| device.proof.as_mut().unwrap().code_sha256[0] ^= 1,
        |device| device.proof.as_mut().unwrap().authority_sha256[0] ^= 1,
        |device| device.incarnation = incarnation(5),
        |device| device.key = key(5).verifying_key().to_bytes(),
    ] {
        check_bad(&Fixture::new().finds(enrolled(change), unchanged), 20, "ENROLMENT_UNPROVEN");
    }
    let mut fixture = Fixture::new();
    let page = enrolled(|_| {})(&mut fixture.server);
    let mut device = fixture.open();
    device.receive(page).unwrap();
    assert!(device.verify().unwrap().ok);
}

#[test]
fn verify_is_not_poisoned_by_bytes_that_are_no_command() {
    let mut fixture = Fixture::new();
    let mut device = fixture.open();
    let nothing = Leaf { leaf: vec![0xff; 9], aside: b"anything".to_vec() };
    device.receive(fixture.server.push(1, &[nothing])).unwrap();
    let report = device.verify().unwrap();
    assert!(report.ok, "{report:?}");
    assert_eq!((report.checked_records, report.checked_texts, report.unreadable_texts), (20, 0, 1));
}

#[test]
fn nothing_is_verified_where_there_is_nothing() {
    let fixture = Fixture::new();
    std::fs::remove_dir_all(fixture.home.join("replica")).unwrap();
    drop(fixture.open());
    // The damage was told once; from then on the copy is missing.
    let device = fixture.open();
    assert_eq!(codes(&device), ["REPLICA_MISSING"]);
    let report = device.verify().unwrap();
    assert_eq!((report.ok, report.size, report.first_bad), (false, 0, None));
}

#[test]
fn a_revoked_device_keeps_its_receipts_and_records_nothing_more() {
    let fixture = Fixture::new();
    let mut device = fixture.open();
    device.record_all(vec![(add("1"), place("Pasar")), (add("2"), Texts::default())]).unwrap();
    let told = |sequence, outcome| Receipt {
        key: CommandKey::new(Origin(1), sequence),
        position: 20,
        outcome,
        duplicate: false,
    };
    let cause = Rejection::new(Code::DeviceRevoked).with("device", 1);
    device.standing.revoke(vec![told(1, ReceiptOutcome::Held(cause.clone()))]);
    device.home.write_standing(&device.standing).unwrap();
    drop(device);
    let mut device = fixture.open();
    assert_eq!(codes(&device), ["DEVICE_REVOKED"]);
    let view = device.view();
    assert_eq!((view.handed_in.len(), view.pending.len(), entries(&view.state)), (1, 1, 0));
    assert_eq!(view.handed_in[0].outcome, ReceiptOutcome::Held(cause));
    assert_eq!(view.handed_in[0].texts.place, "Pasar");
    // The next push goes on after what was handed in.
    let cursor = device.unsent_sequence();
    assert_eq!(cursor, 2);
    let error = device.record(add("3"), Texts::default()).unwrap_err();
    assert_eq!((error.cause().code.as_str(), error.exit_code()), ("DEVICE_REVOKED", 6));
    assert_eq!(device.outbox.last(), 2);
}

#[test]
fn a_device_that_reads_its_own_revocation_knows_it() {
    let mut fixture = Fixture::new();
    let mut device = fixture.open();
    let revoke = PeopleCommand::RevokeDevice(RevokeDevice { device: DeviceId(1) });
    device.receive(fixture.server.say(0, vec![Command::People(revoke)])).unwrap();
    assert_eq!(codes(&device), ["DEVICE_REVOKED"]);
    assert_eq!(device.record(add("3"), Texts::default()).unwrap_err().exit_code(), 6);
}

#[test]
fn a_forked_device_shows_its_work_and_counts_none_of_it() {
    let mut fixture = Fixture::new();
    let mut device = fixture.open();
    device.record_all((1..=3).map(|n| (add(&n.to_string()), Texts::default())).collect()).unwrap();
    device.standing.forked_from = Some(2);
    device.home.write_standing(&device.standing).unwrap();
    // The other copy's commands 1 and 2 come with the log, of which only the first is this copy's too.
    let first = device.outbox.commands(1).next().unwrap().unwrap().1;
    let other = command_leaf(&add("50"), now(), &Texts::default(), [0; 16]);
    let page = fixture.server.push(1, &[Leaf { leaf: first.leaf, aside: first.aside }, other]);
    device.receive(page).unwrap();
    drop(device);
    let mut device = fixture.open();
    assert_eq!(codes(&device), ["DEVICE_FORKED"]);
    let sequences: Vec<u32> = device.view().pending.iter().map(|pending| pending.key.sequence).collect();
    assert_eq!((sequences, entries(&device.view().state)), (vec![2, 3], 2));
    let queued = device.record(add("4"), Texts::default()).unwrap();
    assert!(matches!(queued.preview, Outcome::Held(cause) if cause.code == Code::DeviceForked));
    assert_eq!((device.view().pending.len(), entries(&device.view().state)), (3, 2));
    // What the log has otherwise is found, also when a replica that was fetched anew hides it.
    assert_eq!(device.first_divergence().unwrap(), Some(2));
}

#[test]
fn a_key_that_is_not_the_enrolled_one_is_named() {
    let fixture = Fixture::new();
    let path = fixture.home.join("key");
    std::fs::write(&path, key(2).to_bytes()).unwrap();
    let error = Device::open_waiting(&fixture.home, Some(CLOCK), Duration::ZERO).unwrap_err();
    assert_eq!((error.cause().code.as_str(), error.exit_code()), ("KEY_DAMAGED", 7));
    assert!(crate::text::message(error.cause()).contains(&path.display().to_string()), "{error}");
}

#[test]
fn an_authority_that_is_not_the_invites_is_named() {
    use rustls::pki_types::CertificateDer;
    let fixture = Fixture::new();
    let files = Home::new(&fixture.home);
    let der = CertificateDer::from(vec![1, 2, 3]);
    files.write_authority(&der).unwrap();
    let sha256: [u8; 32] =
        sha2::Digest::finalize(sha2::Digest::chain_update(sha2::Sha256::default(), &der)).into();
    assert_eq!(files.read_authority(Some(sha256)).unwrap(), der);
    let error = files.read_authority(Some([0; 32])).unwrap_err();
    assert_eq!((error.cause().code.as_str(), error.exit_code()), ("AUTHORITY_DAMAGED", 7));
    let (message, hint) = crate::text::error(error.cause());
    assert!(message.contains("authority.pem") && hint.contains(&"00".repeat(32)), "{message} {hint}");
    let identity = Identity { authority_sha256: Some(sha256), ..files.read_identity().unwrap() };
    files.write_identity(&identity).unwrap();
    assert_eq!(files.read_identity().unwrap(), identity);
}

#[test]
fn an_enrolment_that_was_declined_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("new");
    let files = Home::new(&home);
    files.create().unwrap();
    files.write_authority(&rustls::pki_types::CertificateDer::from(vec![1])).unwrap();
    files.fresh_enrolment().unwrap();
    files.forget_enrolment().unwrap();
    assert!(!home.exists());
    // What else lies there is not ours.
    files.create().unwrap();
    files.fresh_enrolment().unwrap();
    std::fs::write(home.join("notes"), "mine").unwrap();
    files.forget_enrolment().unwrap();
    let left: Vec<_> = std::fs::read_dir(&home).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["notes"]);
}

#[test]
fn small_files_are_private_and_survive_damage() {
    let fixture = Fixture::new();
    let files = Home::new(&fixture.home);
    assert_eq!(files.interrupted_enrolment().unwrap(), None);
    let fresh = files.fresh_enrolment().unwrap();
    assert_eq!(files.interrupted_enrolment().unwrap(), Some(fresh), "an enrolment can be repeated");
    let mode = std::fs::metadata(fixture.home.join("key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let names = vec![wire::PersonName { person: 1, name: "Sri".into() }];
    let directory = Directory::from_page(wire::Directory { people: names });
    files.write_directory(&directory).unwrap();
    assert_eq!(files.read_directory().unwrap(), directory);
    let path = fixture.home.join("directory.json");
    std::fs::write(&path, std::fs::read_to_string(&path).unwrap().replace("Sri", "Sru")).unwrap();
    assert_eq!(files.read_directory().unwrap(), Directory::default());
    std::fs::write(fixture.home.join("key"), key(1).to_bytes()).unwrap();
    let device = fixture.open();
    assert_eq!(device.name_of(PersonId(1)), "#1");
    drop(device);

    std::fs::write(fixture.home.join("key"), [1; 31]).unwrap();
    let error = Device::open(&fixture.home, None).unwrap_err();
    assert_eq!((error.cause().code.as_str(), error.exit_code()), ("KEY_DAMAGED", 7));
    std::fs::write(fixture.home.join("identity.json"), "{\"office\":").unwrap();
    assert_eq!(Device::open(&fixture.home, None).unwrap_err().cause().code, "IDENTITY_DAMAGED");
}

#[tokio::test]
async fn without_a_server_nothing_is_queued_and_the_answer_is_quick() {
    use renaksi_domain::quarter::{PlanQuarter, QuarterCommand};
    use renaksi_domain::time::Quarter;
    use rustls::pki_types::CertificateDer;
    let fixture = Fixture::new();
    let mut device = fixture.open();
    // A root that is no certificate never gets as far as the network.
    device.home.write_authority(&CertificateDer::from(vec![1, 2, 3])).unwrap();
    let cell = PlanQuarter { year: 2024, quarter: Quarter::Q1 };
    let request = vec![(Command::Quarter(QuarterCommand::Request(cell)), Texts::default())];
    let error = device.submit(request, &mut |_| {}).await.unwrap_err();
    assert_eq!(error.cause().code, "AUTHORITY_DAMAGED");
    assert_eq!(device.outbox.last(), 0);
}

#[test]
fn an_index_is_made_when_it_is_asked_for_and_goes_with_the_device() {
    let mut fixture = Fixture::new();
    let mut device = fixture.open();
    let index = device.home.index();
    assert!(device.trail(&mut |_| {}).is_none(), "so few records are read as quickly");
    assert!(!index.exists());
    let size = device.replica.head().size;
    let about = About { actor: Some(PersonId(1)), ..About::default() };
    let made_by = |device: &Device| {
        let trail = device.trail_from(1, &mut |_| {}).unwrap();
        trail.positions(&about, size + 1, u64::MAX).unwrap().into_iter().filter(|at| *at > size).count()
    };
    assert_eq!(made_by(&device), 0);
    assert!(index.exists());
    // What is pulled afterwards is in the next answer.
    let page = fixture.server.say(1, vec![add("1"), add("2")]);
    device.receive(page).unwrap();
    assert_eq!(made_by(&device), 2);
    // Where no index can be, there is none, and that is no error.
    std::fs::remove_dir_all(&index).unwrap();
    std::fs::write(&index, b"in the way").unwrap();
    assert!(device.trail_from(1, &mut |_| {}).is_none());
    device.reset(true).unwrap();
    assert!(!index.exists());
}
