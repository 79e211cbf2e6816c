//! TLS for carriers of opposite needs, all by one transport of ours, and what a connection's TLS may be: resumed, post-quantum. Each is
//! shown twice, by our console and in the words of the other end, OpenSSL's own programs.

use host_harness::asterisk::Asterisk;
use host_harness::certificates::{Authority, Certificate};
use host_harness::lab::{self, Lab};
use host_harness::process::Process;
use host_harness::wait;

use crate::report::Report;
use crate::world::{OURS, World};

/// A carrier that knows TLS_RSA_WITH_AES_128_CBC_SHA on TLS 1.2 alone.
pub const OLD: &str = "127.0.0.22";
/// One that demands TLS 1.3 and a certificate of ours, and has the post-quantum group.
pub const NEW: &str = "127.0.0.23";
/// One that has X25519 alone.
pub const CLASSIC: &str = "127.0.0.24";
/// One that is called twice.
pub const AGAIN: &str = "127.0.0.25";
/// The authority of the second carrier's own, that its customers' certificates are of.
const CUSTOMERS: &str = "customers";
/// Where a phone calls from that resumes its session.
const HANDSET: &str = "127.0.0.32";

/// The carriers: the endpoint, the host that it is called by, and its address. Those without a profile of their name are the twins.
pub const CARRIERS: [(&str, &str, &str); 6] = [
    ("old", "old.example", OLD),
    ("old-without", "oldwithout.example", OLD),
    ("new", "new.example", NEW),
    ("new-without", "newwithout.example", NEW),
    ("classic", "classic.example", CLASSIC),
    ("again", "again.example", AGAIN),
];

/// The carriers, running.
pub struct Servers {
    old: Process,
    new: Process,
    classic: Process,
    again: Process,
}

impl Servers {
    /// Starts them.
    pub fn start(lab: &Lab, authority: &Authority<'_>) -> Self {
        Authority::new(lab, CUSTOMERS);
        let names = "subjectAltName=DNS:old.example,DNS:oldwithout.example";
        let old = authority.make(
            "old",
            "/CN=old.example",
            // The last word counts: static RSA needs such a key.
            &["-newkey", "rsa:2048", "-days", "60", "-addext", names],
        );
        let names = "subjectAltName=DNS:new.example,DNS:newwithout.example,DNS:classic.example";
        let new = authority.make("new", "/CN=new.example", &["-days", "60", "-addext", names]);
        let again = authority.issue("again", "again.example", AGAIN);
        let demands = format!(
            "-brief -tls1_3 -Verify 1 -verify_return_error -CAfile {}",
            Authority::known(lab, CUSTOMERS).file()
        );
        Self {
            old: s_server(lab, "old", OLD, &old, "-brief -tls1_2 -cipher AES128-SHA"),
            new: s_server(lab, "new", NEW, &new, &demands),
            classic: s_server(lab, "classic", CLASSIC, &new, "-brief -groups X25519"),
            again: s_server(lab, "again", AGAIN, &again, ""),
        }
    }
}

/// The sections of ciphertrunk.conf that they need.
pub fn profiles(lab: &Lab) -> String {
    let own =
        Authority::known(lab, CUSTOMERS).make("for-new", "/CN=customer 4711", &["-days", "60"]);
    format!(
        "\n[old-carrier]\ntype = tls\nmatch = old.example\ncipher = TLS_RSA_WITH_AES_128_CBC_SHA\nmax_version = tls1.2\n\n\
         [new-carrier]\ntype = tls\nmatch = new.example\nmin_version = tls1.3\nclient_cert_file = {}\nclient_priv_key_file = {}\n\n\
         [new]\ntype = endpoint\nrequire_signaling = pq\n\n\
         [classic]\ntype = endpoint\nrequire_signaling = pq\n",
        own.certificate, own.key
    )
}

/// The carriers in pjsip.conf.
pub fn endpoints() -> String {
    CARRIERS
        .map(|(name, host, _)| {
            format!(
                "[{name}]\ntype = endpoint\ntransport = tls\ncontext = default\ndisallow = all\nallow = ulaw\nmedia_encryption = sdes\n\
                 aors = {name}\n\n[{name}]\ntype = aor\ncontact = sip:{host}:5061\\;transport=tls\n\n"
            )
        })
        .concat()
}

fn s_server(lab: &Lab, name: &str, address: &str, own: &Certificate, options: &str) -> Process {
    // It ends when nothing more can come from its standard input.
    let command = format!(
        "sleep infinity | openssl s_server -accept {address}:5061 -cert {} -key {} {options}",
        own.certificate, own.key
    );
    let server = lab.spawn(&format!("{name}-carrier"), "sh", &["-c", &command]);
    lab.must_run(
        "sh",
        &[
            "-c",
            &format!("until ss -ltn | grep -q {address}:5061; do sleep 0.1; done"),
        ],
    );
    server
}

/// Carriers of opposite needs, by two profiles of one transport.
pub fn opposite(report: &mut Report, servers: &Servers, ours: &Asterisk<'_>) {
    println!(
        "\nTwo carriers of opposite needs, by one transport on one port: a profile of ciphertrunk.conf for each"
    );
    // s_server has one connection at a time: who is refused comes first.
    let line = refusal(ours, "old-without", "oldwithout.example");
    println!("  {line}");
    report.check(
        "the first, called without its profile, refuses us: it knows TLS_RSA_WITH_AES_128_CBC_SHA alone",
        line.contains("reason peer-handshake-failure"),
    );
    let console = qualify(ours, "old", "old.example");
    let said = words(&servers.old, &["Protocol version: ", "Ciphersuite: "]);
    println!("  console  {console}\n  carrier  {said}");
    report.check(
        "with its profile it gets TLS 1.2 and that suite",
        has(
            &console,
            &[
                "Profile: old-carrier ",
                "TLS: TLSv1.2 Cipher: AES128-SHA ",
                "Verified: yes",
            ],
        ) && said == "Protocol version: TLSv1.2, Ciphersuite: AES128-SHA",
    );
    let line = refusal(ours, "new-without", "newwithout.example");
    println!("  {line}");
    report.check(
        "the second, called without its profile, refuses us: it demands a certificate of its own authority",
        line.contains("the peer closed with alert "),
    );
    let console = qualify(ours, "new", "new.example");
    let said = words(
        &servers.new,
        &["Protocol version: ", "Peer certificate: ", "Verification: "],
    );
    println!("  console  {console}\n  carrier  {said}");
    report.check(
        "with its profile it gets TLS 1.3 and the certificate that is for it",
        has(
            &console,
            &["Profile: new-carrier ", "TLS: TLSv1.3 ", "Verified: yes"],
        ) && said.starts_with("Protocol version: TLSv1.3, Peer certificate: CN=customer 4711"),
    );
}

/// A call that may be made over a post-quantum key exchange alone.
pub fn post_quantum(report: &mut Report, servers: &Servers, ours: &Asterisk<'_>) {
    println!(
        "\nPost-quantum: `require_signaling = pq` for two carriers, one of which has no such group"
    );
    ours.cli("channel originate PJSIP/new application Echo");
    servers.new.wait_for("INVITE sip:new.example", wait::SOON);
    let console = connection(ours, "new.example");
    let said = words(&servers.new, &["Peer Temp Key: "]);
    println!("  console  {console}\n  carrier  {said}, and it has the INVITE");
    report.check(
        "the second carrier is called over X25519MLKEM768",
        has(&console, &["Group: X25519MLKEM768 "]) && said == "Peer Temp Key: X25519MLKEM768",
    );
    ours.cli("channel originate PJSIP/classic application Echo");
    let line = ours.wait_until("why classic.example is not called", |ours| {
        ours.log_lines("not-post-quantum").pop()
    });
    let said = words(&servers.classic, &["Peer Temp Key: "]);
    println!("  {line}\n  carrier  {said}");
    report.check(
        "one that has X25519 alone is not called: TLS is up, the INVITE is not sent",
        said.contains("X25519")
            && !said.contains("MLKEM")
            && !servers.classic.output().contains("INVITE "),
    );
    ours.cli("channel request hangup all");
    ours.wait_for_channels(0);
}

/// A phone that comes again with a session ticket.
pub fn resumed(report: &mut Report, lab: &Lab, world: &World<'_>) {
    println!("\nResumption: a phone that comes, and comes again with the ticket that it got");
    let ticket = format!("{}/phone.ticket", lab::FOLDER);
    let visit = |name: &str, option: &str| {
        let request = format!(
            "OPTIONS sip:{OURS} SIP/2.0\r\nVia: SIP/2.0/TLS {HANDSET};branch=z9hG4bK{name}\r\nFrom: <sip:{HANDSET}>;tag={name}\r\n\
             To: <sip:{OURS}>\r\nCall-ID: {name}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        );
        // It stays when it has sent this.
        let command = format!(
            "exec openssl s_client -ign_eof -connect {OURS}:5061 -bind {HANDSET} {option} {ticket} <<END\n{request}END\n"
        );
        let client = lab.spawn(name, "sh", &["-c", &command]);
        // The ticket has come when the answer has.
        client.wait_for("SIP/2.0 ", wait::SOON);
        let console = world
            .ours
            .cli(&format!("ciphertrunk show connection {HANDSET}"));
        let console = line(&console, "Session resumed: ");
        let said = client.output();
        let said = line(&said, "New, ") + &line(&said, "Reused, ");
        drop(client);
        gone(&world.ours, HANDSET);
        println!("  console  {console}\n  phone    {said}");
        (console, said)
    };
    let first = visit("first-visit", "-sess_out");
    let second = visit("second-visit", "-sess_in");
    report.check(
        "the first handshake is a full one, the second resumes its session",
        first.0 == "Session resumed: no"
            && first.1.starts_with("New, ")
            && second.0 == "Session resumed: yes"
            && second.1.starts_with("Reused, "),
    );
}

/// A carrier that we connect to, and connect to again.
pub fn resumed_by_us(report: &mut Report, servers: &Servers, ours: &Asterisk<'_>) {
    println!("\nThe other way round: a carrier that we connect to again");
    let mut results = Vec::new();
    for _ in 0..2 {
        qualify(ours, "again", "again.example");
        servers
            .again
            .wait_for("OPTIONS sip:again.example", wait::SOON);
        let console = ours.cli("ciphertrunk show connection again.example");
        let console = line(&console, "Session resumed: ");
        let said = servers
            .again
            .output()
            .matches("\nReused session-id")
            .count();
        println!("  console  {console}\n  carrier  {said} sessions reused");
        results.push((console, said));
        ours.cli("ciphertrunk close peer again.example");
        gone(ours, "again.example");
    }
    report.check(
        "the second connection resumes the session of the first",
        results
            == [
                ("Session resumed: no".to_owned(), 0),
                ("Session resumed: yes".to_owned(), 1),
            ],
    );
}

/// The line of a text that begins so.
fn line(text: &str, beginning: &str) -> String {
    let mut lines = text.lines().map(str::trim);
    lines
        .find(|line| line.starts_with(beginning))
        .unwrap_or_default()
        .to_owned()
}

/// Sends the carrier a request, and gives the line about the connection to it.
fn qualify(ours: &Asterisk<'_>, name: &str, host: &str) -> String {
    ours.cli(&format!("pjsip qualify {name}"));
    connection(ours, host)
}

/// The console's line about the connection with `peer`, when its handshake is done.
fn connection(ours: &Asterisk<'_>, peer: &str) -> String {
    ours.wait_until(&format!("a connection with {peer}"), |ours| {
        let text = ours.cli("ciphertrunk show connections");
        let mut lines = text.lines();
        let found = lines.find(|it| it.contains(peer) && !it.contains("TLS: handshake"));
        found.map(|line| line.trim().to_owned())
    })
}

/// Waits until there is no connection with `peer`.
fn gone(ours: &Asterisk<'_>, peer: &str) {
    ours.wait_until(&format!("no connection with {peer}"), |ours| {
        let text = ours.cli("ciphertrunk show connections");
        (!text.contains(peer)).then_some(())
    });
}

/// The line that says why there is no connection to `host`.
fn refusal(ours: &Asterisk<'_>, name: &str, host: &str) -> String {
    ours.cli(&format!("pjsip qualify {name}"));
    ours.wait_until(&format!("the line about {host}"), |ours| {
        ours.log_lines(&format!("TLS to {host} ")).pop()
    })
}

/// The last lines of a server's that begin so, once they are there.
fn words(server: &Process, beginnings: &[&str]) -> String {
    for beginning in beginnings {
        server.wait_for(beginning, wait::SOON);
    }
    let text = server.output();
    let last = |beginning: &&str| text.lines().rfind(|line| line.starts_with(*beginning));
    let lines: Vec<&str> = beginnings.iter().filter_map(last).collect();
    lines.join(", ")
}

fn has(line: &str, parts: &[&str]) -> bool {
    parts.iter().all(|part| line.contains(part))
}
