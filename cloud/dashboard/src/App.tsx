import { useEffect, useState, type ReactElement } from "react";

import { Dashboard } from "./components/Dashboard";
import { SignIn } from "./components/SignIn";
import { store, useSlice } from "./state/app";
import { dropToken, keepToken, takeToken } from "./state/session";

/** Sign-in while there is no good token, the dashboard with one. */
export function App(): ReactElement {
  const [token, setToken] = useState(takeToken);
  const connection = useSlice((state) => state.connection);
  const denied = connection.kind === "denied" ? connection.why : null;

  // a link with another token, opened in this tab, changes nothing but the fragment
  useEffect(() => {
    const changed = (): void => setToken(takeToken());
    window.addEventListener("hashchange", changed);
    return () => window.removeEventListener("hashchange", changed);
  }, []);

  const signIn = (given: string): void => {
    keepToken(given);
    store.dispatch({ type: "again" });
    setToken(given);
  };
  const signOut = (): void => {
    dropToken();
    store.dispatch({ type: "again" });
    setToken(null);
  };
  if (token === null || denied !== null) return <SignIn refused={denied} onSignIn={signIn} />;
  return <Dashboard token={token} onSignOut={signOut} />;
}
