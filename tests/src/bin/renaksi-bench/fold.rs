//! Folding: the rules alone, without disk and network.

use std::time::Instant;

use renaksi_documents::txt::read_plan;
use renaksi_domain::command::{Command, Envelope, Outcome, Record};
use renaksi_domain::entry::{AddEntry, AmendEntry, EntryCommand, EntryVersion, Reading};
use renaksi_domain::figures::{Period, line};
use renaksi_domain::hash::state_hash;
use renaksi_domain::ids::{CommandKey, IndicatorId, Origin, PersonId, UnitId};
use renaksi_domain::indicator::Level;
use renaksi_domain::people::{AddPerson, Assign, Assignment, EnrolDevice, FoundOffice, PeopleCommand, Role};
use renaksi_domain::plan::{FinishImport, ImportIndicator, ImportObjective, PlanCommand, StartImport};
use renaksi_domain::quantity::Quantity;
use renaksi_domain::time::{Date, Quarter, Timestamp, Zone};
use renaksi_domain::{RULES_VERSION, State, apply, decide};
use renaksi_proto::convert::{command_leaf, decode_record, encode_record};
use renaksi_proto::log::Texts;
use uuid::Uuid;

use crate::Figure;

const RECORDS: usize = 1_000_000;
const OFFICERS: u32 = 20;
const ROUNDS: usize = 5;

/// Runs the bench.
pub fn run() -> Vec<Figure> {
    let (start, records) = history();
    let mut rates = Vec::new();
    let mut end = State::default();
    for _ in 0..ROUNDS {
        let mut state = start.clone();
        let began = Instant::now();
        records.iter().for_each(|record| apply(&mut state, record));
        rates.push(records.len() as f64 / began.elapsed().as_secs_f64());
        end = state;
    }
    let decode = decode_rate(&records);
    let entries = end.entries.len();
    let before = resident_bytes();
    let copy = end.clone();
    let per_entry = (resident_bytes().saturating_sub(before)) as f64 / entries as f64;
    assert_eq!(copy.entries.len(), entries);
    let began = Instant::now();
    let hash = state_hash(&copy);
    let hashing = began.elapsed().as_secs_f64() * 1_000.0;
    assert_eq!(hash, state_hash(&end));
    vec![
        Figure {
            case: "apply".into(),
            value: median(rates),
            unit: "records/s",
            baseline: Some(("decoding the same records", decode)),
        },
        Figure { case: "state".into(), value: per_entry, unit: "bytes/entry", baseline: None },
        Figure { case: "all figures".into(), value: figures_ms(&end), unit: "ms", baseline: None },
        Figure { case: "state hash".into(), value: hashing, unit: "ms", baseline: None },
    ]
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}

/// Every view of every indicator, once.
fn figures_ms(state: &State) -> f64 {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let mut shown = 0;
        for indicator in &state.indicators {
            let periods = Quarter::ALL.map(Period::Quarter).into_iter();
            for period in periods.chain(Quarter::ALL.map(Period::ToDate)).chain([Period::Year]) {
                shown += usize::from(line(state, indicator, period).achievement.is_ok());
            }
        }
        assert!(shown > 0, "some figures are computable");
        rounds.push(began.elapsed().as_secs_f64() * 1_000.0);
    }
    median(rounds)
}

fn decode_rate(records: &[Record]) -> f64 {
    let leaves: Vec<Vec<u8>> = records
        .iter()
        .take(200_000)
        .map(|record| {
            let command = command_leaf(&record.envelope.command, record.time, &Texts::default(), [0; 16]);
            encode_record(record, &command.leaf, None, None)
        })
        .collect();
    let began = Instant::now();
    let read = leaves.iter().filter(|leaf| decode_record(leaf).is_ok()).count();
    assert_eq!(read, leaves.len());
    read as f64 / began.elapsed().as_secs_f64()
}

/// An office with the 2024 plan, and a year of its officers' work on it.
fn history() -> (State, Vec<Record>) {
    let mut maker = Maker::default();
    maker.office();
    let start = maker.state.clone();
    let mut records = Vec::with_capacity(RECORDS);
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    while records.len() < RECORDS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let officer = (random >> 33) as u32 % OFFICERS;
        let command = maker.work(officer, (random >> 40) as u32);
        records.push(maker.record(officer, command));
    }
    (start, records)
}

/// Makes records through `decide`, as the writer does.
#[derive(Default)]
struct Maker {
    state: State,
    /// Per officer: the sequence of the device and its last entry with its version.
    devices: Vec<(u32, Option<(CommandKey, CommandKey)>)>,
    /// The head of unit's sequence.
    head: u32,
    rows: Vec<IndicatorId>,
}

const NOW: Timestamp = Timestamp(1_734_000_000_000_000);

impl Maker {
    fn host(&mut self, command: PeopleCommand) {
        self.put(Origin::HOST, 0, PersonId(0), Command::People(command));
    }

    fn put(&mut self, origin: Origin, sequence: u32, author: PersonId, command: Command) -> Record {
        let envelope = Envelope { origin, sequence, author, made_at: NOW, has_reason: true, command };
        let outcome = decide(&self.state, &envelope, NOW);
        let record =
            Record { position: self.state.position + 1, time: NOW, carrier: None, envelope, outcome };
        apply(&mut self.state, &record);
        record
    }

    fn office(&mut self) {
        let office = Uuid::from_u128(1);
        self.host(PeopleCommand::FoundOffice(FoundOffice {
            office,
            name: "Dinas".into(),
            zone: Zone::Jakarta,
            rehearsal: false,
            rules: RULES_VERSION,
        }));
        // Person 1 is the administrator, 2 the head of every unit, the officers follow.
        for number in 1..=OFFICERS + 2 {
            self.host(PeopleCommand::AddPerson(AddPerson));
            let incarnation = Uuid::from_u128(u128::from(number));
            let owner = PersonId(number);
            self.host(PeopleCommand::EnrolDevice(EnrolDevice {
                owner,
                key: [1; 32],
                incarnation,
                proof: None,
            }));
        }
        self.assign(1, Role::Administrator, None);
        self.import();
        let units = u32::try_from(self.state.people.units.len()).unwrap_or(0);
        for unit in 1..=units {
            (2..=OFFICERS + 2).for_each(|person| {
                let role = if person == 2 { Role::HeadOfUnit } else { Role::Officer };
                self.assign(person, role, Some(UnitId(unit)));
            });
        }
        self.devices = vec![(0, None); OFFICERS as usize];
        let ids = self.state.plans[0].indicators.clone();
        self.rows = ids
            .into_iter()
            .filter(|id| {
                self.state
                    .indicator(*id)
                    .is_some_and(|row| row.facet().unit.is_some() && !row.is_percentage())
            })
            .collect();
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
            self.put(Origin(1), sequence, PersonId(1), Command::Plan(command));
        }
    }

    /// Seven in ten add, one amends, one in twenty voids, the head verifies the rest.
    fn work(&self, officer: u32, random: u32) -> (bool, EntryCommand) {
        let on = Date::from_days(19_723 + i32::try_from(random % 340).unwrap_or(0));
        let quantity = Quantity::from_parts(i64::from(random % 40) + 1, 0).expect("a small number");
        let reading = Reading::Quantity(quantity);
        match (random / 7 % 20, self.devices[officer as usize].1) {
            (0..=13, _) | (_, None) => {
                let indicator = self.rows[random as usize % self.rows.len()];
                (false, EntryCommand::Add(AddEntry { indicator, on, reading }))
            }
            (14..=15, Some((entry, base))) => {
                (false, EntryCommand::Amend(AmendEntry { entry, base, on, reading }))
            }
            (16, Some((entry, base))) => (false, EntryCommand::Void(EntryVersion { entry, base })),
            (_, Some((entry, base))) => (true, EntryCommand::Verify(EntryVersion { entry, base })),
        }
    }

    fn record(&mut self, officer: u32, (by_head, command): (bool, EntryCommand)) -> Record {
        let (origin, sequence) = match by_head {
            true => {
                self.head += 1;
                (Origin(2), self.head)
            }
            false => {
                let device = &mut self.devices[officer as usize];
                device.0 += 1;
                (Origin(officer + 3), device.0)
            }
        };
        let key = CommandKey::new(origin, sequence);
        let kept = match &command {
            EntryCommand::Add(_) => Some((key, key)),
            EntryCommand::Amend(amend) => Some((amend.entry, key)),
            EntryCommand::Verify(version) => Some((version.entry, version.base)),
            EntryCommand::Void(_) | EntryCommand::Return(_) => None,
        };
        let record = self.put(origin, sequence, PersonId(origin.0), Command::Entry(command));
        if matches!(record.outcome, Outcome::Recorded(_)) {
            self.devices[officer as usize].1 = kept;
        }
        record
    }
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
