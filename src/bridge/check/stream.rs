//! What stands between this machine and a stream: the same look that validation takes,
//! told step by step.

use super::{CheckResult, CheckState};
use crate::NAME;
use crate::bridge::input::settings::{Input, StreamInput};
use crate::bridge::input::stream::{Look, Source};
use crate::host::paths;
use crate::ingest::Instant;
use crate::ingest::stream::Checkpoint;
use crate::microsoft::Account;
use crate::microsoft::azure::{Finding, Outcome};
use crate::splunk::modular_input::input::Stanza;
use crate::splunk::modular_input::position_file;
use crate::splunk::splunkd::conf_file::boolean;
use crate::splunk::splunkd::{Splunkd, SplunkdError};
use std::collections::BTreeMap;
use std::time::Duration;

/// A look at a hub of many partitions takes seconds; one that fails may wait in each step.
const PATIENCE: Duration = Duration::from_secs(60);
const INPUTS: &str = "inputs";

/// A stanza of `inputs.conf` on this server.
pub struct SavedInput {
    pub account: String,
    pub stanza: Stanza,
}

impl SavedInput {
    /// None if it is none of ours.
    fn of(full_name: &str, settings: BTreeMap<String, String>) -> Option<Self> {
        let (scheme, name) = full_name.split_once("://")?;
        let params = settings.into_iter().map(|(key, value)| (key, vec![value]));
        (scheme == NAME).then(|| {
            let stanza = Stanza {
                scheme: scheme.to_owned(),
                name: name.to_owned(),
                app: None,
                params: params.collect(),
            };
            let account = stanza.param("account").unwrap_or_default().trim();
            Self {
                account: account.to_owned(),
                stanza,
            }
        })
    }

    fn is_read(&self) -> bool {
        let feed = self.stanza.param("feed").unwrap_or_default().trim();
        let disabled = self.stanza.param("disabled").and_then(boolean);
        matches!(feed, "event_hub" | "storage") && disabled != Some(true)
    }
}

/// The input of this name, whatever it reads.
pub async fn saved_input(
    splunkd: &Splunkd,
    name: &str,
) -> Result<Option<SavedInput>, SplunkdError> {
    let full_name = format!("{NAME}://{name}");
    let settings = splunkd.conf(INPUTS, &full_name).await?;
    Ok(settings.and_then(|settings| SavedInput::of(&full_name, settings)))
}

/// The streams read with an account on this server.
pub(super) async fn saved(
    splunkd: &Splunkd,
    account: &str,
) -> Result<Vec<SavedInput>, SplunkdError> {
    let stanzas = splunkd.conf_stanzas(INPUTS).await?;
    let ours = stanzas
        .into_iter()
        .filter_map(|(name, settings)| SavedInput::of(&name, settings));
    Ok(ours
        .filter(|input| input.account == account && input.is_read())
        .collect())
}

pub(super) async fn of_input(account: &Account, input: &SavedInput) -> Vec<CheckResult> {
    let now = Instant::from(jiff::Timestamp::now()).millisecond();
    let mut results = match Input::parse(&input.stanza, now) {
        Ok(Input::Stream(settings)) => stream(account, &settings, Some(&input.stanza.name)).await,
        Ok(Input::List(_)) => Vec::new(),
        Err(refusal) => vec![CheckResult::failed("settings", refusal.to_string())],
    };
    for result in &mut results {
        result.input = Some(input.stanza.name.clone());
    }
    results
}

/// Looks at a stream; `name` is that of its input, whose positions tell what waits.
pub async fn stream(
    account: &Account,
    settings: &StreamInput,
    name: Option<&str>,
) -> Vec<CheckResult> {
    let source = match Source::open(account, settings) {
        Ok(source) => source,
        Err(error) => return vec![CheckResult::failed("settings", format!("{error:#}"))],
    };
    let delivered = match name {
        Some(name) if !settings.positions.is_shared() => delivered(name, &source.log()),
        _ => BTreeMap::new(),
    };
    let looking = source.examine(account, &delivered, Look::Inside);
    match tokio::time::timeout(PATIENCE, looking).await {
        Ok(findings) => findings.0.into_iter().map(CheckResult::from).collect(),
        Err(_) => {
            let finding = format!(
                "{} has not told all within {} s",
                source.host(),
                PATIENCE.as_secs()
            );
            let result = CheckResult::failed("answer", finding);
            vec![result.remedy("look at the way there: name, port, proxy")]
        }
    }
}

/// Sequence number of the last message delivered of each partition, where the input runs
/// on this server.
fn delivered(name: &str, log: &str) -> BTreeMap<String, i64> {
    let kept = paths::checkpoints().map(|folder| position_file::look(&folder, name));
    let kept = kept.unwrap_or_default().into_iter().filter_map(|kept| {
        let checkpoint = Checkpoint::read(&kept.text, log, &kept.partition).ok()?;
        Some((kept.partition, checkpoint.position?.sequence?))
    });
    kept.collect()
}

impl From<Finding> for CheckResult {
    fn from(finding: Finding) -> Self {
        let state = match finding.outcome {
            Outcome::Good => CheckState::Ok,
            Outcome::Doubtful => CheckState::Warning,
            Outcome::Bad => CheckState::Failed,
        };
        let result = Self::new(finding.step, state, finding.text);
        match finding.remedy {
            Some(remedy) => result.remedy(remedy),
            None => result,
        }
    }
}
