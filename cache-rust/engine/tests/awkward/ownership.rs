//! What a node owns, and what becomes of what it does not.

use crate::{at, engine, put, put_with};
use bimetal_engine::*;

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
