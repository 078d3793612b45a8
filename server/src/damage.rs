//! Why an open office takes no writes any more: its disk failed, or somebody met damage in its log.
//!
//! What is added to a damaged log may be all that is left of it once it is mended from a backup that is older. So it grows no
//! further, and everybody is told, while backups and devices still have what was damaged.

use std::sync::Arc;

use renaksi_ledger::{Error, LogId, Unread};

use crate::error::{ServerError, is_damage};
use crate::office::Shared;
use crate::scrub::Scrub;
use crate::status::Fault;
use crate::writer::{HostError, NotDurable};

/// Why an office takes no writes until the server starts again.
#[derive(Clone, Debug)]
pub enum Stop {
    /// The disk failed, or the writer panicked: what was decided last may not be in the log.
    Failed,
    /// Bytes of the log are not what was written. What was decided is not touched by it.
    Damaged(Damage),
}

/// Damage of a log, as it was met.
#[derive(Clone, Debug)]
pub struct Damage {
    pub id: LogId,
    /// File, offset and position.
    pub source: Arc<Error>,
}

impl Damage {
    /// The first position that is concerned, where one is.
    fn position(&self) -> Option<u64> {
        match &*self.source {
            Error::Damaged { position, .. } | Error::MissingSegment { position, .. } => Some(*position),
            Error::RootMismatch { first, .. } => Some(*first),
            Error::ShorterThanHead { size, .. } => Some(size + 1),
            _ => None,
        }
    }
}

impl From<Damage> for Fault {
    /// What the network is told names no path.
    fn from(damage: Damage) -> Fault {
        let fault = Fault::lost("LOG_DAMAGED");
        match damage.position() {
            Some(position) => fault.with("position", position),
            None => fault,
        }
    }
}

impl From<Damage> for ServerError {
    fn from(Damage { id, source }: Damage) -> ServerError {
        ServerError::Damaged { id, source }
    }
}

impl From<Stop> for Fault {
    fn from(stop: Stop) -> Fault {
        match stop {
            Stop::Failed => Fault::stopped(),
            Stop::Damaged(damage) => damage.into(),
        }
    }
}

impl From<Stop> for ServerError {
    fn from(stop: Stop) -> ServerError {
        match stop {
            Stop::Failed => ServerError::Stopped,
            Stop::Damaged(damage) => damage.into(),
        }
    }
}

impl From<Stop> for HostError {
    fn from(stop: Stop) -> HostError {
        match stop {
            Stop::Failed => HostError::NotDurable(NotDurable::Stopped),
            Stop::Damaged(damage) => HostError::Damaged(damage),
        }
    }
}

impl Shared {
    /// What is answered to whoever could not read the log. Damage stops the office.
    pub(crate) fn log_failed(&self, error: Error) -> Fault {
        match is_damage(&error) {
            true => self.damaged(error).into(),
            false => Fault::internal(&error),
        }
    }

    /// The same for whoever is at the server's own machine.
    pub(crate) fn heed(&self, error: ServerError) -> ServerError {
        match error {
            ServerError::Log { source, .. } if is_damage(&source) => self.damaged(source).into(),
            error => error,
        }
    }

    /// Begins to read what opening the log did not; None where there is nothing of it.
    pub(crate) fn scrub(self: &Arc<Self>) -> Result<Option<Scrub>, ServerError> {
        let Some(unread) = Unread::of(&self.reader) else { return Ok(None) };
        let (office, told) = (Arc::clone(self), Arc::clone(self));
        let met = move |error| match is_damage(&error) {
            true => drop(told.damaged(error)),
            false => {
                let (office, error) = (told.id.office, &error as &dyn std::error::Error);
                tracing::warn!(%office, error, "the log was not read again to its end; the next opening tries again");
            }
        };
        Scrub::start(unread, move || office.is_stopped(), met).map(Some)
    }

    /// Takes no writes from now on, and tells where the damage is.
    pub(crate) fn damaged(&self, error: Error) -> Damage {
        let damage = Damage { id: self.id, source: Arc::new(error) };
        if self.stop_for(Stop::Damaged(damage.clone())) {
            let error = ServerError::from(damage.clone());
            let (office, mend) = (self.id.office, error.hint());
            tracing::error!(%office, error = error.whole(), mend, "the office takes no more writes");
        }
        damage
    }
}
