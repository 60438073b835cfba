//! YAML with the place of every node, so that a file can be changed at one place and stay as it is
//! elsewhere. The readers of netplan and cloud-init take values by serde; this is for what edits
//! their files.

use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};

/// Deepest nesting, as in the readers' budget.
const DEPTH_LIMIT: usize = 32;
/// Most nodes of one file.
const NODE_LIMIT: usize = 200_000;

/// One node of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub content: Content,
    /// Where it is in the text, with quotes or brackets. A block collection begins with its
    /// first node (of a sequence perhaps behind the dash) and ends with its last.
    pub bytes: Range<usize>,
    /// Its column, counted from zero.
    pub column: usize,
    /// Whether it is in brackets or braces, or a scalar on one line that needs no indentation.
    pub flow: bool,
    /// Whether other places may refer to it.
    pub anchored: bool,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Text, quotes and escapes removed; also numbers, Booleans, and nothing (`~`).
    Scalar(String),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in the order of the file.
    Mapping(Vec<(Node, Node)>),
    /// A reference to an anchored node.
    Alias,
}

impl Node {
    /// The text of a scalar.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// The entries of a mapping; none of anything else.
    #[must_use]
    pub fn entries(&self) -> &[(Node, Node)] {
        match &self.content {
            Content::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a sequence; none of anything else.
    #[must_use]
    pub fn items(&self) -> &[Node] {
        match &self.content {
            Content::Sequence(items) => items,
            _ => &[],
        }
    }

    /// The values of `key`; there should be one at most.
    pub fn values<'n>(&'n self, key: &str) -> impl Iterator<Item = &'n Node> {
        self.entries()
            .iter()
            .filter(move |(name, _)| name.text() == Some(key))
            .map(|(_, value)| value)
    }

    /// The first value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.values(key).next()
    }
}

/// A collection that is not complete.
struct Open {
    start: usize,
    column: usize,
    flow: bool,
    anchored: bool,
    mapping: bool,
    nodes: Vec<Node>,
}

/// The documents of a text.
///
/// # Errors
/// The line that is to blame, counted from one, if there is one. Nothing of the content is told: it
/// may hold pass phrases.
pub fn parse(text: &str) -> Result<Vec<Node>, Option<usize>> {
    let mut parser = Parser::new_from_str(text);
    let mut documents = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let mut count = 0;
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| Some(error.marker().line()))?;
        count += 1;
        let line = span.start.line();
        if count > NODE_LIMIT {
            return Err(Some(line));
        }
        let finished = match event {
            Event::Scalar(value, style, anchor, _) => {
                Some(scalar(value.into_owned(), style, anchor, span)?)
            }
            Event::Alias(_) => Some(Node {
                content: Content::Alias,
                bytes: bytes(span)?,
                column: span.start.col(),
                flow: true,
                anchored: false,
            }),
            Event::SequenceStart(style, anchor, _) => {
                open.push(Open::new(style, anchor, span, false)?);
                None
            }
            Event::MappingStart(style, anchor, _) => {
                open.push(Open::new(style, anchor, span, true)?);
                None
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let collection = open.pop().ok_or(Some(line))?;
                Some(collection.close(bytes(span)?.end, line)?)
            }
            _ => None,
        };
        if open.len() > DEPTH_LIMIT {
            return Err(Some(line));
        }
        if let Some(node) = finished {
            match open.last_mut() {
                Some(collection) => collection.nodes.push(node),
                None => documents.push(node),
            }
        }
    }
    Ok(documents)
}

fn bytes(span: Span) -> Result<Range<usize>, Option<usize>> {
    span.byte_range().ok_or(Some(span.start.line()))
}

fn scalar(
    value: String,
    style: ScalarStyle,
    anchor: usize,
    span: Span,
) -> Result<Node, Option<usize>> {
    let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
    Ok(Node {
        content: Content::Scalar(value),
        bytes: bytes(span)?,
        column: span.start.col(),
        flow: !block && span.start.line() == span.end.line(),
        anchored: anchor != 0,
    })
}

impl Open {
    fn new(
        style: StructureStyle,
        anchor: usize,
        span: Span,
        mapping: bool,
    ) -> Result<Self, Option<usize>> {
        Ok(Self {
            start: bytes(span)?.start,
            column: span.start.col(),
            flow: style == StructureStyle::Flow,
            anchored: anchor != 0,
            mapping,
            nodes: Vec::new(),
        })
    }

    fn close(self, end: usize, line: usize) -> Result<Node, Option<usize>> {
        let last = self.nodes.last().map_or(self.start, |node| node.bytes.end);
        let column = self.nodes.first().map_or(self.column, |node| {
            if self.mapping && !self.flow {
                node.column
            } else {
                self.column
            }
        });
        let content = if self.mapping {
            let mut entries = Vec::new();
            let mut nodes = self.nodes.into_iter();
            while let Some(key) = nodes.next() {
                entries.push((key, nodes.next().ok_or(Some(line))?));
            }
            Content::Mapping(entries)
        } else {
            Content::Sequence(self.nodes)
        };
        Ok(Node {
            content,
            bytes: self.start..if self.flow { end } else { last },
            column,
            flow: self.flow,
            anchored: self.anchored,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Node {
        let mut documents = parse(text).unwrap();
        assert_eq!(documents.len(), 1, "{text}");
        documents.remove(0)
    }

    #[test]
    fn nodes_are_where_they_are_written() {
        let text = "# ä\nnetwork:\n  ethernets:\n    \"eth0\": {match: {macaddress: 'AA:bb'}} # c\n    e1:\n      \
                    addresses:\n      - 192.0.2.1/24\n      -   b\n\n      dhcp4:\nlast: x\n";
        let root = one(text);
        let slice = |node: &Node| &text[node.bytes.clone()];
        let ethernets = root.get("network").unwrap().get("ethernets").unwrap();
        let first = ethernets.get("eth0").unwrap();
        assert!(first.flow);
        assert_eq!(slice(first), "{match: {macaddress: 'AA:bb'}}");
        let mac = first.get("match").unwrap().get("macaddress").unwrap();
        assert_eq!((slice(mac), mac.text()), ("'AA:bb'", Some("AA:bb")));
        let second = ethernets.get("e1").unwrap();
        assert_eq!((second.column, second.flow), (6, false));
        let addresses = second.get("addresses").unwrap();
        assert_eq!(slice(addresses), "192.0.2.1/24\n      -   b");
        assert_eq!(addresses.items().len(), 2);
        assert_eq!(second.get("dhcp4").unwrap().text(), Some("~"));
        assert_eq!(root.get("last").unwrap().text(), Some("x"));
        assert_eq!(root.get("absent"), None);
    }

    #[test]
    fn anchors_aliases_and_several_documents() {
        let root = one("a: &x {b: c}\nd: *x\n");
        assert!(root.get("a").unwrap().anchored);
        assert_eq!(root.get("d").unwrap().content, Content::Alias);
        assert_eq!(parse("a: b\n---\nc: d\n").unwrap().len(), 2);
        assert_eq!(parse("").unwrap(), []);
    }

    #[test]
    fn hostile_texts_are_refused() {
        for text in ["a: [", "a: *b", "\t- x: {", &"[".repeat(100)] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
