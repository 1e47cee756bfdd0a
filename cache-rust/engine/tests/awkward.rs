//! The awkward cases of the contract, each by its name. Time is passed in, so every edge is exact.
#![allow(clippy::unwrap_used, missing_docs)]

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

#[test]
fn a_version_grows_across_deletion_expiry_eviction_and_flush() {
    let e = engine();
    let first = put(&e, b"k", b"1", at(0));
    let deleted = delete(&e, b"k", at(0));
    assert!(deleted.existed && deleted.version > first);
    let second = put_ttl(&e, b"k", b"2", 1, at(0));
    assert!(second > deleted.version);
    assert_eq!(get(&e, b"k", at(1)), None);
    // The wall clock stands still or goes back: versions do not.
    let third = put(&e, b"k", b"3", Now::new(1, WALL - 5_000));
    assert!(third > second + 1024, "expiry drew one in between");
    let (flushed, entries) = e.flush("default", Now::new(1, WALL - 5_000)).unwrap();
    assert!(flushed > third && entries == 1);
    assert!(put(&e, b"k", b"4", Now::new(1, WALL - 9_000)) > flushed);
    assert!(delete(&e, b"absent", at(1)).version > 0);
}

#[test]
fn an_entry_is_served_up_to_the_millisecond_before_its_expiry_and_not_at_it() {
    let e = engine();
    put_ttl(&e, b"k", b"v", 10, at(100));
    assert_eq!(get(&e, b"k", at(109)).unwrap().2, Some(1));
    assert_eq!(get(&e, b"k", at(110)), None);
    assert_eq!(e.stats().namespaces[0].expirations, 1);
    assert_eq!(e.stats().namespaces[0].entries, 0);
}

#[test]
fn an_expired_entry_is_absent_for_preconditions_touch_increment_and_list() {
    let e = engine();
    let version = put_ttl(&e, b"k", b"41", 10, at(0));
    let now = at(10);
    let present = put_with(&e, b"k", b"x", Ttl::Default, Precondition::Present, now);
    assert_eq!(present, Err(Error::PreconditionFailed { current_version: 0 }));
    put_ttl(&e, b"k", b"41", 10, at(0));
    let same = put_with(&e, b"k", b"x", Ttl::Default, Precondition::Versions(vec![version]), now);
    assert_eq!(same, Err(Error::PreconditionFailed { current_version: 0 }));
    put_ttl(&e, b"k", b"41", 10, at(0));
    assert_eq!(
        e.touch(Touch { namespace: "default", key: b"k", ttl: Ttl::Never }, now),
        Err(Error::KeyNotFound)
    );
    put_ttl(&e, b"k", b"41", 10, at(0));
    let all = ListRequest { namespace: "default", prefix: b"", page_size: 10, page_token: b"" };
    assert_eq!(e.list(&all, at(9)).unwrap().keys.len(), 1);
    assert!(e.list(&all, now).unwrap().keys.is_empty());
    let add = Increment {
        namespace: "default",
        key: b"k",
        delta: 1,
        initial: 7,
        ttl: Ttl::Default,
        renew_ttl: false,
    };
    let done = e.increment(add, now).unwrap();
    assert_eq!((done.value, done.created), (8, true));
    put_ttl(&e, b"j", b"", 10, at(0));
    assert!(put_with(&e, b"j", b"x", Ttl::Default, Precondition::Absent, now).unwrap().1);
}

#[test]
fn a_precondition_names_the_current_version_and_changes_nothing() {
    let e = engine();
    let version = put(&e, b"k", b"v", at(0));
    for pre in [Precondition::Absent, Precondition::Versions(vec![version + 1, 1])] {
        let refused = put_with(&e, b"k", b"w", Ttl::Default, pre.clone(), at(1));
        assert_eq!(refused, Err(Error::PreconditionFailed { current_version: version }));
        assert_eq!(
            e.delete("default", b"k", &pre, at(1)),
            Err(Error::PreconditionFailed { current_version: version })
        );
    }
    assert_eq!(get(&e, b"k", at(1)).unwrap().0, b"v");
    let pre = Precondition::Versions(vec![3, version, 5]);
    assert!(put_with(&e, b"k", b"w", Ttl::Default, pre, at(1)).is_ok());
    for bad in [vec![], vec![0], vec![1; 17]] {
        let refused = put_with(&e, b"k", b"w", Ttl::Default, Precondition::Versions(bad), at(1));
        assert!(matches!(refused, Err(Error::InvalidArgument { .. })));
    }
}

#[test]
fn keep_keeps_the_expiry_and_is_as_unset_without_a_live_entry() {
    let e = engine();
    put_ttl(&e, b"k", b"1", 100, at(0));
    put_with(&e, b"k", b"2", Ttl::Keep, Precondition::None, at(40)).unwrap();
    assert_eq!(get(&e, b"k", at(40)).unwrap().2, Some(60));
    put_with(&e, b"new", b"2", Ttl::Keep, Precondition::None, at(40)).unwrap();
    assert_eq!(get(&e, b"new", at(40)).unwrap().2, None);
    put(&e, b"k", b"3", at(50));
    assert_eq!(get(&e, b"k", at(50)).unwrap().2, None, "unset is the default, not keep");
}

#[test]
fn a_namespace_gives_its_default_ttl_and_refuses_more_than_its_greatest() {
    let e = engine();
    let limits =
        NamespaceRecord { default_ttl_ms: Some(50), max_ttl_ms: Some(100), ..NamespaceRecord::new("short") };
    e.create_namespace(limits, at(0)).unwrap();
    let write = |ttl| {
        let put = Put {
            namespace: "short",
            key: b"k",
            value: b"v",
            content_type: "",
            ttl,
            precondition: Precondition::None,
        };
        e.put(&put, at(0), |_| ())
    };
    write(Ttl::Default).unwrap();
    let left = e.get(Get { namespace: "short", key: b"k" }, at(0), |found| match found {
        GetOutcome::Hit(entry) => entry.remaining_ms(),
        GetOutcome::Miss => None,
    });
    assert_eq!(left, Ok(Some(50)));
    assert!(write(Ttl::Millis(100)).is_ok());
    for ttl in [Ttl::Millis(101), Ttl::Never, Ttl::Millis(0)] {
        let refused = write(ttl);
        let named =
            matches!(refused, Err(Error::InvalidArgument { field: "ttl.relative" | "ttl.never", .. }));
        assert!(named, "{ttl:?} {refused:?}");
    }
}

#[test]
fn touch_changes_the_expiry_alone_and_draws_an_order() {
    let e = engine();
    for value in [b"v".to_vec(), vec![7; 100_000]] {
        let version = put(&e, b"k", &value, at(0));
        let touch = |ttl, now| e.touch(Touch { namespace: "default", key: b"k", ttl }, now).unwrap();
        let first = touch(Ttl::Millis(10), at(1));
        assert_eq!((first.version, first.remaining_ms), (version, Some(10)));
        let second = touch(Ttl::Keep, at(2));
        assert_eq!(second.remaining_ms, Some(9));
        assert!(second.expiry_version > first.expiry_version && first.expiry_version > version);
        assert_eq!(get(&e, b"k", at(10)).unwrap(), (value, version, Some(1)));
        assert_eq!(touch(Ttl::Never, at(10)).remaining_ms, None);
        assert!(get(&e, b"k", at(1_000_000)).is_some());
    }
    e.audit().unwrap();
}

#[test]
fn an_increment_reaches_both_ends_of_64_bits_and_refuses_to_pass_them() {
    let e = engine();
    let add = |key: &'static [u8], delta, initial| {
        let request =
            Increment { namespace: "default", key, delta, initial, ttl: Ttl::Default, renew_ttl: false };
        e.increment(request, at(0)).map(|done| done.value)
    };
    assert_eq!(add(b"max", 1, i64::MAX - 1), Ok(i64::MAX));
    assert_eq!(add(b"max", 1, 0), Err(Error::IntegerOverflow { value: i64::MAX, delta: 1 }));
    assert_eq!(add(b"min", i64::MIN, 0), Ok(i64::MIN));
    assert_eq!(add(b"min", -1, 0), Err(Error::IntegerOverflow { value: i64::MIN, delta: -1 }));
    assert_eq!(add(b"min", i64::MAX, 0), Ok(-1));
    assert_eq!(get(&e, b"max", at(0)).unwrap().0, b"9223372036854775807");
    assert_eq!(add(b"fresh", i64::MAX, 1), Err(Error::IntegerOverflow { value: 1, delta: i64::MAX }));
    assert_eq!(get(&e, b"fresh", at(0)), None);
    put(&e, b"text", b"01", at(0));
    assert_eq!(add(b"text", 1, 0), Err(Error::NotAnInteger));
}

#[test]
fn an_increment_keeps_the_ttl_of_a_live_entry_unless_told_to_renew_it() {
    let e = engine();
    let add = |renew_ttl, now| {
        let request = Increment {
            namespace: "default",
            key: b"n",
            delta: 1,
            initial: 0,
            ttl: Ttl::Millis(100),
            renew_ttl,
        };
        e.increment(request, now).unwrap()
    };
    assert_eq!(add(false, at(0)).remaining_ms, Some(100));
    assert_eq!(add(false, at(30)).remaining_ms, Some(70));
    assert_eq!(add(true, at(30)).remaining_ms, Some(100));
    let content_type = e.get(Get { namespace: "default", key: b"n" }, at(30), |found| match found {
        GetOutcome::Hit(entry) => entry.content_type().to_owned(),
        GetOutcome::Miss => String::new(),
    });
    assert_eq!(content_type.unwrap(), "text/plain");
}

fn topology(epoch: u64, names: &[&str]) -> Topology {
    let node =
        |(i, name): (usize, &&str)| Node { name: (*name).into(), tag: i as u32 + 1, address: String::new() };
    Topology { epoch, nodes: names.iter().enumerate().map(node).collect() }
}

#[test]
fn a_node_refuses_keys_of_others_and_erases_them_with_an_event() {
    let e = engine();
    let keys: Vec<_> = (0..1_000u32).map(|i| i.to_string().into_bytes()).collect();
    keys.iter().for_each(|key| {
        put(&e, key, b"v", at(0));
    });
    let (mut watch, _) = e.subscribe(Interest::default(), None);
    let two = topology(5, &["cache-0", "cache-1"]);
    let erased = e.set_topology(two.clone(), at(1)).unwrap();
    let mine = keys.iter().filter(|key| two.owner("default", key).name == "cache-0").count();
    assert_eq!(erased, 1_000 - mine);
    let mut deleted = 0;
    e.read_events(&mut watch, &e.frontier(), at(1), |event| {
        deleted += usize::from(event.kind == EventKind::Deleted);
        true
    })
    .unwrap();
    assert_eq!(deleted, erased);
    for key in &keys {
        let answer = e.get(Get { namespace: "default", key }, at(1), |_| ());
        match two.owner("default", key).name.as_str() {
            "cache-0" => assert!(answer.is_ok()),
            owner => assert_eq!(answer, Err(Error::WrongNode { owner: owner.into(), epoch: 5 })),
        }
    }
    assert!(e.set_topology(topology(4, &["cache-0"]), at(2)).is_err(), "an older epoch");
    assert!(e.set_topology(topology(5, &["cache-0"]), at(2)).is_err(), "another one of the same epoch");
    assert_eq!(e.set_topology(two, at(2)), Ok(0));
    let version = put(
        &e,
        keys.iter()
            .find(|key| topology(5, &["cache-0", "cache-1"]).owner("default", key).name == "cache-0")
            .unwrap(),
        b"",
        at(2),
    );
    assert_eq!(Version(version).tag(), 1, "the topology's tag");
    e.audit().unwrap();
}

#[test]
fn a_node_that_is_not_in_the_topology_owns_nothing() {
    let e = engine();
    put(&e, b"k", b"v", at(0));
    assert_eq!(e.set_topology(topology(1, &["other"]), at(0)), Ok(1));
    assert!(matches!(
        put_with(&e, b"k", b"", Ttl::Default, Precondition::None, at(0)),
        Err(Error::WrongNode { .. })
    ));
}

#[test]
fn what_a_caller_has_seen_raises_the_clock_up_to_60_seconds_ahead() {
    let e = engine();
    let seen = Version::from_parts(WALL + 59_000, 17, 3).0;
    assert!(e.raise_clock(seen, at(0)));
    assert!(put(&e, b"k", b"", at(0)) > seen);
    let wild = Version::from_parts(WALL + 61_000, 0, 3).0;
    assert!(!e.raise_clock(wild, at(0)));
    assert!(put(&e, b"k", b"", at(0)) < wild);
    assert_eq!(e.stats().ignored_seen_versions, 1);
}

#[test]
fn lowering_a_quota_evicts_before_it_answers() {
    let e = engine();
    let named = NamespaceRecord { quota_bytes: Some(1 << 20), ..NamespaceRecord::new("small") };
    let made = e.create_namespace(named, at(0)).unwrap();
    for i in 0..2_000u32 {
        let key = i.to_le_bytes();
        let put = Put {
            namespace: "small",
            key: &key,
            value: &[1; 100],
            content_type: "",
            ttl: Ttl::Default,
            precondition: Precondition::None,
        };
        e.put(&put, at(0), |_| ()).unwrap();
    }
    put(&e, b"other", b"stays", at(0));
    let updated = e.update_namespace("small", |record| record.quota_bytes = Some(50_000), at(1)).unwrap();
    assert!(updated.revision > made.revision);
    let stats = e.stats();
    let small = stats.namespaces.iter().find(|n| n.name == "small").unwrap();
    assert!(small.bytes <= 50_000 && small.bytes > 45_000, "{small:?}");
    assert_eq!(small.entries + small.evictions, 2_000);
    assert!(get(&e, b"other", at(1)).is_some());
    e.audit().unwrap();
}

#[test]
fn an_entry_that_cannot_fit_is_refused_and_evicts_nothing() {
    let e = Engine::new(Config { shards: 4, memory_limit: 400_000, ..Config::default() });
    (0..500u32).for_each(|i| {
        put(&e, &i.to_le_bytes(), &[0; 100], at(0));
    });
    let before = e.stats();
    let refused = put_with(&e, b"large", &[0; 400_000], Ttl::Default, Precondition::None, at(0));
    assert!(matches!(refused, Err(Error::QuotaExceeded { whose: "the node", .. })), "{refused:?}");
    assert_eq!(e.stats(), before);
    let refused = put_with(&e, b"large", &vec![0; (1 << 20) + 1], Ttl::Default, Precondition::None, at(0));
    assert_eq!(refused, Err(Error::ValueTooLarge { size: (1 << 20) + 1, limit: 1 << 20 }));
}

#[test]
fn a_large_entry_takes_its_room_from_other_shards_when_its_own_has_none() {
    let e = Engine::new(Config { shards: 8, memory_limit: 1_000_000, ..Config::default() });
    (0..2_000u32).for_each(|i| {
        put(&e, &i.to_le_bytes(), &[0; 200], at(0));
    });
    put(&e, b"large", &[0; 700_000], at(0));
    assert!(e.used_bytes() <= 1_000_000, "{}", e.used_bytes());
    assert!(get(&e, b"large", at(0)).is_some(), "the entry just written is not the one that goes");
    e.audit().unwrap();
}

#[test]
fn a_deleted_namespace_is_gone_and_a_new_one_of_its_name_is_empty() {
    let e = engine();
    let made = e.create_namespace(NamespaceRecord::new("tenant"), at(0)).unwrap();
    assert!(matches!(
        e.create_namespace(NamespaceRecord::new("tenant"), at(0)),
        Err(Error::NamespaceExists { .. })
    ));
    let put = Put {
        namespace: "tenant",
        key: b"k",
        value: b"v",
        content_type: "",
        ttl: Ttl::Default,
        precondition: Precondition::None,
    };
    let version = e.put(&put, at(0), |done| done.version).unwrap();
    let tombstone = e.delete_namespace("tenant", at(0)).unwrap();
    assert!(tombstone.deleted && tombstone.revision > made.revision);
    assert!(matches!(e.put(&put, at(0), |_| ()), Err(Error::NamespaceNotFound { .. })));
    // An old record does not bring it back, a newer one does.
    assert_eq!(e.apply_namespace(made, at(0)), Ok(Applied::Superseded(tombstone)));
    e.create_namespace(NamespaceRecord::new("tenant"), at(0)).unwrap();
    assert!(e.get(Get { namespace: "tenant", key: b"k" }, at(0), |f| matches!(f, GetOutcome::Miss)).unwrap());
    assert!(e.put(&put, at(0), |done| done.version).unwrap() > version);
    assert!(e.delete_namespace("default", at(0)).is_err());
    e.audit().unwrap();
}

#[test]
fn a_listing_sees_every_present_key_exactly_once_while_the_table_grows() {
    let e = engine();
    (0..3_000u32).for_each(|i| {
        put(&e, format!("k{i}").as_bytes(), b"", at(0));
    });
    put(&e, b"other", b"", at(0));
    let (mut seen, mut token, mut grown) = (vec![], vec![], 0u32);
    loop {
        let request = ListRequest { namespace: "default", prefix: b"k", page_size: 100, page_token: &token };
        let page = e.list(&request, at(0)).unwrap();
        seen.extend(page.keys);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
        for _ in 0..2_000 {
            put(&e, format!("new{grown}").as_bytes(), b"", at(0));
            put(&e, format!("k{}", grown % 3_000).as_bytes(), b"again", at(0));
            grown += 1;
        }
    }
    seen.sort();
    let mut expected: Vec<_> = (0..3_000u32).map(|i| format!("k{i}").into_bytes()).collect();
    expected.sort();
    assert_eq!(seen, expected);
    let foreign = ListRequest { namespace: "default", prefix: b"x", page_size: 100, page_token: &[1; 20] };
    assert!(matches!(e.list(&foreign, at(0)), Err(Error::InvalidArgument { field: "page_token", .. })));
}

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

#[test]
fn the_sweeper_removes_what_expired_a_bounded_number_at_a_time() {
    let e = engine();
    (0..5_000u32).for_each(|i| {
        put_ttl(&e, &i.to_le_bytes(), b"", 10, at(0));
    });
    (0..100u32).for_each(|i| {
        put(&e, format!("stays{i}").as_bytes(), b"", at(0));
    });
    let swept = e.sweep(1_000, at(10));
    assert!(swept.examined <= 1_000 && swept.expired > 900, "{swept:?}");
    (0..20).for_each(|_| {
        e.sweep(1_000, at(10));
    });
    assert_eq!(e.stats().namespaces[0].entries, 100);
    assert_eq!(e.stats().namespaces[0].expirations, 5_000);
    assert_eq!(e.sweep(1_000, at(10)).expired, 0);
    e.audit().unwrap();
}

#[test]
fn bad_input_says_which_field_and_changes_nothing() {
    let e = engine();
    let long = vec![0; 1_025];
    for key in [&b""[..], &long] {
        assert!(matches!(
            e.get(Get { namespace: "default", key }, at(0), |_| ()),
            Err(Error::InvalidArgument { field: "key", .. })
        ));
    }
    assert!(matches!(
        e.get(Get { namespace: "nope", key: b"k" }, at(0), |_| ()),
        Err(Error::NamespaceNotFound { .. })
    ));
    let bad = Put {
        namespace: "default",
        key: b"k",
        value: b"",
        content_type: "a\nb",
        ttl: Ttl::Default,
        precondition: Precondition::None,
    };
    assert!(matches!(e.put(&bad, at(0), |_| ()), Err(Error::InvalidArgument { field: "content_type", .. })));
    assert_eq!(e.stats().namespaces[0].entries, 0);
}
