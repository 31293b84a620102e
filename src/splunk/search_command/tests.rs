use super::*;
use proptest::prelude::*;
use secrecy::ExposeSecret;
use std::io::BufReader;

const GETINFO: &str = r#"{"action":"getinfo","preview":false,"searchinfo":{"args":["account=contoso","query=T | take 5",7],"raw_args":["x"],"app":"search","owner":"admin","username":"kim","session_key":"top-secret","sid":"1.2","search":"%7C%20x","splunkd_uri":"https://127.0.0.1:8089","splunk_version":"10.0","maxresultrows":50000,"command":"defenderhunt","earliest_time":"0"}}"#;

fn framed(metadata: &str, body: &str) -> Vec<u8> {
    format!(
        "chunked 1.0,{},{}\n{metadata}{body}",
        metadata.len(),
        body.len()
    )
    .into_bytes()
}

/// Hands over a few bytes at a time, as pipes do.
struct Trickle<'b> {
    bytes: &'b [u8],
    sizes: std::iter::Cycle<std::vec::IntoIter<usize>>,
}

impl Read for Trickle<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let size = self.sizes.next().unwrap().min(into.len());
        self.bytes.read(&mut into[..size])
    }
}

fn trickle(bytes: &[u8], sizes: Vec<usize>) -> Questions<BufReader<Trickle<'_>>> {
    let sizes = sizes.into_iter().cycle();
    Questions::new(BufReader::with_capacity(3, Trickle { bytes, sizes }))
}

fn all<R: BufRead>(questions: Questions<R>) -> Result<Vec<Asked>, ChunkedError> {
    questions.collect()
}

fn refused(bytes: &[u8]) -> String {
    all(Questions::new(bytes)).unwrap_err().to_string()
}

#[test]
fn the_first_question_tells_who_asks_what_of_whom() {
    let asked = all(Questions::new(framed(GETINFO, "").as_slice())).unwrap();
    let [Asked::GetInfo(call)] = asked.as_slice() else {
        panic!("{asked:?}");
    };
    assert_eq!(call.args, ["account=contoso", "query=T | take 5", "7"]);
    assert_eq!(
        call.session_key.as_ref().unwrap().expose_secret(),
        "top-secret"
    );
    assert_eq!(call.max_rows, 50_000);
    assert!(!format!("{asked:?}").contains("top-secret"));
}

#[test]
fn what_splunkd_told_is_known_by_name_alone_and_no_name_is_more_than_one() {
    let long = "n".repeat(65);
    let metadata = serde_json::json!({"action": "getinfo", "searchinfo": {
        "session_key": "top-secret", "sid": null, "new_one": [{"deep": "top-secret"}],
        "two words": 1, "line\nend": 2, "": 3, long: 4}});
    let asked = all(Questions::new(framed(&metadata.to_string(), "").as_slice())).unwrap();
    let [Asked::GetInfo(call)] = asked.as_slice() else {
        panic!("{asked:?}");
    };
    assert_eq!(call.searchinfo, ["new_one", "session_key", "sid"]);
}

#[test]
fn whatever_splunkd_leaves_out_is_none() {
    for metadata in [
        r#"{"action":"getinfo"}"#,
        r#"{"action":"getinfo","searchinfo":{"args":null,"sid":"","maxresultrows":"0","username":null}}"#,
    ] {
        let asked = all(Questions::new(framed(metadata, "").as_slice())).unwrap();
        let [Asked::GetInfo(call)] = asked.as_slice() else {
            panic!("{asked:?}");
        };
        assert!(call.args.is_empty() && call.sid.is_none() && call.session_key.is_none());
        assert_eq!(call.max_rows, ROWS);
    }
}

#[test]
fn the_protocols_own_examples_are_read() {
    let stream = b"chunked 1.0,36,0\n{\"action\":\"execute\",\"finished\":true}chunked  1.0 , 20 ,17 \n{\"action\":\"execute\"}id,__mv_id\r\n42,\r\n";
    let asked = all(Questions::new(stream.as_slice())).unwrap();
    let [Asked::Execute(last), Asked::Execute(rows)] = asked.as_slice() else {
        panic!("{asked:?}");
    };
    assert!(last.finished && last.body.is_empty());
    assert!(!rows.finished && rows.body == b"id,__mv_id\r\n42,\r\n");
}

#[test]
fn what_is_no_question_is_refused_without_being_quoted() {
    let lying = format!("chunked 1.0,2,{}\n{{}}", u64::MAX);
    let broken = framed(r#"{"session_key":"top-secret""#, "");
    let refusals = [
        refused(b"<xml>\n"),
        refused(b"chunked1.0,2,0\n{}"),
        refused(b"chunked 1.0,-2,0\n{}"),
        refused(b"chunked 1.0,99999999999999999999999,0\n{}"),
        refused("x".repeat(500).as_bytes()),
        refused(lying.as_bytes()),
        refused(&broken),
        refused(&framed(r#"{"action":"top-secret"}"#, "")),
    ];
    insta::assert_snapshot!(refusals.join("\n"), @r"
    stdin does not hold Splunk's chunked protocol: the command's stanza in commands.conf must say `chunked = true`
    stdin does not hold Splunk's chunked protocol: the command's stanza in commands.conf must say `chunked = true`
    stdin does not hold Splunk's chunked protocol: the command's stanza in commands.conf must say `chunked = true`
    stdin does not hold Splunk's chunked protocol: the command's stanza in commands.conf must say `chunked = true`
    stdin does not hold Splunk's chunked protocol: the command's stanza in commands.conf must say `chunked = true`
    a chunk's body has 18446744073709551615 bytes, 268435456 are taken: keep fewer fields before the command (`| fields ...`, `| fields - _raw`)
    a chunk's metadata is not as Splunk writes it (line 1, column 27)
    splunkd asks for an action that does not exist in this protocol
    ");
}

#[test]
fn answers_are_as_splunk_documents_them() {
    let mut out = Vec::new();
    let bad = Message::new(Level::Error, "bad\naccount");
    introduce(&mut out, Kind::GENERATING, &[]).unwrap();
    introduce(&mut out, Kind::STREAMING, std::slice::from_ref(&bad)).unwrap();
    answer(&mut out, true, &[bad], &[]).unwrap();
    answer(&mut out, false, &[], b"id,__mv_id\r\n42,\r\n").unwrap();
    insta::assert_snapshot!(String::from_utf8(out).unwrap().replace("chunked", "\nchunked").replace('\r', "⏎"), @r#"
    chunked 1.0,60,0
    {"type":"stateful","generating":true,"run_in_preview":false}
    chunked 1.0,112,0
    {"type":"stateful","generating":false,"run_in_preview":false,"inspector":{"messages":[["ERROR","bad account"]]}}
    chunked 1.0,68,0
    {"finished":true,"inspector":{"messages":[["ERROR","bad account"]]}}
    chunked 1.0,18,17
    {"finished":false}id,__mv_id⏎
    42,⏎
    "#);
}

proptest! {
    #[test]
    fn fragments_make_no_difference(
        sizes in prop::collection::vec(1_usize..9, 1..6),
        bodies in prop::collection::vec("\\PC{0,40}", 0..4),
    ) {
        let mut stream = framed(GETINFO, "");
        for body in &bodies {
            stream.extend(framed(r#"{"action":"execute","finished":false}"#, body));
        }
        let asked = all(trickle(&stream, sizes)).unwrap();
        let read: Vec<_> = asked.iter().skip(1).map(|asked| match asked {
            Asked::Execute(execute) => String::from_utf8(execute.body.clone()).unwrap(),
            Asked::GetInfo(_) => panic!("getinfo twice"),
        }).collect();
        prop_assert_eq!(read, bodies);
    }

    #[test]
    fn the_end_of_the_stream_is_quiet_wherever_it_comes(cut in 0_usize..1000) {
        let mut stream = framed(GETINFO, "");
        stream.extend(framed(r#"{"action":"execute","finished":true}"#, "id\r\n1\r\n"));
        let whole = stream.len();
        stream.truncate(cut.min(whole));
        let asked = all(Questions::new(stream.as_slice())).unwrap();
        prop_assert!(asked.len() < 2 || stream.len() == whole);
    }

    #[test]
    fn any_bytes_are_questions_or_refused(bytes: Vec<u8>, head in "chunked 1.0,[0-9]{1,3},[0-9]{1,3}\n|") {
        let mut stream = head.into_bytes();
        stream.extend(bytes);
        drop(all(Questions::new(stream.as_slice())));
    }
}
