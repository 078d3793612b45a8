//! The log: bytes and hashes, not plans.
//!
//! One implementation, three uses: the server's office log, a device's replica of it, and a device's own feed.
//!
//! * [`Log`] writes: one commit is one frame, one write beside one head slot, one `fdatasync`.
//! * [`LogReader`] reads what is durable, while the log grows.
//! * [`verify`] re-hashes everything; [`salvage`] reads around damage; [`LogBuilder`] writes a log anew.
//! * [`Tree`] proves records and that a log only grew; [`Signer`] signs checkpoints and never two that disagree.
//! * [`Index`], [`Postings`] on it, and [`Snapshots`] are caches: any may be deleted, all can be rebuilt from the log.
//!
//! *Architecture invariant:* nothing here decodes a record, knows a clock, or starts an async task.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod builder;
mod bytes;
pub mod checkpoint;
mod disk;
mod error;
mod frame;
mod index;
mod index_guard;
mod log;
mod mend;
pub mod merkle;
mod paths;
mod postings;
mod proof;
mod reader;
mod recorder;
mod recover;
mod salvage;
mod scan;
mod segment;
mod signer;
mod snapshots;
mod tiles;
mod tree;
mod types;
mod verify;

pub use builder::LogBuilder;
pub use checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
pub use disk::{Disk, NewFile};
pub use error::{Error, IndexError, Result};
pub use frame::{COMMIT_BYTES_MAX, LEAF_BYTES_MAX};
pub use index::{Index, IndexBatch, IndexOpened, IndexRow, IndexRows, IndexSetAside};
pub use index_guard::OPEN_WAIT_MAX;
pub use log::{Cut, Log, LogOptions, Opened, SEGMENT_BYTES_DEFAULT};
pub use mend::{Claim, Hold, claims, exchange, hold};
pub use merkle::Hash;
pub use paths::{verify_consistency, verify_inclusion};
pub use postings::{Postings, Subject, Table, put_varint, take_varint};
pub use proof::{LogProof, ProofError};
pub use reader::{Commits, LogReader, Picked};
pub use recorder::{Op, Recorder};
pub use salvage::{Found, salvage};
pub use signer::{SignError, Signer, check_signed};
pub use snapshots::{NewSnapshot, Snapshot, Snapshots};
pub use tiles::export_tiles;
pub use tree::Tree;
pub use types::{Commit, CommitView, Entry, Head, LogId, LogKind};
pub use verify::{Unread, Verified, verify};
