//! Reads behind an open office what opening it did not: the segments of its log before the last. Nobody else may ask for
//! those records for years, and damage is mended only while a backup or a device still has what was damaged.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Mutex, TryLockError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use renaksi_ledger::{Error, Unread};

use crate::error::ServerError;
use crate::office::spawn;

/// Work at a time. The thread then sleeps for as long as it worked.
const WORK: Duration = Duration::from_millis(20);

/// However many offices are open, one of them is read at a time.
static WORKING: Mutex<()> = Mutex::new(());

/// A scrub on its way. It ends once it has read everything or met an error, and when this is dropped.
#[derive(Debug)]
pub(crate) struct Scrub {
    /// Nothing is ever sent: the thread sees that it is gone.
    wanted: Sender<()>,
    thread: JoinHandle<()>,
}

impl Scrub {
    /// Begins after a pause, so that opening and the first calls come before it. `met` is told of an error, and nothing
    /// is read after it; nor once the office `is_stopped`.
    pub(crate) fn start(
        unread: Unread,
        is_stopped: impl Fn() -> bool + Send + 'static,
        met: impl FnOnce(Error) + Send + 'static,
    ) -> Result<Scrub, ServerError> {
        let (wanted, until) = channel();
        let body = move || {
            if let Err(error) = read(unread, &until, is_stopped) {
                met(error);
            }
        };
        Ok(Scrub { wanted, thread: spawn("scrub", body)? })
    }

    /// Ends it where it stands: it is at most a commit away.
    pub(crate) fn end(self) {
        drop(self.wanted);
        // A thread that panicked has said so on stderr.
        let _ = self.thread.join();
    }
}

fn read(mut unread: Unread, until: &Receiver<()>, is_stopped: impl Fn() -> bool) -> Result<(), Error> {
    let mut pause = WORK;
    while until.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) && !is_stopped() {
        let began = Instant::now();
        let one = WORKING.try_lock();
        while !matches!(one, Err(TryLockError::WouldBlock)) && began.elapsed() < WORK {
            if until.try_recv() == Err(TryRecvError::Disconnected) || !unread.verify_next()? {
                return Ok(());
            }
        }
        pause = began.elapsed().max(WORK);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::sync::PoisonError;

    use renaksi_ledger::{Entry, Log, LogOptions};

    use super::*;

    /// A log of many segments, four records in each, and their files.
    fn log(dir: &Path) -> (Log, Vec<PathBuf>) {
        let id = crate::data::Data::log_id(uuid::Uuid::from_u128(1));
        let options = LogOptions { segment_bytes: 16_384, ..LogOptions::default() };
        let mut log = Log::create_with(dir, id, 1, options).unwrap();
        for byte in 0..40 {
            log.append(&[Entry { leaf: vec![byte + 1; 900], aside: Vec::new() }]).unwrap();
        }
        let mut files: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
        files.sort();
        assert!(files.len() > 8, "{files:?}");
        (log, files)
    }

    /// Changes the last byte of a file that is not filling.
    fn flip(file: &Path) {
        let mut bytes = fs::read(file).unwrap();
        let last = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        bytes[last] ^= 1;
        fs::write(file, bytes).unwrap();
    }

    /// What a scrub tells that nobody ends.
    fn met(log: &Log, is_stopped: bool) -> Option<Error> {
        let (told, error) = channel();
        let unread = Unread::of(&log.reader()).unwrap();
        let scrub = Scrub::start(unread, move || is_stopped, move |error| told.send(error).unwrap()).unwrap();
        scrub.thread.join().unwrap();
        error.try_recv().ok()
    }

    #[test]
    fn damage_is_met_in_every_segment_but_the_last() {
        let dir = tempfile::tempdir().unwrap();
        let (log, files) = log(dir.path());
        assert!(met(&log, false).is_none());
        let (last, earlier) = files.split_last().unwrap();
        for path in earlier {
            let whole = fs::read(path).unwrap();
            flip(path);
            match met(&log, false) {
                Some(Error::Damaged { file, offset, .. }) => {
                    assert!(file == *path && offset < whole.len() as u64, "{file:?} {offset}");
                }
                other => panic!("{}: {other:?}", path.display()),
            }
            // An office that has stopped is not read on.
            assert!(met(&log, true).is_none());
            fs::write(path, whole).unwrap();
        }
        // That one was read when the log was opened.
        flip(last);
        assert!(met(&log, false).is_none());
    }

    #[test]
    fn a_log_of_one_segment_has_nothing_unread() {
        let dir = tempfile::tempdir().unwrap();
        let id = crate::data::Data::log_id(uuid::Uuid::from_u128(1));
        let mut log = Log::create(dir.path(), id, 1).unwrap();
        log.append(&[Entry { leaf: vec![1], aside: Vec::new() }]).unwrap();
        assert!(Unread::of(&log.reader()).is_none());
    }

    /// It waits for its turn, which does not come.
    #[test]
    fn one_that_is_on_its_way_ends_when_it_is_asked_to() {
        let dir = tempfile::tempdir().unwrap();
        let (log, files) = log(dir.path());
        flip(&files[0]);
        let (told, error) = channel();
        let working = WORKING.lock().unwrap_or_else(PoisonError::into_inner);
        let unread = Unread::of(&log.reader()).unwrap();
        let scrub = Scrub::start(unread, || false, move |error| told.send(error).unwrap()).unwrap();
        scrub.end();
        drop(working);
        assert!(error.try_recv().is_err(), "it was not at the damage yet");
    }
}
