//! Everything hashed again, from the first record.

use crate::error::{Error, Result};
use crate::merkle::{Frontier, Hash, leaf_hash};
use crate::reader::LogReader;

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
    let mut commits = reader.iter(1);
    // Records that came after we began are for the next run; otherwise a busy log would never be done.
    while frontier.size() < head.size {
        let held = commits.see(|commit| {
            assert_eq!(commit.first(), frontier.size() + 1, "BUG: the reader gave commits with a gap");
            commit.leaves().for_each(|leaf| frontier.append(leaf_hash(leaf)));
            match frontier.root() == commit.root_after() {
                true => Ok(()),
                false => Err((commit.first(), commit.size_after())),
            }
        })?;
        match held {
            None => break,
            Some(Ok(())) => {}
            Some(Err((first, last))) => {
                return Err(Error::RootMismatch { dir: reader.dir().to_owned(), first, last });
            }
        }
    }
    let size = frontier.size();
    assert!(size >= head.size, "BUG: the reader ended before the head");
    Ok(Verified { size, root: frontier.root(), records: size })
}
