//! Every option, with what it accepts beside what it refuses.

use super::*;

/// A section of `name = value` lines; they begin at line 2.
pub(super) fn section(name: &str, lines: &[&str]) -> Section {
    let variables = lines.iter().zip(2..).map(|(text, line)| {
        let (name, value) = text.split_once('=').expect("name = value");
        Variable {
            name: name.trim().to_owned(),
            value: value.trim().to_owned(),
            line,
        }
    });
    Section {
        name: name.to_owned(),
        variables: variables.collect(),
    }
}

fn read(name: &str, lines: &[&str]) -> Result<Config, Vec<Problem>> {
    parse(&[section(name, lines)])
}

/// The configuration that one line makes.
fn good(section: &str, line: &str) -> Config {
    read(section, &[line]).unwrap_or_else(|problems| panic!("[{section}] {line}: {problems:?}"))
}

/// The one complaint about one line.
fn bad(section: &str, line: &str) -> String {
    let problems = read(section, &[line]).expect_err(line);
    assert_eq!(problems.len(), 1, "{line}");
    let told = problems[0].to_string();
    let option = line.split('=').next().expect("a name").trim();
    let place = format!("line 2: [{section}] {option}: ");
    assert!(told.starts_with(&place), "{told}");
    told
}

#[test]
fn nothing_is_the_defaults() {
    let config = parse(&[]).expect("it is good");
    let srtp = config.srtp_of(None);
    assert_eq!(srtp.offer, [Suite::AesCm128HmacSha1_80]);
    assert_eq!(srtp.accept.len(), 8);
    assert!(!srtp.accept.contains(&Suite::AeadAes128Gcm8));
    assert_eq!(srtp.mki, MkiRule::One);
    assert_eq!(srtp.lifetime, None);
    assert!(!srtp.strict_lifetime);
    assert_eq!(config.handshake_timeout, Duration::from_secs(10));
    assert!((2..=8).contains(&config.io_threads));
    assert_eq!(config.key_log, None);
    assert_eq!(config.offered_only(), []);
}

#[test]
fn proof() {
    let config = parse(&[]).expect("it is good");
    assert!(!config.cdr && !config.cel);
    let config = good("general", "cdr = yes");
    assert!(config.cdr && !config.cel);
    assert!(config.keylog && !good("general", "keylog = no").keylog);
    assert!(good("general", "cel = yes").cel);
    assert!(bad("general", "cdr = maybe").contains("neither yes nor no"));
}

#[test]
fn native_bridge() {
    assert!(parse(&[]).expect("it is good").native_bridge);
    assert!(!good("media", "native_bridge = no").native_bridge);
    assert!(good("media", "native_bridge = yes").native_bridge);
    assert!(bad("media", "native_bridge = both").contains("neither yes nor no"));
    assert!(bad("media", "bridge = no").contains("there is: native_bridge"));
}

#[test]
fn kernel() {
    let portable = good("general", "kernel = portable");
    assert_eq!(portable.kernels.name(), "portable");
    let auto = good("general", "kernel = auto");
    assert_eq!(auto.kernels.name(), packet_crypto::kernels().name());
    assert!(bad("general", "kernel = quantum").contains("there are: auto, "));
    assert!(bad("general", "kernels = auto").contains("there are: kernel, fips, cdr, cel"));
}

#[test]
fn fips() {
    let config = good("general", "fips = yes");
    assert!(config.fips && config.kernels.name() == "system");
    let config = good("general", "fips = no");
    assert!(!config.fips && config.kernels.name() == packet_crypto::kernels().name());
    // Another kernel contradicts, wherever it stands.
    for lines in [
        ["fips = yes", "kernel = portable"],
        ["kernel = portable", "fips = yes"],
    ] {
        let problems = read("general", &lines).expect_err("both cannot be");
        assert!(
            problems[0].to_string().contains("system alone"),
            "{problems:?}"
        );
    }
    read("general", &["kernel = system", "fips = yes"]).expect("the twin");
    // Where nothing was in force before a bad file, what cannot be read of it is not "no".
    for (line, is_on) in [
        ("fips = yes", true),
        ("fips = perhaps", true),
        ("fips = no", false),
    ] {
        let sections = [section("general", &[line, "kernel = quantum"])];
        let problems = parse(&sections).expect_err("no such kernel");
        let config = fallback(&sections, &problems);
        assert_eq!(
            (config.fips, config.kernels.name() == "system"),
            (is_on, is_on),
            "{line}"
        );
    }
}

#[test]
fn offer_and_accept() {
    let config = good("srtp", "offer = AEAD_AES_256_GCM,AES_CM_128_HMAC_SHA1_80");
    assert_eq!(
        config.srtp_of(None).offer,
        [Suite::AeadAes256Gcm, Suite::AesCm128HmacSha1_80]
    );
    for suite in Suite::ALL {
        let config = good("srtp", &format!("accept = {}", suite.name()));
        assert_eq!(config.srtp_of(None).accept, [suite]);
    }
    for option in ["offer", "accept"] {
        assert!(
            bad("srtp", &format!("{option} = AES_CM_128_HMAC_SHA1_81"))
                .contains("is not a suite; there are: ")
        );
        assert!(
            bad(
                "srtp",
                &format!("{option} = AEAD_AES_128_GCM, AEAD_AES_128_GCM")
            )
            .contains("twice")
        );
        for empty in ["", " , "] {
            assert!(bad("srtp", &format!("{option} = {empty}")).contains("no suite is named"));
        }
    }
}

#[test]
fn mki() {
    for yes in ["yes", "TRUE", "on", "1", "y", "t"] {
        let config = good("srtp", &format!("mki = {yes}"));
        assert_eq!(config.srtp_of(None).mki, MkiRule::Any, "{yes}");
    }
    for no in ["no", "False", "off", "0", "n", "f"] {
        let config = good("srtp", &format!("mki = {no}"));
        assert_eq!(config.srtp_of(None).mki, MkiRule::One, "{no}");
    }
    assert!(bad("srtp", "mki = maybe").contains("neither yes nor no"));
    assert!(bad("srtp", "mki =").contains("neither yes nor no"));
}

#[test]
fn allow() {
    let all = good(
        "srtp",
        "allow = UNENCRYPTED_SRTP, UNENCRYPTED_SRTCP, UNAUTHENTICATED_SRTP",
    );
    let allow = &all.srtp_of(None).allow;
    assert!(allow.unencrypted_srtp && allow.unencrypted_srtcp && allow.unauthenticated_srtp);
    let one = good("srtp", "allow = UNENCRYPTED_SRTCP");
    let allow = &one.srtp_of(None).allow;
    assert!(!allow.unencrypted_srtp && allow.unencrypted_srtcp && !allow.unauthenticated_srtp);
    assert_eq!(
        good("srtp", "allow =").srtp_of(None).allow,
        SessionParams::default()
    );
    assert!(bad("srtp", "allow = WSH").contains("cannot be allowed"));
}

#[test]
fn lifetime() {
    for (value, packets) in [
        ("2^20", Some(1 << 20)),
        ("2^48", Some(1 << 48)),
        ("1048576", Some(1 << 20)),
        ("281474976710656", Some(1 << 48)),
        ("", None),
    ] {
        let config = good("srtp", &format!("lifetime = {value}"));
        assert_eq!(config.srtp_of(None).lifetime, packets, "{value}");
    }
    for value in [
        "2^19",
        "2^49",
        "2^64",
        "2^",
        "1048575",
        "281474976710657",
        "-1",
        "ever",
    ] {
        assert!(bad("srtp", &format!("lifetime = {value}")).contains("from 2^20 to 2^48"));
    }
}

#[test]
fn strict_lifetime() {
    assert!(
        good("srtp", "strict_lifetime = yes")
            .srtp_of(None)
            .strict_lifetime
    );
    bad("srtp", "strict_lifetime = maybe");
}

#[test]
fn an_unknown_option_of_srtp() {
    assert!(bad("srtp", "mkis = no").contains("there are: offer, accept,"));
}

#[test]
fn tls() {
    let config = read(
        "tls",
        &[
            "leave_alone = a, b ,,c",
            "io_threads = 64",
            "handshake_timeout = 300",
            "key_log = /tmp/keys",
            "ticket_keys = /etc/keys",
            "watch_files = No",
        ],
    )
    .expect("it is good");
    assert_eq!(config.leave_alone, ["a", "b", "c"]);
    assert_eq!(config.io_threads, 64);
    assert_eq!(config.handshake_timeout, Duration::from_secs(300));
    assert_eq!(config.key_log, Some(PathBuf::from("/tmp/keys")));
    assert_eq!(good("tls", "key_log =").key_log, None);
    assert_eq!(config.ticket_keys, Some(PathBuf::from("/etc/keys")));
    assert_eq!(good("tls", "ticket_keys =").ticket_keys, None);
    assert!(!config.watch_files && good("tls", "watch_files = yes").watch_files);
    assert!(bad("tls", "watch_files = inotify").contains("neither yes nor no"));
    assert_eq!(good("tls", "io_threads = 1").io_threads, 1);
    for value in ["0", "65", "-1", "", "two"] {
        assert!(bad("tls", &format!("io_threads = {value}")).contains("from 1 to 64"));
    }
    for value in ["0", "301", "-1", "", "10s"] {
        assert!(bad("tls", &format!("handshake_timeout = {value}")).contains("from 1 to 300"));
    }
    assert!(bad("tls", "keylog = /tmp/keys").contains("there are: leave_alone,"));
}

#[test]
fn tls_limits() {
    use super::limits::{Auto, Limits};
    let config = parse(&[section(
        "tls",
        &[
            "max_connections = 900",
            "max_connections_per_source = 90",
            "max_handshakes = 80",
            "max_handshakes_per_source = 8",
            "connection_rate_per_source = 7",
            "reserve_descriptors = 60",
            "trusted_sources = 192.0.2.0/24, 2001:db8::5",
            "proxy_protocol_from = 192.0.2.10",
            "acl = phones",
            "write_queue = 65536",
            "trunk_write_queue = 1073741824",
            "idle_timeout = 7200",
            "tcp_user_timeout = 60",
        ],
    )])
    .unwrap();
    let expected = Limits {
        connections: Some(900),
        connections_per_source: Auto::Set(90),
        handshakes: Some(80),
        handshakes_per_source: Some(8),
        rate_per_source: Some(7),
        reserve_descriptors: Auto::Set(60),
        trusted: vec![
            ("192.0.2.0".parse().unwrap(), 24),
            ("2001:db8::5".parse().unwrap(), 128),
        ],
        balancers: vec![("192.0.2.10".parse().unwrap(), 32)],
        acl: Some("phones".to_owned()),
        write_queue: 65_536,
        trunk_write_queue: 1 << 30,
        idle_timeout: Some(Duration::from_secs(7200)),
        tcp_user_timeout: Some(Duration::from_secs(60)),
    };
    assert_eq!(config.limits, expected);
    let none = good("tls", "max_handshakes = 0").limits;
    assert_eq!(none.handshakes, None);
    for (option, value) in [
        ("max_connections", "-1"),
        ("max_connections", "many"),
        ("max_connections_per_source", "car"),
        ("reserve_descriptors", "10 %"),
        ("trusted_sources", "phones"),
        ("proxy_protocol_from", "yes"),
        ("write_queue", "65535"),
        ("trunk_write_queue", "1 MB"),
        ("idle_timeout", "2h"),
        ("tcp_user_timeout", "86401"),
    ] {
        assert!(bad("tls", &format!("{option} = {value}")).contains(option));
    }
}

#[test]
fn an_endpoint_differs_from_srtp_wherever_that_stands() {
    let config = parse(&[
        section("carrier", &["type = endpoint", "mki = yes"]),
        section("srtp", &["offer = AEAD_AES_128_GCM"]),
    ])
    .expect("it is good");
    let carrier = config.srtp_of(Some("carrier"));
    assert_eq!(carrier.mki, MkiRule::Any);
    assert_eq!(carrier.offer, [Suite::AeadAes128Gcm]);
    for other in [None, Some("phone")] {
        assert_eq!(config.srtp_of(other).mki, MkiRule::One);
    }
    assert_eq!(config.endpoints().collect::<Vec<_>>(), ["carrier"]);
    assert!(bad("phone", "type = aor").contains("type = endpoint"));
    let untyped = read("phone", &["mki = yes"]).expect_err("no type");
    assert!(untyped[0].to_string().starts_with("line 2: [phone]: "));
    let empty = read("phone", &[]).expect_err("no type");
    assert!(empty[0].to_string().starts_with("[phone]: "));
}

#[test]
fn a_peer_of_chan_sip_differs_too_and_not_in_what_is_offered() {
    let config = parse(&[
        section("carrier", &["type = endpoint", "offer = AEAD_AES_256_GCM"]),
        section("carrier", &["type = peer", "mki = yes"]),
        section("srtp", &["offer = AEAD_AES_128_GCM"]),
    ])
    .expect("it is good");
    for name in ["carrier", "Carrier"] {
        let carrier = config.srtp_of_peer(name);
        assert_eq!(carrier.mki, MkiRule::Any);
        assert_eq!(carrier.offer, [Suite::AeadAes128Gcm]);
    }
    assert_eq!(config.srtp_of_peer("phone").mki, MkiRule::One);
    assert_eq!(config.srtp_of(Some("carrier")).mki, MkiRule::One);
    assert_eq!(config.peers().collect::<Vec<_>>(), ["carrier"]);
    for line in ["offer = AEAD_AES_128_GCM", "lifetime = 2^20"] {
        let problems = read("carrier", &["type = peer", line]).expect_err("nobody could use it");
        assert!(
            problems[0].to_string().contains("to whom an offer goes"),
            "{}",
            problems[0]
        );
    }
    read("carrier", &["type = peer", "strict_lifetime = yes"]).expect("the twin");
}

#[test]
fn all_problems_are_told_at_once() {
    let problems = parse(&[
        section("general", &["kernel = quantum"]),
        section("srtp", &["mki = maybe", "offer = nothing"]),
        section("tls", &["io_threads = 0"]),
        section("other", &["type = thing"]),
    ])
    .expect_err("all of it is bad");
    assert_eq!(problems.len(), 5, "{problems:?}");
}

#[test]
fn what_is_offered_and_not_accepted_is_named() {
    let told = |sections: &[Section]| -> Vec<String> {
        let config = parse(sections).expect("it is good");
        config
            .offered_only()
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    let srtp = section(
        "srtp",
        &[
            "offer = AEAD_AES_128_GCM, AES_CM_128_HMAC_SHA1_80",
            "accept = AES_CM_128_HMAC_SHA1_80",
        ],
    );
    // The endpoint has it from [srtp].
    let same = section("carrier", &["type = endpoint", "mki = yes"]);
    let lines = told(&[srtp.clone(), same]);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("[srtp] offer has AEAD_AES_128_GCM, which accept does not have"));
    let own = section(
        "carrier",
        &["type = endpoint", "offer = AEAD_AES_256_GCM_8"],
    );
    let lines = told(&[own]);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("[carrier] offer has AEAD_AES_256_GCM_8"));
    // The twin.
    let accepted = section(
        "srtp",
        &["offer = AEAD_AES_128_GCM", "accept = AEAD_AES_128_GCM"],
    );
    assert_eq!(told(&[accepted]), [] as [String; 0]);
}

#[test]
fn the_certificate_of_an_endpoint() {
    let digest = "AB".repeat(32);
    let config = read(
        "carrier",
        &[
            "type = endpoint",
            "certificate = sip:carrier.example, DNS:gw.carrier.example",
            &format!("certificate = SHA256:{digest}"),
        ],
    )
    .expect("it is good");
    assert!(config.demand_of("carrier").is_of_handshake());
    assert!(!config.demand_of("phone").is_of_handshake());
    let line = |value: &str| {
        let problems = read("carrier", &["type = endpoint", value]).expect_err(value);
        assert_eq!(problems.len(), 1, "{value}");
        problems[0].to_string()
    };
    for (value, reason) in [
        ("certificate =", "a certificate is missing"),
        (
            "certificate = carrier.example",
            "'carrier.example' names no certificate",
        ),
        ("certificate = SHA256:12", "of 64 hexadecimal digits"),
        (
            "certificate = sip:a.example, sip:A.example",
            "stands there twice",
        ),
        ("certificates = sip:a.example", "there is no such option"),
    ] {
        let told = line(value);
        let option = value.split(' ').next().expect("a name");
        assert!(
            told.starts_with(&format!("line 3: [carrier] {option}: ")),
            "{told}"
        );
        assert!(told.contains(reason), "{told}");
    }
    let twice = [
        "type = endpoint",
        "certificate = sip:a.example",
        "certificate = sip:a.example",
    ];
    let problems = read("carrier", &twice).expect_err("twice");
    assert!(
        problems[0]
            .to_string()
            .starts_with("line 4: [carrier] certificate: ")
    );
    // It is for calls of PJSIP's.
    read("carrier", &["type = peer", "certificate = sip:a.example"]).expect_err("chan_sip");
}

/// At the first load a bad file has no good state before it: what it demands holds all the same.
#[test]
fn what_a_bad_file_demands() {
    let sections = [
        section("srtp", &["offer = nonsense"]),
        section("good", &["type = endpoint", "require_media = yes"]),
        section("typo", &["type = endpoint", "requier_media = yes"]),
        section("kind", &["type = endpiont", "require_media = yes"]),
        section("free", &["type = endpoint"]),
    ];
    let problems = parse(&sections).expect_err("it is bad");
    assert_eq!(problems.len(), 3);
    let config = fallback(&sections, &problems);
    let demand = |name: &str| config.demand_of(name);
    assert_eq!(*demand("good"), Demand::of_media());
    for refused in ["typo", "kind"] {
        let judged = demand(refused).judge_signaling(&crate::demand::Link::Foreign);
        assert_eq!(
            judged.map_err(|it| it.code()),
            Err("bad-demand"),
            "{refused}"
        );
    }
    assert!(demand("free").is_nothing() && demand("another").is_nothing());
    assert!(config.has_demands());
    // Several sections of one name add up.
    let twice = [
        section("twice", &["type = endpoint", "require_media = yes"]),
        section("twice", &["type = endpoint", "require_signaling = yes"]),
    ];
    let both = parse(&twice).expect("it is good");
    for one in &twice {
        let alone = parse(std::slice::from_ref(one)).expect("it is good");
        let demanded = alone.demand_of("twice");
        assert!(!demanded.is_nothing() && both.demand_of("twice").covers(demanded));
    }
    // Of a file that cannot be read at all nobody knows.
    let config = Config::unknown("it cannot be read");
    assert!(!config.demand_of("another").is_nothing());
}
