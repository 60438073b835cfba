//! The operating systems of a guest, as the appliance's own inspection log lists them. virt-v2v's
//! error only says that there are several.

use crate::errors::RootChoice;

/// Starts what the library says of its calls.
pub(crate) const TRACE: &str = "libguestfs: trace: ";
/// The daemon says in verbose mode that it takes a call.
const NEXT_CALL: &str = "guestfsd: <= ";
/// libguestfs's trace of the answer: device names as the caller knows them.
const ANSWER: &str = " inspect_os = [";
/// The line after which the appliance describes them, in the same order (daemon/inspect.ml). Its
/// own device names may differ: it counts its own disk, too.
const DESCRIPTION: &str = "inspect_get_roots: roots:";
/// More are not listed: nobody could choose.
const MAX_ROOTS: usize = 32;

/// Watches the log for the list.
#[derive(Debug, Default)]
pub(crate) struct Roots {
    describing: bool,
    products: Vec<String>,
    devices: Vec<String>,
}

impl Roots {
    /// Takes one line of the log.
    pub(crate) fn line(&mut self, line: &str) {
        if let Some(list) = answer(line) {
            self.devices = list
                .split(", ")
                .take(MAX_ROOTS)
                .map(|quoted| quoted.trim_matches('"').to_owned())
                .collect();
        }
        // The console comes through qemu, so the library's own words overtake it and cut its lines.
        let line = line.split(TRACE).next().unwrap_or_default();
        if line == DESCRIPTION {
            self.describing = true;
            self.products.clear();
        } else if line.starts_with(NEXT_CALL) {
            self.describing = false;
        } else if !self.describing {
        } else if let Some(product) = line.strip_prefix("    product_name: ") {
            if let Some(last) = self.products.last_mut() {
                product.clone_into(last);
            }
        } else if is_device(line) && self.products.len() < MAX_ROOTS {
            self.products.push(String::new());
        }
    }

    /// What was listed last.
    pub(crate) fn found(&self) -> Vec<RootChoice> {
        let described = self.products.len() == self.devices.len();
        let choice = |(index, device): (usize, &String)| RootChoice {
            device: device.clone(),
            product: self
                .products
                .get(index)
                .filter(|_| described)
                .cloned()
                .unwrap_or_default(),
        };
        self.devices.iter().enumerate().map(choice).collect()
    }
}

/// `/dev/sda1 (ext4):`
fn is_device(line: &str) -> bool {
    line.ends_with("):") && (line.starts_with("/dev/") || line.starts_with("btrfsvol:/dev/"))
}

/// `libguestfs: trace: v2v: inspect_os = ["/dev/sda1", "/dev/sda2"]`
fn answer(line: &str) -> Option<&str> {
    // An unfinished line of the console may stand before it.
    let (_, trace) = line.split_once(TRACE)?;
    let (_, list) = trace.split_once(ANSWER)?;
    list.strip_suffix(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_systems_of_real_logs() {
        for (log, products) in [
            (
                include_str!("../fixtures/two-systems.stderr.log"),
                ["Debian GNU/Linux 12", "Fedora Linux 39"],
            ),
            (
                include_str!("../fixtures/two-systems-2.10.0.stderr.log"),
                ["The debian", "The fedora"],
            ),
        ] {
            let mut roots = Roots::default();
            for line in log.lines() {
                roots.line(line);
            }
            let found = roots.found();
            let found: Vec<_> = found
                .iter()
                .map(|root| (root.device.as_str(), root.product.as_str()))
                .collect();
            assert_eq!(
                found,
                [("/dev/sda1", products[0]), ("/dev/sda2", products[1])]
            );
        }
    }

    #[test]
    fn the_library_overtakes_the_console() {
        let mut roots = Roots::default();
        for line in [
            "inspect_get_roots: roots:",
            "/dev/sda2 (ntfs):",
            "    product_name: Windows Server 2022",
            "    windows_system_hive: /Wilibguestfs: trace: v2v: inspect_os = [\"/dev/sda2\", \"/dev/sdb1\"]",
            "libguestfs: trace: v2v: inspect_get_format \"/dev/sda2\"",
            "guestfsd: => inspect_os (0x1e0) took 2.39 secs",
            "ndows/System32/config/SYSTEM",
            "/dev/sdb1 (ext4):",
            "    product_name: Debian GNU/Linux 12",
        ] {
            roots.line(line);
        }
        let products: Vec<_> = roots.found().into_iter().map(|root| root.product).collect();
        assert_eq!(products, ["Windows Server 2022", "Debian GNU/Linux 12"]);
    }

    #[test]
    fn the_console_may_be_interrupted() {
        let line = "    palibguestfs: trace: v2v: inspect_os = [\"/dev/sda1\", \"/dev/sda2\"]";
        assert_eq!(answer(line), Some("\"/dev/sda1\", \"/dev/sda2\""));
        assert_eq!(answer("libguestfs: trace: v2v: inspect_os"), None);
    }
}
