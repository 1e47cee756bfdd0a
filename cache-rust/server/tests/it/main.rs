//! The server from outside: a real client against a server in this process, on free ports. By topic.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod batches;
mod broken_hand_over;
mod control;
mod drain;
mod entries;
mod fuzz;
mod hand_over;
mod memory;
mod namespaces;
mod operation_ids;
mod pipeline;
mod process;
mod refused;
mod snapshot;
mod support;
mod tracing;
mod watch;
