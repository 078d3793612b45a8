//! The figures of one indicator, kept current entry by entry so that nobody has to scan entries to answer.

use std::collections::BTreeSet;

use crate::entry::{Entry, Reading};
use crate::ids::Position;
use crate::sum::Sum;
use crate::time::{Date, Quarter};

/// What has been recorded in one quarter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuarterTally {
    /// Entries that count.
    pub count: u32,
    /// Of those, readings with numerator and denominator.
    pub ratio_count: u32,
    /// Of those, plain quantities.
    pub quantity_count: u32,
    /// Sum of the plain quantities.
    pub sum: Sum,
    pub numerator: Sum,
    pub denominator: Sum,
    /// The latest reading by (day, position of its record).
    pub latest: Option<Latest>,
}

/// The reading that stands for the quarter where later replaces earlier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latest {
    pub on: Date,
    /// The record that first counted the entry, which orders readings of one day.
    pub position: Position,
    pub reading: Reading,
}

/// Both figures of an indicator: everything reported, and what of it is verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub reported: [QuarterTally; 4],
    pub verified: [QuarterTally; 4],
    /// (day, slot) of every entry of the indicator: finds what stands when the latest reading goes. Slots grow with the
    /// position of the record that first counted the entry.
    pub(crate) by_day: BTreeSet<(Date, u32)>,
}

/// Which of the two figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    Reported,
    Verified,
}

impl Figure {
    /// Both.
    pub const ALL: [Figure; 2] = [Figure::Reported, Figure::Verified];
}

impl Tally {
    /// The quarters of one figure.
    pub fn of(&self, figure: Figure) -> &[QuarterTally; 4] {
        match figure {
            Figure::Reported => &self.reported,
            Figure::Verified => &self.verified,
        }
    }

    pub(crate) fn add(&mut self, figure: Figure, entry: &Entry) {
        self.quarter_mut(figure, entry.quarter).add(entry.position, entry.on, &entry.reading);
    }

    pub(crate) fn quarter_mut(&mut self, figure: Figure, quarter: Quarter) -> &mut QuarterTally {
        match figure {
            Figure::Reported => &mut self.reported[quarter.index()],
            Figure::Verified => &mut self.verified[quarter.index()],
        }
    }
}

impl QuarterTally {
    pub(crate) fn add(&mut self, position: Position, on: Date, reading: &Reading) {
        self.count += 1;
        match reading {
            Reading::Quantity(quantity) => {
                self.quantity_count += 1;
                self.sum.add(*quantity);
            }
            Reading::Ratio { numerator, denominator } => {
                self.ratio_count += 1;
                self.numerator.add(*numerator);
                self.denominator.add(*denominator);
            }
            Reading::Text(_) => {}
        }
        if self.latest.as_ref().is_none_or(|latest| (latest.on, latest.position) < (on, position)) {
            self.latest = Some(Latest { on, position, reading: reading.clone() });
        }
    }

    /// Takes a counted reading out again; answers whether it was the latest.
    #[must_use = "when true, another reading stands as the latest, or none does"]
    pub(crate) fn remove(&mut self, position: Position, reading: &Reading) -> bool {
        self.count = self.count.saturating_sub(1);
        match reading {
            Reading::Quantity(quantity) => {
                self.quantity_count = self.quantity_count.saturating_sub(1);
                self.sum.remove(*quantity);
            }
            Reading::Ratio { numerator, denominator } => {
                self.ratio_count = self.ratio_count.saturating_sub(1);
                self.numerator.remove(*numerator);
                self.denominator.remove(*denominator);
            }
            Reading::Text(_) => {}
        }
        self.latest.as_ref().is_some_and(|latest| latest.position == position)
    }
}
