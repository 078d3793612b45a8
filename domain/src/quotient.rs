//! Exact quotients.

use std::cmp::Ordering;
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Mul, Sub};
use std::str::FromStr;

use num_bigint::BigInt;
use num_rational::{BigRational, ParseRatioError, Ratio};
use num_traits::{Signed, Zero};
use rust_decimal::Decimal;

/// An exact number that no decimal need hold: a mean, a ratio, an achievement. Never rounded but for printing.
///
/// Words reach for the figures of any office; [`BigRational`] takes over where they end, so that nothing ever rounds or
/// overflows. The words are not reduced to lowest terms: figures go through three or four operations, and each common
/// divisor sought costs more than all of them.
#[derive(Clone, Debug)]
pub struct Quotient(Repr);

type Words = Ratio<i128>;

#[derive(Clone, Debug)]
enum Repr {
    /// The denominator is above 0.
    Words(Words),
    Big(Box<BigRational>),
}

impl Quotient {
    /// `self / divisor`; `None` when the divisor is 0.
    pub fn over(&self, divisor: &Quotient) -> Option<Quotient> {
        let in_words = |one: &Words, two: &Words| {
            let numerator = one.numer().checked_mul(*two.denom())?;
            let denominator = one.denom().checked_mul(*two.numer())?;
            match denominator < 0 {
                true => Some(Words::new_raw(numerator.checked_neg()?, denominator.checked_neg()?)),
                false => Some(Words::new_raw(numerator, denominator)),
            }
        };
        (!divisor.is_zero()).then(|| self.with(divisor, in_words, |one, two| one / two))
    }

    pub fn is_zero(&self) -> bool {
        match &self.0 {
            Repr::Words(words) => words.is_zero(),
            Repr::Big(big) => big.is_zero(),
        }
    }

    pub fn is_negative(&self) -> bool {
        match &self.0 {
            Repr::Words(words) => words.is_negative(),
            Repr::Big(big) => big.is_negative(),
        }
    }

    /// The value in lowest terms.
    pub fn rational(&self) -> BigRational {
        match &self.0 {
            Repr::Words(words) => BigRational::new((*words.numer()).into(), (*words.denom()).into()),
            Repr::Big(big) => (**big).clone(),
        }
    }

    /// In hundredths, rounded half away from zero.
    pub fn hundredths(&self) -> BigInt {
        match (self * &Quotient::from(100)).0 {
            Repr::Words(words) => BigInt::from(words.round().to_integer()),
            Repr::Big(big) => big.round().to_integer(),
        }
    }

    /// One operation: in words as long as every product fits, else in full.
    fn with(
        &self,
        other: &Quotient,
        words: impl FnOnce(&Words, &Words) -> Option<Words>,
        big: impl FnOnce(BigRational, BigRational) -> BigRational,
    ) -> Quotient {
        let in_words = match (&self.0, &other.0) {
            (Repr::Words(one), Repr::Words(two)) => words(one, two),
            _ => None,
        };
        Quotient(match in_words {
            Some(words) => Repr::Words(words),
            None => Repr::Big(Box::new(big(self.rational(), other.rational()))),
        })
    }
}

fn plus_or_minus(one: &Words, two: &Words, by: fn(i128, i128) -> Option<i128>) -> Option<Words> {
    if one.denom() == two.denom() {
        return Some(Words::new_raw(by(*one.numer(), *two.numer())?, *one.denom()));
    }
    let crossed = |number: &Words, by: &Words| number.numer().checked_mul(*by.denom());
    let numerator = by(crossed(one, two)?, crossed(two, one)?)?;
    Some(Words::new_raw(numerator, one.denom().checked_mul(*two.denom())?))
}

impl Add for &Quotient {
    type Output = Quotient;

    fn add(self, other: &Quotient) -> Quotient {
        self.with(other, |one, two| plus_or_minus(one, two, i128::checked_add), |one, two| one + two)
    }
}

impl Sub for &Quotient {
    type Output = Quotient;

    fn sub(self, other: &Quotient) -> Quotient {
        self.with(other, |one, two| plus_or_minus(one, two, i128::checked_sub), |one, two| one - two)
    }
}

impl Mul for &Quotient {
    type Output = Quotient;

    fn mul(self, other: &Quotient) -> Quotient {
        let in_words = |one: &Words, two: &Words| {
            let numerator = one.numer().checked_mul(*two.numer())?;
            Some(Words::new_raw(numerator, one.denom().checked_mul(*two.denom())?))
        };
        self.with(other, in_words, |one, two| one * two)
    }
}

impl Sum for Quotient {
    fn sum<I: Iterator<Item = Quotient>>(quotients: I) -> Quotient {
        quotients.fold(Quotient::from(0), |sum, quotient| &sum + &quotient)
    }
}

impl Ord for Quotient {
    fn cmp(&self, other: &Quotient) -> Ordering {
        match (&self.0, &other.0) {
            (Repr::Words(one), Repr::Words(two)) => one.cmp(two),
            _ => self.rational().cmp(&other.rational()),
        }
    }
}

impl PartialOrd for Quotient {
    fn partial_cmp(&self, other: &Quotient) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Quotient {
    fn eq(&self, other: &Quotient) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Quotient {}

impl From<u32> for Quotient {
    fn from(number: u32) -> Quotient {
        Quotient(Repr::Words(Words::from_integer(number.into())))
    }
}

impl From<Decimal> for Quotient {
    fn from(decimal: Decimal) -> Quotient {
        Quotient(Repr::Words(Words::new_raw(decimal.mantissa(), 10_i128.pow(decimal.scale()))))
    }
}

/// In lowest terms: `23/40`, or `5`.
impl fmt::Display for Quotient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rational().fmt(f)
    }
}

/// Reads what is displayed.
impl FromStr for Quotient {
    type Err = ParseRatioError;

    fn from_str(text: &str) -> Result<Quotient, ParseRatioError> {
        let rational: BigRational = text.parse()?;
        let words = |part: &BigInt| i128::try_from(part).ok();
        Ok(Quotient(match (words(rational.numer()), words(rational.denom())) {
            (Some(numerator), Some(denominator)) => Repr::Words(Words::new_raw(numerator, denominator)),
            _ => Repr::Big(Box::new(rational)),
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// From the smallest to what no word holds, above and below 0.
    fn quotients() -> impl Strategy<Value = Quotient> {
        let parts = (any::<i128>(), 0_u32..127, 1..=i128::MAX, 0_u32..126);
        parts.prop_map(|(numerator, less, denominator, less_below)| {
            Quotient(Repr::Words(Words::new_raw(numerator >> less, (denominator >> less_below).max(1))))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_rounds_and_nothing_overflows(one in quotients(), two in quotients()) {
            let (big_one, big_two) = (one.rational(), two.rational());
            prop_assert_eq!((&one + &two).rational(), &big_one + &big_two);
            prop_assert_eq!((&one - &two).rational(), &big_one - &big_two);
            prop_assert_eq!((&one * &two).rational(), &big_one * &big_two);
            let over = (!big_two.is_zero()).then(|| &big_one / &big_two);
            prop_assert_eq!(one.over(&two).map(|quotient| quotient.rational()), over);
            prop_assert_eq!(one.cmp(&two), big_one.cmp(&big_two));
            prop_assert_eq!(one.is_negative(), big_one.is_negative());
            prop_assert_eq!(one.is_zero(), big_one.is_zero());
            prop_assert_eq!(one.to_string().parse::<Quotient>().unwrap(), one.clone());
            let hundred = BigInt::from(100);
            prop_assert_eq!(one.hundredths(), (&big_one * hundred).round().to_integer());
        }

        #[test]
        fn what_outgrew_the_words_goes_on(one in quotients(), two in quotients(), three in quotients()) {
            let big = |quotient: &Quotient| Quotient(Repr::Big(Box::new(quotient.rational())));
            prop_assert_eq!(&(&one * &two) - &three, &(&big(&one) * &big(&two)) - &big(&three));
            prop_assert_eq!(one.cmp(&big(&two)), one.cmp(&two));
            prop_assert_eq!(big(&one).over(&two), one.over(&two));
            prop_assert_eq!(big(&one).hundredths(), one.hundredths());
        }

        #[test]
        fn a_decimal_is_its_quotient(mantissa in -(1_i128 << 96) + 1..1_i128 << 96, scale in 0_u32..=28) {
            let decimal = Decimal::from_i128_with_scale(mantissa, scale);
            let expected = BigRational::new(mantissa.into(), BigInt::from(10).pow(scale));
            prop_assert_eq!(Quotient::from(decimal).rational(), expected);
        }
    }
}
