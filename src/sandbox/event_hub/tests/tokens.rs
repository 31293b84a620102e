use super::*;
use crate::sandbox::tests::sign_in;

async fn jwt(tenant: &Tenant, scope: &str, (id, secret): (&str, &str)) -> String {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", id),
        ("client_secret", secret),
        ("scope", scope),
    ];
    let (status, body) = sign_in(tenant, &form).await;
    assert_eq!(status, 200, "{body}");
    body["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_of_the_tenants_sign_in_opens_the_hub() {
    let tenant = serving(plain(), 3).await;
    let hub = hub(&tenant);
    let audience = format!("sb://contoso/{}", hub.name());
    let writer = (tenant.client_id(), tenant.client_secret());
    for scope in [
        "https://eventhubs.azure.net/.default",
        "https://eventhubs.azure.net//.default",
    ] {
        let token = jwt(&tenant, scope, writer).await;
        let mut client = Client::plain(hub).await;
        let refused = refused(&mut client, &source(hub, 0), None, None).await;
        assert_eq!(refused, "amqp:unauthorized-access");
        let (status, text) = client.put(&audience, "jwt", &token).await;
        assert_eq!((status, text.as_str()), (202, "Accepted"));
        let mut receiver = client
            .partition(hub, 0, "amqp.annotation.x-opt-offset > '-1'")
            .await;
        assert_eq!(next(&mut receiver).await.sequence, 0);
    }
}

#[tokio::test]
async fn a_token_for_something_else_is_not_taken() {
    let tenant = serving(plain(), 1).await;
    let hub = hub(&tenant);
    let audience = format!("sb://contoso/{}", hub.name());
    let graph = jwt(
        &tenant,
        "https://graph.microsoft.com/.default",
        tenant.reader(),
    )
    .await;
    let (name, key) = hub.policies()[0];
    let other = signature("sb://contoso/other", name, key, 60);
    let forged = signature(&audience, name, "a2V5", 60);
    let mut client = Client::plain(hub).await;
    for (kind, token, code) in [
        ("jwt", graph.as_str(), "InvalidAudience"),
        ("jwt", "a.b.c", "InvalidToken"),
        ("servicebus.windows.net:sastoken", &other, "InvalidAudience"),
        (
            "servicebus.windows.net:sastoken",
            &forged,
            "InvalidSignature",
        ),
        ("password", "x", "InvalidTokenType"),
    ] {
        let (status, text) = client.put(&audience, kind, token).await;
        assert_eq!(status, 401);
        assert!(text.starts_with(code), "{text}");
    }
    assert_eq!(client.read(hub.name(), None).await.0, 401);
}

#[tokio::test]
async fn an_app_without_the_role_is_told_so_when_it_attaches() {
    let tenant = serving(plain(), 1).await;
    let hub = hub(&tenant);
    let (id, secret) = tenant.reader();
    hub.take_role(id);
    let token = jwt(
        &tenant,
        "https://eventhubs.azure.net/.default",
        (id, secret),
    )
    .await;
    let mut client = Client::plain(hub).await;
    let audience = format!("sb://contoso/{}", hub.name());
    assert_eq!(client.put(&audience, "jwt", &token).await.0, 202);
    let receiver = client.receiver(&source(hub, 0), None, None).await;
    // The last link of this session.
    let error = match receiver {
        Ok(mut receiver) => ended(&mut receiver).await,
        Err(ReceiverAttachError::RemoteClosedWithError(error)) => error,
        Err(other) => panic!("{other:?}"),
    };
    assert_eq!(condition(&error), "amqp:unauthorized-access");
    assert!(
        error
            .description
            .unwrap()
            .contains("'Listen' claim(s) are required")
    );
}

#[tokio::test]
async fn an_expired_token_ends_the_links_and_a_renewed_one_keeps_them() {
    let tenant = serving(
        Settings {
            partitions: 2,
            ..plain()
        },
        1,
    )
    .await;
    let hub = hub(&tenant);
    let (name, key) = hub.policies()[0];
    let kind = "servicebus.windows.net:sastoken";
    let mut client = Client::plain(hub).await;
    let mut receivers = Vec::new();
    for partition in 0..2 {
        let audience = format!("sb://contoso/{}", source(hub, partition));
        let token = signature(&audience, name, key, 2);
        assert_eq!(client.put(&audience, kind, &token).await.0, 202);
        let latest = "amqp.annotation.x-opt-offset > '@latest'";
        receivers.push(client.partition(hub, partition, latest).await);
    }
    let audience = format!("sb://contoso/{}", source(hub, 1));
    let token = signature(&audience, name, key, 600);
    assert_eq!(client.put(&audience, kind, &token).await.0, 202);
    let error = ended(&mut receivers[0]).await;
    assert_eq!(condition(&error), "amqp:unauthorized-access");
    assert_eq!(hub.receivers().len(), 1);
    hub.expire_tokens();
    assert_eq!(
        condition(&ended(&mut receivers[1]).await),
        "amqp:unauthorized-access"
    );
}
