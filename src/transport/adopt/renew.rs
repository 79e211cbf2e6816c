//! Renewed files: read again when they have changed, all or nothing, without PJSIP.

use std::sync::atomic::Ordering;

use crate::config;
use crate::ffi::pjsip::servant::in_sip_thread;
use crate::ffi::pjsip::thread::PjThread;
use crate::ffi::pjsip::transport_state::TransportState;

use super::{Adopter, Inputs, TlsTransport, expiry, options, words};

impl Adopter {
    /// Looks whether files of our transports have changed, and puts what they hold in force for new connections. A file that is bad keeps
    /// the old profile, and is told once: again when it has changed again.
    pub fn renew_files(&self) {
        // No transport changes hands meanwhile.
        let changing = self.changing.lock();
        if !config::current().watch_files {
            return;
        }
        let all: Vec<(String, TlsTransport, Option<Inputs>)> = {
            let adopted = self.adopted.lock();
            let each = adopted.iter();
            each.map(|(name, it)| (name.clone(), it.wanted.clone(), it.tried.clone()))
                .collect()
        };
        let mut late = Vec::new();
        let mut look = options::Look::default();
        for (name, wanted, tried) in all {
            // A wrong word is not mended by a file.
            let Some(inputs) = options::inputs(&wanted) else {
                continue;
            };
            if tried.as_ref() == Some(&inputs) {
                continue;
            }
            if self.renew_from(&name, &wanted, inputs, &mut look) {
                late.push(wanted);
            }
        }
        let is_whole = {
            let adopted = self.adopted.lock();
            adopted
                .values()
                .all(|it| it.tried.as_ref() == Some(&it.inputs) && it.has_all_profiles())
        };
        if is_whole && self.left.lock().is_empty() {
            self.failed.store(false, Ordering::Relaxed);
        }
        self.watch_files();
        expiry::set_own(self.certificates());
        drop(changing);
        self.shut_down_changed(PjThread::here());
        // The words of a reload are in force only now, for a file was missing.
        for transport in late {
            in_sip_thread(|thread| {
                if let Some(state) = TransportState::of(thread, &transport.name) {
                    state.set_verification(&transport);
                }
            });
        }
    }

    /// `true`: its words have changed too.
    fn renew_from(
        &self,
        name: &str,
        wanted: &TlsTransport,
        inputs: Inputs,
        look: &mut options::Look,
    ) -> bool {
        // Not under the lock: it reads files.
        let loaded = options::profile(wanted, self.in_force(name).as_deref(), look);
        let mut all = self.adopted.lock();
        let Some(adopted) = all.get_mut(name) else {
            return false;
        };
        match loaded {
            Ok(loaded) => {
                adopted.renew(loaded);
                let changed = words::changed(&adopted.transport, wanted);
                adopted.transport = wanted.clone();
                let profile = adopted.endpoint.state.lock().profile.clone();
                drop(all);
                let certificate = profile.own_certificate();
                let certificate = certificate.map_or_else(String::new, |it| {
                    let until = policy::date::Date(it.not_after);
                    format!(" (certificate {}, valid until {until})", it.subject.info)
                });
                log::info!(
                    "transport '{name}': its files have changed and are in force for new connections{certificate}"
                );
                !changed.is_empty()
            }
            Err(reason) => {
                adopted.tried = Some(inputs);
                let warning =
                    format!("{reason}; the old certificate stays, and so do all TLS options");
                adopted.warnings = vec![warning.clone()];
                drop(all);
                self.failed.store(true, Ordering::Relaxed);
                log::error!("transport '{name}': {warning}, until the file changes again");
                false
            }
        }
    }

    /// Has the files watched that our transports name, those that are wanted and those in force.
    pub(super) fn watch_files(&self) {
        let Some(files) = &self.files else { return };
        let mut all = Vec::new();
        if config::current().watch_files {
            let adopted = self.adopted.lock();
            for adopted in adopted.values() {
                for transport in [&adopted.transport, &adopted.wanted] {
                    all.extend(options::files(transport));
                }
            }
        }
        files.set(all);
    }

    /// Whether files are watched: `yes`, or why not.
    pub(super) fn watch_state(&self) -> String {
        match &self.files {
            _ if !config::current().watch_files => "no ([tls] watch_files)".to_owned(),
            None => "no (the system has no inotify instance for us)".to_owned(),
            Some(files) => files
                .problem()
                .map_or_else(|| "yes".to_owned(), |problem| format!("not all: {problem}")),
        }
    }
}
