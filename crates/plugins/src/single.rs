//! A script that came alone, without a folder and a `fixup.toml`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use refit_engine::{Info, Phase};
use refit_firstboot::FirstBoot;
use refit_rules::Rules;

use crate::fixup::{Kind, UserFixup};
use crate::problem::Problem;
use crate::script::{self, Script};

/// How long such a script may run.
const TIMEOUT: Duration = Duration::from_secs(900);

/// When a script is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// When the plan is made, in the guest's root.
    Now,
    /// When the guest boots next; after the script of this fixup, if one is named.
    FirstBoot {
        /// The other fixup's identifier.
        after: Option<String>,
    },
}

/// A fixup that runs `text`, which was read from `path`. A script that names no interpreter is one of `sh`, as for
/// execvp(3). One that cannot be used fails when it is asked, so that it costs only itself.
#[must_use]
pub fn single(id: &str, path: &Path, text: Result<Vec<u8>, String>, when: When) -> UserFixup {
    let kind = match text.and_then(|text| kind(id, text, when)) {
        Ok(kind) => kind,
        Err(problem) => Kind::Broken(vec![Problem::new(path, problem)]),
    };
    UserFixup {
        info: Info {
            id: id.to_owned(),
            summary: format!("Runs {}", path.display()),
            phase: Phase::User,
            parameters: BTreeMap::new(),
        },
        rules: Rules::default(),
        folder: path.parent().unwrap_or(Path::new("")).to_owned(),
        kind,
    }
}

fn kind(id: &str, text: Vec<u8>, when: When) -> Result<Kind, String> {
    let text = if text.starts_with(b"#!") {
        text
    } else {
        [b"#!/bin/sh\n", text.as_slice()].concat()
    };
    let interpreter = script::interpreter(&text, id)?;
    Ok(match when {
        When::Now => Kind::Script(Script {
            interpreter,
            text,
            timeout: TIMEOUT,
            may_decline: false,
        }),
        When::FirstBoot { after } => Kind::FirstBoot(FirstBoot {
            text,
            network: true,
            attempts: 1,
            timeout: TIMEOUT.as_secs(),
            after,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_without_an_interpreter_is_one_of_sh() {
        let of =
            |text: &[u8], when| single("s", Path::new("/d/s.sh"), Ok(text.to_vec()), when).kind;
        let Kind::Script(script) = of(b"echo\n", When::Now) else {
            panic!("no script");
        };
        assert_eq!(script.interpreter[0], "/bin/sh");
        assert_eq!(script.text, b"#!/bin/sh\necho\n");
        let after = Some("r".to_owned());
        let Kind::FirstBoot(boot) = of(b"#!/bin/bash\ntrue\n", When::FirstBoot { after }) else {
            panic!("no script for the first boot");
        };
        assert_eq!(boot.after.as_deref(), Some("r"));
        assert!(matches!(
            of(b"#!/bin/sh\r\n", When::Now),
            Kind::Broken(problems) if problems.len() == 1
        ));
    }
}
