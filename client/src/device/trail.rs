//! The index beside the replica: which records are about an entry, an indicator or a person. It is made when it is first
//! asked for and is behind by what was pulled since; it catches up before it answers. Without it every record is read,
//! and the answer is the same.

use std::path::Path;
use std::time::Duration;

use renaksi_domain::ids::{CommandKey, IndicatorId, PersonId, Position};
use renaksi_ledger::{IndexError, LogId, LogReader, OPEN_WAIT_MAX, Postings, Subject as Posted, Table};
use renaksi_proto::trail::{self, Subject};

use super::{Device, Progress};

/// Below so many records reading them all (9 µs each) is about as quick as opening sled and walking it (10 ms).
const WORTH_RECORDS: Position = 5_000;

/// Entries of one device share a list by 64: most records name one, and a row for each would be most of the index.
const ENTRIES: Table = Table { number: 1, tag_bits: 6 };
const INDICATORS: Table = Table { number: 2, tag_bits: 0 };
const ACTORS: Table = Table { number: 3, tag_bits: 0 };
/// What has to be looked at although its record does not name the subject.
const UNNAMED: Table = Table { number: 4, tag_bits: 0 };

/// What records are asked for; all of what is named has to hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct About {
    pub entry: Option<CommandKey>,
    pub indicator: Option<IndicatorId>,
    pub actor: Option<PersonId>,
}

impl About {
    /// True when it is about anything in particular.
    pub fn names_anything(&self) -> bool {
        *self != About::default()
    }
}

/// The index of a replica, as far as the replica.
#[derive(Debug)]
pub struct Trail(Postings);

impl Trail {
    /// Opens what is in `dir` and brings it up to the log. One that cannot be used is set aside and built anew.
    ///
    /// # Errors
    /// When not even an empty one can be made, or the log cannot be read.
    pub fn open(
        dir: &Path,
        id: &LogId,
        reader: &LogReader,
        wait_max: Duration,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Trail, IndexError> {
        let (postings, aside) = Postings::open(dir, id, trail::VERSION, wait_max)?;
        if let Some(aside) = aside {
            tracing::warn!(to = %aside.to.display(), cause = %aside.cause, "the index is built anew");
        }
        let subjects = |leaf: &[u8], found: &mut Vec<Posted>| {
            found.extend(trail::subjects(leaf).into_iter().map(posted));
        };
        let mut tell = |done, total| progress(Progress::Indexed { done, total });
        postings.follow(reader, &subjects, &mut tell).map(Trail)
    }

    /// The records from `first` to `last` that may be about it, ascending, none of them left out; before `first` those
    /// without which later ones could not be told.
    ///
    /// # Errors
    /// When the index does not answer.
    pub fn positions(
        &self,
        about: &About,
        first: Position,
        last: Position,
    ) -> Result<Vec<Position>, IndexError> {
        let anything = self.0.positions(posted(Subject::Anything))?;
        let before = anything.iter().copied().filter(|at| *at < first && *at <= last);
        if !about.names_anything() {
            return Ok(before.chain(first..=last).collect());
        }
        let mut named: Option<Vec<Position>> = None;
        for list in self.lists(about)? {
            named = Some(match named {
                None => list,
                Some(named) => {
                    named.into_iter().filter(|position| list.binary_search(position).is_ok()).collect()
                }
            });
        }
        let named = union(named.unwrap_or_default(), anything.clone());
        let within = named.into_iter().filter(|position| (first..=last).contains(position));
        Ok(before.chain(within).collect())
    }

    /// One list for each thing that is named.
    fn lists(&self, about: &About) -> Result<Vec<Vec<Position>>, IndexError> {
        let of = |subject| self.0.positions(posted(subject));
        let mut lists = Vec::new();
        if let Some(entry) = about.entry {
            lists.push(of(Subject::Entry(entry))?);
        }
        if let Some(indicator) = about.indicator {
            lists.push(union(of(Subject::Indicator(indicator))?, of(Subject::SomeIndicator)?));
        }
        if let Some(actor) = about.actor {
            lists.push(of(Subject::Actor(actor))?);
        }
        Ok(lists)
    }
}

impl Device {
    /// The index of the replica, brought up to it; none where reading the whole replica is as quick, or where the index
    /// cannot be had.
    pub fn trail(&self, progress: &mut dyn FnMut(Progress)) -> Option<Trail> {
        self.trail_from(WORTH_RECORDS, progress)
    }

    pub(super) fn trail_from(
        &self,
        worth_records: Position,
        progress: &mut dyn FnMut(Progress),
    ) -> Option<Trail> {
        let reader = self.replica();
        if reader.head().size < worth_records {
            return None;
        }
        let id = super::replica::id(&self.identity);
        let opened = Trail::open(&self.home.index(), &id, &reader, OPEN_WAIT_MAX, progress);
        opened.inspect_err(not_answering).ok()
    }
}

/// Says why the whole replica is read.
pub(crate) fn not_answering(error: &IndexError) {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "the index does not answer; every record is read"
    );
}

/// Both lists in one, each position once.
fn union(mut some: Vec<Position>, others: Vec<Position>) -> Vec<Position> {
    some.extend(others);
    // Two ascending runs, which is what this sort is quick with.
    some.sort();
    some.dedup();
    some
}

fn posted(subject: Subject) -> Posted {
    let (table, key, tag) = match subject {
        Subject::Entry(CommandKey { origin, sequence }) => {
            let key = u64::from(origin.0) << 32 | u64::from(sequence >> ENTRIES.tag_bits);
            (ENTRIES, key, (sequence % (1 << ENTRIES.tag_bits)) as u8)
        }
        Subject::Indicator(id) => (INDICATORS, u64::from(id.0), 0),
        Subject::Actor(person) => (ACTORS, u64::from(person.0), 0),
        Subject::SomeIndicator => (UNNAMED, 1, 0),
        Subject::Anything => (UNNAMED, 2, 0),
    };
    Posted { table, key, tag }
}
