// One document: its results, their positions, and exports.

import { ClauseAdder } from "/pages/add_clause.js";
import { get, may, Problem, put, query } from "/pages/api.js";
import * as known from "/pages/document_cache.js";
import { KINDS, capital, knownKind, linesOf, pill } from "/pages/documents.js";
import { FirstPages, firstClauses } from "/pages/first_pages.js";
import { certainty, count, excerpt, fill, h, moment, number, percent, say, select, title, words } from "/pages/dom.js";
import { missingOf } from "/pages/missing.js";
import { boxesOfFinding, placeOf, statementTable } from "/pages/statement.js";
import { Tabs } from "/pages/tabs.js";
import { countTerms, termsOf } from "/pages/terms.js";
import { ownWords } from "/pages/text.js";
import { changes, decidedText, isAccepted, isMine, machinePill, verdictPill } from "/pages/verdicts.js";
import { Viewer } from "/pages/viewer.js";

const AGAIN = 2_000;
const MAILS = ["message/rfc822", "application/vnd.ms-outlook"];
const ARCHIVES = ["application/zip"];
const FEW = 8; // parts that are not folded
const RISKY = 0.2; // from here on a risk without findings is explained

export async function show({ id, params }) {
  const view = new DocumentView(id, positionIn(params));
  await view.load();
  return { title: view.document.name, element: view.element, leave: () => view.leave(), wide: true };
}

/** The position in the address, as set by a search; null for none. */
function positionIn(params) {
  const [page, start, end] = ["page", "start", "end"].map((name) => Number(params.get(name) ?? NaN));
  return page >= 1 && start >= 0 && start < end ? { page, span: { start, end } } : null;
}

/** The boxes of words on a page, one for each line. */
async function boxesOf(id, { page, span }) {
  const words = await known.words(id, page).catch(() => []); // then they are marked in the text only
  const boxes = [];
  for (const { start, end, x0, y0, x1, y1 } of words) {
    if (start >= span.end || end <= span.start) continue;
    const line = boxes.at(-1);
    if (line && x0 >= line.x1 && y0 < line.y1 && y1 > line.y0) Object.assign(line, { x1, y0: Math.min(y0, line.y0), y1: Math.max(y1, line.y1) });
    else boxes.push({ page, x0, y0, x1, y1 });
  }
  return boxes;
}

/** A warning of a filing in which nothing could be checked. */
const UNCHECKED = /(^|: )nothing was checked: /;

/** The summary of a report without open findings. `open` relations do not close. */
function clean(dismissed, filings, unchecked, open) {
  if (dismissed) return "All findings were dismissed before.";
  if (!unchecked) return open ? `No errors found, but ${count(open, "relation")} ${open === 1 ? "does" : "do"} not close. See below.` : "No errors found.";
  if (unchecked >= (filings ?? 1)) return "Nothing was checked. See the notes below.";
  return `No errors found in the checked filings. ${unchecked} of ${count(filings, "filing")} could not be checked.`;
}

/** Explains a risk without findings. */
function riskNote(risk) {
  return risk >= RISKY && h("p.muted", {}, `The risk is still ${percent(risk)}. No suspicion was strong enough to be a finding. Check the statements yourself if this report matters.`);
}

class DocumentView {
  constructor(id, place) {
    this.id = id;
    this.place = place;
    this.path = `/v1/documents/${encodeURIComponent(id)}`;
    this.adder = new ClauseAdder(id, (item) => this.added(item));
    this.viewer = new Viewer({ onpick: (key) => this.openers.get(key)?.(), onselect: (span) => (span ? this.adder.offer(span) : this.adder.forget()) });
    this.openers = new Map(); // by result id
    this.others = []; // boxes of all clauses
    this.head = h("div.panel-top");
    this.body = h("div.panel-body", { tabindex: "0", role: "region", "aria-label": "Results" });
    this.foot = h("div.panel-foot");
    this.looks = 0;
    this.turn = 0; // counts drawings of results, so that a late answer replaces no newer one
    this.items = new Map(); // by result id
    this.element = h("div.workspace", {}, this.viewer.element, h("section.panel.overview", { "aria-label": "The document" }, this.head, this.body, this.foot), this.adder.element);
    document.addEventListener("keydown", this.key);
  }

  key = (event) => {
    if (document.querySelector("dialog[open]") || event.target.closest?.("input, select, textarea") || event.ctrlKey || event.metaKey) return;
    const paged = this.opened ? this.viewer : this.firstPages;
    if (event.key === "ArrowLeft") paged?.step(-1);
    if (event.key === "ArrowRight") paged?.step(1);
    if (event.key === "t") this.viewer.toggle();
    if (/^[1-3]$/.test(event.key)) this.tabs?.chooseAt(Number(event.key));
    if (event.key === "i" && this.viewer.selecting) {
      event.preventDefault();
      this.adder.ask();
    }
  };

  leave() {
    clearTimeout(this.timer);
    document.removeEventListener("keydown", this.key);
    this.viewer.close();
  }

  async load() {
    this.document = await get(this.path);
    this.draw();
    if (this.document.state !== "ended") {
      this.timer = setTimeout(() => this.load().catch(() => {}), AGAIN);
    }
    if (this.document.state === "ended") await this.results();
    else fill(this.body, h("p.muted", {}, "In progress. Results appear here automatically."));
    if (this.document.progress) {
      await this.showFirstPages(this.document.progress);
      return;
    }
    const details = await known.info(this.id);
    if (!this.opened && details.page_count) {
      this.opened = true;
      const found = this.place ? await boxesOf(this.id, this.place) : [];
      await this.viewer.open({ id: this.id, ...this.place, boxes: [...found, ...this.others] });
    } else if (!this.opened) {
      this.viewer.present(h("p.empty", {}, this.document.state === "ended" ? "This document could not be read, so there is nothing to show." : "This document is being read."));
    }
  }

  /** The first pages, while the other pages are read. */
  async showFirstPages(progress) {
    if (!this.firstPages) {
      this.firstPages = new FirstPages(this.path);
      this.viewer.present(this.firstPages.element);
    }
    try {
      await this.firstPages.show(progress);
      if (may("results:read")) fill(this.body, firstClauses(await get(query(`${this.path}/clauses`, { provisional: true, limit: 500 }))));
    } catch (error) { // no results yet, or reading is complete: the timer loads again
      if (!(error instanceof Problem)) throw error;
    }
  }

  draw() {
    const { name, kind, pages, reasons = [], warnings = [], created, parents = [], parts = [] } = this.document;
    const doubt = this.document.kind_unsure ? [`smallprint is not sure that this is a ${kind}`] : [];
    const notes = [...doubt, ...(kind === "contract" ? warnings.map(capital) : [])]; // a report lists its own below
    fill(this.head,
      h("div.row.apart", {}, h("span.kind", {}, knownKind(this.document) ?? "document"), pill(this.document)),
      h("h1.category.name", {}, name),
      h("p.muted", {}, `${pages === null || pages === undefined ? "" : `${count(pages, "page")} · `}${moment(created)}`),
      may("documents:write") && this.kindChoice(),
      parents.length > 0 && h("p.family", {}, "Part of ", parents.map((one, at) => [at ? ", " : "", h("a", { href: `/documents/${one.id}` }, one.name)])),
      parts.length > 0 && h("details.family", { open: parts.length <= FEW }, h("summary", {}, `${count(parts.length, "part")}`), h("ul.parts", {}, parts.map(partLine))),
      reasons.length > 0 && h("ul.reasons", {}, reasons.flatMap(linesOf).map((one) => h("li", {}, one))),
      notes.length > 0 && h("ul.reasons.doubts", {}, notes.map((one) => h("li", {}, one))));
    this.offer();
  }

  /** Choose the kind. A new kind starts the processing again. */
  kindChoice() {
    const { kind, kind_unsure: unsure, media_type: type } = this.document;
    if (ARCHIVES.includes(type)) return null;
    return h("div.row", {}, select("Kind", kind, KINDS, (value) => this.setKind(value)),
      unsure && h("button.quiet", { type: "button", onclick: () => this.setKind(kind) }, `Confirm: ${KINDS.find(([name]) => name === kind)[1].toLowerCase()}`));
  }

  async setKind(kind) {
    clearTimeout(this.timer);
    try {
      await put(`${this.path}/kind`, { kind });
      say("Kind saved.");
    } catch (error) {
      say(error.message);
    }
    this.items = new Map();
    this.looks = 0;
    await this.load();
  }

  /** Links to review, export or download, as far as they are possible. */
  offer() {
    const items = [...this.items.values()];
    const open = items.some((item) => item.state !== "decided" && !isAccepted(item));
    const file = (format) => h("a.button", { href: query("/v1/exports", { format, document: this.id }), download: true }, format.toUpperCase());
    fill(this.foot, h("div.take-away", {},
      open && h("a.button.primary.large", { href: query("/review", { document: this.id }) }, "Review this document"),
      items.length > 0 && h("div.row.apart", { role: "group", "aria-label": "Export" }, h("span.muted", {}, "Export as"), h("div.row.tight", {}, file("jsonl"), file("csv"), file("xlsx"))),
      !items.length && h("a.button", { href: `${this.path}/original`, download: true }, "Download the original")));
  }

  get gaveUp() {
    return this.document.outcome === "failed" || this.document.outcome === "rejected";
  }

  /** An archive, or a mail that was sent for the reports attached to it. */
  get hasOnlyParts() {
    const { kind, media_type: type } = this.document;
    return kind === "other" || ARCHIVES.includes(type) || (kind === "report" && MAILS.includes(type));
  }

  /** A report without statements, in which only sentences were checked. */
  get hasOnlyWords() {
    return this.document.reasons?.some((reason) => reason.startsWith("no_statements:"));
  }

  async results() {
    clearTimeout(this.timer);
    const turn = ++this.turn;
    if (this.gaveUp) {
      fill(this.body, h("p.muted", {}, this.document.outcome === "failed" ? "Processing failed. The reason is above."
        : "The document was rejected. The reason is above."));
      return;
    }
    this.viewer.selecting = may("review") && this.document.kind === "contract";
    if (!may("results:read")) {
      if (may("review")) this.items = await this.itemsByResult();
      if (turn !== this.turn) return;
      fill(this.body, h("p.muted", {}, `You can't read results (scope results:read).${may("review") ? " Your items are in the queue." : ""}`),
        this.addedClauses().map((one) => h("section.group", {}, h("h2", {}, one.category), this.clause(one))));
      return;
    }
    if (this.hasOnlyParts) fill(this.body, h("p.muted", {}, "This file itself is not analysed. Its parts are separate documents, listed above."));
    else if (this.document.kind === "report") await this.findings();
    else await this.clauses();
  }

  /** Show a clause that was added, and a way to take it back. */
  async added(item) {
    say(`Added: ${item.category}.`);
    await this.results();
    this.openers.get(item.result_id)?.();
  }

  async clauses() {
    const { turn } = this;
    const nothing = { items: [], searched: { failed_pages: [], warnings: [] } };
    const [found, values, presence] = await Promise.all([this.found("clauses"), this.optional("values"), get(`${this.path}/presence`).catch(orElse(nothing))]);
    if (turn !== this.turn) return;
    const ids = new Set(found.map((one) => one.id));
    found.push(...this.addedClauses().filter((one) => !ids.has(one.id)));
    this.others = found.flatMap((one) => (one.boxes ?? []).map((box) => ({ ...box, look: "other", key: one.id })));
    const groups = Map.groupBy ? Map.groupBy(found, (one) => one.category) : grouped(found);
    const names = [...groups.keys()].sort((a, b) => a.localeCompare(b));
    const clauses = found.length ? [this.summary(found),
      names.map((name) => h("section.group", {}, h("h2", {}, name), groups.get(name).map((one) => this.clause(one))))]
      : h("p.muted", {}, "No clauses found.");
    const persons = [...this.items.values()].filter((item) => item.origin === "person");
    const missing = missingOf(this.id, presence, {
      confirmed: new Map(persons.filter((item) => item.absent).map((item) => [item.category, item])),
      has: new Set(persons.filter((item) => !item.absent).map((item) => item.category)),
      open: (one) => this.openWords(one),
      changed: () => this.results(),
    });
    this.tabs = new Tabs("Results", [["clauses", "Clauses", found.length, clauses], ["terms", "Terms", countTerms(values), termsOf(values, (one) => this.openWords(one))],
      ["missing", "Missing", missing.count, missing.element]], this.tab, (key) => { this.tab = key; });
    fill(this.body, this.tabs.element);
  }

  /** Show words that are no clause of their own. */
  async openWords({ start, end, page }) {
    const span = { start, end };
    const number = page ?? (await known.info(this.id)).pages.find((one) => one.end > start)?.number ?? 1;
    const boxes = await boxesOf(this.id, { page: number, span });
    await this.viewer.open({ id: this.id, boxes: [...boxes, ...this.others], span, page: number, mode: this.viewer.mode });
  }

  clause(one) {
    const boxes = [...one.boxes ?? [], ...this.others.filter((box) => box.key !== one.id)];
    const open = () => {
      this.body.querySelectorAll("[aria-current]").forEach((other) => other.removeAttribute("aria-current"));
      button.setAttribute("aria-current", "true");
      this.viewer.open({ id: this.id, boxes, span: { start: one.start, end: one.end, omitted: one.omitted }, page: one.page, mode: this.viewer.mode });
    };
    this.openers.set(one.id, () => {
      open();
      button.scrollIntoView({ block: "nearest" });
    });
    const item = this.decided(one);
    const renamed = item && changes(item).category;
    const button = h("button.result", { type: "button", onclick: open },
      h("span.clip", {}, item ? decidedText(item, 220) : excerpt(ownWords(one), 220)),
      renamed && h("span", {}, "Now: ", h("ins", {}, renamed)),
      h("span.row.apart", {}, !one.added && certainty(one.confidence), this.pill(one), h("span.muted", {}, one.page ? `page ${one.page}` : "")));
    return [button, item && decisionLink(item), this.isAccepted(one) && h("a.small.see", { href: query("/review", { item: this.items.get(one.id).id }) }, "Review it yourself")];
  }

  async findings() {
    if (this.hasOnlyWords) {
      const sentences = await this.found("narrative-flags", countItems);
      const { warnings } = await get(query(`${this.path}/narrative-flags`, { limit: 1 }));
      fill(this.body, h("p.muted", {}, "No financial statements found, so no figures were checked. The sentences were."), this.inWords(sentences), this.notes(warnings));
      return;
    }
    const { turn } = this;
    const found = await this.found("findings");
    const [{ warnings, filings, risk, coverage }, signals, sentences] = await Promise.all([get(query(`${this.path}/findings`, { limit: 1 })), this.optional("signals"), this.optional("narrative-flags")]);
    if (turn !== this.turn) return;
    const dismissed = found.filter((one) => one.dismissed);
    const open = found.filter((one) => !one.dismissed);
    fill(this.body, open.length ? [this.summary(open), open.map((one) => this.finding(one))]
      : h("p.muted", {}, clean(dismissed.length, filings, warnings?.filter((one) => UNCHECKED.test(one)).length ?? 0, coverage?.not_closing)),
    coverage && h("p.muted", {}, coverage.summary),
    !found.length && riskNote(risk),
    dismissed.length > 0 && h("details.group", {}, h("summary", {}, `${count(dismissed.length, "finding")} dismissed in an earlier report of this company`), dismissed.map((one) => this.finding(one))),
    coverage?.items.length > 0 && this.open(coverage),
    sentences.length > 0 && this.inWords(sentences),
    signals.length > 0 && this.unusual(signals), this.asRead(), this.notes(warnings));
  }

  /** The relations that do not close, by check, with the usual lawful reason of each. */
  open({ items, not_closing: all }) {
    const checks = [...new Set(items.map((one) => one.check))];
    const line = (one) => h("p", {}, one.message, " ", h("span.muted", {}, [one.page && `page ${one.page}`, one.filing].filter(Boolean).join(" · ")));
    return h("section.group", {}, h("h2", {}, "Does not close"), checks.map((check) => {
      const own = items.filter((one) => one.check === check);
      return h("details", { open: true }, h("summary", {}, own[0].title ?? title(check)), own.map(line), own[0].possible_explanation && h("p.muted", {}, `May be lawful: ${own[0].possible_explanation}`));
    }), items.length < all && h("p.muted", {}, `Not shown: ${number(all - items.length)} more.`));
  }

  /** The statements of the first filing, loaded when opened. */
  asRead() {
    const inside = h("div", {});
    let asked = false;
    const open = async (event) => {
      if (asked || !event.target.open) return;
      asked = true;
      try {
        const { items } = await get(query(`${this.path}/statements`, { limit: 1 }));
        fill(inside, items.flatMap((filing) => filing.statements.map((one) => statementTable(one))));
      } catch (error) {
        asked = false;
        say(error.message);
      }
    };
    return h("details.group", { ontoggle: open }, h("summary", {}, "Statements as read"), inside);
  }

  notes(warnings) {
    return warnings?.length > 0 && h("details.group", {}, h("summary", {}, `Partly unread (${count(warnings.length, "note")})`),
      h("ul.notes", {}, warnings.map((one) => h("li", {}, one))));
  }

  /** Values, signals or sentences; empty if the document was processed without them. */
  optional(what) {
    return everything(`${this.path}/${what}`, what === "values" ? {} : { limit: 500 }).catch(orElse([]));
  }

  /** The flagged sentences by family. */
  inWords(sentences) {
    const families = [...new Set(sentences.map((one) => one.title))];
    return h("section.group", {}, h("h2", {}, "Flagged sentences"), families.map((family) => {
      const own = sentences.filter((one) => one.title === family);
      return h("details", { open: own.some((one) => one.level === "strong") }, h("summary", {}, `${family} (${count(own.length, "sentence")})`), own.map((one) => this.sentence(one)));
    }));
  }

  sentence(one) {
    const item = this.decided(one);
    const span = { start: one.start, end: one.end };
    const open = () => this.viewer.open({ id: this.id, boxes: one.boxes, span, page: one.page, mode: this.viewer.mode });
    return h("div.group", {}, h("div.row.apart", {}, certainty(one.confidence), item && verdictPill(item)), h("blockquote.quote", {}, one.text),
      h("button.quiet.see", { type: "button", onclick: open }, `Show page ${one.page}`), item && decisionLink(item));
  }

  unusual(signals) {
    const odd = signals.filter((one) => one.level !== "usual");
    const usual = signals.filter((one) => one.level === "usual");
    return h("section.group", {}, h("h2", {}, "Unusual ratios"),
      odd.length ? odd.map((one) => this.signal(one)) : h("p.muted", {}, "No ratio stands out among other companies."),
      usual.length > 0 && h("details", {}, h("summary", {}, `${count(usual.length, "usual ratio")}`), usual.map((one) => this.signal(one))));
  }

  signal(one) {
    const item = this.decided(one);
    return h("div.group", {}, h("div.row.apart", {}, h("h3", {}, one.title, one.level === "strong" && h("span.tag", {}, "strong")), item && verdictPill(item)), h("p", {}, one.message), one.page && this.shows({ ...one, cells: one.inputs }), item && decisionLink(item));
  }

  finding(one) {
    const item = this.decided(one);
    return h("section.group", {}, h("div.row.apart", {}, h("h2", {}, title(one.check)), item && verdictPill(item)),
      h("p", {}, item?.verdict === "reject" ? h("del", {}, one.message) : one.message),
      h("p.row.apart", {}, certainty(one.confidence), h("span.muted", {}, `${words(one.statement)} · reported ${number(one.reported)}, expected ${number(one.expected)}`)),
      one.dismissed && h("p.remark", {}, `${title(one.dismissed.by)} dismissed the same finding on ${moment(one.dismissed.time)}: “${one.dismissed.reason}”`),
      one.page && this.shows(one),
      item && decisionLink(item));
  }

  /** A button that shows the position of a finding. */
  shows(one) {
    const place = one.cells?.[0]?.place;
    const span = place?.end ? { start: place.start, end: place.end } : null;
    const open = () => this.viewer.open({ id: this.id, boxes: boxesOfFinding(one.boxes, one), span, page: one.page, mode: this.viewer.mode });
    return h("button.quiet.see", { type: "button", onclick: open }, `Show ${placeOf(place) || `page ${one.page}`}`);
  }

  /** The clauses that people added, as results. */
  addedClauses() {
    return [...this.items.values()].filter((item) => item.origin === "person" && !item.absent).map((item) => ({ ...item, id: item.result_id, added: true }));
  }

  async itemsByResult() {
    const items = await everything("/v1/items", { document: this.id, state: "all", limit: 500 });
    return new Map(items.map((item) => [item.result_id, item]));
  }

  /** All results with their review items. `expected` counts the items that will come. */
  async found(what, expected = (all) => all.filter((one) => !one.dismissed).length) {
    const reviews = may("review");
    const { turn } = this;
    const [found, items] = await Promise.all([everything(`${this.path}/${what}`), reviews ? this.itemsByResult() : new Map()]);
    if (turn !== this.turn) return found;
    this.items = items;
    this.offer();
    if (reviews && found.filter((one) => items.has(one.id)).length < expected(found) && this.looks < 10) { // some items are not created yet
      this.looks += 1;
      this.timer = setTimeout(() => this.results().catch(() => {}), AGAIN);
    }
    return found;
  }

  /** The item of a result, if it is decided. */
  decided(result) {
    const item = this.items.get(result.id);
    return item?.state === "decided" ? item : null;
  }

  /** Whether it was accepted automatically. */
  isAccepted(result) {
    return isAccepted(this.items.get(result.id));
  }

  pill(result) {
    const item = this.decided(result);
    if (item) return verdictPill(item);
    return this.isAccepted(result) && machinePill();
  }

  summary(found) {
    if (!may("review")) return h("p.muted", {}, `${found.length} found`);
    const accepted = found.filter((one) => this.isAccepted(one)).length;
    return h("p.muted", {}, `${found.length} found, ${found.filter((one) => this.decided(one)).length} decided${accepted ? `, ${accepted} accepted automatically` : ""}`);
  }
}

/** How many sentences get an item: one strong sentence of each family. */
const countItems = (sentences) => new Set(sentences.filter((one) => one.level === "strong").map((one) => one.family)).size;

const partLine = (part) => h("li", {}, part.id ? h("a", { href: `/documents/${part.id}` }, part.name) : [part.name, h("span.muted", {}, part.code === "deleted" ? " (deleted)" : " (refused)")]);

const decisionLink = (item) => h("a.small.see", { href: query("/review", { item: item.id }) }, isMine(item) ? "See or undo the decision" : "See the decision");

/** Handles an error: a result that the document was processed without is replaced by `otherwise`. */
const orElse = (otherwise) => (error) => {
  if (error instanceof Problem && error.status === 409) return otherwise;
  throw error;
};

async function everything(path, params = {}) {
  const items = [];
  let cursor = null;
  do {
    const page = await get(query(path, { ...params, cursor }));
    items.push(...page.items);
    cursor = page.next ?? null;
  } while (cursor && items.length < 5000);
  return items;
}

function grouped(list) {
  const groups = new Map();
  for (const one of list) groups.set(one.category, [...(groups.get(one.category) ?? []), one]);
  return groups;
}
