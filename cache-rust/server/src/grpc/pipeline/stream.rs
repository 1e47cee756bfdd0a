//! One Pipeline stream, as the body of its response. HTTP/2 asks it for bytes; it takes a batch when the last one is
//! answered, and executes what there is to execute into the buffer that it gives.

use super::execute::Run;
use super::messages::Messages;
use crate::buffers::{Charge, STREAM_BYTES};
use crate::grpc::metered::counted;
use crate::lifecycle::{Phase, draining};
use crate::node::Node;
use bytes::{BufMut, Bytes, BytesMut};
use futures::future::BoxFuture;
use http::HeaderMap;
use http_body::Frame;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tonic::Status;

/// How long batches are still answered with DRAINING before the stream ends.
const LINGER: Duration = Duration::from_millis(200);
/// Batches in a row after which other tasks of the thread get their turn.
const TURN: u32 = 16;
/// Short answers share a frame up to this size.
const FRAME_FROM: usize = 64 << 10;
/// Compression flag and length, in front of each message.
const PREFIX: usize = 5;

/// Messages out of batches in.
pub(super) struct Answers {
    run: Run,
    messages: Messages,
    /// Others hold so much that the next message of results has to wait.
    waiting: Option<BoxFuture<'static, Charge>>,
    /// The node is held: until the end of that, or of the next operation's time.
    held: Option<BoxFuture<'static, ()>>,
    /// Resolves when the stream shall end although its caller has not ended it.
    ending: BoxFuture<'static, ()>,
    node: Arc<Node>,
    in_a_row: u32,
    buffer: BytesMut,
    /// How the stream ends, once that is known.
    end: Option<Status>,
    done: bool,
    _stream: Charge,
}

/// What there is to do.
enum Next {
    Message,
    End(Status),
}

impl Answers {
    pub(super) fn new(node: Arc<Node>, messages: Messages) -> Self {
        node.metrics.pipelines.inc();
        let life = Arc::clone(&node);
        let ending = Box::pin(async move {
            life.lifecycle.reached(Phase::Draining).await;
            tokio::time::sleep(LINGER).await;
        });
        Self {
            run: Run::new(Arc::clone(&node)),
            messages,
            waiting: None,
            held: None,
            ending,
            in_a_row: 0,
            buffer: BytesMut::new(),
            end: None,
            done: false,
            _stream: Charge::new(&node, STREAM_BYTES),
            node,
        }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Next> {
        if self.run.is_busy() {
            return self.poll_message(context);
        }
        if self.in_a_row == TURN {
            self.in_a_row = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            if self.ending.as_mut().poll(context).is_ready() {
                return Poll::Ready(Next::End(draining().into()));
            }
            let Poll::Ready(next) = self.messages.poll_next(context) else {
                self.in_a_row = 0;
                return Poll::Pending;
            };
            match next {
                None => return Poll::Ready(Next::End(Status::ok(""))),
                Some(Err(status)) => return Poll::Ready(Next::End(status)),
                Some(Ok((bytes, charge))) => {
                    if let Err(error) = self.run.take(bytes, Some(charge)) {
                        return Poll::Ready(Next::End(error.into()));
                    }
                    if self.run.is_busy() {
                        self.in_a_row += 1;
                        return self.poll_message(context);
                    }
                    // An empty batch has no answer.
                }
            }
        }
    }

    /// A message of results is made only while the buffers are within their bound, or in turn.
    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Next> {
        if self.waiting.is_none() && !self.run.has_turn() && !self.node.buffers.is_within_bound(&self.node) {
            self.waiting = Some(Box::pin(Charge::wait(Arc::clone(&self.node), 0)));
        }
        if let Some(waiting) = &mut self.waiting {
            let turn = ready!(waiting.as_mut().poll(context));
            self.waiting = None;
            self.run.take_turn(turn);
        }
        if let Some(held) = &mut self.held {
            ready!(held.as_mut().poll(context));
            self.held = None;
        }
        Poll::Ready(Next::Message)
    }

    fn write_message(&mut self) {
        let start = self.buffer.len();
        self.buffer.put_bytes(0, PREFIX);
        self.run.write_message(&mut self.buffer);
        if let Some(over) = self.run.held() {
            let node = Arc::clone(&self.node);
            self.held = Some(Box::pin(async move {
                let over = async {
                    match over {
                        Some(over) => tokio::time::sleep_until(over.into()).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = node.hand_over.released() => {}
                    () = over => {}
                }
            }));
        }
        if self.buffer.len() == start + PREFIX {
            self.buffer.truncate(start);
            return;
        }
        let length = (self.buffer.len() - start - PREFIX) as u32;
        self.buffer[start + 1..start + PREFIX].copy_from_slice(&length.to_be_bytes());
    }

    /// What is written so far; a large buffer is not kept for the next time.
    fn flush(&mut self) -> Frame<Bytes> {
        let bytes = if self.buffer.len() >= FRAME_FROM {
            std::mem::take(&mut self.buffer).freeze()
        } else {
            self.buffer.split().freeze()
        };
        Frame::data(counted(&self.node, bytes))
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.node.metrics.pipelines.dec();
        self.node.metrics.stream("Pipeline", None);
    }
}

impl http_body::Body for Answers {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        while this.end.is_none() {
            match this.poll_next(context) {
                Poll::Ready(Next::Message) => {
                    this.write_message();
                    if this.buffer.len() >= FRAME_FROM {
                        return Poll::Ready(Some(Ok(this.flush())));
                    }
                }
                Poll::Ready(Next::End(status)) => this.end = Some(status),
                Poll::Pending if this.buffer.is_empty() => return Poll::Pending,
                Poll::Pending => return Poll::Ready(Some(Ok(this.flush()))),
            }
        }
        if !this.buffer.is_empty() {
            return Poll::Ready(Some(Ok(this.flush())));
        }
        if this.done {
            return Poll::Ready(None);
        }
        this.done = true;
        let mut trailers = HeaderMap::new();
        Poll::Ready(this.end.as_ref().map(|status| {
            status.add_header(&mut trailers)?;
            Ok(Frame::trailers(trailers))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.done
    }
}
