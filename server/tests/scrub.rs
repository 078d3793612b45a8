//! FAULTS L2, of what opening an office does not read: damage is met behind it, or by a device that asks for the record.

#![allow(clippy::unwrap_used)]

mod stage;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use renaksi_domain::hash::state_hash;
use renaksi_domain::people::{AddUnit, PeopleCommand};
use renaksi_ledger::LogOptions;
use renaksi_proto::clock::Clock;
use renaksi_proto::wire::{self, sync_client::SyncClient};
use renaksi_server::check::{check, list};
use renaksi_server::office::Office;
use renaksi_server::people::host_error;
use stage::network::*;
use stage::*;
use tonic::{Code, Status};

/// Commands of the office's device, in several segments.
const COMMANDS: usize = 100;

async fn long_log() -> (Stage, Vec<wire::Stored>) {
    let stage = Stage::with(LogOptions { segment_bytes: 16_384, ..LogOptions::default() }).await;
    let feed: Vec<_> = (0..COMMANDS).map(|number| leaf(&number.to_string())).collect();
    for end in (5..=COMMANDS).step_by(5) {
        stage.push(request(&feed[..end], u32::try_from(end - 4).unwrap())).await.unwrap();
    }
    (stage, feed)
}

async fn close(stage: &mut Stage) {
    let office = stage.office.take().unwrap();
    tokio::task::block_in_place(|| office.close());
}

fn first_segment(stage: &Stage) -> PathBuf {
    stage.data.office("log/segment-00000000000000000001.log")
}

/// Changes a byte of the first segment's first record. Answers what was there.
fn damage(stage: &Stage) -> Vec<u8> {
    let whole = fs::read(first_segment(stage)).unwrap();
    let mut damaged = whole.clone();
    damaged[12_288 + 40] ^= 1;
    fs::write(first_segment(stage), damaged).unwrap();
    whole
}

#[tokio::test(flavor = "multi_thread")]
async fn l2_damage_that_opening_does_not_read_is_met_behind_it_and_stops_the_writes() {
    let (mut stage, mut feed) = long_log().await;
    let live = state_hash(&stage.office().shared.durable().unwrap().state);
    close(&mut stage).await;
    let whole = damage(&stage);
    feed.push(leaf("1"));
    // A new start finds it again.
    for _ in 0..2 {
        stage.office = Some(Office::open(&stage.data, Clock::Fixed(NOW)).unwrap());
        let mut stopped = stage.office().shared.watch_stopped();
        stopped.wait_for(Option::is_some).await.unwrap();
        let refused = stage.push(request(&feed, COMMANDS as u32 + 1)).await.unwrap_err();
        let refused = Status::from(refused);
        assert_eq!((refused.code(), refused.message()), (Code::DataLoss, "LOG_DAMAGED position=1"));
        let unit = AddUnit { name: "Bidang".into() };
        let refused = stage.office().host(Box::new(move |_| vec![PeopleCommand::AddUnit(unit)])).await;
        let error = host_error(refused.unwrap_err());
        assert_eq!((error.code().as_str(), error.exit_code()), ("LOG_DAMAGED", 7));
        let told = error.whole();
        assert!(
            told.contains("segment-00000000000000000001.log is damaged at byte 12288, position 1:"),
            "{told}"
        );
        assert!(error.hint().contains("restore"), "{}", error.hint());
        // What was folded while it was whole is still read.
        assert_eq!(state_hash(&stage.office().shared.durable().unwrap().state), live);
        close(&mut stage).await;
    }
    fs::write(first_segment(&stage), whole).unwrap();
    stage.office = Some(Office::open(&stage.data, Clock::Fixed(NOW)).unwrap());
    stage.push(request(&feed, COMMANDS as u32 + 1)).await.unwrap();
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l2_everybody_is_told_of_the_damage() {
    let (mut stage, mut feed) = long_log().await;
    close(&mut stage).await;
    damage(&stage);
    stage.office = Some(Office::open(&stage.data, Clock::Fixed(NOW)).unwrap());
    let served = serve(&mut stage, Duration::from_secs(5)).await;
    let mut sync = SyncClient::new(connect(&stage.data, served.address).await);
    // Whoever calls first opens the office.
    let far = wire::PullRequest { position: 1_000, epoch: 1, ..Default::default() };
    assert_eq!(cause(&sync.pull(proven(&stage.data, far)).await.unwrap_err()), "LOG_BEHIND");
    let mut tries = 0;
    while readiness(served.web).await.0 != "503" {
        tries += 1;
        assert!(tries < 500, "it still says that it serves");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let told = readiness(served.web).await.1;
    assert_eq!(told, format!("stopped\noffice {OFFICE} does not serve: LOG_DAMAGED"));
    assert_eq!(list(&stage.data).await.unwrap()[0].state, "LOG_DAMAGED");
    let error = check(&stage.data).await.map(drop).unwrap_err();
    assert_eq!((error.code().as_str(), error.exit_code()), ("LOG_DAMAGED", 7));
    assert!(error.whole().contains("is damaged at byte 12288, position 1:"), "{}", error.whole());
    feed.push(leaf("1"));
    let push = proven(&stage.data, request(&feed, COMMANDS as u32 + 1));
    let refused = sync.push(push).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::DataLoss, "LOG_DAMAGED position=1"));
    drop(sync);
    served.stop.send(()).unwrap();
    served.ended.await.unwrap().unwrap();
}

/// The log is one segment, which nobody reads again by himself. Before it is signed the signer reads it, then the pull does.
#[tokio::test(flavor = "multi_thread")]
async fn l2_a_pull_that_meets_damage_stops_the_writes() {
    for signed in [false, true] {
        let mut stage = Stage::new().await;
        let served = serve(&mut stage, Duration::from_secs(5)).await;
        let mut sync = SyncClient::new(connect(&stage.data, served.address).await);
        let feed = [leaf("1")];
        sync.push(proven(&stage.data, request(&feed, 1))).await.unwrap();
        let mut pull = async || {
            let pulled = sync.pull(proven(&stage.data, wire::PullRequest::default())).await;
            let mut pages = pulled.unwrap().into_inner();
            loop {
                match pages.message().await {
                    Ok(None) => return Ok(()),
                    Ok(Some(_)) => {}
                    Err(status) => return Err(status.message().to_owned()),
                }
            }
        };
        if signed {
            pull().await.unwrap();
        }
        damage(&stage);
        assert_eq!(pull().await.unwrap_err(), "LOG_DAMAGED position=1", "signed before: {signed}");
        let push = proven(&stage.data, request(&[leaf("1"), leaf("2")], 2));
        let refused = sync.push(push).await.unwrap_err();
        assert_eq!(refused.message(), "LOG_DAMAGED position=1", "signed before: {signed}");
        drop(sync);
        served.stop.send(()).unwrap();
        served.ended.await.unwrap().unwrap();
    }
}
