//! The tree of collections and systems as a list.

use crate::{Content, Envelope, Property};

/// One system or collection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node<'e> {
    pub(crate) content: &'e Content,
    /// Index of the collection around it.
    pub(crate) parent: Option<usize>,
}

impl<'e> Node<'e> {
    pub(crate) fn id(&self) -> &'e str {
        self.content.id()
    }

    pub(crate) fn is_system(&self) -> bool {
        matches!(self.content, Content::System(_))
    }

    pub(crate) fn properties(&self) -> impl Iterator<Item = &'e Property> {
        self.content
            .products()
            .iter()
            .flat_map(|product| &product.properties)
    }
}

/// All of them, each collection before its members.
pub(crate) fn nodes(envelope: &Envelope) -> Vec<Node<'_>> {
    let mut nodes = Vec::new();
    let mut pending: Vec<(&Content, Option<usize>)> = envelope
        .content
        .iter()
        .map(|content| (content, None))
        .collect();
    while let Some((content, parent)) = pending.pop() {
        let index = nodes.len();
        nodes.push(Node { content, parent });
        if let Content::Collection(collection) = content {
            let members = collection.members.iter().rev();
            pending.extend(members.map(|member| (member, Some(index))));
        }
    }
    nodes
}
