//! NamespaceService.

use super::unary;
use crate::convert;
use crate::node::Node;
use bimetal_contract::Error;
use bimetal_contract::cache::namespace_service_server::NamespaceService;
use bimetal_contract::cache::{self as api, Namespace};
use bimetal_contract::errors::ErrorReason;
use bimetal_engine::{self as engine, NamespaceRecord};
use std::sync::Arc;
use tonic::{Request, Response, Status};

pub(super) struct Namespaces {
    node: Arc<Node>,
}

impl Namespaces {
    pub(super) fn new(node: Arc<Node>) -> Self {
        Self { node }
    }

    /// A write: authorised, and answered only when the data directory has it.
    async fn write<T: Send + 'static, R: Send + 'static>(
        &self,
        rpc: &'static str,
        request: Request<T>,
        work: impl FnOnce(&Node, T) -> Result<R, Error> + Send + 'static,
    ) -> Result<Response<R>, Status> {
        let (metadata, _, message) = request.into_parts();
        let token = metadata.clone();
        unary::run_slow(&self.node, rpc, metadata, move |node| {
            node.authorize(&token)?;
            let done = work(node, message)?;
            keep(node)?;
            Ok(done)
        })
        .await
    }
}

fn refused(error: engine::Error) -> Error {
    convert::error(&error)
}

/// Writes all records to the data directory, where there is one.
///
/// # Errors
/// INTERNAL: they are in force, and will not be after a restart.
pub(crate) fn keep(node: &Node) -> Result<(), Error> {
    let Some(store) = node.store.get() else { return Ok(()) };
    store.keep_namespaces(|| node.engine.namespaces()).map_err(|error| {
        tracing::error!(%error, "namespace records cannot be written");
        Error::new(
            ErrorReason::Internal,
            "the change is in force but could not be written to the data directory",
        )
    })
}

/// Takes the records that are newer than the node's own. All are checked before any is taken.
///
/// # Errors
/// INVALID_ARGUMENT for what is no record, of all of them.
pub(crate) fn take(node: &Node, messages: &[Namespace]) -> Result<(), Error> {
    let records = messages.iter().map(convert::namespace_record).collect::<Result<Vec<_>, _>>()?;
    for record in &records {
        record.check().map_err(refused)?;
    }
    for record in records {
        node.engine.raise_clock(record.revision, node.now());
        node.engine.apply_namespace(record, node.now()).map_err(refused)?;
    }
    Ok(())
}

fn given(message: Option<Namespace>) -> Result<Namespace, Error> {
    message.ok_or_else(|| Error::invalid("namespace", "it is missing"))
}

#[tonic::async_trait]
impl NamespaceService for Namespaces {
    async fn create_namespace(
        &self,
        request: Request<api::CreateNamespaceRequest>,
    ) -> Result<Response<api::CreateNamespaceResponse>, Status> {
        self.write("CreateNamespace", request, |node, request| {
            let message = given(request.namespace)?;
            if message.revision != 0 || message.deleted {
                return Err(Error::invalid("namespace.revision", "the node sets revision and deleted"));
            }
            let record = convert::namespace_record(&message)?;
            let made = node.engine.create_namespace(record, node.now()).map_err(refused)?;
            Ok(api::CreateNamespaceResponse { namespace: Some(convert::namespace(&made)) })
        })
        .await
    }

    async fn get_namespace(
        &self,
        request: Request<api::GetNamespaceRequest>,
    ) -> Result<Response<api::GetNamespaceResponse>, Status> {
        unary::run(&self.node, "GetNamespace", request.metadata(), || {
            let record = self.node.engine.namespace(&request.get_ref().name).map_err(refused)?;
            Ok(api::GetNamespaceResponse { namespace: Some(convert::namespace(&record)) })
        })
        .await
    }

    async fn list_namespaces(
        &self,
        request: Request<api::ListNamespacesRequest>,
    ) -> Result<Response<api::ListNamespacesResponse>, Status> {
        unary::run(&self.node, "ListNamespaces", request.metadata(), || {
            let all = self.node.engine.namespaces();
            let shown = all.iter().filter(|record| !record.deleted || request.get_ref().include_deleted);
            Ok(api::ListNamespacesResponse { namespaces: shown.map(convert::namespace).collect() })
        })
        .await
    }

    async fn update_namespace(
        &self,
        request: Request<api::UpdateNamespaceRequest>,
    ) -> Result<Response<api::UpdateNamespaceResponse>, Status> {
        self.write("UpdateNamespace", request, |node, request| {
            let message = given(request.namespace)?;
            let paths = request.update_mask.map(|mask| mask.paths).unwrap_or_default();
            if paths.is_empty() {
                return Err(Error::invalid("update_mask", "name the fields to change"));
            }
            let new = convert::namespace_record(&message)?;
            let edits = paths.iter().map(|path| edit(path)).collect::<Result<Vec<_>, _>>()?;
            let change = |record: &mut NamespaceRecord| edits.iter().for_each(|edit| edit(record, &new));
            let record = node.engine.update_namespace(&message.name, change, node.now()).map_err(refused)?;
            Ok(api::UpdateNamespaceResponse { namespace: Some(convert::namespace(&record)) })
        })
        .await
    }

    async fn delete_namespace(
        &self,
        request: Request<api::DeleteNamespaceRequest>,
    ) -> Result<Response<api::DeleteNamespaceResponse>, Status> {
        self.write("DeleteNamespace", request, |node, request| {
            let tombstone = node.engine.delete_namespace(&request.name, node.now()).map_err(refused)?;
            Ok(api::DeleteNamespaceResponse { namespace: Some(convert::namespace(&tombstone)) })
        })
        .await
    }

    async fn flush_namespace(
        &self,
        request: Request<api::FlushNamespaceRequest>,
    ) -> Result<Response<api::FlushNamespaceResponse>, Status> {
        self.write("FlushNamespace", request, |node, request| {
            let (version, entries) = node.engine.flush(&request.name, node.now()).map_err(refused)?;
            Ok(api::FlushNamespaceResponse { version, entries })
        })
        .await
    }

    async fn sync_namespaces(
        &self,
        request: Request<api::SyncNamespacesRequest>,
    ) -> Result<Response<api::SyncNamespacesResponse>, Status> {
        self.write("SyncNamespaces", request, |node, request| {
            take(node, &request.namespaces)?;
            let namespaces = node.engine.namespaces().iter().map(convert::namespace).collect();
            Ok(api::SyncNamespacesResponse { namespaces })
        })
        .await
    }
}

type Edit = fn(&mut NamespaceRecord, &NamespaceRecord);

fn edit(path: &str) -> Result<Edit, Error> {
    Ok(match path {
        "quota_bytes" => |record, new| record.quota_bytes = new.quota_bytes,
        "default_ttl" => |record, new| record.default_ttl_ms = new.default_ttl_ms,
        "max_ttl" => |record, new| record.max_ttl_ms = new.max_ttl_ms,
        "max_value_bytes" => |record, new| record.max_value_bytes = new.max_value_bytes,
        "stale_window" => |record, new| record.stale_window_ms = new.stale_window_ms,
        _ => {
            let known = "quota_bytes, default_ttl, max_ttl, max_value_bytes, stale_window";
            return Err(Error::invalid("update_mask", format!("{path:?} is none of {known}")));
        }
    })
}
