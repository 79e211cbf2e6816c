/*
 * Ciphertrunk: the module's declaration and the host's macros, expanded by a C compiler, so that checksums,
 * constructors and structure layouts are right by construction.
 *
 * Copyright (C) 2026 The Ciphertrunk authors
 * SPDX-License-Identifier: GPL-2.0-only WITH the linking permission in LICENSE
 */
#include "shim.h"

#include <dlfcn.h>
#include <string.h>

#include "asterisk/channel.h"
#include "asterisk/cli.h"
#include "asterisk/logger.h"
#include "asterisk/manager.h"
#include "asterisk/module.h"
#include "asterisk/options.h"
#include "asterisk/pbx.h"
#include "asterisk/rtp_engine.h"
#include "asterisk/utils.h"

/* src/ffi/entry.rs */
int ciphertrunk_load(void);
int ciphertrunk_reload(void);
int ciphertrunk_unload(void);
/* src/ffi/libsrtp_guard.rs */
int ciphertrunk_stock_starts(void);

struct ast_module *ct_module_self(void)
{
	return AST_MODULE_SELF;
}

struct ast_module *ct_module_ref(void)
{
	return ast_module_ref(AST_MODULE_SELF);
}

void ct_module_unref(void)
{
	ast_module_unref(AST_MODULE_SELF);
}

struct ast_module *ct_module_of_function(const char *name)
{
	struct ast_custom_function *function = ast_custom_function_find(name);

	return function && function->mod ? ast_module_running_ref(function->mod) : NULL;
}

void ct_module_of_unref(struct ast_module *module)
{
	ast_module_unref(module);
}

int ct_debug_at_least(int level)
{
	return DEBUG_ATLEAST(level);
}

int ct_thread_create(pthread_t *thread, void *(*start)(void *), void *data, const char *name)
{
	/* The macro would print the name of its argument, `start`: the function below it is called with ours. */
	return ast_pthread_create_stack(thread, NULL, start, data, AST_BACKGROUND_STACKSIZE,
		__FILE__, __func__, __LINE__, name);
}

char *ct_strdup(const char *text)
{
	return ast_strdup(text);
}

int ct_cli_register(struct ast_cli_entry *entries, int count)
{
	return ast_cli_register_multiple(entries, count);
}

int ct_manager_register(const char *action, int authority, int (*run)(struct mansession *, const struct message *))
{
	return ast_manager_register_xml(action, authority, run);
}

void ct_manager_event(int category, const char *event, const char *headers)
{
	manager_event(category, event, "%s", headers);
}

int ct_function_register(struct ast_custom_function *function)
{
	return ast_custom_function_register(function);
}

struct ast_datastore *ct_datastore_alloc(const struct ast_datastore_info *info)
{
	return ast_datastore_alloc(info, NULL);
}

void ct_datastores_each(struct ast_channel *channel, const struct ast_datastore_info *info,
	void (*each)(void *data, void *argument), void *argument)
{
	struct ast_datastore *datastore;

	ast_channel_lock(channel);
	AST_LIST_TRAVERSE(ast_channel_datastores(channel), datastore, entry) {
		if (datastore->info == info) {
			each(datastore->data, argument);
		}
	}
	ast_channel_unlock(channel);
}

static int write_function(struct ast_channel *channel, const char *function, char *data, const char *value)
{
	/* `CHANNEL` takes none of the locks that its caller holds here. */
	char call[64];

	snprintf(call, sizeof(call), "%s(%s)", function, data);
	return ast_func_write(channel, call, value);
}

int ct_write_both_sides(struct ast_channel *channel, const char *option)
{
	char data[32];
	ast_chan_write_info_t info = {
		.version = AST_CHAN_WRITE_INFO_T_VERSION,
		.write_fn = write_function,
		.chan = channel,
		.function = "CHANNEL",
		.data = data,
		.value = "1",
	};

	ast_copy_string(data, option, sizeof(data));
	return write_function(channel, "CHANNEL", data, "1")
		|| ast_channel_setoption(channel, AST_OPTION_CHANNEL_WRITE, &info, sizeof(info), 0);
}

void ct_channel_lock(struct ast_channel *channel)
{
	ast_channel_lock(channel);
}

void ct_channel_unlock(struct ast_channel *channel)
{
	ast_channel_unlock(channel);
}

void ct_rtp_lock(struct ast_rtp_instance *instance)
{
	ao2_lock(instance);
}

void ct_rtp_unlock(struct ast_rtp_instance *instance)
{
	ao2_unlock(instance);
}

int ct_channel_is_originated(struct ast_channel *channel)
{
	return ast_test_flag(ast_channel_flags(channel), AST_FLAG_ORIGINATED) ? 1 : 0;
}

int ct_rtp_counts(struct ast_rtp_instance *instance, unsigned int counts[3])
{
	struct ast_rtp_instance_stats stats = { 0, };

	if (ast_rtp_instance_get_stats(instance, &stats, AST_RTP_INSTANCE_STAT_ALL)) {
		return -1;
	}
	counts[0] = stats.txcount;
	counts[1] = stats.rxcount;
	counts[2] = stats.rxploss;
	return 0;
}

int ct_rtp_is_dtls(struct ast_rtp_instance *instance)
{
	struct ast_rtp_engine_dtls *dtls = ast_rtp_instance_get_dtls(instance);

	return dtls && dtls->active(instance) ? 1 : 0;
}

void *ct_open_self(void)
{
	Dl_info self;

	return dladdr((void *) ct_open_self, &self) && self.dli_fname
		? dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD) : NULL;
}

void ct_close_self(void *handle)
{
	dlclose(handle);
}

/* libsrtp's own `srtp_init`, for a library at `path` that is loaded: found in it or in what it depends on. */
static int (*libsrtp_init_of(const char *path))(void)
{
	void *handle = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
	int (*init)(void) = handle ? (int (*)(void)) dlsym(handle, "srtp_init") : NULL;

	if (handle) {
		/* It was loaded before, and its caller keeps it. */
		dlclose(handle);
	}
	return init;
}

int ct_srtp_init(void)
{
	static const int srtp_err_status_init_fail = 5;
	/* Where the caller ended in a jump, what looks like the caller is another library: then by libsrtp's own names. */
	static const char *const by_name[] = { "libsrtp2.so.1", "libsrtp3.so.1", "libsrtp.so.1" };
	int (*init)(void) = NULL;
	Dl_info caller;
	size_t i;

	if (dladdr(__builtin_return_address(0), &caller) && caller.dli_fname) {
		if (strstr(caller.dli_fname, "/res_srtp.so") && ciphertrunk_stock_starts()) {
			return srtp_err_status_init_fail;
		}
		init = libsrtp_init_of(caller.dli_fname);
	}
	for (i = 0; !init && i < ARRAY_LEN(by_name); i++) {
		init = libsrtp_init_of(by_name[i]);
	}
	return init ? init() : srtp_err_status_init_fail;
}

/* Global symbols: our `srtp_init` must come before libsrtp's. */
AST_MODULE_INFO(ASTERISK_GPL_KEY, AST_MODFLAG_LOAD_ORDER | AST_MODFLAG_GLOBAL_SYMBOLS,
	"Ciphertrunk: SRTP engine and SIP over TLS",
	.support_level = AST_MODULE_SUPPORT_EXTENDED,
	.load = ciphertrunk_load,
	.reload = ciphertrunk_reload,
	.unload = ciphertrunk_unload,
	/* After res_pjsip, its transports and chan_pjsip; calls are served only once Asterisk is fully booted. */
	.load_pri = AST_MODPRI_APP_DEPEND + 1,
);
