//! FAULTS L8: a subscriber reads one page of its pull and no more, while 100,000 records arrive.

#![allow(clippy::unwrap_used)]

mod stage;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use renaksi_ledger::LogReader;
use renaksi_proto::chain::{self, ChainHash};
use renaksi_proto::wire::pull_page::Page;
use renaksi_proto::wire::{self, sync_client::SyncClient};
use renaksi_server::data::Data;
use sha2::{Digest, Sha256};
use stage::network::*;
use stage::*;
use tonic::transport::Channel;

/// Records that arrive while the subscriber stalls, and how many a push has.
const ARRIVING: usize = 100_000;
const PUSHED: usize = 5_000;
/// Before it there are commits as long as any can be. What waits for the subscriber is the first few of them.
const LONG_COMMITS: usize = 13;
const LONG_COMMIT_RECORDS: usize = 139;
const LONG_RECORD_BYTES: usize = 60_000;
/// Subscribers that stall.
const STALLING: usize = 4;
/// By how much the server may grow meanwhile: for each of them a few pages as long as any can be. What they have not read
/// takes 108 MB each.
const GROWTH_BYTES_MAX: u64 = STALLING as u64 * (80 << 20);

/// What the device has sent so far.
struct Feed {
    sent: u32,
    chain: ChainHash,
}

impl Feed {
    /// The push of so many more commands, of bytes that are none.
    fn push(&mut self, commands: usize, bytes: usize) -> wire::PushRequest {
        let (first, previous) = (self.sent + 1, self.chain);
        let stored = wire::Stored { leaf: vec![0xFF; bytes], aside: Vec::new() };
        self.sent += u32::try_from(commands).unwrap();
        self.chain = (0..commands).fold(previous, |head, _| chain::link(&head, &stored.leaf));
        wire::PushRequest {
            origin: 1,
            first_sequence: first,
            previous_chain: previous.to_vec(),
            commands: vec![stored; commands],
            chain_signature: chain::sign_push(&key(), OFFICE, INCARNATION, self.sent, &self.chain),
            device_time_us: NOW.0,
            ..wire::PushRequest::default()
        }
    }
}

/// The real program, so that its memory is its own.
struct Serving {
    child: Child,
    channel_to: std::net::SocketAddr,
}

impl Serving {
    fn start(data: &Data) -> Serving {
        let mut command = Command::new(env!("CARGO_BIN_EXE_renaksid"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--json", "--data"]).arg(data.dir());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
        Serving { child, channel_to: ready["listening"].as_str().unwrap().parse().unwrap() }
    }

    /// A line of what the kernel says of its memory.
    fn memory_bytes(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().unwrap() << 10
    }

    /// Its memory now, from which on its peak is counted.
    fn begin_peak(&self) -> u64 {
        fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").unwrap();
        self.memory_bytes("VmRSS:")
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a subscriber has of the log.
struct Replica {
    position: u64,
    root: Vec<u8>,
    leaves: Sha256,
}

impl Replica {
    fn empty() -> Replica {
        Replica { position: 0, root: Vec::new(), leaves: Sha256::new() }
    }

    async fn pull(&self, data: &Data, sync: &mut SyncClient<Channel>) -> tonic::Streaming<wire::PullPage> {
        let request =
            wire::PullRequest { position: self.position, root: self.root.clone(), ..Default::default() };
        sync.pull(proven(data, request)).await.unwrap().into_inner()
    }

    /// Takes a page; true at the end.
    fn take(&mut self, page: wire::PullPage) -> bool {
        match page.page.unwrap() {
            Page::Commit(commit) => {
                assert_eq!(commit.first, self.position + 1, "a gap, or a repeat");
                self.position += commit.records.len() as u64;
                self.root = commit.root_after;
                commit.records.iter().for_each(|stored| self.leaves.update(&stored.leaf));
                false
            }
            Page::End(end) => {
                assert_eq!(end.position, self.position);
                true
            }
            Page::Directory(_) | Page::Checkpoint(_) => false,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l8_a_subscriber_that_stalls_costs_little_and_catches_up_without_gap_or_repeat() {
    let mut stage = Stage::new().await;
    let mut feed = Feed { sent: 0, chain: chain::start(INCARNATION) };
    for _ in 0..LONG_COMMITS {
        stage.push(feed.push(LONG_COMMIT_RECORDS, LONG_RECORD_BYTES)).await.unwrap();
    }
    let (id, head) = (stage.office().shared.id, stage.office().shared.reader.head());
    let office = stage.office.take().unwrap();
    tokio::task::block_in_place(|| office.close());
    let serving = Serving::start(&stage.data);
    let connect = || connect(&stage.data, serving.channel_to);
    let mut sync = SyncClient::new(connect().await).max_decoding_message_size(80 << 20);
    let mut device = SyncClient::new(connect().await).max_decoding_message_size(80 << 20);

    // Nothing is new to this one: the head is signed, and what that takes is not counted below.
    let mut nothing = Replica { position: head.size, root: head.root.to_vec(), ..Replica::empty() };
    let mut pages = nothing.pull(&stage.data, &mut sync).await;
    while !nothing.take(pages.message().await.unwrap().unwrap()) {}

    let before = serving.begin_peak();
    let mut replica = Replica::empty();
    let mut stalled = replica.pull(&stage.data, &mut sync).await;
    while replica.position == 0 {
        assert!(!replica.take(stalled.message().await.unwrap().unwrap()));
    }
    // Others who stall as well, each on a connection of their own.
    let mut others = Vec::new();
    for _ in 1..STALLING {
        let mut other = SyncClient::new(connect().await).max_decoding_message_size(80 << 20);
        let mut pages = Replica::empty().pull(&stage.data, &mut other).await;
        let _: wire::PullPage = pages.message().await.unwrap().unwrap();
        others.push(pages);
    }
    for _ in 0..ARRIVING / PUSHED {
        let answer = device.push(proven(&stage.data, feed.push(PUSHED, 4))).await.unwrap().into_inner();
        assert_eq!(answer.receipts.len(), PUSHED);
    }
    let grown = serving.memory_bytes("VmHWM:").saturating_sub(before);
    println!("the server grew by {} KiB over {} KiB", grown >> 10, before >> 10);
    assert!(grown < GROWTH_BYTES_MAX, "the server grew by {grown} bytes over {before}");

    // It reads on where it was; and whatever ended its stream, it asks again from what it has.
    let size = head.size + ARRIVING as u64;
    loop {
        while let Ok(Some(page)) = stalled.message().await {
            if replica.take(page) {
                break;
            }
        }
        if replica.position == size {
            break;
        }
        stalled = replica.pull(&stage.data, &mut sync).await;
    }
    let reader = LogReader::open_read_only(&stage.data.office("log"), &id).unwrap();
    let mut leaves = Sha256::new();
    reader
        .iter(1)
        .for_each(|commit| commit.unwrap().entries.iter().for_each(|entry| leaves.update(&entry.leaf)));
    assert_eq!((reader.head().size, reader.head().root.to_vec()), (size, replica.root));
    assert_eq!(replica.leaves.finalize(), leaves.finalize());
}
