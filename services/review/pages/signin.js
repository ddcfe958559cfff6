// Sign-in: a page at first, a dialog when a session has ended. It offers what is configured: a
// password, an OpenID provider, or a key.

import { changePassword, chooseByInvitation, get, invitedPerson, signIn, signInByPassword, waysToSignIn, whoAmI } from "/pages/api.js";
import { fill, h } from "/pages/dom.js";

const FAILED = {
  no_account: "You have no account here. Ask an admin to add your e-mail address. The provider must have verified it.",
  unavailable: "The provider does not answer. Try again in a moment.",
  not_signed_in: "The provider did not sign you in. Try again.",
};
const RULES = "At least 12 characters, five different ones, without your name. Some words that only you would put together are easy to remember.";
const USED = ["This link has been used, or is older than an hour. Run ", h("code", {}, "smallprint open"), " for another, or sign in with your key."];

const field = (text, props) => h("label.field", {}, h("span", {}, text), h("input", { required: true, autocapitalize: "off", spellcheck: "false", ...props }));

/** A form that signs in. `submit` gets the form's data and resolves to the person. */
function form(fields, label, submit, done, primary = true) {
  const wrong = h("p.status.wrong", { role: "alert" });
  const button = h(primary ? "button.primary.large" : "button", {}, label);
  const onsubmit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    wrong.textContent = "";
    try {
      const actor = await submit(Object.fromEntries(new FormData(event.target)));
      event.target.reset();
      done(actor);
    } catch (error) {
      wrong.textContent = error.message;
      event.target.querySelector("input[type=password]").select();
    } finally {
      button.disabled = false;
    }
  };
  return h("form.fields", { onsubmit }, fields, wrong, button);
}

function byKey(done, primary) {
  const key = field("Key", { type: "password", name: "key", autocomplete: "current-password", placeholder: "sp_…" });
  return [form(key, "Sign in", ({ key: secret }) => signIn(secret), done, primary),
    h("p.muted.small", {}, "The key of the owner is in ", h("code", {}, "owner.key"), " of the data folder. ", h("code", {}, "smallprint keys new"), " makes a key for a colleague. Your browser stores a session, not the key.")];
}

function byPassword(done) {
  return form([field("E-mail", { type: "email", name: "email", autocomplete: "username" }),
    field("Password", { type: "password", name: "password", autocomplete: "current-password" })], "Sign in",
  ({ email, password }) => signInByPassword(email, password), done);
}

/** `elsewhere`: the provider opens in another tab, so that this page stays as it is. `cancel` shows a button. */
function card(title, text, ways, done, { elsewhere, cancel, failed } = {}) {
  const provider = ways.openid && h("a.button.large", { href: ways.openid.path, target: elsewhere ? "_blank" : null, class: ways.password ? "" : "primary" }, `Sign in with ${ways.openid.name}`);
  const others = ways.password || ways.openid;
  return h("div.card", {}, h("h1", {}, title), text && h("p", { class: failed ? "status wrong" : "muted", role: failed && "alert" }, ...[text].flat()), ways.password && byPassword(done), provider,
    others ? h("details", {}, h("summary.small", {}, "Use a key"), byKey(done, false)) : byKey(done, true),
    cancel && h("button.large", { type: "button", onclick: cancel }, "Cancel"));
}

/** The page. @param usedLink whether the person followed a link that signs in no more */
export async function page(done, usedLink) {
  const ways = await waysToSignIn();
  const failed = FAILED[new URLSearchParams(location.search).get("failed")];
  const text = usedLink ? USED : failed ?? (ways.password || ways.openid ? null : "Use your API key.");
  return h("div.sign-in", {}, card("Sign in", text, ways, done, { failed }));
}

/** The page on which an invited person chooses a password. */
export async function invitation(secret, done) {
  const person = await invitedPerson(secret);
  if (!person) return h("div.sign-in", {}, h("div.card", {}, h("h1", {}, "This link has ended"), h("p.muted", {}, "It has been used, or has expired. Ask an admin for another."), h("a.button.large.primary", { href: "/sign-in" }, "Sign in")));
  const before = await whoAmI().catch(() => null);
  const choose = form(field("New password", { type: "password", name: "password", autocomplete: "new-password", minlength: 12 }), "Save and sign in",
    ({ password }) => chooseByInvitation(secret, password), done);
  return h("div.sign-in", {}, h("div.card", {}, h("h1", {}, `Welcome, ${person.name}`), h("p", {}, `Choose a password. You sign in with it and with ${person.email}.`), h("p.muted", {}, RULES), before?.name && h("p.muted", {}, `This signs out ${before.name} in this browser.`), choose));
}

/** A dialog with the user's e-mail address and role, in which they change their password. */
export async function account(name) {
  const user = await get("/v1/users/self").catch((error) => (error.status === 404 ? null : Promise.reject(error)));
  const note = h("p.status", { role: "status" });
  const change = () => form([field("Current password", { type: "password", name: "current", autocomplete: "current-password" }),
    field("New password", { type: "password", name: "password", autocomplete: "new-password", minlength: 12 }), h("p.muted.small", {}, RULES)], "Change password",
  ({ current, password }) => changePassword(current, password), () => { note.textContent = "Changed. Your other sessions have ended."; });
  const box = h("dialog", { "aria-label": "Account", onclose: () => box.remove() }, h("h2", {}, name),
    h("p.muted", {}, user ? `${user.email} · ${user.role}` : "You signed in with a key. It has no password."), user?.has_password && change(), note,
    h("form.row", { method: "dialog" }, h("button", {}, "Close")));
  document.body.append(box);
  box.showModal();
}

/** A dialog over the current page. Resolves to the person after the sign-in.
    @param title why it is shown. The person can then cancel, which resolves to null. */
export async function dialog(title) {
  const ways = await waysToSignIn();
  return new Promise((resolve) => {
    const box = h("dialog.sign-in-again", { "aria-label": "Sign in again", oncancel: (event) => { event.preventDefault(); cancel?.(); } });
    const done = (actor) => {
      window.removeEventListener("focus", look);
      box.close();
      box.remove();
      resolve(actor);
    };
    const cancel = title && (() => done(null));
    const look = async () => { // after a sign-in at the provider, in another tab
      const actor = await whoAmI().catch(() => null);
      if (actor) done(actor);
    };
    if (ways.openid) window.addEventListener("focus", look);
    fill(box, card(title ?? "Your session has ended", title ? "Cancel drops only this change." : "Sign in again to continue. Nothing is lost.", ways, done, { elsewhere: true, cancel }));
    document.body.append(box);
    box.showModal();
  });
}
