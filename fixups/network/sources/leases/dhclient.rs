//! The lease database of ISC dhclient (dhclient.leases(5), "LEASE DECLARATIONS" in
//! dhclient.conf(5)).

use std::net::IpAddr;

use super::{Entry, Parsed, mac_of_client_text};
use crate::network::sources::values;

/// Reads a database: a log, in which a later lease replaces an earlier one. Leases without an
/// interface, which only a person can write, are left out; so is one that the end of the file cuts
/// off.
pub(super) fn parse(text: &str) -> Parsed {
    let mut database = Database::default();
    let mut tokens = Tokens { text, line: 1 };
    let mut words: Vec<String> = Vec::new();
    while let Some(token) = tokens.next() {
        match token {
            Token::Word(word) => words.push(word),
            Token::End => database.statement(&std::mem::take(&mut words)),
            Token::Open => database.open(&std::mem::take(&mut words)),
            Token::Close => {
                words.clear();
                if !database.close() {
                    let reason = "a closing brace that closes nothing".to_owned();
                    database.parsed.problems.push((Some(tokens.line), reason));
                }
            }
        }
    }
    if !database.blocks.is_empty() {
        let reason = "the file ends inside of a lease, which is left out".to_owned();
        database.parsed.problems.push((Some(tokens.line), reason));
    }
    database.parsed
}

/// What a brace opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    /// `lease` and `lease6`.
    Lease,
    /// `ia-na` and `ia-ta`: identity associations of DHCPv6.
    Association,
    /// `iaaddr` in one of them.
    Address,
    /// Anything else, `alias` and `ia-pd` among it.
    Other,
}

#[derive(Debug, Default)]
struct Database {
    blocks: Vec<Block>,
    lease: Declarations,
    parsed: Parsed,
}

/// One lease while it is read.
#[derive(Debug, Default)]
struct Declarations {
    interface: Option<String>,
    fixed_address: Option<IpAddr>,
    renew: Option<i64>,
    expire: Option<i64>,
    lease_time: Option<i64>,
    client_identifier: Option<String>,
    /// Those of DHCPv6, each with the time when it was obtained.
    addresses: Vec<(IpAddr, Option<i64>)>,
}

impl Database {
    fn open(&mut self, words: &[String]) {
        let keyword = words.first().map(String::as_str);
        let block = match (self.blocks.last(), keyword) {
            (None, Some("lease" | "lease6")) => {
                self.lease = Declarations::default();
                Block::Lease
            }
            (Some(Block::Lease), Some("ia-na" | "ia-ta")) => Block::Association,
            (Some(Block::Association), Some("iaaddr")) => {
                let address = words.get(1).and_then(|text| values::address(text));
                self.lease
                    .addresses
                    .extend(address.map(|address| (address, None)));
                match address {
                    Some(_) => Block::Address,
                    None => Block::Other,
                }
            }
            _ => Block::Other,
        };
        self.blocks.push(block);
    }

    fn statement(&mut self, words: &[String]) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let lease = &mut self.lease;
        match (self.blocks.last(), words.as_slice()) {
            (Some(Block::Lease), ["interface", name]) => lease.interface = Some((*name).to_owned()),
            (Some(Block::Lease), ["fixed-address", address]) => {
                lease.fixed_address = values::address(address);
            }
            (Some(Block::Lease), ["renew", date @ ..]) => lease.renew = time(date),
            (Some(Block::Lease), ["expire", date @ ..]) => lease.expire = time(date),
            (Some(Block::Lease), ["option", "dhcp-lease-time", seconds]) => {
                lease.lease_time = seconds.parse().ok();
            }
            (Some(Block::Lease), ["option", "dhcp-client-identifier", identifier]) => {
                lease.client_identifier = Some((*identifier).to_owned());
            }
            (Some(Block::Address), ["starts", seconds]) => {
                if let Some((_, starts)) = lease.addresses.last_mut() {
                    *starts = seconds.parse().ok();
                }
            }
            _ => {}
        }
    }

    /// Whether there was a block to close.
    fn close(&mut self) -> bool {
        let closed = self.blocks.pop();
        if closed != Some(Block::Lease) {
            return closed.is_some();
        }
        let lease = std::mem::take(&mut self.lease);
        let Some(interface) = lease.interface else {
            return true;
        };
        let obtained = match (lease.expire, lease.lease_time) {
            (Some(expire), Some(duration)) => Some(expire.saturating_sub(duration)),
            // A lease without end has no lease time to subtract.
            (expire, _) => lease.renew.or(expire),
        };
        let identifier = lease.client_identifier.as_deref();
        let mac = identifier.and_then(mac_of_client_text);
        let fixed = lease.fixed_address.map(|address| (address, obtained));
        for (address, obtained) in fixed.into_iter().chain(lease.addresses) {
            self.parsed.entries.push(Entry {
                name: Some(interface.clone()),
                address,
                mac,
                obtained,
            });
        }
        true
    }
}

/// A date, in seconds since the epoch: `WEEKDAY YEAR/MONTH/DAY HOUR:MINUTE:SECOND` in UTC, or
/// `epoch SECONDS`; `None` for `never` and for what is no date.
fn time(words: &[&str]) -> Option<i64> {
    let (date, clock) = match words {
        ["epoch", seconds] => return seconds.parse().ok(),
        [_weekday, date, clock] => (date, clock),
        _ => return None,
    };
    let [year, month, day] = numbers(date, '/')?;
    let [hour, minute, second] = numbers(clock, ':')?;
    let valid = (1..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    // Years that begin in March have the leap day at their end.
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year;
    const DAYS_TO_1970: i64 = 719_468;
    valid.then_some(((days - DAYS_TO_1970) * 24 + hour) * 3600 + minute * 60 + second)
}

fn numbers(text: &str, separator: char) -> Option<[i64; 3]> {
    let mut parts = text.split(separator);
    let mut next = || parts.next()?.parse::<u16>().ok().map(i64::from);
    let numbers = [next()?, next()?, next()?];
    parts.next().is_none().then_some(numbers)
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    /// A bare word, or what is between quotes.
    Word(String),
    Open,
    Close,
    /// A semicolon.
    End,
}

/// Words, quoted strings and punctuation; comments from `#` to the end of the line are passed over.
struct Tokens<'t> {
    text: &'t str,
    line: usize,
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        loop {
            let first = self.text.chars().next()?;
            match first {
                '#' => self.skip(self.text.find('\n').unwrap_or(self.text.len())),
                '{' | '}' | ';' => {
                    self.skip(1);
                    return Some(match first {
                        '{' => Token::Open,
                        '}' => Token::Close,
                        _ => Token::End,
                    });
                }
                '"' => return Some(self.quoted()),
                // A comma only stands between the values of an option.
                c if c == ',' || c.is_whitespace() => self.skip(c.len_utf8()),
                _ => {
                    let end = self
                        .text
                        .find(|c: char| c.is_whitespace() || "{};\",#".contains(c));
                    let end = end.unwrap_or(self.text.len());
                    let word = self.text[..end].to_owned();
                    self.skip(end);
                    return Some(Token::Word(word));
                }
            }
        }
    }
}

impl Tokens<'_> {
    fn skip(&mut self, bytes: usize) {
        let (skipped, rest) = self.text.split_at(bytes);
        self.line += skipped.bytes().filter(|byte| *byte == b'\n').count();
        self.text = rest;
    }

    /// Escapes only matter as far as they hide the closing quote: no value that is used has any.
    fn quoted(&mut self) -> Token {
        let mut escaped = false;
        let inner = &self.text[1..];
        let end = inner.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let word = inner[..end.unwrap_or(inner.len())].to_owned();
        self.skip(end.map_or(self.text.len(), |end| end + 2));
        Token::Word(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> (Vec<String>, usize) {
        let parsed = parse(text);
        let entries = parsed.entries.iter().map(|entry| {
            let name = entry.name.as_deref().unwrap_or("-");
            let time = entry
                .obtained
                .map_or("-".to_owned(), |time| time.to_string());
            format!("{name} {} {time}", entry.address)
        });
        (entries.collect(), parsed.problems.len())
    }

    #[test]
    fn a_log_of_leases() {
        let text = "default-duid \"\\000\\001\\\"{;\\\\\";\nlease {\n  interface \"eth0\";\n  \
            fixed-address 192.0.2.10;\n  option routers 192.0.2.1, 192.0.2.2;\n  \
            option dhcp-lease-time 3600;\n  option domain-name \"a;} b\";\n  \
            option dhcp-client-identifier 1:0:50:56:aa:bb:1;\n  \
            renew 3 2024/03/14 12:02:54;\n  rebind 3 2024/03/14 12:32:35;\n  \
            expire 3 2024/03/14 12:40:05;\n}\n# fixed-address 192.0.2.99;\nlease {\n  bootp;\n  \
            interface \"eth1\"; fixed-address 192.0.2.11;\n  renew epoch 1710417774; # Thu\n  \
            expire never;\n}\n";
        let expected = ["eth0 192.0.2.10 1710416405", "eth1 192.0.2.11 1710417774"];
        assert_eq!(shown(text), (expected.map(str::to_owned).to_vec(), 0));
        let mac = parse(text).entries[0].mac.unwrap();
        assert_eq!(mac.to_string(), "00:50:56:aa:bb:01");
    }

    #[test]
    fn leases_of_dhcpv6() {
        let text = "lease6 {\n  interface \"ens192\";\n  ia-na 56:aa:bb:01 {\n    \
            starts 1700000000;\n    renew 3600;\n    iaaddr 2001:db8::10 {\n      \
            starts 1700000100;\n      preferred-life 7200;\n      max-life 7500;\n    }\n    \
            iaaddr 2001:db8::11 { released; }\n  }\n  ia-pd 1 { iaprefix 2001:db8:1::/64 { starts 1; } }\n  \
            option dhcp6.name-servers 2001:db8::53;\n}\n";
        let expected = ["ens192 2001:db8::10 1700000100", "ens192 2001:db8::11 -"];
        assert_eq!(shown(text), (expected.map(str::to_owned).to_vec(), 0));
    }

    #[test]
    fn what_is_left_out() {
        for (text, problems) in [
            ("", 0),
            ("lease { fixed-address 192.0.2.1; }", 0),
            ("lease { interface \"eth0\"; }", 0),
            ("lease { interface \"eth0\"; fixed-address 192.0.2; }", 0),
            ("alias { interface \"eth0\"; fixed-address 192.0.2.1; }", 0),
            (
                "x { lease { interface \"eth0\"; fixed-address 192.0.2.1; } }",
                0,
            ),
            ("lease { interface \"eth0\"; fixed-address 192.0.2.1;", 1),
            ("lease { interface \"eth0; fixed-address 192.0.2.1; }", 1),
            ("}}", 2),
            ("iaaddr 2001:db8::1 { }", 0),
            ("lease { interface \"eth0\"; iaaddr 2001:db8::1 { } }", 0),
        ] {
            assert_eq!(shown(text), (Vec::new(), problems), "{text}");
        }
        assert_eq!(shown(&"lease {".repeat(100_000)).1, 1);
        assert_eq!(shown(&"\u{fffd}\0\"\\".repeat(1000)).0, [""; 0]);
    }

    #[test]
    fn dates() {
        for (words, expected) in [
            (&["0", "1970/1/1", "00:00:00"][..], Some(0)),
            (&["4", "2024/02/29", "23:59:59"], Some(1_709_251_199)),
            (&["6", "2016/12/31", "00:33:39"], Some(1_483_144_419)),
            (&["epoch", "1234567890"], Some(1_234_567_890)),
            (&["never"], None),
            (&["0", "1970/13/1", "00:00:00"], None),
            (&["0", "1970/1", "00:00:00"], None),
            (&["0", "1970/1/1", "24:00:00"], None),
            (&["0", "99999999/1/1", "00:00:00"], None),
            (&["0", "-1/1/1", "00:00:00"], None),
            (&[], None),
        ] {
            assert_eq!(time(words), expected, "{words:?}");
        }
    }
}
