//! Tells a hung appliance from a slow one.
//!
//! A starting appliance talks all the time: firmware, kernel, init and the libguestfs daemon write
//! to its console, which verbose mode passes on. One that is slow (TCG, a busy host) still says
//! something every few seconds; one that hangs says nothing for ever, whether it spins or sleeps,
//! so processor time would not tell them apart. libguestfs itself gives up after 20 minutes.

use std::time::{Duration, Instant};

/// Watches the time since the last sign of life.
#[derive(Debug)]
pub(crate) struct Watchdog {
    limit: Duration,
    last_sign: Option<Instant>,
}

impl Watchdog {
    /// An appliance that is silent for `limit` while it starts counts as hung.
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            limit,
            last_sign: None,
        }
    }

    /// Says whether the appliance hangs. `launching`: it has not answered yet. `sign`: something
    /// was printed, or the appliance is still being built.
    pub(crate) fn is_hung(&mut self, launching: bool, sign: bool, now: Instant) -> bool {
        if !launching {
            self.last_sign = None;
            return false;
        }
        let last = match self.last_sign {
            Some(last) if !sign => last,
            _ => *self.last_sign.insert(now),
        };
        now.saturating_duration_since(last) >= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_counts_only_while_launching() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut watchdog = Watchdog::new(Duration::from_secs(10));
        assert!(!watchdog.is_hung(false, false, at(0)));
        assert!(!watchdog.is_hung(false, false, at(50)), "not launching");
        assert!(!watchdog.is_hung(true, false, at(51)), "the launch begins");
        assert!(!watchdog.is_hung(true, true, at(60)));
        assert!(
            !watchdog.is_hung(true, false, at(69)),
            "slow, but alive at 60"
        );
        assert!(watchdog.is_hung(true, false, at(70)));
        assert!(!watchdog.is_hung(false, false, at(71)));
        assert!(
            !watchdog.is_hung(true, false, at(200)),
            "a second launch starts afresh"
        );
    }
}
