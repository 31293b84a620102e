//! What is closed in Enterprise Security, as the saved search hands it to the action.

#[test]
fn the_closure_search_hands_over_no_more_rows_than_its_action_takes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/default/savedsearches.conf");
    let conf = std::fs::read_to_string(path).unwrap();
    let (_, stanza) = conf
        .split_once("[Defender Bridge - ES closure to Defender]")
        .unwrap();
    let value = |key: &str| {
        let line = stanza
            .lines()
            .find_map(|line| line.strip_prefix(key))
            .unwrap();
        line.trim_start_matches(" = ").to_owned()
    };
    let search = value("search");
    let (before, table) = search.rsplit_once(" | table ").unwrap();
    let most = before.rsplit_once(" | head ").unwrap().1;
    assert_eq!(
        most,
        value("action.defender_bridge_update_alert.param.max_targets")
    );
    assert!(before.contains("sort 0 defender_tries _time"), "{before}");
    assert!(
        before.contains("defenderledger | where authentic=\"true\""),
        "{before}"
    );
    // What its rows say, the action leaves open: they overrule nothing.
    let fields = table
        .split(' ')
        .filter_map(|field| field.strip_prefix("defender_"));
    for field in fields.filter(|field| *field != "tenant") {
        let key = format!("action.defender_bridge_update_alert.param.{field} = ");
        let set = stanza.lines().find_map(|line| line.strip_prefix(&key));
        assert_eq!(set.unwrap_or_default(), "", "{field}");
    }
}
