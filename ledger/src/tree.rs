//! Roots and proofs of any size, from one stored hash for each 256 records.
//!
//! ```text
//! tree       0  magic 8, format u32, zero 4; little endian
//!           16  rows: root of the next complete subtree of 256 records 32, CRC32C of the row's number u64 and the root
//! ```
//!
//! The file is a cache, and not made durable: what a crash loses or tears is noticed at the next opening and made again.
//! In memory ten million records take 2.5 MB: their 39,063 roots, and the roots of pairs, pairs of pairs and so on.

use std::path::PathBuf;

use crc32c::{crc32c, crc32c_append};

use crate::bytes::{hash_at, u32_at};
use crate::disk::{Disk, DiskFile};
use crate::error::{Error, Result};
use crate::merkle::{Frontier, Hash, leaf_hash, node_hash};
use crate::paths::{self, Node};
use crate::reader::LogReader;
use crate::verify::rehash;

/// Records under one stored root, as in a tile of C2SP tlog-tiles.
pub(crate) const TILE: u64 = 256;
/// The level of a tile's root.
const TILE_LEVEL: u32 = TILE.trailing_zeros();

const MAGIC: &[u8; 8] = b"\xF5rnksTRE";
const FORMAT: u32 = 1;
const HEADER_BYTES: usize = 16;
const ROW_BYTES: usize = 36;
/// Distance, in records, of the lines that tell how far a long run is.
const TOLD_EVERY: u64 = 100_000;

/// The hash tree over a log. Leaves are read from the log when a proof needs them, at most two tiles of them.
#[derive(Debug)]
pub struct Tree {
    reader: LogReader,
    /// None once it could not be written: the tree goes on without its cache.
    file: Option<DiskFile>,
    path: PathBuf,
    disk: Disk,
    /// `levels[0]` has the roots of complete tiles, each further level the roots of complete pairs of the one before.
    levels: Vec<Vec<Hash>>,
}

/// The leaf hashes of the tile that was read last.
type Held = Option<(u64, Vec<Hash>)>;

impl Tree {
    /// Reads the cache beside the log, drops what does not fit the log, and catches up. One [`Tree`] a log at a time: the
    /// one of whoever holds the log open. Errors: RootMismatch, Damaged, Io of the log.
    pub fn open(reader: &LogReader) -> Result<Tree> {
        Tree::open_on(Disk::default(), reader)
    }

    /// As [`Tree::open`], on a disk that may be watched.
    pub(crate) fn open_on(disk: Disk, reader: &LogReader) -> Result<Tree> {
        let path = reader.dir().join("tree");
        let mut tree = Tree { reader: reader.clone(), file: None, path, disk, levels: Vec::new() };
        let mut rows = tree.load();
        rows.truncate((reader.head().size / TILE) as usize);
        rows.iter().for_each(|row| tree.push(*row));
        if !tree.fits_the_log()? {
            tracing::warn!(file = %tree.path.display(), "the tree's cache is of another history and is made again");
            tree.levels.clear();
        }
        tree.start_file();
        tree.catch_up()?;
        Ok(tree)
    }

    /// Takes in the tiles that were completed since. Without it proofs are the same, and slower.
    /// Errors: RootMismatch when the records do not hash to the roots stored with them; Damaged; Io of the log.
    pub fn catch_up(&mut self) -> Result<()> {
        let (covered, size) = (self.covered(), self.reader.head().size);
        let complete = size / TILE * TILE;
        if covered == complete {
            return Ok(());
        }
        let mut tile = Vec::with_capacity(TILE as usize);
        let mut rows = Vec::new();
        let mut position = covered;
        rehash(&self.reader, &mut self.frontier(covered)?, complete, |leaf| {
            tile.push(leaf);
            position += 1;
            if tile.len() as u64 == TILE {
                rows.push(subtree_root(&tile));
                tile.clear();
            }
            if position % TOLD_EVERY == 0 && size - covered > TOLD_EVERY {
                tracing::info!(position, of = size, "records hashed");
            }
        })?;
        self.store(&rows);
        rows.into_iter().for_each(|row| self.push(row));
        Ok(())
    }

    /// The tree hash over the records 1 to `size`, for any size up to the log's. Errors: NotReached, RootMismatch,
    /// Damaged, Io.
    pub fn root(&self, size: u64) -> Result<Hash> {
        self.refuse_beyond(size, self.reader.head().size)?;
        let mut held = None;
        paths::root(0..size, &mut |node| self.node(&mut held, node))
    }

    /// Shows that the record at `position` is among the first `size`: for [`crate::verify_inclusion`]. At most 63 hashes.
    /// Errors: NotReached, RootMismatch, Damaged, Io.
    pub fn inclusion(&self, position: u64, size: u64) -> Result<Vec<Hash>> {
        self.refuse_beyond(size, self.reader.head().size)?;
        self.refuse_beyond(position, size)?;
        let mut held = None;
        let index = position.checked_sub(1).ok_or_else(|| self.not_reached(0, size))?;
        paths::inclusion(index, size, &mut |node| self.node(&mut held, node))
    }

    /// Shows that the first `new` records begin with the first `old`: for [`crate::verify_consistency`]. Empty when `old`
    /// is 0 or `new`. Errors: NotReached, RootMismatch, Damaged, Io.
    pub fn consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>> {
        self.refuse_beyond(new, self.reader.head().size)?;
        self.refuse_beyond(old, new)?;
        let mut held = None;
        paths::consistency(old, new, &mut |node| self.node(&mut held, node))
    }

    /// The right edge of the tree over the first `size` records. Errors as [`Tree::root`].
    pub(crate) fn frontier(&self, size: u64) -> Result<Frontier> {
        self.refuse_beyond(size, self.reader.head().size)?;
        let mut held = None;
        let mut peaks = Vec::with_capacity(crate::merkle::PEAKS_MAX);
        let mut before = 0;
        for level in (0..u64::BITS).rev().filter(|level| size >> level & 1 == 1) {
            peaks.push(self.node(&mut held, Node { level, index: before >> level })?);
            before += 1 << level;
        }
        Ok(Frontier::from_peaks(size, peaks))
    }

    /// Records under the stored roots.
    fn covered(&self) -> u64 {
        self.levels.first().map_or(0, |rows| rows.len() as u64 * TILE)
    }

    fn refuse_beyond(&self, asked: u64, size: u64) -> Result<()> {
        if asked <= size { Ok(()) } else { Err(self.not_reached(asked, size)) }
    }

    fn not_reached(&self, asked: u64, size: u64) -> Error {
        Error::NotReached { dir: self.reader.dir().to_owned(), size, asked }
    }

    fn push(&mut self, row: Hash) {
        let mut node = row;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let nodes = &mut self.levels[level];
            nodes.push(node);
            match nodes.len() % 2 {
                0 => node = node_hash(&nodes[nodes.len() - 2], &nodes[nodes.len() - 1]),
                _ => return,
            }
        }
    }

    fn stored(&self, node: Node) -> Option<Hash> {
        let level = node.level.checked_sub(TILE_LEVEL)?;
        self.levels.get(level as usize)?.get(node.index as usize).copied()
    }

    fn node(&self, held: &mut Held, node: Node) -> Result<Hash> {
        if let Some(hash) = self.stored(node) {
            return Ok(hash);
        }
        if node.level > TILE_LEVEL {
            let (level, left) = (node.level - 1, 2 * node.index);
            let left_hash = self.node(held, Node { level, index: left })?;
            return Ok(node_hash(&left_hash, &self.node(held, Node { level, index: left + 1 })?));
        }
        let first = node.index << node.level;
        let tile = first / TILE;
        let leaves = match held {
            Some((of, leaves)) if *of == tile => &*leaves,
            _ => &held.insert((tile, self.leaves(tile)?)).1,
        };
        let from = (first % TILE) as usize;
        Ok(subtree_root(&leaves[from..from + (1 << node.level)]))
    }

    /// The leaf hashes of one tile, read from the log. Of a complete tile they must give its stored root.
    fn leaves(&self, tile: u64) -> Result<Vec<Hash>> {
        let first = tile * TILE + 1;
        let last = (first + TILE - 1).min(self.reader.head().size);
        let mut leaves = Vec::with_capacity(TILE as usize);
        for commit in self.reader.iter(first) {
            let commit = commit?;
            let known = (first + leaves.len() as u64 - commit.first) as usize;
            let wanted = (last - first + 1) as usize - leaves.len();
            leaves.extend(commit.entries[known..].iter().take(wanted).map(|entry| leaf_hash(&entry.leaf)));
            if commit.size_after >= last {
                break;
            }
        }
        let stored = self.stored(Node { level: TILE_LEVEL, index: tile });
        if stored.is_some_and(|root| root != subtree_root(&leaves)) {
            return Err(Error::RootMismatch { dir: self.reader.dir().to_owned(), first, last });
        }
        Ok(leaves)
    }

    /// Whether the stored roots give what the log says at the end of the commit in which they end.
    fn fits_the_log(&self) -> Result<bool> {
        let covered = self.covered();
        let mut frontier = self.frontier(covered)?;
        if let Some(root) = self.reader.root_at(covered)? {
            return Ok(frontier.root() == root);
        }
        match rehash(&self.reader, &mut frontier, covered + 1, |_| {}) {
            Ok(()) => Ok(true),
            // Where it is the log that is wrong, making the tree again says so.
            Err(Error::RootMismatch { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The rows of the file up to the first that is not whole. A file that is none of ours has none.
    fn load(&self) -> Vec<Hash> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) if bytes.get(..HEADER_BYTES) == Some(&header()) => bytes,
            Ok(_) => {
                tracing::warn!(file = %self.path.display(), "not a tree's cache of this release; it is made again");
                return Vec::new();
            }
            Err(_) => return Vec::new(),
        };
        let rows = bytes[HEADER_BYTES..].chunks_exact(ROW_BYTES).zip(0..);
        let whole = rows.take_while(|(row, number)| u32_at(row, 32) == row_crc(*number, &row[..32]));
        whole.map(|(row, _)| hash_at(row, 0)).collect()
    }

    /// Leaves exactly the present rows in the file.
    fn start_file(&mut self) {
        let rows = self.levels.first().map_or(0, Vec::len);
        let opened = self.disk.open_or_create(self.path.clone());
        let started = opened.and_then(|file| {
            file.write(&header(), 0)?;
            file.truncate((HEADER_BYTES + rows * ROW_BYTES) as u64)?;
            Ok(file)
        });
        match started {
            Ok(file) => self.file = Some(file),
            Err(error) => self.without_file(&error),
        }
    }

    /// Appends `new` behind the present rows.
    fn store(&mut self, new: &[Hash]) {
        let Some(file) = &self.file else { return };
        let rows = self.levels.first().map_or(0, Vec::len);
        let mut bytes = Vec::with_capacity(new.len() * ROW_BYTES);
        for (row, number) in new.iter().zip(rows as u64..) {
            bytes.extend_from_slice(row);
            bytes.extend_from_slice(&row_crc(number, row).to_le_bytes());
        }
        if let Err(error) = file.write(&bytes, (HEADER_BYTES + rows * ROW_BYTES) as u64) {
            self.without_file(&error);
        }
    }

    fn without_file(&mut self, error: &Error) {
        tracing::warn!(
            error = error as &dyn std::error::Error,
            "the tree's cache cannot be written; the next start hashes the log again"
        );
        self.file = None;
    }
}

fn header() -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    header
}

fn row_crc(number: u64, root: &[u8]) -> u32 {
    crc32c_append(crc32c(&number.to_le_bytes()), root)
}

/// The root over the leaf hashes of a complete subtree.
pub(crate) fn subtree_root(leaves: &[Hash]) -> Hash {
    let mut frontier = Frontier::default();
    leaves.iter().for_each(|leaf| frontier.append(*leaf));
    frontier.root()
}
