//! `... | defenderupdate account=<name> status=resolved`: the rows' verdicts go
//! to Defender, and each row goes on with how it ended.

use super::arguments::Arguments;
use super::get::subject;
use super::talk::{Halt, Talk};
use super::{Session, account};
use crate::run::desks::Accounts;
use crate::run::ledger::Delivery;
use crate::run::permission::Caller;
use crate::splunk::chunked::{Invocation, Level, Message, Table, Values};
use crate::triage::{
    self, Action, Clock, Entry, Form, Ledger, Limits, Outcome, PARAMETERS, Row, Subject, Summary,
};
use anyhow::anyhow;
use std::cell::OnceCell;
use std::collections::{BTreeSet, HashSet};
use std::io::Write;
use std::time::{Duration, Instant};
use tokio::sync::watch;

const COMMAND: &str = "defenderupdate";

/// How long one chunk of rows may take; a search has no time limit of its own.
const DEADLINE: Duration = Duration::from_secs(1800);
const GRACE: Duration = Duration::from_secs(60);

/// How long what has begun is waited for once the search is cancelled; splunkd
/// does not wait for ever either.
const HURRY: Duration = Duration::from_secs(10);

/// As the columns come behind the rows' own.
const COLUMNS: [&str; 9] = [
    "defender_outcome",
    "defender_message",
    "defender_target",
    "defender_changed",
    "defender_before",
    "defender_after",
    "defender_verified",
    "defender_request_id",
    "defender_batch",
];

#[derive(Debug)]
pub struct Wish {
    subject: Subject,
    parameters: Arguments,
    max_targets: Option<usize>,
}

impl Wish {
    pub fn read(words: &[String]) -> anyhow::Result<Self> {
        let mut known = PARAMETERS.to_vec();
        known.push("subject");
        let mut parameters = Arguments::read(words, &known)?;
        let subject = subject(parameters.take("subject").as_deref())?;
        let wish = Self {
            subject,
            max_targets: parameters
                .get("max_targets")
                .and_then(|text| text.parse().ok()),
            parameters,
        };
        // Which accounts there are is asked for with the first rows.
        let named = wish.parameters.get("account").map(str::to_owned);
        wish.form(named.into_iter().collect())?;
        Ok(wish)
    }

    fn form(&self, accounts: BTreeSet<String>) -> anyhow::Result<Form> {
        Ok(Form::parse(self.subject, accounts, self.parameters.iter())?)
    }

    pub async fn carry_out<W: Write>(
        &self,
        call: &Invocation,
        talk: &mut Talk<W>,
    ) -> Result<(), Halt> {
        let (opened, kept) = (OnceCell::new(), OnceCell::new());
        let mut total = Summary::default();
        let mut targets = HashSet::new();
        let mut previewed = false;
        loop {
            let chunk = talk.next().await?;
            let table = Table::read(&chunk.body)?;
            let mut cells = Vec::new();
            if call.preview || chunk.preview {
                previewed = true;
            } else if !table.is_empty() {
                let open: &Open = match opened.get() {
                    Some(open) => open,
                    None => {
                        let open = talk.unless_gone(self.open(call)).await??;
                        opened.get_or_init(|| open)
                    }
                };
                let Session { splunkd, settings } = &open.session;
                let desks = kept.get_or_init(|| Accounts::new(splunkd, settings));
                let action = Action {
                    limits: open.limits(self.max_targets, targets.len()),
                    ..open.action.clone()
                };
                let rows: Vec<Row> = table.rows().map(row).collect();
                let mut ledger = Outcomes {
                    delivery: Delivery::begin(splunkd).await,
                    before: total.rows.len(),
                    rows: rows.iter().map(|_| Ending::default()).collect(),
                };
                let clock = Course {
                    begun: Instant::now(),
                    gone: talk.gone(),
                };
                let summary = triage::triage(&action, &rows, desks, &mut ledger, &clock)
                    .await
                    .map_err(|error| match targets.len() {
                        0 => anyhow!(error),
                        earlier => anyhow!(
                            "{error} from row {} on; {earlier} targets of the rows before were already looked at",
                            total.rows.len() + 1
                        ),
                    })?;
                cells = ledger
                    .rows
                    .iter()
                    .map(|ending| ending.cells(&action.batch))
                    .collect();
                let named = ledger.rows.into_iter().flat_map(|ending| ending.targets);
                targets.extend(named);
                total.rows.extend(summary.rows);
            }
            let messages = match (chunk.finished, previewed) {
                (false, _) => Vec::new(),
                (true, true) => vec![Message::new(
                    Level::Info,
                    "defenderupdate: this is a preview, nothing was written",
                )],
                (true, false) => vec![told(&total)],
            };
            talk.answer(chunk.finished, &messages, &table.widened(&COLUMNS, &cells)?)?;
            if chunk.finished {
                tracing::info!("{total}");
                return Ok(());
            }
        }
    }

    async fn open(&self, call: &Invocation) -> anyhow::Result<Open> {
        let session = Session::open(call).await?;
        let caller = Caller::of(&session.splunkd).await?;
        let accounts = session.splunkd.conf_stanzas(account::ACCOUNTS).await?;
        let form = self.form(accounts.into_iter().map(|(name, _)| name).collect())?;
        let action = Action {
            name: COMMAND.to_owned(),
            batch: self.batch(call),
            actor: caller.user,
            form,
            limits: Limits {
                max_targets: session.settings.max_targets()?,
                deadline: DEADLINE,
                grace: GRACE,
            },
            sid: call.sid.clone(),
            search_name: None,
        };
        Ok(Open { session, action })
    }

    /// The same for the same words in the same search, so that a repeated
    /// command knows its own comments.
    fn batch(&self, call: &Invocation) -> String {
        let sid = call.sid.as_ref();
        crate::run::triage::batch(
            sid.map(|sid| format!("{COMMAND}\n{sid}\n{}", call.args.join("\n"))),
        )
    }
}

/// What is the same for all chunks of a search.
struct Open {
    session: Session,
    action: Action,
}

impl Open {
    /// The limit holds for the search, not for each of its chunks.
    fn limits(&self, asked: Option<usize>, used: usize) -> Limits {
        let most = self.action.limits.max_targets;
        let most = asked.map_or(most, |asked| asked.min(most));
        Limits {
            max_targets: most.saturating_sub(used),
            ..self.action.limits.clone()
        }
    }
}

fn row(row: crate::splunk::results::Row) -> Row {
    Row::new(
        row.iter()
            .map(|(name, values)| (name.to_owned(), values.to_vec())),
    )
}

fn told(total: &Summary) -> Message {
    let well = total.rows.iter().all(|row| row.is_well());
    let (level, advice) = match well {
        true => (Level::Info, ""),
        false => (Level::Warn, "; defender_message says why"),
    };
    Message::new(level, format!("{COMMAND}: {total}{advice}"))
}

/// How one row ended so far.
#[derive(Debug, Default)]
struct Ending {
    outcome: Option<Outcome>,
    /// Those Defender was asked about.
    targets: Vec<String>,
    entries: Vec<Entry>,
}

impl Ending {
    fn cells(&self, batch: &str) -> Vec<Values> {
        let several = self.entries.len() > 1;
        let each = |part: &dyn Fn(&Entry) -> Option<String>| -> Values {
            let values = self.entries.iter().map(part);
            match several {
                // The values of each column stay in the targets' order.
                true => values.map(Option::unwrap_or_default).collect(),
                false => values.flatten().collect(),
            }
        };
        let json = |state: &Option<triage::State>| {
            let state = state.as_ref()?;
            serde_json::to_string(state).ok()
        };
        vec![
            self.outcome.iter().map(Outcome::to_string).collect(),
            each(&|entry| Some(entry.message.clone())),
            each(&|entry| entry.target.clone()),
            each(&|entry| {
                let fields = serde_json::to_value(&entry.changed).ok()?;
                let words: Vec<&str> = fields
                    .as_array()?
                    .iter()
                    .filter_map(|f| f.as_str())
                    .collect();
                (!words.is_empty()).then(|| words.join(","))
            }),
            each(&|entry| json(&entry.before)),
            each(&|entry| json(&entry.after)),
            each(&|entry| entry.verified.map(|yes| u8::from(yes).to_string())),
            each(&|entry| entry.request_id.clone()),
            vec![batch.to_owned()],
        ]
    }
}

/// Where outcomes go as they happen: to the index, and into the rows.
struct Outcomes<'s> {
    delivery: Delivery<'s>,
    /// Rows of earlier chunks.
    before: usize,
    rows: Vec<Ending>,
}

impl Ledger for Outcomes<'_> {
    async fn record(&mut self, entry: &Entry) {
        let place = entry.row.checked_sub(1);
        if let Some(ending) = place.and_then(|place| self.rows.get_mut(place)) {
            ending.outcome = ending.outcome.max(Some(entry.outcome));
            if entry.account.is_some() {
                ending.targets.extend(entry.target.clone());
            }
            ending.entries.push(entry.clone());
        }
        // In the index, rows are counted from the search's first one.
        let entry = Entry {
            row: entry.row + self.before,
            ..entry.clone()
        };
        self.delivery.deliver(&entry).await;
    }
}

/// Real time, which is over once nobody wants the answer: nothing more is begun,
/// and what has begun is soon seen to its end.
struct Course {
    begun: Instant,
    gone: watch::Receiver<bool>,
}

impl Clock for Course {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn elapsed(&self) -> Duration {
        let elapsed = self.begun.elapsed();
        match *self.gone.borrow() {
            true => elapsed.max(DEADLINE),
            false => elapsed,
        }
    }

    async fn sleep(&self, pause: Duration) {
        let mut gone = self.gone.clone();
        let hurried = async {
            match gone.wait_for(|gone| *gone).await {
                Ok(_) => tokio::time::sleep(HURRY).await,
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = hurried => {}
        }
    }
}
