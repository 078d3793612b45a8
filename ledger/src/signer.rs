//! The one that signs checkpoints of a log, and never two that disagree.

use std::fs;
use std::path::{Path, PathBuf};

use ed25519_dalek::{SigningKey, VerifyingKey};
use uuid::Uuid;

use crate::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
use crate::disk::Disk;
use crate::error::Error;
use crate::merkle::Frontier;
use crate::reader::LogReader;
use crate::tree::Tree;
use crate::verify::rehash;

/// Why nothing was signed. While it is so, nothing may be written either: the log is not the one that was signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// Records that were signed for are gone.
    #[error(
        "the log in {} ends at {log}, but a checkpoint was signed at {signed}: signed records are missing; \
         restore them from a backup or a replica, or open a new epoch with a reason", dir.display()
    )]
    Behind {
        /// The log's folder.
        dir: PathBuf,
        /// The last checkpoint that was signed.
        signed: Box<Checkpoint>,
        /// What would have been signed now.
        log: Box<Checkpoint>,
    },
    /// The records that were signed for are others.
    #[error(
        "the log in {} at {log} does not begin with what was signed at {signed}: a signed record was changed; \
         restore the log from a backup or a replica, or open a new epoch with a reason", dir.display()
    )]
    Contradicts {
        /// The log's folder.
        dir: PathBuf,
        /// The last checkpoint that was signed.
        signed: Box<Checkpoint>,
        /// What would have been signed now.
        log: Box<Checkpoint>,
    },
    /// The file that says what was signed is not what was written.
    #[error(
        "{} is damaged, so nothing says what was signed before; restore it from a backup, or take the checkpoint \
         that a device keeps", file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What does not hold.
        #[source]
        source: CheckpointError,
    },
    /// The log could not be read, its records do not hash to the stored roots, or the checkpoint could not be kept.
    #[error("nothing was signed")]
    Log(#[source] Error),
}

/// Signs the head of a log. One a log, by whoever holds the log open for writing.
///
/// *Architecture invariant:* a checkpoint is durable in the file `checkpoint`, beside the log, before anybody gets it.
#[derive(Debug)]
pub struct Signer {
    office: Uuid,
    key: SigningKey,
    reader: LogReader,
    tree: Tree,
    file: PathBuf,
    last: Option<SignedCheckpoint>,
    disk: Disk,
}

impl Signer {
    /// Reads what was signed last and compares it with the log. After an error the log must not be written to.
    /// Errors: all of [`SignError`].
    pub fn open(reader: &LogReader, office: Uuid, key: SigningKey) -> Result<Signer, SignError> {
        Signer::open_on(Disk::default(), reader, office, key)
    }

    /// As [`Signer::open`], on a disk that may be watched.
    pub fn open_on(
        disk: Disk,
        reader: &LogReader,
        office: Uuid,
        key: SigningKey,
    ) -> Result<Signer, SignError> {
        let signer = Signer::open_unchecked_on(disk, reader, office, key)?;
        signer.check()?;
        Ok(signer)
    }

    /// As [`Signer::open`], for whoever asks [`Signer::check`] and lets nothing be written where it says no.
    /// Errors: Damaged, Log.
    pub fn open_unchecked(reader: &LogReader, office: Uuid, key: SigningKey) -> Result<Signer, SignError> {
        Signer::open_unchecked_on(Disk::default(), reader, office, key)
    }

    fn open_unchecked_on(
        disk: Disk,
        reader: &LogReader,
        office: Uuid,
        key: SigningKey,
    ) -> Result<Signer, SignError> {
        let file = reader.dir().join("checkpoint");
        let last = last_signed(&file, office, &key.verifying_key())?;
        let tree = Tree::open_on(disk.clone(), reader).map_err(SignError::Log)?;
        Ok(Signer { office, key, reader: reader.clone(), tree, file, last, disk })
    }

    /// Compares the log with what was signed last. Errors: all of [`SignError`].
    pub fn check(&self) -> Result<(), SignError> {
        self.signed_frontier(&self.head()).map(|_| ())
    }

    /// Reads a note that somebody shows, if this key signed it for this office.
    pub fn read(&self, note: &str) -> Result<SignedCheckpoint, CheckpointError> {
        SignedCheckpoint::open(note, self.office, &self.verifying_key())
    }

    /// Whether the log begins with what a checkpoint says, whoever showed it. Errors: of the log.
    pub fn holds(&self, checkpoint: &Checkpoint) -> Result<bool, Error> {
        if checkpoint.size > self.reader.head().size {
            return Ok(false);
        }
        let root = match self.reader.root_at(checkpoint.size)? {
            Some(root) => root,
            None => self.tree.root(checkpoint.size)?,
        };
        Ok(root == checkpoint.root)
    }

    /// The last checkpoint that was signed.
    pub fn last(&self) -> Option<&SignedCheckpoint> {
        self.last.as_ref()
    }

    /// The key that its signatures are checked with.
    pub fn verifying_key(&self) -> VerifyingKey {
        self.key.verifying_key()
    }

    /// Whose log it is.
    pub fn office(&self) -> Uuid {
        self.office
    }

    /// The tree of the log, for proofs.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// A checkpoint over the log's durable head: the last one again, or a new one, durable when this returns.
    ///
    /// Before signing, the records since the last checkpoint are read from the disk and hashed again, so what is signed is
    /// what the disk holds, and begins with what was signed before. Errors: all of [`SignError`]; nothing was signed then.
    pub fn sign(&mut self) -> Result<&SignedCheckpoint, SignError> {
        let head = self.head();
        if self.last.as_ref().is_none_or(|last| last.checkpoint() != head) {
            self.tree.catch_up().map_err(SignError::Log)?;
            let mut frontier = self.signed_frontier(&head)?;
            rehash(&self.reader, &mut frontier, head.size, |_| {}).map_err(SignError::Log)?;
            if (frontier.size(), frontier.root()) != (head.size, head.root) {
                let dir = self.reader.dir().to_owned();
                return Err(SignError::Log(Error::RootMismatch { dir, first: 1, last: head.size }));
            }
            let signed = SignedCheckpoint::sign(head, &self.key);
            // If we crash here: nobody has seen it. After: the next start holds the log to it.
            signed.store_on(&self.disk, &self.file).map_err(SignError::Log)?;
            self.last = Some(signed);
        }
        Ok(self.last.as_ref().expect("BUG: it was set above, or was there"))
    }

    /// As [`Signer::sign`], but the last checkpoint will do when it covers `size` records: many who ask at once, each for
    /// the head that it saw, cost one signature.
    pub fn covering(&mut self, size: u64) -> Result<&SignedCheckpoint, SignError> {
        let epoch = self.reader.head().epoch;
        let last = self.last.as_ref().map(SignedCheckpoint::checkpoint);
        match last.is_some_and(|last| last.epoch == epoch && last.size >= size) {
            true => Ok(self.last.as_ref().expect("BUG: it was looked at above")),
            false => self.sign(),
        }
    }

    fn head(&self) -> Checkpoint {
        head_of(&self.reader, self.office)
    }

    /// The right edge of the tree where it was signed last in this epoch: from there on records are hashed again. It gives
    /// the root that was signed, or the log is not the one that was signed. A new epoch begins with nothing signed.
    fn signed_frontier(&self, head: &Checkpoint) -> Result<Frontier, SignError> {
        let signed = self.last.as_ref().map(SignedCheckpoint::checkpoint);
        let Some(signed) = in_force(self.reader.dir(), signed, head)? else { return Ok(Frontier::default()) };
        let frontier = self.tree.frontier(signed.size).map_err(SignError::Log)?;
        match frontier.root() == signed.root {
            true => Ok(frontier),
            false => Err(contradicts(self.reader.dir(), signed, head)),
        }
    }
}

/// Compares a log with what was signed for it, and changes nothing. Answers what was signed last in the log's epoch.
/// Errors: all of [`SignError`].
pub fn check_signed(
    reader: &LogReader,
    office: Uuid,
    key: &VerifyingKey,
) -> Result<Option<Checkpoint>, SignError> {
    let last = last_signed(&reader.dir().join("checkpoint"), office, key)?;
    let (head, last) = (head_of(reader, office), last.map(|last| last.checkpoint()));
    let Some(signed) = in_force(reader.dir(), last, &head)? else { return Ok(None) };
    // Only heads are signed, so a commit ends there.
    match reader.root_at(signed.size).map_err(SignError::Log)? == Some(signed.root) {
        true => Ok(Some(signed)),
        false => Err(contradicts(reader.dir(), signed, &head)),
    }
}

fn head_of(reader: &LogReader, office: Uuid) -> Checkpoint {
    let head = reader.head();
    Checkpoint { office, epoch: head.epoch, size: head.size, root: head.root }
}

/// What was signed last, if it is of the log's epoch. Errors: Behind.
fn in_force(
    dir: &Path,
    signed: Option<Checkpoint>,
    head: &Checkpoint,
) -> Result<Option<Checkpoint>, SignError> {
    match signed.filter(|signed| signed.epoch >= head.epoch) {
        Some(signed) if signed.epoch > head.epoch || signed.size > head.size => {
            Err(SignError::Behind { dir: dir.to_owned(), signed: Box::new(signed), log: Box::new(*head) })
        }
        signed => Ok(signed),
    }
}

fn contradicts(dir: &Path, signed: Checkpoint, log: &Checkpoint) -> SignError {
    SignError::Contradicts { dir: dir.to_owned(), signed: Box::new(signed), log: Box::new(*log) }
}

fn last_signed(file: &Path, office: Uuid, key: &VerifyingKey) -> Result<Option<SignedCheckpoint>, SignError> {
    let damaged = |source| SignError::Damaged { file: file.to_owned(), source };
    match fs::read(file) {
        Ok(bytes) => {
            let note = String::from_utf8(bytes)
                .map_err(|_| damaged(CheckpointError::Malformed("it is not a text")))?;
            SignedCheckpoint::open(&note, office, key).map(Some).map_err(damaged)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(SignError::Log(Error::io("read", file)(error))),
    }
}
