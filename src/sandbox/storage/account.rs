//! The account: what it holds, who may use it, and the troubles ordered for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::sandbox::api::access::Issuer;
use crate::sandbox::storage::Settings;
use crate::sandbox::storage::access::Role;
use crate::sandbox::storage::export::Export;
use crate::sandbox::storage::refusal::Refusal;
use crate::sandbox::storage::state::State;
use crate::sandbox::trouble::{Fault, Times};

/// Which calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Lists of containers or blobs.
    List,
    /// Blobs and their properties.
    Read,
    /// Everything that changes something.
    Write,
}

/// A refusal that was ordered.
#[derive(Debug)]
struct Trouble {
    operation: Operation,
    /// In `<container>/<blob>`.
    part: String,
    fault: Option<Fault<Refusal>>,
}

/// What happened since the start.
#[derive(Debug, Default)]
pub(super) struct Counters {
    lists: AtomicU64,
    reads: AtomicU64,
    writes: AtomicU64,
    pub(super) bytes: AtomicU64,
}

/// Calls since the start, the refused ones too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Pages of lists.
    pub lists: u64,
    /// Reads of blobs and properties.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
    /// Bytes of blobs sent.
    pub bytes: u64,
}

pub(super) struct Account {
    pub(super) settings: Settings,
    /// `https://127.0.0.1:<port>/<account>`
    pub(super) url: String,
    /// Where tokens come from: `https://127.0.0.1:<port>/<tenant>`
    pub(super) login: String,
    pub(super) issuer: Arc<Issuer>,
    pub(super) writers: Vec<&'static str>,
    pub(super) counters: Counters,
    state: Mutex<State>,
    export: Mutex<Export>,
    troubles: Mutex<Vec<Trouble>>,
    without_role: Mutex<Vec<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Account {
    pub(super) fn new(
        settings: Settings,
        url: String,
        login: String,
        issuer: Arc<Issuer>,
        writers: Vec<&'static str>,
        (state, export): (State, Export),
    ) -> Self {
        Self {
            settings,
            url,
            login,
            issuer,
            writers,
            counters: Counters::default(),
            state: Mutex::new(state),
            export: Mutex::new(export),
            troubles: Mutex::default(),
            without_role: Mutex::default(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Lock it before the state.
    pub(super) fn export(&self) -> MutexGuard<'_, Export> {
        lock(&self.export)
    }

    pub(super) fn role(&self, app: &str) -> Role {
        if lock(&self.without_role).iter().any(|other| other == app) {
            Role::None
        } else if self.writers.contains(&app) {
            Role::Contributor
        } else {
            Role::Reader
        }
    }

    pub(super) fn take_role(&self, app: &str) {
        lock(&self.without_role).push(app.to_owned());
    }

    pub(super) fn count(&self, operation: Operation) {
        let counter = match operation {
            Operation::List => &self.counters.lists,
            Operation::Read => &self.counters.reads,
            Operation::Write => &self.counters.writes,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stats(&self) -> Stats {
        let counters = &self.counters;
        Stats {
            lists: counters.lists.load(Ordering::Relaxed),
            reads: counters.reads.load(Ordering::Relaxed),
            writes: counters.writes.load(Ordering::Relaxed),
            bytes: counters.bytes.load(Ordering::Relaxed),
        }
    }

    pub(super) fn refuse(&self, operation: Operation, part: &str, code: &str, times: Times) {
        lock(&self.troubles).push(Trouble {
            operation,
            part: part.to_owned(),
            fault: Some(Fault::new(Refusal::of(code), times)),
        });
    }

    pub(super) fn recover(&self) {
        lock(&self.troubles).clear();
        lock(&self.without_role).clear();
    }

    /// Refuses a call if that was ordered.
    pub(super) fn struck(&self, operation: Operation, place: &str) -> Result<(), Refusal> {
        let mut troubles = lock(&self.troubles);
        let meant = troubles
            .iter_mut()
            .filter(|trouble| trouble.operation == operation && place.contains(&trouble.part));
        let mut refusal = None;
        for trouble in meant {
            refusal = Fault::strike(&mut trouble.fault);
            if refusal.is_some() {
                break;
            }
        }
        troubles.retain(|trouble| trouble.fault.is_some());
        refusal.map_or(Ok(()), Err)
    }
}
