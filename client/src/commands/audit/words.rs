//! Small words of the audit trail: patterns filled from an event's own fields, hashes, times of the office.

use std::fmt::Display;

use renaksi_domain::time::{DAY_MICROS, Timestamp, Zone};
use serde_json::{Map, Value};

use crate::text;

/// The text of a key in the reader's language, its `%{field}` filled from the fields; what is not there reads as a dash.
pub fn say(key: &str, fields: &Map<String, Value>) -> String {
    let words: Vec<(&str, String)> = fields
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.as_str(), word(value)))
        .collect();
    let values: Vec<(&str, &dyn Display)> =
        words.iter().map(|(name, word)| (*name, word as &dyn Display)).collect();
    text::with(key, &values)
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// An instant on the office's clock, to the minute: `2024-07-10 09:12`.
pub fn office_time(zone: Zone, time: Timestamp) -> String {
    let local = time.plus_micros(zone.offset_hours() * 3_600_000_000);
    let minutes = local.0.rem_euclid(DAY_MICROS) / 60_000_000;
    format!("{} {:02}:{:02}", zone.date_at(time), minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offices_clock_is_its_zones() {
        let utc = Timestamp(0);
        assert_eq!(office_time(Zone::Jakarta, utc), "1970-01-01 07:00");
        assert_eq!(office_time(Zone::Jayapura, utc.plus_micros(15 * 3_600_000_000)), "1970-01-02 00:00");
    }
}
