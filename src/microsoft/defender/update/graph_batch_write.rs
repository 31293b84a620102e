//! One change to many alerts or incidents of Graph through `$batch`: first
//! everybody's fields, then the comments of those whose fields stand. Comments of
//! which nobody said that they stand are looked for when all have been sent.

use crate::microsoft::defender::update::client::{DefenderError, IN_FLIGHT, UpdateClient};
use crate::microsoft::defender::update::graph_batch;
use crate::microsoft::defender::update::graph_batch::Part;
use crate::microsoft::defender::update::patch::{
    COMMENT_TRIES, Patch, Wording, comment_document, look, replaces_tags,
};
use crate::microsoft::defender::update::sent_comments::After;
use crate::microsoft::defender::update::tenant_limits::BatchCall;
use crate::triage::{
    Change, DefenderClient, Failing, Receipt, State, Subject, Target, UpdateError,
};
use futures::StreamExt;
use reqwest::Method;
use serde_json::Value;
use std::collections::VecDeque;
use std::iter::repeat_with;

/// One result per target, in their order.
pub(in crate::microsoft) async fn write_all(
    client: &UpdateClient,
    targets: &[Target],
    change: &Change,
    marker: &str,
) -> Vec<Result<Receipt, DefenderError>> {
    let mut groups: Vec<Way<'_>> = futures::stream::iter(targets.chunks(graph_batch::MOST))
        .map(|group| write_group(client, group, change, marker))
        .buffered(IN_FLIGHT)
        .collect()
        .await;
    if let Some(comment) = &change.comment {
        for tries in 1..=COMMENT_TRIES {
            let mut due: Vec<&mut Patch<'_>> = patches(&mut groups)
                .filter(|patch| patch.is_due())
                .collect();
            futures::stream::iter(due.chunks_mut(graph_batch::MOST))
                .for_each_concurrent(IN_FLIGHT, |some| say(client, some, comment))
                .await;
            let last = tries == COMMENT_TRIES;
            look(client, patches(&mut groups), last, After::Loss).await;
        }
    }
    let mut results = Vec::with_capacity(targets.len());
    for group in groups {
        match group {
            Way::Singly(all) => results.extend(all),
            Way::BatchCall(group) => results.extend(group.close().await),
        }
    }
    results
}

/// How some of them are written.
enum Way<'a> {
    BatchCall(WriteGroup<'a>),
    Singly(Vec<Result<Receipt, DefenderError>>),
}

/// Those whose fields stand, or that have none.
fn patches<'l, 'a: 'l>(groups: &'l mut [Way<'a>]) -> impl Iterator<Item = &'l mut Patch<'a>> {
    let parcels = groups.iter_mut().flat_map(|group| match group {
        Way::BatchCall(group) => group.parcels.as_mut_slice(),
        Way::Singly(_) => &mut [],
    });
    let patch = |parcel: &'l mut Parcel<'a>| match parcel.fault {
        None => Some(&mut parcel.patch),
        Some(_) => None,
    };
    parcels.flatten().filter_map(patch)
}

/// Their fields.
async fn write_group<'a>(
    client: &'a UpdateClient,
    targets: &'a [Target],
    change: &Change,
    marker: &'a str,
) -> Way<'a> {
    if targets.len() >= 2 && client.at_once(BatchCall::Batch) >= 2 {
        let mut group = WriteGroup::open(client, targets, change, marker).await;
        if group.patch(change.comment.is_some()).await.is_some() {
            return Way::BatchCall(group);
        }
        client.limit(BatchCall::Batch, 1);
    }
    Way::Singly(client.write_singly(targets, change, marker).await)
}

/// Sends each the comment once.
async fn say(client: &UpdateClient, patches: &mut [&mut Patch<'_>], comment: &str) {
    let part = |patch: &&mut Patch<'_>| Part {
        method: Method::POST,
        path: patch.comments(),
        body: Some(comment_document(&patch.signed(comment))),
    };
    let parts: Vec<Part> = patches.iter().map(part).collect();
    match graph_batch::send(client.client(), &parts).await {
        Some(answers) => {
            for (patch, answer) in patches.iter_mut().zip(answers) {
                patch.said(answer);
            }
        }
        // It took the fields a moment ago.
        None => {
            for patch in patches {
                patch.say(comment).await;
            }
        }
    }
}

/// A handful of targets on their way together.
struct WriteGroup<'a> {
    client: &'a UpdateClient,
    parcels: Vec<Result<Parcel<'a>, DefenderError>>,
}

struct Parcel<'a> {
    patch: Patch<'a>,
    /// Not tried yet, the likeliest first.
    wordings: VecDeque<Wording>,
    /// The first refusal, and in the end why it failed.
    fault: Option<DefenderError>,
    /// Whether its fields are still to be written.
    open: bool,
}

impl<'a> WriteGroup<'a> {
    async fn open(
        client: &'a UpdateClient,
        targets: &'a [Target],
        change: &Change,
        marker: &'a str,
    ) -> Self {
        // Alerts have no tags to read.
        let incidents = targets.iter().all(|t| t.subject == Subject::Incident);
        let tagged = replaces_tags(change) && incidents;
        let states = match tagged {
            true => client.read_many(targets).await,
            false => Vec::new(),
        };
        let states = states.into_iter().map(Some).chain(repeat_with(|| None));
        let parcel = |(target, state): (&'a Target, Option<Result<State, DefenderError>>)| {
            let mut patch = Patch::new(client, target, marker)?;
            let mut tags = Vec::new();
            if let Some(state) = state {
                tags = state?.tags;
                patch.count(1);
            }
            let wordings = patch.wordings(change, tags)?;
            Ok(Parcel {
                patch,
                wordings: wordings.into(),
                fault: None,
                open: true,
            })
        };
        Self {
            client,
            parcels: targets.iter().zip(states).map(parcel).collect(),
        }
    }

    /// Writes the fields, in another wording where one is refused; whose stand owes
    /// the comment, where there is one. `None` where there is no `$batch`, so that
    /// nothing was written.
    async fn patch(&mut self, comments: bool) -> Option<()> {
        let client = self.client;
        loop {
            let mut sent = Vec::new();
            let mut parts = Vec::new();
            let parcels = self.parcels.iter_mut().flatten();
            for parcel in parcels.filter(|parcel| parcel.open) {
                match parcel.wordings.pop_front() {
                    Some(wording) if wording.fields.is_empty() => parcel.written(false, comments),
                    Some(Wording { fields, terms }) => {
                        parts.push(Part {
                            method: Method::PATCH,
                            path: parcel.patch.path().to_owned(),
                            body: Some(Value::from(fields)),
                        });
                        sent.push((parcel, terms));
                    }
                    None => parcel.open = false,
                }
            }
            if parts.is_empty() {
                return Some(());
            }
            let answers = graph_batch::send(client.client(), &parts).await?;
            for ((parcel, terms), answer) in sent.into_iter().zip(answers) {
                match parcel.patch.note(answer) {
                    Ok(()) => {
                        client.learn(&terms);
                        parcel.written(true, comments);
                    }
                    Err(fault) if fault.failing() == Failing::Invalid => {
                        parcel.fault.get_or_insert(fault);
                    }
                    Err(fault) => {
                        parcel.fault = Some(fault);
                        parcel.open = false;
                    }
                }
            }
        }
    }

    async fn close(self) -> Vec<Result<Receipt, DefenderError>> {
        let mut results = Vec::with_capacity(self.parcels.len());
        for parcel in self.parcels {
            results.push(match parcel {
                Ok(Parcel {
                    patch, fault: None, ..
                }) => patch.close().await,
                Ok(Parcel {
                    fault: Some(fault), ..
                })
                | Err(fault) => Err(fault),
            });
        }
        results
    }
}

impl Parcel<'_> {
    /// Its fields stand.
    fn written(&mut self, patched: bool, comments: bool) {
        self.open = false;
        self.fault = None;
        if comments {
            self.patch.owes(patched);
        }
    }
}
