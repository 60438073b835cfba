//! Numbers, texts and times as ECMA-119 has them.

/// Bytes of a logical sector (ECMA-119 6.1.2).
pub(crate) const SECTOR: usize = 2048;

/// How many sectors so many bytes take. The caller has limited them.
pub(crate) fn sectors(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(SECTOR)).unwrap_or(u32::MAX)
}

/// Fills the last sector with zeros.
pub(crate) fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(SECTOR), 0);
}

/// A number in both byte orders (ECMA-119 7.2.3).
pub(crate) fn both16(value: u16) -> [u8; 4] {
    let [a, b] = value.to_le_bytes();
    [a, b, b, a]
}

/// A number in both byte orders (ECMA-119 7.3.3).
pub(crate) fn both32(value: u32) -> [u8; 8] {
    let [a, b, c, d] = value.to_le_bytes();
    [a, b, c, d, d, c, b, a]
}

/// UCS-2 in big-endian order, as Joliet has all texts.
pub(crate) fn ucs2(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// A point in time, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time {
    year: u16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
}

impl Time {
    /// From seconds since 1970; what the fields cannot say becomes the nearest that they can.
    pub(crate) fn new(seconds: i64) -> Self {
        // 2155-12-31 23:59:59, the last second of a directory record's year.
        let seconds = u64::try_from(seconds).unwrap_or(0).min(5_869_583_999);
        let (mut days, rest) = (seconds / 86_400, seconds % 86_400);
        let mut year = 1970;
        let leap = |year: u16| {
            (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400)
        };
        let length = |year| if leap(year) { 366 } else { 365 };
        while days >= length(year) {
            days -= length(year);
            year += 1;
        }
        let february = if leap(year) { 29 } else { 28 };
        let mut month = 1;
        for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
            if days < length {
                break;
            }
            days -= length;
            month += 1;
        }
        // All below 256 by now.
        #[expect(clippy::cast_possible_truncation, reason = "at most 60")]
        let small = |value: u64| value as u8;
        Self {
            year,
            month,
            day: small(days + 1),
            hour: small(rest / 3600),
            minute: small(rest / 60 % 60),
            second: small(rest % 60),
        }
    }

    /// Of a directory record (ECMA-119 9.1.5); the last byte is the offset from UTC.
    pub(crate) fn short(self) -> [u8; 7] {
        let year = u8::try_from(self.year - 1900).unwrap_or(u8::MAX);
        [
            year,
            self.month,
            self.day,
            self.hour,
            self.minute,
            self.second,
            0,
        ]
    }

    /// Of a volume descriptor (ECMA-119 8.4.26.1).
    pub(crate) fn long(self) -> [u8; 17] {
        let Self {
            year,
            month,
            day,
            hour,
            minute,
            second,
        } = self;
        let text = format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}00\0");
        let mut field = [0; 17];
        field.copy_from_slice(text.as_bytes());
        field
    }
}

/// A time that is not given (ECMA-119 8.4.26.1).
pub(crate) const NO_TIME: [u8; 17] = *b"0000000000000000\0";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (seconds, expected) in [
            (0, "1970010100000000\0"),
            (-5, "1970010100000000\0"),
            (951_782_400, "2000022900000000\0"),
            (1_709_251_199, "2024022923595900\0"),
            (1_735_689_599, "2024123123595900\0"),
            (i64::MAX, "2155123123595900\0"),
        ] {
            assert_eq!(Time::new(seconds).long(), expected.as_bytes(), "{seconds}");
        }
        assert_eq!(Time::new(0).short(), [70, 1, 1, 0, 0, 0, 0]);
        assert_eq!(Time::new(i64::MAX).short(), [255, 12, 31, 23, 59, 59, 0]);
    }

    #[test]
    fn both_orders() {
        assert_eq!(both16(0x0102), [2, 1, 1, 2]);
        assert_eq!(both32(0x0102_0304), [4, 3, 2, 1, 1, 2, 3, 4]);
        assert_eq!(ucs2("\u{fc}a"), [0, 0xfc, 0, b'a']);
    }
}
