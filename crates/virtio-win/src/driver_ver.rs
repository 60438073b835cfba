//! `DriverVer`: the date and version by which Windows ranks drivers.

use std::fmt;

/// The `DriverVer` directive of an INF file: Windows takes the later date first, then the higher
/// version ("How Windows Ranks Drivers", Windows driver documentation).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DriverVer {
    /// Year, month and day.
    pub date: (u16, u8, u8),
    /// The four parts of the version; those that are not given are 0.
    pub version: [u32; 4],
}

impl DriverVer {
    /// Reads `mm/dd/yyyy` and `w.x.y.z`, the two fields of the directive; also `mm-dd-yyyy`.
    #[must_use]
    pub fn parse(date: &str, version: &str) -> Option<Self> {
        let mut parts = date.trim().split(['/', '-']);
        let month: u8 = parts.next()?.trim().parse().ok()?;
        let day: u8 = parts.next()?.trim().parse().ok()?;
        let year: u16 = parts.next()?.trim().parse().ok()?;
        if parts.next().is_some() || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        let mut numbers = [0; 4];
        if !version.trim().is_empty() {
            let mut parts = version.trim().split('.');
            for number in &mut numbers {
                let Some(part) = parts.next() else { break };
                *number = part.trim().parse().ok()?;
            }
            if parts.next().is_some() {
                return None;
            }
        }
        Some(Self {
            date: (year, month, day),
            version: numbers,
        })
    }

    /// The Windows that virtio-win built a driver for, as (major, minor): the first part of the version
    /// is 51, 52, 60, 61, 62, 63 or 100 in every driver of the project, and nothing else in the INF file
    /// says it. `None` if the version does not follow that.
    #[must_use]
    pub fn built_for(&self) -> Option<(u32, u32)> {
        match self.version[0] {
            number @ (51 | 52 | 60..=63 | 100) => Some((number / 10, number % 10)),
            _ => None,
        }
    }
}

/// As in the INF file.
impl fmt::Display for DriverVer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date;
        let [a, b, c, d] = self.version;
        write!(f, "{month:02}/{day:02}/{year:04},{a}.{b}.{c}.{d}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_versions_are_read() {
        let cases = [
            (
                "02/23/2022",
                "100.90.104.21700",
                "02/23/2022,100.90.104.21700",
            ),
            (" 9-5-2018", " 1.01.01.0001 ", "09/05/2018,1.1.1.1"),
            ("01/01/2008", "", "01/01/2008,0.0.0.0"),
            ("07/17/2013", "5.1", "07/17/2013,5.1.0.0"),
        ];
        for (date, version, expected) in cases {
            assert_eq!(
                DriverVer::parse(date, version).unwrap().to_string(),
                expected
            );
        }
        for (date, version) in [
            ("", ""),
            ("2022", "1.0"),
            ("13/01/2022", "1"),
            ("1/2/3/4", "1"),
            ("1/2/2003", "1.2.3.4.5"),
            ("1/2/2003", "a"),
            ("1/2/2003", "99999999999"),
        ] {
            assert_eq!(DriverVer::parse(date, version), None, "{date},{version}");
        }
    }

    #[test]
    fn the_date_counts_before_the_version() {
        let ver = |date, version| DriverVer::parse(date, version).unwrap();
        assert!(ver("07/21/2023", "62.93") > ver("02/23/2022", "100.90"));
        assert!(ver("02/23/2022", "100.90") > ver("02/23/2022", "62.90"));
    }

    #[test]
    fn the_version_tells_what_it_was_built_for() {
        for (version, expected) in [
            ("51.64.104.4800", Some((5, 1))),
            ("61.77.104.17200", Some((6, 1))),
            ("100.101.104.28500", Some((10, 0))),
            ("10.0.0.21000", None),
            ("5.1.0.10018", None),
        ] {
            assert_eq!(
                DriverVer::parse("1/1/2020", version).unwrap().built_for(),
                expected
            );
        }
    }
}
