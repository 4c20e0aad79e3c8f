/** The server answered, and said no. `status` is HTTP's; 401 and 403 mean that the token is no good. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }

  get denied(): boolean {
    return this.status === 401 || this.status === 403;
  }
}

/** `path` under the page's own address, with the token; raises ApiError on anything but success. */
export async function request(path: string, token: string, signal?: AbortSignal): Promise<Response> {
  const response = await fetch(new URL(path, document.baseURI), {
    headers: { Authorization: `Bearer ${token}` },
    cache: "no-store",
    ...(signal ? { signal } : {}),
  });
  if (!response.ok) throw new ApiError(response.status, await reason(response));
  return response;
}

/** JSON of `path`. */
export async function getJson<T>(path: string, token: string, signal?: AbortSignal): Promise<T> {
  return (await (await request(path, token, signal)).json()) as T;
}

async function reason(response: Response): Promise<string> {
  try {
    const body = (await response.json()) as { detail?: unknown };
    if (typeof body.detail === "string") return body.detail;
  } catch {
    // not JSON: a proxy in between, its status line says enough
  }
  return `the server answered ${response.status} ${response.statusText}`.trim();
}
