//! The figures of an indicator, where its entries are not kept.

use renaksi_domain::sum::Sum;
use renaksi_domain::tally::{Latest, QuarterTally, Tally};

use super::bytes::{Reader, Writer};
use crate::convert::DecodeError;

impl Writer {
    pub(super) fn tally(&mut self, tally: &Tally) {
        for quarter in tally.reported.iter().chain(&tally.verified) {
            // Most quarters of most indicators are empty, most of the time.
            let counted = (*quarter != QuarterTally::default()).then_some(quarter);
            self.option(counted, Self::quarter_tally);
        }
    }

    fn quarter_tally(&mut self, tally: &QuarterTally) {
        for count in [tally.count, tally.ratio_count, tally.quantity_count] {
            self.number(count.into());
        }
        for sum in [&tally.sum, &tally.numerator, &tally.denominator] {
            self.sum(sum);
        }
        self.option(tally.latest.as_ref(), |out, latest| {
            out.date(latest.on);
            out.number(latest.position);
            out.reading(&latest.reading);
        });
    }

    fn sum(&mut self, sum: &Sum) {
        let (millionths, by_scale) = sum.parts();
        self.signed((millionths >> 64) as i64);
        self.number(millionths as u64);
        by_scale.into_iter().for_each(|parts| self.number(parts.into()));
    }
}

impl Reader<'_> {
    pub(super) fn tally(&mut self) -> Result<Tally, DecodeError> {
        let mut quarter = |from: &mut Self| Ok(from.option(Self::quarter_tally)?.unwrap_or_default());
        let mut tally = Tally::default();
        tally.reported = self.four(&mut quarter)?;
        tally.verified = self.four(&mut quarter)?;
        Ok(tally)
    }

    fn quarter_tally(&mut self) -> Result<QuarterTally, DecodeError> {
        Ok(QuarterTally {
            count: self.small()?,
            ratio_count: self.small()?,
            quantity_count: self.small()?,
            sum: self.sum()?,
            numerator: self.sum()?,
            denominator: self.sum()?,
            latest: self.option(|from| {
                Ok(Latest { on: from.date()?, position: from.number()?, reading: from.reading()? })
            })?,
        })
    }

    fn sum(&mut self) -> Result<Sum, DecodeError> {
        let (high, low) = (self.signed()?, self.number()?);
        let mut by_scale = Sum::default().parts().1;
        for parts in &mut by_scale {
            *parts = self.small()?;
        }
        Ok(Sum::from_parts(i128::from(high) << 64 | i128::from(low), by_scale))
    }
}
