//! An office as its writer's tests need it: one person with one device, and no plan.

#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

pub mod network;

use ed25519_dalek::SigningKey;
use renaksi_domain::RULES_VERSION;
use renaksi_domain::command::Command;
use renaksi_domain::entry::{AddEntry, EntryCommand, Reading};
use renaksi_domain::hash::state_hash;
use renaksi_domain::ids::{IndicatorId, PersonId};
use renaksi_domain::people::{AddPerson, EnrolDevice, FoundOffice, PeopleCommand};
use renaksi_domain::quantity::Quantity;
use renaksi_domain::time::{Date, Timestamp, Zone};
use renaksi_ledger::LogOptions;
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

pub const OFFICE: Uuid = Uuid::from_u128(1);
pub const INCARNATION: Uuid = Uuid::from_u128(2);
pub const NOW: Timestamp = Timestamp(1_704_700_000_000_000);

pub struct Stage {
    pub office: Option<Office>,
    pub data: Data,
    pub options: LogOptions,
    _dir: tempfile::TempDir,
}

impl Stage {
    pub async fn new() -> Stage {
        Stage::with(LogOptions::default()).await
    }

    pub async fn with(options: LogOptions) -> Stage {
        Stage::founded(options, RULES_VERSION).await
    }

    /// An office that was founded by other rules.
    pub async fn of_rules(rules: u32) -> Stage {
        Stage::founded(LogOptions::default(), rules).await
    }

    async fn founded(options: LogOptions, rules: u32) -> Stage {
        let dir = tempfile::tempdir().unwrap();
        let data = Data::new(dir.path());
        authority::create(&data.authority(), "Dinas Uji", "localhost").unwrap();
        let file =
            ServerFile { office: OFFICE, rehearsal: true, address: "localhost:1".into(), founded: false };
        data.write_server_file(&file).unwrap();
        let office = Office::create_with(&data, Clock::Fixed(NOW), options.clone()).unwrap();
        let founded = move |_: &renaksi_domain::State| {
            vec![
                PeopleCommand::FoundOffice(FoundOffice {
                    office: OFFICE,
                    name: "Dinas Uji".into(),
                    zone: Zone::Jakarta,
                    rehearsal: true,
                    rules,
                }),
                PeopleCommand::AddPerson(AddPerson),
                PeopleCommand::EnrolDevice(EnrolDevice {
                    owner: PersonId(1),
                    key: key().verifying_key().to_bytes(),
                    incarnation: INCARNATION,
                    proof: None,
                }),
            ]
        };
        office.host(Box::new(founded)).await.unwrap();
        Stage { office: Some(office), data, options, _dir: dir }
    }

    pub fn office(&self) -> &Office {
        self.office.as_ref().unwrap()
    }

    pub async fn push(&self, request: wire::PushRequest) -> Result<PushAnswer, Fault> {
        let people = self.office().shared.people();
        let checked = push::check(request, OFFICE, &people, PersonId(1), NOW)?;
        self.office().push(checked).await
    }

    /// Opens the office anew, with its caches gone, and compares.
    pub async fn end(mut self) {
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

pub fn key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

/// Commands of one device: readable, and refused because nobody made its owner an officer.
pub fn leaf(quantity: &str) -> wire::Stored {
    let add = AddEntry {
        indicator: IndicatorId(1),
        on: Date::parse("2024-01-03").unwrap(),
        reading: Reading::Quantity(Quantity::parse(quantity).unwrap()),
    };
    let command = Command::Entry(EntryCommand::Add(add));
    let made = command_leaf(&command, NOW, &log::Texts::default(), [0; 16]);
    wire::Stored { leaf: made.leaf, aside: made.aside }
}

pub fn chain_over(leaves: &[wire::Stored]) -> ChainHash {
    leaves.iter().fold(chain::start(INCARNATION), |head, stored| chain::link(&head, &stored.leaf))
}

/// The push of a device whose feed holds `feed`, from `first` on.
pub fn request(feed: &[wire::Stored], first: u32) -> wire::PushRequest {
    let before = first as usize - 1;
    let last = u32::try_from(feed.len()).unwrap();
    wire::PushRequest {
        origin: 1,
        first_sequence: first,
        previous_chain: chain_over(&feed[..before]).to_vec(),
        commands: feed[before..].to_vec(),
        chain_signature: chain::sign_push(&key(), OFFICE, INCARNATION, last, &chain_over(feed)),
        device_time_us: NOW.0 + 5_000_000,
        ..wire::PushRequest::default()
    }
}

pub fn positions(answer: &PushAnswer) -> Vec<u64> {
    answer.receipts.iter().map(|receipt| receipt.position).collect()
}

/// All at once, in order of their answers' places.
pub async fn futures_join<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
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
