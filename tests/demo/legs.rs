//! What the module and Asterisk count for a leg of a call that is up.

use host_harness::asterisk::Asterisk;

/// The leg with one peer.
#[derive(Debug)]
pub struct Leg {
    /// The suites, received and sent.
    pub suites: (String, String),
    /// RTP packets, received and sent.
    pub packets: (u64, u64),
    /// Packets that did not authenticate.
    pub auth_failures: u64,
    /// Packets dropped for another reason.
    pub dropped: u64,
    /// RTP packets lost, received and sent, by RTP's own accounts.
    pub lost: (u64, u64),
}

impl Leg {
    /// The leg with the peer at `address`, whose endpoint is `endpoint`.
    pub fn of(ours: &Asterisk<'_>, address: &str, endpoint: &str) -> Self {
        let sessions = ours.cli("ciphertrunk show sessions");
        let line = sessions
            .lines()
            .find(|line| line.contains(&format!(" Peer: {address}:")))
            .unwrap_or_else(|| panic!("no session with {address}:\n{sessions}"));
        let text = |key: &str| {
            let value = line.split_once(&format!("{key}: ")).map(|(_, rest)| rest);
            value
                .and_then(|rest| rest.split(' ').next())
                .unwrap_or_else(|| panic!("no {key:?} in {line}"))
        };
        let number = |key: &str| {
            text(key)
                .parse()
                .unwrap_or_else(|_| panic!("{key:?} is not a number in {line}"))
        };
        Self {
            suites: (text(" In").to_owned(), text(" Out").to_owned()),
            packets: (number("RTP in"), number("RTP out")),
            auth_failures: number("Authentication failures"),
            dropped: number("Dropped"),
            lost: lost(ours, endpoint),
        }
    }
}

/// The columns of a line of `pjsip show channelstats`: bridge, channel, time, codec, then received count, lost,
/// percentage, jitter, and the same sent.
fn lost(ours: &Asterisk<'_>, endpoint: &str) -> (u64, u64) {
    let stats = ours.cli("pjsip show channelstats");
    let columns: Option<Vec<&str>> = stats
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find(|columns| {
            columns
                .get(1)
                .is_some_and(|channel| channel.starts_with(&format!("{endpoint}-")))
        });
    let columns = columns.unwrap_or_else(|| panic!("no channel of {endpoint}:\n{stats}"));
    let number = |at: usize| {
        columns
            .get(at)
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(|| panic!("{columns:?}"))
    };
    (number(5), number(9))
}
