//! A window that cannot be listed is halved until only the object at fault is left out.

use super::span::{Span, State};
use super::{Asking, Walk, wants_order};
use crate::ingest::poll::checkpoint::{Gap, Ordering, ServiceBehaviour};
use crate::ingest::{ErrorClass, Instant, Refusal};
use std::time::Duration;

/// Windows given up in one poll before the poll itself is.
const MOST_GAPS: usize = 16;

/// Failures in a row at single objects that end the attempt to list what
/// shares one instant.
const MOST_MISSES: u32 = 3;

/// A window known to fail is listed object by object once it is this narrow.
const NARROW: Duration = Duration::from_millis(1);

/// The poll cannot go on; the error at hand is the reason.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::ingest) struct Hopeless;

impl Walk {
    /// Takes a failure of the last [`Walk::ask`]. An error means that the poll
    /// itself cannot go on.
    pub fn on_error(
        &mut self,
        class: ErrorClass,
        why: String,
        behaviour: &mut ServiceBehaviour,
    ) -> Result<(), Hopeless> {
        self.failed = true;
        let asking = std::mem::replace(&mut self.asking, Asking::Page);
        match (class, asking) {
            (ErrorClass::Stop, _) | (ErrorClass::Unservable, Asking::Alive { .. }) => Err(Hopeless),
            (ErrorClass::Refused(_), Asking::Alive { why }) => {
                self.close_in(why, behaviour);
                Ok(())
            }
            (class, Asking::Order { listed }) => {
                // Undecided; splitting is right in any order.
                if class != ErrorClass::Unservable {
                    behaviour.order = Ordering::Ignored;
                }
                if let Some(span) = self.spans.pop() {
                    self.split(span, &listed, behaviour);
                }
                Ok(())
            }
            (_, Asking::Before { listed, .. }) => {
                if let Some(span) = self.spans.pop() {
                    self.split(span, &listed, behaviour);
                }
                Ok(())
            }
            (ErrorClass::Refused(refusal), Asking::Page) => self.refused(refusal, behaviour),
            (ErrorClass::Unservable, Asking::Page) => {
                self.idle = None;
                self.unserved(why, behaviour);
                if self.is_hopeless() {
                    Err(Hopeless)
                } else {
                    Ok(())
                }
            }
        }
    }

    pub(super) fn refused(
        &mut self,
        refusal: Refusal,
        behaviour: &mut ServiceBehaviour,
    ) -> Result<(), Hopeless> {
        let Some(span) = self.spans.last() else {
            return Err(Hopeless);
        };
        if let State::Number { known } = span.state {
            // This was only a look: it is put off, and later numbers are asked for otherwise.
            match self.counts(known, behaviour) {
                true => behaviour.counts = false,
                false => behaviour.skip = Some(known.saturating_sub(1)),
            }
            let span = self.spans.pop();
            self.spans
                .extend(span.filter(|span| span.to >= self.end).map(|span| Span {
                    state: State::Open,
                    ..span
                }));
            return Ok(());
        }
        let (top, skip, divided) = (
            self.top(span, behaviour),
            span.skip,
            !span.tie_breakers.is_empty(),
        );
        let unproven = behaviour.order == Ordering::Unknown;
        match refusal {
            // Where no reason is named, suspect first what never worked before.
            Refusal::Unnamed if (skip > 0 || divided) && top > behaviour.largest_page => {
                behaviour.top = Some((top / 2).max(1));
            }
            Refusal::Skip | Refusal::Unnamed if skip > 0 => {
                let most = behaviour.skip.unwrap_or(u32::MAX);
                // The cap is lower than documented, or no object may be passed over at all.
                behaviour.skip = Some(most.min(if skip > 64 { skip / 4 } else { 0 }));
                if let Some(span) = self.spans.pop() {
                    self.beyond_skip(span, behaviour);
                }
            }
            Refusal::Unnamed if divided => {
                if let Some(span) = self.spans.pop() {
                    let why = "the service refuses to tell apart what carries one last update";
                    self.give_up(&span, span.to, why.into());
                }
            }
            Refusal::Order if wants_order(behaviour) => behaviour.order = Ordering::Refused,
            Refusal::Unnamed if unproven && !self.order_suspected => {
                self.order_suspected = true;
                behaviour.order = Ordering::Refused;
            }
            Refusal::Top(_) | Refusal::Unnamed if top > 1 => {
                if self.order_suspected && behaviour.order == Ordering::Refused {
                    // Leaving the order out did not help: it was not the order alone.
                    behaviour.order = Ordering::Unknown;
                    self.order_suspected = false;
                }
                let named = match refusal {
                    Refusal::Top(named) => named,
                    _ => None,
                };
                behaviour.top = Some(
                    named
                        .filter(|most| *most < top && *most > 0)
                        .unwrap_or(top / 2),
                );
            }
            _ => return Err(Hopeless),
        }
        Ok(())
    }

    pub(super) fn unserved(&mut self, why: String, behaviour: &ServiceBehaviour) {
        match self.spans.last().map(|span| span.state) {
            None => {}
            Some(State::Open | State::Single { misses: 0 }) => self.asking = Asking::Alive { why },
            Some(State::OldGap) => {
                if let Some(span) = self.spans.pop() {
                    self.still_open.push(span.from);
                }
            }
            // A look at what is known can wait; what may be new cannot.
            Some(State::Look { .. } | State::Number { .. }) => {
                let span = self.spans.pop();
                self.spans
                    .extend(span.filter(|span| span.to >= self.end).map(|span| Span {
                        state: State::Open,
                        ..span
                    }));
            }
            Some(_) => self.close_in(why, behaviour),
        }
    }

    /// The service is up but the window on top will not come: ask for less of it.
    pub(super) fn close_in(&mut self, why: String, behaviour: &ServiceBehaviour) {
        let Some(mut span) = self.spans.pop() else {
            return;
        };
        let top = self.top(&span, behaviour);
        span.behind = None;
        match span.state {
            State::Single { misses } => {
                if misses == 0 {
                    self.give_up(&span, span.to, why);
                }
                span.skip += 1;
                if misses + 1 < MOST_MISSES {
                    span.state = State::Single { misses: misses + 1 };
                    self.spans.push(span);
                }
            }
            // In order, a shorter page ends before the object at fault.
            State::Open | State::Troubled | State::Suspect
                if top > 1 && behaviour.order == Ordering::Honoured =>
            {
                if span.state == State::Open {
                    span.state = State::Troubled;
                }
                span.ahead = top;
                span.cap = Some(top / 2);
                self.spans.push(span);
            }
            // The failure may have been passing, so the window is asked for once more.
            State::Open if behaviour.order != Ordering::Honoured => {
                self.spans.push(Span {
                    state: State::Troubled,
                    ..span
                });
            }
            State::Suspect => {
                // So the fault is in this half; nothing is known of the other.
                self.reopen_other_half();
                self.spans.push(Span {
                    state: State::Bad,
                    ..span
                });
            }
            _ => self.spans.push(Span {
                state: State::Bad,
                ..span
            }),
        }
    }

    /// The half on top is a window like any other again, and one with the
    /// window after it if that one was not begun.
    pub(super) fn reopen_other_half(&mut self) {
        let Some(mut other) = self.spans.pop_if(|other| other.state == State::Bad) else {
            return;
        };
        other = other.with(other.from, other.to);
        let follows = |next: &mut Span| {
            let untouched =
                next.state == State::Open && next.skip == 0 && next.already_listed.is_empty();
            untouched && next.from == other.to && next.tie_breakers == other.tie_breakers
        };
        if let Some(next) = self.spans.pop_if(follows) {
            other.to = next.to;
        }
        self.spans.push(other);
    }

    /// A window known to fail is looked at by halves, the first half first.
    pub(super) fn open_top(&mut self) {
        while let Some(span) = self.spans.pop_if(|span| span.state == State::Bad) {
            if span.from.plus(NARROW) >= span.to {
                let single = span.with(span.from, span.to);
                self.spans.push(Span {
                    state: State::Single { misses: 0 },
                    ..single
                });
            } else {
                let middle = span.from.midpoint(span.to);
                let half = |from, to, state| Span {
                    state,
                    cap: span.cap,
                    ahead: span.cap.unwrap_or(0),
                    ..span.with(from, to)
                };
                let bad = half(middle, span.to, State::Bad);
                let first = half(span.from, middle, State::Suspect);
                self.spans.extend([bad, first]);
            }
        }
    }

    pub(super) fn give_up(&mut self, span: &Span, to: Instant, why: String) {
        if span.state == State::OldGap {
            return self.still_open.push(span.from);
        }
        // Shares of one instant fail one by one; what is missing is one window.
        if !self.given_up.insert((span.from, to)) {
            return;
        }
        self.gaps.push(Gap {
            from: span.from,
            to,
            why,
            found: self.now,
            tries: 0,
            next_try: self.now,
        });
    }

    /// Whether something listed by this poll had to be given up.
    pub fn gives_up(&self) -> bool {
        !self.given_up.is_empty()
    }

    /// Whether so many windows were given up that the poll should end.
    pub fn is_hopeless(&self) -> bool {
        self.given_up.len() > MOST_GAPS
    }
}
