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
  return h("form.card", { onsubmit: submit }, h("h1", {}, title), h("p.muted", {}, text), h("label.field", {}, h("span", {}, "Key"), key), wrong, button,
    h("p.muted.small", {}, "A key is shown only once. Create another with ", h("code", {}, "smallprint keys new"), ". Your browser stores a session, not the key."));
}

export const page = (done) => h("div.sign-in", {}, form("Sign in", "Use your API key.", done));

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
