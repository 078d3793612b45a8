//! Fixed values of every stored message. Never change one: add another.

use renaksi_domain::command::{Command, Counted, Effect, Outcome, Record};
use renaksi_domain::config::{Band, ConfigCommand};
use renaksi_domain::entry::{AddEntry, AmendEntry, EntryCommand, EntryVersion, Reading, State};
use renaksi_domain::epoch::{BeginEpoch, Restored, Seen};
use renaksi_domain::held::{HeldCommand, ReleaseHeld};
use renaksi_domain::ids::{CommandKey, DeviceId, GrantId, IndicatorId, Origin, PersonId, RevisionId, UnitId};
use renaksi_domain::indicator::{Level, LowerFormula, Polarity, SetIndicator};
use renaksi_domain::narrative::{SetNarrative, Texts};
use renaksi_domain::people::{
    AddPerson, AddUnit, Assign, Assignment, EndAssignments, EnrolDevice, EnrolmentProof, FoundOffice,
    PeopleCommand, RevokeDevice, Role,
};
use renaksi_domain::plan::{
    ApprovePlan, EstablishPlan, FinishImport, ImportIndicator, ImportObjective, PlanCommand, StartImport,
};
use renaksi_domain::proposal::Kind;
use renaksi_domain::quantity::{Quantity, Target};
use renaksi_domain::quarter::{PlanQuarter, QuarterCommand};
use renaksi_domain::rejection::{Code, Rejection};
use renaksi_domain::revision::{AddIndicator, Change, DraftRevision, LegalBasis, RevisionCommand};
use renaksi_domain::time::{Date, Quarter, Timestamp, Zone};
use renaksi_proto::convert::{Leaf, command_leaf, decode_command, encode_record};
use renaksi_proto::log;
use uuid::Uuid;

pub const SALT: [u8; 16] = [0xa5; 16];

/// When the sample commands were made, and the texts beside those that have some.
pub const MADE_AT: Timestamp = Timestamp(1_715_648_400_000_000);

pub fn texts() -> log::Texts {
    log::Texts { place: "Pasar Baru".into(), note: "12 timbangan".into(), reason: "salah hitung".into() }
}

fn quantity(text: &str) -> Quantity {
    Quantity::parse(text).unwrap()
}

fn date(text: &str) -> Date {
    Date::parse(text).unwrap()
}

fn key(origin: u32, sequence: u32) -> CommandKey {
    CommandKey::new(Origin(origin), sequence)
}

fn version() -> EntryVersion {
    EntryVersion { entry: key(5, 300), base: key(10, 7) }
}

const CELL: PlanQuarter = PlanQuarter { year: 2024, quarter: Quarter::Q3 };
const UTTP: IndicatorId = IndicatorId(3);

/// Every command, with the name of its line.
pub fn commands() -> Vec<(String, Command)> {
    let mut all = people();
    all.extend(plan());
    all.extend(entries());
    all.extend(quarters_and_revisions());
    all.extend(second_release());
    all.into_iter().map(|(name, command)| (format!("command {name}"), command)).collect()
}

fn people() -> Vec<(&'static str, Command)> {
    let assign = |role, unit, from, until| {
        PeopleCommand::Assign(Assign {
            person: PersonId(5),
            assignment: Assignment { role, unit, from, until },
        })
    };
    let (june, july) = (Some(date("2024-06-01")), Some(date("2024-07-31")));
    let found = |zone, rehearsal, rules| {
        PeopleCommand::FoundOffice(FoundOffice {
            office: Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef),
            name: "Dinas Perdagangan".into(),
            zone,
            rehearsal,
            rules,
        })
    };
    let all = vec![
        ("found_office", found(Zone::Jakarta, true, 1)),
        ("found_office.pontianak", found(Zone::Pontianak, false, 1)),
        ("found_office.makassar", found(Zone::Makassar, false, 1)),
        ("found_office.jayapura", found(Zone::Jayapura, false, 1)),
        ("add_unit", PeopleCommand::AddUnit(AddUnit { name: "Kepala Bidang Perdagangan".into() })),
        ("add_person", PeopleCommand::AddPerson(AddPerson)),
        ("assign", assign(Role::Officer, Some(UnitId(2)), june, july)),
        ("assign.head_of_unit", assign(Role::HeadOfUnit, Some(UnitId(2)), None, None)),
        ("assign.administrator", assign(Role::Administrator, Some(UnitId(1)), june, None)),
        ("assign.head_of_office", assign(Role::HeadOfOffice, None, None, july)),
        ("assign.auditor", assign(Role::Auditor, None, None, None)),
        ("assign.operator", assign(Role::Operator, None, None, None)),
        (
            "assign.before_1970",
            assign(Role::Officer, None, Some(date("1969-12-31")), Some(date("1970-01-01"))),
        ),
        (
            "end_assignments",
            PeopleCommand::EndAssignments(EndAssignments {
                role: Some(Role::Officer),
                person: PersonId(5),
                unit: Some(UnitId(2)),
                last_day: date("2024-06-30"),
            }),
        ),
        (
            "enrol_device",
            PeopleCommand::EnrolDevice(EnrolDevice {
                owner: PersonId(5),
                key: [0x42; 32],
                incarnation: Uuid::from_u128(0xfeed),
                proof: Some(Box::new(EnrolmentProof {
                    signature: [0x51; 64],
                    code_sha256: [0x52; 32],
                    authority_sha256: [0x53; 32],
                })),
            }),
        ),
        ("revoke_device", PeopleCommand::RevokeDevice(RevokeDevice { device: DeviceId(4) })),
        ("found_office.rules", found(Zone::Jakarta, false, 2)),
        ("confirm_grant", PeopleCommand::ConfirmGrant(GrantId(3))),
        ("decline_grant", PeopleCommand::DeclineGrant(GrantId(4))),
        ("adopt_rules", PeopleCommand::AdoptRules(2)),
        ("begin_epoch", begin_epoch(None)),
        ("begin_epoch.seen", begin_epoch(Some(Seen { epoch: 1, size: 70_050, root: [0x55; 32] }))),
    ];
    all.into_iter().map(|(name, command)| (name, Command::People(command))).collect()
}

fn begin_epoch(seen: Option<Seen>) -> PeopleCommand {
    let (reason, root) = ("an old backup was restored".into(), [0x54; 32]);
    PeopleCommand::BeginEpoch(Box::new(BeginEpoch { epoch: 2, reason, size: 70_000, root, seen }))
}

fn plan() -> Vec<(&'static str, Command)> {
    let row = |level, kind, satuan: Option<&str>| {
        Command::Plan(PlanCommand::ImportIndicator(Box::new(ImportIndicator {
            level,
            name: "Metrologi Legal".into(),
            measure: "Jumlah UTTP bertanda tera sah".into(),
            satuan: satuan.map(Into::into),
            responsible: satuan.map(|_| "Kepala Bidang Perdagangan".into()),
            kind,
            targets: [
                Target::Value(quantity("88,00")),
                Target::Text("WTP".into()),
                Target::NotPlanned,
                Target::Missing,
            ],
            year_target: None,
        })))
    };
    let set = SetIndicator {
        indicator: Some(UTTP),
        kind: Some(Kind::Average),
        polarity: Some(Polarity::Lower),
        formula: Some(LowerFormula::Inverse),
        cap: Some(Some(quantity("120"))),
        unit: Some(UnitId(2)),
        targets: vec![(Quarter::Q1, Target::Value(quantity("-2,24"))), (Quarter::Q4, Target::Missing)],
        year_target: None,
    };
    vec![
        (
            "start_import",
            Command::Plan(PlanCommand::StartImport(StartImport {
                year: 2024,
                title: "RENCANA AKSI".into(),
                source_sha256: [0x11; 32],
            })),
        ),
        (
            "import_objective",
            Command::Plan(PlanCommand::ImportObjective(ImportObjective { name: "Sasaran".into() })),
        ),
        ("import_indicator", row(Level::Activity, Kind::Sum, Some("UTTP"))),
        ("import_indicator.strategic", row(Level::Strategic, Kind::Latest, Some("%"))),
        ("import_indicator.program", row(Level::Program, Kind::Cumulative, None)),
        ("import_indicator.sub_activity", row(Level::SubActivity, Kind::Ratio, None)),
        (
            "finish_import",
            Command::Plan(PlanCommand::FinishImport(FinishImport {
                year: 2024,
                objectives: 4,
                indicators: 101,
            })),
        ),
        (
            "establish_plan",
            Command::Plan(PlanCommand::EstablishPlan(EstablishPlan {
                year: 2024,
                basis: "SK 1/2024".into(),
            })),
        ),
        ("approve_plan", Command::Plan(PlanCommand::ApprovePlan(ApprovePlan { year: 2024 }))),
        ("set_indicator", Command::Indicator(set)),
        (
            "set_indicator.little",
            Command::Indicator(SetIndicator {
                indicator: Some(UTTP),
                polarity: Some(Polarity::Higher),
                formula: Some(LowerFormula::Mirrored),
                ..SetIndicator::default()
            }),
        ),
    ]
}

pub fn entries() -> Vec<(&'static str, Command)> {
    let add = |reading| AddEntry { indicator: UTTP, on: date("2024-05-14"), reading };
    let amend = |reading| {
        EntryCommand::Amend(AmendEntry {
            entry: key(5, 300),
            base: key(10, 7),
            on: date("2024-05-15"),
            reading,
        })
    };
    let release = |to, count_in| HeldCommand::Release(ReleaseHeld { held: key(5, 300), to, count_in });
    let ratio = Reading::Ratio { numerator: quantity("1600"), denominator: quantity("2000,5") };
    vec![
        ("add_entry", Command::Entry(EntryCommand::Add(add(Reading::Quantity(quantity("12")))))),
        ("add_entry.ratio", Command::Entry(EntryCommand::Add(add(ratio.clone())))),
        ("add_entry.text", Command::Entry(EntryCommand::Add(add(Reading::Text("WTP".into()))))),
        ("add_entry.zero", Command::Entry(EntryCommand::Add(add(Reading::Quantity(quantity("0,00")))))),
        (
            "add_entry.most",
            Command::Entry(EntryCommand::Add(add(Reading::Quantity(quantity("-999999999999,999999"))))),
        ),
        ("amend_entry", Command::Entry(amend(ratio))),
        ("void_entry", Command::Entry(EntryCommand::Void(version()))),
        ("verify_entry", Command::Entry(EntryCommand::Verify(version()))),
        ("return_entry", Command::Entry(EntryCommand::Return(version()))),
        ("release_held", Command::Held(release(Some(UTTP), Some(Quarter::Q4)))),
        ("release_held.plain", Command::Held(release(None, None))),
        ("dismiss_held", Command::Held(HeldCommand::Dismiss(key(5, 300)))),
        ("withdraw_held", Command::Held(HeldCommand::Withdraw(key(5, 300)))),
    ]
}

fn quarters_and_revisions() -> Vec<(&'static str, Command)> {
    let change = |change| Command::Revision(RevisionCommand::AddChange(RevisionId(2), change));
    let (indicator, quarter) = (UTTP, Quarter::Q3);
    let target = |old, new| change(Change::Target { indicator, quarter, old, new });
    vec![
        ("request_lock", Command::Quarter(QuarterCommand::Request(CELL))),
        ("approve_lock", Command::Quarter(QuarterCommand::Approve(CELL))),
        ("reject_lock", Command::Quarter(QuarterCommand::Reject(CELL))),
        (
            "draft_revision",
            Command::Revision(RevisionCommand::Draft(DraftRevision {
                year: 2024,
                number: "R1".into(),
                reason: "refocusing".into(),
                basis: LegalBasis {
                    title: "Keputusan Kepala Dinas".into(),
                    number: "188.45/12".into(),
                    date: date("2024-07-09"),
                },
                effective: Quarter::Q3,
            })),
        ),
        ("add_change.target", target(Target::Value(quantity("120")), Target::Value(quantity("200")))),
        ("add_change.target.filled", target(Target::Missing, Target::Text("A".into()))),
        ("add_change.kind", change(Change::Kind { indicator, old: Kind::Sum, new: Kind::Latest })),
        (
            "add_change.polarity",
            change(Change::Polarity { indicator, old: Polarity::Higher, new: Polarity::Lower }),
        ),
        (
            "add_change.formula",
            change(Change::Formula { indicator, old: LowerFormula::Mirrored, new: LowerFormula::Inverse }),
        ),
        (
            "add_change.rename",
            change(Change::Rename { indicator, old: "UTTP".into(), new: "Jumlah UTTP".into() }),
        ),
        ("add_change.reassign", change(Change::Reassign { indicator, old: Some(UnitId(2)), new: UnitId(3) })),
        ("add_change.reassign.first", change(Change::Reassign { indicator, old: None, new: UnitId(3) })),
        ("add_change.retire", change(Change::Retire { indicator })),
        ("submit_revision", Command::Revision(RevisionCommand::Submit(RevisionId(2)))),
        ("approve_revision", Command::Revision(RevisionCommand::Approve(RevisionId(2)))),
        ("reject_revision", Command::Revision(RevisionCommand::Reject(RevisionId(2)))),
        ("withdraw_revision", Command::Revision(RevisionCommand::Withdraw(RevisionId(2)))),
    ]
}

/// What the second release added.
fn second_release() -> Vec<(&'static str, Command)> {
    let (indicator, some) = (UTTP, Some(quantity("120,5")));
    let set = |cap, year_target| {
        let indicator = Some(UTTP);
        Command::Indicator(SetIndicator { indicator, cap, year_target, ..SetIndicator::default() })
    };
    let row = |level, year_target| ImportIndicator {
        level,
        name: "Klinik Koperasi".into(),
        measure: "Jumlah konsultasi".into(),
        satuan: Some("kali".into()),
        responsible: None,
        kind: Kind::Sum,
        targets: [
            Target::NotPlanned,
            Target::NotPlanned,
            Target::Value(quantity("10")),
            Target::Value(quantity("20")),
        ],
        year_target,
    };
    let add = |parent, objective, level, cap| {
        Change::Add(Box::new(AddIndicator {
            parent,
            objective,
            row: row(level, None),
            polarity: Polarity::Lower,
            formula: LowerFormula::Inverse,
            cap,
        }))
    };
    let change = |change| Command::Revision(RevisionCommand::AddChange(RevisionId(2), change));
    let band = |name: &str, above: Option<&str>, up_to: Option<&str>| Band {
        name: name.into(),
        above: above.map(quantity),
        up_to: up_to.map(quantity),
    };
    let bands = vec![
        band("Kurang", None, Some("60")),
        band("Cukup", Some("60"), Some("90,5")),
        band("Baik", Some("90,5"), None),
    ];
    let narrative = |base, driver: &str| {
        Command::Narrative(SetNarrative {
            indicator: UTTP,
            quarter: Quarter::Q3,
            base,
            texts: Texts {
                driver: driver.into(),
                obstacle: "Cuaca".into(),
                follow_up: "Penjadwalan ulang".into(),
            },
        })
    };
    let quarter = |command| Command::Quarter(command);
    vec![
        (
            "import_indicator.year_target",
            Command::Plan(PlanCommand::ImportIndicator(Box::new(row(Level::Activity, some)))),
        ),
        ("set_indicator.year_target", set(None, Some(some))),
        ("set_indicator.cleared", set(Some(None), Some(None))),
        ("send_back_plan", Command::Plan(PlanCommand::SendBackPlan(2024))),
        ("recall_plan", Command::Plan(PlanCommand::RecallPlan(2024))),
        ("request_reopen", quarter(QuarterCommand::RequestReopen(CELL, MADE_AT))),
        ("grant_reopen", quarter(QuarterCommand::GrantReopen(CELL))),
        ("decline_reopen", quarter(QuarterCommand::DeclineReopen(CELL))),
        ("relock", quarter(QuarterCommand::Relock(CELL))),
        ("add_change.cap", change(Change::Cap { indicator, old: None, new: some })),
        ("add_change.cap.cleared", change(Change::Cap { indicator, old: some, new: None })),
        ("add_change.year_target", change(Change::YearTarget { indicator, old: None, new: some })),
        ("add_change.add", change(add(Some(UTTP), 0, Level::SubActivity, some))),
        ("add_change.add.strategic", change(add(None, 3, Level::Strategic, None))),
        ("set_bands", Command::Config(ConfigCommand::SetBands(bands))),
        ("set_due_days", Command::Config(ConfigCommand::SetDueDays(7))),
        (
            "set_days",
            Command::Config(ConfigCommand::SetDays {
                holidays: vec![date("2024-04-10"), date("2024-04-11")],
                working_days: vec![date("2025-01-01")],
            }),
        ),
        ("set_narrative", narrative(0, "Dukungan desa")),
        ("set_narrative.again", narrative(69_999, "")),
    ]
}

/// A record with all that is stored in its leaf.
pub struct StoredRecord {
    pub record: Record,
    pub command: Leaf,
    pub signature: Option<Vec<u8>>,
    pub skew_ms: Option<i64>,
}

impl StoredRecord {
    pub fn leaf(&self) -> Vec<u8> {
        encode_record(&self.record, &self.command.leaf, self.signature.as_deref(), self.skew_ms)
    }
}

/// Records of every outcome.
pub fn records() -> Vec<(String, StoredRecord)> {
    let counted = |state| Counted {
        indicator: UTTP,
        quarter: Quarter::Q2,
        on: date("2024-05-14"),
        reading: Reading::Quantity(quantity("7,8")),
        state,
        position: 69_999,
    };
    let effect = |before, after| {
        Outcome::Recorded(Effect {
            late: true,
            before: Some(counted(before)),
            after: Some(counted(after)),
            reported_left: Some(Box::new(counted(State::Recorded))),
            verified_left: Some(Box::new(counted(State::Verified))),
            frozen: None,
        })
    };
    let locked = Effect { frozen: Some(Box::new([0x66; 32])), ..Effect::default() };
    let add = || entries().remove(0).1;
    let cause = || Rejection::new(Code::QuarterLocked).with("indicator", "1.1.1.1").with("quarter", 1);
    let newer = Rejection::new(Code::Newer).with("indicator", "1.1").with("code", "MOON_FULL");
    let all = vec![
        ("recorded", add(), Outcome::Recorded(Effect::default())),
        ("recorded.effect", add(), effect(State::Recorded, State::Verified)),
        ("recorded.effect.other", add(), effect(State::Returned, State::Voided)),
        ("recorded.lock", Command::Quarter(QuarterCommand::Approve(CELL)), Outcome::Recorded(locked)),
        ("held", add(), Outcome::Held(cause())),
        ("refused", Command::Quarter(QuarterCommand::Request(CELL)), Outcome::Refused(cause())),
        ("held.newer", add(), Outcome::Held(newer)),
        ("recorded.restored", add(), Outcome::Recorded(Effect::default())),
    ];
    let make = |(name, command, outcome): (&str, Command, Outcome)| {
        let with_texts = name != "recorded";
        let command =
            command_leaf(&command, MADE_AT, &if with_texts { texts() } else { Default::default() }, SALT);
        let (mut envelope, _) = decode_command(&command.leaf, Origin(5), 300, PersonId(7)).unwrap();
        let restored = Restored { epoch: 1, position: 69_990, time: MADE_AT, recorded: true };
        envelope.restored = name.ends_with("restored").then(|| Box::new(restored));
        let record = Record {
            position: 70_000,
            time: MADE_AT.plus_micros(5_000_001),
            carrier: with_texts.then_some(PersonId(8)),
            envelope,
            outcome,
        };
        let signature = with_texts.then(|| vec![0x77; 64]);
        (
            format!("record {name}"),
            StoredRecord { record, command, signature, skew_ms: with_texts.then_some(-1500) },
        )
    };
    all.into_iter().map(make).collect()
}
