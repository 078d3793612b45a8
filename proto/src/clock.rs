//! The one place where both programs read the clock. The rules never do: they are given the time.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use renaksi_domain::time::Timestamp;

/// Names the played clock of a rehearsal: a time, or `@FILE` to read it anew at every look.
pub const CLOCK_VARIABLE: &str = "RENAKSI_CLOCK";

/// Where the time comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A rehearsal's clock that stands still.
    Fixed(Timestamp),
    /// A rehearsal's clock that another program moves.
    File(PathBuf),
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
                let clock = Clock::File(PathBuf::from(path));
                clock.read().map(|_| clock).ok_or_else(error)
            }
            None => parse_time(value).map(Clock::Fixed).ok_or_else(error),
        }
    }

    /// The present time.
    pub fn now(&self) -> Timestamp {
        self.read().unwrap_or_else(system_now)
    }

    fn read(&self) -> Option<Timestamp> {
        match self {
            Clock::System => Some(system_now()),
            Clock::Fixed(time) => Some(*time),
            Clock::File(path) => parse_time(std::fs::read_to_string(path).ok()?.trim()),
        }
    }
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
}
