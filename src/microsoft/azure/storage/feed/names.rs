//! Names of blobs, kept small: those of hourly exports are a stem and a number.

use std::fmt::Write;

const TAIL: &str = "/m=00/PT1H.json";

/// A blob of one container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// `<stem>y=2026/m=11/d=30/h=05/m=00/PT1H.json`, by the stem's number and hours since 1970.
    Hour {
        stem: u32,
        hour: u32,
    },
    Other(Box<str>),
}

/// What stands before the hour in names: `tenantId=<id>/`, for one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stems(Vec<Box<str>>);

impl Stems {
    pub fn name(&mut self, text: &str) -> Name {
        let Some((stem, hour)) = split(text) else {
            return Name::Other(text.into());
        };
        Name::Hour {
            stem: self.number(stem),
            hour,
        }
    }

    /// There are as many stems as tenants: few.
    pub fn number(&mut self, stem: &str) -> u32 {
        let known = self.0.iter().position(|known| &**known == stem);
        let at = known.unwrap_or_else(|| {
            self.0.push(stem.into());
            self.0.len() - 1
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    pub fn stem(&self, number: u32) -> &str {
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        self.0.get(at).map_or("", |stem| stem)
    }

    pub fn text(&self, name: &Name) -> String {
        match name {
            Name::Other(text) => text.to_string(),
            Name::Hour { stem, hour } => hourly(self.stem(*stem), *hour),
        }
    }
}

fn hourly(stem: &str, hour: u32) -> String {
    let seconds = i64::from(hour) * 3600;
    let at = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    let at = at.to_zoned(jiff::tz::TimeZone::UTC).datetime();
    let (year, month, day, hour) = (at.year(), at.month(), at.day(), at.hour());
    let mut text = String::with_capacity(stem.len() + 40);
    text.push_str(stem);
    // Writing into a string cannot fail.
    write!(
        text,
        "y={year:04}/m={month:02}/d={day:02}/h={hour:02}{TAIL}"
    )
    .ok();
    text
}

/// Stem and hour, where the name is made of nothing else.
fn split(text: &str) -> Option<(&str, u32)> {
    let rest = text.strip_suffix(TAIL)?;
    let at = rest.len().checked_sub("y=2026/m=11/d=30/h=05".len())?;
    let (stem, path) = rest.split_at_checked(at)?;
    let number = |from: usize, to: usize| path.get(from..to)?.parse::<i8>().ok();
    let year = path.get(2..6)?.parse().ok()?;
    let (month, day, hour) = (number(9, 11)?, number(14, 16)?, number(19, 21)?);
    let at = jiff::civil::DateTime::new(year, month, day, hour, 0, 0, 0).ok()?;
    let seconds = at
        .to_zoned(jiff::tz::TimeZone::UTC)
        .ok()?
        .timestamp()
        .as_second();
    let hour = u32::try_from(seconds / 3600).ok()?;
    (seconds >= 0 && hourly(stem, hour) == text).then_some((stem, hour))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_hourly_name_is_a_stem_and_a_number() {
        let mut stems = Stems::default();
        let text = "tenantId=7b/y=2026/m=11/d=30/h=05/m=00/PT1H.json";
        let Name::Hour { stem: 0, hour } = stems.name(text) else {
            panic!("not hourly");
        };
        assert_eq!(hour, 498_893);
        let next = Name::Hour {
            stem: 0,
            hour: hour + 19,
        };
        assert_eq!(
            stems.text(&next),
            "tenantId=7b/y=2026/m=12/d=01/h=00/m=00/PT1H.json"
        );
        for other in [
            "",
            "x",
            "y=2026/m=13/d=30/h=05/m=00/PT1H.json",
            "y=2026/m=1/d=30/h=05/m=00/PT1H.json",
        ] {
            assert!(matches!(stems.name(other), Name::Other(_)), "{other}");
        }
    }

    proptest! {
        #[test]
        fn every_name_is_written_as_it_was_read(text in "(\\PC{0,20}y=[0-9]{4}/m=[0-9]{2}/d=[0-9]{2}/h=[0-9]{2}/m=00/PT1H.json|\\PC{0,60})") {
            let mut stems = Stems::default();
            let name = stems.name(&text);
            prop_assert_eq!(stems.text(&name), text);
        }
    }
}
