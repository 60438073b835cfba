//! Reads a descriptor.

use std::collections::HashSet;

use refit_machine::xml::{self, Element, XmlError};

use super::context::{
    Problems, attribute, children, filled, is_ovf, is_required, is_true, text, version,
};
use super::hardware_read::Known;
use super::strings::{self, LoadBundle};
use super::systems::{Common, Reader};
use super::{DeploymentConfiguration, Envelope, Version, references};

/// Largest descriptor that is read, in bytes. The largest known one has about 1 MB.
pub const MAX_SIZE: u64 = 16 << 20;

/// Why a text cannot be read as a descriptor at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DescriptorError {
    /// Not acceptable as XML.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// XML of something else.
    #[error("this is no OVF descriptor: its root element is <{0}> instead of <Envelope>")]
    NotOvf(String),
    /// Not a known version.
    #[error(
        "the OVF descriptor has the namespace {0:?}, which is no known version; OVF 0.9, 1.x and 2.x are read"
    )]
    Version(String),
}

impl Envelope {
    /// Reads a descriptor, its texts as they stand in it.
    ///
    /// # Errors
    ///
    /// [`DescriptorError`] if it cannot be read. What merely breaks rules is in [`Envelope::problems`].
    pub fn parse(descriptor: &str) -> Result<Self, DescriptorError> {
        Self::parse_localised(descriptor, None, &|_| None)
    }

    /// Reads a descriptor with its texts in a language (`de`, `zh_CN`) as far as it has them. `load` gives the
    /// content of a file by its `href`.
    ///
    /// # Errors
    ///
    /// As [`Envelope::parse`].
    pub fn parse_localised(
        descriptor: &str,
        locale: Option<&str>,
        load: LoadBundle<'_>,
    ) -> Result<Self, DescriptorError> {
        let mut root = xml::parse(descriptor, MAX_SIZE)?;
        if root.name != "Envelope" {
            return Err(DescriptorError::NotOvf(root.name));
        }
        let mut problems = Problems::default();
        let namespace = root.namespace.as_deref().unwrap_or_default();
        let version = match version(namespace) {
            Some(version) => version,
            None if namespace.is_empty() => {
                problems.warn(
                    "ovf.namespace",
                    &root,
                    "the Envelope has no namespace; it is read as OVF 1.x".to_owned(),
                );
                Version::V1
            }
            None => return Err(DescriptorError::Version(namespace.to_owned())),
        };
        typed_names(&mut root, 0);
        unbound(&root, &mut problems);
        nested_sections(&root, &mut problems);
        let locales = strings::localise(&mut root, locale, load, &mut problems);
        let mut envelope = Self {
            version,
            locales,
            ..Self::default()
        };
        envelope.read(&root, &mut problems);
        envelope.problems = problems.sorted();
        Ok(envelope)
    }

    fn read(&mut self, root: &Element, problems: &mut Problems) {
        let all = |name| children(root, name);
        if all("References").next().is_none() {
            problems.warn(
                "ref.section",
                root,
                "an Envelope must have References, even without files".to_owned(),
            );
        }
        for references in all("References") {
            self.files.extend(references::files(references, problems));
        }
        for section in all("DiskSection") {
            let disks = references::disks(section, &self.files, problems);
            self.disks.extend(disks);
        }
        for section in all("NetworkSection") {
            self.networks
                .extend(references::networks(section, problems));
        }
        for section in all("DeploymentOptionSection") {
            self.configurations
                .extend(configurations(section, problems));
        }
        let known = Known {
            configurations: self
                .configurations
                .iter()
                .map(|one| one.id.as_str())
                .collect(),
            networks: self.networks.iter().map(|one| one.name.as_str()).collect(),
            disks: self.disks.iter().map(|one| one.id.as_str()).collect(),
            files: self.files.iter().map(|one| one.id.as_str()).collect(),
        };
        let mut reader = Reader {
            known: &known,
            problems,
            ids: HashSet::new(),
        };
        let mut common = Common::default();
        let mut content = None;
        for child in &root.children {
            match child.name.as_str() {
                "References"
                | "DiskSection"
                | "NetworkSection"
                | "DeploymentOptionSection"
                | "Strings"
                | "Info"
                | "Name"
                    if is_ovf(child.namespace.as_deref()) => {}
                "VirtualSystem" | "VirtualSystemCollection" => {
                    if content.is_some() {
                        reader.problems.error(
                            "ovf.content",
                            child,
                            "an Envelope holds one VirtualSystem or VirtualSystemCollection; this is \
                             another, and left out"
                                .to_owned(),
                        );
                    } else {
                        content = Some(reader.content(child));
                    }
                }
                _ => common.read(child, reader.problems),
            }
        }
        if content.is_none() {
            reader.problems.error(
                "ovf.content",
                root,
                "an Envelope must hold a VirtualSystem or VirtualSystemCollection; this one describes no \
                 machine"
                    .to_owned(),
            );
        }
        self.content = content;
        self.eulas = common.eulas;
        self.annotation = common.annotation;
        self.unknown_sections = common.unknown;
    }
}

/// OVF 0.9 and oVirt name sections by a type: `<Section xsi:type="ovf:DiskSection_Type">`. From here on they are
/// named as the later versions do.
fn typed_names(element: &mut Element, depth: usize) {
    if matches!(element.name.as_str(), "Section" | "Content")
        && let Some(name) = element
            .attribute("type")
            .map(|kind| kind.rsplit(':').next().unwrap_or(kind))
            .and_then(|kind| kind.strip_suffix("_Type"))
    {
        element.name = name.to_owned();
    }
    // Sections are in the envelope, in systems, and in collections of any depth.
    let holds_sections = depth == 0
        || matches!(
            element.name.as_str(),
            "VirtualSystem" | "VirtualSystemCollection"
        );
    if holds_sections {
        for child in &mut element.children {
            typed_names(child, depth + 1);
        }
    }
}

/// One message for a document, at the first place: whoever forgets a declaration uses its prefix everywhere.
fn unbound(root: &Element, problems: &mut Problems) {
    let first = std::iter::once(root)
        .chain(root.descendants())
        .find_map(|element| Some((element, element.unbound.as_deref()?)));
    if let Some((element, prefix)) = first {
        problems.warn(
            "ovf.prefix",
            element,
            format!("the prefix {prefix:?} is not declared; names with it are taken without it"),
        );
    }
}

/// Sections inside sections are not known to anybody, so they must not be required.
fn nested_sections(root: &Element, problems: &mut Problems) {
    for element in std::iter::once(root).chain(root.descendants()) {
        if !element.name.ends_with("Section") {
            continue;
        }
        for child in &element.children {
            if child.name.ends_with("Section") && is_required(child) {
                problems.error(
                    "section.required",
                    child,
                    format!(
                        "the section <{}> inside <{}> is not known, and without required=\"false\" it must \
                         be understood",
                        child.name, element.name
                    ),
                );
            }
        }
    }
}

fn configurations(section: &Element, problems: &mut Problems) -> Vec<DeploymentConfiguration> {
    let mut seen = HashSet::new();
    let found: Vec<DeploymentConfiguration> = children(section, "Configuration")
        .map(|element| {
            let id = filled(element, "id").unwrap_or_default().to_owned();
            problems.unique(
                &mut seen,
                &id,
                "config.dup",
                element,
                "the Configuration id",
            );
            DeploymentConfiguration {
                id,
                label: text(element, "Label"),
                description: text(element, "Description"),
                default: is_true(attribute(element, "default")),
                place: element.place,
            }
        })
        .collect();
    if found.iter().filter(|one| one.default).count() > 1 {
        problems.warn(
            "config.default",
            section,
            "several Configurations are the default; the first of them counts".to_owned(),
        );
    }
    found
}
