//! Counts of what was delivered.

use super::Kind;

/// Events delivered, by what they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Delivered {
    pub alerts: u64,
    pub incidents: u64,
    /// Only streams deliver these.
    #[serde(skip_serializing_if = "is_zero")]
    pub records: u64,
    pub quarantined: u64,
    pub bytes: u64,
}

impl Delivered {
    pub fn count(&mut self, kind: Kind, bytes: usize) {
        match kind {
            Kind::Alert => self.alerts += 1,
            Kind::Incident => self.incidents += 1,
            Kind::Record => self.records += 1,
            Kind::Quarantined => self.quarantined += 1,
        }
        self.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
    }

    pub fn events(&self) -> u64 {
        self.alerts + self.incidents + self.records + self.quarantined
    }

    pub fn add(&mut self, other: Self) {
        self.alerts += other.alerts;
        self.incidents += other.incidents;
        self.records += other.records;
        self.quarantined += other.quarantined;
        self.bytes += other.bytes;
    }

    /// Without what was counted before.
    pub fn since(self, before: Self) -> Self {
        Self {
            alerts: self.alerts.saturating_sub(before.alerts),
            incidents: self.incidents.saturating_sub(before.incidents),
            records: self.records.saturating_sub(before.records),
            quarantined: self.quarantined.saturating_sub(before.quarantined),
            bytes: self.bytes.saturating_sub(before.bytes),
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
pub(in crate::ingest) fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_counted_and_a_poll_does_not_speak_of_records() {
        let mut delivered = Delivered::default();
        delivered.count(Kind::Alert, 3);
        delivered.count(Kind::Incident, 4);
        delivered.count(Kind::Quarantined, 5);
        assert_eq!(
            serde_json::to_string(&delivered).unwrap(),
            r#"{"alerts":1,"incidents":1,"quarantined":1,"bytes":12}"#
        );
        delivered.count(Kind::Record, 6);
        let mut twice = delivered;
        twice.add(delivered);
        assert_eq!((twice.records, twice.events(), twice.bytes), (2, 8, 36));
        assert_eq!(twice.since(delivered), delivered);
        assert!(
            serde_json::to_string(&twice)
                .unwrap()
                .contains(r#""records":2"#)
        );
    }
}
