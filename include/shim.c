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
#include "asterisk/module.h"
#include "asterisk/options.h"
#include "asterisk/pbx.h"
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

void ct_verbose(int level, const char *message)
{
	/* The macro ast_verb would name this file. */
	if (VERBOSITY_ATLEAST(level)) {
		__ast_verbose("res_ciphertrunk", __LINE__, __func__, level, "%s\n", message);
	}
}

int ct_thread_create(pthread_t *thread, void *(*start)(void *), void *data, const char *name)
{
	/* The macro would print the name of its argument, `start`: the function below it is called with ours. */
	return ast_pthread_create_stack(thread, NULL, start, data, AST_BACKGROUND_STACKSIZE,
		__FILE__, __func__, __LINE__, name);
}

int ct_cli_register(struct ast_cli_entry *entries, int count)
{
	return ast_cli_register_multiple(entries, count);
}

void ct_channel_lock(struct ast_channel *channel)
{
	ast_channel_lock(channel);
}

void ct_channel_unlock(struct ast_channel *channel)
{
	ast_channel_unlock(channel);
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
