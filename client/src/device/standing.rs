//! What the server last said of this device as a whole, kept so that every command can say it offline: that its rights
//! were taken away, with what it handed in since, or that it is one of two copies that went on apart.

use std::collections::BTreeMap;

use prost::Message;
use renaksi_proto::convert::{rejection_from, rejection_to};
use renaksi_proto::{chain, log};
use serde_json::{Value, json};

use super::replica::replica_error;
use super::{Device, Receipt, ReceiptOutcome};
use crate::error::{ClientError, Rejected};

/// Nothing, when all is well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// The receipts that the replica will never bring, by sequence: a revoked device is given no more of the log.
    pub(super) revoked: Option<BTreeMap<u32, ReceiptOutcome>>,
    /// The first command that the server has otherwise. It took nothing from there on.
    pub(super) forked_from: Option<u32>,
    /// The office takes no writes: its log lacks what its key signed.
    pub(super) behind: Option<Behind>,
}

/// How far the server's log reached, and how far it had been signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Behind {
    here: u64,
    seen: u64,
}

impl Behind {
    pub(super) fn told(self) -> Rejected {
        Rejected::new("LOG_BEHIND").with("here", self.here).with("seen", self.seen)
    }
}

impl Standing {
    /// Notes that the device is revoked, and what it was told of its commands.
    pub(super) fn revoke(&mut self, receipts: Vec<Receipt>) {
        let told = receipts.into_iter().map(|receipt| (receipt.key.sequence, receipt.outcome));
        self.revoked.get_or_insert_default().extend(told);
    }

    /// The outcome of a command that was handed in.
    pub(super) fn handed_in(&self, sequence: u32) -> Option<&ReceiptOutcome> {
        self.revoked.as_ref()?.get(&sequence)
    }

    pub(super) fn to_json(&self) -> Value {
        let handed_in = |(sequence, outcome): (&u32, &ReceiptOutcome)| {
            let (verdict, cause) = match outcome {
                ReceiptOutcome::Recorded => ("recorded", None),
                ReceiptOutcome::Held(cause) => ("held", Some(cause)),
                ReceiptOutcome::Refused(cause) => ("refused", Some(cause)),
            };
            let cause = cause.map(rejection_to);
            json!({
                "sequence": sequence,
                "verdict": verdict,
                "code": cause.as_ref().map(|cause| &cause.code),
                "details": cause.map(|cause| {
                    cause.details.into_iter().map(|detail| [detail.key, detail.value]).collect::<Vec<_>>()
                }),
            })
        };
        json!({
            "revoked": self.revoked.as_ref().map(|told| told.iter().map(handed_in).collect::<Vec<_>>()),
            "forked_from": self.forked_from,
            "behind": self.behind.map(|gap| json!({ "here": gap.here, "seen": gap.seen })),
        })
    }

    pub(super) fn from_json(value: &Value) -> Option<Standing> {
        let number = |value: &Value| u32::try_from(value.as_u64()?).ok();
        let revoked = match value.get("revoked")? {
            Value::Null => None,
            told => {
                let told = told.as_array()?.iter();
                let each = told.map(|value| Some((number(value.get("sequence")?)?, outcome_from(value)?)));
                Some(each.collect::<Option<_>>()?)
            }
        };
        let forked_from = match value.get("forked_from")? {
            Value::Null => None,
            sequence => Some(number(sequence)?),
        };
        // An earlier release did not write it.
        let behind = value.get("behind").and_then(|gap| {
            Some(Behind { here: gap.get("here")?.as_u64()?, seen: gap.get("seen")?.as_u64()? })
        });
        Some(Standing { revoked, forked_from, behind })
    }
}

impl Device {
    pub(super) fn note_revoked(&mut self, receipts: Vec<Receipt>) -> Result<(), ClientError> {
        self.standing.revoke(receipts);
        self.home.write_standing(&self.standing)
    }

    pub(super) fn note_forked(&mut self, sequence: u32) -> Result<(), ClientError> {
        let first = self.standing.forked_from.map_or(sequence, |known| known.min(sequence));
        self.standing.forked_from = Some(first);
        self.home.write_standing(&self.standing)
    }

    pub(super) fn note_behind(&mut self, cause: &Rejected) -> Result<(), ClientError> {
        let detail = |name| cause.details.iter().find(|(key, _)| key == name)?.1.parse().ok();
        self.standing.behind =
            Some(Behind { here: detail("here").unwrap_or(0), seen: detail("seen").unwrap_or(0) });
        self.home.write_standing(&self.standing)
    }

    pub(super) fn note_well(&mut self) -> Result<(), ClientError> {
        match self.standing == Standing::default() {
            true => Ok(()),
            false => {
                self.standing = Standing::default();
                self.home.write_standing(&self.standing)
            }
        }
    }

    /// The first command of this device that the replica has otherwise than the feed. What follows a command that only
    /// another copy of this device made must not be sent: the server would take it as the next of that copy.
    pub(super) fn other_history(&self, replica_is_new: bool) -> Result<Option<u32>, ClientError> {
        let known = self.replica.known();
        if self.outbox.last() > known.sequence {
            let start = chain::start(self.identity.incarnation);
            let own = self.outbox.chain_before(known.sequence + 1, 1, start)?;
            return match own == known.chain {
                true => Ok(None),
                false => Ok(Some(self.first_divergence()?.unwrap_or(1))),
            };
        }
        match replica_is_new || self.standing.forked_from.is_some() {
            true => self.first_divergence(),
            // Nothing is sent.
            false => Ok(None),
        }
    }

    pub(super) fn first_divergence(&self) -> Result<Option<u32>, ClientError> {
        let mut feed = self.outbox.commands(1);
        for commit in self.replica.reader().iter(1) {
            for entry in commit.map_err(|error| replica_error(&error))?.entries {
                let record = log::Record::decode(entry.leaf.as_slice()).ok();
                let Some(record) = record.filter(|record| record.origin == self.identity.origin.0) else {
                    continue;
                };
                match feed.next().transpose()? {
                    Some((_, own)) if own.leaf == record.command => {}
                    Some((sequence, _)) => return Ok(Some(sequence)),
                    // An old copy that went no way of its own.
                    None => return Ok(None),
                }
            }
        }
        Ok(None)
    }

    /// Remembers what a call said of the device as a whole.
    pub(super) fn note_trouble(
        &mut self,
        error: Option<&ClientError>,
        receipts: Vec<Receipt>,
    ) -> Result<(), ClientError> {
        match error {
            Some(error) if is_revoked(error) => self.note_revoked(receipts),
            Some(error) if error.cause().code == "LOG_BEHIND" => self.note_behind(error.cause()),
            Some(error) if error.cause().code == "DEVICE_FORKED" => {
                self.note_forked(self.first_unconfirmed())
            }
            _ => Ok(()),
        }
    }
}

/// The server says that this device's rights were taken away.
pub(super) fn is_revoked(error: &ClientError) -> bool {
    matches!(error, ClientError::NotAdmitted(cause) if cause.code == "DEVICE_REVOKED")
}

fn outcome_from(value: &Value) -> Option<ReceiptOutcome> {
    let cause = || {
        let detail = |pair: &Value| {
            let text = |index| Some(pair.get(index)?.as_str()?.to_owned());
            Some(log::Detail { key: text(0)?, value: text(1)? })
        };
        let details = value.get("details")?.as_array()?.iter().map(detail).collect::<Option<_>>()?;
        Some(rejection_from(log::Rejection { code: value.get("code")?.as_str()?.to_owned(), details }))
    };
    Some(match value.get("verdict")?.as_str()? {
        "recorded" => ReceiptOutcome::Recorded,
        "held" => ReceiptOutcome::Held(cause()?),
        "refused" => ReceiptOutcome::Refused(cause()?),
        _ => return None,
    })
}
