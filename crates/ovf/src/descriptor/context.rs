//! What the readers of all elements share: attributes by namespace, and the list of problems.

use std::collections::HashSet;

use refit_machine::xml::Element;

use super::{Problem, Severity, Version};

/// Problems that are listed; a hostile descriptor could have one for each element.
const MAX_PROBLEMS: usize = 200;
const VMWARE: &str = "http://www.vmware.com/schema/ovf";

/// Which OVF a namespace stands for. oVirt ends it with a slash; Citrix has its own.
pub(super) fn version(namespace: &str) -> Option<Version> {
    match namespace.trim_end_matches('/') {
        "http://www.vmware.com/schema/ovf/1/envelope" => Some(Version::V0_9),
        "http://schemas.dmtf.org/ovf/envelope/1"
        | "http://schemas.dmtf.org/ovf/1/envelope"
        | "http://schemas.citrix.com/ovf/envelope/1" => Some(Version::V1),
        "http://schemas.dmtf.org/ovf/envelope/2" => Some(Version::V2),
        _ => None,
    }
}

/// Whether a name is the standard's own. What has no namespace is taken for it, too: producers forget.
pub(super) fn is_ovf(namespace: Option<&str>) -> bool {
    namespace.is_none_or(|namespace| version(namespace).is_some())
}

/// Whether a name is of VMware's extensions.
pub(super) fn is_vmware(namespace: Option<&str>) -> bool {
    namespace == Some(VMWARE)
}

/// An attribute of the standard.
pub(super) fn attribute<'e>(element: &'e Element, name: &str) -> Option<&'e str> {
    element.attribute_where(name, is_ovf)
}

/// An attribute that must not be empty to say something.
pub(super) fn filled<'e>(element: &'e Element, name: &str) -> Option<&'e str> {
    attribute(element, name)
        .map(str::trim)
        .filter(|value| !value.is_empty())
}

/// `true` and `1` as XML Schema writes a boolean, in any case.
pub(super) fn is_true(value: Option<&str>) -> bool {
    value.is_some_and(|value| {
        let value = value.trim();
        value.eq_ignore_ascii_case("true") || value == "1"
    })
}

/// `ovf:required`, which is true unless it says otherwise.
pub(super) fn is_required(element: &Element) -> bool {
    attribute(element, "required").is_none_or(|value| is_true(Some(value)))
}

/// Words between spaces or commas.
pub(super) fn words(text: &str) -> Vec<String> {
    text.split([',', ' ', '\t', '\n', '\r'])
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Text of a child of the standard, or in no namespace.
pub(super) fn text(element: &Element, name: &str) -> Option<String> {
    element
        .child(name)
        .and_then(Element::text)
        .map(str::to_owned)
}

/// The children of the standard with this name.
pub(super) fn children<'e>(
    element: &'e Element,
    name: &'e str,
) -> impl Iterator<Item = &'e Element> {
    element
        .all(name)
        .filter(|child| is_ovf(child.namespace.as_deref()))
}

/// Collects problems.
#[derive(Debug, Default)]
pub(super) struct Problems {
    found: Vec<Problem>,
}

impl Problems {
    pub(super) fn error(&mut self, code: &'static str, element: &Element, message: String) {
        self.add(Severity::Error, code, element, message);
    }

    pub(super) fn warn(&mut self, code: &'static str, element: &Element, message: String) {
        self.add(Severity::Warning, code, element, message);
    }

    fn add(&mut self, severity: Severity, code: &'static str, element: &Element, message: String) {
        self.push(Problem {
            severity,
            code,
            place: element.place,
            element: element.name.clone(),
            message,
        });
    }

    pub(super) fn push(&mut self, problem: Problem) {
        // Errors are never crowded out by warnings.
        if self.found.len() < MAX_PROBLEMS || problem.severity == Severity::Error {
            if self.found.len() >= 2 * MAX_PROBLEMS {
                return;
            }
            self.found.push(problem);
        }
    }

    /// Says that an identifier is taken.
    pub(super) fn unique(
        &mut self,
        seen: &mut HashSet<String>,
        id: &str,
        code: &'static str,
        element: &Element,
        what: &str,
    ) {
        if !seen.insert(id.to_owned()) {
            self.error(
                code,
                element,
                format!("{what} {id:?} is given twice; it must be unique"),
            );
        }
    }

    /// A whole number of an attribute; what is none is a warning.
    pub(super) fn number<T: std::str::FromStr>(
        &mut self,
        element: &Element,
        name: &str,
        code: &'static str,
    ) -> Option<T> {
        let text = filled(element, name)?;
        let number = text.parse().ok();
        if number.is_none() {
            self.warn(
                code,
                element,
                format!("{name} is {text:?} instead of a number"),
            );
        }
        number
    }

    /// In the descriptor's order.
    pub(super) fn sorted(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|problem| problem.place);
        self.found
    }
}
