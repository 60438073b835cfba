//! The lines of a task file.

use std::str::FromStr;

use super::{HEADER, MAX_BYTES};

const MAX_LINES: usize = 1000;
const MAX_LINE: usize = 4096;

/// One `key value` line.
#[derive(Debug)]
pub(super) struct Field {
    pub line: usize,
    pub key: String,
    pub value: String,
}

/// Lines that nobody has taken yet.
#[derive(Debug)]
pub(super) struct Fields(Vec<Field>);

impl Fields {
    pub(super) fn read(content: &[u8]) -> Result<Self, String> {
        if content.len() > MAX_BYTES {
            return Err(format!("larger than {MAX_BYTES} bytes"));
        }
        let text = std::str::from_utf8(content).map_err(|_| "not UTF-8")?;
        let mut lines = text.lines();
        if lines.next() != Some(HEADER) {
            return Err(format!("line 1: not {HEADER}"));
        }
        let mut fields = Vec::new();
        for (index, text) in lines.enumerate() {
            let line = index + 2;
            if line > MAX_LINES {
                return Err(format!("more than {MAX_LINES} lines"));
            }
            if text.len() > MAX_LINE {
                return Err(format!("line {line}: longer than {MAX_LINE} bytes"));
            }
            if text.chars().any(char::is_control) {
                return Err(format!("line {line}: control character"));
            }
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let (key, value) = text.split_once(' ').unwrap_or((text, ""));
            if key.is_empty() || value.is_empty() || value.ends_with(' ') {
                return Err(format!("line {line}: not a key, a space and a value"));
            }
            fields.push(Field {
                line,
                key: key.to_owned(),
                value: value.to_owned(),
            });
        }
        Ok(Self(fields))
    }

    /// The kind, which comes first.
    pub(super) fn kind(&mut self) -> Result<String, String> {
        match self.0.first() {
            None => Err("no kind".into()),
            Some(first) if first.key != "kind" => {
                Err(format!("line {}: kind is not the first", first.line))
            }
            Some(_) => Ok(self.0.remove(0).value),
        }
    }

    /// All lines with this key, in their order.
    pub(super) fn many(&mut self, key: &str) -> Vec<String> {
        let (taken, left) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|field| field.key == key);
        self.0 = left;
        let taken: Vec<Field> = taken;
        taken.into_iter().map(|field| field.value).collect()
    }

    /// The only line with this key.
    pub(super) fn one(&mut self, key: &str) -> Result<Option<String>, String> {
        let mut found = self.many(key);
        if found.len() > 1 {
            return Err(format!("{key}: more than once"));
        }
        Ok(found.pop())
    }

    /// A line that must be there.
    pub(super) fn required(&mut self, key: &str) -> Result<String, String> {
        self.one(key)?.ok_or_else(|| format!("{key}: missing"))
    }

    /// A decimal number in bounds.
    pub(super) fn number(&mut self, key: &str, min: u32, max: u32) -> Result<Option<u32>, String> {
        let parse = |value: String| {
            number(&value)
                .filter(|number| (min..=max).contains(number))
                .ok_or_else(|| format!("{key}: no number from {min} to {max}: {value}"))
        };
        self.one(key)?.map(parse).transpose()
    }

    /// `yes` or `no`.
    pub(super) fn yes_no(&mut self, key: &str) -> Result<Option<bool>, String> {
        match self.one(key)?.as_deref() {
            None => Ok(None),
            Some("yes") => Ok(Some(true)),
            Some("no") => Ok(Some(false)),
            Some(other) => Err(format!("{key}: neither yes nor no: {other}")),
        }
    }

    /// Values of a type that reads itself.
    pub(super) fn parsed<T: FromStr<Err = String>>(&mut self, key: &str) -> Result<Vec<T>, String> {
        let parse = |value: String| value.parse().map_err(|error| format!("{key}: {error}"));
        self.many(key).into_iter().map(parse).collect()
    }

    /// Absolute paths.
    pub(super) fn paths(&mut self, key: &str) -> Result<Vec<String>, String> {
        let found = self.many(key);
        for path in &found {
            check_path(path).map_err(|error| format!("{key}: {error}"))?;
        }
        Ok(found)
    }

    /// An absolute path that may be missing.
    pub(super) fn path(&mut self, key: &str) -> Result<Option<String>, String> {
        let mut found = self.paths(key)?;
        if found.len() > 1 {
            return Err(format!("{key}: more than once"));
        }
        Ok(found.pop())
    }

    /// What is left, for a kind whose lines depend on each other.
    pub(super) fn rest(&mut self) -> Vec<Field> {
        std::mem::take(&mut self.0)
    }

    /// Nobody knows what is still left.
    pub(super) fn finish(self) -> Result<(), String> {
        match self.0.first() {
            None => Ok(()),
            Some(field) => Err(format!("line {}: unknown key: {}", field.line, field.key)),
        }
    }
}

/// A decimal number without sign.
pub(super) fn number<T: FromStr>(text: &str) -> Option<T> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// A path that means the same wherever the program runs: `X:\…` or below one of the known folders.
fn check_path(path: &str) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("{why}: {path}"));
    let rest = match path.as_bytes() {
        [drive, b':', b'\\', ..] if drive.is_ascii_alphabetic() => &path[3..],
        _ => match crate::vars::strip(path).and_then(|rest| rest.strip_prefix('\\')) {
            Some(rest) => rest,
            None => return wrong("not an absolute path"),
        },
    };
    if rest.contains(['/', ':', '*', '?', '"', '<', '>', '|']) {
        return wrong("a character that no path has");
    }
    if path.len() > 1024 {
        return wrong("too long");
    }
    for part in rest.split('\\') {
        // Windows drops dots and spaces at the end of a name.
        if part.is_empty() || part.ends_with(['.', ' ']) {
            return wrong("a part that is empty or ends in a dot or a space");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for path in [
            "C:\\x",
            "d:\\a b\\c.msi",
            "%Refit%\\files\\a.msi",
            "%systemroot%\\System32\\msiexec.exe",
        ] {
            assert_eq!(check_path(path), Ok(()), "{path}");
        }
        for path in [
            "x",
            "\\x",
            "C:x",
            "C:\\",
            "C:\\..\\x",
            "C:\\a\\..",
            "C:\\a.",
            "C:\\a\\",
            "C:\\a\\\\b",
            "\\\\server\\share\\x",
            "\\\\?\\C:\\x",
            "%TEMP%\\x",
            "%Refit%x",
            "%Refit%\\..\\x",
            "C:\\a/..\\b",
            "C:\\a:stream",
            "C:\\a*",
            "é:\\a",
        ] {
            assert!(check_path(path).is_err(), "{path}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(number::<u32>("10"), Some(10));
        for text in ["", "+1", "-1", " 1", "0x1", "4294967296"] {
            assert_eq!(number::<u32>(text), None, "{text}");
        }
    }
}
