//! Points in time as numbers of 100 ns since 1970, and every way Microsoft prints them.

const PER_SECOND: i64 = 10_000_000;

pub const SECOND: i64 = PER_SECOND;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

pub fn now() -> i64 {
    i64::try_from(jiff::Timestamp::now().as_nanosecond() / 100).unwrap()
}

/// So long before now, cut to a whole second.
pub fn ago(span: i64) -> i64 {
    (now() - span) / PER_SECOND * PER_SECOND
}

/// Reads ISO-8601 UTC with any number of fraction digits.
pub fn parse(text: &str) -> Option<i64> {
    let body = text
        .strip_suffix('Z')
        .or_else(|| text.strip_suffix("+00:00"))?;
    let (whole, fraction) = body.split_once('.').unwrap_or((body, ""));
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let civil: jiff::civil::DateTime = whole.parse().ok()?;
    let seconds = civil
        .to_zoned(jiff::tz::TimeZone::UTC)
        .ok()?
        .timestamp()
        .as_second();
    let ticks: i64 = format!("{fraction:0<7}")[..7].parse().ok()?;
    Some(seconds * PER_SECOND + ticks)
}

/// Prints with so many fraction digits (0 to 7); digits that do not fit are cut.
pub fn print(ticks: i64, digits: usize) -> String {
    let seconds = ticks.div_euclid(PER_SECOND);
    let fraction = format!("{:07}", ticks.rem_euclid(PER_SECOND));
    let civil = jiff::tz::TimeZone::UTC
        .to_datetime(jiff::Timestamp::from_second(seconds).unwrap())
        .strftime("%Y-%m-%dT%H:%M:%S")
        .to_string();
    match digits {
        0 => format!("{civil}Z"),
        _ => format!("{civil}.{}Z", &fraction[..digits]),
    }
}

/// The largest instant not after `ticks` that so many fraction digits can tell.
pub fn cut(ticks: i64, digits: usize) -> i64 {
    let step = 10_i64.pow(u32::try_from(7 - digits).unwrap());
    ticks.div_euclid(step) * step
}

#[test]
fn an_instant_survives_every_length_of_fraction() {
    for digits in 0..=7 {
        let ticks = cut(17_952_345_678_912_345, digits);
        assert_eq!(parse(&print(ticks, digits)), Some(ticks), "{digits} digits");
    }
    assert_eq!(parse("2026-11-21T00:00:00"), None);
}
