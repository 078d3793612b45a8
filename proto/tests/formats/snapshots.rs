//! A snapshot is the fold, and damaged bytes are none.

use proptest::prelude::*;
use renaksi_domain::command::{Effect, Outcome};
use renaksi_domain::epoch::Restored;
use renaksi_domain::hash::state_hash;
use renaksi_domain::quarter::PlanQuarter;
use renaksi_domain::time::Quarter;
use renaksi_proto::fold::Fold;
use renaksi_proto::snapshot::{decode, decode_figures, encode, encode_figures};

use crate::damage::{damage, damaged, read_all};
use crate::history::{play, steps};
use crate::office::{Office, local};
use crate::stored::{fold, leaves};

#[track_caller]
fn comes_back(fold: &Fold) -> Vec<u8> {
    let bytes = encode(fold);
    let read = decode(&bytes).unwrap();
    assert!(read == *fold, "another fold came back");
    assert_eq!(state_hash(&read.state), state_hash(&fold.state));
    assert_eq!(encode(&read), bytes);
    let figures = fold.state.clone().for_figures();
    let kept = encode_figures(&figures);
    assert!(decode_figures(&kept).unwrap() == figures, "other figures came back");
    assert!(decode(&kept).is_err() && decode_figures(&bytes).is_err(), "one is taken for the other");
    bytes
}

#[test]
fn the_first_snapshots_of_an_office_come_back() {
    comes_back(&Fold::default());
    comes_back(&fold(&Office::founded()));
    // In the midst of an import.
    let mut office = Office::founded();
    office.does("admin start-import 2024");
    office.does("admin objective");
    office.does("admin row stok");
    comes_back(&fold(&office));
}

/// An office with one of everything that the second release added.
fn second_release() -> Office {
    let mut office = Office::established();
    office.at("2024-05-14 09:00");
    office.does("admin bands kurang=..60 baik=60..");
    office.does("admin holidays +2024-05-23 -2024-06-01");
    office.does("admin due-days 7");
    office.does("ayu add uttp 12,50 2024-05-14");
    office.does("citra add aktif 1/3 2024-03-14");
    office.does("admin narrate uttp 2 0 kerja hujan jadwal");
    office.does("operator assign 8 administrator 1");
    office.lock(1);
    office.lock(2);
    office.does("kabid request-reopen 1 2024-07-20T17:00");
    office.does("admin grant-reopen 1");
    office.does("kabid request-reopen 2 2024-07-20T17:00");
    office.does("admin draft R1 3");
    for change in ["add tera activity baru - - 1 1", "cap uttp none 120", "year-target uttp none 1000"] {
        office.does(&format!("admin change 1 {change}"));
    }
    office.does("admin submit 1");
    office.does("head approve 1");
    office.does("host begin-epoch 2 an old backup was restored");
    office.restored =
        Some(Restored { epoch: 1, position: 90, time: local("2024-03-14 09:00"), recorded: true });
    office.does("ayu add uttp 1 2024-03-14");
    office.restored = None;
    office
}

#[test]
fn what_the_second_release_added_comes_back() {
    let office = second_release();
    let bytes = comes_back(&fold(&office));
    for length in (0..bytes.len()).step_by(7) {
        assert!(decode(&bytes[..length]).is_err(), "{length} of {}", bytes.len());
    }
    let figures = encode_figures(&fold(&office).state.for_figures());
    for length in 0..figures.len() {
        assert!(decode_figures(&figures[..length]).is_err(), "{length} of {}", figures.len());
    }
}

#[test]
fn the_server_locks_again_only_what_is_due() {
    let relocked = |time: &str| {
        let mut office = second_release();
        let before = fold(&office);
        office.at(time);
        office.ask("host relock 1");
        (before, office)
    };
    let (mut state, due) = relocked("2024-07-20 17:00");
    state.absorb(leaves(&due).last().unwrap()).unwrap();
    let tw1 = PlanQuarter { year: 2024, quarter: Quarter::Q1 };
    assert!(state.state.quarter_state(tw1).is_locked());
    // Too early it was refused, which changes nothing and is read; stored as recorded it is not.
    let (mut state, mut early) = relocked("2024-07-20 16:59:59");
    state.clone().absorb(leaves(&early).last().unwrap()).unwrap();
    let refused = early.records.last().unwrap().outcome.clone();
    early.records.last_mut().unwrap().outcome = Outcome::Recorded(Effect::default());
    assert!(state.absorb(leaves(&early).last().unwrap()).is_err());
    early.records.last_mut().unwrap().outcome = refused;
}

#[test]
fn every_truncation_errs() {
    let mut office = Office::established();
    office.at("2024-05-14 09:00");
    office.does("ayu add uttp 12,50 2024-05-14");
    office.does("citra add aktif 3/4 2024-05-14");
    office.ask("ayu add koperasi 1 2024-05-14");
    office.does("admin draft R1 3");
    office.does("admin change 1 target uttp 3 120 200");
    office.lock(1);
    let bytes = comes_back(&fold(&office));
    for length in 0..bytes.len() {
        assert!(decode(&bytes[..length]).is_err(), "{length} of {}", bytes.len());
    }
    assert!(decode(&[bytes.as_slice(), &[0]].concat()).is_err());
}

#[test]
fn lengths_that_lie_make_no_room() {
    // An empty fold ends with 13 empty lists; here the first, of persons, has 2^62 of them.
    let mut bytes = encode(&Fold::default());
    bytes.truncate(bytes.len() - 13);
    bytes.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f]);
    assert_eq!(decode(&bytes).unwrap_err().to_string(), "snapshot has no valid length");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// A fold that goes on from a snapshot ends where the whole log does.
    #[test]
    fn histories_come_back_and_go_on(steps in steps(100), at in any::<usize>()) {
        let office = play(&steps);
        comes_back(&fold(&office));
        let leaves = leaves(&office);
        let (first, rest) = leaves.split_at(at % leaves.len());
        let mut whole = Fold::default();
        first.iter().for_each(|leaf| drop(whole.absorb(leaf).unwrap()));
        let mut resumed = decode(&encode(&whole)).unwrap();
        for leaf in rest {
            whole.absorb(leaf).unwrap();
            resumed.absorb(leaf).unwrap();
        }
        prop_assert!(resumed == whole);
    }

    #[test]
    fn damaged_snapshots_never_panic(steps in steps(40), damage in proptest::collection::vec(damage(), 1..6)) {
        let office = play(&steps);
        let bytes = encode(&fold(&office));
        for one in &damage {
            if let Ok(read) = decode(&damaged(&bytes, &[*one])) {
                read_all(&read.state);
            }
        }
        if let Ok(mut read) = decode(&damaged(&bytes, &damage)) {
            leaves(&office).iter().for_each(|leaf| drop(read.absorb(leaf)));
            encode(&read);
        }
    }
}

/// `cargo test --release -p renaksi-proto --test formats -- --ignored --nocapture speed`
#[test]
#[ignore = "prints figures; meaningful in release only"]
fn speed_of_100_000_entries() {
    let mut office = Office::established();
    office.at("2024-05-14 09:00");
    for number in 0..100_000 {
        let who = ["ayu", "ayu2", "budi", "kabid"][number % 4];
        let what = ["uttp", "asn", "laporan", "tera"][number / 4 % 4];
        office.does(&format!("{who} add {what} {},5 2024-0{}-14", number % 50, 1 + number % 5));
    }
    let fold = fold(&office);
    for _ in 0..3 {
        let before = std::time::Instant::now();
        let bytes = encode(&fold);
        let encoded = before.elapsed();
        let read = decode(&bytes).unwrap();
        let decoded = before.elapsed() - encoded;
        println!("{} bytes, encode {encoded:?}, decode {decoded:?}", bytes.len());
        assert!(read == fold);
    }
}
