//! The app's own REST endpoint, as one process of this app asks another of it:
//! that one holds splunkd's own session key and may what its caller may not.

use super::super::NAME;
use super::{Call, Failure, Splunkd, SplunkdError};
use bytes::Bytes;
use reqwest::Method;
use std::time::Duration;

const TRIAGE: &str = "a role of this user needs the capability defender_triage";

impl Splunkd {
    /// Has the endpoint carry out a triage; `None` if this splunkd serves no
    /// such endpoint. `patience` is how long the whole triage may take.
    ///
    /// # Errors
    /// If it was refused, or nothing is known of how it went.
    pub async fn triage(
        &self,
        body: Bytes,
        patience: Duration,
    ) -> Result<Option<Bytes>, SplunkdError> {
        let call = Call {
            what: "carry out a triage".to_owned(),
            advice: TRIAGE,
            method: Method::POST,
            path: format!("services/{NAME}/triage"),
            query: Vec::new(),
            form: Vec::new(),
            body: Some(body),
        };
        // Once only: another attempt would wait as long again.
        self.ask_within(&call, Some(patience))
            .await
            .map_err(|Failure { error, .. }| error)
    }
}
