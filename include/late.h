/*
 * Ciphertrunk: res_pjsip and pjproject, found when the module is loaded.
 *
 * The module is one file for hosts with PJSIP and without. So none of PJSIP's functions is bound by the dynamic linker, which would
 * refuse the file where one is missing: late.c defines each of them, hidden, as a jump through a word of a table, and
 * ct_late_find() fills the table. Who calls one, in C or in Rust, sees the function that the headers declare.
 *
 * Copyright (C) 2026 The Ciphertrunk authors
 * SPDX-License-Identifier: GPL-2.0-only WITH the linking permission in LICENSE
 */
#ifndef CIPHERTRUNK_LATE_H
#define CIPHERTRUNK_LATE_H

/*
 * Looks every one up in the process. NULL: all are there. Otherwise the name of the first that is not, and none may be called: that
 * ends the process with a line that names it. Called once, before any other thread could call one.
 */
const char *ct_late_find(void);

#endif
