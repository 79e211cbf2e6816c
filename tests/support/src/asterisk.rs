//! An Asterisk in a lab: Debian's, unchanged, with its own directories.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use crate::audio::{self, Tone};
use crate::lab::{self, Lab};
use crate::process::Process;
use crate::wait::{self, tail};
use crate::wav;

/// What the tests' Asterisks have of Debian's modules; autoloaded, as operators do.
const MODULES: &[&str] = &[
    "app_dial",
    "app_echo",
    "app_mixmonitor",
    "app_playtones",
    "app_verbose",
    "bridge_native_rtp",
    "bridge_simple",
    "chan_pjsip",
    "codec_a_mu",
    "codec_alaw",
    "codec_resample",
    "codec_ulaw",
    "format_pcm",
    "format_wav",
    "func_callerid",
    "res_clioriginate",
    "func_channel",
    "pbx_config",
    "res_pjproject",
    "res_pjsip",
    "res_pjsip_authenticator_digest",
    "res_pjsip_caller_id",
    "res_pjsip_endpoint_identifier_anonymous",
    "res_pjsip_endpoint_identifier_ip",
    "res_pjsip_endpoint_identifier_user",
    "res_pjsip_logger",
    "res_pjsip_nat",
    "res_pjsip_outbound_authenticator_digest",
    "res_pjsip_outbound_registration",
    "res_pjsip_registrar",
    "res_pjsip_pubsub",
    "res_pjsip_rfc3326",
    "res_pjsip_sdp_rtp",
    "res_pjsip_session",
    "res_resolver_unbound",
    "res_rtp_asterisk",
    "res_sorcery_astdb",
    "res_sorcery_config",
    "res_sorcery_memory",
    "res_srtp",
    "res_timing_timerfd",
];

/// The module under test, as `make module` leaves it.
pub const MODULE: &str = "build/res_ciphertrunk.so";
/// The same with the feature `test-hooks` (`make test`).
pub const TEST_MODULE: &str = "build/test/res_ciphertrunk.so";

const BOOT: Duration = Duration::from_secs(40);

/// Who Asterisk runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// `root`.
    Root,
    /// `asterisk`, as Debian's service does.
    Asterisk,
}

/// How an Asterisk is to be.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Its name, and its folder's in the lab.
    pub name: String,
    /// Its address on the lab's network.
    pub address: String,
    user: User,
    module: Option<PathBuf>,
    modules_conf: String,
    pjsip: String,
    dialplan: String,
    files: Vec<(String, String)>,
}

impl Setup {
    /// Debian's Asterisk with `res_srtp.so`, and nothing of ours in its folders.
    pub fn stock(name: &str, address: &str) -> Self {
        Self {
            name: name.to_owned(),
            address: address.to_owned(),
            user: User::Root,
            module: None,
            modules_conf: "[modules]\nautoload = yes\n".to_owned(),
            pjsip: String::new(),
            dialplan: String::new(),
            files: Vec::new(),
        }
    }

    /// Debian's Asterisk with the module under test, as `conf/modules.conf.sample` says.
    pub fn ours(name: &str, address: &str) -> Self {
        let sample = lab::repository().join("conf/modules.conf.sample");
        let sample = fs::read_to_string(&sample)
            .unwrap_or_else(|error| panic!("{}: {error}", sample.display()));
        Self::stock(name, address)
            .module(MODULE)
            .modules_conf(&sample)
    }

    /// With this file of the repository as `res_ciphertrunk.so`.
    #[must_use]
    pub fn module(mut self, file: &str) -> Self {
        self.module = Some(lab::repository().join(file));
        self
    }

    /// With this `modules.conf`.
    #[must_use]
    pub fn modules_conf(mut self, text: &str) -> Self {
        text.clone_into(&mut self.modules_conf);
        self
    }

    /// As another user.
    #[must_use]
    pub fn user(mut self, user: User) -> Self {
        self.user = user;
        self
    }

    /// Adds to `pjsip.conf`. `{address}` stands for its address.
    #[must_use]
    pub fn pjsip(mut self, text: &str) -> Self {
        self.pjsip += &text.replace("{address}", &self.address);
        self.pjsip.push('\n');
        self
    }

    /// Adds lines to the dialplan. `{folder}` stands for its folder.
    #[must_use]
    pub fn dialplan(mut self, text: &str) -> Self {
        self.dialplan += &text.replace("{folder}", &format!("{}/{}", lab::FOLDER, self.name));
        self.dialplan.push('\n');
        self
    }

    /// Adds a configuration file.
    #[must_use]
    pub fn file(mut self, name: &str, content: &str) -> Self {
        self.files.push((name.to_owned(), content.to_owned()));
        self
    }
}

/// Why an Asterisk did not come up.
#[derive(Debug)]
pub struct Failed {
    /// How it ended; `None`: it did not end, and did not boot either.
    pub status: Option<ExitStatus>,
    /// Its log and what it printed.
    pub log: String,
}

/// A running Asterisk; killed when dropped.
#[derive(Debug)]
pub struct Asterisk<'lab> {
    lab: &'lab Lab,
    /// Its folder, from outside.
    folder: PathBuf,
    name: String,
    process: Process,
}

/// The path of a file of an Asterisk's folder as programs in the lab see it.
fn inside(name: &str, file: &str) -> String {
    format!("{}/{name}/{file}", lab::FOLDER)
}

impl<'lab> Asterisk<'lab> {
    /// Starts an Asterisk that has to come up.
    pub fn start(lab: &'lab Lab, setup: &Setup) -> Self {
        Self::try_start(lab, setup).unwrap_or_else(|failed| {
            panic!(
                "Asterisk {} did not come up ({:?})\n{}",
                setup.name,
                failed.status,
                tail(&failed.log, 60)
            )
        })
    }

    /// Starts an Asterisk and waits until it is fully booted.
    ///
    /// # Errors
    ///
    /// It ended instead, or did neither for a long time.
    pub fn try_start(lab: &'lab Lab, setup: &Setup) -> Result<Self, Failed> {
        let folder = lab.folder().join(&setup.name);
        make_folder(lab, setup, &folder);
        let conf = inside(&setup.name, "etc/asterisk.conf");
        let mut args = vec!["-f", "-C", conf.as_str()];
        if setup.user == User::Asterisk {
            own_by_asterisk(lab, &folder);
            args.extend(["-U", "asterisk", "-G", "asterisk"]);
        }
        let process = lab.spawn(&setup.name, "asterisk", &args);
        let mut asterisk = Self {
            lab,
            folder,
            name: setup.name.clone(),
            process,
        };
        // Empty until its console answers; then this command waits for the rest.
        let booted = wait::poll(BOOT, || match asterisk.process.status() {
            Some(status) => Some(Err(Some(status))),
            None => asterisk
                .ask("core waitfullybooted")?
                .contains("fully booted")
                .then_some(Ok(())),
        });
        match booted.unwrap_or(Err(None)) {
            Ok(()) => Ok(asterisk),
            Err(status) => Err(Failed {
                status,
                log: asterisk.everything(),
            }),
        }
    }

    /// A command on its console; what it answers.
    pub fn cli(&self, command: &str) -> String {
        let answer = self.ask(command).unwrap_or_else(|| {
            panic!(
                "Asterisk {} does not answer {command:?}\n{}",
                self.name,
                tail(&self.everything(), 60)
            )
        });
        assert!(
            !answer.contains("No such command"),
            "Asterisk {}: {answer}",
            self.name
        );
        answer
    }

    /// [`Asterisk::cli`] of an Asterisk that may not be up.
    fn ask(&self, command: &str) -> Option<String> {
        let output = self.lab.run(
            "asterisk",
            &[
                "-C",
                &inside(&self.name, "etc/asterisk.conf"),
                "-rx",
                command,
            ],
        );
        let text = String::from_utf8_lossy(&output.stdout);
        // A lab has no network device with a hardware address, and every console says so.
        let answer = text
            .lines()
            .filter(|line| !line.starts_with("No ethernet interface found"));
        output
            .status
            .success()
            .then(|| answer.fold(String::new(), |all, line| all + line + "\n"))
    }

    /// The value of a line `KEY: value` of `ciphertrunk show status`.
    pub fn status(&self, key: &str) -> String {
        let text = self.cli("ciphertrunk show status");
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
        value
            .unwrap_or_else(|| panic!("no {key:?} in ciphertrunk show status:\n{text}"))
            .trim()
            .to_owned()
    }

    /// A counter of `ciphertrunk show status`.
    pub fn count(&self, key: &str) -> u64 {
        let value = self.status(key);
        value
            .parse()
            .unwrap_or_else(|_| panic!("{key}: {value:?} is not a number"))
    }

    /// Its log.
    pub fn log(&self) -> String {
        fs::read(self.folder.join("log/full.log"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The lines of its log that contain `text`.
    pub fn log_lines(&self, text: &str) -> Vec<String> {
        self.log()
            .lines()
            .filter(|line| line.contains(text))
            .map(str::to_owned)
            .collect()
    }

    /// Waits for a line in its log.
    pub fn wait_for_log(&self, text: &str) {
        let what = format!("{text:?} in the log of Asterisk {}", self.name);
        wait::until(
            &what,
            wait::SOON,
            || self.log().contains(text).then_some(()),
            || tail(&self.log(), 60),
        );
    }

    /// Waits until it has exactly `count` channels.
    pub fn wait_for_channels(&self, count: usize) {
        let what = format!("{count} channels in Asterisk {}", self.name);
        let wanted = if count == 1 {
            "1 active channel\n".to_owned()
        } else {
            format!("{count} active channels\n")
        };
        wait::until(
            &what,
            wait::SOON,
            || {
                self.cli("core show channels count")
                    .contains(&wanted)
                    .then_some(())
            },
            || {
                format!(
                    "{}\n{}",
                    self.cli("core show channels"),
                    tail(&self.log(), 60)
                )
            },
        );
    }

    /// Waits until `probe` of it answers with something.
    pub fn wait_until<T>(&self, what: &str, mut probe: impl FnMut(&Self) -> Option<T>) -> T {
        wait::until(what, wait::SOON, || probe(self), || tail(&self.log(), 60))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// `/proc/PID/maps`.
    pub fn maps(&self) -> String {
        fs::read_to_string(format!("/proc/{}/maps", self.pid())).expect("Asterisk runs")
    }

    /// The user that it runs as.
    pub fn uid(&self) -> u32 {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(format!("/proc/{}", self.pid()))
            .expect("Asterisk runs")
            .uid()
    }

    /// Whether it still runs.
    pub fn is_up(&mut self) -> bool {
        self.process.status().is_none()
    }

    /// Waits until it has heard `tenths` tenths of a second of a tone, in the recording that [`crate::pjsip::say`] makes.
    pub fn wait_for_tone(&self, frequency: f64, tenths: usize) -> Tone {
        let file = self.path("rec/heard.wav");
        self.wait_until(
            &format!("{frequency} Hz in what Asterisk {} heard", self.name),
            |_| {
                wav::read(&file)
                    .map(|heard| audio::find_tone(&heard, frequency))
                    .filter(|tone| tone.tenths >= tenths)
            },
        )
    }

    /// A file of its folder, from outside: `etc/...`, `rec/...`, `modules/...`.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// Changes a file of its configuration.
    pub fn configure(&self, file: &str, content: &str) {
        let path = self.folder.join("etc").join(file);
        fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Stops it in order.
    pub fn stop(mut self) -> ExitStatus {
        self.cli("core stop now");
        self.process.wait(wait::SOON)
    }

    fn everything(&self) -> String {
        format!("{}\n--- printed:\n{}", self.log(), self.process.output())
    }
}

fn make_folder(lab: &Lab, setup: &Setup, folder: &Path) {
    for sub in ["etc", "lib", "run", "log", "spool", "rec", "modules"] {
        fs::create_dir_all(folder.join(sub)).expect("a folder can be made");
    }
    let name = &setup.name;
    let mut conf = String::from("[directories]\n");
    for (key, sub) in [
        ("astetcdir", "etc"),
        ("astmoddir", "modules"),
        ("astvarlibdir", "lib"),
        ("astdbdir", "lib"),
        ("astrundir", "run"),
        ("astlogdir", "log"),
        ("astspooldir", "spool"),
    ] {
        writeln!(conf, "{key} = {}", inside(name, sub)).expect("a String takes it");
    }
    conf += "astdatadir = /usr/share/asterisk\nastkeydir = /usr/share/asterisk\nastagidir = /usr/share/asterisk/agi-bin\n";
    conf += "[options]\nverbose = 3\n";
    let etc = folder.join("etc");
    let put = |file: &str, content: &str| {
        fs::write(etc.join(file), content).expect("a file can be written")
    };
    put("asterisk.conf", &conf);
    put("modules.conf", &setup.modules_conf);
    put(
        "logger.conf",
        "[general]\n[logfiles]\nfull.log => notice,warning,error,verbose\n",
    );
    put(
        "rtp.conf",
        "[general]\nrtpstart = 20000\nrtpend = 29999\nicesupport = no\n",
    );
    // What Asterisk complains about when it is missing.
    for file in [
        "acl",
        "ccss",
        "cel",
        "features",
        "manager",
        "pjproject",
        "udptl",
    ] {
        put(&format!("{file}.conf"), "");
    }
    put("cdr.conf", "[general]\nenable = no\n");
    put(
        "indications.conf",
        "[general]\ncountry = eu\n[eu]\ndescription = Europe\nringcadence = 1000,4000\nring = 425/1000,0/4000\n",
    );
    put("pjsip.conf", &setup.pjsip);
    put("extensions.conf", &format!("[default]\n{}", setup.dialplan));
    for (file, content) in &setup.files {
        put(file, content);
    }
    for module in MODULES {
        let stock = format!("{}/{module}.so", stock_modules(lab));
        symlink(stock, folder.join(format!("modules/{module}.so"))).expect("a link can be made");
    }
    if let Some(module) = &setup.module {
        fs::copy(module, folder.join("modules/res_ciphertrunk.so")).unwrap_or_else(|error| {
            panic!(
                "{}: {error}: run `make module test-module`",
                module.display()
            )
        });
    }
}

/// The folder of Debian's modules, in the root: its name has the machine's architecture.
fn stock_modules(lab: &Lab) -> String {
    let libraries = fs::read_dir(lab.root().join("usr/lib")).expect("the root has libraries");
    libraries
        .filter_map(Result::ok)
        .map(|entry| {
            format!(
                "/usr/lib/{}/asterisk/modules",
                entry.file_name().to_string_lossy()
            )
        })
        .find(|path| lab.root().join(&path[1..]).is_dir())
        .expect("the root has Asterisk's modules")
}

fn own_by_asterisk(lab: &Lab, folder: &Path) {
    let passwd = fs::read_to_string(lab.root().join("etc/passwd")).expect("the root has users");
    let ids = passwd.lines().find_map(|line| {
        let mut fields = line.strip_prefix("asterisk:")?.split(':').skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    });
    let (uid, gid) = ids.expect("the root has the user asterisk");
    let mut folders = vec![folder.to_owned()];
    while let Some(path) = folders.pop() {
        chown(&path, Some(uid), Some(gid)).expect("root may give a folder away");
        for entry in fs::read_dir(&path)
            .expect("a folder")
            .filter_map(Result::ok)
        {
            let kind = entry.file_type().expect("a kind");
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                chown(entry.path(), Some(uid), Some(gid)).expect("root may give a file away");
            }
        }
    }
}
