//! A small, bounded XML tree for hostile documents.
//!
//! No DTD, no entities but the five predefined ones, limits on depth, elements and attributes.
//! Names are compared by their local part: producers bind the same namespaces to all prefixes.

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

/// Elements inside one another. The formats read here need less than ten.
const MAX_DEPTH: usize = 64;
/// Elements in a document. A large vendor's OVF descriptor has some ten thousand.
const MAX_ELEMENTS: usize = 200_000;
/// Attributes of one element, namespace declarations included.
const MAX_ATTRIBUTES: usize = 256;

/// Why a text is not accepted as XML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum XmlError {
    /// Not well-formed.
    #[error("the XML is not well-formed at byte {position}: {reason}")]
    Malformed {
        /// Offset in bytes.
        position: u64,
        /// What is wrong.
        reason: String,
    },
    /// A document type declaration, by which entities could read files or grow without limit.
    #[error("the XML has a document type declaration (<!DOCTYPE>), which is refused; remove it")]
    Dtd,
    /// An entity that is not one of the five that XML predefines.
    #[error("the XML uses the entity &{0}; but only &lt; &gt; &amp; &apos; and &quot; are known")]
    Entity(String),
    /// More than any real document has.
    #[error("the XML has more {what} than the {limit} that are accepted")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
}

/// One element with its attributes, text and children.
#[derive(Debug, Default)]
pub(crate) struct Element {
    /// Name without prefix.
    pub(crate) name: String,
    /// Prefix, empty if none.
    prefix: String,
    /// Qualified attribute names and values, namespace declarations included.
    attributes: Vec<(String, String)>,
    /// Character data directly inside, in one piece.
    text: String,
    pub(crate) children: Vec<Element>,
}

impl Element {
    /// The first attribute of this local name, whatever its prefix.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, _)| local(key) == name && !key.starts_with("xmlns"))
            .map(|(_, value)| value.as_str())
    }

    /// The namespace that this element's own declarations bind its name to.
    pub(crate) fn namespace(&self) -> Option<&str> {
        let declaration = if self.prefix.is_empty() {
            "xmlns".to_owned()
        } else {
            format!("xmlns:{}", self.prefix)
        };
        self.attributes
            .iter()
            .find(|(key, _)| *key == declaration)
            .map(|(_, value)| value.as_str())
    }

    /// Text without surrounding white space; `None` if that leaves nothing.
    pub(crate) fn text(&self) -> Option<&str> {
        Some(self.text.trim()).filter(|text| !text.is_empty())
    }

    /// The children of this local name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first child of this local name.
    pub(crate) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The element at the end of a path of first children.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Element> {
        path.iter()
            .try_fold(self, |element, name| element.child(name))
    }

    /// All elements below this one, in document order, whatever their depth.
    pub(crate) fn descendants(&self) -> Vec<&Element> {
        let mut found = Vec::new();
        for child in &self.children {
            found.push(child);
            found.extend(child.descendants());
        }
        found
    }
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// Parses a whole document and returns its root element.
pub(crate) fn parse(text: &str, max_size: u64) -> Result<Element, XmlError> {
    if text.len() as u64 > max_size {
        return Err(XmlError::TooLarge {
            what: "bytes",
            limit: max_size,
        });
    }
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut stack: Vec<Element> = Vec::new();
    let mut root = None;
    let mut elements = 0;
    loop {
        let position = reader.buffer_position();
        let malformed = |reason: &str| XmlError::Malformed {
            position,
            reason: reason.to_owned(),
        };
        let event = reader.read_event().map_err(|error| XmlError::Malformed {
            position: reader.error_position(),
            reason: error.to_string(),
        })?;
        let closed = match event {
            Event::Start(start) => {
                stack.push(element(&start, position, &mut elements)?);
                if stack.len() > MAX_DEPTH {
                    return Err(XmlError::TooLarge {
                        what: "levels of elements",
                        limit: MAX_DEPTH as u64,
                    });
                }
                None
            }
            Event::Empty(start) => Some(element(&start, position, &mut elements)?),
            Event::End(_) => Some(
                stack
                    .pop()
                    .ok_or_else(|| malformed("an end tag that closes nothing"))?,
            ),
            Event::Text(data) => {
                append(&mut stack, &data.xml10_content(), position)?;
                None
            }
            Event::CData(data) => {
                append(&mut stack, &data.xml10_content(), position)?;
                None
            }
            Event::GeneralRef(reference) => {
                let character = reference
                    .resolve_char_ref()
                    .map_err(|error| malformed(&error.to_string()))?;
                if let Some(character) = character {
                    append(&mut stack, character.encode_utf8(&mut [0; 4]), position)?;
                } else {
                    let value = resolve_predefined_entity(&reference)
                        .ok_or_else(|| XmlError::Entity(reference.to_string()))?;
                    append(&mut stack, value, position)?;
                }
                None
            }
            Event::DocType(_) => return Err(XmlError::Dtd),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => None,
            Event::Eof => break,
        };
        if let Some(element) = closed {
            match stack.last_mut() {
                Some(parent) => parent.children.push(element),
                None if root.is_none() => root = Some(element),
                None => return Err(malformed("a second root element")),
            }
        }
    }
    let end = |reason: String| XmlError::Malformed {
        position: text.len() as u64,
        reason,
    };
    if let Some(open) = stack.last() {
        return Err(end(format!("it ends inside <{}>", open.name)));
    }
    root.ok_or_else(|| end("it has no element".to_owned()))
}

/// Adds character data to the innermost open element. Outside of the root only white space may be.
fn append(stack: &mut [Element], data: &str, position: u64) -> Result<(), XmlError> {
    match stack.last_mut() {
        Some(parent) => parent.text.push_str(data),
        None if data.trim().is_empty() => {}
        None => {
            return Err(XmlError::Malformed {
                position,
                reason: "text outside of the root element".to_owned(),
            });
        }
    }
    Ok(())
}

fn element(
    start: &BytesStart<'_>,
    position: u64,
    elements: &mut usize,
) -> Result<Element, XmlError> {
    *elements += 1;
    if *elements > MAX_ELEMENTS {
        return Err(XmlError::TooLarge {
            what: "elements",
            limit: MAX_ELEMENTS as u64,
        });
    }
    let malformed = |reason: String| XmlError::Malformed { position, reason };
    let name = start.name().0.to_owned();
    let mut attributes = Vec::new();
    // The reader's own check for duplicates takes quadratic time, so the limit comes first.
    for attribute in start.attributes().with_checks(false) {
        if attributes.len() == MAX_ATTRIBUTES {
            return Err(XmlError::TooLarge {
                what: "attributes of one element",
                limit: MAX_ATTRIBUTES as u64,
            });
        }
        let attribute = attribute.map_err(|error| malformed(error.to_string()))?;
        let key = attribute.key.0.to_owned();
        if attributes.iter().any(|(other, _)| *other == key) {
            return Err(malformed(format!("the attribute {key} is given twice")));
        }
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|error| malformed(error.to_string()))?;
        attributes.push((key, value.into_owned()));
    }
    let (prefix, local) = name.rsplit_once(':').unwrap_or(("", &name));
    Ok(Element {
        name: local.to_owned(),
        prefix: prefix.to_owned(),
        attributes,
        ..Element::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Element, XmlError> {
        parse(text, 1 << 20)
    }

    #[test]
    fn names_are_local_and_text_is_joined() {
        let root = read(
            "\u{feff}<?xml version='1.0'?><!-- c --><o:a xmlns:o='urn:x' o:k='1 &lt; 2'>\
             x &amp; &#x41;<![CDATA[<y>]]><b/><c:b c:k='v' k='w'/></o:a>\n",
        )
        .unwrap();
        assert_eq!(root.name, "a");
        assert_eq!(root.namespace(), Some("urn:x"));
        assert_eq!(root.attribute("k"), Some("1 < 2"));
        assert_eq!(root.text(), Some("x & A<y>"));
        assert_eq!(root.all("b").count(), 2);
        assert_eq!(root.child("b").unwrap().text(), None);
        assert_eq!(root.descendants().len(), 2);
    }

    #[test]
    fn what_is_dangerous_is_refused() {
        assert_eq!(
            read("<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>").unwrap_err(),
            XmlError::Dtd
        );
        assert_eq!(
            read("<a>&e;</a>").unwrap_err(),
            XmlError::Entity("e".to_owned())
        );
        assert!(matches!(
            read("<a b='&e;'/>").unwrap_err(),
            XmlError::Malformed { .. }
        ));
        let deep = "<a>".repeat(MAX_DEPTH + 1);
        let wide = format!("<a>{}</a>", "<b/>".repeat(MAX_ELEMENTS));
        let attributes: String = (0..=MAX_ATTRIBUTES).map(|n| format!(" a{n}=''")).collect();
        for (text, too_many) in [
            (deep, "levels of elements"),
            (wide, "elements"),
            (format!("<a{attributes}/>"), "attributes of one element"),
            (" ".repeat((1 << 20) + 1), "bytes"),
        ] {
            match read(&text) {
                Err(XmlError::TooLarge { what, .. }) => assert_eq!(what, too_many),
                other => panic!("{too_many}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for text in [
            "",
            " ",
            "x",
            "<a>",
            "</a>",
            "<a></b>",
            "<a/><b/>",
            "<a/>x",
            "<a k='1' k='2'/>",
            "<a k/>",
            "<a>&#0;</a>",
            "<a>&amp</a>",
        ] {
            assert!(
                matches!(read(text), Err(XmlError::Malformed { .. })),
                "{text:?}"
            );
        }
    }
}
