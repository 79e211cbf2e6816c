//! The lines that docs/carriers.md and docs/migration.md tell operators to write: a real Asterisk takes them without a complaint, our
//! module serves their transports, and they reach servers that have what is known of those carriers' TLS.

use std::fs;
use std::time::Duration;

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::certificates::{Authority, Certificate};
use host_harness::lab::{self, Lab};
use host_harness::names::Names;
use host_harness::sip::{self, Connection, Server};
use openssl::ssl::{SslContextBuilder, SslVerifyMode, SslVersion};

use crate::tls_world::is_ours;
use crate::world::OURS;

/// What stands for a file in the pages, and for an address that is not of the lab.
const CHAIN: &str = "/etc/asterisk/keys/fullchain.pem";
const KEY: &str = "/etc/asterisk/keys/privkey.pem";
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Transports with an RSA certificate of their own: `sbc-fullchain.pem`, ...
const RSA: [&str; 2] = ["sbc", "rsa"];

/// The `ini` blocks of a page that begin with `; FILE`, one after the other.
fn blocks(page: &str, file: &str) -> String {
    let text = fs::read_to_string(lab::repository().join(page)).expect("the page");
    let mut all = String::new();
    for block in text.split("```ini\n").skip(1) {
        let (block, _) = block.split_once("```").expect("a block ends");
        let (first, lines) = block.split_once('\n').expect("a first line");
        let of = first
            .strip_prefix("; ")
            .filter(|name| name.ends_with(".conf"))
            .unwrap_or_else(|| panic!("{page}: a block that does not name its file: {first}"));
        if of == file {
            all += lines;
            all.push('\n');
        }
    }
    assert!(!all.is_empty(), "{page} has no block of {file}");
    all
}

/// A certificate with an RSA key, for these names.
fn rsa(lab: &Lab, authority: &Authority<'_>, name: &str, names: &str) -> Certificate {
    let file = |ending: &str| format!("{}/tls/{name}.{ending}", lab::FOLDER);
    let made = Certificate {
        certificate: file("pem"),
        key: file("key"),
    };
    let (ca, ca_key) = (
        authority.file(),
        authority.file().replace("authority.pem", "authority.key"),
    );
    let san = format!("subjectAltName={names}");
    let options = "-days 400 -newkey rsa:2048 -nodes -addext basicConstraints=critical,CA:FALSE";
    let mut args = vec!["req", "-x509", "-CA", &ca, "-CAkey", &ca_key];
    args.extend(["-subj", "/CN=carrier", "-addext", &san]);
    args.extend(options.split(' '));
    args.extend(["-keyout", &made.key, "-out", &made.certificate]);
    lab.must_run("openssl", &args);
    made
}

/// A request that came to a carrier.
struct Came {
    sni: String,
    request: String,
    cipher: String,
}

/// The carriers' servers; one answers a request whenever it is asked to.
struct Carriers {
    servers: Vec<Server>,
    connections: Vec<Connection>,
    came: Vec<Came>,
}

impl Carriers {
    /// Takes who has connected, and answers what has come.
    fn serve(&mut self) {
        for connection in self.servers.iter().filter_map(Server::waiting) {
            let connection = connection.expect("a handshake");
            connection
                .stream
                .get_ref()
                .set_read_timeout(Some(Duration::from_millis(20)))
                .expect("a socket");
            self.connections.push(connection);
        }
        for connection in &mut self.connections {
            let Some(request) = connection.try_receive() else {
                continue;
            };
            let mut answer = sip::response(&request, "200 OK");
            // What a registrar repeats of a binding.
            if let Some(contact) = sip::header(&request, "Contact")
                && request.starts_with("REGISTER ")
            {
                let binding = format!("Contact: {contact};expires=480\r\nContent-Length");
                answer = answer.replace("Content-Length", &binding);
            }
            connection.send(answer.as_bytes()).expect("it is up");
            let ssl = connection.stream.ssl();
            self.came.push(Came {
                sni: connection.sni().unwrap_or("none").to_owned(),
                cipher: ssl.current_cipher().expect("a cipher").name().to_owned(),
                request,
            });
        }
    }

    /// What came to the server of that name with this method.
    fn find(&self, name: &str, method: &str) -> Option<&Came> {
        self.came
            .iter()
            .find(|came| came.sni == name && came.request.starts_with(method))
    }
}

fn only_tls_1_2(context: &mut SslContextBuilder, ciphers: &str) {
    context
        .set_max_proto_version(Some(SslVersion::TLS1_2))
        .expect("a version");
    context.set_cipher_list(ciphers).expect("ciphers");
}

/// Each with what docs/carriers.md has of it. (What it does not know of Telnyx and CompanyFlex is as OpenSSL has it.)
fn carriers(lab: &Lab, authority: &Authority<'_>) -> Carriers {
    let server = |address: &str, own: &Certificate, set: &dyn Fn(&mut SslContextBuilder)| {
        Server::new(lab, &format!("{address}:5061"), own, set)
    };
    let wildcard = |name: &str, of: &str| rsa(lab, authority, name, &format!("DNS:*.{of}"));
    let trusted = lab.read(&authority.file());
    let trusted = openssl::x509::X509::from_pem(&trusted).expect("a certificate");
    let servers = vec![
        server(
            "127.0.0.31",
            &wildcard("twilio", "pstn.twilio.com"),
            &|it| {
                only_tls_1_2(it, "DEFAULT");
            },
        ),
        server(
            "127.0.0.32",
            &rsa(lab, authority, "telnyx", "DNS:sip.telnyx.com"),
            &|_| (),
        ),
        server(
            "127.0.0.33",
            &wildcard("teams", "pstnhub.microsoft.com"),
            &|it| {
                only_tls_1_2(
                    it,
                    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-SHA384:ECDHE-RSA-AES128-SHA256",
                );
                it.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
                it.cert_store_mut().add_cert(trusted.clone()).expect("a CA");
            },
        ),
        server(
            "127.0.0.34",
            &wildcard("companyflex", "example.net"),
            &|_| (),
        ),
        server(
            "127.0.0.35",
            &rsa(lab, authority, "bandwidth", "DNS:sip.bandwidth.example"),
            &|it| only_tls_1_2(it, "AES128-SHA:AES128-SHA256:AES256-SHA256"),
        ),
    ];
    Carriers {
        servers,
        connections: Vec::new(),
        came: Vec::new(),
    }
}

fn complaints(ours: &Asterisk<'_>) -> Vec<String> {
    ours.settle_log();
    [ours.log_lines("] ERROR["), ours.log_lines("] WARNING[")].concat()
}

#[test]
fn what_the_pages_say_to_write_is_taken_and_reaches_such_carriers() {
    let lab = Lab::new("docs_recipes");
    if lab.host().lacks("docs_recipes", &["res_pjsip_rfc3329"]) {
        return;
    }
    let _names = Names::serve(
        &lab,
        &[
            ("mytrunk.pstn.twilio.com", "127.0.0.31"),
            ("sip.telnyx.com", "127.0.0.32"),
            ("sip.pstnhub.microsoft.com", "127.0.0.33"),
            ("sip2.pstnhub.microsoft.com", "127.0.0.33"),
            ("sip3.pstnhub.microsoft.com", "127.0.0.33"),
            ("registrar.example.net", "127.0.0.34"),
            ("sip.bandwidth.example", "127.0.0.35"),
        ],
    );
    let authority = Authority::new(&lab, "authority");
    let own = rsa(&lab, &authority, "ours", "DNS:pbx.example.com");
    let mut files = vec![
        ("0.0.0.0".to_owned(), OURS.to_owned()),
        (AUTHORITIES.to_owned(), authority.file()),
        (CHAIN.to_owned(), own.certificate),
        (KEY.to_owned(), own.key),
        // Asterisk registers within 10 s otherwise.
        (
            "retry_interval = 60\n".to_owned(),
            "retry_interval = 60\nmax_random_initial_delay = 1\n".to_owned(),
        ),
    ];
    for of in RSA {
        let own = rsa(&lab, &authority, of, &format!("DNS:{of}.example.com"));
        let named = |file: &str, part: &str| file.replace(part, &format!("{of}-{part}"));
        files.push((named(CHAIN, "full"), own.certificate));
        files.push((named(KEY, "priv"), own.key));
    }
    let [pjsip, conf] = ["pjsip.conf", "ciphertrunk.conf"].map(|file| {
        let text = blocks("docs/carriers.md", file);
        let text = files
            .iter()
            .fold(text, |text, (from, to)| text.replace(from, to));
        assert!(!text.contains("/etc/"), "a file that is not the lab's");
        text
    });
    let mut carriers = carriers(&lab, &authority);
    let ours = Asterisk::start(
        &lab,
        &Setup::ours("ours", OURS)
            .modules_conf(&blocks("docs/migration.md", "modules.conf"))
            .also_modules(&["res_pjsip_rfc3329"])
            .pjsip(&pjsip)
            .file("ciphertrunk.conf", &conf),
    );
    assert_eq!(ours.status("SRTP engine"), "ours");
    assert!(
        ours.status("modules.conf")
            .ends_with("require yes, noload res_srtp.so yes")
    );
    for transport in ["transport-tls", "transport-teams"] {
        assert!(is_ours(&ours, transport), "{transport}\n{}", ours.log());
    }

    for endpoint in ["twilio", "telnyx", "teams", "bandwidth"] {
        ours.cli(&format!("pjsip qualify {endpoint}"));
    }
    let expected = [
        ("mytrunk.pstn.twilio.com", "OPTIONS"),
        ("sip.telnyx.com", "OPTIONS"),
        ("sip.telnyx.com", "REGISTER"),
        ("sip.pstnhub.microsoft.com", "OPTIONS"),
        ("registrar.example.net", "REGISTER"),
        ("sip.bandwidth.example", "OPTIONS"),
    ];
    ours.wait_until("a request at each carrier", |_| {
        carriers.serve();
        let all = expected
            .iter()
            .all(|(name, method)| carriers.find(name, method).is_some());
        all.then_some(())
    });
    let registered = carriers.find("registrar.example.net", "REGISTER");
    assert!(
        registered.is_some_and(|it| it.request.contains("Security-Client: sdes-srtp;mediasec")),
        "no mediasec"
    );
    let bandwidth = carriers.find("sip.bandwidth.example", "OPTIONS");
    assert!(bandwidth.is_some_and(|it| it.cipher.starts_with("AES")));
    // The connections are ours, and verified.
    ours.wait_until("the registrations", |ours| {
        carriers.serve();
        let text = ours.cli("pjsip show registrations");
        (text.matches(" Registered ").count() == 2).then_some(())
    });
    assert!(ours.count("TLS handshakes out") >= 5);
    assert_eq!(complaints(&ours), Vec::<String>::new());

    // Twins with a mistake are told of: it is these blocks that were read.
    ours.configure("ciphertrunk.conf", &conf.replace("tls1.2", "tls9"));
    ours.cli("module reload res_ciphertrunk.so");
    assert!(
        ours.all_log_lines("] ERROR[")
            .iter()
            .any(|line| line.contains("tls9")),
        "{}",
        ours.log()
    );
    ours.configure(
        "pjsip.conf",
        &pjsip.replace("media_encryption = sdes", "media_encryption = sdess"),
    );
    ours.cli("module reload res_pjsip.so");
    assert!(
        ours.all_log_lines("] ERROR[")
            .iter()
            .any(|line| line.contains("sdess")),
        "{}",
        ours.log()
    );
}
