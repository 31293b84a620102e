mod over_https;

use super::*;

#[test]
fn reads_which_part_of_an_ask_is_refused() {
    for (message, expected) in [
        (
            "The limit of '50' for Top query has been exceeded. The value from the incoming request is '1000'.",
            Refusal::Top(Some(50)),
        ),
        (
            "The limit of '500' for Skip query has been exceeded. The value from the incoming request is '501'.",
            Refusal::Skip,
        ),
        ("Invalid value for $top", Refusal::Top(None)),
        ("The limit of '0' for Top query", Refusal::Top(None)),
        (
            "The limit of '99999999999' for Top query",
            Refusal::Top(None),
        ),
        ("$orderby is not supported", Refusal::Order),
        ("The query option 'OrderBy' is not allowed.", Refusal::Order),
        ("$skip must not exceed 500", Refusal::Skip),
        (
            "Cannot parse ?$filter=x&$orderby=x asc&$top=5&$skip=2",
            Refusal::Unnamed,
        ),
        ("Stop it: a skipped topic", Refusal::Unnamed),
        ("", Refusal::Unnamed),
    ] {
        assert_eq!(refusal(message), expected, "{message}");
    }
}

#[test]
fn only_graphs_own_warning_makes_an_answer_partial() {
    let warning = r#"199 - "Microsoft/MCAS/503/2000""#;
    assert!(partial(200, Some(warning)).unwrap().contains("MCAS"));
    assert!(partial(200, Some(&format!("214 proxy \"x\", {warning}"))).is_some());
    assert!(partial(206, None).is_some());
    assert!(partial(200, None).is_none());
    assert!(partial(200, Some(r#"214 proxy "Transformation applied""#)).is_none());
    assert!(partial(200, Some(r#"299 - "deprecated, see 199""#)).is_none());
}

#[test]
fn a_link_is_foreign_by_host_and_port() {
    let base = Url::parse("https://graph.microsoft.com/").unwrap();
    let place = |link| onward(&base, "/v1.0/security/x?$top=1", link).unwrap_err();
    assert_eq!(place("https://evil.example/x"), "evil.example");
    assert_eq!(
        place("https://graph.microsoft.com:8443/x"),
        "graph.microsoft.com"
    );
    assert_eq!(
        place("http://graph.microsoft.com:443/x"),
        "graph.microsoft.com"
    );
    assert_eq!(place("data:x"), "data");
    assert!(!place("https://[").is_empty());
}

#[test]
fn a_link_goes_on_behind_the_base_it_shares() {
    let on = |base: &str, link| {
        onward(&Url::parse(base).unwrap(), "/v1.0/security/x?$top=1", link).unwrap()
    };
    let graph = "https://graph.microsoft.com/";
    assert_eq!(
        on(
            graph,
            "https://graph.microsoft.com:443/v1.0/x?$skiptoken=a%2Bb"
        )
        .as_deref(),
        Some("/v1.0/x?$skiptoken=a%2Bb")
    );
    assert_eq!(
        on(graph, "/v1.0/security/x?$skip=50").as_deref(),
        Some("/v1.0/security/x?$skip=50")
    );
    assert_eq!(
        on(graph, "x?$skiptoken=2").as_deref(),
        Some("/v1.0/security/x?$skiptoken=2"),
        "relative to the question"
    );
    assert_eq!(
        on(graph, "?$skiptoken=2").as_deref(),
        Some("/v1.0/security/x?$skiptoken=2")
    );
    let lab = "https://lab.example/graph";
    assert_eq!(
        on(lab, "https://lab.example/graph/v1.0/x").as_deref(),
        Some("/v1.0/x")
    );
    assert_eq!(on(lab, "https://lab.example/graphics"), None);
    assert_eq!(on(lab, "https://lab.example/mde/x"), None);
}

proptest::proptest! {
    #[test]
    fn no_message_of_a_service_can_break_its_reading(message: String, n: u32) {
        let _ = refusal(&message);
        let told = refusal(&format!("{message} limit of '{n}"));
        proptest::prop_assert_ne!(told, Refusal::Top(Some(0)));
    }
}
