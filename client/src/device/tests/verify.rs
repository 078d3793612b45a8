//! A copy of the log that is checked without trusting anybody.

use super::*;

impl Fixture {
    /// What a verification finds first when the server changes the records of a commit and hashes them anew.
    fn finds(
        mut self,
        say: impl FnOnce(&mut Server) -> wire::CommitPage,
        change: impl Fn(&mut log::Record),
    ) -> Bad {
        let mut device = self.open();
        let mut page = say(&mut self.server);
        let mut tree = Frontier::default();
        for commit in device.replica().iter(1) {
            commit.unwrap().entries.iter().for_each(|entry| tree.append(leaf_hash(&entry.leaf)));
        }
        for stored in &mut page.records {
            let mut record = log::Record::decode(&*stored.leaf).unwrap();
            change(&mut record);
            stored.leaf = record.encode_to_vec();
            tree.append(leaf_hash(&stored.leaf));
        }
        page.root_after = tree.root().to_vec();
        device.receive(page).unwrap();
        let report = device.verify().unwrap();
        assert!(!report.ok);
        report.first_bad.unwrap()
    }
}

#[track_caller]
fn check_bad(bad: &Bad, position: u64, code: &str) {
    assert_eq!((bad.position, bad.code.as_str()), (position, code));
}

#[test]
fn verify_names_the_first_record_that_is_not_its_authors() {
    let two = |server: &mut Server| server.say(1, vec![add("1"), add("2")]);
    let last = |change: fn(&mut Vec<u8>)| {
        move |record: &mut log::Record| {
            if record.position == 21 {
                change(&mut record.chain_signature);
            }
        }
    };
    check_bad(&Fixture::new().finds(two, last(|signature| signature[5] ^= 1)), 20, "SIGNATURE_INVALID");
    check_bad(&Fixture::new().finds(two, last(Vec::clear)), 20, "SIGNATURE_MISSING");
}

#[test]
fn verify_asks_the_rules_and_not_the_server() {
    use log::record::Outcome as Stored;
    let one = |server: &mut Server| server.say(1, vec![add("1")]);
    let refused = |server: &mut Server| {
        let unknown = CommandKey::new(Origin(1), 9);
        let void = EntryCommand::Void(EntryVersion { entry: unknown, base: unknown });
        server.say(1, vec![Command::Entry(void)])
    };
    let rejection = |code: &str| log::Rejection { code: code.to_owned(), details: Vec::new() };
    let late = log::Effect { late: true, ..Default::default() };
    for (say, outcome) in [
        (&refused as &dyn Fn(&mut Server) -> wire::CommitPage, Stored::Recorded(log::Effect::default())),
        (&one, Stored::Recorded(late)),
        (&one, Stored::Held(rejection("QUARTER_LOCKED"))),
        (&one, Stored::Refused(rejection("ROLE_MAY_NOT"))),
        // Only a record that would not fit into a leaf may be refused for its size.
        (&one, Stored::Refused(rejection("TOO_LARGE"))),
    ] {
        let bad = Fixture::new().finds(say, |record| record.outcome = Some(outcome.clone()));
        check_bad(&bad, 20, "OUTCOME_DIFFERS");
    }
}

#[test]
fn verify_lets_the_server_speak_of_people_alone_and_in_nobodys_name() {
    let host =
        |server: &mut Server| server.say(0, vec![Command::People(PeopleCommand::AddPerson(AddPerson))]);
    for change in [
        (|record| record.author = 1) as fn(&mut log::Record),
        |record| record.sequence = 1,
        |record| record.carrier = 1,
        |record| record.chain_signature = vec![0; 64],
        |record| record.command = command_leaf(&add("1"), now(), &Texts::default(), [0; 16]).leaf,
    ] {
        check_bad(&Fixture::new().finds(host, change), 20, "HOST_RECORD_WRONG");
    }
}

#[test]
fn verify_wants_every_device_to_have_proved_its_key() {
    let enrolled = |change: fn(&mut EnrolDevice)| {
        move |server: &mut Server| {
            let Command::People(PeopleCommand::EnrolDevice(mut device)) = enrol(4) else { unreachable!() };
            device.owner = PersonId(1);
            change(&mut device);
            server.say(0, vec![Command::People(PeopleCommand::EnrolDevice(device))])
        }
    };
    let unchanged = |_: &mut log::Record| {};
    for change in [
        (|device| device.proof = None) as fn(&mut EnrolDevice),
        |device| device.proof.as_mut().unwrap().code_sha256[0] ^= 1,
        |device| device.proof.as_mut().unwrap().authority_sha256[0] ^= 1,
        |device| device.incarnation = incarnation(5),
        |device| device.key = key(5).verifying_key().to_bytes(),
    ] {
        check_bad(&Fixture::new().finds(enrolled(change), unchanged), 20, "ENROLMENT_UNPROVEN");
    }
    let mut fixture = Fixture::new();
    let page = enrolled(|_| {})(&mut fixture.server);
    let mut device = fixture.open();
    device.receive(page).unwrap();
    assert!(device.verify().unwrap().ok);
}

#[test]
fn verify_is_not_poisoned_by_bytes_that_are_no_command() {
    let mut fixture = Fixture::new();
    let mut device = fixture.open();
    let nothing = Leaf { leaf: vec![0xff; 9], aside: b"anything".to_vec() };
    device.receive(fixture.server.push(1, &[nothing])).unwrap();
    let report = device.verify().unwrap();
    assert!(report.ok, "{report:?}");
    assert_eq!((report.checked_records, report.checked_texts, report.unreadable_texts), (20, 0, 1));
}

#[test]
fn nothing_is_verified_where_there_is_nothing() {
    let fixture = Fixture::new();
    std::fs::remove_dir_all(fixture.home.join("replica")).unwrap();
    drop(fixture.open());
    // The damage was told once; from then on the copy is missing.
    let device = fixture.open();
    assert_eq!(codes(&device), ["REPLICA_MISSING"]);
    let report = device.verify().unwrap();
    assert_eq!((report.ok, report.size, report.first_bad), (false, 0, None));
}
