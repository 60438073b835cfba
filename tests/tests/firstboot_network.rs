//! The first-boot service of Windows guests: network settings, and all of it before Windows Vista, under Wine.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

use refit_tests::{FirstBoot, Wine, wait_for};

/// The first network interface of this host with a static look: address, length and hardware address.
fn host_interface() -> Option<(String, String)> {
    let output = Command::new("ip")
        .args(["-4", "-o", "addr", "show", "scope", "global"])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut words = text.lines().next()?.split_whitespace();
    let name = words.nth(1)?;
    let address = words.nth(1)?.to_owned();
    let mac = fs::read_to_string(Path::new("/sys/class/net").join(name).join("address")).ok()?;
    Some((mac.trim().to_owned(), address))
}

const OLD: &str = "{AAAAAAAA-1111-2222-3333-444444444444}";
const INTERFACES: &str =
    "HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\Tcpip\\Parameters\\Interfaces";

/// An interface that the machine had, with a static address.
fn earlier_interface(wine: &Wine) {
    wine.registry(&format!(
        "[{INTERFACES}\\{OLD}]\n\"EnableDHCP\"=dword:0\n\"IPAddress\"=hex(7):{}\n\"SubnetMask\"=hex(7):{}\n\"NameServer\"=\"192.0.2.53\"\n\"Domain\"=\"example.com\"",
        multi("198.51.100.10"),
        multi("255.255.255.0"),
    ))
    .unwrap();
}

#[test]
fn settings_of_an_interface_are_found_by_its_hardware_address() {
    let Some((mac, address)) = host_interface() else {
        println!("this host has no network interface that Wine could show");
        return;
    };
    let wine = Wine::new().unwrap();
    let folder = FirstBoot::new(&wine);
    earlier_interface(&wine);
    // The addresses that it has, by Wine's netsh, which changes nothing.
    folder.task(
        "40-same.task",
        &format!("kind network\nmac {mac}\naddress {address}\nattempts 1"),
    );
    // Addresses that netsh does not set.
    folder.task(
        "41-other.task",
        &format!("kind network\nmac {mac}\naddress 198.51.100.9/24\nattempts 1\ntimeout 2"),
    );
    folder.task(
        "42-none.task",
        "kind network\nmac 02:00:00:00:00:99\ndhcp4 yes\nattempts 1\ntimeout 1",
    );
    folder.task(
        "43-present.task",
        &format!("kind network\nmac {mac}\nfrom-interface {OLD}\nattempts 1\ntimeout 2"),
    );
    assert_eq!(folder.boot(), 1, "{}", folder.read("log.txt"));
    assert_eq!(
        folder.results(),
        [
            "done 40-same.task",
            "failed 41-other.task",
            "failed 42-none.task",
            "failed 43-present.task"
        ]
    );
    let log = folder.read("log.txt");
    for line in [
        "source=static address=198.51.100.9 mask=255.255.255.0 gateway=none",
        "source=static address=198.51.100.10 mask=255.255.255.0 gateway=none",
        "no network interface with the address 02:00:00:00:00:99",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
}

#[test]
fn without_netsh_the_registry_is_written_for_the_next_start() {
    let Some((mac, _)) = host_interface() else {
        println!("this host has no network interface that Wine could show");
        return;
    };
    let wine = Wine::new().unwrap();
    let folder = FirstBoot::new(&wine);
    earlier_interface(&wine);
    // Without a netsh that works, the registry is written and a restart asked for.
    let netsh = wine.c("windows/system32/netsh.exe");
    fs::remove_file(&netsh).unwrap();
    fs::write(&netsh, "no program").unwrap();
    fs::create_dir_all(folder.path.join("tasks")).unwrap();
    folder.task(
        "44-move.task",
        &format!("kind network\nmac {mac}\nfrom-interface {OLD}"),
    );
    assert_eq!(
        folder.boot(),
        FirstBoot::RESTART,
        "{}",
        folder.read("log.txt")
    );
    let all = wine.query(INTERFACES).unwrap().unwrap();
    let (old, new): (Vec<&str>, Vec<&str>) = all.split("\n\n").partition(|key| key.contains(OLD));
    let (old, new) = (old.join("\n"), new.join("\n"));
    for value in [
        "IPAddress    REG_MULTI_SZ    198.51.100.10",
        "255.255.255.0",
        "192.0.2.53",
        "example.com",
    ] {
        assert!(new.contains(value), "{value}: {all}");
    }
    assert!(
        old.contains("EnableDHCP    REG_DWORD    0x1") && !old.contains("198.51.100.10"),
        "{all}"
    );
    assert_eq!(folder.boot(), 0, "{}", folder.read("log.txt"));
}

#[test]
fn windows_xp_64_is_served_without_netsh_and_newer_functions() {
    before_vista(&Wine::new().unwrap(), "winxp64");
}

#[test]
fn windows_xp_32_is_served_without_netsh_and_newer_functions() {
    before_vista(&Wine::new_32().unwrap(), "winxp");
}

/// Wine as Windows XP: the program takes the ways that it takes there.
fn before_vista(wine: &Wine, version: &str) {
    let folder = FirstBoot::new(wine);
    wine.registry(&format!(
        "[HKEY_CURRENT_USER\\Software\\Wine]\n\"Version\"=\"{version}\""
    ))
    .unwrap();
    wine.registry("[HKEY_LOCAL_MACHINE\\SOFTWARE\\Old\\a\\b\\c]\n\"x\"=\"y\"")
        .unwrap();
    // As a service, at the start of the system.
    folder.scripted("71-service", "", "exit /b 0");
    folder.register();
    wine.power_off().unwrap();
    wine.power_on().unwrap();
    wait_for("the service's end", || {
        !wine.has_service("refit-firstboot").unwrap()
    });
    wait_for("the files' removal", || folder.names().len() <= 2);
    assert_eq!(folder.results(), ["done 71-service.task"]);

    // In the console, several boots.
    let folder = FirstBoot::new(wine);
    fs::remove_file(folder.path.join("complete")).unwrap();
    // Its netsh knows other words, so none is started.
    fs::remove_file(wine.c("windows/system32/netsh.exe")).unwrap();
    folder.task("20-wait.task", "kind wait-pnp\ntimeout 30");
    folder.task(
        "35-registry.task",
        "kind registry\nkey HKLM\\SOFTWARE\\Old\\a\\b\ndelete-key yes",
    );
    folder.task("50-disks.task", "kind online-disks\ntimeout 2");
    folder.scripted("70-script", "", "exit /b 0");
    let mut expected = vec!["done 20-wait.task", "done 35-registry.task"];
    let mut boots = vec![0];
    let interface = host_interface();
    if let Some((mac, _)) = &interface {
        earlier_interface(wine);
        folder.task(
            "40-move.task",
            &format!(
                "kind network\nmac {mac}\nfrom-interface {OLD}\ngateway 198.51.100.1\n\
                 route 10.0.0.0/8 198.51.100.2\nwins 192.0.2.60\ntimeout 5"
            ),
        );
        folder.task(
            "41-six.task",
            &format!("kind network\nmac {mac}\naddress 2001:db8::1/64\nattempts 1\ntimeout 5"),
        );
        expected.extend(["done 40-move.task", "failed 41-six.task"]);
        boots = vec![FirstBoot::RESTART, 1];
    }
    expected.extend(["done 50-disks.task", "done 70-script.task"]);
    for code in boots {
        assert_eq!(folder.boot(), code, "{}", folder.read("log.txt"));
    }
    assert_eq!(folder.results(), expected, "{}", folder.read("complete"));
    assert_eq!(wine.query("HKLM\\SOFTWARE\\Old\\a\\b").unwrap(), None);
    assert!(wine.query("HKLM\\SOFTWARE\\Old\\a").unwrap().is_some());
    if interface.is_some() {
        let all = wine.query(INTERFACES).unwrap().unwrap();
        let (old, new): (Vec<&str>, Vec<&str>) =
            all.split("\n\n").partition(|key| key.contains(OLD));
        let (old, new) = (old.join("\n"), new.join("\n"));
        for value in [
            "EnableDHCP    REG_DWORD    0x0",
            "IPAddress    REG_MULTI_SZ    198.51.100.10",
            "SubnetMask    REG_MULTI_SZ    255.255.255.0",
            "DefaultGateway    REG_MULTI_SZ    198.51.100.1",
            "NameServer    REG_SZ    192.0.2.53",
            "Domain    REG_SZ    example.com",
        ] {
            assert!(new.contains(value), "{value}: {all}");
        }
        assert!(!old.contains("198.51.100.10"), "released: {all}");
        let parameters = INTERFACES.trim_end_matches("\\Interfaces");
        let routes = wine.query(&format!("{parameters}\\PersistentRoutes"));
        let routes = routes.unwrap().unwrap();
        assert!(
            routes.contains("10.0.0.0,255.0.0.0,198.51.100.2,1"),
            "{routes}"
        );
        let log = folder.read("log.txt");
        assert!(!log.contains("netsh"), "{log}");
        assert!(
            log.contains("IPv6 cannot be set on Windows before Vista"),
            "{log}"
        );
    }
}

/// One string as the bytes of a `REG_MULTI_SZ`, as `.reg` files have them.
fn multi(text: &str) -> String {
    let units = text.encode_utf16().chain([0, 0]).flat_map(u16::to_le_bytes);
    units
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .join(",")
}
