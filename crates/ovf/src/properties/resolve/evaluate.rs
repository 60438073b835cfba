//! Macros in values.

use super::super::macros::{Piece, pieces};
use super::super::rules::MAX_VALUE;
use super::Run;

/// Macros may lead to macros so many times: each takes a place on the stack.
const MAX_DEPTH: usize = 64;
/// Errors of one value that are told; a text may have a million macros.
const MAX_ERRORS: usize = 8;

impl Run<'_> {
    /// Evaluates the macros of one value. `path` are the properties on the way to it.
    pub(super) fn evaluate(&mut self, index: usize, key: &str, path: &mut Vec<(usize, String)>) {
        let Some(value) = self.values[index].get(key).filter(|value| value.open) else {
            return;
        };
        let (text, property) = (value.text.clone(), value.property);
        let mut result = String::new();
        let mut secret = value.secret;
        let errors = self.errors.len() + MAX_ERRORS;
        path.push((index, key.to_owned()));
        for piece in pieces(&text) {
            match piece {
                Piece::Text(text) => result.push_str(text),
                Piece::Key { whole, key } => match self.declared(index, key) {
                    Some(owner)
                        if path.len() > MAX_DEPTH || path.contains(&(owner, key.to_owned())) =>
                    {
                        let rule = format!("the macro {whole} leads back to itself, or nowhere");
                        self.fail(index, property, "macro.unresolved", rule);
                    }
                    Some(owner) => {
                        self.evaluate(owner, key, path);
                        if let Some(value) = self.values[owner].get(key) {
                            result.push_str(&value.text);
                            secret |= value.secret;
                        }
                    }
                    None if self.policy.literal_macros => result.push_str(whole),
                    None => {
                        let rule = format!(
                            "the macro {whole} names no property; keep it as text with --literal-macros"
                        );
                        self.fail(index, property, "macro.unresolved", rule);
                    }
                },
                Piece::Network {
                    whole,
                    role,
                    network,
                } => match self.addresses.setting(role, Some(network)) {
                    Some(setting) => result.push_str(&setting),
                    None if self.policy.literal_macros => result.push_str(whole),
                    None => {
                        let rule = format!(
                            "nothing is known for the macro {whole}; give the network's settings in \
                             [networks.{network:?}] of a file for --values"
                        );
                        self.fail(index, property, "macro.unresolved", rule);
                    }
                },
            }
            if result.len() > MAX_VALUE {
                let rule = format!("its macros make more than {MAX_VALUE} bytes");
                self.fail(index, property, "prop.too-long", rule);
                break;
            }
            if self.errors.len() >= errors {
                break;
            }
        }
        path.pop();
        if let Some(value) = self.values[index].get_mut(key) {
            value.text = result;
            value.secret = secret;
            value.rules.secret |= secret;
            value.open = false;
        }
    }

    /// The node whose property a macro means: its own, else of a collection around it.
    pub(super) fn declared(&self, index: usize, key: &str) -> Option<usize> {
        let mut at = Some(index);
        while let Some(index) = at {
            if self.values[index].contains_key(key) {
                return at;
            }
            at = self.nodes[index].parent;
        }
        None
    }
}
