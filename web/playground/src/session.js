// What the page remembers. The access token lives in sessionStorage only: it
// ends with the browser tab and is never written to disk by this page.
// Captured values are ids, no secrets; localStorage lets a second window
// (for the live tab) use them as well.

const tokenKey = "purser:token";
const valuesKey = "purser:values";

/** The token typed in this browser tab, or null when none was ever typed. */
export function loadToken() {
  return sessionStorage.getItem(tokenKey);
}

export function saveToken(token) {
  sessionStorage.setItem(tokenKey, token);
}

export function loadValues() {
  try {
    const values = JSON.parse(localStorage.getItem(valuesKey) ?? "{}");
    return values !== null && typeof values === "object" && !Array.isArray(values) ? values : {};
  } catch {
    return {};
  }
}

export function saveValues(values) {
  localStorage.setItem(valuesKey, JSON.stringify(values));
}

/**
 * To be called before GraphiQL starts. It opens a further tab when the last
 * query it stored is in none of its tabs, which happens when the page was left
 * between two of its delayed writes; the active tab's own text cannot differ.
 */
export function alignStoredQuery() {
  let tab;
  try {
    const { tabs, activeTabIndex } = JSON.parse(localStorage.getItem("graphiql:tabState"));
    tab = tabs[activeTabIndex];
  } catch {
    return;
  }
  for (const part of ["query", "variables"]) {
    if (typeof tab?.[part] === "string") localStorage.setItem(`graphiql:${part}`, tab[part]);
    else localStorage.removeItem(`graphiql:${part}`);
  }
}

/**
 * Forgets edited tabs, history and captured values; the token stays. To be
 * followed by a reload: GraphiQL stores the tabs some time after a change,
 * also on a page that is about to go, so they are forgotten once more when
 * nothing can follow.
 */
export function resetPage() {
  localStorage.clear();
  window.addEventListener("pagehide", () => localStorage.clear());
}
