// The queue of items, most urgent first, in views that can be saved.

import { actor, counts, get, may, query } from "/pages/api.js";
import { certainty, documentLink, empty, excerpt, fill, h, kbd, say, select, title, typing } from "/pages/dom.js";
import { distance } from "/pages/findings.js";
import { isSignal, kindOf, nameOf, titleOf } from "/pages/names.js";
import { QueueActions } from "/pages/queue_actions.js";
import { forgetView, savedViews, saveView } from "/pages/saved_views.js";
import { left } from "/pages/tab_session.js";
import { ownWords } from "/pages/text.js";
import { isAccepted, machinePill, verdictPill } from "/pages/verdicts.js";
import { monitors, problemOf } from "/pages/watch.js";

const STATES = [["open", "Open"], ["waiting", "Waiting"], ["claimed", "Open now"], ["decided", "Decided"], ["accepted", "Accepted by the model"]];
const states = () => STATES.filter(([name]) => name !== "accepted" || may("results:read"));
const KINDS = [["", "All types"], ["clause", "Clauses"], ["finding", "Findings"], ["signal", "Signals"], ["flag", "Sentences"]];
const SORTS = [["urgency", "Likeliest to change first"], ["confidence", "Least certain first"], ["newest", "Newest first"]];
const FILTERS = ["kind", "document", "category", "state", "assignee", "q", "sort"];
const VIEWS = [["All open", {}], ["Mine", { assignee: "me" }], ["Unassigned", { assignee: "nobody" }], ["Findings", { kind: "finding" }]];
const KEYS = [["M", "Assign the selected items to yourself"], ["⇧ A", "Accept the sure ones of the selected items"], ["1 2 …", "Choose a view"], ["↵", "Start reviewing, if no row is chosen"]];
const REFRESH = 15_000;
const TYPED = 300; // milliseconds after the last letter of a search
const CONFIDENCE = "confidence";

export async function show({ params, go, replace, kind = null }) {
  const filters = Object.fromEntries(FILTERS.map((name) => [name, params.get(name) ?? ""]).filter(([, value]) => value));
  const queue = new Queue({ filters: kind ? { ...filters, kind } : filters, go, replace });
  await queue.load();
  return { title: "Queue", element: queue.element, leave: () => queue.leave(), focus: () => queue.search.focus(), list: queue.list, keys: KEYS };
}

const same = (one, other) => FILTERS.every((name) => (one[name] ?? "") === (other[name] ?? ""));

class Queue {
  constructor({ filters, go, replace }) {
    Object.assign(this, { filters, go, replace });
    if (!states().some(([name]) => name === (filters.state ?? "open"))) this.filters.state = "open";
    this.items = [];
    this.turn = 0;
    this.figures = new Map(); // counts of views by name
    this.actions = new QueueActions({ changed: () => this.load(), listed: () => this.items });
    this.search = h("input", { type: "search", value: filters.q ?? "", maxlength: 200, placeholder: "Clause type, words, document", "aria-label": "Search the queue", oninput: () => this.typed() });
    this.head = h("p.muted");
    this.start = h("button.primary.large", { type: "button", "aria-keyshortcuts": "Enter", onclick: () => this.review() }, "Start reviewing", kbd("↵"));
    this.views = h("nav.tabs", { "aria-label": "Views" });
    this.chips = h("form.row.filter-row", { "aria-label": "Filters", onsubmit: (event) => event.preventDefault() });
    this.changed = h("button.quiet.changed", { type: "button", hidden: true, onclick: () => this.load() }, "Queue updated. Reload");
    this.notices = h("div");
    this.list = h("div");
    this.element = h("div.page.queue", {}, h("div.row.apart.head", {}, h("h1", {}, "Queue"), h("div.row", {}, this.head, this.start)), this.notices, this.views,
      h("div.seek-list", { role: "search" }, this.search, this.chips), this.list, this.actions.element);
    this.timer = setInterval(() => this.refresh(), REFRESH);
    document.addEventListener("keydown", this.key);
  }

  leave() {
    clearInterval(this.timer);
    clearTimeout(this.typing);
    document.removeEventListener("keydown", this.key);
  }

  key = (event) => {
    if (typing(event) || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const acts = { m: () => this.actions.assign(actor().name) };
    if (event.shiftKey && name === "a") acts.a = () => this.actions.askConfidence();
    if (name === "Enter" && event.target === document.body) acts.Enter = () => this.review();
    const view = this.all[Number(name) - 1];
    if (view) acts[name] = () => this.show(view[1]);
    if (!acts[name]) return;
    event.preventDefault();
    acts[name]();
  };

  review() {
    if (!this.start.disabled) this.go(this.address());
  }

  /** The address that reviews an item, or the first one, and then others that match the filters. */
  address(item) {
    const { kind, document: id, category, assignee, q } = this.filters;
    return query("/review", { item: item?.id, kind, document: id, category, assignee, q });
  }

  /** All views as [name, filters], with a number for its key. */
  get all() {
    return [...VIEWS, ...savedViews().map((one) => [one.name, one.filters])];
  }

  async load() {
    const mine = ++this.turn;
    await left(); // else the counts still have the claims of a view before
    const none = { items: [] };
    const guarantees = may("results:read") ? monitors().catch(() => none) : none; // optional here
    const [tally, page, found] = await Promise.all([counts(this.conditions), this.read(), guarantees]);
    if (mine !== this.turn) return; // a later view is being read
    Object.assign(this, { tally, page });
    this.items = this.page.items;
    this.actions.accepts = this.tally.bulk_accept;
    fill(this.notices, found.items.map(problemOf).filter(Boolean).map((text) => h("p.notice", { role: "alert" }, text, " ", h("a", { href: "/insights?tab=error-rate" }, "Why"))));
    this.draw();
    this.actions.draw();
    this.countViews();
  }

  /** The filters without order and state. */
  get conditions() {
    const { kind, document: id, category, assignee, q } = this.filters;
    return { kind, document: id, category, assignee, q };
  }

  read(cursor = null) {
    return get(query("/v1/items", { ...this.filters, limit: 50, cursor }));
  }

  /** Update the counts. The list changes only on request. */
  async refresh() {
    if (document.hidden) return;
    try {
      const fresh = await counts(this.conditions);
      const moved = fresh.waiting !== this.tally.waiting || fresh.claimed !== this.tally.claimed;
      this.tally = fresh;
      this.drawHead();
      if (moved) this.changed.hidden = false;
    } catch {
      // The banner shows it, and the next refresh comes soon.
    }
  }

  /** Count the open items of each view. */
  async countViews() {
    for (const [name, { state, sort, ...conditions }] of this.all) {
      const { waiting, claimed } = await counts(conditions).catch(() => ({}));
      this.figures.set(name, waiting + claimed);
    }
    if (this.views.isConnected && !this.views.querySelector("form")) this.drawViews(); // a name may be typed
  }

  drawHead() {
    const { waiting, claimed, decided_since: today, mine_since: mine } = this.tally;
    this.head.textContent = `${waiting} waiting · ${claimed} open now · ${today} decided today, ${mine} by you`;
    this.start.disabled = waiting === 0;
  }

  drawViews() {
    const tab = ([name, filters], at) => h("a.tab", { href: query("/", filters), "aria-current": same(filters, this.filters) && "page", title: at < 9 ? `${name} (${at + 1})` : name },
      name, this.figures.has(name) && h("span.count", {}, this.figures.get(name)));
    const own = savedViews().find((one) => same(one.filters, this.filters));
    const known = this.all.some(([, filters]) => same(filters, this.filters));
    fill(this.views, this.all.map(tab),
      !known && h("button.quiet.save-view", { type: "button", onclick: () => this.save() }, "Save view"),
      own && h("button.quiet.save-view", { type: "button", onclick: () => { forgetView(own.name); this.drawViews(); } }, "Forget this view"));
  }

  save() {
    const input = h("input", { maxlength: 40, required: true, "aria-label": "Name of the view" });
    const form = h("form.row.save-view", { onsubmit: (event) => {
      event.preventDefault();
      saveView(input.value.trim(), this.filters);
      this.drawViews();
      this.countViews();
    } }, input, h("button", {}, "Save"));
    this.views.querySelector(".save-view").replaceWith(form);
    input.focus();
  }

  drawChips() {
    const { kind = "", document: id = "", category = "", state = "open", assignee = "" } = this.filters;
    const groups = (every, list, name = (label) => label) => [["", every], ...list.map((g) => [g.key, `${excerpt(name(g.label), 60)} (${g.count})`])];
    const people = [["", "Assigned to anybody"], ["me", "Assigned to me"], ["nobody", "Assigned to nobody"]];
    const filtered = FILTERS.some((name) => name !== "sort" && this.filters[name]);
    fill(this.chips,
      select("Type", kind, KINDS, (v) => this.filter({ kind: v })),
      select("Clause type or check", category, groups("All clause types", this.tally.categories, (name) => title(titleOf(name))), (v) => this.filter({ category: v })),
      select("Document", id, groups("All documents", this.tally.documents), (v) => this.filter({ document: v })),
      select("Assigned to", assignee, people, (v) => this.filter({ assignee: v })),
      select("Status", state, states(), (v) => this.filter({ state: v === "open" ? "" : v })),
      filtered && h("button.quiet", { type: "button", onclick: () => { this.search.value = ""; this.show({}); } }, "Clear filters"));
  }

  typed() {
    clearTimeout(this.typing);
    this.typing = setTimeout(() => this.filter({ q: this.search.value.trim() }), TYPED);
  }

  filter(change) {
    return this.show({ ...this.filters, ...change });
  }

  /** Show the items of other filters. */
  async show(filters) {
    this.filters = Object.fromEntries(Object.entries(filters).filter(([, value]) => value));
    this.replace(query("/", this.filters));
    if (document.activeElement !== this.search) this.search.value = this.filters.q ?? "";
    this.actions.clear();
    await this.load();
    say(`${this.tally.waiting + this.tally.claimed} items`);
  }

  draw() {
    this.drawHead();
    this.drawViews();
    this.drawChips();
    this.changed.hidden = true;
    const { sort = "urgency" } = this.filters;
    fill(this.list, this.items.length ? [h("div.row.apart.list-head", {}, h("p.muted.small", {}, sort === "urgency" ? order(this.items) : ""), this.changed,
      select("Sort", sort, SORTS, (v) => this.filter({ sort: v === "urgency" ? "" : v }))), this.table()] : [this.changed, this.nothing()]);
  }

  table() {
    const line = (item) => row(item, this.address(item), this.actions);
    this.rows = h("tbody", {}, this.items.map(line));
    const more = h("button", { type: "button", hidden: this.page.next === null, onclick: async () => {
      this.page = await this.read(this.page.next);
      this.items.push(...this.page.items);
      this.rows.append(...this.page.items.map(line));
      more.hidden = this.page.next === null;
    } }, "Show more");
    const open = (event) => {
      if (event.target.closest("a, input")) return;
      event.target.closest("tr[data-item]")?.querySelector("a.open")?.click();
    };
    return [h("table.list.items", { onclick: open },
      h("thead", {}, h("tr", {}, this.actions.boxOfAll(), ["Item", "Words", "Document", "Confidence", "Assigned to"].map((text) => h("th", { scope: "col" }, text)))), this.rows),
    h("div.row.centre.below", {}, more)];
  }

  nothing() {
    if (FILTERS.some((name) => name !== "sort" && this.filters[name])) {
      return empty("No items match these filters", "Other items may be open.", h("button", { type: "button", onclick: () => { this.search.value = ""; this.show({}); } }, "Clear filters"));
    }
    return empty("No open items", "The results of contracts and reports wait here for your decision.",
      may("documents:write") && h("a.button.primary", { href: "/documents" }, "Upload documents"), h("a.button", { href: "/decisions" }, "See decisions"));
  }
}

/** How the items are sorted, in words. */
function order(items) {
  const by = [...new Set(items.map((item) => item.ordered_by))];
  const learned = by.filter((name) => name !== CONFIDENCE);
  if (!learned.length) return "The least certain items come first.";
  const others = by.includes(CONFIDENCE) ? " The least certain of the others come first." : "";
  return `The items you are most likely to change come first (${learned.join(", ")}).${others}`;
}

function row(item, address, actions) {
  return h("tr", { "data-item": item.id }, actions.box(item, `${nameOf(item)}, ${item.title || item.document || item.document_id}`),
    h("td.what", {}, h("a.open", { href: address }, nameOf(item)), h("div.row.tight.muted.small", {}, kindOf(item), state(item))),
    h("td.words", {}, h("span.clip", {}, excerpt(ownWords(item), 260))),
    h("td.document", {}, documentLink(item.document_id, item.title, item.document), item.page && h("p.muted.small", {}, `page ${item.page}`)),
    h("td.sure", {}, isSignal(item) ? distance(item) : certainty(item.confidence)),
    h("td.assignee", {}, item.assignee ?? h("span.muted", {}, "Nobody")));
}

function state(item) {
  if (item.state === "decided") return verdictPill(item);
  if (item.state === "claimed") return h("span.pill.claimed", {}, item.lease.holder === actor()?.name ? "you are reviewing this" : `${item.lease.holder} is reviewing this`);
  return isAccepted(item) && machinePill();
}
