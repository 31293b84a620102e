//! Whatever the rows ask, however Defender takes it, and wherever a run is cut.

use super::outcomes;
use crate::triage::tests::tenant::{Call, Happened, Object, Temper, Tenant, row};
use crate::triage::{Entry, Failing, Outcome, Row, State, Subject, Summary};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

fn temper() -> impl Strategy<Value = Temper> {
    prop_oneof![
        6 => Just(Temper::Kind),
        2 => (0u32..6).prop_map(Temper::Slow),
        2 => (0u32..6).prop_map(Temper::Listed),
        1 => Just(Temper::Missing),
        1 => Just(Temper::ForbidsRead),
        1 => Just(Temper::ForbidsWrite),
        1 => Just(Temper::ThrottlesRead),
        1 => Just(Temper::ThrottlesWrite),
        1 => Just(Temper::RefusesWrite),
        1 => Just(Temper::BreaksOnWrite),
        1 => Just(Temper::CutsAnswer),
        1 => Just(Temper::LosesAnswer),
        1 => Just(Temper::LosesComment),
    ]
}

/// Rarely anything hangs, or little would ever be reached.
fn tempers() -> impl Strategy<Value = Vec<Temper>> {
    let hang = prop_oneof![
        18 => Just(None),
        1 => Just(Some(Temper::MuteOnRead)),
        1 => Just(Some(Temper::MuteOnWrite)),
    ];
    (prop::collection::vec(temper(), 12), hang).prop_map(|(mut tempers, hang)| {
        if let (Some(hang), Some(first)) = (hang, tempers.first_mut()) {
            *first = hang;
        }
        tempers
    })
}

prop_compose! {
    fn any_row()(
        ids in prop::collection::vec(0usize..14, 0..3),
        status in prop_oneof![Just(""), Just("new"), Just("In progress"), Just("resolved"), Just("closed")],
        verdict in prop_oneof![
            Just(("", "")), Just(("truePositive", "malware")), Just(("falsePositive", "malware")),
        ],
        comment in prop_oneof![Just(""), Just("seen"), Just("seen too")],
        account in prop_oneof![8 => Just(""), 1 => Just("fabrikam"), 1 => Just("nemo")],
        dry_run in prop_oneof![8 => Just(""), 1 => Just("1")],
        incident in prop::bool::weighted(0.2),
    ) -> Row {
        let prefix = if incident { "" } else { "da" };
        let ids: Vec<String> = ids.iter().map(|id| format!("{prefix}{id}")).collect();
        row(&[
            ("id", &ids.join("|")),
            ("defender_subject", if incident { "incident" } else { "" }),
            ("defender_status", status),
            ("defender_classification", verdict.0),
            ("defender_determination", verdict.1),
            ("defender_comment", comment),
            ("defender_account", account),
            ("defender_dry_run", dry_run),
        ])
    }
}

prop_compose! {
    /// Alerts of every temper, some of them resolved, and a few incidents.
    fn any_tenant()(
        tempers in tempers(),
        resolved in prop::collection::vec(any::<bool>(), 12),
    ) -> Rc<Tenant> {
        let tenant = Tenant::with(["0", "1", "2"].map(|id| (id, Temper::Kind)));
        for (n, (temper, resolved)) in tempers.iter().zip(&resolved).enumerate() {
            let status = resolved.then(|| "resolved".to_owned());
            tenant.put(&format!("da{n}"), *temper, State { status, ..State::default() });
        }
        tenant
    }
}

fn standing(tenant: &Tenant) -> BTreeMap<String, State> {
    let objects = tenant.objects.borrow();
    let state = |(id, object): (&String, &Object)| (id.clone(), object.state.clone());
    objects.iter().map(state).collect()
}

/// Those of which the entries say that something changed, or stands of a write
/// that failed.
fn changed_by(entries: &[Entry]) -> BTreeSet<String> {
    entries
        .iter()
        .filter(|e| e.account.as_deref() == Some("contoso"))
        .filter(|e| e.outcome == Outcome::Updated || (!e.dry_run && !e.changed.is_empty()))
        .filter_map(|e| e.target.clone())
        .collect()
}

fn changed_since(before: &BTreeMap<String, State>, tenant: &Tenant) -> BTreeSet<String> {
    let now = standing(tenant);
    let changed = now.into_iter().filter(|(id, state)| before[id] != *state);
    changed.map(|(id, _)| id).collect()
}

/// One outcome per row, one entry per row and target.
fn check_rows(rows: &[Row], summary: &Summary, entries: &[Entry]) -> Result<(), TestCaseError> {
    prop_assert_eq!(summary.rows.len(), rows.len());
    prop_assert_eq!(outcomes(entries).len(), entries.len());
    for (row, outcome) in summary.rows.iter().enumerate() {
        let worst = entries
            .iter()
            .filter(|e| e.row == row + 1)
            .map(|e| e.outcome)
            .max();
        prop_assert_eq!(Some(*outcome), worst);
    }
    Ok(())
}

/// Nothing was said twice by one batch.
fn check_comments(tenant: &Tenant) -> Result<(), TestCaseError> {
    for state in standing(tenant).values() {
        let said: BTreeSet<&String> = state.comments.iter().collect();
        prop_assert_eq!(said.len(), state.comments.len(), "{:?}", state.comments);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_row_ends_once_and_defender_holds_what_the_ledger_says(
        rows in prop::collection::vec(any_row(), 0..30),
        tenant in any_tenant(),
        status in prop_oneof![Just(""), Just("resolved")],
        closed in any::<bool>(),
    ) {
        let before = standing(&tenant);
        let mut call = Call::new(Subject::Alert, &tenant, &[("status", status)]);
        let fabrikam = Tenant::with([("da1", Temper::Kind)]);
        let opens = if closed { Err(Failing::Failed) } else { Ok(Rc::clone(&fabrikam)) };
        call.accounts.insert("fabrikam".to_owned(), opens);

        let (summary, entries) = call.run(&rows).unwrap();

        check_rows(&rows, &summary, &entries)?;
        prop_assert_eq!(changed_since(&before, &tenant), changed_by(&entries));
        prop_assert!(entries.iter().all(|e| !e.dry_run || e.outcome != Outcome::Updated));
        prop_assert!(entries.iter().all(|e| (e.outcome == Outcome::Updated) == e.verified.is_some()));
        // Incidents are written before alerts.
        let wrote: Vec<bool> = tenant.log.borrow().iter().filter_map(|happened| match happened {
            Happened::Wrote(ids) => Some(ids[0].starts_with("da")),
            _ => None,
        }).collect();
        prop_assert!(wrote.is_sorted());

        // The same batch again doubles nothing.
        tenant.show_all();
        let (_, again) = call.run(&rows).unwrap();
        prop_assert_eq!(again.len(), entries.len());
        check_comments(&tenant)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_run_killed_anywhere_is_finished_by_its_repetition(
        rows in prop::collection::vec(any_row(), 0..30),
        tenant in any_tenant(),
        turns in 0usize..600,
    ) {
        let before = standing(&tenant);
        let mut call = Call::new(Subject::Alert, &tenant, &[("status", "resolved")]);
        call.accounts.insert("fabrikam".to_owned(), Err(Failing::Failed));
        let (recorded, _) = call.run_for(&rows, turns);
        // What was written down before the kill is so.
        let changed = changed_since(&before, &tenant);
        prop_assert!(changed_by(&recorded).is_subset(&changed));

        tenant.show_all();
        let (summary, entries) = call.run(&rows).unwrap();
        check_rows(&rows, &summary, &entries)?;
        check_comments(&tenant)?;
        for entry in entries.iter().filter(|e| e.outcome.is_well() && !e.dry_run) {
            let state = tenant.state(entry.target.as_deref().unwrap());
            let asked = entry.requested.as_ref().unwrap();
            let stands = |wanted: Option<String>, stands: &Option<String>| wanted.is_none() || wanted == *stands;
            prop_assert!(stands(asked.status.map(|s| s.to_string()), &state.status));
            prop_assert!(stands(asked.determination.map(|d| d.to_string()), &state.determination));
            prop_assert_eq!(state.comments.len(), usize::from(asked.comment.is_some()));
        }
    }

    #[test]
    fn two_runs_at_once_account_together_for_all_that_changed(
        rows in prop::collection::vec(any_row(), 0..30),
        tenant in any_tenant(),
    ) {
        let before = standing(&tenant);
        let call = |status, batch: &str| {
            let mut call = Call::new(Subject::Alert, &tenant, &[("status", status)]);
            call.accounts.insert("fabrikam".to_owned(), Err(Failing::Failed));
            call.action.batch = batch.to_owned();
            call
        };
        let runs = call("resolved", "one").run_beside(&call("new", "two"), &rows);
        let mut changed = BTreeSet::new();
        for (summary, entries) in &runs {
            check_rows(&rows, summary, entries)?;
            changed.extend(changed_by(entries));
        }
        prop_assert_eq!(changed_since(&before, &tenant), changed);
        check_comments(&tenant)?;
    }
}
