// Data of this tab for one reviewer. It is deleted at sign-out and when another person signs in.

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

/** Set the signed-in person. Data of another person is deleted. */
export function belongsTo(person) {
  if (sessionStorage.getItem(WHO) !== person) forget();
  sessionStorage.setItem(WHO, person);
}
