//! The eyes of all other tests: a plain call must be found in clear, and an encrypted one of stock's must not.

use host_harness::asterisk::{Asterisk, Engine, Setup, User};
use host_harness::capture::Capture;
use host_harness::lab::Lab;

#[test]
fn boot() {
    let lab = Lab::new("boot");
    let setup = Setup::new("stock", "127.0.0.20", Engine::Stock).user(User::Asterisk);
    let t = std::time::Instant::now();
    let a = Asterisk::start(&lab, &setup);
    eprintln!("{:?}", t.elapsed());
    let c = Capture::start(&lab, "x");
    eprintln!("{:?} {}", t.elapsed(), a.uid());
    let w = c.stop();
    eprintln!("{} {:?}", w.datagrams.len(), t.elapsed());
    eprintln!("{}", a.log());
    a.stop();
    eprintln!("{:?}", t.elapsed());
}
