//! Everything hashed again, from the first record.

use crate::error::{Error, Result};
use crate::merkle::{Frontier, Hash, leaf_hash};
use crate::reader::{Commits, LogReader};

/// What was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "compare size and root with a checkpoint: a log rewritten from end to end verifies too"]
pub struct Verified {
    /// The last position.
    pub size: u64,
    /// The tree hash over all leaves, recomputed.
    pub root: Hash,
    /// How many records were hashed; equals `size`.
    pub records: u64,
}

/// Re-hashes every leaf from position 1 and compares with the root stored with each commit.
///
/// Errors: RootMismatch names the first commit that does not hold; Damaged the first that cannot be read (checksum, gap,
/// wrong position); Io. One pass, memory bounded by the largest commit.
pub fn verify(reader: &LogReader) -> Result<Verified> {
    let head = reader.head();
    let mut frontier = Frontier::default();
    // Records that came after we began are for the next run; without this, a busy log would never be done.
    rehash(reader, &mut frontier, head.size, |_| {})?;
    let size = frontier.size();
    Ok(Verified { size, root: frontier.root(), records: size })
}

/// Hashes the records after `frontier` again, to the end of the commit that holds `end`, and compares with the root stored
/// with each commit. `each` is given every leaf hash. Errors as [`verify`].
pub(crate) fn rehash(
    reader: &LogReader,
    frontier: &mut Frontier,
    end: u64,
    mut each: impl FnMut(Hash),
) -> Result<()> {
    let mut commits = reader.iter(frontier.size() + 1);
    while frontier.size() < end {
        rehash_next(reader, &mut commits, frontier, &mut each)?;
    }
    Ok(())
}

fn rehash_next(
    reader: &LogReader,
    commits: &mut Commits,
    frontier: &mut Frontier,
    mut each: impl FnMut(Hash),
) -> Result<()> {
    let held = commits.see(|commit| {
        assert!(commit.first() <= frontier.size() + 1, "BUG: the reader gave commits with a gap");
        // The first commit may begin before the frontier's end.
        let known = frontier.size() + 1 - commit.first();
        for leaf in commit.leaves().skip(known as usize) {
            let leaf = leaf_hash(leaf);
            frontier.append(leaf);
            each(leaf);
        }
        match frontier.root() == commit.root_after() {
            true => Ok(()),
            false => Err((commit.first(), commit.size_after())),
        }
    })?;
    match held {
        None => unreachable!("BUG: the reader ended before the head"),
        Some(Ok(())) => Ok(()),
        Some(Err((first, last))) => Err(Error::RootMismatch { dir: reader.dir().to_owned(), first, last }),
    }
}

/// What opening a log does not read: its segments before the last, to be verified one commit at a time beside other work.
#[derive(Debug)]
pub struct Unread {
    reader: LogReader,
    commits: Commits,
    frontier: Frontier,
    /// The last position of these segments.
    end: u64,
}

impl Unread {
    /// None where there is one segment only, which opening has read.
    pub fn of(reader: &LogReader) -> Option<Unread> {
        let last = reader.durable().segments.last().map_or(1, |segment| segment.first);
        let (commits, frontier) = (reader.iter(1), Frontier::default());
        (last > 1).then(|| Unread { reader: reader.clone(), commits, frontier, end: last - 1 })
    }

    /// Verifies the next commit; false once there is no more. Memory is bounded by the largest commit. After an error it
    /// must not be asked again. Errors as [`verify`].
    pub fn verify_next(&mut self) -> Result<bool> {
        if self.frontier.size() >= self.end {
            return Ok(false);
        }
        rehash_next(&self.reader, &mut self.commits, &mut self.frontier, |_| {})?;
        Ok(true)
    }
}
