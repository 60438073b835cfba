//! Marvin32, the checksum of log entries: a keyed hash that Microsoft published (US patent 20130262421).

/// The key that the registry uses, low half first (specification, "Log entries", note 3, where its bytes stand in the
/// order of a written number).
pub(super) const SEED: [u32; 2] = [0x7a4e_55c5, 0x82ef_4d88];

/// The hash of these bytes under a key.
pub(super) fn hash(mut state: [u32; 2], data: &[u8]) -> u64 {
    let words = data.chunks_exact(4);
    // What is left of the data, then a byte that marks its end.
    let rest = words
        .remainder()
        .iter()
        .rev()
        .fold(0x80, |word, byte| word << 8 | u32::from(*byte));
    for word in words {
        let word = word
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u32::from(*byte));
        mix(&mut state, word);
    }
    mix(&mut state, rest);
    mix(&mut state, 0);
    u64::from(state[1]) << 32 | u64::from(state[0])
}

fn mix([low, high]: &mut [u32; 2], word: u32) {
    *low = low.wrapping_add(word);
    *high ^= *low;
    *low = low.rotate_left(20).wrapping_add(*high);
    *high = high.rotate_left(9) ^ *low;
    *low = low.rotate_left(27).wrapping_add(*high);
    *high = high.rotate_left(19);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_published_ones() {
        let seed = [0x001b_dbcc, 0x004f_b61a];
        let vectors: [(&[u8], u64); 2] = [
            (&[], 0x30ed_35c1_00cd_3c7d),
            (&[0xaf], 0x48e7_3fc7_7d75_ddc1),
        ];
        for (data, expected) in vectors {
            assert_eq!(hash(seed, data), expected, "{data:x?}");
        }
    }

    #[test]
    fn words_and_what_is_left_of_them_count() {
        let all: Vec<u64> = (0..9)
            .map(|n| hash(SEED, &[7, 7, 7, 7, 7, 7, 7, 7, 7][..n]))
            .collect();
        for (index, one) in all.iter().enumerate() {
            assert!(!all[..index].contains(one));
        }
    }
}
