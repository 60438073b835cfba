//! `fixups/README.md` shows only what is true: its examples are those in `fixups/examples`, or pass
//! the schema. (Its tutorial is run by the top-level tests.)

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::protocol_schema;

fn fixups() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixups")
}

/// The fenced blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let start = format!("\n```{language}\n");
    text.split(&start)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default().to_owned())
        .collect()
}

fn files(dir: &Path) -> Vec<String> {
    fs::read_dir(dir)
        .unwrap()
        .flat_map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path)
            } else {
                vec![String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()]
            }
        })
        .collect()
}

#[test]
fn its_toml_is_in_the_examples() {
    let readme = fs::read_to_string(fixups().join("README.md")).unwrap();
    let examples = files(&fixups().join("examples"));
    let shown = blocks(&readme, "toml");
    assert!(shown.len() >= 6, "{shown:#?}");
    for block in shown {
        assert!(
            examples.iter().any(|example| example.contains(&block)),
            "no example has:\n{block}"
        );
    }
}

#[test]
fn its_conversation_follows_the_protocol() {
    let readme = fs::read_to_string(fixups().join("README.md")).unwrap();
    let validator = jsonschema::validator_for(&protocol_schema()).unwrap();
    let mut checked = 0;
    for line in readme.lines() {
        let said = line.strip_prefix("> {").or(line.strip_prefix("< {"));
        if let Some(said) = said {
            // The facts are cut short there.
            let said = format!("{{{said}").replace(",...}", "}");
            let value: Value = serde_json::from_str(&said).unwrap();
            assert!(validator.is_valid(&value), "{line}");
            checked += 1;
        }
    }
    assert_eq!(checked, 4);
}

#[test]
fn the_examples_pass_the_schema_of_fixup_toml() {
    let validator = jsonschema::validator_for(&crate::fixup_toml_schema()).unwrap();
    let mut checked = 0;
    for entry in fs::read_dir(fixups().join("examples")).unwrap() {
        let path = entry.unwrap().path().join("fixup.toml");
        let value: Value = toml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert!(validator.is_valid(&value), "{}", path.display());
        checked += 1;
    }
    assert_eq!(checked, 6);
    let two = serde_json::json!({"id": "a", "summary": "b", "script": {"run": "x"}, "program": {"run": "x"}});
    assert!(!validator.is_valid(&two));
}
