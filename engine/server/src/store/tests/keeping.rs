//! Which calls are lost.

use super::{Base, on_both};
use crate::store::{
    CallState, Store,
    writer::tests::{Pen, ended, heard, started},
};

on_both! { calls_of_servers_that_are_gone_are_lost }

async fn state(store: &Store, id: &str) -> CallState {
    store.call(id).await.unwrap().unwrap().state
}

async fn calls_of_servers_that_are_gone_are_lost(base: &Base) {
    let (one, two) = (base.open().await, base.open().await);
    let first = Pen::new(&one).await;
    first.event("call-1", 1, 0, started("CA1"));
    first.event("call-1", 2, 3_000, heard(1, "hello"));
    first.event("call-2", 1, 0, started("CA2"));
    first.event("call-2", 2, 0, ended());
    first.flush().await;

    // Another server of the same database, beside the first.
    let second = Pen::new(&two).await;
    second.event("call-3", 1, 0, started("CA3"));
    second.flush().await;
    assert_eq!(state(&two, "call-1").await, CallState::Live);

    // The first goes without a word, the second stays.
    first.end().await;
    let third = Pen::new(&two).await;
    assert_eq!(state(&two, "call-1").await, CallState::Lost);
    assert_eq!(state(&two, "call-2").await, CallState::Ended);
    assert_eq!(state(&two, "call-3").await, CallState::Live);
    let lost = two.call("call-1").await.unwrap().unwrap();
    assert_eq!(lost.ended_at.unwrap().0, lost.started_at.0 + 3_000);
    assert_eq!((lost.end_reason, lost.duration_ms), (None, None));
    assert!(two.delete_call("call-1", "t1").await.unwrap());
    second.end().await;
    third.end().await;
    for file in std::fs::read_dir(base.folder.path()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(!name.contains("server"), "{name} is left");
    }
}
