//! Tables of names and hardware addresses that are older than udev's rules.

use refit_machine::Mac;

use crate::network::model::is_device_name;

/// `NAME mac ADDRESS` lines of `iftab(5)`; other selectors beside `mac` do not matter, lines
/// without one, or whose name or address is a pattern, are passed over. Gives the line's number
/// too.
pub(super) fn parse_iftab(text: &str) -> Vec<(usize, Mac, String)> {
    lines(text)
        .filter_map(|(number, name, rest)| {
            let at = rest.iter().position(|word| *word == "mac")?;
            Some((number, rest.get(at + 1)?.parse().ok()?, name))
        })
        .collect()
}

/// `NAME ADDRESS` lines of `nameif(8)`, in BusyBox also `NAME mac=ADDRESS`.
pub(super) fn parse_mactab(text: &str) -> Vec<(usize, Mac, String)> {
    lines(text)
        .filter_map(|(number, name, rest)| {
            let mac = rest
                .iter()
                .find_map(|word| word.strip_prefix("mac=").unwrap_or(word).parse().ok())?;
            Some((number, mac, name))
        })
        .collect()
}

/// Number, first word and other words of each line that names a device.
fn lines(text: &str) -> impl Iterator<Item = (usize, String, Vec<&str>)> {
    text.lines().enumerate().filter_map(|(index, line)| {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let name = words
            .next()
            .filter(|name| is_device_name(name) && !name.contains(['*', '?', '%']))?;
        Some((index + 1, name.to_owned(), words.collect()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables() {
        let mac: Mac = "00:50:56:aa:bb:01".parse().unwrap();
        assert_eq!(
            parse_iftab(
                "# comment\neth0 mac 00:50:56:AA:BB:01\n\neth1 driver e1000 mac 00:50:56:aa:bb:01 # x\n\
                 eth* mac 00:50:56:aa:bb:01\neth2 mac 00:50:*\neth3 driver e1000\neth4 mac\n"
            ),
            [(2, mac, "eth0".to_owned()), (4, mac, "eth1".to_owned())]
        );
        assert_eq!(
            parse_mactab(
                "eth0 00:50:56:AA:BB:01\n#eth1 00:50:56:AA:BB:01\nlan0 mac=00:50:56:aa:bb:01\nx driver=e1000\n"
            ),
            [(1, mac, "eth0".to_owned()), (3, mac, "lan0".to_owned())]
        );
    }
}
