//! What a counterpart is told to do wrong, so that clients can show what they make of it.

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
    pub(super) fn strike(fault: &mut Option<Self>) -> Option<T> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_there_as_often_as_it_was_ordered() {
        let mut twice = Some(Fault::new(401, Times::Next(2)));
        let struck: Vec<_> = (0..4).map(|_| Fault::strike(&mut twice)).collect();
        assert_eq!(struck, [Some(401), Some(401), None, None]);
        let mut lasting = Some(Fault::new(503, Times::Always));
        assert!((0..4).all(|_| Fault::strike(&mut lasting) == Some(503)));
    }
}
