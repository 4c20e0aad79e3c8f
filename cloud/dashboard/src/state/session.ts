const KEY = "cellkeeper.token";

/**
 * The token of this tab: from the address (`#token=...`), else what the tab kept, else null.
 * One that came in the address is kept and taken out of the address bar and the history at once.
 */
export function takeToken(): string | null {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    keepToken(given);
    history.replaceState(null, "", location.pathname + location.search);
  }
  return given || sessionStorage.getItem(KEY);
}

/** Keep a token for as long as this tab lives. */
export function keepToken(token: string): void {
  sessionStorage.setItem(KEY, token);
}

/** Forget the token. */
export function dropToken(): void {
  sessionStorage.removeItem(KEY);
}
