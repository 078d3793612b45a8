//! Time as the rules see it: an instant given by the caller, the office's zone, civil dates, quarters.

use std::fmt;

use jiff::civil;
use jiff::tz::Offset;

/// An instant: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The instant `micros` later (earlier when negative); stays at the ends of the range instead of wrapping.
    pub fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// RFC 3339 in UTC, to the microsecond when there is a fraction.
    pub fn rfc3339(self) -> String {
        let (days, micros) = (self.0.div_euclid(DAY_MICROS), self.0.rem_euclid(DAY_MICROS));
        let date = Date::from_days(i32::try_from(days).unwrap_or(0));
        let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
        let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        if fraction == 0 { format!("{date}T{clock}Z") } else { format!("{date}T{clock}.{fraction:06}Z") }
    }
}

/// Microseconds in a civil day without a clock change; Indonesian zones have none.
pub const DAY_MICROS: i64 = 86_400_000_000;

/// The time zones of Indonesia. Fixed offsets without daylight saving, so replay never depends on a machine's zone
/// database (Keppres 41/1987).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Zone {
    /// WIB, UTC+7.
    Jakarta,
    /// WIB, UTC+7.
    Pontianak,
    /// WITA, UTC+8.
    Makassar,
    /// WIT, UTC+9.
    Jayapura,
}

impl Zone {
    /// Every zone an office may have.
    pub const ALL: [Zone; 4] = [Zone::Jakarta, Zone::Pontianak, Zone::Makassar, Zone::Jayapura];

    /// The IANA name.
    pub fn name(self) -> &'static str {
        match self {
            Zone::Jakarta => "Asia/Jakarta",
            Zone::Pontianak => "Asia/Pontianak",
            Zone::Makassar => "Asia/Makassar",
            Zone::Jayapura => "Asia/Jayapura",
        }
    }

    /// The zone of an IANA name.
    pub fn from_name(name: &str) -> Option<Zone> {
        Zone::ALL.into_iter().find(|zone| zone.name() == name)
    }

    /// Hours ahead of UTC.
    pub fn offset_hours(self) -> i64 {
        match self {
            Zone::Jakarta | Zone::Pontianak => 7,
            Zone::Makassar => 8,
            Zone::Jayapura => 9,
        }
    }

    /// The civil date at an instant.
    pub fn date_at(self, time: Timestamp) -> Date {
        let local = time.0.saturating_add(self.offset_hours() * 3_600_000_000);
        Date::from_days(i32::try_from(local.div_euclid(DAY_MICROS)).unwrap_or(0))
    }

    /// The first instant of a civil date.
    pub fn start_of(self, date: Date) -> Timestamp {
        Timestamp(i64::from(date.0) * DAY_MICROS - self.offset_hours() * 3_600_000_000)
    }

    /// The last instant of a civil date (to the microsecond).
    pub fn end_of(self, date: Date) -> Timestamp {
        self.start_of(date).plus_micros(DAY_MICROS - 1)
    }
}

/// A civil date, as days since 1970-01-01 in the proleptic Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(i32);

const EPOCH: civil::Date = civil::date(1970, 1, 1);

impl Date {
    /// A date from its parts; `None` when there is no such day.
    pub fn new(year: i16, month: i8, day: i8) -> Option<Date> {
        civil::Date::new(year, month, day).ok().map(Date::from_civil)
    }

    /// Reads `2024-05-14` and nothing else.
    pub fn parse(text: &str) -> Option<Date> {
        let digits = |range: std::ops::Range<usize>| {
            text.get(range).filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
        };
        if text.len() != 10 || text.as_bytes()[4] != b'-' || text.as_bytes()[7] != b'-' {
            return None;
        }
        Date::new(digits(0..4)?.parse().ok()?, digits(5..7)?.parse().ok()?, digits(8..10)?.parse().ok()?)
    }

    /// Days since 1970-01-01.
    pub fn days(self) -> i32 {
        self.0
    }

    /// The date that many days after 1970-01-01, kept within the years -9999 to 9999.
    pub fn from_days(days: i32) -> Date {
        Date(days.clamp(-4_371_587, 2_932_896))
    }

    /// The date `days` later.
    pub fn plus_days(self, days: i32) -> Date {
        Date::from_days(self.0.saturating_add(days))
    }

    /// The calendar year.
    pub fn year(self) -> i16 {
        self.civil().year()
    }

    /// The quarter of the calendar year.
    pub fn quarter(self) -> Quarter {
        Quarter::ALL[usize::try_from((self.civil().month() - 1) / 3).expect("months are 1 to 12")]
    }

    /// True on Monday to Friday.
    pub fn is_weekday(self) -> bool {
        !matches!(self.civil().weekday(), civil::Weekday::Saturday | civil::Weekday::Sunday)
    }

    fn from_civil(date: civil::Date) -> Date {
        Date((date - EPOCH).get_days())
    }

    /// Every fold asks each entry's quarter: an instant's date is found ten times as fast as a span is added. Only the
    /// two days at the ends of the calendar are no instants.
    fn civil(self) -> civil::Date {
        match jiff::Timestamp::from_second(i64::from(self.0) * 86_400) {
            Ok(midnight) => Offset::UTC.to_datetime(midnight).date(),
            Err(_) => EPOCH.saturating_add(jiff::Span::new().days(i64::from(self.0))),
        }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.civil().fmt(f)
    }
}

/// A measuring period (triwulan).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quarter {
    /// January to March.
    Q1,
    /// April to June.
    Q2,
    /// July to September.
    Q3,
    /// October to December.
    Q4,
}

impl Quarter {
    /// All four, in order.
    pub const ALL: [Quarter; 4] = [Quarter::Q1, Quarter::Q2, Quarter::Q3, Quarter::Q4];

    /// 0 to 3.
    pub fn index(self) -> usize {
        self as usize
    }

    /// 1 to 4, as people write it.
    pub fn number(self) -> u8 {
        self as u8 + 1
    }

    /// The quarter of a number from 1 to 4.
    pub fn from_number(number: u32) -> Option<Quarter> {
        Quarter::ALL.get(usize::try_from(number).ok()?.checked_sub(1)?).copied()
    }

    /// This quarter and all before it.
    pub fn up_to(self) -> &'static [Quarter] {
        const ALL: &[Quarter] = &Quarter::ALL;
        &ALL[..=self.index()]
    }

    /// The first day of the quarter in a year.
    pub fn first_day(self, year: i16) -> Date {
        let month = [1, 4, 7, 10][self.index()];
        Date::new(year, month, 1).expect("BUG: plan years are calendar years")
    }

    /// The last day of the quarter in a year.
    pub fn last_day(self, year: i16) -> Date {
        let (month, day) = [(3, 31), (6, 30), (9, 30), (12, 31)][self.index()];
        Date::new(year, month, day).expect("BUG: plan years are calendar years")
    }
}

impl fmt::Display for Quarter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TW {}", self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t1_the_quarter_follows_the_offices_zone() {
        let utc = Timestamp(Date::parse("2024-03-31").unwrap().days() as i64 * DAY_MICROS + 63_000_000_000);
        assert_eq!(utc.rfc3339(), "2024-03-31T17:30:00Z");
        assert_eq!(Zone::Jakarta.date_at(utc).to_string(), "2024-04-01");
        assert_eq!(Zone::Jakarta.date_at(utc).quarter(), Quarter::Q2);
    }

    #[test]
    fn a_day_begins_and_ends_in_the_zone() {
        let day = Date::parse("2024-07-05").unwrap();
        assert_eq!(Zone::Jayapura.start_of(day).rfc3339(), "2024-07-04T15:00:00Z");
        assert_eq!(Zone::Jayapura.date_at(Zone::Jayapura.end_of(day)), day);
        assert_eq!(Zone::Jayapura.date_at(Zone::Jayapura.end_of(day).plus_micros(1)), day.plus_days(1));
    }

    #[test]
    fn every_day_of_the_calendar_has_its_date() {
        let (first, last) = (Date::from_days(i32::MIN), Date::from_days(i32::MAX));
        assert_eq!((first.to_string().as_str(), first.year()), ("-009999-01-01", -9999));
        assert_eq!((last.to_string().as_str(), last.quarter()), ("9999-12-31", Quarter::Q4));
        for days in (first.days()..=last.days()).step_by(997).chain(last.days() - 3..=last.days()) {
            let date = Date::from_days(days);
            assert_eq!(Date::from_civil(date.civil()), date);
        }
    }

    #[test]
    fn dates_are_read_strictly() {
        for wrong in [
            "2024-02-30",
            "2024-2-3",
            "14-05-2024",
            "2024/05/14",
            "2024-05-14T00:00",
            "+024-05-14",
            "éé24-05-1",
        ] {
            assert_eq!(Date::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Date::parse("2024-02-29").unwrap().to_string(), "2024-02-29");
    }
}
