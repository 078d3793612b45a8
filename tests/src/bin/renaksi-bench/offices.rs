//! Many offices on one server: what they cost in memory, and what the first call to a closed one waits.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use renaksi_domain::ids::Origin;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::serving::{DEVICE, Device, Server, channel, fingerprint, renaksid};
use crate::{Figure, asked, percentile};

mod making;

use making::Mould;

const OFFICES: usize = 1_000;
const RECORDS: usize = 10_000;
/// Calls to offices drawn at random, one in five of them a push.
const CALLS: usize = 5_000;
const AT_ONCE: usize = 8;

/// Runs the bench.
pub fn run() -> Vec<Figure> {
    let count = asked("--offices").unwrap_or(OFFICES);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let data = dir.path().join("data");
    let key = SigningKey::from_bytes(&[9; 32]);
    let mould = Mould::new(RECORDS, key.verifying_key().to_bytes());
    let ids = make(&data, &mould, count);
    let open = asked("--open").map(|open| open.to_string());
    let options = open.iter().flat_map(|open| ["--open-offices", open]);
    let server = Server::start(&data, &options.collect::<Vec<_>>());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(measure(&data, &server, &mould, &key, &ids))
}

/// A folder with so many offices beside the one that `init` made.
fn make(data: &Path, mould: &Mould, count: usize) -> Vec<Uuid> {
    renaksid(data, &["init", "--office", "Dinas Induk", "--operator", "operator-1"]);
    let offices = data.join("offices");
    let ids: Vec<Uuid> = (1..=count as u128).map(Uuid::from_u128).collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for part in ids.chunks(count.div_ceil(threads)) {
            let offices = &offices;
            scope.spawn(move || part.iter().for_each(|id| mould.write(offices, *id)));
        }
    });
    // What was made is what a server would have made.
    renaksid(data, &["check", "--office", &ids[0].to_string()]);
    ids
}

async fn measure(data: &Path, server: &Server, mould: &Mould, key: &SigningKey, ids: &[Uuid]) -> Vec<Figure> {
    let channel = channel(data, server).await;
    let fingerprint = fingerprint(data);
    let (sequence, head) = mould.device(Origin(DEVICE));
    let devices: Vec<Arc<Mutex<Device>>> = ids
        .iter()
        .map(|office| {
            let (key, channel) = (key.clone(), channel.clone());
            let number = DEVICE;
            let device =
                Device { office: *office, number, key, fingerprint, channel, token: None, sequence, head };
            Arc::new(Mutex::new(device))
        })
        .collect();

    tokio::time::sleep(Duration::from_secs(1)).await;
    let at_rest = server.megabytes("VmRSS");
    let mut seed = 7;
    let (mut closed, mut open) = (Vec::new(), Vec::new());
    for index in shuffled(devices.len(), &mut seed) {
        let mut device = devices[index].lock().await;
        closed.push(device.look().await);
        open.push(device.look().await);
    }
    let after_first = server.megabytes("VmRSS");
    let began = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for worker in 0..AT_ONCE {
        let devices = devices.clone();
        running.spawn(async move {
            let mut seed = worker as u64;
            for call in 0..CALLS / AT_ONCE {
                let mut device = devices[random(&mut seed, devices.len())].lock().await;
                match call % 5 {
                    0 => device.push(1).await,
                    _ => device.look().await,
                };
            }
        });
    }
    running.join_all().await;
    let rate = CALLS as f64 / began.elapsed().as_secs_f64();
    let figure = |case: &str, value, unit| Figure { case: case.into(), value, unit, baseline: None };
    let opening = percentile(&mut closed, 50);
    vec![
        figure("resident, no office used", at_rest, "MB"),
        figure("resident, each used once", after_first, "MB"),
        figure("resident, at the end", server.megabytes("VmRSS"), "MB"),
        figure("resident, peak", server.megabytes("VmHWM"), "MB"),
        Figure {
            case: "first call, median".into(),
            value: opening,
            unit: "ms",
            baseline: Some(("call to an open office", percentile(&mut open, 50))),
        },
        figure("first call, p99", percentile(&mut closed, 99), "ms"),
        figure("calls at random, 8 at once", rate, "calls/s"),
    ]
}

fn random(seed: &mut u64, below: usize) -> usize {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) as usize % below
}

fn shuffled(count: usize, seed: &mut u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    (1..count).for_each(|last| order.swap(last, random(seed, last + 1)));
    order
}
