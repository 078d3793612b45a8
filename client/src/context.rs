//! What every command is given: where the device lives, how to answer, and which year is meant. Everything that is printed
//! goes through here.

use std::cell::Cell;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};

use renaksi_domain::State;
use renaksi_domain::time::Timestamp;
use serde_json::Value;

use crate::device::Device;
use crate::error::{ClientError, Rejected};
use crate::render::{self, Paint};
use crate::text;

/// The settings of one run.
#[derive(Clone, Debug, Default)]
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
    /// The device belongs to a training office: every JSON object of the run says so.
    pub rehearsal: Cell<bool>,
}

/// How a command ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// Exit 0.
    Well,
    /// Exit 3: done, but something needs a person.
    NeedsAPerson,
}

/// What has become of stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdout {
    Open,
    /// Whoever read it has read enough. Nothing more is printed, and the run ends as it would have.
    Closed,
    /// It could not be written, and that was told on stderr: the run has failed.
    Failed,
}

static STDOUT: AtomicU8 = AtomicU8::new(0);

/// What has become of stdout so far.
pub fn stdout() -> Stdout {
    match STDOUT.load(Ordering::Relaxed) {
        0 => Stdout::Open,
        1 => Stdout::Closed,
        _ => Stdout::Failed,
    }
}

impl Context {
    /// Opens the device; one process at a time. A rehearsal office says what it is before anything else is said, and a
    /// device what is wrong with it.
    pub fn device(&self) -> Result<Device, ClientError> {
        let device = self.device_untold()?;
        if !self.json {
            device.troubles().iter().for_each(|cause| self.tell_trouble(cause));
        }
        Ok(device)
    }

    /// The same, for a command that itself says what is wrong with the device.
    pub fn device_untold(&self) -> Result<Device, ClientError> {
        let device = Device::open(&self.home, self.played_clock.as_deref())?;
        self.tell_rehearsal(&device);
        Ok(device)
    }

    /// Says on stderr what is wrong with the device as a whole, and what to do about it.
    pub fn tell_trouble(&self, cause: &Rejected) {
        let (message, hint) = text::error(cause);
        let message = render::paint(self.color, Paint::Yellow, &message);
        self.notice(&format!("{message}\n  {}: {hint}", text::say("common.hint")));
    }

    /// Says that the office is for training only, when it is: on stderr, and in every JSON object of the run.
    pub fn tell_rehearsal(&self, device: &Device) {
        let identity = device.identity();
        self.rehearsal.set(identity.rehearsal);
        if identity.rehearsal && !self.json {
            self.notice(&text::with("common.rehearsal", &[("office", &identity.office_name)]));
        }
    }

    /// The year a command is about.
    pub fn year(&self, state: &State, now: Timestamp) -> Result<i16, ClientError> {
        let year = self.year.or_else(|| state.default_year(now));
        let unknown = |cause: Rejected| ClientError::NotUnderstood(cause);
        if state.office.is_none() {
            return Err(unknown(Rejected::new("NO_PLAN_YET").with("records", 0)));
        }
        let year = year.ok_or_else(|| unknown(Rejected::new("NO_PLAN_YET")))?;
        match state.plan(year) {
            Some(_) => Ok(year),
            None => Err(unknown(Rejected::new("UNKNOWN_PLAN").with("year", year))),
        }
    }

    /// Prints one JSON object of a run.
    pub fn print_json(&self, value: &Value) {
        match value.as_object().filter(|_| self.rehearsal.get()) {
            Some(object) => {
                let mut object = object.clone();
                object.entry("rehearsal").or_insert(Value::Bool(true));
                self.print_raw(&Value::Object(object).to_string());
            }
            None => self.print_raw(&value.to_string()),
        }
    }

    /// Prints for people on stdout: nothing that a terminal would obey, save the colours of this program.
    pub fn print(&self, text: &str) {
        self.print_raw(&render::printable_lines(self.color, text));
    }

    /// Prints a line for a program (JSON, CSV, a script), byte for byte. A closed pipe is a good end; any other failure
    /// is told once, and ends the run with exit 1.
    pub fn print_raw(&self, text: &str) {
        if stdout() != Stdout::Open {
            return;
        }
        let mut out = io::stdout().lock();
        let written = writeln!(out, "{text}").and_then(|()| out.flush());
        drop(out);
        match written {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => STDOUT.store(1, Ordering::Relaxed),
            Err(error) => {
                STDOUT.store(2, Ordering::Relaxed);
                let cause = Rejected::new("IO_FAILED").with("path", "stdout").with("cause", error);
                self.notice(&render::error(self.color, &cause));
            }
        }
    }

    /// Prints a remark on stderr.
    pub fn notice(&self, text: &str) {
        // Nobody can be told when stderr is gone.
        let said = render::fitted(&render::printable_lines(self.color, text));
        let _ = writeln!(io::stderr().lock(), "{said}");
    }
}
