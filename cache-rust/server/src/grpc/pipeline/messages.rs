//! The batches of one stream, out of the frames of its request body (gRPC's length-prefixed messages).
//!
//! A message is charged when its length is known, and its bytes are read only then, into a buffer of its own that
//! goes when the batch is answered: a stream at rest holds none. A message within one frame is not copied.

use super::MAX_BATCH_BYTES;
use crate::buffers::Charge;
use crate::grpc::metered::patiently;
use crate::node::Node;
use bimetal_contract::Error;
use bytes::{Buf, Bytes, BytesMut};
use futures::future::BoxFuture;
use http_body::Body as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tonic::body::Body;
use tonic::{Code, Status};

/// Compression flag and length.
const PREFIX: usize = 5;

pub(super) struct Messages {
    node: Arc<Node>,
    body: Body,
    /// What came and was not looked at yet.
    frame: Bytes,
    /// Bytes of a prefix that a frame cut in two.
    prefix: Vec<u8>,
    message: Option<Message>,
    waiting: Option<BoxFuture<'static, Result<Charge, Status>>>,
}

/// A message whose length is known.
struct Message {
    length: usize,
    charge: Option<Charge>,
    /// What has come of it, if it is not all in one frame.
    bytes: BytesMut,
}

impl Messages {
    pub(super) fn new(node: Arc<Node>, body: Body) -> Self {
        let (frame, prefix) = (Bytes::new(), Vec::with_capacity(PREFIX));
        Self { node, body, frame, prefix, message: None, waiting: None }
    }

    /// The next batch and its charge; None at the end.
    pub(super) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<(Bytes, Charge), Status>>> {
        loop {
            if let Some(waiting) = &mut self.waiting {
                let charge = ready!(waiting.as_mut().poll(context));
                self.waiting = None;
                match (charge, &mut self.message) {
                    (Ok(charge), Some(message)) => message.charge = Some(charge),
                    (Ok(_), None) => {}
                    (Err(status), _) => return Poll::Ready(Some(Err(status))),
                }
            }
            match self.advance() {
                Ok(Some(done)) => return Poll::Ready(Some(Ok(done))),
                Ok(None) if self.waiting.is_some() => continue,
                Ok(None) => {}
                Err(status) => return Poll::Ready(Some(Err(status))),
            }
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        self.frame = bytes;
                    }
                }
                // The caller is gone, or said that this was all.
                Some(Err(status)) if status.code() != Code::Cancelled => {
                    return Poll::Ready(Some(Err(status)));
                }
                Some(Err(_)) | None => return Poll::Ready(None),
            }
        }
    }

    /// Takes what it can from the present frame: a whole message, or nothing and the frame is used up, or
    /// nothing and the message has to wait for memory.
    fn advance(&mut self) -> Result<Option<(Bytes, Charge)>, Status> {
        if self.message.is_none() && !self.begin()? {
            return Ok(None);
        }
        let Some(message) = &mut self.message else { return Ok(None) };
        if message.charge.is_none() {
            message.charge = Charge::within_bound(&self.node, message.length);
        }
        if message.charge.is_none() {
            self.waiting = Some(Box::pin(patiently(Arc::clone(&self.node), message.length)));
            return Ok(None);
        }
        let whole = if message.bytes.is_empty() && self.frame.len() >= message.length {
            self.frame.split_to(message.length)
        } else {
            if message.bytes.capacity() == 0 {
                message.bytes.reserve(message.length);
            }
            let missing = message.length - message.bytes.len();
            message.bytes.extend_from_slice(&self.frame[..missing.min(self.frame.len())]);
            self.frame.advance(missing.min(self.frame.len()));
            if message.bytes.len() < message.length {
                return Ok(None);
            }
            std::mem::take(&mut message.bytes).freeze()
        };
        let charge = message.charge.take();
        self.message = None;
        Ok(charge.map(|charge| (whole, charge)))
    }

    /// Reads a prefix; false: it is not all there yet.
    fn begin(&mut self) -> Result<bool, Status> {
        let missing = (PREFIX - self.prefix.len()).min(self.frame.len());
        self.prefix.extend_from_slice(&self.frame.split_to(missing));
        let &[flag, a, b, c, d] = &self.prefix[..] else { return Ok(false) };
        self.prefix.clear();
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if flag != 0 {
            return Err(Status::unimplemented("compressed messages are not taken: grpc-encoding identity"));
        }
        if length > MAX_BATCH_BYTES {
            let message = format!("a batch has at most {MAX_BATCH_BYTES} bytes, this one has {length}");
            return Err(Error::invalid("operations", message).into());
        }
        self.message = Some(Message { length, charge: None, bytes: BytesMut::new() });
        Ok(true)
    }
}
