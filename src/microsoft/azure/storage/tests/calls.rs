//! What goes over the wire, and what comes of the answers.

use super::service::{Fault, Service};
use crate::ingest::stream::{LogError, LogErrorClass};
use crate::microsoft::azure::storage::client::{If, Range, Written};
use crate::microsoft::azure::storage::listing::ETag;

const SIGNATURE: &str = "sv=2023-11-03&sp=rl&sig=s3cr3t%2F%2B%3D";

fn nothing(size: u64) -> Range {
    Range {
        bytes: Vec::new(),
        size: Some(size),
    }
}

#[tokio::test]
async fn a_part_of_a_blob_is_read_and_at_its_end_nothing_comes_from_azure_or_its_emulator() {
    let service = Service::start().await;
    service.state().append("c", "a b/x=1.json", b"0123456789");
    service.state().append("c", "empty", b"");
    let client = service.client();
    for emulator in [false, true] {
        service.state().emulator = emulator;
        let range = client.read("c", "a b/x=1.json", 4, 3).await.unwrap();
        assert_eq!(
            range,
            Range {
                bytes: b"456".to_vec(),
                size: Some(10)
            }
        );
        let range = client.read("c", "a b/x=1.json", 8, 4 << 20).await.unwrap();
        assert_eq!(range.bytes, b"89");
        assert_eq!(
            client.read("c", "a b/x=1.json", 10, 9).await.unwrap(),
            nothing(10)
        );
        assert_eq!(
            client.read("c", "a b/x=1.json", 11, 9).await.unwrap(),
            nothing(10)
        );
        assert_eq!(client.read("c", "empty", 0, 9).await.unwrap(), nothing(0));
    }
    let first = &service.counterpart.calls()[0];
    assert_eq!(first.target, "/contoso/c/a%20b/x%3D1.json");
    assert_eq!(first.header("x-ms-range"), "bytes=4-6");
    assert_eq!(first.header("range"), "bytes=4-6");
    assert_eq!(first.header("authorization"), "Bearer token-0");
    assert!(first.header("accept-encoding").is_empty() && first.header("x-ms-date").is_empty());
    let sign_in = &service.counterpart.sign_ins()[0];
    assert_eq!(sign_in.field("scope"), "https://storage.azure.com/.default");
    let costs = client.costs();
    assert_eq!((costs.reads, costs.lists, costs.writes), (10, 0, 0));
    // The clock of this service is far from ours.
    assert!(client.skew().unwrap().abs() > 1000);
}

#[tokio::test]
async fn a_service_that_gives_the_whole_blob_is_read_on_all_the_same() {
    let service = Service::start().await;
    service.state().whole = true;
    service.state().append("c", "x", b"0123456789");
    let client = service.client();
    for (from, most, bytes) in [
        (0, 100, &b"0123456789"[..]),
        (4, 3, b"456"),
        (8, 9, b"89"),
        (10, 9, b""),
        (11, 9, b""),
    ] {
        let range = client.read("c", "x", from, most).await.unwrap();
        let size = Some(10);
        let bytes = bytes.to_vec();
        assert_eq!(range, Range { bytes, size }, "{from}");
    }
}

#[tokio::test]
async fn lists_go_on_until_no_marker_follows() {
    let service = Service::start().await;
    {
        let mut state = service.state();
        state.page = 2;
        for at in 0..5 {
            state.append("logs-a", &format!("p/{at}"), b"x");
        }
        state.append("logs-a", "q/0", b"x");
        state.append("logs-b", "x", b"");
        state.append("other", "x", b"");
    }
    let client = service.client();
    let (mut names, mut marker) = (Vec::new(), None);
    loop {
        let listed = client
            .blobs("logs-a", "p/", marker.as_deref(), false)
            .await
            .unwrap();
        assert_eq!(listed.now, Some(super::service::START));
        names.extend(listed.part.found.into_iter().map(|blob| blob.name));
        marker = listed.part.next;
        if marker.is_none() {
            break;
        }
    }
    assert_eq!(names, ["p/0", "p/1", "p/2", "p/3", "p/4"]);
    let containers = client.containers("logs-", None).await.unwrap().part;
    assert_eq!((containers.found.len(), containers.next), (2, None));
    assert_eq!(client.costs().lists, 4);
}

#[tokio::test]
async fn conditions_go_as_they_came_and_409_and_412_are_refusals() {
    let service = Service::start().await;
    service
        .state()
        .containers
        .insert("c".to_owned(), Default::default());
    let client = service.client();
    let Written::Done(first) = client
        .put("c", "n", &[("ownerid", "me")], If::New)
        .await
        .unwrap()
    else {
        panic!("refused");
    };
    assert!(first.0.starts_with("\"0x"), "{first:?}");
    assert_eq!(
        client
            .put("c", "n", &[("ownerid", "x")], If::New)
            .await
            .unwrap(),
        Written::Refused
    );
    let listed = client.blobs("c", "", None, true).await.unwrap().part.found;
    let unquoted = &listed[0].etag;
    assert!(unquoted.0.starts_with("0x"), "{unquoted:?}");
    assert_eq!(listed[0].metadata["ownerid"], "me");
    let set = |etag: ETag| {
        let client = client.clone();
        async move {
            client
                .set_metadata("c", "n", &[("ownerid", "")], If::Match(&etag))
                .await
                .unwrap()
        }
    };
    let written = set(unquoted.clone()).await;
    assert!(matches!(written, Written::Done(_)));
    assert_eq!(set(unquoted.clone()).await, Written::Refused);
    assert_eq!(set(first).await, Written::Refused);
    let gone = client
        .set_metadata("c", "gone", &[], If::Match(unquoted))
        .await
        .unwrap();
    assert_eq!(gone, Written::Missing);
    let head = client.head("c", "n").await.unwrap();
    assert_eq!(
        (head.size, head.metadata["ownerid"].as_str(), head.append),
        (0, "", false)
    );
    let calls = service.counterpart.calls();
    let put = &calls[0];
    assert_eq!(
        (put.header("if-none-match"), put.header("if-match")),
        ("*", "")
    );
    assert_eq!(put.header("content-type"), "application/octet-stream");
    let set = calls
        .iter()
        .find(|asked| asked.target.ends_with("?comp=metadata"))
        .unwrap();
    assert_eq!(set.header("if-match"), unquoted.0);
}

#[tokio::test]
async fn a_signature_stands_in_every_address_and_in_no_error() {
    let service = Service::start().await;
    service.state().append("c", "n", b"x");
    let client = service.signed(SIGNATURE);
    assert_eq!(client.read("c", "n", 0, 9).await.unwrap().bytes, b"x");
    assert_eq!(
        client
            .blobs("c", "", None, false)
            .await
            .unwrap()
            .part
            .found
            .len(),
        1
    );
    for asked in service.counterpart.calls() {
        assert!(
            asked.target.contains("sig=s3cr3t%2F%2B%3D"),
            "{}",
            asked.target
        );
        assert!(asked.header("authorization").is_empty());
    }
    assert!(service.counterpart.sign_ins().is_empty());
    let wrong = service.signed("sv=1&sig=hunter2");
    let error = wrong.read("c", "n", 0, 9).await.unwrap_err();
    assert!(error.to_string().contains("expired"), "{error}");
    let shown = format!("{error} {error:?} {wrong:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
    drop(service);
}

#[tokio::test]
async fn nothing_behind_the_address_is_an_error_without_the_signature() {
    let service = Service::start().await;
    let account = service.counterpart.secret();
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let at = url::Url::parse(&format!("https://{closed}/contoso")).unwrap();
    let access = super::super::Access::Signature("sig=hunter2".into());
    let client = super::super::BlobClient::new(&account, &at, access)
        .unwrap()
        .still();
    let error = client.read("c", "n", 0, 9).await.unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(
        !format!("{error} {error:?}").contains("hunter2"),
        "{error:?}"
    );
    assert_eq!(error.class(), LogErrorClass::Passing);
}

#[tokio::test]
async fn what_passes_is_tried_again_and_what_does_not_says_what_to_do() {
    let service = Service::start().await;
    service.state().append("c", "n", b"x");
    let client = service.client();
    let busy = Fault {
        method: "GET",
        part: "/c/n",
        status: 503,
        code: "ServerBusy",
    };
    service.state().faults.extend([busy.clone(), busy.clone()]);
    assert_eq!(client.read("c", "n", 0, 9).await.unwrap().bytes, b"x");
    assert_eq!((client.costs().retries, client.costs().throttles), (2, 2));
    for (status, code, class, words) in [
        (
            403,
            "AuthorizationPermissionMismatch",
            LogErrorClass::Stop,
            "Storage Blob Data Reader",
        ),
        (403, "AuthorizationFailure", LogErrorClass::Stop, "firewall"),
        (
            403,
            "AuthenticationFailed",
            LogErrorClass::Stop,
            "signature",
        ),
        (
            404,
            "ContainerNotFound",
            LogErrorClass::Stop,
            "container's name",
        ),
        (
            409,
            "PublicAccessNotPermitted",
            LogErrorClass::Stop,
            "signs in",
        ),
        (
            409,
            "ContainerBeingDeleted",
            LogErrorClass::Passing,
            "being deleted",
        ),
        (
            403,
            "KeyBasedAuthenticationNotPermitted",
            LogErrorClass::Stop,
            "signs in",
        ),
        (
            400,
            "InvalidHeaderValue",
            LogErrorClass::Stop,
            "skipApiVersionCheck",
        ),
        (
            500,
            "InternalError",
            LogErrorClass::Passing,
            "fault at Microsoft",
        ),
        (503, "ServerBusy", LogErrorClass::Passing, "limit"),
    ] {
        let fault = Fault {
            status,
            code,
            ..busy.clone()
        };
        service.state().refusals = vec![fault];
        let error = client.read("c", "n", 0, 9).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(words) && text.contains(code) && text.contains("r-1"),
            "{text}"
        );
        assert!(!text.contains('\n'), "{text}");
        assert_eq!(error.class(), class, "{text}");
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_renewed_once() {
    let service = Service::start().await;
    service.state().append("c", "n", b"x");
    let client = service.client();
    service.state().faults.push_back(Fault {
        method: "GET",
        part: "/c/n",
        status: 401,
        code: "InvalidAuthenticationInfo",
    });
    assert_eq!(client.read("c", "n", 0, 9).await.unwrap().bytes, b"x");
    assert_eq!(service.counterpart.sign_ins().len(), 2);
    service.state().refusals.push(Fault {
        method: "GET",
        part: "/c/n",
        status: 401,
        code: "InvalidAuthenticationInfo",
    });
    let error = client.read("c", "n", 0, 9).await.unwrap_err();
    assert!(error.to_string().contains("tenant_id"), "{error}");
}
