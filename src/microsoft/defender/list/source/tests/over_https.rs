use crate::ingest::{Kind, Order};
use crate::microsoft::account::cloud::Cloud;
use crate::microsoft::defender::list::source::*;
use crate::microsoft::tests::tenant::{Reply, Tenant, impatient};
use crate::triage::{Api, Subject};
use serde_json::json;
use std::io;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};

fn query() -> ListQuery {
    ListQuery {
        from: "2026-11-20T08:00:00Z".parse().unwrap(),
        to: "2026-11-21T08:15:30.1234567Z".parse().unwrap(),
        order: Some(Order::Ascending),
        top: 50,
        skip: 0,
        tie_breakers: Vec::new(),
        count: false,
        patient: true,
    }
}

async fn source(api: Api, subject: Subject, reply: Reply) -> (FeedSource, Tenant) {
    let tenant = Tenant::start(move |_| reply.clone()).await;
    let feed = Feed::new(api, subject, None, &[]).unwrap();
    (FeedSource::new(tenant.client(api).await, feed), tenant)
}

#[tokio::test]
async fn microsofts_sample_page_comes_through_as_sent() {
    let sample = include_str!("../../../../fixtures/mde_alerts.json");
    let (source, tenant) = source(Api::Mde, Subject::Alert, Reply::text(200, sample)).await;
    let page = source.page(&query()).await.unwrap();
    assert_eq!(page.body, sample);
    let ids: Vec<_> = page.objects.iter().map(|object| &object.id).collect();
    assert_eq!(
        ids,
        [
            "da637308392288907382_-880718168",
            "da637472900382838869_1364969609"
        ]
    );
    assert!(page.quarantined.is_empty() && !page.more);
    assert_eq!(
        tenant.lines(),
        [format!("GET {}", source.feed.question(&query()))]
    );
}

#[tokio::test]
async fn an_xdr_incident_gives_up_its_alerts_and_a_graph_incident_keeps_them() {
    let body = json!({"value": [{
        "incidentId": 924521, "lastUpdateTime": "2026-11-20T09:00:00.1Z",
        "alerts": [{"alertId": "da1", "lastUpdatedTime": "2026-11-20T08:59:00Z"}],
    }]});
    let (xdr, _server) = source(Api::Xdr, Subject::Incident, Reply::json(200, &body)).await;
    let page = xdr.page(&query()).await.unwrap();
    let incident = &page.objects[0];
    assert_eq!(
        (incident.kind, incident.id.as_str()),
        (Kind::Incident, "924521")
    );
    assert!(!page.text(&incident.raw).concat().contains("da1"));
    assert_eq!(
        (incident.nested[0].kind, incident.nested[0].id.as_str()),
        (Kind::Alert, "da1")
    );

    let sample = include_str!("../../../../fixtures/graph_incidents_expand_alerts.json");
    let (graph, _server) = source(Api::Graph, Subject::Incident, Reply::text(200, sample)).await;
    let page = graph.page(&query()).await.unwrap();
    assert_eq!(page.objects.len(), 1);
    assert!(page.objects[0].nested.is_empty());
    assert!(
        page.text(&page.objects[0].raw)
            .concat()
            .contains("da637551227677560813")
    );
}

#[tokio::test]
async fn what_a_partial_answer_lists_comes_through_and_is_known_to_be_partial() {
    let list = json!({"value": [{"id": "a1", "lastUpdateTime": "2026-11-20T08:00:00Z"}]});
    for (reply, words) in [
        (Reply::json(206, &list), "status 206"),
        (
            Reply::json(200, &list).header("warning", r#"199 - "Microsoft/MCAS/503/2000""#),
            "MCAS",
        ),
    ] {
        let (source, _server) = source(Api::Mde, Subject::Alert, reply).await;
        let page = source.page(&query()).await.unwrap();
        assert_eq!(page.objects.len(), 1);
        assert!(page.partial.unwrap().contains(words));
    }
}

#[tokio::test]
async fn every_answer_gets_its_verdict() {
    use ErrorClass::{Refused, Stop, Unservable};
    use Refusal::{Order, Skip, Top, Unnamed};
    let error = |status, message| Reply::error(status, "SomeCode", message);
    let rows = [
        (
            Reply::text(200, "<html>proxy</html>"),
            Unservable,
            "begins with `<html>",
        ),
        (
            Reply::text(200, r#"{"value":[{"id":"#),
            Unservable,
            "request-id r-1",
        ),
        (Reply::text(200, ""), Unservable, "it is empty"),
        (
            Reply::Cut(r#"{"value":[]}"#.into()),
            Unservable,
            "ended early",
        ),
        (Reply::HangUp, Unservable, ""),
        (error(500, "oops"), Unservable, "answered 500"),
        (error(502, "oops"), Unservable, "answered 502"),
        (error(504, "oops"), Unservable, "answered 504"),
        (
            error(400, "The limit of '50' for Top query has been exceeded."),
            Refused(Top(Some(50))),
            "Top query",
        ),
        (
            error(400, "The limit of '500' for Skip query has been exceeded."),
            Refused(Skip),
            "",
        ),
        (error(400, "$orderby is not supported"), Refused(Order), ""),
        (error(400, "no"), Refused(Unnamed), "answered 400"),
        (
            error(501, "$orderby is not implemented"),
            Refused(Order),
            "",
        ),
        (error(501, "no"), Refused(Unnamed), "answered 501"),
        (error(401, "no"), Stop, "answered 401"),
        (
            error(403, "no"),
            Stop,
            "grant the app the application permission Alert.Read.All of \"WindowsDefenderATP\"",
        ),
        (error(404, "no"), Stop, "February 2027"),
        (error(410, "gone"), Stop, "api = graph"),
        (
            error(429, "slow down").header("retry-after", "3000"),
            Stop,
            "",
        ),
        (
            Reply::text(302, "").header("location", "https://else.example/"),
            Stop,
            "else.example",
        ),
    ];
    for (reply, class, words) in rows {
        let shown = format!("{reply:?}");
        let (source, _server) = source(Api::Mde, Subject::Alert, reply).await;
        let error = source.page(&query()).await.unwrap_err();
        assert_eq!(error.class(), class, "{shown}: {error}");
        let text = error.to_string();
        assert!(text.starts_with("Defender for Endpoint alerts: "), "{text}");
        assert!(text.contains(words), "{shown}: {text}");
    }
}

#[tokio::test]
async fn each_feed_names_the_permission_it_lacks() {
    for (api, subject, permission) in [
        (Api::Graph, Subject::Alert, "SecurityAlert.Read.All"),
        (Api::Graph, Subject::Incident, "SecurityIncident.Read.All"),
        (Api::Mde, Subject::Alert, "Alert.Read.All"),
        (Api::Xdr, Subject::Incident, "Incident.Read.All"),
    ] {
        let reply = Reply::error(403, "Forbidden", "no");
        let (source, _server) = source(api, subject, reply).await;
        let text = source.page(&query()).await.unwrap_err().to_string();
        assert!(text.contains(permission), "{text}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_stops_the_walk() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let (source, tenant) = source(
        Api::Graph,
        Subject::Alert,
        Reply::json(200, &json!({"value": []})),
    )
    .await;
    assert!(source.page(&query()).await.unwrap().objects.is_empty());
    let mut account = tenant.account();
    let Cloud::Custom(hosts) = &mut account.cloud else {
        panic!("a custom cloud")
    };
    let graph = hosts.graph.as_mut().unwrap();
    graph.set_port(Some(port)).unwrap();
    let client = impatient(&account, Api::Graph).await;
    let feed = Feed::new(Api::Graph, Subject::Alert, None, &[]).unwrap();
    let error = FeedSource::new(client, feed)
        .page(&query())
        .await
        .unwrap_err();
    assert_eq!(error.class(), ErrorClass::Stop, "{error}");
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_link_to_another_host_is_named_once_and_never_followed() {
    let log = Log::default();
    let writer = log.clone();
    let _guard = tracing::subscriber::set_default(
        tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .finish(),
    );
    let body = json!({"@odata.nextLink": "https://evil.example/next", "value": []});
    let (source, tenant) = source(Api::Graph, Subject::Alert, Reply::json(200, &body)).await;
    for _ in 0..2 {
        assert!(source.page(&query()).await.unwrap().more);
    }
    assert_eq!(tenant.calls().len(), 2);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(
        log.matches("evil.example: not followed").count(),
        1,
        "{log}"
    );
}

fn alert(number: u32) -> serde_json::Value {
    json!({"id": format!("da{number}"), "lastUpdateDateTime": "2026-11-20T09:00:00Z"})
}

async fn pages(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> (FeedSource, Tenant) {
    let tenant = Tenant::start(move |call| answer(&call.target)).await;
    let feed = Feed::new(Api::Graph, Subject::Alert, None, &[]).unwrap();
    (
        FeedSource::new(tenant.client(Api::Graph).await, feed),
        tenant,
    )
}

#[tokio::test]
async fn pages_that_list_nothing_but_go_on_are_passed_over() {
    let (source, tenant) = pages(|target| {
        let page = match target {
            "/v1.0/x?$skiptoken=a%2Bb" => {
                json!({"@odata.nextLink": "/graph/v1.0/x?$skiptoken=c", "value": []})
            }
            "/v1.0/x?$skiptoken=c" => json!({"value": [alert(1)]}),
            _ => json!({"@odata.nextLink": "/graph/v1.0/x?$skiptoken=a%2Bb", "value": []}),
        };
        Reply::json(200, &page)
    })
    .await;
    let page = source.page(&query()).await.unwrap();
    assert_eq!((page.objects.len(), page.more), (1, false));
    assert_eq!(tenant.calls().len(), 3);
}

#[tokio::test]
async fn links_without_end_or_use_are_the_end() {
    for (link, answer, calls) in [
        (
            "/graph/v1.0/x?$skip=50",
            Reply::error(400, "BadRequest", "no"),
            2,
        ),
        (
            "/graph/v1.0/x?$skip=50",
            Reply::error(404, "NotFound", "no"),
            2,
        ),
        (
            "/graph/v1.0/x?same",
            Reply::json(
                200,
                &json!({"@odata.nextLink": "/graph/v1.0/x?same", "value": []}),
            ),
            2,
        ),
    ] {
        let (source, tenant) = pages(move |target| match target.starts_with("/v1.0/x") {
            true => answer.clone(),
            false => Reply::json(200, &json!({"@odata.nextLink": link, "value": []})),
        })
        .await;
        assert!(source.page(&query()).await.unwrap().objects.is_empty());
        assert_eq!(tenant.calls().len(), calls);
    }
    let count = AtomicU32::new(0);
    let (source, tenant) = pages(move |_| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let link = format!("/graph/v1.0/x?$skiptoken={number}");
        Reply::json(200, &json!({"@odata.nextLink": link, "value": []}))
    })
    .await;
    let page = source.page(&query()).await.unwrap();
    assert!(page.objects.is_empty() && page.more);
    assert_eq!(tenant.calls().len(), 51);
}

#[tokio::test]
async fn a_link_to_the_page_it_stands_on_is_no_link() {
    for spelled in [
        |link: String| link,
        |link: String| link.replace("%20", "+").replace('$', "%24"),
    ] {
        let (source, tenant) = pages(move |target| {
            let link = spelled(format!("/graph{target}"));
            let value = match target.contains("skip=1") {
                true => json!([]),
                false => json!([alert(1)]),
            };
            Reply::json(200, &json!({"@odata.nextLink": link, "value": value}))
        })
        .await;
        assert!(!source.page(&query()).await.unwrap().more);
        let behind = ListQuery { skip: 1, ..query() };
        let page = source.page(&behind).await.unwrap();
        assert!(page.objects.is_empty() && !page.more);
        assert_eq!(tenant.calls().len(), 2);
    }
}

#[tokio::test]
async fn behind_the_first_objects_a_link_goes_before_a_number() {
    let (source, tenant) = pages(|target| {
        let page = match target {
            "/v1.0/x?$skiptoken=1" => {
                json!({"@odata.nextLink": "/graph/v1.0/x?$skiptoken=old", "value": [alert(2)]})
            }
            "/v1.0/x?$skiptoken=old" => return Reply::error(410, "Gone", "no"),
            _ if target.ends_with("&$skip=2") => json!({"value": [alert(3)]}),
            _ => json!({"@odata.nextLink": "/graph/v1.0/x?$skiptoken=1", "value": [alert(1)]}),
        };
        Reply::json(200, &page)
    })
    .await;
    let ids = async |skip| {
        let page = source.page(&ListQuery { skip, ..query() }).await.unwrap();
        page.objects[0].id.clone()
    };
    assert_eq!(ids(0).await, "da1");
    assert_eq!(ids(1).await, "da2");
    assert_eq!(ids(2).await, "da3", "the link is no longer good: by number");
    assert_eq!(tenant.calls().len(), 4);
    // Another question: the link of the one before is none of it.
    assert_eq!(ids(0).await, "da1");
    let other = ListQuery {
        skip: 1,
        top: 7,
        ..query()
    };
    source.page(&other).await.unwrap();
    assert!(tenant.lines().last().unwrap().ends_with("&$top=7&$skip=1"));
}
