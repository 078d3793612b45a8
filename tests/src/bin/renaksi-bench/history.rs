//! What the benches fold: an office with the 2024 plan, and a year of its officers' work on it.

use std::collections::VecDeque;

use renaksi_documents::txt::read_plan;
use renaksi_domain::command::{Command, Envelope, Outcome, Record};
use renaksi_domain::entry::{AddEntry, AmendEntry, EntryCommand, EntryVersion, Reading};
use renaksi_domain::held::{HeldCommand, ReleaseHeld};
use renaksi_domain::ids::{CommandKey, IndicatorId, Origin, PersonId, UnitId};
use renaksi_domain::indicator::{Level, SetIndicator};
use renaksi_domain::people::{AddPerson, Assign, Assignment, EnrolDevice, FoundOffice, PeopleCommand, Role};
use renaksi_domain::plan::{FinishImport, ImportIndicator, ImportObjective, PlanCommand, StartImport};
use renaksi_domain::proposal::Kind;
use renaksi_domain::quantity::Quantity;
use renaksi_domain::time::{Date, Timestamp, Zone};
use renaksi_domain::{State, apply, decide};
use uuid::Uuid;

const OFFICERS: u32 = 20;
const ADMINISTRATOR: u32 = 1;
const HEAD: u32 = 2;
/// The officers' numbers begin here.
const OFFICERS_FROM: u32 = 3;
/// An officer changes one of this many entries of their own, and the head judges one of them.
const RECENT_ENTRIES: usize = 32;
const NOW: Timestamp = Timestamp(1_734_000_000_000_000);
const FIRST_DAY: i32 = 19_723;
/// Until today's date, 12 December.
const DAYS: usize = 345;

/// An office.
pub struct History {
    /// The records that founded it, with people and plan, and the state after them.
    pub founding: Vec<Record>,
    pub start: State,
    /// Those of its year.
    pub records: Vec<Record>,
}

/// What officers do of a hundred things: add, amend, void; what the head verifies and returns.
#[derive(Clone, Copy, Debug)]
pub enum Mix {
    /// 65 add, of which 4 a ratio and 4 what is held; 2 are released, 10 amend, 4 void, 15 are verified, 4 returned.
    Year,
    /// 10 add, 45 amend, 1 voids, 34 are verified, 10 returned: about ten records a live entry.
    Reworked,
}

/// An office with so many records of a year's work.
pub fn history(length: usize) -> History {
    let mut maker = Maker { key: [1; 32], id: Uuid::from_u128(1), ..Maker::default() };
    maker.office();
    let start = maker.state.clone();
    let mut records = Vec::with_capacity(length);
    maker.year(Mix::Year, length, |record| records.push(record.clone()));
    assert_mixed(&records);
    History { founding: maker.founding, start, records }
}

/// Every record of an office that has so many, from its first. All its devices have that key.
pub fn office_log(records: usize, key: [u8; 32]) -> Vec<Record> {
    let mut maker = Maker { key, id: Uuid::from_u128(1), ..Maker::default() };
    maker.office();
    let mut all = std::mem::take(&mut maker.founding);
    maker.year(Mix::Year, records - all.len(), |record| all.push(record.clone()));
    all
}

/// Shows every record of an office that has so many, from its first, and keeps none. All its devices have that key; the
/// office is `id`.
pub fn each_record(id: Uuid, records: usize, key: [u8; 32], mut each: impl FnMut(&Record)) {
    let mut maker = Maker { key, id, ..Maker::default() };
    maker.office();
    let founding = std::mem::take(&mut maker.founding);
    founding.iter().for_each(&mut each);
    maker.year(Mix::Reworked, records - founding.len(), each);
}

/// A bench of additions alone would flatter `apply`.
fn assert_mixed(records: &[Record]) {
    let percent = |met: &dyn Fn(&Record) -> bool| {
        records.iter().filter(|record| met(record)).count() as f64 * 100.0 / records.len() as f64
    };
    let recorded = |name: &'static str| {
        percent(&|record| {
            matches!(record.outcome, Outcome::Recorded(_)) && record.envelope.command.name() == name
        })
    };
    for (name, least) in [
        ("entry.added", 50.0),
        ("entry.amended", 5.0),
        ("entry.voided", 2.0),
        ("entry.verified", 5.0),
        ("entry.returned", 2.0),
        ("held.released", 1.0),
    ] {
        assert!(recorded(name) >= least, "{name}: {} %", recorded(name));
    }
    assert!(percent(&|record| matches!(record.outcome, Outcome::Held(_))) >= 2.0, "some are held");
    assert!(percent(&|record| matches!(record.outcome, Outcome::Refused(_))) >= 2.0, "some are refused");
}

/// An entry and its version.
type Known = (CommandKey, CommandKey);

/// Makes records through `decide`, as the writer does.
#[derive(Default)]
struct Maker {
    state: State,
    seed: u64,
    /// Of every device.
    key: [u8; 32],
    id: Uuid,
    /// The last sequence of each device, by origin.
    sequences: Vec<u32>,
    /// What each officer recorded lately.
    recent: Vec<VecDeque<Known>>,
    /// What waits for the administrator.
    held: Vec<CommandKey>,
    /// What comes before the year.
    founding: Vec<Record>,
    /// Indicators that take counts, and those that take ratios.
    counts: Vec<IndicatorId>,
    ratios: Vec<IndicatorId>,
}

impl Maker {
    fn random(&mut self, below: u32) -> u32 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) as u32 % below
    }

    /// Some changes meet an entry that was judged meanwhile and are refused.
    fn work(&mut self, mix: Mix, officer: usize, today: i32) -> (Origin, Command) {
        let own = Origin(OFFICERS_FROM + officer as u32);
        let (head, administrator) = (Origin(HEAD), Origin(ADMINISTRATOR));
        let on = Date::from_days(FIRST_DAY + (today - self.random(30) as i32).max(0));
        let next_week = Date::from_days(FIRST_DAY + DAYS as i32 + 8);
        let chosen = self.random(RECENT_ENTRIES as u32) as usize;
        let known = self.recent[officer].get(chosen).copied();
        let draw = self.random(100);
        if let (Mix::Year, 8..=9, Some(held)) = (mix, draw, self.held.last().copied()) {
            return (administrator, release(held));
        }
        // Where additions end, amendments, voids, verifications, returns.
        let [add, amend, void, verify, send_back] = match mix {
            Mix::Year => [65, 75, 79, 94, 98],
            Mix::Reworked => [10, 55, 56, 90, 100],
        };
        let command = match known {
            Some((entry, base)) if (add..amend).contains(&draw) => {
                EntryCommand::Amend(AmendEntry { entry, base, on, reading: self.count() })
            }
            Some(known) if (amend..void).contains(&draw) => EntryCommand::Void(version(known)),
            Some(known) if (void..verify).contains(&draw) => {
                return (head, Command::Entry(EntryCommand::Verify(version(known))));
            }
            Some(known) if (verify..send_back).contains(&draw) => {
                return (head, Command::Entry(EntryCommand::Return(version(known))));
            }
            _ if draw < 4 && matches!(mix, Mix::Year) => self.add(next_week, false),
            _ => self.add(on, (4..8).contains(&draw)),
        };
        (own, Command::Entry(command))
    }

    fn add(&mut self, on: Date, ratio: bool) -> EntryCommand {
        let draw = self.random(u32::MAX) as usize;
        let rows = if ratio { &self.ratios } else { &self.counts };
        let indicator = rows[draw % rows.len()];
        let reading = match ratio {
            true => Reading::Ratio { numerator: self.quantity(), denominator: self.quantity() },
            false => self.count(),
        };
        EntryCommand::Add(AddEntry { indicator, on, reading })
    }

    fn count(&mut self) -> Reading {
        Reading::Quantity(self.quantity())
    }

    /// Mostly whole; one in eight has decimals.
    fn quantity(&mut self) -> Quantity {
        let scale = if self.random(8) == 0 { 2 } else { 0 };
        Quantity::from_parts(i64::from(self.random(400)) + 1, scale).expect("a small number")
    }

    fn record(&mut self, officer: usize, origin: Origin, command: Command) -> Record {
        self.sequences[origin.0 as usize] += 1;
        let sequence = self.sequences[origin.0 as usize];
        let record = self.put(origin, sequence, PersonId(origin.0), command);
        self.remember(officer, &record);
        record
    }

    fn remember(&mut self, officer: usize, record: &Record) {
        let key = record.envelope.key();
        let recent = &mut self.recent[officer];
        match (&record.outcome, &record.envelope.command) {
            (Outcome::Held(_), _) => self.held.push(key),
            (Outcome::Recorded(_), Command::Held(HeldCommand::Release(_))) => drop(self.held.pop()),
            (Outcome::Recorded(_), Command::Entry(EntryCommand::Add(_))) => {
                recent.truncate(RECENT_ENTRIES - 1);
                recent.push_front((key, key));
            }
            (Outcome::Recorded(_), Command::Entry(EntryCommand::Amend(amend))) => {
                recent.iter_mut().filter(|(entry, _)| *entry == amend.entry).for_each(|known| known.1 = key);
            }
            _ => {}
        }
    }

    fn host(&mut self, command: PeopleCommand) {
        self.found(Origin::HOST, 0, PersonId(0), Command::People(command));
    }

    fn found(&mut self, origin: Origin, sequence: u32, author: PersonId, command: Command) {
        let record = self.put(origin, sequence, author, command);
        self.founding.push(record);
    }

    fn put(&mut self, origin: Origin, sequence: u32, author: PersonId, command: Command) -> Record {
        let envelope =
            Envelope { origin, sequence, author, made_at: NOW, has_reason: true, restored: None, command };
        let outcome = decide(&self.state, &envelope, NOW);
        let record =
            Record { position: self.state.position + 1, time: NOW, carrier: None, envelope, outcome };
        apply(&mut self.state, &record);
        record
    }

    fn year(&mut self, mix: Mix, length: usize, mut each: impl FnMut(&Record)) {
        for done in 0..length {
            let today = i32::try_from(done * DAYS / length).expect("days of one year");
            let officer = self.random(OFFICERS) as usize;
            let (origin, command) = self.work(mix, officer, today);
            each(&self.record(officer, origin, command));
        }
    }

    fn office(&mut self) {
        self.host(PeopleCommand::FoundOffice(FoundOffice {
            office: self.id,
            name: "Dinas".into(),
            zone: Zone::Jakarta,
            rehearsal: false,
            rules: renaksi_domain::RULES_VERSION,
        }));
        // The head is that of every unit; each person has one device, of the same number.
        for number in 1..OFFICERS_FROM + OFFICERS {
            self.host(PeopleCommand::AddPerson(AddPerson));
            let incarnation = Uuid::from_u128(u128::from(number));
            let owner = PersonId(number);
            self.host(PeopleCommand::EnrolDevice(EnrolDevice {
                owner,
                key: self.key,
                incarnation,
                proof: None,
            }));
        }
        self.assign(ADMINISTRATOR, Role::Administrator, None);
        self.import();
        let units = u32::try_from(self.state.people.units.len()).unwrap_or(0);
        for unit in 1..=units {
            (HEAD..OFFICERS_FROM + OFFICERS).for_each(|person| {
                let role = if person == HEAD { Role::HeadOfUnit } else { Role::Officer };
                self.assign(person, role, Some(UnitId(unit)));
            });
        }
        self.sequences = vec![0; 1 + (OFFICERS_FROM + OFFICERS) as usize];
        self.recent = vec![VecDeque::new(); OFFICERS as usize];
        self.choose_rows();
    }

    /// Every eighth of the units' indicators takes ratios.
    fn choose_rows(&mut self) {
        let ids = self.state.plans[0].indicators.clone();
        let of_units = ids
            .into_iter()
            .filter(|id| self.state.indicator(*id).is_some_and(|row| row.facet().unit.is_some()));
        let (ratios, counts): (Vec<_>, Vec<_>) = (0..).zip(of_units).partition(|(at, _)| at % 8 == 0);
        self.counts = counts.into_iter().map(|(_, id)| id).collect();
        self.ratios = ratios.into_iter().map(|(_, id): (u32, _)| id).collect();
        for id in self.ratios.clone() {
            let set =
                SetIndicator { indicator: Some(id), kind: Some(Kind::Ratio), ..SetIndicator::default() };
            let sequence = self.sequences[ADMINISTRATOR as usize] + 1;
            self.sequences[ADMINISTRATOR as usize] = sequence;
            self.found(Origin(ADMINISTRATOR), sequence, PersonId(ADMINISTRATOR), Command::Indicator(set));
        }
    }

    fn assign(&mut self, person: u32, role: Role, unit: Option<UnitId>) {
        let assignment = Assignment { role, unit, from: None, until: None };
        self.host(PeopleCommand::Assign(Assign { person: PersonId(person), assignment }));
    }

    fn import(&mut self) {
        let plan = read_plan(renaksi_seeds::PLAN_2024_TXT).expect("the 2024 plan reads");
        let counts = plan.counts();
        let mut commands = vec![PlanCommand::StartImport(StartImport {
            year: 2024,
            title: plan.office.as_str().into(),
            source_sha256: [0; 32],
        })];
        for objective in &plan.objectives {
            commands
                .push(PlanCommand::ImportObjective(ImportObjective { name: objective.name.as_str().into() }));
            for strategic in &objective.indicators {
                commands.push(row(Level::Strategic, "", &strategic.measure, None));
                for program in &strategic.programs {
                    commands.push(row(Level::Program, &program.name, &program.measure, None));
                    for own in &program.rows {
                        commands.push(row(
                            Level::SubActivity,
                            &own.name,
                            &own.measure,
                            own.responsible.as_deref(),
                        ));
                    }
                }
            }
        }
        let (objectives, indicators) = (counts.objectives, counts.indicators);
        commands.push(PlanCommand::FinishImport(FinishImport { year: 2024, objectives, indicators }));
        for (sequence, command) in (1..).zip(commands) {
            self.found(Origin(1), sequence, PersonId(1), Command::Plan(command));
        }
    }
}

fn release(held: CommandKey) -> Command {
    Command::Held(HeldCommand::Release(ReleaseHeld { held, to: None, count_in: None }))
}

fn version((entry, base): Known) -> EntryVersion {
    EntryVersion { entry, base }
}

fn row(
    level: Level,
    name: &str,
    measure: &renaksi_documents::Measure,
    responsible: Option<&str>,
) -> PlanCommand {
    PlanCommand::ImportIndicator(Box::new(ImportIndicator {
        level,
        name: name.into(),
        measure: measure.indicator.as_str().into(),
        satuan: measure.unit.as_deref().map(Into::into),
        responsible: responsible.map(Into::into),
        kind: measure.proposal.kind,
        targets: measure.targets.clone(),
        year_target: None,
    }))
}
