// Offsets count Unicode code points. JavaScript counts UTF-16 units.

const LONGEST = 80; // longest completion of a word
const WORD = /^(?![\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}])[\p{L}\p{M}\p{N}_]/u; // scripts without spaces have no words
const JOINT = /^[-'’.,]/; // within a word or a number, as in non-renewal, party’s and 400,000

const WIDEST = 200; // letters of a printed line; longer lines are whole paragraphs
const NARROWEST = 40; // the lines of a list are shorter
const BULLET = /^\s*(?:[•▪◦●]|[-–—*o]\s)/;
const NUMBER = /^\s*(?:\(?(?:\d{1,2}|[a-zA-Z]|[ivxIVX]{1,5})[.)]|\d{1,2}(?:\.\d{1,2})+|(?:ARTICLE|SECTION)\s)\s*/; // of a list or a section
const COLUMNS = /\S(?: {4,}|\t\s*)\S|(?:\. ?){4,}|[-=_*]{4,}/; // gaps of a table, dots of a contents list, a rule

/** Show the line ends within paragraphs as spaces, and the indents after them as zero-width spaces, so that all offsets stay. */
export function joinLines(string) {
  const lines = string.split("\n");
  const width = usualWidth(lines);
  if (width < NARROWEST || width > WIDEST) return string;
  let joined = lines[0];
  for (let at = 1; at < lines.length; at += 1) {
    const [line, next] = [lines[at - 1], lines[at]];
    const indent = next.length - next.trimStart().length;
    joined += goesOn(line, next, width) ? ` ${"\u200b".repeat(indent)}${next.slice(indent)}` : `\n${next}`;
  }
  return joined;
}

/** The length of the line in the middle of all letters: half of them are in lines that are at least as long. */
function usualWidth(lines) {
  const lengths = lines.map((line) => line.trimEnd().length).sort((one, two) => two - one);
  let left = lengths.reduce((sum, length) => sum + length, 0) / 2;
  return lengths.find((length) => (left -= length) <= 0) ?? 0;
}

/** Whether the page's edge ends a line, and not its paragraph. */
function goesOn(line, next, width) {
  const words = line.trim();
  const [first] = next.trimStart().split(/\s/, 1);
  if (!first || BULLET.test(next) || [line, next].some((one) => COLUMNS.test(one.replace(NUMBER, "").trim()))) return false;
  if (NUMBER.test(next) && /(?:[.:;,]|\b(?:and|or))["”’)]?$/.test(words)) return false;
  const full = /[.:;!?]["”’)]?$/.test(words) && /^["“‘(]?\p{Lu}/u.test(first) ? 0.9 : words === words.toUpperCase() ? 0.6 : 0.75; // capitals are wide
  const length = line.trimEnd().length;
  return words.length >= width / 2 && length + 1 + first.length >= full * width && length <= 1.4 * width;
}

/** The text of a clause without page numbers, running heads and legends within. */
export function ownWords({ text, start, omitted }) {
  if (!omitted?.length) return text;
  const letters = [...text];
  const edges = [0, ...omitted.flatMap((one) => [one.start - start, one.end - start]), letters.length];
  const words = edges.flatMap((from, at) => at % 2 ? [] : [letters.slice(from, edges[at + 1]).join("").trim()]);
  return words.filter(Boolean).join(" ");
}

export class Text {
  constructor(string) {
    this.string = string;
    this.pairs = []; // offsets of characters with two units
    for (const found of string.matchAll(/[\u{10000}-\u{10ffff}]/gu)) this.pairs.push(found.index);
  }

  get length() {
    return this.string.length - this.pairs.length;
  }

  /** Code points to units. */
  units(points) {
    let low = 0;
    let high = this.pairs.length;
    while (low < high) { // the number of pairs that begin before this code point
      const middle = (low + high) >> 1;
      if (this.pairs[middle] - middle < points) low = middle + 1;
      else high = middle;
    }
    return points + low;
  }

  /** Units to code points. */
  points(units) {
    let low = 0;
    let high = this.pairs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.pairs[middle] < units) low = middle + 1;
      else high = middle;
    }
    return units - low;
  }

  slice(start, end) {
    return this.string.slice(this.units(start), this.units(end));
  }

  /** A part as it is shown for reading, with the same offsets. */
  shown(start, end) {
    this.joined ??= joinLines(this.string);
    return this.joined.slice(this.units(start), this.units(end));
  }

  /** The span without white space at its ends; null if it is empty. */
  trimmed(start, end) {
    const part = this.slice(start, end);
    const left = part.length - part.trimStart().length;
    const core = part.trim();
    if (!core) return null;
    const from = this.points(this.units(start) + left);
    return { start: from, end: from + [...core].length };
  }

  /** The span extended to whole words. */
  whole(span) {
    let { start, end } = span;
    const from = Math.max(0, start - LONGEST);
    const letters = [...this.slice(from, Math.min(this.length, end + LONGEST))];
    const within = (at) => { // whether a word goes on from the letter before `at` to the one at it
      const inner = (index) => WORD.test(letters[index] ?? "")
        || JOINT.test(letters[index] ?? "") && WORD.test(letters[index - 1] ?? "") && WORD.test(letters[index + 1] ?? "");
      return inner(at - from - 1) && inner(at - from);
    };
    while (start > from && within(start)) start -= 1;
    while (end < from + letters.length && within(end)) end += 1;
    return { start, end };
  }

  /** The span with one word more or less at one end. */
  moved(span, edge, step) {
    const at = this.units(span[edge]);
    const forward = step > 0;
    const window = forward ? this.string.slice(at, at + 400) : this.string.slice(Math.max(0, at - 400), at);
    const found = window.match(forward ? /^\s*\S+/ : /\S+\s*$/);
    const width = found ? found[0].length : 0;
    const moved = { ...span, [edge]: this.points(forward ? at + width : at - width) };
    if (moved.start >= moved.end) return span;
    return this.trimmed(moved.start, moved.end) ?? span;
  }
}
