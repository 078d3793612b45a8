//! Many offices on one server: what they cost in memory, and what the first call to a closed one waits.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use renaksi_domain::entry::{AddEntry, EntryCommand, Reading};
use renaksi_domain::ids::{IndicatorId, Origin};
use renaksi_domain::quantity::Quantity;
use renaksi_domain::time::{Date, Timestamp};
use renaksi_proto::agreed::{SESSION_KEY, TOKEN_KEY};
use renaksi_proto::chain::{self, ChainHash};
use renaksi_proto::convert::command_leaf;
use renaksi_proto::wire::sync_client::SyncClient;
use renaksi_proto::wire::views_client::ViewsClient;
use renaksi_proto::{log, wire};
use renaksi_tests::program;
use tokio::sync::Mutex;
use tonic::Request;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use uuid::Uuid;

use crate::Figure;

mod making;

use making::Mould;

const OFFICES: usize = 1_000;
const RECORDS: usize = 10_000;
/// Calls to offices drawn at random, one in five of them a push.
const CALLS: usize = 5_000;
const AT_ONCE: usize = 8;
/// An officer's device, the same in every office.
const DEVICE: u32 = 3;
const NOW: Timestamp = Timestamp(1_734_000_000_000_000);

/// Runs the bench.
pub fn run() -> Vec<Figure> {
    let count = asked("--offices").unwrap_or(OFFICES);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let data = dir.path().join("data");
    let key = SigningKey::from_bytes(&[9; 32]);
    let mould = Mould::new(RECORDS, key.verifying_key().to_bytes());
    let ids = make(&data, &mould, count);
    let server = Server::start(&data);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(measure(&data, &server, &mould, &key, &ids))
}

/// The number behind an option.
fn asked(option: &str) -> Option<usize> {
    let mut arguments = std::env::args().skip_while(|argument| argument != option);
    arguments.nth(1).map(|number| number.parse().expect("the option takes a number"))
}

/// A folder with so many offices beside the one that `init` made.
fn make(data: &Path, mould: &Mould, count: usize) -> Vec<Uuid> {
    renaksid(data, &["init", "--office", "Dinas Induk", "--operator", "operator-1"]);
    let offices = data.join("offices");
    let ids: Vec<Uuid> = (1..=count as u128).map(Uuid::from_u128).collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for part in ids.chunks(count.div_ceil(threads)) {
            let offices = &offices;
            scope.spawn(move || part.iter().for_each(|id| mould.write(offices, *id)));
        }
    });
    // What was made is what a server would have made.
    renaksid(data, &["check", "--office", &ids[0].to_string()]);
    ids
}

fn renaksid(data: &Path, arguments: &[&str]) {
    let ran = Command::new(program("renaksid")).args(arguments).arg("--data").arg(data).output();
    let ran = ran.expect("renaksid starts");
    assert!(ran.status.success(), "renaksid {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(data: &Path) -> Server {
        let mut command = Command::new(program("renaksid"));
        command.args(["serve", "--json", "--listen", "127.0.0.1:0", "--data"]).arg(data);
        if let Some(open) = asked("--open") {
            command.args(["--open-offices", &open.to_string()]);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().expect("renaksid starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("renaksid is ready");
        let ready: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        Server { child, address: ready["listening"].as_str().expect("an address").to_owned() }
    }

    /// A row of /proc/PID/status, in megabytes.
    fn megabytes(&self, row: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(row)?.strip_prefix(':'));
        let kilobytes = line.and_then(|line| line.trim().split(' ').next()?.parse::<f64>().ok());
        kilobytes.expect("Linux tells it") * 1_024.0 / 1e6
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn measure(data: &Path, server: &Server, mould: &Mould, key: &SigningKey, ids: &[Uuid]) -> Vec<Figure> {
    let authority = std::fs::read(data.join("authority/authority.pem")).expect("an authority");
    let tls =
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority)).domain_name("localhost");
    let endpoint = Endpoint::from_shared(format!("https://{}", server.address)).expect("an address");
    let channel = endpoint.tls_config(tls).expect("TLS").connect().await.expect("the server listens");
    let fingerprint = fingerprint(data);
    let (sequence, head) = mould.device(Origin(DEVICE));
    let devices: Vec<Arc<Mutex<Device>>> = ids
        .iter()
        .map(|office| {
            let (key, channel) = (key.clone(), channel.clone());
            let device = Device { office: *office, key, fingerprint, channel, token: None, sequence, head };
            Arc::new(Mutex::new(device))
        })
        .collect();

    tokio::time::sleep(Duration::from_secs(1)).await;
    let at_rest = server.megabytes("VmRSS");
    let mut seed = 7;
    let (mut closed, mut open) = (Vec::new(), Vec::new());
    for index in shuffled(devices.len(), &mut seed) {
        let mut device = devices[index].lock().await;
        closed.push(device.look().await);
        open.push(device.look().await);
    }
    let after_first = server.megabytes("VmRSS");
    let began = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for worker in 0..AT_ONCE {
        let devices = devices.clone();
        running.spawn(async move {
            let mut seed = worker as u64;
            for call in 0..CALLS / AT_ONCE {
                let mut device = devices[random(&mut seed, devices.len())].lock().await;
                match call % 5 {
                    0 => device.push().await,
                    _ => drop(device.look().await),
                }
            }
        });
    }
    running.join_all().await;
    let rate = CALLS as f64 / began.elapsed().as_secs_f64();
    let figure = |case: &str, value, unit| Figure { case: case.into(), value, unit, baseline: None };
    let opening = percentile(&mut closed, 50);
    vec![
        figure("resident, no office used", at_rest, "MB"),
        figure("resident, each used once", after_first, "MB"),
        figure("resident, at the end", server.megabytes("VmRSS"), "MB"),
        figure("resident, peak", server.megabytes("VmHWM"), "MB"),
        Figure {
            case: "first call, median".into(),
            value: opening,
            unit: "ms",
            baseline: Some(("call to an open office", percentile(&mut open, 50))),
        },
        figure("first call, p99", percentile(&mut closed, 99), "ms"),
        figure("calls at random, 8 at once", rate, "calls/s"),
    ]
}

/// As the certificate authority's file has it.
fn fingerprint(data: &Path) -> [u8; 32] {
    renaksi_server::authority::load(&data.join("authority")).expect("an authority").fingerprint
}

/// A device of one office.
struct Device {
    office: Uuid,
    key: SigningKey,
    fingerprint: [u8; 32],
    channel: Channel,
    token: Option<String>,
    sequence: u32,
    head: ChainHash,
}

impl Device {
    /// Asks for little; answers the milliseconds.
    async fn look(&mut self) -> f64 {
        let request = self.request(wire::ListQuartersRequest { year: 2024 });
        let began = Instant::now();
        let answer = ViewsClient::new(self.channel.clone()).list_quarters(request).await;
        let took = began.elapsed().as_secs_f64() * 1_000.0;
        self.answered(answer.expect("the office answers").metadata());
        took
    }

    /// Records one count, which must be acknowledged.
    async fn push(&mut self) {
        let add = AddEntry {
            indicator: IndicatorId(20),
            on: Date::parse("2024-12-02").expect("a day"),
            reading: Reading::Quantity(Quantity::from_parts(3, 0).expect("a small number")),
        };
        let command = renaksi_domain::Command::Entry(EntryCommand::Add(add));
        let made = command_leaf(&command, NOW, &log::Texts::default(), [0; 16]);
        let (previous, head) = (self.head, chain::link(&self.head, &made.leaf));
        let sequence = self.sequence + 1;
        let incarnation = Uuid::from_u128(u128::from(DEVICE));
        let request = self.request(wire::PushRequest {
            origin: DEVICE,
            first_sequence: sequence,
            previous_chain: previous.to_vec(),
            commands: vec![wire::Stored { leaf: made.leaf, aside: made.aside }],
            chain_signature: chain::sign_push(&self.key, self.office, incarnation, sequence, &head),
            device_time_us: NOW.0,
            ..wire::PushRequest::default()
        });
        let answer = SyncClient::new(self.channel.clone()).push(request).await.expect("the office answers");
        self.answered(answer.metadata());
        assert_eq!(answer.get_ref().receipts.len(), 1, "{answer:?}");
        (self.sequence, self.head) = (sequence, head);
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        match &self.token {
            Some(token) => {
                let bearer = format!("Bearer {token}").parse().expect("a token is hexadecimal");
                request.metadata_mut().insert("authorization", bearer);
            }
            None => {
                let nonce: [u8; 16] = std::array::from_fn(|index| self.office.as_bytes()[15 - index]);
                let signature =
                    chain::sign_session(&self.key, self.office, &self.fingerprint, DEVICE, &nonce);
                let proof = [self.office.as_bytes().as_slice(), &DEVICE.to_be_bytes(), &nonce, &signature];
                request.metadata_mut().insert_bin(SESSION_KEY, MetadataValue::from_bytes(&proof.concat()));
            }
        }
        request
    }

    fn answered(&mut self, metadata: &MetadataMap) {
        let token = metadata.get(TOKEN_KEY).and_then(|token| token.to_str().ok());
        self.token = token.map(str::to_owned).or(self.token.take());
    }
}

fn random(seed: &mut u64, below: usize) -> usize {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) as usize % below
}

fn shuffled(count: usize, seed: &mut u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    (1..count).for_each(|last| order.swap(last, random(seed, last + 1)));
    order
}

fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() * percent / 100).min(values.len() - 1)]
}
