//! Commands up, the log down. Both may be cut at any byte and repeated: a push is answered with its first receipts again,
//! and a pull goes on from what the replica durably holds.

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};

use renaksi_domain::entry::State as EntryState;
use renaksi_domain::ids::{CommandKey, entry_id};
use renaksi_domain::time::Timestamp;
use renaksi_domain::{Command, Rejection};
use renaksi_proto::chain::ChainHash;
use renaksi_proto::convert::{command_leaf, rejection_from};
use renaksi_proto::wire::{self, Verdict, pull_page::Page, sync_client::SyncClient};
use sha2::{Digest, Sha256};
use tonic::transport::Channel;
use uuid::Uuid;

use super::checkpoint::Offered;
use super::connect::{Credentials, Failure, MESSAGE_BYTES_MAX, Session, unreachable};
use super::epoch::OFFERED_MAX;
use super::home::{Directory, random};
use super::outbox::{Batch, Limits, check_size};
use super::replica::diverged;
use super::standing::is_revoked;
use super::{Contact, Device, Judged, Progress, Receipt, ReceiptOutcome, SyncReport, Texts};
use crate::error::{ClientError, Rejected};

/// How often in a row something may fail without anything having got through.
const TRIES_MAX: u32 = 3;
/// How often in a row no answer may come.
const SILENCES_MAX: u32 = 2;
/// So much may be on its way for a minute over a slow line; silence after more is answered with smaller pushes.
const SLOW_BYTES: usize = 128 << 10;
const BACKOFF_MS: u64 = 250;
/// How often the server may ask for another sequence than the one it is sent.
const RESENDS_MAX: u32 = 3;

/// What went wrong in a row, and how long to wait before the next try.
#[derive(Debug, Default)]
struct Tries {
    cuts: u32,
    silences: u32,
    tokens: u32,
}

impl Tries {
    /// Something got through.
    fn reset(&mut self) {
        *self = Tries::default();
    }

    /// Makes the session usable again after a failure, or gives the failure back.
    async fn mend(
        &mut self,
        session: &mut Session,
        server: &str,
        failure: Failure,
    ) -> Result<(), ClientError> {
        let silent = matches!(failure, Failure::Silent(_));
        match failure {
            Failure::Final(error) | Failure::TooMuch(error) => Err(error),
            Failure::Silent(cause) if self.silences + 1 >= SILENCES_MAX => Err(unreachable(server, cause)),
            Failure::TokenRefused(error) if self.tokens > 0 => Err(error),
            Failure::TokenRefused(_) => {
                self.tokens += 1;
                session.forget_token();
                Ok(())
            }
            Failure::Cut(cause) | Failure::Silent(cause) => {
                self.silences += u32::from(silent);
                let mut last = unreachable(server, cause);
                while self.cuts < TRIES_MAX {
                    self.cuts += 1;
                    tracing::info!(%last, attempt = self.cuts, "the connection broke; trying again");
                    wait(self.cuts).await;
                    match session.reopen().await {
                        Ok(()) => return Ok(()),
                        Err(error @ ClientError::Unreachable(_)) => last = error,
                        Err(error) => return Err(error),
                    }
                }
                Err(last)
            }
        }
    }
}

/// Twice as long each time, and never in step with others.
async fn wait(attempt: u32) {
    let jitter = random::<1>().map_or(0, |[byte]| u64::from(byte));
    let backoff = BACKOFF_MS << (attempt - 1).min(4);
    tokio::time::sleep(Duration::from_millis(backoff + jitter)).await;
}

/// Returned entries in their versions, and held commands.
type SentBack = (HashSet<(CommandKey, CommandKey)>, BTreeSet<CommandKey>);

/// How far a push has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    pub(super) next: u32,
    /// The chain before `next`.
    pub(super) chain: ChainHash,
}

impl Device {
    /// Sends what waits, in the device's order, then brings the replica up to date.
    ///
    /// A revoked device hands in what it holds and is told what became of it; a forked one is told so. Both are no errors:
    /// they are in the report's `troubles`. A revoked device that has nothing to hand in is refused.
    ///
    /// # Errors
    /// Unreachable when the server is not there or not ours (what waits stays); NotAdmitted when it does not take this
    /// device or its work; Integrity `LOG_BEHIND`, `REPLICA_DIVERGED`.
    pub async fn sync(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<SyncReport, ClientError> {
        let started = Instant::now();
        let mut session = self.connect().await?;
        let mut report = SyncReport::default();
        let before = self.sent_back();
        let exchanged = self.exchange(&mut session, &mut report, progress).await;
        // Also after a failure: what did arrive counts.
        self.refresh()?;
        exchanged?;
        if report.pushed == 0 && self.is_revoked() {
            return Err(ClientError::NotAdmitted(self.revoked()));
        }
        self.tell_sent_back(&before, &mut report);
        report.troubles = self.troubles();
        report.position = self.replica.head().size;
        report.bytes_sent = session.traffic.sent();
        report.bytes_received = session.traffic.received();
        report.connect_bytes = session.connect_bytes;
        report.elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(report)
    }

    /// Goes back to where the epochs are one log and begins again, if the server says that this device's epoch has ended.
    async fn exchange(
        &mut self,
        session: &mut Session,
        report: &mut SyncReport,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), ClientError> {
        match self.exchange_in_epoch(session, report, progress).await {
            Err(error) if error.cause().code == "EPOCH_ENDED" => {
                self.leave_epoch(error.cause())?;
                self.exchange_in_epoch(session, report, progress).await
            }
            exchanged => exchanged,
        }
    }

    async fn exchange_in_epoch(
        &mut self,
        session: &mut Session,
        report: &mut SyncReport,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), ClientError> {
        let missing = self.is_replica_missing();
        if missing {
            // Without a replica we do not know what the server has of us; this is cheaper than sending it all again.
            match self.pull(session, report, None, progress).await {
                // It may still hand in what it holds.
                Err(error) if is_revoked(&error) => {}
                pulled => pulled?,
            }
        }
        if let Some(sequence) = self.other_history(missing)? {
            return self.note_forked(sequence);
        }
        let (mut cursor, mut receipts) = (self.unsent()?, Vec::new());
        let pushed = self.push(session, &mut cursor, Some(1), report, &mut receipts, progress).await;
        let exchanged = match pushed {
            Ok(head) => self.pull(session, report, head, progress).await,
            // Only the log itself tells why it lacks what this device was told that it has.
            Err(error) if error.cause().code == "LOG_BEHIND" => {
                self.pull(session, report, None, progress).await.and(Err(error))
            }
            Err(error) => Err(error),
        };
        match exchanged {
            Err(error) if error.cause().code == "LOG_BEHIND" => {
                self.note_behind(error.cause())?;
                Err(error)
            }
            Err(error) if is_revoked(&error) => self.note_revoked(receipts),
            // The server took nothing from there on, and the replica stays as it is: what it has is this copy's own.
            Err(error) if error.cause().code == "DEVICE_FORKED" => self.note_forked(cursor.next),
            Err(error) => Err(error),
            Ok(()) => self.note_well(),
        }
    }

    /// Entries of this person that stand returned, each in its version, and work of theirs that is held.
    fn sent_back(&self) -> SentBack {
        let (state, person) = (&self.view.confirmed, self.identity.person);
        let returned = state.entries.iter().filter(|e| e.author == person && e.state == EntryState::Returned);
        let held = state.held.iter().filter(|(_, held)| held.author == person && held.is_waiting());
        (returned.map(|entry| (entry.key, entry.version)).collect(), held.map(|(key, _)| *key).collect())
    }

    /// Tells what came back to this person since `before`.
    fn tell_sent_back(&self, before: &SentBack, report: &mut SyncReport) {
        let (returned, held) = self.sent_back();
        let state = &self.view.confirmed;
        let public_id = |key: CommandKey| {
            let incarnation = state.people.incarnation(key.origin);
            incarnation.map_or_else(Uuid::nil, |incarnation| entry_id(incarnation.uuid, key.sequence))
        };
        report.returned = returned.difference(&before.0).map(|(key, _)| public_id(*key)).collect();
        report.returned.sort_unstable();
        let told: HashSet<CommandKey> = report.held.iter().map(|judged| judged.key).collect();
        let new = held.difference(&before.1).filter(|key| !told.contains(key));
        let judged = new.filter_map(|key| {
            let cause = state.held.get(key)?.cause.clone();
            Some(Judged { key: *key, entry_id: public_id(*key), cause })
        });
        report.newly_held = judged.collect();
    }

    /// Sends commands that need the server's answer, after what was waiting, and brings the replica up to date.
    ///
    /// Nothing is queued unless the server was reached and knows this device. Answers one receipt a command, in order.
    ///
    /// # Errors
    /// As [`Device::sync`]; NotAdmitted `COMMAND_TOO_LARGE`; Unreachable `OUTCOME_UNKNOWN` when the connection broke after
    /// the commands were queued: the next sync settles it.
    pub async fn submit(
        &mut self,
        commands: Vec<(Command, Texts)>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Receipt>, ClientError> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let mut leaves = Vec::with_capacity(commands.len());
        for (command, texts) in &commands {
            let leaf = command_leaf(command, self.now(), texts, random()?);
            check_size(&leaf)?;
            leaves.push(leaf);
        }
        if self.is_revoked() {
            return Err(ClientError::NotAdmitted(self.revoked()));
        }
        let mut session = self.connect().await?;
        let prepared = self.prepare(&mut session, progress).await;
        self.note_trouble(prepared.as_ref().err(), Vec::new())?;
        self.refresh()?;
        let mut cursor = prepared?;
        let first = self.outbox.append(&leaves)?;
        assert_eq!(first, cursor.next, "BUG: something waits that was not sent");
        let mut receipts = Vec::with_capacity(leaves.len());
        let mut report = SyncReport::default();
        let pushed =
            self.push(&mut session, &mut cursor, Some(first), &mut report, &mut receipts, progress).await;
        let pulled = match &pushed {
            Ok(head) => self.pull(&mut session, &mut report, *head, progress).await,
            Err(_) => Ok(()),
        };
        let trouble = pushed.as_ref().err().or(pulled.as_ref().err());
        self.note_trouble(trouble, receipts.clone())?;
        self.refresh()?;
        pushed.map_err(|error| self.unknown_outcome(error, first))?;
        match pulled {
            // The receipts are at hand; the replica catches up with the next sync.
            Err(error @ ClientError::Unreachable(_)) => {
                tracing::warn!(%error, "done, but the replica is not up to date")
            }
            pulled => pulled?,
        }
        match receipts.len() == leaves.len() {
            true => Ok(receipts),
            false => {
                Err(self.unknown_outcome(bad_answer("the receipts are not those of the commands"), first))
            }
        }
    }

    /// Proves this device and sends what was waiting, so that what comes next is first in line.
    async fn prepare(
        &mut self,
        session: &mut Session,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Cursor, ClientError> {
        let report = &mut SyncReport::default();
        let missing = self.is_replica_missing();
        if missing || self.unsent()?.next > self.outbox.last() {
            self.pull(session, report, None, progress).await?;
        }
        self.check_feed()?;
        if let Some(sequence) = self.other_history(missing)? {
            return Err(self.forked(sequence));
        }
        let mut cursor = self.unsent()?;
        self.push(session, &mut cursor, None, report, &mut Vec::new(), progress).await?;
        Ok(cursor)
    }

    fn unknown_outcome(&self, error: ClientError, first: u32) -> ClientError {
        let cause = match error {
            ClientError::Unreachable(cause) | ClientError::Failed(cause) => cause,
            other => return other,
        };
        let unknown = Rejected::new("OUTCOME_UNKNOWN").with("first_sequence", first).with("cause", cause);
        ClientError::Unreachable(unknown)
    }

    pub(super) async fn connect(&self) -> Result<Session, ClientError> {
        self.check_key()?;
        let authority = self.home.read_authority(self.identity.authority_sha256)?;
        let credentials =
            Credentials { key: self.key.clone(), office: self.identity.office, device: self.identity.device };
        Session::open(&self.identity.server, &authority, Some(credentials)).await
    }

    /// Where the next push begins, as far as the replica proves and the receipts that were kept say.
    pub(super) fn unsent(&self) -> Result<Cursor, ClientError> {
        let known = self.replica.known();
        let first = known.sequence + 1;
        let handed_in = (first..).take_while(|sequence| self.standing.handed_in(*sequence).is_some()).last();
        match handed_in {
            None => Ok(Cursor { next: first, chain: known.chain }),
            Some(last) => {
                let chain = self.outbox.chain_before(last + 1, first, known.chain)?;
                Ok(Cursor { next: last + 1, chain })
            }
        }
    }

    fn forked(&self, sequence: u32) -> ClientError {
        let cause = Rejected::new("DEVICE_FORKED").with("sequence", sequence);
        ClientError::NotAdmitted(cause.with("unsent", self.outbox.last().saturating_sub(sequence - 1)))
    }

    /// Sends the feed from the cursor to its end and moves the cursor there. Collects the receipts from a sequence on, if
    /// one is given. Answers the head of the server's log, if anything was sent.
    async fn push(
        &mut self,
        session: &mut Session,
        cursor: &mut Cursor,
        collect_from: Option<u32>,
        report: &mut SyncReport,
        receipts: &mut Vec<Receipt>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Option<u64>, ClientError> {
        let last = self.outbox.last();
        let total = u64::from((last + 1).saturating_sub(cursor.next));
        let (mut tries, mut resends, mut head) = (Tries::default(), 0, None);
        let mut limits = self.limits(cursor.next)?;
        while cursor.next <= last {
            let batch = self.outbox.batch(cursor.next, last, cursor.chain, limits)?;
            assert!(!batch.commands.is_empty(), "BUG: the feed has no command {}", cursor.next);
            let response = match self.push_batch(session, &batch).await {
                Ok(response) => response,
                Err(Failure::Final(error)) if is_revoked(&error) && batch.commands.len() > 1 => {
                    // A revoked device may hand in so many commands and no more; how many are left is tried.
                    limits.commands = batch.commands.len() / 2;
                    continue;
                }
                Err(Failure::Final(error)) if error.cause().code == "DEVICE_FORKED" => {
                    return Err(self.forked(cursor.next));
                }
                Err(failure) => {
                    let failure = match failure {
                        Failure::Silent(cause) if batch.bytes() > SLOW_BYTES => Failure::Cut(cause),
                        failure => failure,
                    };
                    let smaller = limits.smaller();
                    let cut = matches!(failure, Failure::Cut(_) | Failure::Silent(_));
                    let too_much = matches!(failure, Failure::TooMuch(_));
                    if cut || too_much {
                        limits = smaller.unwrap_or(limits);
                    }
                    if !(too_much && smaller.is_some()) {
                        tries.mend(session, &self.identity.server, failure).await?;
                    }
                    continue;
                }
            };
            tries.reset();
            self.met_server(response.server_time_us);
            if response.receipts.is_empty() {
                resends += 1;
                if resends > RESENDS_MAX || response.next_sequence == cursor.next {
                    return Err(bad_answer("the server took nothing and does not say why"));
                }
                *cursor = self.asked_for(response.next_sequence)?;
                continue;
            }
            head = Some(response.position);
            self.take_receipts(&batch, response.receipts, collect_from, report, receipts)?;
            *cursor = Cursor { next: batch.last() + 1, chain: batch.chain };
            limits = limits.larger();
            progress(Progress::Pushed { done: total - u64::from(last - batch.last()).min(total), total });
        }
        Ok(head)
    }

    /// How much one push may carry. What an ended epoch says of commands travels with them.
    pub(super) fn limits(&self, first: u32) -> Result<Limits, ClientError> {
        Ok(match self.offers_again(first)? {
            true => Limits { commands: OFFERED_MAX, ..Limits::MAX },
            false => Limits::MAX,
        })
    }

    async fn push_batch(&self, session: &mut Session, batch: &Batch) -> Result<wire::PushResponse, Failure> {
        let request = wire::PushRequest { checkpoint: self.held_note(), ..self.signed(batch)? };
        let request = session.request(request)?;
        let mut client = client(session);
        let response = session.guard(client.push(request)).await?;
        session.answered(response.metadata());
        Ok(response.into_inner())
    }

    /// The server expects another command than the one it was sent: go there, if it is one of ours that it may lack.
    fn asked_for(&self, next: u32) -> Result<Cursor, ClientError> {
        let known = self.replica.known();
        if next <= known.sequence {
            let cause = Rejected::new("LOG_BEHIND").with("here", next.saturating_sub(1));
            return Err(ClientError::Integrity(cause.with("seen", known.sequence)));
        }
        if next > self.outbox.last() + 1 {
            return Err(self.forked(known.sequence + 1));
        }
        let chain = self.outbox.chain_before(next, known.sequence + 1, known.chain)?;
        Ok(Cursor { next, chain })
    }

    fn take_receipts(
        &self,
        batch: &Batch,
        answered: Vec<wire::Receipt>,
        collect_from: Option<u32>,
        report: &mut SyncReport,
        receipts: &mut Vec<Receipt>,
    ) -> Result<(), ClientError> {
        let in_order = (batch.first..=u32::MAX).zip(&answered).all(|(sequence, r)| r.sequence == sequence);
        if answered.len() != batch.commands.len() || !in_order {
            return Err(bad_answer("the receipts are not those of the commands"));
        }
        for answer in answered {
            let receipt = self.receipt(answer)?;
            let judged = |cause: &Rejection| Judged {
                key: receipt.key,
                entry_id: entry_id(self.identity.incarnation, receipt.key.sequence),
                cause: cause.clone(),
            };
            report.pushed += 1;
            match &receipt.outcome {
                _ if receipt.duplicate => report.duplicate += 1,
                ReceiptOutcome::Recorded => report.recorded += 1,
                ReceiptOutcome::Held(cause) => report.held.push(judged(cause)),
                ReceiptOutcome::Refused(cause) => report.refused.push(judged(cause)),
            }
            if collect_from.is_some_and(|from| receipt.key.sequence >= from) {
                receipts.push(receipt);
            }
        }
        Ok(())
    }

    fn receipt(&self, answer: wire::Receipt) -> Result<Receipt, ClientError> {
        let key = CommandKey::new(self.identity.origin, answer.sequence);
        let outcome = match (answer.verdict(), answer.cause) {
            (Verdict::Recorded, _) => ReceiptOutcome::Recorded,
            (Verdict::Held, Some(cause)) => ReceiptOutcome::Held(rejection_from(cause)),
            (Verdict::Refused, Some(cause)) => ReceiptOutcome::Refused(rejection_from(cause)),
            _ => return Err(bad_answer("a receipt without a verdict or its cause")),
        };
        Ok(Receipt { key, position: answer.position, outcome, duplicate: answer.duplicate })
    }

    /// Brings the replica up to date. `head` is where the server's log is known to reach, for the progress.
    pub(super) async fn pull(
        &mut self,
        session: &mut Session,
        report: &mut SyncReport,
        head: Option<u64>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), ClientError> {
        let from = self.replica.head().size;
        let total = head.map(|head| head.saturating_sub(from));
        let mut tries = Tries::default();
        loop {
            let before = self.replica.head().size;
            let mut arrived = |head: u64| progress(Progress::Pulled { done: head - from, total });
            let pulled = self.pull_once(session, &mut arrived).await;
            let after = self.replica.head().size;
            report.pulled += after - before;
            let Err(failure) = pulled else { return Ok(()) };
            if after > before {
                tries.reset();
            }
            tries.mend(session, &self.identity.server, failure).await?;
        }
    }

    async fn pull_once(
        &mut self,
        session: &mut Session,
        arrived: &mut dyn FnMut(u64),
    ) -> Result<(), Failure> {
        let head = self.replica.head();
        let request = session.request(wire::PullRequest {
            epoch: head.epoch,
            position: head.size,
            root: head.root.to_vec(),
            directory_digest: self.directory.digest().to_vec(),
            checkpoint: self.held_note(),
        })?;
        let mut client = client(session);
        let response = session.guard(client.pull(request)).await?;
        session.answered(response.metadata());
        let mut pages = response.into_inner();
        let (mut records, mut digest, mut offered) = (0u64, Sha256::new(), None);
        while let Some(page) = session.guard(pages.message()).await? {
            match page.page {
                Some(Page::Checkpoint(page)) => offered = Some(self.offered(&page)?),
                Some(Page::Commit(commit)) => {
                    let last = commit.first.saturating_sub(1).saturating_add(commit.records.len() as u64);
                    offered
                        .iter()
                        .try_for_each(|offered: &Offered| offered.agrees_with(last, &commit.root_after))?;
                    records += commit.records.len() as u64;
                    commit.records.iter().for_each(|record| digest.update(&record.leaf));
                    self.replica.append(commit, &mut self.view.confirmed)?;
                    arrived(self.replica.head().size);
                }
                Some(Page::Directory(page)) => {
                    let directory = Directory::from_page(page);
                    self.home.write_directory(&directory)?;
                    self.directory = directory;
                }
                Some(Page::End(end)) => {
                    self.check_end(&end, records, &digest.finalize())?;
                    self.keep(offered)?;
                    self.replica.after_fold(&mut self.view.confirmed);
                    self.met_server(end.server_time_us);
                    return Ok(());
                }
                // A page of a kind that a newer server sends, and that this release can do without.
                None => {}
            }
        }
        // The end of the stream is never taken for success.
        Err(Failure::Cut("the stream ended without its end".to_owned()))
    }

    fn check_end(&self, end: &wire::PullEnd, records: u64, digest: &[u8]) -> Result<(), ClientError> {
        let head = self.replica.head();
        let cause = match end {
            _ if end.records != records => "the server sent another number of records than it says",
            _ if end.digest != digest => "the server sent other records than it says",
            _ if end.position != head.size || end.root != head.root => {
                "the replica does not end where the log does"
            }
            _ => return Ok(()),
        };
        Err(diverged(head.size, cause))
    }

    /// Notes that the server answered, and how far the clocks are apart.
    fn met_server(&mut self, server_time_us: i64) {
        let now = self.now();
        let skew_ms = now.0.saturating_sub(server_time_us) / 1_000;
        self.contact = Contact { last_contact: Some(Timestamp(now.0)), skew_ms: Some(skew_ms) };
        self.home.write_contact(self.contact);
    }

    /// The first pull of a device that was just enrolled.
    pub(super) async fn first_pull(&mut self) -> Result<(), ClientError> {
        let mut session = self.connect().await?;
        let pulled = self.pull(&mut session, &mut SyncReport::default(), None, &mut |_| {}).await;
        self.refresh()?;
        pulled
    }
}

pub(super) fn client(session: &Session) -> SyncClient<Channel> {
    SyncClient::new(session.channel()).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

pub(super) fn bad_answer(cause: &str) -> ClientError {
    ClientError::Failed(Rejected::new("BAD_ANSWER").with("cause", cause))
}
