// The workbench with one document: its results and their places.

import { get, may, Problem, put, query } from "/pages/api.js";
import * as known from "/pages/document_cache.js";
import { knownKind, pill } from "/pages/documents.js";
import { FirstPages, firstClauses } from "/pages/first_pages.js";
import { fill, h, say } from "/pages/dom.js";
import { gaveUp, hasOnlyParts, overviewOf, ways } from "/pages/overview.js";
import { isOpen } from "/pages/results.js";
import { KEYS, Workbench } from "/pages/workbench.js";

const AGAIN = 2_000;

export async function show({ id, params, go, replace }) {
  const view = new OneDocument(id, { go, replace });
  await view.load();
  await view.begin(params);
  return { title: view.document.title ?? view.document.name, element: view.element, leave: () => view.leave(), wide: true, keys: KEYS };
}

/** What stands above the document as a whole once nothing is open. */
const allDecided = () => h("div.all-decided", {}, h("h2", {}, "All decided"), h("p", {}, "Read the client report, or go on with the next document."));

/** The position in the address, as set by a search; null for none. */
function positionIn(params) {
  const [page, start, end] = ["page", "start", "end"].map((name) => Number(params.get(name) ?? NaN));
  return page >= 1 && start >= 0 && start < end ? { page, start, end } : null;
}

class OneDocument extends Workbench {
  constructor(id, context) {
    super({ ...context, filters: { document: id } });
    this.one = id;
    this.path = `/v1/documents/${encodeURIComponent(id)}`;
  }

  leave() {
    clearTimeout(this.timer);
    super.leave();
  }

  /** Show the state of the document, and its results once it has ended. */
  async load() {
    clearTimeout(this.timer);
    const document = await get(this.path);
    const ended = document.state === "ended";
    const first = ended && this.document?.state !== "ended";
    this.document = document;
    if (!ended) this.timer = setTimeout(() => this.load().catch(() => {}), AGAIN);
    if (first) {
      this.id = null;
      await this.showDocument(this.one);
    }
    this.drawBar(pill(document), this.hasReport && h("a.button.report-link", { href: `${this.path}/report`, target: "_blank" }, "Client report"), h("button", { type: "button", onclick: () => this.overview() }, "Details"));
    if (!this.shown && !this.decided) this.nothing();
    if (document.progress) await this.showFirstPages(document.progress);
    else if (!this.viewer.id) await this.showPages();
  }

  /** Show the place of the address. */
  async begin(params) {
    const place = positionIn(params);
    if (place && this.viewer.id) await this.openWords(place);
    const item = params.get("item");
    const row = item && this.results?.rows.find((one) => one.id === item);
    if (row) await this.choose(row);
  }

  /** Whether there is a client report. */
  get hasReport() {
    const { document } = this;
    return may("review") && document.state === "ended" && !gaveUp(document) && !hasOnlyParts(document);
  }

  async showPages() {
    const details = await known.info(this.one);
    if (!details.page_count) {
      this.viewer.present(h("p.empty", {}, this.document.state === "ended" ? "This document could not be read, so there is nothing to show." : "This document is being read."));
      return;
    }
    const statement = this.document.kind === "report" && this.results?.statements ? await this.results.statements() : null;
    if (this.shown) return;
    await this.viewer.open({ id: this.one, boxes: this.results?.others(null) ?? [], statement });
    this.choosable();
  }

  /** The first pages, while the other pages are read. */
  async showFirstPages(progress) {
    if (!this.firstPages) {
      this.firstPages = new FirstPages(this.path);
      this.viewer.present(this.firstPages.element);
    }
    try {
      await this.firstPages.show(progress);
      if (may("results:read")) fill(this.side, firstClauses(await get(query(`${this.path}/clauses`, { provisional: true, limit: 500 }))));
    } catch (error) { // no results yet, or reading is complete: the timer loads again
      if (!(error instanceof Problem)) throw error;
    }
  }

  plainKey(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step && !this.viewer.id) this.firstPages?.step(step);
    else super.plainKey(event);
  }

  async listResults() {
    const { document } = this;
    if (gaveUp(document) || hasOnlyParts(document)) fill(this.side, h("p.muted", {}, "No results."), h("div.side-foot", {}, this.closer()));
    else await super.listResults();
  }

  heading(name) {
    return h("h1.document-title", {}, name);
  }

  listed() {
    super.listed();
    if (this.viewer.id === this.id && !this.shown) this.viewer.mark({ boxes: this.results.others(null) });
    if (!this.shown) this.nothing();
  }

  /** The next open result of the list. */
  async next() {
    if (this.claims.current) return this.claims.current;
    const passed = new Set(this.claims.skipped);
    for (;;) {
      const row = this.results?.nextOpen(passed);
      if (!row) return null;
      try {
        return await this.claims.take(row.id, row);
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        passed.add(row.id); // somebody else has it
      }
    }
  }

  async take(row) {
    await this.claims.release(row.id);
    await super.take(row);
  }

  address(item) {
    return query(`/documents/${this.one}`, { item: item.id });
  }

  /** Leave the item for the document as a whole. */
  async overview() {
    if (this.busy) return;
    this.clear();
    this.mark(null);
    this.nothing();
    await this.claims?.release(null);
  }

  /** The document as a whole. */
  nothing() {
    this.replace(`/documents/${this.one}`);
    const { document, results } = this;
    const decided = Boolean(this.claims) && results?.allDecided;
    const focused = this.panel.contains(window.document.activeElement) && window.document.activeElement.textContent;
    if (decided && this.panel.querySelector(".decide")) say("All decided.");
    fill(this.panel,
      h("div.panel-top", {}, h("div.row.apart", {}, h("span.kind", {}, knownKind(document) ?? "document"), document.state !== "ended" && h("span.muted", {}, "Being processed. Results appear here."))),
      h("div.panel-body", { tabindex: "0", role: "region", "aria-label": "The document" }, decided && allDecided(), overviewOf(document, (kind) => this.changeKind(kind))),
      h("div.panel-foot", {}, ways(this.one, { open: this.claims ? results?.rows.filter(isOpen).length ?? 0 : 0, any: Boolean(results?.rows.some((row) => row.id)), report: this.hasReport, review: () => this.openNext(), decided })));
    if (decided && focused) ([...this.panel.querySelectorAll("a, button")].find((one) => one.textContent === focused) ?? this.panel.querySelector(".primary")).focus();
  }

  onward() {
    return this.results?.nextOpen() && h("button", { type: "button", onclick: () => this.openNext() }, "Next item");
  }

  async withdrawn() {
    this.clear();
    await this.results.load();
    this.nothing();
  }

  counted() {}

  async changeKind(kind) {
    clearTimeout(this.timer);
    try {
      await put(`${this.path}/kind`, { kind });
      say("Type saved.");
    } catch (error) {
      say(error.message);
    }
    this.document = null;
    this.clear();
    await this.load();
  }
}
