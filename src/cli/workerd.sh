#!/bin/sh
# Becomes workerd ($GLIM_WORKERD); Miniflare starts this in its place. Ctrl-C goes to the whole process group, and workerd
# would die of it with its requests. Ignored signals stay ignored over exec, so what ends workerd is TERM, on which it
# finishes the requests that it has.
trap '' INT HUP
exec "$GLIM_WORKERD" "$@"
