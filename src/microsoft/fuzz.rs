//! This room's readers of foreign bytes, opened for `fuzz/` alone.

use crate::ingest::stream::{Message, Position};
use crate::ingest::{Instant, Page};
use crate::microsoft::azure::records::{self, Lines, Tables};
use crate::microsoft::client::{Answer, ErrorBody};
use crate::microsoft::defender::list::collection;
use crate::microsoft::defender::update::{graph_batch, mde_list_by_id, state};
use crate::microsoft::http::lenient_json::lenient;
use crate::microsoft::list_answer::slice;
use crate::triage::{Api, State, Subject};

/// A list answer taken apart, as each list of each API would.
pub fn list_answer(body: &[u8]) -> Vec<Page> {
    let lists = [Api::Graph, Api::Mde, Api::Xdr]
        .into_iter()
        .flat_map(|api| [Subject::Alert, Subject::Incident].map(|what| collection(api, what)));
    let shapes = lists.flatten().map(|collection| &collection.shape);
    shapes
        .filter_map(|shape| slice(body.to_vec(), shape).ok())
        .map(|listing| listing.page)
        .collect()
}

/// Code, message and request id of an error answer.
pub fn error_body(body: &str) -> (String, String, Option<String>) {
    let said = ErrorBody::read(body);
    (said.code, said.message, said.request_id)
}

/// How many parts the answer to a `$batch` has.
pub fn batch_answer(body: &[u8]) -> usize {
    let answer = Answer::default();
    graph_batch::said(&lenient(body), &answer).map_or(0, |parts| parts.len())
}

/// The state in an answer about one object.
pub fn state(body: &[u8]) -> Option<State> {
    state::parse_state(body).ok()
}

/// The states in a list of Defender for Endpoint, by id.
pub fn states(body: &[u8]) -> Vec<(String, State)> {
    mde_list_by_id::elements(body).into_iter().collect()
}

/// The records of a message of a hub.
pub fn message(body: &[u8]) -> Message {
    let received = Instant::from_millis(1);
    records::message(
        body.to_vec(),
        &Tables::default(),
        received,
        Position::default(),
    )
}

/// The records of a part of a blob.
pub fn lines(chunk: &[u8]) -> Lines {
    let received = Instant::from_millis(1);
    records::lines(chunk.to_vec(), &Tables::default(), received, |_| true)
}

/// A message of an event hub: whether it has a position, and its body.
pub fn hub_message(text: &str) -> (bool, Vec<u8>) {
    crate::microsoft::azure::event_hub::foreign::message(text)
}

/// A hub's description of itself: how many partitions it tells.
pub fn hub_reply(text: &str) -> Option<usize> {
    crate::microsoft::azure::event_hub::foreign::reply(text)
}

/// The status of a proxy's answer to CONNECT.
pub fn proxy_answer(head: &[u8]) -> Option<u16> {
    crate::microsoft::azure::event_hub::foreign::proxy(head)
}

/// Names and sizes of the blobs of a list, and the marker of what follows.
pub fn blobs(body: &[u8]) -> Option<(Vec<(String, u64)>, Option<String>)> {
    crate::microsoft::azure::storage::foreign::blobs(body)
}

/// How many containers a list has.
pub fn containers(body: &[u8]) -> Option<usize> {
    crate::microsoft::azure::storage::foreign::containers(body)
}

/// Code and message of an error of storage.
pub fn storage_refusal(body: &str) -> Option<(String, String)> {
    crate::microsoft::azure::storage::foreign::refusal(body)
}

/// A container's position, written again as it was understood.
pub fn blob_position(text: &str) -> Option<String> {
    crate::microsoft::azure::storage::foreign::position(text)
}
