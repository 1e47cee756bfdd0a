//! The unary operations of CacheService.

use crate::support::*;
use bimetal_contract::cache::{self, ValueOmission, get_response};
use bimetal_contract::errors::ErrorReason;

async fn read(fixture: &Fixture, request: cache::GetRequest) -> Option<cache::Entry> {
    match fixture.client.cache().get(request).await.unwrap().into_inner().result.unwrap() {
        get_response::Result::Entry(entry) => Some(entry),
        get_response::Result::Miss(_) => None,
    }
}

#[tokio::test]
async fn what_was_put_is_read_until_it_is_deleted() {
    let f = start().await;
    assert_eq!(read(&f, get("k")).await, None);
    let request = cache::PutRequest { content_type: "text/plain".into(), ..put("k", "value") };
    let written = f.client.cache().put(request).await.unwrap().into_inner();
    assert!(written.created);
    let entry = read(&f, get("k")).await.unwrap();
    assert_eq!((entry.version, entry.size, &entry.value[..]), (written.version, 5, &b"value"[..]));
    assert_eq!((entry.content_type.as_str(), entry.remaining_ttl), ("text/plain", None));
    let deleted = f.client.cache().delete(delete("k")).await.unwrap().into_inner();
    assert!(deleted.existed && deleted.version > written.version);
    assert_eq!(read(&f, get("k")).await, None);
}

#[tokio::test]
async fn a_value_is_left_out_when_the_caller_asks_for_that() {
    let f = start().await;
    let version = f.client.cache().put(put("k", vec![1; 100])).await.unwrap().into_inner().version;
    let omission = async |request| {
        let entry = read(&f, request).await.unwrap();
        assert_eq!(
            (entry.size, entry.value.is_empty()),
            (100, entry.omission() != ValueOmission::Unspecified)
        );
        entry.omission()
    };
    let head = cache::GetRequest { omit_value: true, ..get("k") };
    assert_eq!(omission(head).await, ValueOmission::Requested);
    let known = cache::GetRequest { known_version: Some(version), ..get("k") };
    assert_eq!(omission(known).await, ValueOmission::NotModified);
    let other = cache::GetRequest { known_version: Some(version + 1), ..get("k") };
    assert_eq!(omission(other).await, ValueOmission::Unspecified);
    let small = cache::GetRequest { max_value_bytes: Some(99), ..get("k") };
    assert_eq!(omission(small).await, ValueOmission::TooLarge);
    let fits = cache::GetRequest { max_value_bytes: Some(100), ..get("k") };
    assert_eq!(omission(fits).await, ValueOmission::Unspecified);
}

#[tokio::test]
async fn a_put_answers_the_former_entry_when_asked() {
    let f = start().await;
    for size in [0, 10, 200_000] {
        f.client.cache().put(put("k", vec![7; size])).await.unwrap();
        let request = cache::PutRequest { return_former: true, ..put("k", "new") };
        let answer = f.client.cache().put(request).await.unwrap().into_inner();
        let former = answer.former.unwrap();
        assert_eq!((answer.created, former.value.len()), (false, size));
        assert!(answer.version > former.version);
    }
}

#[tokio::test]
async fn a_failed_precondition_names_the_current_version() {
    let f = start().await;
    let version = f.client.cache().put(put("k", "v")).await.unwrap().into_inner().version;
    let refused =
        error(f.client.cache().put(cache::PutRequest { precondition: absent(), ..put("k", "w") }).await);
    assert_eq!(refused.reason(), ErrorReason::PreconditionFailed);
    assert_eq!(refused.detail().current_version, Some(version));
    let other = cache::DeleteRequest { precondition: versions(&[version + 1]), ..delete("k") };
    assert_eq!(error(f.client.cache().delete(other).await).detail().current_version, Some(version));
    let gone = cache::DeleteRequest { precondition: versions(&[version]), ..delete("none") };
    assert_eq!(error(f.client.cache().delete(gone).await).detail().current_version, Some(0));
    let right = cache::PutRequest { precondition: versions(&[1, version]), ..put("k", "w") };
    assert!(f.client.cache().put(right).await.is_ok());
}

#[tokio::test]
async fn an_entry_expires_and_touch_moves_its_expiry() {
    let f = start().await;
    f.client.cache().put(cache::PutRequest { ttl: relative(60_000), ..put("k", "v") }).await.unwrap();
    let left = read(&f, get("k")).await.unwrap().remaining_ttl.unwrap();
    assert!((59..=60).contains(&left.seconds), "{left:?}");
    let touch =
        |ttl| cache::TouchRequest { namespace: "default".into(), key: key("k"), ttl, operation_id: None };
    let touched = f.client.cache().touch(touch(relative(20))).await.unwrap().into_inner();
    assert!(touched.expiry_version > touched.version);
    eventually("the entry expires", || async { read(&f, get("k")).await.is_none() }).await;
    assert_eq!(reason(f.client.cache().touch(touch(None)).await), ErrorReason::KeyNotFound);
}

#[tokio::test]
async fn a_counter_keeps_64_bits_and_refuses_more() {
    let f = start().await;
    let add = |name: &str, delta, initial| cache::IncrementRequest {
        namespace: "default".into(),
        key: key(name),
        delta,
        initial,
        ..cache::IncrementRequest::default()
    };
    let mut client = f.client.cache();
    let first = client.increment(add("n", -3, 1)).await.unwrap().into_inner();
    assert_eq!((first.value, first.created), (-2, true));
    let low = client.increment(add("low", i64::MIN, 0)).await.unwrap().into_inner();
    assert_eq!(low.value, i64::MIN);
    assert_eq!(reason(client.increment(add("low", -1, 0)).await), ErrorReason::IntegerOverflow);
    client.put(put("text", "1.5")).await.unwrap();
    assert_eq!(reason(client.increment(add("text", 1, 0)).await), ErrorReason::NotAnInteger);
}

#[tokio::test]
async fn keys_are_listed_by_prefix_in_pages() {
    let f = start().await;
    for i in 0..250 {
        f.client.cache().put(put(&format!("user:{i}"), "v")).await.unwrap();
    }
    f.client.cache().put(put("other", "v")).await.unwrap();
    let (mut seen, mut token) = (std::collections::BTreeSet::new(), bytes::Bytes::new());
    loop {
        let request = cache::ListRequest {
            namespace: "default".into(),
            prefix: key("user:"),
            page_size: 40,
            page_token: token,
        };
        let page = f.client.cache().list(request).await.unwrap().into_inner();
        assert!(page.keys.len() <= 40 && page.next_page_token.len() <= 64);
        for key in page.keys {
            assert!(seen.insert(key), "a key is seen once");
        }
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen.len(), 250);
}

#[tokio::test]
async fn the_largest_value_a_namespace_may_allow_goes_in_and_comes_out() {
    let f = start_with(|flags| {
        flags.namespaces = Some(r#"[{"name":"large","maxValueBytes":"8388608"}]"#.into());
    })
    .await;
    let value = vec![0xab; 8 << 20];
    let request = cache::PutRequest { namespace: "large".into(), ..put("k", value.clone()) };
    f.client.cache().put(request).await.unwrap();
    let entry = read(&f, cache::GetRequest { namespace: "large".into(), ..get("k") }).await.unwrap();
    assert!(entry.value == value);
}

#[tokio::test]
async fn an_entry_that_no_eviction_makes_room_for_exceeds_the_quota() {
    let f = start_with(|flags| {
        flags.namespaces = Some(r#"[{"name":"tiny","quotaBytes":"2000"}]"#.into());
    })
    .await;
    let request = cache::PutRequest { namespace: "tiny".into(), ..put("k", vec![0; 3_000]) };
    assert_eq!(reason(f.client.cache().put(request).await), ErrorReason::QuotaExceeded);
    for i in 0..100 {
        let request = cache::PutRequest { namespace: "tiny".into(), ..put(&i.to_string(), vec![0; 500]) };
        f.client.cache().put(request).await.unwrap();
    }
    let stats = f.server.node.engine.stats();
    let tiny = stats.namespaces.iter().find(|n| n.name == "tiny").unwrap();
    assert!(tiny.bytes <= 2_000 && tiny.evictions > 90, "{tiny:?}");
}
