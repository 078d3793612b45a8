//! A whole log in one file, and its verification without a server and without trust in one.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

use ed25519_dalek::VerifyingKey;
use prost::Message;
use renaksi_domain::hash::state_hash;
use renaksi_ledger::checkpoint::{parse_verifier_key, verifier_key};
use renaksi_ledger::merkle::{Frontier, Hash, leaf_hash};
use renaksi_ledger::{COMMIT_BYTES_MAX, Checkpoint, LogReader, SignedCheckpoint};
use renaksi_proto::wire;
use uuid::Uuid;

use super::Device;
use super::home::{storage, sync_dir, unfinished};
use super::replica::replica_error;
use super::verify::{Bad, Checks, VerifyReport};
use crate::error::{ClientError, Rejected};

/// What such a file begins with.
const MAGIC: &[u8] = b"renaksi bundle 1\n";
/// A commit, its leaf hashes and what protobuf adds.
const MESSAGE_BYTES_MAX: u64 = 2 * COMMIT_BYTES_MAX;

/// Whose log, and the key that signs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogKey {
    pub office: Uuid,
    pub key: VerifyingKey,
}

impl LogKey {
    /// Reads the form that [`Device::provable`] answers.
    pub fn parse(text: &str) -> Option<LogKey> {
        parse_verifier_key(text).map(|(office, key)| LogKey { office, key })
    }
}

impl Device {
    /// The checkpoint that receipts and exports are made under, with the key that signed it as other programs take it.
    ///
    /// # Errors
    /// Failed `NO_CHECKPOINT` before the first synchronisation with a server that signs.
    pub fn provable(&self) -> Result<(&SignedCheckpoint, String), ClientError> {
        let none = || ClientError::Failed(Rejected::new("NO_CHECKPOINT"));
        let signed = self.checkpoint.as_ref().ok_or_else(none)?;
        let key =
            self.identity.log_key.and_then(|key| VerifyingKey::from_bytes(&key).ok()).ok_or_else(none)?;
        Ok((signed, verifier_key(&signed.checkpoint(), &key)))
    }

    /// Writes the log up to its checkpoint into one file, texts beside the records too. Durable when this returns.
    ///
    /// # Errors
    /// Failed `NO_CHECKPOINT`, `IO_FAILED`; NotAdmitted `FILE_EXISTS`; Integrity when the replica is not what was signed.
    pub fn export_bundle(&self, path: &Path) -> Result<Checkpoint, ClientError> {
        let (signed, key) = self.provable()?;
        if path.exists() {
            return Err(ClientError::NotAdmitted(Rejected::new("FILE_EXISTS").with("path", path.display())));
        }
        let partial = unfinished(path);
        let written = File::create(&partial).map_err(storage("write", &partial)).and_then(|file| {
            let head = wire::BundleHead { checkpoint: signed.note().to_owned(), log_key: key };
            write(&self.replica.reader(), &signed.checkpoint(), &head, file, &partial)
        });
        if let Err(error) = written {
            // What is left of it is of no use to anybody.
            let _ = std::fs::remove_file(&partial);
            return Err(error);
        }
        std::fs::rename(&partial, path).map_err(storage("write", path))?;
        sync_dir(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
        Ok(signed.checkpoint())
    }
}

fn write(
    reader: &LogReader,
    at: &Checkpoint,
    head: &wire::BundleHead,
    file: File,
    path: &Path,
) -> Result<(), ClientError> {
    let failed = || storage("write", path);
    let mut out = BufWriter::new(file);
    out.write_all(MAGIC).map_err(failed())?;
    out.write_all(&head.encode_length_delimited_to_vec()).map_err(failed())?;
    let mut frontier = Frontier::default();
    for commit in reader.iter(1) {
        if frontier.size() >= at.size {
            break;
        }
        let commit = commit.map_err(|error| replica_error(&error))?;
        let hashes: Vec<Hash> = commit.entries.iter().map(|entry| leaf_hash(&entry.leaf)).collect();
        hashes.iter().for_each(|hash| frontier.append(*hash));
        let records = commit.entries.into_iter();
        let records = records.map(|entry| wire::Stored { leaf: entry.leaf, aside: entry.aside });
        let message = wire::BundleCommit {
            first: commit.first,
            records: records.collect(),
            leaf_hashes: hashes.concat(),
            root_after: commit.root_after.to_vec(),
        };
        out.write_all(&message.encode_length_delimited_to_vec()).map_err(failed())?;
    }
    if (frontier.size(), frontier.root()) != (at.size, at.root) {
        let cause = Rejected::new("CHECKPOINT_DIFFERS").with("position", at.size).with("checkpoint", at);
        return Err(ClientError::Integrity(cause));
    }
    let file = out.into_inner().map_err(|error| failed()(error.into_error()))?;
    file.sync_all().map_err(failed())
}

/// What the verification of a bundle found, and who vouches for the key.
#[derive(Clone, Debug)]
pub struct BundleReport {
    pub log: VerifyReport,
    /// The key that the checkpoint was checked with, as other programs take it.
    pub log_key: String,
    /// It came with the bundle, so whoever made the bundle may have made it too: compare it with one you trust.
    pub key_from_bundle: bool,
}

/// Checks a bundle as [`Device::verify`] checks a replica, and that it is the whole log that its checkpoint signs.
///
/// `trusted` is the key to check it with; without one the bundle's own is taken.
///
/// # Errors
/// NotAdmitted `NOT_A_BUNDLE`; NotUnderstood `FILE_NOT_FOUND`; Integrity `CHECKPOINT_INVALID` and `BUNDLE_DAMAGED` where
/// nothing of it can be told. What does not hold is in the report.
pub fn verify_bundle(path: &Path, trusted: Option<LogKey>) -> Result<BundleReport, ClientError> {
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            ClientError::NotUnderstood(Rejected::new("FILE_NOT_FOUND").with("path", path.display()))
        }
        _ => storage("read", path)(error),
    })?;
    let mut input = BufReader::new(file);
    let mut magic = vec![0; MAGIC.len()];
    if input.read_exact(&mut magic).is_err() || magic != MAGIC {
        return Err(ClientError::NotAdmitted(Rejected::new("NOT_A_BUNDLE").with("path", path.display())));
    }
    let damaged = || ClientError::Integrity(Rejected::new("BUNDLE_DAMAGED").with("position", 1));
    let head: wire::BundleHead = next(&mut input).ok().flatten().ok_or_else(damaged)?;
    let own = LogKey::parse(&head.log_key).ok_or_else(damaged)?;
    let (key_from_bundle, log_key) = (trusted.is_none(), trusted.unwrap_or(own));
    if log_key != own {
        let cause = format!(
            "the export is of office {}, or of another key than the one to check it with",
            own.office
        );
        return Err(ClientError::Integrity(Rejected::new("CHECKPOINT_INVALID").with("cause", cause)));
    }
    let signed = SignedCheckpoint::open(&head.checkpoint, log_key.office, &log_key.key)
        .map_err(|error| ClientError::Integrity(Rejected::new("CHECKPOINT_INVALID").with("cause", error)))?;
    let at = signed.checkpoint();
    let mut reading = Reading { frontier: Frontier::default(), checks: Checks::of(log_key.office) };
    let first_bad = reading.whole(&mut input, &at);
    let mut log = VerifyReport::of(reading.frontier.size(), reading.frontier.root(), at.epoch);
    reading.checks.tell(&mut log);
    log.checked_records = reading.checks.position();
    log.state_hash = state_hash(reading.checks.state());
    log.checkpoint = Some(signed);
    log.first_bad = first_bad.err();
    log.ok = log.first_bad.is_none();
    Ok(BundleReport { log, log_key: verifier_key(&at, &log_key.key), key_from_bundle })
}

struct Reading {
    frontier: Frontier,
    checks: Checks,
}

impl Reading {
    /// Reads to the end, or to the first position that does not hold.
    fn whole(&mut self, input: &mut impl BufRead, at: &Checkpoint) -> Result<(), Bad> {
        loop {
            let here = self.frontier.size() + 1;
            match next(input) {
                Ok(Some(commit)) => self.commit(commit)?,
                Ok(None) => break,
                Err(_) => return Err(Bad::new(here, "BUNDLE_DAMAGED")),
            }
        }
        let size = self.frontier.size();
        // What is missing may hold the signature over what is there.
        let unsigned = self.checks.first_unsigned().filter(|_| size >= at.size);
        if let Some(position) = unsigned {
            return Err(Bad::new(position, "SIGNATURE_MISSING"));
        }
        match size {
            _ if size < at.size => Err(Bad::new(size + 1, "RECORDS_MISSING")),
            _ if size > at.size => Err(Bad::new(at.size + 1, "CHECKPOINT_DIFFERS")),
            _ if self.frontier.root() != at.root => Err(Bad::new(size, "CHECKPOINT_DIFFERS")),
            _ => Ok(()),
        }
    }

    fn commit(&mut self, commit: wire::BundleCommit) -> Result<(), Bad> {
        let here = self.frontier.size() + 1;
        if commit.first != here || commit.records.is_empty() {
            return Err(Bad::new(here, "RECORDS_MISSING"));
        }
        // The hashes are believed only as far as they lead to the root; they tell which record of a commit was changed.
        let hashes = commit.leaf_hashes.chunks_exact(32);
        let mut said = hashes.map(|hash| Hash::try_from(hash).expect("BUG: chunks of 32 bytes"));
        for (position, record) in (here..).zip(&commit.records) {
            let leaf = leaf_hash(&record.leaf);
            if said.next() != Some(leaf) {
                return Err(Bad::new(position, "RECORD_CHANGED"));
            }
            self.checks.record(position, &record.leaf, &record.aside)?;
            self.frontier.append(leaf);
        }
        let after = self.frontier.size() + 1;
        match said.next() {
            Some(_) => Err(Bad::new(after, "RECORDS_MISSING")),
            None if self.frontier.root().as_slice() != commit.root_after => {
                Err(Bad::new(here, "RECORD_CHANGED"))
            }
            None => {
                self.checks.commit_ends(self.frontier.root());
                Ok(())
            }
        }
    }
}

/// The next message; None at the end of the file. Errors: anything that is not a whole message.
fn next<M: Message + Default>(input: &mut impl BufRead) -> io::Result<Option<M>> {
    if input.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let mut length = 0_u64;
    for shift in (0..35).step_by(7) {
        let mut byte = [0];
        input.read_exact(&mut byte)?;
        length |= u64::from(byte[0] & 0x7f) << shift;
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    if length > MESSAGE_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = Vec::new();
    input.take(length).read_to_end(&mut bytes)?;
    if (bytes.len() as u64) < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    M::decode(bytes.as_slice()).map(Some).map_err(io::Error::other)
}
