# `make help`: each target with the first sentence of the comment in front of it.

/^# / {
    if (!in_comment) text = ""
    in_comment = 1
    text = text (text == "" ? "" : " ") substr($0, 3)
    next
}

{ in_comment = 0 }

/^[a-z][a-z0-9-]*:([^=]|$)/ {
    target = $1
    sub(/:.*/, "", target)
    if (target in seen) next
    seen[target] = 1
    if (match(text, /\.( |$)/)) text = substr(text, 1, RSTART - 1)
    printf "  %-16s %s\n", target, text
    text = ""
}
