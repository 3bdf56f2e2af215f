// A multiple-choice question. The picture, where there is one, already stands in the page and is moved into place.

const QUIZ_STYLE = `
.cw-quiz { max-width: 46em; border: 1px solid var(--line); border-left: 4px solid var(--accent); border-radius: 6px; padding: 12px 16px; }
.cw-quiz fieldset { min-width: 0; margin: 0; padding: 0; border: 0; }
.cw.cw-quiz legend { width: 100%; margin: 0 0 10px; padding: 0; border: 0; color: var(--ink); font: inherit; }
.cw.cw-quiz code { padding: 1px 4px; border: 0; border-radius: 3px; background: var(--code); color: inherit; font: 13px/1.5 ui-monospace, monospace; }
.cw-quiz { --code: #eef0f3; } .cw-quiz[data-theme=dark] { --code: #2a2f37; }
.cw.cw-quiz pre { margin: 8px 0; padding: 10px 12px; border-radius: 4px; background: var(--code); overflow-x: auto; }
.cw.cw-quiz pre code { padding: 0; background: none; }
.cw-option { display: grid; grid-template-columns: 20px 1fr; gap: 8px; padding: 6px 8px; border-radius: 4px; cursor: pointer; }
.cw-option:hover { background: var(--code); }
.cw-option input { width: 16px; height: 16px; margin: 2px 0 0; accent-color: var(--accent); }
.cw-why { margin: 0 8px 6px 36px; color: var(--quiet); font-size: 13.5px; }
.cw-why[data-mark]::before { content: attr(data-mark) " "; font-weight: 700; }
.cw-why[data-mark="✓"] { color: var(--good); }
.cw-why[data-mark="✗"] { color: var(--bad); }
.cw-quiz-foot { display: flex; gap: 12px; align-items: center; margin-top: 10px; min-height: 30px; }
.cw-verdict { font-weight: 600; }
.cw-verdict[data-right=true] { color: var(--good); }
`;

function render({ model, el }) {
  const ending = new AbortController();
  const { signal } = ending;
  const options = model.get("options");
  const several = options.filter((option) => option.correct).length > 1;
  const root = widgetRoot("cw-quiz", `Question ${model.get("id")}`);
  const say = announcer(root, signal);
  const group = `quiz-${Math.random().toString(36).slice(2)}`; // radio buttons of one question share a name

  const rows = options.map(({ text }) => {
    const input = element("input", { type: several ? "checkbox" : "radio", name: group });
    const label = element("span");
    label.innerHTML = text; // made, and escaped, by quiz.py
    const why = element("div", { class: "cw-why", hidden: "" });
    return { input, why, row: element("div", {}, element("label", { class: "cw-option" }, input, label), why) };
  });
  const legend = element("legend");
  legend.innerHTML = `<strong>${model.get("id")}</strong> ${model.get("question")}${several ? " <em>Choose all that apply.</em>" : ""}`;
  const verdict = element("div", { class: "cw-verdict" });
  const check = element("button", { class: "cw-button", type: "submit" }, "Check");
  const form = element("form", {}, element("fieldset", {}, legend, ...el.querySelectorAll("img"), ...rows.map(({ row }) => row)),
    element("div", { class: "cw-quiz-foot" }, check, verdict));

  const clear = () => {
    verdict.textContent = "";
    delete verdict.dataset.right;
    for (const { why } of rows) why.hidden = true;
  };
  const explain = (index, marked) => {
    const { why } = rows[index];
    why.innerHTML = options[index].why;
    why.hidden = false;
    if (marked) why.dataset.mark = options[index].correct ? "✓" : "✗";
    else delete why.dataset.mark;
  };
  const answer = () => {
    clear();
    const chosen = rows.map(({ input }) => input.checked);
    const wrong = options.filter((option, index) => chosen[index] && !option.correct).length;
    const missing = options.filter((option, index) => !chosen[index] && option.correct).length;
    const right = wrong === 0 && missing === 0;
    if (!chosen.includes(true)) verdict.textContent = "Choose an answer first.";
    else if (right) [verdict.textContent, verdict.dataset.right] = ["Right.", "true"];
    else if (wrong === 0) verdict.textContent = `So far so good: ${missing} more to find.`;
    else verdict.textContent = "Not quite. Try again.";
    options.forEach((option, index) => { if (chosen[index] || right) explain(index, chosen[index]); });
    const reasons = rows.filter((row, index) => chosen[index]).map((row) => row.why.textContent);
    say([verdict.textContent, ...reasons].join(" "));
  };

  form.addEventListener("submit", (event) => { event.preventDefault(); answer(); }, { signal });
  form.addEventListener("change", clear, { signal });
  form.addEventListener("keydown", (event) => {
    if (event.key === " " || event.key === "Enter" || event.key.startsWith("Arrow")) event.stopPropagation();
  }, { signal });
  root.append(element("style", {}, QUIZ_STYLE), form);
  followTheme(root, () => {}, signal);
  el.replaceChildren(root);
  return () => { ending.abort(); root.remove(); };
}

export default { render };
