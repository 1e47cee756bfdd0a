//! The Pipeline's parser takes any bytes without a panic, and agrees with the generated code on what is valid.

use crate::support::*;
use bimetal_cache::grpc::pipeline::{execute_for_tests, parse_for_fuzzing};
use bimetal_contract::cache;
use proptest::prelude::*;
use prost::Message;

fn duration() -> impl Strategy<Value = Option<prost_types::Duration>> {
    let any =
        (any::<i64>(), any::<i32>()).prop_map(|(seconds, nanos)| prost_types::Duration { seconds, nanos });
    prop_oneof![
        any.prop_map(Some),
        // Long enough that nothing expires at one of two nodes while a case runs.
        (60..65i64).prop_map(|seconds| Some(prost_types::Duration { seconds, nanos: 1 })),
        Just(None)
    ]
}

fn ttl() -> impl Strategy<Value = Option<cache::Ttl>> {
    use cache::ttl::Kind;
    let kind = prop_oneof![
        duration().prop_map(|d| d.map(Kind::Relative)),
        Just(Some(Kind::Keep(()))),
        Just(Some(Kind::Never(()))),
    ];
    proptest::option::of(kind.prop_map(|kind| cache::Ttl { kind }))
}

fn precondition() -> impl Strategy<Value = Option<cache::Precondition>> {
    use cache::precondition::Kind;
    let kind = prop_oneof![
        Just(None),
        Just(Some(Kind::Absent(()))),
        Just(Some(Kind::Present(()))),
        proptest::collection::vec(any::<u64>(), 0..20)
            .prop_map(|versions| Some(Kind::Versions(cache::VersionSet { versions }))),
    ];
    proptest::option::of(kind.prop_map(|kind| cache::Precondition { kind }))
}

fn operation() -> impl Strategy<Value = cache::Operation> {
    use cache::operation::Operation as Op;
    let namespace = prop_oneof![4 => Just("default".to_owned()), 1 => ".{0,70}"];
    let key = proptest::collection::vec(any::<u8>(), 0..3).prop_map(bytes::Bytes::from);
    let value = proptest::collection::vec(any::<u8>(), 0..40).prop_map(bytes::Bytes::from);
    (0..7, namespace, key, value, ttl(), precondition(), any::<(bool, i64, i64, Option<u64>)>(), ".{0,5}")
        .prop_map(
            |(
                kind,
                namespace,
                key,
                value,
                ttl,
                precondition,
                (flag, delta, initial, number),
                content_type,
            )| {
                let operation = match kind {
                    0 => Op::Get(cache::GetRequest {
                        namespace,
                        key,
                        omit_value: flag,
                        known_version: number,
                        max_value_bytes: number,
                        ..Default::default()
                    }),
                    1 => Op::Put(cache::PutRequest {
                        namespace,
                        key,
                        value,
                        content_type,
                        ttl,
                        precondition,
                        return_former: flag,
                        ..Default::default()
                    }),
                    2 => Op::Delete(cache::DeleteRequest {
                        namespace,
                        key,
                        precondition,
                        ..Default::default()
                    }),
                    3 => Op::Touch(cache::TouchRequest { namespace, key, ttl, ..Default::default() }),
                    4 => Op::Increment(cache::IncrementRequest {
                        namespace,
                        key,
                        delta,
                        initial,
                        ttl,
                        renew_ttl: flag,
                        ..Default::default()
                    }),
                    5 => Op::Throttle(cache::ThrottleRequest { namespace, key, ..Default::default() }),
                    _ => return cache::Operation::default(),
                };
                cache::Operation { operation: Some(operation), timeout_ms: 0 }
            },
        )
}

/// The same operation through the unary RPC.
async fn unary(f: &Fixture, operation: cache::Operation) -> cache::operation_result::Result {
    use cache::operation::Operation as Op;
    use cache::operation_result::Result as Done;
    let mut client = f.client.cache();
    let done = match operation.operation {
        Some(Op::Get(r)) => client.get(r).await.map(|r| Done::Get(r.into_inner())),
        Some(Op::Put(r)) => client.put(r).await.map(|r| Done::Put(r.into_inner())),
        Some(Op::Delete(r)) => client.delete(r).await.map(|r| Done::Delete(r.into_inner())),
        Some(Op::Touch(r)) => client.touch(r).await.map(|r| Done::Touch(r.into_inner())),
        Some(Op::Increment(r)) => client.increment(r).await.map(|r| Done::Increment(r.into_inner())),
        Some(Op::Throttle(r)) => client.throttle(r).await.map(|r| Done::Throttle(r.into_inner())),
        None => unreachable!("not asked of the unary side"),
    };
    done.unwrap_or_else(|status| {
        Done::Error(bimetal_contract::Error::from_status(&status, true).into_detail())
    })
}

/// What two nodes with their own clocks must agree on.
fn comparable(done: cache::operation_result::Result) -> String {
    use cache::get_response::Result as Found;
    use cache::operation_result::Result as Done;
    match done {
        Done::Get(cache::GetResponse { result: Some(Found::Entry(e)) }) => {
            format!(
                "hit {:?} {:?} {} {} {}",
                e.value,
                e.content_type,
                e.size,
                e.omission,
                e.remaining_ttl.is_some()
            )
        }
        Done::Get(_) => "miss".into(),
        Done::Put(p) => {
            format!("put {} {:?}", p.created, p.former.map(|e| (e.value, e.content_type, e.size)))
        }
        Done::Delete(d) => format!("delete {}", d.existed),
        Done::Touch(t) => format!("touch {}", t.remaining_ttl.is_some()),
        Done::Increment(i) => format!("increment {} {} {}", i.value, i.created, i.remaining_ttl.is_some()),
        Done::Throttle(_) => "throttle".into(),
        Done::Error(e) => format!("error {} {:?}", e.reason, e.violations.first().map(|v| v.field.clone())),
    }
}

#[test]
fn any_bytes_are_parsed_or_refused() {
    proptest!(ProptestConfig::with_cases(20_000), |(bytes in proptest::collection::vec(any::<u8>(), 0..200))| {
        let ours = parse_for_fuzzing(&bytes);
        // What the generated code takes, ours takes too (ours looks into strings only when it needs them).
        if let Ok(batch) = cache::PipelineRequest::decode(&*bytes) {
            prop_assert_eq!(ours, Ok(batch.operations.len()));
        }
    });
}

#[test]
fn an_unknown_group_is_skipped_with_all_that_is_in_it() {
    // Field 99 is a group of a varint, a group and four bytes; 99 << 3 is 0x318.
    let group = [0x9b, 0x06, 0x08, 0x01, 0x13, 0x14, 0x1d, 1, 2, 3, 4, 0x9c, 0x06];
    assert_eq!(cache::PipelineRequest::decode(&group[..]).unwrap().operations.len(), 0);
    assert_eq!(parse_for_fuzzing(&group), Ok(0));
    assert!(parse_for_fuzzing(&group[..11]).is_err(), "its end is cut off");
    assert!(parse_for_fuzzing(&[0x9c, 0x06]).is_err(), "an end without a beginning");
    assert!(parse_for_fuzzing(&[0x0b; 1_000]).is_err(), "nested too deep");
}

#[test]
fn a_valid_batch_with_a_byte_changed_or_cut_off_is_parsed_or_refused() {
    let strategy = (
        proptest::collection::vec(operation(), 1..6),
        any::<prop::sample::Index>(),
        any::<u8>(),
        any::<bool>(),
    );
    proptest!(ProptestConfig::with_cases(5_000), |((operations, at, byte, cut) in strategy)| {
        let batch = cache::PipelineRequest { operations, ..Default::default() };
        let mut bytes = batch.encode_to_vec();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        let _ = parse_for_fuzzing(&bytes);
    });
}

#[test]
fn the_fast_path_and_the_unary_rpcs_answer_the_same() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let strategy = proptest::collection::vec(operation(), 1..30);
    proptest!(ProptestConfig::with_cases(60), |(operations in strategy)| {
        runtime.block_on(async {
            let fast = start().await;
            let plain = start().await;
            let bytes = cache::PipelineRequest { operations: operations.clone(), ..Default::default() }.encode_to_vec();
            let messages = execute_for_tests(&fast.server.node, &bytes).unwrap();
            let results: Vec<_> = messages
                .iter()
                .flat_map(|m| cache::PipelineResponse::decode(&**m).unwrap().results)
                .map(|r| r.result.unwrap())
                .collect();
            assert_eq!(results.len(), operations.len());
            for (operation, result) in operations.into_iter().zip(results) {
                if operation.operation.is_none() {
                    continue;
                }
                let asked = format!("{operation:?}");
                // known_version speaks of versions, which differ between two nodes by nature; here it never matches.
                assert_eq!(comparable(result), comparable(unary(&plain, operation).await), "{asked}");
            }
        });
    });
}
