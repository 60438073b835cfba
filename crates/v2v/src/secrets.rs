//! Command lines without their secrets, for logs.

use std::borrow::Cow;

/// Stands for a secret.
const HIDDEN: &str = "***";
/// What a secret stands behind in the values of `--key` (`ID:key:SECRET`), `--password` (`USER:password:SECRET`) and their
/// like, at the start or behind a colon.
const SELECTORS: &[&str] = &["key:", "password:"];
/// What a secret stands behind in the values of `-io` and `-oo`: `vddk-cookie=SECRET`.
const SETTINGS: &[&str] = &["password=", "cookie="];

/// A word of a command line with `***` in place of what must not be in a log: `all:key:***`. Names of options do not
/// count, because they may be shortened.
#[must_use]
pub fn masked(word: &str) -> Cow<'_, str> {
    let secret = in_value(word)
        .map(|start| (start, word.len()))
        .or_else(|| in_url(word));
    match secret.and_then(|(start, end)| Some((word.get(..start)?, word.get(end..)?))) {
        Some((before, behind)) => Cow::Owned(format!("{before}{HIDDEN}{behind}")),
        None => Cow::Borrowed(word),
    }
}

/// Where the secret of a value begins, be it a word of its own or behind `--option=`.
fn in_value(word: &str) -> Option<usize> {
    let value = match word.find('=') {
        Some(equals) if word.starts_with('-') => equals + 1,
        _ => 0,
    };
    let text = word.get(value..)?;
    let selected = SELECTORS.iter().flat_map(|selector| {
        text.match_indices(selector).filter_map(|(at, _)| {
            let before = text.get(..at)?;
            (before.is_empty() || before.ends_with(':')).then_some(at + selector.len())
        })
    });
    let set = SETTINGS
        .iter()
        .filter_map(|setting| Some(text.find(setting)? + setting.len()));
    selected.chain(set).min().map(|start| value + start)
}

/// The password of `scheme://USER:PASSWORD@HOST/`.
fn in_url(word: &str) -> Option<(usize, usize)> {
    let authority = word.find("://")? + "://".len();
    let rest = word.get(authority..)?;
    let length = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let user = rest.get(..length)?.rfind('@')?;
    let colon = rest.get(..user)?.find(':')?;
    Some((authority + colon + 1, authority + user))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_is_hidden() {
        for (word, shown) in [
            ("all:key:geheim", "all:key:***"),
            ("--key=/dev/sda2:key:geheim:er", "--key=/dev/sda2:key:***"),
            ("password:geheim", "password:***"),
            ("locked:password:geheim", "locked:password:***"),
            (
                "--root-password=password:geheim",
                "--root-password=password:***",
            ),
            ("root:password:password:geheim", "root:password:***"),
            ("vddk-cookie=geheim", "vddk-cookie=***"),
            ("os-password=geheim", "os-password=***"),
            ("-io=vddk-cookie=geheim", "-io=vddk-cookie=***"),
            (
                "esx://root:geheim@esx/?no_verify=1",
                "esx://root:***@esx/?no_verify=1",
            ),
            (
                "vpx://a%40b:geh@eim@[::1]:443/x",
                "vpx://a%40b:***@[::1]:443/x",
            ),
        ] {
            assert_eq!(masked(word), shown);
        }
        for word in [
            "--key",
            "all:file:/etc/luks/a",
            "all:clevis",
            "--password",
            "--password-file",
            "--password=root:file:/password",
            "root:file:/run/key",
            "/disks/monkey:1.img",
            "vpx://root@vcenter:443/dc/host?no_verify=1",
            "http://host:80/a@b",
            "00:50:56:aa:bb:01:ip:1.2.3.4,,24",
        ] {
            assert_eq!(masked(word), word);
        }
    }
}
