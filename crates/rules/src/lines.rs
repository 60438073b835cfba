//! Edits of text files, line by line. What is not edited stays, byte for byte.

use anyhow::Context as _;
use refit_engine::{Change, GuestPath};
use regex::bytes::Regex;

use crate::check;
use crate::draft::Draft;
use crate::glob::{PathPattern, content};
use crate::rule::{Line, Setting};

/// A regular expression that matches a line from end to end.
pub(crate) fn line_regex(pattern: &str) -> anyhow::Result<Regex> {
    // Checked alone first: `a)(b` must not become right by what is put around it.
    Regex::new(pattern)
        .and_then(|_| Regex::new(&format!("^(?:{pattern})$")))
        .map_err(|error| anyhow::anyhow!("`{pattern}`: {error}"))
}

/// A line without its end.
fn body(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The ends of lines that a file has.
fn ending(content: &[u8]) -> &'static [u8] {
    let first = content.split_inclusive(|&b| b == b'\n').next();
    if first.is_some_and(|line| line.ends_with(b"\r\n")) {
        b"\r\n"
    } else {
        b"\n"
    }
}

/// Whether one of the lines of `content` is wanted.
pub(crate) fn any_line(content: &[u8], wanted: impl Fn(&[u8]) -> bool) -> bool {
    content
        .split_inclusive(|&b| b == b'\n')
        .any(|line| wanted(body(line)))
}

/// Does what a rule says of a line. Gives the files that it changes.
pub(crate) fn edit(draft: &mut Draft<'_>, rule: &Line) -> anyhow::Result<Vec<GuestPath>> {
    let mut edited = Vec::new();
    let files = if rule.add.is_some() {
        vec![check::file(&rule.file)?]
    } else {
        PathPattern::new(&rule.file)?.find(draft.guest())?
    };
    let matching = rule
        .remove_matching
        .as_deref()
        .map(line_regex)
        .transpose()?;
    let wanted = |line: &[u8]| match (&matching, &rule.remove) {
        (Some(regex), _) => regex.is_match(line),
        (None, Some(text)) => line.trim_ascii() == text.trim().as_bytes(),
        (None, None) => false,
    };
    for file in files {
        let Some(content) =
            content(draft.guest(), &file).with_context(|| format!("reading {file}"))?
        else {
            if let Some(add) = &rule.add {
                let content = format!("{add}\n").into_bytes();
                write(draft, file.clone(), content)?;
                edited.push(file);
            }
            continue;
        };
        let new = match &rule.add {
            Some(add) => with_line(&content, add, &wanted),
            None => without_lines(&content, &wanted),
        };
        if new != content {
            write(draft, file.clone(), new)?;
            edited.push(file);
        }
    }
    Ok(edited)
}

/// Does what a rule says of a setting. Gives the file if that changes it.
pub(crate) fn set(draft: &mut Draft<'_>, rule: &Setting) -> anyhow::Result<Option<GuestPath>> {
    let file = check::file(&rule.file)?;
    let old = content(draft.guest(), &file).with_context(|| format!("reading {file}"))?;
    let old = old.unwrap_or_default();
    let new = with_setting(&old, rule);
    if new == old {
        return Ok(None);
    }
    write(draft, file.clone(), new)?;
    Ok(Some(file))
}

fn write(draft: &mut Draft<'_>, path: GuestPath, content: Vec<u8>) -> anyhow::Result<()> {
    draft.push(Change::Write {
        path,
        content,
        mode: None,
    })
}

/// `content` without the lines that are `wanted`.
#[must_use]
pub fn without_lines(content: &[u8], wanted: &dyn Fn(&[u8]) -> bool) -> Vec<u8> {
    let lines = content.split_inclusive(|&b| b == b'\n');
    lines
        .filter(|line| !wanted(body(line)))
        .flatten()
        .copied()
        .collect()
}

/// `content` with the line `add`: in place of the first one that is `wanted`, the others of which
/// go; else at the end, if it is not there.
fn with_line(content: &[u8], add: &str, wanted: &dyn Fn(&[u8]) -> bool) -> Vec<u8> {
    let lines: Vec<&[u8]> = content.split_inclusive(|&b| b == b'\n').collect();
    let mut there = lines
        .iter()
        .any(|line| !wanted(body(line)) && body(line) == add.as_bytes());
    let mut out = Vec::with_capacity(content.len() + add.len() + 1);
    for line in lines {
        if !wanted(body(line)) {
            out.extend_from_slice(line);
        } else if !there {
            out.extend_from_slice(add.as_bytes());
            out.extend_from_slice(&line[body(line).len()..]);
            there = true;
        }
    }
    if !there {
        append(&mut out, add.as_bytes(), ending(content));
    }
    out
}

fn append(out: &mut Vec<u8>, line: &[u8], ending: &[u8]) {
    if !out.is_empty() && !out.ends_with(b"\n") {
        out.extend_from_slice(ending);
    }
    out.extend_from_slice(line);
    out.extend_from_slice(ending);
}

/// `content` with the setting: the last line that sets the key gets the new value, as that is the
/// one that counts; without one, a line behind the last one of the section.
fn with_setting(content: &[u8], rule: &Setting) -> Vec<u8> {
    let lines: Vec<&[u8]> = content.split_inclusive(|&b| b == b'\n').collect();
    let header = |line: &[u8]| {
        let line = body(line).trim_ascii();
        let name = line.strip_prefix(b"[")?.strip_suffix(b"]")?;
        Some(name.trim_ascii().to_vec())
    };
    let (mut inside, mut known) = (rule.section.is_none(), rule.section.is_none());
    let (mut existing, mut behind) = (None, None);
    for (at, line) in lines.iter().enumerate() {
        if let Some(name) = header(line) {
            inside = rule
                .section
                .as_ref()
                .is_some_and(|section| section.trim().as_bytes() == name);
            known |= inside;
            if inside {
                behind = Some(at);
            }
            continue;
        }
        if !inside {
            continue;
        }
        if !body(line).trim_ascii().is_empty() {
            behind = Some(at);
        }
        let equals = body(line).iter().position(|&b| b == b'=');
        if let Some(equals) = equals
            && line[..equals].trim_ascii() == rule.key.trim().as_bytes()
        {
            existing = Some((at, equals));
        }
    }
    let assignment = if rule.section.is_some()
        && lines
            .iter()
            .any(|line| body(line).windows(3).any(|part| part == b" = "))
    {
        format!("{} = {}", rule.key, rule.value)
    } else {
        format!("{}={}", rule.key, rule.value)
    };
    let mut out = Vec::with_capacity(content.len() + assignment.len() + 1);
    if behind.is_none() && known && existing.is_none() {
        append(&mut out, assignment.as_bytes(), ending(content));
        out.extend_from_slice(content);
        return out;
    }
    for (at, line) in lines.iter().enumerate() {
        match existing {
            Some((place, equals)) if place == at => {
                let value = &body(line)[equals + 1..];
                let space = value.len() - value.trim_ascii_start().len();
                out.extend_from_slice(&line[..=equals + space]);
                out.extend_from_slice(rule.value.as_bytes());
                out.extend_from_slice(&line[body(line).len()..]);
            }
            _ => out.extend_from_slice(line),
        }
        if existing.is_none() && known && behind == Some(at) {
            append(&mut out, assignment.as_bytes(), ending(content));
        }
    }
    if !known {
        if let Some(section) = &rule.section {
            append(&mut out, format!("[{section}]").as_bytes(), ending(content));
        }
        append(&mut out, assignment.as_bytes(), ending(content));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(section: Option<&str>, key: &str, value: &str) -> Setting {
        Setting {
            file: "/f".to_owned(),
            section: section.map(str::to_owned),
            key: key.to_owned(),
            value: value.to_owned(),
        }
    }

    #[test]
    fn settings_are_made_in_place() {
        for (content, section, expected) in [
            ("A=1\n# K=0\nK=old\nB=2\n", None, "A=1\n# K=0\nK=new\nB=2\n"),
            ("K=1\nK =  2", None, "K=1\nK =  new"),
            ("A=1", None, "A=1\nK=new\n"),
            ("", None, "K=new\n"),
            ("[s]\nK=1\n", None, "K=new\n[s]\nK=1\n"),
            ("A=1\r\n", None, "A=1\r\nK=new\r\n"),
            (
                "[s]\na = 1\n\n[t]\nK = 1\n",
                Some("s"),
                "[s]\na = 1\nK = new\n\n[t]\nK = 1\n",
            ),
            ("[s]\na=1\n[t]\nK=1\n", Some("t"), "[s]\na=1\n[t]\nK=new\n"),
            ("[s]\n[t]\n", Some("s"), "[s]\nK=new\n[t]\n"),
            ("[s]\na=1", Some("t"), "[s]\na=1\n[t]\nK=new\n"),
            ("", Some("t"), "[t]\nK=new\n"),
        ] {
            let rule = setting(section, "K", "new");
            let new = with_setting(content.as_bytes(), &rule);
            assert_eq!(String::from_utf8_lossy(&new), expected, "{content:?}");
            assert_eq!(with_setting(&new, &rule), new, "a second time: {content:?}");
        }
    }

    #[test]
    fn lines_are_added_once_and_replaced_in_place() {
        let none = |_: &[u8]| false;
        let regex = line_regex("PermitRootLogin.*").unwrap();
        let matching = |line: &[u8]| regex.is_match(line);
        for (content, add, wanted, expected) in [
            ("a\nb", "c", &none as &dyn Fn(&[u8]) -> bool, "a\nb\nc\n"),
            ("a\nb\n", "b", &none, "a\nb\n"),
            (
                "#x\nPermitRootLogin yes\nz\nPermitRootLogin\n",
                "PermitRootLogin no",
                &matching,
                "#x\nPermitRootLogin no\nz\n",
            ),
            (
                "#PermitRootLogin yes\n",
                "PermitRootLogin no",
                &matching,
                "#PermitRootLogin yes\nPermitRootLogin no\n",
            ),
        ] {
            let new = with_line(content.as_bytes(), add, wanted);
            assert_eq!(String::from_utf8_lossy(&new), expected, "{content:?}");
            assert_eq!(
                with_line(&new, add, wanted),
                new,
                "a second time: {content:?}"
            );
        }
    }

    #[test]
    fn the_rest_of_a_file_stays_byte_for_byte() {
        let wanted = |line: &[u8]| line == b"x";
        let content = b"\xff\xfe\r\nx\r\n  x\nlast";
        assert_eq!(without_lines(content, &wanted), b"\xff\xfe\r\n  x\nlast");
    }

    #[test]
    fn an_expression_matches_whole_lines() {
        let regex = line_regex("a|b").unwrap();
        assert!(regex.is_match(b"a") && regex.is_match(b"b"));
        assert!(!regex.is_match(b"ab") && !regex.is_match(b"xa"));
        assert!(line_regex("a)(b").is_err());
    }
}
