//! The text of C2SP tlog-proof: a record's place in a log, the way to a root, and the checkpoint that signs the root.
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! extra <base64 of the record's leaf>          optional
//! index <the record's position - 1>
//! <hash, base64>                               from the leaf's sibling up
//!
//! <the signed checkpoint>
//! ```

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::VerifyingKey;
use uuid::Uuid;

use crate::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint, decimal, decode};
use crate::merkle::{Hash, leaf_hash};
use crate::paths::verify_inclusion;

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";
/// A tree of 2^64 leaves has no longer way to its root.
const HASHES_MAX: usize = 64;

/// Shows to anyone who has the log's public key that a record is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogProof {
    /// The record's position, from 1.
    pub position: u64,
    /// The record's leaf, when it travels along. Nothing vouches for it but the proof itself.
    pub leaf: Option<Vec<u8>>,
    /// See [`crate::Tree::inclusion`].
    pub path: Vec<Hash>,
    /// The signed note, as it was signed.
    pub checkpoint: String,
}

/// Why a text proves nothing.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ProofError {
    /// It is not in the format.
    #[error("this is not a proof of a log: {0}")]
    Malformed(&'static str),
    /// Neither it nor the caller has the record.
    #[error("the proof of position {0} does not hold the record; give the record with it")]
    NoLeaf(u64),
    /// The checkpoint in it is not to be relied on.
    #[error("the proof of position {position} has no valid checkpoint")]
    Checkpoint {
        /// The position it is about.
        position: u64,
        /// What is wrong.
        #[source]
        source: CheckpointError,
    },
    /// The record and the hashes do not lead to the signed root.
    #[error("the record at position {position} is not in the log that was signed at {checkpoint}")]
    NotIncluded {
        /// The position it is about.
        position: u64,
        /// The checkpoint in it.
        checkpoint: Checkpoint,
    },
}

impl fmt::Display for LogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}")?;
        if let Some(leaf) = &self.leaf {
            writeln!(f, "extra {}", STANDARD.encode(leaf))?;
        }
        writeln!(f, "index {}", self.position - 1)?;
        self.path.iter().try_for_each(|hash| writeln!(f, "{}", STANDARD.encode(hash)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

impl LogProof {
    /// Reads what is written by [`LogProof`]'s `to_string`. Nothing is checked yet but the form.
    pub fn parse(text: &str) -> Result<LogProof, ProofError> {
        let (head, checkpoint) =
            text.split_once("\n\n").ok_or(ProofError::Malformed("it has no checkpoint"))?;
        let mut lines = head.lines().peekable();
        if lines.next() != Some(FIRST_LINE) {
            return Err(ProofError::Malformed("its first line is another"));
        }
        let leaf = match lines.next_if(|line| line.starts_with("extra ")) {
            None => None,
            Some(line) => Some(
                decode(&line["extra ".len()..])
                    .ok_or(ProofError::Malformed("its extra line is not base64"))?,
            ),
        };
        let index = lines.next().and_then(|line| decimal(line.strip_prefix("index ")?));
        let position = index
            .and_then(|index| index.checked_add(1))
            .ok_or(ProofError::Malformed("it does not say which record it is about"))?;
        let path: Option<Vec<Hash>> = lines.map(|line| decode(line)?.try_into().ok()).collect();
        let path = path
            .filter(|path| path.len() <= HASHES_MAX)
            .ok_or(ProofError::Malformed("a line of it is not a hash"))?;
        Ok(LogProof { position, leaf, path, checkpoint: checkpoint.to_owned() })
    }

    /// Checks everything: the checkpoint is signed with the key of the office's log, and the record is in it. `leaf` is the
    /// record, or None to take the one that came along.
    pub fn verify(
        &self,
        leaf: Option<&[u8]>,
        office: Uuid,
        key: &VerifyingKey,
    ) -> Result<Checkpoint, ProofError> {
        let position = self.position;
        let leaf = leaf.or(self.leaf.as_deref()).ok_or(ProofError::NoLeaf(position))?;
        let checkpoint = SignedCheckpoint::open(&self.checkpoint, office, key)
            .map_err(|source| ProofError::Checkpoint { position, source })?
            .checkpoint();
        match verify_inclusion(&leaf_hash(leaf), position, checkpoint.size, &self.path, &checkpoint.root) {
            true => Ok(checkpoint),
            false => Err(ProofError::NotIncluded { position, checkpoint }),
        }
    }
}
