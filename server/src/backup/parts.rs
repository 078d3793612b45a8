//! The parts of a backup, read in the only order that they may have.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use prost::Message;
use renaksi_ledger::{Commit, Head};
use renaksi_proto::backup::part::Part as Kind;
use renaksi_proto::backup::{End, FilePiece, Part, Start};
use uuid::Uuid;

use super::file::{Format, Reader};
use super::{Contents, Hashed, PART_BYTES_MAX, commit_from, founded, is_in};
use crate::error::ServerError;

/// What a backup is read as.
#[derive(Debug)]
pub(crate) enum Item {
    /// A piece of a file, behind the pieces before it.
    File(FilePiece),
    /// The next commit; it continues those before it, by hash.
    Commit(Commit),
}

/// Reads one frame of a backup in its order: that of an office, or the one that says how many offices there are.
pub(crate) struct Parts<'a> {
    reader: &'a Reader,
    zstd: BufReader<zstd::Decoder<'static, BufReader<io::Take<&'a File>>>>,
    order: Order,
}

impl std::fmt::Debug for Parts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("order", &self.order).finish_non_exhaustive()
    }
}

/// What was read so far, and what has to come next.
#[derive(Debug)]
struct Order {
    format: Format,
    office: Uuid,
    /// Where an office that was added has its files; None for the one that `init` made.
    folder: Option<String>,
    made_at_us: i64,
    files: Vec<String>,
    started: bool,
    in_file: bool,
    hashed: Hashed,
    head: Head,
    ended: bool,
    /// How many offices there are, once that was said.
    all: u32,
}

impl Order {
    fn of(format: Format) -> Order {
        Order {
            format,
            office: Uuid::nil(),
            folder: None,
            made_at_us: 0,
            files: Vec::new(),
            started: false,
            in_file: false,
            hashed: Hashed::default(),
            head: Head::empty(0),
            ended: false,
            all: 0,
        }
    }

    /// Refuses what cannot come here, with the cause.
    fn take(&mut self, kind: Kind) -> Result<Option<Item>, &'static str> {
        match kind {
            Kind::Start(start) if !self.started => self.start(&start).map(|()| None),
            Kind::All(all) if !self.started && self.format == Format::Offices && all.offices > 0 => {
                (self.all, self.ended) = (all.offices, true);
                Ok(None)
            }
            _ if !self.started => Err("it does not begin with its start"),
            Kind::Start(_) | Kind::All(_) => Err("it has two starts"),
            Kind::File(piece) if self.hashed.size() == 0 => {
                self.file(piece).map(|piece| Some(Item::File(piece)))
            }
            Kind::File(_) => Err("a file stands behind the log"),
            _ if self.in_file => Err("a file has no end"),
            Kind::Commit(stored) => {
                let commit = commit_from(stored).ok_or("a commit of it has no records or no root")?;
                match self.hashed.follows(&commit) {
                    true => Ok(Some(Item::Commit(commit))),
                    false => Err("its records do not hash to the roots stored with them"),
                }
            }
            Kind::End(end) => self.end(&end).map(|()| None),
        }
    }

    fn start(&mut self, start: &Start) -> Result<(), &'static str> {
        self.office = Uuid::from_slice(&start.office).map_err(|_| "its office has no id")?;
        self.made_at_us = start.made_at_us;
        self.folder = start.added.then(|| format!("offices/{}/", self.office));
        self.started = true;
        match start.added && self.format == Format::OneOffice {
            true => Err("its office has no server"),
            false => Ok(()),
        }
    }

    fn file(&mut self, piece: FilePiece) -> Result<FilePiece, &'static str> {
        match self.in_file {
            true if self.files.last() != Some(&piece.path) => return Err("a file has no end"),
            true => {}
            false if !self.is_own(&piece.path) || self.files.contains(&piece.path) => {
                return Err("it names a file that does not belong into a data folder");
            }
            false => self.files.push(piece.path.clone()),
        }
        self.in_file = !piece.last;
        Ok(piece)
    }

    /// Of the office's own folder, or of what the server has beside it.
    fn is_own(&self, path: &str) -> bool {
        let own = match &self.folder {
            Some(folder) => path.starts_with(folder),
            None => !path.starts_with("offices/"),
        };
        own && is_plain(path)
    }

    fn end(&mut self, end: &End) -> Result<(), &'static str> {
        let whole = self.hashed.size() == end.position
            && self.hashed.root().as_slice() == end.root
            && self.hashed.epoch() <= end.epoch
            && self.files.len() == end.files as usize;
        self.head = Head { size: self.hashed.size(), root: self.hashed.root(), epoch: end.epoch };
        self.ended = true;
        if whole && end.position > 0 { Ok(()) } else { Err("it does not hold what its end says") }
    }
}

/// Below the folder, and nothing that a server makes by itself.
fn is_plain(path: &str) -> bool {
    let parts = path.split('/').all(|part| !matches!(part, "" | "." | "..") && !part.contains('\0'));
    parts && is_in(Path::new(path))
}

impl<'a> Parts<'a> {
    /// The parts of the frame that begins there.
    pub(super) fn at(reader: &'a Reader, offset: u64) -> Result<Parts<'a>, ServerError> {
        let failed = |source| ServerError::file("read", reader.path())(source);
        let mut file = reader.file();
        file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        let frame = BufReader::new(file.take(reader.body_end() - offset));
        let zstd = zstd::Decoder::with_buffer(frame).map_err(failed)?.single_frame();
        Ok(Parts { reader, zstd: BufReader::new(zstd), order: Order::of(reader.format()) })
    }

    /// Where the next frame begins, once all of this one was read.
    pub(super) fn end(&self) -> u64 {
        let frame = self.zstd.get_ref().get_ref();
        self.reader.body_end() - frame.get_ref().limit() - frame.buffer().len() as u64
    }

    /// How many offices the backup has, where it is this frame that says so; else 0.
    pub(super) fn all(&self) -> u32 {
        self.order.all
    }

    /// Reads and hashes all of it: what there is of the office; None where it is of none.
    pub(super) fn contents(&mut self) -> Result<Option<Contents>, ServerError> {
        let (mut office_name, mut rehearsal) = (String::new(), false);
        while let Some(item) = self.next_item()? {
            if let Item::Commit(commit) = item
                && commit.first == 1
                && let Some(found) = founded(&commit)
            {
                (office_name, rehearsal) = found;
            }
        }
        let Order { office, made_at_us, ref folder, ref mut files, head, all, .. } = self.order;
        let (added, files) = (folder.is_some(), std::mem::take(files));
        let found = Contents { office, office_name, rehearsal, made_at_us, added, files, head, at: 0 };
        Ok((all == 0).then_some(found))
    }

    /// The next file piece or commit; `None` once everything was read and is whole.
    ///
    /// # Errors
    /// [`BackupError::Damaged`].
    pub(crate) fn next_item(&mut self) -> Result<Option<Item>, ServerError> {
        loop {
            let Some(part) = self.next_part()? else {
                return match self.order.ended {
                    true => Ok(None),
                    false => Err(self.reader.damaged("it has no end").into()),
                };
            };
            if self.order.ended {
                return Err(self.reader.damaged("something stands behind its end").into());
            }
            // A part of a kind that a later release of this format adds, and that can be done without.
            let Some(kind) = part.part else { continue };
            if let Some(item) = self.order.take(kind).map_err(|cause| self.reader.damaged(cause))? {
                return Ok(Some(item));
            }
        }
    }

    /// The next commit, past the files.
    pub(crate) fn next_commit(&mut self) -> Result<Option<Commit>, ServerError> {
        loop {
            match self.next_item()? {
                Some(Item::Commit(commit)) => return Ok(Some(commit)),
                Some(Item::File(_)) => {}
                None => return Ok(None),
            }
        }
    }

    fn next_part(&mut self) -> Result<Option<Part>, ServerError> {
        let failed = |reader: &Reader, error: io::Error| reader.damaged(error.to_string());
        let (mut length, mut shift) = (0_usize, 0);
        loop {
            let mut byte = [0];
            match self.zstd.read(&mut byte) {
                Ok(0) if shift == 0 => return Ok(None),
                Ok(0) => return Err(self.reader.damaged("it ends within a part").into()),
                Ok(_) => {}
                Err(error) => return Err(failed(self.reader, error).into()),
            }
            length |= usize::from(byte[0] & 0x7f) << shift;
            shift += 7;
            if byte[0] < 0x80 {
                break;
            }
            if shift > 28 {
                return Err(self.reader.damaged("the length of a part is none").into());
            }
        }
        if length > PART_BYTES_MAX {
            return Err(self.reader.damaged("a part is longer than any can be").into());
        }
        let mut bytes = vec![0; length];
        self.zstd.read_exact(&mut bytes).map_err(|error| failed(self.reader, error))?;
        let part = Part::decode(bytes.as_slice()).map_err(|error| self.reader.damaged(error.to_string()))?;
        Ok(Some(part))
    }
}
