// Keys of the tenant, for programs: create, rotate, revoke.

import { actor, get, post, remove } from "/pages/api.js";
import { count, empty, h, moment } from "/pages/dom.js";
import { ask, boxes, careful, choice, field, head, redraw, Redrawn, showOnce, table } from "/pages/people_parts.js";

const SCOPES = [
  ["documents:read", "documents:read – documents, their text, and search"],
  ["documents:write", "documents:write – upload, change and delete documents"],
  ["results:read", "results:read – clauses, findings, costs and error rates"],
  ["review", "review – the queue, decisions and exports"],
  ["admin", "admin – people, keys, sessions, webhooks and retention"],
];
const LIFETIMES = [["30", "30 days"], ["90", "90 days"], ["365", "A year"]];
const OVERLAPS = [["0", "Not at all: it was stolen"], ["3600", "An hour"], ["86400", "A day"], ["604800", "7 days"], ["2592000", "30 days"]];
const DAY = 86_400_000;

export async function show() {
  const list = new Redrawn(() => keys(list.draw));
  await list.draw();
  return { element: [head("Programs sign in with keys. A key does only what its scopes allow. Changes need a sign-in of the last 15 minutes.",
    h("button.primary", { type: "button", onclick: () => create(list.draw) }, "Create key")), list.element] };
}

const isFuture = (time) => time !== null && new Date(time) > new Date();
const works = (key) => !key.revoked && (!key.expires || isFuture(key.expires));

async function keys(draw) {
  const all = (await get("/v1/keys")).items.filter((one) => one.kind === "key");
  const [good, ended] = [all.filter(works), all.filter((one) => !works(one))];
  const heads = ["Name", "State", "Last use", "Expires"];
  return [good.length ? table(heads, good.map((one) => row(one, draw))) : empty("No keys", "Create a key for each program that uses smallprint."),
    ended.length > 0 && h("details.fold", {}, h("summary", {}, count(ended.length, "ended key")), table(heads, ended.map((one) => row(one, draw))))];
}

function row(key, draw) {
  const own = key.name === actor().name ? " You are signed in with this key." : "";
  const owner = key.name === "owner" ? " Commands that use owner.key of the data folder stop, too." : "";
  return h("tr", { "data-id": key.id },
    h("td.name", {}, key.name, h("p.muted.small", {}, `${key.scopes.length === SCOPES.length ? "all scopes" : key.scopes.join(", ")} · ${key.id}`),
      h("p.muted.small", {}, key.addresses.length ? `only from ${key.addresses.join(", ")}` : "from any address")),
    h("td", {}, stateOf(key), works(key) && isFuture(key.old_secret_until) && h("p.muted.small", {}, `Old secret works until ${moment(key.old_secret_until)}`)),
    h("td", {}, key.last_used ? moment(key.last_used) : "Never"),
    h("td", {}, key.expires ? moment(key.expires) : "Never"),
    h("td", {}, works(key) && [
      h("button.quiet", { type: "button", onclick: () => rotate(key, draw) }, "Rotate"),
      careful("Revoke", `Revoke the key ${key.name}?`, `Programs with this key stop working within a minute.${owner}${own} You can't undo this.`, () => remove(`/v1/keys/${key.id}`), redraw(draw, `The key ${key.name} is revoked`)),
    ]));
}

function stateOf(key) {
  if (key.revoked) return [h("span.pill.rejected", {}, "Revoked"), h("p.muted.small", {}, moment(key.revoked))];
  return works(key) ? h("span.pill.complete", {}, "Active") : h("span.pill.partial", {}, "Expired");
}

const addresses = (value) => h("label.field", {}, h("span", {}, "Works only from (addresses or networks such as 10.1.0.0/16; empty: from anywhere)"), h("textarea", { name: "addresses", rows: 2, spellcheck: "false" }, value.join("\n")));
const addressesOf = (data) => data.get("addresses").split(/[\s,]+/).filter(Boolean);
const endOf = (days) => (days ? new Date(Date.now() + days * DAY).toISOString() : null);

/** Show the secret of a key, then draw the list. */
async function shown({ name, secret }, draw) {
  await showOnce(`Secret of ${name}`, `Store the secret of ${name} now. It is not shown again.`, secret);
  await draw();
}

const create = (draw) => ask("Create a key", [
  field("Name", { name: "name", maxlength: 100, required: true }), boxes("Scopes", "scopes", SCOPES), choice("Expires after", "days", "90", [...LIFETIMES, ["", "Never"]]), addresses([]),
], "Create key", (data) => {
  const scopes = data.getAll("scopes");
  if (!scopes.length) throw new Error("Choose at least one scope.");
  return post("/v1/keys", { name: data.get("name"), scopes, expires: endOf(data.get("days")), addresses: addressesOf(data) });
}, (made) => shown(made, draw));

/** Ask for another secret of a key, and for its end and addresses. */
const rotate = (key, draw) => ask(`Rotate the key ${key.name}`, [
  h("p", {}, `The key gets another secret. Programs need it before the old one ends, and sessions of the key end then.${key.name === "owner" ? " Commands that use owner.key of the data folder need it, too." : ""}`),
  choice("The old secret still works for", "overlap", "86400", OVERLAPS),
  choice("Expires after", "days", "", [["", key.expires ? `As it is: ${moment(key.expires)}` : "As it is: never"], ...LIFETIMES]),
  addresses(key.addresses),
], "Rotate", (data) => {
  const places = addressesOf(data), same = places.join() === key.addresses.join();
  return post(`/v1/keys/${key.id}/rotate`, { overlap: Number(data.get("overlap")), expires: endOf(data.get("days")), addresses: same ? null : places });
}, (made) => shown(made, draw));
