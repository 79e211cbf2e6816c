#!/bin/sh
# Prints what a module that was just built here is for: install.sh compares that with the Asterisk it finds.
#
#   built.sh HEADERS
set -eu

headers=$1
echo "asterisk $(sed -n 's/^version //p' "$headers/MANIFEST")"
echo "machine $(uname -m)"
echo "pjproject $(sed -n 's/^pjproject .* \([0-9.]*\)$/\1/p' "$headers/MANIFEST")"
echo "buildopts $(find "$headers/asterisk" -name buildopts.h -exec sed -n 's/^#define AST_BUILDOPT_SUM "\(.*\)".*/\1/p' {} + | head -n 1)"
