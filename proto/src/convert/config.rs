use renaksi_domain::command::Command;
use renaksi_domain::config::{Band, ConfigCommand};
use renaksi_domain::time::Date;

use super::DecodeError;
use super::common::{date_from, optional_quantity, quantity_to};
use crate::log;
use crate::log::command::Body;

pub(super) fn to(command: &ConfigCommand) -> Body {
    let days = |days: &[Date]| days.iter().map(|day| day.days()).collect();
    match command {
        ConfigCommand::SetBands(bands) => {
            Body::SetBands(log::SetBands { bands: bands.iter().map(band_to).collect() })
        }
        ConfigCommand::SetDueDays(days) => Body::SetDueDays(*days),
        ConfigCommand::SetDays { holidays, working_days } => {
            Body::SetDays(log::SetDays { holidays: days(holidays), working_days: days(working_days) })
        }
    }
}

fn band_to(band: &Band) -> log::Band {
    log::Band {
        name: band.name.to_string(),
        above: band.above.map(quantity_to),
        up_to: band.up_to.map(quantity_to),
    }
}

pub(super) fn bands(stored: log::SetBands) -> Result<Command, DecodeError> {
    let band = |band: log::Band| {
        Ok(Band {
            name: band.name.into(),
            above: optional_quantity(band.above)?,
            up_to: optional_quantity(band.up_to)?,
        })
    };
    let bands = stored.bands.into_iter().map(band).collect::<Result<_, _>>()?;
    Ok(Command::Config(ConfigCommand::SetBands(bands)))
}

pub(super) fn due_days(days: u32) -> Result<Command, DecodeError> {
    Ok(Command::Config(ConfigCommand::SetDueDays(days)))
}

pub(super) fn days(stored: log::SetDays) -> Result<Command, DecodeError> {
    let dates = |days: Vec<i32>| days.into_iter().map(date_from).collect();
    Ok(Command::Config(ConfigCommand::SetDays {
        holidays: dates(stored.holidays),
        working_days: dates(stored.working_days),
    }))
}
