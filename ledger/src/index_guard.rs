//! Opening sled without trusting it: it may panic or hang on damaged files.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::disk;
use crate::error::{Error, Result};

/// How long opening may take before it counts as hung.
pub const OPEN_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long to wait for a handle that was just dropped to let go of sled's own lock.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(3);
/// Enough for the index's hot pages, small enough for a laptop.
const CACHE_BYTES: u64 = 16 << 20;
/// sled holds the segments that a batch touches in memory until it is done. Measured, 400,000 rows in batches of 2,000:
/// 941 MB with sled's own 512 KiB, 88 MB with this; no slower.
const SLED_SEGMENT_BYTES: usize = 64 << 10;

const SET_ASIDE: &str = "index-set-aside-";

/// Runs `open` in a thread of its own. Err says how it failed: its own error, a panic, or no answer in time.
///
/// A hung thread is left behind; it holds files that the caller then moves away, so it harms nobody.
pub(crate) fn guarded<T: Send + 'static>(
    wait_max: Duration,
    open: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let (sender, receiver) = mpsc::channel();
    let spawned = thread::Builder::new().name("index-open".into()).spawn(move || {
        // The receiver may have given up; then what was opened is dropped here.
        let _ = sender.send(unpanicked(open).and_then(|opened| opened));
    });
    spawned.map_err(|error| format!("no thread to open it in: {error}"))?;
    receiver.recv_timeout(wait_max).unwrap_or_else(|_| Err(format!("it did not open within {wait_max:?}")))
}

/// Turns a panic of sled into an error. Its state is not used again: the caller clears the index.
pub(crate) fn unpanicked<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        format!("it panicked: {}", text.unwrap_or_default())
    })
}

/// Opens sled, small: a bounded cache, and no thread that flushes on its own (the caller flushes after its batches).
pub(crate) fn open_sled(path: &Path) -> Result<sled::Db, String> {
    let config = sled::Config::default()
        .path(path)
        .mode(sled::Mode::LowSpace)
        .cache_capacity(CACHE_BYTES)
        .segment_size(SLED_SEGMENT_BYTES)
        .flush_every_ms(None);
    let began = Instant::now();
    loop {
        match config.open() {
            Ok(db) => return Ok(db),
            // We hold our own lock on the folder, so this can only be a handle of ours that is still ending.
            Err(sled::Error::Io(error))
                if error.to_string().contains("could not acquire lock")
                    && began.elapsed() < LOCK_WAIT_MAX =>
            {
                thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(format!("it does not open: {error}")),
        }
    }
}

/// Moves `path` to `index-set-aside-<n>` in `dir` and removes those set aside before; answers the new name.
pub(crate) fn set_aside(dir: &Path, path: &Path) -> Result<PathBuf> {
    let number = |name: &String| name.strip_prefix(SET_ASIDE)?.parse::<u64>().ok();
    let older: Vec<String> = disk::names(dir)?.into_iter().filter(|name| number(name).is_some()).collect();
    let next = older.iter().filter_map(number).max().unwrap_or(0) + 1;
    let to = dir.join(format!("{SET_ASIDE}{next}"));
    fs::rename(path, &to).map_err(Error::io("set aside", path))?;
    for name in older {
        let old = dir.join(name);
        fs::remove_dir_all(&old).map_err(Error::io("remove", &old))?;
    }
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_a_hang_and_an_error_are_told_apart() {
        let wait = OPEN_WAIT_MAX;
        assert_eq!(guarded(wait, || Ok(7)), Ok(7));
        assert_eq!(guarded::<()>(wait, || Err("broken".into())), Err("broken".into()));
        assert_eq!(guarded::<()>(wait, || panic!("bad page {}", 3)), Err("it panicked: bad page 3".into()));
        let hung = guarded(Duration::from_millis(50), || {
            thread::sleep(Duration::from_secs(2));
            Ok(())
        });
        assert_eq!(hung, Err("it did not open within 50ms".into()));
    }

    #[test]
    fn only_the_latest_set_aside_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        for n in 1..=3 {
            fs::create_dir(&path).unwrap();
            assert_eq!(
                set_aside(dir.path(), &path).unwrap(),
                dir.path().join(format!("index-set-aside-{n}"))
            );
        }
        assert_eq!(disk::names(dir.path()).unwrap(), ["index-set-aside-3"]);
    }
}
