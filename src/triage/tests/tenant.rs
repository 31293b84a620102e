//! A little tenant in memory: it keeps objects, honours the valid pairs, shows
//! some writes late, hands an incident's verdict on to its alerts, and has
//! objects of every temper.

use crate::triage::vocabulary::Status;
use crate::triage::{
    Accounts, Action, Api, CarryOver, Change, Clock, DefenderClient, Entry, Failing, Form, Ledger,
    Limits, Owner, Receipt, Row, State, Subject, Summary, Target, TriageError, UpdateError, Via,
    triage,
};
use futures::future::join;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, pending, poll_fn};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// How an object takes being read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Temper {
    Kind,
    /// Shows a write only from this read-back on.
    Slow(u32),
    /// Is read from a list, which shows a write only from this look on.
    Listed(u32),
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
    /// The same, and shows the write only from this read-back on.
    LosesAnswerSlowly(u32),
    /// Refuses the first write because a colleague is at it, who leaves it so.
    Overtaken(&'static str),
    /// Refuses all writes because somebody is always at it.
    Busy,
    /// Is left out of the first call that writes it, and the answer is well.
    LeftOut,
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

/// Where all objects begin to count their updates.
const BEGUN: &str = "2026-11-21T10:00:00.1234567Z";

#[derive(Debug, Default)]
pub struct Tenant {
    pub objects: RefCell<BTreeMap<String, Object>>,
    /// Which incident has which alert.
    pub alerts: RefCell<Vec<(String, String)>>,
    /// What was sent, call by call.
    pub sent: RefCell<Vec<Change>>,
    /// A colleague resolves these as soon as the other is read.
    pub colleague: RefCell<Option<(String, Vec<String>)>>,
    /// What the colleague makes of them instead.
    pub made: RefCell<Option<State>>,
    /// The colleague's doing is an update of the incident he waited for, too.
    pub follows: Cell<bool>,
    /// Incidents hand on classification and determination as well.
    pub hands_on_all: Cell<bool>,
    updates: Cell<i64>,
    pub log: Rc<RefCell<Vec<Happened>>>,
}

#[derive(Debug, thiserror::Error)]
#[error("the tenant says {failing:?}")]
pub struct Refusal {
    failing: Failing,
}

impl UpdateError for Refusal {
    fn failing(&self) -> Failing {
        self.failing
    }
    fn uncertain(&self) -> bool {
        self.failing == Failing::Failed
    }
    fn request_id(&self) -> Option<&str> {
        Some("req-refused")
    }
}

/// One account's tenant, or none that answers.
pub type Tenants = BTreeMap<String, Result<Rc<Tenant>, Failing>>;

pub struct Office(pub Tenants);

impl Accounts for Office {
    type Client = Rc<Tenant>;

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
            updated: state.updated.or_else(|| Some(BEGUN.to_owned())),
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

    /// Lets the colleague have his turn, if he waits for this.
    fn meanwhile(&self, id: &str) {
        let waits = |(read, _): &mut (String, Vec<String>)| read == id;
        let colleague = self.colleague.borrow_mut().take_if(waits);
        let Some((incident, alerts)) = colleague else {
            return;
        };
        let resolves = || State {
            status: Some("resolved".to_owned()),
            ..State::default()
        };
        let made = self.made.borrow().clone().unwrap_or_else(resolves);
        let follows = self.follows.get().then_some(incident);
        let all = alerts.iter().chain(&follows);
        for (place, id) in all.enumerate() {
            let updated = self.now();
            let mut objects = self.objects.borrow_mut();
            let state = &mut objects.get_mut(id).unwrap().state;
            if place < alerts.len() {
                let old = std::mem::take(state);
                *state = State {
                    status: made.status.clone().or(old.status),
                    classification: made.classification.clone().or(old.classification),
                    determination: made.determination.clone().or(old.determination),
                    assigned_to: made.assigned_to.clone().or(old.assigned_to),
                    resolved: match made.status.as_deref() {
                        Some("resolved") => updated.clone(),
                        _ => old.resolved,
                    },
                    ..old
                };
            }
            state.updated = updated;
        }
    }

    /// With the incident it belongs to.
    fn listed_or_read(&self, id: &str, state: State) -> State {
        let alerts = self.alerts.borrow();
        let of = alerts.iter().find(|(_, alert)| alert == id);
        State {
            incident: of.map(|(incident, _)| incident.clone()),
            ..state
        }
    }

    /// As a read shows it, which is one look.
    fn shown(&self, id: &str) -> State {
        let mut objects = self.objects.borrow_mut();
        let object = objects.get_mut(id).unwrap();
        match object.stale.take() {
            Some((state, left)) if left > 0 => {
                object.stale = Some((state.clone(), left - 1));
                state
            }
            _ => object.state.clone(),
        }
    }

    /// How often it was read by itself.
    pub fn reads(&self, id: &str) -> usize {
        let log = self.log.borrow();
        let of = |happened: &&Happened| matches!(happened, Happened::Read(read) if read == id);
        log.iter().filter(of).count()
    }

    /// Lets every write show, but not yet in lists.
    pub fn show_all(&self) {
        for object in self.objects.borrow_mut().values_mut() {
            if !matches!(object.temper, Temper::Listed(_)) {
                object.stale = None;
            }
        }
    }

    pub fn writes(&self) -> usize {
        let log = self.log.borrow();
        log.iter()
            .filter(|happened| matches!(happened, Happened::Wrote(_)))
            .count()
    }

    /// What lists show of an object for so many looks, whatever stands.
    pub fn lag(&self, id: &str, shown: State, looks: u32) {
        let mut objects = self.objects.borrow_mut();
        objects.get_mut(id).unwrap().stale = Some((shown, looks));
    }

    fn now(&self) -> Option<String> {
        let begun: jiff::Timestamp = BEGUN.parse().unwrap();
        self.updates.set(self.updates.get() + 1);
        let now = begun + jiff::SignedDuration::from_secs(self.updates.get());
        Some(now.to_string())
    }

    /// What the alerts of an incident take over from it.
    fn hand_on(&self, incident: &str, change: &Change) {
        let resolved = change.status == Some(Status::Resolved);
        for (_, alert) in self.alerts.borrow().iter().filter(|(of, _)| of == incident) {
            let mut objects = self.objects.borrow_mut();
            let Some(Object { state, .. }) = objects.get_mut(alert) else {
                continue;
            };
            if resolved && state.status.as_deref() != Some("resolved") {
                state.status = Some("resolved".to_owned());
                state.updated = self.now();
                state.resolved.clone_from(&state.updated);
            }
            let pair = (change.classification, change.determination);
            if let ((Some(class), Some(what)), true) = (pair, self.hands_on_all.get()) {
                let pair = [Some(class.to_string()), Some(what.to_string())];
                if [&state.classification, &state.determination] != [&pair[0], &pair[1]] {
                    [state.classification, state.determination] = pair;
                    state.updated = self.now();
                }
            }
            if let Some(Owner::User(name)) = &change.assigned_to
                && state.assigned_to.as_ref() != Some(name)
            {
                state.assigned_to = Some(name.clone());
                state.updated = self.now();
            }
        }
    }

    fn change(&self, id: &str, change: &Change, marker: &str) -> Result<Receipt, Refusal> {
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
            Temper::Busy => return refusal(Failing::Overtaken),
            Temper::Overtaken(status) => {
                object.temper = Temper::Kind;
                object.state.status = Some(status.to_owned());
                object.state.updated = self.now();
                return refusal(Failing::Overtaken);
            }
            Temper::LeftOut => {
                object.temper = Temper::Kind;
                return Ok(Receipt::default());
            }
            _ => {}
        }
        let pair = (change.classification, change.determination);
        match pair {
            (_, None) => {}
            (Some(class), Some(what)) if class.determinations().contains(&what) => {}
            _ => return refusal(Failing::Invalid),
        }
        if let Temper::Slow(reads) | Temper::Listed(reads) | Temper::LosesAnswerSlowly(reads) =
            object.temper
        {
            object.stale = Some((object.state.clone(), reads));
        }
        let before = object.state.clone();
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
        let stands =
            change.comment.is_some() && state.comments.iter().any(|said| said.contains(marker));
        // Behind a list, the client itself looks before it adds a comment.
        let looks = matches!(object.temper, Temper::Listed(_));
        assert!(
            looks || !stands,
            "a comment that could be seen is sent again"
        );
        if object.temper != Temper::LosesComment && !stands {
            state.comments.extend(change.comment.clone());
        }
        state.tags.retain(|tag| !change.tags_remove.contains(tag));
        state.tags.extend(change.tags_add.iter().cloned());
        if *state != before {
            state.updated = self.now();
        }
        let temper = object.temper;
        drop(objects);
        self.hand_on(id, change);
        match temper {
            Temper::LosesAnswer | Temper::LosesAnswerSlowly(_) => return refusal(Failing::Failed),
            Temper::LosesComment if change.comment.is_some() => return refusal(Failing::Throttled),
            _ => {}
        }
        Ok(Receipt {
            request_id: Some(format!("req-{id}")),
            attempts: 1,
        })
    }
}

impl DefenderClient for Rc<Tenant> {
    type Error = Refusal;

    /// Later than what was updated last, and earlier than what is next.
    fn time_there(&self) -> Option<jiff::Timestamp> {
        let begun: jiff::Timestamp = BEGUN.parse().unwrap();
        let since = jiff::SignedDuration::from_secs(self.updates.get());
        Some(begun + since + jiff::SignedDuration::from_millis(500))
    }

    async fn read(&self, target: &Target) -> Result<State, Refusal> {
        pass_on().await;
        self.log
            .borrow_mut()
            .push(Happened::Read(target.id.clone()));
        self.meanwhile(&target.id);
        let temper = self.objects.borrow().get(&target.id).map(|o| o.temper);
        let failing = match temper {
            None | Some(Temper::Missing) => Failing::NotFound,
            Some(Temper::ForbidsRead) => Failing::Forbidden,
            Some(Temper::ThrottlesRead) => Failing::Throttled,
            Some(Temper::MuteOnRead) => pending().await,
            Some(Temper::Listed(_)) => {
                return Ok(self.listed_or_read(&target.id, self.state(&target.id)));
            }
            Some(_) => return Ok(self.listed_or_read(&target.id, self.shown(&target.id))),
        };
        Err(Refusal { failing })
    }

    async fn read_many(&self, targets: &[Target]) -> Vec<Result<State, Refusal>> {
        let mut read = Vec::new();
        for target in targets {
            let temper = self.objects.borrow().get(&target.id).map(|o| o.temper);
            read.push(match temper {
                Some(Temper::Listed(_)) => {
                    pass_on().await;
                    Ok(State {
                        listed: true,
                        ..self.listed_or_read(&target.id, self.shown(&target.id))
                    })
                }
                _ => self.read(target).await,
            });
        }
        read
    }

    async fn write(
        &self,
        targets: &[Target],
        change: &Change,
        marker: &str,
    ) -> Vec<Result<Receipt, Refusal>> {
        let ids: Vec<String> = targets.iter().map(|target| target.id.clone()).collect();
        self.log.borrow_mut().push(Happened::Wrote(ids.clone()));
        self.sent.borrow_mut().push(change.clone());
        pass_on().await;
        if let Some(comment) = &change.comment {
            assert!(comment.ends_with(marker));
        }
        let temper = |id: &String| self.objects.borrow().get(id).map(|object| object.temper);
        if ids.iter().any(|id| temper(id) == Some(Temper::MuteOnWrite)) {
            return pending().await;
        }
        let mut answers = Vec::new();
        for id in ids
            .iter()
            .take_while(|id| temper(id) != Some(Temper::CutsAnswer))
        {
            answers.push(self.change(id, change, marker));
            pass_on().await;
        }
        answers
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
    pub accounts: Tenants,
    pub clock: Hourglass,
}

impl Call {
    pub fn new(subject: Subject, tenant: &Rc<Tenant>, parameters: &[(&str, &str)]) -> Self {
        let base = [("account", "contoso"), ("rows_overrule", "true")];
        let known = ["contoso".to_owned(), "fabrikam".to_owned()];
        let form = Form::parse(
            subject,
            known.into(),
            base.iter().chain(parameters).copied(),
        );
        Self {
            action: Action {
                name: "defender_bridge_update_alert".to_owned(),
                batch: "batch-1".to_owned(),
                actor: "analyst".to_owned(),
                form: form.unwrap(),
                limits: Limits {
                    max_targets: 10_000,
                    deadline: Duration::from_secs(20),
                    grace: Duration::from_secs(10),
                },
                alert_user: None,
                via: Via::Direct,
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

    /// The run is killed when it has been given so many turns; what it had
    /// recorded by then, and whether that was before its end.
    pub fn run_for(&self, rows: &[Row], turns: usize) -> (Vec<Entry>, bool) {
        let office = Office(self.accounts.clone());
        let (mut pages, mut carry_over) = (Pages::default(), CarryOver::default());
        let run = triage(
            &self.action,
            rows,
            &office,
            &mut pages,
            &self.clock,
            &mut carry_over,
        );
        let mut run = Box::pin(run);
        let mut left = turns;
        let killed = block_on(poll_fn(|context| {
            if left == 0 {
                return Poll::Ready(true);
            }
            left -= 1;
            run.as_mut().poll(context).map(|_| false)
        }));
        drop(run);
        (pages.entries, killed)
    }

    /// Two runs at once, turn by turn.
    pub fn run_beside(&self, other: &Self, rows: &[Row]) -> [(Summary, Vec<Entry>); 2] {
        let offices = [self, other].map(|call| Office(call.accounts.clone()));
        let (mut one, mut two) = (Pages::default(), Pages::default());
        let [mut here, mut there] = [CarryOver::default(), CarryOver::default()];
        let [action, beside] = [&self.action, &other.action];
        let (first, second) = block_on(join(
            triage(action, rows, &offices[0], &mut one, &self.clock, &mut here),
            triage(
                beside,
                rows,
                &offices[1],
                &mut two,
                &other.clock,
                &mut there,
            ),
        ));
        [
            (first.unwrap(), one.entries),
            (second.unwrap(), two.entries),
        ]
    }

    pub fn run_into(
        &self,
        rows: &[Row],
        pages: Pages,
    ) -> Result<(Summary, Vec<Entry>), TriageError> {
        self.run_on(rows, pages, &mut CarryOver::default())
    }

    /// After earlier rows, with what they left behind.
    pub fn run_on(
        &self,
        rows: &[Row],
        mut pages: Pages,
        carry_over: &mut CarryOver,
    ) -> Result<(Summary, Vec<Entry>), TriageError> {
        let office = Office(self.accounts.clone());
        let run = triage(
            &self.action,
            rows,
            &office,
            &mut pages,
            &self.clock,
            carry_over,
        );
        let summary = block_on(run)?;
        Ok((summary, pages.entries))
    }
}

fn block_on<F: Future>(work: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(work)
}

/// A row of text fields; `|` parts the values of a cell.
pub fn row(fields: &[(&str, &str)]) -> Row {
    Row::new(fields.iter().map(|(name, cell)| {
        let values = cell.split('|').map(str::to_owned);
        ((*name).to_owned(), values.collect())
    }))
}
