//! Achievement: realisation against target. Quotients stay exact; rounding is for printing only.

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{Signed, ToPrimitive};
use rust_decimal::Decimal;

use crate::indicator::{LowerFormula, Polarity, Settings};
use crate::quotient::Quotient;

/// An exact number: a sum of decimals, or a quotient that no decimal can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exact {
    /// Keeps the scale it was written with.
    Decimal(Decimal),
    /// A mean, a ratio or an achievement.
    Quotient(Quotient),
}

impl Exact {
    /// The value as a quotient.
    pub fn quotient(&self) -> Quotient {
        match self {
            Exact::Decimal(decimal) => Quotient::from(*decimal),
            Exact::Quotient(quotient) => quotient.clone(),
        }
    }

    /// The decimal, where it is one.
    pub fn decimal(&self) -> Option<Decimal> {
        match self {
            Exact::Decimal(decimal) => Some(*decimal),
            Exact::Quotient(_) => None,
        }
    }

    /// The value without loss, as [`Exact::from_exact`] reads it: `57.50`, `=23/40`.
    pub fn exact(&self) -> String {
        match self {
            Exact::Decimal(decimal) => decimal.to_string(),
            Exact::Quotient(quotient) => format!("={quotient}"),
        }
    }

    /// Reads what [`Exact::exact`] wrote.
    pub fn from_exact(text: &str) -> Option<Exact> {
        match text.strip_prefix('=') {
            Some(quotient) => quotient.parse().ok().map(Exact::Quotient),
            None => text.parse().ok().map(Exact::Decimal),
        }
    }

    /// The decimal string of the JSON contract: a decimal as it was written, a quotient with two decimals rounded half
    /// away from zero.
    pub fn plain(&self) -> String {
        match self {
            Exact::Decimal(decimal) => decimal.to_string(),
            Exact::Quotient(quotient) => two_decimals(quotient),
        }
    }
}

/// Two decimals, half away from zero: `57.5` is `57.50`.
pub fn two_decimals(value: &Quotient) -> String {
    let hundredths = value.hundredths();
    let sign = if hundredths.is_negative() { "-" } else { "" };
    let (whole, rest) = hundredths.abs().div_rem(&BigInt::from(100));
    let rest = rest.to_u32().unwrap_or(0);
    format!("{sign}{whole}.{rest:02}")
}

/// Why there is no percentage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoFigure {
    TargetNotPlanned,
    TargetMissing,
    TargetIsText,
    TargetZero,
    TargetNegative,
    NotReported,
    /// Reported, and nothing of it verified yet.
    NotVerified,
    DenominatorZero,
    RealisationZero,
    /// A revision ended it before.
    IndicatorRetired,
}

impl NoFigure {
    /// The stable name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            NoFigure::TargetNotPlanned => "TARGET_NOT_PLANNED",
            NoFigure::TargetMissing => "TARGET_MISSING",
            NoFigure::TargetIsText => "TARGET_IS_TEXT",
            NoFigure::TargetZero => "TARGET_ZERO",
            NoFigure::TargetNegative => "TARGET_NEGATIVE",
            NoFigure::NotReported => "NOT_REPORTED",
            NoFigure::NotVerified => "NOT_VERIFIED",
            NoFigure::DenominatorZero => "DENOMINATOR_ZERO",
            NoFigure::RealisationZero => "REALISATION_ZERO",
            NoFigure::IndicatorRetired => "INDICATOR_RETIRED",
        }
    }

    /// All causes.
    pub const ALL: [NoFigure; 10] = [
        NoFigure::TargetNotPlanned,
        NoFigure::TargetMissing,
        NoFigure::TargetIsText,
        NoFigure::TargetZero,
        NoFigure::TargetNegative,
        NoFigure::NotReported,
        NoFigure::NotVerified,
        NoFigure::DenominatorZero,
        NoFigure::RealisationZero,
        NoFigure::IndicatorRetired,
    ];
}

/// Achievement in percent, exact. Never below 0; above 100 only the indicator's own cap cuts it.
pub fn achievement(target: &Quotient, realised: &Exact, settings: Settings) -> Result<Quotient, NoFigure> {
    if target.is_zero() {
        return Err(NoFigure::TargetZero);
    }
    if target.is_negative() {
        return Err(NoFigure::TargetNegative);
    }
    let realised = realised.quotient();
    let share = match (settings.polarity, settings.formula) {
        (Polarity::Higher, _) => realised.over(target).ok_or(NoFigure::TargetZero)?,
        (Polarity::Lower, LowerFormula::Mirrored) => {
            (&(target + target) - &realised).over(target).ok_or(NoFigure::TargetZero)?
        }
        (Polarity::Lower, LowerFormula::Inverse) => {
            target.over(&realised).ok_or(NoFigure::RealisationZero)?
        }
    };
    let percent = &share * &Quotient::from(100);
    let capped = match settings.cap {
        Some(cap) => percent.min(Quotient::from(cap.as_decimal())),
        None => percent,
    };
    Ok(if capped.is_negative() { Quotient::from(0) } else { capped })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proposal::Kind;
    use crate::quantity::Quantity;

    #[track_caller]
    fn check(
        target: &str,
        realised: &str,
        polarity: Polarity,
        formula: LowerFormula,
        expected: Result<&str, NoFigure>,
    ) {
        let number = |text: &str| Quantity::parse(text).unwrap().as_decimal();
        let settings = Settings { kind: Kind::Sum, polarity, formula, cap: None };
        let got = achievement(&Quotient::from(number(target)), &Exact::Decimal(number(realised)), settings);
        assert_eq!(got.map(|percent| two_decimals(&percent)), expected.map(str::to_owned));
    }

    #[test]
    fn an_exact_number_is_written_without_loss() {
        let third = Exact::Quotient(Quotient::from(1).over(&Quotient::from(3)).unwrap());
        let scaled = Exact::Decimal(Quantity::parse("88,00").unwrap().as_decimal());
        for (number, text) in [(&third, "=1/3"), (&scaled, "88.00")] {
            assert_eq!(number.exact(), text);
            assert_eq!(Exact::from_exact(text).as_ref(), Some(number));
        }
        assert_eq!((third.decimal(), scaled.decimal().unwrap().scale()), (None, 2));
        for wrong in ["", "=", "=1/0", "1/3", "x"] {
            assert_eq!(Exact::from_exact(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn both_polarities_and_formulas() {
        use LowerFormula::{Inverse, Mirrored};
        use Polarity::{Higher, Lower};
        check("15", "0", Higher, Mirrored, Ok("0.00"));
        check("200", "190", Higher, Mirrored, Ok("95.00"));
        check("3", "2", Higher, Mirrored, Ok("66.67"));
        check("5", "0", Lower, Mirrored, Ok("200.00"));
        check("5", "20", Lower, Mirrored, Ok("0.00"));
        check("5", "0", Lower, Inverse, Err(NoFigure::RealisationZero));
        check("5", "4", Lower, Inverse, Ok("125.00"));
        check("0", "4", Higher, Mirrored, Err(NoFigure::TargetZero));
        check("-2,24", "4", Higher, Mirrored, Err(NoFigure::TargetNegative));
    }

    #[test]
    fn rounding_is_half_away_from_zero() {
        let quotient = |n: i64, d: i64| {
            Quotient::from(Decimal::from(n)).over(&Quotient::from(Decimal::from(d))).unwrap()
        };
        assert_eq!(two_decimals(&quotient(1, 200)), "0.01");
        assert_eq!(two_decimals(&quotient(-1, 200)), "-0.01");
        assert_eq!(two_decimals(&quotient(-1, 300)), "0.00");
    }

    #[test]
    fn a_cap_cuts() {
        let settings = Settings {
            kind: Kind::Sum,
            polarity: Polarity::Higher,
            formula: LowerFormula::Mirrored,
            cap: Some(Quantity::parse("120").unwrap()),
        };
        let got = achievement(&Quotient::from(1), &Exact::Decimal(Decimal::TWO), settings).unwrap();
        assert_eq!(two_decimals(&got), "120.00");
    }
}
