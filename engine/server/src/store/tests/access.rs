//! Tokens, sessions, the audit log, deliveries.

use std::time::Duration;

use serde_json::{Map, json};

use super::{Base, on_both};
use crate::store::{AuditFilter, NewAuditEntry, NewDelivery, NewToken, Role, UnixMs};

on_both! {
    a_token_is_found_by_its_hash_until_it_is_revoked,
    a_session_ends_with_its_time_or_its_token,
    the_audit_log_is_read_from_its_end,
    a_delivery_is_taken_by_one_and_kept_until_it_arrived,
    the_deliveries_of_a_call_are_taken_one_after_the_other,
}

fn token(id: &str) -> NewToken {
    NewToken {
        id: id.into(),
        name: format!("{id}'s"),
        role: Role::Operator,
        hash: format!("hash of {id}").into_bytes(),
    }
}

async fn a_token_is_found_by_its_hash_until_it_is_revoked(base: &Base) {
    let store = base.open().await;
    assert!(store.tokens().await.unwrap().is_empty());
    let made = store.add_token(&token("t1")).await.unwrap();
    store.add_token(&token("t2")).await.unwrap();
    let found = store.token_by_hash(b"hash of t1").await.unwrap().unwrap();
    assert_eq!(found, made);
    assert_eq!((found.role, &*found.name), (Role::Operator, "t1's"));
    assert!(store.token_by_hash(b"hash of t3").await.unwrap().is_none());
    assert!(store.add_token(&token("t1")).await.is_err());

    for at in [50, 40] {
        store.token_used("t1", UnixMs(at)).await.unwrap();
    }
    assert!(store.revoke_token("t1").await.unwrap());
    assert!(!store.revoke_token("t1").await.unwrap());
    assert!(!store.revoke_token("t9\0").await.unwrap());
    let revoked = store.token_by_hash(b"hash of t1").await.unwrap().unwrap();
    assert_eq!(revoked.last_used_at, Some(UnixMs(50)));
    assert!(revoked.revoked_at.is_some());
    let tokens = store.tokens().await.unwrap();
    let ids: Vec<_> = tokens.iter().map(|token| &*token.id).collect();
    assert_eq!(ids, ["t1", "t2"]);
    assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Admin);
    assert!(!format!("{:?}", token("t1")).contains("hash"));
}

async fn a_session_ends_with_its_time_or_its_token(base: &Base) {
    let store = base.open().await;
    store.add_token(&token("t1")).await.unwrap();
    let now = UnixMs::now();
    let later = now.after(Duration::from_secs(60));
    store
        .add_session(b"s1", "t1", "csrf-1", later)
        .await
        .unwrap();
    let session = store.session(b"s1", now).await.unwrap().unwrap();
    assert_eq!((&*session.token.id, &*session.csrf), ("t1", "csrf-1"));
    assert_eq!(session.expires_at, later);
    assert!(!format!("{session:?}").contains("csrf-1"));
    assert!(store.session(b"s1", later).await.unwrap().is_none());
    assert!(store.session(b"s2", now).await.unwrap().is_none());
    assert!(store.add_session(b"s3", "t9", "", later).await.is_err());

    // One that is over goes with the next one that begins.
    store.add_session(b"s2", "t1", "csrf-2", now).await.unwrap();
    store
        .add_session(b"s4", "t1", "csrf-4", later)
        .await
        .unwrap();
    assert!(!store.end_session(b"s2").await.unwrap());
    assert!(store.end_session(b"s4").await.unwrap());
    assert!(store.revoke_token("t1").await.unwrap());
    assert!(store.session(b"s1", now).await.unwrap().is_none());
}

async fn the_audit_log_is_read_from_its_end(base: &Base) {
    let store = base.open().await;
    for n in 1..=5 {
        let mut detail = Map::new();
        detail.insert("n".into(), json!(n));
        let entry = NewAuditEntry {
            who: "t1".into(),
            action: "call.listen".into(),
            call_id: (n % 2 == 1).then(|| "call-1".into()),
            detail,
        };
        store.audit(UnixMs(1_000 + n), &entry).await.unwrap();
    }
    let numbers = |entries: &[crate::store::AuditEntry]| {
        entries
            .iter()
            .map(|entry| entry.detail["n"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    let all = AuditFilter::default();
    let first = store.audit_log(&all, 2).await.unwrap();
    assert_eq!(numbers(&first), [5, 4]);
    let before = Some(first[1].id);
    let rest = AuditFilter {
        before,
        ..all.clone()
    };
    assert_eq!(
        numbers(&store.audit_log(&rest, 10).await.unwrap()),
        [3, 2, 1]
    );
    let of_call = AuditFilter {
        call_id: Some("call-1".into()),
        ..all
    };
    assert_eq!(
        numbers(&store.audit_log(&of_call, 10).await.unwrap()),
        [5, 3, 1]
    );
    assert!(first[0].at <= UnixMs::now());
}

async fn a_delivery_is_taken_by_one_and_kept_until_it_arrived(base: &Base) {
    let store = base.open().await;
    let other = base.open().await;
    let url = "https://example.com/";
    let delivery = |n: u32, call_id: &str| NewDelivery {
        url: url.into(),
        call_id: Some(call_id.into()),
        event: json!({ "n": n }).to_string(),
    };
    assert_eq!(store.next_delivery(url).await.unwrap(), None);
    let all = [delivery(1, "a"), delivery(2, "b"), delivery(3, "c")];
    store.add_deliveries(&all).await.unwrap();
    let now = UnixMs::now();
    assert!(store.next_delivery(url).await.unwrap().unwrap() <= now);
    let elsewhere = "https://example.com/elsewhere";
    assert_eq!(store.next_delivery(elsewhere).await.unwrap(), None);

    let lease = Duration::from_secs(30);
    let taken = store.take_deliveries(url, now, lease, 2).await.unwrap();
    let calls: Vec<_> = taken.iter().map(|d| d.call_id.as_deref()).collect();
    assert_eq!(calls, [Some("a"), Some("b")]);
    let rest = other.take_deliveries(url, now, lease, 9).await.unwrap();
    assert_eq!(rest.len(), 1);
    let none = other.take_deliveries(url, now, lease, 9).await.unwrap();
    assert_eq!(none, []);

    store.delivered(taken[0].id).await.unwrap();
    let later = now.after(Duration::from_secs(5));
    store
        .delivery_failed(taken[1].id, "503", later)
        .await
        .unwrap();
    assert_eq!(store.next_delivery(url).await.unwrap(), Some(later));
    let again = store.take_deliveries(url, later, lease, 9).await.unwrap();
    assert_eq!(again.len(), 1);
    assert_eq!(
        (again[0].attempts, again[0].last_error.as_deref()),
        (1, Some("503"))
    );
    assert_eq!(
        (again[0].id, &again[0].event),
        (taken[1].id, &taken[1].event)
    );
    // Whoever had the third one died with it.
    let after_lease = later.after(lease);
    let left = other.take_deliveries(url, after_lease, lease, 9).await;
    assert_eq!(left.unwrap().len(), 2);
}

async fn the_deliveries_of_a_call_are_taken_one_after_the_other(base: &Base) {
    let store = base.open().await;
    let (url, lease) = ("https://example.com/", Duration::from_secs(30));
    let delivery = |n: u32, call_id: &str| NewDelivery {
        url: url.into(),
        call_id: Some(call_id.into()),
        event: n.to_string(),
    };
    let all = [
        delivery(1, "a"),
        delivery(2, "a"),
        delivery(3, "b"),
        delivery(4, "a"),
    ];
    store.add_deliveries(&all).await.unwrap();
    let mut now = UnixMs::now();
    let mut order = Vec::new();
    loop {
        let taken = store.take_deliveries(url, now, lease, 9).await.unwrap();
        if taken.is_empty() {
            break;
        }
        for delivery in taken {
            // The first one fails once.
            if delivery.event == "1" && delivery.attempts == 0 {
                now = now.after(Duration::from_secs(2));
                store
                    .delivery_failed(delivery.id, "503", now)
                    .await
                    .unwrap();
            } else {
                store.delivered(delivery.id).await.unwrap();
            }
            order.push(delivery.event);
        }
    }
    assert_eq!(order, ["1", "3", "1", "2", "4"]);
    let old = store.forget_deliveries(now.after(lease)).await.unwrap();
    assert_eq!(old, 0);
}
