//! What a log is made of, as plain values.

use std::fmt;

use uuid::Uuid;

use crate::frame::Frame;
use crate::merkle::{self, Hash};

/// One record as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// The record's final bytes, at most [`crate::LEAF_BYTES_MAX`]. Hashes and the frame's first checksum cover them.
    pub leaf: Vec<u8>,
    /// Erasable texts and their salt; may be empty. Covered by a checksum of its own and by no hash.
    pub aside: Vec<u8>,
}

/// Which log a file belongs to. Every file of a log names it, so that files of another are never taken for its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogId {
    /// The office whose work this is.
    pub office: Uuid,
    /// What this copy is for.
    pub kind: LogKind,
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} log of office {}", self.kind.name(), self.office)
    }
}

/// What a copy of a log is for. The codes are stored and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum LogKind {
    /// The server's log of an office.
    Office = 1,
    /// A device's copy of an office's log.
    Replica = 2,
    /// A device's own commands: its outbox.
    Feed = 3,
}

impl LogKind {
    /// The stored code.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The kind with this stored code, if this release knows it.
    pub fn from_code(code: u8) -> Option<LogKind> {
        [LogKind::Office, LogKind::Replica, LogKind::Feed].into_iter().find(|kind| kind.code() == code)
    }

    fn name(self) -> &'static str {
        match self {
            LogKind::Office => "office",
            LogKind::Replica => "replica",
            LogKind::Feed => "feed",
        }
    }
}

/// How far a log reaches: the last position and the tree over everything up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Number of records, which is also the last position. 0 when empty.
    pub size: u64,
    /// RFC 6962 tree hash over the leaves 1 to `size`.
    pub root: Hash,
    /// The epoch that the next commit belongs to.
    pub epoch: u32,
}

impl Head {
    /// The head of a log without records.
    pub fn empty(epoch: u32) -> Head {
        Head { size: 0, root: merkle::empty_root(), epoch }
    }
}

/// A commit where it was read to: nothing of it is copied.
#[derive(Debug)]
pub struct CommitView<'a>(pub(crate) &'a Frame<'a>);

impl<'a> CommitView<'a> {
    /// Position of the first leaf.
    pub fn first(&self) -> u64 {
        self.0.first
    }

    /// Position of the last.
    pub fn size_after(&self) -> u64 {
        self.0.size_after
    }

    /// See [`Commit::root_after`].
    pub fn root_after(&self) -> Hash {
        self.0.root_after
    }

    /// The leaves in the order of their positions.
    pub fn leaves(&self) -> impl Iterator<Item = &'a [u8]> {
        self.0.leaves()
    }
}

/// A run of records that were written, and became durable, at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Position of `entries[0]`; positions count from 1 without gaps.
    pub first: u64,
    /// At least one.
    pub entries: Vec<Entry>,
    /// Position of the last entry.
    pub size_after: u64,
    /// Tree hash over the leaves 1 to `size_after`, as stored. [`crate::verify`] recomputes it.
    pub root_after: Hash,
    /// The epoch it was written in.
    pub epoch: u32,
}
