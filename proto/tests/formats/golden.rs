//! Bytes that were written once are read for ever: `golden/v1.txt` has a line for every stored message. With
//! `UPDATE_GOLDEN=1` a missing line is added; a line that is there is never changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use prost::Message;
use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FileDescriptorSet};
use renaksi_domain::ids::{Origin, PersonId};
use renaksi_proto::chain::open_aside;
use renaksi_proto::convert::{command_leaf, decode_command, decode_record};
use renaksi_proto::{DESCRIPTORS, log};

use crate::samples::{MADE_AT, SALT, StoredRecord, commands, records, texts};

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1.txt")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").unwrap();
        out
    })
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// The lines of the file: name, bytes.
fn golden() -> BTreeMap<String, Vec<u8>> {
    let text = std::fs::read_to_string(path()).unwrap_or_default();
    let mut lines = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, bytes) = line.rsplit_once(' ').unwrap();
        assert!(lines.insert(name.to_owned(), unhex(bytes)).is_none(), "{name} is there twice");
    }
    lines
}

/// What this release writes for every sample.
fn written() -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for (name, command) in commands() {
        all.push((name, command_leaf(&command, MADE_AT, &log::Texts::default(), SALT).leaf));
    }
    let with_texts = command_leaf(&commands()[0].1, MADE_AT, &texts(), SALT);
    all.push(("command with texts".to_owned(), with_texts.leaf));
    all.push(("aside".to_owned(), with_texts.aside));
    all.extend(records().into_iter().map(|(name, stored)| (name, stored.leaf())));
    all
}

#[test]
fn every_stored_message_is_written_and_read_as_it_always_was() {
    let known = golden();
    let mut added = String::new();
    for (name, bytes) in written() {
        match known.get(&name) {
            Some(before) => assert_eq!(hex(before), hex(&bytes), "{name}: stored bytes would change"),
            None => writeln!(added, "{name} {}", hex(&bytes)).unwrap(),
        }
    }
    if !added.is_empty() {
        assert_eq!(std::env::var("UPDATE_GOLDEN").as_deref(), Ok("1"), "no golden line for:\n{added}");
        let before = std::fs::read_to_string(path()).unwrap_or_default();
        std::fs::write(path(), before + &added).unwrap();
    }
    let names: BTreeSet<String> = written().into_iter().map(|(name, _)| name).collect();
    let orphans: Vec<&String> = known.keys().filter(|name| !names.contains(*name)).collect();
    assert!(orphans.is_empty(), "lines that no sample stands for any more: {orphans:?}");
}

#[test]
fn golden_commands_read_as_their_values() {
    let known = golden();
    for (name, command) in commands() {
        let (envelope, commitment) = decode_command(&known[&name], Origin(5), 3, PersonId(7)).unwrap();
        assert_eq!(envelope.command, command, "{name}");
        assert_eq!((envelope.made_at, envelope.has_reason, commitment.len()), (MADE_AT, false, 0), "{name}");
        assert_eq!((envelope.origin, envelope.sequence, envelope.author), (Origin(5), 3, PersonId(7)));
    }
    let (envelope, commitment) =
        decode_command(&known["command with texts"], Origin(5), 3, PersonId(7)).unwrap();
    assert!(envelope.has_reason);
    assert_eq!(open_aside(&commitment, &known["aside"]), Some(texts()));
}

#[test]
fn golden_records_read_as_their_values() {
    let known = golden();
    for (name, StoredRecord { record, command, signature, skew_ms }) in records() {
        let (read, stored) = decode_record(&known[&name]).unwrap();
        assert_eq!(read, record, "{name}");
        assert_eq!(stored.command, command.leaf, "{name}");
        assert_eq!((stored.chain_signature, stored.clock_skew_ms), (signature.unwrap_or_default(), skew_ms));
    }
}

/// Every field of every message of the log's package, so that a new field or variant without a golden line is noticed.
#[test]
fn every_field_of_the_log_has_a_golden_line() {
    let set = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
    let messages: BTreeMap<String, DescriptorProto> = set
        .file
        .into_iter()
        .filter(|file| file.package() == "renaksi.log.v1")
        .flat_map(|file| file.message_type)
        .map(|message| (format!(".renaksi.log.v1.{}", message.name()), message))
        .collect();
    let mut seen = BTreeSet::new();
    for (name, bytes) in golden() {
        let message = match name.split(' ').next() {
            Some("command") => ".renaksi.log.v1.Command",
            Some("record") => ".renaksi.log.v1.Record",
            _ => ".renaksi.log.v1.Aside",
        };
        walk(&messages, message, &bytes, &mut seen);
    }
    let missing: Vec<String> = messages
        .iter()
        .flat_map(|(of, message)| message.field.iter().map(move |field| (of, field)))
        // The first version of the format needs nothing; `a_later_version_is_read_as_newer` holds it.
        .filter(|(_, field)| field.name() != "needs")
        .filter(|(of, field)| !seen.contains(&((*of).clone(), field.number())))
        .map(|(of, field)| format!("{of}.{}", field.name()))
        .collect();
    assert!(missing.is_empty(), "no golden line has {missing:?}");
}

/// Notes the fields that encoded bytes use.
fn walk(
    messages: &BTreeMap<String, DescriptorProto>,
    of: &str,
    mut bytes: &[u8],
    seen: &mut BTreeSet<(String, i32)>,
) {
    while !bytes.is_empty() {
        let tag = prost::encoding::decode_varint(&mut bytes).unwrap();
        let number = i32::try_from(tag >> 3).unwrap();
        seen.insert((of.to_owned(), number));
        if tag & 7 == 0 {
            prost::encoding::decode_varint(&mut bytes).unwrap();
            continue;
        }
        assert_eq!(tag & 7, 2, "{of} {number}: only varints and lengths are used");
        let length = usize::try_from(prost::encoding::decode_varint(&mut bytes).unwrap()).unwrap();
        let (inner, rest) = bytes.split_at(length);
        bytes = rest;
        let field = messages[of].field.iter().find(|field| field.number() == number).unwrap();
        match (of, field.name()) {
            (".renaksi.log.v1.Record", "command") => walk(messages, ".renaksi.log.v1.Command", inner, seen),
            (".renaksi.log.v1.Aside", "texts") => walk(messages, ".renaksi.log.v1.Texts", inner, seen),
            _ if field.r#type() == Type::Message => walk(messages, field.type_name(), inner, seen),
            _ => {}
        }
    }
}
