// Requests to the services. The session is a cookie that scripts can't read. Requests that change
// data also send the CSRF token.

import { belongsTo, forget } from "/pages/tab_storage.js";

const state = { csrf: null, actor: null, whenSignedOut: null, waiting: null };

/** An error response. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || `The server answered ${status}.`);
    this.status = status;
    this.code = (body.type || "").split(":").pop();
    this.title = status >= 500 ? "Something went wrong on the server" : sentence(body.title);
  }
}

/** No response. */
export class Offline extends Error {
  constructor() {
    super("The server can't be reached. Check the connection. This page continues when it is back.");
    this.title = "No connection";
  }
}

const sentence = (text) => (text ? text[0].toUpperCase() + text.slice(1) : "That did not work");

export const actor = () => state.actor;

/** Whether the key of the session has a scope. */
export const may = (scope) => !state.actor?.scopes || state.actor.scopes.includes(scope);
export const csrf = () => state.csrf;

/** `handler` shows a sign-in and resolves after it. */
export function onSignedOut(handler) {
  state.whenSignedOut = handler;
}

/** Wait for the sign-in, which all requests share.
    @param title why it is needed, if not by the end of the session. The person can then cancel, which throws a Problem. */
export async function signInAgain(title) {
  const before = state.actor;
  state.waiting ??= state.whenSignedOut(title).finally(() => { state.waiting = null; });
  const signedIn = await state.waiting;
  if (!signedIn && title) throw new Problem(401, { title: "Cancelled", detail: "Nothing was changed." });
  if (!signedIn) return signInAgain(); // another request was cancelled, this one waits on
  if (!before || samePerson(before, state.actor)) return;
  throw replacedBy(before);
}

/** Reload the page, because another person began the work on the screen. Returns the error for its requests. */
export function replacedBy(before) {
  setTimeout(() => location.assign("/"));
  return new Problem(401, { title: "Another person has signed in", detail: `Decisions of ${before.name} that were not sent stay in this browser.` });
}

export const samePerson = (one, other) => one.tenant === other?.tenant && one.name === other?.name;

const SIGNS_IN = /^\/v1\/(session|sign-in)\b/;

export async function request(method, path, { body, keepalive = false, text = false, signal, again = false } = {}) {
  const answer = await send(method, path, body, keepalive, signal);
  if (answer.status === 401 && !keepalive && !SIGNS_IN.test(path)) {
    await signInAgain();
    return request(method, path, { body, text, signal });
  }
  if (!answer.ok) {
    const problem = new Problem(answer.status, await read(answer));
    if (problem.code !== "sign_in_again" || again) throw problem;
    await signInAgain("Sign in again for this change");
    return request(method, path, { body, text, signal, again: true });
  }
  if (answer.status === 204) return null;
  return text ? verbatim(answer) : answer.json();
}

// `answer.text()` drops a byte order mark, which offsets into the text count.
async function verbatim(answer) {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(await answer.arrayBuffer());
}

async function send(method, path, body, keepalive, signal) {
  const headers = {};
  if (body !== undefined) headers["content-type"] = "application/json";
  if (method !== "GET" && state.csrf) headers["x-csrf-token"] = state.csrf;
  try {
    const answer = await fetch(path, {
      method, headers, keepalive, signal, credentials: "same-origin", cache: "no-cache",
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    reached(true);
    return answer;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    reached(false);
    throw new Offline();
  }
}

async function read(answer) {
  try {
    return await answer.json();
  } catch {
    return {};
  }
}

function reached(yes) {
  window.dispatchEvent(new CustomEvent("reached", { detail: yes }));
}

/** Resolves at the next answer of the server. */
export function nextAnswer() {
  return new Promise((resolve) => {
    const hear = ({ detail }) => {
      if (!detail) return;
      window.removeEventListener("reached", hear);
      resolve();
    };
    window.addEventListener("reached", hear);
  });
}

export const get = (path, options) => request("GET", path, options);
export const post = (path, body, options) => request("POST", path, { body: body ?? {}, ...options });

export const put = (path, body) => request("PUT", path, { body });
export const patch = (path, body) => request("PATCH", path, { body });
export const remove = (path) => request("DELETE", path);

export function query(path, params) {
  const wanted = Object.entries(params).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return wanted.length ? `${path}?${new URLSearchParams(wanted)}` : path;
}

// Sessions

export async function whoAmI() {
  return keep(await get("/v1/session"));
}

export async function signIn(key) {
  return keep(await request("POST", "/v1/session", { body: { key } }));
}

/** The ways to sign in. Somebody at this address may have asked too often: a password can work anyway. */
export const waysToSignIn = () => get("/v1/sign-in").catch((error) => (error.status === 429 ? { password: true } : Promise.reject(error)));

/** Sign in a user. Another request then fetches the CSRF token. */
export async function signInByPassword(email, password) {
  await request("POST", "/v1/sign-in", { body: { email, password } });
  return whoAmI();
}

/** Set another password. It ends the other sessions, and changes the CSRF token of this one. */
export async function changePassword(current, password) {
  await request("POST", "/v1/sign-in/password", { body: { current, new: password } });
  return whoAmI();
}

/** The person of an invitation; null if it has been used or has expired. */
export const invitedPerson = (invitation) => request("POST", "/v1/sign-in/invitation", { body: { invitation } })
  .catch((error) => (error.status === 401 ? null : Promise.reject(error)));

export async function chooseByInvitation(invitation, password) {
  await request("POST", "/v1/sign-in/invitation", { body: { invitation, password } });
  return whoAmI();
}

export async function signOut() {
  forget();
  await request("DELETE", "/v1/session");
  keep({ actor: null, csrf: null });
}

function keep(session) {
  state.actor = session.actor;
  state.csrf = session.csrf;
  if (session.actor) belongsTo(`${session.actor.tenant}/${session.actor.name}`);
  return session.actor;
}

// Midnight in the time zone of the reviewer.
export function today() {
  const now = new Date();
  now.setHours(0, 0, 0, 0);
  return now.toISOString();
}

export const counts = (filters = {}) => get(query("/v1/items/counts", { since: today(), ...filters }));
