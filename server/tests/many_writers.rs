//! FAULTS L7: more writers at once than the writer's queue holds, half of whose commands are refused.

#![allow(clippy::unwrap_used)]

mod stage;

use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use renaksi_domain::State;
use renaksi_domain::command::Command;
use renaksi_domain::ids::PersonId;
use renaksi_domain::people::{AddPerson, AddUnit, Assign, Assignment, EnrolDevice, PeopleCommand, Role};
use renaksi_proto::convert::command_leaf;
use renaksi_proto::wire::sync_client::SyncClient;
use renaksi_proto::{chain, log, wire};
use renaksi_server::writer::HostAct;
use stage::network::*;
use stage::*;
use uuid::Uuid;

/// More than jobs that the queue holds, so that some wait before it.
const WRITERS: u32 = 1_200;
/// Commands of each, sent one by one.
const COMMANDS: u32 = 2;
/// Connections that they share over the network.
const CHANNELS: u32 = 4;

/// A device of person 2, who is an operator: of the commands of each, one is theirs to give and one is not.
struct Writer {
    number: u32,
    key: SigningKey,
    incarnation: Uuid,
    feed: Vec<wire::Stored>,
}

/// The operator and their devices.
fn enrolled() -> HostAct {
    Box::new(|_: &State| {
        let operator = Assignment { role: Role::Operator, unit: None, from: None, until: None };
        let device = |number| {
            let Writer { key, incarnation, .. } = Writer::new(number);
            let (owner, key) = (PersonId(2), key.verifying_key().to_bytes());
            PeopleCommand::EnrolDevice(EnrolDevice { owner, key, incarnation, proof: None })
        };
        let person = [
            PeopleCommand::AddPerson(AddPerson),
            PeopleCommand::Assign(Assign { person: PersonId(2), assignment: operator }),
        ];
        person.into_iter().chain((0..WRITERS).map(device)).collect()
    })
}

/// The stage has three records; then come the operator, their role and their devices.
const BEFORE: u64 = 3 + 2 + WRITERS as u64;

impl Writer {
    fn new(number: u32) -> Writer {
        let mut seed = [7; 32];
        seed[..4].copy_from_slice(&number.to_be_bytes());
        let unit =
            Command::People(PeopleCommand::AddUnit(AddUnit { name: format!("Bidang {number}").into() }));
        let unit = command_leaf(&unit, NOW, &log::Texts::default(), [0; 16]);
        let mut feed = vec![wire::Stored { leaf: unit.leaf, aside: unit.aside }, leaf("1")];
        // Half of them begin with what they may not do.
        if number % 2 == 1 {
            feed.swap(0, 1);
        }
        let incarnation = Uuid::from_u128(1_000 + u128::from(number));
        Writer { number, key: SigningKey::from_bytes(&seed), incarnation, feed }
    }

    /// As the log numbers devices and incarnations: the stage has one already.
    fn device(&self) -> u32 {
        self.number + 2
    }

    /// The push of one command.
    fn request(&self, sequence: u32) -> wire::PushRequest {
        let chain = |commands: u32| {
            let before = self.feed[..commands as usize].iter();
            before.fold(chain::start(self.incarnation), |head, stored| chain::link(&head, &stored.leaf))
        };
        wire::PushRequest {
            origin: self.device(),
            first_sequence: sequence,
            previous_chain: chain(sequence - 1).to_vec(),
            commands: vec![self.feed[sequence as usize - 1].clone()],
            chain_signature: chain::sign_push(
                &self.key,
                OFFICE,
                self.incarnation,
                sequence,
                &chain(sequence),
            ),
            device_time_us: NOW.0,
            ..wire::PushRequest::default()
        }
    }
}

/// One receipt for each command, positions without gap or repeat, each device's in its own order, half of them refused.
fn adds_up(answers: &[Vec<wire::Receipt>]) {
    let mut positions = Vec::new();
    let mut refused = 0;
    for receipts in answers {
        assert_eq!(receipts.len(), COMMANDS as usize, "{receipts:?}");
        assert!(receipts.is_sorted_by_key(|receipt| receipt.position), "{receipts:?}");
        assert!(receipts.iter().all(|receipt| !receipt.duplicate), "{receipts:?}");
        let causes = receipts.iter().filter_map(|receipt| receipt.cause.as_ref());
        let causes: Vec<&str> = causes.map(|cause| cause.code.as_str()).collect();
        assert_eq!(causes, ["ROLE_MAY_NOT"], "{receipts:?}");
        refused += causes.len();
        positions.extend(receipts.iter().map(|receipt| receipt.position));
    }
    positions.sort_unstable();
    let commands = u64::from(WRITERS * COMMANDS);
    assert_eq!(positions, (BEFORE + 1..=BEFORE + commands).collect::<Vec<_>>());
    assert_eq!(refused as u32, WRITERS);
}

#[tokio::test(flavor = "multi_thread")]
async fn l7_more_writers_than_the_queue_holds_are_all_answered_without_a_gap() {
    let stage = Arc::new(Stage::new().await);
    stage.office().host(enrolled()).await.unwrap();
    let writers = (0..WRITERS).map(|number| {
        let stage = Arc::clone(&stage);
        tokio::spawn(async move {
            let (writer, mut receipts) = (Writer::new(number), Vec::new());
            for sequence in 1..=COMMANDS {
                receipts.extend(stage.push(writer.request(sequence)).await.unwrap().receipts);
            }
            receipts
        })
    });
    let mut answers = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        answers.push(writer.await.unwrap());
    }
    adds_up(&answers);
    let commits = stage.office().shared.reader.iter(BEFORE + 1).count();
    println!("{} commands in {commits} commits", WRITERS * COMMANDS);
    Arc::into_inner(stage).unwrap().end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l7_so_they_are_over_the_network() {
    let mut stage = Stage::new().await;
    stage.office().host(enrolled()).await.unwrap();
    let served = serve(&mut stage, Duration::from_secs(5)).await;
    let mut channels = Vec::new();
    for _ in 0..CHANNELS {
        channels.push(connect(&stage.data, served.address).await);
    }
    let writers = (0..WRITERS).map(|number| {
        let (data, channel) = (stage.data.clone(), channels[(number % CHANNELS) as usize].clone());
        tokio::spawn(async move {
            let (writer, mut receipts) = (Writer::new(number), Vec::new());
            for sequence in 1..=COMMANDS {
                let push = proven_by(&data, writer.device(), &writer.key, writer.request(sequence));
                let answer = SyncClient::new(channel.clone()).push(push).await.unwrap();
                receipts.extend(answer.into_inner().receipts);
            }
            receipts
        })
    });
    let mut answers = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        answers.push(writer.await.unwrap());
    }
    adds_up(&answers);
    drop(channels);
    served.stop.send(()).unwrap();
    served.ended.await.unwrap().unwrap();
}
