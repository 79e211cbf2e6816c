//! What encryption costs in Asterisk: the same Asterisk with plain RTP, with stock's `res_srtp`, and with Ciphertrunk.
//!
//! Another Asterisk places calls to an echo, and to a bridge with a second leg; the CPU time of the Asterisk under test is
//! read from `/proc`, per call and second. The kinds are measured in turn, several times over, and the least of each
//! counts: what else the machine does only adds. `make bench-calls`; `CALLS=80 SECONDS=10 ROUNDS=3` are the defaults.

use std::fmt::Write as _;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::lab::{self, Lab};
use host_harness::pjsip::{self, Encryption, UDP};

const UNDER_TEST: &str = "127.0.0.10";
const CALLER: &str = "127.0.0.20";

/// One way to carry the calls.
struct Kind {
    name: &'static str,
    ours: bool,
    encryption: Encryption,
}

/// What the caller calls.
const TARGETS: [&str; 2] = ["echo", "bridge"];

fn setting(name: &str, default: u32) -> u32 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

fn main() {
    let (calls, seconds, rounds) = (
        setting("CALLS", 80),
        setting("SECONDS", 10),
        setting("ROUNDS", 3),
    );
    let kinds = [
        Kind {
            name: "plain RTP",
            ours: false,
            encryption: Encryption::Plain,
        },
        Kind {
            name: "stock res_srtp",
            ours: false,
            encryption: Encryption::Sdes,
        },
        Kind {
            name: "Ciphertrunk",
            ours: true,
            encryption: Encryption::Sdes,
        },
    ];
    let mut least = [[f64::INFINITY; 3]; 2];
    let mut kernel = String::new();
    for round in 1..=rounds {
        for (target, row) in TARGETS.iter().zip(&mut least) {
            for (kind, best) in kinds.iter().zip(row) {
                let (cost, served) = measure(kind, target, calls, seconds);
                eprintln!(
                    "round {round}, {target}, {}: {cost:.3} ms per call and second",
                    kind.name
                );
                *best = best.min(cost);
                kernel = served.unwrap_or(kernel);
            }
        }
    }
    report(&kinds, &least, calls, seconds, rounds, &kernel);
}

/// Milliseconds of CPU per call and second; and the kernel, if it was ours.
fn measure(kind: &Kind, target: &str, calls: u32, seconds: u32) -> (f64, Option<String>) {
    let lab = Lab::new("bench-calls");
    let rtp = |start: u32| format!("[general]\nrtpstart = {start}\nrtpend = {}\n", start + 4000);
    let under_test = setup(kind.ours, "under-test", UNDER_TEST)
        .pjsip(UDP)
        .pjsip(&pjsip::trunk("caller", CALLER, kind.encryption))
        .file("rtp.conf", &rtp(20_000))
        .dialplan(pjsip::ECHO)
        .dialplan("exten => bridge,1,Dial(PJSIP/echo@caller)\n");
    // The caller is the same for both encrypted kinds.
    let caller = setup(kind.encryption != Encryption::Plain, "caller", CALLER)
        .pjsip(UDP)
        .pjsip(&pjsip::trunk("under-test", UNDER_TEST, kind.encryption))
        .file("rtp.conf", &rtp(30_000))
        .dialplan(pjsip::ECHO)
        .dialplan("exten => tone,1,Answer()\n same => n,Playtones(700)\n same => n,Wait(600)\n");
    let under_test = Asterisk::start(&lab, &under_test);
    let caller = Asterisk::start(&lab, &caller);
    for _ in 0..calls {
        caller.cli(&format!(
            "channel originate PJSIP/{target}@under-test extension tone@default"
        ));
    }
    let channels = if target == "bridge" { calls * 2 } else { calls };
    under_test.wait_for_channels(channels as usize);
    // Past the set-up of the last call.
    sleep(Duration::from_secs(2));
    let (before, began) = (cpu_seconds(under_test.pid()), Instant::now());
    sleep(Duration::from_secs(seconds.into()));
    let (used, time) = (
        cpu_seconds(under_test.pid()) - before,
        began.elapsed().as_secs_f64(),
    );
    under_test.wait_for_channels(channels as usize);
    if kind.ours {
        // The figures are only ours if we carried the packets.
        let packets = f64::from(channels) * time * 50.0;
        let protected = under_test.count("RTP protected") as f64;
        assert!(
            protected > packets * 0.9,
            "{protected} packets protected, about {packets} expected"
        );
        assert_eq!(under_test.count("Authentication failures"), 0);
    }
    let cost = used * 1000.0 / time / f64::from(calls);
    (cost, kind.ours.then(|| under_test.status("Kernel")))
}

fn setup(ours: bool, name: &str, address: &str) -> Setup {
    if ours {
        Setup::ours(name, address)
    } else {
        Setup::stock(name, address)
    }
}

/// User and system time of a process and its threads.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("Asterisk runs");
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .expect("procfs")
        .1
        .split_whitespace()
        .collect();
    let ticks: f64 =
        fields[11].parse::<f64>().expect("utime") + fields[12].parse::<f64>().expect("stime");
    // SAFETY: no precondition.
    ticks / unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64
}

fn report(
    kinds: &[Kind],
    least: &[[f64; 3]; 2],
    calls: u32,
    seconds: u32,
    rounds: u32,
    kernel: &str,
) {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name\t: "))
        .unwrap_or("unknown CPU");
    println!("\n{cpu}; kernel {kernel}; {calls} G.711 calls, {seconds} s, least of {rounds}");
    println!("CPU of the Asterisk under test, milliseconds per call and second:\n");
    println!(
        "{:<16}{:>10}{:>10}{:>10}{:>10}",
        "", "echo", "x plain", "bridge", "x plain"
    );
    let mut json = format!(
        "{{\"cpu\":{cpu:?},\"kernel\":{kernel:?},\"calls\":{calls},\"ms_per_call_second\":{{"
    );
    for (index, kind) in kinds.iter().enumerate() {
        let [echo, bridge] = [least[0][index], least[1][index]];
        let (of_echo, of_bridge) = (echo / least[0][0], bridge / least[1][0]);
        println!(
            "{:<16}{echo:>10.3}{of_echo:>10.2}{bridge:>10.3}{of_bridge:>10.2}",
            kind.name
        );
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(
            json,
            "{comma}{:?}:{{\"echo\":{echo:.4},\"bridge\":{bridge:.4}}}",
            kind.name
        );
    }
    json.push_str("}}\n");
    let folder = lab::repository().join("build/bench");
    fs::create_dir_all(&folder).expect("build/bench can be made");
    fs::write(folder.join("calls.json"), json).expect("build/bench/calls.json can be written");
}
