// Server-sent events from text that is cut anywhere. Source: HTML Living Standard, 9.2.6. Pure.

export interface StreamEvent {
  id: string;
  data: string;
}

export class EventStream {
  private rest = "";
  private id = "";
  private data: string[] = [];

  /** The events that end in this text, oldest first. */
  feed(text: string): StreamEvent[] {
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop() ?? "";
    return lines.flatMap((line) => this.line(line.replace(/\r$/, "")));
  }

  private line(line: string): StreamEvent[] {
    if (line === "") return this.dispatched();
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "id") this.id = value;
    else if (name === "data") this.data.push(value);
    return [];
  }

  private dispatched(): StreamEvent[] {
    const data = this.data;
    this.data = [];
    return data.length === 0 ? [] : [{ id: this.id, data: data.join("\n") }];
  }
}
