import { useId, useState, type FormEvent, type ReactElement } from "react";

interface Props {
  /** Why the server refused the last token; null when none was tried. */
  readonly refused: string | null;
  readonly onSignIn: (token: string) => void;
}

/** Asks for the token that `cellkeeper serve` printed. */
export function SignIn({ refused, onSignIn }: Props): ReactElement {
  const [token, setToken] = useState("");
  const field = useId();
  const hint = useId();
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (token.trim()) onSignIn(token.trim());
  };
  return (
    <main className="sign-in" data-testid="sign-in">
      <form onSubmit={submit}>
        <img src="./icon.svg" alt="" width="48" height="48" />
        <h1>Cellkeeper</h1>
        {refused !== null && (
          <p className="refused" role="alert" data-testid="refused">
            The server refused this token: {refused}
          </p>
        )}
        <label htmlFor={field}>Access token</label>
        <input
          id={field}
          type="password"
          autoComplete="off"
          spellCheck={false}
          autoFocus
          value={token}
          aria-describedby={hint}
          aria-invalid={refused !== null}
          onChange={(event) => setToken(event.target.value)}
        />
        <button type="submit" disabled={!token.trim()}>
          Sign in
        </button>
        <p id={hint} className="hint">
          <code>cellkeeper serve</code> prints an address that carries the token. It stays in this tab only.
        </p>
      </form>
    </main>
  );
}
