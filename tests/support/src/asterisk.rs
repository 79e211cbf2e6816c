//! An Asterisk in a lab: Debian's, unchanged, with its own directories.

use std::fs;
use std::path::PathBuf;
use std::process::ExitStatus;

use crate::audio::{self, Tone};
use crate::lab::Lab;
use crate::process::Process;
pub use crate::setup::{MODULE, Setup, TEST_MODULE, User};
use crate::setup::{inside, make_folder};
use crate::wait::{self, tail};
use crate::wav;

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
        let booted = wait::poll(wait::SOON, || match asterisk.process.status() {
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

    /// The lines of its log that contain `text`, so far. For how many there are: [`Asterisk::all_log_lines`].
    pub fn log_lines(&self, text: &str) -> Vec<String> {
        self.log()
            .lines()
            .filter(|line| line.contains(text))
            .map(str::to_owned)
            .collect()
    }

    /// Waits until everything that happened before is in its log, which a thread of its own writes.
    pub fn settle_log(&self) {
        // A module whose reload changes nothing here, and is logged.
        const MARK: &str = "Reloading module 'res_pjproject";
        let before = self.log_lines(MARK).len();
        self.cli("module reload res_pjproject.so");
        self.wait_until("the mark in the log", |asterisk| {
            (asterisk.log_lines(MARK).len() > before).then_some(())
        });
    }

    /// The lines of its log that contain `text`, all that there are of what happened before.
    pub fn all_log_lines(&self, text: &str) -> Vec<String> {
        self.settle_log();
        self.log_lines(text)
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
