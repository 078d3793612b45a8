//! One record as the audit trail tells it: the fields of the JSON contract, and a sentence in the reader's language.

use std::collections::BTreeSet;

use renaksi_domain::State;
use renaksi_domain::command::{Command, Counted, Effect, Outcome, Record};
use renaksi_domain::entry::EntryCommand;
use renaksi_domain::epoch::{BeginEpoch, Restored};
use renaksi_domain::held::HeldCommand;
use renaksi_domain::ids::{CommandKey, IndicatorId, PersonId, RevisionId, UnitId};
use renaksi_domain::indicator::SetIndicator;
use renaksi_domain::people::{Assignment, PeopleCommand};
use renaksi_domain::quantity::Quantity;
use renaksi_domain::quarter::QuarterCommand;
use renaksi_domain::revision::{Change, RevisionCommand};
use renaksi_proto::agreed::hex;
use renaksi_proto::log;
use serde_json::{Map, Value, json};

use super::fields::{config, details, draft_fields, none_or_plain, object, plan, put_reading, row_fields};
use super::imports::Imports;
use super::words::{office_time, say};
use crate::commands::revision::{added, change_in_words};
use crate::error::Rejected;
use crate::render;
use crate::text;

/// One event, ready to be printed and to be filtered.
#[derive(Clone, Debug, Default)]
pub struct Event {
    /// Every field of the JSON object, in its order.
    pub fields: Map<String, Value>,
    /// One sentence.
    pub summary: String,
    /// The indicators it is about.
    pub indicators: BTreeSet<IndicatorId>,
    /// The entry it is about.
    pub entry: Option<CommandKey>,
    pub author: Option<PersonId>,
}

/// Tells records in the order of the log. Ids that the log gives by counting are counted here too, so it must see every
/// record from the first on; names and codes come from a state that is at least as far.
pub struct Narrator<'a> {
    state: &'a State,
    name_of: &'a dyn Fn(PersonId) -> String,
    persons: usize,
    devices: usize,
    revisions: usize,
    imports: Imports,
}

impl std::fmt::Debug for Narrator<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Narrator").field("revisions", &self.revisions).finish_non_exhaustive()
    }
}

impl<'a> Narrator<'a> {
    /// A narrator who has seen no record yet.
    pub fn new(state: &'a State, name_of: &'a dyn Fn(PersonId) -> String) -> Self {
        Self { state, name_of, persons: 0, devices: 0, revisions: 0, imports: Imports::new(state) }
    }

    /// The next record, with what lies beside it.
    pub fn tell(&mut self, record: &Record, stored: &log::Record, texts: Option<&log::Texts>) -> Event {
        self.count(record);
        let (command, envelope) = (&record.envelope.command, &record.envelope);
        let imported = self.imports.indicator(self.state, record);
        let mut event = Event { author: Some(envelope.author), ..Event::default() };
        event.indicators.extend(imported);
        let mut own = self.own_fields(record, &mut event);
        if let Outcome::Held(cause) | Outcome::Refused(cause) = &record.outcome {
            own.insert("command".into(), json!(command.name()));
            own.insert("code".into(), json!(cause.code.name()));
            own.insert("details".into(), details(cause));
        }
        for (key, text) in [
            ("place", texts.map(|texts| &texts.place)),
            ("note", texts.map(|texts| &texts.note)),
            ("reason", texts.map(|texts| &texts.reason)),
        ] {
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                own.insert(key.into(), json!(text));
            }
        }
        let (outcome, kind) = match &record.outcome {
            Outcome::Recorded(_) => ("recorded", command.name()),
            Outcome::Held(_) => ("held", "entry.held"),
            Outcome::Refused(_) => ("refused", "command.refused"),
        };
        let device = self.state.people.incarnation(envelope.origin).map(|incarnation| incarnation.device.0);
        event.summary = self.summary(record, kind, &own);
        if let Some(restored) = &envelope.restored {
            let (epoch, position) = (restored.epoch, restored.position);
            event.summary += &text::with("audit.restored", &[("epoch", &epoch), ("position", &position)]);
            own.insert("restored".into(), restored_json(restored));
        }
        let fields = &mut event.fields;
        fields.insert("position".into(), json!(record.position));
        fields.insert("time".into(), json!(record.time.rfc3339()));
        fields.insert("actor".into(), json!(self.actor(record)));
        fields.insert("device".into(), json!(device));
        fields.insert("type".into(), json!(kind));
        fields.insert("outcome".into(), json!(outcome));
        fields.insert("summary".into(), json!(event.summary));
        fields.append(&mut own);
        if let Some(carrier) = record.carrier {
            fields.insert("carrier".into(), json!((self.name_of)(carrier)));
        }
        if let Some(skew) = stored.clock_skew_ms {
            fields.insert("clock_skew_ms".into(), json!(skew));
        }
        event
    }

    /// The next record, of which nothing is to be told.
    pub fn pass(&mut self, record: &Record) {
        self.count(record);
        self.imports.indicator(self.state, record);
    }

    fn count(&mut self, record: &Record) {
        if !matches!(record.outcome, Outcome::Recorded(_)) {
            return;
        }
        match &record.envelope.command {
            Command::People(PeopleCommand::AddPerson(_)) => self.persons += 1,
            Command::People(PeopleCommand::EnrolDevice(_)) => self.devices += 1,
            Command::Revision(RevisionCommand::Draft(_)) => self.revisions += 1,
            _ => {}
        }
    }

    /// Who did it: a name, or the office's own server.
    pub fn actor(&self, record: &Record) -> String {
        match record.envelope.author {
            PersonId(0) => say("audit.host", &Map::new()),
            author => (self.name_of)(author),
        }
    }

    /// The revision that the last told record opened.
    pub fn last_revision(&self) -> Option<RevisionId> {
        self.revisions.checked_sub(1).map(RevisionId::after)
    }

    fn summary(&self, record: &Record, kind: &str, own: &Map<String, Value>) -> String {
        let mut words = own.clone();
        words.insert("actor".into(), json!(self.actor(record)));
        match &record.envelope.command {
            Command::Entry(EntryCommand::Add(add)) => {
                words.insert("value".into(), json!(render::reading(&add.reading)));
            }
            Command::Entry(EntryCommand::Amend(amend)) => {
                words.insert("value".into(), json!(render::reading(&amend.reading)));
            }
            Command::Revision(RevisionCommand::AddChange(_, change)) => {
                words.insert("in_words".into(), json!(change_in_words(self.state, change)));
            }
            Command::People(PeopleCommand::Assign(assign)) => {
                words.insert("role".into(), json!(text::term("role", assign.assignment.role.name())));
            }
            Command::People(PeopleCommand::ConfirmGrant(id) | PeopleCommand::DeclineGrant(id)) => {
                let role = self.state.people.grant(*id).map(|grant| grant.assignment.role.name());
                words.insert("role".into(), json!(role.map(|role| text::term("role", role))));
            }
            Command::Quarter(QuarterCommand::RequestReopen(_, until)) => {
                words.insert("until".into(), json!(office_time(self.state.zone(), *until)));
            }
            Command::Indicator(set) => {
                words.insert("what_set".into(), json!(self.set_in_words(set)));
            }
            _ => {}
        }
        if let Outcome::Held(cause) | Outcome::Refused(cause) = &record.outcome {
            let what = say(&format!("audit.event.{}", record.envelope.command.name()), &words);
            words.insert("what".into(), json!(what));
            words.insert("cause".into(), json!(text::message(&Rejected::from(cause))));
        }
        // A role that waits for a second person is not given yet.
        let key = if own.contains_key("grant") && kind == "person.assigned" {
            "person.assignment_asked"
        } else {
            kind
        };
        say(&format!("audit.event.{key}"), &words)
    }

    fn own_fields(&self, record: &Record, event: &mut Event) -> Map<String, Value> {
        let key = record.envelope.key();
        let mut own = match &record.envelope.command {
            Command::People(command) => object(self.people(record, command)),
            Command::Plan(command) => object(plan(command)),
            Command::Indicator(set) => {
                event.indicators.extend(set.indicator);
                object(self.indicator(record, set))
            }
            Command::Entry(command) => {
                let entry = command.entry().unwrap_or(key);
                event.entry = Some(entry);
                event.indicators.extend(self.indicator_of(entry, command));
                object(self.entry(command, entry))
            }
            Command::Held(command) => {
                let held = command.held();
                event.entry = Some(held);
                if let Some(work) = self.state.held.get(&held) {
                    event.indicators.extend(self.indicator_of(held, &work.command));
                }
                object(self.held(command, event))
            }
            Command::Quarter(command) => {
                let about = command.quarter();
                let mut own = object(json!({ "year": about.year, "quarter": about.quarter.number() }));
                if let QuarterCommand::RequestReopen(_, until) = command {
                    own.insert("until".into(), json!(until.rfc3339()));
                }
                own
            }
            Command::Revision(command) => object(self.revision(command, event)),
            Command::Narrative(set) => {
                event.indicators.insert(set.indicator);
                object(json!({
                    "indicator": self.code(set.indicator),
                    "quarter": set.quarter.number(),
                    "base": set.base,
                    "driver": set.texts.driver,
                    "obstacle": set.texts.obstacle,
                    "follow_up": set.texts.follow_up,
                }))
            }
            Command::Config(command) => object(config(command)),
            Command::Unreadable => object(json!({ "sequence": record.envelope.sequence })),
        };
        if let Outcome::Recorded(effect) = &record.outcome {
            self.effect(&record.envelope.command, effect, event, &mut own);
        }
        own
    }

    fn effect(&self, command: &Command, effect: &Effect, event: &mut Event, own: &mut Map<String, Value>) {
        let records = matches!(
            command,
            Command::Entry(EntryCommand::Add(_) | EntryCommand::Amend(_))
                | Command::Held(HeldCommand::Release(_))
        );
        if records || effect.late {
            own.insert("late".into(), json!(effect.late));
        }
        for (name, counted) in [("before", &effect.before), ("after", &effect.after)] {
            if let Some(counted) = counted {
                event.indicators.insert(counted.indicator);
                own.insert(name.into(), self.counted(counted));
            }
        }
    }

    fn people(&self, record: &Record, command: &PeopleCommand) -> Value {
        let recorded = matches!(record.outcome, Outcome::Recorded(_));
        let new = |count: usize| recorded.then_some(count);
        match command {
            PeopleCommand::FoundOffice(found) => json!({
                "office": found.office.to_string(),
                "name": found.name,
                "zone": found.zone.name(),
                "rehearsal": found.rehearsal,
            }),
            PeopleCommand::AddUnit(add) => json!({ "unit": add.name }),
            PeopleCommand::AddPerson(_) => {
                let id = new(self.persons);
                let name = id.map(|count| (self.name_of)(PersonId::after(count.saturating_sub(1))));
                json!({ "person_id": id, "person": name })
            }
            PeopleCommand::Assign(assign) => {
                let Assignment { role, unit, from, until } = &assign.assignment;
                let grants = &self.state.people.grants;
                let grant = grants.iter().position(|grant| grant.position == record.position);
                let mut own = json!({
                    "person_id": assign.person.0,
                    "person": (self.name_of)(assign.person),
                    "role": role.name(),
                    "unit": unit.map(|unit| self.unit(unit)),
                    "from": from.map(|day| day.to_string()),
                    "until": until.map(|day| day.to_string()),
                });
                if let Some(grant) = grant {
                    own["grant"] = json!(grant + 1);
                }
                own
            }
            PeopleCommand::EndAssignments(end) => json!({
                "person_id": end.person.0,
                "person": (self.name_of)(end.person),
                "unit": end.unit.map(|unit| self.unit(unit)),
                "last_day": end.last_day.to_string(),
            }),
            PeopleCommand::EnrolDevice(enrol) => json!({
                "enrolled": new(self.devices),
                "person_id": enrol.owner.0,
                "person": (self.name_of)(enrol.owner),
                "key": hex(&enrol.key),
                "incarnation": enrol.incarnation.to_string(),
            }),
            PeopleCommand::RevokeDevice(revoke) => {
                let owner =
                    self.state.people.device(revoke.device).map(|device| (self.name_of)(device.owner));
                json!({ "revoked": revoke.device.0, "person": owner })
            }
            PeopleCommand::ConfirmGrant(id) | PeopleCommand::DeclineGrant(id) => {
                let grant = self.state.people.grant(*id);
                json!({
                    "grant": id.0,
                    "person": grant.map(|grant| (self.name_of)(grant.person)),
                    "role": grant.map(|grant| grant.assignment.role.name()),
                })
            }
            PeopleCommand::AdoptRules(rules) => json!({ "rules": rules }),
            PeopleCommand::BeginEpoch(begin) => epoch_json(begin),
        }
    }

    fn indicator(&self, record: &Record, set: &SetIndicator) -> Value {
        let known = set.indicator.and_then(|id| self.state.indicator(id));
        let mut own = object(json!({ "indicator": known.map(|indicator| &indicator.code) }));
        let settings = [
            ("kind", set.kind.map(|kind| kind.name().to_owned())),
            ("polarity", set.polarity.map(|polarity| polarity.name().to_owned())),
            ("formula", set.formula.map(|formula| formula.name().to_owned())),
            ("cap", set.cap.map(none_or_plain)),
            ("year_target", set.year_target.map(none_or_plain)),
            ("unit", set.unit.map(|unit| self.unit(unit))),
        ];
        own.extend(settings.into_iter().filter_map(|(name, set)| Some((name.to_owned(), json!(set?)))));
        let targets: Vec<Value> = set
            .targets
            .iter()
            .map(|(quarter, new)| {
                let versions = known.map(|indicator| &indicator.targets[quarter.index()].versions);
                let old = versions.and_then(|versions| {
                    let at = versions.iter().position(|version| version.position == record.position)?;
                    Some(versions[at.checked_sub(1)?].target.label())
                });
                json!({ "quarter": quarter.number(), "old": old, "new": new.label() })
            })
            .collect();
        if !targets.is_empty() {
            own.insert("targets".into(), json!(targets));
        }
        Value::Object(own)
    }

    fn set_in_words(&self, set: &SetIndicator) -> String {
        let settings = [
            set.kind.map(|kind| text::term("kind", kind.name())),
            set.polarity.map(|polarity| text::term("polarity", polarity.name())),
            set.formula.map(|formula| text::term("formula", formula.name())),
            set.cap
                .map(|cap| cap.map_or_else(|| "≤ –".to_owned(), |cap| format!("≤ {} %", cap.indonesian()))),
            set.year_target.map(|target| {
                let target = target.map_or_else(|| "–".to_owned(), |target| target.indonesian());
                format!("{} {target}", text::say("column.year"))
            }),
            set.unit.map(|unit| self.unit(unit)),
        ];
        let targets =
            set.targets.iter().map(|(quarter, target)| format!("{quarter} → {}", render::target(target)));
        settings.into_iter().flatten().chain(targets).collect::<Vec<_>>().join(", ")
    }

    fn entry(&self, command: &EntryCommand, entry: CommandKey) -> Value {
        let indicator = self.indicator_of(entry, command).map(|id| self.code(id));
        let mut own = object(json!({ "entry_id": self.state.public_id(entry), "indicator": indicator }));
        let told = match command {
            EntryCommand::Add(add) => Some((add.on, &add.reading)),
            EntryCommand::Amend(amend) => Some((amend.on, &amend.reading)),
            EntryCommand::Void(_) | EntryCommand::Verify(_) | EntryCommand::Return(_) => None,
        };
        if let Some((on, reading)) = told {
            own.insert("on".into(), json!(on.to_string()));
            own.insert("quarter".into(), json!(on.quarter().number()));
            put_reading(&mut own, reading);
        }
        let base = match command {
            EntryCommand::Add(_) => None,
            EntryCommand::Amend(amend) => Some(amend.base),
            EntryCommand::Void(v) | EntryCommand::Verify(v) | EntryCommand::Return(v) => Some(v.base),
        };
        if let Some(base) = base {
            own.insert("version".into(), json!(self.state.public_id(base)));
        }
        Value::Object(own)
    }

    fn held(&self, command: &HeldCommand, event: &mut Event) -> Value {
        let held = command.held();
        let work = self.state.held.get(&held);
        let indicator = work.and_then(|work| self.indicator_of(held, &work.command));
        let mut own = object(json!({
            "entry_id": self.state.public_id(held),
            "indicator": indicator.map(|id| self.code(id)),
            "cause": work.map(|work| work.cause.code.name()),
        }));
        if let HeldCommand::Release(release) = command {
            event.indicators.extend(release.to);
            own.insert("to".into(), json!(release.to.map(|id| self.code(id))));
            own.insert("count_in".into(), json!(release.count_in.map(|quarter| quarter.number())));
        }
        Value::Object(own)
    }

    fn revision(&self, command: &RevisionCommand, event: &mut Event) -> Value {
        let id = match command {
            RevisionCommand::Draft(_) => self.last_revision(),
            other => other.revision(),
        };
        let known = id.and_then(|id| self.state.revision(id));
        let added = id.map_or_else(Vec::new, |id| added(self.state, id));
        if let RevisionCommand::Draft(draft) = command {
            event.indicators.extend(known.into_iter().flat_map(|r| &r.changes).filter_map(Change::indicator));
            return draft_fields(id, draft);
        }
        let mut own = object(json!({
            "revision": id.map(|id| id.0),
            "number": known.map(|revision| &revision.draft.number),
        }));
        match command {
            RevisionCommand::AddChange(_, change) => {
                event.indicators.extend(change.indicator());
                // What it added, once it is approved.
                let at = known.and_then(|r| r.changes.iter().position(|of| of == change));
                event.indicators.extend(added.iter().filter(|(of, _)| Some(*of) == at).map(|(_, id)| *id));
                own.append(&mut object(change_fields(self.state, change)));
            }
            _ => {
                event
                    .indicators
                    .extend(known.into_iter().flat_map(|r| &r.changes).filter_map(Change::indicator));
                event.indicators.extend(added.iter().map(|(_, id)| *id));
            }
        }
        Value::Object(own)
    }

    fn counted(&self, counted: &Counted) -> Value {
        let mut own = object(json!({
            "indicator": self.code(counted.indicator),
            "quarter": counted.quarter.number(),
            "on": counted.on.to_string(),
            "state": counted.state.name(),
        }));
        put_reading(&mut own, &counted.reading);
        Value::Object(own)
    }

    fn indicator_of(&self, entry: CommandKey, command: &EntryCommand) -> Option<IndicatorId> {
        match command {
            EntryCommand::Add(add) => Some(add.indicator),
            other => {
                let entry = other.entry().unwrap_or(entry);
                self.state.entries.get(entry).map(|entry| entry.indicator)
            }
        }
    }

    fn code(&self, id: IndicatorId) -> String {
        self.state.indicator(id).map_or_else(|| format!("#{id}"), |indicator| indicator.code.to_string())
    }

    fn unit(&self, id: UnitId) -> String {
        unit_name(self.state, id)
    }
}

/// The name of a unit; of an unknown one its number.
pub fn unit_name(state: &State, id: UnitId) -> String {
    state.people.unit(id).map_or_else(|| format!("#{id}"), |unit| unit.name.to_string())
}

/// One change of a revision: `change`, `indicator`, `quarter` where it is about one, `old`, `new`.
pub fn change_fields(state: &State, change: &Change) -> Value {
    let code =
        change.indicator().and_then(|id| state.indicator(id)).map(|indicator| indicator.code.to_string());
    let mut own = object(json!({ "change": change.name(), "indicator": code }));
    if let Change::Target { quarter, .. } = change {
        own.insert("quarter".into(), json!(quarter.number()));
    }
    let (old, new) = match change {
        Change::Target { old, new, .. } => (Some(old.label()), Some(new.label())),
        Change::Kind { old, new, .. } => (Some(old.name().into()), Some(new.name().into())),
        Change::Polarity { old, new, .. } => (Some(old.name().into()), Some(new.name().into())),
        Change::Formula { old, new, .. } => (Some(old.name().into()), Some(new.name().into())),
        Change::Rename { old, new, .. } => (Some(old.to_string()), Some(new.to_string())),
        Change::Reassign { old, new, .. } => {
            (old.map(|unit| unit_name(state, unit)), Some(unit_name(state, *new)))
        }
        Change::Cap { old, new, .. } | Change::YearTarget { old, new, .. } => {
            (old.map(Quantity::plain), new.map(Quantity::plain))
        }
        Change::Retire { .. } => (None, None),
        Change::Add(add) => {
            own.append(&mut object(row_fields(&add.row)));
            own.insert(
                "parent".into(),
                json!(add.parent.and_then(|id| state.indicator(id)).map(|i| &i.code)),
            );
            own.append(&mut object(json!({
                "objective": add.objective + 1,
                "polarity": add.polarity.name(),
                "formula": add.formula.name(),
                "cap": add.cap.map(Quantity::plain),
            })));
            (None, None)
        }
    };
    own.insert("old".into(), json!(old));
    own.insert("new".into(), json!(new));
    Value::Object(own)
}

/// An epoch as it is told in JSON.
pub(super) fn epoch_json(begun: &BeginEpoch) -> Value {
    let seen =
        begun.seen.map(|seen| json!({ "epoch": seen.epoch, "size": seen.size, "root": hex(&seen.root) }));
    json!({
        "epoch": begun.epoch,
        "reason": begun.reason,
        "size": begun.size,
        "root": hex(&begun.root),
        "seen": seen,
    })
}

fn restored_json(restored: &Restored) -> Value {
    json!({
        "epoch": restored.epoch,
        "position": restored.position,
        "time": restored.time.rfc3339(),
        "recorded": restored.recorded,
    })
}
