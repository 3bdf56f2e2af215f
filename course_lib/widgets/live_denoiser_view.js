// What a LiveDenoiser looks like: two images, a bar, and what to sample.

const TWO_STYLE = `
.cw-live-images { display: flex; flex-wrap: wrap; gap: 12px 16px; }
.cw-live-images > div { flex: 1 1 130px; min-width: 0; }
.cw-live-images .cw-image { max-width: 100%; }
.cw-live-label { margin: 0 0 4px; font-size: 13px; }
.cw-live-label i { font-family: Georgia, serif; }
`;

function liveView(model, choose, signal) {
  const root = widgetRoot("cw-live", model.get("title"));
  const [, height, width] = model.get("shape");
  const shown = Math.max(1, Math.round(196 / Math.max(width, height))) * width;
  const canvas = (label) => element("canvas", { class: "cw-image", width, height, role: "img", "aria-label": label, style: `width:${shown}px` });
  const [x, guess] = [canvas("What the sampler holds"), canvas("Its guess of the end")];
  x.getContext("2d", { willReadFrequently: true }); // for `contrast`
  const figure = (image, letter, index, text) => element("div", {}, element("div", { class: "cw-live-label" },
    element("i", {}, letter), element("sub", {}, index), `, ${text}`), image);
  const names = model.get("names");
  const fields = [
    seedField(choose, signal),
    ...(names.length ? [selectField("Class", "label", names.map((name, i) => [i, name]), choose, signal)] : []),
    ...(model.get("null") < 0 ? [] : [guidanceField(choose, signal)]),
    stepsField(model, choose, signal),
    checkField("Fresh noise at every step (DDPM)", "fresh", choose, signal),
  ];
  const head = [element("style", {}, SLIDER_STYLE + LIVE_STYLE + TWO_STYLE), element("div", { class: "cw-title" }, model.get("title"))];
  const pictures = element("div", { class: "cw-live-images" },
    figure(x, "x", "t", "what the sampler holds"), figure(guess, "x", "0", "its guess of the end"));
  return { root, x, guess, ...sampler(root, model, head, pictures, fields) };
}
