//! The published call quotas: so many calls a minute and an hour for each app
//! registration and API family.

use crate::sandbox::Family;
use crate::sandbox::api::answer::Refusal;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use axum::http::StatusCode;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::sandbox) enum Counter {
    /// Graph security alerts and incidents: 150 a minute.
    Graph,
    /// MDE list, get and update: 100 a minute, 1500 an hour.
    Mde,
    /// MDE `batchUpdate`: 10 a minute, 500 an hour.
    MdeBatch,
    /// XDR incidents: 50 a minute, 1500 an hour.
    Xdr,
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

impl Counter {
    const fn limits(self) -> &'static [(Duration, usize)] {
        match self {
            Self::Graph => &[(MINUTE, 150)],
            Self::Mde => &[(MINUTE, 100), (HOUR, 1500)],
            Self::MdeBatch => &[(MINUTE, 10), (HOUR, 500)],
            Self::Xdr => &[(MINUTE, 50), (HOUR, 1500)],
        }
    }

    const fn family(self) -> Family {
        match self {
            Self::Graph => Family::Graph,
            Self::Mde | Self::MdeBatch => Family::Mde,
            Self::Xdr => Family::Xdr,
        }
    }
}

#[derive(Debug, Default)]
pub(in crate::sandbox) struct Quotas {
    calls: HashMap<(String, Counter), VecDeque<Instant>>,
}

impl Quotas {
    /// Counts a call, unless one of its quotas is used up.
    pub(in crate::sandbox) fn count(
        &mut self,
        app: &str,
        counter: Counter,
        now: Instant,
    ) -> Result<(), Refusal> {
        let calls = self.calls.entry((app.to_owned(), counter)).or_default();
        while calls
            .front()
            .is_some_and(|call| now.saturating_duration_since(*call) >= HOUR)
        {
            calls.pop_front();
        }
        let wait = counter
            .limits()
            .iter()
            .filter_map(|(span, most)| {
                let oldest = calls.get(calls.len().checked_sub(*most)?)?;
                span.checked_sub(now.saturating_duration_since(*oldest))
            })
            .filter(|wait| !wait.is_zero())
            .max();
        match wait {
            None => {
                calls.push_back(now);
                Ok(())
            }
            Some(wait) => {
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                let message = match counter.family() {
                    Family::Graph => "Too many requests.".to_owned(),
                    Family::Mde => {
                        format!("Rate limit is exceeded. Try again in {seconds} seconds.")
                    }
                    Family::Xdr => {
                        format!("API calls quota exceeded. Try again in {seconds} seconds.")
                    }
                };
                Err(Refusal {
                    retry_after: Some(seconds),
                    ..Refusal::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message)
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minute_and_the_hour_are_counted_apart_for_each_app() {
        let (mut quotas, start) = (Quotas::default(), Instant::now());
        for call in 0..10 {
            quotas
                .count("a", Counter::MdeBatch, start + Duration::from_secs(call))
                .unwrap();
        }
        let refusal = quotas
            .count(
                "a",
                Counter::MdeBatch,
                start + Duration::from_millis(20_500),
            )
            .unwrap_err();
        assert_eq!(refusal.retry_after, Some(40));
        assert_eq!(
            refusal.message,
            "Rate limit is exceeded. Try again in 40 seconds."
        );
        quotas.count("b", Counter::MdeBatch, start).unwrap();
        quotas.count("a", Counter::Mde, start).unwrap();
        quotas
            .count("a", Counter::MdeBatch, start + MINUTE)
            .unwrap();

        let mut hour = Quotas::default();
        for call in 0..500 {
            hour.count(
                "a",
                Counter::MdeBatch,
                start + Duration::from_secs(call * 7),
            )
            .unwrap();
        }
        let refusal = hour
            .count("a", Counter::MdeBatch, start + Duration::from_secs(3500))
            .unwrap_err();
        assert_eq!(refusal.retry_after, Some(100));
    }
}
