//! What a node asks the others before it is ready: which namespaces were made, changed or deleted while it was away.

use crate::grpc;
use crate::node::Node;
use bimetal_contract::cache::{ListNamespacesRequest, Namespace};
use bimetal_contract::{Client, Error};
use bimetal_engine::Topology;
use futures::future::join_all;
use serde_json::{Map, Value};
use std::time::Duration;

/// A peer on the same network answers within milliseconds; one that is stopped in its tracks must not hold up a start.
const LIMIT: Duration = Duration::from_millis(500);

/// Takes the records of all other nodes of the topology, which are asked at once, and tells by name how many records
/// each had, or why it told none: it is down, or it is starting as well. (Gateways exchange records with a node before
/// they use it, too.)
pub async fn learn_namespaces(node: &Node, topology: &Topology) -> Map<String, Value> {
    let own = &node.engine.config().node_name;
    let others = topology.nodes.iter().filter(|peer| peer.name != *own);
    let told = others.map(async |peer| {
        let asked = tokio::time::timeout(LIMIT, list(&peer.address)).await;
        let records = asked.unwrap_or_else(|_| Err(format!("it did not answer within {LIMIT:?}")));
        let taken = records.and_then(|records| take(node, &records));
        (peer.name.clone(), taken.map_or_else(Value::from, Value::from))
    });
    join_all(told).await.into_iter().collect()
}

async fn list(address: &str) -> Result<Vec<Namespace>, String> {
    let client = Client::connect(address).map_err(|error| error.to_string())?;
    let request = ListNamespacesRequest { include_deleted: true };
    let answer = client.namespaces().list_namespaces(request).await;
    let answer = answer.map_err(|status| Error::from_status(&status, true).to_string())?;
    Ok(answer.into_inner().namespaces)
}

fn take(node: &Node, records: &[Namespace]) -> Result<usize, String> {
    let taken = grpc::namespaces::take(node, records).and_then(|()| grpc::namespaces::keep(node));
    taken.map(|()| records.len()).map_err(|error| error.to_string())
}
