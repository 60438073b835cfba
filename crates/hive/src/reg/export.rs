//! Writing registration text.

use std::fmt::Write as _;

use crate::hive::Hive;
use crate::reg::HEADER;
use crate::value::{Value, ValueKind};

/// Longest line of data, in characters, before it goes on in the next: regedit's.
const WIDTH: usize = 80;

/// The whole hive as registration text: the same hive always gives the same text.
pub fn export(hive: &Hive) -> String {
    let mut text = format!("{HEADER}\n");
    let mut waiting = vec![(hive.root(), String::new())];
    while let Some((key, path)) = waiting.pop() {
        let shown = if path.is_empty() { "\\" } else { &path };
        text.push_str(&format!("\n[{shown}]\n"));
        for value in key.values() {
            match value.name.contains(char::is_control) {
                true => text.push_str("; left out: a value with control characters in its name\n"),
                false => text.push_str(&line(&value.name, &value.value)),
            }
        }
        let subkeys: Vec<_> = key.subkeys().collect();
        // The last one waiting comes next, so that each key is followed by those below it.
        for subkey in subkeys.into_iter().rev() {
            let name = subkey.name();
            match name.contains(char::is_control) {
                true => text.push_str("; left out: a key with control characters in its name\n"),
                false => waiting.push((subkey, format!("{path}\\{name}"))),
            }
        }
    }
    text
}

fn line(name: &str, value: &Value) -> String {
    let mut line = match name {
        "" => "@=".to_owned(),
        _ => format!("\"{}\"=", escaped(name)),
    };
    if let Some(text) = plain(value) {
        line.push_str(&format!("\"{}\"\n", escaped(&text)));
        return line;
    }
    if let (ValueKind::Dword, Some(number)) = (value.kind, value.as_dword()) {
        line.push_str(&format!("dword:{number:08x}\n"));
        return line;
    }
    match value.kind {
        ValueKind::Binary => line.push_str("hex:"),
        kind => line.push_str(&format!("hex({:x}):", kind.number())),
    }
    let mut column = line.chars().count();
    for (index, byte) in value.data.iter().enumerate() {
        let last = index + 1 == value.data.len();
        // The byte, its comma, and the backslash that may have to follow.
        if column + 4 > WIDTH {
            line.push_str("\\\n  ");
            column = 2;
        }
        // Writing into a string cannot fail.
        let _ = write!(line, "{byte:02x}{}", if last { "" } else { "," });
        column += 3;
    }
    line.push('\n');
    line
}

/// The text of a value that can be written as text: exactly what reading that text gives again.
fn plain(value: &Value) -> Option<String> {
    let text = value.as_str().filter(|_| value.kind == ValueKind::Sz)?;
    (Value::sz(&text) == *value && !text.contains(char::is_control)).then_some(text)
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
