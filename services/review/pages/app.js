// The entry point: session and routing.

import { may, onSignedOut, query, signIn, signOut, whoAmI } from "/pages/api.js";
import * as banner from "/pages/banner.js";
import { deliver } from "/pages/decide.js";
import { byId, count, emptyPage, failure, fill, h, say } from "/pages/dom.js";
import * as keys from "/pages/keys.js";
import { loadNames } from "/pages/names.js";
import * as signin from "/pages/signin.js";
import { left } from "/pages/tab_session.js";
import { waiting } from "/pages/undelivered.js";

const LINK = /^#(sign-in|invitation)=(\w+)$/; // of an address that signs in once, or lets a person choose a password
const PATIENCE = 2_000; // milliseconds for the last decision to be sent before its person signs out
const VIEWS = [ // address, the scope that a key needs for it, its module, and more for `show`
  [/^\/(?:sign-in)?$/, "review", () => import("/pages/queue.js")],
  [/^\/findings$/, "review", () => import("/pages/queue.js"), { kind: "finding" }],
  [/^\/reports$/, "results:read", () => import("/pages/reports.js")],
  [/^\/review$/, "review", () => import("/pages/review.js")],
  [/^\/documents$/, "documents:read", () => import("/pages/documents.js")],
  [/^\/documents\/(?<id>[^/]+)$/, "documents:read", () => import("/pages/document.js")],
  [/^\/decisions$/, "review", () => import("/pages/decisions.js")],
  [/^\/search$/, "documents:read", () => import("/pages/search.js")],
  [/^\/(?:insights|costs|watch)$/, "results:read", () => import("/pages/insights.js")],
  [/^\/people$/, "admin", () => import("/pages/people.js")],
];
const LINKS = [ // address, name, the scope that a key needs for it, and the other pages below it
  ["/", "Queue", "review", /^\/(review|findings|sign-in)?$/],
  ["/documents", "Documents", "documents:read", /^\/(documents|reports)\b/],
  ["/decisions", "Decisions", "review", /^\/decisions/],
  ["/insights", "Insights", "results:read", /^\/insights/],
  ["/people", "People", "admin", /^\/people/],
];

const MOVED = { "/costs": "costs", "/watch": "error-rate" }; // old addresses of tabs of Insights
const NOT_FOUND = [/^/, null, () => ({ show: () => noView("Page not found", `There is no page at ${location.pathname}.`) })];
const NOT_ALLOWED = { show: () => noView("You can't open this page", "Your role or key does not allow it. Ask an admin for another role.") };

let shown = null; // the current view
let usedLink = false; // whether the address had a link that signs in no more
let turn = 0; // counts navigations, so that a slow view never replaces a later one

async function show() {
  const mine = ++turn;
  const tab = MOVED[location.pathname];
  if (tab) replace(`/insights?${new URLSearchParams([["tab", tab], ...new URLSearchParams(location.search)])}`);
  const { pathname, search } = location;
  const [pattern, scope, load, extra] = VIEWS.find(([p]) => p.test(pathname)) ?? NOT_FOUND;
  shown?.leave?.();
  shown = null;
  mark(pathname);
  const onTab = Boolean(document.activeElement?.closest("nav.tabs"));
  const settle = setTimeout(() => { if (mine === turn) fill(byId("view"), h("p.loading", {}, "Loading…")); }, 250);
  try {
    const [module] = await Promise.all([!scope || may(scope) ? load() : NOT_ALLOWED, loadNames()]);
    const view = await module.show({ ...pattern.exec(pathname)?.groups, params: new URLSearchParams(search), go, replace, ...extra });
    if (mine !== turn) {
      view.leave?.();
      return;
    }
    shown = view;
    byId("find").querySelector("kbd").hidden = Boolean(view.focus);
    document.title = `${view.title} · smallprint`;
    document.body.classList.toggle("wide", Boolean(view.wide));
    fill(byId("view"), view.element);
    if (onTab) byId("view").querySelector("nav.tabs [aria-current]")?.focus();
    say(view.title);
  } catch (error) {
    if (mine === turn) fill(byId("view"), failure(error, show, error.status === 404 && may("documents:read") && h("a.button.primary", { href: "/documents" }, "Documents")));
  } finally {
    clearTimeout(settle);
  }
}

/** The view of an unknown address, or of one that the role can't open, with a link to another page. */
function noView(title, text) {
  const [[href, name] = ["/docs", "HTTP interface"]] = LINKS.filter(([, , scope]) => may(scope));
  return { title, element: emptyPage(title, text, h("a.button.primary", { href }, name)) };
}

function go(path) {
  const unsent = shown?.unsent?.();
  if (unsent && !confirm(`${count(unsent, "file is", "files are")} not uploaded yet. Leave this page and stop?`)) return null;
  if (path !== location.pathname + location.search) history.pushState(null, "", path);
  return show();
}

function replace(path) {
  if (path !== location.pathname + location.search) history.replaceState(null, "", path);
}

function mark(pathname) {
  fill(byId("nav"), LINKS.filter(([, , scope]) => may(scope)).map(([href, text, , pages]) => h("a", { href, "aria-current": pages.test(pathname) && "page" }, text)));
  for (const id of ["find", "find-link"]) byId(id).hidden = !may("documents:read") || byId("nav").hidden || pathname === "/search"; // that page has its own box
  byId("nav").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" }); // on a narrow screen
}

// Links within these pages change the view without a reload.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.defaultPrevented) return;
  const { origin, pathname, search, hash } = new URL(link.href);
  const ours = origin === location.origin && !link.hasAttribute("download") && VIEWS.some(([pattern]) => pattern.test(pathname));
  if (!ours || hash || link.target) return;
  event.preventDefault();
  window.scrollTo(0, 0);
  go(pathname + search);
});
window.addEventListener("popstate", show);
window.addEventListener("hashchange", () => { if (LINK.test(location.hash)) location.reload(); }); // a link pasted into this tab

/** Go to the search box of the page, or without one to that of all documents. */
function search() {
  if (shown?.focus) shown.focus();
  else if (byId("find").checkVisibility()) byId("find-words").focus();
  else if (may("documents:read")) go("/search");
}
byId("find").addEventListener("submit", (event) => {
  event.preventDefault();
  go(query("/search", { q: byId("find-words").value.trim() }));
  byId("find").reset();
});
keys.start({ view: () => shown, links: () => LINKS.filter(([, , scope]) => may(scope)), go, search });

async function welcome(actor) {
  banner.start();
  await deliver(); // so that no list shows their items as open
  byId("nav").hidden = byId("keys").hidden = false;
  const [first] = LINKS.filter(([, , scope]) => may(scope));
  if (location.pathname === "/" && first && first[0] !== "/") replace(first[0]); // no queue for this key
  const leave = async () => {
    await Promise.race([deliver(), new Promise((resolve) => { setTimeout(resolve, PATIENCE); })]);
    const waits = waiting().length;
    if (waits && !confirm(`${count(waits, "decision is", "decisions are")} not sent yet. They stay in this browser until you sign in here again. Sign out?`)) return;
    shown?.leave?.();
    shown = null;
    await left();
    await signOut().catch(() => {});
    location.assign("/");
  };
  fill(byId("who"), h("button.quiet", { type: "button", onclick: () => signin.account(actor.name) }, actor.tenant === "default" ? actor.name : `${actor.name} · ${actor.tenant}`),
    h("button.quiet", { type: "button", onclick: leave }, "Sign out"));
  return show();
}

/** The person whom a link such as `/#sign-in=SECRET` signs in, once. Null without a link, or if it was used. */
async function signInByLink() {
  const [, kind, secret] = LINK.exec(location.hash) ?? [];
  if (kind !== "sign-in") return null;
  const forget = () => history.replaceState(null, "", location.pathname + location.search);
  try {
    const actor = await signIn(secret);
    forget();
    return actor;
  } catch (error) {
    if (error.status !== 401) throw error; // the link is kept for another try
    forget();
    usedLink = true;
    return null;
  }
}

/** The invitation in the address; null without one. */
const invitationOf = () => { const [, kind, secret] = LINK.exec(location.hash) ?? []; return kind === "invitation" ? secret : null; };

async function begin() {
  onSignedOut(signin.dialog);
  const invited = invitationOf();
  const enter = (actor) => { history.replaceState(null, "", "/"); return welcome(actor); };
  let actor = null, entrance = null;
  try {
    if (!invited) actor = await signInByLink() ?? await whoAmI();
    if (!actor) entrance = invited ? await signin.invitation(invited, enter) : await signin.page(welcome, usedLink);
  } catch (error) {
    fill(byId("view"), failure(error, begin));
    return;
  }
  if (actor) {
    await welcome(actor);
    return;
  }
  document.title = `${invited ? "Choose a password" : "Sign in"} · smallprint`;
  fill(byId("view"), entrance);
  byId("view").querySelector("input, a")?.focus();
}

begin();
