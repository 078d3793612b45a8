//! Why a command is refused or held: one code for each cause, with the objects it names. Texts for people are made from
//! code and details by whoever shows them, in the reader's language.

use std::fmt;

/// Every cause, each with a stable name that is written in the log and read by scripts. See docs/errors.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    // who
    RoleMayNot,
    NotOwnEntry,
    SelfVerification,
    SelfApproval,
    NotYourUnit,
    // unknown objects
    UnknownPlan,
    UnknownIndicator,
    UnknownEntry,
    UnknownHeld,
    UnknownRevision,
    UnknownPerson,
    UnknownUnit,
    UnknownDevice,
    UnknownGrant,
    Unreadable,
    TooLarge,
    TextUnprintable,
    // the plan's life
    OfficeExists,
    PlanExists,
    PlanEstablished,
    PlanNotDraft,
    PlanNotSubmitted,
    PlanNotEstablished,
    ImportIncomplete,
    ImportInvalid,
    YearTargetDiffers,
    // entries
    WrongYear,
    NegativeCount,
    ReadingMismatch,
    EntryNotCounted,
    AlreadyJudged,
    VersionMoved,
    ReasonMissing,
    // held
    QuarterLocked,
    IndicatorRetired,
    NotAssigned,
    ClockImplausible,
    EntryNotYetKnown,
    DeviceRevoked,
    DeviceForked,
    // quarters
    QuarterNotOver,
    QuarterNotOpen,
    LockNotRequested,
    QuarterNotLocked,
    ReopenNotRequested,
    ReopenPast,
    RelockNotDue,
    // revisions
    RevisionState,
    RevisionEmpty,
    RevisionNumberTaken,
    BaseMoved,
    CellLocked,
    BeforeEffect,
    LegalBasisMissing,
    PlaceInvalid,
    NothingToChange,
    // configuration
    RulesUnknown,
    BandsGap,
    BandsOverlap,
    BandsInvalid,
    ConfigInvalid,
    CapInvalid,
    /// A cause that a newer release wrote; its name is among the details as `code`.
    Newer,
}

const NAMES: [(Code, &str); 63] = [
    (Code::RoleMayNot, "ROLE_MAY_NOT"),
    (Code::NotOwnEntry, "NOT_OWN_ENTRY"),
    (Code::SelfVerification, "SELF_VERIFICATION"),
    (Code::SelfApproval, "SELF_APPROVAL"),
    (Code::NotYourUnit, "NOT_YOUR_UNIT"),
    (Code::UnknownPlan, "UNKNOWN_PLAN"),
    (Code::UnknownIndicator, "UNKNOWN_INDICATOR"),
    (Code::UnknownEntry, "UNKNOWN_ENTRY"),
    (Code::UnknownHeld, "UNKNOWN_HELD"),
    (Code::UnknownRevision, "UNKNOWN_REVISION"),
    (Code::UnknownPerson, "UNKNOWN_PERSON"),
    (Code::UnknownUnit, "UNKNOWN_UNIT"),
    (Code::UnknownDevice, "UNKNOWN_DEVICE"),
    (Code::UnknownGrant, "UNKNOWN_GRANT"),
    (Code::Unreadable, "UNREADABLE"),
    (Code::TooLarge, "TOO_LARGE"),
    (Code::TextUnprintable, "TEXT_UNPRINTABLE"),
    (Code::OfficeExists, "OFFICE_EXISTS"),
    (Code::PlanExists, "PLAN_EXISTS"),
    (Code::PlanEstablished, "PLAN_ESTABLISHED"),
    (Code::PlanNotDraft, "PLAN_NOT_DRAFT"),
    (Code::PlanNotSubmitted, "PLAN_NOT_SUBMITTED"),
    (Code::PlanNotEstablished, "PLAN_NOT_ESTABLISHED"),
    (Code::ImportIncomplete, "IMPORT_INCOMPLETE"),
    (Code::ImportInvalid, "IMPORT_INVALID"),
    (Code::YearTargetDiffers, "YEAR_TARGET_DIFFERS"),
    (Code::WrongYear, "WRONG_YEAR"),
    (Code::NegativeCount, "NEGATIVE_COUNT"),
    (Code::ReadingMismatch, "READING_MISMATCH"),
    (Code::EntryNotCounted, "ENTRY_NOT_COUNTED"),
    (Code::AlreadyJudged, "ALREADY_JUDGED"),
    (Code::VersionMoved, "VERSION_MOVED"),
    (Code::ReasonMissing, "REASON_MISSING"),
    (Code::QuarterLocked, "QUARTER_LOCKED"),
    (Code::IndicatorRetired, "INDICATOR_RETIRED"),
    (Code::NotAssigned, "NOT_ASSIGNED"),
    (Code::ClockImplausible, "CLOCK_IMPLAUSIBLE"),
    (Code::EntryNotYetKnown, "ENTRY_NOT_YET_KNOWN"),
    (Code::DeviceRevoked, "DEVICE_REVOKED"),
    (Code::DeviceForked, "DEVICE_FORKED"),
    (Code::QuarterNotOver, "QUARTER_NOT_OVER"),
    (Code::QuarterNotOpen, "QUARTER_NOT_OPEN"),
    (Code::LockNotRequested, "LOCK_NOT_REQUESTED"),
    (Code::QuarterNotLocked, "QUARTER_NOT_LOCKED"),
    (Code::ReopenNotRequested, "REOPEN_NOT_REQUESTED"),
    (Code::ReopenPast, "REOPEN_PAST"),
    (Code::RelockNotDue, "RELOCK_NOT_DUE"),
    (Code::RevisionState, "REVISION_STATE"),
    (Code::RevisionEmpty, "REVISION_EMPTY"),
    (Code::RevisionNumberTaken, "REVISION_NUMBER_TAKEN"),
    (Code::BaseMoved, "BASE_MOVED"),
    (Code::CellLocked, "CELL_LOCKED"),
    (Code::BeforeEffect, "BEFORE_EFFECT"),
    (Code::LegalBasisMissing, "LEGAL_BASIS_MISSING"),
    (Code::PlaceInvalid, "PLACE_INVALID"),
    (Code::NothingToChange, "NOTHING_TO_CHANGE"),
    (Code::RulesUnknown, "RULES_UNKNOWN"),
    (Code::BandsGap, "BANDS_GAP"),
    (Code::BandsOverlap, "BANDS_OVERLAP"),
    (Code::BandsInvalid, "BANDS_INVALID"),
    (Code::ConfigInvalid, "CONFIG_INVALID"),
    (Code::CapInvalid, "CAP_INVALID"),
    (Code::Newer, "NEWER"),
];

impl Code {
    /// Every cause this release can give.
    pub fn all() -> impl Iterator<Item = Code> {
        NAMES[..NAMES.len() - 1].iter().map(|(code, _)| *code)
    }

    /// The stable name.
    pub fn name(self) -> &'static str {
        NAMES
            .iter()
            .find(|(code, _)| *code == self)
            .map(|(_, name)| *name)
            .expect("BUG: every code has a name")
    }

    /// The cause of a name; [`Code::Newer`] for one that this release does not know.
    pub fn from_name(name: &str) -> Code {
        NAMES.iter().find(|(_, known)| *known == name).map_or(Code::Newer, |(code, _)| *code)
    }

    /// True when the cause is that the person may not, whatever the object's state (exit code 6).
    pub fn is_permission(self) -> bool {
        matches!(
            self,
            Code::RoleMayNot
                | Code::NotOwnEntry
                | Code::SelfVerification
                | Code::SelfApproval
                | Code::NotYourUnit
                | Code::DeviceRevoked
        )
    }
}

/// A cause with the objects it names. Keys are stable, values are in the forms of the JSON contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The cause.
    pub code: Code,
    /// What it is about, in a fixed order.
    pub details: Vec<(Box<str>, Box<str>)>,
}

impl Rejection {
    /// A cause that names nothing yet.
    pub fn new(code: Code) -> Self {
        Self { code, details: Vec::new() }
    }

    /// The same, naming one more object.
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Self {
        self.details.push((key.into(), value.to_string().into()));
        self
    }

    /// The code as it stands in the log, also where a newer release wrote it.
    pub fn stored_code(&self) -> &str {
        let newer = (self.code == Code::Newer).then(|| self.detail("code")).flatten();
        newer.unwrap_or_else(|| self.code.name())
    }

    /// The details as they stand in the log.
    pub fn stored_details(&self) -> impl Iterator<Item = &(Box<str>, Box<str>)> {
        let newer = self.code == Code::Newer;
        self.details.iter().filter(move |(key, _)| !newer || &**key != "code")
    }

    /// The value of a detail.
    pub fn detail(&self, key: &str) -> Option<&str> {
        self.details.iter().find(|(known, _)| &**known == key).map(|(_, value)| &**value)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.name())?;
        for (key, value) in &self.details {
            write!(f, " {key}={value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_code() {
        for code in Code::all() {
            assert_eq!(Code::from_name(code.name()), code);
        }
        assert_eq!(Code::from_name("SOMETHING_LATER"), Code::Newer);
    }
}
