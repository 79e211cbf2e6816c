//! Certificates, made by openssl for one test.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::lab::{self, Lab};

/// How long a certificate is good: none is near its end, of which Ciphertrunk would speak.
const DAYS: &str = "60";

/// A private certification authority in the lab's folder `tls`.
#[derive(Debug)]
pub struct Authority<'lab> {
    lab: &'lab Lab,
    name: String,
}

/// The files of a certificate, as programs in the lab see them.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

fn file(name: &str, ending: &str) -> String {
    format!("{}/tls/{name}.{ending}", lab::FOLDER)
}

impl<'lab> Authority<'lab> {
    /// A new authority, P-256.
    pub fn new(lab: &'lab Lab, name: &str) -> Self {
        lab.write("tls/.made", "");
        lab.must_run(
            "openssl",
            &[
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                DAYS,
                "-subj",
                &format!("/CN={name}"),
                "-addext",
                "basicConstraints=critical,CA:TRUE",
                "-keyout",
                &file(name, "key"),
                "-out",
                &file(name, "pem"),
            ],
        );
        Self {
            lab,
            name: name.to_owned(),
        }
    }

    /// One that was made before.
    pub fn known(lab: &'lab Lab, name: &str) -> Self {
        Self {
            lab,
            name: name.to_owned(),
        }
    }

    /// Its own certificate.
    pub fn file(&self) -> String {
        file(&self.name, "pem")
    }

    /// A certificate for a server called `host` at `address`.
    pub fn issue(&self, name: &str, host: &str, address: &str) -> Certificate {
        let names = format!("subjectAltName=DNS:{host},IP:{address}");
        let days = ["-days", DAYS, "-addext", &names];
        self.make(name, &format!("/CN={host}"), &days)
    }

    /// A certificate for a server called `host`, which expires so many seconds from now, or did before now.
    pub fn issue_until(&self, name: &str, host: &str, seconds: i64) -> Certificate {
        const DAY: i64 = 86_400;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.expect("a clock").as_secs().cast_signed();
        let date = |time: i64| {
            let time = format!("@{time}");
            let date = self
                .lab
                .must_run("date", &["-u", "-d", &time, "+%Y%m%d%H%M%SZ"]);
            date.trim().to_owned()
        };
        let (from, until) = (date(now + seconds.min(0) - DAY), date(now + seconds));
        let names = format!("subjectAltName=DNS:{host}");
        let options = [
            "-not_before",
            &from,
            "-not_after",
            &until,
            "-addext",
            &names,
        ];
        self.make(name, &format!("/CN={host}"), &options)
    }

    /// A certificate with this subject and whatever `options` of `openssl req` say. Its key is P-256 if `-newkey` is not among them.
    pub fn make(&self, name: &str, subject: &str, options: &[&str]) -> Certificate {
        let made = Certificate {
            certificate: file(name, "pem"),
            key: file(name, "key"),
        };
        let (authority, key) = (file(&self.name, "pem"), file(&self.name, "key"));
        let mut args = vec![
            "req", "-x509", "-CA", &authority, "-CAkey", &key, "-subj", subject,
        ];
        if !options.contains(&"-newkey") {
            args.extend(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        }
        args.extend(["-nodes", "-keyout", &made.key, "-out", &made.certificate]);
        args.extend(options);
        // Version 1 has no extensions.
        if !options.contains(&"-x509v1") {
            args.extend(["-addext", "basicConstraints=critical,CA:FALSE"]);
        }
        self.lab.must_run("openssl", &args);
        // Asterisk may run as another user.
        self.lab.must_run("chmod", &["0644", &made.key]);
        made
    }
}
