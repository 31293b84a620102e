//! Many alerts of Defender for Endpoint read through its list, filtered by ids:
//! a thousand GETs would take ten minutes of the published quota.
//!
//! The list is a short cut, never the last word: it lags behind, so what it says
//! is marked as its word ([`State::listed`]), and what it does not return is read
//! by itself.

use crate::microsoft::defender::list::collection::Collection;
use crate::microsoft::defender::update::client::{DefenderError, IN_FLIGHT, UpdateClient};
use crate::microsoft::defender::update::state::parse_state;
use crate::microsoft::defender::update::tenant_limits::BatchCall;
use crate::microsoft::http::error::Error;
use crate::microsoft::http::lenient_json;
use crate::microsoft::http::lenient_json::{Members, lenient};
use crate::triage::{DefenderClient, State, Target};
use futures::StreamExt;
use futures::future::BoxFuture;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::value::RawValue;
use std::collections::HashMap;

/// Longest path and query; gateways begin to refuse addresses at some 2,000 bytes.
const ADDRESS: usize = 1900;

const HEAD: &str = "?$filter=";
const OR: &str = "%20or%20";

/// All but the unreserved characters of RFC 3986.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// One result per target, in their order.
pub(in crate::microsoft) async fn read_all(
    client: &UpdateClient,
    targets: &[Target],
) -> Vec<Result<State, DefenderError>> {
    let mut refused = HashMap::new();
    let mut valid = Vec::with_capacity(targets.len());
    let mut collection = None;
    for (at, target) in targets.iter().enumerate() {
        match client.place(target) {
            Ok((found, _)) => {
                collection = Some(found);
                valid.push(target);
            }
            Err(fault) => drop(refused.insert(at, fault)),
        }
    }
    let mut known: HashMap<&str, Result<State, DefenderError>> = HashMap::new();
    if let Some(collection) = collection {
        let asked: Vec<Asked<'_>> = valid.iter().map(|target| Asked::of(&target.id)).collect();
        let lists = lists(collection, &asked, client.at_once(BatchCall::List));
        let found: Vec<Vec<(&str, Result<State, DefenderError>)>> = futures::stream::iter(lists)
            .map(|list| read_list(client, collection, list))
            .buffered(IN_FLIGHT)
            .collect()
            .await;
        known.extend(found.into_iter().flatten());
    }
    let read = targets.iter().enumerate().map(|(at, target)| {
        let known = match refused.remove(&at) {
            Some(fault) => Some(Err(fault)),
            None => known.remove(target.id.as_str()),
        };
        async move {
            match known {
                Some(result) => result,
                None => client.read(target).await,
            }
        }
    });
    futures::stream::iter(read)
        .buffered(IN_FLIGHT)
        .collect()
        .await
}

/// An id, and how the filter asks for it.
struct Asked<'t> {
    id: &'t str,
    clause: String,
}

impl<'t> Asked<'t> {
    fn of(id: &'t str) -> Self {
        // A quote in OData's text is written twice.
        let quoted = format!("id eq '{}'", id.replace('\'', "''"));
        Self {
            id,
            clause: utf8_percent_encode(&quoted, VALUE).to_string(),
        }
    }
}

/// Parts the ids into lists that are neither too many nor too long. Lists of
/// one are left out: they are a GET.
fn lists<'l, 't>(
    collection: &Collection,
    asked: &'l [Asked<'t>],
    most: usize,
) -> Vec<&'l [Asked<'t>]> {
    let head = collection.path.len() + HEAD.len();
    let mut lists = Vec::new();
    let mut rest = asked;
    while !rest.is_empty() {
        let mut length = head;
        let fitting = rest.iter().take(most).take_while(|asked| {
            length += asked.clause.len() + OR.len();
            length <= ADDRESS
        });
        let (list, left) = rest.split_at(fitting.count().max(1));
        if list.len() > 1 {
            lists.push(list);
        }
        rest = left;
    }
    lists
}

/// What the list says of these ids; an id it does not say anything of is left out.
fn read_list<'f, 't: 'f>(
    client: &'f UpdateClient,
    collection: &'static Collection,
    asked: &'f [Asked<'t>],
) -> BoxFuture<'f, Vec<(&'t str, Result<State, DefenderError>)>> {
    Box::pin(async move {
        let clauses: Vec<&str> = asked.iter().map(|asked| asked.clause.as_str()).collect();
        let path = format!("{}{HEAD}{}", collection.path, clauses.join(OR));
        match client.client().get(&path).await {
            Ok(answer) => {
                let mut found = elements(&answer.body);
                let found = asked
                    .iter()
                    .filter_map(|asked| Some((asked.id, Ok(found.remove(asked.id)?))));
                found.collect()
            }
            // Too many conditions, too long an address, too large an answer.
            Err(
                Error::Service {
                    status: 400 | 413 | 414 | 431,
                    ..
                }
                | Error::BodyTooLarge { .. },
            ) => {
                let half = asked.len() / 2;
                client.limit(BatchCall::List, half);
                if half < 2 {
                    return Vec::new();
                }
                let (first, second) = asked.split_at(half);
                let mut found = read_list(client, collection, first).await;
                found.extend(read_list(client, collection, second).await);
                found
            }
            Err(Error::Service {
                status: 404 | 405 | 410,
                ..
            }) => Vec::new(),
            Err(error) => {
                let fault = |asked: &Asked<'t>| {
                    let fault = DefenderError::call(error.clone(), collection, collection.read);
                    (asked.id, Err(fault))
                };
                asked.iter().map(fault).collect()
            }
        }
    })
}

/// The readable elements of a list by their ids.
pub(in crate::microsoft) fn elements(body: &[u8]) -> HashMap<String, State> {
    let json = lenient(body);
    let page = Members::read(&json).unwrap_or_default();
    let element = |raw: &RawValue| {
        let id = Members::read(raw.get()).ok()?.text("id")?;
        let state = State {
            listed: true,
            ..parse_state(raw.get().as_bytes()).ok()?
        };
        Some((id, state))
    };
    let listed = page
        .get("value")
        .map(lenient_json::elements)
        .unwrap_or_default();
    listed.into_iter().filter_map(element).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::microsoft::defender::list::mde;

    fn asked(ids: &[String]) -> Vec<Asked<'_>> {
        ids.iter().map(|id| Asked::of(id)).collect()
    }

    #[test]
    fn some_thirty_ids_go_into_one_address() {
        let ids: Vec<String> = (0..100)
            .map(|n| format!("da637551227677560{n:03}_-961444813"))
            .collect();
        let asked = asked(&ids);
        let sizes = |most| {
            let lists = lists(&mde::ALERTS, &asked, most);
            lists.iter().map(|list| list.len()).collect::<Vec<_>>()
        };
        assert_eq!(sizes(usize::MAX), [34, 34, 32]);
        assert_eq!(sizes(33), [33, 33, 33]);
        assert_eq!(sizes(1), [0usize; 0]);
    }

    proptest::proptest! {
        #[test]
        fn no_id_can_leave_its_quotes(id in "\\PC{1,60}") {
            let asked = Asked::of(&id);
            let url = url::Url::parse(&format!("https://mde.example/api/alerts{HEAD}{}", asked.clause)).unwrap();
            let (_, filter) = url.query_pairs().next().unwrap();
            let value = filter.strip_prefix("id eq '").unwrap().strip_suffix('\'').unwrap();
            proptest::prop_assert_eq!(value.replace("''", ""), id.replace('\'', ""));
            proptest::prop_assert_eq!(value.matches('\'').count() % 2, 0);
            proptest::prop_assert_eq!(value.replace("''", "'"), id);
        }

        #[test]
        fn every_id_is_in_one_list_or_alone(lengths in proptest::collection::vec(1usize..250, 0..60), most in 1usize..50) {
            let ids: Vec<String> = lengths.iter().map(|length| "é".repeat(*length)).collect();
            let asked = asked(&ids);
            let lists = lists(&mde::ALERTS, &asked, most);
            let listed: usize = lists.iter().map(|list| list.len()).sum();
            proptest::prop_assert!(listed <= ids.len());
            for list in lists {
                let length: usize = list.iter().map(|asked| asked.clause.len() + OR.len()).sum();
                proptest::prop_assert!((2..=most.max(2)).contains(&list.len()));
                proptest::prop_assert!(length <= ADDRESS);
            }
        }

        #[test]
        fn what_is_odd_in_one_of_a_list_hides_no_other(odd in proptest::sample::select(vec![
            r#"{"id":"a","comments":[{"comment":"\ud83d"}]}"#, r#"{"id":"a","id":"b","\ud83d":1}"#,
            r#"{"id":7}"#, "null", "[]", r#""\udc00""#,
        ])) {
            let json = format!(r#"{{"@odata.count":1,"value":[{odd},{{"id":"z","status":"New"}}],"value2":{odd}}}"#);
            let read = elements(json.as_bytes());
            proptest::prop_assert_eq!(read["z"].status.as_deref(), Some("new"));
        }

        #[test]
        fn takes_any_bytes_without_a_panic(body: Vec<u8>) {
            drop(elements(&body));
        }
    }
}
