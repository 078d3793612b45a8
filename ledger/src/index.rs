//! Where things are: rows that are quick to search, rebuilt from the log whenever in doubt.
//!
//! sled 0.34.7 below. Its `flush` makes no `fsync`, so after a crash the index may be behind, damaged or gone; callers
//! compare [`Index::covered`] with the log and go on from there, or clear and rebuild.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crc32c::{crc32c, crc32c_append};

use crate::bytes::{hash_at, u32_at, u64_at};
use crate::disk::{self, Disk};
use crate::error::{Error, IndexError};
use crate::index_guard::{OPEN_WAIT_MAX, guarded, open_sled, set_aside, unpanicked};
use crate::merkle::{self, Hash};
use crate::types::LogId;

const FORMAT: u32 = 1;
const COVERED_DAMAGED: &str = "the row that says what it covers is not what was written";
/// The table that keeps what the index says about itself.
const META: u8 = 255;
const LOG_KEY: &[u8] = b"\xFFlog";
const COVERED_KEY: &[u8] = b"\xFFcovered";

/// Rows to write at once, with how far the index then reaches. sled keeps what a batch touches in memory: stay at about
/// 2,000 rows (measured: 88 MB for the process; 171 MB at 20,000).
#[derive(Debug)]
#[must_use = "write it to the index"]
pub struct IndexBatch {
    covers_to: u64,
    root: Hash,
    /// By table and key; None takes the row out. The last word on a key counts.
    rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl IndexBatch {
    /// A batch after which the index covers the records 1 to `covers_to`, where the tree hash is `root`.
    pub fn new(covers_to: u64, root: Hash) -> IndexBatch {
        IndexBatch { covers_to, root, rows: BTreeMap::new() }
    }

    /// Adds or replaces a row. Tables 0 to 254 are the caller's.
    pub fn put(&mut self, table: u8, key: &[u8], value: &[u8]) {
        assert!(table != META, "BUG: table 255 is the index's own");
        let key = table_key(table, key);
        let crc = crc32c_append(crc32c(&key), value);
        let mut stored = Vec::with_capacity(4 + value.len());
        stored.extend_from_slice(&crc.to_le_bytes());
        stored.extend_from_slice(value);
        self.rows.insert(key, Some(stored));
    }

    /// Takes a row out, if it is there.
    pub fn remove(&mut self, table: u8, key: &[u8]) {
        assert!(table != META, "BUG: table 255 is the index's own");
        self.rows.insert(table_key(table, key), None);
    }
}

/// What the index says about itself. Count and sum are over the caller's rows, so that rows that sled lost are missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Covered {
    to: u64,
    root: Hash,
    rows: u64,
    /// Of the rows' checksums, wrapping.
    sum: u64,
}

impl Covered {
    const BYTES: usize = 60;

    fn nothing() -> Covered {
        Covered { to: 0, root: merkle::empty_root(), rows: 0, sum: 0 }
    }

    fn add(&mut self, stored: &[u8]) {
        self.rows = self.rows.wrapping_add(1);
        self.sum = self.sum.wrapping_add(row_crc(stored));
    }

    fn subtract(&mut self, stored: &[u8]) {
        self.rows = self.rows.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(row_crc(stored));
    }

    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = vec![0; 4];
        bytes.extend_from_slice(&self.to.to_le_bytes());
        bytes.extend_from_slice(&self.root);
        bytes.extend_from_slice(&self.rows.to_le_bytes());
        bytes.extend_from_slice(&self.sum.to_le_bytes());
        let crc = crc32c(&bytes[4..]);
        bytes[..4].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn parse(bytes: &[u8]) -> Option<Covered> {
        let whole = bytes.len() == Covered::BYTES && crc32c(&bytes[4..]) == u32_at(bytes, 0);
        whole.then(|| Covered {
            to: u64_at(bytes, 4),
            root: hash_at(bytes, 12),
            rows: u64_at(bytes, 44),
            sum: u64_at(bytes, 52),
        })
    }
}

fn row_crc(stored: &[u8]) -> u64 {
    // A row too short to have a checksum was not written by us; reading it fails, whatever it adds here.
    if stored.len() < 4 { 0 } else { u64::from(u32_at(stored, 0)) }
}

/// A row without its table: (key, value).
pub type IndexRow = (Vec<u8>, Vec<u8>);

/// What opening found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use = "say what was set aside"]
pub struct IndexOpened {
    /// The index that was there could not be used; an empty one is in its place.
    pub set_aside: Option<IndexSetAside>,
}

/// An index that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexSetAside {
    /// Where it is now. Only the latest is kept.
    pub to: PathBuf,
    /// Why, in words.
    pub cause: String,
}

/// A rebuildable index beside a log. Usable from many threads.
pub struct Index {
    db: sled::Db,
    path: PathBuf,
    id: LogId,
    writing: Mutex<()>,
    _lock: File,
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // sled would print every row.
        f.debug_struct("Index").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Index {
    /// Opens `dir/index`, or makes an empty one. One that panics, hangs for 10 s, errors, has another format or belongs
    /// to another log is set aside and an empty one made. Errors: Folder (locked by another process, or not usable);
    /// Failed or Damaged when not even an empty one can be made.
    pub fn open(dir: &Path, id: &LogId) -> Result<(Index, IndexOpened), IndexError> {
        Index::open_as(dir, id, Look::Itself, OPEN_WAIT_MAX)
    }

    /// As [`Index::open`], and walks every row as [`Index::verify`] does: one that lost a row is set aside too. Opening and
    /// walking together may take `wait_max`.
    pub fn open_verified(
        dir: &Path,
        id: &LogId,
        wait_max: Duration,
    ) -> Result<(Index, IndexOpened), IndexError> {
        Index::open_as(dir, id, Look::EveryRow, wait_max)
    }

    fn open_as(
        dir: &Path,
        id: &LogId,
        look: Look,
        wait_max: Duration,
    ) -> Result<(Index, IndexOpened), IndexError> {
        Disk::default().create_dir(dir).map_err(IndexError::Folder)?;
        let lock = disk::lock(dir, "index.lock").map_err(IndexError::Folder)?;
        let path = dir.join("index");
        let existed = path.exists();
        let mut opened = IndexOpened::default();
        let look = if existed { look } else { Look::Nothing };
        let db = match open_checked(&path, id, look, wait_max) {
            Ok(db) => db,
            Err(cause) if existed => {
                let to = set_aside(dir, &path).map_err(IndexError::Folder)?;
                tracing::warn!(cause, to = %to.display(), "the index was set aside and is built anew");
                opened.set_aside = Some(IndexSetAside { to, cause });
                open_checked(&path, id, Look::Nothing, wait_max)
                    .map_err(|cause| IndexError::Damaged { path: path.clone(), cause })?
            }
            Err(cause) => return Err(IndexError::Damaged { path, cause }),
        };
        Ok((Index { db, path, id: *id, writing: Mutex::new(()), _lock: lock }, opened))
    }

    /// Writes a batch: all its rows and what it covers, or nothing. Not durable; see [`Index::flush`]. Errors: Failed,
    /// Damaged.
    pub fn write(&self, batch: IndexBatch) -> Result<(), IndexError> {
        // One at a time, or the count of rows would be of neither.
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut covered = Covered { to: batch.covers_to, root: batch.root, ..self.read_covered()? };
        let mut rows = sled::Batch::default();
        for (key, stored) in batch.rows {
            if let Some(before) = self.guard(|| self.db.get(&key))? {
                covered.subtract(&before);
            }
            match stored {
                None => rows.remove(key),
                Some(stored) => {
                    covered.add(&stored);
                    rows.insert(key, stored);
                }
            }
        }
        rows.insert(COVERED_KEY, covered.to_bytes());
        self.guard(|| self.db.apply_batch(rows))
    }

    /// The last position that the index covers; 0 when empty. Errors: Failed, Damaged.
    pub fn covered(&self) -> Result<u64, IndexError> {
        Ok(self.read_covered()?.to)
    }

    /// Whether the index is of this history: `root` is the log's tree hash at [`Index::covered`]. Errors: Failed,
    /// Damaged. When it answers false, clear and rebuild.
    pub fn check(&self, root: &Hash) -> Result<bool, IndexError> {
        Ok(self.read_covered()?.root == *root)
    }

    /// Walks every row and compares their number and checksums with what was written. Errors: Failed; Damaged when a row
    /// is missing, changed or too many. About 300,000 rows a second; not while another thread writes.
    ///
    /// sled can lose rows to a flipped bit and open without a word (measured: 23 of 3,000 flips). Until this has passed,
    /// take an absent row as an answer only where the log or the state could not know better.
    pub fn verify(&self) -> Result<(), IndexError> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        match self.guard(|| differs(&self.db))? {
            None => Ok(()),
            Some(cause) => Err(self.damaged(cause)),
        }
    }

    /// The value of a row. Errors: Failed, Damaged (the row is not what was written).
    pub fn get(&self, table: u8, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        let key = table_key(table, key);
        let stored = self.guard(|| self.db.get(&key))?;
        stored.map(|stored| self.value(&key, &stored)).transpose()
    }

    /// Rows of `table` whose key begins with `prefix`, in order of key: (key, value). After an error it ends.
    pub fn range(&self, table: u8, prefix: &[u8]) -> IndexRows<'_> {
        IndexRows { index: self, rows: self.db.scan_prefix(table_key(table, prefix)), failed: false }
    }

    /// The row of `table` with the largest key that is not after `key`: (key, value). Errors: Failed, Damaged.
    ///
    /// This is how a run is found: keyed by the number it begins with, big endian.
    pub fn last_at_or_before(&self, table: u8, key: &[u8]) -> Result<Option<IndexRow>, IndexError> {
        let (from, to) = (vec![table], table_key(table, key));
        let found = self.guard(|| self.db.range(from..=to).next_back().transpose())?;
        found.map(|(key, stored)| Ok((key[1..].to_vec(), self.value(&key, &stored)?))).transpose()
    }

    /// Hands what was written to the operating system. Survives the end of the process, not a power cut.
    pub fn flush(&self) -> Result<(), IndexError> {
        self.guard(|| self.db.flush()).map(drop)
    }

    /// Empties the index and everything it covers. Errors: as [`Index::open`].
    pub fn clear(self) -> Result<Index, IndexError> {
        // Emptying a damaged sled row by row would read it; its files are thrown away instead.
        let Index { db, path, id, writing, _lock } = self;
        let _ = unpanicked(move || drop(db));
        fs::remove_dir_all(&path).map_err(Error::io("remove", &path)).map_err(IndexError::Folder)?;
        let db = open_checked(&path, &id, Look::Nothing, OPEN_WAIT_MAX)
            .map_err(|cause| IndexError::Damaged { path: path.clone(), cause })?;
        Ok(Index { db, path, id, writing, _lock })
    }

    fn read_covered(&self) -> Result<Covered, IndexError> {
        match self.guard(|| self.db.get(COVERED_KEY))? {
            None => Ok(Covered::nothing()),
            Some(row) => Covered::parse(&row).ok_or_else(|| self.damaged(COVERED_DAMAGED.into())),
        }
    }

    fn value(&self, key: &[u8], stored: &[u8]) -> Result<Vec<u8>, IndexError> {
        match is_as_written(key, stored) {
            true => Ok(stored[4..].to_vec()),
            false => Err(self.damaged(row_damaged(key))),
        }
    }

    fn guard<T>(&self, run: impl FnOnce() -> Result<T, sled::Error>) -> Result<T, IndexError> {
        match unpanicked(run) {
            Ok(answer) => answer.map_err(|source| IndexError::Failed { path: self.path.clone(), source }),
            Err(cause) => Err(self.damaged(cause)),
        }
    }

    pub(crate) fn damaged(&self, cause: String) -> IndexError {
        IndexError::Damaged { path: self.path.clone(), cause }
    }
}

/// See [`Index::range`].
pub struct IndexRows<'a> {
    index: &'a Index,
    rows: sled::Iter,
    failed: bool,
}

impl fmt::Debug for IndexRows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexRows").field("index", self.index).finish_non_exhaustive()
    }
}

impl Iterator for IndexRows<'_> {
    type Item = Result<IndexRow, IndexError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let (index, rows) = (self.index, &mut self.rows);
        let row = index.guard(|| rows.next().transpose()).transpose()?;
        let row = row.and_then(|(key, stored)| Ok((key[1..].to_vec(), index.value(&key, &stored)?)));
        self.failed = row.is_err();
        Some(row)
    }
}

fn table_key(table: u8, key: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + key.len());
    bytes.push(table);
    bytes.extend_from_slice(key);
    bytes
}

fn log_value(id: &LogId) -> Vec<u8> {
    let mut value = FORMAT.to_le_bytes().to_vec();
    value.extend_from_slice(id.office.as_bytes());
    value.push(id.kind.code());
    value
}

fn is_as_written(key: &[u8], stored: &[u8]) -> bool {
    stored.len() >= 4 && crc32c_append(crc32c(key), &stored[4..]) == u32_at(stored, 0)
}

fn row_damaged(key: &[u8]) -> String {
    format!("a row of table {} does not match its checksum", key[0])
}

/// Walks every row. Some says in what they are not what was written.
fn differs(db: &sled::Db) -> Result<Option<String>, sled::Error> {
    let wanted = match db.get(COVERED_KEY)?.map(|row| Covered::parse(&row)) {
        None => Covered::nothing(),
        Some(Some(covered)) => covered,
        Some(None) => return Ok(Some(COVERED_DAMAGED.into())),
    };
    let mut found = Covered { rows: 0, sum: 0, ..wanted };
    for row in db.range(..[META]) {
        let (key, stored) = row?;
        if !is_as_written(&key, &stored) {
            return Ok(Some(row_damaged(&key)));
        }
        found.add(&stored);
    }
    let told = || format!("it has {} rows where {} were written", found.rows, wanted.rows);
    Ok((found != wanted).then(told))
}

/// What opening looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// A new one has nothing to be looked at.
    Nothing,
    /// The rows that say what it is.
    Itself,
    EveryRow,
}

/// Opens sled and looks at what it says about itself. Err is why it cannot be used.
fn open_checked(path: &Path, id: &LogId, look: Look, wait_max: Duration) -> Result<sled::Db, String> {
    let (path, ours) = (path.to_owned(), log_value(id));
    guarded(wait_max, move || {
        let db = open_sled(&path)?;
        let silent = |error: sled::Error| format!("it does not answer: {error}");
        match db.get(LOG_KEY).map_err(silent)? {
            Some(row) if *row == *ours => match look {
                Look::EveryRow => differs(&db).map_err(silent)?.map_or(Ok(db), Err),
                Look::Nothing | Look::Itself => Ok(db),
            },
            Some(row) if row.get(..4) != Some(&FORMAT.to_le_bytes()) => Err("it has another format".into()),
            Some(_) => Err("it belongs to another log".into()),
            // We wrote it when we made the index, so sled has lost that much and maybe more.
            None if look != Look::Nothing => Err("it does not say which log it belongs to".into()),
            None => {
                let written = db.insert(LOG_KEY, ours).and_then(|_| db.flush());
                written.map_err(|error| format!("it cannot be written: {error}"))?;
                Ok(db)
            }
        }
    })
}
