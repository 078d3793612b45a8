//! One commit as bytes. All integers are little endian.
//!
//! ```text
//! prefix       0  magic            8 bytes, so that a scan can find a frame again after damage
//!              8  leaf part length  u32
//!             12  aside part length u32
//!             16  CRC32C of bytes 0 to 16: where the next frame begins is known even when this one's parts are damaged
//!             20  CRC32C of the leaf part; erasing texts never changes it
//!             24  CRC32C of the aside part
//! leaf part   28  first position u64, record count u32, epoch u32
//!             44  leaf lengths, u16 each; then the leaves
//!                 tree size after u64, root after 32 bytes
//! aside part      nothing when every aside is empty; else lengths, u32 each; then the asides
//! ```

use crc32c::crc32c;

use crate::bytes::{hash_at, u16_at, u32_at, u64_at};
use crate::error::{Error, Result};
use crate::merkle::{Frontier, Hash, leaf_hash};
use crate::types::{Commit, Entry};

/// The longest leaf (the C2SP entry limit).
pub const LEAF_BYTES_MAX: usize = 65_535;
/// The longest frame. A larger commit is refused before anything is written.
pub const COMMIT_BYTES_MAX: u64 = 64 << 20;

pub(crate) const MAGIC: &[u8; 8] = b"\xF5rnksFR1";
pub(crate) const PREFIX_BYTES: usize = 28;
const LEAF_FIXED_BYTES: usize = 16;
const TREE_BYTES: usize = 40;

/// Refuses what must not be written; answers the frame's length in bytes.
pub(crate) fn check(entries: &[Entry]) -> Result<u64> {
    if entries.is_empty() {
        return Err(Error::EmptyCommit);
    }
    let too_large = |(_, entry): &(usize, &Entry)| entry.leaf.len() > LEAF_BYTES_MAX;
    if let Some((index, entry)) = entries.iter().enumerate().find(too_large) {
        return Err(Error::LeafTooLarge { index, bytes: entry.leaf.len() });
    }
    let leaves: u64 = entries.iter().map(|entry| 2 + entry.leaf.len() as u64).sum();
    let asides: u64 = entries.iter().map(|entry| 4 + entry.aside.len() as u64).sum();
    let bytes = (PREFIX_BYTES + LEAF_FIXED_BYTES + TREE_BYTES) as u64 + leaves + asides;
    if bytes > COMMIT_BYTES_MAX { Err(Error::CommitTooLarge { bytes }) } else { Ok(bytes) }
}

/// Writes the frame of `entries` into `buffer` (cleared first) and moves `frontier` over them; answers the root after.
///
/// `entries` have passed [`check`], so every length fits its field.
pub(crate) fn encode(entries: &[Entry], epoch: u32, frontier: &mut Frontier, buffer: &mut Vec<u8>) -> Hash {
    buffer.clear();
    buffer.resize(PREFIX_BYTES, 0);
    buffer.extend_from_slice(&(frontier.size() + 1).to_le_bytes());
    buffer.extend_from_slice(&(entries.len() as u32).to_le_bytes());
    buffer.extend_from_slice(&epoch.to_le_bytes());
    for entry in entries {
        buffer.extend_from_slice(&(entry.leaf.len() as u16).to_le_bytes());
    }
    for entry in entries {
        buffer.extend_from_slice(&entry.leaf);
        frontier.append(leaf_hash(&entry.leaf));
    }
    let root = frontier.root();
    buffer.extend_from_slice(&frontier.size().to_le_bytes());
    buffer.extend_from_slice(&root);
    let leaf_end = buffer.len();

    if entries.iter().any(|entry| !entry.aside.is_empty()) {
        for entry in entries {
            buffer.extend_from_slice(&(entry.aside.len() as u32).to_le_bytes());
        }
        entries.iter().for_each(|entry| buffer.extend_from_slice(&entry.aside));
    }
    seal(buffer, leaf_end);
    root
}

fn seal(buffer: &mut [u8], leaf_end: usize) {
    let (prefix, parts) = buffer.split_at_mut(PREFIX_BYTES);
    let (leaf, aside) = parts.split_at(leaf_end - PREFIX_BYTES);
    prefix[..8].copy_from_slice(MAGIC);
    prefix[8..12].copy_from_slice(&(leaf.len() as u32).to_le_bytes());
    prefix[12..16].copy_from_slice(&(aside.len() as u32).to_le_bytes());
    let crc = crc32c(&prefix[..16]);
    prefix[16..20].copy_from_slice(&crc.to_le_bytes());
    prefix[20..24].copy_from_slice(&crc32c(leaf).to_le_bytes());
    prefix[24..28].copy_from_slice(&crc32c(aside).to_le_bytes());
}

/// The first 28 bytes of a frame, checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prefix {
    leaf_bytes: usize,
    aside_bytes: usize,
    leaf_crc: u32,
    aside_crc: u32,
}

impl Prefix {
    /// None unless these are the bytes of a prefix, unchanged.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Prefix> {
        if bytes.len() < PREFIX_BYTES || &bytes[..8] != MAGIC || crc32c(&bytes[..16]) != u32_at(bytes, 16) {
            return None;
        }
        Some(Prefix {
            leaf_bytes: u32_at(bytes, 8) as usize,
            aside_bytes: u32_at(bytes, 12) as usize,
            leaf_crc: u32_at(bytes, 20),
            aside_crc: u32_at(bytes, 24),
        })
    }

    /// The whole frame's length, prefix included.
    pub(crate) fn frame_bytes(&self) -> u64 {
        PREFIX_BYTES as u64 + self.leaf_bytes as u64 + self.aside_bytes as u64
    }
}

/// Why bytes are not a whole frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Invalid {
    pub(crate) cause: &'static str,
    /// Whether an interrupted write can look like this. A frame whose checksums hold was written as it stands.
    pub(crate) torn: bool,
}

pub(crate) const fn torn(cause: &'static str) -> Invalid {
    Invalid { cause, torn: true }
}

pub(crate) const fn wrong(cause: &'static str) -> Invalid {
    Invalid { cause, torn: false }
}

/// A checked frame, still in the buffer it was read into.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) first: u64,
    pub(crate) count: u32,
    pub(crate) epoch: u32,
    pub(crate) size_after: u64,
    pub(crate) root_after: Hash,
    lengths: &'a [u8],
    leaf_bytes: &'a [u8],
    aside_part: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Checks and reads a frame. `bytes` is exactly the frame that `prefix` announces.
    pub(crate) fn parse(prefix: &Prefix, bytes: &'a [u8]) -> Result<Frame<'a>, Invalid> {
        let (leaf, aside) = bytes[PREFIX_BYTES..].split_at(prefix.leaf_bytes);
        if crc32c(leaf) != prefix.leaf_crc {
            return Err(torn("the records do not match their checksum"));
        }
        if crc32c(aside) != prefix.aside_crc {
            return Err(torn("the erasable texts beside the records do not match their checksum"));
        }
        // Both checksums hold from here on, so whatever does not fit was written so.
        if leaf.len() < LEAF_FIXED_BYTES + TREE_BYTES {
            return Err(wrong("the commit is too short to be one"));
        }
        let (first, count, epoch) = (u64_at(leaf, 0), u32_at(leaf, 8), u32_at(leaf, 12));
        let (fields, tree) = leaf.split_at(leaf.len() - TREE_BYTES);
        let rest = &fields[LEAF_FIXED_BYTES..];
        if count == 0 || rest.len() / 2 < count as usize {
            return Err(wrong("the commit's record count does not fit its length"));
        }
        let (lengths, leaf_bytes) = rest.split_at(2 * count as usize);
        let (size_after, root_after) = (u64_at(tree, 0), hash_at(tree, 8));
        let frame =
            Frame { first, count, epoch, size_after, root_after, lengths, leaf_bytes, aside_part: aside };
        frame.check_lengths()?;
        Ok(frame)
    }

    fn check_lengths(&self) -> Result<(), Invalid> {
        let leaves: usize = (0..self.count as usize).map(|i| self.leaf_len(i)).sum();
        if leaves != self.leaf_bytes.len() {
            return Err(wrong("the record lengths do not add up to the commit's"));
        }
        if self.first == 0 || self.first.checked_add(u64::from(self.count) - 1) != Some(self.size_after) {
            return Err(wrong("the commit's positions and tree size do not agree"));
        }
        if !self.aside_part.is_empty() {
            let table = 4 * self.count as usize;
            let fits = self.aside_part.len() >= table
                && (0..self.count as usize).map(|i| self.aside_len(i) as u64).sum::<u64>()
                    == (self.aside_part.len() - table) as u64;
            if !fits {
                return Err(wrong("the lengths of the erasable texts do not add up to the commit's"));
            }
        }
        Ok(())
    }

    fn leaf_len(&self, i: usize) -> usize {
        u16_at(self.lengths, 2 * i) as usize
    }

    fn aside_len(&self, i: usize) -> usize {
        if self.aside_part.is_empty() { 0 } else { u32_at(self.aside_part, 4 * i) as usize }
    }

    /// The leaves in order of position.
    pub(crate) fn leaves(&self) -> impl Iterator<Item = &'a [u8]> {
        let (lengths, mut rest) = (self.lengths, self.leaf_bytes);
        lengths.chunks_exact(2).map(move |length| {
            let (leaf, after) = rest.split_at(u16_at(length, 0) as usize);
            rest = after;
            leaf
        })
    }

    /// Copies out the entry with this position, which the frame holds.
    pub(crate) fn entry(&self, position: u64) -> Entry {
        let index = (position - self.first) as usize;
        let leaf_at: usize = (0..index).map(|i| self.leaf_len(i)).sum();
        let leaf = self.leaf_bytes[leaf_at..leaf_at + self.leaf_len(index)].to_vec();
        if self.aside_part.is_empty() {
            return Entry { leaf, aside: Vec::new() };
        }
        let aside_at = 4 * self.count as usize + (0..index).map(|i| self.aside_len(i)).sum::<usize>();
        Entry { leaf, aside: self.aside_part[aside_at..aside_at + self.aside_len(index)].to_vec() }
    }

    /// Copies out the whole commit.
    pub(crate) fn to_commit(&self) -> Commit {
        let mut asides = self.aside_part.get(4 * self.count as usize..).unwrap_or_default();
        let entries = self.leaves().enumerate().map(|(i, leaf)| {
            let (aside, rest) = asides.split_at(self.aside_len(i));
            asides = rest;
            Entry { leaf: leaf.to_vec(), aside: aside.to_vec() }
        });
        let entries = entries.collect();
        let Frame { first, epoch, size_after, root_after, .. } = *self;
        Commit { first, entries, size_after, root_after, epoch }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(leaf: &[u8], aside: &[u8]) -> Entry {
        Entry { leaf: leaf.to_vec(), aside: aside.to_vec() }
    }

    fn round_trip(entries: &[Entry]) -> (Commit, Vec<u8>) {
        let (mut frontier, mut buffer) = (Frontier::default(), vec![9; 3]);
        let announced = check(entries).unwrap();
        let root = encode(entries, 7, &mut frontier, &mut buffer);
        assert!(buffer.len() as u64 <= announced);
        let prefix = Prefix::parse(&buffer).unwrap();
        assert_eq!(prefix.frame_bytes(), buffer.len() as u64);
        let frame = Frame::parse(&prefix, &buffer).unwrap();
        for (i, entry) in entries.iter().enumerate() {
            assert_eq!(&frame.entry(i as u64 + 1), entry);
        }
        let commit = frame.to_commit();
        assert_eq!((commit.first, commit.epoch, commit.root_after), (1, 7, root));
        (commit, buffer)
    }

    #[test]
    fn entries_come_back_as_they_were() {
        let cases = [
            vec![entry(b"", b"")],
            vec![entry(b"one", b"")],
            vec![entry(b"one", b"a"), entry(b"", b""), entry(b"three", b"longer text")],
            vec![entry(&[7; LEAF_BYTES_MAX], &[8; 70_000])],
        ];
        for entries in cases {
            assert_eq!(round_trip(&entries).0.entries, entries);
        }
    }

    #[test]
    fn erasing_texts_leaves_the_first_checksum_alone() {
        let (_, with) = round_trip(&[entry(b"leaf", b"text"), entry(b"leaf 2", b"text 2")]);
        let (_, without) = round_trip(&[entry(b"leaf", b""), entry(b"leaf 2", b"")]);
        assert_eq!(with[20..24], without[20..24]);
        assert_eq!(with[PREFIX_BYTES..without.len()], without[PREFIX_BYTES..]);
    }

    #[test]
    fn what_must_not_be_written_is_named() {
        assert!(matches!(check(&[]), Err(Error::EmptyCommit)));
        let long = [entry(b"x", b""), entry(&[0; LEAF_BYTES_MAX + 1], b"")];
        assert!(matches!(check(&long), Err(Error::LeafTooLarge { index: 1, bytes: 65_536 })));
        let huge = [entry(b"x", &vec![0; COMMIT_BYTES_MAX as usize])];
        assert!(matches!(check(&huge), Err(Error::CommitTooLarge { .. })));
    }
}
