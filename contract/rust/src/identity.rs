//! Which contract this was built from.

include!("../gen/identity.rs");

/// The SHA-256 of [`DESCRIPTOR_SET`] as 32 bytes.
#[must_use]
pub fn digest() -> [u8; 32] {
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(DIGEST.as_bytes().chunks_exact(2)) {
        let digit = |c: u8| (c as char).to_digit(16).unwrap_or(0) as u8;
        *byte = digit(pair[0]) << 4 | digit(pair[1]);
    }
    bytes
}
