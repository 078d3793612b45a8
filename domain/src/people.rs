//! People, their dated roles, units and devices. A person is a number here; names lie in the directory beside the log.

use uuid::Uuid;

use crate::RULES_VERSION;
use crate::command::{Effect, Envelope, Outcome, Record};
use crate::epoch::{self, BeginEpoch};
use crate::ids::{DeviceId, GrantId, Origin, PersonId, Position, UnitId};
use crate::rejection::{Code, Rejection};
use crate::state::State;
use crate::time::{Date, Timestamp, Zone};

/// What a person may be to the office.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Petugas: records for the indicators of their unit.
    Officer,
    /// Kepala Bidang, Sekretaris, Kepala Sub Bagian: records, and verifies or returns the unit's entries.
    HeadOfUnit,
    /// Sub Bagian Perencanaan: import, revisions, locks, held entries.
    Administrator,
    /// Kepala Dinas: establishes the plan, approves revisions and locks.
    HeadOfOffice,
    /// Inspektorat: reads everything, changes nothing.
    Auditor,
    /// People, devices and the server; no power over figures.
    Operator,
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 6] = [
        Role::Officer,
        Role::HeadOfUnit,
        Role::Administrator,
        Role::HeadOfOffice,
        Role::Auditor,
        Role::Operator,
    ];

    /// The name used in commands, JSON and the log.
    pub fn name(self) -> &'static str {
        match self {
            Role::Officer => "officer",
            Role::HeadOfUnit => "head-of-unit",
            Role::Administrator => "administrator",
            Role::HeadOfOffice => "head-of-office",
            Role::Auditor => "auditor",
            Role::Operator => "operator",
        }
    }

    /// The role of a name; the underscore form and the Indonesian words are understood too.
    pub fn from_name(name: &str) -> Option<Role> {
        let name = name.trim().to_lowercase().replace(['_', ' '], "-");
        Some(match name.as_str() {
            "petugas" => Role::Officer,
            "kepala-bidang" | "unit-head" => Role::HeadOfUnit,
            "admin" => Role::Administrator,
            "kepala-dinas" | "office-head" | "head" => Role::HeadOfOffice,
            "inspektorat" => Role::Auditor,
            other => return Role::ALL.into_iter().find(|role| role.name() == other),
        })
    }
}

/// A role held from a date until a date (both included), within a unit where the role is bound to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    pub role: Role,
    pub unit: Option<UnitId>,
    /// `None`: since ever.
    pub from: Option<Date>,
    /// `None`: until further notice.
    pub until: Option<Date>,
}

impl Assignment {
    /// True when the assignment holds on a day.
    pub fn holds_on(&self, day: Date) -> bool {
        self.from.is_none_or(|from| from <= day) && self.until.is_none_or(|until| day <= until)
    }

    /// True when there is a day on which both hold.
    fn overlaps(&self, other: &Assignment) -> bool {
        let until = [self.until, other.until].into_iter().flatten().min();
        match (self.from.max(other.from), until) {
            (Some(from), Some(until)) => from <= until,
            _ => true,
        }
    }
}

/// One person: all their assignments, past ones included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    pub assignments: Vec<Assignment>,
}

/// An organisational unit. Its name is compared without case and blanks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    pub name: Box<str>,
}

/// An enrolled device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    pub owner: PersonId,
    /// Ed25519 public key.
    pub key: [u8; 32],
    /// The record that revoked it.
    pub revoked: Option<Position>,
    /// Commands it has handed in since.
    pub after_revocation: u32,
}

/// One incarnation of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incarnation {
    pub device: DeviceId,
    pub uuid: Uuid,
    /// The record that enrolled it.
    pub enrolled: Position,
    /// The last sequence that the log holds.
    pub last_sequence: u32,
    /// The time of the last record that it brought.
    pub last_time: Timestamp,
}

/// What became of a role that waits for a second person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantState {
    Waiting,
    Confirmed,
    Declined,
}

impl GrantState {
    /// The name used in JSON.
    pub fn name(self) -> &'static str {
        match self {
            GrantState::Waiting => "waiting",
            GrantState::Confirmed => "confirmed",
            GrantState::Declined => "declined",
        }
    }
}

/// A role that an operator gave and that holds only once the head of office has confirmed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub person: PersonId,
    pub assignment: Assignment,
    /// 0: at the server's own console.
    pub given_by: PersonId,
    pub state: GrantState,
    /// The record that asked for it.
    pub position: Position,
}

/// Everybody and every device, in the order of their records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    pub persons: Vec<Person>,
    pub units: Vec<Unit>,
    pub devices: Vec<Device>,
    pub incarnations: Vec<Incarnation>,
    /// Roles that needed a second person, decided ones included.
    pub grants: Vec<Grant>,
}

impl People {
    /// A person by id.
    pub fn person(&self, id: PersonId) -> Option<&Person> {
        self.persons.get(id.index())
    }

    /// A unit by id.
    pub fn unit(&self, id: UnitId) -> Option<&Unit> {
        self.units.get(id.index())
    }

    /// The unit of a name, case and blanks ignored.
    pub fn unit_named(&self, name: &str) -> Option<UnitId> {
        let wanted = folded(name);
        self.units.iter().position(|unit| folded(&unit.name) == wanted).map(UnitId::after)
    }

    /// A device by id.
    pub fn device(&self, id: DeviceId) -> Option<&Device> {
        self.devices.get(id.index())
    }

    /// An incarnation by its number.
    pub fn incarnation(&self, origin: Origin) -> Option<&Incarnation> {
        self.incarnations.get(origin.index())
    }

    /// The device behind an incarnation.
    pub fn device_of(&self, origin: Origin) -> Option<&Device> {
        self.device(self.incarnation(origin)?.device)
    }

    /// The person whose device an incarnation is.
    pub fn owner_of(&self, origin: Origin) -> Option<PersonId> {
        Some(self.device_of(origin)?.owner)
    }

    /// The assignments of a person that hold on a day.
    pub fn assignments_on(&self, person: PersonId, day: Date) -> impl Iterator<Item = &Assignment> {
        self.person(person).into_iter().flat_map(|p| &p.assignments).filter(move |a| a.holds_on(day))
    }

    /// A grant by id.
    pub fn grant(&self, id: GrantId) -> Option<&Grant> {
        self.grants.get(id.index())
    }

    /// True when somebody can act as head of office on a day: holds the role, on a device that is not revoked.
    pub fn has_acting_head(&self, day: Date) -> bool {
        let can_act = |owner| self.devices.iter().any(|d| d.owner == owner && d.revoked.is_none());
        (1..).zip(&self.persons).any(|(number, person)| {
            let heads = |a: &Assignment| a.role == Role::HeadOfOffice && a.holds_on(day);
            person.assignments.iter().any(heads) && can_act(PersonId(number))
        })
    }

    /// True when the person holds the role on a day.
    pub fn has_role(&self, person: PersonId, role: Role, day: Date) -> bool {
        self.assignments_on(person, day).any(|a| a.role == role)
    }
}

/// A name as it is compared: without blanks and case. Of ASCII only, because a fold must not depend on the version of
/// Unicode that a release was built with.
pub fn folded(name: &str) -> String {
    name.chars().filter(|c| !c.is_ascii_whitespace()).map(|c| c.to_ascii_lowercase()).collect()
}

/// Founds the office: the first record of every log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundOffice {
    pub office: Uuid,
    pub name: Box<str>,
    pub zone: Zone,
    /// A training office: every output says so, and its clock may be played.
    pub rehearsal: bool,
    /// The rules by which its log is decided.
    pub rules: u32,
}

/// Adds a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddUnit {
    pub name: Box<str>,
}

/// Adds a person; the name goes into the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddPerson;

/// Gives a person a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assign {
    pub person: PersonId,
    pub assignment: Assignment,
}

/// Ends the assignments of a person after a day: those of a role and in a unit, or all where they are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndAssignments {
    pub person: PersonId,
    pub role: Option<Role>,
    pub unit: Option<UnitId>,
    pub last_day: Date,
}

/// Enrols a device with its first incarnation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolDevice {
    pub owner: PersonId,
    pub key: [u8; 32],
    pub incarnation: Uuid,
    /// What the device signed when it answered its invite; `None` only where nobody invited it.
    pub proof: Option<Box<EnrolmentProof>>,
}

/// A device's answer to an invite, kept so that anyone can check that the holder of the key gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolmentProof {
    /// Ed25519 over authority, code and incarnation.
    pub signature: [u8; 64],
    /// SHA-256 of the invite's code.
    pub code_sha256: [u8; 32],
    /// SHA-256 of the certificate authority that the invite named.
    pub authority_sha256: [u8; 32],
}

/// Takes a device's rights away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokeDevice {
    pub device: DeviceId,
}

/// The commands of this file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeopleCommand {
    FoundOffice(FoundOffice),
    AddUnit(AddUnit),
    AddPerson(AddPerson),
    Assign(Assign),
    EndAssignments(EndAssignments),
    EnrolDevice(EnrolDevice),
    RevokeDevice(RevokeDevice),
    /// Lets a role hold that waited for a second person.
    ConfirmGrant(GrantId),
    DeclineGrant(GrantId),
    /// From here on the log is decided by these rules: a newer release took the office over.
    AdoptRules(u32),
    /// From here on the log is in another epoch: what was signed in an earlier one may be of records that are lost.
    BeginEpoch(Box<BeginEpoch>),
}

pub(crate) fn decide(
    state: &State,
    envelope: &Envelope,
    command: &PeopleCommand,
    now: Timestamp,
) -> Result<Outcome, Rejection> {
    use PeopleCommand as P;
    let people = &state.people;
    let host_only =
        matches!(command, P::FoundOffice(_) | P::EnrolDevice(_) | P::AdoptRules(_) | P::BeginEpoch(_));
    if host_only && envelope.origin != Origin::HOST {
        return Err(Rejection::new(Code::RoleMayNot).with("role", "host"));
    }
    let known_person = |id: PersonId| {
        people.person(id).map(|_| ()).ok_or_else(|| Rejection::new(Code::UnknownPerson).with("person", id))
    };
    let known_unit = |id: Option<UnitId>| match id {
        Some(id) if people.unit(id).is_none() => Err(Rejection::new(Code::UnknownUnit).with("unit", id)),
        _ => Ok(()),
    };
    match command {
        P::FoundOffice(_) if state.office.is_some() => return Err(Rejection::new(Code::OfficeExists)),
        P::AddUnit(add) if people.unit_named(&add.name).is_some() => {
            return Err(Rejection::new(Code::NothingToChange).with("unit", &add.name));
        }
        P::AddUnit(add) if add.name.trim().is_empty() => return Err(Rejection::new(Code::NothingToChange)),
        P::FoundOffice(_) | P::AddUnit(_) | P::AddPerson(_) => {}
        P::Assign(assign) => {
            known_person(assign.person)?;
            known_unit(assign.assignment.unit)?;
            operator_stands_alone(state, assign.person, &assign.assignment)?;
        }
        P::EndAssignments(end) => {
            known_person(end.person)?;
            known_unit(end.unit)?;
        }
        P::EnrolDevice(enrol) => {
            known_person(enrol.owner)?;
            // Its UUID is the namespace of entry ids: two incarnations must never share one.
            if people.incarnations.iter().any(|known| known.uuid == enrol.incarnation) {
                return Err(Rejection::new(Code::NothingToChange).with("incarnation", enrol.incarnation));
            }
        }
        P::RevokeDevice(revoke) => match people.device(revoke.device) {
            None => return Err(Rejection::new(Code::UnknownDevice).with("device", revoke.device)),
            Some(device) if device.revoked.is_some() => {
                return Err(Rejection::new(Code::NothingToChange).with("device", revoke.device));
            }
            Some(_) => {}
        },
        P::ConfirmGrant(id) => confirmable(state, envelope, *id, now)?,
        P::DeclineGrant(id) => {
            waiting_grant(state, *id)?;
            crate::entry::reason_given(envelope)?;
        }
        P::AdoptRules(rules) if *rules <= state.rules => {
            return Err(Rejection::new(Code::NothingToChange).with("rules", rules));
        }
        // Rules that nobody here knows would leave everything after them undecided.
        P::AdoptRules(rules) if *rules > RULES_VERSION => {
            return Err(Rejection::new(Code::RulesUnknown).with("rules", rules).with("known", RULES_VERSION));
        }
        P::AdoptRules(_) => {}
        P::BeginEpoch(begin) => return epoch::decide(state, envelope, begin),
    }
    Ok(Outcome::Recorded(Effect::default()))
}

/// An operator has no other role beside it: no power over figures. A role given since ever looks back no further than
/// today, so that a former operator can be given another.
fn operator_stands_alone(state: &State, person: PersonId, wanted: &Assignment) -> Result<(), Rejection> {
    let mut wanted = wanted.clone();
    wanted.from = wanted.from.or(Some(state.day(state.time)));
    let clash = state.people.person(person).into_iter().flat_map(|p| &p.assignments).find(|held| {
        held.role != wanted.role
            && (held.role == Role::Operator || wanted.role == Role::Operator)
            && held.overlaps(&wanted)
    });
    match clash {
        Some(held) => Err(Rejection::new(Code::RoleMayNot)
            .with("role", wanted.role.name())
            .with("beside", held.role.name())),
        None => Ok(()),
    }
}

/// Whoever may lock quarters and decide on the plan is not made by one person alone, once there is somebody who can be
/// the second: the head of office.
pub fn needs_second_person(state: &State, assignment: &Assignment, now: Timestamp) -> bool {
    state.rules >= 2
        && matches!(assignment.role, Role::Administrator | Role::HeadOfOffice)
        && state.people.has_acting_head(state.day(now))
}

fn waiting_grant(state: &State, id: GrantId) -> Result<&Grant, Rejection> {
    let waiting = state.people.grant(id).filter(|grant| grant.state == GrantState::Waiting);
    waiting.ok_or_else(|| Rejection::new(Code::UnknownGrant).with("grant", id))
}

fn confirmable(state: &State, envelope: &Envelope, id: GrantId, now: Timestamp) -> Result<(), Rejection> {
    let grant = waiting_grant(state, id)?;
    if [grant.given_by, grant.person].contains(&envelope.author) {
        return Err(Rejection::new(Code::SelfApproval).with("grant", id));
    }
    if grant.assignment.until.is_some_and(|until| until < state.day(now)) {
        return Err(Rejection::new(Code::UnknownGrant).with("grant", id));
    }
    operator_stands_alone(state, grant.person, &grant.assignment)
}

pub(crate) fn apply(state: &mut State, record: &Record, command: &PeopleCommand) {
    if let PeopleCommand::Assign(assign) = command
        && needs_second_person(state, &assign.assignment, record.decided_at())
    {
        state.people.grants.push(Grant {
            person: assign.person,
            assignment: assign.assignment.clone(),
            given_by: record.envelope.author,
            state: GrantState::Waiting,
            position: record.position,
        });
        return;
    }
    let people = &mut state.people;
    match command {
        PeopleCommand::FoundOffice(found) => {
            state.rules = found.rules;
            state.office = Some(found.clone());
        }
        PeopleCommand::AdoptRules(rules) => state.rules = *rules,
        PeopleCommand::BeginEpoch(begin) => state.epochs.push((**begin).clone()),
        PeopleCommand::ConfirmGrant(id) => {
            let Some(grant) = people.grants.get_mut(id.index()) else { return };
            grant.state = GrantState::Confirmed;
            if let Some(person) = people.persons.get_mut(grant.person.index()) {
                person.assignments.push(grant.assignment.clone());
            }
        }
        PeopleCommand::DeclineGrant(id) => {
            if let Some(grant) = people.grants.get_mut(id.index()) {
                grant.state = GrantState::Declined;
            }
        }
        PeopleCommand::AddUnit(add) => people.units.push(Unit { name: add.name.clone() }),
        PeopleCommand::AddPerson(_) => people.persons.push(Person::default()),
        PeopleCommand::Assign(assign) => {
            if let Some(person) = people.persons.get_mut(assign.person.index()) {
                person.assignments.push(assign.assignment.clone());
            }
        }
        PeopleCommand::EndAssignments(end) => {
            if let Some(person) = people.persons.get_mut(end.person.index()) {
                let meant = |a: &&mut Assignment| {
                    (end.unit.is_none() || a.unit == end.unit) && end.role.is_none_or(|role| role == a.role)
                };
                let ended = person.assignments.iter_mut().filter(meant);
                ended.for_each(|a| {
                    a.until = Some(a.until.map_or(end.last_day, |until| until.min(end.last_day)))
                });
            }
        }
        PeopleCommand::EnrolDevice(enrol) => {
            people.devices.push(Device {
                owner: enrol.owner,
                key: enrol.key,
                revoked: None,
                after_revocation: 0,
            });
            let device = DeviceId::after(people.devices.len() - 1);
            people.incarnations.push(Incarnation {
                device,
                uuid: enrol.incarnation,
                enrolled: record.position,
                last_sequence: 0,
                last_time: record.time,
            });
        }
        PeopleCommand::RevokeDevice(revoke) => {
            if let Some(device) = people.devices.get_mut(revoke.device.index()) {
                device.revoked = Some(record.position);
            }
        }
    }
}

impl State {
    /// The civil date at an instant in the office's zone.
    pub fn day(&self, time: Timestamp) -> Date {
        self.zone().date_at(time)
    }

    /// The office's zone; Jakarta before the office is founded.
    pub fn zone(&self) -> Zone {
        self.office.as_ref().map_or(Zone::Jakarta, |office| office.zone)
    }
}
