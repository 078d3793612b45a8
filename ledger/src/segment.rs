//! A segment file: its header, its two head slots, then frames. All integers are little endian.
//!
//! ```text
//! header       0  magic 8, format u32, office 16, kind u8, zero 3, epoch u32, zero 4
//! (4096 B)    40  first position u64
//!             48  the tree's frontier before it: size u64, then its subtree roots, 32 bytes each
//!           4092  CRC32C of bytes 0 to 4092
//! slot 0    4096  "HEAD", epoch u32, size u64, end of frames u64, root 32, sealed u32, CRC32C of the 60 bytes before;
//!                 zeros up to the page's end
//! slot 1    8192  the same
//! frames   12288
//! ```
//!
//! A slot has a page to itself, so that a write torn at a page or sector can spoil one slot and no frame.

use std::fs::File;
use std::path::Path;

use crc32c::crc32c;
use uuid::Uuid;

use crate::bytes::{array_at, hash_at, u32_at, u64_at};
use crate::disk::{self, Disk, DiskFile};
use crate::error::{Error, Result};
use crate::merkle::{Frontier, Hash};
use crate::types::{LogId, LogKind};

const MAGIC: &[u8; 8] = b"\xF5rnksSEG";
const FORMAT: u32 = 1;
const PAGE_BYTES: usize = 4096;
const FRONTIER_AT: usize = 48;
const CRC_AT: usize = PAGE_BYTES - 4;
const SLOT_MAGIC: &[u8; 4] = b"HEAD";
const SLOT_BYTES: usize = 64;

/// Where the first frame begins.
pub(crate) const FRAMES_AT: u64 = 3 * PAGE_BYTES as u64;

/// What a head slot says: a lower bound of what is durable in its segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) epoch: u32,
    pub(crate) size: u64,
    /// Offset of the byte after the last frame that `size` counts.
    pub(crate) end_offset: u64,
    pub(crate) root: Hash,
    /// The next segment exists: this one has ended for ever.
    pub(crate) sealed: bool,
}

impl Slot {
    fn to_bytes(self) -> [u8; SLOT_BYTES] {
        let mut bytes = [0; SLOT_BYTES];
        bytes[..4].copy_from_slice(SLOT_MAGIC);
        bytes[4..8].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.size.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.end_offset.to_le_bytes());
        bytes[24..56].copy_from_slice(&self.root);
        bytes[56..60].copy_from_slice(&u32::from(self.sealed).to_le_bytes());
        let crc = crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// None unless the page holds a slot, unchanged.
    fn parse(page: &[u8]) -> Option<Slot> {
        let (slot, padding) = page.split_at(SLOT_BYTES);
        let whole = &slot[..4] == SLOT_MAGIC
            && crc32c(&slot[..60]) == u32_at(slot, 60)
            && padding.iter().all(|byte| *byte == 0);
        whole.then(|| Slot {
            epoch: u32_at(slot, 4),
            size: u64_at(slot, 8),
            end_offset: u64_at(slot, 16),
            root: hash_at(slot, 24),
            sealed: u32_at(slot, 56) != 0,
        })
    }
}

/// Where slot 0 or 1 begins.
pub(crate) fn slot_offset(index: usize) -> u64 {
    ((1 + index) * PAGE_BYTES) as u64
}

/// Writes a slot. Not durable before the next sync.
pub(crate) fn write_slot(file: &DiskFile, index: usize, slot: Slot) -> Result<()> {
    file.write(&slot.to_bytes(), slot_offset(index))
}

/// Writes a slot and the zeros that fill its page.
pub(crate) fn rewrite_slot_page(file: &DiskFile, index: usize, slot: Slot) -> Result<()> {
    let mut page = [0; PAGE_BYTES];
    page[..SLOT_BYTES].copy_from_slice(&slot.to_bytes());
    file.write(&page, slot_offset(index))
}

/// A segment's checked header and slots.
#[derive(Debug)]
pub(crate) struct SegmentHead {
    pub(crate) epoch: u32,
    pub(crate) first: u64,
    pub(crate) frontier: Frontier,
    slots: [Option<Slot>; 2],
    /// The file's length when it was read.
    pub(crate) file_bytes: u64,
}

impl SegmentHead {
    /// The slot that says most, and its index.
    pub(crate) fn newest(&self) -> Option<(usize, Slot)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(i, slot)| Some((i, (*slot)?))).max_by_key(|(_, slot)| (slot.size, slot.sealed))
    }

    /// Offsets of slots that cannot be read: torn by a power cut, or damaged.
    pub(crate) fn damaged_slots(&self) -> impl Iterator<Item = u64> {
        self.slots.iter().enumerate().filter(|(_, slot)| slot.is_none()).map(|(i, _)| slot_offset(i))
    }
}

/// `segment-<first position, 20 digits>.log`.
pub(crate) fn file_name(first: u64) -> String {
    format!("segment-{first:020}.log")
}

fn first_of_name(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("segment-")?.strip_suffix(".log")?;
    (digits.len() == 20).then(|| digits.parse().ok())?
}

/// First positions of the segments in a folder, ascending. Empty when the folder does not exist.
pub(crate) fn list(dir: &Path) -> Result<Vec<u64>> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let mut firsts: Vec<u64> = disk::names(dir)?.iter().filter_map(|name| first_of_name(name)).collect();
    firsts.sort_unstable();
    Ok(firsts)
}

/// Removes what a crash in [`create`] left: a file that was never given its name.
pub(crate) fn remove_unfinished(disk: &Disk, dir: &Path) -> Result<()> {
    for name in disk::names(dir)?.iter().filter(|name| name.starts_with("segment-") && name.ends_with(".new"))
    {
        disk.remove(&dir.join(name))?;
    }
    Ok(())
}

/// Creates the segment that begins after `frontier`, durable under its name when this returns. Replaces one without
/// records.
///
/// If we crash here: before the rename there is a `.new` file that opening removes; after it, an empty segment, which is
/// a valid end of the log.
pub(crate) fn create(
    disk: &Disk,
    dir: &Path,
    id: &LogId,
    epoch: u32,
    frontier: &Frontier,
) -> Result<DiskFile> {
    let first = frontier.size() + 1;
    let path = dir.join(file_name(first));
    let file = disk.create(path.with_extension("new"))?;
    let slot =
        Slot { epoch, size: frontier.size(), end_offset: FRAMES_AT, root: frontier.root(), sealed: false };
    let mut bytes = header_bytes(id, epoch, frontier);
    bytes.resize(FRAMES_AT as usize, 0);
    for index in 0..2 {
        let at = slot_offset(index) as usize;
        bytes[at..at + SLOT_BYTES].copy_from_slice(&slot.to_bytes());
    }
    file.write(&bytes, 0)?;
    file.sync()?;
    let file = file.rename(path)?;
    disk.sync_dir(dir)?;
    Ok(file)
}

fn header_bytes(id: &LogId, epoch: u32, frontier: &Frontier) -> Vec<u8> {
    let mut bytes = vec![0; PAGE_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    bytes[12..28].copy_from_slice(id.office.as_bytes());
    bytes[28] = id.kind.code();
    bytes[32..36].copy_from_slice(&epoch.to_le_bytes());
    bytes[40..48].copy_from_slice(&(frontier.size() + 1).to_le_bytes());
    let peaks = frontier.to_bytes();
    bytes[FRONTIER_AT..FRONTIER_AT + peaks.len()].copy_from_slice(&peaks);
    let crc = crc32c(&bytes[..CRC_AT]);
    bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Reads and checks a segment's header and slots.
pub(crate) fn read_head(dir: &Path, id: &LogId, first: u64) -> Result<SegmentHead> {
    let path = dir.join(file_name(first));
    let damaged = |offset, cause| Error::Damaged { file: path.clone(), offset, position: first, cause };
    let file = File::open(&path).map_err(Error::io("open", &path))?;
    let mut bytes = vec![0; FRAMES_AT as usize];
    let read = disk::read_up_to(&file, &mut bytes, 0).map_err(Error::io("read", &path))?;
    // The length is taken after the slots were read: a writer at work only makes it larger than the slots say.
    let file_bytes = file.metadata().map_err(Error::io("read", &path))?.len();
    if read < bytes.len() {
        return Err(damaged(read as u64, "the file ends within its header"));
    }
    if &bytes[..8] != MAGIC {
        return Err(damaged(0, "it does not begin like a segment file"));
    }
    if u32_at(&bytes, 8) != FORMAT {
        let found = u32_at(&bytes, 8);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        // With our number in it the checksum holds: it is our format, and the number was changed.
        return Err(match crc32c(&bytes[..CRC_AT]) == u32_at(&bytes, CRC_AT) {
            true => damaged(8, "the header does not match its checksum"),
            false => Error::UnknownFormat { file: path, found },
        });
    }
    if crc32c(&bytes[..CRC_AT]) != u32_at(&bytes, CRC_AT) {
        return Err(damaged(0, "the header does not match its checksum"));
    }
    let kind =
        LogKind::from_code(bytes[28]).ok_or_else(|| damaged(28, "the kind of log is not one we know"))?;
    let found = LogId { office: Uuid::from_bytes(array_at(&bytes, 12)), kind };
    if found != *id {
        return Err(Error::Foreign { file: path, found, expected: *id });
    }
    let peaks_end = FRONTIER_AT + 8 + 32 * u64_at(&bytes, FRONTIER_AT).count_ones() as usize;
    let frontier = Frontier::from_bytes(&bytes[FRONTIER_AT..peaks_end])
        .filter(|frontier| frontier.size() + 1 == first && u64_at(&bytes, 40) == first)
        .ok_or_else(|| damaged(40, "the header's first position is not the file's"))?;
    let epoch = u32_at(&bytes, 32);
    let page = |index| {
        let at = slot_offset(index) as usize;
        let slot = Slot::parse(&bytes[at..at + PAGE_BYTES])?;
        let fits = slot.epoch == epoch && slot.size >= first - 1 && slot.end_offset >= FRAMES_AT;
        fits.then_some(slot)
    };
    Ok(SegmentHead { epoch, first, frontier, slots: [page(0), page(1)], file_bytes })
}
