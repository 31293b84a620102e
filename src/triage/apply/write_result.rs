//! A write that was sent: what its answer said, what is seen of it, and what
//! both come to.

use crate::triage::apply::decide::Due;
use crate::triage::apply::recorder::Settled;
use crate::triage::diff::{Field, story};
use crate::triage::outcome::Outcome;
use crate::triage::{Receipt, State};
use jiff::Timestamp;
use std::time::Duration;

/// A target whose write has been sent.
pub(in crate::triage) struct Sent<'t> {
    pub due: Due<'t>,
    pub answer: Result<Receipt, Settled>,
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

impl Sent<'_> {
    /// Whether more or less may have happened than the answer says: it was lost,
    /// or the change has two parts and one of them may have got through.
    pub fn is_doubtful(&self) -> bool {
        let comment = self.due.missing.contains(&Field::Comment);
        match &self.answer {
            Ok(_) => false,
            Err(settled) => {
                settled.outcome == Outcome::Failed || (comment && self.due.missing.len() > 1)
            }
        }
    }

    /// How it ended, by what was seen of it and what the answer said.
    pub fn settled(self) -> Settled {
        let brought = self.due.brought();
        let missing = self.missing;
        let Due {
            before,
            change,
            fields,
            note,
            ..
        } = self.due;
        let story = |fields: &[Field]| story(&before, &change, fields);
        let visible = self.after.is_some() && missing.is_empty();
        let settled = match self.answer {
            Ok(receipt) => {
                let message = if visible {
                    story(&fields)
                } else {
                    format!(
                        "{}: accepted, not yet visible ({}); look again in a few minutes, or run it again: what stands by then is not written twice",
                        story(&fields),
                        self.unseen
                    )
                };
                Settled {
                    changed: fields,
                    request_id: receipt.request_id,
                    attempts: Some(receipt.attempts),
                    verified: Some(visible),
                    doubtful: !visible,
                    ..Settled::new(Outcome::Updated, message)
                }
            }
            Err(refused) if visible => Settled {
                message: format!(
                    "{}: it stands, although the answer was: {}",
                    story(&fields),
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
                    None => brought.contains(field),
                });
                let mut lacks = wished;
                lacks.retain(|field| !stands.contains(field));
                let mut message = refused.message;
                let mut outcome = refused.outcome;
                if !stands.is_empty() {
                    message = format!(
                        "partly carried out: {message}; but this stands: {}; this does not: {}",
                        story(&stands),
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
                            "{message}; it may have been carried out all the same ({}): look at it before repeating it",
                            self.unseen
                        ),
                        Some(_) => format!(
                            "{message}; it may have been carried out all the same, and show later: look again, or run it again, what stands by then is not written twice"
                        ),
                    };
                }
                Settled {
                    outcome,
                    message,
                    changed: stands,
                    doubtful: self.lost,
                    ..refused
                }
            }
        };
        Settled {
            after: self.after,
            latency: Some(self.latency),
            before: Some(before),
            ..settled
        }
        .noting(note.as_deref())
    }
}

/// Fields as a message lists them.
pub(in crate::triage) fn names(fields: &[Field]) -> String {
    let names: Vec<String> = fields.iter().map(ToString::to_string).collect();
    names.join(", ")
}
