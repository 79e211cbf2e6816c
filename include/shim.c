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

#include "asterisk/cli.h"
#include "asterisk/logger.h"
#include "asterisk/module.h"
#include "asterisk/options.h"
#include "asterisk/utils.h"

/* src/lib.rs */
int ciphertrunk_load(void);
int ciphertrunk_reload(void);
int ciphertrunk_unload(void);
void ciphertrunk_stock_refused(void);

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

int ct_debug_at_least(int level)
{
	return DEBUG_ATLEAST(level);
}

void ct_verbose(int level, const char *message)
{
	ast_verb(level, "%s\n", message);
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

int ct_srtp_init(void)
{
	static const int srtp_err_status_init_fail = 5;
	int (*libsrtp_init)(void);
	Dl_info caller;

	if (dladdr(__builtin_return_address(0), &caller) && caller.dli_fname && strstr(caller.dli_fname, "/res_srtp.so")) {
		ciphertrunk_stock_refused();
		return srtp_err_status_init_fail;
	}
	libsrtp_init = (int (*)(void)) dlsym(RTLD_NEXT, "srtp_init");
	return libsrtp_init ? libsrtp_init() : srtp_err_status_init_fail;
}

/* Global symbols: our `srtp_init` must come before libsrtp's. */
AST_MODULE_INFO(ASTERISK_GPL_KEY, AST_MODFLAG_LOAD_ORDER | AST_MODFLAG_GLOBAL_SYMBOLS,
	"Ciphertrunk: SRTP engine and SIP over TLS",
	.support_level = AST_MODULE_SUPPORT_EXTENDED,
	.load = ciphertrunk_load,
	.reload = ciphertrunk_reload,
	.unload = ciphertrunk_unload,
	/* After res_pjsip, its transports and chan_pjsip; calls are served only once Asterisk is fully booted. */
	.load_pri = AST_MODPRI_APP_DEPEND,
	/* Those of them that are there: without PJSIP the module is the SRTP engine alone. */
	.optional_modules = "res_pjsip,res_pjsip_session,chan_pjsip",
);
