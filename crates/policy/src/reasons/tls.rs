//! TLS connections: handshakes that fail, and how connections end.

use sip_tls::{Code, Side as TlsSide};

use super::{Row, Side};

/// The row of a connection's end.
pub fn of(code: Code) -> Row {
    let facts = code.facts();
    Row {
        code: facts.name,
        stage: facts.stage.words(),
        side: match facts.side {
            TlsSide::Ours => Side::Ours,
            TlsSide::Theirs => Side::Theirs,
            TlsSide::Either => Side::Either,
            TlsSide::Nobody => Side::Nobody,
        },
        sentence: facts.sentence,
        change: facts.change,
    }
}

/// All of them.
pub(super) fn all() -> impl Iterator<Item = Row> {
    Code::ALL.iter().map(|code| of(*code))
}
