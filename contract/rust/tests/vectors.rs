//! The vectors that all languages read: bytes to message to the same bytes, and canonical JSON.
#![allow(clippy::unwrap_used, missing_docs)]

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bimetal_contract::identity;
use prost_reflect::prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;

fn vectors() -> Vec<Value> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../proto/vectors/messages");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()).collect()
}

/// The generated type's own round trip.
macro_rules! round_trips {
    ($($package:ident: $($message:ident)*;)*) => {
        fn round_trip(name: &str, bytes: &[u8]) -> Option<Vec<u8>> {
            $($(
                if name == concat!("bimetal.", stringify!($package), ".v1.", stringify!($message)) {
                    let message = bimetal_contract::$package::$message::decode(bytes).unwrap();
                    return Some(message.encode_to_vec());
                }
            )*)*
            None
        }
    };
}

round_trips! {
    cache: BatchGetRequest BatchGetResponse BatchGetResult CreateNamespaceRequest CreateNamespaceResponse
        DeleteNamespaceRequest DeleteNamespaceResponse DeleteRequest DeleteResponse Entry Event Events
        FlushNamespaceRequest FlushNamespaceResponse GetNamespaceRequest GetNamespaceResponse GetRequest
        GetResponse Heartbeat IncrementRequest IncrementResponse LeaseGrant ListNamespacesRequest
        ListNamespacesResponse ListRequest ListResponse Miss Namespace Operation OperationResult
        PipelineRequest PipelineResponse Precondition PutRequest PutResponse Reset Subscribe Subscribed
        SyncNamespacesRequest SyncNamespacesResponse ThrottleRequest ThrottleResponse Tick TouchRequest
        TouchResponse Ttl UpdateNamespaceRequest UpdateNamespaceResponse VersionSet WatchRequest WatchResponse;
    control: ContractIdentity DescribeRequest DescribeResponse DrainRequest DrainResponse HandOverAcknowledge
        HandOverBegin HandOverBlock HandOverDone HandOverProgress HandOverRequest HandOverResponse HandOverTake
        ListRoutesRequest ListRoutesResponse NamespaceStats Node Route RouteStats SetRoutesRequest
        SetRoutesResponse SetTopologyRequest SetTopologyResponse StatsRequest StatsResponse TargetStats Topology;
    errors: Error ErrorSpec FieldViolation Owner;
}

#[test]
fn every_message_of_the_contract_has_a_vector() {
    let pool = DescriptorPool::decode(identity::DESCRIPTOR_SET).unwrap();
    let ours = pool.all_messages().filter(|m| m.package_name().starts_with("bimetal."));
    let declared: BTreeSet<_> = ours.map(|m| m.full_name().to_owned()).collect();
    let covered: BTreeSet<_> = vectors().iter().map(|v| v["message"].as_str().unwrap().to_owned()).collect();
    assert_eq!(declared, covered);
}

#[test]
fn bytes_become_a_message_and_the_same_bytes_and_canonical_json() {
    let pool = DescriptorPool::decode(identity::DESCRIPTOR_SET).unwrap();
    let mut cases = 0;
    for vector in vectors() {
        let name = vector["message"].as_str().unwrap();
        let descriptor = pool.get_message_by_name(name).unwrap();
        for case in vector["cases"].as_array().unwrap() {
            let what = format!("{name}, {}", case["name"]);
            let bytes = BASE64_STANDARD.decode(case["bytes"].as_str().unwrap()).unwrap();
            let again = round_trip(name, &bytes).unwrap_or_else(|| panic!("{name} is not in the list above"));
            assert_eq!(again, bytes, "{what}");
            let message = DynamicMessage::decode(descriptor.clone(), &*bytes).unwrap();
            let json = message
                .serialize_with_options(serde_json::value::Serializer, &SerializeOptions::new())
                .unwrap();
            assert_eq!(json, case["json"], "{what}");
            let parsed = DynamicMessage::deserialize(descriptor.clone(), case["json"].clone()).unwrap();
            assert_eq!(parsed.encode_to_vec(), bytes, "{what}");
            cases += 1;
        }
    }
    assert!(cases > 300, "{cases}");
}

#[test]
fn the_digest_is_that_of_the_descriptor_set() {
    use sha2::{Digest, Sha256};
    let digest: [u8; 32] = Sha256::digest(identity::DESCRIPTOR_SET).into();
    assert_eq!(identity::digest(), digest);
}
