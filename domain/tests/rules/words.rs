//! Commands as somebody would say them.

use renaksi_domain::RULES_VERSION;
use renaksi_domain::command::Command;
use renaksi_domain::config::{Band, ConfigCommand};
use renaksi_domain::entry::{AddEntry, AmendEntry, EntryCommand, EntryVersion, Reading};
use renaksi_domain::epoch::{BeginEpoch, Seen};
use renaksi_domain::held::{HeldCommand, ReleaseHeld};
use renaksi_domain::ids::{DeviceId, GrantId, IndicatorId, PersonId, RevisionId, UnitId};
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
use renaksi_domain::time::{Quarter, Zone};
use uuid::Uuid;

use crate::office::{PLAN, date_of, id, key, local};

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
        ["begin-epoch", epoch, reason @ ..] => {
            Command::People(PeopleCommand::BeginEpoch(Box::new(BeginEpoch {
                epoch: number(epoch),
                reason: reason.join(" ").into(),
                size: state.position,
                root: [7; 32],
                seen: Some(Seen { epoch: 1, size: state.position + 50, root: [8; 32] }),
            })))
        }
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
