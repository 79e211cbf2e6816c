//! The other direction: waits for a phone, and says what it did.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslContext, SslFiletype, SslMethod, SslVerifyMode, SslVersion};
use openssl::x509::X509;
use sip_tls::{CertInfo, Code as Why, Profile, ProfileConfig, Reason};

use crate::code::Code;
use crate::hello::{self, version_name};
use crate::lines::{Lines, shown};
use crate::report::{Finding, Report, Stage, Step};
use crate::sip::{Answers, Heard, Message, judge_offer, response};
use crate::tls::{Sock, Traced, Up, failed, of_octets};

/// Where and how a phone is waited for.
#[derive(Debug, Clone)]
pub struct ListenOptions {
    /// The address to listen at.
    pub address: SocketAddr,
    /// Our certificate, with its chain (PEM).
    pub cert: PathBuf,
    /// Its key (PEM); without it the key is looked for in `cert`.
    pub key: Option<PathBuf>,
    /// The CAs that a client certificate may come from; without it none is asked for.
    pub ca: Option<PathBuf>,
    /// For how long a phone, and then each of its steps, is waited for.
    pub timeout: Duration,
}

/// Between two looks whether a phone has come.
const LOOK: Duration = Duration::from_millis(20);

/// Waits for one phone, and stays with it until it calls, leaves, or says nothing for `timeout`. `ready` gets the address as soon as a
/// phone may connect to it. Connections that say nothing, as health checks make them, are passed over.
pub fn listen(options: &ListenOptions, ready: &mut dyn FnMut(SocketAddr)) -> Report {
    openssl::init();
    let mut report = Report {
        target: options.address.to_string(),
        name: String::new(),
        steps: Vec::new(),
        lines: Lines::default(),
        not_judged: false,
    };
    let mut own = Step::new(Stage::Own);
    let context = match own_context(options, &mut own) {
        Ok(context) => context,
        Err(why) => {
            own.add(Finding::new(Code::OwnFiles, why));
            report.steps.push(own);
            return report;
        }
    };
    let listener = TcpListener::bind(options.address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        report.target = address.to_string();
        ready(address);
        Ok(listener)
    });
    match listener {
        Ok(listener) => {
            report.steps.push(own);
            wait(&listener, options, &context, &mut report);
        }
        Err(error) => {
            own.add(Finding::new(
                Code::OwnFiles,
                format!("{} cannot be listened at: {error}", options.address),
            ));
            report.steps.push(own);
        }
    }
    report
}

/// Judged by `Profile`, as the module does, and made anew to be looked into.
fn own_context(options: &ListenOptions, step: &mut Step) -> Result<SslContext, String> {
    let config = ProfileConfig {
        cert_file: Some(options.cert.clone()),
        priv_key_file: options.key.clone(),
        ca_list_file: options.ca.clone(),
        ..ProfileConfig::default()
    };
    let (profile, warnings) = Profile::load(&config).map_err(|error| error.to_string())?;
    if let Some(own) = profile.own_certificate() {
        step.fact(format!(
            "our certificate: {}, issuer {}",
            own.names().join(", "),
            own.issuer.info
        ));
    }
    for warning in warnings {
        step.add(Finding::new(Code::OwnFilesDoubt, warning.to_string()));
    }
    let make = || -> Result<SslContext, ErrorStack> {
        let mut context = SslContext::builder(SslMethod::tls_server())?;
        if context.min_proto_version() != Some(SslVersion::TLS1_3) {
            context.set_min_proto_version(Some(SslVersion::TLS1_2))?;
        }
        context.set_certificate_chain_file(&options.cert)?;
        context.set_private_key_file(
            options.key.as_ref().unwrap_or(&options.cert),
            SslFiletype::PEM,
        )?;
        if let Some(ca) = &options.ca {
            for certificate in X509::stack_from_pem(&std::fs::read(ca).unwrap_or_default())? {
                context.cert_store_mut().add_cert(certificate)?;
            }
        }
        context.set_session_id_context(b"ciphertrunk-check")?;
        Ok(context.build())
    };
    make().map_err(|error| error.to_string())
}

fn wait(
    listener: &TcpListener,
    options: &ListenOptions,
    context: &SslContext,
    report: &mut Report,
) {
    let mut tcp_step = Step::new(Stage::Tcp);
    let end = Instant::now() + options.timeout;
    while Instant::now() < end {
        match listener.accept() {
            Ok((tcp, remote)) => {
                tcp_step.fact(format!("{remote} connected"));
                match phone(tcp, options, context) {
                    Some(mut steps) => {
                        steps.push(tcp_step);
                        report.steps.extend(steps);
                        report.steps.sort_by_key(|step| step.stage);
                        report.lines = lines(options, report, remote.ip());
                        return;
                    }
                    None => tcp_step.fact(format!(
                        "{remote} left without a word, as a health check does"
                    )),
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(LOOK),
            Err(error) => tcp_step.fact(format!("accept: {error}")),
        }
    }
    tcp_step.not_tried = Some(format!(
        "no phone came in {} s",
        options.timeout.as_secs_f32()
    ));
    report.steps.push(tcp_step);
    report.not_judged = true;
}

/// One connection; `None` if it said nothing.
fn phone(tcp: TcpStream, options: &ListenOptions, context: &SslContext) -> Option<Vec<Step>> {
    let mut step = Step::new(Stage::Tls);
    let mut client = Step::new(Stage::ClientCertificate);
    // An accepted socket may have inherited it.
    tcp.set_nonblocking(false).ok()?;
    let mode = if options.ca.is_some() {
        SslVerifyMode::PEER
    } else {
        SslVerifyMode::NONE
    };
    let ssl = Ssl::new(context).ok()?;
    let mut link = Traced::new(ssl, Sock::new(tcp, options.timeout), mode).ok()?;
    let result = link.fresh().accept();
    let first = link.sock().first().to_vec();
    let hello = hello::read(&first);
    if let Some(hello) = &hello {
        step.fact(format!(
            "it speaks {}; {} ciphers",
            hello.versions(),
            hello.ciphers
        ));
        match &hello.name {
            Some(name) => step.add(Finding::new(Code::PhoneServerName, name.clone())),
            None => step.fact("it asks for no server name (SNI)"),
        }
    }
    let not_tried = |stage, why: &str| Step::not_tried(stage, why);
    if let Err(error) = result {
        let reason = failed(&link, &error, true);
        if reason.code == Why::NothingSent {
            return None;
        }
        let old = hello
            .as_ref()
            .map(|hello| hello.newest())
            .filter(|newest| *newest < 0x0303);
        step.add(match old {
            Some(newest) => Finding::new(Code::PhoneOldTls, version_name(newest)),
            None if reason.code == Why::NotTls => {
                of_octets(&first).unwrap_or_else(|| reason.into())
            }
            None => reason.into(),
        });
        return Some(vec![
            step,
            not_tried(
                Stage::ClientCertificate,
                "the handshake did not come to its end",
            ),
            not_tried(Stage::Sip, "the handshake did not come to its end"),
        ]);
    }
    let cipher = link
        .ssl()
        .current_cipher()
        .map_or("", |cipher| cipher.name());
    step.fact(format!("{}, {cipher}", link.ssl().version_str()));
    certificate(&mut client, &link, options.ca.is_some());
    let mut answers = Answers::new(Up::of_client(link, context.clone()), options.timeout);
    let sip = requests(&mut answers, options.timeout, &mut step);
    Some(vec![step, client, sip])
}

fn certificate(step: &mut Step, link: &Traced, wanted: bool) {
    if !wanted {
        step.not_tried = Some("no --ca was given: none was asked for".to_owned());
        return;
    }
    match link
        .ssl()
        .peer_certificate()
        .and_then(|certificate| CertInfo::of(&certificate).ok())
    {
        Some(info) => {
            step.fact(format!(
                "{}, issuer {}",
                info.names().join(", "),
                info.issuer.info
            ));
            if let Some(fault) = link.trace().faults().first() {
                step.add(Finding::from(Reason::from(*fault)));
            }
        }
        None => step.fact("it has none"),
    }
}

/// Its requests, until it calls or leaves.
fn requests(answers: &mut Answers, timeout: Duration, tls: &mut Step) -> Step {
    let mut step = Step::new(Stage::Sip);
    let mut any = false;
    loop {
        match answers.next(timeout) {
            Heard::Message(message) => {
                let Some(method) = message.method().map(str::to_owned) else {
                    continue;
                };
                any = true;
                step.fact(format!(
                    "{}; From {}",
                    message.start_line(),
                    message.header("From").unwrap_or_default()
                ));
                if method == "INVITE" {
                    judge_offer(&mut step, message.body());
                    let _ = answers.send(response(&message, "603 Decline", "").as_bytes());
                    // Its ACK, so that it is not left with a call.
                    let _ = answers.next(timeout.min(Duration::from_secs(2)));
                    return step;
                }
                if let Some(text) = answer(&message, &method)
                    && answers.send(text.as_bytes()).is_err()
                {
                    return step;
                }
            }
            Heard::Malformed(kind, message) => {
                any = true;
                step.add(Finding::new(
                    Code::AnswerMalformed,
                    format!("{kind} ({})", message.start_line()),
                ));
            }
            Heard::Pong => {}
            Heard::Silence if any => return step,
            Heard::Silence => {
                step.add(Finding::new(
                    Code::PhoneSilent,
                    format!("waited {} s", timeout.as_secs_f32()),
                ));
                return step;
            }
            Heard::End(reason) if any => {
                step.fact(format!("it left: {reason}"));
                return step;
            }
            Heard::End(reason) => {
                // In TLS 1.3 a client refuses our certificate when the handshake is done for us.
                if reason.alert.is_some() && !matches!(reason.code, Why::PeerClosed) {
                    tls.add(reason.into());
                    step.not_tried = Some("the phone ended the connection".to_owned());
                } else if matches!(reason.code, Why::NotSip) {
                    step.add(Finding::new(Code::AnswerNotSip, ""));
                } else {
                    step.add(Finding::new(Code::PhoneSilent, reason.to_string()));
                }
                return step;
            }
        }
    }
}

fn answer(request: &Message, method: &str) -> Option<String> {
    Some(match method {
        "ACK" => return None,
        "REGISTER" => {
            let contact: String = request
                .headers("Contact")
                .iter()
                .map(|contact| format!("Contact: {contact}\r\n"))
                .collect();
            response(request, "200 OK", &format!("{contact}Expires: 60\r\n"))
        }
        "SUBSCRIBE" => response(request, "489 Bad Event", ""),
        "OPTIONS" | "PUBLISH" | "MESSAGE" | "INFO" | "NOTIFY" | "BYE" | "CANCEL" => {
            response(request, "200 OK", "")
        }
        _ => response(request, "501 Not Implemented", ""),
    })
}

/// The transport that the phone would have needed, and its profile where the others on it should not get the same.
fn lines(options: &ListenOptions, report: &Report, phone: IpAddr) -> Lines {
    let mut pjsip: Vec<String> = ["[transport-tls]", "type = transport", "protocol = tls"]
        .map(str::to_owned)
        .to_vec();
    pjsip.push(format!("bind = {}", options.address));
    pjsip.push(format!("cert_file = {}", shown(&options.cert)));
    pjsip.push(format!(
        "priv_key_file = {}",
        shown(options.key.as_ref().unwrap_or(&options.cert))
    ));
    if let Some(ca) = &options.ca {
        pjsip.push(format!("ca_list_file = {}", shown(ca)));
        pjsip.push("verify_client = yes".to_owned());
    }
    pjsip.push("method = tlsv1_2".to_owned());
    let mut profile = Vec::new();
    let old = report
        .findings()
        .find(|(_, finding)| finding.code == Code::PhoneOldTls);
    if let Some((_, finding)) = old {
        let is_first = finding.detail != "TLS 1.1";
        profile = [
            "[old-phones]",
            "type = tls",
            "; such phones alone",
            &format!("match = {}", phone.to_canonical()),
            &format!(
                "min_version = {}",
                if is_first { "tls1.0" } else { "tls1.1" }
            ),
        ]
        .map(str::to_owned)
        .to_vec();
    }
    let media = if report.has(Code::PhoneOfferDtls) {
        "dtls"
    } else {
        "sdes"
    };
    pjsip.extend([
        String::new(),
        "; on the phone's endpoint:".to_owned(),
        format!("media_encryption = {media}"),
    ]);
    Lines {
        pjsip,
        ciphertrunk: Vec::new(),
        profile,
    }
}
