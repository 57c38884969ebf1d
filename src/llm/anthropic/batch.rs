//! Anthropic's batch lane: the requests go with the batch, the results are one file. A batch carries no name of ours.

use super::{Anthropic, VERSION};
use crate::llm::batch::{
    BatchCounts, BatchLane, BatchLimits, BatchLine, BatchPage, Call, Frame, LineOutcome, NewBatch, Payload, Phase,
    RemoteBatch,
};
use crate::llm::{HttpRequest, Unreadable, fault};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

const AUTH: (&str, &str) = ("x-api-key", "");

/// The status that an error would have had alone, by its type.
const STATUSES: &[(&str, u16)] = &[
    ("invalid_request_error", 400),
    ("authentication_error", 401),
    ("billing_error", 402),
    ("permission_error", 403),
    ("not_found_error", 404),
    ("request_too_large", 413),
    ("rate_limit_error", 429),
    ("timeout_error", 504),
    ("overloaded_error", 529),
];

impl BatchLane for Anthropic {
    fn limits(&self) -> BatchLimits {
        BatchLimits { requests: 100_000, bytes: 256_000_000 }
    }

    fn frame(&self) -> Frame {
        Frame { before: b"{\"requests\":[", between: b",\n", after: b"]}" }
    }

    fn entry(&self, custom_id: &str, request: &HttpRequest) -> Vec<u8> {
        let head = format!("{{\"custom_id\":\"{custom_id}\",\"params\":");
        [head.as_bytes(), &request.body, b"}"].concat()
    }

    fn upload(&self, _base_url: &str, _batch: NewBatch<'_>) -> Option<Call> {
        None
    }

    fn uploaded(&self, body: &[u8]) -> Result<String, Unreadable> {
        Err(fault::lacking("inputs are not sent by themselves", body))
    }

    fn create(&self, base_url: &str, batch: NewBatch<'_>) -> Call {
        let payload = Payload::File { before: Vec::new(), path: batch.input.to_owned(), after: Vec::new() };
        // The version of the API is that of its requests: some parameters are of one version alone.
        Call { url: at(base_url, ""), headers: batch.headers.to_vec(), auth: AUTH, payload }
    }

    fn look(&self, base_url: &str, id: &str) -> Call {
        get(at(base_url, &format!("/{id}")))
    }

    fn batch(&self, body: &[u8]) -> Result<RemoteBatch, Unreadable> {
        batch(&fault::json(body)?).ok_or_else(|| fault::lacking("no `id` and `processing_status` of a batch", body))
    }

    fn list(&self, base_url: &str, after: Option<&str>) -> Call {
        let after = after.map(|id| format!("&after_id={id}")).unwrap_or_default();
        get(at(base_url, &format!("?limit=100{after}")))
    }

    fn page(&self, body: &[u8]) -> Result<BatchPage, Unreadable> {
        BatchPage::read(body, batch, is_name)
    }

    fn fetch(&self, base_url: &str, result: &str) -> Call {
        // The batch names a whole address; a key goes to the host that was named to us, and to no other.
        get(at(base_url, &format!("/{result}/results")))
    }

    fn line(&self, line: &[u8]) -> Result<BatchLine, Unreadable> {
        let unreadable = || fault::lacking("no line of a batch's results", line);
        let Line { custom_id, result } = serde_json::from_slice(line).map_err(|_| unreadable())?;
        let outcome = match (result.kind.as_str(), result.message, result.error) {
            ("succeeded", Some(message), _) => LineOutcome::Answer(message.get().to_owned()),
            ("errored", _, Some(error)) => {
                let body: Value = serde_json::from_str(error.get()).map_err(|_| unreadable())?;
                let inner = if body["error"].is_object() { &body["error"] } else { &body };
                let kind = inner["type"].as_str().unwrap_or_default();
                // Older answers leave the ending out.
                let status =
                    STATUSES.iter().find(|(name, _)| *name == kind || name.strip_suffix("_error") == Some(kind));
                LineOutcome::Fault { status: status.map_or(500, |(_, status)| *status), body: error.get().into() }
            }
            (kind @ ("canceled" | "expired"), ..) => LineOutcome::Unasked(kind.to_owned()),
            _ => return Err(unreadable()),
        };
        Ok(BatchLine { custom_id, outcome })
    }

    fn keeps_names(&self) -> bool {
        false
    }
}

/// A line of the results, as far as it matters. Messages stay as they were received.
#[derive(Deserialize)]
struct Line {
    custom_id: String,
    result: Outcome,
}

#[derive(Deserialize)]
struct Outcome {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    message: Option<Box<RawValue>>,
    #[serde(default)]
    error: Option<Box<RawValue>>,
}

fn at(base_url: &str, rest: &str) -> String {
    format!("{}/v1/messages/batches{rest}", base_url.trim_end_matches('/'))
}

fn get(url: String) -> Call {
    Call { url, headers: vec![("anthropic-version", VERSION.to_owned())], auth: AUTH, payload: Payload::None }
}

/// What a server names shall fit into an address.
fn is_name(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn batch(root: &Value) -> Option<RemoteBatch> {
    let id = root["id"].as_str().filter(|id| is_name(id))?.to_owned();
    let state = root["processing_status"].as_str()?.to_owned();
    let phase = if state == "ended" { Phase::Ended } else { Phase::Working };
    let count = |name: &str| fault::count(&root["request_counts"], name).unwrap_or(0);
    let (succeeded, failed) = (count("succeeded"), count("errored"));
    let unfinished = count("canceled") + count("expired");
    let total = count("processing") + succeeded + failed + unfinished;
    let created_at = root["created_at"].as_str().and_then(|time| time.parse().ok());
    let results = if phase == Phase::Ended { vec![id.clone()] } else { Vec::new() };
    let counts = BatchCounts { total, succeeded, failed, unfinished };
    Some(RemoteBatch { id, state, phase, created_at, job: None, input_file: None, counts, results, message: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::path::Path;

    fn line(result: Value) -> Result<LineOutcome, Unreadable> {
        Anthropic.line(json!({ "custom_id": "k1", "result": result }).to_string().as_bytes()).map(|line| line.outcome)
    }

    #[test]
    fn requests_stand_in_one_body_and_keep_their_version() {
        let request =
            HttpRequest { url: String::new(), headers: Vec::new(), auth: AUTH, body: br#"{"model":"m"}"#.to_vec() };
        let (frame, entry) = (Anthropic.frame(), Anthropic.entry("k1", &request));
        let body = [frame.before, &entry, frame.between, &entry, frame.after].concat();
        let one = json!({ "custom_id": "k1", "params": { "model": "m" } });
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), json!({ "requests": [one, one] }));
        let headers = [("anthropic-version", "2023-06-01".to_owned())];
        let new = NewBatch { job: "b1", input: Path::new("b1.jsonl"), input_file: None, headers: &headers };
        assert!(Anthropic.upload("http://h", new).is_none());
        let call = Anthropic.create("http://h/", new);
        assert_eq!((call.url.as_str(), &call.headers[..]), ("http://h/v1/messages/batches", &headers[..]));
    }

    #[test]
    fn a_batch_tells_how_far_it_is_and_its_results_are_fetched_from_the_host_that_was_named() {
        let body = |state: &str, processing: u64| {
            json!({
                "id": "msgbatch_1", "type": "message_batch", "processing_status": state, "created_at": "2026-11-21T10:00:00Z",
                "request_counts": { "processing": processing, "succeeded": 5, "errored": 2, "canceled": 1, "expired": 3 },
                "results_url": "https://elsewhere.example/results",
            })
        };
        let read = |body: Value| Anthropic.batch(body.to_string().as_bytes()).unwrap();
        let ended = read(body("ended", 0));
        assert_eq!(ended.counts, BatchCounts { total: 11, succeeded: 5, failed: 2, unfinished: 4 });
        assert_eq!((ended.phase, read(body("canceling", 1)).phase), (Phase::Ended, Phase::Working));
        assert_eq!(
            Anthropic.fetch("http://h", &ended.results[0]).url,
            "http://h/v1/messages/batches/msgbatch_1/results"
        );
        let page = json!({ "data": [body("ended", 0)], "has_more": true, "last_id": "msgbatch_1" });
        let page = Anthropic.page(page.to_string().as_bytes()).unwrap();
        assert_eq!((page.batches, page.next.as_deref()), (vec![ended], Some("msgbatch_1")));
    }

    #[test]
    fn what_came_of_a_request_is_told_by_its_own_line() {
        let message = json!({ "content": [], "usage": { "input_tokens": 1 } });
        let answered = line(json!({ "type": "succeeded", "message": message }));
        assert_eq!(answered, Ok(LineOutcome::Answer(message.to_string())));
        for (kind, status) in
            [("invalid_request_error", 400), ("invalid_request", 400), ("overloaded_error", 529), ("api_error", 500)]
        {
            let error = json!({ "type": "error", "error": { "type": kind, "message": "m" } });
            let body = error.to_string().into_bytes();
            assert_eq!(
                line(json!({ "type": "errored", "error": error })),
                Ok(LineOutcome::Fault { status, body }),
                "{kind}"
            );
        }
        assert_eq!(line(json!({ "type": "expired" })), Ok(LineOutcome::Unasked("expired".to_owned())));
        assert_eq!(line(json!({ "type": "canceled" })), Ok(LineOutcome::Unasked("canceled".to_owned())));
        for bad in
            [json!({ "type": "succeeded" }), json!({ "type": "errored" }), json!({ "type": "resting" }), json!({})]
        {
            assert!(line(bad.clone()).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_a_reader_panic(body: Vec<u8>) {
            drop((Anthropic.line(&body), Anthropic.batch(&body), Anthropic.page(&body)));
        }
    }
}
