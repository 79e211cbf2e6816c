//! What encryption costs in Asterisk: the same Asterisk with plain RTP, with stock's `res_srtp`, and with Ciphertrunk.
//!
//! Another Asterisk places calls to an echo, and to a bridge with a second leg; the CPU time of the Asterisk under test is
//! read from `/proc`, per call and second. The kinds are measured in turn, several times over, and the least of each
//! counts: what else the machine does only adds. Then the most bridged calls that one core carries.
//! `make bench-calls`; `CALLS=80 SECONDS=10 ROUNDS=3` are the defaults. `PARTS=echo,bridge,most` and `ONLY='plain RTP;Ciphertrunk'` leave the rest out.

mod cores;
mod cost;
mod legs;
#[allow(dead_code, reason = "benches/cli asks for more of it")]
mod load;
mod most;
mod report;
mod world;

use cores::Cores;
use cost::Target;
use report::{Row, Run};
use world::{KINDS, NATIVE};

fn setting(name: &str, default: u32) -> u32 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

/// Whether a part of the measurement, or a kind, is asked for: in a list with `separator`, or by no list at all.
fn is_asked_for(list: &str, separator: char, name: &str) -> bool {
    std::env::var(list).map_or(true, |names| names.split(separator).any(|is| is == name))
}

fn least(before: Option<f64>, now: f64) -> Option<f64> {
    Some(before.map_or(now, |before| before.min(now)))
}

fn main() {
    let (calls, seconds, rounds) = (
        setting("CALLS", 80),
        setting("SECONDS", 10),
        setting("ROUNDS", 3),
    );
    // A channel of Asterisk's has half a dozen of them.
    host_harness::process::raise_file_limit(16_384);
    let cores = Cores::share();
    cores::pin(&cores.others);

    let kinds = KINDS.into_iter().chain(NATIVE);
    let mut rows: Vec<Row> = kinds
        .filter(|kind| is_asked_for("ONLY", ';', kind.name))
        .map(Row::new)
        .collect();
    assert!(!rows.is_empty(), "ONLY names none of the kinds");
    let mut kernel = String::new();
    for round in 1..=rounds {
        for target in [Target::Echo, Target::Bridge] {
            if !is_asked_for("PARTS", ',', target.name()) {
                continue;
            }
            for row in &mut rows {
                // A bridge is what is native.
                if row.kind.native && target == Target::Echo {
                    continue;
                }
                let cost = cost::measure(&row.kind, target, calls, seconds, &cores);
                eprintln!(
                    "round {round}, {}, {}: {:.3} ms per call and second, {:.2} ms for its beginning and end",
                    target.name(),
                    row.kind.name,
                    cost.second,
                    cost.ends,
                );
                match target {
                    Target::Echo => row.echo = least(row.echo, cost.second),
                    Target::Bridge => {
                        row.bridge = least(row.bridge, cost.second);
                        row.ends = least(row.ends, cost.ends);
                    }
                }
                kernel = cost.kernel.unwrap_or(kernel);
            }
        }
    }
    let most = is_asked_for("PARTS", ',', "most");
    for row in rows.iter_mut().filter(|row| most && !row.kind.proof) {
        row.most = row.bridge.map(|cost| most::find(&row.kind, cost, &cores));
    }
    let run = Run {
        kernel,
        calls,
        seconds,
        rounds,
    };
    report::print(&run, &rows);
    report::write(&run, &rows);
}
