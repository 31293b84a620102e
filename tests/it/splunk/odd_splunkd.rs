//! Whatever a splunkd in production answers is taken for what it is: nothing is
//! lost to a broken lookup, a passing fault or somebody else's 200.

use crate::counterpart::chunked::{Answer, Search};
use crate::counterpart::index::Arrivals;
use crate::counterpart::splunkd::{Alert, SESSION_KEY};
use crate::counterpart::tenant::recent;
use crate::counterpart::{Feed, Object, Splunkd, Tenant};

const FEED: Feed = Feed::GraphAlerts;

fn open(count: usize) -> (Tenant, Vec<Object>, Splunkd) {
    let objects = recent(FEED, count);
    let tenant = Tenant::holding(FEED, objects.clone());
    let splunkd = Splunkd::reading(&tenant, FEED);
    (tenant, objects, splunkd)
}

fn run(splunkd: &Splunkd, command: &str, args: &[&str], rows: &str) -> (Vec<Answer>, i32) {
    let search = Search {
        command,
        args,
        key: SESSION_KEY,
        preview: false,
        most_rows: 50_000,
    };
    let (answers, run) = search.run(splunkd, &[rows]);
    (answers, run.code().unwrap())
}

fn column(answers: &[Answer], name: &str) -> Vec<String> {
    let rows = answers.iter().flat_map(|answer| &answer.rows);
    rows.map(|row| row[name].clone()).collect()
}

fn messages(answers: &[Answer]) -> String {
    let messages = answers.iter().flat_map(Answer::messages);
    messages.collect::<Vec<_>>().join("\n")
}

/// Closes them all; the batch.
fn close(splunkd: &Splunkd, objects: &[Object]) -> String {
    let rows = objects.iter().map(|object| format!("{},\r\n", object.id));
    let rows: String = ["id,__mv_id\r\n".to_owned()]
        .into_iter()
        .chain(rows)
        .collect();
    let args = ["account=contoso", "status=resolved"];
    let (answers, code) = run(splunkd, "defenderupdate", &args, &rows);
    assert_eq!(code, 0, "{}", messages(&answers));
    column(&answers, "defender_batch")[0].clone()
}

fn closed<'a>(rows: &'a [Vec<String>]) -> Alert<'a> {
    Alert {
        form: &[("account", "contoso"), ("status", "resolved")],
        header: &["id"],
        rows,
        ..Alert::default()
    }
}

#[test]
fn a_lookup_of_another_app_that_is_broken_keeps_no_batch_from_being_undone() {
    let (_tenant, objects, splunkd) = open(3);
    let batch = close(&splunkd, &objects);
    let lookup = "Could not load lookup=LOOKUP-dns_of_hosts";
    let partly = "The search results might be incomplete: 1 of 4 peers did not answer";
    splunkd.let_searches_say("ERROR", lookup);
    splunkd.let_searches_say("WARN", partly);
    let (answers, code) = run(&splunkd, "defenderundo", &[&format!("batch={batch}")], "");
    let said = messages(&answers);
    assert_eq!(code, 0, "{said}");
    let outcomes = column(&answers, "defender_outcome");
    assert!(!outcomes.is_empty() && outcomes.iter().all(|outcome| outcome == "updated"));
    assert!(said.contains(lookup) && said.contains(partly), "{said}");
}

#[test]
fn what_is_not_splunkds_word_is_not_taken_for_an_indexed_outcome() {
    for (status, body) in [
        (200, "<html><body>Please sign in</body></html>"),
        (
            200,
            r#"{"messages":[{"type":"ERROR","text":"the index is full"}]}"#,
        ),
        (200, "{}"),
        (200, r#"{"bytes":"0","index":"main"}"#),
        (201, "created"),
        (204, ""),
    ] {
        let (_tenant, objects, splunkd) = open(3);
        splunkd.let_receivers_say(status, body);
        let rows: Vec<Vec<String>> = objects
            .iter()
            .map(|object| vec![object.id.clone()])
            .collect();
        let run = splunkd.alert(&closed(&rows)).well();
        assert_eq!(splunkd.indexed().len(), 0, "{status} {body}");
        assert_eq!(
            splunkd.spooled().len(),
            3,
            "{status} {body}: {}",
            run.stderr
        );
        // Once splunkd answers itself, the next run hands them over, each once.
        splunkd.mend_receivers();
        splunkd.alert(&closed(&rows[..1])).well();
        assert_eq!(splunkd.spooled().len(), 0, "{status} {body}");
        assert_eq!(splunkd.indexed().len(), 3 + 1, "{status} {body}");
    }
}

#[test]
fn an_account_of_any_name_finds_its_secret() {
    for name in ["a:b", r"a\b", r"\:", "tenant/eu", "50% + ü#x"] {
        let objects = recent(FEED, 3);
        let tenant = Tenant::holding(FEED, objects.clone());
        let input = FEED.input().into_iter().chain([("account", name)]);
        let splunkd = Splunkd::new().account(name, &tenant).input("feed", input);
        Arrivals::of(&splunkd.run().well()).are_exactly(&objects);
    }
}

#[test]
fn an_account_is_disabled_in_every_word_splunk_has_for_it() {
    let (tenant, objects, splunkd) = open(2);
    for word in ["1", "true", "True", "T", "yes", "y", "on", "ON"] {
        splunkd.set("account", "contoso", "disabled", word);
        let run = splunkd.run();
        assert!(
            run.refusal().contains("is disabled"),
            "{word}: {}",
            run.stderr
        );
    }
    splunkd.set("account", "contoso", "disabled", "perhaps");
    let run = splunkd.run();
    assert!(
        run.refusal().contains("neither true nor false"),
        "{}",
        run.stderr
    );
    assert_eq!(tenant.calls().len(), 0);
    splunkd.set("account", "contoso", "disabled", "off");
    Arrivals::of(&splunkd.run().well()).are_exactly(&objects);
}

#[test]
fn splunkd_is_spoken_to_at_any_address_of_this_machine() {
    for host in ["localhost", "0.0.0.0", "[::ffff:127.0.0.1]"] {
        let (_tenant, objects, splunkd) = open(2);
        let splunkd = splunkd.known_as(host);
        Arrivals::of(&splunkd.run().well()).are_exactly(&objects);
    }
}

#[test]
fn a_splunkd_that_fails_once_is_asked_again() {
    for status in [500, 502, 504] {
        let (_tenant, objects, splunkd) = open(2);
        splunkd.answer_instead(1, status, "<html>Bad gateway</html>");
        Arrivals::of(&splunkd.run().well()).are_exactly(&objects);
    }
}

#[test]
fn a_kv_store_that_is_starting_is_waited_for() {
    for body in [
        r#"{"messages":[{"type":"ERROR","text":"KV Store is initializing. Please try again later."}]}"#,
        "<response><messages><msg type=\"ERROR\">KV Store is initializing.</msg></messages></response>",
    ] {
        let (_tenant, objects, splunkd) = open(2);
        splunkd.answer_instead(2, 503, body);
        Arrivals::of(&splunkd.run().well()).are_exactly(&objects);
    }
}

#[test]
fn what_splunkd_says_in_xml_is_quoted() {
    for (status, text) in [
        (402, "Your license has expired."),
        (413, "Content-Length too large"),
        (403, "not &lt;here&gt;"),
    ] {
        let (_tenant, _, splunkd) = open(1);
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<response>\n  <messages>\n    <msg type=\"ERROR\">{text}</msg>\n  </messages>\n</response>\n"
        );
        splunkd.answer_instead(usize::MAX, status, &body);
        let run = splunkd.run();
        let text = text.replace("&lt;", "<").replace("&gt;", ">");
        let line = run.refusal();
        assert!(
            line.contains(&text) && line.contains(&status.to_string()),
            "{line}"
        );
    }
}
