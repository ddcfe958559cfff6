// The first pages of a document while the others are still read: their text, and how far it is.

import { get, Problem } from "/pages/api.js";
import { certainty, count, excerpt, h, number } from "/pages/dom.js";

export class EarlyPages {
  constructor(path) {
    this.path = path;
    this.page = 1;
    this.done = 0;
    this.bar = h("progress", { "aria-label": "Pages read" });
    this.said = h("p.muted", { role: "status" });
    const button = (label, text, by) => h("button.quiet", { type: "button", "aria-label": label, title: label, onclick: () => this.step(by) }, text);
    this.place = h("span.muted");
    this.words = h("div.prose-text");
    this.element = h("section.early", { "aria-label": "What is read so far" },
      h("div.row.apart", {}, h("div.row.tight", {}, this.bar, this.said),
        h("div.row.tight", {}, button("Page before (left arrow)", "‹", -1), this.place, button("Next page (right arrow)", "›", 1))),
      h("div.sheet.prose", {}, this.words));
  }

  /** How far the reading is by now. */
  async show({ pages_done: done, pages }) {
    this.done = done;
    this.bar.max = pages;
    this.bar.value = done;
    this.said.textContent = `${number(done)} of ${count(pages, "page")} read`;
    await this.#draw();
  }

  async step(by) {
    this.page = Math.min(Math.max(1, this.page + by), this.done || 1);
    await this.#draw();
  }

  async #draw() {
    const page = this.page;
    this.place.textContent = `page ${number(page)}`;
    if (this.drawn === page) return;
    const text = await get(`${this.path}/pages/${page}.txt`, { text: true }).catch((error) => {
      if (error instanceof Problem && error.status === 404) return error.message;
      throw error;
    });
    if (this.page !== page) return;
    this.drawn = page;
    this.words.textContent = text;
  }
}

/** The clauses of the first pages, which are no items yet. */
export function foundSoFar({ items, pages }) {
  return [h("p.muted", {}, `Found so far, on ${count(pages, "page")}. It may change when all are read, and nobody is asked about it before.`),
    items.map((one) => h("section.group", {}, h("h2", {}, one.category), h("p.clip", {}, excerpt(one.text, 220)),
      h("p.row.apart", {}, certainty(one.confidence), h("span.muted", {}, `page ${one.page}`))))];
}
