//! Frames of one segment in order, in bounded memory. Opening, reading and verifying all go through here.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk;
use crate::error::{Error, Result};
use crate::frame::{self, Frame, Invalid, MAGIC, PREFIX_BYTES, Prefix, torn, wrong};

/// Read-ahead. A larger frame enlarges the window for as long as the scan lives.
const CHUNK_BYTES: usize = 64 << 10;

/// Where a scan stands: a frame begins at `offset`, and its first record is `position`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) position: u64,
    pub(crate) offset: u64,
}

#[derive(Debug)]
pub(crate) struct Scan {
    file: File,
    path: Arc<Path>,
    /// None: whatever the frames say.
    epoch: Option<u32>,
    /// Frames end here: the durable end, or the file's.
    limit: u64,
    next: Point,
    window: Vec<u8>,
    window_at: u64,
}

#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// A checked frame, and where it begins.
    Frame(Point, Frame<'a>),
    /// The scan stands exactly at its limit.
    End,
    /// The bytes at the scan's point are not a frame. `extent`: how long it says it is, when that can be believed.
    Invalid(Invalid, Option<u64>),
}

impl Scan {
    pub(crate) fn open(path: PathBuf, epoch: u32, from: Point, limit: u64) -> Result<Scan> {
        Ok(Scan { epoch: Some(epoch), ..Scan::open_any_epoch(path, from, limit)? })
    }

    /// Of a segment whose header does not say its epoch any more.
    pub(crate) fn open_any_epoch(path: PathBuf, from: Point, limit: u64) -> Result<Scan> {
        let file = File::open(&path).map_err(Error::io("open", &path))?;
        Ok(Scan {
            file,
            path: path.into(),
            epoch: None,
            limit,
            next: from,
            window: Vec::new(),
            window_at: from.offset,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the next frame begins.
    pub(crate) fn point(&self) -> Point {
        self.next
    }

    /// The next frame, checked against its checksums and the position it must have.
    pub(crate) fn step(&mut self) -> Result<Step<'_>> {
        if self.next.offset >= self.limit {
            return Ok(Step::End);
        }
        if !self.fill(PREFIX_BYTES as u64)? {
            return Ok(Step::Invalid(torn("the file ends within a commit"), None));
        }
        let Some(prefix) = Prefix::parse(self.ahead()) else {
            return Ok(Step::Invalid(torn("there is no whole commit here"), None));
        };
        let frame_bytes = prefix.frame_bytes();
        if !self.fill(frame_bytes)? {
            return Ok(Step::Invalid(torn("the file ends within a commit"), Some(frame_bytes)));
        }
        let at = self.next;
        let bytes = &self.window[(at.offset - self.window_at) as usize..][..frame_bytes as usize];
        match Frame::parse(&prefix, bytes) {
            Err(invalid) => Ok(Step::Invalid(invalid, Some(frame_bytes))),
            Ok(frame) if frame.first != at.position => {
                Ok(Step::Invalid(wrong("the commit here is not the next one"), Some(frame_bytes)))
            }
            Ok(frame) if self.epoch.is_some_and(|epoch| epoch != frame.epoch) => {
                Ok(Step::Invalid(wrong("the commit here is of another epoch"), Some(frame_bytes)))
            }
            Ok(frame) => {
                self.next = Point { position: frame.size_after + 1, offset: at.offset + frame_bytes };
                Ok(Step::Frame(at, frame))
            }
        }
    }

    /// The next frame; none at the limit; damage is an error. For reading what is durable.
    pub(crate) fn next_durable(&mut self) -> Result<Option<(Point, Frame<'_>)>> {
        let (path, at) = (Arc::clone(&self.path), self.next);
        match self.step()? {
            Step::Frame(point, frame) => Ok(Some((point, frame))),
            Step::End => Ok(None),
            Step::Invalid(invalid, _) => Err(Error::Damaged {
                file: path.to_path_buf(),
                offset: at.offset,
                position: at.position,
                cause: invalid.cause,
            }),
        }
    }

    /// Goes on at a frame that [`Scan::find_after`] found.
    pub(crate) fn resume(&mut self, at: Point) {
        self.next = at;
        self.window.clear();
        self.window_at = at.offset;
    }

    /// Looks for a whole, plausible frame behind the invalid one at the scan's point.
    ///
    /// When the invalid frame's length can be believed, what lies inside it is not searched: a record may hold the bytes
    /// of a frame. Where it cannot, such a record could at worst make a torn tail look like damage, which cuts nothing.
    pub(crate) fn find_after(&mut self, extent: Option<u64>) -> Result<Option<Point>> {
        let (invalid, limit) = (self.next, self.limit);
        let mut at = invalid.offset + extent.unwrap_or(1);
        while at + PREFIX_BYTES as u64 <= limit {
            let Some(candidate) = self.find_magic(at)? else { break };
            if let Some(first) = self.whole_frame_at(candidate)? {
                // A record takes at least its two length bytes, so this many positions can lie in between.
                let between = (candidate - invalid.offset) / 2;
                if first > invalid.position && first - invalid.position <= between {
                    self.resume(invalid);
                    return Ok(Some(Point { position: first, offset: candidate }));
                }
            }
            at = candidate + 1;
        }
        self.resume(invalid);
        Ok(None)
    }

    /// Where the zeros begin that the file ends with; its limit when it ends with something else.
    pub(crate) fn zeros_from(&mut self) -> Result<u64> {
        let (here, mut from, mut at) = (self.next, self.next.offset, self.next.offset);
        while at < self.limit {
            self.next.offset = at;
            let wanted = (self.limit - at).min(CHUNK_BYTES as u64);
            if !self.fill(wanted)? {
                break;
            }
            if let Some(last) = self.ahead()[..wanted as usize].iter().rposition(|byte| *byte != 0) {
                from = at + last as u64 + 1;
            }
            at += wanted;
        }
        self.resume(here);
        Ok(from)
    }

    fn find_magic(&mut self, from: u64) -> Result<Option<u64>> {
        let mut at = from;
        while at + (MAGIC.len() as u64) <= self.limit {
            self.next.offset = at;
            let wanted = (self.limit - at).min(CHUNK_BYTES as u64);
            if !self.fill(wanted)? {
                return Ok(None);
            }
            let ahead = &self.ahead()[..wanted as usize];
            if let Some(found) = ahead.windows(MAGIC.len()).position(|bytes| bytes == MAGIC) {
                return Ok(Some(at + found as u64));
            }
            at += wanted - (MAGIC.len() as u64 - 1);
        }
        Ok(None)
    }

    /// The first position of the frame at `offset`, if one is there whole and of this epoch.
    fn whole_frame_at(&mut self, offset: u64) -> Result<Option<u64>> {
        self.next.offset = offset;
        if !self.fill(PREFIX_BYTES as u64)? {
            return Ok(None);
        }
        let Some(prefix) = Prefix::parse(self.ahead()) else { return Ok(None) };
        if !self.fill(prefix.frame_bytes())? {
            return Ok(None);
        }
        let bytes = &self.ahead()[..prefix.frame_bytes() as usize];
        Ok(Frame::parse(&prefix, bytes)
            .ok()
            .filter(|frame| self.epoch.is_none_or(|epoch| epoch == frame.epoch))
            .map(|frame| frame.first))
    }

    fn ahead(&self) -> &[u8] {
        &self.window[(self.next.offset - self.window_at) as usize..]
    }

    /// Makes the window hold `bytes` from the scan's offset on; false when the limit or the file ends before.
    fn fill(&mut self, bytes: u64) -> Result<bool> {
        let left = self.limit.saturating_sub(self.next.offset);
        if bytes > left || bytes > frame::COMMIT_BYTES_MAX {
            return Ok(false);
        }
        let window_end = self.window_at + self.window.len() as u64;
        if self.next.offset < self.window_at || self.next.offset > window_end {
            self.window.clear();
        } else if self.next.offset + bytes <= window_end {
            return Ok(true);
        } else {
            self.window.drain(..(self.next.offset - self.window_at) as usize);
        }
        self.window_at = self.next.offset;
        let kept = self.window.len();
        let wanted = bytes.max(CHUNK_BYTES as u64).min(left) as usize;
        self.window.resize(wanted.max(kept), 0);
        let read = self.read(kept)?;
        self.window.truncate(kept + read);
        Ok(self.window.len() as u64 >= bytes)
    }

    fn read(&mut self, kept: usize) -> Result<usize> {
        let at = self.window_at + kept as u64;
        let read: io::Result<usize> = disk::read_up_to(&self.file, &mut self.window[kept..], at);
        read.map_err(Error::io("read", &self.path))
    }
}
