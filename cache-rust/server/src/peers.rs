//! What a node asks the others before it is ready: which namespaces were made, changed or deleted while it was away.

use crate::grpc;
use crate::node::Node;
use bimetal_contract::cache::{ListNamespacesRequest, Namespace};
use bimetal_contract::{Client, Error};
use bimetal_engine::Topology;
use futures::future::join_all;
use std::time::Duration;

/// A peer on the same network answers within milliseconds; one that is stopped in its tracks must not hold up a start.
const LIMIT: Duration = Duration::from_millis(500);

/// Takes the records of all other nodes of the topology, which are asked at once. One that does not answer has nothing
/// to tell: it is down, or it is starting as well. (Gateways exchange records with a node before they use it, too.)
pub async fn learn_namespaces(node: &Node, topology: &Topology) {
    let own = &node.engine.config().node_name;
    let others = topology.nodes.iter().filter(|peer| peer.name != *own);
    let told = join_all(others.map(async |peer| {
        let asked = tokio::time::timeout(LIMIT, list(&peer.address)).await;
        match asked.map_err(|_| format!("it did not answer within {LIMIT:?}")).and_then(|told| {
            let records = told.map_err(|error| error.to_string())?;
            let taken = grpc::namespaces::take(node, &records).and_then(|()| grpc::namespaces::keep(node));
            taken.map(|()| records.len()).map_err(|error| error.to_string())
        }) {
            Ok(records) => tracing::info!(peer = peer.name, records, "namespaces learned"),
            Err(reason) => tracing::debug!(peer = peer.name, reason, "no namespaces learned"),
        }
    }));
    told.await;
}

async fn list(address: &str) -> Result<Vec<Namespace>, Error> {
    let request = ListNamespacesRequest { include_deleted: true };
    let answer = Client::connect(address)?.namespaces().list_namespaces(request).await;
    Ok(answer.map_err(|status| Error::from_status(&status, true))?.into_inner().namespaces)
}
