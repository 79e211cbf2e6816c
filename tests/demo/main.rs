//! `make demo`: a phone (baresip) calls through our Asterisk to a carrier (a stock Asterisk, libsrtp) and hears itself.
//!
//! Both legs are SIP over TLS and SRTP. A second call goes to a carrier that can do neither: its hop is plain, and shows
//! that what looks for audio in clear would find it. Then TLS itself: two carriers of opposite needs on one transport, a post-quantum
//! connection, a resumed one. What the report says is measured: on the wire (tshark, dumpcap), in
//! what the phone recorded, and by the counters of the module and of Asterisk. Everything stays in `build/demo`.

mod calls;
mod legs;
mod needs;
mod report;
mod tls;
mod world;

use std::process::ExitCode;

use host_harness::lab::{self, Lab};

use report::Report;
use world::World;

fn main() -> ExitCode {
    let folder = lab::repository().join("build/demo");
    let lab = Lab::in_folder(&folder);
    let mut report = Report::default();
    println!("Starting carriers, our Asterisk and a phone ...\n");
    let mut world = World::start(&lab);
    calls::who_takes_part(&mut report, &world);
    calls::encrypted(&mut report, &lab, &mut world);
    calls::plain(&mut report, &lab, &mut world);
    calls::misnamed(&mut report, &world);
    calls::records(&mut report, &world);
    needs::opposite(&mut report, &world.servers, &world.ours);
    needs::post_quantum(&mut report, &world.servers, &world.ours);
    needs::resumed(&mut report, &lab, &world);
    needs::resumed_by_us(&mut report, &world.servers, &world.ours);
    calls::afterwards(&mut report, &world);
    println!(
        "\nIn {}:\n  call.pcap, plain.pcap   what was on the wire; with ours/log/tls.keys Wireshark shows the SIP\n  \
         phone/rec               what the phone said (-enc.wav) and heard (-dec.wav)",
        folder.display()
    );
    report.end()
}
