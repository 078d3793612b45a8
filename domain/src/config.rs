//! What the office sets for itself: the bands of its ratings, its holidays, and how many working days a quarter has
//! until its entries are due.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::command::{Effect, Outcome, Record};
use crate::ids::Position;
use crate::quantity::Quantity;
use crate::quarter::PlanQuarter;
use crate::quotient::Quotient;
use crate::rejection::{Code, Rejection};
use crate::state::State;
use crate::time::Date;

/// One band of the ratings (predikat): above `above` percent, up to and including `up_to`. `None` is without bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Band {
    pub name: Arc<str>,
    pub above: Option<Quantity>,
    pub up_to: Option<Quantity>,
}

/// Bands without gap or overlap, lowest first; none where the office has set none of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bands(Vec<Band>);

/// Permendagri 86/2017: each band begins above its bound. Lowest first.
const DEFAULT: [(Option<u32>, &str); 5] = [
    (None, "Sangat Rendah"),
    (Some(50), "Rendah"),
    (Some(65), "Sedang"),
    (Some(75), "Tinggi"),
    (Some(90), "Sangat Tinggi"),
];

impl Bands {
    /// The bands an office has until it sets its own.
    pub fn standard() -> Bands {
        let bound = |bound: Option<u32>| bound.and_then(|bound| Quantity::from_parts(bound.into(), 0).ok());
        let above = DEFAULT.iter().map(|(above, _)| *above);
        let up_to = above.clone().skip(1).chain([None]);
        let bands = DEFAULT.iter().zip(above.zip(up_to));
        Bands(
            bands
                .map(|((_, name), (a, u))| Band { name: (*name).into(), above: bound(a), up_to: bound(u) })
                .collect(),
        )
    }

    /// The bands in the order of their bounds, when they leave no gap and do not overlap.
    ///
    /// # Errors
    /// `BANDS_GAP` and `BANDS_OVERLAP` name the place, `BANDS_INVALID` the band.
    pub fn checked(mut bands: Vec<Band>) -> Result<Bands, Rejection> {
        bands.sort_by(|a, b| {
            (a.above, a.up_to.is_none(), a.up_to).cmp(&(b.above, b.up_to.is_none(), b.up_to))
        });
        for band in &bands {
            let empty = band.above.zip(band.up_to).is_some_and(|(above, up_to)| above >= up_to);
            let twice = bands.iter().filter(|other| other.name == band.name).count() > 1;
            if empty || twice || band.name.trim().is_empty() {
                return Err(Rejection::new(Code::BandsInvalid).with("band", &band.name));
            }
        }
        let (Some(first), Some(last)) = (bands.first(), bands.last()) else {
            return Err(Rejection::new(Code::BandsInvalid).with("band", ""));
        };
        let gap = |from: Option<Quantity>, to: Option<Quantity>| {
            let bound = |bound: Option<Quantity>| bound.map_or_else(String::new, Quantity::plain);
            Rejection::new(Code::BandsGap).with("above", bound(from)).with("up_to", bound(to))
        };
        if first.above.is_some() {
            return Err(gap(None, first.above));
        }
        for pair in bands.windows(2) {
            match (pair[0].up_to, pair[1].above) {
                (Some(end), Some(begin)) if end == begin => {}
                (Some(end), Some(begin)) if end < begin => return Err(gap(Some(end), Some(begin))),
                _ => {
                    return Err(Rejection::new(Code::BandsOverlap)
                        .with("band", &pair[0].name)
                        .with("other", &pair[1].name));
                }
            }
        }
        match last.up_to {
            Some(end) => Err(gap(Some(end), None)),
            None => Ok(Bands(bands)),
        }
    }

    /// The band of an exact percentage.
    pub fn rating(&self, percent: &Quotient) -> Option<Arc<str>> {
        let below = |bound: Quantity| Quotient::from(bound.as_decimal()) < *percent;
        self.0.iter().rev().find(|band| band.above.is_none_or(below)).map(|band| Arc::clone(&band.name))
    }

    /// Lowest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Band> {
        self.0.iter()
    }
}

/// The settings with their history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Each set of bands with the record that made it hold, oldest first; never empty.
    pub bands: Vec<(Position, Bands)>,
    /// Days that are holidays (true) or working days (false), whatever the weekday and the fixed holidays say.
    pub days: BTreeMap<Date, bool>,
    /// Working days after a quarter's end on which its entries are due.
    pub due_working_days: u32,
}

/// Working days after a quarter's end on which its entries are due, unless the office sets another number.
pub const DUE_WORKING_DAYS: u32 = 5;
/// The most working days that may be set: a quarter is due before the next one is.
pub const DUE_WORKING_DAYS_MAX: u32 = 60;
/// The most days that may be set, over all years.
pub const DAYS_MAX: usize = 4_000;

/// Public holidays on a fixed date (month, day): new year, labour day, Pancasila, independence, Christmas. Movable ones
/// are set by the office.
const FIXED_HOLIDAYS: [(i8, i8); 5] = [(1, 1), (5, 1), (6, 1), (8, 17), (12, 25)];

impl Default for Config {
    fn default() -> Self {
        let bands = vec![(0, Bands::standard())];
        Config { bands, days: BTreeMap::new(), due_working_days: DUE_WORKING_DAYS }
    }
}

impl Config {
    /// The bands that hold now.
    pub fn bands(&self) -> &Bands {
        self.bands_at(Position::MAX)
    }

    /// The bands that held once a record was applied.
    pub fn bands_at(&self, position: Position) -> &Bands {
        let held = self.bands.iter().rev().find(|(since, _)| *since <= position);
        &held.or(self.bands.first()).expect("BUG: the first bands hold since ever").1
    }

    /// True on a holiday, a fixed one or one that the office set, whatever the weekday.
    pub fn is_holiday(&self, day: Date) -> bool {
        let fixed =
            || FIXED_HOLIDAYS.iter().any(|(month, of)| Date::new(day.year(), *month, *of) == Some(day));
        self.days.get(&day).copied().unwrap_or_else(fixed)
    }

    /// True on a day that counts toward a due date.
    pub fn is_working_day(&self, day: Date) -> bool {
        match self.days.get(&day) {
            Some(holiday) => !holiday,
            None => day.is_weekday() && !self.is_holiday(day),
        }
    }

    /// The last day on which a quarter's entries are in time.
    pub fn due_date(&self, quarter: PlanQuarter) -> Date {
        let mut day = quarter.quarter.last_day(quarter.year);
        let mut left = self.due_working_days;
        while left > 0 {
            day = day.plus_days(1);
            left -= u32::from(self.is_working_day(day));
        }
        day
    }
}

/// The commands of this file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigCommand {
    /// Replaces all bands.
    SetBands(Vec<Band>),
    SetDueDays(u32),
    /// Marks days as holidays or as working days.
    SetDays {
        holidays: Vec<Date>,
        working_days: Vec<Date>,
    },
}

impl ConfigCommand {
    pub(crate) fn texts(&self) -> Vec<&str> {
        match self {
            ConfigCommand::SetBands(bands) => bands.iter().map(|band| &*band.name).collect(),
            ConfigCommand::SetDueDays(_) | ConfigCommand::SetDays { .. } => Vec::new(),
        }
    }
}

pub(crate) fn decide(state: &State, command: &ConfigCommand) -> Result<Outcome, Rejection> {
    let config = &state.config;
    let nothing = |setting: &str| Err(Rejection::new(Code::NothingToChange).with("setting", setting));
    match command {
        ConfigCommand::SetBands(bands) => {
            if Bands::checked(bands.clone())? == *config.bands() {
                return nothing("bands");
            }
        }
        ConfigCommand::SetDueDays(days) if *days > DUE_WORKING_DAYS_MAX => {
            return Err(too_many(*days as usize, DUE_WORKING_DAYS_MAX as usize));
        }
        ConfigCommand::SetDueDays(days) if *days == config.due_working_days => return nothing("due_days"),
        ConfigCommand::SetDueDays(_) => {}
        ConfigCommand::SetDays { holidays, working_days } => {
            if let Some(day) = holidays.iter().find(|day| working_days.contains(day)) {
                return Err(Rejection::new(Code::ConfigInvalid).with("date", day));
            }
            let wanted = days_of(holidays, working_days);
            let new = wanted.clone().filter(|(day, _)| !config.days.contains_key(day)).count();
            if config.days.len() + new > DAYS_MAX {
                return Err(too_many(config.days.len() + new, DAYS_MAX));
            }
            let holds = |(day, holiday)| match holiday {
                true => config.is_holiday(day),
                false => config.is_working_day(day),
            };
            if wanted.clone().all(holds) {
                return nothing("holidays");
            }
        }
    }
    Ok(Outcome::Recorded(Effect::default()))
}

fn too_many(wanted: usize, most: usize) -> Rejection {
    Rejection::new(Code::ConfigInvalid).with("days", wanted).with("days_max", most)
}

fn days_of<'a>(
    holidays: &'a [Date],
    working_days: &'a [Date],
) -> impl Iterator<Item = (Date, bool)> + Clone + 'a {
    holidays.iter().map(|day| (*day, true)).chain(working_days.iter().map(|day| (*day, false)))
}

pub(crate) fn apply(state: &mut State, record: &Record, command: &ConfigCommand) {
    let config = &mut state.config;
    match command {
        ConfigCommand::SetBands(bands) => {
            if let Ok(bands) = Bands::checked(bands.clone()) {
                config.bands.push((record.position, bands));
            }
        }
        ConfigCommand::SetDueDays(days) => config.due_working_days = (*days).min(DUE_WORKING_DAYS_MAX),
        ConfigCommand::SetDays { holidays, working_days } => {
            config.days.extend(days_of(holidays, working_days));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Quarter;

    fn bands(texts: &str) -> Result<Bands, String> {
        let bound = |text: &str| (!text.is_empty()).then(|| Quantity::parse(text).unwrap());
        let band = |text: &str| {
            let (name, span) = text.split_once('=').unwrap();
            let (above, up_to) = span.split_once("..").unwrap();
            Band { name: name.into(), above: bound(above), up_to: bound(up_to) }
        };
        Bands::checked(texts.split_whitespace().map(band).collect()).map_err(|cause| cause.to_string())
    }

    #[track_caller]
    fn refused(texts: &str, cause: &str) {
        assert_eq!(bands(texts).unwrap_err(), cause, "{texts}");
    }

    #[test]
    fn bands_leave_no_gap_and_do_not_overlap() {
        assert!(bands("high=90.. low=..90").is_ok());
        assert!(bands("one=..").is_ok());
        refused("", "BANDS_INVALID band=");
        refused("a=..50 a=50..", "BANDS_INVALID band=a");
        refused("a=..50 b=60..50 c=60..", "BANDS_INVALID band=b");
        refused("a=..50 b=50..50 c=50..", "BANDS_INVALID band=b");
        refused("a=..50 b=60..", "BANDS_GAP above=50 up_to=60");
        refused("a=10..50 b=50..", "BANDS_GAP above= up_to=10");
        refused("a=..50 b=50..90", "BANDS_GAP above=90 up_to=");
        refused("a=..50 b=40..", "BANDS_OVERLAP band=a other=b");
        refused("a=..50 b=..", "BANDS_OVERLAP band=a other=b");
        refused("a=..50 b=50.. c=60..", "BANDS_OVERLAP band=b other=c");
    }

    #[test]
    fn a_band_begins_above_its_bound_and_holds_its_end() {
        let standard = Bands::standard();
        let rated =
            |n: u32, d: u32| standard.rating(&Quotient::from(n).over(&Quotient::from(d)).unwrap()).unwrap();
        assert_eq!(&*rated(9_000_001, 100_000), "Sangat Tinggi");
        assert_eq!(&*rated(90, 1), "Tinggi");
        assert_eq!(&*rated(181, 2), "Sangat Tinggi");
        assert_eq!(&*rated(75, 1), "Sedang");
        assert_eq!(&*rated(65, 1), "Rendah");
        assert_eq!(&*rated(50, 1), "Sangat Rendah");
        assert_eq!(&*rated(0, 1), "Sangat Rendah");
        assert_eq!(Bands::checked(standard.iter().cloned().collect()), Ok(standard));
    }

    #[test]
    fn due_dates_of_2024() {
        let due = |config: &Config| {
            Quarter::ALL.map(|quarter| config.due_date(PlanQuarter { year: 2024, quarter }).to_string())
        };
        let mut config = Config::default();
        assert_eq!(due(&config), ["2024-04-05", "2024-07-05", "2024-10-07", "2025-01-08"]);
        let day = |text| Date::parse(text).unwrap();
        config.days.insert(day("2024-04-05"), true);
        config.days.insert(day("2024-07-06"), false);
        config.days.insert(day("2025-01-01"), false);
        assert_eq!(due(&config), ["2024-04-08", "2024-07-05", "2024-10-07", "2025-01-07"]);
        config.due_working_days = 6;
        assert_eq!(due(&config), ["2024-04-09", "2024-07-06", "2024-10-08", "2025-01-08"]);
    }
}
