//! How the writer goes from one epoch to the next.

use renaksi_domain::command::Command;
use renaksi_domain::epoch::{BeginEpoch, Seen};
use renaksi_domain::people::PeopleCommand;
use renaksi_domain::{Outcome, decide};
use renaksi_proto::fold::Fold;

use super::{Batch, HostError, NotDurable, Writer, host_envelope};
use crate::behind::Beginning;
use crate::error::ServerError;

impl Writer {
    /// Begins the next epoch. What was decided before becomes durable in the one that ends.
    pub(super) fn begin_epoch(
        &mut self,
        fold: &mut Fold,
        batch: &mut Batch,
        reason: String,
    ) -> Result<BeginEpoch, HostError> {
        self.commit(fold, batch).map_err(HostError::NotDurable)?;
        let seen = self.shared.mark.seen().map_or(0, |seen| seen.epoch);
        let epoch = self.log.head().epoch.max(fold.state.epoch()).max(seen) + 1;
        let beginning = Beginning { epoch, reason };
        // The rules are asked before anything is changed.
        let command = Command::People(PeopleCommand::BeginEpoch(Box::new(self.first_of(&beginning))));
        let envelope = host_envelope(command, self.now(fold));
        if let Outcome::Refused(cause) = decide(&fold.state, &envelope, envelope.made_at) {
            return Err(HostError::Refused(cause));
        }
        self.shared.mark.intend(beginning.clone()).map_err(|error| self.not_noted(&error))?;
        self.enter_epoch(fold, batch, &beginning)
    }

    /// Goes on in an epoch that is being begun, from wherever a crash left it.
    ///
    /// If we crash in here: the mark says which epoch, and the next opening comes here again.
    pub(super) fn enter_epoch(
        &mut self,
        fold: &mut Fold,
        batch: &mut Batch,
        beginning: &Beginning,
    ) -> Result<BeginEpoch, HostError> {
        let begin = self.first_of(beginning);
        if self.log.head().epoch < beginning.epoch {
            let begun = self.log.begin_epoch(beginning.epoch);
            begun.map_err(|error| HostError::NotDurable(self.not_durable(fold, &error)))?;
        }
        if fold.state.epoch() < beginning.epoch {
            let command = Command::People(PeopleCommand::BeginEpoch(Box::new(begin.clone())));
            let now = self.now(fold);
            self.own_act(fold, batch, command, now)
                .and_then(|_| self.commit(fold, batch))
                .map_err(HostError::NotDurable)?;
        }
        self.shared.mark.clear().map_err(|error| self.not_noted(&error))?;
        tracing::warn!(epoch = begin.epoch, size = begin.size, "a new epoch has begun");
        Ok(begin)
    }

    /// An epoch's first record, at the log's end.
    fn first_of(&self, beginning: &Beginning) -> BeginEpoch {
        let head = self.log.head();
        let seen = self.shared.mark.seen();
        BeginEpoch {
            epoch: beginning.epoch,
            reason: beginning.reason.as_str().into(),
            size: head.size,
            root: head.root,
            seen: seen.map(|seen| Seen { epoch: seen.epoch, size: seen.size, root: seen.root }),
        }
    }

    fn not_noted(&self, error: &ServerError) -> HostError {
        tracing::error!(error = error.whole(), "the office stops taking writes");
        self.shared.stop();
        HostError::NotDurable(NotDurable::Stopped)
    }
}
