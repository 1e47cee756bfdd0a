//! ControlService: who the node is, who owns what, how it is, and how it ends.

use super::{hand_over, unary};
use crate::convert;
use crate::hand_over::Stage;
use crate::lifecycle::Phase;
use crate::node::Node;
use bimetal_contract::control::control_service_server::ControlService;
use bimetal_contract::control::{self as api, ProcessState};
use bimetal_contract::{Error, identity};
use std::sync::Arc;
use std::time::Duration;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

/// How long a drain delay may be asked for.
const MAX_DELAY: Duration = Duration::from_secs(3_600);

pub(super) struct Control {
    node: Arc<Node>,
}

impl Control {
    pub(super) fn new(node: Arc<Node>) -> Self {
        Self { node }
    }
}

#[tonic::async_trait]
impl ControlService for Control {
    async fn describe(
        &self,
        request: Request<api::DescribeRequest>,
    ) -> Result<Response<api::DescribeResponse>, Status> {
        let node = &self.node;
        unary::run_always(node, "Describe", request.metadata(), async {
            let state = match (node.hand_over.stage(), node.lifecycle.phase()) {
                (Stage::HandedOver(_), _) => ProcessState::HandedOver,
                (_, Phase::Leaving(_) | Phase::Draining) => ProcessState::Draining,
                (Stage::CaughtUp | Stage::Taking, _) => ProcessState::CaughtUp,
                (Stage::CatchingUp | Stage::Failed, _) => ProcessState::CatchingUp,
                (_, Phase::Starting) => ProcessState::Starting,
                (_, Phase::Serving) => ProcessState::Serving,
            };
            let descriptor_set: &[u8] =
                if request.get_ref().include_descriptor_set { identity::DESCRIPTOR_SET } else { &[] };
            Ok(api::DescribeResponse {
                service: "cache".into(),
                instance: node.instance.clone(),
                language: "rust".into(),
                version: env!("CARGO_PKG_VERSION").into(),
                contract: Some(api::ContractIdentity {
                    revision: identity::REVISION,
                    digest: identity::digest().to_vec().into(),
                    descriptor_set: descriptor_set.into(),
                }),
                incarnation: node.engine.config().incarnation,
                topology: node.engine.topology().map(convert::topology_message),
                state: state as i32,
                start_time: Some(node.started.into()),
                hand_over: node.hand_over.progress(),
            })
        })
        .await
    }

    async fn drain(
        &self,
        request: Request<api::DrainRequest>,
    ) -> Result<Response<api::DrainResponse>, Status> {
        let (metadata, _, drain) = request.into_parts();
        unary::run_always(&self.node, "Drain", &metadata, async {
            self.node.authorize(&metadata)?;
            let delay = match drain.delay.map(Duration::try_from) {
                None => self.node.drain_delay,
                Some(Ok(delay)) if delay <= MAX_DELAY => delay,
                Some(_) => return Err(Error::invalid("delay", "0 to 1 hour")),
            };
            tracing::info!(delay_ms = delay.as_millis() as u64, "draining");
            self.node.lifecycle.advance(Phase::Leaving(delay));
            Ok(api::DrainResponse {})
        })
        .await
    }

    async fn stats(
        &self,
        request: Request<api::StatsRequest>,
    ) -> Result<Response<api::StatsResponse>, Status> {
        unary::run_always(&self.node, "Stats", request.metadata(), async {
            self.node.authorize(request.metadata())?;
            let stats = self.node.engine.stats();
            let namespaces = stats.namespaces.into_iter();
            Ok(api::StatsResponse {
                memory_limit_bytes: stats.memory_limit,
                memory_used_bytes: stats.memory_used,
                ignored_seen_versions: stats.ignored_seen_versions,
                namespaces: namespaces
                    .map(|n| api::NamespaceStats {
                        name: n.name,
                        entries: n.entries,
                        bytes: n.bytes,
                        hits: n.hits,
                        misses: n.misses,
                        evictions: n.evictions,
                        expirations: n.expirations,
                    })
                    .collect(),
            })
        })
        .await
    }

    async fn set_topology(
        &self,
        request: Request<api::SetTopologyRequest>,
    ) -> Result<Response<api::SetTopologyResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        if matches!(
            self.node.hand_over.stage(),
            Stage::CatchingUp | Stage::CaughtUp | Stage::Taking | Stage::Failed
        ) {
            return self.take_over(&metadata, message).await;
        }
        let token = metadata.clone();
        unary::run_slow(&self.node, "SetTopology", metadata, move |node| {
            node.authorize(&token)?;
            let topology = message.topology.ok_or_else(|| Error::invalid("topology", "it is missing"))?;
            let topology = convert::topology(topology);
            let epoch = topology.epoch;
            let erased = node.engine.set_topology(topology, node.now()).map_err(|e| convert::error(&e))?;
            tracing::info!(epoch, erased_entries = erased as u64, "topology");
            Ok(api::SetTopologyResponse { epoch, erased_entries: erased as u64 })
        })
        .await
    }

    type HandOverStream = hand_over::Responses;

    async fn hand_over(
        &self,
        request: Request<Streaming<api::HandOverRequest>>,
    ) -> Result<Response<Self::HandOverStream>, Status> {
        hand_over::open(&self.node, request)
    }
}

impl Control {
    /// SetTopology to a process that receives the node: the word to take over.
    async fn take_over(
        &self,
        metadata: &MetadataMap,
        message: api::SetTopologyRequest,
    ) -> Result<Response<api::SetTopologyResponse>, Status> {
        unary::run_always(&self.node, "SetTopology", metadata, async {
            self.node.authorize(metadata)?;
            let topology = message.topology.ok_or_else(|| Error::invalid("topology", "it is missing"))?;
            let topology = convert::topology(topology);
            // The old process compares it with the one in use: this one has none yet.
            topology.check().map_err(|e| convert::error(&e))?;
            let epoch = topology.epoch;
            self.node.hand_over.take(topology).await?;
            Ok(api::SetTopologyResponse { epoch, erased_entries: 0 })
        })
        .await
    }
}
