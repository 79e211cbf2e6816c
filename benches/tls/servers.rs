//! The servers that are compared, each with a P-256 certificate on one port and an RSA-2048 one on another.

use std::fs;
use std::time::Duration;

use host_harness::asterisk::Asterisk;
use host_harness::certificates::{Authority, Certificate};
use host_harness::lab::Lab;
use host_harness::pjsip;
use host_harness::process::Process;
use host_harness::setup::Setup;
use host_harness::wait;

/// The port with the P-256 certificate.
pub const P256: u16 = pjsip::TLS_PORT;
/// The port with the RSA-2048 certificate.
pub const RSA: u16 = P256 + 1;

/// The most connections that pjproject's own TLS takes is 1,021.
pub const STOCK_MOST: u32 = 900;

pub const OURS: &str = "Ciphertrunk";
pub const STOCK: &str = "stock Asterisk";
pub const S_SERVER: &str = "openssl s_server";

/// Whoever comes from this machine: OPTIONS is answered with 200.
pub const ANYBODY: &str = "[anybody]\ntype = endpoint\ncontext = default\ndisallow = all\nallow = ulaw\n\n\
     [anybody]\ntype = identify\nendpoint = anybody\nmatch = 127.0.0.0/8\n";

/// What a client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Talk {
    /// SIP.
    Sip,
    /// HTTP/1.1, for what is no SIP server.
    Http,
    /// A line, which comes back.
    Line,
}

enum Runs<'lab> {
    Asterisk(Asterisk<'lab>),
    Others(Vec<Process>),
}

/// One of them.
pub struct Server<'lab> {
    pub name: &'static str,
    pub address: &'static str,
    pub talk: Talk,
    /// How many connections it holds.
    pub most: u32,
    /// Whether it answers OPTIONS by UDP.
    pub udp: bool,
    /// By its own word.
    pub version: String,
    runs: Runs<'lab>,
}

impl Server<'_> {
    /// Its processes: those that were started, and theirs.
    fn processes(&self) -> Vec<u32> {
        let mut all = match &self.runs {
            Runs::Asterisk(asterisk) => vec![asterisk.pid()],
            Runs::Others(others) => others.iter().map(Process::pid).collect(),
        };
        let mut next = 0;
        while let Some(&pid) = all.get(next) {
            for task in tasks(pid) {
                let children = fs::read_to_string(task.join("children")).unwrap_or_default();
                all.extend(
                    children
                        .split_whitespace()
                        .filter_map(|pid| pid.parse::<u32>().ok()),
                );
            }
            next += 1;
        }
        all
    }

    /// The processor time that they have used: user's and system's.
    fn processor_time(&self) -> Duration {
        let of_task = |task: &std::path::PathBuf| {
            let stat = fs::read_to_string(task.join("schedstat")).ok()?;
            stat.split(' ').next()?.parse::<u64>().ok()
        };
        let nanoseconds = self
            .processes()
            .into_iter()
            .flat_map(tasks)
            .filter_map(|task| of_task(&task))
            .sum();
        Duration::from_nanos(nanoseconds)
    }

    /// The same, when they have no more to do: what the last connections left is done.
    pub fn settled_time(&self) -> Duration {
        const PAUSE: Duration = Duration::from_millis(50);
        let mut before = self.processor_time();
        for _ in 0..100 {
            std::thread::sleep(PAUSE);
            let now = self.processor_time();
            if now - before < PAUSE / 50 {
                return now;
            }
            before = now;
        }
        before
    }

    /// Their memory in KiB; what several share counts once (`Pss`).
    pub fn memory(&self) -> u64 {
        let of_process = |pid: u32| {
            let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
            let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
            line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()
        };
        self.processes().into_iter().filter_map(of_process).sum()
    }

    /// The name of Ciphertrunk's kernel.
    pub fn kernel(&self) -> String {
        match &self.runs {
            Runs::Asterisk(asterisk) => asterisk.status("Kernel"),
            Runs::Others(_) => String::new(),
        }
    }

    /// Where it listens.
    pub fn at(&self, port: u16) -> String {
        format!("{}:{port}", self.address)
    }
}

fn tasks(pid: u32) -> Vec<std::path::PathBuf> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    tasks
        .into_iter()
        .flatten()
        .flatten()
        .map(|task| task.path())
        .collect()
}

/// Both certificates, of one authority.
pub struct Certificates {
    pub p256: Certificate,
    rsa: Certificate,
    pub authority: String,
}

impl Certificates {
    pub fn new(lab: &Lab) -> Self {
        let authority = Authority::new(lab, "authority");
        let file = |ending: &str| format!("{}/tls/rsa.{ending}", host_harness::lab::FOLDER);
        let rsa = Certificate {
            certificate: file("pem"),
            key: file("key"),
        };
        let ca = authority.file();
        let ca_key = ca.replace(".pem", ".key");
        lab.must_run(
            "openssl",
            &[
                "req",
                "-x509",
                "-CA",
                &ca,
                "-CAkey",
                &ca_key,
                "-subj",
                "/CN=server.example",
                "-days",
                "60",
                "-addext",
                "subjectAltName=DNS:server.example",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-keyout",
                &rsa.key,
                "-out",
                &rsa.certificate,
            ],
        );
        Self {
            p256: authority.issue("p256", "server.example", "127.0.0.10"),
            rsa,
            authority: ca,
        }
    }

    fn both(&self) -> [(u16, &Certificate); 2] {
        [(P256, &self.p256), (RSA, &self.rsa)]
    }
}

fn asterisk<'lab>(
    lab: &'lab Lab,
    setup: Setup,
    certificates: &Certificates,
    name: &'static str,
    address: &'static str,
    most: u32,
) -> Server<'lab> {
    let mut setup = setup.pjsip(pjsip::UDP).pjsip(ANYBODY);
    for (port, own) in certificates.both() {
        let transport = pjsip::tls(own, &certificates.authority)
            .replace("[tls]", &format!("[tls-{port}]"))
            .replace(&format!(":{P256}"), &format!(":{port}"));
        setup = setup.pjsip(&transport);
    }
    let asterisk = Asterisk::start(lab, &setup);
    Server {
        name,
        address,
        talk: Talk::Sip,
        most,
        udp: true,
        version: asterisk.cli("core show version").trim().to_owned(),
        runs: Runs::Asterisk(asterisk),
    }
}

/// The first line of what a program says of itself.
fn version(lab: &Lab, program: &str, argument: &str) -> Option<String> {
    // It may not be there at all.
    let output = lab.run("sh", &["-c", &format!("exec {program} {argument}")]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output
        .status
        .success()
        .then(|| text.lines().next().unwrap_or_default().to_owned())
}

fn s_server<'lab>(lab: &'lab Lab, certificates: &Certificates) -> Server<'lab> {
    let address = "127.0.0.12";
    let start = |(port, own): (u16, &Certificate)| {
        let at = format!("{address}:{port}");
        lab.spawn(
            &format!("s_server-{port}"),
            "openssl",
            &[
                "s_server",
                "-quiet",
                "-rev",
                "-accept",
                &at,
                "-cert",
                &own.certificate,
                "-key",
                &own.key,
            ],
        )
    };
    Server {
        name: S_SERVER,
        address,
        talk: Talk::Line,
        // It serves one at a time.
        most: 0,
        udp: false,
        version: version(lab, "openssl", "version").unwrap_or_default(),
        runs: Runs::Others(certificates.both().map(start).into()),
    }
}

/// It answers by itself: a connection has no second one behind it, whose descriptors it would want too (`no strict-limits`).
fn haproxy<'lab>(lab: &'lab Lab, certificates: &Certificates, most: u32) -> Option<Server<'lab>> {
    let version = version(lab, "haproxy", "-v")?;
    let address = "127.0.0.13";
    let mut conf = format!(
        "global\n  no strict-limits\n  maxconn {most}\n\ndefaults\n  mode http\n  timeout client 1h\n  timeout server 1h\n  timeout connect 1h\n  \
         timeout http-keep-alive 1h\n  timeout http-request 1h\n\nfrontend tls\n  http-request return status 200\n",
    );
    for (port, own) in certificates.both() {
        let mut pem = lab.read(&own.certificate);
        pem.extend(lab.read(&own.key));
        lab.write(&format!("haproxy-{port}.pem"), pem);
        conf += &format!("  bind {address}:{port} ssl crt /srv/haproxy-{port}.pem\n");
    }
    lab.write("haproxy.cfg", conf);
    let runs = lab.spawn("haproxy", "haproxy", &["-db", "-f", "/srv/haproxy.cfg"]);
    Some(Server {
        name: "HAProxy",
        address,
        talk: Talk::Http,
        most,
        udp: false,
        version,
        runs: Runs::Others(vec![runs]),
    })
}

/// Stateless, so without registrar and dialogs.
fn kamailio<'lab>(lab: &'lab Lab, certificates: &Certificates) -> Option<Server<'lab>> {
    let version = version(lab, "kamailio", "-v")?;
    let address = "127.0.0.14";
    let threads = version
        .split_once("kamailio ")
        .and_then(|(_, number)| number.get(..3)?.parse::<f32>().ok())
        .is_some_and(|number| number >= 6.1);
    let threads = if threads {
        "tcp_main_threads = 1\n"
    } else {
        ""
    };
    let mut conf = format!(
        "#!KAMAILIO\ndebug = -1\nlog_stderror = yes\nchildren = 1\ntcp_children = 2\n{threads}enable_tls = yes\n\
         tcp_max_connections = 60000\ntls_max_connections = 60000\ntcp_connection_lifetime = 3600\n\
         listen = udp:{address}:5060\n"
    );
    let mut tls = String::new();
    for (port, own) in certificates.both() {
        conf += &format!("listen = tls:{address}:{port}\n");
        for domain in [format!("{address}:{port}"), "default".to_owned()] {
            if domain == "default" && port == RSA {
                continue;
            }
            tls += &format!(
                "[server:{domain}]\nmethod = TLSv1.2+\ncertificate = {}\nprivate_key = {}\n\n",
                own.certificate, own.key
            );
        }
    }
    tls += "[client:default]\nmethod = TLSv1.2+\n";
    conf += "loadmodule \"tls.so\"\nloadmodule \"sl.so\"\nmodparam(\"tls\", \"config\", \"/srv/kamailio-tls.cfg\")\n\
             request_route {\n  if (method == \"OPTIONS\") {\n    sl_send_reply(\"200\", \"OK\");\n  }\n}\n";
    lab.write("kamailio-tls.cfg", tls);
    lab.write("kamailio.cfg", conf);
    let runs = lab.spawn(
        "kamailio",
        "kamailio",
        &[
            "-DD",
            "-E",
            "-m",
            "2048",
            "-Y",
            "/tmp",
            "-f",
            "/srv/kamailio.cfg",
        ],
    );
    Some(Server {
        name: if threads.is_empty() {
            "Kamailio"
        } else {
            "Kamailio, tcp_main_threads"
        },
        address,
        talk: Talk::Sip,
        most: 50_000,
        udp: true,
        version,
        runs: Runs::Others(vec![runs]),
    })
}

/// Starts all that are there, for at most so many connections; those that are not, by name.
pub fn start<'lab>(
    lab: &'lab Lab,
    certificates: &Certificates,
    most: u32,
) -> (Vec<Server<'lab>>, Vec<&'static str>) {
    let mut servers = vec![
        asterisk(
            lab,
            Setup::ours("ours", "127.0.0.10"),
            certificates,
            OURS,
            "127.0.0.10",
            60_000,
        ),
        s_server(lab, certificates),
        asterisk(
            lab,
            Setup::stock("stock", "127.0.0.11"),
            certificates,
            STOCK,
            "127.0.0.11",
            STOCK_MOST,
        ),
    ];
    let mut missing = Vec::new();
    for (name, server) in [
        ("HAProxy", haproxy(lab, certificates, most)),
        ("Kamailio", kamailio(lab, certificates)),
    ] {
        match server {
            Some(server) => servers.push(server),
            None => missing.push(name),
        }
    }
    for server in &servers {
        for port in [P256, RSA] {
            let at = server.at(port);
            let listens = || lab.tcp(&at).ok();
            wait::until(
                &format!("{} at {at}", server.name),
                wait::SOON,
                listens,
                String::new,
            );
        }
    }
    (servers, missing)
}
