//! Checking the replica without trusting the server: every hash, the fold, and who made what.

use prost::Message;
use renaksi_domain::State;
use renaksi_domain::hash::{StateHash, state_hash};
use renaksi_domain::ids::Origin;
use renaksi_ledger::merkle::Hash;
use renaksi_proto::fold::Fold;
use renaksi_proto::{chain, log};
use uuid::Uuid;

use super::Device;
use super::replica::replica_error;
use crate::error::{ClientError, Rejected};

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "ok says whether everything holds"]
pub struct VerifyReport {
    /// Everything holds.
    pub ok: bool,
    pub size: u64,
    pub root: Hash,
    pub epoch: u32,
    /// Records whose hash, fold and authorship hold.
    pub checked_records: u64,
    /// Signatures of pushes that hold; each covers all commands of its device before it.
    pub checked_signatures: u64,
    /// Texts that are what their record committed to.
    pub checked_texts: u64,
    /// Of the state that the checked records fold to.
    pub state_hash: StateHash,
    pub first_bad: Option<Bad>,
}

/// The first position that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    pub position: u64,
    /// `REPLICA_DAMAGED`, `RECORD_UNREADABLE`, `RECORD_MISPLACED`, `AUTHOR_WRONG`, `SEQUENCE_GAP`, `SIGNATURE_INVALID`,
    /// `SIGNATURE_MISSING`, `TEXTS_DIFFER`.
    pub code: String,
    /// The same with the objects it names.
    pub what: String,
}

impl Bad {
    fn new(position: u64, code: &str) -> Bad {
        Bad::from(position, &Rejected::new(code).with("position", position))
    }

    fn from(position: u64, cause: &Rejected) -> Bad {
        Bad { position, code: cause.code.clone(), what: cause.to_string() }
    }
}

impl Device {
    /// Checks the whole replica: hashes against the tree, positions and times, that it folds, that every device's commands
    /// are complete, in order and signed with its enrolled key, and that texts are what was committed to.
    ///
    /// # Errors
    /// Only when the replica cannot be read at all; what does not hold is in the report.
    pub fn verify(&self) -> Result<VerifyReport, ClientError> {
        let head = self.replica.head();
        let mut report = VerifyReport {
            ok: false,
            size: head.size,
            root: head.root,
            epoch: head.epoch,
            checked_records: 0,
            checked_signatures: 0,
            checked_texts: 0,
            state_hash: state_hash(&State::default()),
            first_bad: None,
        };
        if let Some(damage) = &self.replica_damage {
            let position = position_in(damage).unwrap_or(1);
            report.first_bad = Some(Bad::from(position, damage));
        } else if let Err(error) = renaksi_ledger::verify(&self.replica.reader()) {
            report.first_bad = Some(damage(replica_error(&error))?);
        }
        let bad = self.check_records(&mut report)?;
        // Whichever comes first in the log.
        report.first_bad =
            [report.first_bad.take(), bad].into_iter().flatten().min_by_key(|bad| bad.position);
        report.ok = report.first_bad.is_none();
        Ok(report)
    }

    fn check_records(&self, report: &mut VerifyReport) -> Result<Option<Bad>, ClientError> {
        let mut checks = Checks { office: self.identity.office, ..Checks::default() };
        for commit in self.replica.reader().iter(1) {
            let commit = match commit {
                Ok(commit) => commit,
                Err(error) => return damage(replica_error(&error)).map(Some),
            };
            for (position, entry) in (commit.first..).zip(&commit.entries) {
                if let Err(bad) = checks.record(position, &entry.leaf, &entry.aside) {
                    return Ok(Some(bad));
                }
                report.checked_records += 1;
            }
            (report.checked_signatures, report.checked_texts) = (checks.signatures, checks.texts);
        }
        report.state_hash = state_hash(&checks.fold.state);
        Ok(checks.unsigned.iter().flatten().min().map(|position| Bad::new(*position, "SIGNATURE_MISSING")))
    }
}

/// Damage is a finding; anything else is a failure to look.
fn damage(error: ClientError) -> Result<Bad, ClientError> {
    match &error {
        ClientError::Integrity(cause) => Ok(Bad::from(position_in(cause).unwrap_or(1), cause)),
        _ => Err(error),
    }
}

fn position_in(cause: &Rejected) -> Option<u64> {
    cause.details.iter().find(|(key, _)| key == "position")?.1.parse().ok()
}

#[derive(Debug, Default)]
struct Checks {
    office: Uuid,
    fold: Fold,
    /// Per origin: its first command that no signature covers yet.
    unsigned: Vec<Option<u64>>,
    signatures: u64,
    texts: u64,
}

impl Checks {
    fn record(&mut self, position: u64, leaf: &[u8], aside: &[u8]) -> Result<(), Bad> {
        let time_before = self.fold.state.time;
        let last_sequences =
            |fold: &Fold, origin| fold.state.people.incarnation(origin).map(|i| i.last_sequence);
        // Who may have made it is known from the records before it.
        let stored = log::Record::decode(leaf).map_err(|error| unreadable(position, &error))?;
        let origin = Origin(stored.origin);
        let sequence_before = last_sequences(&self.fold, origin);
        let owner = self.fold.state.people.owner_of(origin);
        let (record, stored) = self.fold.absorb(leaf).map_err(|error| unreadable(position, &error))?;
        if record.position != position || record.time < time_before {
            return Err(Bad::new(position, "RECORD_MISPLACED"));
        }
        self.check_texts(position, &stored, aside)?;
        if origin == Origin::HOST {
            return Ok(());
        }
        if owner != Some(record.envelope.author) {
            return Err(Bad::new(position, "AUTHOR_WRONG"));
        }
        if sequence_before.and_then(|before| before.checked_add(1)) != Some(stored.sequence) {
            return Err(Bad::new(position, "SEQUENCE_GAP"));
        }
        self.check_signature(position, origin, &stored)
    }

    fn check_signature(&mut self, position: u64, origin: Origin, stored: &log::Record) -> Result<(), Bad> {
        if self.unsigned.len() <= origin.index() {
            self.unsigned.resize(origin.index() + 1, None);
        }
        let unsigned = &mut self.unsigned[origin.index()];
        if stored.chain_signature.is_empty() {
            unsigned.get_or_insert(position);
            return Ok(());
        }
        let people = &self.fold.state.people;
        let holds = match (people.device_of(origin), people.incarnation(origin), self.fold.chain(origin)) {
            (Some(device), Some(incarnation), Some(head)) => chain::verify_push(
                &device.key,
                &stored.chain_signature,
                self.office,
                incarnation.uuid,
                stored.sequence,
                head,
            ),
            _ => false,
        };
        if !holds {
            // The signature covers all since the last one: the first of them may be the one that was changed.
            return Err(Bad::new(unsigned.unwrap_or(position), "SIGNATURE_INVALID"));
        }
        *unsigned = None;
        self.signatures += 1;
        Ok(())
    }

    fn check_texts(&mut self, position: u64, stored: &log::Record, aside: &[u8]) -> Result<(), Bad> {
        if aside.is_empty() {
            return Ok(());
        }
        match super::texts_beside(stored, aside) {
            Some(_) => {
                self.texts += 1;
                Ok(())
            }
            None => Err(Bad::new(position, "TEXTS_DIFFER")),
        }
    }
}

fn unreadable(position: u64, error: &dyn std::error::Error) -> Bad {
    let cause = Rejected::new("RECORD_UNREADABLE").with("position", position).with("cause", error);
    Bad::from(position, &cause)
}
