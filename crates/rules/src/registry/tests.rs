//! Edits of the registry, on hives.

use std::fs;

use refit_engine::backend::RootBackend;
use refit_engine::{Change, Guest, Hints, Request};
use refit_hive::{Hive, Value};

use super::find;
use crate::FixupToml;

const HEAD: &str = "id = \"t\"\nsummary = \"s\"\nphase = \"user\"\n";

fn hive(values: &[(&str, &str, Value)]) -> Vec<u8> {
    let mut hive = Hive::new();
    for (key, name, value) in values {
        hive.set_value(key, name, value).unwrap();
    }
    hive.into_bytes()
}

/// The changes that these rules make of a small Windows.
fn changes(rules: &str) -> Vec<String> {
    let fixup = FixupToml::parse(&format!("{HEAD}{rules}"), "fixup.toml").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("Windows/System32/config");
    fs::create_dir_all(&config).unwrap();
    let user = dir.path().join("Users/ann");
    fs::create_dir_all(&user).unwrap();
    let order = "System\\NetworkProvider\\Order";
    let system = hive(&[
        ("Select", "Current", Value::dword(1)),
        ("Select", "LastKnownGood", Value::dword(2)),
        ("ControlSet001\\Services\\vmci", "Start", Value::dword(0)),
        ("ControlSet002\\Services\\vmci", "Start", Value::dword(0)),
        ("ControlSet001\\Services\\vmbus", "Start", Value::dword(0)),
        (
            "ControlSet001\\Class\\{4d36e96f-e325-11ce-bfc1-08002be10318}",
            "UpperFilters",
            Value::multi_sz(&["vmmouse", "mouclass"]),
        ),
        (
            order,
            "ProviderOrder",
            Value::sz("vmhgfs,RDPNP,LanmanWorkstation"),
        ),
    ]);
    let software = hive(&[
        ("Uninstall\\{A}", "DisplayName", Value::sz("VMware Tools")),
        ("Uninstall\\{B}", "DisplayName", Value::sz("Other")),
        ("Run", "VMware User Process", Value::sz("x")),
        ("Run", "Mine", Value::sz("y")),
    ]);
    fs::write(config.join("SYSTEM"), system).unwrap();
    fs::write(config.join("SOFTWARE"), software).unwrap();
    fs::write(
        user.join("ntuser.dat"),
        hive(&[("Run", "x", Value::sz("y"))]),
    )
    .unwrap();
    let backend = RootBackend::open(dir.path()).unwrap();
    let mut guest = Guest::inspect(&backend, &Hints::default()).unwrap();
    let request = Request::default();
    let plan = |guest: &Guest<'_>| {
        let proposal = fixup.rules.plan(guest, &request, &fixup.info).unwrap();
        match proposal.verdict {
            refit_engine::Verdict::Change { changes, .. } => changes,
            _ => Vec::new(),
        }
    };
    let first = plan(&guest);
    guest.stage(&first).unwrap();
    assert!(plan(&guest).is_empty(), "a second time");
    first.iter().map(shown).collect()
}

fn shown(change: &Change) -> String {
    let data = match change {
        Change::RegistrySet { value, .. } => {
            let text = value
                .as_str()
                .or_else(|| value.as_multi().map(|all| all.join("|")));
            format!(" = {}", text.unwrap_or_else(|| format!("{:?}", value.data)))
        }
        _ => String::new(),
    };
    format!("{change}{data}")
}

#[test]
fn edits_are_made_where_they_belong() {
    for (rule, expected) in [
        (
            r"{ hive = 'SYSTEM', key = 'ControlSet\Services\VMCI', remove = true }",
            &[
                r"registry-delete SYSTEM: ControlSet001\\Services\\vmci",
                r"registry-delete SYSTEM: ControlSet002\\Services\\vmci",
            ][..],
        ),
        (
            r"{ hive = 'SYSTEM', key = 'ControlSet\Services\vmci', set = { name = 'start', dword = 4 } }",
            &[
                r#"registry-set SYSTEM: ControlSet001\\Services\\vmci, value "start" = [4, 0, 0, 0]"#,
                r#"registry-set SYSTEM: ControlSet002\\Services\\vmci, value "start" = [4, 0, 0, 0]"#,
            ],
        ),
        (
            r"{ hive = 'SYSTEM', key = 'ControlSet\Class\{4D36E96F-*}', remove-items = { name = 'UpperFilters', items = 'VMMOUSE' } }",
            &[
                r#"registry-set SYSTEM: ControlSet001\\Class\\{4d36e96f-e325-11ce-bfc1-08002be10318}, value "UpperFilters" = mouclass"#,
            ],
        ),
        (
            r"{ hive = 'SYSTEM', key = 'System\NetworkProvider\Order', remove-items = { name = 'ProviderOrder', items = ['vmhgfs'] } }",
            &[
                r#"registry-set SYSTEM: System\\NetworkProvider\\Order, value "ProviderOrder" = RDPNP,LanmanWorkstation"#,
            ],
        ),
        (
            r"{ hive = 'SYSTEM', key = 'ControlSet\Class\{*}', remove-items = { name = 'UpperFilters', items = ['*'] } }",
            &[
                r#"registry-delete SYSTEM: ControlSet001\\Class\\{4d36e96f-e325-11ce-bfc1-08002be10318}, value "UpperFilters""#,
            ],
        ),
        (
            r"{ hive = 'SOFTWARE', key = 'Uninstall\*', if-value = { name = 'displayname', matching = 'vmware*' }, remove = true }",
            &[r"registry-delete SOFTWARE: Uninstall\\{A}"],
        ),
        (
            r"{ hive = 'SOFTWARE', key = 'Run', remove-values = 'VMware *' }",
            &[r#"registry-delete SOFTWARE: Run, value "VMware User Process""#],
        ),
        (
            r"{ hive = 'USERS', key = 'run', remove-values = 'x' }",
            &[r#"registry-delete /Users/ann/ntuser.dat: Run, value "x""#],
        ),
        (
            r"{ hive = 'SOFTWARE', key = 'New\Key', set = { name = '', list = ['a', 'b'] } }",
            &[r#"registry-set SOFTWARE: New\\Key, value "" = a|b"#],
        ),
        (
            r"{ hive = 'SOFTWARE', key = 'Uninstall\{A}', remove-if-empty = true }",
            &[],
        ),
        (r"{ hive = 'DRIVERS', key = 'x', remove = true }", &[]),
    ] {
        let found = changes(&format!("[[rule]]\nregistry = {rule}\n"));
        assert_eq!(found, expected, "{rule}");
    }
}

#[test]
fn a_key_emptied_by_one_edit_is_removed_by_the_next() {
    let found = changes(
        "[[rule]]\n[[rule.registry]]\nhive = 'SOFTWARE'\nkey = 'Run'\nremove-values = '*'\n\
         [[rule.registry]]\nhive = 'SOFTWARE'\nkey = 'Run'\nremove-if-empty = true\n",
    );
    assert_eq!(found.last().unwrap(), "registry-delete SOFTWARE: Run");
}

#[test]
fn conditions_look_at_keys_and_values() {
    for (test, expected) in [
        (
            r"{ hive = 'SYSTEM', key = 'ControlSet\Services\vmci' }",
            true,
        ),
        (
            r"{ hive = 'SYSTEM', key = 'ControlSet\Services\none' }",
            false,
        ),
        (
            r"{ hive = 'SYSTEM', key = 'ControlSet\Services\vm*', name = 'Start', matching = '0' }",
            true,
        ),
        (
            r"{ hive = 'SYSTEM', key = 'ControlSet\Services\vm*', name = 'Start', matching = '3' }",
            false,
        ),
        (
            r"{ hive = 'SYSTEM', key = 'ControlSet\Class\*', name = 'UpperFilters', matching = 'mouclass' }",
            true,
        ),
        (r"{ hive = 'USERS', key = 'Run', name = 'x' }", true),
    ] {
        let rule = format!(
            "[[rule]]\nwhen.registry = {test}\nregistry = {{ hive = 'SOFTWARE', key = 'Mark', set = {{ name = 'm', dword = 1 }} }}\n"
        );
        assert_eq!(!changes(&rule).is_empty(), expected, "{test}");
    }
}

#[test]
fn patterns_know_two_signs_and_no_case() {
    for (pattern, name, expected) in [
        ("a*c", "abbc", true),
        ("a*c", "abbcd", false),
        ("*b*b", "abxb", true),
        ("?", "Ä", true),
        ("Ä", "ä", true),
        ("{A}", "{a}", true),
        ("[ab]", "a", false),
        ("", "", true),
        ("*", "", true),
        ("a?", "a", false),
    ] {
        assert_eq!(find::fits(pattern, name), expected, "{pattern} {name}");
    }
}

#[test]
fn edits_that_make_no_sense_are_refused() {
    for (rule, expected) in [
        (
            r"{ hive = 'SYSTEM', key = 'CurrentControlSet\x', remove = true }",
            "hive's",
        ),
        (
            r"{ hive = 'SYSTEM', key = 'HKEY_LOCAL_MACHINE\x', remove = true }",
            "hive's",
        ),
        (
            r"{ hive = 'SYSTEM', key = '\x', remove = true }",
            "is no key",
        ),
        (r"{ hive = 'SYSTEM', key = 'x' }", "give one of"),
        (
            r"{ hive = 'SYSTEM', key = 'x', remove = true, remove-if-empty = true }",
            "give one of",
        ),
        (
            r"{ hive = 'SYSTEM', key = 'x', set = { name = 'a' } }",
            "give one of `dword`",
        ),
        (
            r"{ hive = 'SYSTEM', key = 'x', set = { name = 'a', hex = '0' } }",
            "hexadecimal",
        ),
        (
            r"{ hive = 'SYSTEM', key = 'x\*', set = { name = 'a', dword = 0 } }",
            "names no new key",
        ),
        (
            r"{ hive = 'SAM', key = 'x', remove = true }",
            "unknown variant",
        ),
    ] {
        let text = format!("{HEAD}[[rule]]\nregistry = {rule}\n");
        let error = FixupToml::parse(&text, "fixup.toml").unwrap_err();
        assert!(error.to_string().contains(expected), "{rule}: {error}");
    }
}
