//! The stand-in for VMware Tools under the shells of real guests.

#![allow(clippy::unwrap_used)] // helpers of tests may panic too

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

const DOCUMENT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Environment
     xmlns="http://schemas.dmtf.org/ovf/environment/1"
     xmlns:oe="http://schemas.dmtf.org/ovf/environment/1"
     oe:id="">
   <PropertySection>
         <Property oe:key="guestinfo.hostname" oe:value="web1"/>
         <Property oe:key="guestinfo.note" oe:value="a &amp; &lt;b&gt; &quot;c&quot; &amp;lt;"/>
   </PropertySection>
</Environment>
"#;

struct Machine {
    dir: tempfile::TempDir,
    shell: &'static [&'static str],
}

impl Machine {
    fn new(shell: &'static [&'static str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("ovf-env/guestinfo.sh");
        for name in ["vmtoolsd", "vmware-rpctool", "vmware-guestd"] {
            symlink(&script, dir.path().join(name)).unwrap();
        }
        fs::create_dir(dir.path().join("medium")).unwrap();
        let machine = Self { dir, shell };
        machine.insert(DOCUMENT);
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn insert(&self, document: &str) {
        fs::write(self.path("medium/ovf-env.xml"), document).unwrap();
    }

    /// Exit code, standard output and error.
    fn run(&self, program: &str, arguments: &[&str]) -> (i32, String, String) {
        let output = Command::new(self.shell[0])
            .args(&self.shell[1..])
            .arg(self.path(program))
            .args(arguments)
            .env("REFIT_OVF_ENV_STATE", self.path("state"))
            .env("REFIT_OVF_ENV_MEDIUM", self.path("medium"))
            .env("REFIT_OVF_ENV_KEPT", self.path("kept"))
            .env("REFIT_OVF_ENV_DMI", "/dev/null")
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code().unwrap(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    fn get(&self, key: &str) -> (i32, String, String) {
        self.run("vmware-rpctool", &[&format!("info-get {key}")])
    }
}

fn answered(text: &str) -> (i32, String, String) {
    (0, text.to_owned(), String::new())
}

fn missing() -> (i32, String, String) {
    (1, String::new(), "No value found\n".to_owned())
}

#[test]
fn what_is_kept_in_the_guest_answers_where_there_is_no_medium() {
    for shell in SHELLS {
        let machine = Machine::new(shell);
        let kept = machine.path("kept");
        fs::create_dir(&kept).unwrap();
        fs::write(
            kept.join("ovf-env.xml"),
            DOCUMENT.replace("web1", "kept-here"),
        )
        .unwrap();
        assert_eq!(machine.get("guestinfo.hostname"), answered("web1\n"));
        fs::remove_file(machine.path("medium/ovf-env.xml")).unwrap();
        assert_eq!(machine.get("guestinfo.hostname"), answered("kept-here\n"));
        assert_eq!(machine.get("guestinfo.nothing"), missing());
    }
}

const SHELLS: [&[&str]; 3] = [&["sh"], &["bash"], &["busybox", "sh"]];

#[test]
fn it_answers_as_the_real_programs_do() {
    for shell in SHELLS {
        let machine = Machine::new(shell);
        for (program, arguments) in [
            ("vmtoolsd", &["--cmd", "info-get guestinfo.ovfEnv"][..]),
            ("vmtoolsd", &["--cmd=info-get guestinfo.ovfenv"]),
            ("vmware-guestd", &["--cmd", " info-get  guestinfo.OVFENV "]),
            ("vmware-rpctool", &["info-get guestinfo.ovfEnv"]),
            ("vmware-rpctool", &["info-get", "guestinfo.ovfEnv"]),
        ] {
            assert_eq!(
                machine.run(program, arguments),
                answered(DOCUMENT),
                "{shell:?}"
            );
        }
        assert_eq!(machine.get("guestinfo.hostname"), answered("web1\n"));
        assert_eq!(
            machine.get("guestinfo.note"),
            answered("a & <b> \"c\" &lt;\n")
        );
        for key in [
            "guestinfo.nothing",
            "guestinfo.host.*",
            "hostname",
            "",
            "machine.id",
        ] {
            assert_eq!(machine.get(key), missing(), "{shell:?} {key}");
        }
        let unknown = machine.run("vmtoolsd", &["--cmd", "frobnicate"]);
        assert_eq!(unknown, (1, String::new(), "Unknown command\n".to_owned()));
        // As a daemon it has nothing to do.
        assert_eq!(machine.run("vmtoolsd", &[]), answered(""));
        fs::remove_file(machine.path("medium/ovf-env.xml")).unwrap();
        assert_eq!(machine.get("guestinfo.ovfEnv"), missing());
    }
}

#[test]
fn what_the_guest_sets_counts_and_nothing_of_it_is_run() {
    for shell in SHELLS {
        let machine = Machine::new(shell);
        let evil = "$(touch evil) `touch evil`; touch evil & %s \\n 'x' \"y\"";
        let set = format!("info-set guestinfo.../../x;y {evil}");
        assert_eq!(machine.run("vmtoolsd", &["--cmd", &set]), answered("\n"));
        let value = machine.get("guestinfo.../../x;y");
        assert_eq!(value, answered(&format!("{evil}\n")), "{shell:?}");
        assert!(!Path::new("evil").exists());
        let mut names: Vec<_> = fs::read_dir(machine.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(
            names,
            [
                "medium",
                "state",
                "vmtoolsd",
                "vmware-guestd",
                "vmware-rpctool"
            ]
        );
        let (code, list, _) = machine.run("vmware-rpctool", &["info-list"]);
        assert_eq!(
            (code, list.as_str()),
            (0, "guestinfo.ovfEnv\nguestinfo.../../x;y\n")
        );
        let refused = machine.run("vmtoolsd", &["--cmd", "info-set other.key x"]);
        assert_eq!(refused.0, 1);
    }
}

#[test]
fn a_cleared_environment_stays_cleared_until_another_one_comes() {
    for shell in SHELLS {
        let machine = Machine::new(shell);
        let clear = machine.run("vmtoolsd", &["--cmd", "info-set guestinfo.ovfEnv "]);
        assert_eq!(clear, answered("\n"), "{shell:?}");
        assert_eq!(machine.get("guestinfo.ovfEnv"), missing());
        assert_eq!(machine.get("guestinfo.hostname"), missing());
        let other = DOCUMENT.replace("web1", "web2");
        machine.insert(&other);
        assert_eq!(machine.get("guestinfo.ovfEnv"), answered(&other));
        assert_eq!(machine.get("guestinfo.hostname"), answered("web2\n"));
        // The same one again is still cleared.
        machine.insert(DOCUMENT);
        assert_eq!(machine.get("guestinfo.ovfEnv"), missing());
        machine.run("vmtoolsd", &["--cmd", "info-set guestinfo.ovfEnv NULL"]);
        assert_eq!(machine.get("guestinfo.ovfEnv"), answered("NULL\n"));
    }
}

#[test]
fn settings_beside_the_document_are_answered_too() {
    let settings = r#"<?xml version="1.0" encoding="UTF-8"?>
<PropertySection
     xmlns="http://schemas.dmtf.org/ovf/environment/1"
     xmlns:oe="http://schemas.dmtf.org/ovf/environment/1">
   <Property oe:key="guestinfo.role" oe:value="db &amp; web"/>
   <Property oe:key="guestinfo.Hostname" oe:value="of the machine"/>
</PropertySection>
"#;
    for shell in SHELLS {
        let machine = Machine::new(shell);
        fs::write(machine.path("medium/guestinfo.xml"), settings).unwrap();
        assert_eq!(machine.get("guestinfo.ROLE"), answered("db & web\n"));
        // They come before a property of the same key, which VMware does not answer with at all.
        assert_eq!(
            machine.get("guestinfo.hostname"),
            answered("of the machine\n")
        );
        assert_eq!(machine.get("guestinfo.other"), missing(), "{shell:?}");
        assert_eq!(
            machine.run("vmtoolsd", &["--cmd", "info-list"]),
            answered("guestinfo.ovfEnv\nguestinfo.role\nguestinfo.Hostname\n")
        );
        assert_eq!(
            machine.get("guestinfo.ovfEnv"),
            answered(DOCUMENT),
            "{shell:?}"
        );
        // A guest that clears the document keeps them, and one that clears them loses them.
        machine.run("vmtoolsd", &["--cmd", "info-set guestinfo.ovfEnv "]);
        assert_eq!(machine.get("guestinfo.note"), missing());
        assert_eq!(machine.get("guestinfo.role"), answered("db & web\n"));
        machine.run("vmtoolsd", &["--cmd", "info-set guestinfo.role "]);
        assert_eq!(machine.get("guestinfo.role"), missing());
        assert_eq!(
            machine.run("vmtoolsd", &["--cmd", "info-list"]),
            answered("guestinfo.Hostname\n"),
            "{shell:?}"
        );
        // A machine with settings alone.
        fs::remove_file(machine.path("medium/ovf-env.xml")).unwrap();
        assert_eq!(
            machine.get("guestinfo.hostname"),
            answered("of the machine\n")
        );
    }
}
