//! Entries as they are listed: recorded ones, and beside them what waits, what is held and what was refused.

use std::collections::HashSet;

use renaksi_domain::State;
use renaksi_domain::command::{Command, Outcome};
use renaksi_domain::entry::{EntryCommand, Reading};
use renaksi_domain::held::{Fate, Held, HeldCommand};
use renaksi_domain::ids::{CommandKey, IndicatorId, PersonId};
use renaksi_domain::time::{Date, Quarter};
use renaksi_proto::log::Texts;
use serde_json::{Value, json};

use super::super::history;
use crate::context::Context;
use crate::device::{Device, HandedIn, Pending, ReceiptOutcome};
use crate::error::{ClientError, Rejected};
use crate::render::{self, Align, Column};
use crate::text;

/// One listed entry or piece of work on an entry.
#[derive(Clone, Debug)]
pub struct Item {
    /// Names the entry, or the held, pending or refused command.
    pub key: CommandKey,
    /// The command whose texts stand beside it.
    pub version: CommandKey,
    /// The entry it changes, when it is not a new one.
    pub about: Option<CommandKey>,
    /// `add`, `amend`, `void`, `withdraw`.
    pub command: &'static str,
    /// As JSON names it: `pending`, `recorded`, `verified`, `returned`, `voided`, `held`, `dismissed`, `withdrawn`, `refused`.
    pub state: &'static str,
    pub indicator: Option<IndicatorId>,
    pub author: PersonId,
    pub on: Option<Date>,
    /// The quarter it counts in.
    pub quarter: Option<Quarter>,
    /// The quarter of its day, where it counts in a later one.
    pub carried_over_from: Option<Quarter>,
    pub reading: Option<Reading>,
    pub late: bool,
    pub position: Option<u64>,
    /// Why it is held, refused, or will be.
    pub cause: Option<Rejected>,
    pub texts: Texts,
}

/// Everything there is, in the order of the log, what waits on this device last.
///
/// # Errors
/// When the replica cannot be read.
pub fn all(device: &Device) -> Result<Vec<Item>, ClientError> {
    let view = device.view();
    let mut items = known(device, &view.confirmed)?;
    items.extend(view.handed_in.iter().map(|handed_in| of_handed_in(&view.state, handed_in)));
    items.extend(view.pending.iter().map(|pending| of_pending(&view.state, pending)));
    Ok(items)
}

/// What a state of the office's log knows, in the order of the log.
///
/// # Errors
/// When the replica cannot be read.
pub fn known(device: &Device, state: &State) -> Result<Vec<Item>, ClientError> {
    let mut items: Vec<Item> = state.entries.iter().map(of_entry).collect();
    // What was released has become an entry, or a change of one.
    let held = state.held.iter().filter(|(_, held)| held.fate != Fate::Released);
    items.extend(held.map(|(key, held)| of_held(state, *key, held)));
    let refused = history::refused(device)?.into_iter().filter(|refused| refused.position <= state.position);
    items.extend(refused.map(|refused| Item {
        state: "refused",
        position: Some(refused.position),
        cause: Some(Rejected::from(&refused.cause)),
        ..of_command(state, refused.key, device.identity().person, &refused.command)
    }));
    items.sort_by_key(|item| item.position);
    Ok(items)
}

/// Reads place, note and reason from beside the records.
///
/// # Errors
/// When the replica cannot be read.
pub fn add_texts(device: &Device, items: &mut [Item]) -> Result<(), ClientError> {
    let recorded = items.iter().filter(|item| item.position.is_some());
    let wanted: HashSet<CommandKey> = recorded.map(|item| item.version).collect();
    let mut found = history::texts(device, &wanted)?;
    for item in items {
        if let Some(texts) = found.remove(&item.version) {
            item.texts = texts;
        }
    }
    Ok(())
}

fn of_entry(entry: &renaksi_domain::entry::Entry) -> Item {
    Item {
        key: entry.key,
        version: entry.version,
        about: None,
        command: "add",
        state: entry.state.name(),
        indicator: Some(entry.indicator),
        author: entry.author,
        on: Some(entry.on),
        quarter: Some(entry.quarter),
        carried_over_from: carried_over(entry),
        reading: Some(entry.reading.clone()),
        late: entry.late,
        position: Some(entry.position),
        cause: None,
        texts: Texts::default(),
    }
}

fn carried_over(entry: &renaksi_domain::entry::Entry) -> Option<Quarter> {
    let own = entry.on.quarter();
    (own != entry.quarter).then_some(own)
}

fn of_held(state: &State, key: CommandKey, held: &Held) -> Item {
    Item {
        state: held.fate.name(),
        position: Some(held.position),
        cause: Some(Rejected::from(&held.cause)),
        ..of_command(state, key, held.author, &Command::Entry(held.command.clone()))
    }
}

fn of_pending(state: &State, pending: &Pending) -> Item {
    Item {
        state: "pending",
        cause: match &pending.preview {
            Outcome::Recorded(_) => None,
            Outcome::Held(cause) | Outcome::Refused(cause) => Some(Rejected::from(cause)),
        },
        texts: pending.texts.clone(),
        ..of_command(state, pending.key, pending.envelope.author, &pending.envelope.command)
    }
}

/// What a revoked device handed in; its copy of the log will never have it.
fn of_handed_in(state: &State, handed_in: &HandedIn) -> Item {
    let (named, cause) = match &handed_in.outcome {
        ReceiptOutcome::Recorded => ("recorded", None),
        ReceiptOutcome::Held(cause) => ("held", Some(Rejected::from(cause))),
        ReceiptOutcome::Refused(cause) => ("refused", Some(Rejected::from(cause))),
    };
    Item {
        state: named,
        cause,
        texts: handed_in.texts.clone(),
        ..of_command(state, handed_in.key, handed_in.envelope.author, &handed_in.envelope.command)
    }
}

/// What a command says of itself and of the entry it changes.
fn of_command(state: &State, key: CommandKey, author: PersonId, command: &Command) -> Item {
    let (name, about, said) = match command {
        Command::Entry(EntryCommand::Add(add)) => {
            ("add", None, Some((Some(add.indicator), add.on, add.reading.clone())))
        }
        Command::Entry(EntryCommand::Amend(amend)) => {
            ("amend", Some(amend.entry), Some((None, amend.on, amend.reading.clone())))
        }
        Command::Entry(EntryCommand::Void(void)) => ("void", Some(void.entry), None),
        Command::Entry(EntryCommand::Verify(version)) => ("verify", Some(version.entry), None),
        Command::Entry(EntryCommand::Return(version)) => ("return", Some(version.entry), None),
        Command::Held(HeldCommand::Withdraw(held)) => ("withdraw", Some(*held), None),
        _ => ("other", None, None),
    };
    let entry = about.and_then(|key| state.entries.get(key));
    let indicator =
        said.as_ref().and_then(|(indicator, ..)| *indicator).or(entry.map(|entry| entry.indicator));
    let on = said.as_ref().map(|(_, on, _)| *on).or(entry.map(|entry| entry.on));
    // What was carried over stays where it counts, unless it moves to another quarter.
    let stays = entry.filter(|entry| on.is_some_and(|on| on.quarter() == entry.on.quarter()));
    Item {
        key,
        version: key,
        about,
        command: name,
        state: "pending",
        indicator,
        author,
        on,
        quarter: stays.map(|entry| entry.quarter).or(on.map(Date::quarter)),
        carried_over_from: stays.and_then(carried_over),
        reading: said.map(|(.., reading)| reading),
        late: false,
        position: None,
        cause: None,
        texts: Texts::default(),
    }
}

impl Item {
    /// One object of `entries`, in the words of what is known now.
    pub fn json(&self, device: &Device) -> Value {
        self.json_in(device, &device.view().state)
    }

    /// The same in the words of a state.
    pub fn json_in(&self, device: &Device, state: &State) -> Value {
        let indicator = self.indicator.and_then(|id| state.indicator(id));
        let (quantity, numerator, denominator, text) = match &self.reading {
            Some(Reading::Quantity(quantity)) => (Some(quantity.plain()), None, None, None),
            Some(Reading::Ratio { numerator, denominator }) => {
                (None, Some(numerator.plain()), Some(denominator.plain()), None)
            }
            Some(Reading::Text(text)) => (None, None, None, Some(text)),
            None => (None, None, None, None),
        };
        let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        json!({
            "entry_id": state.public_id(self.key),
            "command": self.command,
            "about": self.about.map(|key| state.public_id(key)),
            "state": self.state,
            "code": indicator.map(|indicator| &indicator.code),
            "indicator": indicator.map(|indicator| &indicator.facet().measure),
            "date": self.on.map(|on| on.to_string()),
            "quarter": self.quarter.map(Quarter::number),
            "carried_over_from": self.carried_over_from.map(Quarter::number),
            "quantity": quantity,
            "numerator": numerator,
            "denominator": denominator,
            "text": text,
            "place": said(&self.texts.place),
            "note": said(&self.texts.note),
            "reason": said(&self.texts.reason),
            "author": device.name_of(self.author),
            "late": self.late,
            "position": self.position,
            "cause": self.cause.as_ref().map(|cause| {
                json!({ "code": cause.code, "message": text::message(cause) })
            }),
        })
    }
}

/// Items for people.
pub fn table(ctx: &Context, device: &Device, items: &[Item]) -> String {
    let state = &device.view().state;
    let column = |head: &str, align| Column::new(text::say(&format!("column.{head}")), align);
    let columns = [
        column("id", Align::Left),
        column("code", Align::Left),
        column("date", Align::Left),
        column("value", Align::Right),
        column("state", Align::Left).comfortable(12),
        column("who", Align::Left).drop(1),
        column("cause", Align::Left).comfortable(20),
    ];
    let rows = items.iter().map(|item| {
        let indicator = item.indicator.and_then(|id| state.indicator(id));
        let changes = match item.about {
            Some(about) => format!(" → {}", render::short_id(state, about)),
            None => String::new(),
        };
        let late = if item.late { format!(", {}", text::say("entry.late")) } else { String::new() };
        let carried = item.carried_over_from.map_or_else(String::new, |quarter| {
            format!(", {}", text::with("entry.carried_over", &[("quarter", &quarter.number())]))
        });
        let texts = [&item.texts.place, &item.texts.note, &item.texts.reason];
        let said = texts.into_iter().filter(|text| !text.is_empty()).cloned().collect::<Vec<_>>().join(" · ");
        vec![
            format!("{}{changes}", render::short_id(state, item.key)),
            indicator.map_or_else(String::new, |indicator| indicator.code.to_string()),
            item.on.map_or_else(String::new, |on| on.to_string()),
            item.reading.as_ref().map_or_else(|| item.command.to_owned(), render::reading),
            format!("{}{late}{carried}", text::term("state", item.state)),
            device.name_of(item.author),
            item.cause.as_ref().map_or(said, text::message),
        ]
    });
    render::table(ctx.color, &columns, rows)
}
