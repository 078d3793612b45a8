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
use crate::device::{Device, Pending};
use crate::error::{ClientError, Rejected};
use crate::render::{self, Align};
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
    pub quarter: Option<Quarter>,
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
    let state = &view.confirmed;
    let mut items: Vec<Item> = state.entries.iter().map(of_entry).collect();
    // What was released has become an entry, or a change of one.
    let held = state.held.iter().filter(|(_, held)| held.fate != Fate::Released);
    items.extend(held.map(|(key, held)| of_held(state, *key, held)));
    items.extend(history::refused(device)?.into_iter().map(|refused| Item {
        state: "refused",
        position: Some(refused.position),
        cause: Some(Rejected::from(&refused.cause)),
        ..of_command(state, refused.key, device.identity().person, &refused.command)
    }));
    items.sort_by_key(|item| item.position);
    items.extend(view.pending.iter().map(|pending| of_pending(&view.state, pending)));
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
        reading: Some(entry.reading.clone()),
        late: entry.late,
        position: Some(entry.position),
        cause: None,
        texts: Texts::default(),
    }
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
    Item {
        key,
        version: key,
        about,
        command: name,
        state: "pending",
        indicator,
        author,
        on,
        quarter: on.map(Date::quarter),
        reading: said.map(|(.., reading)| reading),
        late: false,
        position: None,
        cause: None,
        texts: Texts::default(),
    }
}

impl Item {
    /// One object of `entries`.
    pub fn json(&self, device: &Device) -> Value {
        let state = &device.view().state;
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
            "indicator": indicator.map(|indicator| &indicator.measure),
            "date": self.on.map(|on| on.to_string()),
            "quarter": self.quarter.map(Quarter::number),
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
    let heads = ["id", "code", "date", "value", "state", "who", "cause"]
        .map(|head| text::say(&format!("column.{head}")));
    let aligned = |at: usize| if at == 3 { Align::Right } else { Align::Left };
    let columns: Vec<(&str, Align)> =
        heads.iter().enumerate().map(|(at, head)| (head.as_str(), aligned(at))).collect();
    let rows = items.iter().map(|item| {
        let indicator = item.indicator.and_then(|id| state.indicator(id));
        let changes = match item.about {
            Some(about) => format!(" → {}", render::short_id(state, about)),
            None => String::new(),
        };
        let late = if item.late { format!(", {}", text::say("entry.late")) } else { String::new() };
        let texts = [&item.texts.place, &item.texts.note, &item.texts.reason];
        let said = texts.into_iter().filter(|text| !text.is_empty()).cloned().collect::<Vec<_>>().join(" · ");
        vec![
            format!("{}{changes}", render::short_id(state, item.key)),
            indicator.map_or_else(String::new, |indicator| indicator.code.to_string()),
            item.on.map_or_else(String::new, |on| on.to_string()),
            item.reading.as_ref().map_or_else(|| item.command.to_owned(), render::reading),
            format!("{}{late}", text::term("state", item.state)),
            device.name_of(item.author),
            item.cause.as_ref().map_or(said, text::message),
        ]
    });
    render::table(ctx.color, &columns, rows)
}
