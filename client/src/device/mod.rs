//! One person's device: its key, its feed of commands, its replica of the office's log, and the view that both fold to.
//!
//! *Invariant:* a command is durable in the feed before anything is said of it. The replica is the receipt store: what it
//! has of this device was received, what it lacks is sent again.
//!
//! *Invariant:* nothing here is async but [`sync`](Device::sync), [`submit`](Device::submit) and [`enroll`]; nothing but
//! those touches the network.

mod bundle;
mod carry;
mod checkpoint;
mod connect;
mod enroll;
mod epoch;
mod home;
mod outbox;
mod replica;
mod sightings;
mod snapshots;
mod standing;
mod sync;
#[cfg(test)]
mod tests;
mod trail;
mod verify;

use std::path::Path;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use prost::Message;
use renaksi_domain::ids::{CommandKey, PersonId, entry_id};
use renaksi_domain::time::Timestamp;
use renaksi_domain::{Code, Command, Envelope, Outcome, Record, Rejection, State, apply, decide};
use renaksi_ledger::SignedCheckpoint;
use renaksi_proto::chain::open_aside;
use renaksi_proto::clock::Clock;
use renaksi_proto::convert::{Leaf, command_leaf, decode_command};
use renaksi_proto::log;
use uuid::Uuid;

use crate::error::{ClientError, Rejected};
use home::{Directory, Home, random};
use outbox::{Outbox, check_size};
use replica::Replica;
use standing::Standing;

pub use bundle::{BundleReport, LogKey, verify_bundle};
pub use enroll::enroll;
pub(crate) use home::write_durable;
pub use home::{Identity, pinned_log_key};
pub use renaksi_ledger::LogReader;
pub use renaksi_proto::log::Texts;
pub use replica::FoldStopped;
pub use sightings::Sighting;
pub(crate) use trail::not_answering;
pub use trail::{About, Trail};
pub use verify::{Bad, VerifyReport};

/// What this device knows, and what it has yet to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// What the replica says.
    pub confirmed: State,
    /// The same with the pending commands as the rules would take them now, at positions that are not yet theirs.
    pub state: State,
    /// Commands that the replica does not have yet, in the device's order.
    pub pending: Vec<Pending>,
    /// Commands that a revoked device handed in. The server answered them; the replica will never have them.
    pub handed_in: Vec<HandedIn>,
}

/// A command that a revoked device handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandedIn {
    pub key: CommandKey,
    /// As [`Queued::entry_id`].
    pub entry_id: Uuid,
    pub envelope: Envelope,
    pub texts: Texts,
    pub outcome: ReceiptOutcome,
}

/// A command that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    pub key: CommandKey,
    pub envelope: Envelope,
    pub texts: Texts,
    /// What the server would say, as far as this device can know.
    pub preview: Outcome,
}

/// A command that was just queued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    pub key: CommandKey,
    /// The public id of the command; that of the entry, when it adds one.
    pub entry_id: Uuid,
    pub preview: Outcome,
}

/// What the server said about a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub key: CommandKey,
    pub position: u64,
    pub outcome: ReceiptOutcome,
    /// It had been received before; this is the first receipt again.
    pub duplicate: bool,
}

/// The server's decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiptOutcome {
    Recorded,
    Held(Rejection),
    Refused(Rejection),
}

/// What one sync did. `pushed` = recorded + held + refused + duplicate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncReport {
    pub pushed: u64,
    pub recorded: u64,
    pub duplicate: u64,
    pub held: Vec<Judged>,
    pub refused: Vec<Judged>,
    /// Entries of this person that were returned since the last sync.
    pub returned: Vec<Uuid>,
    /// Work of this person that is held since the last sync, and that this push did not bring.
    pub newly_held: Vec<Judged>,
    /// As [`Device::troubles`], after the sync.
    pub troubles: Vec<Rejected>,
    /// Records that the replica got.
    pub pulled: u64,
    /// The replica's head.
    pub position: u64,
    /// Inside TLS: what HTTP/2 put on the connections.
    pub bytes_sent: u64,
    pub bytes_received: u64,
    /// What the handshakes took, both ways together.
    pub connect_bytes: u64,
    pub elapsed_ms: u64,
}

/// A command that was held or refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    pub key: CommandKey,
    /// As [`Queued::entry_id`].
    pub entry_id: Uuid,
    pub cause: Rejection,
}

/// How far a sync is, or what goes before an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Pushed {
        done: u64,
        total: u64,
    },
    Pulled {
        done: u64,
        total: Option<u64>,
    },
    /// The index beside the replica is brought up to it.
    Indexed {
        done: u64,
        total: u64,
    },
}

/// Where a replay ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayTo {
    Head,
    Position(u64),
    /// Up to and with the last record of that time.
    Time(Timestamp),
}

/// When the server was last reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    pub last_contact: Option<Timestamp>,
    /// Device clock minus server clock, then.
    pub skew_ms: Option<i64>,
}

/// An enrolled device, held exclusively until it is dropped.
#[derive(Debug)]
pub struct Device {
    home: Home,
    identity: Identity,
    key: SigningKey,
    clock: Clock,
    outbox: Outbox,
    replica: Replica,
    replica_damage: Option<Rejected>,
    checkpoint: Option<SignedCheckpoint>,
    directory: Directory,
    contact: Contact,
    standing: Standing,
    view: View,
}

impl Device {
    /// Opens the device in `home`. `played_clock` is looked at only in a rehearsal office.
    ///
    /// # Errors
    /// NotUnderstood `NOT_ENROLLED`, `CLOCK_UNREADABLE`; Failed `DEVICE_BUSY` after ten seconds; Integrity `KEY_DAMAGED`,
    /// `IDENTITY_DAMAGED`. A damaged replica is no error: it is set aside and pulled again. Nor is a damaged feed: it is
    /// read up to the damage, and takes no more commands.
    pub fn open(home: &Path, played_clock: Option<&str>) -> Result<Device, ClientError> {
        Device::open_waiting(home, played_clock, outbox::BUSY_WAIT)
    }

    fn open_waiting(home: &Path, played_clock: Option<&str>, wait: Duration) -> Result<Device, ClientError> {
        let home = Home::new(home);
        let identity = home.read_identity()?;
        let clock = match played_clock {
            Some(value) if identity.rehearsal => Clock::played(value).map_err(|error| {
                ClientError::NotUnderstood(Rejected::new("CLOCK_UNREADABLE").with("cause", error))
            })?,
            _ => Clock::System,
        };
        let key = home.read_key()?;
        // The feed's lock is the device's lock; the replica is only ever opened under it.
        let outbox = Outbox::open(&home, &identity, wait)?;
        let (replica, confirmed, replica_damage) = Replica::open(&home, &identity)?;
        let mut device = Device {
            checkpoint: checkpoint::kept(&home, &identity)?,
            directory: home.read_directory()?,
            contact: home.read_contact(),
            standing: home.read_standing(),
            view: View { confirmed, ..View::default() },
            home,
            identity,
            key,
            clock,
            outbox,
            replica,
            replica_damage,
        };
        device.check_key()?;
        match device.refresh() {
            Err(ClientError::Integrity(cause)) if device.outbox.damage().is_none() => {
                device.outbox.read_up_to_damage(&device.home, &device.identity, cause)?;
                device.refresh()?;
            }
            refreshed => refreshed?,
        }
        Ok(device)
    }

    /// Who this device is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The present time; a rehearsal's may be played.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What this device knows and what waits.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// A person's name; `#7` when this device does not have it.
    pub fn name_of(&self, person: PersonId) -> String {
        self.directory.name(person).map_or_else(|| format!("#{person}"), str::to_owned)
    }

    /// The texts beside a record, if they are there and are what it committed to.
    pub fn texts_of(&self, record: &log::Record, aside: &[u8]) -> Option<Texts> {
        texts_beside(record, aside)
    }

    /// When the server was last reached.
    pub fn contact(&self) -> Contact {
        self.contact
    }

    /// Set when the replica has records that this release cannot fold. The view is then of the records before them.
    pub fn fold_stopped(&self) -> Option<&FoldStopped> {
        self.replica.stopped.as_ref()
    }

    /// Set when this opening found the replica damaged and set it aside. The next sync pulls it again.
    pub fn replica_damage(&self) -> Option<&Rejected> {
        self.replica_damage.as_ref()
    }

    /// What is wrong with the device as a whole, as far as it knows: `DEVICE_REVOKED`, `DEVICE_FORKED`, `LOG_BEHIND`,
    /// `FEED_DAMAGED`, `FEED_BEHIND`, `REPLICA_MISSING`, `LOG_NEWER`, `RECORD_UNREADABLE`. Each needs a person.
    pub fn troubles(&self) -> Vec<Rejected> {
        let mut troubles = Vec::new();
        if self.is_revoked() {
            troubles.push(self.revoked());
        }
        if let Some(sequence) = self.standing.forked_from {
            let cause = Rejected::new("DEVICE_FORKED").with("sequence", sequence);
            troubles.push(cause.with("unsent", self.view.pending.len()));
        }
        if let Some(gap) = self.standing.behind {
            troubles.push(gap.told());
        }
        match self.check_feed() {
            Err(error) if self.standing.forked_from.is_none() => troubles.push(error.cause().clone()),
            _ => troubles.extend(self.outbox.damage().cloned()),
        }
        if self.is_replica_missing() {
            troubles.push(Rejected::new("REPLICA_MISSING"));
        }
        if let Some(stopped) = &self.replica.stopped {
            let code = if stopped.newer { "LOG_NEWER" } else { "RECORD_UNREADABLE" };
            troubles.push(Rejected::new(code).with("position", stopped.position));
        }
        troubles
    }

    /// True when there is no copy of the office's log: it was lost, set aside, or never came.
    pub fn is_replica_missing(&self) -> bool {
        self.replica.head().size == 0
    }

    /// True when the device knows that its rights were taken away.
    pub fn is_revoked(&self) -> bool {
        let device = self.view.confirmed.people.device(self.identity.device);
        self.standing.revoked.is_some() || device.is_some_and(|device| device.revoked.is_some())
    }

    fn revoked(&self) -> Rejected {
        let cause = Rejected::new("DEVICE_REVOKED").permission().with("handed_in", self.view.handed_in.len());
        cause.with("unsent", self.view.pending.len())
    }

    /// What the server makes of everything that comes from this device.
    fn held_as_a_whole(&self) -> Option<Rejection> {
        match self.standing.forked_from {
            _ if self.is_revoked() => Some(Rejection::new(Code::DeviceRevoked)),
            Some(_) => Some(Rejection::new(Code::DeviceForked)),
            None => None,
        }
    }

    /// Where this opening set aside an unfinished end of the feed: a command of which nothing had been said, unless the
    /// disk changed it since.
    pub fn feed_cut(&self) -> Option<&Path> {
        self.outbox.cut()
    }

    /// Queues a command that works offline. Durable when this returns.
    ///
    /// # Errors
    /// NotAdmitted with the cause when the rules already say no, when it is too large, or `DEVICE_REVOKED`: nothing is
    /// queued then. Failed `IO_FAILED` when it could not be made durable. Integrity `FEED_DAMAGED`, `FEED_BEHIND`.
    pub fn record(&mut self, command: Command, texts: Texts) -> Result<Queued, ClientError> {
        let mut queued = self.record_all(vec![(command, texts)])?;
        Ok(queued.remove(0))
    }

    /// What would come of commands that work offline and give no reason, each after those before it that the rules take.
    /// Nothing is queued.
    ///
    /// # Errors
    /// As [`Device::record`] when this device takes no commands at all.
    pub fn preview_all(&self, commands: impl Iterator<Item = Command>) -> Result<Vec<Outcome>, ClientError> {
        self.takes_commands()?;
        let (now, held_as_a_whole) = (self.now(), self.held_as_a_whole());
        let mut state = self.view.state.clone();
        let mut sequence = self.outbox.last() + 1;
        let mut previews = Vec::new();
        for command in commands {
            let (origin, author) = (self.identity.origin, self.identity.person);
            let envelope = Envelope {
                origin,
                sequence,
                author,
                made_at: now,
                has_reason: false,
                restored: None,
                command,
            };
            let preview = count_in(&mut state, &envelope, now);
            let refused = matches!(preview, Outcome::Refused(_));
            sequence += u32::from(!refused);
            previews.push(match &held_as_a_whole {
                Some(cause) if !refused => Outcome::Held(cause.clone()),
                _ => preview,
            });
        }
        Ok(previews)
    }

    /// Nothing that this device makes would be taken when its rights are gone or its feed is not its own.
    fn takes_commands(&self) -> Result<(), ClientError> {
        if self.is_revoked() {
            return Err(ClientError::NotAdmitted(self.revoked()));
        }
        self.check_feed()
    }

    /// Queues commands that work offline, all or none, with one write. Each is previewed after those before it.
    ///
    /// # Errors
    /// As [`Device::record`]; the first that the rules refuse.
    pub fn record_all(&mut self, commands: Vec<(Command, Texts)>) -> Result<Vec<Queued>, ClientError> {
        self.takes_commands()?;
        let (made_at, first) = (self.now(), self.outbox.last() + 1);
        let held_as_a_whole = self.held_as_a_whole();
        let mut state = (commands.len() > 1 && held_as_a_whole.is_none()).then(|| self.view.state.clone());
        let mut leaves: Vec<Leaf> = Vec::with_capacity(commands.len());
        let mut pending = Vec::with_capacity(commands.len());
        for (sequence, (command, texts)) in (first..=u32::MAX).zip(commands) {
            assert!(command.works_offline(), "BUG: {} needs the server's answer", command.name());
            let leaf = command_leaf(&command, made_at, &texts, random()?);
            check_size(&leaf)?;
            let key = CommandKey::new(self.identity.origin, sequence);
            let has_reason = !texts.reason.is_empty();
            let author = self.identity.person;
            let envelope = Envelope {
                origin: key.origin,
                sequence,
                author,
                made_at,
                has_reason,
                restored: None,
                command,
            };
            // One command is previewed on the view itself, which changes only after it is durable.
            let preview = match &mut state {
                Some(state) => count_in(state, &envelope, made_at),
                None => decide(&self.view.state, &envelope, made_at.max(self.view.state.time)),
            };
            if let Outcome::Refused(cause) = &preview {
                return Err(ClientError::refused(cause));
            }
            let preview = held_as_a_whole.clone().map_or(preview, Outcome::Held);
            leaves.push(leaf);
            pending.push(Pending { key, envelope, texts, preview });
        }
        if leaves.is_empty() {
            return Ok(Vec::new());
        }
        self.outbox.append(&leaves)?;
        match state {
            Some(state) => self.view.state = state,
            None if held_as_a_whole.is_some() => {}
            None => pending.iter().for_each(|p| {
                place(&mut self.view.state, &p.envelope, p.preview.clone(), made_at);
            }),
        }
        let queued = pending.iter().map(|p| Queued {
            key: p.key,
            entry_id: entry_id(self.identity.incarnation, p.key.sequence),
            preview: p.preview.clone(),
        });
        let queued = queued.collect();
        self.view.pending.append(&mut pending);
        Ok(queued)
    }

    /// The key must be the one that was enrolled.
    fn check_key(&self) -> Result<(), ClientError> {
        let enrolled = self.view.confirmed.people.device(self.identity.device);
        match enrolled.is_some_and(|device| device.key != self.key.verifying_key().to_bytes()) {
            true => {
                let cause = Rejected::new("KEY_DAMAGED").with("file", self.home.key().display());
                Err(ClientError::Integrity(cause.with("device", self.identity.device)))
            }
            false => Ok(()),
        }
    }

    /// A feed shorter than what the office has of it would give numbers away twice. A damaged one takes nothing.
    fn check_feed(&self) -> Result<(), ClientError> {
        if let Some(damage) = self.outbox.damage() {
            return Err(ClientError::Integrity(damage.clone()));
        }
        let (feed, known) = (self.outbox.last(), self.replica.known().sequence);
        if feed >= known {
            return Ok(());
        }
        let cause = Rejected::new("FEED_BEHIND").with("folder", self.home.feed().display());
        Err(ClientError::Integrity(cause.with("feed_sequence", feed).with("replica_sequence", known)))
    }

    /// Makes the view anew: what is confirmed, then what waits. What waits on a revoked or forked device counts nowhere.
    fn refresh(&mut self) -> Result<(), ClientError> {
        let now = self.now();
        let mut state = self.view.confirmed.clone();
        let (mut pending, mut handed_in) = (Vec::new(), Vec::new());
        let Identity { origin, person, incarnation, .. } = self.identity;
        let held_as_a_whole = self.held_as_a_whole();
        for command in self.outbox.commands(self.first_unconfirmed()) {
            let (sequence, entry) = command?;
            let (envelope, commitment) = match decode_command(&entry.leaf, origin, sequence, person) {
                Ok(decoded) => decoded,
                Err(error) => {
                    // Another release of this program made it; the server is asked all the same.
                    tracing::warn!(sequence, %error, "a command that waits cannot be shown");
                    continue;
                }
            };
            let (key, texts) = (envelope.key(), open_aside(&commitment, &entry.aside).unwrap_or_default());
            if let Some(outcome) = self.standing.handed_in(sequence).cloned() {
                let entry_id = entry_id(incarnation, sequence);
                handed_in.push(HandedIn { key, entry_id, envelope, texts, outcome });
                continue;
            }
            let preview = match &held_as_a_whole {
                Some(cause) => Outcome::Held(cause.clone()),
                None => count_in(&mut state, &envelope, now),
            };
            pending.push(Pending { key, envelope, texts, preview });
        }
        self.view.state = state;
        (self.view.pending, self.view.handed_in) = (pending, handed_in);
        Ok(())
    }

    /// The first command of the feed that the office's log does not have as it is here.
    fn first_unconfirmed(&self) -> u32 {
        let next = self.replica.known().sequence + 1;
        self.standing.forked_from.map_or(next, |forked| forked.min(next))
    }
}

/// Decides a pending command and lets it count as decided.
fn count_in(state: &mut State, envelope: &Envelope, now: Timestamp) -> Outcome {
    let preview = decide(state, envelope, now.max(state.time));
    place(state, envelope, preview.clone(), now);
    preview
}

/// Folds a pending command at the position it would have. A refused one changes nothing.
fn place(state: &mut State, envelope: &Envelope, outcome: Outcome, now: Timestamp) {
    if matches!(outcome, Outcome::Refused(_)) {
        return;
    }
    let (position, time) = (state.position + 1, now.max(state.time));
    let record = Record { position, time, carrier: None, envelope: envelope.clone(), outcome };
    apply(state, &record);
}

/// The texts beside a record, if they are what its command committed to.
fn texts_beside(record: &log::Record, aside: &[u8]) -> Option<Texts> {
    let command = log::Command::decode(record.command.as_slice()).ok()?;
    open_aside(&command.commitment, aside)
}
