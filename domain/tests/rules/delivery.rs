//! However the commands of several devices are delivered, and however often, the office is the same; and what a moment of
//! the log said stays what it said.

use std::collections::BTreeMap;

use proptest::prelude::*;
use renaksi_domain::command::{Outcome, Record, apply, decide};
use renaksi_domain::figures::{Period, line};
use renaksi_domain::hash::state_hash;
use renaksi_domain::ids::{CommandKey, Origin};
use renaksi_domain::proposal::Kind;
use renaksi_domain::state::State;
use renaksi_domain::time::{Quarter, Timestamp};
use renaksi_domain::{Code, Envelope};

use crate::history::{play, steps};
use crate::office::Office;

/// What a server does with what devices send: the next sequence only, duplicates answered with the first receipt.
#[derive(Default)]
pub struct Server {
    pub state: State,
    pub records: Vec<Record>,
    receipts: BTreeMap<CommandKey, Outcome>,
}

impl Server {
    /// One command; `None` when another has to come before it, and nothing is stored.
    pub fn receive(&mut self, envelope: &Envelope, now: Timestamp) -> Option<Outcome> {
        let key = envelope.key();
        if envelope.origin != Origin::HOST {
            if let Some(first) = self.receipts.get(&key) {
                return Some(first.clone());
            }
            let known = self.state.people.incarnation(envelope.origin);
            if known.map_or(0, |known| known.last_sequence) + 1 != envelope.sequence {
                return None;
            }
        }
        let outcome = decide(&self.state, envelope, now);
        let position = self.records.len() as u64 + 1;
        let record = Record {
            position,
            time: now,
            carrier: None,
            envelope: envelope.clone(),
            outcome: outcome.clone(),
        };
        apply(&mut self.state, &record);
        self.records.push(record);
        self.receipts.insert(key, outcome.clone());
        Some(outcome)
    }
}

/// A delivery with repeats of what came before, and with batches that come too early.
fn deliver(office: &Office, noise: &[(u8, u8)]) -> Result<Server, TestCaseError> {
    let mut server = Server::default();
    let signed: Vec<&Record> = office.records.iter().filter(|r| r.envelope.origin != Origin::HOST).collect();
    let mut noise = noise.iter().cycle();
    for record in &office.records {
        let (kind, which) = noise.next().copied().unwrap_or_default();
        match kind % 4 {
            // The reply was lost and a stretch is sent again, from anywhere, by anyone.
            0 => {
                let known = signed.iter().take_while(|earlier| earlier.position < record.position);
                for again in known.skip(usize::from(which)).take(usize::from(kind)) {
                    let answer = server.receive(&again.envelope, record.time);
                    prop_assert_eq!(answer.as_ref(), Some(&again.outcome));
                }
            }
            // A batch whose beginning was cut off.
            1 => {
                let later = signed.iter().find(|later| {
                    later.position > record.position && later.envelope.origin.0 == 1 + u32::from(which % 10)
                });
                let next = |origin: Origin| {
                    server.state.people.incarnation(origin).map_or(0, |known| known.last_sequence) + 1
                };
                if let Some(early) =
                    later.filter(|early| early.envelope.sequence > next(early.envelope.origin))
                {
                    prop_assert_eq!(server.receive(&early.envelope, record.time), None);
                }
            }
            _ => {}
        }
        let answer = server.receive(&record.envelope, record.time);
        prop_assert_eq!(answer.as_ref(), Some(&record.outcome));
    }
    Ok(server)
}

/// Every figure of every indicator as it is printed.
pub fn figures(state: &State, kinds: &[Kind]) -> Vec<String> {
    let mut all = Vec::new();
    let told = |kind: Kind| kinds.contains(&kind);
    for indicator in state.indicators.iter().filter(|i| i.settings.iter().all(|s| told(s.kind))) {
        let periods = Quarter::ALL.into_iter().flat_map(|q| [Period::Quarter(q), Period::ToDate(q)]);
        for period in periods.chain([Period::Year]) {
            let line = line(state, indicator, period);
            all.push(format!("{} {period:?} {:?} {:?}", indicator.code, line.basis, line.rating));
        }
    }
    all
}

pub const ALL_KINDS: [Kind; 5] = [Kind::Sum, Kind::Cumulative, Kind::Latest, Kind::Average, Kind::Ratio];

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cuts_repeats_and_early_batches_change_nothing(
        steps in steps(120),
        noise in proptest::collection::vec(any::<(u8, u8)>(), 1..40),
    ) {
        let office = play(&steps);
        let server = deliver(&office, &noise)?;
        prop_assert_eq!(server.records.len(), office.records.len(), "nothing is lost or doubled");
        prop_assert!(server.state == office.state);
        prop_assert_eq!(state_hash(&server.state), state_hash(&office.state));
    }

    /// Whoever synchronises first: what several officers counted adds up to the same.
    #[test]
    fn the_order_of_devices_does_not_move_a_count(
        work in proptest::collection::vec((0_usize..4, 0_usize..3, 1_u8..50, 1_u8..28, any::<u8>()), 1..60),
        order in proptest::collection::vec(0_usize..4, 240),
    ) {
        let officers = ["ayu", "ayu2", "budi", "kabid"];
        let mut queues: [Vec<String>; 4] = Default::default();
        for (who, what, quantity, day, turn) in &work {
            let queue = &mut queues[*who];
            let on = format!("2024-05-{day:02}");
            let name = officers[*who];
            let number = queue.len();
            // Mostly a new count; now and then the officer's last one is corrected or taken back, in the device's order.
            match (turn % 6, number) {
                (0, 1..) => queue.push(format!("{name} amend {name}/{number}@{name}/{number} {quantity} {on}")),
                (1, 1..) => queue.push(format!("{name} void {name}/{number}@{name}/{number}")),
                _ => queue.push(format!("{name} add {} {quantity} {on}", ["uttp", "asn", "laporan"][*what])),
            }
        }
        let play = |order: &[usize]| {
            let mut office = Office::established();
            office.at("2024-06-01 08:00");
            let mut queues = queues.clone().map(|queue| queue.into_iter());
            for which in order.iter().copied().chain(0..4).chain([0, 1, 2, 3].repeat(60)) {
                if let Some(words) = queues[which].next() {
                    office.ask(&words);
                }
            }
            office
        };
        let (one, other) = (play(&[]), play(&order));
        prop_assert_eq!(one.records.len(), other.records.len());
        let counts = [Kind::Sum, Kind::Cumulative];
        prop_assert_eq!(figures(&one.state, &counts), figures(&other.state, &counts));
    }

    /// As-of: the fold to a position is the same whether it was reached in one go or kept on the way.
    #[test]
    fn the_state_at_every_position_is_that_of_a_fresh_fold(steps in steps(60)) {
        let office = play(&steps);
        let mut kept = State::default();
        for (at, record) in office.records.iter().enumerate() {
            apply(&mut kept, record);
            // A fresh fold costs a whole replay; every seventh position and the last are looked at.
            if at % 7 == 0 || at + 1 == office.records.len() {
                let mut fresh = State::default();
                office.records[..=at].iter().for_each(|record| apply(&mut fresh, record));
                prop_assert!(fresh == kept);
                prop_assert_eq!(state_hash(&fresh), state_hash(&kept));
                prop_assert_eq!(figures(&fresh, &ALL_KINDS), figures(&kept, &ALL_KINDS));
            }
        }
    }

    /// What a lock froze is shown until the next lock of the same quarter, whatever happens meanwhile.
    #[test]
    fn what_a_lock_froze_stays(steps in steps(160)) {
        let office = play(&steps);
        let mut state = State::default();
        let mut frozen: BTreeMap<(u32, u8), String> = BTreeMap::new();
        for record in &office.records {
            apply(&mut state, record);
            let Some(plan) = state.plans.first() else { continue };
            for quarter in Quarter::ALL {
                let now = plan.quarters[quarter.index()];
                for id in &plan.indicators {
                    let key = (id.0, quarter.number());
                    let indicator = state.indicator(*id).unwrap();
                    let shown = |lock: renaksi_domain::quarter::Lock| {
                        let both = [Period::Quarter(quarter), Period::ToDate(quarter)];
                        let lines = both.map(|period| line(&state, indicator, period));
                        format!("{} {lines:?}", lock.at)
                    };
                    match now.lock() {
                        None => drop(frozen.remove(&key)),
                        // Added after the lock: nothing was frozen of it.
                        Some(_) if indicator.frozen[quarter.index()].is_none() => {}
                        Some(lock) => {
                            let told = shown(lock);
                            let before = frozen.entry(key).or_insert_with(|| told.clone());
                            prop_assert_eq!(&*before, &told);
                        }
                    }
                }
            }
        }
    }

    /// What is refused changes nothing but how far its device has come; what is held is kept beside.
    #[test]
    fn what_is_not_recorded_changes_no_figure(steps in steps(120)) {
        let office = play(&steps);
        let mut state = State::default();
        for record in &office.records {
            let before = state.clone();
            apply(&mut state, record);
            if matches!(record.outcome, Outcome::Recorded(_)) {
                continue;
            }
            let mut after = state.clone();
            (after.position, after.time) = (before.position, before.time);
            after.people = before.people.clone();
            if let Outcome::Held(cause) = &record.outcome {
                prop_assert!(cause.code != Code::RoleMayNot);
                prop_assert!(after.held.remove(&record.envelope.key()).is_some());
                // Derived from the held work: made anew without it.
                after.rebuild_derived();
            }
            prop_assert!(after == before, "{:?}", record);
        }
    }
}
