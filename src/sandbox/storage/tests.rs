//! The account, spoken with over its socket.

use quick_xml::de::from_str;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::time::Duration;

use super::{Operation, Settings, Storage, Times};
use crate::sandbox::tests::{client, sign_in};
use crate::sandbox::{Tenant, start};

const RESOURCE: &str = "https://storage.azure.com";
const HOUR: Duration = Duration::from_secs(3600);

async fn serving(storage: Settings) -> Tenant {
    let settings = crate::sandbox::Settings {
        alerts: 40,
        storage: Some(storage),
        ..crate::sandbox::Settings::default()
    };
    start(settings).await.unwrap()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    #[serde(default)]
    blobs: Blobs,
    #[serde(default)]
    containers: Containers,
    next_marker: String,
}

#[derive(Deserialize, Default)]
struct Blobs {
    #[serde(rename = "Blob", default)]
    found: Vec<Element>,
}

#[derive(Deserialize, Default)]
struct Containers {
    #[serde(rename = "Container", default)]
    found: Vec<Element>,
}

#[derive(Deserialize)]
struct Element {
    #[serde(rename = "Name")]
    name: String,
}

struct Visitor<'t> {
    storage: &'t Storage,
    client: Client,
    token: String,
}

impl<'t> Visitor<'t> {
    async fn by(tenant: &'t Tenant, (id, secret): (&str, &str), resource: &str) -> Self {
        let scope = format!("{resource}/.default");
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", id),
            ("client_secret", secret),
            ("scope", &scope),
        ];
        let (status, body) = sign_in(tenant, &form).await;
        assert_eq!(status, 200, "{body}");
        Self {
            storage: tenant.storage().unwrap(),
            client: client(tenant),
            token: body["access_token"].as_str().unwrap().to_owned(),
        }
    }

    async fn of(tenant: &'t Tenant) -> Self {
        let app = (tenant.client_id(), tenant.client_secret());
        Self::by(tenant, app, RESOURCE).await
    }

    fn bare(&self, method: Method, target: &str) -> RequestBuilder {
        let url = format!("{}/{target}", self.storage.url());
        self.client
            .request(method, url)
            .header("x-ms-version", "2023-11-03")
    }

    fn request(&self, method: Method, target: &str) -> RequestBuilder {
        self.bare(method, target).bearer_auth(&self.token)
    }

    async fn get(&self, target: &str) -> Response {
        self.request(Method::GET, target).send().await.unwrap()
    }

    async fn list(&self, target: &str) -> Listed {
        let reply = self.get(target).await;
        assert_eq!(reply.status(), 200);
        let text = reply.text().await.unwrap();
        from_str(text.trim_start_matches('\u{feff}')).unwrap()
    }

    async fn put(&self, blob: &str, headers: &[(&str, &str)]) -> Response {
        let target = format!("checkpoints/{blob}");
        let mut request = self
            .request(Method::PUT, &target)
            .header("x-ms-blob-type", "BlockBlob")
            .header("content-length", 0);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }
}

#[track_caller]
fn refused(reply: &Response, status: u16, code: &str) {
    let given = reply.headers()["x-ms-error-code"].to_str().unwrap();
    assert_eq!((reply.status().as_u16(), given), (status, code));
}

#[tokio::test]
async fn the_account_holds_a_container_a_table_and_a_blob_an_hour() {
    let tenant = serving(Settings {
        records: Some(500),
        page: 2,
        ..Settings::default()
    })
    .await;
    let visitor = Visitor::of(&tenant).await;
    let mut containers = Vec::new();
    let mut marker = String::new();
    loop {
        let page = visitor
            .list(&format!("?comp=list&prefix=insights-logs-&marker={marker}"))
            .await;
        assert!(page.containers.found.len() <= 2);
        containers.extend(page.containers.found.into_iter().map(|one| one.name));
        marker = page.next_marker;
        if marker.is_empty() {
            break;
        }
    }
    let storage = tenant.storage().unwrap();
    let mut own = storage.containers();
    own.retain(|name| name != "checkpoints");
    assert_eq!(containers, own);
    assert!(own.contains(&Storage::container_of("AlertInfo")), "{own:?}");

    let mut records = 0;
    for container in &containers {
        let (mut names, mut marker) = (Vec::new(), String::new());
        loop {
            let target = format!("{container}?restype=container&comp=list&marker={marker}");
            let page = visitor.list(&target).await;
            names.extend(page.blobs.found.into_iter().map(|one| one.name));
            marker = page.next_marker;
            if marker.is_empty() {
                break;
            }
        }
        for name in names {
            assert!(name.starts_with("tenantId=11111111-2222-4333-8444-555555555555/y=20"));
            assert!(name.ends_with("/m=00/PT1H.json"), "{name}");
            let reply = visitor.get(&format!("{container}/{name}")).await;
            assert_eq!(reply.status(), 200);
            assert_eq!(reply.headers()["x-ms-blob-type"], "AppendBlob");
            let text = reply.text().await.unwrap();
            assert!(text.ends_with("}\r\n"), "{text}");
            records += text.lines().count();
        }
    }
    let mut truth = 0;
    let mut distinct = BTreeSet::new();
    storage.records(|record| {
        truth += 1;
        let (_, properties) = record.text.split_once("\"properties\":").unwrap();
        distinct.insert((record.container, properties.to_owned()));
    });
    assert_eq!(records, truth);
    assert_eq!(distinct.len(), 500);
    let repeats = truth - 500;
    assert!((15..=20).contains(&repeats), "{repeats} of 500 came again");
}

#[tokio::test]
async fn stories_that_move_on_make_blobs_grow() {
    let tenant = serving(Settings::default()).await;
    let storage = tenant.storage().unwrap();
    let count = || {
        let mut count = 0;
        storage.records(|_| count += 1);
        count
    };
    let before = count();
    while count() == before {
        tenant.advance();
    }
    assert!(count() > before);
}

#[tokio::test]
async fn a_part_of_a_blob_is_read_by_its_range() {
    let tenant = serving(Settings::default()).await;
    let storage = tenant.storage().unwrap();
    storage.append("logs", "a b/ü", b"abcdef");
    let visitor = Visitor::of(&tenant).await;
    let read = |range: &'static str| {
        let target = "logs/a%20b/%C3%BC";
        let request = visitor.request(Method::GET, target);
        request.header("x-ms-range", range).send()
    };
    let part = read("bytes=2-3").await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.headers()["content-range"], "bytes 2-3/6");
    assert_eq!(part.text().await.unwrap(), "cd");
    let end = read("bytes=6-9").await.unwrap();
    refused(&end, 416, "InvalidRange");
    assert_eq!(end.headers()["content-range"], "bytes */6");

    let head = visitor.request(Method::HEAD, "logs/a%20b/%C3%BC").send();
    let head = head.await.unwrap();
    assert_eq!(head.headers()["content-length"], "6");
    assert_eq!(head.headers()["x-ms-blob-committed-block-count"], "1");
    let etag = head.headers()["etag"].to_str().unwrap();
    let again = visitor.request(Method::GET, "logs/a%20b/%C3%BC");
    let again = again.header("if-none-match", etag).send().await.unwrap();
    assert_eq!(again.status(), 304);
    storage.append("logs", "a b/ü", b"g");
    let old = visitor.request(Method::GET, "logs/a%20b/%C3%BC");
    let old = old.header("if-match", etag).send().await.unwrap();
    refused(&old, 412, "ConditionNotMet");
    assert!(
        old.text()
            .await
            .unwrap()
            .contains("<Code>ConditionNotMet</Code>")
    );
}

#[tokio::test]
async fn claims_are_written_as_the_first_or_over_their_version() {
    let tenant = serving(Settings::default()).await;
    let visitor = Visitor::of(&tenant).await;
    let first = ("x-ms-meta-ownerid", "me");
    let claimed = visitor
        .put("a/ownership/0", &[("if-none-match", "*"), first])
        .await;
    assert_eq!(claimed.status(), 201);
    let etag = claimed.headers()["etag"].to_str().unwrap().to_owned();
    let late = visitor
        .put("a/ownership/0", &[("if-none-match", "*")])
        .await;
    refused(&late, 409, "BlobAlreadyExists");
    let renew = |etag: &str| {
        let target = "checkpoints/a/ownership/0?comp=metadata";
        let request = visitor.request(Method::PUT, target);
        request
            .header("if-match", etag)
            .header("x-ms-meta-ownerid", "you")
            .header("content-length", 0)
            .send()
    };
    assert_eq!(renew(&etag).await.unwrap().status(), 200);
    refused(&renew(&etag).await.unwrap(), 412, "ConditionNotMet");
    let listed = visitor
        .get("checkpoints?restype=container&comp=list&include=metadata&prefix=a/")
        .await;
    let listed = listed.text().await.unwrap();
    assert!(
        listed.contains("<Metadata><ownerid>you</ownerid></Metadata>"),
        "{listed}"
    );
    let storage = tenant.storage().unwrap();
    let metadata = storage.metadata("checkpoints", "a/ownership/0").unwrap();
    assert_eq!(metadata, [("ownerid".to_owned(), "you".to_owned())]);
    let delete = visitor.request(Method::DELETE, "checkpoints/a/ownership/0");
    assert_eq!(delete.send().await.unwrap().status(), 202);
    refused(
        &visitor.get("checkpoints/a/ownership/0").await,
        404,
        "BlobNotFound",
    );
    refused(&visitor.get("nowhere/a").await, 404, "ContainerNotFound");
}

#[tokio::test]
async fn who_may_not_is_told_why() {
    let tenant = serving(Settings::default()).await;
    let visitor = Visitor::of(&tenant).await;
    let list = "?comp=list";
    let nobody = visitor.bare(Method::GET, list).send().await.unwrap();
    refused(&nobody, 401, "NoAuthenticationInformation");
    let challenge = nobody.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains(tenant.url()), "{challenge}");

    let app = (tenant.client_id(), tenant.client_secret());
    let stranger = Visitor::by(&tenant, app, "https://graph.microsoft.com").await;
    refused(&stranger.get(list).await, 401, "InvalidAuthenticationInfo");

    let reader = Visitor::by(&tenant, tenant.reader(), RESOURCE).await;
    assert_eq!(reader.get(list).await.status(), 200);
    let mismatch = "AuthorizationPermissionMismatch";
    refused(&reader.put("a", &[]).await, 403, mismatch);
    tenant.storage().unwrap().take_role(tenant.client_id());
    refused(&visitor.get(list).await, 403, mismatch);
    tenant.storage().unwrap().recover();
    assert_eq!(visitor.get(list).await.status(), 200);
}

#[tokio::test]
async fn a_shared_access_signature_opens_what_it_says() {
    let tenant = serving(Settings::default()).await;
    let visitor = Visitor::of(&tenant).await;
    let storage = tenant.storage().unwrap();
    storage.append("logs", "a", b"abc");
    let ask = |method: Method, target: &str| visitor.bare(method, target).send();
    let good = storage.signature("rl", HOUR);
    for target in ["?comp=list", "logs?restype=container&comp=list"] {
        let reply = ask(Method::GET, &format!("{target}&{good}")).await.unwrap();
        assert_eq!(reply.status(), 200, "{target}");
    }
    let read = ask(Method::GET, &format!("logs/a?{good}")).await.unwrap();
    assert_eq!(read.text().await.unwrap(), "abc");
    let delete = ask(Method::DELETE, &format!("logs/a?{good}")).await;
    refused(&delete.unwrap(), 403, "AuthorizationPermissionMismatch");
    let wrong = ask(
        Method::GET,
        &format!("logs/a?{}", good.replace("sp=rl", "sp=rwl")),
    )
    .await;
    refused(&wrong.unwrap(), 403, "AuthenticationFailed");
    let ended = storage.signature("rl", Duration::ZERO);
    let ended = ask(Method::GET, &format!("logs/a?{ended}")).await;
    refused(&ended.unwrap(), 403, "AuthenticationFailed");
}

#[tokio::test]
async fn troubles_come_as_often_as_they_were_ordered() {
    let tenant = serving(Settings::default()).await;
    let visitor = Visitor::of(&tenant).await;
    let storage = tenant.storage().unwrap();
    storage.refuse(
        Operation::Write,
        "/checkpoint/",
        "ServerBusy",
        Times::Next(2),
    );
    for status in [503, 503, 201] {
        let reply = visitor.put("a/checkpoint/0", &[]).await;
        assert_eq!(reply.status().as_u16(), status);
        let claim = visitor.put("a/ownership/0", &[]).await;
        assert_eq!(claim.status(), StatusCode::CREATED);
    }
    storage.throttle(Times::Always);
    refused(&visitor.get("?comp=list").await, 503, "ServerBusy");
    storage.recover();
    assert_eq!(visitor.get("?comp=list").await.status(), 200);
    let stats = storage.stats();
    assert_eq!((stats.lists, stats.reads, stats.writes), (2, 0, 6));
}
