//! What was paid for before: takes requests to a model, gives the answers that the store has. Asks nobody.

use super::ask::request_key;
use crate::config::Model;
use crate::llm::{PrefixCache, Request, Response};
use crate::store::{Reader, RequestKey, RequestParts, Store, StoreError, StoredResponse, is_new};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// An answer that is in the store, and what it says.
#[derive(Debug, Clone)]
pub struct Answered {
    /// As it is stored.
    pub stored: StoredResponse,
    /// As the provider's adapter reads it.
    pub response: Response,
}

/// The stored answers of one model.
pub struct Recall {
    /// The model.
    pub model: Model,
    answers: Answers,
}

enum Answers {
    /// There is no store yet.
    None,
    /// A store that is only read, and never made.
    Read(Mutex<Reader>),
    /// A store that is written meanwhile.
    Written(Arc<Store>),
}

impl Recall {
    /// The answers of `model` in a store that is being written.
    pub fn new(model: Model, store: Arc<Store>) -> Recall {
        Recall { model, answers: Answers::Written(store) }
    }

    /// The answers of `model` in the store at `path`, which need not be there.
    ///
    /// # Errors
    /// What is there is no store that can be read.
    pub fn reading(model: Model, path: &Path) -> Result<Recall, StoreError> {
        let answers = if is_new(path) { Answers::None } else { Answers::Read(Mutex::new(Reader::open(path)?)) };
        Ok(Recall { model, answers })
    }

    /// The request's key and the hashes of its parts.
    pub fn key(&self, request: &Request) -> (RequestKey, RequestParts) {
        request_key(&self.model, request)
    }

    /// The stored answer to the request with this key, if there is one.
    pub fn stored(&self, key: &RequestKey) -> Result<Option<StoredResponse>, StoreError> {
        match &self.answers {
            Answers::None => Ok(None),
            Answers::Read(reader) => reader.lock().unwrap_or_else(PoisonError::into_inner).get(key),
            Answers::Written(store) => store.get(key),
        }
    }

    /// What a stored answer says; else the answer, and why it says nothing.
    pub fn answered(&self, stored: StoredResponse) -> Result<Answered, Box<(StoredResponse, String)>> {
        match self.model.adapter.decode(stored.response.body.as_bytes()) {
            Ok(response) => Ok(Answered { stored, response }),
            Err(error) => Err(Box::new((stored, error.to_string()))),
        }
    }

    /// How the model's provider keeps beginnings of prompts.
    pub fn prefix_cache(&self) -> PrefixCache {
        self.model.adapter.prefix_cache()
    }
}
