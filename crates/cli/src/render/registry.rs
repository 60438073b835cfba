//! Windows guests for people: their facts, and changes of their registry in the form of `.reg` files.

use std::fmt::Write as _;

use refit_engine::{Change, Held, WindowsFacts};
use refit_hive::{Value, ValueKind};

use super::{ADDED, BOLD, DIM, REMOVED, RESET, printable};

/// More bytes of a value are counted instead of shown.
const SHOWN: usize = 64;

/// The facts, through `line`.
pub(super) fn facts(windows: &WindowsFacts, line: &mut dyn FnMut(&str, Option<String>)) {
    let mut build = windows.build.to_string();
    if let Some(revision) = windows.revision {
        let _ = write!(build, ".{revision}");
    }
    if let Some(name) = &windows.display_version {
        let _ = write!(build, " ({name})");
    }
    if windows.build > 0 {
        line("build", Some(build));
    }
    line("service pack", windows.service_pack.clone());
    line("edition", windows.edition.clone());
    line("installation", windows.installation_type.clone());
    line("system root", Some(windows.system_root.to_string()));
    let sets: Vec<String> = windows.control_set_names().collect();
    if let Some((current, others)) = sets.split_first() {
        let mut text = format!("{current} boots");
        if !others.is_empty() {
            let _ = write!(text, "; {} may", others.join(", "));
        }
        line("control sets", Some(text));
    }
    line(
        "hibernated",
        windows.hibernated.then(|| {
            "yes: its file systems cannot be written to until it is shut down fully".to_owned()
        }),
    );
    line(
        "fast start-up",
        windows
            .fast_startup
            .then(|| "on: shutting it down may hibernate it".to_owned()),
    );
    line("WinRE", windows.winre.as_ref().map(ToString::to_string));
    line(
        "boots from",
        windows.esp.as_ref().map(|esp| {
            let mut text = esp.device.clone();
            if !esp.fallback {
                text.push_str(", which a machine without the old one's boot entries does not find");
            }
            if esp.no_graphics {
                text.push_str("; graphics are switched off (graphicsmodedisabled)");
            }
            text
        }),
    );
    line("read-only", windows.unwritable.clone());
    for problem in &windows.unreadable {
        line("problem", Some(problem.clone()));
    }
}

/// A change of the registry; `held` is what is there. `header` names the hive and the key first.
pub(super) fn diff(change: &Change, held: Option<&Held>, header: bool) -> String {
    let mut text = String::new();
    let Some((hive, key)) = change.key() else {
        return text;
    };
    let key = printable(key);
    let mut put = |sign: char, line: &str| {
        let style = if sign == '-' { REMOVED } else { ADDED };
        let _ = writeln!(text, "    {style}{sign} {line}{RESET}");
    };
    match change {
        Change::RegistrySet { name, value, .. } => {
            if let Some(Held::Value(old)) = held {
                put('-', &line(name, old));
            }
            put('+', &line(name, value));
        }
        Change::RegistryDelete {
            name: Some(name), ..
        } => {
            if let Some(Held::Value(old)) = held {
                put('-', &line(name, old));
            }
        }
        Change::RegistryDelete { name: None, .. } => {
            let below = match held {
                Some(Held::Key { keys, values }) if keys + values > 0 => {
                    format!(
                        " and all in it: {}, {}",
                        count(*keys, "key"),
                        count(*values, "value")
                    )
                }
                _ => String::new(),
            };
            put('-', &format!("[{key}]{below}"));
        }
        Change::RegistryCreate { .. } => put('+', &format!("[{key}]")),
        _ => {}
    }
    if header {
        text.insert_str(0, &format!("  {BOLD}{hive}{RESET} {DIM}[{key}]{RESET}\n"));
    }
    text
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// `"name"=data`, as "Registration Entries (.reg) files" have it; texts with variables and lists, which are
/// bytes there, are shown as texts.
fn line(name: &str, value: &Value) -> String {
    let name = if name.is_empty() {
        "@".to_owned()
    } else {
        quoted(name)
    };
    format!("{name}={}", data(value))
}

fn data(value: &Value) -> String {
    match (
        value.kind,
        value.as_str(),
        value.as_multi(),
        value.as_dword(),
    ) {
        (ValueKind::Sz, Some(text), ..) => quoted(&text),
        (ValueKind::ExpandSz, Some(text), ..) => format!("expand:{}", quoted(&text)),
        (ValueKind::MultiSz, _, Some(texts), _) => {
            let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
            format!("multi:[{}]", texts.join(", "))
        }
        (ValueKind::Dword, .., Some(number)) => format!("dword:{number:08x}"),
        (kind, ..) => {
            let bytes: Vec<String> = value
                .data
                .iter()
                .take(SHOWN)
                .map(|byte| format!("{byte:02x}"))
                .collect();
            let rest = match value.data.len().saturating_sub(SHOWN) {
                0 => String::new(),
                rest => format!(",... ({rest} more bytes)"),
            };
            let kind = match kind {
                ValueKind::Binary => String::new(),
                kind => format!("({:x})", kind.number()),
            };
            format!("hex{kind}:{}{rest}", bytes.join(","))
        }
    }
}

fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", printable(&text).replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use refit_engine::HiveName;

    fn plain(change: &Change, held: Option<&Held>) -> String {
        anstream::adapter::strip_str(&diff(change, held, true)).to_string()
    }

    #[test]
    fn changes_look_like_reg_files() {
        let key = "ControlSet001\\Services\\viostor".to_owned();
        let set = |name: &str, value| Change::RegistrySet {
            hive: HiveName::System,
            key: key.clone(),
            name: name.to_owned(),
            value,
        };
        for (change, held, expected) in [
            (
                set("Start", Value::dword(0)),
                Some(Held::Value(Value::dword(3))),
                "- \"Start\"=dword:00000003\n    + \"Start\"=dword:00000000\n",
            ),
            (
                set("", Value::expand_sz("%a%\\b")),
                None,
                "+ @=expand:\"%a%\\\\b\"\n",
            ),
            (
                set("l", Value::multi_sz(&["a", "b\x1b"])),
                None,
                "+ \"l\"=multi:[\"a\", \"b\\u{1b}\"]\n",
            ),
            (
                set("h", Value::binary([1, 255])),
                None,
                "+ \"h\"=hex:01,ff\n",
            ),
            (
                Change::RegistryDelete {
                    hive: HiveName::System,
                    key: key.clone(),
                    name: None,
                },
                Some(Held::Key { keys: 1, values: 7 }),
                "- [ControlSet001\\Services\\viostor] and all in it: 1 key, 7 values\n",
            ),
        ] {
            let shown = plain(&change, held.as_ref());
            let expected = format!("  SYSTEM [ControlSet001\\Services\\viostor]\n    {expected}");
            assert_eq!(shown, expected);
        }
    }
}
