//! Reads and writes as triage asks for them: every read and write takes the fewest
//! calls its API offers.

pub mod client;
pub mod graph_batch;
mod graph_batch_read;
mod graph_batch_write;
mod mde_batch_update;
pub mod mde_list_by_id;
mod patch;
mod sent_comments;
pub mod state;
mod tenant_limits;

use crate::microsoft::defender::update::client::{DefenderError, UpdateClient};
use crate::microsoft::defender::update::sent_comments::{After, Trace};
use crate::triage::{Api, Change, DefenderClient, Receipt, State, Target};
use jiff::Timestamp;
use tokio::time::Instant;

impl DefenderClient for UpdateClient {
    type Error = DefenderError;

    fn time_there(&self) -> Option<Timestamp> {
        self.client().time_there()
    }

    async fn read(&self, target: &Target) -> Result<State, DefenderError> {
        self.read_one(target).await
    }

    async fn read_many(&self, targets: &[Target]) -> Vec<Result<State, DefenderError>> {
        match self.client().api() {
            Api::Graph if targets.len() > 1 => graph_batch_read::read_all(self, targets).await,
            Api::Mde if targets.len() > 1 => mde_list_by_id::read_all(self, targets).await,
            _ => self.read_singly(targets).await,
        }
    }

    async fn write(
        &self,
        targets: &[Target],
        change: &Change,
        marker: &str,
    ) -> Vec<Result<Receipt, DefenderError>> {
        let sent = |target| self.last_sent(target, marker);
        let since = targets.iter().filter_map(sent).max();
        match since.filter(|_| change.comment.is_some()) {
            Some(since) => self.write_again(targets, change, marker, since).await,
            None => self.write_all(targets, change, marker).await,
        }
    }
}

impl UpdateClient {
    async fn write_all(
        &self,
        targets: &[Target],
        change: &Change,
        marker: &str,
    ) -> Vec<Result<Receipt, DefenderError>> {
        match self.client().api() {
            Api::Graph if targets.len() > 1 => {
                graph_batch_write::write_all(self, targets, change, marker).await
            }
            Api::Mde if targets.len() >= mde_batch_update::LEAST => {
                mde_batch_update::write_all(self, targets, change, marker).await
            }
            _ => self.write_singly(targets, change, marker).await,
        }
    }

    /// Some of them have been sent the comment in this run: it goes again to those
    /// alone that are proved not to have it.
    async fn write_again(
        &self,
        targets: &[Target],
        change: &Change,
        marker: &str,
        since: Instant,
    ) -> Vec<Result<Receipt, DefenderError>> {
        let sent = |target: &Target| self.last_sent(target, marker).is_some();
        let known: Vec<Target> = targets.iter().filter(|t| sent(t)).cloned().collect();
        let mut traces = self
            .trace(&known, marker, since, After::Loss)
            .await
            .into_iter();
        let (mut with, mut without) = (Vec::new(), Vec::new());
        // Where each goes, and what is left open at it.
        let mut ways: Vec<(bool, Option<DefenderError>)> = Vec::new();
        for target in targets {
            let trace = match sent(target) {
                true => traces.next().map(|traced| traced.trace),
                false => Some(Trace::Absent),
            };
            let way = match trace {
                Some(Trace::Absent) => (true, None),
                Some(Trace::Stands) => (false, None),
                Some(Trace::Unknown(fault)) => {
                    (false, Some(fault.unwrap_or(DefenderError::Unseen)))
                }
                None => (false, Some(DefenderError::Unseen)),
            };
            if way.0 { &mut with } else { &mut without }.push(target.clone());
            ways.push(way);
        }
        let silent = Change {
            comment: None,
            ..change.clone()
        };
        let mut with = self.write_all(&with, change, marker).await.into_iter();
        let mut without = self.write_all(&without, &silent, marker).await.into_iter();
        let result = |(comments, open): (bool, Option<DefenderError>)| {
            let results = if comments { &mut with } else { &mut without };
            match (results.next().unwrap_or(Err(DefenderError::Unseen)), open) {
                (Ok(_), Some(fault)) => Err(DefenderError::CommentUnknown(Box::new(fault))),
                (result, _) => result,
            }
        };
        ways.into_iter().map(result).collect()
    }
}
