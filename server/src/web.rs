//! Plain HTTP on the server's own machine: whether the process runs, and whether its offices take work. A proxy or a
//! supervisor asks it; devices never do.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;

use crate::error::ServerError;
use crate::offices::Offices;

/// Refuses an address that other machines reach: there is neither TLS nor a login.
pub fn on_this_machine(web: Option<SocketAddr>) -> Result<(), ServerError> {
    match web {
        Some(web) if !web.ip().is_loopback() => Err(ServerError::Usage(format!(
            "--web {web} would be reached from other machines, without TLS; give 127.0.0.1:{} and let a proxy lead there",
            web.port()
        ))),
        _ => Ok(()),
    }
}

/// Everything that is offered.
pub(crate) fn router(offices: Arc<Offices>) -> Router {
    Router::new().route("/healthz", get(async || "ok")).route("/readyz", get(readiness)).with_state(offices)
}

/// Ready for as long as an office serves: one that does not must not take the others with it.
async fn readiness(State(offices): State<Arc<Offices>>) -> (StatusCode, String) {
    let failing = offices.failing();
    let (status, mut told) = match offices.serves() {
        true => (StatusCode::OK, "ready".to_owned()),
        false => (StatusCode::SERVICE_UNAVAILABLE, "stopped".to_owned()),
    };
    for (office, code) in failing {
        told.push_str(&format!("\noffice {office} does not serve: {code}"));
    }
    (status, told)
}
