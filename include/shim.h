/*
 * Ciphertrunk: what Asterisk offers only as a C macro or a static inline, as functions that Rust can call.
 *
 * Copyright (C) 2026 The Ciphertrunk authors
 * SPDX-License-Identifier: GPL-2.0-only WITH the linking permission in LICENSE
 */
#ifndef CIPHERTRUNK_SHIM_H
#define CIPHERTRUNK_SHIM_H

#include "asterisk.h"

#include "asterisk/security_events_defs.h"

#include <pthread.h>

struct ast_bridge;
struct ast_channel;
struct ast_cli_entry;
struct ast_custom_function;
struct ast_datastore;
struct ast_datastore_info;
struct ast_module;
struct mansession;
struct message;
struct ast_rtp_instance;
struct ast_str;
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

/* The running module that has the dialplan function `name`, with a reference (ast_module_running_ref, a macro); or NULL. */
struct ast_module *ct_module_of_function(const char *name);
void ct_module_of_unref(struct ast_module *module);

/* DEBUG_ATLEAST: a macro over option_debug and AST_MODULE. */
int ct_debug_at_least(int level);

/* ast_pthread_create_background: a macro; the name is what `core show threads` prints. */
int ct_thread_create(pthread_t *thread, void *(*start)(void *), void *data, const char *name);

/* One more handle of this library (dlopen), NULL without one; and its end. */
void *ct_open_self(void);
void ct_close_self(void *handle);

/* ast_strdup: a macro or a function, by how Asterisk counts memory. */
char *ct_strdup(const char *text);

/* ast_cli_register_multiple: a macro over AST_MODULE_SELF. */
int ct_cli_register(struct ast_cli_entry *entries, int count);

/* ast_manager_register_xml: a macro over AST_MODULE_SELF. */
int ct_manager_register(const char *action, int authority, int (*run)(struct mansession *, const struct message *));

/* manager_event: a macro over this file. `headers` are lines, each with its end. */
void ct_manager_event(int category, const char *event, const char *headers);

/*
 * include/security.c: a security event. `first`, `second` and `third` are the fields that only events of this type have; `over` is the
 * transport, e.g. `TLS`, and both addresses have a port. All texts are copied.
 */
struct ct_security_event {
	enum ast_security_event_type type;
	const char *account;
	const char *session;
	const char *local;
	const char *remote;
	const char *over;
	const char *first;
	const char *second;
	const char *third;
};
void ct_security_event(const struct ct_security_event *what);

/*
 * include/prometheus.c: has res_prometheus call ciphertrunk_scrape for its page, if it is loaded. 1: it does, from now on; 0: it is
 * not loaded, or cannot; -1: it is about to start, so ask again. And the end, after which no such call is under way.
 */
int ct_prometheus_register(void);
void ct_prometheus_unregister(void);

/* How many libraries were loaded and unloaded since the process began. */
unsigned long long ct_library_changes(void);

/* ast_str_append: a macro. */
void ct_str_append(struct ast_str **output, const char *text);

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

/* The serializer whose task this thread runs, NULL outside of one. The function moved between releases of one branch. */
struct ast_taskprocessor *ct_current_serializer(void);

/* Whether it is a request in a dialog; NULL is none. */
struct pjsip_tx_data;
int ct_is_in_dialog(const struct pjsip_tx_data *tdata);

/* ast_sip_push_task: a macro. 0: `task` will run in the serializer. */
int ct_sip_push_task(struct ast_taskprocessor *serializer, int (*task)(void *), void *data);

/* ast_custom_function_register: a macro over AST_MODULE_SELF. */
int ct_function_register(struct ast_custom_function *function);

/* ast_datastore_alloc: a macro over AST_MODULE_SELF. */
struct ast_datastore *ct_datastore_alloc(const struct ast_datastore_info *info);

/* Calls `each` with the data of every datastore of this kind that the channel has. */
void ct_datastores_each(struct ast_channel *channel, const struct ast_datastore_info *info,
	void (*each)(void *data, void *argument), void *argument);

/* Sets `CHANNEL(option)` to 1 on both sides of a Local channel, of which this one is locked. 0: done. */
int ct_write_both_sides(struct ast_channel *channel, const char *option);

/* ast_channel_lock/unlock: macros over ao2_lock. */
void ct_channel_lock(struct ast_channel *channel);
void ct_channel_unlock(struct ast_channel *channel);

/* ao2_lock/unlock: macros. */
void ct_rtp_lock(struct ast_rtp_instance *instance);
void ct_rtp_unlock(struct ast_rtp_instance *instance);

/* Whether the channel was made by an originate, and not by a call: a macro over ast_channel_flags. */
int ct_channel_is_originated(struct ast_channel *channel);

/* include/bridge.c: calls `each` with every channel of a bridge, which is locked, or nobody else's yet. */
void ct_bridge_each(struct ast_bridge *bridge, void (*each)(struct ast_channel *channel, void *data), void *data);

/* Calls `each` with every other channel, locked, of the bridge that the channel is in, which is locked. -1: another thread has the
 * bridge, or one of them, and not all were had. Waits for nobody: bridges are locked before their channels. */
int ct_channel_each_other(struct ast_channel *channel, void (*each)(struct ast_channel *other, void *data), void *data);

/* Where a bridge keeps what its technology has for it. Likewise. */
void **ct_bridge_private(struct ast_bridge *bridge);

/* The name of the technology of the bridge that the channel is in; empty: it is in none. Locks the channel, then the bridge. */
void ct_channel_bridge_technology(struct ast_channel *channel, char *name, size_t size);

/* What the dialplan demands of those that the channel is bridged with, by `CHANNEL(secure_bridge_...)`: these bits. */
#define CT_SECURE_SIGNALING 1
#define CT_SECURE_MEDIA 2
unsigned int ct_channel_secure_bridge(struct ast_channel *channel);

/* Whether the channel runs a dialplan of its own, or was made to run one, and is not one that another channel dialled. */
int ct_channel_runs_dialplan(struct ast_channel *channel);

/* ast_rtp_instance_get_stats: RTP packets sent, received, and lost on their way here. -1: nothing is counted. */
int ct_rtp_counts(struct ast_rtp_instance *instance, unsigned int counts[3]);

/* Whether the instance is to have keys by a DTLS handshake. */
int ct_rtp_is_dtls(struct ast_rtp_instance *instance);

/* include/cdr.c: values for CDRs, while they may be set; and their end, after which none is being set. -1: not possible. */
int ct_cdr_begin(void);
void ct_cdr_end(void);

/* Between these, with the channel locked: sets the variable `name`, a static text, of its CDR; behind what has happened, without waiting. */
void ct_cdr_set(struct ast_channel *channel, const char *of, const char *with, const char *name, const char *text);

/* CEL's event `event` of the user, with a text. With the channel locked. */
void ct_cel_event(struct ast_channel *channel, const char *event, const char *text);

/* Runs `task` in a PJSIP servant thread and waits: ast_sip_push_task_wait_servant, a macro. */
int ct_sip_servant_wait(int (*task)(void *), void *data);

#endif
