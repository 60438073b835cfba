//! A small, bounded XML tree for hostile documents.
//!
//! No DTD, no entities but the five predefined ones, limits on depth, elements and attributes.
//! Names are local, because producers bind the same namespaces to all prefixes; each comes with its
//! namespace. Every element knows its place, for messages.

use std::fmt;
use std::sync::Arc;

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;
use serde::Serialize;

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
    #[error("the XML is not well-formed at {place}: {reason}")]
    Malformed {
        /// Where.
        place: Place,
        /// What is wrong.
        reason: String,
    },
    /// A document type declaration, by which entities could read files or grow without limit.
    #[error(
        "the XML has a document type declaration (<!DOCTYPE>) at {0}, which is refused; remove it"
    )]
    Dtd(Place),
    /// An entity that is not one of the five that XML predefines.
    #[error(
        "the XML uses the entity &{name}; at {place}, but only &lt; &gt; &amp; &apos; and &quot; are known"
    )]
    Entity {
        /// Its name.
        name: String,
        /// Where.
        place: Place,
    },
    /// More than any real document has.
    #[error("the XML has more {what} than the {limit} that are accepted")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
}

/// A place in a text, both numbers from 1. Columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// Line.
    pub line: u32,
    /// Column; that of an element is where its `<` is.
    pub column: u32,
}

impl Default for Place {
    /// The beginning.
    fn default() -> Self {
        Self { line: 1, column: 1 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// One attribute.
#[derive(Debug, Clone)]
pub struct Attribute {
    /// Name without prefix.
    pub name: String,
    /// Namespace that its prefix is bound to; none without a prefix, or if the prefix is bound to nothing.
    pub namespace: Option<Arc<str>>,
    /// Value, normalised.
    pub value: String,
}

/// One element with its attributes, text and children.
#[derive(Debug, Clone, Default)]
pub struct Element {
    /// Name without prefix.
    pub name: String,
    /// Namespace of the name, if it has one.
    pub namespace: Option<Arc<str>>,
    /// A prefix of the name or of an attribute that no declaration binds.
    pub unbound: Option<String>,
    /// Attributes without namespace declarations.
    pub attributes: Vec<Attribute>,
    /// Where it starts.
    pub place: Place,
    /// Character data directly inside, in one piece.
    text: String,
    /// Elements directly inside.
    pub children: Vec<Element>,
}

impl Element {
    /// An empty element of no namespace.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// The value of the first attribute of this local name, whatever its namespace.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attribute_where(name, |_| true)
    }

    /// The value of the first attribute of this local name whose namespace is accepted.
    #[must_use]
    pub fn attribute_where(
        &self,
        name: &str,
        accepts: impl Fn(Option<&str>) -> bool,
    ) -> Option<&str> {
        self.attributes
            .iter()
            .find(|one| one.name == name && accepts(one.namespace.as_deref()))
            .map(|one| one.value.as_str())
    }

    /// Text without surrounding white space; `None` if that leaves nothing.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        Some(self.text.trim()).filter(|text| !text.is_empty())
    }

    /// The children of this local name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first child of this local name.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The element at the end of a path of first children.
    #[must_use]
    pub fn at(&self, path: &[&str]) -> Option<&Element> {
        path.iter()
            .try_fold(self, |element, name| element.child(name))
    }

    /// Replaces the text.
    pub fn set_text(&mut self, text: &str) {
        text.clone_into(&mut self.text);
    }

    /// All elements below this one, in document order, whatever their depth.
    #[must_use]
    pub fn descendants(&self) -> Vec<&Element> {
        let mut found = Vec::new();
        for child in &self.children {
            found.push(child);
            found.extend(child.descendants());
        }
        found
    }
}

/// Parses a whole document of at most `max_size` bytes and returns its root element.
///
/// # Errors
///
/// [`XmlError`]: not well-formed, with a document type declaration or unknown entities, or beyond the limits.
/// A prefix that nothing binds is none; [`Element::unbound`] tells.
pub fn parse(text: &str, max_size: u64) -> Result<Element, XmlError> {
    if text.len() as u64 > max_size {
        return Err(XmlError::TooLarge {
            what: "bytes",
            limit: max_size,
        });
    }
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = Reader::from_str(text);
    let mut places = Places::new(text);
    let mut open = Open::default();
    let mut root = None;
    loop {
        let place = places.at(reader.buffer_position());
        let malformed = |reason: &str| XmlError::Malformed {
            place,
            reason: reason.to_owned(),
        };
        let event = reader
            .read_event()
            .map_err(|error| malformed(&error.to_string()))?;
        let closed = match event {
            Event::Start(start) => {
                open.push(&start, place)?;
                None
            }
            Event::Empty(start) => {
                open.push(&start, place)?;
                open.pop()
            }
            Event::End(_) => Some(
                open.pop()
                    .ok_or_else(|| malformed("an end tag that closes nothing"))?,
            ),
            Event::Text(data) => {
                open.append(&data.xml10_content(), place)?;
                None
            }
            Event::CData(data) => {
                open.append(&data.xml10_content(), place)?;
                None
            }
            Event::GeneralRef(reference) => {
                let character = reference
                    .resolve_char_ref()
                    .map_err(|error| malformed(&error.to_string()))?;
                if let Some(character) = character {
                    open.append(character.encode_utf8(&mut [0; 4]), place)?;
                } else {
                    let value =
                        resolve_predefined_entity(&reference).ok_or_else(|| XmlError::Entity {
                            name: reference.to_string(),
                            place,
                        })?;
                    open.append(value, place)?;
                }
                None
            }
            Event::DocType(_) => return Err(XmlError::Dtd(place)),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => None,
            Event::Eof => break,
        };
        if let Some(element) = closed {
            match open.elements.last_mut() {
                Some(parent) => parent.children.push(element),
                None if root.is_none() => root = Some(element),
                None => return Err(malformed("a second root element")),
            }
        }
    }
    let place = places.at(text.len() as u64);
    let end = |reason: String| XmlError::Malformed { place, reason };
    if let Some(element) = open.elements.last() {
        return Err(end(format!(
            "it ends inside <{}> of {}",
            element.name, element.place
        )));
    }
    root.ok_or_else(|| end("it has no element".to_owned()))
}

/// Turns offsets, which only grow, into lines and columns.
struct Places<'t> {
    text: &'t str,
    offset: usize,
    place: Place,
}

impl<'t> Places<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            offset: 0,
            place: Place::default(),
        }
    }

    fn at(&mut self, offset: u64) -> Place {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        for character in self
            .text
            .get(self.offset..offset)
            .unwrap_or_default()
            .chars()
        {
            if character == '\n' {
                self.place.line += 1;
                self.place.column = 1;
            } else {
                self.place.column += 1;
            }
        }
        self.offset = self.offset.max(offset);
        self.place
    }
}

/// The elements that are open, outermost first, and the prefixes that they bind.
#[derive(Default)]
struct Open {
    elements: Vec<Element>,
    /// How many elements there were so far.
    count: usize,
    /// Prefix (empty: the default), namespace, and at which depth it was bound.
    bindings: Vec<(String, Arc<str>, usize)>,
}

impl Open {
    fn push(&mut self, start: &BytesStart<'_>, place: Place) -> Result<(), XmlError> {
        let too_large = |what, limit: usize| XmlError::TooLarge {
            what,
            limit: limit as u64,
        };
        self.count += 1;
        if self.count > MAX_ELEMENTS {
            return Err(too_large("elements", MAX_ELEMENTS));
        }
        if self.elements.len() == MAX_DEPTH {
            return Err(too_large("levels of elements", MAX_DEPTH));
        }
        let malformed = |reason: String| XmlError::Malformed { place, reason };
        let mut written: Vec<(String, String)> = Vec::new();
        // The reader's own check for duplicates takes quadratic time, so the limit comes first.
        for attribute in start.attributes().with_checks(false) {
            if written.len() == MAX_ATTRIBUTES {
                return Err(too_large("attributes of one element", MAX_ATTRIBUTES));
            }
            let attribute = attribute.map_err(|error| malformed(error.to_string()))?;
            let key = attribute.key.0.to_owned();
            if written.iter().any(|(other, _)| *other == key) {
                return Err(malformed(format!("the attribute {key} is given twice")));
            }
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|error| malformed(error.to_string()))?;
            written.push((key, value.into_owned()));
        }
        let depth = self.elements.len();
        written.retain(|(key, value)| {
            let prefix = match key.split_once(':') {
                Some(("xmlns", prefix)) => prefix,
                None if key == "xmlns" => "",
                _ => return true,
            };
            self.bindings
                .push((prefix.to_owned(), value.as_str().into(), depth));
            false
        });
        let mut unbound = None;
        let mut namespace = |prefix: &str| {
            let bound = self.bindings.iter().rev().find(|one| one.0 == prefix);
            if bound.is_none() && !prefix.is_empty() && prefix != "xml" {
                unbound.get_or_insert_with(|| prefix.to_owned());
            }
            bound
                .map(|one| Arc::clone(&one.1))
                .filter(|namespace| !namespace.is_empty())
        };
        let (prefix, name) = split(start.name().0);
        let element = Element {
            name: name.to_owned(),
            namespace: namespace(prefix),
            attributes: written
                .into_iter()
                .map(|(key, value)| {
                    let (prefix, name) = split(&key);
                    Attribute {
                        name: name.to_owned(),
                        // An attribute without a prefix is in no namespace.
                        namespace: Some(prefix)
                            .filter(|prefix| !prefix.is_empty())
                            .and_then(&mut namespace),
                        value,
                    }
                })
                .collect(),
            place,
            ..Element::default()
        };
        self.elements.push(Element { unbound, ..element });
        Ok(())
    }

    fn pop(&mut self) -> Option<Element> {
        let element = self.elements.pop();
        let depth = self.elements.len();
        self.bindings.retain(|(_, _, bound)| *bound < depth);
        element
    }

    /// Adds character data to the innermost open element. Outside of the root only white space may be.
    fn append(&mut self, data: &str, place: Place) -> Result<(), XmlError> {
        match self.elements.last_mut() {
            Some(parent) => parent.text.push_str(data),
            None if data.trim().is_empty() => {}
            None => {
                return Err(XmlError::Malformed {
                    place,
                    reason: "text outside of the root element".to_owned(),
                });
            }
        }
        Ok(())
    }
}

/// Prefix (empty if none) and local part of a name.
fn split(name: &str) -> (&str, &str) {
    name.rsplit_once(':').unwrap_or(("", name))
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
        assert_eq!(root.namespace.as_deref(), Some("urn:x"));
        assert_eq!(root.child("b").unwrap().namespace, None);
        assert_eq!(root.children[1].unbound.as_deref(), Some("c"));
        assert_eq!(root.attribute("k"), Some("1 < 2"));
        assert_eq!(root.text(), Some("x & A<y>"));
        assert_eq!(root.all("b").count(), 2);
        assert_eq!(root.child("b").unwrap().text(), None);
        assert_eq!(root.descendants().len(), 2);
    }

    #[test]
    fn namespaces_end_with_their_element() {
        let root = read(
            "<a xmlns='urn:1' xmlns:p='urn:2'>\n<p:b q='1' p:q='2'><c xmlns:p='urn:3' p:q='3'/></p:b>\
             <c p:q='4'/><d xmlns=''/></a>",
        )
        .unwrap();
        let [b, c, d] = root.children.as_slice() else {
            panic!("{root:?}")
        };
        assert_eq!(b.namespace.as_deref(), Some("urn:2"));
        let of = |element: &Element, wanted: Option<&str>| {
            let value = element.attribute_where("q", |namespace| namespace == wanted);
            value.map(str::to_owned)
        };
        assert_eq!(of(b, None).as_deref(), Some("1"));
        assert_eq!(of(b, Some("urn:2")).as_deref(), Some("2"));
        assert_eq!(of(&b.children[0], Some("urn:3")).as_deref(), Some("3"));
        assert_eq!(of(c, Some("urn:2")).as_deref(), Some("4"));
        assert_eq!(
            (c.namespace.as_deref(), d.namespace.as_deref()),
            (Some("urn:1"), None)
        );
        assert_eq!(b.place, Place { line: 2, column: 1 });
    }

    #[test]
    fn what_is_dangerous_is_refused() {
        assert_eq!(
            read("<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>").unwrap_err(),
            XmlError::Dtd(Place::default())
        );
        assert_eq!(
            read("<a>\n é&e;</a>").unwrap_err(),
            XmlError::Entity {
                name: "e".to_owned(),
                place: Place { line: 2, column: 3 },
            }
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
