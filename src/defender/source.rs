//! A feed as the walk sees it: one list call answered, sliced and judged.
//!
//! It never follows a link: what Microsoft says about more pages is handed on
//! as evidence only.

use crate::defender::error::Error;
use crate::defender::feed::Feed;
use crate::defender::http::{Answer, Client};
use crate::defender::slice::{Listing, SliceError, slice};
use crate::ingest::{Ask, Fault, Limits, Page, Refusal, Source, Verdict};
use std::sync::atomic::{AtomicBool, Ordering};
use url::Url;

/// One feed of one account.
#[derive(Debug)]
pub struct FeedSource {
    client: Client,
    feed: Feed,
    /// A link to another host was reported already.
    foreign: AtomicBool,
}

/// Why a page of a feed did not come.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    #[error("{feed}: {error}{}", follow(advice.as_deref()))]
    Call {
        feed: &'static str,
        error: Box<Error>,
        advice: Option<String>,
    },
    /// Some of the services behind the API did not answer, so objects are missing.
    #[error(
        "{feed}: the answer is partial ({reason}; request-id {}): it was not used",
        request_id.as_deref().unwrap_or("unknown")
    )]
    Partial {
        feed: &'static str,
        reason: String,
        request_id: Option<String>,
    },
    #[error("{feed}: {error} (request-id {})", request_id.as_deref().unwrap_or("unknown"))]
    Unreadable {
        feed: &'static str,
        error: SliceError,
        request_id: Option<String>,
    },
}

fn follow(advice: Option<&str>) -> String {
    advice
        .map(|advice| format!("; {advice}"))
        .unwrap_or_default()
}

impl FeedSource {
    /// `client` must be of the feed's own family.
    pub fn new(client: Client, feed: Feed) -> Self {
        Self {
            client,
            feed,
            foreign: AtomicBool::new(false),
        }
    }

    fn call_error(&self, error: Error) -> PageError {
        let collection = self.feed.collection();
        let advice = match (error.status(), &error, collection.ending) {
            (Some(403), Error::Service { .. }, _) => Some(format!(
                "grant the app the application permission {} of \"{}\" with admin consent",
                collection.read, collection.api
            )),
            (Some(404 | 410), Error::Service { .. }, Some(ending)) => Some(ending.to_owned()),
            _ => error.advice().map(str::to_owned),
        };
        PageError::Call {
            feed: collection.name,
            error: Box::new(error),
            advice,
        }
    }

    fn take(&self, answer: Answer) -> Result<Page, PageError> {
        let feed = self.feed.collection().name;
        let request_id = answer.request_id;
        if let Some(reason) = partial(answer.status, answer.warning.as_deref()) {
            tracing::warn!(
                "{feed}: partial answer ({reason}), request-id {}",
                request_id.as_deref().unwrap_or("unknown")
            );
            return Err(PageError::Partial {
                feed,
                reason,
                request_id,
            });
        }
        let Listing { page, next_link } = slice(answer.body, &self.feed.collection().shape)
            .map_err(|error| PageError::Unreadable {
                feed,
                error,
                request_id,
            })?;
        if let Some(place) = next_link.and_then(|link| foreign(self.client.base(), &link))
            && !self.foreign.swap(true, Ordering::Relaxed)
        {
            tracing::warn!("{feed}: the list points on to another host, {place}: not followed");
        }
        Ok(page)
    }
}

impl Source for FeedSource {
    type Error = PageError;

    fn limits(&self) -> Limits {
        self.feed.collection().limits.clone()
    }

    async fn page(&self, ask: &Ask) -> Result<Page, PageError> {
        let question = self.feed.question(ask);
        let answered = match ask.patient {
            true => self.client.get(&question).await,
            false => self.client.get_once(&question).await,
        };
        match answered {
            Ok(answer) => self.take(answer),
            Err(error) => Err(self.call_error(error)),
        }
    }
}

/// Why an answer holds less than was asked for. Only the warn-code 199 says so
/// (Graph: `199 - "{vendor}/{provider}/{status}/{latency}"`); others, such as a
/// proxy's 214, say nothing about the list.
fn partial(status: u16, warning: Option<&str>) -> Option<String> {
    let warning = warning.filter(|text| {
        text.split(',')
            .any(|one| one.trim_start().starts_with("199 "))
    });
    match (status, warning) {
        (_, Some(warning)) => Some(format!("Warning: {warning}")),
        (206, None) => Some("status 206".to_owned()),
        _ => None,
    }
}

/// The host a link leads to, if that is not the API's own.
fn foreign(base: &Url, link: &str) -> Option<String> {
    let Ok(to) = base.join(link) else {
        return Some("an address that cannot be read".to_owned());
    };
    let same = to.host_str() == base.host_str()
        && to.port_or_known_default() == base.port_or_known_default();
    (!same).then(|| to.host_str().unwrap_or(to.scheme()).to_owned())
}

impl Fault for PageError {
    fn verdict(&self) -> Verdict {
        match self {
            PageError::Partial { .. } | PageError::Unreadable { .. } => Verdict::Unservable,
            PageError::Call { error, .. } => match error.as_ref() {
                Error::BodyTooLarge { .. } | Error::Truncated { .. } => Verdict::Unservable,
                // A service that hangs up over one page; whether it answers at
                // all is for the walk to find out.
                Error::Network {
                    uncertain: true,
                    lasting: false,
                    ..
                } => Verdict::Unservable,
                Error::Service { status, .. } if *status >= 500 => Verdict::Unservable,
                Error::Service {
                    status: 400,
                    message,
                    ..
                } => Verdict::Refused(refusal(message)),
                _ => Verdict::Stop,
            },
        }
    }
}

/// Which part of the ask a 400 speaks of. OData's own sentence is `The limit of
/// '50' for Top query has been exceeded.`; other texts count only where they
/// name one part and no other, since some repeat the whole question.
fn refusal(message: &str) -> Refusal {
    let message = message.to_ascii_lowercase();
    if message.contains("for top query") {
        return Refusal::Top(limit(&message));
    }
    if message.contains("for skip query") {
        return Refusal::Skip;
    }
    let names = |words: &[&str]| {
        message
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| words.contains(&word))
    };
    let order = names(&["orderby", "sort", "sorting"]) || message.contains("order by");
    match (order, names(&["top"]), names(&["skip"])) {
        (true, false, false) => Refusal::Order,
        (false, true, false) => Refusal::Top(limit(&message)),
        (false, false, true) => Refusal::Skip,
        _ => Refusal::Unnamed,
    }
}

/// The number in `limit of '50'`.
fn limit(message: &str) -> Option<u32> {
    let (_, after) = message.split_once("limit of ")?;
    let after = after.trim_start_matches(['\'', '"']);
    let end = after.find(|c: char| !c.is_ascii_digit());
    let digits = end.map_or(Some(after), |end| after.get(..end))?;
    digits.parse().ok().filter(|limit| *limit > 0)
}

#[cfg(test)]
mod over_loopback;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_which_part_of_an_ask_is_refused() {
        for (message, expected) in [
            (
                "The limit of '50' for Top query has been exceeded. The value from the incoming request is '1000'.",
                Refusal::Top(Some(50)),
            ),
            (
                "The limit of '500' for Skip query has been exceeded. The value from the incoming request is '501'.",
                Refusal::Skip,
            ),
            ("Invalid value for $top", Refusal::Top(None)),
            ("The limit of '0' for Top query", Refusal::Top(None)),
            (
                "The limit of '99999999999' for Top query",
                Refusal::Top(None),
            ),
            ("$orderby is not supported", Refusal::Order),
            ("The query option 'OrderBy' is not allowed.", Refusal::Order),
            ("$skip must not exceed 500", Refusal::Skip),
            (
                "Cannot parse ?$filter=x&$orderby=x asc&$top=5&$skip=2",
                Refusal::Unnamed,
            ),
            ("Stop it: a skipped topic", Refusal::Unnamed),
            ("", Refusal::Unnamed),
        ] {
            assert_eq!(refusal(message), expected, "{message}");
        }
    }

    #[test]
    fn only_graphs_own_warning_makes_an_answer_partial() {
        let warning = r#"199 - "Microsoft/MCAS/503/2000""#;
        assert!(partial(200, Some(warning)).unwrap().contains("MCAS"));
        assert!(partial(200, Some(&format!("214 proxy \"x\", {warning}"))).is_some());
        assert!(partial(206, None).is_some());
        assert!(partial(200, None).is_none());
        assert!(partial(200, Some(r#"214 proxy "Transformation applied""#)).is_none());
        assert!(partial(200, Some(r#"299 - "deprecated, see 199""#)).is_none());
    }

    #[test]
    fn a_link_is_foreign_by_host_and_port() {
        let base = Url::parse("https://graph.microsoft.com/").unwrap();
        let place = |link| foreign(&base, link);
        assert_eq!(place("https://graph.microsoft.com:443/v1.0/x"), None);
        assert_eq!(place("/v1.0/security/x?$skip=50"), None);
        assert_eq!(
            place("https://evil.example/x").as_deref(),
            Some("evil.example")
        );
        assert_eq!(
            place("https://graph.microsoft.com:8443/x").as_deref(),
            Some("graph.microsoft.com")
        );
        assert_eq!(place("data:x").as_deref(), Some("data"));
        assert!(place("https://[").is_some());
    }

    proptest::proptest! {
        #[test]
        fn no_message_of_a_service_can_break_its_reading(message: String, n: u32) {
            let _ = refusal(&message);
            let told = refusal(&format!("{message} limit of '{n}"));
            proptest::prop_assert_ne!(told, Refusal::Top(Some(0)));
        }
    }
}
