//! The error table. It is declared once, as options of `bimetal.errors.v1.ErrorReason`, and read here from
//! the descriptor: no row is written by hand in Rust.

use crate::errors::{ErrorReason, Retry};
use crate::identity::DESCRIPTOR_SET;
use prost_reflect::{DescriptorPool, DynamicMessage, Value};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use tonic::Code;

const PREFIX: &str = "ERROR_REASON_";

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The reason.
    pub reason: ErrorReason,
    /// As on every wire and in every log: the name without its prefix.
    pub name: String,
    /// None: the reason exists on HTTP only.
    pub grpc_code: Option<Code>,
    /// 400 to 599.
    pub http_status: u16,
    /// A short title, the same for every occurrence.
    pub title: String,
    /// What a caller may do.
    pub retry: Retry,
}

static TABLE: LazyLock<BTreeMap<i32, Spec>> = LazyLock::new(|| match read() {
    Some(table) => table,
    None => unreachable!("the embedded descriptor set holds the error table"),
});

fn read() -> Option<BTreeMap<i32, Spec>> {
    let pool = DescriptorPool::decode(DESCRIPTOR_SET).ok()?;
    let extension = pool.get_extension_by_name("bimetal.errors.v1.error")?;
    let reasons = pool.get_enum_by_name("bimetal.errors.v1.ErrorReason")?;
    let mut table = BTreeMap::new();
    for value in reasons.values() {
        let reason = ErrorReason::try_from(value.number()).ok()?;
        if reason == ErrorReason::Unspecified {
            continue;
        }
        let options = value.options();
        let row = options.get_extension(&extension);
        table.insert(value.number(), spec(reason, value.name(), row.as_message()?)?);
    }
    Some(table)
}

fn spec(reason: ErrorReason, name: &str, row: &DynamicMessage) -> Option<Spec> {
    let field = |name: &str| row.get_field_by_name(name).map(std::borrow::Cow::into_owned);
    let grpc_code = row.has_field_by_name("grpc_code").then(|| field("grpc_code")).flatten();
    Some(Spec {
        reason,
        name: name.strip_prefix(PREFIX)?.to_owned(),
        grpc_code: grpc_code.and_then(|value| value.as_enum_number()).map(Code::from_i32),
        http_status: u16::try_from(field("http_status")?.as_u32()?).ok()?,
        title: match field("title")? {
            Value::String(title) => title,
            _ => return None,
        },
        retry: Retry::try_from(field("retry")?.as_enum_number()?).ok()?,
    })
}

/// All rows, by number.
pub fn rows() -> impl Iterator<Item = &'static Spec> {
    TABLE.values()
}

/// The row of a reason; of one that is unset, the row of INTERNAL.
#[must_use]
pub fn spec_of(reason: ErrorReason) -> &'static Spec {
    match TABLE.get(&(reason as i32)).or_else(|| TABLE.get(&(ErrorReason::Internal as i32))) {
        Some(spec) => spec,
        None => unreachable!("INTERNAL is in the table"),
    }
}

/// The reason by its name on the wire; an unknown one is INTERNAL.
#[must_use]
pub fn parse_reason(name: &str) -> ErrorReason {
    ErrorReason::from_str_name(&format!("{PREFIX}{name}"))
        .filter(|reason| *reason != ErrorReason::Unspecified)
        .unwrap_or(ErrorReason::Internal)
}
