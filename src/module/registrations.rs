//! What is registered with Asterisk, in which order it is taken up, and in which it is given up.

use crate::config::{self, InForce};
#[cfg(feature = "pjsip")]
use crate::demand;
#[cfg(feature = "pjsip")]
use crate::drain;
use crate::ffi::cli::{self, Registered};
use crate::ffi::host::{self, Unloaded};
use crate::ffi::late::Kept;
use crate::ffi::libsrtp_guard::{self, StockRefused};
use crate::ffi::mapped::Mapped;
use crate::ffi::srtp::{self, Owner};
use crate::ffi::{fault, function, manager, module_ref, openssl, prometheus, sdes};
#[cfg(feature = "pjsip")]
use crate::media::native;
use crate::media::watch::{self, Watch};
use crate::media::{calls, engine};
use crate::observe;
use crate::proof;
#[cfg(feature = "pjsip")]
use crate::proof::record::Recording;
use crate::transport::Serving;

/// What is registered with Asterisk, and what that stands on. A field that is `None` is not taken up. Dropping it gives up
/// what is there, in this order.
#[derive(Debug, Default)]
pub(super) struct Module {
    commands: Option<Registered>,
    actions: Option<Vec<manager::Registered>>,
    function: Option<function::Registered>,
    #[cfg(feature = "pjsip")]
    recording: Option<Recording>,
    #[cfg(feature = "pjsip")]
    native: Option<native::Registration>,
    tls: Option<Serving>,
    supplement: Option<calls::Registration>,
    #[cfg(feature = "pjsip")]
    pub(super) demands: Option<demand::Registration>,
    watch: Option<Watch>,
    metrics: Option<prometheus::Registered>,
    sdes: Option<sdes::Registration>,
    engine: Option<Engine>,
    openssl: Option<openssl::Held>,
    config: Option<InForce>,
    pjsip: Option<Kept>,
    _mapped: Option<Mapped>,
}

/// The SRTP engine is ours, and stock's cannot start.
#[derive(Debug)]
struct Engine {
    _registration: srtp::Registration,
    _stock_refused: StockRefused,
}

impl Engine {
    /// Makes ours Asterisk's engine. Stock's is unloaded first when nothing uses it.
    fn register() -> Result<Self, String> {
        if srtp::owner() != Owner::Nobody
            && host::is_module_known(libsrtp_guard::STOCK)
            && host::unload_module(libsrtp_guard::STOCK) == Unloaded::Gone
        {
            log::info!(
                "res_srtp.so was loaded first and is unloaded; `noload = res_srtp.so` in modules.conf saves that"
            );
        }
        engine::register_engine()
            .map(Self::holding)
            .map_err(|taken| taken.to_string())
    }

    /// What will be registered by the watch, as soon as nobody else has the place.
    fn claim() -> Self {
        Self::holding(engine::claim_engine())
    }

    fn holding(registration: srtp::Registration) -> Self {
        Self {
            _registration: registration,
            _stock_refused: StockRefused::begin(),
        }
    }
}

/// The end of a step of the load, where tests can have it fail.
pub(super) fn done(name: &'static str) -> Result<(), String> {
    if fault::fires(name) {
        return Err(format!("the fault {name} is armed"));
    }
    Ok(())
}

/// Takes something up.
type Step = fn(&mut Module) -> Result<(), String>;

impl Module {
    /// What is taken up, in its order. Each does nothing when it is there already.
    const STEPS: &[Step] = &[
        Self::take_config,
        Self::take_engine,
        Self::take_sdes,
        Self::take_watch,
        Self::take_demands,
        Self::take_supplement,
        Self::take_openssl,
        Self::take_tls,
        Self::take_recording,
        Self::take_native,
        Self::take_function,
        Self::take_commands,
        Self::take_actions,
    ];

    /// Takes up everything, or ends at the first step that fails.
    pub(super) fn take_up(pjsip: Option<Kept>) -> Result<Self, String> {
        module_ref::open();
        let mut module = Self {
            pjsip,
            _mapped: Mapped::open(),
            ..Self::default()
        };
        for step in Self::STEPS {
            step(&mut module)?;
        }
        Ok(module)
    }

    /// Takes up again what an unload that is called off, or a drain, has given up. What cannot be had back does not keep the
    /// rest.
    pub(super) fn take_back(&mut self) {
        module_ref::open();
        for step in Self::STEPS {
            if let Err(reason) = step(self) {
                log::error!("what had been given up could not be taken back: {reason}");
            }
        }
        // The watch takes the engine as soon as it is free.
        self.engine.get_or_insert_with(Engine::claim);
    }

    fn take_config(&mut self) -> Result<(), String> {
        self.config.get_or_insert_with(InForce::load);
        config::check_openssl()?;
        let kernels = config::current().kernels;
        // The one that stands where the file names none has been tested by `load`.
        if !std::ptr::eq(kernels, packet_crypto::kernels()) {
            kernels.self_test().map_err(|error| {
                format!(
                    "the self-test of the kernel {} failed: {error}",
                    kernels.name()
                )
            })?;
        }
        done("load-config")
    }

    fn take_engine(&mut self) -> Result<(), String> {
        if self.engine.is_none() {
            self.engine = Some(Engine::register()?);
        }
        done("load-engine")
    }

    fn take_sdes(&mut self) -> Result<(), String> {
        if self.sdes.is_none() {
            self.sdes = Some(engine::register_sdes().map_err(|taken| taken.to_string())?);
        }
        done("load-sdes")
    }

    fn take_watch(&mut self) -> Result<(), String> {
        self.metrics
            .get_or_insert_with(prometheus::Registered::begin);
        if self.watch.is_none() {
            let watch = watch::start()
                .map_err(|error| format!("no thread for the watch over the engine: {error}"))?;
            self.watch = Some(watch);
        }
        done("load-watch")
    }

    fn take_demands(&mut self) -> Result<(), String> {
        #[cfg(feature = "pjsip")]
        if let Some(pjsip) = &self.pjsip
            && self.demands.is_none()
        {
            self.demands = Some(demand::register(pjsip.pjsip())?);
        }
        done("load-demands")
    }

    pub(super) fn take_supplement(&mut self) -> Result<(), String> {
        #[cfg(feature = "pjsip")]
        if self.pjsip.is_some() && (!drain::is_on() || demand::may_be()) {
            self.supplement
                .get_or_insert_with(engine::register_supplement);
            demand::set_seen(true);
        }
        done("load-supplement")
    }

    fn take_openssl(&mut self) -> Result<(), String> {
        self.openssl.get_or_insert_with(openssl::Held::acquire);
        done("load-openssl")
    }

    fn take_tls(&mut self) -> Result<(), String> {
        #[cfg(feature = "pjsip")]
        if self.tls.is_none() && self.pjsip.is_some() && !drain::is_on() {
            // Where it fails the transports stay pjproject's, which is TLS too.
            self.tls = Serving::start()
                .inspect_err(|reason| log::error!("the TLS transports stay pjproject's: {reason}"))
                .ok();
        }
        done("load-tls")
    }

    fn take_recording(&mut self) -> Result<(), String> {
        #[cfg(feature = "pjsip")]
        if self.recording.is_none()
            && let Some(pjsip) = &self.pjsip
        {
            // Without it calls are served all the same.
            self.recording = Recording::begin(pjsip.pjsip())
                .inspect_err(|reason| log::error!("CDRs get no CDR(ciphertrunk): {reason}"))
                .ok();
        }
        done("load-recording")
    }

    fn take_native(&mut self) -> Result<(), String> {
        #[cfg(feature = "pjsip")]
        if self.native.is_none()
            && let Some(pjsip) = &self.pjsip
        {
            self.native = native::register(pjsip.pjsip());
            if self.native.is_none() {
                log::error!(
                    "encrypted calls are bridged by the core: PJSIP's channels have no glue for RTP"
                );
            }
        }
        done("load-native")
    }

    fn take_function(&mut self) -> Result<(), String> {
        if self.function.is_none() {
            // Without it calls are served all the same.
            self.function = proof::function::register()
                .inspect_err(|reason| log::error!("{reason}"))
                .ok();
        }
        done("load-function")
    }

    fn take_commands(&mut self) -> Result<(), String> {
        self.commands
            .get_or_insert_with(|| cli::register(observe::commands()));
        done("load-commands")
    }

    fn take_actions(&mut self) -> Result<(), String> {
        self.actions
            .get_or_insert_with(observe::manager::register_all);
        done("load-actions")
    }

    /// Sessions that begin are not known from here on, and nothing can be demanded of them.
    pub(super) fn stop_looking(&mut self) {
        #[cfg(feature = "pjsip")]
        demand::set_seen(false);
        self.supplement = None;
    }

    /// Gives up everything that could still call us, what takes longest first. Calls are served until nobody is left and
    /// nobody can come in: then the SRTP engine goes.
    ///
    /// # Errors
    ///
    /// Who is still there. What was given up can be [taken back](Self::take_back).
    pub(super) fn give_up(&mut self) -> Result<(), &'static str> {
        // The watch, which makes it known, ends below.
        let _closed =
            prometheus::close().ok_or("its metrics are just being made known to res_prometheus")?;
        if let Some(commands) = self.commands.take()
            && let Err(commands) = commands.withdraw()
        {
            self.commands = Some(commands);
            return Err("a console is running one of its commands");
        }
        // Asterisk counts those who are in it.
        self.function = None;
        self.actions = None;
        fault::wait_for_a_user("unload-early");
        if let Some(tls) = self.tls.take()
            && let Err(kept) = tls.stop()
        {
            self.tls = kept.asked();
            return Err("PJSIP still uses a TLS connection");
        }
        fault::wait_for_a_user("unload-late");
        // Each session that has a copy of it is a use of the module: from here on there is no new one.
        self.stop_looking();
        // What stands in the tables of other modules, and the gate last: it waits, and that is for whoever has read one of those tables before
        // it was put back as well. Such a one is counted below.
        #[cfg(feature = "pjsip")]
        {
            self.native = None;
            self.recording = None;
            self.demands = None;
        }
        if calls::count() > 0 || module_ref::uses() > 0 || !module_ref::close() {
            return Err("a call has just begun");
        }
        // Before the engine, which it would take back.
        self.watch = None;
        self.metrics = None;
        self.sdes = None;
        self.engine = None;
        // A description that came between the gate and the end of the registration: it is answered. Or somebody is in a function that was put
        // back.
        if module_ref::held() > 0 {
            return Err("a call has just begun");
        }
        Ok(())
    }
}
