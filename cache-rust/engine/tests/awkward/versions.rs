//! Versions, the clock that draws them, and preconditions on them.

use crate::{WALL, at, delete, engine, get, put, put_ttl, put_with};
use bimetal_engine::*;

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
