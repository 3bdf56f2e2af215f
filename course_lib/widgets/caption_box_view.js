// What a CaptionBox looks like: a line to type in, an answer, chips, small pictures, a bar, and what else to choose.

const CAPTION_STYLE = `
.cw-caption { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 10px; align-items: center; font-weight: 600; }
.cw-caption[hidden] { display: none; }
.cw-caption input { min-width: 0; height: 36px; padding: 4px 10px; border: 1px solid var(--quiet); border-radius: 6px; background: var(--paper);
  color: var(--ink); font: inherit; font-weight: 400; font-size: 15px; }
.cw-caption-answer { min-height: 21px; margin: 6px 0 0; color: var(--quiet); font-size: 13px; overflow-wrap: anywhere; }
.cw-caption-answer[data-strange] { color: var(--bad); }
.cw-caption-answer .cw-button { margin-left: 6px; padding: 1px 10px; border-radius: 12px; }
.cw-caption-pictures { display: grid; grid-template-columns: repeat(var(--columns), minmax(0, 1fr)); gap: 6px; width: var(--wide); max-width: 100%; }
.cw-caption-pictures canvas { width: 100%; height: auto; }
`;

function captionView(model, choose, signal) {
  const root = widgetRoot("cw-live cw-caption-box", model.get("title"));
  const [width, height] = model.get("size");
  const shown = Math.max(1, Math.round(96 / Math.max(width, height))) * width;
  const pictures = element("div", { class: "cw-caption-pictures", role: "img" });
  const line = captionLine(model, choose, signal);
  const fields = [
    seedField(choose, signal),
    guidanceField(choose, signal),
    stepsField(model, choose, signal),
    selectField("Pictures", "count", model.get("counts").map((n) => [n, n]), choose, signal),
    checkField("Show the guess of the end at every step", "guess", choose, signal),
  ];
  const head = [element("style", {}, SLIDER_STYLE + LIVE_STYLE + CHIP_STYLE + CAPTION_STYLE), element("div", { class: "cw-title" }, model.get("title")), ...line.nodes];
  const parts = sampler(root, model, head, pictures, fields);
  const canvases = (count) => {
    if (pictures.childElementCount !== count) {
      const canvas = () => element("canvas", { class: "cw-image", width, height, "aria-hidden": "true" });
      const columns = Math.min(count, 4);
      pictures.style.cssText = `--columns:${columns}; --wide:${columns * (shown + 2) + 6 * (columns - 1)}px`;
      pictures.replaceChildren(...Array.from({ length: count }, canvas));
      for (const one of pictures.children) one.getContext("2d", { willReadFrequently: true }); // for `contrast`
    }
    return [...pictures.children];
  };
  return {
    root, canvases, ...parts,
    show(state, last, words) {
      parts.show(state, last, words);
      line.show(state);
      const { caption, count } = state.live ? state : model.get("recording");
      pictures.setAttribute("aria-label", `${count === 1 ? "A picture" : `${count} pictures`} of ${quoted(caption)}`);
    },
    without(sentence) { parts.without(sentence); line.hide(true); },
    withNetwork() { parts.withNetwork(); line.hide(false); },
  };
}

// The line to type in, the answer to it, and the chips. A caption is drawn as soon as all of its words are known and the hand
// rests; what is wrong with one is said on Enter, or when the hand rests longer.
function captionLine(model, choose, signal) {
  const known = vocabulary(model);
  const input = element("input", { type: "text", maxlength: 300, autocomplete: "off", autocapitalize: "off", spellcheck: "false", placeholder: "no caption: any picture" });
  const label = element("label", { class: "cw-caption" }, "Caption", input);
  const answer = element("div", { class: "cw-caption-answer", role: "status" });
  let drawn = ""; // the caption that was drawn last
  let timer = 0;
  const tell = (read) => {
    answer.toggleAttribute("data-strange", Boolean(read.complaint));
    answer.textContent = read.complaint ?? (read.told.length ? `It reads: ${read.told.join(" · ")}` : "It reads nothing.");
    for (const [word, near] of read.strange) for (const other of near) answer.append(instead(read.told, word, other));
  };
  const instead = (told, word, other) => {
    const button = element("button", { class: "cw-button", type: "button", "aria-label": `${other} in place of ${word}` }, other);
    button.addEventListener("click", () => { write(told.map((one) => (one === word ? other : one)).join(" ")); input.focus(); }, { signal });
    return button;
  };
  const take = () => {
    clearTimeout(timer);
    const read = readCaption(input.value, known);
    tell(read);
    if (read.complaint || input.value === drawn) return;
    drawn = input.value;
    choose({ caption: drawn });
  };
  const write = (caption) => {
    input.value = caption;
    chips.show(tokenise(caption, known.silent));
    take();
  };
  const press = (words, on) => {
    const told = tokenise(input.value, known.silent);
    if (on) write([input.value.trim(), ...words.filter((word) => !told.includes(word))].filter(Boolean).join(" "));
    else write(told.filter((word) => !words.includes(word)).join(" "));
  };
  const chips = chipGroups(model.get("groups"), known.silent, press, signal);
  input.addEventListener("input", () => {
    clearTimeout(timer);
    const read = readCaption(input.value, known);
    chips.show(read.told);
    timer = setTimeout(take, read.complaint ? 1200 : 250);
  }, { signal });
  input.addEventListener("change", take, { signal });
  input.addEventListener("keydown", (event) => { // not for the notebook
    if (event.key === "Enter") take();
    if (!event.ctrlKey && !event.altKey && !event.metaKey && event.key !== "Tab") event.stopPropagation();
  }, { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));
  return {
    nodes: [label, answer, chips.root],
    hide(on) { for (const node of [label, answer, chips.root]) node.hidden = on; },
    show({ caption }) { // another view, or the kernel, may have set it
      if (caption === drawn && answer.textContent) return;
      drawn = caption;
      input.value = caption;
      const read = readCaption(caption, known);
      chips.show(read.told);
      tell(read);
    },
  };
}
