//! What a hub is told to do wrong, so that clients can show what they make of it.

use crate::sandbox::event_hub::refusal::Refusal;

/// How often something goes wrong before it is well again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// So often.
    Next(u32),
    /// Until it is told to stop.
    Always,
}

/// A fault that is there for some time.
#[derive(Debug)]
pub(super) struct Fault<T> {
    what: T,
    times: Times,
}

impl<T: Clone> Fault<T> {
    pub(super) const fn new(what: T, times: Times) -> Self {
        Self { what, times }
    }

    /// The fault, if it is still there; it counts.
    fn strike(fault: &mut Option<Self>) -> Option<T> {
        let known = fault.as_mut()?;
        let what = known.what.clone();
        match &mut known.times {
            Times::Always => {}
            Times::Next(0) => {
                *fault = None;
                return None;
            }
            Times::Next(left) => *left -= 1,
        }
        Some(what)
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_there_as_often_as_it_was_ordered() {
        let mut troubles = Troubles::default();
        assert_eq!(troubles.token(), None);
        troubles.tokens = Some(Fault::new(401, Times::Next(2)));
        let tokens: Vec<_> = (0..4).map(|_| troubles.token()).collect();
        assert_eq!(tokens, [Some(401), Some(401), None, None]);
        troubles.management = Some(Fault::new(503, Times::Always));
        assert!((0..4).all(|_| troubles.question() == Some(503)));
    }
}
