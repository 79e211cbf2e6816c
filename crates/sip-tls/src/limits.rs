//! How much clients may take: connections, handshakes and new connections per second, of one source and of all. It counts and
//! judges; it has no clock, no socket and no lock.
//!
//! What is kept of sources is bounded: those with connections by the connections, those without by [`MAX_ABSENT`].

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::network::{Network, Source};
use crate::reason::Code;

/// Sources without a connection of which it is known when they may come again. Beyond it those are forgotten that may come soonest.
const MAX_ABSENT: usize = 4096;

/// New connections per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In the long run. At least 1.
    pub per_second: u32,
    /// At once, after a while without any. At least 1.
    pub burst: u32,
}

impl Rate {
    fn interval(self) -> Duration {
        Duration::from_secs(1) / self.per_second.max(1)
    }
}

/// How much clients may take. `None` is no limit. Connections that we make are not counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Connections, with those whose handshake goes on.
    pub connections: Option<usize>,
    /// The same of one source: an IPv4 address, or the first 64 bits of an IPv6 address.
    pub connections_per_source: Option<usize>,
    /// Handshakes that go on.
    pub handshakes: Option<usize>,
    /// The same of one source.
    pub handshakes_per_source: Option<usize>,
    /// New connections of one source.
    pub rate_per_source: Option<Rate>,
    /// A connection whose descriptor has this number, or a higher one, is not taken. The system gives the lowest number that is free, so
    /// the numbers from here on are left for others.
    pub descriptors: Option<usize>,
    /// Who has no limit as a source: one address that many peers are behind.
    pub trusted: Vec<Network>,
    /// Balancers: each of their connections begins with a PROXY protocol header, and is counted as the client's that it names.
    pub balancers: Vec<Network>,
}

impl Limits {
    pub(crate) fn is_balancer(&self, address: IpAddr) -> bool {
        let mut balancers = self.balancers.iter();
        balancers.any(|network| network.contains(address))
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }
}

/// What clients have now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Connections, with those whose handshake goes on.
    pub connections: usize,
    /// Handshakes that go on.
    pub handshakes: usize,
    /// Sources that are told apart.
    pub sources: usize,
}

#[derive(Debug, Default)]
struct Account {
    connections: usize,
    handshakes: usize,
    /// When the last of its connections would have come, had they come at the rate's pace (GCRA's "theoretical arrival time").
    paced: Option<Instant>,
}

impl Account {
    /// Whether nothing would be lost with it.
    fn is_blank(&self, now: Instant) -> bool {
        self.connections == 0 && self.paced.is_none_or(|paced| paced <= now)
    }
}

/// Whose a connection is counted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Source(Source),
    /// One without limits of its own.
    Trusted,
}

#[derive(Debug, Default)]
pub(crate) struct Accounts {
    connections: usize,
    handshakes: usize,
    sources: BTreeMap<Source, Account>,
    /// How many of them have no connection.
    absent: usize,
}

impl Accounts {
    /// Whether one more connection may come, with its handshake before it; then it is counted until [`Accounts::left`].
    pub(crate) fn admit(
        &mut self,
        limits: &Limits,
        address: IpAddr,
        descriptor: usize,
        now: Instant,
    ) -> Result<Owner, Code> {
        if limits.descriptors.is_some_and(|end| descriptor >= end) {
            return Err(Code::DescriptorsReserved);
        }
        if is_full(limits.connections, self.connections) {
            return Err(Code::TooManyConnections);
        }
        if is_full(limits.handshakes, self.handshakes) {
            return Err(Code::TooManyHandshakes);
        }
        let owner = if limits.is_balancer(address) {
            Owner::Trusted
        } else {
            self.enter(limits, address, now)?
        };
        self.connections += 1;
        self.handshakes += 1;
        Ok(owner)
    }

    /// The source's part of it: of a connection that is counted by now, when whose it is is known later.
    pub(crate) fn enter(
        &mut self,
        limits: &Limits,
        address: IpAddr,
        now: Instant,
    ) -> Result<Owner, Code> {
        if limits.is_trusted(address) {
            return Ok(Owner::Trusted);
        }
        let source = Source::of(address);
        let is_new = !self.sources.contains_key(&source);
        if is_new && self.absent >= MAX_ABSENT {
            self.forget(now);
        }
        let account = self.sources.entry(source).or_default();
        if let Err(code) = judge(limits, account, now) {
            if is_new {
                self.sources.remove(&source);
            }
            return Err(code);
        }
        if !is_new && account.connections == 0 {
            self.absent -= 1;
        }
        account.connections += 1;
        account.handshakes += 1;
        if let Some(rate) = limits.rate_per_source {
            let from = account.paced.map_or(now, |paced| paced.max(now));
            account.paced = Some(from + rate.interval());
        }
        Ok(Owner::Source(source))
    }

    /// Its handshake is done.
    pub(crate) fn established(&mut self, owner: Owner) {
        self.handshakes -= 1;
        if let Owner::Source(source) = owner
            && let Some(account) = self.sources.get_mut(&source)
        {
            account.handshakes -= 1;
        }
    }

    /// The connection is gone.
    pub(crate) fn left(&mut self, owner: Owner, is_handshaking: bool, now: Instant) {
        self.connections -= 1;
        self.handshakes -= usize::from(is_handshaking);
        let Owner::Source(source) = owner else {
            return;
        };
        let Some(account) = self.sources.get_mut(&source) else {
            return;
        };
        account.connections -= 1;
        account.handshakes -= usize::from(is_handshaking);
        if account.is_blank(now) {
            self.sources.remove(&source);
        } else if account.connections == 0 {
            self.absent += 1;
        }
    }

    /// Makes room among those without a connection: at least half of it, so that it is not to be done again soon.
    fn forget(&mut self, now: Instant) {
        self.sources.retain(|_, account| !account.is_blank(now));
        let mut paced: Vec<_> = self
            .sources
            .values()
            .filter(|account| account.connections == 0)
            .filter_map(|account| account.paced)
            .collect();
        if paced.len() > MAX_ABSENT / 2 {
            let (_, middle, _) = paced.select_nth_unstable(MAX_ABSENT / 2);
            let middle = *middle;
            self.sources.retain(|_, account| {
                account.connections > 0 || account.paced.is_some_and(|paced| paced > middle)
            });
        }
        self.absent = self
            .sources
            .values()
            .filter(|account| account.connections == 0)
            .count();
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage {
            connections: self.connections,
            handshakes: self.handshakes,
            sources: self.sources.len(),
        }
    }
}

fn is_full(limit: Option<usize>, count: usize) -> bool {
    limit.is_some_and(|limit| count >= limit)
}

fn judge(limits: &Limits, account: &Account, now: Instant) -> Result<(), Code> {
    if is_full(limits.connections_per_source, account.connections) {
        return Err(Code::TooManyOfSource);
    }
    if is_full(limits.handshakes_per_source, account.handshakes) {
        return Err(Code::TooManyHandshakesOfSource);
    }
    if let (Some(rate), Some(paced)) = (limits.rate_per_source, account.paced) {
        // The first of a burst is for free.
        let ahead = rate.interval() * rate.burst.saturating_sub(1);
        if paced > now + ahead {
            return Err(Code::ConnectionRate);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u32) -> IpAddr {
        IpAddr::from((0xc000_0200_u32 + last).to_be_bytes())
    }

    struct World {
        limits: Limits,
        accounts: Accounts,
        now: Instant,
    }

    impl World {
        fn new(limits: Limits) -> World {
            World {
                limits,
                accounts: Accounts::default(),
                now: Instant::now(),
            }
        }

        fn admit(&mut self, address: IpAddr) -> Result<Owner, Code> {
            self.accounts.admit(&self.limits, address, 10, self.now)
        }

        fn leave(&mut self, owner: Owner, is_handshaking: bool) {
            self.accounts.left(owner, is_handshaking, self.now);
        }

        fn pass(&mut self, time: Duration) {
            self.now += time;
        }
    }

    #[test]
    fn without_limits_everybody_may_come_and_nothing_stays() {
        let mut world = World::new(Limits::default());
        let owners: Vec<_> = (0..1000).map(|n| world.admit(ip(n % 7)).unwrap()).collect();
        assert_eq!(
            world.accounts.usage(),
            Usage {
                connections: 1000,
                handshakes: 1000,
                sources: 7
            }
        );
        for owner in owners {
            world.accounts.established(owner);
            world.leave(owner, false);
        }
        assert_eq!(world.accounts.usage(), Usage::default());
    }

    #[test]
    fn each_limit_has_its_code_and_lets_in_again() {
        let of = |limits: Limits, first: [u32; 3]| {
            let mut world = World::new(limits);
            let owner = world.admit(ip(first[0])).unwrap();
            world.admit(ip(first[1])).unwrap();
            let refused = world.admit(ip(first[2])).unwrap_err();
            world.leave(owner, true);
            world.admit(ip(first[2])).unwrap();
            refused
        };
        let two = Some(2);
        let connections = Limits {
            connections: two,
            ..Limits::default()
        };
        assert_eq!(of(connections, [1, 2, 3]), Code::TooManyConnections);
        let of_source = Limits {
            connections_per_source: two,
            ..Limits::default()
        };
        assert_eq!(of(of_source, [1, 1, 1]), Code::TooManyOfSource);
        let handshakes = Limits {
            handshakes: two,
            ..Limits::default()
        };
        assert_eq!(of(handshakes, [1, 2, 3]), Code::TooManyHandshakes);
        let handshakes_of_source = Limits {
            handshakes_per_source: two,
            ..Limits::default()
        };
        assert_eq!(
            of(handshakes_of_source, [1, 1, 1]),
            Code::TooManyHandshakesOfSource
        );
    }

    #[test]
    fn a_source_at_its_limit_keeps_no_other_out() {
        let mut world = World::new(Limits {
            connections_per_source: Some(3),
            handshakes_per_source: Some(3),
            rate_per_source: Some(Rate {
                per_second: 1,
                burst: 3,
            }),
            ..Limits::default()
        });
        for _ in 0..3 {
            world.admit(ip(1)).unwrap();
        }
        world.admit(ip(1)).unwrap_err();
        world.admit(ip(2)).unwrap();
    }

    #[test]
    fn a_handshake_that_is_done_makes_room_for_another() {
        let mut world = World::new(Limits {
            handshakes: Some(2),
            handshakes_per_source: Some(1),
            ..Limits::default()
        });
        let owner = world.admit(ip(1)).unwrap();
        assert_eq!(world.admit(ip(1)), Err(Code::TooManyHandshakesOfSource));
        world.accounts.established(owner);
        world.admit(ip(1)).unwrap();
        world.admit(ip(2)).unwrap();
        assert_eq!(world.admit(ip(3)), Err(Code::TooManyHandshakes));
        // The end of one that was established is not counted twice.
        world.leave(owner, false);
        assert_eq!(world.admit(ip(3)), Err(Code::TooManyHandshakes));
    }

    #[test]
    fn the_rate_allows_a_burst_and_then_its_pace() {
        let mut world = World::new(Limits {
            rate_per_source: Some(Rate {
                per_second: 10,
                burst: 5,
            }),
            ..Limits::default()
        });
        let come = |world: &mut World| {
            let owner = world.admit(ip(1))?;
            world.leave(owner, true);
            Ok::<_, Code>(())
        };
        let burst = |world: &mut World| (0..100).filter(|_| come(world).is_ok()).count();
        assert_eq!(burst(&mut world), 5);
        assert_eq!(come(&mut world), Err(Code::ConnectionRate));
        // What is refused costs nothing: it comes again at the pace.
        for _ in 0..10 {
            world.pass(Duration::from_millis(100));
            assert_eq!(burst(&mut world), 1);
        }
        world.pass(Duration::from_millis(250));
        assert_eq!(burst(&mut world), 2);
        world.pass(Duration::from_secs(3600));
        assert_eq!(burst(&mut world), 5);
    }

    #[test]
    fn descriptors_from_a_number_on_are_for_others_whoever_comes() {
        let mut world = World::new(Limits {
            descriptors: Some(768),
            trusted: vec![Network::new(ip(1), 32)],
            ..Limits::default()
        });
        for address in [ip(1), ip(2)] {
            let mut at = |number| {
                world
                    .accounts
                    .admit(&world.limits, address, number, world.now)
            };
            at(767).unwrap();
            assert_eq!(at(768), Err(Code::DescriptorsReserved));
            assert_eq!(at(1023), Err(Code::DescriptorsReserved));
        }
    }

    #[test]
    fn who_is_trusted_has_no_limit_of_its_own() {
        let mut world = World::new(Limits {
            connections: Some(50),
            connections_per_source: Some(1),
            handshakes_per_source: Some(1),
            rate_per_source: Some(Rate {
                per_second: 1,
                burst: 1,
            }),
            trusted: vec![Network::new(ip(0), 28)],
            ..Limits::default()
        });
        let owners: Vec<_> = (0..50).map(|_| world.admit(ip(3)).unwrap()).collect();
        assert_eq!(world.admit(ip(3)), Err(Code::TooManyConnections));
        for owner in owners {
            world.leave(owner, true);
        }
        assert_eq!(world.accounts.usage(), Usage::default());
        // Beside it there is one that is not.
        world.admit(ip(16)).unwrap();
        world.admit(ip(16)).unwrap_err();
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut world = World::new(Limits {
            rate_per_source: Some(Rate {
                per_second: 1,
                burst: 3600,
            }),
            ..Limits::default()
        });
        let stays = world.admit(ip(0)).unwrap();
        // One that has used much of its burst is remembered longer than those that came once.
        for _ in 0..3000 {
            let owner = world.admit(ip(1)).unwrap();
            world.leave(owner, true);
        }
        for n in 2..50_000 {
            let owner = world.admit(ip(n)).unwrap();
            world.leave(owner, true);
            assert!(world.accounts.sources.len() <= MAX_ABSENT + 1);
            if n % 1000 == 0 {
                let sources = world.accounts.sources.values();
                let absent = sources.filter(|account| account.connections == 0).count();
                assert_eq!(absent, world.accounts.absent);
            }
        }
        let burst = (0..3600)
            .filter(|_| {
                world
                    .admit(ip(1))
                    .map(|owner| world.leave(owner, true))
                    .is_ok()
            })
            .count();
        assert_eq!(burst, 600);
        // After their time all are forgotten at the next occasion.
        world.pass(Duration::from_secs(7200));
        world.accounts.forget(world.now);
        assert_eq!(world.accounts.usage().sources, 1);
        world.leave(stays, true);
        assert_eq!(world.accounts.usage(), Usage::default());
    }

    #[test]
    fn limits_that_change_leave_the_counts_right() {
        let mut world = World::new(Limits::default());
        let trusted_later = world.admit(ip(1)).unwrap();
        world.limits = Limits {
            connections_per_source: Some(1),
            trusted: vec![Network::new(ip(1), 32)],
            ..Limits::default()
        };
        let trusted = world.admit(ip(1)).unwrap();
        world.limits.trusted.clear();
        world.admit(ip(1)).unwrap_err();
        world.leave(trusted, true);
        world.leave(trusted_later, true);
        assert_eq!(world.accounts.usage(), Usage::default());
    }
}
