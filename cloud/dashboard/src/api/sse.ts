/** One event of a text/event-stream. */
export interface ServerEvent {
  readonly event: string;
  readonly data: string;
}

/**
 * Incremental parser of text/event-stream, as in the HTML standard, section 9.2.6, less `id` and `retry`.
 *
 * `EventSource` cannot send an Authorization header, so the page reads the stream with `fetch`.
 * Pieces may break anywhere, between CR and LF too.
 */
export class SseParser {
  #rest = "";
  #event = "";
  #data: string[] = [];

  /** The events that `piece` completes. */
  push(piece: string): ServerEvent[] {
    const events: ServerEvent[] = [];
    const text = this.#rest + piece;
    // a CR at the very end may be the first half of CRLF: leave it for the next piece
    const usable = text.endsWith("\r") ? text.slice(0, -1) : text;
    const lines = usable.split(/\r\n|\n|\r/);
    this.#rest = (lines.pop() ?? "") + text.slice(usable.length);
    for (const line of lines) {
      const event = this.#line(line);
      if (event) events.push(event);
    }
    return events;
  }

  #line(line: string): ServerEvent | null {
    if (line === "") return this.#finish();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#event = value;
    else if (field === "data") this.#data.push(value);
    return null;
  }

  #finish(): ServerEvent | null {
    const event = { event: this.#event || "message", data: this.#data.join("\n") };
    const complete = this.#data.length > 0;
    this.#event = "";
    this.#data = [];
    return complete ? event : null;
  }
}
