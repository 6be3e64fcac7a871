// Server-sent events over `fetch`, which unlike EventSource tells why a connection was refused and takes any event's name.

import { request } from "./server";

export interface Message {
  id: string;
  event: string;
  data: string;
}

/** Hand on each event until the stream ends. Throws `Refusal`, `TypeError` when it breaks, `AbortError` on a signal. */
export async function follow(
  path: string,
  lastId: string,
  hear: (message: Message) => void,
  signal: AbortSignal,
  opened: () => void,
): Promise<void> {
  const headers: Record<string, string> = { Accept: "text/event-stream" };
  if (lastId) headers["Last-Event-ID"] = lastId;
  const answer = await request(path, { headers, signal });
  opened();
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    let end: number;
    while ((end = text.indexOf("\n\n")) >= 0) {
      const message = parsed(text.slice(0, end));
      text = text.slice(end + 2);
      if (message) hear(message);
    }
  }
}

/** One event of the stream, or null for a comment or a setting. */
export function parsed(block: string): Message | null {
  const message: Message = { id: "", event: "message", data: "" };
  let isEvent = false;
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    const value = line.slice(colon + 1).replace(/^ /, "");
    const field = line.slice(0, colon);
    if (field === "id") message.id = value;
    if (field === "event") message.event = value;
    if (field === "data") {
      message.data += (message.data ? "\n" : "") + value;
      isEvent = true;
    }
  }
  return isEvent ? message : null;
}
