//! Writing: one process, one log, one commit at a time.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{self, Disk, DiskFile};
use crate::error::{Error, Result};
use crate::frame;
use crate::merkle::Frontier;
use crate::reader::{Durable, LogReader, Segment};
use crate::recover::{Recovered, recover};
use crate::scan::Point;
use crate::segment::{self, FRAMES_AT, Slot};
use crate::types::{Entry, Head, LogId};

/// Size at which a segment ends, unless [`LogOptions`] says otherwise: 64 MiB.
pub const SEGMENT_BYTES_DEFAULT: u64 = 64 << 20;

/// A commit larger than this gives its buffer back.
const BUFFER_KEPT_BYTES: usize = 1 << 20;

/// Frames up to this long are written into space that was filled with zeros before. `fdatasync` then has no new length or
/// place of the file to make durable, which is most of its time (measured: 120 instead of 185 µs). A longer frame's own
/// bytes take the time, and zeros before them would be written for nothing.
const RESERVE_FRAME_BYTES_MAX: u64 = 64 << 10;
/// Such frames since opening before space is filled: a process that appends one command and ends fills none.
const RESERVE_AFTER_COMMITS: u32 = 4;
/// Zeros at a time: a quarter of what the segment has, within these.
const RESERVE_BYTES: std::ops::RangeInclusive<u64> = (64 << 10)..=(1 << 20);

/// How a log is written. Nothing here is stored; it may differ from one opening to the next.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// A commit that would make a segment larger than this goes into a new one. A commit is never split.
    pub segment_bytes: u64,
    /// Where its files are; tests watch it and make it fail.
    pub disk: Disk,
}

impl Default for LogOptions {
    fn default() -> LogOptions {
        LogOptions { segment_bytes: SEGMENT_BYTES_DEFAULT, disk: Disk::default() }
    }
}

/// What opening found, besides the records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use = "say what was cut or damaged to whoever runs this"]
pub struct Opened {
    /// Whole commits after the head slot. They were written; whether they were acknowledged is not known. At most one,
    /// unless a slot was damaged. 0 after a clean stop.
    pub kept_commits: u64,
    /// An unfinished last commit, taken out of the log. Never one that a slot vouches for.
    pub cut: Option<Cut>,
    /// Head slots that could not be read: (segment's first position, byte offset). A power cut can tear one; the other
    /// held, and both are written anew.
    pub damaged_slots: Vec<(u64, u64)>,
}

/// Bytes taken off the end of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The position that the next record gets.
    pub position: u64,
    /// How many bytes.
    pub bytes: u64,
    /// Where they were set aside, whole. This file is never deleted by us.
    pub file: PathBuf,
}

/// The writer of a log. Dropping it without [`Log::close`] loses nothing: the next opening finds the last commit.
#[derive(Debug)]
#[must_use = "close it, so that the head says exactly what is durable"]
pub struct Log {
    dir: PathBuf,
    id: LogId,
    options: LogOptions,
    file: DiskFile,
    segment_first: u64,
    end_offset: u64,
    frontier: Frontier,
    head: Head,
    /// The slot to write next: never the one that says most.
    slot_next: usize,
    buffer: Vec<u8>,
    /// From the last frame up to here the file is zeros. Not after `end_offset` when there is no such space.
    reserved_to: u64,
    small_commits: u32,
    reader: LogReader,
    stopped: Option<Arc<Error>>,
    _lock: File,
}

impl Log {
    /// Creates an empty log in `dir` (made if need be). Durable when this returns. Errors: AlreadyExists, Locked, Io.
    pub fn create(dir: &Path, id: LogId, epoch: u32) -> Result<Log> {
        Log::create_with(dir, id, epoch, LogOptions::default())
    }

    /// As [`Log::create`], with options.
    pub fn create_with(dir: &Path, id: LogId, epoch: u32, options: LogOptions) -> Result<Log> {
        options.disk.create_dir(dir)?;
        let lock = disk::lock(dir, "lock")?;
        if !segment::list(dir)?.is_empty() {
            return Err(Error::AlreadyExists { dir: dir.to_owned() });
        }
        // The folder may have been made by somebody else, a moment ago.
        options.disk.sync_dir(disk::folder_of(dir))?;
        let frontier = Frontier::default();
        let file = segment::create(&options.disk, dir, &id, epoch, &frontier)?;
        let head = Head::empty(epoch);
        let segments = vec![Segment::new(1, epoch, FRAMES_AT)];
        Ok(Log {
            dir: dir.to_owned(),
            id,
            options,
            file,
            segment_first: 1,
            end_offset: FRAMES_AT,
            frontier,
            head,
            slot_next: 0,
            buffer: Vec::new(),
            reserved_to: FRAMES_AT,
            small_commits: 0,
            reader: LogReader::new(dir, Durable { head, segments }),
            stopped: None,
            _lock: lock,
        })
    }

    /// Opens the log in `dir`, mending what an interrupted write left and reporting it.
    ///
    /// Errors: NotFound, Locked, Foreign, UnknownFormat, ShorterThanHead, Damaged, MissingSegment, Io. After any of
    /// them nothing has been cut.
    pub fn open(dir: &Path, id: LogId) -> Result<(Log, Opened)> {
        Log::open_with(dir, id, LogOptions::default())
    }

    /// As [`Log::open`], with options.
    pub fn open_with(dir: &Path, id: LogId, options: LogOptions) -> Result<(Log, Opened)> {
        if segment::list(dir)?.is_empty() {
            return Err(Error::NotFound { dir: dir.to_owned() });
        }
        let lock = disk::lock(dir, "lock")?;
        segment::remove_unfinished(&options.disk, dir)?;
        let found = recover(dir, &id)?;
        // `recover` found at least one segment.
        let last = found.segments[found.segments.len() - 1].clone();
        let file = options.disk.open(dir.join(segment::file_name(last.first)))?;
        let opened = mend(dir, &file, &found, last.end_offset, &options)?;
        let log = Log {
            dir: dir.to_owned(),
            id,
            options,
            file,
            segment_first: last.first,
            end_offset: last.end_offset,
            frontier: found.frontier,
            head: found.head,
            slot_next: 1 - found.slot.0,
            buffer: Vec::new(),
            reserved_to: found.reserved_to,
            small_commits: 0,
            reader: LogReader::new(dir, Durable { head: found.head, segments: found.segments }),
            stopped: None,
            _lock: lock,
        };
        Ok((log, opened))
    }

    /// Opens the log, or creates it when the folder holds none. `epoch` matters only when it is created.
    pub fn open_or_create(dir: &Path, id: LogId, epoch: u32) -> Result<(Log, Opened)> {
        match Log::open(dir, id) {
            Err(Error::NotFound { .. }) => Ok((Log::create(dir, id, epoch)?, Opened::default())),
            opened => opened,
        }
    }

    /// The durable end of the log.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Whose log it is.
    pub fn id(&self) -> LogId {
        self.id
    }

    /// A reader of this log. It sees each commit as soon as `append` has made it durable.
    pub fn reader(&self) -> LogReader {
        self.reader.clone()
    }

    /// Appends `entries` as one commit: at the next positions, all or none, durable when this returns.
    ///
    /// Errors that write nothing: EmptyCommit, LeafTooLarge, CommitTooLarge. Any failure of a write or sync gives
    /// Stopped, now and from then on; it is never retried. The commit was not acknowledged, and whether it is in the
    /// log is settled by opening it again.
    pub fn append(&mut self, entries: &[Entry]) -> Result<Head> {
        let frame_bytes = frame::check(entries)?;
        self.refuse_if_stopped()?;
        let written = self.write(entries, frame_bytes);
        written.map_err(|error| self.stop(error))
    }

    /// Ends the current epoch: the next commit goes into a new segment of `epoch`, which must be larger. Durable when
    /// this returns. Errors: EpochNotLater; Stopped as in [`Log::append`].
    pub fn begin_epoch(&mut self, epoch: u32) -> Result<Head> {
        if epoch <= self.head.epoch {
            return Err(Error::EpochNotLater {
                dir: self.dir.clone(),
                current: self.head.epoch,
                asked: epoch,
            });
        }
        self.refuse_if_stopped()?;
        let rotated = self.rotate(epoch);
        rotated.map_err(|error| self.stop(error))?;
        Ok(self.head)
    }

    /// A clean stop: both head slots say exactly what is durable. Errors: Stopped.
    pub fn close(mut self) -> Result<()> {
        self.refuse_if_stopped()?;
        let given_back = self.give_back_reserved();
        given_back.map_err(|error| self.stop(error))?;
        // One after the other: if we crash in the middle of one, the other can be read.
        for _ in 0..2 {
            let written = self.write_slot(false).and_then(|()| self.file.sync());
            written.map_err(|error| self.stop(error))?;
        }
        Ok(())
    }

    fn write(&mut self, entries: &[Entry], frame_bytes: u64) -> Result<Head> {
        if self.end_offset > FRAMES_AT && self.end_offset + frame_bytes > self.options.segment_bytes {
            self.rotate(self.head.epoch)?;
        }
        let epoch = self.head.epoch;
        let root = frame::encode(entries, epoch, &mut self.frontier, &mut self.buffer);
        self.reserve();
        self.file.write(&self.buffer, self.end_offset)?;
        // If we crash here: the frame may be there in part. The slot on disk says less than it, so it may be cut.
        self.write_slot(false)?;
        self.file.sync()?;
        // Durable from here on.
        let at = Point { position: self.head.size + 1, offset: self.end_offset };
        self.end_offset += self.buffer.len() as u64;
        self.head = Head { size: self.frontier.size(), root, epoch };
        if self.buffer.capacity() > BUFFER_KEPT_BYTES {
            self.buffer = Vec::new();
        }
        let mut durable = self.reader.durable();
        if let Some(segment) = durable.segments.last_mut() {
            segment.add_point(at);
            segment.end_offset = self.end_offset;
        }
        durable.head = self.head;
        Ok(self.head)
    }

    /// Fills space behind the frame that is about to be written, when it is small and the space is used up. What the
    /// disk says against it is of no account: the frame itself may still fit.
    fn reserve(&mut self) {
        let frame_bytes = self.buffer.len() as u64;
        let frame_end = self.end_offset + frame_bytes;
        if frame_bytes > RESERVE_FRAME_BYTES_MAX || frame_end <= self.reserved_to {
            return;
        }
        self.small_commits = self.small_commits.saturating_add(1);
        if self.small_commits <= RESERVE_AFTER_COMMITS {
            return;
        }
        let wanted = (self.end_offset / 4).clamp(*RESERVE_BYTES.start(), *RESERVE_BYTES.end());
        let bytes = wanted.min(self.options.segment_bytes.saturating_sub(frame_end));
        if let Err(error) = self.file.write(&vec![0; bytes as usize], frame_end) {
            tracing::debug!(error = &error as &dyn std::error::Error, "no space is reserved");
        }
        // What could be written of it is zeros too.
        self.reserved_to = frame_end + bytes;
    }

    /// Ends the file where its last frame ends. Durable with the next sync.
    fn give_back_reserved(&mut self) -> Result<()> {
        if self.reserved_to > self.end_offset {
            self.file.truncate(self.end_offset)?;
        }
        self.reserved_to = self.end_offset;
        Ok(())
    }

    /// Writes what is durable now into the slot that says less.
    fn write_slot(&mut self, sealed: bool) -> Result<()> {
        let Head { size, root, epoch } = self.head;
        let slot = Slot { epoch, size, end_offset: self.end_offset, root, sealed };
        segment::write_slot(&self.file, self.slot_next, slot)?;
        self.slot_next = 1 - self.slot_next;
        Ok(())
    }

    /// Goes on in a new segment. If we crash here: after the first sync the old segment knows its exact end; a new one
    /// that already has its name is an empty end of the log, and opening seals the old one.
    fn rotate(&mut self, epoch: u32) -> Result<()> {
        let replaces = self.head.size + 1 == self.segment_first;
        if !replaces {
            self.give_back_reserved()?;
            self.write_slot(false)?;
            self.file.sync()?;
        }
        let file = segment::create(&self.options.disk, &self.dir, &self.id, epoch, &self.frontier)?;
        if !replaces {
            self.write_slot(true)?;
            self.file.sync()?;
        }
        self.file = file;
        self.segment_first = self.head.size + 1;
        self.end_offset = FRAMES_AT;
        self.reserved_to = FRAMES_AT;
        self.slot_next = 0;
        self.head.epoch = epoch;
        let mut durable = self.reader.durable();
        if replaces {
            durable.segments.pop();
        }
        durable.segments.push(Segment::new(self.segment_first, epoch, FRAMES_AT));
        durable.head = self.head;
        Ok(())
    }

    fn refuse_if_stopped(&self) -> Result<()> {
        match &self.stopped {
            None => Ok(()),
            Some(cause) => Err(Error::Stopped { dir: self.dir.clone(), cause: Arc::clone(cause) }),
        }
    }

    fn stop(&mut self, error: Error) -> Error {
        let cause = Arc::new(error);
        self.stopped = Some(Arc::clone(&cause));
        Error::Stopped { dir: self.dir.clone(), cause }
    }
}

/// Acts on what was found: finishes an interrupted rotation, takes out an unfinished commit, makes kept ones durable.
fn mend(
    dir: &Path,
    file: &DiskFile,
    found: &Recovered,
    end_offset: u64,
    options: &LogOptions,
) -> Result<Opened> {
    for (first, slot) in &found.unsealed {
        seal(dir, *first, *slot, options)?;
    }
    let cut = match found.tail_end {
        None => None,
        Some(tail_end) => {
            Some(set_aside(&options.disk, dir, file, found.head.size + 1, end_offset..tail_end)?)
        }
    };
    if found.kept_commits > 0 {
        // After a failed fsync these bytes may be in the page cache and marked clean, yet not on disk. Written again,
        // they are dirty again, and the sync means what it says. Crashing here changes no byte.
        let kept = read_range(file, found.slot.1.end_offset..end_offset)?;
        file.write(&kept, found.slot.1.end_offset)?;
        file.sync()?;
    }
    if !found.damaged_slots.is_empty() {
        rewrite_slots(dir, found, options)?;
    }
    Ok(Opened { kept_commits: found.kept_commits, cut, damaged_slots: found.damaged_slots.clone() })
}

/// A crash came between creating a segment and sealing the one before it.
fn seal(dir: &Path, first: u64, slot: Slot, options: &LogOptions) -> Result<()> {
    let file = options.disk.open(dir.join(segment::file_name(first)))?;
    for index in 0..2 {
        segment::rewrite_slot_page(&file, index, Slot { sealed: true, ..slot })?;
        file.sync()?;
    }
    Ok(())
}

/// Writes each unreadable slot as a copy of its readable neighbour.
fn rewrite_slots(dir: &Path, found: &Recovered, options: &LogOptions) -> Result<()> {
    for (first, offset) in &found.damaged_slots {
        let head = segment::read_head(dir, &found.id, *first)?;
        let file = options.disk.open(dir.join(segment::file_name(*first)))?;
        if let Some((index, slot)) =
            head.newest().filter(|(index, _)| segment::slot_offset(*index) != *offset)
        {
            segment::rewrite_slot_page(&file, 1 - index, slot)?;
            file.sync()?;
        }
    }
    Ok(())
}

/// Copies the bytes into a file of their own, durably, and only then cuts them. If we crash in between, the next opening
/// sets them aside once more under another number.
fn set_aside(
    disk: &Disk,
    dir: &Path,
    file: &DiskFile,
    position: u64,
    range: std::ops::Range<u64>,
) -> Result<Cut> {
    let bytes = read_range(file, range.clone())?;
    let path = (1..)
        .map(|n| dir.join(format!("cut-{position:020}-{n}.bin")))
        .find(|path| !path.exists())
        .unwrap_or_else(|| unreachable!("BUG: the numbers have no end"));
    let aside = disk.create(path.clone())?;
    aside.write(&bytes, 0)?;
    aside.sync()?;
    disk.sync_dir(dir)?;
    file.truncate(range.start)?;
    file.sync()?;
    tracing::warn!(position, bytes = bytes.len(), file = %path.display(), "an unfinished commit was set aside");
    Ok(Cut { position, bytes: bytes.len() as u64, file: path })
}

fn read_range(file: &DiskFile, range: std::ops::Range<u64>) -> Result<Vec<u8>> {
    let mut bytes = vec![0; (range.end - range.start) as usize];
    let read =
        disk::read_up_to(&file.file, &mut bytes, range.start).map_err(Error::io("read", &file.path))?;
    bytes.truncate(read);
    Ok(bytes)
}
