//! The KV store: JSON documents in collections of this app.
//!
//! In a search head cluster every write goes to the KV store's captain, while
//! each member reads its own copy: what was written may not be read there yet.

use super::{Call, Splunkd, SplunkdError, segment};
use crate::NAME;
use bytes::Bytes;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

const USE: &str = "a role of this user needs read and write access to the app's collections";

/// Which documents of a collection, and what of them.
#[derive(Debug, Default)]
pub struct Find<'f> {
    /// In words, for an error: `find a checkpoint in the KV store`.
    pub what: &'f str,
    /// As MongoDB spells it.
    pub query: Value,
    /// Separated by commas; empty for all.
    pub fields: &'f str,
    /// A field with `:1` or `:-1`; empty for any order.
    pub sort: &'f str,
    pub most: usize,
}

/// What became of a document that was to be new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    New,
    /// There is one of this key already (409); it stands as it was.
    Exists,
}

/// What a store says of a document it took.
#[derive(Deserialize)]
struct StoredDocument {
    #[serde(rename = "_key")]
    key: String,
}

impl Splunkd {
    /// The documents a query finds; `None` if there is no such collection.
    ///
    /// # Errors
    /// If splunkd or its KV store did not answer with documents.
    pub async fn documents(
        &self,
        collection: &str,
        find: &Find<'_>,
    ) -> Result<Option<Vec<Value>>, SplunkdError> {
        let (query, most) = (find.query.to_string(), find.most.to_string());
        let mut call = Call::get(data(collection, ""), find.what.to_owned(), USE);
        call.query = vec![("query", &query), ("limit", &most)];
        for (name, value) in [("fields", find.fields), ("sort", find.sort)] {
            if !value.is_empty() {
                call.query.push((name, value));
            }
        }
        let Some(body) = self.ask(call).await? else {
            return Ok(None);
        };
        let documents = serde_json::from_slice(&body);
        documents.map(Some).map_err(|_| unread(find.what))
    }

    /// Keeps a document whose `_key` nobody has used yet.
    ///
    /// # Errors
    /// If it was refused, or nothing is known of how it went.
    pub async fn insert_document(
        &self,
        collection: &str,
        what: &str,
        document: &(impl Serialize + Sync),
    ) -> Result<Inserted, SplunkdError> {
        let call = post(data(collection, ""), what, document)?;
        match self.ask(call).await {
            Ok(Some(body)) => match serde_json::from_slice::<StoredDocument>(&body) {
                Ok(kept) if !kept.key.is_empty() => Ok(Inserted::New),
                _ => Err(unread(what)),
            },
            Ok(None) => Err(absent(what)),
            Err(SplunkdError::Refused { status: 409, .. }) => Ok(Inserted::Exists),
            Err(error) => Err(error),
        }
    }

    /// Replaces the document of a key; false if there is none.
    ///
    /// # Errors
    /// If it was refused, or nothing is known of how it went.
    pub async fn replace_document(
        &self,
        collection: &str,
        what: &str,
        key: &str,
        document: &(impl Serialize + Sync),
    ) -> Result<bool, SplunkdError> {
        let call = post(data(collection, key), what, document)?;
        Ok(self.ask(call).await?.is_some())
    }

    /// Keeps documents under their keys, whether or not these were used before;
    /// returns the keys the KV store says it has kept.
    ///
    /// # Errors
    /// If it was refused, or nothing is known of how it went.
    pub async fn save_documents(
        &self,
        collection: &str,
        what: &str,
        documents: &(impl Serialize + Sync + ?Sized),
    ) -> Result<Vec<String>, SplunkdError> {
        let call = post(data(collection, "batch_save"), what, documents)?;
        let body = self.ask(call).await?.ok_or_else(|| absent(what))?;
        serde_json::from_slice(&body).map_err(|_| unread(what))
    }

    /// Removes the documents a query finds.
    ///
    /// # Errors
    /// If it was refused, or nothing is known of how it went.
    pub async fn remove_documents(
        &self,
        collection: &str,
        what: &str,
        query: &Value,
    ) -> Result<(), SplunkdError> {
        let query = query.to_string();
        let mut call = Call::get(data(collection, ""), what.to_owned(), USE);
        call.method = Method::DELETE;
        call.query = vec![("query", &query)];
        self.ask(call).await?.map(drop).ok_or_else(|| absent(what))
    }
}

fn data(collection: &str, below: &str) -> String {
    let collection = segment(collection);
    let path = format!("servicesNS/nobody/{NAME}/storage/collections/data/{collection}");
    match below {
        "" => path,
        below => format!("{path}/{}", segment(below)),
    }
}

fn post<'c>(
    path: String,
    what: &str,
    document: &(impl Serialize + Sync + ?Sized),
) -> Result<Call<'c>, SplunkdError> {
    let json = serde_json::to_vec(document).map_err(|_| SplunkdError::Unintelligible {
        what: what.to_owned(),
        why: "what was to be written is no JSON",
    })?;
    let mut call = Call::get(path, what.to_owned(), USE);
    call.method = Method::POST;
    call.json = Some(Bytes::from(json));
    Ok(call)
}

fn unread(what: &str) -> SplunkdError {
    SplunkdError::Unintelligible {
        what: what.to_owned(),
        why: "it is not the JSON the KV store documents",
    }
}

fn absent(what: &str) -> SplunkdError {
    SplunkdError::Refused {
        what: what.to_owned(),
        status: 404,
        said: String::new(),
    }
}
