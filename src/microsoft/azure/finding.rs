//! What a look at a service found, step by step: the one source for tests of a connection
//! and for validation.

use std::borrow::Cow;

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Good,
    /// Worth a look.
    Doubtful,
    Bad,
}

/// A step, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub step: Cow<'static, str>,
    pub outcome: Outcome,
    pub text: String,
    pub remedy: Option<String>,
}

impl Finding {
    fn new(step: impl Into<Cow<'static, str>>, outcome: Outcome, text: String) -> Self {
        Self {
            step: step.into(),
            outcome,
            text,
            remedy: None,
        }
    }

    pub fn bad(
        step: impl Into<Cow<'static, str>>,
        text: impl Into<String>,
        remedy: Option<String>,
    ) -> Self {
        Self {
            remedy,
            ..Self::new(step, Outcome::Bad, text.into())
        }
    }

    /// Cause and remedy in one line.
    pub fn message(&self) -> String {
        match &self.remedy {
            Some(remedy) => format!("{}: {remedy}", self.text),
            None => self.text.clone(),
        }
    }
}

/// Findings in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    pub fn add(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    pub fn good(&mut self, step: impl Into<Cow<'static, str>>, text: impl Into<String>) {
        self.add(Finding::new(step, Outcome::Good, text.into()));
    }

    pub fn doubtful(
        &mut self,
        step: impl Into<Cow<'static, str>>,
        text: impl Into<String>,
        remedy: &str,
    ) {
        let remedy = Some(remedy.to_owned()).filter(|remedy| !remedy.is_empty());
        self.add(Finding {
            remedy,
            ..Finding::new(step, Outcome::Doubtful, text.into())
        });
    }

    pub fn bad(
        &mut self,
        step: impl Into<Cow<'static, str>>,
        text: impl Into<String>,
        remedy: Option<&str>,
    ) {
        self.add(Finding::bad(step, text, remedy.map(str::to_owned)));
    }

    /// Whether nothing has failed so far.
    pub fn are_well(&self) -> bool {
        self.first_bad().is_none()
    }

    pub fn first_bad(&self) -> Option<&Finding> {
        self.0.iter().find(|one| one.outcome == Outcome::Bad)
    }
}

/// Clocks farther apart than that confuse sign-in and signatures (seconds).
const SKEW: u64 = 300;
const CLOCK: &str = "clock";

/// What is wrong with this host's clock; `ahead`: seconds by which it is ahead of the
/// service's.
pub fn wrong_clock(ahead: i64) -> Option<Finding> {
    let off = ahead.unsigned_abs();
    let way = if ahead > 0 { "ahead of" } else { "behind" };
    let remedy = "set it by NTP, or sign-in and signatures are refused and ages told wrongly";
    (off > SKEW).then(|| {
        let text = format!("this host's clock is {off} s {way} Microsoft's");
        Finding::bad(CLOCK, text, Some(remedy.to_owned()))
    })
}

impl Findings {
    pub fn clock(&mut self, ahead: i64) {
        match wrong_clock(ahead) {
            Some(wrong) => self.add(wrong),
            None => self.good(CLOCK, format!("{} s off", ahead.unsigned_abs())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_an_hour_off_is_told_with_the_way_and_what_to_do() {
        for (ahead, way) in [(3600, "3600 s ahead of"), (-3600, "3600 s behind")] {
            let message = wrong_clock(ahead).unwrap().message();
            assert!(
                message.contains(way) && message.contains("NTP"),
                "{message}"
            );
        }
        let mut findings = Findings::default();
        findings.clock(-299);
        assert!(findings.are_well());
        findings.clock(i64::MIN);
        assert_eq!(findings.first_bad().unwrap().step, CLOCK);
    }
}
