//! One Pipeline stream. tonic asks it for messages; it takes a batch when the last one is answered, and its
//! encoder executes what there is to execute.

use super::execute::Run;
use crate::lifecycle::{Phase, draining};
use crate::node::Node;
use bytes::{Buf, Bytes};
use futures::Stream;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Status, Streaming};

/// How long batches are still answered with DRAINING before the stream ends.
const LINGER: Duration = Duration::from_millis(200);
/// Batches in a row after which other tasks of the thread get their turn.
const TURN: u32 = 16;

/// Stream and encoder work on the same batch, one after the other in the same task; the lock is never contended.
pub(super) type SharedRun = Arc<Mutex<Run>>;

/// Messages out of batches in. An item says: there is a message to be written.
pub(super) struct Results {
    run: SharedRun,
    batches: Streaming<Bytes>,
    /// Resolves when the stream shall end although its caller has not ended it.
    ending: BoxFuture<'static, ()>,
    node: Arc<Node>,
    in_a_row: u32,
    done: bool,
}

impl Results {
    pub(super) fn new(node: Arc<Node>, run: SharedRun, batches: Streaming<Bytes>) -> Self {
        node.metrics.pipelines.inc();
        let life = Arc::clone(&node);
        let ending = Box::pin(async move {
            life.lifecycle.reached(Phase::Draining).await;
            tokio::time::sleep(LINGER).await;
        });
        Self { run, batches, ending, node, in_a_row: 0, done: false }
    }

    fn end(&mut self, status: Option<Status>) -> Poll<Option<Result<(), Status>>> {
        self.done = true;
        Poll::Ready(status.map(Err))
    }
}

impl Drop for Results {
    fn drop(&mut self) {
        self.node.metrics.pipelines.dec();
        self.node.metrics.stream("Pipeline", None);
    }
}

impl Stream for Results {
    type Item = Result<(), Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.done {
            return Poll::Ready(None);
        }
        if this.run.lock().is_busy() {
            return Poll::Ready(Some(Ok(())));
        }
        if this.in_a_row == TURN {
            this.in_a_row = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            if this.ending.as_mut().poll(context).is_ready() {
                return this.end(Some(draining().into()));
            }
            let Poll::Ready(next) = Pin::new(&mut this.batches).poll_next(context) else {
                this.in_a_row = 0;
                return Poll::Pending;
            };
            match next {
                None => return this.end(None),
                Some(Err(status)) => return this.end(Some(status)),
                Some(Ok(bytes)) => {
                    let mut run = this.run.lock();
                    if let Err(error) = run.take(bytes) {
                        drop(run);
                        return this.end(Some(error.into()));
                    }
                    if run.is_busy() {
                        this.in_a_row += 1;
                        return Poll::Ready(Some(Ok(())));
                    }
                    // An empty batch has no answer.
                }
            }
        }
    }
}

/// Reads batches as they lie and writes results as they come.
pub(super) struct BatchCodec(pub(super) SharedRun);

impl Codec for BatchCodec {
    type Encode = ();
    type Decode = Bytes;
    type Encoder = ResultEncoder;
    type Decoder = BatchDecoder;

    fn encoder(&mut self) -> Self::Encoder {
        ResultEncoder(Arc::clone(&self.0))
    }

    fn decoder(&mut self) -> Self::Decoder {
        BatchDecoder
    }
}

pub(super) struct ResultEncoder(SharedRun);

impl Encoder for ResultEncoder {
    type Item = ();
    type Error = Status;

    fn encode(&mut self, (): (), out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        self.0.lock().write_message(out);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(16 << 10, 64 << 10)
    }
}

pub(super) struct BatchDecoder;

impl Decoder for BatchDecoder {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = buffer.remaining();
        Ok(Some(buffer.copy_to_bytes(length)))
    }
}
