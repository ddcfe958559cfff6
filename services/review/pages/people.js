// The page People: users, keys, sessions and webhooks of the tenant, for admins.

import { actor, get, patch, post, remove } from "/pages/api.js";
import { excerpt, fill, h, moment, say, select, unseenHead } from "/pages/dom.js";

const ROLES = [
  ["viewer", "Viewer: only reads"],
  ["uploader", "Uploader: also uploads and deletes"],
  ["analyst", "Analyst: decides in the queue"],
  ["lead", "Lead: all but people and settings"],
  ["admin", "Admin: everything"],
];
const SCOPES = ["documents:read", "documents:write", "results:read", "review", "admin"];
const LIFETIMES = [["", "Never expires"], ["30", "30 days"], ["90", "90 days"], ["365", "A year"]];

export async function show() {
  const element = h("div.page.people", {}, h("div.head", {}, h("h1", {}, "People"),
    h("p.muted.about", {}, "Users sign in with a password or at your provider. Keys are for programs. Changes need a sign-in of the last 15 minutes.")));
  for (const section of [users, keys, sessions, webhooks]) {
    const part = h("section", {});
    const draw = async () => fill(part, await section(draw));
    await draw();
    element.append(part);
  }
  return { title: "People", element };
}

/** Do a change, then draw its section again. An error stands below the control. */
const change = (draw, work, done) => async (event) => {
  const control = event.currentTarget, row = control.closest("td, form");
  row.querySelector(".wrong")?.remove();
  try {
    await work();
    await draw();
    say(done);
  } catch (error) {
    row.append(h("p.status.wrong", { role: "alert" }, error.message));
  }
};

/** A table whose last column has actions. On a narrow screen each cell states its heading itself. */
function table(heads, rows) {
  for (const row of rows) [...row.cells].forEach((cell, at) => { if (at && heads[at]) cell.dataset.head = heads[at]; });
  return h("table.list.compact", {}, h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)), unseenHead("Actions"))), h("tbody", {}, rows));
}

const field = (text, props) => h("label.field", {}, h("span", {}, text), h("input", { required: true, ...props }));

const folded = (summary, form, open) => h("details", { open }, h("summary", {}, summary), form);

/** A button that asks before it does something. */
const careful = (draw, text, question, work) => h("button.quiet", { type: "button", onclick: (event) => { if (confirm(question)) change(draw, work, `${text}: done`)(event); } }, text);

/** Ask before a user is disabled. Offers to revoke the keys that they created or rotated. */
async function disable(user, draw) {
  const { items } = await get(`/v1/users/${user.id}/resources`);
  const names = (kind) => items.filter((one) => one.kind === kind).map((one) => one.name);
  const keys = names("key"), others = [...names("user").map((name) => `user ${name}`), ...names("webhook").map((url) => `webhook ${url}`)];
  const also = keys.length > 0 && h("input", { type: "checkbox", checked: true });
  const box = h("dialog", { "aria-label": `Disable ${user.name}`, onclose: () => box.remove() }, h("h2", {}, `Disable ${user.name}?`), h("p", {}, "Their sessions end, and the open invitations that they made."),
    also && h("label", {}, also, ` Revoke the keys that they created or rotated, and keys that those created: ${keys.join(", ")}`),
    others.length > 0 && h("p", {}, `They also created, changed or invited these, which still work: ${others.join(", ")}`),
    h("form.row", { onsubmit: (event) => event.preventDefault() },
      h("button.primary", { type: "button", onclick: change(async () => { box.close(); await draw(); }, () => patch(`/v1/users/${user.id}`, { disabled: true, revoke_keys: Boolean(also?.checked) }), `${user.name} is disabled`) }, "Disable"),
      h("button", { type: "button", onclick: () => box.close() }, "Cancel")));
  document.body.append(box);
  box.showModal();
}

/** Show a secret once, with a button to copy it. */
function once(title, text, secret) {
  const copied = h("span.muted.small", { role: "status" });
  const box = h("dialog", { "aria-label": title, onclose: () => box.remove() }, h("h2", {}, title), h("p", {}, text), h("p.secret", {}, h("code", {}, secret)),
    h("div.row", {}, h("button.primary", { type: "button", onclick: async () => { await navigator.clipboard.writeText(secret); copied.textContent = "Copied"; } }, "Copy"), copied,
      h("button", { type: "button", onclick: () => box.close() }, "Close")));
  document.body.append(box);
  box.showModal();
}

async function invited({ name, invitation, expires, has_password: password }) {
  const { openid } = await get("/v1/sign-in").catch(() => ({})); // the link is shown in any case
  const without = openid ? ` They need it only for a password. ${openid.name} signs them in without one.` : "";
  once(password ? "Password link" : "Invitation", `Send this link to ${name}. It opens the page on which they choose a password, once, until ${moment(expires)}.${password ? " Their present password works until then." : without}`, `${location.origin}/#invitation=${invitation}`);
}

const SAVED = "Saved; their sessions have ended";

/** A list to choose the role in. It shows the stored role again if saving fails. */
function roleOf(user) {
  const note = h("p.muted.small");
  const save = async () => {
    note.textContent = "";
    await patch(`/v1/users/${user.id}`, { role: box.value }).catch((error) => { box.value = user.role; throw error; });
  };
  const saved = () => { user.role = box.value; note.textContent = SAVED; };
  const box = h("select", { "aria-label": `Role of ${user.name}`, onchange: change(saved, save, SAVED) }, ROLES.map(([role, text]) => h("option", { value: role }, text)));
  box.value = user.role;
  return [box, note];
}

async function users(draw) {
  const { items } = await get("/v1/users");
  const own = (one) => one.name === actor().name;
  const rows = items.map((one) => h("tr", {},
    h("td.name", {}, one.name, h("p.muted.small", {}, one.email)),
    h("td", {}, own(one) ? ROLES.find(([role]) => role === one.role)[1] : roleOf(one)),
    h("td", {}, one.disabled ? `Disabled ${moment(one.disabled)}` : one.last_used ? `Signed in ${moment(one.last_used)}` : one.has_password ? "Never signed in" : "Invited"),
    h("td", {}, !own(one) && [
      h("button.quiet", { type: "button", onclick: change(draw, async () => invited(await post(`/v1/users/${one.id}/invitations`)), "Invitation made") }, one.has_password ? "Password link" : "Invite again"),
      one.disabled
        ? h("button.quiet", { type: "button", onclick: change(draw, () => patch(`/v1/users/${one.id}`, { disabled: false }), `${one.name} is enabled`) }, "Enable")
        : h("button.quiet", { type: "button", onclick: change(() => {}, () => disable(one, draw), "") }, "Disable"),
    ])));
  const role = select("Role", "analyst", ROLES, () => {});
  const add = h("form.fields.line", { onsubmit: (event) => event.preventDefault() }, field("Name", { name: "name", maxlength: 100 }), field("E-mail", { name: "email", type: "email" }), role);
  add.append(h("button.primary", { onclick: (event) => {
    if (!add.reportValidity()) return;
    const { name, email } = Object.fromEntries(new FormData(add));
    change(draw, async () => invited(await post("/v1/users", { name, email, role: role.querySelector("select").value })), `${name} is added`)(event);
  } }, "Add user"));
  return [h("h2", {}, "Users"), items.length ? table(["Name", "Role", "State"], rows) : h("p.muted", {}, "No users yet. Until then people sign in with keys."), folded("Add a user", add, !items.length)];
}

const isFuture = (time) => time !== null && new Date(time) > new Date();

function stateOf(key) {
  if (key.revoked) return `Revoked ${moment(key.revoked)}`;
  return key.expires && !isFuture(key.expires) ? "Expired" : "Active";
}

async function keys(draw) {
  const all = await get("/v1/keys");
  const items = all.items.filter((one) => one.kind === "key").sort((a, b) => Boolean(a.revoked) - Boolean(b.revoked));
  const rows = items.map((one) => h("tr", {},
    h("td.name", {}, one.name, h("p.muted.small", {}, `${one.scopes.length === SCOPES.length ? "all scopes" : one.scopes.join(", ")} · ${one.id}`),
      one.addresses.length > 0 && h("p.muted.small", {}, `only from ${one.addresses.join(", ")}`)),
    h("td", {}, stateOf(one), !one.revoked && isFuture(one.old_secret_until) && h("p.muted.small", {}, `Old secret works until ${moment(one.old_secret_until)}`)),
    h("td", {}, one.last_used ? moment(one.last_used) : "Never"),
    h("td", {}, one.expires ? moment(one.expires) : "Never"),
    h("td", {}, !one.revoked && careful(draw, "Revoke", `Revoke ${one.name}? Programs with this key stop working within a minute.${one.name === "owner" ? " So do commands that use owner.key of the data folder." : ""}`, () => remove(`/v1/keys/${one.id}`)))));
  const scopes = h("fieldset.scopes", {}, h("legend", {}, "Scopes"), SCOPES.map((scope) => h("label", {}, h("input", { type: "checkbox", name: "scope", value: scope }), ` ${scope}`)));
  const life = select("Lifetime", "90", LIFETIMES, () => {});
  const add = h("form.fields.line", { onsubmit: (event) => event.preventDefault() }, field("Name", { name: "name", maxlength: 100 }), life, scopes);
  add.append(h("button.primary", { onclick: (event) => {
    if (!add.reportValidity()) return;
    const data = new FormData(add), days = life.querySelector("select").value, wanted = data.getAll("scope");
    const body = { name: data.get("name"), scopes: wanted, expires: days ? new Date(Date.now() + days * 86_400_000).toISOString() : null };
    change(draw, async () => {
      if (!wanted.length) throw new Error("Choose at least one scope.");
      once("New key", `The key of ${body.name}. It is shown only now.`, (await post("/v1/keys", body)).secret);
    }, `The key ${body.name} is made`)(event);
  } }, "Create key"));
  return [h("h2", {}, "Keys"), table(["Name", "State", "Last use", "Expires"], rows), folded("Create a key", add, false)];
}

const BROWSERS = [["Edg", "Edge"], ["OPR", "Opera"], ["Firefox", "Firefox"], ["Chrome", "Chrome"], ["Safari", "Safari"]];
const SYSTEMS = [["Windows", "Windows"], ["Android", "Android"], ["iPhone", "iPhone"], ["iPad", "iPad"], ["Mac OS", "macOS"], ["Linux", "Linux"]];

/** What a browser calls itself, in short: "Firefox on Linux". The first match counts. */
function browserOf(agent) {
  const [browser, system] = [BROWSERS, SYSTEMS].map((names) => names.find(([part]) => agent.includes(part))?.[1]);
  return browser && system ? `${browser} on ${system}` : excerpt(agent, 40);
}

async function sessions(draw) {
  const { items } = await get("/v1/keys/sessions");
  const rows = items.map((one) => h("tr", {},
    h("td.name", {}, one.name, one.current && h("span.tag", {}, "this one"), one.user_agent && h("p.muted.small", { title: one.user_agent }, browserOf(one.user_agent))),
    h("td", {}, moment(one.created), one.address && h("p.muted.small", {}, `from ${one.address}`)),
    h("td", {}, one.last_used ? moment(one.last_used) : "Never"),
    h("td", {}, moment(one.expires)),
    h("td", {}, !one.current && careful(draw, "End", `End this session of ${one.name}? They can sign in again.`, () => remove(`/v1/keys/sessions/${one.id}`)))));
  return [h("h2", {}, "Sessions"), table(["Who", "Signed in", "Last use", "Ends"], rows)];
}

async function webhooks(draw) {
  const { items } = await get("/v1/webhooks?limit=200");
  if (!items.length) return [h("h2", {}, "Webhooks"), h("p.muted", {}, "No webhooks. ", h("code", {}, "smallprint webhooks add"), " or POST /v1/webhooks makes one.")];
  const rows = items.map((one) => h("tr", {},
    h("td.name", {}, one.url, one.description && h("p.muted.small", {}, one.description)),
    h("td", {}, one.enabled ? (one.last_delivered ? `Delivered ${moment(one.last_delivered)}` : "Nothing delivered yet") : `Disabled: ${one.disabled_reason ?? "by a person"}`),
    h("td", {}, one.failures || ""),
    h("td", {}, h("button.quiet", { type: "button", onclick: change(draw, () => patch(`/v1/webhooks/${one.id}`, { enabled: !one.enabled }), one.enabled ? "Disabled" : "Enabled") }, one.enabled ? "Disable" : "Enable"),
      careful(draw, "Delete", `Delete the webhook to ${one.url}? Waiting messages are not sent.`, () => remove(`/v1/webhooks/${one.id}`)))));
  return [h("h2", {}, "Webhooks"), table(["Address", "State", "Failures"], rows)];
}
