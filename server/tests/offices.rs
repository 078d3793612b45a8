//! Which offices are open.

#![allow(clippy::unwrap_used)]

mod stage;

use std::fs;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use renaksi_domain::time::Zone;
use renaksi_ledger::{LogOptions, Recorder};
use renaksi_proto::clock::Clock;
use renaksi_server::data::Data;
use renaksi_server::error::ServerError;
use renaksi_server::founding::Founding;
use renaksi_server::office::Office;
use renaksi_server::offices::{Offices, Settings};
use renaksi_server::people::invite;
use stage::*;
use tokio::sync::oneshot;
use uuid::Uuid;

/// So many offices, the first of them that of the stage, and room for two that are open.
async fn several(
    stage: &mut Stage,
    count: usize,
    more: impl FnOnce(&mut Settings),
) -> (Arc<Offices>, Vec<Uuid>) {
    let office = stage.office.take().unwrap();
    tokio::task::block_in_place(|| office.close());
    let mut settings = Settings {
        open_max: NonZeroU16::new(2).unwrap(),
        played: Clock::Fixed(NOW),
        log: stage.options.clone(),
        ..Settings::default()
    };
    more(&mut settings);
    let offices = Offices::new(&stage.data, settings).unwrap();
    let mut ids = vec![OFFICE];
    for number in 1..count {
        let founding = Founding {
            name: format!("Dinas {number}"),
            zone: Zone::Jakarta,
            operator: "operator-1".into(),
            rehearsal: true,
        };
        ids.push(offices.add(founding).await.unwrap().0);
    }
    (offices, ids)
}

fn open(offices: &Offices, ids: &[Uuid]) -> Vec<usize> {
    let states = offices.states();
    let is_open = |id: &Uuid| states.iter().any(|(known, state)| known == id && state == "open");
    (0..ids.len()).filter(|index| is_open(&ids[*index])).collect()
}

fn segment(data: &Data) -> PathBuf {
    let mut names = fs::read_dir(data.office("log")).unwrap().map(|entry| entry.unwrap().path());
    names.find(|path| path.extension().is_some_and(|extension| extension == "log")).unwrap()
}

fn size(office: &Office) -> u64 {
    office.shared.reader.head().size
}

#[tokio::test(flavor = "multi_thread")]
async fn first_calls_at_once_open_an_office_once() {
    let mut stage = Stage::new().await;
    let (offices, ids) = several(&mut stage, 2, |_| {}).await;
    let calls = (0..20).map(|_| offices.get(ids[1]));
    let opened: Vec<Arc<Office>> =
        futures_join(calls.collect()).await.into_iter().map(Result::unwrap).collect();
    assert!(opened.iter().all(|office| Arc::ptr_eq(office, &opened[0])));
    // A caller who hangs up while the office is opened leaves it open, and nobody in the way.
    let hung_up = tokio::time::timeout(Duration::from_micros(1), offices.get(ids[0])).await;
    assert!(hung_up.is_err() || hung_up.is_ok_and(|opened| opened.is_ok()));
    assert_eq!(size(&offices.get(ids[0]).await.unwrap()), 3);
    let stranger = offices.get(Uuid::from_u128(99)).await.unwrap_err();
    assert!(matches!(stranger, ServerError::UnknownOffice { .. }));
    offices.close_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_least_recently_used_is_closed_and_never_one_that_is_held() {
    let mut stage = Stage::new().await;
    let (offices, ids) = several(&mut stage, 4, |_| {}).await;
    let pause = || tokio::time::sleep(Duration::from_millis(5));
    for (used, still_open) in [(0, [0, 0]), (1, [0, 1]), (2, [1, 2]), (1, [1, 2]), (3, [1, 3])] {
        drop(offices.get(ids[used]).await.unwrap());
        pause().await;
        let mut wanted = still_open.to_vec();
        wanted.dedup();
        assert_eq!(open(&offices, &ids), wanted, "after office {used}");
    }
    let held = offices.get(ids[1]).await.unwrap();
    for used in [3, 0, 2] {
        drop(offices.get(ids[used]).await.unwrap());
        assert_eq!(open(&offices, &ids), if used == 0 { vec![0, 1] } else { vec![1, used] });
    }
    // With all of them held, the next call waits until one is let go.
    let other = offices.get(ids[2]).await.unwrap();
    let third = offices.get(ids[0]);
    let release = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(open(&offices, &ids), [1, 2]);
        drop(other);
    };
    let (third, ()) = tokio::join!(third, release);
    assert_eq!((size(&third.unwrap()), size(&held)), (3, 3));
    offices.close_all().await;
    assert!(matches!(offices.get(ids[3]).await, Err(ServerError::Stopped)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_when_the_office_is_opened_again() {
    let mut stage = Stage::new().await;
    let (offices, ids) = several(&mut stage, 6, |_| {}).await;
    for round in 0..3 {
        for id in &ids {
            let office = offices.get(*id).await.unwrap();
            let before = size(&office);
            invite(&office, &format!("auditor-{round}"), "auditor", None).await.unwrap();
            assert_eq!(size(&office), before + 2);
        }
    }
    // A call that hangs up leaves its command in the queue; closing the office records it first.
    let office = offices.get(ids[1]).await.unwrap();
    let act = Box::new(|_: &renaksi_domain::State| {
        std::thread::sleep(Duration::from_millis(50));
        Vec::new()
    });
    let _ = tokio::time::timeout(Duration::from_millis(1), office.host(act)).await;
    let _ = tokio::time::timeout(Duration::from_millis(1), invite(&office, "last", "auditor", None)).await;
    drop(office);
    for id in [ids[2], ids[3], ids[4]] {
        offices.get(id).await.unwrap();
    }
    assert!(!open(&offices, &ids).contains(&1));
    let expected = |index: usize| if index == 1 { 3 + 6 + 2 } else { 3 + 6 };
    for (index, id) in ids.iter().enumerate() {
        assert_eq!(size(&offices.get(*id).await.unwrap()), expected(index), "office {index}");
    }
    offices.close_all().await;
    // Another server may have the folder now, and finds the same.
    let offices = Offices::new(&stage.data, Settings::default()).unwrap();
    assert_eq!((offices.count(), size(&offices.get(ids[5]).await.unwrap())), (6, 9));
    offices.close_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_damaged_is_its_own_trouble() {
    let mut stage = Stage::new().await;
    let (offices, ids) = several(&mut stage, 3, |_| {}).await;
    let file = segment(&stage.data.added(ids[1]));
    let whole = fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    damaged[12_288 + 40] ^= 1;
    fs::write(&file, &damaged).unwrap();
    for _ in 0..3 {
        let error = offices.get(ids[1]).await.unwrap_err();
        assert_eq!((error.code().as_str(), error.exit_code()), ("LOG_DAMAGED", 7));
        // It takes no room from the others.
        let (first, third) = tokio::join!(offices.get(ids[0]), offices.get(ids[2]));
        assert!(first.is_ok() && third.is_ok());
    }
    assert_eq!(fs::read(&file).unwrap(), damaged, "the file is as it was");
    assert_eq!(offices.failing().into_iter().collect::<Vec<_>>(), [(ids[1], "LOG_DAMAGED".to_owned())]);
    assert!(offices.serves());
    // Restored, it is served without a new start.
    fs::write(&file, &whole).unwrap();
    assert_eq!(size(&offices.get(ids[1]).await.unwrap()), 3);
    assert!(offices.failing().is_empty());
    offices.close_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_disk_failed_stays_stopped_and_gives_its_room_to_others() {
    let faults = Recorder::default();
    let options = LogOptions { disk: faults.clone().into(), ..LogOptions::default() };
    let mut stage = Stage::with(options).await;
    let (offices, ids) = several(&mut stage, 4, |_| {}).await;
    let office = offices.get(ids[0]).await.unwrap();
    faults.fail_sync(0);
    assert!(invite(&office, "auditor-1", "auditor", None).await.is_err());
    drop(office);
    for id in [ids[1], ids[2], ids[3], ids[1]] {
        assert_eq!(size(&offices.get(id).await.unwrap()), 3);
    }
    assert!(matches!(offices.get(ids[0]).await, Err(ServerError::Stopped)));
    assert_eq!(offices.failing().into_iter().collect::<Vec<_>>(), [(ids[0], "OFFICE_STOPPED".to_owned())]);
    assert!(offices.serves());
    offices.close_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_nobody_uses_is_closed_after_a_while() {
    let mut stage = Stage::new().await;
    let idle = |settings: &mut Settings| settings.idle_max = Duration::from_millis(100);
    let (offices, ids) = several(&mut stage, 2, idle).await;
    let (stop, asked) = oneshot::channel::<()>();
    let keeper = tokio::spawn(Arc::clone(&offices).keep(async { asked.await.unwrap_or_default() }));
    let held = offices.get(ids[0]).await.unwrap();
    drop(offices.get(ids[1]).await.unwrap());
    let mut looks = 0;
    while open(&offices, &ids) != [0] {
        looks += 1;
        assert!(looks < 200, "still open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(held);
    stop.send(()).unwrap();
    keeper.await.unwrap();
    offices.close_all().await;
}
