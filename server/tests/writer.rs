//! The writer, given pushes as they come off the wire.

#![allow(clippy::unwrap_used)]

mod stage;

use ed25519_dalek::SigningKey;
use renaksi_proto::{chain, wire};
use stage::*;
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn r1_ten_times_at_once_is_one_record_and_one_receipt() {
    let stage = Stage::new().await;
    let feed = [leaf("12")];
    let answers = (0..10).map(|_| stage.push(request(&feed, 1)));
    let mut fresh = 0;
    for answer in futures_join(answers.collect()).await {
        let answer = answer.unwrap();
        assert_eq!(positions(&answer), [4]);
        fresh += usize::from(!answer.receipts[0].duplicate);
    }
    assert_eq!(fresh, 1);
    assert_eq!(stage.office().shared.reader.head().size, 4);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r3_a_gap_stores_nothing_and_says_what_comes_next() {
    let stage = Stage::new().await;
    let feed = [leaf("5"), leaf("7"), leaf("2")];
    for first in [3, 2] {
        let answer = stage.push(request(&feed, first)).await.unwrap();
        assert_eq!((answer.next_sequence, answer.receipts.len()), (1, 0));
    }
    assert_eq!(stage.office().shared.reader.head().size, 3);
    let answer = stage.push(request(&feed, 1)).await.unwrap();
    assert_eq!((answer.next_sequence, positions(&answer)), (4, vec![4, 5, 6]));
    // Whatever part of it comes again is answered with the same receipts.
    for (first, last) in [(1, 3), (2, 3), (1, 2), (1, 1), (3, 3)] {
        let again = stage.push(request(&feed[..last], first)).await.unwrap();
        assert_eq!(positions(&again), (u64::from(first) + 3..=last as u64 + 3).collect::<Vec<_>>());
        assert!(again.receipts.iter().all(|receipt| receipt.duplicate));
    }
    // And what overlaps goes on.
    let longer = [leaf("5"), leaf("7"), leaf("2"), leaf("9")];
    let answer = stage.push(request(&longer, 2)).await.unwrap();
    let duplicates: Vec<bool> = answer.receipts.iter().map(|receipt| receipt.duplicate).collect();
    assert_eq!((positions(&answer), duplicates), (vec![5, 6, 7], vec![true, true, false]));
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_another_command_under_a_taken_sequence_is_a_fork() {
    let stage = Stage::new().await;
    stage.push(request(&[leaf("12"), leaf("1")], 1)).await.unwrap();
    let forks = [vec![leaf("15"), leaf("1")], vec![leaf("15")], vec![leaf("15"), leaf("1"), leaf("3")]];
    for fork in forks {
        let fault = stage.push(request(&fork, 1)).await.unwrap_err();
        assert_eq!(fault.code(), "DEVICE_FORKED");
    }
    let fault = stage.push(request(&[leaf("12"), leaf("2"), leaf("3")], 3)).await.unwrap_err();
    assert_eq!(fault.code(), "DEVICE_FORKED");
    assert_eq!(stage.office().shared.reader.head().size, 5);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_device_did_not_sign_is_not_stored() {
    let stage = Stage::new().await;
    let feed = [leaf("12")];
    let mut other_command = request(&feed, 1);
    other_command.commands = vec![leaf("13")];
    let mut other_key = request(&feed, 1);
    let stranger = SigningKey::from_bytes(&[8; 32]);
    other_key.chain_signature = chain::sign_push(&stranger, OFFICE, INCARNATION, 1, &chain_over(&feed));
    let mut other_office = request(&feed, 1);
    other_office.chain_signature =
        chain::sign_push(&key(), Uuid::from_u128(7), INCARNATION, 1, &chain_over(&feed));
    for forged in [other_command, other_key, other_office] {
        assert_eq!(stage.push(forged).await.unwrap_err().code(), "PUSH_SIGNATURE_INVALID");
    }
    let mut unknown = request(&feed, 1);
    unknown.origin = 5;
    assert_eq!(stage.push(unknown).await.unwrap_err().code(), "UNKNOWN_ORIGIN");
    assert_eq!(stage.office().shared.reader.head().size, 3);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_command_are_refused_and_kept_and_nothing_behind_them_waits() {
    let stage = Stage::new().await;
    let garbage = wire::Stored { leaf: vec![0xFF; 40], aside: Vec::new() };
    let answer = stage.push(request(&[leaf("1"), garbage, leaf("2")], 1)).await.unwrap();
    let codes: Vec<_> =
        answer.receipts.iter().map(|receipt| receipt.cause.as_ref().unwrap().code.as_str()).collect();
    assert_eq!(codes, ["ROLE_MAY_NOT", "UNREADABLE", "ROLE_MAY_NOT"]);
    stage.end().await;
}
