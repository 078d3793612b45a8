//! What was known at an earlier point of the log. Every command that takes `--as-of` asks here, so that a point means the
//! same everywhere; the quarter that is asked about stands beside it and is another question.

use std::borrow::Cow;

use renaksi_domain::State;
use renaksi_domain::ids::{IndicatorId, Position};
use renaksi_domain::time::{Date, Quarter, Timestamp};
use serde_json::{Value, json};

use crate::context::Context;
use crate::device::{Device, ReplayTo};
use crate::error::{ClientError, Rejected};
use crate::find;

/// A point of the log that this device has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// The last record that was known then.
    pub position: Position,
    /// The instant that was asked for, where it was one; never later than the present.
    pub time: Option<Timestamp>,
}

/// Understands a point: a position, a day (its end in the office's zone; today's is the present), or a time.
///
/// # Errors
/// Exit 2 for position 0, a position behind this device's copy, a time before the first record or one that has not come.
pub fn point(device: &Device, text: &str) -> Result<Point, ClientError> {
    let confirmed = &device.view().confirmed;
    let asked = find::position_or_time(text, confirmed.zone())?;
    let refused = |cause| Err(ClientError::NotUnderstood(cause));
    let time = match asked {
        ReplayTo::Position(0) => {
            return refused(Rejected::new("POSITION_UNKNOWN").with("position", 0).with("first", 1));
        }
        ReplayTo::Position(_) | ReplayTo::Head => None,
        ReplayTo::Time(time) => {
            let present = device.now().max(confirmed.time);
            let today = Date::parse(text.trim()) == Some(confirmed.zone().date_at(present));
            if time > present && !today {
                return refused(Rejected::new("TIME_IN_FUTURE").with("text", text.trim()));
            }
            Some(time.min(present))
        }
    };
    let position = device.position_of(asked)?;
    if position == 0 && !device.is_replica_missing() {
        return refused(Rejected::new("TIME_BEFORE_LOG").with("text", text.trim()));
    }
    Ok(Point { position, time })
}

/// A state with the moment it is looked at from.
#[derive(Clone, Debug)]
pub struct Known<'a> {
    pub state: Cow<'a, State>,
    /// Decides which year and quarter are meant when nobody names one.
    pub now: Timestamp,
    asked: Option<&'a str>,
}

impl<'a> Known<'a> {
    /// What was known at the point that is asked for; without one what is known now.
    ///
    /// # Errors
    /// As [`point`]; Integrity when the device's copy cannot be read.
    pub fn at(device: &'a Device, asked: Option<&'a str>) -> Result<Known<'a>, ClientError> {
        Known::folded(device, asked, |position| {
            Ok(device.replay(ReplayTo::Position(position), &mut |_, _, _| {})?.state)
        })
    }

    /// As [`Known::at`], for whoever shows figures and no entries: near at hand at every point, however long the log.
    ///
    /// # Errors
    /// As [`Known::at`].
    pub fn figures_at(device: &'a Device, asked: Option<&'a str>) -> Result<Known<'a>, ClientError> {
        Known::folded(device, asked, |position| device.figures_at(position))
    }

    fn folded(
        device: &'a Device,
        asked: Option<&'a str>,
        fold_to: impl FnOnce(Position) -> Result<State, ClientError>,
    ) -> Result<Known<'a>, ClientError> {
        let newest = &device.view().confirmed;
        let Some(text) = asked else {
            return Ok(Known { state: Cow::Borrowed(newest), now: device.now(), asked });
        };
        let point = point(device, text)?;
        let state = match point.position == newest.position {
            true => Cow::Borrowed(newest),
            false => Cow::Owned(fold_to(point.position)?),
        };
        Ok(Known::of(state, point, text))
    }

    /// A state that is at hand, as what was known at a point.
    pub fn of(state: Cow<'a, State>, point: Point, asked: &'a str) -> Known<'a> {
        Known { now: point.time.unwrap_or(state.time), state, asked: Some(asked) }
    }

    /// True when a point was asked for.
    pub fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// The year a command is about.
    ///
    /// # Errors
    /// As [`Context::year`]; naming the point where there was no such plan then.
    pub fn year(&self, ctx: &Context) -> Result<i16, ClientError> {
        ctx.year(&self.state, self.now).map_err(|error| self.then(error))
    }

    /// The quarter that is named, else the last that had begun.
    ///
    /// # Errors
    /// Exit 2 for what is no quarter.
    pub fn quarter(&self, year: i16, named: Option<u32>) -> Result<Quarter, ClientError> {
        match named {
            Some(number) => find::quarter(number),
            None => Ok(self.state.default_quarter(year, self.now)),
        }
    }

    /// The indicator of a code or of words of the name it had.
    ///
    /// # Errors
    /// As [`find::indicator`]; naming the point where there was no such indicator then.
    pub fn indicator(&self, year: i16, wanted: &str) -> Result<IndicatorId, ClientError> {
        find::indicator(&self.state, year, wanted).map_err(|error| self.then(error))
    }

    /// `as_of` of the JSON answers: null where nothing was asked for.
    pub fn json(&self) -> Value {
        let (position, time) = (self.state.position, self.state.time.rfc3339());
        self.asked.map_or(Value::Null, |asked| json!({ "asked": asked, "position": position, "time": time }))
    }

    /// What was not there then may be there now.
    fn then(&self, error: ClientError) -> ClientError {
        match (error, self.asked) {
            (ClientError::NotUnderstood(cause), Some(asked)) => {
                ClientError::NotUnderstood(cause.with("as_of", asked))
            }
            (error, _) => error,
        }
    }
}
