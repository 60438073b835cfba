//! Rules on small guest trees: what they change, and that a second time they change nothing.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;

use refit_engine::backend::RootBackend;
use refit_engine::{
    Fixup, Guest, Hints, Info, Planned, Proposal, Request, Selection, VerdictKind, plan,
};

use crate::FixupToml;

const HEAD: &str = "id = \"t\"\nsummary = \"s\"\nphase = \"user\"\n";

struct Declared(FixupToml);

impl Fixup for Declared {
    fn info(&self) -> &Info {
        &self.0.info
    }

    fn plan(&self, guest: &Guest<'_>, request: &Request) -> anyhow::Result<Proposal> {
        self.0.rules.plan(guest, request, &self.0.info)
    }
}

/// A guest tree: files by path; a content that begins with `->` makes a link.
fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, content) in [("/etc/fstab", "")].iter().chain(files) {
        let path = dir.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match content.strip_prefix("->") {
            Some(target) => symlink(target, path).unwrap(),
            None => fs::write(path, content).unwrap(),
        }
    }
    dir
}

fn planned(files: &[(&str, &str)], rules: &str, given: &[(&str, toml::Value)]) -> Planned {
    let fixup = Declared(FixupToml::parse(&format!("{HEAD}{rules}"), "fixup.toml").unwrap());
    let dir = tree(files);
    let backend = RootBackend::open(dir.path()).unwrap();
    let mut guest = Guest::inspect(&backend, &Hints::default()).unwrap();
    let given = given
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()));
    let request = Request {
        parameters: BTreeMap::from([("t".to_owned(), given.collect())]),
        ..Request::default()
    };
    let selection = Selection::default();
    let fixups: [&dyn Fixup; 1] = [&fixup];
    let first = plan(&mut guest, &fixups, &selection, &request).remove(0);
    assert_ne!(first.verdict, VerdictKind::Failed, "{}", first.reason);
    let second = plan(&mut guest, &fixups, &selection, &request).remove(0);
    assert!(second.changes.is_empty(), "a second time: {second:#?}");
    first
}

fn changes(files: &[(&str, &str)], rules: &str) -> Vec<String> {
    let planned = planned(files, rules, &[]);
    let mut lines: Vec<String> = planned.changes.iter().map(ToString::to_string).collect();
    lines.sort();
    lines
}

#[test]
fn conditions_decide() {
    let guest = [
        (
            "/etc/os-release",
            "ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"22.04\"\n",
        ),
        ("/etc/agent.conf", "# agent\n  mode = on  \n"),
    ];
    let cases: [(&str, bool); 17] = [
        ("distro = \"debian\"", true),
        ("distro = [\"rhel\", \"ubuntu\"]", true),
        ("distro = \"rhel\"", false),
        ("os = \"linux\"", true),
        ("os = \"windows\"", false),
        ("version = \">= 20, < 23\"", true),
        ("version = \"24\"", false),
        ("init = \"openrc\"", false),
        ("exists = \"/etc/*.conf\"", true),
        ("exists = \"/opt/x\"", false),
        ("package = \"*\"", false),
        (
            "contains = { file = \"/etc/*.conf\", line = \"mode = on\" }",
            true,
        ),
        (
            "contains = { file = \"/etc/*.conf\", matching = \"# (a|b).*\" }",
            true,
        ),
        (
            "contains = { file = \"/etc/*.conf\", matching = \"agent\" }",
            false,
        ),
        (
            "any = [{ os = \"windows\" }, { distro = \"ubuntu\" }]",
            true,
        ),
        ("not = { distro = \"ubuntu\" }", false),
        ("not = { distro = \"ubuntu\", version = \"24\" }", true),
    ];
    for (condition, holds) in cases {
        let rules = format!("[when]\n{condition}\n[[rule]]\nremove = \"/etc/agent.conf\"\n");
        let planned = planned(&guest, &rules, &[]);
        let expected = if holds {
            VerdictKind::Change
        } else {
            VerdictKind::NotApplicable
        };
        assert_eq!(planned.verdict, expected, "{condition}: {}", planned.reason);
        let rules = format!("[[rule]]\nwhen.{condition}\nremove = \"/etc/agent.conf\"\n");
        let changed = !self::planned(&guest, &rules, &[]).changes.is_empty();
        assert_eq!(changed, holds, "{condition} in a rule");
    }
}

#[test]
fn parameters_switch_rules_and_fill_strings() {
    let rules = "[parameters.all]\ntype = \"bool\"\ndefault = false\ndoc = \"d\"\n\
                 [parameters.name]\ntype = \"string\"\ndefault = \"a\"\ndoc = \"d\"\n\
                 [[rule]]\nremove = \"/opt/${name}/*\"\n\
                 [[rule]]\nwhen.param.all = true\nremove = \"/opt/c\"\n";
    let guest = [("/opt/a/x", ""), ("/opt/*/x", ""), ("/opt/c/x", "")];
    let removed = |given: &[(&str, toml::Value)]| {
        let planned = planned(&guest, rules, given);
        let paths = planned
            .changes
            .iter()
            .map(|change| change.path().unwrap().to_string());
        paths.collect::<Vec<_>>()
    };
    assert_eq!(removed(&[]), ["/opt/a/x"]);
    let star = toml::Value::String("*".to_owned());
    assert_eq!(removed(&[("name", star)]), ["/opt/*/x"]);
    let all = toml::Value::Boolean(true);
    assert_eq!(removed(&[("all", all)]), ["/opt/a/x", "/opt/c"]);
}

const DPKG: &str = "Package: base\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n\
                    Maintainer: m\nDescription: d\n\n";

#[test]
fn what_a_package_owns_stays() {
    let guest = [
        ("/var/lib/dpkg/status", DPKG),
        (
            "/var/lib/dpkg/info/base.list",
            "/.\n/opt\n/opt/base\n/opt/base/lib\n/opt/base/lib/own\n",
        ),
        ("/opt/base/lib/own", ""),
        ("/opt/base/lib/other", ""),
        ("/opt/base/tree/a/b", ""),
        ("/opt/other/a", ""),
    ];
    let rules = "[[rule]]\nremove = [\"/opt/base\", \"/opt/other\"]\n";
    assert_eq!(
        changes(&guest, rules),
        [
            "remove /opt/base/lib/other",
            "remove /opt/base/tree",
            "remove /opt/other"
        ]
    );
    let planned = planned(&guest, rules, &[]);
    assert!(planned.warnings[0].contains("/opt/base/lib/own (base)"));
    assert_eq!(
        changes(&guest, &format!("{rules}owned = \"remove\"\n")),
        ["remove /opt/base", "remove /opt/other"]
    );
}

#[test]
fn the_top_of_the_tree_is_never_removed() {
    let fixup = format!("{HEAD}[[rule]]\nremove = \"/e*\"\n");
    let fixup = Declared(FixupToml::parse(&fixup, "fixup.toml").unwrap());
    let dir = tree(&[]);
    let backend = RootBackend::open(dir.path()).unwrap();
    let guest = Guest::inspect(&backend, &Hints::default()).unwrap();
    let error = fixup.plan(&guest, &Request::default()).unwrap_err();
    assert!(
        format!("{error:#}").contains("/etc is at the top"),
        "{error:#}"
    );
}

const SYSTEMD: (&str, &str) = ("/sbin/init", "->../usr/lib/systemd/systemd");

#[test]
fn services_of_systemd() {
    let guest = [
        ("/usr/lib/systemd/systemd", ""),
        SYSTEMD,
        (
            "/usr/lib/systemd/system/agent.service",
            "[Install]\nWantedBy=multi-user.target\nAlias=ag.service\n",
        ),
        (
            "/etc/systemd/system/multi-user.target.wants/agent.service",
            "->/usr/lib/systemd/system/agent.service",
        ),
        (
            "/etc/systemd/system/ag.service",
            "->/usr/lib/systemd/system/agent.service",
        ),
        (
            "/etc/systemd/system/multi-user.target.wants/other.service",
            "->/usr/lib/systemd/system/other.service",
        ),
        (
            "/usr/lib/systemd/system/new.service",
            "[Unit]\nWantedBy=x\n[Install]\nWantedBy=multi-user.target\n",
        ),
    ];
    let gone = [
        "remove /etc/systemd/system/ag.service",
        "remove /etc/systemd/system/multi-user.target.wants/agent.service",
    ];
    assert_eq!(
        changes(&guest, "[[rule]]\ndisable-services = \"agent\"\n"),
        gone
    );
    assert_eq!(
        changes(
            &guest,
            "[[rule]]\nmask-services = [\"age*.service\", \"absent\"]\n"
        ),
        ["link /etc/systemd/system/agent.service", gone[0], gone[1]]
    );
    assert_eq!(
        changes(&guest, "[[rule]]\nenable-services = [\"new\", \"agent\"]\n"),
        ["link /etc/systemd/system/multi-user.target.wants/new.service"]
    );
}

#[test]
fn services_of_other_systems() {
    let sysv = [
        (
            "/etc/rc.d/init.d/agent",
            "#!/bin/sh\n# chkconfig: 35 20 80\n",
        ),
        ("/etc/init.d", "->rc.d/init.d"),
        ("/etc/rc3.d", "->rc.d/rc3.d"),
        ("/etc/rc.d/rc3.d/S20agent", "->../init.d/agent"),
        ("/etc/rc.d/rc3.d/S21gone", "->../init.d/gone"),
        ("/etc/rc.d/rc5.d/K80agent", "->../init.d/agent"),
    ];
    assert_eq!(
        changes(
            &sysv,
            "[[rule]]\ndisable-services = [\"agent\", \"gone\"]\n"
        ),
        [
            "link /etc/rc.d/rc3.d/K80agent",
            "remove /etc/rc.d/rc3.d/S20agent",
            "remove /etc/rc.d/rc3.d/S21gone"
        ]
    );
    assert_eq!(
        changes(&sysv, "[[rule]]\nenable-services = \"agent\"\n"),
        [
            "link /etc/rc.d/rc5.d/S20agent",
            "remove /etc/rc.d/rc5.d/K80agent"
        ]
    );
    let openrc = [
        ("/etc/init.d/agent", ""),
        ("/etc/runlevels/default/agent", "->/etc/init.d/agent"),
        ("/etc/runlevels/boot/other", "->/etc/init.d/other"),
    ];
    assert_eq!(
        changes(&openrc, "[[rule]]\nmask-services = \"agent\"\n"),
        ["remove /etc/runlevels/default/agent"]
    );
}

#[test]
fn modules_beside_the_kernels_own() {
    let guest = [
        (
            "/lib/modules/3.0/kernel/net/vsock.ko",
            "author=VMware, Inc.",
        ),
        ("/lib/modules/3.0/misc/vsock.ko", "author=VMware, Inc."),
        ("/lib/modules/3.0/misc/vmci.ko", "author=somebody"),
        (
            "/lib/modules/4.0/weak-updates/vsock.ko",
            "->/lib/modules/3.0/misc/vsock.ko",
        ),
        (
            "/lib/modules/3.0/modules.dep",
            "kernel/net/vsock.ko:\nmisc/vsock.ko: misc/vmci.ko\nmisc/vmci.ko:\n",
        ),
        ("/lib/modules/3.0/modules.dep.bin", "x"),
    ];
    let rules =
        "[[rule]]\nremove-modules = [\"vsock\", \"vmci\"]\nmodule-text = \"VMware, Inc.\"\n";
    let planned = planned(&guest, rules, &[]);
    let expected: [refit_engine::Change; 3] = [
        refit_engine::Change::Remove {
            path: "/lib/modules/3.0/misc/vsock.ko".into(),
        },
        refit_engine::Change::Write {
            path: "/lib/modules/3.0/modules.dep".into(),
            content: b"kernel/net/vsock.ko:\nmisc/vmci.ko:\n".to_vec(),
            mode: None,
        },
        refit_engine::Change::Remove {
            path: "/lib/modules/4.0/weak-updates/vsock.ko".into(),
        },
    ];
    assert_eq!(planned.changes, expected);
    assert!(planned.warnings[0].contains("depmod -a 3.0"));
}

#[test]
fn modules_that_others_are_loaded_with_stay_where_depmod_cannot_run() {
    let guest = [
        ("/lib/modules/6.1/kernel/vhost_vsock.ko", ""),
        ("/lib/modules/6.1/kernel/vsock.ko", ""),
        ("/lib/modules/6.1/misc/vsock.ko", ""),
        ("/lib/modules/6.1/misc/vmci.ko", ""),
        ("/lib/modules/6.1/misc/vmhgfs.ko", ""),
        (
            "/lib/modules/6.1/modules.dep",
            "kernel/vhost_vsock.ko: misc/vsock.ko misc/vmci.ko\nmisc/vsock.ko: misc/vmci.ko\n\
             /lib/modules/6.1/misc/vmhgfs.ko: misc/vmci.ko\nmisc/vmci.ko:\n",
        ),
    ];
    let rules = "[[rule]]\nremove-modules = [\"vsock\", \"vmci\", \"vmhgfs\"]\n";
    assert_eq!(
        changes(&guest, rules),
        [
            "remove /lib/modules/6.1/misc/vmhgfs.ko",
            "write /lib/modules/6.1/modules.dep"
        ]
    );
    let warnings = planned(&guest, rules, &[]).warnings;
    assert!(warnings[0].contains("left vmci, vsock"), "{warnings:?}");
}

#[test]
fn files_links_lines_and_settings() {
    let guest = [
        ("/etc/a", "one\ntwo\n"),
        ("/etc/same", "x"),
        ("/etc/link", "->a"),
    ];
    let rules = "[[rule]]\n\
        write = [{ path = \"/etc/same\", content = \"x\" }, { path = \"/opt/n\", content = \"y\", mode = \"0600\" }]\n\
        link = [{ path = \"/etc/link\", target = \"a\" }, { path = \"/etc/l2\", target = \"same\" }]\n\
        line = [{ file = \"/etc/link\", remove = \"two\" }, { file = \"/etc/a\", add = \"three\" }]\n\
        setting = { file = \"/etc/a\", key = \"K\", value = \"v\" }\n";
    let planned = planned(&guest, rules, &[]);
    assert_eq!(planned.changes.len(), 3, "{:#?}", planned.changes);
    let content = b"one\nthree\nK=v\n".to_vec();
    assert!(planned.changes.contains(&refit_engine::Change::Write {
        path: "/etc/a".into(),
        content,
        mode: None
    }));
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    for (rules, parts) in [
        ("[[rule]]\nwhy = \"x\"\n", &["line 4", "does nothing"][..]),
        ("[[rule]]\nremove = \"opt/x\"\n", &["remove", "absolute"]),
        (
            "[[rule]]\nremove = \"/a/[\"\n",
            &["remove", "/a/[", "pattern"],
        ),
        ("[[rule]]\nremove = \"/${x}\"\n", &["remove", "`x`"]),
        (
            "[[rule]]\nwhen.param.x = 1\nremove = \"/a\"\n",
            &["param", "`x`"],
        ),
        (
            "[[rule]]\nwhen.version = \"new\"\nremove = \"/a\"\n",
            &["version", "new"],
        ),
        (
            "[[rule]]\nwhen.init = \"runit\"\nremove = \"/a\"\n",
            &["init", "systemd"],
        ),
        (
            "[[rule]]\nwrite = { path = \"/a\", content = \"\", mode = \"9\" }\n",
            &["mode", "octal"],
        ),
        ("[[rule]]\nline = { file = \"/a\" }\n", &["line", "`add`"]),
        (
            "[[rule]]\nline = { file = \"/a\", add = \"b\", remove-matching = \"c\" }\n",
            &["second run"],
        ),
        (
            "[[rule]]\nwrite = { path = \"/a\" }\n",
            &["missing field `content`"],
        ),
        (
            "[[rule]]\n\n[[rule]]\nremove = 1\n",
            &["line 7", "one element or a list"],
        ),
    ] {
        let error = FixupToml::parse(&format!("{HEAD}{rules}"), "d/fixup.toml").unwrap_err();
        let shown = error.to_string();
        for part in ["d/fixup.toml"].iter().chain(parts) {
            assert!(shown.contains(part), "{part} is not in: {shown}");
        }
    }
}

#[test]
fn packages_that_cannot_go_block_only_where_it_matters() {
    let package = |name: &str, depends: &str| {
        format!(
            "Package: {name}\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n\
             {depends}Maintainer: m\nDescription: d\n\n"
        )
    };
    let status = [
        package("agent", ""),
        package("agent-gui", ""),
        package("appliance", "Depends: agent\n"),
    ]
    .concat();
    let list = "/.\n";
    let mut guest = vec![
        ("/var/lib/dpkg/status", status.as_str()),
        (
            "/var/lib/dpkg/info/agent.list",
            "/.\n/usr\n/usr/lib\n/usr/lib/systemd\n/usr/lib/systemd/system\n/usr/lib/systemd/system/agent.service\n",
        ),
        ("/var/lib/dpkg/info/agent-gui.list", list),
        ("/var/lib/dpkg/info/appliance.list", list),
    ];
    let rules = "[[rule]]\nremove-packages = \"agent*\"\nmask-services = \"agent\"\n";
    let first = planned(&guest, rules, &[]);
    assert!(
        first
            .warnings
            .iter()
            .any(|warning| warning.contains("appliance")),
        "{first:#?}"
    );
    let status = first.changes.iter().find_map(|change| match change {
        refit_engine::Change::Write { content, .. } => Some(String::from_utf8_lossy(content)),
        _ => None,
    });
    let status = status.expect("the database is written");
    assert!(status.contains("Package: agent\n") && !status.contains("agent-gui"));

    guest.push(("/usr/lib/systemd/systemd", ""));
    guest.push(SYSTEMD);
    guest.push(("/usr/lib/systemd/system/agent.service", ""));
    let rules = "[[rule]]\nremove-packages = \"agent\"\nmask-services = \"agent\"\n";
    let masked = planned(&guest, rules, &[]);
    assert_eq!(masked.changes.len(), 1, "{masked:#?}");
    assert!(
        masked.warnings[0].contains("only kept from starting"),
        "{masked:#?}"
    );
    let rules = "[[rule]]\nremove-packages = \"agent\"\n";
    let blocked = planned(&guest, rules, &[]);
    assert_eq!(blocked.verdict, VerdictKind::Blocked);
    assert!(blocked.reason.contains("appliance"), "{}", blocked.reason);
}

#[test]
fn a_guest_with_nothing_to_do_is_fine() {
    let planned = planned(&[], "[[rule]]\nremove = \"/opt/x\"\n", &[]);
    assert_eq!(planned.verdict, VerdictKind::Fine);
}
