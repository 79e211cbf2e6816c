//! The table, and the same as JSON.

use std::fs;
use std::time::Duration;

use host_harness::lab;

use crate::Row;

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Half of them were as short.
fn median(row: &Row) -> Option<f64> {
    row.took.get(row.took.len() / 2).copied().map(milliseconds)
}

fn number(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.2}"))
}

/// A field of `/proc`, to its line's end.
fn of_system(file: &str, key: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(key));
    value.unwrap_or("unknown").trim().to_owned()
}

/// Prints the table and writes `build/bench/cli.json`.
pub fn print(rows: &[Row], connections: u32, calls: u32, kernel: &str) {
    let cpu = of_system("/proc/cpuinfo", "model name\t: ");
    let linux = of_system("/proc/sys/kernel/osrelease", "");
    println!(
        "\n{cpu}; Linux {linux}; kernel {kernel}; {connections} TLS connections, {calls} SRTP calls, ten of them bridged\n\
         Round trips over the console's socket, milliseconds; late: packets that took longer than {} ms\n",
        milliseconds(crate::legs::LATE)
    );
    println!(
        "{:<66}{:>6}{:>9}{:>9}{:>8}{:>10}{:>8}{:>9}{:>7}",
        "", "runs", "median", "longest", "lines", "octets", "late", "longest", "lost"
    );
    let mut json = Vec::new();
    for row in rows {
        let longest = row.took.last().copied().map(milliseconds);
        let audio = &row.audio;
        println!(
            "{:<66}{:>6}{:>9}{:>9}{:>8}{:>10}{:>6.2} %{:>9.1}{:>5.2} %",
            row.command,
            row.took.len(),
            number(median(row)),
            number(longest),
            row.lines,
            row.octets,
            audio.late() * 100.0,
            milliseconds(audio.longest),
            audio.lost() * 100.0
        );
        json.push(format!(
            "{:?}:{{\"runs\":{},\"median_ms\":{},\"longest_ms\":{},\"octets\":{},\"late\":{:.5},\"longest_way_ms\":{:.2}}}",
            row.command,
            row.took.len(),
            median(row).map_or("null".to_owned(), |it| format!("{it:.3}")),
            longest.map_or("null".to_owned(), |it| format!("{it:.3}")),
            row.octets,
            audio.late(),
            milliseconds(audio.longest)
        ));
    }
    let folder = lab::repository().join("build/bench");
    fs::create_dir_all(&folder).expect("build/bench can be made");
    let json = format!(
        "{{\"cpu\":{cpu:?},\"linux\":{linux:?},\"kernel\":{kernel:?},\"connections\":{connections},\"calls\":{calls},\"commands\":{{{}}}}}\n",
        json.join(",")
    );
    fs::write(folder.join("cli.json"), json).expect("build/bench/cli.json can be written");
}
