//! The ownership vectors that all languages read.
#![allow(clippy::unwrap_used, missing_docs)]

use bimetal_engine::{Node, Topology, weight};
use serde_json::Value;

/// Base64 without a crate for it: the engine's tests need no more.
fn base64(text: &str) -> Vec<u8> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let (mut out, mut bits, mut held) = (vec![], 0u32, 0);
    for c in text.bytes().filter(|c| *c != b'=') {
        bits = bits << 6 | u32::from(digit(c));
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    out
}

#[test]
fn every_key_of_the_vectors_has_the_owner_that_they_name() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto/vectors/ownership/rendezvous.json");
    let vectors: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert!(cases.len() > 10);
    for case in cases {
        let names: Vec<_> = case["nodes"].as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
        let (namespace, key) = (case["namespace"].as_str().unwrap(), base64(case["key"].as_str().unwrap()));
        for (name, expected) in names.iter().zip(case["weights"].as_array().unwrap()) {
            assert_eq!(weight(name, namespace, &key).to_string(), expected.as_str().unwrap(), "{case}");
        }
        let node = |(name, tag): (&&str, u32)| Node { name: (*name).into(), tag, address: String::new() };
        let topology = Topology { epoch: 1, nodes: names.iter().zip(1..).map(node).collect() };
        assert_eq!(topology.owner(namespace, &key).name, case["owner"].as_str().unwrap(), "{case}");
    }
}
