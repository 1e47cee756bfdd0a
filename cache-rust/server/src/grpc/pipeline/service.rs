//! Puts Pipeline beside the generated CacheService: one path goes to the fast path, all others to tonic's own code.

use super::messages::Messages;
use super::stream::Answers;
use crate::grpc::metered;
use crate::node::Node;
use bimetal_contract::Error;
use bimetal_contract::errors::ErrorReason;
use futures::future::BoxFuture;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::server::NamedService;
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
        let node = Arc::clone(&self.node);
        if request.uri().path() == PATH {
            let response = match refusal(&node) {
                Some(error) => tonic::Status::from(error).into_http(),
                None => open(node, request.into_body()),
            };
            return Box::pin(std::future::ready(Ok(response)));
        }
        let (head, body) = request.into_parts();
        let (body, charges) = metered::Requests::wrap(&node, body);
        let answer = self.others.call(Request::from_parts(head, body));
        Box::pin(async move {
            let response = answer.await?;
            // Until here the request may be held.
            drop(charges);
            Ok(response.map(|body| metered::Answers::wrap(&node, body)))
        })
    }
}

fn refusal(node: &Node) -> Option<Error> {
    // A stream that comes when the node was handed over is told WRONG_NODE operation by operation.
    if let Err(error) = node.lifecycle.admit()
        && !node.hand_over.is_taking()
    {
        return Some(error);
    }
    (node.metrics.pipelines.get() >= MAX_STREAMS).then(|| {
        Error::new(ErrorReason::Overloaded, format!("{MAX_STREAMS} Pipeline streams are open"))
            .with_retry_after(std::time::Duration::from_secs(1))
    })
}

fn open(node: Arc<Node>, body: Body) -> Response<Body> {
    let messages = Messages::new(Arc::clone(&node), body);
    let mut response = Response::new(Body::new(Answers::new(node, messages)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}
