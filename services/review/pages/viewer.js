// Shows a document: page images with highlights, or text to select in.

import { fill, h } from "/pages/dom.js";
import * as known from "/pages/document_cache.js";
import { PageScroll } from "/pages/page_scroll.js";
import { asRead, factsOfCell, nameOfCell, reveal } from "/pages/statement_grid.js";
import { selectedWords } from "/pages/text_layer.js";

const ZOOMS = [0.5, 0.75, 1, 1.25, 1.5, 2, 3];
const AROUND = 3000; // characters on each side of the span in a text without pages
const MORE = 8000;

export class Viewer {
  /** Calls `onselect({start, end})`, or null for none, when words are selected while `selecting`, and `onpick(key)` when a highlight is clicked. */
  constructor({ onselect, onpick } = {}) {
    this.onselect = onselect ?? (() => {});
    this.onpick = onpick ?? (() => {});
    this.selecting = false;
    this.zoom = 1;
    this.mode = "page";
    this.shown = null;
    this.turn = 0;
    this.unseen = false; // scroll to the mark as soon as the element has a size
    this.#build();
    this.resize = new ResizeObserver(() => {
      this.#fit();
      if (this.unseen) this.#toMark();
    });
    this.resize.observe(this.pane);
    document.addEventListener("pointerup", this.#pointed);
    document.addEventListener("keyup", this.#pointed);
  }

  close() {
    this.resize.disconnect();
    this.pages.close();
    document.removeEventListener("pointerup", this.#pointed);
    document.removeEventListener("keyup", this.#pointed);
  }

  #build() {
    const button = (label, text, onclick) => h("button.quiet", { type: "button", "aria-label": label, title: label, onclick }, text);
    this.field = h("input.page-field", {
      type: "number", min: 1, "aria-label": "Page", onchange: () => this.go(Number(this.field.value)),
    });
    this.total = h("span.muted");
    this.scale = h("button.quiet", { type: "button", title: "Fit the width", onclick: () => this.fit() }, "100%");
    this.scale.classList.add("scale");
    this.paging = h("div.row.tight", {}, button("Previous page (left arrow)", "‹", () => this.step(-1)), this.field, this.total,
      button("Next page (right arrow)", "›", () => this.step(1)));
    this.zooming = h("div.row.tight", {}, button("Smaller (minus)", "−", () => this.stepZoom(-1)), this.scale,
      button("Larger (plus)", "+", () => this.stepZoom(1)));
    this.asPage = h("button.segment", { type: "button", onclick: () => this.setMode("page") }, "Page");
    this.asStatement = h("button.segment", { type: "button", hidden: true, onclick: () => this.setMode("statement") }, "Statement");
    this.asText = h("button.segment", { type: "button", onclick: () => this.setMode("text"), title: "Text (T)" }, "Text");
    this.notice = h("p.notice", { hidden: true });
    this.cellFacts = h("span.cell-facts", { id: "cell-facts" });
    this.cellName = h("span");
    this.cellBar = h("div.cell-bar", { role: "group", "aria-label": "Cell", hidden: true }, this.cellName, this.cellFacts);
    this.pane = h("div.desk", { tabindex: "0", role: "region", "aria-label": "Document", onfocusin: ({ target }) => { if (target.closest(".statement td")) this.#tellCell(target); } });
    this.pages = new PageScroll(this.pane, (page) => { this.page = this.field.value = page; }, (key) => this.onpick(key), (text) => this.#tell(text));
    this.tools = h("div.toolbar", { role: "toolbar", "aria-label": "Document view" }, this.paging, this.zooming,
      h("div.segments", { role: "group", "aria-label": "Show" }, this.asStatement, this.asPage, this.asText));
    this.element = h("section.viewer", { "aria-label": "Viewer" },
      this.tools,
      this.notice, this.cellBar, this.pane);
  }

  /** Show a document with `boxes` highlighted on its pages (fainter with `look`) and `span` in its text, but not its `omitted` parts. */
  async open({ id, boxes = [], span = null, page = null, mode = null, statement = null }) {
    const turn = ++this.turn;
    const details = await known.info(id);
    if (turn !== this.turn) return;
    this.id = id;
    this.details = details;
    this.boxes = boxes;
    this.span = span;
    this.range = null;
    this.page = page ?? boxes[0]?.page ?? details.pages[0]?.number ?? 1;
    this.pictured = known.hasPictures(details);
    this.statement = statement;
    this.modes = [statement && "statement", this.pictured && "page", "text"].filter(Boolean);
    this.mode = this.modes.includes(mode) ? mode : this.modes[0];
    this.asStatement.hidden = !statement;
    this.asPage.hidden = !this.pictured;
    await this.#draw({ scroll: true });
  }

  /** Show an element instead of a document. */
  present(element) {
    this.turn++;
    this.id = null;
    this.sheet = null;
    this.tools.hidden = true;
    fill(this.pane, element);
    this.#tellFirstCell();
  }

  async setMode(mode) {
    if (!this.id || !this.modes.includes(mode)) return;
    this.mode = mode;
    await this.#draw({ scroll: true });
  }

  toggle() {
    if (!this.id) return null;
    return this.setMode(this.modes[(this.modes.indexOf(this.mode) + 1) % this.modes.length]);
  }

  /** Change the highlights without moving. */
  async mark({ boxes, span }) {
    if (boxes) this.boxes = boxes;
    if (span) this.span = span;
    if (this.mode === "page") this.pages.mark(this.boxes);
    else if (this.mode === "text") await this.#drawText(false);
  }

  /** Show a place of the document on its page, or in its text. */
  async show({ boxes, span, page }) {
    Object.assign(this, { boxes, span, page: page ?? this.page, range: null });
    await this.setMode(this.pictured ? "page" : "text");
  }

  async go(page) {
    const most = this.details?.page_count || 1;
    this.page = Math.min(Math.max(1, Math.round(page) || 1), most);
    this.range = null;
    if (this.mode === "page") this.pages.go(this.page);
    else {
      await this.#draw({ scroll: false });
      this.pane.scrollTop = 0;
    }
  }

  step(by) {
    return this.id && this.mode !== "statement" && this.details.page_count > 1 ? this.go(this.page + by) : null;
  }

  stepZoom(by) {
    const at = ZOOMS.indexOf(this.zoom);
    this.#setZoom(ZOOMS[Math.min(Math.max(0, at + by), ZOOMS.length - 1)]);
  }

  fit() {
    this.#setZoom(1);
  }

  #setZoom(zoom) {
    const middle = (this.pane.scrollTop + this.pane.clientHeight / 2) / Math.max(1, this.pane.scrollHeight);
    this.zoom = zoom;
    this.scale.textContent = `${Math.round(zoom * 100)}%`;
    this.#fit();
    this.pane.scrollTop = middle * this.pane.scrollHeight - this.pane.clientHeight / 2;
  }

  #fit() {
    if (this.mode === "text" && this.sheet) this.sheet.style.fontSize = `${this.zoom}rem`;
    if (this.mode === "page") this.pages.fit(this.zoom);
  }

  async #draw({ scroll }) {
    this.field.value = this.page;
    this.field.max = this.details.page_count;
    this.total.textContent = `of ${this.details.page_count}`;
    this.asPage.setAttribute("aria-pressed", this.mode === "page");
    this.asText.setAttribute("aria-pressed", this.mode === "text");
    this.asStatement.setAttribute("aria-pressed", this.mode === "statement");
    this.tools.hidden = false;
    this.paging.hidden = this.details.page_count < 2 || this.mode === "statement";
    this.zooming.hidden = this.mode === "statement";
    this.#tell("");
    if (this.mode === "statement") this.#drawStatement();
    else if (this.mode === "page") this.#drawPages(scroll);
    else await this.#drawText(scroll);
    if (this.mode !== "statement") this.#tellCell(null);
  }

  #tellFirstCell() {
    this.#tellCell(this.pane.querySelector('.statement td[tabindex="0"]'));
  }

  /** Say which cell has the focus and what is known about it. Without a cell, hide the bar. */
  async #tellCell(cell) {
    this.cell?.removeAttribute("aria-describedby");
    this.cell = cell;
    this.cellBar.hidden = !cell;
    if (!cell) return;
    cell.setAttribute("aria-describedby", this.cellFacts.id);
    fill(this.cellName, h("span.muted", {}, "Cell"), ` ${nameOfCell(cell)}`);
    fill(this.cellFacts, factsOfCell(cell, null));
    const read = await asRead(cell);
    if (this.cell !== cell) return;
    const height = this.cellBar.offsetHeight;
    fill(this.cellFacts, factsOfCell(cell, read));
    if (cell === document.activeElement || this.cellBar.offsetHeight > height) reveal(cell);
  }

  /** Scroll to the mark, now or as soon as the element has a size. */
  #toMark() {
    this.unseen = !this.pane.clientHeight;
    if (this.unseen) return;
    if (this.mode === "page") this.pages.scrollTo(this.page);
    else if (this.mode === "text") this.#scrollToWords();
    else this.#scrollToRow();
  }

  #drawStatement() {
    this.sheet = null;
    fill(this.pane, this.statement);
    this.#tellFirstCell();
    this.#toMark();
  }

  #scrollToRow() {
    this.pane.scrollTop = 0;
    const row = this.statement.querySelector(".lit-row");
    const lit = row?.getBoundingClientRect();
    const desk = this.pane.getBoundingClientRect();
    if (lit) this.pane.scrollTop = (lit.top + lit.bottom - desk.top - desk.bottom - row.closest("table").tHead.offsetHeight) / 2;
    const cell = this.statement.querySelector(".lit")?.getBoundingClientRect();
    if (cell) this.pane.scrollLeft += Math.max(0, cell.right - desk.right + cell.height);
  }

  #drawPages(scroll) {
    this.sheet = null;
    if (this.pane.firstChild !== this.pages.element) fill(this.pane, this.pages.element);
    this.pages.show(this.id, this.details);
    this.#fit();
    this.pages.mark(this.boxes);
    if (scroll) this.#toMark();
  }

  async #drawText(scroll) {
    const turn = this.turn;
    let text;
    try {
      text = await known.text(this.id);
    } catch (error) {
      this.sheet = null;
      fill(this.pane, h("p.empty", {}, error.message));
      return;
    }
    if (turn !== this.turn || this.mode !== "text") return;
    this.text = text;
    if (!this.pictured && this.details.pages.length && !this.details.pages.some((p) => p.number === this.page)) {
      this.#tell("This page could not be read.");
    }
    this.range ??= this.#rangeAround(text);
    const { from, to } = this.range;
    const span = this.span && { ...this.span, start: Math.max(from, this.span.start), end: Math.min(to, this.span.end) };
    const place = this.pane.scrollTop;
    const omitted = (span?.omitted ?? []).filter((one) => one.start >= span.start && one.end <= span.end);
    const edges = [from, ...(span && span.start < span.end ? [span.start, ...omitted.flatMap((one) => [one.start, one.end]), span.end] : []), to];
    const parts = edges.slice(1).map((edge, at) => [at % 2, withoutIndents(text.shown(edges[at], edge))]);
    this.prose = h("div.prose-text", {}, parts.map(([marked, words]) => marked ? h("mark", {}, words) : words));
    const more = (label, widen) => h("button.quiet", { type: "button", onclick: widen }, label);
    this.sheet = h("div.sheet.prose", {},
      from > 0 && more("Earlier text", () => this.#widen(-MORE, 0)), this.prose,
      to < text.length && more("Later text", () => this.#widen(0, MORE)));
    fill(this.pane, this.sheet);
    this.#fit();
    this.pane.scrollTop = place;
    if (scroll) this.#toMark();
  }

  #scrollToWords() {
    const mark = this.prose?.querySelector("mark");
    if (mark) this.pane.scrollTop = mark.offsetTop - this.pane.clientHeight / 3;
  }

  #rangeAround(text) {
    const page = this.details.page_count > 1 ? this.details.pages.find((p) => p.number === this.page) : null;
    const here = this.span && (!page || (this.span.start < page.end && this.span.end > page.start));
    if (page && page.end - page.start < 4 * AROUND) {
      const span = here ? this.span : page;
      return { from: Math.min(page.start, span.start), to: Math.max(page.end, span.end) };
    }
    const start = page ? page.start : 0;
    const centre = here ? this.span : { start, end: start };
    return { from: Math.max(0, centre.start - AROUND), to: Math.min(text.length, centre.end + AROUND) };
  }

  async #widen(before, after) {
    const height = this.pane.scrollHeight - this.pane.scrollTop;
    this.range = {
      from: Math.max(0, this.range.from + before),
      to: Math.min(this.text.length, this.range.to + after),
    };
    await this.#drawText(false);
    if (before) this.pane.scrollTop = this.pane.scrollHeight - height;
  }

  #tell(text) {
    this.notice.textContent = text;
    this.notice.hidden = !text;
  }

  // The selection is final just after the mouse button is released.
  #pointed = () => {
    if (this.selecting) setTimeout(() => this.#selected(), 0);
  };

  #selected() {
    if (!this.selecting) return;
    if (this.mode === "page") {
      const span = selectedWords(this.pane);
      const { id } = this;
      if (span) known.text(id).then((text) => { if (this.id === id) this.onselect(text.whole(span)); }, (error) => this.#tell(error.message));
      else this.onselect(null);
      return;
    }
    if (this.mode !== "text" || !this.prose) return;
    const selection = document.getSelection();
    const chosen = selection.rangeCount && !selection.isCollapsed && selection.getRangeAt(0);
    if (!chosen || !this.prose.contains(chosen.startContainer) || !this.prose.contains(chosen.endContainer)) {
      this.onselect(null);
      return;
    }
    const ahead = document.createRange();
    ahead.setStart(this.prose, 0);
    ahead.setEnd(chosen.startContainer, chosen.startOffset);
    const from = this.text.units(this.range.from) + ahead.toString().length;
    const span = this.text.trimmed(this.text.points(from), this.text.points(from + chosen.toString().length));
    if (span) this.onselect(this.text.whole(span));
  }
}

/** Hide the zero-width spaces, so that copied words have none. */
const withoutIndents = (words) => words.split(/(\u200b+)/).map((part, at) => (at % 2 ? h("span", { hidden: true }, part) : part));
