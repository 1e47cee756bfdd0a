//! CacheService: the unary operations. Pipeline is in `pipeline/`, Watch in `watch.rs`.

use super::{unary, watch};
use crate::convert::{self, Wanted, not_implemented};
use crate::node::Node;
use crate::once;
use bimetal_contract::Error;
use bimetal_contract::cache::cache_service_server::CacheService;
use bimetal_contract::cache::operation_result::Result as Done;
use bimetal_contract::cache::{self, batch_get_result, get_response};
use bimetal_contract::errors::ErrorReason;
use bimetal_engine as engine;
use bytes::Bytes;
use std::sync::Arc;
use tonic::{Request, Response, Status, Streaming};

/// Bytes of values in one BatchGet; what is beyond answers RESPONSE_TOO_LARGE.
const BATCH_VALUE_BYTES: usize = 16 << 20;
const MAX_BATCH_KEYS: usize = 1_000;
const DEFAULT_PAGE: usize = 1_000;

pub(super) struct Cache {
    node: Arc<Node>,
}

impl Cache {
    pub(super) fn new(node: Arc<Node>) -> Self {
        Self { node }
    }
}

/// A response as a result of a batch, and back.
macro_rules! as_result {
    ($kind:ident) => {
        (Done::$kind, |done| match done {
            Done::$kind(response) => Some(response),
            _ => None,
        })
    };
}

fn refused(error: engine::Error) -> Error {
    convert::error(&error)
}

#[tonic::async_trait]
impl CacheService for Cache {
    async fn get(&self, request: Request<cache::GetRequest>) -> Result<Response<cache::GetResponse>, Status> {
        let (metadata, _, get) = request.into_parts();
        unary::run(&self.node, "Get", &metadata, || {
            if get.allow_stale {
                return Err(not_implemented("stale answer"));
            }
            if get.acquire_lease {
                return Err(not_implemented("lease"));
            }
            let wanted = Wanted {
                omit_value: get.omit_value,
                known_version: get.known_version,
                max_value_bytes: get.max_value_bytes,
            };
            let key = engine::Get { namespace: &get.namespace, key: &get.key };
            let found = self.node.engine.get(key, self.node.now(), |found| match found {
                engine::GetOutcome::Hit(view) => get_response::Result::Entry(convert::entry(&view, &wanted)),
                engine::GetOutcome::Miss => get_response::Result::Miss(cache::Miss::default()),
            });
            Ok(cache::GetResponse { result: Some(found.map_err(refused)?) })
        })
        .await
    }

    async fn put(&self, request: Request<cache::PutRequest>) -> Result<Response<cache::PutResponse>, Status> {
        let (metadata, _, put) = request.into_parts();
        unary::run(&self.node, "Put", &metadata, || {
            if put.lease.is_some() {
                return Err(not_implemented("lease"));
            }
            let write = engine::Put {
                namespace: &put.namespace,
                key: &put.key,
                value: &put.value,
                content_type: &put.content_type,
                ttl: convert::ttl(put.ttl.as_ref())?,
                precondition: convert::precondition(put.precondition.as_ref())?,
            };
            let request = once::Request {
                kind: 2,
                value: write.value,
                content_type: write.content_type,
                ttl: write.ttl,
                precondition: Some(&write.precondition),
                flag: put.return_former,
                ..once::Request::default()
            };
            let run = |now| {
                let done = self.node.engine.put(&write, now, |done| {
                    let former = done.former.filter(|_| put.return_former);
                    cache::PutResponse {
                        version: done.version,
                        created: done.created,
                        former: former.map(|view| convert::entry(&view, &Wanted::default())),
                    }
                });
                done.map_err(refused)
            };
            let at = (put.namespace.as_str(), &put.key[..]);
            once::unary(&self.node, at, put.operation_id.as_deref(), &request, run, as_result!(Put))
        })
        .await
    }

    async fn delete(
        &self,
        request: Request<cache::DeleteRequest>,
    ) -> Result<Response<cache::DeleteResponse>, Status> {
        let (metadata, _, delete) = request.into_parts();
        unary::run(&self.node, "Delete", &metadata, || {
            let precondition = convert::precondition(delete.precondition.as_ref())?;
            let request =
                once::Request { kind: 3, precondition: Some(&precondition), ..once::Request::default() };
            let run = |now| {
                let done = self.node.engine.delete(&delete.namespace, &delete.key, &precondition, now);
                let done = done.map_err(refused)?;
                Ok(cache::DeleteResponse { version: done.version, existed: done.existed })
            };
            let at = (delete.namespace.as_str(), &delete.key[..]);
            once::unary(&self.node, at, delete.operation_id.as_deref(), &request, run, as_result!(Delete))
        })
        .await
    }

    async fn touch(
        &self,
        request: Request<cache::TouchRequest>,
    ) -> Result<Response<cache::TouchResponse>, Status> {
        let (metadata, _, touch) = request.into_parts();
        unary::run(&self.node, "Touch", &metadata, || {
            let ttl = convert::ttl(touch.ttl.as_ref())?;
            let request = once::Request { kind: 4, ttl, ..once::Request::default() };
            let run = |now| {
                let key = engine::Touch { namespace: &touch.namespace, key: &touch.key, ttl };
                let done = self.node.engine.touch(key, now).map_err(refused)?;
                Ok(cache::TouchResponse {
                    version: done.version,
                    expiry_version: done.expiry_version,
                    remaining_ttl: done.remaining_ms.map(convert::duration),
                })
            };
            let at = (touch.namespace.as_str(), &touch.key[..]);
            once::unary(&self.node, at, touch.operation_id.as_deref(), &request, run, as_result!(Touch))
        })
        .await
    }

    async fn increment(
        &self,
        request: Request<cache::IncrementRequest>,
    ) -> Result<Response<cache::IncrementResponse>, Status> {
        let (metadata, _, add) = request.into_parts();
        unary::run(&self.node, "Increment", &metadata, || {
            let increment = engine::Increment {
                namespace: &add.namespace,
                key: &add.key,
                delta: add.delta,
                initial: add.initial,
                ttl: convert::ttl(add.ttl.as_ref())?,
                renew_ttl: add.renew_ttl,
            };
            let request = once::Request {
                kind: 5,
                ttl: increment.ttl,
                flag: add.renew_ttl,
                delta: add.delta,
                initial: add.initial,
                ..once::Request::default()
            };
            let run = |now| {
                let done = self.node.engine.increment(increment, now).map_err(refused)?;
                Ok(cache::IncrementResponse {
                    value: done.value,
                    version: done.version,
                    created: done.created,
                    remaining_ttl: done.remaining_ms.map(convert::duration),
                })
            };
            let at = (add.namespace.as_str(), &add.key[..]);
            once::unary(&self.node, at, add.operation_id.as_deref(), &request, run, as_result!(Increment))
        })
        .await
    }

    async fn batch_get(
        &self,
        request: Request<cache::BatchGetRequest>,
    ) -> Result<Response<cache::BatchGetResponse>, Status> {
        let (metadata, _, batch) = request.into_parts();
        unary::run(&self.node, "BatchGet", &metadata, || {
            if batch.keys.is_empty() || batch.keys.len() > MAX_BATCH_KEYS {
                let keys = batch.keys.len();
                return Err(Error::invalid("keys", format!("1 to {MAX_BATCH_KEYS} keys, these are {keys}")));
            }
            // An unknown namespace fails the request, not each key.
            self.node.engine.namespace(&batch.namespace).map_err(refused)?;
            let mut left = BATCH_VALUE_BYTES;
            let results = batch.keys.iter().map(|key| self.batch_entry(&batch, key, &mut left));
            Ok(cache::BatchGetResponse { results: results.collect::<Result<_, _>>()? })
        })
        .await
    }

    type PipelineStream = futures::stream::Empty<Result<cache::PipelineResponse, Status>>;

    /// Never called: `pipeline::CacheRoutes` takes its path.
    async fn pipeline(
        &self,
        _request: Request<Streaming<cache::PipelineRequest>>,
    ) -> Result<Response<Self::PipelineStream>, Status> {
        Err(Error::new(ErrorReason::Internal, "Pipeline is served by its own routes").into())
    }

    type WatchStream = watch::Responses;

    async fn watch(
        &self,
        request: Request<Streaming<cache::WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        watch::open(&self.node, request.into_inner()).await
    }

    async fn list(
        &self,
        request: Request<cache::ListRequest>,
    ) -> Result<Response<cache::ListResponse>, Status> {
        let (metadata, _, list) = request.into_parts();
        unary::run(&self.node, "List", &metadata, || {
            let list = engine::ListRequest {
                namespace: &list.namespace,
                prefix: &list.prefix,
                page_size: if list.page_size == 0 { DEFAULT_PAGE } else { list.page_size as usize },
                page_token: &list.page_token,
            };
            let page = self.node.engine.list(&list, self.node.now()).map_err(refused)?;
            Ok(cache::ListResponse {
                keys: page.keys.into_iter().map(Bytes::from).collect(),
                next_page_token: page.next_page_token.into(),
            })
        })
        .await
    }

    async fn throttle(
        &self,
        request: Request<cache::ThrottleRequest>,
    ) -> Result<Response<cache::ThrottleResponse>, Status> {
        unary::run(&self.node, "Throttle", request.metadata(), || Err(not_implemented("Throttle"))).await
    }
}

impl Cache {
    /// One key of a batch; `left` is how many bytes of values may still be sent. An error: the whole batch is to be
    /// asked again.
    fn batch_entry(
        &self,
        batch: &cache::BatchGetRequest,
        key: &Bytes,
        left: &mut usize,
    ) -> Result<cache::BatchGetResult, Error> {
        let wanted = Wanted {
            omit_value: batch.omit_values,
            known_version: None,
            max_value_bytes: batch.max_value_bytes,
        };
        let get = engine::Get { namespace: &batch.namespace, key };
        let found = self.node.engine.get(get, self.node.now(), |found| match found {
            engine::GetOutcome::Miss => Ok(batch_get_result::Result::Miss(cache::Miss::default())),
            engine::GetOutcome::Hit(view) => {
                let size = view.value().len();
                let sent = wanted.omission(view.version(), size) == cache::ValueOmission::Unspecified;
                if sent && size > *left {
                    return Err(Error::new(
                        ErrorReason::ResponseTooLarge,
                        format!("{BATCH_VALUE_BYTES} bytes of values fit an answer; ask for fewer keys"),
                    ));
                }
                *left -= if sent { size } else { 0 };
                Ok(batch_get_result::Result::Entry(convert::entry(&view, &wanted)))
            }
        });
        let result = found.map_err(refused).and_then(|result| result);
        let result = match result {
            Err(error) if convert::is_held(&error) => return Err(error),
            other => other.unwrap_or_else(|error| batch_get_result::Result::Error(error.into_detail())),
        };
        Ok(cache::BatchGetResult { result: Some(result) })
    }
}
