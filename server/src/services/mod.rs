//! The gRPC services. Each turns a request into what the office understands, and back.

pub mod enrolment;
pub mod host;
pub mod sync;
pub mod views;
