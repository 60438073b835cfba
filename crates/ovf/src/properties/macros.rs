//! `${...}` in values: other properties (DSP0243 section 9.5.2), and vSphere's functions of networks.

use super::rules::Role;

/// A piece of a value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'t> {
    /// Stands for itself.
    Text(&'t str),
    /// `${KEY}`: the value of the property of this qualified key.
    Key {
        /// The macro with its braces.
        whole: &'t str,
        /// The key.
        key: &'t str,
    },
    /// `${netmask:NETWORK}`: a setting of a network, of the only one if the name is empty.
    Network {
        /// The macro with its braces.
        whole: &'t str,
        /// Which setting.
        role: Role,
        /// The network's name.
        network: &'t str,
    },
}

/// Takes a value apart. `${` without an end, and what can be no key (`${HOME:-/root}` of a script), is
/// text.
pub(crate) fn pieces(value: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut text_from, mut at) = (0, 0);
    while let Some(start) = value[at..].find("${").map(|found| at + found) {
        let Some(end) = value[start..].find('}').map(|found| start + found + 1) else {
            break;
        };
        let whole = &value[start..end];
        let Some(piece) = understood(whole) else {
            at = start + 2;
            continue;
        };
        if text_from < start {
            pieces.push(Piece::Text(&value[text_from..start]));
        }
        pieces.push(piece);
        (text_from, at) = (end, end);
    }
    if text_from < value.len() {
        pieces.push(Piece::Text(&value[text_from..]));
    }
    pieces
}

fn understood(whole: &str) -> Option<Piece<'_>> {
    let inner = whole.strip_prefix("${")?.strip_suffix('}')?;
    if let Some((name, network)) = inner.split_once(':') {
        let role = Role::parse(name)?;
        return Some(Piece::Network {
            whole,
            role,
            network,
        });
    }
    let plausible = |character: char| character.is_alphanumeric() || "._- ".contains(character);
    (!inner.trim().is_empty() && inner.chars().all(plausible))
        .then_some(Piece::Key { whole, key: inner })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macros_are_told_from_text() {
        let key = |whole, key| Piece::Key { whole, key };
        assert_eq!(
            pieces("a ${vami.ip0.X} $b ${c"),
            [
                Piece::Text("a "),
                key("${vami.ip0.X}", "vami.ip0.X"),
                Piece::Text(" $b ${c")
            ]
        );
        assert_eq!(
            pieces("${autoIp:}${Netmask:VM Network}"),
            [
                Piece::Network {
                    whole: "${autoIp:}",
                    role: Role::AutoIp,
                    network: ""
                },
                Piece::Network {
                    whole: "${Netmask:VM Network}",
                    role: Role::Netmask,
                    network: "VM Network"
                },
            ]
        );
        assert_eq!(
            pieces("${HOME:-/root} ${a}"),
            [Piece::Text("${HOME:-/root} "), key("${a}", "a")]
        );
        assert_eq!(
            pieces("${}${${a}"),
            [Piece::Text("${}${"), key("${a}", "a")]
        );
        assert_eq!(pieces(""), []);
    }
}
