use super::*;
use crate::splunk::search_command::Table;
use std::io;
use std::sync::{Arc, Mutex};

/// What was answered, kept by the test.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn chunk(metadata: &serde_json::Value, body: &str) -> String {
    let metadata = metadata.to_string();
    format!(
        "chunked 1.0,{},{}\n{metadata}{body}",
        metadata.len(),
        body.len()
    )
}

fn getinfo(args: &[&str], preview: bool) -> String {
    let searchinfo = serde_json::json!({"args": args, "sid": "1.2", "maxresultrows": 2});
    let metadata =
        serde_json::json!({"action": "getinfo", "preview": preview, "searchinfo": searchinfo});
    chunk(&metadata, "")
}

fn execute(finished: bool, body: &str) -> String {
    chunk(
        &serde_json::json!({"action": "execute", "finished": finished}),
        body,
    )
}

/// What splunkd says, all at once and then no more; what it hears; whether the
/// process would end well.
async fn conversed(name: &str, stdin: String) -> (String, bool) {
    let heard = Heard::default();
    let mut session = Session::begin(io::Cursor::new(stdin), heard.clone()).unwrap();
    let code = converse(name, &mut session).await;
    let bytes = heard.0.lock().unwrap().clone();
    let text = String::from_utf8(bytes).unwrap();
    let lines = text.replace("chunked", "\nchunked").replace('\r', "");
    (lines, format!("{code:?}") == format!("{:?}", exit::WELL))
}

#[tokio::test]
async fn a_wrong_call_is_introduced_refused_and_over() {
    let mut all = String::new();
    for (name, args) in [
        ("defenderupdate", &["account=contoso", "status=shut"][..]),
        ("defenderupdate", &["resolved"]),
        ("defenderget", &["subject=alert"]),
        ("defenderget", &["account=contoso", "api=xdr"]),
        ("defenderhunt", &["account=contoso"]),
        (
            "defenderhunt",
            &["account=contoso", "query=T", "timespan=7d"],
        ),
        ("defendercheck", &["acount=contoso"]),
        ("defendernothing", &[]),
    ] {
        let (heard, well) = conversed(name, getinfo(args, false)).await;
        assert!(!well, "{heard}");
        all.push_str(&heard);
    }
    insta::assert_snapshot!(all);
}

#[tokio::test]
async fn hanging_up_anywhere_ends_quietly() {
    let whole = getinfo(&["account=contoso", "query=T"], false) + &execute(false, "");
    for cut in [0, 5, 30, whole.len() - 30, whole.len() - 1] {
        let stdin = whole.get(..cut).unwrap().to_owned();
        let (heard, well) = conversed("defenderhunt", stdin).await;
        assert!(well, "{cut}: {heard}");
        assert!(!heard.contains("ERROR"), "{cut}: {heard}");
    }
}

#[tokio::test]
async fn what_is_no_question_is_refused() {
    for stdin in ["<xml/>\n".to_owned(), execute(true, "")] {
        let (heard, well) = conversed("defenderget", stdin).await;
        assert!(!well && heard.contains("ERROR"), "{heard}");
    }
}

#[tokio::test]
async fn a_preview_hands_its_rows_on_and_writes_nothing() {
    let stdin = getinfo(&["account=contoso", "status=resolved"], true)
        + &execute(false, "id,n\r\nda1,1\r\n")
        + &execute(true, "id,n\r\nda2,2\r\n");
    let (heard, well) = conversed("defenderupdate", stdin).await;
    assert!(well);
    insta::assert_snapshot!(heard);
}

#[tokio::test]
async fn without_a_session_key_rows_are_refused_and_no_rows_are_fine() {
    let stdin = getinfo(&["account=contoso", "status=resolved"], false);
    let (heard, well) = conversed("defenderupdate", stdin.clone() + &execute(true, "")).await;
    assert!(well, "{heard}");
    let (heard, well) = conversed("defenderupdate", stdin + &execute(true, "id\r\nda1\r\n")).await;
    assert!(!well && heard.contains("session key"), "{heard}");
}

#[tokio::test]
async fn a_sheet_is_handed_over_in_as_many_answers_as_splunkd_allows() {
    let stdin =
        getinfo(&[], false) + &execute(false, "") + &execute(false, "") + &execute(true, "");
    let heard = Heard::default();
    let mut session = Session::begin(io::Cursor::new(stdin), heard.clone()).unwrap();
    let call = session.first().await.unwrap();
    session.next().await.unwrap();
    let mut row_writer = session.row_writer(&call, &["n"]);
    for n in 0..5 {
        row_writer.put(&[vec![n.to_string()]]).await.unwrap();
    }
    row_writer.end(&[]).unwrap();
    let bytes = heard.0.lock().unwrap().clone();
    let text = String::from_utf8(bytes).unwrap();
    let answers: Vec<(bool, Vec<String>)> = text
        .split("chunked 1.0,")
        .skip(1)
        .map(|answer| {
            let (metadata, body) = answer.split_once('}').unwrap();
            let table = Table::read(body.as_bytes()).unwrap();
            let ids = table.rows().map(|row| row.get("n").unwrap().to_owned());
            (metadata.ends_with("true"), ids.collect())
        })
        .collect();
    let rows = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        answers,
        [
            (false, rows(&["0", "1"])),
            (false, rows(&["2", "3"])),
            (true, rows(&["4"]))
        ]
    );
}

#[test]
fn every_command_of_commands_conf_is_carried_out() {
    let conf = include_str!("../../../default/commands.conf");
    let mut listed: Vec<&str> = conf
        .lines()
        .filter_map(|line| line.strip_prefix('[')?.strip_suffix(']'))
        .collect();
    let mut carried_out = COMMANDS.map(|(name, _)| name);
    listed.sort_unstable();
    carried_out.sort_unstable();
    assert_eq!(listed, carried_out);
}
