//! Hit ratios of the engine's policies, split over nodes by rendezvous hashing, against an exact LRU of the same
//! number of entries on each node. A miss is followed by a put.
//!
//! ```text
//! cargo run --release -p bimetal-engine --example hit_ratio -- [TRACE.lis] [ENTRIES] [NODES] [SHARDS]
//! ```
//!
//! A trace has lines `START COUNT …`: COUNT references to START, START+1, … Without a trace, or with `-`, synthetic
//! ones are played, so that nothing is tuned to a single trace.
#![allow(clippy::unwrap_used, missing_docs)]

use bimetal_engine::*;
use std::collections::{BTreeMap, HashMap};

struct Node {
    engine: Engine,
    entries: usize,
    limited: bool,
}

impl Node {
    fn new(policy: Policy, entries: usize, shards: usize) -> Self {
        let config = Config { policy, shards, memory_limit: 1 << 40, hash_seed: 7, ..Config::default() };
        Self { engine: Engine::new(config), entries, limited: false }
    }

    /// Room for a number of entries is a quota in bytes: every entry here has the same size.
    fn access(&mut self, key: u64, at: u64) -> bool {
        let (key, now) = (key.to_be_bytes(), Now::new(at, at));
        let hit = self
            .engine
            .get(Get { namespace: "default", key: &key }, now, |f| matches!(f, GetOutcome::Hit(_)));
        if hit.unwrap() {
            return true;
        }
        if !self.limited {
            let quota = entry_bytes(8, 0, 8, false) * self.entries;
            self.engine.update_namespace("default", |r| r.quota_bytes = Some(quota as u64), now).unwrap();
            self.limited = true;
        }
        let put = Put {
            namespace: "default",
            key: &key,
            value: &key,
            content_type: "",
            ttl: Ttl::Default,
            precondition: Precondition::None,
        };
        self.engine.put(&put, now, |_| ()).unwrap();
        false
    }
}

/// Exact, by a clock and a tree: as plain as can be.
struct Lru {
    entries: usize,
    used: HashMap<u64, u64>,
    order: BTreeMap<u64, u64>,
}

impl Lru {
    fn access(&mut self, key: u64, at: u64) -> bool {
        let before = self.used.insert(key, at);
        if let Some(before) = before {
            self.order.remove(&before);
        }
        self.order.insert(at, key);
        if self.used.len() > self.entries
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.used.remove(&oldest);
        }
        before.is_some()
    }
}

/// A small generator of numbers that needs no crate.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Zipf with exponent near 1 over `n` keys.
    fn zipf(&mut self, n: f64) -> u64 {
        n.powf(self.next()) as u64
    }
}

fn synthetic() -> Vec<(&'static str, Vec<u64>)> {
    let mut r = Random(88_172_645_463_325_252);
    let count = 600_000;
    let zipf: Vec<_> = (0..count).map(|_| r.zipf(200_000.0)).collect();
    let mut scan = vec![];
    for i in 0..count / 2 {
        scan.push(r.zipf(100_000.0));
        // One reference in two is of a scan that never comes back.
        scan.push(1_000_000 + i);
    }
    // Popularity drifts: every 100,000 references the ranks move on by 5,000 keys.
    let drift = (0..count).map(|i| r.zipf(100_000.0) + i / 100_000 * 5_000).collect();
    // A loop somewhat larger than the cache, among other traffic.
    let cycle =
        (0..count).map(|i| if i % 3 == 0 { r.zipf(50_000.0) } else { 500_000 + i % 25_000 }).collect();
    vec![("zipf", zipf), ("zipf and scan", scan), ("drifting zipf", drift), ("zipf and loop", cycle)]
}

fn read(path: &str) -> Vec<u64> {
    let text = std::fs::read_to_string(path).unwrap();
    let numbers = text.lines().map(|line| {
        let mut words = line.split_whitespace().map(|word| word.parse::<u64>().unwrap());
        (words.next().unwrap(), words.next().unwrap())
    });
    numbers.flat_map(|(start, count)| start..start + count).collect()
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let number = |i: usize, default: usize| arguments.get(i).map_or(default, |text| text.parse().unwrap());
    let (entries, nodes, shards) = (number(1, 20_000), number(2, 2), number(3, 8));
    let traces = match arguments.first().map(String::as_str) {
        Some(path) if path != "-" => vec![(path, read(path))],
        _ => synthetic(),
    };
    let names = (0..nodes).map(|i| format!("cache-{i}"));
    let members =
        names.zip(1..).map(|(name, tag)| bimetal_engine::Node { name, tag, address: String::new() });
    let topology = Topology { epoch: 1, nodes: members.collect() };
    println!("room for {entries} entries over {nodes} nodes of {shards} shards");
    for (name, trace) in traces {
        let owners: Vec<_> =
            trace.iter().map(|k| topology.owner("default", &k.to_be_bytes()).tag as usize - 1).collect();
        let mut each: Vec<_> = (0..nodes)
            .map(|_| Lru { entries: entries / nodes, used: HashMap::new(), order: BTreeMap::new() })
            .collect();
        let ratio = |hits: usize| hits as f64 / trace.len() as f64;
        let play = |access: &mut dyn FnMut(usize, u64, u64) -> bool| {
            let references = trace.iter().zip(&owners).zip(1..);
            ratio(references.filter(|((key, owner), at)| access(**owner, **key, *at)).count())
        };
        let exact = play(&mut |owner, key, at| each[owner].access(key, at));
        let engine = |policy| {
            let mut each: Vec<_> = (0..nodes).map(|_| Node::new(policy, entries / nodes, shards)).collect();
            play(&mut |owner, key, at| each[owner].access(key, at))
        };
        let (lru, s3) = (engine(Policy::Lru), engine(Policy::S3Fifo));
        println!(
            "{name}: {} references; exact LRU {exact:.4}, engine LRU {lru:.4}, engine S3-FIFO {s3:.4} ({:+.2} points)",
            trace.len(),
            (s3 - exact) * 100.0
        );
    }
}
