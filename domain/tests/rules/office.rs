//! The office that every scenario plays in: its people, its small plan, its clock, and all records it made.

use renaksi_domain::RULES_VERSION;
use renaksi_domain::command::{Command, Effect, Envelope, Outcome, Record, apply, decide};
use renaksi_domain::epoch::Restored;
use renaksi_domain::figures::{Line, Period, Realised, line};
use renaksi_domain::hash::state_hash;
use renaksi_domain::ids::{CommandKey, IndicatorId, Origin, PersonId, UnitId};
use renaksi_domain::indicator::Level;
use renaksi_domain::people::{
    AddPerson, AddUnit, Assign, Assignment, EnrolDevice, FoundOffice, PeopleCommand, Role,
};
use renaksi_domain::proposal::Kind;
use renaksi_domain::state::State;
use renaksi_domain::time::{Date, Timestamp, Zone};
use uuid::Uuid;

use crate::words::parse;

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
    /// What an ended epoch says of the commands that follow.
    pub restored: Option<Restored>,
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
            restored: None,
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
        let made_at = self.restored.map_or(self.now, |restored| restored.time);
        let made_at = made_at.plus_micros(self.device_ahead_micros);
        let restored = self.restored.map(Box::new);
        let envelope =
            Envelope { origin, sequence, author, made_at, has_reason: self.reason, restored, command };
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

pub fn date_of(text: &str) -> Date {
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
