//! Puts Pipeline beside the generated CacheService: one path goes to the fast path, all others to tonic's own code.

use super::execute::Run;
use super::stream::{BatchCodec, Results, SharedRun};
use crate::node::Node;
use bimetal_contract::Error;
use bimetal_contract::MAX_MESSAGE_BYTES;
use bimetal_contract::errors::ErrorReason;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use parking_lot::Mutex;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::{Status, Streaming};
use tower::Service;

const PATH: &str = "/bimetal.cache.v1.CacheService/Pipeline";
/// Streams at once; a gateway needs two.
const MAX_STREAMS: i64 = 1_024;

/// CacheService, with Pipeline on its fast path.
#[derive(Clone)]
pub struct CacheRoutes<S> {
    node: Arc<Node>,
    others: S,
}

impl<S> CacheRoutes<S> {
    /// `others` serves everything but Pipeline.
    pub fn new(node: Arc<Node>, others: S) -> Self {
        Self { node, others }
    }
}

impl<S: NamedService> NamedService for CacheRoutes<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for CacheRoutes<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.others.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if request.uri().path() != PATH {
            return Box::pin(self.others.call(request));
        }
        let node = Arc::clone(&self.node);
        Box::pin(async move {
            let run = Arc::new(Mutex::new(Run::new(Arc::clone(&node))));
            let mut grpc =
                Grpc::new(BatchCodec(Arc::clone(&run))).max_decoding_message_size(MAX_MESSAGE_BYTES);
            Ok(grpc.streaming(Pipeline { node, run }, request).await)
        })
    }
}

struct Pipeline {
    node: Arc<Node>,
    run: SharedRun,
}

impl StreamingService<Bytes> for Pipeline {
    type Response = ();
    type ResponseStream = Results;
    type Future = std::future::Ready<Result<tonic::Response<Results>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<Bytes>>) -> Self::Future {
        if let Err(error) = self.node.lifecycle.admit() {
            return std::future::ready(Err(error.into()));
        }
        if self.node.metrics.pipelines.get() >= MAX_STREAMS {
            let error =
                Error::new(ErrorReason::Overloaded, format!("{MAX_STREAMS} Pipeline streams are open"))
                    .with_retry_after(std::time::Duration::from_secs(1));
            return std::future::ready(Err(error.into()));
        }
        let results = Results::new(Arc::clone(&self.node), Arc::clone(&self.run), request.into_inner());
        std::future::ready(Ok(tonic::Response::new(results)))
    }
}
