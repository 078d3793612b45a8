//! Appending as devices do it: over TLS, through the rules, into log and index, durable before the answer.
//!
//! Beside it a peer, where one is there to be run: `RENAKSI_BENCH_UMADB` names UmaDB's server, `RENAKSI_BENCH_UMABENCH` a
//! client of it that is called `umabench CLIENTS EVENTS_AN_APPEND SECONDS tags` and says `… -> N events/s`.

use std::net::TcpStream;
use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use renaksi_domain::Command;
use renaksi_domain::entry::{AddEntry, EntryCommand, Reading};
use renaksi_domain::ids::IndicatorId;
use renaksi_domain::quantity::Quantity;
use renaksi_domain::time::{Date, Timestamp};
use renaksi_proto::chain::{self, ChainHash};
use renaksi_proto::convert::command_leaf;
use renaksi_proto::log::Texts;
use renaksi_proto::wire::{self, enrolment_client::EnrolmentClient, sync_client::SyncClient};
use renaksi_tests::{Office, plans};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use uuid::Uuid;

use crate::{Figure, median};

/// (clients, entries a push, pushes a client and round)
const CASES: [(usize, usize, usize); 2] = [(16, 100, 40), (64, 1, 300)];
const ROUNDS: usize = 5;
/// What the peer is given a round.
const PEER_SECONDS: &str = "2";

/// Runs the bench.
pub fn run() -> Vec<Figure> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    CASES.into_iter().flat_map(|case| runtime.block_on(self::case(case))).collect()
}

async fn case((clients, entries, pushes): (usize, usize, usize)) -> Vec<Figure> {
    let plan = plans::small(&[("Unit", ["100", "100", "100", "100"])]);
    let (mut office, ..) = Office::established(&plan);
    // A played clock is a file, read at every look. This one stands still.
    office.stop();
    office.stand_still("2024-03-20T02:00:00Z");
    office.start();
    let authority = std::fs::read(office.path("data/authority/authority.pem")).expect("the authority");
    let mut devices = Vec::with_capacity(clients);
    for number in 1..=clients {
        let invite = invite(&office, number);
        devices.push(Device::enrol(number as u128, &invite, office.address(), &authority).await);
    }
    let peer = Peer::start();
    let (mut ours, mut theirs, mut slowest) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let made: Vec<Vec<wire::PushRequest>> =
            devices.iter_mut().map(|device| device.make(pushes, entries)).collect();
        let began = Instant::now();
        let running: Vec<_> = devices
            .iter()
            .zip(made)
            .map(|(device, made)| tokio::spawn(send(device.sync.clone(), device.token.clone(), made)))
            .collect();
        let mut each = Vec::new();
        for client in running {
            each.extend(client.await.expect("a client ends"));
        }
        ours.push((clients * entries * pushes) as f64 / began.elapsed().as_secs_f64());
        each.sort();
        slowest.push(each[each.len() * 99 / 100].as_secs_f64() * 1_000.0);
        theirs.extend(peer.as_ref().map(|peer| peer.rate(clients, entries)));
    }
    drop(devices);
    office.stop();
    let name = format!("{clients}x{entries}");
    let baseline = (!theirs.is_empty()).then(|| ("UmaDB, as many clients and events", median(theirs)));
    vec![
        Figure { case: name.clone(), value: median(ours), unit: "entries/s", baseline },
        Figure { case: format!("{name} p99"), value: median(slowest), unit: "ms", baseline: None },
    ]
}

fn invite(office: &Office, number: usize) -> String {
    let name = format!("petugas-{number}");
    let arguments = ["invite", "--json", "--user", &name, "--role", "officer", "--unit", plans::UNIT];
    office.renaksid(&arguments).json()["invite"].as_str().expect("an invite").to_owned()
}

async fn send(
    mut sync: SyncClient<Channel>,
    token: Option<MetadataValue<Ascii>>,
    pushes: Vec<wire::PushRequest>,
) -> Vec<Duration> {
    let mut each = Vec::with_capacity(pushes.len());
    for push in pushes {
        let sent = push.commands.len();
        let mut push = tonic::Request::new(push);
        push.metadata_mut().insert("authorization", token.clone().expect("a session"));
        let began = Instant::now();
        let answer = sync.push(push).await.expect("a push").into_inner();
        each.push(began.elapsed());
        let recorded = answer.receipts.iter().filter(|receipt| receipt.verdict() == wire::Verdict::Recorded);
        assert_eq!(recorded.count(), sent, "every entry is recorded");
    }
    each
}

/// A device that holds its chain and nothing else.
struct Device {
    key: SigningKey,
    office: Uuid,
    incarnation: Uuid,
    origin: u32,
    sequence: u32,
    chain: ChainHash,
    sync: SyncClient<Channel>,
    /// What the server gave for the proof of the first call.
    token: Option<MetadataValue<Ascii>>,
}

impl Device {
    async fn enrol(number: u128, invite: &str, address: &str, authority: &[u8]) -> Device {
        let (_, rest) = invite.rsplit_once('/').expect("an invite");
        let (code, fingerprint) = rest.split_once('#').expect("an invite");
        let fingerprint: [u8; 32] = std::array::from_fn(|index| {
            u8::from_str_radix(&fingerprint[2 * index..2 * index + 2], 16).expect("hexadecimal")
        });
        let tls =
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority)).domain_name("localhost");
        let endpoint = Endpoint::from_shared(format!("https://{address}")).expect("an address");
        let channel = endpoint.tls_config(tls).expect("TLS").connect().await.expect("the server");
        let incarnation = Uuid::from_u128(0xBE_0000 + number);
        let key = SigningKey::from_bytes(&std::array::from_fn(|index| incarnation.as_bytes()[index % 16]));
        let answer = EnrolmentClient::new(channel.clone())
            .enroll(wire::EnrollRequest {
                proof: chain::sign_enroll(&key, &fingerprint, code, incarnation),
                code: code.to_owned(),
                device_key: key.verifying_key().to_bytes().to_vec(),
                incarnation: incarnation.as_bytes().to_vec(),
            })
            .await
            .expect("an enrolment")
            .into_inner();
        let office = Uuid::from_slice(&answer.office).expect("an office");
        let mut device = Device {
            key,
            office,
            incarnation,
            origin: answer.origin,
            sequence: 0,
            chain: chain::start(incarnation),
            sync: SyncClient::new(channel),
            token: None,
        };
        device.begin_session(&fingerprint, answer.device).await;
        device
    }

    /// The first call proves the key, as a device's does; its entry goes in too.
    async fn begin_session(&mut self, fingerprint: &[u8; 32], number: u32) {
        let nonce = *self.incarnation.as_bytes();
        let signature = chain::sign_session(&self.key, self.office, fingerprint, number, &nonce);
        let proof = [self.office.as_bytes().as_slice(), &number.to_be_bytes(), &nonce, &signature].concat();
        let mut request = tonic::Request::new(self.make(1, 1).remove(0));
        request.metadata_mut().insert_bin("renaksi-session-bin", MetadataValue::from_bytes(&proof));
        let answer = self.sync.push(request).await.expect("the first push");
        let token = answer.metadata().get("renaksi-token").expect("a token").to_str().expect("text");
        self.token = Some(format!("Bearer {token}").parse().expect("a header"));
    }

    fn make(&mut self, pushes: usize, entries: usize) -> Vec<wire::PushRequest> {
        (0..pushes).map(|_| self.push(entries)).collect()
    }

    fn push(&mut self, entries: usize) -> wire::PushRequest {
        let (first_sequence, previous_chain) = (self.sequence + 1, self.chain.to_vec());
        let now = Timestamp(1_710_900_000_000_000);
        let commands: Vec<wire::Stored> = (0..entries)
            .map(|_| {
                self.sequence += 1;
                let add = AddEntry {
                    indicator: IndicatorId(3),
                    on: Date::parse("2024-03-14").expect("a date"),
                    reading: Reading::Quantity(Quantity::parse("12").expect("a number")),
                };
                let texts = Texts::default();
                let made = command_leaf(&Command::Entry(EntryCommand::Add(add)), now, &texts, [0; 16]);
                self.chain = chain::link(&self.chain, &made.leaf);
                wire::Stored { leaf: made.leaf, aside: made.aside }
            })
            .collect();
        let signature =
            chain::sign_push(&self.key, self.office, self.incarnation, self.sequence, &self.chain);
        wire::PushRequest {
            origin: self.origin,
            first_sequence,
            previous_chain,
            commands,
            chain_signature: signature,
            device_time_us: now.0,
            ..wire::PushRequest::default()
        }
    }
}

/// UmaDB on a folder of its own and the port that its client expects; stopped when dropped.
struct Peer {
    server: Child,
    client: String,
    _dir: tempfile::TempDir,
}

const PEER_ADDRESS: &str = "127.0.0.1:50051";

impl Peer {
    fn start() -> Option<Peer> {
        let server = std::env::var("RENAKSI_BENCH_UMADB").ok()?;
        let client = std::env::var("RENAKSI_BENCH_UMABENCH").ok()?;
        let dir = tempfile::tempdir().expect("a folder for the peer");
        let mut process = Process::new(server);
        process.args(["--listen", PEER_ADDRESS, "--db-path"]).arg(dir.path());
        let server = process.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the peer starts");
        let began = Instant::now();
        while TcpStream::connect(PEER_ADDRESS).is_err() {
            assert!(began.elapsed() < Duration::from_secs(20), "the peer does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(Peer { server, client, _dir: dir })
    }

    fn rate(&self, clients: usize, events: usize) -> f64 {
        let arguments = [&clients.to_string(), &events.to_string(), PEER_SECONDS, "tags"];
        let ran = Process::new(&self.client).args(arguments).output().expect("the peer's client runs");
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        let rate = said.split("-> ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
        rate.unwrap_or_else(|| panic!("the peer's client said {said:?}"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Our own child, whether or not it still runs.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
