//! Dialogs that are not told apart by their `Call-ID`, and calls of which no answer is waited for.

use super::{Answer, Description, Phone, unique};

impl Phone {
    /// [`Phone::call`] with this `Call-ID`, to the letter.
    ///
    /// # Errors
    ///
    /// The status that refused it.
    pub fn call_as(
        &mut self,
        call_id: &str,
        extension: &str,
        offer: &Description,
    ) -> Result<Answer, u16> {
        self.begin_call(extension);
        call_id.clone_into(&mut self.call_id);
        self.invite(offer)
    }

    /// Sends an INVITE without a description and with this behind its `Call-ID`, and waits for nothing.
    pub fn begin_without_offer(&mut self, extension: &str, behind: &str) {
        self.begin_call(extension);
        self.call_id += behind;
        self.cseq += 1;
        self.send(&self.request("INVITE", unique(), ""));
    }

    /// Asks OPTIONS of an extension, in no dialog, with this `Call-ID`; the status.
    pub fn options_as(&mut self, call_id: &str, extension: &str) -> u16 {
        self.begin_call(extension);
        call_id.clone_into(&mut self.call_id);
        self.cseq += 1;
        self.send(&self.request("OPTIONS", unique(), ""));
        let answer = self.wait(|message| message.status().is_some());
        answer.status().expect("a response")
    }
}
