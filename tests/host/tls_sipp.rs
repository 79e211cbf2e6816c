//! SIPp, whose TLS is its own: many calls' worth of requests over one connection and over many.

use host_harness::asterisk::Asterisk;
use host_harness::lab::FOLDER;
use host_harness::sipp::TIMEOUT;

use crate::tls_world::{World, address};

/// OPTIONS, answered with 200.
const SCENARIO: &str = r#"<?xml version="1.0"?>
<scenario name="options">
<send retrans="500"><![CDATA[
OPTIONS sip:[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
Max-Forwards: 70
From: <sip:sipp@[local_ip]:[local_port]>;tag=[pid]x[call_number]
To: <sip:[remote_ip]>
Call-ID: [call_id]
CSeq: 1 OPTIONS
Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>
Content-Length: 0

]]></send>
<recv response="200"/>
</scenario>
"#;

#[test]
fn requests_over_one_connection_and_over_many() {
    let world = World::new("sipp");
    let ours = Asterisk::start(&world.lab, &world.setup(""));
    world.lab.write("options.xml", SCENARIO);
    for (transport, connections) in [("l1", 1), ("ln", 100)] {
        let (handshakes, messages) = (
            ours.count("TLS handshakes in"),
            ours.count("SIP messages in"),
        );
        let output = world.lab.run(
            "sipp",
            &[
                "-sf",
                &format!("{FOLDER}/options.xml"),
                "-t",
                transport,
                "-i",
                "127.0.0.1",
                "-m",
                "100",
                "-r",
                "200",
                "-tls_cert",
                &world.certificate.certificate,
                "-tls_key",
                &world.certificate.key,
                "-nostdin",
                "-timeout",
                TIMEOUT,
                "-timeout_error",
                "-max_socket",
                "200",
                &address(),
            ],
        );
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{transport}: {}\n{said}",
            output.status
        );
        assert_eq!(ours.count("SIP messages in") - messages, 100, "{transport}");
        assert_eq!(
            ours.count("TLS handshakes in") - handshakes,
            connections,
            "{transport}"
        );
    }
    assert_eq!(ours.count("Panics caught"), 0);
}
