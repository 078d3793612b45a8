//! Reading what is durable, also while the log grows.

use std::collections::VecDeque;
use std::iter::Peekable;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::merkle::{self, Hash};
use crate::recover::{POINT_EVERY_BYTES, recover};
use crate::scan::{Point, Scan};
use crate::segment::{self, FRAMES_AT};
use crate::types::{Commit, CommitView, Entry, Head, LogId};

/// What is picked this near is read through rather than looked for: about as many records as lie between two known frames.
const NEAR_RECORDS: u64 = 512;
/// Entries that are copied out of a commit one by one.
const NEAR_ENTRIES: usize = 8;

/// A segment as readers know it.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) first: u64,
    pub(crate) epoch: u32,
    /// Frames are durable up to here.
    pub(crate) end_offset: u64,
    /// Where some of the frames begin, ascending, at least [`POINT_EVERY_BYTES`] apart. Grows as the segment is read.
    points: Vec<Point>,
}

impl Segment {
    pub(crate) fn new(first: u64, epoch: u32, end_offset: u64) -> Segment {
        Segment { first, epoch, end_offset, points: Vec::new() }
    }

    pub(crate) fn add_point(&mut self, point: Point) {
        let last = self.points.last().map_or(FRAMES_AT, |last| last.offset);
        if point.offset >= last + POINT_EVERY_BYTES {
            self.points.push(point);
        }
    }

    /// The nearest known frame at or before `position`.
    fn point_before(&self, position: u64) -> Point {
        let after = self.points.partition_point(|point| point.position <= position);
        let start = Point { position: self.first, offset: FRAMES_AT };
        after.checked_sub(1).map_or(start, |index| self.points[index])
    }
}

/// What the writer tells its readers. Changed only after what it says is durable.
#[derive(Debug)]
pub(crate) struct Durable {
    pub(crate) head: Head,
    /// At least one, ascending.
    pub(crate) segments: Vec<Segment>,
}

/// Reads a log's durable records. Cheap to clone, usable from any thread, outlives the [`crate::Log`] it came from.
#[derive(Debug, Clone)]
pub struct LogReader {
    dir: Arc<Path>,
    durable: Arc<Mutex<Durable>>,
    tail_bytes: u64,
}

impl LogReader {
    pub(crate) fn new(dir: &Path, durable: Durable) -> LogReader {
        LogReader { dir: dir.into(), durable: Arc::new(Mutex::new(durable)), tail_bytes: 0 }
    }

    /// Looks at a log that another process may hold, as it is now: no lock, nothing changed, an unfinished commit at the
    /// end ignored. What it sees may be written but not yet durable. Errors as [`crate::Log::open`].
    pub fn open_read_only(dir: &Path, id: &LogId) -> Result<LogReader> {
        loop {
            let listed = segment::list(dir)?;
            match recover(dir, id) {
                Ok(found) => {
                    let end = found.segments.last().map_or(0, |segment| segment.end_offset);
                    let tail_bytes = found.tail_end.map_or(0, |file_end| file_end.saturating_sub(end));
                    let durable = Durable { head: found.head, segments: found.segments };
                    return Ok(LogReader { tail_bytes, ..LogReader::new(dir, durable) });
                }
                // The writer began a segment meanwhile, so what was the last one is not.
                Err(_) if segment::list(dir)? != listed => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The durable end of the log.
    pub fn head(&self) -> Head {
        self.durable().head
    }

    /// What [`LogReader::open_read_only`] ignored: bytes behind the last whole commit, which no head slot vouches for.
    /// An interrupted write leaves them, and the next [`crate::Log::open`] sets them aside. 0 for a log that is open.
    pub fn tail_bytes(&self) -> u64 {
        self.tail_bytes
    }

    /// The folder that is read.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// One page: the commits from the one that holds `position` on, whole, until `limit_bytes` of leaves and asides are
    /// reached; always at least one. Empty when `position` is past the head. 0 reads as 1.
    ///
    /// A `position` inside a commit gives that commit from its beginning. Errors: Io, Damaged.
    pub fn read_from(&self, position: u64, limit_bytes: u64) -> Result<Vec<Commit>> {
        let mut page: Vec<Commit> = Vec::new();
        let mut bytes = 0;
        for commit in self.iter(position) {
            let commit = commit?;
            bytes += commit.entries.iter().map(|e| (e.leaf.len() + e.aside.len()) as u64).sum::<u64>();
            if !page.is_empty() && bytes > limit_bytes {
                break;
            }
            page.push(commit);
            if bytes >= limit_bytes {
                break;
            }
        }
        Ok(page)
    }

    /// The record at `position`, or None when there is none (0, or past the head). Reads at most about 64 KiB and the
    /// commit itself, once the segment is known. Errors: Io, Damaged.
    pub fn record(&self, position: u64) -> Result<Option<Entry>> {
        let Some(mut scan) = self.locate(position)? else { return Ok(None) };
        while let Some((_, frame)) = self.next(&mut scan)? {
            if position <= frame.size_after {
                return Ok(Some(frame.entry(position)));
            }
        }
        Err(self.ended_early(&scan))
    }

    /// The tree hash over the leaves 1 to `position`, if a commit ends there (or it is 0). None inside a commit and past
    /// the head. Errors: Io, Damaged.
    pub fn root_at(&self, position: u64) -> Result<Option<Hash>> {
        let head = self.head();
        if position == 0 {
            return Ok(Some(merkle::empty_root()));
        }
        if position == head.size {
            return Ok(Some(head.root));
        }
        let Some(mut scan) = self.locate(position)? else { return Ok(None) };
        while let Some((_, frame)) = self.next(&mut scan)? {
            if position <= frame.size_after {
                return Ok((position == frame.size_after).then_some(frame.root_after));
            }
        }
        Err(self.ended_early(&scan))
    }

    /// All commits from the one that holds `from` on, one at a time; memory is bounded by the largest commit. Ends at
    /// the head; asked again after the log has grown, it goes on. After an error it ends. 0 reads as 1.
    pub fn iter(&self, from: u64) -> Commits {
        Commits { reader: self.clone(), position: from.max(1), scan: None, failed: false }
    }

    /// The records at some positions, which ascend: each with its position, in their order. Reads a commit once, whatever is
    /// wanted of it, and skips what lies far between. Ends past the head, and after an error. Errors: Io, Damaged.
    pub fn pick<P: IntoIterator<Item = u64>>(&self, positions: P) -> Picked<P::IntoIter> {
        let wanted = positions.into_iter().peekable();
        Picked { commits: self.iter(1), wanted, taken: VecDeque::new(), failed: false }
    }

    pub(crate) fn durable(&self) -> MutexGuard<'_, Durable> {
        // Every change is a whole assignment, so what a panicking thread left is consistent.
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A scan that will come to the frame that holds `position`; None when there is no such durable record.
    fn locate(&self, position: u64) -> Result<Option<Scan>> {
        let (path, epoch, from, limit) = {
            let durable = self.durable();
            if position == 0 || position > durable.head.size {
                return Ok(None);
            }
            // The first segment begins at 1, so one begins at or before `position`.
            let index = durable.segments.partition_point(|segment| segment.first <= position) - 1;
            let segment = &durable.segments[index];
            let path: PathBuf = self.dir.join(segment::file_name(segment.first));
            (path, segment.epoch, segment.point_before(position), segment.end_offset)
        };
        Scan::open(path, epoch, from, limit).map(Some)
    }

    /// The scan's next frame; remembers where it was.
    fn next<'a>(&self, scan: &'a mut Scan) -> Result<Option<(Point, Frame<'a>)>> {
        let Some((point, frame)) = scan.next_durable()? else { return Ok(None) };
        let mut durable = self.durable();
        let index = durable.segments.partition_point(|segment| segment.first <= point.position) - 1;
        durable.segments[index].add_point(point);
        drop(durable);
        Ok(Some((point, frame)))
    }

    fn ended_early(&self, scan: &Scan) -> Error {
        let Point { position, offset } = scan.point();
        let cause = "the segment ends before the record that should be in it";
        Error::Damaged { file: scan.path().to_owned(), offset, position, cause }
    }
}

/// See [`LogReader::iter`].
#[derive(Debug)]
pub struct Commits {
    reader: LogReader,
    position: u64,
    scan: Option<Scan>,
    failed: bool,
}

impl Commits {
    /// Shows the next commit without copying it, and answers what `see` makes of it. None at the head. Errors: Io, Damaged.
    pub fn see<T>(&mut self, see: impl FnOnce(CommitView<'_>) -> T) -> Result<Option<T>> {
        self.read(|frame| see(CommitView(frame)))
    }

    fn read<T>(&mut self, take: impl FnOnce(&Frame<'_>) -> T) -> Result<Option<T>> {
        let mut located = false;
        loop {
            if self.scan.is_none() {
                self.scan = self.reader.locate(self.position)?;
                located = true;
            }
            let Some(scan) = &mut self.scan else { return Ok(None) };
            match self.reader.next(scan)? {
                // On the way from the nearest known point to the first commit asked for.
                Some((_, frame)) if frame.size_after < self.position => {}
                Some((_, frame)) => {
                    self.position = frame.size_after + 1;
                    return Ok(Some(take(&frame)));
                }
                // `locate` promised that the position is in this segment.
                None if located => return Err(self.reader.ended_early(scan)),
                // The end of the segment, or of what was durable when the scan began.
                None => self.scan = None,
            }
        }
    }
}

impl Commits {
    /// Goes on at a later position.
    fn seek(&mut self, position: u64) {
        assert!(position >= self.position, "BUG: what is picked does not ascend");
        if position - self.position > NEAR_RECORDS {
            self.scan = None;
        }
        self.position = position;
    }
}

/// See [`LogReader::pick`].
#[derive(Debug)]
pub struct Picked<P: Iterator<Item = u64>> {
    commits: Commits,
    wanted: Peekable<P>,
    /// What of the last commit was wanted.
    taken: VecDeque<(u64, Entry)>,
    failed: bool,
}

impl<P: Iterator<Item = u64>> Iterator for Picked<P> {
    type Item = Result<(u64, Entry)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.taken.is_empty() && !self.failed {
            let Picked { commits, wanted, taken, .. } = self;
            commits.seek(*wanted.peek()?);
            let read = commits.read(|frame| taken.extend(wanted_of(frame, wanted)));
            if let Err(error) = read {
                self.failed = true;
                return Some(Err(error));
            }
        }
        self.taken.pop_front().map(Ok)
    }
}

fn wanted_of(
    frame: &Frame<'_>,
    wanted: &mut Peekable<impl Iterator<Item = u64>>,
) -> impl Iterator<Item = (u64, Entry)> {
    let positions: Vec<u64> =
        std::iter::from_fn(|| wanted.next_if(|position| *position <= frame.size_after)).collect();
    // One entry is found by adding up the lengths of those before it, so many are copied out together.
    let all = (positions.len() > NEAR_ENTRIES).then(|| frame.to_commit().entries);
    let entries: Vec<Entry> = match all {
        Some(mut all) => {
            positions.iter().map(|at| mem::take(&mut all[(at - frame.first) as usize])).collect()
        }
        None => positions.iter().map(|position| frame.entry(*position)).collect(),
    };
    positions.into_iter().zip(entries)
}

impl Iterator for Commits {
    type Item = Result<Commit>;

    fn next(&mut self) -> Option<Result<Commit>> {
        if self.failed {
            return None;
        }
        let read = self.read(|frame| frame.to_commit());
        self.failed = read.is_err();
        read.transpose()
    }
}
