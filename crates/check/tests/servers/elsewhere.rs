//! Go's crypto/tls and Kamailio, where this machine has them: `make test` does not install them, for Kamailio's package starts a
//! server.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::case::{PATIENCE, run};
use crate::others::{HERE, Running};
use crate::pki::{Cert, Pki, Spec};

/// A program of this machine's; without it the test is skipped, which is noted where the host tests note it.
fn optional(name: &str, test: &str) -> Option<PathBuf> {
    let path = ["/usr/bin", "/usr/sbin", "/usr/local/bin"]
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.exists());
    if path.is_none() {
        let line = format!("{test}: this machine has no {name}");
        println!("skipped: {line}");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../build/host");
        let mut file = std::fs::create_dir_all(&folder)
            .and_then(|()| {
                let mut file = std::fs::OpenOptions::new();
                file.create(true).append(true).open(folder.join("skipped"))
            })
            .expect("a file");
        writeln!(file, "{line}").expect("a file");
    }
    path
}

#[test]
fn go() {
    let Some(go) = optional("go", "ciphertrunk-check/elsewhere/go") else {
        return;
    };
    let pki = Pki::new();
    let program = pki.dir.path().join("go_sip");
    let built = Command::new(go)
        .args(["build", "-o"])
        .arg(&program)
        .arg(format!("{HERE}/go_sip.go"))
        .env("GO111MODULE", "off")
        .output()
        .expect("go runs");
    assert!(built.status.success(), "{built:?}");
    let leaf = pki.leaf(&Spec::default());
    let files = pki.files("server", &[&leaf]);
    let expired = pki.files(
        "expired",
        &[&pki.leaf(&Spec {
            to_days: -1,
            ..Spec::default()
        })],
    );
    let below = pki.files(
        "below",
        &[&Cert::make(&Spec::default(), Some(&pki.intermediate))],
    );
    let ours = pki.files("ours", &[&leaf]);
    let mut running = Running::new(&pki);
    let start = |(cert, key): &(PathBuf, PathBuf), cas: Option<&Path>| {
        let (program, cert, key) = (program.clone(), cert.clone(), key.clone());
        let cas = cas.map(Path::to_owned);
        move |port: u16| {
            let mut command = Command::new(program);
            command.arg(port.to_string()).arg(cert).arg(key).args(cas);
            command
        }
    };
    running.add("Go", start(&files, None), PATIENCE, &[], &[]);
    running.add(
        "Go: expired",
        start(&expired, None),
        PATIENCE,
        &["cert-expired"],
        &[],
    );
    running.add(
        "Go: the intermediate is missing",
        start(&below, None),
        PATIENCE,
        &["chain-incomplete"],
        &[],
    );
    let cas = Some(pki.ca.as_path());
    running.add(
        "Go: a client certificate is demanded",
        start(&files, cas),
        PATIENCE,
        &["client-certificate-demanded"],
        &[],
    );
    running.add(
        "Go: a client certificate is demanded and given",
        start(&files, cas),
        PATIENCE,
        &[],
        &[],
    );
    let options = &mut running.cases.last_mut().expect("it was added").options;
    (options.tls.cert_file, options.tls.priv_key_file) = (Some(ours.0), Some(ours.1));
    run("Go", running.cases);
}

#[test]
fn kamailio() {
    let Some(kamailio) = optional("kamailio", "ciphertrunk-check/elsewhere/kamailio") else {
        return;
    };
    let pki = Pki::new();
    let files = pki.files("server", &[&pki.leaf(&Spec::default())]);
    let expired = pki.files(
        "expired",
        &[&pki.leaf(&Spec {
            to_days: -1,
            ..Spec::default()
        })],
    );
    let mut running = Running::new(&pki);
    let start = |(cert, key): &(PathBuf, PathBuf), more: String, route: &'static str| {
        let (kamailio, folder) = (kamailio.clone(), pki.dir.path().to_owned());
        let tls = format!(
            "[server:default]\nmethod = TLSv1.2+\ncertificate = {}\nprivate_key = {}\n{more}",
            cert.display(),
            key.display()
        );
        move |port: u16| {
            let folder = folder.join(format!("kamailio-{port}"));
            std::fs::create_dir_all(&folder).expect("a folder");
            let write = |name: &str, text: String| {
                let path = folder.join(name);
                std::fs::write(&path, text).expect("a file");
                path
            };
            let tls = write("tls.cfg", tls);
            let config = write(
                "kamailio.cfg",
                format!(
                    "children=1\ntcp_children=1\nlog_stderror=yes\nenable_tls=yes\nauto_aliases=no\nlisten=tls:127.0.0.1:{port}\n\
                     loadmodule \"sl.so\"\nloadmodule \"pv.so\"\nloadmodule \"tls.so\"\nmodparam(\"tls\", \"config\", \"{}\")\n\
                     request_route {{\n{route}\n}}\n",
                    tls.display()
                ),
            );
            let mut command = Command::new(kamailio);
            command.args(["-DD", "-E", "-m", "32", "-M", "4", "-f"]);
            command
                .arg(config)
                .arg("-Y")
                .arg(&folder)
                .arg("-P")
                .arg(folder.join("pid"));
            command
        }
    };
    const SOUND: &str = "sl_send_reply(\"200\", \"OK\");";
    running.gently("Kamailio", start(&files, String::new(), SOUND), &[], &[]);
    running.gently(
        "Kamailio: 403",
        start(
            &files,
            String::new(),
            "sl_send_reply(\"403\", \"Not from there\");",
        ),
        &[],
        &["options-forbidden"],
    );
    running.gently(
        "Kamailio: expired",
        start(&expired, String::new(), SOUND),
        &["cert-expired"],
        &[],
    );
    running.gently(
        "Kamailio: a client certificate is demanded",
        start(
            &files,
            format!(
                "verify_certificate = yes\nrequire_certificate = yes\nca_list = {}\n",
                pki.ca.display()
            ),
            SOUND,
        ),
        &["client-certificate-demanded"],
        &[],
    );
    run("Kamailio", running.cases);
}
