//! Namespaces, their listings, and what names nothing.

use crate::{at, engine, put};
use bimetal_engine::*;

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
