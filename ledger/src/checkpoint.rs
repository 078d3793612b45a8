//! Signed tree heads: the text of C2SP tlog-checkpoint as a C2SP signed-note, with Ed25519.
//!
//! ```text
//! renaksi/<office>/<epoch>
//! <size>
//! <root, base64>
//!
//! — renaksi/<office>/<epoch> <base64 of the key's id, 4 bytes, and the signature, 64 bytes>
//! ```
//!
//! Whatever other lines and signatures a note has are kept and not looked at, as both texts ask.

use std::fmt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::disk::{Disk, folder_of};
use crate::error::Result;
use crate::merkle::Hash;

/// The longest note that is read. Ours have about 300 bytes; witnesses may add theirs.
const NOTE_BYTES_MAX: usize = 1 << 20;
const SIGNATURE_MARK: &str = "\u{2014} ";
/// The kind of key in a signed note: Ed25519.
const ED25519: u8 = 1;

/// What a checkpoint says: the log had these records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose log.
    pub office: Uuid,
    /// The epoch in which it was signed. Within one no two checkpoints disagree.
    pub epoch: u32,
    /// Number of records.
    pub size: u64,
    /// The tree hash over them.
    pub root: Hash,
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "position {} of epoch {} with root ", self.size, self.epoch)?;
        self.root.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why a text is no checkpoint to rely on.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CheckpointError {
    /// The bytes are no signed note with a checkpoint in it.
    #[error("this is not a signed checkpoint: {0}")]
    Malformed(&'static str),
    /// It names another log.
    #[error("the checkpoint is of the log {found:?}, not of office {expected}")]
    OtherLog {
        /// Its first line.
        found: String,
        /// The office asked about.
        expected: Uuid,
    },
    /// No line is by this key.
    #[error("the checkpoint at {0} is not signed with the office's log key")]
    OtherKey(Checkpoint),
    /// The line that names this key is not its signature.
    #[error("the signature under the checkpoint at {0} does not hold: it was changed, or never signed")]
    BadSignature(Checkpoint),
}

/// A checkpoint and the note that proves it, byte for byte as it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: String,
}

impl SignedCheckpoint {
    /// Signs. Only [`crate::Signer`] does it for a log: it remembers what was signed before.
    pub(crate) fn sign(checkpoint: Checkpoint, key: &SigningKey) -> SignedCheckpoint {
        let name = origin(&checkpoint);
        let text = format!("{name}\n{}\n{}\n", checkpoint.size, STANDARD.encode(checkpoint.root));
        let mut signature = key_id(&name, &key.verifying_key()).to_vec();
        signature.extend_from_slice(&key.sign(text.as_bytes()).to_bytes());
        let note = format!("{text}\n{SIGNATURE_MARK}{name} {}\n", STANDARD.encode(signature));
        SignedCheckpoint { checkpoint, note }
    }

    /// Reads a note and checks that the key of this office's log signed it.
    pub fn open(note: &str, office: Uuid, key: &VerifyingKey) -> Result<SignedCheckpoint, CheckpointError> {
        let (text, signatures) = split(note)?;
        let checkpoint = parse(text, office)?;
        let name = origin(&checkpoint);
        let own = key_id(&name, key);
        for line in signatures.lines() {
            let (signer, signature) = line
                .strip_prefix(SIGNATURE_MARK)
                .and_then(|line| line.split_once(' '))
                .ok_or(CheckpointError::Malformed("a signature line is not one"))?;
            let Some((id, signature)) = decode(signature).and_then(|bytes| {
                let (id, signature) = bytes.split_first_chunk::<4>()?;
                Some((*id, signature.to_vec()))
            }) else {
                return Err(CheckpointError::Malformed("a signature is not base64"));
            };
            if signer != name || id != own {
                continue;
            }
            let signature = Signature::from_slice(&signature);
            let holds =
                signature.is_ok_and(|signature| key.verify_strict(text.as_bytes(), &signature).is_ok());
            return match holds {
                true => Ok(SignedCheckpoint { checkpoint, note: note.to_owned() }),
                false => Err(CheckpointError::BadSignature(checkpoint)),
            };
        }
        Err(CheckpointError::OtherKey(checkpoint))
    }

    /// What it says.
    pub fn checkpoint(&self) -> Checkpoint {
        self.checkpoint
    }

    /// The signed note.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// Keeps the note as `path`, whole or not at all; durable when this returns. Errors: Io.
    ///
    /// If we crash here: the file before, or this one, and perhaps a `.new` that the next call replaces.
    pub fn store(&self, path: &Path) -> Result<()> {
        self.store_on(&Disk::default(), path)
    }

    /// As [`SignedCheckpoint::store`], on a disk that may be watched.
    pub(crate) fn store_on(&self, disk: &Disk, path: &Path) -> Result<()> {
        let file = disk.create(path.with_extension("new"))?;
        file.write(self.note.as_bytes(), 0)?;
        file.sync()?;
        file.rename(path.to_owned())?;
        disk.sync_dir(folder_of(path))
    }
}

/// The name of a log, and of its key: `renaksi/<office>/<epoch>`.
pub fn origin(checkpoint: &Checkpoint) -> String {
    format!("renaksi/{}/{}", checkpoint.office, checkpoint.epoch)
}

/// The key as other programs take it: `<name>+<id in hex>+<base64 of the kind and the 32 bytes>`, named after the log in
/// the checkpoint's epoch.
pub fn verifier_key(checkpoint: &Checkpoint, key: &VerifyingKey) -> String {
    let name = origin(checkpoint);
    let id = u32::from_be_bytes(key_id(&name, key));
    format!("{name}+{id:08x}+{}", STANDARD.encode([&[ED25519], &key.as_bytes()[..]].concat()))
}

/// Reads what [`verifier_key`] wrote: office and key. A key is good for every epoch of its office.
pub fn parse_verifier_key(text: &str) -> Option<(Uuid, VerifyingKey)> {
    let mut parts = text.trim().splitn(3, '+');
    let (name, id, key) = (parts.next()?, parts.next()?, parts.next()?);
    let (office, _) = parse_origin(name)?;
    let bytes = decode(key)?;
    let key = VerifyingKey::from_bytes(bytes.strip_prefix(&[ED25519])?.try_into().ok()?).ok()?;
    let expected = format!("{:08x}", u32::from_be_bytes(key_id(name, &key)));
    (id == expected).then_some((office, key))
}

fn key_id(name: &str, key: &VerifyingKey) -> [u8; 4] {
    let digest: Hash =
        Sha256::new().chain_update(name).chain_update([b'\n', ED25519]).chain_update(key).finalize().into();
    [digest[0], digest[1], digest[2], digest[3]]
}

/// The text, with its last line end, and the signature lines.
fn split(note: &str) -> Result<(&str, &str), CheckpointError> {
    if note.len() > NOTE_BYTES_MAX {
        return Err(CheckpointError::Malformed("it is longer than a checkpoint can be"));
    }
    if note.chars().any(|c| c < ' ' && c != '\n') {
        return Err(CheckpointError::Malformed("it has control characters"));
    }
    let middle = note.rfind("\n\n").ok_or(CheckpointError::Malformed("it has no signature"))?;
    let (text, signatures) = (&note[..=middle], &note[middle + 2..]);
    if signatures.is_empty() || !signatures.ends_with('\n') {
        return Err(CheckpointError::Malformed("it is cut short"));
    }
    Ok((text, signatures))
}

fn parse(text: &str, office: Uuid) -> Result<Checkpoint, CheckpointError> {
    let mut lines = text.lines();
    let (Some(name), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
        return Err(CheckpointError::Malformed("it has less than three lines"));
    };
    let other_log = || CheckpointError::OtherLog { found: name.to_owned(), expected: office };
    let (_, epoch) = parse_origin(name).filter(|(found, _)| *found == office).ok_or_else(other_log)?;
    let size = decimal(size).ok_or(CheckpointError::Malformed("its second line is not a size"))?;
    let root = decode(root)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(CheckpointError::Malformed("its third line is not a root"))?;
    if lines.any(str::is_empty) {
        return Err(CheckpointError::Malformed("it has an empty line"));
    }
    Ok(Checkpoint { office, epoch, size, root })
}

fn parse_origin(name: &str) -> Option<(Uuid, u32)> {
    let (office, epoch) = name.strip_prefix("renaksi/")?.split_once('/')?;
    let (office, epoch): (Uuid, u32) = (office.parse().ok()?, decimal(epoch)?.try_into().ok()?);
    // One spelling only: it is also the key's name.
    (name == format!("renaksi/{office}/{epoch}")).then_some((office, epoch))
}

/// A number as it is written by us: no sign, no leading zero.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFICE: Uuid = Uuid::from_u128(0x1234);

    fn key(n: u8) -> SigningKey {
        SigningKey::from_bytes(&[n; 32])
    }

    fn signed() -> SignedCheckpoint {
        SignedCheckpoint::sign(Checkpoint { office: OFFICE, epoch: 3, size: 20_852, root: [7; 32] }, &key(1))
    }

    fn open(note: &str) -> Result<SignedCheckpoint, CheckpointError> {
        SignedCheckpoint::open(note, OFFICE, &key(1).verifying_key())
    }

    #[test]
    fn a_checkpoint_is_the_note_that_the_format_asks_for() {
        let text = "renaksi/00000000-0000-0000-0000-000000001234/3\n\
                    20852\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n\n\
                    \u{2014} renaksi/00000000-0000-0000-0000-000000001234/3 ";
        assert!(signed().note().starts_with(text), "{}", signed().note());
        assert_eq!(open(signed().note()).unwrap(), signed());
    }

    #[test]
    fn each_byte_that_is_changed_is_noticed() {
        let note = signed().note().to_owned();
        for at in (0..note.len()).filter(|at| note.is_char_boundary(*at) && note.is_char_boundary(at + 1)) {
            for other in ['A', '9', ' ', '\n', '+'] {
                let changed = format!("{}{other}{}", &note[..at], &note[at + 1..]);
                assert!(changed == note || open(&changed).is_err(), "byte {at} as {other:?}");
            }
            assert!(open(&note[..at]).is_err(), "cut at byte {at}");
        }
    }

    #[test]
    fn other_signatures_and_extension_lines_are_left_alone() {
        let witness = "\u{2014} witness.example AAAAAQID\n";
        let note = format!("{}{witness}", signed().note());
        assert_eq!(open(&note).unwrap().note(), note);
        let signed = signed();
        let (text, _) = split(signed.note()).unwrap();
        let text = format!("{text}an extension\n");
        let mut bytes = key_id(&origin(&signed.checkpoint), &key(1).verifying_key()).to_vec();
        bytes.extend_from_slice(&key(1).sign(text.as_bytes()).to_bytes());
        let name = origin(&signed.checkpoint);
        let note = format!("{text}\n{witness}{SIGNATURE_MARK}{name} {}\n", STANDARD.encode(bytes));
        assert_eq!(open(&note).unwrap().checkpoint(), signed.checkpoint());
    }

    #[test]
    fn what_is_not_a_checkpoint_of_this_log_is_named() {
        let note = signed().note().to_owned();
        let at = signed().checkpoint();
        let by = |n| SignedCheckpoint::open(&note, OFFICE, &key(n).verifying_key());
        assert_eq!(by(2), Err(CheckpointError::OtherKey(at)));
        let forged = note.replacen("20852", "20853", 1);
        assert_eq!(open(&forged), Err(CheckpointError::BadSignature(Checkpoint { size: 20_853, ..at })));
        let other = SignedCheckpoint::open(&note, Uuid::from_u128(1), &key(1).verifying_key());
        assert_eq!(
            other.unwrap_err().to_string(),
            "the checkpoint is of the log \"renaksi/00000000-0000-0000-0000-000000001234/3\", \
             not of office 00000000-0000-0000-0000-000000000001"
        );
        for bad in [
            "",
            "\n\n",
            "a\n\nb",
            "a\nb\n\nc\n",
            &note.replace("20852", "+20852"),
            &note.replace("/3", "/03"),
        ] {
            assert!(open(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_key_as_text_comes_back() {
        let text = verifier_key(&signed().checkpoint(), &key(1).verifying_key());
        assert_eq!(parse_verifier_key(&text), Some((OFFICE, key(1).verifying_key())));
        assert_eq!(parse_verifier_key(&text.replace("/3+", "/4+")), None);
        assert_eq!(parse_verifier_key(&text[..text.len() - 4]), None);
    }
}
