//! The figures of one indicator, kept current entry by entry so that nobody has to scan entries to answer.

use rust_decimal::Decimal;

use crate::entry::Reading;
use crate::quantity::Quantity;
use crate::time::{Date, Quarter};

/// What has been recorded in one quarter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuarterTally {
    /// Entries that count.
    pub count: u32,
    /// Of those, readings with numerator and denominator.
    pub ratio_count: u32,
    /// Sum of plain quantities.
    pub sum: Decimal,
    pub numerator: Decimal,
    pub denominator: Decimal,
    /// The latest reading by (day, position of its record).
    pub latest: Option<Latest>,
}

/// The reading that stands for the quarter where later replaces earlier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latest {
    pub on: Date,
    /// Slot of the entry; slots grow with the position of the record that first counted.
    pub slot: u32,
    pub reading: Reading,
}

/// Both figures of an indicator: everything reported, and what of it is verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub reported: [QuarterTally; 4],
    pub verified: [QuarterTally; 4],
}

/// Which of the two figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    Reported,
    Verified,
}

impl Tally {
    /// The quarters of one figure.
    pub fn of(&self, figure: Figure) -> &[QuarterTally; 4] {
        match figure {
            Figure::Reported => &self.reported,
            Figure::Verified => &self.verified,
        }
    }

    pub(crate) fn quarter_mut(&mut self, figure: Figure, quarter: Quarter) -> &mut QuarterTally {
        match figure {
            Figure::Reported => &mut self.reported[quarter.index()],
            Figure::Verified => &mut self.verified[quarter.index()],
        }
    }
}

impl QuarterTally {
    pub(crate) fn add(&mut self, slot: u32, on: Date, reading: &Reading) {
        self.count += 1;
        self.shift(reading, plus);
        self.ratio_count += u32::from(matches!(reading, Reading::Ratio { .. }));
        if self.latest.as_ref().is_none_or(|latest| (latest.on, latest.slot) < (on, slot)) {
            self.latest = Some(Latest { on, slot, reading: reading.clone() });
        }
    }

    /// Takes a counted reading out again. Answers whether the quarter must be counted anew: the latest reading went,
    /// or perhaps the one that gave a sum its decimals.
    #[must_use = "when true, count the quarter anew from the entries that still count"]
    pub(crate) fn remove(&mut self, slot: u32, reading: &Reading) -> bool {
        let gave_decimals = match reading {
            Reading::Quantity(quantity) => gives_decimals(self.sum, *quantity),
            Reading::Ratio { numerator, denominator } => {
                gives_decimals(self.numerator, *numerator) || gives_decimals(self.denominator, *denominator)
            }
            Reading::Text(_) => false,
        };
        self.count = self.count.saturating_sub(1);
        self.shift(reading, |sum, part| plus(sum, -part));
        self.ratio_count -= u32::from(matches!(reading, Reading::Ratio { .. })).min(self.ratio_count);
        gave_decimals || self.latest.as_ref().is_some_and(|latest| latest.slot == slot)
    }

    fn shift(&mut self, reading: &Reading, by: impl Fn(Decimal, Decimal) -> Decimal) {
        match reading {
            Reading::Quantity(quantity) => self.sum = by(self.sum, quantity.as_decimal()),
            Reading::Ratio { numerator, denominator } => {
                self.numerator = by(self.numerator, numerator.as_decimal());
                self.denominator = by(self.denominator, denominator.as_decimal());
            }
            Reading::Text(_) => {}
        }
    }
}

/// A sum is printed with the decimals of its most exact part, in whatever order the parts came.
pub(crate) fn plus(sum: Decimal, part: Decimal) -> Decimal {
    let mut total = sum.saturating_add(part);
    // `Decimal` knows a zero below zero; nobody else does.
    if total.is_zero() {
        total.set_sign_positive(true);
    }
    let scale = sum.scale().max(part.scale());
    if total.scale() != scale {
        total.rescale(scale);
    }
    total
}

fn gives_decimals(sum: Decimal, part: Quantity) -> bool {
    let scale = part.as_decimal().scale();
    scale > 0 && scale == sum.scale()
}
