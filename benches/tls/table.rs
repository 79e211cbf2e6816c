//! The table, and the same as JSON.

use std::fs;

use host_harness::lab;

use crate::Row;
use crate::handshakes::CASES;
use crate::servers::{OURS, S_SERVER};

/// The places of [`CASES`].
const P256: usize = 0;
const RSA: usize = 1;
/// Full handshakes of TLS 1.2, and the resumed ones that are compared with them.
const TLS_1_2: [(&str, usize, usize); 2] = [
    ("TLS 1.2 resumed, times full, P-256", 2, 4),
    ("TLS 1.2 resumed, times full, RSA-2048", 3, 5),
];
const RESUMED_1_3: usize = 6;

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
}

fn json(value: Option<f64>) -> String {
    value.map_or("null".to_owned(), |value| format!("{value:.4}"))
}

/// A field of `/proc`, to its line's end.
fn of_system(file: &str, key: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(key));
    value.unwrap_or("unknown").trim().to_owned()
}

/// A line of the table: its name, each server's value, and how many digits are shown after the point.
type Line<'a> = (String, Vec<Option<f64>>, usize);

fn lines(rows: &[Row]) -> Vec<Line<'_>> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    let mut add = |name: &str, digits, value: &dyn Fn(&Row) -> Option<f64>| {
        lines.push((name.to_owned(), rows.iter().map(value).collect(), digits));
    };
    add("idle connections", 0, &|row| {
        row.idle.as_ref().map(|it| it.connections.into())
    });
    add("of which answered", 0, &|row| {
        row.idle.as_ref().map(|it| it.answered.into())
    });
    add("KiB each", 1, &|row| row.idle.as_ref().map(|it| it.each));
    for (place, case) in CASES.iter().enumerate() {
        add(&format!("{}, us of CPU", case.name), 0, &|row| {
            row.handshakes[place]
        });
    }
    let paced = |row: &Row| row.idle.as_ref().and_then(|it| it.paced.clone());
    add("OPTIONS/s on one connection, of 1,000", 0, &|row| {
        paced(row).map(|it| it.rate)
    });
    add("  another connection's p99 beside it, ms", 1, &|row| {
        paced(row).map(|it| it.neighbour)
    });
    let busy = |row: &Row| row.idle.as_ref().and_then(|it| it.busy.clone());
    add("OPTIONS/s on one connection, as many as go", 0, &|row| {
        busy(row).map(|it| it.rate)
    });
    add("  other answers than 200", 0, &|row| {
        busy(row).map(|it| it.refused as f64)
    });
    add("  us of CPU each", 0, &|row| busy(row).map(|it| it.cost));
    add("  another connection's p99, ms", 1, &|row| {
        busy(row).map(|it| it.neighbour)
    });
    let flood = |row: &Row| row.flood.clone();
    add("OPTIONS by UDP, p99 quiet, ms", 2, &|row| {
        flood(row).map(|it| it.quiet)
    });
    add("  in a flood of handshakes, ms", 2, &|row| {
        flood(row).map(|it| it.flooded)
    });
    add("  times quiet", 1, &|row| {
        flood(row).map(|it| it.flooded / it.quiet)
    });
    add("  without an answer", 0, &|row| {
        flood(row).map(|it| it.lost.into())
    });
    add("  handshakes/s of the flood", 0, &|row| {
        flood(row).map(|it| it.rate)
    });
    add("phones that register again", 0, &|row| {
        row.avalanche.as_ref().map(|it| it.phones.into())
    });
    add("  beside calls", 0, &|row| {
        row.avalanche.as_ref().map(|it| it.calls.into())
    });
    add("  packets late before, %", 2, &|row| {
        row.avalanche.as_ref().map(|it| it.quiet * 100.0)
    });
    for resumed in [false, true] {
        let how = if resumed { "resumed" } else { "full" };
        let back = |row: &Row| {
            let it = row.avalanche.as_ref()?;
            Some(if resumed { &it.resumed } else { &it.full }.clone())
        };
        add(&format!("  {how}: seconds"), 1, &|row| {
            back(row).map(|it| it.seconds)
        });
        add(&format!("  {how}: packets late, %"), 2, &|row| {
            back(row).map(|it| it.late * 100.0)
        });
        add(&format!("  {how}: handshakes that resumed"), 0, &|row| {
            back(row).map(|it| it.resumed.into())
        });
        add(&format!("  {how}: tries in vain"), 0, &|row| {
            back(row).map(|it| it.in_vain.into())
        });
    }
    lines
}

/// What is wanted of ours: what, at most how much, and how much it is.
fn wanted(rows: &[Row]) -> Vec<(&'static str, f64, Option<f64>)> {
    let find = |name: &str| rows.iter().find(|row| row.name == name);
    let of = |name: &str, place: usize| find(name).and_then(|row| row.handshakes[place]);
    let beside = |place| Some(of(OURS, place)? / of(S_SERVER, place)?);
    let mut wanted = vec![
        (
            "KiB of an idle connection",
            23.0,
            find(OURS).and_then(|row| Some(row.idle.as_ref()?.each)),
        ),
        ("full handshake, P-256, times s_server", 1.05, beside(P256)),
        (
            "full handshake, RSA-2048, times s_server",
            1.05,
            beside(RSA),
        ),
        ("TLS 1.3 resumed, times s_server", 1.0, beside(RESUMED_1_3)),
        (
            "OPTIONS by UDP, p99 in a flood, times quiet",
            2.0,
            find(OURS).and_then(|row| {
                let flood = row.flood.as_ref()?;
                Some(flood.flooded / flood.quiet)
            }),
        ),
    ];
    wanted.extend(TLS_1_2.map(|(name, full, resumed)| {
        let ratio = of(OURS, resumed).zip(of(OURS, full));
        (name, 0.35, ratio.map(|(resumed, full)| resumed / full))
    }));
    wanted
}

/// Prints the table and writes `build/bench/tls.json`.
pub fn print(rows: &[Row], missing: &[&str], kernel: &str) {
    let cpu = of_system("/proc/cpuinfo", "model name\t: ");
    let linux = of_system("/proc/sys/kernel/osrelease", "");
    println!("\n{cpu}; Linux {linux}; kernel {kernel}\n");
    for row in rows {
        println!("{}: {}", row.name, row.version);
    }
    for name in missing {
        println!("{name}: is not in the root, and was left out");
    }
    print!("\n{:<42}", "");
    for row in rows {
        print!("{:>28}", row.name);
    }
    println!();
    let lines = lines(rows);
    for (name, values, digits) in &lines {
        print!("{name:<42}");
        for value in values {
            print!("{:>28}", number(*value, *digits));
        }
        println!();
    }
    let wanted = wanted(rows);
    println!("\n{:<48}{:>8}{:>10}", "", "wanted", "reached");
    for (name, most, value) in &wanted {
        println!("{name:<48}{most:>8.2}{:>10}", number(*value, 2));
    }
    for row in rows {
        for fault in &row.faults {
            println!("{}: {fault}", row.name);
        }
    }
    let servers: Vec<String> = rows
        .iter()
        .enumerate()
        .map(|(place, row)| {
            let values: Vec<String> = lines
                .iter()
                .map(|(name, values, _)| format!("{:?}:{}", name.trim(), json(values[place])))
                .collect();
            format!(
                "{:?}:{{\"version\":{:?},\"faults\":{:?},{}}}",
                row.name,
                row.version,
                row.faults,
                values.join(",")
            )
        })
        .collect();
    let wanted: Vec<String> = wanted
        .iter()
        .map(|(name, most, value)| {
            format!(
                "{name:?}:{{\"wanted\":{most},\"reached\":{}}}",
                json(*value)
            )
        })
        .collect();
    let folder = lab::repository().join("build/bench");
    fs::create_dir_all(&folder).expect("build/bench can be made");
    let text = format!(
        "{{\"cpu\":{cpu:?},\"linux\":{linux:?},\"kernel\":{kernel:?},\"left_out\":{missing:?},\"servers\":{{{}}},\"wanted\":{{{}}}}}\n",
        servers.join(","),
        wanted.join(",")
    );
    fs::write(folder.join("tls.json"), text).expect("build/bench/tls.json can be written");
}
