//! `--listen`: phones of others, and clients that are no phones.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::mpsc::channel;
use std::time::Duration;

use ciphertrunk_check::{Level, ListenOptions, Report, listen, text};
use openssl::ssl::{Ssl, SslContext, SslMethod, SslStream, SslVerifyMode, SslVersion};

use crate::case::PATIENCE;
use crate::pki::{Cert, Pki, Spec};
use crate::program::{root, rooted, tool};

/// A listener, and a phone that comes; the report, and what the phone's function gave.
fn with<T>(pki: &Pki, ca: bool, phone: impl FnOnce(SocketAddr) -> T) -> (Report, T) {
    let (cert, key) = pki.files(
        "listener",
        &[&pki.leaf(&Spec {
            ip: &["127.0.0.1"],
            ..Spec::default()
        })],
    );
    let options = ListenOptions {
        address: ([127, 0, 0, 1], 0).into(),
        cert,
        key: Some(key),
        ca: ca.then(|| pki.ca.clone()),
        timeout: PATIENCE,
    };
    let (sender, address) = channel();
    std::thread::scope(|scope| {
        let listener = scope.spawn(move || {
            listen(&options, &mut |at| {
                sender.send(at).expect("it is waited for")
            })
        });
        let given = phone(address.recv_timeout(PATIENCE).expect("it listens"));
        (listener.join().expect("no panic"), given)
    })
}

fn codes(report: &Report, level: Level) -> Vec<String> {
    report
        .findings()
        .filter(|(_, finding)| finding.level() == level)
        .map(|(_, finding)| finding.code.word())
        .collect()
}

fn is(report: &Report, faults: &[&str], warnings: &[&str], facts: &[&str]) {
    let mut out = Vec::new();
    text::write(report, &mut out).expect("memory");
    let out = String::from_utf8_lossy(&out);
    assert_eq!(codes(report, Level::Fault), faults, "{out}");
    assert_eq!(codes(report, Level::Warning), warnings, "{out}");
    for fact in facts {
        assert!(out.contains(fact), "{fact} is not in {out}");
    }
}

fn client(
    pki: &Pki,
    address: SocketAddr,
    tune: impl FnOnce(&mut openssl::ssl::SslContextBuilder),
) -> Result<SslStream<TcpStream>, openssl::ssl::Error> {
    let mut context = SslContext::builder(SslMethod::tls_client()).expect("a context");
    context.set_security_level(0);
    context.set_ca_file(&pki.ca).expect("a CA");
    context.set_verify(SslVerifyMode::PEER);
    tune(&mut context);
    let mut ssl = Ssl::new(&context.build()).expect("a connection");
    ssl.set_hostname("pbx.example.com").expect("a name");
    let tcp = TcpStream::connect(address).expect("it listens");
    tcp.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let mut stream = SslStream::new(ssl, tcp).expect("a stream");
    stream.connect()?;
    Ok(stream)
}

fn request(method: &str, body: &str) -> String {
    format!(
        "{method} sip:100@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:200@127.0.0.1>;tag=1\r\nTo: <sip:100@127.0.0.1>\r\n\
         Call-ID: 1\r\nCSeq: 1 {method}\r\nContact: <sip:200@127.0.0.1;transport=tls>\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn answered(stream: &mut SslStream<TcpStream>, status: &str) {
    let mut buffer = [0; 4096];
    let count = stream.read(&mut buffer).expect("an answer");
    let text = String::from_utf8_lossy(&buffer[..count]);
    assert!(text.starts_with(&format!("SIP/2.0 {status}")), "{text}");
}

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n";

#[test]
fn what_a_phone_offers() {
    let pki = Pki::new();
    let key = "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
    for (media, faults, warnings, fact) in [
        (
            format!("m=audio 4000 RTP/SAVP 0\r\na=crypto:3 AES_CM_128_HMAC_SHA1_32 {key}\r\n"),
            &[][..],
            &[][..],
            "a=crypto:3 AES_CM_128_HMAC_SHA1_32",
        ),
        (
            "m=audio 4000 RTP/AVP 0\r\n".to_owned(),
            &[],
            &["phone-offer-clear"],
            "it offers audio as RTP/AVP",
        ),
        (
            "m=audio 4000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0Rm\r\n"
                .to_owned(),
            &["phone-offer-unusable"],
            &[],
            "RTP/SAVP",
        ),
        (
            "m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\na=fingerprint:sha-256 AA\r\n".to_owned(),
            &[],
            &[],
            "phone-offer-dtls",
        ),
    ] {
        let (report, ()) = with(&pki, false, |address| {
            let mut stream = client(&pki, address, |_| {}).expect("a handshake");
            stream
                .write_all(request("REGISTER", "").as_bytes())
                .expect("it listens");
            answered(&mut stream, "200 OK");
            stream
                .write_all(request("INVITE", &format!("{SDP}{media}")).as_bytes())
                .expect("it listens");
            answered(&mut stream, "603 Decline");
        });
        is(
            &report,
            faults,
            warnings,
            &[fact, "REGISTER sip:100@127.0.0.1", "pbx.example.com"],
        );
        // The key is nobody's.
        assert!(!format!("{report:?}").contains("d0Rm"), "{report:?}");
    }
}

#[test]
fn phones_that_do_not_come_so_far() {
    let pki = Pki::new();
    // One that says nothing is passed over, and the next is told.
    let (report, ()) = with(&pki, false, |address| {
        drop(TcpStream::connect(address).expect("it listens"));
        let mut plain = TcpStream::connect(address).expect("it listens");
        plain
            .write_all(request("REGISTER", "").as_bytes())
            .expect("it listens");
        let _ = plain.read(&mut [0; 64]);
    });
    is(&report, &["plain-sip"], &[], &["left without a word"]);
    let (report, ()) = with(&pki, false, |address| {
        let mut plain = TcpStream::connect(address).expect("it listens");
        plain
            .write_all(b"GET / HTTP/1.1\r\n\r\n")
            .expect("it listens");
        let _ = plain.read(&mut [0; 64]);
    });
    is(&report, &["plain-http"], &[], &[]);
    let (report, ()) = with(&pki, false, |address| {
        let old = client(&pki, address, |context| {
            context
                .set_min_proto_version(Some(SslVersion::TLS1))
                .expect("a version");
            context
                .set_max_proto_version(Some(SslVersion::TLS1_1))
                .expect("a version");
        });
        assert!(old.is_err());
    });
    is(
        &report,
        &["phone-old-tls"],
        &[],
        &["TLS 1.1", "\nmatch = 127.0.0.1\nmin_version = tls1.1\n"],
    );
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let (report, ()) = with(&pki, false, |address| {
            let nobody = client(&pki, address, |context| {
                context
                    .set_max_proto_version(Some(version))
                    .expect("a version");
                context.set_cert_store(
                    openssl::x509::store::X509StoreBuilder::new()
                        .expect("a store")
                        .build(),
                );
            });
            assert!(nobody.is_err());
        });
        is(
            &report,
            &["peer-unknown-ca"],
            &[],
            &["it does not trust our certificate"],
        );
    }
    let (report, ()) = with(&pki, false, |address| {
        let stream = client(&pki, address, |_| {}).expect("a handshake");
        drop(stream);
    });
    is(&report, &["phone-silent"], &[], &[]);
}

#[test]
fn a_phone_with_a_certificate_of_a_stranger() {
    let pki = Pki::new();
    let ours = pki.leaf(&Spec {
        cn: "phone",
        dns: &[],
        ..Spec::default()
    });
    let strange = Cert::make(
        &Spec {
            cn: "phone",
            dns: &[],
            ..Spec::default()
        },
        Some(&pki.stranger),
    );
    for (cert, faults) in [(&ours, &[][..]), (&strange, &["cert-untrusted"])] {
        let (report, ()) = with(&pki, true, |address| {
            let mut stream = client(&pki, address, |context| {
                context.set_certificate(&cert.x509).expect("a certificate");
                context.set_private_key(&cert.key).expect("a key");
            })
            .expect("a handshake");
            stream
                .write_all(request("REGISTER", "").as_bytes())
                .expect("it listens");
            answered(&mut stream, "200 OK");
        });
        is(&report, faults, &[], &["phone, issuer"]);
    }
}

/// GnuTLS and OpenSSL 3.6, each without trust in us.
#[test]
fn clients_of_others_that_do_not_trust_us() {
    let pki = Pki::new();
    let (report, ()) = with(&pki, false, |address| {
        let output = tool("gnutls-cli")
            .args([
                "--sni-hostname",
                "sip.example.com",
                "--verify-hostname",
                "sip.example.com",
                "-p",
                &address.port().to_string(),
                "127.0.0.1",
            ])
            .stdin(Stdio::null())
            .output()
            .expect("gnutls-cli runs");
        assert!(!output.status.success());
    });
    is(&report, &["peer-bad-certificate"], &[], &[]);
    let (report, ()) = with(&pki, false, |address| {
        let output = rooted("openssl")
            .args([
                "s_client",
                "-verify_return_error",
                "-no-CAfile",
                "-no-CApath",
                "-no-CAstore",
                "-connect",
                &address.to_string(),
            ])
            .stdin(Stdio::null())
            .output()
            .expect("openssl runs");
        assert!(!output.status.success());
    });
    is(
        &report,
        &["peer-unknown-ca"],
        &[],
        &["it does not trust our certificate", "TLS 1.3"],
    );
}

/// baresip, that trusts us and registers.
#[test]
fn a_real_phone_registers() {
    let pki = Pki::new();
    let folder: PathBuf = pki.dir.path().join("phone");
    std::fs::create_dir_all(&folder).expect("a folder");
    let (report, ()) = with(&pki, false, |address| {
        let config = format!(
            "module_path {root}/usr/lib/baresip/modules\nmodule g711.so\nmodule srtp.so\nmodule_tmp account.so\nmodule_app menu.so\n\
             sip_listen 127.0.0.1:0\nnet_interface 127.0.0.1\nsip_cafile {ca}\nsip_verify_server yes\n",
            root = root().display(),
            ca = pki.ca.display(),
        );
        std::fs::write(folder.join("config"), config).expect("a file");
        let account = format!(
            "<sip:200@127.0.0.1:{};transport=tls>;auth_pass=x;regint=600;mediaenc=srtp-mand\n",
            address.port()
        );
        std::fs::write(folder.join("accounts"), account).expect("a file");
        std::fs::write(folder.join("contacts"), "").expect("a file");
        let log = std::fs::File::create(folder.join("log")).expect("a file");
        let mut phone = rooted("baresip");
        phone
            .args(["-4", "-f"])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stderr(log.try_clone().expect("a file"))
            .stdout(log);
        let mut phone = phone.spawn().expect("baresip runs");
        let end = std::time::Instant::now() + PATIENCE;
        let said = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        while !said().contains("200 OK") && std::time::Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = phone.kill();
        let _ = phone.wait();
        assert!(said().contains("200 OK"), "{}", said());
    });
    is(
        &report,
        &[],
        &[],
        &["REGISTER sip:127.0.0.1", "From <sip:200@127.0.0.1"],
    );
}
