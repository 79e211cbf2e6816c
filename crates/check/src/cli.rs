//! The program's arguments.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use ciphertrunk_check::{ListenOptions, Options};

/// What `--help` prints.
pub(crate) const HELP: &str = "\
ciphertrunk-check: looks at a SIP peer's DNS, TCP, TLS, certificates and SIP, and says whose fault is what.

  ciphertrunk-check HOST[:PORT] [OPTIONS]
  ciphertrunk-check --listen ADDRESS:PORT --cert FILE [OPTIONS]
  ciphertrunk-check decrypt CAPTURE KEYS FOLDER

The second waits for a phone and says what it did. The third writes the audio of a captured call into a new folder, by the keys that
`ciphertrunk keylog` wrote.

  --ca FILE        the CAs to trust (PEM); without it those of the system. A phone is asked for a certificate of theirs
  --cert FILE      our certificate with its chain (PEM), for a peer that asks for one, or for the phone
  --key FILE       its key; without it the key is looked for in the certificate's file
  --name NAME      the name that its certificate must have, and that is sent as SNI; without it HOST
  --from URI       our From, for a peer that knows its callers by it (sip:user@host)
  --call NUMBER    calls it, once for each SRTP suite and once in clear; each call is taken back at once
  --timeout S      seconds for each wait (5; for a phone 60)
  --dns ADDRESS    the name server to ask; without it those of /etc/resolv.conf
  --transport tls  the only one there is
  --json           one JSON object instead of text
  --version        its version

Exit status: 0 sound, 1 a fault of the other side or of either, 2 faults on our side alone, 3 wrong arguments, 4 not judged.
";

/// What is to be done.
pub(crate) enum Task {
    Check(Box<Options>),
    Listen(ListenOptions),
    Decrypt {
        capture: PathBuf,
        keys: PathBuf,
        folder: PathBuf,
    },
}

pub(crate) struct Arguments {
    pub(crate) task: Task,
    pub(crate) json: bool,
}

/// The limit of a wait for a phone.
const PHONE: Duration = Duration::from_secs(60);

/// What the arguments ask for.
pub(crate) enum Asked {
    Work(Arguments),
    Help,
    Version,
}

pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Asked, String> {
    use lexopt::prelude::*;
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if let [command, files @ ..] = &arguments[..]
        && command == "decrypt"
    {
        let [capture, keys, folder] = files else {
            return Err("decrypt wants CAPTURE KEYS FOLDER".to_owned());
        };
        let task = Task::Decrypt {
            capture: capture.into(),
            keys: keys.into(),
            folder: folder.into(),
        };
        return Ok(Asked::Work(Arguments { task, json: false }));
    }
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut target = None;
    let mut options = Options::new("localhost").ok_or("no target")?;
    let mut json = false;
    let mut at = None;
    let mut limit = None;
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        let name = match argument {
            Long(name) => name.to_owned(),
            Short('h') => "help".to_owned(),
            Short('V') => "version".to_owned(),
            Value(given) if target.is_none() => {
                target = Some(words(given)?);
                continue;
            }
            other => return Err(other.unexpected().to_string()),
        };
        let mut value = || parser.value().map_err(|error| error.to_string());
        match name.as_str() {
            "help" => return Ok(Asked::Help),
            "version" => return Ok(Asked::Version),
            "ca" => options.tls.ca_list_file = Some(value()?.into()),
            "cert" => options.tls.cert_file = Some(value()?.into()),
            "key" => options.tls.priv_key_file = Some(value()?.into()),
            "name" => options.name = Some(words(value()?)?),
            "from" => options.from = Some(uri(words(value()?)?)?),
            "call" => options.call = Some(number(words(value()?)?)?),
            "timeout" => limit = Some(seconds(&words(value()?)?)?),
            "listen" => {
                let given = words(value()?)?;
                at = Some(
                    given
                        .parse()
                        .map_err(|_| format!("--listen {given} is no ADDRESS:PORT"))?,
                );
            }
            "dns" => {
                let given = words(value()?)?;
                let address = given
                    .parse()
                    .or_else(|_| given.parse().map(|ip: std::net::IpAddr| (ip, 53).into()));
                options.dns = Some(address.map_err(|_| format!("--dns {given} is no address"))?);
            }
            "transport" => {
                let given = words(value()?)?;
                if given != "tls" {
                    return Err(format!("--transport {given}: there is only tls"));
                }
            }
            "json" => json = true,
            other => return Err(format!("--{other} is not an option")),
        }
    }
    if options.tls.priv_key_file.is_some() && options.tls.cert_file.is_none() {
        return Err("--key without --cert".to_owned());
    }
    let task = match (at, target) {
        (Some(_), Some(_)) => return Err("either HOST or --listen".to_owned()),
        (Some(address), None) => Task::Listen(ListenOptions {
            address,
            cert: options.tls.cert_file.ok_or("--listen wants --cert")?,
            key: options.tls.priv_key_file,
            ca: options.tls.ca_list_file,
            timeout: limit.unwrap_or(PHONE),
        }),
        (None, None) => return Err("HOST is missing".to_owned()),
        (None, Some(target)) => {
            let place =
                Options::new(&target).ok_or_else(|| format!("{target} is no HOST[:PORT]"))?;
            Task::Check(Box::new(Options {
                host: place.host,
                port: place.port,
                timeout: limit.unwrap_or(Options::TIMEOUT),
                ..options
            }))
        }
    };
    Ok(Asked::Work(Arguments { task, json }))
}

fn words(value: OsString) -> Result<String, String> {
    value
        .into_string()
        .map_err(|value| format!("{} is not UTF-8", value.to_string_lossy()))
}

fn uri(text: String) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"<>\"".contains(&byte);
    if (text.starts_with("sip:") || text.starts_with("sips:")) && text.bytes().all(plain) {
        return Ok(text);
    }
    Err(format!("{text} is no SIP URI: sip:user@host"))
}

fn number(text: String) -> Result<String, String> {
    let is_uri = text.starts_with("sip:") || text.starts_with("sips:");
    if is_uri {
        return uri(text);
    }
    if !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+*#-._".contains(&byte))
    {
        return Ok(text);
    }
    Err(format!("{text} is neither a number nor a SIP URI"))
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=600.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(format!(
            "--timeout {text} is no number of seconds between 0.1 and 600"
        )),
    }
}
