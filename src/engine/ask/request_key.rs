//! The key of a request: takes what is asked and who is asked, gives the name under which the store keeps the answer.

use crate::config::Model;
use crate::llm::Request;
use crate::store::{AskedSettings, RequestKey, RequestParts};

/// Stands before a key's parts: another way to make keys would get another one, and find none of the old answers.
const KEY_VERSION: &str = "interrater request 1";

/// So many digits of a part's hash are stored: enough to tell parts apart.
const STORED_DIGITS: usize = 16;

/// The request's key, and the hashes of its parts as they are stored.
pub fn request_key(asked: &Model, request: &Request) -> (RequestKey, RequestParts) {
    // Every field is named, so that a new one is an error here until someone decides whether it belongs to the key.
    let Request { model, system, turns, schema, temperature, max_output_tokens, sample } = request;
    let mut spoken = blake3::Hasher::new();
    let schema_text = schema.json.to_string();
    let mut bytes = system.as_ref().map_or(0, String::len) + schema_text.len();
    for turn in turns {
        absorb(&mut spoken, &serde_json::json!(turn.role).to_string());
        // Where a text is parted, and where it is marked, changes the bill and not the answer.
        let length: usize = turn.parts.iter().map(|part| part.text.len()).sum();
        spoken.update(&(length as u64).to_le_bytes());
        bytes += length;
        for part in &turn.parts {
            spoken.update(part.text.as_bytes());
        }
    }
    let turns = spoken.finalize().to_hex();
    let system = digest(&[system.as_deref().unwrap_or("")]);
    let schema = digest(&[&schema.name, &schema_text]);
    let settings = digest(&[
        &asked.name.provider,
        &asked.endpoint.base_url,
        model,
        &format!("{temperature:?}"),
        &format!("{max_output_tokens:?}"),
        &sample.to_string(),
    ]);
    let mut key = blake3::Hasher::new();
    for part in [KEY_VERSION, &system, &turns, &schema, &settings] {
        absorb(&mut key, part);
    }
    let stored = |hash: &str| hash[..STORED_DIGITS].to_owned();
    let parts = RequestParts {
        system: stored(&system),
        turns: stored(&turns),
        schema: stored(&schema),
        settings: stored(&settings),
        asked: Some(AskedSettings {
            temperature: *temperature,
            max_output_tokens: *max_output_tokens,
            sample: *sample,
        }),
        bytes: Some(bytes as u64),
    };
    (key.finalize().into(), parts)
}

/// Adds a text with its length, so that no two lists of texts look the same.
fn absorb(hasher: &mut blake3::Hasher, text: &str) {
    hasher.update(&(text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}

fn digest(texts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    texts.iter().for_each(|text| absorb(&mut hasher, text));
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Key, Rater};
    use crate::llm::{AnswerSchema, Part, Role, Turn};
    use serde_json::json;

    fn request() -> Request {
        let part = |text: &str| Part { text: text.to_owned(), cache_mark: false };
        Request {
            model: "some-model".to_owned(),
            system: Some("You annotate.".to_owned()),
            turns: vec![Turn { role: Role::User, parts: vec![part("The transcript.\n\n"), part("Which label?")] }],
            schema: AnswerSchema { name: "label".to_owned(), json: json!({ "type": "object" }) },
            temperature: Some(0.5),
            max_output_tokens: Some(500),
            sample: 1,
        }
    }

    fn key_at(url: &str, request: &Request) -> RequestKey {
        let rater = Config::default().rater(&"openai/some-model".parse().unwrap(), Some(url), &|_| None, Key::Optional);
        let Ok(Rater::Model(model)) = rater else { panic!("a model") };
        request_key(&model, request).0
    }

    fn key(request: &Request) -> RequestKey {
        key_at("http://127.0.0.1:8000/v1", request)
    }

    #[test]
    fn a_key_stays_what_it_is() {
        // Another value here finds none of the answers that people have paid for.
        assert_eq!(key(&request()).to_string(), "2e02572a60c24e8ef846baa31972ca761f57c3b62812adcce26badfd28308a79");
    }

    #[test]
    fn whatever_changes_the_answer_changes_the_key_and_nothing_else_does() {
        let mut parted = request();
        let texts: String = parted.turns[0].parts.drain(..).map(|part| part.text).collect();
        parted.turns[0].parts = vec![Part { text: texts, cache_mark: true }];
        assert_eq!(key(&parted), key(&request()));
        let schema = AnswerSchema { name: "label".to_owned(), json: json!({ "type": "array" }) };
        let mut turned = request();
        turned.turns[0].role = Role::Assistant;
        let others = [
            Request { model: "other".to_owned(), ..request() },
            Request { system: None, ..request() },
            turned,
            Request { schema, ..request() },
            Request { temperature: None, ..request() },
            Request { max_output_tokens: None, ..request() },
            Request { sample: 0, ..request() },
        ];
        let mut keys: Vec<RequestKey> = others.iter().map(key).collect();
        keys.extend([key(&request()), key_at("http://127.0.0.1:8001/v1", &request())]);
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 9);
    }
}
