//! Sections with `type = tls`.

use std::net::IpAddr;
use std::path::Path;

use sip_tls::verify::PeerName;
use sip_tls::{Method, ProfileConfig, Sni, Version};

use super::tests::section;
use super::*;

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

const WHOSE: &str = "match = sip.example.com";

fn profiles(lines: &[&str]) -> Result<Vec<TlsProfile>, Vec<String>> {
    let lines: Vec<&str> = [&["type = tls"], lines].concat();
    parse(&[section("carrier", &lines)])
        .map(|config| config.profiles)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

/// The options of a connection, over a transport with these.
fn over(transport: &ProfileConfig, lines: &[&str]) -> ProfileConfig {
    let lines: Vec<&str> = [&[WHOSE], lines].concat();
    let profiles = profiles(&lines).unwrap_or_else(|told| panic!("{told:?}"));
    profiles[0].over(transport)
}

#[test]
fn whose_it_is() {
    let profile = &profiles(&[
        "match = sip.example.com, .example.net, 192.0.2.0/24",
        "match = 2001:db8::1",
        "server_name = a.example, .b.example",
    ])
    .expect("it is good")[0];
    assert_eq!(profile.name, "carrier");
    for (name, is) in [
        ("sip.example.com", true),
        ("x.example.net", true),
        ("192.0.2.7", true),
        ("2001:db8::1", true),
        ("a.example", false),
    ] {
        let fits = profile.selectors.outgoing(&PeerName::parse(name));
        assert_eq!(fits.is_some(), is, "{name}");
    }
    assert!(profile.selectors.asked("a.example").is_some());
    assert!(profile.selectors.asked("sip.example.com").is_none());
}

#[test]
fn what_is_not_set_is_the_transports() {
    let transport = ProfileConfig {
        cert_file: Some("t.pem".into()),
        priv_key_file: Some("t.key".into()),
        ca_list_file: Some("t-ca.pem".into()),
        ca_list_path: Some("t-cas".into()),
        method: Method::Tls13,
        cipher: Some("AES128-SHA".to_owned()),
        verify_server: true,
        verify_client: true,
        require_client_cert: true,
        allow_wildcard_certs: true,
        ..ProfileConfig::default()
    };
    let same = ProfileConfig {
        name: Some("carrier".into()),
        ..transport.clone()
    };
    assert_eq!(format!("{:?}", over(&transport, &[])), format!("{same:?}"));
    let other = over(
        &transport,
        &[
            "cert_file = a.pem, b.pem",
            "priv_key_file = a.key",
            "password = secret",
            "client_cert_file = c.pem",
            "client_priv_key_file = c.key",
            "ca_list_file = ca.pem",
            "crl_file = crl.pem",
            "min_version = tls1.2",
            "max_version = TLS1.2",
            "cipher = AES256-SHA",
            "ciphersuites = TLS_AES_128_GCM_SHA256",
            "groups = X25519, P-256:P-384",
            "signature_algorithms = rsa_pss_rsae_sha256",
            "security_level = 1",
            "verify_server = no",
            "verify_client = no",
            "require_client_cert = no",
            "allow_wildcard_certs = no",
            "eku = any",
            "verify_name = sip.example.com, 192.0.2.1",
            "pin = SHA256:0000000000000000000000000000000000000000000000000000000000000000",
            "sni = inside.example",
        ],
    );
    assert_eq!(other.cert_file.as_deref(), Some(Path::new("a.pem")));
    assert_eq!(other.priv_key_file.as_deref(), Some(Path::new("a.key")));
    assert_eq!(other.more_certificates.len(), 1);
    assert_eq!(other.more_certificates[0].priv_key_file, None);
    assert_eq!(
        other.password.map(|it| it.to_string()).as_deref(),
        Some("secret")
    );
    let client = other.client_certificate.expect("it is set");
    assert_eq!(client.cert_file, Path::new("c.pem"));
    assert_eq!(client.priv_key_file.as_deref(), Some(Path::new("c.key")));
    assert_eq!(other.ca_list_file.as_deref(), Some(Path::new("ca.pem")));
    assert_eq!(other.ca_list_path, None, "it would trust more than is said");
    assert_eq!(other.crl_file.as_deref(), Some(Path::new("crl.pem")));
    assert_eq!(other.method, Method::Tls12);
    assert_eq!(other.max_version, Some(Version::Tls12));
    assert_eq!(other.cipher.as_deref(), Some("AES256-SHA"));
    assert_eq!(
        other.ciphersuites.as_deref(),
        Some("TLS_AES_128_GCM_SHA256")
    );
    assert_eq!(other.groups.as_deref(), Some("X25519:P-256:P-384"));
    assert_eq!(
        other.signature_algorithms.as_deref(),
        Some("rsa_pss_rsae_sha256")
    );
    assert_eq!(other.security_level, Some(1));
    let flags = [
        other.verify_server,
        other.verify_client,
        other.require_client_cert,
        other.allow_wildcard_certs,
    ];
    assert_eq!(flags, [false; 4]);
    assert!(other.any_eku && !over(&transport, &["eku = strict"]).any_eku);
    assert_eq!(other.verify_names.len(), 2);
    assert_eq!(other.pins.len(), 1);
    assert_eq!(other.sni, Sni::Name("inside.example".to_owned()));
    assert_eq!(over(&transport, &["sni = off"]).sni, Sni::Off);
}

/// One line for each mistake, with its place.
#[test]
fn mistakes() {
    for (line, told) in [
        ("match = *.example.com", "'*.example.com' is neither"),
        ("match = 192.0.2.1/24", "within a network"),
        ("server_name = 192.0.2.1", "no client sends"),
        (
            "min_version = 1.2",
            "there are tls1.0, tls1.1, tls1.2, tls1.3",
        ),
        ("max_version = ssl3", "there are tls1.0"),
        ("security_level = 6", "not a number from 0 to 5"),
        ("verify_server = maybe", "neither yes nor no"),
        ("eku = none", "there are strict, any"),
        ("pin = SHA1:00", "64 hexadecimal digits"),
        ("sni = 192.0.2.1", "neither a host's name nor off"),
        ("ca_list_file =", "it has no value"),
        ("method = tlsv1", "min_version and max_version"),
        (
            "ca_file = x",
            "there is no such option; there are: type, match",
        ),
        ("priv_key_file = a.key", "there are fewer"),
        ("client_priv_key_file = a.key", "no client_cert_file"),
        ("password = secret", "neither cert_file"),
    ] {
        let problems = profiles(&[WHOSE, line]).expect_err(line);
        assert_eq!(problems.len(), 1, "{problems:?}");
        let option = line.split_once(" =").expect("name = value").0;
        let place = format!("line 4: [carrier] {option}: ");
        assert!(
            problems[0].starts_with(&place) && problems[0].contains(told),
            "{problems:?}"
        );
    }
    let problems = profiles(&["verify_server = yes"]).expect_err("nobody's");
    assert!(
        problems[0].starts_with("line 2: [carrier] type: no peer gets it"),
        "{problems:?}"
    );
    let problems = profiles(&[WHOSE, "min_version = tls1.3", "max_version = tls1.2"]);
    assert!(problems.expect_err("none is left")[0].contains("below min_version"));
}

#[test]
fn nobody_is_in_two() {
    let one = section(
        "one",
        &[
            "type = tls",
            "match = a.example, .example",
            "server_name = x.example",
        ],
    );
    let good = section(
        "two",
        &["type = tls", "match = b.example", "server_name = a.example"],
    );
    assert!(parse(&[one.clone(), good]).is_ok());
    for line in ["match = A.Example.", "server_name = x.example"] {
        let two = section("two", &["type = tls", line]);
        let problems = parse(&[one.clone(), two]).expect_err(line);
        let told = problems[0].to_string();
        assert!(
            told.contains("line 3: [two]") && told.contains("stands in [one] too"),
            "{told}"
        );
    }
}

/// At the first load there is no state before, and a profile that is not known is not one that is not there.
#[test]
fn the_peers_of_a_broken_section_get_nothing() {
    let sections = [
        section("good", &["type = tls", "match = a.example"]),
        section(
            "bad",
            &["type = tls", "match = b.example", "verify_server = perhaps"],
        ),
    ];
    let problems = parse(&sections).expect_err("one is bad");
    let config = fallback(&sections, &problems);
    let [good, bad] = config.profiles.as_slice() else {
        panic!("{:?}", config.profiles)
    };
    assert_eq!(good.broken, None);
    let reason = bad.broken.as_deref().expect("it is broken");
    assert!(reason.contains("neither yes nor no"), "{reason}");
    assert!(
        bad.selectors
            .outgoing(&PeerName::parse("b.example"))
            .is_some()
    );
    assert_eq!(bad.selectors.outgoing(&PeerName::parse("c.example")), None);
}

/// Whose a profile is that says so wrongly nobody knows: whoever has no other gets no connection.
#[test]
fn a_broken_match_may_be_anybodys() {
    let sections = [
        section("good", &["type = tls", "match = a.example"]),
        section(
            "bad",
            &[
                "type = tls",
                "match = b.example, 192.0.2.1/24, 192.0.2.0/24",
                "server_name = 192.0.2.1, sbc.example",
                "pin = SHA256:00",
            ],
        ),
    ];
    let problems = parse(&sections).expect_err("one is bad");
    let config = fallback(&sections, &problems);
    let chosen = |name: &str| {
        let name = PeerName::parse(name);
        sip_tls::select::closest(&config.profiles, |it| it.selectors.outgoing(&name))
            .map(|it| it.name.as_str())
    };
    assert_eq!(chosen("a.example"), Some("good"));
    for name in ["b.example", "c.example", "192.0.2.1"] {
        assert_eq!(chosen(name), Some("bad"), "{name}");
    }
    // Of whom it is known that they are its peers, those that connect are.
    let selectors = &config.profiles[1].selectors;
    assert!(selectors.incoming(address("192.0.2.9")).is_some());
    assert!(selectors.incoming(address("192.0.3.9")).is_none());
    assert!(selectors.asked("sbc.example").is_some());
    assert!(selectors.asked("c.example").is_none());
}

/// A line of nothing but commas is no line: pins that are none would let everybody be the peer.
#[test]
fn an_empty_list_is_no_value() {
    for option in ["pin", "verify_name", "match", "server_name", "cert_file"] {
        let line = format!("{option} = , ,");
        let profile = section("one", &["type = tls", "match = a.example", &line]);
        let problems = parse(&[profile]).expect_err(option);
        assert!(problems[0].to_string().contains("no value"), "{option}");
    }
}

/// A section is what its first `type` says, at a first load with problems elsewhere too.
#[test]
fn an_endpoint_with_two_types_stays_one() {
    let sections = [
        section("general", &["cdr = maybe"]),
        section(
            "trunk",
            &["type = endpoint", "require_media = yes", "type = tls"],
        ),
    ];
    let problems = parse(&sections).expect_err("one is bad");
    let config = fallback(&sections, &problems);
    assert!(!config.demand_of("trunk").is_nothing());
    assert!(config.profiles.is_empty());
}

/// What keeps peers out is in force though something else in the file is wrong, at a first start too.
#[test]
fn good_lines_of_tls_stay() {
    let sections = [
        section("general", &["cdr = maybe"]),
        section(
            "tls",
            &["acl = phones", "leave_alone = old", "io_threads = 0"],
        ),
    ];
    let problems = parse(&sections).expect_err("two are bad");
    let config = fallback(&sections, &problems);
    assert_eq!(config.limits.acl.as_deref(), Some("phones"));
    assert_eq!(config.leave_alone, ["old"]);
}

/// Keys in tokens stand in a list as files do, and a list of the lines shows no PIN.
#[test]
fn keys_in_tokens() {
    let (rsa, ec) = (
        "pkcs11:token=x;object=rsa?pin-value=1234",
        "pkcs11:token=x;object=ec?pin-source=file:/etc/pin",
    );
    let text = format!("priv_key_file = {rsa}, {ec}");
    let lines = ["cert_file = rsa.pem, ec.pem", &text];
    let config = over(&ProfileConfig::default(), &lines);
    assert_eq!(config.priv_key_file.as_deref(), Some(Path::new(rsa)));
    assert_eq!(
        config.more_certificates[0].priv_key_file.as_deref(),
        Some(Path::new(ec))
    );
    let read = profiles(&[&[WHOSE], &lines[..]].concat()).expect("it is good");
    let shown: Vec<_> = read[0].lines().collect();
    let told = text.replace("1234", "...");
    assert!(
        shown.contains(&("priv_key_file", told.trim_start_matches("priv_key_file = "))),
        "{shown:?}"
    );
}

/// A comma ends a URI in a list, and is the PIN's in the one key of clients.
#[test]
fn a_pin_with_a_comma_of_the_one_key_is_not_listed() {
    for (key, told) in [
        (
            "client_priv_key_file = pkcs11:token=x?pin-value=12,34&max=1",
            "pkcs11:token=x?pin-value=...&max=1",
        ),
        (
            "client_priv_key_file = PKCS11:token=x?pin-value=12,34",
            "PKCS11:token=x?pin-value=...",
        ),
    ] {
        let lines = [WHOSE, "client_cert_file = a.pem", key];
        let read = profiles(&lines).expect("it is good");
        let mut shown = read[0].lines();
        let line = shown.find(|(name, _)| *name == "client_priv_key_file");
        assert_eq!(line.map(|(_, value)| value), Some(told));
    }
}
