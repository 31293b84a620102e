//! What a tenant turned out to take where the published pages leave it open:
//! wordings, and how many objects go into one call.
//!
//! Wordings can be kept in a small file, so that the next run begins with them.
//! It is a saving, not a state: what is wrong in it costs one refused call.

use crate::disk;
use crate::microsoft::defender::update::graph_batch;
use crate::triage::vocabulary::Determination;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use tracing::warn;

/// What can be worded in several ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::microsoft) enum Term {
    Determination(Determination),
    /// The owner who is nobody.
    Nobody,
}

impl Term {
    /// Its name in the file.
    const fn name(self) -> &'static str {
        match self {
            Self::Determination(determination) => determination.as_str(),
            Self::Nobody => "nobody",
        }
    }
}

/// A call that stands for several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::microsoft) enum BatchCall {
    /// Graph's `$batch`.
    Batch,
    /// The list of Defender for Endpoint, filtered by ids.
    List,
    /// `batchUpdate` of Defender for Endpoint.
    Update,
}

impl BatchCall {
    /// With how many it is begun.
    const fn initial_size(self) -> usize {
        match self {
            Self::Batch => graph_batch::MOST,
            // As many as one address holds.
            Self::List => usize::MAX,
            // The true limit is not documented.
            Self::Update => 100,
        }
    }
}

#[derive(Debug, Default)]
pub(in crate::microsoft) struct TenantLimits {
    /// The place of the wording last taken, by the term's name.
    wordings: BTreeMap<String, usize>,
    /// Only for this run: what is refused once may be a proxy's mood.
    at_once: HashMap<BatchCall, usize>,
    file: Option<PathBuf>,
}

/// The content of the file.
#[derive(Debug, Serialize, Deserialize)]
struct LimitsFile {
    version: u32,
    wordings: BTreeMap<String, usize>,
}

/// Another one where the wordings stand in another order.
const VERSION: u32 = 1;
const LARGEST: usize = 64 << 10;

impl TenantLimits {
    /// Begins with what the file says, where it is there and can be read.
    pub fn kept_in(file: PathBuf) -> Self {
        let read = std::fs::read(&file)
            .ok()
            .filter(|text| text.len() <= LARGEST);
        let kept = read.and_then(|text| serde_json::from_slice::<LimitsFile>(&text).ok());
        let kept = kept.filter(|kept| kept.version == VERSION);
        Self {
            wordings: kept.map(|kept| kept.wordings).unwrap_or_default(),
            file: Some(file),
            ..Self::default()
        }
    }

    /// The place of the wording last taken; the first where nothing is known.
    pub fn wording(&self, term: Term) -> usize {
        self.wordings.get(term.name()).copied().unwrap_or_default()
    }

    pub fn learn(&mut self, taken: &[(Term, usize)]) {
        let mut news = false;
        for (term, at) in taken {
            news |= self.wording(*term) != *at;
            self.wordings.insert(term.name().to_owned(), *at);
        }
        if let Some(file) = self.file.clone().filter(|_| news)
            && let Err(error) = self.save(&file)
        {
            // Once is enough: it only costs calls.
            self.file = None;
            warn!(
                "the wordings this tenant takes cannot be kept in {}: {error}",
                file.display()
            );
        }
    }

    /// How many go into one call; 1 where there is no such call.
    pub fn at_once(&self, call: BatchCall) -> usize {
        let limits = self.at_once.get(&call).copied();
        limits.unwrap_or(call.initial_size())
    }

    /// Remembers that no more than `most` go into one call.
    pub fn limit(&mut self, call: BatchCall, most: usize) {
        let most = most.max(1).min(self.at_once(call));
        self.at_once.insert(call, most);
    }

    fn save(&self, file: &Path) -> io::Result<()> {
        let folder = file.parent().unwrap_or(Path::new("."));
        disk::own_folder(folder)?;
        let kept = LimitsFile {
            version: VERSION,
            wordings: self.wordings.clone(),
        };
        // Whoever reads it meanwhile sees the old one or the new one.
        disk::put(file, &serde_json::to_vec(&kept)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERM: Term = Term::Determination(Determination::NotMalicious);

    #[test]
    fn wordings_outlive_a_run_and_sizes_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("wordings").join("lab-mde.json");
        let mut limits = TenantLimits::kept_in(file.clone());
        assert_eq!(limits.wording(TERM), 0);
        limits.learn(&[(TERM, 1), (Term::Nobody, 0)]);
        limits.limit(BatchCall::Update, 30);
        assert_eq!(limits.at_once(BatchCall::Update), 30);
        let again = TenantLimits::kept_in(file);
        assert_eq!((again.wording(TERM), again.wording(Term::Nobody)), (1, 0));
        assert_eq!(again.at_once(BatchCall::Update), 100);
    }

    #[test]
    fn a_file_that_cannot_be_used_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("broken.json");
        for text in ["", "{", r#"{"version":9,"wordings":{"nobody":1}}"#] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(TenantLimits::kept_in(file.clone()).wording(Term::Nobody), 0);
        }
        let mut limits = TenantLimits::kept_in(file.join("below a file"));
        limits.learn(&[(TERM, 1)]);
        assert_eq!(limits.wording(TERM), 1);
    }

    #[test]
    fn a_limit_only_falls_and_one_is_the_least() {
        let mut limits = TenantLimits::default();
        for (most, left) in [(50, 50), (80, 50), (0, 1)] {
            limits.limit(BatchCall::Update, most);
            assert_eq!(limits.at_once(BatchCall::Update), left);
        }
    }
}
