// Server-sent events over `fetch`, which unlike EventSource tells why a connection was refused and takes any event's name.

export interface Message {
  id: string;
  event: string;
  data: string;
}

/** Hand on each event of an answer until it ends. Throws `TypeError` when it breaks, `AbortError` when it is ended. */
export async function follow(answer: Response, hear: (message: Message) => void): Promise<void> {
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
