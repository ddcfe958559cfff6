// Users of the tenant: add, invite, change the role, disable.

import { actor, get, patch, post } from "/pages/api.js";
import { empty, h, moment } from "/pages/dom.js";
import { acts, ask, boxes, careful, choice, field, head, redraw, Redrawn, showOnce, table } from "/pages/people_parts.js";

const ROLES = [
  ["viewer", "Viewer: only reads"],
  ["uploader", "Uploader: also uploads and deletes"],
  ["analyst", "Analyst: decides in the queue"],
  ["lead", "Lead: all but people and settings"],
  ["admin", "Admin: everything"],
];

export async function show() {
  const list = new Redrawn(() => users(list.draw));
  await list.draw();
  return { element: [head("Users sign in with a password or at your provider. Changes need a sign-in of the last 15 minutes.",
    h("button.primary", { type: "button", onclick: () => add(list.draw) }, "Add user")), list.element] };
}

async function users(draw) {
  const { items } = await get("/v1/users");
  if (!items.length) return empty("No users yet", "Until you add users, people sign in with keys.");
  return table(["Name", "Role", "State"], items.map((one) => row(one, draw)));
}

function row(user, draw) {
  const own = user.name === actor().name;
  return h("tr", { "data-id": user.id },
    h("td.name", {}, user.name, own && h("span.tag", {}, "you"), h("p.muted.small", {}, user.email)),
    h("td", {}, ROLES.find(([role]) => role === user.role)[1]),
    h("td", {}, stateOf(user)),
    h("td", {}, !own && [
      !user.disabled && h("button.quiet", { type: "button", onclick: () => changeRole(user, draw) }, "Change role"),
      !user.disabled && acts(user.has_password ? "Password link" : "Invite again", () => post(`/v1/users/${user.id}/invitations`), (made) => invited(made, draw)),
      user.disabled
        ? careful("Enable", `Enable ${user.name}?`, "They can sign in again, with the same password and role.", () => patch(`/v1/users/${user.id}`, { disabled: false }), redraw(draw, `${user.name} is enabled`))
        : acts("Disable", () => get(`/v1/users/${user.id}/resources`), ({ items }) => disable(user, items, draw)),
    ]));
}

function stateOf(user) {
  if (user.disabled) return [h("span.pill.rejected", {}, "Disabled"), h("p.muted.small", {}, `since ${moment(user.disabled)}`)];
  if (user.last_used) return [h("span.pill.complete", {}, "Active"), h("p.muted.small", {}, `signed in ${moment(user.last_used)}`)];
  return [h("span.pill.partial", {}, user.has_password ? "Never signed in" : "Invited"), h("p.muted.small", {}, `added ${moment(user.created)}`)];
}

const add = (draw) => ask("Add a user", [
  field("Name", { name: "name", maxlength: 100, required: true }), field("E-mail", { name: "email", type: "email", required: true }), choice("Role", "role", "analyst", ROLES),
  h("p.muted.small", {}, "The name stands on every decision of this person."),
], "Add user", (data) => post("/v1/users", Object.fromEntries(data)), (made) => invited(made, draw));

const OWN_NAMES = ["localhost", "127.0.0.1", "[::1]"]; // of each machine for itself

/** Show the link of an invitation, then draw the list. */
async function invited({ name, invitation, expires, has_password: password }, draw) {
  const { openid } = await get("/v1/sign-in").catch(() => ({})); // the link is shown in any case
  const without = openid ? ` They need it only for a password. ${openid.name} signs them in without one.` : "";
  await showOnce(`${password ? "Password link" : "Invitation"} for ${name}`,
    `Send this link to ${name}. It opens the page on which they choose a password, once, until ${moment(expires)}.${password ? " Their present password works until then." : without} The link is not shown again.`, `${location.origin}/#invitation=${invitation}`,
    OWN_NAMES.includes(location.hostname) && "This link works on this machine only. For another machine, open this page by the server's name and invite again.");
  await draw();
}

const changeRole = (user, draw) => ask(`Change the role of ${user.name}`, [choice("Role", "role", user.role, ROLES), h("p", {}, "Their sessions end, and they sign in again.")],
  "Save", (data) => patch(`/v1/users/${user.id}`, { role: data.get("role") }), redraw(draw, `Saved. The sessions of ${user.name} have ended`));

/** Ask before a user is disabled. Offers to revoke the keys that they created or rotated.
    @param items what they created or changed and still works */
function disable(user, items, draw) {
  const names = (kind) => items.filter((one) => one.kind === kind).map((one) => one.name);
  const keys = names("key"), others = [...names("user").map((name) => `user ${name}`), ...names("webhook").map((url) => `webhook ${url}`)];
  ask(`Disable ${user.name}?`, [h("p", {}, "Their sessions end, and the open invitations that they made."),
    keys.length > 0 && boxes("Their keys", "keys", [["revoke", `Revoke the keys that they created or rotated, and keys that those created: ${keys.join(", ")}`, true]]),
    others.length > 0 && h("p", {}, `They also created, changed or invited these, which still work: ${others.join(", ")}`),
  ], "Disable", (data) => patch(`/v1/users/${user.id}`, { disabled: true, revoke_keys: data.has("keys") }), redraw(draw, `${user.name} is disabled`));
}
