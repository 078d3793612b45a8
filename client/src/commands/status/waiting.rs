//! What waits for the decision of one person, item by item. Pure: state in, items out.

use std::collections::BTreeMap;

use renaksi_domain::State;
use renaksi_domain::entry::{Entry, State as EntryState};
use renaksi_domain::ids::{CommandKey, IndicatorId, PersonId, RevisionId};
use renaksi_domain::people::{GrantState, Role};
use renaksi_domain::plan::PlanState;
use renaksi_domain::quarter::{PlanQuarter, QuarterState};
use renaksi_domain::revision::RevisionState;
use renaksi_domain::time::{Date, Quarter};
use serde_json::{Value, json};

use crate::commands::audit::words::office_time;
use crate::commands::people::{in_words, numbered};
use crate::error::Rejected;
use crate::{render, text};

/// All of one kind that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    /// Its key under `needs`.
    pub code: &'static str,
    pub count: u64,
    /// In the order of the log or of the plan.
    pub items: Vec<Item>,
}

/// One thing to decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub json: Value,
    pub words: String,
}

/// Who is asked about, and when.
pub(super) struct Asker<'a> {
    pub state: &'a State,
    pub person: PersonId,
    pub today: Date,
    pub name_of: &'a dyn Fn(PersonId) -> String,
}

impl Asker<'_> {
    /// What waits for this person; nothing of a kind that nobody waits with. What they asked for themselves waits for
    /// somebody else. `verifiable`: the entries that the rules let them verify.
    pub fn waiting(&self, verifiable: &[CommandKey]) -> Vec<Waiting> {
        let administrator = self.holds(Role::Administrator);
        let head = self.holds(Role::HeadOfOffice);
        let all = [
            ("decide_held", administrator, Asker::held as fn(&Self) -> Vec<Item>),
            ("approve_plan", head, Asker::plans),
            ("approve_revision", head, Asker::revisions),
            ("approve_lock", head, Asker::locks),
            ("confirm_grant", head, Asker::grants),
            ("grant_reopen", administrator, Asker::reopenings),
            ("confirm_kind", administrator, Asker::kinds),
        ];
        let mut waiting: Vec<Waiting> = all
            .into_iter()
            .filter(|(_, asked, _)| *asked)
            .map(|(code, _, items)| (code, items(self)))
            .map(|(code, items)| Waiting { code, count: items.len() as u64, items })
            .collect();
        let entries = verifiable.iter().filter_map(|key| self.state.entries.get(*key));
        waiting.insert(
            usize::from(administrator),
            Waiting { code: "verify", count: verifiable.len() as u64, items: self.by_indicator(entries) },
        );
        waiting.retain(|waiting| waiting.count > 0);
        waiting
    }

    /// How many entries of the units that this person heads nobody has verified, and still could: none of a locked
    /// quarter. `None` for whoever heads no unit.
    pub fn unverified(&self) -> Option<u64> {
        let assignments = self.state.people.assignments_on(self.person, self.today);
        let units: Vec<_> =
            assignments.filter(|a| a.role == Role::HeadOfUnit).filter_map(|a| a.unit).collect();
        let of_units = |entry: &&Entry| {
            self.state.indicator(entry.indicator).is_some_and(|indicator| {
                let counted = PlanQuarter { year: indicator.year, quarter: entry.quarter };
                let unit = indicator.facet_in(entry.on.quarter()).unit;
                unit.is_some_and(|unit| units.contains(&unit)) && !self.state.is_locked(counted)
            })
        };
        let recorded = self.state.entries.iter().filter(|entry| entry.state == EntryState::Recorded);
        (!units.is_empty()).then(|| recorded.filter(of_units).count() as u64)
    }

    fn holds(&self, role: Role) -> bool {
        self.state.people.has_role(self.person, role, self.today)
    }

    fn grants(&self) -> Vec<Item> {
        numbered(self.state)
            .filter(|(_, grant)| grant.state == GrantState::Waiting)
            .filter(|(_, grant)| ![grant.given_by, grant.person].contains(&self.person))
            .map(|(id, grant)| {
                let (name, role) = ((self.name_of)(grant.person), grant.assignment.role.name());
                Item {
                    words: format!("{id}: {name}, {}", in_words(self.state, &grant.assignment)),
                    json: json!({ "grant": id.0, "person": name, "role": role }),
                }
            })
            .collect()
    }

    fn plans(&self) -> Vec<Item> {
        let plans = self.state.plans.iter().filter(|plan| plan.state == PlanState::Submitted);
        plans
            .filter(|plan| plan.submitted_by != Some(self.person))
            .map(|plan| Item { json: json!({ "year": plan.year }), words: plan.year.to_string() })
            .collect()
    }

    fn revisions(&self) -> Vec<Item> {
        let all = self.state.revisions.iter().enumerate();
        all.filter(|(_, revision)| revision.state == RevisionState::Submitted)
            .filter(|(_, revision)| {
                !revision.authors.contains(&self.person) && revision.submitted_by != Some(self.person)
            })
            .map(|(index, revision)| {
                let (id, draft) = (RevisionId::after(index), &revision.draft);
                Item {
                    json: json!({ "revision": id.0, "number": draft.number, "year": draft.year }),
                    words: format!("{} ({})", draft.number, draft.year),
                }
            })
            .collect()
    }

    /// Every quarter of every plan.
    fn quarters(&self) -> impl Iterator<Item = (PlanQuarter, QuarterState)> {
        self.state.plans.iter().flat_map(|plan| {
            let year = plan.year;
            Quarter::ALL.map(|quarter| (PlanQuarter { year, quarter }, plan.quarters[quarter.index()]))
        })
    }

    fn locks(&self) -> Vec<Item> {
        self.quarters()
            .filter(|(_, state)| matches!(state, QuarterState::LockRequested { by } if *by != self.person))
            .map(|(about, _)| Item { json: quarter_json(about), words: quarter_words(about) })
            .collect()
    }

    fn reopenings(&self) -> Vec<Item> {
        self.quarters()
            .filter_map(|(about, state)| match state {
                QuarterState::ReopenRequested { by, until, .. } if by != self.person => {
                    Some((about, by, until))
                }
                _ => None,
            })
            .map(|(about, by, until)| {
                let name = (self.name_of)(by);
                let mut json = quarter_json(about);
                json["until"] = json!(until.rfc3339());
                json["by"] = json!(name);
                let until = office_time(self.state.zone(), until);
                Item { json, words: format!("{} → {until}, {name}", quarter_words(about)) }
            })
            .collect()
    }

    fn held(&self) -> Vec<Item> {
        let waiting = self.state.held.iter().filter(|(_, held)| held.is_waiting());
        waiting
            .map(|(key, held)| {
                let device = self.state.people.incarnation(key.origin).map(|own| own.device.0);
                let (name, cause) = ((self.name_of)(held.author), Rejected::from(&held.cause));
                let message = text::message(&cause);
                Item {
                    words: format!("{}: {name}, {message}", render::short_id(self.state, *key)),
                    json: json!({
                        "entry_id": self.state.public_id(*key),
                        "person": name,
                        "device": device,
                        "code": cause.code,
                        "message": message,
                    }),
                }
            })
            .collect()
    }

    fn kinds(&self) -> Vec<Item> {
        let ids = self.state.plans.iter().flat_map(|plan| &plan.indicators);
        ids.filter_map(|id| self.state.indicator(*id))
            .filter(|indicator| !indicator.confirmed)
            .map(|indicator| {
                let kind = indicator.settings_in(Quarter::Q1).kind.name();
                Item {
                    json: json!({ "indicator": indicator.code, "year": indicator.year, "kind": kind }),
                    words: format!("{}: {}", indicator.code, text::term("kind", kind)),
                }
            })
            .collect()
    }

    fn by_indicator<'a>(&self, entries: impl Iterator<Item = &'a Entry>) -> Vec<Item> {
        let mut counts: BTreeMap<IndicatorId, u64> = BTreeMap::new();
        entries.for_each(|entry| *counts.entry(entry.indicator).or_default() += 1);
        let known = counts.into_iter().filter_map(|(id, count)| Some((self.state.indicator(id)?, count)));
        known
            .map(|(indicator, count)| Item {
                json: json!({ "indicator": indicator.code, "year": indicator.year, "entries": count }),
                words: format!("{}: {count}", indicator.code),
            })
            .collect()
    }
}

fn quarter_json(about: PlanQuarter) -> Value {
    json!({ "year": about.year, "quarter": about.quarter.number() })
}

fn quarter_words(about: PlanQuarter) -> String {
    format!("TW {} {}", about.quarter.number(), about.year)
}

#[cfg(test)]
mod tests {
    use renaksi_domain::command::{Command, Outcome};
    use renaksi_domain::entry::{AddEntry, EntryCommand, Reading};
    use renaksi_domain::ids::UnitId;
    use renaksi_domain::people::{Assign, Assignment, PeopleCommand};
    use renaksi_domain::quantity::Quantity;
    use renaksi_domain::quarter::QuarterCommand;
    use renaksi_domain::revision::RevisionCommand;
    use renaksi_domain::{Code, Rejection};

    use super::*;
    use crate::commands::audit::fixture::{Office, UTTP};

    const ADMINISTRATOR: PersonId = PersonId(1);
    const HEAD: PersonId = PersonId(2);
    const OFFICER: PersonId = PersonId(3);

    fn day() -> Date {
        Date::parse("2024-07-10").unwrap()
    }

    fn name_of(person: PersonId) -> String {
        format!("Orang {person}")
    }

    fn asker(state: &State, person: PersonId) -> Asker<'_> {
        Asker { state, person, today: day(), name_of: &name_of }
    }

    fn of(office: &Office, person: PersonId) -> Vec<(&'static str, Vec<Value>)> {
        let waiting = asker(&office.state, person).waiting(&[]);
        waiting.into_iter().map(|w| (w.code, w.items.into_iter().map(|item| item.json).collect())).collect()
    }

    fn assign(person: PersonId, role: Role) -> Command {
        let assignment = Assignment { role, unit: Some(UnitId(1)), from: None, until: None };
        Command::People(PeopleCommand::Assign(Assign { person, assignment }))
    }

    fn confirmed(office: &mut Office) {
        office.state.indicators.iter_mut().for_each(|indicator| indicator.confirmed = true);
    }

    #[test]
    fn the_head_of_office_sees_which_decisions_wait() {
        let mut office = Office::established();
        assert!(of(&office, HEAD).is_empty());
        let id = office.draft("P-1");
        office.change_target(id, "120", "200");
        office.done(Command::Revision(RevisionCommand::Submit(id)));
        let quarter = PlanQuarter { year: 2024, quarter: Quarter::Q1 };
        office.done(Command::Quarter(QuarterCommand::Request(quarter)));
        office.done(assign(OFFICER, Role::Administrator));
        // The head cannot be the second person of a role of their own.
        office.done(assign(HEAD, Role::Administrator));
        assert_eq!(
            of(&office, HEAD),
            [
                ("approve_revision", vec![json!({ "revision": 1, "number": "P-1", "year": 2024 })]),
                ("approve_lock", vec![json!({ "year": 2024, "quarter": 1 })]),
                ("confirm_grant", vec![json!({ "grant": 1, "person": "Orang 3", "role": "administrator" })]),
            ]
        );
        assert!(of(&office, OFFICER).is_empty(), "nothing of it waits for an officer");
        office.state.plans[0].state = PlanState::Submitted;
        assert_eq!(of(&office, HEAD)[0], ("approve_plan", vec![json!({ "year": 2024 })]));
        office.state.plans[0].submitted_by = Some(HEAD);
        assert_eq!(of(&office, HEAD)[0].0, "approve_revision", "whoever asked cannot approve");
    }

    #[test]
    fn the_administrator_sees_held_work_reopenings_and_kinds() {
        let mut office = Office::established();
        confirmed(&mut office);
        assert!(of(&office, ADMINISTRATOR).is_empty());
        office.state.indicators[UTTP.index()].confirmed = false;
        let add = AddEntry {
            indicator: UTTP,
            on: day(),
            reading: Reading::Quantity(Quantity::parse("3").unwrap()),
        };
        let cause = Rejection::new(Code::ClockImplausible);
        let held = office.with(Command::Entry(EntryCommand::Add(add)), Outcome::Held(cause));
        office.lock(Quarter::Q1);
        let until = office.state.time.plus_micros(86_400_000_000);
        let quarter = PlanQuarter { year: 2024, quarter: Quarter::Q1 };
        office.done(Command::Quarter(QuarterCommand::RequestReopen(quarter, until)));
        let waiting = of(&office, ADMINISTRATOR);
        let codes: Vec<&str> = waiting.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes, ["decide_held", "confirm_kind"], "they asked for the reopening themselves");
        assert_eq!(waiting[0].1[0]["entry_id"], office.state.public_id(held).to_string());
        assert_eq!(
            (&waiting[0].1[0]["code"], &waiting[0].1[0]["device"]),
            (&json!("CLOCK_IMPLAUSIBLE"), &json!(1))
        );
        assert_eq!(waiting[1].1, [json!({ "indicator": "1.1.1.1", "year": 2024, "kind": "sum" })]);
        // Another administrator is the one who is waited for.
        let role = Assignment { role: Role::Administrator, unit: None, from: None, until: None };
        office.state.people.persons[OFFICER.index()].assignments.push(role);
        let reopen = &of(&office, OFFICER)[1];
        assert_eq!(
            (reopen.0, &reopen.1[0]["quarter"], &reopen.1[0]["by"]),
            ("grant_reopen", &json!(1), &json!("Orang 1"))
        );
    }

    #[test]
    fn a_head_of_unit_sees_how_much_of_the_unit_is_unverified() {
        let mut office = Office::established();
        let first = office.entry("2024-01-09", "60");
        let second = office.entry("2024-07-09", "60");
        let third = office.entry("2024-07-09", "1");
        office.verify(third);
        assert_eq!(asker(&office.state, OFFICER).unverified(), None, "no head of a unit");
        let role = Assignment { role: Role::HeadOfUnit, unit: Some(UnitId(1)), from: None, until: None };
        office.state.people.persons[OFFICER.index()].assignments.push(role);
        assert_eq!(asker(&office.state, OFFICER).unverified(), Some(2));
        let waiting = asker(&office.state, OFFICER).waiting(&[first, second]);
        assert_eq!((waiting[0].code, waiting[0].count), ("verify", 2));
        assert_eq!(waiting[0].items[0].json, json!({ "indicator": "1.1.1.1", "year": 2024, "entries": 2 }));
        assert_eq!(waiting[0].items[0].words, "1.1.1.1: 2");
        office.lock(Quarter::Q1);
        assert_eq!(asker(&office.state, OFFICER).unverified(), Some(1), "of a locked quarter nothing can be");
    }
}
