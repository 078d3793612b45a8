//! `enroll INVITE`: makes the device's key, answers the invite, and pulls the office's log for the first time.

use clap::Args;
use serde_json::json;

use super::sync;
use crate::context::{Context, Done};
use crate::device::{self, Device};
use crate::error::ClientError;
use crate::{render, text};

/// The invite.
#[derive(Clone, Debug, Args)]
pub struct EnrollArgs {
    /// The invite that the operator gave, whole
    pub invite: String,
    /// Reach the server at another address than the invite's
    #[arg(long, value_name = "ADDR")]
    pub server: Option<String>,
}

/// Runs `enroll`.
///
/// # Errors
/// Exit 2 for what is no invite, 5 when the server is not reached or not ours, 4 when it declines.
pub async fn run(ctx: &Context, args: EnrollArgs) -> Result<Done, ClientError> {
    let clock = ctx.played_clock.as_deref();
    let mut device = device::enroll(&ctx.home, args.invite.trim(), args.server.as_deref(), clock).await?;
    ctx.tell_rehearsal(&device);
    if device.view().confirmed.position == 0 {
        let bar = sync::Bar::new(ctx);
        device.sync(&mut |progress| bar.show(progress)).await?;
        bar.end();
    }
    report(ctx, &device);
    Ok(Done::Well)
}

/// The roles of the device's owner today, with their units.
pub(super) fn roles(device: &Device) -> Vec<(&'static str, Option<String>)> {
    let state = &device.view().confirmed;
    let today = state.day(device.now());
    let assignments = state.people.assignments_on(device.identity().person, today);
    let unit = |id| state.people.unit(id).map(|unit| unit.name.to_string());
    assignments.map(|assignment| (assignment.role.name(), assignment.unit.and_then(unit))).collect()
}

/// Roles as people read them: `kepala bidang (Bidang Perdagangan)`.
pub(super) fn roles_label(roles: &[(&'static str, Option<String>)]) -> String {
    let label = |(role, unit): &(&'static str, Option<String>)| match unit {
        Some(unit) => format!("{} ({unit})", text::term("role", role)),
        None => text::term("role", role),
    };
    roles.iter().map(label).collect::<Vec<_>>().join(", ")
}

fn report(ctx: &Context, device: &Device) {
    let (identity, roles) = (device.identity(), roles(device));
    let position = device.view().confirmed.position;
    if ctx.json {
        return ctx.print_json(&json!({
            "office": identity.office_name,
            "office_id": identity.office.to_string(),
            "person": identity.person_name,
            "roles": roles.iter().map(|(role, _)| role).collect::<Vec<_>>(),
            "units": roles.iter().filter_map(|(_, unit)| unit.as_ref()).collect::<Vec<_>>(),
            "device": identity.device.0,
            "position": position,
        }));
    }
    ctx.print(&render::paint(ctx.color, render::Paint::Green, &text::say("enroll.done")));
    ctx.print(&render::pairs(&[
        (text::say("label.person"), identity.person_name.clone()),
        (text::say("label.role"), roles_label(&roles)),
        (text::say("label.office"), identity.office_name.clone()),
        (text::say("label.records"), position.to_string()),
    ]));
}
