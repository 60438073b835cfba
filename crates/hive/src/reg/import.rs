//! Reading registration text.

use crate::error::HiveError;
use crate::hive::Hive;
use crate::reg::HEADER;
use crate::value::{Value, ValueKind};

/// A new hive with the keys and values of registration text, which describes a whole hive: it cannot delete.
///
/// # Errors
///
/// [`HiveError::Reg`] with the line that is not understood; whatever [`Hive::set_value`] refuses.
pub fn import(text: &str) -> Result<Hive, HiveError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = (1..).zip(text.lines().map(str::trim_end));
    if lines.next().is_none_or(|(_, line)| line != HEADER) {
        return Err(mistake(1, format!("it should be \"{HEADER}\"")));
    }
    let mut hive = Hive::new();
    let mut key: Option<String> = None;
    while let Some((number, line)) = lines.next() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with(';') {
            continue;
        }
        if let Some(rest) = line.strip_prefix('[') {
            let path = path(rest).map_err(|what| mistake(number, what))?;
            hive.create_key(&path)?;
            key = Some(path);
            continue;
        }
        let Some(key) = &key else {
            return Err(mistake(number, "a value stands before the first key"));
        };
        // Data in hexadecimal may go on in the next line.
        let mut logical = line.to_owned();
        let mut last = number;
        while !logical.ends_with('"')
            && let Some(open) = logical.strip_suffix('\\')
        {
            let Some((next, more)) = lines.next() else {
                return Err(mistake(number, "the text ends where the data should go on"));
            };
            logical = format!("{open}{}", more.trim());
            last = next;
        }
        let (name, data) = name(&logical).map_err(|what| mistake(number, what))?;
        let value = value(data).map_err(|what| mistake(last, what))?;
        hive.set_value(key, &name, &value)?;
    }
    Ok(hive)
}

fn mistake(line: usize, what: impl Into<String>) -> HiveError {
    HiveError::Reg {
        line,
        what: what.into(),
    }
}

/// The path in a line of a key, behind its bracket.
fn path(rest: &str) -> Result<String, &'static str> {
    let path = rest
        .strip_suffix(']')
        .ok_or("the key's name does not end with ']'")?;
    if path.starts_with('-') {
        return Err("keys cannot be deleted here");
    }
    if path.starts_with("HKEY_") {
        return Err("keys are relative to the hive's root, such as [\\Select]");
    }
    Ok(path.trim_start_matches('\\').to_owned())
}

/// A value's name, and the text of its data.
fn name(line: &str) -> Result<(String, &str), &'static str> {
    const WHAT: &str = "it should be \"name\"=data, or @=data";
    let (name, rest) = match line.strip_prefix('@') {
        Some(rest) => (String::new(), rest),
        None => quoted(line).ok_or(WHAT)?,
    };
    let data = rest.trim_start().strip_prefix('=').ok_or(WHAT)?;
    Ok((name, data.trim()))
}

fn value(data: &str) -> Result<Value, String> {
    if data == "-" {
        return Err("values cannot be deleted here".to_owned());
    }
    if data.starts_with('"') {
        return text(data)
            .map(|text| Value::sz(&text))
            .map_err(str::to_owned);
    }
    if let Some(digits) = data.strip_prefix("dword:") {
        return u32::from_str_radix(digits, 16)
            .map(Value::dword)
            .map_err(|_| "a dword has one to eight hexadecimal digits".to_owned());
    }
    let (form, data) = data
        .split_once(':')
        .ok_or("the data is in none of the known forms")?;
    if let Some(kind) = form.strip_prefix("str").and_then(kind) {
        let data = Value::sz(&text(data)?).data;
        return Ok(Value { kind, data });
    }
    let kind = match form {
        "hex" => ValueKind::Binary,
        _ => form
            .strip_prefix("hex")
            .and_then(kind)
            .ok_or_else(|| format!("{form:?} is none of the known forms of data"))?,
    };
    let data = data
        .split(',')
        .map(str::trim)
        .filter(|byte| !byte.is_empty())
        .map(|byte| u8::from_str_radix(byte, 16).map_err(|_| format!("{byte:?} is no byte")))
        .collect::<Result<_, _>>()?;
    Ok(Value { kind, data })
}

/// The type in parentheses.
fn kind(form: &str) -> Option<ValueKind> {
    let digits = form.strip_prefix('(')?.strip_suffix(')')?;
    u32::from_str_radix(digits, 16)
        .ok()
        .map(ValueKind::from_number)
}

/// Text in quotation marks with nothing behind it.
fn text(data: &str) -> Result<String, &'static str> {
    match quoted(data) {
        Some((text, "")) => Ok(text),
        Some(_) => Err("something follows the text's last quotation mark"),
        None => Err("the text has no last quotation mark"),
    }
}

/// Text in quotation marks, and what follows it.
fn quoted(data: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut chars = data.strip_prefix('"')?.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return Some((text, chars.as_str())),
            '\\' => match chars.next()? {
                '0' => text.push('\0'),
                other => text.push(other),
            },
            other => text.push(other),
        }
    }
    None
}
