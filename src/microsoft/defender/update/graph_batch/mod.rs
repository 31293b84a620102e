//! Graph's `$batch`: up to twenty calls in one POST ("Combine multiple HTTP
//! requests using JSON batching").
//!
//! The POST may be answered 200 while each of its parts is throttled, refused or
//! broken, so every part has a result of its own; only the parts worth it are
//! sent again. Parts count one by one against the quota.

#[cfg(test)]
mod tests;

use crate::microsoft::client::{
    Answer, Client, ErrorBody, FIRST_PAUSE, Nature, Quota, RETRY_DELAY, TRIES,
};
use crate::microsoft::http::error::{Error, line, passing};
use crate::microsoft::http::lenient_json::{Members, elements, lenient, text_or_number};
use crate::microsoft::http::retry_after;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use tracing::info;

/// Most parts in one batch.
pub(in crate::microsoft) const MOST: usize = 20;

/// Part paths are counted from here.
const VERSION: &str = "/v1.0";
const PATH: &str = "/v1.0/$batch";

/// A part that depends on another that failed.
const DEPENDENCY: u16 = 424;

/// One call of a batch.
#[derive(Debug)]
pub(in crate::microsoft) struct Part {
    pub method: Method,
    /// As for a call of its own.
    pub path: String,
    pub body: Option<Value>,
}

impl Part {
    pub fn get(path: &str) -> Self {
        Self {
            method: Method::GET,
            path: path.to_owned(),
            body: None,
        }
    }

    /// Whether it may be sent again although it may have been carried out.
    fn is_repeatable(&self) -> bool {
        self.method != Method::POST
    }

    /// As a call of its own, for one that batches leave out again and again.
    async fn singly(&self, client: &Client, deadline: Instant) -> Result<Answer, Error> {
        let patience = deadline.saturating_duration_since(client.clock().now());
        let client = client.clone().patience(patience);
        let Some(body) = &self.body else {
            return client.get(&self.path).await;
        };
        let (method, body) = (self.method.clone(), body.to_string());
        client
            .write(method, &self.path, &body, Quota::Calls(1))
            .await
    }

    fn document(&self, id: usize) -> Value {
        let mut headers = Map::new();
        // The headers around a batch do not reach its parts. Without this one
        // Graph hides enum values younger than its first ones.
        headers.insert("Prefer".into(), "include-unknown-enum-members".into());
        let mut part = Map::new();
        part.insert("id".into(), id.to_string().into());
        part.insert("method".into(), self.method.as_str().into());
        let url = self.path.strip_prefix(VERSION).unwrap_or(&self.path);
        part.insert("url".into(), url.into());
        if let Some(body) = &self.body {
            headers.insert("Content-Type".into(), "application/json".into());
            part.insert("body".into(), body.clone());
        }
        part.insert("headers".into(), headers.into());
        part.into()
    }
}

/// What became of one part in one round.
enum PartResult {
    Done(Result<Answer, Error>),
    /// Worth another round, after this long.
    Again(Error, Duration),
    /// The same, as often as there is time.
    Throttled(Error, Duration),
}

/// Sends at most [`MOST`] parts: one result per part, in their order. `None`
/// where the service offers no `$batch`, so that nothing was carried out, or
/// nothing that may not be sent again.
pub(in crate::microsoft) async fn send(
    client: &Client,
    parts: &[Part],
) -> Option<Vec<Result<Answer, Error>>> {
    let deadline = client.deadline();
    let mut attempts = vec![0; parts.len()];
    let mut results: Vec<Option<Result<Answer, Error>>> = parts.iter().map(|_| None).collect();
    let mut due: Vec<usize> = (0..parts.len()).collect();
    let mut pause = FIRST_PAUSE;
    for round in 1.. {
        let patience = deadline.saturating_duration_since(client.clock().now());
        let answer = post(&client.clone().patience(patience), parts, &due).await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) if round == 1 && is_unoffered(&error) => return None,
            Err(error) => {
                for at in due {
                    put(&mut results, at, Err(error.clone()));
                }
                break;
            }
        };
        let json = lenient(&answer.body);
        let read = said(&json, &answer);
        if read.is_none() && round == 1 && parts.iter().all(Part::is_repeatable) {
            // Somebody else answers in Graph's place, or it speaks another language.
            return None;
        }
        let mut said = read.unwrap_or_default();
        let mut again = Vec::new();
        let (mut wait, mut hold) = (Duration::ZERO, None);
        for at in due {
            let Some((part, attempts)) = parts.get(at).zip(attempts.get_mut(at)) else {
                continue;
            };
            *attempts += answer.attempts;
            let (result, least) = match part_result(client, part, said.remove(&at), *attempts) {
                PartResult::Done(result) => (result, None),
                PartResult::Again(error, _) if round >= TRIES => (Err(error), None),
                PartResult::Again(error, least) => (Err(error), Some(least.max(pause))),
                PartResult::Throttled(error, least) => {
                    hold = hold.max(Some(least));
                    (Err(error), Some(least))
                }
            };
            if let Some(least) = least {
                wait = wait.max(least);
                again.push(at);
            }
            put(&mut results, at, result);
        }
        if let Some(hold) = hold {
            client.throttled(hold).await;
        }
        if again.is_empty() || client.clock().now() + wait >= deadline {
            break;
        }
        info!(
            "{}: {} of {} parts of a batch are tried again in {:.1} s",
            client.host(),
            again.len(),
            parts.len(),
            wait.as_secs_f64()
        );
        client.clock().sleep(wait).await;
        pause *= 3;
        due = again;
    }
    let mut all = Vec::with_capacity(parts.len());
    for (part, result) in parts.iter().zip(results) {
        all.push(match result {
            Some(Err(error)) if part.is_repeatable() && is_left_out(&error) => {
                part.singly(client, deadline).await
            }
            Some(result) => result,
            None => Err(missing(client)),
        });
    }
    Some(all)
}

fn put<T>(results: &mut [Option<T>], at: usize, result: T) {
    if let Some(place) = results.get_mut(at) {
        *place = Some(result);
    }
}

async fn post(client: &Client, parts: &[Part], due: &[usize]) -> Result<Answer, Error> {
    let due: Vec<(usize, &Part)> = due
        .iter()
        .filter_map(|at| Some((*at, parts.get(*at)?)))
        .collect();
    let nature = if due.iter().all(|(_, part)| part.method == Method::GET) {
        Nature::Reads
    } else if due.iter().all(|(_, part)| part.is_repeatable()) {
        Nature::Sets
    } else {
        Nature::Appends
    };
    let requests: Vec<Value> = due.iter().map(|(at, part)| part.document(*at)).collect();
    let body = json!({ "requests": requests }).to_string();
    let calls = u32::try_from(due.len()).unwrap_or(u32::MAX);
    client
        .bundle(PATH, &body, Quota::Calls(calls), nature)
        .await
}

/// Whether it is the batch itself that is refused: its parts may be sent singly.
fn is_unoffered(error: &Error) -> bool {
    let refused = [400, 403, 404, 405, 413, 501];
    matches!(error, Error::Service { status, .. } if refused.contains(status))
}

/// A part of the answer.
#[derive(Debug)]
pub(in crate::microsoft) struct PartAnswer<'a> {
    /// None where it cannot be read.
    status: Option<u16>,
    headers: Vec<(String, String)>,
    body: Option<&'a RawValue>,
    request_id: Option<String>,
}

/// The parts of an answer by their number; none where it is no answer to a batch.
pub(in crate::microsoft) fn said<'a>(
    json: &'a str,
    answer: &Answer,
) -> Option<HashMap<usize, PartAnswer<'a>>> {
    let parts = elements(Members::read(json).ok()?.get("responses")?);
    Some(
        parts
            .into_iter()
            .filter_map(|part| part_answer(part, answer))
            .collect(),
    )
}

fn part_answer<'a>(part: &'a RawValue, answer: &Answer) -> Option<(usize, PartAnswer<'a>)> {
    let part = Members::read(part.get()).ok()?;
    let word = |name: &str| part.get(name).and_then(text_or_number);
    let at = word("id")?.parse().ok()?;
    let headers = part.get("headers").map(|headers| headers.get());
    let headers = headers.and_then(|headers| Members::read(headers).ok());
    let headers = headers.unwrap_or_default();
    let headers = headers
        .iter()
        .filter_map(|(name, value)| Some((name.to_owned(), text_or_number(value)?)));
    let mut part_answer = PartAnswer {
        status: word("status").and_then(|status| status.parse().ok()),
        headers: headers.collect(),
        body: part.get("body"),
        request_id: None,
    };
    part_answer.request_id = part_answer.text("request-id").or(answer.request_id.clone());
    Some((at, part_answer))
}

impl PartAnswer<'_> {
    fn text(&self, name: &str) -> Option<String> {
        // Names are compared as in HTTP.
        let named = |(header, _): &&(String, String)| header.eq_ignore_ascii_case(name);
        self.headers.iter().find(named).map(|(_, text)| line(text))
    }

    /// The headers that say how long to wait.
    fn headers(&self) -> HeaderMap {
        let headers = self.headers.iter().filter_map(|(name, text)| {
            let name = HeaderName::try_from(name.as_str()).ok()?;
            Some((name, HeaderValue::try_from(text.as_str()).ok()?))
        });
        headers.collect()
    }
}

fn part_result(
    client: &Client,
    part: &Part,
    part_answer: Option<PartAnswer<'_>>,
    attempts: u32,
) -> PartResult {
    let Some(part_answer) = part_answer else {
        let error = missing(client);
        return match part.is_repeatable() {
            true => PartResult::Again(error, Duration::ZERO),
            false => PartResult::Done(Err(error)),
        };
    };
    // It would be no better the next time.
    let Some(status) = part_answer.status else {
        return PartResult::Done(Err(missing(client)));
    };
    let body = part_answer.body.map_or("", RawValue::get);
    if (200..300).contains(&status) {
        return PartResult::Done(Ok(Answer {
            status,
            body: body.as_bytes().to_vec(),
            request_id: part_answer.request_id,
            warning: None,
            attempts,
        }));
    }
    let said = ErrorBody::read(body);
    let wait = retry_after::retry_after(&part_answer.headers(), &said.message, SystemTime::now());
    let host = client.host().to_owned();
    let request_id = said.request_id.or(part_answer.request_id);
    if status == 429 {
        let wait = wait.unwrap_or(RETRY_DELAY);
        let error = Error::Throttled {
            host,
            retry_after: wait,
            request_id,
        };
        return PartResult::Throttled(error, wait);
    }
    let error = Error::Service {
        host,
        status,
        code: said.code,
        message: said.message,
        request_id,
        attempts,
    };
    // 424 is said before anything is carried out, a 5xx perhaps after.
    let untouched = status == DEPENDENCY;
    match untouched || (passing(status) && part.is_repeatable()) {
        true => PartResult::Again(error, wait.unwrap_or_default()),
        false => PartResult::Done(Err(error)),
    }
}

const LEFT_OUT: &str = "the answer to the batch says nothing of this part that can be read";

fn is_left_out(error: &Error) -> bool {
    matches!(error, Error::Network { what, .. } if what == LEFT_OUT)
}

fn missing(client: &Client) -> Error {
    Error::Network {
        host: client.host().to_owned(),
        what: LEFT_OUT.to_owned(),
        advice: None,
        uncertain: true,
        lasting: false,
        stalled: false,
    }
}
