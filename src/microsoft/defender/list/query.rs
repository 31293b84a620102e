//! A feed: one collection of one API, narrowed by what the list call can
//! filter; and the exact words of its questions.

use crate::ingest::{Instant, ListQuery, Order, TieBreaker};
use crate::microsoft::defender::list::collection;
use crate::microsoft::defender::list::collection::Collection;
use crate::triage::{Api, Subject};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt;

/// A validated feed.
#[derive(Debug, Clone)]
pub struct Feed {
    api: Api,
    subject: Subject,
    collection: &'static Collection,
    /// Conditions beside the window, each with its leading ` and `.
    narrowed: String,
}

/// A feed that cannot be asked for as it is set.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FeedError {
    #[error(
        "feed: {api} has no list of {subject}: use `api = graph`, `api = mde` (alerts) or `api = xdr` (incidents)"
    )]
    NoSuchList {
        api: &'static str,
        subject: &'static str,
    },
    #[error("min_severity: `{0}` is no severity; use informational, low, medium or high")]
    Severity(String),
    #[error("service_sources: `{given}` is none; known are {}", known.join(", "))]
    ServiceSource {
        given: String,
        known: &'static [&'static str],
    },
    #[error("{setting}: {feed} cannot be filtered by it; leave it empty{hint}")]
    Unfilterable {
        setting: &'static str,
        feed: &'static str,
        hint: &'static str,
    },
}

const SEVERITIES: [&str; 4] = ["informational", "low", "medium", "high"];

impl Feed {
    /// Checks the settings as they were typed. `informational` narrows nothing:
    /// objects without a severity belong to it.
    pub fn new(
        api: Api,
        subject: Subject,
        min_severity: Option<&str>,
        service_sources: &[String],
    ) -> Result<Self, FeedError> {
        let collection = collection(api, subject).ok_or(FeedError::NoSuchList {
            api: match api {
                Api::Graph => "Microsoft Graph",
                Api::Mde => "the Defender for Endpoint API",
                Api::Xdr => "the Defender XDR API",
            },
            subject: match subject {
                Subject::Alert => "alerts",
                Subject::Incident => "incidents",
            },
        })?;
        let mut narrowed = String::new();
        let min_severity = min_severity.map(str::trim).filter(|text| !text.is_empty());
        if let Some(given) = min_severity {
            let level = SEVERITIES
                .iter()
                .position(|severity| severity.eq_ignore_ascii_case(given))
                .ok_or_else(|| FeedError::Severity(given.to_owned()))?;
            let spelled = collection.severities.ok_or(FeedError::Unfilterable {
                setting: "min_severity",
                feed: collection.name,
                hint: ", or use `api = graph`",
            })?;
            if let (1.., Some(wanted)) = (level, spelled.get(level..)) {
                narrowed += &format!(" and {}", one_of("severity", wanted));
            }
        }
        let mut sources: Vec<&'static str> = Vec::new();
        let given = service_sources.iter().map(|text| text.trim());
        for given in given.filter(|text| !text.is_empty()) {
            let (_, known) = collection.service_sources.ok_or(FeedError::Unfilterable {
                setting: "service_sources",
                feed: collection.name,
                hint: ", or use `api = graph` with `feed = alerts`",
            })?;
            let source = known
                .iter()
                .find(|source| source.eq_ignore_ascii_case(given))
                .ok_or_else(|| FeedError::ServiceSource {
                    given: given.to_owned(),
                    known,
                })?;
            if !sources.contains(source) {
                sources.push(source);
            }
        }
        if let (Some((field, _)), false) = (collection.service_sources, sources.is_empty()) {
            narrowed += &format!(" and {}", one_of(field, &sources));
        }
        Ok(Self {
            api,
            subject,
            collection,
            narrowed,
        })
    }

    pub fn api(&self) -> Api {
        self.api
    }

    pub fn subject(&self) -> Subject {
        self.subject
    }

    /// Said once per run where Microsoft has announced the end of the API.
    pub fn notice(&self) -> Option<&'static str> {
        self.collection.ending
    }

    pub(in crate::microsoft) fn collection(&self) -> &'static Collection {
        self.collection
    }

    /// Path and query of one list call, percent-encoded.
    pub(in crate::microsoft) fn question(&self, query: &ListQuery) -> String {
        let Collection {
            path,
            expand,
            shape,
            ..
        } = self.collection;
        let updated = shape.updated;
        let tie_breakers: String = query.tie_breakers.iter().map(share).collect();
        let filter = format!(
            "{updated} ge {} and {updated} lt {}{}{tie_breakers}",
            literal(query.from),
            literal(query.to),
            self.narrowed
        );
        let mut question = format!("{path}?$filter={}", encoded(&filter));
        if let Some(expand) = expand {
            question += &format!("&$expand={expand}");
        }
        let direction = match query.order {
            Some(Order::Ascending) => Some("asc"),
            Some(Order::Descending) => Some("desc"),
            None => None,
        };
        if let Some(direction) = direction {
            question += &format!("&$orderby={updated}%20{direction}");
        }
        question += &format!("&$top={}", query.top);
        if query.skip > 0 {
            question += &format!("&$skip={}", query.skip);
        }
        if query.count {
            question += "&$count=true";
        }
        question
    }
}

impl fmt::Display for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.collection.name)
    }
}

/// An instant with as few fraction digits as hold it, of those Microsoft prints: none
/// as in its samples, three, six or seven. Services differ in how many they take, and
/// take at least as many as they print.
fn literal(instant: Instant) -> String {
    let whole = instant.to_string();
    let shorter = [".0000000Z", "0000Z", "0Z"]
        .into_iter()
        .find_map(|rest| whole.strip_suffix(rest));
    match shorter {
        Some(text) => format!("{text}Z"),
        None => whole,
    }
}

fn share(tie_breaker: &TieBreaker) -> String {
    match tie_breaker {
        TieBreaker::Is(field, value) => format!(" and {field} eq {}", quoted(value)),
        TieBreaker::IsNone(field, values) => {
            let each = |value| format!(" and {field} ne {}", quoted(value));
            values.iter().copied().map(each).collect()
        }
    }
}

fn one_of(field: &str, values: &[&str]) -> String {
    let each = |value: &&str| format!("{field} eq {}", quoted(value));
    let any = values.iter().map(each).collect::<Vec<_>>().join(" or ");
    match values {
        [_] => any,
        _ => format!("({any})"),
    }
}

/// An OData text literal.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// All but the unreserved characters of RFC 3986, and `:`, which a query may hold.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':');

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, QUERY).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query() -> ListQuery {
        ListQuery {
            from: "2026-11-20T08:00:00Z".parse().unwrap(),
            to: "2026-11-21T08:15:30.1234567Z".parse().unwrap(),
            order: Some(Order::Ascending),
            top: 500,
            skip: 0,
            tie_breakers: Vec::new(),
            count: false,
            patient: true,
        }
    }

    fn feed(api: Api, subject: Subject) -> Feed {
        Feed::new(api, subject, None, &[]).unwrap()
    }

    /// As a server reads it.
    fn decoded(question: &str) -> String {
        percent_encoding::percent_decode_str(question)
            .decode_utf8()
            .unwrap()
            .into_owned()
    }

    #[test]
    fn asks_graph_for_a_window_of_alerts() {
        assert_eq!(
            feed(Api::Graph, Subject::Alert).question(&query()),
            "/v1.0/security/alerts_v2?$filter=lastUpdateDateTime%20ge%202026-11-20T08:00:00Z\
             %20and%20lastUpdateDateTime%20lt%202026-11-21T08:15:30.1234567Z\
             &$orderby=lastUpdateDateTime%20asc&$top=500"
        );
    }

    #[test]
    fn an_instant_is_written_as_short_as_microsoft_prints_it() {
        for (instant, expected) in [
            ("2026-11-20T08:00:10Z", "2026-11-20T08:00:10Z"),
            ("2026-11-20T08:00:00.1Z", "2026-11-20T08:00:00.100Z"),
            ("2026-11-20T08:00:00.1201Z", "2026-11-20T08:00:00.120100Z"),
            (
                "2026-11-20T08:00:00.0000001Z",
                "2026-11-20T08:00:00.0000001Z",
            ),
        ] {
            assert_eq!(literal(instant.parse().unwrap()), expected);
        }
    }

    #[test]
    fn every_api_is_asked_in_its_own_words() {
        let query = ListQuery {
            order: None,
            top: 50,
            skip: 450,
            ..query()
        };
        let window = |field| {
            format!("{field} ge 2026-11-20T08:00:00Z and {field} lt 2026-11-21T08:15:30.1234567Z")
        };
        for (api, subject, expected) in [
            (
                Api::Graph,
                Subject::Incident,
                format!(
                    "/v1.0/security/incidents?$filter={}&$top=50&$skip=450",
                    window("lastUpdateDateTime")
                ),
            ),
            (
                Api::Mde,
                Subject::Alert,
                format!(
                    "/api/alerts?$filter={}&$expand=evidence&$top=50&$skip=450",
                    window("lastUpdateTime")
                ),
            ),
            (
                Api::Xdr,
                Subject::Incident,
                format!(
                    "/api/incidents?$filter={}&$top=50&$skip=450",
                    window("lastUpdateTime")
                ),
            ),
        ] {
            assert_eq!(decoded(&feed(api, subject).question(&query)), expected);
        }
    }

    #[test]
    fn settings_and_shares_narrow_the_window() {
        let sources = [
            " microsoftdefenderforendpoint".to_owned(),
            "microsoftSentinel".to_owned(),
            "microsoftSentinel".to_owned(),
            String::new(),
        ];
        let feed = Feed::new(Api::Graph, Subject::Alert, Some("Medium"), &sources).unwrap();
        let mut query = query();
        query.tie_breakers = vec![TieBreaker::IsNone("status", &["new", "it's"])];
        let question = decoded(&feed.question(&query));
        assert!(
            question.contains(
                "Z and (severity eq 'medium' or severity eq 'high') \
                 and (serviceSource eq 'microsoftDefenderForEndpoint' or serviceSource eq 'microsoftSentinel') \
                 and status ne 'new' and status ne 'it''s'&$orderby=lastUpdateDateTime asc"
            ),
            "{question}"
        );
        query.tie_breakers = vec![
            TieBreaker::Is("status", "new"),
            TieBreaker::Is("severity", "low"),
        ];
        assert!(
            decoded(&feed.question(&query)).contains(" and status eq 'new' and severity eq 'low'&")
        );
    }

    #[test]
    fn mde_spells_severities_its_own_way_and_the_lowest_narrows_nothing() {
        let high = Feed::new(Api::Mde, Subject::Alert, Some("high"), &[]).unwrap();
        assert!(decoded(&high.question(&query())).contains(" and severity eq 'High'&$expand"));
        let all = Feed::new(Api::Mde, Subject::Alert, Some("informational"), &[]).unwrap();
        assert_eq!(
            all.question(&query()),
            feed(Api::Mde, Subject::Alert).question(&query())
        );
    }

    #[test]
    fn what_cannot_be_asked_is_refused_in_clear_words() {
        let refuse = |api, subject, severity: Option<&str>, source: &[&str]| {
            let sources: Vec<_> = source.iter().map(|text| (*text).to_owned()).collect();
            Feed::new(api, subject, severity, &sources)
                .unwrap_err()
                .to_string()
        };
        for (error, words) in [
            (
                refuse(Api::Mde, Subject::Incident, None, &[]),
                "the Defender for Endpoint API has no list of incidents",
            ),
            (
                refuse(Api::Xdr, Subject::Alert, None, &[]),
                "the Defender XDR API has no list of alerts",
            ),
            (
                refuse(Api::Graph, Subject::Alert, Some("hgih"), &[]),
                "min_severity: `hgih` is no severity",
            ),
            (
                refuse(Api::Xdr, Subject::Incident, Some("high"), &[]),
                "min_severity: Defender XDR incidents cannot be filtered by it",
            ),
            (
                refuse(Api::Graph, Subject::Alert, None, &["defender"]),
                "service_sources: `defender` is none; known are microsoftDefenderForEndpoint,",
            ),
            (
                refuse(
                    Api::Graph,
                    Subject::Incident,
                    None,
                    &["microsoft365Defender"],
                ),
                "service_sources: Microsoft Graph incidents cannot be filtered by it",
            ),
        ] {
            assert!(error.contains(words), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_question_is_always_one_that_a_url_carries_unchanged(
            from in 0_i64..90_000_000_000_000_000,
            top: u32,
            skip: u32,
            value in proptest::sample::select(vec!["a&b", "x#y", "50%", "é", "a+b"]),
        ) {
            let mut query = query();
            query.from = Instant::from_ticks(from);
            (query.top, query.skip) = (top, skip);
            query.tie_breakers = vec![TieBreaker::Is("f", value)];
            let question = feed(Api::Graph, Subject::Alert).question(&query);
            let url = url::Url::parse("https://graph.example/").unwrap().join(&question).unwrap();
            let sent = format!("{}?{}", url.path(), url.query().unwrap());
            proptest::prop_assert_eq!(&sent, &question);
            let filter = url.query_pairs().find(|(name, _)| name == "$filter").unwrap().1.into_owned();
            let end = format!("f eq '{value}'");
            proptest::prop_assert!(filter.ends_with(&end));
        }
    }
}
