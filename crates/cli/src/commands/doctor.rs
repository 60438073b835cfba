//! `refit doctor`

use std::fmt::Write as _;

use refit_boot::kvm;
use refit_v2v::{Environment, Severity};
use serde::Serialize;

use crate::output::{Exit, Output};

#[derive(Serialize)]
struct Finding {
    name: String,
    found: Option<String>,
    needed_for: String,
    advice: Option<String>,
    required: bool,
}

pub fn run(output: &Output) -> anyhow::Result<Exit> {
    let mut findings: Vec<Finding> = refit_v2v::checks(&Environment::current())
        .into_iter()
        .map(|check| Finding {
            name: check.name.to_owned(),
            needed_for: check.needed_for.to_owned(),
            advice: check.found.is_none().then(|| check.advice.to_owned()),
            required: check.severity == Severity::Required,
            found: check.found,
        })
        .collect();
    let kvm = kvm::probe(kvm::PROBE_TIMEOUT);
    findings.push(Finding {
        name: "KVM".to_owned(),
        found: kvm.works().then(|| kvm.to_string()),
        needed_for:
            "speed: without it the appliance and `refit boot` are emulated, about ten times slower"
                .to_owned(),
        advice: (!kvm.works()).then(|| kvm.to_string()),
        required: false,
    });
    let missing = findings
        .iter()
        .any(|finding| finding.required && finding.found.is_none());
    output.print(
        &serde_json::json!({"schema": "refit/doctor/v1", "ok": !missing, "checks": findings}),
        || {
            let mut text = String::new();
            for finding in &findings {
                let mark = match (&finding.found, finding.required) {
                    (Some(_), _) => "ok",
                    (None, true) => "MISSING",
                    (None, false) => "absent",
                };
                let _ = writeln!(
                    text,
                    "{mark:>8}  {}: {}",
                    finding.name,
                    finding.found.as_deref().unwrap_or(&finding.needed_for)
                );
                if let Some(advice) = &finding.advice {
                    let _ = writeln!(text, "{:>8}  {advice}", "");
                }
            }
            text
        },
    )?;
    Ok(if missing { Exit::Failed } else { Exit::Done })
}
