//! The operating systems of a guest, as the appliance's own inspection log lists them. virt-v2v's
//! error only says that there are several.

use crate::errors::RootChoice;

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
        if line == DESCRIPTION {
            self.describing = true;
            self.products.clear();
        } else if let Some(list) = answer(line) {
            self.devices = list
                .split(", ")
                .take(MAX_ROOTS)
                .map(|quoted| quoted.trim_matches('"').to_owned())
                .collect();
        } else if !self.describing {
        } else if let Some(fact) = line.strip_prefix("    ") {
            if let (Some(product), Some(last)) = (
                fact.strip_prefix("product_name: "),
                self.products.last_mut(),
            ) {
                product.clone_into(last);
            }
        } else if line.ends_with("):") && self.products.len() < MAX_ROOTS {
            self.products.push(String::new());
        } else {
            self.describing = false;
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

/// `libguestfs: trace: v2v: inspect_os = ["/dev/sda1", "/dev/sda2"]`
fn answer(line: &str) -> Option<&str> {
    // An unfinished line of the console may stand before it.
    let (_, trace) = line.split_once("libguestfs: trace: ")?;
    let (_, list) = trace.split_once(ANSWER)?;
    list.strip_suffix(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_systems_of_a_real_log() {
        let mut roots = Roots::default();
        for line in include_str!("../fixtures/two-systems.stderr.log").lines() {
            roots.line(line);
        }
        let found = roots.found();
        let found: Vec<_> = found
            .iter()
            .map(|root| (root.device.as_str(), root.product.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("/dev/sda1", "Debian GNU/Linux 12"),
                ("/dev/sda2", "Fedora Linux 39")
            ]
        );
    }

    #[test]
    fn the_console_may_be_interrupted() {
        let line = "    palibguestfs: trace: v2v: inspect_os = [\"/dev/sda1\", \"/dev/sda2\"]";
        assert_eq!(answer(line), Some("\"/dev/sda1\", \"/dev/sda2\""));
        assert_eq!(answer("libguestfs: trace: v2v: inspect_os"), None);
    }
}
