// Documents: upload them and see their state.

import { csrf, get, may, query, signInAgain } from "/pages/api.js";
import { DocumentActions } from "/pages/document_actions.js";
import { count, empty, fill, h, moment, number, say, select } from "/pages/dom.js";

const SOON = 2_000;
const LATER = 20_000;
const PATIENCE = 3_600_000; // milliseconds for which an upload is retried
export const KINDS = [["contract", "Contract"], ["report", "Financial report"], ["other", "Other"]];
const STATES = { received: "being read", read: "read", processing: "in progress", ended: "ended" };

export async function show({ go }) {
  const view = new Documents(go);
  await view.load();
  return { title: "Documents", element: view.element, leave: () => view.leave() };
}

class Documents {
  constructor(go) {
    this.go = go;
    this.kind = "";
    this.uploads = [];
    this.rows = new Map();
    this.removed = new Set(); // ids of deleted documents, which an older answer may still list
    this.more = null;
    this.body = h("tbody");
    this.list = h("div");
    this.actions = new DocumentActions((removed) => this.changed(removed));
    const closeMenus = ({ target }) => { for (const menu of this.body.querySelectorAll(".menu[open]")) if (!menu.contains(target)) menu.open = false; };
    this.element = h("div.page", { onpointerdown: closeMenus, onfocusin: closeMenus }, h("h1", {}, "Documents"), may("documents:write") && this.dropZone(), this.list, this.actions.element);
    this.gone = false;
  }

  leave() {
    this.gone = true;
    clearTimeout(this.timer);
  }

  dropZone() {
    this.picker = h("input.unseen", { type: "file", multiple: true, id: "files", onchange: () => { this.take(this.picker.files); this.picker.value = ""; } });
    this.password = h("input", { type: "password", autocomplete: "off", placeholder: "only if a PDF needs one" });
    this.progress = h("ul.uploads", { "aria-live": "polite" });
    const zone = h("section.drop", { "aria-label": "Upload" }, this.picker,
      h("div.drop-main", {}, h("label.button.primary", { for: "files" }, "Choose files"), h("span.muted", {}, "or drop them here. PDF, scans, Office documents, HTML, text, spreadsheets, XBRL. Mails and ZIP archives are unpacked.")),
      h("div.drop-options", {},
        select("Kind", "", [["", "Detect"], ...KINDS], (value) => { this.kind = value; }),
        h("label.field", {}, h("span", {}, "Password"), this.password)), this.progress);
    const over = (event) => { event.preventDefault(); zone.classList.add("over"); };
    zone.addEventListener("dragover", over);
    zone.addEventListener("dragenter", over);
    zone.addEventListener("dragleave", () => zone.classList.remove("over"));
    zone.addEventListener("drop", (event) => { event.preventDefault(); zone.classList.remove("over"); this.take(event.dataTransfer.files); });
    return zone;
  }

  take(files) {
    for (const file of files) this.upload(file);
  }

  /** One request a file: each has its own progress and error. */
  upload(file) {
    const bar = h("progress", { max: 1, value: 0, "aria-label": `Upload of ${file.name}` });
    const note = h("span.muted", {}, "waiting");
    const line = h("li", {}, h("span.upload-name", {}, file.name), bar, note);
    this.progress.prepend(line);
    const job = { file, bar, note, line, kind: this.kind, password: this.password.value };
    this.uploads.push(job);
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
    return null;
  }

  async load() {
    const page = await get(query("/v1/documents", { limit: 50 }));
    if (this.gone) return;
    this.more = page.next;
    this.show(page.items, true);
    clearTimeout(this.timer);
    const busy = page.items.some((one) => one.state !== "ended");
    this.timer = setTimeout(() => (document.hidden ? this.wait() : this.load().catch(() => this.wait())), busy ? SOON : LATER);
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
      const fresh = row(item, this.actions);
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
      fill(this.list, empty("No documents yet", may("documents:write") ? "Drop a contract above. It is read on this machine." : "You can't upload documents (scope documents:write)."));
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
      const page = await get(query("/v1/documents", { limit: 50, cursor: this.more }));
      this.more = page.next;
      this.show(page.items, false);
    } }, "Show more");
    fill(this.list, h("table.list.documents", {},
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, h("span.unseen", {}, "Select")), ["Name", "Kind"].map((t) => h("th", { scope: "col" }, t)), h("th.figure", { scope: "col" }, "Pages"), ["State", "Received"].map((t) => h("th", { scope: "col" }, t)), h("th", { scope: "col" }, h("span.unseen", {}, "Actions")))),
      this.body), h("div.row.centre.below", {}, this.next));
  }
}

function row(item, actions) {
  const failed = (item.failed_pages ?? []).length;
  const near = family(item);
  return h("tr", { "data-state": `${item.state}/${item.outcome}/${item.kind}/${item.kind_unsure}/${item.warnings?.length}/${pagesOf(item)}/${near?.textContent}` },
    actions.box(item), h("td.document", {}, h("a", { href: `/documents/${item.id}` }, item.name), near, (item.reasons ?? []).length > 0 && h("ul.reasons", {}, item.reasons.slice(0, 3).map((reason) => h("li", {}, sentence(reason))))),
    h("td", {}, knownKind(item) ?? "–", item.kind_unsure && h("span.muted", { title: "A reviewer is asked for the kind" }, " ?")), h("td.figure", {}, pagesOf(item), failed > 0 && h("span.muted", {}, ` (${count(failed, "failed", "failed")})`)),
    h("td", {}, pill(item), warningMark(item)), h("td.time", {}, moment(item.created)), actions.menu(item));
}

/** A mark beside the state of a document that has warnings, or of an unsure kind. */
function warningMark({ warnings = [], kind_unsure: unsure }) {
  const notes = [...(unsure ? ["The kind is unsure. A reviewer is asked."] : []), ...warnings.map(capital)];
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

export function pill(item) {
  const text = item.state === "ended" ? item.outcome : STATES[item.state] ?? item.state;
  return h("span.pill", { class: item.outcome ?? "busy-state" }, text);
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
