//! Sizes that the contract fixes, and the checks of what a caller sends.

use crate::error::Error;

/// Longest key, in bytes; the shortest is 1.
pub const MAX_KEY_BYTES: usize = 1_024;
/// Longest content type, in bytes.
pub const MAX_CONTENT_TYPE_BYTES: usize = 127;
/// Longest value in any namespace, in bytes.
pub const MAX_VALUE_BYTES: usize = 8 << 20;
/// Longest value where a namespace says nothing, in bytes.
pub(crate) const DEFAULT_MAX_VALUE_BYTES: u64 = 1 << 20;
/// Longest namespace name, in bytes.
pub const MAX_NAMESPACE_BYTES: usize = 63;
/// Most versions that one precondition may name.
pub const MAX_PRECONDITION_VERSIONS: usize = 16;
/// Most keys on one page of a listing.
pub const MAX_LIST_PAGE: usize = 10_000;

pub(crate) fn check_key(key: &[u8]) -> Result<(), Error> {
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        return Err(Error::invalid(
            "key",
            format!("a key has 1 to {MAX_KEY_BYTES} bytes, this one has {}", key.len()),
        ));
    }
    Ok(())
}

pub(crate) fn check_content_type(content_type: &str) -> Result<(), Error> {
    if content_type.len() > MAX_CONTENT_TYPE_BYTES {
        return Err(Error::invalid(
            "content_type",
            format!(
                "a content type has at most {MAX_CONTENT_TYPE_BYTES} bytes, this one has {}",
                content_type.len()
            ),
        ));
    }
    // It travels as an HTTP field value: visible ASCII and spaces, nothing that could split a header.
    if let Some(bad) = content_type.bytes().find(|b| !(0x20..0x7f).contains(b)) {
        return Err(Error::invalid(
            "content_type",
            format!("a content type is printable ASCII, this one holds the byte 0x{bad:02x}"),
        ));
    }
    Ok(())
}

/// Names of namespaces and nodes: `[a-z0-9][a-z0-9-]{0,62}`.
pub(crate) fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let lower = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    !bytes.is_empty()
        && bytes.len() <= MAX_NAMESPACE_BYTES
        && lower(&bytes[0])
        && bytes.iter().all(|b| lower(b) || *b == b'-')
}

pub(crate) fn check_namespace_name(name: &str) -> Result<(), Error> {
    if is_name(name) {
        return Ok(());
    }
    let shown: String = name.chars().take(80).collect();
    Err(Error::invalid("namespace", format!("{shown:?} is no namespace name: [a-z0-9][a-z0-9-]{{0,62}}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_1_to_1024_bytes() {
        assert!(check_key(b"").is_err());
        assert!(check_key(&[0; 1]).is_ok());
        assert!(check_key(&[0; 1024]).is_ok());
        assert!(check_key(&[0; 1025]).is_err());
    }

    #[test]
    fn a_content_type_cannot_split_a_header() {
        assert!(check_content_type("application/json; charset=utf-8").is_ok());
        assert!(check_content_type("text/plain\r\nx: y").is_err());
        assert!(check_content_type(&"x".repeat(127)).is_ok());
        assert!(check_content_type(&"x".repeat(128)).is_err());
    }

    #[test]
    fn a_namespace_name_is_a_dns_like_label() {
        for good in ["a", "0", "a-", "default", &"a".repeat(63)] {
            assert!(check_namespace_name(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "A", "a_b", "a.b", "ä", &"a".repeat(64)] {
            assert!(check_namespace_name(bad).is_err(), "{bad}");
        }
    }
}
