//! What the index has yet to learn: the queue between the writer and the index thread. The writer never waits for room in
//! it. What does not fit is forgotten, and the index thread reads it from the log, which has it all.
//!
//! However many commits came while the index thread wrote, it takes them as one: under load the batches grow, not the
//! queue.

use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};

use renaksi_domain::ids::Position;
use renaksi_ledger::Head;

use crate::office_index::Run;

/// Runs that may wait, half a megabyte; one commit may be larger.
pub const RUNS_MAX: usize = 20_000;

/// What became durable since the index thread last looked.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Learned {
    /// The last position before it.
    pub after: Position,
    pub runs: Vec<Run>,
    /// None where nothing did, or where it did not fit.
    pub head: Option<Head>,
}

/// What the index thread has to do.
#[derive(Debug, Default)]
pub struct Work {
    pub learned: Learned,
    /// Some of what became durable did not fit.
    pub skipped: bool,
    /// The index lacks what the log has.
    pub rebuild: bool,
    /// Who waits until the index is at the log's head.
    pub questions: Vec<mpsc::Sender<()>>,
}

#[derive(Debug, Default)]
struct Waiting {
    work: Work,
    /// Somebody asked the index. Until then it need not learn anything.
    asked: bool,
    writer_gone: bool,
    index_gone: bool,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    woken: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Every change is whole before anything can panic.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writer's end.
#[derive(Debug)]
pub struct Unindexed(Arc<Queue>);

/// The index thread's end.
#[derive(Debug)]
pub struct Follower(Arc<Queue>);

/// A queue that nothing waits in.
pub fn queue() -> (Unindexed, Follower) {
    let queue = Arc::<Queue>::default();
    (Unindexed(Arc::clone(&queue)), Follower(queue))
}

impl Unindexed {
    /// Tells what a commit held, once it is durable. `after` is the last position before it.
    pub fn commit(&self, after: Position, runs: Vec<Run>, head: Head) {
        let mut waiting = self.0.lock();
        if !waiting.asked || waiting.index_gone {
            return;
        }
        let Work { learned, skipped, .. } = &mut waiting.work;
        if *skipped || (learned.head.is_some() && learned.runs.len() + runs.len() > RUNS_MAX) {
            (*learned, *skipped) = (Learned::default(), true);
        } else {
            if learned.head.is_none() {
                learned.after = after;
            }
            learned.head = Some(head);
            runs.into_iter().for_each(|run| run.add_to(&mut learned.runs));
        }
        drop(waiting);
        self.0.woken.notify_one();
    }

    /// Waits until the index is at the log's head, or gone.
    pub fn catch_up(&self) {
        let (reached, wait) = mpsc::channel();
        self.ask(|work| work.questions.push(reached));
        // Without an answer the index thread is gone, and the index says what it knows.
        let _ = wait.recv();
    }

    /// Has the index built anew; does not wait for it.
    pub fn rebuild(&self) {
        self.ask(|work| work.rebuild = true);
    }

    fn ask(&self, what: impl FnOnce(&mut Work)) {
        let mut waiting = self.0.lock();
        if !waiting.index_gone {
            waiting.asked = true;
            what(&mut waiting.work);
        }
        drop(waiting);
        self.0.woken.notify_one();
    }
}

impl Drop for Unindexed {
    fn drop(&mut self) {
        self.0.lock().writer_gone = true;
        self.0.woken.notify_one();
    }
}

impl Follower {
    /// Waits for something to do; None once the writer is gone and everything was done.
    pub fn next(&self) -> Option<Work> {
        let idle = |waiting: &mut Waiting| {
            let Work { learned, skipped, rebuild, questions } = &waiting.work;
            let nothing = learned.head.is_none() && !skipped && !rebuild && questions.is_empty();
            nothing && !waiting.writer_gone
        };
        let waiting = self.0.woken.wait_while(self.0.lock(), idle);
        let work = mem::take(&mut waiting.unwrap_or_else(PoisonError::into_inner).work);
        let nothing = work.learned.head.is_none() && !work.skipped && !work.rebuild;
        (!nothing || !work.questions.is_empty()).then_some(work)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        waiting.index_gone = true;
        // Whoever waits is let go.
        waiting.work = Work::default();
    }
}

#[cfg(test)]
mod tests {
    use renaksi_domain::ids::Origin;

    use super::*;

    fn head(size: u64) -> Head {
        Head { size, ..Head::empty(1) }
    }

    fn run(first: u64, length: u32) -> Run {
        Run { origin: Origin(1), first_sequence: first as u32, first_position: first, length }
    }

    /// One question, answered, so that commits are told.
    fn asked() -> (Unindexed, Follower) {
        let (unindexed, follower) = queue();
        unindexed.rebuild();
        assert!(follower.next().unwrap().rebuild);
        (unindexed, follower)
    }

    #[test]
    fn nothing_is_kept_for_an_index_that_nobody_asks() {
        let (unindexed, follower) = queue();
        unindexed.commit(0, vec![run(1, 1)], head(1));
        drop(unindexed);
        assert!(follower.next().is_none());
    }

    #[test]
    fn commits_that_came_meanwhile_are_one() {
        let (unindexed, follower) = asked();
        unindexed.commit(4, vec![run(5, 2)], head(6));
        unindexed.commit(6, vec![run(7, 1)], head(7));
        let work = follower.next().unwrap();
        assert_eq!(work.learned, Learned { after: 4, runs: vec![run(5, 3)], head: Some(head(7)) });
        unindexed.commit(7, Vec::new(), head(8));
        let learned = Learned { after: 7, runs: Vec::new(), head: Some(head(8)) };
        assert_eq!(follower.next().unwrap().learned, learned);
        drop(unindexed);
        assert!(follower.next().is_none());
    }

    #[test]
    fn what_does_not_fit_is_forgotten_and_said() {
        let (unindexed, follower) = asked();
        // Every second sequence: no two make one run.
        let many = |from: u64| (0..RUNS_MAX as u64 / 2).map(|n| run(from + 2 * n, 1)).collect::<Vec<_>>();
        unindexed.commit(0, many(1), head(20_000));
        unindexed.commit(20_000, many(20_001), head(40_000));
        unindexed.commit(40_000, vec![run(90_000, 1)], head(40_001));
        unindexed.commit(40_001, vec![run(90_002, 1)], head(40_002));
        let work = follower.next().unwrap();
        assert!(work.skipped);
        assert_eq!(work.learned, Learned::default());
        // It goes on as if nothing had been.
        unindexed.commit(40_002, vec![run(95_000, 1)], head(40_003));
        let work = follower.next().unwrap();
        assert_eq!((work.skipped, work.learned.after, work.learned.runs.len()), (false, 40_002, 1));
    }

    #[test]
    fn whoever_waits_is_let_go_when_the_index_thread_is_gone() {
        let (unindexed, follower) = asked();
        drop(follower);
        unindexed.catch_up();
        unindexed.commit(0, vec![run(1, 1)], head(1));
    }
}
