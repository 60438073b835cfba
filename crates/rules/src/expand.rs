//! Rules with the values of parameters in them.

use anyhow::Context as _;

use crate::list::List;
use crate::params::{Syntax, Values};
use crate::registry::{Items, Registry, Set, ValueTest};
use crate::rule::{Line, Link, Rule, Setting, Write};
use crate::when::{Contains, RegistryTest, When};

/// What has strings with parameters.
pub(crate) trait Expand: Sized {
    /// The same with values for parameters.
    ///
    /// # Errors
    /// If there is no such parameter, or it has no value. The message begins with the key.
    fn expand(&self, values: &Values) -> anyhow::Result<Self>;
}

fn text(values: &Values, key: &str, text: &str, syntax: Syntax) -> anyhow::Result<String> {
    values.expand(text, syntax).with_context(|| key.to_owned())
}

fn optional(
    values: &Values,
    key: &str,
    given: Option<&String>,
    syntax: Syntax,
) -> anyhow::Result<Option<String>> {
    given
        .map(|given| text(values, key, given, syntax))
        .transpose()
}

fn list(
    values: &Values,
    key: &str,
    given: &List<String>,
    syntax: Syntax,
) -> anyhow::Result<List<String>> {
    let expanded = given.iter().map(|one| text(values, key, one, syntax));
    expanded.collect::<anyhow::Result<_>>().map(List)
}

fn all<T: Expand>(values: &Values, key: &str, given: &List<T>) -> anyhow::Result<List<T>> {
    let expanded = given
        .iter()
        .map(|one| one.expand(values).with_context(|| key.to_owned()));
    expanded.collect::<anyhow::Result<_>>().map(List)
}

impl Expand for Rule {
    fn expand(&self, values: &Values) -> anyhow::Result<Self> {
        use Syntax::{Glob, Plain};
        let list = |key, given, syntax| list(values, key, given, syntax);
        Ok(Self {
            why: optional(values, "why", self.why.as_ref(), Plain)?,
            when: self.when.expand(values).context("when")?,
            remove_packages: list("remove-packages", &self.remove_packages, Glob)?,
            disable_services: list("disable-services", &self.disable_services, Glob)?,
            mask_services: list("mask-services", &self.mask_services, Glob)?,
            enable_services: list("enable-services", &self.enable_services, Plain)?,
            remove_modules: list("remove-modules", &self.remove_modules, Plain)?,
            module_text: optional(values, "module-text", self.module_text.as_ref(), Plain)?,
            remove: list("remove", &self.remove, Glob)?,
            remove_if_empty: list("remove-if-empty", &self.remove_if_empty, Glob)?,
            owned: self.owned,
            link: all(values, "link", &self.link)?,
            write: all(values, "write", &self.write)?,
            line: all(values, "line", &self.line)?,
            setting: all(values, "setting", &self.setting)?,
            registry: all(values, "registry", &self.registry)?,
        })
    }
}

impl Expand for When {
    fn expand(&self, values: &Values) -> anyhow::Result<Self> {
        use Syntax::{Glob, Plain};
        let list = |key, given, syntax| list(values, key, given, syntax);
        let any = self.any.iter().map(|one| one.expand(values).context("any"));
        let not = self.not.as_ref();
        let not = not.map(|one| one.expand(values).context("not").map(Box::new));
        Ok(Self {
            os: list("os", &self.os, Plain)?,
            distro: list("distro", &self.distro, Plain)?,
            version: optional(values, "version", self.version.as_ref(), Plain)?,
            arch: list("arch", &self.arch, Plain)?,
            init: list("init", &self.init, Plain)?,
            package_format: list("package-format", &self.package_format, Plain)?,
            package: list("package", &self.package, Glob)?,
            exists: list("exists", &self.exists, Glob)?,
            contains: all(values, "contains", &self.contains)?,
            registry: all(values, "registry", &self.registry)?,
            param: self.param.clone(),
            any: any.collect::<anyhow::Result<_>>()?,
            not: not.transpose()?,
        })
    }
}

impl Expand for Contains {
    fn expand(&self, values: &Values) -> anyhow::Result<Self> {
        let (line, matching) = (self.line.as_ref(), self.matching.as_ref());
        Ok(Self {
            file: text(values, "file", &self.file, Syntax::Glob)?,
            line: optional(values, "line", line, Syntax::Plain)?,
            matching: optional(values, "matching", matching, Syntax::Regex)?,
        })
    }
}

impl Expand for Link {
    fn expand(&self, values: &Values) -> anyhow::Result<Self> {
        Ok(Self {
            path: text(values, "path", &self.path, Syntax::Plain)?,
            target: text(values, "target", &self.target, Syntax::Plain)?,
        })
    }
}

impl Expand for Write {
    fn expand(&self, values: &Values) -> anyhow::Result<Self> {
        Ok(Self {
            path: text(values, "path", &self.path, Syntax::Plain)?,
            content: text(values, "content", &self.content, Syntax::Plain)?,
            mode: optional(values, "mode", self.mode.as_ref(), Syntax::Plain)?,
        })
    }
}

impl Expand for Line {
    fn expand(&self, values: &Values) -> anyhow::Result<Self> {
        let optional =
            |key, given: &Option<String>, syntax| optional(values, key, given.as_ref(), syntax);
        // A file to which a line is added is one file, not a pattern.
        let file = if self.add.is_some() {
            Syntax::Plain
        } else {
            Syntax::Glob
        };
        Ok(Self {
            file: text(values, "file", &self.file, file)?,
            add: optional("add", &self.add, Syntax::Plain)?,
            remove: optional("remove", &self.remove, Syntax::Plain)?,
            remove_matching: optional("remove-matching", &self.remove_matching, Syntax::Regex)?,
        })
    }
}

impl Expand for Setting {
    fn expand(&self, values: &Values) -> anyhow::Result<Self> {
        Ok(Self {
            file: text(values, "file", &self.file, Syntax::Plain)?,
            section: optional(values, "section", self.section.as_ref(), Syntax::Plain)?,
            key: text(values, "key", &self.key, Syntax::Plain)?,
            value: text(values, "value", &self.value, Syntax::Plain)?,
        })
    }
}

impl Expand for Registry {
    fn expand(&self, values: &Values) -> anyhow::Result<Self> {
        let plain = Syntax::Plain;
        let test = |test: &ValueTest| -> anyhow::Result<ValueTest> {
            Ok(ValueTest {
                name: text(values, "if-value.name", &test.name, plain)?,
                matching: optional(values, "if-value.matching", test.matching.as_ref(), plain)?,
            })
        };
        let items = |items: &Items| -> anyhow::Result<Items> {
            Ok(Items {
                name: text(values, "remove-items.name", &items.name, plain)?,
                items: list(values, "remove-items.items", &items.items, plain)?,
            })
        };
        let set = |set: &Set| -> anyhow::Result<Set> {
            let texts = set.list.as_ref();
            Ok(Set {
                name: text(values, "set.name", &set.name, plain)?,
                text: optional(values, "set.text", set.text.as_ref(), plain)?,
                expand: optional(values, "set.expand", set.expand.as_ref(), plain)?,
                list: texts
                    .map(|texts| list(values, "set.list", texts, plain))
                    .transpose()?,
                ..set.clone()
            })
        };
        Ok(Self {
            hive: self.hive,
            key: text(values, "key", &self.key, plain)?,
            if_value: self.if_value.as_ref().map(test).transpose()?,
            remove: self.remove,
            remove_if_empty: self.remove_if_empty,
            remove_values: list(values, "remove-values", &self.remove_values, plain)?,
            remove_items: self.remove_items.as_ref().map(items).transpose()?,
            set: self.set.as_ref().map(set).transpose()?,
        })
    }
}

impl Expand for RegistryTest {
    fn expand(&self, values: &Values) -> anyhow::Result<Self> {
        let (name, matching) = (self.name.as_ref(), self.matching.as_ref());
        Ok(Self {
            hive: self.hive,
            key: text(values, "key", &self.key, Syntax::Plain)?,
            name: optional(values, "name", name, Syntax::Plain)?,
            matching: optional(values, "matching", matching, Syntax::Plain)?,
        })
    }
}
