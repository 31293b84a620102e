//! How many messages a partition may send ahead: a number of bytes, told in messages.
//!
//! AMQP counts messages; memory is counted in bytes. So the size of the next ones is taken
//! from those seen, the largest counting for longest. Where nothing is known, few are asked
//! for, and twice as many each time.

/// A flow for each thousand messages costs nothing.
const MOST: u32 = 1000;

/// Of a message nobody has seen: Defender's are a few records or some hundred kilobytes.
const UNSEEN: usize = 256 << 10;

#[derive(Debug)]
pub(super) struct Credit {
    /// Bytes a message is expected to have.
    expected: usize,
    seen: u32,
}

impl Credit {
    pub(super) fn new() -> Self {
        Self {
            expected: UNSEEN,
            seen: 0,
        }
    }

    /// A message of so many bytes came.
    pub(super) fn saw(&mut self, bytes: usize) {
        self.expected = match self.seen {
            0 => bytes,
            _ if bytes >= self.expected => bytes,
            _ => self.expected - (self.expected - bytes).div_ceil(64),
        };
        self.seen = self.seen.saturating_add(1);
    }

    /// How many messages may be under way within so many bytes: one at least.
    pub(super) fn within(&self, bytes: usize) -> u32 {
        let fit = bytes / self.expected.max(1);
        let ramp = self.seen.saturating_mul(2).max(2);
        u32::try_from(fit).unwrap_or(MOST).min(ramp).clamp(1, MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_messages_are_soon_asked_for_by_the_hundred_and_large_ones_one_by_one() {
        let mut credit = Credit::new();
        let most = 512 << 10;
        assert_eq!(credit.within(most), 2);
        (0..300).for_each(|_| credit.saw(2048));
        assert_eq!(credit.within(most), 256);
        credit.saw(1 << 20);
        assert_eq!(credit.within(most), 1);
        (0..600).for_each(|_| credit.saw(2048));
        assert!(credit.within(most) > 200, "{credit:?}");
    }

    proptest! {
        #[test]
        fn messages_as_large_as_any_before_stay_within_the_bytes(
            sizes in proptest::collection::vec(1_usize..2_000_000, 1..40),
            most in 1_usize..10_000_000,
        ) {
            let mut credit = Credit::new();
            sizes.iter().for_each(|size| credit.saw(*size));
            let last = *sizes.last().unwrap();
            let asked = credit.within(most) as usize;
            prop_assert!(asked == 1 || asked * last <= most);
        }
    }
}
