//! What the TLS tests begin with.

use host_harness::asterisk::{Asterisk, Setup, TEST_MODULE};
use host_harness::certificates::{Authority, Certificate};
use host_harness::lab::Lab;
use host_harness::pjsip;
use host_harness::sip::{Client, Connection};

use crate::world::OURS;

/// Whoever comes from this machine is the endpoint `peer`, so that OPTIONS is answered with 200.
pub const PEER: &str = "[peer]\ntype = endpoint\ncontext = default\ndisallow = all\nallow = ulaw\n\n\
     [peer]\ntype = identify\nendpoint = peer\nmatch = 127.0.0.0/8\nmatch = ::1\n";

/// A lab with an authority and a certificate for our Asterisk, `ours.example`.
pub struct World {
    pub lab: Lab,
    pub authority: String,
    pub certificate: Certificate,
}

impl World {
    pub fn new(name: &str) -> Self {
        let lab = Lab::new(&format!("tls/{name}"));
        let authority = Authority::new(&lab, "authority");
        let certificate = authority.issue("ours", "ours.example", OURS);
        let authority = authority.file();
        Self {
            lab,
            authority,
            certificate,
        }
    }

    /// Writes the files of another certificate over ours.
    pub fn replace_certificate(&self, other: &Certificate) {
        for (from, to) in [
            (&other.certificate, &self.certificate.certificate),
            (&other.key, &self.certificate.key),
        ] {
            self.lab.must_run("cp", &[from, to]);
        }
    }

    /// Its authority, to make more certificates.
    pub fn authority(&self) -> Authority<'_> {
        Authority::known(&self.lab, "authority")
    }

    /// `[tls]`, on port 5061, with these further lines.
    pub fn transport(&self, lines: &str) -> String {
        format!(
            "{}{lines}\n",
            pjsip::tls(&self.certificate, &self.authority)
        )
    }

    /// Our Asterisk with [`World::transport`] and [`PEER`].
    pub fn setup(&self, lines: &str) -> Setup {
        ours().pjsip(&self.transport(lines)).pjsip(PEER)
    }

    /// Connects to our Asterisk.
    pub fn connect(&self) -> Connection {
        self.dial(Client::new()).expect("a TLS connection")
    }

    /// Connects to our Asterisk.
    pub fn dial(&self, client: Client) -> Result<Connection, String> {
        client.connect(&self.lab, &address())
    }
}

/// An endpoint for the carrier at `host`, reached by `transport`. `pjsip qualify NAME` sends it a request.
pub fn carrier(name: &str, transport: &str, host: &str) -> String {
    format!(
        "[{name}]\ntype = endpoint\ntransport = {transport}\ncontext = default\ndisallow = all\nallow = ulaw\naors = {name}\n\n\
         [{name}]\ntype = aor\ncontact = sip:{host}\\;transport=tls\n\n"
    )
}

/// Our Asterisk without any transport.
pub fn ours() -> Setup {
    Setup::ours("ours", OURS).module(TEST_MODULE)
}

/// Our Asterisk's TLS address.
pub fn address() -> String {
    format!("{OURS}:{}", pjsip::TLS_PORT)
}

/// Whether this transport is ours, by our own word.
pub fn is_ours(asterisk: &Asterisk<'_>, transport: &str) -> bool {
    listening(asterisk, transport).is_some()
}

/// Where and with which certificate a transport listens, if it is ours.
pub fn listening(asterisk: &Asterisk<'_>, transport: &str) -> Option<String> {
    let text = asterisk.cli("ciphertrunk show transports");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("Transport: {transport} ")))
        // Those that are not ours are there as well.
        .filter(|rest| rest.starts_with("Address: "));
    line.map(str::to_owned)
}

/// That OPTIONS is answered on a connection, and by us.
pub fn assert_serves(asterisk: &Asterisk<'_>, connection: &mut Connection) {
    let before = asterisk.count("SIP messages in");
    assert_eq!(connection.options().expect("an answer"), 200);
    assert!(
        asterisk.count("SIP messages in") > before,
        "the answer was not ours"
    );
    assert_eq!(asterisk.count("Panics caught"), 0);
}

/// Waits until no connection is left, neither with us nor with PJSIP.
pub fn wait_until_idle(asterisk: &Asterisk<'_>) {
    asterisk.wait_until("the end of all connections", |asterisk| {
        (asterisk.count("TLS connections") == 0 && asterisk.count("TLS transports") == 0)
            .then_some(())
    });
}

/// Unloads our module, which has to go out of the process's memory.
pub fn unload(asterisk: &Asterisk<'_>) {
    asterisk.wait_until("the end of all connections", |asterisk| {
        (asterisk.count("TLS transports") == 0).then_some(())
    });
    let answer = asterisk.cli("module unload res_ciphertrunk.so");
    assert!(answer.contains("Unloaded"), "{answer}\n{}", asterisk.log());
    assert!(
        !asterisk.maps().contains("res_ciphertrunk"),
        "the library is still mapped"
    );
}
