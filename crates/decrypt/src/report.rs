//! What came of it, for people.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use policy::keylog::KeyLine;

use crate::capture::Seen;
use crate::streams::Opened;

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// What was seen of the capture.
    pub seen: Seen,
    /// The files that were made.
    pub files: Vec<PathBuf>,
    /// Packets that are in clear now, RTP and RTCP.
    pub opened: u64,
    /// Packets that look like RTP or RTCP.
    pub packets: u64,
    lines: Vec<String>,
}

impl Report {
    pub(crate) fn new(
        seen: Seen,
        keys: &[KeyLine],
        opened: &Opened<'_>,
        files: Vec<PathBuf>,
    ) -> Self {
        let mut report = Self {
            seen,
            files,
            opened: opened.streams().map(|stream| stream.opened).sum(),
            packets: opened.streams().map(|stream| stream.packets).sum(),
            lines: Vec::new(),
        };
        for stream in opened.streams() {
            let what = if stream.is_rtcp { "SRTCP" } else { "SRTP" };
            let types: Vec<String> = stream
                .payload_types
                .iter()
                .map(|(number, count)| format!("payload type {number}: {count}"))
                .collect();
            let types = match types.is_empty() {
                true => String::new(),
                false => format!(" ({})", types.join(", ")),
            };
            let why = match (stream.opened, stream.packets - stream.repeated) {
                (0, _) => ": no key in the file opens it".to_owned(),
                (some, all) if some < all => format!(", {} not opened", all - some),
                _ => String::new(),
            };
            let audio = match stream.opened > 0 && !stream.is_rtcp && stream.samples.is_empty() {
                true => "; it is no G.711, so it has no recording",
                false => "",
            };
            report.lines.push(format!(
                "{what} {} to {}, SSRC {:08x}: {} of {} packets opened, {} of them twice in the capture{types}{why}{audio}",
                stream.source,
                stream.destination,
                stream.ssrc,
                stream.opened,
                stream.packets,
                stream.repeated
            ));
        }
        report.lines.extend(doubts(seen));
        if report.opened == 0 {
            report.lines.push(report.why_nothing(keys));
        }
        report
    }

    /// Whether nothing was opened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.opened == 0
    }

    fn why_nothing(&self, keys: &[KeyLine]) -> String {
        if self.packets == 0 {
            return format!(
                "Nothing is written: none of the {} UDP datagrams in the capture looks like SRTP",
                self.seen.datagrams
            );
        }
        let whose: BTreeSet<String> = keys
            .iter()
            .map(|key| {
                let known = [("endpoint", &key.endpoint), ("Call-ID", &key.call)];
                let known: Vec<String> = known
                    .iter()
                    .filter(|(_, value)| !value.is_empty())
                    .map(|(name, value)| format!("{name} {value}"))
                    .collect();
                format!("{} {}", key.peer, known.join(" "))
                    .trim()
                    .to_owned()
            })
            .collect();
        let named: Vec<String> = whose.iter().take(5).cloned().collect();
        format!(
            "Nothing is written: none of the {} packets authenticates under one of the {} keys, which are of calls with {}. Either they \
             are keys of other calls, or the packets are not encrypted",
            self.packets,
            keys.len(),
            named.join("; ")
        )
    }
}

fn doubts(seen: Seen) -> Vec<String> {
    let mut doubts = Vec::new();
    if seen.cut > 0 {
        doubts.push(format!(
            "{} datagrams are cut short in the capture and cannot be opened: capture with -s 0",
            seen.cut
        ));
    }
    if seen.fragments > 0 {
        doubts.push(format!(
            "{} fragments of IP packets were left out",
            seen.fragments
        ));
    }
    if let Some(link) = seen.unknown_link {
        doubts.push(format!(
            "packets on a link of type {link} (tcpdump.org/linktypes.html) were left out"
        ));
    }
    if seen.ends_early {
        doubts.push("the capture ends in the middle of a packet".to_owned());
    }
    doubts
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        for file in &self.files {
            writeln!(f, "Written: {}", file.display())?;
        }
        Ok(())
    }
}
