//! Prometheus's text format (prometheus.io/docs/instrumenting/exposition_formats), version 0.0.4.

use std::fmt::{Display, Write as _};
use std::time::Duration;

/// A page of metrics, each family of one kind, all its samples together.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
    name: String,
}

/// What a family's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// They only grow.
    Counter,
    /// They go up and down.
    Gauge,
    /// Counts of observations by size.
    Histogram,
}

/// A label and its value.
pub type Label<'a> = (&'a str, &'a str);

impl Page {
    /// Begins a family.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) -> &mut Self {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        name.clone_into(&mut self.name);
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        self
    }

    /// A number of the family.
    pub fn sample(&mut self, labels: &[Label<'_>], value: impl Display) -> &mut Self {
        self.line("", labels, value);
        self
    }

    /// The observations of a histogram.
    pub fn histogram(&mut self, labels: &[Label<'_>], histogram: &Histogram) -> &mut Self {
        let mut sum = 0;
        for (bound, count) in BOUNDS.iter().zip(&histogram.counts) {
            sum += count;
            let bound = bound.as_secs_f64().to_string();
            let with_bound: Vec<Label<'_>> =
                labels.iter().copied().chain([("le", &*bound)]).collect();
            self.line("_bucket", &with_bound, sum);
        }
        let infinite: Vec<Label<'_>> = labels.iter().copied().chain([("le", "+Inf")]).collect();
        self.line("_bucket", &infinite, histogram.count());
        self.line("_sum", labels, histogram.sum.as_secs_f64());
        self.line("_count", labels, histogram.count());
        self
    }

    fn line(&mut self, suffix: &str, labels: &[Label<'_>], value: impl Display) {
        let name = std::mem::take(&mut self.name);
        self.write(format_args!("{name}{suffix}"));
        for (number, (label, value)) in labels.iter().enumerate() {
            let before = if number == 0 { '{' } else { ',' };
            let value = value
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace(['\n', '\r', '\0'], " ");
            self.write(format_args!("{before}{label}=\"{value}\""));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        self.write(format_args!("{end} {value}\n"));
        self.name = name;
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        // A String takes everything.
        let _ = self.text.write_fmt(text);
    }

    /// The text.
    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }
}

/// The upper bounds of a [`Histogram`]'s buckets: from a handshake on a LAN to the usual limit of one.
pub const BOUNDS: [Duration; 12] = [
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2_500),
    Duration::from_secs(10),
];

/// Durations that were observed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; BOUNDS.len()],
    above: u64,
    sum: Duration,
}

impl Histogram {
    /// Nothing observed.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            counts: [0; BOUNDS.len()],
            above: 0,
            sum: Duration::ZERO,
        }
    }

    /// One more.
    pub fn observe(&mut self, time: Duration) {
        match BOUNDS.iter().position(|bound| time <= *bound) {
            Some(bucket) => self.counts[bucket] += 1,
            None => self.above += 1,
        }
        self.sum = self.sum.saturating_add(time);
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.above
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page() {
        let mut page = Page::default();
        page.family("x_total", Kind::Counter, "Things.")
            .sample(&[], 3)
            .sample(&[("a", "1"), ("b", "say \"\\\n")], 4);
        page.family("y", Kind::Gauge, "Others.").sample(&[], 1.5);
        assert_eq!(
            page.into_text(),
            "# HELP x_total Things.\n# TYPE x_total counter\nx_total 3\nx_total{a=\"1\",b=\"say \\\"\\\\ \"} 4\n\
             # HELP y Others.\n# TYPE y gauge\ny 1.5\n"
        );
    }

    #[test]
    fn buckets_add_up() {
        let mut histogram = Histogram::new();
        for milliseconds in [1, 3, 30, 20_000] {
            histogram.observe(Duration::from_millis(milliseconds));
        }
        let mut page = Page::default();
        page.family("z", Kind::Histogram, "Times.")
            .histogram(&[("d", "in")], &histogram);
        let text = page.into_text();
        for line in [
            "z_bucket{d=\"in\",le=\"0.001\"} 1\n",
            "z_bucket{d=\"in\",le=\"0.005\"} 2\n",
            "z_bucket{d=\"in\",le=\"0.025\"} 2\n",
            "z_bucket{d=\"in\",le=\"0.05\"} 3\n",
            "z_bucket{d=\"in\",le=\"10\"} 3\n",
            "z_bucket{d=\"in\",le=\"+Inf\"} 4\n",
            "z_sum{d=\"in\"} 20.034\n",
            "z_count{d=\"in\"} 4\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }
}
