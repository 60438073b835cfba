//! The stand-in for VMware Tools in Windows guests, under Wine.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::symlink;

use refit_tests::{Wine, firstboot};

const TOOLS: &str = "C:\\Program Files\\VMware\\VMware Tools";
const DOCUMENT: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
    <Environment xmlns=\"http://schemas.dmtf.org/ovf/environment/1\" xmlns:oe=\"http://schemas.dmtf.org/ovf/environment/1\" oe:id=\"app\">\n   \
    <PropertySection>\n         <Property oe:key=\"guestinfo.hostname\" oe:value=\"web &amp; more\"/>\n         \
    <Property oe:key=\"guestinfo.empty\" oe:value=\"\"/>\n   </PropertySection>\n</Environment>\n";

/// A Windows with the stand-in, and the drive that its medium will be in.
struct Appliance {
    wine: Wine,
}

impl Appliance {
    fn new() -> Self {
        let wine = Wine::new().unwrap();
        let tools = wine.c("Program Files/VMware/VMware Tools");
        fs::create_dir_all(&tools).unwrap();
        for name in ["vmtoolsd.exe", "rpctool.exe"] {
            fs::copy(firstboot("x86_64").unwrap(), tools.join(name)).unwrap();
        }
        // A drive that is no CD-ROM does not count, whatever its label.
        for (drive, kind) in [("q", "hd"), ("r", "cdrom"), ("s", "cdrom")] {
            let folder = wine.c(&format!("../{drive}-drive"));
            fs::create_dir(&folder).unwrap();
            symlink(&folder, wine.c(&format!("../dosdevices/{drive}:"))).unwrap();
            wine.registry(&format!(
                "[HKEY_LOCAL_MACHINE\\Software\\Wine\\Drives]\n\"{drive}:\"=\"{kind}\""
            ))
            .unwrap();
        }
        wine.power_off().unwrap();
        let appliance = Self { wine };
        appliance.medium("q", "OVF ENV", "not this one");
        appliance.medium("r", "TOOLS", "nor this one");
        appliance
    }

    fn medium(&self, drive: &str, label: &str, document: &str) {
        let folder = self.wine.c(&format!("../{drive}-drive"));
        fs::write(folder.join(".windows-label"), label).unwrap();
        fs::write(folder.join("ovf-env.xml"), document).unwrap();
    }

    /// Output, errors, exit code.
    fn ask(&self, words: &[&str]) -> (String, String, i32) {
        let program = format!("{TOOLS}\\{}", words[0]);
        let words: Vec<&str> = [program.as_str()]
            .into_iter()
            .chain(words[1..].iter().copied())
            .collect();
        let output = self.wine.run(&words).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (
            text(&output.stdout),
            text(&output.stderr),
            output.status.code().unwrap(),
        )
    }

    /// `vmtoolsd --cmd`: its output, or what it says when there is none.
    fn tools(&self, command: &str) -> Result<String, String> {
        match self.ask(&["vmtoolsd.exe", "--cmd", command]) {
            (out, errors, 0) if errors.is_empty() => Ok(out),
            (out, errors, 1) if out.is_empty() => Err(errors.trim_end().to_owned()),
            other => panic!("{command}: {other:?}"),
        }
    }
}

#[test]
fn scripts_get_from_the_medium_what_they_ask_vmware_tools_for() {
    let appliance = Appliance::new();
    let missing = Err("No value found".to_owned());
    let value = |text: &str| Ok(format!("{text}\r\n"));
    assert_eq!(
        appliance.tools("info-get guestinfo.ovfEnv"),
        missing,
        "no medium"
    );

    appliance.medium("s", "OVF ENV", DOCUMENT);
    let document = appliance.tools("info-get guestinfo.ovfEnv").unwrap();
    assert_eq!(document.trim_end(), DOCUMENT.trim_end());
    assert_eq!(appliance.tools("info-get GuestInfo.OVFENV"), Ok(document));
    assert_eq!(
        appliance.tools(" info-get  guestinfo.hostname "),
        value("web & more")
    );
    assert_eq!(
        appliance.ask(&["rpctool.exe", "info-get guestinfo.hostname"]),
        ("web & more\r\n".to_owned(), String::new(), 0)
    );
    for command in [
        "info-get guestinfo.empty",
        "info-get guestinfo.none",
        "info-get",
        "info-get x",
    ] {
        assert_eq!(appliance.tools(command), missing, "{command}");
    }
    assert_eq!(
        appliance.tools("machine.id.get"),
        Err("Unknown command".to_owned())
    );
    assert_eq!(
        appliance.tools("info-set machine x"),
        Err("Permission denied".to_owned())
    );
    let (out, _, code) = appliance.ask(&["vmtoolsd.exe", "-v"]);
    assert!(code == 0 && out.contains("stand-in"), "{out}");
    assert_eq!(
        appliance.ask(&["vmtoolsd.exe", "-n", "vmusr"]),
        Default::default()
    );
    assert_eq!(appliance.ask(&["rpctool.exe"]).2, 1);

    // What the guest sets outlasts a restart.
    assert_eq!(appliance.tools("info-set guestinfo.state a  b"), value(""));
    assert_eq!(appliance.tools("info-set guestinfo...\\..\\x y"), value(""));
    appliance.wine.power_off().unwrap();
    assert_eq!(appliance.tools("info-get guestinfo.STATE"), value("a  b"));
    let listed = appliance.tools("info-list").unwrap();
    let listed: Vec<&str> = listed.lines().collect();
    assert_eq!(
        listed,
        ["guestinfo.ovfEnv", "guestinfo...\\..\\x", "guestinfo.state"]
    );

    // What the descriptor sets for the machine lies beside the document, and is not hidden with it.
    let beside = appliance.wine.c("../s-drive/guestinfo.xml");
    fs::write(
        &beside,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<PropertySection>\n   \
         <Property oe:key=\"guestinfo.Role\" oe:value=\"db &lt;1&gt;\"/>\n   \
         <Property oe:key=\"guestinfo.state\" oe:value=\"theirs\"/>\n</PropertySection>\n",
    )
    .unwrap();
    assert_eq!(appliance.tools("info-get guestinfo.role"), value("db <1>"));
    assert_eq!(appliance.tools("info-get guestinfo.state"), value("a  b"));
    let listed = appliance.tools("info-list").unwrap();
    assert!(
        listed.contains("guestinfo.Role\r\n") && listed.matches("guestinfo.state").count() == 1,
        "{listed}"
    );
    fs::remove_file(beside).unwrap();
    let kept = appliance.wine.c("Program Files/refit/ovf-env");
    assert_eq!(
        fs::read_dir(kept).unwrap().count(),
        2,
        "nothing left the folder"
    );

    // Hidden with its properties, until another document comes.
    assert_eq!(appliance.tools("info-set guestinfo.ovfEnv"), value(""));
    assert_eq!(appliance.tools("info-get guestinfo.ovfEnv"), missing);
    assert_eq!(appliance.tools("info-get guestinfo.hostname"), missing);
    appliance.medium("s", "ovf_env", &DOCUMENT.replace("web", "db"));
    assert_eq!(
        appliance.tools("info-get guestinfo.hostname"),
        value("db & more")
    );
}
