//! FAULTS L2 and L5, as `renaksid check` and a start tell them: each byte of a small office's log and of what lies beside it
//! changed, each file cut. What is damage is named with its place and its mend; what is a cache is made again.

#![allow(clippy::unwrap_used)]

mod stage;

use std::fs;
use std::path::{Path, PathBuf};

use renaksi_domain::hash::state_hash;
use renaksi_ledger::{Checkpoint, LogOptions};
use renaksi_proto::clock::Clock;
use renaksi_server::check::check;
use renaksi_server::damage::Stop;
use renaksi_server::data::Data;
use renaksi_server::error::ServerError;
use renaksi_server::office::{Checked, Office};
use stage::*;

/// Enough for two tiles of the tree.
const COMMANDS: u32 = 600;
/// Several segments.
const SEGMENT_BYTES: u64 = 30_000;

/// An office that was stopped cleanly, with everything beside its log.
struct Stopped {
    stage: Stage,
    checked: Checked,
    signed: Checkpoint,
}

impl Stopped {
    async fn new() -> Stopped {
        let mut stage =
            Stage::with(LogOptions { segment_bytes: SEGMENT_BYTES, ..LogOptions::default() }).await;
        let feed: Vec<_> = (1..=COMMANDS).map(|number| leaf(&number.to_string())).collect();
        for end in (20..=COMMANDS).step_by(20) {
            stage.push(request(&feed[..end as usize], end - 19)).await.unwrap();
        }
        let signed = stage.office().signer.lock().unwrap().sign().unwrap().checkpoint();
        let office = stage.office.take().unwrap();
        tokio::task::block_in_place(|| office.close());
        let checked = check(&stage.data).await.unwrap();
        assert!(segments(&stage.data).len() > 2);
        Stopped { stage, checked, signed }
    }

    fn data(&self) -> &Data {
        &self.stage.data
    }

    fn file(&self, name: &str) -> PathBuf {
        self.data().office(name)
    }

    /// Looking at the folder finds the same as before.
    async fn is_whole(&self, context: &str) {
        let found = check(self.data()).await.unwrap_or_else(|error| panic!("{context}: {}", error.whole()));
        assert_eq!(
            (found.position, found.root, found.state_hash),
            (self.checked.position, self.checked.root, self.checked.state_hash),
            "{context}"
        );
    }

    /// So does a start, which then signs nothing else than before.
    fn opens_whole(&self, context: &str) {
        let office = Office::open_with(self.data(), Clock::Fixed(NOW), self.stage.options.clone());
        let office = office.unwrap_or_else(|error| panic!("{context}: {}", error.whole()));
        let state = state_hash(&office.shared.durable().unwrap().state);
        assert_eq!(state, self.checked.state_hash, "{context}");
        let signed = office.signer.lock().unwrap().sign().unwrap().checkpoint();
        assert_eq!(signed, self.signed, "{context}");
        tokio::task::block_in_place(|| office.close());
    }

    /// So does a start, and what it did not read is read behind it: the office takes no more writes, for damage with a place.
    async fn is_met(&self, file: &Path, context: &str) {
        let office = Office::open_with(self.data(), Clock::Fixed(NOW), self.stage.options.clone()).unwrap();
        let mut stopped = office.shared.watch_stopped();
        let stop = stopped.wait_for(Option::is_some).await.unwrap().clone();
        let Some(Stop::Damaged(damage)) = stop else { panic!("{context}: {stop:?}") };
        let told = damage.source.to_string();
        assert!(told.contains(&file.display().to_string()), "{context}: {told}");
        assert!(told.contains("byte ") && told.contains("position "), "{context}: {told}");
        tokio::task::block_in_place(|| office.close());
    }

    /// Looking refuses, and a start refuses likewise.
    async fn is_refused(&self, file: &Path, placed: bool, context: &str) {
        let error = self.is_named(file, placed, context).await;
        let opened = Office::open_with(self.data(), Clock::Fixed(NOW), self.stage.options.clone());
        assert_eq!(opened.map(drop).map_err(|error| error.code()), Err(error.code()), "{context}");
    }

    /// Looking refuses: exit 7, the file, its mend, and a place in it where there is one.
    async fn is_named(&self, file: &Path, placed: bool, context: &str) -> ServerError {
        let error = check(self.data()).await.map(drop).unwrap_err();
        assert_eq!(error.exit_code(), 7, "{context}: {}", error.whole());
        let told = error.whole();
        assert!(told.contains(&file.display().to_string()), "{context}: {told}");
        assert!(!placed || (told.contains("byte ") && told.contains("position ")), "{context}: {told}");
        assert!(error.hint().contains("restore"), "{context}: {}", error.hint());
        error
    }
}

fn segments(data: &Data) -> Vec<PathBuf> {
    let entries = fs::read_dir(data.office("log")).unwrap().map(|entry| entry.unwrap().path());
    let mut segments: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "log")).collect();
    segments.sort();
    segments
}

/// The bytes of a file with one changed, for those that are not filling, and for some that are; with the place.
fn flips(bytes: &[u8], step: usize) -> impl Iterator<Item = (usize, Vec<u8>)> + '_ {
    let used = (0..bytes.len()).filter(move |at| bytes[*at] != 0 || at % 997 == 0).step_by(step);
    used.map(|at| {
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 1 << (at % 8);
        (at, flipped)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn l2_check_names_the_place_of_any_damage_to_the_log_and_a_start_refuses_what_it_reads() {
    let office = Stopped::new().await;
    let (mut refused, segments) = (0, segments(office.data()));
    for (number, path) in segments.iter().enumerate() {
        let bytes = fs::read(path).unwrap();
        let (slots, frames) = (4_096..12_288, 12_288..bytes.len());
        // A start reads the frames of the last one only; what is before it was folded into a snapshot.
        let unread = |at| frames.contains(&at) && number + 1 < segments.len();
        for (at, flipped) in flips(&bytes, 211) {
            fs::write(path, &flipped).unwrap();
            let context = format!("byte {at} of segment {number}");
            match slots.contains(&at) {
                true => office.is_whole(&context).await,
                false if unread(at) => {
                    office.is_named(path, true, &context).await;
                    match at % 3 {
                        0 => office.is_met(path, &context).await,
                        _ => office.opens_whole(&context),
                    }
                    office.is_named(path, true, &context).await;
                }
                false => office.is_refused(path, true, &context).await,
            }
            let after = fs::read(path).unwrap();
            assert!(after == flipped, "{context}: looking changed the file");
            refused += usize::from(!slots.contains(&at));
        }
        for length in (0..bytes.len()).step_by(1_733).chain([bytes.len() - 1]) {
            fs::write(path, &bytes[..length]).unwrap();
            office.is_refused(path, false, &format!("segment {number} cut to {length} bytes")).await;
            refused += 1;
        }
        fs::write(path, &bytes).unwrap();
    }
    println!("{refused} damages of the log named");
    assert!(refused > 300, "only {refused}");
    office.is_whole("put right again").await;
    office.opens_whole("put right again");
}

#[tokio::test(flavor = "multi_thread")]
async fn l2_a_checkpoint_that_is_damaged_is_named() {
    let office = Stopped::new().await;
    let path = office.file("log/checkpoint");
    let bytes = fs::read(&path).unwrap();
    for (at, flipped) in flips(&bytes, 1) {
        fs::write(&path, flipped).unwrap();
        office.is_refused(&path, false, &format!("byte {at} of the checkpoint")).await;
    }
    for length in 0..bytes.len() {
        fs::write(&path, &bytes[..length]).unwrap();
        office.is_refused(&path, false, &format!("the checkpoint cut to {length} bytes")).await;
    }
    fs::write(&path, &bytes).unwrap();
    office.opens_whole("put right again");
}

/// Every file below a folder.
fn below(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn l5_caches_with_any_damage_are_made_again() {
    let office = Stopped::new().await;
    let tree = office.file("log/tree");
    let snapshot = below(&office.file("snapshots")).pop().unwrap();
    let mut damaged = 0;
    for path in [&tree, &snapshot] {
        let bytes = fs::read(path).unwrap();
        let cut =
            (0..bytes.len()).step_by(bytes.len() / 20 + 1).map(|length| (length, bytes[..length].to_vec()));
        let flipped = flips(&bytes, bytes.len() / 100 + 1);
        for (at, wrong) in flipped.chain(cut) {
            fs::write(path, wrong).unwrap();
            let context = format!("{} at {at}", path.display());
            office.is_whole(&context).await;
            office.opens_whole(&context);
            assert!(path == &snapshot || fs::read(path).unwrap() == bytes, "{context}: not as it was");
            damaged += 1;
        }
        // As after a start from nothing.
        fs::remove_file(path).unwrap();
        office.opens_whole("a cache that is missing");
        fs::write(path, bytes).unwrap();
    }
    println!("{damaged} damages of caches mended");
}

#[tokio::test(flavor = "multi_thread")]
async fn l2_a_whole_log_of_another_office_is_named() {
    let (ours, theirs) = (Stopped::new().await, Stopped::new().await);
    let mut file = theirs.data().server_file().unwrap();
    file.office = uuid::Uuid::from_u128(77);
    theirs.data().write_server_file(&file).unwrap();
    let error: ServerError = check(theirs.data()).await.map(drop).unwrap_err();
    let told = error.whole();
    assert_eq!((error.exit_code(), error.code().as_ref()), (7, "LOG_DAMAGED"), "{told}");
    assert!(told.contains(&OFFICE.to_string()) && told.contains(&file.office.to_string()), "{told}");
    assert!(told.contains("put the right folder back"), "{told}");
    ours.is_whole("the other one").await;
}
