//! Checkpoints: never two that disagree, over restarts, restores and changed records.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use common::*;
use ed25519_dalek::SigningKey;
use renaksi_ledger::{
    Checkpoint, CheckpointError, Error, Head, Log, LogProof, LogReader, Op, ProofError, Recorder, SignError,
    SignedCheckpoint, Signer, Tree, check_signed, verify_consistency,
};
use tempfile::TempDir;

fn key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

fn signer(reader: &LogReader) -> Result<Signer, SignError> {
    Signer::open(reader, OFFICE.office, key())
}

/// What only looks, says the same.
fn looked(reader: &LogReader) -> Result<Option<Checkpoint>, SignError> {
    check_signed(reader, OFFICE.office, &key().verifying_key())
}

fn at(dir: &Path) -> LogReader {
    LogReader::open_read_only(dir, &OFFICE).unwrap()
}

#[test]
fn each_checkpoint_continues_the_one_before_also_over_restarts() {
    let dir = folder();
    let mut log = Log::create(dir.path(), OFFICE, 1).unwrap();
    let mut before: Option<SignedCheckpoint> = None;
    for seed in 0..40 {
        log.append(&entries(seed, 17)).unwrap();
        let mut signer = signer(&log.reader()).unwrap();
        assert_eq!(signer.last(), before.as_ref());
        let signed = signer.sign().unwrap().clone();
        let checkpoint = signed.checkpoint();
        assert_eq!((checkpoint.size, checkpoint.root), (log.head().size, log.head().root));
        let stored = fs::read_to_string(dir.path().join("checkpoint")).unwrap();
        let opened = SignedCheckpoint::open(&stored, OFFICE.office, &key().verifying_key()).unwrap();
        assert_eq!(opened, signed);
        if let Some(before) = before.map(|before| before.checkpoint()) {
            let path = signer.tree().consistency(before.size, checkpoint.size).unwrap();
            assert!(verify_consistency(before.size, &before.root, checkpoint.size, &checkpoint.root, &path));
        }
        // The same head: the same bytes again.
        assert_eq!(signer.sign().unwrap(), &signed);
        assert_eq!(looked(&log.reader()).unwrap(), Some(checkpoint));
        before = Some(signed);
    }
}

#[test]
fn one_signature_is_enough_for_all_who_asked_before_it() {
    let dir = folder();
    let mut log = Log::create(dir.path(), OFFICE, 1).unwrap();
    let mut signer = signer(&log.reader()).unwrap();
    assert_eq!(signer.covering(0).unwrap().checkpoint().size, 0);
    log.append(&entries(1, 3)).unwrap();
    let head = log.append(&entries(2, 2)).unwrap();
    assert_eq!(signer.covering(3).unwrap().checkpoint().size, 5);
    assert_eq!(signer.covering(5).unwrap().checkpoint().root, head.root);
    log.append(&entries(3, 2)).unwrap();
    assert_eq!(signer.covering(5).unwrap().checkpoint().size, 5);
    assert_eq!(signer.covering(6).unwrap().checkpoint().size, 7);
    log.begin_epoch(2).unwrap();
    assert_eq!(signer.covering(6).unwrap().checkpoint().epoch, 2);
}

#[test]
fn an_empty_log_can_be_signed() {
    let dir = folder();
    let log = Log::create(dir.path(), OFFICE, 1).unwrap();
    assert_eq!(signer(&log.reader()).unwrap().sign().unwrap().checkpoint().size, 0);
    assert_eq!(signer(&log.reader()).unwrap().last().unwrap().checkpoint().size, 0);
}

/// A log of six records of which all were signed; and an older copy of it, of three, with what was signed.
fn restored() -> (TempDir, SignedCheckpoint) {
    let dir = folder();
    let mut log = Log::create(dir.path(), OFFICE, 1).unwrap();
    log.append(&entries(1, 3)).unwrap();
    let backup = copy(dir.path());
    log.append(&entries(2, 3)).unwrap();
    let signed = signer(&log.reader()).unwrap().sign().unwrap().clone();
    fs::copy(dir.path().join("checkpoint"), backup.path().join("checkpoint")).unwrap();
    (backup, signed)
}

#[test]
fn a_log_shorter_than_its_checkpoint_is_not_signed() {
    let (dir, signed) = restored();
    let error = signer(&at(dir.path())).unwrap_err();
    assert_eq!(looked(&at(dir.path())).unwrap_err().to_string(), error.to_string());
    assert!(
        matches!(&error, SignError::Behind { signed: s, log, .. } if **s == signed.checkpoint() && log.size == 3)
    );
    let root = |size: u64| {
        let reader = at(dir.path());
        let root = if size == 3 { reader.head().root } else { signed.checkpoint().root };
        root.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    assert_eq!(
        error.to_string(),
        format!(
            "the log in {} ends at position 3 of epoch 1 with root {}, but a checkpoint was signed at position 6 of \
             epoch 1 with root {}: signed records are missing; restore them from a backup or a replica, or open a \
             new epoch with a reason",
            dir.path().display(),
            root(3),
            root(6)
        )
    );
}

#[test]
fn another_history_is_not_signed_whatever_its_length() {
    for count in [3, 4, 300] {
        let (dir, signed) = restored();
        let (mut log, _) = Log::open(dir.path(), OFFICE).unwrap();
        log.append(&entries(99, count)).unwrap();
        let error = signer(&log.reader()).unwrap_err();
        assert_eq!(looked(&log.reader()).unwrap_err().to_string(), error.to_string());
        assert!(
            matches!(&error, SignError::Contradicts { signed: s, .. } if **s == signed.checkpoint()),
            "{error}"
        );
        assert!(error.to_string().contains(&signed.checkpoint().to_string()), "{error}");
        assert_eq!(fs::read_to_string(dir.path().join("checkpoint")).unwrap(), signed.note());
    }
}

#[test]
fn a_new_epoch_is_signed_for_itself() {
    let (dir, signed) = restored();
    let (mut log, _) = Log::open(dir.path(), OFFICE).unwrap();
    log.begin_epoch(2).unwrap();
    log.append(&entries(7, 1)).unwrap();
    assert_eq!(looked(&log.reader()).unwrap(), None);
    let mut signer = signer(&log.reader()).unwrap();
    let second = signer.sign().unwrap().checkpoint();
    assert_eq!((second.epoch, second.size), (2, 4));
    drop(signer);
    // The folder of epoch 1 with the checkpoint of epoch 2: records are missing again.
    let (old, _) = restored();
    fs::copy(dir.path().join("checkpoint"), old.path().join("checkpoint")).unwrap();
    let error = self::signer(&at(old.path())).unwrap_err();
    assert!(matches!(&error, SignError::Behind { signed, .. } if **signed == second), "{error}");
    assert_ne!(second.epoch, signed.checkpoint().epoch);
}

#[test]
fn what_the_disk_holds_is_signed_and_nothing_else() {
    let dir = folder();
    let mut log = Log::create(dir.path(), OFFICE, 1).unwrap();
    log.append(&entries(1, 3)).unwrap();
    let mut signer = signer(&log.reader()).unwrap();
    signer.sign().unwrap();
    log.append(&[entry("as it was decided")]).unwrap();
    let path = &segments(dir.path())[0];
    let mut bytes = fs::read(path).unwrap();
    let leaf = bytes.windows(9).position(|window| window == b"as it was").unwrap();
    bytes[leaf] = b'A';
    fs::write(path, bytes).unwrap();
    let error = signer.sign().unwrap_err();
    assert!(matches!(error, SignError::Log(Error::Damaged { position: 4, .. })), "{error:?}");
    assert_eq!(signer.last().unwrap().checkpoint().size, 3);
}

#[test]
fn a_damaged_file_of_what_was_signed_stops_the_signing() {
    let dir = folder();
    let mut log = Log::create(dir.path(), OFFICE, 1).unwrap();
    log.append(&entries(1, 3)).unwrap();
    signer(&log.reader()).unwrap().sign().unwrap();
    let path = dir.path().join("checkpoint");
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&path, bytes).unwrap();
        let error = signer(&log.reader()).unwrap_err();
        assert!(matches!(error, SignError::Damaged { .. }), "byte {at}: {error}");
        fs::write(&path, &whole[..at]).unwrap();
        assert!(matches!(signer(&log.reader()), Err(SignError::Damaged { .. })), "cut at {at}");
    }
    fs::write(&path, &whole).unwrap();
    let other = Signer::open(&log.reader(), OFFICE.office, SigningKey::from_bytes(&[1; 32])).unwrap_err();
    let SignError::Damaged { source: CheckpointError::OtherKey(_), .. } = other else { panic!("{other}") };
}

#[test]
fn a_checkpoint_is_durable_before_it_is_given_and_one_that_is_not_is_not_given() {
    let dir = folder();
    let mut log = Log::create(dir.path(), OFFICE, 1).unwrap();
    let disk = Recorder::default();
    let mut signer = Signer::open_on(disk.clone().into(), &log.reader(), OFFICE.office, key()).unwrap();
    disk.record();
    let note = signer.sign().unwrap().note().to_owned();
    let (new, kept) = (dir.path().join("checkpoint.new"), dir.path().join("checkpoint"));
    let expected = [
        Op::Create(new.clone()),
        Op::Write { path: new.clone(), offset: 0, bytes: note.clone().into_bytes() },
        Op::Sync(new.clone()),
        Op::Rename { from: new, to: kept.clone() },
        Op::SyncDir(dir.path().to_owned()),
    ];
    assert_eq!(disk.ops(), expected);

    log.append(&entries(1, 3)).unwrap();
    type Plan = fn(&Recorder);
    let plans: [Plan; 4] = [
        |disk| disk.fail_write(0, 0),
        |disk| disk.fail_write(0, 40),
        |disk| disk.fail_sync(0),
        |disk| disk.fail_sync(1),
    ];
    for plan in plans {
        plan(&disk);
        assert!(matches!(signer.sign(), Err(SignError::Log(Error::Io { .. }))));
        assert_eq!(signer.last().unwrap().note(), note);
        // Whichever of the two is there after a crash, it is whole and the log goes with it.
        assert!([0, 3].contains(&looked(&log.reader()).unwrap().unwrap().size));
    }
    assert_eq!(signer.sign().unwrap().checkpoint().size, 3);
}

#[test]
fn a_proof_is_checked_with_the_public_key_and_the_record_alone() {
    let dir = folder();
    let mut log = Log::create(dir.path(), OFFICE, 1).unwrap();
    log.append(&entries(1, 300)).unwrap();
    let signed = signer(&log.reader()).unwrap().sign().unwrap().clone();
    let tree = Tree::open(&log.reader()).unwrap();
    let public = key().verifying_key();
    for position in [1, 2, 256, 257, 300] {
        let leaf = log.reader().record(position).unwrap().unwrap().leaf;
        let path = tree.inclusion(position, 300).unwrap();
        let proof =
            LogProof { position, leaf: Some(leaf.clone()), path, checkpoint: signed.note().to_owned() };
        let text = proof.to_string();
        assert!(text.starts_with("c2sp.org/tlog-proof@v1\nextra "));
        assert!(text.contains(&format!("\nindex {}\n", position - 1)));
        let read = LogProof::parse(&text).unwrap();
        assert_eq!(read, proof);
        assert_eq!(read.verify(None, OFFICE.office, &public).unwrap(), signed.checkpoint());
        let bare = LogProof::parse(&LogProof { leaf: None, ..proof.clone() }.to_string()).unwrap();
        assert_eq!(bare.verify(Some(&leaf), OFFICE.office, &public).unwrap(), signed.checkpoint());
        assert_eq!(bare.verify(None, OFFICE.office, &public), Err(ProofError::NoLeaf(position)));
        let other = LogProof { position: position % 300 + 1, ..proof };
        assert!(matches!(other.verify(None, OFFICE.office, &public), Err(ProofError::NotIncluded { .. })));
        // Each character of the text that is replaced makes it no proof, or proves nothing.
        for at in (0..text.len())
            .step_by(7)
            .filter(|at| text.is_char_boundary(*at) && text.is_char_boundary(at + 1))
        {
            let changed = format!("{}#{}", &text[..at], &text[at + 1..]);
            let holds =
                LogProof::parse(&changed).is_ok_and(|read| read.verify(None, OFFICE.office, &public).is_ok());
            assert!(!holds, "byte {at}");
        }
    }
}

#[test]
fn a_note_that_is_shown_is_held_against_the_log() {
    let (dir, signed) = restored();
    let reader = at(dir.path());
    let signer = Signer::open_unchecked(&reader, OFFICE.office, key()).unwrap();
    assert!(matches!(signer.check(), Err(SignError::Behind { .. })));
    assert_eq!(signer.read(signed.note()).unwrap(), signed);
    assert!(!signer.holds(&signed.checkpoint()).unwrap(), "the log is shorter");
    let Head { size, root, epoch } = reader.head();
    let head = Checkpoint { office: OFFICE.office, epoch, size, root };
    assert!(signer.holds(&head).unwrap());
    assert!(!signer.holds(&Checkpoint { root: [7; 32], ..head }).unwrap(), "another history");
    // Also where no commit ends.
    let root = signer.tree().root(2).unwrap();
    assert!(signer.holds(&Checkpoint { size: 2, root, ..head }).unwrap());
    let other = Signer::open_unchecked(&reader, OFFICE.office, key()).unwrap();
    let forged = signed.note().replacen("\n6\n", "\n7\n", 1);
    assert!(matches!(other.read(&forged), Err(CheckpointError::BadSignature(_))));
}

#[test]
fn in_a_new_epoch_a_log_that_was_behind_is_signed_again() {
    let (dir, before) = restored();
    let (mut log, _) = Log::open(dir.path(), OFFICE).unwrap();
    log.begin_epoch(2).unwrap();
    log.append(&entries(7, 1)).unwrap();
    let mut signer = signer(&log.reader()).unwrap();
    let signed = signer.sign().unwrap().clone();
    assert_eq!((signed.checkpoint().epoch, signed.checkpoint().size), (2, 4));
    assert!(!signer.holds(&before.checkpoint()).unwrap());
    log.append(&entries(8, 3)).unwrap();
    let next = signer.sign().unwrap().checkpoint();
    let path = signer.tree().consistency(4, next.size).unwrap();
    assert!(verify_consistency(4, &signed.checkpoint().root, next.size, &next.root, &path));
}
