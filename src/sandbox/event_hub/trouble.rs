//! What a hub is told to do wrong.

use std::collections::VecDeque;

use crate::sandbox::event_hub::refusal::Refusal;
use crate::sandbox::trouble::Fault;

/// What ends while a receiver reads, and with which condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Its link.
    Link(String),
    /// Its connection, and all links on it.
    Connection(String),
    /// Its connection's socket, without a word.
    Socket,
}

/// The faults there are.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    /// Receivers are refused so.
    pub(super) receivers: Option<Fault<Refusal>>,
    /// Of the receivers that come, one after the other: after how many events they end, and how.
    pub(super) ends: VecDeque<(u64, End)>,
    /// Published events are refused so.
    pub(super) publishing: Option<Fault<Refusal>>,
    /// Tokens are answered with this status.
    pub(super) tokens: Option<Fault<i32>>,
    /// Questions of management are answered with this status.
    pub(super) management: Option<Fault<i32>>,
}

impl Troubles {
    pub(super) fn receiver(&mut self) -> Option<Refusal> {
        Fault::strike(&mut self.receivers)
    }

    pub(super) fn publishing(&mut self) -> Option<Refusal> {
        Fault::strike(&mut self.publishing)
    }

    pub(super) fn token(&mut self) -> Option<i32> {
        Fault::strike(&mut self.tokens)
    }

    pub(super) fn question(&mut self) -> Option<i32> {
        Fault::strike(&mut self.management)
    }
}
