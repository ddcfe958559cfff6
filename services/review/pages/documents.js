// Documents: find them, see their state, and upload others.

import { actor, csrf, get, may, query, signInAgain } from "/pages/api.js";
import { DocumentActions, KINDS } from "/pages/document_actions.js";
import { count, empty, fill, h, moment, nameLines, number, say, select, typing, unseenHead } from "/pages/dom.js";

const SOON = 2_000;
const LATER = 20_000;
const PATIENCE = 3_600_000; // milliseconds for which an upload is retried
export { KINDS };
const STATES = { received: "being read", read: "waiting for analysis", processing: "being analysed", ended: "ended" };

const FILTERS = ["q", "kind", "outcome", "assignee", "tag", "sort"];
const CHIPS = [ // filters that one click sets
  ["Contracts", { kind: "contract" }], ["Reports", { kind: "report" }], ["Failed", { outcome: "failed" }], ["Assigned to me", { assignee: "me" }],
];
const columns = () => [["Name", "name"], ["Type"], ["Pages", "pages"], ...may("review") ? [["Decided"]] : [], ["Assigned to"], ["Status", "state"], ["Received", "received"]];
const NEWEST = "-received";
const SORTS = [[NEWEST, "Newest first"], ["received", "Oldest first"], ["name", "Name, A to Z"], ["-name", "Name, Z to A"], ["-pages", "Most pages first"], ["pages", "Fewest pages first"], ["state", "Status, A to Z"], ["-state", "Status, Z to A"]]; // on a phone, which shows no heads
const TYPED = 250; // milliseconds after a key until the list is asked
const kept = () => `smallprint.documents.${actor().id}`; // key of the last view of this person in this browser
const FEW = 3; // uploads that are listed without a click

export async function show({ params, replace }) {
  const wanted = viewOf(params);
  replace(query("/documents", wanted));
  const view = new Documents(wanted, replace);
  await view.load();
  return { title: "Documents", element: view.element, leave: () => view.leave(), unsent: () => view.uploads.length, focus: () => view.search.focus(), list: view.list, keys: may("documents:write") ? [["U", "Upload files"]] : [] };
}

/** The filters and the order in the address; without any, those that this person used last. */
function viewOf(params) {
  if (![...params.keys()].length) return JSON.parse(localStorage.getItem(kept()) ?? "{}");
  return Object.fromEntries(FILTERS.map((name) => [name, params.get(name)]).filter(([, value]) => value));
}

class Documents {
  constructor(view, replace) {
    this.view = view;
    this.replace = replace;
    this.kind = "";
    this.uploads = [];
    this.rows = new Map();
    this.removed = new Set(); // ids of deleted documents, which an older answer may still list
    this.more = null;
    this.turn = 0; // counts views, so that a slow answer never replaces a later one
    this.body = h("tbody");
    this.list = h("div");
    this.counts = {};
    this.actions = new DocumentActions((removed) => this.changed(removed), () => [...this.rows.values()].map((row) => row.item));
    const closeMenus = ({ target }) => { for (const menu of this.body.querySelectorAll(".menu[open]")) if (!menu.contains(target)) menu.open = false; };
    this.chips = h("div.row.tight", { role: "group", "aria-label": "Filters" });
    this.sorter = h("div.sorter");
    this.search = h("input", { type: "search", value: view.q ?? "", maxlength: 400, placeholder: "Name, party or tag", "aria-label": "Search documents by name, party or tag", oninput: () => this.typed() });
    this.element = h("div.page", { onpointerdown: closeMenus, onfocusin: closeMenus },
      h("div.row.apart.head", {}, h("h1", {}, "Documents"), may("results:read") && h("a.button", { href: "/reports" }, "Reports by risk")), may("documents:write") && this.dropZone(), h("div.seek-list", { role: "search" }, this.search, this.chips, this.sorter), this.list, this.actions.element);
    this.gone = false;
    window.addEventListener("beforeunload", this.warn);
    this.onDrag = (event) => this.dragged(event);
    for (const name of ["dragover", "drop", "dragleave"]) document.addEventListener(name, this.onDrag);
    document.addEventListener("keydown", this.key);
    this.drawChips();
  }

  leave() {
    this.gone = true;
    clearTimeout(this.timer);
    clearTimeout(this.typing);
    window.removeEventListener("beforeunload", this.warn);
    document.removeEventListener("keydown", this.key);
    for (const name of ["dragover", "drop", "dragleave"]) document.removeEventListener(name, this.onDrag);
  }

  key = (event) => {
    if (!this.picker || event.key.toLowerCase() !== "u" || event.ctrlKey || event.metaKey || event.altKey || typing(event) || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    this.picker.click();
  };

  warn = (event) => { if (this.uploads.length) event.preventDefault(); };

  /** Files can be dropped anywhere on the page. */
  dragged(event) {
    if (!this.zone || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    this.zone.classList.toggle("over", event.type === "dragover");
    if (event.type === "drop") this.take(event.dataTransfer.files);
  }

  typed() {
    clearTimeout(this.typing);
    this.typing = setTimeout(() => this.change({ q: this.search.value.trim() }), TYPED);
  }

  /** Show another view, and keep it in the address and in this browser. */
  async change(some) {
    this.view = Object.fromEntries(Object.entries({ ...this.view, ...some }).filter(([, value]) => value));
    localStorage.setItem(kept(), JSON.stringify(this.view));
    this.replace(query("/documents", this.view));
    this.drawChips();
    this.actions.clear();
    this.changing = true;
    await this.load();
    say(this.more ? "More than 50 documents" : count(this.rows.size, "document"));
  }

  drawChips() {
    const chip = (text, on, onclick, figure) => h("button.chip", { type: "button", "aria-pressed": String(on), onclick }, text, figure > 0 && h("span.figure", {}, ` ${figure}`));
    const chips = CHIPS.map(([text, filter]) => {
      const [[name, value]] = Object.entries(filter);
      const on = this.view[name] === value;
      return chip(text, on, () => this.change({ [name]: on ? "" : value }), this.counts[text]);
    });
    if (!this.sorter.contains(document.activeElement)) fill(this.sorter, select("Sort", this.view.sort ?? NEWEST, SORTS, (sort) => this.sort(sort)));
    const focused = this.chips.contains(document.activeElement) && document.activeElement.firstChild.textContent;
    const filtered = FILTERS.some((name) => name !== "sort" && this.view[name]);
    fill(this.chips, chips,
      this.view.tag && chip(`Tag: ${this.view.tag}`, true, () => this.change({ tag: "" })),
      filtered && h("button.quiet", { type: "button", onclick: () => { this.search.value = ""; this.change({ q: "", kind: "", outcome: "", assignee: "", tag: "" }); } }, "Clear filters"));
    if (focused) ([...this.chips.children].find((one) => one.firstChild.textContent === focused) ?? this.search).focus();
  }

  /** Count for the filters if all documents are listed. */
  tally(page) {
    if (page.next || FILTERS.some((name) => name !== "sort" && this.view[name])) return;
    const fits = (filter) => page.items.filter((one) => Object.entries(filter).every(([name, value]) => one[name] === (value === "me" ? actor().name : value)));
    const counts = Object.fromEntries(CHIPS.map(([text, filter]) => [text, fits(filter).length]));
    if (JSON.stringify(counts) === JSON.stringify(this.counts)) return;
    this.counts = counts;
    this.drawChips();
  }

  dropZone() {
    this.picker = h("input.unseen", { type: "file", "aria-keyshortcuts": "U", multiple: true, id: "files", onchange: () => { this.take(this.picker.files); this.picker.value = ""; } });
    this.password = h("input", { type: "password", autocomplete: "off", placeholder: "only if a PDF needs one" });
    this.progress = h("ul.uploads", { "aria-live": "polite" });
    this.summary = h("summary");
    this.uploaded = h("details.fold", { hidden: true }, this.summary, this.progress,
      h("button.quiet", { type: "button", onclick: () => { this.progress.replaceChildren(...this.uploads.map((job) => job.line)); this.summarise(); } }, "Clear this list"));
    this.zone = h("section.drop", { "aria-label": "Upload" }, this.picker,
      h("div.drop-main", {}, h("label.button.primary", { for: "files" }, "Upload"), h("span.muted", {}, "or drop files anywhere on this page: PDF, scans, Word, mails, ZIP; reports also as Excel or XBRL.")),
      h("details.fold", {}, h("summary", {}, "Options"), h("div.drop-options", {},
        select("Type", "", [["", "Detect from the text"], ...KINDS], (value) => { this.kind = value; }),
        h("label.field", {}, h("span", {}, "PDF password"), this.password))), this.uploaded);
    return this.zone;
  }

  take(files) {
    for (const file of files) this.upload(file);
  }

  /** The number of uploads by result. A few are open, and so are failed ones. */
  summarise() {
    const lines = [...this.progress.children];
    const of = (name) => lines.filter((line) => line.classList.contains(name)).length;
    const [good, wrong] = [of("good"), of("wrong")];
    const parts = [good && `${good} sent`, lines.length - good - wrong && `${lines.length - good - wrong} waiting`, wrong && `${wrong} failed`];
    fill(this.summary, `${count(lines.length, "file")}: ${parts.filter(Boolean).join(", ")}`);
    this.uploaded.hidden = !lines.length;
    if (lines.length <= FEW || wrong) this.uploaded.open = true;
    else if (lines.length === FEW + 1) this.uploaded.open = false;
  }

  /** One request a file: each has its own progress and error. */
  upload(file) {
    const bar = h("progress", { max: 1, value: 0, "aria-label": `Upload of ${file.name}` });
    const note = h("span.muted", {}, "waiting");
    const line = h("li", {}, h("span.upload-name", {}, file.name), bar, note);
    this.progress.prepend(line);
    const job = { file, bar, note, line, kind: this.kind, password: this.password.value };
    this.uploads.push(job);
    this.summarise();
    if (this.uploads.length === 1) this.work();
  }

  async work() {
    while (this.uploads.length && !this.gone) {
      await this.send(this.uploads[0]).catch(() => {});
      this.uploads.shift();
      await this.load().catch(() => {});
    }
  }

  async send(job) {
    const answer = await attempt(job);
    if (answer.status === 401) {
      await signInAgain();
      return this.send(job);
    }
    job.began ??= Date.now();
    if (answer.status === 429 && answer.again && Date.now() - job.began < PATIENCE) {
      job.note.textContent = answer.full ? "waiting: too many documents are in progress" : "waiting: rate limit of this key";
      await new Promise((resolve) => setTimeout(resolve, 1000 * answer.again));
      return this.gone ? null : this.send(job);
    }
    const good = answer.status === 200 || answer.status === 202;
    job.bar.remove();
    job.line.classList.add(good ? "good" : "wrong");
    const words = good ? (answer.status === 200 ? "Already uploaded (identical file)" : "Uploaded") : answer.detail;
    job.note.textContent = words;
    say(`${job.file.name}: ${words}`);
    if (!good) {
      job.line.append(h("button.quiet", { type: "button", onclick: () => { job.line.remove(); this.upload(job.file); } }, "Try again"));
    }
    this.summarise();
    return null;
  }

  async load() {
    const mine = ++this.turn;
    const page = await this.read();
    if (this.gone || mine !== this.turn) return;
    if (this.changing) { // the rows of the view before stay until the answer
      this.rows.clear();
      this.body.replaceChildren();
      this.changing = false;
    }
    this.more = page.next;
    this.tally(page);
    this.show(page.items, true);
    clearTimeout(this.timer);
    const busy = page.items.some((one) => one.state !== "ended");
    this.timer = setTimeout(() => (document.hidden ? this.wait() : this.load().catch(() => this.wait())), busy ? SOON : LATER);
  }

  /** A page of documents; for reviewers each with how many of its items are decided. */
  async read(cursor = null) {
    const page = await get(query("/v1/documents", { ...this.view, limit: 50, cursor }));
    if (!may("review") || !page.items.length) return page;
    const ids = new URLSearchParams(page.items.map((one) => ["document", one.id]));
    const { items } = await get(`/v1/items/progress?${ids}`).catch(() => ({ items: [] })); // optional here
    const found = new Map(items.map((one) => [one.document_id, one]));
    return { ...page, items: page.items.map((one) => ({ ...one, review: found.get(one.id) })) };
  }

  /** Show what an action changed. */
  async changed(removed) {
    for (const id of removed) {
      this.removed.add(id);
      this.rows.get(id)?.remove();
      this.rows.delete(id);
    }
    await this.load();
  }

  wait() {
    if (!this.gone) this.timer = setTimeout(() => this.load().catch(() => this.wait()), LATER);
  }

  /** Replace changed rows only, so that the page does not jump. */
  show(listed, first) {
    const items = listed.filter((item) => !this.removed.has(item.id));
    for (const item of items) {
      const fresh = row(item, this.actions, (tag) => this.change({ tag }));
      const old = this.rows.get(item.id);
      if (old?.isConnected) {
        if (old.dataset.state !== fresh.dataset.state) {
          old.replaceWith(fresh);
          this.rows.set(item.id, fresh);
        }
      } else {
        this.rows.set(item.id, fresh);
        if (!first) this.body.append(fresh);
      }
    }
    if (first) this.order(items.map((item) => this.rows.get(item.id)));
    if (!this.body.children.length) {
      const filtered = FILTERS.some((name) => name !== "sort" && this.view[name]);
      fill(this.list, filtered ? empty("No documents match these filters", "Search for fewer words, or clear the filters.")
        : empty("No documents yet", may("documents:write") ? "Drop a contract here. It is read on this machine." : "You can't upload documents (scope documents:write)."));
      return;
    }
    if (!this.body.isConnected) this.drawTable();
    this.next.hidden = this.more === null;
  }

  /** Newest first. Rows move only if the order changed. */
  order(rows) {
    if (rows.every((one, at) => this.body.children[at] === one)) return;
    const older = [...this.body.children].filter((one) => !rows.includes(one));
    this.body.replaceChildren(...rows, ...older);
  }

  drawTable() {
    this.next = h("button", { type: "button", onclick: async () => {
      const mine = this.turn;
      const page = await this.read(this.more);
      if (mine !== this.turn) return;
      this.more = page.next;
      this.show(page.items, false);
    } }, "Show more");
    this.heads = h("tr");
    this.drawHeads();
    fill(this.list, h("table.list.documents", {}, h("thead", {}, this.heads), this.body), h("div.row.centre.below", {}, this.next));
  }

  async sort(name) {
    await this.change({ sort: name === NEWEST ? "" : name });
    if (this.heads) this.drawHeads();
  }

  /** The heads of the columns. Those that sort are buttons. */
  drawHeads() {
    const sort = this.view.sort ?? NEWEST;
    const head = ([text, name]) => {
      if (!name) return h("th", { scope: "col" }, text);
      const by = sort === name ? "ascending" : sort === `-${name}` ? "descending" : null;
      const next = by === "ascending" || (!by && name !== "name") ? `-${name}` : name;
      const onclick = async () => { await this.sort(next); [...this.heads.querySelectorAll(".sort")].find((one) => one.dataset.by === name)?.focus(); };
      return h(name === "pages" ? "th.figure" : "th", { scope: "col", "aria-sort": by }, h("button.sort", { type: "button", "data-by": name, onclick }, text, by && h("span", { "aria-hidden": "true" }, by === "ascending" ? " ↑" : " ↓")));
    };
    const all = h("input", { type: "checkbox", "aria-label": "Select all", onchange: () => this.actions.chooseAll(all.checked) });
    fill(this.heads, h("th.choose", { scope: "col" }, all), columns().map(head), unseenHead("Actions"));
  }
}

function row(item, actions, onTag) {
  const failed = (item.failed_pages ?? []).length;
  const near = family(item);
  const [first, second] = nameLines(item.title, item.name);
  const tags = (item.tags ?? []).map((tag) => h("button.chip.small", { type: "button", title: `Show documents with the tag ${tag}`, onclick: () => onTag(tag) }, tag));
  const shown = [item.state, item.outcome, item.kind, item.kind_unsure, item.warnings?.length, pagesOf(item), near?.textContent, item.title, item.assignee, item.tags, item.review];
  const element = h("tr", { "data-state": JSON.stringify(shown) },
    actions.box(item), h("td.document", {}, h("a", { href: `/documents/${item.id}` }, first), second && h("span.sub", {}, second), near, tags.length > 0 && h("div.row.tight", {}, tags),
      (item.reasons ?? []).length > 0 && h("ul.reasons", {}, item.reasons.slice(0, 3).map((reason) => h("li", {}, sentence(reason))))),
    h("td", {}, capital(knownKind(item) ?? "–"), item.kind_unsure && h("span.muted", { title: "A reviewer is asked for the type" }, " ?")), h("td.figure", {}, pagesOf(item), failed > 0 && h("span.muted", {}, ` (${count(failed, "failed", "failed")})`)),
    may("review") && h("td.decided", {}, item.review ? decidedOf(item.review) : h("span.muted", {}, "–")), h("td.assignee", {}, item.assignee ?? h("span.muted", {}, "Nobody")), h("td", {}, pill(item), warningMark(item)), h("td.time", {}, moment(item.created)), actions.menu(item));
  element.item = item;
  return element;
}

function decidedOf({ decided, total }) {
  const bar = h("span.progress", { "aria-hidden": "true" }, h("span.progress-fill"));
  bar.firstChild.style.inlineSize = `${(100 * decided) / total}%`;
  return h("span.certainty", {}, bar, h("span", {}, h("span.unseen", {}, "decided "), `${number(decided)} of ${number(total)}`));
}

/** A mark beside the state of a document that has warnings, or of an unsure kind. */
function warningMark({ warnings = [], kind_unsure: unsure }) {
  const notes = [...(unsure ? ["The type is unsure. A reviewer is asked."] : []), ...warnings.map(capital)];
  return notes.length > 0 && h("span.warning-mark", { role: "img", "aria-label": count(notes.length, "warning"), title: notes.join("\n") }, "\u26a0\ufe0e");
}

const CONTAINERS = { "message/rfc822": "mail", "application/vnd.ms-outlook": "mail", "application/zip": "archive" };

/** The kind, or `mail` or `archive`; null if nobody stated it and the document could not be read. */
export function knownKind({ kind, kind_source: source, outcome, media_type: type, pages = null }) {
  if (CONTAINERS[type]) return CONTAINERS[type];
  return source === "type" && pages === null && ["failed", "rejected"].includes(outcome) ? null : kind;
}

/** The number of pages; during reading, the pages done and the total. */
const pagesOf = ({ pages, progress }) => (progress ? `${number(progress.pages_done)} of ${number(progress.pages)}` : pages ?? "–");

/** The parents of a document and its number of parts; null for most. */
function family({ parents = [], parts = [] }) {
  const around = parents.slice(0, 2).map((one, at) => [at ? ", " : "in ", h("a", { href: `/documents/${one.id}` }, one.name)]);
  if (parents.length > 2) around.push(` and ${count(parents.length - 2, "other")}`);
  const within = parts.length > 0 && `${around.length ? " · " : ""}${count(parts.length, "part")}`;
  return around.length || within ? h("p.family", {}, around, within) : null;
}

/** A reason without its code. */
export const sentence = (reason) => capital(String(reason).replace(/^((?:page \d+|part [^:]+): )?[a-z]+(_[a-z]+)*: /, "$1"));

/** A reason that joins several, split into its parts. */
export const linesOf = (reason) => sentence(reason).split(/; (?=\S)/).map(capital);

export const capital = (text) => (text[0] ? text[0].toUpperCase() + text.slice(1) : text);

/** Ends that are no fault of smallprint or of the file, by the code of their reason. */
const MILD = { unreadable_report: "not read as report", not_our_kind: "only stored" };
export const mildEnd = ({ reasons = [] }) => (reasons.length === 1 ? MILD[reasons[0].split(":")[0]] : null);

export function pill(item) {
  const mild = mildEnd(item);
  const text = item.state === "ended" ? mild ?? item.outcome : STATES[item.state] ?? item.state;
  return h("span.pill", { class: mild ? "mild" : item.outcome ?? "busy-state" }, text);
}

/** XMLHttpRequest, because fetch does not report upload progress. */
function attempt({ file, bar, note, kind, password }) {
  return new Promise((resolve) => {
    const body = new FormData();
    if (kind) body.append("kind", kind);
    if (password) body.append("password", password);
    body.append("file", file);
    const sending = new XMLHttpRequest();
    sending.open("POST", "/v1/documents");
    sending.setRequestHeader("x-csrf-token", csrf() ?? "");
    sending.upload.onprogress = (event) => {
      if (!event.lengthComputable) return;
      bar.value = event.loaded / event.total;
      note.textContent = event.loaded < event.total ? `${Math.round((100 * event.loaded) / event.total)}%` : "storing";
    };
    sending.onerror = () => resolve({ status: 0, detail: "The server can't be reached. Check the connection and try again." });
    sending.onload = () => {
      const again = Number(sending.getResponseHeader("retry-after"));
      const full = sending.responseText.includes(":queue_full");
      resolve({ status: sending.status, detail: detailOf(sending), again, full });
    };
    sending.send(body);
  });
}

function detailOf(answered) {
  try {
    return JSON.parse(answered.responseText).detail ?? `The server answered ${answered.status}.`;
  } catch {
    return `The server answered ${answered.status}.`;
  }
}
