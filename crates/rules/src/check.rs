//! What can be said of rules without a guest.

use anyhow::{Context as _, bail, ensure};
use refit_engine::{GuestPath, Info, Parameter, ParameterType};

use crate::expand::Expand as _;
use crate::glob::{NamePattern, PathPattern};
use crate::lines::line_regex;
use crate::list::List;
use crate::params::Values;
use crate::rule::{Line, Rule};
use crate::version::Comparisons;
use crate::when::When;

/// Checks what `info` says: the identifier, the types of defaults.
pub(crate) fn info(info: &Info) -> anyhow::Result<()> {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    ensure!(
        !info.id.is_empty() && info.id.chars().all(word),
        "id: `{}` is to be of lower-case letters, digits and `-`",
        info.id
    );
    ensure!(!info.summary.trim().is_empty(), "summary: it is empty");
    for (name, parameter) in &info.parameters {
        ensure!(
            !name.is_empty() && name.chars().all(|c| word(c) || c == '_'),
            "parameters: the name `{name}` is to be of lower-case letters, digits, `-` and `_`"
        );
        if let Some(default) = &parameter.default {
            fits(parameter, default).with_context(|| format!("parameters.{name}.default"))?;
        }
    }
    Ok(())
}

fn fits(parameter: &Parameter, value: &toml::Value) -> anyhow::Result<()> {
    let fits = match parameter.r#type {
        ParameterType::Bool => value.is_bool(),
        ParameterType::Integer => value.is_integer(),
        ParameterType::String => value.is_str(),
    };
    ensure!(
        fits,
        "{value} is no {}",
        match parameter.r#type {
            ParameterType::Bool => "truth value",
            ParameterType::Integer => "whole number",
            ParameterType::String => "text",
        }
    );
    Ok(())
}

impl Rule {
    /// Checks what can be said without a guest: patterns, paths, parameters, and that the rule does
    /// something.
    ///
    /// # Errors
    /// Which key is wrong, and why.
    pub fn check(&self, info: &Info) -> anyhow::Result<()> {
        rule(self, info)
    }
}

impl When {
    /// Checks what can be said without a guest: patterns, versions, parameters.
    ///
    /// # Errors
    /// Which key is wrong, and why.
    pub fn check(&self, info: &Info) -> anyhow::Result<()> {
        when(self, info)
    }
}

/// Checks one rule: patterns, paths, parameters, and that it does something.
pub(crate) fn rule(rule: &Rule, info: &Info) -> anyhow::Result<()> {
    let rule = rule.expand(&Values::examples(info))?;
    when(&rule.when, info).context("when")?;
    let before = Rule {
        why: rule.why.clone(),
        when: rule.when.clone(),
        owned: rule.owned,
        module_text: rule.module_text.clone(),
        ..Rule::default()
    };
    ensure!(
        rule != before,
        "it does nothing: give it an action, such as `remove`"
    );
    for (key, names) in [
        ("remove-packages", &rule.remove_packages),
        ("disable-services", &rule.disable_services),
        ("mask-services", &rule.mask_services),
    ] {
        NamePattern::list(names).context(key)?;
    }
    for (key, names) in [
        ("enable-services", &rule.enable_services),
        ("remove-modules", &rule.remove_modules),
    ] {
        for name in names {
            ensure!(
                !name.is_empty() && !name.contains(['/', '*', '?', '[']),
                "{key}: `{name}` is to be an exact name"
            );
        }
    }
    for (key, patterns) in [
        ("remove", &rule.remove),
        ("remove-if-empty", &rule.remove_if_empty),
    ] {
        for pattern in patterns {
            PathPattern::new(pattern).context(key)?;
        }
    }
    for link in &rule.link {
        file(&link.path).context("link.path")?;
        ensure!(!link.target.is_empty(), "link.target: it is empty");
    }
    for write in &rule.write {
        file(&write.path).context("write.path")?;
        if let Some(bits) = &write.mode {
            mode(bits).context("write.mode")?;
        }
    }
    for edit in &rule.line {
        line(edit).context("line")?;
    }
    for setting in &rule.setting {
        file(&setting.file).context("setting.file")?;
        ensure!(
            !setting.key.trim().is_empty() && !setting.key.contains(['=', '\n']),
            "setting.key: `{}` is no key",
            setting.key
        );
        ensure!(
            !setting.value.contains('\n'),
            "setting.value: it has more than one line"
        );
    }
    for edit in &rule.registry {
        edit.check().context("registry")?;
    }
    Ok(())
}

/// Checks conditions.
pub(crate) fn when(when: &When, info: &Info) -> anyhow::Result<()> {
    let when = when.expand(&Values::examples(info))?;
    word("os", &when.os, &["linux", "windows"])?;
    word(
        "init",
        &when.init,
        &["systemd", "sysvinit", "upstart", "openrc"],
    )?;
    word(
        "package-format",
        &when.package_format,
        &["dpkg", "rpm", "apk", "pacman"],
    )?;
    if let Some(version) = &when.version {
        Comparisons::parse(version).context("version")?;
    }
    NamePattern::list(&when.package).context("package")?;
    for pattern in &when.exists {
        PathPattern::new(pattern).context("exists")?;
    }
    for contains in &when.contains {
        PathPattern::new(&contains.file).context("contains.file")?;
        match (&contains.line, &contains.matching) {
            (Some(_), None) => {}
            (None, Some(pattern)) => {
                line_regex(pattern).context("contains.matching")?;
            }
            _ => bail!("contains: give either `line` or `matching`"),
        }
    }
    for test in &when.registry {
        crate::registry::check_key(&test.key).context("registry.key")?;
        ensure!(
            test.name.is_some() || test.matching.is_none(),
            "registry: `matching` needs the `name` of a value"
        );
    }
    for (name, wanted) in &when.param {
        Values::examples(info).get(name).context("param")?;
        let one = std::slice::from_ref(wanted);
        for value in wanted.as_array().map_or(one, Vec::as_slice) {
            fits(&info.parameters[name], value).with_context(|| format!("param.{name}"))?;
        }
    }
    for any in &when.any {
        self::when(any, info).context("any")?;
    }
    if let Some(not) = &when.not {
        self::when(not, info).context("not")?;
    }
    Ok(())
}

fn word(key: &str, given: &List<String>, known: &[&str]) -> anyhow::Result<()> {
    for one in given {
        ensure!(
            known.contains(&one.as_str()),
            "{key}: `{one}` is none of {}",
            known.join(", ")
        );
    }
    Ok(())
}

/// The path of one file.
pub(crate) fn file(path: &str) -> anyhow::Result<GuestPath> {
    ensure!(path.starts_with('/'), "`{path}` is no absolute path");
    ensure!(
        !path.ends_with('/') && !path.split('/').any(|part| part == ".."),
        "`{path}` is no path of a file"
    );
    Ok(GuestPath::new(path))
}

/// Permission bits in octal.
pub(crate) fn mode(bits: &str) -> anyhow::Result<u32> {
    u32::from_str_radix(bits, 8)
        .ok()
        .filter(|bits| *bits <= 0o7777)
        .with_context(|| format!("`{bits}` is no octal number up to 7777"))
}

fn line(edit: &Line) -> anyhow::Result<()> {
    if edit.add.is_some() {
        file(&edit.file).context("file")?;
    } else {
        PathPattern::new(&edit.file).context("file")?;
    }
    match (&edit.add, &edit.remove, &edit.remove_matching) {
        (Some(_), None, None) | (None, Some(_), None) => {}
        (_, None, Some(pattern)) => {
            let regex = line_regex(pattern).context("remove-matching")?;
            if let Some(add) = &edit.add {
                ensure!(
                    regex.is_match(add.as_bytes()),
                    "`remove-matching` must match `add` too, or a second run would change the \
                     file again"
                );
            }
        }
        _ => bail!("give `add`, `remove` or `remove-matching`, or `add` with `remove-matching`"),
    }
    for text in [&edit.add, &edit.remove].into_iter().flatten() {
        ensure!(!text.contains('\n'), "`{text}` is more than one line");
    }
    Ok(())
}
