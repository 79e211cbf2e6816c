/*
 * Ciphertrunk: what Asterisk offers only as a C macro or a static inline, as functions that Rust can call.
 *
 * Copyright (C) 2026 The Ciphertrunk authors
 * SPDX-License-Identifier: GPL-2.0-only WITH the linking permission in LICENSE
 */
#ifndef CIPHERTRUNK_SHIM_H
#define CIPHERTRUNK_SHIM_H

#include "asterisk.h"

#include <pthread.h>

struct ast_cli_entry;
struct ast_module;
struct ast_rtp_instance;
struct ast_sdp_srtp;
struct ast_sip_session;
struct ast_srtp_policy_res;
struct ast_srtp_res;
struct ast_taskprocessor;

/* rtp_engine.c's, which no header declares (res_rtp_asterisk.c does it likewise): the engine in use. */
extern struct ast_srtp_res *res_srtp;
extern struct ast_srtp_policy_res *res_srtp_policy;

/* AST_MODULE_SELF: a macro over a static variable of this file. */
struct ast_module *ct_module_self(void);

/* ast_module_ref/unref: macros that add file, line and function. NULL from ref: the module is going away. */
struct ast_module *ct_module_ref(void);
void ct_module_unref(void);

/* DEBUG_ATLEAST: a macro over option_debug and AST_MODULE. */
int ct_debug_at_least(int level);

/* ast_verb(level): a macro; the prefix that sets the level is made inside it. */
void ct_verbose(int level, const char *message);

/* ast_pthread_create_background: a macro; the name is what `core show threads` prints. */
int ct_thread_create(pthread_t *thread, void *(*start)(void *), void *data, const char *name);

/* ast_cli_register_multiple: a macro over AST_MODULE_SELF. */
int ct_cli_register(struct ast_cli_entry *entries, int count);

/* What this file was compiled against; the running Asterisk is compared with it at load. */
extern const char *const ct_built_pj_branch;
extern const unsigned int ct_built_pjsip_max_pkt_len;

/*
 * Encodes a request in the running pjproject and tells the size of the buffer that it made: PJSIP_MAX_PKT_LEN as
 * that library was compiled, which no header of the host can tell. 0 when it could not be found out. Called in a
 * thread that pjlib knows.
 */
unsigned int ct_probe_pjsip_max_pkt_len(void);

/*
 * What stands for libsrtp's `srtp_init` while the module is loaded (src/ffi/libsrtp_guard.rs exports it and says why: rustc
 * hides a C archive's symbols). Jumped to, so that the return address is the caller's.
 */
int ct_srtp_init(void);

/*
 * The session supplement (a list macro registers it). Each session it was copied into holds a module reference.
 * Rust's ends are ciphertrunk_session_begin and ciphertrunk_session_destroy.
 */
void ct_session_supplement_register(void);
void ct_session_supplement_unregister(void);

/* The serializer whose task this thread runs, NULL outside of one. The function moved between releases of one branch. */
struct ast_taskprocessor *ct_current_serializer(void);
struct ast_taskprocessor *ct_session_serializer(const struct ast_sip_session *session);

/*
 * Whether an instance, or an SDES list, is one of the session's media (AST_VECTOR macros). Only inside the session's
 * serializer.
 */
int ct_session_has_rtp(const struct ast_sip_session *session, const struct ast_rtp_instance *rtp);
int ct_session_has_srtp(const struct ast_sip_session *session, const struct ast_sdp_srtp *srtp);

/* The names of a session; valid while it lives. The Call-ID is not terminated: its length comes back. */
const char *ct_session_endpoint(const struct ast_sip_session *session);
size_t ct_session_call_id(const struct ast_sip_session *session, const char **call_id);

/* The peer's URI as its dialog has it, likewise. */
size_t ct_session_peer(const struct ast_sip_session *session, const char **uri);

/*
 * Where its INVITE came from, or went to, as "address:port" with its terminator, into `text` of `size` octets. -1 if there
 * is no INVITE under way, or no room.
 */
int ct_session_peer_address(const struct ast_sip_session *session, char *text, int size);

/* An instance's media line: its number from 0, and its kind (a static text); -1 if it has none. As ct_session_has_rtp. */
int ct_session_media_line(const struct ast_sip_session *session, const struct ast_rtp_instance *rtp, const char **kind);

/*
 * Where a session's offer and answer are (pjmedia's negotiator). A refused offer leaves the state that was there before.
 * Only inside the session's serializer.
 */
enum ct_exchange {
	/* Nothing is agreed yet, or our offer waits for an answer. */
	CT_EXCHANGE_OUR_OFFER,
	/* The peer's offer is here, and not answered. */
	CT_EXCHANGE_THEIR_OFFER,
	/* Agreed: the peer answered last. */
	CT_EXCHANGE_THEIR_ANSWER,
	/* Agreed: we answered last. */
	CT_EXCHANGE_OUR_ANSWER,
};
enum ct_exchange ct_session_exchange(const struct ast_sip_session *session);

/*
 * Has the session of a PJSIP channel, named by its unique id, send a re-INVITE with a new description. From any thread that
 * holds no lock. 0: it will.
 */
int ct_session_offer_again(const char *channel_id);

/*
 * Whether the peer's answer to our offer carries a stream in clear that the endpoint's media_encryption = sdes (and not
 * optimistic) does not allow. After a response to an INVITE, inside the session's serializer.
 */
int ct_session_answered_in_clear(const struct ast_sip_session *session);

/* Hangs the session's channel up, as res_pjsip_session does when media cannot be negotiated. */
void ct_session_hang_up(struct ast_sip_session *session);

/* Runs `task` in a PJSIP servant thread and waits: ast_sip_push_task_wait_servant, a macro. */
int ct_sip_servant_wait(int (*task)(void *), void *data);

#endif
