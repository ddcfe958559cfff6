// Full-text search in all documents.

import { get, query } from "/pages/api.js";
import { certainty, count, empty, fill, h, kbd, say, select } from "/pages/dom.js";
import { clauseTypes, titleOf } from "/pages/names.js";
import { Text } from "/pages/text.js";

const FILTERS = ["in", "kind", "category"];
const KINDS = [["", "All kinds"], ["contract", "Contracts"], ["report", "Reports"], ["other", "Other"]];
const HOW = "Finds pages with all words. Use “quotes” for phrases and termin* for word beginnings.";

export async function show({ params, go }) {
  const view = new Search(params, go);
  await view.load();
  return { title: view.words ? `Search: ${view.words}` : "Search", element: view.element, leave: () => view.leave(), focus: () => view.focus() };
}

class Search {
  constructor(params, go) {
    this.go = go;
    this.words = (params.get("q") ?? "").trim();
    this.filters = Object.fromEntries(FILTERS.map((name) => [name, params.get(name) ?? ""]));
    this.element = h("div.page");
    document.addEventListener("keydown", this.key);
  }

  leave() {
    document.removeEventListener("keydown", this.key);
  }

  /** The arrow keys move between the box and the hits. */
  key = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const places = [this.box, ...this.element.querySelectorAll("a.hit")];
    const at = places.indexOf(document.activeElement);
    if (event.key === "Escape" && at > 0) this.focus();
    if (at < 0 || !["ArrowDown", "ArrowUp"].includes(event.key)) return;
    const next = places[at + (event.key === "ArrowDown" ? 1 : -1)];
    if (!next) return;
    event.preventDefault();
    next.focus();
  };

  focus() {
    this.box.focus();
    this.box.select();
  }

  async load() {
    const inClauses = this.filters.in === "clauses" || this.filters.category !== "";
    const page = this.words ? await this.read() : null;
    this.draw(page, inClauses);
    if (!page) setTimeout(() => this.box.focus()); // after the page is drawn
  }

  read(cursor = null) {
    return get(query("/v1/search", { q: this.words, ...this.filters, cursor }));
  }

  draw(page, inClauses) {
    this.box = h("input", { type: "search", value: this.words, maxlength: 400, autocomplete: "off", spellcheck: "false", enterkeyhint: "search", "aria-describedby": "how" });
    const ask = (event) => { event.preventDefault(); this.ask({}); };
    const where = (value) => this.ask({ in: value, category: "" });
    fill(this.element, h("h1", {}, "Search"),
      h("form.seek", { role: "search", onsubmit: ask },
        h("label.field", {}, h("span", {}, "Search all documents ", kbd("/")), this.box),
        h("button.primary", { type: "submit" }, "Search"),
        h("p.muted.small", { id: "how" }, HOW)),
      h("div.filters", { role: "group", "aria-label": "Filters" },
        select("Where", inClauses ? "clauses" : "", [["", "Pages"], ["clauses", "Clauses"]], where),
        inClauses && select("Clause type", this.filters.category, [["", "All clause types"], ...clauseTypes().map((one) => [one.name, one.title])], (category) => this.ask({ category })),
        select("Kind", this.filters.kind, KINDS, (kind) => this.ask({ kind }))),
      page && this.found(page));
  }

  ask(change) {
    this.go(query("/search", { q: this.box.value.trim(), ...this.filters, ...change }));
  }

  found(page) {
    if (!page.items.length) {
      const asked = page.parts.length ? `Searched for ${page.parts.map((part) => `“${part}”`).join(" and ")}.` : "The query has no word.";
      return [empty("No results", `${asked} Try fewer words, or a word beginning with a star (termin*).`)];
    }
    const list = h("ol.hits", {}, page.items.map(hit));
    const more = h("button", { type: "button", hidden: page.next === null, onclick: async () => {
      const next = await this.read(page.next);
      page.next = next.next;
      const rows = next.items.map(hit);
      list.append(...rows);
      more.hidden = page.next === null;
      rows[0]?.firstChild.focus();
    } }, "Show more");
    say(`${count(page.items.length, "place")}${page.next === null ? "" : ", and more"}`);
    return [list, h("div.row.centre.below", {}, more)];
  }
}

/** A hit. The whole card is a link. */
function hit(found) {
  const { document_id: id, document: name, title, page, start, end, clause, categories = [], kind, more } = found;
  const marks = found.highlights;
  const place = clause ?? { start: marks[0]?.start ?? start, end: marks.at(-1)?.end ?? end };
  return h("li", {}, h("a.hit", { href: query(`/documents/${encodeURIComponent(id)}`, { page, start: place.start, end: place.end }) },
    h("span.row.apart", {}, h("span.hit-name", {}, title ?? name, title && h("span.sub", {}, name)), h("span.row.tight.muted.small", {}, clause && clause.confidence !== null && certainty(clause.confidence), h("span", {}, clause ? categories.map((one) => titleOf(one)).join(", ") : kind), h("span", {}, `page ${page}${more ? `, ${more} more on this page` : ""}`))),
    h("span.quote.hit-text", {}, marked(found))));
}

/** The text with the hits in <mark>, without line ends. */
function marked({ text: string, start, end, highlights }) {
  const text = new Text(string);
  const piece = (from, to) => text.slice(from - start, to - start).replace(/\s+/g, " ");
  const pieces = [];
  let at = start;
  for (const mark of highlights) {
    pieces.push(piece(at, mark.start), h("mark", {}, piece(mark.start, mark.end)));
    at = mark.end;
  }
  return [...pieces, piece(at, end)];
}
