//! Old phones and old certificates: which `method` and `cipher` let them in, what is said, and what stock does beside.

use host_harness::asterisk::Asterisk;
use host_harness::certificates::Certificate;
use host_harness::host;
use host_harness::lab::Lab;
use host_harness::setup::Setup;
use host_harness::sip::Client;
use openssl::ssl::SslVersion;

use crate::tls_world::{PEER, World, is_ours, listening, ours};
use crate::world::OURS;

/// A transport called `name` on `port`, with these lines and no `method` of its own.
fn transport(certificate: &Certificate, name: &str, port: u16, lines: &str) -> String {
    format!(
        "[{name}]\ntype = transport\nprotocol = tls\nbind = {OURS}:{port}\ncert_file = {}\npriv_key_file = {}\n{lines}\n",
        certificate.certificate, certificate.key
    )
}

/// Which of TLS 1.0, 1.1, 1.2 and 1.3 a client of that version alone is served with.
fn served(lab: &Lab, port: u16) -> [bool; 4] {
    [
        SslVersion::TLS1,
        SslVersion::TLS1_1,
        SslVersion::TLS1_2,
        SslVersion::TLS1_3,
    ]
    .map(|version| {
        let client = Client::new().version(version).ciphers("ALL:@SECLEVEL=0");
        let connected = client.connect(lab, &format!("{OURS}:{port}"));
        connected.is_ok_and(|mut it| it.options().is_ok_and(|status| status == 200))
    })
}

/// A phone that speaks TLS 1.0 alone, as openssl's own client.
fn phone(lab: &Lab, port: u16) -> bool {
    let peer = format!("{OURS}:{port}");
    let output = lab.run(
        "openssl",
        &[
            "s_client",
            "-tls1",
            "-cipher",
            "DEFAULT@SECLEVEL=0",
            "-connect",
            &peer,
        ],
    );
    output.status.success()
}

const NONE: [bool; 4] = [false; 4];
const ALL: [bool; 4] = [true; 4];
const TODAY: [bool; 4] = [false, false, true, true];

/// The lines of a transport, who is served by us, who by stock, and what we say of it (nothing, if it is empty).
struct Case {
    name: &'static str,
    lines: &'static str,
    ours: [bool; 4],
    stock: [bool; 4],
    said: &'static str,
}

const fn case(
    name: &'static str,
    lines: &'static str,
    ours: [bool; 4],
    stock: [bool; 4],
    said: &'static str,
) -> Case {
    Case {
        name,
        lines,
        ours,
        stock,
        said,
    }
}

const ONE_0: [bool; 4] = [true, false, false, false];
const ONE_1: [bool; 4] = [false, true, false, false];
const ONE_2: [bool; 4] = [false, false, true, false];
const ONE_3: [bool; 4] = [false, false, false, true];
const OLD: &str = "method: old TLS (1.0 or 1.1) is allowed";
const SUITE: &str = "cipher = ECDHE-ECDSA-AES256-SHA, @SECLEVEL=0\n";

const CASES: [Case; 17] = [
    case("unset", "", TODAY, ONE_0, ""),
    case("unspecified", "method = unspecified\n", TODAY, ONE_0, ""),
    // Asterisk's word for TLS 1.0: it comes back from it as `tlsv1`.
    case("default", "method = default\n", ALL, ONE_0, OLD),
    case("tlsv1", "method = tlsv1\n", ALL, ONE_0, OLD),
    case(
        "tlsv1_1",
        "method = tlsv1_1\n",
        [false, true, true, true],
        ONE_1,
        OLD,
    ),
    case("tlsv1_2", "method = tlsv1_2\n", TODAY, ONE_2, ""),
    case("tlsv1_3", "method = tlsv1_3\n", ONE_3, ONE_3, ""),
    case(
        "sslv2",
        "method = sslv2\n",
        TODAY,
        NONE,
        "method: OpenSSL has no SSL 2 and 3",
    ),
    case(
        "sslv3",
        "method = sslv3\n",
        TODAY,
        NONE,
        "method: OpenSSL has no SSL 2 and 3",
    ),
    case("sslv23", "method = sslv23\n", TODAY, TODAY, ""),
    // Stock has no suite left where `@SECLEVEL=0` stands alone.
    case(
        "level",
        "cipher = @SECLEVEL=0\n",
        TODAY,
        NONE,
        "but not TLS 1.0 and 1.1; those take method = tlsv1",
    ),
    case(
        "any_level",
        "method = sslv23\ncipher = @SECLEVEL=0\n",
        ALL,
        NONE,
        OLD,
    ),
    case(
        "old_level",
        "method = tlsv1\ncipher = @SECLEVEL=0\n",
        ALL,
        NONE,
        OLD,
    ),
    case("old_suite", "method = tlsv1\nSUITE", ALL, ONE_0, OLD),
    case(
        "old_barred",
        "method = tlsv1\ncipher = ECDHE-ECDSA-AES256-SHA, @SECLEVEL=2\n",
        TODAY,
        NONE,
        "'@SECLEVEL=2' in cipher",
    ),
    // Asterisk takes one name between commas, and drops the transport for these.
    case(
        "glued",
        "method = tlsv1\ncipher = DEFAULT@SECLEVEL=0\n",
        NONE,
        NONE,
        "",
    ),
    case(
        "colon",
        "method = tlsv1\ncipher = ECDHE-ECDSA-AES256-SHA:@SECLEVEL=0\n",
        NONE,
        NONE,
        "",
    ),
];

/// Every word of `method`, and `cipher` with a security level.
#[test]
fn what_lets_an_old_phone_in() {
    let world = World::new("old_phones");
    let lab = &world.lab;
    let port = |number: usize| 5061 + u16::try_from(number).expect("a few");
    let text: String = CASES
        .iter()
        .enumerate()
        .map(|(number, case)| {
            let lines = case.lines.replace("SUITE", SUITE);
            transport(&world.certificate, case.name, port(number), &lines)
        })
        .collect();
    for is_stock in [false, true] {
        let setup = if is_stock {
            Setup::stock("stock", OURS)
        } else {
            ours()
        };
        let asterisk = Asterisk::start(lab, &setup.pjsip(&text).pjsip(PEER));
        let refused = asterisk.all_log_lines("Cipher '@SECLEVEL=0' is unsupported");
        if !refused.is_empty() {
            return host::skip(
                "tls_old_peers::what_lets_an_old_phone_in",
                "this Asterisk refuses '@SECLEVEL=0' in cipher",
            );
        }
        for (number, case) in CASES.iter().enumerate() {
            let name = case.name;
            let who = if is_stock { "stock" } else { "ours" };
            let expected = if is_stock { case.stock } else { case.ours };
            assert_eq!(served(lab, port(number)), expected, "{who}: {name}");
            if is_stock {
                continue;
            }
            assert_eq!(phone(lab, port(number)), expected[0], "{name}");
            assert_eq!(is_ours(&asterisk, name), case.ours != NONE, "{name}");
            let lines: Vec<String> = asterisk
                .all_log_lines(&format!("transport '{name}': "))
                .into_iter()
                .filter(|line| line.contains("method: ") || line.contains("SECLEVEL"))
                .filter(|line| !line.contains("TLS from"))
                .collect();
            if case.said.is_empty() {
                assert_eq!(lines, Vec::<String>::new(), "{name}");
            } else {
                assert_eq!(lines.len(), 1, "{name}: {lines:?}");
                let line = &lines[0];
                assert!(
                    line.contains("WARNING") && line.contains(case.said),
                    "{line}"
                );
                let shown = asterisk.cli("ciphertrunk show transports");
                assert!(shown.contains(case.said), "{shown}");
            }
        }
        assert!(asterisk.stop().success());
    }
}

/// Where an old phone is not let in, its line says how old it is, and what would let it in.
#[test]
fn what_is_said_of_an_old_phone() {
    let world = World::new("old_phone_line");
    let text = transport(&world.certificate, "unset", 5061, "");
    let ours = Asterisk::start(&world.lab, &ours().pjsip(&text).pjsip(PEER));
    assert!(!phone(&world.lab, 5061));
    ours.wait_for_log("TLS from ");
    let line = ours.all_log_lines("TLS from ").pop().expect("a line");
    for part in [
        "transport 'unset'",
        "at the first TLS message",
        "the newest TLS version that it speaks is TLS 1.0",
        "type = tls, match = its address and min_version = tls1.0",
        "(here or there)",
    ] {
        assert!(line.contains(part), "{part:?} is not in {line}");
    }
}

/// A certificate of RSA 1024, or signed with SHA-1, is served where old TLS is asked for by name, as stock does.
#[test]
fn an_old_certificate() {
    let world = World::new("old_certificate");
    let lab = &world.lab;
    let make = |name: &str, options: &[&str]| {
        let file = |ending: &str| format!("/srv/tls/{name}.{ending}");
        let (certificate, key) = (file("pem"), file("key"));
        let mut words = vec![
            "req",
            "-x509",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=ours",
            "-keyout",
            &key,
            "-out",
            &certificate,
        ];
        words.extend(options);
        lab.must_run("openssl", &words);
        Certificate { certificate, key }
    };
    let short = make("short", &["-newkey", "rsa:1024", "-sha256"]);
    let sha1 = make("sha1", &["-newkey", "rsa:2048", "-sha1"]);
    let mut text = String::new();
    for (certificate, name, port) in [(&short, "short", 5061), (&sha1, "sha1", 5071)] {
        text += &transport(
            certificate,
            &format!("{name}_old"),
            port,
            "method = tlsv1\n",
        );
        text += &transport(
            certificate,
            &format!("{name}_today"),
            port + 1,
            "method = tlsv1_2\n",
        );
    }
    for is_stock in [false, true] {
        let setup = if is_stock {
            Setup::stock("stock", OURS)
        } else {
            ours()
        };
        let asterisk = Asterisk::start(lab, &setup.pjsip(&text).pjsip(PEER));
        for (name, port, weak) in [
            ("short", 5061, "a key of 1024 bits"),
            ("sha1", 5071, "signed with SHA1"),
        ] {
            let (old, today) = if is_stock {
                (ONE_0, ONE_2)
            } else {
                (ALL, TODAY)
            };
            assert_eq!(served(lab, port), old, "{name}, stock: {is_stock}");
            // Nobody looks at the signature of what is signed by itself.
            let today = if name == "sha1" { today } else { NONE };
            assert_eq!(served(lab, port + 1), today, "{name}, stock: {is_stock}");
            if is_stock {
                continue;
            }
            let old = format!("{name}_old");
            assert!(phone(lab, port), "{name}");
            assert!(is_ours(&asterisk, &old), "{name}");
            let shown = asterisk.cli("ciphertrunk show transports");
            assert!(
                shown.contains(&format!("the certificate is weak ({weak}")) && shown.contains(OLD),
                "{shown}"
            );
            assert!(listening(&asterisk, &old).is_some());
            let lines = asterisk.all_log_lines(&format!("transport '{old}': cert_file"));
            assert!(
                lines.len() == 1 && lines[0].contains("WARNING") && lines[0].contains(weak),
                "{lines:?}"
            );
        }
        if !is_stock {
            let lines = asterisk.all_log_lines("transport 'short_today': ");
            assert!(
                lines.iter().any(|line| line.contains("ERROR")
                    && line.contains("too weak for OpenSSL's security level")
                    && line.contains("method = tlsv1")),
                "{lines:?}"
            );
        }
        assert!(asterisk.stop().success());
    }
}
