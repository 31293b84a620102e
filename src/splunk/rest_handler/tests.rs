use super::*;
use proptest::prelude::*;
use serde_json::json;
use std::io::BufReader;

/// Gives one byte at a time, as a pipe may.
struct Dripping<'b>(&'b [u8]);

impl Read for Dripping<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match (self.0.split_first(), into.first_mut()) {
            (Some((byte, rest)), Some(place)) => {
                *place = *byte;
                self.0 = rest;
                Ok(1)
            }
            _ => Ok(0),
        }
    }
}

fn echo(request: Result<Request, RequestError>) -> Reply {
    match request {
        Ok(request) => Reply::well(&json!({
            "method": request.method,
            "path": request.path,
            "body": request.body.len(),
        })),
        Err(error) => Reply::refused(error.status(), &error.to_string()),
    }
}

fn talk(bytes: &[u8]) -> (Result<(), String>, String) {
    let mut said = Vec::new();
    let ended = serve(bytes, &mut said, echo).map_err(|error| error.to_string());
    let mut dripped = Vec::new();
    let slowly = serve(
        BufReader::with_capacity(1, Dripping(bytes)),
        &mut dripped,
        echo,
    );
    assert_eq!(slowly.map_err(|error| error.to_string()), ended);
    assert_eq!(dripped, said);
    (ended, String::from_utf8(said).unwrap())
}

fn string(text: &str) -> Vec<u8> {
    format!("{}\n{text}", text.len()).into_bytes()
}

fn init() -> Vec<u8> {
    let mut bytes = b"1\n".to_vec();
    bytes.extend(string(
        "/opt/splunk/etc/apps/defender_bridge/bin/defender_bridge",
    ));
    bytes.extend(string(""));
    bytes
}

fn packet(opcode: u8, parts: &[&[u8]]) -> Vec<u8> {
    [[opcode].as_slice(), &parts.concat()].concat()
}

fn ping() -> Vec<u8> {
    string(r#"{"method":"GET","rest_path":"/defender_bridge/ping","output_mode":"json"}"#)
}

#[test]
fn one_packet_begins_asks_and_ends() {
    let bytes = packet(INIT | BLOCK | END, &[&init(), &ping()]);
    let (ended, said) = talk(&bytes);
    assert_eq!(ended, Ok(()));
    insta::assert_snapshot!(said, @r#"
    0
    64
    {"status":200,"payload":{"body":0,"method":"GET","path":"ping"}}
    "#);
}

#[test]
fn begin_ask_and_end_may_come_apart_with_line_ends_between_them() {
    let conversation = [
        packet(b'\n', &[b"\n\n", &packet(INIT, &[b"\n", &init(), b"\n"])]),
        packet(BLOCK | ALLOW_STREAM, &[]),
        b"\n".to_vec(),
    ]
    .concat();
    // 0x0a alone is a line end, so BLOCK|ALLOW_STREAM cannot be told from one.
    assert_eq!(talk(&conversation), (Ok(()), "0\n".to_owned()));
    let bytes = [
        packet(INIT | ALLOW_STREAM, &[&init()]),
        b"\n\n".to_vec(),
        packet(BLOCK, &[b"\n\r\n", &ping()]),
        packet(BLOCK, &[&ping()]),
        packet(END, &[]),
        packet(INIT | BLOCK | END, &[&init(), &ping(), b"\n"]),
    ]
    .concat();
    let (ended, said) = talk(&bytes);
    assert_eq!(ended, Ok(()));
    assert_eq!(said.matches("\"ping\"").count(), 3);
    assert_eq!(said.matches("0\n64\n").count(), 2);
}

#[test]
fn the_end_of_stdin_ends_it_wherever_it_comes() {
    let whole = packet(INIT | BLOCK | END, &[&init(), &ping()]);
    for cut in 0..whole.len() {
        let (ended, said) = talk(&whole[..cut]);
        assert_eq!(ended, Ok(()), "after {cut} bytes");
        assert!(
            said.is_empty() || said == "0\n",
            "after {cut} bytes: {said}"
        );
    }
}

#[test]
fn a_request_that_is_none_is_answered_and_the_next_one_too() {
    let bytes = [
        packet(INIT, &[&init()]),
        packet(BLOCK, &[&string("{\"session\":")]),
        packet(BLOCK, &[&string("")]),
        packet(BLOCK, &[&ping()]),
    ]
    .concat();
    let (ended, said) = talk(&bytes);
    assert_eq!(ended, Ok(()));
    assert_eq!(said.matches("\"status\":400").count(), 2, "{said}");
    assert_eq!(said.matches("\"status\":200").count(), 1, "{said}");
}

#[test]
fn a_request_too_large_is_read_past_and_refused() {
    struct Large {
        head: io::Cursor<Vec<u8>>,
        body: io::Take<io::Repeat>,
        tail: io::Cursor<Vec<u8>>,
    }
    let size = MOST_OF_A_BLOCK + 1;
    let head = [
        packet(INIT, &[&init()]),
        packet(BLOCK, &[format!("{size}\n").as_bytes()]),
    ];
    let large = Large {
        head: io::Cursor::new(head.concat()),
        body: io::repeat(b'x').take(size),
        tail: io::Cursor::new(packet(BLOCK, &[&ping()])),
    };
    let from = BufReader::new(large.head.chain(large.body).chain(large.tail));
    let mut said = Vec::new();
    serve(from, &mut said, echo).unwrap();
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("\"status\":413"), "{said}");
    assert!(said.contains("\"status\":200"), "{said}");
}

#[test]
fn what_follows_no_protocol_ends_it_with_a_reason() {
    let long = format!("{}\n", MOST_PIECES + 1);
    let cases: [Vec<u8>; 8] = [
        b"GET / HTTP/1.1\r\n".to_vec(),
        vec![0],
        packet(INIT, &[&init(), &packet(INIT, &[&init()])]),
        packet(BLOCK, &[&ping()]),
        packet(INIT, &[b"one\n"]),
        packet(INIT, &[b"-1\n"]),
        packet(INIT, &[b"99999999999999999999\n"]),
        packet(INIT, &[long.as_bytes()]),
    ];
    let reasons = cases.map(|bytes| talk(&bytes).0.unwrap_err());
    insta::assert_snapshot!(reasons.join("\n"), @r"
    byte 0x47 begins no packet of the persistent REST protocol
    byte 0x00 begins no packet of the persistent REST protocol
    splunkd began a conversation within another
    splunkd asked something before it began the conversation
    a length in splunkd's packet is no number
    a length in splunkd's packet is no number
    a length in splunkd's packet is no number
    splunkd's packet has 257 words in its command, more than the 256 there can be
    ");
}

#[test]
fn every_answer_is_flushed_before_the_next_request_is_read() {
    struct Flushed(Vec<u8>, usize);
    impl Write for &mut Flushed {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            self.1 = self.0.len();
            Ok(())
        }
    }
    let mut out = Flushed(Vec::new(), 0);
    let bytes = packet(INIT | BLOCK, &[&init(), &ping()]);
    serve(bytes.as_slice(), &mut out, echo).unwrap();
    assert!(out.1 > 0);
    assert_eq!(out.1, out.0.len());
}

proptest! {
    #[test]
    fn any_bytes_are_a_conversation_or_a_reason(bytes: Vec<u8>) {
        drop(talk(&bytes));
    }

    #[test]
    fn any_requests_are_each_answered_once(
        requests in prop::collection::vec("[ -~\\n\u{e9}]{0,40}", 0..8),
        blanks in 0usize..3,
    ) {
        let mut bytes = packet(INIT, &[&init()]);
        for request in &requests {
            bytes.extend(vec![b'\n'; blanks]);
            bytes.extend(packet(BLOCK, &[&string(request)]));
        }
        bytes.extend(packet(END, &[]));
        let (ended, said) = talk(&bytes);
        prop_assert_eq!(ended, Ok(()));
        prop_assert_eq!(said.matches("\"status\":").count(), requests.len());
    }
}
