//! Reading around damage, for repair tools. Needs no lock and no intact head.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::scan::{Point, Scan, Step};
use crate::segment::{self, FRAMES_AT};
use crate::types::{Commit, LogId};

/// One thing found on the way through a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A whole commit: its checksums hold. Whether its root does is for the caller to see.
    Commit(Commit),
    /// Bytes that are no commit.
    Damage {
        /// The segment file.
        file: PathBuf,
        /// Where they begin.
        offset: u64,
        /// How many, up to the next whole commit or the end of the file.
        bytes: u64,
        /// The position that should have been here.
        position: u64,
        /// What does not hold.
        cause: String,
    },
}

/// Hands every whole commit of a log to `each`, and every stretch of damage between, in the order of the files.
///
/// A damaged header is a stretch of damage like any other, and what stands behind it is read all the same: that it belongs
/// to this log only its roots can say. Changes nothing. Errors: Io, NotFound, and Foreign,
/// because a foreign file is not damage but the wrong folder.
pub fn salvage(dir: &Path, id: &LogId, mut each: impl FnMut(Found)) -> Result<()> {
    let firsts = segment::list(dir)?;
    if firsts.is_empty() {
        return Err(Error::NotFound { dir: dir.to_owned() });
    }
    for first in firsts {
        let file = dir.join(segment::file_name(first));
        match segment::read_head(dir, id, first) {
            Ok(head) => {
                let scan = Scan::open(file.clone(), head.epoch, frames_of(first), head.file_bytes)?;
                salvage_segment(&file, scan, head.file_bytes, &mut each)?;
            }
            Err(damage @ (Error::Damaged { .. } | Error::UnknownFormat { .. })) => {
                let file_bytes = fs::metadata(&file).map_err(Error::io("read", &file))?.len();
                let (bytes, cause) = (file_bytes.min(FRAMES_AT), damage.to_string());
                each(Found::Damage { file: file.clone(), offset: 0, bytes, position: first, cause });
                let scan = Scan::open_any_epoch(file.clone(), frames_of(first), file_bytes)?;
                salvage_segment(&file, scan, file_bytes, &mut each)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn frames_of(first: u64) -> Point {
    Point { position: first, offset: FRAMES_AT }
}

fn salvage_segment(file: &Path, mut scan: Scan, file_bytes: u64, each: &mut impl FnMut(Found)) -> Result<()> {
    loop {
        let (invalid, extent) = match scan.step()? {
            Step::Frame(_, frame) => {
                each(Found::Commit(frame.to_commit()));
                continue;
            }
            Step::End => return Ok(()),
            Step::Invalid(invalid, extent) => (invalid, extent),
        };
        let at = scan.point();
        if scan.zeros_from()? == at.offset {
            // Space that the writer had reserved.
            return Ok(());
        }
        let next = scan.find_after(extent)?;
        each(Found::Damage {
            file: file.to_owned(),
            offset: at.offset,
            bytes: next.map_or(file_bytes, |next| next.offset) - at.offset,
            position: at.position,
            cause: invalid.cause.to_owned(),
        });
        match next {
            Some(next) => scan.resume(next),
            None => return Ok(()),
        }
    }
}
