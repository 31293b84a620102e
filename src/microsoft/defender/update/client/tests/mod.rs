mod many_in_graph;
mod many_in_mde;
mod one_by_one;
mod shown_late;

use super::*;

#[test]
fn an_id_is_one_segment_or_refused() {
    assert_eq!(
        segment("da637551227677560813_-961444813").unwrap(),
        "da637551227677560813_-961444813"
    );
    assert_eq!(segment("a/../b?c#d e").unwrap(), "a%2F..%2Fb%3Fc%23d%20e");
    for (id, why) in [
        ("", "empty"),
        (".", "another place"),
        ("..", "another place"),
        ("a\nb", "control"),
        (&"x".repeat(257), "longer"),
    ] {
        let fault = segment(id).unwrap_err();
        assert_eq!(fault.failing(), Failing::Invalid);
        assert!(fault.to_string().contains(why), "{fault}");
    }
}

proptest::proptest! {
    #[test]
    fn no_id_can_leave_its_place_in_the_url(id: String) {
        if let Ok(segment) = segment(&id) {
            let base = url::Url::parse("https://graph.example/").unwrap();
            let url = base.join(&format!("/v1.0/security/alerts_v2/{segment}")).unwrap();
            let last = url.path().strip_prefix("/v1.0/security/alerts_v2/").unwrap();
            let read = percent_encoding::percent_decode_str(last).decode_utf8().unwrap();
            proptest::prop_assert_eq!(read.as_ref(), id.as_str());
            proptest::prop_assert!(url.query().is_none() && url.fragment().is_none());
        }
    }
}
