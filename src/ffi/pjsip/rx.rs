//! `pjsip_rx_data`: a received message on its way into pjsip.

use std::net::SocketAddr;
use std::ptr;

use super::transport::SipTransport;
use super::{address_length, fill, from_socket_addr};
use crate::ffi::sys;

/// One thread's receive buffer. pjsip's handlers clone what they keep, so one serves all connections of a thread; it is
/// 65 KiB, which is why not every connection has its own.
pub struct RxBuffer {
    rdata: Box<sys::pjsip_rx_data>,
    endpoint: *mut sys::pjsip_endpoint,
}

impl RxBuffer {
    /// A buffer for this thread, which pjlib must know. `None`: no memory.
    pub fn new() -> Option<Self> {
        // SAFETY: PJSIP runs while the module is loaded (`.requires`).
        let endpoint = unsafe { sys::ast_sip_get_pjsip_endpoint() };
        // SAFETY: a plain C structure, for which zero is valid, made where it will stay: it is too big for a stack.
        let mut rdata = unsafe { Box::<sys::pjsip_rx_data>::new_zeroed().assume_init() };
        // SAFETY: a pool of PJSIP's usual sizes for received data; the name is a static string.
        rdata.tp_info.pool = unsafe {
            sys::pjsip_endpt_create_pool(endpoint, c"ciphertrunk-rx".as_ptr(), 1000, 1000)
        };
        if rdata.tp_info.pool.is_null() {
            return None;
        }
        Some(Self { rdata, endpoint })
    }

    /// Hands one whole message to pjsip. It may call back into the transport from inside, even close it.
    pub fn deliver(&mut self, transport: &SipTransport, source: SocketAddr, message: &[u8]) {
        let rdata = &mut *self.rdata;
        let Some(room) = rdata.pkt_info.packet.get_mut(..message.len()) else {
            return;
        };
        // SAFETY: `room` has the message's length; c_char and u8 have one size.
        unsafe {
            ptr::copy_nonoverlapping(
                message.as_ptr(),
                room.as_mut_ptr().cast::<u8>(),
                message.len(),
            )
        };
        if let Some(end) = rdata.pkt_info.packet.get_mut(message.len()) {
            *end = 0;
        }
        rdata.pkt_info.zero = 0;
        rdata.pkt_info.len = message.len() as sys::pj_ssize_t;
        rdata.pkt_info.src_addr = from_socket_addr(source);
        rdata.pkt_info.src_addr_len = address_length(source);
        fill(&mut rdata.pkt_info.src_name, &source.ip().to_string());
        rdata.pkt_info.src_port = source.port().into();
        rdata.tp_info.transport = transport.base();
        // SAFETY: `rdata` is whole and this thread's; `transport` keeps the structure alive; pjlib knows this thread.
        unsafe {
            sys::pj_gettimeofday(&raw mut rdata.pkt_info.timestamp);
            sys::pjsip_tpmgr_receive_packet((*transport.base()).tpmgr, rdata);
            sys::pj_pool_reset(rdata.tp_info.pool);
        }
    }
}

impl Drop for RxBuffer {
    fn drop(&mut self) {
        // SAFETY: the pool that `new` made.
        unsafe { sys::pjsip_endpt_release_pool(self.endpoint, self.rdata.tp_info.pool) };
    }
}
