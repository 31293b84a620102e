//! How long a document may be that everybody reads first.

use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// A document, its most bytes, and where its text goes instead.
const LIMITS: &[(&str, usize, &str)] = &[(
    "README.md",
    10_000,
    "move what only some readers need to their page in docs/ (README.md, Documents, says which page is whose)",
)];

pub fn problems(root: &Path) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for (document, most, remedy) in LIMITS {
        let path = root.join(document);
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        problems.extend(too_long(document, text.len(), *most, remedy));
    }
    Ok(problems)
}

fn too_long(document: &str, bytes: usize, most: usize, remedy: &str) -> Option<String> {
    (bytes > most).then(|| format!("{document} has {bytes} bytes, {most} are allowed: {remedy}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_that_is_too_long_is_found_with_where_its_text_goes() {
        assert_eq!(too_long("README.md", 10, 10, "move it"), None);
        assert_eq!(
            too_long("README.md", 11, 10, "move it").unwrap(),
            "README.md has 11 bytes, 10 are allowed: move it"
        );
    }
}
