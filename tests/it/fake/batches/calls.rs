//! What each call does to the server's files and batches.

use super::{Batch, Entry, Shared, complain, respond};
use crate::fake::Asked;
use crate::fake::answer::generated;
use crate::fake::wire::{self, End, Provider, Question, Rejection};
use axum::body::Body;
use axum::http::{HeaderMap, Method, Response};
use jiff::Timestamp;
use regex::Regex;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A status, and what is wrong.
pub(super) type Fault = (u16, String);

/// A single request's question, where it is right.
pub(super) fn checked(provider: Provider, body: &Value, headers: &HeaderMap) -> Result<Question, String> {
    let mut names = BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]);
    if let Some(version) = headers.get("anthropic-version") {
        names.insert("anthropic-version".to_owned(), version.to_str().unwrap_or_default().to_owned());
    }
    let path = match provider {
        Provider::OpenAi => "/v1/chat/completions",
        _ => "/v1/messages",
    };
    let asked = Asked {
        index: 0,
        nth: 0,
        hash: String::new(),
        path: path.to_owned(),
        headers: names,
        body: body.clone(),
        prompt: String::new(),
        at: Duration::ZERO,
    };
    let checked = wire::check(&Method::POST, &asked, None, &BTreeSet::new());
    checked.map(|(_, question)| question).map_err(|(_, rejection)| rejection.message)
}

pub(super) fn direct(shared: &Shared, provider: Provider, headers: &HeaderMap, body: &[u8]) -> Response<Body> {
    shared.log().direct += 1;
    match checked(provider, &serde_json::from_slice(body).unwrap_or_default(), headers) {
        Ok(question) => {
            let text = generated(&question.schema, &question.prompt).to_string();
            respond(200, provider.answer(&question, &text, End::Stop).to_string())
        }
        Err(fault) => complain(shared, provider, Rejection::of_status(400), &fault),
    }
}

pub(super) fn upload(shared: &Shared, headers: &HeaderMap, body: &[u8]) -> Result<Vec<u8>, Fault> {
    let bad = |reason: &str| (400, format!("upload: {reason}"));
    let length = headers.get("content-length").and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length != Some(body.len()) {
        return Err(bad("the length is not told"));
    }
    let form = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let boundary = form.strip_prefix("multipart/form-data; boundary=").ok_or_else(|| bad("no form"))?;
    let text = std::str::from_utf8(body).map_err(|_| bad("no text"))?;
    let end = format!("\r\n--{boundary}--\r\n");
    let inner = text.strip_suffix(&end).ok_or_else(|| bad("no end"))?;
    let inner = format!("\r\n{inner}");
    let (mut purpose, mut file) = (None, None);
    let name = Regex::new(r#"(?i)^content-disposition: form-data; name="([a-z]+)""#).expect("the pattern is valid");
    for field in inner.split(&format!("\r\n--{boundary}\r\n")).filter(|field| !field.is_empty()) {
        let (head, content) = field.split_once("\r\n\r\n").ok_or_else(|| bad("a field without a head"))?;
        match name.captures(head).map(|found| found[1].to_owned()).as_deref() {
            Some("purpose") => purpose = Some(content.to_owned()),
            Some("file") if head.contains("filename=\"") => file = Some(content.to_owned()),
            other => return Err(bad(&format!("field {other:?}"))),
        }
    }
    let (Some("batch"), Some(file)) = (purpose.as_deref(), file) else { return Err(bad("purpose and file")) };
    let mut log = shared.log();
    let id = format!("file-{}", log.files.len() + 1);
    let document =
        json!({ "id": id, "object": "file", "bytes": file.len(), "purpose": "batch", "status": "processed" });
    log.files.insert(id, file.into_bytes());
    Ok(document.to_string().into_bytes())
}

pub(super) fn create(shared: &Shared, provider: Provider, headers: &HeaderMap, body: &[u8]) -> Result<Vec<u8>, Fault> {
    let bad = |reason: String| (400, format!("create: {reason}"));
    let body: Value = serde_json::from_slice(body).map_err(|error| bad(error.to_string()))?;
    let mut log = shared.log();
    let requests: Vec<Value> = match provider {
        Provider::OpenAi => {
            let rest = json!([body["endpoint"], body["completion_window"]]);
            if rest != json!(["/v1/chat/completions", "24h"]) {
                return Err(bad(rest.to_string()));
            }
            let file = body["input_file_id"].as_str().and_then(|id| log.files.get(id));
            let file = String::from_utf8_lossy(file.ok_or_else(|| bad("no such file".to_owned()))?).into_owned();
            file.lines().map(serde_json::from_str).collect::<Result<_, _>>().map_err(|error| bad(error.to_string()))?
        }
        _ => body["requests"].as_array().cloned().ok_or_else(|| bad("no requests".to_owned()))?,
    };
    let name = Regex::new("^[a-zA-Z0-9_-]{1,64}$").expect("the pattern is valid");
    let mut entries: Vec<Entry> = Vec::new();
    for request in &requests {
        let custom_id = request["custom_id"].as_str().filter(|id| name.is_match(id)).unwrap_or_default().to_owned();
        if custom_id.is_empty() || entries.iter().any(|entry| entry.custom_id == custom_id) {
            return Err(bad(format!("custom_id {}", request["custom_id"])));
        }
        let (inner, fields) = match provider {
            Provider::OpenAi => (&request["body"], 4),
            _ => (&request["params"], 2),
        };
        if request.as_object().is_none_or(|request| request.len() != fields) {
            return Err(bad("fields of a request".to_owned()));
        }
        let question = checked(provider, inner, headers).map_err(bad)?;
        entries.push(Entry { custom_id, question });
    }
    let number = log.batches.len() + 1;
    let (id, state) = match provider {
        Provider::OpenAi => (format!("batch_{number}"), "validating"),
        _ => (format!("msgbatch_{number}"), "in_progress"),
    };
    let batch = Batch {
        id,
        provider,
        input_file: body["input_file_id"].clone(),
        metadata: body["metadata"].clone(),
        entries,
        created: Timestamp::now(),
        state: state.to_owned(),
        succeeded: 0,
        failed: 0,
        unfinished: 0,
        errors: Value::Null,
        results: Vec::new(),
    };
    let document = batch.document();
    log.batches.push(batch);
    Ok(document.to_string().into_bytes())
}

/// The latest first, two a page, so that every list has several.
pub(super) fn list(shared: &Shared, provider: Provider, query: &str) -> Value {
    let after = query.split('&').find_map(|pair| pair.strip_prefix("after=").or(pair.strip_prefix("after_id=")));
    let log = shared.log();
    let all: Vec<&Batch> = log.batches.iter().rev().filter(|batch| batch.provider == provider).collect();
    let from = after.and_then(|after| all.iter().position(|batch| batch.id == after)).map_or(0, |at| at + 1);
    let page: Vec<Value> = all[from..].iter().take(2).map(|batch| batch.document()).collect();
    let last = page.last().map_or(Value::Null, |batch| batch["id"].clone());
    json!({ "object": "list", "data": page, "last_id": last, "has_more": all.len() > from + 2 })
}

pub(super) fn find(shared: &Shared, id: &str) -> Result<Vec<u8>, Fault> {
    let log = shared.log();
    let found = log.batches.iter().find(|batch| batch.id == id);
    found.map(|batch| batch.document().to_string().into_bytes()).ok_or_else(|| (404, format!("no batch {id}")))
}

pub(super) fn fetch(shared: &Shared, provider: Provider, name: &str) -> Result<Vec<u8>, Fault> {
    let log = shared.log();
    let mut results = log.batches.iter().flat_map(|batch| batch.results.iter().map(move |result| (batch, result)));
    let found =
        results.find(|(batch, (file, _))| if provider == Provider::OpenAi { file == name } else { batch.id == name });
    found.map(|(_, (_, lines))| lines.clone()).ok_or_else(|| (404, format!("no results {name}")))
}
