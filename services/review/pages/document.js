// One document: what was found in it, where, and what it can be taken away as.

import { get, may, Problem, put, query } from "/pages/api.js";
import * as known from "/pages/documents-known.js";
import { KINDS, linesOf, pill } from "/pages/documents.js";
import { EarlyPages, foundSoFar } from "/pages/early.js";
import { certainty, count, excerpt, fill, h, moment, number, percent, say, select, title, words } from "/pages/dom.js";
import { boxesOfFinding, placeOf, statementTable } from "/pages/statement.js";
import { changes, decidedText, isAccepted, isMine, machinePill, verdictPill } from "/pages/verdicts.js";
import { Viewer } from "/pages/viewer.js";

const AGAIN = 2_000;
const MAILS = ["message/rfc822", "application/vnd.ms-outlook"];
const ARCHIVES = ["application/zip"];
const FEW = 8; // parts that are shown without being asked for
const RISKY = 0.2; // from which on a risk is explained where nothing was found: a step of the filter of Reports

export async function show({ id, params }) {
  const view = new DocumentView(id, placeIn(params));
  await view.load();
  return { title: view.document.name, element: view.element, leave: () => view.leave(), wide: true };
}

/** The place that the address names, as a search does; null for none. */
function placeIn(params) {
  const [page, start, end] = ["page", "start", "end"].map((name) => Number(params.get(name) ?? NaN));
  return page >= 1 && start >= 0 && start < end ? { page, span: { start, end }, mode: "text" } : null;
}

/** A warning of a filing in which nothing could be checked. */
const UNCHECKED = /(^|: )nothing was checked: /;

/** What is said of a report without an open finding. */
function clean(folded, filings, unchecked) {
  if (folded) return "All that was found in it was dismissed before, and is folded away.";
  if (!unchecked) return "Nothing in it contradicts itself, as far as was checked.";
  if (unchecked >= (filings ?? 1)) return "Nothing in it was checked: the notes below say why.";
  return `Nothing contradicts itself in what was checked; in ${unchecked} of its ${count(filings, "filing")} nothing was.`;
}

/** A risk without a finding: the likeliest suspicion is below the chance from which on one is told, and is not kept. */
function suspected(risk) {
  return risk >= RISKY && h("p.muted", {}, `Its risk is ${percent(risk)} all the same: that is how likely the machine takes its strongest suspicion of an error to be right. It is less sure of it than a finding has to be, so it shows none and doesn’t say where. If it matters, look over the statements yourself.`);
}

class DocumentView {
  constructor(id, place) {
    this.id = id;
    this.place = place;
    this.path = `/v1/documents/${encodeURIComponent(id)}`;
    this.viewer = new Viewer();
    this.head = h("div.panel-top");
    this.body = h("div.panel-body", { tabindex: "0", role: "region", "aria-label": "What was found" });
    this.foot = h("div.panel-foot");
    this.looks = 0;
    this.items = new Map(); // by the id of the result that each is about
    this.element = h("div.workspace", {}, this.viewer.element, h("section.panel.overview", { "aria-label": "The document" }, this.head, this.body, this.foot));
    document.addEventListener("keydown", this.key);
  }

  key = (event) => {
    if (event.target.closest?.("input, select, textarea") || event.ctrlKey || event.metaKey) return;
    const paged = this.opened ? this.viewer : this.early;
    if (event.key === "ArrowLeft") paged?.step(-1);
    if (event.key === "ArrowRight") paged?.step(1);
    if (event.key === "t") this.viewer.toggle();
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
    else fill(this.body, h("p.muted", {}, "It is being worked on. What is found appears here by itself."));
    if (this.document.progress) {
      await this.soFar(this.document.progress);
      return;
    }
    const details = await known.info(this.id);
    if (!this.opened && details.page_count) {
      this.opened = true;
      await this.viewer.open({ id: this.id, ...this.place });
    } else if (!this.opened) {
      this.viewer.present(h("p.empty", {}, this.document.state === "ended" ? "Nothing of it can be shown: it could not be read." : "Nothing of it can be shown yet: it is being read."));
    }
  }

  /** The first pages, while the others are read. */
  async soFar(progress) {
    if (!this.early) {
      this.early = new EarlyPages(this.path);
      this.viewer.present(this.early.element);
    }
    try {
      await this.early.show(progress);
      fill(this.body, foundSoFar(await get(query(`${this.path}/clauses`, { early: true, limit: 500 }))));
    } catch (error) { // nothing is found yet, or all is read by now; this looks again anyway
      if (!(error instanceof Problem)) throw error;
    }
  }

  draw() {
    const { name, kind, pages, reasons = [], created, parents = [], parts = [] } = this.document;
    fill(this.head,
      h("div.row.apart", {}, h("span.kind", {}, kind ?? "document"), pill(this.document)),
      h("h1.category.name", {}, name),
      h("p.muted", {}, `${pages === null || pages === undefined ? "" : `${count(pages, "page")} · `}${moment(created)}`),
      this.kindChoice(),
      parents.length > 0 && h("p.family", {}, "It came in ", parents.map((one, at) => [at ? ", " : "", h("a", { href: `/documents/${one.id}` }, one.name)])),
      parts.length > 0 && h("details.family", { open: parts.length <= FEW }, h("summary", {}, `It holds ${count(parts.length, "part")}`), h("ul.parts", {}, parts.map(partLine))),
      reasons.length > 0 && h("ul.reasons", {}, reasons.flatMap(linesOf).map((one) => h("li", {}, one))));
    this.offer();
  }

  /** What it is, to be said anew: under another kind it is worked on again. */
  kindChoice() {
    const { kind, kind_unsure: unsure, media_type: type } = this.document;
    if (ARCHIVES.includes(type)) return null;
    return h("div.row", {}, select("It is a", kind, KINDS, (value) => this.sayKind(value)),
      unsure && h("button.quiet", { type: "button", onclick: () => this.sayKind(kind) }, `Not sure: yes, ${KINDS.find(([name]) => name === kind)[1].toLowerCase()}`));
  }

  async sayKind(kind) {
    clearTimeout(this.timer);
    try {
      await put(`${this.path}/kind`, { kind });
      say("Its kind is said.");
    } catch (error) {
      say(error.message);
    }
    this.items = new Map();
    this.looks = 0;
    await this.load();
  }

  /** Only what is possible: to review what is open, to export what was found, or the file itself. */
  offer() {
    const items = [...this.items.values()];
    const open = items.some((item) => item.state !== "decided" && !isAccepted(item));
    const file = (format) => h("a.button", { href: query("/v1/exports", { format, document: this.id, state: "all" }), download: true }, format.toUpperCase());
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

  /** A report in which no statements were found: its sentences were read all the same. */
  get hasOnlyWords() {
    return this.document.reasons?.some((reason) => reason.startsWith("no_statements:"));
  }

  async results() {
    if (this.gaveUp) {
      fill(this.body, h("p.muted", {}, this.document.outcome === "failed" ? "The work on it failed, so nothing was found in it and nothing waits for review. The reason is above."
        : "It was rejected without being worked on, so nothing waits for review. The reason is above."));
      return;
    }
    if (!may("results:read")) {
      fill(this.body, h("p.muted", {}, "Your key doesn't open what was found in it (the scope results:read). What waits for you is in the queue."));
      return;
    }
    if (this.hasOnlyParts) fill(this.body, h("p.muted", {}, "Nobody looks for anything in it itself. What lies in it is listed above, each a document of its own."));
    else if (this.document.kind === "report") await this.findings();
    else await this.clauses();
  }

  async clauses() {
    const found = await this.found("clauses");
    const groups = Map.groupBy ? Map.groupBy(found, (one) => one.category) : grouped(found);
    const names = [...groups.keys()].sort((a, b) => a.localeCompare(b));
    fill(this.body, found.length ? [this.summary(found),
      names.map((name) => h("section.group", {}, h("h2", {}, name), groups.get(name).map((one) => this.clause(one))))]
      : h("p.muted", {}, "No clauses of the known categories were found in it."));
  }

  clause(one) {
    const boxes = one.boxes ?? [];
    const open = () => {
      this.body.querySelectorAll("[aria-current]").forEach((other) => other.removeAttribute("aria-current"));
      button.setAttribute("aria-current", "true");
      this.viewer.open({ id: this.id, boxes, span: { start: one.start, end: one.end }, page: one.page, mode: this.viewer.mode });
    };
    const item = this.decided(one);
    const renamed = item && changes(item).category;
    const button = h("button.result", { type: "button", onclick: open },
      h("span.clip", {}, item ? decidedText(item, 220) : excerpt(one.text, 220)),
      renamed && h("span", {}, "Now: ", h("ins", {}, renamed)),
      h("span.row.apart", {}, certainty(one.confidence), this.pill(one), h("span.muted", {}, one.page ? `page ${one.page}` : "")));
    return [button, item && decisionLink(item), this.isAccepted(one) && h("a.small.see", { href: query("/review", { item: this.items.get(one.id).id }) }, "Look at it yourself")];
  }

  async findings() {
    if (this.hasOnlyWords) {
      const sentences = await this.found("narrative-flags", asked);
      const { warnings } = await get(query(`${this.path}/narrative-flags`, { limit: 1 }));
      fill(this.body, h("p.muted", {}, "No statements were found in it, so nothing of its figures was checked. What it says in words was read."), this.inWords(sentences), this.notes(warnings));
      return;
    }
    const found = await this.found("findings");
    const [{ warnings, filings, risk }, signals, sentences] = await Promise.all([get(query(`${this.path}/findings`, { limit: 1 })), this.beside("signals"), this.beside("narrative-flags")]);
    const folded = found.filter((one) => one.dismissed);
    const open = found.filter((one) => !one.dismissed);
    fill(this.body, open.length ? [this.summary(open), open.map((one) => this.finding(one))]
      : h("p.muted", {}, clean(folded.length, filings, warnings?.filter((one) => UNCHECKED.test(one)).length ?? 0)),
    !found.length && suspected(risk),
    folded.length > 0 && h("details.group", {}, h("summary", {}, `${count(folded.length, "finding")} folded away, as the same of this filer was dismissed before`), folded.map((one) => this.finding(one))),
    sentences.length > 0 && this.inWords(sentences),
    signals.length > 0 && this.unusual(signals), this.asRead(), this.notes(warnings));
  }

  /** The statements of its first filing, that of equity among them, for whoever opens them. */
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
    return h("details.group", { ontoggle: open }, h("summary", {}, "Statements as they were read"), inside);
  }

  notes(warnings) {
    return warnings?.length > 0 && h("details.group", {}, h("summary", {}, `Not everything in it could be read (${count(warnings.length, "note")})`),
      h("ul.notes", {}, warnings.map((one) => h("li", {}, one))));
  }

  /** What else was looked for in it, signals or sentences; none where it was judged before that. */
  beside(what) {
    return everything(`${this.path}/${what}`, { limit: 500 }).catch((error) => {
      if (error instanceof Problem && error.status === 409) return [];
      throw error;
    });
  }

  /** What it says of its filer in words, one thing after the other. */
  inWords(sentences) {
    const families = [...new Set(sentences.map((one) => one.title))];
    return h("section.group", {}, h("h2", {}, "Said of the filer in words"), families.map((family) => {
      const own = sentences.filter((one) => one.title === family);
      return h("details", { open: own.some((one) => one.level === "strong") }, h("summary", {}, `${family} (${count(own.length, "sentence")})`), own.map((one) => this.sentence(one)));
    }));
  }

  sentence(one) {
    const item = this.decided(one);
    const span = { start: one.start, end: one.end };
    const open = () => this.viewer.open({ id: this.id, boxes: one.boxes, span, page: one.page, mode: this.viewer.mode });
    return h("div.group", {}, h("div.row.apart", {}, certainty(one.confidence), item && verdictPill(item)), h("blockquote.quote", {}, one.text),
      h("button.quiet.see", { type: "button", onclick: open }, `Show it: page ${one.page}`), item && decisionLink(item));
  }

  unusual(signals) {
    const odd = signals.filter((one) => one.level !== "usual");
    const usual = signals.filter((one) => one.level === "usual");
    return h("section.group", {}, h("h2", {}, "Unusual, though it adds up"),
      odd.length ? odd.map((one) => this.signal(one)) : h("p.muted", {}, "Nothing stands out among other companies."),
      usual.length > 0 && h("details", {}, h("summary", {}, `${count(usual.length, "ratio")} as usual`), usual.map((one) => this.signal(one))));
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
      one.dismissed && h("p.said", {}, `${one.dismissed.by} dismissed the same on ${moment(one.dismissed.time)}: “${one.dismissed.reason}”`),
      one.page && this.shows(one),
      item && decisionLink(item));
  }

  /** A button that shows where a finding is seen. */
  shows(one) {
    const place = one.cells?.[0]?.place;
    const span = place?.end ? { start: place.start, end: place.end } : null;
    const open = () => this.viewer.open({ id: this.id, boxes: boxesOfFinding(one.boxes, one), span, page: one.page, mode: this.viewer.mode });
    return h("button.quiet.see", { type: "button", onclick: open }, `Show it: ${placeOf(place) || `page ${one.page}`}`);
  }

  /** Everything that was found, and what people decided about it. */
  async found(what, waits = (all) => all.filter((one) => !one.dismissed).length) {
    const [found, items] = await Promise.all([everything(`${this.path}/${what}`), everything("/v1/items", { document: this.id, state: "all", limit: 500 })]);
    this.items = new Map(items.map((item) => [item.result_id, item]));
    this.offer();
    if (items.length < waits(found) && this.looks < 10) { // review is yet to hear of some
      this.looks += 1;
      this.timer = setTimeout(() => this.results().catch(() => {}), AGAIN);
    }
    return found;
  }

  /** The item of a result, if somebody has decided it. */
  decided(result) {
    const item = this.items.get(result.id);
    return item?.state === "decided" ? item : null;
  }

  /** Whether the machine accepted it, and nobody looked. */
  isAccepted(result) {
    return isAccepted(this.items.get(result.id));
  }

  pill(result) {
    const item = this.decided(result);
    if (item) return verdictPill(item);
    return this.isAccepted(result) && machinePill();
  }

  summary(found) {
    const accepted = found.filter((one) => this.isAccepted(one)).length;
    return h("p.muted", {}, `${found.length} found, ${found.filter((one) => this.decided(one)).length} decided${accepted ? `, ${accepted} accepted by the machine` : ""}`);
  }
}

/** Sentences that a person is asked about: of each family the surest strong one. */
const asked = (sentences) => new Set(sentences.filter((one) => one.level === "strong").map((one) => one.family)).size;

const partLine = (part) => h("li", {}, part.id ? h("a", { href: `/documents/${part.id}` }, part.name) : [part.name, h("span.muted", {}, part.code === "deleted" ? " (deleted)" : " (refused)")]);

const decisionLink = (item) => h("a.small.see", { href: query("/review", { item: item.id }) }, isMine(item) ? "See or undo the decision" : "See the decision");

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
