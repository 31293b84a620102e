//! One change to many alerts of Defender for Endpoint through `batchUpdate`.
//!
//! The call says yes or no to all its ids together, so a "no" is traced to the
//! alerts it is about, and the others are carried out without them.
//!
//! What is known of the alerts is the list's word, and the list lags: where a
//! batch is repeated, it may not show the comments of the first time yet. A
//! thousand GETs would be ten minutes of the quota, so two alerts of each call are
//! asked themselves before it: the first and the last, since a call is carried
//! out from one end. Only where one of them has the comment is each asked. A few
//! more are after an answer that leaves the comments' fate open.

use crate::microsoft::client::{Answer, Nature, Quota};
use crate::microsoft::defender::list::mde::ALERTS;
use crate::microsoft::defender::update::client::{DefenderError, IN_FLIGHT, UpdateClient};
use crate::microsoft::defender::update::patch::{COMMENT_TRIES, Fields, Patch, Wording, look};
use crate::microsoft::defender::update::sent_comments::{After, Trace};
use crate::microsoft::defender::update::tenant_limits::BatchCall;
use crate::microsoft::http::error::Error;
use crate::triage::{Change, Failing, Receipt, State, Target, UpdateError};
use futures::StreamExt;
use serde_json::Value;
use std::collections::VecDeque;
use std::mem::replace;
use tokio::time::Instant;
use tracing::info;

/// Fewer alerts are not worth a call of which only ten a minute are allowed.
pub(in crate::microsoft) const LEAST: usize = 3;
/// So few are looked at one by one when their call is refused.
const FEW: usize = 8;
/// A refused group is parted into so many.
const PARTS: usize = 4;

const PATH: &str = "/api/alerts/batchUpdate";
const TOO_MANY: &str = "MaximumBatchSizeExceeded";

/// One result per target, in their order.
pub(in crate::microsoft) async fn write_all(
    client: &UpdateClient,
    targets: &[Target],
    change: &Change,
    marker: &str,
) -> Vec<Result<Receipt, DefenderError>> {
    let mut update = Update {
        client,
        change,
        marker,
        rows: targets
            .iter()
            .map(|target| match Patch::new(client, target, marker) {
                Ok(patch) => Row::Open(patch),
                Err(fault) => Row::Done(Err(fault)),
            })
            .collect(),
    };
    update.carry_out().await;
    if let Some(comment) = &change.comment {
        update.say_what_is_owed(comment).await;
    }
    let mut results = Vec::with_capacity(targets.len());
    for row in update.rows {
        results.push(match row {
            Row::Done(result) => result,
            Row::Owes(patch) => patch.close().await,
            Row::Open(_) => Err(DefenderError::Unseen),
        });
    }
    results
}

struct Update<'a> {
    client: &'a UpdateClient,
    change: &'a Change,
    marker: &'a str,
    rows: Vec<Row<'a>>,
}

enum Row<'a> {
    Open(Patch<'a>),
    /// Its fields stand; its comment is due, or in doubt.
    Owes(Patch<'a>),
    Done(Result<Receipt, DefenderError>),
}

/// Rows that share a call.
struct WriteGroup {
    rows: Vec<usize>,
    /// How often their comment has been sent.
    tries: u32,
    /// Whether their comment is still to be sent.
    comment: bool,
    /// Whether they have been asked for an earlier comment.
    probed: bool,
}

impl<'a> Update<'a> {
    async fn carry_out(&mut self) {
        let open = |(at, row): (usize, &Row<'_>)| matches!(row, Row::Open(_)).then_some(at);
        let rows: Vec<usize> = self.rows.iter().enumerate().filter_map(open).collect();
        let mut groups = VecDeque::from([WriteGroup {
            rows,
            tries: 0,
            comment: self.change.comment.is_some(),
            probed: self.marker.is_empty(),
        }]);
        while let Some(mut group) = groups.pop_front() {
            let most = self.client.at_once(BatchCall::Update);
            if group.rows.len() > most && most >= LEAST {
                let left = group.rows.split_off(most);
                groups.push_front(WriteGroup {
                    rows: left,
                    ..group
                });
            }
            if group.rows.len() < LEAST || most < LEAST {
                // What was sent before and is known not to stand may be sent again.
                self.singly(&group.rows, group.comment).await;
                continue;
            }
            groups.extend(match group.comment && !group.probed {
                true => self.probe(group).await,
                false => self.send(group).await,
            });
        }
    }

    /// Finds out whether an earlier call has added the comments, which the list
    /// does not show yet.
    async fn probe(&mut self, group: WriteGroup) -> Vec<WriteGroup> {
        let ends: Vec<usize> = [group.rows.first(), group.rows.last()]
            .into_iter()
            .flatten()
            .copied()
            .collect();
        let states = self.client.read_singly(&self.targets(&ends)).await;
        let answered = states.iter().any(Result::is_ok);
        let stands = |(at, state): (&usize, &Result<State, DefenderError>)| {
            state.as_ref().is_ok_and(|state| self.stands(*at, state))
        };
        if answered && !ends.iter().zip(&states).any(stands) {
            return vec![WriteGroup {
                probed: true,
                ..group
            }];
        }
        let states = self.client.read_singly(&self.targets(&group.rows)).await;
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for (at, state) in group.rows.into_iter().zip(states) {
            match state {
                Ok(state) if self.stands(at, &state) => with.push(at),
                Ok(_) => without.push(at),
                Err(fault) => self.close(at, Err(fault)),
            }
        }
        [(with, false), (without, true)]
            .map(|(rows, comment)| WriteGroup {
                rows,
                tries: group.tries,
                comment,
                probed: true,
            })
            .into()
    }

    /// One call for all of them; returns what is still to be done.
    async fn send(&mut self, group: WriteGroup) -> Vec<WriteGroup> {
        let wording = match self.wording(&group) {
            Ok(wording) => wording,
            // The same for all: none of them is looked at.
            Err(_) => {
                self.singly(&group.rows, group.comment).await;
                return Vec::new();
            }
        };
        if wording.fields.is_empty() && !group.comment {
            self.note(&group.rows, &Answer::default());
            return Vec::new();
        }
        let answer = self.post(&group, &wording.fields, group.comment).await;
        let error = match answer {
            Ok(answer) => {
                self.client.learn(&wording.terms);
                self.note(&group.rows, &answer);
                return Vec::new();
            }
            Err(error) => error,
        };
        match &error {
            // By its own word it looked at none of them.
            Error::Service { code, message, .. } if code == TOO_MANY => {
                let sent = group.rows.len();
                self.client.limit(BatchCall::Update, allowed(message, sent));
                vec![group]
            }
            // The call is not there; an object that is missing has a name.
            Error::Service { status, code, .. }
                if matches!(status, 405 | 410 | 501) || (*status == 404 && code.is_empty()) =>
            {
                self.client.limit(BatchCall::Update, 1);
                vec![group]
            }
            _ if error.uncertain() && group.comment => self.look(group, &wording, error).await,
            Error::Service { status, .. }
                if (400..500).contains(status) && !matches!(status, 401 | 408) =>
            {
                // It is not documented that a refusal means nothing was written.
                for at in group.rows.iter().filter(|_| group.comment) {
                    let fault = self.fault(&error);
                    if let Some(Row::Open(patch)) = self.rows.get_mut(*at) {
                        patch.doubts(fault, !wording.fields.is_empty());
                    }
                }
                self.trace(group, &wording, error).await
            }
            // It may fail at one of them only.
            Error::Service { status, .. } if *status >= 500 => {
                self.trace(group, &wording, error).await
            }
            _ => {
                self.fail(&group.rows, &error);
                Vec::new()
            }
        }
    }

    async fn post(
        &self,
        group: &WriteGroup,
        fields: &Fields,
        comment: bool,
    ) -> Result<Answer, Error> {
        let mut document = fields.clone();
        let ids: Vec<&str> = group.rows.iter().filter_map(|at| self.id(*at)).collect();
        let first = group.rows.first().and_then(|at| self.patch(*at));
        let text = self.change.comment.as_deref().filter(|_| comment);
        if let Some((patch, text)) = first.zip(text) {
            document.insert("comment".into(), patch.signed(text).into());
        }
        let nature = match document.contains_key("comment") {
            true => Nature::Appends,
            false => Nature::Sets,
        };
        document.insert("alertIds".into(), ids.into());
        let body = Value::from(document).to_string();
        let client = self.client.client();
        let answer = client.bundle(PATH, &body, Quota::BatchUpdate, nature).await;
        if nature == Nature::Appends {
            for at in &group.rows {
                if let Some(patch) = self.patch(*at) {
                    let result = answer.as_ref().map(|_| ());
                    self.client.sent(patch.target(), self.marker, result);
                }
            }
        }
        answer
    }

    /// The change in the wording last taken.
    fn wording(&self, group: &WriteGroup) -> Result<Wording, DefenderError> {
        let first = group.rows.first().and_then(|at| self.patch(*at));
        let wordings = first.map(|patch| patch.wordings(self.change, Vec::new()));
        let mut wordings = wordings.transpose()?.unwrap_or_default();
        Ok(match wordings.is_empty() {
            true => Wording::default(),
            false => wordings.swap_remove(0),
        })
    }

    /// Finds out which alerts a refusal is about. The one it names, else a few
    /// of them, are carried out one by one; if all of these are refused too, the
    /// refusal is about the change or the account. No comment goes along: the
    /// others owe theirs afterwards.
    async fn trace(&mut self, group: WriteGroup, sent: &Wording, error: Error) -> Vec<WriteGroup> {
        let WriteGroup {
            mut rows, tries, ..
        } = group;
        let comment = false;
        let again = |rows: Vec<usize>| WriteGroup {
            rows,
            tries,
            comment,
            probed: true,
        };
        if rows.len() <= FEW {
            self.singly(&rows, comment).await;
            return Vec::new();
        }
        info!(
            "{error}: looking for the alerts among {} it is about",
            rows.len()
        );
        if let Some(at) = self.named(&rows, &error) {
            rows.retain(|row| *row != at);
            self.singly(&[at], comment).await;
            return vec![again(rows)];
        }
        let middle = rows.len() / 2;
        let probes = [
            rows.pop(),
            Some(rows.swap_remove(middle)),
            Some(rows.swap_remove(0)),
        ];
        let probes: Vec<usize> = probes.into_iter().flatten().collect();
        self.singly(&probes, comment).await;
        let failing = self.fault(&error).failing();
        let alike = |at: &usize| match self.rows.get(*at) {
            Some(Row::Done(Err(fault))) => {
                fault.failing() == failing && (failing != Failing::Invalid || fault.same_as(&error))
            }
            _ => false,
        };
        if failing != Failing::NotFound && probes.iter().all(alike) {
            self.fail(&rows, &error);
            return Vec::new();
        }
        let group = again(rows);
        match self.wording(&group) {
            // The wording was to blame.
            Ok(wording) if wording.fields != sent.fields => vec![group],
            _ => group
                .rows
                .chunks(group.rows.len().div_ceil(PARTS))
                .map(|rows| again(rows.to_vec()))
                .collect(),
        }
    }

    /// The only one whose id the refusal names.
    fn named(&self, rows: &[usize], error: &Error) -> Option<usize> {
        let Error::Service { message, .. } = error else {
            return None;
        };
        let is_named = |at: &&usize| self.id(**at).is_some_and(|id| message.contains(id));
        let mut named = rows.iter().filter(is_named);
        named.next().filter(|_| named.next().is_none()).copied()
    }

    /// Nobody knows whether the comments were added: each is looked for, and only
    /// those that are proved absent are sent again.
    async fn look(
        &mut self,
        mut group: WriteGroup,
        wording: &Wording,
        error: Error,
    ) -> Vec<WriteGroup> {
        group.tries += 1;
        let targets = self.targets(&group.rows);
        let now = Instant::now();
        let traces = self
            .client
            .trace(&targets, self.marker, now, After::Loss)
            .await;
        let (mut absent, mut unknown) = (Vec::new(), Vec::new());
        for (at, traced) in group.rows.into_iter().zip(traces) {
            match traced.trace {
                Trace::Stands => self.note(&[at], &Answer::default()),
                Trace::Absent => absent.push(at),
                Trace::Unknown(_) => unknown.push(at),
            }
        }
        let mut again = WriteGroup {
            rows: absent,
            tries: group.tries,
            comment: true,
            // They have just been asked.
            probed: true,
        };
        let last = group.tries >= COMMENT_TRIES;
        let answered = matches!(error, Error::Service { .. });
        // Where the service fails each time it is asked for all of them, it may be
        // for one of them: the others are not lost with it.
        let traces = last && answered;
        if last && !answered {
            unknown.append(&mut again.rows);
        }
        if !unknown.is_empty() {
            // Without its comment the change can safely be sent again; whether it
            // got through is seen when it is read back.
            let group = WriteGroup {
                rows: unknown,
                ..group
            };
            if !wording.fields.is_empty()
                && let Err(error) = self.post(&group, &wording.fields, false).await
            {
                info!("{error}: the fields were not sent again");
            }
            for at in group.rows {
                let fault = DefenderError::CommentUnknown(Box::new(self.fault(&error)));
                self.close(at, Err(fault));
            }
        }
        if !traces {
            return vec![again];
        }
        for at in &again.rows {
            if let Some(Row::Open(patch)) = self.rows.get_mut(*at) {
                patch.owes(!wording.fields.is_empty());
            }
        }
        self.trace(again, wording, error).await
    }

    /// The comments of those whose fields stand without them.
    async fn say_what_is_owed(&mut self, comment: &str) {
        let client = self.client;
        look(client, self.owing(), false, After::Refusal).await;
        let due = |(at, row): (usize, &Row<'a>)| match row {
            Row::Owes(patch) if patch.is_due() => Some(at),
            _ => None,
        };
        let due: Vec<usize> = self.rows.iter().enumerate().filter_map(due).collect();
        let most = client.at_once(BatchCall::Update);
        // With nothing but the comment it has not been found out whom a refusal is about.
        let bare = Change {
            comment: None,
            ..self.change.clone()
        } == Change::default();
        if bare || most < LEAST || due.len() < LEAST {
            let due = self.owing().filter(|patch| patch.is_due());
            futures::stream::iter(due)
                .for_each_concurrent(IN_FLIGHT, |patch| patch.say(comment))
                .await;
        } else {
            for rows in due.chunks(most) {
                let group = WriteGroup {
                    rows: rows.to_vec(),
                    tries: 0,
                    comment: true,
                    probed: true,
                };
                let answer = self.post(&group, &Fields::new(), true).await;
                for at in rows {
                    if let Some(Row::Owes(patch)) = self.rows.get_mut(*at) {
                        patch.said(answer.clone());
                    }
                }
            }
        }
        look(client, self.owing(), true, After::Loss).await;
    }

    fn owing(&mut self) -> impl Iterator<Item = &mut Patch<'a>> {
        self.rows.iter_mut().filter_map(|row| match row {
            Row::Owes(patch) => Some(patch),
            _ => None,
        })
    }

    async fn singly(&mut self, rows: &[usize], comment: bool) {
        let targets = self.targets(rows);
        let change = Change {
            comment: self.change.comment.clone().filter(|_| comment),
            ..self.change.clone()
        };
        let results = self
            .client
            .write_singly(&targets, &change, self.marker)
            .await;
        for (at, result) in rows.iter().zip(results) {
            match result {
                // Its fields stand; perhaps its comment is owed.
                Ok(receipt) if !comment => {
                    let answer = Answer {
                        request_id: receipt.request_id,
                        attempts: receipt.attempts,
                        ..Answer::default()
                    };
                    self.note(&[*at], &answer);
                }
                result => self.close(*at, result),
            }
        }
    }

    fn patch(&self, at: usize) -> Option<&Patch<'a>> {
        match self.rows.get(at) {
            Some(Row::Open(patch) | Row::Owes(patch)) => Some(patch),
            _ => None,
        }
    }

    fn id(&self, at: usize) -> Option<&'a str> {
        self.patch(at).map(|patch| patch.target().id.as_str())
    }

    fn targets(&self, rows: &[usize]) -> Vec<Target> {
        let patches = rows.iter().filter_map(|at| self.patch(*at));
        patches.map(|patch| patch.target().clone()).collect()
    }

    fn stands(&self, at: usize, state: &State) -> bool {
        self.patch(at).is_some_and(|patch| patch.stands(state))
    }

    /// They are done, but for comments they owe.
    fn note(&mut self, rows: &[usize], answer: &Answer) {
        for at in rows {
            if let Some(row) = self.rows.get_mut(*at)
                && let Row::Open(patch) = replace(row, Row::Done(Ok(Receipt::default())))
            {
                let mut patch = patch;
                patch.answered(answer);
                *row = match patch.is_settled() {
                    true => Row::Done(Ok(patch.receipt())),
                    false => Row::Owes(patch),
                };
            }
        }
    }

    fn fault(&self, error: &Error) -> DefenderError {
        DefenderError::call(error.clone(), &ALERTS, ALERTS.write)
    }

    fn fail(&mut self, rows: &[usize], error: &Error) {
        for at in rows {
            let fault = self.fault(error);
            self.close(*at, Err(fault));
        }
    }

    fn close(&mut self, at: usize, result: Result<Receipt, DefenderError>) {
        if let Some(row) = self.rows.get_mut(at) {
            *row = Row::Done(result);
        }
    }
}

/// How many ids the service takes: what its refusal says ("Received: 100,
/// allowed: 50"), else half of what was sent.
fn allowed(message: &str, sent: usize) -> usize {
    let lower = message.to_lowercase();
    let number = |text: &str| {
        let digits: String = text
            .chars()
            .skip_while(|c| !c.is_ascii_digit())
            .take_while(char::is_ascii_digit)
            .collect();
        digits.parse::<usize>().ok()
    };
    ["allowed", "maximum is", "maximum of", "limit"]
        .iter()
        .filter_map(|word| number(lower.split_once(word)?.1))
        .find(|size| (1..sent).contains(size))
        .unwrap_or(sent / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allowed_size_is_read_from_the_refusal() {
        for (message, size) in [
            (
                "Maximum batch size of alert ids exceeded. Received: 100, allowed: 50",
                50,
            ),
            ("Allowed batch size is 20 alerts, 100 were received.", 20),
            ("Received 100 ids while the maximum is 25.", 25),
            ("Too many alerts.", 50),
            ("allowed: 100", 50),
            ("allowed: 0", 50),
            ("allowed: 99999999999999999999999", 50),
        ] {
            assert_eq!(allowed(message, 100), size, "{message}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_refusal_always_leads_to_a_smaller_size(message in ".{0,60}|allowed: [0-9]{1,30}", sent in 2usize..1000) {
            let allowed = allowed(&message, sent);
            proptest::prop_assert!((1..sent).contains(&allowed));
        }
    }
}
