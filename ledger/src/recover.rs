//! What a folder proves about its log. Reads only; [`crate::Log::open`] acts on what is found.

use std::path::Path;

use crate::error::{Error, Result};
use crate::frame::Invalid;
use crate::merkle::{Frontier, leaf_hash};
use crate::reader::Segment;
use crate::scan::{Point, Scan, Step};
use crate::segment::{self, FRAMES_AT, SegmentHead, Slot};
use crate::types::{Head, LogId};

/// An unfinished commit ends in the page of its last byte that is not zero; behind that is space that was reserved.
const PAGE_BYTES: u64 = 4096;
/// Distance of the points that the reader keeps in memory.
pub(crate) const POINT_EVERY_BYTES: u64 = 64 << 10;

#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) id: LogId,
    pub(crate) segments: Vec<Segment>,
    pub(crate) head: Head,
    pub(crate) frontier: Frontier,
    /// The newest readable slot of the last segment, and its index.
    pub(crate) slot: (usize, Slot),
    /// Commits after the slot: durable or not, they are whole and kept.
    pub(crate) kept_commits: u64,
    /// An invalid end that no slot vouches for: from `end_offset` of the last segment to this offset.
    pub(crate) tail_end: Option<u64>,
    /// The last segment's length, but for such an end: from its last frame up to here it is zeros.
    pub(crate) reserved_to: u64,
    pub(crate) damaged_slots: Vec<(u64, u64)>,
    /// Segments, by first position, that do not say that they have ended: a crash came between, or a slot is damaged.
    pub(crate) unsealed: Vec<(u64, Slot)>,
}

/// Checks the chain of segments and every frame of the last one.
pub(crate) fn recover(dir: &Path, id: &LogId) -> Result<Recovered> {
    let firsts = segment::list(dir)?;
    let Some((last, earlier)) = firsts.split_last() else {
        return Err(Error::NotFound { dir: dir.to_owned() });
    };
    if firsts[0] != 1 {
        return Err(Error::MissingSegment { dir: dir.to_owned(), position: 1 });
    }
    let mut segments = Vec::with_capacity(firsts.len());
    let mut damaged_slots = Vec::new();
    let mut unsealed = Vec::new();
    for (index, first) in earlier.iter().enumerate() {
        let head = segment::read_head(dir, id, *first)?;
        damaged_slots.extend(head.damaged_slots().map(|offset| (*first, offset)));
        let next = segment::read_head(dir, id, firsts[index + 1])?;
        let slot = check_ended(dir, &head, &next)?;
        unsealed.extend((!slot.sealed).then_some((*first, slot)));
        segments.push(Segment::new(*first, head.epoch, slot.end_offset));
    }
    let head = segment::read_head(dir, id, *last)?;
    damaged_slots.extend(head.damaged_slots().map(|offset| (*last, offset)));
    let slot = head.newest().ok_or_else(|| no_slot(dir, &head))?;
    if slot.1.sealed {
        return Err(Error::MissingSegment { dir: dir.to_owned(), position: slot.1.size + 1 });
    }
    let scanned = LastSegment::scan(dir, head, slot.1)?;
    segments.push(scanned.segment);
    Ok(Recovered {
        id: *id,
        segments,
        head: Head { size: scanned.frontier.size(), root: scanned.frontier.root(), epoch: slot.1.epoch },
        frontier: scanned.frontier,
        slot,
        kept_commits: scanned.kept_commits,
        tail_end: scanned.tail_end,
        reserved_to: scanned.reserved_to,
        damaged_slots,
        unsealed,
    })
}

/// An earlier segment's slot says where it ended; that must be its file's end and the next one's beginning.
fn check_ended(dir: &Path, head: &SegmentHead, next: &SegmentHead) -> Result<Slot> {
    let (index, slot) = head.newest().ok_or_else(|| no_slot(dir, head))?;
    let file = dir.join(segment::file_name(head.first));
    let damaged = |offset, cause| Error::Damaged {
        file: file.clone(),
        offset,
        position: slot.size.min(next.first - 1) + 1,
        cause,
    };
    if slot.size + 1 < next.first {
        // With a slot unreadable the other may be the older one; then the file is damaged, not a neighbour missing.
        return Err(match head.damaged_slots().next() {
            Some(offset) => damaged(offset, "the head slot that says where the segment ends cannot be read"),
            None => Error::MissingSegment { dir: dir.to_owned(), position: slot.size + 1 },
        });
    }
    if slot.size + 1 > next.first || slot.root != next.frontier.root() || next.epoch < head.epoch {
        return Err(damaged(segment::slot_offset(index), "the next segment does not continue this one"));
    }
    if head.file_bytes < slot.end_offset {
        return Err(damaged(head.file_bytes, "the file is shorter than its head says"));
    }
    Ok(slot)
}

fn no_slot(dir: &Path, head: &SegmentHead) -> Error {
    Error::Damaged {
        file: dir.join(segment::file_name(head.first)),
        offset: segment::slot_offset(0),
        position: head.first,
        cause: "neither head slot can be read, so nothing says how far the log reached",
    }
}

struct LastSegment<'a> {
    dir: &'a Path,
    slot: Slot,
    file_bytes: u64,
    segment: Segment,
    frontier: Frontier,
    slot_met: bool,
    kept_commits: u64,
    tail_end: Option<u64>,
    reserved_to: u64,
}

impl<'a> LastSegment<'a> {
    fn scan(dir: &'a Path, head: SegmentHead, slot: Slot) -> Result<LastSegment<'a>> {
        let from = Point { position: head.first, offset: FRAMES_AT };
        let path = dir.join(segment::file_name(head.first));
        let mut scan = Scan::open(path, head.epoch, from, head.file_bytes)?;
        let mut last = LastSegment {
            dir,
            slot,
            file_bytes: head.file_bytes,
            segment: Segment::new(head.first, head.epoch, FRAMES_AT),
            frontier: head.frontier,
            slot_met: false,
            kept_commits: 0,
            tail_end: None,
            reserved_to: FRAMES_AT,
        };
        last.meet_slot(from)?;
        while last.step(&mut scan)? {}
        Ok(last)
    }

    /// Takes one frame; false at the end of what is whole.
    fn step(&mut self, scan: &mut Scan) -> Result<bool> {
        match scan.step()? {
            Step::Frame(at, frame) => {
                frame.leaves().for_each(|leaf| self.frontier.append(leaf_hash(leaf)));
                if self.frontier.root() != frame.root_after {
                    return Err(self.damaged(at, "the records do not hash to the root stored with them"));
                }
                self.kept_commits += u64::from(self.slot_met);
                self.segment.add_point(at);
                let next = scan.point();
                self.segment.end_offset = next.offset;
                self.meet_slot(next)?;
                Ok(true)
            }
            Step::End => {
                self.refuse_if_short()?;
                self.reserved_to = self.file_bytes;
                Ok(false)
            }
            Step::Invalid(invalid, extent) => {
                let at = scan.point();
                let zeros_from = scan.zeros_from()?;
                if self.slot_met && zeros_from == at.offset {
                    self.reserved_to = self.file_bytes;
                    return Ok(false);
                }
                self.judge(scan, invalid, extent)?;
                self.tail_end = Some(zeros_from.next_multiple_of(PAGE_BYTES).min(self.file_bytes));
                self.reserved_to = at.offset;
                Ok(false)
            }
        }
    }

    /// The frames must pass exactly through what the head slot says.
    fn meet_slot(&mut self, at: Point) -> Result<()> {
        if self.slot_met || self.frontier.size() < self.slot.size {
            return Ok(());
        }
        let agrees = self.frontier.size() == self.slot.size
            && at.offset == self.slot.end_offset
            && self.frontier.root() == self.slot.root;
        self.slot_met = agrees;
        if agrees { Ok(()) } else { Err(self.damaged(at, "the commits and the head slot do not agree")) }
    }

    /// Ok only for bytes that were never acknowledged: an interrupted last write.
    fn judge(&self, scan: &mut Scan, invalid: Invalid, extent: Option<u64>) -> Result<()> {
        let at = scan.point();
        if !invalid.torn || scan.find_after(extent)?.is_some() {
            return Err(self.damaged(at, invalid.cause));
        }
        if !self.slot_met && self.file_bytes >= self.slot.end_offset {
            return Err(self.damaged(at, invalid.cause));
        }
        self.refuse_if_short()
    }

    fn refuse_if_short(&self) -> Result<()> {
        if self.slot_met {
            return Ok(());
        }
        Err(Error::ShorterThanHead {
            file: self.dir.join(segment::file_name(self.segment.first)),
            size: self.frontier.size(),
            head_size: self.slot.size,
        })
    }

    fn damaged(&self, at: Point, cause: &'static str) -> Error {
        let file = self.dir.join(segment::file_name(self.segment.first));
        Error::Damaged { file, offset: at.offset, position: at.position, cause }
    }
}
