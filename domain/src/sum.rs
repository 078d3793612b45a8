//! Sums of quantities from which a part can be taken out again.

use std::{fmt, iter};

use rust_decimal::Decimal;

use crate::quantity::Quantity;
use crate::quotient::Quotient;

/// An exact sum. It is printed with the decimals of its most exact part, in whatever order the parts came and went.
///
/// Not a [`Decimal`]: that does not know which part gave it its decimals, and its arithmetic was a third of a fold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// 2^32 quantities are less than 2^103 of them.
    millionths: i128,
    /// How many parts were written with 0, 1, … 6 decimals.
    by_scale: [u32; Quantity::SCALE_MAX as usize + 1],
}

impl Sum {
    pub(crate) fn add(&mut self, part: Quantity) {
        let (millionths, scale) = millionths(part);
        self.millionths += millionths;
        self.by_scale[scale] = self.by_scale[scale].saturating_add(1);
    }

    /// Takes out a part that is in it.
    pub(crate) fn remove(&mut self, part: Quantity) {
        let (millionths, scale) = millionths(part);
        self.millionths -= millionths;
        self.by_scale[scale] = self.by_scale[scale].saturating_sub(1);
    }

    /// The sum in millionths, and how many parts were written with 0, 1, … 6 decimals. For keeping it.
    pub fn parts(&self) -> (i128, [u32; Quantity::SCALE_MAX as usize + 1]) {
        (self.millionths, self.by_scale)
    }

    /// A sum that was kept by its [`Sum::parts`].
    pub fn from_parts(millionths: i128, by_scale: [u32; Quantity::SCALE_MAX as usize + 1]) -> Sum {
        Sum { millionths, by_scale }
    }

    /// The value, with the decimals of the most exact part. Ends where [`Decimal`] does, which is beyond 79 million
    /// of the largest quantities.
    pub fn decimal(&self) -> Decimal {
        let scale = self.by_scale.iter().rposition(|parts| *parts > 0).unwrap_or(0);
        let mantissa = self.millionths / i128::from(to_millionths(scale));
        let end = if self.millionths < 0 { Decimal::MIN } else { Decimal::MAX };
        Decimal::try_from_i128_with_scale(mantissa, scale as u32).unwrap_or(end)
    }
}

fn millionths(part: Quantity) -> (i128, usize) {
    let (mantissa, scale) = part.parts();
    let scale = usize::from(scale);
    (i128::from(mantissa) * i128::from(to_millionths(scale)), scale)
}

/// What makes a mantissa of that scale millionths.
fn to_millionths(scale: usize) -> i64 {
    const POWERS: [i64; Quantity::SCALE_MAX as usize + 1] = [1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
    POWERS[scale]
}

impl<'a> iter::Sum<&'a Sum> for Sum {
    fn sum<I: Iterator<Item = &'a Sum>>(sums: I) -> Sum {
        sums.fold(Sum::default(), |mut total, sum| {
            total.millionths += sum.millionths;
            for (parts, more) in total.by_scale.iter_mut().zip(sum.by_scale) {
                *parts = parts.saturating_add(more);
            }
            total
        })
    }
}

/// One part of up to six decimals, such as a total that a lock froze.
impl From<Decimal> for Sum {
    fn from(total: Decimal) -> Sum {
        let scale = (total.scale() as usize).min(usize::from(Quantity::SCALE_MAX));
        let mut sum =
            Sum { millionths: total.mantissa() * i128::from(to_millionths(scale)), ..Sum::default() };
        sum.by_scale[scale] = 1;
        sum
    }
}

impl From<Sum> for Quotient {
    fn from(sum: Sum) -> Quotient {
        Quotient::from(sum.decimal())
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.decimal().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use num_rational::BigRational;
    use proptest::prelude::*;

    use super::*;

    fn quantities() -> impl Strategy<Value = Quantity> {
        (-999_999_999_999_999_999_i64..=999_999_999_999_999_999, 0_u8..=6)
            .prop_filter_map("within the bounds", |(mantissa, scale)| {
                Quantity::from_parts(mantissa, scale).ok()
            })
    }

    proptest! {
        #[test]
        fn a_sum_is_what_its_parts_are(
            parts in prop::collection::vec(quantities(), 0..20),
            taken in prop::collection::vec(quantities(), 0..20),
        ) {
            let mut sum = Sum::default();
            parts.iter().chain(&taken).for_each(|part| sum.add(*part));
            taken.iter().for_each(|part| sum.remove(*part));
            let rational = |decimal: Decimal| Quotient::from(decimal).rational();
            let expected: BigRational = parts.iter().map(|part| rational(part.as_decimal())).sum();
            prop_assert_eq!(rational(sum.decimal()), expected);
            let scale = parts.iter().map(|part| part.parts().1).max().unwrap_or(0);
            prop_assert_eq!(sum.decimal().scale(), u32::from(scale));
            prop_assert!(!sum.decimal().is_zero() || sum.decimal().is_sign_positive());
        }
    }

    #[test]
    fn sums_add_up_and_end_where_a_decimal_does() {
        let mut sum = Sum::default();
        sum.add(Quantity::from_parts(Quantity::LIMIT - 1, 0).unwrap());
        sum.add(Quantity::from_parts(50, 2).unwrap());
        let four: Sum = [sum; 4].iter().sum();
        assert_eq!(four.to_string(), "3999999999999998.00");
        let huge: Sum = std::iter::repeat_n(&sum, 100).sum();
        assert_eq!(huge.to_string(), "99999999999999950.00");
        let beyond = Sum { millionths: i128::MIN, by_scale: [0, 0, 0, 0, 0, 0, 1] };
        assert_eq!(beyond.decimal(), Decimal::MIN);
    }
}
