//! Reads entries by HTTP and by gRPC and writes the digests of their values; see ../README.md.

use bimetal_contract::Client;
use bimetal_engine::{Node, Topology};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::error::Error;
use std::fmt::Write as _;
use std::io::{BufWriter, Read, Write, stdin, stdout};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    gateway_url: String,
    nodes: Vec<Address>,
    namespace: String,
    keys: Vec<String>,
}

#[derive(Deserialize)]
struct Address {
    name: String,
    address: String,
}

#[derive(Serialize)]
struct Line<'a> {
    key: &'a str,
    http: String,
    grpc: String,
}

const NONE: &str = "none";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut text = String::new();
    stdin().read_to_string(&mut text)?;
    let reader = Reader::new(serde_json::from_str(&text)?)?;
    let mut out = BufWriter::new(stdout().lock());
    for key in &reader.input.keys {
        let line = Line { key, http: reader.read_http(key).await?, grpc: reader.read_grpc(key).await? };
        serde_json::to_writer(&mut out, &line)?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(())
}

struct Reader {
    input: Input,
    topology: Topology,
    http: legacy::Client<HttpConnector, Empty<Bytes>>,
    nodes: Vec<(String, Client)>,
}

impl Reader {
    fn new(input: Input) -> Result<Self, Box<dyn Error>> {
        let mut nodes = Vec::new();
        let mut members = Vec::new();
        for (tag, Address { name, address }) in (1..).zip(&input.nodes) {
            let client = Client::connect(address).map_err(|error| format!("{error:?}"))?;
            nodes.push((name.clone(), client));
            members.push(Node { name: name.clone(), tag, address: address.clone() });
        }
        let http = legacy::Client::builder(TokioExecutor::new()).build_http();
        Ok(Self { input, topology: Topology { epoch: 1, nodes: members }, http, nodes })
    }

    async fn read_grpc(&self, key: &str) -> Result<String, Box<dyn Error>> {
        let namespace = &self.input.namespace;
        let owner = &self.topology.owner(namespace, key.as_bytes()).name;
        let (_, client) =
            self.nodes.iter().find(|(name, _)| name == owner).ok_or("the owner has no address")?;
        let entry =
            client.get(namespace, key.as_bytes()).await.map_err(|error| format!("{key}: {error:?}"))?;
        Ok(entry.map_or_else(|| NONE.into(), |entry| digest(&entry.value)))
    }

    async fn read_http(&self, key: &str) -> Result<String, Box<dyn Error>> {
        let Input { gateway_url, namespace, .. } = &self.input;
        let target = format!("{gateway_url}/v1/cache/{namespace}/{}", percent_encode(key));
        let response = self.http.get(target.parse()?).await?;
        let status = response.status();
        let value = response.into_body().collect().await?.to_bytes();
        match status.as_u16() {
            200 => Ok(digest(&value)),
            404 => Ok(NONE.into()),
            _ => Err(format!("the gateway answered {status} for {key}").into()),
        }
    }
}

/// Everything but the unreserved characters of RFC 3986, section 2.3.
fn percent_encode(key: &str) -> String {
    let mut encoded = String::with_capacity(key.len());
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn digest(value: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(value) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
