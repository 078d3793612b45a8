//! The file of a backup, and its frames, one an office: written whole or not at all, and read only after its digest held.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use prost::Message;
use renaksi_ledger::{Disk, NewFile};
use renaksi_proto::backup::part::Part as Kind;
use renaksi_proto::backup::{All, Part};
use sha2::{Digest, Sha256};

use super::Contents;
use super::error::BackupError;
use super::parts::Parts;
use crate::error::ServerError;

const BEGINS: &[u8] = b"renaksi backup ";
const FIRST_LINE_BYTES: usize = ONE_OFFICE.len();
const ONE_OFFICE: &[u8] = b"renaksi backup 1\n";
const OFFICES: &[u8] = b"renaksi backup 2\n";
const LAST_LINE: &[u8] = b"renaksi backup end\n";
const DIGEST_BYTES: usize = 32;
/// Digest and last line.
const TRAILER_BYTES: u64 = (DIGEST_BYTES + LAST_LINE.len()) as u64;
const ZSTD_LEVEL: i32 = 3;

/// Which form a backup has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// The only office of a server, in one frame.
    OneOffice,
    /// A frame an office, and one that says how many there are.
    Offices,
}

impl Format {
    fn first_line(self) -> &'static [u8] {
        match self {
            Format::OneOffice => ONE_OFFICE,
            Format::Offices => OFFICES,
        }
    }
}

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
    /// The name that the file has while it is written.
    path: PathBuf,
    format: Format,
    /// None only while one frame ends and the next begins.
    frame: Option<zstd::Encoder<'static, Digested>>,
    offices: u32,
    /// The last office is whole.
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
    pub(crate) fn create(disk: &Disk, target: &Path, format: Format) -> Result<Writer, ServerError> {
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
        let begun = digested.write_all(format.first_line());
        let frame = begun.and_then(|()| zstd::Encoder::new(digested, ZSTD_LEVEL)).map_err(failed)?;
        Ok(Writer { path, format, frame: Some(frame), offices: 0, ended: false })
    }

    /// Adds a part.
    pub(crate) fn put(&mut self, part: &Part) -> Result<(), ServerError> {
        if matches!(part.part, Some(Kind::Start(_))) {
            if self.offices > 0 {
                self.whole_office()?;
                self.next_frame()?;
            }
            self.offices += 1;
        }
        self.ended = matches!(part.part, Some(Kind::End(_)));
        self.write(part)
    }

    /// Makes the file whole and durable, under a name that is not yet its own.
    pub(crate) fn finish(mut self) -> Result<Written, ServerError> {
        self.whole_office()?;
        if self.format == Format::Offices {
            self.next_frame()?;
            self.write(&Part { part: Some(Kind::All(All { offices: self.offices })) })?;
        }
        let Digested { mut file, digest } = self.end_frame()?;
        let failed = |source| ServerError::file("write", &self.path)(source);
        file.write_all(&digest.finalize()).and_then(|()| file.write_all(LAST_LINE)).map_err(failed)?;
        let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync().map_err(ServerError::disk)?;
        Ok(Written(file))
    }

    fn whole_office(&self) -> Result<(), ServerError> {
        let cause = "the running server ended it early";
        match self.ended {
            true => Ok(()),
            false => Err(self.failed(io::Error::new(io::ErrorKind::UnexpectedEof, cause))),
        }
    }

    fn next_frame(&mut self) -> Result<(), ServerError> {
        assert!(self.format == Format::Offices, "BUG: one office has one frame");
        let digested = self.end_frame()?;
        let frame = zstd::Encoder::new(digested, ZSTD_LEVEL).map_err(|error| self.failed(error))?;
        self.frame = Some(frame);
        Ok(())
    }

    fn end_frame(&mut self) -> Result<Digested, ServerError> {
        let frame = self.frame.take().expect("BUG: a frame was lost");
        frame.finish().map_err(|error| self.failed(error))
    }

    fn write(&mut self, part: &Part) -> Result<(), ServerError> {
        let bytes = part.encode_length_delimited_to_vec();
        let frame = self.frame.as_mut().expect("BUG: a frame was lost");
        frame.write_all(&bytes).map_err(|error| self.failed(error))
    }

    fn failed(&self, source: io::Error) -> ServerError {
        ServerError::file("write", &self.path)(source)
    }
}

/// A backup whose bytes are those that were written.
#[derive(Debug)]
pub(crate) struct Reader {
    path: PathBuf,
    file: File,
    bytes: u64,
    format: Format,
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
        let mut reader = Reader { path: path.to_owned(), file, bytes, format: Format::OneOffice };
        let mut first = Vec::new();
        (&reader.file).take(FIRST_LINE_BYTES as u64).read_to_end(&mut first).map_err(failed)?;
        let formats = [Format::OneOffice, Format::Offices];
        let Some(format) = formats.into_iter().find(|known| known.first_line() == first) else {
            let error = reader.not_this_format(&first);
            let is_newer = matches!(error, BackupError::Newer { .. });
            for format in formats.into_iter().filter(|_| is_newer) {
                // With a first line of ours the digest holds: it is our format, and the line was changed.
                if reader.digested(format)?.is_ok() {
                    return Err(reader.damaged("its first line was changed").into());
                }
            }
            return Err(error.into());
        };
        reader.format = format;
        match reader.digested(format)? {
            Ok(()) => Ok(reader),
            Err(cause) => Err(reader.damaged(cause).into()),
        }
    }

    /// Whether the bytes behind the first line are those that were written behind that format's; if not, why not.
    fn digested(&self, format: Format) -> Result<Result<(), &'static str>, ServerError> {
        let failed = |source| ServerError::file("read", &self.path)(source);
        let Some(mut left) = self.bytes.checked_sub(TRAILER_BYTES + FIRST_LINE_BYTES as u64) else {
            return Ok(Err("it is cut off"));
        };
        let (mut digest, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
        digest.update(format.first_line());
        (&self.file).seek(SeekFrom::Start(FIRST_LINE_BYTES as u64)).map_err(failed)?;
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
            return match !first.is_empty() && BEGINS.starts_with(first) {
                true => self.damaged("it is cut off"),
                false => BackupError::Foreign(path),
            };
        };
        let format: String =
            format.iter().take_while(|byte| byte.is_ascii_digit()).map(|b| char::from(*b)).collect();
        match format.as_str() {
            "" | "1" | "2" => self.damaged("its first line was changed, or is cut off"),
            _ => BackupError::Newer { path, format },
        }
    }

    pub(super) fn damaged(&self, cause: impl Into<String>) -> BackupError {
        BackupError::Damaged { path: self.path.clone(), cause: cause.into() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// Where the digest stands.
    pub(super) fn body_end(&self) -> u64 {
        self.bytes - TRAILER_BYTES
    }

    /// The parts of an office, from the first on. One reader reads one office at a time.
    pub(crate) fn parts(&self, office: &Contents) -> Result<Parts<'_>, ServerError> {
        Parts::at(self, office.at)
    }

    /// Reads and hashes everything: what there is of each office.
    ///
    /// # Errors
    /// [`BackupError::Damaged`] when it is not whole.
    pub(crate) fn contents(&self) -> Result<Vec<Contents>, ServerError> {
        let (mut all, mut at) = (Vec::<Contents>::new(), FIRST_LINE_BYTES as u64);
        loop {
            let mut parts = Parts::at(self, at)?;
            let found = parts.contents()?;
            let (end, is_last) = (parts.end(), parts.end() == self.body_end());
            match (found, parts.all()) {
                (Some(office), _) if all.iter().any(|known| known.office == office.office) => {
                    return Err(self.damaged("it holds an office twice").into());
                }
                (Some(office), _) => all.push(Contents { at, ..office }),
                (None, offices) if offices as usize != all.len() => {
                    return Err(self.damaged("it does not hold the offices that its end says").into());
                }
                (None, _) => {}
            }
            let whole = self.format == Format::OneOffice || parts.all() > 0;
            match (whole, is_last) {
                (true, true) => return Ok(all),
                (true, false) => return Err(self.damaged("something stands behind its end").into()),
                (false, true) => return Err(self.damaged("it has no end").into()),
                (false, false) => at = end,
            }
        }
    }
}
