//! OpenAI's batch lane, which many servers share: a file of requests, a batch of that file, a file of answers and one of errors.

use super::OpenAi;
use crate::llm::batch::{
    BatchCounts, BatchLane, BatchLimits, BatchLine, BatchPage, Call, Frame, LineOutcome, NewBatch, Payload, Phase,
    RemoteBatch,
};
use crate::llm::{HttpRequest, Unreadable, fault};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Under this name a batch carries our name for it.
const OUR_NAME: &str = "interrater_job";

/// What every request of a batch is sent to, whatever the base URL is.
const ENDPOINT: &str = "/v1/chat/completions";

/// Separates the fields of the form in which a file is sent; no field holds it, since a request's line breaks are escaped.
const BOUNDARY: &str = "interrater-5b6d0c1e8f2a4973";

const AUTH: (&str, &str) = ("authorization", "Bearer ");

impl BatchLane for OpenAi {
    fn limits(&self) -> BatchLimits {
        BatchLimits { requests: 50_000, bytes: 200_000_000 }
    }

    fn frame(&self) -> Frame {
        Frame { before: b"", between: b"\n", after: b"\n" }
    }

    fn entry(&self, custom_id: &str, request: &HttpRequest) -> Vec<u8> {
        let head = format!("{{\"custom_id\":\"{custom_id}\",\"method\":\"POST\",\"url\":\"{ENDPOINT}\",\"body\":");
        [head.as_bytes(), &request.body, b"}"].concat()
    }

    fn upload(&self, base_url: &str, batch: NewBatch<'_>) -> Option<Call> {
        let field = |name: &str| format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"");
        let before = format!(
            "{}\r\n\r\nbatch\r\n{}; filename=\"{}.jsonl\"\r\ncontent-type: application/jsonl\r\n\r\n",
            field("purpose"),
            field("file"),
            batch.job
        );
        let after = format!("\r\n--{BOUNDARY}--\r\n");
        let payload = Payload::File { before: before.into(), path: batch.input.to_owned(), after: after.into() };
        let headers = vec![("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))];
        Some(Call { url: at(base_url, "files"), headers, auth: AUTH, payload })
    }

    fn uploaded(&self, body: &[u8]) -> Result<String, Unreadable> {
        let root = fault::json(body)?;
        let id = root["id"].as_str().filter(|id| is_name(id));
        id.map(str::to_owned).ok_or_else(|| fault::lacking("no `id` of a file", body))
    }

    fn create(&self, base_url: &str, batch: NewBatch<'_>) -> Call {
        let body = json!({
            "input_file_id": batch.input_file, "endpoint": ENDPOINT, "completion_window": "24h",
            "metadata": { OUR_NAME: batch.job },
        });
        let headers = vec![("content-type", "application/json".to_owned())];
        Call { url: at(base_url, "batches"), headers, auth: AUTH, payload: Payload::Bytes(body.to_string().into()) }
    }

    fn look(&self, base_url: &str, id: &str) -> Call {
        get(at(base_url, &format!("batches/{id}")))
    }

    fn batch(&self, body: &[u8]) -> Result<RemoteBatch, Unreadable> {
        batch(&fault::json(body)?).ok_or_else(|| fault::lacking("no `id` and `status` of a batch", body))
    }

    fn list(&self, base_url: &str, after: Option<&str>) -> Call {
        let after = after.map(|id| format!("&after={id}")).unwrap_or_default();
        get(at(base_url, &format!("batches?limit=100{after}")))
    }

    fn page(&self, body: &[u8]) -> Result<BatchPage, Unreadable> {
        BatchPage::read(body, batch, is_name)
    }

    fn fetch(&self, base_url: &str, result: &str) -> Call {
        get(at(base_url, &format!("files/{result}/content")))
    }

    fn line(&self, line: &[u8]) -> Result<BatchLine, Unreadable> {
        let Line { custom_id, response, error } =
            serde_json::from_slice(line).map_err(|_| fault::lacking("no line of a batch's results", line))?;
        let error = error.filter(|error| error.get() != "null");
        let outcome = match (response, error) {
            (Some(Answered { status_code: None | Some(200), body: Some(body) }), None) => {
                LineOutcome::Answer(body.get().to_owned())
            }
            // Errors of a request stand in the body; at servers like OpenAI's beside it, as a word or as a whole answer.
            (Some(Answered { status_code: Some(status), body }), error) if status != 200 => {
                let said = body.filter(|body| body.get() != "null").or(error);
                let said = said.map(|said| said.get().to_owned()).unwrap_or_default();
                let body = if said.starts_with('"') { format!("{{\"error\":{said}}}") } else { said };
                LineOutcome::Fault { status, body: body.into() }
            }
            (_, Some(error)) => LineOutcome::Unasked(in_words(&error)),
            (_, None) => return Err(fault::lacking("neither an answer nor an error", line)),
        };
        Ok(BatchLine { custom_id, outcome })
    }

    fn takes_lines(&self) -> bool {
        true
    }

    fn keeps_names(&self) -> bool {
        true
    }
}

/// A line of the results, as far as it matters. Bodies stay as they were received.
#[derive(Deserialize)]
struct Line {
    custom_id: String,
    #[serde(default)]
    response: Option<Answered>,
    #[serde(default)]
    error: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Answered {
    #[serde(default)]
    status_code: Option<u16>,
    #[serde(default)]
    body: Option<Box<RawValue>>,
}

fn in_words(error: &RawValue) -> String {
    said(&serde_json::from_str(error.get()).unwrap_or_default())
}

/// What an error says that stands beside requests rather than in an answer.
fn said(error: &Value) -> String {
    let word = |name: &str| error[name].as_str().unwrap_or_default();
    fault::in_words(&match (error.as_str(), word("code"), word("message")) {
        (Some(text), ..) => text.to_owned(),
        (None, "", "") => error.to_string(),
        (None, code, "") => code.to_owned(),
        (None, "", message) => message.to_owned(),
        (None, code, message) => format!("{code}: {message}"),
    })
}

fn at(base_url: &str, path: &str) -> String {
    format!("{}/{path}", base_url.trim_end_matches('/'))
}

fn get(url: String) -> Call {
    Call { url, headers: Vec::new(), auth: AUTH, payload: Payload::None }
}

/// What a server names shall fit into an address.
fn is_name(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':'))
}

fn batch(root: &Value) -> Option<RemoteBatch> {
    let id = root["id"].as_str().filter(|id| is_name(id))?.to_owned();
    let state = root["status"].as_str()?.to_owned();
    let phase = match state.as_str() {
        "completed" | "expired" | "cancelled" => Phase::Ended,
        "failed" => Phase::Rejected,
        // What nobody knows yet is no end.
        _ => Phase::Working,
    };
    let name = |field: &str| root[field].as_str().filter(|id| is_name(id)).map(str::to_owned);
    let counts = &root["request_counts"];
    let count = |name: &str| fault::count(counts, name).unwrap_or(0);
    let (total, succeeded, failed) = (count("total"), count("completed"), count("failed"));
    let unfinished = if phase == Phase::Ended { total.saturating_sub(succeeded + failed) } else { 0 };
    Some(RemoteBatch {
        id,
        phase,
        created_at: fault::count(root, "created_at").and_then(|at| Timestamp::from_second(at.cast_signed()).ok()),
        job: root["metadata"][OUR_NAME].as_str().map(str::to_owned),
        input_file: name("input_file_id"),
        counts: BatchCounts { total, succeeded, failed, unfinished },
        results: [name("output_file_id"), name("error_file_id")].into_iter().flatten().collect(),
        message: root["errors"]["data"].get(0).map(said),
        state,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn line(text: &str) -> Result<LineOutcome, Unreadable> {
        OpenAi.line(text.as_bytes()).map(|line| {
            assert_eq!(line.custom_id, "k1");
            line.outcome
        })
    }

    fn new() -> NewBatch<'static> {
        NewBatch { job: "b1", input: Path::new("b1.jsonl"), input_file: Some("file-1"), headers: &[] }
    }

    #[test]
    fn a_request_is_a_line_around_its_own_body() {
        let request =
            HttpRequest { url: String::new(), headers: Vec::new(), auth: AUTH, body: br#"{"model":"m"}"#.to_vec() };
        let entry = OpenAi.entry("k1", &request);
        assert_eq!(
            String::from_utf8(entry).unwrap(),
            r#"{"custom_id":"k1","method":"POST","url":"/v1/chat/completions","body":{"model":"m"}}"#
        );
    }

    #[test]
    fn a_file_is_sent_as_a_form_and_its_batch_carries_our_name() {
        let upload = OpenAi.upload("http://localhost/v1/", new()).unwrap();
        assert_eq!(upload.url, "http://localhost/v1/files");
        let Payload::File { before, path, after } = upload.payload else { panic!("a file") };
        assert_eq!(path, Path::new("b1.jsonl"));
        assert_eq!(
            String::from_utf8([before, b"X\n".to_vec(), after].concat()).unwrap(),
            "--interrater-5b6d0c1e8f2a4973\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n\
             --interrater-5b6d0c1e8f2a4973\r\ncontent-disposition: form-data; name=\"file\"; filename=\"b1.jsonl\"\r\n\
             content-type: application/jsonl\r\n\r\nX\n\r\n--interrater-5b6d0c1e8f2a4973--\r\n"
        );
        let Payload::Bytes(body) = OpenAi.create("http://localhost/v1", new()).payload else { panic!("bytes") };
        assert_eq!(
            serde_json::from_slice::<Value>(&body).unwrap(),
            json!({ "input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h",
                "metadata": { "interrater_job": "b1" } })
        );
    }

    #[test]
    fn every_state_of_a_batch_is_known_and_an_unknown_one_is_no_end() {
        let at = |state: &str| {
            let body = json!({
                "id": "batch_1", "object": "batch", "status": state, "errors": null, "input_file_id": "file-1", "created_at": 1_771_471_533,
                "output_file_id": "file-2", "error_file_id": null, "request_counts": { "total": 10, "completed": 7, "failed": 1 },
                "metadata": { "interrater_job": "b1" },
            });
            OpenAi.batch(body.to_string().as_bytes()).unwrap()
        };
        for state in ["validating", "in_progress", "finalizing", "cancelling", "resting"] {
            assert_eq!(at(state).phase, Phase::Working, "{state}");
        }
        for state in ["completed", "expired", "cancelled"] {
            assert_eq!(at(state).phase, Phase::Ended, "{state}");
        }
        let ended = at("expired");
        assert_eq!((ended.job.as_deref(), ended.input_file.as_deref()), (Some("b1"), Some("file-1")));
        assert_eq!(ended.counts, BatchCounts { total: 10, succeeded: 7, failed: 1, unfinished: 2 });
        assert_eq!((ended.results, at("failed").phase), (vec!["file-2".to_owned()], Phase::Rejected));
        let failed = r#"{"id":"batch_1","status":"failed","errors":{"object":"list","data":[{"code":"token_limit_exceeded","message":"Enqueued token limit reached","line":null}]}}"#;
        let failed = OpenAi.batch(failed.as_bytes()).unwrap();
        assert_eq!(failed.message.as_deref(), Some("token_limit_exceeded: Enqueued token limit reached"));
        for poor in ["{}", "[]", "", r#"{"id":"a/../b","status":"completed"}"#] {
            assert!(OpenAi.batch(poor.as_bytes()).is_err(), "{poor}");
        }
    }

    #[test]
    fn a_list_goes_on_where_its_page_ends() {
        let page = |more: bool, last: Value| {
            let body =
                json!({ "data": [{ "id": "batch_2", "status": "completed" }], "has_more": more, "last_id": last });
            OpenAi.page(body.to_string().as_bytes()).unwrap().next
        };
        assert_eq!(page(true, json!("batch_3")).as_deref(), Some("batch_3"));
        assert_eq!(page(true, Value::Null).as_deref(), Some("batch_2"));
        assert_eq!(page(false, json!("batch_3")), None);
        assert_eq!(OpenAi.list("http://h/v1", Some("batch_3")).url, "http://h/v1/batches?limit=100&after=batch_3");
    }

    #[test]
    fn what_came_of_a_request_is_told_by_its_own_line() {
        let body = r#"{"id":"c","choices":[ {"index":0} ],"x":1.50}"#;
        let whole = format!(
            r#"{{"id":"r","custom_id":"k1","response":{{"status_code":200,"request_id":"q","body":{body}}},"error":null}}"#
        );
        assert_eq!(line(&whole), Ok(LineOutcome::Answer(body.to_owned())), "a body stays as it was received");
        let bare = r#"{"custom_id":"k1","response":{"body":{"choices":[]}}}"#;
        assert_eq!(line(bare), Ok(LineOutcome::Answer(r#"{"choices":[]}"#.to_owned())));

        let fault = |status, body: &str| Ok(LineOutcome::Fault { status, body: body.as_bytes().to_vec() });
        let inside = r#"{"custom_id":"k1","response":{"status_code":400,"body":{"error":{"code":"x"}}},"error":null}"#;
        assert_eq!(line(inside), fault(400, r#"{"error":{"code":"x"}}"#));
        let beside = r#"{"custom_id":"k1","response":{"status_code":400,"body":null},"error":"too long"}"#;
        assert_eq!(line(beside), fault(400, r#"{"error":"too long"}"#));
        let whole =
            r#"{"custom_id":"k1","response":{"status_code":404,"body":null},"error":{"error":{"message":"m"}}}"#;
        assert_eq!(line(whole), fault(404, r#"{"error":{"message":"m"}}"#));

        let expired = r#"{"custom_id":"k1","response":null,"error":{"code":"batch_expired","message":"out of time"}}"#;
        assert_eq!(line(expired), Ok(LineOutcome::Unasked("batch_expired: out of time".to_owned())));
        let odd = r#"{"custom_id":"k1","response":{"status_code":200,"body":{}},"error":{"code":"odd"}}"#;
        assert_eq!(line(odd), Ok(LineOutcome::Unasked("odd".to_owned())));

        for bad in ["", "{", "{}", "[]", r#"{"custom_id":"k1"}"#, r#"{"custom_id":7,"error":"x"}"#, &inside[..60]] {
            assert!(OpenAi.line(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_a_reader_panic(body: Vec<u8>) {
            drop((OpenAi.line(&body), OpenAi.batch(&body), OpenAi.page(&body), OpenAi.uploaded(&body)));
        }
    }
}
