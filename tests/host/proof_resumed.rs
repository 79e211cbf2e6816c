//! What is said of a TLS session that is resumed, and of its first handshake.

use host_harness::asterisk::Asterisk;
use host_harness::pjsip;
use host_harness::sip::{Client, Connection, status};
use openssl::ssl::SslVersion;

use crate::proof::{ask, channel};
use crate::tls_world::{World, address};
use crate::world::OUR_TONE;

/// An INVITE with plain RTP; the call is up afterwards.
fn invite(connection: &mut Connection) {
    let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n";
    let request = connection
        .request("Content-Type: application/sdp\r\n", sdp)
        .replace("OPTIONS sip:server", "INVITE sip:say@server")
        .replace(" OPTIONS\r\n", " INVITE\r\n");
    connection.send(request.as_bytes()).expect("it is up");
    while status(&connection.receive().expect("an answer")) != 200 {}
}

#[test]
fn first_and_again() {
    let world = World::new("proof-resumed");
    let ours = Asterisk::start(&world.lab, &world.setup("").dialplan(&pjsip::say(OUR_TONE)));
    let context = Client::new().version(SslVersion::TLS1_2).build();
    let tcp = || world.lab.tcp(&address()).expect("it listens");
    let mut first = Connection::new(&context, tcp()).expect("a handshake");
    let mut again = Connection::resuming(&context, tcp(), &first).expect("a handshake");
    for (connection, resumed) in [(&mut first, "no"), (&mut again, "yes")] {
        invite(connection);
        let leg = channel(&ours, "PJSIP/peer-");
        for (field, wanted) in [
            ("tls_resumed", resumed),
            ("tls_version", "TLSv1.2"),
            ("transport", "TLS"),
            ("word", "signaling-only"),
        ] {
            assert_eq!(ask(&ours, field, &leg), wanted, "{field}");
        }
        ours.cli("channel request hangup all");
        ours.wait_for_channels(0);
    }
}
