//! The fast path. A batch is parsed where it lies, executed without a task switch, and its results are written
//! straight into the buffer that goes to the connection: a value is copied once on its way out.
//!
//! | file | what |
//! | --- | --- |
//! | `wire.rs` | the protobuf wire format: reading fields, sizes of fields |
//! | `parse.rs` | bytes of a batch to operations, without copying |
//! | `write.rs` | results to bytes |
//! | `execute.rs` | runs a batch against the engine, message by message |
//! | `messages.rs` | frames of a request to batches, each charged before it is read |
//! | `stream.rs` | one Pipeline stream: takes the next batch when the last was written |
//! | `service.rs` | puts the stream beside the generated service |
//!
//! Back-pressure: results are made only when the connection asks for bytes, and the next batch is taken only when
//! the last one is answered. So at most one message of results is held for a stream beyond what HTTP/2 buffers.

mod execute;
mod messages;
mod parse;
mod service;
mod stream;
mod wire;
mod write;

pub use service::CacheRoutes;

/// Most operations in a batch.
pub const MAX_OPERATIONS: usize = 1_000;
/// Most bytes in a batch.
pub const MAX_BATCH_BYTES: usize = 16 << 20;
/// Most bytes in a message of results, unless it holds one value.
pub const MAX_RESULT_BYTES: usize = 1 << 20;

/// For fuzzing: parses a batch and says how many operations it has.
#[doc(hidden)]
pub fn parse_for_fuzzing(bytes: &[u8]) -> Result<usize, String> {
    let mut batch = parse::Batch::default();
    batch.parse(bytes::Bytes::copy_from_slice(bytes)).map_err(|e| e.to_string())?;
    Ok(batch.operations.len())
}

/// For tests: executes a batch and gives the messages of its results.
#[doc(hidden)]
pub fn execute_for_tests(
    node: &std::sync::Arc<crate::node::Node>,
    bytes: &[u8],
) -> Result<Vec<Vec<u8>>, String> {
    let mut run = execute::Run::new(std::sync::Arc::clone(node));
    run.take(bytes::Bytes::copy_from_slice(bytes), None).map_err(|e| e.to_string())?;
    let mut messages = vec![];
    while run.is_busy() {
        let mut message = vec![];
        run.write_message(&mut message);
        messages.push(message);
    }
    Ok(messages)
}
