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
