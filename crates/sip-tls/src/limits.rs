//! How much clients may take: connections, handshakes and new connections per second, of one source and of all. It counts and
//! judges; it has no clock, no socket and no lock.
//!
//! What is kept of sources is bounded: those with connections by the connections, those without by [`MAX_ABSENT`].

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::code::Code;
use crate::network::{Network, Source};

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
mod tests;
