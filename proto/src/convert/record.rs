use prost::Message;
use renaksi_domain::command::{Command, Envelope, Outcome, Record};
use renaksi_domain::entry::EntryCommand;
use renaksi_domain::epoch::Restored;
use renaksi_domain::held::HeldCommand;
use renaksi_domain::ids::{GrantId, Origin, PersonId};
use renaksi_domain::people::PeopleCommand;
use renaksi_domain::plan::PlanCommand;
use renaksi_domain::quarter::QuarterCommand;
use renaksi_domain::revision::RevisionCommand;
use renaksi_domain::time::Timestamp;

use super::common::{rejection_from, rejection_to};
use super::{DecodeError, config, entry, narrative, people, plan, revision};
use crate::chain;
use crate::log::{self, command::Body};

/// The version of the stored format that this release reads whole; see `needs` in record.proto.
const FORMAT: u32 = 2;
/// What a reader must know of a record that was offered again: it was decided as of another time than its own.
const NEEDS_RESTORED: u32 = 2;

/// What stands before a commitment in a leaf: field 2047, 32 bytes.
const COMMITMENT_FIELD: [u8; 3] = [0xFA, 0x7F, 0x20];

/// Which texts lie beside a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextMask(pub u32);

impl TextMask {
    const PLACE: u32 = 1;
    const NOTE: u32 = 2;
    const REASON: u32 = 4;

    /// The mask of texts; a text of blanks is none.
    pub fn of(texts: &log::Texts) -> Self {
        let bit = |text: &str, bit: u32| if text.trim().is_empty() { 0 } else { bit };
        Self(bit(&texts.place, Self::PLACE) | bit(&texts.note, Self::NOTE) | bit(&texts.reason, Self::REASON))
    }

    /// True when the command says why.
    pub fn has_reason(self) -> bool {
        self.0 & Self::REASON != 0
    }
}

/// A command as a device stores it: its final bytes and what lies beside them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    pub leaf: Vec<u8>,
    pub aside: Vec<u8>,
}

/// The final bytes of a command. `salt` must be fresh randomness; it is used only when there are texts.
pub fn command_leaf(command: &Command, made_at: Timestamp, texts: &log::Texts, salt: [u8; 16]) -> Leaf {
    let mask = TextMask::of(texts);
    let texts = texts.encode_to_vec();
    let has_texts = mask != TextMask::default();
    let stored = log::Command {
        made_at_us: made_at.0,
        needs: needs(command),
        texts: mask.0,
        body: body_to(command),
        commitment: if has_texts { chain::commitment(&salt, &texts).to_vec() } else { Vec::new() },
    };
    let aside =
        if has_texts { log::Aside { salt: salt.to_vec(), texts }.encode_to_vec() } else { Vec::new() };
    Leaf { leaf: stored.encode_to_vec(), aside }
}

/// What a reader must know to read the command whole. 1: the rules of an office, yearly targets, a cap taken away.
fn needs(command: &Command) -> u32 {
    let newer = match command {
        Command::People(PeopleCommand::FoundOffice(found)) => found.rules > 1,
        Command::Plan(PlanCommand::ImportIndicator(row)) => row.year_target.is_some(),
        Command::Indicator(set) => set.year_target.is_some() || set.cap == Some(None),
        _ => false,
    };
    u32::from(newer)
}

fn body_to(command: &Command) -> Option<Body> {
    Some(match command {
        Command::People(command) => people::to(command),
        Command::Plan(command) => plan::to(command),
        Command::Indicator(command) => plan::set_indicator_to(command),
        Command::Entry(command) => entry::to(command),
        Command::Held(command) => entry::held_to(command),
        Command::Quarter(command) => plan::quarter_to(command),
        Command::Revision(command) => revision::to(command),
        Command::Narrative(command) => narrative::to(command),
        Command::Config(command) => config::to(command),
        Command::Unreadable => return None,
    })
}

/// Reads a command leaf. Who asks it and where it stands are not in its bytes.
pub fn decode_command(
    leaf: &[u8],
    origin: Origin,
    sequence: u32,
    author: PersonId,
) -> Result<(Envelope, Vec<u8>), DecodeError> {
    let stored =
        log::Command::decode(leaf).map_err(|source| DecodeError::Malformed { message: "Command", source })?;
    if stored.needs > FORMAT {
        return Err(DecodeError::Newer);
    }
    let command = body_from(stored.body.ok_or(DecodeError::Newer)?)?;
    let mask = TextMask(stored.texts);
    let wanted = if mask == TextMask::default() { 0 } else { 32 };
    if stored.commitment.len() != wanted || !ends_with_commitment(leaf, &stored.commitment) {
        return Err(DecodeError::Field { message: "Command", field: "commitment" });
    }
    let made_at = Timestamp(stored.made_at_us);
    let envelope = Envelope {
        origin,
        sequence,
        author,
        made_at,
        has_reason: mask.has_reason(),
        restored: None,
        command,
    };
    Ok((envelope, stored.commitment))
}

/// A commitment is the leaf's last field, so that it can be left out on the wire and put back.
fn ends_with_commitment(leaf: &[u8], commitment: &[u8]) -> bool {
    let before = leaf.strip_suffix(commitment);
    commitment.is_empty() || before.is_some_and(|leaf| leaf.ends_with(&COMMITMENT_FIELD))
}

fn body_from(body: Body) -> Result<Command, DecodeError> {
    match body {
        Body::AddEntry(stored) => entry::add(stored),
        Body::AmendEntry(stored) => entry::amend(stored),
        Body::VoidEntry(stored) => entry::version(stored, EntryCommand::Void),
        Body::VerifyEntry(stored) => entry::version(stored, EntryCommand::Verify),
        Body::ReturnEntry(stored) => entry::version(stored, EntryCommand::Return),
        Body::FoundOffice(stored) => people::found_office(stored),
        Body::AddUnit(stored) => people::add_unit(stored),
        Body::AddPerson(stored) => people::add_person(stored),
        Body::Assign(stored) => people::assign(stored),
        Body::EndAssignments(stored) => people::end_assignments(stored),
        Body::EnrolDevice(stored) => people::enrol_device(stored),
        Body::RevokeDevice(stored) => people::revoke_device(stored),
        Body::ConfirmGrant(id) => people::people(PeopleCommand::ConfirmGrant(GrantId(id))),
        Body::DeclineGrant(id) => people::people(PeopleCommand::DeclineGrant(GrantId(id))),
        Body::AdoptRules(rules) => people::people(PeopleCommand::AdoptRules(rules)),
        Body::BeginEpoch(stored) => people::begin_epoch(stored),
        Body::StartImport(stored) => plan::start_import(stored),
        Body::ImportObjective(stored) => plan::import_objective(stored),
        Body::ImportIndicator(stored) => plan::import_indicator(stored),
        Body::FinishImport(stored) => plan::finish_import(stored),
        Body::EstablishPlan(stored) => plan::establish_plan(stored),
        Body::ApprovePlan(stored) => plan::approve_plan(stored),
        Body::SendBackPlan(stored) => plan::plan_year(stored, PlanCommand::SendBackPlan),
        Body::RecallPlan(stored) => plan::plan_year(stored, PlanCommand::RecallPlan),
        Body::SetIndicator(stored) => plan::set_indicator(stored),
        Body::SetNarrative(stored) => narrative::set(stored),
        Body::ReleaseHeld(stored) => entry::release(stored),
        Body::DismissHeld(stored) => entry::held(stored, HeldCommand::Dismiss),
        Body::WithdrawHeld(stored) => entry::held(stored, HeldCommand::Withdraw),
        Body::RequestLock(stored) => plan::quarter(stored, QuarterCommand::Request),
        Body::ApproveLock(stored) => plan::quarter(stored, QuarterCommand::Approve),
        Body::RejectLock(stored) => plan::quarter(stored, QuarterCommand::Reject),
        Body::RequestReopen(stored) => plan::request_reopen(stored),
        Body::GrantReopen(stored) => plan::quarter(stored, QuarterCommand::GrantReopen),
        Body::DeclineReopen(stored) => plan::quarter(stored, QuarterCommand::DeclineReopen),
        Body::Relock(stored) => plan::quarter(stored, QuarterCommand::Relock),
        Body::DraftRevision(stored) => revision::draft(stored),
        Body::AddChange(stored) => revision::add_change(stored),
        Body::SubmitRevision(id) => revision::step(id, RevisionCommand::Submit),
        Body::ApproveRevision(id) => revision::step(id, RevisionCommand::Approve),
        Body::RejectRevision(id) => revision::step(id, RevisionCommand::Reject),
        Body::WithdrawRevision(id) => revision::step(id, RevisionCommand::Withdraw),
        Body::SetBands(stored) => config::bands(stored),
        Body::SetDueDays(days) => config::due_days(days),
        Body::SetDays(stored) => config::days(stored),
    }
}

/// The envelope of bytes that are no command.
pub fn unreadable(origin: Origin, sequence: u32, author: PersonId) -> Envelope {
    let made_at = Timestamp(0);
    Envelope {
        origin,
        sequence,
        author,
        made_at,
        has_reason: false,
        restored: None,
        command: Command::Unreadable,
    }
}

/// The final bytes of a record. `command` are exactly the bytes its author chained and signed.
pub fn encode_record(
    record: &Record,
    command: &[u8],
    signature: Option<&[u8]>,
    skew_ms: Option<i64>,
) -> Vec<u8> {
    use log::record::Outcome as Stored;
    let outcome = match &record.outcome {
        Outcome::Recorded(effect) => Stored::Recorded(entry::effect_to(effect)),
        Outcome::Held(cause) => Stored::Held(rejection_to(cause)),
        Outcome::Refused(cause) => Stored::Refused(rejection_to(cause)),
    };
    let restored = record.envelope.restored.as_ref().map(|restored| log::Restored {
        epoch: restored.epoch,
        position: restored.position,
        time_us: restored.time.0,
        recorded: restored.recorded,
    });
    let stored = log::Record {
        position: record.position,
        time_us: record.time.0,
        origin: record.envelope.origin.0,
        sequence: record.envelope.sequence,
        author: record.envelope.author.0,
        carrier: record.carrier.map_or(0, |person| person.0),
        chain_signature: signature.map(<[u8]>::to_vec).unwrap_or_default(),
        clock_skew_ms: skew_ms,
        needs: if restored.is_some() { NEEDS_RESTORED } else { 0 },
        restored,
        outcome: Some(outcome),
        command: command.to_vec(),
    };
    stored.encode_to_vec()
}

/// Reads a record leaf: the record, and the stored message with its command bytes and signature.
pub fn decode_record(leaf: &[u8]) -> Result<(Record, log::Record), DecodeError> {
    use log::record::Outcome as Stored;
    let mut stored =
        log::Record::decode(leaf).map_err(|source| DecodeError::Malformed { message: "Record", source })?;
    if stored.needs > FORMAT {
        return Err(DecodeError::Newer);
    }
    let outcome = match stored.outcome.take().ok_or(DecodeError::Newer)? {
        Stored::Recorded(effect) => Outcome::Recorded(entry::effect_from(effect)?),
        Stored::Held(cause) => Outcome::Held(rejection_from(cause)),
        Stored::Refused(cause) => Outcome::Refused(rejection_from(cause)),
    };
    let (origin, author) = (Origin(stored.origin), PersonId(stored.author));
    let mut envelope = match decode_command(&stored.command, origin, stored.sequence, author) {
        Ok((envelope, _)) => envelope,
        // What was refused changes nothing, so it need not be readable.
        Err(_) if matches!(outcome, Outcome::Refused(_)) => unreadable(origin, stored.sequence, author),
        Err(error) => return Err(error),
    };
    envelope.restored = stored.restored.as_ref().map(|restored| {
        Box::new(Restored {
            epoch: restored.epoch,
            position: restored.position,
            time: Timestamp(restored.time_us),
            recorded: restored.recorded,
        })
    });
    let record = Record {
        position: stored.position,
        time: Timestamp(stored.time_us),
        carrier: (stored.carrier != 0).then_some(PersonId(stored.carrier)),
        envelope,
        outcome,
    };
    Ok((record, stored))
}
