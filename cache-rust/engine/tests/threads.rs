//! Many threads at once: what must hold whatever they do.
#![allow(clippy::unwrap_used, missing_docs)]

use bimetal_engine::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

fn put<'a>(namespace: &'a str, key: &'a [u8], value: &'a [u8]) -> Put<'a> {
    let (ttl, precondition) = (Ttl::Default, Precondition::None);
    Put { namespace, key, value, content_type: "", ttl, precondition }
}

#[test]
fn increments_of_many_threads_are_all_counted() {
    let engine = Arc::new(Engine::new(Config { shards: 2, ..Config::default() }));
    let add = |engine: Arc<Engine>| {
        move || {
            for _ in 0..20_000 {
                let request = Increment {
                    namespace: "default",
                    key: b"n",
                    delta: 1,
                    initial: 0,
                    ttl: Ttl::Default,
                    renew_ttl: false,
                };
                engine.increment(request, Now::new(0, 1)).unwrap();
            }
        }
    };
    let threads: Vec<_> = (0..4).map(|_| thread::spawn(add(Arc::clone(&engine)))).collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
    let value = engine.get(Get { namespace: "default", key: b"n" }, Now::new(0, 1), |found| match found {
        GetOutcome::Hit(entry) => parse_integer(entry.value()),
        GetOutcome::Miss => None,
    });
    assert_eq!(value, Ok(Some(80_000)));
}

#[test]
fn writers_evictions_flushes_topologies_and_quotas_at_once_leave_every_byte_counted() {
    let limit = 1 << 20;
    let engine = Arc::new(Engine::new(Config { shards: 4, memory_limit: limit, ..Config::default() }));
    engine.create_namespace(NamespaceRecord::new("other"), Now::new(0, 1)).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let admin = {
        let (engine, stop) = (Arc::clone(&engine), Arc::clone(&stop));
        thread::spawn(move || {
            let mut epoch = 0;
            while !stop.load(Ordering::Relaxed) {
                let now = Now::new(epoch, epoch);
                epoch += 1;
                engine.flush("default", now).unwrap();
                let quota = Some(20_000 + epoch % 7 * 10_000);
                engine.update_namespace("other", |record| record.quota_bytes = quota, now).unwrap();
                let node = |name: &str, tag| Node { name: name.into(), tag, address: String::new() };
                let mut nodes = vec![node("cache-0", 1)];
                if epoch % 2 == 0 {
                    nodes.push(node("cache-1", 2));
                }
                engine.set_topology(Topology { epoch, nodes }, now).unwrap();
                engine.sweep(1_000, now);
                if epoch % 5 == 0 {
                    engine.delete_namespace("other", now).unwrap();
                    engine.create_namespace(NamespaceRecord::new("other"), now).unwrap();
                }
            }
        })
    };
    let writers: Vec<_> = (0..3u32)
        .map(|w| {
            let engine = Arc::clone(&engine);
            thread::spawn(move || {
                let values = [vec![1; 20], vec![2; 700], vec![3; 70_000]];
                for i in 0..30_000u32 {
                    let key = (i.wrapping_mul(2_654_435_761) % 5_000).to_le_bytes();
                    let namespace = if i % 3 == 0 { "other" } else { "default" };
                    let value = &values[if i % 97 == 0 { 2 } else { (i % 2) as usize }];
                    let now = Now::new(u64::from(i), u64::from(i));
                    // Wrong node, no such namespace, no room: all may be; a wrong value may not.
                    let _ = engine.put(&put(namespace, &key, value), now, |_| ());
                    let _ = engine.get(Get { namespace, key: &key }, now, |found| {
                        if let GetOutcome::Hit(entry) = found {
                            let value = entry.value();
                            assert!(value.iter().all(|b| *b == value[0]), "writer {w} read a torn value");
                        }
                    });
                }
            })
        })
        .collect();
    writers.into_iter().for_each(|w| w.join().unwrap());
    stop.store(true, Ordering::Relaxed);
    admin.join().unwrap();
    engine.audit().unwrap();
    assert!(engine.used_bytes() <= limit, "{}", engine.used_bytes());
}

#[test]
fn a_frontier_lies_behind_every_event_of_what_was_answered_before() {
    let engine = Arc::new(Engine::new(Config { shards: 4, ..Config::default() }));
    let (mut watch, _) = engine.subscribe(Interest::default(), None);
    let (answered, versions) = std::sync::mpsc::channel();
    let writer = {
        let engine = Arc::clone(&engine);
        thread::spawn(move || {
            for i in 0..20_000u32 {
                let key = (i % 64).to_le_bytes();
                let version =
                    engine.put(&put("default", &key, b"v"), Now::new(0, 1), |done| done.version).unwrap();
                answered.send((key.to_vec(), version)).unwrap();
            }
        })
    };
    let mut seen = std::collections::HashMap::new();
    let mut expected: Vec<(Vec<u8>, u64)> = vec![];
    loop {
        expected.extend(versions.try_iter());
        let ended = writer.is_finished();
        let frontier = engine.frontier();
        engine
            .read_events(&mut watch, &frontier, Now::new(0, 1), |event| {
                let last = seen.insert(event.key.to_vec(), event.version);
                assert!(last < Some(event.version), "in order for each key");
                true
            })
            .unwrap();
        for (key, version) in expected.drain(..) {
            assert!(seen[&key] >= version, "an answered write has no event below the frontier");
        }
        if ended {
            break;
        }
    }
    writer.join().unwrap();
}
