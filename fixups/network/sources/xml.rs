//! XML as wicked writes it.
//!
//! Its files are no documents in the sense of the standard: they use prefixes that nothing declares
//! (`ipv4:dhcp`), and may have several elements at the top. Names are therefore kept as they are
//! written, prefix included. No document types and no entities but the five predefined ones.

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

/// Elements inside one another; wicked needs less than ten.
const MAX_DEPTH: usize = 32;
/// Elements in a file; real ones have some dozen.
const MAX_ELEMENTS: usize = 20_000;
/// Attributes of one element.
const MAX_ATTRIBUTES: usize = 32;

/// One element.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Its name, with prefix.
    pub name: String,
    /// The elements in it.
    pub children: Vec<Element>,
    attributes: Vec<(String, String)>,
    text: String,
}

/// Why a file is not used.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line number, counted from one.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

impl Element {
    /// Text without surrounding white space; `None` if that leaves nothing.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        Some(self.text.trim()).filter(|text| !text.is_empty())
    }

    /// The value of an attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        let found = attributes.find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The children of this name.
    pub fn all<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first child of this name.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first child of this name.
    #[must_use]
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name)?.text()
    }
}

/// The elements at the top of a file. Comments, declarations and text between them are left out.
///
/// # Errors
/// The first line that is not well-formed, refused, or beyond the limits.
pub fn parse(text: &str) -> Result<Vec<Element>, Problem> {
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut stack: Vec<Element> = Vec::new();
    let mut top = Vec::new();
    let mut elements = 0;
    loop {
        let position = reader.buffer_position();
        let problem = |reason: &str| Problem {
            line: line_at(text, position),
            reason: reason.to_owned(),
        };
        let event = reader.read_event().map_err(|error| Problem {
            line: line_at(text, reader.error_position()),
            reason: error.to_string(),
        })?;
        let closed = match event {
            Event::Start(start) => {
                stack.push(element(&start, &mut elements).map_err(|reason| problem(&reason))?);
                if stack.len() > MAX_DEPTH {
                    return Err(problem("elements too deep inside one another"));
                }
                None
            }
            Event::Empty(start) => {
                Some(element(&start, &mut elements).map_err(|reason| problem(&reason))?)
            }
            Event::End(_) => Some(
                stack
                    .pop()
                    .ok_or_else(|| problem("an end tag that closes nothing"))?,
            ),
            Event::Text(data) => {
                append(&mut stack, &data.xml10_content());
                None
            }
            Event::CData(data) => {
                append(&mut stack, &data.xml10_content());
                None
            }
            Event::GeneralRef(reference) => {
                let character = reference
                    .resolve_char_ref()
                    .map_err(|error| problem(&error.to_string()))?;
                if let Some(character) = character {
                    append(&mut stack, character.encode_utf8(&mut [0; 4]));
                } else {
                    let value = resolve_predefined_entity(&reference)
                        .ok_or_else(|| problem("an entity that XML does not predefine"))?;
                    append(&mut stack, value);
                }
                None
            }
            Event::DocType(_) => return Err(problem("a document type declaration")),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => None,
            Event::Eof => break,
        };
        if let Some(element) = closed {
            match stack.last_mut() {
                Some(parent) => parent.children.push(element),
                None => top.push(element),
            }
        }
    }
    match stack.last() {
        Some(open) => Err(Problem {
            line: line_at(text, text.len() as u64),
            reason: format!(
                "the file ends inside of {}",
                super::reading::quote(&open.name)
            ),
        }),
        None => Ok(top),
    }
}

fn line_at(text: &str, position: u64) -> usize {
    let position = usize::try_from(position).unwrap_or(usize::MAX);
    let before = text.bytes().take(position);
    before.filter(|byte| *byte == b'\n').count() + 1
}

fn append(stack: &mut [Element], data: &str) {
    if let Some(parent) = stack.last_mut() {
        parent.text.push_str(data);
    }
}

fn element(start: &BytesStart<'_>, elements: &mut usize) -> Result<Element, String> {
    *elements += 1;
    if *elements > MAX_ELEMENTS {
        return Err("too many elements".to_owned());
    }
    let mut attributes = Vec::new();
    // The reader's own check for duplicates takes quadratic time.
    for attribute in start.attributes().with_checks(false) {
        if attributes.len() == MAX_ATTRIBUTES {
            return Err("too many attributes".to_owned());
        }
        let attribute = attribute.map_err(|error| error.to_string())?;
        let value = attribute
            .normalized_value(quick_xml::XmlVersion::Implicit1_0)
            .map_err(|error| error.to_string())?;
        attributes.push((attribute.key.0.to_owned(), value.into_owned()));
    }
    Ok(Element {
        name: start.name().0.to_owned(),
        attributes,
        ..Element::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_need_no_declaration_and_several_elements_may_be_at_the_top() {
        let found = parse(
            "<?xml version=\"1.0\"?>\n<!-- c -->\n<a x='1&amp;2'><ipv4:dhcp> 5 &lt; \
             <![CDATA[<6>]]></ipv4:dhcp><b/></a>\n<c/>",
        )
        .unwrap();
        let names: Vec<_> = found.iter().map(|element| element.name.as_str()).collect();
        assert_eq!(names, ["a", "c"]);
        assert_eq!(found[0].attribute("x"), Some("1&2"));
        assert_eq!(found[0].text_of("ipv4:dhcp"), Some("5 < <6>"));
        assert_eq!(found[0].text_of("b"), None);
        assert_eq!(parse(""), Ok(Vec::new()));
    }

    #[test]
    fn what_is_refused() {
        for (text, line) in [
            ("<a>\n<b>\n</a>", 3),
            ("<a>\n\n", 3),
            ("</a>", 1),
            ("<a>\n&lol;</a>", 2),
            ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", 1),
            ("<a x=1/>", 1),
            ("<a", 1),
        ] {
            assert_eq!(parse(text).unwrap_err().line, line, "{text}");
        }
        assert!(parse(&"<a>".repeat(100_000)).is_err());
        assert!(parse(&"<a/>".repeat(100_000)).is_err());
        let many: String = (0..1000).map(|n| format!(" a{n}='x'")).collect();
        assert!(parse(&format!("<a{many}/>")).is_err());
    }
}
