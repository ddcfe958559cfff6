// Sign-in with a key: a page at first, a dialog when a session has ended.

import { signIn } from "/pages/api.js";
import { fill, h } from "/pages/dom.js";

function form(title, text, done) {
  const key = h("input", { type: "password", name: "key", required: true, autocomplete: "current-password", autocapitalize: "off", spellcheck: "false", placeholder: "sp_…" });
  const wrong = h("p.status.wrong", { role: "alert" });
  const button = h("button.primary.large", {}, "Sign in");
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    wrong.textContent = "";
    try {
      const actor = await signIn(key.value);
      key.value = "";
      done(actor);
    } catch (error) {
      wrong.textContent = error.status === 401 ? "This key is unknown, expired or revoked. Copy the complete key, or ask for a new one." : error.message;
      key.select();
    } finally {
      button.disabled = false;
    }
  };
  return h("form.card", { onsubmit: submit }, h("h1", {}, title), h("p.muted", {}, ...[text].flat()), h("label.field", {}, h("span", {}, "Key"), key), wrong, button,
    h("p.muted.small", {}, "The key of the owner is in ", h("code", {}, "owner.key"), " of the data folder. ", h("code", {}, "smallprint keys new"), " makes a key for a colleague. Your browser stores a session, not the key."));
}

const USED = ["This link has been used, or is older than an hour. Run ", h("code", {}, "smallprint open"), " for another, or sign in with your key."];

/** @param usedLink whether the person followed a link that signs in no more */
export const page = (done, usedLink) => h("div.sign-in", {}, form("Sign in", usedLink ? USED : "Use your API key.", done));

/** A dialog over the current page. Resolves after the sign-in. */
export function dialog() {
  return new Promise((resolve) => {
    const box = h("dialog.sign-in-again", { "aria-label": "Sign in again", oncancel: (event) => event.preventDefault() });
    fill(box, form("Your session has ended", "Sign in again to continue. Nothing is lost.", (actor) => {
      box.close();
      box.remove();
      resolve(actor);
    }));
    document.body.append(box);
    box.showModal();
  });
}
