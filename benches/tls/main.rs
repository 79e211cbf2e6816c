//! SIP over TLS beside others: what an idle connection keeps, what a handshake costs, and what a storm of handshakes does to everything else.
//!
//! The same clients, one run: Asterisk with Ciphertrunk, stock Asterisk, `openssl s_server`, HAProxy, Kamailio. The servers have one core to
//! themselves and the clients the others. Handshakes are measured in turn, several times over, and the least of each counts.
//! `make bench-tls`; `CONNECTIONS=5000 HANDSHAKES=300 ROUNDS=3 SECONDS=5 PHONES=1000 CALLS=50` are the defaults.

mod avalanche;
mod client;
#[path = "../calls/cores.rs"]
#[allow(dead_code, reason = "benches/calls asks for more of it")]
mod cores;
mod flood;
mod handshakes;
mod idle;
#[path = "../calls/legs.rs"]
#[allow(dead_code, reason = "benches/calls asks for more of it")]
mod legs;
#[path = "../calls/load.rs"]
#[allow(dead_code, reason = "benches/calls asks for more of it")]
mod load;
mod servers;
mod table;
#[path = "../calls/world.rs"]
#[allow(dead_code, reason = "benches/calls asks for more of it")]
mod world;

use std::time::Duration;

use host_harness::lab::Lab;

use avalanche::Avalanche;
use cores::Cores;
use flood::Flood;
use handshakes::CASES;
use idle::Idle;
use servers::{Certificates, Server};

/// What was measured of one server. What it cannot do is not there.
struct Row {
    name: &'static str,
    version: String,
    /// Microseconds of each of [`CASES`].
    handshakes: [Option<f64>; CASES.len()],
    idle: Option<Idle>,
    flood: Option<Flood>,
    avalanche: Option<Avalanche>,
    /// What went wrong.
    faults: Vec<String>,
}

impl Row {
    fn new(server: &Server<'_>) -> Self {
        Self {
            name: server.name,
            version: server.version.clone(),
            handshakes: [None; CASES.len()],
            idle: None,
            flood: None,
            avalanche: None,
            faults: Vec::new(),
        }
    }

    /// Once, however many rounds find it.
    fn fault(&mut self, fault: String) {
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }
}

fn setting(name: &str, default: u32) -> u32 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

/// The least value that so many per cent are not above.
fn percentile(values: &mut [Duration], percent: usize) -> Duration {
    values.sort();
    let place = (values.len() * percent).div_ceil(100).saturating_sub(1);
    values.get(place).copied().unwrap_or_default()
}

fn main() {
    let connections = setting("CONNECTIONS", 5000);
    let (count, rounds) = (setting("HANDSHAKES", 300), setting("ROUNDS", 3));
    let seconds = setting("SECONDS", 5);
    let (phones, calls) = (setting("PHONES", 1000), setting("CALLS", 50));
    // The servers inherit it.
    // Ours keeps some back for media and the console.
    let most = connections.max(phones);
    host_harness::process::raise_file_limit(u64::from(most + most / 8 + calls * 16 + 2048));
    let cores = Cores::share();

    let (mut rows, missing, kernel) = {
        let lab = Lab::new("bench-tls");
        let certificates = Certificates::new(&lab);
        cores::pin(&[cores.under_test]);
        let (servers, missing) = servers::start(&lab, &certificates, connections + 500);
        cores::pin(&cores.others);
        let mut rows: Vec<Row> = servers.iter().map(Row::new).collect();
        // First: what a server has freed and keeps would hide what a connection takes.
        for (server, row) in servers.iter().zip(&mut rows) {
            eprintln!("{}: idle connections", row.name);
            match idle::measure(&lab, server, connections, seconds) {
                Ok(idle) => row.idle = idle,
                Err(error) => row.fault(error),
            }
        }
        for round in 1..=rounds {
            for (place, case) in CASES.iter().enumerate() {
                for (server, row) in servers.iter().zip(&mut rows) {
                    match handshakes::measure(&lab, server, case, count) {
                        Ok(cost) => {
                            eprintln!("round {round}, {}, {}: {cost:.0} us", case.name, row.name);
                            let least = row.handshakes[place].unwrap_or(cost).min(cost);
                            row.handshakes[place] = Some(least);
                        }
                        Err(error) => row.fault(format!("{}: {error}", case.name)),
                    }
                }
            }
        }
        for (server, row) in servers.iter().zip(&mut rows) {
            if server.udp {
                eprintln!("{}: a flood of handshakes", row.name);
                row.flood = Some(flood::measure(&lab, server, seconds));
            }
        }
        let kernel = servers[0].kernel();
        (rows, missing, kernel)
    };
    for row in &mut rows {
        let ours = row.name == servers::OURS;
        if ours || row.name == servers::STOCK {
            let phones = if ours {
                phones
            } else {
                phones.min(servers::STOCK_MOST)
            };
            eprintln!("{}: {phones} phones register again", row.name);
            row.avalanche = Some(avalanche::measure(ours, phones, calls, &cores));
        }
    }
    table::print(&rows, &missing, &kernel);
}
