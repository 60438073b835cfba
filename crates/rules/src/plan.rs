//! Rules become changes.

use anyhow::Context as _;
use refit_engine::{Change, Evidence, Guest, GuestPath, Info, Proposal, Request, Verdict};

use crate::document::Rules;
use crate::draft::Draft;
use crate::expand::Expand as _;
use crate::glob::{PathPattern, entry};
use crate::params::Values;
use crate::removal::Kept;
use crate::rule::Rule;
use crate::{check, conditions, lines, modules, packages, registry, services};

/// As many paths are named in a message.
const NAMED: usize = 5;

/// What rules, or other parts of a fixup, have to say beside the changes in a [`Draft`].
#[derive(Debug, Default)]
pub struct Findings {
    /// Why there is something to do.
    pub reasons: Vec<String>,
    /// What is wrong and stays so, with what the user can do.
    pub problems: Vec<String>,
    /// What is left alone although it may matter.
    pub warnings: Vec<String>,
    /// What is concluded from.
    pub evidence: Vec<Evidence>,
    /// Units that are to be masked and cannot be.
    unmasked: Vec<GuestPath>,
}

impl Findings {
    /// The answer of the fixup that `info` describes.
    ///
    /// # Errors
    /// If the guest cannot be read.
    pub fn into_proposal(mut self, draft: Draft<'_>, info: &Info) -> anyhow::Result<Proposal> {
        let changes = draft.into_changes()?;
        self.reasons.dedup();
        let verdict = if !changes.is_empty() {
            self.warnings.append(&mut self.problems);
            if self.reasons.is_empty() {
                self.reasons.push(info.summary.clone());
            }
            Verdict::Change {
                reason: self.reasons.join("; "),
                changes,
            }
        } else if !self.problems.is_empty() {
            Verdict::Blocked {
                reason: self.problems.join("; "),
            }
        } else {
            Verdict::Fine {
                reason: "nothing is left to do".to_owned(),
            }
        };
        Ok(Proposal {
            verdict,
            evidence: self.evidence,
            warnings: self.warnings,
        })
    }
}

impl Rules {
    /// What the rules change in `guest`.
    ///
    /// # Errors
    /// If the guest cannot be read, a rule names a parameter without a value, or what it wants
    /// cannot be done.
    pub fn plan(
        &self,
        guest: &Guest<'_>,
        request: &Request,
        info: &Info,
    ) -> anyhow::Result<Proposal> {
        let values = Values::of(info, request);
        let mut draft = Draft::new(guest)?;
        if let Some(reason) = self.obstacle(&draft, &values)? {
            return Ok(Verdict::NotApplicable { reason }.into());
        }
        let mut findings = Findings::default();
        self.apply(&mut draft, &values, &mut findings)?;
        findings.into_proposal(draft, info)
    }

    /// Why the conditions of all rules do not hold; `None` if they do.
    ///
    /// # Errors
    /// If the guest cannot be read.
    pub fn obstacle(&self, draft: &Draft<'_>, values: &Values) -> anyhow::Result<Option<String>> {
        let when = self.when.expand(values).context("when")?;
        conditions::obstacle(&when, draft, values).context("when")
    }

    /// Applies the rules to `draft`, whatever the conditions of all of them: for a fixup that does
    /// more than rules can say.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub fn apply(
        &self,
        draft: &mut Draft<'_>,
        values: &Values,
        findings: &mut Findings,
    ) -> anyhow::Result<()> {
        for (number, rule) in (1..).zip(&self.rules) {
            let name = match &rule.why {
                Some(why) => format!("rule {number} ({why})"),
                None => format!("rule {number}"),
            };
            apply(rule, draft, values, findings).context(name)?;
        }
        // A later rule may have removed them.
        for path in std::mem::take(&mut findings.unmasked) {
            if draft.kind(&path)?.is_some() {
                findings.warnings.push(format!(
                    "{path} is a unit of this machine's own and cannot be masked; remove it if it \
                     is not wanted"
                ));
            }
        }
        Ok(())
    }

    /// Rules that only the value of a parameter keeps from removing installed packages: why they
    /// are there, and the packages.
    ///
    /// # Errors
    /// If the guest cannot be read.
    pub fn switched_off(
        &self,
        draft: &Draft<'_>,
        values: &Values,
    ) -> anyhow::Result<Vec<(&str, Vec<String>)>> {
        let mut found = Vec::new();
        for rule in &self.rules {
            let mut when = rule.when.expand(values)?;
            if conditions::obstacle(&when, draft, values)?.is_none() {
                continue;
            }
            when.param.clear();
            if conditions::obstacle(&when, draft, values)?.is_none() {
                let installed = packages::installed(draft, &rule.expand(values)?.remove_packages)?;
                if !installed.is_empty() {
                    found.push((rule.why.as_deref().unwrap_or_default(), installed));
                }
            }
        }
        Ok(found)
    }
}

fn apply(
    rule: &Rule,
    draft: &mut Draft<'_>,
    values: &Values,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let when = rule.when.expand(values).context("when")?;
    if conditions::obstacle(&when, draft, values)
        .context("when")?
        .is_some()
    {
        return Ok(());
    }
    let rule = rule.expand(values)?;
    let before = draft.revision();
    let mut found = Vec::new();
    let mut changed = false;

    let removed = packages::remove(draft, &rule.remove_packages).context("remove-packages")?;
    if !removed.names.is_empty() {
        found.push(format!("packages {}", removed.names.join(", ")));
        changed = true;
    }
    // What the package manager would have done beside is no fault: the rest is in its place.
    let notes = removed.notes.into_iter();
    findings
        .evidence
        .extend(notes.map(|note| Evidence::from([("note", note)])));

    let with_packages = draft.revision();
    let mut stopped = Vec::new();
    for name in &rule.disable_services {
        services::disable(draft, name).context("disable-services")?;
    }
    for name in &rule.mask_services {
        let masked = services::mask(draft, name).context("mask-services")?;
        stopped.extend(masked.units);
        findings.unmasked.extend(masked.own);
    }
    let harmless = !stopped.is_empty();
    if harmless && draft.revision() > with_packages {
        found.push(format!("services {}", stopped.join(", ")));
    }
    for (names, reason) in removed.blocked {
        let names = names.join(", ");
        if harmless {
            findings.warnings.push(format!(
                "{names}: not removed, only kept from starting: {reason}"
            ));
        } else {
            findings
                .problems
                .push(format!("{names}: not removed: {reason}"));
        }
    }
    for name in &rule.enable_services {
        let hindrance = services::enable(draft, name).context("enable-services")?;
        findings.warnings.extend(hindrance);
    }
    let text = rule.module_text.as_deref();
    let gone = modules::remove(draft, &rule.remove_modules, text).context("remove-modules")?;
    if !gone.names.is_empty() {
        let names: Vec<String> = gone.names.into_iter().collect();
        found.push(format!("modules {}", names.join(", ")));
    }
    findings.warnings.extend(gone.warnings);

    paths(&rule, draft, findings, &mut found)?;
    files(&rule, draft)?;
    let edited = edits(&rule, draft)?;
    if !edited.is_empty() {
        found.push(format!("lines of {}", shortened(&edited)));
    }

    let keys = registry::edit(&rule.registry, draft, findings).context("registry")?;
    if !keys.is_empty() {
        found.push(format!("registry {}", shortened(&keys)));
    }

    changed |= draft.revision() != before;
    if changed {
        findings.reasons.extend(rule.why.clone());
        if !found.is_empty() {
            findings.evidence.push(Evidence::from([
                ("found", found.join("; ")),
                ("rule", rule.why.unwrap_or_default()),
            ]));
        }
    }
    Ok(())
}

fn paths(
    rule: &Rule,
    draft: &mut Draft<'_>,
    findings: &mut Findings,
    found: &mut Vec<String>,
) -> anyhow::Result<()> {
    let mut gone = Vec::new();
    for pattern in &rule.remove {
        let paths = PathPattern::new(pattern)
            .and_then(|pattern| pattern.find(draft.guest()))
            .context("remove")?;
        for path in paths {
            let kept = draft.remove(&path, rule.owned).context("remove")?;
            if entry(draft.guest(), &path)?.is_none() {
                gone.push(path.to_string());
            }
            findings.warnings.extend(stays(&kept));
        }
    }
    for pattern in &rule.remove_if_empty {
        let paths = PathPattern::new(pattern)
            .and_then(|pattern| pattern.find(draft.guest()))
            .context("remove-if-empty")?;
        for path in paths {
            draft.remove_if_empty(&path).context("remove-if-empty")?;
        }
    }
    if !gone.is_empty() {
        found.push(shortened(&gone));
    }
    Ok(())
}

fn files(rule: &Rule, draft: &mut Draft<'_>) -> anyhow::Result<()> {
    for link in &rule.link {
        let path = check::file(&link.path).context("link")?;
        let target = link.target.as_bytes();
        if draft.guest().read_link(&path)?.as_deref() != Some(target) {
            draft
                .push(Change::Link {
                    path,
                    target: target.to_vec(),
                })
                .context("link")?;
        }
    }
    for write in &rule.write {
        let path = check::file(&write.path).context("write")?;
        let mode = write.mode.as_deref().map(check::mode).transpose()?;
        let content = write.content.as_bytes();
        let as_wanted = draft.content(&path)?.as_deref() == Some(content)
            && match (mode, draft.guest().stat(&path)?) {
                (Some(mode), Some(stat)) => stat.mode == mode,
                _ => true,
            };
        if !as_wanted {
            draft
                .push(Change::Write {
                    path,
                    content: content.to_vec(),
                    mode,
                })
                .context("write")?;
        }
    }
    Ok(())
}

/// The files that are edited.
fn edits(rule: &Rule, draft: &mut Draft<'_>) -> anyhow::Result<Vec<String>> {
    let mut edited = Vec::new();
    for line in &rule.line {
        edited.extend(lines::edit(draft, line).context("line")?);
    }
    for setting in &rule.setting {
        edited.extend(lines::set(draft, setting).context("setting")?);
    }
    let mut names: Vec<String> = edited.iter().map(GuestPath::to_string).collect();
    names.dedup();
    Ok(names)
}

/// What to say of paths that stay.
fn stays(kept: &Kept) -> Option<String> {
    let owned: Vec<String> = kept
        .owned
        .iter()
        .map(|(path, owner)| format!("{path} ({owner})"))
        .collect();
    (!owned.is_empty()).then(|| format!("left, as it belongs to a package: {}", shortened(&owned)))
}

fn shortened(all: &[String]) -> String {
    let mut text = all[..all.len().min(NAMED)].join(", ");
    if all.len() > NAMED {
        text.push_str(&format!(" and {} more", all.len() - NAMED));
    }
    text
}

#[cfg(test)]
mod tests;
