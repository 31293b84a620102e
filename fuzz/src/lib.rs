//! One function for each reader of foreign bytes: it takes any bytes, says whether
//! the reader did, and stops where that panics or breaks what it promises. The
//! fuzzer's targets and the run over `seeds/` call the same functions.

use defender_bridge::fuzz::splunk::{
    Asked, Payload, Questions, Reply, Results, Spool, Table, input, validation,
};
use defender_bridge::fuzz::{Checkpoint, Message, Object, Page, microsoft, splunk};
use std::io::Cursor;

#[cfg(test)]
mod seeds;

/// Takes any bytes; whether the reader did.
pub type Target = fn(&[u8]) -> bool;

/// Every target by its name.
pub const TARGETS: [(&str, Target); 16] = [
    ("list_answer", list_answer),
    ("records", records),
    ("event_hub", event_hub),
    ("storage", storage),
    ("error_body", error_body),
    ("batch_answer", batch_answer),
    ("state", state),
    ("checkpoint", checkpoint),
    ("input_document", input_document),
    ("encoding", encoding),
    ("event_text", event_text),
    ("alert_payload", alert_payload),
    ("results_file", results_file),
    ("chunked", chunked),
    ("persist", persist),
    ("spool", spool),
];

/// What a list answer is cut into is a part of it: objects are JSON, and lie in
/// the order in which they are handed on.
pub fn list_answer(body: &[u8]) -> bool {
    let mut found = false;
    for page in microsoft::list_answer(body) {
        found |= !page.objects.is_empty();
        let mut end = 0;
        for object in &page.objects {
            let span = &object.raw.span;
            assert!(end <= span.start && span.end <= page.body.len());
            end = span.end;
            let text = page.text(&object.raw).concat();
            let value: Result<serde_json::Value, _> = serde_json::from_str(&text);
            assert!(is_json(value.map(drop)), "{text}");
            assert!(!object.id.is_empty());
            nested(&page, object);
        }
        for quarantined in &page.quarantined {
            assert!(page.body.get(quarantined.span.clone()).is_some());
        }
    }
    found
}

/// What a streamed body is cut into is a part of it, and each record an object; what is
/// left of a blob for later is no whole line.
pub fn records(body: &[u8]) -> bool {
    let message = microsoft::message(body);
    objects(&message);
    let lines = microsoft::lines(body);
    objects(&lines.message);
    assert!(!body[lines.consumed..].contains(&b'\n'));
    !message.records.is_empty()
}

fn objects(message: &Message) {
    for record in &message.records {
        let text = &message.body[record.span.clone()];
        assert!(text.starts_with('{') && text.ends_with('}'), "{text}");
        let value: Result<serde_json::Value, _> = serde_json::from_str(text);
        assert!(is_json(value.map(drop)), "{text}");
    }
    for quarantined in &message.quarantined {
        assert!(!message.body[quarantined.span.clone()].is_empty());
        assert!(!quarantined.why.is_empty());
    }
}

fn nested(page: &Page, object: &Object) {
    for inner in &object.nested {
        let span = &inner.raw.span;
        assert!(object.raw.span.start < span.start && span.end < object.raw.span.end);
        let text = page.text(&inner.raw).concat();
        let value: Result<serde_json::Value, _> = serde_json::from_str(&text);
        assert!(is_json(value.map(drop)), "{text}");
    }
}

/// A tree holds less than the text may say: numbers out of range, too many levels,
/// lone surrogates. What was cut out need not fit into one.
fn is_json(read: serde_json::Result<()>) -> bool {
    match read {
        Ok(()) => true,
        Err(error) => [
            "number out of range",
            "recursion limit",
            "surrogate",
            "hex escape",
        ]
        .iter()
        .any(|limit| error.to_string().contains(limit)),
    }
}

/// A body is no longer than what it was made of, and a hub has a bounded number of
/// partitions, whatever it counts.
pub fn event_hub(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let (has_position, body) = microsoft::hub_message(&text);
    assert!(body.len() <= text.len());
    let partitions = microsoft::hub_reply(&text);
    assert!(partitions.is_none_or(|count| (1..=4096).contains(&count)));
    let status = microsoft::proxy_answer(bytes);
    assert!(status.is_none_or(|status| (100..600).contains(&status)));
    has_position || partitions.is_some() || status.is_some()
}

/// A list holds no more than its bytes can, and a position that was understood is
/// understood again as the same.
pub fn storage(bytes: &[u8]) -> bool {
    let blobs = microsoft::blobs(bytes);
    if let Some((found, next)) = &blobs {
        assert!(found.len() <= bytes.len() / "<Blob></Blob>".len());
        // Each byte of a text that is no UTF-8 may become three.
        let names: usize = found.iter().map(|(name, _)| name.len()).sum();
        assert!(names <= 3 * bytes.len());
        assert!(next.as_ref().is_none_or(|next| !next.is_empty()));
    }
    let containers = microsoft::containers(bytes);
    assert!(containers.is_none_or(|count| count <= bytes.len()));
    let text = String::from_utf8_lossy(bytes);
    let refusal = microsoft::storage_refusal(&text);
    let position = microsoft::blob_position(&text);
    if let Some(position) = &position {
        assert_eq!(microsoft::blob_position(position).as_ref(), Some(position));
    }
    blobs.is_some() || containers.is_some() || refusal.is_some() || position.is_some()
}

/// A message goes into a line of a log and must not begin another.
pub fn error_body(body: &[u8]) -> bool {
    let (code, message, request_id) = microsoft::error_body(&String::from_utf8_lossy(body));
    let named = !code.is_empty();
    for text in [Some(code), Some(message), request_id]
        .into_iter()
        .flatten()
    {
        assert!(!text.contains(['\n', '\r']), "{text:?}");
    }
    named
}

pub fn batch_answer(body: &[u8]) -> bool {
    let parts = microsoft::batch_answer(body);
    assert!(parts <= body.len());
    parts > 0
}

pub fn state(body: &[u8]) -> bool {
    let one = microsoft::state(body);
    let states = microsoft::states(body);
    assert!(states.len() <= body.len());
    one.is_some() && !states.is_empty()
}

/// What was read is read again from what it is written as.
pub fn checkpoint(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    let mut read = false;
    for stream in ["", "Microsoft Graph alerts of tenant t"] {
        if let Ok(checkpoint) = Checkpoint::read(&text, stream) {
            let written = checkpoint.text().expect("a checkpoint can be written");
            let again = Checkpoint::read(&written, stream).expect("and read again");
            assert_eq!(again, checkpoint);
            read = true;
        }
    }
    read
}

pub fn input_document(document: &[u8]) -> bool {
    let input = input::read(document);
    for stanza in input.iter().flat_map(|input| &input.stanzas) {
        assert!(!stanza.full_name().is_empty());
    }
    validation::read(document).is_ok() || input.is_ok()
}

/// However the bytes come out, it is UTF-8 and no more than three times as long.
pub fn encoding(bytes: &[u8]) -> bool {
    let text = splunk::decoded(bytes, 1 << 16);
    if let Ok(text) = &text {
        assert!(std::str::from_utf8(text).is_ok());
        assert!(text.len() <= bytes.len() * 3);
    }
    text.is_ok_and(|text| !text.is_empty())
}

/// Whatever an event holds, the stream stays XML, and text comes back as it was
/// but for what XML cannot say.
pub fn event_text(raw: &[u8]) -> bool {
    let event = splunk::event(raw).expect("memory takes everything");
    let text = String::from_utf8_lossy(raw);
    let written = splunk::text(&text);
    for carried in [String::from_utf8_lossy(&event).into_owned(), written] {
        let document = format!("<data>{carried}</data>");
        let mut reader = quick_xml::Reader::from_str(&document);
        let mut depth = 0;
        loop {
            match reader.read_event().expect("well-formed XML") {
                quick_xml::events::Event::Start(_) => depth += 1,
                quick_xml::events::Event::End(_) => depth -= 1,
                quick_xml::events::Event::Eof => break,
                _ => assert_eq!(depth, 1, "{document:?}"),
            }
        }
        assert_eq!(depth, 0);
        let forbidden = |c: char| c < ' ' && !matches!(c, '\t' | '\n' | '\r');
        assert!(!carried.contains(forbidden), "{carried:?}");
    }
    !event.is_empty()
}

pub fn alert_payload(payload: &[u8]) -> bool {
    let Ok(payload) = Payload::read(payload) else {
        return false;
    };
    let _row = payload.row_id();
    // A fuzzer must not be led to files of its own finding.
    if payload.results_file.is_none()
        && let Ok(rows) = payload.rows()
    {
        assert!(rows.take(10).count() <= 1);
    }
    true
}

/// Rows end: each takes some of the file.
pub fn results_file(content: &[u8]) -> bool {
    let file = tempfile::NamedTempFile::new().expect("a file can be made");
    std::fs::write(file.path(), content).expect("and written");
    let mut rows = 0;
    if let Ok(results) = Results::open(file.path()) {
        for row in results.take(10_000).map_while(Result::ok) {
            rows += 1;
            for (field, values) in row.iter() {
                assert!(!field.starts_with("__mv_"), "{field}");
                // gzip holds a thousand times its size at most.
                assert!(values.len() <= content.len() * 2000 + 1);
            }
        }
    }
    rows > 0
}

pub fn chunked(stdin: &[u8]) -> bool {
    let mut asked = 0;
    for question in Questions::new(Cursor::new(stdin)) {
        asked += usize::from(question.is_ok());
        match question {
            Err(_) => break,
            Ok(Asked::Execute(execute)) => {
                if let Ok(table) = Table::read(&execute.body) {
                    assert_eq!(table.rows().count(), table.len());
                }
            }
            Ok(_) => {}
        }
    }
    let _table = Table::read(stdin);
    asked > 1
}

/// Each answer is announced with its own length, so splunkd never loses its place.
pub fn persist(stdin: &[u8]) -> bool {
    let mut out = Vec::new();
    let (mut answers, mut read) = (0, 0);
    let _ended = splunk::serve(Cursor::new(stdin), &mut out, |request| {
        answers += 1;
        read += usize::from(request.is_ok());
        match request {
            Ok(request) => Reply::well(&serde_json::json!({"path": request.path})),
            Err(error) => Reply::refused(error.status(), &error.to_string()),
        }
    });
    let mut rest = out.as_slice();
    let mut counted = 0;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let length = std::str::from_utf8(&rest[..end]).expect("digits");
        let length: usize = length.parse().expect("a length");
        rest = &rest[end + 1..];
        if length > 0 {
            let json: serde_json::Result<serde_json::Value> =
                serde_json::from_slice(&rest[..length]);
            assert!(json.is_ok());
            rest = &rest[length..];
            counted += 1;
        }
    }
    assert!(rest.is_empty());
    assert_eq!(counted, answers);
    read > 0
}

/// Every line that waits is handed over once, then nothing waits any more.
pub fn spool(content: &[u8]) -> bool {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let at = folder.path().join("000000000000001-0.ndjson");
    std::fs::write(at, content).expect("and a file in it");
    let spool = Spool::new(folder.path().to_owned());
    let mut taken = 0;
    for mut due in spool.due().expect("it can be read") {
        let mut left = due.left();
        while let Some(json) = due.next() {
            assert!(!json.contains('\n'));
            due.strike_out().expect("it can be struck out");
            assert_eq!(due.left() + 1, left);
            left -= 1;
            taken += 1;
        }
        assert_eq!(due.left(), 0);
        due.finish().expect("it can be ended");
    }
    let waiting: usize = spool
        .due()
        .expect("it can be read")
        .iter()
        .map(|due| due.left())
        .sum();
    assert_eq!(waiting, 0);
    taken > 0
}
