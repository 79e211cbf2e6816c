//! `ast_sip_session`: which call a media stream belongs to, and what its descriptions say, as plain values.
//!
//! `ast_sdp_crypto_api` is given an RTP instance and no call. A supplement tells when sessions begin and end; a stream's
//! session is the one, among those of the serializer that runs now, whose media holds that very instance. Nobody else
//! changes a session's media while its serializer runs our task, so reading it there is safe, and no other session is
//! ever looked into.
//!
//! The structures of a session are read in Rust. Their fields lie where the headers say in every release of a branch
//! ("the bit fields that were added share a word"); `ast_sip_endpoint` is the exception, and is asked through sorcery.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_int, c_void};
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::ptr::{self, NonNull};

use srtp::sdes::MediaLine;
use srtp::sdes::negotiation::Exchange;

use super::pj_text;
use crate::ffi::guard::guard;
use crate::ffi::opaque::Opaque;
use crate::ffi::rtp::RtpInstance;
use crate::ffi::sdes::Stream;
use crate::ffi::sync::Mutex;
use crate::ffi::{sys, text};

/// Names a live session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionKey(usize);

/// What is known of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its session.
    pub key: SessionKey,
    /// The PJSIP endpoint, as `pjsip.conf` names it.
    pub endpoint: String,
    /// The `Call-ID` header's value.
    pub call_id: String,
    /// The peer's URI, and the address that its INVITE came from or went to where one is under way.
    pub peer: String,
    /// The media line asked about: its kind, and its number from 0. Empty if none was.
    pub media: String,
    /// Where the peer's latest description wants that line's media. `None`: no description, no address of a host, or the
    /// stream is off.
    pub media_address: Option<SocketAddr>,
    /// Where its negotiation is now.
    pub exchange: Exchange,
}

/// What is done when sessions end and are answered. Called in the session's serializer, except for `ended`.
pub trait Supplement: 'static {
    /// The peer accepted our INVITE, and its answer is applied.
    fn answered(session: &Session<'_>);

    /// The session is gone.
    fn ended(key: SessionKey);
}

/// A live session, in its serializer.
///
/// # Invariants
///
/// Alive for `'a`, during which this thread runs a task of its serializer.
#[derive(Debug)]
pub struct Session<'a> {
    raw: NonNull<sys::ast_sip_session>,
    _alive: PhantomData<&'a sys::ast_sip_session>,
}

/// Live sessions and the addresses of their serializers, by address. Addresses only: nothing is read through them outside
/// of [`find`].
static LIVE: Mutex<BTreeMap<usize, usize>> = Mutex::new(BTreeMap::new());

extern "C" fn begin(session: *mut sys::ast_sip_session) {
    guard((), || {
        // SAFETY: Asterisk hands a live session whose serializer does not change.
        let serializer = unsafe { (*session).serializer };
        LIVE.lock().insert(session.addr(), serializer.addr());
        // The address must stand for the pointer again in `find`.
        let _ = session.expose_provenance();
    });
}

extern "C" fn destroy<S: Supplement>(session: *mut sys::ast_sip_session) {
    guard((), || {
        LIVE.lock().remove(&session.addr());
        S::ended(SessionKey(session.addr()));
    });
}

extern "C" fn incoming_response<S: Supplement>(
    session: *mut sys::ast_sip_session,
    rdata: *mut sys::pjsip_rx_data,
) {
    guard((), || {
        // SAFETY: Asterisk hands a live session, in its serializer, and the response that it has parsed.
        let (session, status) = unsafe {
            let Some(session) = Session::from_raw(session) else {
                return;
            };
            (session, (*(*rdata).msg_info.msg).line.status.code)
        };
        if status / 100 == 2 {
            S::answered(&session);
        }
    });
}

/// Room for what later releases of a branch append to `ast_sip_session_supplement`: the core reads it in ours.
#[repr(C)]
struct Padded {
    supplement: sys::ast_sip_session_supplement,
    _room: [usize; 16],
}

struct Shared(Opaque<Padded>);

// SAFETY: written by `register` and `drop` alone, of which there is one at a time (`Registration`), and by Asterisk's core
// under the lock of its list.
unsafe impl Sync for Shared {}

static SUPPLEMENT: Shared = Shared(Opaque::zeroed());

/// The supplement, while it is registered; dropping it unregisters it. Sessions that have begun keep a copy, whose
/// functions Asterisk will still call: each holds a reference to the module.
#[derive(Debug)]
pub struct Registration(());

/// Registers the supplement. Once at a time: the module has one.
pub fn register<S: Supplement>() -> Registration {
    let supplement = SUPPLEMENT.0.get();
    // SAFETY: a static that lives as long as the library. It is not registered now, so nobody else reads it, and each field
    // is a plain value; zeros stand for "not used". The module is ours.
    unsafe {
        let supplement = &raw mut (*supplement).supplement;
        (*supplement).method = c"INVITE".as_ptr();
        (*supplement).priority = sys::AST_SIP_SUPPLEMENT_PRIORITY_FIRST;
        (*supplement).response_priority = sys::AST_SIP_SESSION_AFTER_MEDIA;
        (*supplement).incoming_response = Some(incoming_response::<S>);
        (*supplement).session_begin = Some(begin);
        (*supplement).session_destroy = Some(destroy::<S>);
        sys::ast_sip_session_register_supplement_with_module(sys::ct_module_self(), supplement);
    }
    Registration(())
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: registered by `register`, and once.
        unsafe { sys::ast_sip_session_unregister_supplement(SUPPLEMENT.0.get().cast()) };
    }
}

/// Sessions that hold a copy of our supplement.
pub fn count() -> usize {
    LIVE.lock().len()
}

/// The call that `rtp` belongs to, asked from within that call's serializer; `None` elsewhere.
pub fn call_of(rtp: RtpInstance<'_>) -> Option<Call> {
    find(|media| {
        // SAFETY: `find` vouches for the session's media.
        unsafe { (*media).rtp == rtp.as_ptr() }
    })
}

/// The call that a stream belongs to, likewise.
pub fn call_of_stream(stream: Stream<'_>) -> Option<Call> {
    find(|media| {
        // SAFETY: `find` vouches for the session's media.
        unsafe { ptr::eq((*media).srtp, stream.as_ptr()) }
    })
}

/// The session of this thread's serializer that has a media line for which `is_it`.
fn find(is_it: impl Fn(*const sys::ast_sip_session_media) -> bool) -> Option<Call> {
    // SAFETY: reads a thread-local of Asterisk's.
    let serializer = unsafe { sys::ct_current_serializer() };
    if serializer.is_null() {
        return None;
    }
    let live = LIVE.lock();
    live.iter()
        .filter(|(_, of_session)| **of_session == serializer.addr())
        .find_map(|(address, _)| {
            // SAFETY: a session's destructor first calls `destroy`, which waits for the lock held here, so a session in the
            // map is whole until this closure ends; its media change only in its serializer, which runs this very task.
            let session = unsafe { Session::from_raw(ptr::with_exposed_provenance_mut(*address)) }?;
            let media = session.media().find(|media| is_it(*media))?;
            Some(session.call(Some(media)))
        })
}

impl Session<'_> {
    /// # Safety
    ///
    /// `session` is NULL, or lives as long as the value, which this thread uses in a task of the session's serializer.
    unsafe fn from_raw(session: *mut sys::ast_sip_session) -> Option<Self> {
        NonNull::new(session).map(|raw| Self {
            raw,
            _alive: PhantomData,
        })
    }

    /// Names it.
    pub fn key(&self) -> SessionKey {
        SessionKey(self.raw.as_ptr().addr())
    }

    /// What is known of its call.
    pub fn facts(&self) -> Call {
        self.call(None)
    }

    /// Its media lines: of the state that is being negotiated first, then of the one in force.
    fn media(&self) -> impl Iterator<Item = *const sys::ast_sip_session_media> {
        // SAFETY: alive, and its media states change only in its serializer, which runs this task.
        let states = unsafe {
            let session = self.raw.as_ptr();
            [
                (*session).pending_media_state,
                (*session).active_media_state,
            ]
        };
        states
            .into_iter()
            .filter(|state| !state.is_null())
            .flat_map(|state| {
                // SAFETY: a media state of the session; its vector has `current` elements, and does not change now.
                unsafe {
                    let sessions = &raw const (*state).sessions;
                    (0..(*sessions).current).map(move |i| (*(*sessions).elems.add(i)).cast_const())
                }
            })
            .filter(|media| !media.is_null())
    }

    /// With what is known of one media line.
    fn call(&self, media: Option<*const sys::ast_sip_session_media>) -> Call {
        let session = self.raw.as_ptr();
        let line = media.map(|media| {
            // SAFETY: a media line of this session (`media`), which does not change in this task; the kind is a static text.
            unsafe {
                let kind = text(sys::ast_codec_media_type2str((*media).type_)).unwrap_or_default();
                (kind, (*media).stream_num)
            }
        });
        let media_address = line
            .as_ref()
            .and_then(|(_, number)| usize::try_from(*number).ok())
            .and_then(|number| self.media_address(number));
        // SAFETY: alive; the endpoint is a sorcery object that the session holds a reference to.
        let endpoint = unsafe {
            let endpoint = (*session).endpoint;
            match endpoint.is_null() {
                true => None,
                false => text(sys::ast_sorcery_object_get_id(endpoint.cast())),
            }
        };
        let (call_id, peer) = self.dialog();
        Call {
            key: self.key(),
            endpoint: endpoint.unwrap_or_default(),
            call_id,
            peer,
            media: line.map_or_else(String::new, |(kind, number)| format!("{kind} {number}")),
            media_address,
            exchange: self.exchange(),
        }
    }

    /// The Call-ID, and the peer's URI and address.
    fn dialog(&self) -> (String, String) {
        // SAFETY: alive; its INVITE session, that one's dialog and transaction change only in the serializer. The texts lie
        // in the dialog's pool.
        unsafe {
            let invite = (*self.raw.as_ptr()).inv_session;
            if invite.is_null() || (*invite).dlg.is_null() {
                return Default::default();
            }
            let dialog = (*invite).dlg;
            let call_id = match (*dialog).call_id.is_null() {
                true => String::new(),
                false => pj_text(&(*(*dialog).call_id).id),
            };
            let mut peer = pj_text(&(*dialog).remote.info_str);
            let transaction = (*invite).invite_tsx;
            if !transaction.is_null()
                && (*transaction).addr_len != 0
                && let Some(address) = super::to_socket_addr(&(*transaction).addr)
            {
                peer.push_str(&format!(" at {address}"));
            }
            (call_id, peer)
        }
    }

    /// The negotiator of offer and answer, once there is one, and its state.
    fn negotiator(&self) -> Option<(*mut sys::pjmedia_sdp_neg, sys::pjmedia_sdp_neg_state)> {
        // SAFETY: alive; the negotiator lies in the dialog's pool and changes only in the serializer.
        unsafe {
            let invite = (*self.raw.as_ptr()).inv_session;
            if invite.is_null() || (*invite).neg.is_null() {
                return None;
            }
            let negotiator = (*invite).neg;
            Some((negotiator, sys::pjmedia_sdp_neg_get_state(negotiator)))
        }
    }

    /// Where offer and answer are. A refused offer leaves the state that was there before.
    fn exchange(&self) -> Exchange {
        match self.negotiator() {
            Some((
                _,
                sys::PJMEDIA_SDP_NEG_STATE_REMOTE_OFFER | sys::PJMEDIA_SDP_NEG_STATE_WAIT_NEGO,
            )) => Exchange::TheirOffer,
            Some((negotiator, sys::PJMEDIA_SDP_NEG_STATE_DONE)) => {
                // SAFETY: the session's negotiator, in its serializer.
                match unsafe { sys::pjmedia_sdp_neg_was_answer_remote(negotiator) } {
                    0 => Exchange::OurAnswer,
                    _ => Exchange::TheirAnswer,
                }
            }
            _ => Exchange::OurOffer,
        }
    }

    /// The peer's latest description: what is being negotiated, or what was agreed. `None` in between.
    fn remote_description(&self) -> Option<*const sys::pjmedia_sdp_session> {
        let (negotiator, state) = self.negotiator()?;
        let mut description = ptr::null();
        // SAFETY: the session's negotiator, in its serializer; in these states it has the description asked for.
        let status = unsafe {
            match state {
                sys::PJMEDIA_SDP_NEG_STATE_REMOTE_OFFER | sys::PJMEDIA_SDP_NEG_STATE_WAIT_NEGO => {
                    sys::pjmedia_sdp_neg_get_neg_remote(negotiator, &raw mut description)
                }
                sys::PJMEDIA_SDP_NEG_STATE_DONE => {
                    sys::pjmedia_sdp_neg_get_active_remote(negotiator, &raw mut description)
                }
                _ => return None,
            }
        };
        (status == super::Status::SUCCESS && !description.is_null()).then_some(description)
    }

    /// Where the peer wants the media of line `number`.
    fn media_address(&self, number: usize) -> Option<SocketAddr> {
        let description = self.remote_description()?;
        // SAFETY: a description in the dialog's pool, which does not change in this task; the first `media_count` elements
        // of the array are its media lines, and connection lines may be missing.
        let (host, port) = unsafe {
            let count = usize::try_from((*description).media_count).ok()?;
            let media = *(*description).media.get(..count)?.get(number)?;
            let own = (*media).conn;
            let connection = if own.is_null() {
                (*description).conn
            } else {
                own
            };
            let host = pj_text(&connection.as_ref()?.addr);
            (host, (*media).desc.port)
        };
        let host: IpAddr = host.parse().ok()?;
        (!host.is_unspecified() && port != 0).then(|| SocketAddr::new(host, port))
    }

    /// The media lines of the peer's latest description.
    pub fn remote_media(&self) -> Vec<MediaLine> {
        let Some(description) = self.remote_description() else {
            return Vec::new();
        };
        // SAFETY: a description in the dialog's pool, which does not change in this task; the first `media_count` elements
        // of the array are its media lines.
        unsafe {
            let count = usize::try_from((*description).media_count).unwrap_or(0);
            let media = (*description).media.get(..count).unwrap_or_default();
            media
                .iter()
                .map(|media| {
                    let line = &(**media).desc;
                    let crypto =
                        sys::pjmedia_sdp_media_find_attr2(*media, c"crypto".as_ptr(), ptr::null());
                    MediaLine {
                        kind: pj_text(&line.media),
                        port: line.port,
                        transport: pj_text(&line.transport),
                        has_crypto: !crypto.is_null(),
                    }
                })
                .collect()
        }
    }

    /// Options of the session's endpoint, as `pjsip show endpoint` prints them; `None` for one that there is not.
    ///
    /// Through sorcery and not from the structure: `media_encryption` lies elsewhere in 22.0 than in 22.1, which cannot be
    /// told apart at load.
    pub fn endpoint_options<const N: usize>(&self, names: [&str; N]) -> [Option<String>; N] {
        let mut values = [const { None }; N];
        // SAFETY: alive; the endpoint is a sorcery object that the session holds a reference to. The list is ours.
        let list = unsafe {
            let endpoint = (*self.raw.as_ptr()).endpoint;
            if endpoint.is_null() {
                return values;
            }
            sys::ast_sorcery_objectset_create2(
                sys::ast_sip_get_sorcery(),
                endpoint.cast(),
                sys::AST_HANDLER_ONLY_STRING,
            )
        };
        let mut variable = list;
        // SAFETY: the list lives until it is destroyed below, and nobody else has it.
        while let Some(node) = unsafe { variable.as_ref() } {
            // SAFETY: a text inside the node.
            let name = unsafe { text(node.name) }.unwrap_or_default();
            if let Some(place) = names.iter().position(|wanted| *wanted == name) {
                // SAFETY: a text inside the node.
                values[place] = unsafe { text(node.value) };
            }
            variable = node.next;
        }
        // SAFETY: the list made above; nothing of it is referred to any more.
        unsafe { sys::ast_variables_destroy(list) };
        values
    }

    /// Hangs the session's channel up, as res_pjsip_session does when media cannot be negotiated.
    pub fn hang_up(&self) {
        // SAFETY: alive, and the channel is the session's own while its serializer runs this task; the functions lock it.
        unsafe {
            let channel = (*self.raw.as_ptr()).channel;
            if !channel.is_null() {
                let cause = sys::AST_CAUSE_BEARERCAPABILITY_NOTAVAIL.cast_signed();
                sys::ast_channel_hangupcause_set(channel, cause);
                sys::ast_set_hangupsource(channel, sys::ast_channel_name(channel), 0);
                sys::ast_queue_hangup(channel);
            }
        }
    }
}

/// Has the call of a PJSIP channel, by its unique id, send a re-INVITE with a new description. Not from a media thread: it
/// locks channels. `false`: there is no such call.
pub fn offer_again(channel_id: &str) -> bool {
    // An empty name would find any channel.
    let Some(channel_id) = CString::new(channel_id).ok().filter(|id| !id.is_empty()) else {
        return false;
    };
    let session = session_of_channel(&channel_id);
    if session.is_null() {
        return false;
    }
    // SAFETY: a session of which we have a reference, which the task gives back; its serializer lives as long.
    unsafe {
        if sys::ct_sip_push_task((*session).serializer, Some(refresh), session.cast()) == 0 {
            return true;
        }
    }
    release(session.cast());
    false
}

/// A reference to the session of a PJSIP channel; NULL if there is none.
fn session_of_channel(channel_id: &CStr) -> *mut sys::ast_sip_session {
    // SAFETY: a text that stays during the call; the channel comes back with a reference of ours, is locked while its
    // technology and what that keeps are read, and a session found there gets a reference before the lock is given back.
    unsafe {
        let channel = sys::ast_channel_get_by_name(channel_id.as_ptr());
        if channel.is_null() {
            return ptr::null_mut();
        }
        let mut session = ptr::null_mut();
        sys::ct_channel_lock(channel);
        let technology = sys::ast_channel_tech(channel);
        if !technology.is_null() && text((*technology).type_).is_some_and(|kind| kind == "PJSIP") {
            let private = sys::ast_channel_tech_pvt(channel).cast::<sys::ast_sip_channel_pvt>();
            if !private.is_null() && !(*private).session.is_null() {
                session = (*private).session;
                count_references(session.cast(), 1);
            }
        }
        sys::ct_channel_unlock(channel);
        release(channel.cast());
        session
    }
}

/// In the session's serializer, with a reference that is given back here.
extern "C" fn refresh(session: *mut c_void) -> c_int {
    guard((), || {
        // SAFETY: a session that our reference keeps; NULL for every callback is "none", and for the media "as it is".
        unsafe {
            sys::ast_sip_session_refresh(
                session.cast(),
                None,
                None,
                None,
                sys::AST_SIP_SESSION_REFRESH_METHOD_INVITE,
                1,
                ptr::null_mut(),
            );
        }
    });
    release(session);
    0
}

/// Gives back one reference of ours.
fn release(object: *mut c_void) {
    // SAFETY: `object` is an `ao2` object of which this file has taken a reference, and its callers give it back once.
    unsafe { count_references(object, -1) };
}

/// # Safety
///
/// A live `ao2` object; for -1, one of which the caller has a reference.
unsafe fn count_references(object: *mut c_void, change: c_int) {
    // SAFETY: by the caller; the texts are for Asterisk's debugging and static.
    unsafe {
        sys::__ao2_ref(
            object,
            change,
            ptr::null(),
            c"ciphertrunk".as_ptr(),
            0,
            c"session".as_ptr(),
        );
    }
}
