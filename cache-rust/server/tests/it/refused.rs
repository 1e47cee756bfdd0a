//! The requests of `proto/vectors/refused.json`: each is refused with its reason and field, and changes nothing.

use crate::support::*;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bimetal_cache::convert::from_json;
use bimetal_contract::{Error, cache, table};
use prost_reflect::{DescriptorPool, Kind, MessageDescriptor};
use serde_json::Value;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tonic::Status;

/// Recipes become text, and base64 where the field holds bytes.
fn expand(value: &mut Value, message: &MessageDescriptor) {
    let Value::Object(fields) = value else { return };
    for (name, value) in fields.iter_mut() {
        let field = message.get_field_by_json_name(name).unwrap();
        if let (Some(repeat), Some(times)) = (value["repeat"].as_str(), value["times"].as_u64()) {
            let text = repeat.repeat(times as usize);
            *value = match field.kind() {
                Kind::Bytes => BASE64_STANDARD.encode(text).into(),
                _ => text.into(),
            };
        } else if let Kind::Message(message) = field.kind() {
            expand(value, &message);
        }
    }
}

async fn call(f: &Fixture, rpc: &str, json: Value) -> Result<(), Status> {
    let mut client = f.client.cache();
    macro_rules! rpcs {
        ($($name:literal $method:ident $request:ident;)*) => {
            match rpc {
                $($name => {
                    let name = concat!("bimetal.cache.v1.", stringify!($request));
                    let request: cache::$request = from_json(name, json).unwrap();
                    client.$method(request).await.map(drop)
                })*
                other => panic!("{other} is not in the list"),
            }
        };
    }
    rpcs! {
        "Get" get GetRequest;
        "Put" put PutRequest;
        "Delete" delete DeleteRequest;
        "Touch" touch TouchRequest;
        "Increment" increment IncrementRequest;
        "BatchGet" batch_get BatchGetRequest;
        "List" list ListRequest;
        "Throttle" throttle ThrottleRequest;
    }
}

#[tokio::test]
async fn every_refused_request_names_its_reason_and_field() {
    let f = start().await;
    let text = include_str!("../../../../proto/vectors/refused.json");
    let vectors: Value = serde_json::from_str(text).unwrap();
    let pool = DescriptorPool::decode(bimetal_contract::identity::DESCRIPTOR_SET).unwrap();
    for case in vectors["cases"].as_array().unwrap() {
        let (name, rpc) = (case["name"].as_str().unwrap(), case["rpc"].as_str().unwrap());
        let mut json = case["request"].clone();
        expand(&mut json, &pool.get_message_by_name(&format!("bimetal.cache.v1.{rpc}Request")).unwrap());
        let status = call(&f, rpc, json).await.expect_err(name);
        let error = Error::from_status(&status, true);
        assert_eq!(table::spec_of(error.reason()).name, case["reason"].as_str().unwrap(), "{name}: {error}");
        if let Some(field) = case["field"].as_str() {
            assert_eq!(error.detail().violations[0].field, field, "{name}");
        }
    }
    assert_eq!(f.server.node.engine.stats().namespaces[0].entries, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_goes_on_sending_on_a_connection_that_is_closed_is_cut_off() {
    let f = start().await;
    let address = f.server.grpc;
    let flood = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        // HTTP/2's preface and empty SETTINGS. The bytes after them are frames longer than any may be.
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(10) && stream.write_all(&[b'x'; 64 << 10]).is_ok() {}
        begun.elapsed()
    });
    let lasted = flood.await.unwrap();
    assert!(lasted < Duration::from_secs(3), "{lasted:?}");
}
