//! Work that travels as a file: what a device has not sent yet, signed, so that any other device of the office can bring it.

use std::fs;
use std::path::Path;

use prost::Message;
use renaksi_domain::Rejection;
use renaksi_domain::ids::{CommandKey, Origin, entry_id};
use renaksi_proto::chain;
use renaksi_proto::convert::rejection_from;
use renaksi_proto::wire::{self, Verdict};

use super::connect::{Failure, unreachable};
use super::home::{storage, write_durable};
use super::outbox::Batch;
use super::sync::{bad_answer, client};
use super::{Device, Judged, SyncReport};
use crate::error::{ClientError, Rejected};

/// What such a file begins with.
const MAGIC: &[u8] = b"renaksi outbox 1\n";

impl Device {
    /// Commands that the office has not received, as far as this device knows. Without a copy of the office's log every
    /// command may be one.
    ///
    /// # Errors
    /// When the feed cannot be read.
    pub fn unsent_commands(&self) -> Result<u64, ClientError> {
        Ok(u64::from((self.outbox.last() + 1).saturating_sub(self.unsent()?.next)))
    }

    /// Writes what was not sent into a file; durable when this returns. Answers how many commands it holds.
    ///
    /// # Errors
    /// Failed when the file cannot be written, or is there already.
    pub fn export_unsent(&self, path: &Path) -> Result<u64, ClientError> {
        if path.exists() {
            let cause = Rejected::new("FILE_EXISTS").with("path", path.display());
            return Err(ClientError::NotAdmitted(cause));
        }
        let mut cursor = self.unsent()?;
        let (mut file, last) = (wire::OutboxFile::default(), self.outbox.last());
        file.office = self.identity.office.as_bytes().to_vec();
        let mut count = 0;
        while cursor.next <= last {
            let batch = self.outbox.batch(cursor.next, last, cursor.chain, self.limits(cursor.next)?)?;
            count += batch.commands.len() as u64;
            cursor.next = batch.last() + 1;
            cursor.chain = batch.chain;
            file.pushes.push(self.signed(&batch)?);
        }
        write_durable(path, &[MAGIC, &file.encode_to_vec()].concat(), 0o600)?;
        Ok(count)
    }

    /// The push of a batch, signed by this device.
    pub(super) fn signed(&self, batch: &Batch) -> Result<wire::PushRequest, ClientError> {
        let (office, incarnation) = (self.identity.office, self.identity.incarnation);
        Ok(wire::PushRequest {
            origin: self.identity.origin.0,
            first_sequence: batch.first,
            previous_chain: batch.previous.to_vec(),
            commands: batch.commands.clone(),
            chain_signature: chain::sign_push(&self.key, office, incarnation, batch.last(), &batch.chain),
            device_time_us: self.now().0,
            // It is of this moment, and shown to the server that is called.
            checkpoint: String::new(),
            restored: self.old_records(batch)?,
        })
    }

    /// Brings what another device wrote into a file. The office takes it as that device's; this one is noted as its carrier.
    ///
    /// # Errors
    /// NotAdmitted for a file that is none, is another office's, or follows on what the office does not have;
    /// Unreachable when the server is not there: nothing is lost, bring it again.
    pub async fn carry(&self, bytes: &[u8]) -> Result<SyncReport, ClientError> {
        let not_ours = |code| ClientError::NotAdmitted(Rejected::new(code));
        let body = bytes.strip_prefix(MAGIC).ok_or_else(|| not_ours("NOT_AN_OUTBOX"))?;
        let file = wire::OutboxFile::decode(body).map_err(|_| not_ours("NOT_AN_OUTBOX"))?;
        if file.office != self.identity.office.as_bytes() {
            return Err(not_ours("OUTBOX_OF_ANOTHER_OFFICE"));
        }
        let mut session = self.connect().await?;
        let mut report = SyncReport::default();
        for push in file.pushes {
            let (origin, first) = (Origin(push.origin), push.first_sequence);
            let request = session.request(push)?;
            let answered = session.guard(client(&session).push(request)).await;
            let response = answered.map_err(|failure| match failure {
                Failure::Cut(cause) | Failure::Silent(cause) => unreachable(&self.identity.server, cause),
                Failure::TooMuch(error) | Failure::TokenRefused(error) | Failure::Final(error) => error,
            })?;
            session.answered(response.metadata());
            let response = response.into_inner();
            if response.receipts.is_empty() {
                let gap = Rejected::new("OUTBOX_GAP").with("sequence", first);
                return Err(ClientError::NotAdmitted(gap.with("expected", response.next_sequence)));
            }
            response.receipts.into_iter().try_for_each(|answer| self.count(origin, answer, &mut report))?;
        }
        Ok(report)
    }

    fn count(
        &self,
        origin: Origin,
        answer: wire::Receipt,
        report: &mut SyncReport,
    ) -> Result<(), ClientError> {
        let key = CommandKey::new(origin, answer.sequence);
        let incarnation = self.view.confirmed.people.incarnation(origin);
        let judged = |cause: Rejection| Judged {
            key,
            // The office may know the device before this one does.
            entry_id: incarnation.map_or_else(uuid::Uuid::nil, |known| entry_id(known.uuid, key.sequence)),
            cause,
        };
        report.pushed += 1;
        match (answer.duplicate, answer.verdict(), answer.cause) {
            (true, ..) => report.duplicate += 1,
            (_, Verdict::Recorded, _) => report.recorded += 1,
            (_, Verdict::Held, Some(cause)) => report.held.push(judged(rejection_from(cause))),
            (_, Verdict::Refused, Some(cause)) => report.refused.push(judged(rejection_from(cause))),
            _ => return Err(bad_answer("a receipt without a verdict or its cause")),
        }
        Ok(())
    }

    /// Takes the device out of its folder: key, feed, copy of the log, and what it knew. What others put there stays.
    ///
    /// # Errors
    /// NotAdmitted `UNSENT_WORK` while something was not sent and was not exported; Failed when a file cannot be removed.
    pub fn reset(self, exported: bool) -> Result<(), ClientError> {
        let unsent = self.unsent_commands()?;
        if unsent > 0 && !exported {
            return Err(ClientError::NotAdmitted(Rejected::new("UNSENT_WORK").with("unsent", unsent)));
        }
        let home = self.home.clone();
        // Its files are closed first.
        drop(self);
        // The identity goes first: what is left after an interruption is no device.
        for path in home.files() {
            let removed = match fs::symlink_metadata(&path) {
                Ok(known) if known.is_dir() => fs::remove_dir_all(&path),
                Ok(_) => fs::remove_file(&path),
                Err(_) => continue,
            };
            removed.map_err(storage("remove", &path))?;
        }
        // Gone when nothing else is in it.
        let _ = fs::remove_dir(home.dir());
        Ok(())
    }
}
