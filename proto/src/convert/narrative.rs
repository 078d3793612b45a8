use renaksi_domain::command::Command;
use renaksi_domain::ids::IndicatorId;
use renaksi_domain::narrative::{SetNarrative, Texts};

use super::DecodeError;
use super::common::quarter_from;
use crate::log;
use crate::log::command::Body;

pub(super) fn to(set: &SetNarrative) -> Body {
    Body::SetNarrative(log::SetNarrative {
        indicator: set.indicator.0,
        quarter: u32::from(set.quarter.number()),
        base: set.base,
        driver: set.texts.driver.to_string(),
        obstacle: set.texts.obstacle.to_string(),
        follow_up: set.texts.follow_up.to_string(),
    })
}

pub(super) fn set(stored: log::SetNarrative) -> Result<Command, DecodeError> {
    Ok(Command::Narrative(SetNarrative {
        indicator: IndicatorId(stored.indicator),
        quarter: quarter_from(stored.quarter)?,
        base: stored.base,
        texts: Texts {
            driver: stored.driver.into(),
            obstacle: stored.obstacle.into(),
            follow_up: stored.follow_up.into(),
        },
    }))
}
