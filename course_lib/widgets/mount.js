// Bring a widget alive without a kernel. `packed` holds its ES module and what a kernel would have held for it.
async function mount(key, packed) {
  const places = document.querySelectorAll(`[data-course-widget="${key}"]:not([data-alive])`);
  for (const place of places) place.dataset.alive = "";
  const { source, state } = await unpack(packed);
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const { default: widget } = await import(url);
  URL.revokeObjectURL(url);
  for (const place of places) await widget.render({ model: pageModel(state), el: place });
}

async function unpack(packed) {
  const stream = new Blob([fromBase64(packed)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).json();
}

function fromBase64(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

// The part of anywidget's model that our widgets use, held in the page.
function pageModel(state) {
  const values = {};
  for (const [name, value] of Object.entries(state)) values[name] = value?.base64 === undefined ? value : fromBase64(value.base64);
  const listeners = {}; // event -> a set of functions
  return {
    alone: true, // no kernel will answer
    get: (name) => values[name],
    set(name, value) {
      values[name] = value;
      for (const listener of listeners[`change:${name}`] ?? []) listener();
    },
    save_changes() {},
    send() {},
    on: (event, listener) => (listeners[event] ??= new Set()).add(listener),
    off: (event, listener) => listeners[event]?.delete(listener),
  };
}
