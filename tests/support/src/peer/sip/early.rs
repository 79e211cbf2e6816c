//! What comes before and beside a call's first answer: early media, reliable responses (RFC 3262), UPDATE (RFC 3311), an
//! offer in a response, and the end that the other side makes.

use super::{Answer, Description, Message, Phone, unique};

/// How Asterisk ended a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// `BYE` or `CANCEL`.
    pub method: String,
    /// Its `Reason` header (RFC 3326).
    pub reason: String,
}

/// A call of the phone's that has got a reliable 183, and no answer yet.
#[derive(Debug)]
pub struct Early {
    /// Of the INVITE.
    cseq: u32,
    branch: u32,
    /// What the 183 described.
    pub described: Answer,
}

impl Phone {
    /// Waits until Asterisk ends the call, or stops calling.
    pub fn ended(&mut self) -> End {
        let is_end = |message: &Message| {
            ["BYE ", "CANCEL "]
                .iter()
                .any(|method| message.first.starts_with(method))
        };
        let end = self.wait(is_end);
        self.respond(&end, "200 OK", "");
        End {
            method: end.first.split(' ').next().unwrap_or_default().to_owned(),
            reason: end.header("Reason").to_owned(),
        }
    }

    /// Waits for an INVITE and gives early media, with this To tag. What it offered, and how to answer it with 200 later, in
    /// full or as another phone that the call reached.
    pub fn ring(&mut self, early: &Description, tag: &str) -> Ringing {
        let invite = self.wait(|message| message.first.starts_with("INVITE "));
        self.begin_called(&invite, tag);
        let sdp = self.describe(early);
        self.respond(&invite, "183 Session Progress", &sdp);
        Ringing {
            invite,
            same_answer: sdp,
        }
    }

    /// Waits for an INVITE and rings (180), with this To tag.
    pub fn alert(&mut self, tag: &str) -> Ringing {
        let invite = self.wait(|message| message.first.starts_with("INVITE "));
        self.begin_called(&invite, tag);
        self.respond(&invite, "180 Ringing", "");
        Ringing {
            invite,
            same_answer: String::new(),
        }
    }

    fn begin_called(&mut self, invite: &Message, tag: &str) {
        self.call_id = invite.header("Call-ID").to_owned();
        self.theirs = invite.header("From").to_owned();
        self.target = invite.uri_of_contact();
        self.ours = format!("{};tag={tag}", invite.header("To"));
    }

    /// The phone that rang takes the call, with the description that it gave.
    pub fn take(&mut self, ringing: &Ringing) {
        self.respond(&ringing.invite, "200 OK", &ringing.same_answer);
        self.wait(|message| message.first.starts_with("ACK "));
    }

    /// Another phone takes the call.
    pub fn take_forked(&mut self, ringing: &Ringing, answer: &Description) {
        self.begin_called(&ringing.invite, "another");
        let sdp = self.describe(answer);
        self.respond(&ringing.invite, "200 OK", &sdp);
        self.wait(|message| message.first.starts_with("ACK "));
    }

    /// The phone that rang gives up, as after a CANCEL.
    pub fn give_up(&mut self, ringing: &Ringing) {
        self.respond(&ringing.invite, "487 Request Terminated", "");
        self.wait(|message| message.first.starts_with("ACK "));
    }

    /// Calls an extension, or goes on with the call, without an offer: Asterisk's is in the 200, and the answer to it in the
    /// ACK.
    pub fn invite_without_offer(
        &mut self,
        extension: Option<&str>,
        answer: impl FnOnce(&Answer) -> Description,
    ) -> Answer {
        match extension {
            Some(extension) => self.begin_call(extension),
            None => assert!(!self.call_id.is_empty(), "there is no call"),
        }
        self.cseq += 1;
        self.send(&self.request("INVITE", unique(), ""));
        let ok = self.wait(|message| message.status().is_some_and(|status| status >= 200));
        assert_eq!(ok.status(), Some(200), "{}", ok.first);
        self.theirs = ok.header("To").to_owned();
        self.target = ok.uri_of_contact();
        let offer = Answer { sdp: ok.body };
        let sdp = self.describe(&answer(&offer));
        self.send(&self.request("ACK", unique(), &sdp));
        offer
    }

    /// Offers another description in the call by UPDATE.
    ///
    /// # Errors
    ///
    /// The status that refused it.
    pub fn update(&mut self, offer: &Description) -> Result<Answer, u16> {
        self.cseq += 1;
        let sdp = self.describe(offer);
        self.send(&self.request("UPDATE", unique(), &sdp));
        let response = self.wait(|message| message.status().is_some_and(|status| status >= 200));
        match response.status().expect("a response") {
            200..300 => Ok(Answer { sdp: response.body }),
            status => Err(status),
        }
    }

    /// Calls an extension that gives early media, and requires reliable responses. `offer`: none is to come in the 183.
    ///
    /// # Errors
    ///
    /// The status that refused it.
    pub fn call_early(
        &mut self,
        extension: &str,
        offer: Option<&Description>,
    ) -> Result<Early, u16> {
        self.begin_call(extension);
        self.cseq += 1;
        let sdp = offer.map_or_else(String::new, |offer| self.describe(offer));
        let branch = unique();
        let invite = with_header(&self.request("INVITE", branch, &sdp), "Require: 100rel");
        self.send(&invite);
        let early = self.wait(|message| message.status().is_some_and(|status| status > 182));
        let status = early.status().expect("a response");
        self.theirs = early.header("To").to_owned();
        if status >= 300 {
            self.send(&self.request("ACK", branch, ""));
            return Err(status);
        }
        assert_eq!(status, 183, "{}", early.first);
        self.target = early.uri_of_contact();
        self.rack = format!("{} {} INVITE", early.header("RSeq"), self.cseq);
        Ok(Early {
            cseq: self.cseq,
            branch,
            described: Answer { sdp: early.body },
        })
    }

    /// Acknowledges the 183, with a description or without. What came with the response to that.
    pub fn prack(&mut self, description: Option<&Description>) -> Answer {
        self.cseq += 1;
        let sdp = description.map_or_else(String::new, |description| self.describe(description));
        let rack = format!("RAck: {}", self.rack);
        let prack = with_header(&self.request("PRACK", unique(), &sdp), &rack);
        self.send(&prack);
        let response = self.wait(|message| message.status().is_some_and(|status| status >= 200));
        assert_eq!(response.status(), Some(200), "{}", response.first);
        Answer { sdp: response.body }
    }

    /// Waits for the call to be answered.
    ///
    /// # Errors
    ///
    /// The status that refused it.
    pub fn until_answered(&mut self, early: &Early) -> Result<(), u16> {
        let latest = std::mem::replace(&mut self.cseq, early.cseq);
        let answer = self.wait(|message| message.status().is_some_and(|status| status >= 200));
        let outcome = match answer.status().expect("a response") {
            200..300 => Ok(()),
            status => Err(status),
        };
        // The one of a refusal is of the INVITE's transaction.
        let branch = outcome.as_ref().map_or(early.branch, |()| unique());
        self.send(&self.request("ACK", branch, ""));
        self.cseq = latest;
        outcome
    }
}

/// A call that reached this phone and is not answered yet.
#[derive(Debug)]
pub struct Ringing {
    invite: Message,
    same_answer: String,
}

impl Ringing {
    /// What Asterisk offered.
    pub fn offer(&self) -> Answer {
        Answer {
            sdp: self.invite.body.clone(),
        }
    }
}

fn with_header(request: &str, header: &str) -> String {
    request.replacen("\r\nContact: ", &format!("\r\n{header}\r\nContact: "), 1)
}
