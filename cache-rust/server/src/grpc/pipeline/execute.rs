//! Runs a batch, message by message: each call writes results until the message is full or the batch is done.

use super::MAX_RESULT_BYTES;
use super::parse::{Batch, Kind, Operation};
use super::write::{self, Large};
use crate::buffers::Charge;
use crate::convert;
use crate::node::Node;
use crate::once;
use crate::telemetry;
use bimetal_contract::Error;
use bimetal_contract::errors::ErrorReason;
use bimetal_engine::{Get, GetOutcome, Increment, Now, Put, Touch};
use bytes::{BufMut, Bytes};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// No result but a large value is longer than this, so a message that has this much left takes one more: a value
/// below the engine's bound for large ones, a key, a content type, an error's sentence.
const ONE_MORE: usize = 68 << 10;

/// Operations between two looks at the clock, where no operation has a time-out.
const CLOCK_EVERY: usize = 32;

/// One batch at a time, of one stream.
pub(super) struct Run {
    node: Arc<Node>,
    batch: Batch,
    /// What the batch holds of the memory.
    charge: Option<Charge>,
    /// Held when it was this batch's turn after it had been read.
    turn: Option<Charge>,
    /// The next operation to execute.
    next: usize,
    /// A result that did not fit the last message.
    left_over: Option<Large>,
    arrived: Instant,
    arrived_ms: u64,
    /// This batch came after the node began to drain, or was handed over.
    refuse: Option<Error>,
    /// The next operation waits for the end of a hold.
    held: bool,
}

impl Run {
    pub(super) fn new(node: Arc<Node>) -> Self {
        Self {
            node,
            batch: Batch::default(),
            charge: None,
            turn: None,
            next: 0,
            left_over: None,
            arrived: Instant::now(),
            arrived_ms: 0,
            refuse: None,
            held: false,
        }
    }

    /// Takes the next batch; the last one must be answered. An empty batch is done at once.
    pub(super) fn take(&mut self, bytes: Bytes, charge: Option<Charge>) -> Result<(), Error> {
        self.charge = charge;
        self.arrived = Instant::now();
        let now = self.node.now();
        self.arrived_ms = now.mono_ms;
        self.next = 0;
        self.batch.parse(bytes)?;
        self.node.metrics.batches.inc();
        self.judge();
        if self.batch.seen_version > 0 && !self.node.engine.raise_clock(self.batch.seen_version, now) {
            tracing::warn!(
                seen_version = self.batch.seen_version,
                "ignored a version over 60 s ahead of the clock"
            );
        }
        Ok(())
    }

    /// Whether what was not begun yet may be.
    fn judge(&mut self) {
        self.refuse = self.node.admit().err().filter(|error| !convert::is_held(error));
    }

    /// Whether the batch goes on although the bound of the buffers is exceeded.
    pub(super) fn has_turn(&self) -> bool {
        self.turn.is_some() || self.charge.as_ref().is_some_and(Charge::has_turn)
    }

    /// It does, from now to its last result.
    pub(super) fn take_turn(&mut self, turn: Charge) {
        if turn.has_turn() {
            self.turn = Some(turn);
        }
    }

    /// Whether there is something to write.
    pub(super) fn is_busy(&self) -> bool {
        self.left_over.is_some() || self.next < self.batch.operations.len()
    }

    /// Whether the last message ended because the node is held. Then: when the next operation's time is
    /// over.
    pub(super) fn held(&self) -> Option<Option<Instant>> {
        if !self.held {
            return None;
        }
        let timeout = self.batch.operations.get(self.next).map_or(0, |op| op.timeout_ms);
        let over = self.arrived + Duration::from_millis(u64::from(timeout) + 1);
        Some((timeout > 0).then_some(over))
    }

    /// Writes one message of results; nothing when the node is held.
    pub(super) fn write_message(&mut self, out: &mut impl BufMut) {
        let span = tracing::info_span!("pipeline batch", operations = self.batch.operations.len());
        telemetry::continue_traceparent(&span, self.batch.traceparent());
        let _entered = span.enter();

        if std::mem::take(&mut self.held) {
            self.judge();
        }
        let mut written = 0;
        if let Some(large) = self.left_over.take() {
            written += large.len();
            large.write(out);
        }
        let mut now = self.node.now();
        let mut since = 0;
        while self.next < self.batch.operations.len() && written + ONE_MORE <= MAX_RESULT_BYTES {
            let op = &self.batch.operations[self.next];
            since += 1;
            if op.timeout_ms > 0 || since % CLOCK_EVERY == 0 {
                now = self.node.now();
            }
            self.next += 1;
            let Some(done) = self.execute(op, now, out) else {
                (self.next, self.held) = (self.next - 1, true);
                break;
            };
            match done {
                Ok(bytes) => written += bytes,
                Err(large) if written == 0 || written + large.len() <= MAX_RESULT_BYTES => {
                    written += large.len();
                    large.write(out);
                }
                Err(large) => {
                    self.left_over = Some(large);
                    break;
                }
            }
        }
        if !self.is_busy() {
            self.node.metrics.batch_duration.observe(self.arrived.elapsed().as_secs_f64());
            self.batch.clear();
            (self.charge, self.turn, self.next) = (None, None, 0);
        }
    }

    /// Executes one operation and counts it. None: it is not begun, because the node is held.
    fn execute(&self, op: &Operation, now: Now, out: &mut impl BufMut) -> Option<Result<usize, Large>> {
        let kind = write::metric(op.kind);
        let done = match self.refusal(op, now) {
            Some(error) => Err(error),
            None => match op.id {
                None => self.dispatch(op, now, out).map(|written| (written, None)),
                Some(id) => self.dispatch_once(op, id, now, out),
            },
        };
        match done {
            Ok((written, reason)) => {
                self.node.metrics.operation(kind, reason);
                Some(written)
            }
            Err(error) if convert::is_held(&error) => None,
            Err(error) => {
                self.node.metrics.operation(kind, Some(error.reason()));
                Some(Ok(write::error(out, error)))
            }
        }
    }

    /// Why the operation is not begun.
    fn refusal(&self, op: &Operation, now: Now) -> Option<Error> {
        if self.refuse.is_some() {
            return self.refuse.clone();
        }
        if op.timeout_ms > 0 && now.mono_ms.saturating_sub(self.arrived_ms) >= u64::from(op.timeout_ms) {
            return Some(Error::new(
                ErrorReason::DeadlineExceeded,
                format!("its {} ms were over before it was begun", op.timeout_ms),
            ));
        }
        op.refused.clone()
    }

    /// The same for an operation with an id. A refusal that is stored is a result like any other; its reason stands
    /// beside it.
    fn dispatch_once(
        &self,
        op: &Operation,
        id: [u8; 16],
        now: Now,
        out: &mut impl BufMut,
    ) -> Result<(Result<usize, Large>, Option<ErrorReason>), Error> {
        let batch = &self.batch;
        let request = once::Request {
            kind: op.kind as u8 + 1,
            value: batch.value(op),
            content_type: batch.content_type(op)?,
            ttl: op.ttl,
            precondition: Some(&op.precondition),
            flag: op.return_former || op.renew_ttl,
            delta: op.delta,
            initial: op.initial,
        };
        let at = (batch.namespace(op)?, batch.key(op));
        let mut reason = None;
        let result = once::execute(&self.node, at, id, &request, now, || {
            let mut bytes = vec![];
            match self.dispatch(op, now, &mut bytes) {
                Ok(Ok(_)) => {}
                Ok(Err(large)) => large.write(&mut bytes),
                Err(error) if once::is_stored(&error) => {
                    reason = Some(error.reason());
                    write::error(&mut bytes, error);
                }
                Err(error) => return Err(error),
            }
            Ok(bytes)
        })?;
        Ok((write::stored(out, &result), reason))
    }

    fn dispatch(
        &self,
        op: &Operation,
        now: Now,
        out: &mut impl BufMut,
    ) -> Result<Result<usize, Large>, Error> {
        let (batch, engine) = (&self.batch, &self.node.engine);
        let (namespace, key) = (batch.namespace(op)?, batch.key(op));
        let refused = |error| convert::error(&error);
        match op.kind {
            Kind::Get => engine
                .get(Get { namespace, key }, now, |found| match found {
                    GetOutcome::Hit(view) => write::hit(out, &view, &op.wanted),
                    GetOutcome::Miss => Ok(write::miss(out)),
                })
                .map_err(refused),
            Kind::Put => {
                let put = Put {
                    namespace,
                    key,
                    value: batch.value(op),
                    content_type: batch.content_type(op)?,
                    ttl: op.ttl,
                    precondition: op.precondition.clone(),
                };
                engine
                    .put(&put, now, |done| {
                        let former = done.former.as_ref().filter(|_| op.return_former);
                        write::put(out, done.version, done.created, former)
                    })
                    .map_err(refused)
            }
            Kind::Delete => engine
                .delete(namespace, key, &op.precondition, now)
                .map(|done| Ok(write::deleted(out, done)))
                .map_err(refused),
            Kind::Touch => engine
                .touch(Touch { namespace, key, ttl: op.ttl }, now)
                .map(|done| Ok(write::touched(out, done)))
                .map_err(refused),
            Kind::Increment => {
                let (delta, initial, ttl, renew_ttl) = (op.delta, op.initial, op.ttl, op.renew_ttl);
                engine
                    .increment(Increment { namespace, key, delta, initial, ttl, renew_ttl }, now)
                    .map(|done| Ok(write::incremented(out, done)))
                    .map_err(refused)
            }
            Kind::Throttle => Err(convert::not_implemented("Throttle")),
        }
    }
}
