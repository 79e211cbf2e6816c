//! The verification of a server's certificate, as a table: each row is a certificate that `openssl s_server` presents, the name that
//! was asked for, and the verdict. RFC 5922 section 7 (SIP), RFC 9525 (names, once RFC 6125), RFC 5280 section 6 (paths).

mod common;

use std::path::{Path, PathBuf};

use common::certs::{Cert, Spec};
use common::tool::s_server;
use common::{Dir, Engine, Event};
use sip_tls::{Code, ProfileConfig};

const NAME: &str = "sip.example.com";

/// Who signs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    /// The CA that is trusted.
    Root,
    /// A CA below it, whose certificate is sent.
    Intermediate,
    /// The same, not sent.
    Missing,
    /// A CA below it that may sign for `.example.com` alone.
    Constrained,
    /// A CA below it that may not sign for `.example.com`.
    Excluding,
    /// A certificate below it that is no CA.
    NoCa,
    /// A CA below it that has expired.
    Old,
    /// A CA below [`By::Intermediate`], which may have none below it.
    TooDeep,
    /// A CA that nobody knows.
    Stranger,
    /// Itself.
    Itself,
}

struct Row {
    what: &'static str,
    spec: Spec,
    by: By,
    name: &'static str,
    wildcards: bool,
    verdict: Result<(), Code>,
}

/// A certificate of the trusted CA, asked for by [`NAME`], good.
fn row(what: &'static str, spec: Spec) -> Row {
    Row {
        what,
        spec,
        by: By::Root,
        name: NAME,
        wildcards: false,
        verdict: Ok(()),
    }
}

impl Row {
    fn by(self, by: By) -> Row {
        Row { by, ..self }
    }

    fn asked_as(self, name: &'static str) -> Row {
        Row { name, ..self }
    }

    fn with_wildcards(self) -> Row {
        Row {
            wildcards: true,
            ..self
        }
    }

    fn refused(self, code: Code) -> Row {
        Row {
            verdict: Err(code),
            ..self
        }
    }
}

fn good() -> Spec {
    Spec::default()
}

/// Without a DNS name.
fn bare() -> Spec {
    Spec { dns: &[], ..good() }
}

fn dns(dns: &'static [&'static str]) -> Spec {
    Spec { dns, ..good() }
}

fn uri(uri: &'static [&'static str], dns: &'static [&'static str]) -> Spec {
    Spec { uri, dns, ..good() }
}

fn ip(ip: &'static [&'static str]) -> Spec {
    Spec { ip, ..bare() }
}

fn extended(extensions: &'static [(&'static str, &'static str)]) -> Spec {
    Spec {
        extensions,
        ..good()
    }
}

/// Alternative names in DER.
fn der(alt_names_der: &'static [u8]) -> Spec {
    Spec {
        alt_names_der,
        ..bare()
    }
}

/// Names: RFC 5922 section 7.1 and 7.2, RFC 9525 section 6.
fn names() -> Vec<Row> {
    use Code::CertName;
    vec![
        row("DNS", good()),
        row("DNS of another", dns(&["other.example.com"])).refused(CertName),
        row("DNS in capitals", dns(&["SIP.EXAMPLE.COM"])),
        row(
            "the last of several",
            dns(&["a.example.com", "b.example.com", NAME]),
        ),
        row("none of several", dns(&["a.example.com", "b.example.com"])).refused(CertName),
        row("DNS of the domain alone", dns(&["example.com"])).refused(CertName),
        row("DNS below it", dns(&["a.sip.example.com"])).refused(CertName),
        row("DNS and another common name", Spec { cn: "x", ..good() }),
        row(
            "common name and another DNS",
            Spec {
                cn: NAME,
                ..dns(&["other.example.com"])
            },
        )
        .refused(CertName),
        row("common name alone", bare()),
        row(
            "another common name alone",
            Spec {
                cn: "other.example.com",
                ..bare()
            },
        )
        .refused(CertName),
        row("no name at all", Spec { cn: "", ..bare() }).refused(CertName),
        row("X.509 v1, common name", Spec { v1: true, ..bare() }),
        row(
            "X.509 v1, another",
            Spec {
                v1: true,
                cn: "other.example.com",
                ..bare()
            },
        )
        .refused(CertName),
        row(
            "a blank before the common name",
            Spec {
                cn: " sip.example.com",
                ..bare()
            },
        )
        .refused(CertName),
        row("SIP URI alone", uri(&["sip:sip.example.com"], &[])),
        row("SIP URI of another", uri(&["sip:example.org"], &[])).refused(CertName),
        row(
            "SIP URI, scheme in capitals",
            uri(&["SIP:sip.example.com"], &[]),
        ),
        row("SIP URI with a user", uri(&["sip:a@sip.example.com"], &[])).refused(CertName),
        row(
            "URI of another scheme",
            uri(&["https://sip.example.com"], &[]),
        )
        .refused(CertName),
        row("SIP URI with a wildcard", uri(&["sip:*.example.com"], &[]))
            .with_wildcards()
            .refused(CertName),
        row(
            "SIP URI of the domain, asked as that",
            uri(&["sip:example.com"], &[NAME]),
        )
        .asked_as("example.com"),
        // RFC 5922 7.1 would refuse this one for the URI beside it; stock takes it, and a CA has vouched for the name.
        row(
            "SIP URI of the domain, asked as its DNS",
            uri(&["sip:example.com"], &[NAME]),
        ),
        row(
            "SIP URI and DNS, neither asked for",
            uri(&["sip:example.com"], &[NAME]),
        )
        .asked_as("example.org")
        .refused(CertName),
        row(
            "e-mail address alone",
            Spec {
                extensions: &[("subjectAltName", "email:a@sip.example.com")],
                ..bare()
            },
        )
        .refused(CertName),
        row(
            "e-mail address beside DNS",
            Spec {
                extensions: &[("subjectAltName", "email:a@example.org,DNS:sip.example.com")],
                ..bare()
            },
        ),
        row(
            "another kind of name alone",
            Spec {
                extensions: &[("subjectAltName", "otherName:1.2.3.4;UTF8:sip.example.com")],
                ..bare()
            },
        )
        .refused(CertName),
        row(
            "registered identifier alone",
            Spec {
                extensions: &[("subjectAltName", "RID:1.2.3.4")],
                ..bare()
            },
        )
        .refused(CertName),
        row("wildcard", dns(&["*.example.com"])).with_wildcards(),
        row("wildcard, not allowed", dns(&["*.example.com"])).refused(CertName),
        row("wildcard over two labels", dns(&["*.example.com"]))
            .with_wildcards()
            .asked_as("a.sip.example.com")
            .refused(CertName),
        row("wildcard, asked for its domain", dns(&["*.example.com"]))
            .with_wildcards()
            .asked_as("example.com")
            .refused(CertName),
        row("wildcard of a part of a label", dns(&["s*.example.com"]))
            .with_wildcards()
            .refused(CertName),
        row("wildcard in the second label", dns(&["sip.*.com"]))
            .with_wildcards()
            .refused(CertName),
        row("wildcard alone", dns(&["*"]))
            .with_wildcards()
            .refused(CertName),
        row(
            "wildcard in the common name",
            Spec {
                cn: "*.example.com",
                ..bare()
            },
        )
        .with_wildcards(),
        row("IDN as A-label", dns(&["xn--bcher-kva.example.com"]))
            .asked_as("xn--bcher-kva.example.com"),
        row("another IDN", dns(&["xn--bcher-kva.example.com"]))
            .asked_as("xn--bucher-kva.example.com")
            .refused(CertName),
        // [2] "b\u{fc}cher.example.com", which RFC 5280 does not allow in an IA5String.
        row(
            "IDN as U-label",
            der(b"\x30\x15\x82\x13b\xc3\xbccher.example.com"),
        )
        .asked_as("xn--bcher-kva.example.com")
        .refused(CertName),
        row("wildcard over an A-label", dns(&["*.example.com"]))
            .with_wildcards()
            .asked_as("xn--bcher-kva.example.com"),
        row(
            "NUL behind the name",
            der(b"\x30\x19\x82\x17sip.example.com\0.evil.x"),
        )
        .refused(CertName),
        row(
            "the same without NUL",
            der(b"\x30\x11\x82\x0fsip.example.com"),
        ),
        // Its length says more than there is: OpenSSL finds no issuer of such a certificate.
        row("names that cannot be read", der(b"\x30\x20\x82\x01x")).refused(Code::CertUntrusted),
        row("IP", ip(&["127.0.0.1"])).asked_as("127.0.0.1"),
        row("IP of another", ip(&["127.0.0.2"]))
            .asked_as("127.0.0.1")
            .refused(CertName),
        row("IP, asked for a name", ip(&["127.0.0.1"])).refused(CertName),
        row("DNS, asked for an address", good())
            .asked_as("127.0.0.1")
            .refused(CertName),
        row("IPv6", ip(&["2001:db8::1"])).asked_as("[2001:DB8:0::1]"),
        row("IPv6 of another", ip(&["2001:db8::2"]))
            .asked_as("[2001:db8::1]")
            .refused(CertName),
        row("SIP URI of an address", uri(&["sip:127.0.0.1"], &[])).asked_as("127.0.0.1"),
    ]
}

/// Paths, times, purposes, strength: RFC 5280 section 6.
fn paths() -> Vec<Row> {
    vec![
        row(
            "expired",
            Spec {
                from_days: -20,
                to_days: -1,
                ..good()
            },
        )
        .refused(Code::CertExpired),
        row(
            "not valid yet",
            Spec {
                from_days: 2,
                ..good()
            },
        )
        .refused(Code::CertNotYetValid),
        row("an intermediate CA", good()).by(By::Intermediate),
        row("an intermediate CA that is not sent", good())
            .by(By::Missing)
            .refused(Code::CertUntrusted),
        row("an intermediate CA that has expired", good())
            .by(By::Old)
            .refused(Code::CertExpired),
        row("signed by what is no CA", good())
            .by(By::NoCa)
            .refused(Code::CertPurpose),
        row("a path that is too long", good())
            .by(By::TooDeep)
            .refused(Code::CertInvalid),
        row("within name constraints", good()).by(By::Constrained),
        row("outside of name constraints", dns(&["sip.example.org"]))
            .by(By::Constrained)
            .asked_as("sip.example.org")
            .refused(Code::CertInvalid),
        row("excluded by name constraints", good())
            .by(By::Excluding)
            .refused(Code::CertInvalid),
        row("of a CA that nobody knows", good())
            .by(By::Stranger)
            .refused(Code::CertUntrusted),
        row("signed by itself", good())
            .by(By::Itself)
            .refused(Code::CertSelfSigned),
        row(
            "for servers",
            Spec {
                server_only: true,
                ..good()
            },
        ),
        row(
            "for clients alone",
            Spec {
                client_only: true,
                ..good()
            },
        )
        .refused(Code::CertPurpose),
        row(
            "for mail alone",
            extended(&[("extendedKeyUsage", "emailProtection")]),
        )
        .refused(Code::CertPurpose),
        row(
            "for servers and clients",
            extended(&[("extendedKeyUsage", "serverAuth,clientAuth")]),
        ),
        row(
            "a critical extension that nobody knows",
            extended(&[("1.2.3.4", "critical,ASN1:NULL")]),
        )
        .refused(Code::CertInvalid),
        row(
            "the same, not critical",
            extended(&[("1.2.3.4", "ASN1:NULL")]),
        ),
        row(
            "RSA with 2048 bits",
            Spec {
                rsa: true,
                ..good()
            },
        ),
        row(
            "RSA with 1024 bits",
            Spec {
                rsa: true,
                bits: 1024,
                ..good()
            },
        )
        .refused(Code::CertWeak),
        row(
            "SHA-1 below the CA",
            Spec {
                sha1: true,
                ..good()
            },
        )
        .refused(Code::CertWeak),
    ]
}

/// The CAs.
struct Cas {
    dir: Dir,
    root: Cert,
    root_file: PathBuf,
    intermediate: Cert,
}

/// A CA below another.
fn below(cn: &'static str, issuer: &Cert, change: impl FnOnce(Spec) -> Spec) -> Cert {
    let spec = Spec {
        cn,
        dns: &[],
        ca: true,
        ..Spec::default()
    };
    Cert::make(&change(spec), Some(issuer))
}

impl Cas {
    fn new() -> Cas {
        let dir = Dir::new();
        let root = Cert::ca("Root");
        let (root_file, _) = root.write(&dir, "root");
        // It may sign certificates, and no CAs: see `By::TooDeep`.
        let intermediate = below("Intermediate", &root, |spec| Spec {
            path_length: Some(0),
            ..spec
        });
        Cas {
            dir,
            root,
            root_file,
            intermediate,
        }
    }

    /// The certificate, and what is sent with it.
    fn issue(&self, spec: &Spec, by: By) -> (Cert, Vec<Cert>) {
        let of = |cn, change: fn(Spec) -> Spec| below(cn, &self.root, change);
        let issuer = match by {
            By::Root => return (Cert::make(spec, Some(&self.root)), Vec::new()),
            By::Itself => return (Cert::make(spec, None), Vec::new()),
            By::Stranger => return (Cert::make(spec, Some(&Cert::ca("Stranger"))), Vec::new()),
            By::Missing => return (Cert::make(spec, Some(&self.intermediate)), Vec::new()),
            By::Intermediate => {
                let leaf = Cert::make(spec, Some(&self.intermediate));
                return (leaf, vec![self.intermediate.clone()]);
            }
            By::TooDeep => {
                let deep = below("Deep", &self.intermediate, |spec| spec);
                let leaf = Cert::make(spec, Some(&deep));
                return (leaf, vec![deep, self.intermediate.clone()]);
            }
            By::Constrained => of("Constrained", |spec| Spec {
                extensions: &[("nameConstraints", "critical,permitted;DNS:.example.com")],
                ..spec
            }),
            By::Excluding => of("Excluding", |spec| Spec {
                extensions: &[("nameConstraints", "critical,excluded;DNS:.example.com")],
                ..spec
            }),
            By::NoCa => of("No CA", |spec| Spec { ca: false, ..spec }),
            By::Old => of("Old", |spec| Spec {
                from_days: -20,
                to_days: -1,
                ..spec
            }),
        };
        let leaf = Cert::make(spec, Some(&issuer));
        (leaf, vec![issuer])
    }

    /// What our client says of the server.
    fn judge(&self, row: &Row) -> Result<(), Code> {
        let (leaf, chain) = self.issue(&row.spec, row.by);
        let (cert, key) = leaf.write(&self.dir, "server");
        let sent: Vec<u8> = chain.iter().flat_map(Cert::pem).collect();
        let sent = self.dir.write("chain.pem", &sent);
        let sent = sent.to_str().unwrap();
        // A server that presents a weak certificate must be told to.
        let mut more = vec!["-cipher", "DEFAULT:@SECLEVEL=0"];
        if !chain.is_empty() {
            more.extend(["-cert_chain", sent]);
        }
        let (_server, address) = s_server(&cert, &key, &more);
        let engine = Engine::new();
        engine.connect(address, row.name, &self.client(row.wildcards));
        engine.until(|event| match event {
            Event::Connected(_) => Some(Ok(())),
            Event::Closed(_, reason) => Some(Err(reason.code)),
            _ => None,
        })
    }

    fn client(&self, allow_wildcard_certs: bool) -> ProfileConfig {
        ProfileConfig {
            ca_list_file: Some(Path::to_owned(&self.root_file)),
            verify_server: true,
            allow_wildcard_certs,
            ..ProfileConfig::default()
        }
    }
}

fn judge_all(rows: &[Row]) {
    let cas = Cas::new();
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|row| {
            let verdict = cas.judge(row);
            (verdict != row.verdict)
                .then(|| format!("{}: {verdict:?}, and not {:?}", row.what, row.verdict))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_name() {
    let rows = names();
    assert!(rows.len() >= 40);
    judge_all(&rows);
}

#[test]
fn every_path() {
    judge_all(&paths());
}
