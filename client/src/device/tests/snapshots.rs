//! What is kept of the fold is the fold, or is passed over.

use std::fs;
use std::path::Path;

use super::*;
use crate::device::ReplayTo;

/// A device whose replica has 25 commits of a thousand entries after the office's founding.
fn long() -> Fixture {
    let mut fixture = Fixture::new();
    let mut device = fixture.open();
    for page in 0..25 {
        let commands = (0..1_000).map(|n| add(&format!("{}", 1 + (page * 7 + n) % 90))).collect();
        device.receive(fixture.server.say(1, commands)).unwrap();
    }
    drop(device);
    fixture
}

fn snapshots(home: &Path, kind: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(home.join("replica").join(kind)).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

#[track_caller]
fn shows_what_was_known(device: &Device) {
    let head = device.replica().head().size;
    for position in [1, 2, 17, 10_017, 10_018, 15_000, 20_017, 20_500, head - 1, head] {
        let whole = device.replay(ReplayTo::Position(position), &mut |_, _, _| {}).unwrap().state;
        assert!(device.figures_at(position).unwrap() == whole.for_figures(), "{position}");
    }
    let error = device.figures_at(head + 1).unwrap_err();
    assert_eq!(error.cause().code, "POSITION_UNKNOWN");
}

#[test]
fn the_figures_of_any_record_are_those_of_the_whole_fold() {
    let fixture = long();
    let kept = snapshots(&fixture.home, "figures");
    assert_eq!(kept.len(), 2);
    assert!(kept.iter().all(|file| fs::metadata(file).unwrap().len() < 64 << 10));
    shows_what_was_known(&fixture.open());
    // One whole snapshot for the start, and the one before.
    assert_eq!(snapshots(&fixture.home, "snapshots").len(), 1);

    // Cut, of other bytes, of another log's position, or gone: made good by whoever asks.
    let bytes = fs::read(&kept[1]).unwrap();
    let mut flipped = bytes.clone();
    flipped[300] ^= 1;
    let other = fs::read(&kept[0]).unwrap();
    for damaged in [Vec::new(), bytes[..500].to_vec(), flipped, other] {
        fs::write(&kept[1], damaged).unwrap();
        shows_what_was_known(&fixture.open());
        assert_eq!(snapshots(&fixture.home, "figures").len(), 2);
    }
    kept.iter().for_each(|file| fs::remove_file(file).unwrap());
    shows_what_was_known(&fixture.open());
    assert_eq!(snapshots(&fixture.home, "figures").len(), 2);
}

#[test]
fn a_start_from_a_snapshot_is_a_start_from_the_first_record() {
    let mut fixture = long();
    let view = fixture.open().view().clone();
    let kept = snapshots(&fixture.home, "snapshots");
    assert_eq!(kept.len(), 1);
    assert!(*fixture.open().view() == view);
    // What came after it is folded on to it, and what is sent next continues the device's chain.
    let mut device = fixture.open();
    device.receive(fixture.server.say(1, vec![add("5")])).unwrap();
    let view = device.view().clone();
    let (sequence, chain) = (device.replica.known().sequence, device.replica.known().chain);
    drop(device);
    let bytes = fs::read(&kept[0]).unwrap();
    let mut flipped = bytes.clone();
    flipped[4_000] ^= 8;
    for damaged in [bytes.clone(), bytes[..bytes.len() / 2].to_vec(), flipped, Vec::new()] {
        fs::write(&kept[0], damaged).unwrap();
        let device = fixture.open();
        assert!(*device.view() == view);
        assert_eq!((device.replica.known().sequence, device.replica.known().chain), (sequence, chain));
    }
}

/// The snapshots of another history are those of a replica that was pulled anew.
#[test]
fn snapshots_of_another_history_are_passed_over() {
    let (fixture, other) = (long(), Fixture::new());
    let mut device = other.open();
    let mut server = other.server;
    for page in 0..25 {
        let commands = (0..1_000).map(|n| add(&format!("{}", 2 + (page + n) % 40))).collect();
        device.receive(server.say(1, commands)).unwrap();
    }
    drop(device);
    drop(fixture.open());
    let view = |home: &Path| Device::open_waiting(home, Some(CLOCK), Duration::ZERO).unwrap().view().clone();
    let own = view(&other.home);
    for kind in ["snapshots", "figures"] {
        for file in snapshots(&fixture.home, kind) {
            fs::copy(&file, other.home.join("replica").join(kind).join(file.file_name().unwrap())).unwrap();
        }
    }
    assert!(view(&other.home) == own);
    shows_what_was_known(&Device::open_waiting(&other.home, Some(CLOCK), Duration::ZERO).unwrap());
}
