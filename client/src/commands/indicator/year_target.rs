//! The stated target of a year beside what its quarters come to. It is a warning wherever somebody looks, and asks a reason
//! when the plan is submitted.

use renaksi_domain::State;
use renaksi_domain::figures::year_target_differs;
use renaksi_domain::ids::IndicatorId;
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::{ClientError, Rejected};
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

/// A refusal for one such indicator, with all of the plan: for people the others each on its line, for programs the list.
pub(crate) fn whole(ctx: &Context, state: &State, year: i16, error: ClientError) -> ClientError {
    let ClientError::NotAdmitted(cause) = error else { return error };
    if cause.code != "YEAR_TARGET_DIFFERS" {
        return ClientError::NotAdmitted(cause);
    }
    let all = warnings(state, year);
    if ctx.json {
        return ClientError::NotAdmitted(cause.with("warnings", warnings_json(&all)));
    }
    notice(ctx, all.iter().filter(|warning| warning.details != cause.details));
    ClientError::NotAdmitted(cause)
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

#[cfg(test)]
mod tests {
    use renaksi_domain::ids::UnitId;
    use renaksi_domain::quantity::Quantity;

    use super::*;
    use crate::commands::audit::fixture::{Office, UTTP};

    #[test]
    fn a_refusal_names_every_indicator_that_differs() {
        let mut state = Office::established().state;
        assert!(warnings(&state, 2024).is_empty(), "nothing is stated");
        for (id, stated) in [(IndicatorId(1), "7,8"), (IndicatorId(2), "6"), (UTTP, "1000")] {
            state.indicators[id.index()].year_target = Quantity::parse(stated).ok();
        }
        let all = warnings(&state, 2024);
        let codes: Vec<&str> = all.iter().map(|warning| warning.details[0].1.as_str()).collect();
        assert_eq!(codes.last(), Some(&"1.1.1.1"));
        assert!(codes.contains(&"1.1.1"), "{codes:?}");
        let ctx = Context { json: true, ..Context::default() };
        let refused = whole(&ctx, &state, 2024, ClientError::NotAdmitted(all[0].clone()));
        let (name, listed) = refused.cause().details.last().unwrap();
        let listed: Value = serde_json::from_str(listed).unwrap();
        assert_eq!((name.as_str(), listed.as_array().unwrap().len()), ("warnings", all.len()));
        assert_eq!(listed[all.len() - 1]["stated"], "1000");
        let other = ClientError::NotAdmitted(Rejected::new("UNKNOWN_UNIT").with("unit", UnitId(1)));
        assert_eq!(
            whole(&ctx, &state, 2024, other).cause().details.len(),
            1,
            "another refusal stays as it is"
        );
    }
}
