//! What Defender's streaming writes into the account: a container a table, a blob an
//! hour, a record a line; and 3 to 4 % of the records again, in another envelope.

use std::collections::BTreeMap;

use crate::sandbox::TENANT_ID;
use crate::sandbox::storage::state::State;
use crate::sandbox::story::record::Template;
use crate::sandbox::tenant::instant::Ticks;

/// Before a table's name in lower case, in a container's.
pub(super) const PREFIX: &str = "insights-logs-advancedhunting-";
/// One record of so many comes again,
const OF: u64 = 33;
/// and one of so many of these three times.
const OFTEN: u64 = 10;
const HOUR: i64 = 3600 * 10_000_000;
/// An hour's blob was last written to so long after its end.
const CLOSED: i64 = 5 * 60 * 10_000_000;

/// Container and blob.
type Place = (String, String);

/// Writes records, and knows which of them come again.
#[derive(Debug, Default)]
pub(super) struct Export {
    repeats: bool,
    /// The next record's number.
    next: u64,
    /// By container: what comes again behind the next record.
    again: BTreeMap<String, Vec<u8>>,
}

/// Where a record lies.
fn place(template: &Template, round: u64) -> (Place, Ticks) {
    let at = template.at(round);
    let hour = Ticks(at.0.div_euclid(HOUR) * HOUR);
    let text = hour.to_string();
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    let blob = format!(
        "tenantId={TENANT_ID}/y={}/m={}/d={}/h={}/m=00/PT1H.json",
        part(0, 4),
        part(5, 7),
        part(8, 10),
        part(11, 13)
    );
    let container = format!("{PREFIX}{}", template.table().to_ascii_lowercase());
    ((container, blob), hour)
}

/// How often a record comes again.
const fn copies(number: u64) -> i64 {
    match (number % OF == OF / 2, number / OF % OFTEN == OFTEN - 1) {
        (false, _) => 0,
        (true, false) => 1,
        (true, true) => 3,
    }
}

fn line(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    write(out);
    out.extend_from_slice(b"\r\n");
}

impl Export {
    pub(super) fn new(repeats: bool) -> Self {
        Self {
            repeats,
            ..Self::default()
        }
    }

    /// Writes so many records, as if they had come in when they happened.
    pub(super) fn fill(&mut self, state: &mut State, templates: &[Template], records: u64) {
        let own = templates.len().max(1) as u64;
        let mut blobs: BTreeMap<Place, (Ticks, Vec<u8>)> = BTreeMap::new();
        let mut last: BTreeMap<String, Place> = BTreeMap::new();
        for number in 0..records {
            let round = number / own;
            let template = usize::try_from(number % own).unwrap_or(0);
            let Some(template) = templates.get(template) else {
                break;
            };
            let (place, hour) = place(template, round);
            let (_, text) = blobs
                .entry(place.clone())
                .or_insert_with(|| (hour, Vec::new()));
            self.write(&place.0, template, round, text);
            last.insert(place.0.clone(), place);
        }
        for (container, again) in std::mem::take(&mut self.again) {
            let place = last.get(&container);
            if let Some((_, text)) = place.and_then(|place| blobs.get_mut(place)) {
                text.extend_from_slice(&again);
            }
        }
        let now = Ticks::now();
        for ((container, blob), (hour, text)) in blobs {
            let closed = Ticks(hour.0 + HOUR + CLOSED).min(now);
            state.append_at(&container, &blob, &text, closed);
        }
    }

    /// Writes what these records tell, now.
    pub(super) fn tell(&mut self, state: &mut State, templates: &[Template]) {
        for template in templates {
            let (place, _) = place(template, 0);
            let mut text = Vec::new();
            self.write(&place.0, template, 0, &mut text);
            state.append_at(&place.0, &place.1, &text, Ticks::now());
        }
    }

    fn write(&mut self, container: &str, template: &Template, round: u64, out: &mut Vec<u8>) {
        let number = self.next;
        self.next += 1;
        line(out, |out| template.write(number, round, out));
        if let Some(again) = self.again.remove(container) {
            out.extend_from_slice(&again);
        }
        let copies = if self.repeats { copies(number) } else { 0 };
        if copies == 0 {
            return;
        }
        let mut again = Vec::new();
        for before in 1..=copies {
            line(&mut again, |out| {
                template.write_again(number, round, before, out);
            });
        }
        self.again.insert(container.to_owned(), again);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_to_four_records_of_a_hundred_come_again() {
        let again: i64 = (0..100_000).map(copies).sum();
        assert!((3_000..4_000).contains(&again), "{again}");
    }
}
