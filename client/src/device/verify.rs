//! Checking the replica without trusting the server: every hash, the fold, and who made what.

use prost::Message;
use renaksi_domain::epoch::BeginEpoch;
use renaksi_domain::hash::{StateHash, state_hash};
use renaksi_domain::ids::{Origin, PersonId};
use renaksi_domain::people::PeopleCommand;
use renaksi_domain::quarter::{QuarterCommand, due_by_itself};
use renaksi_domain::{Code, Command, Outcome, RULES_VERSION, Record, Rejection, State, decide};
use renaksi_ledger::merkle::Hash;
use renaksi_ledger::{LEAF_BYTES_MAX, SignedCheckpoint};
use renaksi_proto::convert::{DecodeError, decode_command, decode_record, encode_record};
use renaksi_proto::fold::Fold;
use renaksi_proto::{chain, log};
use uuid::Uuid;

use super::Device;
use super::checkpoint::first_missing;
use super::replica::replica_error;
use crate::error::{ClientError, Rejected};

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "ok says whether everything holds"]
pub struct VerifyReport {
    /// There are records, and everything holds.
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
    /// Texts beside a refused command that nobody can read, so that what it committed to is not known.
    pub unreadable_texts: u64,
    /// Records that another version of the rules decided. Everything else of them was checked.
    pub not_decided_again: u64,
    /// The epochs that began in the checked records, in their order. In the first one a log simply begins.
    pub epochs: Vec<BeginEpoch>,
    /// Of the state that the checked records fold to.
    pub state_hash: StateHash,
    /// The newest checkpoint that the log was compared with, and that it begins with if `ok`.
    pub checkpoint: Option<SignedCheckpoint>,
    pub first_bad: Option<Bad>,
}

/// The first position that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    pub position: u64,
    /// `REPLICA_DAMAGED`, `RECORD_UNREADABLE`, `RECORD_MISPLACED`, `HOST_RECORD_WRONG`, `AUTHOR_WRONG`, `SEQUENCE_GAP`,
    /// `TIMED_EVENT_MISSING`, `OUTCOME_DIFFERS`, `ENROLMENT_UNPROVEN`, `SIGNATURE_INVALID`, `SIGNATURE_MISSING`,
    /// `EPOCH_DIFFERS`, `TEXTS_DIFFER`, `RECORDS_MISSING`, `CHECKPOINT_DIFFERS`.
    pub code: String,
    /// The same with the objects it names.
    pub what: String,
}

impl VerifyReport {
    /// Of a log with this head, of which nothing was checked yet.
    pub(super) fn of(size: u64, root: Hash, epoch: u32) -> VerifyReport {
        VerifyReport {
            ok: false,
            size,
            root,
            epoch,
            checked_records: 0,
            checked_signatures: 0,
            checked_texts: 0,
            unreadable_texts: 0,
            not_decided_again: 0,
            epochs: Vec::new(),
            state_hash: state_hash(&State::default()),
            checkpoint: None,
            first_bad: None,
        }
    }
}

impl Bad {
    pub(super) fn new(position: u64, code: &str) -> Bad {
        Bad::from(position, &Rejected::new(code).with("position", position))
    }

    fn from(position: u64, cause: &Rejected) -> Bad {
        Bad { position, code: cause.code.clone(), what: cause.to_string() }
    }
}

impl Device {
    /// Checks the whole replica: hashes against the tree, positions and times, that it folds, that the rules decide every
    /// command as its record says, that every device's commands are complete, in order and signed with its enrolled key,
    /// that every device proved that key, and that texts are what was committed to.
    ///
    /// # Errors
    /// Only when the replica cannot be read at all; what does not hold is in the report.
    pub fn verify(&self) -> Result<VerifyReport, ClientError> {
        let head = self.replica.head();
        let mut report = VerifyReport::of(head.size, head.root, head.epoch);
        report.checkpoint = self.checkpoint.clone();
        if let Some(damage) = &self.replica_damage {
            let position = position_in(damage).unwrap_or(1);
            report.first_bad = Some(Bad::from(position, damage));
        } else if let Err(error) = renaksi_ledger::verify(&self.replica.reader()) {
            report.first_bad = Some(damage(replica_error(&error))?);
        }
        let bad = self.check_records(&mut report)?;
        let missing = self.check_checkpoint()?;
        // Whichever comes first in the log.
        report.first_bad =
            [report.first_bad.take(), bad, missing].into_iter().flatten().min_by_key(|bad| bad.position);
        report.ok = report.first_bad.is_none() && head.size > 0;
        Ok(report)
    }

    /// The replica begins with what was signed. One that was lost is told as such.
    fn check_checkpoint(&self) -> Result<Option<Bad>, ClientError> {
        if self.is_replica_missing() {
            return Ok(None);
        }
        let Some(held) = self.checkpoint.as_ref().map(SignedCheckpoint::checkpoint) else { return Ok(None) };
        match first_missing(&self.replica.reader(), self.replica.head(), &held) {
            Ok(found) => Ok(found.map(|(position, cause)| Bad::from(position, &cause))),
            Err(error) => damage(error).map(Some),
        }
    }

    fn check_records(&self, report: &mut VerifyReport) -> Result<Option<Bad>, ClientError> {
        let mut checks = Checks::of(self.identity.office);
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
            checks.commit_ends(commit.root_after);
            checks.tell(report);
        }
        report.state_hash = state_hash(checks.state());
        Ok(checks.first_unsigned().map(|position| Bad::new(position, "SIGNATURE_MISSING")))
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

/// The records of a log, each checked after those before it.
#[derive(Debug, Default)]
pub(super) struct Checks {
    office: Uuid,
    fold: Fold,
    /// Per origin: its first command that no signature covers yet.
    unsigned: Vec<Option<u64>>,
    signatures: u64,
    texts: u64,
    unreadable_texts: u64,
    not_decided: u64,
    /// The tree after the last whole commit: an epoch begins with a commit.
    reached: Option<(u64, Hash)>,
}

impl Checks {
    pub(super) fn of(office: Uuid) -> Checks {
        Checks { office, ..Checks::default() }
    }

    /// What the records so far fold to.
    pub(super) fn state(&self) -> &State {
        &self.fold.state
    }

    /// The last record that holds.
    pub(super) fn position(&self) -> u64 {
        self.fold.state.position
    }

    /// Writes what was counted so far into a report.
    pub(super) fn tell(&self, report: &mut VerifyReport) {
        (report.checked_signatures, report.checked_texts) = (self.signatures, self.texts);
        report.unreadable_texts = self.unreadable_texts;
        report.not_decided_again = self.not_decided;
        report.epochs.clone_from(&self.fold.state.epochs);
    }

    /// The first record that no signature covers yet.
    pub(super) fn first_unsigned(&self) -> Option<u64> {
        self.unsigned.iter().flatten().min().copied()
    }

    /// A commit whose records were checked ends here.
    pub(super) fn commit_ends(&mut self, root: Hash) {
        self.reached = Some((self.position(), root));
    }

    /// Checks the next record.
    pub(super) fn record(&mut self, position: u64, leaf: &[u8], aside: &[u8]) -> Result<(), Bad> {
        let (record, stored) = decode_record(leaf).map_err(|error| unreadable(position, &error))?;
        // Who may have made it, and what the rules say to it, is known from the records before it.
        let state = &self.fold.state;
        if record.position != position || record.time < state.time {
            return Err(Bad::new(position, "RECORD_MISPLACED"));
        }
        check_who(state, &record, &stored).map_err(|code| Bad::new(position, code))?;
        if !self.continues(&record) {
            return Err(Bad::new(position, "EPOCH_DIFFERS"));
        }
        if !is_due(state, &record) {
            return Err(Bad::new(position, "TIMED_EVENT_MISSING"));
        }
        // Nobody here could decide what follows, so nothing of it would be checked.
        if matches!(record.envelope.command, Command::People(PeopleCommand::AdoptRules(rules)) if rules > RULES_VERSION)
        {
            return Err(Bad::new(position, "LOG_NEWER"));
        }
        match state.rules == RULES_VERSION || state.office.is_none() {
            true => check_outcome(state, &record, &stored)?,
            false => self.not_decided += 1,
        }
        check_enrolment(&record).map_err(|code| Bad::new(position, code))?;
        self.fold.absorb(leaf).map_err(|error| unreadable(position, &error))?;
        self.check_texts(&record, &stored, aside).map_err(|code| Bad::new(position, code))?;
        match record.envelope.origin {
            Origin::HOST => Ok(()),
            origin => self.check_signature(position, origin, &stored),
        }
    }

    /// An epoch goes on from exactly the log before it.
    fn continues(&self, record: &Record) -> bool {
        match (&record.envelope.command, &record.outcome) {
            (Command::People(PeopleCommand::BeginEpoch(begin)), Outcome::Recorded(_)) => {
                self.reached == Some((begin.size, begin.root)) && begin.size + 1 == record.position
            }
            _ => true,
        }
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

    fn check_texts(
        &mut self,
        record: &Record,
        stored: &log::Record,
        aside: &[u8],
    ) -> Result<(), &'static str> {
        if record.envelope.command == Command::Unreadable {
            self.unreadable_texts += u64::from(!aside.is_empty());
            return Ok(());
        }
        let command = log::Command::decode(stored.command.as_slice()).map_err(|_| "RECORD_UNREADABLE")?;
        match (aside.is_empty(), chain::open_aside(&command.commitment, aside)) {
            // There are none, or they were erased.
            (true, _) => Ok(()),
            (false, Some(_)) => {
                self.texts += 1;
                Ok(())
            }
            (false, None) => Err("TEXTS_DIFFER"),
        }
    }
}

/// The server itself speaks of people and devices alone, in nobody's name; everything else is its device's next command.
fn check_who(state: &State, record: &Record, stored: &log::Record) -> Result<(), &'static str> {
    let envelope = &record.envelope;
    if envelope.origin == Origin::HOST {
        let proper = envelope.sequence == 0
            && envelope.author == PersonId(0)
            && record.carrier.is_none()
            && stored.chain_signature.is_empty()
            && matches!(envelope.command, Command::People(_) | Command::Quarter(QuarterCommand::Relock(_)));
        return if proper { Ok(()) } else { Err("HOST_RECORD_WRONG") };
    }
    if state.people.owner_of(envelope.origin) != Some(envelope.author) {
        return Err("AUTHOR_WRONG");
    }
    let before = state.people.incarnation(envelope.origin).map(|incarnation| incarnation.last_sequence);
    match before.and_then(|before| before.checked_add(1)) == Some(envelope.sequence) {
        true => Ok(()),
        false => Err("SEQUENCE_GAP"),
    }
}

/// Nothing else is recorded while something is due by itself, but that an epoch begins: nothing may be recorded before it.
fn is_due(state: &State, record: &Record) -> bool {
    match due_by_itself(state, record.time) {
        _ if matches!(record.envelope.command, Command::People(PeopleCommand::BeginEpoch(_))) => true,
        Some(due) => record.envelope.command == Command::Quarter(due),
        None => true,
    }
}

/// The rules decide the command as the record says. Only what would not fit into a leaf may be refused instead.
fn check_outcome(state: &State, record: &Record, stored: &log::Record) -> Result<(), Bad> {
    let decided = decide(state, &record.envelope, record.time);
    if decided == record.outcome {
        return Ok(());
    }
    let envelope = &record.envelope;
    let command = decode_command(&stored.command, envelope.origin, envelope.sequence, envelope.author);
    if let Err(error @ DecodeError::Newer) = command {
        return Err(unreadable(record.position, &error));
    }
    if record.outcome == Outcome::Refused(Rejection::new(Code::TooLarge)) {
        let signature = Some(stored.chain_signature.as_slice()).filter(|signature| !signature.is_empty());
        let decided = Record { outcome: decided, ..record.clone() };
        if encode_record(&decided, &stored.command, signature, stored.clock_skew_ms).len() > LEAF_BYTES_MAX {
            return Ok(());
        }
    }
    Err(Bad::new(record.position, "OUTCOME_DIFFERS"))
}

/// A device that is let in showed that it holds its key, and which invite it answered.
fn check_enrolment(record: &Record) -> Result<(), &'static str> {
    let (Command::People(PeopleCommand::EnrolDevice(enrol)), Outcome::Recorded(_)) =
        (&record.envelope.command, &record.outcome)
    else {
        return Ok(());
    };
    let proven = enrol.proof.as_ref().is_some_and(|proof| {
        let (authority, code) = (&proof.authority_sha256, &proof.code_sha256);
        chain::verify_enroll(&enrol.key, &proof.signature, authority, code, enrol.incarnation)
    });
    if proven { Ok(()) } else { Err("ENROLMENT_UNPROVEN") }
}

fn unreadable(position: u64, error: &dyn std::error::Error) -> Bad {
    let cause = Rejected::new("RECORD_UNREADABLE").with("position", position).with("cause", error);
    Bad::from(position, &cause)
}

#[cfg(test)]
mod tests {
    use renaksi_domain::command::Effect;
    use renaksi_domain::people::{AddPerson, FoundOffice};
    use renaksi_domain::plan::{Plan, PlanState};
    use renaksi_domain::quarter::{PlanQuarter, QuarterState};
    use renaksi_domain::time::{Quarter, Zone};
    use renaksi_proto::convert::command_leaf;

    use super::*;
    use renaksi_domain::time::Timestamp;

    #[test]
    fn what_does_not_fit_into_a_leaf_may_be_refused_for_its_size() {
        let state = State::default();
        let mut stored = log::Record::default();
        let mut envelope = renaksi_proto::convert::unreadable(Origin(1), 1, PersonId(1));
        envelope.command = Command::People(PeopleCommand::AddPerson(renaksi_domain::people::AddPerson));
        let outcome = Outcome::Refused(Rejection::new(Code::TooLarge));
        let record = Record { position: 7, time: Timestamp(1), carrier: None, envelope, outcome };
        // What the rules say to it is longer than what is left.
        stored.command = vec![0xff; LEAF_BYTES_MAX - 40];
        check_outcome(&state, &record, &stored).unwrap();
        stored.command = vec![0xff; LEAF_BYTES_MAX / 2];
        assert_eq!(check_outcome(&state, &record, &stored).unwrap_err().code, "OUTCOME_DIFFERS");
        let with_details = Rejection::new(Code::TooLarge).with("bytes", 1);
        let record = Record { outcome: Outcome::Refused(with_details), ..record };
        stored.command = vec![0xff; LEAF_BYTES_MAX - 40];
        assert_eq!(check_outcome(&state, &record, &stored).unwrap_err().code, "OUTCOME_DIFFERS");
    }

    /// An office of these rules whose first quarter is open again until 10.
    fn reopened(rules: u32) -> Checks {
        let mut checks = Checks::default();
        let state = &mut checks.fold.state;
        state.rules = rules;
        state.office = Some(FoundOffice {
            office: Uuid::from_u128(1),
            name: "Dinas".into(),
            zone: Zone::Jakarta,
            rehearsal: true,
            rules,
        });
        let mut quarters = [QuarterState::Open; 4];
        quarters[0] = QuarterState::Reopened { until: Timestamp(10) };
        state.plans.push(Plan {
            year: 2024,
            state: PlanState::Established,
            title: "".into(),
            objectives: Vec::new(),
            indicators: Vec::new(),
            basis: None,
            submitted_by: None,
            established_at: None,
            quarters,
        });
        checks
    }

    /// The server's own act at a time, as the rules decide it or with another outcome.
    fn host(
        checks: &mut Checks,
        time: i64,
        command: Command,
        outcome: Option<Outcome>,
    ) -> Result<(), String> {
        let made = command_leaf(&command, Timestamp(time), &log::Texts::default(), [0; 16]);
        let (envelope, _) = decode_command(&made.leaf, Origin::HOST, 0, PersonId(0)).unwrap();
        let state = &checks.fold.state;
        let outcome = outcome.unwrap_or_else(|| decide(state, &envelope, Timestamp(time)));
        let position = state.position + 1;
        let record = Record { position, time: Timestamp(time), carrier: None, envelope, outcome };
        let leaf = encode_record(&record, &made.leaf, None, None);
        checks.record(position, &leaf, &[]).map_err(|bad| bad.code)
    }

    fn relock() -> Command {
        Command::Quarter(QuarterCommand::Relock(PlanQuarter { year: 2024, quarter: Quarter::Q1 }))
    }

    fn person() -> Command {
        Command::People(PeopleCommand::AddPerson(AddPerson))
    }

    #[test]
    fn what_is_due_by_itself_comes_first_and_not_before_its_time() {
        let recorded = || Some(Outcome::Recorded(Effect::default()));
        let mut checks = reopened(RULES_VERSION);
        host(&mut checks, 9, person(), None).unwrap();
        assert_eq!(host(&mut checks, 9, relock(), recorded()).unwrap_err(), "OUTCOME_DIFFERS");
        assert_eq!(host(&mut checks, 10, person(), None).unwrap_err(), "TIMED_EVENT_MISSING");
        host(&mut checks, 10, relock(), None).unwrap();
        host(&mut checks, 10, person(), None).unwrap();
        assert_eq!(host(&mut checks, 11, relock(), recorded()).unwrap_err(), "OUTCOME_DIFFERS");
        // Where the rules are others, the fold itself knows what the server may not do.
        let mut earlier = reopened(1);
        assert_eq!(host(&mut earlier, 9, relock(), recorded()).unwrap_err(), "RECORD_UNREADABLE");
    }

    #[test]
    fn an_epoch_goes_on_from_the_log_in_front_of_it() {
        let begin = |checks: &Checks, root| {
            let size = checks.position();
            let begin = BeginEpoch { epoch: 2, reason: "x".into(), size, root, seen: None };
            Command::People(PeopleCommand::BeginEpoch(Box::new(begin)))
        };
        for (reached, root, expected) in [
            (Some([7; 32]), [7; 32], Ok(())),
            (Some([7; 32]), [8; 32], Err("EPOCH_DIFFERS".to_owned())),
            // In the midst of a commit.
            (None, [7; 32], Err("EPOCH_DIFFERS".to_owned())),
        ] {
            let mut checks = reopened(RULES_VERSION);
            host(&mut checks, 1, person(), None).unwrap();
            reached.into_iter().for_each(|root| checks.commit_ends(root));
            let begun = begin(&checks, root);
            // Something else is due, and may not be recorded before it.
            assert_eq!(host(&mut checks, 12, begun, None), expected);
        }
    }

    #[test]
    fn what_other_rules_decided_is_counted_and_not_decided_again() {
        let held = || Some(Outcome::Refused(Rejection::new(Code::NothingToChange)));
        let mut checks = reopened(1);
        host(&mut checks, 1, person(), held()).unwrap();
        let adopt = |rules| Command::People(PeopleCommand::AdoptRules(rules));
        host(&mut checks, 2, adopt(RULES_VERSION), None).unwrap();
        assert_eq!(checks.not_decided, 2);
        assert_eq!(host(&mut checks, 3, person(), held()).unwrap_err(), "OUTCOME_DIFFERS");
        host(&mut checks, 3, person(), None).unwrap();
        assert_eq!(checks.not_decided, 2);
        // A server cannot end the checking with rules that nobody knows.
        let recorded = Some(Outcome::Recorded(Effect::default()));
        assert_eq!(host(&mut checks, 4, adopt(99), recorded).unwrap_err(), "LOG_NEWER");
    }
}
