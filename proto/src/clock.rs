//! The one place where both programs read the clock. The rules never do: they are given the time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use renaksi_domain::time::Timestamp;

/// Names the played clock of a rehearsal: a time, or `@FILE` to read it anew at every look.
pub const CLOCK_VARIABLE: &str = "RENAKSI_CLOCK";

/// Where the time comes from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A rehearsal's clock that stands still.
    Fixed(Timestamp),
    /// A rehearsal's clock that another program moves. Where the file cannot be read it stands still at the last time
    /// that could: an office's time never runs back, so one look at the machine's clock would end the rehearsal.
    File {
        /// The file with the time in it.
        path: PathBuf,
        /// The last time read from it, in microseconds since 1970. Shared by clones.
        last: Arc<AtomicI64>,
    },
}

/// The played clock's text is not a time.
#[derive(Debug, thiserror::Error)]
#[error(
    "{CLOCK_VARIABLE}={value} is not a time; write 2024-07-10T02:00:00Z, or @FILE with such a time in the file"
)]
pub struct ClockError {
    value: String,
}

impl Clock {
    /// The clock that the value of [`CLOCK_VARIABLE`] names. Only a rehearsal office's programs may look at it.
    ///
    /// # Errors
    /// [`ClockError`] when it is neither a time nor `@FILE` with a time in it.
    pub fn played(value: &str) -> Result<Clock, ClockError> {
        let error = || ClockError { value: value.to_owned() };
        match value.strip_prefix('@') {
            Some(path) => {
                let path = PathBuf::from(path);
                let first = read(&path).ok_or_else(error)?;
                Ok(Clock::File { path, last: Arc::new(AtomicI64::new(first.0)) })
            }
            None => parse_time(value).map(Clock::Fixed).ok_or_else(error),
        }
    }

    /// The present time.
    pub fn now(&self) -> Timestamp {
        match self {
            Clock::System => system_now(),
            Clock::Fixed(time) => *time,
            Clock::File { path, last } => match read(path) {
                Some(time) => {
                    last.store(time.0, Ordering::Relaxed);
                    time
                }
                None => Timestamp(last.load(Ordering::Relaxed)),
            },
        }
    }
}

fn read(path: &Path) -> Option<Timestamp> {
    parse_time(std::fs::read_to_string(path).ok()?.trim())
}

/// Reads an RFC 3339 time with its offset.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    text.parse::<jiff::Timestamp>().ok().map(|time| Timestamp(time.as_microsecond()))
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
fn system_now() -> Timestamp {
    // A clock before 1970 or after the year 294000 reads as 0; the rules then hold what is made as implausible.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_played_clock_is_a_time_or_a_file() {
        assert_eq!(
            Clock::played("2024-07-10T09:00:00+07:00").unwrap().now().rfc3339(),
            "2024-07-10T02:00:00Z"
        );
        assert!(Clock::played("yesterday").is_err());
        assert!(Clock::played("@/nowhere").is_err());
    }

    #[test]
    fn a_file_that_cannot_be_read_leaves_the_clock_where_it_was() {
        let path = std::env::temp_dir().join(format!("renaksi-clock-{}", std::process::id()));
        std::fs::write(&path, "2024-07-10T02:00:00Z\n").unwrap();
        let clock = Clock::played(&format!("@{}", path.display())).unwrap();
        std::fs::write(&path, "2024-07-11T02:00:00Z").unwrap();
        assert_eq!(clock.now().rfc3339(), "2024-07-11T02:00:00Z");
        std::fs::write(&path, "2024-07-").unwrap();
        assert_eq!(clock.clone().now().rfc3339(), "2024-07-11T02:00:00Z");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(clock.now().rfc3339(), "2024-07-11T02:00:00Z");
    }
}
