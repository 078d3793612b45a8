//! A real server on a data folder, and devices that call it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use ed25519_dalek::SigningKey;
use renaksi_domain::entry::{AddEntry, EntryCommand, Reading};
use renaksi_domain::ids::IndicatorId;
use renaksi_domain::quantity::Quantity;
use renaksi_domain::time::{Date, Timestamp};
use renaksi_proto::agreed::{SESSION_KEY, TOKEN_KEY};
use renaksi_proto::chain::{self, ChainHash};
use renaksi_proto::convert::command_leaf;
use renaksi_proto::wire::sync_client::SyncClient;
use renaksi_proto::wire::views_client::ViewsClient;
use renaksi_proto::{log, wire};
use renaksi_tests::program;
use tonic::Request;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use uuid::Uuid;

/// An officer's device that every office of [`crate::history`] has.
pub const DEVICE: u32 = 3;
const NOW: Timestamp = Timestamp(1_734_000_000_000_000);

/// Runs a command of the server's console, which must do; answers what it printed.
pub fn renaksid(data: &Path, arguments: &[&str]) -> String {
    let ran = Command::new(program("renaksid")).args(arguments).arg("--data").arg(data).output();
    let ran = ran.expect("renaksid starts");
    assert!(ran.status.success(), "renaksid {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

/// A server that is stopped when dropped.
pub struct Server {
    child: Child,
    pub address: String,
}

impl Server {
    /// Starts it with more options of `serve`; answers when it says that it is ready.
    pub fn start(data: &Path, options: &[&str]) -> Server {
        let mut command = Command::new(program("renaksid"));
        command.args(["serve", "--json", "--listen", "127.0.0.1:0", "--data"]).arg(data);
        command.args(options);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("renaksid starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("renaksid is ready");
        let ready: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        Server { child, address: ready["listening"].as_str().expect("an address").to_owned() }
    }

    /// A clean stop.
    pub fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        assert!(self.child.wait().expect("it ends").success(), "a clean stop");
    }

    /// A row of /proc/PID/status, in megabytes.
    pub fn megabytes(&self, row: &str) -> f64 {
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

/// A channel to the server of a data folder.
pub async fn channel(data: &Path, server: &Server) -> Channel {
    let authority = std::fs::read(data.join("authority/authority.pem")).expect("an authority");
    let tls =
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority)).domain_name("localhost");
    let endpoint = Endpoint::from_shared(format!("https://{}", server.address)).expect("an address");
    endpoint.tls_config(tls).expect("TLS").connect().await.expect("the server listens")
}

/// As the certificate authority's file has it.
pub fn fingerprint(data: &Path) -> [u8; 32] {
    renaksi_server::authority::load(&data.join("authority")).expect("an authority").fingerprint
}

/// A device of one office.
pub struct Device {
    pub office: Uuid,
    /// Of the device, its incarnation and its owner.
    pub number: u32,
    pub key: SigningKey,
    pub fingerprint: [u8; 32],
    pub channel: Channel,
    pub token: Option<String>,
    pub sequence: u32,
    pub head: ChainHash,
}

impl Device {
    /// Asks for little; answers the milliseconds.
    pub async fn look(&mut self) -> f64 {
        let request = self.request(wire::ListQuartersRequest { year: 2024 });
        let began = Instant::now();
        let answer = ViewsClient::new(self.channel.clone()).list_quarters(request).await;
        let took = began.elapsed().as_secs_f64() * 1_000.0;
        self.answered(answer.expect("the office answers").metadata());
        took
    }

    /// Records so many counts, which must be acknowledged; answers the milliseconds.
    pub async fn push(&mut self, counts: u32) -> f64 {
        let (first_sequence, previous_chain) = (self.sequence + 1, self.head.to_vec());
        let commands = (0..counts).map(|_| self.count()).collect();
        let incarnation = Uuid::from_u128(u128::from(self.number));
        let request = self.request(wire::PushRequest {
            origin: self.number,
            first_sequence,
            previous_chain,
            commands,
            chain_signature: chain::sign_push(&self.key, self.office, incarnation, self.sequence, &self.head),
            device_time_us: NOW.0,
            ..wire::PushRequest::default()
        });
        let began = Instant::now();
        let answer = SyncClient::new(self.channel.clone()).push(request).await.expect("the office answers");
        let took = began.elapsed().as_secs_f64() * 1_000.0;
        self.answered(answer.metadata());
        assert_eq!(answer.get_ref().receipts.len(), counts as usize, "{answer:?}");
        took
    }

    fn count(&mut self) -> wire::Stored {
        let add = AddEntry {
            indicator: IndicatorId(20),
            on: Date::parse("2024-12-02").expect("a day"),
            reading: Reading::Quantity(Quantity::from_parts(3, 0).expect("a small number")),
        };
        let command = renaksi_domain::Command::Entry(EntryCommand::Add(add));
        let made = command_leaf(&command, NOW, &log::Texts::default(), [0; 16]);
        self.sequence += 1;
        self.head = chain::link(&self.head, &made.leaf);
        wire::Stored { leaf: made.leaf, aside: made.aside }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        match &self.token {
            Some(token) => {
                let bearer = format!("Bearer {token}").parse().expect("a token is hexadecimal");
                request.metadata_mut().insert("authorization", bearer);
            }
            None => {
                let nonce: [u8; 16] =
                    std::array::from_fn(|index| self.office.as_bytes()[15 - index] ^ self.number as u8);
                let signature =
                    chain::sign_session(&self.key, self.office, &self.fingerprint, self.number, &nonce);
                let proof =
                    [self.office.as_bytes().as_slice(), &self.number.to_be_bytes(), &nonce, &signature];
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
