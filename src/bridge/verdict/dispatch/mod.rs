//! Which way a job goes: through the app's REST endpoint, for everybody from
//! whom capability or ACL may hide something; by this process for
//! administrators, unless a secret is hidden from them too. Where the endpoint
//! is not served this process tries, and says what the user's role lacks; where
//! it fails before anything was begun, the rows are deferred unless this process
//! can read the secrets.
//!
//! Through the endpoint a job goes in parts that each end soon, so that a
//! search that is cancelled is noticed between two of them and no answer is
//! waited for very long. What a part had no time for is handed back and goes
//! with the next one.

#[cfg(test)]
mod tests;

use crate::bridge::account::{ACL, SecretSeen};
use crate::bridge::own_endpoint::Found;
use crate::bridge::permission::{Caller, Denied, EVENTS, SECRETS};
use crate::bridge::verdict::answer::Answer;
use crate::bridge::verdict::deadline::{DRAIN, Deadline};
use crate::bridge::verdict::executor::{Executor, ValidatedJob};
use crate::bridge::verdict::job::{Job, JobError, MOST_NAMELESS, batch};
use crate::bridge::verdict::ledger::Delivery;
use crate::bridge::{account, own_endpoint, signature};
use crate::splunk::splunkd::{Route, Splunkd, SplunkdError};
use crate::triage::{
    Action, CarryOver, Clock as _, Entry, Ledger, Outcome, Plan, Summary, Target, TriageError, Via,
};
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// How long a part of a job may begin new things: longer than the minute for
/// which Microsoft's quotas may be used up.
const PART: Duration = Duration::from_secs(90);

/// So many parts in a row may end nothing before no more time is given.
const IDLE: usize = 3;

/// What a part may take beyond it: what has begun, and what is before and after.
const BEYOND: Duration = DRAIN.saturating_add(Duration::from_secs(30));

/// Bytes of a part: far below what splunkd and the endpoint take, unless an
/// administrator set less.
const LARGEST: usize = 24 << 20;

/// The first pause before an endpoint that ended nothing is asked again; each
/// further one is twice as long, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(15);

/// So many processes of another version may be left over.
const OTHERS: usize = 8;
const PAUSE: Duration = Duration::from_millis(250);

/// Why the rows after it are not begun.
const AFTER_LOST: &str =
    "the app's REST endpoint failed at the rows before: run it again for the rows left over";
const LOST: &str = "nobody knows what was carried out besides what stands in the ledger: run it again, what stands already is not written twice";

/// One caller's way to Defender, for all the rows of one run.
pub struct Dispatcher {
    splunkd: Splunkd,
    caller: Caller,
    executor: Executor,
    delivery: Delivery,
    /// Outcomes of earlier runs were handed over.
    spool_flushed: bool,
    through_endpoint: bool,
    /// It was found to be served.
    endpoint_served: bool,
    /// Why nothing can be begun in this run, and what to do.
    closed: Option<String>,
    /// Accounts whose secret was asked for, and whether it can be read.
    seen: BTreeMap<String, bool>,
    /// Bytes the endpoint takes at once, as far as is known.
    largest: usize,
    rows: usize,
    /// Of the rows so far: how many name no target, how many targets the others
    /// name, and which ones.
    nameless: usize,
    named: usize,
    targets: HashSet<(String, Target)>,
    /// What the incidents of the rows so far left behind; and, where the endpoint
    /// carried them out, the same in its words.
    carried: CarryOver,
    carry_over: Option<String>,
}

/// The actor of a run that ended before splunkd said whose it is.
const NOBODY: &str = "unknown";

/// Who may write; where splunkd does not say who asks, that is recorded.
///
/// # Errors
/// As [`Caller::who_may_write`].
pub async fn caller(splunkd: &Splunkd, job: &Job) -> Result<Caller, Denied> {
    let caller = Caller::who_may_write(splunkd).await;
    if let Err(Denied::Unknown(error)) = &caller {
        // Whoever does not say who asks takes no event either.
        let entry = of_nobody(job, error);
        Delivery::new(splunkd, None, None).keep(&entry).await;
    }
    caller
}

fn of_nobody(job: &Job, error: &SplunkdError) -> Entry {
    let outcome = match error.busy() || error.passing() {
        true => Outcome::Deferred,
        false => Outcome::Failed,
    };
    let why = format!("nothing was begun: {error}");
    job.refused(NOBODY, Via::Direct, outcome, &why)
}

/// Records that a run of `user` found no way at all.
pub async fn not_found(splunkd: &Splunkd, job: &Job, user: &str, error: &JobError) {
    let entry = job.refused(user, Via::Direct, Outcome::Failed, &error.to_string());
    Delivery::new(splunkd, None, None).deliver(&entry).await;
}

impl Dispatcher {
    /// The way of one who may write; `splunkd` is asked with the caller's own key.
    ///
    /// # Errors
    /// If the settings cannot be read.
    pub async fn of(splunkd: Splunkd, caller: Caller) -> Result<Self, JobError> {
        // Who may read it writes it: nobody is asked for it in vain.
        let key = match caller.reads_secrets() {
            true => match signature::key(&splunkd).await {
                Ok(key) => Some(key),
                // The endpoint signs what others do, and the ACL hides the key from them.
                Err(error) if !caller.is_administrator() => {
                    tracing::debug!("outcomes recorded by this process are not signed: {error}");
                    None
                }
                Err(error) => {
                    tracing::warn!("outcomes recorded by this process are not signed: {error}");
                    None
                }
            },
            false => None,
        };
        let executor = Executor::of(&splunkd, &splunkd, Via::Direct, key).await?;
        Ok(Self {
            through_endpoint: !caller.is_administrator(),
            endpoint_served: false,
            closed: None,
            seen: BTreeMap::new(),
            delivery: executor.delivery(&splunkd),
            executor,
            spool_flushed: false,
            largest: LARGEST,
            rows: 0,
            nameless: 0,
            named: 0,
            targets: HashSet::new(),
            carried: CarryOver::default(),
            carry_over: None,
            caller,
            splunkd,
        })
    }

    /// Who asks.
    pub fn user(&self) -> &str {
        &self.caller.user
    }

    /// Most rows of a run.
    pub const fn most_rows(&self) -> usize {
        self.executor.most_rows()
    }

    /// Records that the run, or these rows of it, came to nothing, so that people
    /// find it: one event, however many rows. What the endpoint refused, it has
    /// recorded itself.
    pub async fn refused(&mut self, job: &Job, error: &JobError) {
        let outcome = match error {
            JobError::Splunkd(error) if error.refused_by_endpoint() => return,
            error if error.is_the_callers() => Outcome::Invalid,
            _ => Outcome::Failed,
        };
        let (user, via) = (&self.caller.user, self.executor.via());
        let entry = job.refused(user, via, outcome, &error.to_string());
        self.delivery.deliver(&entry).await;
    }

    /// Carries out the next rows of the run. Rows are counted from its first
    /// one on, and the limit of targets holds for all of them. `tell` hears
    /// each outcome.
    ///
    /// # Errors
    /// If none of these rows was carried out, or the endpoint, asked for the
    /// last of them, would not.
    pub async fn carry_out(
        &mut self,
        mut job: Job,
        actor: &str,
        deadline: &Deadline,
        tell: &mut dyn FnMut(&Entry),
    ) -> Result<Summary, JobError> {
        job.batch.get_or_insert_with(|| batch(None));
        let called = job.without_rows();
        let carried_out = self.begin(job, actor, deadline, tell).await;
        if let Err(error) = &carried_out {
            self.refused(&called, error).await;
        }
        carried_out
    }

    async fn begin(
        &mut self,
        mut job: Job,
        actor: &str,
        deadline: &Deadline,
        tell: &mut dyn FnMut(&Entry),
    ) -> Result<Summary, JobError> {
        let first = self.rows + 1;
        let all = job.rows.len();
        self.rows += all;
        let most = self.most_rows();
        if self.rows > most {
            let rows = self.rows;
            return Err(JobError::TooManyRows { rows, most });
        }
        job.numbers = (first..=self.rows).collect();
        let validated = self.executor.validate(job.clone(), actor)?;
        self.count(&validated, first)?;
        let mut rows = Rows {
            outcomes: vec![None; all],
            left: (0..all).collect(),
            first,
        };
        if !self.through_endpoint && self.hides().await {
            self.through_endpoint = true;
        }
        if self.through_endpoint && !deadline.left().is_zero() && self.endpoint_serves().await? {
            self.through(&job, &validated, deadline, &mut rows, tell)
                .await?;
        }
        if !rows.left.is_empty() {
            let part = (rows.left.len() < all).then(|| validated.part(&rows.left));
            let validated = part.as_ref().unwrap_or(&validated);
            // Recorded as not begun.
            let over = Deadline::of(Duration::ZERO);
            let closed = self.closed.clone();
            let deadline = if closed.is_some() { &over } else { deadline };
            self.directly(validated, deadline, &mut rows, closed.as_deref(), tell)
                .await?;
        }
        Ok(rows.summary())
    }

    /// The limit holds for the run, not for each of its parts.
    fn count(&mut self, validated: &ValidatedJob, first: usize) -> Result<(), JobError> {
        self.nameless += validated.nameless;
        if self.nameless > MOST_NAMELESS {
            let rows = self.nameless;
            return Err(JobError::Nameless { rows });
        }
        self.named += validated.named;
        if self.named > self.most_rows() {
            let (named, most) = (self.named, self.most_rows());
            return Err(JobError::TooMuchNamed { named, most });
        }
        let earlier = self.targets.len();
        self.targets
            .extend(validated.plan.planned().map(|(target, _)| target));
        let (all, max) = (self.targets.len(), validated.max_targets());
        if all <= max {
            return Ok(());
        }
        let error = TriageError::TooManyTargets { targets: all, max };
        Err(match earlier {
            0 => error.into(),
            earlier => JobError::TooManyTargets {
                error,
                first,
                earlier,
            },
        })
    }

    async fn directly(
        &mut self,
        validated: &ValidatedJob,
        deadline: &Deadline,
        rows: &mut Rows,
        closed: Option<&str>,
        tell: &mut dyn FnMut(&Entry),
    ) -> Result<(), JobError> {
        if !std::mem::replace(&mut self.spool_flushed, true) {
            self.delivery.flush_spool().await;
        }
        self.delivery.reset_time();
        if let Some(text) = self.carry_over.take() {
            self.carried = self
                .executor
                .carried_over(&text, validated)
                .unwrap_or_default();
        }
        let mut ledger = Outcomes {
            delivery: &mut self.delivery,
            closed,
            tell,
        };
        let carried = &mut self.carried;
        let summary = self
            .executor
            .carry_out(validated, deadline, &mut ledger, carried)
            .await?;
        let places = std::mem::take(&mut rows.left);
        for (place, outcome) in places.into_iter().zip(summary.rows) {
            rows.end(place, outcome);
        }
        Ok(())
    }

    /// Whether a secret that the rows need is hidden from the caller, or not there.
    async fn hides(&mut self) -> bool {
        let mut hidden = false;
        for (account, _) in &self.targets {
            let seen = match self.seen.get(account) {
                Some(seen) => *seen,
                None => {
                    let seen = account::secret_seen(&self.splunkd, account).await;
                    // What else is wrong, the job itself will say.
                    let seen = !matches!(seen, Ok(SecretSeen::No | SecretSeen::Forbidden));
                    self.seen.insert(account.clone(), seen);
                    seen
                }
            };
            hidden |= !seen;
        }
        hidden
    }

    /// Whether the endpoint takes what comes next. Nothing is begun yet, so
    /// that where it does not, the other way is open.
    async fn endpoint_serves(&mut self) -> Result<bool, JobError> {
        if self.endpoint_served {
            return Ok(true);
        }
        self.closed = None;
        let why = match own_endpoint::look(&self.splunkd).await? {
            Found::Served { .. } => {
                self.endpoint_served = true;
                return Ok(true);
            }
            Found::NotServed => {
                self.not_served();
                return Ok(false);
            }
            Found::Broken(why) => {
                self.through_endpoint = false;
                why
            }
            Found::Busy(error) => error.to_string(),
        };
        if self.caller.reads_secrets() && !self.hides().await {
            tracing::warn!("{why}; carried out without it");
        } else {
            tracing::error!("{why}");
            self.closed = Some(why);
        }
        Ok(false)
    }

    /// Leaves the rows that are to be carried out, or recorded, directly.
    async fn through(
        &mut self,
        job: &Job,
        validated: &ValidatedJob,
        deadline: &Deadline,
        rows: &mut Rows,
        tell: &mut dyn FnMut(&Entry),
    ) -> Result<(), JobError> {
        let (mut idle, mut strange) = (0, 0);
        let mut closed = None;
        loop {
            let left = deadline.left();
            if rows.left.is_empty() || left.is_zero() {
                break;
            }
            let (count, part, body) = self.part(job, rows, left, idle < IDLE)?;
            let within = part.time().saturating_add(BEYOND);
            let asked = self
                .splunkd
                .call_endpoint(Route::Triage, body.into(), within);
            let error = match asked.await {
                Ok(Some(answer)) => match Answer::read(&answer, count) {
                    Ok(mut answer) => {
                        self.carry_over = answer.carry_over.take();
                        let before = rows.left.len();
                        rows.on_answer(count, answer, tell);
                        // Whatever keeps it from beginning for so long will go on.
                        idle = match rows.left.len() == before {
                            true => idle + 1,
                            false => 0,
                        };
                        if let Some(doubled) = idle.checked_sub(1) {
                            let pause = FIRST_PAUSE.saturating_mul(1 << doubled.min(8));
                            deadline
                                .sleep(pause.min(LAST_PAUSE).min(deadline.left()))
                                .await;
                        }
                        continue;
                    }
                    Err(error) => error,
                },
                Ok(None) => {
                    self.not_served();
                    return Ok(());
                }
                Err(error) => error,
            };
            if error.of_another_version() && strange < OTHERS {
                // Its executable was replaced: it ends, and splunkd starts ours.
                strange += 1;
                deadline.sleep(PAUSE).await;
            } else if error.too_large() && count > 1 {
                self.largest = body_of(&part)?.len() / 2;
            } else if error.too_large() {
                let why = format!("this row has too many or too large fields: {error}");
                self.on_lost(job, validated, rows, 1, &why, tell).await;
            } else if error.busy() && self.caller.reads_secrets() && !self.hides().await {
                tracing::warn!("{error}; carried out without the app's REST endpoint");
                return Ok(());
            } else if error.busy() {
                tracing::warn!("{error}");
                closed = Some(error.to_string());
                break;
            } else if error.refused() {
                // In splunkd's own words, and it would say the same again.
                return Err(error.into());
            } else {
                // The endpoint may still be at it: beginning again could do
                // things twice.
                let why = format!("{error}; {LOST}");
                tracing::error!("{why}");
                self.on_lost(job, validated, rows, count, &why, tell).await;
                closed = Some(AFTER_LOST.to_owned());
                break;
            }
        }
        if !rows.left.is_empty() {
            // Recorded as not begun.
            let validated = validated.part(&rows.left);
            let over = Deadline::of(Duration::ZERO);
            self.directly(&validated, &over, rows, closed.as_deref(), tell)
                .await?;
        }
        Ok(())
    }

    /// Records, for each target of the first rows left, that nobody knows how it
    /// ended: the endpoint may have recorded it or not.
    async fn on_lost(
        &mut self,
        job: &Job,
        validated: &ValidatedJob,
        rows: &mut Rows,
        count: usize,
        why: &str,
        tell: &mut dyn FnMut(&Entry),
    ) {
        let count = count.min(rows.left.len());
        let Action { form, actor, .. } = &validated.action;
        self.delivery.reset_time();
        let places: Vec<usize> = rows.left.drain(..count).collect();
        for place in places {
            let entry = Entry {
                row: place + rows.first,
                ..job.refused(actor, self.executor.via(), Outcome::Failed, why)
            };
            // What the row asks for by itself, also where it contradicts another.
            let row = validated.rows.get(place).map(std::slice::from_ref);
            let plan = Plan::of(form, row.unwrap_or_default());
            let mut entries: Vec<Entry> = plan
                .planned()
                .map(|((account, target), dry_run)| Entry {
                    subject: target.subject,
                    target: Some(target.id),
                    account: Some(account),
                    dry_run,
                    ..entry.clone()
                })
                .collect();
            if entries.is_empty() {
                entries.push(entry);
            }
            for entry in entries {
                self.delivery.deliver(&entry).await;
                tell(&entry);
            }
            rows.end(place, Outcome::Failed);
        }
    }

    /// As many of the rows left as go at once, and the request for them.
    fn part(
        &self,
        job: &Job,
        rows: &Rows,
        left: Duration,
        again: bool,
    ) -> Result<(usize, Job, Vec<u8>), JobError> {
        let mut count = rows.left.len();
        loop {
            let part = Job {
                seconds: Some(left.min(PART).as_secs().max(1)),
                return_deferred: left > PART && again,
                carry_over: self.carry_over.clone(),
                ..rows.part(job, count)
            };
            let body = body_of(&part)?;
            if body.len() <= self.largest || count <= 1 {
                return Ok((count, part, body));
            }
            count = count.div_ceil(2);
        }
    }

    fn not_served(&mut self) {
        self.through_endpoint = false;
        tracing::warn!("{}", lacking(&self.caller));
    }
}

fn body_of(part: &Job) -> Result<Vec<u8>, JobError> {
    serde_json::to_vec(part).map_err(JobError::Unsendable)
}

/// Which rows were carried out, and how they ended.
struct Rows {
    outcomes: Vec<Option<Outcome>>,
    /// Places of those still to be carried out, in order.
    left: Vec<usize>,
    /// The number of the row at place 0.
    first: usize,
}

impl Rows {
    /// The job of so many of the rows left.
    fn part(&self, job: &Job, count: usize) -> Job {
        let places = || self.left.iter().take(count);
        Job {
            rows: places()
                .filter_map(|place| job.rows.get(*place).cloned())
                .collect(),
            numbers: places().map(|place| place + self.first).collect(),
            ..job.without_rows()
        }
    }

    fn end(&mut self, place: usize, outcome: Outcome) {
        if let Some(end) = self.outcomes.get_mut(place) {
            *end = Some(outcome);
        }
    }

    /// The endpoint's answer about the first rows left.
    fn on_answer(&mut self, count: usize, answer: Answer<Entry>, tell: &mut dyn FnMut(&Entry)) {
        let back = answer.deferred_rows;
        let asked: Vec<usize> = self.left.drain(..count).collect();
        let mut again = Vec::new();
        for (place, outcome) in asked.into_iter().zip(answer.rows) {
            if back.contains(&(place + self.first)) {
                again.push(place);
            } else {
                self.end(place, outcome);
            }
        }
        again.append(&mut self.left);
        self.left = again;
        let ended = answer.outcomes.iter();
        ended
            .filter(|entry| !back.contains(&entry.row))
            .for_each(tell);
    }

    fn summary(self) -> Summary {
        let rows = self.outcomes.into_iter();
        Summary {
            rows: rows.map(|row| row.unwrap_or(Outcome::Failed)).collect(),
            ..Summary::default()
        }
    }
}

/// Where outcomes go as they happen.
struct Outcomes<'o> {
    delivery: &'o mut Delivery,
    /// Why nothing was begun.
    closed: Option<&'o str>,
    tell: &'o mut dyn FnMut(&Entry),
}

impl Ledger for Outcomes<'_> {
    async fn record(&mut self, entry: &Entry) {
        let closed = self.closed.filter(|_| entry.outcome == Outcome::Deferred);
        let said = closed.map(|why| Entry {
            message: format!("not begun: {why}"),
            ..entry.clone()
        });
        let entry = said.as_ref().unwrap_or(entry);
        self.delivery.deliver(entry).await;
        (self.tell)(entry);
    }
}

/// What the user's roles would have to hold where no endpoint stands in.
fn lacking(caller: &Caller) -> String {
    let [events, ..] = EVENTS;
    let capability = match (caller.reads_secrets(), caller.sends_events()) {
        (true, true) => String::new(),
        (true, false) => format!("the capability {events} to index outcomes and "),
        (false, true) => format!("the capability {SECRETS} and "),
        (false, false) => {
            format!("the capabilities {SECRETS} and {events} (to index outcomes) and ")
        }
    };
    format!(
        "this splunkd does not serve the app's REST endpoint, so a role of user \"{}\" needs {capability}read access to the accounts' secrets ({ACL}); better restart Splunk, so that it serves the endpoint",
        caller.user
    )
}
