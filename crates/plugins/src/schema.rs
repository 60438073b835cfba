//! JSON schemas, from the types that read and write.

use serde_json::Value;

use crate::manifest::Manifest;
use crate::program::protocol::Line;

/// The schema of a user's `fixup.toml`.
#[must_use]
pub fn fixup_toml_schema() -> Value {
    schemars::schema_for!(Manifest).to_value()
}

/// The schema of each line of the protocol `refit/fixup/v1`.
#[must_use]
pub fn protocol_schema() -> Value {
    schemars::schema_for!(Line<'static>).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// `refit fixups schema toml > fixups/schema/fixup.toml.schema.json` and its kin write them anew.
    #[test]
    fn the_committed_schemas_are_current() {
        for (file, schema) in [
            ("fixup.toml.schema.json", fixup_toml_schema()),
            ("refit-fixup-v1.schema.json", protocol_schema()),
        ] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../../fixups/schema")
                .join(file);
            let committed = std::fs::read_to_string(&path).unwrap_or_default();
            let current = serde_json::to_string_pretty(&schema).unwrap() + "\n";
            assert!(committed == current, "{} is not current", path.display());
        }
    }
}
