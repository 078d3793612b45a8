use renaksi_domain::entry::{Reading, State as EntryState};
use renaksi_domain::ids::{CommandKey, Origin};
use renaksi_domain::indicator::{Level, LowerFormula, Polarity};
use renaksi_domain::people::Role;
use renaksi_domain::proposal::Kind;
use renaksi_domain::quantity::{Quantity, Target};
use renaksi_domain::rejection::{Code, Rejection};
use renaksi_domain::time::{Date, Quarter};

use super::{DecodeError, field};
use crate::log;

pub(super) fn quantity_to(quantity: Quantity) -> log::Quantity {
    let (mantissa, scale) = quantity.parts();
    log::Quantity { mantissa, scale: u32::from(scale) }
}

pub(super) fn quantity_from(stored: &log::Quantity) -> Result<Quantity, DecodeError> {
    let scale = u8::try_from(stored.scale).ok();
    field(
        scale.and_then(|scale| Quantity::from_parts(stored.mantissa, scale).ok()),
        "Quantity",
        "mantissa and scale",
    )
}

/// None where there is none.
pub(super) fn optional_quantity(stored: Option<log::Quantity>) -> Result<Option<Quantity>, DecodeError> {
    stored.as_ref().map(quantity_from).transpose()
}

pub(super) fn reading_to(reading: &Reading) -> log::Reading {
    use log::reading::Value;
    let value = match reading {
        Reading::Quantity(quantity) => Value::Quantity(quantity_to(*quantity)),
        Reading::Ratio { numerator, denominator } => Value::Ratio(log::Ratio {
            numerator: Some(quantity_to(*numerator)),
            denominator: Some(quantity_to(*denominator)),
        }),
        Reading::Text(text) => Value::Text(text.to_string()),
    };
    log::Reading { value: Some(value) }
}

pub(super) fn reading_from(stored: Option<log::Reading>) -> Result<Reading, DecodeError> {
    use log::reading::Value;
    let part = |quantity: Option<log::Quantity>| quantity_from(&field(quantity, "Ratio", "part")?);
    // A message without a value holds a kind of value that this release does not know.
    Ok(match field(stored, "command", "reading")?.value.ok_or(DecodeError::Newer)? {
        Value::Quantity(quantity) => Reading::Quantity(quantity_from(&quantity)?),
        Value::Ratio(ratio) => {
            Reading::Ratio { numerator: part(ratio.numerator)?, denominator: part(ratio.denominator)? }
        }
        Value::Text(text) => Reading::Text(text.into()),
    })
}

pub(super) fn target_to(target: &Target) -> log::Target {
    use log::target::Value;
    let value = match target {
        Target::Value(quantity) => Value::Quantity(quantity_to(*quantity)),
        Target::Text(text) => Value::Text(text.to_string()),
        Target::NotPlanned => Value::Blank(log::Blank::NotPlanned.into()),
        Target::Missing => Value::Blank(log::Blank::Missing.into()),
    };
    log::Target { value: Some(value) }
}

pub(super) fn target_from(stored: Option<log::Target>) -> Result<Target, DecodeError> {
    use log::target::Value;
    Ok(match field(stored, "command", "target")?.value.ok_or(DecodeError::Newer)? {
        Value::Quantity(quantity) => Target::Value(quantity_from(&quantity)?),
        Value::Text(text) => Target::Text(text.into()),
        Value::Blank(blank) => match log::Blank::try_from(blank) {
            Ok(log::Blank::NotPlanned) => Target::NotPlanned,
            Ok(log::Blank::Missing) => Target::Missing,
            Ok(log::Blank::Unspecified) => {
                return Err(DecodeError::Field { message: "Target", field: "blank" });
            }
            Err(_) => return Err(DecodeError::Newer),
        },
    })
}

pub(super) fn key_to(key: CommandKey) -> log::CommandKey {
    log::CommandKey { origin: key.origin.0, sequence: key.sequence }
}

pub(super) fn key_from(stored: Option<log::CommandKey>) -> Result<CommandKey, DecodeError> {
    let stored = field(stored, "CommandKey", "origin and sequence")?;
    Ok(CommandKey::new(Origin(stored.origin), stored.sequence))
}

/// A cause as it is stored and sent.
pub fn rejection_to(rejection: &Rejection) -> log::Rejection {
    let detail =
        |(key, value): &(Box<str>, Box<str>)| log::Detail { key: key.to_string(), value: value.to_string() };
    log::Rejection {
        code: rejection.stored_code().to_owned(),
        details: rejection.stored_details().map(detail).collect(),
    }
}

/// A stored or received cause.
pub fn rejection_from(stored: log::Rejection) -> Rejection {
    let code = Code::from_name(&stored.code);
    let mut rejection = Rejection::new(code);
    rejection.details = stored.details.into_iter().map(|d| (d.key.into(), d.value.into())).collect();
    if code == Code::Newer { rejection.with("code", stored.code) } else { rejection }
}

pub(super) fn quarter_from(number: u32) -> Result<Quarter, DecodeError> {
    field(Quarter::from_number(number), "quarter", "number from 1 to 4")
}

pub(super) fn year_from(year: i32) -> Result<i16, DecodeError> {
    field(i16::try_from(year).ok(), "year", "calendar year")
}

pub(super) fn date_from(days: i32) -> Date {
    Date::from_days(days)
}

pub(super) fn kind_to(kind: Kind) -> log::Kind {
    match kind {
        Kind::Sum => log::Kind::Sum,
        Kind::Cumulative => log::Kind::Cumulative,
        Kind::Latest => log::Kind::Latest,
        Kind::Average => log::Kind::Average,
        Kind::Ratio => log::Kind::Ratio,
    }
}

/// `None` where the field was left unset.
pub(super) fn kind_from(stored: i32) -> Result<Option<Kind>, DecodeError> {
    Ok(match log::Kind::try_from(stored) {
        Ok(log::Kind::Unspecified) => None,
        Ok(log::Kind::Sum) => Some(Kind::Sum),
        Ok(log::Kind::Cumulative) => Some(Kind::Cumulative),
        Ok(log::Kind::Latest) => Some(Kind::Latest),
        Ok(log::Kind::Average) => Some(Kind::Average),
        Ok(log::Kind::Ratio) => Some(Kind::Ratio),
        Err(_) => return Err(DecodeError::Newer),
    })
}

pub(super) fn polarity_to(polarity: Polarity) -> log::Polarity {
    match polarity {
        Polarity::Higher => log::Polarity::Higher,
        Polarity::Lower => log::Polarity::Lower,
    }
}

/// `None` where the field was left unset.
pub(super) fn polarity_from(stored: i32) -> Result<Option<Polarity>, DecodeError> {
    Ok(match log::Polarity::try_from(stored) {
        Ok(log::Polarity::Unspecified) => None,
        Ok(log::Polarity::Higher) => Some(Polarity::Higher),
        Ok(log::Polarity::Lower) => Some(Polarity::Lower),
        Err(_) => return Err(DecodeError::Newer),
    })
}

pub(super) fn formula_to(formula: LowerFormula) -> log::LowerFormula {
    match formula {
        LowerFormula::Mirrored => log::LowerFormula::Mirrored,
        LowerFormula::Inverse => log::LowerFormula::Inverse,
    }
}

/// `None` where the field was left unset.
pub(super) fn formula_from(stored: i32) -> Result<Option<LowerFormula>, DecodeError> {
    Ok(match log::LowerFormula::try_from(stored) {
        Ok(log::LowerFormula::Unspecified) => None,
        Ok(log::LowerFormula::Mirrored) => Some(LowerFormula::Mirrored),
        Ok(log::LowerFormula::Inverse) => Some(LowerFormula::Inverse),
        Err(_) => return Err(DecodeError::Newer),
    })
}

pub(super) fn level_to(level: Level) -> log::Level {
    match level {
        Level::Strategic => log::Level::Strategic,
        Level::Program => log::Level::Program,
        Level::Activity => log::Level::Activity,
        Level::SubActivity => log::Level::SubActivity,
    }
}

pub(super) fn level_from(stored: i32) -> Result<Level, DecodeError> {
    Ok(match log::Level::try_from(stored) {
        Ok(log::Level::Strategic) => Level::Strategic,
        Ok(log::Level::Program) => Level::Program,
        Ok(log::Level::Activity) => Level::Activity,
        Ok(log::Level::SubActivity) => Level::SubActivity,
        Ok(log::Level::Unspecified) => {
            return Err(DecodeError::Field { message: "ImportIndicator", field: "level" });
        }
        Err(_) => return Err(DecodeError::Newer),
    })
}

pub(super) fn role_to(role: Role) -> log::Role {
    match role {
        Role::Officer => log::Role::Officer,
        Role::HeadOfUnit => log::Role::HeadOfUnit,
        Role::Administrator => log::Role::Administrator,
        Role::HeadOfOffice => log::Role::HeadOfOffice,
        Role::Auditor => log::Role::Auditor,
        Role::Operator => log::Role::Operator,
    }
}

pub(super) fn role_from(stored: i32) -> Result<Role, DecodeError> {
    Ok(match log::Role::try_from(stored) {
        Ok(log::Role::Officer) => Role::Officer,
        Ok(log::Role::HeadOfUnit) => Role::HeadOfUnit,
        Ok(log::Role::Administrator) => Role::Administrator,
        Ok(log::Role::HeadOfOffice) => Role::HeadOfOffice,
        Ok(log::Role::Auditor) => Role::Auditor,
        Ok(log::Role::Operator) => Role::Operator,
        Ok(log::Role::Unspecified) => return Err(DecodeError::Field { message: "Assign", field: "role" }),
        Err(_) => return Err(DecodeError::Newer),
    })
}

pub(super) fn entry_state_to(state: EntryState) -> log::EntryState {
    match state {
        EntryState::Recorded => log::EntryState::Recorded,
        EntryState::Verified => log::EntryState::Verified,
        EntryState::Returned => log::EntryState::Returned,
        EntryState::Voided => log::EntryState::Voided,
    }
}

pub(super) fn entry_state_from(stored: i32) -> Result<EntryState, DecodeError> {
    Ok(match log::EntryState::try_from(stored) {
        Ok(log::EntryState::Recorded) => EntryState::Recorded,
        Ok(log::EntryState::Verified) => EntryState::Verified,
        Ok(log::EntryState::Returned) => EntryState::Returned,
        Ok(log::EntryState::Voided) => EntryState::Voided,
        Ok(log::EntryState::Unspecified) => {
            return Err(DecodeError::Field { message: "Counted", field: "state" });
        }
        Err(_) => return Err(DecodeError::Newer),
    })
}
