//! Snapshots of folded state as plain files: a cache, recognised before it is decoded.
//!
//! ```text
//! <position, 20 digits>.snap, little endian
//!    0  magic 8, format u32, fold version u32, office 16, kind u8, zero 7
//!   40  position u64, tree root at it 32, state hash 32, payload length u64
//!  120  CRC32C of bytes 0 to 120 and of the payload; zero 4
//!  128  payload
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use crc32c::{crc32c, crc32c_append};

use crate::bytes::{hash_at, u32_at, u64_at};
use crate::disk::{self, Disk};
use crate::error::Result;
use crate::merkle::Hash;
use crate::types::LogId;

const MAGIC: &[u8; 8] = b"\xF5rnksSNP";
const FORMAT: u32 = 1;
const HEADER_BYTES: usize = 128;
const CRC_AT: usize = 120;

/// A state to keep.
#[derive(Debug, Clone, Copy)]
pub struct NewSnapshot<'a> {
    /// The state is the fold of the records 1 to `position`; a commit ends there.
    pub position: u64,
    /// The tree hash at `position`.
    pub root: Hash,
    /// Version of the code that folded it.
    pub fold_version: u32,
    /// The state's own hash; the caller compares it after decoding.
    pub state_hash: Hash,
    /// The encoded state. This crate does not look into it.
    pub payload: &'a [u8],
}

/// A state that was kept, its bytes checked against everything but the state hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// See [`NewSnapshot::position`].
    pub position: u64,
    /// See [`NewSnapshot::state_hash`].
    pub state_hash: Hash,
    /// See [`NewSnapshot::payload`].
    pub payload: Vec<u8>,
}

/// A folder of snapshots of one log and one kind of state.
#[derive(Debug, Clone)]
pub struct Snapshots {
    folder: PathBuf,
    id: LogId,
    disk: Disk,
}

impl Snapshots {
    /// Uses `folder` (made if need be), usually `snapshots` in the log's own. One writer at a time: the log's.
    /// Removes what an interrupted `put` left. Errors: Io.
    pub fn open(folder: &Path, id: LogId) -> Result<Snapshots> {
        Snapshots::open_on(Disk::default(), folder, id)
    }

    /// As [`Snapshots::open`], on a disk that may be watched.
    pub fn open_on(disk: Disk, folder: &Path, id: LogId) -> Result<Snapshots> {
        disk.create_dir(folder)?;
        for name in disk::names(folder)?.iter().filter(|name| name.ends_with(".snap.new")) {
            disk.remove(&folder.join(name))?;
        }
        Ok(Snapshots { folder: folder.to_owned(), id, disk })
    }

    /// Keeps a state; replaces one at the same position. Durable when this returns. Errors: Io.
    ///
    /// If we crash here: there is a `.new` file that opening removes, or the whole snapshot.
    pub fn put(&self, snapshot: NewSnapshot<'_>) -> Result<()> {
        let path = self.path(snapshot.position);
        let file = self.disk.create(path.with_extension("snap.new"))?;
        file.write(&self.header(&snapshot), 0)?;
        file.write(snapshot.payload, HEADER_BYTES as u64)?;
        file.sync()?;
        file.rename(path)?;
        self.disk.sync_dir(&self.folder)
    }

    /// The newest usable snapshot at or before `at_or_before`, made by `fold_version`.
    ///
    /// `root_at` gives the log's tree hash at a position, None when it cannot tell ([`crate::LogReader::root_at`]); a
    /// snapshot it cannot tell about is passed over. One that is damaged, foreign, of another format or fold version, or
    /// of another history is passed over, told in the trace and removed. Errors: Io of the folder itself.
    pub fn latest(
        &self,
        at_or_before: u64,
        fold_version: u32,
        mut root_at: impl FnMut(u64) -> Option<Hash>,
    ) -> Result<Option<Snapshot>> {
        for position in self.positions()?.into_iter().rev().filter(|position| *position <= at_or_before) {
            match self.read(position, fold_version, &mut root_at) {
                Ok(found @ Some(_)) => return Ok(found),
                Ok(None) => {}
                Err(cause) => self.discard(position, &cause)?,
            }
        }
        Ok(None)
    }

    /// Positions that have a file, ascending, usable or not. Errors: Io.
    pub fn positions(&self) -> Result<Vec<u64>> {
        let names = disk::names(&self.folder)?;
        // 20 digits each, so the order of the names is the order of the positions.
        Ok(names.iter().filter_map(|name| name.strip_suffix(".snap")?.parse().ok()).collect())
    }

    /// Removes all but the `n` newest. Errors: Io.
    pub fn keep(&self, n: usize) -> Result<()> {
        let positions = self.positions()?;
        let surplus = positions.len().saturating_sub(n);
        positions[..surplus].iter().try_for_each(|position| self.remove(*position))
    }

    fn path(&self, position: u64) -> PathBuf {
        self.folder.join(format!("{position:020}.snap"))
    }

    fn header(&self, snapshot: &NewSnapshot<'_>) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        header[..8].copy_from_slice(MAGIC);
        header[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        header[12..16].copy_from_slice(&snapshot.fold_version.to_le_bytes());
        header[16..32].copy_from_slice(self.id.office.as_bytes());
        header[32] = self.id.kind.code();
        header[40..48].copy_from_slice(&snapshot.position.to_le_bytes());
        header[48..80].copy_from_slice(&snapshot.root);
        header[80..112].copy_from_slice(&snapshot.state_hash);
        header[112..120].copy_from_slice(&(snapshot.payload.len() as u64).to_le_bytes());
        let crc = crc32c_append(crc32c(&header[..CRC_AT]), snapshot.payload);
        header[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
        header
    }

    /// Err is why the file must go. The cheap questions come first.
    fn read(
        &self,
        position: u64,
        fold_version: u32,
        root_at: &mut impl FnMut(u64) -> Option<Hash>,
    ) -> Result<Option<Snapshot>, String> {
        let mut bytes = fs::read(self.path(position)).map_err(|error| format!("cannot be read: {error}"))?;
        let sure = |holds: bool, cause: &str| if holds { Ok(()) } else { Err(cause.to_owned()) };
        sure(bytes.len() >= HEADER_BYTES && &bytes[..8] == MAGIC, "it is not a snapshot")?;
        sure(u32_at(&bytes, 8) == FORMAT, "it has a format that this release does not know")?;
        sure(u32_at(&bytes, 12) == fold_version, "it was made by other fold code")?;
        let own = &bytes[16..32] == self.id.office.as_bytes() && bytes[32] == self.id.kind.code();
        sure(own, "it is of another log")?;
        sure(u64_at(&bytes, 40) == position, "it is of another position than its name")?;
        sure(u64_at(&bytes, 112) == (bytes.len() - HEADER_BYTES) as u64, "it is not whole")?;
        let crc = crc32c_append(crc32c(&bytes[..CRC_AT]), &bytes[HEADER_BYTES..]);
        let padding = u32_at(&bytes, CRC_AT + 4) == 0;
        sure(crc == u32_at(&bytes, CRC_AT) && padding, "it does not match its checksum")?;
        let Some(root) = root_at(position) else { return Ok(None) };
        sure(hash_at(&bytes, 48) == root, "it is of another history")?;
        let state_hash = hash_at(&bytes, 80);
        bytes.drain(..HEADER_BYTES);
        Ok(Some(Snapshot { position, state_hash, payload: bytes }))
    }

    fn discard(&self, position: u64, cause: &str) -> Result<()> {
        tracing::warn!(file = %self.path(position).display(), cause, "a snapshot is not usable and was removed");
        self.remove(position)
    }

    fn remove(&self, position: u64) -> Result<()> {
        self.disk.remove(&self.path(position))
    }
}
