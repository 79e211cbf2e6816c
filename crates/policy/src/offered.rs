//! What a peer's latest request in a call offers, until that is answered: which response refuses it.

use crate::demand::DescribedMedia;
use crate::message::{self, CSeq};

/// An offer that waits for its answer, if there is one.
#[derive(Debug, Default)]
pub struct Offered {
    request: Option<CSeq>,
    lines: Vec<DescribedMedia>,
}

impl Offered {
    /// This request of the peer's describes these media lines.
    pub fn by(request: &[u8], lines: Vec<DescribedMedia>) -> Self {
        Self {
            request: message::cseq(request),
            lines,
        }
    }

    /// Whether one waits.
    pub fn is_open(&self) -> bool {
        !self.lines.is_empty()
    }

    /// This response to the peer leaves. `Some`: it refuses the offer, with this status. Only the final response to the request that
    /// offers ends the wait: others answer other requests of the dialog, or say that the answer is to come (RFC 3261 sections 13.2.1, 17).
    pub fn refused_by(&mut self, response: &[u8]) -> Option<(u16, Vec<DescribedMedia>)> {
        const SUCCESS: u16 = 200;
        const REDIRECTION: u16 = 300;
        let status = message::status(response).filter(|status| *status >= SUCCESS)?;
        if !self.is_open() || message::cseq(response) != self.request {
            return None;
        }
        let lines = std::mem::take(self).lines;
        (status >= REDIRECTION).then_some((status, lines))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(cseq: &str) -> String {
        format!(
            "INVITE sip:a@b SIP/2.0\r\nCSeq: {cseq}\r\n\r\nv=0\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
        )
    }

    fn response(status: u16, cseq: &str) -> Vec<u8> {
        format!("SIP/2.0 {status} x\r\nCSeq: {cseq}\r\n\r\n").into_bytes()
    }

    fn offered(cseq: &str) -> Offered {
        let request = request(cseq);
        let lines = message::media(request.as_bytes());
        assert_eq!(lines.len(), 1);
        Offered::by(request.as_bytes(), lines)
    }

    #[test]
    fn its_own_final_response_refuses_an_offer() {
        for status in [300, 415, 488, 500, 603] {
            let mut offered = offered("7 INVITE");
            let (told, lines) = offered.refused_by(&response(status, "7 INVITE")).unwrap();
            assert_eq!((told, lines.len()), (status, 1));
            // Once: it may be sent again.
            assert_eq!(offered.refused_by(&response(status, "7 INVITE")), None);
        }
        // However the peer writes it.
        let mut offered = offered("0007   INVITE");
        assert!(offered.refused_by(&response(488, "7 INVITE")).is_some());
    }

    #[test]
    fn what_answers_something_else_leaves_it_open() {
        let mut offered = offered("7 INVITE");
        for (status, cseq) in [
            (100, "7 INVITE"),
            (183, "7 INVITE"),
            // OPTIONS, INFO and PRACK of the peer's meanwhile, with a body that nobody knows too.
            (200, "8 OPTIONS"),
            (415, "9 INFO"),
            (200, "10 PRACK"),
            // The one before, again.
            (488, "6 INVITE"),
            (488, "7 UPDATE"),
        ] {
            assert_eq!(offered.refused_by(&response(status, cseq)), None);
            assert!(offered.is_open(), "{status} {cseq}");
        }
        assert!(offered.refused_by(&response(488, "7 INVITE")).is_some());
    }

    #[test]
    fn one_that_is_accepted_is_not_refused_later() {
        let mut offered = offered("7 INVITE");
        assert_eq!(offered.refused_by(&response(200, "7 INVITE")), None);
        assert!(!offered.is_open());
        assert_eq!(offered.refused_by(&response(488, "7 INVITE")), None);
    }
}
