//! A device that is revoked, forked, or not the one that was enrolled; its small files.

use super::*;

#[test]
fn a_revoked_device_keeps_its_receipts_and_records_nothing_more() {
    let fixture = Fixture::new();
    let mut device = fixture.open();
    device.record_all(vec![(add("1"), place("Pasar")), (add("2"), Texts::default())]).unwrap();
    let told = |sequence, outcome| Receipt {
        key: CommandKey::new(Origin(1), sequence),
        position: 20,
        outcome,
        duplicate: false,
    };
    let cause = Rejection::new(Code::DeviceRevoked).with("device", 1);
    device.standing.revoke(vec![told(1, ReceiptOutcome::Held(cause.clone()))]);
    device.home.write_standing(&device.standing).unwrap();
    drop(device);
    let mut device = fixture.open();
    assert_eq!(codes(&device), ["DEVICE_REVOKED"]);
    let view = device.view();
    assert_eq!((view.handed_in.len(), view.pending.len(), entries(&view.state)), (1, 1, 0));
    assert_eq!(view.handed_in[0].outcome, ReceiptOutcome::Held(cause));
    assert_eq!(view.handed_in[0].texts.place, "Pasar");
    // The next push goes on after what was handed in.
    let cursor = device.unsent_sequence();
    assert_eq!(cursor, 2);
    let error = device.record(add("3"), Texts::default()).unwrap_err();
    assert_eq!((error.cause().code.as_str(), error.exit_code()), ("DEVICE_REVOKED", 6));
    assert_eq!(device.outbox.last(), 2);
}

#[test]
fn a_device_that_reads_its_own_revocation_knows_it() {
    let mut fixture = Fixture::new();
    let mut device = fixture.open();
    let revoke = PeopleCommand::RevokeDevice(RevokeDevice { device: DeviceId(1) });
    device.receive(fixture.server.say(0, vec![Command::People(revoke)])).unwrap();
    assert_eq!(codes(&device), ["DEVICE_REVOKED"]);
    assert_eq!(device.record(add("3"), Texts::default()).unwrap_err().exit_code(), 6);
}

#[test]
fn a_forked_device_shows_its_work_and_counts_none_of_it() {
    let mut fixture = Fixture::new();
    let mut device = fixture.open();
    device.record_all((1..=3).map(|n| (add(&n.to_string()), Texts::default())).collect()).unwrap();
    device.standing.forked_from = Some(2);
    device.home.write_standing(&device.standing).unwrap();
    // The other copy's commands 1 and 2 come with the log, of which only the first is this copy's too.
    let first = device.outbox.commands(1).next().unwrap().unwrap().1;
    let other = command_leaf(&add("50"), now(), &Texts::default(), [0; 16]);
    let page = fixture.server.push(1, &[Leaf { leaf: first.leaf, aside: first.aside }, other]);
    device.receive(page).unwrap();
    drop(device);
    let mut device = fixture.open();
    assert_eq!(codes(&device), ["DEVICE_FORKED"]);
    let sequences: Vec<u32> = device.view().pending.iter().map(|pending| pending.key.sequence).collect();
    assert_eq!((sequences, entries(&device.view().state)), (vec![2, 3], 2));
    let queued = device.record(add("4"), Texts::default()).unwrap();
    assert!(matches!(queued.preview, Outcome::Held(cause) if cause.code == Code::DeviceForked));
    assert_eq!((device.view().pending.len(), entries(&device.view().state)), (3, 2));
    // What the log has otherwise is found, also when a replica that was fetched anew hides it.
    assert_eq!(device.first_divergence().unwrap(), Some(2));
}

#[test]
fn a_key_that_is_not_the_enrolled_one_is_named() {
    let fixture = Fixture::new();
    let path = fixture.home.join("key");
    std::fs::write(&path, key(2).to_bytes()).unwrap();
    let error = Device::open_waiting(&fixture.home, Some(CLOCK), Duration::ZERO).unwrap_err();
    assert_eq!((error.cause().code.as_str(), error.exit_code()), ("KEY_DAMAGED", 7));
    assert!(crate::text::message(error.cause()).contains(&path.display().to_string()), "{error}");
}

#[test]
fn an_authority_that_is_not_the_invites_is_named() {
    use rustls::pki_types::CertificateDer;
    let fixture = Fixture::new();
    let files = Home::new(&fixture.home);
    let der = CertificateDer::from(vec![1, 2, 3]);
    files.write_authority(&der).unwrap();
    let sha256: [u8; 32] =
        sha2::Digest::finalize(sha2::Digest::chain_update(sha2::Sha256::default(), &der)).into();
    assert_eq!(files.read_authority(Some(sha256)).unwrap(), der);
    let error = files.read_authority(Some([0; 32])).unwrap_err();
    assert_eq!((error.cause().code.as_str(), error.exit_code()), ("AUTHORITY_DAMAGED", 7));
    let (message, hint) = crate::text::error(error.cause());
    assert!(message.contains("authority.pem") && hint.contains(&"00".repeat(32)), "{message} {hint}");
    let identity = Identity { authority_sha256: Some(sha256), ..files.read_identity().unwrap() };
    files.write_identity(&identity).unwrap();
    assert_eq!(files.read_identity().unwrap(), identity);
}

#[test]
fn an_enrolment_that_was_declined_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("new");
    let files = Home::new(&home);
    files.create().unwrap();
    files.write_authority(&rustls::pki_types::CertificateDer::from(vec![1])).unwrap();
    files.fresh_enrolment().unwrap();
    files.forget_enrolment().unwrap();
    assert!(!home.exists());
    // What else lies there is not ours.
    files.create().unwrap();
    files.fresh_enrolment().unwrap();
    std::fs::write(home.join("notes"), "mine").unwrap();
    files.forget_enrolment().unwrap();
    let left: Vec<_> = std::fs::read_dir(&home).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["notes"]);
}

#[test]
fn small_files_are_private_and_survive_damage() {
    let fixture = Fixture::new();
    let files = Home::new(&fixture.home);
    assert_eq!(files.interrupted_enrolment().unwrap(), None);
    let fresh = files.fresh_enrolment().unwrap();
    assert_eq!(files.interrupted_enrolment().unwrap(), Some(fresh), "an enrolment can be repeated");
    let mode = std::fs::metadata(fixture.home.join("key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let names = vec![wire::PersonName { person: 1, name: "Sri".into() }];
    let directory = Directory::from_page(wire::Directory { people: names });
    files.write_directory(&directory).unwrap();
    assert_eq!(files.read_directory().unwrap(), directory);
    let path = fixture.home.join("directory.json");
    std::fs::write(&path, std::fs::read_to_string(&path).unwrap().replace("Sri", "Sru")).unwrap();
    assert_eq!(files.read_directory().unwrap(), Directory::default());
    std::fs::write(fixture.home.join("key"), key(1).to_bytes()).unwrap();
    let device = fixture.open();
    assert_eq!(device.name_of(PersonId(1)), "#1");
    drop(device);

    std::fs::write(fixture.home.join("key"), [1; 31]).unwrap();
    let error = Device::open(&fixture.home, None).unwrap_err();
    assert_eq!((error.cause().code.as_str(), error.exit_code()), ("KEY_DAMAGED", 7));
    std::fs::write(fixture.home.join("identity.json"), "{\"office\":").unwrap();
    assert_eq!(Device::open(&fixture.home, None).unwrap_err().cause().code, "IDENTITY_DAMAGED");
}

#[tokio::test]
async fn without_a_server_nothing_is_queued_and_the_answer_is_quick() {
    use renaksi_domain::quarter::{PlanQuarter, QuarterCommand};
    use renaksi_domain::time::Quarter;
    use rustls::pki_types::CertificateDer;
    let fixture = Fixture::new();
    let mut device = fixture.open();
    // A root that is no certificate never gets as far as the network.
    device.home.write_authority(&CertificateDer::from(vec![1, 2, 3])).unwrap();
    let cell = PlanQuarter { year: 2024, quarter: Quarter::Q1 };
    let request = vec![(Command::Quarter(QuarterCommand::Request(cell)), Texts::default())];
    let error = device.submit(request, &mut |_| {}).await.unwrap_err();
    assert_eq!(error.cause().code, "AUTHORITY_DAMAGED");
    assert_eq!(device.outbox.last(), 0);
}

#[test]
fn an_index_is_made_when_it_is_asked_for_and_goes_with_the_device() {
    let mut fixture = Fixture::new();
    let mut device = fixture.open();
    let index = device.home.index();
    assert!(device.trail(&mut |_| {}).is_none(), "so few records are read as quickly");
    assert!(!index.exists());
    let size = device.replica.head().size;
    let about = About { actor: Some(PersonId(1)), ..About::default() };
    let made_by = |device: &Device| {
        let trail = device.trail_from(1, &mut |_| {}).unwrap();
        trail.positions(&about, size + 1, u64::MAX).unwrap().into_iter().filter(|at| *at > size).count()
    };
    assert_eq!(made_by(&device), 0);
    assert!(index.exists());
    // What is pulled afterwards is in the next answer.
    let page = fixture.server.say(1, vec![add("1"), add("2")]);
    device.receive(page).unwrap();
    assert_eq!(made_by(&device), 2);
    // Where no index can be, there is none, and that is no error.
    std::fs::remove_dir_all(&index).unwrap();
    std::fs::write(&index, b"in the way").unwrap();
    assert!(device.trail_from(1, &mut |_| {}).is_none());
    device.reset(true).unwrap();
    assert!(!index.exists());
}
