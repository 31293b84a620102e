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
        if let Some(ticks) = usual(text.as_bytes()) {
            return Ok(Self(ticks));
        }
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

/// Of the form that nearly every instant has, at a fraction of the cost:
/// `2026-11-21T08:15:30.1234567Z`, with up to seven fraction digits. None of any other.
fn usual(text: &[u8]) -> Option<i64> {
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_i64, |number, digit| {
            let digit = digit.wrapping_sub(b'0');
            (digit < 10).then_some(number * 10 + i64::from(digit))
        })
    };
    let (date, time) = text.split_first_chunk::<11>()?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T'] = *date else {
        return None;
    };
    let (time, fraction) = time.split_first_chunk::<8>()?;
    let [h1, h2, b':', i1, i2, b':', s1, s2] = *time else {
        return None;
    };
    let fraction = match fraction.strip_suffix(b"Z")? {
        [] => 0,
        [b'.', digits @ ..] if (1..=7).contains(&digits.len()) => {
            (digits.len()..7).fold(number(digits)?, |ticks, _| ticks * 10)
        }
        _ => return None,
    };
    let (year, month, day) = (
        number(&[y1, y2, y3, y4])?,
        number(&[m1, m2])?,
        number(&[d1, d2])?,
    );
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[i1, i2])?, number(&[s1, s2])?);
    // The last days of a month are left to the calendar.
    if !(1..=12).contains(&month) || !(1..=28).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Days since 1970, by years that begin in March.
    let (year, month) = match month {
        1 | 2 => (year - 1, month + 9),
        _ => (year, month - 3),
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days = year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    Some(seconds * TICKS_PER_SECOND + fraction)
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

    proptest::proptest! {
        #[test]
        fn the_usual_form_is_read_as_the_calendar_reads_it(
            second in -62_135_596_800_i64..253_402_207_200,
            ticks in 0_i64..10_000_000,
            digits in 0_usize..9,
            other in "[-0-9TZ:.]",
            at in 0_usize..40,
        ) {
            let stamp = jiff::Timestamp::from_second(second).unwrap();
            let fraction = format!(".{ticks:07}");
            let fraction = match digits { 0 => "", digits => &fraction[..digits.min(8)] };
            let mut text = stamp.to_string().replace('Z', fraction) + "Z";
            if at < text.len() {
                text.replace_range(at..=at, &other);
            }
            if let Some(ticks) = usual(text.as_bytes()) {
                let stamp: jiff::Timestamp = text.parse().unwrap();
                proptest::prop_assert_eq!(ticks, Instant::from(stamp).ticks());
            }
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
