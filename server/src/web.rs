//! Plain HTTP on the server's own machine: whether the process runs, and whether the office takes work. A proxy or a
//! supervisor asks it; devices never do.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;

use crate::error::ServerError;
use crate::office::Shared;

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
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new().route("/healthz", get(async || "ok")).route("/readyz", get(readiness)).with_state(shared)
}

async fn readiness(State(shared): State<Arc<Shared>>) -> (StatusCode, &'static str) {
    match shared.is_stopped() {
        true => (StatusCode::SERVICE_UNAVAILABLE, "stopped"),
        false => (StatusCode::OK, "ready"),
    }
}
