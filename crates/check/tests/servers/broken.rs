//! Servers of the system's OpenSSL, and scripts, each broken in one way.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use ciphertrunk_check::Options;
use openssl::dh::Dh;
use openssl::ssl::{NameType, SniError, SslContextBuilder, SslVerifyMode, SslVersion};

use crate::case::{Case, PATIENCE, SILENCE, run};
use crate::pki::{Cert, NAME, Pki, Spec};
use crate::server::{alert, context, hello, narrow, swallow, tcp, tls};
use crate::sip;

pub fn options(pki: &Pki, address: SocketAddr, timeout: Duration) -> Options {
    let mut options = Options {
        name: Some(NAME.to_owned()),
        timeout,
        ..Options::new(&address.to_string()).expect("an address")
    };
    options.tls.ca_list_file = Some(pki.ca.clone());
    options
}

/// Servers of one certificate authority's.
pub struct Table<'a> {
    pub pki: &'a Pki,
    pub cases: Vec<Case>,
}

impl<'a> Table<'a> {
    pub fn new(pki: &'a Pki) -> Table<'a> {
        let cases = Vec::new();
        Table { pki, cases }
    }

    /// What the last one is looked at with.
    pub fn last(&mut self) -> &mut Options {
        &mut self.cases.last_mut().expect("one was added").options
    }

    pub fn add(
        &mut self,
        name: &'static str,
        address: SocketAddr,
        faults: &'static [&'static str],
        warnings: &'static [&'static str],
    ) {
        self.timed(name, address, PATIENCE, faults, warnings);
    }

    /// One that is waited for in full.
    pub fn slow(
        &mut self,
        name: &'static str,
        address: SocketAddr,
        faults: &'static [&'static str],
    ) {
        self.timed(name, address, SILENCE, faults, &[]);
    }

    pub fn timed(
        &mut self,
        name: &'static str,
        address: SocketAddr,
        timeout: Duration,
        faults: &'static [&'static str],
        warnings: &'static [&'static str],
    ) {
        self.cases.push(Case {
            name,
            options: options(self.pki, address, timeout),
            faults,
            warnings,
        });
    }
}

/// TLS 1.2 and 1.3: what a server of today has.
pub fn today(builder: &mut SslContextBuilder) {
    builder
        .set_min_proto_version(Some(SslVersion::TLS1_2))
        .expect("a version");
}

pub fn only(version: SslVersion) -> impl FnOnce(&mut SslContextBuilder) {
    move |builder| {
        builder
            .set_min_proto_version(Some(version))
            .expect("a version");
        builder
            .set_max_proto_version(Some(version))
            .expect("a version");
    }
}

#[test]
fn what_is_no_tls() {
    let pki = Pki::new();
    let mut table = Table {
        pki: &pki,
        cases: Vec::new(),
    };
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port");
    table.add("nobody listens", nobody, &["connect-refused"], &[]);
    table.add(
        "SIP that answers garbage",
        tcp(|mut tcp| {
            let _ = hello(&mut tcp);
            let _ = tcp.write_all(b"SIP/2.0 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
            swallow(tcp);
        }),
        &["plain-sip"],
        &[],
    );
    table.slow(
        "SIP that ignores garbage",
        tcp(|mut tcp| {
            use std::io::Read;
            let mut first = [0; 8];
            if tcp.read_exact(&mut first).is_ok() && &first == b"OPTIONS " {
                let _ = tcp.write_all(b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n");
            }
            swallow(tcp);
        }),
        &["plain-sip"],
    );
    table.add(
        "a web server",
        tcp(|mut tcp| {
            let _ = hello(&mut tcp);
            let _ = tcp.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
        }),
        &["plain-http"],
        &[],
    );
    table.add(
        "an SSH server",
        tcp(|mut tcp| {
            let _ = tcp.write_all(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
            swallow(tcp);
        }),
        &["plain-ssh"],
        &[],
    );
    table.add(
        "a mail server",
        tcp(|mut tcp| {
            let _ = tcp.write_all(b"220 mail.example.com ESMTP\r\n");
            swallow(tcp);
        }),
        &["plain-other"],
        &[],
    );
    table.slow("silence", tcp(swallow), &["tls-silent"]);
    table.add(
        "closed at once",
        tcp(|tcp| {
            let _ = tcp.shutdown(std::net::Shutdown::Write);
            swallow(tcp)
        }),
        &["closed-at-hello"],
        &[],
    );
    table.slow(
        "closed after the hello",
        tcp(|mut tcp| drop(hello(&mut tcp))),
        &["closed-at-hello"],
    );
    table.slow(
        "reset after the hello",
        tcp(|mut tcp| {
            let _ = hello(&mut tcp);
            let _ = socket2::SockRef::from(&tcp).set_linger(Some(Duration::ZERO));
        }),
        &["closed-at-hello"],
    );
    table.add(
        "alert handshake_failure always",
        tcp(|mut tcp| {
            let _ = hello(&mut tcp);
            alert(&mut tcp, 40);
            swallow(tcp);
        }),
        &["peer-handshake-failure"],
        &[],
    );
    table.add(
        "alert internal_error always",
        tcp(|mut tcp| {
            let _ = hello(&mut tcp);
            alert(&mut tcp, 80);
            swallow(tcp);
        }),
        &["peer-alert"],
        &[],
    );
    run("no TLS", table.cases);
}

#[test]
fn versions_ciphers_and_names() {
    let pki = Pki::new();
    let mut table = Table {
        pki: &pki,
        cases: Vec::new(),
    };
    let good = pki.leaf(&Spec::default());
    let rsa = pki.leaf(&Spec {
        rsa: 2048,
        ..Spec::default()
    });
    table.add(
        "TLS 1.0 only",
        tls(&[&good], only(SslVersion::TLS1), sip::sound),
        &["only-old-tls"],
        &[],
    );
    table.add(
        "TLS 1.1 only",
        tls(&[&good], only(SslVersion::TLS1_1), sip::sound),
        &["only-old-tls"],
        &[],
    );
    table.add(
        "TLS 1.0 too",
        tls(&[&good], |_| {}, sip::sound),
        &[],
        &["old-tls-taken"],
    );
    table.add(
        "TLS_RSA only",
        tls(
            &[&rsa],
            |builder| {
                only(SslVersion::TLS1_2)(builder);
                builder
                    .set_cipher_list("AES128-SHA:AES256-SHA256")
                    .expect("ciphers");
            },
            sip::sound,
        ),
        &["only-old-ciphers"],
        &["no-forward-secrecy"],
    );
    table.add(
        "DH of 1024 bits",
        tls(
            &[&rsa],
            |builder| {
                only(SslVersion::TLS1_2)(builder);
                builder
                    .set_cipher_list("DHE-RSA-AES128-GCM-SHA256@SECLEVEL=0")
                    .expect("a cipher");
                builder
                    .set_tmp_dh(&Dh::get_1024_160().expect("parameters"))
                    .expect("parameters");
            },
            sip::sound,
        ),
        &["weak-key-exchange"],
        &[],
    );
    table.add(
        "a cipher without encryption only",
        tls(
            &[&rsa],
            |builder| {
                only(SslVersion::TLS1_2)(builder);
                builder
                    .set_cipher_list("NULL-SHA256@SECLEVEL=0")
                    .expect("a cipher");
            },
            sip::sound,
        ),
        &["only-weak-ciphers"],
        &["unsafe-cipher-taken"],
    );
    table.add(
        "signatures of SHA-1 only",
        tls(
            &[&rsa],
            |builder| {
                only(SslVersion::TLS1_2)(builder);
                builder
                    .set_cipher_list("ECDHE-RSA-AES128-GCM-SHA256@SECLEVEL=0")
                    .expect("a cipher");
                builder.set_sigalgs_list("RSA+SHA1").expect("an algorithm");
            },
            sip::sound,
        ),
        &["no-shared-algorithm"],
        &[],
    );
    table.add(
        "alert unrecognized_name",
        tls(
            &[&good],
            |builder| {
                today(builder);
                builder.set_servername_callback(|ssl, _| {
                    if ssl.servername(NameType::HOST_NAME).is_some() {
                        Err(SniError::ALERT_FATAL)
                    } else {
                        Ok(())
                    }
                });
            },
            sip::sound,
        ),
        &[],
        &["server-name-refused"],
    );
    // Since OpenSSL 3.5 it has ML-KEM.
    let own_hello_is_long = openssl::version::number() >= 0x3050_0000;
    table.timed(
        "a box that drops a long hello",
        narrow(context(&[&good], today), 1400, sip::sound),
        SILENCE,
        if own_hello_is_long {
            &["large-hello-lost"]
        } else {
            &[]
        },
        if own_hello_is_long {
            &[]
        } else {
            &["large-hello-unanswered"]
        },
    );
    run("versions, ciphers, names", table.cases);
}

#[test]
fn certificates() {
    let pki = Pki::new();
    let mut table = Table {
        pki: &pki,
        cases: Vec::new(),
    };
    let spec = Spec::default;
    let serve = |chain: &[&Cert]| tls(chain, today, sip::sound);
    let below = Cert::make(&spec(), Some(&pki.intermediate));
    table.add(
        "the intermediate is missing",
        serve(&[&below]),
        &["chain-incomplete"],
        &[],
    );
    table.add(
        "the order is wrong",
        serve(&[&below, &pki.root, &pki.intermediate]),
        &[],
        &["chain-order"],
    );
    table.add(
        "a certificate that does not belong",
        serve(&[&below, &pki.stranger, &pki.intermediate]),
        &[],
        &["chain-foreign"],
    );
    let below_expired = Cert::make(&spec(), Some(&pki.expired));
    table.add(
        "the intermediate has expired",
        serve(&[&below_expired, &pki.expired]),
        &["intermediate-expired"],
        &[],
    );
    let strange = Cert::make(&spec(), Some(&pki.stranger));
    table.add(
        "a CA that is not known",
        serve(&[&strange]),
        &["chain-untrusted"],
        &[],
    );
    table.add(
        "a CA that is not known, sent",
        serve(&[&strange, &pki.stranger]),
        &["chain-untrusted"],
        &[],
    );
    let namesake = Pki::new();
    table.add(
        "a CA of the same name, with another key",
        serve(&[&namesake.leaf(&spec())]),
        &["chain-untrusted"],
        &[],
    );
    let own = Cert::make(&spec(), None);
    table.add(
        "signed by itself",
        serve(&[&own]),
        &["cert-self-signed"],
        &[],
    );
    table.add(
        "expired",
        serve(&[&pki.leaf(&Spec {
            to_days: -1,
            ..spec()
        })]),
        &["cert-expired"],
        &[],
    );
    table.add(
        "not valid yet",
        serve(&[&pki.leaf(&Spec {
            from_days: 2,
            ..spec()
        })]),
        &["cert-not-yet-valid"],
        &[],
    );
    table.add(
        "expires soon",
        serve(&[&pki.leaf(&Spec {
            to_days: 12,
            ..spec()
        })]),
        &[],
        &["expires-soon"],
    );
    table.add(
        "RSA 1024",
        serve(&[&pki.leaf(&Spec {
            rsa: 1024,
            ..spec()
        })]),
        &["cert-weak"],
        &[],
    );
    table.add(
        "SHA-1",
        serve(&[&pki.leaf(&Spec {
            sha1: true,
            ..spec()
        })]),
        &["cert-weak"],
        &[],
    );
    table.add(
        "for clients only",
        serve(&[&pki.leaf(&Spec {
            server: false,
            ..spec()
        })]),
        &["cert-purpose"],
        &[],
    );
    table.add(
        "another name",
        serve(&[&pki.leaf(&Spec {
            cn: "other.example.com",
            dns: &["other.example.com"],
            ..spec()
        })]),
        &["cert-name"],
        &[],
    );
    table.add(
        "the name in CN, another in SAN",
        serve(&[&pki.leaf(&Spec {
            dns: &["other.example.com"],
            ..spec()
        })]),
        &["cert-name"],
        &[],
    );
    table.add(
        "a wildcard of two labels",
        serve(&[&pki.leaf(&Spec {
            cn: "x",
            dns: &["*.com"],
            ..spec()
        })]),
        &["cert-name"],
        &[],
    );
    table.add(
        "an address in SAN",
        serve(&[&pki.leaf(&Spec {
            dns: &[],
            ip: &["127.0.0.1"],
            ..spec()
        })]),
        &["cert-name"],
        &[],
    );
    table.add(
        "a user's URI in SAN",
        serve(&[&pki.leaf(&Spec {
            dns: &[],
            uri: &["sip:me@sip.example.com"],
            ..spec()
        })]),
        &["cert-name"],
        &[],
    );
    table.add(
        "a wildcard",
        serve(&[&pki.leaf(&Spec {
            cn: "x",
            dns: &["*.example.com"],
            ..spec()
        })]),
        &[],
        &["name-by-wildcard"],
    );
    table.add(
        "the name in CN only",
        serve(&[&pki.leaf(&Spec { dns: &[], ..spec() })]),
        &[],
        &["name-in-subject-only"],
    );
    table.add(
        "a SIP URI in SAN",
        serve(&[&pki.leaf(&Spec {
            cn: "x",
            dns: &[],
            uri: &["sip:sip.example.com"],
            ..spec()
        })]),
        &[],
        &[],
    );
    let long = pki.leaf(&Spec {
        ballast: 40_000,
        ..spec()
    });
    table.add(
        "a chain of 40 kB",
        serve(&[&long]),
        &["handshake-too-long"],
        &[],
    );
    run("certificates", table.cases);
}

/// Demands, or asks for, a client certificate of the trusted root's.
fn mutual(
    pki: &Pki,
    version: SslVersion,
    mode: SslVerifyMode,
) -> impl FnOnce(&mut SslContextBuilder) {
    let root = pki.root.x509.clone();
    move |builder| {
        only(version)(builder);
        builder.cert_store_mut().add_cert(root).expect("a CA");
        builder.set_verify(mode);
    }
}

#[test]
fn client_certificates() {
    let pki = Pki::new();
    let mut table = Table {
        pki: &pki,
        cases: Vec::new(),
    };
    let good = pki.leaf(&Spec::default());
    let demanded = SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT;
    let at_1_2 = tls(
        &[&good],
        mutual(&pki, SslVersion::TLS1_2, demanded),
        sip::sound,
    );
    let at_1_3 = tls(
        &[&good],
        mutual(&pki, SslVersion::TLS1_3, demanded),
        sip::sound,
    );
    table.add(
        "demanded, TLS 1.2",
        at_1_2,
        &["client-certificate-demanded"],
        &[],
    );
    table.add(
        "demanded, TLS 1.3",
        at_1_3,
        &["client-certificate-demanded"],
        &[],
    );
    let optional = tls(
        &[&good],
        mutual(&pki, SslVersion::TLS1_3, SslVerifyMode::PEER),
        sip::sound,
    );
    table.add("asked for", optional, &[], &[]);
    let ours = pki.files(
        "client",
        &[&pki.leaf(&Spec {
            cn: "pbx",
            dns: &["pbx.example.org"],
            ..Spec::default()
        })],
    );
    let strange = Cert::make(
        &Spec {
            cn: "pbx",
            ..Spec::default()
        },
        Some(&pki.stranger),
    );
    let strange = pki.files("strange", &[&strange]);
    for (name, address, files, faults) in [
        ("demanded and given, TLS 1.2", at_1_2, &ours, &[][..]),
        ("demanded and given, TLS 1.3", at_1_3, &ours, &[]),
        (
            "given and refused, TLS 1.2",
            at_1_2,
            &strange,
            &["own-certificate-refused"],
        ),
        (
            "given and refused, TLS 1.3",
            at_1_3,
            &strange,
            &["own-certificate-refused"],
        ),
    ] {
        table.add(name, address, faults, &[]);
        let case = table.cases.last_mut().expect("it was added");
        case.options.tls.cert_file = Some(files.0.clone());
        case.options.tls.priv_key_file = Some(files.1.clone());
    }
    run("client certificates", table.cases);
}

#[test]
fn sip_over_tls() {
    let pki = Pki::new();
    let mut table = Table {
        pki: &pki,
        cases: Vec::new(),
    };
    let good = pki.leaf(&Spec::default());
    let serve = |answer| tls(&[&good], today, answer);
    table.slow("no answer", serve(sip::mute), &["options-unanswered"]);
    table.add(
        "closed at OPTIONS",
        serve(sip::closes_at_once),
        &["options-closed"],
        &[],
    );
    table.add(
        "closed after the answer",
        serve(sip::closes_after),
        &[],
        &["closed-after-answer"],
    );
    table.add(
        "503",
        serve(sip::unavailable),
        &["options-server-error"],
        &[],
    );
    table.add("403", serve(sip::forbidden), &[], &["options-forbidden"]);
    table.add(
        "another CSeq",
        serve(sip::wrong_cseq),
        &["answer-wrong-cseq"],
        &[],
    );
    table.add(
        "another Via",
        serve(sip::wrong_via),
        &["answer-wrong-via"],
        &[],
    );
    table.add(
        "another Call-ID",
        serve(sip::wrong_call_id),
        &["answer-wrong-dialog"],
        &[],
    );
    table.add(
        "two lengths",
        serve(sip::two_lengths),
        &["answer-malformed"],
        &[],
    );
    table.add("an echo", serve(sip::echo), &["answer-echoed"], &[]);
    table.add("HTTP", serve(sip::http), &["answer-http"], &[]);
    table.add(
        "something else",
        serve(sip::not_sip),
        &["answer-not-sip"],
        &[],
    );
    table.add("sound", serve(sip::sound), &[], &[]);
    table.add("sound, with a login", serve(sip::login), &[], &[]);
    run("SIP", table.cases);
}
