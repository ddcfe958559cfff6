// Webhooks of the tenant: a list, and one of them with its deliveries.

import { get, patch, post, query, remove } from "/pages/api.js";
import { count, empty, h, moment, select } from "/pages/dom.js";
import { acts, ask, boxes, careful, choice, field, head, redraw, Redrawn, showOnce, table } from "/pages/people_parts.js";

const EVENTS = [
  ["document.ended", "document.ended – a document is complete, partial, failed or rejected"],
  ["clauses.extracted", "clauses.extracted – the results of a contract are ready"],
  ["findings.found", "findings.found – the results of a report are ready"],
  ["review.decided", "review.decided – a person decided, or undid a decision"],
  ["document.deleted", "document.deleted – a document is removed"],
];
const STATES = [["", "All"], ["pending", "Waiting"], ["delivered", "Delivered"], ["failed", "Failed"]];
const PILLS = { pending: "busy-state", delivered: "complete", failed: "failed" };
const SINCE = [["1", "The last day"], ["7", "The last 7 days"], ["30", "The last 30 days"]];
const DAY = 86_400_000;
const AGAIN = 500; // milliseconds between two looks at a message that is being sent
const PATIENCE = 25_000; // milliseconds: a receiver has 20 seconds

const path = (id, rest = "") => `/v1/webhooks/${encodeURIComponent(id)}${rest}`;
const addressOf = (id) => query("/people", { tab: "webhooks", webhook: id });
/** A reason without its code. */
const sentence = (reason) => (reason ?? "").replace(/^\w+: /, "").replace(/^./, (letter) => letter.toUpperCase());
const typesOf = (webhook) => (webhook.types.length ? webhook.types.join(", ") : "All events");

export async function show({ params, go }) {
  return params.get("webhook") ? new OneWebhook(params.get("webhook"), go).show() : showList(go);
}

async function showList(go) {
  const { items } = await get("/v1/webhooks?limit=200");
  const add = h("button.primary", { type: "button", onclick: () => edit(null, (data) => post("/v1/webhooks", data), async (made) => {
    await secretOf(made);
    go(addressOf(made.id));
  }) }, "Add webhook");
  const reasons = new Map(await Promise.all(items.filter((one) => one.failures && one.enabled).map(async (one) => [one.id, await lastFailure(one.id).catch(() => null)])));
  const rows = items.map((one) => h("tr", { "data-id": one.id },
    h("td.name", {}, h("a", { href: addressOf(one.id) }, one.url), one.description && h("p.muted.small", {}, one.description)),
    h("td", {}, typesOf(one)), h("td", {}, stateOf(one, reasons.get(one.id))), h("td", {}, one.last_delivered ? moment(one.last_delivered) : "Never"), h("td")));
  const list = h("div", {}, rows.length ? table(["Address", "Events", "State", "Last delivered"], rows) : empty("No webhooks", "Add one, and smallprint calls your server when a document ends or a person decides."));
  return { list, element: [head("smallprint sends each event to these addresses, and repeats what fails for three days.", add), list] };
}

/** The message of the newest failure; null if it is not in the log. */
async function lastFailure(id) {
  const { items } = await get(path(id, "/deliveries?limit=20"));
  return items.find((one) => one.reason)?.reason ?? null;
}

function stateOf(webhook, reason) {
  if (!webhook.enabled) return [h("span.pill.rejected", {}, "Disabled"), h("p.muted.small", {}, sentence(webhook.disabled_reason))];
  if (webhook.failures) return [h("span.pill.failed", {}, `Failing: ${count(webhook.failures, "try", "tries")}`), reason && h("p.muted.small", {}, sentence(reason))];
  return h("span.pill.complete", {}, "Enabled");
}

/** Ask for the address, the events and the description of a webhook. */
const edit = (webhook, work, done) => ask(webhook ? "Edit the webhook" : "Add a webhook", [
  field("Address", { name: "url", type: "url", required: true, maxlength: 2000, value: webhook?.url ?? "", spellcheck: "false" }),
  field("Description", { name: "description", maxlength: 500, value: webhook?.description ?? "" }),
  boxes("Events (none ticked: all)", "types", EVENTS.map(([type, text]) => [type, text, webhook?.types.includes(type)])),
], webhook ? "Save" : "Add webhook", (data) => work({ url: data.get("url").trim(), description: data.get("description").trim(), types: data.getAll("types") }), done);

const secretOf = ({ url, secret }) => showOnce("Secret of the webhook", `The server at ${url} verifies messages with this secret. Store it now. It is not shown again.`, secret);

/** One webhook: what it is, what can be done with it, and its deliveries. */
class OneWebhook {
  constructor(id, go) {
    Object.assign(this, { id, go, state: "" });
    this.status = h("p.status", { role: "status" });
    this.about = new Redrawn(() => this.readAbout());
    this.log = new Redrawn(() => this.readLog());
    this.draw = () => Promise.all([this.about.draw(), this.log.draw()]);
  }

  async show() {
    await this.about.draw();
    await this.log.draw();
    return { title: this.webhook.url, element: [h("p", {}, h("a", { href: "/people?tab=webhooks" }, "All webhooks")), this.about.element, this.status, this.log.element] };
  }

  async readAbout() {
    const [webhook, reason] = await Promise.all([get(path(this.id)), lastFailure(this.id)]);
    this.webhook = webhook;
    const changed = (changes) => patch(path(this.id), changes);
    const fact = (name, ...value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
    return [h("h2.address", {}, webhook.url),
      h("dl.facts", {}, webhook.description && fact("Description", webhook.description), fact("Events", typesOf(webhook)), fact("State", stateOf(webhook)),
        fact("Last delivered", webhook.last_delivered ? moment(webhook.last_delivered) : "Never"),
        fact("Last failure", webhook.last_failed ? [moment(webhook.last_failed), reason && h("p", {}, sentence(reason))] : "None"),
        fact("Secret", webhook.old_secret_until && new Date(webhook.old_secret_until) > new Date() ? `Replaced. The old secret also signs until ${moment(webhook.old_secret_until)}.` : "Was shown once. Replace it if you lost it."),
        fact("Added", `${moment(webhook.created)} by ${webhook.created_by}`)),
      h("div.row.acts", {},
        webhook.enabled ? acts("Send a test", () => post(path(this.id, "/test")), (sent) => this.watch(sent)) : acts("Enable", () => changed({ enabled: true }), redraw(this.draw, "Enabled")),
        h("button.quiet", { type: "button", onclick: () => edit(this.webhook, changed, redraw(this.draw, "Saved")) }, "Edit"),
        h("button.quiet", { type: "button", onclick: () => this.replaceSecret() }, "Replace the secret"),
        webhook.enabled && careful("Disable", "Disable this webhook?", `${webhook.url} gets no messages until you enable it. You can send those of that time later.`, () => changed({ enabled: false }), redraw(this.draw, "Disabled")),
        careful("Delete", "Delete this webhook?", `Deletes the webhook to ${webhook.url} and its log. Waiting messages are not sent. You can't undo this.`, () => remove(path(this.id)), () => this.go("/people?tab=webhooks")))];
  }

  replaceSecret() {
    ask("Replace the secret?", [h("p", {}, `The server at ${this.webhook.url} needs the new secret before the old one ends.`),
      choice("Messages are also signed with the old secret for", "overlap", "86400", [["0", "Not at all: it was stolen"], ["86400", "A day"], ["604800", "7 days"]])],
    "Replace", (data) => post(path(this.id, "/rotate"), { overlap: Number(data.get("overlap")) }), async (made) => {
      await secretOf(made);
      await this.draw();
    });
  }

  /** Wait until a message is sent, then say what the receiver answered. */
  async watch(sent) {
    const end = Date.now() + PATIENCE;
    let one = sent;
    this.tell(this.webhook.failures ? "Waiting. After failures smallprint pauses for up to five minutes." : "Sending…");
    while (one.state === "pending" && Date.now() < end && this.status.isConnected) {
      await new Promise((resolve) => { setTimeout(resolve, AGAIN); });
      one = await get(path(this.id, `/deliveries/${sent.id}`));
      if (one.attempts.length > sent.attempts.length) break;
    }
    const last = one.attempts.at(-1);
    if (one.state === "delivered") this.tell(`Delivered: the receiver answered ${last.status} in ${Math.round(last.seconds * 1000)} ms.`);
    else if (last?.error) this.tell(`Not delivered: ${sentence(last.error)}`, true);
    else this.tell("Not sent yet. The list below shows when it is.");
    await this.draw();
  }

  tell(text, wrong = false) {
    this.status.textContent = text;
    this.status.classList.toggle("wrong", wrong);
  }

  // The log

  read(cursor = null) {
    return get(query(path(this.id, "/deliveries"), { state: this.state, limit: 25, cursor }));
  }

  async readLog() {
    let page = await this.read();
    const rows = (items) => items.map((one) => this.row(one));
    const shown = page.items.length ? table(["When", "Event", "State", "Answer"], rows(page.items)) : h("p.muted", {}, this.state ? "No messages in this state." : "No messages yet. Send a test.");
    const more = h("button", { type: "button", hidden: page.next === null, onclick: async () => {
      page = await this.read(page.next);
      shown.tBodies[0].append(...rows(page.items));
      more.hidden = page.next === null;
    } }, "Show more");
    const filter = select("State", this.state, STATES, (state) => { this.state = state; this.log.draw(); });
    return [h("div.row.apart.tab-head", {}, h("h2", {}, "Deliveries"), h("div.row", {}, filter, this.webhook.enabled && h("button", { type: "button", onclick: () => this.resend() }, "Send failed ones again"))),
      shown, h("div.row.centre", {}, more)];
  }

  row(one) {
    const last = one.attempts.at(-1);
    return h("tr", { "data-id": one.id },
      h("td.name", {}, moment(one.created)),
      h("td", {}, one.type, one.document_id && one.type !== "document.deleted" && h("p.small", {}, h("a", { href: `/documents/${one.document_id}` }, "Document"))),
      h("td", {}, h("span.pill", { class: PILLS[one.state] }, STATES.find(([state]) => state === one.state)[1]), one.next_try && h("p.muted.small", {}, `next try ${moment(one.next_try)}`)),
      h("td", {}, one.state === "delivered" ? `${last?.status ?? ""}` : sentence(one.reason ?? last?.error), attempts(one.attempts)),
      h("td", {}, this.webhook.enabled && acts("Send again", () => post(path(this.id, `/deliveries/${one.id}/redeliver`)), async (sent) => { await this.log.draw(); await this.watch(sent); })));
  }

  resend() {
    ask("Send failed messages again?", [h("p", {}, `All messages that ${this.webhook.url} did not accept are sent again.`), choice("Of", "days", "7", SINCE)], "Send again",
      (data) => post(path(this.id, "/redeliver"), { since: new Date(Date.now() - data.get("days") * DAY).toISOString() }),
      async ({ count: sent }) => { this.tell(sent ? `${count(sent, "message")} sent again.` : "No messages failed in that time. Tests are not sent again."); await this.draw(); });
  }
}

/** All attempts of a delivery, if there are several. */
function attempts(all) {
  if (all.length < 2) return null;
  return h("details", {}, h("summary", {}, count(all.length, "attempt")), h("ul.notes", {}, all.map((one) => h("li", {}, `${moment(one.time)}: ${one.error ? sentence(one.error) : one.status}`))));
}
