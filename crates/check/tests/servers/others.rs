//! Servers of others: GnuTLS, NSS, the root's OpenSSL, Python; and SIP by SIPp and baresip.

use std::path::Path;
use std::process::Command;

use openssl::pkcs12::Pkcs12;

use crate::case::{Case, PATIENCE, SILENCE, run};
use crate::pki::{Pki, Spec};
use crate::program::{Program, free_port, root, rooted, tool};

pub const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers");

/// Programs that are looked at, until this is dropped.
pub struct Running<'a> {
    pki: &'a Pki,
    programs: Vec<Program>,
    pub cases: Vec<Case>,
}

impl<'a> Running<'a> {
    pub fn new(pki: &'a Pki) -> Running<'a> {
        Running {
            pki,
            programs: Vec::new(),
            cases: Vec::new(),
        }
    }

    /// One that ends its children when it is asked to end.
    pub fn gently(
        &mut self,
        name: &'static str,
        command: impl FnOnce(u16) -> Command,
        faults: &'static [&'static str],
        warnings: &'static [&'static str],
    ) {
        self.add(name, command, PATIENCE, faults, warnings);
        let program = self.programs.last_mut().expect("it was started");
        program.is_asked_to_end = true;
    }

    pub fn add(
        &mut self,
        name: &'static str,
        command: impl FnOnce(u16) -> Command,
        timeout: std::time::Duration,
        faults: &'static [&'static str],
        warnings: &'static [&'static str],
    ) {
        let port = free_port();
        let program = Program::start(command(port), port, &self.pki.dir);
        self.cases.push(Case {
            name,
            options: crate::broken::options(self.pki, program.address, timeout),
            faults,
            warnings,
        });
        self.programs.push(program);
    }
}

fn gnutls(cert: &Path, key: &Path, port: u16, arguments: &[&str]) -> Command {
    let mut command = tool("gnutls-serv");
    command
        .arg("--x509certfile")
        .arg(cert)
        .arg("--x509keyfile")
        .arg(key)
        .arg("-p")
        .arg(port.to_string())
        .args(arguments);
    command
}

/// Without TLS 1.0 and 1.1, which GnuTLS' default still has.
const TODAY: &str = "NORMAL:-VERS-TLS1.0:-VERS-TLS1.1";

#[test]
fn broken_servers_of_others() {
    let pki = Pki::new();
    let (cert, key) = pki.files("server", &[&pki.leaf(&Spec::default())]);
    let mut running = Running::new(&pki);
    let ca = pki.ca.display().to_string();
    running.add(
        "GnuTLS: a web server",
        |port| gnutls(&cert, &key, port, &["--http", "--priority", TODAY]),
        PATIENCE,
        &["answer-http"],
        &[],
    );
    running.add(
        "GnuTLS: TLS 1.0 only",
        |port| {
            gnutls(
                &cert,
                &key,
                port,
                &["--http", "--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.0"],
            )
        },
        PATIENCE,
        &["only-old-tls", "answer-http"],
        &[],
    );
    running.add(
        "GnuTLS: without RFC 5746",
        |port| {
            gnutls(
                &cert,
                &key,
                port,
                &[
                    "--http",
                    "--priority",
                    "NORMAL:-VERS-ALL:+VERS-TLS1.2:%DISABLE_SAFE_RENEGOTIATION",
                ],
            )
        },
        PATIENCE,
        &["no-secure-renegotiation", "answer-http"],
        &[],
    );
    running.add(
        "GnuTLS: a client certificate is demanded",
        |port| {
            gnutls(
                &cert,
                &key,
                port,
                &[
                    "--http",
                    "--priority",
                    TODAY,
                    "--require-client-cert",
                    "--x509cafile",
                    &ca,
                ],
            )
        },
        PATIENCE,
        &["client-certificate-demanded"],
        &[],
    );
    running.add(
        "GnuTLS: another server name is wanted",
        |port| {
            gnutls(
                &cert,
                &key,
                port,
                &[
                    "--http",
                    "--priority",
                    TODAY,
                    "--sni-hostname",
                    "other.example.com",
                    "--sni-hostname-fatal",
                ],
            )
        },
        PATIENCE,
        &["answer-http"],
        &["server-name-refused"],
    );
    running.add(
        "NSS: a web server",
        |port| nss(&pki, port),
        PATIENCE,
        &["answer-http"],
        &[],
    );
    running.add(
        "OpenSSL 3.6: mute",
        |port| s_server(&cert, &key, port, &["-quiet", "-min_protocol", "TLSv1.2"]),
        SILENCE,
        &["options-unanswered"],
        &[],
    );
    running.add(
        "OpenSSL 3.6: a client certificate is demanded",
        |port| {
            s_server(
                &cert,
                &key,
                port,
                &[
                    "-quiet",
                    "-min_protocol",
                    "TLSv1.2",
                    "-Verify",
                    "1",
                    "-verify_return_error",
                    "-CAfile",
                    &ca,
                ],
            )
        },
        PATIENCE,
        &["client-certificate-demanded"],
        &[],
    );
    running.add(
        "Python: a web server without TLS",
        |port| {
            let mut command = tool("python3");
            command
                .args(["-m", "http.server", "--bind", "127.0.0.1", "--directory"])
                .arg(pki.dir.path())
                .arg(port.to_string());
            command
        },
        SILENCE,
        &["plain-http"],
        &[],
    );
    run("broken servers of others", running.cases);
}

/// NSS' `selfserv`, with a database made of the certificate.
fn nss(pki: &Pki, port: u16) -> Command {
    let leaf = pki.leaf(&Spec {
        rsa: 2048,
        ..Spec::default()
    });
    let mut bundle = Pkcs12::builder();
    bundle.name("server").pkey(&leaf.key).cert(&leaf.x509);
    let bundle = bundle
        .build2("secret")
        .expect("a bundle")
        .to_der()
        .expect("DER");
    let bundle = pki.dir.write("nss.p12", &bundle);
    let database = pki.dir.path().join("nss");
    std::fs::create_dir_all(&database).expect("a folder");
    let database = format!("sql:{}", database.display());
    let made = tool("certutil")
        .args(["-N", "--empty-password", "-d", &database])
        .status()
        .expect("certutil runs");
    assert!(made.success(), "certutil: {made}");
    let loaded = tool("pk12util")
        .arg("-i")
        .arg(bundle)
        .args(["-W", "secret", "-d", &database])
        .output()
        .expect("pk12util runs");
    assert!(loaded.status.success(), "pk12util: {loaded:?}");
    let mut command = tool("selfserv");
    command.args([
        "-d",
        &database,
        "-n",
        "server",
        "-p",
        &port.to_string(),
        "-V",
        "tls1.2:tls1.3",
    ]);
    command
}

/// That of the root: newer than this machine's.
fn s_server(cert: &Path, key: &Path, port: u16, arguments: &[&str]) -> Command {
    let mut command = rooted("openssl");
    command
        .args(["s_server", "-accept", &format!("127.0.0.1:{port}"), "-cert"])
        .arg(cert)
        .arg("-key")
        .arg(key)
        .args(arguments);
    command
}

#[test]
fn sound_servers_of_others() {
    let pki = Pki::new();
    let (cert, key) = pki.files("server", &[&pki.leaf(&Spec::default())]);
    let (chain, chain_key) = pki.files(
        "chain",
        &[
            &crate::pki::Cert::make(
                &Spec {
                    rsa: 2048,
                    ..Spec::default()
                },
                Some(&pki.intermediate),
            ),
            &pki.intermediate,
        ],
    );
    let mut running = Running::new(&pki);
    for (name, script, cert, key) in [
        ("GnuTLS, SIP", "gnutls_sip.py", &cert, &key),
        (
            "GnuTLS, SIP, RSA, with an intermediate",
            "gnutls_sip.py",
            &chain,
            &chain_key,
        ),
        (
            "Python's ssl, SIP with a login",
            "python_sip.py",
            &cert,
            &key,
        ),
    ] {
        let start = |port: u16| {
            let mut command = tool("python3");
            command
                .arg(format!("{HERE}/{script}"))
                .arg(port.to_string())
                .arg(cert)
                .arg(key);
            command
        };
        running.add(name, start, PATIENCE, &[], &[]);
    }
    running.add("SIPp", |port| sipp(&cert, &key, port), PATIENCE, &[], &[]);
    running.add(
        "baresip",
        |port| baresip(&pki, &cert, &key, port),
        PATIENCE,
        &[],
        &[],
    );
    run("sound servers of others", running.cases);
}

fn sipp(cert: &Path, key: &Path, port: u16) -> Command {
    let mut command = rooted("sipp");
    command.args([
        "-sf",
        &format!("{HERE}/options.xml"),
        "-i",
        "127.0.0.1",
        "-p",
        &port.to_string(),
        "-t",
        "l1",
        "-nostdin",
    ]);
    command.arg("-tls_cert").arg(cert).arg("-tls_key").arg(key);
    command
}

/// Its port for TLS is the one after that for UDP and TCP.
pub fn baresip(pki: &Pki, cert: &Path, key: &Path, port: u16) -> Command {
    let both = [
        std::fs::read(cert).expect("a file"),
        std::fs::read(key).expect("a file"),
    ]
    .concat();
    let both = pki.dir.write("baresip.pem", &both);
    let folder = pki.dir.path().join("baresip");
    std::fs::create_dir_all(&folder).expect("a folder");
    let config = format!(
        "module_path {root}/usr/lib/baresip/modules\nmodule g711.so\nmodule srtp.so\nmodule_tmp account.so\nmodule_app menu.so\n\
         sip_listen 127.0.0.1:{}\nsip_certificate {}\nnet_interface 127.0.0.1\n",
        port - 1,
        both.display(),
        root = root().display(),
    );
    std::fs::write(folder.join("config"), config).expect("a file");
    std::fs::write(
        folder.join("accounts"),
        "<sip:sip@127.0.0.1;transport=tls>;regint=0;answermode=manual;mediaenc=srtp-mand\n",
    )
    .expect("a file");
    std::fs::write(folder.join("contacts"), "").expect("a file");
    let mut command = rooted("baresip");
    command.arg("-4").arg("-f").arg(folder);
    command
}
