//! An input whose position lies in the KV store goes on where it was, on
//! whichever search head it runs: nothing is lost, what doubles is at most a
//! page, and what is not there is never taken for a first run.

use crate::counterpart::index::Arrivals;
use crate::counterpart::kvstore::{Fate, KvStore};
use crate::counterpart::objects::{self, Dice};
use crate::counterpart::process::{Reading, Run};
use crate::counterpart::tenant::recent;
use crate::counterpart::{Feed, Object, Splunkd, Tenant, instants};
use serde_json::{Value, json};
use std::time::Duration;

const FEED: Feed = Feed::GraphAlerts;
const PAGE: usize = 10;
/// splunkd's grace is not documented; the product promises two seconds.
const SOON: Duration = Duration::from_secs(5);

fn tenant(objects: &[Object]) -> Tenant {
    let tenant = Tenant::holding(FEED, objects.to_vec());
    tenant.rules(|rules| rules.clamp = Some(PAGE));
    tenant
}

/// A member of a search head cluster.
fn member(number: u32, tenant: &Tenant, kvstore: &KvStore) -> Splunkd {
    Splunkd::reading_with(tenant, FEED, &[("checkpoint", "kvstore")])
        .named(&format!("sh{number}"), &format!("GUID-{number}"))
        .with_kvstore(kvstore)
}

fn local(number: u32, tenant: &Tenant) -> Splunkd {
    Splunkd::reading(tenant, FEED).named(&format!("sh{number}"), &format!("GUID-{number}"))
}

/// The summary of a run of the one stanza.
#[track_caller]
fn summary(run: &Run) -> Value {
    let [health] = &run.health()[..] else {
        panic!("one summary; stderr:\n{}", run.stderr)
    };
    serde_json::from_str(&health.data).unwrap()
}

#[track_caller]
fn refused_with(run: &Run, words: &[&str]) {
    let refusal = run.refusal();
    for word in words {
        assert!(refusal.contains(word), "{word}: {refusal}");
    }
    assert_eq!(run.events(), [], "{refusal}");
}

/// Objects updated now, of numbers from `first` on.
fn newer(first: u64, count: u64) -> Vec<Object> {
    let at = instants::now() - 120 * instants::SECOND;
    let numbers = first..first + count;
    numbers
        .map(|number| objects::numbered(FEED, number, at + i64::try_from(number).unwrap() * 1000))
        .collect()
}

#[test]
fn two_search_heads_take_turns_and_each_object_comes_once() {
    let first = recent(FEED, 35);
    let tenant = tenant(&first);
    let kvstore = KvStore::new();
    let (one, two) = (member(1, &tenant, &kvstore), member(2, &tenant, &kvstore));
    let mut all = first.clone();
    let mut arrivals = Arrivals::default();
    let mut last = None;
    for (turn, number) in [1, 1, 2, 2, 1, 2].into_iter().enumerate() {
        let run = [&one, &two][number - 1].run().well();
        arrivals.take(&run.events());
        let summary = summary(&run);
        assert_eq!(summary["server"], format!("sh{number}"));
        assert_eq!(summary["owner"], format!("GUID-{number}"));
        assert_eq!(summary["checkpoint"], "kvstore");
        // A change of servers is said, once.
        let moved = last.is_some_and(|last| last != number);
        let warning = summary["warning"].as_str().unwrap_or_default();
        assert_eq!(moved, !warning.is_empty(), "turn {turn}: {warning}");
        assert_eq!(
            run.lines("WARN").len(),
            usize::from(moved),
            "{}",
            run.stderr
        );
        if moved {
            let before = format!("sh{} (GUID-{})", 3 - number, 3 - number);
            assert!(warning.contains(&before), "{warning}");
        }
        last = Some(number);
        let more = newer(1000 * (turn as u64 + 1), 3);
        tenant.add(FEED, more.clone());
        all.extend(more);
    }
    arrivals.take(&one.run().well().events());
    arrivals.are_exactly(&all);
}

#[test]
fn only_what_counts_stays_in_the_kv_store() {
    let tenant = tenant(&recent(FEED, 45));
    let kvstore = KvStore::new();
    let one = member(1, &tenant, &kvstore);
    for _ in 0..3 {
        one.run().well();
    }
    let kinds: Vec<String> = kvstore
        .documents()
        .values()
        .map(|document| document["kind"].as_str().unwrap().to_owned())
        .collect();
    let count = |kind: &str| kinds.iter().filter(|found| *found == kind).count();
    assert_eq!([count("head"), count("part")], [1, 0], "{kinds:?}");
    // One document for each run of late, and the first one.
    assert_eq!(count("run"), 4);
    for text in kvstore.documents().values().map(Value::to_string) {
        assert!(!text.contains("session_key"), "{text}");
    }
}

#[test]
fn documents_of_runs_do_not_pile_up() {
    let tenant = tenant(&recent(FEED, 5));
    let kvstore = KvStore::new();
    let one = member(1, &tenant, &kvstore);
    one.run().well();
    kvstore.change(|documents| {
        let (key, run) = documents
            .iter()
            .filter(|(_, document)| document["kind"] == "run")
            .max_by_key(|(_, document)| document["epoch"].as_u64())
            .map(|(key, document)| (key.clone(), document.clone()))
            .unwrap();
        let stem = key.rsplit_once('-').unwrap().0.to_owned();
        for epoch in 2..300 {
            let mut run = run.clone();
            let key = format!("{stem}-{epoch}");
            run["_key"] = json!(key);
            run["epoch"] = json!(epoch);
            documents.insert(key, run);
        }
    });
    for _ in 0..2 {
        assert_eq!(one.run().well().events(), []);
    }
    let left = kvstore.documents().len();
    assert!(left < 100, "{left} documents");
    assert_eq!(member(2, &tenant, &kvstore).run().well().events(), []);
}

/// Runs on both members in turn until all is delivered; tells the doubles.
fn end_well(members: [&Splunkd; 2], arrivals: &mut Arrivals, objects: &[Object]) -> usize {
    for member in members {
        arrivals.take(&member.run().well().events());
    }
    arrivals.hold_all(objects)
}

#[test]
fn a_run_killed_at_any_write_loses_nothing_and_doubles_at_most_a_page() {
    let objects = recent(FEED, 3 * PAGE);
    for carried_out in [false, true] {
        for before in 0.. {
            let tenant = tenant(&objects);
            let kvstore = KvStore::new();
            let (one, two) = (member(1, &tenant, &kvstore), member(2, &tenant, &kvstore));
            let mut fates = vec![Fate::Served; before];
            fates.push(Fate::Stalled { carried_out });
            kvstore.befalls_writes(fates);
            let mut running = one.start(Reading::Steady);
            let stalled = running.wait_until(|| kvstore.stalled() > 0);
            if stalled {
                running.kill();
            }
            let mut arrivals = Arrivals::default();
            arrivals.take(&running.finish().events());
            if !stalled {
                assert!(before > 8, "a run has more writes than {before}");
                arrivals.are_exactly(&objects);
                break;
            }
            // Its own server does not wait for the lease of a run that is dead.
            let members = match before % 2 {
                0 => [&one, &two],
                _ => {
                    kvstore.end_leases();
                    [&two, &one]
                }
            };
            let doubles = end_well(members, &mut arrivals, &objects);
            assert!(
                doubles <= PAGE,
                "killed at write {before}: {doubles} doubles"
            );
        }
    }
}

#[test]
fn whatever_befalls_a_call_nothing_is_lost() {
    let objects = recent(FEED, PAGE + 2);
    let fates = [
        Fate::Refused(500, "Unsupported Operation - KVStore disabled on instance"),
        Fate::Refused(409, "A document with the same key and user already exists."),
        Fate::Refused(404, "Could not find object."),
        Fate::AnswerLost,
        Fate::CallLost,
        Fate::Halved,
    ];
    for fate in fates {
        for before in 0.. {
            let tenant = tenant(&objects);
            let kvstore = KvStore::new();
            let (one, two) = (member(1, &tenant, &kvstore), member(2, &tenant, &kvstore));
            let mut list = vec![Fate::Served; before];
            list.push(fate);
            kvstore.befalls(list);
            let run = one.run();
            let met = kvstore.is_through();
            kvstore.befalls([]);
            kvstore.end_leases();
            let mut arrivals = Arrivals::default();
            arrivals.take(&run.events());
            assert!(run.lines("ERROR").len() <= 1, "{}", run.stderr);
            assert_eq!(run.lines("ERROR").is_empty(), run.code() == Some(0));
            let last = if before % 2 == 0 { &two } else { &one };
            arrivals.take(&last.run().well().events());
            let doubles = arrivals.hold_all(&objects);
            assert!(
                doubles <= PAGE,
                "{fate:?} at call {before}: {doubles} doubles"
            );
            if !met {
                break;
            }
        }
    }
}

#[test]
fn troubles_at_random_on_both_servers_lose_nothing() {
    let objects = recent(FEED, 6 * PAGE);
    for seed in [5, 6, 7] {
        let mut dice = Dice::new(seed);
        let tenant = tenant(&objects);
        let kvstore = KvStore::new();
        let members = [member(1, &tenant, &kvstore), member(2, &tenant, &kvstore)];
        let mut arrivals = Arrivals::default();
        let mut troubles = 0;
        for _ in 0..8 {
            let fates: Vec<Fate> = (0..40)
                .map(|_| match dice.below(14) {
                    0 => Fate::AnswerLost,
                    1 => Fate::CallLost,
                    2 => Fate::Halved,
                    3 => Fate::Refused(500, "not now"),
                    _ => Fate::Served,
                })
                .collect();
            kvstore.befalls(fates);
            if dice.below(3) == 0 {
                kvstore.lag(["sh1", "sh2"][dice.below(2)], dice.below(6));
            }
            let run = members[dice.below(2)].run();
            troubles += usize::from(run.code() != Some(0));
            arrivals.take(&run.events());
            kvstore.end_leases();
        }
        kvstore.befalls([]);
        kvstore.lag("sh1", 0);
        kvstore.lag("sh2", 0);
        let doubles = end_well([&members[0], &members[1]], &mut arrivals, &objects);
        // A copy that lags by a run shows the position of the run before.
        assert!(
            doubles <= troubles * PAGE + objects.len(),
            "seed {seed}: {doubles} doubles after {troubles} troubles"
        );
    }
}

#[test]
fn a_copy_that_lags_is_waited_for_and_never_taken_for_a_first_run() {
    let objects = recent(FEED, 25);
    let tenant = tenant(&objects);
    let kvstore = KvStore::new();
    let (one, two) = (member(1, &tenant, &kvstore), member(2, &tenant, &kvstore));
    // Its copy stays empty while the other one begins.
    kvstore.show_nothing("sh2", 2);
    Arrivals::of(&one.run().well()).are_exactly(&objects);
    assert_eq!(two.run().well().events(), []);
    // Its copy shows the state of before the other's last run.
    let more = newer(5000, 4);
    tenant.add(FEED, more.clone());
    kvstore.lag("sh2", 2);
    Arrivals::of(&one.run().well()).are_exactly(&more);
    assert_eq!(two.run().well().events(), []);
    // It never catches up.
    kvstore.show_nothing("sh3", 1000);
    let three = member(3, &tenant, &kvstore);
    refused_with(&three.run(), &["lags behind"]);
}

#[test]
fn a_second_run_at_the_same_time_is_refused_and_names_the_first() {
    let objects = recent(FEED, 25);
    let tenant = tenant(&objects);
    let kvstore = KvStore::new();
    let (one, two) = (member(1, &tenant, &kvstore), member(2, &tenant, &kvstore));
    kvstore.befalls_writes([
        Fate::Served,
        Fate::Served,
        Fate::Served,
        Fate::Stalled { carried_out: true },
    ]);
    let mut first = one.start(Reading::Steady);
    assert!(first.wait_until(|| kvstore.stalled() > 0));
    let refused = two.run();
    refused_with(&refused, &["sh1 (GUID-1)", "until"]);
    assert_eq!(summary(&refused)["owner"], "GUID-2");
    // Killed, it is waited for as long as its lease lasts, and no longer.
    first.kill();
    let mut arrivals = Arrivals::default();
    arrivals.take(&first.finish().events());
    refused_with(&two.run(), &["sh1 (GUID-1)"]);
    kvstore.end_leases();
    arrivals.take(&two.run().well().events());
    assert!(arrivals.hold_all(&objects) <= PAGE);
}

#[test]
fn two_runs_that_begin_at_once_never_read_both() {
    let first = recent(FEED, 25);
    let tenant = tenant(&first);
    let kvstore = KvStore::new();
    let (one, two) = (member(1, &tenant, &kvstore), member(2, &tenant, &kvstore));
    let mut all = first;
    let mut arrivals = Arrivals::default();
    for turn in 0..6 {
        let runs = [one.start(Reading::Steady), two.start(Reading::Steady)];
        let runs = runs.map(|running| running.finish());
        let well = runs.iter().filter(|run| run.code() == Some(0)).count();
        assert!(well >= 1, "{}{}", runs[0].stderr, runs[1].stderr);
        for run in runs {
            arrivals.take(&run.events());
        }
        let more = newer(1000 * (turn + 1), 3);
        tenant.add(FEED, more.clone());
        all.extend(more);
    }
    arrivals.take(&one.run().well().events());
    arrivals.are_exactly(&all);
}

#[test]
fn sigterm_ends_a_run_whose_kv_store_does_not_answer_without_a_word_too_many() {
    let objects = recent(FEED, 2 * PAGE);
    for before in [0, 1, 3, 4] {
        let tenant = tenant(&objects);
        let kvstore = KvStore::new();
        let one = member(1, &tenant, &kvstore);
        let mut fates = vec![Fate::Served; before];
        fates.push(Fate::Stalled { carried_out: false });
        kvstore.befalls_writes(fates);
        let mut running = one.start(Reading::Steady);
        assert!(running.wait_until(|| kvstore.stalled() > 0));
        running.terminate();
        assert!(running.ends_within(SOON).is_some(), "write {before}");
        let stopped = running.finish();
        assert!(!stopped.stderr.contains("panic"), "{}", stopped.stderr);
        let mut arrivals = Arrivals::default();
        arrivals.take(&stopped.events());
        arrivals.take(&one.run().well().events());
        assert!(arrivals.hold_all(&objects) <= PAGE, "write {before}");
    }
}

#[test]
fn an_idle_poll_costs_the_kv_store_a_handful_of_calls() {
    let tenant = tenant(&recent(FEED, 25));
    let kvstore = KvStore::new();
    let one = member(1, &tenant, &kvstore);
    for _ in 0..2 {
        one.run().well();
    }
    let before = kvstore.called().len();
    assert_eq!(one.run().well().events(), []);
    let called = kvstore.called().split_off(before);
    // What is there, the next number, the text, the end; three more where the walk has learnt something.
    assert!([4, 7].contains(&called.len()), "{called:?}");
}

#[test]
fn a_claim_from_a_clock_far_ahead_blocks_nobody() {
    let objects = recent(FEED, 5);
    let tenant = tenant(&objects);
    let kvstore = KvStore::new();
    member(1, &tenant, &kvstore).run().well();
    kvstore.change(|documents| {
        for document in documents.values_mut() {
            if document["epoch"] == 1 && document["kind"] == "run" {
                document["ended"] = json!(false);
                document["until"] = json!("2999-01-01T00:00:00Z");
            }
        }
    });
    let run = member(2, &tenant, &kvstore).run().well();
    assert_eq!(run.events(), []);
    assert!(run.stderr.contains("clocks"), "{}", run.stderr);
}

#[test]
fn a_run_that_was_overtaken_stops_and_names_the_other() {
    let objects = recent(FEED, 6 * PAGE);
    let tenant = tenant(&objects);
    let kvstore = KvStore::new();
    let (one, two) = (member(1, &tenant, &kvstore), member(2, &tenant, &kvstore));
    let mut first = one.start(Reading::Stalled);
    // As soon as it has claimed, another one takes over, its lease having ended.
    assert!(
        first.wait_until(|| kvstore.called().iter().any(|call| call.status == 201)
            && kvstore.documents().len() >= 2)
    );
    kvstore.end_leases();
    let mut arrivals = Arrivals::default();
    arrivals.take(&two.run().well().events());
    let overtaken = first.finish();
    assert_eq!(overtaken.code(), Some(1), "{}", overtaken.stderr);
    let errors = overtaken.lines("ERROR");
    assert!(
        errors.len() == 1 && errors[0].contains("sh2 (GUID-2)"),
        "{}",
        overtaken.stderr
    );
    arrivals.take(&overtaken.events());
    assert!(arrivals.hold_all(&objects) <= 2 * PAGE);
    // What it wrote does not count.
    assert_eq!(two.run().well().events(), []);
    assert_eq!(one.run().well().events(), []);
}

#[test]
fn a_checkpoint_that_is_gone_is_no_first_run() {
    let tenant = tenant(&recent(FEED, 25));
    let kvstore = KvStore::new();
    let (one, two) = (member(1, &tenant, &kvstore), member(2, &tenant, &kvstore));
    one.run().well();
    two.run().well();
    let whole = kvstore.documents();
    let without = |kinds: &[&str]| {
        let mut documents = whole.clone();
        documents.retain(|_, document| !kinds.iter().any(|kind| document["kind"] == *kind));
        documents
    };
    for kinds in [&["run", "head"][..], &["head"], &["run"]] {
        kvstore.restore(without(kinds));
        for member in [&one, &two] {
            let run = member.run();
            match kinds {
                // The position itself is there.
                ["run"] => assert_eq!(run.well().events(), []),
                ["head"] => refused_with(&run, &["not there", "not taken for empty"]),
                _ => refused_with(&run, &["any more", "feed.kvstore", "backup"]),
            }
        }
    }
    // A server that never ran the input cannot know of more than the runs it finds.
    kvstore.restore(without(&["head"]));
    refused_with(
        &member(3, &tenant, &kvstore).run(),
        &["not there", "not taken for empty"],
    );
    kvstore.restore(whole);
    assert_eq!(one.run().well().events(), []);
}

#[test]
fn a_damaged_or_foreign_checkpoint_is_refused() {
    let tenant = tenant(&recent(FEED, 25));
    let kvstore = KvStore::new();
    let one = member(1, &tenant, &kvstore);
    one.run().well();
    let whole = kvstore.documents();
    let damage = |kind: &str, field: &str, value: Value| {
        let mut documents = whole.clone();
        for document in documents.values_mut() {
            if document["kind"] == kind {
                document[field] = value.clone();
            }
        }
        documents
    };
    for (documents, words) in [
        (damage("head", "data", json!("AAAA")), "unpacked"),
        (damage("head", "data", json!("not Base64!")), "encoded"),
        (damage("head", "data", json!(7)), "none of this app's"),
        (damage("head", "hash", json!("0")), "not the one"),
        (damage("head", "bytes", json!(3)), "not the one"),
        (damage("head", "bytes", json!(1u64 << 50)), "more than"),
        (damage("head", "parts", json!(1)), "part 0"),
        (damage("head", "parts", json!(100_000)), "more than"),
        (damage("head", "epoch", json!(77)), "none of this app's"),
        (damage("head", "epoch", json!("x")), "none of this app's"),
        (damage("run", "kind", json!("lookup")), "none of this app's"),
        (damage("run", "until", json!("soon")), "none of this app's"),
        (damage("run", "layout", json!(2)), "layout 2"),
    ] {
        kvstore.restore(documents);
        refused_with(&one.run(), &[words]);
    }
    kvstore.restore(whole);
    assert_eq!(one.run().well().events(), []);
}

#[test]
fn an_older_state_out_of_a_backup_costs_doubles_and_a_warning() {
    let objects = recent(FEED, 25);
    let tenant = tenant(&objects);
    let kvstore = KvStore::new();
    let one = member(1, &tenant, &kvstore);
    let mut arrivals = Arrivals::of(&one.run().well());
    let backup = kvstore.documents();
    let more = newer(7000, 4);
    tenant.add(FEED, more.clone());
    for _ in 0..2 {
        arrivals.take(&one.run().well().events());
    }
    kvstore.restore(backup);
    let run = one.run().well();
    assert!(run.stderr.contains("older state"), "{}", run.stderr);
    arrivals.take(&run.events());
    let all: Vec<Object> = objects.into_iter().chain(more).collect();
    assert_eq!(arrivals.hold_all(&all), 4);
    let run = one.run().well();
    assert!(!run.stderr.contains("older state"), "{}", run.stderr);
}

#[test]
fn a_server_without_the_collection_or_a_kv_store_reads_nothing_and_says_so() {
    let tenant = tenant(&recent(FEED, 5));
    let kvstore = KvStore::new();
    kvstore.drop_collection();
    let one = member(1, &tenant, &kvstore);
    refused_with(
        &one.run(),
        &["defender_bridge_checkpoint", "checkpoint = local"],
    );
    let refused = one.validate();
    assert!(
        refused.refusal().contains("checkpoint: "),
        "{}",
        refused.stderr
    );
    let kvstore = KvStore::new();
    let off = "Unsupported Operation - KVStore disabled on instance";
    // A call that only reads is repeated three times.
    kvstore.befalls([Fate::Refused(500, off); 8]);
    let one = member(1, &tenant, &kvstore);
    refused_with(&one.run(), &[off]);
    let refused = one.validate();
    assert!(refused.refusal().contains(off), "{}", refused.stderr);
    assert_eq!(one.validate().code(), Some(0));
}

#[test]
fn a_kv_store_that_is_starting_is_waited_for() {
    let objects = recent(FEED, 5);
    let tenant = tenant(&objects);
    let kvstore = KvStore::new();
    let starting = Fate::Refused(503, "KV Store is initializing. Please try again later.");
    kvstore.befalls([starting; 3]);
    Arrivals::of(&member(1, &tenant, &kvstore).run().well()).are_exactly(&objects);
}

#[test]
fn numbers_printed_as_fractions_are_numbers() {
    let objects = recent(FEED, 25);
    let tenant = tenant(&objects);
    let kvstore = KvStore::new();
    kvstore.print_floats();
    let (one, two) = (member(1, &tenant, &kvstore), member(2, &tenant, &kvstore));
    Arrivals::of(&one.run().well()).are_exactly(&objects);
    assert_eq!(two.run().well().events(), []);
}

#[test]
fn a_file_is_taken_over_once_and_goes_back_the_same_way() {
    let objects = recent(FEED, 25);
    let tenant = tenant(&objects);
    let kvstore = KvStore::new();
    let mut one = local(1, &tenant).with_kvstore(&kvstore);
    let mut arrivals = Arrivals::of(&one.run().well());
    assert_eq!(kvstore.called(), []);
    let set = |splunkd: Splunkd, checkpoint: &str| {
        let more = [("account", "contoso"), ("checkpoint", checkpoint)];
        splunkd.input("feed", FEED.input().into_iter().chain(more))
    };
    for (turn, checkpoint) in ["kvstore", "local", "kvstore", "local"].iter().enumerate() {
        one = set(one, checkpoint);
        let run = one.run().well();
        assert_eq!(run.events(), []);
        assert_eq!(
            run.stderr.matches("taken over from").count(),
            1,
            "{}",
            run.stderr
        );
        let more = newer(1000 * (turn as u64 + 1), 2);
        tenant.add(FEED, more.clone());
        let run = one.run().well();
        Arrivals::of(&run).are_exactly(&more);
        arrivals.take(&run.events());
        assert!(!run.stderr.contains("taken over"), "{}", run.stderr);
        // Another member has what is in the KV store, and nothing else.
        let kept = !kvstore.documents().is_empty();
        assert_eq!(kept, *checkpoint == "kvstore");
    }
}

#[test]
fn a_position_of_many_megabytes_goes_through_in_parts() {
    let objects = recent(FEED, 15);
    let tenant = tenant(&objects);
    let kvstore = KvStore::new();
    let one = local(1, &tenant);
    Arrivals::of(&one.run().well()).are_exactly(&objects);
    // Words that hardly become shorter by packing.
    let mut dice = Dice::new(11);
    let why: String = (0..3 << 20)
        .map(|_| char::from(b' ' + u8::try_from(dice.below(90)).unwrap()))
        .collect();
    let (path, text) = one
        .checkpoints()
        .into_iter()
        .find(|(path, _)| path.ends_with("feed.json"))
        .unwrap();
    let mut checkpoint: Value = serde_json::from_slice(&text).unwrap();
    checkpoint["gaps"] = json!([{
        "from": "2026-01-01T00:00:00Z", "to": "2026-01-01T00:00:01Z", "why": why,
        "found": "2026-01-01T00:00:00Z", "tries": 1, "next_try": "2999-01-01T00:00:00Z",
    }]);
    std::fs::write(path, checkpoint.to_string()).unwrap();
    let more = [("account", "contoso"), ("checkpoint", "kvstore")];
    let one = one
        .input("feed", FEED.input().into_iter().chain(more))
        .with_kvstore(&kvstore);
    let two = member(2, &tenant, &kvstore);
    for (turn, member) in [&one, &two, &one].into_iter().enumerate() {
        let more = newer(1000 * (turn as u64 + 1), 2);
        tenant.add(FEED, more.clone());
        let run = member.run().well();
        Arrivals::of(&run).are_exactly(&more);
        assert_eq!(summary(&run)["open_gaps"], 1);
        let documents = kvstore.documents();
        let parts = documents.values().filter(|one| one["kind"] == "part");
        assert!(parts.count() >= 2, "it lies in several documents");
        let largest = documents.values().map(|one| one.to_string().len()).max();
        assert!(largest < Some(2 << 20), "{largest:?}");
    }
    // One part is gone, or another's.
    let whole = kvstore.documents();
    let (last, _) = whole
        .iter()
        .rfind(|(_, one)| one["kind"] == "part")
        .unwrap();
    kvstore.change(|documents| drop(documents.remove(last)));
    refused_with(&two.run(), &["part", "not there"]);
    kvstore.restore(whole.clone());
    kvstore.change(|documents| documents.get_mut(last).unwrap()["part"] = json!(0));
    refused_with(&two.run(), &["part", "not there"]);
    kvstore.restore(whole);
    assert_eq!(two.run().well().events(), []);
}

#[test]
fn a_copied_file_is_said_once_and_names_the_other_server() {
    let objects = recent(FEED, 25);
    let tenant = tenant(&objects);
    let (one, two) = (local(1, &tenant), local(2, &tenant));
    let summary_of = |run: Run| summary(&run.well());
    let first = summary_of(one.run());
    assert_eq!(
        (&first["owner"], &first["checkpoint"]),
        (&json!("GUID-1"), &json!("local"))
    );
    assert!(first["warning"].is_null() && summary_of(one.run())["warning"].is_null());
    for (path, content) in one.checkpoints() {
        std::fs::write(
            two.checkpoint_dir().join(path.file_name().unwrap()),
            content,
        )
        .unwrap();
    }
    let moved = two.run().well();
    assert_eq!(moved.events(), []);
    let warning = summary(&moved)["warning"].as_str().unwrap().to_owned();
    assert!(warning.contains("sh1 (GUID-1)"), "{warning}");
    assert_eq!(moved.lines("WARN").len(), 1, "{}", moved.stderr);
    let again = two.run().well();
    assert!(summary(&again)["warning"].is_null());
    assert_eq!(again.lines("WARN"), [""; 0]);
}

#[test]
fn a_file_from_before_there_were_owners_is_read_without_a_word() {
    let objects = recent(FEED, 25);
    let tenant = tenant(&objects);
    let one = local(1, &tenant);
    Arrivals::of(&one.run().well()).are_exactly(&objects);
    for (path, content) in one.checkpoints() {
        if let Ok(Value::Object(mut members)) = serde_json::from_slice(&content) {
            members.remove("written_by").unwrap();
            std::fs::write(path, Value::Object(members).to_string()).unwrap();
        }
    }
    let run = one.run().well();
    assert_eq!((run.events(), run.lines("WARN")), (vec![], vec![]));
}
