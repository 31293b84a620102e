//! Points in time as Microsoft writes them: UTC, steps of 100 ns, 0 to 7 digits.

use jiff::Timestamp;
use std::fmt;
use std::time::Duration;

/// Steps of 100 ns since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::sandbox) struct Ticks(pub(in crate::sandbox) i64);

const PER_SECOND: i64 = 10_000_000;

impl Ticks {
    pub(in crate::sandbox) fn now() -> Self {
        Self::from(Timestamp::now())
    }

    /// Reads `2026-11-21T08:15:30[.1234567](Z|+01:00)`; nothing shorter, no
    /// finer fraction, as an OData `Edm.DateTimeOffset` literal demands.
    pub(in crate::sandbox) fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let shaped = bytes.len() >= 20
            && bytes
                .iter()
                .enumerate()
                .take(19)
                .all(|(at, byte)| match at {
                    4 | 7 => *byte == b'-',
                    10 => *byte == b'T',
                    13 | 16 => *byte == b':',
                    _ => byte.is_ascii_digit(),
                });
        let rest = text.get(19..).filter(|_| shaped)?;
        let zone = match rest.strip_prefix('.') {
            Some(fraction) => {
                let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
                let digits = fraction.len() - zone.len();
                (1..=7).contains(&digits).then_some(zone)?
            }
            None => rest,
        };
        let offset = zone.len() == 6 && zone.starts_with(['+', '-']) && zone.get(3..4) == Some(":");
        if zone != "Z" && !offset {
            return None;
        }
        text.parse::<Timestamp>().ok().map(Self::from)
    }

    pub(in crate::sandbox) fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span_ticks(span)))
    }

    pub(in crate::sandbox) fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span_ticks(span)))
    }
}

fn span_ticks(span: Duration) -> i64 {
    i64::try_from(span.as_nanos() / 100).unwrap_or(i64::MAX)
}

impl From<Timestamp> for Ticks {
    fn from(stamp: Timestamp) -> Self {
        let ticks = stamp.as_nanosecond().div_euclid(100);
        Self(i64::try_from(ticks).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Ticks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let second = self.0.div_euclid(PER_SECOND);
        let nanos = i32::try_from(self.0.rem_euclid(PER_SECOND) * 100).unwrap_or(0);
        let stamp = Timestamp::new(second, nanos).unwrap_or(Timestamp::MAX);
        fmt::Display::fmt(&stamp, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn trailing_zeros_of_a_fraction_are_not_written() {
        for text in [
            "2020-07-20T10:53:50.19Z",
            "2021-05-02T14:19:01.3266667Z",
            "2026-11-21T00:00:00Z",
        ] {
            assert_eq!(Ticks::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(
            Ticks::parse("2026-11-21T00:00:00.1000000Z")
                .unwrap()
                .to_string(),
            "2026-11-21T00:00:00.1Z"
        );
    }

    #[test]
    fn what_is_no_literal_of_odata_is_refused() {
        for text in [
            "2026-11-21",
            "2026-11-21T00:00:00",
            "2026-11-21 00:00:00Z",
            "2026-11-21T00:00:00.12345678Z",
            "2026-11-21T00:00:00.Z",
            "2026-13-21T00:00:00Z",
            "'2026-11-21T00:00:00Z'",
        ] {
            assert_eq!(Ticks::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_instant_is_read_back_as_written(ticks in 0i64..4_000_000_000 * PER_SECOND) {
            prop_assert_eq!(Ticks::parse(&Ticks(ticks).to_string()), Some(Ticks(ticks)));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}") {
            let _known = Ticks::parse(&text);
        }
    }
}
