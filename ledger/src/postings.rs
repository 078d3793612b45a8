//! Which records say something about a subject: an inverted index over a log. A posting is a hint; whoever looks up reads
//! the records themselves. What a record says is told by the caller: nothing here decodes one.
//!
//! A row is a list of positions of one subject. A list grows until it is [`ROW_BYTES_MAX`] long, whatever the batches that
//! it came in: the size of the index depends on what the log says, not on how often it was asked.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::error::IndexError;
use crate::index::{Index, IndexBatch, IndexSetAside};
use crate::merkle::Hash;
use crate::reader::LogReader;
use crate::types::{CommitView, LogId};

/// A list of positions is not continued once it is this long.
const ROW_BYTES_MAX: usize = 512;
/// Subjects and postings gathered before they are written; sled keeps what a batch touches in memory (see [`IndexBatch`]).
const BATCH_SUBJECTS: usize = 1_500;
const BATCH_POSTINGS: usize = 200_000;
/// Commits after which whoever waits is told how far it is.
const TELL_EVERY_RECORDS: u64 = 10_000;

/// The table and the row that say by which reading of the records the lists were made.
const ABOUT: u8 = 0;
const VERSION_KEY: &[u8] = b"version";

/// Subjects of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Table {
    /// 1 to 254.
    pub number: u8,
    /// Subjects with the same key share a list and are told apart in it by so many bits: what lies near one another, like
    /// the entries of one device, need not have a row each.
    pub tag_bits: u8,
}

/// What a record may say something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    pub table: Table,
    pub key: u64,
    /// Less than 2 to the power of the table's bits.
    pub tag: u8,
}

/// An inverted index beside a log.
#[derive(Debug)]
pub struct Postings {
    index: Index,
    version: u32,
}

impl Postings {
    /// Opens `dir/index` or makes an empty one, and walks it whole. `version` names the reading of the records: one made
    /// by another is emptied by [`Postings::follow`]. Errors and what is set aside: as [`Index::open_verified`].
    pub fn open(
        dir: &Path,
        id: &LogId,
        version: u32,
        wait_max: Duration,
    ) -> Result<(Postings, Option<IndexSetAside>), IndexError> {
        let (index, opened) = Index::open_verified(dir, id, wait_max)?;
        Ok((Postings { index, version }, opened.set_aside))
    }

    /// The last position that is indexed. Errors: Failed, Damaged.
    pub fn covered(&self) -> Result<u64, IndexError> {
        self.index.covered()
    }

    /// Brings the lists up to the log's head; from nothing where they are of another history or reading. `subjects` says
    /// what a leaf is about; `progress` is told (done, total) of a long way. Errors: Folder (the log cannot be read), Failed,
    /// Damaged.
    ///
    /// If we stop inside: what is covered is whole, and the next call goes on from there.
    pub fn follow(
        mut self,
        reader: &LogReader,
        subjects: &dyn Fn(&[u8], &mut Vec<Subject>),
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Postings, IndexError> {
        if !self.is_of(reader)? {
            self.index = self.index.clear()?;
        }
        let (covered, head) = (self.covered()?, reader.head().size);
        if covered >= head {
            return Ok(self);
        }
        let (mut commits, mut gathered) = (reader.iter(covered + 1), Gathered::default());
        let mut told = covered;
        while commits.see(|commit| gathered.take(&commit, subjects)).map_err(IndexError::Folder)?.is_some() {
            if gathered.covers_to >= told + TELL_EVERY_RECORDS {
                told = gathered.covers_to;
                progress(told - covered, head - covered);
            }
            if gathered.is_full() {
                self.write(std::mem::take(&mut gathered))?;
            }
        }
        if gathered.covers_to > 0 {
            self.write(gathered)?;
        }
        self.index.flush()?;
        Ok(self)
    }

    /// Where records are about a subject, ascending. Errors: Failed, Damaged.
    pub fn positions(&self, subject: Subject) -> Result<Vec<u64>, IndexError> {
        let mut found = Vec::new();
        for row in self.index.range(subject.table.number, &subject.key.to_be_bytes()) {
            let (key, list) = row?;
            let list = List::parse(&key, list).ok_or_else(|| self.unreadable())?;
            let postings = list.postings(subject.table.tag_bits).ok_or_else(|| self.unreadable())?;
            found.extend(postings.into_iter().filter(|(_, tag)| *tag == subject.tag).map(|(at, _)| at));
        }
        found.dedup();
        Ok(found)
    }

    /// Whether the lists are of this history, and made by this reading of it.
    fn is_of(&self, reader: &LogReader) -> Result<bool, IndexError> {
        let covered = self.covered()?;
        if covered == 0 {
            return Ok(true);
        }
        let version = self.index.get(ABOUT, VERSION_KEY)?;
        match reader.root_at(covered) {
            Ok(Some(root)) if version.as_deref() == Some(&self.version.to_le_bytes()) => {
                self.index.check(&root)
            }
            _ => Ok(false),
        }
    }

    fn write(&self, gathered: Gathered) -> Result<(), IndexError> {
        let mut batch = IndexBatch::new(gathered.covers_to, gathered.root);
        batch.put(ABOUT, VERSION_KEY, &self.version.to_le_bytes());
        for ((table, key), postings) in gathered.postings {
            let mut list = self.last_list(table, key)?;
            for (position, tag) in postings {
                match &mut list {
                    Some(list) if list.bytes.len() < ROW_BYTES_MAX => {
                        list.push(table.tag_bits, position, tag)
                    }
                    _ => {
                        list.take().iter().for_each(|full| full.put(&mut batch, table, key));
                        list = Some(List::beginning(table.tag_bits, position, tag));
                    }
                }
            }
            list.iter().for_each(|last| last.put(&mut batch, table, key));
        }
        self.index.write(batch)
    }

    /// The list of a subject that may still grow.
    fn last_list(&self, table: Table, key: u64) -> Result<Option<List>, IndexError> {
        let found = self.index.last_at_or_before(table.number, &list_key(key, u64::MAX))?;
        let Some((found, bytes)) = found.filter(|(found, _)| found.starts_with(&key.to_be_bytes())) else {
            return Ok(None);
        };
        let list = List::parse(&found, bytes).ok_or_else(|| self.unreadable())?;
        let last = list.postings(table.tag_bits).ok_or_else(|| self.unreadable())?.last().map(|(at, _)| *at);
        Ok(Some(List { last: last.unwrap_or(list.first), ..list }))
    }

    fn unreadable(&self) -> IndexError {
        self.index.damaged("a list of positions is not what this release writes".into())
    }
}

/// What was read and is not yet written.
#[derive(Default)]
struct Gathered {
    covers_to: u64,
    root: Hash,
    postings: BTreeMap<(Table, u64), Vec<(u64, u8)>>,
    count: usize,
    subjects: Vec<Subject>,
}

impl Gathered {
    fn take(&mut self, commit: &CommitView<'_>, subjects: &dyn Fn(&[u8], &mut Vec<Subject>)) {
        for (position, leaf) in (commit.first()..).zip(commit.leaves()) {
            subjects(leaf, &mut self.subjects);
            self.count += self.subjects.len();
            for Subject { table, key, tag } in self.subjects.drain(..) {
                assert!(u32::from(tag) < 1 << table.tag_bits, "BUG: a tag has more bits than its table");
                self.postings.entry((table, key)).or_default().push((position, tag));
            }
        }
        (self.covers_to, self.root) = (commit.size_after(), commit.root_after());
    }

    fn is_full(&self) -> bool {
        self.postings.len() >= BATCH_SUBJECTS || self.count >= BATCH_POSTINGS
    }
}

/// A row: the positions of a subject from `first` on, each as what it lies behind the one before, and its tag.
#[derive(Debug)]
struct List {
    first: u64,
    last: u64,
    bytes: Vec<u8>,
}

impl List {
    fn beginning(tag_bits: u8, position: u64, tag: u8) -> List {
        let mut list = List { first: position, last: position, bytes: Vec::new() };
        list.push(tag_bits, position, tag);
        list
    }

    fn push(&mut self, tag_bits: u8, position: u64, tag: u8) {
        put_varint(&mut self.bytes, (position - self.last) << tag_bits | u64::from(tag));
        self.last = position;
    }

    fn put(&self, batch: &mut IndexBatch, table: Table, key: u64) {
        batch.put(table.number, &list_key(key, self.first), &self.bytes);
    }

    fn parse(key: &[u8], bytes: Vec<u8>) -> Option<List> {
        let first = u64::from_be_bytes(key.get(8..)?.try_into().ok()?);
        Some(List { first, last: first, bytes })
    }

    fn postings(&self, tag_bits: u8) -> Option<Vec<(u64, u8)>> {
        let (mut rest, mut position) = (self.bytes.as_slice(), self.first);
        let mut postings = Vec::with_capacity(rest.len());
        while !rest.is_empty() {
            let value = take_varint(&mut rest)?;
            position = position.checked_add(value >> tag_bits)?;
            postings.push((position, u8::try_from(value & ((1 << tag_bits) - 1)).ok()?));
        }
        Some(postings)
    }
}

fn list_key(key: u64, first: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&key.to_be_bytes());
    bytes[8..].copy_from_slice(&first.to_be_bytes());
    bytes
}

/// LEB128, as protobuf writes numbers.
pub fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Takes a number off the beginning; None where there is none.
pub fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7F).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
