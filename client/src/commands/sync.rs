//! `sync`: sends what waits on the device, then fetches what the office's log has grown by.

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::context::{Context, Done};
use crate::device::{Judged, Progress, SyncReport};
use crate::error::{ClientError, Rejected};
use crate::render::{self, Paint};
use crate::text;

/// Nothing to say yet.
#[derive(Clone, Debug, Args)]
pub struct SyncArgs {}

/// Runs `sync`.
///
/// # Errors
/// Exit 5 when the server is not reached; what waits stays on the device.
pub async fn run(ctx: &Context, _args: SyncArgs) -> Result<Done, ClientError> {
    let mut device = ctx.device_untold()?;
    let bar = Bar::new(ctx);
    let synced = device.sync(&mut |progress| bar.show(progress)).await;
    bar.end();
    let report = synced?;
    match ctx.json {
        true => ctx.print_json(&report_json(&report)),
        false => tell(ctx, &report),
    }
    let well = report.held.is_empty()
        && report.refused.is_empty()
        && report.returned.is_empty()
        && report.newly_held.is_empty()
        && report.troubles.is_empty();
    match well {
        true => Ok(Done::Well),
        false => Ok(Done::NeedsAPerson),
    }
}

/// Progress on a terminal; nothing anywhere else.
#[derive(Debug)]
pub struct Bar(ProgressBar);

impl Bar {
    /// A bar that shows itself with the first progress.
    pub fn new(ctx: &Context) -> Bar {
        let target = if ctx.json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}") {
            bar.set_style(style);
        }
        Bar(bar)
    }

    /// Shows how far it is.
    pub fn show(&self, progress: Progress) {
        let (message, done, total) = match progress {
            Progress::Pushed { done, total } => (text::say("sync.sending"), done, Some(total)),
            Progress::Pulled { done, total } => (text::say("sync.fetching"), done, total),
            Progress::Indexed { done, total } => (text::say("audit.indexing"), done, Some(total)),
        };
        self.0.set_message(message);
        self.0.set_length(total.unwrap_or(done));
        self.0.set_position(done);
    }

    /// Takes the bar away.
    pub fn end(&self) {
        self.0.finish_and_clear();
    }
}

pub(super) fn report_json(report: &SyncReport) -> Value {
    let judged = |all: &[Judged]| all.iter().map(judged_json).collect::<Vec<_>>();
    json!({
        "pushed": report.pushed,
        "recorded": report.recorded,
        "held": judged(&report.held),
        "refused": judged(&report.refused),
        "duplicate": report.duplicate,
        "returned": report.returned.iter().map(|id| json!({ "entry_id": id.to_string() })).collect::<Vec<_>>(),
        "newly_held": judged(&report.newly_held),
        "troubles": report.troubles.iter().map(trouble_json).collect::<Vec<_>>(),
        "pulled": report.pulled,
        "position": report.position,
        "bytes_sent": report.bytes_sent,
        "bytes_received": report.bytes_received,
        "elapsed_ms": report.elapsed_ms,
    })
}

/// What is wrong with a device as a whole.
pub(super) fn trouble_json(cause: &Rejected) -> Value {
    let (message, hint) = text::error(cause);
    let details: serde_json::Map<String, Value> =
        cause.details.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect();
    json!({ "code": cause.code, "message": message, "hint": hint, "details": details })
}

fn judged_json(judged: &Judged) -> Value {
    let cause = Rejected::from(&judged.cause);
    json!({
        "entry_id": judged.entry_id.to_string(),
        "code": cause.code,
        "message": text::message(&cause),
    })
}

pub(super) fn tell(ctx: &Context, report: &SyncReport) {
    ctx.print(&text::with(
        "sync.sent",
        &[
            ("pushed", &report.pushed),
            ("recorded", &report.recorded),
            ("held", &report.held.len()),
            ("refused", &report.refused.len()),
            ("duplicate", &report.duplicate),
        ],
    ));
    ctx.print(&text::with("sync.fetched", &[("pulled", &report.pulled), ("position", &report.position)]));
    tell_judged(ctx, &text::say("sync.held"), &report.held);
    tell_judged(ctx, &text::say("sync.refused"), &report.refused);
    tell_judged(ctx, &text::say("sync.newly_held"), &report.newly_held);
    if !report.returned.is_empty() {
        let heading = text::count("sync.returned", report.returned.len() as u64, &[]);
        ctx.print(&format!("\n{}", render::paint(ctx.color, Paint::Yellow, &heading)));
        let ids = report.returned.iter().map(|id| id.simple().to_string()[..8].to_owned());
        ctx.print(&format!("  {}", ids.collect::<Vec<_>>().join(" ")));
    }
    report.troubles.iter().for_each(|cause| ctx.tell_trouble(cause));
}

/// Each cause once with what to do, and the entries under it.
fn tell_judged(ctx: &Context, heading: &str, all: &[Judged]) {
    if all.is_empty() {
        return;
    }
    ctx.print(&format!("\n{}", render::paint(ctx.color, Paint::Yellow, heading)));
    let mut causes: Vec<((String, String), Vec<String>)> = Vec::new();
    for judged in all {
        let said = text::error(&Rejected::from(&judged.cause));
        let id = judged.entry_id.simple().to_string()[..8].to_owned();
        match causes.iter_mut().find(|(known, _)| *known == said) {
            Some((_, ids)) => ids.push(id),
            None => causes.push((said, vec![id])),
        }
    }
    for ((message, hint), ids) in causes {
        ctx.print(&format!("  {message}\n    {}\n    {}: {hint}", ids.join(" "), text::say("common.hint")));
    }
}
