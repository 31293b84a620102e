//! The forms of the two alert actions, made from one text: alerts and incidents
//! are asked for alike, but for a few lines.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// `@subject@` is the subject's word; a line behind `@alert@` or `@incident@` belongs to that form alone.
const FORM: &str = include_str!("forms/update.html");
const SUBJECTS: [&str; 2] = ["alert", "incident"];

/// Writes both forms anew.
pub fn write(root: &Path) -> Result<()> {
    for subject in SUBJECTS {
        let path = path(root, subject);
        fs::write(&path, form(subject))
            .with_context(|| format!("cannot write {}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}

/// The forms that are not what would be written.
pub fn problems(root: &Path) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for subject in SUBJECTS {
        let path = path(root, subject);
        let found =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        problems.extend(problem(subject, &found));
    }
    Ok(problems)
}

fn problem(subject: &str, found: &str) -> Option<String> {
    (found != form(subject)).then(|| {
        format!(
            "{} was changed by hand: change xtask/src/forms/update.html, then run `cargo xtask forms`",
            name(subject)
        )
    })
}

fn name(subject: &str) -> String {
    format!("default/data/ui/alerts/defender_bridge_update_{subject}.html")
}

fn path(root: &Path, subject: &str) -> PathBuf {
    root.join(name(subject))
}

fn form(subject: &str) -> String {
    FORM.lines()
        .filter_map(|line| {
            let only = line.strip_prefix('@').and_then(|rest| rest.split_once('@'));
            match only {
                Some((whose, line)) => (whose == subject).then_some(line),
                None => Some(line),
            }
        })
        .map(|line| line.replace("@subject@", subject) + "\n")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_names_its_own_subject_and_leaves_no_mark_behind() {
        for (subject, other) in [("alert", "incident"), ("incident", "alert")] {
            let form = form(subject);
            assert!(form.contains(&format!(
                "action.defender_bridge_update_{subject}.param.status"
            )));
            assert!(!form.contains(&format!("defender_bridge_update_{other}")));
            for mark in SUBJECTS.iter().chain(&["subject"]) {
                assert!(!form.contains(&format!("@{mark}@")), "{subject}: {mark}");
            }
        }
    }

    #[test]
    fn tags_are_asked_of_incidents_alone() {
        assert!(!form("alert").contains("tags_add"));
        assert!(form("incident").contains("tags_add"));
    }

    #[test]
    fn a_form_changed_by_hand_is_found() {
        let right = form("alert");
        assert_eq!(problem("alert", &right), None);
        let found = problem("alert", &right.replace("Dry run", "Trial")).unwrap();
        assert!(
            found.contains("defender_bridge_update_alert.html"),
            "{found}"
        );
    }
}
