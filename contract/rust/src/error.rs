//! An error of the table, and its two forms on the wire: `bimetal.errors.v1.Error` inside results, and a gRPC
//! status with `google.rpc.ErrorInfo`.

use crate::errors::{self, ErrorReason, FieldViolation, Owner};
use crate::table::{parse_reason, spec_of};
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// `google.rpc.ErrorInfo.domain` of every error of the platform.
pub const DOMAIN: &str = "bimetal";

// Keys of ErrorInfo.metadata: what has no place in a standard detail.
const CURRENT_VERSION: &str = "current_version";
const OWNER: &str = "owner";
const EPOCH: &str = "epoch";

/// An error of the error table; boxed, so that a result is no larger than what succeeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Error(Box<errors::Error>);

impl Error {
    /// With a message for people: what happened, where, and what would be right.
    #[must_use]
    pub fn new(reason: ErrorReason, message: impl Into<String>) -> Self {
        Self(Box::new(errors::Error {
            reason: reason as i32,
            message: message.into(),
            ..errors::Error::default()
        }))
    }

    /// INVALID_ARGUMENT for one field, named by its path in the request message.
    #[must_use]
    pub fn invalid(field: &str, description: impl Into<String>) -> Self {
        let description = description.into();
        let mut error = Self::new(ErrorReason::InvalidArgument, format!("{field}: {description}"));
        error.0.violations.push(FieldViolation { field: field.into(), description });
        error
    }

    /// With the version of the live entry, 0 for none.
    #[must_use]
    pub fn with_current_version(mut self, version: u64) -> Self {
        self.0.current_version = Some(version);
        self
    }

    /// With who owns the key.
    #[must_use]
    pub fn with_owner(mut self, name: impl Into<String>, epoch: u64) -> Self {
        self.0.owner = Some(Owner { name: name.into(), epoch });
        self
    }

    /// With the time before which a repeat is useless.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after = prost_types::Duration::try_from(delay).ok();
        self
    }

    /// Never `Unspecified`.
    #[must_use]
    pub fn reason(&self) -> ErrorReason {
        match self.0.reason() {
            ErrorReason::Unspecified => ErrorReason::Internal,
            reason => reason,
        }
    }

    /// The form inside results.
    #[must_use]
    pub fn detail(&self) -> &errors::Error {
        &self.0
    }

    /// The form inside results.
    #[must_use]
    pub fn into_detail(self) -> errors::Error {
        *self.0
    }

    /// Takes an error out of a result.
    #[must_use]
    pub fn from_detail(detail: errors::Error) -> Self {
        Self(Box::new(detail))
    }

    /// Of a status that a call ended with. Without ErrorInfo of the platform it is mapped by code; `sent` says
    /// whether the request may have reached the peer.
    #[must_use]
    pub fn from_status(status: &Status, sent: bool) -> Self {
        let details = status.get_error_details();
        let info = details.error_info().filter(|info| info.domain == DOMAIN);
        let Some(info) = info else {
            return Self::new(reason_of_code(status.code(), sent), status.message());
        };
        let mut error = Self::new(parse_reason(&info.reason), status.message());
        let number = |key| info.metadata.get(key).and_then(|text| text.parse().ok());
        error.0.current_version = number(CURRENT_VERSION);
        if let Some(name) = info.metadata.get(OWNER) {
            error = error.with_owner(name, number(EPOCH).unwrap_or(0));
        }
        if let Some(delay) = details.retry_info().and_then(|retry| retry.retry_delay) {
            error = error.with_retry_after(delay);
        }
        if let Some(bad) = details.bad_request() {
            let violations = bad.field_violations.iter();
            error.0.violations = violations
                .map(|v| FieldViolation { field: v.field.clone(), description: v.description.clone() })
                .collect();
        }
        error
    }
}

/// The contract's mapping of statuses that come from gRPC itself.
fn reason_of_code(code: Code, sent: bool) -> ErrorReason {
    match code {
        Code::Unavailable if sent => ErrorReason::OutcomeUnknown,
        Code::Unavailable => ErrorReason::NodeUnavailable,
        Code::ResourceExhausted => ErrorReason::ResponseTooLarge,
        Code::InvalidArgument => ErrorReason::InvalidArgument,
        Code::Unauthenticated => ErrorReason::Unauthenticated,
        Code::PermissionDenied => ErrorReason::PermissionDenied,
        Code::DeadlineExceeded => ErrorReason::DeadlineExceeded,
        Code::Cancelled => ErrorReason::Cancelled,
        _ => ErrorReason::Internal,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", spec_of(self.reason()).name, self.0.message)
    }
}

impl std::error::Error for Error {}

impl From<Error> for Status {
    /// ErrorInfo always, BadRequest and RetryInfo where they apply. Reasons that exist on HTTP only have no
    /// business on gRPC and become INTERNAL.
    fn from(Error(error): Error) -> Self {
        let error = *error;
        let mut spec = spec_of(error.reason());
        if spec.grpc_code.is_none() {
            spec = spec_of(ErrorReason::Internal);
        }
        let mut metadata = HashMap::new();
        if let Some(version) = error.current_version {
            metadata.insert(CURRENT_VERSION.to_owned(), version.to_string());
        }
        if let Some(owner) = error.owner {
            metadata.insert(OWNER.to_owned(), owner.name);
            metadata.insert(EPOCH.to_owned(), owner.epoch.to_string());
        }
        let mut details = ErrorDetails::with_error_info(spec.name.clone(), DOMAIN, metadata);
        for violation in error.violations {
            details.add_bad_request_violation(violation.field, violation.description);
        }
        if let Some(delay) = error.retry_after {
            details.set_retry_info(Duration::try_from(delay).ok());
        }
        Status::with_error_details(spec.grpc_code.unwrap_or(Code::Internal), error.message, details)
    }
}
