//! Exact decimal figures and the target cells that hold them.
//!
//! People write Indonesian notation (decimal comma, dot for thousands) and plain notation (decimal dot) in the same
//! plan, so [`Quantity::parse`] reads both and refuses what could be either. Nothing here ever rounds.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use rust_decimal::Decimal;
use thiserror::Error;

/// An exact decimal that keeps the scale it was written with: `88,00` stays `88.00`.
///
/// Equality, order and hash go by the numeric value alone: `88` equals `88.00`. Negative zero does not exist.
///
/// Bounds: the absolute value is below 10^15, at most 6 decimals, at most 18 significant digits in all, so that the
/// mantissa fits an `i64` in storage.
///
/// In memory the mantissa stands above three bits for the scale, 60 + 3 bits and a sign: an office has a million of them.
#[derive(Clone, Copy)]
pub struct Quantity(i64);

/// Why a text, or a pair of stored parts, is no [`Quantity`]. The message names text, cause and mend.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NumberError {
    #[error(
        "\"{text}\" is ambiguous: the dot may mark thousands or decimals; write {grouped} for the whole number or \
         {decimal} for the decimal"
    )]
    Ambiguous { text: String, grouped: String, decimal: String },
    #[error("there is no number here; write digits, such as 12 or 7,8")]
    Empty,
    #[error("\"{text}\" is not a number; write digits only, with a comma before decimals, such as 12 or 7,8")]
    NotANumber { text: String },
    #[error(
        "\"{text}\" mixes dots and commas in a way that is neither notation; write 1.234,5 or 1234,5, with dots \
         between groups of three and one comma before decimals"
    )]
    MixedMarks { text: String },
    #[error(
        "\"{text}\" is too large; write a number below 1.000.000.000.000.000 with at most 18 digits in all"
    )]
    TooLarge { text: String },
    #[error("\"{text}\" has more than 6 decimals; round it to 6 or fewer")]
    TooManyDecimals { text: String },
}

impl NumberError {
    /// The stable code that scripts and people's lists of errors rely on.
    pub fn code(&self) -> &'static str {
        match self {
            NumberError::Ambiguous { .. } => "AMBIGUOUS_NUMBER",
            NumberError::Empty | NumberError::NotANumber { .. } | NumberError::MixedMarks { .. } => {
                "NOT_A_NUMBER"
            }
            NumberError::TooLarge { .. } | NumberError::TooManyDecimals { .. } => "NUMBER_OUT_OF_RANGE",
        }
    }
}

impl Quantity {
    pub const ZERO: Quantity = Quantity(0);
    /// Decimals kept at most.
    pub const SCALE_MAX: u8 = 6;
    /// The absolute value is below this.
    pub const LIMIT: i64 = 1_000_000_000_000_000;
    /// The absolute mantissa is below this: 18 digits.
    const MANTISSA_LIMIT: i64 = 1_000_000_000_000_000_000;
    const SCALE_BITS: u32 = 3;

    /// Reads Indonesian (`1.234,5`) and plain (`1234.5`) notation, with an optional minus and an optional trailing
    /// `%`. A comma is always the decimal mark. One dot with exactly three digits behind it and one to three before
    /// it (`1.234`) is ambiguous, unless the digits before begin with 0: no group of thousands does.
    pub fn parse(text: &str) -> Result<Quantity, NumberError> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(NumberError::Empty);
        }
        let body = trimmed.strip_suffix('%').map_or(trimmed, str::trim_end);
        let (negative, digits) = match body.strip_prefix(['-', '\u{2212}']) {
            Some(rest) => (true, rest),
            None => (false, body),
        };
        let (whole, fraction) = split_marks(digits, trimmed)?;
        build(negative, &whole, fraction, trimmed)
    }

    /// The value `mantissa / 10^scale`, as [`Quantity::parts`] gave it.
    pub fn from_parts(mantissa: i64, scale: u8) -> Result<Quantity, NumberError> {
        let text = || format!("{mantissa}e-{scale}");
        if scale > Self::SCALE_MAX {
            return Err(NumberError::TooManyDecimals { text: text() });
        }
        let whole = mantissa.unsigned_abs() / 10_u64.pow(u32::from(scale));
        if mantissa.unsigned_abs() >= Self::MANTISSA_LIMIT as u64 || whole >= Self::LIMIT as u64 {
            return Err(NumberError::TooLarge { text: text() });
        }
        Ok(Quantity(mantissa << Self::SCALE_BITS | i64::from(scale)))
    }

    /// Mantissa and scale, for storage: `7,8` is `(78, 1)`, `88,00` is `(8800, 2)`.
    pub fn parts(self) -> (i64, u8) {
        (self.0 >> Self::SCALE_BITS, (self.0 & ((1 << Self::SCALE_BITS) - 1)) as u8)
    }

    /// A computed decimal as a quantity, if it keeps the bounds. Never rounds.
    pub fn from_decimal(value: Decimal) -> Result<Quantity, NumberError> {
        let text = || value.to_string();
        if value.scale() > u32::from(Self::SCALE_MAX) {
            return Err(NumberError::TooManyDecimals { text: text() });
        }
        let mantissa = i64::try_from(value.mantissa()).map_err(|_| NumberError::TooLarge { text: text() })?;
        Self::from_parts(mantissa, value.scale() as u8)
    }

    /// For sums and quotients; the scale is the written one.
    pub fn as_decimal(self) -> Decimal {
        let (mantissa, scale) = self.parts();
        Decimal::new(mantissa, u32::from(scale))
    }

    pub fn is_negative(self) -> bool {
        self.parts().0 < 0
    }

    pub fn is_zero(self) -> bool {
        self.parts().0 == 0
    }

    /// With a dot and the written scale: `7.8`, `88.00`, `-2.24`. What JSON carries.
    pub fn plain(self) -> String {
        self.as_decimal().to_string()
    }

    /// As the office reads it: `7,8`, `1.234,5`. Not for reading back: `1.234` is ambiguous there.
    pub fn indonesian(self) -> String {
        indonesian(&self.plain())
    }
}

/// A decimal string as the office reads it: `1234.5` is `1.234,5`. What is no decimal string stays as it is.
pub fn indonesian(plain: &str) -> String {
    let (sign, unsigned) = plain.strip_prefix('-').map_or(("", plain), |rest| ("-", rest));
    let (whole, fraction) = unsigned.split_once('.').map_or((unsigned, None), |(w, f)| (w, Some(f)));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || fraction.is_some_and(|fraction| !digits(fraction)) {
        return plain.to_owned();
    }
    let mut out = String::from(sign);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push('.');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push(',');
        out.push_str(fraction);
    }
    out
}

impl fmt::Display for Quantity {
    /// The same as [`Quantity::plain`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_decimal().fmt(f)
    }
}

impl fmt::Debug for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Quantity").field(&self.as_decimal()).finish()
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Quantity) -> Ordering {
        self.as_decimal().cmp(&other.as_decimal())
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Quantity) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Quantity) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Quantity {}

impl Hash for Quantity {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.as_decimal().hash(hasher);
    }
}

/// Cuts unsigned digits at their marks into whole digits (without group dots) and decimals.
fn split_marks<'a>(digits: &'a str, text: &str) -> Result<(String, &'a str), NumberError> {
    let edge_is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let readable = digits.chars().all(|c| c.is_ascii_digit() || c == '.' || c == ',');
    if !readable || !edge_is_digit(digits.chars().next()) || !edge_is_digit(digits.chars().next_back()) {
        return Err(NumberError::NotANumber { text: shorten(text) });
    }
    let mixed = || NumberError::MixedMarks { text: shorten(text) };
    match digits.split_once(',') {
        Some((whole, fraction)) => {
            if !fraction.bytes().all(|b| b.is_ascii_digit()) {
                return Err(mixed());
            }
            Ok((ungroup(whole).ok_or_else(mixed)?, fraction))
        }
        None => match digits.split_once('.') {
            None => Ok((digits.to_owned(), "")),
            Some((_, rest)) if rest.contains('.') => Ok((ungroup(digits).ok_or_else(mixed)?, "")),
            Some((whole, fraction)) => {
                if fraction.len() == 3 && is_leading_group(whole) {
                    let (text, grouped) = (shorten(text), format!("{whole}{fraction}"));
                    return Err(NumberError::Ambiguous {
                        text,
                        grouped,
                        decimal: format!("{whole},{fraction}"),
                    });
                }
                Ok((whole.to_owned(), fraction))
            }
        },
    }
}

/// `1.234.567` without its dots, if every group is one; `1234` as it is.
fn ungroup(whole: &str) -> Option<String> {
    let Some((first, rest)) = whole.split_once('.') else {
        return (!whole.is_empty()).then(|| whole.to_owned());
    };
    let grouped = is_leading_group(first) && rest.split('.').all(|group| group.len() == 3);
    grouped.then(|| whole.replace('.', ""))
}

fn is_leading_group(digits: &str) -> bool {
    (1..=3).contains(&digits.len()) && !digits.starts_with('0')
}

fn build(negative: bool, whole: &str, fraction: &str, text: &str) -> Result<Quantity, NumberError> {
    if fraction.len() > usize::from(Quantity::SCALE_MAX) {
        return Err(NumberError::TooManyDecimals { text: shorten(text) });
    }
    let too_large = || NumberError::TooLarge { text: shorten(text) };
    let mut mantissa: i64 = 0;
    for digit in whole.bytes().chain(fraction.bytes()).map(|b| i64::from(b - b'0')) {
        mantissa = mantissa.checked_mul(10).and_then(|m| m.checked_add(digit)).ok_or_else(too_large)?;
    }
    let signed = if negative { -mantissa } else { mantissa };
    Quantity::from_parts(signed, fraction.len() as u8).map_err(|_| too_large())
}

/// A message quotes a stranger's text: keep it short.
fn shorten(text: &str) -> String {
    const KEPT_CHARS: usize = 40;
    match text.char_indices().nth(KEPT_CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// What a target cell of a plan says. The four never collapse into one another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A figure to reach, zero included.
    Value(Quantity),
    /// A grade to reach (`WTP`, `A`, `Level 3`): shown beside its realisation, never computed with.
    Text(Box<str>),
    /// `-` or `--`: nothing is due in this quarter.
    NotPlanned,
    /// Blank: nobody has said.
    Missing,
}

impl Target {
    /// A text target is at most this long, in characters.
    pub const TEXT_CHARS_MAX: usize = 60;

    /// Reads one cell. One or two hyphens, an en or an em dash: not planned. Blank: missing. The words
    /// `not planned` and `missing` are what [`Target::label`] prints and read back as such. A number: a value.
    ///
    /// A text is what begins with a letter, is no amount of money (`Rp 5.000`) and no float's `NaN` or `Infinity`.
    /// What begins with a digit and is no number (`12 dokumen`, `3x`) is refused: the figure in it would be lost.
    pub fn parse_cell(cell: &str) -> Result<Target, NumberError> {
        let text = cell.trim();
        match text {
            "" | "missing" => return Ok(Target::Missing),
            "-" | "--" | "\u{2013}" | "\u{2014}" | "not planned" => return Ok(Target::NotPlanned),
            _ => {}
        }
        if text.starts_with(char::is_alphabetic) {
            if !reads_as_grade(text) {
                return Err(NumberError::NotANumber { text: shorten(text) });
            }
            return Ok(Target::Text(text.split_whitespace().collect::<Vec<_>>().join(" ").into()));
        }
        Quantity::parse(text).map(Target::Value)
    }

    /// The text of a text target.
    pub fn text(&self) -> Option<&str> {
        match self {
            Target::Text(text) => Some(text),
            Target::Value(_) | Target::NotPlanned | Target::Missing => None,
        }
    }

    /// The cell as JSON and tables carry it: decimal string, the text, `not planned` or `missing`.
    pub fn label(&self) -> String {
        match self {
            Target::Value(quantity) => quantity.plain(),
            Target::Text(text) => text.to_string(),
            Target::NotPlanned => "not planned".to_owned(),
            Target::Missing => "missing".to_owned(),
        }
    }

    pub fn value(&self) -> Option<Quantity> {
        match self {
            Target::Value(quantity) => Some(*quantity),
            Target::Text(_) | Target::NotPlanned | Target::Missing => None,
        }
    }
}

fn reads_as_grade(text: &str) -> bool {
    let lower = text.to_lowercase();
    let is_float_word = matches!(lower.as_str(), "nan" | "inf" | "infinity");
    let is_money = ["rp", "idr"]
        .iter()
        .any(|mark| lower.strip_prefix(mark).is_some_and(|rest| !rest.starts_with(char::is_alphabetic)));
    !is_float_word && !is_money && text.chars().count() <= Target::TEXT_CHARS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let got = match Quantity::parse(text) {
            Ok(quantity) => format!("{} {}", quantity.plain(), quantity.indonesian()),
            Err(error) => error.code().to_owned(),
        };
        assert_eq!(got, expect, "{text:?}");
    }

    #[test]
    fn numbers_as_people_write_them() {
        for (text, expect) in [
            ("7,8", "7.8 7,8"),
            ("54.54", "54.54 54,54"),
            ("1.234,5", "1234.5 1.234,5"),
            ("1.234.567", "1234567 1.234.567"),
            ("12.345.678,90", "12345678.90 12.345.678,90"),
            ("0.123", "0.123 0,123"),
            ("00.123", "0.123 0,123"),
            ("0,9", "0.9 0,9"),
            ("88,00", "88.00 88,00"),
            ("88.00", "88.00 88,00"),
            ("-2,24", "-2.24 -2,24"),
            ("\u{2212}2,24", "-2.24 -2,24"),
            ("-1234", "-1234 -1.234"),
            ("-0", "0 0"),
            ("-0,00", "0.00 0,00"),
            ("100 %", "100 100"),
            ("100%", "100 100"),
            ("  95\u{a0}", "95 95"),
            ("1,234", "1.234 1,234"),
            ("1234.567", "1234.567 1.234,567"),
            ("1.2345", "1.2345 1,2345"),
            ("1.23", "1.23 1,23"),
            ("007", "7 7"),
            ("0", "0 0"),
            ("0,000001", "0.000001 0,000001"),
            ("999999999999999", "999999999999999 999.999.999.999.999"),
            ("999.999.999.999.999,999", "999999999999999.999 999.999.999.999.999,999"),
        ] {
            check(text, expect);
        }
    }

    #[test]
    fn numbers_refused() {
        for (text, expect) in [
            ("1.234", "AMBIGUOUS_NUMBER"),
            ("12.345", "AMBIGUOUS_NUMBER"),
            ("-123.456", "AMBIGUOUS_NUMBER"),
            ("1.234 %", "AMBIGUOUS_NUMBER"),
            ("1.000", "AMBIGUOUS_NUMBER"),
            ("", "NOT_A_NUMBER"),
            ("  ", "NOT_A_NUMBER"),
            ("%", "NOT_A_NUMBER"),
            ("-", "NOT_A_NUMBER"),
            ("--5", "NOT_A_NUMBER"),
            ("- 5", "NOT_A_NUMBER"),
            ("+5", "NOT_A_NUMBER"),
            ("5-", "NOT_A_NUMBER"),
            ("Rp", "NOT_A_NUMBER"),
            ("Rp 5", "NOT_A_NUMBER"),
            ("abc", "NOT_A_NUMBER"),
            ("NaN", "NOT_A_NUMBER"),
            ("inf", "NOT_A_NUMBER"),
            ("1e5", "NOT_A_NUMBER"),
            ("1E-5", "NOT_A_NUMBER"),
            ("0x10", "NOT_A_NUMBER"),
            ("1_000", "NOT_A_NUMBER"),
            ("1 000", "NOT_A_NUMBER"),
            ("٣", "NOT_A_NUMBER"),
            ("5,", "NOT_A_NUMBER"),
            (",5", "NOT_A_NUMBER"),
            (".5", "NOT_A_NUMBER"),
            ("5 %%", "NOT_A_NUMBER"),
            ("1,234.5", "NOT_A_NUMBER"),
            ("1,234,567", "NOT_A_NUMBER"),
            ("1..234", "NOT_A_NUMBER"),
            ("0.123.456", "NOT_A_NUMBER"),
            ("1.23.456", "NOT_A_NUMBER"),
            ("1234.567,8", "NOT_A_NUMBER"),
            ("12 dokumen", "NOT_A_NUMBER"),
            ("1000000000000000", "NUMBER_OUT_OF_RANGE"),
            ("-1000000000000000", "NUMBER_OUT_OF_RANGE"),
            ("999999999999999,9999", "NUMBER_OUT_OF_RANGE"),
            ("99999999999999999999999999999999999999", "NUMBER_OUT_OF_RANGE"),
            ("0,0000001", "NUMBER_OUT_OF_RANGE"),
            ("1,0000000", "NUMBER_OUT_OF_RANGE"),
        ] {
            check(text, expect);
        }
    }

    #[test]
    fn messages_name_text_cause_and_mend() {
        let message = Quantity::parse("1.234").unwrap_err().to_string();
        assert_eq!(
            message,
            "\"1.234\" is ambiguous: the dot may mark thousands or decimals; write 1234 for the whole number or 1,234 \
             for the decimal"
        );
        let long = Quantity::parse(&"x".repeat(10_000)).unwrap_err().to_string();
        assert!(long.len() < 200, "{long}");
    }

    #[test]
    fn parts_keep_value_and_scale() {
        for text in [
            "7,8",
            "88,00",
            "-2,24",
            "0",
            "0,000001",
            "-0,000001",
            "999.999.999.999.999,999",
            "-999.999.999.999,999999",
        ] {
            let quantity = Quantity::parse(text).unwrap();
            let (mantissa, scale) = quantity.parts();
            let again = Quantity::from_parts(mantissa, scale).unwrap();
            assert_eq!(again.plain(), quantity.plain());
            assert_eq!(Quantity::from_decimal(quantity.as_decimal()).unwrap().plain(), quantity.plain());
        }
        assert_eq!(Quantity::parse("88,00").unwrap(), Quantity::parse("88").unwrap());
        for (mantissa, scale) in [(1, 7), (i64::MAX, 6), (i64::MIN, 0), (Quantity::LIMIT, 0)] {
            assert_eq!(Quantity::from_parts(mantissa, scale).unwrap_err().code(), "NUMBER_OUT_OF_RANGE");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_word_holds_every_quantity(
            mantissa in -Quantity::MANTISSA_LIMIT + 1..Quantity::MANTISSA_LIMIT,
            scale in 0..=Quantity::SCALE_MAX,
        ) {
            if let Ok(quantity) = Quantity::from_parts(mantissa, scale) {
                proptest::prop_assert_eq!(quantity.parts(), (mantissa, scale));
                proptest::prop_assert_eq!(quantity.is_negative(), mantissa < 0);
                proptest::prop_assert_eq!(quantity.as_decimal(), Decimal::new(mantissa, u32::from(scale)));
            }
        }
    }

    #[test]
    fn target_cells() {
        for (cell, expect) in [
            ("-", "not planned"),
            (" -- ", "not planned"),
            ("–", "not planned"),
            ("—", "not planned"),
            ("", "missing"),
            ("  \u{a0}", "missing"),
            ("0", "0"),
            ("-2,24", "-2.24"),
            ("88,00", "88.00"),
            ("95 %", "95"),
            ("WTP", "WTP"),
            ("A", "A"),
            ("Level  3", "Level 3"),
            ("Sangat Baik (BB)", "Sangat Baik (BB)"),
            ("not planned", "not planned"),
            ("missing", "missing"),
            ("1.234", "AMBIGUOUS_NUMBER"),
            ("12 dokumen", "NOT_A_NUMBER"),
            ("3x", "NOT_A_NUMBER"),
            ("---", "NOT_A_NUMBER"),
            ("Rp 5.000", "NOT_A_NUMBER"),
            ("Rp5000", "NOT_A_NUMBER"),
            ("NaN", "NOT_A_NUMBER"),
            ("(5)", "NOT_A_NUMBER"),
            ("1e99", "NOT_A_NUMBER"),
        ] {
            let got = match Target::parse_cell(cell) {
                Ok(target) => target.label(),
                Err(error) => error.code().to_owned(),
            };
            assert_eq!(got, expect, "{cell:?}");
        }
        assert_eq!(Target::parse_cell("WTP").unwrap(), Target::Text("WTP".into()));
        assert_eq!(Target::parse_cell("0").unwrap(), Target::Value(Quantity::ZERO));
        assert_ne!(Target::parse_cell("-").unwrap(), Target::parse_cell("").unwrap());
        assert!(Target::parse_cell(&"x".repeat(61)).is_err());
    }
}
