//! FAULTS: synchronisation and the log, with the real programs.
#![allow(clippy::unwrap_used)]

use std::fs;

use renaksi_tests::plans::{UNIT, small};
use renaksi_tests::proxy::{Proxy, Way};
use renaksi_tests::{Device, Office, adds_up, copy_folder, count};

const ROW: &str = "1.1.1.1";

fn story() -> (Office, Device, Device, Device) {
    let (mut office, administrator, head) =
        Office::established(&small(&[("UTTP", ["70", "585", "120", "170"])]));
    let officer = office.enroll("petugas-1", "officer", Some(UNIT));
    (office, administrator, head, officer)
}

#[test]
fn s1_a_lost_reply_is_answered_with_the_first_receipts() {
    let (office, _, _, officer) = story();
    (0..500).for_each(|_| drop(officer.add(ROW, "1", "2024-01-03")));
    // The copy never hears of the first push: to it the reply was lost.
    let unaware = office.copy(&officer, "unaware");
    let first = officer.ok(&["sync"]);
    adds_up(&first);
    assert_eq!(count(&first["recorded"]), 500);
    let again = unaware.ok(&["sync"]);
    adds_up(&again);
    assert_eq!((count(&again["recorded"]), count(&again["duplicate"])), (0, 500));
    assert_eq!(unaware.row(ROW, &["--quarter", "1"])["realised"][0], "500");
    office.end(&[&officer, &unaware]);
}

#[test]
fn s2_one_refused_command_takes_no_neighbour_with_it() {
    let (office, administrator, head, officer) = story();
    office.set_clock("2024-04-10T03:00:00Z");
    officer.add(ROW, "9", "2024-03-20");
    administrator.ok(&["quarter", "lock", "1"]);
    head.ok(&["quarter", "approve-lock", "1"]);
    let held = officer.ends(&["sync"], 3);
    let held = held["held"][0]["entry_id"].as_str().unwrap().to_owned();
    (0..56).for_each(|_| drop(officer.add(ROW, "1", "2024-04-03")));
    officer.ok(&["entry", "withdraw", &held]);
    (0..43).for_each(|_| drop(officer.add(ROW, "1", "2024-04-03")));
    // Meanwhile the administrator decides the held entry, so command 57 is about nothing.
    administrator.ok(&["sync"]);
    administrator.ok(&["held", "dismiss", &held, "--reason", "not ours"]);
    let sync = officer.ends(&["sync"], 3);
    adds_up(&sync);
    assert_eq!((count(&sync["recorded"]), count(&sync["refused"])), (99, 1));
    assert_eq!(sync["refused"][0]["code"], "UNKNOWN_HELD");
    let next = officer.ok(&["sync"]);
    assert_eq!(count(&next["pushed"]), 0);
    assert_eq!(officer.row(ROW, &["--quarter", "2"])["realised"][1], "99");
    office.end(&[&officer]);
}

#[test]
fn s6_one_person_two_devices() {
    let (mut office, _, _, laptop) = story();
    let tablet = office.enroll("petugas-1", "officer", Some(UNIT));
    for _ in 0..20 {
        laptop.add(ROW, "1", "2024-01-03");
        tablet.add(ROW, "1", "2024-01-04");
    }
    adds_up(&laptop.ok(&["sync"]));
    adds_up(&tablet.ok(&["sync"]));
    laptop.ok(&["sync"]);
    assert_eq!(laptop.row(ROW, &["--quarter", "1"])["realised"][0], "40");
    office.end(&[&laptop, &tablet]);
}

#[test]
fn without_a_server_work_is_safe_and_only_entries_wait() {
    let (mut office, administrator, _, officer) = story();
    office.kill();
    officer.add(ROW, "3", "2024-01-03");
    let error = officer.ends(&["sync"], 5);
    assert_eq!(error["error"]["code"], "SERVER_UNREACHABLE");
    let error = administrator.ends(&["indicator", "set", ROW, "--kind", "sum"], 5);
    assert_eq!(error["error"]["code"], "SERVER_UNREACHABLE");
    assert_eq!(administrator.ok(&["status"])["pending"], 0, "nothing but entries is queued");
    assert_eq!(officer.ok(&["status"])["pending"], 1);
    office.start();
    adds_up(&officer.ok(&["sync"]));
    office.end(&[&officer]);
}

#[test]
fn a_thousand_entries_survive_a_server_killed_three_times_during_the_push() {
    let (mut office, _, _, _) = story();
    let proxy = Proxy::start(office.address());
    let officer = office.enroll_through("petugas-2", "officer", Some(UNIT), Some(proxy.address()));
    (0..1_000).for_each(|_| drop(officer.add(ROW, "1", "2024-01-03")));
    // In the middle of the commands going up, near their end, and with the answer under way.
    for (way, bytes) in [(Way::Up, 8_000), (Way::Up, 24_000), (Way::Down, 3_000)] {
        proxy.after(way, bytes, office.killer());
        let error = officer.ends(&["sync"], 5);
        assert!(proxy.struck(), "the kill at {bytes} bytes {way:?} came during the sync");
        assert!(
            ["SERVER_UNREACHABLE", "OUTCOME_UNKNOWN"].contains(&error["error"]["code"].as_str().unwrap())
        );
        office.kill();
        office.start();
    }
    let sync = officer.ok(&["sync"]);
    adds_up(&sync);
    assert_eq!(count(&sync["held"]) + count(&sync["refused"]), 0);
    assert_eq!(officer.row(ROW, &["--quarter", "1"])["realised"][0], "1000");
    let log = officer.run(&["audit", "log", "--indicator", ROW]).stdout;
    assert_eq!(log.lines().filter(|line| line.contains("entry.added")).count(), 1_000);
    assert_eq!(officer.ok(&["status"])["pending"], 0);
    office.end(&[&officer]);
}

#[test]
fn a_kill_at_any_byte_of_a_push_loses_nothing_acknowledged() {
    let (mut office, _, _, _) = story();
    let proxy = Proxy::start(office.address());
    let officer = office.enroll_through("petugas-2", "officer", Some(UNIT), Some(proxy.address()));
    let mut entries = 0;
    for (way, step) in [(Way::Up, 700), (Way::Down, 250)] {
        for round in 1..=12 {
            (0..10).for_each(|_| drop(officer.add(ROW, "1", "2024-01-03")));
            entries += 10;
            proxy.after(way, round * step, office.killer());
            let sync = officer.run(&["sync"]);
            assert!([0, 5].contains(&sync.code), "{sync:?}");
            if proxy.struck() {
                office.kill();
                office.start();
            }
            adds_up(&officer.ok(&["sync"]));
            let row = officer.row(ROW, &["--quarter", "1"]);
            assert_eq!(row["realised"][0], entries.to_string(), "{way:?} {round}");
        }
    }
    office.end(&[&officer]);
}

/// FAULTS L5.
#[test]
fn l5_stale_foreign_and_corrupt_caches_are_rebuilt() {
    let (mut office, _, _, officer) = story();
    (0..20).for_each(|_| drop(officer.add(ROW, "2", "2024-01-03")));
    officer.ok(&["sync"]);
    office.stop();
    let old = [office.path("old-index"), office.path("old-snapshots")];
    let caches = [office.path("data/office/index"), office.path("data/office/snapshots")];
    caches.iter().zip(&old).for_each(|(cache, old)| copy_folder(cache, old));
    office.start();
    officer.add(ROW, "3", "2024-01-04");
    officer.ok(&["sync"]);
    let live = office.check()["state_hash"].clone();
    office.stop();

    let (mut foreign, ..) = story();
    foreign.stop();
    let foreign_caches = [foreign.path("data/office/index"), foreign.path("data/office/snapshots")];
    let damages: [&dyn Fn(); 3] = [
        &|| caches.iter().zip(&old).for_each(|(cache, old)| replace(cache, old)),
        &|| caches.iter().zip(&foreign_caches).for_each(|(cache, foreign)| replace(cache, foreign)),
        &|| caches.iter().for_each(|cache| corrupt(cache)),
    ];
    for (round, damage) in damages.into_iter().enumerate() {
        damage();
        office.start();
        assert_eq!(office.check()["state_hash"], live);
        // The index answers again: a repeated push is recognised.
        let again = office.copy(&officer, &format!("again-{round}"));
        fs::remove_dir_all(again.home().join("replica")).unwrap();
        let sync = again.ok(&["sync"]);
        adds_up(&sync);
        assert_eq!(count(&sync["recorded"]), 0, "{sync}");
        office.stop();
    }
    office.start();
    office.end(&[&officer]);
}

fn replace(cache: &std::path::Path, by: &std::path::Path) {
    fs::remove_dir_all(cache).unwrap();
    copy_folder(by, cache);
}

/// Overwrites the middle of every file.
fn corrupt(folder: &std::path::Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            corrupt(&path);
            continue;
        }
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes.iter_mut().skip(middle).take(64).for_each(|byte| *byte ^= 0xA5);
        fs::write(&path, bytes).unwrap();
    }
}
