//! What cannot be read at the moment: said at once and then ever more seldom, and told by
//! each report with since when.

use crate::ingest::Instant;
use std::collections::BTreeMap;
use std::time::Duration;

/// Until the same is said again: first, and from then on.
const AGAIN: Duration = Duration::from_secs(600);
const LATER: Duration = Duration::from_secs(3600);
/// Trouble that was shorter ends without a word.
const WORTH_A_WORD: Duration = Duration::from_secs(60);
/// Different texts that are remembered.
const MOST_TEXTS: usize = 64;

/// What fails, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    pub since: Instant,
    pub lasts: Duration,
    pub what: String,
}

/// Whatever fails at the moment.
#[derive(Default)]
pub(super) struct Troubles {
    failing: BTreeMap<String, Failure>,
    said: BTreeMap<String, Said>,
}

struct Failure {
    since: Instant,
    begun: Duration,
    what: String,
}

struct Said {
    at: Duration,
    again: Duration,
}

impl Troubles {
    /// `of` fails, a partition for one, so that it is tried again. `now` is a time of
    /// day, `elapsed` never runs backwards.
    pub(super) fn fails(&mut self, of: &str, what: &str, now: Instant, elapsed: Duration) {
        let failure = self.failing.entry(of.to_owned()).or_insert(Failure {
            since: now,
            begun: elapsed,
            what: String::new(),
        });
        what.clone_into(&mut failure.what);
        let since = failure.since;
        match self.is_worth_a_word(what, elapsed) {
            Word::First => tracing::warn!("{what}; it is tried again"),
            Word::Again => tracing::warn!("{what}; it has been tried again since {since}"),
            Word::None => tracing::debug!("{of}: {what}; it is tried again"),
        }
    }

    pub(super) fn ends(&mut self, of: &str, elapsed: Duration) {
        let Some(failure) = self.failing.remove(of) else {
            return;
        };
        let lasted = elapsed.saturating_sub(failure.begun);
        if self.failing.is_empty() && lasted >= WORTH_A_WORD {
            tracing::info!(
                "reading goes on after {} s of trouble ({})",
                lasted.as_secs(),
                failure.what
            );
        }
    }

    /// What has failed for longest.
    pub(super) fn failing(&self, elapsed: Duration) -> Option<Failing> {
        let failure = self.failing.values().min_by_key(|failure| failure.begun)?;
        Some(Failing {
            since: failure.since,
            lasts: elapsed.saturating_sub(failure.begun),
            what: failure.what.clone(),
        })
    }

    /// One cause makes all partitions fail, and each of their tries.
    fn is_worth_a_word(&mut self, what: &str, elapsed: Duration) -> Word {
        if let Some(said) = self.said.get_mut(what) {
            if elapsed.saturating_sub(said.at) < said.again {
                return Word::None;
            }
            (said.at, said.again) = (elapsed, LATER);
            return Word::Again;
        }
        if self.said.len() >= MOST_TEXTS {
            let recent = |said: &Said| elapsed.saturating_sub(said.at) < said.again;
            self.said.retain(|_, said| recent(said));
        }
        if self.said.len() >= MOST_TEXTS {
            return Word::None;
        }
        let said = Said {
            at: elapsed,
            again: AGAIN,
        };
        self.said.insert(what.to_owned(), said);
        Word::First
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Word {
    First,
    Again,
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_at_once_again_after_ten_minutes_and_then_hourly() {
        let mut troubles = Troubles::default();
        let mut said = Vec::new();
        // A day of tries, one a minute, of two partitions.
        for minute in 0..24 * 60_u64 {
            let elapsed = Duration::from_secs(60 * minute);
            for _partition in 0..2 {
                match troubles.is_worth_a_word("no route", elapsed) {
                    Word::None => {}
                    Word::First | Word::Again => said.push(minute),
                }
            }
        }
        assert_eq!(said.get(..4), Some(&[0, 10, 70, 130][..]));
        assert_eq!(said.len(), 25);
    }

    #[test]
    fn however_many_causes_there_are_few_are_said_and_remembered() {
        let mut troubles = Troubles::default();
        let words = (0..10_000).filter(|number| {
            let what = format!("cause {number}");
            troubles.is_worth_a_word(&what, Duration::ZERO) == Word::First
        });
        assert_eq!(words.count(), MOST_TEXTS);
        assert_eq!(troubles.said.len(), MOST_TEXTS);
        let later = AGAIN + LATER;
        assert_eq!(troubles.is_worth_a_word("new", later), Word::First);
    }

    #[test]
    fn it_is_told_since_when_whatever_is_tried_meanwhile() {
        let mut troubles = Troubles::default();
        let (second, start) = (Duration::from_secs(1), Instant::from_millis(5_000));
        assert_eq!(troubles.failing(second), None);
        troubles.fails("0", "gone", start, second);
        troubles.fails("1", "gone", start.plus(second), 2 * second);
        troubles.fails("0", "busy", start.plus(2 * second), 3 * second);
        let failing = troubles.failing(9 * second).unwrap();
        assert_eq!((failing.since, failing.lasts), (start, 8 * second));
        assert_eq!(failing.what, "busy");
        troubles.ends("0", 9 * second);
        let since = |troubles: &Troubles| troubles.failing(9 * second).map(|failing| failing.since);
        assert_eq!(since(&troubles), Some(start.plus(second)));
        troubles.ends("1", 9 * second);
        assert_eq!(since(&troubles), None);
    }
}
