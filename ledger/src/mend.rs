//! For whoever mends a log: what a damaged one still proves, and how a mended one takes its place.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::disk::{self, Disk};
use crate::error::{Error, Result};
use crate::merkle::Hash;
use crate::segment;
use crate::types::LogId;

/// A tree that was durable: a segment's header or one of its head slots says so, and it can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// The last position of the tree.
    pub size: u64,
    /// The epoch of the segment that says it.
    pub epoch: u32,
    /// The tree's root.
    pub root: Hash,
}

/// Every claim that can still be read, ascending. Empty when there are no segments.
///
/// Errors: Foreign, because a foreign file is not damage but the wrong folder; Io.
pub fn claims(dir: &Path, id: &LogId) -> Result<Vec<Claim>> {
    let mut claims = BTreeSet::new();
    for first in segment::list(dir)? {
        let head = match segment::read_head(dir, id, first) {
            Ok(head) => head,
            Err(Error::Damaged { .. } | Error::UnknownFormat { .. }) => continue,
            Err(error) => return Err(error),
        };
        let (size, root, epoch) = (head.frontier.size(), head.frontier.root(), head.epoch);
        claims.insert(Claim { size, epoch, root });
        if let Some((_, slot)) = head.newest() {
            claims.insert(Claim { size: slot.size, epoch, root: slot.root });
        }
    }
    Ok(claims.into_iter().collect())
}

/// Keeps writers out of a log for as long as it lives.
#[derive(Debug)]
#[must_use = "writers are kept out only while this lives"]
pub struct Hold {
    _lock: File,
}

/// Takes a log that nobody writes, also a damaged one or none at all. Errors: Locked, Io.
pub fn hold(dir: &Path) -> Result<Hold> {
    Disk::default().create_dir(dir)?;
    Ok(Hold { _lock: disk::lock(dir, "lock")? })
}

/// Gives two folders of one parent each other's name, at once and durably. Errors: Io.
///
/// If we crash in here: both are there under one of the names, except on a filesystem that cannot exchange names. There
/// `first` may be without its name, and `second` still has its own.
pub fn exchange(first: &Path, second: &Path) -> Result<()> {
    match renameat_with(CWD, first, CWD, second, RenameFlags::EXCHANGE) {
        Ok(()) => {}
        Err(Errno::INVAL | Errno::NOSYS) => {
            let between = first.with_extension("between");
            fs::rename(first, &between).map_err(Error::io("rename", first))?;
            fs::rename(second, first).map_err(Error::io("rename", second))?;
            fs::rename(&between, second).map_err(Error::io("rename", &between))?;
        }
        Err(errno) => return Err(Error::io("rename", second)(errno.into())),
    }
    Disk::default().sync_dir(first.parent().unwrap_or(Path::new(".")))
}
