//! SIPp: offers and answers that no real phone would send.

use crate::lab::{self, Lab};
use crate::process::Process;
use crate::wait;

/// SIPp's own limit, in seconds: what hangs ends, and says where, before [`wait::SOON`].
pub const TIMEOUT: &str = "170";

/// One call of SIPp's, by UDP.
#[derive(Debug, Clone)]
pub struct Call {
    /// The Call-ID, and the name of its files.
    pub id: String,
    /// SIPp's address on the lab's network.
    pub address: String,
    /// The Asterisk that it calls, or that calls it: `127.0.0.10`.
    pub asterisk: String,
    /// The lines of its SDP from `m=` on. `[media_port]` stands for its RTP port.
    pub media: String,
}

/// How a call of SIPp's goes.
#[derive(Debug, Clone)]
pub enum Plan {
    /// It calls `echo`, and the final answer must have this status.
    Expect(u16),
    /// It calls `echo`, which answers; a re-INVITE with these media lines must get this status. It hangs up.
    Change(String, u16),
    /// It answers a call with its SDP and expects to be hung up on.
    Answer,
    /// Two phones answer a call: one with its SDP in a 183, and then the other in a 200, with these media lines. It expects to be
    /// hung up on.
    Fork(String),
    /// It forwards a call to this URI (302).
    Forward(String),
    /// It refuses a call with this status.
    Refuse(u16),
}

impl Call {
    /// Starts SIPp. Its exit status is 0 if the call went as planned.
    pub fn start(&self, lab: &Lab, plan: &Plan) -> Process {
        let file = format!("{}.xml", self.id);
        lab.write(&file, self.scenario(plan));
        let target = format!("{}:5060", self.asterisk);
        let scenario = format!("{}/{file}", lab::FOLDER);
        let mut args = vec![
            "-sf",
            &scenario,
            "-i",
            &self.address,
            "-mi",
            &self.address,
            "-p",
            "5060",
            "-m",
            "1",
            "-nostdin",
            "-cid_str",
            &self.id,
            "-timeout",
            TIMEOUT,
            "-timeout_error",
            "-trace_err",
            "-error_file",
            "/dev/stdout",
        ];
        if matches!(plan, Plan::Expect(_) | Plan::Change(..)) {
            args.push(&target);
        }
        lab.spawn(&self.id, "sipp", &args)
    }

    /// Starts SIPp and waits until it ends; it must have gone as planned.
    pub fn run(&self, lab: &Lab, plan: &Plan) {
        let mut sipp = self.start(lab, plan);
        let status = sipp.wait(wait::SOON);
        assert!(
            status.success(),
            "SIPp {} ({plan:?}): {status}\n{}",
            self.id,
            sipp.output()
        );
    }

    fn scenario(&self, plan: &Plan) -> String {
        let steps = match plan {
            Plan::Expect(200) => self.answered_call(),
            Plan::Change(media, status) => self.changed_call(media, *status),
            Plan::Expect(status) => format!(
                "{}{TRYING}<recv response=\"{status}\"/>{}",
                self.invite(),
                // The acknowledgement of a refusal is part of the INVITE's transaction: three messages back.
                request("ACK", 1, "[branch-3]", "")
            ),
            Plan::Refuse(status) => format!(
                "<recv request=\"INVITE\"/>{}<recv request=\"ACK\"/>",
                send(
                    &format!("SIP/2.0 {status} Refused\n{MIRRORED}\n{NO_BODY}"),
                    true
                )
            ),
            Plan::Answer => {
                let ok = format!(
                    "SIP/2.0 200 OK\n{MIRRORED}\nContact: <sip:sipp@[local_ip]:[local_port]>\n"
                );
                format!(
                    "<recv request=\"INVITE\"/>{}<recv request=\"ACK\"/><recv request=\"BYE\"/>{}",
                    send(&(ok.clone() + &self.body()), true),
                    send(&(ok + NO_BODY), false)
                )
            }
            Plan::Fork(media) => {
                let answer = |status: &str, phone: &str, media: &str| {
                    let mirrored = MIRRORED.replace("SIPp", phone);
                    let head = format!(
                        "SIP/2.0 {status}\n{mirrored}\nContact: <sip:{phone}@[local_ip]:[local_port]>\n"
                    );
                    head + &self.described(media)
                };
                format!(
                    "<recv request=\"INVITE\"/>{}{}<recv request=\"ACK\"/><recv request=\"BYE\"/>{}",
                    send(&answer("183 Session Progress", "first", &self.media), false),
                    send(&answer("200 OK", "second", media), true),
                    send(&format!("SIP/2.0 200 OK\n{MIRRORED}\n{NO_BODY}"), false)
                )
            }
            Plan::Forward(to) => format!(
                "<recv request=\"INVITE\"/>{}<recv request=\"ACK\"/>",
                send(
                    &format!(
                        "SIP/2.0 302 Moved Temporarily\n{MIRRORED}\nContact: <{to}>\n{NO_BODY}"
                    ),
                    true
                )
            ),
        };
        format!(
            "<?xml version=\"1.0\" encoding=\"ISO-8859-1\" ?>\n<scenario name=\"{}\">\n{steps}\n</scenario>\n",
            self.id
        )
    }

    /// A call that is answered, and hung up at once.
    fn answered_call(&self) -> String {
        format!(
            "{}{TRYING}<recv response=\"180\" optional=\"true\"/><recv response=\"200\"/>{}{}<recv response=\"200\"/>",
            self.invite(),
            request("ACK", 1, "[branch]", ""),
            request("BYE", 2, "[branch]", "")
        )
    }

    /// A call that is answered, then a re-INVITE that is refused, and BYE.
    fn changed_call(&self, media: &str, status: u16) -> String {
        format!(
            "{}{TRYING}<recv response=\"180\" optional=\"true\"/><recv response=\"200\"/>{}{}{TRYING}<recv response=\"{status}\"/>{}{}<recv response=\"200\"/>",
            self.invite(),
            request("ACK", 1, "[branch]", ""),
            in_dialog("INVITE", 2, "[branch]", &self.described(media)),
            request("ACK", 2, "[branch-3]", ""),
            request("BYE", 3, "[branch]", "")
        )
    }

    fn invite(&self) -> String {
        request("INVITE", 1, "[branch]", &self.body())
    }

    fn body(&self) -> String {
        self.described(&self.media)
    }

    fn described(&self, media: &str) -> String {
        format!(
            "Content-Type: application/sdp\nContent-Length: [len]\n\nv=0\no=sipp 1 1 IN IP4 [local_ip]\ns=-\n\
             c=IN IP4 [media_ip]\nt=0 0\n{media}\n"
        )
    }
}

/// What a response repeats of its request.
const MIRRORED: &str =
    "[last_Via:]\n[last_From:]\n[last_To:];tag=[pid]SIPp\n[last_Call-ID:]\n[last_CSeq:]";
const NO_BODY: &str = "Content-Length: 0\n\n";
const TRYING: &str = "<recv response=\"100\" optional=\"true\"/>";

fn send(message: &str, again: bool) -> String {
    let retransmission = if again { " retrans=\"500\"" } else { "" };
    format!("<send{retransmission}><![CDATA[\n{message}\n]]></send>\n")
}

/// A call's first INVITE, or another request in its dialog.
fn request(method: &str, sequence: u32, branch: &str, body: &str) -> String {
    let tag = if method == "INVITE" {
        ""
    } else {
        "[peer_tag_param]"
    };
    tagged(method, sequence, branch, tag, body)
}

fn in_dialog(method: &str, sequence: u32, branch: &str, body: &str) -> String {
    tagged(method, sequence, branch, "[peer_tag_param]", body)
}

fn tagged(method: &str, sequence: u32, branch: &str, tag: &str, body: &str) -> String {
    let body = if body.is_empty() { NO_BODY } else { body };
    let text = format!(
        "{method} sip:echo@[remote_ip] SIP/2.0\nVia: SIP/2.0/UDP [local_ip]:[local_port];branch={branch}\n\
         From: <sip:sipp@[local_ip]>;tag=[pid]SIPp\nTo: <sip:echo@[remote_ip]>{tag}\nCall-ID: [call_id]\n\
         CSeq: {sequence} {method}\nContact: <sip:sipp@[local_ip]:[local_port]>\nMax-Forwards: 70\n{body}"
    );
    send(&text, method != "ACK")
}
