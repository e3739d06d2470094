//! The calls as the document describes them, against those that there are.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;

use crate::caller::Caller;
use crate::service::Service;

/// What has a description and does not stand in the URL table.
const BESIDE_THE_TABLE: [&str; 3] = ["/livez", "/readyz", "/openapi.json"];

/// Methods and paths as the URL table has them; `HEAD` goes with `GET`, and `OPTIONS` with everything.
async fn served(nobody: &Caller<'_>) -> BTreeSet<String> {
    let table = include_str!("../../src/routes/mod.rs");
    let paths = table.split("at(\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let mut calls = BTreeSet::new();
    for path in paths.chain(BESIDE_THE_TABLE) {
        let answer = nobody.call(Method::OPTIONS, path, None).await.is(204);
        let methods = answer.header("allow").split(", ").filter(|method| !["OPTIONS", "HEAD"].contains(method));
        calls.extend(methods.map(|method| format!("{method} {path}")));
    }
    calls
}

fn described(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().unwrap().iter();
    let calls = paths.flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |method| (path, method)));
    calls.map(|(path, method)| format!("{} {path}", method.to_uppercase())).collect()
}

#[tokio::test]
async fn every_call_is_described_and_nothing_else() {
    let service = Service::start([]).await;
    let nobody = service.nobody();
    let document = nobody.get("/openapi.json").await.is(200).json();
    let (served, described) = (served(&nobody).await, described(&document));
    assert!(served.len() > 20, "the URL table is read");
    assert_eq!(described, served);
}
