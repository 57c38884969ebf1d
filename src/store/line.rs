//! An answer as a line of JSON: what `cache export` writes and `cache merge` reads. Every line stands for itself.

use super::{AskedSettings, Lane, NewResponse, RequestKey, RequestParts, Standing, StoredResponse, Subject};
use crate::filter::Described;
use crate::unit::UnitId;
use crate::usage::Usage;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The version of the lines that this program writes.
const FORMAT: u32 = 2;
/// The version of lines without a lane, which earlier programs read as well.
const FORMAT_WITHOUT_LANE: u32 = 1;

/// An answer in an exported file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerLine {
    /// Version of the line.
    format: u32,
    /// The key of the request, as 64 hexadecimal digits.
    key: String,
    /// Whether a later answer stands in its place.
    superseded: bool,
    provider: String,
    model: String,
    endpoint: String,
    task: Option<String>,
    unit: Option<UnitId>,
    /// The beginning of the codebook's hash.
    codebook: Option<String>,
    /// Hash of the material.
    material: Option<String>,
    /// The run that paid.
    run: String,
    request: PartsLine,
    /// Settings of the request; null where nobody wrote them down.
    settings: Option<AskedSettings>,
    status: u16,
    usage: Option<Usage>,
    created_at: Timestamp,
    attempts: u32,
    latency_ms: u64,
    /// The way that the answer came; left out where it was asked for and waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lane: Option<Lane>,
    /// The body as received.
    body: String,
}

/// The hashes of a request's parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PartsLine {
    system: String,
    turns: String,
    schema: String,
    settings: String,
    /// Bytes of text that were sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

impl Described for AnswerLine {
    const NAMES: &str = "key, superseded, provider, model, endpoint, task, unit, codebook, material, run, settings.temperature, \
        settings.max_output_tokens, settings.sample, status, usage.input, usage.output (…), created_at, attempts, latency_ms, lane, body";
    const EXAMPLE: &str = "task = \"pushback\" and not superseded";
}

impl AnswerLine {
    /// The line of a stored answer.
    pub fn new(stored: StoredResponse, standing: Standing) -> AnswerLine {
        let NewResponse {
            key,
            provider,
            model,
            endpoint,
            task,
            subject,
            run,
            parts: RequestParts { system, turns, schema, settings, asked, bytes },
            body,
            status,
            usage,
            created_at,
            attempts,
            latency,
            lane,
        } = stored.response;
        let lane = Some(lane).filter(|lane| *lane != Lane::Direct);
        let (unit, codebook, material) = match subject {
            Some(Subject { unit, codebook, material }) => (Some(unit), Some(codebook), Some(material)),
            None => (None, None, None),
        };
        AnswerLine {
            format: if lane.is_some() { FORMAT } else { FORMAT_WITHOUT_LANE },
            key: key.to_string(),
            superseded: standing == Standing::Superseded,
            provider,
            model,
            endpoint,
            task,
            unit,
            codebook,
            material,
            run,
            request: PartsLine { system, turns, schema, settings, bytes },
            settings: asked,
            status,
            usage,
            created_at,
            attempts,
            latency_ms: u64::try_from(latency.as_millis()).unwrap_or(u64::MAX),
            lane,
            body,
        }
    }

    /// Reads a line; the error says what is wrong with it.
    pub(super) fn read(text: &str) -> Result<(NewResponse, Standing), String> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let Version { format } = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if format > FORMAT {
            return Err(format!("format {format} is newer than this program, which knows {FORMAT}"));
        }
        let line: AnswerLine = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let PartsLine { system, turns, schema, settings, bytes } = line.request;
        let key: RequestKey = line.key.parse().map_err(|error: super::StoreError| error.to_string())?;
        let response = NewResponse {
            key,
            provider: line.provider,
            model: line.model,
            endpoint: line.endpoint,
            task: line.task,
            subject: line.unit.map(|unit| Subject {
                unit,
                codebook: line.codebook.unwrap_or_default(),
                material: line.material.unwrap_or_default(),
            }),
            run: line.run,
            parts: RequestParts { system, turns, schema, settings, asked: line.settings, bytes },
            body: line.body,
            status: line.status,
            usage: line.usage,
            created_at: line.created_at,
            attempts: line.attempts,
            latency: Duration::from_millis(line.latency_ms),
            lane: line.lane.unwrap_or_default(),
        };
        Ok((response, if line.superseded { Standing::Superseded } else { Standing::Current }))
    }
}
