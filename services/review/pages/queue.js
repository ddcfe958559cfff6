// The queue of open items, most urgent first.

import { actor, counts, get, may, query } from "/pages/api.js";
import { certainty, documentLink, empty, excerpt, fill, h, kbd, select, title, typing, words } from "/pages/dom.js";
import { distance } from "/pages/findings.js";
import { isSignal, isFlag, nameOf, titleOf } from "/pages/names.js";
import { nth } from "/pages/statement.js";
import { left } from "/pages/tab_session.js";
import { ownWords } from "/pages/text.js";
import { isAccepted, machinePill, verdictPill } from "/pages/verdicts.js";
import { monitors, problemOf } from "/pages/watch.js";

const STATES = [["open", "Open"], ["waiting", "Waiting"], ["claimed", "Being reviewed"], ["decided", "Decided"], ["accepted", "Accepted automatically"]];
const states = () => STATES.filter(([name]) => name !== "accepted" || may("results:read"));
const REFRESH = 15_000;
const CONFIDENCE = "confidence";

export async function show({ params, go, path = "/", kind = null }) {
  const queue = new Queue({ params, go, path, kind });
  await queue.load();
  return { title: kind === "finding" ? "Findings" : "Queue", element: queue.element, leave: () => queue.leave() };
}

class Queue {
  constructor({ params, go, path, kind }) {
    this.go = go;
    this.path = path;
    this.only = kind;
    this.filters = { kind: kind ?? params.get("kind") ?? "", document: params.get("document") ?? "", category: params.get("category") ?? "", state: params.get("state") ?? "open" };
    if (!states().some(([name]) => name === this.filters.state)) this.filters.state = "open";
    this.element = h("div.page");
    this.timer = setInterval(() => this.refresh(), REFRESH);
    document.addEventListener("keydown", this.key);
  }

  leave() {
    clearInterval(this.timer);
    document.removeEventListener("keydown", this.key);
  }

  key = (event) => {
    if (event.key === "Enter" && event.target === document.body && !typing(event)) this.start();
  };

  start() {
    this.go(this.review());
  }

  /** The address that reviews an item, or the first one, and then others that match the filters. */
  review(item) {
    const { kind, document: id, category } = this.filters;
    return query("/review", { item: item?.id, kind, document: id, category });
  }

  async load() {
    await left(); // else the counts still have the claims of a view before
    const none = { items: [] };
    const guarantees = may("results:read") ? monitors().catch(() => none) : none; // optional here
    [this.tally, this.page, this.guarantees] = await Promise.all([counts(this.only ?? ""), this.read(), guarantees]);
    this.items = this.page.items;
    this.draw();
  }

  read(cursor = null) {
    return get(query("/v1/items", { ...this.filters, limit: 50, cursor }));
  }

  /** Update the counts. The list changes only on request. */
  async refresh() {
    if (document.hidden) return;
    try {
      const fresh = await counts(this.only ?? "");
      const moved = fresh.waiting !== this.tally.waiting || fresh.claimed !== this.tally.claimed;
      this.tally = fresh;
      fill(this.head, this.numbers());
      if (moved) this.changed.hidden = false;
    } catch {
      // The banner shows it, and the next refresh comes soon.
    }
  }

  numbers() {
    const { waiting, claimed, decided_since: today, mine_since: mine } = this.tally;
    const one = (figure, text) => h("div.number", {}, h("span.big", {}, String(figure)), h("span.muted", {}, text));
    return [one(waiting, "waiting"), one(claimed, "being reviewed"), one(today, "decided today"), one(mine, "by you")];
  }

  draw() {
    this.head = h("div.numbers", { "aria-live": "off" }, this.numbers());
    this.changed = h("button.quiet.changed", { type: "button", hidden: true, onclick: () => this.load() }, "The queue has changed. Reload");
    const findings = this.only === "finding";
    fill(this.element,
      h("div.row.apart.head", {}, h("h1", {}, findings ? "Findings" : "Queue"), this.head,
        h("button.primary.large", { type: "button", onclick: () => this.start(), disabled: this.tally.waiting === 0 }, "Start reviewing", kbd("↵"))),
      this.guarantees.items.map(problemOf).filter(Boolean).map((text) => h("p.notice", { role: "alert" }, text, " ", h("a", { href: "/watch" }, "Why"))),
      h("form.filters", { "aria-label": "Filters", onsubmit: (event) => event.preventDefault() }, this.selects(), this.changed),
      this.items.length ? [h("p.muted.small", {}, order(this.items)), this.table(findings)] : this.nothing(findings));
  }

  selects() {
    const { kind, document: id, category, state } = this.filters;
    const groups = (every, list, name = (label) => label) => [["", every], ...list.map((g) => [g.key, `${excerpt(name(g.label), 60)} (${g.count})`])];
    return [
      !this.only && select("Kind", kind, [["", "Everything"], ["clause", "Clauses"], ["finding", "Findings"], ["signal", "Signals"], ["flag", "Sentences"]], (v) => this.filter({ kind: v })),
      select("Document", id, groups("All documents", this.tally.documents), (v) => this.filter({ document: v })),
      select(this.only ? "Check" : "Clause type", category, groups(this.only ? "All checks" : "All clause types", this.tally.categories, (name) => title(titleOf(name))), (v) => this.filter({ category: v })),
      select("State", state, states(), (v) => this.filter({ state: v })),
    ];
  }

  filter(change) {
    const { kind, ...rest } = { ...this.filters, ...change };
    this.go(query(this.path, { ...rest, kind: this.only ? "" : kind, state: rest.state === "open" ? "" : rest.state }));
  }

  table(findings) {
    const line = (item) => (findings ? findingRow : row)(item, this.review(item));
    this.rows = h("tbody", {}, this.items.map(line));
    const heads = findings ? ["How sure", "Document", "Statement", "Line", "Reported", "Expected", "What is wrong", ""] : ["How sure", "Category", "Text", "Document", "Page", ""];
    const more = h("button", { type: "button", hidden: this.page.next === null, onclick: async () => {
      this.page = await this.read(this.page.next);
      this.items.push(...this.page.items);
      this.rows.append(...this.page.items.map(line));
      more.hidden = this.page.next === null;
    } }, "Show more");
    const open = (event) => {
      if (event.target.closest("a")) return;
      event.target.closest("tr[data-item]")?.querySelector("a.open")?.click();
    };
    return [h("table.list", { class: findings ? "findings" : "items", onclick: open },
      h("thead", {}, h("tr", {}, heads.map((text) => h(["Reported", "Expected", "Page"].includes(text) ? "th.figure" : "th", { scope: "col" }, text)))), this.rows),
    h("div.row.centre.below", {}, more)];
  }

  nothing(findings) {
    const filtered = this.filters.document || this.filters.category || this.filters.state !== "open" || (!this.only && this.filters.kind);
    if (filtered) {
      return empty("No items match these filters", "Other items may be open.", h("button", { type: "button", onclick: () => this.go(this.path) }, "Show all open items"));
    }
    return empty(findings ? "No open findings" : "No open items", "The results of contracts and reports wait here for your decision.",
      may("documents:write") && h("a.button.primary", { href: "/documents" }, "Upload documents"), h("a.button", { href: "/decisions" }, "See decisions"));
  }
}

/** How the items are sorted, in words. */
function order(items) {
  const by = [...new Set(items.map((item) => item.ordered_by))];
  const learned = by.filter((name) => name !== CONFIDENCE);
  if (!learned.length) return "Sorted by confidence, lowest first.";
  const others = by.includes(CONFIDENCE) ? " Other items are sorted by confidence, lowest first." : "";
  return `Sorted by how likely reviewers are to change it (${learned.join(", ")}).${others}`;
}

function row(item, address) {
  const finding = item.kind === "finding";
  return h("tr", { "data-item": item.id },
    h("td.sure", {}, isSignal(item) ? distance(item) : certainty(item.confidence)),
    h("td.what", {}, h("a.open", { href: address }, nameOf(item)), finding && h("span.tag", {}, isSignal(item) ? "signal" : isFlag(item) ? "sentence" : "finding")),
    h("td.words", {}, h("span.clip", {}, excerpt(ownWords(item), 260))),
    documentCell(item), h("td.figure.page-cell", {}, item.page ?? "–"), stateCell(item));
}

function findingRow(item, address) {
  const finding = item.finding ?? {};
  const figure = (value) => h("td.figure", {}, value === null || value === undefined ? "–" : new Intl.NumberFormat().format(value));
  const line = finding.label ?? (finding.row === null || finding.row === undefined ? "–" : `${nth(finding.row)} row`);
  const column = finding.column === null || finding.column === undefined ? "" : `, ${nth(finding.column)} column`;
  return h("tr", { "data-item": item.id },
    h("td.sure", {}, certainty(item.confidence)), documentCell(item), h("td", {}, title(finding.statement) || "–"),
    h("td", {}, `${line}${column}`), figure(finding.reported), figure(finding.expected),
    h("td.words", {}, h("a.open", { href: address }, title(item.category)), h("span.clip.muted", {}, excerpt(ownWords(item), 200))), stateCell(item));
}

const documentCell = (item) => h("td.document", {}, documentLink(item.document_id, item.title, item.document));

function stateCell(item) {
  if (item.state === "decided") return h("td.state", {}, verdictPill(item));
  if (item.state === "claimed") return h("td.state", {}, h("span.pill.claimed", {}, item.lease.holder === actor()?.name ? "you are reviewing this" : `${item.lease.holder} is reviewing this`));
  return h("td.state", {}, isAccepted(item) ? machinePill() : "");
}
