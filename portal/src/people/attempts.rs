//! A brake on guessing: failures per account and per address, forgotten with time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures that are free.
const FREE: u32 = 5;
/// From one address, over all accounts: a lecture hall behind one address must still get in.
const FREE_PER_ADDRESS: u32 = 50;
/// How long a failure counts.
const WINDOW: Duration = Duration::from_mins(15);
/// Entries that are kept; beyond it the older half goes.
const KEPT: usize = 10_000;

/// Who failed lately. In memory: a restart forgives.
#[derive(Default)]
pub struct Attempts(Mutex<HashMap<String, Failures>>);

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Attempts {
    /// How long to wait before the next attempt of this login from this address; nothing if it may be made now.
    pub fn wait(&self, login: &str, address: &str) -> Option<Duration> {
        self.wait_at(login, address, Instant::now())
    }

    fn wait_at(&self, login: &str, address: &str, now: Instant) -> Option<Duration> {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |key: &str, free| failures.get(key).and_then(|failures| failures.wait(free, now));
        of(&account(login), FREE).max(of(&from(address), FREE_PER_ADDRESS))
    }

    /// It was wrong. Counted for unknown logins as well, so that they answer the same.
    pub fn failed(&self, login: &str, address: &str) {
        self.failed_at(login, address, Instant::now());
    }

    fn failed_at(&self, login: &str, address: &str, now: Instant) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() + 2 > KEPT {
            forget_the_older_half(&mut failures);
        }
        for key in [account(login), from(address)] {
            let entry = failures.entry(key).or_insert(Failures { count: 0, last: now });
            let forgotten = now.duration_since(entry.last) >= WINDOW;
            entry.count = if forgotten { 1 } else { entry.count.saturating_add(1) };
            entry.last = now;
        }
    }

    /// It was right: the account's failures are forgotten, the address's are not.
    pub fn succeeded(&self, login: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&account(login));
    }
}

/// All at once and not one by one, so that whoever floods us with names does not make each attempt a search.
fn forget_the_older_half(failures: &mut HashMap<String, Failures>) {
    let mut times: Vec<_> = failures.values().map(|failures| failures.last).collect();
    let (_, median, _) = times.select_nth_unstable(failures.len() / 2);
    let median = *median;
    failures.retain(|_, failures| failures.last > median);
}

impl Failures {
    /// Doubling from one second after the free ones, up to the window.
    fn wait(self, free: u32, now: Instant) -> Option<Duration> {
        let beyond = self.count.checked_sub(free)?;
        let pause = Duration::from_secs(1 << beyond.min(9)).min(WINDOW);
        pause.checked_sub(now.duration_since(self.last)).filter(|left| !left.is_zero())
    }
}

fn account(login: &str) -> String {
    format!("login {}", login.to_lowercase())
}

fn from(address: &str) -> String {
    format!("from {address}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_after_the_free_attempts_and_is_forgotten() {
        let attempts = Attempts::default();
        let start = Instant::now();
        for _ in 0..FREE - 1 {
            attempts.failed_at("sam", "10.0.0.1", start);
            assert_eq!(attempts.wait_at("sam", "10.0.0.1", start), None);
        }
        let waits: Vec<_> = (0..4)
            .map(|_| {
                attempts.failed_at("Sam", "10.0.0.1", start);
                attempts.wait_at("sam", "10.0.0.2", start).expect("braked").as_secs()
            })
            .collect();
        assert_eq!(waits, [1, 2, 4, 8]);
        assert_eq!(attempts.wait_at("kim", "10.0.0.1", start), None, "another account from there");
        assert_eq!(attempts.wait_at("sam", "10.0.0.1", start + WINDOW), None);
        attempts.succeeded("sam");
        assert_eq!(attempts.wait_at("sam", "10.0.0.1", start), None);
    }

    #[test]
    fn many_accounts_from_one_address_are_braked_and_memory_is_bounded() {
        let attempts = Attempts::default();
        let start = Instant::now();
        for i in 0..FREE_PER_ADDRESS {
            attempts.failed_at(&format!("u{i}"), "10.0.0.1", start);
        }
        assert!(attempts.wait_at("new", "10.0.0.1", start).is_some());
        for i in 0..KEPT + 100 {
            attempts.failed_at(&format!("v{i}"), &format!("a{i}"), start);
        }
        assert!(attempts.0.lock().expect("not poisoned").len() <= KEPT);
    }
}
