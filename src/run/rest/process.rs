//! `GET self`, `POST self`: describes this process to administrators alone, so that
//! they see what splunkd made of `restmap.conf`; and ends it, so that they see
//! whether splunkd starts another. The answer says whether there is a secret, and
//! never the secret.

use super::{Asked, Refusal};
use crate::bridge::account::ACCOUNTS;
use crate::bridge::permission::Right;
use crate::host::{copy, paths};
use crate::splunk::rest_handler::{Reply, Request};
use crate::splunk::splunkd::SplunkdError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::Path;

/// Most arguments of the process, and most accounts, that the answer describes.
const MOST: usize = 32;
const LONGEST: usize = 1024;

/// This process, from its first request on.
pub struct Process {
    started: jiff::Timestamp,
    served: u64,
}

impl Default for Process {
    fn default() -> Self {
        Self {
            started: jiff::Timestamp::now(),
            served: 0,
        }
    }
}

#[derive(Deserialize)]
struct EndRequest {
    #[serde(default)]
    end: bool,
}

/// Whether splunkd's own key finds the secret of an account.
#[derive(Serialize)]
struct Secret {
    account: String,
    /// `yes`, `no`, `masked`, or splunkd's error.
    found: String,
}

impl Process {
    pub fn served(&mut self) {
        self.served = self.served.saturating_add(1);
    }

    pub async fn describe(&self, request: Request) -> Result<Reply, Refusal> {
        let (asked, handed) = asked(request)?;
        asked.caller(Right::Administer).await?;
        Ok(Reply::well(&self.document(&asked, handed).await))
    }

    pub async fn end(&self, request: Request) -> Result<Reply, Refusal> {
        let (asked, handed) = asked(request)?;
        let caller = asked.caller(Right::Administer).await?;
        let request: EndRequest = asked.read("request such as {\"end\":true}")?;
        let mut document = self.document(&asked, handed).await;
        if let Some(members) = document.as_object_mut() {
            members.insert("ends".to_owned(), request.end.into());
        }
        let reply = Reply::well(&document);
        if !request.end {
            return Ok(reply);
        }
        tracing::info!("ends after this answer, as {} asks", caller.user);
        Ok(reply.last())
    }

    async fn document(&self, asked: &Asked, handed: bool) -> Value {
        let secrets = match handed {
            true => secrets(asked).await,
            false => Value::Null,
        };
        let executable = std::env::current_exe().ok();
        let words = std::env::args_os().take(MOST);
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "argv": words.map(|word| shown(&word.to_string_lossy())).collect::<Vec<_>>(),
            "role": std::env::var("DEFENDER_BRIDGE_ROLE").ok().map(|role| shown(&role)),
            "cwd": std::env::current_dir().ok().map(|folder| shown(&folder.to_string_lossy())),
            "exe": executable.as_deref().map(|path| shown(&path.to_string_lossy())),
            "inode": executable.as_deref().and_then(inode),
            "installed": paths::installed().map(|path| shown(&path.to_string_lossy())),
            "in_place": copy::in_place(),
            "started_at": self.started.to_string(),
            "requests_served": self.served,
            "system_authtoken": handed,
            "secrets": secrets,
        })
    }
}

/// Also opens a request for which splunkd handed over no key of its own, since the answer
/// is to say so. The caller's key stands in its place, and nothing is asked with it.
fn asked(mut request: Request) -> Result<(Asked, bool), Refusal> {
    let handed = request.system_key.is_some();
    if !handed {
        request.system_key.clone_from(&request.session_key);
    }
    Ok((Asked::by(request)?, handed))
}

async fn secrets(asked: &Asked) -> Value {
    let accounts = match asked.system.conf_stanzas(ACCOUNTS).await {
        Ok(accounts) => accounts,
        Err(error) => return json!({"error": error.to_string()}),
    };
    let mut secrets = Vec::new();
    for (account, _) in accounts.into_iter().take(MOST) {
        let found = match asked.system.password(&account).await {
            Ok(Some(_)) => "yes".to_owned(),
            Ok(None) => "no".to_owned(),
            Err(SplunkdError::Masked { .. }) => "masked".to_owned(),
            Err(error) => error.to_string(),
        };
        secrets.push(Secret { account, found });
    }
    json!(secrets)
}

fn shown(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

#[cfg(unix)]
fn inode(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).ok().map(|file| file.ino())
}

#[cfg(not(unix))]
fn inode(_: &Path) -> Option<u64> {
    None
}
