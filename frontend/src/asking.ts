// Answers that a view asks for while it is looked at: once, and again after a time as long as the page is live.

import { useEffect, useState } from "preact/hooks";
import { useAddress } from "./address";
import { get, Refusal, told } from "./server";

const FINAL = [400, 403, 404, 409];

export interface Answer<T> {
  value: T | null;
  problem: string; // why the newest try failed; the value is of an earlier one then
  again: () => void;
}

/**
 * The answer to `path`, asked for anew every so many seconds (0: once) and when `changed` is another. A hidden or paused
 * page does not ask again.
 */
export function useAnswer<T>(path: string, everySeconds: number, changed: unknown = 0): Answer<T> {
  const [value, setValue] = useState<{ path: string; value: T } | null>(null);
  const [problem, setProblem] = useState("");
  const [turn, setTurn] = useState(0);
  const { isPaused } = useAddress();
  useEffect(() => {
    const stop = new AbortController();
    let timer = 0;
    let hasAsked = false;
    const ask = async () => {
      if (!document.hidden || !hasAsked) {
        hasAsked = true;
        try {
          const found = await get<T>(path, stop.signal);
          setValue({ path, value: found });
          setProblem("");
        } catch (error) {
          if (stop.signal.aborted) return;
          setProblem(told(error));
          if (error instanceof Refusal && FINAL.includes(error.status)) return; // it would be answered the same again
        }
      }
      if (everySeconds && !isPaused && !stop.signal.aborted) timer = window.setTimeout(() => void ask(), everySeconds * 1000);
    };
    void ask();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [path, everySeconds, isPaused, turn, changed]);
  return { value: value?.path === path ? value.value : null, problem, again: () => setTurn(turn + 1) };
}
