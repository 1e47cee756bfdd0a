//! Times to live, to the millisecond.

use crate::{at, engine, get, put, put_ttl, put_with};
use bimetal_engine::*;

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
