//! What the server signed, and an epoch that ended.

use super::*;

#[test]
fn a_checkpoint_is_kept_when_the_replica_is_what_it_signs_and_never_taken_back() {
    let mut fixture = Fixture::new();
    let (mut other, before) = office();
    let mut pages = before.clone();
    let (own, stranger) = (|| key(90), || key(91));
    let mut device = fixture.open();
    let code = |error: ClientError| (error.exit_code(), error.cause().code.clone());
    let contradicts = (7, "LOG_CONTRADICTS_CHECKPOINT".to_owned());
    let invalid = (7, "CHECKPOINT_INVALID".to_owned());

    // A log that is shorter than the replica, or another one of its length.
    assert_eq!(code(device.offered(&signs(own(), &pages[..2])).unwrap_err()), contradicts);
    let last = pages.len() - 1;
    pages[last].records[0].leaf.push(0);
    assert_eq!(code(device.offered(&signs(own(), &pages)).unwrap_err()), contradicts);
    pages.clone_from(&before);
    device.keep(None).unwrap();
    assert_eq!(device.identity().log_key, None);

    let offered = device.offered(&signs(own(), &pages)).unwrap();
    device.keep(Some(offered)).unwrap();
    let kept = device.checkpoint.clone().unwrap();
    assert_eq!(device.identity().log_key, Some(own().verifying_key().to_bytes()));
    drop(device);

    // From here on it is this key, this log, and no less of it.
    let mut device = fixture.open();
    assert_eq!(device.checkpoint.as_ref(), Some(&kept));
    assert_eq!(code(device.offered(&signs(stranger(), &pages)).unwrap_err()), invalid);
    assert_eq!(code(device.offered(&signs(own(), &[])).unwrap_err()), contradicts);
    assert_eq!(code(device.keep(None).unwrap_err()), invalid);

    // A commit that is not the one that was signed is refused before it is taken.
    let next = fixture.server.say(0, vec![Command::People(PeopleCommand::AddPerson(AddPerson))]);
    let foreign = other.say(0, vec![assign(1, Role::Auditor)]);
    pages.push(next.clone());
    let offered = device.offered(&signs(own(), &pages)).unwrap();
    let size = kept.checkpoint().size + 1;
    assert_eq!(code(offered.agrees_with(size, &foreign.root_after).unwrap_err()), contradicts);
    assert_eq!(code(offered.agrees_with(size + 1, &next.root_after).unwrap_err()), contradicts);
    offered.agrees_with(size, &next.root_after).unwrap();
    // Nor is it kept before the replica is there.
    assert_eq!(code(device.keep(Some(offered)).unwrap_err()), contradicts);
    assert_eq!(device.checkpoint.as_ref(), Some(&kept));
    let offered = device.offered(&signs(own(), &pages)).unwrap();
    device.receive(next).unwrap();
    device.keep(Some(offered)).unwrap();
    assert_eq!(device.checkpoint.as_ref().map(|signed| signed.checkpoint().size), Some(size));
}

#[test]
fn a_device_whose_epoch_ended_goes_back_keeps_what_it_had_and_offers_its_own_again() {
    let mut fixture = Fixture::new();
    let (mut server, mut pages) = office();
    let mut device = fixture.open();
    let own = || key(90);
    ["1", "2", "3"].iter().for_each(|n| drop(device.record(add(n), Texts::default()).unwrap()));
    let leaves: Vec<Leaf> = device
        .outbox
        .commands(1)
        .map(|command| command.map(|(_, entry)| Leaf { leaf: entry.leaf, aside: entry.aside }).unwrap())
        .collect();
    // Two of them were received and signed for, the third was received.
    let lost = fixture.server.push(1, &leaves[..2]);
    let with_lost = [&pages[..], std::slice::from_ref(&lost)].concat();
    let offered = device.offered(&signs(own(), &with_lost)).unwrap();
    device.receive(lost).unwrap();
    device.keep(Some(offered)).unwrap();
    let held = device.checkpoint.clone().unwrap().checkpoint();
    device.receive(fixture.server.push(1, &leaves[2..])).unwrap();
    assert_eq!((device.unsent_sequence(), device.view().pending.len()), (4, 0));

    // The server of before goes on in another epoch.
    let (size, root) = (server.fold.state.position, server.tree.root());
    let ended = |root: &[u8]| Rejected::new("EPOCH_ENDED").with("size", size).with("root", hex(root));
    let began = BeginEpoch { epoch: 2, reason: "x".into(), size, root, seen: None };
    let begun = server.say(0, vec![Command::People(PeopleCommand::BeginEpoch(Box::new(began)))]);
    // What a crash left of an earlier try.
    std::fs::create_dir(fixture.home.join("replica.new")).unwrap();
    device.leave_epoch(&ended(&root)).unwrap();
    assert_eq!((device.replica.head().size, device.replica.head().root), (size, root));
    assert_eq!((device.unsent_sequence(), device.view().pending.len()), (1, 3));
    let batch = device.outbox.batch(1, 3, device.unsent().unwrap().chain, Limits::MAX).unwrap();
    let old = device.old_records(&batch).unwrap();
    assert_eq!((old.len(), old[0].records.len()), (1, 2));
    for record in &old[0].records {
        let path: Vec<Hash> = record.path.iter().map(|hash| hash.as_slice().try_into().unwrap()).collect();
        let (read, _) = decode_record(&record.leaf).unwrap();
        assert!(verify_inclusion(&leaf_hash(&record.leaf), read.position, held.size, &path, &held.root));
    }
    assert_eq!(device.limits(1).unwrap().commands, OFFERED_MAX);
    assert_eq!(device.limits(4).unwrap().commands, Limits::MAX.commands);

    // No epoch is believed of which no record tells.
    pages.push(begun.clone());
    let silent = device.offered(&signs_in(2, own(), &pages[..pages.len() - 1])).unwrap();
    assert_eq!(device.keep(Some(silent)).unwrap_err().cause().code, "LOG_CONTRADICTS_CHECKPOINT");
    let offered = device.offered(&signs(own(), &pages)).unwrap();
    device.receive(begun).unwrap();
    device.keep(Some(offered)).unwrap();
    drop(device);
    let mut device = fixture.open();
    assert_eq!((device.replica.head().epoch, device.replica.head().size), (2, size + 1));
    let report = device.verify().unwrap();
    assert_eq!((report.first_bad, report.epochs.len()), (None, 1));

    // Where the epochs are not one log up to there, all of it is pulled again.
    device.leave_epoch(&ended(&[7; 32])).unwrap();
    assert_eq!(device.replica.head().size, 0);
    assert_eq!(device.leave_epoch(&Rejected::new("EPOCH_ENDED")).unwrap_err().cause().code, "BAD_ANSWER");
    let asides = (1..=2).filter(|n| fixture.home.join(format!("replica-set-aside-{n}/offers.json")).exists());
    assert_eq!(asides.count(), 2);
}
