//! What a hub is told to do wrong.

use crate::sandbox::event_hub::refusal::Refusal;
use crate::sandbox::trouble::Fault;

/// The faults there are.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    /// Receivers are refused so.
    pub(super) receivers: Option<Fault<Refusal>>,
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
