//! A little tenant in memory: it keeps objects, honours the valid pairs, shows
//! some writes late, and has objects of every temper.

use crate::triage::{
    Action, Api, Change, Clock, Desk, DeskError, Desks, Entry, Failing, Form, Ledger, Limits,
    Owner, Receipt, Row, State, Subject, Summary, Target, TriageError, triage,
};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// How an object takes being read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Temper {
    Kind,
    /// Shows a write only from this read-back on.
    Slow(u32),
    Missing,
    ForbidsRead,
    ForbidsWrite,
    ThrottlesRead,
    ThrottlesWrite,
    RefusesWrite,
    BreaksOnWrite,
    /// The whole call that reads it is never answered.
    MuteOnRead,
    /// The whole call that writes it is never answered.
    MuteOnWrite,
    /// The answer to a write ends before it.
    CutsAnswer,
    /// Carries a write out and answers that it failed.
    LosesAnswer,
    /// Writes all but the comment, and says it was throttled.
    LosesComment,
}

#[derive(Debug, Clone)]
pub struct Object {
    pub temper: Temper,
    pub state: State,
    /// What reads show, for so many reads more.
    stale: Option<(State, u32)>,
}

/// What happened, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    Read(String),
    Wrote(Vec<String>),
    Recorded(usize),
}

#[derive(Debug, Default)]
pub struct Tenant {
    pub objects: RefCell<BTreeMap<String, Object>>,
    pub log: Rc<RefCell<Vec<Happened>>>,
}

#[derive(Debug, thiserror::Error)]
#[error("the tenant says {failing:?}")]
pub struct Refusal {
    failing: Failing,
}

impl DeskError for Refusal {
    fn failing(&self) -> Failing {
        self.failing
    }
    fn request_id(&self) -> Option<&str> {
        Some("req-refused")
    }
}

/// One account's tenant, or none that answers.
pub type Accounts = BTreeMap<String, Result<Rc<Tenant>, Failing>>;

pub struct Office(pub Accounts);

impl Desks for Office {
    type Desk = Rc<Tenant>;

    async fn open(&self, account: &str, _: Api) -> Result<Rc<Tenant>, Refusal> {
        self.0[account]
            .clone()
            .map_err(|failing| Refusal { failing })
    }
}

impl Tenant {
    pub fn with<'o>(objects: impl IntoIterator<Item = (&'o str, Temper)>) -> Rc<Self> {
        let tenant = Self::default();
        for (id, temper) in objects {
            tenant.put(id, temper, State::default());
        }
        Rc::new(tenant)
    }

    pub fn put(&self, id: &str, temper: Temper, state: State) {
        let state = State {
            status: state.status.or_else(|| Some("new".to_owned())),
            updated: Some("2026-11-21T10:00:00.1234567Z".to_owned()),
            ..state
        };
        self.objects.borrow_mut().insert(
            id.to_owned(),
            Object {
                temper,
                state,
                stale: None,
            },
        );
    }

    pub fn state(&self, id: &str) -> State {
        self.objects.borrow()[id].state.clone()
    }

    /// Lets every write show.
    pub fn settle(&self) {
        for object in self.objects.borrow_mut().values_mut() {
            object.stale = None;
        }
    }

    pub fn writes(&self) -> usize {
        let log = self.log.borrow();
        log.iter()
            .filter(|happened| matches!(happened, Happened::Wrote(_)))
            .count()
    }

    fn change(&self, id: &str, change: &Change) -> Result<Receipt, Refusal> {
        let mut objects = self.objects.borrow_mut();
        let refusal = |failing| Err(Refusal { failing });
        let Some(object) = objects.get_mut(id) else {
            return refusal(Failing::NotFound);
        };
        match object.temper {
            Temper::Missing => return refusal(Failing::NotFound),
            Temper::ForbidsWrite => return refusal(Failing::Forbidden),
            Temper::ThrottlesWrite => return refusal(Failing::Throttled),
            Temper::RefusesWrite => return refusal(Failing::Invalid),
            Temper::BreaksOnWrite => return refusal(Failing::Failed),
            _ => {}
        }
        let pair = (change.classification, change.determination);
        match pair {
            (_, None) => {}
            (Some(class), Some(what)) if class.determinations().contains(&what) => {}
            _ => return refusal(Failing::Invalid),
        }
        if let Temper::Slow(reads) = object.temper {
            object.stale = Some((object.state.clone(), reads));
        }
        let state = &mut object.state;
        let word = |new: Option<String>, old: &mut Option<String>| {
            if new.is_some() {
                *old = new;
            }
        };
        word(change.status.map(|s| s.to_string()), &mut state.status);
        word(
            change.classification.map(|c| c.to_string()),
            &mut state.classification,
        );
        word(
            change.determination.map(|d| d.to_string()),
            &mut state.determination,
        );
        match &change.assigned_to {
            None => {}
            Some(Owner::Nobody) => state.assigned_to = None,
            Some(Owner::User(name)) => state.assigned_to = Some(name.clone()),
        }
        if object.temper != Temper::LosesComment {
            state.comments.extend(change.comment.clone());
        }
        state.tags.retain(|tag| !change.tags_remove.contains(tag));
        state.tags.extend(change.tags_add.iter().cloned());
        match object.temper {
            Temper::LosesAnswer => return refusal(Failing::Failed),
            Temper::LosesComment if change.comment.is_some() => return refusal(Failing::Throttled),
            _ => {}
        }
        Ok(Receipt {
            request_id: Some(format!("req-{id}")),
            attempts: 1,
        })
    }
}

impl Desk for Rc<Tenant> {
    type Error = Refusal;

    async fn read(&self, target: &Target) -> Result<State, Refusal> {
        pass_on().await;
        self.log
            .borrow_mut()
            .push(Happened::Read(target.id.clone()));
        let temper = self.objects.borrow().get(&target.id).map(|o| o.temper);
        let failing = match temper {
            None | Some(Temper::Missing) => Failing::NotFound,
            Some(Temper::ForbidsRead) => Failing::Forbidden,
            Some(Temper::ThrottlesRead) => Failing::Throttled,
            Some(Temper::MuteOnRead) => pending().await,
            Some(_) => {
                let mut objects = self.objects.borrow_mut();
                let object = objects.get_mut(&target.id).unwrap();
                return Ok(match object.stale.take() {
                    Some((state, left)) if left > 0 => {
                        object.stale = Some((state.clone(), left - 1));
                        state
                    }
                    _ => object.state.clone(),
                });
            }
        };
        Err(Refusal { failing })
    }

    async fn write(
        &self,
        targets: &[Target],
        change: &Change,
        marker: &str,
    ) -> Vec<Result<Receipt, Refusal>> {
        let ids: Vec<String> = targets.iter().map(|target| target.id.clone()).collect();
        self.log.borrow_mut().push(Happened::Wrote(ids.clone()));
        pass_on().await;
        if let Some(comment) = &change.comment {
            assert!(comment.ends_with(marker));
        }
        let temper = |id: &String| self.objects.borrow().get(id).map(|object| object.temper);
        if ids.iter().any(|id| temper(id) == Some(Temper::MuteOnWrite)) {
            return pending().await;
        }
        ids.iter()
            .take_while(|id| temper(id) != Some(Temper::CutsAnswer))
            .map(|id| self.change(id, change))
            .collect()
    }
}

/// Entries in the order in which they were written down.
#[derive(Debug, Default)]
pub struct Pages {
    pub entries: Vec<Entry>,
    pub log: Option<Rc<RefCell<Vec<Happened>>>>,
}

impl Ledger for Pages {
    async fn record(&mut self, entry: &Entry) {
        pass_on().await;
        self.entries.push(entry.clone());
        if let Some(log) = &self.log {
            log.borrow_mut().push(Happened::Recorded(entry.row));
        }
    }
}

/// Time that passes only while somebody waits for it, a little every round.
#[derive(Debug, Default)]
pub struct Hourglass(Cell<Duration>);

impl Clock for Hourglass {
    fn now(&self) -> jiff::Timestamp {
        "2026-11-21T10:05:00.25Z".parse().unwrap()
    }

    fn elapsed(&self) -> Duration {
        self.0.get()
    }

    async fn sleep(&self, pause: Duration) {
        let end = self.0.get() + pause;
        while self.0.get() < end {
            pass_on().await;
            self.0.set(self.0.get() + Duration::from_millis(5));
        }
    }
}

/// Lets everybody else have a turn.
async fn pass_on() {
    let mut passed = false;
    poll_fn(|context| {
        if passed {
            return Poll::Ready(());
        }
        passed = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A whole call of triage, with what usually stands around it.
pub struct Call {
    pub action: Action,
    pub accounts: Accounts,
    pub clock: Hourglass,
}

impl Call {
    pub fn new(subject: Subject, tenant: &Rc<Tenant>, parameters: &[(&str, &str)]) -> Self {
        let base = [("account", "contoso")];
        let known = ["contoso".to_owned(), "fabrikam".to_owned()];
        let form = Form::parse(
            subject,
            known.into(),
            base.iter().chain(parameters).copied(),
        );
        Self {
            action: Action {
                name: "defender_update_alert".to_owned(),
                batch: "batch-1".to_owned(),
                actor: "analyst".to_owned(),
                form: form.unwrap(),
                limits: Limits {
                    max_targets: 10_000,
                    deadline: Duration::from_secs(20),
                    grace: Duration::from_secs(10),
                },
                sid: Some("scheduler__1".to_owned()),
                search_name: None,
            },
            accounts: [("contoso".to_owned(), Ok(Rc::clone(tenant)))].into(),
            clock: Hourglass::default(),
        }
    }

    pub fn run(&self, rows: &[Row]) -> Result<(Summary, Vec<Entry>), TriageError> {
        self.run_into(rows, Pages::default())
    }

    pub fn run_into(
        &self,
        rows: &[Row],
        mut pages: Pages,
    ) -> Result<(Summary, Vec<Entry>), TriageError> {
        let office = Office(self.accounts.clone());
        let summary = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(triage(&self.action, rows, &office, &mut pages, &self.clock))?;
        Ok((summary, pages.entries))
    }
}

/// A row of text fields; `|` parts the values of a cell.
pub fn row(fields: &[(&str, &str)]) -> Row {
    Row::new(fields.iter().map(|(name, cell)| {
        let values = cell.split('|').map(str::to_owned);
        ((*name).to_owned(), values.collect())
    }))
}
