// A text of the server's that may be long: scrolls within itself; says what is wrong if there is none.

import type { Answer } from "../asking";

export function Text({ answer, label, nothing }: { answer: Answer<{ text: string }>; label: string; nothing: string }) {
  if (answer.problem) return <p class="problem">{answer.problem}</p>;
  if (!answer.value) return <p class="nothing">Asking…</p>;
  if (!answer.value.text.trim()) return <p class="nothing">{nothing}</p>;
  return (
    <pre tabIndex={0} role="region" aria-label={label}>
      {answer.value.text}
    </pre>
  );
}
