//! The awkward cases of the contract, each by its name. Time is passed in, so every edge is exact.
#![allow(clippy::unwrap_used, missing_docs)]

mod counters;
mod events;
mod namespaces;
mod ownership;
mod room;
mod ttl;
mod versions;

use bimetal_engine::*;

const WALL: u64 = 1_700_000_000_000;

fn at(mono_ms: u64) -> Now {
    Now::new(mono_ms, WALL + mono_ms)
}

fn engine() -> Engine {
    Engine::new(Config { shards: 4, ..Config::default() })
}

fn put_with(
    e: &Engine,
    key: &[u8],
    value: &[u8],
    ttl: Ttl,
    pre: Precondition,
    now: Now,
) -> Result<(u64, bool), Error> {
    let put = Put { namespace: "default", key, value, content_type: "", ttl, precondition: pre };
    e.put(&put, now, |done| (done.version, done.created))
}

fn put(e: &Engine, key: &[u8], value: &[u8], now: Now) -> u64 {
    put_with(e, key, value, Ttl::Default, Precondition::None, now).unwrap().0
}

fn put_ttl(e: &Engine, key: &[u8], value: &[u8], ms: u64, now: Now) -> u64 {
    put_with(e, key, value, Ttl::Millis(ms), Precondition::None, now).unwrap().0
}

fn get(e: &Engine, key: &[u8], now: Now) -> Option<(Vec<u8>, u64, Option<u64>)> {
    e.get(Get { namespace: "default", key }, now, |found| match found {
        GetOutcome::Hit(entry) => Some((entry.value().to_vec(), entry.version(), entry.remaining_ms())),
        GetOutcome::Miss => None,
    })
    .unwrap()
}

fn delete(e: &Engine, key: &[u8], now: Now) -> Deleted {
    e.delete("default", key, &Precondition::None, now).unwrap()
}
