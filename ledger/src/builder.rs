//! Writing a log anew from commits that are already known: a restore. Nobody was promised anything of it before it is
//! finished, so a segment is made durable once, not with every commit.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::disk::{self, Disk, DiskFile};
use crate::error::{Error, Result};
use crate::frame;
use crate::log::SEGMENT_BYTES_DEFAULT;
use crate::merkle::Frontier;
use crate::segment::{self, FRAMES_AT, Slot};
use crate::types::{Commit, Head, LogId};

/// A log that is being written anew, with the commits, roots and epochs that it had.
#[derive(Debug)]
#[must_use = "finish it: before that nothing of it is durable"]
pub struct LogBuilder {
    disk: Disk,
    dir: PathBuf,
    id: LogId,
    segment_bytes: u64,
    file: DiskFile,
    segment_first: u64,
    end_offset: u64,
    frontier: Frontier,
    epoch: u32,
    buffer: Vec<u8>,
    _lock: File,
}

impl LogBuilder {
    /// Begins a log in `dir` (made if need be). Errors: AlreadyExists, Locked, Io.
    pub fn create(dir: &Path, id: LogId, epoch: u32) -> Result<LogBuilder> {
        LogBuilder::create_with(dir, id, epoch, SEGMENT_BYTES_DEFAULT)
    }

    /// As [`LogBuilder::create`], with segments of at most `segment_bytes`.
    pub fn create_with(dir: &Path, id: LogId, epoch: u32, segment_bytes: u64) -> Result<LogBuilder> {
        let disk = Disk::default();
        disk.create_dir(dir)?;
        let lock = disk::lock(dir, "lock")?;
        if !segment::list(dir)?.is_empty() {
            return Err(Error::AlreadyExists { dir: dir.to_owned() });
        }
        let frontier = Frontier::default();
        let file = segment::create(&disk, dir, &id, epoch, &frontier)?;
        Ok(LogBuilder {
            disk,
            dir: dir.to_owned(),
            id,
            segment_bytes,
            file,
            segment_first: 1,
            end_offset: FRAMES_AT,
            frontier,
            epoch,
            buffer: Vec::new(),
            _lock: lock,
        })
    }

    /// How far the log reaches.
    pub fn head(&self) -> Head {
        Head { size: self.frontier.size(), root: self.frontier.root(), epoch: self.epoch }
    }

    /// Adds the next commit, exactly as it was.
    ///
    /// Errors that add nothing: NotContinuing, RootMismatch, EpochNotLater, EmptyCommit, LeafTooLarge, CommitTooLarge.
    pub fn push(&mut self, commit: &Commit) -> Result<()> {
        let frame_bytes = frame::check(&commit.entries)?;
        let expected = self.frontier.size() + 1;
        if commit.first != expected || commit.size_after != self.frontier.size() + commit.entries.len() as u64
        {
            return Err(Error::NotContinuing { expected, first: commit.first });
        }
        if commit.epoch < self.epoch {
            let (current, asked) = (self.epoch, commit.epoch);
            return Err(Error::EpochNotLater { dir: self.dir.clone(), current, asked });
        }
        let mut frontier = self.frontier.clone();
        let root = frame::encode(&commit.entries, commit.epoch, &mut frontier, &mut self.buffer);
        if root != commit.root_after {
            let dir = self.dir.clone();
            return Err(Error::RootMismatch { dir, first: commit.first, last: commit.size_after });
        }
        let full = self.end_offset > FRAMES_AT && self.end_offset + frame_bytes > self.segment_bytes;
        if full || commit.epoch > self.epoch {
            self.next_segment(commit.epoch)?;
        }
        self.file.write(&self.buffer, self.end_offset)?;
        self.end_offset += self.buffer.len() as u64;
        self.frontier = frontier;
        Ok(())
    }

    /// Makes the log durable, at the end of `epoch`: the one of its last commit, or one that was begun after it.
    /// Errors: EpochNotLater, Io.
    pub fn finish(mut self, epoch: u32) -> Result<Head> {
        if epoch < self.epoch {
            return Err(Error::EpochNotLater { dir: self.dir, current: self.epoch, asked: epoch });
        }
        if epoch > self.epoch {
            self.next_segment(epoch)?;
        }
        self.end_segment(false)?;
        self.disk.sync_dir(&self.dir)?;
        Ok(self.head())
    }

    /// One without commits is replaced.
    fn next_segment(&mut self, epoch: u32) -> Result<()> {
        if self.frontier.size() + 1 > self.segment_first {
            self.end_segment(true)?;
        }
        self.file = segment::create(&self.disk, &self.dir, &self.id, epoch, &self.frontier)?;
        self.segment_first = self.frontier.size() + 1;
        self.end_offset = FRAMES_AT;
        self.epoch = epoch;
        Ok(())
    }

    fn end_segment(&mut self, sealed: bool) -> Result<()> {
        let Head { size, root, epoch } = self.head();
        let slot = Slot { epoch, size, end_offset: self.end_offset, root, sealed };
        for index in 0..2 {
            segment::rewrite_slot_page(&self.file, index, slot)?;
        }
        self.file.sync()
    }
}
