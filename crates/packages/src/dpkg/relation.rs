//! Relations between packages: deb-control(5), `Depends` and `Provides`.

use std::cmp::Ordering;

use super::version;
use crate::package::{Package, Source};

/// `name[:arch] [(op version)]`
#[derive(Debug, PartialEq, Eq)]
struct Relation<'a> {
    name: &'a str,
    arch: Option<&'a str>,
    version: Option<(&'a str, &'a str)>,
}

impl<'a> Relation<'a> {
    fn parse(text: &'a str) -> Self {
        let (name, version) = match text.split_once('(') {
            Some((name, rest)) => {
                let rest = rest.trim_end().trim_end_matches(')').trim();
                let end = rest
                    .find(|c: char| !"<=>".contains(c))
                    .unwrap_or(rest.len());
                (name, Some((&rest[..end], rest[end..].trim())))
            }
            None => (text, None),
        };
        let name = name.trim();
        let (name, arch) = match name.split_once(':') {
            Some((name, arch)) => (name, Some(arch)),
            None => (name, None),
        };
        Self {
            name,
            arch,
            version,
        }
    }

    fn admits(&self, found: &str) -> bool {
        let Some((operator, wanted)) = self.version else {
            return true;
        };
        let order = version::compare(found, wanted);
        match operator {
            "<<" => order == Ordering::Less,
            // The single ones are old forms of `<=` and `>=`.
            "<=" | "<" => order != Ordering::Greater,
            "=" => order == Ordering::Equal,
            ">=" | ">" => order != Ordering::Less,
            ">>" => order == Ordering::Greater,
            _ => false,
        }
    }
}

/// Whether `candidate` satisfies `requirement` (alternatives with `|`) of `dependent`.
pub(crate) fn satisfies(candidate: &Package, requirement: &str, dependent: &Package) -> bool {
    requirement.split('|').map(Relation::parse).any(|wanted| {
        if !fits(candidate, wanted.arch, dependent) {
            return false;
        }
        if candidate.name == wanted.name && wanted.admits(&candidate.version) {
            return true;
        }
        candidate.provides.iter().any(|provided| {
            let provided = Relation::parse(provided);
            provided.name == wanted.name
                && match provided.version {
                    Some((_, version)) => wanted.admits(version),
                    None => wanted.version.is_none(),
                }
        })
    })
}

/// Whether the candidate's architecture serves the dependent.
fn fits(candidate: &Package, wanted: Option<&str>, dependent: &Package) -> bool {
    let multi_arch = match &candidate.source {
        Source::Dpkg(details) => details.multi_arch.as_deref(),
        _ => None,
    };
    let arch = candidate.arch.as_deref();
    match wanted {
        Some("any") => return multi_arch == Some("allowed") || same_arch(arch, dependent),
        Some("native") | None => {}
        Some(wanted) => return arch == Some(wanted),
    }
    multi_arch == Some("foreign") || same_arch(arch, dependent)
}

fn same_arch(arch: Option<&str>, dependent: &Package) -> bool {
    let all = |arch: Option<&str>| arch.is_none_or(|arch| arch == "all");
    all(arch) || all(dependent.arch.as_deref()) || arch == dependent.arch.as_deref()
}
