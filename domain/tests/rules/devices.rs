//! Devices with outboxes, and a network that cuts batches, loses replies, sends again and sends too early. What counts is
//! the order in which commands first arrived, and where that does not matter, not even that.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use renaksi_domain::Envelope;
use renaksi_domain::command::Outcome;
use renaksi_domain::hash::state_hash;
use renaksi_domain::ids::Origin;
use renaksi_domain::time::{Date, Timestamp};

use crate::delivery::{ALL_KINDS, Server, figures};
use crate::office::{Office, local, who};
use crate::words::parse;

const DEVICES: [&str; 6] = ["ayu", "ayu2", "budi", "kabid", "admin", "head"];

/// One device: what it recorded, in its order, and how far it knows that the server has it.
struct Device {
    outbox: Vec<Envelope>,
    acknowledged: usize,
    receipts: BTreeMap<u32, Outcome>,
}

impl Device {
    /// Commands in words that need no state: every version is named.
    fn new(office: &Office, name: &str, words: &[String]) -> Device {
        let (origin, author) = who(name);
        let first = last_sequence(&office.state, origin) + 1;
        let outbox = (first..).zip(words).map(|(sequence, words)| Envelope {
            origin,
            sequence,
            author,
            made_at: office.now,
            has_reason: true,
            restored: None,
            command: parse(&office.state, words),
        });
        Device { outbox: outbox.collect(), acknowledged: 0, receipts: BTreeMap::new() }
    }

    /// Sends what begins at `from`; `arrives` says how much of it the server gets, `replied` whether the device hears.
    fn send(
        &mut self,
        server: &mut Server,
        from: usize,
        arrives: usize,
        replied: bool,
    ) -> Result<(), TestCaseError> {
        let Some(origin) = self.outbox.first().map(|first| first.origin) else { return Ok(()) };
        let first = self.outbox[0].sequence;
        let batch = &self.outbox[from.min(self.outbox.len())..(from + arrives).min(self.outbox.len())];
        let (records, had) = (server.records.len(), last_sequence(&server.state, origin));
        let mut answers = BTreeMap::new();
        for envelope in batch {
            let now = clock(server.records.len());
            match server.receive(envelope, now) {
                Some(outcome) => drop(answers.insert(envelope.sequence, outcome)),
                None => prop_assert!(envelope.sequence > had + 1, "only a gap is no outcome"),
            }
        }
        let has = last_sequence(&server.state, origin);
        prop_assert_eq!(server.records.len() - records, (has - had) as usize, "a gap stores nothing");
        if replied {
            self.receipts.extend(answers);
            self.acknowledged = (has + 1 - first) as usize;
        }
        Ok(())
    }
}

fn last_sequence(state: &renaksi_domain::state::State, origin: Origin) -> u32 {
    state.people.incarnation(origin).map_or(0, |known| known.last_sequence)
}

/// The server's clock: a minute a record, so that one order of arrival has one set of times.
fn clock(records: usize) -> Timestamp {
    local("2024-04-10 08:00").plus_micros(records as i64 * 60_000_000)
}

/// What each device recorded. Days of March are of a quarter that is locked while the work travels, or is not.
fn outboxes(work: &[(u8, u8, u8, u8)]) -> [Vec<String>; 6] {
    let mut queues: [Vec<String>; 6] = Default::default();
    for (who, what, a, b) in work {
        let device = usize::from(who % 6);
        let on = format!("2024-{}", ["03-20", "03-31", "04-01", "04-09", "04-12"][usize::from(b % 5)]);
        let indicator = ["uttp", "asn", "tera", "koperasi"][usize::from(a % 4)];
        let of = ["ayu", "ayu2", "budi"][usize::from(a % 3)];
        let entry = format!("{of}/{n}@{of}/{n}", n = 1 + b % 12);
        let own = format!("ayu/{n}@ayu/{n}", n = 1 + b % 12);
        queues[device].push(match (DEVICES[device], what % 6) {
            ("kabid", 0..=3) => format!("verify {entry}"),
            ("kabid", 4) => format!("return {entry}"),
            ("admin", 0) => "lock 1".to_owned(),
            ("admin", 1) => format!("release {of}/{}", 1 + b % 12),
            ("admin", 2) => format!("dismiss {of}/{}", 1 + b % 12),
            ("admin", 3) => format!("release {of}/{} in 2", 1 + b % 12),
            ("admin", 4) => format!("due-days {}", 1 + b % 9),
            ("admin", _) => "grant-reopen 1".to_owned(),
            ("head", 0) => "reject-lock 1".to_owned(),
            ("head", _) => "approve-lock 1".to_owned(),
            ("ayu2", 0 | 1) => format!("amend {own} {a} {on}"),
            ("ayu2", 2) => format!("void {own}"),
            ("budi", 0) => format!("amend {entry} {a} {on}"),
            (_, 5) => format!("withdraw {of}/{}", 1 + b % 12),
            _ => format!("add {indicator} {} {on}", 1 + a % 50),
        });
    }
    queues
}

fn server_of(office: &Office) -> Server {
    let mut server = Server::default();
    for record in &office.records {
        server.receive(&record.envelope, record.time);
    }
    server
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 25, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the network did, the office is the one that got each command once, in the order of first arrival; and
    /// every device holds the receipt of each of its commands.
    #[test]
    fn whatever_the_network_does_each_command_counts_once(
        work in proptest::collection::vec(any::<(u8, u8, u8, u8)>(), 1..90),
        network in proptest::collection::vec(any::<(u8, u8, u8, bool)>(), 0..120),
    ) {
        let office = Office::established();
        let queues = outboxes(&work);
        let mut devices: Vec<Device> =
            DEVICES.iter().zip(&queues).map(|(name, words)| Device::new(&office, name, words)).collect();
        let mut server = server_of(&office);
        let before = server.records.len();
        for (which, from, arrives, replied) in &network {
            let device = &mut devices[usize::from(which % 6)];
            let known = device.acknowledged;
            let from = match from % 4 {
                0 => known.saturating_sub(usize::from(from / 4 % 8)),
                1 => known + usize::from(from / 4 % 8),
                _ => known,
            };
            device.send(&mut server, from, usize::from(arrives % 9), *replied)?;
        }
        // One uncut batch of what a device does not know to be there ends it.
        for device in &mut devices {
            device.send(&mut server, device.acknowledged, usize::MAX / 2, true)?;
            prop_assert_eq!(device.acknowledged, device.outbox.len());
        }
        prop_assert_eq!(server.records.len() - before, work.len(), "nothing is lost or doubled");

        let mut plain = server_of(&office);
        for record in &server.records[before..] {
            prop_assert_eq!(plain.receive(&record.envelope, record.time), Some(record.outcome.clone()));
        }
        prop_assert!(plain.state == server.state);
        prop_assert_eq!(state_hash(&plain.state), state_hash(&server.state));
        for device in &mut devices {
            // A device that asks again for everything gets the first receipts, and those it had were the same.
            let had = std::mem::take(&mut device.receipts);
            device.send(&mut server, 0, usize::MAX / 2, true)?;
            prop_assert_eq!(device.receipts.len(), device.outbox.len());
            prop_assert!(had.iter().all(|(sequence, receipt)| device.receipts.get(sequence) == Some(receipt)));
        }
        prop_assert_eq!(server.records.len() - before, work.len());
    }

    /// Additions, and amendments of own entries in order, commute between devices: every figure of every kind is the
    /// same whoever synchronises first. (Two readings of one day do not: the later record stands.)
    #[test]
    fn whoever_synchronises_first_every_figure_is_the_same(
        work in proptest::collection::vec((0_usize..5, 0_u8..3, 1_u8..60, any::<u8>()), 1..50),
        order in proptest::collection::vec(0_usize..5, 0..120),
    ) {
        let mut queues: [Vec<String>; 5] = Default::default();
        let officers = ["ayu", "ayu2", "budi", "citra", "kabidkop"];
        let mut corrections = Vec::new();
        for (number, (who, what, value, turn)) in (0..).zip(&work) {
            let (name, queue) = (officers[*who], &mut queues[*who]);
            let on = Date::parse("2024-02-10").unwrap().plus_days(number);
            let reading = match (*who > 2, *what) {
                (false, what) => format!("add {} {value}", ["uttp", "asn", "tera"][usize::from(what)]),
                (true, 0) => format!("add koperasi {value}"),
                (true, what) => format!("add aktif {value}/{}", u16::from(*value) * u16::from(what)),
            };
            queue.push(format!("{name} {reading} {on}"));
            let entry = queue.len();
            let value = if reading.contains('/') { format!("{value}/61") } else { format!("{},5", value / 2) };
            let amend = |by: &str| format!("{by} amend {name}/{entry}@{name}/{entry} {value} {on}");
            match (turn % 3, *who) {
                // By the same device, at once; or by the other one of the same person, sometime.
                (0, _) => queue.push(amend(name)),
                (1, 0) => corrections.push(amend("ayu2")),
                _ => {}
            }
        }
        queues[1].extend(corrections);
        let play = |order: &[usize]| {
            let mut office = Office::draft();
            office.does("admin set asn kind average");
            office.at("2024-06-01 08:00");
            let mut queues = queues.each_ref().map(|queue| queue.iter());
            let rest = (0..5).flat_map(|which| std::iter::repeat_n(which, 150));
            for which in order.iter().copied().chain(rest) {
                if let Some(words) = queues[which].next() {
                    office.ask(words);
                }
            }
            office
        };
        let (one, other) = (play(&[]), play(&order));
        prop_assert_eq!(one.state.entries.len(), work.len());
        prop_assert_eq!(other.state.entries.len(), work.len());
        prop_assert!(other.state.held.values().all(|held| !held.is_waiting()));
        prop_assert_eq!(figures(&one.state, &ALL_KINDS), figures(&other.state, &ALL_KINDS));
    }
}

/// The deliveries are worth making: work is held for each cause that depends on who came first, and people decide.
#[test]
fn deliveries_meet_what_depends_on_who_came_first() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut met = BTreeSet::new();
    for _ in 0..60 {
        let work = proptest::collection::vec(any::<(u8, u8, u8, u8)>(), 90);
        let queues = outboxes(&work.new_tree(&mut runner).unwrap().current());
        let office = Office::established();
        let mut devices: Vec<Device> =
            DEVICES.iter().zip(&queues).map(|(name, words)| Device::new(&office, name, words)).collect();
        let mut server = server_of(&office);
        let before = server.records.len();
        // In turn, a few commands each.
        for turn in 0..6 * 90 {
            let device = &mut devices[turn % 6];
            device.send(&mut server, device.acknowledged, 3, true).unwrap();
        }
        met.extend(server.records[before..].iter().map(|record| match &record.outcome {
            Outcome::Recorded(_) => record.envelope.command.name(),
            Outcome::Held(cause) | Outcome::Refused(cause) => cause.code.name(),
        }));
    }
    for wanted in [
        "entry.added",
        "entry.amended",
        "entry.voided",
        "entry.verified",
        "entry.returned",
        "held.released",
        "held.dismissed",
        "held.withdrawn",
        "quarter.lock_requested",
        "quarter.locked",
        "config.due_days_set",
        "QUARTER_LOCKED",
        "VERSION_MOVED",
        "ENTRY_NOT_YET_KNOWN",
        "NOT_ASSIGNED",
        "UNKNOWN_ENTRY",
        "LOCK_NOT_REQUESTED",
    ] {
        assert!(met.contains(wanted), "{wanted} never happened: {met:?}");
    }
}
