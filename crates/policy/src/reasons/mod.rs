//! Why a handshake, a call or a message failed: one table of codes.
//!
//! A code stays the same from release to release. Each has a row: how far it had come, which side has to change something, what
//! happened, and what to change. Log lines, the console (`ciphertrunk explain`), `docs/reasons.md` and the record of refusals
//! ([`record`](crate::record)) take it from here; of TLS connections the words are `crates/sip-tls`'s own.
//!
//! Each group of rows is made from the type whose values it tells of, so that none can be without its row.

/// Makes the rows of a type: `pattern => code, stage, side, sentence, change;`, and the function from a value to its row. What has its
/// row elsewhere stands between brackets.
macro_rules! rows {
    (
        $(#[$doc:meta])* $vis:vis fn $name:ident($type:ty), $all:ident $([$($other:pat => $row:expr;)*])?:
        $($pattern:pat => $code:literal, $stage:literal, $side:ident, $sentence:literal, $change:literal;)*
    ) => {
        pub(super) const $all: &[Row] = &[$(Row {
            code: $code,
            stage: $stage,
            side: Side::$side,
            sentence: $sentence,
            change: $change,
        },)*];

        $(#[$doc])*
        $vis fn $name(value: &$type) -> &'static Row {
            match value {
                $($pattern => &Row {
                    code: $code,
                    stage: $stage,
                    side: Side::$side,
                    sentence: $sentence,
                    change: $change,
                },)*
                $($($other => $row,)*)?
            }
        }
    };
}

pub mod call;
pub mod crypto;
pub mod demand;
#[cfg(test)]
mod tests;
#[cfg(feature = "tls")]
pub mod tls;

use std::fmt::Write;
use std::sync::LazyLock;

/// Who has to change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// This Asterisk: its configuration or machine.
    Ours,
    /// The peer.
    Theirs,
    /// One of both.
    Either,
    /// Nobody: it is a normal end.
    Nobody,
}

impl Side {
    /// As a table has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ours => "here",
            Self::Theirs => "there",
            Self::Either => "here or there",
            Self::Nobody => "nobody",
        }
    }
}

/// What is said of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// `cert-expired`
    pub code: &'static str,
    /// How far it had come: `when verifying the certificate`.
    pub stage: &'static str,
    /// Who has to change something.
    pub side: Side,
    /// What happened, about the peer as "it".
    pub sentence: &'static str,
    /// What to change; empty where nothing is to be.
    pub change: &'static str,
}

impl Row {
    /// What happened, and what to change.
    pub fn words(&self) -> String {
        if self.change.is_empty() {
            return self.sentence.to_owned();
        }
        format!("{}; {}", self.sentence, self.change)
    }
}

/// The groups, in the order of the documents: a title each.
fn groups() -> Vec<(&'static str, Vec<Row>)> {
    vec![
        #[cfg(feature = "tls")]
        ("TLS connections", tls::all().collect()),
        ("Connections and messages", call::SIGNALING.to_vec()),
        ("Calls", [call::OFFERS, call::REMOTE].concat()),
        (
            "a=crypto lines and answers",
            [crypto::LINES, crypto::ANSWERS].concat(),
        ),
        ("Media", call::MEDIA.to_vec()),
        ("Demands", demand::DEMANDS.to_vec()),
    ]
}

/// Every row.
pub fn all() -> &'static [Row] {
    static ALL: LazyLock<Vec<Row>> =
        LazyLock::new(|| groups().into_iter().flat_map(|(_, rows)| rows).collect());
    &ALL
}

/// The row of a code.
pub fn find(code: &str) -> Option<&'static Row> {
    all().iter().find(|row| row.code == code)
}

/// `docs/reasons.md`.
pub fn document() -> String {
    let mut text = String::from(
        "# Reason codes\n\n\
         Every failed handshake, call and message has one of these codes: in the log line, in `ciphertrunk show refusals`, in\n\
         `ciphertrunk show reasons` (how often), and in `${CIPHERTRUNK_REASON}` of a call whose demand was not met.\n\
         `ciphertrunk explain CODE` says on the console what stands here. \"It\" is the peer; \"here\" is this Asterisk, \"there\" is\n\
         the peer. Codes stay the same from release to release.\n\n\
         This file is made from the table in `crates/policy/src/reasons` and `crates/sip-tls/src/code.rs`\n\
         (`cargo run -p policy --features tls --example reasons > docs/reasons.md`), and a test compares them.\n",
    );
    for (title, rows) in groups() {
        let _ = write!(
            text,
            "\n## {title}\n\n| code | when | change | what happened, and what to do |\n|---|---|---|---|\n"
        );
        for row in rows {
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {} |",
                row.code,
                row.stage,
                row.side.word(),
                row.words().replace('|', "\\|")
            );
        }
    }
    text
}
