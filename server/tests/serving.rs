//! The server as the network meets it.

#![allow(clippy::unwrap_used)]

mod stage;

use std::time::Duration;

use ed25519_dalek::SigningKey;
use renaksi_ledger::{Log, LogOptions, Recorder};
use renaksi_proto::chain;
use renaksi_proto::wire::{self, enrolment_client::EnrolmentClient, sync_client::SyncClient};
use renaksi_server::authority;
use renaksi_server::data::Data;
use renaksi_server::people::invite;
use stage::network::*;
use stage::*;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use uuid::Uuid;

async fn health(channel: &Channel, service: &str) -> ServingStatus {
    let request = HealthCheckRequest { service: service.into() };
    HealthClient::new(channel.clone()).check(request).await.unwrap().into_inner().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_office_whose_disk_failed_does_not_say_that_it_serves() {
    let faults = Recorder::default();
    let options = LogOptions { disk: faults.clone().into(), ..LogOptions::default() };
    let mut stage = Stage::with(options).await;
    let served = serve(&mut stage, Duration::from_secs(5)).await;
    let channel = connect(&stage.data, served.address).await;
    for service in ["", "renaksi.wire.v1.Sync"] {
        assert_eq!(health(&channel, service).await, ServingStatus::Serving);
    }
    assert_eq!(readiness(served.web).await, ("200".into(), "ready".into()));
    faults.fail_sync(0);
    let push = proven(&stage.data, request(&[leaf("1")], 1));
    let refused = SyncClient::new(channel.clone()).push(push).await.unwrap_err();
    assert_eq!((refused.code(), cause(&refused).as_str()), (Code::Unavailable, "OFFICE_STOPPED"));
    for service in ["", "renaksi.wire.v1.Sync"] {
        let mut tries = 0;
        while health(&channel, service).await != ServingStatus::NotServing {
            tries += 1;
            assert!(tries < 100, "{service} still says SERVING");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    assert_eq!(
        readiness(served.web).await,
        ("503".into(), format!("stopped\noffice {OFFICE} does not serve: OFFICE_STOPPED"))
    );
    drop(channel);
    served.stop.send(()).unwrap();
    served.ended.await.unwrap().unwrap();
}

fn answer(data: &Data, invite: &str, key: &SigningKey, incarnation: u128) -> wire::EnrollRequest {
    let code = invite.rsplit_once('/').unwrap().1.split_once('#').unwrap().0.to_owned();
    let fingerprint = authority::load(&data.authority()).unwrap().fingerprint;
    let incarnation = Uuid::from_u128(incarnation);
    wire::EnrollRequest {
        proof: chain::sign_enroll(key, &fingerprint, &code, incarnation),
        code,
        device_key: key.verifying_key().to_bytes().to_vec(),
        incarnation: incarnation.as_bytes().to_vec(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_is_one_persons_and_nobody_is_read_at_length_before_they_are_known() {
    let mut stage = Stage::new().await;
    let invited = invite(stage.office(), "petugas-2", "auditor", None).await.unwrap();
    let served = serve(&mut stage, Duration::from_secs(5)).await;
    let mut enrolment = EnrolmentClient::new(connect(&stage.data, served.address).await);
    // The key of person 1 answers person 2's invite: refused, also under its own incarnation.
    for incarnation in [77, 2] {
        let taken = answer(&stage.data, &invited.text, &key(), incarnation);
        let refused = enrolment.enroll(taken).await.unwrap_err();
        assert_eq!((refused.code(), cause(&refused).as_str()), (Code::PermissionDenied, "KEY_IN_USE"));
    }
    // The invite is still open, to a key of its own; and a lost answer is given again.
    let own = SigningKey::from_bytes(&[5; 32]);
    for _ in 0..2 {
        let enrolled = enrolment.enroll(answer(&stage.data, &invited.text, &own, 78)).await.unwrap();
        let enrolled = enrolled.into_inner();
        assert_eq!((enrolled.person, enrolled.device, enrolled.origin), (2, 2, 2));
    }
    // Another's incarnation is never answered as one's own.
    let refused = enrolment.enroll(answer(&stage.data, &invited.text, &own, 2)).await.unwrap_err();
    assert_eq!(cause(&refused), "INVITE_USED");
    let long = wire::EnrollRequest { code: "x".repeat(20_000), ..Default::default() };
    assert_eq!(enrolment.enroll(long).await.unwrap_err().code(), Code::OutOfRange);
    drop(enrolment);
    served.stop.send(()).unwrap();
    served.ended.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_reads_nothing_does_not_keep_the_log_from_a_clean_stop() {
    let mut stage = Stage::new().await;
    let feed: Vec<_> =
        (0..200).map(|_| wire::Stored { leaf: vec![0xFF; 60_000], aside: Vec::new() }).collect();
    stage.push(request(&feed, 1)).await.unwrap();
    let id = stage.office().shared.id;
    let served = serve(&mut stage, Duration::from_millis(200)).await;
    let mut sync = SyncClient::new(connect(&stage.data, served.address).await);
    let unread = sync.pull(proven(&stage.data, wire::PullRequest::default())).await.unwrap();
    served.stop.send(()).unwrap();
    served.ended.await.unwrap().unwrap();
    assert_eq!(std::fs::read_dir(stage.data.office("snapshots")).unwrap().count(), 1);
    let (log, opened) = Log::open(&stage.data.office("log"), id).unwrap();
    assert_eq!((log.head().size, opened.kept_commits), (203, 0), "the head says exactly what is there");
    drop(unread);
}
