//! The server's processor time for a handshake.

use host_harness::lab::Lab;
use openssl::ssl::SslVersion;

use crate::client;
use crate::servers::{P256, RSA, Server};

/// What kind of handshake.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    port: u16,
    version: SslVersion,
    resumed: bool,
}

/// What is measured; [`crate::table`] knows the places.
pub const CASES: [Case; 7] = [
    Case {
        name: "TLS 1.3 P-256",
        port: P256,
        version: SslVersion::TLS1_3,
        resumed: false,
    },
    Case {
        name: "TLS 1.3 RSA-2048",
        port: RSA,
        version: SslVersion::TLS1_3,
        resumed: false,
    },
    Case {
        name: "TLS 1.2 P-256",
        port: P256,
        version: SslVersion::TLS1_2,
        resumed: false,
    },
    Case {
        name: "TLS 1.2 RSA-2048",
        port: RSA,
        version: SslVersion::TLS1_2,
        resumed: false,
    },
    Case {
        name: "TLS 1.2 P-256 resumed",
        port: P256,
        version: SslVersion::TLS1_2,
        resumed: true,
    },
    Case {
        name: "TLS 1.2 RSA-2048 resumed",
        port: RSA,
        version: SslVersion::TLS1_2,
        resumed: true,
    },
    Case {
        name: "TLS 1.3 P-256 resumed",
        port: P256,
        version: SslVersion::TLS1_3,
        resumed: true,
    },
];

/// Microseconds of the server's processor time for each of `count` handshakes and their ends.
pub fn measure(lab: &Lab, server: &Server<'_>, case: &Case, count: u32) -> Result<f64, String> {
    let context = client::context(Some(case.version));
    let at = server.at(case.port);
    let first = if case.resumed {
        let mut first = client::connect(lab, &context, 0, &at, None)?;
        // A ticket comes with the answer, or before it.
        if !client::ask(&mut first, server.talk) {
            return Err(format!("{}: no answer", server.name));
        }
        // A server that takes one connection after the other needs its end.
        let session = first.stream.ssl().session().map(ToOwned::to_owned);
        client::close(first);
        Some(session.ok_or("it has no session")?)
    } else {
        None
    };
    let before = server.settled_time();
    for number in 0..count {
        let connection = client::connect(lab, &context, number, &at, first.as_deref())?;
        if connection.stream.ssl().session_reused() != case.resumed {
            return Err(if case.resumed {
                "does not resume".to_owned()
            } else {
                "resumed what was to be full".to_owned()
            });
        }
        client::close(connection);
    }
    let took = server.settled_time() - before;
    Ok(took.as_secs_f64() * 1e6 / f64::from(count))
}
