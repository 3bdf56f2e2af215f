#!/bin/sh
# Makes the two files of course_lib/widgets/runtime/ that run networks in the page, from npm's onnxruntime-web:
#   onnxruntime.mjs       onnxruntime-web/wasm and the loader of its WebAssembly in one ES module
#   onnxruntime.wasm.gz   the WebAssembly, gzip'd
# They are committed: run this only to move to another version. The same versions give the same bytes; `--check`
# compares them with what is committed. Needs node with npm, gzip and sha256sum.
set -eu

ONNXRUNTIME=1.22.0 # of those that read opset 20, the smallest: 2.9 MB of gzip where 1.30.0 has 3.7 and is no faster
ESBUILD=0.28.2

out=$(cd "$(dirname "$0")/../course_lib/widgets/runtime" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true }' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact \
    "onnxruntime-web@$ONNXRUNTIME" "esbuild@$ESBUILD"
dist=node_modules/onnxruntime-web/dist

# The loader looks for files beside itself. In a page that is one file there are none: it is kept as text, told
# another address, and given the WebAssembly as bytes. (And a home folder that nothing uses loses its path.)
sed -e 's#import\.meta\.url#"file:///"#g' -e 's#/home\(/web_user\)#\1#' \
    "$dist/ort-wasm-simd-threaded.mjs" >loader.mjs
cat >entry.mjs <<EOF
import { InferenceSession, Tensor, env } from "./$dist/ort.wasm.min.mjs";
import loader from "./loader.mjs" with { type: "text" };

export { InferenceSession, Tensor };

export function useWasm(bytes) {
  env.logLevel = "error";
  env.wasm.numThreads = 1; // threads need headers that neither Jupyter nor a file sends
  env.wasm.wasmBinary = bytes;
  env.wasm.wasmPaths = { mjs: URL.createObjectURL(new Blob([loader], { type: "text/javascript" })) };
}
EOF
node_modules/.bin/esbuild entry.mjs --bundle --format=esm --minify --platform=browser --log-level=warning \
    --banner:js="/* onnxruntime-web $ONNXRUNTIME, Copyright (c) Microsoft Corporation, MIT License: see LICENSE */" \
    --outfile=onnxruntime.mjs
gzip -9nc "$dist/ort-wasm-simd-threaded.wasm" >onnxruntime.wasm.gz

if [ "${1:-}" = --check ]; then
    cmp onnxruntime.mjs "$out/onnxruntime.mjs"
    gzip -dc "$out/onnxruntime.wasm.gz" | cmp - "$dist/ort-wasm-simd-threaded.wasm" # gzips differ in their bytes
    echo "The committed files are those of onnxruntime-web $ONNXRUNTIME."
else
    cp onnxruntime.mjs onnxruntime.wasm.gz "$out/"
    (cd "$out" && sha256sum onnxruntime.mjs onnxruntime.wasm.gz && wc -c onnxruntime.*)
fi
