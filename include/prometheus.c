/*
 * res_prometheus, which is loaded or not, before us or after us, and goes when it likes: found by its file's name each time that
 * it is asked, and used while a handle of its library is held.
 *
 * Its header is not used: old branches have none, and two functions and one structure are all that is wanted of it.
 *
 * Copyright (C) 2026 The Ciphertrunk authors
 * SPDX-License-Identifier: GPL-2.0-only WITH the linking permission in LICENSE
 */
#include "shim.h"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <string.h>

#include "asterisk/astobj2.h"
#include "asterisk/strings.h"

/* struct prometheus_callback of asterisk/res_prometheus.h */
struct callback {
	const char *name;
	void (*callback_fn)(struct ast_str **output);
};

/* src/ffi/prometheus.rs */
void ciphertrunk_scrape(struct ast_str **output);

/* Asterisk compares the names when it forgets one. */
static struct callback callback = { "ciphertrunk", ciphertrunk_scrape };

/* Copies the path of res_prometheus's library, if it is mapped. */
static int find(struct dl_phdr_info *info, size_t size, void *data)
{
	const char *file = info->dlpi_name ? strrchr(info->dlpi_name, '/') : NULL;

	(void) size;
	if (!file || strcmp(file, "/res_prometheus.so")) {
		return 0;
	}
	ast_copy_string(data, info->dlpi_name, PATH_MAX);
	return 1;
}

/*
 * The library of res_prometheus, which stays mapped until the handle is closed; NULL: it is not loaded. Not by dlsym(RTLD_DEFAULT):
 * glibc would keep the library for as long as ours is there (DL_LOOKUP_ADD_DEPENDENCY), and Asterisk could not load it again.
 */
static void *hold(void)
{
	char path[PATH_MAX];

	/* Should it go just now, it is not loaded. */
	return dl_iterate_phdr(find, path) ? dlopen(path, RTLD_NOLOAD | RTLD_LAZY) : NULL;
}

static void forget(void *library)
{
	void (*unregister)(struct callback *) =
		(void (*)(struct callback *)) dlsym(library, "prometheus_callback_unregister");

	if (unregister) {
		unregister(&callback);
	}
}

/*
 * Whether it has begun: Asterisk maps all libraries before it starts the first module, and the start forgets who is known. Its
 * configuration is there behind that, and the start holds the lock that a registration waits for.
 */
static int has_begun(void *library)
{
	void *(*get)(void) = (void *(*)(void)) dlsym(library, "prometheus_general_config_get");
	void *config = get ? get() : NULL;

	ao2_cleanup(config);
	return config != NULL;
}

int ct_prometheus_register(void)
{
	void *library = hold();
	int (*reg)(struct callback *);
	int done = -1;

	if (!library) {
		return 0;
	}
	reg = (int (*)(struct callback *)) dlsym(library, "prometheus_callback_register");
	if (reg && has_begun(library)) {
		/* It may know us already: it takes one twice. */
		forget(library);
		done = reg(&callback) == 0;
	}
	dlclose(library);
	return done;
}

void ct_prometheus_unregister(void)
{
	void *library = hold();

	if (library) {
		forget(library);
		dlclose(library);
	}
}

static int count(struct dl_phdr_info *info, size_t size, void *data)
{
	unsigned long long *sum = data;

	(void) size;
	*sum = info->dlpi_adds + info->dlpi_subs;
	return 1;
}

unsigned long long ct_library_changes(void)
{
	unsigned long long sum = 0;

	dl_iterate_phdr(count, &sum);
	return sum;
}

void ct_str_append(struct ast_str **output, const char *text)
{
	ast_str_append(output, 0, "%s", text);
}
