//! Replay from nothing, and verification of every hash and signature.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use renaksi_domain::hash::state_hash;
use renaksi_ledger::SignedCheckpoint;
use renaksi_proto::agreed::hex;
use serde_json::{Value, json};

use super::event::epoch_json;
use crate::context::{Context, Done};
use crate::device::{Bad, Device, ReplayTo, VerifyReport};
use crate::error::{ClientError, Rejected};
use crate::find;
use crate::text;

pub(super) fn replay(ctx: &Context, to: Option<&str>) -> Result<Done, ClientError> {
    let device = ctx.device()?;
    let head = device.replica().head().size;
    let to = match to {
        Some(text) => find::position_or_time(text, device.view().confirmed.zone())?,
        None => ReplayTo::Head,
    };
    if let ReplayTo::Position(position) = to
        && position > head
    {
        let cause = Rejected::new("POSITION_UNKNOWN").with("position", position).with("last", head);
        return Err(ClientError::NotUnderstood(cause));
    }
    let bar = bar(ctx, head);
    let started = Instant::now();
    let mut events = 0_u64;
    let fold = device.replay(to, &mut |_, _, _| {
        events += 1;
        bar.inc(1);
    })?;
    let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    bar.finish_and_clear();
    let (position, hash) = (fold.state.position, hex(&state_hash(&fold.state)));
    match ctx.json {
        true => ctx.print_json(&json!({
            "position": position,
            "state_hash": hash,
            "events": events,
            "elapsed_ms": elapsed_ms,
        })),
        false => {
            ctx.print(&text::with(
                "audit.replayed",
                &[("events", &events), ("position", &position), ("elapsed", &elapsed_ms)],
            ));
            ctx.print(&text::with("audit.state_hash", &[("hash", &hash)]));
        }
    }
    Ok(Done::Well)
}

/// A bar on a terminal, nothing elsewhere.
fn bar(ctx: &Context, records: u64) -> ProgressBar {
    if ctx.json || !ctx.color {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(records), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} {per_sec}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

pub(super) async fn run(ctx: &Context) -> Result<Done, ClientError> {
    let mut device = ctx.device()?;
    let damage = device.replica_damage().cloned();
    let behind = catch_up(ctx, &mut device).await;
    if let Some(damage) = &damage {
        match behind {
            // What was damaged is set aside; the copy that is verified now came whole from the server.
            CaughtUp::Now => ctx.notice(&text::message(damage)),
            CaughtUp::No | CaughtUp::Disagrees(_) => return Err(ClientError::Integrity(damage.clone())),
        }
    }
    let report = device.verify()?;
    if ctx.json {
        ctx.print_json(&report_json(&report, damage.as_ref()));
    } else {
        print_report(ctx, &report);
    }
    let cause = match (&report.first_bad, behind) {
        (None, CaughtUp::Disagrees(error)) if report.ok && ctx.json => error.cause().clone(),
        (None, CaughtUp::Disagrees(error)) if report.ok => return Err(error),
        (None, CaughtUp::Now | CaughtUp::No) if report.ok => return Ok(Done::Well),
        (None, _) if report.size == 0 => {
            let nothing = ClientError::Failed(Rejected::new("NOTHING_TO_VERIFY"));
            return end(ctx, device, nothing);
        }
        (Some(bad), _) => does_not_verify(bad),
        (None, _) => Rejected::new("LOG_DOES_NOT_VERIFY"),
    };
    end(ctx, device, ClientError::Integrity(cause))
}

/// Ends with the error's exit code. With `--json` the report is the answer; a second object would leave no one to read.
pub(super) fn end<H>(ctx: &Context, held: H, error: ClientError) -> Result<Done, ClientError> {
    if ctx.json {
        drop(held);
        std::process::exit(i32::from(error.exit_code()));
    }
    Err(error)
}

/// How far the replica is beside the server's log.
enum CaughtUp {
    Now,
    /// The server could not be asked.
    No,
    /// The server's log and the replica are not one log.
    Disagrees(ClientError),
}

/// The newest records first, when the server gives them; a replica that is behind is still worth verifying.
async fn catch_up(ctx: &Context, device: &mut Device) -> CaughtUp {
    match device.sync(&mut |_| {}).await {
        // The server gives a revoked or forked device no more of the log.
        Ok(report)
            if !report.troubles.iter().any(|t| t.code == "DEVICE_REVOKED" || t.code == "DEVICE_FORKED") =>
        {
            CaughtUp::Now
        }
        Err(integrity @ ClientError::Integrity(_)) => CaughtUp::Disagrees(integrity),
        Ok(_) | Err(_) => {
            ctx.notice(&text::with("audit.not_synced", &[("position", &device.replica().head().size)]));
            CaughtUp::No
        }
    }
}

pub(super) fn does_not_verify(bad: &Bad) -> Rejected {
    Rejected::new("LOG_DOES_NOT_VERIFY").with("position", bad.position).with("what", in_words(bad))
}

pub(super) fn report_json(report: &VerifyReport, damage: Option<&Rejected>) -> Value {
    json!({
        "ok": report.ok,
        "size": report.size,
        "root": hex(&report.root),
        "epoch": report.epoch,
        "checkpoint": report.checkpoint.as_ref().map(checkpoint_json),
        "checked_records": report.checked_records,
        "checked_signatures": report.checked_signatures,
        "checked_texts": report.checked_texts,
        "unreadable_texts": report.unreadable_texts,
        "not_decided_again": report.not_decided_again,
        "epochs": report.epochs.iter().map(epoch_json).collect::<Vec<_>>(),
        "first_bad": report.first_bad.as_ref().map(|bad| json!({ "position": bad.position, "code": bad.code, "what": bad.what })),
        "state_hash": hex(&report.state_hash),
        "replica_damage": damage.map(|cause| &cause.code),
    })
}

pub(super) fn checkpoint_json(signed: &SignedCheckpoint) -> Value {
    let at = signed.checkpoint();
    json!({ "size": at.size, "root": hex(&at.root), "epoch": at.epoch, "note": signed.note() })
}

fn in_words(bad: &Bad) -> String {
    text::message(&Rejected::new(&bad.code).with("position", bad.position))
}

pub(super) fn print_report(ctx: &Context, report: &VerifyReport) {
    match &report.first_bad {
        None if report.ok => ctx.print(&text::with(
            "audit.verified",
            &[("records", &report.checked_records), ("signatures", &report.checked_signatures)],
        )),
        Some(bad) => ctx
            .print(&text::with("audit.first_bad", &[("position", &bad.position), ("what", &in_words(bad))])),
        None => ctx.print(&text::say("audit.nothing_verified")),
    }
    if report.not_decided_again > 0 {
        ctx.print(&text::with("audit.not_decided_again", &[("records", &report.not_decided_again)]));
    }
    for begun in &report.epochs {
        let of: [(&str, &dyn std::fmt::Display); 3] =
            [("epoch", &begun.epoch), ("size", &begun.size), ("reason", &begun.reason)];
        ctx.print(&text::with("audit.epoch", &of));
        if let Some(seen) = begun.seen {
            ctx.print(&text::with("audit.epoch_seen", &[("size", &seen.size), ("epoch", &seen.epoch)]));
        }
    }
    ctx.print(&text::with(
        "audit.root",
        &[("root", &hex(&report.root)), ("size", &report.size), ("epoch", &report.epoch)],
    ));
    ctx.print(&text::with("audit.state_hash", &[("hash", &hex(&report.state_hash))]));
    if let Some(at) = report.checkpoint.as_ref().map(SignedCheckpoint::checkpoint) {
        ctx.print(&text::with("audit.checkpoint", &[("size", &at.size), ("epoch", &at.epoch)]));
    }
}
