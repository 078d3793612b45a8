//! The writer, given pushes as they come off the wire.

#![allow(clippy::unwrap_used)]

use ed25519_dalek::SigningKey;
use renaksi_domain::command::Command;
use renaksi_domain::entry::{AddEntry, EntryCommand, Reading};
use renaksi_domain::hash::state_hash;
use renaksi_domain::ids::{IndicatorId, PersonId};
use renaksi_domain::people::{AddPerson, EnrolDevice, FoundOffice, PeopleCommand};
use renaksi_domain::quantity::Quantity;
use renaksi_domain::time::{Date, Timestamp, Zone};
use renaksi_proto::chain::{self, ChainHash};
use renaksi_proto::clock::Clock;
use renaksi_proto::convert::command_leaf;
use renaksi_proto::{log, wire};
use renaksi_server::authority;
use renaksi_server::data::{Data, ServerFile};
use renaksi_server::office::{Office, check};
use renaksi_server::push;
use renaksi_server::status::Fault;
use renaksi_server::writer::PushAnswer;
use uuid::Uuid;

const OFFICE: Uuid = Uuid::from_u128(1);
const INCARNATION: Uuid = Uuid::from_u128(2);
const NOW: Timestamp = Timestamp(1_704_700_000_000_000);

struct Stage {
    office: Option<Office>,
    data: Data,
    _dir: tempfile::TempDir,
}

impl Stage {
    async fn new() -> Stage {
        let dir = tempfile::tempdir().unwrap();
        let data = Data::new(dir.path());
        authority::create(&data.authority(), "Dinas Uji", "localhost").unwrap();
        let file = ServerFile { office: OFFICE, rehearsal: true, address: "localhost:1".into() };
        data.write_server_file(&file).unwrap();
        let office = Office::open(&data, Clock::Fixed(NOW)).unwrap();
        let founded = |_: &renaksi_domain::State| {
            vec![
                PeopleCommand::FoundOffice(FoundOffice {
                    office: OFFICE,
                    name: "Dinas Uji".into(),
                    zone: Zone::Jakarta,
                    rehearsal: true,
                }),
                PeopleCommand::AddPerson(AddPerson),
                PeopleCommand::EnrolDevice(EnrolDevice {
                    owner: PersonId(1),
                    key: key().verifying_key().to_bytes(),
                    incarnation: INCARNATION,
                }),
            ]
        };
        office.host(Box::new(founded)).await.unwrap();
        Stage { office: Some(office), data, _dir: dir }
    }

    fn office(&self) -> &Office {
        self.office.as_ref().unwrap()
    }

    async fn push(&self, request: wire::PushRequest) -> Result<PushAnswer, Fault> {
        let people = self.office().shared.people();
        let checked = push::check(request, OFFICE, &people, PersonId(1), NOW)?;
        self.office().push(checked).await
    }

    /// Opens the office anew, with its caches gone, and compares.
    async fn end(mut self) {
        let office = self.office.take().unwrap();
        let live = state_hash(&office.shared.durable().unwrap().state);
        assert_eq!(
            check(&office.shared.reader, office.shared.id, Some(&office.shared)).unwrap().state_hash,
            live
        );
        tokio::task::block_in_place(|| office.close());
        for cache in ["index", "snapshots"] {
            std::fs::remove_dir_all(self.data.office(cache)).unwrap();
        }
        let again = Office::open(&self.data, Clock::Fixed(NOW)).unwrap();
        assert_eq!(state_hash(&again.shared.durable().unwrap().state), live);
    }
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

/// Commands of one device: readable, and refused because nobody made its owner an officer.
fn leaf(quantity: &str) -> wire::Stored {
    let add = AddEntry {
        indicator: IndicatorId(1),
        on: Date::parse("2024-01-03").unwrap(),
        reading: Reading::Quantity(Quantity::parse(quantity).unwrap()),
    };
    let command = Command::Entry(EntryCommand::Add(add));
    let made = command_leaf(&command, NOW, &log::Texts::default(), [0; 16]);
    wire::Stored { leaf: made.leaf, aside: made.aside }
}

fn chain_over(leaves: &[wire::Stored]) -> ChainHash {
    leaves.iter().fold(chain::start(INCARNATION), |head, stored| chain::link(&head, &stored.leaf))
}

/// The push of a device whose feed holds `feed`, from `first` on.
fn request(feed: &[wire::Stored], first: u32) -> wire::PushRequest {
    let before = first as usize - 1;
    let last = u32::try_from(feed.len()).unwrap();
    wire::PushRequest {
        origin: 1,
        first_sequence: first,
        previous_chain: chain_over(&feed[..before]).to_vec(),
        commands: feed[before..].to_vec(),
        chain_signature: chain::sign_push(&key(), OFFICE, INCARNATION, last, &chain_over(feed)),
        device_time_us: NOW.0 + 5_000_000,
    }
}

fn positions(answer: &PushAnswer) -> Vec<u64> {
    answer.receipts.iter().map(|receipt| receipt.position).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn r1_ten_times_at_once_is_one_record_and_one_receipt() {
    let stage = Stage::new().await;
    let feed = [leaf("12")];
    let answers = (0..10).map(|_| stage.push(request(&feed, 1)));
    let mut fresh = 0;
    for answer in futures_join(answers.collect()).await {
        let answer = answer.unwrap();
        assert_eq!(positions(&answer), [4]);
        fresh += usize::from(!answer.receipts[0].duplicate);
    }
    assert_eq!(fresh, 1);
    assert_eq!(stage.office().shared.reader.head().size, 4);
    stage.end().await;
}

/// All at once, in order of their answers' places.
async fn futures_join<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = futures.into_iter().map(|future| Some(Box::pin(future))).collect();
    let mut done: Vec<Option<F::Output>> = pending.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, slot) in pending.iter_mut().zip(&mut done) {
            if let Some(running) = future
                && let std::task::Poll::Ready(output) = running.as_mut().poll(context)
            {
                *slot = Some(output);
                *future = None;
            }
        }
        match pending.iter().all(Option::is_none) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn r3_a_gap_stores_nothing_and_says_what_comes_next() {
    let stage = Stage::new().await;
    let feed = [leaf("5"), leaf("7"), leaf("2")];
    for first in [3, 2] {
        let answer = stage.push(request(&feed, first)).await.unwrap();
        assert_eq!((answer.next_sequence, answer.receipts.len()), (1, 0));
    }
    assert_eq!(stage.office().shared.reader.head().size, 3);
    let answer = stage.push(request(&feed, 1)).await.unwrap();
    assert_eq!((answer.next_sequence, positions(&answer)), (4, vec![4, 5, 6]));
    // Whatever part of it comes again is answered with the same receipts.
    for (first, last) in [(1, 3), (2, 3), (1, 2), (1, 1), (3, 3)] {
        let again = stage.push(request(&feed[..last], first)).await.unwrap();
        assert_eq!(positions(&again), (u64::from(first) + 3..=last as u64 + 3).collect::<Vec<_>>());
        assert!(again.receipts.iter().all(|receipt| receipt.duplicate));
    }
    // And what overlaps goes on.
    let longer = [leaf("5"), leaf("7"), leaf("2"), leaf("9")];
    let answer = stage.push(request(&longer, 2)).await.unwrap();
    let duplicates: Vec<bool> = answer.receipts.iter().map(|receipt| receipt.duplicate).collect();
    assert_eq!((positions(&answer), duplicates), (vec![5, 6, 7], vec![true, true, false]));
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_another_command_under_a_taken_sequence_is_a_fork() {
    let stage = Stage::new().await;
    stage.push(request(&[leaf("12"), leaf("1")], 1)).await.unwrap();
    let forks = [vec![leaf("15"), leaf("1")], vec![leaf("15")], vec![leaf("15"), leaf("1"), leaf("3")]];
    for fork in forks {
        let fault = stage.push(request(&fork, 1)).await.unwrap_err();
        assert_eq!(fault.code(), "DEVICE_FORKED");
    }
    let fault = stage.push(request(&[leaf("12"), leaf("2"), leaf("3")], 3)).await.unwrap_err();
    assert_eq!(fault.code(), "DEVICE_FORKED");
    assert_eq!(stage.office().shared.reader.head().size, 5);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_device_did_not_sign_is_not_stored() {
    let stage = Stage::new().await;
    let feed = [leaf("12")];
    let mut other_command = request(&feed, 1);
    other_command.commands = vec![leaf("13")];
    let mut other_key = request(&feed, 1);
    let stranger = SigningKey::from_bytes(&[8; 32]);
    other_key.chain_signature = chain::sign_push(&stranger, OFFICE, INCARNATION, 1, &chain_over(&feed));
    let mut other_office = request(&feed, 1);
    other_office.chain_signature =
        chain::sign_push(&key(), Uuid::from_u128(7), INCARNATION, 1, &chain_over(&feed));
    for forged in [other_command, other_key, other_office] {
        assert_eq!(stage.push(forged).await.unwrap_err().code(), "PUSH_SIGNATURE_INVALID");
    }
    let mut unknown = request(&feed, 1);
    unknown.origin = 5;
    assert_eq!(stage.push(unknown).await.unwrap_err().code(), "UNKNOWN_ORIGIN");
    assert_eq!(stage.office().shared.reader.head().size, 3);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_command_are_refused_and_kept_and_nothing_behind_them_waits() {
    let stage = Stage::new().await;
    let garbage = wire::Stored { leaf: vec![0xFF; 40], aside: Vec::new() };
    let answer = stage.push(request(&[leaf("1"), garbage, leaf("2")], 1)).await.unwrap();
    let codes: Vec<_> =
        answer.receipts.iter().map(|receipt| receipt.cause.as_ref().unwrap().code.as_str()).collect();
    assert_eq!(codes, ["ROLE_MAY_NOT", "UNREADABLE", "ROLE_MAY_NOT"]);
    stage.end().await;
}
