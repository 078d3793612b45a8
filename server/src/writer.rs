//! The one writer of an office. It drains its queue, decides every command against the working state, appends all that was
//! decided as one commit with one fsync, and answers. While the fsync runs, the next batch gathers in the queue.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;

use renaksi_domain::command::{Command, Record};
use renaksi_domain::ids::{CommandKey, Origin, PersonId};
use renaksi_domain::people::PeopleCommand;
use renaksi_domain::time::Timestamp;
use renaksi_domain::{Envelope, Outcome, Rejection, State, decide};
use renaksi_ledger::{Entry, Head, Log};
use renaksi_proto::convert::{command_leaf, decode_record, encode_record};
use renaksi_proto::fold::Fold;
use renaksi_proto::{log, wire};
use tokio::sync::oneshot;

use crate::office::Shared;
use crate::office_index::{Run, push_run};
use crate::push::{self, Push};
use crate::status::Fault;

/// Records gathered into one commit at most.
const COMMIT_RECORDS_MAX: usize = 20_000;
/// Bytes gathered into one commit at most; a push is never split.
const COMMIT_BYTES_MAX: usize = 8 << 20;

/// What the server itself records: people, enrolments. Made from the state at the moment it is decided.
pub type HostAct = Box<dyn FnOnce(&State) -> Vec<PeopleCommand> + Send>;

/// Something to write, with where to answer.
pub enum Job {
    Push(Push, oneshot::Sender<Result<PushAnswer, Fault>>),
    Host(HostAct, oneshot::Sender<Result<Vec<Record>, HostError>>),
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Job::Push(..) => "Job::Push",
            Job::Host(..) => "Job::Host",
        })
    }
}

/// Why a host's act was not recorded.
#[derive(Clone, Debug)]
pub enum HostError {
    Refused(Rejection),
    Stopped,
}

/// What a push is answered.
#[derive(Clone, Debug, Default)]
pub struct PushAnswer {
    pub next_sequence: u32,
    pub receipts: Vec<wire::Receipt>,
    pub position: u64,
}

/// Tells the index thread what became durable.
#[derive(Debug)]
pub enum Behind {
    Commit {
        head: Head,
        runs: Vec<Run>,
    },
    /// Answers once everything before it is in the index.
    Barrier(mpsc::Sender<()>),
}

/// The writer's own things. Only this thread touches the log.
#[derive(Debug)]
pub struct Writer {
    pub log: Log,
    pub shared: Arc<Shared>,
    pub behind: mpsc::Sender<Behind>,
}

type Answer = Box<dyn FnOnce(Result<u64, ()>) + Send>;

/// What one drain has decided and not yet made durable.
#[derive(Default)]
struct Batch {
    /// Of the first entry.
    first_position: Option<u64>,
    entries: Vec<Entry>,
    bytes: usize,
    runs: Vec<Run>,
    people_changed: bool,
    answers: Vec<Answer>,
}

impl Writer {
    /// Writes until every sender of jobs is gone, then closes the log.
    pub fn run(mut self, mut jobs: tokio::sync::mpsc::Receiver<Job>) {
        while let Some(first) = jobs.blocking_recv() {
            if self.shared.stopped.load(Ordering::Acquire) {
                refuse(first);
                continue;
            }
            self.drain(first, &mut jobs);
        }
        let Writer { log, shared, behind } = self;
        drop(behind);
        match log.close() {
            Ok(()) => tracing::info!(position = shared.reader.head().size, "log closed"),
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "log not closed cleanly"),
        }
    }

    fn drain(&mut self, first: Job, jobs: &mut tokio::sync::mpsc::Receiver<Job>) {
        let mut batch = Batch::default();
        let shared = Arc::clone(&self.shared);
        // Held until the batch is durable: nobody reads a state that a crash could take back.
        let mut fold = shared.fold.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Push(push, answer) => self.push(&mut fold, &mut batch, push, answer),
                Job::Host(act, answer) => self.host(&mut fold, &mut batch, act, answer),
            }
            let full = batch.entries.len() >= COMMIT_RECORDS_MAX || batch.bytes >= COMMIT_BYTES_MAX;
            next = if full { None } else { jobs.try_recv().ok() };
        }
        let durable = match batch.entries.is_empty() {
            true => Ok(None),
            // If we crash inside: nothing of it was answered; what of it is whole on disk is kept at the next start.
            false => self.log.append(&batch.entries).map(Some),
        };
        match durable {
            Ok(head) => {
                if batch.people_changed {
                    self.shared.publish_people(&fold.state);
                }
                drop(fold);
                if let Some(head) = head {
                    // The index may lag or be lost; the receiver is gone only when the server stops.
                    let _ = self.behind.send(Behind::Commit { head, runs: batch.runs });
                }
                let position = self.log.head().size;
                batch.answers.into_iter().for_each(|answer| answer(Ok(position)));
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the office stops taking writes");
                self.shared.stopped.store(true, Ordering::Release);
                batch.answers.into_iter().for_each(|answer| answer(Err(())));
            }
        }
    }

    fn push(
        &self,
        fold: &mut Fold,
        batch: &mut Batch,
        push: Push,
        answer: oneshot::Sender<Result<PushAnswer, Fault>>,
    ) {
        let span = tracing::info_span!(
            "push",
            office = %self.shared.id.office,
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
                    Err(()) => Err(Fault::stopped()),
                });
            })),
            Err(fault) => {
                tracing::warn!(code = fault.code(), "push refused whole");
                // A device that hung up needs no answer.
                let _ = answer.send(Err(fault));
            }
        }
    }

    fn decide_push(&self, fold: &mut Fold, batch: &mut Batch, push: Push) -> Result<PushAnswer, Fault> {
        let last =
            fold.state.people.incarnation(push.origin).map_or(0, |incarnation| incarnation.last_sequence);
        if push.first_sequence > last + 1 {
            return Ok(PushAnswer { next_sequence: last + 1, ..PushAnswer::default() });
        }
        let known = (last + 1 - push.first_sequence) as usize;
        same_history(fold, &push, known)?;
        let mut receipts = Vec::with_capacity(push.commands.len());
        for command in push.commands.iter().take(known) {
            receipts.push(self.first_receipt(batch, command)?);
        }
        let now = self.now(fold);
        let end = push.end();
        let fresh = push.commands.len().saturating_sub(known);
        for (index, command) in push.commands.into_iter().skip(known).enumerate() {
            let on_last = (index + 1 == fresh).then_some((push.signature.as_slice(), push.skew_ms));
            let sequence = command.envelope.sequence;
            let record = self.record(fold, batch, command, push.carrier, now, on_last);
            receipts.push(push::receipt(sequence, &record, false));
        }
        Ok(PushAnswer { next_sequence: end.max(last + 1), receipts, position: 0 })
    }

    /// Decides one command, applies it to the working state and puts its record into the batch.
    fn record(
        &self,
        fold: &mut Fold,
        batch: &mut Batch,
        command: push::Command,
        carrier: Option<PersonId>,
        now: Timestamp,
        signed: Option<(&[u8], i64)>,
    ) -> Record {
        let outcome = decide(&fold.state, &command.envelope, now);
        let record = Record {
            position: fold.state.position + 1,
            time: now,
            carrier,
            envelope: command.envelope,
            outcome,
        };
        let (signature, skew_ms) = signed.unzip();
        let leaf = encode_record(&record, &command.leaf, signature, skew_ms);
        fold.absorb_decoded(&record, &command.leaf);
        push_run(&mut batch.runs, record.envelope.key(), record.position);
        batch.first_position.get_or_insert(record.position);
        batch.bytes += leaf.len() + command.aside.len();
        batch.people_changed |= matches!(record.envelope.command, Command::People(_));
        batch.entries.push(Entry { leaf, aside: command.aside });
        record
    }

    /// The receipt that a command was given when it first arrived.
    fn first_receipt(&self, batch: &Batch, command: &push::Command) -> Result<wire::Receipt, Fault> {
        let key = command.envelope.key();
        let leaf = match in_batch(batch, key) {
            Some(leaf) => leaf.to_vec(),
            None => self.stored_leaf(key)?,
        };
        let (record, stored) = decode_record(&leaf).map_err(|error| Fault::internal(&error))?;
        match stored.command == command.leaf {
            true => Ok(push::receipt(key.sequence, &record, true)),
            false => Err(forked(key)),
        }
    }

    fn stored_leaf(&self, key: CommandKey) -> Result<Vec<u8>, Fault> {
        let position = self.shared.position_of(key, &self.behind).map_err(|error| Fault::internal(&error))?;
        let entry = position.map(|position| self.shared.reader.record(position)).transpose();
        match entry.map_err(|error| Fault::internal(&error))?.flatten() {
            Some(entry) => Ok(entry.leaf),
            None => Err(Fault::precondition("RECORD_NOT_FOUND").with("sequence", key.sequence)),
        }
    }

    fn host(
        &self,
        fold: &mut Fold,
        batch: &mut Batch,
        act: HostAct,
        answer: oneshot::Sender<Result<Vec<Record>, HostError>>,
    ) {
        let commands = act(&fold.state);
        let now = self.now(fold);
        let mut records = Vec::with_capacity(commands.len());
        for command in commands {
            let command = Command::People(command);
            let stored = command_leaf(&command, now, &log::Texts::default(), [0; 16]);
            let envelope = Envelope {
                origin: Origin::HOST,
                sequence: 0,
                author: PersonId(0),
                made_at: now,
                has_reason: false,
                command,
            };
            let chain = [0; 32];
            let command = push::Command { leaf: stored.leaf, aside: stored.aside, envelope, chain };
            let record = self.record(fold, batch, command, None, now, None);
            if let Outcome::Refused(cause) = &record.outcome {
                let cause = cause.clone();
                batch.answers.push(Box::new(move |_| {
                    let _ = answer.send(Err(HostError::Refused(cause)));
                }));
                return;
            }
            records.push(record);
        }
        batch.answers.push(Box::new(move |durable| {
            let _ = answer.send(durable.map(|_| records).map_err(|()| HostError::Stopped));
        }));
    }

    /// The server's time, which never runs backwards within an office.
    fn now(&self, fold: &Fold) -> Timestamp {
        self.shared.clock.now().max(fold.state.time)
    }
}

/// The chain over what the log already holds of the push must be the log's own, else the device has forked. Where the
/// push ends before the log does, each command is compared with its record instead.
fn same_history(fold: &Fold, push: &Push, known: usize) -> Result<(), Fault> {
    let held = fold.chain(push.origin).ok_or_else(|| Fault::invalid("UNKNOWN_ORIGIN"))?;
    let claimed = match known.checked_sub(1) {
        None => Some(&push.previous_chain),
        Some(index) => push.commands.get(index).map(|command| &command.chain),
    };
    match claimed {
        Some(claimed) if claimed != held => Err(forked(CommandKey::new(push.origin, push.first_sequence))),
        _ => Ok(()),
    }
}

fn forked(key: CommandKey) -> Fault {
    Fault::precondition("DEVICE_FORKED").with("origin", key.origin).with("sequence", key.sequence)
}

/// The leaf of a command that was decided in this very batch.
fn in_batch(batch: &Batch, key: CommandKey) -> Option<&[u8]> {
    let run = batch.runs.iter().find(|run| {
        run.origin == key.origin
            && (run.first_sequence..run.first_sequence + run.length).contains(&key.sequence)
    })?;
    let position = run.first_position + u64::from(key.sequence - run.first_sequence);
    batch.leaf_at(position)
}

impl Batch {
    fn leaf_at(&self, position: u64) -> Option<&[u8]> {
        let first = self.first_position?;
        self.entries
            .get(usize::try_from(position.checked_sub(first)?).ok()?)
            .map(|entry| entry.leaf.as_slice())
    }
}

fn refuse(job: Job) {
    match job {
        Job::Push(_, answer) => {
            let _ = answer.send(Err(Fault::stopped()));
        }
        Job::Host(_, answer) => {
            let _ = answer.send(Err(HostError::Stopped));
        }
    }
}
