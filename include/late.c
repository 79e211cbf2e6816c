/*
 * Copyright (C) 2026 The Ciphertrunk authors
 * SPDX-License-Identifier: GPL-2.0-only WITH the linking permission in LICENSE
 */
#include "asterisk.h"
#include "late.h"

#include <dlfcn.h>

#include "asterisk/logger.h"
#include "asterisk/utils.h"

/* late_names.h is build.rs': a line LATE(name, index) for each function of PJSIP that is called, the index counting from 0. */

#define LATE(name, index) #name,
static const char *const names[] = {
#include "late_names.h"
};
#undef LATE

static void not_found(void)
{
	ast_log(LOG_ERROR, "Ciphertrunk calls a function of PJSIP in an Asterisk that has none: this is a fault of Ciphertrunk's\n");
	abort();
}

#define LATE(name, index) (void *) not_found,
__attribute__((visibility("hidden"))) void *ct_late[] = {
#include "late_names.h"
};
#undef LATE

/* The jumps. endbr64 and hint 34 (bti c) are landing pads where the processor wants them, and nothing elsewhere. */
#if defined(__x86_64__)
#define JUMP(index) \
	"	endbr64\n" \
	"	jmp *ct_late + 8 * " #index "(%rip)\n"
#elif defined(__aarch64__)
#define JUMP(index) \
	"	hint 34\n" \
	"	adrp x16, ct_late + 8 * " #index "\n" \
	"	ldr x16, [x16, :lo12:ct_late + 8 * " #index "]\n" \
	"	br x16\n"
#else
#error "Ciphertrunk is for x86-64 and aarch64"
#endif

#define LATE(name, index) \
	__asm__( \
		"	.pushsection .text\n" \
		"	.p2align 4\n" \
		"	.globl " #name "\n" \
		"	.hidden " #name "\n" \
		"	.type " #name ", %function\n" \
		#name ":\n" \
		JUMP(index) \
		"	.size " #name ", . - " #name "\n" \
		"	.popsection\n");
#include "late_names.h"
#undef LATE

const char *ct_late_find(void)
{
	void *found[ARRAY_LEN(names)];
	size_t i;

	for (i = 0; i < ARRAY_LEN(names); i++) {
		/* Not our own: those are hidden. */
		found[i] = dlsym(RTLD_DEFAULT, names[i]);
		if (!found[i]) {
			return names[i];
		}
	}
	memcpy(ct_late, found, sizeof(found));
	return NULL;
}
