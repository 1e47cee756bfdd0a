//! Bodies that count what they hold: a request is not read on until its next message is charged, and the bytes of
//! an answer carry their charge until HTTP/2 has sent them.

use crate::buffers::Charge;
use crate::node::Node;
use bimetal_contract::errors::ErrorReason;
use bimetal_contract::{Error, MAX_MESSAGE_BYTES};
use bytes::Bytes;
use futures::future::BoxFuture;
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tonic::Status;
use tonic::body::Body;

/// Compression flag and length, in front of each message.
const PREFIX: usize = 5;
/// How long a message waits for the memory that others hold.
const PATIENCE: Duration = Duration::from_secs(5);
/// Shorter answers are held so briefly that counting them would cost more than they do.
const COUNTED_FROM: usize = 16 << 10;

/// The charges of the messages of one request, in their order.
type Charges = Arc<Mutex<VecDeque<Charge>>>;

/// A request body that charges each message when its length is known, before its bytes are read.
pub(super) struct Requests {
    node: Arc<Node>,
    body: Body,
    charges: Charges,
    prefix: [u8; PREFIX],
    /// Bytes of `prefix` that have been read.
    have: usize,
    /// Bytes of the present message that are still to come.
    left: usize,
    /// A frame that is not given on yet, and how much of it was looked at.
    held: Option<(Bytes, usize)>,
    waiting: Option<BoxFuture<'static, Result<Charge, Status>>>,
}

impl Requests {
    /// The body, and where the charges come to lie.
    pub(super) fn wrap(node: &Arc<Node>, body: Body) -> (Body, Charges) {
        let charges = Charges::default();
        let requests = Self {
            node: Arc::clone(node),
            body,
            charges: Arc::clone(&charges),
            prefix: [0; PREFIX],
            have: 0,
            left: 0,
            held: None,
            waiting: None,
        };
        (Body::new(requests), charges)
    }

    /// Looks at a frame from `at` on. The length of a message that must wait, and where its bytes begin.
    fn look(&mut self, frame: &[u8], mut at: usize) -> Option<(usize, usize)> {
        while at < frame.len() {
            if self.left > 0 {
                let skipped = self.left.min(frame.len() - at);
                (self.left, at) = (self.left - skipped, at + skipped);
                continue;
            }
            self.prefix[self.have] = frame[at];
            (self.have, at) = (self.have + 1, at + 1);
            if self.have < PREFIX {
                continue;
            }
            let [_, length @ ..] = self.prefix;
            let length = u32::from_be_bytes(length) as usize;
            (self.have, self.left) = (0, length);
            // What is too long is refused as soon as it is passed on.
            let bytes = if length > MAX_MESSAGE_BYTES { 0 } else { length };
            match Charge::within_bound(&self.node, bytes) {
                Some(charge) => self.charges.lock().push_back(charge),
                None => return Some((bytes, at)),
            }
        }
        None
    }
}

/// Waits for memory, with a limit.
pub(super) async fn patiently(node: Arc<Node>, bytes: usize) -> Result<Charge, Status> {
    tokio::time::timeout(PATIENCE, Charge::wait(node, bytes)).await.map_err(|_| {
        let message = format!("other streams held all the memory for batches and answers for {PATIENCE:?}");
        Error::new(ErrorReason::Overloaded, message).with_retry_after(Duration::from_secs(1)).into()
    })
}

impl http_body::Body for Requests {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        loop {
            if let Some(waiting) = &mut this.waiting {
                let charge = ready!(waiting.as_mut().poll(context));
                this.waiting = None;
                match charge {
                    Ok(charge) => this.charges.lock().push_back(charge),
                    Err(status) => return Poll::Ready(Some(Err(status))),
                }
            }
            let (bytes, at) = match this.held.take() {
                Some(held) => held,
                None => match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(bytes) => (bytes, 0),
                        Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                    },
                    other => return Poll::Ready(other),
                },
            };
            match this.look(&bytes, at) {
                None => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some((length, at)) => {
                    this.waiting = Some(Box::pin(patiently(Arc::clone(&this.node), length)));
                    this.held = Some((bytes, at));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// A response body whose bytes are charged until they are sent.
pub(super) struct Answers {
    node: Arc<Node>,
    body: Body,
}

impl Answers {
    pub(super) fn wrap(node: &Arc<Node>, body: Body) -> Body {
        Body::new(Self { node: Arc::clone(node), body })
    }
}

/// The bytes with their charge.
pub(super) fn counted(node: &Arc<Node>, bytes: Bytes) -> Bytes {
    if bytes.len() < COUNTED_FROM {
        return bytes;
    }
    let charge = Charge::new(node, bytes.len());
    Bytes::from_owner(Sent { bytes, _charge: charge })
}

struct Sent {
    bytes: Bytes,
    _charge: Charge,
}

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl http_body::Body for Answers {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(|bytes| counted(&self.node, bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
