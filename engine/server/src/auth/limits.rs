//! How many requests a token and an address may make.

use std::{
    hash::Hash,
    net::IpAddr,
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::NoOpMiddleware,
    state::keyed::HashMapStateStore,
};

use crate::api::problem::{Kind, Problem};

/// A burst may be this many times what is allowed in a second.
const BURST: u32 = 2;

/// How many requests with a wrong token an address may make at once, and then one every so often.
const WRONG_BURST: NonZeroU32 = NonZeroU32::new(20).expect("not zero");
const WRONG_PERIOD: Duration = Duration::from_secs(3);

/// Keys that are back to a full bucket are forgotten after so many requests.
const SWEEP_EVERY: u32 = 1_024;

/// The limits of one server. `C` is the clock.
pub(crate) struct Limits<C: Clock + Clone = DefaultClock> {
    tokens: Limiter<String, C>,
    addresses: Limiter<IpAddr, C>,
    wrong: Limiter<IpAddr, C>,
}

/// One request in so much time, for each key; remembers only keys that used their share lately.
struct Limiter<K: Hash + Eq + Clone, C: Clock + Clone> {
    limiter: RateLimiter<K, HashMapStateStore<K>, C, NoOpMiddleware<C::Instant>>,
    clock: C,
    until_sweep: AtomicU32,
}

impl Limits {
    /// Requests a second: of a token, and of an address whoever asks from there.
    pub(crate) fn new(per_token: NonZeroU32, per_address: NonZeroU32) -> Self {
        Self::with_clock(per_token, per_address, &DefaultClock::default())
    }
}

impl<C: Clock + Clone> Limits<C> {
    fn with_clock(per_token: NonZeroU32, per_address: NonZeroU32, clock: &C) -> Self {
        let burst = |per_second: NonZeroU32| {
            Quota::per_second(per_second)
                .allow_burst(per_second.saturating_mul(NonZeroU32::new(BURST).expect("not zero")))
        };
        let wrong = Quota::with_period(WRONG_PERIOD)
            .expect("not zero")
            .allow_burst(WRONG_BURST);
        Self {
            tokens: Limiter::new(burst(per_token), clock),
            addresses: Limiter::new(burst(per_address), clock),
            wrong: Limiter::new(wrong, clock),
        }
    }

    /// Counts a request from an address.
    pub(crate) fn address(&self, address: IpAddr) -> Result<(), Problem> {
        self.addresses.check(&network(address))
    }

    /// Counts a request with a token, by the token's id.
    pub(crate) fn token(&self, id: &str) -> Result<(), Problem> {
        self.tokens.check(&id.to_owned())
    }

    /// Counts a request without a valid token.
    pub(crate) fn wrong_token(&self, address: IpAddr) -> Result<(), Problem> {
        self.wrong.check(&network(address))
    }
}

/// Who has an IPv6 address has its whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            IpAddr::V6(network.into())
        }
        address => address,
    }
}

impl<K: Hash + Eq + Clone, C: Clock + Clone> Limiter<K, C> {
    fn new(quota: Quota, clock: &C) -> Self {
        Self {
            limiter: RateLimiter::new(quota, HashMapStateStore::default(), clock.clone()),
            clock: clock.clone(),
            until_sweep: AtomicU32::new(SWEEP_EVERY),
        }
    }

    fn check(&self, key: &K) -> Result<(), Problem> {
        if self.until_sweep.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.until_sweep.store(SWEEP_EVERY, Ordering::Relaxed);
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        self.limiter.check_key(key).map_err(|not_until| {
            let wait = not_until.wait_time_from(self.clock.now());
            Problem::new(Kind::TooFast, "Wait as long as `Retry-After` says.").retry_after(wait)
        })
    }
}

impl<C: Clock + Clone> std::fmt::Debug for Limits<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn limits(clock: &FakeRelativeClock) -> Limits<FakeRelativeClock> {
        let per_second = |n| NonZeroU32::new(n).unwrap();
        Limits::with_clock(per_second(5), per_second(10), clock)
    }

    fn retry_after(problem: &Problem) -> String {
        use axum::response::IntoResponse as _;
        let response = problem.clone().into_response();
        assert_eq!(response.status(), 429);
        response.headers()["retry-after"].to_str().unwrap().into()
    }

    #[test]
    fn a_token_has_a_burst_and_a_rate_of_its_own() {
        let clock = FakeRelativeClock::default();
        let limits = limits(&clock);
        for _ in 0..10 {
            limits.token("a").unwrap();
        }
        assert_eq!(retry_after(&limits.token("a").unwrap_err()), "1");
        limits.token("b").unwrap();
        clock.advance(Duration::from_millis(200));
        limits.token("a").unwrap();
        limits.token("a").unwrap_err();
    }

    #[test]
    fn wrong_tokens_are_counted_by_address() {
        let clock = FakeRelativeClock::default();
        let limits = limits(&clock);
        let address = IpAddr::from([192, 0, 2, 1]);
        for _ in 0..20 {
            limits.wrong_token(address).unwrap();
        }
        assert_eq!(retry_after(&limits.wrong_token(address).unwrap_err()), "3");
        limits.wrong_token([192, 0, 2, 2].into()).unwrap();
        // What is asked with a good token from there is another matter.
        limits.address(address).unwrap();
        clock.advance(Duration::from_secs(3));
        limits.wrong_token(address).unwrap();
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let clock = FakeRelativeClock::default();
        let limits = limits(&clock);
        for n in 0..20_u16 {
            limits
                .address([0x2001, 0xdb8, 1, 2, n, n, n, n].into())
                .unwrap();
        }
        let same = [0x2001, 0xdb8, 1, 2, 0, 0, 0, 99];
        limits.address(same.into()).unwrap_err();
        limits
            .address([0x2001, 0xdb8, 1, 3, 0, 0, 0, 1].into())
            .unwrap();
    }

    #[test]
    fn addresses_that_come_once_are_forgotten() {
        let clock = FakeRelativeClock::default();
        let limits = limits(&clock);
        for n in 0..5_000_u32 {
            clock.advance(Duration::from_secs(1));
            limits.address(n.to_be_bytes().into()).unwrap();
        }
        let kept = limits.addresses.limiter.len();
        assert!(kept <= SWEEP_EVERY as usize, "{kept}");
    }
}
