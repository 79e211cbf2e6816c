//! What is known of a call.

/// Where offer and answer (RFC 3264) of a call are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Exchange {
    /// Nothing is agreed yet, or our offer waits for an answer. What goes out is an offer.
    #[default]
    OurOffer,
    /// The peer's offer is here. What goes out is the answer, and the offer may still be refused.
    TheirOffer,
    /// It is agreed, and the peer answered last.
    TheirAnswer,
    /// It is agreed, and we answered last: what we answered stands.
    OurAnswer,
}

/// What is known of a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Call {
    /// The PJSIP endpoint, as `pjsip.conf` names it.
    pub endpoint: String,
    /// The `Call-ID` header's value.
    pub call_id: String,
    /// The peer's URI, and the address that its INVITE came from or went to where one is under way.
    pub peer: String,
    /// The media line asked about: its kind, and its number from 0. Empty if none was.
    pub media: String,
    /// Where its negotiation is now.
    pub exchange: Exchange,
}
