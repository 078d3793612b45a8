//! The few things done to files, with errors that name them, and the place where tests make them fail.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::{Error, Result};

/// Failures that a test plans for a log. Clones share the plan. Does nothing until something is planned.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Plan>>);

#[derive(Debug, Default)]
struct Plan {
    write: Option<(u64, usize)>,
    sync: Option<u64>,
}

impl Faults {
    /// After `after` more writes, one write stores only its first `keep_bytes` bytes and fails with ENOSPC.
    /// A commit writes twice: its frame, then a head slot.
    pub fn fail_write(&self, after: u64, keep_bytes: usize) {
        self.plan().write = Some((after, keep_bytes));
    }

    /// After `after` more syncs, one sync fails with EIO.
    pub fn fail_sync(&self, after: u64) {
        self.plan().sync = Some(after);
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn before_write(&self) -> Option<usize> {
        let mut plan = self.plan();
        match plan.write {
            Some((0, keep_bytes)) => {
                plan.write = None;
                Some(keep_bytes)
            }
            Some((after, keep_bytes)) => {
                plan.write = Some((after - 1, keep_bytes));
                None
            }
            None => None,
        }
    }

    fn before_sync(&self) -> io::Result<()> {
        let mut plan = self.plan();
        match plan.sync {
            Some(0) => {
                plan.sync = None;
                Err(Errno::IO.into())
            }
            Some(after) => {
                plan.sync = Some(after - 1);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// A file that is written at offsets and made durable, and that knows its own name for errors.
#[derive(Debug)]
pub(crate) struct DiskFile {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
    faults: Option<Faults>,
}

impl DiskFile {
    pub(crate) fn new(file: File, path: PathBuf, faults: Option<Faults>) -> DiskFile {
        DiskFile { file, path, faults }
    }

    pub(crate) fn open(path: PathBuf, faults: Option<Faults>) -> Result<DiskFile> {
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(Error::io("open", &path))?;
        Ok(DiskFile::new(file, path, faults))
    }

    pub(crate) fn write(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let written = match self.faults.as_ref().and_then(Faults::before_write) {
            None => self.file.write_all_at(bytes, offset),
            Some(keep) => self
                .file
                .write_all_at(&bytes[..keep.min(bytes.len())], offset)
                .and_then(|()| Err(Errno::NOSPC.into())),
        };
        written.map_err(Error::io("write", &self.path))
    }

    pub(crate) fn sync(&self) -> Result<()> {
        let planned = self.faults.as_ref().map_or(Ok(()), Faults::before_sync);
        planned.and_then(|()| self.file.sync_data()).map_err(Error::io("make durable", &self.path))
    }

    pub(crate) fn truncate(&self, bytes: u64) -> Result<()> {
        self.file.set_len(bytes).map_err(Error::io("cut", &self.path))
    }
}

/// Makes the names in a folder durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(Error::io("make durable", dir))
}

pub(crate) fn create_dir(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).map_err(Error::io("create", dir))
}

/// Holds the exclusive lock `name` in `dir` until the file is dropped or the process ends.
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
