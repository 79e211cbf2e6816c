//! baresip: a phone with its own SIP, TLS and SRTP (libre).

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::PathBuf;

use crate::lab::{self, Lab};
use crate::process::Process;
use crate::wait::{self, tail};
use crate::wav::{self, Recording};

/// For how many seconds a phone has something to say: longer than any wait.
const SAID: u32 = 300;

/// baresip's `mediaenc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// Plain RTP.
    Plain,
    /// SDES, and a call without it is not made.
    Sdes,
    /// DTLS-SRTP.
    Dtls,
}

/// How a phone is to be.
#[derive(Debug, Clone)]
pub struct Phone {
    /// Its name, account and folder.
    pub name: String,
    /// Its address on the lab's network.
    pub address: String,
    /// The Asterisk that it registers with, and the SIP transport to it: `127.0.0.10:5061`, `tls`.
    pub server: (String, String),
    /// Its password; `None`: it does not register.
    pub password: Option<String>,
    /// See [`Media`].
    pub media: Media,
    /// The frequency that it says all the time.
    pub tone: f64,
    /// The authority that its server's certificate must come from (TLS).
    pub authority: Option<String>,
}

/// A running phone. It answers every call.
#[derive(Debug)]
pub struct Baresip {
    process: Process,
    control: TcpStream,
    folder: PathBuf,
    /// How many recordings there were before the last call that it made.
    earlier: usize,
}

impl Baresip {
    /// Starts a phone and waits until it has registered, if it is to.
    pub fn start(lab: &Lab, phone: &Phone) -> Self {
        let name = &phone.name;
        let inside = format!("{}/{name}", lab::FOLDER);
        let (server, transport) = &phone.server;
        lab.write(
            &format!("{name}/say.wav"),
            wav::tone(8000, phone.tone, 0.3, SAID),
        );
        lab.write(&format!("{name}/rec/.made"), "");
        let media = match phone.media {
            Media::Plain => "",
            Media::Sdes => ";mediaenc=srtp-mand",
            Media::Dtls => ";mediaenc=dtls_srtp",
        };
        let login = match &phone.password {
            Some(password) => format!(";auth_pass={password};regint=600"),
            None => ";regint=0".to_owned(),
        };
        lab.write(
            &format!("{name}/accounts"),
            format!("<sip:{name}@{server};transport={transport}>;answermode=auto;audio_codecs=PCMU/8000{media}{login}\n"),
        );
        let verify = phone.authority.as_ref().map_or_else(String::new, |ca| {
            format!("sip_cafile {ca}\nsip_verify_server yes\n")
        });
        lab.write(
            &format!("{name}/config"),
            format!(
                "module_path /usr/lib/baresip/modules\n\
                 module g711.so\nmodule aufile.so\nmodule sndfile.so\nmodule srtp.so\nmodule dtls_srtp.so\n\
                 module_tmp account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n\
                 ctrl_tcp_listen {address}:4444\n\
                 sip_listen {address}:0\nnet_interface {address}\n{verify}\
                 rtp_ports 30000-30999\n\
                 audio_source aufile,{inside}/say.wav\naudio_player aufile,{inside}/rec/speaker.wav\n\
                 snd_path {inside}/rec\n",
                address = phone.address
            ),
        );
        let process = lab.spawn(name, "baresip", &["-4", "-f", &inside]);
        let control = wait::until(
            &format!("the control connection of the phone {name}"),
            wait::SOON,
            || lab.tcp(&format!("{}:4444", phone.address)).ok(),
            || process.output(),
        );
        let phone_is = Self {
            process,
            control,
            folder: lab.folder().join(name),
            earlier: 0,
        };
        if phone.password.is_some() {
            phone_is.process.wait_for("[1 binding]", wait::SOON);
        }
        phone_is
    }

    /// Gives it a command of its menu.
    pub fn command(&mut self, command: &str, parameters: &str) {
        let json = format!("{{\"command\":\"{command}\",\"params\":\"{parameters}\"}}");
        write!(self.control, "{}:{json},", json.len()).expect("baresip listens");
    }

    /// Calls.
    pub fn dial(&mut self, uri: &str) {
        self.earlier = self.recordings().len();
        self.command("dial", uri);
    }

    /// Calls, and waits until the call is up.
    pub fn call(&mut self, uri: &str) {
        let established = |phone: &Self| phone.output().matches("Call established").count();
        let before = established(self);
        self.dial(uri);
        wait::until(
            &format!("an answer to the call of {uri}"),
            wait::SOON,
            || (established(self) > before).then_some(()),
            || tail(&self.output(), 40),
        );
    }

    /// Hangs up.
    pub fn hang_up(&mut self) {
        self.command("hangup", "");
    }

    /// What it printed.
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// Waits until it has printed `text`.
    pub fn wait_for(&self, text: &str) {
        self.process.wait_for(text, wait::SOON);
    }

    /// What it has heard so far in its last call: the recording of what was decoded.
    pub fn heard(&self) -> Option<Recording> {
        wav::read(self.recordings().get(self.earlier..)?.last()?)
    }

    /// The recordings of what it heard, oldest first.
    fn recordings(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = fs::read_dir(self.folder.join("rec"))
            .expect("the folder was made")
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.to_string_lossy().ends_with("-dec.wav"))
            .collect();
        files.sort();
        files
    }

    /// Waits until it has heard `tenths` tenths of a second of a tone.
    pub fn wait_for_tone(&self, frequency: f64, tenths: usize) -> crate::audio::Tone {
        wait::until(
            &format!("{frequency} Hz in what the phone heard"),
            wait::SOON,
            || {
                self.heard()
                    .map(|heard| crate::audio::find_tone(&heard, frequency))
                    .filter(|tone| tone.tenths >= tenths)
            },
            || tail(&self.output(), 40),
        )
    }
}
