//! The two functions everything runs on: [`decide`] and [`apply`]. This file only dispatches; each feature's commands,
//! decision and application are in its own file.

use crate::config::ConfigCommand;
use crate::entry::{EntryCommand, Reading, State as EntryState};
use crate::epoch::Restored;
use crate::held::HeldCommand;
use crate::ids::{CommandKey, IndicatorId, Origin, PersonId, Position};
use crate::indicator::SetIndicator;
use crate::narrative::SetNarrative;
use crate::people::{PeopleCommand, Role};
use crate::plan::PlanCommand;
use crate::quarter::QuarterCommand;
use crate::rejection::{Code, Rejection};
use crate::revision::RevisionCommand;
use crate::state::State;
use crate::time::{Date, Quarter, Timestamp};
use crate::{config, entry, held, indicator, narrative, people, plan, quarter, revision};

/// What somebody asks, as they signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    People(PeopleCommand),
    Plan(PlanCommand),
    Indicator(SetIndicator),
    Entry(EntryCommand),
    Held(HeldCommand),
    Quarter(QuarterCommand),
    Revision(RevisionCommand),
    Narrative(SetNarrative),
    Config(ConfigCommand),
    /// Signed bytes that are no command. Refused and kept, so that its author is answered and nothing behind it waits.
    Unreadable,
}

/// A command with who asks it. The author is the owner of the enrolled device that signed it, never a claim of the
/// payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    pub origin: Origin,
    /// Gapless from 1 within the origin; 0 for the host's own acts.
    pub sequence: u32,
    pub author: PersonId,
    /// The device's clock when the command was made.
    pub made_at: Timestamp,
    /// True when the record says why (the text itself lies beside the record).
    pub has_reason: bool,
    /// What an epoch that ended says of it, where it is offered again.
    pub restored: Option<Box<Restored>>,
    pub command: Command,
}

impl Envelope {
    /// The name of the command.
    pub fn key(&self) -> CommandKey {
        CommandKey::new(self.origin, self.sequence)
    }
}

/// What was decided about a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It happened; with what it did beyond its own words.
    Recorded(Effect),
    /// A readable fact that today's rules do not admit; it waits for a person.
    Held(Rejection),
    /// It changes nothing; the attempt is in the audit trail.
    Refused(Rejection),
}

/// What a recorded command did that its own words do not tell, so that figures can be folded without the entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// Recorded after the quarter's due date.
    pub late: bool,
    /// The entry as it counted before.
    pub before: Option<Counted>,
    /// The entry as it counts now, where the command alone does not say it.
    pub after: Option<Counted>,
    /// What stands as the latest reported reading of the quarter that it left, where it was the latest there.
    pub reported_left: Option<Box<Counted>>,
    /// The same of the verified readings.
    pub verified_left: Option<Box<Counted>>,
    /// SHA-256 of every figure that a lock froze.
    pub frozen: Option<Box<[u8; 32]>>,
}

/// How an entry counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    pub indicator: IndicatorId,
    /// The quarter it counts in; not that of `on` when it was carried over.
    pub quarter: Quarter,
    pub on: Date,
    pub reading: Reading,
    pub state: EntryState,
    /// The record that first counted it, which orders readings of one day; 0 for the record itself.
    pub position: Position,
}

/// One record of the log: a command as its author signed it, and what was decided about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub position: Position,
    /// The server's time; never earlier than that of the record before.
    pub time: Timestamp,
    /// Who brought it over the wire, when it was not the author.
    pub carrier: Option<PersonId>,
    pub envelope: Envelope,
    pub outcome: Outcome,
}

impl Record {
    /// The time by which it was decided.
    pub fn decided_at(&self) -> Timestamp {
        self.envelope.restored.as_ref().map_or(self.time, |restored| restored.time)
    }
}

/// Decides one command against the state. Pure: the same arguments give the same outcome on every machine. One that is
/// offered again after its epoch ended is decided as of the time of its first record.
pub fn decide(state: &State, envelope: &Envelope, now: Timestamp) -> Outcome {
    let now = envelope.restored.as_ref().map_or(now, |restored| restored.time);
    permitted(state, envelope, now)
        .and_then(|()| match &envelope.command {
            Command::People(command) => people::decide(state, envelope, command, now),
            Command::Plan(command) => plan::decide(state, envelope, command),
            Command::Indicator(command) => indicator::decide(state, command),
            Command::Entry(command) => entry::decide(state, envelope, command, now),
            Command::Held(command) => held::decide(state, envelope, command, now),
            Command::Quarter(command) => quarter::decide(state, envelope, command, now),
            Command::Narrative(command) => narrative::decide(state, envelope, command, now),
            Command::Config(command) => config::decide(state, command),
            Command::Revision(command) => revision::decide(state, envelope, command, now),
            Command::Unreadable => unreachable!("BUG: `permitted` has refused it"),
        })
        .unwrap_or_else(Outcome::Refused)
}

/// Folds one record into the state. Total: a record is never refused here.
pub fn apply(state: &mut State, record: &Record) {
    state.position = record.position;
    state.time = record.time;
    let envelope = &record.envelope;
    if let Some(incarnation) = state.people.incarnations.get_mut(envelope.origin.index()) {
        incarnation.last_sequence = envelope.sequence;
        incarnation.last_time = record.time;
        let device = state.people.devices.get_mut(incarnation.device.index());
        if let Some(device) = device.filter(|device| device.revoked.is_some()) {
            device.after_revocation += 1;
        }
    }
    match (&record.outcome, &envelope.command) {
        (Outcome::Recorded(_), Command::People(command)) => people::apply(state, record, command),
        (Outcome::Recorded(_), Command::Plan(command)) => plan::apply(state, record, command),
        (Outcome::Recorded(_), Command::Indicator(command)) => indicator::apply(state, record, command),
        (Outcome::Recorded(effect), Command::Entry(command)) => entry::apply(state, record, command, effect),
        (Outcome::Recorded(effect), Command::Held(command)) => held::apply(state, record, command, effect),
        (Outcome::Recorded(_), Command::Quarter(command)) => quarter::apply(state, record, command),
        (Outcome::Recorded(_), Command::Narrative(command)) => narrative::apply(state, record, command),
        (Outcome::Recorded(_), Command::Config(command)) => config::apply(state, record, command),
        (Outcome::Recorded(_), Command::Revision(command)) => revision::apply(state, record, command),
        (Outcome::Held(cause), Command::Entry(command)) => held::hold(state, record, command, cause),
        (Outcome::Recorded(_), Command::Unreadable) | (Outcome::Held(_), _) | (Outcome::Refused(_), _) => {}
    }
}

/// A character that a terminal obeys instead of showing it: control characters and overrides of the writing direction.
pub fn is_unprintable(character: char) -> bool {
    character.is_control() || matches!(character, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Longest text of a command in bytes; with all that a record may say beside it, it stays a leaf of the log.
pub const TEXT_BYTES_MAX: usize = 4_000;

/// Which roles may ask a command at all. The host (the operator at the server's own console) may do what an operator
/// may, and enrol devices.
pub fn allowed_roles(command: &Command) -> &'static [Role] {
    match command {
        Command::People(PeopleCommand::ConfirmGrant(_) | PeopleCommand::DeclineGrant(_)) => {
            &[Role::HeadOfOffice]
        }
        Command::People(_) => &[Role::Operator],
        Command::Plan(PlanCommand::ApprovePlan(_) | PlanCommand::SendBackPlan(_)) => &[Role::HeadOfOffice],
        Command::Plan(_)
        | Command::Indicator(_)
        | Command::Held(HeldCommand::Release(_) | HeldCommand::Dismiss(_))
        | Command::Config(_) => &[Role::Administrator],
        Command::Entry(EntryCommand::Verify(_) | EntryCommand::Return(_)) => {
            &[Role::HeadOfUnit, Role::HeadOfOffice]
        }
        Command::Entry(_) | Command::Held(HeldCommand::Withdraw(_)) => &[Role::Officer, Role::HeadOfUnit],
        Command::Narrative(_) | Command::Quarter(QuarterCommand::RequestReopen(..)) => {
            &[Role::HeadOfUnit, Role::Administrator]
        }
        Command::Quarter(
            QuarterCommand::Request(_) | QuarterCommand::GrantReopen(_) | QuarterCommand::DeclineReopen(_),
        ) => &[Role::Administrator],
        Command::Quarter(QuarterCommand::Relock(_)) => &[],
        Command::Quarter(QuarterCommand::Approve(_) | QuarterCommand::Reject(_)) => &[Role::HeadOfOffice],
        Command::Revision(RevisionCommand::Approve(_) | RevisionCommand::Reject(_)) => &[Role::HeadOfOffice],
        Command::Revision(_) => &[Role::Administrator],
        Command::Unreadable => &Role::ALL,
    }
}

fn permitted(state: &State, envelope: &Envelope, now: Timestamp) -> Result<(), Rejection> {
    if envelope.command == Command::Unreadable {
        return Err(Rejection::new(Code::Unreadable).with("sequence", envelope.sequence));
    }
    if let Some(bytes) = envelope.command.texts().map(str::len).find(|bytes| *bytes > TEXT_BYTES_MAX) {
        return Err(Rejection::new(Code::TooLarge).with("bytes", bytes).with("bytes_max", TEXT_BYTES_MAX));
    }
    if let Some(text) = envelope.command.texts().find(|text| text.chars().any(is_unprintable)) {
        let at = text.chars().position(is_unprintable).map_or(0, |at| at + 1);
        return Err(Rejection::new(Code::TextUnprintable).with("character", at));
    }
    if envelope.origin == Origin::HOST {
        return match &envelope.command {
            Command::People(PeopleCommand::ConfirmGrant(_) | PeopleCommand::DeclineGrant(_)) => {
                Err(Rejection::new(Code::RoleMayNot)
                    .with("role", "host")
                    .with("command", envelope.command.name()))
            }
            Command::People(_) | Command::Quarter(QuarterCommand::Relock(_)) => Ok(()),
            _ => Err(Rejection::new(Code::RoleMayNot)
                .with("role", "host")
                .with("command", envelope.command.name())),
        };
    }
    let recording = matches!(
        envelope.command,
        Command::Entry(EntryCommand::Add(_) | EntryCommand::Amend(_) | EntryCommand::Void(_))
            | Command::Held(HeldCommand::Withdraw(_))
    );
    let revoked = state.people.device_of(envelope.origin).is_none_or(|device| device.revoked.is_some());
    let fact = matches!(envelope.command, Command::Entry(_)) && recording;
    if revoked && !fact {
        return Err(Rejection::new(Code::DeviceRevoked).with("command", envelope.command.name()));
    }
    let roles = allowed_roles(&envelope.command);
    let today = state.day(now);
    // A fact is judged by the assignment of the day it happened, which `entry` does; here it is enough to have ever
    // been one who records.
    let holds = |role: &Role| match recording {
        true => state
            .people
            .person(envelope.author)
            .is_some_and(|p| p.assignments.iter().any(|a| a.role == *role)),
        false => state.people.has_role(envelope.author, *role, today),
    };
    if roles.iter().any(holds) {
        return Ok(());
    }
    let names: Vec<&str> = roles.iter().map(|role| role.name()).collect();
    Err(Rejection::new(Code::RoleMayNot)
        .with("role", names.join(", "))
        .with("command", envelope.command.name()))
}

impl Command {
    /// The command's name in the log, as something that happened.
    pub fn name(&self) -> &'static str {
        match self {
            Command::People(PeopleCommand::FoundOffice(_)) => "office.founded",
            Command::People(PeopleCommand::AddUnit(_)) => "unit.added",
            Command::People(PeopleCommand::AddPerson(_)) => "person.added",
            Command::People(PeopleCommand::Assign(_)) => "person.assigned",
            Command::People(PeopleCommand::EndAssignments(_)) => "person.assignments_ended",
            Command::People(PeopleCommand::EnrolDevice(_)) => "device.enrolled",
            Command::People(PeopleCommand::RevokeDevice(_)) => "device.revoked",
            Command::People(PeopleCommand::ConfirmGrant(_)) => "grant.confirmed",
            Command::People(PeopleCommand::DeclineGrant(_)) => "grant.declined",
            Command::People(PeopleCommand::AdoptRules(_)) => "rules.adopted",
            Command::People(PeopleCommand::BeginEpoch(_)) => "epoch.begun",
            Command::Plan(PlanCommand::StartImport(_)) => "plan.import_started",
            Command::Plan(PlanCommand::ImportObjective(_)) => "plan.objective_imported",
            Command::Plan(PlanCommand::ImportIndicator(_)) => "plan.indicator_imported",
            Command::Plan(PlanCommand::FinishImport(_)) => "plan.imported",
            Command::Plan(PlanCommand::EstablishPlan(_)) => "plan.establishment_requested",
            Command::Plan(PlanCommand::ApprovePlan(_)) => "plan.established",
            Command::Plan(PlanCommand::SendBackPlan(_)) => "plan.sent_back",
            Command::Plan(PlanCommand::RecallPlan(_)) => "plan.recalled",
            Command::Indicator(_) => "indicator.set",
            Command::Entry(EntryCommand::Add(_)) => "entry.added",
            Command::Entry(EntryCommand::Amend(_)) => "entry.amended",
            Command::Entry(EntryCommand::Void(_)) => "entry.voided",
            Command::Entry(EntryCommand::Verify(_)) => "entry.verified",
            Command::Entry(EntryCommand::Return(_)) => "entry.returned",
            Command::Held(HeldCommand::Release(_)) => "held.released",
            Command::Held(HeldCommand::Dismiss(_)) => "held.dismissed",
            Command::Held(HeldCommand::Withdraw(_)) => "held.withdrawn",
            Command::Quarter(QuarterCommand::Request(_)) => "quarter.lock_requested",
            Command::Quarter(QuarterCommand::Approve(_)) => "quarter.locked",
            Command::Quarter(QuarterCommand::Reject(_)) => "quarter.lock_rejected",
            Command::Quarter(QuarterCommand::RequestReopen(..)) => "quarter.reopen_requested",
            Command::Quarter(QuarterCommand::GrantReopen(_)) => "quarter.reopened",
            Command::Quarter(QuarterCommand::DeclineReopen(_)) => "quarter.reopen_declined",
            Command::Quarter(QuarterCommand::Relock(_)) => "quarter.relocked",
            Command::Narrative(_) => "narrative.set",
            Command::Config(ConfigCommand::SetBands(_)) => "config.bands_set",
            Command::Config(ConfigCommand::SetDueDays(_)) => "config.due_days_set",
            Command::Config(ConfigCommand::SetDays { .. }) => "config.holidays_set",
            Command::Revision(RevisionCommand::Draft(_)) => "revision.drafted",
            Command::Revision(RevisionCommand::AddChange(..)) => "revision.change_added",
            Command::Revision(RevisionCommand::Submit(_)) => "revision.submitted",
            Command::Revision(RevisionCommand::Approve(_)) => "revision.approved",
            Command::Revision(RevisionCommand::Reject(_)) => "revision.rejected",
            Command::Revision(RevisionCommand::Withdraw(_)) => "revision.withdrawn",
            Command::Unreadable => "command.unreadable",
        }
    }

    /// True for the commands that may be made without the server and wait on the device.
    pub fn works_offline(&self) -> bool {
        matches!(
            self,
            Command::Entry(EntryCommand::Add(_) | EntryCommand::Amend(_) | EntryCommand::Void(_))
                | Command::Held(HeldCommand::Withdraw(_))
        )
    }

    /// Every text that the command carries.
    fn texts(&self) -> impl Iterator<Item = &str> {
        let texts: Vec<&str> = match self {
            Command::People(PeopleCommand::FoundOffice(found)) => vec![&found.name],
            Command::People(PeopleCommand::AddUnit(add)) => vec![&add.name],
            Command::People(PeopleCommand::BeginEpoch(begin)) => vec![&begin.reason],
            Command::People(_) | Command::Held(_) | Command::Quarter(_) | Command::Unreadable => Vec::new(),
            Command::Plan(command) => command.texts(),
            Command::Indicator(set) => set.targets.iter().filter_map(|(_, target)| target.text()).collect(),
            Command::Entry(EntryCommand::Add(add)) => add.reading.text().into_iter().collect(),
            Command::Entry(EntryCommand::Amend(amend)) => amend.reading.text().into_iter().collect(),
            Command::Entry(_) => Vec::new(),
            Command::Revision(command) => command.texts(),
            Command::Narrative(set) => set.texts(),
            Command::Config(command) => command.texts(),
        };
        texts.into_iter()
    }
}
