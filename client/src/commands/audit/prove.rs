//! Receipts and exports: what anybody can check without the server, and without trusting it.

use std::path::{Path, PathBuf};

use clap::Args;
use renaksi_domain::ids::{CommandKey, Position};
use renaksi_ledger::{LogProof, ProofError, SignedCheckpoint, Tree, export_tiles};
use renaksi_proto::agreed::hex;
use renaksi_proto::convert::decode_record;
use serde_json::{Value, json};

use super::each_record;
use super::verify::{checkpoint_json, does_not_verify, end, print_report, report_json};
use crate::commands::file;
use crate::context::{Context, Done};
use crate::device::{Device, LogKey, pinned_log_key, verify_bundle, write_durable};
use crate::error::{ClientError, Rejected};
use crate::find;
use crate::text;

/// A receipt holds one record of at most 65,535 bytes.
const RECEIPT_BYTES_MAX: u64 = 1 << 20;

/// What to prove.
#[derive(Clone, Debug, Args)]
pub struct ProveArgs {
    /// An entry's id, or a record's place in the log
    #[arg(value_name = "ENTRY|POSITION")]
    pub what: String,
    /// Writes the receipt into a new file instead
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// What to export.
#[derive(Clone, Debug, Args)]
pub struct ExportArgs {
    /// The new file; with --tiles a new folder
    pub to: PathBuf,
    /// Writes C2SP tlog-tiles, which tools of others read: records and hashes, without the texts beside them
    #[arg(long)]
    pub tiles: bool,
}

/// What to verify instead of this device's copy.
#[derive(Clone, Debug, Default, Args)]
pub struct VerifyArgs {
    /// A receipt from `audit prove`; needs no server
    #[arg(long, value_name = "FILE", group = "file")]
    pub receipt: Option<PathBuf>,
    /// A file from `audit export`; needs no server
    #[arg(long, value_name = "FILE", group = "file")]
    pub bundle: Option<PathBuf>,
    /// The key of the office's log, as `audit prove` names it; without it the one that this device knows
    #[arg(long, value_name = "KEY", requires = "file")]
    pub key: Option<String>,
}

pub(super) fn prove(ctx: &Context, args: &ProveArgs) -> Result<Done, ClientError> {
    let device = ctx.device()?;
    let position = position_of(&device, &args.what)?;
    let (signed, log_key) = device.provable()?;
    let receipt = receipt(&device, signed, &log_key, position)?.to_string();
    if let Some(file) = &args.output {
        refuse_existing(file)?;
        write_durable(file, receipt.as_bytes(), 0o600)?;
    }
    let file = args.output.as_ref().map(|file| file.display().to_string());
    match ctx.json {
        true => ctx.print_json(&json!({
            "position": position,
            "checkpoint": checkpoint_json(signed),
            "log_key": log_key,
            "receipt": receipt,
            "file": file,
        })),
        false => {
            match file {
                Some(file) => {
                    ctx.print(&text::with("audit.proved", &[("position", &position), ("file", &file)]))
                }
                None => ctx.print(receipt.trim_end()),
            }
            ctx.notice(&text::with("audit.log_key", &[("key", &log_key)]));
        }
    }
    Ok(Done::Well)
}

/// Shows a record to be under the checkpoint. It is checked as whoever gets it does.
pub(super) fn receipt(
    device: &Device,
    signed: &SignedCheckpoint,
    log_key: &str,
    position: Position,
) -> Result<LogProof, ClientError> {
    let (reader, size) = (device.replica(), signed.checkpoint().size);
    let unknown = || {
        let cause = Rejected::new("POSITION_UNKNOWN").with("position", position).with("last", size);
        ClientError::NotUnderstood(cause)
    };
    if position == 0 || position > size {
        return Err(unknown());
    }
    let leaf = reader.record(position).map_err(damaged)?.ok_or_else(unknown)?.leaf;
    let path = Tree::open(&reader).and_then(|tree| tree.inclusion(position, size)).map_err(damaged)?;
    let proof = LogProof { position, leaf: Some(leaf), path, checkpoint: signed.note().to_owned() };
    let key = LogKey::parse(log_key).expect("BUG: our own key does not read back");
    proof.verify(None, key.office, &key.key).map_err(|error| invalid(&error))?;
    Ok(proof)
}

pub(super) fn export(ctx: &Context, args: &ExportArgs) -> Result<Done, ClientError> {
    let device = ctx.device()?;
    let (signed, log_key) = device.provable()?;
    let at = signed.checkpoint();
    match args.tiles {
        true => export_tiles(&device.replica(), signed, &args.to)
            .map_err(|error| not_exported(&args.to, error))?,
        false => drop(device.export_bundle(&args.to)?),
    }
    let to = args.to.display().to_string();
    match ctx.json {
        true => ctx.print_json(&json!({
            "to": to,
            "records": at.size,
            "checkpoint": checkpoint_json(signed),
            "log_key": log_key,
        })),
        false => {
            ctx.print(&text::with("audit.exported", &[("records", &at.size), ("to", &to)]));
            ctx.notice(&text::with("audit.log_key", &[("key", &log_key)]));
        }
    }
    Ok(Done::Well)
}

pub(super) fn verify_receipt(ctx: &Context, path: &Path, key: Option<&str>) -> Result<Done, ClientError> {
    let bytes = file::read(path, RECEIPT_BYTES_MAX)?;
    let not_one = || ClientError::NotAdmitted(Rejected::new("NOT_A_RECEIPT").with("path", path.display()));
    let receipt = String::from_utf8(bytes).ok().filter(|text| text.starts_with("c2sp.org/tlog-proof@"));
    let receipt = receipt.ok_or_else(not_one)?;
    let unknown = || ClientError::NotUnderstood(Rejected::new("LOG_KEY_UNKNOWN"));
    let key = trusted_key(ctx, key)?.ok_or_else(unknown)?;
    let proof = LogProof::parse(&receipt).map_err(|error| invalid(&error))?;
    let checked = proof.verify(None, key.office, &key.key);
    let at = match checked {
        Ok(at) => at,
        Err(error) => {
            let cause = invalid(&error);
            if ctx.json {
                let (code, what) = (cause.cause().code.clone(), cause.cause().to_string());
                ctx.print_json(&json!({
                    "ok": false,
                    "position": proof.position,
                    "size": Value::Null,
                    "root": Value::Null,
                    "epoch": Value::Null,
                    "checkpoint": Value::Null,
                    "checked_records": 0,
                    "first_bad": { "position": proof.position, "code": code, "what": what },
                }));
            }
            return end(ctx, (), cause);
        }
    };
    let leaf = proof.leaf.as_deref().expect("BUG: it was verified");
    // A record of a newer release is proved all the same.
    let record = decode_record(leaf).ok().map(|(record, _)| record);
    let kind = record.as_ref().map(|record| record.envelope.command.name());
    if ctx.json {
        let (made, root) = (record.as_ref().map(|record| record.time.rfc3339()), hex(&at.root));
        ctx.print_json(&json!({
            "ok": true,
            "position": proof.position,
            "type": kind,
            "time": made,
            "size": at.size,
            "root": root,
            "epoch": at.epoch,
            "checkpoint": { "size": at.size, "root": root, "epoch": at.epoch, "note": proof.checkpoint },
            "checked_records": 1,
            "first_bad": Value::Null,
        }));
    } else {
        let kind = kind.unwrap_or("record.newer");
        let values: [(&str, &dyn std::fmt::Display); 4] =
            [("position", &proof.position), ("type", &kind), ("size", &at.size), ("office", &at.office)];
        ctx.print(&text::with("audit.receipt_holds", &values));
    }
    Ok(Done::Well)
}

pub(super) fn verify_file(ctx: &Context, path: &Path, key: Option<&str>) -> Result<Done, ClientError> {
    let report = verify_bundle(path, trusted_key(ctx, key)?)?;
    if ctx.json {
        let mut object = report_json(&report.log, None);
        object["log_key"] = report.log_key.as_str().into();
        object["key_from_bundle"] = report.key_from_bundle.into();
        ctx.print_json(&object);
    } else {
        print_report(ctx, &report.log);
        if report.key_from_bundle {
            ctx.notice(&text::with("audit.key_from_bundle", &[("key", &report.log_key)]));
        }
    }
    match report.log.first_bad {
        None => Ok(Done::Well),
        Some(bad) => end(ctx, (), ClientError::Integrity(does_not_verify(&bad))),
    }
}

/// A record's position as it is written, or the record of an entry.
fn position_of(device: &Device, what: &str) -> Result<Position, ClientError> {
    if let Ok(position) = what.parse() {
        return Ok(position);
    }
    let key: CommandKey = find::entry(device, what)?;
    let mut found = None;
    each_record(device, &mut |stored| {
        let is_it = stored.record.as_ref().is_some_and(|(record, _)| record.envelope.key() == key);
        found = is_it.then_some(stored.position);
        Ok(!is_it)
    })?;
    found.ok_or_else(|| ClientError::NotAdmitted(Rejected::new("NOT_IN_THE_LOG").with("entry", what)))
}

fn trusted_key(ctx: &Context, given: Option<&str>) -> Result<Option<LogKey>, ClientError> {
    let Some(text) = given else { return pinned_log_key(&ctx.home) };
    let bad = || ClientError::NotUnderstood(Rejected::new("BAD_LOG_KEY").with("text", text));
    LogKey::parse(text).map(Some).ok_or_else(bad)
}

fn invalid(error: &ProofError) -> ClientError {
    let sources = std::iter::successors(std::error::Error::source(error), |error| error.source());
    let cause = sources.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
    ClientError::Integrity(Rejected::new("RECEIPT_INVALID").with("cause", cause))
}

fn refuse_existing(path: &Path) -> Result<(), ClientError> {
    match path.exists() {
        true => Err(ClientError::NotAdmitted(Rejected::new("FILE_EXISTS").with("path", path.display()))),
        false => Ok(()),
    }
}

fn not_exported(to: &Path, error: renaksi_ledger::Error) -> ClientError {
    use renaksi_ledger::Error as E;
    match error {
        E::NotEmpty { .. } => {
            ClientError::NotAdmitted(Rejected::new("FILE_EXISTS").with("path", to.display()))
        }
        E::Io { action, path, source } => {
            let cause = Rejected::new("IO_FAILED").with("path", path.display());
            ClientError::Failed(cause.with("action", action).with("cause", source))
        }
        error => damaged(error),
    }
}

fn damaged(error: renaksi_ledger::Error) -> ClientError {
    ClientError::Integrity(Rejected::new("REPLICA_DAMAGED").with("cause", error))
}
