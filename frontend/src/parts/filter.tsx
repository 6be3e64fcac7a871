// A filter that stands in the address: what is entered is asked for a moment after the last key.

import { useEffect, useRef, useState } from "preact/hooks";
import { go, useAddress } from "../address";

const PAUSE_MS = 300;

export function Filter({ name, label, isNumber = false }: { name: string; label: string; isNumber?: boolean }) {
  const chosen = useAddress().choice(name);
  const [value, setValue] = useState(chosen);
  const timer = useRef(0);
  useEffect(() => setValue(chosen), [chosen]);
  const enter = (text: string) => {
    setValue(text);
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => go({ [name]: text }), PAUSE_MS);
  };
  return (
    <label>
      {label}
      <input value={value} inputMode={isNumber ? "numeric" : "text"} autocomplete="off" spellcheck={false} onInput={(event) => enter(event.currentTarget.value)} />
    </label>
  );
}

export function Select({ name, label, options }: { name: string; label: string; options: readonly string[] }) {
  const chosen = useAddress().choice(name);
  const all = options.includes(chosen) || !chosen ? options : [chosen, ...options];
  return (
    <label>
      {label}
      <select value={chosen} onChange={(event) => go({ [name]: event.currentTarget.value })}>
        <option value="">all</option>
        {all.map((one) => (
          <option key={one} value={one}>
            {one}
          </option>
        ))}
      </select>
    </label>
  );
}
