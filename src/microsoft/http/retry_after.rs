//! How long a service asks to be left alone.

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Longest wait believed; a service that asks for more is asked again then.
const LONGEST: Duration = Duration::from_secs(3600);

/// `Retry-After` in seconds or as a date, else Microsoft's sentence "… again in
/// N seconds" in the body. A date counts from the answer's own `Date`, so that a
/// wrong clock on this host does no harm.
pub(crate) fn retry_after(headers: &HeaderMap, body: &str, now: SystemTime) -> Option<Duration> {
    let written = headers.get(RETRY_AFTER).and_then(|v| v.to_str().ok());
    written
        .and_then(|text| {
            seconds(text).or_else(|| {
                let now = answered_at(headers).unwrap_or(now);
                let then = date(text)?;
                Some(then.duration_since(now).unwrap_or_default())
            })
        })
        .or_else(|| sentence(body))
        .map(|wait| wait.min(LONGEST))
}

/// The answer's `Date`.
pub(crate) fn answered_at(headers: &HeaderMap) -> Option<SystemTime> {
    date(headers.get(DATE)?.to_str().ok()?)
}

fn seconds(text: &str) -> Option<Duration> {
    let value: f64 = text.trim().parse().ok()?;
    Duration::try_from_secs_f64(value).ok()
}

fn date(text: &str) -> Option<SystemTime> {
    let second = jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(text.trim())
        .ok()?
        .as_second();
    Some(UNIX_EPOCH + Duration::from_secs(u64::try_from(second).ok()?))
}

fn sentence(body: &str) -> Option<Duration> {
    body.match_indices(" in ").find_map(|(place, found)| {
        let tail = body.get(place + found.len()..)?;
        let (number, unit) = tail.split_once(' ')?;
        if !number.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let number: u64 = number.parse().ok()?;
        match unit {
            unit if unit.starts_with("second") => Some(Duration::from_secs(number)),
            unit if unit.starts_with("minute") => {
                Some(Duration::from_secs(number.saturating_mul(60)))
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn seconds_are_read() {
        let wait = |text| retry_after(&headers(&[("retry-after", text)]), "", at(0));
        assert_eq!(wait("23"), Some(Duration::from_secs(23)));
        assert_eq!(wait(" 0 "), Some(Duration::ZERO));
        assert_eq!(wait("1.5"), Some(Duration::from_millis(1500)));
        assert_eq!(wait("-3"), None);
        assert_eq!(wait("NaN"), None);
        assert_eq!(wait("1e300"), None);
        assert_eq!(wait("999999"), Some(LONGEST));
    }

    #[test]
    fn a_date_counts_from_the_services_own_clock() {
        // 784111777 is the instant of the example in RFC 9110 §5.6.7.
        let mut pairs = vec![("retry-after", "Sun, 06 Nov 1994 08:49:57 GMT")];
        assert_eq!(
            retry_after(&headers(&pairs), "", at(784_111_777)),
            Some(Duration::from_secs(20))
        );
        pairs.push(("date", "Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(
            retry_after(&headers(&pairs), "", at(1)),
            Some(Duration::from_secs(20))
        );
        assert_eq!(answered_at(&headers(&pairs)), Some(at(784_111_777)));
    }

    #[test]
    fn the_sentence_in_the_body_is_the_last_resort() {
        let wait = |body| retry_after(&HeaderMap::new(), body, at(0));
        assert_eq!(
            wait("Rate limit is exceeded. Try again in 23 seconds."),
            Some(Duration::from_secs(23))
        );
        assert_eq!(wait("again in 2 minutes"), Some(Duration::from_secs(120)));
        assert_eq!(
            wait("not in time, in 3 dwarfs, in 4 seconds"),
            Some(Duration::from_secs(4))
        );
        assert_eq!(wait("in N seconds"), None);
        assert_eq!(wait("in 99999999999999999999 seconds"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fall(header in "[ -~]{0,40}", body in ".{0,80}", number in any::<u64>()) {
            let headers = headers(&[("retry-after", &header)]);
            for body in [body, format!(" in {number} minutes")] {
                let wait = retry_after(&headers, &body, at(0));
                prop_assert!(wait.is_none_or(|wait| wait <= LONGEST));
            }
        }
    }
}
