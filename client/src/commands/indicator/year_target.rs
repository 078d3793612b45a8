//! The stated target of a year beside what its quarters come to. It is a warning wherever somebody looks, and asks a reason
//! when the plan is submitted.

use renaksi_domain::State;
use renaksi_domain::figures::year_target_differs;
use renaksi_domain::ids::IndicatorId;
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::Rejected;
use crate::render::{self, Paint};
use crate::text;

/// The warning of an indicator whose stated target is not what its quarters come to.
pub(crate) fn warning(state: &State, id: IndicatorId) -> Option<Rejected> {
    let indicator = state.indicator(id)?;
    let (stated, derived) = year_target_differs(indicator)?;
    let warning = Rejected::new("YEAR_TARGET_DIFFERS").with("indicator", &indicator.code);
    Some(warning.with("stated", stated.plain()).with("derived", derived))
}

/// The same of a whole plan, in its order.
pub(crate) fn warnings(state: &State, year: i16) -> Vec<Rejected> {
    let plan = state.plan(year);
    plan.into_iter().flat_map(|plan| &plan.indicators).filter_map(|id| warning(state, *id)).collect()
}

/// Warnings as JSON has them: code, message, and what they name.
pub(crate) fn warnings_json<'a>(warnings: impl IntoIterator<Item = &'a Rejected>) -> Value {
    let one = |warning: &Rejected| {
        let mut object = json!({ "code": warning.code, "message": text::message(warning) });
        for (key, value) in &warning.details {
            object[key.as_str()] = json!(value);
        }
        object
    };
    Value::Array(warnings.into_iter().map(one).collect())
}

/// Says warnings on stderr.
pub(crate) fn notice<'a>(ctx: &Context, warnings: impl IntoIterator<Item = &'a Rejected>) {
    for warning in warnings {
        ctx.notice(&render::paint(ctx.color, Paint::Yellow, &text::message(warning)));
    }
}
