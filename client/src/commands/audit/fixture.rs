//! A small office, folded from its own records, for the tests of the commands that read.

use renaksi_domain::command::{Command, Effect, Envelope, Outcome, Record};
use renaksi_domain::entry::{AddEntry, EntryCommand, EntryVersion, Reading};
use renaksi_domain::ids::{CommandKey, IndicatorId, Origin, PersonId, RevisionId, UnitId};
use renaksi_domain::indicator::Level;
use renaksi_domain::people::{
    AddPerson, AddUnit, Assign, Assignment, EnrolDevice, FoundOffice, PeopleCommand, Role,
};
use renaksi_domain::plan::{
    ApprovePlan, EstablishPlan, FinishImport, ImportIndicator, ImportObjective, PlanCommand, StartImport,
};
use renaksi_domain::proposal::Kind;
use renaksi_domain::quantity::{Quantity, Target};
use renaksi_domain::quarter::{PlanQuarter, QuarterCommand};
use renaksi_domain::revision::{Change, DraftRevision, LegalBasis, RevisionCommand};
use renaksi_domain::time::{Date, Quarter, Timestamp, Zone};
use renaksi_domain::{State, apply, decide};
use uuid::Uuid;

/// The UTTP row, `1.1.1.1`.
pub(crate) const UTTP: IndicatorId = IndicatorId(3);

/// An office and its log so far.
pub(crate) struct Office {
    pub state: State,
    pub log: Vec<Record>,
    next_sequence: u32,
}

impl Office {
    /// Founded, its plan of 2024 imported and established: one objective, its indicator, a program, a row (UTTP
    /// 70/585/120/170).
    pub(crate) fn established() -> Office {
        let mut office = Office { state: State::default(), log: Vec::new(), next_sequence: 1 };
        office.host(PeopleCommand::FoundOffice(FoundOffice {
            office: Uuid::from_u128(1),
            name: "Dinas Contoh".into(),
            zone: Zone::Jakarta,
            rehearsal: true,
            rules: renaksi_domain::RULES_VERSION,
        }));
        office.host(PeopleCommand::AddUnit(AddUnit { name: "Bidang Perdagangan".into() }));
        for role in [Role::Administrator, Role::HeadOfOffice, Role::Officer] {
            office.host(PeopleCommand::AddPerson(AddPerson));
            let person = PersonId::after(office.state.people.persons.len() - 1);
            let assignment = Assignment { role, unit: Some(UnitId(1)), from: None, until: None };
            office.host(PeopleCommand::Assign(Assign { person, assignment }));
            let incarnation = Uuid::from_u128(100 + u128::from(person.0));
            office.host(PeopleCommand::EnrolDevice(EnrolDevice {
                owner: person,
                key: [9; 32],
                incarnation,
                proof: None,
            }));
        }
        let start = StartImport { year: 2024, title: "Dinas Contoh".into(), source_sha256: [7; 32] };
        office.plan(PlanCommand::StartImport(start));
        office.plan(PlanCommand::ImportObjective(ImportObjective { name: "Perdagangan meningkat".into() }));
        let rows = [
            (Level::Strategic, "", "=Persentase pertumbuhan", "%", Kind::Latest, ["7,8", "7,8", "-", ""]),
            (
                Level::Program,
                "Program Standardisasi",
                "Tertib ukur, \"UTTP\"",
                "%",
                Kind::Latest,
                ["-", "-", "-", "5"],
            ),
            (Level::SubActivity, "Tera ulang", "Jumlah UTTP", "UTTP", Kind::Sum, ["70", "585", "120", "170"]),
        ];
        for (level, name, measure, satuan, kind, targets) in rows {
            office.plan(PlanCommand::ImportIndicator(Box::new(ImportIndicator {
                level,
                name: name.into(),
                measure: measure.into(),
                satuan: Some(satuan.into()),
                responsible: Some("Bidang Perdagangan".into()),
                kind,
                targets: targets.map(|cell| Target::parse_cell(cell).unwrap()),
                year_target: None,
            })));
        }
        office.plan(PlanCommand::FinishImport(FinishImport { year: 2024, objectives: 1, indicators: 3 }));
        office.plan(PlanCommand::EstablishPlan(EstablishPlan { year: 2024, basis: "SK 1/2024".into() }));
        office.plan(PlanCommand::ApprovePlan(ApprovePlan { year: 2024 }));
        office
    }

    fn host(&mut self, command: PeopleCommand) {
        self.record(
            Origin::HOST,
            PersonId(0),
            Command::People(command),
            Outcome::Recorded(Effect::default()),
        );
    }

    fn plan(&mut self, command: PlanCommand) {
        self.done(Command::Plan(command));
    }

    /// A recorded command of the administrator.
    pub(crate) fn done(&mut self, command: Command) -> CommandKey {
        self.with(command, Outcome::Recorded(Effect::default()))
    }

    /// A command of the administrator with its outcome.
    pub(crate) fn with(&mut self, command: Command, outcome: Outcome) -> CommandKey {
        self.record(Origin(1), PersonId(1), command, outcome)
    }

    /// When the next record will be made: each is a minute after the one before.
    fn next_time(&self) -> Timestamp {
        let minutes = i64::try_from(self.state.position + 1).unwrap();
        Zone::Jakarta.start_of(Date::new(2024, 7, 10).unwrap()).plus_micros(minutes * 60_000_000)
    }

    /// A command with the outcome that the rules give it. Person and device have the same number.
    pub(crate) fn attempt(&mut self, person: u32, command: Command) -> CommandKey {
        let (origin, author, sequence) = (Origin(person), PersonId(person), self.next_sequence);
        let (made_at, has_reason) = (Timestamp(0), true);
        let envelope = Envelope { origin, sequence, author, made_at, has_reason, restored: None, command };
        let outcome = decide(&self.state, &envelope, self.next_time());
        self.record(origin, author, envelope.command, outcome)
    }

    fn record(&mut self, origin: Origin, author: PersonId, command: Command, outcome: Outcome) -> CommandKey {
        let position = self.state.position + 1;
        let time = self.next_time();
        let sequence = if origin == Origin::HOST { 0 } else { self.next_sequence };
        self.next_sequence += u32::from(origin != Origin::HOST);
        let envelope = Envelope {
            origin,
            sequence,
            author,
            made_at: Timestamp(0),
            has_reason: false,
            restored: None,
            command,
        };
        let record = Record { position, time, carrier: None, envelope, outcome };
        apply(&mut self.state, &record);
        self.log.push(record);
        CommandKey::new(origin, sequence)
    }

    /// An entry of UTTP.
    pub(crate) fn entry(&mut self, on: &str, quantity: &str) -> CommandKey {
        self.done(Command::Entry(EntryCommand::Add(AddEntry {
            indicator: UTTP,
            on: Date::parse(on).unwrap(),
            reading: Reading::Quantity(Quantity::parse(quantity).unwrap()),
        })))
    }

    /// Verifies an entry.
    pub(crate) fn verify(&mut self, entry: CommandKey) {
        self.done(Command::Entry(EntryCommand::Verify(EntryVersion { entry, base: entry })));
    }

    /// Drafts a revision effective in TW 3.
    pub(crate) fn draft(&mut self, number: &str) -> RevisionId {
        let basis = LegalBasis {
            title: "Keputusan Kepala Dinas".into(),
            number: "188/7".into(),
            date: Date::parse("2024-07-08").unwrap(),
        };
        let draft = DraftRevision {
            year: 2024,
            number: number.into(),
            reason: "Penambahan anggaran".into(),
            basis,
            effective: Quarter::Q3,
        };
        self.done(Command::Revision(RevisionCommand::Draft(draft)));
        RevisionId::after(self.state.revisions.len() - 1)
    }

    /// Adds a new target of UTTP in TW 3 to a draft.
    pub(crate) fn change_target(&mut self, id: RevisionId, old: &str, new: &str) {
        let [old, new] = [old, new].map(|cell| Target::parse_cell(cell).unwrap());
        let change = Change::Target { indicator: UTTP, quarter: Quarter::Q3, old, new };
        self.done(Command::Revision(RevisionCommand::AddChange(id, change)));
    }

    /// Locks a quarter.
    pub(crate) fn lock(&mut self, quarter: Quarter) {
        let about = PlanQuarter { year: 2024, quarter };
        self.done(Command::Quarter(QuarterCommand::Request(about)));
        self.done(Command::Quarter(QuarterCommand::Approve(about)));
    }
}
