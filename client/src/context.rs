//! What every command is given: where the device lives, how to answer, and which year is meant.

use std::io::{self, Write};
use std::path::PathBuf;

use renaksi_domain::State;
use renaksi_domain::time::Timestamp;
use serde_json::Value;

use crate::device::Device;
use crate::error::{ClientError, Rejected};
use crate::text;

/// The settings of one run.
#[derive(Clone, Debug)]
pub struct Context {
    /// The device's folder.
    pub home: PathBuf,
    /// One JSON object on stdout, nothing else there.
    pub json: bool,
    /// `--year`.
    pub year: Option<i16>,
    /// Colours and progress bars are wanted.
    pub color: bool,
    /// The value of `RENAKSI_CLOCK`; only a rehearsal office's device looks at it.
    pub played_clock: Option<String>,
}

/// How a command ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// Exit 0.
    Well,
    /// Exit 3: done, but something needs a person.
    NeedsAPerson,
}

impl Context {
    /// Opens the device; one process at a time. A rehearsal office says what it is before anything else is said.
    pub fn device(&self) -> Result<Device, ClientError> {
        let device = Device::open(&self.home, self.played_clock.as_deref())?;
        self.tell_rehearsal(&device);
        Ok(device)
    }

    /// Says on stderr that the office is for training only, when it is.
    pub fn tell_rehearsal(&self, device: &Device) {
        let identity = device.identity();
        if identity.rehearsal && !self.json {
            self.notice(&text::with("common.rehearsal", &[("office", &identity.office_name)]));
        }
    }

    /// The year a command is about.
    pub fn year(&self, state: &State, now: Timestamp) -> Result<i16, ClientError> {
        let year = self.year.or_else(|| state.default_year(now));
        let unknown = |cause: Rejected| ClientError::NotUnderstood(cause);
        let year = year.ok_or_else(|| unknown(Rejected::new("NO_PLAN_YET")))?;
        match state.plan(year) {
            Some(_) => Ok(year),
            None => Err(unknown(Rejected::new("UNKNOWN_PLAN").with("year", year))),
        }
    }

    /// Prints the one JSON object of a run.
    pub fn print_json(&self, value: &Value) {
        self.print(&value.to_string());
    }

    /// Prints for people (or one line of JSON) on stdout. Whoever closed the pipe has read enough: the run ends well.
    pub fn print(&self, text: &str) {
        let mut out = io::stdout().lock();
        let written = writeln!(out, "{text}").and_then(|()| out.flush());
        if written.is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
            std::process::exit(0);
        }
    }

    /// Prints a remark on stderr.
    pub fn notice(&self, text: &str) {
        // Nobody can be told when stderr is gone.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}
