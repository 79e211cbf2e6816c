//! Who takes part.

use host_harness::asterisk::{Asterisk, Setup, User};
use host_harness::baresip::{Baresip, Media, Phone};
use host_harness::capture::Capture;
use host_harness::certificates::Authority;
use host_harness::lab::{self, Lab};
use host_harness::names::Names;
use host_harness::pjsip::{self, Encryption, TLS_PORT, UDP};

use crate::needs;

pub const OURS: &str = "127.0.0.10";
pub const CARRIER: &str = "127.0.0.20";
/// A carrier without TLS or SRTP.
pub const PLAIN_CARRIER: &str = "127.0.0.21";
pub const PHONE: &str = "127.0.0.30";
/// What the carrier's certificate is for.
pub const CARRIER_NAME: &str = "carrier.example";
/// Another name of the carrier's address, which its certificate is not for.
pub const OTHER_NAME: &str = "other.example";
/// What the phone says, in hertz.
pub const TONE: f64 = 1004.0;

/// The file of the CDRs, below `log/cdr-custom`.
pub const CDR_FILE: &str = "calls.csv";
/// What is in each: both channels, and what is known of how each leg was encrypted.
const CDR: &str = "${CSV_QUOTE(${CDR(channel)})},${CSV_QUOTE(${CDR(dstchannel)})},${CSV_QUOTE(${CDR(ciphertrunk)})},${CSV_QUOTE(${CDR(ciphertrunk_peer)})}";

/// The file of CEL's events, below `log/cel-custom`.
pub const LEGS_FILE: &str = "legs.csv";
/// What is in each: the channel, and what is known of it.
const LEG: &str = "${CSV_QUOTE(${CHANNEL(channame)})},${CSV_QUOTE(${eventextra})}";

/// Everything that runs.
pub struct World<'lab> {
    pub ours: Asterisk<'lab>,
    pub phone: Baresip,
    /// Running since before anything spoke.
    pub capture: Option<Capture>,
    pub servers: needs::Servers,
    _carriers: [Asterisk<'lab>; 2],
    _names: Names,
}

impl<'lab> World<'lab> {
    /// Starts everything; the phone has registered.
    pub fn start(lab: &'lab Lab) -> Self {
        let mut names = vec![(CARRIER_NAME, CARRIER), (OTHER_NAME, CARRIER)];
        names.extend(needs::CARRIERS.map(|(_, host, address)| (host, address)));
        let names = Names::serve(lab, &names);
        let authority = Authority::new(lab, "authority");
        let servers = needs::Servers::start(lab, &authority);
        let capture = Capture::start(lab, "call");
        let carriers =
            [carrier(&authority), plain_carrier()].map(|setup| Asterisk::start(lab, &setup));
        let ours = Asterisk::start(lab, &ours(lab, &authority));
        let phone = Baresip::start(
            lab,
            &Phone {
                name: "phone".to_owned(),
                address: PHONE.to_owned(),
                server: (format!("{OURS}:{TLS_PORT}"), "tls".to_owned()),
                password: Some("demo".to_owned()),
                media: Media::Sdes,
                tone: TONE,
                authority: Some(authority.file()),
            },
        );
        Self {
            ours,
            phone,
            capture: Some(capture),
            servers,
            _carriers: carriers,
            _names: names,
        }
    }

    /// The phone calls an extension of our Asterisk's.
    pub fn dial(&mut self, extension: &str) {
        self.phone
            .call(&format!("sip:{extension}@{OURS}:{TLS_PORT};transport=tls"));
    }
}

fn ours(lab: &Lab, authority: &Authority<'_>) -> Setup {
    let certificate = authority.issue("ours", "ours.example", OURS);
    Setup::ours("ours", OURS)
        .user(User::Asterisk)
        .also_modules(&[
            "cdr_custom",
            "cel_custom",
            "func_cdr",
            "func_strings",
            "res_cdrel_custom",
        ])
        .file(
            "cel.conf",
            "[general]\nenable = yes\nevents = USER_DEFINED\n",
        )
        .file(
            "cel_custom.conf",
            &format!("[mappings]\n{LEGS_FILE} => {LEG}\n"),
        )
        .file("cdr.conf", "[general]\nenable = yes\n")
        .file(
            "cdr_custom.conf",
            &format!("[mappings]\n{CDR_FILE} => {CDR}\n"),
        )
        .pjsip(UDP)
        .pjsip(&(pjsip::tls(&certificate, &authority.file()) + "verify_server = yes\n"))
        .pjsip(&pjsip::phone("phone", "demo", "tls", Encryption::Sdes))
        .pjsip(&pjsip::tls_trunk("carrier", CARRIER_NAME, Encryption::Sdes))
        .pjsip(&pjsip::tls_trunk("misnamed", OTHER_NAME, Encryption::Sdes))
        .pjsip(&pjsip::trunk("plain", PLAIN_CARRIER, Encryption::Plain))
        .pjsip(&needs::endpoints())
        .dialplan(
            "exten => echo,1,Dial(PJSIP/echo@carrier)\nexten => plain,1,Dial(PJSIP/echo@plain)\n",
        )
        .file(
            "ciphertrunk.conf",
            &format!(
                "[general]\ncdr = yes\ncel = yes\n\n[tls]\nkey_log = {}/ours/log/tls.keys\n{}",
                lab::FOLDER,
                needs::profiles(lab)
            ),
        )
}

fn carrier(authority: &Authority<'_>) -> Setup {
    let certificate = authority.issue("carrier", CARRIER_NAME, CARRIER);
    Setup::stock("carrier", CARRIER)
        .pjsip(&pjsip::tls(&certificate, &authority.file()).replace("tlsv1_2", "tlsv1_3"))
        .pjsip(&pjsip::tls_trunk("customer", OURS, Encryption::Sdes))
        .dialplan(pjsip::ECHO)
}

fn plain_carrier() -> Setup {
    Setup::stock("plain-carrier", PLAIN_CARRIER)
        .pjsip(UDP)
        .pjsip(&pjsip::trunk("customer", OURS, Encryption::Plain))
        .dialplan(pjsip::ECHO)
}
