//! Quotas and the limit: who has to go, and who may not come.

use crate::{at, engine, get, put, put_with};
use bimetal_engine::*;

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
