//! The file of a backup: written whole or not at all, and read only after its digest held.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use prost::Message;
use renaksi_ledger::{Commit, Disk, Head, NewFile};
use renaksi_proto::backup::part::Part as Kind;
use renaksi_proto::backup::{End, FilePiece, Part, Start};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::error::BackupError;
use super::{Contents, Hashed, PART_BYTES_MAX, commit_from, founded, is_in};
use crate::error::ServerError;

const BEGINS: &[u8] = b"renaksi backup ";
const FIRST_LINE: &[u8] = b"renaksi backup 1\n";
const LAST_LINE: &[u8] = b"renaksi backup end\n";
const DIGEST_BYTES: usize = 32;
/// Digest and last line.
const TRAILER_BYTES: u64 = (DIGEST_BYTES + LAST_LINE.len()) as u64;
const ZSTD_LEVEL: i32 = 3;

/// Counts into the digest what passes.
struct Digested {
    file: BufWriter<NewFile>,
    digest: Sha256,
}

impl Write for Digested {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A backup that is whole and durable, under a name that is not yet its own.
#[derive(Debug)]
pub(crate) struct Written(NewFile);

impl Written {
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Gives the file its name, durably. It takes no other file's place.
    pub(crate) fn put_in_place(self, path: &Path) -> Result<(), ServerError> {
        self.0.put_in_place(path).map_err(|error| match ServerError::disk(error) {
            ServerError::File { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
                BackupError::Exists(path.to_owned()).into()
            }
            error => error,
        })
    }
}

/// Names of files that are not finished: `FOLDER/.NAME-PROCESS.new`.
fn unfinished(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!(".{name}-{}.new", std::process::id()))
}

/// Removes what backups of that name left that were cut.
fn remove_left_over(disk: &Disk, folder: &Path, name: &str) -> Result<(), ServerError> {
    let begins = format!(".{name}-");
    for entry in fs::read_dir(folder).map_err(ServerError::file("list", folder))? {
        let entry = entry.map_err(ServerError::file("list", folder))?.file_name();
        let process = entry.to_str().and_then(|entry| entry.strip_prefix(&begins)?.strip_suffix(".new"));
        if process.is_some_and(|process| process.bytes().all(|byte| byte.is_ascii_digit())) {
            disk.remove_left_over(&folder.join(entry));
        }
    }
    Ok(())
}

/// Writes a backup, one part at a time.
pub(crate) struct Writer {
    zstd: zstd::Encoder<'static, Digested>,
    /// The name that the file has while it is written.
    path: PathBuf,
    ended: bool,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Writer {
    /// Begins a backup for `target`, a folder or a file that is not there; readable by its owner only, for it has the
    /// server's keys.
    pub(crate) fn create(disk: &Disk, target: &Path) -> Result<Writer, ServerError> {
        let (folder, name) = match target.is_dir() {
            true => (target, "renaksi-backup".into()),
            false if target.exists() => return Err(BackupError::Exists(target.to_owned()).into()),
            false => (folder_of(target), target.file_name().unwrap_or_default().to_string_lossy()),
        };
        remove_left_over(disk, folder, &name)?;
        let path = unfinished(folder, &name);
        let file = BufWriter::new(disk.create_new(path.clone()).map_err(ServerError::disk)?);
        let failed = ServerError::file("write", &path);
        let mut digested = Digested { file, digest: Sha256::new() };
        let begun = digested.write_all(FIRST_LINE).and_then(|()| zstd::Encoder::new(digested, ZSTD_LEVEL));
        Ok(Writer { zstd: begun.map_err(failed)?, path, ended: false })
    }

    /// Adds a part.
    pub(crate) fn put(&mut self, part: &Part) -> Result<(), ServerError> {
        self.ended = matches!(part.part, Some(Kind::End(_)));
        let bytes = part.encode_length_delimited_to_vec();
        self.zstd.write_all(&bytes).map_err(ServerError::file("write", &self.path))
    }

    /// Makes the file whole and durable, under a name that is not yet its own.
    pub(crate) fn finish(self) -> Result<Written, ServerError> {
        let Writer { zstd, path, ended } = self;
        let failed = |source| ServerError::file("write", &path)(source);
        if !ended {
            let cause = "the running server ended it early";
            return Err(failed(io::Error::new(io::ErrorKind::UnexpectedEof, cause)));
        }
        let Digested { mut file, digest } = zstd.finish().map_err(failed)?;
        file.write_all(&digest.finalize()).and_then(|()| file.write_all(LAST_LINE)).map_err(failed)?;
        let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync().map_err(ServerError::disk)?;
        Ok(Written(file))
    }
}

/// A backup whose bytes are those that were written.
#[derive(Debug)]
pub(crate) struct Reader {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Reader {
    /// Opens a backup and digests all of it.
    ///
    /// # Errors
    /// [`BackupError::Foreign`], [`BackupError::Newer`], [`BackupError::Damaged`].
    pub(crate) fn open(path: &Path) -> Result<Reader, ServerError> {
        let failed = |source| ServerError::file("read", path)(source);
        let file = File::open(path).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        let reader = Reader { path: path.to_owned(), file, bytes };
        let mut first = Vec::new();
        (&reader.file).take(FIRST_LINE.len() as u64).read_to_end(&mut first).map_err(failed)?;
        if first != FIRST_LINE {
            return Err(match reader.not_this_format(&first) {
                // With our first line the digest holds: it is our format, and the line was changed.
                BackupError::Newer { .. } if reader.digested()?.is_ok() => {
                    reader.damaged("its first line was changed").into()
                }
                error => error.into(),
            });
        }
        match reader.digested()? {
            Ok(()) => Ok(reader),
            Err(cause) => Err(reader.damaged(cause).into()),
        }
    }

    /// Whether the bytes behind the first line are those that were written behind ours; if not, why not.
    fn digested(&self) -> Result<Result<(), &'static str>, ServerError> {
        let failed = |source| ServerError::file("read", &self.path)(source);
        let Some(mut left) = self.bytes.checked_sub(TRAILER_BYTES + FIRST_LINE.len() as u64) else {
            return Ok(Err("it is cut off"));
        };
        let (mut digest, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
        digest.update(FIRST_LINE);
        (&self.file).seek(SeekFrom::Start(FIRST_LINE.len() as u64)).map_err(failed)?;
        while left > 0 {
            let wanted = left.min(buffer.len() as u64) as usize;
            (&self.file).read_exact(&mut buffer[..wanted]).map_err(failed)?;
            digest.update(&buffer[..wanted]);
            left -= wanted as u64;
        }
        let mut trailer = vec![0; TRAILER_BYTES as usize];
        (&self.file).read_exact(&mut trailer).map_err(failed)?;
        let (written, last_line) = trailer.split_at(DIGEST_BYTES);
        Ok(match (last_line == LAST_LINE, digest.finalize().as_slice() == written) {
            (false, _) => Err("it is cut off, or its end was changed"),
            (true, false) => Err("its bytes are not those that were written"),
            (true, true) => Ok(()),
        })
    }

    fn not_this_format(&self, first: &[u8]) -> BackupError {
        let path = self.path.clone();
        let Some(format) = first.strip_prefix(BEGINS) else {
            return match !first.is_empty() && FIRST_LINE.starts_with(first) {
                true => self.damaged("it is cut off"),
                false => BackupError::Foreign(path),
            };
        };
        let format: String =
            format.iter().take_while(|byte| byte.is_ascii_digit()).map(|b| char::from(*b)).collect();
        match format.as_str() {
            "" | "1" => self.damaged("its first line was changed, or is cut off"),
            _ => BackupError::Newer { path, format },
        }
    }

    fn damaged(&self, cause: impl Into<String>) -> BackupError {
        BackupError::Damaged { path: self.path.clone(), cause: cause.into() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The parts from the first on. One reader reads one at a time.
    pub(crate) fn parts(&self) -> Result<Parts<'_>, ServerError> {
        let failed = |source| ServerError::file("read", &self.path)(source);
        let start = FIRST_LINE.len() as u64;
        (&self.file).seek(SeekFrom::Start(start)).map_err(failed)?;
        let frame = BufReader::new((&self.file).take(self.bytes - TRAILER_BYTES - start));
        let zstd = zstd::Decoder::with_buffer(frame).map_err(failed)?;
        Ok(Parts { reader: self, zstd: BufReader::new(zstd), order: Order::default() })
    }

    /// Reads and hashes everything.
    ///
    /// # Errors
    /// [`BackupError::Damaged`] when it is not whole.
    pub(crate) fn contents(&self) -> Result<Contents, ServerError> {
        let mut parts = self.parts()?;
        let mut office_name = String::new();
        let mut rehearsal = false;
        while let Some(item) = parts.next_item()? {
            if let Item::Commit(commit) = item
                && commit.first == 1
                && let Some(found) = founded(&commit)
            {
                (office_name, rehearsal) = found;
            }
        }
        let Order { office, made_at_us, files, head, .. } = parts.order;
        let contents =
            Contents { office, office_name, rehearsal, made_at_us, files, head, bytes: self.bytes };
        Ok(contents)
    }
}

/// What a backup is read as.
#[derive(Debug)]
pub(crate) enum Item {
    /// A piece of a file, behind the pieces before it.
    File(FilePiece),
    /// The next commit; it continues those before it, by hash.
    Commit(Commit),
}

/// Reads a backup in its order.
pub(crate) struct Parts<'a> {
    reader: &'a Reader,
    zstd: BufReader<zstd::Decoder<'static, BufReader<io::Take<&'a File>>>>,
    order: Order,
}

/// What was read so far, and what has to come next.
#[derive(Debug)]
struct Order {
    office: Uuid,
    made_at_us: i64,
    files: Vec<String>,
    started: bool,
    in_file: bool,
    hashed: Hashed,
    head: Head,
    ended: bool,
}

impl Default for Order {
    fn default() -> Order {
        Order {
            office: Uuid::nil(),
            made_at_us: 0,
            files: Vec::new(),
            started: false,
            in_file: false,
            hashed: Hashed::default(),
            head: Head::empty(0),
            ended: false,
        }
    }
}

impl Order {
    /// Refuses what cannot come here, with the cause.
    fn take(&mut self, kind: Kind) -> Result<Option<Item>, &'static str> {
        match kind {
            Kind::Start(start) if !self.started => self.start(&start).map(|()| None),
            _ if !self.started => Err("it does not begin with its start"),
            Kind::Start(_) => Err("it has two starts"),
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
        self.started = true;
        Ok(())
    }

    fn file(&mut self, piece: FilePiece) -> Result<FilePiece, &'static str> {
        match self.in_file {
            true if self.files.last() != Some(&piece.path) => return Err("a file has no end"),
            true => {}
            false if !is_plain(&piece.path) || self.files.contains(&piece.path) => {
                return Err("it names a file that does not belong into a data folder");
            }
            false => self.files.push(piece.path.clone()),
        }
        self.in_file = !piece.last;
        Ok(piece)
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

impl Parts<'_> {
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
