// Networks that run in the page, by onnxruntime-web. One copy serves every widget of the page: whoever needs it first
// fetches it, the others wait for the same promise. Without it a widget shows what it has in its sheet.

const RUNTIME_FILES = ["onnxruntime.mjs", "onnxruntime.wasm.gz"];

// The widget's network: { run(feeds) }, released when the signal ends. Null where the page was given none, as in a saved
// notebook; an Error with a sentence for the reader where there is one and it cannot run.
async function openNetwork(model, signal) {
  try {
    const bytes = await networkBytes(model, signal);
    const source = bytes && runtimeSource(model, signal);
    if (!source) return null;
    if (!globalThis.WebAssembly) throw new Error("it has no WebAssembly");
    const runtime = await openRuntime(source, signal);
    const session = await runtime.InferenceSession.create(bytes);
    return sessionNetwork(runtime, session, signal);
  } catch (error) {
    if (signal.aborted) return null;
    throw new Error(`This browser cannot run the network (${error.message}); what is shown was computed before.`);
  }
}

// feeds: { name: { data: Float32Array or BigInt64Array, dims } }; `run` gives the outputs in the same form.
function sessionNetwork(runtime, session, signal) {
  let running = Promise.resolve();
  const release = () => running.catch(() => {}).then(() => session.release()); // not under a run that is on its way
  if (signal.aborted) return release().then(() => null);
  signal.addEventListener("abort", release);
  return {
    run(feeds) {
      const tensors = {};
      for (const [name, { data, dims }] of Object.entries(feeds)) {
        tensors[name] = new runtime.Tensor(data instanceof BigInt64Array ? "int64" : "float32", data, dims);
      }
      running = session.run(tensors);
      return running;
    },
  };
}

// The network's bytes: in a page they are part of the widget's state, in a notebook the kernel has them.
async function networkBytes(model, signal) {
  const bytes = model.get("onnx");
  if (bytes) return bytesOf(bytes);
  return model.alone ? null : (await askKernel(model, "network", signal))[0];
}

// The runtime, started once per page. If it fails for the widget that fetches it (its cell may be run again meanwhile),
// the next one that needs it tries for itself.
async function openRuntime(source, signal) {
  for (;;) {
    const mine = globalThis.courseRuntime === undefined;
    const shared = (globalThis.courseRuntime ??= startRuntime(source));
    try {
      return await shared;
    } catch (error) {
      if (globalThis.courseRuntime === shared) globalThis.courseRuntime = undefined;
      if (mine || signal.aborted) throw error;
    }
  }
}

async function startRuntime(source) {
  const [module, wasm] = await Promise.all((await source()).map(inflated));
  const url = URL.createObjectURL(new Blob([module], { type: "text/javascript" }));
  const runtime = await import(url);
  URL.revokeObjectURL(url);
  runtime.useWasm(wasm);
  return runtime;
}

// Where the two files come from, as a function that gives their bytes; null where this page has no source.
function runtimeSource(model, signal) {
  const held = RUNTIME_FILES.map((name) => document.querySelector(`script[data-course-runtime="${name}"]`));
  if (held.every(Boolean)) return async () => held.map((script) => bytesOfBase64(script.textContent));
  const link = document.querySelector("link[rel=course-runtime]"); // a site: the folder of the files
  if (link) return () => Promise.all(RUNTIME_FILES.map((name) => fetched(new URL(name, link.href), signal)));
  return model.alone ? null : () => askKernel(model, "runtime", signal);
}

async function fetched(url, signal) {
  const response = await fetch(url, { signal });
  if (!response.ok) throw new Error(`${url.pathname} was not found`);
  return new Uint8Array(await response.arrayBuffer());
}

// Ask the kernel for something that is too large to be a part of the widget's state; gives its buffers.
function askKernel(model, kind, signal) {
  return new Promise((resolve, reject) => {
    const answer = (message, buffers) => {
      if (message.kind !== kind) return;
      model.off("msg:custom", answer);
      resolve(buffers.map(bytesOf));
    };
    model.on("msg:custom", answer);
    signal.addEventListener("abort", () => { model.off("msg:custom", answer); reject(new Error("the widget was closed")); });
    model.send({ kind });
  });
}

// Some servers inflate gzip on the way, some do not: the first two bytes tell.
async function inflated(bytes) {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function bytesOfBase64(text) {
  const letters = atob(text.trim());
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

// Paint one image, floats (C, H, W) in [-1, 1] with C = 1 or 3, over the whole canvas. Values beyond are clipped.
function paintTensor(canvas, data, channels) {
  const { width, height } = canvas;
  const image = new ImageData(width, height); // its bytes are rounded and clipped as they are set
  const plane = width * height;
  for (let i = 0; i < plane; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = (data[(channels === 3 ? c : 0) * plane + i] + 1) * 127.5;
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}
