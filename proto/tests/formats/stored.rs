//! What is written is read back the same, whatever it is.

use proptest::prelude::*;
use prost::Message;
use renaksi_domain::command::{Command, Outcome};
use renaksi_domain::entry::{AddEntry, EntryCommand, Reading};
use renaksi_domain::epoch::Restored;
use renaksi_domain::ids::{IndicatorId, Origin, PersonId};
use renaksi_domain::indicator::Level;
use renaksi_domain::plan::{ImportIndicator, PlanCommand};
use renaksi_domain::proposal::Kind;
use renaksi_domain::quantity::{Quantity, Target};
use renaksi_domain::revision::{DraftRevision, LegalBasis, RevisionCommand};
use renaksi_domain::time::{Date, Quarter, Timestamp};
use renaksi_proto::chain::{commitment, link, start};
use renaksi_proto::convert::{DecodeError, command_leaf, decode_command, decode_record, encode_record};
use renaksi_proto::fold::Fold;
use renaksi_proto::log;

use crate::history::{play, steps};
use crate::office::Office;
use crate::samples::{MADE_AT, SALT, entries, records, texts};

/// The record leaves of an office, as its writer stores them.
pub fn leaves(office: &Office) -> Vec<Vec<u8>> {
    let leaf = |record: &renaksi_domain::Record| {
        let reason = if record.envelope.has_reason { "sebab" } else { "" };
        let texts = log::Texts { reason: reason.into(), ..Default::default() };
        let command = command_leaf(&record.envelope.command, record.envelope.made_at, &texts, SALT);
        encode_record(record, &command.leaf, None, None)
    };
    office.records.iter().map(leaf).collect()
}

/// The fold of an office's leaves.
pub fn fold(office: &Office) -> Fold {
    let mut fold = Fold::default();
    leaves(office).iter().for_each(|leaf| drop(fold.absorb(leaf).unwrap()));
    fold
}

fn quantity() -> impl Strategy<Value = Quantity> {
    (any::<i64>(), 0_u8..8).prop_filter_map("in bounds", |(mantissa, scale)| {
        Quantity::from_parts(mantissa % 1_000_000_000_000_000_000, scale).ok()
    })
}

fn reading() -> impl Strategy<Value = Reading> {
    prop_oneof![
        quantity().prop_map(Reading::Quantity),
        (quantity(), quantity())
            .prop_map(|(numerator, denominator)| Reading::Ratio { numerator, denominator }),
        any::<String>().prop_map(|text| Reading::Text(text.into())),
    ]
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        quantity().prop_map(Target::Value),
        any::<String>().prop_map(|text| Target::Text(text.into())),
        Just(Target::NotPlanned),
        Just(Target::Missing),
    ]
}

fn date() -> impl Strategy<Value = Date> {
    any::<i32>().prop_map(Date::from_days)
}

fn command() -> impl Strategy<Value = Command> {
    let add = (any::<u32>(), date(), reading())
        .prop_map(|(id, on, reading)| EntryCommand::Add(AddEntry { indicator: IndicatorId(id), on, reading }))
        .prop_map(Command::Entry);
    let row =
        (any::<(String, String, Option<String>, Option<String>)>(), [target(), target(), target(), target()])
            .prop_map(|((name, measure, satuan, responsible), targets)| ImportIndicator {
                level: Level::SubActivity,
                name: name.into(),
                measure: measure.into(),
                satuan: satuan.map(Into::into),
                responsible: responsible.map(Into::into),
                kind: Kind::Average,
                targets,
                year_target: None,
            })
            .prop_map(|row| Command::Plan(PlanCommand::ImportIndicator(Box::new(row))));
    let draft =
        (any::<i16>(), any::<(String, String, String, String)>(), date()).prop_map(|(year, texts, date)| {
            Command::Revision(RevisionCommand::Draft(DraftRevision {
                year,
                number: texts.0.into(),
                reason: texts.1.into(),
                basis: LegalBasis { title: texts.2.into(), number: texts.3.into(), date },
                effective: Quarter::Q4,
            }))
        });
    prop_oneof![add, row, draft]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn commands_come_back(
        command in command(),
        made_at in any::<i64>(),
        place in any::<String>(),
        reason in any::<String>(),
    ) {
        let texts = log::Texts { place, note: String::new(), reason };
        let stored = command_leaf(&command, Timestamp(made_at), &texts, SALT);
        let (envelope, commitment) = decode_command(&stored.leaf, Origin(1), 2, PersonId(3)).unwrap();
        prop_assert_eq!(&envelope.command, &command);
        prop_assert_eq!(envelope.made_at, Timestamp(made_at));
        // A text of blanks is none.
        let blank = |text: &str| text.trim().is_empty();
        prop_assert_eq!(envelope.has_reason, !blank(&texts.reason));
        prop_assert_eq!(stored.aside.is_empty(), blank(&texts.place) && blank(&texts.reason));
        if stored.aside.is_empty() {
            prop_assert!(commitment.is_empty());
        } else {
            prop_assert_eq!(&stored.leaf[stored.leaf.len() - 32..], &commitment[..]);
            prop_assert_eq!(renaksi_proto::chain::open_aside(&commitment, &stored.aside), Some(texts));
        }
        // The bytes are canonical: what was read is written the same.
        let again = log::Command::decode(stored.leaf.as_slice()).unwrap().encode_to_vec();
        prop_assert_eq!(again, stored.leaf);
    }

    #[test]
    fn histories_come_back_and_fold_to_the_same_state(steps in steps(80)) {
        let office = play(&steps);
        for (record, leaf) in office.records.iter().zip(leaves(&office)) {
            let (read, stored) = decode_record(&leaf).unwrap();
            prop_assert_eq!(&read, record);
            prop_assert_eq!(encode_record(&read, &stored.command, None, None), leaf);
        }
        let fold = fold(&office);
        prop_assert!(fold.state == office.state);
        // The chain of an incarnation is over its commands alone, in their order.
        let ayu = fold.state.people.incarnation(Origin(5)).unwrap();
        let mut chain = start(ayu.uuid);
        for leaf in leaves(&office) {
            let (record, stored) = decode_record(&leaf).unwrap();
            if record.envelope.origin == Origin(5) {
                chain = link(&chain, &stored.command);
            }
        }
        prop_assert_eq!(fold.chain(Origin(5)), Some(&chain));
    }
}

#[test]
fn the_commitment_is_the_last_32_bytes_of_a_record_with_texts() {
    let expected = commitment(&SALT, &texts().encode_to_vec());
    for (name, stored) in records().iter().filter(|(name, _)| name != "record recorded") {
        let leaf = stored.leaf();
        assert_eq!(leaf[leaf.len() - 32..], expected, "{name}");
    }
}

#[test]
fn a_commitment_elsewhere_in_a_command_is_unreadable() {
    let (_, command) = &entries()[0];
    let leaf = command_leaf(command, MADE_AT, &texts(), SALT).leaf;
    assert!(decode_command(&leaf, Origin(1), 1, PersonId(1)).is_ok());
    let (before, field) = leaf.split_at(leaf.len() - 35);
    let moved = [field, before].concat();
    assert!(matches!(decode_command(&moved, Origin(1), 1, PersonId(1)), Err(DecodeError::Field { .. })));
}

/// A field that no release of ours knows: number 900, a length, two bytes.
const UNKNOWN_FIELD: [u8; 5] = [0xa2, 0x38, 0x02, 0x08, 0x01];

#[test]
fn a_command_of_a_newer_release_is_newer_and_not_damaged() {
    let unknown = log::Command { made_at_us: 5, ..Default::default() }.encode_to_vec();
    let unknown = [unknown.as_slice(), &UNKNOWN_FIELD].concat();
    assert!(matches!(decode_command(&unknown, Origin(1), 1, PersonId(1)), Err(DecodeError::Newer)));
    let outcome = Some(log::record::Outcome::Recorded(log::Effect::default()));
    let record = log::Record { position: 1, command: unknown, outcome, ..Default::default() };
    let mut fold = Fold::default();
    assert!(matches!(fold.absorb(&record.encode_to_vec()), Err(DecodeError::Newer)));
    assert!(fold == Fold::default(), "the fold stops before it");
    // A new kind of outcome, a new kind of change, a new value of an enumeration.
    let new_outcome = log::Record { outcome: None, ..record };
    assert!(matches!(decode_record(&new_outcome.encode_to_vec()), Err(DecodeError::Newer)));
    let change = log::AddChange { revision: 1, indicator: 1, change: None };
    let set = log::SetIndicator { indicator: 1, kind: 99, ..Default::default() };
    let assign = log::Assign { person: 1, role: 99, ..Default::default() };
    use log::command::Body;
    for body in [Body::AddChange(change), Body::SetIndicator(set), Body::Assign(assign)] {
        let leaf = log::Command { body: Some(body), ..Default::default() }.encode_to_vec();
        assert!(matches!(decode_command(&leaf, Origin(1), 1, PersonId(1)), Err(DecodeError::Newer)));
    }
}

#[test]
fn a_later_version_is_read_as_newer() {
    use log::command::Body;
    let body = Some(Body::AddUnit(log::AddUnit { name: "Bidang".into() }));
    let command = log::Command { needs: 99, body: body.clone(), ..Default::default() }.encode_to_vec();
    assert!(matches!(decode_command(&command, Origin(1), 1, PersonId(1)), Err(DecodeError::Newer)));
    let command = log::Command { body, ..Default::default() }.encode_to_vec();
    let outcome = Some(log::record::Outcome::Recorded(log::Effect::default()));
    let record = log::Record { needs: 99, position: 1, command, outcome, ..Default::default() };
    assert!(matches!(decode_record(&record.encode_to_vec()), Err(DecodeError::Newer)));
}

#[test]
fn a_value_of_a_later_kind_is_newer_and_not_malformed() {
    use log::command::Body;
    let reading = log::AddEntry { indicator: 1, on: 1, reading: Some(log::Reading { value: None }) };
    let target = log::QuarterTarget { quarter: 1, target: Some(log::Target { value: None }) };
    let set = log::SetIndicator { indicator: 1, targets: vec![target], ..Default::default() };
    let blank = log::Target { value: Some(log::target::Value::Blank(9)) };
    let later = log::QuarterTarget { quarter: 1, target: Some(blank) };
    let later = log::SetIndicator { indicator: 1, targets: vec![later], ..Default::default() };
    for body in [Body::AddEntry(reading), Body::SetIndicator(set), Body::SetIndicator(later)] {
        let leaf = log::Command { body: Some(body), ..Default::default() }.encode_to_vec();
        assert!(matches!(decode_command(&leaf, Origin(1), 1, PersonId(1)), Err(DecodeError::Newer)));
    }
    let absent = Body::AddEntry(log::AddEntry { indicator: 1, on: 1, reading: None });
    let leaf = log::Command { body: Some(absent), ..Default::default() }.encode_to_vec();
    assert!(matches!(decode_command(&leaf, Origin(1), 1, PersonId(1)), Err(DecodeError::Field { .. })));
}

#[test]
fn the_server_itself_records_nothing_about_figures() {
    use log::command::Body;
    let approve = log::Command { body: Some(Body::ApproveRevision(1)), ..Default::default() }.encode_to_vec();
    let outcome = Some(log::record::Outcome::Recorded(log::Effect::default()));
    for author in [0, 3] {
        let command = approve.clone();
        let record =
            log::Record { position: 1, author, command, outcome: outcome.clone(), ..Default::default() };
        assert!(matches!(Fold::default().absorb(&record.encode_to_vec()), Err(DecodeError::Field { .. })));
    }
}

/// A record that was decided as of another time than its own: of a device that an ended epoch knew, or of nobody.
#[test]
fn only_a_device_of_an_ended_epoch_is_restored() {
    let first = |office: &Office| Restored { epoch: 1, position: 90, time: office.now, recorded: true };
    type Change = fn(Restored) -> Restored;
    let as_it_is: Change = |restored| restored;
    for (epochs, words, change, is_read) in [
        (2, "ayu add uttp 1 2024-01-02", as_it_is, true),
        (1, "ayu add uttp 1 2024-01-02", as_it_is, false),
        (2, "ayu add uttp 1 2024-01-02", |old| Restored { epoch: 2, ..old }, false),
        (2, "ayu add uttp 1 2024-01-02", |old| Restored { time: old.time.plus_micros(1), ..old }, false),
        (2, "host add-person", as_it_is, false),
    ] {
        let mut office = Office::established();
        if epochs == 2 {
            office.does("host begin-epoch 2 an old backup was restored");
        }
        office.restored = Some(change(first(&office)));
        let _ = office.ask(words);
        let (leaves, mut read) = (leaves(&office), Fold::default());
        let (last, before) = leaves.split_last().unwrap();
        before.iter().for_each(|leaf| drop(read.absorb(leaf).unwrap()));
        let absorbed = read.absorb(last);
        assert_eq!(absorbed.is_ok(), is_read, "{words}: {absorbed:?}");
        assert!(!is_read || read.state == office.state);
    }
}

#[test]
fn a_refused_record_need_not_be_readable() {
    let cause = renaksi_domain::Rejection::new(renaksi_domain::Code::Unreadable);
    let envelope = renaksi_proto::convert::unreadable(Origin(1), 4, PersonId(2));
    let time = Timestamp(9);
    let record = renaksi_domain::Record {
        position: 3,
        time,
        carrier: None,
        envelope,
        outcome: Outcome::Refused(cause),
    };
    let (read, stored) = decode_record(&encode_record(&record, b"\xff\xff", None, None)).unwrap();
    assert_eq!(read, record);
    assert_eq!(stored.command, b"\xff\xff");
}
