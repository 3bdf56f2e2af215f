// Captions in plain words, exactly as course_lib/words.py reads them. A vocabulary is { words, silent, length }.

const LETTER = "[\\p{L}\\p{N}_]";
const WORD = new RegExp(`${LETTER}+(?:[-']${LETTER}+)*`, "gu");
const MEDIUM = new RegExp(`(?<!${LETTER})medium\\s+(light|dark)(?!${LETTER})`, "gu");

// The words of a caption, lower case, each once and in their order; without punctuation and silent words.
function tokenise(caption, silent) {
  const text = caption.toLowerCase().replaceAll("’", "'").replace(MEDIUM, "medium-$1");
  return [...new Set(text.match(WORD) ?? [])].filter((word) => !silent.includes(word));
}

// A caption as { told: its words, tokens: a row of numbers }, or with a `complaint` in place of the tokens: a sentence. `strange`
// has the words that are not known, each with up to three that are spelled alike. 0 pads, 1 opens, word i is i + 2.
function readCaption(caption, { words, silent, length }) {
  const told = tokenise(caption, silent);
  const strange = told.filter((word) => !words.includes(word)).map((word) => [word, closeMatches(word, words)]);
  if (strange.length) {
    const named = strange.map(([word, near]) => `"${word}"` + (near.length ? ` (known: ${near.join(", ")})` : ""));
    const complaint = `No picture in training had these words of "${caption}": ${named.join(", ")}. Take other words, or leave them out.`;
    return { told, strange, complaint };
  }
  if (told.length >= length) {
    const complaint = `"${caption}" has ${told.length} words, but there is room for ${length - 1}: leave some out.`;
    return { told, strange, complaint };
  }
  const tokens = [1, ...told.map((word) => words.indexOf(word) + 2)];
  return { told, strange, tokens: [...tokens, ...Array(length - tokens.length).fill(0)] };
}

// Up to three of `words` that are spelled like `word`, the most alike first: Python's difflib.get_close_matches.
function closeMatches(word, words) {
  const scored = words.map((other) => [alike(other, word), other]).filter(([score]) => score >= 0.6);
  scored.sort(([a, x], [b, y]) => b - a || (x < y ? 1 : -1));
  return scored.slice(0, 3).map(([, other]) => other);
}

// Twice the letters that two words share, block by block, over all letters of both. Ratcliff and Obershelp's measure.
function alike(one, other) {
  const [a, b] = [Array.from(one), Array.from(other)];
  return (2 * shared(a, b)) / (a.length + b.length);
}

// The longest block that both have, and then to the left and to the right of it.
function shared(a, b) {
  let [size, i, j] = [0, 0, 0];
  for (let p = 0; p < a.length; p++) {
    for (let q = 0; q < b.length; q++) {
      let k = 0;
      while (p + k < a.length && q + k < b.length && a[p + k] === b[q + k]) k++;
      if (k > size) [size, i, j] = [k, p, q];
    }
  }
  return size && size + shared(a.slice(0, i), b.slice(0, j)) + shared(a.slice(i + size), b.slice(j + size));
}
