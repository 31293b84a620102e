//! One change to many alerts or incidents of Graph through `$batch`: first
//! everybody's fields, then the comments of those whose fields stand.

use crate::defender::batch::{self, Part};
use crate::defender::desk::{DeskFault, FamilyDesk, IN_FLIGHT};
use crate::defender::errand::{COMMENT_TRIES, Errand, Wording, comment_document, replaces_tags};
use crate::defender::learnt::Together;
use crate::triage::{Change, Desk, DeskError, Failing, Receipt, State, Subject, Target};
use futures::StreamExt;
use reqwest::Method;
use serde_json::Value;
use std::collections::VecDeque;
use std::iter::repeat_with;

/// One result per target, in their order.
pub(super) async fn write_all(
    desk: &FamilyDesk,
    targets: &[Target],
    change: &Change,
    marker: &str,
) -> Vec<Result<Receipt, DeskFault>> {
    let lots: Vec<Vec<Result<Receipt, DeskFault>>> =
        futures::stream::iter(targets.chunks(batch::MOST))
            .map(|lot| write_lot(desk, lot, change, marker))
            .buffered(IN_FLIGHT)
            .collect()
            .await;
    lots.into_iter().flatten().collect()
}

async fn write_lot(
    desk: &FamilyDesk,
    targets: &[Target],
    change: &Change,
    marker: &str,
) -> Vec<Result<Receipt, DeskFault>> {
    if targets.len() < 2 || desk.at_once(Together::Batch) < 2 {
        return desk.write_singly(targets, change, marker).await;
    }
    let mut lot = Lot::open(desk, targets, change, marker).await;
    if lot.patch().await.is_none() {
        desk.limit(Together::Batch, 1);
        return desk.write_singly(targets, change, marker).await;
    }
    if let Some(comment) = &change.comment {
        lot.comment(comment).await;
    }
    lot.close()
}

/// Looks whether comments stand of which nobody said so; those that do not are
/// left to be sent again, unless that was the last try.
async fn look(desk: &FamilyDesk, doubtful: Vec<(&mut Parcel<'_>, DeskFault)>, last: bool) {
    let mut missing: Vec<(&mut Parcel<'_>, DeskFault, bool)> = doubtful
        .into_iter()
        .map(|(parcel, fault)| (parcel, fault, false))
        .collect();
    for wait in desk.waits() {
        if missing.is_empty() {
            return;
        }
        tokio::time::sleep(wait).await;
        let targets: Vec<Target> = missing
            .iter()
            .map(|(parcel, ..)| parcel.errand.target().clone())
            .collect();
        let states = desk.read_many(&targets).await;
        let mut still = Vec::new();
        for ((parcel, fault, _), state) in missing.into_iter().zip(states) {
            parcel.errand.count(1);
            match state {
                Ok(state) if parcel.errand.stands(&state) => parcel.commented(Ok(())),
                Ok(_) => still.push((parcel, fault, true)),
                Err(error) if error.uncertain() => still.push((parcel, fault, false)),
                Err(_) => parcel.commented(Err(DeskFault::CommentUnknown(Box::new(fault)))),
            }
        }
        missing = still;
    }
    for (parcel, fault, seen) in missing {
        if last || !seen {
            parcel.commented(Err(DeskFault::CommentUnknown(Box::new(fault))));
        }
    }
}

/// A handful of targets on their way together.
struct Lot<'a> {
    desk: &'a FamilyDesk,
    marker: &'a str,
    parcels: Vec<Result<Parcel<'a>, DeskFault>>,
}

struct Parcel<'a> {
    errand: Errand<'a>,
    /// Not tried yet, the likeliest first.
    wordings: VecDeque<Wording>,
    patched: bool,
    /// The first refusal, and in the end why it failed.
    fault: Option<DeskFault>,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Fields,
    Comment,
    Done,
}

impl<'a> Lot<'a> {
    async fn open(
        desk: &'a FamilyDesk,
        targets: &'a [Target],
        change: &Change,
        marker: &'a str,
    ) -> Self {
        // Alerts have no tags to read.
        let incidents = targets.iter().all(|t| t.subject == Subject::Incident);
        let tagged = replaces_tags(change) && incidents;
        let states = match tagged {
            true => desk.read_many(targets).await,
            false => Vec::new(),
        };
        let states = states.into_iter().map(Some).chain(repeat_with(|| None));
        let parcel = |(target, state): (&'a Target, Option<Result<State, DeskFault>>)| {
            let mut errand = Errand::new(desk, target, marker)?;
            let mut tags = Vec::new();
            if let Some(state) = state {
                tags = state?.tags;
                errand.count(1);
            }
            let wordings = errand.wordings(change, tags)?;
            Ok(Parcel {
                errand,
                wordings: wordings.into(),
                patched: false,
                fault: None,
                stage: Stage::Fields,
            })
        };
        Self {
            desk,
            marker,
            parcels: targets.iter().zip(states).map(parcel).collect(),
        }
    }

    fn at(&mut self, stage: Stage) -> impl Iterator<Item = &mut Parcel<'a>> {
        let parcels = self.parcels.iter_mut().flatten();
        parcels.filter(move |parcel| parcel.stage == stage)
    }

    /// Writes the fields, in another wording where one is refused. `None` where
    /// there is no `$batch`, so that nothing was written.
    async fn patch(&mut self) -> Option<()> {
        let desk = self.desk;
        loop {
            let mut sent = Vec::new();
            let mut parts = Vec::new();
            for parcel in self.at(Stage::Fields) {
                match parcel.wordings.pop_front() {
                    Some(wording) if wording.fields.is_empty() => parcel.stage = Stage::Comment,
                    Some(Wording { fields, terms }) => {
                        parts.push(Part {
                            method: Method::PATCH,
                            path: parcel.errand.path().to_owned(),
                            body: Some(Value::from(fields)),
                        });
                        sent.push((parcel, terms));
                    }
                    None => parcel.stage = Stage::Done,
                }
            }
            if parts.is_empty() {
                return Some(());
            }
            let answers = batch::send(desk.client(), &parts).await?;
            for ((parcel, terms), answer) in sent.into_iter().zip(answers) {
                match parcel.errand.note(answer) {
                    Ok(()) => {
                        desk.learn(&terms);
                        parcel.patched = true;
                        parcel.fault = None;
                        parcel.stage = Stage::Comment;
                    }
                    Err(fault) if fault.failing() == Failing::Invalid => {
                        parcel.fault.get_or_insert(fault);
                    }
                    Err(fault) => {
                        parcel.fault = Some(fault);
                        parcel.stage = Stage::Done;
                    }
                }
            }
        }
    }

    /// Adds the comment; again only after reading that it is not there.
    async fn comment(&mut self, comment: &str) {
        let (desk, unmarked) = (self.desk, self.marker.is_empty());
        for last in (1..=COMMENT_TRIES).map(|tries| tries == COMMENT_TRIES) {
            let sent: Vec<&mut Parcel<'a>> = self.at(Stage::Comment).collect();
            if sent.is_empty() {
                return;
            }
            let parts: Vec<Part> = sent
                .iter()
                .map(|parcel| Part {
                    method: Method::POST,
                    path: parcel.errand.comments(),
                    body: Some(comment_document(&parcel.errand.signed(comment))),
                })
                .collect();
            let Some(answers) = batch::send(desk.client(), &parts).await else {
                // It took the fields a moment ago.
                for parcel in sent {
                    let posted = parcel.errand.comment(comment).await;
                    parcel.commented(posted);
                }
                return;
            };
            let mut doubtful = Vec::new();
            for (parcel, answer) in sent.into_iter().zip(answers) {
                let uncertain = matches!(&answer, Err(error) if error.uncertain());
                match parcel.errand.note(answer) {
                    Err(fault) if uncertain => doubtful.push((parcel, fault)),
                    certain => parcel.commented(certain),
                }
            }
            if !doubtful.is_empty() {
                look(desk, doubtful, last || unmarked).await;
            }
        }
    }

    fn close(self) -> Vec<Result<Receipt, DeskFault>> {
        let close = |parcel: Result<Parcel<'a>, DeskFault>| {
            let parcel = parcel?;
            match parcel.fault {
                Some(fault) => Err(fault),
                None => Ok(parcel.errand.into_receipt()),
            }
        };
        self.parcels.into_iter().map(close).collect()
    }
}

impl Parcel<'_> {
    fn commented(&mut self, posted: Result<(), DeskFault>) {
        self.stage = Stage::Done;
        self.fault = match posted {
            Err(fault @ DeskFault::Call { .. }) if self.patched => {
                Some(DeskFault::CommentMissing(Box::new(fault)))
            }
            posted => posted.err(),
        };
    }
}
