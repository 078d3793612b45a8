//! Many offices on one server, with the real programs: more of them than may be open at once.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use renaksi_tests::plans::{UNIT, small};
use renaksi_tests::{Device, Office};
use serde_json::Value;

const OFFICES: usize = 12;
const OPEN_MAX: usize = 3;

/// One of the offices, with its administrator's device.
struct Member {
    id: String,
    administrator: Device,
}

struct Story {
    server: Office,
    members: Vec<Member>,
}

impl Story {
    /// Twelve offices beside the one that `init` made, each with an imported plan.
    fn new() -> Story {
        let mut server = Office::found();
        let address = server.address().to_owned();
        server.restart_with(&["--open-offices", &OPEN_MAX.to_string(), "--address", &address]);
        let plan = server.path("plan.txt");
        fs::write(&plan, small(&[("UTTP", ["70", "585", "120", "170"])])).unwrap();
        let plan = plan.display().to_string();
        let mut members = Vec::new();
        for number in 1..=OFFICES {
            let name = format!("Dinas {number:02}");
            let words =
                ["office", "add", "--json", "--rehearsal", "--office", &name, "--operator", "operator-1"];
            let added = server.renaksid(&words);
            assert_eq!(added.code, 0, "{added:?}");
            let id = added.json()["office"].as_str().unwrap().to_owned();
            let administrator = server.enroll_into(&name, "perencana-1", "administrator", None);
            administrator.ok(&["plan", "import", &plan]);
            members.push(Member { id, administrator });
        }
        Story { server, members }
    }

    fn states(&self) -> Vec<(String, String)> {
        let listed = self.server.renaksid(&["office", "list", "--json"]).json();
        let text = |office: &Value, key: &str| office[key].as_str().unwrap().to_owned();
        let offices = listed["offices"].as_array().unwrap();
        offices.iter().map(|office| (text(office, "office"), text(office, "state"))).collect()
    }

    fn state(&self, member: usize) -> String {
        let states = self.states();
        states.into_iter().find(|(id, _)| *id == self.members[member].id).unwrap().1
    }

    /// Calls of other offices, until the office is closed.
    #[track_caller]
    fn close(&self, member: usize) {
        for other in (0..OFFICES).filter(|other| *other != member).take(OPEN_MAX) {
            self.members[other].administrator.ok(&["sync"]);
        }
        assert_eq!(self.state(member), "closed");
    }

    #[track_caller]
    fn check(&self, member: usize) -> Value {
        let ran = self.server.renaksid(&["check", "--json", "--office", &self.members[member].id]);
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.json()
    }

    fn segment(&self, member: usize) -> PathBuf {
        let log = self.server.path("data/offices").join(&self.members[member].id).join("log");
        let mut names = fs::read_dir(log).unwrap().map(|entry| entry.unwrap().path());
        names.find(|path| path.extension().is_some_and(|extension| extension == "log")).unwrap()
    }
}

fn flip(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    bytes[12_288 + 40] ^= 1;
    fs::write(file, bytes).unwrap();
}

#[test]
fn twelve_offices_share_a_server_that_keeps_three_open() {
    let mut story = Story::new();
    let open = story.states().iter().filter(|(_, state)| state == "open").count();
    assert!((1..=OPEN_MAX).contains(&open), "{:?}", story.states());

    // One that is damaged while it is closed answers its own devices, and hurts no other.
    story.close(4);
    flip(&story.segment(4));
    let refused = story.members[4].administrator.ends(&["sync"], 7);
    assert_eq!(refused["error"]["code"], "LOG_DAMAGED");
    for member in [0, 5, 9] {
        story.members[member].administrator.ok(&["indicator", "confirm", "--all"]);
    }
    assert_eq!(story.state(4), "LOG_DAMAGED");
    flip(&story.segment(4));
    story.members[4].administrator.ok(&["sync"]);
    assert_eq!(story.state(4), "open");

    // The server loses its power: what was acknowledged is there, in each of them.
    story.server.kill();
    story.server.start();
    for member in (0..OFFICES).rev() {
        let device = &story.members[member].administrator;
        device.ok(&["sync"]);
        assert_eq!(device.ok(&["audit", "replay"])["state_hash"], story.check(member)["state_hash"]);
        assert_eq!(device.ok(&["audit", "verify"])["ok"], true);
    }
    // And it is the same when everything is read from the files.
    let live: Vec<Value> = (0..OFFICES).map(|member| story.check(member)["state_hash"].clone()).collect();
    story.server.stop();
    for (member, live) in live.iter().enumerate() {
        assert_eq!(&story.check(member)["state_hash"], live);
    }
}

#[test]
fn what_is_due_is_recorded_in_an_office_that_is_closed() {
    let mut story = Story::new();
    let id = story.members[0].id.clone();
    let head = story.server.enroll_into(&id, "kadis-1", "head-of-office", None);
    let kabid = story.server.enroll_into(&id, "kabid-1", "head-of-unit", Some(UNIT));
    let administrator = &story.members[0].administrator;
    administrator.ok(&["indicator", "confirm", "--all"]);
    administrator.ok(&["plan", "establish", "--basis", "Keputusan Kepala Dinas Nomor 1/2024"]);
    head.ok(&["plan", "approve"]);
    story.server.set_clock("2024-04-10T03:00:00Z");
    administrator.ok(&["quarter", "lock", "1"]);
    head.ok(&["quarter", "approve-lock", "1"]);
    kabid.ok(&["quarter", "request-reopen", "1", "--until", "2024-04-11", "--reason", "koreksi"]);
    administrator.ok(&["quarter", "grant-reopen", "1"]);
    story.close(0);
    let bytes = |story: &Story| fs::metadata(story.segment(0)).unwrap().len();
    let before = bytes(&story);
    story.server.set_clock("2024-04-11T17:00:00Z");
    let began = Instant::now();
    while bytes(&story) == before {
        assert!(began.elapsed() < Duration::from_secs(20), "nobody opened the office when it was due");
        std::thread::sleep(Duration::from_millis(50));
    }
    // The same across a stop of the server: the note beside the log says when.
    kabid.ok(&["quarter", "request-reopen", "1", "--until", "2024-04-13", "--reason", "koreksi lagi"]);
    administrator.ok(&["quarter", "grant-reopen", "1"]);
    story.close(0);
    story.server.stop();
    let before = bytes(&story);
    story.server.set_clock("2024-04-13T17:00:00Z");
    story.server.start();
    let began = Instant::now();
    while bytes(&story) == before {
        assert!(began.elapsed() < Duration::from_secs(20), "nobody opened the office after the start");
        std::thread::sleep(Duration::from_millis(50));
    }
    let log = administrator.run(&["sync"]);
    assert_eq!(log.code, 0, "{log:?}");
    let log = administrator.run(&["audit", "log"]).stdout;
    assert_eq!(log.matches("quarter.relocked").count(), 2, "{log}");
    assert_eq!(administrator.ok(&["audit", "replay"])["state_hash"], story.check(0)["state_hash"]);
}
