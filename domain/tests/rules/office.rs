//! The office that every scenario plays in: its people, its small plan, its clock, and all records it made.

use renaksi_domain::RULES_VERSION;
use renaksi_domain::command::{Command, Effect, Envelope, Outcome, Record, apply, decide};
use renaksi_domain::config::{Band, ConfigCommand};
use renaksi_domain::entry::{AddEntry, AmendEntry, EntryCommand, EntryVersion, Reading};
use renaksi_domain::figures::{Line, Period, Realised, line};
use renaksi_domain::hash::state_hash;
use renaksi_domain::held::{HeldCommand, ReleaseHeld};
use renaksi_domain::ids::{CommandKey, DeviceId, GrantId, IndicatorId, Origin, PersonId, RevisionId, UnitId};
use renaksi_domain::indicator::{Level, LowerFormula, Polarity, SetIndicator};
use renaksi_domain::narrative::{SetNarrative, Texts};
use renaksi_domain::people::{
    AddPerson, AddUnit, Assign, Assignment, EndAssignments, EnrolDevice, FoundOffice, PeopleCommand,
    RevokeDevice, Role,
};
use renaksi_domain::plan::{
    ApprovePlan, EstablishPlan, FinishImport, ImportIndicator, ImportObjective, PlanCommand, StartImport,
};
use renaksi_domain::proposal::Kind;
use renaksi_domain::quantity::{Quantity, Target};
use renaksi_domain::quarter::{PlanQuarter, QuarterCommand};
use renaksi_domain::revision::{AddIndicator, Change, DraftRevision, LegalBasis, RevisionCommand};
use renaksi_domain::state::State;
use renaksi_domain::time::{Date, Quarter, Timestamp, Zone};
use uuid::Uuid;

/// Everybody, in the order of their ids: name, role, unit. Each has a device with the origin of the same number.
pub const PEOPLE: [(&str, Role, Option<u32>); 9] = [
    ("operator", Role::Operator, None),
    ("admin", Role::Administrator, Some(1)),
    ("head", Role::HeadOfOffice, None),
    ("kabid", Role::HeadOfUnit, Some(2)),
    ("ayu", Role::Officer, Some(2)),
    ("budi", Role::Officer, Some(2)),
    ("citra", Role::Officer, Some(3)),
    ("kabidkop", Role::HeadOfUnit, Some(3)),
    ("auditor", Role::Auditor, None),
];

/// Ayu's second device.
pub const AYU2: &str = "ayu2";

/// Name here, level, unit of measure, responsible, kind, targets.
type Row = (&'static str, Level, &'static str, &'static str, Kind, [&'static str; 4]);

/// Indicators of the small plan, in the order of their ids.
pub const PLAN: [Row; 10] = [
    ("stok", Level::Strategic, "%", "", Kind::Latest, ["95", "95", "95", "95"]),
    (
        "tera",
        Level::Program,
        "%",
        "Kepala Bidang Perdagangan",
        Kind::Latest,
        ["12,5", "54.54", "75", "88,00"],
    ),
    ("uttp", Level::Activity, "UTTP", "Kepala Bidang Perdagangan", Kind::Sum, ["70", "585", "120", "170"]),
    ("asn", Level::SubActivity, "orang", "Kepala Bidang Perdagangan", Kind::Sum, ["28", "28", "28", "28"]),
    ("laporan", Level::SubActivity, "laporan", "Kepala Bidang Perdagangan", Kind::Sum, ["-", "", "0", "15"]),
    ("aktif", Level::Strategic, "%", "Kepala Bidang Koperasi", Kind::Ratio, ["60", "60", "60", "60"]),
    (
        "koperasi",
        Level::Program,
        "koperasi",
        "Kepala BIdang  Koperasi",
        Kind::Cumulative,
        ["39", "78", "117", "156"],
    ),
    ("opini", Level::Activity, "opini", "Kepala Bidang Koperasi", Kind::Latest, ["-", "-", "-", "WTP"]),
    ("aduan", Level::SubActivity, "pengaduan", "Kepala Bidang Koperasi", Kind::Sum, ["5", "5", "5", "5"]),
    ("rapat", Level::SubActivity, "kali", "Kepala Bidang Koperasi", Kind::Sum, ["-", "--", "-", "-"]),
];

/// An office with its log.
#[derive(Debug)]
pub struct Office {
    pub state: State,
    pub records: Vec<Record>,
    pub now: Timestamp,
    /// How far the devices' clocks are ahead of the server's.
    pub device_ahead_micros: i64,
    /// Whether commands say why.
    pub reason: bool,
    sequences: Vec<u32>,
}

impl Office {
    /// Founded on 2 January 2024, with its people and devices, without a plan.
    pub fn founded() -> Self {
        let mut office = Office {
            state: State::default(),
            records: Vec::new(),
            now: Timestamp(0),
            device_ahead_micros: 0,
            reason: true,
            sequences: vec![0; 64],
        };
        office.at("2024-01-02 08:00");
        office.host(PeopleCommand::FoundOffice(FoundOffice {
            office: Uuid::from_u128(1),
            name: "Dinas Perdagangan".into(),
            zone: Zone::Jakarta,
            rehearsal: false,
            rules: RULES_VERSION,
        }));
        for unit in ["Sub Bagian Perencanaan", "Kepala Bidang Perdagangan", "Kepala Bidang Koperasi"] {
            office.host(PeopleCommand::AddUnit(AddUnit { name: unit.into() }));
        }
        for (number, (_, role, unit)) in (1..).zip(PEOPLE) {
            office.host(PeopleCommand::AddPerson(AddPerson));
            let assignment = Assignment { role, unit: unit.map(UnitId), from: None, until: None };
            office.host(PeopleCommand::Assign(Assign { person: PersonId(number), assignment }));
        }
        for owner in (1..=9).chain([5]) {
            office.enrol(PersonId(owner));
        }
        office
    }

    /// With the small plan of 2024 as a draft.
    pub fn draft() -> Self {
        let mut office = Self::founded();
        office.import(2024);
        office
    }

    /// With the plan established; `aduan` is lower-is-better.
    pub fn established() -> Self {
        let mut office = Self::draft();
        office.does("admin set aduan polarity lower");
        office.does("admin establish 2024");
        office.does("head approve-plan 2024");
        office
    }

    /// Imports the small plan.
    pub fn import(&mut self, year: i16) {
        self.does(&format!("admin start-import {year}"));
        for (name, level, ..) in PLAN {
            if level == Level::Strategic {
                self.does("admin objective");
            }
            self.does(&format!("admin row {name}"));
        }
        self.does(&format!("admin finish-import {year} 2 10"));
    }

    fn host(&mut self, command: PeopleCommand) {
        let outcome = self.play(Origin::HOST, PersonId(0), Command::People(command));
        assert!(matches!(outcome, Outcome::Recorded(_)), "{outcome:?}");
    }

    /// Enrols one more device.
    pub fn enrol(&mut self, owner: PersonId) {
        let number = self.state.people.incarnations.len() as u128 + 1;
        let incarnation = Uuid::from_u128(1000 + number);
        self.host(PeopleCommand::EnrolDevice(EnrolDevice {
            owner,
            key: [number as u8; 32],
            incarnation,
            proof: None,
        }));
    }

    /// Sets the clock to a time in Jakarta: `2024-05-14 09:00` or with seconds.
    pub fn at(&mut self, time: &str) -> &mut Self {
        self.now = local(time);
        self
    }

    /// Decides, records and applies one command, as the writer does.
    pub fn play(&mut self, origin: Origin, author: PersonId, command: Command) -> Outcome {
        let sequence = match origin {
            Origin::HOST => 0,
            _ => {
                self.sequences[origin.0 as usize] += 1;
                self.sequences[origin.0 as usize]
            }
        };
        self.play_as(origin, sequence, author, command)
    }

    /// The same with a sequence of its own.
    pub fn play_as(&mut self, origin: Origin, sequence: u32, author: PersonId, command: Command) -> Outcome {
        let made_at = self.now.plus_micros(self.device_ahead_micros);
        let envelope = Envelope { origin, sequence, author, made_at, has_reason: self.reason, command };
        let outcome = decide(&self.state, &envelope, self.now);
        let position = self.records.len() as u64 + 1;
        let record = Record { position, time: self.now, carrier: None, envelope, outcome: outcome.clone() };
        apply(&mut self.state, &record);
        self.records.push(record);
        outcome
    }

    /// Somebody asks something, in words.
    #[track_caller]
    pub fn ask(&mut self, words: &str) -> (CommandKey, Outcome) {
        let (name, rest) = words.split_once(' ').unwrap_or((words, ""));
        let (origin, author) = who(name);
        let command = parse(&self.state, rest);
        let outcome = self.play(origin, author, command);
        (CommandKey::new(origin, self.sequences[origin.0 as usize]), outcome)
    }

    /// It is recorded.
    #[track_caller]
    pub fn does(&mut self, words: &str) -> Effect {
        match self.ask(words).1 {
            Outcome::Recorded(effect) => effect,
            other => panic!("{words}: {other:?}"),
        }
    }

    /// It is held, with this cause.
    #[track_caller]
    pub fn is_held(&mut self, words: &str, cause: &str) {
        match self.ask(words).1 {
            Outcome::Held(got) => assert_eq!(got.to_string(), cause, "{words}"),
            other => panic!("{words}: {other:?}"),
        }
    }

    /// It is refused, with this cause.
    #[track_caller]
    pub fn is_refused(&mut self, words: &str, cause: &str) {
        match self.ask(words).1 {
            Outcome::Refused(got) => assert_eq!(got.to_string(), cause, "{words}"),
            other => panic!("{words}: {other:?}"),
        }
    }

    /// Locks a quarter of 2024 on the day after its due date.
    #[track_caller]
    pub fn lock(&mut self, quarter: u8) {
        self.at(["2024-04-08 08:00", "2024-07-08 08:00", "2024-10-08 08:00", "2025-01-09 08:00"]
            [usize::from(quarter) - 1]);
        self.does(&format!("admin lock {quarter}"));
        self.does(&format!("head approve-lock {quarter}"));
    }

    /// A line of figures.
    pub fn line(&self, indicator: &str, period: Period) -> Line {
        line(&self.state, self.state.indicator(id(indicator)).unwrap(), period)
    }

    /// `target | reported | verified | achievement of reported | of verified`.
    pub fn figures(&self, indicator: &str, period: Period) -> String {
        let line = self.line(indicator, period);
        let percent = |p: &Result<_, renaksi_domain::achievement::NoFigure>| match p {
            Ok(percent) => renaksi_domain::achievement::two_decimals(percent),
            Err(cause) => cause.name().to_owned(),
        };
        format!(
            "{} | {} | {} | {} | {}",
            line.target.label(),
            realised(&line.realised),
            realised(&line.realised_verified),
            percent(&line.achievement_reported),
            percent(&line.achievement)
        )
    }

    #[track_caller]
    pub fn expect(&self, indicator: &str, period: Period, figures: &str) {
        assert_eq!(self.figures(indicator, period), figures, "{indicator} {period:?}");
    }
}

impl Drop for Office {
    /// Every scenario ends so: a fresh fold of the records gives the same state and the same hash.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let mut fresh = State::default();
        self.records.iter().for_each(|record| apply(&mut fresh, record));
        assert!(fresh == self.state, "a fresh fold differs");
        assert_eq!(state_hash(&fresh), state_hash(&self.state));
        fresh.rebuild_derived();
        assert!(fresh == self.state, "what is derived differs when it is made anew");
    }
}

pub fn realised(realised: &Realised) -> String {
    match realised {
        Realised::Number(number) => number.plain(),
        Realised::Text(text) => text.to_string(),
        Realised::NotReported => "not reported".to_owned(),
        Realised::DenominatorZero => "denominator 0".to_owned(),
    }
}

/// A time in Jakarta.
pub fn local(time: &str) -> Timestamp {
    let (date, clock) = time.split_once(' ').unwrap();
    let mut parts = clock.split(':').map(|part| part.parse::<i64>().unwrap());
    let mut next = || parts.next().unwrap_or(0);
    let seconds = next() * 3600 + next() * 60 + next();
    Zone::Jakarta.start_of(date_of(date)).plus_micros(seconds * 1_000_000)
}

fn date_of(text: &str) -> Date {
    Date::parse(text).unwrap_or_else(|| panic!("no date: {text}"))
}

/// The device and person of a name.
pub fn who(name: &str) -> (Origin, PersonId) {
    match PEOPLE.iter().position(|(known, ..)| *known == name) {
        Some(index) => (Origin(index as u32 + 1), PersonId(index as u32 + 1)),
        None if name == AYU2 => (Origin(10), PersonId(5)),
        None if name == "host" => (Origin::HOST, PersonId(0)),
        None => panic!("nobody is called {name}"),
    }
}

/// The indicator of a name, or of a bare number.
pub fn id(name: &str) -> IndicatorId {
    match PLAN.iter().position(|(known, ..)| *known == name) {
        Some(index) => IndicatorId(index as u32 + 1),
        None => IndicatorId(name.parse().unwrap_or_else(|_| panic!("no indicator {name}"))),
    }
}

/// `ayu/3`: the third command of Ayu's device.
pub fn key(text: &str) -> CommandKey {
    let (name, sequence) = text.split_once('/').unwrap();
    CommandKey::new(who(name).0, sequence.parse().unwrap())
}

/// `ayu/1` with the version it has now, or `ayu/1@ayu/2` with that one.
fn version(state: &State, text: &str) -> EntryVersion {
    match text.split_once('@') {
        Some((entry, base)) => EntryVersion { entry: key(entry), base: key(base) },
        None => {
            let entry = key(text);
            EntryVersion { entry, base: state.entries.get(entry).map_or(entry, |known| known.version) }
        }
    }
}

fn quarter(number: &str) -> Quarter {
    Quarter::from_number(number.parse().unwrap()).unwrap()
}

fn optional(text: &str) -> Option<Quantity> {
    (text != "none").then(|| Quantity::parse(text).unwrap())
}

fn cell(text: &str) -> Target {
    if let Some(grade) = text.strip_prefix('"') {
        return Target::Text(grade.trim_end_matches('"').into());
    }
    Target::parse_cell(if text == "blank" { "" } else { text }).unwrap()
}

fn reading(text: &str) -> Reading {
    if let Some((numerator, denominator)) = text.split_once('/') {
        let part = |text| Quantity::parse(text).unwrap();
        return Reading::Ratio { numerator: part(numerator), denominator: part(denominator) };
    }
    match text.strip_prefix('"') {
        Some(text) => Reading::Text(text.trim_end_matches('"').into()),
        None => Reading::Quantity(Quantity::parse(text).unwrap()),
    }
}

/// Reads a command: `add uttp 12 2024-05-14`, `amend ayu/1@ayu/1 15 2024-05-14`, `release ayu/3 to uttp in 3`,
/// `change 1 target uttp 3 120 200`. Readings: `12`, `7,8`, `3/4` (ratio), `"WTP"`.
#[track_caller]
pub fn parse(state: &State, words: &str) -> Command {
    let words: Vec<&str> = words.split_whitespace().collect();
    let year = |index: usize| words.get(index).map_or(2024, |year| year.parse().unwrap());
    let unit = |text: &str| UnitId(text.parse().unwrap());
    let number = |text: &str| -> u32 { text.parse().unwrap() };
    match words.as_slice() {
        ["add", indicator, value, on] => Command::Entry(EntryCommand::Add(AddEntry {
            indicator: id(indicator),
            on: date_of(on),
            reading: reading(value),
        })),
        ["amend", entry, value, on] => {
            let EntryVersion { entry, base } = version(state, entry);
            Command::Entry(EntryCommand::Amend(AmendEntry {
                entry,
                base,
                on: date_of(on),
                reading: reading(value),
            }))
        }
        ["void", entry] => Command::Entry(EntryCommand::Void(version(state, entry))),
        ["verify", entry] => Command::Entry(EntryCommand::Verify(version(state, entry))),
        ["return", entry] => Command::Entry(EntryCommand::Return(version(state, entry))),
        ["release", held, options @ ..] => {
            let option = |name: &str| options.iter().position(|word| *word == name).map(|at| options[at + 1]);
            Command::Held(HeldCommand::Release(ReleaseHeld {
                held: key(held),
                to: option("to").map(id),
                count_in: option("in").map(quarter),
            }))
        }
        ["dismiss", held] => Command::Held(HeldCommand::Dismiss(key(held))),
        ["withdraw", held] => Command::Held(HeldCommand::Withdraw(key(held))),
        ["lock", n, ..] => {
            Command::Quarter(QuarterCommand::Request(PlanQuarter { year: year(2), quarter: quarter(n) }))
        }
        ["approve-lock", n, ..] => {
            Command::Quarter(QuarterCommand::Approve(PlanQuarter { year: year(2), quarter: quarter(n) }))
        }
        ["reject-lock", n, ..] => {
            Command::Quarter(QuarterCommand::Reject(PlanQuarter { year: year(2), quarter: quarter(n) }))
        }
        ["request-reopen", n, until] => Command::Quarter(QuarterCommand::RequestReopen(
            PlanQuarter { year: 2024, quarter: quarter(n) },
            local(&until.replace('T', " ")),
        )),
        ["grant-reopen", n] => {
            Command::Quarter(QuarterCommand::GrantReopen(PlanQuarter { year: 2024, quarter: quarter(n) }))
        }
        ["decline-reopen", n] => {
            Command::Quarter(QuarterCommand::DeclineReopen(PlanQuarter { year: 2024, quarter: quarter(n) }))
        }
        ["relock", n] => {
            Command::Quarter(QuarterCommand::Relock(PlanQuarter { year: 2024, quarter: quarter(n) }))
        }
        ["narrate", indicator, n, base, driver, obstacle, follow_up] => Command::Narrative(SetNarrative {
            indicator: id(indicator),
            quarter: quarter(n),
            base: base.parse().unwrap(),
            texts: Texts {
                driver: (*driver).into(),
                obstacle: (*obstacle).into(),
                follow_up: (*follow_up).into(),
            },
        }),
        ["bands", bands @ ..] => {
            let bound = |text: &str| (!text.is_empty()).then(|| Quantity::parse(text).unwrap());
            let band = |text: &&str| {
                let (name, span) = text.split_once('=').unwrap();
                let (above, up_to) = span.split_once("..").unwrap();
                Band { name: name.into(), above: bound(above), up_to: bound(up_to) }
            };
            Command::Config(ConfigCommand::SetBands(bands.iter().map(band).collect()))
        }
        ["due-days", days] => Command::Config(ConfigCommand::SetDueDays(number(days))),
        ["holidays", days @ ..] => {
            let of = |sign: char| days.iter().filter_map(move |day| day.strip_prefix(sign)).map(date_of);
            Command::Config(ConfigCommand::SetDays {
                holidays: of('+').collect(),
                working_days: of('-').collect(),
            })
        }
        ["draft", name, effective, ..] => Command::Revision(RevisionCommand::Draft(DraftRevision {
            year: year(3),
            number: if *name == "none" { "".into() } else { (*name).into() },
            reason: if words.contains(&"unreasoned") { " ".into() } else { "refocusing anggaran".into() },
            basis: LegalBasis {
                title: "Keputusan Kepala Dinas".into(),
                number: format!("188.45/{name}").into(),
                date: date_of("2024-07-09"),
            },
            effective: quarter(effective),
        })),
        ["change", revision, change @ ..] => {
            Command::Revision(RevisionCommand::AddChange(RevisionId(number(revision)), parse_change(change)))
        }
        ["submit", revision] => Command::Revision(RevisionCommand::Submit(RevisionId(number(revision)))),
        ["approve", revision] => Command::Revision(RevisionCommand::Approve(RevisionId(number(revision)))),
        ["reject", revision] => Command::Revision(RevisionCommand::Reject(RevisionId(number(revision)))),
        ["withdraw-revision", revision] => {
            Command::Revision(RevisionCommand::Withdraw(RevisionId(number(revision))))
        }
        ["start-import", year] => Command::Plan(PlanCommand::StartImport(StartImport {
            year: year.parse().unwrap(),
            title: "RENCANA AKSI".into(),
            source_sha256: [7; 32],
        })),
        ["start-import-titled", title] => Command::Plan(PlanCommand::StartImport(StartImport {
            year: 2025,
            title: (*title).into(),
            source_sha256: [7; 32],
        })),
        ["objective-named", name] => {
            Command::Plan(PlanCommand::ImportObjective(ImportObjective { name: (*name).into() }))
        }
        ["establish-by", basis] => {
            Command::Plan(PlanCommand::EstablishPlan(EstablishPlan { year: 2024, basis: (*basis).into() }))
        }
        ["objective"] => {
            Command::Plan(PlanCommand::ImportObjective(ImportObjective { name: "Sasaran".into() }))
        }
        ["row", name] => Command::Plan(PlanCommand::ImportIndicator(Box::new(row(name)))),
        ["finish-import", year, objectives, indicators] => {
            Command::Plan(PlanCommand::FinishImport(FinishImport {
                year: year.parse().unwrap(),
                objectives: number(objectives),
                indicators: number(indicators),
            }))
        }
        ["establish", year] => Command::Plan(PlanCommand::EstablishPlan(EstablishPlan {
            year: year.parse().unwrap(),
            basis: "SK Bupati 1/2024".into(),
        })),
        ["establish-unfounded", year] => Command::Plan(PlanCommand::EstablishPlan(EstablishPlan {
            year: year.parse().unwrap(),
            basis: " ".into(),
        })),
        ["approve-plan", year] => {
            Command::Plan(PlanCommand::ApprovePlan(ApprovePlan { year: year.parse().unwrap() }))
        }
        ["send-back", year] => Command::Plan(PlanCommand::SendBackPlan(year.parse().unwrap())),
        ["recall", year] => Command::Plan(PlanCommand::RecallPlan(year.parse().unwrap())),
        ["confirm", grant] => Command::People(PeopleCommand::ConfirmGrant(GrantId(number(grant)))),
        ["decline", grant] => Command::People(PeopleCommand::DeclineGrant(GrantId(number(grant)))),
        ["adopt-rules", rules] => Command::People(PeopleCommand::AdoptRules(number(rules))),
        ["set", indicator, what @ ..] => Command::Indicator(parse_set(id(indicator), what)),
        ["found"] => Command::People(PeopleCommand::FoundOffice(FoundOffice {
            office: Uuid::from_u128(2),
            name: "Dinas".into(),
            zone: Zone::Jakarta,
            rehearsal: false,
            rules: RULES_VERSION,
        })),
        ["add-unit", name @ ..] => {
            Command::People(PeopleCommand::AddUnit(AddUnit { name: name.join(" ").into() }))
        }
        ["unreadable"] => Command::Unreadable,
        ["add-person"] => Command::People(PeopleCommand::AddPerson(AddPerson)),
        ["assign", person, role, unit_number, dates @ ..] => {
            let date = |at: usize| dates.get(at).filter(|text| **text != "-").map(|text| date_of(text));
            Command::People(PeopleCommand::Assign(Assign {
                person: PersonId(number(person)),
                assignment: Assignment {
                    role: Role::from_name(role).unwrap(),
                    unit: (*unit_number != "0").then(|| unit(unit_number)),
                    from: date(0),
                    until: date(1),
                },
            }))
        }
        ["end", person, unit_number, last_day] => {
            Command::People(PeopleCommand::EndAssignments(EndAssignments {
                role: None,
                person: PersonId(number(person)),
                unit: (*unit_number != "0").then(|| unit(unit_number)),
                last_day: date_of(last_day),
            }))
        }
        ["enrol", person, uuid] => Command::People(PeopleCommand::EnrolDevice(EnrolDevice {
            owner: PersonId(number(person)),
            key: [9; 32],
            incarnation: Uuid::from_u128(number(uuid).into()),
            proof: None,
        })),
        ["revoke", device] => {
            Command::People(PeopleCommand::RevokeDevice(RevokeDevice { device: DeviceId(number(device)) }))
        }
        other => panic!("not a command: {other:?}"),
    }
}

fn parse_change(words: &[&str]) -> Change {
    let unit = |text: &str| UnitId(text.parse().unwrap());
    if words[0] == "add" {
        return Change::Add(Box::new(addition(&words[1..])));
    }
    let indicator = id(words[1]);
    match (words[0], &words[2..]) {
        ("target", [q, old, new]) => {
            Change::Target { indicator, quarter: quarter(q), old: cell(old), new: cell(new) }
        }
        ("kind", [old, new]) => {
            Change::Kind { indicator, old: Kind::from_name(old).unwrap(), new: Kind::from_name(new).unwrap() }
        }
        ("polarity", [old, new]) => Change::Polarity {
            indicator,
            old: Polarity::from_name(old).unwrap(),
            new: Polarity::from_name(new).unwrap(),
        },
        ("formula", [old, new]) => Change::Formula {
            indicator,
            old: LowerFormula::from_name(old).unwrap(),
            new: LowerFormula::from_name(new).unwrap(),
        },
        ("rename", [old, new]) => {
            let blank = |text: &str| if text == "blank" { " ".into() } else { text.into() };
            Change::Rename { indicator, old: blank(old), new: blank(new) }
        }
        ("reassign", [old, new]) => Change::Reassign { indicator, old: Some(unit(old)), new: unit(new) },
        ("cap", [old, new]) => Change::Cap { indicator, old: optional(old), new: optional(new) },
        ("year-target", [old, new]) => {
            Change::YearTarget { indicator, old: optional(old), new: optional(new) }
        }
        ("retire", []) => Change::Retire { indicator },
        other => panic!("not a change: {other:?}"),
    }
}

fn parse_set(indicator: IndicatorId, words: &[&str]) -> SetIndicator {
    let mut set = SetIndicator { indicator: Some(indicator), ..SetIndicator::default() };
    for pair in words.chunks(2) {
        match pair {
            ["kind", kind] => set.kind = Some(Kind::from_name(kind).unwrap()),
            ["polarity", polarity] => set.polarity = Some(Polarity::from_name(polarity).unwrap()),
            ["formula", formula] => set.formula = Some(LowerFormula::from_name(formula).unwrap()),
            ["cap", cap] => set.cap = Some(optional(cap)),
            ["year-target", target] => set.year_target = Some(optional(target)),
            ["unit", unit] => set.unit = Some(UnitId(unit.parse().unwrap())),
            ["target", of] => {
                let (number, target) = of.split_once('=').unwrap();
                set.targets.push((quarter(number), cell(target)));
            }
            other => panic!("cannot set {other:?}"),
        }
    }
    set
}

fn row(name: &str) -> ImportIndicator {
    let text = |text: &str| (!text.is_empty()).then(|| text.into());
    if let Some(broken) = name.strip_prefix('?') {
        return ImportIndicator { measure: "".into(), ..row(broken) };
    }
    let (name, level, satuan, responsible, kind, targets) =
        *PLAN.iter().find(|(known, ..)| *known == name).unwrap_or_else(|| panic!("no row {name}"));
    ImportIndicator {
        level,
        name: if level == Level::Strategic { "".into() } else { name.into() },
        measure: name.into(),
        satuan: text(satuan),
        responsible: text(responsible),
        kind,
        targets: targets.map(cell),
        year_target: None,
    }
}

/// `below PARENT LEVEL NAME TARGETS…` of a new indicator; PARENT is `-` for a strategic one of the first objective.
fn addition(words: &[&str]) -> AddIndicator {
    let [parent, level, name, targets @ ..] = words else { panic!("not an addition: {words:?}") };
    let levels = [Level::Strategic, Level::Program, Level::Activity, Level::SubActivity];
    AddIndicator {
        parent: (*parent != "-").then(|| id(parent)),
        objective: if *parent == "-" && *name == "nowhere" { 2 } else { 0 },
        row: ImportIndicator {
            level: levels.into_iter().find(|known| known.name() == *level).unwrap(),
            name: (*name).into(),
            measure: if *name == "blank" { " ".into() } else { (*name).into() },
            satuan: Some("unit".into()),
            responsible: None,
            kind: Kind::Sum,
            targets: std::array::from_fn(|index| cell(targets.get(index).unwrap_or(&"-"))),
            year_target: None,
        },
        polarity: Polarity::Higher,
        formula: LowerFormula::Mirrored,
        cap: None,
    }
}
