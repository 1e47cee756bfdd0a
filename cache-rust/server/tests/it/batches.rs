//! BatchGet.

use crate::support::*;
use bimetal_contract::cache::{self, batch_get_result::Result as Answer};
use bimetal_contract::errors::ErrorReason;
use bytes::Bytes;

fn batch(keys: Vec<Bytes>) -> cache::BatchGetRequest {
    cache::BatchGetRequest { namespace: "default".into(), keys, ..cache::BatchGetRequest::default() }
}

#[tokio::test]
async fn keys_are_answered_in_their_order_each_for_itself() {
    let f = start().await;
    f.client.cache().put(put("a", "1")).await.unwrap();
    let keys = vec![key("a"), key("missing"), Bytes::new(), key("a")];
    let results = f.client.cache().batch_get(batch(keys)).await.unwrap().into_inner().results;
    let results: Vec<_> = results.into_iter().map(|r| r.result.unwrap()).collect();
    assert!(matches!(&results[0], Answer::Entry(entry) if &entry.value[..] == b"1"));
    assert!(matches!(&results[1], Answer::Miss(_)));
    assert!(matches!(&results[2], Answer::Error(e) if e.reason() == ErrorReason::InvalidArgument));
    assert!(matches!(&results[3], Answer::Entry(_)));
}

#[tokio::test]
async fn past_16_mib_of_values_the_rest_is_too_large() {
    let f = start().await;
    f.client.cache().put(put("m", vec![1; 1 << 20])).await.unwrap();
    let results = f.client.cache().batch_get(batch(vec![key("m"); 20])).await.unwrap().into_inner().results;
    let too_large = |r: &cache::BatchGetResult| matches!(&r.result, Some(Answer::Error(e)) if e.reason() == ErrorReason::ResponseTooLarge);
    assert!(results[..16].iter().all(|r| !too_large(r)));
    assert!(results[16..].iter().all(too_large));
}

#[tokio::test]
async fn no_keys_and_too_many_keys_are_refused() {
    let f = start().await;
    for keys in [vec![], vec![key("k"); 1_001]] {
        let refused = error(f.client.cache().batch_get(batch(keys)).await);
        assert_eq!(refused.detail().violations[0].field, "keys");
    }
    assert!(f.client.cache().batch_get(batch(vec![key("k"); 1_000])).await.is_ok());
}
