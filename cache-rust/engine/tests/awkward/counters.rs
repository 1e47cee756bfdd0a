//! Counters, to the last of 64 bits.

use crate::{at, engine, get, put};
use bimetal_engine::*;

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
