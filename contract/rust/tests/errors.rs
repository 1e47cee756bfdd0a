//! Walks the error table: every reason reaches a status and comes back.
#![allow(missing_docs)]

use bimetal_contract::errors::{ErrorReason, Retry};
use bimetal_contract::{Error, table};
use std::time::Duration;
use tonic::{Code, Status};

#[test]
fn every_reason_has_a_row_with_all_columns() {
    let mut rows = 0;
    for number in 1.. {
        let Ok(reason) = ErrorReason::try_from(number) else { break };
        let spec = table::spec_of(reason);
        assert_eq!(spec.reason, reason);
        assert_eq!(format!("ERROR_REASON_{}", spec.name), reason.as_str_name());
        assert!((400..600).contains(&spec.http_status), "{}", spec.name);
        assert!(!spec.title.is_empty() && spec.grpc_code != Some(Code::Ok), "{}", spec.name);
        assert!(
            spec.retry != Retry::Unspecified || reason == ErrorReason::Cancelled,
            "{} says nothing about retries",
            spec.name
        );
        assert_eq!(table::parse_reason(&spec.name), reason);
        rows += 1;
    }
    assert_eq!(rows, table::rows().count());
    assert!(rows >= 33, "{rows}");
}

#[test]
fn every_reason_of_grpc_survives_a_status_with_its_details() {
    for spec in table::rows() {
        let error = Error::new(spec.reason, "what happened")
            .with_current_version(u64::MAX)
            .with_owner("cache-1", 7)
            .with_retry_after(Duration::from_millis(1_500));
        let status = Status::from(error.clone());
        let Some(code) = spec.grpc_code else {
            assert_eq!(status.code(), Code::Internal, "{} exists on HTTP only", spec.name);
            continue;
        };
        assert_eq!(status.code(), code, "{}", spec.name);
        assert_eq!(Error::from_status(&status, true), error, "{}", spec.name);
    }
}

#[test]
fn a_field_at_fault_is_named() {
    let error = Error::invalid("ttl.relative", "greater than zero");
    assert_eq!(Error::from_status(&Status::from(error.clone()), true), error);
    assert_eq!(error.detail().violations[0].field, "ttl.relative");
}

#[test]
fn a_status_of_grpc_itself_is_mapped_by_code_and_by_whether_it_was_sent() {
    let of = |code, sent| Error::from_status(&Status::new(code, ""), sent).reason();
    assert_eq!(of(Code::Unavailable, false), ErrorReason::NodeUnavailable);
    assert_eq!(of(Code::Unavailable, true), ErrorReason::OutcomeUnknown);
    assert_eq!(of(Code::ResourceExhausted, true), ErrorReason::ResponseTooLarge);
    assert_eq!(of(Code::DataLoss, true), ErrorReason::Internal);
}
