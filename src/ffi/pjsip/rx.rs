//! `pjsip_rx_data`: a received message on its way into pjsip.

use std::ffi::c_char;
use std::net::SocketAddr;
use std::ptr;

use super::thread::PjThread;
use super::transport::SipTransport;
use super::{address, strings};
use crate::ffi::opaque::Opaque;
use crate::ffi::sys;

/// Octets of pjsip's packet buffer.
const ROOM: usize = sys::CT_PJSIP_MAX_PKT_LEN as usize;

/// One thread's receive buffer. pjsip's handlers clone what they keep, so one serves all connections of a thread; it is
/// 65 KiB, which is why not every connection has its own.
pub struct RxBuffer {
    rdata: Box<Opaque<sys::pjsip_rx_data>>,
    endpoint: *mut sys::pjsip_endpoint,
    /// Keeps the buffer in its thread, which pjlib knows.
    _thread: PjThread,
}

impl RxBuffer {
    /// A buffer for this thread. `None`: no memory.
    pub fn new(thread: PjThread) -> Option<Self> {
        // SAFETY: made where it will stay, because it is too big for a stack; `Opaque` takes any octets.
        let rdata = unsafe { Box::<Opaque<sys::pjsip_rx_data>>::new_zeroed().assume_init() };
        // SAFETY: PJSIP's endpoint, which lives while res_pjsip is loaded: one of our optional modules, to which the loader has a
        // reference from our load, where `late::found` says that it is there, to our unload. A `PjThread` is had only then. A pool
        // of PJSIP's usual sizes for received data, with a static name; pjlib knows the thread.
        let (endpoint, pool) = unsafe {
            let endpoint = sys::ast_sip_get_pjsip_endpoint();
            let name = c"ciphertrunk-rx".as_ptr();
            (
                endpoint,
                sys::pjsip_endpt_create_pool(endpoint, name, 1000, 1000),
            )
        };
        if pool.is_null() {
            return None;
        }
        // SAFETY: a member of the structure, which nobody else has.
        unsafe { (*rdata.get()).tp_info.pool = pool };
        Some(Self {
            rdata,
            endpoint,
            _thread: thread,
        })
    }

    /// Hands one whole message to pjsip. It may call back into the transport from inside, even close it. A message that is
    /// longer than pjsip's buffer is not one, and goes nowhere.
    pub fn deliver(&mut self, transport: &SipTransport, source: SocketAddr, message: &[u8]) {
        let rdata = self.rdata.get();
        // SAFETY: the structure is this value's, and its value stays in its thread: nobody else uses it before or after
        // `pjsip_tpmgr_receive_packet`, whose handlers clone what they keep. Octets are copied only into the packet's room.
        // `transport` keeps its structure alive; pjlib knows the thread, by `_thread`.
        unsafe {
            let packet = &raw mut (*rdata).pkt_info;
            let room: *mut [c_char; ROOM] = &raw mut (*packet).packet;
            // pjsip ends the message with a zero itself, behind the packet if need be: that is what `zero` is for.
            if message.len() > ROOM {
                return;
            }
            let octets: *mut u8 = room.cast();
            ptr::copy_nonoverlapping(message.as_ptr(), octets, message.len());
            if message.len() < ROOM {
                octets.add(message.len()).write(0);
            }
            (*packet).zero = 0;
            (*packet).len = message.len() as sys::pj_ssize_t;
            (*packet).src_addr = address::from_socket_addr(source);
            (*packet).src_addr_len = address::length(source);
            strings::fill(&raw mut (*packet).src_name, &source.ip().to_string());
            (*packet).src_port = source.port().into();
            (*rdata).tp_info.transport = transport.base();
            sys::pj_gettimeofday(&raw mut (*packet).timestamp);
            sys::pjsip_tpmgr_receive_packet((*transport.base()).tpmgr, rdata);
            sys::pj_pool_reset((*rdata).tp_info.pool);
        }
    }
}

impl Drop for RxBuffer {
    fn drop(&mut self) {
        // SAFETY: the pool that `new` made, given back once, in the thread that it is for.
        unsafe { sys::pjsip_endpt_release_pool(self.endpoint, (*self.rdata.get()).tp_info.pool) };
    }
}
