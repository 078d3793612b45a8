//! The one writer of an office. It drains its queue, decides every command against the working state, appends all that was
//! decided as one commit with one fsync, and answers. While the fsync runs, the next batch gathers in the queue.

mod epochs;

use std::sync::{Arc, PoisonError};

use renaksi_domain::command::{Command, Record};
use renaksi_domain::epoch::BeginEpoch;
use renaksi_domain::hash::state_hash;
use renaksi_domain::ids::{CommandKey, Origin, PersonId};
use renaksi_domain::people::PeopleCommand;
use renaksi_domain::quarter::{due_by_itself, next_due};
use renaksi_domain::time::Timestamp;
use renaksi_domain::{Code, Envelope, Outcome, RULES_VERSION, Rejection, State, decide};
use renaksi_ledger::{Entry, LEAF_BYTES_MAX, Log};
use renaksi_proto::convert::{command_leaf, encode_record};
use renaksi_proto::fold::Fold;
use renaksi_proto::{log, wire};
use tokio::sync::oneshot;

use crate::alarm::Alarm;
use crate::behind::Gap;
use crate::damage::Damage;
use crate::office::Shared;
use crate::office_index::{Run, push_run};
use crate::push::{self, Push};
use crate::receipts::{first_receipts, forked};
use crate::status::Fault;
use crate::unindexed::Unindexed;

/// Records gathered into one commit, after which no further job joins it.
const COMMIT_RECORDS_MAX: usize = 20_000;
/// Bytes of one commit at most. A push that is longer becomes several commits, split between commands.
const COMMIT_BYTES_MAX: usize = 8 << 20;
/// Records after which a snapshot is taken while running.
const SNAPSHOT_EVERY: u64 = 50_000;
/// Commands that a device may still hand in after it was revoked.
const AFTER_REVOCATION_MAX: usize = 1_000;

/// What the server itself records: people, enrolments. Made from the state at the moment it is decided.
pub type HostAct = Box<dyn FnOnce(&State) -> Vec<PeopleCommand> + Send>;

/// Something to write, with where to answer.
pub enum Job {
    Push(Push, oneshot::Sender<Result<PushAnswer, Fault>>),
    Host(HostAct, oneshot::Sender<Result<Vec<Record>, HostError>>),
    /// Begins a new epoch, for a reason.
    Epoch(String, oneshot::Sender<Result<BeginEpoch, HostError>>),
    /// Something may be due by itself.
    Due,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Job::Push(..) => "Job::Push",
            Job::Host(..) => "Job::Host",
            Job::Epoch(..) => "Job::Epoch",
            Job::Due => "Job::Due",
        })
    }
}

/// Why a host's act was not recorded.
#[derive(Clone, Debug)]
pub enum HostError {
    Refused(Rejection),
    NotDurable(NotDurable),
    /// The log lacks what its key signed.
    Behind(Box<Gap>),
    /// The log is damaged.
    Damaged(Damage),
}

impl From<Gap> for HostError {
    fn from(gap: Gap) -> HostError {
        HostError::Behind(Box::new(gap))
    }
}

/// Why what was decided is not in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDurable {
    /// The disk failed, or the office is stopping. What was decided last may be in the log or not.
    Stopped,
    /// The log does not take such a commit. Nothing was written, and the office goes on.
    NotTaken,
}

impl From<NotDurable> for Fault {
    fn from(cause: NotDurable) -> Fault {
        match cause {
            NotDurable::Stopped => Fault::stopped(),
            NotDurable::NotTaken => Fault::failed(),
        }
    }
}

/// What a push is answered.
#[derive(Clone, Debug, Default)]
pub struct PushAnswer {
    pub next_sequence: u32,
    pub receipts: Vec<wire::Receipt>,
    pub position: u64,
}

/// The writer's own things. Only this thread touches the log.
#[derive(Debug)]
pub struct Writer {
    log: Log,
    shared: Arc<Shared>,
    unindexed: Unindexed,
    /// Learns with each commit when something will be due by itself.
    alarm: Alarm,
    /// Position of the last snapshot; 0 without one.
    snapshot_at: u64,
    /// The hash that the state must have before anything is decided on it.
    unproved: Option<[u8; 32]>,
}

type Answer = Box<dyn FnOnce(Result<u64, NotDurable>) + Send>;

/// What was decided and is not yet durable.
#[derive(Default)]
struct Batch {
    /// Of the first entry.
    first_position: Option<u64>,
    entries: Vec<Entry>,
    bytes: usize,
    runs: Vec<Run>,
    people_changed: bool,
    answers: Vec<Answer>,
    /// A part of this drain is durable already, because it grew too long for one commit.
    split: bool,
}

/// Stops the office when its writer panics: the working state may then be of a record that is nowhere.
struct StopOnPanic(Arc<Shared>);

impl Drop for StopOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}

impl Writer {
    /// A writer at the log's head.
    pub fn new(
        log: Log,
        shared: Arc<Shared>,
        unindexed: Unindexed,
        alarm: Alarm,
        snapshot_at: u64,
        unproved: Option<[u8; 32]>,
    ) -> Writer {
        Writer { log, shared, unindexed, alarm, snapshot_at, unproved }
    }

    /// Writes until every sender of jobs is gone, then closes the log and leaves a snapshot.
    ///
    /// If it panics, callers of queued jobs learn that the office stopped, because the queue goes with it.
    pub fn run(mut self, mut jobs: tokio::sync::mpsc::Receiver<Job>) {
        // Dropped before the queue: whoever finds the queue gone finds the office stopped.
        let _stop = StopOnPanic(Arc::clone(&self.shared));
        self.prove_start();
        if !self.shared.is_stopped() {
            self.begin();
        }
        while let Some(first) = jobs.blocking_recv() {
            if let Some(stop) = self.shared.why_stopped() {
                refuse(first, stop);
                continue;
            }
            self.drain(first, &mut jobs);
            if self.log.head().size - self.snapshot_at >= SNAPSHOT_EVERY {
                self.snapshot_at = self.log.head().size;
                self.shared.snapshot();
            }
        }
        let Writer { log, shared, unindexed, snapshot_at, .. } = self;
        drop(unindexed);
        match log.close() {
            Ok(()) => tracing::info!(position = shared.reader.head().size, "log closed"),
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "log not closed cleanly"),
        }
        if shared.reader.head().size > snapshot_at {
            // If we crash before it is there, the next opening folds more.
            shared.snapshot();
        }
    }

    /// Makes sure that the state the office began with is the one that was kept; where it is not, it is folded anew.
    fn prove_start(&mut self) {
        let Some(hash) = self.unproved.take() else { return };
        let kept = self.shared.fold.read().map(|fold| state_hash(&fold.state) == hash);
        if kept.unwrap_or(false) {
            return;
        }
        tracing::warn!(
            "the snapshot that the office began with is not the state it names; the log is folded anew"
        );
        match self.shared.fold_from_zero() {
            Ok(fold) => {
                self.shared.publish_people(&fold.state);
                *self.shared.fold.write().unwrap_or_else(PoisonError::into_inner) = fold;
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the log cannot be folded anew");
                self.shared.stop();
            }
        }
    }

    /// What comes before everything else: the rules of this release, where an earlier one decided the log until now, and
    /// what became due while nobody served the office.
    fn begin(&mut self) {
        let mut batch = Batch::default();
        let shared = Arc::clone(&self.shared);
        let mut fold = shared.fold.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(beginning) = self.shared.mark.beginning() {
            // A crash came between the operator's word and the record. It has stopped the office and said so if it fails.
            let _ = self.enter_epoch(&mut fold, &mut batch, &beginning);
        }
        if self.shared.is_stopped() || self.shared.gap().is_some() {
            return;
        }
        let now = self.now(&fold);
        let adopted = match fold.state.office.is_some() && fold.state.rules < RULES_VERSION {
            true => self.own_act(&mut fold, &mut batch, adopt_rules(), now).map(|_| ()),
            false => Ok(()),
        };
        // A failed append has stopped the office and said so.
        let _ = adopted
            .and_then(|()| self.what_is_due(&mut fold, &mut batch, now))
            .and_then(|()| self.commit(&mut fold, &mut batch));
    }

    fn drain(&mut self, first: Job, jobs: &mut tokio::sync::mpsc::Receiver<Job>) {
        let mut batch = Batch::default();
        let shared = Arc::clone(&self.shared);
        // Held until the batch is durable: nobody reads a state that a crash could take back.
        let mut fold = shared.fold.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = Some(first);
        while let Some(job) = next {
            match (self.shared.gap(), job) {
                (_, Job::Epoch(reason, answer)) => {
                    let _ = answer.send(self.begin_epoch(&mut fold, &mut batch, reason));
                }
                (Some(gap), job) => refuse(job, gap),
                (None, Job::Push(push, answer)) => self.push(&mut fold, &mut batch, push, answer),
                (None, Job::Host(act, answer)) => self.host(&mut fold, &mut batch, act, answer),
                (None, Job::Due) => {
                    let now = self.now(&fold);
                    let _ = self.what_is_due(&mut fold, &mut batch, now);
                }
            }
            // After a split nothing more joins, or a steady stream would keep readers from the state for ever.
            let full = batch.split
                || batch.entries.len() >= COMMIT_RECORDS_MAX
                || batch.bytes >= COMMIT_BYTES_MAX
                || shared.is_stopped();
            next = if full { None } else { jobs.try_recv().ok() };
        }
        // What went wrong was told to everyone whom it concerns.
        let _ = self.commit(&mut fold, &mut batch);
    }

    /// Makes durable what the batch has gathered, and answers it. The batch is then empty and may gather on.
    fn commit(&mut self, fold: &mut Fold, batch: &mut Batch) -> Result<(), NotDurable> {
        let Batch { entries, runs, people_changed, answers, .. } = std::mem::take(batch);
        if !entries.is_empty() {
            self.alarm.before(next_due(&fold.state));
            // If we crash inside: nothing of it was answered; what of it is whole on disk is kept at the next start.
            let appended = self.log.append(&entries);
            let head = match appended {
                Ok(head) => head,
                Err(error) => {
                    let cause = self.not_durable(fold, &error);
                    if cause == NotDurable::NotTaken {
                        // What was due may have been taken back with the rest.
                        self.alarm.after(next_due(&fold.state));
                    }
                    answers.into_iter().for_each(|answer| answer(Err(cause)));
                    return Err(cause);
                }
            };
            if people_changed {
                self.shared.publish_people(&fold.state);
            }
            // The index may lag or be lost.
            self.unindexed.commit(head.size - entries.len() as u64, runs, head);
        }
        self.alarm.after(next_due(&fold.state));
        let position = self.log.head().size;
        answers.into_iter().for_each(|answer| answer(Ok(position)));
        Ok(())
    }

    /// After a failed append the working state is ahead of the log. Where nothing was written it goes back to what the
    /// log says; where the disk failed nobody knows what is there, and the office stops.
    fn not_durable(&self, fold: &mut Fold, error: &renaksi_ledger::Error) -> NotDurable {
        use renaksi_ledger::Error as E;
        tracing::error!(error = error as &dyn std::error::Error, "a commit failed");
        if matches!(error, E::EmptyCommit | E::LeafTooLarge { .. } | E::CommitTooLarge { .. }) {
            match self.shared.durable_fold() {
                Ok(durable) => {
                    *fold = durable;
                    return NotDurable::NotTaken;
                }
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the log cannot be folded anew"
                    );
                }
            }
        }
        tracing::error!("the office stops taking writes");
        self.shared.stop();
        NotDurable::Stopped
    }

    fn push(
        &mut self,
        fold: &mut Fold,
        batch: &mut Batch,
        push: Push,
        answer: oneshot::Sender<Result<PushAnswer, Fault>>,
    ) {
        let span = tracing::info_span!(
            "push",
            office = %self.shared.id.office,
            device = fold.state.people.incarnation(push.origin).map_or(0, |known| known.device.0),
            origin = push.origin.0,
            first = push.first_sequence,
            commands = push.commands.len()
        );
        let _entered = span.enter();
        match self.decide_push(fold, batch, push) {
            Ok(mut reply) => batch.answers.push(Box::new(move |durable| {
                let _ = answer.send(match durable {
                    Ok(position) => {
                        reply.position = position;
                        Ok(reply)
                    }
                    Err(cause) => Err(cause.into()),
                });
            })),
            Err(fault) => {
                tracing::warn!(code = fault.code(), "push refused whole");
                // A device that hung up needs no answer.
                let _ = answer.send(Err(fault));
            }
        }
    }

    fn decide_push(&mut self, fold: &mut Fold, batch: &mut Batch, push: Push) -> Result<PushAnswer, Fault> {
        let last =
            fold.state.people.incarnation(push.origin).map_or(0, |incarnation| incarnation.last_sequence);
        if push.first_sequence > last + 1 {
            return Ok(PushAnswer { next_sequence: last + 1, ..PushAnswer::default() });
        }
        let known = push.commands.len().min((last + 1 - push.first_sequence) as usize);
        let fresh = push.commands.len() - known;
        same_history(fold, &push, last)?;
        within_what_a_revoked_device_may(&fold.state, push.origin, fresh)?;
        let gathered: &Batch = batch;
        let in_batch = |key| gathered.leaf_of(key);
        let mut receipts = first_receipts(&self.shared, &self.unindexed, &push.commands[..known], in_batch)?;
        let now = self.now(fold);
        self.what_is_due(fold, batch, now)?;
        let end = push.end();
        for (index, command) in push.commands.into_iter().skip(known).enumerate() {
            let on_last = (index + 1 == fresh).then_some((push.signature.as_slice(), push.skew_ms));
            let sequence = command.envelope.sequence;
            // If this fails half way, what is durable of the push is answered as known when it comes again.
            let record = self.record(fold, batch, command, push.carrier, now, on_last)?;
            receipts.push(push::receipt(sequence, &record, false));
        }
        Ok(PushAnswer { next_sequence: end.max(last + 1), receipts, position: 0 })
    }

    /// Decides one command, applies it to the working state and puts its record into the batch. Where the batch would
    /// grow too long, what it has becomes durable first.
    fn record(
        &mut self,
        fold: &mut Fold,
        batch: &mut Batch,
        command: push::Command,
        carrier: Option<PersonId>,
        now: Timestamp,
        signed: Option<(&[u8], i64)>,
    ) -> Result<Record, NotDurable> {
        let outcome = decide(&fold.state, &command.envelope, now);
        let position = fold.state.position + 1;
        let mut record = Record { position, time: now, carrier, envelope: command.envelope, outcome };
        let (signature, skew_ms) = signed.unzip();
        let mut leaf = encode_record(&record, &command.leaf, signature, skew_ms);
        if leaf.len() > LEAF_BYTES_MAX {
            // What was decided repeats the command's texts. Without details it fits: `push` limits the command itself.
            record.outcome = Outcome::Refused(Rejection::new(Code::TooLarge));
            leaf = encode_record(&record, &command.leaf, signature, skew_ms);
        }
        let bytes = leaf.len() + command.aside.len();
        if !batch.entries.is_empty() && batch.bytes + bytes > COMMIT_BYTES_MAX {
            // Before the record is applied: the state that readers may see is then exactly what is durable.
            self.commit(fold, batch)?;
            batch.split = true;
        }
        fold.absorb_decoded(&record, &command.leaf);
        push_run(&mut batch.runs, record.envelope.key(), record.position);
        batch.first_position.get_or_insert(record.position);
        batch.bytes += bytes;
        batch.people_changed |= matches!(record.envelope.command, Command::People(_));
        batch.entries.push(Entry { leaf, aside: command.aside });
        Ok(record)
    }

    fn host(
        &mut self,
        fold: &mut Fold,
        batch: &mut Batch,
        act: HostAct,
        answer: oneshot::Sender<Result<Vec<Record>, HostError>>,
    ) {
        let now = self.now(fold);
        if let Err(cause) = self.what_is_due(fold, batch, now) {
            let _ = answer.send(Err(HostError::NotDurable(cause)));
            return;
        }
        let commands = act(&fold.state);
        let mut records = Vec::with_capacity(commands.len());
        let mut refused = None;
        for command in commands {
            let record = match self.own_act(fold, batch, Command::People(command), now) {
                Ok(record) => record,
                Err(cause) => {
                    let _ = answer.send(Err(HostError::NotDurable(cause)));
                    return;
                }
            };
            if let Outcome::Refused(cause) = &record.outcome {
                refused = Some(cause.clone());
                break;
            }
            records.push(record);
        }
        batch.answers.push(Box::new(move |durable| {
            let _ = answer.send(match (durable, refused) {
                (Err(cause), _) => Err(HostError::NotDurable(cause)),
                (Ok(_), Some(cause)) => Err(HostError::Refused(cause)),
                (Ok(_), None) => Ok(records),
            });
        }));
    }

    /// Records one act of the server itself, which no device signed.
    fn own_act(
        &mut self,
        fold: &mut Fold,
        batch: &mut Batch,
        command: Command,
        now: Timestamp,
    ) -> Result<Record, NotDurable> {
        let stored = command_leaf(&command, now, &log::Texts::default(), [0; 16]);
        let envelope = host_envelope(command, now);
        let command = push::Command { leaf: stored.leaf, aside: stored.aside, envelope, chain: [0; 32] };
        self.record(fold, batch, command, None, now, None)
    }

    /// Records what is due by itself, in the order of its times, before anything else is decided at that time.
    fn what_is_due(&mut self, fold: &mut Fold, batch: &mut Batch, now: Timestamp) -> Result<(), NotDurable> {
        while let Some(command) = due_by_itself(&fold.state, now) {
            tracing::info!(?command, "due by itself");
            let record = self.own_act(fold, batch, Command::Quarter(command), now)?;
            assert!(
                matches!(record.outcome, Outcome::Recorded(_)),
                "BUG: the rules refuse what they call due"
            );
        }
        Ok(())
    }

    /// The server's time, which never runs backwards within an office.
    fn now(&self, fold: &Fold) -> Timestamp {
        self.shared.clock.now().max(fold.state.time)
    }
}

/// The chain over what the log already holds of the push must be the log's own, else the device has forked. Where the
/// push ends before the log does, each command is compared with its record instead.
fn same_history(fold: &Fold, push: &Push, last: u32) -> Result<(), Fault> {
    let held = fold.chain(push.origin).ok_or_else(|| Fault::invalid("UNKNOWN_ORIGIN"))?;
    let claimed = match (last + 1 - push.first_sequence).checked_sub(1) {
        None => Some(&push.previous_chain),
        Some(index) => push.commands.get(index as usize).map(|command| &command.chain),
    };
    match claimed {
        Some(claimed) if claimed != held => Err(forked(CommandKey::new(push.origin, push.first_sequence))),
        _ => Ok(()),
    }
}

/// A revoked device hands in what it still held, not work without end.
fn within_what_a_revoked_device_may(state: &State, origin: Origin, fresh: usize) -> Result<(), Fault> {
    match state.people.device_of(origin).filter(|device| device.revoked.is_some()) {
        Some(device) if device.after_revocation as usize + fresh > AFTER_REVOCATION_MAX => {
            Err(Fault::denied("DEVICE_REVOKED")
                .with("origin", origin)
                .with("commands_max", AFTER_REVOCATION_MAX))
        }
        _ => Ok(()),
    }
}

impl Batch {
    /// The record of a command that was decided in this very batch.
    fn leaf_of(&self, key: CommandKey) -> Option<&[u8]> {
        let run = self.runs.iter().find(|run| run.holds(key))?;
        let position = run.first_position + u64::from(key.sequence - run.first_sequence);
        let index = usize::try_from(position.checked_sub(self.first_position?)?).ok()?;
        self.entries.get(index).map(|entry| entry.leaf.as_slice())
    }
}

/// Answers a job that cannot be done: the office has stopped, or its log is behind.
fn refuse(job: Job, cause: impl Into<Fault> + Into<HostError>) {
    match job {
        Job::Push(_, answer) => {
            let _ = answer.send(Err(cause.into()));
        }
        Job::Host(_, answer) => {
            let _ = answer.send(Err(cause.into()));
        }
        Job::Epoch(_, answer) => {
            let _ = answer.send(Err(cause.into()));
        }
        Job::Due => {}
    }
}

/// What the server asks itself.
fn host_envelope(command: Command, now: Timestamp) -> Envelope {
    Envelope {
        origin: Origin::HOST,
        sequence: 0,
        author: PersonId(0),
        made_at: now,
        has_reason: false,
        restored: None,
        command,
    }
}

fn adopt_rules() -> Command {
    Command::People(PeopleCommand::AdoptRules(RULES_VERSION))
}
