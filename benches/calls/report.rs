//! The tables, and the same as JSON.

use std::fs;

use host_harness::lab;

use crate::legs::LATE;
use crate::most::Most;
use crate::world::Kind;

/// How it was measured.
pub struct Run {
    pub kernel: String,
    pub calls: u32,
    pub seconds: u32,
    pub rounds: u32,
}

/// One way to carry the calls, and what was measured: milliseconds of CPU per call and second, and the most calls.
pub struct Row {
    pub kind: Kind,
    pub echo: Option<f64>,
    pub bridge: Option<f64>,
    /// Milliseconds of CPU for a bridged call's beginning and end.
    pub ends: Option<f64>,
    pub most: Option<Most>,
}

impl Row {
    /// Nothing measured yet.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            echo: None,
            bridge: None,
            ends: None,
            most: None,
        }
    }
}

/// Prints the tables. The first row is what the others are compared with.
pub fn print(run: &Run, rows: &[Row]) {
    let Run {
        kernel,
        calls,
        seconds,
        rounds,
    } = run;
    println!(
        "\n{}; kernel {kernel}; {calls} G.711 calls, {seconds} s, least of {rounds}",
        cpu()
    );
    println!("CPU of the Asterisk under test, milliseconds per call and second:\n");
    let native = rows.iter().find(|row| row.kind.native);
    println!(
        "{:<26}{:>8}{:>9}{:>9}{:>9}{:>10}{:>13}{:>9}",
        "", "echo", "x plain", "bridge", "x plain", "x native", "set-up, end", "x plain"
    );
    for row in rows {
        println!(
            "{:<26}{:>8}{:>9}{:>9}{:>9}{:>10}{:>13}{:>9}",
            row.kind.name,
            number(row.echo, 3),
            number(ratio(row.echo, rows[0].echo), 2),
            number(row.bridge, 3),
            number(ratio(row.bridge, rows[0].bridge), 2),
            number(ratio(row.bridge, native.and_then(|row| row.bridge)), 2),
            number(row.ends, 2),
            number(ratio(row.ends, rows[0].ends), 2),
        );
    }
    println!(
        "\nThe most bridged calls on one core with at most 1 in 1000 packets later than {} ms:\n",
        LATE.as_millis()
    );
    println!(
        "{:<26}{:>8}{:>9}{:>10}{:>9}{:>9}{:>10}",
        "", "calls", "x plain", "Asterisk", "core", "late", "caller's"
    );
    let plain = carried(&rows[0]);
    for row in rows {
        let Some(most) = &row.most else { continue };
        let Some(step) = &most.carried else {
            println!("{:<26}below {}", row.kind.name, most.refused.calls);
            continue;
        };
        let bound = if most.is_lower_bound() {
            "  at least: the caller's cores were full"
        } else {
            ""
        };
        println!(
            "{:<26}{:>8}{:>9}{:>10}{:>9}{:>9}{:>10}{bound}",
            row.kind.name,
            step.calls,
            number(ratio(carried(row), plain), 2),
            percent(step.under_test, 0),
            percent(step.core, 0),
            percent(step.probes.late(), 2),
            percent(step.others, 0),
        );
    }
}

/// Writes `build/bench/calls.json`.
pub fn write(run: &Run, rows: &[Row]) {
    let costs = rows.iter().map(|row| {
        let echo = row.echo.map(|cost| format!("\"echo\":{cost:.4}"));
        let bridge = row.bridge.map(|cost| format!("\"bridge\":{cost:.4}"));
        let ends = row.ends.map(|cost| format!("\"bridge_ends\":{cost:.4}"));
        let all: Vec<String> = echo.into_iter().chain(bridge).chain(ends).collect();
        format!("{:?}:{{{}}}", row.kind.name, all.join(","))
    });
    let most = rows.iter().filter_map(|row| {
        let most = row.most.as_ref()?;
        let carried = most.carried.map_or("null".to_owned(), |step| {
            format!(
                "{{\"calls\":{},\"under_test\":{:.4},\"core\":{:.4},\"late\":{:.5},\"callers_cores\":{:.4}}}",
                step.calls,
                step.under_test,
                step.core,
                step.probes.late(),
                step.others
            )
        });
        Some(format!(
            "{:?}:{{\"carried\":{carried},\"not_carried\":{},\"lower_bound\":{}}}",
            row.kind.name,
            most.refused.calls,
            most.is_lower_bound()
        ))
    });
    let json = format!(
        "{{\"cpu\":{:?},\"kernel\":{:?},\"calls\":{},\"ms_per_call_second\":{{{}}},\"most_calls\":{{{}}}}}\n",
        cpu(),
        run.kernel,
        run.calls,
        costs.collect::<Vec<_>>().join(","),
        most.collect::<Vec<_>>().join(",")
    );
    let folder = lab::repository().join("build/bench");
    fs::create_dir_all(&folder).expect("build/bench can be made");
    fs::write(folder.join("calls.json"), json).expect("build/bench/calls.json can be written");
}

fn carried(row: &Row) -> Option<f64> {
    Some(f64::from(row.most.as_ref()?.carried?.calls))
}

fn ratio(of: Option<f64>, to: Option<f64>) -> Option<f64> {
    Some(of? / to?)
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
}

fn percent(part: f64, digits: usize) -> String {
    format!("{:.digits$} %", part * 100.0)
}

fn cpu() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info
        .lines()
        .find_map(|line| line.strip_prefix("model name\t: "));
    name.unwrap_or("unknown CPU").to_owned()
}
