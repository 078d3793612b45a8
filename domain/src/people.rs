//! People, their dated roles, units and devices. A person is a number here; names lie in the directory beside the log.

use uuid::Uuid;

use crate::command::{Effect, Envelope, Outcome, Record};
use crate::ids::{DeviceId, Origin, PersonId, Position, UnitId};
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
    /// The last sequence that the log holds.
    pub last_sequence: u32,
}

/// Everybody and every device, in the order of their records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    pub persons: Vec<Person>,
    pub units: Vec<Unit>,
    pub devices: Vec<Device>,
    pub incarnations: Vec<Incarnation>,
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
}

pub(crate) fn decide(
    state: &State,
    envelope: &Envelope,
    command: &PeopleCommand,
) -> Result<Outcome, Rejection> {
    use PeopleCommand as P;
    let people = &state.people;
    let host_only = matches!(command, P::FoundOffice(_) | P::EnrolDevice(_));
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
            operator_stands_alone(state, assign)?;
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
    }
    Ok(Outcome::Recorded(Effect::default()))
}

/// An operator has no other role beside it: no power over figures. A role given since ever looks back no further than
/// today, so that a former operator can be given another.
fn operator_stands_alone(state: &State, assign: &Assign) -> Result<(), Rejection> {
    let mut wanted = assign.assignment.clone();
    wanted.from = wanted.from.or(Some(state.day(state.time)));
    let clash = state.people.person(assign.person).into_iter().flat_map(|p| &p.assignments).find(|held| {
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

pub(crate) fn apply(state: &mut State, record: &Record, command: &PeopleCommand) {
    let people = &mut state.people;
    match command {
        PeopleCommand::FoundOffice(found) => state.office = Some(found.clone()),
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
            people.incarnations.push(Incarnation { device, uuid: enrol.incarnation, last_sequence: 0 });
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
