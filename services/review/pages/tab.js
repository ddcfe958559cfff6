// What this tab remembers of one person's work. It goes when that person signs out, or another signs
// in: nobody undoes or skips in another's name.

const OWN = "smallprint.";
const WHO = `${OWN}who`;

export function recall(name) {
  return JSON.parse(sessionStorage.getItem(OWN + name) ?? "[]");
}

export function remember(name, list) {
  sessionStorage.setItem(OWN + name, JSON.stringify(list));
}

export function forget() {
  for (const key of Object.keys(sessionStorage)) if (key.startsWith(OWN)) sessionStorage.removeItem(key);
}

/** A fresh id such as `de_` and 32 hexadecimal digits. */
export function newId(prefix) {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `${prefix}_${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** Whoever is signed in now; what another person left here is forgotten. */
export function belongsTo(person) {
  if (sessionStorage.getItem(WHO) !== person) forget();
  sessionStorage.setItem(WHO, person);
}
