//! Whether conditions hold for a guest.

use refit_engine::Os;

use crate::draft::Draft;
use crate::glob::{NamePattern, PathPattern, content};
use crate::lines::{any_line, line_regex};
use crate::list::List;
use crate::params::Values;
use crate::registry;
use crate::version::Comparisons;
use crate::when::{Contains, When};

/// Why the conditions (already expanded) do not hold; `None` if they do.
pub(crate) fn obstacle(
    when: &When,
    draft: &Draft<'_>,
    values: &Values,
) -> anyhow::Result<Option<String>> {
    if let Some(reason) = about_facts(when, draft)? {
        return Ok(Some(reason));
    }
    for (name, wanted) in &when.param {
        let one = std::slice::from_ref(wanted);
        let wanted = wanted.as_array().map_or(one, Vec::as_slice);
        let value = values.get(name)?;
        if !value.is_some_and(|value| wanted.contains(value)) {
            let value = value.map_or("not given".to_owned(), ToString::to_string);
            return Ok(Some(format!("parameter `{name}` is {value}")));
        }
    }
    about_contents(when, draft, values)
}

fn about_facts(when: &When, draft: &Draft<'_>) -> anyhow::Result<Option<String>> {
    let facts = draft.guest().facts();
    let os = facts.os.map(|os| match os {
        Os::Linux => "linux",
        Os::Windows => "windows",
    });
    for (what, found, wanted) in [
        ("operating system", os, &when.os),
        ("architecture", facts.arch.as_deref(), &when.arch),
        ("init", facts.init.as_deref(), &when.init),
        (
            "package format",
            facts.package_format.as_deref(),
            &when.package_format,
        ),
    ] {
        if !wanted.is_empty() && !found.is_some_and(|found| has(wanted, found)) {
            return Ok(Some(is_not(what, found, wanted)));
        }
    }
    let mut distros = facts.distro.iter().chain(&facts.distro_like);
    if !when.distro.is_empty() && !distros.any(|distro| has(&when.distro, distro)) {
        let found = facts.distro.as_deref();
        return Ok(Some(is_not("distribution", found, &when.distro)));
    }
    if let Some(wanted) = &when.version {
        let found = facts.version.as_deref();
        let comparisons = Comparisons::parse(wanted)?;
        if !found.is_some_and(|found| comparisons.hold(found)) {
            let found = found.unwrap_or("not known");
            return Ok(Some(format!("the version is {found}, not {wanted}")));
        }
    }
    Ok(None)
}

fn about_contents(
    when: &When,
    draft: &Draft<'_>,
    values: &Values,
) -> anyhow::Result<Option<String>> {
    if !when.package.is_empty() {
        let patterns = NamePattern::list(&when.package)?;
        let mut installed = draft.packages().into_iter().flat_map(|all| all.iter());
        if !installed.any(|package| NamePattern::any(&patterns, &package.name)) {
            let names = when.package.join(", ");
            return Ok(Some(format!(
                "none of these packages is installed: {names}"
            )));
        }
    }
    if !when.exists.is_empty() {
        let mut found = false;
        for pattern in &when.exists {
            found = found || !PathPattern::new(pattern)?.find(draft.guest())?.is_empty();
        }
        if !found {
            return Ok(Some(format!("there is no {}", when.exists.join(", "))));
        }
    }
    if !when.contains.is_empty() {
        let mut found = false;
        for one in &when.contains {
            found = found || contains(one, draft)?;
        }
        if !found {
            let files: Vec<&str> = when.contains.iter().map(|one| one.file.as_str()).collect();
            let files = files.join(", ");
            return Ok(Some(format!("the line is not in {files}")));
        }
    }
    if !when.registry.is_empty() {
        let mut found = false;
        for one in &when.registry {
            found = found || registry::holds(one, draft.guest())?;
        }
        if !found {
            let keys: Vec<String> = when
                .registry
                .iter()
                .map(|one| format!("{}: {}", one.hive, one.key))
                .collect();
            return Ok(Some(format!("it is not in {}", keys.join(", "))));
        }
    }
    if !when.any.is_empty() {
        let mut obstacles = Vec::new();
        for one in &when.any {
            match obstacle(one, draft, values)? {
                Some(reason) => obstacles.push(reason),
                None => break,
            }
        }
        if obstacles.len() == when.any.len() {
            return Ok(Some(obstacles.join(", and ")));
        }
    }
    if let Some(not) = &when.not
        && obstacle(not, draft, values)?.is_none()
    {
        return Ok(Some("a condition under `not` holds".to_owned()));
    }
    Ok(None)
}

fn contains(wanted: &Contains, draft: &Draft<'_>) -> anyhow::Result<bool> {
    let regex = wanted.matching.as_deref().map(line_regex).transpose()?;
    for file in PathPattern::new(&wanted.file)?.find(draft.guest())? {
        let Some(content) = content(draft.guest(), &file)? else {
            continue;
        };
        let found = any_line(&content, |line| match (&regex, &wanted.line) {
            (Some(regex), _) => regex.is_match(line),
            (None, Some(text)) => line.trim_ascii() == text.trim().as_bytes(),
            (None, None) => false,
        });
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

fn has(wanted: &List<String>, found: &str) -> bool {
    wanted.iter().any(|one| one == found)
}

fn is_not(what: &str, found: Option<&str>, wanted: &List<String>) -> String {
    let found = found.unwrap_or("not known");
    format!("the {what} is {found}, not {}", wanted.join(" or "))
}
