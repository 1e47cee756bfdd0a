//! Operations with an id: executed once, answered as often as asked, within their time and their memory.
#![allow(clippy::unwrap_used, missing_docs)]

use bimetal_engine::*;
use proptest::prelude::*;
use std::collections::HashMap;

const TTL: u64 = 1_000;

fn engine(memory_limit: usize) -> Engine {
    Engine::new(Config { shards: 4, memory_limit, operation_ttl_ms: TTL, ..Config::default() })
}

fn at(ms: u64) -> Now {
    Now::new(ms, 1_700_000_000_000 + ms)
}

fn id(n: u8) -> [u8; 16] {
    [n; 16]
}

/// Adds to a counter once, and says what was answered.
fn add(engine: &Engine, key: &[u8], id: [u8; 16], delta: i64, now: Now) -> Result<(i64, bool), Error> {
    let operation = OperationId { id, fingerprint: delta as u64 };
    let run = || {
        let request =
            Increment { namespace: "default", key, delta, initial: 0, ttl: Ttl::Default, renew_ttl: false };
        engine.increment(request, now).map(|done| done.value.to_le_bytes().to_vec())
    };
    let value = |bytes: &[u8]| i64::from_le_bytes(bytes.try_into().unwrap());
    match engine.once("default", key, operation, now, run) {
        Ok(Answer::First(bytes)) => Ok((value(&bytes), true)),
        Ok(Answer::Repeated(bytes)) => Ok((value(&bytes), false)),
        Err(OnceError::Refused(error) | OnceError::Failed(error)) => Err(error),
    }
}

#[test]
fn a_repeat_gets_the_same_result_and_another_request_is_refused() {
    let e = engine(1 << 20);
    assert_eq!(add(&e, b"n", id(1), 5, at(0)), Ok((5, true)));
    assert_eq!(add(&e, b"n", id(1), 5, at(1)), Ok((5, false)));
    assert_eq!(add(&e, b"n", id(1), 6, at(1)), Err(Error::OperationIdReused));
    assert_eq!(add(&e, b"n", id(2), 5, at(1)), Ok((10, true)));
    assert_eq!(add(&e, b"m", id(1), 5, at(1)), Ok((5, true)), "an id belongs to its key");
    assert_eq!(add(&e, b"n", id(1), 5, at(TTL - 1)), Ok((5, false)));
    assert_eq!(add(&e, b"n", id(1), 5, at(TTL)), Ok((15, true)), "its time is over");
    e.audit().unwrap();
}

#[test]
fn a_failure_that_is_not_stored_leaves_the_id_free() {
    let e = engine(1 << 20);
    let operation = OperationId { id: id(1), fingerprint: 0 };
    let failed = e.once("default", b"k", operation, at(0), || Err::<Vec<u8>, _>("not now"));
    assert_eq!(failed, Err(OnceError::Failed("not now")));
    assert_eq!(add(&e, b"k", id(1), 5, at(0)), Ok((5, true)));
}

#[test]
fn results_are_kept_by_flush_and_eviction_and_end_with_the_sweeper() {
    let e = engine(1 << 20);
    let before = e.used_bytes();
    add(&e, b"n", id(1), 5, at(0)).unwrap();
    e.flush("default", at(0)).unwrap();
    assert_eq!(add(&e, b"n", id(1), 5, at(1)), Ok((5, false)));
    let stats = e.stats();
    assert_eq!(stats.operation_results, 1);
    assert!(stats.operation_result_bytes > 0);
    e.sweep(10, at(TTL));
    assert_eq!((e.stats().operation_results, e.stats().operation_result_bytes), (0, 0));
    assert!(e.used_bytes() <= before + (64 << 10));
    e.audit().unwrap();
}

#[test]
fn when_the_results_fill_an_eighth_of_the_limit_new_ids_are_refused_and_nothing_is_done() {
    let limit = 1 << 20;
    let e = engine(limit);
    let mut done = 0i64;
    let full = loop {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&done.to_le_bytes());
        match add(&e, b"n", id, 1, at(0)) {
            Ok(answer) => assert_eq!(answer, (done + 1, true)),
            Err(error) => break error,
        }
        done += 1;
    };
    assert_eq!(full, Error::ResultsFull { limit: limit / 8 });
    assert!((500..1_000).contains(&done), "{done}");
    assert!(e.used_bytes() <= limit);
    assert_eq!(add(&e, b"n", [0; 16], 1, at(0)), Ok((1, false)), "those that are stored are answered");
    assert_eq!(add(&e, b"n", id(255), 1, at(TTL)), Ok((done + 1, true)), "and room comes with time");
    e.audit().unwrap();
}

#[test]
fn repeats_of_many_threads_at_once_have_one_effect() {
    let e = engine(16 << 20);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..2_000u32 {
                    let mut id = [7; 16];
                    id[..4].copy_from_slice(&n.to_le_bytes());
                    add(&e, b"n", id, 1, at(0)).unwrap();
                }
            });
        }
    });
    assert_eq!(add(&e, b"n", id(1), 0, at(0)), Ok((2_000, true)));
}

#[test]
fn every_sequence_of_operations_and_repeats_equals_a_map_of_results_also_in_a_second_engine() {
    let step = (0..4u8, 0..20u8, 0..3i64, 0..400u64, any::<bool>());
    let steps = proptest::collection::vec(step, 1..200);
    proptest!(|(steps in steps, cut in any::<prop::sample::Index>())| {
        let mut e = engine(4 << 20);
        let mut apart = 0;
        let mut exporter = e.export();
        let mut moved: Option<(Engine, Importer)> = None;
        let (mut values, mut results) = (HashMap::new(), HashMap::new());
        let (mut ms, cut) = (0, cut.index(steps.len()));
        for (i, (key, name, delta, wait, export)) in steps.into_iter().enumerate() {
            ms += wait / 4;
            let expected = match results.get(&(key, name)) {
                Some(&(until, _, _)) if until <= ms => None,
                Some(&(_, asked, _)) if asked != delta => Some(Err(Error::OperationIdReused)),
                Some(&(_, _, value)) => Some(Ok((value, false))),
                None => None,
            };
            let expected = expected.unwrap_or_else(|| {
                let value = values.entry(key).or_insert(0);
                *value += delta;
                results.insert((key, name), (ms + TTL, delta, *value));
                Ok((*value, true))
            });
            prop_assert_eq!(add(&e, &[key], id(name), delta, at(ms + apart)), expected);
            let mut pass = |e: &Engine, exporter: &mut Exporter| {
                let Some(block) = exporter.next_block(e, at(ms)).unwrap() else { return false };
                let (second, importer) = moved.get_or_insert_with(|| {
                    // 1 ms later than the writer says makes up for the 1 ms that the importer takes off.
                    Importer::new(&Received::read(&block).unwrap(), Config { operation_ttl_ms: TTL, ..Config::default() }, i128::from(ms) + 1)
                });
                importer.apply(second, &block, at(ms)).unwrap();
                true
            };
            if export && apart == 0 && i < cut {
                pass(&e, &mut exporter);
            }
            if i == cut {
                e.hold();
                while pass(&e, &mut exporter) {}
                let (second, mut importer) = moved.take().unwrap();
                importer.finish(&second, e.greatest_version(), at(ms));
                e = second;
                apart = 0;
            }
        }
        e.audit().unwrap();
    });
}
