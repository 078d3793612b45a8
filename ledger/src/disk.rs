//! The few things done to files, with errors that name them. Everything that must survive a power cut goes through
//! [`Disk`]: the real one, or one that a [`Recorder`] watches. So does the tree's cache, which a power cut may leave in
//! any state.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::recorder::{Op, Recorder, Verdict};

/// Where a log's files are. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    recorder: Option<Recorder>,
}

impl From<Recorder> for Disk {
    fn from(recorder: Recorder) -> Disk {
        Disk { recorder: Some(recorder) }
    }
}

impl Disk {
    /// Makes an empty file under `path`, or empties the one that is there.
    pub(crate) fn create(&self, path: PathBuf) -> Result<DiskFile> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        let opened = self.act(Op::Create(path.clone()), || options.open(&path));
        let file = opened.map_err(Error::io("create", &path))?;
        Ok(DiskFile { file, path, disk: self.clone() })
    }

    /// Makes an empty file for its owner only, and holds its lock: one that nobody holds was left over by a crash.
    /// Errors: Io; also where something has that name.
    pub fn create_new(&self, path: PathBuf) -> Result<NewFile> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        let opened = self.act(Op::Create(path.clone()), || options.open(&path));
        let file = opened.map_err(Error::io("write", &path))?;
        // A filesystem without locks loses the clearing up, and nothing else.
        let _ = flock(&file, FlockOperation::NonBlockingLockExclusive);
        Ok(NewFile { file: DiskFile { file, path, disk: self.clone() }, at: 0 })
    }

    /// Removes what a crash left of a [`Disk::create_new`]. What somebody still holds stays, and what is not ours to remove.
    pub fn remove_left_over(&self, path: &Path) {
        let Ok(file) = File::open(path) else { return };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
            && let Err(error) = self.remove(path)
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "an unfinished file was left over");
        }
    }

    /// Opens a file for reading and writing.
    pub(crate) fn open(&self, path: PathBuf) -> Result<DiskFile> {
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(Error::io("open", &path))?;
        Ok(DiskFile { file, path, disk: self.clone() })
    }

    /// Opens a file for reading and writing, or makes an empty one.
    pub(crate) fn open_or_create(&self, path: PathBuf) -> Result<DiskFile> {
        if path.exists() { self.open(path) } else { self.create(path) }
    }

    /// Makes a folder and those above it that are missing, durably.
    pub(crate) fn create_dir(&self, dir: &Path) -> Result<()> {
        self.make_folder(dir, 0o777)
    }

    /// Makes a folder and those above it that are missing, durably and for their owner only. One that is there is left as
    /// it is. Errors: Io.
    pub fn private_folder(&self, dir: &Path) -> Result<()> {
        self.make_folder(dir, 0o700)
    }

    /// From the top: a folder that is durable in one that is not would be gone with it.
    fn make_folder(&self, dir: &Path, mode: u32) -> Result<()> {
        let above = dir.ancestors().filter(|above| !above.as_os_str().is_empty());
        let missing: Vec<&Path> = above.take_while(|above| !above.is_dir()).collect();
        for made in missing.into_iter().rev() {
            let make = || fs::DirBuilder::new().recursive(true).mode(mode).create(made);
            self.act(Op::CreateDir(made.to_owned()), make).map_err(Error::io("create", made))?;
            self.sync_dir(folder_of(made))?;
        }
        Ok(())
    }

    /// Makes the names in a folder durable.
    pub(crate) fn sync_dir(&self, dir: &Path) -> Result<()> {
        let sync = || File::open(dir).and_then(|dir| dir.sync_all());
        self.act(Op::SyncDir(dir.to_owned()), sync).map_err(Error::io("make durable", dir))
    }

    /// Takes a file's name away; a power cut may bring it back. Errors: Io.
    pub fn remove(&self, path: &Path) -> Result<()> {
        self.act(Op::Remove(path.to_owned()), || fs::remove_file(path)).map_err(Error::io("remove", path))
    }

    fn act<T>(&self, op: Op, real: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let Some(recorder) = &self.recorder else { return real() };
        match recorder.judge(&op) {
            Verdict::Go => {
                let done = real()?;
                recorder.note(op);
                Ok(done)
            }
            Verdict::Fail(errno) | Verdict::WriteThenFail(_, errno) => Err(errno.into()),
        }
    }
}

/// A file that is written at offsets and made durable, and that knows its own name for errors.
#[derive(Debug)]
pub(crate) struct DiskFile {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
    disk: Disk,
}

impl DiskFile {
    pub(crate) fn write(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let real = |bytes: &[u8]| self.file.write_all_at(bytes, offset);
        let written = match &self.disk.recorder {
            None => real(bytes),
            Some(recorder) => {
                let op = |bytes: &[u8]| Op::Write { path: self.path.clone(), offset, bytes: bytes.to_vec() };
                let (kept, failure) = match recorder.judge(&op(bytes)) {
                    Verdict::Go => (bytes, None),
                    Verdict::Fail(errno) => (&bytes[..0], Some(errno)),
                    Verdict::WriteThenFail(keep, errno) => (&bytes[..keep.min(bytes.len())], Some(errno)),
                };
                real(kept).and_then(|()| {
                    recorder.note(op(kept));
                    failure.map_or(Ok(()), |errno| Err(errno.into()))
                })
            }
        };
        written.map_err(Error::io("write", &self.path))
    }

    /// Makes what was written durable, and the file's length.
    pub(crate) fn sync(&self) -> Result<()> {
        let sync = || self.file.sync_data();
        self.disk.act(Op::Sync(self.path.clone()), sync).map_err(Error::io("make durable", &self.path))
    }

    pub(crate) fn truncate(&self, bytes: u64) -> Result<()> {
        let op = Op::Truncate { path: self.path.clone(), bytes };
        self.disk.act(op, || self.file.set_len(bytes)).map_err(Error::io("cut", &self.path))
    }

    /// Gives the file its name, in the place of another. Durable after the next [`Disk::sync_dir`].
    pub(crate) fn rename(self, to: PathBuf) -> Result<DiskFile> {
        let op = Op::Rename { from: self.path.clone(), to: to.clone() };
        self.disk.act(op, || fs::rename(&self.path, &to)).map_err(Error::io("create", &to))?;
        Ok(DiskFile { path: to, ..self })
    }
}

/// A file that is written from its first byte to its last and then put in its place whole. Until then it has a name of its
/// own, and dropping it removes it.
#[derive(Debug)]
#[must_use = "make it durable and put it in its place"]
pub struct NewFile {
    file: DiskFile,
    at: u64,
}

impl NewFile {
    /// The name that it has until it is put in its place.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// Makes its bytes durable. Errors: Io.
    pub fn sync(&self) -> Result<()> {
        self.file.sync()
    }

    /// Gives it its name, durably. Errors: Io; also where something has that name. Nothing is replaced.
    ///
    /// If we crash in here: it is there under one of its names.
    pub fn put_in_place(self, to: &Path) -> Result<()> {
        let DiskFile { path, disk, .. } = &self.file;
        let op = Op::Rename { from: path.clone(), to: to.to_owned() };
        disk.act(op, || rename_new(path, to)).map_err(Error::io("write", to))?;
        disk.sync_dir(folder_of(to))
    }
}

impl io::Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes, self.at);
        written.map_err(|error| match error {
            Error::Io { source, .. } => source,
            other => io::Error::other(other),
        })?;
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // Once it is in its place there is nothing here.
        if self.file.path.exists() {
            let _ = self.file.disk.remove(&self.file.path);
        }
    }
}

/// A rename that replaces nothing, also where somebody else makes the name at this very moment.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        // A filesystem that cannot do it at once.
        Err(Errno::INVAL | Errno::NOSYS) if !to.exists() => fs::rename(from, to),
        Err(Errno::INVAL | Errno::NOSYS) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(errno) => Err(errno.into()),
    }
}

/// The folder that a name stands in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Holds the exclusive lock `name` in `dir` until the file is dropped or the process ends. It is not written to.
pub(crate) fn lock(dir: &Path, name: &str) -> Result<File> {
    let path = dir.join(name);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(Error::io("open", &path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(Error::Locked { dir: dir.to_owned() }),
        Err(errno) => Err(Error::io("lock", &path)(errno.into())),
    }
}

/// Reads into all of `buffer` or up to the end of the file; answers how many bytes.
pub(crate) fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// The names in a folder, sorted. Names that are not UTF-8 are none of ours.
pub(crate) fn names(dir: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(dir).map_err(Error::io("list", dir))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::io("list", dir))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort();
    Ok(names)
}
