//! Bringing a rules file in line with the wanted names.

use std::collections::BTreeSet;

use refit_machine::Mac;

use super::naming::{Naming, Selector, naming};
use super::syntax::{Rule, Token, parse};

/// How the comments of udev's `write_net_rules` begin, which it writes above each rule.
const GENERATED: [&str; 6] = [
    "# PCI device ",
    "# USB device ",
    "# S/390 device ",
    "# IEEE1394 device ",
    "# Unknown net device ",
    "# net device ",
];

/// The content of a udev rules file in which, for each wanted address, exactly one rule gives the
/// wanted name; `None` if that is so already.
///
/// Rules that give a wanted name to anything else (another address, a place in the machine) and
/// rules that give a wanted address another name are removed, with the comment above them that
/// udev's own generator wrote. If such a rule does more than that, it only loses its `NAME`. Also
/// removed is a rule that may not find the card on a new machine (another driver, an address in
/// upper case). Everything else stays as it is, byte for byte. New rules come last:
/// `DRIVERS=="?*"` keeps them from bonds, bridges and VLANs that have the address of their port.
///
/// Only one file is looked at: `wanted` names that another file gives away stay a conflict.
#[must_use]
pub fn rewrite(text: &[u8], wanted: &[(Mac, String)]) -> Option<Vec<u8>> {
    let mut given: BTreeSet<usize> = BTreeSet::new();
    let mut cuts: Vec<(usize, usize)> = Vec::new();
    let mut floor = 0;
    for rule in parse(text) {
        let above = std::mem::replace(&mut floor, rule.bytes.end);
        let Ok(tokens) = &rule.tokens else { continue };
        let Some(naming) = naming(tokens) else {
            continue;
        };
        match verdict(&naming, wanted) {
            Verdict::Foreign => {}
            Verdict::Right(index) if given.insert(index) => {}
            Verdict::Right(_) | Verdict::Stale => {
                if naming.does_more {
                    cuts.extend(name_only(text, &rule, tokens));
                } else {
                    cuts.push((comment_start(text, above, rule.bytes.start), rule.bytes.end));
                }
            }
        }
    }
    let missing: Vec<&(Mac, String)> = wanted
        .iter()
        .enumerate()
        .filter(|&(index, (mac, _))| {
            // Of an address that is wanted twice, the first counts.
            !given.contains(&index)
                && wanted.iter().position(|(other, _)| other == mac) == Some(index)
        })
        .map(|(_, entry)| entry)
        .collect();
    if cuts.is_empty() && missing.is_empty() {
        return None;
    }

    let mut out = Vec::with_capacity(text.len() + missing.len() * 128);
    let mut kept_to = 0;
    for (from, to) in cuts {
        out.extend_from_slice(&text[kept_to..from]);
        kept_to = to;
    }
    out.extend_from_slice(&text[kept_to..]);
    if !missing.is_empty() {
        end_last_line(&mut out);
    }
    for (mac, name) in missing {
        out.extend_from_slice(
            format!(
                "SUBSYSTEM==\"net\", ACTION==\"add\", DRIVERS==\"?*\", \
                 ATTR{{address}}==\"{mac}\", ATTR{{type}}==\"1\", NAME=\"{name}\"\n"
            )
            .as_bytes(),
        );
    }
    Some(out)
}

enum Verdict {
    /// It has nothing to do with what is wanted.
    Foreign,
    /// It gives the wanted name of that index.
    Right(usize),
    /// It contradicts what is wanted, or might fail to do it.
    Stale,
}

fn verdict(naming: &Naming, wanted: &[(Mac, String)]) -> Verdict {
    if let Selector::Mac(mac) = &naming.selector
        && let Some(index) = wanted.iter().position(|(other, _)| other == mac)
    {
        return if naming.sure && wanted[index].1 == naming.name {
            Verdict::Right(index)
        } else {
            Verdict::Stale
        };
    }
    if wanted.iter().any(|(_, name)| *name == naming.name) {
        Verdict::Stale
    } else {
        Verdict::Foreign
    }
}

/// Where the generator's comment right above a rule begins; the rule's own start if it has none.
fn comment_start(text: &[u8], floor: usize, rule: usize) -> usize {
    let above = &text[floor..rule];
    let Some(line) = above.strip_suffix(b"\n") else {
        return rule;
    };
    let line_start = line
        .iter()
        .rposition(|&b| b == b'\n')
        .map_or(0, |at| at + 1);
    let comment = &line[line_start..];
    if GENERATED
        .iter()
        .any(|start| comment.starts_with(start.as_bytes()))
    {
        floor + line_start
    } else {
        rule
    }
}

/// What to cut to leave a rule without its `NAME`: the tokens, and the separators up to the next
/// token or, of the last, from the one before.
fn name_only(text: &[u8], rule: &Rule, tokens: &[Token]) -> Vec<(usize, usize)> {
    let is_separator = |b: &u8| matches!(b, b',' | b' ' | b'\t');
    tokens
        .iter()
        .filter(|token| token.key == "NAME" && !token.op.is_match())
        .map(|token| {
            let after = text[token.bytes.end..rule.bytes.end]
                .iter()
                .take_while(|b| is_separator(b))
                .count();
            let end = token.bytes.end + after;
            if text[end..rule.bytes.end].iter().any(|&b| b != b'\n') {
                return (token.bytes.start, end);
            }
            let before = text[rule.bytes.start..token.bytes.start]
                .iter()
                .rev()
                .take_while(|b| is_separator(b))
                .count();
            (token.bytes.start - before, end)
        })
        .collect()
}

/// Makes sure that what is appended is a line of its own.
fn end_last_line(out: &mut Vec<u8>) {
    if !out.is_empty() && !out.ends_with(b"\n") {
        out.push(b'\n');
    }
    // A blank line ends a rule that hopes to be continued.
    if out.ends_with(b"\\\n") {
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "# This file was automatically generated by the /lib/udev/write_net_rules\n\
        # program, run by the persistent-net-generator.rules rules file.\n\
        #\n\
        # You can modify it, as long as you keep each rule on a single\n\
        # line, and change only the value of the NAME= key.\n\n";

    fn generated(mac: &str, name: &str) -> String {
        format!(
            "# PCI device 0x8086:0x100f (e1000)\nSUBSYSTEM==\"net\", ACTION==\"add\", DRIVERS==\"?*\", \
             ATTR{{address}}==\"{mac}\", ATTR{{type}}==\"1\", KERNEL==\"eth*\", NAME=\"{name}\"\n"
        )
    }

    fn ours(mac: &str, name: &str) -> String {
        format!(
            "SUBSYSTEM==\"net\", ACTION==\"add\", DRIVERS==\"?*\", ATTR{{address}}==\"{mac}\", \
             ATTR{{type}}==\"1\", NAME=\"{name}\"\n"
        )
    }

    fn wanted(entries: &[(&str, &str)]) -> Vec<(Mac, String)> {
        entries
            .iter()
            .map(|(mac, name)| (mac.parse().unwrap(), (*name).to_owned()))
            .collect()
    }

    const A: &str = "00:50:56:aa:bb:01";
    const B: &str = "00:50:56:aa:bb:02";
    const OLD: &str = "00:0c:29:83:42:de";

    #[test]
    fn files_become_what_is_wanted_and_stay_so() {
        let slot = "SUBSYSTEM==\"net\", KERNELS==\"0000:03:00.0\", NAME=\"eth0\"\n";
        let more = |name: &str| {
            format!("SUBSYSTEM==\"net\", ATTR{{address}}==\"{OLD}\", {name}RUN+=\"/bin/x\"\n")
        };
        for (what, before, entries, after) in [
            (
                "nothing there",
                String::new(),
                vec![(A, "eth0")],
                ours(A, "eth0"),
            ),
            (
                "a stale address",
                format!("{HEADER}{}", generated(OLD, "eth0")),
                vec![(A, "eth0")],
                format!("{HEADER}{}", ours(A, "eth0")),
            ),
            (
                "another name, another card stays",
                format!(
                    "{HEADER}{}\n{}\n",
                    generated(A, "eth5"),
                    generated(OLD, "eth1")
                ),
                vec![(A, "eth0")],
                format!("{HEADER}\n{}\n{}", generated(OLD, "eth1"), ours(A, "eth0")),
            ),
            (
                "exchanged names",
                format!("{}{}", generated(A, "eth1"), generated(B, "eth0")),
                vec![(A, "eth0"), (B, "eth1")],
                format!("{}{}", ours(A, "eth0"), ours(B, "eth1")),
            ),
            (
                "the second of two for one card",
                format!("{}{}", generated(A, "eth0"), generated(A, "eth0")),
                vec![(A, "eth0")],
                generated(A, "eth0"),
            ),
            (
                "upper case is never found",
                ours("00:50:56:AA:BB:01", "eth0"),
                vec![(A, "eth0")],
                ours(A, "eth0"),
            ),
            (
                "a place in the old machine",
                format!("# mine\n{slot}"),
                vec![(A, "eth0")],
                format!("# mine\n{}", ours(A, "eth0")),
            ),
            (
                "a rule that does more",
                more("NAME=\"eth0\", "),
                vec![(A, "eth0")],
                format!("{}{}", more(""), ours(A, "eth0")),
            ),
            (
                "its name last",
                format!(
                    "SUBSYSTEM==\"net\", ATTR{{address}}==\"{OLD}\", RUN+=\"/bin/x\", NAME=\"eth0\"\n"
                ),
                vec![(A, "eth0")],
                format!(
                    "SUBSYSTEM==\"net\", ATTR{{address}}==\"{OLD}\", RUN+=\"/bin/x\"\n{}",
                    ours(A, "eth0")
                ),
            ),
            (
                "several lines",
                format!(
                    "X==\"1\"\nSUBSYSTEM==\"net\", \\\n  ATTR{{address}}==\"{OLD}\", \\\n  NAME=\"eth0\"\nY==\"1\"\n"
                ),
                vec![(A, "eth0")],
                format!("X==\"1\"\nY==\"1\"\n{}", ours(A, "eth0")),
            ),
            (
                "no newline at the end",
                "X==\"1\"".to_owned(),
                vec![(A, "eth0")],
                format!("X==\"1\"\n{}", ours(A, "eth0")),
            ),
            (
                "an open continuation",
                "X==\"1\", \\\n".to_owned(),
                vec![(A, "eth0")],
                format!("X==\"1\", \\\n\n{}", ours(A, "eth0")),
            ),
            (
                "broken rules stay",
                format!("NAME=\"eth0\n# PCI device x\n\n{}", generated(OLD, "eth0")),
                vec![(A, "eth0")],
                format!("NAME=\"eth0\n# PCI device x\n\n{}", ours(A, "eth0")),
            ),
        ] {
            let wanted = wanted(&entries);
            let result = rewrite(before.as_bytes(), &wanted).unwrap_or_else(|| panic!("{what}"));
            assert_eq!(String::from_utf8(result.clone()).unwrap(), after, "{what}");
            assert_eq!(rewrite(&result, &wanted), None, "{what}, again");
        }
    }

    #[test]
    fn what_is_right_is_left_alone() {
        for text in [
            generated(A, "eth0"),
            ours(A, "eth0"),
            format!("{HEADER}{}{}", generated(A, "eth0"), generated(OLD, "eth1")),
            format!("SUBSYSTEM==\"net\",ACTION==\"add\",ATTR{{address}}==\"{A}\",NAME=\"eth0\""),
        ] {
            assert_eq!(
                rewrite(text.as_bytes(), &wanted(&[(A, "eth0")])),
                None,
                "{text}"
            );
        }
        assert_eq!(rewrite(generated(OLD, "eth0").as_bytes(), &[]), None);
        assert_eq!(rewrite(b"", &[]), None);
    }

    #[test]
    fn the_kernels_pattern_must_let_the_name_through() {
        let text = generated(A, "ens192");
        let result = rewrite(text.as_bytes(), &wanted(&[(A, "ens192")])).unwrap();
        assert_eq!(String::from_utf8(result).unwrap(), ours(A, "ens192"));
    }

    #[test]
    fn an_address_wanted_twice_gets_its_first_name() {
        let result = rewrite(b"", &wanted(&[(A, "eth0"), (A, "eth1")])).unwrap();
        assert_eq!(String::from_utf8(result).unwrap(), ours(A, "eth0"));
    }

    #[test]
    fn bytes_that_are_no_text_survive() {
        let mut text = b"# \xff\xfe\x00\r\n".to_vec();
        text.extend_from_slice(generated(OLD, "eth0").as_bytes());
        text.extend_from_slice(b"X==\"\xff\"\r\n");
        let result = rewrite(&text, &wanted(&[(A, "eth0")])).unwrap();
        let mut expected = b"# \xff\xfe\x00\r\nX==\"\xff\"\r\n".to_vec();
        expected.extend_from_slice(ours(A, "eth0").as_bytes());
        assert_eq!(result, expected);
    }
}
