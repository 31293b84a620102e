//! Points in time as Microsoft writes them: UTC, steps of 100 ns.

use std::fmt;
use std::str::FromStr;

/// A point in time in steps of 100 ns (the resolution of .NET, and so of
/// Defender's `lastUpdateDateTime`), counted from 1970-01-01T00:00:00Z.
///
/// Compared as a number, never as text: `…00.12Z` and `…00.1200000Z` are equal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(i64);

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no UTC instant such as 2026-11-21T08:15:30.1234567Z")]
pub struct InstantError(pub String);

const TICKS_PER_SECOND: i64 = 10_000_000;

impl Instant {
    #[cfg(test)]
    pub const EPOCH: Instant = Instant(0);

    /// From steps of 100 ns since 1970.
    pub const fn from_ticks(ticks: i64) -> Self {
        Self(ticks)
    }

    /// Steps of 100 ns since 1970.
    pub const fn ticks(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since 1970, rounded down.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(10_000)
    }

    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(10_000))
    }

    pub fn minus(self, span: std::time::Duration) -> Self {
        Self(self.0.saturating_sub(ticks_of(span)))
    }

    pub fn plus(self, span: std::time::Duration) -> Self {
        Self(self.0.saturating_add(ticks_of(span)))
    }

    /// The whole millisecond at or before this instant.
    pub const fn millisecond(self) -> Self {
        Self::from_millis(self.millis())
    }

    /// The next instant that takes no more fraction digits to write, of three, six
    /// and seven: a service need not read more digits than it prints.
    pub const fn next(self) -> Self {
        let step = match self.0 {
            ticks if ticks % 10_000 == 0 => 10_000,
            ticks if ticks % 10 == 0 => 10,
            _ => 1,
        };
        Self(self.0.saturating_add(step))
    }

    /// The instant right before.
    pub const fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The whole second at or before this instant.
    pub const fn second(self) -> Self {
        Self(self.0.div_euclid(TICKS_PER_SECOND) * TICKS_PER_SECOND)
    }

    /// The middle of two instants, rounded down.
    pub const fn midpoint(self, other: Self) -> Self {
        Self(self.0 + (other.0 - self.0) / 2)
    }

    /// The first whole second after this instant.
    pub const fn next_second(self) -> Self {
        Self((self.0.div_euclid(TICKS_PER_SECOND) + 1) * TICKS_PER_SECOND)
    }
}

fn ticks_of(span: std::time::Duration) -> i64 {
    i64::try_from(span.as_nanos() / 100).unwrap_or(i64::MAX)
}

impl FromStr for Instant {
    type Err = InstantError;

    /// Takes ISO-8601 with any number of fraction digits; a missing zone means
    /// UTC, as in the few answers of the MDE API that leave the `Z` out.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || InstantError(text.chars().take(64).collect());
        let stamp: jiff::Timestamp = match text.parse() {
            Ok(stamp) => stamp,
            Err(_) => text
                .parse::<jiff::civil::DateTime>()
                .ok()
                .and_then(|civil| civil.to_zoned(jiff::tz::TimeZone::UTC).ok())
                .ok_or_else(refuse)?
                .timestamp(),
        };
        i64::try_from(stamp.as_nanosecond().div_euclid(100))
            .map(Self)
            .map_err(|_| refuse())
    }
}

impl From<jiff::Timestamp> for Instant {
    fn from(stamp: jiff::Timestamp) -> Self {
        // jiff's range (years -9999 to 9999) fits into 63 bits of 100 ns.
        Self(i64::try_from(stamp.as_nanosecond().div_euclid(100)).unwrap_or(i64::MAX))
    }
}

/// Seven fraction digits and `Z`, the form every list call takes in `$filter`.
impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.div_euclid(TICKS_PER_SECOND);
        let fraction = self.0.rem_euclid(TICKS_PER_SECOND);
        match jiff::Timestamp::from_second(seconds) {
            Ok(stamp) => {
                let civil = jiff::tz::TimeZone::UTC.to_datetime(stamp);
                write!(
                    f,
                    "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{fraction:07}Z",
                    civil.year(),
                    civil.month(),
                    civil.day(),
                    civil.hour(),
                    civil.minute(),
                    civil.second()
                )
            }
            Err(_) => write!(f, "tick {}", self.0),
        }
    }
}

impl serde::Serialize for Instant {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Instant {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_length_of_fraction_microsoft_prints() {
        for (text, ticks) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00:01.3Z", 13_000_000),
            ("1970-01-01T00:00:00.1234567Z", 1_234_567),
            ("1970-01-01T00:00:00.123", 1_230_000),
            ("1970-01-01T01:00:00+01:00", 0),
            ("1969-12-31T23:59:59.9999999Z", -1),
        ] {
            assert_eq!(text.parse(), Ok(Instant::from_ticks(ticks)), "{text}");
        }
    }

    #[test]
    fn compares_as_instants_not_as_text() {
        let short: Instant = "2026-01-01T00:00:00.12Z".parse().unwrap();
        let long: Instant = "2026-01-01T00:00:00.123Z".parse().unwrap();
        assert!(short < long, "as text, `.12Z` sorts after `.123Z`");
    }

    #[test]
    fn the_next_instant_is_as_short_as_the_one_before() {
        for (instant, next) in [
            (
                "2026-01-01T00:00:59.9990000Z",
                "2026-01-01T00:01:00.0000000Z",
            ),
            (
                "2026-01-01T00:00:00.1234560Z",
                "2026-01-01T00:00:00.1234570Z",
            ),
            (
                "2026-01-01T00:00:00.1234567Z",
                "2026-01-01T00:00:00.1234568Z",
            ),
        ] {
            let instant: Instant = instant.parse().unwrap();
            assert_eq!(instant.next().to_string(), next);
        }
    }

    #[test]
    fn refuses_what_is_no_instant() {
        for text in ["", "yesterday", "2026-13-01T00:00:00Z", "1700000000"] {
            assert!(text.parse::<Instant>().is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_reads_back(ticks in -1_000_000_000_000_000_i64..200_000_000_000_000_000) {
            let instant = Instant::from_ticks(ticks);
            proptest::prop_assert_eq!(instant.to_string().parse::<Instant>(), Ok(instant));
        }
    }
}
