//! HandOver: the stream between the two processes of a node. What flows on it is in `hand_over/`.

use crate::hand_over::give::{QUEUE, give};
use crate::node::Node;
use bimetal_contract::control::{HandOverRequest, HandOverResponse};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

pub(super) type Responses = ReceiverStream<Result<HandOverResponse, Status>>;

/// Begins to give; everything wrong with it is the stream's status.
pub(super) fn open(
    node: &Arc<Node>,
    request: Request<Streaming<HandOverRequest>>,
) -> Result<Response<Responses>, Status> {
    if let Err(error) = node.authorize(request.metadata()) {
        node.metrics.stream("HandOver", Some(error.reason()));
        return Err(error.into());
    }
    let (out, responses) = mpsc::channel(QUEUE);
    tokio::spawn(give(Arc::clone(node), request.into_inner(), out));
    Ok(Response::new(ReceiverStream::new(responses)))
}
