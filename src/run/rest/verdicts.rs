//! `POST triage`: a job carried out with splunkd's own session key, each outcome
//! to the index at once and all of them to the caller.

use super::{Asked, Refusal};
use crate::run::bench::Bench;
use crate::run::course::Course;
use crate::run::ledger::Delivery;
use crate::run::permission::Right;
use crate::run::triage::Job;
use crate::splunk::persist::Reply;
use crate::triage::{Entry, Ledger, Outcome, Summary, Wake};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};

/// Every request would look through the spool otherwise.
const CATCHING_UP: Duration = Duration::from_secs(60);

#[derive(Default)]
pub struct Verdicts {
    /// When outcomes of earlier runs were last handed over.
    caught_up: Option<Instant>,
}

impl Verdicts {
    pub async fn carry_out(&mut self, asked: Asked) -> Result<Reply, Refusal> {
        let caller = asked.caller(Right::Write).await?;
        let mut job: Job = asked.read("job")?;
        let mut wake = std::mem::take(&mut job.wake);
        let course = Course::of(job.time());
        let hand_back = job.hand_back;
        let bench = Bench::of(&asked.own, &asked.system).await?;
        let order = bench.order(job, &caller.user)?;
        let mut answered = Answered {
            delivery: self.delivery(&asked).await,
            entries: Vec::new(),
            late: hand_back.then(Vec::new),
            begun: HashSet::new(),
        };
        let summary = bench
            .carry_out(&order, &course, &mut answered, &mut wake)
            .await?;
        tracing::info!("for {}: {summary}", caller.user);
        let handed_back = answered.end().await;
        Ok(Reply::well(&document(
            &summary,
            answered.entries,
            &handed_back,
            &wake,
        )))
    }

    async fn delivery(&mut self, asked: &Asked) -> Delivery {
        let delivery = Delivery::new(&asked.system);
        if self.caught_up.is_none_or(|at| at.elapsed() > CATCHING_UP) {
            self.caught_up = Some(Instant::now());
            delivery.catch_up().await;
        }
        delivery
    }
}

fn document(
    summary: &Summary,
    outcomes: Vec<Value>,
    handed_back: &BTreeSet<usize>,
    wake: &Wake,
) -> Value {
    let rows: Vec<&str> = summary.rows.iter().map(|row| row.as_str()).collect();
    let mut document = json!({
        "summary": summary.to_string(),
        "rows": rows,
        "outcomes": outcomes,
    });
    if let Some(members) = document.as_object_mut() {
        if !handed_back.is_empty() {
            members.insert("handed_back".to_owned(), json!(handed_back));
        }
        if !wake.is_empty() {
            members.insert("wake".to_owned(), json!(wake));
        }
    }
    document
}

struct Answered {
    delivery: Delivery,
    entries: Vec<Value>,
    /// Where the caller will ask again: what there was no time for.
    late: Option<Vec<Entry>>,
    /// Rows of which something was carried out.
    begun: HashSet<usize>,
}

impl Answered {
    async fn keep(&mut self, entry: &Entry) {
        self.delivery.deliver(entry).await;
        match serde_json::to_value(entry) {
            Ok(json) => self.entries.push(json),
            Err(error) => tracing::error!("row {}: {error}", entry.row),
        }
    }

    /// The rows to be handed back. One of several targets, of which some were
    /// carried out, is not: it would be carried out twice.
    async fn end(&mut self) -> BTreeSet<usize> {
        let late = self.late.take().unwrap_or_default();
        let mut back = BTreeSet::new();
        for entry in late {
            if self.begun.contains(&entry.row) {
                self.keep(&entry).await;
            } else {
                back.insert(entry.row);
            }
        }
        back
    }
}

impl Ledger for Answered {
    async fn record(&mut self, entry: &Entry) {
        if entry.outcome == Outcome::Deferred
            && let Some(late) = &mut self.late
        {
            late.push(entry.clone());
            return;
        }
        self.begun.insert(entry.row);
        self.keep(entry).await;
    }
}
