//! What the programs promise is durable by then, as the operating system sees it: the real programs, watched by strace.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use renaksi_tests::plans::{UNIT, small};
use renaksi_tests::syscalls::durable::{Seen, look};
use renaksi_tests::syscalls::{SECOND_SYNC_FAILS, SLOW_SYNCS, calls, run};
use renaksi_tests::{Office, adds_up, count, program};

const ROW: &str = "1.1.1.1";

#[track_caller]
fn nothing_wrong(seen: &Seen) {
    assert!(seen.wrongs.is_empty(), "{:#?}", seen.wrongs);
}

/// How often a file of that name was given its name.
fn renamed(seen: &Seen, name: &str) -> usize {
    seen.renamed.iter().filter(|path| path.ends_with(name)).count()
}

/// FAULTS L1, from outside.
#[test]
fn l1_the_server_answers_nothing_that_is_not_durable() {
    let (mut office, ..) = Office::established(&small(&[("UTTP", ["70", "585", "120", "170"])]));
    let officer = office.enroll("petugas-1", "officer", Some(UNIT));
    let trace = office.path("serve.trace");
    let server = office.restart_watched(SLOW_SYNCS, trace.clone());
    for _ in 0..5 {
        officer.add(ROW, "3", "2024-01-03");
        officer.ok(&["sync"]);
    }
    // Through the socket of the machine, then a new device.
    let address = office.address().to_owned();
    let second = office.enroll_through("petugas-2", "officer", Some(UNIT), Some(&address));
    second.add(ROW, "4", "2024-01-04");
    second.ok(&["sync"]);
    let answered = office.check()["position"].as_u64().unwrap();
    office.stop();
    let seen = look(&calls(&trace, server), &office.path("data"));
    nothing_wrong(&seen);
    // Six pushes, a person, a device; each was a commit of its own, and each pull was signed.
    assert!(seen.frames >= 8 && seen.segment_syncs >= seen.frames, "{seen:?}");
    assert!(renamed(&seen, "log/checkpoint") >= 7, "{seen:?}");
    assert!(seen.promises > 3 * seen.frames, "{seen:?}");
    println!(
        "{} frames, {} syncs of segments, {} files renamed, {} promises",
        seen.frames,
        seen.segment_syncs,
        seen.renamed.len(),
        seen.promises
    );
    office.start();
    assert_eq!(office.check()["position"], answered);
    office.end(&[&officer, &second]);
}

#[test]
fn l1_what_init_says_is_durable() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("deep/down/data");
    let mut init = Command::new(program("renaksid"));
    init.args(["init", "--office", "Dinas Uji", "--operator", "operator-1", "--json", "--data"]).arg(&data);
    let (output, calls) = run(&init, &dir.path().join("init.trace"));
    assert!(output.status.success(), "{output:?}");
    let seen = look(&calls, dir.path());
    nothing_wrong(&seen);
    assert_eq!((renamed(&seen, "segment-00000000000000000001.log"), renamed(&seen, "server.json")), (1, 2));
    assert!(seen.frames >= 1 && seen.promises == 1, "{seen:?}");
    assert_eq!(seen.folders.iter().filter(|folder| folder.ends_with("deep")).count(), 1, "{seen:?}");
}

#[test]
fn l1_what_a_device_says_and_sends_is_durable_on_it() {
    let (mut office, ..) = Office::established(&small(&[("UTTP", ["70", "585", "120", "170"])]));
    let officer = office.enroll("petugas-1", "officer", Some(UNIT));
    let invite = ["invite", "--user", "petugas-2", "--role", "officer", "--unit", UNIT, "--json"];
    let invite = office.renaksid(&invite).json();
    let fresh = office.copy(&officer, "not-yet/enrolled");
    std::fs::remove_dir_all(office.path("not-yet")).unwrap();
    let watched = |device: &renaksi_tests::Device, arguments: &[&str]| {
        let (output, calls) = run(&device.command(arguments), &office.path("device.trace"));
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        let seen = look(&calls, device.home().ancestors().nth(2).unwrap());
        nothing_wrong(&seen);
        seen
    };
    let enrolled = watched(&fresh, &["enroll", invite["invite"].as_str().unwrap()]);
    assert!(enrolled.folders.iter().any(|folder| folder.ends_with("not-yet")), "{enrolled:?}");
    assert_eq!(renamed(&enrolled, "segment-00000000000000000001.log"), 2, "feed and replica");
    assert_eq!(renamed(&enrolled, "identity.json"), 1);
    for device in [&officer, &fresh] {
        let added = watched(device, &["entry", "add", ROW, "--quantity", "2", "--on", "2024-01-03"]);
        assert!(added.frames >= 1 && added.promises == 1, "{added:?}");
        assert!(added.segment_syncs >= added.frames, "{added:?}");
        let sent = watched(device, &["sync"]);
        // The replica's commits, the checkpoint that they agree with, and what is told of it.
        assert!(sent.frames >= 1 && renamed(&sent, "checkpoint") == 1 && sent.promises > 2, "{sent:?}");
    }
    office.end(&[&officer, &fresh]);
}

/// FAULTS L3, from outside: the kernel says once that a sync failed.
#[test]
fn l3_what_the_kernel_did_not_make_durable_is_not_acknowledged() {
    let (mut office, ..) = Office::established(&small(&[("UTTP", ["70", "585", "120", "170"])]));
    let officer = office.enroll("petugas-1", "officer", Some(UNIT));
    let trace = office.path("serve.trace");
    let server = office.restart_watched(SECOND_SYNC_FAILS, trace.clone());
    officer.add(ROW, "3", "2024-01-03");
    assert_eq!(count(&officer.ok(&["sync"])["recorded"]), 1);
    officer.add(ROW, "4", "2024-01-04");
    // The second attempt meets a disk that would work again, and a server that does not try.
    for _ in 0..2 {
        let told = officer.run(&["sync"]);
        assert_ne!(told.code, 0, "{told:?}");
        assert_eq!(told.json()["error"]["code"], "OFFICE_STOPPED", "{told:?}");
    }
    office.stop();
    let calls = calls(&trace, server);
    let syncs = calls.iter().filter(|call| call.name == "fdatasync");
    let of_segment = syncs.filter(|call| call.target(0).is_some_and(|path| path.contains("segment-")));
    let answers: Vec<_> = of_segment.map(|call| call.result).collect();
    assert_eq!(answers, [Some(0), Some(-1)], "one sync of the log failed, and none came after it");
    office.start();
    let sent = officer.ok(&["sync"]);
    adds_up(&sent);
    assert_eq!(officer.row(ROW, &["--quarter", "1"])["realised"][0], "7");
    office.end(&[&officer]);
}
