// The results of a document as a list with their review items. The base for both kinds of documents.

import { get, may, Problem, query } from "/pages/api.js";
import { excerpt, h, percent } from "/pages/dom.js";
import { isFlag, nameOf } from "/pages/names.js";
import { asDecided } from "/pages/undelivered.js";
import { isAccepted, verdictOf } from "/pages/verdicts.js";

const AGAIN = 2_000;
const LOOKS = 10;

const SIGNS = { accept: "✓", reject: "✕", correct: "✎", machine: "⚡", open: "○" };

/** The state of a row: its look, and its name. */
export function stateOf(row) {
  if (row.state === "decided") return [row.verdict, verdictOf(row)];
  if (isAccepted(row)) return ["machine", "accepted automatically"];
  if (row.dismissed) return ["reject", "dismissed before"];
  return ["open", row.state === "claimed" ? "open, being reviewed" : row.id ? "open" : "found"];
}

/** Whether a reviewer has to decide it. */
export const isOpen = (row) => Boolean(row.id) && row.state !== "decided" && !isAccepted(row);

/** How many rows are decided, and how many are for people: those accepted automatically are not. */
function decidedOf(rows) {
  const all = rows.filter((row) => row.id && !isAccepted(row));
  return [all.filter((row) => row.state === "decided").length, all.length];
}

export class Results {
  /** A row is a review item, or looks like one without an id. Calls `choose(row)`, and `changed()` once the rows are known. */
  constructor({ id, choose, changed }) {
    this.id = id;
    this.choose = choose;
    this.changed = changed;
    this.path = `/v1/documents/${encodeURIComponent(id)}`;
    this.rows = [];
    this.items = new Map(); // by result id
    this.current = null; // result id
    this.looks = 0;
    this.turn = 0; // counts readings, so that a late answer replaces no newer one
    this.element = h("div.results");
  }

  leave() {
    clearTimeout(this.timer);
    clearTimeout(this.drawing);
    this.turn += 1;
  }

  /** Read the results and draw the list. Reads again while some items are not created yet. */
  async load() {
    clearTimeout(this.timer);
    const turn = ++this.turn;
    const [items, answers] = await Promise.all([may("review") ? everything("/v1/items", { document: this.id, state: "all", limit: 500 }) : [], this.read()]);
    if (turn !== this.turn) return;
    this.items = new Map(items.map((item) => [item.result_id, asDecided(item)]));
    this.answers = answers;
    this.#redraw();
    if (may("review") && this.rows.some((row) => this.expected(row) && !row.id) && this.looks < LOOKS) {
      this.looks += 1;
      this.timer = setTimeout(() => this.load().catch(() => {}), AGAIN);
    }
  }

  /** Take in an item that was decided, undone or added. */
  update(item) {
    if (!this.answers) { // what is being read may be older
      this.load().catch(() => {});
      return;
    }
    this.items.set(item.result_id, item);
    this.rows = this.rowsOf(this.answers);
    clearTimeout(this.drawing);
    this.drawing = setTimeout(() => this.#redraw()); // the next item is shown first
  }

  #redraw() {
    this.rows = this.rowsOf(this.answers);
    this.draw();
    this.changed();
  }

  /** Mark the row of a result as the current one. */
  mark(key) {
    this.current = key;
    for (const line of this.element.querySelectorAll(".entry")) {
      const here = line.dataset.key === key;
      if (here) line.setAttribute("aria-current", "true");
      else line.removeAttribute("aria-current");
      if (here) line.scrollIntoView({ block: "nearest" });
    }
  }

  /** A tab was chosen: show its beginning. */
  chosen(key) {
    this.tab = key;
    this.element.scrollTop = 0;
  }

  pick(key) {
    const row = this.rows.find((one) => one.result_id === key);
    if (row) this.choose(row);
  }

  /** The rows in the order in which they are shown. */
  get shown() {
    const rows = new Map(this.rows.map((row) => [row.result_id, row]));
    return [...this.element.querySelectorAll("[role=tabpanel]:not([hidden]) .entry")].map((line) => rows.get(line.dataset.key));
  }

  /** Choose the row before or after the current one. */
  step(by) {
    const rows = this.shown;
    const at = rows.findIndex((row) => row.result_id === this.current);
    const next = rows[at < 0 ? 0 : at + by];
    if (next) this.choose(next);
  }

  /** The next row that is open, after the current one or else from the first; null if none is. */
  nextOpen(without = new Set()) {
    const rows = this.rows.length && this.shown.length ? this.shown : this.rows;
    const at = rows.findIndex((row) => row.result_id === this.current);
    const open = (row) => isOpen(row) && !without.has(row.id);
    return rows.slice(at + 1).find(open) ?? rows.find(open) ?? this.rows.find(open) ?? null;
  }

  /** The boxes of all rows but one and the rejected ones, faint. */
  others(key) {
    return this.rows.filter((row) => row.result_id !== key && row.verdict !== "reject").flatMap((row) => (row.boxes ?? []).map((box) => ({ ...box, look: "other", key: row.result_id })));
  }

  get open() {
    return this.rows.filter(isOpen).length;
  }

  /** Whether people have decided all that was for them. */
  get allDecided() {
    const items = [...this.items.values()];
    return !items.some(isOpen) && items.some((item) => item.state === "decided");
  }

  /** How much of what is for people is decided, as words and a bar. */
  progress() {
    if (!this.rows.some((row) => row.id)) return null;
    const [done, all] = decidedOf([...this.items.values()]); // as in the client report: with questions and absences
    const accepted = this.rows.filter(isAccepted).length;
    const bar = h("span.progress", { "aria-hidden": "true" }, h("span.progress-fill"));
    bar.firstChild.style.inlineSize = percent(all ? done / all : 1);
    return h("div.results-head", {}, h("strong", {}, all ? `${done} of ${all} decided` : "Nothing to decide"), accepted > 0 && h("span.muted", {}, `${accepted} accepted automatically`), bar);
  }

  /** The row of the list. */
  line(row, note = row.page ? `p. ${row.page}` : "") {
    const [look, name] = stateOf(row);
    return h("button.entry", { type: "button", "data-key": row.result_id, "aria-current": row.result_id === this.current && "true", title: row.confidence === undefined ? null : `Confidence: ${percent(row.confidence)}`, onclick: () => this.choose(row) },
      h("span.sign", { class: look, "aria-hidden": "true" }, SIGNS[look]), h("span.line-name", {}, isFlag(row) ? excerpt(row.text, 70) : nameOf(row)), h("span.unseen", {}, `, ${name}, `), h("span.muted.line-note", {}, note));
  }

  /** A group of rows with how many of them are decided. */
  group(name, rows) {
    const [done, all] = decidedOf(rows);
    return h("section.lines", { "aria-label": name }, h("h2", {}, name, all > 0 && h("span.muted", {}, `${done} of ${all}`)), rows.map((row) => this.line(row)));
  }

  /** Values, presence, signals or sentences; `otherwise` if the document was processed without them. */
  async optional(work, otherwise) {
    try {
      return await work;
    } catch (error) {
      if (error instanceof Problem && error.status === 409) return otherwise;
      throw error;
    }
  }

  /** All results of a kind; none for those who may not read results. */
  all(what, params = { limit: 500 }) {
    return may("results:read") ? everything(`${this.path}/${what}`, params) : [];
  }
}

export async function everything(path, params = {}) {
  const items = [];
  let cursor = null;
  do {
    const page = await get(query(path, { ...params, cursor }));
    items.push(...page.items);
    cursor = page.next ?? null;
  } while (cursor && items.length < 5000);
  return items;
}

