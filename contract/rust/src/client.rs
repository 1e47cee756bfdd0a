//! A small typed client of one node. Every error is one of the table.

use crate::cache::cache_service_client::CacheServiceClient;
use crate::cache::namespace_service_client::NamespaceServiceClient;
use crate::cache::{self, get_response};
use crate::control::control_service_client::ControlServiceClient;
use crate::errors::ErrorReason;
use crate::{Error, MAX_MESSAGE_BYTES};
use bytes::Bytes;
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// Speaks to one node; clones share its connection.
#[derive(Debug, Clone)]
pub struct Client {
    channel: Channel,
}

impl Client {
    /// A client of the node at `host:port`. It connects with the first call and again when that broke.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for what is no address.
    pub fn connect(address: &str) -> Result<Self, Error> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|error| Error::invalid("address", format!("{address:?} is no host:port: {error}")))?;
        let endpoint = endpoint.tcp_nodelay(true).connect_timeout(Duration::from_secs(5));
        Ok(Self { channel: endpoint.connect_lazy() })
    }

    /// The generated client of CacheService.
    #[must_use]
    pub fn cache(&self) -> CacheServiceClient<Channel> {
        CacheServiceClient::new(self.channel.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// The generated client of NamespaceService.
    #[must_use]
    pub fn namespaces(&self) -> NamespaceServiceClient<Channel> {
        NamespaceServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// The generated client of ControlService.
    #[must_use]
    pub fn control(&self) -> ControlServiceClient<Channel> {
        ControlServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// The live entry, if there is one.
    ///
    /// # Errors
    /// Any of the table.
    pub async fn get(&self, namespace: &str, key: &[u8]) -> Result<Option<cache::Entry>, Error> {
        let request = cache::GetRequest {
            namespace: namespace.into(),
            key: Bytes::copy_from_slice(key),
            ..cache::GetRequest::default()
        };
        match self.cache().get(request).await.map_err(|s| read(&s))?.into_inner().result {
            Some(get_response::Result::Entry(entry)) => Ok(Some(entry)),
            Some(get_response::Result::Miss(_)) => Ok(None),
            None => Err(Error::new(ErrorReason::Internal, "the node answered Get without a result")),
        }
    }

    /// Writes an entry with the namespace's default TTL; answers its version.
    ///
    /// # Errors
    /// Any of the table.
    pub async fn put(
        &self,
        namespace: &str,
        key: &[u8],
        value: Bytes,
        content_type: &str,
    ) -> Result<u64, Error> {
        let request = cache::PutRequest {
            namespace: namespace.into(),
            key: Bytes::copy_from_slice(key),
            value,
            content_type: content_type.into(),
            ..cache::PutRequest::default()
        };
        Ok(self.cache().put(request).await.map_err(|s| read(&s))?.into_inner().version)
    }

    /// Deletes a key; answers whether there was an entry.
    ///
    /// # Errors
    /// Any of the table.
    pub async fn delete(&self, namespace: &str, key: &[u8]) -> Result<bool, Error> {
        let request = cache::DeleteRequest {
            namespace: namespace.into(),
            key: Bytes::copy_from_slice(key),
            ..cache::DeleteRequest::default()
        };
        Ok(self.cache().delete(request).await.map_err(|s| read(&s))?.into_inner().existed)
    }
}

/// A unary call that failed may have been sent: tonic does not tell.
fn read(status: &Status) -> Error {
    Error::from_status(status, true)
}

/// The request with the run token, which ControlService and writes of NamespaceService ask for.
#[must_use]
pub fn with_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    if let Ok(value) = format!("Bearer {token}").parse() {
        request.metadata_mut().insert("authorization", value);
    }
    request
}
