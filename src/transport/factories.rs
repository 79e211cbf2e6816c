//! Which factory serves a transport, and what becomes of those that serve none.
//!
//! A factory is never freed: a dialog has its address, uncounted, for as long as a subscription lasts. Memory stays bounded
//! because a retired one serves the transport of its name again; a call that was made before a reload then finds its
//! connection's factory again, too. An unload leaves what was made since the load, sealed: one or two for each transport.

use std::sync::Arc;

use crate::ffi::pjsip::factory::{Connector, Factory, FactoryRef};
use crate::ffi::pjsip::servant::SipThread;
use crate::ffi::pjsip::stock::StockFactory;
use crate::ffi::pjsip::transport_state::TransportState;

/// A factory for transport `name` with stock's addresses, not yet registered: a retired one of that name that nothing uses,
/// or a new one. `None`: no memory.
pub fn for_transport(
    thread: &SipThread,
    name: &str,
    stock: &StockFactory<'_>,
    connector: &Arc<impl Connector + 'static>,
) -> Option<FactoryRef> {
    let states = TransportState::all(thread);
    let in_state = |factory| states.iter().any(|state| state.points_to(factory));
    Factory::all()
        .into_iter()
        .filter(|factory| factory.name() == name && factory.is_like(stock) && !in_state(factory))
        .find_map(|factory| factory.start(stock, connector.clone()))
        .or_else(|| Factory::new(thread.pj(), name, stock)?.start(stock, connector.clone()))
}

/// Before the library is unmapped: no factory keeps a pointer into it. `false`: Asterisk still calls one, or it has a
/// connection, and the library must stay.
pub fn seal(thread: &SipThread) -> bool {
    let states = TransportState::all(thread);
    let in_state = |factory| states.iter().any(|state| state.points_to(factory));
    let mut unsealed = Factory::all();
    unsealed.retain(|factory| in_state(factory) || !factory.seal());
    unsealed.is_empty()
}

/// Factories that were made since the module was loaded.
pub fn made() -> usize {
    Factory::all().len()
}
