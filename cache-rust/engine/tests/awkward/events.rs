//! The history, and those who read it.

use crate::{at, delete, engine, get, put, put_ttl};
use bimetal_engine::*;

#[test]
fn history_overflow_is_a_reset_and_never_a_gap() {
    let e = Engine::new(Config { shards: 2, history_bytes: 32 << 10, ..Config::default() });
    let (mut watch, lost) = e.subscribe(Interest::default(), None);
    assert_eq!(lost, None);
    put(&e, b"k", b"", at(0));
    let mut count = 0;
    let mut read = |e: &Engine, watch: &mut Subscription| {
        e.read_events(watch, &e.frontier(), at(0), |_| {
            count += 1;
            true
        })
        .map(|_| count)
    };
    assert_eq!(read(&e, &mut watch), Ok(1));
    let position = e.position(&watch);
    let decoded = Position::decode(&position.encode()).unwrap();
    assert_eq!(decoded, position);
    assert_eq!(e.subscribe(Interest::default(), Some(&decoded)).1, None);
    (0..5_000u32).for_each(|i| {
        put(&e, &i.to_le_bytes(), b"", at(0));
    });
    assert_eq!(read(&e, &mut watch), Err(Lost));
    assert_eq!(e.subscribe(Interest::default(), Some(&position)).1, Some(Lost));
    let other = Engine::new(Config { incarnation: 2, shards: 2, ..Config::default() });
    assert_eq!(other.subscribe(Interest::default(), Some(&position)).1, Some(Lost));
    assert_eq!(Position::decode(b"short"), None);
}

#[test]
fn a_subscriber_gets_every_kind_of_event_in_order_for_each_key() {
    let e = engine();
    let (mut watch, _) =
        e.subscribe(Interest { namespace: Some("default".into()), prefix: b"k".into() }, None);
    put_ttl(&e, b"k", b"v1", 10, at(0));
    put(&e, b"other", b"", at(0));
    e.touch(Touch { namespace: "default", key: b"k", ttl: Ttl::Millis(20) }, at(0)).unwrap();
    assert_eq!(get(&e, b"k", at(20)), None);
    put(&e, b"k", b"v2", at(20));
    delete(&e, b"k", at(20));
    put(&e, b"k", b"v3", at(20));
    let (mut kinds, mut last) = (vec![], 0);
    e.read_events(&mut watch, &e.frontier(), at(20), |event| {
        assert_eq!((event.namespace, event.key), ("default", &b"k"[..]));
        let order = event.version.max(event.expiry_version);
        assert!(order > last);
        last = order;
        kinds.push((event.kind, event.entry.map(|entry| entry.value().to_vec())));
        true
    })
    .unwrap();
    use EventKind::*;
    let expected = [(Put, None), (Touched, None), (Expired, None), (Put, None), (Deleted, None)];
    assert_eq!(kinds[..5], expected);
    assert_eq!(kinds[5], (Put, Some(b"v3".to_vec())), "only the live version's value is still held");
    e.flush("default", at(20)).unwrap();
    let mut flushed = 0;
    e.read_events(&mut watch, &e.frontier(), at(20), |event| {
        assert_eq!(event.kind, Flushed);
        flushed += 1;
        true
    })
    .unwrap();
    assert_eq!(flushed, 4, "one for each shard");
}
