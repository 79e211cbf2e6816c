//! The TLS connections: phones with a certificate, each from an address of its own.

use std::io::Write as _;
use std::net::Ipv4Addr;

use host_harness::certificates::{Authority, Certificate};
use host_harness::lab::Lab;
use host_harness::pjsip::{self, TLS_PORT};
use host_harness::setup::Setup;
use host_harness::sip::{Client, Connection};

use crate::world::UNDER_TEST;

/// Whoever they are, OPTIONS is answered.
const ENDPOINT: &str = "[phones]\ntype = endpoint\ncontext = default\ndisallow = all\nallow = ulaw\n\n\
     [phones]\ntype = identify\nendpoint = phones\nmatch = 127.1.0.0/16\n";

/// Their certificates, and ours.
pub struct Peers<'lab> {
    lab: &'lab Lab,
    authority: String,
    own: Certificate,
    phones: Certificate,
}

/// Where a phone is.
pub fn address(number: u32) -> Ipv4Addr {
    let [_, _, high, low] = number.to_be_bytes();
    Ipv4Addr::new(127, 1, high, low)
}

impl<'lab> Peers<'lab> {
    /// None is there yet.
    pub fn new(lab: &'lab Lab) -> Self {
        let authority = Authority::new(lab, "authority");
        Self {
            lab,
            own: authority.issue("under-test", "under-test.example", UNDER_TEST),
            phones: authority.issue("phone", "phone.example", "127.1.0.0"),
            authority: authority.file(),
        }
    }

    /// With the transport that they connect to.
    pub fn with_transport(&self, setup: Setup) -> Setup {
        let transport = pjsip::tls(&self.own, &self.authority);
        setup
            .pjsip(&format!("{transport}verify_client = yes\n"))
            .pjsip(ENDPOINT)
    }

    /// So many of them.
    pub fn connect(&self, count: u32) -> Vec<Connection> {
        let context = Client::new().certificate(self.lab, &self.phones).build();
        let connect = |number| {
            let tcp = self.lab.tcp_from(
                &address(number).to_string(),
                &format!("{UNDER_TEST}:{TLS_PORT}"),
            )?;
            let mut connection = Connection::new(&context, tcp).map_err(std::io::Error::other)?;
            // At once: Asterisk closes who asks for nothing in 32 seconds.
            connection.options()?;
            Ok::<_, std::io::Error>(connection)
        };
        let all = (0..count).map(|number| {
            connect(number).unwrap_or_else(|error| panic!("connection {number}: {error}"))
        });
        all.collect()
    }

    /// So many that speak no TLS.
    pub fn be_refused(&self, count: u32) {
        for number in 0..count {
            let at = format!("{UNDER_TEST}:{TLS_PORT}");
            let tcp = self.lab.tcp_from(&address(number).to_string(), &at);
            // It may be closed before everything is written.
            let _ = tcp
                .expect("it listens")
                .write_all(b"OPTIONS sip:x SIP/2.0\r\n\r\n");
        }
    }
}
