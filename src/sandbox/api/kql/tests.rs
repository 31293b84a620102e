use super::*;
use proptest::prelude::*;

fn animals(name: &str) -> Option<Table> {
    let row = |name: &str, legs, at| vec![name.into(), Cell::Number(legs), Cell::Time(Ticks(at))];
    (name == "Animals").then(|| Table {
        columns: vec![
            ("Name".to_owned(), Kind::String),
            ("Legs".to_owned(), Kind::Int64),
            ("Seen".to_owned(), Kind::DateTime),
        ],
        rows: vec![
            row("Red fox", 4, 1),
            row("Spider", 8, 2),
            row("red ant", 6, 3),
            row("Hen", 2, 4),
        ],
    })
}

fn names(query: &str) -> Vec<String> {
    let table = run(query, Ticks(5), animals)
        .unwrap_or_else(|fault| panic!("{query}: {}", fault.message()));
    let first = |row: &Vec<Cell>| match &row[0] {
        Cell::Text(text) => text.clone(),
        other => format!("{other:?}"),
    };
    table.rows.iter().map(first).collect()
}

#[test]
fn each_step_does_what_kusto_does() {
    for (query, found) in [
        (
            "Animals | where Name has 'red' // a comment\n| project Name",
            ["Red fox", "red ant"].as_slice(),
        ),
        (
            "Animals | where Legs > 2 and (Name startswith \"s\" or Name =~ 'RED ANT')",
            &["Spider", "red ant"],
        ),
        (
            "Animals | where Name in ('Hen', 'Spider') | sort by Name asc",
            &["Hen", "Spider"],
        ),
        ("Animals | order by Legs | take 2;", &["Spider", "red ant"]),
        ("Animals | where Seen >= datetime(2026-01-01)", &[]),
        ("Animals | count", &["Number(4)"]),
        (
            "Animals | summarize n=count() by Name | where n == 1 | limit 1",
            &["Hen"],
        ),
        (
            "Animals | where Name contains 'ED' | where Name has 'e'",
            &[],
        ),
    ] {
        assert_eq!(names(query), found, "{query}");
    }
}

#[test]
fn what_it_does_not_know_is_refused_in_the_services_words() {
    for (query, message) in [
        (
            "",
            "The incomplete fragment is unexpected. Fix syntax errors in your query.",
        ),
        (
            "Animals | frobnicate",
            "Query operator expected.. Fix syntax errors in your query.",
        ),
        (
            "Animals | where Name = 'x'",
            "A recognition error occurred.. Fix syntax errors in your query.",
        ),
        (
            "Animals | where Wings == 2",
            "'where' operator: Failed to resolve scalar expression named 'Wings'. Fix semantic errors in your query.",
        ),
        (
            "Plants | take 1",
            "'take' operator: Failed to resolve table or column expression named 'Plants'. Fix semantic errors in your query.",
        ),
        (
            "Animals | summarize max(Legs)",
            "'summarize' operator: Unknown function: 'max'. Fix semantic errors in your query.",
        ),
        (
            "Animals | where Legs == 'x'",
            "'where' operator: Cannot compare values of different types with '=='. Fix semantic errors in your query.",
        ),
        (
            "Animals | take 1 Animals",
            "A recognition error occurred.. Fix syntax errors in your query.",
        ),
    ] {
        let fault = run(query, Ticks(5), animals).unwrap_err();
        assert_eq!(fault.message(), message, "{query}");
    }
}

proptest! {
    #[test]
    fn no_query_makes_it_panic(
        query in "\\PC{0,60}",
        pieces in proptest::collection::vec("(Animals|\\||where|project|summarize|count|\\(|\\)|by|sort|take|Name|Legs|==|has|in|'x'|7|ago|7d|,| |é)", 0..24),
    ) {
        for query in [query, format!("Animals | {}", pieces.join(" "))] {
            let _result = run(&query, Ticks(5), animals);
        }
    }

    #[test]
    fn brackets_in_any_number_are_no_trouble(depth in 0usize..5000) {
        let query = format!("Animals | where {}Legs == 2{}", "(".repeat(depth), ")".repeat(depth));
        prop_assert_eq!(run(&query, Ticks(5), animals).is_ok(), depth <= DEPTH);
    }
}
