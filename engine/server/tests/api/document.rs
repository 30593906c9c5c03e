//! The OpenAPI document.

use reqwest::Method;
use serde_json::Value;

use crate::world::World;

const METHODS: [&str; 5] = ["get", "post", "put", "delete", "patch"];

/// Every operation: its path, method and what the document says of it.
pub(crate) fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        METHODS
            .into_iter()
            .filter_map(move |method| Some((path.as_str(), method, item.get(method)?)))
    });
    operations.collect()
}

#[tokio::test]
async fn every_operation_is_described_in_full() {
    let world = World::new().await;
    let document = world.get("/api/openapi.json", &world.viewer).await.body;
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = Vec::new();
    for (path, method, operation) in operations(&document) {
        let what = format!("{method} {path}");
        ids.push(operation["operationId"].as_str().expect(&what));
        assert!(operation["summary"].is_string(), "{what} has no summary");
        let responses = operation["responses"].as_object().unwrap();
        for status in ["401", "403", "429", "503"] {
            assert!(responses.contains_key(status), "{what} lacks {status}");
        }
        assert!(
            responses
                .keys()
                .any(|status| status.starts_with('2') || status == "101"),
            "{what} never succeeds"
        );
        if operation.get("requestBody").is_some() {
            for status in ["400", "408", "413", "415"] {
                assert!(responses.contains_key(status), "{what} lacks {status}");
            }
        }
        if path.contains("{id}") {
            assert!(responses.contains_key("404"), "{what} lacks 404");
        }
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "operations have ids of their own");
    for scheme in ["bearer", "session"] {
        assert!(document["components"]["securitySchemes"][scheme].is_object());
    }
    world.server.shutdown().await;
}

#[tokio::test]
async fn references_lead_somewhere() {
    let world = World::new().await;
    let document = world.get("/api/openapi.json", &world.viewer).await.body;
    let mut values = vec![&document];
    let mut count = 0;
    while let Some(value) = values.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                    count += 1;
                }
                values.extend(fields.values());
            }
            Value::Array(items) => values.extend(items),
            _ => {}
        }
    }
    assert!(count > 50, "{count}");
    world.server.shutdown().await;
}

/// The other way round, that every route is described, holds by construction: the router is made from
/// the same list. What a route does not know is 405 with the methods of the document.
#[tokio::test]
async fn every_operation_is_there_and_no_other() {
    let world = World::new().await;
    let document = world.get("/api/openapi.json", &world.viewer).await.body;
    let described = operations(&document);
    let mut paths: Vec<_> = described.iter().map(|(path, ..)| *path).collect();
    paths.dedup();
    for path in paths {
        let there = path
            .replace("{id}", "call-0123456789ab")
            .replace("{person}", "1");
        for method in METHODS {
            let is_described = described.iter().any(|(p, m, _)| *p == path && *m == method);
            let request: Method = method.to_uppercase().parse().unwrap();
            let response = world
                .request(request, &there, &world.admin)
                .send()
                .await
                .unwrap();
            let status = response.status().as_u16();
            assert_eq!(status != 405, is_described, "{method} {path}: {status}");
            if status == 405 {
                let allow = response.headers()["allow"].to_str().unwrap().to_lowercase();
                for (_, known, _) in described.iter().filter(|(p, ..)| *p == path) {
                    assert!(allow.contains(known), "{path}: {allow}");
                }
            }
        }
    }
    world.server.shutdown().await;
}
