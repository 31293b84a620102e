//! What splunkd is asked for only to see how it does things: in few rows, few
//! bytes and little time.

use super::{Call, Connection, Search, Splunkd, SplunkdError, segment};
use crate::NAME;
use crate::splunk::splunkd::answer::Entry;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

const ADMINISTRATOR: &str = "a role of this user needs the capability admin_all_objects";
/// Entries of one answer.
const MOST: &str = "100";

/// Rows of a search, each field with its values.
pub type Rows = Vec<BTreeMap<String, Value>>;

/// An object of splunkd's, as it is listed.
#[derive(Debug)]
pub struct ListedEntry(Entry);

impl ListedEntry {
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The app it stands in.
    pub fn app(&self) -> &str {
        self.0.app().unwrap_or_default()
    }

    pub fn text(&self, key: &str) -> Option<String> {
        self.0.text(key)
    }

    pub fn switch(&self, key: &str) -> Option<bool> {
        self.0.switch(key)
    }
}

#[derive(Deserialize)]
struct Stored {
    #[serde(default)]
    entry: Vec<StoredEntry>,
}

#[derive(Deserialize)]
struct StoredEntry {
    #[serde(default)]
    content: Encrypted,
}

#[derive(Default, Deserialize)]
struct Encrypted {
    encr_password: Option<String>,
}

impl Splunkd {
    /// The same, but no longer answer than this is taken.
    #[must_use]
    pub fn at_most(mut self, bytes: usize) -> Self {
        self.largest = bytes;
        self
    }

    /// How it is reached.
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The objects at a place below splunkd's root; none if there is no such place.
    ///
    /// # Errors
    /// If splunkd does not list them.
    pub async fn look(
        &self,
        what: &str,
        path: &[&str],
    ) -> Result<Option<Vec<ListedEntry>>, SplunkdError> {
        let segments: Vec<String> = path.iter().map(|part| segment(part)).collect();
        let mut call = Call::get(segments.join("/"), what.to_owned(), ADMINISTRATOR);
        call.query.push(("count", MOST));
        let entries = self.entries(call).await?;
        Ok(entries.map(|entries| entries.into_iter().map(ListedEntry).collect()))
    }

    /// What the encrypted form of each stored secret of the app begins with;
    /// nothing else of it is read.
    ///
    /// # Errors
    /// If splunkd does not list them.
    pub async fn forms_of_secrets(&self) -> Result<Vec<&'static str>, SplunkdError> {
        let what = "list the stored secrets".to_owned();
        let path = format!("servicesNS/nobody/{NAME}/storage/passwords");
        let mut call = Call::get(path, what.clone(), ADMINISTRATOR);
        call.query.push(("count", MOST));
        let body = self.ask(call).await?.unwrap_or_default();
        let unintelligible = |_| SplunkdError::Unintelligible {
            what,
            why: "it is not the JSON splunkd documents",
        };
        let stored: Stored = serde_json::from_slice(&body).map_err(unintelligible)?;
        let forms =
            stored
                .entry
                .into_iter()
                .map(|entry| match entry.content.encr_password.as_deref() {
                    Some(text) if text.starts_with("$8$") => "$8$",
                    Some(text) if text.starts_with("$7$") => "$7$",
                    Some(_) => "another form",
                    None => "not shown",
                });
        Ok(forms.collect())
    }

    /// The first hundred rows of a search that has so long.
    ///
    /// # Errors
    /// If it was refused, or ended with an error.
    pub async fn rows(&self, search: Search<'_>, within: Duration) -> Result<Rows, SplunkdError> {
        let (rows, _) = self.oneshot(search, MOST, within).await?;
        Ok(rows)
    }
}
