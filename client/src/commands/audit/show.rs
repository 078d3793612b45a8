//! One record whole.

use prost::Message;
use renaksi_domain::ids::Position;
use renaksi_ledger::merkle::leaf_hash;
use renaksi_proto::agreed::hex;
use renaksi_proto::log;
use serde_json::{Map, Value, json};

use super::prove::receipt;
use super::{Narrator, each_of, to_look_at, trail};
use crate::context::{Context, Done};
use crate::device::{About, Device};
use crate::error::{ClientError, Rejected};
use crate::render::printable;
use crate::text;

pub(super) fn run(ctx: &Context, position: u64) -> Result<Done, ClientError> {
    if position == 0 {
        let cause = Rejected::new("POSITION_UNKNOWN").with("position", position).with("first", 1);
        return Err(ClientError::NotUnderstood(cause));
    }
    let device = ctx.device()?;
    let name_of = |person| device.name_of(person);
    let mut narrator = Narrator::new(&device.view().confirmed, &name_of);
    let reader = device.replica();
    let size = reader.head().size;
    if position > size {
        let cause = Rejected::new("POSITION_UNKNOWN").with("position", position).with("last", size);
        return Err(ClientError::NotUnderstood(cause));
    }
    let mut fields = Map::new();
    let positions = to_look_at(trail(ctx, &device).as_ref(), &About::default(), position, position);
    each_of(&reader, positions, &mut |stored| {
        if stored.position < position {
            stored.record.iter().for_each(|(record, _)| narrator.pass(record));
            return Ok(true);
        }
        match &stored.record {
            Some((record, message)) => {
                let texts = device.texts_of(message, stored.aside);
                fields = narrator.tell(record, message, texts.as_ref()).fields;
                fields.insert("made_at".into(), json!(record.envelope.made_at.rfc3339()));
                fields.append(&mut stored_fields(message, texts.as_ref()));
            }
            None => {
                fields.insert("position".into(), json!(stored.position));
                fields.insert("type".into(), json!("record.newer"));
            }
        }
        fields.insert("leaf_hash".into(), json!(hex(&leaf_hash(stored.leaf))));
        fields.insert("leaf_bytes".into(), json!(stored.leaf.len()));
        fields.insert("aside_bytes".into(), json!(stored.aside.len()));
        Ok(false)
    })?;
    fields.insert("proof".into(), proof(&device, position)?);
    match ctx.json {
        true => ctx.print_json(&Value::Object(fields)),
        false => ctx.print(lines(&fields, 0).trim_end()),
    }
    Ok(Done::Well)
}

/// Shows the record to be under the checkpoint that this device keeps; null where none covers it yet.
fn proof(device: &Device, position: Position) -> Result<Value, ClientError> {
    let Ok((signed, log_key)) = device.provable() else { return Ok(Value::Null) };
    let at = signed.checkpoint();
    if position > at.size {
        return Ok(Value::Null);
    }
    let path = receipt(device, signed, &log_key, position)?.path;
    let path: Vec<String> = path.iter().map(|hash| hex(hash)).collect();
    Ok(json!({ "size": at.size, "root": hex(&at.root), "epoch": at.epoch, "path": path }))
}

/// What the stored message says beyond the event: who made it in which order, and what binds it.
fn stored_fields(message: &log::Record, texts: Option<&log::Texts>) -> Map<String, Value> {
    let command = log::Command::decode(message.command.as_slice()).unwrap_or_default();
    let has_texts = command.texts != 0;
    let mut fields = Map::new();
    fields.insert("origin".into(), json!(message.origin));
    fields.insert("sequence".into(), json!(message.sequence));
    fields.insert("author".into(), json!(message.author));
    fields.insert("chain_signature".into(), json!(!message.chain_signature.is_empty()));
    fields.insert("commitment".into(), json!(has_texts.then(|| hex(&command.commitment))));
    fields.insert("texts_erased".into(), json!(has_texts && texts.is_none()));
    fields.insert("command_bytes".into(), json!(message.command.len()));
    fields
}

fn lines(fields: &Map<String, Value>, indent: usize) -> String {
    let line = |(key, value): (&String, &Value)| match value {
        Value::Object(inner) => format!("{:indent$}{key}:\n{}", "", lines(inner, indent + 2)),
        Value::Array(items) => {
            format!("{:indent$}{key}: {}\n", "", items.iter().map(plain).collect::<Vec<_>>().join(" | "))
        }
        other => format!("{:indent$}{key}: {}\n", "", plain(other)),
    };
    fields.iter().map(line).collect()
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => text::say("audit.yes"),
        Value::Bool(false) => text::say("audit.no"),
        Value::String(text) => printable(text).into_owned(),
        other => other.to_string(),
    }
}
