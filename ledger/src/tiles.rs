//! A log as C2SP tlog-tiles: files that tools which others wrote can read and verify.
//!
//! ```text
//! checkpoint                     the signed note
//! tile/<L>/<N>[.p/<W>]           256 hashes, or the last W, of level 8·L
//! tile/entries/<N>[.p/<W>]       256 records, or the last W, each a u16 length, big endian, and its leaf
//! ```
//!
//! N is written in groups of three digits, all but the last behind an x: 1234067 is `x001/x234/067`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rustix::fs::syncfs;

use crate::checkpoint::SignedCheckpoint;
use crate::disk::{self, Disk};
use crate::error::{Error, Result};
use crate::merkle::{Frontier, Hash, leaf_hash};
use crate::reader::LogReader;
use crate::tree::{TILE, subtree_root};

/// Writes the records that `checkpoint` covers, their hashes and the checkpoint into `dir`, which is made or empty.
/// The checkpoint comes last, so a folder that has one is whole; durable when this returns.
///
/// Errors: NotEmpty; NotReached and OtherCheckpoint when the log is not the one that was signed; Damaged; Io.
pub fn export_tiles(reader: &LogReader, checkpoint: &SignedCheckpoint, dir: &Path) -> Result<()> {
    let at = checkpoint.checkpoint();
    let size = reader.head().size;
    if at.size > size {
        return Err(Error::NotReached { dir: reader.dir().to_owned(), size, asked: at.size });
    }
    Disk::default().create_dir(dir)?;
    if !disk::names(dir)?.is_empty() {
        return Err(Error::NotEmpty { dir: dir.to_owned() });
    }
    let mut export = Export { dir, bundle: Vec::new(), levels: Vec::new(), done: 0 };
    let mut frontier = Frontier::default();
    let commits = if at.size > 0 { Some(reader.iter(1)) } else { None };
    'log: for commit in commits.into_iter().flatten() {
        for entry in commit?.entries {
            let leaf = leaf_hash(&entry.leaf);
            frontier.append(leaf);
            export.entry(&entry.leaf, leaf)?;
            if frontier.size() == at.size {
                break 'log;
            }
        }
    }
    if frontier.root() != at.root {
        return Err(Error::OtherCheckpoint { dir: reader.dir().to_owned(), size: at.size });
    }
    export.finish()?;
    // One sync for thousands of files.
    let synced = File::open(dir).and_then(|folder| Ok(syncfs(&folder)?));
    synced.map_err(Error::io("make durable", dir))?;
    checkpoint.store(&dir.join("checkpoint"))
}

struct Export<'a> {
    dir: &'a Path,
    /// The records of the last, incomplete tile.
    bundle: Vec<u8>,
    /// Of each level: which tile is next, and its hashes so far.
    levels: Vec<(u64, Vec<Hash>)>,
    done: u64,
}

impl Export<'_> {
    fn entry(&mut self, bytes: &[u8], leaf: Hash) -> Result<()> {
        // The log took no leaf above 65,535 bytes.
        self.bundle.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
        self.bundle.extend_from_slice(bytes);
        self.done += 1;
        if self.done.is_multiple_of(TILE) {
            self.write(&path("entries", self.done / TILE - 1, TILE), &self.bundle)?;
            self.bundle.clear();
        }
        self.hash(leaf)
    }

    /// Adds a leaf hash, and the root of each tile that it completes one level up.
    fn hash(&mut self, leaf: Hash) -> Result<()> {
        let mut hash = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push((0, Vec::with_capacity(TILE as usize)));
            }
            let (tile, hashes) = &mut self.levels[level];
            hashes.push(hash);
            if (hashes.len() as u64) < TILE {
                return Ok(());
            }
            hash = subtree_root(hashes);
            let (name, bytes) = (path(&level.to_string(), *tile, TILE), hashes.concat());
            *tile += 1;
            hashes.clear();
            self.write(&name, &bytes)?;
        }
        Ok(())
    }

    /// Writes what is left of each level.
    fn finish(&self) -> Result<()> {
        if !self.bundle.is_empty() {
            self.write(&path("entries", self.done / TILE, self.done % TILE), &self.bundle)?;
        }
        for (level, (tile, hashes)) in self.levels.iter().enumerate().filter(|(_, (_, h))| !h.is_empty()) {
            self.write(&path(&level.to_string(), *tile, hashes.len() as u64), &hashes.concat())?;
        }
        Ok(())
    }

    fn write(&self, name: &Path, bytes: &[u8]) -> Result<()> {
        let path = self.dir.join(name);
        if let Some(folder) = path.parent() {
            Disk::default().create_dir(folder)?;
        }
        fs::write(&path, bytes).map_err(Error::io("write", &path))
    }
}

fn path(level: &str, number: u64, width: u64) -> PathBuf {
    let mut groups = format!("{:03}", number % 1000);
    let mut rest = number / 1000;
    while rest > 0 {
        groups = format!("x{:03}/{groups}", rest % 1000);
        rest /= 1000;
    }
    let whole = format!("tile/{level}/{groups}");
    if width == TILE { whole.into() } else { format!("{whole}.p/{width}").into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_format() {
        let name = |number, width| path("1", number, width).to_str().unwrap().to_owned();
        assert_eq!(name(0, 256), "tile/1/000");
        assert_eq!(name(1_234_067, 256), "tile/1/x001/x234/067");
        assert_eq!(name(1_000, 17), "tile/1/x001/000.p/17");
    }
}
