//! A feed as the walk sees it: one list call answered, sliced and judged.
//!
//! The walk goes by time; what Microsoft says about more pages is handed on as
//! evidence. A link is followed only where time is no way on: over pages that
//! list nothing, and behind the first objects of a question, where it is surer
//! than `$skip`. Never to another host.

#[cfg(test)]
mod tests;

use crate::ingest::{ErrorClass, Limits, ListQuery, ListSource, Page, Refusal, SourceError};
use crate::microsoft::client::{Answer, Client};
use crate::microsoft::defender::list::query::Feed;
use crate::microsoft::http::error::Error;
use crate::microsoft::list_answer::{Listing, SliceError, slice};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use url::Url;

/// Empty pages in a row that are followed.
const MOST_EMPTY: u32 = 50;

/// One feed of one account.
#[derive(Debug)]
pub struct FeedSource {
    client: Client,
    feed: Feed,
    /// A link to another host was reported already.
    foreign: AtomicBool,
    /// So were partial answers.
    partial: AtomicBool,
    /// Where the question asked last goes on.
    trail: Mutex<Option<Trail>>,
}

/// A link, and what it leads behind.
#[derive(Debug)]
struct Trail {
    /// From its first object.
    query: ListQuery,
    /// Objects listed so far.
    listed: u32,
    /// Path and query.
    link: String,
}

impl Trail {
    fn leads_to(&self, query: &ListQuery) -> bool {
        query.skip > 0 && query.skip == self.listed && from_first(query) == self.query
    }
}

fn from_first(query: &ListQuery) -> ListQuery {
    ListQuery {
        skip: 0,
        patient: true,
        ..query.clone()
    }
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

impl PageError {
    /// Where a link was followed: it is not good (any more), which says nothing
    /// about the question.
    fn is_of_the_link(&self) -> bool {
        let Self::Call { error, .. } = self else {
            return false;
        };
        matches!(error.status(), Some(400 | 404 | 410 | 501))
    }
}

impl FeedSource {
    /// `client` must be of the feed's own API.
    pub fn new(client: Client, feed: Feed) -> Self {
        Self {
            client,
            feed,
            foreign: AtomicBool::new(false),
            partial: AtomicBool::new(false),
            trail: Mutex::new(None),
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
            (Some(404 | 410), Error::Service { .. }, None) => Some(
                "the address of the list is not known there: check `cloud` and the account's URLs, and \
                 whether something else answers at that address"
                    .to_owned(),
            ),
            _ => error.advice().map(str::to_owned),
        };
        PageError::Call {
            feed: collection.name,
            error: Box::new(error),
            advice,
        }
    }

    /// One answer, and where the list goes on.
    async fn ask(
        &self,
        question: &str,
        patient: bool,
    ) -> Result<(Page, Option<String>), PageError> {
        let answered = match patient {
            true => self.client.get(question).await,
            false => self.client.get_once(question).await,
        };
        match answered {
            Ok(answer) => self.take(question, answer),
            Err(error) => Err(self.call_error(error)),
        }
    }

    /// Follows links over empty pages. One that leads nowhere is the end, as if
    /// it had not been there: some services put one on every page.
    async fn over_empty(
        &self,
        mut page: Page,
        mut link: Option<String>,
        patient: bool,
    ) -> Result<(Page, Option<String>), PageError> {
        let mut followed = 0;
        while page.objects.is_empty() && page.quarantined.is_empty() && followed < MOST_EMPTY {
            let Some(to) = link.take() else { break };
            let (next, on) = match self.ask(&to, patient).await {
                Err(error) if error.is_of_the_link() => break,
                other => other?,
            };
            followed += 1;
            let partial = page.partial.take();
            page = next;
            page.partial = page.partial.or(partial);
            link = on;
        }
        Ok((page, link))
    }

    fn trail(&self) -> std::sync::MutexGuard<'_, Option<Trail>> {
        self.trail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, question: &str, answer: Answer) -> Result<(Page, Option<String>), PageError> {
        let feed = self.feed.collection().name;
        let request_id = answer.request_id;
        let partial = partial(answer.status, answer.warning.as_deref());
        if let Some(reason) = &partial
            && !self.partial.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                "{feed}: answers are partial ({reason}; request-id {}): a service behind the API does not \
                 answer, so its objects are missing. What comes is delivered, the rest is asked for again. \
                 If it lasts, check that the tenant has a licence for that product",
                request_id.as_deref().unwrap_or("unknown")
            );
        }
        let Listing {
            mut page,
            next_link,
        } = slice(answer.body, &self.feed.collection().shape).map_err(|error| {
            PageError::Unreadable {
                feed,
                error,
                request_id,
            }
        })?;
        let on = match next_link.map(|link| onward(self.client.base(), question, &link)) {
            Some(Ok(on)) => on,
            Some(Err(place)) => {
                if !self.foreign.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "{feed}: the list points on to another host, {place}: not followed"
                    );
                }
                None
            }
            None => None,
        };
        // A link that leads to the very page it stands on leads nowhere.
        let nowhere = on.as_deref().is_some_and(|on| is_same(on, question));
        page.more &= !nowhere;
        page.partial = partial;
        let on = on.filter(|_| !nowhere);
        Ok((page, on))
    }
}

/// Whether two paths ask the same, however they are spelled.
fn is_same(one: &str, other: &str) -> bool {
    let parts = |path: &str| {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        pairs.sort_unstable();
        (path.to_owned(), pairs)
    };
    one == other || parts(one) == parts(other)
}

impl ListSource for FeedSource {
    type Error = PageError;

    fn limits(&self) -> Limits {
        self.feed.collection().limits.clone()
    }

    async fn page(&self, query: &ListQuery) -> Result<Page, PageError> {
        let trail = self.trail().take().filter(|trail| trail.leads_to(query));
        let by_link = match &trail {
            Some(trail) => Some(self.ask(&trail.link, query.patient).await),
            None => None,
        };
        let (page, link) = match by_link {
            Some(Err(error)) if !error.is_of_the_link() => return Err(error),
            Some(Ok(answered)) => answered,
            _ => self.ask(&self.feed.question(query), query.patient).await?,
        };
        let (page, link) = self.over_empty(page, link, query.patient).await?;
        let count = u32::try_from(page.objects.len() + page.quarantined.len()).unwrap_or(u32::MAX);
        *self.trail() = link.map(|link| Trail {
            query: from_first(query),
            listed: query.skip.saturating_add(count),
            link,
        });
        Ok(page)
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

/// Path and query of a link behind the API's base URL, none where it leads past
/// it; the host it leads to, if that is not the API's own.
fn onward(base: &Url, question: &str, link: &str) -> Result<Option<String>, String> {
    // OData lets a link be relative to the address that was asked.
    let asked = format!("{}{question}", base.as_str().trim_end_matches('/'));
    let Ok(to) = Url::parse(&asked).and_then(|asked| asked.join(link)) else {
        return Err("an address that cannot be read".to_owned());
    };
    let same = to.host_str() == base.host_str()
        && to.port_or_known_default() == base.port_or_known_default()
        && to.scheme() == base.scheme();
    if !same {
        return Err(to.host_str().unwrap_or(to.scheme()).to_owned());
    }
    let path = to.path().strip_prefix(base.path().trim_end_matches('/'));
    Ok(path
        .filter(|path| path.starts_with('/'))
        .map(|path| match to.query() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        }))
}

impl SourceError for PageError {
    fn class(&self) -> ErrorClass {
        match self {
            PageError::Unreadable { .. } => ErrorClass::Unservable,
            PageError::Call { error, .. } => match error.as_ref() {
                Error::BodyTooLarge { .. } | Error::Truncated { .. } => ErrorClass::Unservable,
                // A service that hangs up over one page; whether it answers at
                // all is for the walk to find out.
                Error::Network {
                    uncertain: true,
                    lasting: false,
                    ..
                } => ErrorClass::Unservable,
                // How OData says that it does not know a part of the question is 501.
                Error::Service {
                    status: 400 | 501,
                    message,
                    ..
                } => ErrorClass::Refused(refusal(message)),
                Error::Service { status, .. } if *status >= 500 => ErrorClass::Unservable,
                _ => ErrorClass::Stop,
            },
        }
    }

    fn is_stall(&self) -> bool {
        matches!(self, PageError::Call { error, .. } if error.is_stall())
    }
}

/// Which part of the question a 400 speaks of. OData's own sentence is `The limit of
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
