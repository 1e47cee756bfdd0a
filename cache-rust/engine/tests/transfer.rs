//! A second engine that follows the first equals it at the cut, whatever was done meanwhile.
#![allow(clippy::unwrap_used, missing_docs)]

use bimetal_engine::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const WALL: u64 = 1_700_000_000_000;
/// The two processes' monotonic clocks differ by this.
const APART: u64 = 5_000;

#[derive(Debug, Clone)]
enum Step {
    Put {
        namespace: usize,
        key: u8,
        size: usize,
        ttl: Ttl,
    },
    Delete(usize, u8),
    Touch(usize, u8, Ttl),
    Increment(usize, u8),
    Flush(usize),
    Create(usize),
    Drop(usize),
    Quota(usize, Option<u64>),
    Sweep,
    Wait(u64),
    /// So many blocks go over.
    Export(usize),
}

const NAMES: [&str; 3] = ["default", "one", "two"];

fn ttl() -> impl Strategy<Value = Ttl> {
    prop_oneof![Just(Ttl::Default), (1..40u64).prop_map(Ttl::Millis), Just(Ttl::Keep), Just(Ttl::Never)]
}

fn step() -> impl Strategy<Value = Step> {
    let n = 0..NAMES.len();
    let sizes =
        prop_oneof![20 => 0..200usize, 3 => 1_000..20_000usize, 1 => Just(70_000), 1 => Just(400_000)];
    prop_oneof![
        12 => (n.clone(), any::<u8>(), sizes, ttl())
            .prop_map(|(namespace, key, size, ttl)| Step::Put { namespace, key, size, ttl }),
        4 => (n.clone(), any::<u8>()).prop_map(|(n, k)| Step::Delete(n, k)),
        3 => (n.clone(), any::<u8>(), ttl()).prop_map(|(n, k, t)| Step::Touch(n, k, t)),
        3 => (n.clone(), any::<u8>()).prop_map(|(n, k)| Step::Increment(n, k)),
        1 => n.clone().prop_map(Step::Flush),
        1 => (1..NAMES.len()).prop_map(Step::Create),
        1 => (1..NAMES.len()).prop_map(Step::Drop),
        1 => (n, proptest::option::of(2_000..900_000u64)).prop_map(|(n, q)| Step::Quota(n, q)),
        2 => Just(Step::Sweep),
        3 => (0..15u64).prop_map(Step::Wait),
        5 => (0..4usize).prop_map(Step::Export),
    ]
}

/// The clocks of the first engine.
fn at(ms: u64) -> Now {
    Now::new(ms, WALL + ms)
}

/// The clocks of the second.
fn behind(ms: u64) -> Now {
    Now::new(ms + APART, WALL + ms)
}

fn run(engine: &Engine, step: &Step, now: Now) {
    match *step {
        Step::Put { namespace, key, size, ttl } => {
            let value = vec![key; size];
            let precondition = Precondition::None;
            let put = Put {
                namespace: NAMES[namespace],
                key: &[key],
                value: &value,
                content_type: "a/b",
                ttl,
                precondition,
            };
            let _ = engine.put(&put, now, |_| ());
        }
        Step::Delete(n, key) => drop(engine.delete(NAMES[n], &[key], &Precondition::None, now)),
        Step::Touch(n, key, ttl) => drop(engine.touch(Touch { namespace: NAMES[n], key: &[key], ttl }, now)),
        Step::Increment(n, key) => {
            let request = Increment {
                namespace: NAMES[n],
                key: &[key],
                delta: 1,
                initial: 0,
                ttl: Ttl::Default,
                renew_ttl: false,
            };
            let _ = engine.increment(request, now);
        }
        Step::Flush(n) => drop(engine.flush(NAMES[n], now)),
        Step::Create(n) => drop(engine.create_namespace(NamespaceRecord::new(NAMES[n]), now)),
        Step::Drop(n) => drop(engine.delete_namespace(NAMES[n], now)),
        Step::Quota(n, quota) => {
            drop(engine.update_namespace(NAMES[n], |record| record.quota_bytes = quota, now));
        }
        Step::Sweep => drop(engine.sweep(500, now)),
        Step::Wait(_) | Step::Export(_) => {}
    }
}

type Entries = BTreeMap<(usize, u8), (Vec<u8>, String, u64, u64, Option<u64>)>;

fn entries(engine: &Engine, now: Now) -> Entries {
    let mut all = BTreeMap::new();
    for (n, namespace) in NAMES.into_iter().enumerate() {
        for key in 0..=u8::MAX {
            let get = Get { namespace, key: &[key] };
            let _ = engine.get(get, now, |found| {
                if let GetOutcome::Hit(e) = found {
                    let (value, content_type) = (e.value().to_vec(), e.content_type().to_owned());
                    all.insert(
                        (n, key),
                        (value, content_type, e.version(), e.expiry_version(), e.remaining_ms()),
                    );
                }
            });
        }
    }
    all
}

fn events(
    engine: &Engine,
    subscription: &mut Subscription,
    now: Now,
) -> Vec<(EventKind, String, Vec<u8>, u64)> {
    let mut all = vec![];
    let frontier = engine.frontier();
    while engine
        .read_events(subscription, &frontier, now, |e| {
            all.push((e.kind, e.namespace.to_owned(), e.key.to_vec(), e.version));
            true
        })
        .unwrap()
        == Progress::More
    {}
    all
}

/// A second engine that is made out of the first one's blocks.
struct Follower {
    exporter: Exporter,
    made: Option<(Engine, Importer)>,
    config: Config,
}

impl Follower {
    fn new(first: &Engine, config: Config) -> Self {
        Self { exporter: first.export(), made: None, config }
    }

    /// Passes one block on; false: there was none.
    fn step(&mut self, first: &Engine, ms: u64, twice: bool) -> bool {
        let Some(block) = self.exporter.next_block(first, at(ms)).unwrap() else { return false };
        let config = &self.config;
        let (engine, importer) = self.made.get_or_insert_with(|| {
            let received = Received::read(&block).unwrap();
            Importer::new(&received, config.clone(), i128::from(ms + APART))
        });
        for _ in 0..=usize::from(twice) {
            importer.apply(engine, &block, behind(ms)).unwrap();
        }
        assert!(block.len() <= MAX_BLOCK_BYTES);
        true
    }
}

fn cases() -> ProptestConfig {
    let cases = std::env::var("MODEL_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(200);
    ProptestConfig { cases, ..ProptestConfig::default() }
}

#[test]
fn at_the_cut_both_hold_the_same_and_a_watcher_goes_on_without_a_gap() {
    let steps = proptest::collection::vec(step(), 1..250);
    let settings = (1..5usize, any::<prop::sample::Index>(), prop_oneof![Just(4 << 20), Just(16 << 10)]);
    proptest!(cases(), |(steps in steps, (shards, watch_from, history_bytes) in settings)| {
        let config = Config { shards, history_bytes, incarnation: 7, hash_seed: 99, ..Config::default() };
        let first = Engine::new(config);
        let (mut watching, _) = first.subscribe(Interest::default(), None);
        let mut position = first.position(&watching);
        let mut follower = Follower::new(&first, Config { shards: 1, hash_seed: 3, history_bytes: 4 << 20, ..Config::default() });
        let mut ms = 100;
        let watch_from = watch_from.index(steps.len());
        let mut seen_before = 0;
        for (i, step) in steps.iter().enumerate() {
            if let Step::Wait(more) = step { ms += more }
            run(&first, step, at(ms));
            if let Step::Export(blocks) = step {
                for _ in 0..*blocks { follower.step(&first, ms, false); }
            }
            if i <= watch_from {
                let frontier = first.frontier();
                let mut count = 0;
                if first.read_events(&mut watching, &frontier, at(ms), |_| { count += 1; true }).is_ok() {
                    seen_before += count;
                }
                position = first.position(&watching);
            }
        }
        first.hold();
        prop_assert_eq!(first.delete("default", b"x", &Precondition::None, at(ms)), Err(Error::Held));
        while follower.step(&first, ms, false) {}
        let last = first.greatest_version();
        let (second, mut importer) = follower.made.unwrap();
        importer.finish(&second, last, behind(ms));
        // Before anything is read, for reads remove what has expired, with events of their own.
        let (_, lost_here) = first.subscribe(Interest::default(), Some(&position));
        let (mut there, lost_there) = second.subscribe(Interest::default(), Some(&position));
        if lost_there.is_none() {
            let (mut here, _) = first.subscribe(Interest::default(), Some(&position));
            prop_assert!(lost_here.is_none());
            let (mut a, mut b) = (events(&first, &mut here, at(ms)), events(&second, &mut there, behind(ms)));
            a.sort();
            b.sort();
            prop_assert_eq!(a, b);
        } else {
            prop_assert!(lost_here.is_some(), "a watcher was reset for nothing after {} events", seen_before);
        }
        first.release();
        second.audit().unwrap();
        // The first one's millisecond may be ours and a bit: an entry never lives longer here.
        let (mine, theirs) = (entries(&first, at(ms)), entries(&second, behind(ms)));
        for (key, (value, content_type, version, expiry_version, left)) in &mine {
            match theirs.get(key) {
                None => prop_assert_eq!(*left, Some(1), "{:?} is lost", key),
                Some(there) => {
                    prop_assert_eq!((value, content_type, *version, *expiry_version), (&there.0, &there.1, there.2, there.3));
                    prop_assert_eq!(left.map(|ms| ms - 1), there.4);
                }
            }
        }
        prop_assert!(theirs.keys().all(|key| mine.contains_key(key)));
        prop_assert_eq!(first.namespaces(), second.namespaces());
        for namespace in second.namespaces().iter().filter(|record| !record.deleted) {
            let done = second.delete(&namespace.name, b"x", &Precondition::None, behind(ms)).unwrap();
            prop_assert!(done.version > last, "versions go on above the old ones");
        }
    });
}

#[test]
fn blocks_that_come_twice_change_nothing() {
    let steps = proptest::collection::vec(step(), 1..100);
    proptest!(ProptestConfig { cases: 50, ..cases() }, |(steps in steps)| {
        let first = Engine::new(Config { shards: 2, ..Config::default() });
        steps.iter().for_each(|step| run(&first, step, at(5)));
        let mut follower = Follower::new(&first, Config::default());
        while follower.step(&first, 5, false) {}
        let mut again = Follower::new(&first, Config::default());
        while again.step(&first, 5, true) {}
        let ((a, _), (b, _)) = (follower.made.unwrap(), again.made.unwrap());
        prop_assert_eq!(entries(&a, behind(5)), entries(&b, behind(5)));
        b.audit().unwrap();
    });
}

#[test]
fn an_engine_with_a_smaller_limit_evicts_and_stays_within_it() {
    let first = Engine::new(Config { shards: 4, ..Config::default() });
    for i in 0..20_000u32 {
        let key = i.to_le_bytes();
        let put = Put {
            namespace: "default",
            key: &key,
            value: &[1; 100],
            content_type: "",
            ttl: Ttl::Never,
            precondition: Precondition::None,
        };
        first.put(&put, at(0), |_| ()).unwrap();
    }
    let limit = 1 << 20;
    let mut follower =
        Follower::new(&first, Config { memory_limit: limit, history_bytes: 64 << 10, ..Config::default() });
    while follower.step(&first, 0, false) {
        if let Some((second, _)) = &follower.made {
            assert!(second.used_bytes() <= limit, "{}", second.used_bytes());
        }
    }
    let (second, mut importer) = follower.made.unwrap();
    importer.finish(&second, first.greatest_version(), behind(0));
    second.audit().unwrap();
    let stats = &second.stats().namespaces[0];
    assert!(stats.entries > 1_000 && stats.evictions > 0, "{stats:?}");
}

#[test]
fn hostile_bytes_are_refused_without_a_panic() {
    let first = Engine::new(Config { shards: 2, ..Config::default() });
    run(&first, &Step::Create(1), at(0));
    for key in 0..50 {
        run(
            &first,
            &Step::Put { namespace: usize::from(key % 2), key, size: 30, ttl: Ttl::Millis(50) },
            at(1),
        );
    }
    let mut exporter = first.export();
    let mut blocks = vec![];
    while let Some(block) = exporter.next_block(&first, at(1)).unwrap() {
        blocks.push(block);
    }
    let received = Received::read(&blocks[0]).unwrap();
    let change = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>(), any::<bool>());
    proptest!(ProptestConfig { cases: 3_000, ..cases() }, |((which, at_byte, byte, cut) in change)| {
        let mut blocks = blocks.clone();
        let block = &mut blocks[which.index(2)];
        let at_byte = at_byte.index(block.len());
        if cut { block.truncate(at_byte) } else { block[at_byte] = byte }
        let _ = Received::read(&blocks[0]);
        let (engine, mut importer) = Importer::new(&received, Config::default(), 0);
        for block in &blocks {
            if importer.apply(&engine, block, behind(0)).is_err() { break }
        }
    });
    proptest!(ProptestConfig { cases: 3_000, ..cases() }, |(bytes in proptest::collection::vec(any::<u8>(), 0..300))| {
        let (engine, mut importer) = Importer::new(&received, Config::default(), 0);
        let _ = Received::read(&bytes);
        let _ = importer.apply(&engine, &bytes, behind(0));
    });
}

#[test]
fn a_shard_whose_history_was_overtaken_is_walked_anew_and_keeps_nothing_that_is_gone() {
    let first = Engine::new(Config { shards: 1, history_bytes: 4 << 10, ..Config::default() });
    let put = |key: u8| run(&first, &Step::Put { namespace: 0, key, size: 10, ttl: Ttl::Never }, at(0));
    (0..50).for_each(put);
    let mut follower = Follower::new(&first, Config { history_bytes: 1 << 20, ..Config::default() });
    while follower.step(&first, 0, false) {}
    // The deletion leaves the history before the exporter comes to it.
    run(&first, &Step::Delete(0, 7), at(0));
    (0..2_000).for_each(|_| put(8));
    while follower.step(&first, 0, false) {}
    let (second, mut importer) = follower.made.unwrap();
    importer.finish(&second, first.greatest_version(), behind(0));
    assert_eq!(entries(&second, behind(0)), entries(&first, at(0)));
    assert_eq!(second.stats().namespaces[0].entries, 49);
    second.audit().unwrap();
}

#[test]
fn an_export_that_is_always_overtaken_fails_and_says_so() {
    let first = Engine::new(Config { shards: 1, history_bytes: 4 << 10, ..Config::default() });
    let mut exporter = first.export();
    let failed = (0..100u64).find_map(|round| {
        (0..2_000).for_each(|_| run(&first, &Step::Increment(0, 1), at(round)));
        exporter.next_block(&first, at(round)).err()
    });
    assert_eq!(failed, Some(ExportError::Overtaken { shard: 0 }));
}
