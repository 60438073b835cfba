//! A plan and the golden one.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use refit_engine::Planned;
use similar::TextDiff;

use crate::Golden;

/// Compares `planned` with the file `golden`, or writes it.
///
/// # Errors
/// If they differ, with a diff; if there is no such file.
pub(crate) fn with_golden(planned: &Planned, golden: &Path, what: Golden) -> Result<()> {
    let found = serde_json::to_value(planned)?;
    let text = serde_json::to_string_pretty(&found)? + "\n";
    if what == Golden::Bless {
        return fs::write(golden, text).with_context(|| format!("writing {}", golden.display()));
    }
    let expected = match fs::read_to_string(golden) {
        Ok(expected) => expected,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
            "there is no {}. Planned was:\n{text}If that is right, --bless writes it",
            golden.display()
        ),
        Err(error) => {
            return Err(error).with_context(|| format!("reading {}", golden.display()));
        }
    };
    let value: serde_json::Value =
        serde_json::from_str(&expected).with_context(|| format!("reading {}", golden.display()))?;
    if value == found {
        return Ok(());
    }
    let expected = serde_json::to_string_pretty(&value)? + "\n";
    let diff = TextDiff::from_lines(&expected, &text)
        .unified_diff()
        .context_radius(3)
        .header("changes.json", "planned now")
        .to_string();
    bail!("the plan is not the one in changes.json:\n{diff}")
}

/// The verdict in the file `golden`; `None` if there is none yet.
///
/// # Errors
/// If the file cannot be read.
pub(crate) fn verdict(golden: &Path) -> Result<Option<String>> {
    let text = match fs::read_to_string(golden) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(error).with_context(|| format!("reading {}", golden.display()));
        }
    };
    let plan: serde_json::Value =
        serde_json::from_str(&text).with_context(|| format!("reading {}", golden.display()))?;
    Ok(plan["verdict"].as_str().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use refit_engine::VerdictKind;

    #[test]
    fn a_difference_is_shown_as_a_diff_and_blessing_settles_it() {
        let dir = tempfile::tempdir().unwrap();
        let golden = dir.path().join("changes.json");
        let mut planned: Planned = plan("first");
        let error = with_golden(&planned, &golden, Golden::Compare).unwrap_err();
        assert!(format!("{error}").contains("--bless"), "{error}");
        with_golden(&planned, &golden, Golden::Bless).unwrap();
        with_golden(&planned, &golden, Golden::Compare).unwrap();
        planned.reason = "second".to_owned();
        let error = with_golden(&planned, &golden, Golden::Compare).unwrap_err();
        let error = format!("{error}");
        assert!(
            error.contains("-  \"reason\": \"first\"")
                && error.contains("+  \"reason\": \"second\""),
            "{error}"
        );
    }

    fn plan(reason: &str) -> Planned {
        Planned {
            id: "x".to_owned(),
            verdict: VerdictKind::Fine,
            reason: reason.to_owned(),
            evidence: Vec::new(),
            warnings: Vec::new(),
            changes: Vec::new(),
            originals: std::collections::BTreeMap::new(),
            held: std::collections::BTreeMap::new(),
        }
    }
}
