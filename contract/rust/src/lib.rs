//! The contract in Rust: the code that is generated from `proto/`, and what all Rust services share of it.
//!
//! | module | what |
//! | --- | --- |
//! | [`cache`], [`control`], [`errors`] | messages, clients and servers as generated |
//! | [`identity`] | revision, digest and descriptor set of the contract that this was built from |
//! | [`table`] | the error table, read from the descriptor |
//! | [`error`] | an error of the table: to and from a gRPC status |
//! | [`client`] | a small typed client of one node |

pub mod client;
pub mod error;
pub mod identity;
pub mod table;

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::semicolon_if_nothing_returned)]
#[allow(clippy::uninlined_format_args, clippy::redundant_clone, rust_2018_idioms)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/contract.rs"));
}

pub use generated::bimetal::cache::v1 as cache;
pub use generated::bimetal::control::v1 as control;
pub use generated::bimetal::errors::v1 as errors;

pub use client::Client;
pub use error::Error;
pub use errors::ErrorReason;

/// The message limit that every client and server sets, in both directions.
pub const MAX_MESSAGE_BYTES: usize = 17 << 20;
