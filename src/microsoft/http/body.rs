//! A body read chunk by chunk into one buffer that is never larger than its cap.

use crate::microsoft::http::error::Error;
use reqwest::Response;
use reqwest::header::TRANSFER_ENCODING;
use serde::de::IgnoredAny;

/// Largest body taken, in decoded bytes.
pub(crate) const CAP: usize = 64 << 20;

/// What a body is read against.
pub(crate) struct Reading<'a> {
    pub(crate) host: &'a str,
    pub(crate) request_id: Option<&'a str>,
    /// Bytes reserved at once. What is reserved and not written to is address
    /// space, not memory.
    pub(crate) room: usize,
    pub(crate) cap: usize,
}

/// Whether a text is one JSON object from brace to brace.
fn is_whole(body: &[u8]) -> bool {
    // Some proxies put a byte order mark in front.
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    let closes = body.trim_ascii_end().ends_with(b"}");
    closes && serde_json::from_slice::<IgnoredAny>(body).is_ok()
}

impl Reading<'_> {
    pub(crate) async fn read(&self, response: &mut Response) -> Result<Vec<u8>, Error> {
        let declared = response.content_length();
        if declared.is_some_and(|length| length > self.cap as u64) {
            return Err(self.too_large());
        }
        // Some servers end a body by hanging up, without the word TLS has for it: then
        // nothing but the text itself tells whether it is whole.
        let endless = declared.is_none() && !response.headers().contains_key(TRANSFER_ENCODING);
        let mut body = Vec::new();
        if body.try_reserve_exact(self.room.min(self.cap)).is_err() {
            tracing::debug!("no address space for {} bytes at once", self.room);
        }
        loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Ok(body),
                Err(_) if endless && is_whole(&body) => return Ok(body),
                Err(error) => {
                    return Err(Error::Truncated {
                        host: self.host.to_string(),
                        got: body.len(),
                        stalled: error.is_timeout(),
                        request_id: self.request_id.map(str::to_string),
                    });
                }
            };
            if body.len() + chunk.len() > self.cap {
                return Err(self.too_large());
            }
            if body.len() + chunk.len() > body.capacity() {
                // An eighth, not the doubling of `Vec`: memory stays near the body's size.
                body.reserve_exact(chunk.len().max(body.len() / 8).max(16 << 10));
            }
            body.extend_from_slice(&chunk);
        }
    }

    fn too_large(&self) -> Error {
        Error::BodyTooLarge {
            host: self.host.to_string(),
            cap: self.cap,
            request_id: self.request_id.map(str::to_string),
        }
    }
}
