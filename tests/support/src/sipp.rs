//! SIPp: offers, answers and RTP that no real phone would send.

use std::time::Duration;

use crate::audio;
use crate::lab::{self, Lab};
use crate::process::Process;

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
    /// It calls this extension, plays the RTP packets of a file in the lab's folder, and hangs up after some milliseconds.
    Play(String, String, u32),
    /// It answers a call with its SDP and expects to be hung up on.
    Answer,
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
            "20",
            "-timeout_error",
            "-trace_err",
            "-error_file",
            "/dev/stdout",
        ];
        if !matches!(plan, Plan::Answer) {
            args.push(&target);
        }
        lab.spawn(&self.id, "sipp", &args)
    }

    /// Starts SIPp and waits until it ends; it must have gone as planned.
    pub fn run(&self, lab: &Lab, plan: &Plan) {
        let mut sipp = self.start(lab, plan);
        let status = sipp.wait(Duration::from_secs(30));
        assert!(
            status.success(),
            "SIPp {} ({plan:?}): {status}\n{}",
            self.id,
            sipp.output()
        );
    }

    fn scenario(&self, plan: &Plan) -> String {
        let steps = match plan {
            Plan::Expect(200) => self.answered_call("echo", ""),
            Plan::Expect(status) => format!(
                "{}{TRYING}<recv response=\"{status}\"/>{}",
                self.invite("echo"),
                // The acknowledgement of a refusal is part of the INVITE's transaction: three messages back.
                self.request("ACK", "echo", 1, "[branch-3]", "")
            ),
            Plan::Play(extension, file, milliseconds) => {
                let play = format!("<exec play_pcap_audio=\"{}/{file}\"/>", lab::FOLDER);
                self.answered_call(
                    extension,
                    &format!(
                        "<nop><action>{play}</action></nop><pause milliseconds=\"{milliseconds}\"/>"
                    ),
                )
            }
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
        };
        format!(
            "<?xml version=\"1.0\" encoding=\"ISO-8859-1\" ?>\n<scenario name=\"{}\">\n{steps}\n</scenario>\n",
            self.id
        )
    }

    /// A call that is answered; `meanwhile` happens before it hangs up.
    fn answered_call(&self, extension: &str, meanwhile: &str) -> String {
        format!(
            "{}{TRYING}<recv response=\"180\" optional=\"true\"/><recv response=\"200\"/>{}{meanwhile}{}<recv response=\"200\"/>",
            self.invite(extension),
            self.request("ACK", extension, 1, "[branch]", ""),
            self.request("BYE", extension, 2, "[branch]", "")
        )
    }

    fn invite(&self, extension: &str) -> String {
        self.request("INVITE", extension, 1, "[branch]", &self.body())
    }

    fn request(
        &self,
        method: &str,
        extension: &str,
        sequence: u32,
        branch: &str,
        body: &str,
    ) -> String {
        let tag = if method == "INVITE" {
            ""
        } else {
            "[peer_tag_param]"
        };
        let body = if body.is_empty() { NO_BODY } else { body };
        let text = format!(
            "{method} sip:{extension}@[remote_ip] SIP/2.0\nVia: SIP/2.0/UDP [local_ip]:[local_port];branch={branch}\n\
             From: <sip:sipp@[local_ip]>;tag=[pid]SIPp\nTo: <sip:{extension}@[remote_ip]>{tag}\nCall-ID: [call_id]\n\
             CSeq: {sequence} {method}\nContact: <sip:sipp@[local_ip]:[local_port]>\nMax-Forwards: 70\n{body}"
        );
        send(&text, method != "ACK")
    }

    fn body(&self) -> String {
        format!(
            "Content-Type: application/sdp\nContent-Length: [len]\n\nv=0\no=sipp 1 1 IN IP4 [local_ip]\ns=-\n\
             c=IN IP4 [media_ip]\nt=0 0\n{}\n",
            self.media
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

/// A capture of RTP packets for [`Plan::Play`]: PCMU, 20 ms each, with these sequence numbers, saying `frequency`.
///
/// A number that stands there twice in a row is one packet, duplicated on the way; anywhere else, each is another 20 ms
/// of the tone.
pub fn rtp_file(sequence: &[u16], frequency: f64) -> Vec<u8> {
    let mut file = Vec::new();
    // The classic format: version 2.4, LINKTYPE_ETHERNET.
    for word in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65535, 1] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    let mut time = 0u32;
    let mut previous: Option<(u16, Vec<u8>)> = None;
    for number in sequence {
        // The same number at once again is a duplicate on the way: the same packet.
        let packet = match previous.take().filter(|(last, _)| last == number) {
            Some((_, packet)) => packet,
            None => {
                time += 1;
                rtp(*number, time, frequency)
            }
        };
        #[expect(clippy::cast_possible_truncation, reason = "a packet is short")]
        let length = packet.len() as u32;
        for word in [time / 50, time % 50 * 20_000, length, length] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(&packet);
        previous = Some((*number, packet));
    }
    file
}

/// An Ethernet frame with IPv4, UDP and RTP; SIPp puts its own addresses in.
fn rtp(sequence: u16, time: u32, frequency: f64) -> Vec<u8> {
    let payload = (0..160u32).map(|n| {
        let at = f64::from(time * 160 + n) / 8000.0;
        audio::to_ulaw(0.3 * (std::f64::consts::TAU * frequency * at).sin())
    });
    let mut frame = vec![0; 12];
    frame.extend_from_slice(&[0x08, 0x00]);
    frame.extend_from_slice(&[
        0x45, 0, 0, 200, 0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1,
    ]);
    frame.extend_from_slice(&[0x40, 0, 0x40, 0, 0, 180, 0, 0]);
    frame.extend_from_slice(&[0x80, 0]);
    frame.extend_from_slice(&sequence.to_be_bytes());
    frame.extend_from_slice(&(time * 160).to_be_bytes());
    frame.extend_from_slice(&[0, 0, 0, 77]);
    frame.extend(payload);
    frame
}
