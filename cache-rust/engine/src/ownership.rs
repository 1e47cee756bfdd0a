//! Which node a key belongs to: rendezvous hashing (Thaler and Ravishankar, "Using name-based
//! mappings to increase hit rates", IEEE/ACM ToN 1998) with XXH64, seed 0.

use crate::error::Error;
use crate::limits::{MAX_KEY_BYTES, MAX_NAMESPACE_BYTES, is_name};
use xxhash_rust::xxh64::xxh64;

/// Longest node name, in bytes.
const MAX_NODE_NAME_BYTES: usize = 63;
/// Tags have 10 bits; 0 is that of a node without a topology.
const MAX_TAG: u32 = 1_023;

/// A member of the topology.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Stable name; what is hashed.
    pub name: String,
    /// 1 to 1023, never given to another name; what stands in versions.
    pub tag: u32,
    /// `host:port` for callers; the engine only hands it on.
    pub address: String,
}

/// The nodes that share the keys. A greater epoch replaces a smaller one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// Grows with every change.
    pub epoch: u64,
    /// Members.
    pub nodes: Vec<Node>,
}

impl Topology {
    /// Refuses what could not be hashed or told apart.
    ///
    /// # Errors
    /// INVALID_ARGUMENT with the field at fault.
    pub fn check(&self) -> Result<(), Error> {
        if self.epoch == 0 {
            return Err(Error::invalid("topology.epoch", "an epoch is at least 1"));
        }
        if self.nodes.is_empty() {
            return Err(Error::invalid("topology.nodes", "a topology has at least one node"));
        }
        for (i, node) in self.nodes.iter().enumerate() {
            if !is_name(&node.name) {
                return Err(Error::invalid(
                    "topology.nodes.name",
                    format!("node {i}: a name is [a-z0-9][a-z0-9-]{{0,62}}"),
                ));
            }
            if node.tag == 0 || node.tag > MAX_TAG {
                return Err(Error::invalid(
                    "topology.nodes.tag",
                    format!("node {:?}: a tag is 1 to {MAX_TAG}, this one is {}", node.name, node.tag),
                ));
            }
            if let Some(twin) = self.nodes[..i].iter().find(|n| n.name == node.name || n.tag == node.tag) {
                return Err(Error::invalid(
                    "topology.nodes",
                    format!("{:?} and {:?} share a name or a tag", twin.name, node.name),
                ));
            }
        }
        Ok(())
    }

    /// The owner of a key. The topology has at least one node.
    #[must_use]
    pub fn owner(&self, namespace: &str, key: &[u8]) -> &Node {
        let mut best = &self.nodes[0];
        let mut best_weight = weight(&best.name, namespace, key);
        for node in &self.nodes[1..] {
            let w = weight(&node.name, namespace, key);
            if (w, node.name.as_bytes()) > (best_weight, best.name.as_bytes()) {
                (best, best_weight) = (node, w);
            }
        }
        best
    }
}

/// XXH64 (seed 0) of `name 0x00 namespace 0x00 key`: the greatest weight owns, ties go to the
/// bytewise greater name.
#[must_use]
pub fn weight(name: &str, namespace: &str, key: &[u8]) -> u64 {
    const SPACE: usize = MAX_NODE_NAME_BYTES + MAX_NAMESPACE_BYTES + MAX_KEY_BYTES + 2;
    let length = name.len() + namespace.len() + key.len() + 2;
    if length > SPACE {
        let joined = [name.as_bytes(), &[0], namespace.as_bytes(), &[0], key].concat();
        return xxh64(&joined, 0);
    }
    let mut buffer = [0u8; SPACE];
    let (head, rest) = buffer.split_at_mut(name.len());
    head.copy_from_slice(name.as_bytes());
    let (middle, tail) = rest[1..].split_at_mut(namespace.len());
    middle.copy_from_slice(namespace.as_bytes());
    tail[1..=key.len()].copy_from_slice(key);
    xxh64(&buffer[..length], 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology(names: &[&str]) -> Topology {
        let nodes = names
            .iter()
            .enumerate()
            .map(|(i, n)| Node { name: (*n).into(), tag: i as u32 + 1, address: String::new() })
            .collect();
        Topology { epoch: 1, nodes }
    }

    #[test]
    fn the_weight_is_xxh64_of_name_namespace_and_key_divided_by_nul() {
        assert_eq!(weight("cache-0", "default", b"k"), xxh64(b"cache-0\0default\0k", 0));
        let long = vec![7u8; 5_000];
        assert_eq!(weight("n", "s", &long), xxh64(&[b"n\0s\0".as_slice(), &long].concat(), 0));
    }

    #[test]
    fn a_third_node_takes_about_a_third_of_the_keys_and_only_from_others_to_itself() {
        let (two, three) = (topology(&["a", "b"]), topology(&["a", "b", "c"]));
        let mut moved = 0;
        for i in 0..30_000u32 {
            let key = i.to_le_bytes();
            let (before, after) = (two.owner("x", &key), three.owner("x", &key));
            if before.name != after.name {
                assert_eq!(after.name, "c");
                moved += 1;
            }
        }
        assert!((9_000..11_000).contains(&moved), "{moved}");
    }

    #[test]
    fn names_and_tags_must_differ() {
        assert!(topology(&["a", "b"]).check().is_ok());
        assert!(topology(&["a", "a"]).check().is_err());
        let mut t = topology(&["a", "b"]);
        t.nodes[1].tag = 1;
        assert!(t.check().is_err());
        t.nodes[1].tag = 1_024;
        assert!(t.check().is_err());
        t.nodes[1].tag = 0;
        assert!(t.check().is_err());
        assert!(Topology { epoch: 1, nodes: vec![] }.check().is_err());
    }
}
