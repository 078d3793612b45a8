//! What a test knows of a disk: every operation in order, and failures that it plans.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

/// One thing that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// An empty file got a name.
    Create(PathBuf),
    Write {
        path: PathBuf,
        offset: u64,
        bytes: Vec<u8>,
    },
    /// The file was cut to so many bytes.
    Truncate {
        path: PathBuf,
        bytes: u64,
    },
    /// `fdatasync` returned.
    Sync(PathBuf),
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Remove(PathBuf),
    CreateDir(PathBuf),
    /// `fsync` of a folder returned.
    SyncDir(PathBuf),
}

/// What becomes of an operation that is about to be done.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verdict {
    Go,
    Fail(Errno),
    /// So many bytes are written, then it fails.
    WriteThenFail(usize, Errno),
}

/// Watches a [`crate::Disk`]. Clones watch together.
#[derive(Debug, Clone, Default)]
pub struct Recorder(Arc<Mutex<Watched>>);

#[derive(Debug, Default)]
struct Watched {
    /// None until recording was asked for.
    ops: Option<Vec<Op>>,
    write: Option<(u64, usize)>,
    sync: Option<u64>,
}

impl Recorder {
    /// Keeps every operation from now on.
    pub fn record(&self) {
        self.watched().ops = Some(Vec::new());
    }

    /// How many operations were recorded.
    pub fn len(&self) -> usize {
        self.watched().ops.as_ref().map_or(0, Vec::len)
    }

    /// True when nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was recorded, in order.
    pub fn ops(&self) -> Vec<Op> {
        self.watched().ops.clone().unwrap_or_default()
    }

    /// After `after` more writes, one write stores only its first `keep_bytes` bytes and fails with ENOSPC.
    /// A commit writes twice: its frame, then a head slot.
    pub fn fail_write(&self, after: u64, keep_bytes: usize) {
        self.watched().write = Some((after, keep_bytes));
    }

    /// After `after` more syncs, of files or folders, one sync fails with EIO.
    pub fn fail_sync(&self, after: u64) {
        self.watched().sync = Some(after);
    }

    pub(crate) fn judge(&self, op: &Op) -> Verdict {
        let mut watched = self.watched();
        match op {
            Op::Write { .. } => match watched.write {
                Some((0, keep_bytes)) => {
                    watched.write = None;
                    Verdict::WriteThenFail(keep_bytes, Errno::NOSPC)
                }
                Some((after, keep_bytes)) => {
                    watched.write = Some((after - 1, keep_bytes));
                    Verdict::Go
                }
                None => Verdict::Go,
            },
            Op::Sync(_) | Op::SyncDir(_) => match watched.sync {
                Some(0) => {
                    watched.sync = None;
                    Verdict::Fail(Errno::IO)
                }
                Some(after) => {
                    watched.sync = Some(after - 1);
                    Verdict::Go
                }
                None => Verdict::Go,
            },
            _ => Verdict::Go,
        }
    }

    pub(crate) fn note(&self, op: Op) {
        if let Some(ops) = &mut self.watched().ops {
            ops.push(op);
        }
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
