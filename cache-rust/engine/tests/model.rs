//! The engine against a plain reference: random sequences of all operations, time passed in, both policies.
//!
//! The reference is a map and the rules of the contract, written as plainly as possible. Without memory pressure
//! every answer must be equal; under pressure the evictions that the engine reports are applied to the reference,
//! and then every answer must be equal again, and every byte accounted for.
#![allow(clippy::unwrap_used, missing_docs)]

use bimetal_engine::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
enum Step {
    Get(u8),
    Put {
        key: u8,
        value: Vec<u8>,
        ttl: Ttl,
        precondition: Wish,
    },
    Delete {
        key: u8,
        precondition: Wish,
    },
    Touch {
        key: u8,
        ttl: Ttl,
    },
    Increment {
        key: u8,
        delta: i64,
        initial: i64,
        ttl: Ttl,
        renew_ttl: bool,
    },
    List,
    Flush,
    Sweep(usize),
    /// Both clocks; the wall clock may go back.
    Wait {
        mono_ms: u64,
        wall_ms: i64,
    },
    Seen(i64),
}

/// A precondition that speaks of the key's own versions.
#[derive(Debug, Clone, Copy)]
enum Wish {
    None,
    Absent,
    Present,
    Current,
    Stale,
}

const NAMESPACE: &str = "default";
const WALL: u64 = 1_700_000_000_000;

fn ttl() -> impl Strategy<Value = Ttl> {
    prop_oneof![
        3 => Just(Ttl::Default),
        4 => (1..30u64).prop_map(Ttl::Millis),
        1 => Just(Ttl::Keep),
        1 => Just(Ttl::Never),
        1 => Just(Ttl::Millis(0)),
        1 => Just(Ttl::Millis(5_000)),
    ]
}

fn wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        4 => Just(Wish::None),
        1 => Just(Wish::Absent),
        1 => Just(Wish::Present),
        1 => Just(Wish::Current),
        1 => Just(Wish::Stale),
    ]
}

fn value(large: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"41".to_vec()),
        Just(b"9223372036854775807".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..60),
        (0..large).prop_map(|n| vec![7; n]),
    ]
}

fn step(keys: u8, large: usize) -> impl Strategy<Value = Step> {
    let delta = prop_oneof![(-3..3i64), Just(i64::MAX), Just(i64::MIN)];
    prop_oneof![
        6 => (0..keys).prop_map(Step::Get),
        8 => (0..keys, value(large), ttl(), wish())
            .prop_map(|(key, value, ttl, precondition)| Step::Put { key, value, ttl, precondition }),
        3 => (0..keys, wish()).prop_map(|(key, precondition)| Step::Delete { key, precondition }),
        3 => (0..keys, ttl()).prop_map(|(key, ttl)| Step::Touch { key, ttl }),
        4 => (0..keys, delta.clone(), delta, ttl(), any::<bool>())
            .prop_map(|(key, delta, initial, ttl, renew_ttl)| Step::Increment { key, delta, initial, ttl, renew_ttl }),
        1 => Just(Step::List),
        1 => Just(Step::Flush),
        2 => (1..600usize).prop_map(Step::Sweep),
        6 => (0..12u64, -20..20i64).prop_map(|(mono_ms, wall_ms)| Step::Wait { mono_ms, wall_ms }),
        1 => (-1_000..100_000i64).prop_map(Step::Seen),
    ]
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Item {
    value: Vec<u8>,
    version: u64,
    expires_at: Option<u64>,
}

/// The reference: a map, the greatest version seen of each key, two clocks.
struct Model {
    items: BTreeMap<u8, Item>,
    versions: BTreeMap<u8, u64>,
    now: Now,
    max_ttl: Option<u64>,
    hits: u64,
    misses: u64,
}

impl Model {
    fn live(&mut self, key: u8) -> Option<Item> {
        let now = self.now.mono_ms;
        if self.items.get(&key).is_some_and(|item| item.expires_at.is_some_and(|at| at <= now)) {
            self.items.remove(&key);
        }
        self.items.get(&key).cloned()
    }

    fn drawn(&mut self, key: u8, version: u64) {
        let last = self.versions.insert(key, version).unwrap_or(0);
        assert!(version > last, "version {version} of key {key} does not grow beyond {last}");
    }

    fn ttl(&self, ttl: Ttl, live: Option<&Item>) -> Result<Option<u64>, &'static str> {
        match (ttl, live) {
            (Ttl::Millis(0), _) => Err("ttl"),
            (Ttl::Millis(ms), _) if self.max_ttl.is_some_and(|max| ms > max) => Err("ttl"),
            (Ttl::Never, _) if self.max_ttl.is_some() => Err("ttl"),
            (Ttl::Millis(ms), _) => Ok(Some(self.now.mono_ms + ms)),
            (Ttl::Never, _) => Ok(None),
            (Ttl::Keep, Some(item)) => Ok(item.expires_at),
            (Ttl::Keep | Ttl::Default, _) => Ok(self.max_ttl.map(|max| self.now.mono_ms + max)),
        }
    }

    fn holds(wish: Wish, live: Option<&Item>) -> bool {
        match wish {
            Wish::None => true,
            Wish::Absent => live.is_none(),
            Wish::Present | Wish::Current => live.is_some(),
            Wish::Stale => false,
        }
    }
}

fn precondition(wish: Wish, live: Option<&Item>) -> Precondition {
    match wish {
        Wish::None => Precondition::None,
        Wish::Absent => Precondition::Absent,
        Wish::Present => Precondition::Present,
        Wish::Current => Precondition::Versions(vec![12, live.map_or(99, |item| item.version)]),
        Wish::Stale => Precondition::Versions(vec![1, 2]),
    }
}

/// The reason alone, and the current version where it is the point.
fn reason<T>(result: Result<T, Error>) -> Result<T, String> {
    result.map_err(|error| match error {
        Error::InvalidArgument { field, .. } => field.split('.').next().unwrap_or_default().to_owned(),
        Error::PreconditionFailed { current_version } => format!("precondition {current_version}"),
        Error::KeyNotFound => "not found".into(),
        Error::NotAnInteger => "not an integer".into(),
        Error::IntegerOverflow { .. } => "overflow".into(),
        Error::QuotaExceeded { .. } => "quota".into(),
        other => format!("{other:?}"),
    })
}

struct Run {
    engine: Engine,
    model: Model,
    watch: Subscription,
}

impl Run {
    fn new(config: Config, max_ttl: Option<u64>) -> Self {
        let engine = Engine::new(config);
        let now = Now::new(1, WALL);
        engine.update_namespace(NAMESPACE, |record| record.max_ttl_ms = max_ttl, now).unwrap();
        let (watch, _) = engine.subscribe(Interest::default(), None);
        let (items, versions) = (BTreeMap::new(), BTreeMap::new());
        Self { engine, model: Model { items, versions, now, max_ttl, hits: 0, misses: 0 }, watch }
    }

    /// Applies removals that only the engine can know of, and checks that every event's version grows.
    fn follow(&mut self) {
        let (frontier, now) = (self.engine.frontier(), self.model.now);
        let mut seen = vec![];
        self.engine
            .read_events(&mut self.watch, &frontier, now, |event| {
                seen.push((event.kind, event.key.first().copied(), event.version));
                true
            })
            .unwrap();
        for (kind, key, version) in seen {
            match (kind, key) {
                (EventKind::Evicted, Some(key)) => {
                    let item = self.model.items.get(&key);
                    assert!(item.is_some_and(|item| item.version < version), "evicted what was not there");
                    self.model.items.remove(&key);
                    self.model.drawn(key, version);
                }
                (EventKind::Expired, Some(key)) => {
                    // The model may know of a later write already; an expiry drew its version before that.
                    let last = self.model.versions.get(&key).copied().unwrap_or(0);
                    assert!(self.model.items.contains_key(&key) || last > 0);
                    self.model.versions.insert(key, last.max(version));
                }
                _ => {}
            }
        }
    }

    fn step(&mut self, step: Step) {
        let now = self.model.now;
        match step {
            Step::Get(key) => {
                let expected = self.model.live(key);
                if expected.is_some() {
                    self.model.hits += 1;
                } else {
                    self.model.misses += 1;
                }
                let found =
                    self.engine.get(Get { namespace: NAMESPACE, key: &[key] }, now, |found| match found {
                        GetOutcome::Hit(entry) => Some(Item {
                            value: entry.value().to_vec(),
                            version: entry.version(),
                            expires_at: entry.remaining_ms().map(|ms| now.mono_ms + ms),
                        }),
                        GetOutcome::Miss => None,
                    });
                assert_eq!(found.unwrap(), expected);
            }
            Step::Put { key, value, ttl, precondition: wish } => {
                let live = self.model.live(key);
                let put = Put {
                    namespace: NAMESPACE,
                    key: &[key],
                    value: &value,
                    content_type: "",
                    ttl,
                    precondition: precondition(wish, live.as_ref()),
                };
                let done = reason(self.engine.put(&put, now, |done| {
                    (done.version, done.created, done.former.map(|former| former.value().to_vec()))
                }));
                if done == Err("quota".into()) {
                    assert!(entry_bytes(1, 0, value.len(), true) * 2 > self.engine.config().memory_limit / 2);
                    return self.follow();
                }
                let expected = match self.model.ttl(ttl, live.as_ref()) {
                    Err(field) => Err(field.to_owned()),
                    Ok(_) if !Model::holds(wish, live.as_ref()) => {
                        Err(format!("precondition {}", live.as_ref().map_or(0, |item| item.version)))
                    }
                    Ok(expires_at) => Ok(expires_at),
                };
                assert_eq!(done.as_ref().map(|_| ()), expected.as_ref().map(|_| ()));
                if let (Ok((version, created, former)), Ok(expires_at)) = (done, expected) {
                    assert_eq!(created, live.is_none());
                    assert_eq!(former, live.map(|item| item.value));
                    self.model.drawn(key, version);
                    self.model.items.insert(key, Item { value, version, expires_at });
                }
            }
            Step::Delete { key, precondition: wish } => {
                let live = self.model.live(key);
                let done =
                    reason(self.engine.delete(NAMESPACE, &[key], &precondition(wish, live.as_ref()), now));
                assert_eq!(done.is_ok(), Model::holds(wish, live.as_ref()));
                if let Ok(done) = done {
                    assert_eq!(done.existed, live.is_some());
                    self.model.drawn(key, done.version);
                    self.model.items.remove(&key);
                }
            }
            Step::Touch { key, ttl } => {
                let live = self.model.live(key);
                let done = reason(self.engine.touch(Touch { namespace: NAMESPACE, key: &[key], ttl }, now));
                let expected = self.model.ttl(ttl, live.as_ref()).map_err(str::to_owned);
                match (expected, live) {
                    (Err(field), _) => assert_eq!(done, Err(field)),
                    (Ok(_), None) => assert_eq!(done, Err("not found".into())),
                    (Ok(expires_at), Some(item)) => {
                        let done = done.unwrap();
                        assert_eq!(done.version, item.version);
                        assert_eq!(done.remaining_ms.map(|ms| now.mono_ms + ms), expires_at);
                        self.model.drawn(key, done.expiry_version);
                        self.model.items.insert(key, Item { expires_at, ..item });
                    }
                }
            }
            Step::Increment { key, delta, initial, ttl, renew_ttl } => {
                let live = self.model.live(key);
                let request = Increment { namespace: NAMESPACE, key: &[key], delta, initial, ttl, renew_ttl };
                let done = reason(self.engine.increment(request, now));
                let kept = if live.is_some() && !renew_ttl { Ttl::Keep } else { ttl };
                let before = match &live {
                    None => Some(initial),
                    Some(item) => std::str::from_utf8(&item.value)
                        .ok()
                        .and_then(|text| Some((text, text.parse::<i64>().ok()?)))
                        .and_then(|(text, number)| (number.to_string() == text).then_some(number)),
                };
                let expected = match (self.model.ttl(ttl, None), before) {
                    (Err(field), _) => Err(field.to_owned()),
                    (_, None) => Err("not an integer".into()),
                    (_, Some(before)) => before.checked_add(delta).ok_or("overflow".to_owned()),
                };
                assert_eq!(done.as_ref().map(|done| done.value), expected.as_ref().copied());
                if let Ok(done) = done {
                    let expires_at = self.model.ttl(kept, live.as_ref()).unwrap();
                    assert_eq!(done.remaining_ms.map(|ms| now.mono_ms + ms), expires_at);
                    self.model.drawn(key, done.version);
                    let value = done.value.to_string().into_bytes();
                    self.model.items.insert(key, Item { value, version: done.version, expires_at });
                }
            }
            Step::List => {
                let request =
                    ListRequest { namespace: NAMESPACE, prefix: b"", page_size: 1_000, page_token: b"" };
                let page = self.engine.list(&request, now).unwrap();
                assert!(page.next_page_token.is_empty());
                let mut keys: Vec<_> = page.keys.iter().map(|key| key[0]).collect();
                keys.sort_unstable();
                let expected: Vec<_> = (0..=u8::MAX).filter(|key| self.model.live(*key).is_some()).collect();
                assert_eq!(keys, expected);
            }
            Step::Flush => {
                let (version, _) = self.engine.flush(NAMESPACE, now).unwrap();
                for key in std::mem::take(&mut self.model.items).into_keys() {
                    let last = self.model.versions.get(&key).copied().unwrap_or(0);
                    self.model.versions.insert(key, last.max(version));
                }
            }
            Step::Sweep(budget) => {
                let swept = self.engine.sweep(budget, now);
                assert!(swept.examined <= budget);
            }
            Step::Wait { mono_ms, wall_ms } => {
                let wall = now.wall_ms.saturating_add_signed(wall_ms);
                self.model.now = Now::new(now.mono_ms + mono_ms, wall);
            }
            Step::Seen(ahead_ms) => {
                let seen = Version::from_parts(now.wall_ms.saturating_add_signed(ahead_ms), 7, 900).0;
                assert_eq!(self.engine.raise_clock(seen, now), ahead_ms <= 60_000);
            }
        }
        self.follow();
    }

    fn check(&mut self) {
        self.engine.audit().unwrap();
        let stats = &self.engine.stats().namespaces[0];
        assert_eq!((stats.hits, stats.misses), (self.model.hits, self.model.misses));
    }
}

fn policies() -> impl Strategy<Value = Policy> {
    prop_oneof![Just(Policy::S3Fifo), Just(Policy::Lru)]
}

fn cases() -> ProptestConfig {
    let cases = std::env::var("MODEL_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
    ProptestConfig { cases, ..ProptestConfig::default() }
}

#[test]
fn with_room_for_everything_every_answer_equals_the_references() {
    let max_ttl = prop_oneof![Just(None), Just(Some(1_000))];
    let steps = proptest::collection::vec(step(12, 200), 1..200);
    proptest!(cases(), |(steps in steps, max_ttl in max_ttl, policy in policies(), shards in 1..5usize)| {
        let mut run = Run::new(Config { shards, policy, ..Config::default() }, max_ttl);
        for step in steps {
            run.step(step);
        }
        run.check();
        prop_assert_eq!(run.engine.stats().namespaces[0].evictions, 0);
    });
}

#[test]
fn under_a_memory_limit_every_answer_agrees_with_the_evictions_and_every_byte_is_counted() {
    let steps = proptest::collection::vec(step(200, 3_000), 1..400);
    proptest!(cases(), |(steps in steps, policy in policies(), shards in 1..4usize)| {
        let limit = 110_000;
        let config = Config { shards, policy, memory_limit: limit, history_bytes: 16 << 10, ..Config::default() };
        let mut run = Run::new(config, None);
        for step in steps {
            run.step(step);
            prop_assert!(run.engine.used_bytes() <= limit, "{} bytes in use", run.engine.used_bytes());
        }
        run.check();
    });
}

#[test]
fn under_a_quota_a_namespace_stays_within_it() {
    let steps = proptest::collection::vec(step(100, 500), 1..300);
    proptest!(cases(), |(steps in steps, policy in policies(), shards in 1..9usize)| {
        let mut run = Run::new(Config { shards, policy, ..Config::default() }, None);
        let now = run.model.now;
        run.engine.update_namespace(NAMESPACE, |record| record.quota_bytes = Some(6_000), now).unwrap();
        for step in steps {
            run.step(step);
            prop_assert!(run.engine.stats().namespaces[0].bytes <= 6_000);
        }
        run.check();
    });
}
