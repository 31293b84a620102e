//! A write that was sent: what its answer said, what is seen of it, and what
//! both come to.

use crate::triage::apply::decide::PendingWrite;
use crate::triage::apply::recorder::TargetOutcome;
use crate::triage::diff::describe;
use crate::triage::field::{Field, names};
use crate::triage::outcome::Outcome;
use crate::triage::{Receipt, State};
use jiff::Timestamp;
use std::time::Duration;

/// A target whose write has been sent.
pub(in crate::triage) struct WriteResult<'t> {
    pub pending: PendingWrite<'t>,
    pub answer: Result<Receipt, TargetOutcome>,
    /// Whether it may have been carried out although the answer does not say so.
    pub lost: bool,
    /// When it was begun, by Defender's clock.
    pub begun: Option<Timestamp>,
    pub latency: Duration,
    pub after: Option<State>,
    /// What could not be seen yet.
    pub missing: Vec<Field>,
    /// Why the write could not be seen yet.
    pub unseen: String,
}

impl WriteResult<'_> {
    /// Whether more or less may have happened than the answer says: it was lost,
    /// or the change has two parts and one of them may have got through.
    pub fn is_doubtful(&self) -> bool {
        let comment = self.pending.missing.contains(&Field::Comment);
        match &self.answer {
            Ok(_) => false,
            Err(ended) => {
                ended.outcome == Outcome::Failed || (comment && self.pending.missing.len() > 1)
            }
        }
    }

    /// How it ended, by what was seen of it and what the answer said.
    pub fn outcome(self) -> TargetOutcome {
        let by_incident = self.pending.set_by_incident();
        let missing = self.missing;
        let PendingWrite {
            before,
            change,
            fields,
            note,
            ..
        } = self.pending;
        let steps = |fields: &[Field]| describe(&before, &change, fields);
        let visible = self.after.is_some() && missing.is_empty();
        let ended = match self.answer {
            Ok(receipt) => {
                let message = if visible {
                    steps(&fields)
                } else {
                    format!(
                        "{}: accepted, not yet visible ({}); look again in a few minutes, or run the action again: nothing is written twice",
                        steps(&fields),
                        self.unseen
                    )
                };
                TargetOutcome {
                    changed: fields,
                    request_id: receipt.request_id,
                    attempts: Some(receipt.attempts),
                    verified: Some(visible),
                    doubtful: !visible,
                    ..TargetOutcome::new(Outcome::Updated, message)
                }
            }
            Err(refused) if visible => TargetOutcome {
                message: format!(
                    "{}: Defender shows it, although its answer was: {}",
                    steps(&fields),
                    refused.message
                ),
                outcome: Outcome::Updated,
                changed: fields,
                verified: Some(true),
                ..refused
            },
            Err(refused) => {
                let wished = fields.clone();
                let mut stands = fields;
                stands.retain(|field| match self.after {
                    Some(_) => !missing.contains(field),
                    None => by_incident.contains(field),
                });
                let mut lacks = wished;
                lacks.retain(|field| !stands.contains(field));
                let mut message = refused.message;
                let mut outcome = refused.outcome;
                if !stands.is_empty() {
                    message = format!(
                        "partly carried out: {message}; changed: {}; not changed: {}",
                        steps(&stands),
                        names(&lacks)
                    );
                }
                // What was found is not missing.
                if outcome == Outcome::NotFound && self.after.is_some() {
                    outcome = Outcome::Failed;
                }
                if self.lost {
                    message = match self.after {
                        None => format!(
                            "{message}; it may have been carried out all the same ({}): look at the object before you repeat the action",
                            self.unseen
                        ),
                        Some(_) => format!(
                            "{message}; it may have been carried out all the same and show later: look again, or run the action again: nothing is written twice"
                        ),
                    };
                }
                TargetOutcome {
                    outcome,
                    message,
                    changed: stands,
                    doubtful: self.lost,
                    ..refused
                }
            }
        };
        TargetOutcome {
            after: self.after,
            latency: Some(self.latency),
            before: Some(before),
            ..ended
        }
        .noting(note.as_deref())
    }
}
